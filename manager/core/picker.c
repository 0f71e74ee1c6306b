#include "manager/core/state.h"

#include <assert.h>

/* Deployments whose picks are looked at in one step. */
#define PICKS_PER_STEP 2
/* As a group's number: nobody of these is in. */
#define NO_GROUP GROUPS_MAX
_Static_assert(GROUPS_MAX < UINT16_MAX, "a group's number fits into two bytes");

/* How a group's agents stand in the line, besides their share. */
struct group_count {
    uint32_t enrolled; /* not in, and next in line */
    uint32_t next;     /* where the next of them comes to stand */
};

/* One look at who is in. */
struct picking {
    const struct manager *m;
    const struct whom *whom;
    const struct deployment_row *d;
    uint16_t *groups_of;        /* by cohort */
    struct pick_group *groups;  /* as they will be, by rising value */
    struct pick_share *shares;  /* of each group */
    struct group_count *counts; /* the same */
    uint32_t count;
    uint32_t left_out;
    bool regrouped;    /* they are other ones than before */
    uint32_t lined_up; /* agents in the core's line */
};

_Static_assert(GROUPS_MAX *(sizeof(struct pick_group) + sizeof(struct pick_share) +
                            sizeof(struct group_count)) +
                       MANAGER_COHORTS_MAX * (2 * sizeof(uint16_t) + 2 * sizeof(uint32_t)) +
                       sizeof(struct deployment_row) + 1024 <
                   MANAGER_SCRATCH_MAX,
               "a pick is tried within a step's scratch");

/* ---- groups ---- */

/* Where the pick is of each value of a label: the cohort's. False: it has none. */
static bool value_of(const struct deployment_row *d, const struct labels *labels, uint64_t *value)
{
    struct span text = span_text("");
    if (d->pick.by[0] && !labels_get(labels, span_text(d->pick.by), &text))
        return false;
    *value = pick_value(d->salt, text);
    return true;
}

static const struct pick_group *find_group(const struct deployment_row *d,
                                           const struct labels *labels)
{
    uint64_t value;
    return value_of(d, labels, &value) ? pick_group_of(&d->picked, value) : NULL;
}

struct gate pick_gate(const struct deployment_row *d, const struct labels *labels)
{
    if (!pick_is_gated(d))
        return GATE_OPEN;
    const struct pick_group *group = find_group(d, labels);
    return group ? group->gate : (struct gate){0};
}

