/*
 * world: one manager, one broker and some devices in virtual time: the two real cores, everything
 * else a model that can fail at any point. The same seed and the same calls give the same trace.
 * After every event it looks whether anything is as it must never be.
 */
#ifndef DUNLIN_SIMULATOR_WORLD_WORLD_H
#define DUNLIN_SIMULATOR_WORLD_WORLD_H

#include "simulator/world/control.h"
#include "simulator/world/device.h"

#define WORLD_DEVICES_MAX 16

struct world_options {
    uint64_t seed;
    struct broker_options links; /* zero: 5 to 40 ms, nothing lost */
    struct policy policy;        /* zero: a heartbeat a minute, reconnects within 10 s */
    uint32_t document_life_s;    /* zero: a week */
    uint32_t lane_agents_max;    /* zero: all on one lane */
};

struct world {
    struct stage stage;
    struct shelf shelf;
    struct broker *broker;
    struct control *control;
    uint32_t device_count;
    struct device *devices[WORLD_DEVICES_MAX];
};

/* A world with a manager that trusts SHELF_PUBLISHER, connected; `options` may be NULL. */
struct world *world_new(const struct world_options *options);
void world_free(struct world *w);

/* ---- time ---- */

void world_run(struct world *w, uint64_t ms);
typedef bool world_test(const struct world *w, const void *context);
/* Until `test` is true, at most for `ms_max`; its last answer. */
bool world_run_until(struct world *w, world_test *test, const void *context, uint64_t ms_max);

/* ---- what an operator does; each as control_command: 0, 1 or a negative code ---- */

/* Makes `count` tokens for agents with these labels; the batch's index, or a negative code. */
int world_tokens(struct world *w, const char *labels, uint32_t count);
/* Makes the bundle when there is none of this name and version, and pushes it. */
int world_push(struct world *w, const struct script *script);
/* Deploys bundle@version under the bundle's name, on the agents of `selector` ("": all). */
int world_deploy(struct world *w, const char *bundle, const char *version, const char *selector);
/* The whole command, for the rest. */
int world_deploy_with(struct world *w, const struct command *command);
int world_pause(struct world *w, const char *deployment);
int world_resume(struct world *w, const char *deployment);
int world_rollback(struct world *w, const char *deployment);
int world_remove(struct world *w, const char *deployment);
int world_label(struct world *w, const struct device *d, const char *set, const char *unset);
int world_cordon(struct world *w, const struct device *d);
int world_uncordon(struct world *w, const struct device *d);
int world_remove_agent(struct world *w, const struct device *d);
int world_revoke(struct world *w, const struct device *d);
int world_release(struct world *w, const struct device *d);
/* A fresh token for the device that takes its place; the index of its row as a successor. */
int world_replace(struct world *w, const struct device *d);

/* A backup of the manager as it is now; and a restore of one, which stays the caller's. */
struct rows *world_backup(const struct world *w);
void world_restore(struct world *w, const struct rows *backup, uint32_t base);

/* ---- devices ---- */

/* A new device with this token, switched on. */
struct device *world_device(struct world *w, const struct token *token);
/* The same, still off. */
struct device *world_device_off(struct world *w, const struct token *token);
/* Another one with a copy of this one's disk, still off. */
struct device *world_clone(struct world *w, const struct device *d);
/* One more, with a token of its own for these labels, and run until the manager has heard it. */
struct device *world_agent(struct world *w, const char *labels);

/* ---- what is so ---- */

/* The first thing that must never be, or "". */
const char *world_fault(const struct world *w);
const char *world_trace(const struct world *w);
/* How often this stands in the trace. */
unsigned world_count(const struct world *w, const char *words);

/* `current` of the deployment names the tree of NAME@VERSION, and its row is settled. */
bool world_runs(const struct device *d, const char *deployment, const char *version);
/* Neither a folder nor a row of that name. */
bool world_is_gone(const struct device *d, const char *deployment);
/* What the manager says of the deployment on this device; STATE_COUNT: it is none of its. */
enum deployment_state world_state(const struct world *w, const struct device *d,
                                  const char *deployment, enum cause *cause);
uint32_t world_flags(const struct world *w, const struct device *d); /* enum agent_flag */
/* Everybody on, connected, heard, with the newest document, and every deployment at an end: Ready,
 * Failed, RolledBack or Paused on every agent that the manager knows. */
bool world_at_rest(const struct world *w, const void *unused);

/* ---- world_check.c ---- */

/* Looks everywhere; what is wrong becomes the stage's fault. */
void world_check(struct world *w);

#endif
