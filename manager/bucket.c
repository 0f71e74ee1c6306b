#include "manager/bucket.h"

#include <assert.h>

#define ONE 60000u /* in sixty-thousandths */

bool bucket_fill(struct bucket *b, const struct bucket_limits *limits, uint64_t now_ms)
{
    assert(limits->per_minute > 0 && limits->burst > 0);
    const uint64_t full = limits->burst * (uint64_t)ONE;
    uint64_t passed_ms = now_ms > b->seen_ms ? now_ms - b->seen_ms : 0;
    bool full_again = b->seen_ms == 0 || passed_ms > full / limits->per_minute;
    uint64_t more = full_again ? full : passed_ms * limits->per_minute;
    b->drops = b->drops + more > full ? full : b->drops + more;
    b->seen_ms = now_ms > 0 ? now_ms : 1;
    return b->drops >= ONE;
}

void bucket_take(struct bucket *b)
{
    b->drops -= b->drops < ONE ? b->drops : ONE;
}

void bucket_put_back(struct bucket *b)
{
    b->drops += ONE;
}

bool bucket_is_full(const struct bucket *b, const struct bucket_limits *limits)
{
    return b->drops >= limits->burst * (uint64_t)ONE;
}

bool bucket_was_full(const struct bucket *b, const struct bucket_limits *limits)
{
    return b->drops + ONE >= limits->burst * (uint64_t)ONE;
}
