#include "manager/flood.h"

/* Tokens are counted in thousandths: a rate per second adds so many of them each millisecond. */
#define TOKEN 1000u
#define FULL (FLOOD_BURST * TOKEN)

static struct flood_bucket *find(struct flood_bucket set[static FLOOD_WAYS], uint32_t name);

void flood_init(struct flood *f, const uint8_t key[static SIPHASH_KEY_LEN])
{
    memset(f, 0, sizeof *f);
    memcpy(f->key, key, sizeof f->key);
}

enum flood_answer flood_count(struct flood *f, const struct key_id *agent, uint64_t now_ms)
{
    uint64_t hash = siphash(f->key, span_of(agent->bytes, sizeof agent->bytes));
    uint32_t name = (uint32_t)(hash >> 32);
    struct flood_bucket *b = find(f->sets[hash % FLOOD_SETS], name);
    if (b->at_ms == 0 || b->name != name)
        *b = (struct flood_bucket){.name = name, .tokens = FULL, .at_ms = now_ms};
    uint64_t tokens = b->tokens + (now_ms - b->at_ms) * FLOOD_PER_S;
    bool before = b->empty && tokens < FULL;
    b->tokens = tokens < FULL ? (uint32_t)tokens : FULL;
    b->at_ms = now_ms;
    b->empty = before || b->tokens < TOKEN;
    if (b->tokens < TOKEN)
        return before ? FLOOD_DROP : FLOOD_BEGIN;
    b->tokens -= TOKEN;
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
