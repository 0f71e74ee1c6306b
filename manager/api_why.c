#include "manager/core/why.h"

#include "base/date.h"
#include "base/duration.h"
#include "manager/api_budget.h"
#include "manager/api_json.h"
#include "manager/api_rollout.h"
#include "manager/api_routes.h"

#include <inttypes.h>
#include <stdio.h>

/* Room for a term of a selector with all of its values, and words around it. */
#define TEXT_MAX (SELECTOR_TEXT_MAX + ROLLOUT_SENTENCE_MAX + 512)

/* One answer in the making. */
struct telling {
    const struct manager *m;
    const struct deployment_row *d;
    const struct why *why;
    uint64_t now_s;
    const char *wanted, *running; /* versions; "": none, or not known */
    bool spoke;                   /* the device left words on its cause: */
    struct kept_note note;
    struct facts facts; /* what it has told of itself */
    char text[TEXT_MAX];
    size_t len;
};

typedef void teller(struct telling *t);

static teller tell_revoked, tell_removed, tell_unapproved, tell_quarantined, tell_cut_off,
    tell_not_named, tell_crowded, tell_not_selected, tell_tainted, tell_not_picked, tell_failed,
    tell_rolled_back, tell_offline, tell_stale, tell_applying, tell_verifying, tell_cordoned,
    tell_paused, tell_aborted, tell_stopped, tell_late, tell_held, tell_dependency, tell_stuck,
    tell_disk, tell_no_content, tell_no_value, tell_downloading, tell_modified, tell_not_heard,
    tell_not_told, tell_queued, tell_window, tell_clock, tell_retrying, tell_budget, tell_rate,
    tell_returning, tell_ready;
static json_t *why_json(const struct telling *t);
static void tell_overdue(struct telling *t);

/* The names are what --json has: scripts rely on them. */
static const struct {
    const char *name;
    teller *tell;
    bool holds; /* an operator or the rollout, whether it is in reach or not */
} reasons[WHY_COUNT] = {
    [WHY_REVOKED] = {"revoked", tell_revoked, false},
    [WHY_REMOVED] = {"removed", tell_removed, false},
    [WHY_UNAPPROVED] = {"waiting-for-approval", tell_unapproved, false},
    [WHY_QUARANTINED] = {"quarantined", tell_quarantined, false},
    [WHY_CUT_OFF] = {"cut-off", tell_cut_off, false},
    [WHY_NOT_NAMED] = {"not-named", tell_not_named, false},
    [WHY_CROWDED] = {"crowded", tell_crowded, false},
    [WHY_NOT_SELECTED] = {"not-selected", tell_not_selected, false},
    [WHY_TAINTED] = {"tainted", tell_tainted, false},
    [WHY_NOT_PICKED] = {"not-picked", tell_not_picked, false},
    [WHY_FAILED] = {"failed", tell_failed, false},
    [WHY_ROLLED_BACK] = {"rolled-back", tell_rolled_back, false},
    [WHY_OFFLINE] = {"offline", tell_offline, false},
    [WHY_STALE] = {"stale", tell_stale, false},
    [WHY_APPLYING] = {"applying", tell_applying, false},
    [WHY_VERIFYING] = {"verifying", tell_verifying, false},
    [WHY_CORDONED] = {"cordoned", tell_cordoned, true},
    [WHY_PAUSED] = {"paused", tell_paused, true},
    [WHY_ABORTED] = {"rollout-aborted", tell_aborted, true},
    [WHY_STOPPED] = {"rollout-stopped", tell_stopped, true},
    [WHY_LATE] = {"joined-late", tell_late, true},
    [WHY_HELD] = {"held-by-stage", tell_held, true},
    [WHY_BUDGET] = {"budget", tell_budget, true},
    [WHY_RATE] = {"rate", tell_rate, true},
    [WHY_AFTER] = {"dependency", tell_dependency, true},
    [WHY_STUCK] = {"dependency-stuck", tell_stuck, true},
    [WHY_WINDOW] = {"window", tell_window, true},
    [WHY_CLOCK] = {"clock", tell_clock, true},
    [WHY_RETURNING] = {"returning", tell_returning, true},
    [WHY_RETRYING] = {"retrying", tell_retrying, false},
    [WHY_DISK] = {"disk", tell_disk, false},
    [WHY_NO_CONTENT] = {"no-content", tell_no_content, false},
    [WHY_NO_VALUE] = {"no-value", tell_no_value, false},
    [WHY_DOWNLOADING] = {"downloading", tell_downloading, false},
    [WHY_MODIFIED] = {"modified", tell_modified, false},
    [WHY_NOT_HEARD] = {"not-heard", tell_not_heard, false},
    [WHY_NOT_TOLD] = {"not-told", tell_not_told, false},
    [WHY_QUEUED] = {"queued", tell_queued, false},
    [WHY_READY] = {"ready", tell_ready, false},
};

