#include "test/story/story.h"

/* Other values that go by a deployment's stages: one agent for staging, two for prod, where an
 * operator has to agree. */
#define AGENTS 3
static const char *const labels[AGENTS] = {"env=staging", "env=prod", "env=prod"};

struct cast {
    struct world *w;
    struct device *d[AGENTS];
    uint64_t first; /* the values that they begin with, by name */
};

static const struct script versions[] = {{.name = "app", .version = "v1", .needs = "port"},
                                         {.name = "app", .version = "v2", .needs = "port"}};

static struct plan two_stages(void)
{
    struct plan p = PLAN_DEFAULT;
    p.count = 2;
    p.reachable_within_s = 30;
    p.stages[0] = (struct plan_stage){.name = "staging", .selector = "env=staging"};
    p.stages[1] = (struct plan_stage){.name = "prod", .before = {.approval = true}};
    return p;
}

static int set_for(struct world *w, const char *value, const char *select, bool at_once)
{
    const struct setting setting = {.name = "port", .value = value};
    struct command c = {.type = COMMAND_VARIABLE_SET};
    c.variable.settings = &setting;
    c.variable.count = 1;
    c.variable.scope = select ? SCOPE_SELECTOR : SCOPE_ALL;
    c.variable.where = select ? select : "";
    c.variable.at_once = at_once;
    return world_deploy_with(w, &c);
}

static int set(struct world *w, const char *value)
{
    return set_for(w, value, NULL, false);
}

/* `port` is what the file says; NULL: it says nothing of it. */
static int deploy(struct world *w, const char *version, const struct plan *plan, const char *port)
{
    const struct setting setting = {.name = "port", .value = port};
    struct command c = {.type = COMMAND_DEPLOY};
    c.deploy.name = c.deploy.bundle = "app";
    c.deploy.version = version;
    c.deploy.selector = "";
    c.deploy.all = true;
    c.deploy.salt = 42;
    c.deploy.plan = plan;
    c.deploy.settings = port ? &setting : NULL;
    c.deploy.setting_count = port ? 1 : 0;
    return world_deploy_with(w, &c);
}

static int steer(struct world *w, enum command_type type, const char *stage)
{
    struct command c = {.type = type, .deployment = {.name = "app", .stage = stage}};
    return world_deploy_with(w, &c);
}

static const struct rollout *rollout_of(const struct world *w)
{
    return &manager_deployment(w->control->core, 0)->rollout;
}

static bool waits_for_prod(const struct world *w, const void *unused)
{
    (void)unused;
    return w->control->running && rollout_of(w)->state == ROLLOUT_RUNNING &&
           rollout_of(w)->stage == 1 && rollout_of(w)->step == ROLLOUT_OPENING;
}

static bool is_done(const struct world *w, const void *unused)
{
    (void)unused;
    return w->control->running && rollout_of(w)->state == ROLLOUT_DONE;
}

static uint64_t values(const struct device *d)
{
    return d->disk.held[0].running.variables;
}

static bool has_settled(const struct cast *c, int agent, uint64_t values_wanted)
{
    const struct held *row = &c->d[agent]->disk.held[0];
    return row->phase == PHASE_SETTLED && row->running.variables == values_wanted;
}

/* All run v1 with port 80, by `plan`. */
static struct cast begin(const struct plan *plan)
{
    struct cast c = {.w = world_new(NULL)};
    for (int i = 0; i < AGENTS; i++)
        c.d[i] = world_agent(c.w, labels[i]);
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++)
        CU_ASSERT_TRUE(world_push(c.w, &versions[i]) >= 0);
    CU_ASSERT_EQUAL(set(c.w, "80"), 0);
    CU_ASSERT_EQUAL(deploy(c.w, "v1", &(struct plan){0}, NULL), 0);
    CU_ASSERT_TRUE(story_rest(c.w));
    CU_ASSERT_EQUAL(deploy(c.w, "v1", plan, NULL), 0);
    CU_ASSERT_TRUE(story_rest(c.w));
    c.first = values(c.d[0]);
    CU_ASSERT_TRUE(c.first != 0 && values(c.d[1]) == c.first && values(c.d[2]) == c.first);
    return c;
}

