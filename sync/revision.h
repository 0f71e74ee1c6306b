/*
 * revision: orders everything that the manager decides: first by epoch, then by revision.
 */
#ifndef DUNLIN_SYNC_REVISION_H
#define DUNLIN_SYNC_REVISION_H

#include <stdint.h>

/* The epoch grows when a manager is restored from a backup, the revision with each document. 0.0 is
 * "none". */
struct revision {
    uint32_t epoch;
    uint32_t number;
};

/* Negative, zero or positive, as a is older than, the same as or newer than b. */
static inline int revision_compare(struct revision a, struct revision b)
{
    if (a.epoch != b.epoch)
        return a.epoch < b.epoch ? -1 : 1;
    return (a.number > b.number) - (a.number < b.number);
}

#endif
