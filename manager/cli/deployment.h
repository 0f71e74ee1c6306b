/*
 * deployment: how deployments look in a table, for every verb that shows some.
 */
#ifndef DUNLIN_MANAGER_CLI_DEPLOYMENT_H
#define DUNLIN_MANAGER_CLI_DEPLOYMENT_H

#include "manager/cli/cli.h"

/* Room for "3 of 4 ready, 1 pending, 0 failed" with the largest numbers. */
#define DEPLOYMENT_COUNTS_MAX 160

/* Targets of a deployment, by how far they are. */
struct deployment_counts_text {
    char text[DEPLOYMENT_COUNTS_MAX];
    enum paint paint;
};

/* Of an object with "targets", "ready", "pending" and "failed". */
struct deployment_counts_text deployment_counts(const json_t *object);

/* Prints the deployments of an array, or how to make one. */
int deployment_print_table(struct cli *cli, const json_t *deployments);

#endif
