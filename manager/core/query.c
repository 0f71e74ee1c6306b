#include "manager/core/state.h"

#include <assert.h>

uint32_t manager_agent_count(const struct manager *m)
{
    return m->agent_count;
}

uint32_t manager_batch_count(const struct manager *m)
{
    return m->batch_count;
}

uint32_t manager_bundle_count(const struct manager *m)
{
    return m->bundle_count;
}

uint32_t manager_deployment_count(const struct manager *m)
{
    return m->deployment_count;
}

uint32_t manager_cohort_count(const struct manager *m)
{
    return m->cohort_count;
}

const struct agent_row *manager_agent(const struct manager *m, uint32_t number)
{
    assert(number >= 1 && number <= m->agent_count);
    return &m->agents[number - 1];
}

const struct batch_row *manager_batch(const struct manager *m, uint32_t index)
{
    assert(index < m->batch_count);
    return &m->batches[index];
}

const struct bundle_row *manager_bundle(const struct manager *m, uint32_t index)
{
    assert(index < m->bundle_count);
    return &m->bundles[index];
}

const struct deployment_row *manager_deployment(const struct manager *m, uint32_t index)
{
    assert(index < m->deployment_count);
    return &m->deployments[index];
}

const struct cohort *manager_cohort(const struct manager *m, uint32_t index)
{
    assert(index < m->cohort_count);
    return &m->cohorts[index];
}

struct manager_counters *manager_counters(struct manager *m)
{
    return &m->counters;
}

bool manager_was_restored(const struct manager *m)
{
    return m->options.restored_epoch != 0;
}

uint32_t manager_find_agent(const struct manager *m, const struct key_id *id)
{
    uint32_t number = fleet_find(m, id);
    return number && !(manager_agent(m, number)->flags & AGENT_REMOVED) ? number : 0;
}

uint32_t manager_find_any_agent(const struct manager *m, const struct key_id *id)
{
    return fleet_find(m, id);
}

/* A clock that was put back makes no certificate from before the agent joined. */
enum joined_code manager_certificate(const struct manager *m, uint32_t number,
                                     const struct key_id *id, uint64_t now_s,
                                     struct certificate *out)
{
    if (number < 1 || number > m->agent_count)
        return JOINED_UNKNOWN;
    const struct agent_row *row = manager_agent(m, number);
    if (!key_id_equal(&row->id, id))
        return membership_was_replaced(m, id) ? JOINED_REVOKED : JOINED_UNKNOWN;
    if (row->flags & AGENT_OUTSIDE)
        return JOINED_REVOKED;
    uint64_t age_s = now_s > row->joined_s ? now_s - row->joined_s : 0;
    uint32_t period = (uint32_t)(age_s / CERTIFICATE_PERIOD_S);
    uint64_t begin_s = row->joined_s + (uint64_t)period * CERTIFICATE_PERIOD_S;
    *out = (struct certificate){
        .use = CERTIFICATE_CLIENT,
        .serial = certificate_agent_serial(id, period),
        .not_before_s = begin_s - CERTIFICATE_SLACK_S,
        .not_after_s = begin_s + CERTIFICATE_LIFE_S,
    };
    memcpy(out->name, key_id_hex(id).text, sizeof key_id_hex(id).text);
    return JOINED_ACCEPTED;
}

int64_t manager_find_deployment(const struct manager *m, const char *name)
{
    for (uint32_t i = 0; i < m->deployment_count; i++)
        if (!m->deployments[i].removed && strcmp(m->deployments[i].name, name) == 0)
            return i;
    return ERR_NOT_FOUND;
}

int64_t manager_find_bundle(const struct manager *m, const char *name, const char *version)
{
    for (uint32_t i = 0; i < m->bundle_count; i++) {
        const struct bundle_row *b = &m->bundles[i];
        if (!b->removed && strcmp(b->name, name) == 0 && strcmp(b->version, version) == 0)
            return i;
    }
    return ERR_NOT_FOUND;
}

struct dependencies manager_dependencies(const struct manager *m, uint32_t deployment)
{
    assert(deployment < m->deployment_count);
    return dependency_list(m, deployment);
}

uint32_t manager_generation(const struct manager *m, uint32_t deployment)
{
    return manager_deployment(m, deployment)->history[0].generation;
}

