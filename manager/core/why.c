#include "manager/core/why.h"

#include "manager/core/state.h"

#include <assert.h>

/* One question. */
struct asking {
    const struct manager *m;
    const struct agent_row *row;
    const struct cohort *cohort;
    const struct deployment_row *d;
    struct agent_deployment has;
    bool placed; /* `has` says what it has */
    uint64_t now_s;
    struct why *out;
};

static bool is_outside(const struct asking *a);
static bool is_not_meant(const struct asking *a);
static bool is_crowded(const struct asking *a);
static bool has_failed(const struct asking *a);
static enum why_reason in_reach(const struct asking *a);
static enum why_reason gated(const struct asking *a);
static enum why_reason told(const struct asking *a);
static enum why_reason queued(const struct asking *a);

static struct asking ask(const struct manager *m, uint32_t number, uint32_t deployment,
                         uint64_t now_s, struct why *out)
{
    const struct agent_row *row = manager_agent(m, number);
    struct asking a = {.m = m,
                       .row = row,
                       .cohort = &m->cohorts[row->cohort],
                       .d = &m->deployments[deployment],
                       .now_s = now_s,
                       .out = out};
    *out = (struct why){.then = WHY_COUNT,
                        .number = number,
                        .deployment = deployment,
                        .heard_s = row->last_seen_s,
                        .stage = STAGES_MAX};
    a.placed = agent_in_fleet(row) && fleet_judge(m, number, deployment, &a.has);
    const struct told *e = fleet_exception(m, row, deployment + 1);
    out->wanted = a.has.wanted;
    out->running = a.placed ? a.has.running : e ? e->running : 0;
    out->cause = a.has.cause;
    return a;
}

void manager_why(const struct manager *m, uint32_t number, uint32_t deployment, uint64_t now_s,
                 struct arena *scratch, struct why *out)
{
    struct asking a = ask(m, number, deployment, now_s, out);
    assert(!a.d->removed);
    if (is_outside(&a) || is_not_meant(&a) || is_crowded(&a) || has_failed(&a))
        return;
    enum why_reason reason = in_reach(&a);
    out->overdue = reason != WHY_READY && survey_is_overdue(m, number, deployment, now_s);
    out->reason = out->then = reason;
    if (!(a.row->flags & AGENT_ONLINE))
        out->reason = WHY_OFFLINE;
    else if (a.row->flags & AGENT_STALE)
        out->reason = WHY_STALE;
    else
        out->then = WHY_COUNT;
    if (reason == WHY_RETURNING) {
        out->permitted = permit_has(m, number, deployment);
        manager_returning(m, deployment, scratch, &out->returning);
    }
    if (reason != WHY_HELD)
        return;
    struct stage_count counts[STAGES_MAX];
    manager_survey(m, deployment, now_s, scratch, counts);
    out->count = counts[a.d->rollout.stage];
}

static bool is_outside(const struct asking *a)
{
    static const struct {
        unsigned flag;
        enum why_reason reason;
    } rules[] = {{AGENT_REVOKED, WHY_REVOKED},
                 {AGENT_REMOVED, WHY_REMOVED},
                 {AGENT_WAITING, WHY_UNAPPROVED},
                 {AGENT_QUARANTINED, WHY_QUARANTINED},
                 {AGENT_CUT_OFF, WHY_CUT_OFF}};
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        a->out->reason = rules[i].reason;
        if (a->row->flags & rules[i].flag)
            return true;
    }
    return false;
}

static uint64_t hash_of(const struct asking *a)
{
    return gate_hash(a->d->salt, a->out->deployment + 1, a->out->number);
}

/* Others come before it. */
static bool is_outranked(const struct asking *a)
{
    return a->d->roster.sort[0] && a->d->flags & RECORD_LISTED &&
           !list_has(a->m, a->out->deployment, a->out->number);
}

/* It is not named, or its facts don't fit. */
static bool is_not_chosen(const struct asking *a)
{
    const struct roster *r = &a->d->roster;
    struct selector selector = group_selector(a->m, a->d->selector);
    if (r->named_count > 0 && selector.count > 0 &&
        !selector_matches(&selector, &a->cohort->labels))
        return false; /* that is why */
    if (!r->sort[0])
        return roster_chooses(r) && !list_has(a->m, a->out->deployment, a->out->number);
    return r->facts[0] && is_outranked(a) && !list_means(a->m, a->out->deployment, a->out->number);
}

