#include "manager/core/state.h"

#include <assert.h>
#include <stdalign.h>

/* One agent's row, status and assignment. */
#define PERSIST_TOLD 3
/* What of a step those that tell agents leave to others: documents, values, rollouts, picks, and a
 * list's end. */
#define PERSIST_LEFT (MANAGER_COHORTS_PER_STEP + MOMENT_PERSIST_MAX + 7)

/* The tables, one behind another in the caller's memory; with `memory` NULL only their size is
 * counted. */
static size_t lay_out(struct manager *m, uint8_t *memory, const struct manager_limits *limits);

size_t manager_size(const struct manager_limits *limits)
{
    struct manager nowhere;
    return lay_out(&nowhere, NULL, limits);
}

struct manager *manager_init(void *memory, const struct manager_options *options)
{
    struct manager *m = memory;
    assert(options->limits.agents <= IN_LINE_MAX);
    m->options = *options;
    lay_out(m, memory, &options->limits);
    m->news = m->heard = 1;
    list_begin(m);
    group_open(m);
    return m;
}

/* At most three quarters of the slots are taken, so that runs stay short. */
static uint32_t slots_for(uint32_t agents)
{
    uint32_t slots = 16;
    while (slots / 4 * 3 < agents)
        slots *= 2;
    return slots;
}

static void *next_table(uint8_t *memory, size_t *used, size_t count, size_t size)
{
    const size_t align = alignof(max_align_t);
    *used = (*used + align - 1) & ~(align - 1);
    void *table = memory ? memory + *used : NULL;
    *used += count * size;
    return table;
}

static size_t lay_out(struct manager *m, uint8_t *memory, const struct manager_limits *limits)
{
    size_t used = sizeof *m;
    uint32_t slots = slots_for(limits->agents + BLOCKED_MAX); /* ids that had a number take one */
    m->slot_mask = slots - 1;
    /* Two exceptions an agent: in a rollout each has one or two at a time. */
    m->node_max = limits->agents * 2 + 1024;
    m->agents = next_table(memory, &used, limits->agents, sizeof *m->agents);
    m->slots = next_table(memory, &used, slots, sizeof *m->slots);
    m->nodes = next_table(memory, &used, m->node_max, sizeof *m->nodes);
    m->replaced = next_table(memory, &used, BLOCKED_MAX, sizeof *m->replaced);
    m->successors = next_table(memory, &used, SUCCESSORS_MAX, sizeof *m->successors);
    m->cohorts = next_table(memory, &used, limits->cohorts, sizeof *m->cohorts);
    m->summaries = next_table(memory, &used, limits->cohorts, sizeof *m->summaries);
    m->mustered = next_table(memory, &used, limits->agents, sizeof *m->mustered);
    m->muster_ends = next_table(memory, &used, limits->cohorts, sizeof *m->muster_ends);
    m->heard_of = next_table(memory, &used, limits->cohorts, sizeof *m->heard_of);
    m->tallies = next_table(memory, &used, limits->cohorts, sizeof *m->tallies);
    m->deployments = next_table(memory, &used, limits->deployments, sizeof *m->deployments);
    m->bundles = next_table(memory, &used, limits->bundles, sizeof *m->bundles);
    m->looks = next_table(memory, &used, limits->deployments, sizeof *m->looks);
    m->agent_taints = next_table(memory, &used, limits->agents, sizeof *m->agent_taints);
    m->tainted = next_table(memory, &used, limits->agents / 8 + 1, 1);
    m->list_places = next_table(memory, &used, limits->deployments, sizeof *m->list_places);
    m->list_bits = next_table(memory, &used, 2 * LISTS_MAX, limits->agents / 8 + 1);
    m->list_cohorts = next_table(memory, &used, LISTS_MAX, limits->cohorts / 8 + 1);
    m->pick_groups = next_table(memory, &used, GROUPS_ALL_MAX, sizeof *m->pick_groups);
    m->line = next_table(memory, &used, limits->agents, sizeof *m->line);
    m->column_numbers =
        next_table(memory, &used, COLUMNS_MAX * sizeof *m->column_numbers, limits->agents);
    m->permits = next_table(memory, &used, PERMITTED_MAX, sizeof *m->permits);
    m->asking = next_table(memory, &used, limits->agents / 8 + 1, 1);
    m->permit_last = next_table(memory, &used, limits->deployments, sizeof *m->permit_last);
    m->in_flight = next_table(memory, &used, ROLLOUTS_MAX, limits->agents / 8 + 1);
    m->cohort_budgets = next_table(memory, &used, limits->cohorts, sizeof *m->cohort_budgets);
    m->out = next_table(memory, &used, limits->agents / 8 + 1, 1);
    m->free = next_table(memory, &used, limits->agents / 8 + 1, 1);
    m->apart = next_table(memory, &used, limits->agents / 8 + 1, 1);
    m->batches = next_table(memory, &used, limits->batches, sizeof *m->batches);
    m->batch_tokens = next_table(memory, &used, limits->batches, sizeof *m->batch_tokens);
    m->variables = next_table(memory, &used, limits->variables, sizeof *m->variables);
    m->variable_texts = next_table(memory, &used, limits->variables, sizeof *m->variable_texts);
    m->token_uses = next_table(memory, &used, TOKENS_MAX, sizeof *m->token_uses);
    return used;
}

