/*
 * recent: the newest rows of the control log in memory, since every broker is given each of them,
 * and most follow a little way behind the log's end: fifty brokers ask the database once. It knows
 * nothing of brokers.
 */
#ifndef DUNLIN_MANAGER_RECENT_H
#define DUNLIN_MANAGER_RECENT_H

#include "manager/ledger.h"
#include "sync/topic.h"

/* So many rows, and bytes of payloads among them; what is older is read from the database. */
#define RECENT_ROWS_MAX 1024
#define RECENT_BYTES_MAX (1u << 20)
/* Read at a time. */
#define RECENT_READ 64

struct recent;

struct recent_row {
    uint64_t serial;
    const char *topic;
    struct topic_name name; /* the same, taken apart */
    struct span payload;
};

/* The ledger is borrowed and outlives it. NULL when there is no memory. */
struct recent *recent_new(struct ledger *ledger);
void recent_free(struct recent *r);

/* As ledger_next_control. One that a newer row has replaced since may still come: the newer one
 * comes behind it. */
int recent_next(struct recent *r, uint64_t after, struct recent_row *row, struct errmsg *em);
/* After the ledger's rollback: who looked meanwhile may have seen rows that there never were, and
 * their serials are given again. */
void recent_forget(struct recent *r);

#endif