static uint32_t epoch_of(uint32_t generation)
{
    return (generation - 1) / GENERATIONS_PER_EPOCH;
}

/* Each further try of a version takes the place of the one before (generation_renew), whose number
 * agents may still run: between two neighbours of an epoch all are the newer one's. */
static bool had_generation(const struct deployment_row *d, uint32_t i, uint32_t generation)
{
    uint32_t last = d->history[i].generation;
    if (generation == last || i + 1 == d->history_count)
        return generation == last;
    uint32_t before = d->history[i + 1].generation;
    return before < generation && generation < last && epoch_of(before) == epoch_of(last);
}

const char *manager_generation_version(const struct manager *m, uint32_t deployment,
                                       uint32_t generation)
{
    const struct deployment_row *d = manager_deployment(m, deployment);
    if (deployment_rolls(d) && generation != 0 && generation == d->rollout.stable)
        return m->bundles[d->rollout.stable_bundle].version;
    for (uint32_t i = 0; i < d->history_count; i++)
        if (had_generation(d, i, generation))
            return m->bundles[d->history[i].bundle].version;
    return "";
}

/* ---- what an agent runs, as far as it has told ---- */

/* The agent holds, of its present cohort, at least this revision, and none that was never made. */
static bool holds(const struct manager *m, const struct agent_row *row, uint32_t number)
{
    struct revision wanted = {.epoch = m->options.epoch, .number = number};
    return number != 0 && row->flags & AGENT_ASSIGNED &&
           revision_compare(row->document, wanted) >= 0 &&
           revision_compare(row->document, m->cohorts[row->cohort].revision) <= 0;
}

const struct told *fleet_exception(const struct manager *m, const struct agent_row *row,
                                   uint32_t deployment)
{
    for (uint32_t link = row->exceptions; link; link = m->nodes[link - 1].next)
        if (m->nodes[link - 1].deployment == deployment)
            return &m->nodes[link - 1];
    return NULL;
}

/* It runs the bundle of the newest generation since an earlier try, and has only to take its
 * number.
 */
static bool is_had(const struct deployment_row *d, const struct told *e)
{
    return deployment_rolls(d) && e->running >= d->rollout.first &&
           e->running < d->history[0].generation && e->generation != d->history[0].generation;
}

/* What an agent says of what a gate chose, it says by name. */
static void judge_named(struct agent_deployment *d, const struct told *e, uint32_t generation)
{
    if (!e || e->generation != generation)
        return;
    d->state = (enum deployment_state)e->state;
    d->cause = (enum cause)e->cause;
}

/* Where it names the generation, that is its word, also before it hears that a rollout is over. */
static void judge_stable(const struct manager *m, const struct agent_row *row,
                         const struct placement *p, const struct told *e,
                         struct agent_deployment *d)
{
    if (e && e->generation == p->generation) {
        judge_named(d, e, p->generation);
    } else if (!holds(m, row, p->since)) {
        if (!e && holds(m, row, p->before_since))
            d->running = p->before;
    } else if (!e && !(row->flags & AGENT_TRUNCATED)) {
        d->state = STATE_READY;
        d->running = p->generation;
    }
}

/* False: it is on no list, or was not picked. */
static bool judge(const struct manager *m, uint32_t number, const struct placement *p,
                  struct agent_deployment *out)
{
    const struct agent_row *row = manager_agent(m, number);
    const struct deployment_row *d = &m->deployments[p->deployment - 1];
    const struct told *e = fleet_exception(m, row, p->deployment);
    bool picked = !gate_is_open(&p->gate) || d->flags & RECORD_LISTED;
    uint64_t hash = picked || p->next ? gate_hash(d->salt, p->deployment, number) : 0;
    if (!list_admits(m, p->deployment - 1, number) ||
        (picked && !gate_passes(&p->gate, hash, number)) ||
        (!pick_is_all(&d->pick) && pick_passes_over(m, p->deployment - 1, number)))
        return false;
    bool next = p->next != 0 && gate_passes(&p->next_gate, hash, number);
    /* An aborted one is begun nowhere: it says that it goes on with the one before. */
    if (d->rollout.state == ROLLOUT_ABORTED && e && e->generation == p->generation)
        next = false;
    *out = (struct agent_deployment){.deployment = p->deployment - 1,
                                     .wanted = next || !p->generation ? p->next : p->generation,
                                     .running = e ? e->running : 0,
                                     .state = STATE_PENDING,
                                     .held = p->next != 0 && !next};
    if (next && !e && !picked)
        out->running = p->generation;
    bool same = deployment_rolls(d) && p->generation >= d->rollout.first;
    bool named = (next && (e || !same)) || (picked && !next);
    if (e && is_had(d, e))
        out->state = STATE_READY;
    else if (named)
        judge_named(out, e, out->wanted);
    else if (next || p->generation != 0)
        judge_stable(m, row, p, e, out);
    if (out->state == STATE_PENDING && (d->flags & RECORD_PAUSED || row->flags & AGENT_CORDONED))
        out->state = STATE_PAUSED;
    return true;
}

