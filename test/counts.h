/*
 * counts: what the manager counts of all agents at once, held against what it says of each of them.
 * It knows nothing of what either should be.
 */
#ifndef DUNLIN_TEST_COUNTS_H
#define DUNLIN_TEST_COUNTS_H

#include "manager/core/manager.h"

#include <string.h>

/* Deployments that are compared. */
#define COUNTED_MAX 8

static inline bool counts_agree(const struct manager *m)
{
    struct deployment_counts each[COUNTED_MAX] = {0}, all[COUNTED_MAX] = {0};
    struct agent_deployment list[RECORDS_MAX];
    for (uint32_t n = 1; n <= manager_agent_count(m); n++) {
        size_t count = manager_agent_deployments(m, n, list);
        for (size_t i = 0; i < count; i++) {
            struct deployment_counts *c = &each[list[i].deployment];
            bool before = list[i].held && list[i].state == STATE_READY;
            c->targets++;
            c->held += list[i].held;
            c->states[before ? STATE_PENDING : list[i].state]++;
        }
    }
    manager_count_deployments(m, all);
    return memcmp(each, all, sizeof each) == 0;
}

#endif
