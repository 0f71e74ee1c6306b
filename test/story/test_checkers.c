/* Whether the simulator's checkers notice what they are there for: in each story one thing is
 * broken on purpose, behind the backs of both cores. */
#include "simulator/fleet/fleet.h"
#include "simulator/fleet/parts.h"
#include "test/flocks.h"

#define HOUR_MS 3600000u

static bool broken; /* in this run */

/* Two hundred devices on good links, of which the last stage takes two at a time. */
static struct flock_options fleet(void)
{
    struct flock_options o = fleet_of(200, "always");
    o.run_ms = 6 * HOUR_MS;
    o.rest_ms = HOUR_MS;
    o.policy.heartbeat_s = 60;
    o.concurrency = (struct amount){.value = 2};
    o.bundle_bytes = 400 << 20;
    o.faults.manager_kills = 40;
    o.faults.queue_max = 200;
    return o;
}

/* The first device, once it is at rest on the new version; NULL: not yet, or it has been broken. */
static struct node *one_at_rest(struct flock *f)
{
    struct node *d = &f->nodes[0];
    bool rests = d->held_count == 1 && d->held[0].phase == PHASE_SETTLED && d->currents[0] == 1;
    if (broken || !rests || f->queue.now_ms < f->o->run_ms)
        return NULL;
    broken = true;
    return d;
}

static struct deployment_row *rolling(struct flock *f)
{
    struct deployment_row *row;
    if (!f->core || !f->asked_ms)
        return NULL;
    row = (struct deployment_row *)manager_deployment(f->core, 0);
    return row->rollout.state == ROLLOUT_RUNNING ? row : NULL;
}

/* ---- what is broken ---- */

static void lose_half_a_version(struct flock *f)
{
    struct node *d = one_at_rest(f);
    if (d)
        d->trees = 1;
}

static void lose_a_version(struct flock *f)
{
    struct node *d = one_at_rest(f);
    if (d)
        d->currents[0] = UINT8_MAX;
}

static void switch_to_another_version(struct flock *f)
{
    struct node *d = one_at_rest(f);
    if (d)
        d->currents[0] = 0;
}

static void put_another_bundle_in_the_place_of_the_signed_one(struct flock *f)
{
    struct node *d = one_at_rest(f);
    if (!d)
        return;
    d->held[0].wanted.bundle = d->held[0].running.bundle = f->bundles[0];
    d->currents[0] = 0;
}

/* Its floor is gone, and so is what was newest in its document. */
static void forget_the_floor(struct flock *f)
{
    struct node *d = one_at_rest(f);
    if (!d)
        return;
    struct record *r = &f->papers[d->document].desired->records[0];
    r->stable = (struct target){.generation = 1, .bundle = f->bundles[0]};
    d->held[0].wanted.generation = d->held[0].running.generation = 0;
}

/* Again and again, since each heartbeat mends it. */
static void make_the_manager_count_wrong(struct flock *f)
{
    if (!f->calm)
        return;
    ((struct agent_row *)manager_agent(f->core, 1))->document = (struct revision){0};
    broken = true;
}

static void lose_a_registration(struct flock *f)
{
    if (broken || f->core || f->rows->agent_count < 100)
        return;
    f->rows->agent_count--;
    broken = true;
}

static void confuse_a_registration(struct flock *f)
{
    if (broken || f->core || f->rows->agent_count < 100)
        return;
    f->rows->agents[2].row.id.bytes[0] ^= 1;
    broken = true;
}

static void allow(struct flock *f, uint32_t at_a_time)
{
    struct deployment_row *row = rolling(f);
    for (uint32_t i = 0; row && i < row->plan.count; i++)
        row->plan.stages[i].concurrency = (struct amount){.value = at_a_time};
    broken |= row != NULL;
}

static void let_one_too_many_in(struct flock *f)
{
    allow(f, 3);
}

static void forget_the_budget(struct flock *f)
{
    if (!rolling(f) || manager_budget_count(f->core) == 0)
        return;
    ((struct budget_row *)manager_budget(f->core, 0))->max.value = 100;
    broken = true;
}

static void let_one_too_few_in(struct flock *f)
{
    allow(f, 1);
}

static void queue_without_end(struct flock *f)
{
    f->cells[0].queued = 0;
    broken = true;
}

