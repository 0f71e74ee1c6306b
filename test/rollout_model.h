/*
 * rollout_model: the manager's core with agents that are a few lines each: they take what the
 * newest document of their cohort says, work on it for a while, and tell how it went. They come,
 * go, fail and are taken out; a checker that keeps its own books looks at the fleet after every
 * second. It knows nothing of bytes, links and hooks.
 */
#ifndef DUNLIN_TEST_ROLLOUT_MODEL_H
#define DUNLIN_TEST_ROLLOUT_MODEL_H

#include "base/bits.h"
#include "base/rng.h"
#include "base/siphash.h"
#include "manager/core/state.h"
#include "simulator/world/rows.h"
#include "test/counts.h"
#include "test/plans.h"
#include "test/suite.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define AGENTS_MAX 240
#define COHORTS 4
#define BUNDLES 8

struct model {
    struct key_id id;
    uint32_t number;
    uint32_t joined_as; /* cohort's token batch */
    bool gone;
    bool online;
    uint64_t away_since_s;
    uint64_t hears_s; /* when it takes the newest document */
    struct revision document;
    uint32_t wanted, running; /* generations */
    uint32_t held;            /* the one that it is to run, and an operator keeps it from; or 0 */
    struct digest has;        /* the bundle of what it wants */
    uint8_t state;            /* enum deployment_state */
    uint8_t cause;            /* enum cause */
    uint64_t busy_until_s;
    uint32_t seq, boot;
    bool cordoned;
    bool broken;        /* every new version fails here */
    uint8_t rule;       /* enum cause: a rule keeps it from beginning */
    uint32_t busy_s;    /* what it does takes so much longer */
    unsigned works;     /* how often it began to */
    uint32_t aimed;     /* the generation that it is to run, as it heard last; */
    uint32_t met;       /* and that it was in touch for when it was let in; */
    struct record seen; /* by this; all zero: there was none; */
    uint32_t seen_in;   /* as that number of its document had it */
    uint32_t permit;    /* the generation that its newest assignment lets it begin, */
    uint64_t permit_s;  /* which it has from then on */
    bool listed;        /* its newest assignment lists the deployment */
    bool reserved;      /* it takes only what that lists */
    bool deaf;          /* it takes no document, and says that it has the one before */
    uint32_t failures;
    uint64_t again_s; /* what failed is tried once more then */

    /* the checker's: */
    struct target admitted; /* what a gate let it in for */
    uint32_t stage;         /* in which stage; and it was of that stage when that began, */
    bool slot;              /* and reachable, and has been ever since */
    uint64_t let_in_s;
    bool comes;         /* it came back, and is at work with a permit, and in reach */
    uint64_t granted_s; /* which it was given then */
    uint32_t told;      /* the generation that it spoke of last; */
    bool worked;        /* it is in reach since, and what it is at is of its own doing; */
    uint32_t had_s;     /* so much time it has had for it */
    bool silent;        /* in reach ever since it was let in, and has said nothing of it; */
    bool mute;          /* for too long */
    bool charged;  /* it is out of Ready since it was let in, and has been in reach ever since */
    bool loose;    /* since then it was kept from it by what nobody could tell the end of */
    bool stranded; /* it failed with nothing to go back to, and isn't Ready yet */
    bool picked;   /* it is one of those that are to run it */
};

/* What a rollout did, second by second, as one number; and what it cost. */
struct story {
    uint64_t hash;
    uint64_t seconds;
    uint64_t walked; /* agents passed by */
};

/* What operators said, as the checker noted it down: of each stage two thresholds, its beginning
 * and its end, as bits. */
struct books {
    uint32_t generation; /* which this is about */
    uint32_t approved;
    uint32_t earned;    /* an earlier try of the same version has gone past them */
    uint64_t stopped_s; /* since then nobody may begin; 0: they may */
};

struct fleet {
    struct manager *m;
    uint64_t scratch[MANAGER_SCRATCH_MAX / sizeof(uint64_t)];
    struct manager_out out;
    struct rng rng;
    uint64_t now_s;
    uint32_t count;
    struct model agents[AGENTS_MAX + 1]; /* by number */
    struct desired documents[COHORTS];
    uint32_t versions;
    uint32_t enrolled;  /* agents when the newest version was deployed */
    bool admits;        /* slots were taken in this second */
    uint64_t moved_s;   /* somebody was let in last */
    bool comes;         /* in this second somebody began with a permit */
    uint32_t charges;   /* in this second somebody was who is under these budgets */
    bool restarted;     /* who had come back by itself counts since, */
    uint64_t started_s; /* and what was said meanwhile is not known at once */
    uint64_t told_s;    /* documents were made last: budgets are counted behind them */
    bool moves;        /* agents come to other stages: only budgets are checked, and that it ends */
    bool always_look;  /* at every rollout, whether it has heard anything or not */
    struct rows *disk; /* what outlives the manager; NULL: it lives on */
    bool kills;        /* it dies between two steps now and then */
    uint64_t span_s;   /* the rate's span began, by the manager's word; */
    uint32_t let_in;   /* agents that came in since, by the checker's */
    uint32_t places;   /* for those that come back, as long as they have permits from then */
    uint32_t picks;    /* so many are to run it; 0: all */
    struct roster roster; /* those, by name; none: whom the manager picks */
    const char *selector; /* NULL: it is for all */
    struct books books;
    struct story *story;
    char why[200]; /* the first rule that was broken */
};

static const struct manager_limits limits = {
    .agents = AGENTS_MAX, .cohorts = COHORTS, .deployments = 4, .bundles = BUNDLES, .batches = 4};
static const char *const labels[COHORTS] = {"env=staging", "env=canary", "env=prod,zone=a",
                                            "env=prod,zone=b"};

static inline void step(struct fleet *f, struct manager_event *ev);
static inline void restart(struct fleet *f);
static inline void move(struct fleet *f, struct model *a, bool to_other_cohort);

/* ---- the fleet ---- */

static inline struct manager *new_core(uint32_t epoch)
{
    struct manager_options options = {.limits = limits,
                                      .epoch = epoch,
                                      .cohort_secret = {{7}},
                                      .document_life_s = 86400 * 7,
                                      .policy = POLICY_DEFAULT};
    options.policy.heartbeat_s = 20;
    return manager_init(calloc(1, manager_size(&limits)), &options);
}

/* What an event has left to be done; a manager that dies amid that does it when it is back. */
static inline void go_on(struct fleet *f)
{
    while (f->out.more) {
        if (f->kills && rng_below(&f->rng, 50) == 0) {
            restart(f);
            return;
        }
        step(f, &(struct manager_event){.type = MANAGER_CONTINUE});
    }
}

static inline int run(struct fleet *f, const struct command *c)
{
    step(f, &(struct manager_event){.type = MANAGER_COMMAND, .command = c});
    int rv = f->out.rv;
    go_on(f);
    return rv;
}

