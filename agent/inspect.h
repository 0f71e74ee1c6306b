/*
 * inspect: prints what DIR says about its agent, for people or as JSON, also while the agent runs
 * and without a link. It changes nothing.
 */
#ifndef DUNLIN_AGENT_INSPECT_H
#define DUNLIN_AGENT_INSPECT_H

#include "base/err.h"

#include <stdbool.h>

/* Last lines of a failed hook's output that are shown. */
#define INSPECT_LOG_LINES 5

/* ERR_NOT_FOUND with what to do when DIR has not joined, ERR_DAMAGED, or what the disk said. */
int inspect_print(const char *dir, bool json, struct errmsg *em);

#endif
