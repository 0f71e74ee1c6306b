/*
 * steering: what operators say of a rollout on its way. What it does by itself is in rollout.c.
 */
#include "manager/core/plan_words.h"
#include "manager/core/state.h"

#include <assert.h>

static int refuse(struct turn *t, const struct deployment_row *d)
{
    static const char *const whys[] = {
        [ROLLOUT_NONE] = "has no stages",
        [ROLLOUT_RUNNING] = "is on its way",
        [ROLLOUT_STOPPED] = "is stopped, since too many agents failed",
        [ROLLOUT_ABORTED] = "was aborted",
        [ROLLOUT_DONE] = "is over",
    };
    return REFUSE(t, ERR_BUSY, "the rollout of %s %s: see `dunlin rollout show %s`", d->name,
                  whys[d->rollout.state], d->name);
}

static int find_stage(const struct plan *p, const char *name)
{
    for (uint32_t i = 0; i < p->count; i++)
        if (strcmp(p->stages[i].name, name) == 0)
            return (int)i;
    return -1;
}

/* An operator's word makes a difference now: where all are let in, it is to wait for nobody else.
 */
static bool wants_word(struct turn *t, uint32_t deployment)
{
    const struct deployment_row *d = &t->m->deployments[deployment];
    const struct plan_stage *stage = &d->plan.stages[d->rollout.stage];
    if (d->rollout.step != ROLLOUT_ADMITTING && rollout_has_passed(&d->rollout))
        return false;
    if (d->rollout.step != ROLLOUT_ADMITTING)
        return d->rollout.step == ROLLOUT_OPENING ? stage->before.approval : stage->after.approval;
    struct stage_count count = rollout_count(t, deployment);
    uint64_t until_s;
    return d->rollout.reached[d->rollout.stage] >= d->rollout.end ||
           manager_rollout_hold(t->m, deployment, t->ev->now_s, &count, &until_s) == HOLD_REACH;
}

void steering_approve(struct turn *t, uint32_t deployment, const char *stage)
{
    struct deployment_row *d = &t->m->deployments[deployment];
    struct rollout *r = &d->rollout;
    int index = find_stage(&d->plan, stage);
    if (r->state != ROLLOUT_RUNNING) {
        refuse(t, d);
    } else if (index < 0) {
        REFUSE(t, ERR_NOT_FOUND, "%s has no stage %.64s: see `dunlin rollout show %s`", d->name,
               stage, d->name);
    } else if (index != r->stage) {
        REFUSE(t, ERR_BUSY, "the rollout of %s is in stage %s: %s %s", d->name,
               d->plan.stages[r->stage].name, stage, index < r->stage ? "is over" : "comes later");
    } else if (r->approved) {
        t->out->rv = 1;
    } else if (!wants_word(t, deployment)) {
        REFUSE(t, ERR_BUSY,
               "stage %s of %s doesn't wait for approval now: see `dunlin rollout show %s`", stage,
               d->name, d->name);
    } else {
        r->approved = true;
        persist(t, PERSIST_DEPLOYMENT, deployment);
    }
}

void steering_abort(struct turn *t, uint32_t deployment)
{
    struct deployment_row *d = &t->m->deployments[deployment];
    if (d->rollout.state == ROLLOUT_ABORTED) {
        t->out->rv = 1;
    } else if (!deployment_rolls(d)) {
        refuse(t, d);
    } else {
        rollout_end(t->m, deployment, ROLLOUT_ABORTED);
        cohort_mark_deployment(t->m, d);
        persist(t, PERSIST_DEPLOYMENT, deployment);
    }
}

/* Stage by stage once more, so that those that failed wait for their slots as they did before; but
 * not for what was waited for. Where it was over, those that failed stay where they are until then.
 */
static void begin_again(struct turn *t, uint32_t deployment, uint32_t before)
{
    struct deployment_row *d = &t->m->deployments[deployment];
    struct rollout *r = &d->rollout, old = *r;
    bool rolls = deployment_rolls(d);
    uint32_t passed = 2u * old.stage + (old.step != ROLLOUT_OPENING);
    if (passed < old.passed)
        passed = old.passed;
    flight_end(t->m, deployment);
    *r = (struct rollout){
        .state = ROLLOUT_RUNNING,
        .step = ROLLOUT_OPENING,
        .stable = rolls ? old.stable : before,
        .stable_bundle = rolls ? old.stable_bundle : d->history[0].bundle,
        .stable_values = rolls ? old.stable_values : d->history[0].values_at,
        .first = rolls ? old.first : before,
        .passed = (uint8_t)(rolls ? passed : 2 * d->plan.count),
        .back = rolls && old.back,
        .queued = old.queued,
        .let_in = old.let_in,
        .span_s = old.span_s,
        .since_s = t->ev->now_s,
    };
}

