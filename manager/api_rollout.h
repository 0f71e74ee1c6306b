/*
 * api_rollout: what operators are told of a rollout, in words: how it stands and what it waits for.
 * It decides nothing: the core does.
 */
#ifndef DUNLIN_MANAGER_API_ROLLOUT_H
#define DUNLIN_MANAGER_API_ROLLOUT_H

#include "manager/api_request.h"

/* Room for one sentence with a deployment's and a stage's name. */
#define ROLLOUT_SENTENCE_MAX 400

/* "running", "waiting", "paused", "stopped", "aborted" or "done". */
const char *api_rollout_state(const struct deployment_row *d, enum rollout_hold hold);

/* What happens next, or what to do: "stage prod waits for approval: dunlin rollout approve app
 * prod". `count` is of the present stage; NULL: it is not known. */
void api_rollout_sentence(const struct manager *m, uint32_t deployment, uint64_t now_s,
                          const struct stage_count *count, char out[static ROLLOUT_SENTENCE_MAX]);

/* "held by rate 100/1h until 2026-11-27T14:30:00Z, in 12m". */
#define RATE_HELD_MAX 192
void api_rate_held(const struct deployment_row *d, uint64_t now_s, uint64_t until_s,
                   char out[static RATE_HELD_MAX]);

/* Adds rollout_state and stage of a deployment that has a plan; null without. */
void api_json_add_rollout(json_t *json, const struct manager *m, uint32_t deployment,
                          uint64_t now_s);

/* The path's deployment. False: answered with 404. */
bool api_find_deployment(struct request *r, uint32_t *index);
/* What a rollback says. False: answered. */
bool api_read_rollback(struct request *r, struct command *c);

#endif
