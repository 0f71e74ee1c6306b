/*
 * arena: scratch memory that is given out front to back and dropped all at once.
 * It never asks the heap; the caller brings the memory and its limit.
 */
#ifndef DUNLIN_BASE_ARENA_H
#define DUNLIN_BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

struct arena {
    uint8_t *base;
    size_t used;
    size_t cap;
};

/* Lays an empty arena over the caller's memory, which must outlive it. */
struct arena arena_on(void *memory, size_t cap);

/* `size` zeroed bytes, aligned for any type, or NULL when the arena is full. They live until the
 * reset. */
void *arena_alloc(struct arena *a, size_t size);

void arena_reset(struct arena *a);

#endif
