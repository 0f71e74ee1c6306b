/*
 * extent: how much of the fleet a command comes to, and what has to be said twice. Where picks and
 * facts choose among a label set's agents it counts all of them: rather too many are touched than
 * too few. But whom facts of a new kind leave a deployment, nobody knows until devices were asked,
 * so it doesn't ask where they leave nobody.
 */
#include "base/bits.h"
#include "manager/core/state.h"

#include <assert.h>
#include <stdio.h>

/* As bits, of a cohort that a deployment has, or has behind the command. */
#define HAD 1u
#define HAS 2u

static uint32_t fleet_size(const struct manager *m)
{
    uint32_t agents = 0;
    for (uint32_t i = 0; i < m->cohort_count; i++)
        agents += m->cohorts[i].agents;
    return agents;
}

bool extent_demands(const struct manager *m, const struct extent *e, struct errmsg *why)
{
    uint32_t percent = m->options.confirm_percent, fleet = fleet_size(m);
    if (percent == 0)
        return false;
    if (e->emptied) {
        errmsg_set(why, 0, "%s would have no agents any more: %u take it off", e->emptied, e->lost);
        return true;
    }
    if (fleet < CONFIRM_AGENTS_MIN || (uint64_t)e->touched * 100 <= (uint64_t)fleet * percent)
        return false;
    errmsg_set(why, 0, "%s would touch %u of %u agents, more than %u%% of the fleet", e->what,
               e->touched, fleet, percent);
    return true;
}

int extent_check(struct turn *t, const struct extent *e)
{
    struct errmsg why;
    if (t->ev->command->confirmed || !extent_demands(t->m, e, &why))
        return 0;
    return REFUSE(t, ERR_REFUSED, "%s: if this is meant, say --confirm", why.text);
}

int extent_check_all(struct turn *t, uint32_t deployment, const char *what)
{
    struct extent e = {.what = what};
    if (t->ev->command->confirmed || t->m->options.confirm_percent == 0)
        return 0;
    e.touched = manager_meant(t->m, deployment, t->scratch);
    return extent_check(t, &e);
}

static uint32_t add_up(const struct manager *m, const uint8_t *cohorts, unsigned bits)
{
    uint32_t agents = 0;
    for (uint32_t i = 0; i < m->cohort_count; i++)
        agents += cohorts[i] == bits ? m->cohorts[i].agents : 0;
    return agents;
}

/* ---- a group's selector ---- */

/* A group that is about to be another one. */
struct shift {
    struct manager *m;
    struct group_row *row, was, is;
    uint8_t *differ;  /* cohorts that it selects now or then, and not both; */
    uint8_t *bits;    /* of these, what one deployment has; */
    uint8_t *touched; /* and those of which some deployment has others */
};

static void select_into(const struct shift *s, const char *selector, uint8_t *cohorts, uint8_t bit)
{
    struct selector chosen = group_selector(s->m, selector);
    for (uint32_t i = 0; i < s->m->cohort_count; i++)
        if (s->differ[i] && selector_matches(&chosen, &s->m->cohorts[i].labels))
            cohorts[i] |= bit;
}

/* Somebody has it whom the group makes no difference to. */
static bool remains(const struct shift *s, const struct deployment_row *d)
{
    struct selector chosen = group_selector(s->m, d->selector);
    bool some = d->roster.named_count > 0;
    for (uint32_t i = 0; i < s->m->cohort_count && !some; i++)
        some = !s->differ[i] && s->m->cohorts[i].agents > 0 &&
               selector_matches(&chosen, &s->m->cohorts[i].labels);
    return some;
}

static void look_at(const struct shift *s, const struct deployment_row *d, struct extent *e)
{
    uint32_t cohorts = s->m->cohort_count;
    memset(s->bits, 0, cohorts);
    *s->row = s->was;
    select_into(s, d->selector, s->bits, HAD);
    *s->row = s->is;
    select_into(s, d->selector, s->bits, HAS);
    for (uint32_t i = 0; i < cohorts; i++)
        s->touched[i] |= s->bits[i] == HAD || s->bits[i] == HAS;
    uint32_t lost = add_up(s->m, s->bits, HAD);
    bool has = add_up(s->m, s->bits, HAS) + add_up(s->m, s->bits, HAD | HAS) > 0;
    if (lost == 0 || has || e->emptied || remains(s, d))
        return;
    e->emptied = d->name;
    e->lost = lost;
}

