/* An index chunk is refused, or holds references that append to the same bytes. */
#include "bundles/index.h"
#include "test/fuzz/fuzz.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t memory[INDEX_REF_LEN];
    struct span chunk = span_of(data, size);
    int count = index_count(chunk);
    assert(count == ERR_FORMAT || (size_t)count * INDEX_REF_LEN == size);
    for (int i = 0; i < count; i++) {
        struct chunk_ref ref;
        struct buffer out = buffer_on(memory, sizeof memory);
        int rv = index_get(chunk, (size_t)i, &ref);
        assert(rv == ERR_RANGE || (rv == 0 && ref.len >= 1 && ref.len <= CHUNK_MAX));
        bool ends = index_append(&out, &ref);
        assert(ends == (ref.digest.bytes[0] == 0));
        assert(memcmp(memory, data + (size_t)i * INDEX_REF_LEN, INDEX_REF_LEN) == 0);
    }
    return 0;
}
