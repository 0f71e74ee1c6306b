#include "test/plans.h"
#include "test/story/story.h"

/* Two agents for staging, one canary, three for prod. */
#define AGENTS 6
static const char *const labels[AGENTS] = {"env=staging", "env=staging", "env=canary",
                                           "env=prod",    "env=prod",    "env=prod"};

struct cast {
    struct world *w;
    struct device *d[AGENTS];
};

static const struct rollout *rollout_of(const struct world *w)
{
    return &manager_deployment(w->control->core, 0)->rollout;
}

static int deploy(struct world *w, const char *version, const struct plan *plan)
{
    struct command c = {.type = COMMAND_DEPLOY};
    c.deploy.name = c.deploy.bundle = "app";
    c.deploy.version = version;
    c.deploy.selector = "";
    c.deploy.all = true;
    c.deploy.salt = 42;
    c.deploy.plan = plan;
    return world_deploy_with(w, &c);
}

static int steer(struct world *w, enum command_type type, const char *stage)
{
    struct command c = {.type = type, .deployment = {.name = "app", .stage = stage}};
    return world_deploy_with(w, &c);
}

static struct plan three_stages(void)
{
    return plan_three_stages(2);
}

/* Everybody runs v1, which came in stages; and v2 is as `next` says. */
static struct cast begin(const struct plan *plan, const struct script *next)
{
    struct cast c = {.w = world_new(NULL)};
    for (int i = 0; i < AGENTS; i++)
        c.d[i] = world_agent(c.w, labels[i]);
    story_push(c.w, "app", "v1");
    CU_ASSERT_EQUAL(world_push(c.w, next), 0);
    CU_ASSERT_EQUAL(deploy(c.w, "v1", &(struct plan){0}), 0);
    CU_ASSERT_TRUE(story_rest(c.w));
    CU_ASSERT_EQUAL(deploy(c.w, "v1", plan), 0);
    return c;
}

static const struct script good_v2 = {.name = "app", .version = "v2"};

static unsigned count_running(const struct cast *c, const char *version)
{
    unsigned count = 0;
    for (int i = 0; i < AGENTS; i++)
        count += world_runs(c->d[i], "app", version);
    return count;
}

static bool waits_for_prod(const struct world *w, const void *unused)
{
    (void)unused;
    return w->control->running && rollout_of(w)->stage == 2 &&
           rollout_of(w)->step == ROLLOUT_OPENING;
}

static bool is_done(const struct world *w, const void *unused)
{
    (void)unused;
    return w->control->running && rollout_of(w)->state == ROLLOUT_DONE;
}

static void test_version_comes_to_one_stage_after_the_other(void)
{
    struct plan p = three_stages();
    struct cast c = begin(&p, &good_v2);
    CU_ASSERT_EQUAL(deploy(c.w, "v2", NULL), 0);
    CU_ASSERT_TRUE(world_run_until(c.w, waits_for_prod, NULL, STORY_MS_MAX));
    CU_ASSERT_TRUE(world_runs(c.d[0], "app", "v2") && world_runs(c.d[1], "app", "v2"));
    CU_ASSERT_TRUE(world_runs(c.d[2], "app", "v2"));
    world_run(c.w, 60000);
    CU_ASSERT_EQUAL(count_running(&c, "v1"), 3);
    CU_ASSERT_EQUAL(world_state(c.w, c.d[3], "app", NULL), STATE_READY);
    CU_ASSERT_EQUAL(steer(c.w, COMMAND_APPROVE, "prod"), 0);
    CU_ASSERT_TRUE(world_run_until(c.w, is_done, NULL, STORY_MS_MAX));
    CU_ASSERT_TRUE(story_rest(c.w));
    CU_ASSERT_EQUAL(count_running(&c, "v2"), AGENTS);
    story_end(c.w);
}