void api_agents_why(struct request *r)
{
    const struct manager *m = daemon_core(r->daemon);
    uint32_t number = api_find_any_agent(r);
    int64_t deployment = number ? manager_find_deployment(m, r->object) : -1;
    if (!number)
        return;
    if (deployment < 0) {
        request_reply_error(r, MHD_HTTP_NOT_FOUND,
                            "there is no deployment %s: see `dunlin deployment list`", r->object);
        return;
    }
    struct arena scratch = arena_on(r->tools->scratch, sizeof r->tools->scratch);
    struct why why;
    uint32_t index = (uint32_t)deployment;
    manager_why(m, number, index, daemon_now_s(r->daemon), &scratch, &why);
    struct telling t = {.m = m,
                        .d = manager_deployment(m, index),
                        .why = &why,
                        .now_s = daemon_now_s(r->daemon),
                        .wanted = manager_generation_version(m, index, why.wanted),
                        .running = manager_generation_version(m, index, why.running)};
    t.spoke = why.cause != CAUSE_NONE &&
              api_note(r->daemon, number, index, why.wanted, why.cause, &t.note);
    if (t.d->roster.facts[0])
        ledger_facts(daemon_ledger(r->daemon), number, &t.facts, NULL); /* or it has told none */
    reasons[why.reason].tell(&t);
    if (why.overdue)
        tell_overdue(&t);
    request_reply(r, MHD_HTTP_OK, why_json(&t));
}

static const char *newest(const struct telling *t)
{
    return api_deployment_bundle(t->m, t->why->deployment)->version;
}

static json_t *version_json(const char *version)
{
    return *version ? json_string(version) : json_null();
}

/* That is the reason, or would be if the agent were in reach. */
static bool is_told(const struct why *w, enum why_reason reason)
{
    return w->reason == reason || w->then == reason;
}

static json_t *why_json(const struct telling *t)
{
    const struct why *w = t->why;
    bool held = is_told(w, WHY_HELD) || is_told(w, WHY_BUDGET) || is_told(w, WHY_RATE);
    const char *stage = held && w->stage < STAGES_MAX ? t->d->plan.stages[w->stage].name : NULL;
    json_t *json = json_pack(
        "{s:I, s:s, s:s, s:o, s:s?, s:s, s:o, s:o, s:s?, s:s?, s:o, s:b}", "number",
        (json_int_t)w->number, "deployment", t->d->name, "reason", reasons[w->reason].name, "text",
        api_json_text(t->text), "then", w->then < WHY_COUNT ? reasons[w->then].name : NULL,
        "version", newest(t), "target", version_json(t->wanted), "running",
        version_json(t->running), "cause", w->cause ? cause_text(w->cause) : NULL, "stage", stage,
        "last_seen", api_json_time(w->heard_s), "overdue", w->overdue);
    if (is_told(w, WHY_BUDGET))
        json_object_set_new(json, "budget", json_string(manager_budget(t->m, w->budget)->name));
    if (is_told(w, WHY_RATE))
        json_object_set_new(json, "until", api_json_time(w->until_s));
    if (is_told(w, WHY_RETURNING) && t->d->plan.returning.value > 0)
        json_object_set_new(json, "returning", api_json_returning(&w->returning));
    if (t->spoke)
        json_object_set_new(json, "output", api_json_note(&t->note));
    return json;
}

