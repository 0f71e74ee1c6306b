#include "bundles/index.h"

#include "base/endian.h"

#include <assert.h>

bool index_append(struct buffer *out, const struct chunk_ref *ref)
{
    assert(out->cap - out->len >= INDEX_REF_LEN);
    uint8_t *at = out->data + out->len;
    memcpy(at, ref->digest.bytes, DIGEST_LEN);
    le32_write(at + DIGEST_LEN, ref->len);
    out->len += INDEX_REF_LEN;
    return ref->digest.bytes[0] == 0 || out->len == INDEX_CHUNK_MAX;
}

int index_count(struct span chunk)
{
    if (chunk.len == 0 || chunk.len > INDEX_CHUNK_MAX || chunk.len % INDEX_REF_LEN)
        return ERR_FORMAT;
    return (int)(chunk.len / INDEX_REF_LEN);
}

int index_get(struct span chunk, size_t i, struct chunk_ref *ref)
{
    assert(i < chunk.len / INDEX_REF_LEN);
    const uint8_t *at = chunk.data + i * INDEX_REF_LEN;
    memcpy(ref->digest.bytes, at, DIGEST_LEN);
    ref->len = le32_read(at + DIGEST_LEN);
    return ref->len == 0 || ref->len > CHUNK_MAX ? ERR_RANGE : 0;
}
