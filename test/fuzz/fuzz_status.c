/* report_read, for statuses and wills: what it accepts comes back the same, and its MAC holds. */
#include "test/fuzz/fuzz.h"

#include "test/rewrite.h"

static void check_mac(struct span in)
{
    uint8_t memory[STATUS_MAX];
    struct buffer written = buffer_on(memory, sizeof memory);
    struct mac_key key = sample_mac_key();
    if (rewrite_report(in, &written) == 0 && report_check(span_buffer(&written), &key) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = span_of(data, size);
    if (!rewrite_is_stable(rewrite_report, in))
        abort();
    check_mac(in);
    return 0;
}
