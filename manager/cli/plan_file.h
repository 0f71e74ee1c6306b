/*
 * plan_file: the part of a deployment file that says how a new version reaches its agents, read
 * into a plan. It knows the shape of YAML; what the keys are and take stands in plan_words.
 */
#ifndef DUNLIN_MANAGER_CLI_PLAN_FILE_H
#define DUNLIN_MANAGER_CLI_PLAN_FILE_H

#include "manager/cli/strict_yaml.h"
#include "manager/core/plan.h"

/* `key` is where the plan stands in the file, `value` the plan. ERR_USAGE, as yaml_refuse says it.
 * The plan is complete then. */
int plan_file_read(struct yaml_reading *r, const yaml_node_t *key, const yaml_node_t *value,
                   struct plan *p);

#endif