static void test_another_value_comes_to_one_stage_after_the_other(void)
{
    struct plan p = two_stages();
    struct cast c = begin(&p);
    unsigned applied = world_count(c.w, "hook apply app app@v1");
    CU_ASSERT_EQUAL(set(c.w, "81"), 0);
    CU_ASSERT_TRUE(world_run_until(c.w, waits_for_prod, NULL, STORY_MS_MAX));
    uint64_t second = values(c.d[0]);
    CU_ASSERT_NOT_EQUAL(second, c.first);
    world_run(c.w, 120000);
    CU_ASSERT_TRUE(has_settled(&c, 1, c.first) && has_settled(&c, 2, c.first));
    CU_ASSERT_EQUAL(world_state(c.w, c.d[1], "app", NULL), STATE_READY);
    CU_ASSERT_EQUAL(world_count(c.w, "hook apply app app@v1"), applied + 1);
    CU_ASSERT_EQUAL(steer(c.w, COMMAND_APPROVE, "prod"), 0);
    CU_ASSERT_TRUE(world_run_until(c.w, is_done, NULL, STORY_MS_MAX));
    CU_ASSERT_TRUE(story_rest(c.w));
    CU_ASSERT_TRUE(has_settled(&c, 1, second) && has_settled(&c, 2, second));
    CU_ASSERT_EQUAL(world_count(c.w, "hook apply app app@v1"), applied + AGENTS);
    CU_ASSERT_EQUAL(set(c.w, "81"), 1);
    CU_ASSERT_EQUAL(manager_generation(c.w->control->core, 0), 2);
    story_end(c.w);
}

static void test_rolling_back_on_the_way_brings_the_value_before_back(void)
{
    struct plan p = two_stages();
    struct cast c = begin(&p);
    unsigned applied = world_count(c.w, "hook apply app app@v1");
    set(c.w, "81");
    CU_ASSERT_TRUE(world_run_until(c.w, waits_for_prod, NULL, STORY_MS_MAX));
    CU_ASSERT_EQUAL(world_rollback(c.w, "app"), 0);
    CU_ASSERT_TRUE(story_rest(c.w));
    for (int i = 0; i < AGENTS; i++)
        CU_ASSERT_TRUE(has_settled(&c, i, c.first));
    CU_ASSERT_EQUAL(world_count(c.w, "hook apply app app@v1"), applied + 2);
    world_run(c.w, 120000); /* and it stays so, also over a restart */
    control_kill(c.w->control, 1000);
    world_run(c.w, 120000);
    CU_ASSERT_TRUE(story_rest(c.w) && has_settled(&c, 0, c.first));
    /* The next change brings what is set by then. */
    CU_ASSERT_EQUAL(set(c.w, "82"), 0);
    CU_ASSERT_TRUE(world_run_until(c.w, waits_for_prod, NULL, STORY_MS_MAX));
    CU_ASSERT_TRUE(values(c.d[0]) != c.first && has_settled(&c, 1, c.first));
    story_end(c.w);
}

static void
test_rolling_back_afterwards_brings_it_back_everywhere_and_deploying_again_the_new_one(void)
{
    struct plan p = two_stages();
    struct cast c = begin(&p);
    set(c.w, "81");
    CU_ASSERT_TRUE(world_run_until(c.w, waits_for_prod, NULL, STORY_MS_MAX));
    steer(c.w, COMMAND_APPROVE, "prod");
    CU_ASSERT_TRUE(world_run_until(c.w, is_done, NULL, STORY_MS_MAX) && story_rest(c.w));
    uint64_t second = values(c.d[0]);
    CU_ASSERT_EQUAL(world_rollback(c.w, "app"), 0);
    CU_ASSERT_TRUE(story_rest(c.w));
    for (int i = 0; i < AGENTS; i++)
        CU_ASSERT_TRUE(has_settled(&c, i, c.first));
    CU_ASSERT_EQUAL(deploy(c.w, "v1", NULL, NULL), 0);
    CU_ASSERT_TRUE(world_run_until(c.w, waits_for_prod, NULL, STORY_MS_MAX));
    CU_ASSERT_TRUE(has_settled(&c, 0, second) && has_settled(&c, 1, c.first));
    story_end(c.w);
}

