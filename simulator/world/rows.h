/*
 * rows: what the simulated manager keeps when its process is killed: the fleet's rows, copied from
 * the core when a commit says so, and the log of what brokers must retain. It decides nothing.
 */
#ifndef DUNLIN_SIMULATOR_WORLD_ROWS_H
#define DUNLIN_SIMULATOR_WORLD_ROWS_H

#include "manager/core/manager.h"
#include "simulator/world/shelf.h"
#include "simulator/world/stage.h"

#define ROWS_VARIABLES_MAX 40

#define ROWS_LIMITS                                                                                \
    ((struct manager_limits){.agents = 64,                                                         \
                             .cohorts = 16,                                                        \
                             .deployments = 160,                                                   \
                             .bundles = SHELF_BUNDLES_MAX,                                         \
                             .batches = 16,                                                        \
                             .variables = ROWS_VARIABLES_MAX})

/* Replaced agents, those that wait for it, and groups. */
#define ROWS_FEW 16

struct agent_copy {
    struct agent_row row;
    uint32_t exception_count;
    struct exception exceptions[EXCEPTIONS_MAX];
    uint32_t stints[EXCEPTIONS_MAX];
    uint64_t taints;
    uint32_t list_count;
    uint32_t *lists; /* NULL: on none */
    uint32_t permit_count;
    struct permit permits[PERMITS_MAX];
    uint32_t slot_permits; /* as bits */
};

/* The newest publication of a topic; no bytes: it is to be erased. */
struct publication {
    uint64_t serial;
    struct topic topic;
    uint32_t len;
    uint8_t *bytes;
};

struct rows {
    struct manager_limits limits; /* room in the tables */
    uint32_t agent_count;
    struct agent_copy *agents;
    uint32_t cohort_count;
    struct cohort *cohorts;
    uint32_t deployment_count;
    struct deployment_row *deployments;
    uint32_t bundle_count;
    struct bundle_row *bundles;
    uint32_t batch_count;
    struct batch_row *batches;
    uint32_t epoch;
    uint64_t restored_s; /* 0: never */
    uint32_t restored_epoch;
    uint32_t restored_base;
    uint32_t lineage; /* grows with each restore: marks of another one don't count */
    uint32_t replaced_count;
    struct replaced_row replaced[ROWS_FEW];
    struct taint taints[TAINTS_MAX];
    uint32_t group_count;
    struct group_row groups[ROWS_FEW];
    uint32_t budget_count;
    struct budget_row budgets[ROWS_FEW];
    uint32_t successor_count;
    struct successor_row successors[ROWS_FEW];
    struct trust trust;
    uint32_t variable_count;
    struct variable_row variables[ROWS_VARIABLES_MAX];
    struct variable_text variable_texts[ROWS_VARIABLES_MAX];

    uint64_t serial; /* of the newest publication */
    uint32_t log_count;
    struct publication *log; /* by rising serial, each topic once */
};

/* Empty ones. */
struct rows *rows_new(const struct manager_limits *limits);
void rows_free(struct rows *r);
/* A backup: another copy of everything. */
struct rows *rows_clone(const struct rows *r);
/* What a restore makes of one. */
void rows_restored(struct rows *r, uint64_t now_s, uint32_t lineage, uint32_t base);

/* Copies one row of the core. */
void rows_copy(struct rows *r, const struct manager *m, const struct persist *p);
/* Brings everything into a fresh core; a refusal is a fault. */
void rows_load(const struct rows *r, struct manager *m, struct stage *stage);

void rows_publish(struct rows *r, const struct topic *topic, struct span payload);
/* What was published last under this name; empty: nothing. */
struct span rows_published(const struct rows *r, const struct topic *topic);
/* The next publication behind `serial`, or NULL. */
const struct publication *rows_next(const struct rows *r, uint64_t serial);

#endif
