#include "manager/core/state.h"

#include <assert.h>

/* ---- stages and gates ---- */

uint16_t survey_stages(const struct deployment_row *d, const struct labels *labels)
{
    uint16_t stages = 0;
    for (uint32_t i = 0; i < d->plan.count; i++) {
        struct selector selector;
        int rv = selector_parse(&selector, span_text(d->plan.stages[i].selector), NULL);
        assert(rv == 0);
        if (selector_matches(&selector, labels))
            stages |= (uint16_t)(1u << i);
    }
    return stages;
}

static bool is_over(const struct rollout *r, uint32_t stage)
{
    return stage < r->stage || (stage == r->stage && r->step == ROLLOUT_CLOSING);
}

static bool has_begun(const struct rollout *r, uint32_t stage)
{
    return stage < r->stage || (stage == r->stage && r->step != ROLLOUT_OPENING);
}

static uint32_t enrolled_before(const struct rollout *r, uint16_t stages)
{
    for (uint32_t i = 0; stages >> i; i++)
        if (stages >> i & 1)
            return has_begun(r, i) ? r->enrolled_before[i] : UINT32_MAX;
    return UINT32_MAX;
}

/* The stages that match one behind the other: each reaches higher than the one before. One that
 * takes all and is over lets in whoever comes. */
struct gate survey_gate(const struct deployment_row *d, uint16_t stages)
{
    const struct rollout *r = &d->rollout;
    struct gate gate = {0};
    for (uint32_t i = 0; i < d->plan.count && has_begun(r, i); i++) {
        if (!(stages >> i & 1) || r->reached[i] <= gate.threshold)
            continue;
        if (is_over(r, i) && r->reached[i] == UINT64_MAX)
            return GATE_OPEN;
        gate.threshold = r->reached[i];
        gate.enrolled_before = enrolled_before(r, stages);
    }
    return gate;
}

/* Which of the matching stages has this agent; STAGES_MAX: one by share that has not begun yet. */
static uint32_t stage_of(const struct deployment_row *d, uint16_t stages, uint64_t hash)
{
    const struct rollout *r = &d->rollout;
    for (uint32_t i = 0; i < d->plan.count; i++) {
        if (!(stages >> i & 1))
            continue;
        if (d->plan.stages[i].share.value == 0)
            return i;
        if (has_begun(r, i) && hash <= (is_over(r, i) ? r->reached[i] : r->end))
            return i;
    }
    return STAGES_MAX;
}

/* ---- the walk ---- */

static const uint8_t *find_in_flight(const struct manager *m, uint32_t deployment)
{
    for (uint32_t i = 0; i < ROLLOUTS_MAX; i++)
        if (m->flights[i].deployment == deployment + 1)
            return m->flights[i].in_flight;
    return NULL;
}

struct survey survey_begin(const struct manager *m, uint32_t deployment, uint64_t now_s,
                           struct arena *scratch)
{
    const struct deployment_row *d = &m->deployments[deployment];
    uint16_t *stages = arena_alloc(scratch, (m->cohort_count + 1) * sizeof *stages);
    assert(stages);
    for (uint32_t i = 0; i < m->cohort_count; i++) {
        const struct cohort *c = &m->cohorts[i];
        bool placed = c->agents > 0 && cohort_is_placed(d, &c->labels);
        stages[i] = placed ? survey_stages(d, &c->labels) : 0;
    }
    return (struct survey){.m = m,
                           .deployment = d,
                           .index = deployment,
                           .now_s = now_s,
                           .next = 1,
                           .in_flight = find_in_flight(m, deployment),
                           .stages = stages};
}

/* Its word on the generation that is rolled out. */
static enum member_result result_of(const struct survey *s, const struct agent_row *row)
{
    const struct exception *e = fleet_exception(s->m, row, s->index + 1);
    if (!e || e->generation != manager_generation(s->m, s->index))
        return MEMBER_OPEN;
    if (e->state == STATE_READY)
        return MEMBER_READY;
    bool failed = e->state == STATE_FAILED || e->state == STATE_ROLLED_BACK;
    return failed ? MEMBER_FAILED : MEMBER_OPEN;
}

static bool is_reachable(const struct survey *s, const struct agent_row *row)
{
    if (row->flags & AGENT_QUARANTINED)
        return false;
    return row->flags & AGENT_ONLINE ||
           (uint64_t)row->last_seen_s + s->deployment->plan.reachable_within_s > s->now_s;
}

bool survey_next(struct survey *s, struct member *out)
{
    while (s->next <= s->m->agent_count) {
        uint32_t number = s->next++;
        const struct agent_row *row = &s->m->agents[number - 1];
        uint16_t stages = s->stages[row->cohort];
        if (stages == 0 || !agent_in_fleet(row))
            continue;
        uint64_t hash = gate_hash(s->deployment->salt, s->index + 1, &row->id);
        struct gate gate = survey_gate(s->deployment, stages);
        uint32_t stage = stage_of(s->deployment, stages, hash);
        bool admitted = gate_passes(&gate, hash, number);
        bool late = !admitted && number >= enrolled_before(&s->deployment->rollout, stages);
        if (stage == STAGES_MAX || late)
            continue;
        *out = (struct member){
            .number = number,
            .stage = stage,
            .hash = hash,
            .admitted = admitted,
            .reachable = is_reachable(s, row),
            .in_flight = s->in_flight && (s->in_flight[number / 8] >> number % 8 & 1),
            .result = admitted ? result_of(s, row) : MEMBER_OPEN,
        };
        return true;
    }
    return false;
}

void survey_count(struct stage_count *c, const struct member *m)
{
    c->members++;
    if (m->result == MEMBER_READY)
        c->ready++;
    else if (m->result == MEMBER_FAILED)
        c->failed++;
    else if (!m->reachable)
        c->away++;
    else if (!m->admitted)
        c->waiting++;
    else if (m->in_flight)
        c->in_flight++;
    else
        c->returning++;
}

void manager_survey(const struct manager *m, uint32_t deployment, uint64_t now_s,
                    struct arena *scratch, struct stage_count out[static STAGES_MAX])
{
    struct survey s = survey_begin(m, deployment, now_s, scratch);
    struct member member;
    memset(out, 0, STAGES_MAX * sizeof *out);
    while (survey_next(&s, &member))
        survey_count(&out[member.stage], &member);
}
