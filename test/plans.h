/*
 * plans: the rollout plan that unit and story tests share: staging, canary, and prod when somebody
 * has said so. It knows no fleet: how many are in which stage is the test's.
 */
#ifndef DUNLIN_TEST_PLANS_H
#define DUNLIN_TEST_PLANS_H

#include "manager/core/plan.h"

/* Half of staging at a time, one canary, and so many of prod. */
static inline struct plan plan_three_stages(uint32_t prod)
{
    struct plan p = PLAN_DEFAULT;
    p.count = 3;
    p.reachable_within_s = 30;
    p.stages[0] = (struct plan_stage){
        .name = "staging", .selector = "env=staging", .concurrency = {50, true}};
    p.stages[1] =
        (struct plan_stage){.name = "canary", .selector = "env=canary", .concurrency = {1, false}};
    p.stages[2] = (struct plan_stage){.name = "prod",
                                      .selector = "env=prod",
                                      .concurrency = {prod, false},
                                      .before = {.approval = true}};
    return p;
}

#endif
