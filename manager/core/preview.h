/*
 * preview: which agents a deployment would come to, and which would lose it. How many there are
 * says manager_preview; it knows nothing of how they are shown.
 */
#ifndef DUNLIN_MANAGER_CORE_PREVIEW_H
#define DUNLIN_MANAGER_CORE_PREVIEW_H

#include "manager/core/manager.h"

/* Agents that are named of each, the first: more than that nobody reads. */
#define PREVIEW_NAMED_MAX 1000

struct preview_agents {
    uint32_t joining_count, leaving_count;
    uint32_t joining[PREVIEW_NAMED_MAX]; /* numbers, rising */
    uint32_t leaving[PREVIEW_NAMED_MAX];
};

/* Of a command that manager_preview has just answered with `p`. */
void preview_name(const struct manager *m, const struct command *deploy, const struct preview *p,
                  struct arena *scratch, struct preview_agents *out);

#endif
