/* A manager that is put back from a backup, while the fleet went on. */
#include "test/story/story.h"

static const struct manager_counters *counters(const struct world *w)
{
    return manager_counters(w->control->core);
}

/* What happens between the backup and its restore: a version, a deployment, labels, a device. */
static struct device *go_on(struct world *w, struct device *moved)
{
    story_push(w, "app", "v2");
    story_push(w, "web", "v1");
    CU_ASSERT_EQUAL(world_deploy(w, "app", "v2", "env=prod"), 0);
    CU_ASSERT_EQUAL(world_deploy(w, "web", "v1", ""), 0);
    CU_ASSERT_EQUAL(world_label(w, moved, "env=lab", ""), 0);
    struct device *late = world_agent(w, "env=prod");
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_TRUE(world_runs(late, "app", "v2") && world_runs(moved, "web", "v1"));
    return late;
}

/* `d` runs what the backup says, and the manager knows. */
static bool is_back(const struct world *w, const struct device *d)
{
    return world_runs(d, "app", "v1") && world_is_gone(d, "web") &&
           world_state(w, d, "app", NULL) == STATE_READY &&
           strcmp(d->disk.assignment.labels.text, "env=prod") == 0;
}

static void test_restored_manager_brings_its_agents_back_to_what_it_wants(void)
{
    struct device *d;
    struct world *w = story_app_v1(&d, NULL);
    struct device *moved = world_agent(w, "env=prod");
    struct orphan orphans[ORPHANS_MAX];
    CU_ASSERT_TRUE(story_rest(w));
    struct rows *backup = world_backup(w);
    struct device *late = go_on(w, moved);
    world_restore(w, backup, 100);
    world_run(w, 120000); /* what the agents say next */
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_TRUE(is_back(w, d) && is_back(w, moved));
    CU_ASSERT_EQUAL(w->control->rows->epoch, 2);
    CU_ASSERT_EQUAL(counters(w)->alarms[ALARM_EPOCH_MOVED], 0);
    /* Who joined since is unknown, and said to be. It is still of its cohort, which it listens to.
     */
    CU_ASSERT_EQUAL(manager_orphans(w->control->core, stage_wall_s(&w->stage), orphans), 1);
    CU_ASSERT_TRUE(key_id_equal(&orphans[0].id, &late->disk.id));
    CU_ASSERT_TRUE(world_runs(late, "app", "v1"));
    rows_free(backup);
    story_end(w);
}

/* The second restore of one backup: agents hold documents of the first one's epoch, with higher or
 * lower numbers than the second one's. */
static void restore_twice(uint32_t first, uint32_t second)
{
    struct device *d;
    struct world *w = story_app_v1(&d, NULL);
    struct device *moved = world_agent(w, "env=prod");
    CU_ASSERT_TRUE(story_rest(w));
    struct rows *backup = world_backup(w);
    world_restore(w, backup, first);
    world_run(w, 60000);
    CU_ASSERT_TRUE(story_rest(w));
    go_on(w, moved);
    world_restore(w, backup, second);
    world_run(w, 120000);
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_TRUE(is_back(w, d) && is_back(w, moved));
    CU_ASSERT_EQUAL(w->control->rows->epoch, 3); /* one holds an assignment of the first time */
    CU_ASSERT_EQUAL(counters(w)->alarms[ALARM_EPOCH_MOVED], 1);
    CU_ASSERT_EQUAL(counters(w)->alarms[ALARM_CLONE], 0);
    rows_free(backup);
    story_end(w);
}

static void test_backup_that_is_restored_twice_is_ahead_of_the_first_time_at_last(void)
{
    restore_twice(1000, 5000);
    restore_twice(5000, 1000);
}

/* The file was copied back by hand: the fleet doesn't move, and the operator is told why. */
static void test_database_put_back_without_a_restore_raises_an_alarm(void)
{
    struct device *d;
    struct world *w = story_app_v1(&d, NULL);
    struct rows *backup = world_backup(w);
    story_push(w, "app", "v2");
    CU_ASSERT_EQUAL(world_deploy(w, "app", "v2", ""), 0);
    CU_ASSERT_TRUE(story_rest(w));
    control_kill(w->control, UINT64_MAX);
    control_put_back(w->control, backup);
    world_run(w, 600000);
    CU_ASSERT_TRUE(world_runs(d, "app", "v2"));
    CU_ASSERT_EQUAL(w->control->rows->epoch, 1);
    CU_ASSERT_EQUAL(counters(w)->alarms[ALARM_NEWER_DOCUMENT], 1);
    CU_ASSERT_EQUAL(world_state(w, d, "app", NULL), STATE_PENDING);
    story_end(w);
}

