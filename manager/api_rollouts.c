#include "base/date.h"
#include "base/duration.h"
#include "manager/api_budget.h"
#include "manager/api_json.h"
#include "manager/api_rollout.h"
#include "manager/api_routes.h"
#include "manager/common/plan_json.h"
#include "manager/core/plan_words.h"

#include <inttypes.h>
#include <stdio.h>

static request_finish finish_steering;
static void steer(struct request *r, enum command_type type);
static json_t *rollout_json(struct request *r, uint32_t index);
static json_t *whole_json(const struct manager *m, uint32_t index,
                          const struct deployment_counts *c);
static void add_returning(struct request *r, uint32_t index, json_t *json);
static json_t *staged_json(struct request *r, uint32_t index, uint32_t targets);
static json_t *stages_json(const struct deployment_row *d, enum rollout_hold hold,
                           const struct stage_count counts[static STAGES_MAX]);
static const char *stage_state(const struct deployment_row *d, uint32_t stage,
                               enum rollout_hold hold);
static json_t *hold_json(enum rollout_hold hold, uint64_t until_s, const char *sentence);
static json_t *queued_json(const struct manager *m, const struct deployment_row *d);

/* ---- routes ---- */

void api_rollouts_show(struct request *r)
{
    uint32_t index;
    if (api_find_deployment(r, &index))
        request_reply(r, MHD_HTTP_OK, rollout_json(r, index));
}

void api_rollouts_approve(struct request *r)
{
    const char *stage = "";
    const struct field field = {
        .name = "stage", .type = FIELD_TEXT, .required = true, .out.text = &stage};
    struct command command = {.type = COMMAND_APPROVE, .deployment.name = r->name};
    if (!request_fields(r, &field, 1))
        return;
    command.deployment.stage = stage;
    request_command(r, &command, finish_steering);
}

void api_rollouts_abort(struct request *r)
{
    steer(r, COMMAND_ABORT);
}

void api_rollouts_retry(struct request *r)
{
    steer(r, COMMAND_RETRY);
}

void api_rollouts_set(struct request *r)
{
    const json_t *value; /* their forms are the plan's to know */
    struct pace pace;
    struct errmsg em;
    struct command c = {.type = COMMAND_PACE, .deployment = {.name = r->name, .pace = &pace}};
    size_t count;
    const struct plan_key *keys = plan_keys(PLAN_PACE, &count);
    struct field fields[1 + PACE_KEY_COUNT] = {
        {.name = "stage", .type = FIELD_TEXT, .out.text = &c.deployment.stage}};
    for (size_t i = 0; i < count; i++)
        fields[1 + i] =
            (struct field){.name = keys[i].name, .type = FIELD_JSON, .out.json = &value};
    if (!request_fields(r, fields, 1 + count))
        return;
    int rv = pace_from_json(r->json, &pace, &em);
    if (rv < 0)
        request_reply_failure(r, rv, &em);
    else
        request_command(r, &c, finish_steering);
}

void api_rollouts_pause(struct request *r)
{
    steer(r, COMMAND_PAUSE);
}

void api_rollouts_resume(struct request *r)
{
    steer(r, COMMAND_RESUME);
}

void api_rollouts_rollback(struct request *r)
{
    struct command c = {.type = COMMAND_ROLLBACK, .deployment.name = r->name};
    if (api_read_rollback(r, &c))
        request_command(r, &c, finish_steering);
}

static void steer(struct request *r, enum command_type type)
{
    struct command command = {.type = type, .deployment.name = r->name};
    if (request_fields(r, NULL, 0))
        request_command(r, &command, finish_steering);
}

static void finish_steering(struct request *r, const struct manager_out *out)
{
    request_reply(r, MHD_HTTP_OK, rollout_json(r, out->index));
}

bool api_find_deployment(struct request *r, uint32_t *index)
{
    int64_t found = manager_find_deployment(daemon_core(r->daemon), r->name);
    if (found < 0)
        request_reply_error(r, MHD_HTTP_NOT_FOUND,
                            "there is no deployment %s: see `dunlin deployment list`", r->name);
    *index = found < 0 ? 0 : (uint32_t)found;
    return found >= 0;
}

/* ---- a rollout as JSON ---- */

