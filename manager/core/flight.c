#include "base/bits.h"
#include "manager/core/state.h"

#include <assert.h>

/* Agents that were let in within this part of a deadline count as let in together, by the last of
 * them: none is overdue too soon, and few departures cover a deadline. */
#define DEADLINE_PARTS 16

_Static_assert(DEPARTURES_MAX >= DEADLINE_PARTS + 3, "the two oldest are past any deadline");

struct flight *flight_find(struct manager *m, uint32_t deployment)
{
    for (uint32_t i = 0; i < ROLLOUTS_MAX; i++)
        if (m->flights[i].deployment == deployment + 1)
            return &m->flights[i];
    return NULL;
}

const struct flight *flight_of(const struct manager *m, uint32_t deployment)
{
    return flight_find((struct manager *)m, deployment);
}

bool flight_is_possible(const struct manager *m, uint32_t deployment)
{
    for (uint32_t i = 0; i < ROLLOUTS_MAX; i++)
        if (m->flights[i].deployment == 0 || m->flights[i].deployment == deployment + 1)
            return true;
    return false;
}

struct flight *flight_begin(struct manager *m, uint32_t deployment)
{
    size_t bytes = m->options.limits.agents / 8 + 1;
    for (uint32_t i = 0; i < ROLLOUTS_MAX; i++) {
        struct flight *f = &m->flights[i];
        if (f->deployment != 0)
            continue;
        *f = (struct flight){.deployment = deployment + 1, .in_flight = m->in_flight + i * bytes};
        memset(f->in_flight, 0, bytes);
        return f;
    }
    return NULL;
}

void flight_end(struct manager *m, uint32_t deployment)
{
    struct flight *f = flight_find(m, deployment);
    if (!f)
        return;
    f->deployment = 0;
    lookout_hear(m); /* there is a place for another one */
}

void flight_set(struct flight *f, uint32_t number, bool on)
{
    bits_set(f->in_flight, number, on);
}

void flight_miss(struct manager *m, uint32_t number, uint64_t now_s)
{
    uint64_t heard_s = m->agents[number - 1].last_seen_s;
    for (uint32_t i = 0; i < ROLLOUTS_MAX; i++) {
        if (!m->flights[i].deployment)
            continue;
        const struct plan *p = &m->deployments[m->flights[i].deployment - 1].plan;
        if (p->returning.value && heard_s + p->reachable_within_s <= now_s)
            flight_set(&m->flights[i], number, false);
    }
}

static bool keeps(const struct manager *m, uint32_t number, const struct exception *e,
                  uint64_t now_s)
{
    const struct agent_row *row = &m->agents[number - 1];
    uint32_t deployment = e->deployment - 1; /* 0 wraps */
    if (!permit_asks(e->state, e->cause) || deployment >= m->deployment_count)
        return false;
    const struct deployment_row *d = &m->deployments[deployment];
    const struct told *before = fleet_exception(m, row, e->deployment);
    const struct flight *f = flight_of(m, deployment);
    bool asked = before && permit_asks(before->state, before->cause);
    bool held = asked ? row->flags & AGENT_HOLDER : !f || flight_has(f, number);
    uint64_t until_s = UINT64_MAX;
    return held && deployment_rolls(d) && permit_is_needed(m, deployment, row->cohort) &&
           fleet_reaches(row, d->plan.reachable_within_s, now_s, &until_s);
}

bool flight_keeps(const struct manager *m, const struct status *s, uint64_t now_s)
{
    for (size_t i = 0; i < s->count; i++)
        if (keeps(m, s->number, &s->exceptions[i], now_s))
            return true;
    return false;
}

void flight_leave(struct manager *m, uint32_t number)
{
    for (uint32_t i = 0; i < ROLLOUTS_MAX; i++)
        if (m->flights[i].deployment)
            flight_set(&m->flights[i], number, false);
}

void flight_leave_one(struct manager *m, uint32_t deployment, uint32_t number)
{
    struct flight *f = flight_find(m, deployment);
    if (f)
        flight_set(f, number, false);
}

bool flight_has(const struct flight *f, uint32_t number)
{
    return bits_have(f->in_flight, number);
}

bool flight_holds(const struct manager *m, uint32_t deployment, uint32_t number)
{
    const struct flight *f = flight_of(m, deployment);
    return f && !f->guessed && flight_has(f, number);
}

/* ---- when ---- */

/* Whoever is of the two oldest is overdue by now, so that one will do for both. */
static void make_room(struct flight *f)
{
    if (f->departure_count < DEPARTURES_MAX)
        return;
    memmove(&f->departures[0], &f->departures[1], (DEPARTURES_MAX - 1) * sizeof f->departures[0]);
    f->departure_count--;
}

void flight_depart(struct flight *f, uint64_t reached, uint64_t now_s, uint32_t deadline_s)
{
    struct departure *last = f->departure_count ? &f->departures[f->departure_count - 1] : NULL;
    f->moved_s = now_s;
    if (last && now_s <= last->first_s + deadline_s / DEADLINE_PARTS) {
        last->reached = reached;
        last->last_s = now_s;
        return;
    }
    make_room(f);
    f->departures[f->departure_count++] =
        (struct departure){.reached = reached, .first_s = now_s, .last_s = now_s};
}

void flight_wind_back(struct flight *f, uint64_t reached, uint64_t now_s)
{
    f->departure_count = 1;
    f->departures[0] = (struct departure){.reached = reached, .first_s = now_s, .last_s = now_s};
}

bool flight_is_overdue(const struct flight *f, uint64_t hash, uint64_t now_s, uint32_t deadline_s)
{
    for (uint32_t i = 0; deadline_s > 0 && i < f->departure_count; i++)
        if (hash <= f->departures[i].reached)
            return now_s >= f->departures[i].last_s + deadline_s;
    return false;
}

uint64_t flight_overdue_s(const struct flight *f, uint64_t now_s, uint32_t deadline_s)
{
    for (uint32_t i = 0; deadline_s > 0 && i < f->departure_count; i++)
        if (f->departures[i].last_s + deadline_s > now_s)
            return f->departures[i].last_s + deadline_s;
    return UINT64_MAX;
}
