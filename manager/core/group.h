/*
 * group: selectors that operators have saved under a name, for "@NAME" in other selectors. A group
 * is what it selects now: where it changes, what names it changes with it.
 */
#ifndef DUNLIN_MANAGER_CORE_GROUP_H
#define DUNLIN_MANAGER_CORE_GROUP_H

#include "manager/core/selector.h"
#include "sync/limits.h"

/* Names that people keep in mind; each selector that says one looks it up. */
#define SAVED_GROUPS_MAX 256

struct group_row {
    char name[NAME_MAX_LEN + 1]; /* "": there is none, and the next one made takes its place */
    char selector[SELECTOR_TEXT_MAX + 1];
};

#endif