static json_t *rollout_json(struct request *r, uint32_t index)
{
    const struct manager *m = daemon_core(r->daemon);
    const struct deployment_row *d = manager_deployment(m, index);
    const struct deployment_counts *counts = daemon_counts(r->daemon);
    if (!counts)
        return NULL;
    json_t *json = d->plan.count > 0 ? staged_json(r, index, counts[index].targets)
                                     : whole_json(m, index, &counts[index]);
    struct generation_row stable = deployment_stable(d);
    json_object_set_new(json, "values", api_json_values(m, index, &stable, &d->history[0]));
    json_object_set_new(json, "values_wait", json_boolean(manager_values_wait(m, index)));
    json_object_set_new(json, "start", api_json_time(d->plan.start_s));
    json_object_set_new(json, "set", paces_to_json(&d->plan));
    add_returning(r, index, json);
    return json;
}

/* Where agents ask: the plan limits how many of those that come back are at work at a time, or
 * budgets do. */
static void add_returning(struct request *r, uint32_t index, json_t *json)
{
    const struct manager *m = daemon_core(r->daemon);
    struct arena scratch = arena_on(r->tools->scratch, sizeof r->tools->scratch);
    struct returning_use use;
    bool limited = manager_deployment(m, index)->plan.returning.value > 0;
    if (!limited && !manager_budgets_on(m, index))
        return;
    manager_returning(m, index, &scratch, &use);
    json_object_set_new(json, "asking", json_integer((json_int_t)use.asking));
    if (limited)
        json_object_set_new(json, "returning", api_json_returning(&use));
}

/* Without a plan everybody gets the version at once: one stage. */
static json_t *whole_json(const struct manager *m, uint32_t index,
                          const struct deployment_counts *c)
{
    const struct deployment_row *d = manager_deployment(m, index);
    uint32_t pending = api_count_pending(c);
    const char *state = pending > 0 ? "running" : "done";
    json_t *stage =
        json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}", "name", "all", "state", state, "members",
                  (json_int_t)c->targets, "ready", (json_int_t)api_count_ready(c), "pending",
                  (json_int_t)pending, "failed", (json_int_t)api_count_failed(c));
    bool paused = (d->flags & RECORD_PAUSED) != 0;
    return json_pack("{s:s, s:s, s:n, s:n, s:b, s:s, s:b, s:b, s:n, s:n, s:I, s:n, s:s, s:[o]}",
                     "name", d->name, "version", api_deployment_bundle(m, index)->version, "from",
                     "budget", "implied", false, "state", paused && pending > 0 ? "paused" : state,
                     "paused", paused, "staged", false, "stage", "queued", "targets",
                     (json_int_t)c->targets, "waits_for", "next", "", "stages", stage);
}

/* The one that a budget (index + 1) is of, or NULL. */
static const char *budget_name(const struct manager *m, uint32_t budget)
{
    return budget ? manager_budget(m, budget - 1)->name : NULL;
}

/* Of all stages together. */
static struct stage_count sum_of(const struct stage_count counts[static STAGES_MAX],
                                 uint32_t stages)
{
    struct stage_count sum = {0};
    for (uint32_t i = 0; i < stages; i++) {
        sum.members += counts[i].members;
        sum.ready += counts[i].ready;
        sum.failed += counts[i].failed;
        sum.overdue += counts[i].overdue;
        sum.away += counts[i].away;
    }
    return sum;
}

static json_t *staged_json(struct request *r, uint32_t index, uint32_t targets)
{
    const struct manager *m = daemon_core(r->daemon);
    const struct deployment_row *d = manager_deployment(m, index);
    struct arena scratch = arena_on(r->tools->scratch, sizeof r->tools->scratch);
    struct stage_count counts[STAGES_MAX];
    char sentence[ROLLOUT_SENTENCE_MAX];
    uint64_t until_s, now_s = daemon_now_s(r->daemon);
    bool rolls = deployment_rolls(d);
    manager_survey(m, index, now_s, &scratch, counts);
    struct stage_count all = sum_of(counts, d->plan.count);
    const struct stage_count *count = rolls ? &counts[d->rollout.stage] : &all;
    enum rollout_hold hold = manager_rollout_hold(m, index, now_s, count, &until_s);
    api_rollout_sentence(m, index, now_s, count, sentence);
    const char *from =
        rolls && d->rollout.stable ? manager_bundle(m, d->rollout.stable_bundle)->version : NULL;
    return json_pack(
        "{s:s, s:s, s:s?, s:s?, s:b, s:s, s:b, s:b, s:s?, s:o, s:I, s:o, s:s, s:o}", "name",
        d->name, "version", api_deployment_bundle(m, index)->version, "from", from, "budget",
        budget_name(m, manager_budget_holding(m, index)), "implied", d->plan.implied, "state",
        api_rollout_state(d, hold), "paused", (d->flags & RECORD_PAUSED) != 0, "staged", true,
        "stage", rolls ? d->plan.stages[d->rollout.stage].name : NULL, "queued", queued_json(m, d),
        "targets", (json_int_t)targets, "waits_for", hold_json(hold, until_s, sentence), "next",
        sentence, "stages", stages_json(d, hold, counts));
}

