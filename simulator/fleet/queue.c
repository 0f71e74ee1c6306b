#include "simulator/fleet/queue.h"

#include <stdlib.h>
#include <string.h>

void queue_free(struct queue *q)
{
    for (size_t i = 0; i < QUEUE_BUCKETS; i++)
        free(q->buckets[i].list);
    *q = (struct queue){0};
}

/* The bucket of a time: the highest bit in which it differs from now. */
static size_t bucket_of(const struct queue *q, uint64_t at_ms)
{
    uint64_t differs = at_ms ^ q->now_ms;
    return differs ? 64 - (size_t)__builtin_clzll(differs) : 0;
}

static void put(struct bucket_of_happenings *b, const struct happening *h)
{
    if (b->count == b->room) {
        b->room = b->room ? 2 * b->room : 16;
        b->list = realloc(b->list, b->room * sizeof b->list[0]);
        if (!b->list)
            abort();
    }
    b->list[b->count++] = *h;
}

void queue_add(struct queue *q, const struct happening *h)
{
    struct happening mine = *h;
    if (mine.at_ms < q->now_ms)
        mine.at_ms = q->now_ms;
    put(&q->buckets[bucket_of(q, mine.at_ms)], &mine);
    q->count++;
}

static uint64_t earliest(const struct bucket_of_happenings *b)
{
    uint64_t at_ms = UINT64_MAX;
    for (size_t i = b->first; i < b->count; i++)
        if (b->list[i].at_ms < at_ms)
            at_ms = b->list[i].at_ms;
    return at_ms;
}

/* What lies in the lowest bucket that isn't empty goes into those below it: the clock is at its
 * earliest time then. In their order, so that equals stay in theirs. */
static void spread(struct queue *q, struct bucket_of_happenings *from, uint64_t now_ms)
{
    q->now_ms = now_ms;
    for (size_t i = from->first; i < from->count; i++)
        put(&q->buckets[bucket_of(q, from->list[i].at_ms)], &from->list[i]);
    from->first = from->count = 0;
}

bool queue_next(struct queue *q, uint64_t until_ms, struct happening *out)
{
    struct bucket_of_happenings *now = &q->buckets[0];
    if (now->first == now->count) {
        now->first = now->count = 0;
        size_t i = 1;
        while (i < QUEUE_BUCKETS && q->buckets[i].first == q->buckets[i].count)
            i++;
        uint64_t next_ms = i < QUEUE_BUCKETS ? earliest(&q->buckets[i]) : UINT64_MAX;
        if (next_ms > until_ms)
            return false;
        spread(q, &q->buckets[i], next_ms);
    }
    *out = now->list[now->first++];
    q->count--;
    return true;
}
