/*
 * The file itself: it is opened, written in transactions, and read into a core.
 */
#include "manager/ledger_parts.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* "DULM": says that a SQLite file is a manager's. */
#define APPLICATION_ID 0x44554c4d
#define SCHEMA_VERSION 1
/* With WAL and FULL a commit is one sync, and survives a power cut. Old keys must not stay in what
 * is free. The log is copied back at every thousandth page, and is then cut to about these. */
#define PRAGMAS                                                                                    \
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY;"                  \
    "PRAGMA secure_delete=ON;"                                                                     \
    "PRAGMA cache_size=-16384; PRAGMA journal_size_limit=4194304;"

static int open_database(struct ledger *l, const char *dir, const struct fleet_keys *fresh,
                         struct errmsg *em);
static int create_file(const char *path, struct errmsg *em);
static int make_tables(struct ledger *l, const struct fleet_keys *fresh);
static int pragma(struct ledger *l, const char *sql, int64_t *value);
static void wipe(struct ledger *l);

struct ledger *ledger_open(const char *dir, const struct fleet_keys *fresh, struct errmsg *em)
{
    struct ledger *l = calloc(1, sizeof *l);
    if (!l) {
        errmsg_set(em, ERR_NO_MEMORY, "out of memory");
        return NULL;
    }
    if (open_database(l, dir, fresh, em) < 0) {
        ledger_close(l);
        return NULL;
    }
    return l;
}

void ledger_close(struct ledger *l)
{
    if (!l)
        return;
    for (int i = 0; i < STATEMENT_COUNT; i++)
        sqlite3_finalize(l->statements[i]);
    ledger_check_end(&l->check);
    sqlite3_close(l->db);
    explicit_bzero(&l->keys, sizeof l->keys);
    explicit_bzero(&l->secrets, sizeof l->secrets);
    explicit_bzero(&l->fleet, sizeof l->fleet);
    free(l);
}

static int open_database(struct ledger *l, const char *dir, const struct fleet_keys *fresh,
                         struct errmsg *em)
{
    bool empty = false;
    int rv = file_path(l->path, em, "%s/manager.db", dir);
    if (rv == 0)
        rv = create_file(l->path, em);
    if (rv < 0)
        return rv;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
    int code = sqlite3_open_v2(l->path, &l->db, flags, NULL);
    if (code != SQLITE_OK)
        return ledger_fail(l, query_code(l->db, code), "open it", em);
    sqlite3_extended_result_codes(l->db, 1);
    sqlite3_busy_timeout(l->db, BUSY_MS);
    if ((rv = query_execute(l->db, PRAGMAS)) < 0)
        return ledger_fail(l, rv, "open it", em);
    if ((rv = ledger_check_version(l, &empty, em)) < 0)
        return rv;
    if (!empty)
        ledger_check_begin(&l->check, l->path);
    if (empty && (rv = make_tables(l, fresh)) < 0)
        return ledger_fail(l, rv, "make its tables", em);
    if ((rv = ledger_prepare(l, em)) < 0)
        return rv;
    l->unwiped = true; /* whoever worked here last may have been killed before */
    return ledger_get_keys(l, em);
}

/* SQLite would make it readable to all; its companions take over this file's mode. */
static int create_file(const char *path, struct errmsg *em)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return errmsg_set(em, file_error(errno), "%s: cannot open it: %s", path, strerror(errno));
    close(fd);
    return 0;
}

int ledger_check_version(struct ledger *l, bool *empty, struct errmsg *em)
{
    int64_t application = 0, version = 0, tables = 0;
    int rv = pragma(l, "PRAGMA application_id", &application);
    if (rv == 0)
        rv = pragma(l, "PRAGMA user_version", &version);
    if (rv == 0)
        rv = pragma(l, "SELECT count(*) FROM sqlite_master", &tables);
    if (rv < 0)
        return ledger_fail(l, rv, "read its version", em);
    *empty = application == 0 && version == 0 && tables == 0;
    if (!*empty && application != APPLICATION_ID)
        return errmsg_set(em, ERR_FORMAT,
                          "%s is a SQLite database, but no manager's; move it away or choose "
                          "another folder",
                          l->path);
    if (!*empty && version != SCHEMA_VERSION)
        return errmsg_set(em, ERR_FORMAT,
                          "%s has schema version %lld and this manager knows version %d; run the "
                          "manager that wrote it",
                          l->path, (long long)version, SCHEMA_VERSION);
    return 0;
}

/* Tables and keys come in one transaction: a database without keys is never seen. */
static int make_tables(struct ledger *l, const struct fleet_keys *fresh)
{
    int rv = query_execute(l->db, "BEGIN IMMEDIATE");
    if (rv == 0)
        rv = query_execute(l->db, ledger_schema);
    if (rv == 0)
        rv = ledger_put_keys(l, fresh);
    if (rv == 0)
        rv = query_execute(l->db, "COMMIT");
    return rv;
}

