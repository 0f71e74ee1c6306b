#include "base/rng.h"
#include "test/manager_bench.h"

#include <stdio.h>

#define AGENTS_MAX 400

#define LIMITS                                                                                     \
    {                                                                                              \
        .agents = AGENTS_MAX, .cohorts = 8, .deployments = 4, .bundles = 4, .batches = 8           \
    }
static const struct manager_limits limits = LIMITS;
static const char *const labels[] = {"env=prod,zone=a", "env=prod,zone=b", "env=prod,zone=c",
                                     "env=prod", "env=lab,zone=a"};

struct scene {
    struct bench *b;
    struct rng rng;
    bool was_in[AGENTS_MAX + 1];
};

static void tick(struct scene *s)
{
    s->b->now_s++;
    step(s->b, &(struct manager_event){.type = MANAGER_TICK});
    while (s->b->out.more)
        step(s->b, &(struct manager_event){.type = MANAGER_CONTINUE});
}

static uint32_t join(struct scene *s, uint32_t batch)
{
    struct manager_event ev = {.type = MANAGER_JOIN};
    ev.join.batch = batch;
    ev.join.index = manager_agent_count(s->b->m);
    for (int i = 0; i < KEY_ID_LEN; i++)
        ev.join.id.bytes[i] = (uint8_t)rng_next(&s->rng);
    step(s->b, &ev);
    CU_ASSERT_EQUAL_FATAL(s->b->out.joined, JOINED_ACCEPTED);
    return s->b->out.number;
}

static void join_many(struct scene *s, uint32_t batch, unsigned count)
{
    while (count-- > 0)
        join(s, batch);
}

static struct manager *load_anew(const struct manager *old, const struct manager_options *options)
{
    struct manager *m = manager_init(calloc(1, manager_size(&limits)), options);
    for (uint32_t i = 0; i < manager_batch_count(old); i++)
        manager_load_batch(m, manager_batch(old, i));
    manager_load_bundle(m, manager_bundle(old, 0));
    CU_ASSERT_EQUAL(manager_load_deployment(m, manager_deployment(old, 0)), 0);
    for (uint32_t i = 0; i < manager_cohort_count(old); i++)
        manager_load_cohort(m, manager_cohort(old, i));
    for (uint32_t n = 1; n <= manager_agent_count(old); n++)
        CU_ASSERT_EQUAL(manager_load_agent(m, n, manager_agent(old, n), NULL, 0), 0);
    return m;
}

static const struct manager_options options = {.limits = LIMITS,
                                               .epoch = 1,
                                               .cohort_secret = {{7}},
                                               .document_life_s = 1000000,
                                               .policy = POLICY_DEFAULT};

static struct scene scene_new(uint64_t seed)
{
    struct scene s = {.b = bench_on(&options, 1000000), .rng = {.state = seed}};
    for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++) {
        struct command c = {.type = COMMAND_TOKEN_CREATE};
        c.token.count = AGENTS_MAX;
        c.token.uses = 1;
        c.token.expires_s = UINT32_MAX;
        c.token.labels = labels[i];
        CU_ASSERT_EQUAL(run(s.b, &c), 0);
    }
    struct command c = {.type = COMMAND_BUNDLE_ADD};
    c.bundle.digest.bytes[0] = 1;
    snprintf(c.bundle.name, sizeof c.bundle.name, "app");
    snprintf(c.bundle.version, sizeof c.bundle.version, "1");
    CU_ASSERT_EQUAL(run(s.b, &c), 0);
    return s;
}

static int deploy_by(struct scene *s, const struct pick *pick, const struct plan *plan)
{
    struct command c = {.type = COMMAND_DEPLOY};
    c.deploy.name = c.deploy.bundle = "app";
    c.deploy.version = "1";
    c.deploy.selector = "env=prod";
    c.deploy.salt = 99;
    c.deploy.pick = pick;
    c.deploy.plan = plan;
    int rv = run(s->b, &c);
    tick(s);
    return rv;
}

