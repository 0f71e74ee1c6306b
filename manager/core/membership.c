/*
 * membership: who is kept out of the fleet, who is let in again, and who takes another's place. It
 * knows nothing of how brokers are told.
 */
#include "manager/core/state.h"

#include <assert.h>

/* Removed ones too, or 0 with the reply set. */
static uint32_t find_any(struct turn *t, const struct key_id *id)
{
    uint32_t number = fleet_find(t->m, id);
    if (!number)
        REFUSE(t, ERR_NOT_FOUND, "there is no agent %s: see `dunlin agent list --all`",
               key_id_hex(id).text);
    t->out->index = number;
    return number;
}

static int check_room(struct turn *t)
{
    if (t->m->blocked_count < BLOCKED_MAX)
        return 0;
    return REFUSE(t, ERR_RANGE, "%u identities are kept off the brokers, the most that are",
                  t->m->blocked_count);
}

/* The flags of who is kept out change only here. */
static void set_blocked(struct manager *m, struct agent_row *row, unsigned flags)
{
    bool before = row->flags & AGENT_BLOCKED, after = flags & AGENT_BLOCKED;
    row->flags = (uint16_t)flags;
    m->blocked_count = m->blocked_count + after - before;
    m->blocked_changes += before != after;
}

void membership_count(struct manager *m, const struct agent_row *row)
{
    m->blocked_count += (row->flags & AGENT_BLOCKED) != 0;
}

/* What it said last stays; it can't be online. */
void membership_quarantine(struct turn *t, uint32_t number)
{
    struct agent_row *row = fleet_agent(t->m, number);
    t->m->stirred = true;
    stint_stop(t->m, row, t->ev->now_s);
    set_blocked(t->m, row, (row->flags & ~(unsigned)AGENT_ONLINE) | AGENT_QUARANTINED);
    suspect_forget(t->m, number);
    raise_alarm(t, ALARM_CLONE)->number = number;
    persist(t, PERSIST_AGENT, number);
    persist(t, PERSIST_STATUS, number);
}

/* As if its last will had come. */
int membership_cut_off(struct turn *t, uint32_t number)
{
    struct manager *m = t->m;
    struct agent_row *row = fleet_agent(m, number);
    if (m->blocked_count >= BLOCKED_MAX)
        return ERR_RANGE;
    presence_end(t, number, t->ev->now_s);
    set_blocked(m, row, row->flags | AGENT_CUT_OFF);
    return 0;
}

void membership_let_in(struct turn *t, uint32_t number)
{
    struct agent_row *row = fleet_agent(t->m, number);
    set_blocked(t->m, row, row->flags & ~(unsigned)AGENT_CUT_OFF);
}

void membership_revoke(struct turn *t)
{
    struct manager *m = t->m;
    uint32_t number = find_any(t, &t->ev->command->agent);
    if (!number)
        return;
    struct agent_row *row = fleet_agent(m, number);
    if (row->flags & AGENT_REVOKED) {
        t->out->rv = 1;
        return;
    }
    if (check_room(t) < 0)
        return;
    if (agent_in_fleet(row))
        cohort_leave(m, row->cohort);
    fleet_set_exceptions(m, row, NULL, NULL, 0);
    set_blocked(m, row, AGENT_REMOVED | AGENT_REVOKED | (row->flags & AGENT_FLAGS_INHERITED));
    suspect_forget(m, number);
    flooder_forget(m, number);
    fleet_assign(t, number);
}

/* Its next report counts, whatever number that has: the operator knows that it is the right one. Of
 * one that is only cut off, nobody doubts that. */
void membership_release(struct turn *t)
{
    struct manager *m = t->m;
    uint32_t number = find_any(t, &t->ev->command->agent);
    if (!number)
        return;
    struct agent_row *row = fleet_agent(m, number);
    if (row->flags & AGENT_REMOVED) {
        REFUSE(t, ERR_BUSY,
               "agent %u is out of the fleet for good: let a device join with a token of `dunlin "
               "agent replace %u`",
               number, number);
        return;
    }
    if ((row->flags & AGENT_BLOCKED) == AGENT_CUT_OFF) {
        flooder_lift(t, number);
        return;
    }
    t->out->rv = row->seq == 0 && !(row->flags & AGENT_QUARANTINED);
    if (t->out->rv == 1)
        return;
    m->stirred = true;
    set_blocked(m, row, row->flags & ~(unsigned)AGENT_QUARANTINED);
    row->seq = row->session = row->boot = row->boot_before = 0;
    suspect_forget(m, number);
    persist(t, PERSIST_AGENT, number);
    persist(t, PERSIST_STATUS, number);
}

