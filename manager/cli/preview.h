/*
 * preview: what a deployment would change, as the manager foretells it, for people.
 */
#ifndef DUNLIN_MANAGER_CLI_PREVIEW_H
#define DUNLIN_MANAGER_CLI_PREVIEW_H

#include "manager/cli/cli.h"

/* Only the changes, line by line. */
int preview_changes(struct cli *cli, const json_t *preview);

/* All: changes, who gets it in which stage, what they fetch, who has it taken off. */
int preview_print(struct cli *cli, const json_t *preview);

#endif
