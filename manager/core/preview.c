#include "manager/core/preview.h"

#include "manager/core/state.h"

#include <assert.h>

/* A deployment as it would be. */
struct trial {
    bool known;      /* there is one of that name */
    bool is_brief;   /* nobody asks which cohorts they are of */
    uint32_t picked; /* by hashes; 0: it takes a look at each */
    struct deployment_row *row;
    struct whom before, after;
    uint32_t *agents;  /* of each cohort, those that it would be for, */
    uint32_t *joining; /* and of these, those that it isn't for now */
};

static struct trial try(const struct manager *m, const struct command *c, struct arena *scratch,
                        const struct preview *out);
static void count(const struct manager *m, const struct command *c, struct trial *t,
                  struct preview *out);
static void count_agents(const struct manager *m, struct trial *t, struct preview *out);
static void demand(const struct manager *m, const struct command *c, struct preview *out);
static void count_stages(const struct manager *m, const struct trial *t, struct preview *out);

/* A new version may go through a stage that nobody wrote, and the one that has it keeps it. */
static void imply(const struct manager *m, const char *selector, struct preview *out)
{
    const struct deployment_row *d = out->deployment >= 0 ? &m->deployments[out->deployment] : NULL;
    if (!d || d->history[0].bundle != out->bundle || out->valued)
        budget_imply(m, &out->plan, selector);
    else if (d->plan.implied && out->plan.count == 0)
        plan_imply(&out->plan);
}

/* Another version, or other values, go by the plan as it was written, whatever was set of it on the
 * way. */
static struct plan plan_after(struct turn *t, const struct preview *out)
{
    const struct command *c = t->ev->command;
    struct plan plan = PLAN_DEFAULT;
    if (out->deployment < 0)
        return c->deploy.plan ? *c->deploy.plan : plan;
    const struct deployment_row *d = &t->m->deployments[out->deployment];
    bool goes = d->history[0].bundle != out->bundle || out->valued;
    if (c->deploy.plan && (goes || !deploy_keeps_plan(t, d, c->deploy.plan)))
        return *c->deploy.plan;
    plan = d->plan;
    if (goes)
        plan_put_back(&plan);
    return plan;
}

int manager_preview(struct manager *m, const struct command *deploy, uint64_t now_s,
                    struct arena *scratch, struct preview *out, struct errmsg *em)
{
    struct manager_event ev = {.type = MANAGER_COMMAND, .now_s = now_s, .command = deploy};
    struct manager_out answer = {0};
    struct turn t = {.m = m, .ev = &ev, .scratch = scratch, .out = &answer};
    assert(deploy->type == COMMAND_DEPLOY && deploy->deploy.dry_run);
    command_run(&t);
    assert(answer.persist_count == 0);
    if (answer.rv < 0)
        return errmsg_set(em, answer.rv, "%s", answer.error.text);
    memset(out, 0, sizeof *out);
    out->changes = answer.rv == 0;
    out->deployment = manager_find_deployment(m, deploy->deploy.name);
    out->bundle = (uint32_t)manager_find_bundle(m, deploy->deploy.bundle, deploy->deploy.version);
    out->valued = out->deployment >= 0 && (variable_differs(m, (uint32_t)out->deployment, deploy) ||
                                           moment_is_behind(m, (uint32_t)out->deployment));
    out->plan = plan_after(&t, out);
    int rv = plan_complete(&out->plan, NULL);
    assert(rv == 0);
    imply(m, deploy->deploy.selector, out);
    dependency_resolve(&t, out->deployment, &out->after);
    static const struct deployment_row none;
    const struct deployment_row *d = out->deployment < 0 ? &none : &m->deployments[out->deployment];
    out->priority = deploy_priority(d, deploy);
    out->keep = deploy_flags(d, deploy) & RECORD_KEEP;
    struct trial trial = try(m, deploy, scratch, out);
    count(m, deploy, &trial, out);
    count_stages(m, &trial, out);
    absence_measure(&trial.after, now_s, &out->absence);
    arena_reset(scratch);
    return 0;
}

