#include "manager/core/state.h"

#include <assert.h>

/* Lanes that come late by so many doublings are worth a document. */
#define COHORT_LANES_LATE 2
/* A cohort may have grown so many times over since the backup that a manager was put back from: its
 * agents listen on lanes that this one never made. */
#define COHORT_GROWN_SINCE 16

static struct cohort_key key_of(const struct manager *m, const struct labels *labels)
{
    struct digest mac = mac_of(&m->options.cohort_secret, span_text(labels->text));
    struct cohort_key key;
    memcpy(key.bytes, mac.bytes, sizeof key.bytes);
    return key;
}

/* Linear: there are few label sets, and only joining with new labels and relabelling ask. */
static int64_t find(const struct manager *m, const struct cohort_key *key)
{
    for (uint32_t i = 0; i < m->cohort_count; i++)
        if (memcmp(&m->cohorts[i].key, key, sizeof *key) == 0)
            return i;
    return ERR_NOT_FOUND;
}

int64_t cohort_find_or_add(struct turn *t, const struct labels *labels)
{
    struct manager *m = t->m;
    struct cohort_key key = key_of(m, labels);
    int64_t found = find(m, &key);
    if (found >= 0)
        return found;
    if (m->cohort_count == m->options.limits.cohorts)
        return ERR_RANGE;
    uint32_t index = m->cohort_count++;
    m->cohorts[index] = (struct cohort){.labels = *labels, .key = key};
    budget_place(m, index);
    persist(t, PERSIST_COHORT, index);
    cohort_mark(m, index);
    return index;
}

/* As many as so many agents need, but no fewer than there are: one that has shrunk keeps them,
 * since agents that were away come back to them, and each costs a broker nine bytes. */
static uint8_t lanes_for(const struct manager *m, const struct cohort *c, uint64_t agents)
{
    uint64_t max = m->options.lane_agents_max;
    uint8_t log2 = c->lanes_log2;
    while (max > 0 && log2 < LANES_LOG2_MAX && agents > max << log2)
        log2++;
    return log2;
}

/* More lanes come with the next document, whatever makes that; for them alone one is made, which
 * all have to fetch, when there are far too few. */
static bool lanes_outgrown(const struct manager *m, const struct cohort *c)
{
    return lanes_for(m, c, c->agents) >= c->lanes_log2 + COHORT_LANES_LATE;
}

uint32_t manager_lanes(const struct manager *m, uint32_t cohort)
{
    const struct cohort *c = &m->cohorts[cohort];
    if (!m->options.restored_s)
        return 1u << c->lanes_log2;
    return 1u << lanes_for(m, c, (uint64_t)c->agents * COHORT_GROWN_SINCE);
}

/* A cohort without agents is left alone, so the first one that enters has its document made. */
void cohort_enter(struct manager *m, uint32_t cohort)
{
    struct cohort *c = &m->cohorts[cohort];
    m->stirred = true;
    m->is_mustered = false;
    if (c->agents++ == 0 || lanes_outgrown(m, c))
        cohort_mark(m, cohort);
}

void cohort_leave(struct manager *m, uint32_t cohort)
{
    assert(m->cohorts[cohort].agents > 0);
    m->stirred = true;
    m->is_mustered = false;
    m->cohorts[cohort].agents--;
}

void cohort_mark(struct manager *m, uint32_t cohort)
{
    if (m->cohorts[cohort].dirty)
        return;
    m->cohorts[cohort].dirty = true;
    m->dirty_count++;
}

void cohort_mark_all(struct manager *m)
{
    for (uint32_t i = 0; i < m->cohort_count; i++)
        cohort_mark(m, i);
}

void cohort_mark_matching(struct manager *m, const char *text)
{
    struct selector selector = group_selector(m, text);
    for (uint32_t i = 0; i < m->cohort_count; i++)
        if (selector_matches(&selector, &m->cohorts[i].labels))
            cohort_mark(m, i);
}

int64_t cohort_overfull(const struct manager *m, const char *text, uint32_t deployment)
{
    struct selector selector = group_selector(m, text);
    /* Without agents its placements are as they were when the last one left. */
    for (uint32_t i = 0; i < m->cohort_count; i++)
        if (m->cohorts[i].agents > 0 && m->cohorts[i].placement_count == RECORDS_MAX &&
            !cohort_placement(&m->cohorts[i], deployment) &&
            selector_matches(&selector, &m->cohorts[i].labels))
            return i;
    return -1;
}

/* Who is named may be anywhere. */
void cohort_mark_deployment(struct manager *m, const struct deployment_row *d)
{
    if (d->roster.named_count > 0)
        cohort_mark_all(m);
    else
        cohort_mark_matching(m, d->selector);
}

bool cohort_is_lived_in(const struct manager *m, const struct labels *labels)
{
    struct cohort_key key = key_of(m, labels);
    int64_t cohort = find(m, &key);
    return cohort >= 0 && m->cohorts[cohort].agents > 0;
}

