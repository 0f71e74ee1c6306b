/*
 * rank: the k-th smallest of a set of numbers that can be walked through again and again, in 16 KiB
 * however many there are: digits from the highest on (radix selection, Knuth, TAOCP 5.2.5). It
 * knows nothing of what the numbers are.
 */
#ifndef DUNLIN_MANAGER_CORE_RANK_H
#define DUNLIN_MANAGER_CORE_RANK_H

#include <stdbool.h>
#include <stdint.h>

#define RANK_DIGIT_BITS 12

struct rank {
    uint32_t left;  /* which of those with the known digits, from 1 */
    unsigned known; /* bits from this one on are known: */
    uint64_t prefix;
    unsigned shift; /* of the digit that is looked at now */
    uint64_t value; /* once rank_next said no more */
    uint32_t counts[1 << RANK_DIGIT_BITS];
};

/* Begins to look for the k-th, from 1. */
void rank_begin(struct rank *r, uint32_t k);
/* For another one, before the first rank_next. */
void rank_aim(struct rank *r, uint32_t k);
void rank_see(struct rank *r, uint64_t number);
/*
 * After all of them were seen: true when they must be seen once more. With false, exactly k of them
 * are at most `value`, if there are k and no two are the same; UINT64_MAX if there are fewer.
 */
bool rank_next(struct rank *r);

#endif