/* ---- in words ---- */

#define TELL(t, ...)                                                                               \
    do {                                                                                           \
        int n = snprintf((t)->text + (t)->len, TEXT_MAX - (t)->len, __VA_ARGS__);                  \
        (t)->len += n > 0 && (size_t)n < TEXT_MAX - (t)->len ? (size_t)n : 0;                      \
    } while (0)

/* "5m ago": the largest unit says enough. */
static struct duration_text since(const struct telling *t, uint64_t then_s)
{
    static const uint64_t units[] = {2 * 86400, 86400, 7200, 3600, 120, 60};
    uint64_t past_s = t->now_s > then_s ? t->now_s - then_s : 0;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i += 2)
        if (past_s >= units[i])
            return duration_write(past_s - past_s % units[i + 1]);
    return duration_write(past_s);
}

static void tell_running(struct telling *t)
{
    if (t->why->running == 0)
        TELL(t, "; it runs none");
    else if (*t->running)
        TELL(t, "; it runs version %s", t->running);
    else
        TELL(t, "; it runs an older version");
}

static void tell_revoked(struct telling *t)
{
    TELL(t,
         "it is revoked, and shut out for good; a device can take its place: dunlin agent "
         "replace %" PRIu32,
         t->why->number);
}

static void tell_removed(struct telling *t)
{
    TELL(t, "it was taken out of the fleet: it keeps what it runs and gets nothing new");
}

static void tell_unapproved(struct telling *t)
{
    TELL(t, "it waits to be let in: dunlin agent approve %" PRIu32, t->why->number);
}

static void tell_quarantined(struct telling *t)
{
    TELL(t,
         "it is quarantined, since two devices reported as it; find out which one is right, then "
         "dunlin agent release, revoke or replace %" PRIu32,
         t->why->number);
}

static void tell_cut_off(struct telling *t)
{
    TELL(t,
         "it said far more than an agent may, and is cut off until %s; look for what is wrong with "
         "the device, then dunlin agent release %" PRIu32 " lets it in at once",
         date_text(manager_cut_off(t->m, t->why->number).until_s).text, t->why->number);
}

/* ---- what it is not meant for ---- */

/* The first term that doesn't hold, and what it has told instead. */
static void tell_fact(struct telling *t, struct span term)
{
    struct span key = fact_filter_key(term);
    const struct fact *f = fact_find(&t->facts, key);
    if (f)
        TELL(t, "it tells of itself that %s is \"%s\"", f->key, f->value);
    else
        TELL(t, "it tells nothing of itself under %.*s", (int)key.len, (const char *)key.data);
    TELL(t, ", and the deployment asks for %.*s", (int)term.len, (const char *)term.data);
}

static void tell_not_named(struct telling *t)
{
    struct span term = SPAN_NONE;
    if (t->d->roster.facts[0] && fact_filter_misses(t->d->roster.facts, &t->facts, &term))
        tell_fact(t, term);
    else if (t->d->roster.facts[0])
        TELL(t, "by what it told of itself it fits (%s), and it is about to be told",
             t->d->roster.facts);
    else
        TELL(t, "the deployment is for %" PRIu32 " agent%s, and this is none of them",
             t->d->roster.named_count, t->d->roster.named_count == 1 ? "" : "s");
}

static void tell_choices(struct telling *t, const struct selector *s,
                         const struct selector_term *term, const char *one, const char *several)
{
    TELL(t, "%s", term->count == 1 ? one : several);
    for (uint32_t i = 0; i < term->count; i++)
        TELL(t, "%s%.*s", i ? "," : "", (int)s->values[term->first + i].len,
             (const char *)s->values[term->first + i].data);
    TELL(t, "%s", term->count == 1 ? "" : ")");
}

