#include "manager/ledger_parts.h"

static int look(sqlite3 *db)
{
    sqlite3_stmt *stmt = NULL;
    int code = sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &stmt, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(stmt);
    const unsigned char *answer = code == SQLITE_ROW ? sqlite3_column_text(stmt, 0) : NULL;
    bool good = answer && strcmp((const char *)answer, "ok") == 0;
    sqlite3_finalize(stmt);
    if (code != SQLITE_ROW)
        return query_code(db, code);
    return good ? 0 : ERR_DAMAGED;
}

static void *check(void *context)
{
    struct ledger_check *c = context;
    sqlite3 *db = NULL;
    int code = sqlite3_open_v2(c->path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_busy_timeout(db, BUSY_MS);
    c->rv = code == SQLITE_OK ? look(db) : query_code(db, code);
    sqlite3_close(db);
    return NULL;
}

void ledger_check_begin(struct ledger_check *c, const char *path)
{
    *c = (struct ledger_check){.path = path};
    c->alone = pthread_create(&c->thread, NULL, check, c) == 0;
    if (!c->alone)
        check(c);
}

int ledger_check_end(struct ledger_check *c)
{
    if (c->alone)
        pthread_join(c->thread, NULL);
    c->alone = false;
    return c->rv;
}