static void test_first_version_is_nowhere_before_its_stage(void)
{
    struct cast c = {.w = world_new(NULL)};
    struct plan p = three_stages();
    for (int i = 0; i < AGENTS; i++)
        c.d[i] = world_agent(c.w, labels[i]);
    story_push(c.w, "app", "v1");
    CU_ASSERT_EQUAL(deploy(c.w, "v1", &p), 0);
    CU_ASSERT_TRUE(world_run_until(c.w, waits_for_prod, NULL, STORY_MS_MAX));
    world_run(c.w, 60000);
    CU_ASSERT_EQUAL(count_running(&c, "v1"), 3);
    CU_ASSERT_TRUE(world_is_gone(c.d[3], "app"));
    CU_ASSERT_EQUAL(world_state(c.w, c.d[3], "app", NULL), STATE_PENDING);
    steer(c.w, COMMAND_APPROVE, "prod");
    CU_ASSERT_TRUE(world_run_until(c.w, is_done, NULL, STORY_MS_MAX));
    CU_ASSERT_TRUE(story_rest(c.w));
    CU_ASSERT_EQUAL(count_running(&c, "v1"), AGENTS);
    story_end(c.w);
}

/* The broker tells it, and the manager need not even be there. */
static void test_who_comes_back_behind_an_open_gate_catches_up_at_once(void)
{
    struct plan p = three_stages();
    struct cast c = begin(&p, &good_v2);
    device_cut_power(c.d[1], UINT64_MAX);
    world_run(c.w, 60000);
    deploy(c.w, "v2", NULL);
    CU_ASSERT_TRUE(world_run_until(c.w, waits_for_prod, NULL, STORY_MS_MAX));
    CU_ASSERT_EQUAL(count_running(&c, "v2"), 2);
    control_kill(c.w->control, UINT64_MAX);
    device_start(c.d[1]);
    world_run(c.w, 60000);
    CU_ASSERT_TRUE(world_runs(c.d[1], "app", "v2"));
    control_start(c.w->control);
    world_run(c.w, 10000);
    CU_ASSERT_TRUE(waits_for_prod(c.w, NULL));
    story_end(c.w);
}

/* What it runs stays, also over a power cut; the rollout ends without it. */
static void test_rollout_goes_on_without_a_cordoned_agent_which_catches_up_later(void)
{
    struct plan p = three_stages();
    struct cast c = begin(&p, &good_v2);
    CU_ASSERT_EQUAL(world_cordon(c.w, c.d[0]), 0);
    CU_ASSERT_EQUAL(world_cordon(c.w, c.d[3]), 0);
    deploy(c.w, "v2", NULL);
    CU_ASSERT_TRUE(world_run_until(c.w, waits_for_prod, NULL, STORY_MS_MAX));
    steer(c.w, COMMAND_APPROVE, "prod");
    CU_ASSERT_TRUE(world_run_until(c.w, is_done, NULL, STORY_MS_MAX));
    device_cut_power(c.d[0], 5000);
    world_run(c.w, 60000);
    CU_ASSERT_EQUAL(count_running(&c, "v2"), AGENTS - 2);
    CU_ASSERT_TRUE(world_runs(c.d[0], "app", "v1") && world_runs(c.d[3], "app", "v1"));
    CU_ASSERT_EQUAL(world_state(c.w, c.d[0], "app", NULL), STATE_PAUSED);
    CU_ASSERT_EQUAL(world_uncordon(c.w, c.d[0]), 0);
    CU_ASSERT_EQUAL(world_uncordon(c.w, c.d[3]), 0);
    CU_ASSERT_TRUE(story_rest(c.w));
    CU_ASSERT_EQUAL(count_running(&c, "v2"), AGENTS);
    story_end(c.w);
}

static void test_version_that_breaks_in_staging_goes_no_further(void)
{
    struct plan p = three_stages();
    struct cast c =
        begin(&p, &(struct script){.name = "app", .version = "v2", .fails = 1u << HOOK_APPLY});
    deploy(c.w, "v2", NULL);
    world_run(c.w, 300000);
    CU_ASSERT_EQUAL(rollout_of(c.w)->state, ROLLOUT_STOPPED);
    CU_ASSERT_EQUAL(count_running(&c, "v1"), AGENTS); /* it put itself back */
    CU_ASSERT_EQUAL(world_count(c.w, "hook apply app app@v2"), 1);
    story_end(c.w);
}

