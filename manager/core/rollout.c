#include "manager/core/frontier.h"
#include "manager/core/rank.h"
#include "manager/core/state.h"

#include <assert.h>

/* Whoever moves a gate sends a new document to everybody behind it: brokers take a second for so
 * many agents, and that much time passes until it moves again. */
#define MOVE_AGENTS_PER_S 50000
/* For less than this part of a stage's slots it waits until more are free, so that not everybody is
 * told of each one that comes to an end; but no longer than this, as those at work may take any
 * time. */
#define MOVE_PART 8
#define MOVE_PATIENCE_S 10
/* As long as more than that part of those in reach haven't told that they have the document of the
 * move before, it is worth still less: they would have to fetch the whole of the next one. */
#define MOVE_BEHIND_S 60

/* A survey keeps three bytes of each cohort. */
_Static_assert(MANAGER_COHORTS_MAX * 3 + sizeof(struct rank) + sizeof(struct frontier) + 1024 <
                   MANAGER_SCRATCH_MAX,
               "a survey, a rank and a frontier fit into a step's scratch");

/* One rollout being looked at. */
struct tending {
    struct turn *t;
    uint32_t index;
    struct deployment_row *d;
    struct rollout *r;
    const struct plan_stage *stage;
    struct flight *flight;
    struct survey survey;
    struct rank *rank;
    struct frontier *frontier;
    struct stage_count count;   /* of the stage */
    const struct in_line *line; /* those of it that aren't let in yet, */
    uint32_t line_count;
    uint32_t having;    /* and of these, in reach, those that need no slot, */
    uint32_t coming;    /* and the others */
    uint32_t reachable; /* of the stage, */
    uint32_t behind;    /* and of these: they have an older document than their cohort's */
    bool fresh;         /* nobody knows yet who is in flight */
    bool changed;       /* the row is to be persisted */
    uint64_t told_s;    /* when the gate may move again */
    uint32_t budget;    /* index + 1 of the one that holds it */
};

static bool open_stage(struct tending *w);
static bool admit_some(struct tending *w);
static bool leave_stage(struct tending *w);

/* ---- who is in flight ---- */

/* Of those that fill all places, one that waits for this to come first gives up its own: else none
 * would ever be over. It goes on when there is a place again. */
static bool make_way(struct tending *w)
{
    int64_t waiter = dependency_waiter(w->t->m, w->index, w->t->scratch);
    if (waiter >= 0)
        flight_end(w->t->m, (uint32_t)waiter);
    return waiter >= 0;
}

/* NULL when too many others are on their way. */
static struct flight *take_flight(struct tending *w)
{
    struct manager *m = w->t->m;
    struct flight *f = flight_find(m, w->index);
    if (f)
        return f;
    f = flight_begin(m, w->index);
    if (!f && make_way(w))
        f = flight_begin(m, w->index);
    if (f)
        flight_wind_back(f, w->r->reached[w->r->stage], w->t->ev->now_s);
    w->fresh = f != NULL;
    return f;
}

/* ---- beginning and ending ---- */

static void enter_step(struct rollout *r, enum rollout_step step, uint64_t now_s)
{
    r->step = (uint8_t)step;
    r->approved = false;
    r->since_s = now_s;
}

void rollout_begin(struct turn *t, uint32_t deployment, const struct generation_row *stable)
{
    struct rollout *r = &t->m->deployments[deployment].rollout;
    flight_end(t->m, deployment);
    struct rollout before = *r;
    *r = (struct rollout){.state = ROLLOUT_RUNNING,
                          .stable = stable->generation,
                          .stable_bundle = stable->bundle,
                          .stable_values = stable->values_at,
                          .first = manager_generation(t->m, deployment)};
    memcpy(r->took_s, before.took_s, sizeof r->took_s);
    r->let_in = before.let_in;
    r->span_s = before.span_s;
    plan_put_back(&t->m->deployments[deployment].plan); /* what was set was for the one before */
    t->m->looks[deployment].budget = 0;
    enter_step(r, ROLLOUT_OPENING, t->ev->now_s);
}

