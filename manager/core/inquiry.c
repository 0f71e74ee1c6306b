/*
 * inquiry: whose facts fit which deployments. Facts are many and stay on disk: they come by one at
 * a time, when an agent tells them, and all of them once when somebody asks something new of them.
 */
#include "manager/core/state.h"

static void hear(struct manager *m, uint32_t number, const struct facts *facts)
{
    ranking_hear(m, number, facts);
    for (uint32_t i = 0; i < LISTS_MAX; i++) {
        const struct list *list = &m->lists[i];
        if (list->deployment && m->deployments[list->deployment - 1].roster.facts[0])
            list_fits(m, list->deployment - 1, number,
                      facts && fact_filter_matches(
                                   m->deployments[list->deployment - 1].roster.facts, facts));
    }
}

void inquiry_begin(struct manager *m)
{
    m->facts_wanted = 1;
}

bool inquiry_is_open(const struct manager *m)
{
    return m->facts_wanted != 0;
}

void inquiry_hear(struct turn *t, uint32_t number, const struct facts *facts)
{
    struct manager *m = t->m;
    if (number < 1 || number > m->agent_count)
        return;
    hear(m, number, facts);
    if (m->facts_wanted != number) {
        m->stirred = true;
        return;
    }
    m->facts_wanted = number < m->agent_count ? number + 1 : 0;
    if (m->facts_wanted == 0)
        list_begin(m);
}

uint32_t manager_facts_wanted(const struct manager *m)
{
    return m->facts_wanted <= m->agent_count ? m->facts_wanted : 0;
}
