/*
 * worker: a process of its own for a part of the fleet: a process may have only so many sockets,
 * and a machine has more processors than one. It ends with its coordinator, however that ends.
 */
#ifndef DUNLIN_SIMULATOR_LOAD_WORKER_H
#define DUNLIN_SIMULATOR_LOAD_WORKER_H

#include "simulator/load/child.h"
#include "simulator/load/crowd.h"

/* Besides its connections: pipes, epoll, logs. */
#define WORKER_FDS_SPARE 100

struct worker {
    struct child child;
    struct board *board; /* of the child's; NULL: it was never started */
    uint32_t ordered;    /* so many orders were given */
};

/* `options` as for the crowd, but for the board, which is made here. */
int worker_start(struct worker *w, const struct crowd_options *options, struct errmsg *em);
/* Tells it to do something, and returns. */
void worker_order(struct worker *w, const struct order *o);
/* All that was ordered has been begun. */
bool worker_obeyed(const struct worker *w);
/* Whether it still works; once. */
bool worker_lives(struct worker *w);
/* Ends it at once. */
void worker_stop(struct worker *w);

#endif
