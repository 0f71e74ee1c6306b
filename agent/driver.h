/*
 * driver: brings the agent's core its events and performs what it decides: one poll loop over the
 * link, the running hook and the clock. It decides nothing.
 */
#ifndef DUNLIN_AGENT_DRIVER_H
#define DUNLIN_AGENT_DRIVER_H

#include "agent/fetch.h"
#include "agent/folder.h"
#include "agent/hook.h"
#include "agent/inventory.h"
#include "agent/network.h"
#include "agent/notes.h"
#include "agent/store.h"
#include "agent/tree.h"
#include "agent/upgrade.h"

/* An action that is begun as soon as the step that asked for it is over. */
struct job {
    bool pending;
    enum agent_action_type type;
    enum agent_hook hook;
    struct target to;   /* all but their generations */
    struct target from; /* for hooks: what ran before */
    uint32_t deployment;
    char name[NAME_MAX_LEN + 1];
};

/* About 720 KiB, most of it touched only while content comes: keep it in static memory. */
struct driver {
    struct folder folder;
    int stop;
    struct network network;
    struct store store;
    struct chunks chunks;
    struct content content;
    struct fetch fetch;
    struct sandbox sandbox;
    struct hook hook;
    struct link link;
    struct inventory inventory;
    struct notes notes;
    struct upgrade upgrade;

    struct agent core;
    struct agent_out out;
    struct arena scratch;
    _Alignas(16) uint8_t memory[AGENT_SCRATCH_MAX];
    uint64_t deadline_ms;

    struct job job;
    uint8_t values[VARIABLES_BYTES_MAX]; /* of the job that runs */
    char working_for[NAME_MAX_LEN + 1];  /* the deployment of the running hook or fetch */
    struct errmsg complaint;             /* why a deployment was put off last, as logged */
    bool sweep;                          /* when nothing else uses `content` */
    uint64_t fetch_due_ms;
};

/*
 * Opens everything in DIR; hooks will run in the sandbox. `d` is all-zero before. ERR_BUSY when
 * another agent works there, ERR_NOT_FOUND with what to do when it hasn't joined, ERR_DAMAGED.
 */
int driver_open(struct driver *d, const char *dir, const struct sandbox *sandbox,
                struct errmsg *em);

/* Runs until SIGTERM or SIGINT, or until another program is to go on: then true. */
bool driver_run(struct driver *d);

/* Ends what runs, says good-bye, closes. Also after a failed open. */
void driver_close(struct driver *d);

#endif
