#include "base/query.h"

#include "base/err.h"

#include <errno.h>
#include <sqlite3.h>
#include <string.h>

static void note(struct query *q, int code);

int query_execute(sqlite3 *db, const char *sql)
{
    int code = sqlite3_exec(db, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? 0 : query_code(db, code);
}

struct query query_on(sqlite3 *db, sqlite3_stmt *stmt)
{
    return (struct query){.db = db, .stmt = stmt};
}

struct query query_sql(sqlite3 *db, const char *sql)
{
    struct query q = {.db = db};
    q.error = sqlite3_prepare_v2(db, sql, -1, &q.stmt, NULL);
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
    bool fits = b.data && b.len == len;
    q->odd |= !fits;
    if (fits)
        memcpy(out, b.data, len);
    else
        memset(out, 0, len);
}

int query_end(struct query *q)
{
    sqlite3_reset(q->stmt);
    if (q->error != SQLITE_OK)
        return query_code(q->db, q->error);
    return q->odd ? ERR_DAMAGED : 0;
}

int query_end_sql(struct query *q)
{
    int rv = query_end(q);
    sqlite3_finalize(q->stmt);
    q->stmt = NULL;
    return rv;
}

int query_run_sql(struct query *q)
{
    query_next(q);
    return query_end_sql(q);
}

static bool is_full(sqlite3 *db)
{
    int error = db ? sqlite3_system_errno(db) : 0;
    return error == ENOSPC || error == EDQUOT;
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
        return is_full(db) ? ERR_NO_SPACE : ERR_IO;
    default:
        return ERR_IO;
    }
}
