#include "manager/whereabouts.h"

#include <assert.h>
#include <stdlib.h>

static bool reach(struct whereabouts *w, uint32_t number)
{
    size_t cap = w->cap ? w->cap : 1024;
    while (cap < number)
        cap *= 2;
    if (cap == w->cap)
        return true;
    uint16_t *more = realloc(w->cells, cap * sizeof *more);
    if (!more)
        return false;
    memset(more + w->cap, 0, (cap - w->cap) * sizeof *more);
    w->cells = more;
    w->cap = cap;
    return true;
}

void whereabouts_note(struct whereabouts *w, uint32_t number, size_t cell)
{
    assert(number > 0 && cell < ATLAS_CELLS_MAX);
    if (!reach(w, number))
        return;
    uint16_t *at = &w->cells[number - 1];
    if (*at > 0)
        w->counts[*at - 1]--;
    *at = (uint16_t)(cell + 1);
    w->counts[cell]++;
}

void whereabouts_free(struct whereabouts *w)
{
    free(w->cells);
    *w = (struct whereabouts){0};
}
