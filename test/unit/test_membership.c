#include "test/manager_bench.h"

static const struct manager_limits small = {
    .agents = 4, .cohorts = 3, .deployments = 2, .bundles = 2, .batches = 6};

static struct key_id id_of(uint8_t first)
{
    return (struct key_id){{first}};
}

static enum joined_code join(struct bench *b, uint32_t batch, uint32_t index, uint8_t id)
{
    struct manager_event ev = {.type = MANAGER_JOIN};
    ev.join.batch = batch;
    ev.join.index = index;
    ev.join.id = id_of(id);
    step(b, &ev);
    return b->out.joined;
}

static void report(struct bench *b, uint32_t number, uint8_t id, uint32_t seq)
{
    struct report r = {.type = MESSAGE_STATUS,
                       .status = {.number = number, .seq = seq, .boot = 9, .flags = STATUS_HELLO}};
    struct manager_event ev = {.type = MANAGER_REPORT};
    ev.report.topic = id_of(id);
    ev.report.report = &r;
    step(b, &ev);
}

static struct command tokens(const char *labels, uint32_t uses)
{
    return (struct command){
        .type = COMMAND_TOKEN_CREATE,
        .token = {.count = 4, .uses = uses, .expires_s = 2000000, .labels = labels}};
}

/* Batch 0 (env=prod) let in agents 1 to 3, with ids 11 to 13; its token 3 is unused. */
static struct bench *bench_new(void)
{
    struct manager_options options = {
        .limits = small, .epoch = 1, .document_life_s = 86400, .policy = POLICY_DEFAULT};
    struct bench *b = bench_on(&options, 1000000);
    struct command c = tokens("env=prod", 1);
    CU_ASSERT_EQUAL(run(b, &c), 0);
    for (uint8_t i = 0; i < 3; i++)
        CU_ASSERT_EQUAL(join(b, 0, i, (uint8_t)(11 + i)), JOINED_ACCEPTED);
    report(b, 1, 11, 500);
    return b;
}

static struct command on_agent(enum command_type type, uint8_t id)
{
    return (struct command){.type = type, .agent = id_of(id)};
}

static struct command replace(uint8_t id, uint32_t batch, uint32_t index)
{
    struct command c = {.type = COMMAND_AGENT_REPLACE};
    c.replace.agent = id_of(id);
    c.replace.batch = batch;
    c.replace.index = index;
    return c;
}

static struct command replace_fresh(uint8_t id)
{
    struct command c = replace(id, 0, 0);
    c.replace.mint = true;
    c.replace.expires_s = 1500000;
    return c;
}

static void refused(struct bench *b, const struct command *c, int code, const char *sentence)
{
    CU_ASSERT_EQUAL(run(b, c), code);
    CU_ASSERT_STRING_EQUAL(b->out.error.text, sentence);
    CU_ASSERT_EQUAL(b->out.persist_count, 0);
}

static uint32_t blocked(const struct bench *b, uint8_t id)
{
    struct blocked_agent list[8];
    size_t count = manager_blocked(b->m, list, 8);
    struct key_id wanted = id_of(id);
    for (size_t i = 0; i < count; i++)
        if (key_id_equal(&list[i].id, &wanted))
            return (uint32_t)count;
    return 0;
}

static void test_revoked_agent_is_out_and_blocked_and_never_let_in_again(void)
{
    struct bench *b = bench_new();
    struct command c = on_agent(COMMAND_AGENT_REVOKE, 11);
    struct certificate certificate;
    uint64_t changes = manager_blocked_changes(b->m);
    CU_ASSERT_EQUAL(run(b, &c), 0);
    CU_ASSERT_EQUAL(b->out.index, 1);
    CU_ASSERT_EQUAL(persisted(b, PERSIST_AGENT), 1);
    CU_ASSERT_EQUAL(persisted(b, PERSIST_ASSIGNMENT), 1); /* it is erased */
    CU_ASSERT_EQUAL(manager_cohort(b->m, 0)->agents, 2);
    CU_ASSERT_EQUAL(manager_agent(b->m, 1)->flags, AGENT_REMOVED | AGENT_REVOKED);
    CU_ASSERT_EQUAL(manager_blocked_changes(b->m), changes + 1);
    CU_ASSERT_EQUAL(blocked(b, 11), 1);
    CU_ASSERT_EQUAL(run(b, &c), 1);
    CU_ASSERT_EQUAL(manager_blocked_changes(b->m), changes + 1);

    CU_ASSERT_EQUAL(join(b, 0, 0, 11), JOINED_REVOKED);
    CU_ASSERT_EQUAL(manager_certificate(b->m, 1, &c.agent, b->now_s, &certificate), JOINED_REVOKED);
    report(b, 1, 11, 501);
    CU_ASSERT_EQUAL(manager_counters(b->m)->blocked, 1);
    CU_ASSERT_EQUAL(b->out.persist_count, 0);
    c.type = COMMAND_AGENT_RELEASE;
    refused(b, &c, ERR_BUSY,
            "agent 1 is out of the fleet for good: let a device join with a token of `dunlin agent "
            "replace 1`");
    bench_free(b);
}

