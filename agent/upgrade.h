/*
 * upgrade: what a deployment's steps are for a bundle of kind agent: its program is on trial until
 * a broker has acknowledged a report of it and it has read what the manager signed. It knows
 * nothing of when a step's turn comes.
 */
#ifndef DUNLIN_AGENT_UPGRADE_H
#define DUNLIN_AGENT_UPGRADE_H

#include "agent/core/agent.h"
#include "agent/program.h"
#include "bundles/manifest.h"

struct upgrade {
    const char *dir;   /* borrowed, absolute */
    bool acknowledged; /* by a broker: a report of this process */
    bool answered;     /* something that the manager signed came to this process */
    bool over;         /* another program is to go on: this one ends */
};

/* Sees what the link brings. True: the document has to be asked for, as proof that it comes. */
bool upgrade_hears(struct upgrade *u, const struct agent_event *ev);

/* Before anything changes: `program` becomes what is to be asked whether it can read this DIR.
 * `previous`: what the deployment ran before, or zero. ERR_NOT_FOUND, or ERR_REFUSED when another
 * deployment brought the agent that runs. */
int upgrade_prepare(const struct upgrade *u, const struct digest *tree,
                    const struct digest *previous, char program[static FILE_PATH_MAX],
                    struct errmsg *em);
/* To this tree's program, on trial, unless it runs or had its trial. 1: `over`. */
int upgrade_begin(struct upgrade *u, const struct digest *tree, const struct manifest *m,
                  struct errmsg *em);
/* Back to this tree's program, or to the packaged one. 1: `over`. */
int upgrade_undo(struct upgrade *u, const struct digest *tree, struct errmsg *em);
/* All hooks but pre-apply. `down` says why there is no link. */
int upgrade_hook(struct upgrade *u, enum agent_hook hook, const struct digest *tree,
                 const char *down, struct errmsg *em);

#endif
