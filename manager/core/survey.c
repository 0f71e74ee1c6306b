#include "manager/core/state.h"

#include <assert.h>

/* ---- stages and gates ---- */

uint16_t survey_stages(const struct manager *m, const struct deployment_row *d,
                       const struct labels *labels)
{
    uint16_t stages = 0;
    for (uint32_t i = 0; i < d->plan.count; i++) {
        struct selector selector = group_selector(m, d->plan.stages[i].selector);
        if (selector_matches(&selector, labels))
            stages |= (uint16_t)(1u << i);
    }
    return stages;
}

/* Of one that is no more on its way all are over: the newest generation is everybody's. */
static bool is_over(const struct deployment_row *d, uint32_t stage)
{
    const struct rollout *r = &d->rollout;
    return !deployment_rolls(d) || stage < r->stage ||
           (stage == r->stage && r->step == ROLLOUT_CLOSING);
}

static bool has_begun(const struct deployment_row *d, uint32_t stage)
{
    const struct rollout *r = &d->rollout;
    return !deployment_rolls(d) || stage < r->stage ||
           (stage == r->stage && r->step != ROLLOUT_OPENING);
}

static uint32_t enrolled_before(const struct deployment_row *d, uint16_t stages)
{
    for (uint32_t i = 0; stages >> i; i++)
        if (stages >> i & 1)
            return has_begun(d, i) ? d->rollout.enrolled_before[i] : UINT32_MAX;
    return UINT32_MAX;
}

/* The stages that match one behind the other: each reaches higher than the one before. One that
 * takes all and is over lets in whoever comes. */
struct gate survey_gate(const struct deployment_row *d, uint16_t stages)
{
    const struct rollout *r = &d->rollout;
    struct gate gate = {0};
    if (!deployment_rolls(d))
        return GATE_OPEN;
    for (uint32_t i = 0; i < d->plan.count && has_begun(d, i); i++) {
        if (!(stages >> i & 1) || r->reached[i] <= gate.threshold)
            continue;
        if (is_over(d, i) && r->reached[i] == UINT64_MAX)
            return GATE_OPEN;
        gate.threshold = r->reached[i];
        gate.enrolled_before = enrolled_before(d, stages);
    }
    return gate;
}

/* A cohort's agents are of those stages that match it up to the first that takes all of them; of
 * these, the newest that has begun. So each goes by its stage's window while that is rolled out,
 * who comes back later by that of the stage after it, and in the end all by their last one's. */
static const struct schedule *schedule_of(const struct deployment_row *d, uint16_t stages)
{
    const struct plan_stage *newest = NULL;
    for (uint32_t i = 0; i < d->plan.count; i++) {
        const struct plan_stage *stage = &d->plan.stages[i];
        if (!(stages >> i & 1))
            continue;
        if (newest && !has_begun(d, i))
            break;
        newest = stage;
        if (stage->share.value == 0)
            break;
    }
    return newest && newest->window.cron[0] ? &newest->window : &d->plan.window;
}

const struct schedule *survey_schedule(const struct manager *m, const struct deployment_row *d,
                                       const struct labels *labels)
{
    bool differ = false;
    for (uint32_t i = 0; i < d->plan.count; i++)
        differ |= d->plan.stages[i].window.cron[0] != '\0';
    return differ ? schedule_of(d, survey_stages(m, d, labels)) : &d->plan.window;
}

/* Which of the matching stages has this agent; STAGES_MAX: one by share that has not begun yet. */
static uint32_t stage_of(const struct deployment_row *d, uint16_t stages, uint64_t hash)
{
    const struct rollout *r = &d->rollout;
    for (uint32_t i = 0; i < d->plan.count; i++) {
        if (!(stages >> i & 1))
            continue;
        if (d->plan.stages[i].share.value == 0)
            return i;
        if (has_begun(d, i) && hash <= (is_over(d, i) ? r->reached[i] : r->end))
            return i;
    }
    return STAGES_MAX;
}

/* Behind the gate of its cohort. */
static struct standing stand(const struct deployment_row *d, uint16_t stages,
                             const struct gate *gate, uint32_t before, uint64_t hash,
                             uint32_t number)
{
    bool admitted = gate_passes(gate, hash, number);
    return (struct standing){.stage = stage_of(d, stages, hash),
                             .admitted = admitted,
                             .late = !admitted && number >= before};
}