static void count(const struct manager *m, const struct command *c, struct trial *t,
                  struct preview *out)
{
    count_agents(m, t, out);
    demand(m, c, out);
}

void preview_count(const struct manager *m, const struct command *c, struct arena *scratch,
                   struct preview *out)
{
    struct trial trial = try(m, c, scratch, out);
    trial.is_brief = true;
    count(m, c, &trial, out);
    arena_reset(scratch);
}

/* The row as the command would leave it, picks aside. */
static void try_row(const struct manager *m, const struct command *c, const struct preview *out,
                    struct deployment_row *row)
{
    if (out->deployment >= 0)
        *row = m->deployments[out->deployment];
    else
        *row = (struct deployment_row){.salt = c->deploy.salt};
    memset(row->selector, 0, sizeof row->selector);
    memcpy(row->selector, c->deploy.selector, strlen(c->deploy.selector));
    deploy_fill_roster(m, c, &row->roster);
    pick_try_change(row, c->deploy.pick);
}

static struct trial try(const struct manager *m, const struct command *c, struct arena *scratch,
                        const struct preview *out)
{
    struct trial t = {.known = out->deployment >= 0, .row = arena_alloc(scratch, sizeof *t.row)};
    uint32_t index = t.known ? (uint32_t)out->deployment : m->deployment_count;
    t.agents = arena_alloc(scratch, (m->cohort_count + 1) * sizeof *t.agents);
    t.joining = arena_alloc(scratch, (m->cohort_count + 1) * sizeof *t.joining);
    assert(t.row && t.agents && t.joining);
    try_row(m, c, out, t.row);
    t.after = whom_would(m, t.row, index, scratch);
    if (t.known) {
        struct whom *present = arena_alloc(scratch, sizeof *present);
        assert(present);
        t.before = *present = whom_is(m, index, scratch);
        t.after.present = present;
    }
    t.picked = pick_try(&t.after, t.row, scratch);
    return t;
}

uint32_t manager_meant(const struct manager *m, uint32_t deployment, struct arena *scratch)
{
    struct deployment_row *row = arena_alloc(scratch, sizeof *row);
    uint32_t count = 0;
    assert(row);
    *row = m->deployments[deployment];
    struct whom now = whom_is(m, deployment, scratch);
    struct whom then = whom_would(m, row, deployment, scratch);
    then.present = &now;
    pick_try(&then, row, scratch);
    for (uint32_t i = 0; i < m->cohort_count; i++)
        count += pick_count(&then, i);
    arena_reset(scratch);
    return count;
}

/* Picks and lists are about single agents: they are tried on all of them. */
static void count_each(struct trial *t, struct preview *out)
{
    for (uint32_t n = 1; n <= t->after.m->agent_count; n++) {
        bool now = pick_has(&t->after, n), was = t->known && pick_has(&t->before, n);
        out->targets += now;
        out->joining += now && !was;
        out->leaving += was && !now;
        t->agents[t->after.m->agents[n - 1].cohort] += now;
        t->joining[t->after.m->agents[n - 1].cohort] += now && !was;
    }
}

static void count_cohorts(struct trial *t, struct preview *out)
{
    for (uint32_t i = 0; i < t->after.m->cohort_count; i++) {
        uint32_t agents = t->after.m->cohorts[i].agents;
        bool now = t->after.cohorts[i], was = t->known && t->before.cohorts[i];
        t->agents[i] = now ? agents : 0;
        out->targets += t->agents[i];
        t->joining[i] = now && !was ? agents : 0;
        out->joining += t->joining[i];
        out->leaving += was && !now ? agents : 0;
    }
}

