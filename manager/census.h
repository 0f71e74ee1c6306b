/*
 * census: how many agents each deployment has in which state: as of now or, where it takes longer
 * to count them than anybody shall wait, as of a moment ago. It knows nothing of who asks.
 */
#ifndef DUNLIN_MANAGER_CENSUS_H
#define DUNLIN_MANAGER_CENSUS_H

#include "manager/core/manager.h"

/* What takes no longer is counted whenever somebody asks: fifty thousand agents, or half a million
 * that have nothing to do. */
#define CENSUS_QUICK_US 5000
/* What takes longer answers for so many times as long as it took, and is counted anew from a third
 * of that on, while somebody asks. */
#define CENSUS_GOOD_FOR 15
/* Somebody who has not asked for so long is gone. */
#define CENSUS_ASKED_US 10000000

struct census;

typedef uint64_t census_clock(void); /* as clock_monotonic_us */

/* The heap holds it; NULL when there is no memory. */
struct census *census_new(census_clock *now_us);
void census_free(struct census *c);

/* By the index of the deployment, until anything else is called. NULL when there is no memory. */
const struct deployment_counts *census_counts(struct census *c, const struct manager *m);
/* An operator has changed something, and is to see it: the next answer is as of then. */
void census_forget(struct census *c);
/* Counts on, for some milliseconds, what is soon to answer. True when it is not done with that. */
bool census_go_on(struct census *c, const struct manager *m);

#endif
