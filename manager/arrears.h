/*
 * arrears: the agents whose rows on the disk are behind those in memory, one bit each, so that an
 * agent owes its row once, however often it was heard. It knows nothing of rows.
 */
#ifndef DUNLIN_MANAGER_ARREARS_H
#define DUNLIN_MANAGER_ARREARS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All-zero is: nobody. */
struct arrears {
    uint32_t count;
    uint32_t cursor; /* the word that is looked at next */
    uint32_t words;
    uint64_t *bits;
};

void arrears_free(struct arrears *a);
/* False when there is no memory: then the row is to be written at once. */
bool arrears_add(struct arrears *a, uint32_t number);
void arrears_remove(struct arrears *a, uint32_t number);
/* Takes one out, by rising number from where it stopped the last time; 0: there are none. */
uint32_t arrears_take(struct arrears *a);
/* Nobody owes anything any more. */
void arrears_forgive(struct arrears *a);

#endif
