#include "base/bits.h"
#include "manager/core/state.h"

#include <assert.h>

/* ---- whose agents ---- */

/* Cohorts from `first` up to `end`. */
static void place(struct manager *m, uint32_t first, uint32_t end)
{
    memset(m->cohort_budgets + first, 0, (end - first) * sizeof *m->cohort_budgets);
    for (uint32_t b = 0; b < m->budget_count; b++) {
        if (!m->budgets[b].name[0])
            continue;
        struct selector selector = group_selector(m, m->budgets[b].selector);
        for (uint32_t i = first; i < end; i++)
            m->cohort_budgets[i] |= (uint32_t)selector_matches(&selector, &m->cohorts[i].labels)
                                    << b;
    }
}

void budget_place(struct manager *m, uint32_t cohort)
{
    place(m, cohort, cohort + 1);
}

void budget_place_all(struct manager *m)
{
    place(m, 0, m->cohort_count);
}

/* Agents of two groups are under both. */
static uint32_t touched_by(const struct manager *m, const char *text)
{
    uint32_t budgets = 0;
    struct selector selector = group_selector(m, text);
    for (uint32_t i = 0; i < m->cohort_count && m->budget_count > 0; i++)
        if (m->cohorts[i].agents > 0 && selector_matches(&selector, &m->cohorts[i].labels))
            budgets |= m->cohort_budgets[i];
    return budgets;
}

bool budget_holds(const struct manager *m, const char *selector)
{
    return touched_by(m, selector) != 0;
}

void budget_imply(const struct manager *m, struct plan *p, const char *selector)
{
    plan_strip(p);
    if (p->count == 0 && budget_holds(m, selector))
        plan_imply(p);
}

/* ---- who is out of Ready ---- */

/* What one agent is in, of all its deployments the worst. */
enum outage {
    OUTAGE_NONE,  /* it is Ready, or what ran before runs */
    OUTAGE_IDLE,  /* it waits for what doesn't come by itself, and runs what it ran */
    OUTAGE_DOUBT, /* what it was let in for was taken back, and it hasn't said that it knows */
    OUTAGE_WORK,  /* it is at work, or begins any moment */
    OUTAGE_BAD,   /* it is at no work, and doesn't run what it should */
};

static bool is_bad(uint8_t state)
{
    return state == STATE_FAILED || state == STATE_MODIFIED;
}

/* It failed, or is to try once more what did, or may have, since it had begun: with nothing to go
 * back to, it is as one that failed, whatever keeps it from that. */
static bool has_nothing(const struct told *e)
{
    bool rests =
        e && (e->state == STATE_FAILED || e->state == STATE_PENDING || e->state == STATE_PAUSED);
    return rests && e->running == 0 && stint_has_begun(e);
}

static bool knows_all(const struct manager *m, uint32_t number)
{
    const struct agent_row *row = manager_agent(m, number);
    return row->flags & AGENT_ASSIGNED &&
           revision_compare(row->document, m->cohorts[row->cohort].revision) == 0;
}

/* It asks for what it is to run, and may not begin yet. Who holds a slot of its rollout is about
 * to; and who had asked before a gate let it in, until it says that it knows of that. */
static bool awaits_permit(const struct manager *m, uint32_t number,
                          const struct agent_deployment *d)
{
    const struct told *e = fleet_exception(m, manager_agent(m, number), d->deployment + 1);
    return permit_awaits(m, number, d->deployment) && e->generation == d->wanted &&
           !flight_holds(m, d->deployment, number) &&
           (!bits_have(m->out, number) || knows_all(m, number));
}

static bool awaits_gate(const struct manager *m, uint32_t number, uint32_t deployment,
                        uint32_t depth);

/* What it comes after has not been let in there yet, or waits for such a one itself: as long as no
 * gate moves, nothing happens. To count it would leave no room for what it waits for. Each step
 * takes an exception, of which an agent has few. */
static bool awaits_other(const struct manager *m, uint32_t number, uint32_t deployment,
                         uint32_t depth)
{
    struct dependencies after = dependency_list(m, deployment);
    for (uint32_t i = 0; i < after.count && depth > 0; i++)
        if (awaits_gate(m, number, after.numbers[i] - 1, depth - 1))
            return true;
    return false;
}