/* ---- one device in the place of another ---- */

/* 0, or the reply is set. The token's secret has been checked. */
static int check_token(struct turn *t)
{
    struct manager *m = t->m;
    uint32_t b = t->ev->command->replace.batch, i = t->ev->command->replace.index;
    if (b >= m->batch_count || i >= m->batches[b].count)
        return REFUSE(t, ERR_NOT_FOUND, "this is no token of this manager");
    const struct batch_row *batch = &m->batches[b];
    if (batch->revoked || t->ev->now_s >= batch->expires_s)
        return REFUSE(t, ERR_USAGE, "token %u of batch %u %s: leave the token out to get a new one",
                      i + 1, b + 1, batch->revoked ? "is revoked" : "has expired");
    if (batch->uses != 1 || m->token_uses[m->batch_tokens[b] + i] > 0)
        return REFUSE(t, ERR_USAGE, "token %u of batch %u %s: leave the token out to get a new one",
                      i + 1, b + 1, batch->uses == 1 ? "is used" : "is meant for several devices");
    return 0;
}

static int mint(struct turn *t, struct successor_row *s)
{
    struct manager *m = t->m;
    struct batch_row row = {.count = 1,
                            .uses = 1,
                            .created_s = t->ev->now_s,
                            .expires_s = t->ev->command->replace.expires_s};
    if (m->batch_count == m->options.limits.batches || m->token_count == TOKENS_MAX)
        return REFUSE(t, ERR_RANGE, "there are %u token batches, the most that are kept",
                      m->batch_count);
    s->batch = m->batch_count;
    s->index = 0;
    int rv = manager_load_batch(m, &row);
    assert(rv == 0);
    persist(t, PERSIST_BATCH, s->batch);
    return rv;
}

/* A token that can't be redeemed any more gives its place back. */
static bool is_free(const struct turn *t, const struct successor_row *s)
{
    const struct manager *m = t->m;
    return s->number == 0 || m->batches[s->batch].revoked ||
           t->ev->now_s >= m->batches[s->batch].expires_s;
}

/* An agent has one successor, a token one predecessor: a newer word replaces an older one. */
static uint32_t successor_place(const struct turn *t, uint32_t number,
                                const struct successor_row *token)
{
    const struct manager *m = t->m;
    uint32_t place = SUCCESSORS_MAX;
    for (uint32_t i = 0; i < m->successor_count; i++) {
        const struct successor_row *s = &m->successors[i];
        if (s->number == number || (token && s->batch == token->batch && s->index == token->index))
            return i;
        if (place == SUCCESSORS_MAX && is_free(t, s))
            place = i;
    }
    return place == SUCCESSORS_MAX ? m->successor_count : place;
}

/* What was said before of this agent, or of this token, counts no more; a token that was alone in
 * its batch was meant for nothing else. */
static void supersede(struct turn *t, const struct successor_row *newer)
{
    struct manager *m = t->m;
    for (uint32_t i = 0; i < m->successor_count; i++) {
        struct successor_row *s = &m->successors[i];
        bool same_token = s->batch == newer->batch && s->index == newer->index;
        if (!s->number || (s->number != newer->number && !same_token))
            continue;
        s->number = 0;
        persist(t, PERSIST_SUCCESSOR, i);
        if (same_token || m->batches[s->batch].count > 1)
            continue;
        m->batches[s->batch].revoked = true;
        persist(t, PERSIST_BATCH, s->batch);
    }
}

void membership_replace(struct turn *t)
{
    struct manager *m = t->m;
    const struct command *c = t->ev->command;
    uint32_t number = find_any(t, &c->replace.agent);
    struct successor_row row = {
        .number = number, .batch = c->replace.batch, .index = c->replace.index};
    if (!number || check_room(t) < 0 || (!c->replace.mint && check_token(t) < 0))
        return;
    uint32_t place = successor_place(t, number, c->replace.mint ? NULL : &row);
    if (place == SUCCESSORS_MAX) {
        REFUSE(t, ERR_RANGE, "%d devices wait for their successors, the most that may",
               SUCCESSORS_MAX);
        return;
    }
    if (c->replace.mint && mint(t, &row) < 0)
        return;
    supersede(t, &row);
    m->successor_count += place == m->successor_count;
    m->successors[place] = row;
    t->out->index = place;
    persist(t, PERSIST_SUCCESSOR, place);
}

struct successor_row *membership_successor(const struct turn *t)
{
    struct manager *m = t->m;
    for (uint32_t i = 0; i < m->successor_count; i++) {
        struct successor_row *s = &m->successors[i];
        if (s->number && s->batch == t->ev->join.batch && s->index == t->ev->join.index)
            return s;
    }
    return NULL;
}

