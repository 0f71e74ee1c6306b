#include "manager/core/state.h"

#include <assert.h>

/* What a cohort's labels allow, of one that is tried. */
#define SELECTED 1
#define NAMEABLE 2

static uint8_t *cohorts_of(const struct manager *m, struct arena *scratch)
{
    uint8_t *cohorts = arena_alloc(scratch, m->cohort_count + 1);
    assert(cohorts);
    return cohorts;
}

struct whom whom_is(const struct manager *m, uint32_t deployment, struct arena *scratch)
{
    uint8_t *cohorts = cohorts_of(m, scratch);
    cohort_find_placed(m, deployment, cohorts);
    return (struct whom){
        .m = m, .d = &m->deployments[deployment], .index = deployment, .cohorts = cohorts};
}

struct whom whom_would(const struct manager *m, const struct deployment_row *d, uint32_t deployment,
                       struct arena *scratch)
{
    uint8_t *cohorts = cohorts_of(m, scratch);
    struct selector selector = group_selector(m, d->selector);
    bool others = !d->roster.alone, names = d->roster.named_count > 0;
    for (uint32_t i = 0; i < m->cohort_count; i++) {
        const struct labels *labels = &m->cohorts[i].labels;
        if (others && selector_matches(&selector, labels))
            cohorts[i] |= SELECTED;
        if (names && !selector_excludes(&selector, labels))
            cohorts[i] |= NAMEABLE;
    }
    return (struct whom){.m = m,
                         .d = d,
                         .index = deployment,
                         .cohorts = cohorts,
                         .tolerated = taint_tolerated(m, &d->roster),
                         .tried = true};
}

/* Of facts that nobody asked for yet it isn't known whom they fit: it may be everybody. */
static bool is_chosen(const struct whom *w, uint32_t number)
{
    const struct roster *r = &w->d->roster;
    uint8_t allowed = w->cohorts[w->m->agents[number - 1].cohort];
    if (allowed & NAMEABLE && roster_names(r, number))
        return true;
    if (!(allowed & SELECTED))
        return false;
    bool known = list_find(w->m, w->index) && !inquiry_is_open(w->m) &&
                 strcmp(w->m->deployments[w->index].roster.facts, r->facts) == 0;
    return !r->facts[0] || !known || list_means(w->m, w->index, number);
}

bool whom_has(const struct whom *w, uint32_t number)
{
    const struct agent_row *row = &w->m->agents[number - 1];
    if (!agent_in_fleet(row) || !w->cohorts[row->cohort])
        return false;
    if (!w->tried)
        return list_admits(w->m, w->index, number);
    return is_chosen(w, number) &&
           taint_allows(w->m, w->tolerated, number, list_has(w->m, w->index, number));
}