static void tell_term(struct telling *t, const struct selector *s, const struct selector_term *term)
{
    static const char *const before[] = {
        [SELECTOR_NOT_EXISTS] = "!", [SELECTOR_GROUP] = "@", [SELECTOR_NOT_GROUP] = "!@"};
    bool marked = term->operator<= SELECTOR_NOT_GROUP && before[term->operator];
    TELL(t, "%s%.*s",
         marked ? before[term->operator] : "", (int)term->key.len, (const char *)term->key.data);
    if (term->operator== SELECTOR_IN)
        tell_choices(t, s, term, "=", " in (");
    else if (term->operator== SELECTOR_NOT_IN)
        tell_choices(t, s, term, "!=", " notin (");
    else if (term->operator== SELECTOR_MORE || term->operator== SELECTOR_LESS)
        TELL(t, "%c%" PRId64, term->operator== SELECTOR_MORE ? '>' : '<', term->number);
}

static void tell_excluded(struct telling *t, const struct selector *s)
{
    TELL(t, "the selector leaves it out: except ");
    for (uint32_t i = t->why->miss.term; i < s->ends[t->why->miss.alternative]; i++) {
        TELL(t, "%s", i > t->why->miss.term ? "," : "");
        tell_term(t, s, &s->terms[i]);
    }
}

/* What there is in place of what the term wants. */
static void tell_instead(struct telling *t, const struct selector_term *term)
{
    const struct agent_row *row = manager_agent(t->m, t->why->number);
    const char *key = (const char *)term->key.data;
    struct span value;
    if (term->operator== SELECTOR_GROUP)
        TELL(t, "it is not of group %.*s", (int)term->key.len, key);
    else if (term->operator== SELECTOR_NOT_GROUP)
        TELL(t, "it is of group %.*s", (int)term->key.len, key);
    else if (labels_get(&manager_cohort(t->m, row->cohort)->labels, term->key, &value))
        TELL(t, "its label %.*s is \"%.*s\"", (int)term->key.len, key, (int)value.len,
             (const char *)value.data);
    else
        TELL(t, "its labels have no %.*s", (int)term->key.len, key);
}

static void tell_missed(struct telling *t, const struct selector *s)
{
    const struct selector_term *term = &s->terms[t->why->miss.term];
    tell_instead(t, term);
    TELL(t, ", and the selector asks for ");
    tell_term(t, s, term);
    if (s->choosing > 1)
        TELL(t, ", or for one of its other alternatives");
}

static void tell_remnant(struct telling *t)
{
    if (t->why->running != 0)
        TELL(t, "; version %s is still on it, and is removed", t->running);
}

static void tell_not_selected(struct telling *t)
{
    struct selector selector = {.count = 0};
    if (selector_parse(&selector, span_text(t->d->selector), NULL) < 0)
        return;
    if (t->why->miss.alternative >= selector.choosing)
        tell_excluded(t, &selector);
    else
        tell_missed(t, &selector);
    tell_remnant(t);
}

static void tell_tainted(struct telling *t)
{
    char taint[TAINT_TEXT_MAX];
    taint_text(&t->why->taint, taint);
    TELL(t, "it has the taint %s, which the deployment doesn't tolerate", taint);
    tell_remnant(t);
}

/* Who is in stays, also where another one would be better by now. */
static void tell_outranked(struct telling *t)
{
    const char *sort = t->d->roster.sort;
    struct span key = fact_order_key(sort);
    char pick[PICK_TEXT_MAX];
    pick_text(&t->d->pick, pick);
    TELL(t, "the deployment picks %s, those with the %s %.*s first, and others are in", pick,
         sort[0] == '-' ? "largest" : "smallest", (int)key.len, (const char *)key.data);
    if (t->why->unsorted)
        TELL(t, "; it has told no number as that, so it comes last");
}

