/*
 * api_budget: what operators are told of a budget: who is out of Ready by which deployments, as
 * JSON and in half a sentence. It decides nothing: the core does.
 */
#ifndef DUNLIN_MANAGER_API_BUDGET_H
#define DUNLIN_MANAGER_API_BUDGET_H

#include "manager/api_request.h"

/* Room for a budget's name, its numbers, and the agents that are named. */
#define BUDGET_SENTENCE_MAX 320

/* "budget pier: 2 of at most 2 agents are out of Ready, agent 4 (Failed in app) and 1 more". */
void api_budget_sentence(const struct manager *m, uint32_t index, uint64_t now_s,
                         char out[static BUDGET_SENTENCE_MAX]);

/* The names of those that a deployment's agents are under. */
json_t *api_budgets_on(const struct manager *m, uint32_t deployment);

#endif
