/*
 * onlooker: somebody who asks the manager again and again how the fleet is, in a process and a
 * session of its own: what is measured is the manager's answer, and not how long the coordinator
 * waits for its turn among all the processes of agents.
 */
#ifndef DUNLIN_SIMULATOR_LOAD_ONLOOKER_H
#define DUNLIN_SIMULATOR_LOAD_ONLOOKER_H

#include "simulator/load/boss.h"
#include "simulator/load/child.h"
#include "simulator/load/tally.h"

struct onlooker {
    struct child child; /* shares a struct tally */
};

int onlooker_start(struct onlooker *o, struct boss *b, struct errmsg *em);
/* How long each answer took. */
struct tally onlooker_stop(struct onlooker *o);

#endif
