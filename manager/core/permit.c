/*
 * permit: who may begin of those that no gate has let in: they come back behind an open one, or
 * labels, groups or placements bring them there. Each asks by a report, and is told by its
 * assignment; so many have a permit at a time as the deployment's plan says, and as budgets have
 * room for. A permit is taken back when what it was for has come to an end, or its agent goes out
 * of reach.
 */
#include "base/bits.h"
#include "manager/core/state.h"

#include <assert.h>

bool permit_is_needed(const struct manager *m, uint32_t deployment, uint32_t cohort)
{
    return m->deployments[deployment].plan.returning.value > 0 || m->cohort_budgets[cohort] != 0;
}

/* The first of those whose books it would be missing in. */
uint32_t permit_reach_s(const struct manager *m, uint32_t deployment, uint32_t cohort)
{
    const struct plan *p = &m->deployments[deployment].plan;
    bool budgeted = m->cohort_budgets[cohort] != 0;
    if (p->returning.value == 0 || (budgeted && p->reachable_within_s > BUDGET_REACH_S))
        return BUDGET_REACH_S;
    return p->reachable_within_s;
}

/* ---- who has one ---- */

/* The first that isn't before this agent's of this deployment. */
static uint32_t place_of(const struct manager *m, uint32_t number, uint32_t deployment)
{
    uint32_t from = 0, to = m->permit_count;
    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        const struct permitted *p = &m->permits[middle];
        bool before = p->number < number || (p->number == number && p->deployment < deployment);
        from = before ? middle + 1 : from;
        to = before ? to : middle;
    }
    return from;
}

/* NULL: it has none. */
static const struct permitted *permit_of(const struct manager *m, uint32_t number,
                                         uint32_t deployment)
{
    const struct permitted *p = &m->permits[place_of(m, number, deployment)];
    bool found = p < m->permits + m->permit_count && p->number == number;
    return found && p->deployment == deployment ? p : NULL;
}

bool permit_has(const struct manager *m, uint32_t number, uint32_t deployment)
{
    return permit_of(m, number, deployment) != NULL;
}

bool permit_has_some(const struct manager *m, uint32_t number)
{
    uint32_t at = place_of(m, number, 0);
    return at < m->permit_count && m->permits[at].number == number;
}

bool permit_returns(const struct manager *m, uint32_t number, uint32_t deployment)
{
    const struct permitted *p = permit_of(m, number, deployment);
    return p && !p->slot;
}

uint32_t manager_permits(const struct manager *m, uint32_t number,
                         struct permit out[static PERMITS_MAX])
{
    uint32_t count = 0, end = agent_in_fleet(manager_agent(m, number)) ? m->permit_count : 0;
    for (uint32_t i = place_of(m, number, 0); i < end && count < PERMITS_MAX; i++) {
        const struct permitted *p = &m->permits[i];
        if (p->number != number)
            break;
        out[count++] =
            (struct permit){.deployment = p->deployment + 1, .generation = p->generation};
    }
    return count;
}

uint32_t manager_slot_permits(const struct manager *m, uint32_t number)
{
    uint32_t slots = 0, at = place_of(m, number, 0);
    for (uint32_t i = at; i < m->permit_count && m->permits[i].number == number; i++)
        slots |= (uint32_t)m->permits[i].slot << (i - at);
    return slots;
}

static void add(struct manager *m, const struct permitted *p)
{
    uint32_t at = place_of(m, p->number, p->deployment);
    assert(m->permit_count < PERMITTED_MAX);
    memmove(&m->permits[at + 1], &m->permits[at], (m->permit_count - at) * sizeof *p);
    m->permits[at] = *p;
    m->permit_count++;
}

static void drop(struct manager *m, uint32_t at)
{
    m->permit_count--;
    memmove(&m->permits[at], &m->permits[at + 1], (m->permit_count - at) * sizeof m->permits[0]);
}

