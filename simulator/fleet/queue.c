#include "simulator/fleet/queue.h"

#include <stdlib.h>

/* What lies in this bucket or below it comes soon: within 8 ms, in which a million devices do some
 * thirty things. */
#define BUCKET_SOON 3

static void free_blocks(struct queue_block *b)
{
    while (b) {
        struct queue_block *next = b->next;
        free(b);
        b = next;
    }
}

void queue_free(struct queue *q)
{
    for (size_t i = 0; i < QUEUE_BUCKETS; i++)
        free_blocks(q->buckets[i].head);
    free_blocks(q->free);
    *q = (struct queue){0};
}

/* The bucket of a time: the highest bit in which it differs from now. */
static size_t bucket_of(const struct queue *q, uint64_t at_ms)
{
    uint64_t differs = at_ms ^ q->now_ms;
    return differs ? 64 - (size_t)__builtin_clzll(differs) : 0;
}

static struct queue_block *block_new(struct queue *q)
{
    struct queue_block *b = q->free;
    if (b)
        q->free = b->next;
    else
        b = malloc(sizeof *b);
    if (!b)
        abort();
    b->next = NULL;
    return b;
}

static void put(struct queue *q, struct bucket_of_happenings *b, const struct happening *h)
{
    if (!b->head) {
        b->head = b->tail = block_new(q);
        b->first = b->end = 0;
    } else if (b->end == QUEUE_BLOCK) {
        b->tail = b->tail->next = block_new(q);
        b->end = 0;
    }
    b->tail->list[b->end++] = *h;
}

/* How many there are in one of its blocks, up to the last one. */
static uint32_t end_of(const struct bucket_of_happenings *b, const struct queue_block *block)
{
    return block == b->tail ? b->end : QUEUE_BLOCK;
}

/* Of one that isn't empty. */
static struct happening take(struct queue *q, struct bucket_of_happenings *b)
{
    struct queue_block *head = b->head;
    struct happening h = head->list[b->first++];
    if (b->first == end_of(b, head)) {
        b->head = head->next;
        b->first = 0;
        head->next = q->free;
        q->free = head;
    }
    return h;
}

void queue_add(struct queue *q, const struct happening *h)
{
    struct happening mine = *h;
    if (mine.at_ms < q->now_ms)
        mine.at_ms = q->now_ms;
    put(q, &q->buckets[bucket_of(q, mine.at_ms)], &mine);
    q->count++;
}

static uint64_t earliest(const struct bucket_of_happenings *b)
{
    uint64_t at_ms = UINT64_MAX;
    uint32_t i = b->first;
    for (const struct queue_block *block = b->head; block; block = block->next, i = 0)
        for (; i < end_of(b, block); i++)
            if (block->list[i].at_ms < at_ms)
                at_ms = block->list[i].at_ms;
    return at_ms;
}

/* What lies in the lowest bucket that isn't empty goes into those below it: the clock is at its
 * earliest time then. In their order, so that equals stay in theirs. */
static void spread(struct queue *q, size_t at, uint64_t now_ms)
{
    struct bucket_of_happenings *from = &q->buckets[at];
    bool tells = q->soon && at > BUCKET_SOON;
    q->now_ms = now_ms;
    while (from->head) {
        struct happening h = take(q, from);
        size_t to = bucket_of(q, h.at_ms);
        if (tells && to <= BUCKET_SOON)
            q->soon(q->context, &h, false);
        if (q->soon && to == 0)
            q->soon(q->context, &h, true);
        put(q, &q->buckets[to], &h);
    }
}

bool queue_next(struct queue *q, uint64_t until_ms, struct happening *out)
{
    if (!q->buckets[0].head) {
        size_t i = 1;
        while (i < QUEUE_BUCKETS && !q->buckets[i].head)
            i++;
        uint64_t next_ms = i < QUEUE_BUCKETS ? earliest(&q->buckets[i]) : UINT64_MAX;
        if (next_ms > until_ms)
            return false;
        spread(q, i, next_ms);
    }
    *out = take(q, &q->buckets[0]);
    q->count--;
    return true;
}