static void test_removed_agent_can_still_be_revoked(void)
{
    struct bench *b = bench_new();
    struct command c = on_agent(COMMAND_AGENT_REMOVE, 12);
    CU_ASSERT_EQUAL(run(b, &c), 0);
    CU_ASSERT_EQUAL(blocked(b, 12), 0);
    c.type = COMMAND_AGENT_REVOKE;
    CU_ASSERT_EQUAL(run(b, &c), 0);
    CU_ASSERT_EQUAL(manager_cohort(b->m, 0)->agents, 2);
    CU_ASSERT_EQUAL(blocked(b, 12), 1);
    c = on_agent(COMMAND_AGENT_REVOKE, 99);
    refused(b, &c, ERR_NOT_FOUND,
            "there is no agent 63000000000000000000000000000000: see `dunlin agent list --all`");
    bench_free(b);
}

static void test_successor_takes_number_labels_and_place(void)
{
    struct bench *b = bench_new();
    struct command c = replace(11, 0, 3);
    struct key_id old = id_of(11), new = id_of(21);
    struct assignment a;
    uint32_t assigned = manager_agent(b->m, 1)->assigned.number;
    CU_ASSERT_EQUAL(run(b, &c), 0);
    CU_ASSERT_EQUAL(persisted(b, PERSIST_SUCCESSOR), 1);
    CU_ASSERT_EQUAL(blocked(b, 11), 0); /* not before the new one is there */
    b->now_s += 1000;
    CU_ASSERT_EQUAL(join(b, 0, 3, 21), JOINED_ACCEPTED);
    CU_ASSERT_EQUAL(b->out.number, 1);
    CU_ASSERT_EQUAL(persisted(b, PERSIST_AGENT), 1);
    CU_ASSERT_EQUAL(persisted(b, PERSIST_STATUS), 1);
    CU_ASSERT_EQUAL(persisted(b, PERSIST_REPLACED), 1);
    CU_ASSERT_EQUAL(persisted(b, PERSIST_SUCCESSOR), 1);
    const struct agent_row *row = manager_agent(b->m, 1);
    CU_ASSERT_TRUE(key_id_equal(&row->id, &new));
    CU_ASSERT_EQUAL(row->seq, 0);
    CU_ASSERT_EQUAL(row->joined_s, b->now_s);
    CU_ASSERT_EQUAL(row->assigned.number, assigned + 1);
    manager_assignment(b->m, 1, b->now_s, &a);
    CU_ASSERT_STRING_EQUAL(a.labels.text, "env=prod");
    CU_ASSERT_EQUAL(manager_cohort(b->m, 0)->agents, 3);
    CU_ASSERT_EQUAL(manager_find_agent(b->m, &new), 1);
    CU_ASSERT_EQUAL(manager_find_any_agent(b->m, &old), 0);
    CU_ASSERT_EQUAL(blocked(b, 11), 1);

    report(b, 1, 21, 1); /* its numbers begin anew */
    CU_ASSERT_TRUE(manager_agent(b->m, 1)->flags & AGENT_ONLINE);
    report(b, 1, 11, 501);
    CU_ASSERT_EQUAL(manager_counters(b->m)->blocked, 1);
    CU_ASSERT_EQUAL(join(b, 0, 3, 21), JOINED_ACCEPTED); /* the same answer again */
    CU_ASSERT_EQUAL(b->out.persist_count, 0);
    CU_ASSERT_EQUAL(join(b, 0, 0, 11), JOINED_REVOKED);
    CU_ASSERT_EQUAL(join(b, 0, 0, 31), JOINED_USED); /* the old one's token stays used */
    bench_free(b);
}

