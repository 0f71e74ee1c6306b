/*
 * What statements are to the ledger: rows that a transaction is opened for, and tables that go into
 * a fresh core.
 */
#include "manager/ledger_parts.h"

int ledger_end_write(struct ledger *l, struct query *q, struct errmsg *em)
{
    query_next(q);
    int rv = query_end(q);
    if (rv == 0)
        return 0;
    l->spoilt = true;
    return ledger_fail(l, rv, "write", em);
}

int ledger_load_rows(struct ledger *l, struct manager *m, const char *sql, ledger_take_row *take,
                     const char *what, struct errmsg *em)
{
    int rv = 0;
    struct query q = query_sql(l->db, sql);
    for (uint32_t n = 0; rv == 0 && query_next(&q); n++) {
        q.odd |= query_get_int(&q, UINT32_MAX) != n;
        rv = take(&q, m);
    }
    return ledger_end_load(l, &q, rv, what, em);
}

int ledger_end_load(struct ledger *l, struct query *q, int rv, const char *what, struct errmsg *em)
{
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
    *q = query_on(l->db, l->statements[which]);
    return rv;
}

int ledger_change(struct ledger *l, enum statement which, uint64_t n, struct errmsg *em)
{
    struct query q = query_on(l->db, l->statements[which]);
    query_put_int(&q, n);
    return ledger_end_write(l, &q, em);
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
