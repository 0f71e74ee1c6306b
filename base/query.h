/*
 * query: statements of an SQLite database, one at a time: bound from left to right, stepped, and
 * their columns read from left to right. Whatever goes wrong on the way is told once, at the end.
 */
#ifndef DUNLIN_BASE_QUERY_H
#define DUNLIN_BASE_QUERY_H

#include "base/span.h"

#include <stdbool.h>

struct sqlite3;
struct sqlite3_stmt;

struct query {
    struct sqlite3 *db;
    struct sqlite3_stmt *stmt;
    int bound;
    int column;
    int error; /* SQLite's code, or SQLITE_OK */
    bool odd;  /* a column isn't what it must be */
};

/* Statements without rows. */
int query_execute(struct sqlite3 *db, const char *sql);

/* A statement that stays prepared, and one that is prepared for this once. */
struct query query_on(struct sqlite3 *db, struct sqlite3_stmt *stmt);
struct query query_sql(struct sqlite3 *db, const char *sql);

/* Bound without a copy: text and bytes live until the end. */
void query_put_int(struct query *q, uint64_t value);
void query_put_text(struct query *q, const char *text);
void query_put_blob(struct query *q, struct span bytes);

/* False at the end, or after an error, which is told at the end. */
bool query_next(struct query *q);

/* What is not as it must be makes the query odd, and reads as nothing. A blob is borrowed until the
 * next row. */
uint64_t query_get_int(struct query *q, uint64_t max);
void query_get_text(struct query *q, char *out, size_t cap);
struct span query_get_blob(struct query *q, size_t max);
void query_get_bytes(struct query *q, uint8_t *out, size_t len);

/* 0, or the first thing that went wrong: ERR_DAMAGED, ERR_NO_SPACE, ERR_BUSY, ERR_NO_MEMORY or
 * ERR_IO. A statement that stays can be used again; one that was prepared for this once is gone. */
int query_end(struct query *q);
int query_end_sql(struct query *q);
/* Steps one that was prepared for this once, and gives no rows, and ends it. */
int query_run_sql(struct query *q);

/* Ours for one of SQLite's; `db` may be NULL. */
int query_code(struct sqlite3 *db, int sqlite_code);

#endif
