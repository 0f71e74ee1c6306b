/*
 * fleet_signers: who has signed a version of the fleet's trust document, of the roots that it names
 * itself. A manager that was taken over can name anybody: only whoever has signed a version knows
 * that it is the fleet's. It knows nothing of where the bytes come from.
 */
#ifndef DUNLIN_MANAGER_CLI_FLEET_SIGNERS_H
#define DUNLIN_MANAGER_CLI_FLEET_SIGNERS_H

#include "sync/trust.h"

struct fleet_signers {
    uint32_t count;
    struct key_id list[SIGNATURES_MAX];
};

/* Reads a version that as many of its own roots have signed as it wants. */
int fleet_signers_read(struct span envelope, struct trust *t, struct fleet_signers *by);
bool fleet_signers_have(const struct fleet_signers *by, const struct public_key *root);

#endif