struct standing survey_stand(const struct deployment_row *d, uint16_t stages, uint64_t hash,
                             uint32_t number)
{
    struct gate gate = survey_gate(d, stages);
    return stand(d, stages, &gate, enrolled_before(d, stages), hash, number);
}

/* ---- the walk ---- */

static const uint16_t *find_stages(const struct manager *m, uint32_t deployment,
                                   struct arena *scratch)
{
    const struct plan *plan = &m->deployments[deployment].plan;
    uint16_t *stages = arena_alloc(scratch, (m->cohort_count + 1) * sizeof *stages);
    uint8_t *placed = arena_alloc(scratch, m->cohort_count + 1);
    assert(stages && placed);
    memset(stages, 0, m->cohort_count * sizeof *stages);
    cohort_find_placed(m, deployment, placed);
    for (uint32_t k = 0; k < plan->count; k++) {
        struct selector selector = group_selector(m, plan->stages[k].selector);
        for (uint32_t i = 0; i < m->cohort_count; i++)
            if (placed[i] && m->cohorts[i].agents > 0 &&
                selector_matches(&selector, &m->cohorts[i].labels))
                stages[i] |= (uint16_t)(1u << k);
    }
    return stages;
}

/* The newest generation is not the first of its bundle. */
static bool tries_again(const struct manager *m, uint32_t deployment)
{
    const struct deployment_row *d = &m->deployments[deployment];
    return deployment_rolls(d) && d->rollout.first < manager_generation(m, deployment);
}

struct survey survey_begin(const struct manager *m, uint32_t deployment, uint64_t now_s,
                           struct arena *scratch)
{
    const struct deployment_row *d = &m->deployments[deployment];
    return (struct survey){.m = m,
                           .deployment = d,
                           .index = deployment,
                           .now_s = now_s,
                           .only = UINT16_MAX,
                           .until_s = UINT64_MAX,
                           .again = tries_again(m, deployment),
                           .flight = flight_of(m, deployment),
                           .stages = find_stages(m, deployment, scratch)};
}

/*
 * Who waits for a deployment that is on its way there is as one at work, and keeps its slot: were
 * it given to another one, all of them would begin together as soon as that deployment has come,
 * and be more than the stage allows. The same with windows, which open for many in the same minute,
 * and with what failed and is tried again. All of it comes to an end: that deployment does, every
 * window opens again, and tries are counted. But a deployment that failed there, or is not for it,
 * nobody need be waited for to bring: who is stuck holds no slot, and the stage ends without it, as
 * without one that is away; so with a device that doesn't know the time that its window goes by,
 * or lacks a variable's value.
 * When that is mended, it finds its gate open, and counts among those that return.
 */
static enum member_result result_of(enum deployment_state state, enum cause cause)
{
    if (state == STATE_READY)
        return MEMBER_READY;
    if (state == STATE_FAILED || state == STATE_ROLLED_BACK)
        return MEMBER_FAILED;
    bool stuck = cause == CAUSE_STUCK || cause == CAUSE_CLOCK || cause == CAUSE_VARIABLE;
    if (state == STATE_PENDING && cause == CAUSE_RETURNING)
        return MEMBER_ASKING;
    return state == STATE_PENDING && stuck ? MEMBER_STUCK : MEMBER_OPEN;
}

/* Its word on the generation that is rolled out. Of one that is everybody's it says nothing when it
 * is Ready. */
static enum member_result ask(const struct survey *s, uint32_t number)
{
    struct agent_deployment d;
    if (!deployment_rolls(s->deployment))
        return fleet_judge(s->m, number, s->index, &d) ? result_of(d.state, d.cause) : MEMBER_OPEN;
    if (s->again)
        return fleet_judge(s->m, number, s->index, &d) && !d.held ? result_of(d.state, d.cause)
                                                                  : MEMBER_OPEN;
    const struct told *e = fleet_exception(s->m, manager_agent(s->m, number), s->index + 1);
    bool told = e && e->generation == manager_generation(s->m, s->index);
    return told ? result_of((enum deployment_state)e->state, (enum cause)e->cause) : MEMBER_OPEN;
}

/* As long as it has not said that it knows better, or says that it is at work. Who only waits has
 * begun with what was withdrawn since, or with nothing. */
