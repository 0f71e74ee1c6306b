/* Random rollouts, arrivals, departures, outages, failures and operators against the rules, by
 * seed. DUNLIN_SEED runs one alone, DUNLIN_SEEDS says how many there are: a hundred take less than
 * a minute without sanitizers. */
#include "test/rollout_model.h"

#define SEEDS 8

/* ---- everything at once, by seed ---- */

/* None, one, or several that overlap. */
static void random_budgets(struct fleet *f)
{
    static const char *const groups[] = {"", "env=prod", "env in (canary,prod),zone!=b"};
    static const char *const names[] = {"all", "prod", "some"};
    for (int i = 0; i < 3; i++) {
        struct amount max = {1 + (uint32_t)rng_below(&f->rng, 12), rng_below(&f->rng, 2)};
        if (rng_below(&f->rng, 3) == 0)
            set_budget(f, names[i], groups[i], max);
    }
}

static struct rate random_rate(struct rng *rng)
{
    return (struct rate){.agents = {5 + (uint32_t)rng_below(rng, 20), rng_below(rng, 2)},
                         .span_s = RATE_SPAN_S_MIN + (uint32_t)rng_below(rng, 60)};
}

static struct plan random_plan(struct rng *rng)
{
    struct plan p = three_stages();
    for (uint32_t i = 0; i < p.count; i++) {
        struct plan_stage *s = &p.stages[i];
        s->before = (struct threshold){0};
        s->concurrency = (struct amount){(uint32_t)rng_below(rng, 8), rng_below(rng, 2)};
        if (s->concurrency.percent)
            s->concurrency.value *= 12;
        if (rng_below(rng, 3) == 0)
            s->after.wait_s = (uint32_t)rng_below(rng, 30);
        if (rng_below(rng, 3) == 0)
            s->share = (struct amount){1 + (uint32_t)rng_below(rng, 60), true};
    }
    p.max_failed = (struct amount){100, true};
    p.reachable_within_s = (uint32_t)rng_below(rng, 40);
    if (rng_below(rng, 4) == 0)
        p.wait_for_first_s = 1 + (uint32_t)rng_below(rng, 100);
    if (rng_below(rng, 2) == 0)
        p.deadline_s = 20 + (uint32_t)rng_below(rng, 60);
    if (rng_below(rng, 3) == 0)
        p.retries = 1 + (uint32_t)rng_below(rng, 2);
    p.back_off_s = 1 + (uint32_t)rng_below(rng, 6);
    if (rng_below(rng, 3) == 0)
        p.quorum = 50 + (uint32_t)rng_below(rng, 50);
    if (rng_below(rng, 2) == 0)
        p.returning = (struct amount){1 + (uint32_t)rng_below(rng, 4), rng_below(rng, 2)};
    if (rng_below(rng, 4) == 0)
        p.rate = random_rate(rng);
    for (uint32_t i = 0; i < p.count; i++)
        if (rng_below(rng, 6) == 0)
            p.stages[i].rate = random_rate(rng);
    return p;
}

static void disturb(struct fleet *f)
{
    static const enum cause rules[] = {CAUSE_AFTER, CAUSE_STUCK, CAUSE_WINDOW, CAUSE_CLOCK,
                                       CAUSE_VARIABLE};
    struct model *a = &f->agents[1 + rng_below(&f->rng, f->count)];
    switch (rng_below(&f->rng, 15)) {
    case 0:
    case 1:
    case 2:
        go_offline(f, a);
        break;
    case 3:
    case 4:
    case 5:
        come_back(f, a);
        break;
    case 6:
        if (f->count < AGENTS_MAX)
            join(f, (uint32_t)rng_below(&f->rng, COHORTS));
        break;
    case 7:
        if (rng_below(&f->rng, 4) == 0 && !a->picked)
            take_out(f, a);
        break;
    case 8:
        if (rng_below(&f->rng, 10) == 0)
            restart(f);
        break;
    case 9:
        a->broken = !a->broken;
        break;
    case 10:
        a->rule = (uint8_t)(a->rule ? CAUSE_NONE : rules[rng_below(&f->rng, 5)]);
        break;
    case 11:
        a->busy_s = rng_below(&f->rng, 4) == 0 ? 1000 : 0;
        break;
    case 12:
        if (rng_below(&f->rng, 10) == 0)
            steer(f, COMMAND_RETRY, NULL);
        break;
    case 13:
        a->deaf = !a->deaf && rng_below(&f->rng, 3) == 0;
        break;
    default:
        break;
    }
}

