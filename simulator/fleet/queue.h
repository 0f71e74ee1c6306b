/*
 * queue: what is to happen, by rising time, in a few bytes each: millions of timers and messages.
 * Of two at the same time the one that was added first comes first. It knows nothing of what they
 * mean.
 *
 * A radix heap: Ahuja, Mehlhorn, Orlin, Tarjan, "Faster algorithms for the shortest path problem",
 * 1990. Nothing may be added before the time that was reached.
 */
#ifndef DUNLIN_SIMULATOR_FLEET_QUEUE_H
#define DUNLIN_SIMULATOR_FLEET_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct happening {
    uint64_t at_ms;
    uint64_t what; /* the caller's */
    uint32_t who;  /* the caller's */
    uint16_t life; /* the caller's, to tell what has been overtaken */
    uint8_t kind;  /* the caller's */
};

/* One for each bit in which a time can differ from the one that was reached, and one for none. */
#define QUEUE_BUCKETS 65

/* What comes and goes in millions is kept in blocks, so that what is free serves all buckets. */
#define QUEUE_BLOCK 1024

struct queue_block {
    struct queue_block *next;
    struct happening list[QUEUE_BLOCK];
};

struct bucket_of_happenings {
    struct queue_block *head, *tail; /* NULL: empty */
    uint32_t first;                  /* in the head: those before it are gone */
    uint32_t end;                    /* in the tail */
};

struct queue {
    /* Told of what comes within a few ms, and of what comes now, so that its memory is fetched
     * meanwhile; may be NULL. */
    void (*soon)(void *context, const struct happening *h, bool now);
    void *context;
    uint64_t now_ms; /* that was reached */
    size_t count;
    struct bucket_of_happenings buckets[QUEUE_BUCKETS];
    struct queue_block *free;
};

/* A zeroed one is empty, at time 0. */
void queue_free(struct queue *q);

/* What is to happen in the past happens now. */
void queue_add(struct queue *q, const struct happening *h);

/* The next one until `until_ms`, with the clock moved on to it; false when there is none. */
bool queue_next(struct queue *q, uint64_t until_ms, struct happening *out);

#endif
