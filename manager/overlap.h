/*
 * overlap: how much of a bundle's content another one has already, by the chunks in both indexes:
 * what a device that runs the one fetches to run the other. It knows no deployments.
 */
#ifndef DUNLIN_MANAGER_OVERLAP_H
#define DUNLIN_MANAGER_OVERLAP_H

#include "manager/depot.h"

/* Of the new bundle's content; bytes are plain ones, before compression. */
struct overlap {
    uint64_t chunks;
    uint64_t bytes;
    uint64_t held_chunks; /* of these: the old one has them */
    uint64_t held_bytes;
    /* What comes over the link for it, compressed, with the lists of its chunks: */
    uint64_t packed;      /* to a device that has nothing */
    uint64_t held_packed; /* of this: one that has the old bundle has it */
};

/* Bundles are named by the digests of their signed manifests; `old` NULL: there is none. What the
 * depot gives for one that isn't whole, or ERR_NO_MEMORY. */
int overlap_count(struct depot *depot, const struct digest *old, const struct digest *new,
                  struct overlap *out, struct errmsg *em);

#endif
