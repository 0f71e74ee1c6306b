#include "manager/core/state.h"

static enum joined_code add_agent(struct turn *t, struct batch_row *batch)
{
    struct manager *m = t->m;
    uint32_t b = t->ev->join.batch;
    if (m->agent_count == m->options.limits.agents)
        return JOINED_FULL;
    int64_t cohort = cohort_find_or_add(t, &batch->labels);
    if (cohort < 0)
        return JOINED_FULL;
    struct agent_row row = {
        .id = t->ev->join.id,
        .cohort = (uint32_t)cohort,
        .batch = b,
        .index = t->ev->join.index,
        .facts = t->ev->join.facts,
        .assigned = {.epoch = m->options.epoch, .number = 1},
        .joined_s = (uint32_t)t->ev->now_s,
    };
    t->out->number = fleet_add(m, &row);
    m->token_uses[m->batch_tokens[b] + row.index]++;
    batch->redeemed++;
    cohort_enter(m, row.cohort);
    persist(t, PERSIST_AGENT, t->out->number);
    m->counters.joins++;
    return JOINED_ACCEPTED;
}

/* The reply to the first request may have been lost: the same device with the same token gets the
 * same answer again. With another token it could be anybody who knows the device's public key. */
static enum joined_code answer_again(struct turn *t, uint32_t number)
{
    const struct agent_row *row = fleet_agent(t->m, number);
    if (row->batch != t->ev->join.batch || row->index != t->ev->join.index)
        return JOINED_USED;
    if (row->flags & AGENT_REMOVED)
        return JOINED_REVOKED;
    t->out->number = number;
    t->m->counters.joins_again++;
    return JOINED_ACCEPTED;
}

static enum joined_code decide(struct turn *t)
{
    struct manager *m = t->m;
    if (t->ev->join.batch >= m->batch_count ||
        t->ev->join.index >= m->batches[t->ev->join.batch].count)
        return JOINED_UNKNOWN;
    struct batch_row *batch = &m->batches[t->ev->join.batch];
    uint32_t known = fleet_find(m, &t->ev->join.id);
    if (known)
        return answer_again(t, known);
    if (batch->revoked)
        return JOINED_REVOKED;
    if (m->token_uses[m->batch_tokens[t->ev->join.batch] + t->ev->join.index] >= batch->uses)
        return JOINED_USED;
    if (t->ev->now_s >= batch->expires_s)
        return JOINED_EXPIRED;
    return add_agent(t, batch);
}

void registration_join(struct turn *t)
{
    t->out->joined = decide(t);
    if (t->out->joined != JOINED_ACCEPTED)
        t->m->counters.joins_refused++;
}
