/*
 * The ledger's rows of who did what, and of who may: the audit log, and admins.
 */
#include "manager/ledger_parts.h"

static void get_audit(struct query *q, struct audit_entry *e);

int ledger_audit_add(struct ledger *l, const struct audit_entry *e, struct errmsg *em)
{
    struct query q;
    int rv = ledger_start_row(l, ADD_AUDIT, &q, em);
    if (rv < 0)
        return rv;
    query_put_int(&q, e->number);
    query_put_int(&q, e->time_s);
    query_put_text(&q, e->actor);
    query_put_text(&q, e->action);
    query_put_text(&q, e->object);
    query_put_text(&q, e->detail);
    query_put_blob(&q, span_of(e->chain.bytes, DIGEST_LEN));
    return ledger_end_write(l, &q, em);
}

int ledger_audit_last(struct ledger *l, uint64_t *number, struct digest *chain, struct errmsg *em)
{
    struct query q = query_on(l->db, l->statements[LAST_AUDIT]);
    *number = 0;
    memset(chain, 0, sizeof *chain);
    if (query_next(&q)) {
        *number = query_get_int(&q, INT64_MAX);
        query_get_bytes(&q, chain->bytes, DIGEST_LEN);
    }
    int rv = query_end(&q);
    return rv < 0 ? ledger_fail(l, rv, "read the end of its audit log", em) : 0;
}

int ledger_audit_next(struct ledger *l, uint64_t after, uint64_t since_s, struct audit_entry *e,
                      struct errmsg *em)
{
    struct query q = query_on(l->db, l->statements[NEXT_AUDIT]);
    query_put_int(&q, after);
    query_put_int(&q, since_s);
    bool found = query_next(&q);
    if (found)
        get_audit(&q, e);
    int rv = query_end(&q);
    return rv < 0 ? ledger_fail(l, rv, "read its audit log", em) : found;
}

size_t ledger_audit_alarms(struct ledger *l, uint64_t since_s, struct alarm_kind *kinds, size_t max)
{
    size_t count = 0;
    struct query q = query_on(l->db, l->statements[LAST_ALARMS]);
    query_put_int(&q, since_s);
    query_put_int(&q, max);
    for (; count < max && query_next(&q); count++) {
        kinds[count].count = query_get_int(&q, INT64_MAX);
        get_audit(&q, &kinds[count].last);
    }
    return query_end(&q) < 0 ? 0 : count;
}

int ledger_keep_untold(struct ledger *l, struct span counts, struct errmsg *em)
{
    struct query q;
    int rv = ledger_start_row(l, PUT_META, &q, em);
    if (rv < 0)
        return rv;
    query_put_int(&q, META_UNTOLD);
    query_put_blob(&q, counts);
    return ledger_end_write(l, &q, em);
}

int ledger_untold(struct ledger *l, struct buffer *counts)
{
    struct query q = query_on(l->db, l->statements[GET_META]);
    query_put_int(&q, META_UNTOLD);
    struct span kept = query_next(&q) ? query_get_blob(&q, counts->cap) : SPAN_NONE;
    counts->len = kept.len;
    if (kept.len > 0)
        memcpy(counts->data, kept.data, kept.len);
    return query_end(&q);
}

static void get_audit(struct query *q, struct audit_entry *e)
{
    e->number = query_get_int(q, INT64_MAX);
    e->time_s = query_get_int(q, INT64_MAX);
    query_get_text(q, e->actor, sizeof e->actor);
    query_get_text(q, e->action, sizeof e->action);
    query_get_text(q, e->object, sizeof e->object);
    query_get_text(q, e->detail, sizeof e->detail);
    query_get_bytes(q, e->chain.bytes, DIGEST_LEN);
}

/* ---- admins ---- */

int ledger_admin(struct ledger *l, uint32_t index, const struct admin_row *row, struct errmsg *em)
{
    struct query q;
    int rv = ledger_start_row(l, PUT_ADMIN, &q, em);
    if (rv < 0)
        return rv;
    query_put_int(&q, index);
    query_put_text(&q, row->name);
    query_put_int(&q, row->role);
    query_put_int(&q, row->revoked);
    query_put_int(&q, row->created_s);
    query_put_int(&q, row->expires_s);
    query_put_blob(&q, span_of(row->digest.bytes, DIGEST_LEN));
    return ledger_end_write(l, &q, em);
}

int ledger_load_admins(struct ledger *l, struct admin_row rows[static ADMINS_MAX], uint32_t *count,
                       struct errmsg *em)
{
    struct query q = query_sql(l->db, "SELECT * FROM admin ORDER BY n");
    *count = 0;
    while (query_next(&q) && !q.odd) {
        struct admin_row row = {0};
        q.odd |= *count == ADMINS_MAX || query_get_int(&q, UINT32_MAX) != *count;
        query_get_text(&q, row.name, sizeof row.name);
        row.role = (enum role)query_get_int(&q, ROLE_COUNT - 1);
        row.revoked = query_get_int(&q, 1);
        row.created_s = query_get_int(&q, UINT64_MAX);
        row.expires_s = query_get_int(&q, UINT64_MAX);
        query_get_bytes(&q, row.digest.bytes, DIGEST_LEN);
        if (!q.odd)
            rows[(*count)++] = row;
    }
    return ledger_end_load(l, &q, 0, "load its admins", em);
}