uint32_t cohort_records(const struct manager *m, const struct labels *labels, uint32_t number)
{
    struct cohort_key key = key_of(m, labels);
    int64_t cohort = find(m, &key);
    uint32_t count = 0;
    for (uint32_t i = 0; i < m->deployment_count; i++) {
        const struct deployment_row *d = &m->deployments[i];
        bool listed = d->flags & RECORD_LISTED;
        if (d->removed || (listed && !(number && list_has(m, i, number)) &&
                           !(cohort >= 0 && list_covers(m, i, (uint32_t)cohort))))
            continue;
        struct selector selector = group_selector(m, d->selector);
        bool named = listed && d->roster.named_count > 0;
        count += named || selector_matches(&selector, labels);
    }
    return count;
}

const struct placement *cohort_placement(const struct cohort *c, uint32_t deployment)
{
    uint32_t first = 0, end = c->placement_count;
    while (first < end) {
        uint32_t middle = (first + end) / 2;
        if (c->placements[middle].deployment < deployment)
            first = middle + 1;
        else
            end = middle;
    }
    bool found = first < c->placement_count && c->placements[first].deployment == deployment;
    return found ? &c->placements[first] : NULL;
}

/* ---- documents ---- */

/* With the deployment's selector: whoever asks for many cohorts reads it once. */
static bool is_placed(const struct manager *m, uint32_t deployment, const struct selector *selector,
                      uint32_t cohort)
{
    const struct deployment_row *d = &m->deployments[deployment];
    bool listed = d->flags & RECORD_LISTED;
    if (d->removed || (listed && !list_covers(m, deployment, cohort)))
        return false;
    if (listed && d->roster.named_count > 0)
        return true; /* whatever its labels are */
    return selector_matches(selector, &m->cohorts[cohort].labels);
}

bool cohort_is_placed(const struct manager *m, uint32_t deployment, uint32_t cohort)
{
    const struct deployment_row *d = &m->deployments[deployment];
    if (d->removed)
        return false;
    struct selector selector = group_selector(m, d->selector);
    return is_placed(m, deployment, &selector, cohort);
}

void cohort_find_placed(const struct manager *m, uint32_t deployment, uint8_t *placed)
{
    struct selector selector = group_selector(m, m->deployments[deployment].selector);
    for (uint32_t i = 0; i < m->cohort_count; i++)
        placed[i] = is_placed(m, deployment, &selector, i);
}

bool cohort_is_heard_of(const struct manager *m, uint32_t deployment, const char *text,
                        uint64_t news)
{
    struct selector whole = group_selector(m, m->deployments[deployment].selector);
    struct selector part = group_selector(m, text);
    for (uint32_t i = 0; i < m->cohort_count; i++)
        if (m->heard_of[i] > news && is_placed(m, deployment, &whole, i) &&
            selector_matches(&part, &m->cohorts[i].labels))
            return true;
    return false;
}

/* Those that a rollout has not let in yet run what ran before it. */
static void fill_rollout(const struct manager *m, const struct deployment_row *d,
                         const struct labels *labels, struct record *r)
{
    uint32_t stable = d->rollout.stable;
    r->next = r->stable;
    r->next_gate = survey_gate(d, survey_stages(m, d, labels));
    r->stable = (struct target){0};
    if (stable)
        r->stable = (struct target){.generation = stable,
                                    .bundle = m->bundles[d->rollout.stable_bundle].digest};
    if (d->rollout.state == ROLLOUT_ABORTED)
        r->flags |= RECORD_ABORTED;
    if (d->rollout.state == ROLLOUT_STOPPED)
        r->flags |= RECORD_STOPPED;
}

static void fill_rules(const struct manager *m, uint32_t index, const struct cohort *c,
                       struct rules *rules)
{
    const struct deployment_row *d = &m->deployments[index];
    const struct labels *labels = &c->labels;
    uint32_t cohort = (uint32_t)(c - m->cohorts);
    rules->after = dependency_list(m, index);
    rules->retries = d->plan.retries;
    rules->back_off_s = d->plan.retries ? d->plan.back_off_s : 0;
    uint32_t reach_s = permit_reach_s(m, index, cohort);
    if (permit_is_needed(m, index, cohort))
        rules->asks_after_s = reach_s ? reach_s : 1;
    if (m->cohort_budgets[cohort])
        rules->order = survey_stages(m, d, labels) + 1u;
    int rv = schedule_compile(survey_schedule(m, d, labels), &rules->window, NULL);
    assert(rv == 0); /* checked when it was submitted */
}

static void fill_record(const struct manager *m, uint32_t index, const struct cohort *c,
                        struct desired *out)
{
    const struct deployment_row *d = &m->deployments[index];
    const struct labels *labels = &c->labels;
    struct record *r = &out->records[out->count++];
    *r = (struct record){
        .deployment = index + 1,
        .flags = d->flags,
        .priority = d->priority,
        .salt = d->salt,
        .gate = pick_gate(d, labels),
        .stable = {.generation = manager_generation(m, index),
                   .bundle = m->bundles[d->history[0].bundle].digest},
    };
    fill_rules(m, index, c, &r->rules);
    memcpy(r->name, d->name, sizeof r->name);
    if (deployment_rolls(d))
        fill_rollout(m, d, labels, r);
    values_fill(m, c, index, r, out);
}