/* The plan bears as many as there are; it fails everywhere, and the canary is the one too many. */
static void test_version_that_breaks_goes_as_far_as_its_stages_bear_it(void)
{
    struct plan p = three_stages();
    p.max_failed = (struct amount){100, true};
    p.stages[1].max_failed = (struct amount){0, true};
    struct cast c =
        begin(&p, &(struct script){.name = "app", .version = "v2", .fails = 1u << HOOK_APPLY});
    deploy(c.w, "v2", NULL);
    world_run(c.w, 60000);
    steer(c.w, COMMAND_APPROVE, "staging"); /* none of which is ready */
    world_run(c.w, 300000);
    CU_ASSERT_EQUAL(rollout_of(c.w)->stage, 1);
    CU_ASSERT_EQUAL(rollout_of(c.w)->state, ROLLOUT_STOPPED);
    CU_ASSERT_EQUAL(world_count(c.w, "hook apply app app@v2"), 3);
    CU_ASSERT_EQUAL(count_running(&c, "v1"), AGENTS);
    story_end(c.w);
}

/* The gate was open to it already; nobody else is to find out that the version fails. */
static void
test_who_comes_back_when_failures_have_stopped_it_does_not_begin_until_it_is_resumed(void)
{
    struct plan p = three_stages();
    struct cast c =
        begin(&p, &(struct script){.name = "app", .version = "v2", .fails = 1u << HOOK_APPLY});
    device_cut_power(c.d[1], UINT64_MAX);
    world_run(c.w, 60000);
    deploy(c.w, "v2", NULL);
    world_run(c.w, 300000);
    CU_ASSERT_EQUAL(rollout_of(c.w)->state, ROLLOUT_STOPPED);
    CU_ASSERT_EQUAL(world_count(c.w, "hook apply app app@v2"), 1);
    control_kill(c.w->control, UINT64_MAX);
    device_start(c.d[1]);
    world_run(c.w, 60000);
    control_start(c.w->control);
    world_run(c.w, 60000);
    CU_ASSERT_EQUAL(world_count(c.w, "hook apply app app@v2"), 1);
    CU_ASSERT_EQUAL(count_running(&c, "v1"), AGENTS);
    CU_ASSERT_EQUAL(world_state(c.w, c.d[1], "app", NULL), STATE_PAUSED);
    CU_ASSERT_EQUAL(steer(c.w, COMMAND_RESUME, NULL), 0);
    world_run(c.w, 60000);
    CU_ASSERT_EQUAL(world_count(c.w, "hook apply app app@v2"), 2);
    CU_ASSERT_EQUAL(rollout_of(c.w)->state, ROLLOUT_STOPPED);
    story_end(c.w);
}

static void test_rolling_back_on_the_way_brings_the_finished_ones_back(void)
{
    struct plan p = three_stages();
    struct cast c = begin(&p, &good_v2);
    deploy(c.w, "v2", NULL);
    CU_ASSERT_TRUE(world_run_until(c.w, waits_for_prod, NULL, STORY_MS_MAX));
    CU_ASSERT_EQUAL(world_rollback(c.w, "app"), 0);
    CU_ASSERT_TRUE(story_rest(c.w));
    CU_ASSERT_EQUAL(count_running(&c, "v1"), AGENTS);
    CU_ASSERT_EQUAL(world_count(c.w, "hook apply app app@v1"), AGENTS + 3);
    CU_ASSERT_EQUAL(rollout_of(c.w)->state, ROLLOUT_DONE);
    story_end(c.w);
}

static void test_failure_rolls_everybody_back_when_the_plan_says_so(void)
{
    struct plan p = three_stages();
    p.on_failure = REMEDY_ROLL_BACK;
    struct cast c =
        begin(&p, &(struct script){.name = "app", .version = "v2", .fails = 1u << HOOK_HEALTH});
    deploy(c.w, "v2", NULL);
    CU_ASSERT_TRUE(world_run_until(c.w, is_done, NULL, STORY_MS_MAX));
    CU_ASSERT_TRUE(story_rest(c.w));
    CU_ASSERT_EQUAL(count_running(&c, "v1"), AGENTS);
    CU_ASSERT_EQUAL(manager_generation(c.w->control->core, 0), 3);
    story_end(c.w);
}

