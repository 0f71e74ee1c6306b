/* A frame is refused, or opens under the digest of what is in it and under no other. */
#include "bundles/chunk.h"
#include "test/fuzz/fuzz.h"

#include <assert.h>
#include <stdlib.h>

static struct chunk_opener *opener;

static void close_opener(void)
{
    chunk_opener_free(opener);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t memory[CHUNK_MAX];
    struct buffer plain = buffer_on(memory, sizeof memory);
    struct digest name = {0};
    if (!opener) {
        opener = chunk_opener_new();
        atexit(close_opener);
    }
    int rv = chunk_open(opener, span_of(data, size), &name, &plain);
    assert(rv == ERR_FORMAT || rv == ERR_RANGE || rv == ERR_DIGEST);
    if (rv != ERR_DIGEST)
        return 0;
    assert(plain.len >= 1 && plain.len <= CHUNK_MAX);
    name = digest_of(span_buffer(&plain));
    rv = chunk_open(opener, span_of(data, size), &name, &plain);
    assert(rv == 0);
    return 0;
}
