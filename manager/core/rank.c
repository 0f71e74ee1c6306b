#include "manager/core/rank.h"

#include <assert.h>
#include <string.h>

void rank_begin(struct rank *r, uint32_t k)
{
    assert(k > 0);
    memset(r, 0, sizeof *r);
    r->left = k;
    r->known = 64;
    r->shift = 64 - RANK_DIGIT_BITS;
}

void rank_aim(struct rank *r, uint32_t k)
{
    assert(k > 0 && r->known == 64);
    r->left = k;
}

void rank_see(struct rank *r, uint64_t number)
{
    uint64_t mask = r->known < 64 ? UINT64_MAX << r->known : 0;
    if ((number & mask) == r->prefix)
        r->counts[number >> r->shift & ((1u << RANK_DIGIT_BITS) - 1)]++;
}

/* Where all that share a digit are in, its upper end will do: whoever is below it is one of them.
 */
bool rank_next(struct rank *r)
{
    uint64_t digit = 0;
    while (digit < 1u << RANK_DIGIT_BITS && r->counts[digit] < r->left)
        r->left -= r->counts[digit++];
    if (digit == 1u << RANK_DIGIT_BITS) {
        r->value = UINT64_MAX;
        return false;
    }
    bool whole = r->counts[digit] == r->left;
    r->prefix |= digit << r->shift;
    r->value = r->prefix | ((UINT64_C(1) << r->shift) - 1);
    if (whole || r->shift == 0)
        return false;
    r->known = r->shift;
    r->shift = r->shift > RANK_DIGIT_BITS ? r->shift - RANK_DIGIT_BITS : 0;
    memset(r->counts, 0, sizeof r->counts);
    return true;
}
