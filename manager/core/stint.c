/*
 * stint: how much time an agent has had for a deployment, by its own reports: seconds or, while
 * they run, the moment that they are counted from. It knows nothing of stages and gates, and of
 * deadlines only how long they are.
 */
#include "manager/core/state.h"

/* After a start the manager doesn't know yet what agents said while it was away: brokers hand that
 * over at this speed at least, and within this time where there is little of it. */
#define CATCH_UP_S 5
#define CATCH_UP_AGENTS_PER_S 20000

/* What it does, and the waits between its own tries. What it waits for on account of others (a
 * deployment, a window, other work, an operator) is no time of its own. */
static bool counts(uint8_t state, uint8_t cause)
{
    bool again = cause >= CAUSE_PRE_APPLY && cause <= CAUSE_CRASHES;
    return (state >= STATE_DOWNLOADING && state <= STATE_VERIFYING) || state == STATE_MODIFIED ||
           (state == STATE_PENDING && again);
}

static bool runs(const struct agent_row *row, const struct told *e)
{
    return row->flags & AGENT_ONLINE && counts(e->state, e->cause);
}

/* Clocks may be put back. */
static uint32_t since(uint32_t moment_s, uint64_t now_s)
{
    return moment_s && now_s > moment_s ? (uint32_t)(now_s - moment_s) : 0;
}

static uint32_t had_s(const struct agent_row *row, const struct told *e, uint64_t now_s)
{
    return runs(row, e) ? since(e->stint, now_s) : e->stint;
}

void stint_carry(const struct manager *m, const struct agent_row *row, const struct status *s,
                 uint64_t now_s, uint32_t out[static EXCEPTIONS_MAX])
{
    bool online = !(s->flags & STATUS_GOODBYE);
    for (uint32_t i = 0; i < s->count; i++) {
        const struct exception *e = &s->exceptions[i];
        const struct told *before = fleet_exception(m, row, e->deployment);
        bool same = before && before->generation == e->generation;
        uint32_t had = same ? had_s(row, before, now_s) : 0;
        out[i] = online && counts(e->state, e->cause) ? (uint32_t)now_s - had : had;
    }
}

void stint_stop(struct manager *m, const struct agent_row *row, uint64_t until_s)
{
    for (uint32_t link = row->exceptions; link; link = m->nodes[link - 1].next)
        m->nodes[link - 1].stint = had_s(row, &m->nodes[link - 1], until_s);
}

uint64_t stint_end_s(const struct agent_row *row, const struct told *e, uint32_t deadline_s)
{
    if (!runs(row, e))
        return e->stint >= deadline_s ? 0 : UINT64_MAX;
    return e->stint ? (uint64_t)e->stint + deadline_s : UINT64_MAX;
}

uint64_t stint_known_s(const struct manager *m, const struct agent_row *row,
                       const struct deployment_row *d, uint64_t now_s)
{
    uint64_t known_s = d->rollout.watched_s;
    if (known_s < row->last_seen_s)
        known_s = row->last_seen_s;
    return now_s >= stint_sure_s(m) || known_s > now_s ? now_s : known_s;
}

uint64_t stint_sure_s(const struct manager *m)
{
    return m->listens_since_s + CATCH_UP_S + m->agent_count / CATCH_UP_AGENTS_PER_S;
}