/* Generations begin anew with the epoch, but nothing is applied twice because of that. */
static void test_restore_runs_no_hooks_where_the_right_version_runs(void)
{
    struct device *d;
    struct world *w = story_app_v1(&d, NULL);
    struct rows *backup = world_backup(w);
    uint32_t hooks = d->past.hooks_run;
    world_restore(w, backup, 100);
    world_run(w, 120000);
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_TRUE(is_back(w, d));
    CU_ASSERT_EQUAL(d->past.hooks_run, hooks);
    CU_ASSERT_TRUE(d->disk.held[0].running.generation > GENERATIONS_PER_EPOCH);
    /* And the next version has a newer one still. */
    story_push(w, "app", "v3");
    CU_ASSERT_EQUAL(world_deploy(w, "app", "v3", "env=prod"), 0);
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_TRUE(world_runs(d, "app", "v3"));
    rows_free(backup);
    story_end(w);
}

/* A deployment that the restored manager has forgotten gives its number to another one, while a
 * device that runs it is away. */
static void test_number_of_a_forgotten_deployment_is_given_again(void)
{
    struct device *d;
    struct world *w = story_app_v1(&d, NULL);
    struct rows *backup = world_backup(w);
    story_push(w, "web", "v1");
    CU_ASSERT_EQUAL(world_deploy(w, "web", "v1", ""), 0);
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_TRUE(world_runs(d, "web", "v1"));
    device_cut_power(d, UINT64_MAX);
    world_restore(w, backup, 100);
    world_run(w, 5000);
    story_push(w, "db", "v1");
    CU_ASSERT_EQUAL(world_deploy(w, "db", "v1", ""), 0);
    world_run(w, 5000);
    device_start(d);
    world_run(w, 60000);
    CU_ASSERT_TRUE(story_rest(w));
    CU_ASSERT_TRUE(world_runs(d, "db", "v1") && world_is_gone(d, "web"));
    rows_free(backup);
    story_end(w);
}

/* Tokens that were made before the backup may have been used since. */
static void test_restore_takes_old_tokens_back(void)
{
    struct device *d;
    struct world *w = story_app_v1(&d, NULL);
    int batch = world_tokens(w, "env=prod", 2);
    struct rows *backup = world_backup(w);
    struct token token = control_token(w->control, (uint32_t)batch, 0);
    world_restore(w, backup, 100);
    world_run(w, 5000);
    struct device *late = world_device(w, &token);
    world_run(w, 60000);
    CU_ASSERT_EQUAL(late->refused, JOINED_REVOKED);
    rows_free(backup);
    story_end(w);
}

/* A restore of what was restored before, with the manager killed at the n-th point of what follows.
 */
static bool killed_while_learning(uint64_t n)
{
    struct device *d;
    struct world *w = story_app_v1(&d, NULL);
    struct device *moved = world_agent(w, "env=prod");
    world_run(w, 10000);
    struct rows *backup = world_backup(w);
    world_restore(w, backup, 5000);
    world_run(w, 60000);
    go_on(w, moved);
    world_restore(w, backup, 1000);
    w->control->kill_at = w->control->points + n;
    world_run(w, 180000);
    bool killed = w->control->was_killed;
    bool good = story_rest(w) && is_back(w, d) && is_back(w, moved) && w->control->rows->epoch == 3;
    rows_free(backup);
    story_end_at(w, n, good);
    return killed;
}

static void test_manager_killed_at_any_point_after_a_restore_learns_all_the_same(void)
{
    for (uint64_t n = 1; n < 60 && killed_while_learning(n); n++)
        ;
}

static const struct suite_test tests[] = {
    TEST(test_restored_manager_brings_its_agents_back_to_what_it_wants),
    TEST(test_backup_that_is_restored_twice_is_ahead_of_the_first_time_at_last),
    TEST(test_database_put_back_without_a_restore_raises_an_alarm),
    TEST(test_restore_runs_no_hooks_where_the_right_version_runs),
    TEST(test_number_of_a_forgotten_deployment_is_given_again),
    TEST(test_restore_takes_old_tokens_back),
    TEST(test_manager_killed_at_any_point_after_a_restore_learns_all_the_same),
};

SUITE_MAIN("restoring", tests)
