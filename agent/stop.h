/*
 * stop: SIGTERM and SIGINT as a descriptor that a poll loop watches, so that a program ends where
 * it is ready to.
 */
#ifndef DUNLIN_AGENT_STOP_H
#define DUNLIN_AGENT_STOP_H

#include "base/err.h"

#include <stdbool.h>

/* From here on the signals no longer end the process, and SIGPIPE is ignored; SIGCHLD is not, as
 * whoever started us may have left it: hooks could not be waited for. Gives the descriptor,
 * readable once one came. */
int stop_watch(struct errmsg *em);

/* Whether a signal came; it stays so. */
bool stop_wanted(int descriptor);

#endif