static void count_agents(const struct manager *m, struct trial *t, struct preview *out)
{
    const struct deployment_row *d = t->known ? t->before.d : NULL;
    bool renewed = !d || d->history[0].bundle != out->bundle || out->valued;
    if (pick_is_by_labels(m, t->row) && (!d || pick_is_by_labels(m, d)))
        count_cohorts(t, out);
    else if (t->is_brief && !t->known && t->picked > 0)
        out->targets = out->joining = t->picked;
    else
        count_each(t, out);
    for (uint32_t i = 0; i < m->cohort_count; i++)
        out->fleet += m->cohorts[i].agents;
    out->touched = (renewed ? out->targets : out->joining) + out->leaving;
}

static void name(uint32_t number, uint32_t list[static PREVIEW_NAMED_MAX], uint32_t *count)
{
    if (*count < PREVIEW_NAMED_MAX)
        list[(*count)++] = number;
}

void preview_name(const struct manager *m, const struct command *deploy, const struct preview *p,
                  struct arena *scratch, struct preview_agents *out)
{
    struct trial t = try(m, deploy, scratch, p);
    out->joining_count = out->leaving_count = 0;
    for (uint32_t n = 1; n <= m->agent_count && p->joining + p->leaving > 0; n++) {
        bool now = pick_has(&t.after, n), was = t.known && pick_has(&t.before, n);
        if (now && !was)
            name(n, out->joining, &out->joining_count);
        else if (was && !now)
            name(n, out->leaving, &out->leaving_count);
    }
    arena_reset(scratch);
}

/* Why it has to be confirmed, if it has to be. */
static void demand(const struct manager *m, const struct command *c, struct preview *out)
{
    struct extent e = {.what = c->deploy.name, .touched = out->touched, .lost = out->leaving};
    if (out->targets == 0 && out->leaving > 0)
        e.emptied = c->deploy.name;
    out->confirm = extent_demands(m, &e, &out->why);
}

/* ---- stages ---- */

static void count_stages(const struct manager *m, const struct trial *t, struct preview *out)
{
    struct rest rest = {.m = m, .agents = t->agents, .marked = t->joining};
    for (uint32_t i = 0; i < out->plan.count; i++)
        out->stages[i] = share_take(&out->plan.stages[i], &rest, &out->joining_in[i]);
}

/* ---- what a change of values comes to ---- */

/* One deployment that gets other values. */
struct valuation {
    const struct manager *m;
    uint32_t index;
    struct whom whom;
    uint32_t *agents;  /* of each cohort, those that it is for, */
    uint32_t *touched; /* and of these, those that get other values, */
    uint32_t *names;   /* of which names: needs of the newest version, as bits */
};

/* A walk over single agents' values is by label sets, beside what a change keeps to be undone. */
_Static_assert(2 * VARIABLES_SET_MAX *
                           (sizeof(struct variable_row) + sizeof(struct variable_text) + 8) +
                       MANAGER_COHORTS_MAX * 13 + 1024 <
                   MANAGER_SCRATCH_MAX,
               "a change of values is tried within a step's scratch");

struct valuations {
    struct values_preview *out;
    uint32_t count, more;
};

static void find_differing(const struct valuation *v)
{
    uint32_t names = moment_changed(v->m, v->index);
    for (uint32_t i = 0; i < v->m->cohort_count; i++)
        v->names[i] = v->whom.cohorts[i] && v->m->cohorts[i].agents > 0
                          ? moment_differs_in(v->m, v->index, i, names)
                          : 0;
}

static void count_valued(const struct valuation *v)
{
    for (uint32_t i = 0; i < v->m->cohort_count; i++) {
        v->agents[i] = pick_count(&v->whom, i);
        v->touched[i] = v->names[i] ? v->agents[i] : 0;
    }
}

