/*
 * merkle: a tree of digests (RFC 9162, 2.1), so that one signature of its root stands for all of
 * its leaves, each with the short path that leads from it to the root. It knows nothing of what is
 * signed, or by whom.
 */
#ifndef DUNLIN_CRYPTO_MERKLE_H
#define DUNLIN_CRYPTO_MERKLE_H

#include "crypto/digest.h"

/* A thousand leaves make a signature cost next to nothing, and a path has 320 bytes. */
#define MERKLE_DEPTH_MAX 10
#define MERKLE_LEAVES_MAX (1u << MERKLE_DEPTH_MAX)

/* From a leaf up. */
struct merkle_path {
    uint32_t count; /* of siblings; 0: the leaf is the root */
    uint32_t left;  /* bit i: the i-th sibling stands on the left; none from `count` on */
    struct digest siblings[MERKLE_DEPTH_MAX];
};

/* All levels of one, the leaves first. */
struct merkle {
    uint32_t leaves;
    struct digest nodes[2 * MERKLE_LEAVES_MAX];
};

/* Leaves and nodes are digested in ways of their own, so none can be taken for the other. */
struct digest merkle_leaf(struct span data);
/* Where the path from this leaf leads. */
struct digest merkle_climb(const struct digest *leaf, const struct merkle_path *path);

/* Makes the root of 1 to MERKLE_LEAVES_MAX leaves, which the caller has put into `nodes`. */
struct digest merkle_grow(struct merkle *m);
/* Of the leaf with this index, of a tree that has grown. */
struct merkle_path merkle_path(const struct merkle *m, uint32_t index);

#endif
