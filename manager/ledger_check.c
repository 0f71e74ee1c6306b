#include "manager/ledger_check.h"

#include <sqlite3.h>
#include <stdio.h>

/* As the ledger's own. */
#define BUSY_MS 5000

static int code_of(int code)
{
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
        return 0;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return ERR_DAMAGED;
    case SQLITE_BUSY:
        return ERR_BUSY;
    case SQLITE_NOMEM:
        return ERR_NO_MEMORY;
    default:
        return ERR_IO;
    }
}

static int look(sqlite3 *db)
{
    sqlite3_stmt *stmt = NULL;
    int code = sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &stmt, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(stmt);
    const unsigned char *answer = code == SQLITE_ROW ? sqlite3_column_text(stmt, 0) : NULL;
    bool good = answer && strcmp((const char *)answer, "ok") == 0;
    sqlite3_finalize(stmt);
    return code == SQLITE_ROW && !good ? ERR_DAMAGED : code_of(code);
}

static void *check(void *context)
{
    struct ledger_check *c = context;
    sqlite3 *db = NULL;
    int code = sqlite3_open_v2(c->path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_busy_timeout(db, BUSY_MS);
    c->rv = code == SQLITE_OK ? look(db) : code_of(code);
    sqlite3_close(db);
    return NULL;
}

void ledger_check_begin(struct ledger_check *c, const char *path)
{
    *c = (struct ledger_check){.begun = true};
    snprintf(c->path, sizeof c->path, "%s", path);
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
