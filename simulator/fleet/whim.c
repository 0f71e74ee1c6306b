/* What an operator does amid all else, as chance has it. What isn't possible just now is let be. */
#include "simulator/fleet/parts.h"

#include <stddef.h>
#include <stdio.h>

/* A pause lasts so long at most, and a cordon. */
#define PAUSE_MS 3600000
#define CORDON_MS (6 * 3600000)
/* A rollout is put off for so long at most. */
#define START_S 14400

static void pause(struct flock *f, uint32_t n);
static void abort_rollout(struct flock *f, uint32_t n);
static void go_back(struct flock *f, uint32_t n);
static void try_again(struct flock *f, uint32_t n);
static void renew(struct flock *f, uint32_t n);
static void set_pace(struct flock *f, uint32_t n);
static void remove_one(struct flock *f, uint32_t n);
static void relabel(struct flock *f, uint32_t n);
static void cordon(struct flock *f, uint32_t n);

struct whim {
    enum kind kind;
    bool daily;   /* so often a day; else so often in all, each time of one device */
    size_t often; /* place in struct flock_faults */
    void (*act)(struct flock *f, uint32_t n);
};

#define OFTEN(field) offsetof(struct flock_faults, field)
static const struct whim whims[] = {
    {PAUSE, true, OFTEN(pauses), pause},
    {ABORT, true, OFTEN(aborts), abort_rollout},
    {ROLLBACK, true, OFTEN(rollbacks), go_back},
    {SECOND_TRY, true, OFTEN(second_tries), try_again},
    {RENEWAL, true, OFTEN(versions), renew},
    {PACE, true, OFTEN(paces), set_pace},
    {REMOVAL, false, OFTEN(removals), remove_one},
    {RELABEL, false, OFTEN(relabels), relabel},
    {CORDON, false, OFTEN(cordons), cordon},
};
#define WHIMS (sizeof whims / sizeof whims[0])

static uint32_t often(const struct flock *f, const struct whim *w)
{
    uint32_t value;
    memcpy(&value, (const char *)&f->o->faults + w->often, sizeof value);
    return value;
}

void whim_arm(struct flock *f)
{
    for (size_t i = 0; i < WHIMS; i++) {
        const struct whim *w = &whims[i];
        if (w->daily)
            flock_arm_daily(f, w->kind, 0, often(f, w));
        for (uint32_t k = 0; !w->daily && k < often(f, w); k++)
            flock_at(f, rng_below(&f->fate, f->o->run_ms), w->kind,
                     (uint32_t)rng_below(&f->fate, f->o->agents), 0, 0);
    }
}

void whim_happen(struct flock *f, enum kind kind, uint32_t n)
{
    for (size_t i = 0; i < WHIMS; i++) {
        const struct whim *w = &whims[i];
        if (w->kind != kind)
            continue;
        if (f->core && manager_deployment_count(f->core) > 0)
            w->act(f, n);
        if (w->daily)
            flock_arm_daily(f, kind, 0, often(f, w));
    }
}

/* ---- of the deployment ---- */

static const struct deployment_row *app(const struct flock *f)
{
    return manager_deployment(f->core, 0);
}

static int say(struct flock *f, enum command_type type)
{
    struct command c = {.type = type};
    c.deployment.name = "app";
    return office_command(f, &c);
}

static void pause(struct flock *f, uint32_t n)
{
    (void)n;
    if (app(f)->flags & RECORD_PAUSED)
        return;
    say(f, COMMAND_PAUSE);
    f->result->counts.pauses++;
    flock_at(f, f->queue.now_ms + rng_below(&f->fate, PAUSE_MS), RESUME, 0, 0, 0);
}

void whim_resume(struct flock *f)
{
    if (!f->core)
        flock_at(f, f->queue.now_ms + OPERATOR_AGAIN_MS, RESUME, 0, 0, 0);
    else if (app(f)->flags & RECORD_PAUSED)
        say(f, COMMAND_RESUME);
}

static void abort_rollout(struct flock *f, uint32_t n)
{
    (void)n;
    if (!deployment_rolls(app(f)) || app(f)->rollout.state == ROLLOUT_ABORTED)
        return;
    say(f, COMMAND_ABORT);
    f->result->counts.aborts++;
}

static void go_back(struct flock *f, uint32_t n)
{
    (void)n;
    bool earlier = deployment_rolls(app(f)) ? app(f)->rollout.stable != 0 : f->asked_ms != 0;
    if (!earlier)
        return;
    say(f, COMMAND_ROLLBACK);
    f->result->counts.rollbacks++;
}

static void try_again(struct flock *f, uint32_t n)
{
    (void)n;
    if (!f->asked_ms || app(f)->rollout.state == ROLLOUT_ABORTED)
        return;
    if (say(f, COMMAND_RETRY) == 0)
        f->result->counts.second_tries++;
}

