/*
 * fleet_trust: the fleet's trust document as its manager has it, and how the next version gets
 * there. What the manager says is believed as far as the roots' signatures go.
 */
#ifndef DUNLIN_MANAGER_CLI_FLEET_TRUST_H
#define DUNLIN_MANAGER_CLI_FLEET_TRUST_H

#include "manager/cli/cli.h"
#include "manager/cli/fleet_signers.h"

/* The newest version, which its own roots have signed. */
int fleet_trust_get(struct cli *cli, struct trust *t, struct fleet_signers *by);

/* Has the manager take the next one. */
int fleet_trust_submit(struct cli *cli, struct span envelope);

/* The root key that the manager made, as long as it lies in its folder. ERR_NOT_FOUND. */
int fleet_trust_root(struct cli *cli, struct secret_key *secret);

#endif
