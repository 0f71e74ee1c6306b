/*
 * whereabouts: through which cell each agent was last heard, since this manager runs. It knows
 * nothing of what they said, and keeps nothing on the disk: heartbeats tell it again.
 */
#ifndef DUNLIN_MANAGER_WHEREABOUTS_H
#define DUNLIN_MANAGER_WHEREABOUTS_H

#include "sync/atlas.h"

struct whereabouts {
    uint16_t *cells; /* by agent number - 1: the cell's place from 1; 0: not heard */
    size_t cap;
    uint32_t counts[ATLAS_CELLS_MAX];
};

/* Without memory for it the agent stays where it was. */
void whereabouts_note(struct whereabouts *w, uint32_t number, size_t cell);
void whereabouts_free(struct whereabouts *w);

#endif
