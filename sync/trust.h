/*
 * trust: the numbered list of publisher keys whose bundles the fleet runs.
 * It knows nothing of thresholds and rotation yet; both have their place behind the list.
 */
#ifndef DUNLIN_SYNC_TRUST_H
#define DUNLIN_SYNC_TRUST_H

#include "sync/envelope.h"

#define TRUST_MAX 4096

struct trust {
    uint32_t version; /* grows with every change */
    uint64_t issued_s;
    uint32_t count;
    struct public_key publishers[PUBLISHERS_MAX];
};

int trust_write(const struct trust *t, struct buffer *out);
int trust_read(struct span body, struct trust *t);

#endif