static bool is_busy(const struct survey *s, const struct agent_row *row, const struct told *e)
{
    const struct revision *newest = &s->m->cohorts[row->cohort].revision;
    if (!(row->flags & AGENT_ASSIGNED) || revision_compare(row->document, *newest) != 0)
        return true;
    return e && deployment_state_works(e->state) && e->running < s->deployment->rollout.first;
}

/* What it still does, or has, of an earlier try. */
static void look_back(const struct survey *s, struct member *m)
{
    const struct agent_row *row = manager_agent(s->m, m->number);
    struct agent_deployment d;
    m->has = fleet_judge(s->m, m->number, s->index, &d) && d.state == STATE_READY &&
             d.running >= s->deployment->rollout.first;
    m->busy = !m->has && is_busy(s, row, fleet_exception(s->m, row, s->index + 1));
}

void survey_rewind(struct survey *s, uint16_t only)
{
    s->only = only;
    s->cohort = 0;
    s->next = s->end = NULL;
}

/* False: there is no further cohort. */
static bool enter_next(struct survey *s)
{
    const struct manager *m = s->m;
    while (s->cohort < m->cohort_count && !(s->stages[s->cohort] & s->only))
        s->cohort++;
    if (s->cohort == m->cohort_count)
        return false;
    const struct cohort *c = &m->cohorts[s->cohort];
    s->gate = survey_gate(s->deployment, s->stages[s->cohort]);
    s->enrolled_before = enrolled_before(s->deployment, s->stages[s->cohort]);
    s->picked = pick_gate(s->deployment, &c->labels);
    s->next = muster_of(m, s->cohort++);
    s->end = s->next + c->agents;
    s->passed += c->agents;
    return true;
}

/* Time that matters passes at this moment. */
static void look_at(struct survey *s, uint64_t moment_s)
{
    if (moment_s > s->now_s && moment_s < s->until_s)
        s->until_s = moment_s;
}

/* By its own word; who has given none yet holds its slot as long as a deadline is, and is mute
 * then. One that has more to tell than it can is no such one. */
static bool is_overdue(struct survey *s, const struct agent_row *row, struct member *m)
{
    const struct deployment_row *d = s->deployment;
    uint32_t deadline_s = d->plan.deadline_s;
    if (deadline_s == 0 || !m->admitted || m->result == MEMBER_READY || m->result == MEMBER_FAILED)
        return false;
    const struct told *e = fleet_exception(s->m, row, s->index + 1);
    m->mute = !e || e->generation != manager_generation(s->m, s->index);
    if (m->mute && row->flags & AGENT_TRUNCATED)
        return false;
    if (m->mute && !m->in_flight)
        return row->flags & AGENT_MUTE;
    if (m->mute)
        return !(d->flags & RECORD_PAUSED) &&
               flight_is_overdue(s->flight, m->hash, s->now_s, deadline_s);
    uint64_t end_s = stint_end_s(row, e, deadline_s);
    look_at(s, end_s);
    if (end_s <= s->now_s)
        look_at(s, stint_sure_s(s->m));
    return end_s <= stint_known_s(s->m, row, d, s->now_s);
}

/* False: it is no member of any stage. */
static bool meet(struct survey *s, uint32_t number, struct member *out)
{
    const struct deployment_row *d = s->deployment;
    const struct agent_row *row = &s->m->agents[number - 1];
    if (row->flags & AGENT_CORDONED || !list_admits(s->m, s->index, number))
        return false;
    uint64_t hash = gate_hash(d->salt, s->index + 1, number);
    struct standing stands =
        stand(d, s->stages[row->cohort], &s->gate, s->enrolled_before, hash, number);
    if (stands.stage == STAGES_MAX || stands.late || !gate_passes(&s->picked, hash, number))
        return false;
    *out = (struct member){
        .number = number,
        .stage = stands.stage,
        .hash = hash,
        .admitted = stands.admitted,
        .reachable = fleet_reaches(row, d->plan.reachable_within_s, s->now_s, &s->until_s),
        .in_flight = s->flight && flight_has(s->flight, number),
        .result = stands.admitted ? ask(s, number) : MEMBER_OPEN,
    };
    if (out->result == MEMBER_ASKING && permit_has(s->m, number, s->index))
        out->result = MEMBER_OPEN; /* it is about to hear so */
    out->overdue = is_overdue(s, row, out);
    if (s->again && !out->admitted)
        look_back(s, out);
    return true;
}

