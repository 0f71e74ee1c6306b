/*
 * ledger_parts: what the ledger's files share: all that it holds, its statements, and what one file
 * does for another. Nobody else includes it.
 */
#ifndef DUNLIN_MANAGER_LEDGER_PARTS_H
#define DUNLIN_MANAGER_LEDGER_PARTS_H

#include "base/file.h"
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
    COUNT_ALARMS,
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

/* One statement: bound from left to right, stepped, and its columns read from left to right. */
struct query {
    struct ledger *l;
    sqlite3_stmt *stmt;
    int bound;
    int column;
    int error; /* SQLite's code, or SQLITE_OK */
    bool odd;  /* a column isn't what it must be */
};

/* ---- ledger_tables.c ---- */

extern const char *const ledger_schema;
extern const char *const ledger_statements[STATEMENT_COUNT];

/* ---- ledger_query.c ---- */

/* Statements without rows. */
int query_execute(struct ledger *l, const char *sql);

/* A statement that stays prepared, and one that is prepared for this once. */
struct query query_on(struct ledger *l, sqlite3_stmt *stmt);
struct query query_sql(struct ledger *l, const char *sql);

void query_put_int(struct query *q, uint64_t value);
void query_put_text(struct query *q, const char *text);
void query_put_blob(struct query *q, struct span bytes);

/* False at the end, or after an error, which is told at the end. */
bool query_next(struct query *q);

/* What is not as it must be makes the query odd, and reads as nothing. */
uint64_t query_get_int(struct query *q, uint64_t max);
void query_get_text(struct query *q, char *out, size_t cap);
struct span query_get_blob(struct query *q, size_t max);
void query_get_bytes(struct query *q, uint8_t *out, size_t len);

/* 0, or the first thing that went wrong. */
int query_end(struct query *q);
int query_end_sql(struct query *q);

int query_end_write(struct query *q, struct errmsg *em);
/* Ends a statement that was prepared for this once; `rv` is what the core thought of its rows. */
int query_end_load(struct query *q, int rv, const char *what, struct errmsg *em);

/* Brings the rest of the row, behind its number, into the core. */
typedef int query_take(struct query *q, struct manager *m);
/* All rows of a table that are numbered from 0 without gaps; `sql` gives them in that order. */
int query_load(struct ledger *l, struct manager *m, const char *sql, query_take *take,
               const char *what, struct errmsg *em);

int ledger_start_row(struct ledger *l, enum statement which, struct query *q, struct errmsg *em);
int ledger_change(struct ledger *l, enum statement which, uint64_t n, struct errmsg *em);

/* Ours for one of SQLite's; `db` may be NULL. */
int query_code(sqlite3 *db, int sqlite_code);
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
