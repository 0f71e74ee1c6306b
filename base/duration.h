/*
 * duration: spans of time as people write them: "90s", "5m", "1h30m", "7d".
 * It knows no clock.
 */
#ifndef DUNLIN_BASE_DURATION_H
#define DUNLIN_BASE_DURATION_H

#include <stdint.h>

/* A hundred years: whoever writes more meant something else. */
#define DURATION_MAX_S (100ull * 365 * 86400)

struct duration_text {
    char text[48];
};

/* Seconds of a text like those above. ERR_FORMAT, also for a number without its unit, or ERR_RANGE.
 */
int duration_read(const char *text, uint64_t *seconds);

/* The shortest text that says exactly this: "1h30m", "0s". */
struct duration_text duration_write(uint64_t seconds);

#endif
