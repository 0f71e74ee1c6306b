/*
 * Two devices that are one agent are found; one device never is taken for two, whatever a broker
 * does with its reports. Histories are drawn; a failure prints its seed.
 */
#include "base/rng.h"
#include "test/manager_bench.h"

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
struct history {
    struct bench *bench;
    struct rng rng;
    uint32_t boots;
    unsigned alarms[ALARM_TYPE_COUNT];
    bool answers; /* as the last alarm said */
    uint32_t kept_count;
    struct status kept[KEPT_MAX];
};

static void happen(struct history *h, struct manager_event *ev)
{
    step(h->bench, ev);
    for (uint32_t i = 0; i < h->bench->out.alarm_count; i++) {
        h->alarms[h->bench->out.alarms[i].type]++;
        h->answers = h->bench->out.alarms[i].answers;
    }
}

static struct history *history_new(uint64_t seed)
{
    struct manager_options options = {
        .limits = small, .epoch = 1, .document_life_s = 86400, .policy = {.heartbeat_s = 60}};
    struct history *h = calloc(1, sizeof *h);
    CU_ASSERT_PTR_NOT_NULL_FATAL(h);
    h->rng.state = seed;
    h->bench = bench_on(&options, 1000000);
    struct command tokens = {.type = COMMAND_TOKEN_CREATE,
                             .token = {.count = 1, .uses = 1, .expires_s = 2000000, .labels = ""}};
    happen(h, &(struct manager_event){.type = MANAGER_COMMAND, .command = &tokens});
    happen(h, &(struct manager_event){.type = MANAGER_JOIN});
    CU_ASSERT_EQUAL(h->bench->out.number, 1);
    return h;
}

static void history_free(struct history *h)
{
    bench_free(h->bench);
    free(h);
}

static bool is_quarantined(const struct history *h)
{
    return manager_agent(h->bench->m, 1)->flags & AGENT_QUARANTINED;
}

static void hear(struct history *h, const struct status *s)
{
    struct report report = {.type = MESSAGE_STATUS, .status = *s};
    struct manager_event ev = {.type = MANAGER_REPORT, .report = {.report = &report}};
    happen(h, &ev);
}

static void start(struct history *h, struct node *n)
{
    n->boot = ++h->boots;
    n->seq += 128; /* the next block */
}

/* It learns its newest assignment, if the link lets it. */
static void listen(const struct history *h, struct node *n)
{
    n->assigned = manager_agent(h->bench->m, 1)->assigned.number;
}

/* What it says now; heard at once, unless the caller thinks otherwise. */
static struct status say(struct history *h, struct node *n)
{
    struct status s = {.number = 1,
                       .seq = n->seq++,
                       .boot = n->boot,
                       .assignment = {.epoch = 1, .number = n->assigned}};
    if (h->kept_count < KEPT_MAX)
        h->kept[h->kept_count++] = s;
    return s;
}

static void speak(struct history *h, struct node *n)
{
    struct status s = say(h, n);
    hear(h, &s);
}

static const struct status *any_kept(struct history *h)
{
    return &h->kept[rng_below(&h->rng, h->kept_count)];
}

static void check(bool right, const struct history *h, uint64_t seed, const char *what)
{
    if (right)
        return;
    printf("\nseed %llu: %s; boots %u, reports %u\n", (unsigned long long)seed, what, h->boots,
           h->kept_count);
    CU_FAIL("see above");
}

/* The broker is the attacker's: it loses, delays, doubles, reorders and repeats as it likes, but it
 * can't make a report. */
static void test_one_device_is_never_quarantined_whatever_its_broker_does(void)
{
    for (uint64_t seed = 1; seed <= HISTORIES; seed++) {
        struct history *h = history_new(seed);
        struct node n = {.assigned = 1};
        start(h, &n);
        for (int i = 0; i < 600; i++) {
            uint64_t what = rng_below(&h->rng, 16);
            h->bench->now_s += rng_below(&h->rng, 40);
            if (what == 0)
                start(h, &n);
            else if (what < 3)
                listen(h, &n);
            else if (what < 5)
                say(h, &n); /* kept back, or lost */
            else if (what < 9)
                speak(h, &n);
            else if (h->kept_count > 0)
                hear(h, any_kept(h));
        }
        check(h->alarms[ALARM_CLONE] == 0, h, seed, "one device was taken for two");
        check(h->alarms[ALARM_OLD_NUMBERS] <= 24000 / 3600 + 1, h, seed, "too many alarms");
        history_free(h);
    }
}

/* A device whose storage was set back: not proven to be two, but told to the operator. */
static void test_old_image_that_is_put_back_raises_an_alarm_and_nothing_else(void)
{
    for (uint64_t seed = 1; seed <= HISTORIES; seed++) {
        struct history *h = history_new(seed);
        struct node n = {.assigned = 1}, image = n;
        for (int i = 0; i < 60; i++) {
            h->bench->now_s += rng_below(&h->rng, 40);
            if (rng_below(&h->rng, 10) == 0)
                start(h, &n);
            speak(h, &n);
        }
        n = image;
        start(h, &n);
        for (int i = 0; i < 30; i++) {
            h->bench->now_s += 60;
            listen(h, &n);
            speak(h, &n);
        }
        check(h->alarms[ALARM_CLONE] == 0, h, seed, "one device was taken for two");
        check(n.seq > 1000 || h->alarms[ALARM_OLD_NUMBERS] == 1, h, seed, "nobody was told");
        check(h->alarms[ALARM_OLD_NUMBERS] == 0 || h->answers, h, seed, "it does answer");
        history_free(h);
    }
}