static int deploy(struct scene *s, const struct pick *pick)
{
    return deploy_by(s, pick, NULL);
}

/* As the agent sees it: by the document of its cohort. */
static bool is_in(const struct scene *s, uint32_t number)
{
    static struct desired d;
    const struct agent_row *row = manager_agent(s->b->m, number);
    if (!agent_in_fleet(row) || row->flags & AGENT_QUARANTINED)
        return false;
    manager_document(s->b->m, row->cohort, &d);
    return d.count == 1 && record_target(&d.records[0], number).generation != 0;
}

static const char *zone_of(const struct scene *s, uint32_t number)
{
    static char zone[LABEL_VALUE_MAX + 1];
    struct span value = SPAN_NONE;
    labels_get(&manager_cohort(s->b->m, manager_agent(s->b->m, number)->cohort)->labels,
               span_text("zone"), &value);
    snprintf(zone, sizeof zone, "%.*s", (int)value.len, (const char *)value.data);
    return zone;
}

/* In a zone; NULL: in all. */
static unsigned count_in(const struct scene *s, const char *zone)
{
    unsigned count = 0;
    for (uint32_t n = 1; n <= manager_agent_count(s->b->m); n++)
        count += is_in(s, n) && (!zone || strcmp(zone_of(s, n), zone) == 0);
    return count;
}

static void remember(struct scene *s)
{
    for (uint32_t n = 1; n <= manager_agent_count(s->b->m); n++)
        s->was_in[n] = is_in(s, n);
}

/* Of those remembered that are still of the fleet. */
static unsigned pushed_out(const struct scene *s)
{
    unsigned count = 0;
    for (uint32_t n = 1; n <= manager_agent_count(s->b->m); n++)
        count += s->was_in[n] && agent_in_fleet(manager_agent(s->b->m, n)) && !is_in(s, n);
    return count;
}

static void end(struct scene *s)
{
    bench_free(s->b);
}

static void test_exactly_n_are_picked_and_stay_picked(void)
{
    struct scene s = scene_new(1);
    join_many(&s, 0, 40);
    join_many(&s, 1, 60);
    join_many(&s, 4, 20);
    CU_ASSERT_EQUAL(deploy(&s, &(struct pick){.amount = {17, false}}), 0);
    CU_ASSERT_EQUAL(count_in(&s, NULL), 17);
    struct deployment_counts counts[4];
    manager_count_deployments(s.b->m, counts);
    CU_ASSERT_EQUAL(counts[0].targets, 17);
    remember(&s);
    join_many(&s, 0, 100);
    tick(&s);
    CU_ASSERT_EQUAL(count_in(&s, NULL), 17);
    CU_ASSERT_EQUAL(pushed_out(&s), 0);
    CU_ASSERT_EQUAL(deploy(&s, NULL), 1);
    CU_ASSERT_EQUAL(deploy(&s, &(struct pick){.amount = {30, false}}), 0);
    CU_ASSERT_EQUAL(count_in(&s, NULL), 30);
    CU_ASSERT_EQUAL(pushed_out(&s), 0);
    CU_ASSERT_EQUAL(deploy(&s, &(struct pick){.amount = {5, false}}), 0);
    CU_ASSERT_EQUAL(count_in(&s, NULL), 5);
    CU_ASSERT_EQUAL(deploy(&s, &(struct pick){0}), 0);
    CU_ASSERT_EQUAL(count_in(&s, NULL), 200);
    end(&s);
}

static uint32_t places(struct scene *s)
{
    struct returning_use use;
    struct arena scratch = arena_on((uint8_t *)s->b->scratch, sizeof s->b->scratch);
    manager_returning(s->b->m, 0, &scratch, &use);
    return use.places;
}

