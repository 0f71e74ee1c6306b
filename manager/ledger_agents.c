/*
 * The ledger's rows of agents: what is known of each, what few of them have, and who took whose
 * place.
 */
#include "manager/ledger_parts.h"

#include "base/endian.h"

#include <assert.h>

/* An agent, little-endian, in this order: id, cohort, batch, token, facts, assigned, joined, flags;
 * seq, session, boot, boot before, document, seen. */
#define AGENT_LEN (KEY_ID_LEN + 30 + 28)
#define EXCEPTION_LEN 18 /* deployment, generation, running, stint, state, cause; the same way */
#define LISTED_LEN 4     /* a deployment */
#define PERMIT_LEN 9     /* deployment, generation, whether it holds a slot */

static void get_agent(struct query *q, uint32_t number, struct agent_row *row);
static size_t get_exceptions(struct query *q, struct exception exceptions[static EXCEPTIONS_MAX],
                             uint32_t stints[static EXCEPTIONS_MAX]);
static struct span pack_agent(const struct agent_row *row, uint8_t out[static AGENT_LEN]);
static struct span pack_exceptions(const struct exception *list, const uint32_t *stints,
                                   size_t count, uint8_t *out);
static int list_replaced(struct ledger *l, struct blocked_agent *out, size_t cap, size_t *count,
                         struct errmsg *em);
static int list_blocked(struct ledger *l, struct blocked_agent *out, size_t cap, size_t *count,
                        struct errmsg *em);

static uint32_t take_32(const uint8_t **at)
{
    *at += 4;
    return le32_read(*at - 4);
}

static struct revision take_revision(const uint8_t **at)
{
    uint32_t epoch = take_32(at);
    return (struct revision){.epoch = epoch, .number = take_32(at)};
}

static uint16_t take_flags(const uint8_t **at)
{
    *at += 2;
    return (uint16_t)((*at)[-2] | (*at)[-1] << 8);
}

static void give_32(uint8_t **at, uint32_t value)
{
    le32_write(*at, value);
    *at += 4;
}

static void give_revision(uint8_t **at, struct revision r)
{
    give_32(at, r.epoch);
    give_32(at, r.number);
}

static void give_flags(uint8_t **at, unsigned flags)
{
    *(*at)++ = (uint8_t)flags;
    *(*at)++ = (uint8_t)(flags >> 8);
}

/* ---- rows ---- */

/* Both tables are read side by side in one order; few agents have exceptions. */
int ledger_load_agents(struct ledger *l, struct manager *m, struct errmsg *em)
{
    int rv = 0;
    struct exception list[EXCEPTIONS_MAX];
    uint32_t stints[EXCEPTIONS_MAX];
    struct query agents = query_sql(l->db, "SELECT * FROM agent ORDER BY n");
    struct query exceptions = query_sql(l->db, "SELECT * FROM exceptions ORDER BY n");
    uint64_t next = query_next(&exceptions) ? query_get_int(&exceptions, UINT32_MAX) : 0;
    for (uint32_t n = 1; rv == 0 && query_next(&agents); n++) {
        struct agent_row row = {0};
        size_t count = 0;
        get_agent(&agents, n, &row);
        if (next == n) {
            count = get_exceptions(&exceptions, list, stints);
            next = query_next(&exceptions) ? query_get_int(&exceptions, UINT32_MAX) : 0;
        }
        bool odd = agents.odd || exceptions.odd;
        rv = odd ? ERR_DAMAGED : manager_load_agent(m, n, &row, list, count);
        if (rv == 0)
            manager_load_stints(m, n, stints);
    }
    if (rv == 0 && next != 0)
        rv = ERR_DAMAGED; /* nobody's */
    rv = ledger_end_load(l, &agents, rv, "load its agents", em);
    int second =
        ledger_end_load(l, &exceptions, rv, "load its agents' exceptions", rv < 0 ? NULL : em);
    return rv < 0 ? rv : second;
}

