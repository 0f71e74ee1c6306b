/*
 * publisher: the key that signs bundles: made on first use, and known to the manager as trusted.
 * It knows nothing of bundles.
 */
#ifndef DUNLIN_MANAGER_CLI_PUBLISHER_H
#define DUNLIN_MANAGER_CLI_PUBLISHER_H

#include "crypto/sign.h"
#include "manager/cli/cli.h"

/*
 * Reads the key from `path`, or from its usual place when that is NULL: the manager's folder, or
 * ~/.config/dunlin with --manager. There it makes one when there is none, and says so on standard
 * error. A fleet without publishers trusts it as its first one, when the root key is at hand;
 * otherwise ERR_UNTRUSTED says what to type.
 */
int publisher_key(struct cli *cli, const char *path, struct secret_key *secret);

#endif