static bool awaits_gate(const struct manager *m, uint32_t number, uint32_t deployment,
                        uint32_t depth)
{
    struct agent_deployment d;
    if (!fleet_judge(m, number, deployment, &d) || d.state != STATE_PENDING)
        return false;
    return d.held || awaits_permit(m, number, &d) ||
           (d.cause == CAUSE_AFTER && awaits_other(m, number, deployment, depth));
}

/* It waits for what doesn't come by itself. */
static bool is_idle(const struct manager *m, uint32_t number, const struct agent_deployment *d,
                    const struct told *e)
{
    return e && e->state == STATE_PENDING &&
           (e->cause == CAUSE_STUCK || e->cause == CAUSE_CLOCK || e->cause == CAUSE_VARIABLE ||
            awaits_permit(m, number, d) ||
            (e->cause == CAUSE_AFTER && awaits_other(m, number, d->deployment, EXCEPTIONS_MAX)));
}

/* What it has not begun, it may begin: a gate let it in and it is counted since, or it has a
 * permit. Who was brought there by anything else asks first. After a restart whoever may be out
 * counts. */
static bool may_begin(const struct manager *m, uint32_t number, uint32_t deployment)
{
    return bits_have(m->out, number) || flight_holds(m, deployment, number) ||
           permit_has(m, number, deployment);
}

static bool will_ask(const struct manager *m, uint32_t number, const struct agent_deployment *d,
                     const struct told *e)
{
    bool waits = d->state == STATE_PENDING || d->state == STATE_PAUSED;
    return waits && !(e && stint_has_begun(e)) && !may_begin(m, number, d->deployment);
}

/* It runs what is rolled out since an earlier try: all that it was let in for since is a number. */
static bool has_bundle(const struct manager *m, const struct agent_deployment *d)
{
    return d->state == STATE_READY && d->running >= m->deployments[d->deployment].rollout.first;
}

/* The gate of what is newer is closed to it: it is to run what was before. Where it was open, it
 * may have begun, until it says that it knows better. */
static enum outage held_outage(const struct manager *m, uint32_t number,
                               const struct agent_deployment *d)
{
    const struct agent_row *row = manager_agent(m, number);
    const struct cohort *c = &m->cohorts[row->cohort];
    const struct placement *p = cohort_placement(c, d->deployment + 1);
    const struct told *e = fleet_exception(m, row, d->deployment + 1);
    bool knows = has_bundle(m, d) || knows_all(m, number);
    bool doubt = bits_have(m->out, number) && !knows;
    enum outage least = doubt ? OUTAGE_DOUBT : OUTAGE_NONE;
    if ((e && is_bad(e->state)) || has_nothing(e))
        return OUTAGE_BAD;
    if (e && deployment_state_works(e->state))
        return OUTAGE_WORK;
    if (d->state == STATE_READY || (!e && p->generation == 0))
        return least;
    if (will_ask(m, number, d, e))
        return OUTAGE_IDLE;
    if (!e)
        return OUTAGE_WORK;
    if (is_idle(m, number, d, e))
        return doubt ? OUTAGE_DOUBT : OUTAGE_IDLE;
    bool runs = e->running >= p->generation || e->state == STATE_ROLLED_BACK;
    return runs ? least : OUTAGE_WORK;
}

static enum outage let_in_outage(const struct manager *m, uint32_t number,
                                 const struct agent_deployment *d)
{
    if (d->state == STATE_ROLLED_BACK)
        return OUTAGE_NONE;
    const struct told *e = fleet_exception(m, manager_agent(m, number), d->deployment + 1);
    if (is_bad((uint8_t)d->state) || has_nothing(e))
        return OUTAGE_BAD;
    /* What it said of an earlier version may be otherwise with this one. */
    bool idle =
        d->state == STATE_PENDING && e && e->generation == d->wanted && is_idle(m, number, d, e);
    return idle || will_ask(m, number, d, e) ? OUTAGE_IDLE : OUTAGE_WORK;
}

/* `worst` is the deployment that it is in. */
static enum outage outage_of(const struct manager *m, uint32_t number,
                             struct agent_deployment *worst)
{
    struct agent_deployment list[RECORDS_MAX];
    enum outage most = OUTAGE_NONE;
    size_t count = fleet_unclear(m, number, list);
    for (size_t i = 0; i < count; i++) {
        const struct agent_deployment *d = &list[i];
        enum outage now = OUTAGE_NONE;
        if (d->held)
            now = held_outage(m, number, d);
        else if (d->state != STATE_READY)
            now = let_in_outage(m, number, d);
        if (now > most)
            *worst = *d;
        most = now > most ? now : most;
    }
    return most;
}