int manager_load_permits(struct manager *m, uint32_t number, const struct permit *permits,
                         uint32_t count, uint32_t slots)
{
    if (number < 1 || number > m->agent_count || count > PERMITS_MAX)
        return ERR_DAMAGED;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t deployment = permits[i].deployment - 1; /* 0 wraps */
        if (deployment >= m->deployment_count || permit_has(m, number, deployment))
            return ERR_DAMAGED;
        if (m->permit_count == PERMITTED_MAX)
            return ERR_RANGE;
        add(m, &(struct permitted){.number = number,
                                   .deployment = deployment,
                                   .generation = permits[i].generation,
                                   .slot = slots >> i & 1});
    }
    return 0;
}

/* ---- who asks ---- */

bool permit_asks(uint8_t state, uint8_t cause)
{
    return state == STATE_PENDING && cause == CAUSE_RETURNING;
}

void permit_hear(struct manager *m, uint32_t number)
{
    bool some = false;
    for (uint32_t i = m->agents[number - 1].exceptions; i && !some; i = m->nodes[i - 1].next)
        some = permit_asks(m->nodes[i - 1].state, m->nodes[i - 1].cause);
    m->asking_count += (uint32_t)some - (uint32_t)bits_have(m->asking, number);
    bits_set(m->asking, number, some);
}

/* What the agent asks for and has no permit for, or NULL. */
static const struct told *request_of(const struct manager *m, uint32_t number, uint32_t deployment)
{
    const struct agent_row *row = &m->agents[number - 1];
    const struct told *e = fleet_exception(m, row, deployment + 1);
    bool counts = agent_in_fleet(row) && !(row->flags & (AGENT_CORDONED | AGENT_QUARANTINED));
    return counts && permit_awaits(m, number, deployment) ? e : NULL;
}

bool permit_awaits(const struct manager *m, uint32_t number, uint32_t deployment)
{
    const struct told *e = fleet_exception(m, &m->agents[number - 1], deployment + 1);
    return e && permit_asks(e->state, e->cause) && !permit_has(m, number, deployment);
}

/* And when that changes by mere time, all are looked at again. */
static bool reaches(struct turn *t, uint32_t number, uint32_t deployment)
{
    struct manager *m = t->m;
    const struct agent_row *row = &m->agents[number - 1];
    uint32_t within_s = permit_reach_s(m, deployment, row->cohort);
    return fleet_reaches(row, within_s, t->ev->now_s, &m->permits_again_s);
}

/* ---- how many ---- */

static uint32_t places_of(const struct manager *m, uint32_t deployment, struct arena *scratch)
{
    struct amount limit = m->deployments[deployment].plan.returning;
    if (limit.value == 0)
        return UINT32_MAX;
    if (!limit.percent)
        return limit.value;
    struct whom whom = whom_is(m, deployment, scratch);
    uint32_t targets = 0;
    for (uint32_t i = 0; i < m->cohort_count; i++)
        targets += pick_count(&whom, i);
    return amount_of(limit, targets);
}

/* Who holds a slot of the rollout takes no place of those that come back. */
static uint32_t taken_of(const struct manager *m, uint32_t deployment)
{
    uint32_t taken = 0;
    for (uint32_t i = 0; i < m->permit_count; i++)
        if (m->permits[i].deployment == deployment)
            taken += !flight_holds(m, deployment, m->permits[i].number);
    return taken;
}

static uint32_t asking_for(const struct manager *m, uint32_t deployment)
{
    uint32_t asking = 0;
    for (uint32_t n = 1; n <= m->agent_count; n++) {
        if (!m->asking[n / 8])
            n |= 7; /* none of these eight */
        else
            asking += bits_have(m->asking, n) && request_of(m, n, deployment);
    }
    return asking;
}

void manager_returning(const struct manager *m, uint32_t deployment, struct arena *scratch,
                       struct returning_use *out)
{
    *out = (struct returning_use){.places = places_of(m, deployment, scratch),
                                  .taken = taken_of(m, deployment),
                                  .asking = asking_for(m, deployment)};
}

/* ---- taking back ---- */

/* It is at work with it, or about to be: so is who was let go on, and has yet to hear it. */
static bool is_used(const struct deployment_row *d, const struct agent_deployment *has)
{
    if (deployment_state_works(has->state))
        return true;
    if (has->state == STATE_PAUSED)
        return !(d->flags & RECORD_PAUSED);
    bool waits = has->cause == CAUSE_AFTER || has->cause == CAUSE_STUCK ||
                 has->cause == CAUSE_WINDOW || has->cause == CAUSE_CLOCK ||
                 has->cause == CAUSE_VARIABLE;
    return has->state == STATE_PENDING && !waits;
}

