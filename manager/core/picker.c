#include "manager/core/rank.h"
#include "manager/core/state.h"

#include <assert.h>

/* Deployments whose picks are looked at in one step. */
#define PICKS_PER_STEP 2
/* As a group's number in `picked`: nobody of these is in. */
#define PICK_NO_GROUP UINT8_MAX
_Static_assert(GROUPS_MAX < PICK_NO_GROUP, "a group's number fits into a byte");

/* One look at who is in. */
struct picking {
    const struct manager *m;
    const struct whom *whom;
    struct deployment_row *d;
    uint8_t *groups;    /* of each cohort */
    struct rank *ranks; /* of those that are next in line, and of those that are in */
    uint32_t next;      /* the number that is looked at next */
    uint32_t lined_up;  /* of a single group, those enrolled: in the core's line */
};

/* What is in a group, before anything is changed. */
struct group_count {
    uint32_t size;
    uint32_t in;
    uint32_t enrolled; /* not in, and next in line */
};

struct candidate {
    uint32_t number;
    uint32_t group;
    uint64_t hash;
};

/* ---- groups ---- */

static bool value_of(const struct pick *p, const struct labels *labels, struct span *value)
{
    *value = span_text("");
    return !p->by[0] || labels_get(labels, span_text(p->by), value);
}

static uint8_t find_group(const struct picked *g, const struct pick *p, const struct labels *labels,
                          struct span *value)
{
    if (!value_of(p, labels, value))
        return PICK_NO_GROUP;
    for (uint32_t i = 0; i < g->count; i++)
        if (span_equal(span_text(g->groups[i].value), *value))
            return (uint8_t)i;
    return PICK_NO_GROUP;
}

struct gate pick_gate(const struct deployment_row *d, const struct labels *labels)
{
    struct span value;
    if (!pick_is_gated(d))
        return GATE_OPEN;
    uint8_t group = find_group(&d->picked, &d->pick, labels, &value);
    return group == PICK_NO_GROUP ? (struct gate){0} : d->picked.groups[group].gate;
}

bool pick_has(const struct whom *w, uint32_t number)
{
    const struct agent_row *row = &w->m->agents[number - 1];
    if (!whom_has(w, number))
        return false;
    if (w->ranking)
        return ranking_has(w->ranking, w, w->present, number);
    if (!pick_is_gated(w->d))
        return true;
    struct gate gate = pick_gate(w->d, &w->m->cohorts[row->cohort].labels);
    return !pick_passes_over(w->m, w->index, number) &&
           gate_passes(&gate, gate_hash(w->d->salt, w->index + 1, &row->id), number);
}

/* Taints are an agent's own as well. */
bool pick_is_by_labels(const struct manager *m, const struct deployment_row *d)
{
    bool tainted = false;
    for (uint32_t i = 0; i < TAINTS_MAX; i++)
        tainted |= m->taint_agents[i] > 0;
    return pick_is_all(&d->pick) && !roster_chooses(&d->roster) && !tainted;
}

uint32_t pick_count(const struct whom *w, uint32_t cohort)
{
    uint32_t agents = w->cohorts[cohort] ? w->m->cohorts[cohort].agents : 0, count = 0;
    if (agents == 0 || pick_is_by_labels(w->m, w->d))
        return agents;
    const uint32_t *numbers = muster_of(w->m, cohort);
    for (uint32_t i = 0; i < agents; i++)
        count += pick_has(w, numbers[i]);
    return count;
}

void pick_change(struct deployment_row *d, const struct pick *pick)
{
    if (!pick)
        return;
    if (!d->roster.sort[0] && (pick_is_all(pick) || strcmp(pick->by, d->pick.by) != 0))
        memset(&d->picked, 0, sizeof d->picked);
    d->pick = *pick;
}

/* The group's number; one more, where the value is new. */
static uint8_t group_of(struct picked *g, const struct pick *p, const struct labels *labels)
{
    struct span value;
    uint8_t found = find_group(g, p, labels, &value);
    if (found != PICK_NO_GROUP || g->count == GROUPS_MAX || !value_of(p, labels, &value))
        return found;
    struct pick_group *group = &g->groups[g->count];
    *group = (struct pick_group){0};
    memcpy(group->value, value.data, value.len);
    return (uint8_t)g->count++;
}

