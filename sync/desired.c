#include "sync/desired.h"

#include "sync/message.h"

#include <assert.h>

/* Elements of the arrays below, in the order in which they are written. */
#define DESIRED_FIELDS 8 /* cohort, epoch, number, issued, not after, policy, records, lanes */
#define POLICY_FIELDS 4
/* deployment, name, flags, priority, salt, gate, stable, next, rules, variables */
#define RECORD_FIELDS 10

/* nil lets everybody pass. */
static void put_gate(struct wire_writer *w, const struct gate *g)
{
    if (gate_is_open(g)) {
        wire_put_nil(w);
        return;
    }
    wire_put_array(w, 2);
    wire_put_u64(w, g->threshold);
    wire_put_u64(w, g->enrolled_before);
}

static void get_gate(struct wire_reader *r, struct gate *g)
{
    *g = GATE_OPEN;
    if (wire_get_nil(r))
        return;
    wire_get_array(r, 2, 2);
    g->threshold = wire_get_u64(r, UINT64_MAX);
    g->enrolled_before = (uint32_t)wire_get_u64(r, UINT32_MAX);
}

/* nil is "none"; `gate` is NULL for the stable target. */
static void put_target(struct wire_writer *w, const struct target *t, const struct gate *gate)
{
    if (t->generation == 0) {
        wire_put_nil(w);
        return;
    }
    wire_put_array(w, gate ? 3 : 2);
    wire_put_u64(w, t->generation);
    wire_put_bytes(w, span_of(t->bundle.bytes, DIGEST_LEN));
    if (gate)
        put_gate(w, gate);
}

static void get_target(struct wire_reader *r, struct target *t, struct gate *gate)
{
    *t = (struct target){0};
    if (gate)
        *gate = (struct gate){0};
    if (wire_get_nil(r))
        return;
    uint32_t fields = gate ? 3 : 2;
    wire_get_array(r, fields, fields);
    t->generation = (uint32_t)wire_get_u64(r, UINT32_MAX);
    wire_get_bytes_into(r, t->bundle.bytes, DIGEST_LEN);
    if (gate)
        get_gate(r, gate);
    if (t->generation == 0 || digest_is_zero(&t->bundle))
        wire_fail(r, ERR_FORMAT);
}

static void put_record(struct wire_writer *w, const struct desired *doc, const struct record *d)
{
    wire_put_array(w, RECORD_FIELDS);
    wire_put_u64(w, d->deployment);
    wire_put_text(w, span_text(d->name));
    wire_put_u64(w, d->flags);
    wire_put_u64(w, d->priority);
    wire_put_u64(w, d->salt);
    put_gate(w, &d->gate);
    put_target(w, &d->stable, NULL);
    put_target(w, &d->next, &d->next_gate);
    rules_put(w, &d->rules);
    variables_copy(w, record_variables(doc, d));
}

/* The list goes behind those of the records before. */
static void get_variables(struct wire_reader *r, struct desired *doc, struct record *d)
{
    struct span list = variables_get(r, VARIABLES_BYTES_MAX - doc->variables_len);
    d->variables_at = doc->variables_len;
    d->variables_len = (uint32_t)list.len;
    if (list.len > 0)
        memcpy(doc->variables + doc->variables_len, list.data, list.len);
    doc->variables_len += d->variables_len;
}

/* `before` is the deployment number of the record before: numbers rise. */
static void get_record(struct wire_reader *r, struct desired *doc, struct record *d,
                       uint32_t before)
{
    uint32_t extra = message_enter_array(r, RECORD_FIELDS);
    d->deployment = (uint32_t)wire_get_u64(r, UINT32_MAX);
    wire_get_text_into(r, d->name, sizeof d->name);
    d->flags = (uint32_t)wire_get_u64(r, UINT32_MAX);
    d->priority = (uint32_t)wire_get_u64(r, UINT32_MAX);
    d->salt = wire_get_u64(r, UINT64_MAX);
    get_gate(r, &d->gate);
    get_target(r, &d->stable, NULL);
    get_target(r, &d->next, &d->next_gate);
    rules_get(r, d->deployment, &d->rules);
    get_variables(r, doc, d);
    wire_skip(r, extra);
    bool wanted = d->stable.generation != 0 || d->next.generation != 0;
    if (d->deployment <= before || !name_valid(span_text(d->name)) || !wanted)
        wire_fail(r, ERR_FORMAT);
}

