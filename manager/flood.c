#include "manager/flood.h"

static struct flood_bucket *find(struct flood_bucket set[static FLOOD_WAYS], uint32_t name);

void flood_init(struct flood *f, const struct bucket_limits *limits,
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

void flood_forget(struct flood *f, struct span who)
{
    uint64_t hash = siphash(f->key, who);
    uint32_t name = (uint32_t)(hash >> 32);
    struct flood_bucket *b = find(f->sets[hash % FLOOD_SETS], name);
    if (b->name == name)
        *b = (struct flood_bucket){0};
}

bool flood_has_room(struct flood *f, struct span who, uint64_t now_ms)
{
    uint64_t hash = siphash(f->key, who);
    uint32_t name = (uint32_t)(hash >> 32);
    const struct flood_bucket *b = find(f->sets[hash % FLOOD_SETS], name);
    struct bucket now = b->bucket;
    return b->name != name || bucket_fill(&now, &f->limits, now_ms);
}

enum flood_answer flood_draw(struct flood_bucket *b, const struct bucket_limits *limits,
                             uint64_t now_ms)
{
    bool may = bucket_fill(&b->bucket, limits, now_ms);
    bool before = b->empty && !bucket_is_full(&b->bucket, limits);
    b->empty = before || !may;
    if (!may)
        return before ? FLOOD_DROP : FLOOD_BEGIN;
    bucket_take(&b->bucket);
    return FLOOD_ADMIT;
}

/* Its bucket, or the one to give up for it. */
static struct flood_bucket *find(struct flood_bucket set[static FLOOD_WAYS], uint32_t name)
{
    struct flood_bucket *oldest = &set[0];
    for (int i = 0; i < FLOOD_WAYS; i++) {
        if (set[i].bucket.seen_ms != 0 && set[i].name == name)
            return &set[i];
        if (set[i].bucket.seen_ms < oldest->bucket.seen_ms)
            oldest = &set[i];
    }
    return oldest;
}