static inline void say(struct fleet *f, struct model *a, unsigned flags)
{
    struct report r = {.type = MESSAGE_STATUS};
    r.status = (struct status){.number = a->number,
                               .seq = ++a->seq,
                               .boot = a->boot,
                               .document = a->document,
                               .assignment = manager_agent(f->m, a->number)->assigned,
                               .flags = (uint8_t)flags};
    bool counts = a->state == STATE_APPLYING || a->cause == CAUSE_HEALTH;
    a->silent &= revision_compare(manager_agent(f->m, a->number)->document, a->document) == 0;
    uint32_t generation = a->held ? a->held : a->wanted;
    a->mute &= a->told == generation;
    a->had_s = a->told == generation ? a->had_s : 0;
    a->told = generation;
    a->worked = generation && counts && !a->held;
    if (generation) {
        r.status.count = 1;
        r.status.exceptions[0] = (struct exception){.deployment = 1,
                                                    .generation = generation,
                                                    .running = a->running,
                                                    .state = a->held ? STATE_PAUSED : a->state,
                                                    .cause = a->held ? CAUSE_NONE : a->cause};
    }
    struct manager_event ev = {.type = MANAGER_REPORT};
    ev.report.topic = a->id;
    ev.report.report = &r;
    step(f, &ev);
}

static inline struct model *join(struct fleet *f, uint32_t batch)
{
    struct model *a = &f->agents[f->count + 1];
    *a = (struct model){.joined_as = batch, .boot = 1 + f->count, .online = true};
    for (int i = 0; i < KEY_ID_LEN; i++)
        a->id.bytes[i] = (uint8_t)rng_next(&f->rng);
    struct manager_event ev = {.type = MANAGER_JOIN};
    ev.join.batch = batch;
    ev.join.index = f->count;
    ev.join.id = a->id;
    step(f, &ev);
    CU_ASSERT_EQUAL_FATAL(f->out.joined, JOINED_ACCEPTED);
    a->number = f->out.number;
    f->count++;
    a->hears_s = f->now_s + 1;
    move(f, a, true);
    say(f, a, STATUS_HELLO);
    return a;
}

static inline int push(struct fleet *f, const char *version)
{
    struct command c = {.type = COMMAND_BUNDLE_ADD};
    c.bundle.digest.bytes[0] = (uint8_t)++f->versions;
    snprintf(c.bundle.name, sizeof c.bundle.name, "app");
    snprintf(c.bundle.version, sizeof c.bundle.version, "%s", version);
    return run(f, &c);
}

static inline int deploy_as(struct fleet *f, const char *name, const char *version,
                            const struct plan *plan)
{
    const struct pick pick = {.amount = {f->picks, false}};
    struct command c = {.type = COMMAND_DEPLOY};
    c.deploy.name = name;
    c.deploy.bundle = "app";
    c.deploy.version = version;
    c.deploy.selector = f->selector ? f->selector : "";
    c.deploy.all = f->roster.named_count == 0 && !f->selector;
    c.deploy.salt = 4711;
    c.deploy.plan = plan;
    c.deploy.pick = f->picks && f->roster.named_count == 0 ? &pick : NULL;
    c.deploy.roster = f->roster.named_count > 0 ? &f->roster : NULL;
    uint32_t known = manager_deployment_count(f->m),
             before = known ? manager_generation(f->m, 0) : 0;
    int rv = run(f, &c);
    if (manager_deployment_count(f->m) > 0 && manager_generation(f->m, 0) != before)
        f->enrolled = f->count;
    return rv;
}

static inline int deploy(struct fleet *f, const char *version, const struct plan *plan)
{
    return deploy_as(f, "app", version, plan);
}

/* Whoever has said nothing yet has its time once more. */
static inline void wind_back(struct fleet *f)
{
    for (uint32_t n = 1; n <= f->count; n++)
        f->agents[n].let_in_s = f->now_s;
}

static inline struct fleet *fleet_new(uint64_t seed, const uint32_t sizes[static COHORTS])
{
    struct fleet *f = calloc(1, sizeof *f);
    f->rng.state = seed;
    f->now_s = 1700000000;
    f->m = new_core(1);
    f->disk = rows_new(&limits);
    for (int i = 0; i < COHORTS; i++) {
        struct command c = {.type = COMMAND_TOKEN_CREATE};
        c.token.count = AGENTS_MAX;
        c.token.uses = 1;
        c.token.expires_s = f->now_s + 86400 * 365;
        c.token.labels = labels[i];
        CU_ASSERT_EQUAL_FATAL(run(f, &c), 0);
    }
    for (uint32_t i = 0; i < COHORTS; i++)
        for (uint32_t k = 0; k < sizes[i]; k++)
            join(f, i);
    push(f, "1");
    push(f, "2");
    push(f, "3");
    return f;
}

static inline void fleet_free(struct fleet *f)
{
    free(f->m);
    if (f->disk)
        rows_free(f->disk);
    free(f);
}

static const struct rollout *rollout_of(const struct fleet *f)
{
    return &manager_deployment(f->m, 0)->rollout;
}

static const struct plan *plan_of(const struct fleet *f)
{
    return &manager_deployment(f->m, 0)->plan;
}

/* ---- the checker ---- */

static inline void broken(struct fleet *f, const char *rule, unsigned x, unsigned y)
{
    if (!f->why[0])
        snprintf(f->why, sizeof f->why, "second %u: %s (%u, %u)", (unsigned)(f->now_s - 1700000000),
                 rule, x, y);
}

static inline bool is_reachable(const struct fleet *f, const struct model *a)
{
    return a->online || a->away_since_s + plan_of(f)->reachable_within_s > f->now_s;
}

/* As budgets see it: longer, or shorter, than the rollout's own patience. */
static inline bool is_near(const struct fleet *f, const struct model *a)
{
    return a->online || a->away_since_s + BUDGET_REACH_S > f->now_s;
}

static inline bool at_an_end(const struct model *a, uint32_t generation)
{
    return a->wanted == generation &&
           (a->state == STATE_READY || a->state == STATE_ROLLED_BACK || a->state == STATE_FAILED);
}

/* What a record has it run; of one with a list, or where it is tainted, only if its assignment says
 * that it is on it. */
static inline struct target target_of(const struct model *a, const struct record *r)
{
    bool passed_by = !r || ((r->flags & RECORD_LISTED || a->reserved) && !a->listed);
    return passed_by ? (struct target){0} : record_target(r, a->number);
}

/* The deployment is for it, as its cohort's document and its own assignment say. */
static inline bool is_meant(const struct fleet *f, const struct model *a)
{
    const struct desired *d = &f->documents[manager_agent(f->m, a->number)->cohort];
    const struct record *r = d->count ? &d->records[0] : NULL;
    return r && (a->listed || !(r->flags & RECORD_LISTED || a->reserved)) &&
           gate_passes(&r->gate, gate_hash(r->salt, r->deployment, a->number), a->number);
}

/* It has only a number to take. */
static inline bool runs_bundle(const struct model *a, const struct digest *bundle)
{
    return a->state == STATE_READY && a->running == a->wanted && digest_equal(&a->has, bundle);
}

/* It failed, and has nothing to go back to, also while it is to try once more. */
static inline bool has_nothing(const struct model *a)
{
    return a->stranded && (a->state == STATE_FAILED || a->state == STATE_PENDING);
}

/* Of Ready: who has nothing to go back to, or was let in and is not through. */
static inline bool is_out(const struct fleet *f, const struct model *a)
{
    bool counts = !a->gone && !a->cordoned && is_near(f, a);
    return counts && (a->charged || (has_nothing(a) && is_meant(f, a)));
}

