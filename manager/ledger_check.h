/*
 * ledger_check: looks over all pages of a database, on a thread and a connection of its own, while
 * its owner reads from it. It knows nothing of what is in it.
 */
#ifndef DUNLIN_MANAGER_LEDGER_CHECK_H
#define DUNLIN_MANAGER_LEDGER_CHECK_H

#include <pthread.h>
#include <stdbool.h>

/* All-zero, none was begun. */
struct ledger_check {
    const char *path;
    bool alone; /* on a thread of its own */
    pthread_t thread;
    int rv;
};

/* `path`, which is borrowed until the end, has been opened by somebody who keeps it open. Where
 * there is no thread to be had, it blocks until the check is over. */
void ledger_check_begin(struct ledger_check *c, const char *path);
/* Waits for its end. 0, ERR_DAMAGED, or what kept it from looking, as query_code says it. The same
 * again when it is asked again; 0 when none was begun. */
int ledger_check_end(struct ledger_check *c);

#endif
