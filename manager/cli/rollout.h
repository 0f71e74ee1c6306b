/*
 * rollout: how far a deployment's newest version has come, asked for once or followed to its end.
 */
#ifndef DUNLIN_MANAGER_CLI_ROLLOUT_H
#define DUNLIN_MANAGER_CLI_ROLLOUT_H

#include "manager/cli/deployment.h"

/* All stages together. */
struct rollout_sum {
    char version[64];
    uint64_t targets, ready, pending, failed;
};

/* Asks the manager; the whole answer is the caller's to release when `answer` isn't NULL. */
int rollout_ask(struct cli *cli, const char *name, struct rollout_sum *sum, json_t **answer);

/* The sum in words: "3 of 4 ready, 1 pending". */
struct deployment_counts_text rollout_text(const struct rollout_sum *sum);

/* Waits between two looks at a rollout. */
void rollout_pause(void);

#endif
