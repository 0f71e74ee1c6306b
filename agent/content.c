#include "agent/content.h"

#include <assert.h>
#include <stddef.h>

static int read_chunk(struct content *c, const struct digest *name, uint32_t len,
                      struct span *plain, struct errmsg *em);
static int open_manifest(struct content *c, struct span bytes, const struct trust *trust);
static int next_index(struct content *c, struct errmsg *em);

int content_init(struct content *c, const struct chunks *chunks, struct errmsg *em)
{
    memset(c, 0, offsetof(struct content, index));
    c->chunks = chunks;
    c->opener = chunk_opener_new();
    return c->opener ? 0 : errmsg_set(em, ERR_NO_MEMORY, "no memory to decompress with");
}

void content_free(struct content *c)
{
    if (c->opener)
        chunk_opener_free(c->opener);
    c->opener = NULL;
}

int content_open(struct content *c, const struct digest *bundle, const struct trust *trust,
                 struct errmsg *em)
{
    struct span bytes = SPAN_NONE;
    c->bundle = (struct digest){0};
    int rv = read_chunk(c, bundle, 0, &bytes, em);
    if (rv == 0 && (rv = open_manifest(c, bytes, trust)) < 0)
        errmsg_set(em, rv, "its manifest: %s", err_name(rv));
    if (rv < 0)
        return errmsg_wrap(em, rv, "bundle %.12s", digest_hex(bundle).text);
    c->bundle = *bundle;
    content_rewind(c);
    return 0;
}

int content_peek(struct content *c, const struct digest *bundle)
{
    struct buffer frame = buffer_on(c->frame, sizeof c->frame);
    struct buffer plain = buffer_on(c->plain, sizeof c->plain);
    int rv = chunks_get(c->chunks, bundle, &frame, NULL);
    if (rv == 0)
        rv = chunk_open(c->opener, span_buffer(&frame), bundle, &plain);
    return rv < 0 ? rv : open_manifest(c, span_buffer(&plain), NULL);
}

void content_rewind(struct content *c)
{
    c->next_index = 0;
    c->next_ref = 0;
    c->refs = 0;
    c->passed = 0;
}

int content_next(struct content *c, struct chunk_ref *ref, struct errmsg *em)
{
    int rv = 0;
    if (c->next_ref == c->refs && c->next_index == c->manifest.index_count)
        return 0;
    if (c->next_ref == c->refs)
        rv = next_index(c, em);
    if (rv == 0)
        rv = index_get(span_of(c->index, c->index_len), c->next_ref, ref);
    if (rv < 0)
        return errmsg_wrap(em, rv, "bundle %.12s: index chunk %u of %u",
                           digest_hex(&c->bundle).text, c->next_index, c->manifest.index_count);
    c->next_ref++;
    c->passed++;
    return 1;
}

int content_read(struct content *c, const struct chunk_ref *ref, struct span *plain,
                 struct errmsg *em)
{
    int rv = read_chunk(c, &ref->digest, ref->len, plain, em);
    if (rv < 0)
        return errmsg_wrap(em, rv, "bundle %.12s: chunk %u of %u", digest_hex(&c->bundle).text,
                           c->passed, c->manifest.chunks);
    return 0;
}

int content_check(struct content *c, const struct digest *name, struct span frame, size_t *len)
{
    struct buffer plain = buffer_on(c->plain, sizeof c->plain);
    int rv = chunk_open(c->opener, frame, name, &plain);
    *len = plain.len;
    return rv;
}

/* The index chunk is held apart, because content is read while it is walked through. */
static int next_index(struct content *c, struct errmsg *em)
{
    struct span plain = SPAN_NONE;
    const struct chunk_ref *ref = &c->manifest.index[c->next_index];
    int rv = read_chunk(c, &ref->digest, ref->len, &plain, em);
    if (rv == 0)
        rv = index_count(plain);
    if (rv < 0)
        return rv;
    assert(plain.data && plain.len <= sizeof c->index);
    memcpy(c->index, plain.data, plain.len);
    c->index_len = plain.len;
    c->refs = (uint32_t)rv;
    c->next_ref = 0;
    c->next_index++;
    return 0;
}

static int open_manifest(struct content *c, struct span bytes, const struct trust *trust)
{
    return trust ? manifest_open(bytes, trust, &c->manifest) : manifest_peek(bytes, &c->manifest);
}

static int read_chunk(struct content *c, const struct digest *name, uint32_t len,
                      struct span *plain, struct errmsg *em)
{
    struct buffer frame = buffer_on(c->frame, sizeof c->frame);
    struct buffer out = buffer_on(c->plain, sizeof c->plain);
    int rv = chunks_get(c->chunks, name, &frame, em);
    if (rv < 0 && rv != ERR_RANGE && rv != ERR_DAMAGED)
        return rv;
    /* Where it can't go, whoever fetches it again would find it there, again and again. */
    if (rv < 0 || chunk_open(c->opener, span_buffer(&frame), name, &out) < 0) {
        rv = chunks_remove(c->chunks, name, em);
        return rv < 0 ? rv
                      : errmsg_set(em, ERR_DIGEST, "chunk %.12s: digest differs",
                                   digest_hex(name).text);
    }
    if (len > 0 && out.len != len)
        return errmsg_set(em, ERR_FORMAT, "chunk %.12s has %zu bytes, and the index says %u",
                          digest_hex(name).text, out.len, len);
    *plain = span_buffer(&out);
    return 0;
}
