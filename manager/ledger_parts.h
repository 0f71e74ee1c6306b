/*
 * ledger_parts: what the ledger's files share: all that it holds, its statements, and what one file
 * does for another. Nobody else includes it.
 */
#ifndef DUNLIN_MANAGER_LEDGER_PARTS_H
#define DUNLIN_MANAGER_LEDGER_PARTS_H

#include "base/file.h"
#include "base/query.h"
#include "manager/ledger.h"
#include "manager/ledger_check.h"

#include <sqlite3.h>

/* Somebody may look into the database, or copy it, while the manager runs. */
#define BUSY_MS 5000

enum statement {
    GET_META,
    PUT_META,
    DROP_ELDERS,
    PUT_ELDER,
    GET_ELDERS,
    PUT_BATCH,
    REVOKE_BATCHES,
    PUT_BUNDLE,
    PUT_DEPLOYMENT,
    PUT_COHORT,
    PUT_AGENT,
    PUT_EXCEPTIONS,
    DROP_EXCEPTIONS,
    PUT_FACTS,
    TELL_FACTS,
    PUT_GROUP,
    PUT_BUDGET,
    PUT_TAINT,
    PUT_LISTED,
    DROP_LISTED,
    PUT_REPLACED,
    PUT_SUCCESSOR,
    PUT_VARIABLE,
    PUT_CONTROL,
    GET_CONTROL,
    NEXT_CONTROL,
    FIND_CHUNK,
    ADD_CHUNK,
    PUT_BUNDLE_CHUNK,
    COUNT_CHUNK_UP,
    COUNT_CHUNK_DOWN,
    MOVE_CHUNK,
    LAST_BUNDLE_CHUNKS,
    DROP_BUNDLE_CHUNKS,
    NEXT_CHUNK,
    PUT_NOTE,
    DROP_NOTES,
    GET_NOTE,
    GET_FACTS,
    ADD_AUDIT,
    LAST_AUDIT,
    NEXT_AUDIT,
    LAST_ALARMS,
    PUT_ADMIN,
    STATEMENT_COUNT,
};

/* Keys of `meta`. The numbers are on disks. */
enum meta {
    META_FLEET = 1,
    META_SIGNING = 2,
    META_MASTER = 3,
    META_TRUST = 4,
    META_AUTHORITY = 5,
    META_HEIRS = 6, /* + enum fleet_key */
    META_SEAL = 8,
    META_UNTOLD = 9,
    META_SETTINGS = 16
};

#define OWN_LEN (1 + KEY_ID_LEN) /* a topic of one agent's own: which one, and the id */

struct ledger {
    sqlite3 *db;
    char path[FILE_PATH_MAX];
    struct ledger_check check; /* begun when it is opened, awaited before the first commit */
    struct fleet_keys keys;
    struct seal_secret secrets; /* seals variables' rows */
    struct mac_key fleet;
    sqlite3_stmt *statements[STATEMENT_COUNT];
    bool writing; /* a transaction is open */
    bool spoilt;  /* a write in it failed */
    bool unwiped; /* the log, or what is free, may hold keys that are no more */
    uint8_t own[OWN_LEN];
    char topic[TOPIC_MAX];
    uint8_t payload[DOCUMENT_MAX + ENVELOPE_OVERHEAD];
};

/* ---- ledger_tables.c ---- */

extern const char *const ledger_schema;
extern const char *const ledger_statements[STATEMENT_COUNT];

/* ---- ledger_rows.c ---- */

/* Runs a statement that gives no rows; the transaction is spoilt if it fails. */
int ledger_end_write(struct ledger *l, struct query *q, struct errmsg *em);
/* Ends a statement that was prepared for this once; `rv` is what the core thought of its rows. */
int ledger_end_load(struct ledger *l, struct query *q, int rv, const char *what, struct errmsg *em);

/* Brings the rest of the row, behind its number, into the core. */
typedef int ledger_take_row(struct query *q, struct manager *m);
/* All rows of a table that are numbered from 0 without gaps; `sql` gives them in that order. */
int ledger_load_rows(struct ledger *l, struct manager *m, const char *sql, ledger_take_row *take,
                     const char *what, struct errmsg *em);

int ledger_start_row(struct ledger *l, enum statement which, struct query *q, struct errmsg *em);
int ledger_change(struct ledger *l, enum statement which, uint64_t n, struct errmsg *em);

int ledger_fail(const struct ledger *l, int rv, const char *what, struct errmsg *em);

/* ---- ledger.c ---- */

int ledger_begin(struct ledger *l, struct errmsg *em);
int ledger_check_version(struct ledger *l, bool *empty, struct errmsg *em);
int ledger_prepare(struct ledger *l, struct errmsg *em);
int ledger_put_number(struct ledger *l, uint64_t key, int64_t value, struct errmsg *em);

/* ---- ledger_keys.c ---- */

int ledger_put_keys(struct ledger *l, const struct fleet_keys *keys);
int ledger_get_keys(struct ledger *l, struct errmsg *em);
int ledger_refuse_key(struct ledger *l, struct errmsg *em);

/* ---- into a fresh core, each its table ---- */

int ledger_load_batches(struct ledger *l, struct manager *m, struct errmsg *em);
int ledger_load_groups(struct ledger *l, struct manager *m, struct errmsg *em);
int ledger_load_budgets(struct ledger *l, struct manager *m, struct errmsg *em);
int ledger_load_taints(struct ledger *l, struct manager *m, struct errmsg *em);
int ledger_load_variables(struct ledger *l, struct manager *m, struct errmsg *em);
int ledger_load_trust(struct ledger *l, struct manager *m, struct errmsg *em);
int ledger_load_bundles(struct ledger *l, struct manager *m, struct errmsg *em);
int ledger_load_deployments(struct ledger *l, struct manager *m, struct errmsg *em);
int ledger_load_cohorts(struct ledger *l, struct manager *m, struct errmsg *em);
int ledger_load_agents(struct ledger *l, struct manager *m, struct errmsg *em);
int ledger_load_lists(struct ledger *l, struct manager *m, struct errmsg *em);
int ledger_load_replaced(struct ledger *l, struct manager *m, struct errmsg *em);
int ledger_load_successors(struct ledger *l, struct manager *m, struct errmsg *em);

#endif
