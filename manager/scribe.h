/*
 * scribe: performs what the core wants persisted: writes the rows, composes, signs and logs what
 * the cells shall retain. It decides nothing, and commits nothing.
 */
#ifndef DUNLIN_MANAGER_SCRIBE_H
#define DUNLIN_MANAGER_SCRIBE_H

#include "manager/depot.h"
#include "manager/keyring.h"

struct scribe;

/* All are borrowed and outlive it. NULL when there is no memory. */
struct scribe *scribe_new(struct keyring *keys, struct ledger *ledger, struct depot *depot);
void scribe_free(struct scribe *s);

/* `ev` is what the core was stepped with. After an error the ledger's transaction is spoilt, or
 * must be rolled back. */
int scribe_persist(struct scribe *s, const struct manager *m, const struct persist *p,
                   const struct manager_event *ev, struct errmsg *em);

/* Writes rows of agents that were only heard again, `max` at most: those of PERSIST_HEARTBEAT,
 * which may be behind. 1: there are more. */
int scribe_catch_up(struct scribe *s, const struct manager *m, uint32_t max, struct errmsg *em);

/* Before the ledger's commit: signs and logs the assignments that wait for a signature to share. */
int scribe_settle(struct scribe *s, struct errmsg *em);
/* After the ledger's commit: drops the content that no bundle has any more. */
void scribe_committed(struct scribe *s);
/* After its rollback: what wasn't committed is forgotten. */
void scribe_rolled_back(struct scribe *s);

/* The newest trust documents for the answer to a join, the last of them last; how many, or a
 * negative code. */
int scribe_trust(struct scribe *s, const struct manager *m,
                 struct span list[static TRUST_WALK_MAX]);

#endif
