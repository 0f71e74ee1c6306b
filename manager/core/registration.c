#include "manager/core/state.h"

/* A token raises one alarm in this time, however often it comes. */
#define ALARM_AGAIN_S 3600

static void count_use(struct turn *t, struct batch_row *batch)
{
    uint32_t first = t->m->batch_tokens[t->ev->join.batch];
    t->m->token_uses[first + t->ev->join.index]++;
    batch->redeemed++;
}

static enum joined_code add_agent(struct turn *t, struct batch_row *batch)
{
    struct manager *m = t->m;
    uint32_t b = t->ev->join.batch;
    if (m->agent_count == m->options.limits.agents)
        return JOINED_FULL;
    int64_t cohort = cohort_find_or_add(t, &batch->labels);
    if (cohort < 0)
        return JOINED_FULL;
    bool waits = m->options.approve || batch->approve;
    struct agent_row row = {
        .id = t->ev->join.id,
        .cohort = (uint32_t)cohort,
        .batch = b,
        .index = t->ev->join.index,
        .facts = t->ev->join.facts,
        .assigned = {.epoch = m->options.epoch, .number = 1},
        .joined_s = (uint32_t)t->ev->now_s,
        .flags = waits ? AGENT_WAITING : 0,
    };
    t->out->number = fleet_add(m, &row);
    count_use(t, batch);
    persist(t, PERSIST_AGENT, t->out->number);
    if (waits)
        return JOINED_WAITING;
    cohort_enter(m, row.cohort);
    m->counters.joins++;
    return JOINED_ACCEPTED;
}

/* When no more devices can be replaced, the place is not given, and no other one instead. */
static enum joined_code take_place(struct turn *t, struct batch_row *batch,
                                   struct successor_row *successor)
{
    enum joined_code code = membership_succeed(t, successor);
    if (code != JOINED_ACCEPTED)
        return code;
    count_use(t, batch);
    t->m->counters.joins++;
    return code;
}

/* The reply to the first request may have been lost: the same device with the same token gets the
 * same answer again. With another token it could be anybody who knows the device's public key. */
static enum joined_code answer_again(struct turn *t, uint32_t number)
{
    const struct agent_row *row = fleet_agent(t->m, number);
    if (row->batch != t->ev->join.batch || row->index != t->ev->join.index)
        return JOINED_USED;
    if (row->flags & (AGENT_REMOVED | AGENT_QUARANTINED))
        return JOINED_REVOKED;
    t->out->number = number;
    if (row->flags & AGENT_WAITING)
        return JOINED_WAITING;
    t->m->counters.joins_again++;
    return JOINED_ACCEPTED;
}

/* Remembers the token, if it is to raise an alarm. When the ring's oldest entry is still young, no
 * other one finds a place for now. */
static bool is_news(struct turn *t)
{
    struct manager *m = t->m;
    uint32_t batch = t->ev->join.batch, index = t->ev->join.index;
    uint64_t now_s = t->ev->now_s, past_s = now_s > ALARM_AGAIN_S ? now_s - ALARM_AGAIN_S : 0;
    for (uint32_t i = 0; i < ALARMED_TOKENS_MAX; i++) {
        const struct alarmed_token *a = &m->alarmed[i];
        if (a->batch == batch && a->index == index && a->at_s > past_s)
            return false;
    }
    struct alarmed_token *oldest = &m->alarmed[m->alarmed_next];
    if (oldest->at_s > past_s)
        return false;
    *oldest = (struct alarmed_token){.batch = batch, .index = index, .at_s = now_s};
    m->alarmed_next = (m->alarmed_next + 1) % ALARMED_TOKENS_MAX;
    return true;
}

void manager_alarm_untold(struct manager *m, const struct alarm *alarm)
{
    uint32_t newest = (m->alarmed_next + ALARMED_TOKENS_MAX - 1) % ALARMED_TOKENS_MAX;
    struct alarmed_token *a = &m->alarmed[newest];
    if (alarm->type != ALARM_TOKEN_REUSED || a->batch != alarm->batch || a->index != alarm->index)
        return;
    *a = (struct alarmed_token){.at_s = 0};
    m->alarmed_next = newest;
}

/* Two devices have had the token: it leaked, and nobody knows which of them is the right one. */
static enum joined_code refuse_used(struct turn *t)
{
    t->m->counters.tokens_reused++;
    if (is_news(t)) {
        struct alarm *alarm = raise_alarm(t, ALARM_TOKEN_REUSED);
        alarm->batch = t->ev->join.batch;
        alarm->index = t->ev->join.index;
    }
    return JOINED_USED;
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
    if (membership_was_replaced(m, &t->ev->join.id))
        return JOINED_REVOKED;
    if (m->token_uses[m->batch_tokens[t->ev->join.batch] + t->ev->join.index] >= batch->uses)
        return refuse_used(t);
    if (batch->revoked)
        return JOINED_REVOKED;
    if (t->ev->now_s >= batch->expires_s)
        return JOINED_EXPIRED;
    struct successor_row *successor = membership_successor(t);
    return successor ? take_place(t, batch, successor) : add_agent(t, batch);
}

void registration_join(struct turn *t)
{
    t->out->joined = decide(t);
    if (t->out->joined == JOINED_ACCEPTED || t->out->joined == JOINED_WAITING)
        inquiry_hear(t, t->out->number, t->ev->join.told);
    if (t->out->joined != JOINED_ACCEPTED && t->out->joined != JOINED_WAITING)
        t->m->counters.joins_refused++;
}