/* Who failed and has nothing to go back to may fill a budget for good, until an operator says what
 * is to be; nobody else does. */
static void lift_budgets(struct fleet *f)
{
    uint32_t budget = manager_budget_holding(f->m, 0);
    struct budget_use use = {0};
    if (budget)
        manager_budget_use(f->m, budget - 1, f->now_s, NULL, &use);
    if (budget && (use.bad == 0 || use.out < use.allowed || !use.named[0].bad))
        broken(f, "a budget holds it for ever", use.out, use.bad);
    for (uint32_t b = 0; b < manager_budget_count(f->m); b++) {
        struct command c = {.type = COMMAND_BUDGET_REMOVE};
        c.budget.name = manager_budget(f->m, b)->name;
        run(f, &c);
    }
}

static bool has_rate(const struct plan *p)
{
    bool rate = false;
    for (uint32_t i = 0; i < p->count; i++)
        rate |= plan_rate(p, i)->span_s > 0;
    return rate;
}

/* What went wrong links are up again and nobody fails: it must come to its end. */
static void settle(struct fleet *f, void (*word)(struct fleet *f, uint32_t second))
{
    for (uint32_t n = 1; n <= f->count; n++) {
        f->agents[n].broken = false;
        f->agents[n].rule = CAUSE_NONE;
        f->agents[n].deaf = false;
        f->agents[n].busy_s = 0;
        if (f->agents[n].busy_until_s > f->now_s + 10)
            f->agents[n].busy_until_s = f->now_s + 10;
        come_back(f, &f->agents[n]);
    }
    f->kills = false;
    steer(f, COMMAND_RETRY, NULL);
    uint32_t times = has_rate(plan_of(f)) ? 4 : 1; /* as long */
    for (uint32_t i = 0; i < 4500 * times && !is_done(f); i++) {
        second(f);
        if (i == 3000 * times)
            lift_budgets(f);
        word(f, i);
    }
    seconds(f, 60);
}

/* Where a stage has nobody to show that it works. */
static void approve_now_and_then(struct fleet *f, uint32_t second)
{
    if (second % 300 == 299)
        steer(f, COMMAND_APPROVE, plan_of(f)->stages[rollout_of(f)->stage].name);
}

/* Of those that it is for; who is chosen no more runs on here what it ran. */
static uint32_t count_through(const struct fleet *f)
{
    uint32_t count = 0, newest = manager_generation(f->m, 0);
    for (uint32_t n = 1; n <= f->count; n++) {
        const struct model *a = &f->agents[n];
        count += !a->gone && is_meant(f, a) && a->running == newest;
    }
    return count;
}

/* Everybody runs what is asked for. */
static void end_as_meant(struct fleet *f, uint64_t seed)
{
    uint32_t members = count_members(f), through = count_through(f);
    if (!is_done(f) || through != members)
        broken(f, "it does not come to its end", through, members);
    if (f->why[0])
        fprintf(stderr, "DUNLIN_SEED=%u: ", (unsigned)seed);
    end(f);
}