/* As the plan says them, each with its state and counts. */
static json_t *stages_json(const struct deployment_row *d, enum rollout_hold hold,
                           const struct stage_count counts[static STAGES_MAX])
{
    json_t *plan = plan_to_json(&d->plan);
    json_t *list = json_incref(json_object_get(plan, "stages")), *stage;
    size_t i;
    json_decref(plan);
    json_array_foreach(list, i, stage)
    {
        const struct stage_count *c = &counts[i];
        const struct {
            const char *name;
            uint32_t value;
        } fields[] = {
            {"members", c->members},     {"ready", c->ready},
            {"failed", c->failed},       {"pending", c->members - c->ready - c->failed},
            {"in_flight", c->in_flight}, {"returning", c->returning},
            {"waiting", c->waiting},     {"away", c->away},
            {"stuck", c->stuck},         {"overdue", c->overdue},
            {"asking", c->asking},
        };
        json_object_set_new(stage, "state", json_string(stage_state(d, (uint32_t)i, hold)));
        json_object_set_new(stage, "expected", json_boolean(c->expected));
        for (size_t k = 0; k < sizeof fields / sizeof fields[0]; k++)
            json_object_set_new(stage, fields[k].name, json_integer(fields[k].value));
    }
    return list;
}

static const char *stage_state(const struct deployment_row *d, uint32_t stage,
                               enum rollout_hold hold)
{
    static const char *const states[HOLD_COUNT] = {
        [HOLD_NONE] = "running",   [HOLD_PAUSED] = "waits", [HOLD_OPERATOR] = "stopped",
        [HOLD_APPROVAL] = "waits", [HOLD_TIME] = "waits",   [HOLD_SLOT] = "waits",
        [HOLD_AGENTS] = "running", [HOLD_REACH] = "waits",  [HOLD_BUDGET] = "waits",
        [HOLD_RATE] = "waits",
    };
    if (!deployment_rolls(d) || stage < d->rollout.stage)
        return "done";
    return stage > d->rollout.stage ? "pending" : states[hold];
}

static json_t *hold_json(enum rollout_hold hold, uint64_t until_s, const char *sentence)
{
    static const char *const names[HOLD_COUNT] = {
        [HOLD_PAUSED] = "resume", [HOLD_OPERATOR] = "operator", [HOLD_APPROVAL] = "approval",
        [HOLD_TIME] = "time",     [HOLD_SLOT] = "rollouts",     [HOLD_AGENTS] = "agents",
        [HOLD_REACH] = "reach",   [HOLD_BUDGET] = "budget",     [HOLD_RATE] = "rate",
    };
    if (hold == HOLD_NONE)
        return json_null();
    return json_pack("{s:s, s:o, s:s}", "what", names[hold], "until", api_json_time(until_s),
                     "text", sentence);
}

static json_t *queued_json(const struct manager *m, const struct deployment_row *d)
{
    uint32_t queued = d->rollout.queued;
    return queued ? json_string(manager_bundle(m, queued - 1)->version) : json_null();
}

void api_json_add_rollout(json_t *json, const struct manager *m, uint32_t deployment,
                          uint64_t now_s)
{
    const struct deployment_row *d = manager_deployment(m, deployment);
    uint64_t until_s;
    enum rollout_hold hold = manager_rollout_hold(m, deployment, now_s, NULL, &until_s);
    const char *stage = deployment_rolls(d) ? d->plan.stages[d->rollout.stage].name : NULL;
    json_object_set_new(json, "rollout_state",
                        d->plan.count > 0 ? json_string(api_rollout_state(d, hold)) : json_null());
    json_object_set_new(json, "stage", stage ? json_string(stage) : json_null());
    if (hold == HOLD_BUDGET)
        json_object_set_new(json, "budget",
                            json_string(budget_name(m, manager_budget_holding(m, deployment))));
}

/* ---- in words ---- */

