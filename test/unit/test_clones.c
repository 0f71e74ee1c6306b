/*
 * Two devices that are one agent are found; one device never is taken for two, whatever a broker
 * does with its reports. Histories are drawn; a failure prints its seed.
 */
#include "base/rng.h"
#include "manager/core/manager.h"
#include "test/suite.h"

#include <stdlib.h>

#define HISTORIES 100
#define KEPT_MAX 4096

static const struct manager_limits small = {
    .agents = 3, .cohorts = 3, .deployments = 2, .bundles = 2, .batches = 2};

/* A device, as far as its counters go. */
struct node {
    uint32_t seq; /* the next; stored ahead */
    uint32_t boot;
    uint32_t assigned; /* the assignment it holds */
};

/* The manager with agent 1, and all that was ever reported. */
struct bench {
    uint64_t now_s;
    struct rng rng;
    uint32_t boots;
    struct manager *m;
    struct manager_out out;
    unsigned alarms[ALARM_TYPE_COUNT];
    bool answers; /* as the last alarm said */
    uint32_t kept_count;
    struct status kept[KEPT_MAX];
    uint64_t scratch[MANAGER_SCRATCH_MAX / sizeof(uint64_t)];
};

static void step(struct bench *b, struct manager_event *ev)
{
    struct arena scratch = arena_on((uint8_t *)b->scratch, sizeof b->scratch);
    ev->now_s = b->now_s;
    manager_step(b->m, ev, &scratch, &b->out);
    for (uint32_t i = 0; i < b->out.alarm_count; i++) {
        b->alarms[b->out.alarms[i].type]++;
        b->answers = b->out.alarms[i].answers;
    }
}

static struct bench *bench_new(uint64_t seed)
{
    struct manager_options options = {
        .limits = small, .epoch = 1, .document_life_s = 86400, .policy = {.heartbeat_s = 60}};
    struct bench *b = calloc(1, sizeof *b);
    b->rng.state = seed;
    b->now_s = 1000000;
    b->m = manager_init(calloc(1, manager_size(&small)), &options);
    struct command tokens = {.type = COMMAND_TOKEN_CREATE,
                             .token = {.count = 1, .uses = 1, .expires_s = 2000000, .labels = ""}};
    step(b, &(struct manager_event){.type = MANAGER_COMMAND, .command = &tokens});
    step(b, &(struct manager_event){.type = MANAGER_JOIN});
    CU_ASSERT_EQUAL(b->out.number, 1);
    return b;
}

static void bench_free(struct bench *b)
{
    free(b->m);
    free(b);
}

static bool is_quarantined(const struct bench *b)
{
    return manager_agent(b->m, 1)->flags & AGENT_QUARANTINED;
}

static void hear(struct bench *b, const struct status *s)
{
    struct report report = {.type = MESSAGE_STATUS, .status = *s};
    struct manager_event ev = {.type = MANAGER_REPORT, .report = {.report = &report}};
    step(b, &ev);
}

static void start(struct bench *b, struct node *n)
{
    n->boot = ++b->boots;
    n->seq += 128; /* the next block */
}

/* It learns its newest assignment, if the link lets it. */
static void listen(const struct bench *b, struct node *n)
{
    n->assigned = manager_agent(b->m, 1)->assigned.number;
}

/* What it says now; heard at once, unless the caller thinks otherwise. */
static struct status say(struct bench *b, struct node *n)
{
    struct status s = {.number = 1,
                       .seq = n->seq++,
                       .boot = n->boot,
                       .assignment = {.epoch = 1, .number = n->assigned}};
    if (b->kept_count < KEPT_MAX)
        b->kept[b->kept_count++] = s;
    return s;
}

static void speak(struct bench *b, struct node *n)
{
    struct status s = say(b, n);
    hear(b, &s);
}

static const struct status *any_kept(struct bench *b)
{
    return &b->kept[rng_below(&b->rng, b->kept_count)];
}

static void check(bool right, const struct bench *b, uint64_t seed, const char *what)
{
    if (right)
        return;
    printf("\nseed %llu: %s; boots %u, reports %u\n", (unsigned long long)seed, what, b->boots,
           b->kept_count);
    CU_FAIL("see above");
}

/* The broker is the attacker's: it loses, delays, doubles, reorders and repeats as it likes, but it
 * can't make a report. */