/* What holds its agent up takes it back, so all of that is its agent's own time. Whoever was loaded
 * has its whole deadline once more. */
static bool is_overdue(struct turn *t, struct permitted *p)
{
    uint32_t deadline_s = t->m->deployments[p->deployment].plan.deadline_s;
    uint64_t now_s = t->ev->now_s;
    if (p->since_s == 0)
        p->since_s = now_s;
    uint64_t end_s = p->since_s + deadline_s;
    if (deadline_s > 0 && end_s > now_s && end_s < t->m->permits_again_s)
        t->m->permits_again_s = end_s;
    return deadline_s > 0 && end_s <= now_s;
}

/* It is to run that; what it is kept from by a gate, it isn't yet. */
static bool is_to_run(const struct manager *m, uint32_t number, uint32_t deployment,
                      uint32_t generation, struct agent_deployment *out)
{
    return fleet_judge(m, number, deployment, out) && out->wanted == generation &&
           !(out->held && generation == manager_generation(m, deployment));
}

static bool stays(struct turn *t, struct permitted *p)
{
    struct manager *m = t->m;
    const struct deployment_row *d = &m->deployments[p->deployment];
    const struct agent_row *row = &m->agents[p->number - 1];
    struct agent_deployment has;
    return !d->removed && permit_is_needed(m, p->deployment, row->cohort) && agent_in_fleet(row) &&
           !(row->flags & AGENT_CORDONED) && !is_overdue(t, p) &&
           reaches(t, p->number, p->deployment) &&
           is_to_run(m, p->number, p->deployment, p->generation, &has) && is_used(d, &has);
}

/* False: the step is full. */
static bool take_back(struct turn *t)
{
    struct manager *m = t->m;
    while (m->permit_cursor < m->permit_count) {
        uint32_t number = m->permits[m->permit_cursor].number;
        if (persist_is_full(t))
            return false;
        if (stays(t, &m->permits[m->permit_cursor])) {
            m->permit_cursor++;
            continue;
        }
        drop(m, m->permit_cursor);
        if (agent_in_fleet(&m->agents[number - 1]))
            fleet_tell(t, number);
    }
    return true;
}

/* ---- handing out ---- */

/* Of what was stopped since too many failed, nobody else begins. */
static bool may_have(struct turn *t, uint32_t number, uint32_t deployment, const struct told *e)
{
    struct manager *m = t->m;
    const struct deployment_row *d = &m->deployments[deployment];
    struct agent_deployment has;
    struct permit already[PERMITS_MAX];
    bool stopped =
        d->rollout.state == ROLLOUT_STOPPED && e->generation == manager_generation(m, deployment);
    return !stopped && reaches(t, number, deployment) &&
           is_to_run(m, number, deployment, e->generation, &has) &&
           m->permit_count < PERMITTED_MAX && manager_permits(m, number, already) < PERMITS_MAX;
}

static bool gives(const struct deployment_row *d)
{
    return !d->removed && !(d->flags & RECORD_PAUSED);
}

/* Budgets, as bits, that have room for nobody else. */
static uint32_t full_ones(const struct manager *m, uint32_t budgets)
{
    uint32_t full = 0;
    for (uint32_t b = 0; budgets >> b && b < BUDGETS_MAX; b++)
        if (budgets >> b & 1 && m->permit_room[b] == 0)
            full |= 1u << b;
    return full;
}

/* From now on it is out of Ready, where it isn't yet. */
static void charge(struct turn *t, uint32_t number)
{
    struct manager *m = t->m;
    uint32_t budgets = budget_asks(m, number, t->ev->now_s);
    for (uint32_t b = 0; budgets >> b && b < BUDGETS_MAX; b++)
        m->permit_room[b] -= budgets >> b & 1;
    if (budgets)
        budget_charge(m, number);
    else
        budget_keep(m, number);
}

