/*
 * moment: which of a variable's values a version has: those of a moment, which is a count of
 * changes. A change is acted on behind it, deployment by deployment: what goes by stages gets a
 * generation of the same bundle with the values of now, all others have these at once. It knows
 * nothing of who set them, nor of how they travel.
 */
#include "manager/core/state.h"

#include <assert.h>

/* Deployments that are acted on, and values that are forgotten, in one step; and rows that are
 * looked at for that. */
#define ACTED_PER_STEP (MOMENT_PERSIST_MAX / 2)
#define FORGOTTEN_PER_STEP (MOMENT_PERSIST_MAX / 2)
#define SWEPT_PER_STEP 1024
/* Deployments that a change may be of, looked through in one step: each is a walk over all rows. */
#define LOOKED_PER_STEP 64

void moment_count(struct manager *m, uint32_t order)
{
    if (order > m->variable_order)
        m->variable_order = order;
}

void moment_stir(struct manager *m)
{
    m->moments_left = m->deployment_count;
    m->sweep_cursor = 0;
}

/* ---- what changed ---- */

static const struct needs *needs_of(const struct manager *m, const struct generation_row *g)
{
    return &m->bundles[g->bundle].needs;
}

/* Some of the deployment's agents may have their value by it. */
static bool is_of_deployment(const struct variable_row *v, uint32_t deployment)
{
    return v->scope != SCOPE_NONE && v->scope != SCOPE_AGENT &&
           (v->scope != SCOPE_DEPLOYMENT || v->of == deployment + 1);
}

/* Needs of the newest version of which something was set, or unset, since; as bits. */
static uint32_t changed_since(const struct manager *m, uint32_t deployment, uint32_t since)
{
    const struct needs *needs = needs_of(m, &m->deployments[deployment].history[0]);
    uint32_t changed = 0;
    _Static_assert(VARIABLES_NEEDED_MAX <= 32, "a bit for each");
    for (uint32_t i = 0; i < m->variable_count && needs->count > 0; i++) {
        const struct variable_row *v = &m->variables[i];
        if (!is_of_deployment(v, deployment) || (v->order <= since && v->until <= since))
            continue;
        const struct need *need = values_find_need(needs, v->name);
        if (need)
            changed |= 1u << (need - needs->list);
    }
    return changed;
}

uint32_t moment_differs_in(const struct manager *m, uint32_t deployment, uint32_t cohort,
                           uint32_t names)
{
    const struct generation_row *newest = &m->deployments[deployment].history[0];
    const struct needs *needs = needs_of(m, newest);
    struct place p = {
        .deployment = deployment, .labels = &m->cohorts[cohort].labels, .without = -1};
    uint32_t differ = 0;
    for (uint32_t n = 0; n < needs->count; n++) {
        const char *name = needs->list[n].name;
        if (names >> n & 1 && !values_equal(m, values_resolve(m, &p, name, newest->values_at),
                                            values_resolve(m, &p, name, VALUES_NEWEST)))
            differ |= 1u << n;
    }
    return differ;
}

static bool differs(const struct manager *m, uint32_t deployment, uint32_t names)
{
    for (uint32_t i = 0; i < m->cohort_count && names; i++)
        if (m->cohorts[i].agents > 0 && cohort_is_placed(m, deployment, i) &&
            moment_differs_in(m, deployment, i, names))
            return true;
    return false;
}

uint32_t moment_changed(const struct manager *m, uint32_t deployment)
{
    return changed_since(m, deployment, m->deployments[deployment].values_seen);
}

bool moment_is_behind(const struct manager *m, uint32_t deployment)
{
    uint32_t since = m->deployments[deployment].history[0].values_at;
    return differs(m, deployment, changed_since(m, deployment, since));
}

/* ---- what comes of it ---- */

/* A rollout of another version that was aborted isn't begun again by other values; one of values
 * is, since they may be the remedy. */
static bool is_given_up(const struct deployment_row *d)
{
    const struct rollout *r = &d->rollout;
    return r->state == ROLLOUT_ABORTED &&
           (r->stable == 0 || r->stable_bundle != d->history[0].bundle);
}

struct plan moment_plan(const struct manager *m, uint32_t deployment)
{
    const struct deployment_row *d = &m->deployments[deployment];
    struct plan plan = d->plan;
    if (!deployment_rolls(d))
        budget_imply(m, &plan, d->selector);
    return plan;
}

enum values_way moment_way(const struct manager *m, uint32_t deployment)
{
    const struct deployment_row *d = &m->deployments[deployment];
    bool goes = d->rollout.state == ROLLOUT_RUNNING || d->rollout.state == ROLLOUT_STOPPED;
    if (is_given_up(d) || (goes && d->plan.overlap != OVERLAP_SUPERSEDE))
        return VALUES_LATER;
    return moment_plan(m, deployment).count > 0 ? VALUES_BY_STAGES : VALUES_AT_ONCE;
}

bool moment_is_refused(const struct manager *m, uint32_t deployment)
{
    const struct deployment_row *d = &m->deployments[deployment];
    return d->plan.overlap == OVERLAP_REFUSE && deployment_rolls(d) &&
           d->rollout.state != ROLLOUT_ABORTED &&
           differs(m, deployment, moment_changed(m, deployment));
}

void moment_take(struct turn *t, uint32_t deployment)
{
    struct manager *m = t->m;
    struct deployment_row *d = &m->deployments[deployment];
    enum values_way way = moment_way(m, deployment);
    if (way == VALUES_LATER)
        return;
    d->plan = moment_plan(m, deployment);
    if (way == VALUES_AT_ONCE) {
        d->history[0].values_at = d->values_seen = m->variable_order;
        rollout_end(m, deployment, ROLLOUT_NONE);
    } else if (generation_change(t, deployment, d->history[0].bundle) < 0) {
        d->values_seen = m->variable_order; /* it has no generations left */
    }
    persist(t, PERSIST_DEPLOYMENT, deployment);
    cohort_mark_deployment(m, d);
    lookout_hear(m);
}

