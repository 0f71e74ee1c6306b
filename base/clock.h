/*
 * clock: the two clocks that drivers read and hand to the cores as numbers.
 * Cores and formats never include it.
 */
#ifndef DUNLIN_BASE_CLOCK_H
#define DUNLIN_BASE_CLOCK_H

#include <stdint.h>

/* Milliseconds since some fixed point, never going back while the machine runs, counting time
 * asleep. */
uint64_t clock_monotonic_ms(void);

/* The same in microseconds: for measuring. */
uint64_t clock_monotonic_us(void);

/* Seconds since 1970 by the machine's calendar clock, which may be wrong or jump. */
uint64_t clock_wall_s(void);
/* How much more than UTC the machine's clocks show at that time, in seconds, by its time zone as it
 * is set now. */
int32_t clock_east_s(uint64_t wall_s);

#endif
