/*
 * budget: how many agents of a group may be out of Ready at the same time, over all deployments
 * together. It is what an operator said; who is out, it doesn't know.
 */
#ifndef DUNLIN_MANAGER_CORE_BUDGET_H
#define DUNLIN_MANAGER_CORE_BUDGET_H

#include "manager/core/frontier.h"
#include "manager/core/plan.h"

/* An agent's are bits of a number; and nobody keeps more of them in mind. */
#define BUDGETS_MAX FRONTIER_GROUPS_MAX
/* Who was heard of so lately is in reach. */
#define BUDGET_REACH_S 300

struct budget_row {
    char name[NAME_MAX_LEN + 1]; /* "": there is none, and the next one made takes its place */
    char selector[SELECTOR_TEXT_MAX + 1];
    struct amount max; /* percents are of all of its agents, rounded up */
};

#endif