void rollout_end(struct manager *m, uint32_t deployment, enum rollout_state state)
{
    struct rollout *r = &m->deployments[deployment].rollout;
    flight_end(m, deployment);
    r->state = (uint8_t)state;
    r->queued = 0;
    moment_stir(m);
}

int rollout_go_back(struct turn *t, uint32_t deployment, const struct version *to)
{
    struct manager *m = t->m;
    struct deployment_row *d = &m->deployments[deployment];
    struct generation_row stable = deployment_rolls(d) ? deployment_stable(d) : d->history[0];
    int rv = generation_push(t, deployment, to);
    if (rv < 0)
        return rv;
    budget_imply(m, &d->plan, d->selector);
    if (!budget_holds(m, d->selector)) {
        rollout_end(m, deployment, d->plan.count ? ROLLOUT_DONE : ROLLOUT_NONE);
        return 0;
    }
    rollout_begin(t, deployment, &stable);
    d->rollout.back = true;
    d->rollout.passed = (uint8_t)(2 * d->plan.count);
    return 0;
}

/* The last stage is over. What waited behind it begins with the next look, as this one's survey is
 * of another version. */
static void finish(struct tending *w)
{
    uint32_t queued = w->r->queued;
    struct generation_row stable = w->d->history[0];
    struct version next = {.bundle = queued - 1, .values_at = VALUES_NEWEST};
    rollout_end(w->t->m, w->index, ROLLOUT_DONE);
    if (queued && generation_push(w->t, w->index, &next) == 0)
        rollout_begin(w->t, w->index, &stable);
    cohort_mark_deployment(w->t->m, w->d);
}

/* Everybody goes back to what ran before, as a generation of its own. */
static void take_back(struct tending *w)
{
    struct version version;
    bool back = w->r->stable != 0 && generation_back(w->t->m, w->d, NULL, &version) &&
                rollout_go_back(w->t, w->index, &version) == 0;
    if (!back)
        rollout_end(w->t->m, w->index, ROLLOUT_ABORTED);
    cohort_mark_deployment(w->t->m, w->d);
}

/* ---- one look at one rollout ---- */

static bool is_behind(const struct tending *w, uint32_t number)
{
    const struct agent_row *row = manager_agent(w->t->m, number);
    return revision_compare(row->document, w->t->m->cohorts[row->cohort].revision) < 0;
}

/* Who runs the bundle already needs no slot, and who is still at work has one. */
static void line_up(struct tending *w, const struct member *m)
{
    struct in_line *one = &w->t->m->line[w->line_count++];
    *one = (struct in_line){.hash = m->hash, .number = m->number & IN_LINE_MAX, .has = m->has};
    one->comes = m->reachable && !m->has;
    one->slot = one->comes && !m->in_flight;
    w->coming += one->comes;
    w->having += m->reachable && m->has;
    if (one->slot)
        rank_see(w->rank, m->hash);
}

/* It had its time to say something, and was in reach; that lasts until it does. False: not in this
 * step, which is full. */
static bool note_mute(const struct tending *w, uint32_t number)
{
    struct agent_row *row = fleet_agent(w->t->m, number);
    if (row->flags & AGENT_MUTE)
        return true;
    if (w->t->out->persist_count >= MANAGER_PERSIST_MAX / 2)
        return false;
    row->flags |= AGENT_MUTE;
    persist(w->t, PERSIST_STATUS, number);
    return true;
}

/* Who became Ready, failed, had its time or went out of reach holds no slot any more. After a
 * restart everybody at work has one, but for those with a permit that they have since they came
 * back. */
static void note_flight(struct tending *w, struct member *m)
{
    bool before = m->in_flight;
    if (w->fresh)
        m->in_flight = m->result == MEMBER_ASKING
                           ? manager_agent(w->t->m, m->number)->flags & AGENT_HOLDER
                           : !permit_returns(w->t->m, m->number, w->index);
    bool full = before && m->overdue && m->mute && !note_mute(w, m->number);
    w->changed |= full;
    m->in_flight = full || (member_is_at_work(m) && !m->overdue && m->in_flight);
    if (!w->flight || m->in_flight == before)
        return;
    flight_set(w->flight, m->number, m->in_flight);
    w->flight->guessed |= m->in_flight;
}