/* For whom nothing changes, it is a number to take, and no hook runs. */
static void test_a_value_for_some_is_applied_by_these_alone(void)
{
    struct plan p = two_stages();
    struct cast c = begin(&p);
    unsigned applied = world_count(c.w, "hook apply app app@v1");
    CU_ASSERT_EQUAL(set_for(c.w, "81", "env=prod", false), 0);
    CU_ASSERT_TRUE(world_run_until(c.w, waits_for_prod, NULL, STORY_MS_MAX));
    world_run(c.w, 60000);
    CU_ASSERT_EQUAL(world_count(c.w, "hook apply app app@v1"), applied);
    CU_ASSERT_EQUAL(steer(c.w, COMMAND_APPROVE, "prod"), 0);
    CU_ASSERT_TRUE(world_run_until(c.w, is_done, NULL, STORY_MS_MAX) && story_rest(c.w));
    CU_ASSERT_TRUE(has_settled(&c, 0, c.first));
    CU_ASSERT_TRUE(values(c.d[1]) != c.first && has_settled(&c, 2, values(c.d[1])));
    CU_ASSERT_EQUAL(world_count(c.w, "hook apply app app@v1"), applied + 2);
    story_end(c.w);
}

/* What a file sets goes the same way, alone and with a version. */
static void test_a_files_values_go_by_its_stages(void)
{
    struct plan p = two_stages();
    struct cast c = begin(&p);
    struct command unset = {.type = COMMAND_VARIABLE_UNSET};
    const struct setting port = {.name = "port", .value = ""};
    unset.variable.settings = &port;
    unset.variable.count = 1;
    unset.variable.scope = SCOPE_ALL;
    unset.variable.where = "";
    CU_ASSERT_EQUAL(deploy(c.w, "v1", NULL, "80"), 0);
    CU_ASSERT_EQUAL(world_deploy_with(c.w, &unset), 0);
    CU_ASSERT_TRUE(story_rest(c.w));
    CU_ASSERT_EQUAL(manager_generation(c.w->control->core, 0), 1); /* it is the same value */
    CU_ASSERT_EQUAL(deploy(c.w, "v1", NULL, "81"), 0);
    CU_ASSERT_TRUE(world_run_until(c.w, waits_for_prod, NULL, STORY_MS_MAX));
    CU_ASSERT_TRUE(values(c.d[0]) != c.first && has_settled(&c, 1, c.first));
    CU_ASSERT_EQUAL(deploy(c.w, "v1", NULL, "81"), 1);
    CU_ASSERT_EQUAL(deploy(c.w, "v1", NULL, "80"), 0); /* it takes it back by stages */
    CU_ASSERT_TRUE(world_run_until(c.w, waits_for_prod, NULL, STORY_MS_MAX));
    CU_ASSERT_TRUE(has_settled(&c, 0, c.first) && has_settled(&c, 1, c.first));
    story_end(c.w);
}

/* In no moment somebody runs the one with what belongs to the other. */
static bool is_no_mix(const struct cast *c, uint64_t second)
{
    for (int i = 0; i < AGENTS; i++) {
        bool v1 = world_runs(c->d[i], "app", "v1"), v2 = world_runs(c->d[i], "app", "v2");
        if ((v1 && values(c->d[i]) != c->first) || (v2 && second && values(c->d[i]) != second))
            return false;
    }
    return true;
}

