/* Agents that are cut off for a while: for how long, and what ends that. */
#include "test/manager_bench.h"

#define JOINED_S 1000000
#define AGENTS (FLOODERS_MAX + 2)

static struct key_id id_of(struct bench *b, uint32_t number)
{
    return manager_agent(b->m, number)->id;
}

static struct bench *bench_new(uint32_t agents)
{
    struct manager_options options = {
        .limits = {.agents = AGENTS, .cohorts = 3, .deployments = 2, .bundles = 2, .batches = 6},
        .epoch = 1,
        .document_life_s = 86400,
        .policy = POLICY_DEFAULT};
    struct bench *b = bench_on(&options, JOINED_S);
    join_agents(b, "env=prod", agents);
    return b;
}

static bool flood(struct bench *b, uint32_t number)
{
    struct manager_event ev = {.type = MANAGER_FLOOD, .flood = id_of(b, number)};
    step(b, &ev);
    return b->out.alarm_count == 1 && b->out.alarms[0].type == ALARM_FLOOD &&
           b->out.alarms[0].number == number;
}

static void report(struct bench *b, uint32_t number, uint32_t seq)
{
    struct report r = {.type = MESSAGE_STATUS,
                       .status = {.number = number, .seq = seq, .boot = 9, .flags = STATUS_HELLO}};
    struct manager_event ev = {.type = MANAGER_REPORT};
    ev.report.topic = id_of(b, number);
    ev.report.report = &r;
    step(b, &ev);
}

static void tick_at(struct bench *b, uint64_t now_s)
{
    b->now_s = now_s;
    step(b, &(struct manager_event){.type = MANAGER_TICK});
}

static int order(struct bench *b, enum command_type type, uint32_t number)
{
    return run(b, &(struct command){.type = type, .agent = id_of(b, number)});
}

static size_t blocked(const struct bench *b, struct blocked_agent list[static AGENTS])
{
    return manager_blocked(b->m, list, AGENTS);
}

static size_t blocked_count(const struct bench *b)
{
    struct blocked_agent list[AGENTS];
    return blocked(b, list);
}

static bool is_online(const struct bench *b, uint32_t number)
{
    return (manager_agent(b->m, number)->flags & AGENT_ONLINE) != 0;
}

/* Floods, and waits out what it gets for it, which is how long? */
static uint64_t cut_off_for_s(struct bench *b)
{
    CU_ASSERT_TRUE(flood(b, 1));
    uint64_t from_s = b->now_s, until_s = manager_cut_off(b->m, 1).until_s;
    tick_at(b, until_s - 1);
    CU_ASSERT_EQUAL(blocked_count(b), 1);
    tick_at(b, until_s);
    CU_ASSERT_EQUAL(blocked_count(b), 0);
    CU_ASSERT_EQUAL(manager_cut_off(b->m, 1).until_s, 0);
    return until_s - from_s;
}

static void test_flooder_is_out_for_a_while_and_comes_in_again(void)
{
    struct bench *b = bench_new(2);
    struct blocked_agent list[AGENTS];
    struct certificate certificate;
    struct key_id id = id_of(b, 1);
    report(b, 1, 10);
    report(b, 2, 10);
    uint64_t changes = manager_blocked_changes(b->m);
    CU_ASSERT_TRUE(flood(b, 1));
    CU_ASSERT_EQUAL(manager_blocked_changes(b->m), changes + 1);
    CU_ASSERT_EQUAL(persisted(b, PERSIST_STATUS), 1); /* it is offline */
    CU_ASSERT_TRUE(!is_online(b, 1) && is_online(b, 2));
    CU_ASSERT_EQUAL(blocked(b, list), 1);
    CU_ASSERT_TRUE(key_id_equal(&list[0].id, &id) && list[0].for_now);

    report(b, 1, 11); /* the broker still had it */
    CU_ASSERT_TRUE(!is_online(b, 1) && manager_counters(b->m)->blocked == 1);
    CU_ASSERT_FALSE(flood(b, 1)); /* the rest of it */
    CU_ASSERT_EQUAL(manager_certificate(b->m, 1, &id, b->now_s, &certificate), JOINED_ACCEPTED);

    tick_at(b, JOINED_S + CUT_OFF_S_MIN - 1);
    CU_ASSERT_EQUAL(blocked_count(b), 1);
    tick_at(b, JOINED_S + CUT_OFF_S_MIN);
    CU_ASSERT_EQUAL(blocked_count(b), 0);
    CU_ASSERT_EQUAL(manager_blocked_changes(b->m), changes + 2);
    report(b, 1, 12);
    CU_ASSERT_TRUE(is_online(b, 1));
    bench_free(b);
}

static void test_each_time_is_twice_as_long_up_to_a_maximum(void)
{
    struct bench *b = bench_new(1);
    uint64_t wanted_s = CUT_OFF_S_MIN;
    for (int times = 1; times < 12; times++) {
        CU_ASSERT_EQUAL(cut_off_for_s(b), wanted_s);
        wanted_s = wanted_s * 2 < CUT_OFF_S_MAX ? wanted_s * 2 : CUT_OFF_S_MAX;
        b->now_s += CUT_OFF_FORGET_S - 1;
    }
    CU_ASSERT_EQUAL(cut_off_for_s(b), CUT_OFF_S_MAX);
    b->now_s += CUT_OFF_FORGET_S;
    CU_ASSERT_EQUAL(cut_off_for_s(b), CUT_OFF_S_MIN);
    bench_free(b);
}