/* ---- loading ---- */

int manager_load_batch(struct manager *m, const struct batch_row *row)
{
    if (m->batch_count == m->options.limits.batches || row->count > TOKENS_MAX - m->token_count)
        return ERR_RANGE;
    m->batch_tokens[m->batch_count] = m->token_count;
    m->token_count += row->count;
    m->batches[m->batch_count] = *row;
    m->batches[m->batch_count++].redeemed = 0; /* counted as agents are loaded */
    return 0;
}

int manager_load_bundle(struct manager *m, const struct bundle_row *row)
{
    if (m->bundle_count == m->options.limits.bundles)
        return ERR_RANGE;
    m->bundles[m->bundle_count++] = *row;
    return 0;
}

static bool is_sound(const struct manager *m, const struct deployment_row *d)
{
    const struct rollout *r = &d->rollout;
    if (!deployment_rolls(d))
        return r->state <= ROLLOUT_DONE;
    return r->stage < d->plan.count && r->step <= ROLLOUT_CLOSING &&
           (r->stable == 0 || r->stable_bundle < m->bundle_count) && r->queued <= m->bundle_count;
}

int manager_load_deployment(struct manager *m, const struct deployment_row *row)
{
    struct selector selector;
    struct plan plan = row->plan;
    if (m->deployment_count == m->options.limits.deployments)
        return ERR_RANGE;
    if (row->history_count == 0 || row->history_count > HISTORY_MAX ||
        row->history_kept > HISTORY_MAX ||
        selector_parse(&selector, span_text(row->selector), NULL) < 0 ||
        pick_check(&row->pick, NULL) < 0 || plan_complete(&plan, NULL) < 0 ||
        plan.count != row->plan.count || !is_sound(m, row))
        return ERR_DAMAGED;
    for (uint32_t i = 0; i < row->history_count; i++)
        if (row->history[i].bundle >= m->bundle_count)
            return ERR_DAMAGED;
    for (uint32_t i = 0; i < row->after.count; i++)
        if (row->after.numbers[i] == 0 || row->after.numbers[i] > m->options.limits.deployments)
            return ERR_DAMAGED;
    if (row->picked.count > GROUPS_ALL_MAX - m->pick_group_count)
        return ERR_RANGE;
    m->deployments[m->deployment_count] = *row;
    m->deployments[m->deployment_count].picked = (struct picked){0};
    pick_keep(m, m->deployment_count++, &row->picked);
    moment_count(m, row->values_seen);
    for (uint32_t i = 0; i < row->history_count; i++)
        moment_count(m, row->history[i].values_at);
    epoch_renumber(m, m->deployment_count - 1);
    if (!row->removed && roster_chooses(&row->roster) &&
        (!list_is_left(m, m->deployment_count - 1) || !ranking_is_possible(m, &row->roster)))
        return ERR_RANGE;
    if (!row->removed)
        list_mean(m, m->deployment_count - 1);
    return 0;
}

int manager_load_cohort(struct manager *m, const struct cohort *row)
{
    if (m->cohort_count == m->options.limits.cohorts)
        return ERR_RANGE;
    if (row->placement_count > RECORDS_MAX)
        return ERR_DAMAGED;
    for (uint32_t i = 0; i < row->placement_count; i++)
        if (row->placements[i].deployment - 1 >= m->deployment_count || /* 0 wraps */
            (i > 0 && row->placements[i].deployment <= row->placements[i - 1].deployment))
            return ERR_DAMAGED;
    uint32_t index = m->cohort_count++;
    m->cohorts[index] = *row;
    m->cohorts[index].agents = 0;
    m->cohorts[index].dirty = false;
    budget_place(m, index);
    /* A look at each: options, such as the heartbeat, may have changed since. */
    cohort_mark(m, index);
    return 0;
}

void manager_load_trust(struct manager *m, const struct trust *trust)
{
    m->trust = *trust;
}

int manager_load_agent(struct manager *m, uint32_t number, const struct agent_row *row,
                       const struct exception *exceptions, size_t count)
{
    if (number > m->options.limits.agents)
        return ERR_RANGE;
    if (number != m->agent_count + 1 || row->cohort >= m->cohort_count ||
        row->batch >= m->batch_count || row->index >= m->batches[row->batch].count)
        return ERR_DAMAGED;
    for (size_t i = 0; i < count; i++)
        if (exceptions[i].state >= STATE_COUNT)
            return ERR_DAMAGED;
    fleet_add(m, row);
    struct agent_row *mine = fleet_agent(m, number);
    mine->exceptions = 0;
    m->token_uses[m->batch_tokens[row->batch] + row->index]++;
    m->batches[row->batch].redeemed++;
    membership_count(m, row);
    budget_load(m, number);
    if (!agent_in_fleet(row))
        return 0;
    cohort_enter(m, row->cohort);
    if (fleet_set_exceptions(m, mine, exceptions, NULL, count) < 0)
        mine->flags |= AGENT_TRUNCATED;
    permit_hear(m, number);
    return 0;
}

