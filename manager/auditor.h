/*
 * auditor: writes the audit log: gives each entry its number, time and place in the chain, within
 * the ledger's open transaction and so together with the change that it tells of. Of joins there
 * may be thousands in a second: these are told of once a second, and after a kill at the next
 * start. It decides nothing, but bounds what strangers can make it write.
 */
#ifndef DUNLIN_MANAGER_AUDITOR_H
#define DUNLIN_MANAGER_AUDITOR_H

#include "manager/ledger.h"

/* What recurs within this time is counted, and told of with the next entry of its kind. */
#define AUDITOR_QUIET_S 600
/* What strangers cause: so many entries of one action at once, then one in so many seconds: 2 MB a
 * day at most. Each action has its own share, so that nobody can hide one alarm behind many others.
 */
#define AUDITOR_BURST 100
#define AUDITOR_REFILL_S 10
/* How many were left out is written this often at most: who is killed forgets those since. */
#define AUDITOR_KEEP_S 60

struct auditor;

/* The ledger is borrowed and outlives it. NULL when there is no memory. */
struct auditor *auditor_new(struct ledger *ledger);
void auditor_free(struct auditor *a);

/* Writes an entry that has its texts. After an error the transaction is spoilt. */
int auditor_add(struct auditor *a, struct audit_entry *e, uint64_t now_s, struct errmsg *em);

/* The same for what somebody without any right can cause again and again. 1 when it was written, 0
 * when it was only counted. */
int auditor_add_bounded(struct auditor *a, struct audit_entry *e, uint64_t now_s,
                        struct errmsg *em);

/* How many of this action were only counted, and are not told of yet. */
uint64_t auditor_untold(const struct auditor *a, const char *action);

/* A device has joined as this agent. Those of one batch become one entry: at once, when there was
 * none in this second yet, and before any other entry. */
int auditor_join(struct auditor *a, const struct manager *m, uint32_t number, uint64_t now_s,
                 struct errmsg *em);
/* Before the commit, and after it. */
int auditor_settle(struct auditor *a, uint64_t now_s, struct errmsg *em);
void auditor_committed(struct auditor *a);
/* Before the last commit: what was left out is told of by whoever comes next. */
int auditor_keep(struct auditor *a, uint64_t now_s, struct errmsg *em);
/* The core was loaded: who has joined, and was not told of, is gathered. */
int auditor_resume(struct auditor *a, const struct manager *m, uint64_t now_s, struct errmsg *em);
/* After the ledger's rollback: what was gathered since its last commit hasn't happened, and the
 * rest is gathered again by auditor_resume. So is what was counted or told of: it will come again.
 */
void auditor_rolled_back(struct auditor *a);

#endif