static void test_a_version_and_its_values_come_and_go_together(void)
{
    struct plan p = two_stages();
    struct cast c = begin(&p);
    uint64_t second = 0;
    bool mixed = false;
    CU_ASSERT_EQUAL(set_for(c.w, "80", "env", false), 0); /* stronger, and the same */
    CU_ASSERT_EQUAL(deploy(c.w, "v2", NULL, NULL), 0);
    CU_ASSERT_TRUE(world_run_until(c.w, waits_for_prod, NULL, STORY_MS_MAX));
    CU_ASSERT_TRUE(world_runs(c.d[0], "app", "v2") && values(c.d[0]) == c.first);
    CU_ASSERT_EQUAL(set_for(c.w, "81", "env", false), 0); /* supersedes: v2 with 81 */
    for (int i = 0; i < 2000; i++) {
        world_run(c.w, 50);
        if (waits_for_prod(c.w, NULL) && values(c.d[0]) != c.first)
            second = values(c.d[0]);
        mixed |= !world_runs(c.d[1], "app", "v1") || values(c.d[1]) != c.first;
    }
    CU_ASSERT_TRUE(second != 0 && !mixed && world_runs(c.d[0], "app", "v2"));
    steer(c.w, COMMAND_APPROVE, "prod");
    for (int i = 0; i < 2000; i++) {
        world_run(c.w, 50);
        mixed |= !is_no_mix(&c, second);
    }
    CU_ASSERT_FALSE(mixed);
    CU_ASSERT_TRUE(world_runs(c.d[2], "app", "v2") && has_settled(&c, 2, second));
    CU_ASSERT_EQUAL(world_rollback(c.w, "app"), 0); /* one change back: v2 as it came first */
    CU_ASSERT_TRUE(story_rest(c.w));
    CU_ASSERT_TRUE(world_runs(c.d[0], "app", "v2") && has_settled(&c, 0, c.first));
    struct command c1 = {.type = COMMAND_ROLLBACK, .deployment = {.name = "app", .version = "v1"}};
    CU_ASSERT_EQUAL(world_deploy_with(c.w, &c1), 0);
    CU_ASSERT_TRUE(story_rest(c.w));
    CU_ASSERT_TRUE(world_runs(c.d[1], "app", "v1") && has_settled(&c, 1, c.first));
    story_end(c.w);
}

static void test_what_is_set_at_once_passes_all_stages_and_no_rollback_undoes_it(void)
{
    struct plan p = two_stages();
    struct cast c = begin(&p);
    set(c.w, "81");
    CU_ASSERT_TRUE(world_run_until(c.w, waits_for_prod, NULL, STORY_MS_MAX));
    CU_ASSERT_EQUAL(set_for(c.w, "99", NULL, true), 0);
    CU_ASSERT_TRUE(story_rest(c.w));
    uint64_t third = values(c.d[0]);
    CU_ASSERT_TRUE(third != c.first && has_settled(&c, 1, third) && has_settled(&c, 2, third));
    CU_ASSERT_TRUE(waits_for_prod(c.w, NULL)); /* the rollout goes on, and makes no difference */
    CU_ASSERT_EQUAL(world_rollback(c.w, "app"), 0);
    CU_ASSERT_TRUE(story_rest(c.w));
    for (int i = 0; i < AGENTS; i++)
        CU_ASSERT_TRUE(has_settled(&c, i, third));
    CU_ASSERT_EQUAL(set_for(c.w, "99", NULL, true), 1);
    story_end(c.w);
}

/* What came before at once is forgotten: neither list nor disk has it. */
static void test_values_that_no_version_has_are_forgotten(void)
{
    struct plan p = two_stages();
    struct cast c = begin(&p);
    const struct variable_text *text;
    uint32_t kept = 0;
    set(c.w, "81");
    set(c.w, "82");
    set_for(c.w, "99", NULL, true);
    CU_ASSERT_TRUE(story_rest(c.w));
    control_kill(c.w->control, 1000);
    CU_ASSERT_TRUE(story_rest(c.w));
    for (uint32_t i = 0; i < manager_variable_count(c.w->control->core); i++) {
        const struct variable_row *v = manager_variable(c.w->control->core, i, &text);
        kept += v->scope != SCOPE_NONE;
        CU_ASSERT_TRUE(v->scope == SCOPE_NONE ? text->value[0] == 0
                                              : memcmp(text->value, "99", 2) == 0);
    }
    CU_ASSERT_EQUAL(kept, 1);
    story_end(c.w);
}

