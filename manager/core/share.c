/*
 * share: how many agents a stage takes of those that no earlier one has had, as long as nobody
 * knows which: a share is taken from each label set alike, as near as whole agents come.
 */
#include "manager/core/state.h"

uint32_t share_take(const struct plan_stage *stage, struct rest *rest, uint32_t *marked)
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
        uint32_t part = due ? (uint32_t)((uint64_t)due * rest->marked[i] / rest->agents[i]) : 0;
        rest->marked[i] -= part;
        *marked += part;
        rest->agents[i] -= due;
        given += due;
    }
    return share;
}
