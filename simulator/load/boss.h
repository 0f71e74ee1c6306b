/*
 * boss: the manager under load: a process of ours, or one that runs already; its API on the socket
 * in its folder, and the operator's CLI. It knows nothing of agents.
 */
#ifndef DUNLIN_SIMULATOR_LOAD_BOSS_H
#define DUNLIN_SIMULATOR_LOAD_BOSS_H

#include "base/file.h"
#include "simulator/load/usage.h"

#include <jansson.h>
#include <stdbool.h>

/* Its brokers, the door's included. */
#define BOSS_BROKERS_MAX 257

struct boss {
    char dir[FILE_PATH_MAX];
    char programs[FILE_PATH_MAX]; /* the folder with dunlin and dunlin-manager */
    bool ours;
    bool tls;                  /* its links */
    const volatile bool *stop; /* ends all waiting for it */
    unsigned cells;
    pid_t pid;
    struct usage gone; /* what managers before this one have used */
    unsigned broker_count;
    pid_t brokers[BOSS_BROKERS_MAX];
};

/* Takes the manager that runs on `dir`, or starts one with so many brokers, with TLS or plain. */
int boss_open(struct boss *b, const char *dir, unsigned cells, bool tls, const volatile bool *stop,
              struct errmsg *em);
/* Whether a manager runs on `dir`. */
bool boss_answers(const char *dir);
/* Starts it (again), and waits until it answers. */
int boss_start(struct boss *b, struct errmsg *em);
/* kill -9: its brokers stay. */
void boss_kill(struct boss *b);
/* Ends it with all its brokers, when it is ours. Never waits longer than a minute. */
void boss_close(struct boss *b);

/* Asks the API. The answer's JSON, to be freed, or NULL with a sentence. */
json_t *boss_ask(struct boss *b, const char *method, const char *route, const char *body,
                 struct errmsg *em);
/* Runs `dunlin WORDS`, NULL-terminated; what it prints goes to DIR/load.log. ERR_BUSY when `stop`
 * ended it, ERR_TIMEOUT when it took ten minutes, ERR_REFUSED when it failed. */
int boss_run(struct boss *b, const char *const *words, struct errmsg *em);

/* Of what it and those before it have used, and its brokers. */
struct usage boss_usage(const struct boss *b);
struct usage boss_brokers(const struct boss *b);
uint64_t boss_database_bytes(const struct boss *b);
uint64_t boss_log_bytes(const struct boss *b); /* of those, what is written ahead */

#endif