enum pick_lack pick_lacks(const struct deployment_row *d, const struct labels *labels)
{
    uint64_t value;
    if (d->roster.sort[0] || pick_is_all(&d->pick))
        return PICK_LACKS_NOTHING;
    if (!value_of(d, labels, &value))
        return PICK_LACKS_LABEL;
    bool beyond = d->picked.left_out > 0 && !pick_group_of(&d->picked, value);
    return beyond ? PICK_LACKS_GROUP : PICK_LACKS_NOTHING;
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
           gate_passes(&gate, gate_hash(w->d->salt, w->index + 1, number), number);
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

/* The groups of all picks lie one behind another in the order of their deployments. */
void pick_keep(struct manager *m, uint32_t deployment, const struct picked *g)
{
    struct picked *mine = &m->deployments[deployment].picked;
    struct pick_group *end = m->pick_groups;
    uint32_t before = 0;
    for (uint32_t i = 0; i < deployment; i++)
        before += m->deployments[i].picked.count;
    uint32_t behind = m->pick_group_count - before - mine->count;
    end += before;
    assert(before + g->count + behind <= GROUPS_ALL_MAX);
    memmove(end + g->count, end + mine->count, behind * sizeof *end);
    if (g->count > 0)
        memcpy(end, g->groups, g->count * sizeof *end);
    *mine = *g;
    m->pick_group_count = before + g->count + behind;
    for (uint32_t i = deployment; i < m->deployment_count; i++) {
        m->deployments[i].picked.groups = end;
        end += m->deployments[i].picked.count;
    }
}

static bool begins_anew(const struct deployment_row *d, const struct pick *pick)
{
    return pick && !d->roster.sort[0] && (pick_is_all(pick) || strcmp(pick->by, d->pick.by) != 0);
}

void pick_change(struct manager *m, uint32_t deployment, const struct pick *pick)
{
    struct deployment_row *d = &m->deployments[deployment];
    if (begins_anew(d, pick))
        pick_keep(m, deployment, &(struct picked){0});
    d->pick = pick ? *pick : d->pick;
}

void pick_try_change(struct deployment_row *d, const struct pick *pick)
{
    if (begins_anew(d, pick))
        d->picked = (struct picked){0};
    d->pick = pick ? *pick : d->pick;
}

/* The group's number, or NO_GROUP. */
static uint16_t number_of(const struct picking *p, uint64_t value)
{
    uint32_t place = pick_place(p->groups, p->count, value);
    bool known = place < p->count && p->groups[place].value == value;
    return known ? (uint16_t)place : NO_GROUP;
}

/* Groups are few enough to be moved. */
static void add_group(struct picking *p, const struct pick_group *group)
{
    uint32_t place = pick_place(p->groups, p->count, group->value);
    memmove(&p->groups[place + 1], &p->groups[place], (p->count - place) * sizeof *group);
    p->groups[place] = *group;
    p->count++;
}

/* The value of a cohort that takes part. */
static bool takes_part(const struct picking *p, uint32_t cohort, uint64_t *value)
{
    const struct cohort *c = &p->m->cohorts[cohort];
    return c->agents > 0 && p->whom->cohorts[cohort] && value_of(p->d, &c->labels, value);
}

/* Groups that somebody is still of keep their gates, and then new ones come as long as there is
 * room. */
static void find_groups(struct picking *p)
{
    const struct manager *m = p->m;
    uint32_t elsewhere = m->pick_group_count - p->d->picked.count;
    uint64_t value;
    for (uint32_t i = 0; i < m->cohort_count; i++) {
        const struct pick_group *had =
            takes_part(p, i, &value) ? pick_group_of(&p->d->picked, value) : NULL;
        if (had && number_of(p, value) == NO_GROUP)
            add_group(p, had);
    }
    p->regrouped = p->count < p->d->picked.count;
    for (uint32_t i = 0; i < m->cohort_count; i++) {
        struct pick_group group = {.gate.enrolled_before = m->agent_count + 1};
        if (!takes_part(p, i, &group.value) || number_of(p, group.value) != NO_GROUP)
            continue;
        if (p->count == GROUPS_MAX || elsewhere + p->count == GROUPS_ALL_MAX) {
            p->left_out += m->cohorts[i].agents;
            continue;
        }
        add_group(p, &group);
        p->regrouped = true;
    }
}

static struct picking begin(const struct whom *whom, const struct deployment_row *d,
                            struct arena *scratch)
{
    const struct manager *m = whom->m;
    struct picking p = {.m = m,
                        .whom = whom,
                        .d = d,
                        .groups_of =
                            arena_alloc(scratch, (m->cohort_count + 1) * sizeof *p.groups_of),
                        .groups = arena_alloc(scratch, GROUPS_MAX * sizeof *p.groups),
                        .shares = arena_alloc(scratch, GROUPS_MAX * sizeof *p.shares),
                        .counts = arena_alloc(scratch, GROUPS_MAX * sizeof *p.counts)};
    assert(p.groups_of && p.groups && p.shares && p.counts);
    find_groups(&p);
    for (uint32_t i = 0; i < m->cohort_count; i++) {
        uint64_t value;
        p.groups_of[i] = takes_part(&p, i, &value) ? number_of(&p, value) : NO_GROUP;
    }
    return p;
}

int pick_check_room(struct turn *t, int64_t deployment)
{
    const struct manager *m = t->m;
    const struct command *c = t->ev->command;
    struct selector selector = group_selector(m, c->deploy.selector);
    struct deployment_row *d = arena_alloc(t->scratch, sizeof *d);
    uint8_t *cohorts = arena_alloc(t->scratch, m->cohort_count + 1);
    assert(d && cohorts);
    if (deployment >= 0)
        *d = m->deployments[deployment];
    pick_try_change(d, c->deploy.pick);
    const char *by = d->pick.by;
    for (uint32_t i = 0; i < m->cohort_count && by[0]; i++)
        cohorts[i] = selector_matches(&selector, &m->cohorts[i].labels);
    struct whom whom = {.m = m, .d = d, .cohorts = cohorts};
    struct picking p = begin(&whom, d, t->scratch);
    if (p.left_out > 0 && p.count == GROUPS_MAX)
        REFUSE(t, ERR_RANGE,
               "pick: these agents have more than %d values of %s, the most that a pick tells "
               "apart: select fewer, or pick by another label",
               GROUPS_MAX, by);
    else if (p.left_out > 0)
        REFUSE(t, ERR_RANGE,
               "pick: all picks together tell %d values of labels apart, and no more: select fewer "
               "agents, or pick by a label with fewer values than %s",
               GROUPS_ALL_MAX, by);
    arena_reset(t->scratch);
    return t->out->rv;
}

/* ---- the line ---- */

/* Who is kept out for now gives its place to another one, and so does who may take nothing new,
 * unless it runs the deployment already. */
bool pick_passes_over(const struct manager *m, uint32_t deployment, uint32_t number)
{
    const struct agent_row *row = &m->agents[number - 1];
    if (!(row->flags & AGENT_CORDONED))
        return row->flags & AGENT_QUARANTINED;
    const struct told *e = fleet_exception(m, row, deployment + 1);
    return !e || e->running == 0;
}

/* All who take part, by rising number, each with how it stands with its group's gate. */
static void line_up(struct picking *p)
{
    for (uint32_t n = 1; n <= p->m->agent_count; n++) {
        const struct agent_row *row = &p->m->agents[n - 1];
        uint16_t group = p->groups_of[row->cohort];
        if (group == NO_GROUP || !whom_has(p->whom, n) || pick_passes_over(p->m, p->whom->index, n))
            continue;
        const struct gate *gate = &p->groups[group].gate;
        uint64_t hash = gate_hash(p->d->salt, p->whom->index + 1, n);
        bool in = gate_passes(gate, hash, n), enrolled = n < gate->enrolled_before;
        p->m->line[p->lined_up++] = (struct in_line){.hash = hash,
                                                     .group = group,
                                                     .number = n & IN_LINE_MAX,
                                                     .has = in,
                                                     .slot = enrolled && !in};
        p->shares[group].size++;
        p->shares[group].in += in;
        p->counts[group].enrolled += enrolled && !in;
    }
}

static void swap(struct in_line *a, struct in_line *b)
{
    struct in_line c = *a;
    *a = *b;
    *b = c;
}

/* Each group's agents come to stand together, in the order of the groups: all are moved along
 * cycles (American flag sort; McIlroy, Bostic and McIlroy, Computing Systems 6, 1993). */
static void sort_out(struct picking *p)
{
    struct in_line *line = p->m->line;
    uint32_t end = 0;
    for (uint32_t g = 0; g < p->count; g++) {
        p->counts[g].next = end;
        end += p->shares[g].size;
    }
    end = 0;
    for (uint32_t g = 0; g < p->count; g++) {
        end += p->shares[g].size;
        while (p->counts[g].next < end) {
            struct in_line *here = &line[p->counts[g].next];
            swap(here, &line[p->counts[here->group].next++]);
        }
    }
}

/* ---- letting in and out ---- */

/* Those of a group that stand so with its gate come to its front; how many they are. */
static uint32_t gather(struct in_line *line, uint32_t count, bool in, bool enrolled)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < count; i++)
        if (line[i].has == in && line[i].slot == enrolled)
            swap(&line[i], &line[found++]);
    return found;
}