/* It has heard all there is, and has nothing to do, or but a number to take. What it isn't asked
 * for any more it doesn't try again. */
static inline bool is_at_rest(const struct fleet *f, const struct model *a)
{
    const struct desired *d = &f->documents[manager_agent(f->m, a->number)->cohort];
    const struct record *r = d->count ? &d->records[0] : NULL;
    struct target target = target_of(a, r);
    bool aborted = r && r->flags & RECORD_ABORTED && target.generation == r->next.generation;
    bool withdrawn = target.generation < a->wanted && !has_nothing(a);
    bool idle =
        a->state != STATE_APPLYING && (a->state != STATE_PENDING || !a->wanted || withdrawn);
    return revision_compare(a->document, d->revision) == 0 && idle &&
           (target.generation <= a->wanted || aborted || runs_bundle(a, &target.bundle));
}

static inline bool is_under(const struct fleet *f, uint32_t budget, const struct model *a)
{
    const struct cohort *c = manager_cohort(f->m, manager_agent(f->m, a->number)->cohort);
    struct selector selector;
    selector_parse(&selector, span_text(manager_budget(f->m, budget)->selector), NULL);
    return !a->gone && !a->cordoned && selector_matches(&selector, &c->labels);
}

static inline uint32_t budgets_of(const struct fleet *f, const struct model *a)
{
    uint32_t budgets = 0;
    for (uint32_t b = 0; b < manager_budget_count(f->m); b++)
        budgets |= (uint32_t)is_under(f, b, a) << b;
    return budgets;
}

/* Who joined later comes in behind all others. */
static inline uint32_t enrolled_before(const struct fleet *f, uint32_t cohort)
{
    uint16_t stages =
        survey_stages(f->m, manager_deployment(f->m, 0), &manager_cohort(f->m, cohort)->labels);
    for (uint32_t i = 0; stages >> i; i++)
        if (stages >> i & 1)
            return rollout_of(f)->enrolled_before[i];
    return 0; /* it goes by no stages */
}

/* An earlier try of what is rolled out has brought it, or had let it in: nothing else tells the
 * manager that it has only a number to take, before it says so. */
static inline bool has_since_a_try(const struct fleet *f, const struct model *a,
                                   const struct target *target)
{
    uint32_t first = rollout_of(f)->first;
    return runs_bundle(a, &target->bundle) &&
           (a->running >= first || a->admitted.generation >= first);
}

/* A span is as long as the rate says, before the next one begins. */
static inline void note_span(struct fleet *f)
{
    const struct rollout *r = rollout_of(f);
    if (r->span_s == f->span_s)
        return;
    if (f->span_s && r->span_s < f->span_s + plan_rate(plan_of(f), r->stage)->span_s)
        broken(f, "a span of its rate is too short", r->stage, (unsigned)(r->span_s - f->span_s));
    f->span_s = r->span_s;
    f->let_in = 0;
}

/* From a span's beginning to its end, however often the manager died. */
static inline void note_rate(struct fleet *f, uint32_t let_in)
{
    const struct rollout *r = rollout_of(f);
    const struct rate *rate = plan_rate(plan_of(f), r->stage);
    uint32_t most = rate->agents.percent ? amount_of(rate->agents, r->most) : rate->agents.value;
    if (!rate->span_s || r->back || let_in == 0 || f->moves)
        return;
    f->let_in += let_in;
    if (f->let_in > most)
        broken(f, "more let in within a span than its rate allows", f->let_in, most);
    if (f->let_in > r->let_in || f->now_s >= r->span_s + rate->span_s)
        broken(f, "let in, and not counted", f->let_in, r->let_in);
}

/* It stood before a gate, which has moved past it: that is no way to come to what labels, groups
 * and placements bring. */
static inline bool was_next_in_line(const struct model *a, const struct record *old,
                                    const struct record *r)
{
    uint32_t before = old->next_gate.enrolled_before ? old->next_gate.enrolled_before
                                                     : r->next_gate.enrolled_before;
    bool same = old->rules.order == r->rules.order && old->next.generation == r->next.generation;
    bool for_it = gate_passes(&old->gate, gate_hash(r->salt, 1, a->number), a->number) &&
                  (a->listed || !(old->flags & RECORD_LISTED || a->reserved));
    return same && for_it && !a->cordoned && before != UINT32_MAX && a->number < before &&
           target_of(a, r).generation == r->next.generation;
}

/* Under a budget it may have been brought there otherwise than by a gate. */
static inline bool is_brought(const struct model *a, const struct record *old,
                              const struct record *r)
{
    return r->rules.order > 0 && !was_next_in_line(a, old, r);
}

/* Who is let in by this document, and was not by the one before. */
static inline void note_admissions(struct fleet *f, uint32_t cohort, const struct record *old)
{
    const struct desired *d = &f->documents[cohort];
    bool known = manager_deployment_count(f->m) > 0;
    uint32_t newest = known ? manager_generation(f->m, 0) : 0, let_in = 0;
    if (known)
        note_span(f);
    for (uint32_t n = 1; n <= f->count; n++) {
        struct model *a = &f->agents[n];
        if (a->gone || manager_agent(f->m, n)->cohort != cohort || d->count == 0)
            continue;
        struct target target = target_of(a, &d->records[0]);
        if (target.generation != newest && f->moves)
            a->admitted = (struct target){0}; /* that gate is closed to it again */
        if (target.generation != newest || a->admitted.generation == newest)
            continue;
        bool late = n > f->enrolled; /* it comes in behind the others */
        bool has = has_since_a_try(f, a, &target) || at_an_end(a, newest);
        a->admitted = target;
        f->moved_s = f->now_s;
        a->stage = rollout_of(f)->stage;
        a->let_in_s = f->now_s;
        bool brought = is_brought(a, old, &d->records[0]);
        a->slot = !runs_bundle(a, &target.bundle) && !late && !a->cordoned && is_reachable(f, a) &&
                  d->records[0].next.generation == newest && !brought;
        a->silent = a->slot;
        a->mute &= !a->slot;
        f->admits |= a->slot;
        let_in += a->slot;
        bool early = f->now_s < plan_of(f)->start_s && !rollout_of(f)->back;
        if (early && d->records[0].next.generation == newest)
            broken(f, "somebody is let in before the rollout starts", n, a->stage);
        bool comes = !has && n < enrolled_before(f, cohort) && !a->cordoned && is_near(f, a) &&
                     d->records[0].next.generation == newest && !brought;
        f->charges |= comes && !is_out(f, a) ? budgets_of(f, a) : 0;
        a->charged |= comes;
    }
    if (known)
        note_rate(f, let_in);
}

/* It has said nothing yet of what it was let in for. */
static inline bool is_silent(const struct fleet *f, const struct model *a)
{
    return a->told != manager_generation(f->m, 0);
}

/* What it waits for doesn't come by itself. */
static inline bool is_stuck(const struct model *a)
{
    return a->cause == CAUSE_STUCK || a->cause == CAUSE_CLOCK || a->cause == CAUSE_VARIABLE;
}