static bool is_not_meant(const struct asking *a)
{
    struct selector selector = group_selector(a->m, a->d->selector);
    if (is_not_chosen(a)) {
        a->out->reason = WHY_NOT_NAMED;
        return true;
    }
    const struct taint *taint = taint_against(a->m, &a->d->roster, a->out->number);
    if (taint && !list_has(a->m, a->out->deployment, a->out->number) &&
        selector_matches(&selector, &a->cohort->labels)) {
        a->out->reason = WHY_TAINTED;
        a->out->taint = *taint;
        return true;
    }
    struct gate pick = pick_gate(a->d, &a->cohort->labels);
    bool named = a->d->roster.named_count > 0 && list_has(a->m, a->out->deployment, a->out->number);
    bool selected = !selector_misses(&selector, &a->cohort->labels, &a->out->miss) || named;
    a->out->reason = selected ? WHY_NOT_PICKED : WHY_NOT_SELECTED;
    a->out->unsorted = a->d->roster.sort[0] && !ranking_knows(a->m, a->d, a->out->number);
    a->out->unlabelled = pick_lacks(a->d, &a->cohort->labels) == PICK_LACKS_LABEL;
    a->out->ungrouped = pick_lacks(a->d, &a->cohort->labels) == PICK_LACKS_GROUP;
    bool passed_over =
        !pick_is_all(&a->d->pick) && pick_passes_over(a->m, a->out->deployment, a->out->number);
    return !selected || passed_over || is_outranked(a) ||
           !gate_passes(&pick, hash_of(a), a->out->number);
}

/* Its document is made, and had no room for it. */
static bool is_crowded(const struct asking *a)
{
    a->out->reason = WHY_CROWDED;
    return !a->placed && !a->cohort->dirty && a->cohort->placement_count == RECORDS_MAX &&
           !cohort_placement(a->cohort, a->out->deployment + 1);
}

static bool has_failed(const struct asking *a)
{
    bool failed = a->placed && a->has.state == STATE_FAILED;
    a->out->reason = failed ? WHY_FAILED : WHY_ROLLED_BACK;
    return failed || (a->placed && a->has.state == STATE_ROLLED_BACK);
}

/* It has the newest version, be it that a gate would not let it in by now. */
static bool is_ready(const struct asking *a)
{
    uint32_t newest = manager_generation(a->m, a->out->deployment);
    return a->has.held ? a->has.running == newest : a->has.state == STATE_READY;
}

/* What it would be if its link and its document are as they should be. */
static enum why_reason in_reach(const struct asking *a)
{
    if (!a->placed) /* its cohort's document is about to be made */
        return WHY_NOT_HEARD;
    if (is_ready(a))
        return WHY_READY;
    if (a->has.state == STATE_APPLYING && a->has.cause != CAUSE_DISK)
        return WHY_APPLYING;
    if (a->has.state == STATE_VERIFYING)
        return WHY_VERIFYING;
    if (a->row->flags & AGENT_CORDONED)
        return WHY_CORDONED;
    if (a->d->flags & RECORD_PAUSED)
        return WHY_PAUSED;
    enum why_reason reason = gated(a);
    return reason == WHY_COUNT ? told(a) : reason;
}

/* What keeps the newest version from it, or WHY_COUNT. */
static enum why_reason gated(const struct asking *a)
{
    bool begun = !a->has.held && a->has.state == STATE_DOWNLOADING;
    if (!deployment_rolls(a->d))
        return WHY_COUNT;
    if (a->d->rollout.state == ROLLOUT_ABORTED && !begun)
        return WHY_ABORTED;
    struct standing stands = survey_stand(a->d, survey_stages(a->m, a->d, &a->cohort->labels),
                                          hash_of(a), a->out->number);
    a->out->stage = stands.stage;
    if (a->d->rollout.state == ROLLOUT_STOPPED && !begun)
        return WHY_STOPPED;
    if (stands.admitted)
        return WHY_COUNT;
    if (stands.late)
        return WHY_LATE;
    if (stands.stage != a->d->rollout.stage)
        return WHY_HELD;
    uint32_t budget = manager_budget_holding(a->m, a->out->deployment);
    if (budget) {
        a->out->budget = budget - 1;
        return WHY_BUDGET;
    }
    a->out->until_s = manager_rate_until_s(a->d, a->now_s);
    return a->out->until_s ? WHY_RATE : WHY_HELD;
}