static void test_part_that_may_come_back_at_a_time_is_of_those_that_are_picked(void)
{
    struct scene s = scene_new(3);
    struct plan plan = PLAN_DEFAULT;
    plan.returning = (struct amount){.value = 50, .percent = true};
    join_many(&s, 0, 40);
    join_many(&s, 1, 60);
    join_many(&s, 4, 20); /* not of prod */
    CU_ASSERT_EQUAL(deploy_by(&s, &(struct pick){.amount = {17, false}}, &plan), 0);
    CU_ASSERT_EQUAL(places(&s), 9); /* half of them, rounded up */
    CU_ASSERT_EQUAL(deploy(&s, &(struct pick){0}), 0);
    CU_ASSERT_EQUAL(places(&s), 50);
    end(&s);
}

static void test_who_is_taken_out_is_replaced(void)
{
    struct scene s = scene_new(2);
    join_many(&s, 0, 30);
    deploy(&s, &(struct pick){.amount = {10, false}});
    for (uint32_t n = 1; n <= 30; n++) {
        remember(&s);
        struct command c = {.type = COMMAND_AGENT_REMOVE, .agent = manager_agent(s.b->m, n)->id};
        CU_ASSERT_EQUAL(run(s.b, &c), 0);
        tick(&s);
        CU_ASSERT_EQUAL(count_in(&s, NULL), 30 - n < 10 ? 30 - n : 10);
        CU_ASSERT_EQUAL(pushed_out(&s), 0);
    }
    join_many(&s, 1, 12);
    tick(&s);
    CU_ASSERT_EQUAL(count_in(&s, NULL), 10);
    end(&s);
}

/* Another device takes the agent's place. */
static void succeed(struct scene *s, uint32_t number)
{
    struct command c = {.type = COMMAND_AGENT_REPLACE};
    c.replace.agent = manager_agent(s->b->m, number)->id;
    c.replace.mint = true;
    c.replace.expires_s = UINT32_MAX;
    CU_ASSERT_EQUAL(run(s->b, &c), 0);
    const struct successor_row *row = manager_successor(s->b->m, s->b->out.index);
    struct manager_event ev = {.type = MANAGER_JOIN,
                               .join = {.batch = row->batch, .index = row->index}};
    for (int i = 0; i < KEY_ID_LEN; i++)
        ev.join.id.bytes[i] = (uint8_t)rng_next(&s->rng);
    step(s->b, &ev);
    CU_ASSERT_EQUAL_FATAL(s->b->out.joined, JOINED_ACCEPTED);
    CU_ASSERT_EQUAL(s->b->out.number, number);
    tick(s);
}

static void test_who_takes_the_place_of_a_picked_one_is_picked(void)
{
    struct scene s = scene_new(12);
    join_many(&s, 0, 12);
    join_many(&s, 1, 12);
    deploy(&s, &(struct pick){.amount = {3, false}, .by = "zone"});
    remember(&s);
    for (uint32_t n = 1, replaced = 0; n <= 24 && replaced < 3; n++)
        if (s.was_in[n]) {
            succeed(&s, n);
            replaced++;
        }
    CU_ASSERT_EQUAL(pushed_out(&s), 0);
    CU_ASSERT_EQUAL(count_in(&s, NULL), 6);
    end(&s);
}

static void cordon(struct scene *s, uint32_t number, bool on)
{
    struct command c = {.type = on ? COMMAND_AGENT_CORDON : COMMAND_AGENT_UNCORDON,
                        .agent = manager_agent(s->b->m, number)->id};
    CU_ASSERT_EQUAL(run(s->b, &c), 0);
    tick(s);
}

/* It says that it runs the deployment. */
static void ready(struct scene *s, uint32_t number)
{
    struct report report = {.type = MESSAGE_STATUS};
    report.status = (struct status){.number = number,
                                    .seq = ++s->b->seq,
                                    .boot = 1,
                                    .assignment = manager_agent(s->b->m, number)->assigned,
                                    .count = 1};
    report.status.exceptions[0] =
        (struct exception){.deployment = 1, .generation = 1, .running = 1, .state = STATE_READY};
    struct manager_event ev = {.type = MANAGER_REPORT};
    ev.report.topic = manager_agent(s->b->m, number)->id;
    ev.report.report = &report;
    step(s->b, &ev);
}

static unsigned targets(const struct scene *s)
{
    struct deployment_counts counts[4];
    manager_count_deployments(s->b->m, counts);
    return counts[0].targets;
}

