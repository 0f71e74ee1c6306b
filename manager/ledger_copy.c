/*
 * The ledger as others see it who only read, also while a manager works there: copies, and what is
 * in them.
 */
#include "manager/ledger_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_in(struct ledger *l, const char *dir, struct errmsg *em);
static int open_to_read(struct ledger *l, int flags, struct errmsg *em);
static int vacuum_into(struct ledger *l, const char *to, struct errmsg *em);

int ledger_copy(const char *dir, const char *to, struct errmsg *em)
{
    struct ledger *l = calloc(1, sizeof *l);
    if (!l)
        return errmsg_set(em, ERR_NO_MEMORY, "out of memory");
    int rv = open_in(l, dir, em);
    if (rv == 0)
        rv = vacuum_into(l, to, em);
    ledger_close(l);
    return rv;
}

struct ledger *ledger_open_to_read(const char *dir, struct errmsg *em)
{
    struct ledger *l = calloc(1, sizeof *l);
    if (!l) {
        errmsg_set(em, ERR_NO_MEMORY, "out of memory");
        return NULL;
    }
    int rv = open_in(l, dir, em);
    if (rv == 0 && (rv = query_execute(l->db, "BEGIN")) < 0)
        ledger_fail(l, rv, "read it", em);
    if (rv == 0)
        rv = ledger_prepare(l, em);
    if (rv == 0)
        rv = ledger_get_keys(l, em);
    if (rv == 0)
        return l;
    ledger_close(l);
    return NULL;
}

int ledger_chunks(const char *copy, void *context,
                  int (*each)(void *context, const struct digest *chunk, struct errmsg *em),
                  struct errmsg *em)
{
    struct ledger *l = calloc(1, sizeof *l);
    struct digest chunk;
    if (!l)
        return errmsg_set(em, ERR_NO_MEMORY, "out of memory");
    int rv = file_path(l->path, em, "%s", copy);
    if (rv == 0)
        rv = open_to_read(l, SQLITE_OPEN_READONLY, em);
    if (rv == 0) {
        struct query q = query_sql(l->db, "SELECT digest FROM chunk WHERE bundles>0");
        while (rv == 0 && query_next(&q)) {
            query_get_bytes(&q, chunk.bytes, DIGEST_LEN);
            rv = q.odd ? ERR_DAMAGED : each(context, &chunk, em);
        }
        int ended = query_end_sql(&q);
        if (ended < 0)
            rv = ledger_fail(l, ended, "list its chunks", em);
    }
    ledger_close(l);
    return rv;
}

static int open_in(struct ledger *l, const char *dir, struct errmsg *em)
{
    int rv = file_path(l->path, em, "%s/manager.db", dir);
    if (rv == 0 && access(l->path, F_OK) < 0)
        rv = errmsg_set(em, ERR_NOT_FOUND, "%s: there is no manager's database", l->path);
    if (rv < 0)
        return rv;
    bool writable = access(l->path, W_OK) == 0;
    return open_to_read(l, writable ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY, em);
}

/* A database of ours that is only read; ledger_close ends it. */
static int open_to_read(struct ledger *l, int flags, struct errmsg *em)
{
    bool empty = false;
    int code = sqlite3_open_v2(l->path, &l->db, flags | SQLITE_OPEN_NOMUTEX, NULL);
    if (code != SQLITE_OK)
        return ledger_fail(l, query_code(l->db, code), "open it", em);
    sqlite3_extended_result_codes(l->db, 1);
    sqlite3_busy_timeout(l->db, BUSY_MS);
    int rv = ledger_check_version(l, &empty, em);
    return rv == 0 && empty ? ledger_fail(l, ERR_DAMAGED, "copy it", em) : rv;
}

/* The copy has no log beside it: it is one file, also for those who only may read it. */
static int vacuum_into(struct ledger *l, const char *to, struct errmsg *em)
{
    struct query q = query_sql(l->db, "VACUUM INTO ?");
    query_put_text(&q, to);
    int rv = query_run_sql(&q);
    if (rv < 0)
        return ledger_fail(l, rv, "copy it", em);
    return chmod(to, 0600) == 0 ? 0
                                : errmsg_set(em, file_error(errno), "%s: cannot set its mode: %s",
                                             to, strerror(errno));
}
