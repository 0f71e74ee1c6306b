#include "manager/overlap.h"

#include "bundles/index.h"
#include "sync/envelope.h"

#include <stdlib.h>

/* Looked at for one count, too large for a stack. */
struct reading {
    struct depot *depot;
    struct manifest manifest;
    uint8_t plain[CHUNK_MAX];
};

/* The chunks of one bundle, sorted by digest. */
struct chunk_list {
    struct chunk_ref *refs;
    size_t count;
};

static int list_chunks(struct reading *r, const struct digest *bundle, struct chunk_list *list,
                       struct errmsg *em);
static int add_index_chunk(struct reading *r, const struct chunk_ref *ref, struct chunk_list *list,
                           struct errmsg *em);
static void compare(const struct chunk_list *old, const struct chunk_list *new,
                    struct overlap *out);
static int order(const void *a, const void *b);

int overlap_count(struct depot *depot, const struct digest *old, const struct digest *new,
                  struct overlap *out, struct errmsg *em)
{
    struct chunk_list before = {0}, after = {0};
    struct reading *r = malloc(sizeof *r);
    *out = (struct overlap){0};
    if (!r)
        return errmsg_set(em, ERR_NO_MEMORY, "not enough memory to compare two bundles");
    r->depot = depot;
    int rv = list_chunks(r, new, &after, em);
    if (rv == 0 && old)
        rv = list_chunks(r, old, &before, em);
    if (rv == 0)
        compare(&before, &after, out);
    free(before.refs);
    free(after.refs);
    free(r);
    return rv;
}

static int list_chunks(struct reading *r, const struct digest *bundle, struct chunk_list *list,
                       struct errmsg *em)
{
    struct buffer plain = buffer_on(r->plain, sizeof r->plain);
    struct envelope e;
    int rv = depot_get_plain(r->depot, bundle, &plain, em);
    if (rv == 0)
        rv = envelope_read(MESSAGE_MANIFEST, span_buffer(&plain), &e);
    if (rv == 0)
        rv = manifest_read(e.body, &r->manifest);
    if (rv < 0)
        return rv;
    list->refs = calloc(r->manifest.chunks + 1u, sizeof *list->refs);
    if (!list->refs)
        return errmsg_set(em, ERR_NO_MEMORY, "not enough memory to compare two bundles");
    for (uint32_t i = 0; i < r->manifest.index_count && rv == 0; i++)
        rv = add_index_chunk(r, &r->manifest.index[i], list, em);
    qsort(list->refs, list->count, sizeof *list->refs, order);
    return rv;
}

static int add_index_chunk(struct reading *r, const struct chunk_ref *ref, struct chunk_list *list,
                           struct errmsg *em)
{
    struct buffer plain = buffer_on(r->plain, sizeof r->plain);
    int rv = depot_get_plain(r->depot, &ref->digest, &plain, em);
    if (rv < 0)
        return rv;
    int count = index_count(span_buffer(&plain));
    for (int i = 0; i < count && list->count < r->manifest.chunks && rv == 0; i++)
        rv = index_get(span_buffer(&plain), (size_t)i, &list->refs[list->count++]);
    return count < 0 ? count : rv;
}

/* What stands twice in a bundle is fetched once. */
static void compare(const struct chunk_list *old, const struct chunk_list *new, struct overlap *out)
{
    for (size_t i = 0; i < new->count; i++) {
        const struct chunk_ref *ref = &new->refs[i];
        if (i > 0 && order(ref, ref - 1) == 0)
            continue;
        out->chunks++;
        out->bytes += ref->len;
        if (old->count > 0 && bsearch(ref, old->refs, old->count, sizeof *ref, order)) {
            out->held_chunks++;
            out->held_bytes += ref->len;
        }
    }
}

static int order(const void *a, const void *b)
{
    const struct chunk_ref *left = a, *right = b;
    return memcmp(left->digest.bytes, right->digest.bytes, DIGEST_LEN);
}