const char *api_rollout_state(const struct deployment_row *d, enum rollout_hold hold)
{
    static const char *const states[HOLD_COUNT] = {
        [HOLD_NONE] = "running",     [HOLD_PAUSED] = "paused", [HOLD_OPERATOR] = "stopped",
        [HOLD_APPROVAL] = "waiting", [HOLD_TIME] = "waiting",  [HOLD_SLOT] = "waiting",
        [HOLD_AGENTS] = "running",   [HOLD_REACH] = "waiting", [HOLD_BUDGET] = "waiting",
        [HOLD_RATE] = "waiting",
    };
    if (!deployment_rolls(d))
        return "done";
    return d->rollout.state == ROLLOUT_ABORTED ? "aborted" : states[hold];
}

/* One rollout that a sentence is about. */
struct telling {
    const struct manager *m;
    const struct deployment_row *d;
    const struct plan_stage *stage;
    const struct stage_count *count; /* of all stages once it is over; NULL: it is not known */
    const char *version;
    uint64_t left_s; /* of a wait */
    uint64_t now_s;
    uint32_t budget; /* index + 1 of the one that holds it; 0: none */
    bool opening;
    char *out;
};

#define TELL(t, ...) snprintf((t)->out, ROLLOUT_SENTENCE_MAX, __VA_ARGS__)

struct overdue_text {
    char text[48];
};

/* ", 2 of them overdue", or nothing. */
static struct overdue_text overdue_words(const struct stage_count *c)
{
    struct overdue_text t = {.text = ""};
    if (c->overdue > 0)
        snprintf(t.text, sizeof t.text, ", %" PRIu32 " of them overdue", c->overdue);
    return t;
}

static void tell_progress(const struct telling *t)
{
    static const struct stage_count none;
    const struct stage_count *c = t->count ? t->count : &none;
    const char *away = c->away > 0 ? "; who is away gets it on coming back" : "";
    uint32_t left = c->members - c->ready - c->failed - c->away;
    char reach[64] = "";
    if (left > 0)
        snprintf(reach, sizeof reach, "; %" PRIu32 " in reach %s yet to run it", left,
                 left == 1 ? "has" : "have");
    if (deployment_rolls(t->d))
        TELL(t, "stage %s goes on", t->stage->name);
    else if (t->d->flags & RECORD_PAUSED)
        TELL(t, "the rollout of version %s is over, and %s is paused: dunlin rollout resume %s",
             t->version, t->d->name, t->d->name);
    else if (c->failed > 0)
        TELL(t,
             "the rollout of version %s is over%s%s; %" PRIu32 " of %" PRIu32
             " agents failed%s: dunlin rollout retry %s",
             t->version, reach, away, c->failed, c->members, overdue_words(c).text, t->d->name);
    else
        TELL(t, "the rollout of version %s is over%s%s", t->version, reach, away);
}

static void tell_paused(const struct telling *t)
{
    TELL(t, "paused in stage %s: dunlin rollout resume %s", t->stage->name, t->d->name);
}

void api_rate_held(const struct deployment_row *d, uint64_t now_s, uint64_t until_s,
                   char out[static RATE_HELD_MAX])
{
    char rate[RATE_TEXT_MAX];
    rate_text(plan_rate(&d->plan, d->rollout.stage), rate);
    snprintf(out, RATE_HELD_MAX, "held by rate %s until %s, in %s", rate, date_text(until_s).text,
             duration_write(until_s > now_s ? until_s - now_s : 0).text);
}

static void tell_operator(const struct telling *t)
{
    const char *name = t->d->name;
    if (t->d->rollout.state == ROLLOUT_ABORTED)
        TELL(t,
             "aborted in stage %s: who has version %s keeps it, nobody else gets it; "
             "`dunlin rollout rollback %s` takes it back",
             t->stage->name, t->version, name);
    else if (t->count)
        TELL(t,
             "stage %s is stopped, %" PRIu32 " of %" PRIu32 " agents failed%s, and %" PRIu32
             " may: dunlin rollout retry %s, or resume, abort or rollback",
             t->stage->name, t->count->failed, t->count->members, overdue_words(t->count).text,
             plan_may_fail(&t->d->plan, t->d->rollout.stage, t->d->rollout.most), name);
    else
        TELL(t,
             "stage %s is stopped, too many agents failed: dunlin rollout retry %s, or resume, "
             "abort or rollback",
             t->stage->name, name);
}

