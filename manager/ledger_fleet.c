/*
 * The ledger's rows of what operators made besides deployments: tokens, groups, budgets, taints,
 * variables, trust.
 */
#include "manager/ledger_parts.h"

#include "sync/secret.h"

#include <assert.h>

static int get_value(struct ledger *l, struct query *q, struct variable_row *row,
                     struct variable_text *text);

static int get_batch(struct query *q, struct manager *m)
{
    struct batch_row row = {0};
    row.count = (uint32_t)query_get_int(q, TOKENS_MAX);
    row.uses = (uint32_t)query_get_int(q, TOKEN_USES_MAX);
    row.created_s = query_get_int(q, UINT64_MAX);
    row.expires_s = query_get_int(q, UINT64_MAX);
    row.revoked = query_get_int(q, 1);
    row.bound = query_get_int(q, 1);
    row.approve = query_get_int(q, 1);
    query_get_text(q, row.labels.text, sizeof row.labels.text);
    return q->odd || row.uses == 0 ? ERR_DAMAGED : manager_load_batch(m, &row);
}

int ledger_load_batches(struct ledger *l, struct manager *m, struct errmsg *em)
{
    return ledger_load_rows(l, m, "SELECT * FROM batch ORDER BY n", get_batch,
                            "load its token batches", em);
}

int ledger_batch(struct ledger *l, uint32_t index, const struct batch_row *row, struct errmsg *em)
{
    struct query q;
    int rv = ledger_start_row(l, PUT_BATCH, &q, em);
    if (rv < 0)
        return rv;
    query_put_int(&q, index);
    query_put_int(&q, row->count);
    query_put_int(&q, row->uses);
    query_put_int(&q, row->created_s);
    query_put_int(&q, row->expires_s);
    query_put_int(&q, row->revoked);
    query_put_int(&q, row->bound);
    query_put_int(&q, row->approve);
    query_put_text(&q, row->labels.text);
    return ledger_end_write(l, &q, em);
}

int ledger_revoke_tokens(struct ledger *l, uint64_t *count, struct errmsg *em)
{
    struct query q;
    int rv = ledger_start_row(l, REVOKE_BATCHES, &q, em);
    if (rv == 0)
        rv = ledger_end_write(l, &q, em);
    *count = rv < 0 ? 0 : (uint64_t)sqlite3_changes(l->db);
    return rv;
}

static int get_group(struct query *q, struct manager *m)
{
    struct group_row row = {0};
    query_get_text(q, row.name, sizeof row.name);
    query_get_text(q, row.selector, sizeof row.selector);
    return q->odd ? ERR_DAMAGED : manager_load_group(m, &row);
}

int ledger_load_groups(struct ledger *l, struct manager *m, struct errmsg *em)
{
    return ledger_load_rows(l, m, "SELECT * FROM saved ORDER BY n", get_group, "load its groups",
                            em);
}

int ledger_group(struct ledger *l, uint32_t index, const struct group_row *row, struct errmsg *em)
{
    struct query q;
    int rv = ledger_start_row(l, PUT_GROUP, &q, em);
    if (rv < 0)
        return rv;
    query_put_int(&q, index);
    query_put_text(&q, row->name);
    query_put_text(&q, row->selector);
    return ledger_end_write(l, &q, em);
}

static int get_budget(struct query *q, struct manager *m)
{
    struct budget_row row = {0};
    query_get_text(q, row.name, sizeof row.name);
    query_get_text(q, row.selector, sizeof row.selector);
    row.max.value = (uint32_t)query_get_int(q, UINT32_MAX);
    row.max.percent = query_get_int(q, 1);
    return q->odd ? ERR_DAMAGED : manager_load_budget(m, &row);
}

int ledger_load_budgets(struct ledger *l, struct manager *m, struct errmsg *em)
{
    return ledger_load_rows(l, m, "SELECT * FROM budget ORDER BY n", get_budget, "load its budgets",
                            em);
}

int ledger_budget(struct ledger *l, uint32_t index, const struct budget_row *row, struct errmsg *em)
{
    struct query q;
    int rv = ledger_start_row(l, PUT_BUDGET, &q, em);
    if (rv < 0)
        return rv;
    query_put_int(&q, index);
    query_put_text(&q, row->name);
    query_put_text(&q, row->selector);
    query_put_int(&q, row->max.value);
    query_put_int(&q, row->max.percent);
    return ledger_end_write(l, &q, em);
}

int ledger_load_taints(struct ledger *l, struct manager *m, struct errmsg *em)
{
    int rv = 0;
    struct query q = query_sql(l->db, "SELECT * FROM taint");
    while (rv == 0 && query_next(&q)) {
        struct taint row = {0};
        uint32_t index = (uint32_t)query_get_int(&q, UINT32_MAX);
        query_get_text(&q, row.key, sizeof row.key);
        query_get_text(&q, row.value, sizeof row.value);
        row.effect = (uint8_t)query_get_int(&q, UINT8_MAX);
        rv = q.odd ? ERR_DAMAGED : manager_load_taint(m, index, &row);
    }
    return ledger_end_load(l, &q, rv, "load its taints", em);
}

int ledger_taint(struct ledger *l, uint32_t index, const struct taint *taint, struct errmsg *em)
{
    struct query q;
    int rv = ledger_start_row(l, PUT_TAINT, &q, em);
    if (rv < 0)
        return rv;
    query_put_int(&q, index);
    query_put_text(&q, taint->key);
    query_put_text(&q, taint->value);
    query_put_int(&q, taint->effect);
    return ledger_end_write(l, &q, em);
}

