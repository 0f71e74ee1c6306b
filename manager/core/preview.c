#include "manager/core/state.h"

#include <assert.h>

/* The agents of each cohort that no earlier stage has had. */
struct rest {
    const struct manager *m;
    uint32_t *agents;
    uint32_t *joining;
};

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
static void demand(const struct command *c, uint32_t percent, struct preview *out);
static void count_stages(const struct manager *m, const struct trial *t, struct preview *out);
static uint32_t take_stage(const struct plan_stage *stage, struct rest *rest, uint32_t *joining);

/* A new version may go through a stage that nobody wrote, and the one that has it keeps it. */
static void imply(const struct manager *m, const char *selector, struct preview *out)
{
    const struct deployment_row *d = out->deployment >= 0 ? &m->deployments[out->deployment] : NULL;
    if (!d || d->history[0].bundle != out->bundle)
        budget_imply(m, &out->plan, selector);
    else if (d->plan.implied && out->plan.count == 0)
        plan_imply(&out->plan);
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
    if (deploy->deploy.plan)
        out->plan = *deploy->deploy.plan;
    else if (out->deployment >= 0)
        out->plan = m->deployments[out->deployment].plan;
    else
        out->plan = PLAN_DEFAULT;
    int rv = plan_complete(&out->plan, NULL);
    assert(rv == 0);
    imply(m, deploy->deploy.selector, out);
    dependency_resolve(&t, out->deployment, &out->after);
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
    if (m->options.confirm_percent > 0)
        demand(c, m->options.confirm_percent, out);
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
    command_fill_roster(m, c, &row->roster);
    pick_change(row, c->deploy.pick);
}

/* Taints are an agent's own as well. */
static bool is_by_labels(const struct manager *m, const struct deployment_row *d)
{
    bool tainted = false;
    for (uint32_t i = 0; i < TAINTS_MAX; i++)
        tainted |= m->taint_agents[i] > 0;
    return pick_is_all(&d->pick) && !roster_chooses(&d->roster) && !tainted;
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
    bool renewed = !d || d->history[0].bundle != out->bundle;
    if (is_by_labels(m, t->row) && (!d || is_by_labels(m, d)))
        count_cohorts(t, out);
    else if (t->is_brief && !t->known && t->picked > 0)
        out->targets = out->joining = t->picked;
    else
        count_each(t, out);
    for (uint32_t i = 0; i < m->cohort_count; i++)
        out->fleet += m->cohorts[i].agents;
    out->touched = (renewed ? out->targets : out->joining) + out->leaving;
}

/* Why it has to be confirmed, if it has to be. */
static void demand(const struct command *c, uint32_t percent, struct preview *out)
{
    if (out->targets == 0 && out->leaving > 0)
        errmsg_set(&out->why, 0, "%s would have no agents any more: %u take it off", c->deploy.name,
                   out->leaving);
    else if (out->fleet >= CONFIRM_AGENTS_MIN &&
             (uint64_t)out->touched * 100 > (uint64_t)out->fleet * percent)
        errmsg_set(&out->why, 0, "%s would touch %u of %u agents, more than %u%% of the fleet",
                   c->deploy.name, out->touched, out->fleet, percent);
    out->confirm = out->why.text[0] != '\0';
}

/* ---- stages ---- */

static void count_stages(const struct manager *m, const struct trial *t, struct preview *out)
{
    struct rest rest = {.m = m, .agents = t->agents, .joining = t->joining};
    for (uint32_t i = 0; i < out->plan.count; i++)
        out->stages[i] = take_stage(&out->plan.stages[i], &rest, &out->joining_in[i]);
}

/* A share is taken from each label set alike, as near as whole agents come. */
static uint32_t take_stage(const struct plan_stage *stage, struct rest *rest, uint32_t *joining)
{
    const struct manager *m = rest->m;
    uint32_t whole = 0, given = 0, passed = 0;
    struct selector selector = group_selector(m, stage->selector);
    for (uint32_t i = 0; i < m->cohort_count; i++)
        if (selector_matches(&selector, &m->cohorts[i].labels))
            whole += rest->agents[i];
    uint32_t share = amount_of(stage->share, whole);
    for (uint32_t i = 0; i < m->cohort_count && whole > 0; i++) {
        if (!selector_matches(&selector, &m->cohorts[i].labels))
            continue;
        passed += rest->agents[i];
        uint32_t due = (uint32_t)((uint64_t)share * passed / whole) - given;
        uint32_t new = due ? (uint32_t)((uint64_t)due * rest->joining[i] / rest->agents[i]) : 0;
        rest->joining[i] -= new;
        *joining += new;
        rest->agents[i] -= due;
        given += due;
    }
    return share;
}
