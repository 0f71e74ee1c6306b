#include "base/arena.h"

#include <stdalign.h>
#include <string.h>

struct arena arena_on(void *memory, size_t cap)
{
    return (struct arena){.base = memory, .used = 0, .cap = cap};
}

void *arena_alloc(struct arena *a, size_t size)
{
    const size_t align = alignof(max_align_t);
    size_t start = (a->used + align - 1) & ~(align - 1);
    if (start > a->cap || size > a->cap - start)
        return NULL;
    a->used = start + size;
    return memset(a->base + start, 0, size);
}

void arena_reset(struct arena *a)
{
    a->used = 0;
}