/* The agent has values of its own for all of these, and this row is the first of them. */
static bool is_spared_by(const struct valuation *v, uint32_t row)
{
    const struct variable_row *own = &v->m->variables[row];
    const struct needs *needs = &v->m->bundles[v->whom.d->history[0].bundle].needs;
    uint32_t names = v->names[manager_agent(v->m, own->of)->cohort];
    bool first = true;
    for (uint32_t n = 0; n < needs->count; n++) {
        if (!(names >> n & 1))
            continue;
        if (first ? strcmp(needs->list[n].name, own->name) != 0
                  : values_find_own(v->m, own->of, needs->list[n].name) < 0)
            return false;
        first = false;
    }
    return !first;
}

static void leave_out_spared(const struct valuation *v)
{
    const struct manager *m = v->m;
    for (uint32_t i = 0; i < m->variable_count; i++) {
        const struct variable_row *row = &m->variables[i];
        if (row->scope != SCOPE_AGENT || !agent_in_fleet(manager_agent(m, row->of)))
            continue;
        if (is_spared_by(v, i) && pick_has(&v->whom, row->of))
            v->touched[manager_agent(m, row->of)->cohort]--;
    }
}

static void add_valued(const struct valuation *v, struct values_preview *out)
{
    const struct manager *m = v->m;
    struct rest rest = {.m = m, .agents = v->agents, .marked = v->touched};
    struct plan plan = moment_plan(m, v->index);
    *out = (struct values_preview){.deployment = v->index, .way = moment_way(m, v->index)};
    for (uint32_t i = 0; i < m->cohort_count; i++) {
        out->targets += v->agents[i];
        out->touched += v->touched[i];
    }
    out->stage_count = plan.count;
    for (uint32_t i = 0; i < plan.count; i++) {
        memcpy(out->stages[i].name, plan.stages[i].name, sizeof out->stages[i].name);
        out->stages[i].members = share_take(&plan.stages[i], &rest, &out->stages[i].touched);
    }
}

/* It goes by label sets, and where values of single agents count by their rows. */
static void value_one(struct turn *t, uint32_t index, struct valuations *all)
{
    struct arena room = *t->scratch; /* what is taken of it here is given back by that */
    const struct manager *m = t->m;
    struct valuation v = {.m = m, .index = index};
    v.agents = arena_alloc(&room, (m->cohort_count + 1) * sizeof *v.agents);
    v.touched = arena_alloc(&room, (m->cohort_count + 1) * sizeof *v.touched);
    v.names = arena_alloc(&room, (m->cohort_count + 1) * sizeof *v.names);
    v.whom = whom_is(m, index, &room);
    assert(v.agents && v.touched && v.names);
    find_differing(&v);
    count_valued(&v);
    leave_out_spared(&v);
    bool touched = false;
    for (uint32_t i = 0; i < m->cohort_count; i++)
        touched |= v.names[i] != 0;
    if (touched && all->count < VALUES_PREVIEWS_MAX)
        add_valued(&v, &all->out[all->count++]);
    else
        all->more += touched;
}

static void value_all(struct turn *t, void *context)
{
    if (variable_is_at_once(t->ev->command))
        return;
    for (uint32_t i = 0; i < t->m->deployment_count; i++)
        if (!t->m->deployments[i].removed && moment_changed(t->m, i) != 0)
            value_one(t, i, context);
}

int manager_values_preview(struct manager *m, const struct command *c, uint64_t now_s,
                           struct arena *scratch,
                           struct values_preview out[static VALUES_PREVIEWS_MAX], uint32_t *count,
                           uint32_t *more, struct errmsg *em)
{
    struct manager_event ev = {.type = MANAGER_COMMAND, .now_s = now_s, .command = c};
    struct manager_out answer = {0};
    struct turn t = {.m = m, .ev = &ev, .scratch = scratch, .out = &answer};
    struct valuations all = {.out = out};
    assert(c->variable.dry_run);
    variable_apply(&t, value_all, &all);
    assert(answer.persist_count == 0);
    arena_reset(scratch);
    *count = all.count;
    *more = all.more;
    return answer.rv < 0 ? errmsg_set(em, answer.rv, "%s", answer.error.text) : answer.rv;
}
