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

/* What is to be set of a plan on the way: the fields start, rate, max_failed and concurrency of an
 * object, whatever else it has; those that are absent or null stay as they are. */
int pace_from_json(const json_t *json, struct pace *pace, struct errmsg *em);
/* What was set of it: [{"stage": null, "rate": "50/1h"}, {"stage": "prod", "concurrency": "20%"}].
 */
json_t *paces_to_json(const struct plan *p);

#endif
