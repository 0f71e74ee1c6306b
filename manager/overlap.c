#include "manager/overlap.h"

#include "bundles/index.h"
#include "sync/envelope.h"

#include <stdlib.h>

/* The chunks of one bundle, sorted by digest. */
struct chunk_list {
    struct chunk_ref *refs;
    size_t count;
    size_t listing_count;
    struct chunk_ref listing[MANIFEST_INDEX_MAX]; /* chunks that list the others */
};

/* Looked at for one count, too large for a stack. */
struct reading {
    struct depot *depot;
    struct manifest manifest;
    struct chunk_list before, after;
    uint8_t plain[CHUNK_MAX];
};

static int list_chunks(struct reading *r, const struct digest *bundle, struct chunk_list *list,
                       struct errmsg *em);
static int add_index_chunk(struct reading *r, const struct chunk_ref *ref, struct chunk_list *list,
                           struct errmsg *em);
static void compare(struct depot *depot, const struct chunk_list *old, const struct chunk_list *new,
                    struct overlap *out);
static void compare_listings(struct depot *depot, const struct chunk_list *old,
                             const struct chunk_list *new, struct overlap *out);
static uint64_t packed(struct depot *depot, const struct digest *name);
static int order(const void *a, const void *b);

int overlap_count(struct depot *depot, const struct digest *old, const struct digest *new,
                  struct overlap *out, struct errmsg *em)
{
    struct reading *r = calloc(1, sizeof *r);
    *out = (struct overlap){0};
    if (!r)
        return errmsg_set(em, ERR_NO_MEMORY, "not enough memory to compare two bundles");
    r->depot = depot;
    int rv = list_chunks(r, new, &r->after, em);
    if (rv == 0 && old)
        rv = list_chunks(r, old, &r->before, em);
    if (rv == 0) {
        compare(depot, &r->before, &r->after, out);
        compare_listings(depot, &r->before, &r->after, out);
        out->packed += packed(depot, new);
    }
    if (rv == 0 && old && digest_equal(old, new))
        out->held_packed = out->packed;
    free(r->before.refs);
    free(r->after.refs);
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
    list->listing_count = r->manifest.index_count;
    memcpy(list->listing, r->manifest.index, list->listing_count * sizeof list->listing[0]);
    qsort(list->listing, list->listing_count, sizeof list->listing[0], order);
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
static void compare(struct depot *depot, const struct chunk_list *old, const struct chunk_list *new,
                    struct overlap *out)
{
    for (size_t i = 0; i < new->count; i++) {
        const struct chunk_ref *ref = &new->refs[i];
        if (i > 0 && order(ref, ref - 1) == 0)
            continue;
        uint64_t size = packed(depot, &ref->digest);
        out->chunks++;
        out->bytes += ref->len;
        out->packed += size;
        if (old->count > 0 && bsearch(ref, old->refs, old->count, sizeof *ref, order)) {
            out->held_chunks++;
            out->held_bytes += ref->len;
            out->held_packed += size;
        }
    }
}

static void compare_listings(struct depot *depot, const struct chunk_list *old,
                             const struct chunk_list *new, struct overlap *out)
{
    for (size_t i = 0; i < new->listing_count; i++) {
        const struct chunk_ref *ref = &new->listing[i];
        uint64_t size = packed(depot, &ref->digest);
        out->packed += size;
        if (bsearch(ref, old->listing, old->listing_count, sizeof *ref, order))
            out->held_packed += size;
    }
}

/* One that is missing counts for nothing. */
static uint64_t packed(struct depot *depot, const struct digest *name)
{
    int64_t size = depot_size(depot, name);
    return size > 0 ? (uint64_t)size : 0;
}

static int order(const void *a, const void *b)
{
    const struct chunk_ref *left = a, *right = b;
    return memcmp(left->digest.bytes, right->digest.bytes, DIGEST_LEN);
}