static void test_one_device_is_never_quarantined_whatever_its_broker_does(void)
{
    for (uint64_t seed = 1; seed <= HISTORIES; seed++) {
        struct bench *b = bench_new(seed);
        struct node n = {.assigned = 1};
        start(b, &n);
        for (int i = 0; i < 600; i++) {
            uint64_t what = rng_below(&b->rng, 16);
            b->now_s += rng_below(&b->rng, 40);
            if (what == 0)
                start(b, &n);
            else if (what < 3)
                listen(b, &n);
            else if (what < 5)
                say(b, &n); /* kept back, or lost */
            else if (what < 9)
                speak(b, &n);
            else if (b->kept_count > 0)
                hear(b, any_kept(b));
        }
        check(b->alarms[ALARM_CLONE] == 0, b, seed, "one device was taken for two");
        check(b->alarms[ALARM_OLD_NUMBERS] <= 24000 / 3600 + 1, b, seed, "too many alarms");
        bench_free(b);
    }
}

/* A device whose storage was set back: not proven to be two, but told to the operator. */
static void test_old_image_that_is_put_back_raises_an_alarm_and_nothing_else(void)
{
    for (uint64_t seed = 1; seed <= HISTORIES; seed++) {
        struct bench *b = bench_new(seed);
        struct node n = {.assigned = 1}, image = n;
        for (int i = 0; i < 60; i++) {
            b->now_s += rng_below(&b->rng, 40);
            if (rng_below(&b->rng, 10) == 0)
                start(b, &n);
            speak(b, &n);
        }
        n = image;
        start(b, &n);
        for (int i = 0; i < 30; i++) {
            b->now_s += 60;
            listen(b, &n);
            speak(b, &n);
        }
        check(b->alarms[ALARM_CLONE] == 0, b, seed, "one device was taken for two");
        check(n.seq > 1000 || b->alarms[ALARM_OLD_NUMBERS] == 1, b, seed, "nobody was told");
        check(b->alarms[ALARM_OLD_NUMBERS] == 0 || b->answers, b, seed, "it does answer");
        bench_free(b);
    }
}

static void test_broker_that_repeats_old_reports_raises_an_alarm_and_nothing_else(void)
{
    struct bench *b = bench_new(1);
    struct node n = {.assigned = 1};
    for (int i = 0; i < 4; i++) {
        start(b, &n);
        speak(b, &n);
    }
    for (int i = 0; i < 200; i++) {
        b->now_s += 60;
        hear(b, &b->kept[i % 3]);
        listen(b, &n);
        speak(b, &n);
    }
    CU_ASSERT_EQUAL(b->alarms[ALARM_CLONE], 0);
    CU_ASSERT_EQUAL(b->alarms[ALARM_OLD_NUMBERS], 4); /* in 200 minutes */
    CU_ASSERT_FALSE(b->answers);
    bench_free(b);
}

/* Both listen before they speak, in an order and at a pace that is drawn; each may start again now
 * and then, but not all the time. */
static bool clones_are_found(struct bench *b, struct node pair[static 2], unsigned starts)
{
    uint64_t leans = 1 + rng_below(&b->rng, 9); /* one may talk much more than the other */
    for (int i = 0; i < 3000 && !is_quarantined(b); i++) {
        struct node *n = &pair[rng_below(&b->rng, 10) < leans];
        b->now_s += 1 + rng_below(&b->rng, 60);
        if (starts && rng_below(&b->rng, starts) == 0)
            start(b, n);
        if (rng_below(&b->rng, 2) == 0)
            listen(b, n);
        speak(b, n);
    }
    return is_quarantined(b);
}

static void test_clones_that_both_talk_are_found_in_any_order(void)
{
    for (uint64_t seed = 1; seed <= HISTORIES; seed++) {
        struct bench *b = bench_new(seed);
        struct node pair[2] = {{.assigned = 1}};
        for (int i = 0; i < 20; i++) {
            start(b, &pair[0]);
            speak(b, &pair[0]);
        }
        pair[1] = pair[0];
        start(b, &pair[1]);
        check(clones_are_found(b, pair, seed % 2 ? 0 : 60), b, seed, "the clones were not found");
        check(b->alarms[ALARM_CLONE] == 1, b, seed, "not one alarm");
        bench_free(b);
    }
}

