#include "test/story/story.h"

#include <stdlib.h>

/* First anything may happen; then all faults end, and the fleet must come to what was asked for.
 * DUNLIN_SEED tells one story alone, DUNLIN_SEEDS how many there are. */
#define SEEDS 40
#define DEVICES 4
#define TURNS 60

static const char *const names[] = {"app", "web", "probe"};
static const char *const versions[] = {"v1", "v2", "v3"};
static const char *const selectors[] = {"env=prod", "env in (prod,lab)", "!lab", ""};
static const char *const label_sets[] = {"env=prod", "env=lab", "env=lab,lab=1"};

#define PICK(w, list) ((list)[rng_below(&(w)->stage.rng, sizeof(list) / sizeof((list)[0]))])

/* Each name has a good version, one that fails somewhere, and one that anything may ail. */
static void push_all(struct world *w)
{
    for (size_t i = 0; i < 3; i++) {
        story_push(w, names[i], "v1");
        world_push(w, &(struct script){.name = names[i],
                                       .version = "v2",
                                       .fails = 1u << rng_below(&w->stage.rng, HOOK_COUNT),
                                       .deadline_s = 20});
        world_push(w, &(struct script){.name = names[i],
                                       .version = "v3",
                                       .crashes = rng_below(&w->stage.rng, 4) == 0,
                                       .publisher = rng_below(&w->stage.rng, 4) ? 0 : 97,
                                       .health_tries = (uint32_t)rng_below(&w->stage.rng, 5),
                                       .hook_ms = 1 + (uint32_t)rng_below(&w->stage.rng, 4000)});
    }
}

/* An operator's whim; refusals are fine. */
static void order(struct world *w)
{
    struct device *d = w->devices[rng_below(&w->stage.rng, DEVICES)];
    const char *name = PICK(w, names);
    switch (rng_below(&w->stage.rng, 9)) {
    case 0:
        world_pause(w, name);
        break;
    case 1:
        world_resume(w, name);
        break;
    case 2:
        world_rollback(w, name);
        break;
    case 3:
        world_remove(w, name);
        break;
    case 4:
        if (d->disk.number)
            world_label(w, d, PICK(w, label_sets), "");
        break;
    default:
        world_deploy(w, name, PICK(w, versions), PICK(w, selectors));
        break;
    }
}

static void strike_device(struct world *w)
{
    struct device *d = w->devices[rng_below(&w->stage.rng, DEVICES)];
    switch (rng_below(&w->stage.rng, 4)) {
    case 0:
        client_cut(d->client);
        break;
    case 1:
        d->disk.full_from = d->disk.writes + 1 + rng_below(&w->stage.rng, 5);
        d->disk.full_for = 1 + rng_below(&w->stage.rng, 8);
        break;
    default:
        if (d->state == DEVICE_OFF)
            break;
        d->off_ms = 100 + rng_below(&w->stage.rng, 90000);
        d->cut_at = d->points + 1 + rng_below(&w->stage.rng, 40);
        break;
    }
}

static void strike_manager(struct world *w)
{
    struct control *c = w->control;
    if (rng_below(&w->stage.rng, 3) == 0)
        c->fail_commit = c->commits + 1 + rng_below(&w->stage.rng, 3);
    else
        c->kill_at = c->points + 1 + rng_below(&w->stage.rng, 20);
}

static void strike_broker(struct world *w)
{
    broker_kill(w->broker, rng_below(&w->stage.rng, 2));
    world_run(w, 500 + rng_below(&w->stage.rng, 30000));
    broker_restart(w->broker, rng_below(&w->stage.rng, 2));
}

static void one_turn(struct world *w)
{
    uint64_t dice = rng_below(&w->stage.rng, 20);
    if (dice < 8)
        order(w);
    else if (dice < 14)
        strike_device(w);
    else if (dice < 16)
        strike_manager(w);
    else if (dice < 17)
        strike_broker(w);
    world_run(w, rng_below(&w->stage.rng, rng_below(&w->stage.rng, 4) ? 800 : 40000));
}

/* Power, space and links for everybody, and nothing is paused. */
static void heal(struct world *w)
{
    w->control->kill_at = w->control->fail_commit = 0;
    broker_options(w->broker)->cuts_per_mille = 0;
    for (uint32_t i = 0; i < w->device_count; i++) {
        w->devices[i]->cut_at = 0;
        w->devices[i]->disk.full_for = 0;
    }
    world_run(w, 100000);
    for (size_t i = 0; i < 3; i++)
        world_resume(w, names[i]);
}

/* What the manager believes is what is on the device. */
static bool tells_the_truth(const struct world *w, const struct device *d)
{
    struct agent_deployment list[RECORDS_MAX];
    const struct manager *m = w->control->core;
    size_t count = manager_agent_deployments(m, d->disk.number, list);
    uint32_t folders = 0;
    for (size_t i = 0; i < count; i++) {
        const char *name = manager_deployment(m, list[i].deployment)->name;
        const struct digest *now = disk_current(&d->disk, name);
        const char *version = manager_generation_version(m, list[i].deployment, list[i].running);
        folders += now != NULL;
        if (list[i].state == STATE_READY && list[i].running != list[i].wanted)
            return false;
        if (now ? !world_runs(d, name, version) && version[0] : list[i].running != 0)
            return false;
    }
    return folders == d->disk.current_count && d->disk.held_count == count;
}

static bool tell_story(uint64_t seed)
{
    struct world *w = world_new(&(struct world_options){.seed = seed,
                                                        .links = {.delay_ms_min = 1,
                                                                  .delay_ms_max = 120,
                                                                  .cuts_per_mille = 10,
                                                                  .duplicates_per_mille = 20}});
    push_all(w);
    for (int i = 0; i < DEVICES; i++) {
        int batch = world_tokens(w, PICK(w, label_sets), 1);
        struct token token = control_token(w->control, (uint32_t)batch, 0);
        world_device(w, &token);
    }
    for (int i = 0; i < TURNS; i++)
        one_turn(w);
    heal(w);
    bool good = story_rest(w);
    for (int i = 0; good && i < DEVICES; i++)
        good = tells_the_truth(w, w->devices[i]);
    good &= world_fault(w)[0] == '\0';
    if (!good)
        fprintf(stderr, "replay with DUNLIN_SEED=%llu\n", (unsigned long long)seed);
    story_end_at(w, seed, good);
    return good;
}

static uint64_t number_from(const char *variable, uint64_t otherwise)
{
    const char *text = getenv(variable);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

static void test_fleet_comes_to_what_was_asked_for_when_all_faults_have_ended(void)
{
    uint64_t only = number_from("DUNLIN_SEED", 0);
    uint64_t last = only ? only : number_from("DUNLIN_SEEDS", SEEDS);
    for (uint64_t seed = only ? only : 1; seed <= last; seed++)
        if (!tell_story(seed))
            return;
}

static const struct suite_test tests[] = {
    TEST(test_fleet_comes_to_what_was_asked_for_when_all_faults_have_ended),
};

SUITE_MAIN("swarms", tests)
