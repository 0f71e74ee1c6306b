/* The request to join: as its frame, as what a frame seals, and as bare facts. */
#include "test/fuzz/fuzz.h"

#include "test/rewrite.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t memory[REWRITE_MAX + 256];
    struct buffer sealed = buffer_on(memory, sizeof memory);
    struct span in = span_of(data, size);
    if (size > JOIN_MAX)
        return 0;
    if (sample_seal_request(in, &sealed) < 0)
        abort();
    if (!rewrite_is_stable(rewrite_join, in) || !rewrite_is_stable(rewrite_facts, in) ||
        !rewrite_is_stable(rewrite_join, span_buffer(&sealed)))
        abort();
    return 0;
}
