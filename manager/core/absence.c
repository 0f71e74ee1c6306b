#include "manager/core/state.h"

/* Eight steps to each doubling: a time is known to an eighth. */
#define STEPS_LOG2 3
#define STEPS (1u << STEPS_LOG2)
#define BUCKETS ((64 - STEPS_LOG2 + 1) * STEPS)

static uint32_t bucket_of(uint64_t age_s)
{
    uint32_t shift = 0;
    while (age_s >> shift >= 2 * STEPS)
        shift++;
    return shift * STEPS + (uint32_t)(age_s >> shift);
}

/* The longest age in a bucket. */
static uint64_t age_of(uint32_t bucket)
{
    uint32_t shift = bucket < 2 * STEPS ? 0 : bucket / STEPS - 1;
    uint64_t first = (uint64_t)(bucket - shift * STEPS) << shift;
    return first + (UINT64_C(1) << shift) - 1;
}

/* The age that so many of a hundred have at most. */
static uint64_t quantile(const uint32_t counts[static BUCKETS], uint32_t total, uint32_t percent)
{
    uint64_t seen = 0, wanted = ((uint64_t)total * percent + 99) / 100;
    uint32_t bucket = 0;
    while ((seen += counts[bucket]) < wanted)
        bucket++;
    return age_of(bucket);
}

void absence_measure(const struct whom *who, uint64_t now_s, struct absence *out)
{
    uint32_t counts[BUCKETS] = {0};
    *out = (struct absence){0};
    for (uint32_t n = 1; n <= who->m->agent_count; n++) {
        const struct agent_row *row = &who->m->agents[n - 1];
        uint64_t heard_s = row->last_seen_s ? row->last_seen_s : row->joined_s;
        if (row->flags & AGENT_ONLINE || !pick_has(who, n))
            continue;
        counts[bucket_of(now_s > heard_s ? now_s - heard_s : 0)]++;
        out->agents++;
    }
    if (out->agents == 0)
        return;
    out->half_s = quantile(counts, out->agents, 50);
    out->most_s = quantile(counts, out->agents, 90);
}