/* Its new cohort's stage comes later, and would have it on the old version: it stays. */
static void test_agent_that_moves_to_a_later_stage_keeps_the_new_version(void)
{
    struct plan p = three_stages();
    struct cast c = begin(&p, &good_v2);
    deploy(c.w, "v2", NULL);
    CU_ASSERT_TRUE(world_run_until(c.w, waits_for_prod, NULL, STORY_MS_MAX));
    CU_ASSERT_EQUAL(world_label(c.w, c.d[0], "env=prod", ""), 0);
    world_run(c.w, 60000);
    CU_ASSERT_TRUE(world_runs(c.d[0], "app", "v2"));
    steer(c.w, COMMAND_APPROVE, "prod");
    CU_ASSERT_TRUE(world_run_until(c.w, is_done, NULL, STORY_MS_MAX));
    CU_ASSERT_TRUE(story_rest(c.w));
    CU_ASSERT_EQUAL(count_running(&c, "v2"), AGENTS);
    story_end(c.w);
}

/* The gate of staging is open, and the version behind it is begun nowhere any more. */
static void test_device_that_joins_after_an_abort_runs_the_version_before(void)
{
    struct plan p = three_stages();
    struct cast c = begin(&p, &good_v2);
    deploy(c.w, "v2", NULL);
    CU_ASSERT_TRUE(world_run_until(c.w, waits_for_prod, NULL, STORY_MS_MAX));
    CU_ASSERT_EQUAL(steer(c.w, COMMAND_ABORT, NULL), 0);
    struct device *late = world_agent(c.w, "env=staging");
    CU_ASSERT_TRUE(story_rest(c.w));
    CU_ASSERT_TRUE(world_runs(late, "app", "v1"));
    CU_ASSERT_EQUAL(world_state(c.w, late, "app", NULL), STATE_READY);
    CU_ASSERT_TRUE(world_runs(c.d[0], "app", "v2"));
    CU_ASSERT_EQUAL(world_state(c.w, c.d[0], "app", NULL), STATE_READY);
    CU_ASSERT_EQUAL(world_state(c.w, c.d[3], "app", NULL), STATE_READY);
    CU_ASSERT_EQUAL(count_running(&c, "v2"), 3);
    story_push(c.w, "app", "v3");
    CU_ASSERT_EQUAL(deploy(c.w, "v3", &(struct plan){0}), 0);
    CU_ASSERT_TRUE(story_rest(c.w));
    CU_ASSERT_TRUE(world_runs(late, "app", "v3") && count_running(&c, "v3") == AGENTS);
    story_end(c.w);
}

static void test_superseded_version_is_begun_nowhere_any_more(void)
{
    struct plan p = three_stages();
    struct cast c = begin(&p, &good_v2);
    story_push(c.w, "app", "v3");
    deploy(c.w, "v2", NULL);
    CU_ASSERT_TRUE(world_run_until(c.w, waits_for_prod, NULL, STORY_MS_MAX));
    CU_ASSERT_EQUAL(deploy(c.w, "v3", NULL), 0);
    CU_ASSERT_TRUE(world_run_until(c.w, waits_for_prod, NULL, STORY_MS_MAX));
    steer(c.w, COMMAND_APPROVE, "prod");
    CU_ASSERT_TRUE(world_run_until(c.w, is_done, NULL, STORY_MS_MAX));
    CU_ASSERT_TRUE(story_rest(c.w));
    CU_ASSERT_EQUAL(count_running(&c, "v3"), AGENTS);
    CU_ASSERT_EQUAL(world_count(c.w, "hook apply app app@v2"), 3);
    story_end(c.w);
}

