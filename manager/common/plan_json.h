/*
 * plan_json: a plan as JSON, with the keys that it has in a file; the API takes and shows it, and
 * the command line sends it. Reader and writer walk the same table (manager/core/plan_words.h).
 */
#ifndef DUNLIN_MANAGER_COMMON_PLAN_JSON_H
#define DUNLIN_MANAGER_COMMON_PLAN_JSON_H

#include "manager/core/plan.h"

#include <jansson.h>

/* Strictly: ERR_USAGE with a sentence that says in which stage what is wrong. The plan is complete
 * then. */
int plan_from_json(const json_t *json, struct plan *p, struct errmsg *em);

/* Without what need not be said. NULL when there is no memory. */
json_t *plan_to_json(const struct plan *p);

/* The same laid out flat, to be compared: {"max_failed": "10%", "stages": "staging, prod",
 * "stage prod: before: approval": "true"}. */
json_t *plan_to_lines(const struct plan *p);

#endif
