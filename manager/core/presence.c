#include "manager/core/state.h"

/* Agents looked at in one tick: a million take a quarter of a minute, and no tick is long. */
#define PRESENCE_PER_TICK 65536

/* A boot that was replaced can't count on: its device has started again since, with the numbers
 * behind those of that boot. Unless it is two devices. */
static bool is_forked(const struct agent_row *row, const struct status *s)
{
    return s->seq > row->seq && s->boot == row->boot_before && row->boot_before != 0;
}

static bool says_the_same(const struct manager *m, const struct agent_row *row,
                          const struct status *s)
{
    struct exception before[EXCEPTIONS_MAX];
    size_t count = manager_exceptions(m, s->number, before);
    bool stays = row->flags & AGENT_ONLINE && !(s->flags & STATUS_GOODBYE);
    bool assigned = revision_compare(s->assignment, row->assigned) == 0;
    bool knows = revision_compare(s->document, row->document) == 0 &&
                 assigned == ((row->flags & AGENT_ASSIGNED) != 0);
    bool cut =
        (row->flags & AGENT_TRUNCATED) != (s->flags & STATUS_TRUNCATED ? AGENT_TRUNCATED : 0);
    if (!stays || !knows || cut || count != s->count)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!exception_equal(&before[i], &s->exceptions[i]))
            return false;
    return true;
}

/* Nothing that a manager would lack that never heard it: neither what the agent holds and is, nor
 * which of its lives it is in. */
static bool is_heartbeat(const struct agent_row *row, const struct status *s, bool same)
{
    bool stale = row->flags & AGENT_STALE;
    return same && s->boot == row->boot && !(s->flags & STATUS_HELLO) &&
           stale == ((s->flags & STATUS_STALE) != 0);
}

static void on_status(struct turn *t, struct agent_row *row, const struct status *s)
{
    if (is_forked(row, s) || suspect_hears(t, s)) {
        membership_quarantine(t, s->number);
        return;
    }
    if (s->seq <= row->seq) {
        t->m->counters.replayed++;
        suspect_counts(t, s);
        return;
    }
    bool same = says_the_same(t->m, row, s), heartbeat = is_heartbeat(row, s, same);
    if (!same)
        lookout_hear_of(t->m, row->cohort);
    if (!budget_reaches(t->m, s->number, t->ev->now_s))
        budget_set_apart(t->m, s->number);
    if (!(row->flags & AGENT_ONLINE))
        flight_miss(t->m, s->number, t->ev->now_s);
    unsigned holder = !same && flight_keeps(t->m, s, t->ev->now_s) ? AGENT_HOLDER : 0;
    row->seq = s->seq;
    if (s->flags & STATUS_HELLO) {
        row->session = s->seq;
        row->facts = s->facts;
    }
    if (s->boot != row->boot) {
        row->boot_before = row->boot;
        row->boot = s->boot;
    }
    uint32_t stints[EXCEPTIONS_MAX];
    stint_carry(t->m, row, s, t->ev->now_s, stints);
    row->document = s->document;
    row->last_seen_s = (uint32_t)t->ev->now_s;
    unsigned flags = row->flags & AGENT_FLAGS_KEPT;
    flags |= revision_compare(s->assignment, row->assigned) == 0 ? AGENT_ASSIGNED : 0;
    flags |= s->flags & STATUS_GOODBYE ? 0 : AGENT_ONLINE;
    flags |= s->flags & STATUS_STALE ? AGENT_STALE : 0;
    flags |= s->flags & STATUS_TRUNCATED ? AGENT_TRUNCATED : 0;
    flags |= same ? row->flags & (AGENT_MUTE | AGENT_HOLDER) : holder;
    if (!same && fleet_set_exceptions(t->m, row, s->exceptions, stints, s->count) < 0)
        flags |= AGENT_TRUNCATED;
    row->flags = (uint16_t)flags;
    if (!same) {
        budget_hear(t->m, s->number);
        permit_hear(t->m, s->number);
        permit_answer(t, s->number);
    }
    t->m->counters.statuses++;
    persist(t, heartbeat ? PERSIST_HEARTBEAT : PERSIST_STATUS, s->number);
    epoch_hears(t, s);
}

void presence_end(struct turn *t, uint32_t number, uint64_t at_s)
{
    struct agent_row *row = fleet_agent(t->m, number);
    stint_stop(t->m, row, at_s);
    row->flags &= (uint16_t) ~(AGENT_ONLINE | AGENT_MUTE);
    lookout_hear_of(t->m, row->cohort);
    persist(t, PERSIST_STATUS, number);
}

/* A will of an older connection comes when its broker notices late: the agent is back already. */
static void on_will(struct turn *t, struct agent_row *row, const struct will *w)
{
    if (w->session < row->session || !(row->flags & AGENT_ONLINE)) {
        t->m->counters.replayed++;
        return;
    }
    t->m->counters.wills++;
    presence_end(t, w->number, t->ev->now_s);
}

void presence_report(struct turn *t)
{
    const struct report *report = t->ev->report.report;
    uint32_t number = report_number(report);
    struct agent_row *row = fleet_agent(t->m, number);
    bool known = row && key_id_equal(&row->id, &t->ev->report.topic);
    if (known ? row->flags & AGENT_BLOCKED : membership_was_replaced(t->m, &t->ev->report.topic)) {
        t->m->counters.blocked++;
        return;
    }
    if (!known)
        orphan_hears(t, number);
    if (!known || !agent_in_fleet(row)) {
        t->m->counters.foreign++;
        return;
    }
    if (report->type == MESSAGE_WILL)
        on_will(t, row, &report->will);
    else
        on_status(t, row, &report->status);
}

/* No will comes from an agent whose broker died with it; two missed heartbeats and a half say the
 * same. While the manager was away it could not hear anybody. */
static bool is_silent(const struct turn *t, const struct agent_row *row)
{
    uint64_t patience_s = (uint64_t)t->m->options.policy.heartbeat_s * 5 / 2;
    uint64_t since_s =
        row->last_seen_s > t->m->listens_since_s ? row->last_seen_s : t->m->listens_since_s;
    return row->flags & AGENT_ONLINE && t->ev->now_s > since_s + patience_s;
}

void presence_look(struct turn *t)
{
    struct manager *m = t->m;
    for (; m->silent_left > 0; m->silent_left--) {
        if (t->out->persist_count > MANAGER_PERSIST_MAX / 2)
            return;
        uint32_t number = m->presence_cursor++ % m->agent_count + 1;
        const struct agent_row *row = fleet_agent(m, number);
        if (is_silent(t, row))
            presence_end(t, number, row->last_seen_s);
    }
}

void presence_tick(struct turn *t)
{
    struct manager *m = t->m;
    m->silent_left = m->agent_count < PRESENCE_PER_TICK ? m->agent_count : PRESENCE_PER_TICK;
    presence_look(t);
    for (uint32_t i = 0; i < m->cohort_count; i++) {
        const struct cohort *c = &m->cohorts[i];
        if (c->agents && t->ev->now_s >= c->issued_s + m->options.document_life_s / 2)
            cohort_mark(m, i);
    }
}