static void test_cordoned_ones_are_passed_over_unless_they_run_it(void)
{
    struct scene s = scene_new(9);
    join_many(&s, 0, 20);
    for (uint32_t n = 1; n <= 10; n++)
        cordon(&s, n, true);
    deploy(&s, &(struct pick){.amount = {10, false}});
    CU_ASSERT_EQUAL(targets(&s), 10);
    for (uint32_t n = 11; n <= 20; n++) {
        CU_ASSERT_TRUE(is_in(&s, n));
        ready(&s, n);
    }
    cordon(&s, 11, true); /* runs it: keeps it, and its place */
    CU_ASSERT_EQUAL(targets(&s), 10);
    CU_ASSERT_TRUE(is_in(&s, 11));
    for (uint32_t n = 1; n <= 10; n++) {
        cordon(&s, n, false);
        CU_ASSERT_EQUAL(targets(&s), 10);
    }
    end(&s);
}

static void test_share_follows_the_fleet(void)
{
    struct scene s = scene_new(3);
    join_many(&s, 0, 50);
    deploy(&s, &(struct pick){.amount = {10, true}});
    CU_ASSERT_EQUAL(count_in(&s, NULL), 5);
    for (unsigned size = 51; size < 120; size++) {
        remember(&s);
        join(&s, size % 4);
        tick(&s);
        CU_ASSERT_EQUAL(count_in(&s, NULL), (size + 9) / 10);
        CU_ASSERT_EQUAL(pushed_out(&s), 0);
    }
    end(&s);
}

static void test_so_many_of_each_value_of_a_label(void)
{
    struct scene s = scene_new(4);
    join_many(&s, 0, 20);
    join_many(&s, 1, 2);
    join_many(&s, 3, 9); /* without a zone */
    deploy(&s, &(struct pick){.amount = {3, false}, .by = "zone"});
    CU_ASSERT_EQUAL(count_in(&s, "a"), 3);
    CU_ASSERT_EQUAL(count_in(&s, "b"), 2);
    CU_ASSERT_EQUAL(count_in(&s, NULL), 5);
    join_many(&s, 2, 5);
    join_many(&s, 1, 5);
    tick(&s);
    CU_ASSERT_EQUAL(count_in(&s, "b"), 3);
    CU_ASSERT_EQUAL(count_in(&s, "c"), 3);
    CU_ASSERT_EQUAL(count_in(&s, NULL), 9);
    end(&s);
}

static void test_so_many_are_spread_over_a_label_within_a_skew(void)
{
    struct scene s = scene_new(5);
    join_many(&s, 0, 30);
    join_many(&s, 1, 4);
    join_many(&s, 2, 30);
    deploy(&s, &(struct pick){.amount = {11, false}, .by = "zone", .max_skew = 1});
    CU_ASSERT_EQUAL(count_in(&s, NULL), 11);
    CU_ASSERT_EQUAL(count_in(&s, "b"), 4 - (count_in(&s, "a") == 4 && count_in(&s, "c") == 4));
    deploy(&s, &(struct pick){.amount = {40, false}, .by = "zone", .max_skew = 3});
    CU_ASSERT_EQUAL(count_in(&s, "a"), 7);
    CU_ASSERT_EQUAL(count_in(&s, "b"), 4);
    CU_ASSERT_EQUAL(count_in(&s, "c"), 7);
    end(&s);
}

static void test_value_whose_last_agent_left_takes_no_part(void)
{
    struct scene s = scene_new(8);
    uint32_t last = join(&s, 2);
    join_many(&s, 0, 10);
    join_many(&s, 1, 10);
    deploy(&s, &(struct pick){.amount = {12, false}, .by = "zone", .max_skew = 5});
    CU_ASSERT_EQUAL(count_in(&s, NULL), 12);
    struct command c = {.type = COMMAND_AGENT_REMOVE, .agent = manager_agent(s.b->m, last)->id};
    CU_ASSERT_EQUAL(run(s.b, &c), 0);
    tick(&s);
    CU_ASSERT_EQUAL(count_in(&s, NULL), 12);
    CU_ASSERT_EQUAL(manager_deployment(s.b->m, 0)->picked.count, 2);
    end(&s);
}

