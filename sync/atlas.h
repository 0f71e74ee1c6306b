/*
 * atlas: the signed, numbered list of all cells of a fleet, and the order in which an agent prefers
 * them, which manager and agent find out each by itself. It knows nothing of connections.
 */
#ifndef DUNLIN_SYNC_ATLAS_H
#define DUNLIN_SYNC_ATLAS_H

#include "crypto/sign.h"
#include "sync/limits.h"

/* Each is a process of the manager's or somebody else's broker; more than one machine drives. */
#define ATLAS_CELLS_MAX 256
/* The body, which is a message in an envelope. */
#define ATLAS_MAX (MESSAGE_MAX - 256)
/* The first of an agent's order are its homes: what is its own is retained there. With one cell
 * dead and one being repaired, one is left. */
#define ATLAS_HOMES 3
/* How long agents may take to go where they belong. */
#define ATLAS_SPREAD_S_MAX 86400

struct atlas_cell {
    uint32_t number; /* its name for ever, from 1 */
    struct span url; /* borrowed; it may change */
};

struct atlas {
    uint32_t number; /* from 1, and never back */
    uint32_t spread_s;
    uint32_t count;                           /* at least 1 */
    struct atlas_cell cells[ATLAS_CELLS_MAX]; /* by rising number */
};

/* Appends the unsigned body. ERR_NO_MEMORY when there is no room for it. */
int atlas_write(const struct atlas *a, struct buffer *out);
/* Reads a body strictly, and borrows from it. ERR_FORMAT or ERR_RANGE. */
int atlas_read(struct span body, struct atlas *a);

/* [atlas-3] How much this agent wants that cell: the highest comes first. */
uint64_t atlas_weight(uint32_t cell, const struct key_id *agent);
/* The places in `a` of the `max` cells that it wants most, in order; how many there are. */
uint32_t atlas_order(const struct atlas *a, const struct key_id *agent, uint32_t max,
                     uint32_t order[]);

#endif