/* Those that wait for a slot are ranked right away. */
static void count_stage(struct tending *w)
{
    struct member m;
    w->count = (struct stage_count){0};
    w->line_count = w->having = w->coming = w->reachable = w->behind = 0;
    rank_begin(w->rank, 1);
    survey_rewind(&w->survey, (uint16_t)(1u << w->r->stage));
    while (survey_next(&w->survey, &m)) {
        note_flight(w, &m);
        if (m.stage != w->r->stage)
            continue;
        survey_count(&w->count, &m);
        w->reachable += m.reachable;
        w->behind += m.reachable && is_behind(w, m.number);
        if (!m.admitted)
            line_up(w, &m);
    }
    w->fresh = false;
}

static struct tending look_at(struct turn *t, uint32_t index)
{
    struct deployment_row *d = &t->m->deployments[index];
    struct tending w = {
        .t = t,
        .index = index,
        .d = d,
        .r = &d->rollout,
        .stage = &d->plan.stages[d->rollout.stage],
        .survey = survey_begin(t->m, index, t->ev->now_s, t->scratch),
        .rank = arena_alloc(t->scratch, sizeof(struct rank)),
        .frontier = arena_alloc(t->scratch, sizeof(struct frontier)),
        .line = t->m->line,
        .budget = t->m->looks[index].budget,
    };
    assert(w.rank && w.frontier);
    return w;
}

/* A moment that it waits for, if there is one, an agent that goes out of reach or has had its time,
 * or brokers that have told all. */
static uint64_t next_look(const struct tending *w, uint64_t moment_s)
{
    uint64_t until_s = moment_s ? moment_s : UINT64_MAX, now_s = w->t->ev->now_s;
    if (w->changed)
        return now_s + 1;
    if (w->told_s > now_s && w->told_s < until_s)
        until_s = w->told_s;
    uint64_t overdue_s =
        w->flight ? flight_overdue_s(w->flight, now_s, w->d->plan.deadline_s) : UINT64_MAX;
    until_s = overdue_s < until_s ? overdue_s : until_s;
    uint64_t budget_s = w->budget ? budget_until_s(w->t->m) : UINT64_MAX;
    until_s = budget_s < until_s ? budget_s : until_s;
    return w->survey.until_s < until_s ? w->survey.until_s : until_s;
}

/* Each stage that has nothing to do is passed at once. */
uint64_t rollout_tend(struct turn *t, uint32_t deployment, struct look *look)
{
    static bool (*const steps[])(struct tending *) = {
        [ROLLOUT_OPENING] = open_stage,
        [ROLLOUT_ADMITTING] = admit_some,
        [ROLLOUT_CLOSING] = leave_stage,
    };
    struct tending w = look_at(t, deployment);
    while (w.r->state == ROLLOUT_RUNNING && steps[w.r->step](&w)) {
        w.changed = true;
        w.stage = &w.d->plan.stages[w.r->stage];
    }
    if (w.changed)
        persist(t, PERSIST_DEPLOYMENT, deployment);
    uint64_t until_s;
    enum rollout_hold hold =
        manager_rollout_hold(t->m, deployment, t->ev->now_s, &w.count, &until_s);
    look->again_s = next_look(&w, hold == HOLD_TIME || hold == HOLD_REACH ? until_s : 0);
    look->budget = w.budget;
    look->idle = w.count.in_flight == 0;
    look->unreached = hold == HOLD_REACH;
    look->goes_on_s = look->unreached ? until_s : 0;
    return w.survey.passed;
}

static bool is_past(const struct tending *w, const struct threshold *what, uint64_t since_s)
{
    if (rollout_has_passed(w->r))
        return true;
    return (!what->approval || w->r->approved) && w->t->ev->now_s >= since_s + what->wait_s;
}

/* ---- opening: approval and wait, then who is of the stage ---- */

