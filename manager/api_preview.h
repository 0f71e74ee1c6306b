/*
 * api_preview: the answer to a deploy that is only tried: what would change, for whom, in which
 * stage, and what would have to be fetched. It decides nothing: the core does.
 */
#ifndef DUNLIN_MANAGER_API_PREVIEW_H
#define DUNLIN_MANAGER_API_PREVIEW_H

#include "manager/api_request.h"

/* Answers a COMMAND_DEPLOY with `dry_run`. */
void api_preview(struct request *r, const struct command *c);

#endif