static void test_a_device_that_joins_on_the_way_gets_the_value_of_its_stage(void)
{
    struct plan p = two_stages();
    struct cast c = begin(&p);
    set(c.w, "81");
    CU_ASSERT_TRUE(world_run_until(c.w, waits_for_prod, NULL, STORY_MS_MAX));
    struct device *late = world_agent(c.w, "env=prod");
    struct device *tester = world_agent(c.w, "env=staging");
    world_run(c.w, 120000);
    CU_ASSERT_TRUE(world_runs(late, "app", "v1") && values(late) == c.first);
    CU_ASSERT_TRUE(world_runs(tester, "app", "v1") && values(tester) == values(c.d[0]));
    story_end(c.w);
}

/* Labels that nobody had when the values were of the moment. */
static void test_new_labels_have_the_value_that_was_set_for_them(void)
{
    struct plan p = two_stages();
    struct cast c = begin(&p);
    CU_ASSERT_EQUAL(set_for(c.w, "4711", "env=lab", false), 0);
    CU_ASSERT_TRUE(story_rest(c.w));
    CU_ASSERT_EQUAL(manager_generation(c.w->control->core, 0), 1); /* nobody's value is another */
    struct device *lab = world_agent(c.w, "env=lab");
    CU_ASSERT_TRUE(story_rest(c.w));
    CU_ASSERT_TRUE(world_runs(lab, "app", "v1") && values(lab) != c.first);
    story_end(c.w);
}

static void test_what_waits_in_the_queue_comes_when_the_rollout_is_over(void)
{
    struct plan p = two_stages();
    p.overlap = OVERLAP_QUEUE;
    struct cast c = begin(&p);
    CU_ASSERT_EQUAL(set(c.w, "81"), 0);
    CU_ASSERT_TRUE(world_run_until(c.w, waits_for_prod, NULL, STORY_MS_MAX));
    uint64_t second = values(c.d[0]);
    CU_ASSERT_EQUAL(set(c.w, "82"), 0);
    world_run(c.w, 120000);
    CU_ASSERT_TRUE(manager_values_wait(c.w->control->core, 0));
    CU_ASSERT_TRUE(has_settled(&c, 0, second) && has_settled(&c, 1, c.first));
    steer(c.w, COMMAND_APPROVE, "prod");
    world_run(c.w, 120000);
    CU_ASSERT_TRUE(world_run_until(c.w, waits_for_prod, NULL, STORY_MS_MAX));
    CU_ASSERT_TRUE(values(c.d[0]) != second && has_settled(&c, 1, second));
    CU_ASSERT_FALSE(manager_values_wait(c.w->control->core, 0));
    story_end(c.w);
}

static void test_what_a_plan_refuses_on_the_way_changes_nothing(void)
{
    struct plan p = two_stages();
    p.overlap = OVERLAP_REFUSE;
    struct cast c = begin(&p);
    CU_ASSERT_EQUAL(set(c.w, "81"), 0);
    CU_ASSERT_TRUE(world_run_until(c.w, waits_for_prod, NULL, STORY_MS_MAX));
    uint64_t second = values(c.d[0]);
    CU_ASSERT_EQUAL(set(c.w, "82"), ERR_BUSY);
    CU_ASSERT_EQUAL(deploy(c.w, "v1", NULL, "83"), ERR_BUSY);
    CU_ASSERT_EQUAL(set(c.w, "81"), 1);
    CU_ASSERT_EQUAL(set_for(c.w, "5", "env=lab", false), 0); /* for nobody */
    CU_ASSERT_EQUAL(steer(c.w, COMMAND_ABORT, NULL), 0);
    CU_ASSERT_EQUAL(set(c.w, "80"), 0); /* the remedy */
    CU_ASSERT_TRUE(world_run_until(c.w, waits_for_prod, NULL, STORY_MS_MAX));
    CU_ASSERT_TRUE(second != c.first && has_settled(&c, 0, c.first) && has_settled(&c, 1, c.first));
    story_end(c.w);
}