static void test_operator_lets_it_in_at_once_and_what_it_said_before_counts_no_more(void)
{
    struct bench *b = bench_new(1);
    report(b, 1, 10);
    CU_ASSERT_TRUE(flood(b, 1));
    CU_ASSERT_EQUAL(order(b, COMMAND_AGENT_RELEASE, 1), 0);
    CU_ASSERT_EQUAL(blocked_count(b), 0);
    report(b, 1, 10); /* its numbers go on: a release of this kind forgives no replay */
    CU_ASSERT_FALSE(is_online(b, 1));
    report(b, 1, 11);
    CU_ASSERT_TRUE(is_online(b, 1));
    b->now_s += CUT_OFF_PEACE_S - 1;
    CU_ASSERT_FALSE(flood(b, 1));
    CU_ASSERT_EQUAL(blocked_count(b), 0);
    b->now_s++;
    CU_ASSERT_EQUAL(cut_off_for_s(b), 2 * CUT_OFF_S_MIN);
    bench_free(b);
}

static void test_clock_that_is_put_back_keeps_nobody_out(void)
{
    struct bench *b = bench_new(1);
    CU_ASSERT_TRUE(flood(b, 1));
    tick_at(b, JOINED_S - 100);
    CU_ASSERT_EQUAL(blocked_count(b), 1);
    tick_at(b, JOINED_S - CUT_OFF_S_MAX);
    CU_ASSERT_EQUAL(blocked_count(b), 0);
    bench_free(b);
}

static void test_cut_off_agent_can_be_revoked_removed_and_replaced(void)
{
    struct bench *b = bench_new(3);
    struct blocked_agent list[AGENTS];
    for (uint32_t n = 1; n <= 3; n++)
        CU_ASSERT_TRUE(flood(b, n));
    CU_ASSERT_EQUAL(order(b, COMMAND_AGENT_REVOKE, 1), 0);
    CU_ASSERT_EQUAL(order(b, COMMAND_AGENT_REMOVE, 2), 0);
    struct command c = {.type = COMMAND_AGENT_REPLACE,
                        .replace = {.agent = id_of(b, 3), .mint = true, .expires_s = UINT64_MAX}};
    CU_ASSERT_EQUAL(run(b, &c), 0);
    struct manager_event ev = {.type = MANAGER_JOIN};
    ev.join.batch = manager_successor(b->m, b->out.index)->batch;
    ev.join.id = (struct key_id){{99}};
    step(b, &ev);
    CU_ASSERT_EQUAL(b->out.joined, JOINED_ACCEPTED);
    CU_ASSERT_EQUAL(blocked(b, list), 3); /* whom 3 was comes first */
    CU_ASSERT_TRUE(!list[0].for_now && !list[1].for_now && list[2].for_now);
    tick_at(b, b->now_s + CUT_OFF_S_MAX);
    CU_ASSERT_EQUAL(blocked(b, list), 2);
    CU_ASSERT_EQUAL(manager_agent(b->m, 1)->flags, AGENT_REMOVED | AGENT_REVOKED);
    CU_ASSERT_EQUAL(manager_agent(b->m, 2)->flags, AGENT_REMOVED);
    CU_ASSERT_EQUAL(manager_agent(b->m, 3)->flags, 0);
    CU_ASSERT_FALSE(flood(b, 1)); /* it is out for good */
    CU_ASSERT_EQUAL(blocked_count(b), 2);
    bench_free(b);
}

static void test_nobody_else_suffers_where_too_many_flood(void)
{
    struct bench *b = bench_new(AGENTS);
    for (uint32_t n = 1; n <= FLOODERS_MAX; n++)
        CU_ASSERT_TRUE_FATAL(flood(b, n));
    CU_ASSERT_FALSE(flood(b, AGENTS));
    CU_ASSERT_EQUAL(blocked_count(b), FLOODERS_MAX);
    CU_ASSERT_EQUAL(order(b, COMMAND_AGENT_RELEASE, 7), 0);
    CU_ASSERT_TRUE(flood(b, AGENTS)); /* in the place of one that is let in */
    CU_ASSERT_EQUAL(blocked_count(b), FLOODERS_MAX);
    bench_free(b);
}

static void test_unknown_flooder_is_nobody(void)
{
    struct bench *b = bench_new(1);
    step(b, &(struct manager_event){.type = MANAGER_FLOOD, .flood = {{99}}});
    CU_ASSERT_EQUAL(b->out.alarm_count + blocked_count(b), 0);
    bench_free(b);
}

static const struct suite_test tests[] = {
    TEST(test_flooder_is_out_for_a_while_and_comes_in_again),
    TEST(test_each_time_is_twice_as_long_up_to_a_maximum),
    TEST(test_operator_lets_it_in_at_once_and_what_it_said_before_counts_no_more),
    TEST(test_clock_that_is_put_back_keeps_nobody_out),
    TEST(test_cut_off_agent_can_be_revoked_removed_and_replaced),
    TEST(test_nobody_else_suffers_where_too_many_flood),
    TEST(test_unknown_flooder_is_nobody),
};

SUITE_MAIN("flooders", tests)