static void taint(struct bench *b, uint8_t id, const char *set)
{
    struct command c = {.type = COMMAND_AGENT_TAINT,
                        .taint = {.agent = id_of(id), .set = set, .unset = ""}};
    CU_ASSERT_EQUAL(run(b, &c), 0);
}

static void test_successor_is_cordoned_and_tainted_as_the_one_before(void)
{
    for (int revoked = 0; revoked < 2; revoked++) {
        struct bench *b = bench_new();
        struct command c = on_agent(COMMAND_AGENT_CORDON, 12);
        CU_ASSERT_EQUAL(run(b, &c), 0);
        taint(b, 12, "gpu=yes:NoSchedule");
        uint64_t taints = manager_agent_taints(b->m, 2);
        c = on_agent(COMMAND_AGENT_REVOKE, 12);
        CU_ASSERT_EQUAL(revoked ? run(b, &c) : 0, 0);
        c = replace_fresh(12);
        CU_ASSERT_EQUAL(run(b, &c), 0);
        const struct successor_row *s = manager_successor(b->m, b->out.index);
        CU_ASSERT_EQUAL(join(b, s->batch, s->index, 22), JOINED_ACCEPTED);
        CU_ASSERT_EQUAL(manager_agent(b->m, 2)->flags, AGENT_CORDONED | AGENT_TAINTED);
        CU_ASSERT_TRUE(taints != 0 && manager_agent_taints(b->m, 2) == taints);
        struct assignment a;
        manager_assignment(b->m, 2, b->now_s, &a);
        CU_ASSERT_TRUE(a.cordoned && a.reserved);
        bench_free(b);
    }
}

static void test_revoked_and_removed_agents_can_be_replaced_by_a_fresh_token(void)
{
    static const enum command_type outs[] = {COMMAND_AGENT_REVOKE, COMMAND_AGENT_REMOVE};
    for (int i = 0; i < 2; i++) {
        struct bench *b = bench_new();
        struct command c = on_agent(outs[i], 12);
        CU_ASSERT_EQUAL(run(b, &c), 0);
        c = replace_fresh(12);
        CU_ASSERT_EQUAL(run(b, &c), 0);
        const struct successor_row *s = manager_successor(b->m, b->out.index);
        CU_ASSERT_EQUAL(s->number, 2);
        CU_ASSERT_EQUAL(s->batch, 1);
        CU_ASSERT_EQUAL(persisted(b, PERSIST_BATCH), 1);
        CU_ASSERT_EQUAL(join(b, s->batch, s->index, 22), JOINED_ACCEPTED);
        CU_ASSERT_EQUAL(b->out.number, 2);
        CU_ASSERT_EQUAL(manager_agent(b->m, 2)->flags, 0);
        CU_ASSERT_EQUAL(manager_cohort(b->m, 0)->agents, 3);
        CU_ASSERT_EQUAL(blocked(b, 12), 1);
        bench_free(b);
    }
}

static void test_replacing_is_refused_for_each_reason(void)
{
    struct bench *b = bench_new();
    struct command c = tokens("", 2);
    run(b, &c);
    c = replace(99, 0, 3);
    refused(b, &c, ERR_NOT_FOUND,
            "there is no agent 63000000000000000000000000000000: see `dunlin agent list --all`");
    c = replace(11, 5, 0);
    refused(b, &c, ERR_NOT_FOUND, "this is no token of this manager");
    c = replace(11, 0, 4);
    refused(b, &c, ERR_NOT_FOUND, "this is no token of this manager");
    c = replace(11, 0, 1);
    refused(b, &c, ERR_USAGE, "token 2 of batch 1 is used: leave the token out to get a new one");
    c = replace(11, 1, 0);
    refused(
        b, &c, ERR_USAGE,
        "token 1 of batch 2 is meant for several devices: leave the token out to get a new one");
    b->now_s = 2000000;
    c = replace(11, 0, 3);
    refused(b, &c, ERR_USAGE,
            "token 4 of batch 1 has expired: leave the token out to get a new one");
    c = (struct command){.type = COMMAND_TOKEN_REVOKE, .batch = 0};
    run(b, &c);
    c = replace(11, 0, 3);
    refused(b, &c, ERR_USAGE,
            "token 4 of batch 1 is revoked: leave the token out to get a new one");
    bench_free(b);
}