static struct picking begin(const struct whom *whom, struct deployment_row *d,
                            struct arena *scratch)
{
    const struct manager *m = whom->m;
    struct picking p = {.m = m,
                        .whom = whom,
                        .d = d,
                        .groups = arena_alloc(scratch, m->cohort_count + 1),
                        .ranks = arena_alloc(scratch, 2 * sizeof(struct rank))};
    assert(p.groups && p.ranks);
    uint32_t known = d->picked.count;
    for (uint32_t i = 0; i < m->cohort_count; i++) {
        const struct cohort *c = &m->cohorts[i];
        bool placed = c->agents > 0 && whom->cohorts[i];
        p.groups[i] = placed ? group_of(&d->picked, &d->pick, &c->labels) : PICK_NO_GROUP;
    }
    for (uint32_t i = known; i < d->picked.count; i++)
        d->picked.groups[i].gate.enrolled_before = m->agent_count + 1;
    return p;
}

/* ---- the walk ---- */

/* Who is kept out for now gives its place to another one, and so does who may take nothing new,
 * unless it runs the deployment already. */
bool pick_passes_over(const struct manager *m, uint32_t deployment, uint32_t number)
{
    const struct agent_row *row = &m->agents[number - 1];
    if (!(row->flags & AGENT_CORDONED))
        return row->flags & AGENT_QUARANTINED;
    const struct exception *e = fleet_exception(m, row, deployment + 1);
    return !e || e->running == 0;
}

static void rewind_to(struct picking *p, uint32_t number)
{
    p->next = number;
}

static bool next(struct picking *p, struct candidate *c)
{
    while (p->next <= p->m->agent_count) {
        uint32_t number = p->next++;
        const struct agent_row *row = &p->m->agents[number - 1];
        uint8_t group = p->groups[row->cohort];
        if (group == PICK_NO_GROUP || !whom_has(p->whom, number) ||
            pick_passes_over(p->m, p->whom->index, number))
            continue;
        *c = (struct candidate){.number = number,
                                .group = group,
                                .hash = gate_hash(p->d->salt, p->whom->index + 1, &row->id)};
        return true;
    }
    return false;
}

static bool is_ranked(const struct gate *gate, const struct candidate *c, bool in)
{
    return c->number < gate->enrolled_before && (c->hash <= gate->threshold) == in;
}

/* Of a single group the ranks see everybody right away, and they stay in line for another look. */
static void count(struct picking *p, struct group_count counts[static GROUPS_MAX])
{
    struct candidate c;
    memset(counts, 0, GROUPS_MAX * sizeof *counts);
    for (int in = 0; in < 2; in++)
        rank_begin(&p->ranks[in], 1);
    rewind_to(p, 1);
    while (next(p, &c)) {
        const struct gate *gate = &p->d->picked.groups[c.group].gate;
        bool in = gate_passes(gate, c.hash, c.number);
        counts[c.group].size++;
        counts[c.group].in += in;
        counts[c.group].enrolled += !in && c.number < gate->enrolled_before;
        if (p->d->picked.count > 1 || !is_ranked(gate, &c, in))
            continue;
        rank_see(&p->ranks[in], c.hash);
        p->m->line[p->lined_up++].hash = c.hash;
    }
}

/* ---- letting in and out ---- */

static void see_group(struct picking *p, uint32_t group, bool in)
{
    const struct gate *gate = &p->d->picked.groups[group].gate;
    struct candidate c;
    rewind_to(p, 1);
    while (next(p, &c))
        if (c.group == group && is_ranked(gate, &c, in))
            rank_see(&p->ranks[in], c.hash);
}

/* The same of a single group, once more. */
static void see_again(struct picking *p, uint32_t group, bool in)
{
    uint64_t threshold = p->d->picked.groups[group].gate.threshold;
    for (uint32_t i = 0; i < p->lined_up; i++)
        if ((p->m->line[i].hash <= threshold) == in)
            rank_see(&p->ranks[in], p->m->line[i].hash);
}

/* The hash up to which exactly `k` of the group are: of those that are in, or that are next. */
static uint64_t reach(struct picking *p, uint32_t group, bool in, uint32_t k)
{
    struct rank *rank = &p->ranks[in];
    if (p->d->picked.count > 1) {
        rank_begin(rank, k);
        see_group(p, group, in);
    }
    rank_aim(rank, k);
    while (rank_next(rank)) {
        if (p->d->picked.count > 1)
            see_group(p, group, in);
        else
            see_again(p, group, in);
    }
    return rank->value;
}