/* It was let in for the newest version, as it says, and has had its time. */
static inline bool is_late(const struct fleet *f, const struct model *a)
{
    uint32_t deadline_s = plan_of(f)->deadline_s;
    bool open = !a->gone && !a->cordoned;
    bool at_work = a->state == STATE_APPLYING || a->state == STATE_PENDING;
    return deadline_s > 0 && open && !is_silent(f, a) && at_work && a->had_s >= deadline_s;
}

/* The one that it was let in with. What is tried again may share its agents out otherwise: who
 * still works at an earlier try is of the stage that its turn is in. */
static inline uint32_t stage_of_slot(const struct fleet *f, const struct model *a)
{
    const struct deployment_row *d = manager_deployment(f->m, 0);
    const struct cohort *c = manager_cohort(f->m, manager_agent(f->m, a->number)->cohort);
    if (a->admitted.generation == manager_generation(f->m, 0))
        return a->stage;
    return survey_stand(d, survey_stages(f->m, d, &c->labels), gate_hash(d->salt, 1, a->number),
                        a->number)
        .stage;
}

/* Those at work in the present stage. Whoever has had its time holds no slot. */
static inline uint32_t slots_taken(const struct fleet *f)
{
    uint32_t count = 0;
    for (uint32_t n = 1; n <= f->count; n++)
        count += f->agents[n].slot && stage_of_slot(f, &f->agents[n]) == rollout_of(f)->stage;
    return count;
}

static inline bool is_through(const struct fleet *f, const struct model *a)
{
    if (at_an_end(a, a->admitted.generation) || runs_bundle(a, &a->admitted.bundle))
        return true;
    /* Asked again before it began: it knows by now that it is to wait. */
    bool knows =
        revision_compare(a->document,
                         f->documents[manager_agent(f->m, a->number)->cohort].revision) == 0;
    bool asked = a->admitted.generation == manager_generation(f->m, 0);
    return !asked && knows && a->state != STATE_APPLYING;
}

/* Another version is rolled out by now. */
static inline bool is_overtaken(const struct fleet *f, const struct model *a)
{
    const struct deployment_row *d = manager_deployment(f->m, 0);
    return !digest_equal(&a->admitted.bundle, &manager_bundle(f->m, d->history[0].bundle)->digest);
}

static inline void free_slots(struct fleet *f)
{
    if (manager_deployment_count(f->m) == 0)
        return;
    for (uint32_t n = 1; n <= f->count; n++) {
        struct model *a = &f->agents[n];
        bool asked = a->admitted.generation == manager_generation(f->m, 0);
        a->silent &= !a->gone && a->online && asked && is_silent(f, a);
        bool mute = asked && is_silent(f, a) && plan_of(f)->deadline_s > 0 &&
                    f->now_s >= a->let_in_s + plan_of(f)->deadline_s;
        a->slot &= !a->gone && is_reachable(f, a) && !is_through(f, a) && !is_overtaken(f, a) &&
                   !is_stuck(a) && !is_late(f, a) && !mute;
    }
}

static inline void free_budgets(struct fleet *f)
{
    for (uint32_t n = 1; n <= f->count; n++) {
        struct model *a = &f->agents[n];
        const struct desired *d = &f->documents[manager_agent(f->m, n)->cohort];
        bool knows = revision_compare(a->document, d->revision) == 0;
        bool asks = a->cause == CAUSE_RETURNING && !a->permit && knows && a->met != a->aimed;
        bool idle = a->state == STATE_PENDING && a->wanted == a->aimed && (is_stuck(a) || asks) &&
                    !has_nothing(a);
        a->loose |= a->charged && idle && is_stuck(a);
        a->charged &= !a->gone && is_near(f, a) && is_meant(f, a) && !is_at_rest(f, a) && !idle;
    }
}

static inline uint32_t count_out(const struct fleet *f, uint32_t budget, uint32_t *max)
{
    uint32_t members = 0, out = 0;
    for (uint32_t n = 1; n <= f->count; n++) {
        bool under = is_under(f, budget, &f->agents[n]);
        members += under;
        out += under && is_out(f, &f->agents[n]);
    }
    *max = amount_of(manager_budget(f->m, budget)->max, members);
    return out;
}

/* Whatever brought it there, who begins is counted: a gate let it in, or it has a permit. */
static inline void check_counted(struct fleet *f, const struct model *a, const struct record *r)
{
    if (r->rules.order > 0 && !is_out(f, a) && !a->loose && !a->cordoned)
        broken(f, "somebody begins beside its budgets", a->number, a->wanted);
}

/* Nobody is let in where more would be out than may be. */
static inline void check_budgets(struct fleet *f)
{
    for (uint32_t b = 0; b < manager_budget_count(f->m); b++) {
        uint32_t max, out = count_out(f, b, &max);
        if (f->charges >> b & 1 && out > max)
            broken(f, "more out of Ready than a budget allows", out, max);
    }
}

/* The one whose turn it is, of those that wait, is under a budget that is used up. */
static inline bool is_held_by_budget(struct fleet *f)
{
    struct arena scratch = arena_on((uint8_t *)f->scratch, sizeof f->scratch);
    struct survey s = survey_begin(f->m, 0, f->now_s, &scratch);
    struct member m;
    uint64_t first = UINT64_MAX;
    const struct model *next = NULL;
    while (survey_next(&s, &m)) {
        bool waits = m.stage == rollout_of(f)->stage && !m.admitted && !m.has && m.hash < first;
        const struct model *a = &f->agents[m.number];
        if (waits && ((m.reachable && !m.in_flight) || (is_near(f, a) && !is_out(f, a)))) {
            first = m.hash;
            next = a;
        }
    }
    bool waits =
        f->told_s == f->now_s || rollout_of(f)->since_s == f->now_s || f->now_s < f->moved_s + 80;
    if (manager_budget_count(f->m) > 0 && (waits || f->restarted))
        return true;
    for (uint32_t b = 0; next && !is_out(f, next) && b < manager_budget_count(f->m); b++) {
        uint32_t max, out = count_out(f, b, &max);
        if (is_under(f, b, next) && out >= max)
            return true;
    }
    return false;
}

/* Those that wait to take a number need no slot for it. */
static inline uint32_t count_having(struct fleet *f, const struct rollout *r)
{
    struct arena scratch = arena_on((uint8_t *)f->scratch, sizeof f->scratch);
    struct survey s = survey_begin(f->m, 0, f->now_s, &scratch);
    struct member m;
    uint32_t count = 0;
    while (survey_next(&s, &m))
        count += m.stage == r->stage && m.has && m.reachable && !m.admitted;
    return count;
}

/* More than an eighth of those of the stage that are in reach have an older document than the
 * newest one: it is worth waiting for more. */
static inline bool many_are_behind(struct fleet *f)
{
    struct arena scratch = arena_on((uint8_t *)f->scratch, sizeof f->scratch);
    struct survey s = survey_begin(f->m, 0, f->now_s, &scratch);
    struct member m;
    uint32_t reachable = 0, behind = 0;
    while (survey_next(&s, &m)) {
        const struct model *a = &f->agents[m.number];
        const struct desired *d = &f->documents[manager_agent(f->m, m.number)->cohort];
        bool counts = m.stage == rollout_of(f)->stage && is_reachable(f, a);
        reachable += counts;
        behind += counts && revision_compare(a->document, d->revision) < 0;
    }
    return behind * 8 > reachable;
}

