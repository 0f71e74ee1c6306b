/*
 * child: a process of the simulator's own beside this one, with a piece of memory that both see and
 * a pipe for orders. It ends with its parent, however that ends, and not by a terminal's Ctrl-C. It
 * knows nothing of what is worked at.
 */
#ifndef DUNLIN_SIMULATOR_LOAD_CHILD_H
#define DUNLIN_SIMULATOR_LOAD_CHILD_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct child {
    pid_t pid;    /* 0: none */
    int orders;   /* is written to */
    void *shared; /* zeroed at first */
    size_t size;
};

/* As fork. `apart`: in a session of its own, to which the kernel gives its turn beside all others
 * together. */
pid_t child_fork(bool apart);

/* What it does; `orders` is read from, and at its end when no more will come. Its exit code. */
typedef int child_work(void *context, void *shared, int orders);

/* `what` is its name in errors. */
int child_start(struct child *c, size_t size, bool apart, child_work *work, void *context,
                const char *what, struct errmsg *em);
/* False when it has ended. */
bool child_order(struct child *c, const void *order, size_t len);
/* Whether it still works; it is not asked again when it doesn't. */
bool child_lives(struct child *c);
/* At once; what was shared is there until child_free. */
void child_kill(struct child *c);
/* No more orders: waits until it has ended by itself. */
void child_end(struct child *c);
/* Of one that was killed, or has ended, or was never started. */
void child_free(struct child *c);

#endif