/* By its own word on the newest generation, also where no gate lets it in to that any more, and
 * while it waits for a try of its own; it may have no room for that word. */
static bool has_failed(const struct manager *m, uint32_t number, uint32_t deployment)
{
    const struct agent_row *row = manager_agent(m, number);
    const struct told *e = fleet_exception(m, row, deployment + 1);
    struct agent_deployment has;
    if (!agent_in_fleet(row) || !fleet_judge(m, number, deployment, &has))
        return false;
    if (!e)
        return row->flags & AGENT_TRUNCATED && has.state != STATE_READY;
    bool failed = e->state == STATE_FAILED || e->state == STATE_ROLLED_BACK;
    return e->generation == manager_generation(m, deployment) &&
           (failed || cause_is_failure(e->cause));
}

static bool some_are_overdue(struct turn *t, uint32_t deployment)
{
    struct survey s = survey_begin(t->m, deployment, t->ev->now_s, t->scratch);
    struct member m = {.overdue = false};
    while (!m.overdue && survey_next(&s, &m))
        ;
    arena_reset(t->scratch);
    return m.overdue;
}

static bool some_have_failed(struct turn *t, uint32_t deployment)
{
    for (uint32_t n = 1; n <= t->m->agent_count; n++)
        if (has_failed(t->m, n, deployment))
            return true;
    return t->m->deployments[deployment].plan.deadline_s > 0 && some_are_overdue(t, deployment);
}

static int check_retry(struct turn *t, uint32_t deployment)
{
    const struct deployment_row *d = &t->m->deployments[deployment];
    const char *version = t->m->bundles[d->history[0].bundle].version;
    if (d->rollout.state == ROLLOUT_ABORTED)
        return refuse(t, d);
    if (some_have_failed(t, deployment))
        return 0;
    if (d->rollout.state == ROLLOUT_STOPPED)
        return REFUSE(t, ERR_BUSY,
                      "nobody has failed by version %s of %s any more: there is nobody to retry, "
                      "and `dunlin rollout resume %s` has it go on",
                      version, d->name, d->name);
    return REFUSE(t, ERR_BUSY,
                  "nobody has failed by version %s of %s: there is nobody to retry, see `dunlin "
                  "rollout show %s`",
                  version, d->name, d->name);
}

/* The same bundle as a new generation: whoever runs it takes the number and does nothing else, and
 * whoever failed tries again. */
void steering_retry(struct turn *t, uint32_t deployment)
{
    struct deployment_row *d = &t->m->deployments[deployment];
    uint32_t before = manager_generation(t->m, deployment);
    if (check_retry(t, deployment) < 0)
        return;
    if (generation_renew(t, deployment) < 0)
        return;
    if (!deployment_rolls(d))
        budget_imply(t->m, &d->plan, d->selector);
    if (d->plan.count > 0)
        begin_again(t, deployment, before);
    cohort_mark_deployment(t->m, d);
    persist(t, PERSIST_DEPLOYMENT, deployment);
}

/* What failed so far is forgiven. */
void steering_resume(struct turn *t, uint32_t deployment)
{
    struct deployment_row *d = &t->m->deployments[deployment];
    assert(d->rollout.state == ROLLOUT_STOPPED);
    struct stage_count count = rollout_count(t, deployment);
    d->rollout.excused = count.failed;
    d->rollout.overdue = count.overdue;
    d->rollout.watched_s = t->ev->now_s;
    d->rollout.state = ROLLOUT_RUNNING;
    cohort_mark_deployment(t->m, d);
    persist(t, PERSIST_DEPLOYMENT, deployment);
}

void steering_go_on(struct turn *t, uint32_t deployment)
{
    const struct rollout *r = &t->m->deployments[deployment].rollout;
    struct flight *f = flight_find(t->m, deployment);
    if (f)
        flight_wind_back(f, r->reached[r->stage], t->ev->now_s);
}