/* A document that the manager never made. */
static void let_in_to_what_was_aborted(struct flock *f)
{
    if (broken || !f->core || !f->asked_ms ||
        manager_deployment(f->core, 0)->rollout.state != ROLLOUT_ABORTED)
        return;
    for (uint32_t i = 0; i < f->rows->cohort_count; i++) {
        struct desired *doc = f->papers ? f->papers[f->newest[i]].desired : NULL;
        if (!doc || doc->count == 0 || doc->records[0].next.generation == 0)
            continue;
        doc->records[0].next_gate = GATE_OPEN;
        gate_note(f, i);
        broken = true;
    }
}

/* As if the device had begun with this, and stored it. */
static void begin(struct node *d, const struct target *t)
{
    d->held[0].wanted = *t;
    d->held[0].phase = PHASE_PREPARING;
    broken = true;
}

static void begin_what_was_aborted(struct flock *f)
{
    for (uint32_t n = 0; n < f->o->agents && !broken; n++) {
        struct node *d = &f->nodes[n];
        const struct desired *doc = f->papers ? f->papers[d->document].desired : NULL;
        const struct record *r = doc && doc->count > 0 ? &doc->records[0] : NULL;
        if (r && r->flags & RECORD_ABORTED && d->held_count == 1 &&
            d->held[0].wanted.generation < r->next.generation)
            begin(d, &r->next);
    }
}

static void begin_although_cordoned(struct flock *f)
{
    struct target second = {.generation = 2, .bundle = f->bundles[1]};
    for (uint32_t n = 0; f->asked_ms && n < f->o->agents && !broken; n++)
        if (f->nodes[n].cordoned && f->nodes[n].held_count == 1 && f->nodes[n].begun == 1)
            begin(&f->nodes[n], &second);
}

static void forget_new_labels(struct flock *f)
{
    for (uint32_t n = 0; f->calm && n < f->o->agents && !broken; n++) {
        if (!f->nodes[n].moved)
            continue;
        f->nodes[n].site ^= 1;
        broken = true;
    }
}

static void leave_what_is_no_longer_for_it(struct flock *f)
{
    struct node *d = one_at_rest(f);
    if (d)
        d->parked = true;
}

static void forget_the_deadline(struct flock *f)
{
    struct deployment_row *row = rolling(f);
    if (row)
        row->plan.deadline_s = 0;
    broken |= row != NULL;
}

/* The first that has gone back so often. */
static struct held *one_that_failed(struct flock *f, uint32_t failures)
{
    for (uint32_t n = 0; n < f->o->agents && !broken; n++) {
        struct held *h = f->nodes[n].held;
        if (f->nodes[n].held_count == 0 || h->phase != PHASE_ROLLED_BACK || h->failures != failures)
            continue;
        broken = true;
        return h;
    }
    return NULL;
}

static void forget_a_failure(struct flock *f)
{
    struct held *h = one_that_failed(f, 3);
    if (h)
        h->failures = 2;
}

static void forget_to_wait(struct flock *f)
{
    struct held *h = one_that_failed(f, 1);
    if (h)
        h->failed_s -= 86400;
}