/* In one walk; asked for one agent, in turn, it is the same. */
static inline void find_overdue(struct fleet *f, bool overdue[static AGENTS_MAX + 1])
{
    struct arena scratch = arena_on((uint8_t *)f->scratch, sizeof f->scratch);
    struct survey s = survey_begin(f->m, 0, f->now_s, &scratch);
    struct member m;
    while (survey_next(&s, &m))
        overdue[m.number] = m.overdue;
    uint32_t one = 1 + (uint32_t)(f->now_s % f->count);
    if (survey_is_overdue(f->m, one, 0, f->now_s) != overdue[one])
        broken(f, "asked for alone, it is otherwise", one, overdue[one]);
}

/* Who has had its time counts as failed to the second, whatever became of its stage; who is silent
 * a sixteenth of it later. After a start, those of whom nothing was known then. */
static inline void check_deadlines(struct fleet *f)
{
    uint32_t deadline_s = plan_of(f)->deadline_s;
    uint64_t surely_s = deadline_s * UINT64_C(17) / 16 + 2;
    bool paused = manager_deployment(f->m, 0)->flags & RECORD_PAUSED ||
                  rollout_of(f)->state != ROLLOUT_RUNNING;
    bool overdue[AGENTS_MAX + 1] = {false};
    find_overdue(f, overdue);
    for (uint32_t n = 1; n <= f->count && deadline_s > 0; n++) {
        struct model *a = &f->agents[n];
        bool late = is_late(f, a), said = overdue[n];
        bool here = rollout_of(f)->step == ROLLOUT_ADMITTING && a->stage == rollout_of(f)->stage;
        if (is_silent(f, a)) {
            bool early = !a->mute && f->now_s < a->let_in_s + deadline_s;
            bool due = a->silent && here && !paused && f->now_s >= a->let_in_s + surely_s;
            a->mute |= said;
            if ((said && early) || (!said && due))
                broken(f, "silent, and not in time counted as failed", n, said);
        } else if (late != said && (said || f->now_s > f->started_s + 6)) {
            broken(f, "its time is not what it was given", n, a->had_s);
        }
    }
}

/* More of the stage than the plan bears, or than the stage does. */
static inline bool too_many_failed(struct fleet *f)
{
    const struct rollout *r = rollout_of(f);
    const struct amount says[] = {plan_of(f)->max_failed, plan_of(f)->stages[r->stage].max_failed};
    struct arena scratch = arena_on((uint8_t *)f->scratch, sizeof f->scratch);
    struct stage_count counts[STAGES_MAX];
    bool said = false, many = false;
    manager_survey(f->m, 0, f->now_s, &scratch, counts);
    uint32_t failed = counts[r->stage].failed;
    failed -= failed < r->excused ? failed : r->excused;
    for (int i = 0; i < 2; i++) {
        said |= says[i].value || says[i].percent;
        many |= says[i].value ? failed > amount_of(says[i], r->most) : says[i].percent && failed;
    }
    return said ? many : failed > 0;
}

/* Too many failures stop it, and nothing less does. */
static inline void check_failures(struct fleet *f, const struct rollout *before)
{
    const struct rollout *r = rollout_of(f);
    bool ran = before->state == ROLLOUT_RUNNING && !before->back && r->first == before->first;
    bool stopped = r->state == ROLLOUT_STOPPED || r->state == ROLLOUT_ABORTED;
    if (!ran || plan_of(f)->implied || manager_deployment(f->m, 0)->flags & RECORD_PAUSED)
        return;
    if (stopped && !too_many_failed(f))
        broken(f, "it stops, and few have failed", r->stage, r->excused);
    if (r->state == ROLLOUT_RUNNING && r->step != ROLLOUT_OPENING && too_many_failed(f))
        broken(f, "it goes on, and too many have failed", r->stage, r->excused);
}

/* Never more at work than the stage allows; and as many as it allows while some wait, but for a few
 * slots that wait for others for some seconds. */
static inline void check_slots(struct fleet *f)
{
    struct stage_count counts[STAGES_MAX];
    const struct rollout *r = rollout_of(f);
    struct arena scratch = arena_on((uint8_t *)f->scratch, sizeof f->scratch);
    if (r->state != ROLLOUT_RUNNING || r->step != ROLLOUT_ADMITTING ||
        manager_deployment(f->m, 0)->flags & RECORD_PAUSED)
        return;
    manager_survey(f->m, 0, f->now_s, &scratch, counts);
    const struct stage_count *c = &counts[r->stage];
    struct amount all = {0}, usual = plan_of(f)->stages[r->stage].concurrency;
    uint32_t most = amount_of(r->back ? all : usual, c->members);
    uint32_t taken = slots_taken(f);
    if (taken > most && f->admits)
        broken(f, "more at work than the stage allows", taken, most);
    bool few = c->in_flight < most && (most - c->in_flight) * 8 < most;
    uint64_t patience_s = few ? (many_are_behind(f) ? 60 : 10) : 0;
    uint32_t waiting = c->waiting - count_having(f, r);
    if (waiting > 0 && c->in_flight + waiting > most && c->in_flight < most &&
        f->now_s >= f->moved_s + patience_s && !is_held_by_budget(f) &&
        !manager_rate_until_s(manager_deployment(f->m, 0), f->now_s))
        broken(f, "a slot is free while some wait", c->in_flight, most);
    if (c->overdue > c->failed)
        broken(f, "too slow, and not counted as failed", c->overdue, c->failed);
    if (c->members != c->waiting + c->away + c->in_flight + c->returning + c->asking + c->ready +
                          c->failed + c->stuck)
        broken(f, "the counts do not add up", c->members, c->ready);
}

/* Who was out of reach, has had its time, or holds a slot by now, has given its place back. */
static inline void free_places(struct fleet *f)
{
    for (uint32_t n = 1; n <= f->count; n++) {
        struct model *a = &f->agents[n];
        if (!a->comes)
            continue;
        uint32_t deadline_s = plan_of(f)->deadline_s;
        bool overdue = deadline_s && f->now_s >= a->granted_s + deadline_s;
        a->comes = !a->gone && !a->cordoned && is_reachable(f, a) && !overdue && !a->slot &&
                   a->state == STATE_APPLYING && a->wanted == a->aimed;
    }
}

static inline uint32_t count_coming(const struct fleet *f)
{
    uint32_t count = 0;
    for (uint32_t n = 1; n <= f->count; n++)
        count += f->agents[n].comes;
    return count;
}

static inline uint32_t count_members(const struct fleet *f)
{
    uint32_t count = 0;
    for (uint32_t n = 1; n <= f->count; n++)
        count += !f->agents[n].gone && is_meant(f, &f->agents[n]);
    return count;
}

/* Exactly so many are in, and who was in stays. */
static inline void check_picks(struct fleet *f)
{
    uint32_t count = count_members(f);
    for (uint32_t n = 1; n <= f->count; n++) {
        struct model *a = &f->agents[n];
        if (a->picked && !is_meant(f, a))
            broken(f, "somebody who is picked is not any more", n, count);
        a->picked |= f->picks && is_meant(f, a);
    }
    if (f->picks && count != f->picks)
        broken(f, "more or fewer are in than are picked", count, f->picks);
}

