/*
 * root: makes a fleet's first trust document, with the key that signs it. It is the only part of
 * the manager that ever sees a root key, and runs once in a fleet's life.
 */
#ifndef DUNLIN_MANAGER_ROOT_H
#define DUNLIN_MANAGER_ROOT_H

#include "manager/keyring.h"
#include "sync/trust.h"

/* Where the key lies until somebody takes it away; DIR/ROOT_FILE. */
#define ROOT_FILE "root.key"

/*
 * Draws the root key into DIR/root.key, unless one lies there, and appends version 1 of the trust
 * document, signed with it: this root, the manager's online key and authority, and no publishers
 * yet. ERR_CRYPTO, or as sign_key_write and sign_key_read.
 */
int root_found(const char *dir, const struct keyring *keys, uint64_t now_s, struct buffer *envelope,
               struct errmsg *em);

/* Whether the key still lies beside the database. */
bool root_is_here(const char *dir);

#endif