static void tell_not_picked(struct telling *t)
{
    if (t->d->roster.sort[0]) {
        tell_outranked(t);
        tell_remnant(t);
        return;
    }
    if (t->why->unlabelled)
        TELL(t, "the deployment picks by the label %s, and it has none: dunlin agent label %u %s=…",
             t->d->pick.by, t->why->number, t->d->pick.by);
    else if (t->why->ungrouped)
        TELL(t,
             "its value of the label %s is beyond those that a pick tells apart (%d; of all picks "
             "together, %d): select fewer agents, or pick by another label",
             t->d->pick.by, GROUPS_MAX, GROUPS_ALL_MAX);
    else
        TELL(t,
             "the selector matches it, but the deployment picks only some, and others are picked: "
             "dunlin deployment show %s",
             t->d->name);
    tell_remnant(t);
}

static void tell_crowded(struct telling *t)
{
    TELL(t,
         "agents with its labels have %d older deployments, the most they take: remove some, or "
         "change what they select",
         RECORDS_MAX);
}

/* ---- what failed ---- */

static void tell_what_failed(struct telling *t)
{
    TELL(t, "version %s failed there: %s", t->wanted, cause_text(t->why->cause));
}

static void tell_remedy(struct telling *t)
{
    bool hook = t->why->cause >= CAUSE_PRE_APPLY && t->why->cause <= CAUSE_REMOVE;
    if (hook && !t->spoke)
        TELL(t, ". What the hook said shows `dunlin-agent status` on the device");
    TELL(t, ". It isn't tried again by itself any more: deploy another version%s%s",
         deployment_rolls(t->d) ? ", or dunlin rollout retry " : "",
         deployment_rolls(t->d) ? t->d->name : "");
}

static void tell_failed(struct telling *t)
{
    tell_what_failed(t);
    TELL(t, "; there is no version before to go back to");
    tell_remedy(t);
}

static void tell_rolled_back(struct telling *t)
{
    tell_what_failed(t);
    tell_running(t);
    TELL(t, " again");
    tell_remedy(t);
}

/* ---- what its link or its news are in the way of ---- */

static void tell_then(struct telling *t)
{
    if (t->why->then == WHY_READY) {
        TELL(t, "it runs version %s, and all was well", newest(t));
    } else if (reasons[t->why->then].holds) {
        TELL(t, "version %s does not come to it even then, since ", newest(t));
        reasons[t->why->then].tell(t);
    } else {
        TELL(t, "it goes on with version %s then", t->wanted);
    }
}

static void tell_offline(struct telling *t)
{
    if (t->why->heard_s == 0)
        TELL(t, "it is offline: it joined, and has not reported yet; ");
    else
        TELL(t, "it is offline, heard of last %s ago; ", since(t, t->why->heard_s).text);
    tell_then(t);
}

static void tell_stale(struct telling *t)
{
    TELL(t, "it is online, but no newer document reaches it and what it holds has expired: look at "
            "its broker, and at its clock; ");
    tell_then(t);
}

/* ---- what holds it ---- */

static void tell_cordoned(struct telling *t)
{
    TELL(t, "it is cordoned, and takes nothing new: dunlin agent uncordon %" PRIu32,
         t->why->number);
    tell_running(t);
}

static void tell_paused(struct telling *t)
{
    TELL(t, "the deployment is paused: dunlin deployment resume %s", t->d->name);
    tell_running(t);
}

/* Where it runs the version already. */
static void tell_values(struct telling *t)
{
    const char *names[VARIABLES_NEEDED_MAX];
    struct generation_row stable = deployment_stable(t->d);
    bool same = stable.generation && stable.bundle == t->d->history[0].bundle;
    uint32_t count =
        same ? manager_values_changed(t->m, t->why->deployment, &stable, &t->d->history[0], names)
             : 0;
    for (uint32_t i = 0; i < count; i++)
        TELL(t, "%s%s", i ? ", " : "; what comes is another value of ", names[i]);
}

static void tell_aborted(struct telling *t)
{
    TELL(t, "the rollout of version %s was aborted before it came to it", newest(t));
    tell_values(t);
    tell_running(t);
}

static void tell_rollout(struct telling *t)
{
    char sentence[ROLLOUT_SENTENCE_MAX];
    api_rollout_sentence(t->m, t->why->deployment, t->now_s,
                         t->why->count.members ? &t->why->count : NULL, sentence);
    TELL(t, "%s", sentence);
    tell_values(t);
}