/* ---- counting ---- */

static uint32_t budgets_at(const struct manager *m, uint32_t number)
{
    const struct agent_row *row = &m->agents[number - 1];
    bool counts = agent_in_fleet(row) && !(row->flags & AGENT_CORDONED);
    return counts ? m->cohort_budgets[row->cohort] : 0;
}

static bool reaches(const struct manager *m, uint32_t number, uint64_t now_s, uint64_t *until_s)
{
    return fleet_reaches(&m->agents[number - 1], BUDGET_REACH_S, now_s, until_s) ||
           permit_has_some(m, number);
}

bool budget_reaches(const struct manager *m, uint32_t number, uint64_t now_s)
{
    uint64_t until_s = UINT64_MAX;
    return reaches(m, number, now_s, &until_s);
}

void budget_set_apart(struct manager *m, uint32_t number)
{
    bits_set(m->apart, number, true);
}

void budget_move(struct manager *m, uint32_t number)
{
    bits_set(m->apart, number, false);
}

void budget_hear(struct manager *m, uint32_t number)
{
    struct agent_deployment worst;
    if (!bits_have(m->out, number))
        return;
    fleet_sum_up(m, m->agents[number - 1].cohort);
    if (outage_of(m, number, &worst) == OUTAGE_NONE)
        bits_set(m->out, number, false);
}

void budget_load(struct manager *m, uint32_t number)
{
    bits_set(m->out, number, true);
}

/* Who is bad counts however it came to that. */
static bool counts_as_out(const struct manager *m, uint32_t number, enum outage outage)
{
    return outage == OUTAGE_BAD || (outage >= OUTAGE_DOUBT && !bits_have(m->apart, number));
}

/* It is at work, as it says, or as it was let. What is only guessed since a restart may not be so:
 * with what it is let into then, it is one more. */
static bool is_sure(const struct manager *m, uint32_t number, enum outage outage,
                    const struct agent_deployment *worst)
{
    return outage == OUTAGE_BAD ||
           (outage == OUTAGE_WORK &&
            (bits_have(m->free, number) || deployment_state_works((uint8_t)worst->state)));
}

/* Who was out of reach, or waits for what may never come, begins when it likes: apart, until it is
 * Ready. */
static void count_agent(struct turn *t, uint32_t number, struct budget_tally *tally)
{
    struct manager *m = t->m;
    struct agent_deployment worst;
    bool here = reaches(m, number, t->ev->now_s, &tally->until_s);
    enum outage outage = here ? outage_of(m, number, &worst) : OUTAGE_IDLE;
    if (outage == OUTAGE_NONE || outage == OUTAGE_IDLE)
        bits_set(m->apart, number, outage == OUTAGE_IDLE);
    bool out = counts_as_out(m, number, outage);
    bits_set(m->out, number, out);
    bits_set(m->free, number, out && is_sure(m, number, outage, &worst));
    tally->agents++;
    tally->out += out;
}

static void count_cohort(struct turn *t, uint32_t cohort)
{
    struct manager *m = t->m;
    const struct cohort *c = &m->cohorts[cohort];
    const uint32_t *numbers = muster_of(m, cohort);
    struct budget_tally tally = {
        .news = m->news, .revision = c->revision.number, .until_s = UINT64_MAX};
    fleet_sum_up(m, cohort);
    for (uint32_t i = 0; i < c->agents; i++)
        if (budgets_at(m, numbers[i]))
            count_agent(t, numbers[i], &tally);
    m->tallies[cohort] = tally;
    m->walked += c->agents;
}

/* Nothing of the cohort is otherwise than when it was counted. */
static bool is_counted(const struct turn *t, uint32_t cohort)
{
    const struct manager *m = t->m;
    const struct budget_tally *tally = &m->tallies[cohort];
    return tally->news >= m->heard && tally->news >= m->heard_of[cohort] &&
           tally->revision == m->cohorts[cohort].revision.number && t->ev->now_s < tally->until_s;
}

bool budget_count(struct turn *t)
{
    for (uint32_t i = 0; i < t->m->cohort_count; i++) {
        if (t->m->cohort_budgets[i] == 0 || is_counted(t, i))
            continue;
        if (t->m->dirty_count > 0)
            return false;
        count_cohort(t, i);
    }
    return true;
}