bool survey_next(struct survey *s, struct member *out)
{
    do
        while (s->next < s->end)
            if (meet(s, *s->next++, out))
                return true;
    while (enter_next(s));
    return false;
}

void survey_count(struct stage_count *c, const struct member *m)
{
    c->members++;
    if (m->result == MEMBER_READY)
        c->ready++;
    else if (m->result == MEMBER_FAILED || m->overdue)
        c->failed++;
    else if (!m->reachable)
        c->away++;
    else if (m->result == MEMBER_STUCK)
        c->stuck++;
    else if (m->in_flight && member_is_at_work(m))
        c->in_flight++;
    else if (!m->admitted)
        c->waiting++;
    else if (m->result == MEMBER_ASKING)
        c->asking++;
    else
        c->returning++;
    c->overdue += m->overdue;
}

bool survey_is_overdue(const struct manager *m, uint32_t number, uint32_t deployment,
                       uint64_t now_s)
{
    const struct deployment_row *d = &m->deployments[deployment];
    const struct agent_row *row = manager_agent(m, number);
    struct survey s = {.m = m,
                       .deployment = d,
                       .index = deployment,
                       .now_s = now_s,
                       .again = tries_again(m, deployment),
                       .flight = flight_of(m, deployment)};
    uint64_t hash = gate_hash(d->salt, deployment + 1, number);
    uint16_t stages = survey_stages(m, d, &m->cohorts[row->cohort].labels);
    struct member member = {.number = number,
                            .hash = hash,
                            .admitted = survey_stand(d, stages, hash, number).admitted,
                            .in_flight = s.flight && flight_has(s.flight, number)};
    bool counts = agent_in_fleet(row) && !(row->flags & AGENT_CORDONED);
    if (!stages || !counts || !cohort_is_placed(m, deployment, row->cohort))
        return false;
    member.result = member.admitted ? ask(&s, number) : MEMBER_OPEN;
    return is_overdue(&s, row, &member);
}

/* ---- stages whose agents aren't known yet ---- */

/* Those by share that have not begun, as bits: which agents they take shows when they do. */
static uint16_t undrawn_shares(const struct deployment_row *d)
{
    uint16_t shares = 0;
    for (uint32_t i = 0; i < d->plan.count; i++)
        if (d->plan.stages[i].share.value > 0 && !has_begun(d, i))
            shares |= (uint16_t)(1u << i);
    return shares;
}

/* Agents that a share yet to be drawn may take; and of these, those in reach: by cohort. */
static struct rest rest_of(const struct manager *m, struct arena *scratch)
{
    size_t bytes = (m->cohort_count + 1) * sizeof(uint32_t);
    struct rest rest = {
        .m = m, .agents = arena_alloc(scratch, bytes), .marked = arena_alloc(scratch, bytes)};
    assert(rest.agents && rest.marked);
    memset(rest.agents, 0, bytes);
    memset(rest.marked, 0, bytes);
    return rest;
}

/* From the first of those shares on, each stage takes its part of what is left by then. */
static void expect(const struct deployment_row *d, uint16_t shares, struct rest *rest,
                   struct stage_count out[static STAGES_MAX])
{
    uint32_t first = 0;
    while (!(shares >> first & 1))
        first++;
    for (uint32_t i = first; i < d->plan.count; i++) {
        uint32_t reachable = 0, taken = share_take(&d->plan.stages[i], rest, &reachable);
        out[i].members += taken;
        out[i].waiting += reachable;
        out[i].away += taken - reachable;
        out[i].expected = taken > 0 || (shares >> i & 1);
    }
}

/* What expectations take beside a survey's own. */
_Static_assert(MANAGER_COHORTS_MAX *(3 + 2 * sizeof(uint32_t)) + 1024 < MANAGER_SCRATCH_MAX,
               "stages are counted within a step's scratch");