/* An agent has one successor, and a token is for one agent: the newest word counts. */
static void test_newer_word_on_who_replaces_whom_wins(void)
{
    struct bench *b = bench_new();
    struct command c = replace(11, 0, 3);
    CU_ASSERT_EQUAL(run(b, &c), 0);
    CU_ASSERT_EQUAL(b->out.index, 0);
    c = replace_fresh(11);
    CU_ASSERT_EQUAL(run(b, &c), 0);
    CU_ASSERT_EQUAL(b->out.index, 0);
    c = replace(12, 0, 3);
    CU_ASSERT_EQUAL(run(b, &c), 0);
    CU_ASSERT_EQUAL(b->out.index, 1);
    CU_ASSERT_EQUAL(join(b, 0, 3, 22), JOINED_ACCEPTED);
    CU_ASSERT_EQUAL(b->out.number, 2);
    CU_ASSERT_EQUAL(join(b, 1, 0, 21), JOINED_ACCEPTED);
    CU_ASSERT_EQUAL(b->out.number, 1);
    /* Their places are free again; a token whose time is over gives its place back, too. */
    c = replace_fresh(13);
    CU_ASSERT_EQUAL(run(b, &c), 0);
    CU_ASSERT_EQUAL(b->out.index, 0);
    b->now_s = 1500000;
    c = replace_fresh(21);
    CU_ASSERT_EQUAL(run(b, &c), 0);
    CU_ASSERT_EQUAL(b->out.index, 0);
    bench_free(b);
}

/* The token is for this place and for no other, also when the place can't be given. */
static void test_successor_is_refused_when_no_more_devices_can_be_replaced(void)
{
    struct bench *b = bench_new();
    struct command c = replace(11, 0, 3);
    CU_ASSERT_EQUAL(run(b, &c), 0);
    struct replaced_row old = {.number = 1, .batch = 0, .index = 0};
    for (uint32_t i = 1; i <= BLOCKED_MAX; i++) {
        memcpy(old.id.bytes + 8, &i, sizeof i);
        CU_ASSERT_EQUAL_FATAL(manager_load_replaced(b->m, &old), 0);
    }
    CU_ASSERT_EQUAL(manager_load_replaced(b->m, &old), ERR_RANGE);
    CU_ASSERT_EQUAL(join(b, 0, 3, 21), JOINED_FULL);
    CU_ASSERT_EQUAL(b->out.persist_count, 0);
    CU_ASSERT_EQUAL(manager_agent_count(b->m), 3);
    bench_free(b);
}

/* A token that was made for nothing but a replacement must not let anybody else in afterwards. */
static void test_superseded_token_lets_nobody_in(void)
{
    struct bench *b = bench_new();
    struct command first = replace_fresh(11), second = replace_fresh(11);
    CU_ASSERT_EQUAL(run(b, &first), 0);
    CU_ASSERT_EQUAL(run(b, &second), 0);
    CU_ASSERT_EQUAL(join(b, 1, 0, 21), JOINED_REVOKED);
    CU_ASSERT_EQUAL(join(b, 2, 0, 22), JOINED_ACCEPTED);
    CU_ASSERT_EQUAL(b->out.number, 1);
    bench_free(b);
}

/* Whatever was said of either before: one agent has one successor, and each token one predecessor.
 */
static void test_agent_and_token_that_were_both_promised_are_promised_once(void)
{
    struct bench *b = bench_new();
    struct command c = replace(11, 0, 3);
    CU_ASSERT_EQUAL(run(b, &c), 0);
    c = replace_fresh(12);
    CU_ASSERT_EQUAL(run(b, &c), 0);
    c = replace(12, 0, 3);
    CU_ASSERT_EQUAL(run(b, &c), 0);
    CU_ASSERT_EQUAL(join(b, 1, 0, 23), JOINED_REVOKED);
    CU_ASSERT_EQUAL(join(b, 0, 3, 22), JOINED_ACCEPTED);
    CU_ASSERT_EQUAL(b->out.number, 2);
    bench_free(b);
}