/* Killed at the n-th commit or word of a rollout, it goes on where it was. */
static bool roll_out_killed_at(uint64_t n)
{
    struct plan p = three_stages();
    struct cast c = begin(&p, &good_v2);
    struct control *control = c.w->control;
    control->kill_at = control->points + n;
    while (deploy(c.w, "v2", NULL) == ERR_TIMEOUT)
        world_run(c.w, 5000);
    bool good = world_run_until(c.w, waits_for_prod, NULL, STORY_MS_MAX);
    good &= count_running(&c, "v1") == 3;
    int rv;
    while ((rv = steer(c.w, COMMAND_RETRY, NULL)) == ERR_TIMEOUT)
        world_run(c.w, 5000);
    good &= rv == ERR_BUSY; /* nobody failed */
    while (steer(c.w, COMMAND_APPROVE, "prod") == ERR_TIMEOUT)
        world_run(c.w, 5000);
    good &= world_run_until(c.w, is_done, NULL, STORY_MS_MAX) && story_rest(c.w) &&
            count_running(&c, "v2") == AGENTS &&
            world_count(c.w, "hook apply app app@v2") == AGENTS;
    bool killed = control->was_killed;
    story_end_at(c.w, n, good);
    return killed;
}

static void test_manager_killed_at_any_point_goes_on_where_it_was(void)
{
    CU_ASSERT_TRUE(story_points(roll_out_killed_at) > 30);
}

static void mend(struct world *w, const char *version)
{
    for (uint32_t i = 0; i < w->shelf.count; i++)
        if (strcmp(w->shelf.bundles[i].version, version) == 0)
            w->shelf.bundles[i].script.fails = 0;
}

static bool one_has_failed(const struct world *w, const void *cast)
{
    const struct cast *c = cast;
    return world_state(w, c->d[0], "app", NULL) == STATE_ROLLED_BACK ||
           world_state(w, c->d[1], "app", NULL) == STATE_ROLLED_BACK;
}

/* What the first one failed by is mended, so that all others have it; and then it tries again, with
 * the manager killed at the n-th commit or word of that. */
static bool retry_killed_at(uint64_t n)
{
    struct plan p = three_stages();
    p.max_failed.value = 1;
    p.stages[2].before.approval = false;
    struct cast c =
        begin(&p, &(struct script){.name = "app", .version = "v2", .fails = 1u << HOOK_APPLY});
    deploy(c.w, "v2", NULL);
    CU_ASSERT_TRUE(world_run_until(c.w, one_has_failed, &c, STORY_MS_MAX));
    mend(c.w, "v2");
    CU_ASSERT_TRUE(world_run_until(c.w, is_done, NULL, STORY_MS_MAX));
    CU_ASSERT_EQUAL(count_running(&c, "v2"), AGENTS - 1);
    c.w->control->kill_at = c.w->control->points + n;
    while (steer(c.w, COMMAND_RETRY, NULL) == ERR_TIMEOUT)
        world_run(c.w, 5000);
    world_run(c.w, 5000);
    bool good = world_run_until(c.w, is_done, NULL, STORY_MS_MAX) && story_rest(c.w) &&
                count_running(&c, "v2") == AGENTS &&
                world_count(c.w, "hook apply app app@v2") == AGENTS + 1;
    bool killed = c.w->control->was_killed;
    story_end_at(c.w, n, good);
    return killed;
}

static void test_retry_has_those_that_failed_try_again_and_nobody_else(void)
{
    CU_ASSERT_TRUE(story_points(retry_killed_at) > 10);
}

/* Of all times so far: how many were at work on v2 at once. */
struct crowd {
    const struct cast *cast;
    unsigned *most;
};

static bool is_at_work(const struct device *d, uint32_t generation)
{
    for (uint32_t i = 0; i < d->disk.held_count; i++)
        if (d->disk.held[i].wanted.generation == generation)
            return d->disk.held[i].phase != PHASE_SETTLED;
    return false;
}

static bool all_run_v2(const struct world *w, const void *context)
{
    const struct crowd *crowd = context;
    unsigned at_work = 0;
    (void)w;
    for (int i = 0; i < AGENTS; i++)
        at_work += is_at_work(crowd->cast->d[i], 2);
    *crowd->most = at_work > *crowd->most ? at_work : *crowd->most;
    return count_running(crowd->cast, "v2") == AGENTS;
}