uint64_t budget_until_s(const struct manager *m)
{
    uint64_t until_s = UINT64_MAX;
    for (uint32_t i = 0; i < m->cohort_count; i++)
        if (m->cohort_budgets[i] && m->tallies[i].until_s < until_s)
            until_s = m->tallies[i].until_s;
    return until_s;
}

/* ---- letting in ---- */

static struct budget_tally sum_of(const struct manager *m, uint32_t budget)
{
    struct budget_tally sum = {0};
    for (uint32_t i = 0; i < m->cohort_count; i++) {
        if (!(m->cohort_budgets[i] >> budget & 1))
            continue;
        sum.agents += m->tallies[i].agents;
        sum.out += m->tallies[i].out;
    }
    return sum;
}

uint32_t budget_max(const struct manager *m, uint32_t budget)
{
    return amount_of(m->budgets[budget].max, sum_of(m, budget).agents);
}

uint32_t budget_room(const struct manager *m, uint32_t budget)
{
    uint32_t max = budget_max(m, budget), out = sum_of(m, budget).out;
    return out < max ? max - out : 0;
}

uint32_t budget_asks(const struct manager *m, uint32_t number, uint64_t now_s)
{
    uint32_t budgets = budgets_at(m, number);
    bool counted = bits_have(m->free, number) || !budget_reaches(m, number, now_s);
    return counted ? 0 : budgets;
}

void budget_keep(struct manager *m, uint32_t number)
{
    if (bits_have(m->free, number))
        bits_set(m->apart, number, false);
}

void budget_charge(struct manager *m, uint32_t number)
{
    bits_set(m->apart, number, false);
    bits_set(m->out, number, true);
    bits_set(m->free, number, true);
    m->tallies[m->agents[number - 1].cohort].out++;
}

/* ---- what operators say ---- */

static int64_t find(const struct manager *m, const char *name)
{
    for (uint32_t i = 0; i < m->budget_count; i++)
        if (name[0] && strcmp(m->budgets[i].name, name) == 0)
            return i;
    return ERR_NOT_FOUND;
}

static void changed(struct turn *t, uint32_t index)
{
    t->out->index = index;
    for (uint32_t i = 0; i < t->m->deployment_count; i++)
        if (t->m->looks[i].budget == index + 1)
            t->m->looks[i].budget = 0;
    budget_place_all(t->m);
    cohort_mark_all(t->m); /* others may have to ask by now */
    persist(t, PERSIST_BUDGET, index);
}

static int check(struct turn *t, const char *name, const char *text, struct amount max)
{
    struct selector selector;
    int rv = manager_selector(t->m, text, &selector, &t->out->error);
    if (!name_valid(span_text(name)))
        return REFUSE(t, ERR_USAGE,
                      "%.64s: a budget's name is 1 to %d letters, digits, '.', '_' or '-', and "
                      "begins with none of '.-'",
                      name[0] ? name : "\"\"", NAME_MAX_LEN);
    if (rv < 0)
        return fail_with(t, rv);
    if (max.value == 0)
        return REFUSE(t, ERR_USAGE,
                      "a budget of none would stop everything: pause deployments instead");
    if (max.percent && max.value > 100)
        return REFUSE(t, ERR_USAGE, "%u%% of a group are more than all", max.value);
    return 0;
}

static int64_t place_for(const struct manager *m, const char *name)
{
    int64_t index = find(m, name);
    for (uint32_t i = 0; index < 0 && i < m->budget_count; i++)
        if (!m->budgets[i].name[0])
            index = i;
    return index < 0 ? m->budget_count : index;
}

void budget_set(struct turn *t)
{
    struct manager *m = t->m;
    const char *name = t->ev->command->budget.name, *text = t->ev->command->budget.selector;
    struct amount max = t->ev->command->budget.max;
    if (check(t, name, text, max) < 0)
        return;
    int64_t index = place_for(m, name);
    if (index == BUDGETS_MAX) {
        REFUSE(t, ERR_RANGE, "there are %d budgets, the most that are kept", BUDGETS_MAX);
        return;
    }
    struct budget_row *row = &m->budgets[index];
    t->out->index = (uint32_t)index;
    t->out->rv = strcmp(row->name, name) == 0 && strcmp(row->selector, text) == 0 &&
                 row->max.value == max.value && row->max.percent == max.percent;
    if (t->out->rv == 1)
        return;
    m->budget_count += index == m->budget_count;
    *row = (struct budget_row){.max = max};
    memcpy(row->name, name, strlen(name));
    memcpy(row->selector, text, strlen(text));
    changed(t, (uint32_t)index);
}