static void get_agent(struct query *q, uint32_t number, struct agent_row *row)
{
    q->odd |= query_get_int(q, UINT32_MAX) != number;
    struct span b = query_get_blob(q, AGENT_LEN);
    q->odd |= b.len != AGENT_LEN;
    if (b.len != AGENT_LEN)
        return;
    const uint8_t *at = b.data + KEY_ID_LEN;
    memcpy(row->id.bytes, b.data, KEY_ID_LEN);
    row->cohort = take_32(&at);
    row->batch = take_32(&at);
    row->index = take_32(&at);
    row->facts = take_32(&at);
    row->assigned = take_revision(&at);
    row->joined_s = take_32(&at);
    row->flags = take_flags(&at);
    row->seq = take_32(&at);
    row->session = take_32(&at);
    row->boot = take_32(&at);
    row->boot_before = take_32(&at);
    row->document = take_revision(&at);
    row->last_seen_s = take_32(&at);
}

/* Reads the list where the query stands; returns how many there are. */
static size_t get_exceptions(struct query *q, struct exception exceptions[static EXCEPTIONS_MAX],
                             uint32_t stints[static EXCEPTIONS_MAX])
{
    struct span b = query_get_blob(q, (size_t)EXCEPTIONS_MAX * EXCEPTION_LEN);
    q->odd |= b.len == 0 || b.len % EXCEPTION_LEN != 0;
    const uint8_t *at = b.data;
    size_t count = b.len / EXCEPTION_LEN;
    for (size_t i = 0; i < count; i++) {
        exceptions[i].deployment = take_32(&at);
        exceptions[i].generation = take_32(&at);
        exceptions[i].running = take_32(&at);
        stints[i] = take_32(&at);
        exceptions[i].state = *at++;
        exceptions[i].cause = *at++;
    }
    return count;
}

int ledger_agent(struct ledger *l, uint32_t number, const struct agent_row *row,
                 const struct exception *exceptions, const uint32_t *stints, size_t count,
                 struct errmsg *em)
{
    struct query q;
    uint8_t packed[AGENT_LEN], listed[EXCEPTIONS_MAX * EXCEPTION_LEN];
    assert(count <= EXCEPTIONS_MAX);
    int rv = ledger_start_row(l, PUT_AGENT, &q, em);
    if (rv < 0)
        return rv;
    query_put_int(&q, number);
    query_put_blob(&q, pack_agent(row, packed));
    rv = ledger_end_write(l, &q, em);
    if (rv < 0)
        return rv;
    q = query_on(l->db, l->statements[count > 0 ? PUT_EXCEPTIONS : DROP_EXCEPTIONS]);
    query_put_int(&q, number);
    if (count > 0)
        query_put_blob(&q, pack_exceptions(exceptions, stints, count, listed));
    return ledger_end_write(l, &q, em);
}

static struct span pack_agent(const struct agent_row *row, uint8_t out[static AGENT_LEN])
{
    uint8_t *at = out + KEY_ID_LEN;
    memcpy(out, row->id.bytes, KEY_ID_LEN);
    give_32(&at, row->cohort);
    give_32(&at, row->batch);
    give_32(&at, row->index);
    give_32(&at, row->facts);
    give_revision(&at, row->assigned);
    give_32(&at, row->joined_s);
    give_flags(&at, row->flags & ~(unsigned)AGENT_CUT_OFF); /* a new manager sees for itself */
    give_32(&at, row->seq);
    give_32(&at, row->session);
    give_32(&at, row->boot);
    give_32(&at, row->boot_before);
    give_revision(&at, row->document);
    give_32(&at, row->last_seen_s);
    assert(at == out + AGENT_LEN);
    return span_of(out, AGENT_LEN);
}

static struct span pack_exceptions(const struct exception *list, const uint32_t *stints,
                                   size_t count, uint8_t *out)
{
    uint8_t *at = out;
    for (size_t i = 0; i < count; i++) {
        give_32(&at, list[i].deployment);
        give_32(&at, list[i].generation);
        give_32(&at, list[i].running);
        give_32(&at, stints[i]);
        *at++ = list[i].state;
        *at++ = list[i].cause;
    }
    return span_of(out, (size_t)(at - out));
}

/* ---- facts ---- */

int ledger_newcomer(struct ledger *l, uint32_t number, const struct facts *facts, struct errmsg *em)
{
    struct query q;
    uint8_t room[JOIN_MAX];
    struct buffer told = buffer_on(room, sizeof room);
    int rv = facts_write(facts, &told);
    if (rv == 0)
        rv = ledger_start_row(l, PUT_FACTS, &q, em);
    if (rv < 0)
        return rv;
    query_put_int(&q, number);
    query_put_blob(&q, span_buffer(&told));
    return ledger_end_write(l, &q, em);
}