/* ---- how fast it goes, and how much it bears ---- */

static bool says(const struct pace *p, enum pace_key key)
{
    return p->says >> key & 1;
}

/* What only the whole rollout has. */
static int check_keys_of_stage(struct turn *t, const struct pace *pace)
{
    size_t count;
    const struct plan_key *keys = plan_keys(PLAN_PACE, &count);
    for (size_t i = 0; i < count; i++)
        if ((pace->says & ~plan_pace_keys(0)) >> i & 1)
            return REFUSE(t, ERR_USAGE, "%s: is of the whole rollout: leave the stage out",
                          keys[i].name);
    return 0;
}

/* Of one stage that isn't over. */
static int check_stage_pace(struct turn *t, const struct deployment_row *d, const char *name,
                            int stage)
{
    if (stage < 0)
        return REFUSE(t, ERR_NOT_FOUND, "%s has no stage %.64s: see `dunlin rollout show %s`",
                      d->name, name, d->name);
    if (stage < d->rollout.stage)
        return REFUSE(t, ERR_BUSY, "the rollout of %s is in stage %s: %s is over", d->name,
                      d->plan.stages[d->rollout.stage].name, name);
    return check_keys_of_stage(t, t->ev->command->deployment.pace);
}

/* What would make no difference now is not what is meant. */
static int check_whole_pace(struct turn *t, const struct deployment_row *d)
{
    const struct pace *pace = t->ev->command->deployment.pace;
    const struct plan_stage *stage = &d->plan.stages[d->rollout.stage];
    bool begun = d->rollout.stage > 0 || d->rollout.step != ROLLOUT_OPENING;
    if (says(pace, PACE_CONCURRENCY))
        return REFUSE(t, ERR_USAGE, "concurrency: is of one stage: say which, like --stage %s",
                      stage->name);
    if (says(pace, PACE_RATE) && stage->rate.span_s > 0)
        return REFUSE(t, ERR_BUSY, "rate: stage %s has one of its own: say --stage %s", stage->name,
                      stage->name);
    if (says(pace, PACE_START) && begun)
        return REFUSE(t, ERR_BUSY, "start: the rollout of %s has begun", d->name);
    return 0;
}

static int check_pace(struct turn *t, const struct deployment_row *d, int stage)
{
    const struct command *c = t->ev->command;
    if (!deployment_rolls(d) || d->rollout.state == ROLLOUT_ABORTED)
        return refuse(t, d);
    if (d->plan.implied)
        return REFUSE(
            t, ERR_BUSY,
            "%s has no stages of its own: a budget has it go through one, at its own pace",
            d->name);
    if (d->rollout.back)
        return REFUSE(t, ERR_BUSY, "%s goes back, which waits for nothing but budgets", d->name);
    if (c->deployment.pace->says == 0)
        return REFUSE(t, ERR_USAGE,
                      "say what to set: start, rate, max_failed, concurrency, returning, quorum or "
                      "deadline");
    if (c->deployment.stage)
        return check_stage_pace(t, d, c->deployment.stage, stage);
    return check_whole_pace(t, d);
}

/* Whoever has said nothing yet has another deadline as a whole; and whether those that come back
 * ask is for their documents to say. */
static void apply_pace(struct turn *t, uint32_t deployment, const struct pace *pace)
{
    if (says(pace, PACE_DEADLINE))
        steering_go_on(t, deployment);
    if (says(pace, PACE_RETURNING))
        cohort_mark_deployment(t->m, &t->m->deployments[deployment]);
    persist(t, PERSIST_DEPLOYMENT, deployment);
}

/* It holds from the next look on, until another version begins its way (rollout_begin). */
void steering_pace(struct turn *t, uint32_t deployment)
{
    struct deployment_row *d = &t->m->deployments[deployment];
    const struct pace *pace = t->ev->command->deployment.pace;
    const char *name = t->ev->command->deployment.stage;
    int stage = name ? find_stage(&d->plan, name) : STAGES_MAX;
    if (check_pace(t, d, stage) < 0)
        return;
    t->out->rv = plan_set_pace(&d->plan, (uint32_t)stage, pace, &t->out->error);
    if (t->out->rv == 0)
        apply_pace(t, deployment, pace);
}
