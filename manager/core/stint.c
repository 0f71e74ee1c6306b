/*
 * stint: how much time an agent has had for a deployment, by its own reports: while it runs the
 * moment that it is counted from, otherwise the seconds and one, or 0 for one that has begun
 * nothing. It knows nothing of stages and gates, and of deadlines only how long they are.
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
    if (runs(row, e))
        return since(e->stint, now_s);
    return e->stint ? e->stint - 1 : 0;
}

bool stint_has_begun(const struct told *e)
{
    return e->stint > 0;
}

/* What is asked for anew has had no time; but as long as nothing runs, what was begun before stays
 * begun. */
static bool stays_begun(const struct told *before, const struct exception *e)
{
    bool same = before->generation == e->generation;
    return stint_has_begun(before) && (same || (before->running == 0 && e->running == 0));
}

void stint_carry(const struct manager *m, const struct agent_row *row, const struct status *s,
                 uint64_t now_s, uint32_t out[static EXCEPTIONS_MAX])
{
    bool online = !(s->flags & STATUS_GOODBYE);
    for (uint32_t i = 0; i < s->count; i++) {
        const struct exception *e = &s->exceptions[i];
        const struct told *before = fleet_exception(m, row, e->deployment);
        bool same = before && before->generation == e->generation;
        bool works = counts(e->state, e->cause), failed = e->state == STATE_FAILED;
        bool begun = works || failed || (before && stays_begun(before, e));
        uint32_t had = same ? had_s(row, before, now_s) : 0;
        out[i] = online && works ? (uint32_t)now_s - had : had + begun;
    }
}

void stint_stop(struct manager *m, const struct agent_row *row, uint64_t until_s)
{
    for (uint32_t link = row->exceptions; link; link = m->nodes[link - 1].next)
        if (runs(row, &m->nodes[link - 1]))
            m->nodes[link - 1].stint = since(m->nodes[link - 1].stint, until_s) + 1;
}

uint64_t stint_end_s(const struct agent_row *row, const struct told *e, uint32_t deadline_s)
{
    if (!runs(row, e))
        return had_s(row, e, 0) >= deadline_s ? 0 : UINT64_MAX;
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