int extent_check_group(struct turn *t, struct group_row *row, const struct group_row *was)
{
    struct manager *m = t->m;
    struct shift s = {.m = m, .row = row, .was = *was, .is = *row};
    char what[NAME_MAX_LEN + 8];
    struct extent e = {.what = what};
    if (t->ev->command->confirmed || m->options.confirm_percent == 0 || !was->name[0])
        return 0;
    snprintf(what, sizeof what, "group %s", row->name);
    s.differ = arena_alloc(t->scratch, m->cohort_count + 1);
    s.bits = arena_alloc(t->scratch, m->cohort_count + 1);
    s.touched = arena_alloc(t->scratch, m->cohort_count + 1);
    assert(s.differ && s.bits && s.touched);
    struct selector before = group_selector(m, was->selector);
    struct selector after = group_selector(m, row->selector);
    for (uint32_t i = 0; i < m->cohort_count; i++)
        s.differ[i] = selector_matches(&before, &m->cohorts[i].labels) !=
                      selector_matches(&after, &m->cohorts[i].labels);
    for (uint32_t i = 0; i < m->deployment_count; i++)
        if (!m->deployments[i].removed && strchr(m->deployments[i].selector, '@'))
            look_at(&s, &m->deployments[i], &e);
    e.touched = add_up(m, s.touched, 1);
    arena_reset(t->scratch);
    return extent_check(t, &e);
}

/* ---- other labels for all that a selector matches ---- */

/* Somebody has the deployment when the agents of these cohorts have other labels. */
static bool outlives(const struct manager *m, const struct deployment_row *d,
                     const struct command *label, const uint8_t *changed)
{
    struct selector chosen = group_selector(m, d->selector);
    for (uint32_t i = 0; i < m->cohort_count; i++)
        if (!changed[i] && m->cohorts[i].agents > 0 &&
            selector_matches(&chosen, &m->cohorts[i].labels))
            return true;
    for (uint32_t i = 0; i < m->cohort_count; i++) {
        struct labels labels = m->cohorts[i].labels;
        if (changed[i] && m->cohorts[i].agents > 0 && agent_relabel(label, &labels, NULL) == 0 &&
            selector_matches(&chosen, &labels))
            return true;
    }
    return d->roster.named_count > 0;
}

/* Agents that have the deployment, of these cohorts. */
static uint32_t count_had(const struct manager *m, const struct deployment_row *d,
                          const uint8_t *changed)
{
    struct selector chosen = group_selector(m, d->selector);
    uint32_t agents = 0;
    for (uint32_t i = 0; i < m->cohort_count; i++)
        if (changed[i] && selector_matches(&chosen, &m->cohorts[i].labels))
            agents += m->cohorts[i].agents;
    return agents;
}

bool manager_relabel_demands(const struct manager *m, const struct selector *whom,
                             const struct command *label, struct arena *scratch, struct errmsg *why)
{
    struct extent e = {.what = "these labels"};
    uint8_t *changed = arena_alloc(scratch, m->cohort_count + 1);
    assert(changed);
    for (uint32_t i = 0; i < m->cohort_count; i++) {
        struct labels labels = m->cohorts[i].labels;
        changed[i] = m->cohorts[i].agents > 0 && selector_matches(whom, &labels) &&
                     agent_relabel(label, &labels, NULL) == 0 &&
                     strcmp(labels.text, m->cohorts[i].labels.text) != 0;
    }
    e.touched = add_up(m, changed, 1);
    for (uint32_t i = 0; i < m->deployment_count && e.touched > 0 && !e.emptied; i++) {
        const struct deployment_row *d = &m->deployments[i];
        if (d->removed || outlives(m, d, label, changed))
            continue;
        e.lost = count_had(m, d, changed);
        e.emptied = e.lost > 0 ? d->name : NULL;
    }
    arena_reset(scratch);
    return extent_demands(m, &e, why);
}

/* ---- taints for all that a selector matches ---- */

/* The agents of these cohorts that taints of these kinds take the deployment off, as bits more;
 * returns how many, 0 where somebody else keeps it. */