bool fleet_judge(const struct manager *m, uint32_t number, uint32_t deployment,
                 struct agent_deployment *out)
{
    const struct cohort *c = &m->cohorts[manager_agent(m, number)->cohort];
    const struct placement *p = cohort_placement(c, deployment + 1);
    return p && judge(m, number, p, out);
}

size_t manager_agent_deployments(const struct manager *m, uint32_t number,
                                 struct agent_deployment out[static RECORDS_MAX])
{
    const struct agent_row *row = manager_agent(m, number);
    const struct cohort *c = &m->cohorts[row->cohort];
    uint32_t placed = agent_in_fleet(row) ? c->placement_count : 0;
    size_t count = 0;
    for (uint32_t i = 0; i < placed; i++)
        count += judge(m, number, &c->placements[i], &out[count]);
    return count;
}

bool manager_agent_deployment(const struct manager *m, uint32_t number, uint32_t deployment,
                              struct agent_deployment *out)
{
    return agent_in_fleet(manager_agent(m, number)) && fleet_judge(m, number, deployment, out);
}

/* ---- what a cohort says of all its agents at once ---- */

/* One that is for all of a cohort alike: who holds the document that asked for it, and doesn't name
 * it, is Ready in it. */
static bool is_for_all(const struct manager *m, const struct cohort *c, const struct placement *p)
{
    const struct deployment_row *d = &m->deployments[p->deployment - 1];
    struct revision since = {.epoch = m->options.epoch, .number = p->since};
    return p->generation != 0 && p->next == 0 && p->since != 0 && gate_is_open(&p->gate) &&
           pick_is_all(&d->pick) && !(d->flags & RECORD_LISTED) &&
           revision_compare(c->revision, since) >= 0;
}

void fleet_sum_up(const struct manager *m, uint32_t cohort)
{
    const struct cohort *c = &m->cohorts[cohort];
    struct summary *s = &m->summaries[cohort];
    s->since = s->clear = s->mixed_count = 0;
    for (uint32_t i = 0; i < c->placement_count; i++) {
        const struct placement *p = &c->placements[i];
        if (!is_for_all(m, c, p))
            s->mixed[s->mixed_count++] = (uint8_t)i;
        else if (p->since > s->since)
            s->since = p->since;
    }
}

/* It is Ready in all that is for all of its cohort, but for what it names. */
static bool is_clear(const struct manager *m, const struct agent_row *row)
{
    return !(row->flags & (AGENT_TRUNCATED | AGENT_TAINTED)) &&
           holds(m, row, m->summaries[row->cohort].since);
}

/* The places of those placements that have to be asked for one by one, the mixed ones first. */
static uint32_t find_unclear(const struct manager *m, const struct agent_row *row,
                             uint8_t places[static RECORDS_MAX])
{
    const struct cohort *c = &m->cohorts[row->cohort];
    const struct summary *s = &m->summaries[row->cohort];
    uint32_t count = 0;
    if (!is_clear(m, row)) {
        for (; count < c->placement_count; count++)
            places[count] = (uint8_t)count;
        return count;
    }
    for (; count < s->mixed_count; count++)
        places[count] = s->mixed[count];
    for (uint32_t link = row->exceptions; link; link = m->nodes[link - 1].next) {
        const struct told *e = &m->nodes[link - 1];
        const struct placement *p = cohort_placement(c, e->deployment);
        bool first = fleet_exception(m, row, e->deployment) == e; /* of what it names twice */
        if (p && first && is_for_all(m, c, p))
            places[count++] = (uint8_t)(p - c->placements);
    }
    return count;
}