/* The k-th smallest hash, from 1 (Hoare, Algorithm 65: FIND, CACM 1961). Nobody has a say in where
 * hashes lie, so it takes a few passes. */
static uint64_t find_kth(struct in_line *line, uint32_t count, uint32_t k)
{
    int64_t low = 0, high = (int64_t)count - 1, at = (int64_t)k - 1;
    assert(k > 0 && k <= count);
    while (low < high) {
        uint64_t pivot = line[at].hash;
        int64_t i = low, j = high;
        while (i <= j) {
            while (line[i].hash < pivot)
                i++;
            while (line[j].hash > pivot)
                j--;
            if (i <= j)
                swap(&line[i++], &line[j--]);
        }
        if (at > j && at < i)
            break;
        if (at <= j)
            high = j;
        else
            low = i;
    }
    return line[at].hash;
}

/* All who were there are in: those that joined later follow in the order of joining. */
static void enrol(struct gate *gate, struct in_line *line, uint32_t count, uint32_t more)
{
    uint32_t later = gather(line, count, false, false);
    for (uint32_t i = 0; i < later; i++)
        line[i].hash = line[i].number;
    gate->threshold = UINT64_MAX;
    gate->enrolled_before = (uint32_t)find_kth(line, later, more) + 1;
}

/* Nobody who is in makes room for another one, unless fewer are wanted. */
static void adjust(const struct picking *p, uint32_t group, struct in_line *line)
{
    struct gate *gate = &p->groups[group].gate;
    const struct pick_share *s = &p->shares[group];
    uint32_t enrolled = p->counts[group].enrolled;
    if (s->wanted == 0)
        gate->threshold = 0;
    else if (s->in > s->wanted)
        gate->threshold = find_kth(line, gather(line, s->size, true, false), s->wanted);
    else if (s->in + enrolled >= s->wanted)
        gate->threshold = find_kth(line, gather(line, s->size, false, true), s->wanted - s->in);
    else
        enrol(gate, line, s->size, s->wanted - s->in - enrolled);
}