void budget_remove(struct turn *t)
{
    const char *name = t->ev->command->budget.name;
    int64_t index = find(t->m, name);
    if (index < 0) {
        REFUSE(t, ERR_NOT_FOUND, "there is no budget %.64s: see `dunlin budget list`", name);
        return;
    }
    t->m->budgets[index] = (struct budget_row){0};
    changed(t, (uint32_t)index);
}

/* ---- loading, and queries ---- */

int manager_load_budget(struct manager *m, const struct budget_row *row)
{
    struct selector selector;
    if (m->budget_count == BUDGETS_MAX)
        return ERR_RANGE;
    if (selector_parse(&selector, span_text(row->selector), NULL) < 0)
        return ERR_DAMAGED;
    m->budgets[m->budget_count++] = *row;
    return 0;
}

uint32_t manager_budget_count(const struct manager *m)
{
    return m->budget_count;
}

const struct budget_row *manager_budget(const struct manager *m, uint32_t index)
{
    assert(index < m->budget_count);
    return &m->budgets[index];
}

int64_t manager_find_budget(const struct manager *m, const char *name)
{
    return find(m, name);
}

uint32_t manager_budget_holding(const struct manager *m, uint32_t deployment)
{
    const struct deployment_row *d = &m->deployments[deployment];
    bool admits = d->rollout.state == ROLLOUT_RUNNING && d->rollout.step == ROLLOUT_ADMITTING;
    return admits ? m->looks[deployment].budget : 0;
}

uint32_t manager_budgets_on(const struct manager *m, uint32_t deployment)
{
    return touched_by(m, m->deployments[deployment].selector);
}

/* Bad ones first: they don't end by themselves. */
static void name_agent(struct budget_use *use, const struct budgeted_agent *a)
{
    uint32_t at = use->named_count;
    if (a->bad) {
        at = 0;
        while (at < use->named_count && use->named[at].bad)
            at++;
    }
    if (at == BUDGET_NAMED_MAX)
        return;
    use->named_count += use->named_count < BUDGET_NAMED_MAX;
    memmove(&use->named[at + 1], &use->named[at],
            (use->named_count - 1 - at) * sizeof use->named[0]);
    use->named[at] = *a;
}

static void use_agent(const struct manager *m, uint32_t number, uint64_t now_s,
                      struct budget_use *use, uint32_t *held)
{
    struct budgeted_agent a = {.number = number};
    use->agents++;
    if (!budget_reaches(m, number, now_s)) {
        use->away++;
        return;
    }
    enum outage outage = outage_of(m, number, &a.what);
    a.bad = outage == OUTAGE_BAD;
    bool asks = outage == OUTAGE_IDLE && bits_have(m->asking, number);
    use->asking += asks;
    use->idle += outage == OUTAGE_IDLE && !asks;
    use->bad += a.bad;
    if (counts_as_out(m, number, outage)) {
        use->out++;
        if (held)
            held[a.what.deployment]++;
        name_agent(use, &a);
    } else if (outage >= OUTAGE_DOUBT) {
        use->apart++;
    }
}

void manager_budget_use(const struct manager *m, uint32_t index, uint64_t now_s, uint32_t *held,
                        struct budget_use *out)
{
    assert(index < m->budget_count);
    *out = (struct budget_use){0};
    for (uint32_t i = 0; i < m->cohort_count; i++) {
        const uint32_t *numbers = muster_of(m, i);
        if (!(m->cohort_budgets[i] >> index & 1))
            continue;
        fleet_sum_up(m, i);
        for (uint32_t k = 0; k < m->cohorts[i].agents; k++)
            if (budgets_at(m, numbers[k]))
                use_agent(m, numbers[k], now_s, out, held);
    }
    out->allowed = amount_of(m->budgets[index].max, out->agents);
}

int64_t budget_full(const struct manager *m, uint32_t number, uint64_t now_s)
{
    uint32_t budgets = budgets_at(m, number);
    struct budget_use use;
    for (uint32_t b = 0; b < BUDGETS_MAX && budgets >> b; b++) {
        if (!(budgets >> b & 1))
            continue;
        manager_budget_use(m, b, now_s, NULL, &use);
        if (use.out >= use.allowed)
            return b;
    }
    return -1;
}
