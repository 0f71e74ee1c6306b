#include "simulator/load/tally.h"

static unsigned slot_of(uint64_t us);
static uint64_t end_of(unsigned slot);

void tally_add(struct tally *t, uint64_t us)
{
    t->count++;
    if (us > t->max_us)
        t->max_us = us;
    t->slots[slot_of(us)]++;
}

void tally_merge(struct tally *into, const struct tally *from)
{
    into->count += from->count;
    if (from->max_us > into->max_us)
        into->max_us = from->max_us;
    for (unsigned i = 0; i < TALLY_SLOTS; i++)
        into->slots[i] += from->slots[i];
}

uint64_t tally_at(const struct tally *t, unsigned per_mille)
{
    uint64_t wanted = (t->count * per_mille + 999) / 1000, seen = 0;
    for (unsigned i = 0; i < TALLY_SLOTS && t->count > 0; i++) {
        seen += t->slots[i];
        if (seen >= wanted)
            return end_of(i) < t->max_us ? end_of(i) : t->max_us;
    }
    return 0;
}

/* Below 16 each value has its own; above, each power of two has 16. */
static unsigned slot_of(uint64_t us)
{
    unsigned shift = 0;
    while (us >> shift >= 2 * TALLY_STEPS)
        shift++;
    unsigned slot = shift * TALLY_STEPS + (unsigned)(us >> shift);
    return slot < TALLY_SLOTS ? slot : TALLY_SLOTS - 1;
}

static uint64_t end_of(unsigned slot)
{
    unsigned shift = slot < 2 * TALLY_STEPS ? 0 : slot / TALLY_STEPS - 1;
    uint64_t step = slot - shift * TALLY_STEPS;
    return ((step + 1) << shift) - 1;
}
