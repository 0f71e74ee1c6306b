/*
 * values: finds what a version on this device got to know by variables, and the tree that follows
 * from that. It knows nothing of where values come from: the store keeps them.
 */
#ifndef DUNLIN_AGENT_VALUES_H
#define DUNLIN_AGENT_VALUES_H

#include "agent/store.h"

/* The name of the tree of a row's target. ERR_NOT_FOUND or ERR_IO when its values can't be read. */
int values_find_tree(struct store *s, const struct target *t, struct digest *tree,
                     struct errmsg *em);

#endif
