/*
 * bucket: how often something may still happen: so many times at once, and in the long run so many
 * times a minute (Turner, IEEE Communications Magazine, 1986). It knows neither what happens nor
 * what time it is.
 */
#ifndef DUNLIN_MANAGER_BUCKET_H
#define DUNLIN_MANAGER_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

struct bucket_limits {
    uint32_t per_minute; /* in the long run; at least 1 */
    uint32_t burst;      /* and so many at once after a silence; at least 1 */
};

/* All-zero, it is full. */
struct bucket {
    uint64_t seen_ms; /* when it was filled up last; 0: never */
    uint64_t drops;   /* that may still be done, in sixty-thousandths: a millisecond adds as many as
                         a minute has */
};

/* Adds what has come since the last time, and tells whether one may be taken. A clock that goes
 * back adds nothing. */
bool bucket_fill(struct bucket *b, const struct bucket_limits *limits, uint64_t now_ms);
/* Takes one, or the rest when that is less; and puts it back, which may follow only on a take. */
void bucket_take(struct bucket *b);
void bucket_put_back(struct bucket *b);
bool bucket_is_full(const struct bucket *b, const struct bucket_limits *limits);
/* Whether it was full before the one was taken that was taken last. */
bool bucket_was_full(const struct bucket *b, const struct bucket_limits *limits);

#endif