/* ---- stepping ---- */

void persist(struct turn *t, enum persist_type type, uint32_t index)
{
    assert(t->out->persist_count < MANAGER_PERSIST_MAX);
    t->out->persist[t->out->persist_count++] = (struct persist){.type = type, .index = index};
    if (type == PERSIST_AGENT)
        lookout_hear_of(t->m, t->m->agents[index - 1].cohort);
    else if (type == PERSIST_EPOCH)
        lookout_hear(t->m);
}

bool persist_is_full(const struct turn *t)
{
    return t->out->persist_count + PERSIST_TOLD + PERSIST_LEFT > MANAGER_PERSIST_MAX;
}

struct alarm *raise_alarm(struct turn *t, enum alarm_type type)
{
    assert(t->out->alarm_count < MANAGER_ALARMS_MAX);
    struct alarm *alarm = &t->out->alarms[t->out->alarm_count++];
    *alarm = (struct alarm){.type = type};
    t->m->counters.alarms[type]++;
    return alarm;
}

const char *alarm_name(enum alarm_type type)
{
    static const char *const names[ALARM_TYPE_COUNT] = {
        [ALARM_TOKEN_REUSED] = "token-reused",
        [ALARM_CLONE] = "clone",
        [ALARM_OLD_NUMBERS] = "old-numbers",
        [ALARM_NEWER_DOCUMENT] = "newer-document",
        [ALARM_EPOCH_MOVED] = "epoch-moved",
        [ALARM_ROLLOUT_STOPPED] = "rollout-stopped",
        [ALARM_CROWDED] = "crowded",
        [ALARM_UNPICKED] = "unpicked",
        [ALARM_FLOOD] = "flood",
    };
    assert(type < ALARM_TYPE_COUNT);
    return names[type];
}

void manager_step(struct manager *m, const struct manager_event *ev, struct arena *scratch,
                  struct manager_out *out)
{
    struct turn t = {.m = m, .ev = ev, .scratch = scratch, .out = out};
    out->persist_count = 0;
    out->alarm_count = 0;
    out->more = false;
    out->joined = JOINED_UNKNOWN;
    out->number = 0;
    out->rv = 0;
    out->error.text[0] = '\0';
    out->index = 0;
    if (m->listens_since_s == 0)
        m->listens_since_s = ev->now_s;
    switch (ev->type) {
    case MANAGER_TICK:
        presence_tick(&t);
        flooder_tick(&t);
        list_tick(&t);
        pick_tick(&t);
        lookout_tick(&t);
        permit_tick(&t);
        moment_tick(&t);
        break;
    case MANAGER_CONTINUE:
        presence_look(&t);
        list_tend(&t);
        pick_tend(&t);
        lookout_tend(&t);
        permit_tend(&t);
        moment_tend(&t);
        break;
    case MANAGER_JOIN:
        registration_join(&t);
        break;
    case MANAGER_REPORT:
        presence_report(&t);
        break;
    case MANAGER_FACTS:
        inquiry_hear(&t, ev->facts.number, ev->facts.facts);
        break;
    case MANAGER_ATLAS:
        m->options.atlas = ev->atlas;
        cohort_mark_all(m);
        break;
    case MANAGER_FLOOD:
        flooder_hears(&t);
        break;
    case MANAGER_COMMAND:
        command_run(&t);
        lookout_hear(m);
        break;
    }
    cohort_settle(&t);
    out->more = m->dirty_count > 0 || m->silent_left > 0 || list_waits(m) || pick_waits(m) ||
                lookout_waits(m) || permit_waits(m) || moment_waits(m);
}

/* ---- composing ---- */

void manager_assignment(const struct manager *m, uint32_t number, uint64_t now_s,
                        struct assignment *out)
{
    const struct agent_row *row = manager_agent(m, number);
    const struct cohort *c = &m->cohorts[row->cohort];
    *out = (struct assignment){
        .agent = row->id,
        .revision = row->assigned,
        .issued_s = now_s,
        .cohort = c->key,
        .removed = (row->flags & AGENT_REMOVED) != 0,
        .labels = c->labels,
        .cordoned = (row->flags & AGENT_CORDONED) != 0,
    };
    out->reserved = (row->flags & AGENT_TAINTED) != 0;
    out->listed_count = manager_lists(m, number, out->listed);
    out->permit_count = manager_permits(m, number, out->permits);
    int rv = values_own(m, number, out);
    assert(rv == 0); /* what didn't fit was refused */
    (void)rv;
}

const struct trust *manager_trust(const struct manager *m)
{
    return &m->trust;
}

uint32_t manager_atlas(const struct manager *m)
{
    return m->options.atlas;
}
