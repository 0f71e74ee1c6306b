#include "test/story/story.h"

/* What is done while the power goes, and what must be so when all is at rest again. */
struct scene {
    const struct script *next; /* app@v2 */
    bool fresh;                /* the device runs nothing yet */
    void (*begin)(struct world *w);
    bool (*ended_well)(const struct world *w, const struct device *d);
};

static void ask_for_v1(struct world *w)
{
    CU_ASSERT_EQUAL(world_deploy(w, "app", "v1", "env=prod"), 0);
}

static void ask_for_v2(struct world *w)
{
    CU_ASSERT_EQUAL(world_deploy(w, "app", "v2", "env=prod"), 0);
}

static void take_away(struct world *w)
{
    CU_ASSERT_EQUAL(world_remove(w, "app"), 0);
}

static bool runs_v1(const struct world *w, const struct device *d)
{
    return world_runs(d, "app", "v1") && world_state(w, d, "app", NULL) == STATE_READY;
}

static bool runs_v2(const struct world *w, const struct device *d)
{
    return world_runs(d, "app", "v2") && world_state(w, d, "app", NULL) == STATE_READY;
}

static bool went_back(const struct world *w, const struct device *d)
{
    enum cause cause = CAUSE_NONE;
    return world_runs(d, "app", "v1") && world_state(w, d, "app", &cause) == STATE_ROLLED_BACK &&
           cause == CAUSE_HEALTH;
}

static bool is_gone(const struct world *w, const struct device *d)
{
    return world_is_gone(d, "app") && d->disk.trees.count == 0 && d->disk.chunks.count == 0 &&
           world_count(w, "hook remove app app@v1") >= 1;
}

static const struct script good_v2 = {.name = "app", .version = "v2"};
static const struct script sick_v2 = {
    .name = "app", .version = "v2", .fails = 1u << HOOK_HEALTH, .deadline_s = 12};

static const struct scene install = {.fresh = true, .begin = ask_for_v1, .ended_well = runs_v1};
static const struct scene update = {.next = &good_v2, .begin = ask_for_v2, .ended_well = runs_v2};
static const struct scene rollback = {
    .next = &sick_v2, .begin = ask_for_v2, .ended_well = went_back};
static const struct scene removal = {.begin = take_away, .ended_well = is_gone};

static struct world *set_scene(const struct scene *s, struct device **d)
{
    if (!s->fresh)
        return story_app_v1(d, s->next);
    struct world *w = world_new(NULL);
    *d = world_agent(w, "env=prod");
    story_push(w, "app", "v1");
    return w;
}

static void cut_everywhere(const struct scene *s, uint64_t off_ms)
{
    bool cut = true;
    uint64_t n = 1;
    for (; cut && n < STORY_POINTS_MAX; n++) {
        struct device *d;
        struct world *w = set_scene(s, &d);
        d->cut_at = d->points + n;
        d->off_ms = off_ms;
        s->begin(w);
        world_run(w, 20000);
        bool good = story_rest(w) && s->ended_well(w, d);
        cut = d->was_cut;
        story_end_at(w, n, good);
    }
    CU_ASSERT_TRUE(n > 10);
}

static void test_power_cut_at_any_point_of_an_install_ends_the_same(void)
{
    cut_everywhere(&install, DEVICE_OFF_MS);
}

static void test_power_cut_at_any_point_of_an_update_ends_the_same(void)
{
    cut_everywhere(&update, DEVICE_OFF_MS);
    cut_everywhere(&update, 100000); /* long enough for the broker to notice */
}

static void test_power_cut_at_any_point_of_a_rollback_ends_the_same(void)
{
    cut_everywhere(&rollback, DEVICE_OFF_MS);
}

static void test_power_cut_at_any_point_of_a_removal_ends_the_same(void)
{
    cut_everywhere(&removal, DEVICE_OFF_MS);
}

/* ---- full disks ---- */