/* Whose numbers are far apart never meet. */
static void test_clone_from_long_ago_is_found(void)
{
    for (uint64_t seed = 1; seed <= HISTORIES; seed++) {
        struct bench *b = bench_new(seed);
        struct node pair[2] = {{.assigned = 1}};
        start(b, &pair[0]);
        pair[1] = pair[0];
        pair[0].seq += 1000000;
        start(b, &pair[1]);
        check(clones_are_found(b, pair, 0), b, seed, "the clone was not found");
        bench_free(b);
    }
}

/* On one broker each connection ends the other's: both say hello, again and again, with numbers
 * that move in step. */
static void test_clones_that_throw_each_other_out_are_found(void)
{
    for (unsigned lead = 0; lead < 4; lead++) {
        struct bench *b = bench_new(lead);
        struct node pair[2] = {{.assigned = 1}};
        start(b, &pair[0]);
        pair[1] = pair[0];
        pair[0].seq += lead;
        pair[1].boot = ++b->boots;
        for (unsigned i = 0; i < 600 && !is_quarantined(b); i++) {
            struct node *n = &pair[i % 2];
            b->now_s += i % 2;
            speak(b, n);
            listen(b, n);
            n->seq++; /* the link went down */
        }
        check(is_quarantined(b), b, lead, "the clones were not found");
        bench_free(b);
    }
}

static void test_quarantined_agent_is_heard_no_more_until_it_is_released(void)
{
    struct bench *b = bench_new(1);
    struct node n = {.assigned = 1}, twin;
    struct blocked_agent blocked[2];
    start(b, &n);
    twin = n;
    twin.boot = ++b->boots;
    speak(b, &n);
    twin.seq = n.seq;
    speak(b, &twin);
    uint64_t changes = manager_blocked_changes(b->m);
    n.seq = twin.seq;
    speak(b, &n);
    CU_ASSERT_TRUE(is_quarantined(b));
    CU_ASSERT_FALSE(manager_agent(b->m, 1)->flags & AGENT_ONLINE);
    CU_ASSERT_EQUAL(b->out.alarms[0].number, 1);
    CU_ASSERT_NOT_EQUAL(manager_blocked_changes(b->m), changes);
    CU_ASSERT_EQUAL(manager_blocked(b->m, blocked, 2), 1);
    CU_ASSERT_EQUAL(blocked[0].joined_s, 1000000);
    uint64_t before = manager_counters(b->m)->blocked;
    speak(b, &n);
    speak(b, &twin);
    CU_ASSERT_EQUAL(manager_counters(b->m)->blocked, before + 2);
    CU_ASSERT_EQUAL(b->out.persist_count, 0);
    step(b, &(struct manager_event){.type = MANAGER_JOIN});
    CU_ASSERT_EQUAL(b->out.joined, JOINED_REVOKED);

    struct command release = {.type = COMMAND_AGENT_RELEASE};
    step(b, &(struct manager_event){.type = MANAGER_COMMAND, .command = &release});
    CU_ASSERT_EQUAL(b->out.rv, 0);
    CU_ASSERT_EQUAL(manager_blocked(b->m, blocked, 2), 0);
    n.seq = 1; /* the right one was set up anew: it may count from anywhere */
    speak(b, &n);
    CU_ASSERT_TRUE(manager_agent(b->m, 1)->flags & AGENT_ONLINE);
    CU_ASSERT_EQUAL(manager_agent(b->m, 1)->seq, 1);
    step(b, &(struct manager_event){.type = MANAGER_JOIN});
    CU_ASSERT_EQUAL(b->out.joined, JOINED_ACCEPTED);
    bench_free(b);
}

static const struct suite_test tests[] = {
    TEST(test_one_device_is_never_quarantined_whatever_its_broker_does),
    TEST(test_old_image_that_is_put_back_raises_an_alarm_and_nothing_else),
    TEST(test_broker_that_repeats_old_reports_raises_an_alarm_and_nothing_else),
    TEST(test_clones_that_both_talk_are_found_in_any_order),
    TEST(test_clone_from_long_ago_is_found),
    TEST(test_clones_that_throw_each_other_out_are_found),
    TEST(test_quarantined_agent_is_heard_no_more_until_it_is_released),
};

SUITE_MAIN("clones", tests)