static bool shares_out(const struct pick *p, const struct pick_share *of, uint32_t count)
{
    struct pick_share shares[4];
    bool as_wanted = true;
    memcpy(shares, of, count * sizeof *of);
    pick_share_out(p, shares, count);
    for (uint32_t i = 0; i < count; i++)
        as_wanted = as_wanted && shares[i].wanted == of[i].wanted;
    return as_wanted;
}

#define SHARES(...) ((struct pick_share[]){__VA_ARGS__}), 4

static void test_sharing_out_is_even_and_never_more_than_there_are(void)
{
    CU_ASSERT_TRUE(shares_out(&(struct pick){.amount = {9, false}, .by = "z", .max_skew = 100},
                              SHARES({10, 0, 3}, {0, 0, 0}, {3, 0, 3}, {7, 0, 3})));
    CU_ASSERT_TRUE(shares_out(&(struct pick){.amount = {50, true}, .by = "z", .max_skew = 100},
                              SHARES({10, 0, 4}, {0, 0, 0}, {3, 0, 3}, {7, 0, 3})));
    CU_ASSERT_TRUE(shares_out(&(struct pick){.amount = {9, false}, .by = "z", .max_skew = 1},
                              SHARES({10, 0, 3}, {0, 0, 0}, {2, 0, 2}, {7, 0, 3})));
    CU_ASSERT_TRUE(shares_out(&(struct pick){.amount = {4, false}},
                              SHARES({10, 0, 4}, {0, 0, 0}, {3, 0, 3}, {7, 0, 4})));
}

static void test_what_can_not_be_shared_evenly_stays_where_it_is(void)
{
    struct pick p = {.amount = {6, false}, .by = "z", .max_skew = 1};
    CU_ASSERT_TRUE(shares_out(&p, SHARES({9, 0, 2}, {9, 0, 2}, {9, 0, 1}, {9, 0, 1})));
    CU_ASSERT_TRUE(shares_out(&p, SHARES({9, 1, 1}, {9, 2, 2}, {9, 1, 1}, {9, 2, 2})));
    CU_ASSERT_TRUE(shares_out(&p, SHARES({9, 0, 2}, {9, 0, 1}, {9, 0, 1}, {9, 3, 2})));
}

static void test_a_pick_that_can_not_be_followed_is_refused(void)
{
    static const struct {
        struct pick pick;
        const char *sentence;
    } cases[] = {
        {{.amount = {101, true}}, "pick: 101% of the agents are more than all"},
        {{.amount = {1, false}, .by = "/"}, "pick: '/' is no label's key"},
        {{.by = "zone"}, "pick: say how many of each value of zone"},
        {{.amount = {1, false}, .max_skew = 1}, "pick: say over which label they are to be spread"},
    };
    struct scene s = scene_new(6);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct command c = {.type = COMMAND_DEPLOY};
        c.deploy.name = c.deploy.bundle = "app";
        c.deploy.version = "1";
        c.deploy.selector = "env=prod";
        c.deploy.pick = &cases[i].pick;
        CU_ASSERT_EQUAL(run(s.b, &c), ERR_USAGE);
        CU_ASSERT_STRING_EQUAL(s.b->out.error.text, cases[i].sentence);
    }
    end(&s);
}

/* Joining, leaving, moving and restarting at random: always exactly as many as were asked for, and
 * nobody makes room but where an agent that was in came from elsewhere. */
