/*
 * admins: the credentials that there are, as a table in memory, and whose a presented one is.
 * It writes nothing: the caller keeps a changed row in the ledger, or loads the table anew.
 */
#ifndef DUNLIN_MANAGER_ADMINS_H
#define DUNLIN_MANAGER_ADMINS_H

#include "manager/ledger.h"

struct admins;

/* Empty. NULL when there is no memory. */
struct admins *admins_new(void);
void admins_free(struct admins *a);

/* All that the ledger has, and nothing else. */
int admins_load(struct admins *a, struct ledger *l, struct errmsg *em);

/*
 * A new credential: ERR_FORMAT for a bad name, ERR_EXISTS while one of this name works, ERR_RANGE
 * when the table is full. One that is revoked or expired gives its place to one of the same name,
 * or when no other is free. Otherwise `index` is the changed row's.
 */
int admins_create(struct admins *a, const struct admin_row *row, uint32_t *index,
                  struct errmsg *em);
/* 0, 1 when it was revoked already, or ERR_NOT_FOUND. */
int admins_revoke(struct admins *a, const char *name, uint32_t *index, struct errmsg *em);

uint32_t admins_count(const struct admins *a);
const struct admin_row *admins_row(const struct admins *a, uint32_t index);

/*
 * The credential that has this secret; NULL: none has. 0 when it is good at `now_s`, else
 * ERR_NOT_FOUND, ERR_EXPIRED or ERR_REFUSED (revoked), with a sentence. How long it takes depends
 * on how many there are, not on the secret.
 */
int admins_find(const struct admins *a, const struct admin_secret *secret, uint64_t now_s,
                const struct admin_row **out, struct errmsg *em);

#endif