static void fill_everywhere(const struct scene *s, uint64_t writes)
{
    bool full = true;
    uint64_t n = 1;
    for (; full && n < STORY_POINTS_MAX; n++) {
        struct device *d;
        struct world *w = set_scene(s, &d);
        d->disk.full_from = d->disk.writes + n;
        d->disk.full_for = writes;
        s->begin(w);
        world_run(w, 200000);
        bool good = story_rest(w) && s->ended_well(w, d);
        full = d->disk.was_full;
        story_end_at(w, n, good);
    }
    CU_ASSERT_TRUE(n > 4);
}

static void test_full_disk_at_any_write_puts_off_and_ends_the_same(void)
{
    fill_everywhere(&install, 1);
    fill_everywhere(&update, 1);
    fill_everywhere(&rollback, 1);
    fill_everywhere(&removal, 1);
}

static void test_disk_that_stays_full_from_any_write_on_ends_the_same_when_space_returns(void)
{
    fill_everywhere(&install, 12);
    fill_everywhere(&update, 12);
    fill_everywhere(&rollback, 12);
    fill_everywhere(&removal, 12);
}

static void test_device_with_a_full_disk_says_why_it_waits(void)
{
    struct device *d;
    enum cause cause = CAUSE_NONE;
    struct world *w = story_app_v1(&d, &good_v2);
    d->disk.full_from = d->disk.writes + 2; /* the document still fits */
    d->disk.full_for = UINT64_MAX / 2;
    ask_for_v2(w);
    world_run(w, 90000);
    CU_ASSERT_TRUE(world_runs(d, "app", "v1"));
    CU_ASSERT_EQUAL(world_state(w, d, "app", &cause), STATE_PENDING);
    CU_ASSERT_EQUAL(cause, CAUSE_DISK);
    d->disk.full_for = 0;
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_TRUE(runs_v2(w, d));
    story_end(w);
}

/* ---- crash loops ---- */

static void test_version_that_takes_the_device_down_is_given_up(void)
{
    static const struct script fatal = {.name = "app", .version = "v2", .crashes = true};
    struct device *d;
    enum cause cause = CAUSE_NONE;
    struct world *w = story_app_v1(&d, &fatal);
    ask_for_v2(w);
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_EQUAL(world_state(w, d, "app", &cause), STATE_ROLLED_BACK);
    CU_ASSERT_EQUAL(cause, CAUSE_CRASHES);
    CU_ASSERT_TRUE(world_runs(d, "app", "v1"));
    CU_ASSERT_EQUAL(d->past.boots, 2 + AGENT_ATTEMPTS_MAX); /* to join, to run, and crashes */
    story_end(w);
}

static void test_version_that_failed_is_not_tried_again(void)
{
    struct device *d;
    struct world *w = story_app_v1(&d, &sick_v2);
    ask_for_v2(w);
    CU_ASSERT_TRUE(story_rest(w));
    unsigned tries = world_count(w, "hook apply app app@v2");
    device_cut_power(d, 1000);
    world_run(w, 200000);
    CU_ASSERT_EQUAL(tries, 1);
    CU_ASSERT_EQUAL(world_count(w, "hook apply app app@v2"), tries);
    story_end(w);
}

static const struct suite_test tests[] = {
    TEST(test_power_cut_at_any_point_of_an_install_ends_the_same),
    TEST(test_power_cut_at_any_point_of_an_update_ends_the_same),
    TEST(test_power_cut_at_any_point_of_a_rollback_ends_the_same),
    TEST(test_power_cut_at_any_point_of_a_removal_ends_the_same),
    TEST(test_full_disk_at_any_write_puts_off_and_ends_the_same),
    TEST(test_disk_that_stays_full_from_any_write_on_ends_the_same_when_space_returns),
    TEST(test_device_with_a_full_disk_says_why_it_waits),
    TEST(test_version_that_takes_the_device_down_is_given_up),
    TEST(test_version_that_failed_is_not_tried_again),
};

SUITE_MAIN("power cuts", tests)