/* The id that had the number until now, and the token it came with, which stays used. */
static void keep_replaced(struct turn *t, uint32_t number)
{
    struct manager *m = t->m;
    const struct agent_row *row = fleet_agent(m, number);
    m->replaced[m->replaced_count] = (struct replaced_row){
        .id = row->id,
        .number = number,
        .batch = row->batch,
        .index = row->index,
        .joined_s = row->joined_s,
        .since_s = (uint32_t)t->ev->now_s,
    };
    persist(t, PERSIST_REPLACED, m->replaced_count++);
    m->blocked_count += !(row->flags & AGENT_BLOCKED);
    m->blocked_changes++;
}

enum joined_code membership_succeed(struct turn *t, struct successor_row *s)
{
    struct manager *m = t->m;
    uint32_t number = s->number;
    if (m->replaced_count == BLOCKED_MAX)
        return JOINED_FULL;
    struct agent_row *row = fleet_agent(m, number);
    keep_replaced(t, number);
    if (!agent_in_fleet(row))
        cohort_enter(m, row->cohort);
    fleet_set_exceptions(m, row, NULL, NULL, 0);
    suspect_forget(m, number);
    flooder_forget(m, number);
    flight_leave(m, number);
    m->stirred = true;
    *row = (struct agent_row){
        .flags = row->flags & AGENT_FLAGS_INHERITED,
        .cohort = row->cohort,
        .batch = s->batch,
        .index = s->index,
        .facts = t->ev->join.facts,
        .assigned = epoch_next(m, row->assigned),
        .joined_s = (uint32_t)t->ev->now_s,
    };
    fleet_name(m, number, &t->ev->join.id);
    s->number = 0;
    persist(t, PERSIST_SUCCESSOR, (uint32_t)(s - m->successors));
    persist(t, PERSIST_AGENT, number);
    persist(t, PERSIST_STATUS, number);
    t->out->number = number;
    return JOINED_ACCEPTED;
}

/* Linear: few devices are ever replaced, and only joining ones ask. */
bool membership_was_replaced(const struct manager *m, const struct key_id *id)
{
    for (uint32_t i = 0; i < m->replaced_count; i++)
        if (key_id_equal(&m->replaced[i].id, id))
            return true;
    return false;
}

/* ---- loading ---- */

int manager_load_replaced(struct manager *m, const struct replaced_row *row)
{
    if (m->replaced_count == BLOCKED_MAX)
        return ERR_RANGE;
    if (row->number < 1 || row->number > m->agent_count || row->batch >= m->batch_count ||
        row->index >= m->batches[row->batch].count)
        return ERR_DAMAGED;
    m->replaced[m->replaced_count++] = *row;
    m->blocked_count++;
    m->token_uses[m->batch_tokens[row->batch] + row->index]++;
    m->batches[row->batch].redeemed++;
    return 0;
}

int manager_load_successor(struct manager *m, const struct successor_row *row)
{
    if (m->successor_count == SUCCESSORS_MAX)
        return ERR_RANGE;
    if (row->number > m->agent_count || row->batch >= m->batch_count ||
        row->index >= m->batches[row->batch].count)
        return ERR_DAMAGED;
    m->successors[m->successor_count++] = *row;
    return 0;
}

/* ---- queries ---- */

size_t manager_blocked(const struct manager *m, struct blocked_agent *out, size_t cap)
{
    size_t count = 0;
    for (uint32_t i = 0; i < m->replaced_count && count < cap; i++)
        out[count++] =
            (struct blocked_agent){.id = m->replaced[i].id, .joined_s = m->replaced[i].joined_s};
    for (uint32_t i = 0; i < m->agent_count && count < m->blocked_count && count < cap; i++)
        if (m->agents[i].flags & AGENT_BLOCKED)
            out[count++] = (struct blocked_agent){.id = m->agents[i].id,
                                                  .joined_s = m->agents[i].joined_s,
                                                  .for_now = (m->agents[i].flags & AGENT_BLOCKED) ==
                                                             AGENT_CUT_OFF};
    return count;
}

uint64_t manager_blocked_changes(const struct manager *m)
{
    return m->blocked_changes;
}

const struct replaced_row *manager_replaced(const struct manager *m, uint32_t index)
{
    assert(index < m->replaced_count);
    return &m->replaced[index];
}

const struct successor_row *manager_successor(const struct manager *m, uint32_t index)
{
    assert(index < m->successor_count);
    return &m->successors[index];
}