void manager_survey(const struct manager *m, uint32_t deployment, uint64_t now_s,
                    struct arena *scratch, struct stage_count out[static STAGES_MAX])
{
    struct survey s = survey_begin(m, deployment, now_s, scratch);
    uint16_t shares = undrawn_shares(s.deployment);
    struct rest rest = shares ? rest_of(m, scratch) : (struct rest){.m = m};
    struct member member;
    memset(out, 0, STAGES_MAX * sizeof *out);
    while (survey_next(&s, &member)) {
        uint32_t cohort = manager_agent(m, member.number)->cohort;
        uint32_t before = (1u << member.stage) - 1;
        if (shares && (s.stages[cohort] & shares & before)) {
            rest.agents[cohort]++;
            rest.marked[cohort] += member.reachable;
        } else {
            survey_count(&out[member.stage], &member);
        }
    }
    if (shares)
        expect(s.deployment, shares, &rest, out);
}

/* ---- what it waits for ---- */

static enum rollout_hold hold_at(const struct threshold *what, bool approved, uint64_t since_s,
                                 uint64_t now_s, uint64_t *until_s)
{
    if (what->approval && !approved)
        return HOLD_APPROVAL;
    *until_s = since_s + what->wait_s;
    return now_s < *until_s ? HOLD_TIME : HOLD_NONE;
}

/* Who starts on a day waits for that as well, also when it is tried again. */
static enum rollout_hold hold_while_opening(const struct deployment_row *d, uint64_t now_s,
                                            uint64_t *until_s)
{
    const struct rollout *r = &d->rollout;
    uint64_t start_s = r->back ? 0 : d->plan.start_s;
    enum rollout_hold hold = HOLD_NONE;
    if (!rollout_has_passed(r))
        hold = hold_at(&d->plan.stages[r->stage].before, r->approved, r->since_s, now_s, until_s);
    if (hold == HOLD_APPROVAL || now_s >= start_s)
        return hold;
    *until_s = *until_s > start_s ? *until_s : start_s;
    return HOLD_TIME;
}

bool survey_has_shown(const struct deployment_row *d, const struct stage_count *c, uint64_t now_s,
                      uint64_t *goes_on_s)
{
    const struct rollout *r = &d->rollout;
    bool ends = d->plan.wait_for_first_s && c->failed == 0;
    *goes_on_s = ends ? r->since_s + d->plan.wait_for_first_s : 0;
    return c->ready > 0 || c->members == 0 || r->approved || rollout_has_passed(r) ||
           (ends && now_s >= *goes_on_s);
}

static enum rollout_hold hold_while_admitting(const struct manager *m, uint32_t deployment,
                                              const struct stage_count *c, uint64_t now_s,
                                              uint64_t *until_s)
{
    const struct look *look = &m->looks[deployment];
    const struct deployment_row *d = &m->deployments[deployment];
    if (!flight_is_possible(m, deployment))
        return HOLD_SLOT;
    if (manager_budget_holding(m, deployment) && look->idle)
        return HOLD_BUDGET;
    uint64_t rate_s = manager_rate_until_s(d, now_s);
    if (rate_s && look->idle) {
        *until_s = rate_s;
        return HOLD_RATE;
    }
    if (!c && look->unreached) {
        *until_s = look->goes_on_s;
        return HOLD_REACH;
    }
    if (!c)
        return HOLD_NONE;
    if (c->in_flight + c->returning + c->asking + c->waiting > 0)
        return HOLD_AGENTS;
    return survey_has_shown(d, c, now_s, until_s) ? HOLD_NONE : HOLD_REACH;
}

enum rollout_hold manager_rollout_hold(const struct manager *m, uint32_t deployment, uint64_t now_s,
                                       const struct stage_count *count, uint64_t *until_s)
{
    const struct deployment_row *d = &m->deployments[deployment];
    const struct rollout *r = &d->rollout;
    *until_s = 0;
    if (!deployment_rolls(d))
        return HOLD_NONE;
    if (r->state != ROLLOUT_RUNNING)
        return HOLD_OPERATOR;
    if (d->flags & RECORD_PAUSED)
        return HOLD_PAUSED;
    if (r->step == ROLLOUT_OPENING)
        return hold_while_opening(d, now_s, until_s);
    if (r->step == ROLLOUT_CLOSING && rollout_has_passed(r))
        return HOLD_NONE;
    if (r->step == ROLLOUT_CLOSING)
        return hold_at(&d->plan.stages[r->stage].after, r->approved, r->success_s, now_s, until_s);
    return hold_while_admitting(m, deployment, count, now_s, until_s);
}
