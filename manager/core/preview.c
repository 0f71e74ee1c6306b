#include "manager/core/state.h"

#include <assert.h>

/* The agents of each cohort that no earlier stage has had. */
struct rest {
    const struct manager *m;
    uint32_t *agents;
};

static void count_agents(const struct manager *m, const struct command *c, struct preview *out);
static void demand(const struct command *c, uint32_t percent, struct preview *out);
static void count_stages(const struct manager *m, const struct command *c, struct arena *scratch,
                         struct preview *out);
static uint32_t take_stage(const struct plan_stage *stage, struct rest *rest);

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
    int rv = plan_complete(&out->plan, NULL);
    assert(rv == 0);
    dependency_resolve(&t, out->deployment, &out->after);
    preview_count(m, deploy, out);
    count_stages(m, deploy, scratch, out);
    return 0;
}

void preview_count(const struct manager *m, const struct command *c, struct preview *out)
{
    count_agents(m, c, out);
    if (m->options.confirm_percent > 0)
        demand(c, m->options.confirm_percent, out);
}

/* Label set by label set. */
static void count_agents(const struct manager *m, const struct command *c, struct preview *out)
{
    const struct deployment_row *d = out->deployment >= 0 ? &m->deployments[out->deployment] : NULL;
    bool renewed = !d || d->history[0].bundle != out->bundle;
    static const struct pick all;
    const struct pick *pick = c->deploy.pick ? c->deploy.pick : d ? &d->pick : &all;
    struct selector selector;
    int rv = selector_parse(&selector, span_text(c->deploy.selector), NULL);
    assert(rv == 0);
    for (uint32_t i = 0; i < m->cohort_count; i++) {
        const struct cohort *cohort = &m->cohorts[i];
        bool now = selector_matches(&selector, &cohort->labels);
        bool before = d && cohort_is_placed(d, &cohort->labels);
        out->fleet += cohort->agents;
        out->targets += now ? cohort->agents : 0;
        out->joining += now && !before ? cohort->agents : 0;
        out->leaving += before && !now ? cohort->agents : 0;
    }
    out->targets = pick_is_all(pick) ? out->targets : pick_forecast(m, pick, &selector);
    out->joining = out->joining < out->targets ? out->joining : out->targets;
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

static void count_stages(const struct manager *m, const struct command *c, struct arena *scratch,
                         struct preview *out)
{
    struct rest rest = {.m = m,
                        .agents = arena_alloc(scratch, (m->cohort_count + 1) * sizeof(uint32_t))};
    struct selector selector;
    int rv = selector_parse(&selector, span_text(c->deploy.selector), NULL);
    assert(rv == 0 && rest.agents);
    for (uint32_t i = 0; i < m->cohort_count; i++)
        if (selector_matches(&selector, &m->cohorts[i].labels))
            rest.agents[i] = m->cohorts[i].agents;
    for (uint32_t i = 0; i < out->plan.count; i++)
        out->stages[i] = take_stage(&out->plan.stages[i], &rest);
    arena_reset(scratch);
}

/* A share is taken from each label set alike, as near as whole agents come. */
static uint32_t take_stage(const struct plan_stage *stage, struct rest *rest)
{
    const struct manager *m = rest->m;
    struct selector selector;
    uint32_t whole = 0, given = 0, passed = 0;
    int rv = selector_parse(&selector, span_text(stage->selector), NULL);
    assert(rv == 0);
    for (uint32_t i = 0; i < m->cohort_count; i++)
        if (selector_matches(&selector, &m->cohorts[i].labels))
            whole += rest->agents[i];
    uint32_t share = amount_of(stage->share, whole);
    for (uint32_t i = 0; i < m->cohort_count && whole > 0; i++) {
        if (!selector_matches(&selector, &m->cohorts[i].labels))
            continue;
        passed += rest->agents[i];
        uint32_t due = (uint32_t)((uint64_t)share * passed / whole) - given;
        rest->agents[i] -= due;
        given += due;
    }
    return share;
}
