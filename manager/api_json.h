/*
 * api_json: the objects that several answers share, made from the core's rows.
 * All give a new reference, or NULL when there is no memory.
 */
#ifndef DUNLIN_MANAGER_API_JSON_H
#define DUNLIN_MANAGER_API_JSON_H

#include "manager/daemon.h"

#include <jansson.h>

/* Bytes that are no UTF-8 become '?': they may come from a device or an operator's typing. */
json_t *api_json_text(const char *text);
/* "2026-01-31T23:59:59Z", or null for 0. */
json_t *api_json_time(uint64_t seconds);
/* How many of those that come back are at work, may be, and wait. */
json_t *api_json_returning(const struct returning_use *use);
json_t *api_json_labels(const struct labels *labels);

/* "Online", "Offline", "Stale", "Waiting", "Quarantined", "CutOff", "Removed" or "Revoked". */
const char *api_agent_state(const struct agent_row *row);
json_t *api_json_agent(const struct manager *m, uint32_t number);

/* What the device said of this cause in this generation: a failed hook's last words, or how much
 * room is missing. False: nothing that is known. */
bool api_note(struct daemon *d, uint32_t number, uint32_t deployment, uint32_t generation,
              enum cause cause, struct kept_note *out);
/* {"at": …, "text": …} */
json_t *api_json_note(const struct kept_note *note);

/* As in status; `full` adds generation, created and the plan. */
json_t *api_json_deployment(const struct daemon *daemon, uint32_t index,
                            const struct deployment_counts *counts, bool full);
/* All that are not removed. */
json_t *api_json_deployments(const struct daemon *daemon, bool full);

/* The names whose values two versions of a deployment have each its own of. */
json_t *api_json_values(const struct manager *m, uint32_t index,
                        const struct generation_row *before, const struct generation_row *after);

/* What a deployment asks for now. */
const struct bundle_row *api_deployment_bundle(const struct manager *m, uint32_t index);

/* `chain` adds its digest in the chain. */
json_t *api_json_audit(const struct audit_entry *e, bool chain);

/* The core's counters by name. */
#define API_COUNTERS 12

struct api_counter {
    const char *name;
    uint64_t value;
};

void api_counters(const struct manager *m, struct api_counter out[static API_COUNTERS]);

/* As people count: what is neither ready nor failed is pending. */
uint32_t api_count_ready(const struct deployment_counts *c);
uint32_t api_count_failed(const struct deployment_counts *c);
uint32_t api_count_pending(const struct deployment_counts *c);

#endif
