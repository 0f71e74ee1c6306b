/*
 * rng: a small deterministic random sequence for jitter and simulations, seeded by the caller.
 * It is no source of secrets: those come from crypto/random.h.
 */
#ifndef DUNLIN_BASE_RNG_H
#define DUNLIN_BASE_RNG_H

#include <stdint.h>

struct rng {
    uint64_t state;
};

/* The next 64 random bits. SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number
 * generators", 2014. */
uint64_t rng_next(struct rng *r);

/* Evenly from 0 to bound - 1; 0 when bound is 0. The bias is below bound / 2^64. */
uint64_t rng_below(struct rng *r, uint64_t bound);

#endif
