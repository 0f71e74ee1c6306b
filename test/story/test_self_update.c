#include "test/story/story.h"

static const struct script good = {.name = "agent", .version = "v1", .agent = true};
/* Time for a disk that is full for a moment: without a number of its own an agent can not report.
 */
static const struct script better = {
    .name = "agent", .version = "v2", .agent = true, .deadline_s = 60};
static const struct script crashing = {
    .name = "agent", .version = "v2", .agent = true, .crashes = true};
static const struct script hanging = {
    .name = "agent", .version = "v2", .agent = true, .hangs = true, .deadline_s = 12};
static const struct script mute = {
    .name = "agent", .version = "v2", .agent = true, .mute = true, .deadline_s = 12};

/* The agent that runs is this one's; NULL: the packaged one. */
static bool runs(const struct device *d, const char *version)
{
    const struct bundle *b = shelf_find(d->shelf, &d->program);
    if (!version)
        return digest_is_zero(&d->program) && digest_is_zero(&d->disk.proven);
    return b && strcmp(b->version, version) == 0 && digest_equal(&d->disk.proven, &d->program);
}

static bool is_over(const struct device *d)
{
    return digest_is_zero(&d->disk.trial);
}

static bool took(const struct world *w, const struct device *d, const char *version)
{
    return runs(d, version) && is_over(d) && world_runs(d, "agent", version) &&
           world_state(w, d, "agent", NULL) == STATE_READY;
}

/* By hooks that failed, or since the device went down too often. */
static bool went_back(const struct world *w, const struct device *d, const char *version)
{
    enum cause cause = CAUSE_NONE;
    enum deployment_state state = world_state(w, d, "agent", &cause);
    return runs(d, version) && is_over(d) && cause != CAUSE_NONE &&
           state == (version ? STATE_ROLLED_BACK : STATE_FAILED);
}

static struct world *begin(struct device **d, const struct script *running)
{
    struct world *w = world_new(NULL);
    *d = world_agent(w, "env=prod");
    if (running) {
        CU_ASSERT_EQUAL(world_push(w, running), 0);
        CU_ASSERT_EQUAL(world_deploy(w, "agent", running->version, "env=prod"), 0);
        CU_ASSERT_TRUE(story_rest(w));
        CU_ASSERT_TRUE(took(w, *d, running->version));
    }
    return w;
}

static void deploy(struct world *w, const struct script *next)
{
    CU_ASSERT_EQUAL(world_push(w, next), 0);
    CU_ASSERT_EQUAL(world_deploy(w, "agent", next->version, "env=prod"), 0);
    world_run(w, 20000);
}

static void test_first_agent_by_a_bundle_takes_over_from_the_packaged_one(void)
{
    struct device *d;
    struct world *w = begin(&d, NULL);
    CU_ASSERT_TRUE(runs(d, NULL));
    deploy(w, &good);
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_TRUE(took(w, d, "v1"));
    story_end(w);
}

static void test_agent_that_fails_gives_way_to_the_one_before(void)
{
    static const struct {
        const struct script *next;
        enum cause cause;
    } cases[] = {{&crashing, CAUSE_APPLY}, {&hanging, CAUSE_APPLY}, {&mute, CAUSE_HEALTH}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int packaged = 0; packaged < 2; packaged++) {
            struct device *d;
            enum cause cause = CAUSE_NONE;
            struct world *w = begin(&d, packaged ? NULL : &good);
            deploy(w, cases[i].next);
            CU_ASSERT_TRUE(story_rest(w));
            CU_ASSERT_TRUE(went_back(w, d, packaged ? NULL : "v1"));
            world_state(w, d, "agent", &cause);
            CU_ASSERT_EQUAL(cause, cases[i].cause);
            story_end(w);
        }
}

/* Old or new, never none: whatever starts is there (the world looks), and all comes to rest. */
static void cut_everywhere(const struct script *running, const struct script *next, bool may_take)
{
    bool cut = true;
    uint64_t n = 1;
    const char *before = running ? running->version : NULL;
    for (; cut && n < STORY_POINTS_MAX; n++) {
        struct device *d;
        struct world *w = begin(&d, running);
        d->cut_at = d->points + n;
        deploy(w, next);
        bool good_end = story_rest(w);
        good_end &= may_take ? took(w, d, next->version) : went_back(w, d, before);
        cut = d->was_cut;
        story_end_at(w, n, good_end);
    }
    CU_ASSERT_TRUE(n > 10);
}

static void test_power_cut_at_any_point_of_a_self_update_ends_the_same(void)
{
    cut_everywhere(NULL, &good, true);
    cut_everywhere(&good, &better, true);
}

static void test_power_cut_at_any_point_of_a_trial_that_fails_ends_with_the_old_agent(void)
{
    cut_everywhere(&good, &crashing, false);
    cut_everywhere(&good, &hanging, false);
    cut_everywhere(&good, &mute, false);
    cut_everywhere(NULL, &mute, false);
}

static void test_power_cut_at_any_point_of_a_removal_ends_with_the_packaged_agent(void)
{
    bool cut = true;
    uint64_t n = 1;
    for (; cut && n < STORY_POINTS_MAX; n++) {
        struct device *d;
        struct world *w = begin(&d, &good);
        d->cut_at = d->points + n;
        CU_ASSERT_EQUAL(world_remove(w, "agent"), 0);
        world_run(w, 20000);
        bool good_end = story_rest(w) && runs(d, NULL) && is_over(d) && world_is_gone(d, "agent");
        cut = d->was_cut;
        story_end_at(w, n, good_end);
    }
    CU_ASSERT_TRUE(n > 5);
}

static void test_full_disk_at_any_write_of_a_self_update_puts_it_off(void)
{
    bool full = true;
    uint64_t n = 1;
    for (; full && n < STORY_POINTS_MAX; n++) {
        struct device *d;
        struct world *w = begin(&d, &good);
        d->disk.full_from = d->disk.writes + n;
        d->disk.full_for = 1;
        deploy(w, &better);
        world_run(w, 200000);
        bool good_end = story_rest(w) && took(w, d, "v2");
        full = d->disk.was_full;
        story_end_at(w, n, good_end);
    }
    CU_ASSERT_TRUE(n > 4);
}

static const struct suite_test tests[] = {
    TEST(test_first_agent_by_a_bundle_takes_over_from_the_packaged_one),
    TEST(test_agent_that_fails_gives_way_to_the_one_before),
    TEST(test_power_cut_at_any_point_of_a_self_update_ends_the_same),
    TEST(test_power_cut_at_any_point_of_a_trial_that_fails_ends_with_the_old_agent),
    TEST(test_power_cut_at_any_point_of_a_removal_ends_with_the_packaged_agent),
    TEST(test_full_disk_at_any_write_of_a_self_update_puts_it_off),
};

SUITE_MAIN("self update", tests)
