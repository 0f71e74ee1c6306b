#include "simulator/load/worker.h"

#include <stdio.h>
#include <unistd.h>

#define TURN_MS 100

static int work(void *context, void *shared, int orders);

int worker_start(struct worker *w, const struct crowd_options *options, struct errmsg *em)
{
    struct crowd_options own = *options;
    int rv = child_start(&w->child, sizeof *w->board, false, work, &own, "a worker", em);
    w->board = w->child.shared;
    return rv;
}

static int work(void *context, void *shared, int orders)
{
    struct errmsg em = {.text = ""};
    struct crowd_options *options = context;
    struct order o = {.type = ORDER_GOAL};
    options->board = shared;
    struct crowd *c = crowd_new(options, &em);
    if (!c || hub_listen(&c->hub, orders) < 0) {
        fprintf(stderr, "dunlin-sim: a worker: %s\n", em.text);
        return 1;
    }
    while (o.type != ORDER_END) {
        if (!crowd_turn(c, TURN_MS))
            continue;
        if (read(orders, &o, sizeof o) != (ssize_t)sizeof o)
            o.type = ORDER_END;
        crowd_obey(c, &o);
    }
    crowd_free(c);
    return 0;
}

void worker_order(struct worker *w, const struct order *o)
{
    w->ordered += child_order(&w->child, o, sizeof *o);
}

bool worker_obeyed(const struct worker *w)
{
    return __atomic_load_n(&w->board->orders, __ATOMIC_ACQUIRE) == w->ordered;
}

bool worker_lives(struct worker *w)
{
    return child_lives(&w->child);
}

void worker_stop(struct worker *w)
{
    child_kill(&w->child);
    child_free(&w->child);
    *w = (struct worker){0};
}