void policy_put(struct wire_writer *w, const struct policy *p)
{
    wire_put_array(w, POLICY_FIELDS);
    wire_put_u64(w, p->heartbeat_s);
    wire_put_u64(w, p->keepalive_s);
    wire_put_u64(w, p->reconnect_spread_s);
    wire_put_u64(w, p->fetch_spread_s);
}

void policy_get(struct wire_reader *r, struct policy *p)
{
    uint32_t extra = message_enter_array(r, POLICY_FIELDS);
    p->heartbeat_s = (uint32_t)wire_get_u64(r, UINT32_MAX);
    p->keepalive_s = (uint32_t)wire_get_u64(r, UINT32_MAX);
    p->reconnect_spread_s = (uint32_t)wire_get_u64(r, UINT32_MAX);
    p->fetch_spread_s = (uint32_t)wire_get_u64(r, UINT32_MAX);
    wire_skip(r, extra);
    if (!policy_valid(p))
        wire_fail(r, ERR_RANGE);
}

bool policy_valid(const struct policy *p)
{
    return p->heartbeat_s > 0 && p->heartbeat_s <= POLICY_HEARTBEAT_S_MAX &&
           p->keepalive_s >= POLICY_KEEPALIVE_S_MIN && p->keepalive_s <= POLICY_KEEPALIVE_S_MAX &&
           p->reconnect_spread_s <= POLICY_SPREAD_S_MAX && p->fetch_spread_s <= POLICY_SPREAD_S_MAX;
}

int desired_write(const struct desired *d, struct buffer *out)
{
    assert(d->count <= RECORDS_MAX);
    struct wire_writer w = wire_writer_on(out);
    message_begin(&w, MESSAGE_DESIRED, DESIRED_FIELDS);
    wire_put_bytes(&w, span_of(d->cohort.bytes, COHORT_KEY_LEN));
    message_put_revision(&w, d->revision);
    wire_put_u64(&w, d->issued_s);
    wire_put_u64(&w, d->not_after_s);
    policy_put(&w, &d->policy);
    wire_put_array(&w, d->count);
    for (uint32_t i = 0; i < d->count; i++)
        put_record(&w, d, &d->records[i]);
    wire_put_u64(&w, d->lanes_log2);
    return wire_end(&w);
}

int desired_read(struct span body, struct desired *d)
{
    struct wire_reader r = wire_reader_on(body);
    uint32_t extra = message_enter(&r, MESSAGE_DESIRED, DESIRED_FIELDS);
    memset(d, 0, sizeof *d);
    wire_get_bytes_into(&r, d->cohort.bytes, COHORT_KEY_LEN);
    d->revision = message_get_revision(&r);
    d->issued_s = wire_get_u64(&r, UINT64_MAX);
    d->not_after_s = wire_get_u64(&r, UINT64_MAX);
    policy_get(&r, &d->policy);
    d->count = wire_get_array(&r, 0, RECORDS_MAX);
    for (uint32_t i = 0; i < d->count && !r.error; i++)
        get_record(&r, d, &d->records[i], i ? d->records[i - 1].deployment : 0);
    d->lanes_log2 = (uint8_t)wire_get_u64(&r, LANES_LOG2_MAX);
    wire_skip(&r, extra);
    return wire_done(&r);
}

struct span record_variables(const struct desired *d, const struct record *r)
{
    return span_of(d->variables + r->variables_at, r->variables_len);
}

enum variable_use record_version(const struct record *r, const struct target *t)
{
    bool next = r->next.generation != 0 && t->generation == r->next.generation;
    return next ? VARIABLE_NEXT : VARIABLE_STABLE;
}

/* Most gates are open, and need no hash. */
bool record_admits(const struct record *r, uint32_t number)
{
    return gate_is_open(&r->gate) ||
           gate_passes(&r->gate, gate_hash(r->salt, r->deployment, number), number);
}

struct target record_target(const struct record *r, uint32_t number)
{
    if (gate_is_open(&r->gate) && r->next.generation == 0)
        return r->stable;
    uint64_t hash = gate_hash(r->salt, r->deployment, number);
    if (!gate_passes(&r->gate, hash, number))
        return (struct target){0};
    if (r->next.generation != 0 && gate_passes(&r->next_gate, hash, number))
        return r->next;
    return r->stable;
}