/* All who were there are in: those that joined later follow in the order of joining. */
static void enrol(struct picking *p, uint32_t group, uint32_t more)
{
    struct gate *gate = &p->d->picked.groups[group].gate;
    struct candidate c;
    gate->threshold = UINT64_MAX;
    rewind_to(p, gate->enrolled_before);
    while (more > 0 && next(p, &c)) {
        if (c.group != group)
            continue;
        gate->enrolled_before = c.number + 1;
        more--;
    }
}

/* Nobody who is in makes room for another one, unless fewer are wanted. */
static void adjust(struct picking *p, uint32_t group, const struct group_count *have,
                   uint32_t wanted)
{
    struct gate *gate = &p->d->picked.groups[group].gate;
    if (wanted == 0)
        gate->threshold = 0;
    else if (have->in > wanted)
        gate->threshold = reach(p, group, true, wanted);
    else if (have->in + have->enrolled >= wanted)
        gate->threshold = reach(p, group, false, wanted - have->in);
    else
        enrol(p, group, wanted - have->in - have->enrolled);
}

/* ---- when ---- */

/* Groups whose last agent has left: they would ask for their part of a spread, and take a place. */
static void drop_empty(struct picked *g, const struct group_count *have)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < g->count; i++)
        if (have[i].size > 0)
            g->groups[kept++] = g->groups[i];
    memset(&g->groups[kept], 0, (g->count - kept) * sizeof g->groups[0]);
    g->count = kept;
}

/* `in` counts who is in then. */
static bool settle(const struct whom *whom, struct deployment_row *d, struct arena *scratch,
                   uint32_t *in)
{
    struct group_count have[GROUPS_MAX];
    uint32_t sizes[GROUPS_MAX], shares[GROUPS_MAX], filled = 0;
    bool changed = false;
    struct picking p = begin(whom, d, scratch);
    count(&p, have);
    for (uint32_t i = 0; i < d->picked.count; i++)
        if (have[i].size > 0)
            sizes[filled++] = have[i].size;
    pick_share_out(&d->pick, sizes, filled, shares);
    *in = 0;
    for (uint32_t i = 0, share = 0; i < d->picked.count; i++) {
        uint32_t wanted = have[i].size > 0 ? shares[share++] : 0;
        *in += wanted;
        if (have[i].in == wanted)
            continue;
        adjust(&p, i, &have[i], wanted);
        changed = true;
    }
    drop_empty(&d->picked, have);
    return changed;
}

bool pick_settle(struct turn *t, uint32_t deployment)
{
    struct deployment_row *d = &t->m->deployments[deployment];
    if (pick_is_all(&d->pick) || d->roster.sort[0])
        return false;
    struct whom whom = whom_is(t->m, deployment, t->scratch);
    uint32_t in;
    bool changed = settle(&whom, d, t->scratch, &in);
    arena_reset(t->scratch);
    return changed;
}

uint32_t pick_try(struct whom *whom, struct deployment_row *d, struct arena *scratch)
{
    uint32_t in = 0;
    if (d->roster.sort[0]) {
        struct ranking *ranking = arena_alloc(scratch, sizeof *ranking);
        assert(ranking);
        *ranking = ranking_settle(whom, whom->present, &d->pick, scratch);
        whom->ranking = ranking;
    } else if (!pick_is_all(&d->pick)) {
        settle(whom, d, scratch, &in);
    }
    return in;
}

/* Somebody has joined, left, or been given other labels since. */
void pick_tick(struct turn *t)
{
    struct manager *m = t->m;
    m->picks_stirred |= m->stirred;
    m->stirred = false;
    if (m->picks_stirred && !pick_waits(m)) {
        m->picks_stirred = false;
        m->pick_cursor = 0;
    }
    pick_tend(t);
}

bool pick_waits(const struct manager *m)
{
    return m->pick_cursor < m->deployment_count;
}

void pick_tend(struct turn *t)
{
    struct manager *m = t->m;
    for (int looked_at = 0; pick_waits(m) && looked_at < PICKS_PER_STEP;) {
        uint32_t index = m->pick_cursor++;
        const struct deployment_row *d = &m->deployments[index];
        if (d->removed || pick_is_all(&d->pick) || d->roster.sort[0])
            continue;
        looked_at++;
        if (!pick_settle(t, index))
            continue;
        persist(t, PERSIST_DEPLOYMENT, index);
        lookout_hear(m);
        cohort_mark_deployment(m, d);
    }
}
