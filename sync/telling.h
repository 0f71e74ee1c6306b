/*
 * telling: an agent's facts, told anew when they have changed. It knows nothing of what they mean.
 */
#ifndef DUNLIN_SYNC_TELLING_H
#define DUNLIN_SYNC_TELLING_H

#include "sync/join.h"
#include "sync/status.h"

/* Full facts, and the MAC. */
#define TELLING_MAX 3072

struct telling {
    uint32_t number; /* agent number */
    uint32_t seq;    /* that its next status has: older facts don't come back */
    struct facts facts;
};

/* Appends the message and its MAC. */
int telling_write(const struct telling *t, const struct mac_key *key, struct buffer *out);
/* Reads without checking the MAC, as report_read. */
int telling_read(struct span bytes, struct telling *t);

#endif
