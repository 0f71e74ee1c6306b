#include "manager/flood.h"

/* One, as the buckets count. */
#define DROP 60000u

static struct flood_bucket *find(struct flood_bucket set[static FLOOD_WAYS], uint32_t name);

void flood_init(struct flood *f, const struct flood_limits *limits,
                const uint8_t key[static SIPHASH_KEY_LEN])
{
    *f = (struct flood){.limits = *limits};
    memcpy(f->key, key, sizeof f->key);
}

enum flood_answer flood_count(struct flood *f, struct span who, uint64_t now_ms)
{
    uint64_t hash = siphash(f->key, who);
    uint32_t name = (uint32_t)(hash >> 32);
    struct flood_bucket *b = find(f->sets[hash % FLOOD_SETS], name);
    if (b->name != name)
        *b = (struct flood_bucket){.name = name};
    return flood_draw(b, &f->limits, now_ms);
}

enum flood_answer flood_draw(struct flood_bucket *b, const struct flood_limits *limits,
                             uint64_t now_ms)
{
    uint64_t full = (uint64_t)limits->burst * DROP;
    uint64_t drops = b->at_ms == 0 ? full : b->drops + (now_ms - b->at_ms) * limits->per_minute;
    bool before = b->empty && drops < full;
    b->drops = (uint32_t)(drops < full ? drops : full);
    b->at_ms = now_ms;
    b->empty = before || b->drops < DROP;
    if (b->drops < DROP)
        return before ? FLOOD_DROP : FLOOD_BEGIN;
    b->drops -= DROP;
    return FLOOD_ADMIT;
}

/* Its bucket, or the one to give up for it. */
static struct flood_bucket *find(struct flood_bucket set[static FLOOD_WAYS], uint32_t name)
{
    struct flood_bucket *oldest = &set[0];
    for (int i = 0; i < FLOOD_WAYS; i++) {
        if (set[i].at_ms != 0 && set[i].name == name)
            return &set[i];
        if (set[i].at_ms < oldest->at_ms)
            oldest = &set[i];
    }
    return oldest;
}
