/*
 * naming: which agents texts mean: by an id, the beginning of one, a number, or a number behind an
 * 'n', which is no digit of an id. Many texts take no more walks over the fleet than one does. It
 * knows no requests.
 */
#ifndef DUNLIN_MANAGER_NAMING_H
#define DUNLIN_MANAGER_NAMING_H

#include "manager/core/manager.h"

enum naming_result {
    NAMES_NONE,
    NAMES_ONE,
    NAMES_SEVERAL, /* ids begin like this */
    NAMES_EITHER,  /* it is an agent's number, and the beginning of another one's id */
};

struct naming {
    const char *text; /* borrowed */
    enum naming_result result;
    uint32_t number; /* of NAMES_ONE; else 0 */
};

/* Finds out what each means. Agents that were removed are found only with `removed`. */
void naming_find(const struct manager *m, bool removed, struct naming *list, size_t count);

#endif