static inline uint32_t count_permitted(const struct fleet *f)
{
    uint32_t count = 0;
    for (uint32_t n = 1; n <= f->count; n++)
        count += !f->agents[n].gone && f->agents[n].permit;
    return count;
}

/* Never more of those that came back at work than the plan allows, whatever the rollout is at. Of a
 * limit that another plan lowers, those that have a permit come to their end. */
static inline void check_places(struct fleet *f)
{
    struct amount limit = plan_of(f)->returning;
    uint32_t most = amount_of(limit, count_members(f)), count = count_coming(f);
    if (most > f->places || count_permitted(f) <= most)
        f->places = most;
    if (limit.value && f->comes && count > f->places)
        broken(f, "more come back at a time than may", count, f->places);
}

/* ---- what operators say ---- */

/* Thresholds that the rollout is past. */
static inline uint32_t count_past(const struct fleet *f)
{
    const struct rollout *r = rollout_of(f);
    bool rolls = deployment_rolls(manager_deployment(f->m, 0));
    return rolls ? 2u * r->stage + (r->step != ROLLOUT_OPENING) : 2u * plan_of(f)->count;
}

/* Where a version goes to everybody, or back as budgets let it, nothing is waited for. */
static inline void note_generation(struct fleet *f)
{
    uint32_t generation = manager_generation(f->m, 0);
    if (f->books.generation == generation)
        return;
    bool rolls = deployment_rolls(manager_deployment(f->m, 0));
    bool waits = rolls && !rollout_of(f)->back;
    f->books = (struct books){.generation = generation, .earned = waits ? 0 : UINT32_MAX};
}

/* Of a stage that operators have a say in, nobody was let in before they said so. */
static inline void check_thresholds(struct fleet *f)
{
    uint32_t past = count_past(f);
    note_generation(f);
    for (uint32_t i = 0; i < past; i++) {
        const struct plan_stage *stage = &plan_of(f)->stages[i / 2];
        const struct threshold *what = i % 2 ? &stage->after : &stage->before;
        if (what->approval && !((f->books.approved | f->books.earned) >> i & 1))
            broken(f, "a stage goes on without an approval", i / 2, i % 2);
    }
}

static inline bool is_paused(const struct fleet *f)
{
    return manager_deployment(f->m, 0)->flags & RECORD_PAUSED;
}

/* Nobody begins anything, or not this version, whatever happens. */
static inline void note_stop(struct fleet *f)
{
    uint8_t state = rollout_of(f)->state;
    if (!is_paused(f) && state != ROLLOUT_ABORTED && state != ROLLOUT_STOPPED)
        f->books.stopped_s = 0;
    else if (!f->books.stopped_s)
        f->books.stopped_s = f->now_s;
}

/* Long enough after it was said that all in reach have heard it. */
static inline void check_beginning(struct fleet *f, const struct model *a)
{
    bool heard = f->books.stopped_s && f->now_s >= f->books.stopped_s + 5;
    if (heard && (is_paused(f) || a->wanted == manager_generation(f->m, 0)))
        broken(f, "somebody begins what was paused, stopped or aborted", a->number, a->wanted);
}

static inline int steer(struct fleet *f, enum command_type type, const char *stage)
{
    struct command c = {.type = type, .deployment = {.name = "app", .stage = stage}};
    struct rollout before = *rollout_of(f);
    uint32_t past = count_past(f);
    note_generation(f);
    bool rolls = deployment_rolls(manager_deployment(f->m, 0));
    int rv = run(f, &c);
    if (rv != 0 && memcmp(&before, rollout_of(f), sizeof before) != 0)
        broken(f, "what is refused changes something", type, (unsigned)-rv);
    if (type == COMMAND_RESUME && rv == 0)
        wind_back(f);
    if (type == COMMAND_APPROVE && rv == 0 && before.step != ROLLOUT_ADMITTING)
        f->books.approved |= 1u << past;
    if (type == COMMAND_RETRY && rv == 0) {
        uint32_t earned = f->books.earned | (rolls ? (1u << past) - 1 : UINT32_MAX);
        f->books = (struct books){.generation = manager_generation(f->m, 0), .earned = earned};
        f->enrolled = f->count;
    }
    note_stop(f);
    return rv;
}

/* Of the whole, or of a stage. Documents that a manager still owes since it was killed say what
 * came of the pace before. */
static inline int set_pace(struct fleet *f, const char *stage, struct pace pace)
{
    struct command c = {.type = COMMAND_PACE,
                        .deployment = {.name = "app", .stage = stage, .pace = &pace}};
    while (f->m->dirty_count > 0)
        step(f, &(struct manager_event){.type = MANAGER_CONTINUE});
    struct rollout before = *rollout_of(f);
    int rv = run(f, &c);
    if (memcmp(&before, rollout_of(f), sizeof before) != 0)
        broken(f, "what is set changes more than that", rv == 0, (unsigned)-rv);
    if (rv == 0 && pace.says >> PACE_DEADLINE & 1)
        wind_back(f);
    return rv;
}

/* ---- time ---- */

/* Who is in touch knows that it is when it hears what it is to run. */
static inline void aim(struct fleet *f, struct model *a, bool in_touch)
{
    const struct desired *d = &f->documents[manager_agent(f->m, a->number)->cohort];
    const struct record *r = d->count ? &d->records[0] : NULL;
    struct target target = target_of(a, r);
    bool hears_all = d->revision.number <= a->seen_in + 1;
    bool asks = r && r->rules.order > 0 && (!hears_all || !in_touch);
    bool brought = r && is_brought(a, &a->seen, r);
    if (target.generation != a->aimed)
        a->met = in_touch && !brought ? target.generation : brought ? 0 : a->met;
    if (asks && d->revision.number != a->seen_in)
        a->met = 0;
    a->seen_in = d->revision.number;
    a->aimed = target.generation;
    a->seen = r ? *r : (struct record){0};
}

/* It has other labels, or is on other lists, or may begin something again: it was in touch for none
 * of that. */
static inline void move(struct fleet *f, struct model *a, bool to_other_cohort)
{
    const struct desired *d = &f->documents[manager_agent(f->m, a->number)->cohort];
    const struct record *r = d->count ? &d->records[0] : NULL;
    struct target target = target_of(a, r);
    bool asks = to_other_cohort || (r && r->rules.order > 0);
    bool changes = to_other_cohort || a->cordoned || target.generation != a->aimed;
    if (asks && changes)
        a->met = 0;
    if (to_other_cohort)
        a->document = (struct revision){0};
    a->seen_in = d->revision.number;
    a->aimed = target.generation;
    a->seen = r ? *r : (struct record){0};
}

/* Who may begin by a permit is out from then on. */
static inline void note_permit(struct fleet *f, struct model *a, bool given)
{
    if (!given || !is_near(f, a))
        return;
    f->charges |= is_out(f, a) ? 0 : budgets_of(f, a);
    a->charged = true;
}