static const struct {
    void (*meddle)(struct flock *f);
    const char *noticed;
    struct flock_faults with; /* what the operator does meanwhile */
    uint32_t deadline_s;      /* what a device fetches takes far longer; */
    uint32_t retries;         /* and a third of them fail */
    uint32_t budget;
} faults[] = {
    {.meddle = lose_half_a_version, .noticed = "names a tree that isn't there"},
    {.meddle = lose_a_version, .noticed = "is settled and nothing is there"},
    {.meddle = switch_to_another_version, .noticed = "runs what nobody asked for"},
    {.meddle = put_another_bundle_in_the_place_of_the_signed_one,
     .noticed = "nobody has signed what it has"},
    {.meddle = forget_the_floor, .noticed = "goes back to an older generation"},
    {.meddle = make_the_manager_count_wrong, .noticed = "the manager counts wrong"},
    {.meddle = lose_a_registration, .noticed = "the manager forgot agent"},
    {.meddle = confuse_a_registration, .noticed = "the manager forgot agent 3"},
    {.meddle = let_one_too_many_in, .noticed = "3 are at work in stage staging, which allows 2"},
    {.meddle = let_one_too_few_in, .noticed = "wait, and their stage has had room for"},
    {.meddle = forget_the_budget, .noticed = "2 are out of Ready, 1 may be", .budget = 1},
    {.meddle = forget_the_budget,
     .noticed = "are out of Ready, 2 may be",
     .budget = 2,
     .with = {.relabels = 200}},
    {.meddle = let_in_to_what_was_aborted,
     .noticed = "is let in to generation 2, which was aborted",
     .with = {.aborts = 40}},
    {.meddle = begin_what_was_aborted,
     .noticed = "and holds that it was aborted",
     .with = {.aborts = 40}},
    {.meddle = begin_although_cordoned,
     .noticed = "is cordoned and begins generation 2",
     .with = {.cordons = 100}},
    {.meddle = forget_new_labels,
     .noticed = "does not have the labels that it was given",
     .with = {.relabels = 20}},
    {.meddle = leave_what_is_no_longer_for_it, .noticed = "keeps what is not for it"},
    {.meddle = forget_the_deadline,
     .noticed = "have had their time, and 0 of them count as failed",
     .deadline_s = 120},
    {.meddle = forget_a_failure, .noticed = "again, 3 failures behind it", .retries = 2},
    {.meddle = forget_to_wait, .noticed = "again, and should wait for", .retries = 2},
    {.meddle = queue_without_end, .noticed = "keeps more for the manager than 200 bytes"},
};
#define FAULTS (sizeof faults / sizeof faults[0])

static void test_checkers_notice_what_is_broken_on_purpose(void)
{
    struct flock_options o = fleet();
    for (size_t i = 0; i < FAULTS; i++) {
        broken = false;
        o.meddle = faults[i].meddle;
        o.faults = faults[i].with;
        o.deadline_s = faults[i].deadline_s;
        o.bundle_bytes = (o.deadline_s ? UINT64_C(20) << 10 : 400) << 20;
        o.retries = faults[i].retries;
        o.budget = faults[i].budget;
        o.failing_per_mille = o.retries ? 333 : 0;
        o.faults.manager_kills = 40;
        o.faults.queue_max = 200;
        struct flock_result r = run_anyway(&o);
        CU_ASSERT_TRUE(broken);
        CU_ASSERT_PTR_NOT_NULL(strstr(r.fault, faults[i].noticed));
        if (!strstr(r.fault, faults[i].noticed))
            fprintf(stderr, "\"%s\" was to be noticed, and \"%s\" was\n", faults[i].noticed,
                    r.fault);
    }
}

static void test_checkers_say_nothing_where_nothing_is_broken(void)
{
    struct flock_options o = fleet();
    struct flock_result r = run(&o);
    CU_ASSERT_TRUE(r.counts.let_in > 100 && r.counts.manager_kills > 5 && r.counts.overflown > 5);
    o.budget = 1;
    o.faults.relabels = 100;
    r = run(&o);
    CU_ASSERT_TRUE(r.counts.let_in > 50 && r.counts.relabels > 50);
}

/* ---- what is found is made small ---- */

static void fail_when_it_is_big(struct flock *f)
{
    if (f->o->agents >= 3 && f->o->faults.lost_writes > 10)
        flock_fault(f, "it is big");
}

static void test_a_failure_is_made_as_small_as_it_still_fails(void)
{
    struct flock_options o = fleet();
    o.cells = 4;
    o.retries = 3;
    o.faults.lost_writes = 100;
    o.faults.clones = 3;
    o.meddle = fail_when_it_is_big;
    swarm_shrink(&o);
    CU_ASSERT_EQUAL(o.agents, 3);
    CU_ASSERT_EQUAL(o.faults.lost_writes, 11);
    CU_ASSERT_EQUAL(o.cells, 1);
    CU_ASSERT_EQUAL(o.sites, 1);
    CU_ASSERT_EQUAL(o.link_count, 1);
    CU_ASSERT_EQUAL(o.retries + o.faults.clones + o.faults.manager_kills + o.faults.queue_max, 0);
}

static const struct suite_test tests[] = {
    TEST(test_checkers_notice_what_is_broken_on_purpose),
    TEST(test_checkers_say_nothing_where_nothing_is_broken),
    TEST(test_a_failure_is_made_as_small_as_it_still_fails),
};

SUITE_MAIN("checkers", tests)