static void tell_stopped(struct telling *t)
{
    TELL(t, "it has not begun version %s, and nobody else does: ", newest(t));
    tell_rollout(t);
    tell_running(t);
}

static void tell_late(struct telling *t)
{
    TELL(t,
         "it joined when the rollout of version %s had begun, and gets it when the others have "
         "it; ",
         newest(t));
    tell_rollout(t);
}

static void tell_turn(struct telling *t)
{
    TELL(t, "it waits for its turn in stage %s of the rollout of version %s",
         t->d->plan.stages[t->why->stage].name, newest(t));
}

static void tell_held(struct telling *t)
{
    uint32_t now = t->d->rollout.stage, own = t->why->stage;
    if (own == STAGES_MAX)
        TELL(t, "the rollout of version %s has not come to it: a later stage takes a share",
             newest(t));
    else if (own != now)
        TELL(t,
             "the rollout of version %s has not come to it: it is of stage %s, which comes "
             "after stage %s",
             newest(t), t->d->plan.stages[own].name, t->d->plan.stages[now].name);
    else
        tell_turn(t);
    TELL(t, "; ");
    tell_rollout(t);
}

static void tell_budget(struct telling *t)
{
    char sentence[BUDGET_SENTENCE_MAX];
    api_budget_sentence(t->m, t->why->budget, t->now_s, sentence);
    if (t->why->asks) {
        TELL(t, "version %s waits for room in %s", t->wanted, sentence);
        tell_running(t);
        return;
    }
    tell_turn(t);
    TELL(t, ", and that for %s", sentence);
    tell_values(t);
}

static void tell_rate(struct telling *t)
{
    char held[RATE_HELD_MAX];
    api_rate_held(t->d, t->now_s, t->why->until_s, held);
    tell_turn(t);
    TELL(t, ", %s", held);
    tell_values(t);
}

/* ---- what its rules are in the way of ---- */

static void tell_other(struct telling *t)
{
    const struct agent_deployment *other = &t->why->other;
    const char *name = manager_deployment(t->m, other->deployment)->name;
    TELL(t, "version %s depends on deployment %s, which is ", t->wanted, name);
    if (t->why->other_there)
        TELL(t, "%s there", deployment_state_name(other->state));
    else
        TELL(t, "not for this agent");
}

static void tell_dependency(struct telling *t)
{
    tell_other(t);
    TELL(t, ", and begins when that is Ready: dunlin why %" PRIu32 " %s", t->why->number,
         manager_deployment(t->m, t->why->other.deployment)->name);
    tell_running(t);
}

static void tell_stuck(struct telling *t)
{
    tell_other(t);
    if (t->why->other_there)
        TELL(t, ": dunlin why %" PRIu32 " %s", t->why->number,
             manager_deployment(t->m, t->why->other.deployment)->name);
    else
        TELL(t, ": place that on it too, or change what %s depends on", t->d->name);
    tell_running(t);
}

/* Its own clock is the device's to know: only with a fixed offset is the moment known here. */
static void tell_window(struct telling *t)
{
    const struct schedule *s = t->why->window;
    struct window window;
    char zone[ZONE_TEXT_MAX];
    schedule_zone_text(s, zone);
    TELL(t, "version %s waits for its window, \"%s\" for %s by %s", t->wanted, s->cron,
         duration_write(s->length_s).text, s->zoned ? zone : "the device's own clock");
    if (s->zoned && schedule_compile(s, &window, NULL) == 0) {
        uint64_t opens_s = window_opens_s(&window, t->now_s, 0);
        TELL(t, ": it opens at %s, in %s", date_text(opens_s).text,
             duration_write((opens_s - t->now_s + 59) / 60 * 60).text);
    }
    tell_running(t);
}

static void tell_clock(struct telling *t)
{
    TELL(t,
         "version %s waits for a window, and the device doesn't know the time: its calendar is "
         "behind; set its clock",
         t->wanted);
    tell_running(t);
}