/* A new one as long as there are names, and then any other than the newest. */
static void renew(struct flock *f, uint32_t n)
{
    (void)n;
    if (!f->asked_ms)
        return;
    uint32_t bundle = f->bundle_count, newest = app(f)->history[0].bundle;
    if (bundle < FLOCK_BUNDLES_MAX)
        scene_push(f);
    else
        bundle = (newest + 1 + (uint32_t)rng_below(&f->fate, bundle - 1)) % bundle;
    scene_deploy(f, bundle);
    f->result->counts.versions++;
}

static void say_pace(struct flock *f, const struct pace *pace, const char *stage)
{
    struct command c = {.type = COMMAND_PACE};
    c.deployment.name = "app";
    c.deployment.stage = stage;
    c.deployment.pace = pace;
    office_command(f, &c);
    gate_pace(f);
}

/* It has stages, and something to do in them. */
static bool has_pace(const struct flock *f)
{
    const struct rollout *r = &app(f)->rollout;
    return f->asked_ms && deployment_rolls(app(f)) && r->state != ROLLOUT_ABORTED && !r->back;
}

/* Another width of the stage, a rate, or, before the first of them, a later start. */
static void set_pace(struct flock *f, uint32_t n)
{
    (void)n;
    if (!has_pace(f))
        return;
    static const enum pace_key keys[] = {PACE_CONCURRENCY, PACE_RATE, PACE_START};
    const struct rollout *r = &app(f)->rollout;
    bool begun = r->stage > 0 || r->step != ROLLOUT_OPENING;
    enum pace_key key = keys[rng_below(&f->fate, begun ? 2 : 3)];
    uint32_t value = 1 + (uint32_t)rng_below(&f->fate, 20);
    uint32_t minutes = 1 + (uint32_t)rng_below(&f->fate, 60);
    const struct pace pace = {
        .says = (uint8_t)(1u << key),
        .start_s = flock_wall_s(f) + rng_below(&f->fate, START_S),
        .rate = {.agents = {.value = value}, .span_s = 60 * minutes},
        .concurrency = {.value = value, .percent = rng_below(&f->fate, 2) == 0},
    };
    f->paced |= key == PACE_CONCURRENCY;
    say_pace(f, &pace, key == PACE_CONCURRENCY ? app(f)->plan.stages[r->stage].name : NULL);
    f->result->counts.paces++;
}

/* Nobody has to wait for weeks at the end, or for one that failed for good. */
void whim_calm(struct flock *f)
{
    scene_budget(f, 0);
    if (has_pace(f) && app(f)->plan.rate.span_s > 0)
        say_pace(f, &(struct pace){.says = 1u << PACE_RATE}, NULL);
}

/* ---- of one device ---- */

/* A copy of it would have to be told, too. */
static bool is_one_of_the_fleet(const struct flock *f, uint32_t n)
{
    const struct node *d = &f->nodes[n];
    return d->number && d->twin == NOBODY && agent_in_fleet(manager_agent(f->core, d->number));
}

static void remove_one(struct flock *f, uint32_t n)
{
    struct command c = {.type = COMMAND_AGENT_REMOVE, .confirmed = true, .agent = f->nodes[n].id};
    if (!is_one_of_the_fleet(f, n))
        return;
    office_command(f, &c);
    f->result->counts.removals++;
}

/* To another site, another stage, or out of the deployment for a while. */
static void relabel(struct flock *f, uint32_t n)
{
    char labels[SCENE_LABELS_MAX];
    struct node *d = &f->nodes[n];
    struct command c = {.type = COMMAND_LABEL};
    if (!is_one_of_the_fleet(f, n))
        return;
    uint64_t what = rng_below(&f->fate, 4);
    if (what == 0)
        d->site = (uint8_t)rng_below(&f->fate, f->o->sites);
    else if (what == 1)
        d->stage = (uint8_t)rng_below(&f->fate, SCENE_STAGES);
    else
        d->parked = !d->parked;
    d->moved = true;
    scene_labels(d, labels);
    c.label.id = d->id;
    c.label.set = labels;
    c.label.unset = d->parked ? "" : "parked";
    office_command(f, &c);
    gate_move(f, n);
    f->result->counts.relabels++;
}

static void cordon(struct flock *f, uint32_t n)
{
    struct command c = {.type = COMMAND_AGENT_CORDON, .agent = f->nodes[n].id};
    if (!is_one_of_the_fleet(f, n) ||
        manager_agent(f->core, f->nodes[n].number)->flags & AGENT_CORDONED)
        return;
    office_command(f, &c);
    gate_move(f, n);
    f->result->counts.cordons++;
    flock_at(f, f->queue.now_ms + rng_below(&f->fate, CORDON_MS), UNCORDON, n, 0, 0);
}

void whim_uncordon(struct flock *f, uint32_t n)
{
    struct command c = {.type = COMMAND_AGENT_UNCORDON, .agent = f->nodes[n].id};
    if (!f->core)
        flock_at(f, f->queue.now_ms + OPERATOR_AGAIN_MS, UNCORDON, n, 0, 0);
    else if (manager_agent(f->core, f->nodes[n].number)->flags & AGENT_CORDONED)
        office_command(f, &c);
}