/* A stage by share ends at the hash of its last agent. Who joins from now on is none of it. */
static void begin_stage(struct tending *w)
{
    struct rollout *r = w->r;
    enter_step(r, ROLLOUT_ADMITTING, w->t->ev->now_s);
    r->enrolled_before[r->stage] = w->t->m->agent_count + 1;
    r->reached[r->stage] = 0;
    r->end = UINT64_MAX;
    r->excused = 0;
    r->overdue = 0;
    r->ready = 0;
    r->most = 0;
    r->success_s = w->t->ev->now_s;
    if (w->stage->share.value == 0)
        return;
    count_stage(w);
    uint32_t share = amount_of(w->stage->share, w->count.members);
    if (share == 0) {
        r->end = 0; /* who comes later is of a later stage */
        return;
    }
    rank_begin(w->rank, share);
    do
        for (uint32_t i = 0; i < w->line_count; i++) /* nobody of it is let in yet */
            rank_see(w->rank, w->line[i].hash);
    while (rank_next(w->rank));
    r->end = w->rank->value;
}

static void mark_stage(struct tending *w)
{
    for (uint32_t i = 0; i < w->t->m->cohort_count; i++)
        if (w->survey.stages[i] >> w->r->stage & 1)
            cohort_mark(w->t->m, i);
}

/* What goes back has been there before, and waits for no day. */
static bool open_stage(struct tending *w)
{
    if (w->t->ev->now_s < w->d->plan.start_s && !w->r->back)
        return false;
    if (!is_past(w, &w->stage->before, w->r->since_s))
        return false;
    begin_stage(w);
    return true;
}

/* ---- admitting: as many as there are slots for, by rising hash ---- */

/* The hash up to which exactly `slots` reachable agents more are in that have something to do,
 * right after counting. */
static uint64_t next_reach(struct tending *w, uint32_t slots)
{
    rank_aim(w->rank, slots);
    while (rank_next(w->rank))
        for (uint32_t i = 0; i < w->line_count; i++)
            if (w->line[i].slot)
                rank_see(w->rank, w->line[i].hash);
    return w->rank->value;
}

/* Whoever was mute until now has its time for this as well. */
static void forget_mute(struct tending *w, uint32_t number)
{
    struct agent_row *row = fleet_agent(w->t->m, number);
    if (!(row->flags & AGENT_MUTE) || w->t->out->persist_count >= MANAGER_PERSIST_MAX / 2)
        return;
    row->flags &= (uint16_t)~AGENT_MUTE;
    persist(w->t, PERSIST_STATUS, number);
}

static void admit(struct tending *w, uint64_t reach)
{
    uint32_t coming = 0;
    for (uint32_t i = 0; i < w->line_count; i++) {
        const struct in_line *one = &w->line[i];
        if (one->hash > reach)
            continue;
        forget_mute(w, one->number);
        coming += one->comes;
        w->count.in_flight += one->slot;
        if (one->slot)
            flight_set(w->flight, one->number, true);
        if (one->budgets)
            budget_charge(w->t->m, one->number);
        else
            budget_keep(w->t->m, one->number);
    }
    w->r->reached[w->r->stage] = reach;
    rate_charge(w->d, w->t->ev->now_s, coming);
    flight_depart(w->flight, reach, w->t->ev->now_s, w->d->plan.deadline_s);
    mark_stage(w);
}

static bool is_worth_a_move(struct tending *w, uint32_t slots, uint32_t free)
{
    bool late = (uint64_t)w->behind * MOVE_PART > w->reachable;
    uint64_t until_s = w->flight->moved_s + (late ? MOVE_BEHIND_S : MOVE_PATIENCE_S);
    if ((uint64_t)free * MOVE_PART >= slots || w->t->ev->now_s >= until_s)
        return true;
    w->told_s = until_s;
    return false;
}

/* ---- budgets: what other deployments have out of Ready counts as well ---- */

static bool is_budgeted(const struct tending *w)
{
    const struct manager *m = w->t->m;
    for (uint32_t i = 0; i < m->cohort_count && m->budget_count > 0; i++)
        if (w->survey.stages[i] >> w->r->stage & 1 && m->cohort_budgets[i])
            return true;
    return false;
}