static void tell_approval(const struct telling *t)
{
    bool starts = t->opening && t->d->plan.start_s > t->now_s;
    TELL(t, "stage %s %swaits for approval%s%s: dunlin rollout approve %s %s", t->stage->name,
         t->opening ? "" : "is done and ", starts ? ", and begins no sooner than " : "",
         starts ? date_text(t->d->plan.start_s).text : "", t->d->name, t->stage->name);
}

static void tell_time(const struct telling *t)
{
    if (t->opening && t->d->plan.start_s == t->now_s + t->left_s)
        TELL(t, "stage %s begins at %s, in %s", t->stage->name, date_text(t->d->plan.start_s).text,
             duration_write(t->left_s).text);
    else
        TELL(t, "stage %s %s in %s", t->stage->name, t->opening ? "begins" : "is over",
             duration_write(t->left_s).text);
}

static void tell_slot(const struct telling *t)
{
    TELL(t, "stage %s waits for other rollouts: %d are on their way, as many as may be",
         t->stage->name, ROLLOUTS_MAX);
}

static void tell_agents(const struct telling *t)
{
    uint32_t at_work = t->count->in_flight + t->count->returning;
    uint32_t to_come = t->count->waiting + t->count->asking;
    const char *budget = budget_name(t->m, t->budget);
    char held[RATE_HELD_MAX] = "";
    uint64_t rate_s = t->count->waiting > 0 ? manager_rate_until_s(t->d, t->now_s) : 0;
    bool rate = !budget && rate_s;
    if (rate)
        api_rate_held(t->d, t->now_s, rate_s, held);
    TELL(t,
         "stage %s goes on: %" PRIu32 " of %" PRIu32 " ready, %" PRIu32 " at work, %" PRIu32
         " to come%s%s",
         t->stage->name, t->count->ready, t->count->members, at_work, to_come,
         budget ? " as budget lets them: "
         : rate ? ", "
                : "",
         budget ? budget : held);
}

static void tell_budget(const struct telling *t)
{
    char sentence[BUDGET_SENTENCE_MAX];
    api_budget_sentence(t->m, t->budget - 1, t->now_s, sentence);
    TELL(t, "stage %s waits for %s", t->stage->name, sentence);
}

static void tell_rate(const struct telling *t)
{
    char held[RATE_HELD_MAX];
    api_rate_held(t->d, t->now_s, t->now_s + t->left_s, held);
    TELL(t, "stage %s is %s", t->stage->name, held);
}

static const char *why_none_is_ready(const struct stage_count *c)
{
    if (c && c->failed > 0)
        return ", and some failed";
    if (c && c->stuck > 0)
        return ", and those in reach depend on what doesn't come";
    return c ? ", and none is in reach" : "";
}

static void tell_reach(const struct telling *t)
{
    char left[64] = "";
    if (t->left_s > 0)
        snprintf(left, sizeof left, ", for another %s", duration_write(t->left_s).text);
    TELL(t,
         "stage %s waits for its first agent that is ready%s%s: `dunlin rollout approve %s %s` "
         "goes on without%s",
         t->stage->name, why_none_is_ready(t->count), left, t->d->name, t->stage->name,
         t->left_s > 0 ? " at once" : "");
}

void api_rollout_sentence(const struct manager *m, uint32_t deployment, uint64_t now_s,
                          const struct stage_count *count, char out[static ROLLOUT_SENTENCE_MAX])
{
    static void (*const tellers[HOLD_COUNT])(const struct telling *) = {
        [HOLD_NONE] = tell_progress,     [HOLD_PAUSED] = tell_paused,
        [HOLD_OPERATOR] = tell_operator, [HOLD_APPROVAL] = tell_approval,
        [HOLD_TIME] = tell_time,         [HOLD_SLOT] = tell_slot,
        [HOLD_AGENTS] = tell_agents,     [HOLD_REACH] = tell_reach,
        [HOLD_BUDGET] = tell_budget,     [HOLD_RATE] = tell_rate,
    };
    const struct deployment_row *d = manager_deployment(m, deployment);
    uint64_t until_s;
    enum rollout_hold hold = manager_rollout_hold(m, deployment, now_s, count, &until_s);
    tellers[hold](&(struct telling){
        .m = m,
        .d = d,
        .stage = &d->plan.stages[d->rollout.stage],
        .count = count,
        .version = api_deployment_bundle(m, deployment)->version,
        .left_s = until_s > now_s ? until_s - now_s : 0,
        .now_s = now_s,
        .budget = manager_budget_holding(m, deployment),
        .opening = d->rollout.step == ROLLOUT_OPENING,
        .out = out,
    });
}