static void churn(uint64_t seed)
{
    struct scene s = scene_new(seed);
    join_many(&s, 0, 20);
    join_many(&s, 4, 20);
    deploy(&s, &(struct pick){.amount = {9, false}});
    for (int i = 0; i < 200; i++) {
        uint32_t number = 1 + (uint32_t)rng_below(&s.rng, manager_agent_count(s.b->m));
        const struct agent_row *row = manager_agent(s.b->m, number);
        struct command c = {.type = COMMAND_AGENT_REMOVE, .agent = row->id};
        bool moves = false;
        remember(&s);
        switch (rng_below(&s.rng, 6)) {
        case 0:
        case 1:
            join(&s, (uint32_t)rng_below(&s.rng, 5));
            break;
        case 2:
            if (agent_in_fleet(row))
                run(s.b, &c);
            break;
        case 3:
            c.type = COMMAND_LABEL;
            c.label.id = row->id;
            c.label.set = rng_below(&s.rng, 2) ? "env=lab" : "env=prod";
            c.label.unset = "";
            moves = true;
            if (agent_in_fleet(row))
                run(s.b, &c);
            break;
        case 4: {
            struct manager *m = load_anew(s.b->m, &options);
            free(s.b->m);
            s.b->m = m;
            break;
        }
        default:
            break;
        }
        tick(&s);
        unsigned eligible = 0;
        for (uint32_t n = 1; n <= manager_agent_count(s.b->m); n++) {
            const struct agent_row *r = manager_agent(s.b->m, n);
            const struct labels *l = &manager_cohort(s.b->m, r->cohort)->labels;
            eligible += agent_in_fleet(r) && strstr(l->text, "env=prod") != NULL;
        }
        CU_ASSERT_EQUAL_FATAL(count_in(&s, NULL), eligible < 9 ? eligible : 9);
        CU_ASSERT_TRUE(pushed_out(&s) <= moves);
    }
    end(&s);
}

static void test_always_exactly_as_many_as_were_asked_for(void)
{
    for (uint64_t seed = 1; seed <= 20; seed++)
        churn(seed);
}

static void test_pick_is_written_in_a_few_words(void)
{
    static const char *const texts[] = {
        "all", "3", "10%", "3 of each zone", "50% of each zone", "30 over example.org/rack skew 2"};
    char out[PICK_TEXT_MAX];
    struct pick p;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        CU_ASSERT_EQUAL(pick_parse(texts[i], &p, NULL), 0);
        pick_text(&p, out);
        CU_ASSERT_STRING_EQUAL(out, texts[i]);
    }
    CU_ASSERT_EQUAL(pick_parse(" 30  over zone ", &p, NULL), 0);
    CU_ASSERT_EQUAL(p.max_skew, 1);
    static const char *const bad[] = {"",
                                      "0",
                                      "none",
                                      "3 zone",
                                      "3 of zone",
                                      "3 of each",
                                      "3 over",
                                      "3 over zone skew",
                                      "3%%",
                                      "3 over zone skew 0",
                                      "-1",
                                      "all of each zone",
                                      "3 over zone skew 5%",
                                      "1 2 3 4 5 6",
                                      "101%",
                                      "3 of each /"};
    struct errmsg em;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CU_ASSERT_EQUAL(pick_parse(bad[i], &p, &em), ERR_USAGE);
    pick_parse("3 zone", &p, &em);
    CU_ASSERT_STRING_EQUAL(em.text,
                           "pick: \"3 zone\" is none of: all, 3, 10%, 3 of each LABEL, 30 over "
                           "LABEL, 30 over LABEL skew 2");
}

static void test_preview_counts_those_that_would_be_picked(void)
{
    struct scene s = scene_new(7);
    struct preview preview;
    struct pick some = {.amount = {3, false}, .by = "zone"};
    struct command c = {.type = COMMAND_DEPLOY};
    c.deploy.name = c.deploy.bundle = "app";
    c.deploy.version = "1";
    c.deploy.selector = "env=prod";
    c.deploy.pick = &some;
    c.deploy.dry_run = true;
    join_many(&s, 0, 20);
    join_many(&s, 1, 2);
    join_many(&s, 3, 9);
    struct arena scratch = arena_on((uint8_t *)s.b->scratch, sizeof s.b->scratch);
    CU_ASSERT_EQUAL(manager_preview(s.b->m, &c, s.b->now_s, &scratch, &preview, NULL), 0);
    CU_ASSERT_EQUAL(preview.targets, 5);
    CU_ASSERT_EQUAL(manager_deployment_count(s.b->m), 0);
    end(&s);
}