static void ask_budgets(struct tending *w)
{
    struct manager *m = w->t->m;
    for (uint32_t i = 0; i < w->line_count; i++)
        if (!m->line[i].has)
            m->line[i].budgets = budget_asks(m, m->line[i].number, w->t->ev->now_s);
}

/* How far the gate may go until some budget has one agent too many. */
static uint64_t budgeted_reach(struct tending *w)
{
    const struct manager *m = w->t->m;
    frontier_begin(w->frontier);
    for (uint32_t b = 0; b < m->budget_count; b++)
        w->frontier->room[b] = budget_room(m, b);
    do
        for (uint32_t i = 0; i < w->line_count; i++)
            if (w->line[i].slot || w->line[i].budgets)
                frontier_see(w->frontier, w->line[i].hash, w->line[i].budgets);
    while (frontier_next(w->frontier));
    if (w->frontier->group != FRONTIER_NO_GROUP)
        w->budget = w->frontier->group + 1;
    return w->frontier->value;
}

static uint32_t count_let_in(const struct tending *w, uint64_t reach)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < w->line_count; i++)
        count += w->line[i].hash <= reach && (w->line[i].slot || w->line[i].budgets);
    return count;
}

/* False: for now it stays where it is. Else `reach` is within all budgets. */
static bool keep_budgets(struct tending *w, uint64_t *reach)
{
    struct manager *m = w->t->m;
    if (!is_budgeted(w))
        return true;
    if (!budget_count(w->t)) {
        w->told_s = w->t->ev->now_s + 1;
        return false;
    }
    ask_budgets(w);
    uint64_t most = budgeted_reach(w);
    if (*reach <= most)
        w->budget = 0;
    if (!w->budget)
        return true;
    *reach = most;
    uint32_t count = count_let_in(w, most);
    return count > 0 && is_worth_a_move(w, budget_max(m, w->budget - 1), count);
}

/* False: for now it stays where it is. Else `reach` is within the rate. */
static bool keep_rate(struct tending *w, uint64_t *reach)
{
    uint32_t room = rate_room(w->d, w->t->ev->now_s);
    if (room >= w->coming)
        return true;
    if (room == 0) {
        w->told_s = manager_rate_until_s(w->d, w->t->ev->now_s);
        return false;
    }
    rank_begin(w->rank, room);
    do
        for (uint32_t i = 0; i < w->line_count; i++)
            if (w->line[i].comes)
                rank_see(w->rank, w->line[i].hash);
    while (rank_next(w->rank));
    *reach = w->rank->value < *reach ? w->rank->value : *reach;
    return true;
}

/* Where nobody is left to wait for a slot, those that are away need not wait either. */
static bool fill_slots(struct tending *w)
{
    struct amount all = {0};
    uint32_t slots = amount_of(w->r->back ? all : w->stage->concurrency, w->count.members);
    uint32_t taken = w->count.in_flight;
    uint64_t reach = w->r->end;
    w->told_s = w->flight->moved_s + w->count.members / MOVE_AGENTS_PER_S;
    if (w->r->reached[w->r->stage] >= reach || w->t->ev->now_s < w->told_s)
        return false;
    w->budget = 0;
    if (slots < taken + w->count.waiting - w->having) {
        if (slots <= taken || !is_worth_a_move(w, slots, slots - taken))
            return false;
        reach = next_reach(w, slots - taken);
    }
    reach = reach < w->r->end ? reach : w->r->end;
    if (!keep_rate(w, &reach) || !keep_budgets(w, &reach))
        return false;
    admit(w, reach);
    return true;
}

/* Who wrote no stages said nothing of failures either; and there is nothing better to go back to.
 */
static bool failed_too_often(const struct tending *w)
{
    uint32_t allowed = plan_may_fail(&w->d->plan, w->r->stage, w->r->most);
    if (w->d->plan.implied || w->r->back)
        return false;
    return w->count.failed > w->r->excused && w->count.failed - w->r->excused > allowed;
}