static uint32_t expel(const struct manager *m, uint32_t deployment, uint64_t kinds,
                      const uint8_t *chosen, uint8_t *touched, struct arena *scratch)
{
    uint32_t lost = 0;
    bool remains = false;
    struct arena room = *scratch;
    uint8_t *placed = arena_alloc(&room, m->cohort_count + 1);
    assert(placed);
    cohort_find_placed(m, deployment, placed);
    for (uint32_t i = 0; i < m->cohort_count; i++) {
        const uint32_t *n = muster_of(m, i), *end = n + m->cohorts[i].agents;
        for (; placed[i] && n < end; n++) {
            if (!list_admits(m, deployment, *n))
                continue;
            bool loses = chosen[i] && kinds & ~manager_agent_taints(m, *n);
            remains |= !loses;
            if (loses)
                bits_set(touched, *n, true);
            lost += loses;
        }
    }
    return remains ? 0 : lost;
}

/* Those that lose one of the taints, and may get what it kept off. */
static void let_in(const struct manager *m, uint64_t kinds, const uint8_t *chosen, uint8_t *touched)
{
    for (uint32_t i = 0; kinds && i < m->cohort_count; i++) {
        const uint32_t *n = muster_of(m, i), *end = n + m->cohorts[i].agents;
        for (; chosen[i] && n < end; n++)
            if (manager_agent_taints(m, *n) & kinds)
                bits_set(touched, *n, true);
    }
}

bool manager_taint_demands(const struct manager *m, const struct selector *whom,
                           const struct command *taint, struct arena *scratch, struct errmsg *why)
{
    struct extent e = {.what = "these taints"};
    uint8_t *chosen = arena_alloc(scratch, m->cohort_count + 1);
    uint8_t *touched = arena_alloc(scratch, m->options.limits.agents / 8 + 1);
    assert(chosen && touched);
    for (uint32_t i = 0; i < m->cohort_count; i++)
        chosen[i] = selector_matches(whom, &m->cohorts[i].labels);
    memset(touched, 0, m->options.limits.agents / 8 + 1);
    for (uint32_t i = 0; i < m->deployment_count; i++) {
        const struct deployment_row *d = &m->deployments[i];
        uint64_t kinds = taint_expelling(m, taint->taint.set, &d->roster);
        uint32_t lost = kinds && !d->removed ? expel(m, i, kinds, chosen, touched, scratch) : 0;
        if (lost == 0 || e.emptied)
            continue;
        e.emptied = d->name;
        e.lost = lost;
    }
    let_in(m, taint_covered(m, taint->taint.unset), chosen, touched);
    for (uint32_t n = 1; n <= m->agent_count; n++)
        e.touched += bits_have(touched, n);
    arena_reset(scratch);
    return extent_demands(m, &e, why);
}

/* ---- values that go by no stages ---- */

/* Needs of the deployment's newest version that the command sets, as bits. */
static uint32_t needs_of(const struct manager *m, const struct deployment_row *d,
                         const struct command *c)
{
    const struct needs *needs = &m->bundles[d->history[0].bundle].needs;
    uint32_t names = 0;
    for (uint32_t i = 0; i < c->variable.count; i++) {
        const struct need *need = values_find_need(needs, c->variable.settings[i].name);
        if (need)
            names |= 1u << (need - needs->list);
    }
    return names;
}

/* The change is made, and may still be undone. */
int extent_check_values(struct turn *t)
{
    const struct manager *m = t->m;
    const struct command *c = t->ev->command;
    struct arena room = *t->scratch; /* what is taken of it here is given back by that */
    struct extent e = {.what = "these values"};
    if (c->confirmed || m->options.confirm_percent == 0 || c->variable.scope == SCOPE_AGENT)
        return 0;
    struct selector whom =
        group_selector(m, c->variable.scope == SCOPE_SELECTOR ? c->variable.where : "");
    uint8_t *touched = arena_alloc(&room, m->cohort_count + 1);
    assert(touched);
    for (uint32_t d = 0; d < m->deployment_count; d++) {
        uint32_t names = needs_of(m, &m->deployments[d], c);
        bool at_once = c->variable.at_once || moment_way(m, d) == VALUES_AT_ONCE;
        for (uint32_t i = 0; i < m->cohort_count && names && at_once; i++)
            if (!touched[i] && !m->deployments[d].removed && cohort_is_placed(m, d, i) &&
                selector_matches(&whom, &m->cohorts[i].labels))
                touched[i] = c->variable.at_once || moment_differs_in(m, d, i, names);
    }
    e.touched = add_up(m, touched, 1);
    return extent_check(t, &e);
}
