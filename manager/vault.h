/*
 * vault: the one key that opens what is secret among a fleet's variables, in DIR/secrets.key (mode
 * 0600), so that whoever gets the database alone has none of them. It knows nothing of variables.
 */
#ifndef DUNLIN_MANAGER_VAULT_H
#define DUNLIN_MANAGER_VAULT_H

#include "crypto/mac.h"

#define VAULT_FILE "secrets.key"

/* Reads it; with `make`, draws one where there is none. ERR_NOT_FOUND with what to do, ERR_IO. */
int vault_open(const char *dir, bool make, struct mac_key *key, struct errmsg *em);
/* Puts the same key into another folder; nothing where there is none. */
int vault_copy(const char *from, const char *to, struct errmsg *em);

#endif