/* Who has it keeps it, and other values don't begin it anew. */
static void test_a_version_that_was_aborted_is_not_begun_by_other_values(void)
{
    struct plan p = two_stages();
    struct cast c = begin(&p);
    deploy(c.w, "v2", NULL, NULL);
    CU_ASSERT_TRUE(world_run_until(c.w, waits_for_prod, NULL, STORY_MS_MAX));
    steer(c.w, COMMAND_ABORT, NULL);
    CU_ASSERT_EQUAL(set(c.w, "81"), 0);
    world_run(c.w, 120000);
    CU_ASSERT_EQUAL(rollout_of(c.w)->state, ROLLOUT_ABORTED);
    CU_ASSERT_TRUE(has_settled(&c, 0, c.first) && has_settled(&c, 1, c.first));
    CU_ASSERT_EQUAL(world_rollback(c.w, "app"), 0); /* then they come, to v1 */
    CU_ASSERT_TRUE(world_run_until(c.w, waits_for_prod, NULL, STORY_MS_MAX));
    CU_ASSERT_TRUE(world_runs(c.d[0], "app", "v1") && values(c.d[0]) != c.first);
    CU_ASSERT_TRUE(has_settled(&c, 1, c.first));
    story_end(c.w);
}

/* Killed at the n-th commit or word, all goes on where it was. */
static bool roll_out_killed_at(uint64_t n)
{
    struct plan p = two_stages();
    struct cast c = begin(&p);
    struct control *control = c.w->control;
    control->kill_at = control->points + n;
    while (set(c.w, "81") == ERR_TIMEOUT)
        world_run(c.w, 5000);
    bool good = world_run_until(c.w, waits_for_prod, NULL, STORY_MS_MAX);
    uint64_t second = values(c.d[0]);
    good &= second != c.first && has_settled(&c, 1, c.first) && has_settled(&c, 2, c.first);
    while (steer(c.w, COMMAND_APPROVE, "prod") == ERR_TIMEOUT)
        world_run(c.w, 5000);
    good &= world_run_until(c.w, is_done, NULL, STORY_MS_MAX) && story_rest(c.w) &&
            has_settled(&c, 1, second) && has_settled(&c, 2, second);
    good &= manager_generation(control->core, 0) == 2;
    bool killed = control->was_killed;
    story_end_at(c.w, n, good);
    return killed;
}

static void test_manager_killed_at_any_point_goes_on_where_it_was(void)
{
    CU_ASSERT_TRUE(story_points(roll_out_killed_at) > 15);
}

static const struct suite_test tests[] = {
    TEST(test_another_value_comes_to_one_stage_after_the_other),
    TEST(test_rolling_back_on_the_way_brings_the_value_before_back),
    TEST(test_rolling_back_afterwards_brings_it_back_everywhere_and_deploying_again_the_new_one),
    TEST(test_a_value_for_some_is_applied_by_these_alone),
    TEST(test_a_files_values_go_by_its_stages),
    TEST(test_a_version_and_its_values_come_and_go_together),
    TEST(test_what_is_set_at_once_passes_all_stages_and_no_rollback_undoes_it),
    TEST(test_values_that_no_version_has_are_forgotten),
    TEST(test_a_device_that_joins_on_the_way_gets_the_value_of_its_stage),
    TEST(test_new_labels_have_the_value_that_was_set_for_them),
    TEST(test_what_waits_in_the_queue_comes_when_the_rollout_is_over),
    TEST(test_what_a_plan_refuses_on_the_way_changes_nothing),
    TEST(test_a_version_that_was_aborted_is_not_begun_by_other_values),
    TEST(test_manager_killed_at_any_point_goes_on_where_it_was),
};

SUITE_MAIN("value stages", tests)