/* An assignment was published. */
static inline void note_assignment(struct fleet *f, uint32_t number)
{
    uint32_t lists[RECORDS_MAX];
    struct permit permits[PERMITS_MAX];
    struct model *a = &f->agents[number];
    uint32_t count = manager_permits(f->m, number, permits);
    uint32_t generation = count ? permits[0].generation : 0;
    if (generation && generation != a->permit)
        a->granted_s = f->now_s;
    bool given = generation && generation != a->permit;
    bool lost = a->permit && !generation && a->state == STATE_PENDING && a->met != a->aimed;
    a->charged &= !lost;
    a->permit = generation;
    a->permit_s = f->now_s + number % 3;
    note_permit(f, a, given);
    bool listed = manager_lists(f->m, number, lists) > 0 && lists[0] == 1;
    bool other = listed != a->listed;
    a->listed = listed;
    a->reserved = manager_agent(f->m, number)->flags & AGENT_TAINTED;
    move(f, a, false);
    if (f->moves && other)
        a->admitted.generation = a->aimed; /* that is no gate's doing */
}

static inline void step(struct fleet *f, struct manager_event *ev)
{
    struct arena scratch = arena_on((uint8_t *)f->scratch, sizeof f->scratch);
    ev->now_s = f->now_s;
    manager_step(f->m, ev, &scratch, &f->out);
    for (uint32_t i = 0; i < f->out.persist_count; i++) {
        if (f->disk)
            rows_copy(f->disk, f->m, &f->out.persist[i]);
        if (f->out.persist[i].type == PERSIST_ASSIGNMENT)
            note_assignment(f, f->out.persist[i].index);
        if (f->out.persist[i].type != PERSIST_DOCUMENT)
            continue;
        uint32_t cohort = f->out.persist[i].index;
        struct record old =
            f->documents[cohort].count ? f->documents[cohort].records[0] : (struct record){0};
        manager_document(f->m, cohort, &f->documents[cohort]);
        f->told_s = f->now_s;
        note_admissions(f, cohort, &old);
        for (uint32_t n = 1; n <= f->count; n++) {
            struct model *a = &f->agents[n];
            if (a->gone || manager_agent(f->m, n)->cohort != cohort)
                continue;
            a->hears_s = f->now_s + rng_below(&f->rng, 3);
            if (a->online)
                aim(f, a, true);
        }
    }
}

/* What keeps it from beginning: a rule, or the wait between two tries. */
static inline enum cause rule_of(const struct fleet *f, const struct model *a,
                                 const struct record *r)
{
    bool asks = r && r->rules.asks_after_s > 0 && a->met != a->aimed;
    bool permitted = a->permit == a->aimed && f->now_s >= a->permit_s;
    if (a->rule)
        return (enum cause)a->rule;
    if (asks && !permitted)
        return CAUSE_RETURNING;
    return f->now_s < a->again_s ? CAUSE_HEALTH : CAUSE_NONE;
}

static inline void begin(struct fleet *f, struct model *a, const struct record *r)
{
    check_beginning(f, a);
    check_counted(f, a, r);
    a->loose = false;
    a->state = STATE_APPLYING;
    a->cause = CAUSE_NONE;
    a->busy_until_s = f->now_s + 2 + rng_below(&f->rng, 9) + a->busy_s;
    a->comes = r->rules.asks_after_s > 0 && a->met != a->aimed && !a->slot;
    f->comes |= a->comes;
    say(f, a, 0);
}

static inline void end_try(const struct fleet *f, struct model *a)
{
    enum deployment_state failed = a->running ? STATE_ROLLED_BACK : STATE_FAILED;
    a->failures += a->broken;
    a->stranded = a->broken && !a->running;
    if (!a->broken) {
        a->state = STATE_READY;
        a->running = a->wanted;
    } else if (a->failures > plan_of(f)->retries) {
        a->state = (uint8_t)failed;
    } else {
        a->state = STATE_PENDING;
        a->cause = CAUSE_HEALTH;
        a->again_s = f->now_s + ((uint64_t)plan_of(f)->back_off_s << (a->failures - 1));
    }
}

static inline void begin_or_end(struct fleet *f, struct model *a)
{
    const struct desired *d = &f->documents[manager_agent(f->m, a->number)->cohort];
    bool changed = revision_compare(a->document, d->revision) != 0;
    a->document = d->revision;
    const struct record *r = d->count ? &d->records[0] : NULL;
    struct target target = target_of(a, r);
    bool held =
        r &&
        (a->cordoned || r->flags & RECORD_PAUSED ||
         (r->flags & (RECORD_ABORTED | RECORD_STOPPED) && target.generation == r->next.generation));
    if (target.generation < a->wanted && a->state == STATE_PENDING) { /* withdrawn */
        bool nothing = has_nothing(a);
        a->wanted = nothing ? a->wanted : a->running;
        a->has = (struct digest){0};
        a->state = nothing ? STATE_FAILED : STATE_READY;
        a->cause = CAUSE_NONE;
        changed = true;
    }
    if (target.generation > a->wanted && runs_bundle(a, &target.bundle)) {
        a->wanted = a->running = target.generation;
        say(f, a, 0);
    } else if (target.generation > a->wanted && !held && a->state != STATE_APPLYING) {
        a->has = target.bundle;
        a->works++;
        a->failures = 0;
        a->wanted = target.generation;
        a->state = STATE_PENDING;
        a->cause = CAUSE_NONE;
    }
    bool waits_for_word = held && target.generation > a->wanted && a->state != STATE_APPLYING;
    changed |= a->held != (waits_for_word ? target.generation : 0);
    a->held = waits_for_word ? target.generation : 0;
    bool waits = a->state == STATE_PENDING && a->wanted && !held;
    enum cause rule = rule_of(f, a, r);
    if (waits && rule && a->cause != rule) {
        a->cause = (uint8_t)rule;
        say(f, a, 0);
    } else if (waits && !rule) {
        begin(f, a, r);
    } else if (a->state == STATE_APPLYING && f->now_s >= a->busy_until_s) {
        end_try(f, a);
        say(f, a, 0);
    } else if (changed) {
        say(f, a, 0);
    }
}

static inline void tell(const struct fleet *f, struct story *s)
{
    const uint8_t key[SIPHASH_KEY_LEN] = {0};
    struct rollout r = manager_deployment_count(f->m) ? *rollout_of(f) : (struct rollout){0};
    const uint64_t words[] = {s->hash,   r.state,    r.step,      r.stage,      r.stable,
                              r.excused, r.ready,    r.since_s,   r.end,        r.reached[0],
                              r.queued,  r.approved, r.success_s, r.reached[1], r.reached[2]};
    s->hash = siphash(key, span_of(words, sizeof words));
    s->seconds++;
    s->walked += f->m->walked;
}

/* What an operator has stopped, or what is over, stays as it is. */
static inline void tick(struct fleet *f)
{
    bool known = manager_deployment_count(f->m) > 0;
    struct rollout before = known ? *rollout_of(f) : (struct rollout){0};
    bool stands = known && (is_paused(f) || before.state != ROLLOUT_RUNNING);
    step(f, &(struct manager_event){.type = MANAGER_TICK});
    go_on(f);
    if (stands && memcmp(&before, rollout_of(f), sizeof before) != 0)
        broken(f, "what is stopped goes on", before.state, before.stage);
    if (known)
        check_failures(f, &before);
}

