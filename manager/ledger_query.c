/*
 * The ledger's statements, one at a time: bound from left to right, stepped, read from left to
 * right.
 */
#include "manager/ledger_parts.h"

#include <errno.h>

static void note(struct query *q, int code);

int query_execute(struct ledger *l, const char *sql)
{
    int code = sqlite3_exec(l->db, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? 0 : query_code(l->db, code);
}

struct query query_on(struct ledger *l, sqlite3_stmt *stmt)
{
    return (struct query){.l = l, .stmt = stmt};
}

struct query query_sql(struct ledger *l, const char *sql)
{
    struct query q = {.l = l};
    q.error = sqlite3_prepare_v2(l->db, sql, -1, &q.stmt, NULL);
    return q;
}

/* SQLite's integers are signed; the same 64 bits come back. */
void query_put_int(struct query *q, uint64_t value)
{
    note(q, sqlite3_bind_int64(q->stmt, ++q->bound, (int64_t)value));
}

void query_put_text(struct query *q, const char *text)
{
    note(q, sqlite3_bind_text(q->stmt, ++q->bound, text, -1, SQLITE_STATIC));
}

/* An empty blob is no NULL. */
void query_put_blob(struct query *q, struct span bytes)
{
    const void *data = bytes.len > 0 ? (const void *)bytes.data : "";
    note(q, sqlite3_bind_blob64(q->stmt, ++q->bound, data, bytes.len, SQLITE_STATIC));
}

static void note(struct query *q, int code)
{
    if (q->error == SQLITE_OK)
        q->error = code;
}

bool query_next(struct query *q)
{
    if (q->error != SQLITE_OK)
        return false;
    int code = sqlite3_step(q->stmt);
    q->column = 0;
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        q->error = code;
    return code == SQLITE_ROW;
}

uint64_t query_get_int(struct query *q, uint64_t max)
{
    q->odd |= sqlite3_column_type(q->stmt, q->column) != SQLITE_INTEGER;
    uint64_t value = (uint64_t)sqlite3_column_int64(q->stmt, q->column++);
    q->odd |= value > max;
    return value > max ? 0 : value;
}

void query_get_text(struct query *q, char *out, size_t cap)
{
    const void *text = sqlite3_column_text(q->stmt, q->column);
    size_t len = (size_t)sqlite3_column_bytes(q->stmt, q->column++);
    bool fits = text && len < cap && !memchr(text, 0, len);
    q->odd |= !fits;
    if (fits)
        memcpy(out, text, len);
    out[fits ? len : 0] = '\0';
}

struct span query_get_blob(struct query *q, size_t max)
{
    const void *data = sqlite3_column_blob(q->stmt, q->column);
    size_t len = (size_t)sqlite3_column_bytes(q->stmt, q->column++);
    q->odd |= len > max;
    return len > max ? SPAN_NONE : span_of(data, len);
}

void query_get_bytes(struct query *q, uint8_t *out, size_t len)
{
    struct span b = query_get_blob(q, len);
    q->odd |= b.len != len;
    if (b.len == len)
        memcpy(out, b.data, len);
    else
        memset(out, 0, len);
}

/* 0, or the first thing that went wrong. The statement can be used again. */
int query_end(struct query *q)
{
    sqlite3_reset(q->stmt);
    if (q->error != SQLITE_OK)
        return query_code(q->l->db, q->error);
    return q->odd ? ERR_DAMAGED : 0;
}

int query_end_sql(struct query *q)
{
    int rv = query_end(q);
    sqlite3_finalize(q->stmt);
    q->stmt = NULL;
    return rv;
}

/* Runs a statement that gives no rows. */
int query_end_write(struct query *q, struct errmsg *em)
{
    query_next(q);
    int rv = query_end(q);
    if (rv == 0)
        return 0;
    q->l->spoilt = true;
    return ledger_fail(q->l, rv, "write", em);
}

int query_load(struct ledger *l, struct manager *m, const char *sql, query_take *take,
               const char *what, struct errmsg *em)
{
    int rv = 0;
    struct query q = query_sql(l, sql);
    for (uint32_t n = 0; rv == 0 && query_next(&q); n++) {
        q.odd |= query_get_int(&q, UINT32_MAX) != n;
        rv = take(&q, m);
    }
    return query_end_load(&q, rv, what, em);
}

int query_end_load(struct query *q, int rv, const char *what, struct errmsg *em)
{
    struct ledger *l = q->l;
    int mine = query_end_sql(q);
    if (mine < 0)
        rv = mine;
    if (rv == ERR_RANGE)
        return errmsg_set(em, rv, "%s: it holds more than this manager's limits allow", l->path);
    return rv < 0 ? ledger_fail(l, rv, what, em) : 0;
}

/* Opens the transaction when there is none and gives the statement for one row. */
int ledger_start_row(struct ledger *l, enum statement which, struct query *q, struct errmsg *em)
{
    int rv = ledger_begin(l, em);
    *q = query_on(l, l->statements[which]);
    return rv;
}

int ledger_change(struct ledger *l, enum statement which, uint64_t n, struct errmsg *em)
{
    struct query q = query_on(l, l->statements[which]);
    query_put_int(&q, n);
    return query_end_write(&q, em);
}

int query_code(sqlite3 *db, int sqlite_code)
{
    switch (sqlite_code & 0xff) {
    case SQLITE_FULL:
        return ERR_NO_SPACE;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_CONSTRAINT:
        return ERR_DAMAGED;
    case SQLITE_NOMEM:
        return ERR_NO_MEMORY;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ERR_BUSY;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
        return db && sqlite3_system_errno(db) == ENOSPC ? ERR_NO_SPACE : ERR_IO;
    default:
        return ERR_IO;
    }
}

int ledger_fail(const struct ledger *l, int rv, const char *what, struct errmsg *em)
{
    const char *advice = "";
    if (rv == ERR_DAMAGED)
        advice = "; keep a copy of the file, then restore the last good one";
    else if (rv == ERR_NO_SPACE)
        advice = "; make room on the disk";
    else if (rv == ERR_BUSY)
        advice = "; another program holds it";
    const char *reason = rv == ERR_DAMAGED ? "it is damaged" : sqlite3_errmsg(l->db);
    return errmsg_set(em, rv, "%s: cannot %s: %s%s", l->path, what, reason, advice);
}
