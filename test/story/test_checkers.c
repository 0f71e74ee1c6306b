/* Whether the simulator's checkers notice what they are there for: in each story one thing is
 * broken on purpose, behind the backs of both cores. */
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

static void let_one_too_few_in(struct flock *f)
{
    allow(f, 1);
}

static void queue_without_end(struct flock *f)
{
    f->cells[0].queued = 0;
    broken = true;
}

static const struct {
    void (*meddle)(struct flock *f);
    const char *noticed;
} faults[] = {
    {lose_half_a_version, "names a tree that isn't there"},
    {lose_a_version, "is settled and nothing is there"},
    {switch_to_another_version, "runs what nobody asked for"},
    {put_another_bundle_in_the_place_of_the_signed_one, "nobody has signed what it has"},
    {forget_the_floor, "goes back to an older generation"},
    {make_the_manager_count_wrong, "the manager counts wrong"},
    {lose_a_registration, "the manager forgot agent"},
    {confuse_a_registration, "the manager forgot agent 3"},
    {let_one_too_many_in, "3 are at work in stage staging, which allows 2"},
    {let_one_too_few_in, "wait, and their stage has had room for"},
    {queue_without_end, "keeps more for the manager than 200 bytes"},
};
#define FAULTS (sizeof faults / sizeof faults[0])

static void test_checkers_notice_what_is_broken_on_purpose(void)
{
    struct flock_options o = fleet();
    for (size_t i = 0; i < FAULTS; i++) {
        broken = false;
        o.meddle = faults[i].meddle;
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
}

static const struct suite_test tests[] = {
    TEST(test_checkers_notice_what_is_broken_on_purpose),
    TEST(test_checkers_say_nothing_where_nothing_is_broken),
};

SUITE_MAIN("checkers", tests)