int ledger_prepare(struct ledger *l, struct errmsg *em)
{
    for (int i = 0; i < STATEMENT_COUNT; i++) {
        int code = sqlite3_prepare_v3(l->db, ledger_statements[i], -1, SQLITE_PREPARE_PERSISTENT,
                                      &l->statements[i], NULL);
        if (code != SQLITE_OK)
            return ledger_fail(l, code == SQLITE_ERROR ? ERR_DAMAGED : query_code(l->db, code),
                               "find its tables", em);
    }
    return 0;
}

static int pragma(struct ledger *l, const char *sql, int64_t *value)
{
    struct query q = query_sql(l->db, sql);
    *value = query_next(&q) ? sqlite3_column_int64(q.stmt, 0) : 0;
    return query_end_sql(&q);
}

/* Writing on where pages are damaged would damage more. */
int ledger_checked(struct ledger *l, struct errmsg *em)
{
    int rv = ledger_check_end(&l->check);
    if (rv == ERR_DAMAGED)
        return ledger_fail(l, rv, "trust its pages", em);
    return rv < 0 ? errmsg_set(em, rv, "%s: cannot check its pages: %s", l->path, err_name(rv)) : 0;
}

/* ---- loading ---- */

int ledger_load(struct ledger *l, struct manager *m, struct errmsg *em)
{
    static int (*const tables[])(struct ledger *, struct manager *, struct errmsg *) = {
        ledger_load_groups,      ledger_load_budgets, ledger_load_batches,  ledger_load_bundles,
        ledger_load_deployments, ledger_load_cohorts, ledger_load_trust,    ledger_load_agents,
        ledger_load_taints,      ledger_load_lists,   ledger_load_replaced, ledger_load_successors,
        ledger_load_variables,
    };
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        int rv = tables[i](l, m, em);
        if (rv < 0)
            return rv;
    }
    return ledger_checked(l, em);
}

/* ---- settings ---- */

int64_t ledger_setting(struct ledger *l, unsigned setting)
{
    struct query q = query_on(l->db, l->statements[GET_META]);
    query_put_int(&q, META_SETTINGS + setting);
    int64_t value = query_next(&q) ? sqlite3_column_int64(q.stmt, 0) : 0;
    return query_end(&q) < 0 ? 0 : value;
}

int ledger_put_number(struct ledger *l, uint64_t key, int64_t value, struct errmsg *em)
{
    int rv = ledger_begin(l, em);
    if (rv < 0)
        return rv;
    struct query q = query_on(l->db, l->statements[PUT_META]);
    query_put_int(&q, key);
    query_put_int(&q, (uint64_t)value);
    return ledger_end_write(l, &q, em);
}

int ledger_set(struct ledger *l, unsigned setting, int64_t value, struct errmsg *em)
{
    return ledger_put_number(l, META_SETTINGS + setting, value, em);
}

int ledger_limit(struct ledger *l, uint32_t pages, struct errmsg *em)
{
    char sql[64];
    snprintf(sql, sizeof sql, "PRAGMA max_page_count=%u", pages);
    int rv = query_execute(l->db, sql);
    return rv < 0 ? ledger_fail(l, rv, "limit its size", em) : 0;
}

/* ---- transactions ---- */

int ledger_begin(struct ledger *l, struct errmsg *em)
{
    if (l->spoilt)
        return errmsg_set(em, ERR_IO, "%s: a write before this one failed", l->path);
    if (l->writing)
        return 0;
    int rv = query_execute(l->db, "BEGIN IMMEDIATE");
    if (rv < 0) {
        l->spoilt = true;
        return ledger_fail(l, rv, "write", em);
    }
    l->writing = true;
    return 0;
}

bool ledger_dirty(const struct ledger *l)
{
    return l->writing || l->spoilt;
}

int ledger_commit(struct ledger *l, struct errmsg *em)
{
    if (l->spoilt)
        return errmsg_set(em, ERR_IO, "%s: a write before the commit failed", l->path);
    if (!l->writing)
        return 0;
    int rv = ledger_checked(l, em);
    if (rv < 0) {
        l->spoilt = true;
        return rv;
    }
    rv = query_execute(l->db, "COMMIT");
    if (rv < 0) {
        l->spoilt = true;
        return ledger_fail(l, rv, "commit", em);
    }
    l->writing = false;
    if (l->unwiped)
        wipe(l);
    return 0;
}

/* What was overwritten stands in the log until that is copied and cut off. While somebody reads it,
 * to copy the database, it can't be; then the next commit tries again. */
static void wipe(struct ledger *l)
{
    int64_t busy = 1;
    sqlite3_busy_timeout(l->db, 0);
    int rv = pragma(l, "PRAGMA wal_checkpoint(TRUNCATE)", &busy);
    sqlite3_busy_timeout(l->db, BUSY_MS);
    l->unwiped = rv < 0 || busy != 0;
}

/* A full disk may have made SQLite roll back by itself. */
void ledger_rollback(struct ledger *l)
{
    if (!sqlite3_get_autocommit(l->db))
        query_execute(l->db, "ROLLBACK");
    l->writing = false;
    l->spoilt = false;
    ledger_get_keys(l, NULL); /* they can be read, or nothing else can be either */
}