int ledger_tell(struct ledger *l, uint32_t number, uint32_t seq, const struct facts *facts,
                struct errmsg *em)
{
    struct query q;
    uint8_t room[JOIN_MAX];
    struct buffer told = buffer_on(room, sizeof room);
    int rv = facts_write(facts, &told);
    if (rv == 0)
        rv = ledger_start_row(l, TELL_FACTS, &q, em);
    if (rv < 0)
        return rv;
    query_put_blob(&q, span_buffer(&told));
    query_put_int(&q, seq);
    query_put_int(&q, number);
    query_put_int(&q, seq);
    rv = ledger_end_write(l, &q, em);
    return rv < 0 ? rv : sqlite3_changes(l->db) > 0;
}

int ledger_facts(struct ledger *l, uint32_t number, struct facts *out, struct errmsg *em)
{
    struct query q = query_on(l->db, l->statements[GET_FACTS]);
    query_put_int(&q, number);
    bool found = query_next(&q);
    int parsed = found ? facts_read(query_get_blob(&q, JOIN_MAX), out) : 0;
    int rv = query_end(&q);
    if (!found && rv == 0)
        return errmsg_set(em, ERR_NOT_FOUND, "there is no agent %u", number);
    return rv < 0 || parsed < 0
               ? ledger_fail(l, rv < 0 ? rv : ERR_DAMAGED, "read an agent's facts", em)
               : 0;
}

/* ---- lists ---- */

int ledger_load_lists(struct ledger *l, struct manager *m, struct errmsg *em)
{
    int rv = 0;
    struct query q = query_sql(l->db, "SELECT * FROM listed ORDER BY n");
    while (rv == 0 && query_next(&q)) {
        uint32_t lists[RECORDS_MAX];
        struct permit permits[PERMITS_MAX];
        uint32_t slots = 0;
        uint32_t number = (uint32_t)query_get_int(&q, UINT32_MAX);
        uint64_t taints = query_get_int(&q, UINT64_MAX);
        struct span b = query_get_blob(&q, sizeof lists);
        for (size_t i = 0; i < b.len / LISTED_LEN; i++)
            lists[i] = le32_read(b.data + i * LISTED_LEN);
        struct span p = query_get_blob(&q, PERMITS_MAX * PERMIT_LEN);
        for (size_t i = 0; i < p.len / PERMIT_LEN; i++) {
            const uint8_t *at = p.data + i * PERMIT_LEN;
            permits[i].deployment = take_32(&at);
            permits[i].generation = take_32(&at);
            slots |= (uint32_t)(*at != 0) << i;
        }
        bool odd = q.odd || b.len % LISTED_LEN != 0 || p.len % PERMIT_LEN != 0;
        rv = odd ? ERR_DAMAGED
                 : manager_load_lists(m, number, taints, lists, (uint32_t)(b.len / LISTED_LEN));
        if (rv == 0)
            rv = manager_load_permits(m, number, permits, (uint32_t)(p.len / PERMIT_LEN), slots);
    }
    return ledger_end_load(l, &q, rv, "load whom deployments list", em);
}

int ledger_lists(struct ledger *l, uint32_t number, uint64_t taints, const uint32_t *lists,
                 uint32_t count, const struct permit *permits, uint32_t permit_count,
                 uint32_t slots, struct errmsg *em)
{
    struct query q;
    uint8_t packed[RECORDS_MAX * LISTED_LEN], packed_permits[PERMITS_MAX * PERMIT_LEN];
    uint8_t *at = packed, *permits_at = packed_permits;
    bool kept = taints || count || permit_count;
    assert(count <= RECORDS_MAX && permit_count <= PERMITS_MAX);
    int rv = ledger_start_row(l, kept ? PUT_LISTED : DROP_LISTED, &q, em);
    if (rv < 0)
        return rv;
    for (uint32_t i = 0; i < count; i++)
        give_32(&at, lists[i]);
    for (uint32_t i = 0; i < permit_count; i++) {
        give_32(&permits_at, permits[i].deployment);
        give_32(&permits_at, permits[i].generation);
        *permits_at++ = slots >> i & 1;
    }
    query_put_int(&q, number);
    if (kept) {
        query_put_int(&q, taints);
        query_put_blob(&q, span_of(packed, (size_t)(at - packed)));
        query_put_blob(&q, span_of(packed_permits, (size_t)(permits_at - packed_permits)));
    }
    return ledger_end_write(l, &q, em);
}