static void test_pick_survives_being_written_and_read(void)
{
    struct pick p = {.amount = {12, true}, .by = "zone", .max_skew = 3}, back;
    static const struct pick_group groups[] = {
        {.value = 5, .gate = {.threshold = 7, .enrolled_before = 8}},
        {.value = UINT64_MAX, .gate = GATE_OPEN}};
    static struct pick_group room[GROUPS_MAX];
    struct picked g = {.count = 2, .left_out = 4, .groups = groups}, read;
    static uint8_t memory[PICK_BYTES_MAX];
    struct buffer out = buffer_on(memory, sizeof memory);
    CU_ASSERT_EQUAL(pick_write(&p, &g, &out), 0);
    CU_ASSERT_EQUAL(pick_read(span_buffer(&out), &back, &read, room), 0);
    CU_ASSERT_TRUE(back.amount.value == 12 && back.amount.percent && back.max_skew == 3);
    CU_ASSERT_STRING_EQUAL(back.by, "zone");
    CU_ASSERT_TRUE(read.count == 2 && read.left_out == 4);
    CU_ASSERT_EQUAL(pick_group_of(&read, 5)->gate.enrolled_before, 8);
    CU_ASSERT_TRUE(gate_is_open(&pick_group_of(&read, UINT64_MAX)->gate));
    CU_ASSERT_PTR_NULL(pick_group_of(&read, 6));
    for (size_t len = 0; len < out.len; len++)
        CU_ASSERT_TRUE(pick_read(span_of(memory, len), &back, &read, room) < 0);
}

static void test_most_groups_fit_into_their_bytes(void)
{
    static struct pick_group groups[GROUPS_MAX], room[GROUPS_MAX];
    static uint8_t memory[PICK_BYTES_MAX];
    struct buffer out = buffer_on(memory, sizeof memory);
    struct pick p = {.amount = {UINT32_MAX, false}, .max_skew = UINT32_MAX}, back;
    struct picked g = {.count = GROUPS_MAX, .left_out = UINT32_MAX, .groups = groups}, read;
    memset(p.by, 'k', LABEL_KEY_MAX);
    for (uint32_t i = 0; i < GROUPS_MAX; i++)
        groups[i] = (struct pick_group){.value = UINT64_MAX - GROUPS_MAX + i, .gate = GATE_OPEN};
    CU_ASSERT_EQUAL(pick_write(&p, &g, &out), 0);
    CU_ASSERT_EQUAL(pick_read(span_buffer(&out), &back, &read, room), 0);
    CU_ASSERT_EQUAL(read.count, GROUPS_MAX);
}

static const struct suite_test tests[] = {
    TEST(test_exactly_n_are_picked_and_stay_picked),
    TEST(test_part_that_may_come_back_at_a_time_is_of_those_that_are_picked),
    TEST(test_who_is_taken_out_is_replaced),
    TEST(test_who_takes_the_place_of_a_picked_one_is_picked),
    TEST(test_cordoned_ones_are_passed_over_unless_they_run_it),
    TEST(test_share_follows_the_fleet),
    TEST(test_so_many_of_each_value_of_a_label),
    TEST(test_so_many_are_spread_over_a_label_within_a_skew),
    TEST(test_value_whose_last_agent_left_takes_no_part),
    TEST(test_sharing_out_is_even_and_never_more_than_there_are),
    TEST(test_what_can_not_be_shared_evenly_stays_where_it_is),
    TEST(test_a_pick_that_can_not_be_followed_is_refused),
    TEST(test_always_exactly_as_many_as_were_asked_for),
    TEST(test_pick_is_written_in_a_few_words),
    TEST(test_preview_counts_those_that_would_be_picked),
    TEST(test_pick_survives_being_written_and_read),
    TEST(test_most_groups_fit_into_their_bytes),
};

SUITE_MAIN("pick", tests)