static void give(struct turn *t, uint32_t number, uint32_t deployment, uint32_t generation)
{
    const struct flight *flight = flight_of(t->m, deployment);
    add(t->m, &(struct permitted){.number = number,
                                  .deployment = deployment,
                                  .generation = generation,
                                  .slot = flight && flight_has(flight, number),
                                  .since_s = t->ev->now_s});
    charge(t, number);
    fleet_tell(t, number);
}

/* Who was gone for a moment only, and still holds its slot; and its place in budgets. */
void permit_answer(struct turn *t, uint32_t number)
{
    struct manager *m = t->m;
    for (uint32_t i = 0; i < ROLLOUTS_MAX && bits_have(m->asking, number); i++) {
        uint32_t deployment = m->flights[i].deployment - 1; /* 0 wraps: it is free */
        if (deployment >= m->deployment_count || !flight_holds(m, deployment, number))
            continue;
        const struct told *e = request_of(m, number, deployment);
        if (e && gives(&m->deployments[deployment]) && budget_asks(m, number, t->ev->now_s) == 0 &&
            may_have(t, number, deployment, e))
            give(t, number, deployment, e->generation);
    }
}

/* Those behind the one that had the last permit come first, so that each has its turn. False: the
 * step is full. */
static bool hand_out_to(struct turn *t, uint32_t deployment, uint32_t first, uint32_t last,
                        uint32_t *places)
{
    struct manager *m = t->m;
    for (uint32_t n = first; n <= last; n++) {
        if (!m->asking[n / 8]) {
            n |= 7; /* none of these eight */
            continue;
        }
        const struct told *e = request_of(m, n, deployment);
        bool slot = e && flight_holds(m, deployment, n);
        if (!e || (!slot && *places == 0) || full_ones(m, budget_asks(m, n, t->ev->now_s)) ||
            !may_have(t, n, deployment, e))
            continue;
        if (persist_is_full(t))
            return false;
        *places -= !slot;
        if (!slot)
            m->permit_last[deployment] = n;
        give(t, n, deployment, e->generation);
    }
    return true;
}

/* Places are counted once in a look, and not where nobody asks: that may be a walk over the fleet.
 */
static bool hand_out(struct turn *t, uint32_t deployment)
{
    struct manager *m = t->m;
    if (!gives(&m->deployments[deployment]) || asking_for(m, deployment) == 0)
        return true;
    if (m->permit_places == 0)
        m->permit_places = places_of(m, deployment, t->scratch);
    arena_reset(t->scratch);
    uint32_t taken = taken_of(m, deployment), last = m->permit_last[deployment];
    uint32_t places = taken < m->permit_places ? m->permit_places - taken : 0;
    return hand_out_to(t, deployment, last + 1, m->agent_count, &places) &&
           hand_out_to(t, deployment, 1, last, &places);
}

/* ---- looking ---- */

void permit_tick(struct turn *t)
{
    struct manager *m = t->m;
    bool due = m->permits_news != m->news || t->ev->now_s >= m->permits_again_s;
    if (due && !permit_waits(m)) {
        m->permits_news = m->news;
        m->permits_again_s = UINT64_MAX;
        m->permit_cursor = 0;
        m->permits_look = true;
        m->permits_counted = false;
        m->permit_deployment = m->permit_places = 0;
    }
    permit_tend(t);
}

bool permit_waits(const struct manager *m)
{
    return m->permits_look;
}

/* Once in a look; what comes of it is counted on the way. False: not before all documents are made.
 */
static bool count_budgets(struct turn *t)
{
    struct manager *m = t->m;
    if (m->asking_count == 0 || m->budget_count == 0)
        return true;
    if (!m->permits_counted && !budget_count(t))
        return false;
    m->permits_counted = true;
    for (uint32_t b = 0; b < m->budget_count; b++)
        m->permit_room[b] = budget_room(m, b);
    uint64_t until_s = budget_until_s(m);
    m->permits_again_s = until_s < m->permits_again_s ? until_s : m->permits_again_s;
    return true;
}

void permit_tend(struct turn *t)
{
    struct manager *m = t->m;
    if (!m->permits_look || !take_back(t) || !count_budgets(t))
        return;
    for (; m->permit_deployment < m->deployment_count && m->asking_count > 0;
         m->permit_deployment++, m->permit_places = 0)
        if (!hand_out(t, m->permit_deployment))
            return;
    m->permits_look = false;
}