static void tell_returning(struct telling *t)
{
    const struct returning_use *use = &t->why->returning;
    bool limited = t->d->plan.returning.value > 0;
    TELL(t, "%s; version %s ",
         limited ? "it comes back behind an open gate" : "no gate of a rollout brings it there",
         t->wanted);
    if (t->why->permitted)
        TELL(t, "may begin there, and it has not said yet that it knows");
    else if (!limited)
        TELL(t, "may begin there any moment: budgets have room for it");
    else if (use->places == 1)
        TELL(t, "waits for the one place for those that come back; %" PRIu32 " %s", use->asking,
             use->asking == 1 ? "waits" : "wait");
    else
        TELL(t, "waits for one of the %" PRIu32 " places for those that come back; %" PRIu32 " %s",
             use->places, use->asking, use->asking == 1 ? "waits" : "wait");
    tell_running(t);
}

static void tell_retrying(struct telling *t)
{
    tell_what_failed(t);
    TELL(t, "; it is tried again by itself");
    tell_running(t);
}

/* ---- what it is at ---- */

static void tell_disk(struct telling *t)
{
    TELL(t, "version %s waits, and is tried again: its disk is full or fails", t->wanted);
    tell_running(t);
}

static void tell_no_content(struct telling *t)
{
    TELL(t,
         "version %s does not come to it: its broker has not sent all of it; it is asked for "
         "again",
         t->wanted);
    tell_running(t);
}

static void tell_no_value(struct telling *t)
{
    const char *name = manager_missing(t->m, t->why->number, t->why->deployment);
    if (name)
        TELL(t,
             "version %s waits: variable %s, which it needs, has no value for this agent: dunlin "
             "variable set %s=VALUE --agent %" PRIu32,
             t->wanted, name, name, t->why->number);
    else
        TELL(t,
             "version %s waits: a variable had no value when this agent said so last, or all "
             "values together are more than fit into its document",
             t->wanted);
    tell_running(t);
}

static void tell_at_work(struct telling *t, const char *what)
{
    TELL(t, "it is %s version %s, as it said %s ago", what, t->wanted,
         since(t, t->why->heard_s).text);
    tell_running(t);
}

static void tell_applying(struct telling *t)
{
    tell_at_work(t, "applying");
}

static void tell_verifying(struct telling *t)
{
    tell_at_work(t, "checking the health of");
}

static void tell_downloading(struct telling *t)
{
    tell_at_work(t, "fetching");
}

static void tell_modified(struct telling *t)
{
    TELL(t, "what it runs of version %s was changed on the device", t->wanted);
}

static void tell_not_heard(struct telling *t)
{
    TELL(t, "what it is to run changed %s ago, and it has not said yet that it knows",
         since(t, t->why->since_s).text);
    if (t->why->running) /* of another label set it has said nothing yet, and may run any */
        tell_running(t);
}

static void tell_not_told(struct telling *t)
{
    TELL(t,
         "it has more to tell than one report holds, and of this nothing yet: dunlin agent show "
         "%" PRIu32,
         t->why->number);
}

static void tell_queued(struct telling *t)
{
    TELL(t, "it knows of version %s, and has other work to do first", t->wanted);
    if (t->why->other_there) {
        const struct deployment_row *other = manager_deployment(t->m, t->why->other.deployment);
        TELL(t, ": deployment %s is %s", other->name, deployment_state_name(t->why->other.state));
        if (t->why->outranked)
            TELL(t, ", with priority %" PRIu32 " over %" PRIu32, other->priority, t->d->priority);
    }
    tell_running(t);
}

static void tell_overdue(struct telling *t)
{
    TELL(t, ". It takes longer than the %s it has, and counts as failed until it is ready",
         duration_write(t->d->plan.deadline_s).text);
}

static void tell_ready(struct telling *t)
{
    TELL(t, "it runs version %s, and all is well, as it said %s ago", newest(t),
         since(t, t->why->heard_s).text);
}
