/*
 * mend: looks at an agent's start whether what deployments run is still on the disk, and sees to it
 * that it comes back. It knows nothing of what is inside a tree.
 */
#ifndef DUNLIN_AGENT_MEND_H
#define DUNLIN_AGENT_MEND_H

#include "agent/store.h"

/*
 * Puts back `current` where it is missing or leads elsewhere, and lets a deployment whose tree is
 * gone begin anew, or go back anew where its version has failed. Says what it finds in the log.
 * Before the core has seen the store.
 */
void mend_deployments(const char *dir, struct store *s);

#endif
