#include "manager/core/frontier.h"

#include <string.h>

void frontier_begin(struct frontier *f)
{
    memset(f, 0, sizeof *f);
    f->known = 64;
    f->shift = 64 - FRONTIER_DIGIT_BITS;
}

void frontier_see(struct frontier *f, uint64_t number, uint32_t groups)
{
    uint64_t mask = f->known < 64 ? UINT64_MAX << f->known : 0;
    uint32_t digit = number >> f->shift & (FRONTIER_DIGITS - 1);
    if ((number & mask) != f->prefix)
        return;
    f->seen[digit]++;
    for (uint32_t g = 0; g < FRONTIER_GROUPS_MAX && groups >> g; g++)
        f->counts[digit][g] += groups >> g & 1;
}

/* The first group that has no room for all with this digit. */
static uint32_t overfull(const struct frontier *f, uint64_t digit)
{
    uint32_t g = 0;
    while (g < FRONTIER_GROUPS_MAX && f->counts[digit][g] <= f->room[g])
        g++;
    return g;
}

static void pass(struct frontier *f, uint64_t digit)
{
    for (uint32_t g = 0; g < FRONTIER_GROUPS_MAX; g++)
        f->room[g] -= f->counts[digit][g];
}

bool frontier_next(struct frontier *f)
{
    uint64_t digit = 0;
    while (digit < FRONTIER_DIGITS && overfull(f, digit) == FRONTIER_NO_GROUP)
        pass(f, digit++);
    f->group = FRONTIER_NO_GROUP;
    f->value = UINT64_MAX;
    if (digit == FRONTIER_DIGITS)
        return false;
    f->group = overfull(f, digit);
    f->prefix |= digit << f->shift;
    f->value = f->prefix ? f->prefix - 1 : 0;
    if (f->seen[digit] == 1 || f->shift == 0)
        return false;
    f->known = f->shift;
    f->shift -= FRONTIER_DIGIT_BITS;
    memset(f->seen, 0, sizeof f->seen);
    memset(f->counts, 0, sizeof f->counts);
    return true;
}