/* ---- who took whose place, and who is kept out ---- */

static int get_replaced(struct query *q, struct manager *m)
{
    struct replaced_row row = {0};
    query_get_bytes(q, row.id.bytes, KEY_ID_LEN);
    row.number = (uint32_t)query_get_int(q, UINT32_MAX);
    row.batch = (uint32_t)query_get_int(q, UINT32_MAX);
    row.index = (uint32_t)query_get_int(q, UINT32_MAX);
    row.joined_s = (uint32_t)query_get_int(q, UINT32_MAX);
    row.since_s = (uint32_t)query_get_int(q, UINT32_MAX);
    return q->odd ? ERR_DAMAGED : manager_load_replaced(m, &row);
}

int ledger_load_replaced(struct ledger *l, struct manager *m, struct errmsg *em)
{
    return ledger_load_rows(l, m, "SELECT * FROM replaced ORDER BY n", get_replaced,
                            "load whom others have replaced", em);
}

int ledger_replaced(struct ledger *l, uint32_t index, const struct replaced_row *row,
                    struct errmsg *em)
{
    struct query q;
    int rv = ledger_start_row(l, PUT_REPLACED, &q, em);
    if (rv < 0)
        return rv;
    query_put_int(&q, index);
    query_put_blob(&q, span_of(row->id.bytes, KEY_ID_LEN));
    query_put_int(&q, row->number);
    query_put_int(&q, row->batch);
    query_put_int(&q, row->index);
    query_put_int(&q, row->joined_s);
    query_put_int(&q, row->since_s);
    return ledger_end_write(l, &q, em);
}

static int get_successor(struct query *q, struct manager *m)
{
    struct successor_row row = {0};
    row.number = (uint32_t)query_get_int(q, UINT32_MAX);
    row.batch = (uint32_t)query_get_int(q, UINT32_MAX);
    row.index = (uint32_t)query_get_int(q, UINT32_MAX);
    return q->odd ? ERR_DAMAGED : manager_load_successor(m, &row);
}

int ledger_load_successors(struct ledger *l, struct manager *m, struct errmsg *em)
{
    return ledger_load_rows(l, m, "SELECT * FROM successor ORDER BY n", get_successor,
                            "load who is to replace whom", em);
}

int ledger_successor(struct ledger *l, uint32_t index, const struct successor_row *row,
                     struct errmsg *em)
{
    struct query q;
    int rv = ledger_start_row(l, PUT_SUCCESSOR, &q, em);
    if (rv < 0)
        return rv;
    query_put_int(&q, index);
    query_put_int(&q, row->number);
    query_put_int(&q, row->batch);
    query_put_int(&q, row->index);
    return ledger_end_write(l, &q, em);
}

/* In the order of manager_blocked: an access list that is full names the same ones. */
int ledger_blocked(struct ledger *l, struct blocked_agent *out, size_t cap, size_t *count,
                   struct errmsg *em)
{
    *count = 0;
    int rv = list_replaced(l, out, cap, count, em);
    return rv < 0 ? rv : list_blocked(l, out, cap, count, em);
}

static int list_replaced(struct ledger *l, struct blocked_agent *out, size_t cap, size_t *count,
                         struct errmsg *em)
{
    struct query q = query_sql(l->db, "SELECT id, joined FROM replaced ORDER BY n");
    while (*count < cap && query_next(&q)) {
        struct blocked_agent *b = &out[(*count)++];
        query_get_bytes(&q, b->id.bytes, KEY_ID_LEN);
        b->joined_s = query_get_int(&q, UINT32_MAX);
    }
    return ledger_end_load(l, &q, q.odd ? ERR_DAMAGED : 0, "read whom others have replaced", em);
}

static int list_blocked(struct ledger *l, struct blocked_agent *out, size_t cap, size_t *count,
                        struct errmsg *em)
{
    struct query q = query_sql(l->db, "SELECT * FROM agent ORDER BY n");
    for (uint32_t n = 1; *count < cap && query_next(&q); n++) {
        struct agent_row row = {0};
        get_agent(&q, n, &row);
        if (row.flags & AGENT_BLOCKED)
            out[(*count)++] = (struct blocked_agent){.id = row.id, .joined_s = row.joined_s};
    }
    return ledger_end_load(l, &q, q.odd ? ERR_DAMAGED : 0, "read its agents", em);
}