/* Whoever is let in and hasn't begun keeps its place, in a budget as well, and waits. */
static void stop(struct tending *w)
{
    struct alarm *alarm = raise_alarm(w->t, ALARM_ROLLOUT_STOPPED);
    alarm->index = w->index;
    w->changed = true;
    w->flight = NULL;
    if (w->d->plan.on_failure == REMEDY_ROLL_BACK) {
        take_back(w);
        return;
    }
    if (w->d->plan.on_failure == REMEDY_PAUSE) {
        flight_end(w->t->m, w->index);
        w->r->state = ROLLOUT_STOPPED;
    } else {
        rollout_end(w->t->m, w->index, ROLLOUT_ABORTED);
    }
    cohort_mark_deployment(w->t->m, w->d);
}

/* All have been let in, and the reachable have come to an end, or enough of them. What goes back
 * waits for nobody. */
static bool is_done(const struct tending *w)
{
    const struct stage_count *c = &w->count;
    uint32_t at_work = c->in_flight + c->returning + c->asking;
    uint64_t present = (uint64_t)c->ready + c->failed + at_work;
    uint64_t goes_on_s;
    bool shown = survey_has_shown(w->d, c, w->t->ev->now_s, &goes_on_s);
    bool enough =
        at_work == 0 || w->r->approved ||
        (w->d->plan.quorum < 100 && (uint64_t)c->ready * 100 >= present * w->d->plan.quorum);
    return w->r->reached[w->r->stage] >= w->r->end && (w->r->back || (shown && enough));
}

static void note_members(struct tending *w)
{
    if (w->count.members <= w->r->most)
        return;
    w->r->most = w->count.members;
    w->changed = true;
}

static void note_success(struct tending *w)
{
    if (w->count.ready == w->r->ready)
        return;
    if (w->count.ready > w->r->ready)
        w->r->success_s = w->t->ev->now_s;
    w->r->ready = w->count.ready;
    w->changed = true;
}

/* Whoever had its time by now has had it also for a manager that is started next. Who was forgiven
 * and is well again leaves no room for another one to fail. */
static void note_failures(struct tending *w)
{
    struct rollout *r = w->r;
    if (w->count.overdue != r->overdue) {
        r->overdue = w->count.overdue;
        r->watched_s = w->t->ev->now_s;
        w->changed = true;
    }
    if (w->count.failed < r->excused) {
        r->excused = w->count.failed;
        w->changed = true;
    }
}

/* False: it was stopped, since too many of the stage have failed. */
static bool look_at_stage(struct tending *w)
{
    count_stage(w);
    note_members(w);
    note_success(w);
    note_failures(w);
    if (!failed_too_often(w))
        return true;
    stop(w);
    return false;
}

static bool admit_some(struct tending *w)
{
    w->flight = take_flight(w);
    if (!w->flight)
        return false;
    w->survey.flight = w->flight;
    if (!look_at_stage(w))
        return false;
    if (is_done(w)) {
        uint64_t took_s = w->t->ev->now_s - w->r->since_s;
        w->r->took_s[w->r->stage] = took_s ? (uint32_t)took_s : 1;
        enter_step(w->r, ROLLOUT_CLOSING, w->t->ev->now_s);
        flight_end(w->t->m, w->index);
        w->flight = NULL;
        w->survey.flight = NULL;
        w->r->reached[w->r->stage] = w->r->end;
        mark_stage(w);
        return true;
    }
    w->changed |= fill_slots(w);
    return false;
}

/* ---- closing: the gate stays open behind it, for those that come back ---- */

static bool leave_stage(struct tending *w)
{
    struct rollout *r = w->r;
    if (!look_at_stage(w))
        return false;
    bool matters = w->count.members > 0 || w->stage->after.approval;
    if (matters && !is_past(w, &w->stage->after, r->success_s))
        return false;
    if (r->stage + 1u == w->d->plan.count) {
        finish(w);
        w->changed = true;
        return false;
    }
    r->stage++;
    enter_step(r, ROLLOUT_OPENING, w->t->ev->now_s);
    return true;
}

struct stage_count rollout_count(struct turn *t, uint32_t deployment)
{
    struct tending w = look_at(t, deployment);
    count_stage(&w);
    arena_reset(t->scratch);
    return w.count;
}