static int get_variable(struct ledger *l, struct query *q, struct manager *m)
{
    struct variable_row row = {0};
    struct variable_text text = {0};
    query_get_text(q, row.name, sizeof row.name);
    row.scope = (uint8_t)query_get_int(q, SCOPE_COUNT - 1);
    row.secret = query_get_int(q, 1);
    row.of = (uint32_t)query_get_int(q, UINT32_MAX);
    row.order = (uint32_t)query_get_int(q, UINT32_MAX);
    row.from = (uint32_t)query_get_int(q, UINT32_MAX);
    row.until = (uint32_t)query_get_int(q, UINT32_MAX);
    row.since_s = query_get_int(q, UINT64_MAX);
    query_get_text(q, text.selector, sizeof text.selector);
    int rv = get_value(l, q, &row, &text);
    if (rv == 0)
        rv = q->odd ? ERR_DAMAGED : manager_load_variable(m, &row, &text);
    explicit_bzero(&text, sizeof text);
    return rv;
}

int ledger_load_variables(struct ledger *l, struct manager *m, struct errmsg *em)
{
    int rv = 0;
    struct query q = query_sql(l->db, "SELECT * FROM variable ORDER BY n");
    for (uint32_t n = 0; rv == 0 && query_next(&q); n++) {
        q.odd |= query_get_int(&q, UINT32_MAX) != n;
        rv = get_variable(l, &q, m);
    }
    rv = ledger_end_load(l, &q, rv, "load its variables", em);
    return rv == ERR_SIGNATURE ? ledger_refuse_key(l, em) : rv;
}

static int get_value(struct ledger *l, struct query *q, struct variable_row *row,
                     struct variable_text *text)
{
    struct buffer value = buffer_on(text->value, sizeof text->value);
    struct span kept = query_get_blob(q, VARIABLE_VALUE_MAX + VARIABLE_SEALED_MORE);
    int rv = 0;
    if (row->secret && row->scope != SCOPE_NONE)
        rv = secret_open(&l->secrets, span_text(row->name), kept, &value);
    else if (kept.len > sizeof text->value)
        rv = ERR_DAMAGED;
    else if (kept.len > 0)
        memcpy(text->value, kept.data, value.len = kept.len);
    row->len = (uint16_t)value.len;
    return rv;
}

int ledger_variable(struct ledger *l, uint32_t index, const struct variable_row *row,
                    const struct variable_text *text, struct errmsg *em)
{
    struct query q;
    uint8_t memory[VARIABLE_VALUE_MAX + VARIABLE_SEALED_MORE];
    struct buffer sealed = buffer_on(memory, sizeof memory);
    bool set = row->scope != SCOPE_NONE;
    struct span value = span_of(text->value, set ? row->len : 0);
    int rv = ledger_start_row(l, PUT_VARIABLE, &q, em);
    if (rv < 0)
        return rv;
    if (set && row->secret) {
        rv = secret_seal(&l->fleet, &l->secrets, span_text(row->name), value, &sealed);
        assert(rv == 0);
        value = span_buffer(&sealed);
    }
    query_put_int(&q, index);
    query_put_text(&q, row->name);
    query_put_int(&q, row->scope);
    query_put_int(&q, row->secret);
    query_put_int(&q, row->of);
    query_put_int(&q, row->order);
    query_put_int(&q, row->from);
    query_put_int(&q, row->until);
    query_put_int(&q, row->since_s);
    query_put_text(&q, text->selector);
    query_put_blob(&q, value);
    return ledger_end_write(l, &q, em);
}

/* Its version is kept; the document is what was published under that. */
int ledger_load_trust(struct ledger *l, struct manager *m, struct errmsg *em)
{
    static uint8_t memory[TRUST_MAX + ENVELOPE_OVERHEAD_MAX];
    struct buffer bytes = buffer_on(memory, sizeof memory);
    struct envelope e;
    struct trust trust = {0};
    struct query q = query_on(l->db, l->statements[GET_META]);
    query_put_int(&q, META_TRUST);
    uint32_t version = query_next(&q) ? (uint32_t)query_get_int(&q, UINT32_MAX) : 0;
    int rv = query_end(&q);
    if (rv < 0)
        return ledger_fail(l, rv, "load its trust document", em);
    if (version == 0)
        return 0;
    rv = ledger_get_trust(l, version, &bytes, em);
    if (rv < 0)
        return rv;
    rv = envelope_read(MESSAGE_TRUST, span_buffer(&bytes), &e);
    if (rv == 0)
        rv = trust_read(e.body, &trust);
    if (rv < 0 || trust.version != version)
        return ledger_fail(l, ERR_DAMAGED, "load its trust document", em);
    manager_load_trust(m, &trust);
    return 0;
}

int ledger_trust(struct ledger *l, uint32_t version, struct errmsg *em)
{
    return ledger_put_number(l, META_TRUST, version, em);
}

int ledger_get_trust(struct ledger *l, uint32_t version, struct buffer *out, struct errmsg *em)
{
    struct topic topic = topic_make(&(struct topic_name){.kind = TOPIC_TRUST, .version = version});
    return ledger_published(l, topic.text, out, em);
}