/* The first of those it depends on that is not Ready. The device said that there is one, and by now
 * it may be Ready. */
static enum why_reason waits_for_other(const struct asking *a)
{
    struct dependencies after = dependency_list(a->m, a->out->deployment);
    for (uint32_t i = 0; i < after.count; i++) {
        struct agent_deployment *other = &a->out->other;
        *other = (struct agent_deployment){0};
        a->out->other_there = fleet_judge(a->m, a->out->number, after.numbers[i] - 1, other);
        other->deployment = after.numbers[i] - 1;
        if (!a->out->other_there)
            return WHY_STUCK;
        if (other->state != STATE_READY)
            return a->has.cause == CAUSE_STUCK ? WHY_STUCK : WHY_AFTER;
    }
    return queued(a);
}

/* A budget has no room for it, or those that come back have no place; or it is about to have one.
 */
static enum why_reason asks(const struct asking *a)
{
    int64_t budget = budget_full(a->m, a->out->number, a->now_s);
    if (budget < 0 || permit_has(a->m, a->out->number, a->out->deployment))
        return WHY_RETURNING;
    a->out->budget = (uint32_t)budget;
    a->out->asks = true;
    return WHY_BUDGET;
}

/* A rule of the record's, as the device obeys it; WHY_COUNT: none. */
static enum why_reason ruled(const struct asking *a)
{
    enum cause cause = a->has.state == STATE_PENDING ? a->has.cause : CAUSE_NONE;
    if (cause == CAUSE_AFTER || cause == CAUSE_STUCK)
        return waits_for_other(a);
    a->out->window = survey_schedule(a->m, a->d, &a->cohort->labels);
    if (cause == CAUSE_WINDOW)
        return WHY_WINDOW;
    if (cause == CAUSE_CLOCK)
        return WHY_CLOCK;
    if (cause == CAUSE_RETURNING)
        return asks(a);
    bool by_hook = cause >= CAUSE_PRE_APPLY && cause <= CAUSE_HEALTH;
    return by_hook ? WHY_RETRYING : WHY_COUNT;
}

static bool is_at_work(const struct told *e)
{
    return deployment_state_works(e->state) || e->state == STATE_REMOVING;
}

/* What it is at, if it says that it is at something. */
static enum why_reason queued(const struct asking *a)
{
    for (uint32_t link = a->row->exceptions; link; link = a->m->nodes[link - 1].next) {
        const struct told *e = &a->m->nodes[link - 1];
        uint32_t index = e->deployment - 1;
        if (!is_at_work(e) || index == a->out->deployment || index >= a->m->deployment_count)
            continue;
        a->out->other_there = true;
        a->out->other = (struct agent_deployment){.deployment = index,
                                                  .state = (enum deployment_state)e->state};
        a->out->outranked =
            e->state != STATE_REMOVING && a->m->deployments[index].priority > a->d->priority;
        break;
    }
    return WHY_QUEUED;
}

/* By its last report on what it is to run. */
static enum why_reason told(const struct asking *a)
{
    enum why_reason rule = ruled(a);
    if (rule != WHY_COUNT)
        return rule;
    if (a->has.cause == CAUSE_DISK)
        return WHY_DISK;
    if (a->has.cause == CAUSE_FETCH)
        return WHY_NO_CONTENT;
    if (a->has.cause == CAUSE_VARIABLE)
        return WHY_NO_VALUE;
    if (a->has.state == STATE_DOWNLOADING)
        return WHY_DOWNLOADING;
    if (a->has.state == STATE_MODIFIED)
        return WHY_MODIFIED;
    a->out->since_s = a->cohort->issued_s;
    bool current = a->row->flags & AGENT_ASSIGNED &&
                   revision_compare(a->row->document, a->cohort->revision) == 0;
    if (!current)
        return WHY_NOT_HEARD;
    bool named = fleet_exception(a->m, a->row, a->out->deployment + 1) != NULL;
    return a->row->flags & AGENT_TRUNCATED && !named ? WHY_NOT_TOLD : queued(a);
}
