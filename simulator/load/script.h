/*
 * script: who is who in a fleet under load: what labels the n-th agent has, whose second version
 * fails, who is moved to other labels, who fetches its content for real. All of it follows from n,
 * so that every process knows what every agent has to end with.
 */
#ifndef DUNLIN_SIMULATOR_LOAD_SCRIPT_H
#define DUNLIN_SIMULATOR_LOAD_SCRIPT_H

#include "base/labels.h"

/* Label sets, each with as many agents: a twentieth is staging, three are canaries. */
#define SCRIPT_GROUPS 20
#define SCRIPT_CANARIES 3
/* These two groups, a tenth of the fleet, are moved to other labels. */
#define SCRIPT_MOVED "site in (s5,s15)"
#define SCRIPT_DEPLOYMENT "load"
/* Content of its bundle: a few chunks, of which the second version changes one or two. */
#define SCRIPT_CONTENT_BYTES (512 << 10)

/* Deployments that stand on each group besides, a quarter of what a document holds. */
#define SCRIPT_SPARES_EACH 30
#define SCRIPT_SPARES_MAX (SCRIPT_GROUPS * SCRIPT_SPARES_EACH)

struct script {
    uint32_t agents;
    uint32_t fail_per_mille; /* of those that the second version is for */
    uint32_t fetch_per_mille;
};

/* From 0. */
uint32_t script_group(uint32_t agent);
/* "env=prod,site=s7", as labels are written. */
struct labels script_labels(uint32_t group, bool moved);
bool script_moves(uint32_t agent);
bool script_fails(const struct script *s, uint32_t agent);
bool script_fetches(const struct script *s, uint32_t agent);
uint32_t script_group_size(const struct script *s, uint32_t group);
/* How many of so many spares stand in a document, at most. */
uint32_t script_count_spares(uint32_t spares);
/* Whom the i-th spare selects, from 1: one group, or nobody. */
struct labels script_spare(uint32_t i);
/* How many of the fleet do. */
uint32_t script_count_moved(const struct script *s);
uint32_t script_count_failing(const struct script *s);
uint32_t script_count_fetching(const struct script *s);

#endif
