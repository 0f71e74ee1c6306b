/*
 * measure: what one phase of a run took: time, messages, processor time of each part, and beside it
 * the floor. It knows nothing of what the phase was.
 */
#ifndef DUNLIN_SIMULATOR_LOAD_MEASURE_H
#define DUNLIN_SIMULATOR_LOAD_MEASURE_H

#include "simulator/load/boss.h"
#include "simulator/load/team.h"

/* What is taken at both ends of a phase. */
struct snapshot {
    uint64_t at_us;
    struct team_sum sum;
    struct usage manager, brokers, simulator;
};

/* Time, and the processor's of each part; in a floor the one that hears counts as the manager. */
struct cost {
    double seconds, manager_s, brokers_s, simulator_s;
};

struct measure {
    const char *name;
    enum floor_type floor;    /* what one message to or from each agent takes; FLOOR_COUNT: none */
    uint64_t count;           /* of what the rate is of: joins, agents, statuses */
    struct cost own_floor;    /* of a phase without messages; all zero: none … */
    const char *floorless;    /* … and then why, in words that go on after "since" */
    struct cost cost;         /* until the manager knows */
    double agents_s;          /* until the agents are done */
    uint64_t messages, bytes; /* publications and bytes, both ways */
    uint64_t documents;       /* that agents got, … */
    uint64_t chunks;          /* … and of content */
    bool counts;              /* agents come to a goal in it: */
    struct tally tally;       /* how long that took them, or else each of an operator's commands */
};

#define MEASURES_MAX 32

void snapshot_take(struct snapshot *s, const struct boss *b, const struct team *t);
/* Fills in what lies between the two. */
void measure_between(struct measure *m, const struct snapshot *from, const struct snapshot *to);
uint64_t measure_now_us(void);

#endif
