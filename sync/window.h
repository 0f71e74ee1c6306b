/*
 * window: the times of the day and of the year at which a device may begin something new, as sets
 * of bits. It reads no clock, and knows neither time zones nor how people write such times.
 */
#ifndef DUNLIN_SYNC_WINDOW_H
#define DUNLIN_SYNC_WINDOW_H

#include "sync/wire.h"

/* Shorter ones would be missed by a device that has something else to do. */
#define WINDOW_LENGTH_S_MIN 60
#define WINDOW_LENGTH_S_MAX (7 * 86400)
/* Offsets to UTC go from 12 hours west to 14 hours east. */
#define WINDOW_WEST_S_MAX (12 * 3600)
#define WINDOW_EAST_S_MAX (14 * 3600)

/* It opens at each minute that all of its sets have, and closes `length_s` later, both by the face
 * of the clock: where that is put forward or back meanwhile, it is open for as much less or more.
 */
struct window {
    uint64_t minutes;  /* bits 0 to 59 */
    uint32_t hours;    /* 0 to 23 */
    uint32_t days;     /* 1 to 31 */
    uint16_t months;   /* 1 to 12 */
    uint8_t weekdays;  /* 0 to 6, from Sunday */
    bool either;       /* a day is one of `days` or one of `weekdays`; else both */
    bool zoned;        /* `east_s` counts; else what the device says */
    int32_t east_s;    /* seconds east of UTC */
    uint32_t length_s; /* 0: there is no window, it may begin at any time */
};

/* One element: nil where there is none. */
void window_put(struct wire_writer *w, const struct window *window);
void window_get(struct wire_reader *r, struct window *window);

/* `wall_s` is UTC, in seconds since 1970; the device's own clock shows `east_s` more. */
bool window_is_open(const struct window *w, uint64_t wall_s, int32_t east_s);
/* When it opens next, at `wall_s` or later; 0: not within the next eight years, which have every
 * day that there is. */
uint64_t window_opens_s(const struct window *w, uint64_t wall_s, int32_t east_s);

#endif