static uint64_t number_from(const char *variable, uint64_t otherwise)
{
    const char *text = getenv(variable);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

/* Those that the environment asks for, or so many. */
static void each_seed(void (*play)(uint64_t seed), uint64_t seeds)
{
    uint64_t only = number_from("DUNLIN_SEED", 0);
    uint64_t last = only ? only : number_from("DUNLIN_SEEDS", seeds);
    for (uint64_t seed = only ? only : 1; seed <= last; seed++)
        play(seed);
}

/* Version 2 follows amid version 1. */
static void roll_out_amid_all(struct fleet *f, uint64_t seed)
{
    struct plan p = random_plan(&f->rng);
    random_budgets(f);
    deploy(f, "1", &p);
    for (int i = 0; i < 400; i++) {
        disturb(f);
        second(f);
        if (i == 150)
            deploy(f, "2", NULL);
    }
    CU_ASSERT_NOT_EQUAL(rollout_of(f)->state, ROLLOUT_STOPPED);
    CU_ASSERT_NOT_EQUAL(rollout_of(f)->state, ROLLOUT_ABORTED);
    settle(f, approve_now_and_then);
    end_as_meant(f, seed);
}

static void swarm(uint64_t seed, bool always_look, struct story *story)
{
    struct fleet *f = fleet_new(seed, (const uint32_t[]){10, 10, 40, 40});
    f->always_look = always_look;
    f->story = story;
    roll_out_amid_all(f, seed);
}

static void unattended(uint64_t seed)
{
    swarm(seed, false, NULL);
}

static void test_random_rollouts_keep_the_rules_and_end(void)
{
    each_seed(unattended, SEEDS);
}

/* ---- where it is for some ---- */

/* One of four is kept for what tolerates that. */
static void taint_some(struct fleet *f)
{
    for (uint32_t n = 1; n <= f->count; n++) {
        struct command c = {.type = COMMAND_AGENT_TAINT};
        c.taint.agent = f->agents[n].id;
        c.taint.set = "gpu:NoSchedule";
        c.taint.unset = "";
        if (rng_below(&f->rng, 4) == 0)
            CU_ASSERT_EQUAL(run(f, &c), 0);
    }
}

static void name_some(struct fleet *f)
{
    while (f->roster.named_count < f->picks) {
        uint32_t number = 1 + (uint32_t)rng_below(&f->rng, f->count);
        if (!f->agents[number].gone)
            roster_name(&f->roster, number);
    }
}

/* By name, as the manager picks them, all that aren't tainted, or some of these. Whoever joins
 * pushes nobody out; of those that are named or picked nobody is taken out, so that nobody follows.
 */
enum kind { NAMED, PICKED, TAINTED, PICKED_OF_UNTAINTED, KINDS };

static void choosing(uint64_t seed)
{
    struct fleet *f = fleet_new(seed, (const uint32_t[]){10, 10, 40, 40});
    enum kind kind = (enum kind)(seed % KINDS);
    if (kind != TAINTED)
        f->picks = 20 + (uint32_t)rng_below(&f->rng, 40);
    if (kind == NAMED)
        name_some(f);
    if (kind == TAINTED || kind == PICKED_OF_UNTAINTED)
        taint_some(f);
    roll_out_amid_all(f, seed);
}

static void test_those_that_it_is_for_have_it_and_nobody_else_ever(void)
{
    each_seed(choosing, KINDS);
}

/* ---- and operators who say whatever comes into their heads ---- */

/* Also stages that ask, few failures that are too many, and a later day. */
static struct plan random_orders(struct rng *rng, uint64_t now_s)
{
    struct plan p = random_plan(rng);
    for (uint32_t i = 0; i < p.count; i++) {
        p.stages[i].before.approval = rng_below(rng, 3) == 0;
        p.stages[i].after.approval = rng_below(rng, 4) == 0;
        if (rng_below(rng, 3) == 0)
            p.stages[i].before.wait_s = (uint32_t)rng_below(rng, 20);
    }
    if (rng_below(rng, 2) == 0)
        p.max_failed = (struct amount){(uint32_t)rng_below(rng, 12), rng_below(rng, 2)};
    for (uint32_t i = 0; i < p.count; i++)
        if (rng_below(rng, 3) == 0)
            p.stages[i].max_failed = (struct amount){(uint32_t)rng_below(rng, 20), true};
    if (rng_below(rng, 4) == 0)
        p.start_s = now_s + rng_below(rng, 100);
    p.on_failure = (uint8_t)rng_below(rng, REMEDY_COUNT);
    p.overlap = (uint8_t)rng_below(rng, OVERLAP_COUNT);
    return p;
}

static void random_version(struct fleet *f)
{
    static const char *const versions[] = {"1", "2", "3", "4"};
    struct plan p = random_orders(&f->rng, f->now_s);
    bool planned = rng_below(&f->rng, 3) == 0;
    const struct rollout before = *rollout_of(f);
    int rv = deploy(f, versions[rng_below(&f->rng, 4)], planned ? &p : NULL);
    if (rv < 0 && memcmp(&before, rollout_of(f), sizeof before) != 0)
        broken(f, "what is refused changes something", COMMAND_DEPLOY, (unsigned)-rv);
    if (rv == 0 && planned && !deployment_rolls(manager_deployment(f->m, 0)))
        f->books.earned =
            UINT32_MAX; /* everybody has it already: its stages are for the next one */
    note_stop(f);
}

/* Of the whole or of some stage, whatever that is at; much of it is refused. */
static void random_pace(struct fleet *f)
{
    struct rng *rng = &f->rng;
    const struct plan *p = plan_of(f);
    const char *stage = rng_below(rng, 2) ? p->stages[rng_below(rng, p->count)].name : NULL;
    struct pace pace = {.says = (uint8_t)(1u << rng_below(rng, PACE_KEY_COUNT)),
                        .max_failed = {(uint32_t)rng_below(rng, 20), true},
                        .concurrency = {5 + (uint32_t)rng_below(rng, 20), rng_below(rng, 2)},
                        .returning = {(uint32_t)rng_below(rng, 5), false},
                        .quorum = 50 + (uint32_t)rng_below(rng, 51),
                        .deadline_s = (uint32_t)rng_below(rng, 3) * 40};
    if (rng_below(rng, 3) > 0)
        pace.rate = random_rate(rng);
    if (rng_below(rng, 3) > 0)
        pace.start_s = f->now_s + rng_below(rng, 60);
    set_pace(f, stage, pace);
}

static void say_something(struct fleet *f)
{
    static const enum command_type words[] = {COMMAND_PAUSE,  COMMAND_PAUSE,  COMMAND_RESUME,
                                              COMMAND_RESUME, COMMAND_RESUME, COMMAND_ABORT,
                                              COMMAND_RETRY,  COMMAND_RETRY,  COMMAND_ROLLBACK};
    const struct rollout *r = rollout_of(f);
    uint64_t word = rng_below(&f->rng, 120);
    if (word < sizeof words / sizeof words[0])
        steer(f, words[word], NULL);
    else if (word < 20)
        steer(f, COMMAND_APPROVE, plan_of(f)->stages[r->stage].name);
    else if (word < 22)
        steer(f, COMMAND_APPROVE, plan_of(f)->stages[rng_below(&f->rng, plan_of(f)->count)].name);
    else if (word < 25)
        random_version(f);
    else if (word < 30)
        random_pace(f);
}

static const char *present_version(const struct fleet *f)
{
    return manager_bundle(f->m, manager_deployment(f->m, 0)->history[0].bundle)->version;
}

/* What it waits for is said, whatever that is. */
static void say_what_is_asked_for(struct fleet *f, uint32_t second)
{
    const struct rollout *r = rollout_of(f);
    if (is_paused(f) || r->state == ROLLOUT_STOPPED)
        steer(f, COMMAND_RESUME, NULL);
    else if (r->state == ROLLOUT_ABORTED)
        deploy(f, present_version(f)[0] == '1' ? "2" : "1", NULL);
    else if (second % 20 == 19)
        steer(f, COMMAND_APPROVE, plan_of(f)->stages[r->stage].name);
}

static void operated(uint64_t seed)
{
    struct fleet *f = fleet_new(seed, (const uint32_t[]){10, 10, 40, 40});
    f->kills = true;
    push(f, "4");
    struct plan p = random_orders(&f->rng, f->now_s);
    random_budgets(f);
    deploy(f, "1", &p);
    for (int i = 0; i < 500; i++) {
        disturb(f);
        say_something(f);
        second(f);
    }
    settle(f, say_what_is_asked_for);
    end_as_meant(f, seed);
}

static void test_whatever_operators_say_in_between_it_keeps_the_rules_and_ends(void)
{
    each_seed(operated, SEEDS);
}

/* ---- and what labels, groups and placements bring ---- */

static void bring(struct fleet *f)
{
    static const char *const first[] = {"env=staging", "env in (staging,canary)",
                                        "env in (staging,prod),zone!=b"};
    static const char *const all[] = {"env", "env!=canary", "env,zone!=a"};
    uint32_t some = 1 + (uint32_t)rng_below(&f->rng, f->count);
    uint32_t cohort = (uint32_t)rng_below(&f->rng, COHORTS);
    uint64_t word = rng_below(&f->rng, 40);
    if (word == 0)
        for (uint32_t n = some; n <= f->count && n < some + 25; n++)
            resettle(f, &f->agents[n], cohort);
    else if (word < 3)
        resettle(f, &f->agents[some], cohort);
    else if (word == 3)
        set_group(f, "first", first[rng_below(&f->rng, 3)]);
    else if (word == 4)
        set_group(f, "all", all[rng_below(&f->rng, 3)]);
    else if (word < 8 && !f->agents[some].gone)
        cordon(f, &f->agents[some], !f->agents[some].cordoned);
}

/* Whoever is cordoned, or isn't meant, is let go; and all the others get what they wait for. */
static void end_as_all_are_meant(struct fleet *f, uint64_t seed)
{
    for (uint32_t n = 1; n <= f->count; n++)
        if (f->agents[n].cordoned && !f->agents[n].gone)
            cordon(f, &f->agents[n], false);
    set_group(f, "all", "env");
    settle(f, approve_now_and_then);
    for (int i = 0; i < 2000 && count_running(f, manager_generation(f->m, 0)) < count_members(f);
         i++)
        second(f);
    end_as_meant(f, seed);
}

static void brought(uint64_t seed)
{
    struct fleet *f = fleet_new(seed, (const uint32_t[]){20, 20, 40, 40});
    struct plan p = random_plan(&f->rng);
    snprintf(p.stages[0].selector, sizeof p.stages[0].selector, "@first");
    random_budgets(f);
    set_budget(f, "prod", "env=prod", (struct amount){1 + (uint32_t)rng_below(&f->rng, 9), false});
    set_group(f, "first", "env=staging");
    set_group(f, "all", "env");
    f->selector = "@all";
    f->moves = true;
    deploy(f, "1", &p);
    for (int i = 0; i < 600; i++) {
        disturb(f);
        bring(f);
        second(f);
        if (i == 300)
            deploy(f, "2", NULL);
    }
    end_as_all_are_meant(f, seed);
}

static void test_whatever_brings_it_nobody_begins_beside_its_budgets(void)
{
    each_seed(brought, SEEDS / 4);
}

/* ---- and other picks, and other names ---- */

/* More or fewer, or others: so many are in from then on. */
static void choose_otherwise(struct fleet *f, enum kind kind)
{
    if (rng_below(&f->rng, 25) != 0)
        return;
    f->picks = 10 + (uint32_t)rng_below(&f->rng, 50);
    for (uint32_t n = 1; n <= f->count; n++)
        f->agents[n].picked = false;
    f->roster = (struct roster){0};
    if (kind == NAMED)
        name_some(f);
    if (deploy(f, present_version(f), NULL) < 0)
        broken(f, "nobody else can be chosen", kind, f->picks);
}

/* Budgets hold for those that come in this way, too; and exactly those that were chosen last run it
 * in the end. */
static void chosen_anew(uint64_t seed)
{
    static const enum kind kinds[] = {NAMED, PICKED, PICKED_OF_UNTAINTED};
    enum kind kind = kinds[seed % 3];
    struct fleet *f = fleet_new(seed, (const uint32_t[]){10, 10, 40, 40});
    struct plan p = random_plan(&f->rng);
    random_budgets(f);
    set_budget(f, "prod", "env=prod", (struct amount){1 + (uint32_t)rng_below(&f->rng, 9), false});
    f->picks = 30;
    f->moves = true;
    if (kind == NAMED)
        name_some(f);
    else if (kind == PICKED_OF_UNTAINTED)
        taint_some(f);
    deploy(f, "1", &p);
    for (int i = 0; i < 600; i++) {
        disturb(f);
        choose_otherwise(f, kind);
        second(f);
        if (i == 300)
            deploy(f, "2", NULL);
    }
    settle(f, approve_now_and_then);
    for (int i = 0; i < 2000 && count_through(f) < count_members(f); i++)
        second(f);
    end_as_meant(f, seed);
}

static void test_whoever_is_chosen_anew_nobody_begins_beside_its_budgets(void)
{
    each_seed(chosen_anew, 6);
}

/* Looking only where something was heard comes to the same, second by second, as looking always. */
static void test_passing_by_what_is_quiet_changes_nothing(void)
{
    for (uint64_t seed = 101; seed <= 108 && !getenv("DUNLIN_SEED"); seed++) {
        struct story quiet = {0}, always = {0};
        swarm(seed, false, &quiet);
        swarm(seed, true, &always);
        CU_ASSERT_EQUAL(quiet.seconds, always.seconds);
        CU_ASSERT_EQUAL(quiet.hash, always.hash);
        CU_ASSERT_TRUE(quiet.walked > 0 && quiet.walked < always.walked);
    }
}

static const struct suite_test tests[] = {
    TEST(test_random_rollouts_keep_the_rules_and_end),
    TEST(test_those_that_it_is_for_have_it_and_nobody_else_ever),
    TEST(test_whatever_operators_say_in_between_it_keeps_the_rules_and_ends),
    TEST(test_whatever_brings_it_nobody_begins_beside_its_budgets),
    TEST(test_whoever_is_chosen_anew_nobody_begins_beside_its_budgets),
    TEST(test_passing_by_what_is_quiet_changes_nothing),
};

SUITE_MAIN("rollout_model", tests)
