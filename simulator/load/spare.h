/*
 * spare: deployments that devices are taken to have had before the run began: they stand in every
 * document and are counted, and no device does anything for them. It knows nothing of who is who.
 */
#ifndef DUNLIN_SIMULATOR_LOAD_SPARE_H
#define DUNLIN_SIMULATOR_LOAD_SPARE_H

#include "agent/core/agent.h"

/* What their names begin with. */
#define SPARE_NAME "spare-"

/* The rows of such a device, signed by whom the document is: what its spare records ask for,
 * settled. `count` of them, to be freed, or NULL: no memory. */
struct held *spare_rows(const struct desired *d, const struct key_id *signer, uint32_t *count);

/* A device's own rows, and those of `spares` that are not among them, by rising deployment number.
 * How many. */
uint32_t spare_merge(const struct held *spares, uint32_t spare_count, const struct held *own,
                     uint32_t own_count, struct held out[static HELD_MAX]);

#endif