/* Reports with a key of this fleet, by agents that it doesn't know. */
static void test_orphans_are_listed_for_a_day_up_to_a_limit(void)
{
    struct bench *b = bench_new();
    struct orphan list[ORPHANS_MAX];
    report(b, 9, 99, 1);
    report(b, 2, 98, 1); /* the number is another's now */
    report(b, 9, 99, 2);
    CU_ASSERT_EQUAL(manager_orphans(b->m, b->now_s, list), 2);
    CU_ASSERT_EQUAL(list[0].number, 9);
    CU_ASSERT_EQUAL(manager_counters(b->m)->foreign, 3);
    for (uint8_t i = 0; i < ORPHANS_MAX + 5; i++) {
        b->now_s++;
        report(b, 100, (uint8_t)(100 + i), 1);
    }
    CU_ASSERT_EQUAL(manager_orphans(b->m, b->now_s, list), ORPHANS_MAX);
    CU_ASSERT_EQUAL(manager_orphans(b->m, b->now_s + 86400, list), 0);
    bench_free(b);
}

static void test_cordon_outlives_reports_and_changes_nothing_else(void)
{
    struct bench *b = bench_new();
    struct command cordon = on_agent(COMMAND_AGENT_CORDON, 11);
    struct command uncordon = on_agent(COMMAND_AGENT_UNCORDON, 11);
    struct command unknown = on_agent(COMMAND_AGENT_CORDON, 99);
    struct fleet_counts counts;
    struct assignment a;
    CU_ASSERT_EQUAL(run(b, &uncordon), 1);
    unsigned before = manager_agent(b->m, 1)->flags;
    CU_ASSERT_EQUAL(run(b, &cordon), 0);
    CU_ASSERT_EQUAL(manager_agent(b->m, 1)->flags, before | AGENT_CORDONED);
    CU_ASSERT_EQUAL(persisted(b, PERSIST_AGENT), 1);
    CU_ASSERT_EQUAL(persisted(b, PERSIST_ASSIGNMENT), 1);
    manager_assignment(b->m, 1, b->now_s, &a);
    CU_ASSERT_TRUE(a.cordoned && !a.removed && a.revision.number == 2);
    CU_ASSERT_EQUAL(run(b, &cordon), 1);
    report(b, 1, 11, 501);
    CU_ASSERT_TRUE(manager_agent(b->m, 1)->flags & AGENT_CORDONED);
    manager_count_agents(b->m, &counts);
    CU_ASSERT_TRUE(counts.cordoned == 1 && counts.total == 3 && counts.online == 1);
    struct certificate certificate;
    CU_ASSERT_EQUAL(manager_certificate(b->m, 1, &cordon.agent, b->now_s, &certificate),
                    JOINED_ACCEPTED);
    CU_ASSERT_EQUAL(run(b, &uncordon), 0);
    CU_ASSERT_FALSE(manager_agent(b->m, 1)->flags & AGENT_CORDONED);
    CU_ASSERT_EQUAL(run(b, &unknown), ERR_NOT_FOUND);
    bench_free(b);
}

static const struct suite_test tests[] = {
    TEST(test_cordon_outlives_reports_and_changes_nothing_else),
    TEST(test_revoked_agent_is_out_and_blocked_and_never_let_in_again),
    TEST(test_removed_agent_can_still_be_revoked),
    TEST(test_successor_takes_number_labels_and_place),
    TEST(test_successor_is_cordoned_and_tainted_as_the_one_before),
    TEST(test_revoked_and_removed_agents_can_be_replaced_by_a_fresh_token),
    TEST(test_replacing_is_refused_for_each_reason),
    TEST(test_newer_word_on_who_replaces_whom_wins),
    TEST(test_successor_is_refused_when_no_more_devices_can_be_replaced),
    TEST(test_superseded_token_lets_nobody_in),
    TEST(test_agent_and_token_that_were_both_promised_are_promised_once),
    TEST(test_orphans_are_listed_for_a_day_up_to_a_limit),
};

SUITE_MAIN("membership", tests)