/* For no agent of the deployment it makes a difference. Where an operator went back to other
 * values, it keeps to these. */
static void pass(struct turn *t, uint32_t deployment, bool matters)
{
    struct deployment_row *d = &t->m->deployments[deployment];
    if (d->history[0].values_at >= d->values_seen)
        d->history[0].values_at = t->m->variable_order;
    d->values_seen = t->m->variable_order;
    if (!matters)
        return;
    persist(t, PERSIST_DEPLOYMENT, deployment);
    cohort_mark_deployment(t->m, d); /* who lacked a value has one now */
}

static bool is_to_see(const struct manager *m, uint32_t deployment)
{
    const struct deployment_row *d = &m->deployments[deployment];
    return !d->removed && d->values_seen != m->variable_order;
}

/* True when a row of it may have been persisted. */
static bool act_on(struct turn *t, uint32_t deployment)
{
    uint32_t names = moment_changed(t->m, deployment);
    if (differs(t->m, deployment, names))
        moment_take(t, deployment);
    else
        pass(t, deployment, names != 0);
    return names != 0;
}

/* ---- what is forgotten ---- */

static bool has_values_of(const struct manager *m, const struct generation_row *g,
                          const struct variable_row *v)
{
    return values_show(v, g->values_at) && values_find_need(needs_of(m, g), v->name);
}

bool moment_needs(const struct manager *m, uint32_t index)
{
    const struct variable_row *v = &m->variables[index];
    for (uint32_t i = 0; i < m->deployment_count; i++) {
        const struct deployment_row *d = &m->deployments[i];
        struct generation_row stable = deployment_stable(d);
        if (d->removed || !is_of_deployment(v, i))
            continue;
        if (stable.generation && has_values_of(m, &stable, v))
            return true;
        for (uint32_t k = 0; k < d->history_count; k++)
            if (has_values_of(m, &d->history[k], v))
                return true;
    }
    return false;
}

/* It was set at once, so that no moment shows what was there before. */
static bool is_covered(const struct manager *m, uint32_t index)
{
    const struct variable_row *v = &m->variables[index];
    for (uint32_t i = 0; i < m->variable_count; i++) {
        const struct variable_row *other = &m->variables[i];
        if (other->scope == v->scope && other->of == v->of && other->order > v->order &&
            other->from == 0 && other->until == 0 && strcmp(other->name, v->name) == 0 &&
            strcmp(m->variable_texts[i].selector, m->variable_texts[index].selector) == 0)
            return true;
    }
    return false;
}

static bool is_forgotten(const struct manager *m, uint32_t index)
{
    const struct variable_row *v = &m->variables[index];
    if (v->scope == SCOPE_DEPLOYMENT && m->deployments[v->of - 1].removed)
        return true;
    return v->scope != SCOPE_NONE && v->until != 0 &&
           (is_covered(m, index) || !moment_needs(m, index));
}

static void sweep(struct turn *t)
{
    struct manager *m = t->m;
    int forgotten = 0;
    for (int looked_at = 0; m->sweep_cursor < m->variable_count && looked_at < SWEPT_PER_STEP &&
                            forgotten < FORGOTTEN_PER_STEP;
         looked_at++) {
        uint32_t index = m->sweep_cursor++;
        if (!is_forgotten(m, index))
            continue;
        m->variables[index].scope = SCOPE_NONE;
        explicit_bzero(&m->variable_texts[index], sizeof m->variable_texts[index]);
        persist(t, PERSIST_VARIABLE, index);
        forgotten++;
    }
}

/* ---- behind each change, and once a second for what had to wait ---- */

void moment_tick(struct turn *t)
{
    t->m->moments_left = t->m->deployment_count;
    moment_tend(t);
}

void moment_tend(struct turn *t)
{
    struct manager *m = t->m;
    int acted = 0, looked_at = 0;
    for (; m->moments_left > 0 && acted < ACTED_PER_STEP && looked_at < LOOKED_PER_STEP;
         m->moments_left--) {
        uint32_t deployment = m->moment_cursor++ % m->deployment_count;
        if (!is_to_see(m, deployment))
            continue;
        looked_at++;
        acted += act_on(t, deployment);
    }
    sweep(t);
}

bool moment_waits(const struct manager *m)
{
    return m->moments_left > 0 || m->sweep_cursor < m->variable_count;
}

/* ---- for people ---- */

bool manager_values_wait(const struct manager *m, uint32_t deployment)
{
    return !m->deployments[deployment].removed &&
           differs(m, deployment, moment_changed(m, deployment));
}

uint32_t manager_values_changed(const struct manager *m, uint32_t deployment,
                                const struct generation_row *before,
                                const struct generation_row *after,
                                const char *out[static VARIABLES_NEEDED_MAX])
{
    const struct needs *needs = needs_of(m, after);
    uint32_t count = 0;
    for (uint32_t n = 0; n < needs->count && before->values_at != after->values_at; n++) {
        const char *name = needs->list[n].name;
        bool changed = false;
        for (uint32_t i = 0; i < m->variable_count && !changed; i++) {
            const struct variable_row *v = &m->variables[i];
            changed = is_of_deployment(v, deployment) && strcmp(v->name, name) == 0 &&
                      values_show(v, before->values_at) != values_show(v, after->values_at);
        }
        if (changed && values_find_need(needs_of(m, before), name))
            out[count++] = name;
    }
    return count;
}