/* Half of them were off while the others got v2; of those that come back one may be at work at a
 * time. */
static struct cast half_off(void)
{
    struct plan p = PLAN_DEFAULT;
    p.count = 1;
    p.reachable_within_s = 30;
    p.returning = (struct amount){1, false};
    p.stages[0] = (struct plan_stage){.name = "all"};
    struct cast c = begin(&p, &(struct script){.name = "app", .version = "v2", .hook_ms = 3000});
    for (int i = 0; i < AGENTS; i += 2)
        device_cut_power(c.d[i], UINT64_MAX);
    world_run(c.w, 60000);
    CU_ASSERT_EQUAL(deploy(c.w, "v2", NULL), 0);
    CU_ASSERT_TRUE(world_run_until(c.w, is_done, NULL, STORY_MS_MAX));
    CU_ASSERT_EQUAL(count_running(&c, "v2"), AGENTS / 2);
    return c;
}

static void test_those_in_touch_begin_together_and_cost_no_assignment(void)
{
    struct plan p = PLAN_DEFAULT;
    unsigned most = 0;
    p.count = 1;
    p.returning = (struct amount){1, false};
    p.stages[0] = (struct plan_stage){.name = "all"};
    struct cast c = begin(&p, &(struct script){.name = "app", .version = "v2", .hook_ms = 3000});
    struct revision assigned = manager_agent(c.w->control->core, 1)->assigned;
    world_run(c.w, 60000);
    CU_ASSERT_EQUAL(deploy(c.w, "v2", NULL), 0);
    CU_ASSERT_TRUE(world_run_until(c.w, all_run_v2, &(struct crowd){&c, &most}, STORY_MS_MAX));
    CU_ASSERT_EQUAL(most, AGENTS);
    CU_ASSERT_TRUE(story_rest(c.w));
    struct revision now = manager_agent(c.w->control->core, 1)->assigned;
    CU_ASSERT_EQUAL(revision_compare(now, assigned), 0);
    story_end(c.w);
}

/* Killed at the n-th commit or word since they came back. */
static bool come_back_killed_at(uint64_t n)
{
    struct cast c = half_off();
    struct control *control = c.w->control;
    unsigned most = 0;
    control->kill_at = control->points + n;
    for (int i = 0; i < AGENTS; i += 2)
        device_start(c.d[i]);
    bool good = world_run_until(c.w, all_run_v2, &(struct crowd){&c, &most}, STORY_MS_MAX) &&
                story_rest(c.w) && most == 1 && world_count(c.w, "hook apply app app@v2") == AGENTS;
    bool killed = control->was_killed;
    story_end_at(c.w, n, good);
    return killed;
}

static void test_those_that_come_back_take_turns_whenever_the_manager_is_killed(void)
{
    CU_ASSERT_TRUE(story_points(come_back_killed_at) > 10);
}

/* It was gone for a moment only, and nobody has taken it back. */
static void test_one_that_loses_its_power_with_a_permit_goes_on_with_it(void)
{
    struct cast c = half_off();
    unsigned most = 0;
    for (int i = 0; i < AGENTS; i += 2) {
        device_start(c.d[i]);
        c.d[i]->cut_at = c.d[i]->points + 40;
    }
    CU_ASSERT_TRUE(world_run_until(c.w, all_run_v2, &(struct crowd){&c, &most}, STORY_MS_MAX));
    CU_ASSERT_EQUAL(most, 1);
    CU_ASSERT_TRUE(story_rest(c.w));
    story_end(c.w);
}

/* Of all times so far: more have begun v2 than two for each minute that began since it was
 * deployed.
 */
struct hourglass {
    const struct cast *cast;
    uint64_t from_ms;
    bool *broken;
};

static bool all_run_v2_in_time(const struct world *w, const void *context)
{
    const struct hourglass *pace = context;
    unsigned begun = 0;
    for (int i = 0; i < AGENTS; i++)
        begun += is_at_work(pace->cast->d[i], 2) || world_runs(pace->cast->d[i], "app", "v2");
    *pace->broken |= begun > 2 * (1 + (w->stage.now_ms - pace->from_ms) / 60000);
    return count_running(pace->cast, "v2") == AGENTS;
}

