/* mark_read: what it accepts comes back the same. */
#include "test/fuzz/fuzz.h"

#include "test/rewrite.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!rewrite_is_stable(rewrite_mark, span_of(data, size)))
        abort();
    return 0;
}