static void test_broker_that_repeats_old_reports_raises_an_alarm_and_nothing_else(void)
{
    struct history *h = history_new(1);
    struct node n = {.assigned = 1};
    for (int i = 0; i < 4; i++) {
        start(h, &n);
        speak(h, &n);
    }
    for (int i = 0; i < 200; i++) {
        h->bench->now_s += 60;
        hear(h, &h->kept[i % 3]);
        listen(h, &n);
        speak(h, &n);
    }
    CU_ASSERT_EQUAL(h->alarms[ALARM_CLONE], 0);
    CU_ASSERT_EQUAL(h->alarms[ALARM_OLD_NUMBERS], 4); /* in 200 minutes */
    CU_ASSERT_FALSE(h->answers);
    history_free(h);
}

/* Both listen before they speak, in an order and at a pace that is drawn; each may start again now
 * and then, but not all the time. */
static bool clones_are_found(struct history *h, struct node pair[static 2], unsigned starts)
{
    uint64_t leans = 1 + rng_below(&h->rng, 9); /* one may talk much more than the other */
    for (int i = 0; i < 3000 && !is_quarantined(h); i++) {
        struct node *n = &pair[rng_below(&h->rng, 10) < leans];
        h->bench->now_s += 1 + rng_below(&h->rng, 60);
        if (starts && rng_below(&h->rng, starts) == 0)
            start(h, n);
        if (rng_below(&h->rng, 2) == 0)
            listen(h, n);
        speak(h, n);
    }
    return is_quarantined(h);
}

static void test_clones_that_both_talk_are_found_in_any_order(void)
{
    for (uint64_t seed = 1; seed <= HISTORIES; seed++) {
        struct history *h = history_new(seed);
        struct node pair[2] = {{.assigned = 1}};
        for (int i = 0; i < 20; i++) {
            start(h, &pair[0]);
            speak(h, &pair[0]);
        }
        pair[1] = pair[0];
        start(h, &pair[1]);
        check(clones_are_found(h, pair, seed % 2 ? 0 : 60), h, seed, "the clones were not found");
        check(h->alarms[ALARM_CLONE] == 1, h, seed, "not one alarm");
        history_free(h);
    }
}

/* Whose numbers are far apart never meet. */
static void test_clone_from_long_ago_is_found(void)
{
    for (uint64_t seed = 1; seed <= HISTORIES; seed++) {
        struct history *h = history_new(seed);
        struct node pair[2] = {{.assigned = 1}};
        start(h, &pair[0]);
        pair[1] = pair[0];
        pair[0].seq += 1000000;
        start(h, &pair[1]);
        check(clones_are_found(h, pair, 0), h, seed, "the clone was not found");
        history_free(h);
    }
}

/* On one broker each connection ends the other's: both say hello, again and again, with numbers
 * that move in step. */
static void test_clones_that_throw_each_other_out_are_found(void)
{
    for (unsigned lead = 0; lead < 4; lead++) {
        struct history *h = history_new(lead);
        struct node pair[2] = {{.assigned = 1}};
        start(h, &pair[0]);
        pair[1] = pair[0];
        pair[0].seq += lead;
        pair[1].boot = ++h->boots;
        for (unsigned i = 0; i < 600 && !is_quarantined(h); i++) {
            struct node *n = &pair[i % 2];
            h->bench->now_s += i % 2;
            speak(h, n);
            listen(h, n);
            n->seq++; /* the link went down */
        }
        check(is_quarantined(h), h, lead, "the clones were not found");
        history_free(h);
    }
}

static void test_quarantined_agent_is_heard_no_more_until_it_is_released(void)
{
    struct history *h = history_new(1);
    struct node n = {.assigned = 1}, twin;
    struct blocked_agent blocked[2];
    start(h, &n);
    twin = n;
    twin.boot = ++h->boots;
    speak(h, &n);
    twin.seq = n.seq;
    speak(h, &twin);
    uint64_t changes = manager_blocked_changes(h->bench->m);
    n.seq = twin.seq;
    speak(h, &n);
    CU_ASSERT_TRUE(is_quarantined(h));
    CU_ASSERT_FALSE(manager_agent(h->bench->m, 1)->flags & AGENT_ONLINE);
    CU_ASSERT_EQUAL(h->bench->out.alarms[0].number, 1);
    CU_ASSERT_NOT_EQUAL(manager_blocked_changes(h->bench->m), changes);
    CU_ASSERT_EQUAL(manager_blocked(h->bench->m, blocked, 2), 1);
    CU_ASSERT_EQUAL(blocked[0].joined_s, 1000000);
    uint64_t before = manager_counters(h->bench->m)->blocked;
    speak(h, &n);
    speak(h, &twin);
    CU_ASSERT_EQUAL(manager_counters(h->bench->m)->blocked, before + 2);
    CU_ASSERT_EQUAL(h->bench->out.persist_count, 0);
    happen(h, &(struct manager_event){.type = MANAGER_JOIN});
    CU_ASSERT_EQUAL(h->bench->out.joined, JOINED_REVOKED);

    struct command release = {.type = COMMAND_AGENT_RELEASE};
    happen(h, &(struct manager_event){.type = MANAGER_COMMAND, .command = &release});
    CU_ASSERT_EQUAL(h->bench->out.rv, 0);
    CU_ASSERT_EQUAL(manager_blocked(h->bench->m, blocked, 2), 0);
    n.seq = 1; /* the right one was set up anew: it may count from anywhere */
    speak(h, &n);
    CU_ASSERT_TRUE(manager_agent(h->bench->m, 1)->flags & AGENT_ONLINE);
    CU_ASSERT_EQUAL(manager_agent(h->bench->m, 1)->seq, 1);
    happen(h, &(struct manager_event){.type = MANAGER_JOIN});
    CU_ASSERT_EQUAL(h->bench->out.joined, JOINED_ACCEPTED);
    history_free(h);
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