/* Killed at the n-th commit or word of a rollout at two agents a minute. */
static bool roll_out_at_a_rate_killed_at(uint64_t n)
{
    struct plan p = PLAN_DEFAULT;
    bool broken = false;
    p.count = 1;
    p.reachable_within_s = 30;
    p.rate = (struct rate){.agents = {2, false}, .span_s = 60};
    p.stages[0] = (struct plan_stage){.name = "all"};
    struct cast c = begin(&p, &good_v2);
    struct control *control = c.w->control;
    control->kill_at = control->points + n;
    const struct hourglass pace = {&c, c.w->stage.now_ms, &broken};
    while (deploy(c.w, "v2", NULL) == ERR_TIMEOUT)
        world_run(c.w, 5000);
    bool good = world_run_until(c.w, all_run_v2_in_time, &pace, STORY_MS_MAX) && !broken &&
                story_rest(c.w) && world_count(c.w, "hook apply app app@v2") == AGENTS;
    bool killed = control->was_killed;
    story_end_at(c.w, n, good);
    return killed;
}

static void test_rate_is_kept_whenever_the_manager_is_killed(void)
{
    CU_ASSERT_TRUE(story_points(roll_out_at_a_rate_killed_at) > 10);
}

/* The manager is not there when the day comes. */
static void test_nobody_begins_before_the_day_that_the_rollout_starts_on(void)
{
    struct plan p = three_stages();
    struct cast c = begin(&p, &good_v2);
    p.start_s = stage_wall_s(&c.w->stage) + 600;
    CU_ASSERT_EQUAL(deploy(c.w, "v2", &p), 0);
    world_run(c.w, 580000);
    CU_ASSERT_EQUAL(world_count(c.w, "hook apply app app@v2"), 0);
    control_kill(c.w->control, UINT64_MAX);
    world_run(c.w, 60000);
    CU_ASSERT_EQUAL(count_running(&c, "v1"), AGENTS);
    control_start(c.w->control);
    CU_ASSERT_TRUE(world_run_until(c.w, waits_for_prod, NULL, STORY_MS_MAX));
    CU_ASSERT_EQUAL(count_running(&c, "v2"), 3);
    story_end(c.w);
}

static const struct suite_test tests[] = {
    TEST(test_version_comes_to_one_stage_after_the_other),
    TEST(test_first_version_is_nowhere_before_its_stage),
    TEST(test_who_comes_back_behind_an_open_gate_catches_up_at_once),
    TEST(test_rollout_goes_on_without_a_cordoned_agent_which_catches_up_later),
    TEST(test_version_that_breaks_in_staging_goes_no_further),
    TEST(test_version_that_breaks_goes_as_far_as_its_stages_bear_it),
    TEST(test_who_comes_back_when_failures_have_stopped_it_does_not_begin_until_it_is_resumed),
    TEST(test_rolling_back_on_the_way_brings_the_finished_ones_back),
    TEST(test_failure_rolls_everybody_back_when_the_plan_says_so),
    TEST(test_agent_that_moves_to_a_later_stage_keeps_the_new_version),
    TEST(test_device_that_joins_after_an_abort_runs_the_version_before),
    TEST(test_superseded_version_is_begun_nowhere_any_more),
    TEST(test_manager_killed_at_any_point_goes_on_where_it_was),
    TEST(test_retry_has_those_that_failed_try_again_and_nobody_else),
    TEST(test_rate_is_kept_whenever_the_manager_is_killed),
    TEST(test_nobody_begins_before_the_day_that_the_rollout_starts_on),
    TEST(test_those_in_touch_begin_together_and_cost_no_assignment),
    TEST(test_those_that_come_back_take_turns_whenever_the_manager_is_killed),
    TEST(test_one_that_loses_its_power_with_a_permit_goes_on_with_it),
};

SUITE_MAIN("rollouts", tests)
