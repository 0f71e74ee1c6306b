/*
 * homes: on which cells an agent's own messages stand: on its homes by the atlas in force, and on
 * those by the one before as long as agents may be on their way. It knows nothing of brokers.
 *
 * What stands where changes in stages, two for each atlas: while agents move, and afterwards. Each
 * stage differs from the one before in few agents' homes, and of these two a cell is told the
 * difference.
 */
#ifndef DUNLIN_MANAGER_HOMES_H
#define DUNLIN_MANAGER_HOMES_H

#include "sync/atlas.h"

/* Agents whose homes are remembered: all cells ask for the newest few rows in turn. */
#define HOMES_CACHED 1024

/* The numbers of cells; 0: none. */
struct homes_of {
    struct key_id agent;
    uint32_t now[ATLAS_HOMES];
    uint32_t before[ATLAS_HOMES];
};

struct homes {
    struct atlas now;
    struct atlas before; /* count 0: there was none, and only the numbers of its cells are here */
    bool moving;
    struct homes_of cache[HOMES_CACHED];
};

/* Another atlas, or stage, is in force: nothing that was found before counts. */
void homes_forget(struct homes *h);
uint64_t homes_stage(const struct homes *h);
/* Whether any cell has other agents in this stage than in the one before. */
bool homes_differ(const struct homes *h);

/* Whether that cell retains what is this agent's own, and whether it did in the stage before. */
bool homes_serve(struct homes *h, uint32_t cell, const struct key_id *agent);
bool homes_served(struct homes *h, uint32_t cell, const struct key_id *agent);

#endif
