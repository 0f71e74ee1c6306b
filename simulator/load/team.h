/*
 * team: all the worker processes of a run, as one. It knows nothing of phases.
 */
#ifndef DUNLIN_SIMULATOR_LOAD_TEAM_H
#define DUNLIN_SIMULATOR_LOAD_TEAM_H

#include "simulator/load/usage.h"
#include "simulator/load/worker.h"

/* A million agents, 19,900 in each. */
#define TEAM_WORKERS_MAX 64
/* Of each: the machine's limit here is 20,000 descriptors. */
#define TEAM_SOCKETS_MAX 19900
/* Connections that one broker may have in its queue: Mosquitto's holds 100. */
#define TEAM_GREETINGS_MAX 90
/* Devices in front of the door at a time; the porter takes 1,024. */
#define TEAM_JOINS_MAX 512
/* And 256 of one source, with those that are just going. */
#define TEAM_JOINS_EACH_MAX 128

struct team {
    uint32_t count;
    struct worker workers[TEAM_WORKERS_MAX];
};

/* What all boards say together. */
struct team_sum {
    uint32_t met, joined, trunks;
    uint64_t statuses, chunks, documents, retries;
    struct hub_counters traffic;
    uint64_t checked, remembered, checked_us;
    struct tally tally;
    uint32_t faults;
};

/* Splits the fleet evenly over so many; `options` are those of each crowd, but for what differs,
 * and with the trunks of all. */
int team_open(struct team *t, const struct crowd_options *options, uint32_t count,
              struct errmsg *em);
void team_close(struct team *t);
/* To all, and waits until all have begun, as long as team_look finds nothing. */
int team_order(struct team *t, const struct order *o, const volatile bool *stop, struct errmsg *em);
void team_sum(const struct team *t, struct team_sum *sum);
/* Why nothing more is to be waited for: ERR_BUSY when `stop` is true, ERR_IO when one has died. */
int team_look(struct team *t, const volatile bool *stop, struct errmsg *em);
struct usage team_usage(const struct team *t);

/* A cohort whose agents hold different documents, with different workers. */
struct team_split {
    uint32_t worker;
    struct revision here, elsewhere;
};

/* After ORDER_CHECK: each worker saw parts of the cohorts, and all have to have seen the same. The
 * i-th such cohort; false: there are not so many. */
bool team_compare(const struct team *t, uint32_t i, struct team_split *split);

/* The i-th fault that was written down, or NULL. */
const char *team_fault(const struct team *t, uint32_t i);

#endif