/* False: in each group there are as many as are wanted. */
static bool adjust_all(struct picking *p)
{
    struct in_line *line = p->m->line;
    uint32_t others = 0;
    for (uint32_t g = 0; g < p->count; g++)
        others += p->shares[g].in != p->shares[g].wanted;
    if (others > 0 && p->count > 1)
        sort_out(p);
    for (uint32_t g = 0; others > 0 && g < p->count; line += p->shares[g++].size)
        if (p->shares[g].in != p->shares[g].wanted)
            adjust(p, g, line);
    return others > 0;
}

/* ---- when ---- */

/* True when other ones are picked than before, or by other groups. `in` counts them; the groups
 * last as long as the scratch memory. */
static bool settle(const struct whom *whom, const struct deployment_row *d, struct arena *scratch,
                   struct picked *out, uint32_t *in)
{
    struct picking p = begin(whom, d, scratch);
    line_up(&p);
    pick_share_out(&d->pick, p.shares, p.count);
    *in = 0;
    for (uint32_t g = 0; g < p.count; g++)
        *in += p.shares[g].wanted;
    bool adjusted = adjust_all(&p);
    *out = (struct picked){.count = p.count, .left_out = p.left_out, .groups = p.groups};
    return adjusted || p.regrouped || p.left_out != d->picked.left_out;
}

bool pick_settle(struct turn *t, uint32_t deployment)
{
    struct manager *m = t->m;
    struct deployment_row *d = &m->deployments[deployment];
    if (pick_is_all(&d->pick) || d->roster.sort[0])
        return false;
    struct whom whom = whom_is(m, deployment, t->scratch);
    struct picked picked;
    uint32_t in;
    bool beyond = d->picked.left_out > 0, changed = settle(&whom, d, t->scratch, &picked, &in);
    if (changed)
        pick_keep(m, deployment, &picked);
    arena_reset(t->scratch);
    if (picked.left_out > 0 && !beyond && t->out->alarm_count < MANAGER_ALARMS_MAX)
        raise_alarm(t, ALARM_UNPICKED)->index = deployment;
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
        struct picked picked;
        settle(whom, d, scratch, &picked, &in);
        d->picked = picked;
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
