/*
 * verbs: all there is to say to dunlin, one table a file.
 */
#ifndef DUNLIN_MANAGER_CLI_VERBS_H
#define DUNLIN_MANAGER_CLI_VERBS_H

#include "manager/cli/cli.h"

extern const struct verb token_verbs[3];
extern const struct verb agent_verbs[5];
extern const struct verb membership_verbs[5];
extern const struct verb taint_verbs[2];
extern const struct verb group_verbs[4];
extern const struct verb budget_verbs[4];
extern const struct verb bundle_verbs[4];
extern const struct verb key_verbs[9];
extern const struct verb deploy_verbs[2];
extern const struct verb deployment_verbs[6];
extern const struct verb rollout_verbs[8];
extern const struct verb wait_verbs[1];
extern const struct verb status_verbs[1];
extern const struct verb variable_verbs[3];
extern const struct verb why_verbs[1];
extern const struct verb audit_verbs[1];
extern const struct verb admin_verbs[3];

#endif