/* What the document says, without revision, times and lanes: those must not make it look changed.
 * True when one more would be in it than agents take. */
static bool fill_records(const struct manager *m, uint32_t cohort, struct desired *out)
{
    const struct cohort *c = &m->cohorts[cohort];
    *out = (struct desired){.cohort = c->key, .policy = m->options.policy};
    for (uint32_t i = 0; i < m->deployment_count; i++) {
        if (!cohort_is_placed(m, i, cohort))
            continue;
        if (out->count == RECORDS_MAX)
            return true;
        fill_record(m, i, c, out);
    }
    return false;
}

void manager_document(const struct manager *m, uint32_t cohort, struct desired *out)
{
    const struct cohort *c = &m->cohorts[cohort];
    fill_records(m, cohort, out);
    out->lanes_log2 = c->lanes_log2;
    out->revision = c->revision;
    out->issued_s = c->issued_s;
    out->not_after_s = c->issued_s + m->options.document_life_s;
}

static struct digest fingerprint_of(const struct desired *d, struct arena *scratch)
{
    struct buffer body = buffer_on(arena_alloc(scratch, DOCUMENT_MAX), DOCUMENT_MAX);
    assert(body.data);
    int rv = desired_write(d, &body);
    assert(rv == 0); /* RECORDS_MAX records fit into DOCUMENT_MAX */
    return digest_of(span_buffer(&body));
}

/* It is for all of the cohort now, and was for some, who say by name that they have it: the silence
 * of the others counts only when they know. */
static bool is_widened(const struct placement *old, const struct record *r)
{
    bool some = old->listed || !gate_is_open(&old->gate);
    return some && !(r->flags & RECORD_LISTED) && gate_is_open(&r->gate);
}

/* Since which revision a deployment's generation is asked for, and what was asked for before. */
static struct placement place_one(const struct cohort *c, const struct desired *d,
                                  const struct record *r)
{
    uint64_t variables = variables_digest(record_variables(d, r), VARIABLE_STABLE, SPAN_NONE);
    const struct placement *old = cohort_placement(c, r->deployment);
    struct placement now = {.deployment = r->deployment,
                            .generation = r->stable.generation,
                            .since = c->revision.number,
                            .before = old ? old->generation : 0,
                            .before_since = old ? old->since : 0};
    bool same = old && old->generation == r->stable.generation;
    if (same && is_widened(old, r))
        now.before = now.before_since = 0;
    else if (same && old->variables == variables)
        now = *old;
    else if (same) /* what ran before runs with other values */
        now.before = old->before;
    now.variables = variables;
    now.next = r->next.generation;
    now.next_gate = r->next_gate;
    now.gate = r->gate;
    now.listed = (r->flags & RECORD_LISTED) != 0;
    return now;
}

static void place(struct cohort *c, const struct desired *d)
{
    struct placement now[RECORDS_MAX];
    for (uint32_t i = 0; i < d->count; i++)
        now[i] = place_one(c, d, &d->records[i]);
    memcpy(c->placements, now, d->count * sizeof now[0]);
    c->placement_count = d->count;
}

static bool past_half_life(const struct turn *t, const struct cohort *c)
{
    return t->ev->now_s >= c->issued_s + t->m->options.document_life_s / 2;
}

static void settle(struct turn *t, uint32_t index)
{
    struct manager *m = t->m;
    struct cohort *c = &m->cohorts[index];
    struct desired *d = arena_alloc(t->scratch, sizeof *d);
    assert(d);
    bool crowded = fill_records(m, index, d);
    struct digest fingerprint = fingerprint_of(d, t->scratch);
    bool same =
        c->revision.epoch == m->options.epoch && digest_equal(&fingerprint, &c->fingerprint);
    if (!same || past_half_life(t, c) || lanes_outgrown(m, c)) {
        c->fingerprint = fingerprint;
        c->lanes_log2 = lanes_for(m, c, c->agents);
        c->revision = epoch_next(m, c->revision);
        c->issued_s = t->ev->now_s;
        place(c, d);
        persist(t, PERSIST_DOCUMENT, index);
        if (crowded && !same && t->out->alarm_count < MANAGER_ALARMS_MAX)
            raise_alarm(t, ALARM_CROWDED)->index = index;
    } else if (c->trust_version != m->trust.version || c->atlas != m->options.atlas) {
        persist(t, PERSIST_HEAD, index);
    }
    c->trust_version = m->trust.version;
    c->atlas = m->options.atlas;
    arena_reset(t->scratch);
}

void cohort_settle(struct turn *t)
{
    struct manager *m = t->m;
    for (int made = 0; m->dirty_count && made < MANAGER_COHORTS_PER_STEP;) {
        uint32_t index = m->dirty_cursor++ % m->cohort_count;
        struct cohort *c = &m->cohorts[index];
        if (!c->dirty)
            continue;
        c->dirty = false;
        m->dirty_count--;
        if (c->agents == 0)
            continue;
        settle(t, index);
        made++;
    }
}