size_t fleet_unclear(const struct manager *m, uint32_t number,
                     struct agent_deployment out[static RECORDS_MAX])
{
    uint8_t places[RECORDS_MAX];
    const struct agent_row *row = manager_agent(m, number);
    uint32_t unclear = find_unclear(m, row, places);
    size_t count = 0;
    for (uint32_t i = 0; i < unclear; i++)
        count += judge(m, number, &m->cohorts[row->cohort].placements[places[i]], &out[count]);
    return count;
}

/* ---- counts ---- */

static void count_one(const struct manager *m, uint32_t number, const struct placement *p,
                      struct deployment_counts *out)
{
    struct agent_deployment d;
    if (!judge(m, number, p, &d))
        return;
    out[d.deployment].targets++;
    out[d.deployment].held += d.held;
    /* Ready with what came before is not ready with what is asked for. */
    out[d.deployment].states[d.held && d.state == STATE_READY ? STATE_PENDING : d.state]++;
}

/* So many more, or fewer, that are Ready in what is for all. */
static void add_ready(const struct placement *p, uint32_t agents, struct deployment_counts *out)
{
    out[p->deployment - 1].targets += agents;
    out[p->deployment - 1].states[STATE_READY] += agents;
}

static void count_agent(const struct manager *m, uint32_t number, struct deployment_counts *out)
{
    uint8_t places[RECORDS_MAX];
    const struct agent_row *row = manager_agent(m, number);
    const struct cohort *c = &m->cohorts[row->cohort];
    struct summary *s = &m->summaries[row->cohort];
    bool clear = is_clear(m, row);
    uint32_t unclear = find_unclear(m, row, places);
    s->clear += clear;
    for (uint32_t i = 0; i < unclear; i++) {
        const struct placement *p = &c->placements[places[i]];
        if (clear && i >= s->mixed_count)
            add_ready(p, UINT32_MAX, out); /* one fewer: it is counted with the clear ones */
        count_one(m, number, p, out);
    }
}

static void add_clear(const struct manager *m, struct deployment_counts *out)
{
    for (uint32_t i = 0; i < m->cohort_count; i++) {
        const struct cohort *c = &m->cohorts[i];
        const struct summary *s = &m->summaries[i];
        for (uint32_t k = 0, mixed = 0; k < c->placement_count; k++)
            if (mixed < s->mixed_count && s->mixed[mixed] == k)
                mixed++;
            else
                add_ready(&c->placements[k], s->clear, out);
    }
}

void manager_count_deployments(const struct manager *m, struct deployment_counts *out)
{
    memset(out, 0, m->deployment_count * sizeof *out);
    manager_count_some(m, 1, m->agent_count, out);
}

/* Most of what agents run follows from their cohorts: it is added up there, and only the rest is
 * asked of each. */
void manager_count_some(const struct manager *m, uint32_t first, uint32_t count,
                        struct deployment_counts *out)
{
    assert(first >= 1 && count <= m->agent_count - (first - 1));
    for (uint32_t i = 0; i < m->cohort_count; i++)
        fleet_sum_up(m, i);
    for (uint32_t n = first; n < first + count; n++)
        if (agent_in_fleet(&m->agents[n - 1]))
            count_agent(m, n, out);
    add_clear(m, out);
}

void manager_count_agents(const struct manager *m, struct fleet_counts *out)
{
    *out = (struct fleet_counts){0};
    for (uint32_t i = 0; i < m->agent_count; i++) {
        unsigned flags = m->agents[i].flags;
        out->waiting += (flags & AGENT_WAITING) != 0;
        if (!agent_in_fleet(&m->agents[i]))
            continue;
        out->total++;
        out->online += (flags & AGENT_ONLINE) != 0;
        out->quarantined += (flags & AGENT_QUARANTINED) != 0;
        out->cut_off += (flags & AGENT_CUT_OFF) != 0;
        out->cordoned += (flags & AGENT_CORDONED) != 0;
        out->stale += (flags & AGENT_ONLINE) && (flags & AGENT_STALE);
    }
    out->offline = out->total - out->online;
}
