#include "manager/bucket.h"

#include <assert.h>

#define ONE 1000 /* in thousandths */

bool bucket_fill(struct bucket *b, const struct bucket_limits *limits, uint64_t now_ms)
{
    assert(limits->rate > 0 && limits->burst > 0);
    const uint64_t full = limits->burst * (uint64_t)ONE;
    uint64_t passed_ms = now_ms > b->seen_ms ? now_ms - b->seen_ms : 0;
    bool full_again = b->seen_ms == 0 || passed_ms > full / limits->rate;
    uint64_t more = full_again ? full : passed_ms * limits->rate;
    b->thousandths = b->thousandths + more > full ? full : b->thousandths + more;
    b->seen_ms = now_ms > 0 ? now_ms : 1;
    return b->thousandths >= ONE;
}

void bucket_take(struct bucket *b)
{
    b->thousandths -= b->thousandths < ONE ? b->thousandths : ONE;
}

void bucket_put_back(struct bucket *b)
{
    b->thousandths += ONE;
}

bool bucket_was_full(const struct bucket *b, const struct bucket_limits *limits)
{
    return b->thousandths + ONE >= limits->burst * (uint64_t)ONE;
}
