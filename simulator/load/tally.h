/*
 * tally: how long something took, for many, in a fixed table whose steps are a sixteenth of what
 * they count (as in HdrHistogram). It knows no clock.
 */
#ifndef DUNLIN_SIMULATOR_LOAD_TALLY_H
#define DUNLIN_SIMULATOR_LOAD_TALLY_H

#include <stdint.h>

#define TALLY_STEPS 16
/* From 0 to 2^36 us, 19 hours. */
#define TALLY_SLOTS (TALLY_STEPS * 33)

/* All-zero is an empty one. */
struct tally {
    uint64_t count;
    uint64_t max_us;
    uint32_t slots[TALLY_SLOTS];
};

void tally_add(struct tally *t, uint64_t us);
void tally_merge(struct tally *into, const struct tally *from);
/* What so many per mille took at most, as far as the steps tell; 0 of none. */
uint64_t tally_at(const struct tally *t, unsigned per_mille);

#endif