static inline void second(struct fleet *f)
{
    f->now_s++;
    f->comes = false;
    f->charges = 0;
    for (uint32_t n = 1; n <= f->count; n++) {
        struct model *a = &f->agents[n];
        a->had_s += a->worked && a->online && !a->gone;
        if (!a->gone && !a->deaf && a->online && f->now_s >= a->hears_s)
            begin_or_end(f, a);
        if (!a->gone && a->online && f->now_s % 20 == n % 20)
            say(f, a, 0);
    }
    free_slots(f);
    free_budgets(f);
    free_places(f);
    f->admits = false;
    if (f->always_look)
        lookout_hear(f->m);
    tick(f);
    if (f->story)
        tell(f, f->story);
    if (!counts_agree(f->m))
        broken(f, "counted otherwise than one by one", 0, 0);
    if (manager_deployment_count(f->m) > 0) {
        check_thresholds(f);
        note_stop(f);
        check_budgets(f);
        if (!f->moves) {
            check_deadlines(f);
            check_slots(f);
            check_places(f);
        }
        check_picks(f);
    }
}

static inline void seconds(struct fleet *f, unsigned count)
{
    while (count-- > 0)
        second(f);
}

static inline void go_offline(struct fleet *f, struct model *a)
{
    struct report r = {.type = MESSAGE_WILL, .will = {.number = a->number, .session = a->seq}};
    struct manager_event ev = {.type = MANAGER_REPORT};
    if (!a->online || a->gone)
        return;
    a->online = a->mute = false;
    a->away_since_s = manager_agent(f->m, a->number)->last_seen_s;
    ev.report.topic = a->id;
    ev.report.report = &r;
    step(f, &ev);
}

static inline void come_back(struct fleet *f, struct model *a)
{
    if (a->online || a->gone)
        return;
    bool known = manager_deployment_count(f->m) > 0;
    const struct desired *d = &f->documents[manager_agent(f->m, a->number)->cohort];
    uint32_t asks_after_s = d->count ? d->records[0].rules.asks_after_s : 0;
    uint32_t patience_s =
        known && plan_of(f)->reachable_within_s ? plan_of(f)->reachable_within_s : 1;
    patience_s = asks_after_s ? asks_after_s : patience_s;
    bool missed = f->now_s >= a->away_since_s + patience_s;
    a->online = true;
    a->hears_s = f->now_s + 1;
    aim(f, a, !missed);
    if (missed)
        a->met = 0;
    a->permit_s = a->permit_s > f->now_s ? a->permit_s : f->now_s + 1;
    say(f, a, STATUS_HELLO);
}

static inline void take_out(struct fleet *f, struct model *a)
{
    struct command c = {.type = COMMAND_AGENT_REMOVE, .agent = a->id};
    if (a->gone)
        return;
    a->gone = true;
    CU_ASSERT_EQUAL(run(f, &c), 0);
}

static inline void cordon(struct fleet *f, struct model *a, bool on)
{
    struct command c = {.type = on ? COMMAND_AGENT_CORDON : COMMAND_AGENT_UNCORDON, .agent = a->id};
    a->cordoned = true; /* amid it, gates do nothing for it */
    CU_ASSERT_EQUAL(run(f, &c), 0);
    a->cordoned = on;
}

/* It is given the labels of another cohort, hears of that, and fetches what is asked for there. */
static inline void resettle(struct fleet *f, struct model *a, uint32_t cohort)
{
    struct command c = {.type = COMMAND_LABEL};
    c.label.id = a->id;
    c.label.set = labels[cohort];
    c.label.unset = "zone";
    if (a->gone || manager_agent(f->m, a->number)->cohort == cohort)
        return;
    CU_ASSERT_EQUAL(run(f, &c), 0);
    move(f, a, true);
    /* What it has neither begun nor a permit for, it asks for there. */
    a->charged &= a->state == STATE_APPLYING || a->permit;
    a->admitted.generation = a->aimed;
    a->hears_s = f->now_s + 1 + rng_below(&f->rng, 3);
}

static inline int set_group(struct fleet *f, const char *name, const char *selector)
{
    struct command c = {.type = COMMAND_GROUP_SET, .group = {.name = name, .selector = selector}};
    return run(f, &c);
}

/* The process dies, and another one loads what was persisted. */
static inline void restart_in(struct fleet *f, uint32_t epoch)
{
    struct manager *old = f->m;
    struct stage stage = {0};
    f->m = new_core(epoch);
    rows_load(f->disk, f->m, &stage);
    CU_ASSERT_STRING_EQUAL(stage.fault, "");
    for (uint32_t i = 0; i < manager_deployment_count(old) && epoch == old->options.epoch; i++)
        if (memcmp(&manager_deployment(old, i)->rollout, &manager_deployment(f->m, i)->rollout,
                   sizeof(struct rollout)) != 0 ||
            memcmp(&manager_deployment(old, i)->plan, &manager_deployment(f->m, i)->plan,
                   sizeof(struct plan)) != 0)
            broken(f, "a manager that starts again has forgotten something", i, 0);
    free(old);
    for (uint32_t n = 1; n <= f->count; n++) {
        f->agents[n].granted_s = f->now_s;
        f->agents[n].charged |= f->agents[n].state == STATE_APPLYING;
    }
    f->restarted = true;
    f->started_s = f->now_s;
    wind_back(f);
}

static inline void restart(struct fleet *f)
{
    restart_in(f, 1);
}

static inline unsigned count_running(const struct fleet *f, uint32_t generation)
{
    unsigned count = 0;
    for (uint32_t n = 1; n <= f->count; n++)
        count += !f->agents[n].gone && f->agents[n].running == generation;
    return count;
}

/* Agents whose document says that they are to run the newest version. */
static inline unsigned count_let_in(const struct fleet *f)
{
    unsigned count = 0;
    for (uint32_t n = 1; n <= f->count; n++)
        count += f->agents[n].admitted.generation == manager_generation(f->m, 0);
    return count;
}

static inline struct stage_count counts_of(struct fleet *f, uint32_t stage)
{
    struct stage_count counts[STAGES_MAX];
    struct arena scratch = arena_on((uint8_t *)f->scratch, sizeof f->scratch);
    manager_survey(f->m, 0, f->now_s, &scratch, counts);
    return counts[stage];
}

static inline bool is_done(const struct fleet *f)
{
    return rollout_of(f)->state == ROLLOUT_DONE;
}

static inline void until_done(struct fleet *f, unsigned most)
{
    while (!is_done(f) && most-- > 0)
        second(f);
    CU_ASSERT_TRUE(is_done(f));
}

static inline void end(struct fleet *f)
{
    if (f->why[0])
        fprintf(stderr, "%s\n", f->why);
    CU_ASSERT_STRING_EQUAL(f->why, "");
    fleet_free(f);
}

/* KubeFleet's: staging, canary, prod, and an approval before the last. */
static inline struct plan three_stages(void)
{
    return plan_three_stages(10);
}

static inline int set_budget(struct fleet *f, const char *name, const char *selector,
                             struct amount max)
{
    struct command c = {.type = COMMAND_BUDGET_SET,
                        .budget = {.name = name, .selector = selector, .max = max}};
    return run(f, &c);
}

#endif
