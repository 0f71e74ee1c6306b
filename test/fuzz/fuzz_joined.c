/* The answer to a join: as its frame, and as what a frame seals with every code. */
#include "test/fuzz/fuzz.h"

#include "test/rewrite.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t memory[REWRITE_MAX + 256];
    struct span in = span_of(data, size);
    if (size > JOINED_MAX)
        return 0;
    if (!rewrite_is_stable(rewrite_joined, in))
        abort();
    for (int code = JOINED_ACCEPTED; code <= JOINED_UNKNOWN; code++) {
        struct buffer sealed = buffer_on(memory, sizeof memory);
        if (sample_seal_answer((enum joined_code)code, in, &sealed) < 0 ||
            !rewrite_is_stable(rewrite_joined, span_buffer(&sealed)))
            abort();
    }
    return 0;
}
