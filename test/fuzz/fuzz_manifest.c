/* A body is refused, or is a manifest in range that writes and reads as itself. */
#include "bundles/manifest.h"
#include "test/fuzz/fuzz.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct manifest m, again;
    static uint8_t memory[MANIFEST_MAX];
    struct buffer out = buffer_on(memory, sizeof memory);
    static const struct trust nobody = {.roles[TRUST_PUBLISHERS].threshold = 1};
    int rv = manifest_open(span_of(data, size), &nobody, &m);
    assert(rv < 0);
    rv = manifest_read(span_of(data, size), &m);
    assert(rv == 0 || rv == ERR_FORMAT || rv == ERR_RANGE);
    if (rv < 0)
        return 0;
    assert(m.chunks >= m.index_count && m.bytes >= m.chunks && m.files >= 1);
    rv = manifest_write(&m, &out);
    assert(rv == 0);
    rv = manifest_read(span_buffer(&out), &again);
    assert(rv == 0 && memcmp(&m, &again, sizeof m) == 0);
    return 0;
}
