#include "test/manager_bench.h"

#include <stdio.h>

static const struct manager_limits small = {
    .agents = 3, .cohorts = 3, .deployments = 140, .bundles = 4, .batches = 4};

static struct bench *bench_new(void)
{
    struct manager_options options = {.limits = small,
                                      .epoch = 1,
                                      .cohort_secret = {{7}},
                                      .policy = POLICY_DEFAULT,
                                      .document_life_s = 1000};
    return bench_on(&options, 1000000);
}

/* The command is refused with this code and sentence, and nothing is to be persisted. */
static void refused(struct bench *b, const struct command *c, int code, const char *sentence)
{
    CU_ASSERT_EQUAL(run(b, c), code);
    CU_ASSERT_STRING_EQUAL(b->out.error.text, sentence);
    CU_ASSERT_EQUAL(b->out.persist_count, 0);
}

static struct command tokens_command(uint32_t count, uint32_t uses, const char *labels)
{
    struct command c = {.type = COMMAND_TOKEN_CREATE};
    c.token.count = count;
    c.token.uses = uses;
    c.token.expires_s = 2000000;
    c.token.labels = labels;
    return c;
}

static int make_tokens(struct bench *b, uint32_t count, uint32_t uses, const char *labels)
{
    struct command c = tokens_command(count, uses, labels);
    return run(b, &c);
}

static int push(struct bench *b, const char *name, const char *version, uint8_t digest)
{
    struct command c = {.type = COMMAND_BUNDLE_ADD};
    c.bundle.digest.bytes[0] = digest;
    snprintf(c.bundle.name, sizeof c.bundle.name, "%s", name);
    snprintf(c.bundle.version, sizeof c.bundle.version, "%s", version);
    return run(b, &c);
}

static struct command deploy_command(const char *name, const char *version, const char *selector)
{
    struct command c = {.type = COMMAND_DEPLOY};
    c.deploy.name = name;
    c.deploy.bundle = "app";
    c.deploy.version = version;
    c.deploy.selector = selector;
    c.deploy.all = selector[0] == '\0';
    return c;
}

static int deploy(struct bench *b, const char *name, const char *version, const char *selector)
{
    struct command c = deploy_command(name, version, selector);
    return run(b, &c);
}

static struct command name_command(enum command_type type, const char *name, const char *version)
{
    struct command c = {.type = type};
    c.deployment.name = name;
    c.deployment.version = version;
    return c;
}

static enum joined_code join(struct bench *b, uint32_t batch, uint32_t index, uint8_t key)
{
    struct manager_event ev = {.type = MANAGER_JOIN};
    ev.join.batch = batch;
    ev.join.index = index;
    ev.join.id.bytes[0] = key;
    step(b, &ev);
    return b->out.joined;
}

static void report(struct bench *b, uint8_t key, const struct status *s)
{
    struct report r = {.type = MESSAGE_STATUS, .status = *s};
    struct manager_event ev = {.type = MANAGER_REPORT};
    ev.report.topic.bytes[0] = key;
    ev.report.report = &r;
    step(b, &ev);
}

/* ---- tokens and joining ---- */

static void test_tokens_have_limits(void)
{
    struct bench *b = bench_new();
    struct command c = tokens_command(0, 1, "");
    refused(b, &c, ERR_RANGE, "0 tokens: between 1 and 16777216 more can be made");
    c = tokens_command(TOKENS_MAX + 1, 1, "");
    refused(b, &c, ERR_RANGE, "16777217 tokens: between 1 and 16777216 more can be made");
    c = tokens_command(1, 0, "");
    refused(b, &c, ERR_RANGE, "0 uses: a token has between 1 and 65535");
    c = tokens_command(1, TOKEN_USES_MAX + 1, "");
    refused(b, &c, ERR_RANGE, "65536 uses: a token has between 1 and 65535");
    for (int i = 0; i < 4; i++)
        CU_ASSERT_EQUAL(make_tokens(b, 1, 1, ""), 0);
    c = tokens_command(1, 1, "");
    refused(b, &c, ERR_RANGE, "there are 4 token batches, the most that are kept");
    CU_ASSERT_EQUAL(make_tokens(b, 1, 1, "=x"), ERR_FORMAT);
    bench_free(b);
}

static void test_token_is_redeemed_as_often_as_it_has_uses(void)
{
    struct bench *b = bench_new();
    CU_ASSERT_EQUAL(make_tokens(b, 2, 2, "env=prod"), 0);
    CU_ASSERT_EQUAL(join(b, 0, 1, 10), JOINED_ACCEPTED);
    CU_ASSERT_EQUAL(b->out.number, 1);
    CU_ASSERT_EQUAL(persisted(b, PERSIST_AGENT), 1);
    CU_ASSERT_EQUAL(persisted(b, PERSIST_COHORT), 1);
    CU_ASSERT_EQUAL(persisted(b, PERSIST_DOCUMENT), 1);
    CU_ASSERT_EQUAL(join(b, 0, 1, 11), JOINED_ACCEPTED);
    CU_ASSERT_EQUAL(join(b, 0, 1, 12), JOINED_USED);
    CU_ASSERT_EQUAL(join(b, 0, 1, 10), JOINED_ACCEPTED); /* the same answer again */
    CU_ASSERT_EQUAL(b->out.number, 1);
    CU_ASSERT_EQUAL(b->out.persist_count, 0);
    CU_ASSERT_EQUAL(join(b, 0, 0, 10), JOINED_USED); /* a known key with another token */
    CU_ASSERT_EQUAL(manager_batch(b->m, 0)->redeemed, 2);
    CU_ASSERT_EQUAL(manager_counters(b->m)->joins, 2);
    CU_ASSERT_EQUAL(manager_counters(b->m)->joins_again, 1);
    bench_free(b);
}

static void test_join_is_refused_for_each_reason(void)
{
    struct bench *b = bench_new();
    make_tokens(b, 8, 1, "env=prod");
    CU_ASSERT_EQUAL(join(b, 1, 0, 1), JOINED_UNKNOWN);
    CU_ASSERT_EQUAL(join(b, 0, 8, 1), JOINED_UNKNOWN);
    for (uint8_t i = 0; i < 3; i++)
        CU_ASSERT_EQUAL(join(b, 0, i, i), JOINED_ACCEPTED);
    CU_ASSERT_EQUAL(join(b, 0, 3, 3), JOINED_FULL); /* three agents are the limit */
    b->now_s = 2000000;
    CU_ASSERT_EQUAL(join(b, 0, 3, 3), JOINED_EXPIRED);
    CU_ASSERT_EQUAL(join(b, 0, 0, 0), JOINED_ACCEPTED); /* who is in, is in */
    struct command c = {.type = COMMAND_TOKEN_REVOKE, .batch = 0};
    CU_ASSERT_EQUAL(run(b, &c), 0);
    CU_ASSERT_EQUAL(run(b, &c), 1);
    CU_ASSERT_EQUAL(join(b, 0, 3, 3), JOINED_REVOKED);
    c.batch = 1;
    refused(b, &c, ERR_NOT_FOUND, "there is no token batch 2: see `dunlin token list`");
    bench_free(b);
}

/* As long as nobody else comes with the token, its agent may ask as often as it likes. */
static void test_used_token_with_another_key_raises_one_alarm_an_hour(void)
{
    struct bench *b = bench_new();
    make_tokens(b, 8, 1, "");
    CU_ASSERT_EQUAL(join(b, 0, 5, 1), JOINED_ACCEPTED);
    CU_ASSERT_EQUAL(join(b, 0, 5, 1), JOINED_ACCEPTED);
    CU_ASSERT_EQUAL(b->out.alarm_count, 0);
    CU_ASSERT_EQUAL(join(b, 0, 5, 2), JOINED_USED);
    CU_ASSERT_EQUAL_FATAL(b->out.alarm_count, 1);
    CU_ASSERT_EQUAL(b->out.alarms[0].type, ALARM_TOKEN_REUSED);
    CU_ASSERT_EQUAL(b->out.alarms[0].batch, 0);
    CU_ASSERT_EQUAL(b->out.alarms[0].index, 5);
    for (uint8_t key = 2; key < 50; key++) {
        CU_ASSERT_EQUAL(join(b, 0, 5, key), JOINED_USED);
        CU_ASSERT_EQUAL(b->out.alarm_count, 0);
    }
    b->now_s += 3600;
    CU_ASSERT_EQUAL(join(b, 0, 5, 2), JOINED_USED);
    CU_ASSERT_EQUAL(b->out.alarm_count, 1);
    CU_ASSERT_EQUAL(manager_counters(b->m)->alarms[ALARM_TOKEN_REUSED], 2);
    CU_ASSERT_EQUAL(manager_counters(b->m)->tokens_reused, 50);
    bench_free(b);
}

/* Only what was told of is over for an hour: many alarms that the log has no place for keep none
 * from being raised. */
static void test_alarm_that_is_not_told_of_is_raised_again(void)
{
    struct bench *b = bench_new();
    struct batch_row batch = {.count = 6000, .uses = 0, .expires_s = 2000000};
    CU_ASSERT_EQUAL(manager_load_batch(b->m, &batch), 0);
    CU_ASSERT_EQUAL(join(b, 0, 7, 1), JOINED_USED);
    CU_ASSERT_EQUAL(b->out.alarm_count, 1);
    for (uint32_t i = 1000; i < 6000; i++) {
        CU_ASSERT_EQUAL(join(b, 0, i, 1), JOINED_USED);
        CU_ASSERT_EQUAL_FATAL(b->out.alarm_count, 1);
        manager_alarm_untold(b->m, &b->out.alarms[0]);
    }
    CU_ASSERT_EQUAL(join(b, 0, 7, 1), JOINED_USED);
    CU_ASSERT_EQUAL(b->out.alarm_count, 0);
    CU_ASSERT_EQUAL(join(b, 0, 5999, 1), JOINED_USED);
    CU_ASSERT_EQUAL(b->out.alarm_count, 1);
    CU_ASSERT_EQUAL(join(b, 0, 5999, 1), JOINED_USED);
    CU_ASSERT_EQUAL(b->out.alarm_count, 0);
    manager_alarm_untold(b->m, &(struct alarm){.type = ALARM_CLONE, .index = 5999});
    manager_alarm_untold(b->m, &(struct alarm){.type = ALARM_TOKEN_REUSED, .index = 7});
    CU_ASSERT_EQUAL(join(b, 0, 5999, 1), JOINED_USED);
    CU_ASSERT_EQUAL(b->out.alarm_count, 0);
    bench_free(b);
}

/* Three agents are the limit here, so the tokens have been used before the test. */
static void test_many_used_tokens_raise_a_bounded_number_of_alarms(void)
{
    struct bench *b = bench_new();
    struct batch_row batch = {.count = 6000, .uses = 0, .expires_s = 2000000};
    unsigned alarms = 0;
    CU_ASSERT_EQUAL(manager_load_batch(b->m, &batch), 0);
    for (uint32_t i = 0; i < 6000; i++) {
        CU_ASSERT_EQUAL(join(b, 0, i, 1), JOINED_USED);
        alarms += b->out.alarm_count;
    }
    CU_ASSERT_EQUAL(alarms, 4096);
    b->now_s += 3600;
    CU_ASSERT_EQUAL(join(b, 0, 5999, 1), JOINED_USED);
    CU_ASSERT_EQUAL(b->out.alarm_count, 1);
    CU_ASSERT_EQUAL(manager_counters(b->m)->tokens_reused, 6001);
    bench_free(b);
}

static bool counts_are(const struct bench *b, uint32_t total, uint32_t waiting)
{
    struct fleet_counts c;
    manager_count_agents(b->m, &c);
    return c.total == total && c.waiting == waiting && c.offline == total;
}

static void test_device_waits_until_an_operator_agrees(void)
{
    struct bench *b = bench_new();
    struct command c = tokens_command(8, 1, "env=prod");
    struct command approve = {.type = COMMAND_AGENT_APPROVE, .agent = {.bytes = {7}}};
    struct status s = {.number = 1, .seq = 1, .flags = STATUS_HELLO};
    c.token.approve = true;
    CU_ASSERT_EQUAL(run(b, &c), 0);
    CU_ASSERT_EQUAL(join(b, 0, 0, 7), JOINED_WAITING);
    CU_ASSERT_EQUAL(b->out.number, 1);
    CU_ASSERT_EQUAL(persisted(b, PERSIST_AGENT), 1);
    CU_ASSERT_EQUAL(persisted(b, PERSIST_DOCUMENT), 0);
    CU_ASSERT_EQUAL(join(b, 0, 0, 7), JOINED_WAITING);
    CU_ASSERT_EQUAL(b->out.persist_count, 0);
    CU_ASSERT_EQUAL(join(b, 0, 0, 8), JOINED_USED); /* the token is its own already */
    CU_ASSERT_TRUE(counts_are(b, 0, 1));
    CU_ASSERT_EQUAL(manager_cohort(b->m, 0)->agents, 0);
    report(b, 7, &s);
    CU_ASSERT_EQUAL(manager_counters(b->m)->foreign, 1);
    b->now_s += 500;
    CU_ASSERT_EQUAL(run(b, &approve), 0);
    CU_ASSERT_EQUAL(b->out.index, 1);
    CU_ASSERT_EQUAL(persisted(b, PERSIST_AGENT), 1);
    CU_ASSERT_EQUAL(persisted(b, PERSIST_DOCUMENT), 1);
    CU_ASSERT_EQUAL(manager_agent(b->m, 1)->joined_s, b->now_s);
    CU_ASSERT_EQUAL(run(b, &approve), 1);
    CU_ASSERT_EQUAL(join(b, 0, 0, 7), JOINED_ACCEPTED);
    CU_ASSERT_TRUE(counts_are(b, 1, 0));
    approve.agent.bytes[0] = 9;
    refused(b, &approve, ERR_NOT_FOUND,
            "there is no agent 09000000000000000000000000000000: see `dunlin agent list`");
    bench_free(b);
}

static void test_waiting_device_can_be_labelled_and_refused_for_good(void)
{
    struct bench *b = bench_new();
    struct command c = tokens_command(8, 1, "env=prod");
    struct command label = {.type = COMMAND_LABEL,
                            .label = {.id.bytes = {7}, .set = "env=lab", .unset = ""}};
    struct command remove = {.type = COMMAND_AGENT_REMOVE, .agent = {.bytes = {7}}};
    struct command approve = {.type = COMMAND_AGENT_APPROVE, .agent = {.bytes = {7}}};
    c.token.approve = true;
    run(b, &c);
    CU_ASSERT_EQUAL(join(b, 0, 0, 7), JOINED_WAITING);
    CU_ASSERT_EQUAL(run(b, &label), 0);
    CU_ASSERT_EQUAL(persisted(b, PERSIST_ASSIGNMENT), 0);
    CU_ASSERT_STRING_EQUAL(manager_cohort(b->m, manager_agent(b->m, 1)->cohort)->labels.text,
                           "env=lab");
    CU_ASSERT_EQUAL(run(b, &remove), 0);
    CU_ASSERT_EQUAL(persisted(b, PERSIST_AGENT), 1);
    CU_ASSERT_EQUAL(persisted(b, PERSIST_ASSIGNMENT), 0);
    CU_ASSERT_EQUAL(join(b, 0, 0, 7), JOINED_REVOKED);
    CU_ASSERT_EQUAL(run(b, &approve), ERR_NOT_FOUND);
    CU_ASSERT_TRUE(counts_are(b, 0, 0));
    CU_ASSERT_EQUAL(manager_cohort(b->m, 0)->agents, 0);
    CU_ASSERT_EQUAL(manager_cohort(b->m, 1)->agents, 0);
    bench_free(b);
}

static void test_waiting_devices_wait_on_after_a_restart(void)
{
    struct bench *b = bench_new(), *again = bench_new();
    struct command c = tokens_command(8, 1, "env=prod");
    c.token.approve = true;
    run(b, &c);
    CU_ASSERT_EQUAL(join(b, 0, 0, 7), JOINED_WAITING);
    CU_ASSERT_EQUAL(manager_load_batch(again->m, manager_batch(b->m, 0)), 0);
    CU_ASSERT_EQUAL(manager_load_cohort(again->m, manager_cohort(b->m, 0)), 0);
    CU_ASSERT_EQUAL(manager_load_agent(again->m, 1, manager_agent(b->m, 1), NULL, 0), 0);
    CU_ASSERT_TRUE(counts_are(again, 0, 1));
    CU_ASSERT_EQUAL(manager_cohort(again->m, 0)->agents, 0);
    CU_ASSERT_EQUAL(join(again, 0, 0, 7), JOINED_WAITING);
    bench_free(b);
    bench_free(again);
}

static void test_label_sets_have_a_limit(void)
{
    struct bench *b = bench_new();
    make_tokens(b, 1, 1, "a=1");
    make_tokens(b, 1, 1, "a=2");
    join(b, 0, 0, 1);
    join(b, 1, 0, 2);
    struct command c = {.type = COMMAND_LABEL};
    c.label.id.bytes[0] = 1;
    c.label.set = "a=3";
    c.label.unset = "";
    CU_ASSERT_EQUAL(run(b, &c), 0);
    c.label.set = "a=4";
    refused(b, &c, ERR_RANGE, "there are 3 different label sets, the most that are kept");
    c.label.set = "a=2,b=1";
    c.label.unset = "b";
    CU_ASSERT_EQUAL(run(b, &c), ERR_RANGE); /* what is set wins over what is unset */
    c.label.set = "";
    c.label.unset = "nothing";
    CU_ASSERT_EQUAL(run(b, &c), 1);
    c.label.id.bytes[0] = 9;
    refused(b, &c, ERR_NOT_FOUND,
            "there is no agent 09000000000000000000000000000000: see `dunlin agent list`");
    bench_free(b);
}

/* Only what says that nothing is new may be written later than it is heard. */
static void test_rows_of_heartbeats_may_wait_and_of_news_may_not(void)
{
    struct bench *b = bench_new();
    make_tokens(b, 2, 1, "env=prod");
    join(b, 0, 0, 1);
    const struct status hello = {.number = 1, .boot = 5, .flags = STATUS_HELLO};
    const struct status news[] = {
        hello,
        {.number = 1, .boot = 5, .flags = STATUS_STALE},
        {.number = 1, .boot = 5, .document = {.epoch = 1, .number = 1}},
        {.number = 1, .boot = 5, .flags = STATUS_TRUNCATED},
        {.number = 1, .boot = 5, .count = 1, .exceptions = {{.deployment = 1}}},
        {.number = 1, .boot = 6},
        {.number = 1, .boot = 6, .flags = STATUS_GOODBYE},
    };
    uint32_t seq = 0;
    for (size_t i = 0; i < sizeof news / sizeof news[0]; i++) {
        struct status s = news[i];
        for (int again = 0; again < 2; again++) {
            s.seq = ++seq;
            report(b, 1, &s);
            bool same = again && !(s.flags & (STATUS_HELLO | STATUS_GOODBYE));
            CU_ASSERT_EQUAL(persisted(b, PERSIST_STATUS), !same);
            CU_ASSERT_EQUAL(persisted(b, PERSIST_HEARTBEAT), same);
            CU_ASSERT_EQUAL(manager_agent(b->m, 1)->seq, seq);
        }
    }
    bench_free(b);
}

static void test_removed_agent_is_found_no_more(void)
{
    struct bench *b = bench_new();
    make_tokens(b, 2, 1, "env=prod");
    join(b, 0, 0, 1);
    struct command c = {.type = COMMAND_AGENT_REMOVE};
    c.agent.bytes[0] = 1;
    CU_ASSERT_EQUAL(run(b, &c), 0);
    CU_ASSERT_EQUAL(persisted(b, PERSIST_ASSIGNMENT), 1);
    struct assignment a;
    manager_assignment(b->m, 1, b->now_s, &a);
    CU_ASSERT_TRUE(a.removed);
    CU_ASSERT_EQUAL(a.revision.number, 2);
    CU_ASSERT_EQUAL(manager_find_agent(b->m, &c.agent), 0);
    CU_ASSERT_EQUAL(run(b, &c), ERR_NOT_FOUND);
    CU_ASSERT_EQUAL(join(b, 0, 0, 1), JOINED_REVOKED);
    report(b, 1, &(struct status){.number = 1, .seq = 1});
    CU_ASSERT_EQUAL(manager_counters(b->m)->foreign, 1);
    struct fleet_counts counts;
    manager_count_agents(b->m, &counts);
    CU_ASSERT_EQUAL(counts.total, 0);
    bench_free(b);
}

/* ---- trust and bundles ---- */

static void test_trust_documents_come_one_after_the_other(void)
{
    struct bench *b = bench_new();
    struct trust t = {.version = 1};
    struct command c = {.type = COMMAND_TRUST, .trust.next = &t};
    CU_ASSERT_EQUAL(run(b, &c), 0);
    CU_ASSERT_EQUAL(b->out.persist_count, 1);
    CU_ASSERT_EQUAL(b->out.persist[0].type, PERSIST_TRUST);
    CU_ASSERT_EQUAL(b->out.persist[0].index, 1);
    for (t.version = 1; t.version <= 3; t.version += 2)
        refused(b, &c, ERR_OLD,
                "the fleet's trust document has version 1 already: make the next one from that");
    t.version = 2;
    CU_ASSERT_EQUAL(run(b, &c), 0);
    CU_ASSERT_EQUAL(manager_trust(b->m)->version, 2);
    bench_free(b);
}

static void test_bundles_are_immutable_and_have_names_and_limits(void)
{
    struct bench *b = bench_new();
    CU_ASSERT_EQUAL(push(b, "app", "1", 1), 0);
    CU_ASSERT_EQUAL(push(b, "app", "1", 1), 1);
    CU_ASSERT_EQUAL(push(b, "app", "1", 2), ERR_EXISTS);
    CU_ASSERT_STRING_EQUAL(
        b->out.error.text,
        "app@1 exists with other content: a version never changes, choose a new one");
    CU_ASSERT_EQUAL(push(b, "", "1", 2), ERR_USAGE);
    CU_ASSERT_EQUAL(push(b, "app", "-1", 2), ERR_USAGE);
    for (uint8_t i = 2; i <= 4; i++) {
        char version[] = {(char)('0' + i), '\0'};
        CU_ASSERT_EQUAL(push(b, "app", version, i), 0);
    }
    CU_ASSERT_EQUAL(push(b, "app", "5", 5), ERR_RANGE);
    CU_ASSERT_STRING_EQUAL(b->out.error.text, "4 bundles have been pushed, the most that are kept");
    bench_free(b);
}

static void test_deployed_bundle_is_not_removed(void)
{
    struct bench *b = bench_new();
    push(b, "app", "1", 1);
    push(b, "app", "2", 2);
    deploy(b, "web", "1", "");
    struct command c = {.type = COMMAND_BUNDLE_REMOVE};
    c.bundle_name.name = "app";
    c.bundle_name.version = "1";
    refused(b, &c, ERR_BUSY, "app@1 is deployed by web: remove or change that deployment first");
    CU_ASSERT_EQUAL(deploy(b, "web", "2", ""), 0);
    refused(b, &c, ERR_BUSY, "app@1 is what web would go back to: say --force if it never shall");
    c.bundle_name.force = true;
    CU_ASSERT_EQUAL(run(b, &c), 0);
    CU_ASSERT_EQUAL(persisted(b, PERSIST_BUNDLE_GONE), 1);
    refused(b, &c, ERR_NOT_FOUND, "there is no bundle app@1: see `dunlin bundle list`");
    struct command back = name_command(COMMAND_ROLLBACK, "web", NULL);
    refused(b, &back, ERR_NOT_FOUND, "web has no earlier version to go back to");
    bench_free(b);
}

/* Nobody goes back further than to the last other version, and nobody to what is gone. */
static void test_bundle_to_go_back_to_is_kept_and_older_ones_are_not(void)
{
    struct bench *b = bench_new();
    for (uint8_t i = 1; i <= 3; i++) {
        char version[] = {(char)('0' + i), '\0'};
        push(b, "app", version, i);
        deploy(b, "web", version, "");
    }
    struct command c = {.type = COMMAND_BUNDLE_REMOVE, .bundle_name = {"app", "1", false}};
    CU_ASSERT_EQUAL(run(b, &c), 0);
    c.bundle_name.version = "2";
    refused(b, &c, ERR_BUSY, "app@2 is what web would go back to: say --force if it never shall");
    c.bundle_name.version = "3";
    c.bundle_name.force = true;
    refused(b, &c, ERR_BUSY, "app@3 is deployed by web: remove or change that deployment first");
    struct command gone = name_command(COMMAND_DEPLOYMENT_REMOVE, "web", NULL);
    CU_ASSERT_EQUAL(run(b, &gone), 0);
    c.bundle_name.version = "2";
    c.bundle_name.force = false;
    CU_ASSERT_EQUAL(run(b, &c), 0);
    bench_free(b);
}

/* ---- deployments ---- */

static void test_deploying_is_refused_for_each_reason(void)
{
    struct bench *b = bench_new();
    push(b, "app", "1", 1);
    struct command c = deploy_command("web", "2", "");
    refused(b, &c, ERR_NOT_FOUND, "there is no bundle app@2: see `dunlin bundle list`");
    c = deploy_command(".web", "1", "");
    refused(b, &c, ERR_USAGE,
            ".web: a deployment's name is 1 to 63 letters, digits, '.', '_' or '-', and begins "
            "with none of '.-'");
    c = deploy_command("web", "1", "");
    c.deploy.all = false;
    refused(b, &c, ERR_USAGE, "the selector is empty: say --all if web is meant for every agent");
    c = deploy_command("web", "1", "a=1");
    c.deploy.all = true;
    refused(b, &c, ERR_USAGE, "--all and a selector exclude each other");
    c = deploy_command("web", "1", "a=");
    c.deploy.selector = "a in";
    refused(b, &c, ERR_FORMAT, "selector ends after character 4: expected '('");
    bench_free(b);
}

static void test_unknown_deployments_are_named(void)
{
    static const enum command_type types[] = {COMMAND_PAUSE, COMMAND_RESUME, COMMAND_ROLLBACK,
                                              COMMAND_DEPLOYMENT_REMOVE};
    struct bench *b = bench_new();
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        struct command c = name_command(types[i], "web", NULL);
        refused(b, &c, ERR_NOT_FOUND, "there is no deployment web: see `dunlin deployment list`");
    }
    bench_free(b);
}

static void test_same_words_again_change_nothing(void)
{
    struct bench *b = bench_new();
    push(b, "app", "1", 1);
    CU_ASSERT_EQUAL(deploy(b, "web", "1", "a=1"), 0);
    CU_ASSERT_EQUAL(deploy(b, "web", "1", "a=1"), 1);
    CU_ASSERT_EQUAL(b->out.persist_count, 0);
    struct command c = name_command(COMMAND_RESUME, "web", NULL);
    CU_ASSERT_EQUAL(run(b, &c), 1);
    c.type = COMMAND_PAUSE;
    CU_ASSERT_EQUAL(run(b, &c), 0);
    CU_ASSERT_EQUAL(run(b, &c), 1);
    CU_ASSERT_EQUAL(deploy(b, "web", "1", "a=1"), 1); /* and it stays paused */
    CU_ASSERT_TRUE(manager_deployment(b->m, 0)->flags & RECORD_PAUSED);
    bench_free(b);
}

static void test_priority_and_keep_stay_until_they_are_said_again(void)
{
    struct bench *b = bench_new();
    push(b, "app", "1", 1);
    push(b, "app", "2", 2);
    struct command c = {.type = COMMAND_DEPLOY,
                        .deploy = {.name = "web",
                                   .bundle = "app",
                                   .version = "1",
                                   .selector = "a=1",
                                   .priority = 5,
                                   .flags = RECORD_KEEP}};
    CU_ASSERT_EQUAL(run(b, &c), 0);
    c.deploy.priority_stays = c.deploy.keep_stays = true;
    c.deploy.priority = c.deploy.flags = 0;
    CU_ASSERT_EQUAL(run(b, &c), 1);
    c.deploy.version = "2";
    CU_ASSERT_EQUAL(run(b, &c), 0);
    const struct deployment_row *d = manager_deployment(b->m, 0);
    CU_ASSERT_TRUE(d->priority == 5 && d->flags == RECORD_KEEP);
    c.deploy.priority_stays = c.deploy.keep_stays = false;
    CU_ASSERT_EQUAL(run(b, &c), 0);
    CU_ASSERT_TRUE(d->priority == 0 && d->flags == 0);
    c.deploy.priority_stays = c.deploy.keep_stays = true;
    c.deploy.name = "fresh";
    c.deploy.priority = 7;
    c.deploy.flags = RECORD_KEEP;
    CU_ASSERT_EQUAL(run(b, &c), 0);
    d = manager_deployment(b->m, 1);
    CU_ASSERT_TRUE(d->priority == 0 && d->flags == 0);
    bench_free(b);
}

/* Agent 1 says what became of the newest generation of deployment 1 there. */
static void report_end(struct bench *b, enum deployment_state state, enum cause cause)
{
    struct status s = {.number = 1,
                       .seq = ++b->seq,
                       .document = manager_cohort(b->m, 0)->revision,
                       .count = 1,
                       .exceptions = {{.deployment = 1,
                                       .generation = manager_generation(b->m, 0),
                                       .state = (uint8_t)state,
                                       .cause = (uint8_t)cause}}};
    report(b, 1, &s);
}

/* Who runs an earlier try, and is held up from what came behind, runs that version all the same. */
static void test_what_was_tried_again_is_known_by_all_its_numbers(void)
{
    static const char *const versions[] = {"", "1", "2", "2", "2", "1"};
    struct bench *b = bench_new();
    make_tokens(b, 1, 1, "env=prod");
    join(b, 0, 0, 1);
    push(b, "app", "1", 1);
    push(b, "app", "2", 2);
    CU_ASSERT_EQUAL(deploy(b, "web", "1", ""), 0);
    CU_ASSERT_EQUAL(deploy(b, "web", "2", ""), 0);
    struct command again = name_command(COMMAND_RETRY, "web", NULL);
    for (int i = 0; i < 2; i++) {
        report_end(b, STATE_FAILED, CAUSE_APPLY);
        CU_ASSERT_EQUAL(run(b, &again), 0);
    }
    struct command back = name_command(COMMAND_ROLLBACK, "web", NULL);
    CU_ASSERT_EQUAL(run(b, &back), 0);
    CU_ASSERT_EQUAL(manager_deployment(b->m, 0)->history_count, 3);
    for (uint32_t i = 1; i <= 5; i++)
        CU_ASSERT_STRING_EQUAL(manager_generation_version(b->m, 0, i), versions[i]);
    CU_ASSERT_STRING_EQUAL(manager_generation_version(b->m, 0, 6), "");
    bench_free(b);
}

/* One agent, which has said nothing yet, and what is deployed to it. */
static struct bench *bench_with_web(void)
{
    struct bench *b = bench_new();
    make_tokens(b, 1, 1, "env=prod");
    join(b, 0, 0, 1);
    push(b, "app", "1", 1);
    deploy(b, "web", "1", "");
    return b;
}

static void test_where_nobody_failed_there_is_nobody_to_retry(void)
{
    struct bench *b = bench_with_web();
    const struct command again = name_command(COMMAND_RETRY, "web", NULL);
    static const struct {
        enum deployment_state state;
        enum cause cause;
        bool fails;
    } ends[] = {
        {STATE_PENDING, CAUSE_NONE, false},   {STATE_APPLYING, CAUSE_NONE, false},
        {STATE_PENDING, CAUSE_WINDOW, false}, {STATE_PENDING, CAUSE_STUCK, false},
        {STATE_FAILED, CAUSE_APPLY, true},    {STATE_ROLLED_BACK, CAUSE_HEALTH, true},
        {STATE_PENDING, CAUSE_DISK, true}, /* and tries again by itself, but later */
    };
    const char *nobody = "nobody has failed by version 1 of web: there is nobody to retry, see "
                         "`dunlin rollout show web`";
    refused(b, &again, ERR_BUSY, nobody); /* it has said nothing yet */
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        report_end(b, ends[i].state, ends[i].cause);
        if (ends[i].fails)
            CU_ASSERT_EQUAL(run(b, &again), 0);
        refused(b, &again, ERR_BUSY, nobody); /* also once it is to try again */
    }
    report_end(b, STATE_FAILED, CAUSE_APPLY);
    struct command gone = {.type = COMMAND_AGENT_REMOVE, .agent.bytes = {1}};
    CU_ASSERT_EQUAL(run(b, &gone), 0);
    refused(b, &again, ERR_BUSY, nobody);
    bench_free(b);
}

/* What it failed by may be among what there was no room to tell. */
static void test_who_has_more_to_tell_than_it_can_may_have_failed(void)
{
    struct bench *b = bench_with_web();
    struct status s = {.number = 1,
                       .seq = 1,
                       .flags = STATUS_TRUNCATED,
                       .document = manager_cohort(b->m, 0)->revision};
    report(b, 1, &s);
    const struct command again = name_command(COMMAND_RETRY, "web", NULL);
    CU_ASSERT_EQUAL(run(b, &again), 0);
    bench_free(b);
}

static void test_rollback_walks_the_history(void)
{
    struct bench *b = bench_new();
    for (uint8_t i = 1; i <= 3; i++) {
        char version[] = {(char)('0' + i), '\0'};
        push(b, "app", version, i);
        deploy(b, "web", version, "");
    }
    struct command c = name_command(COMMAND_ROLLBACK, "web", NULL);
    CU_ASSERT_EQUAL(run(b, &c), 0);
    CU_ASSERT_EQUAL(manager_deployment(b->m, 0)->history[0].generation, 4);
    CU_ASSERT_STRING_EQUAL(manager_generation_version(b->m, 0, 4), "2");
    c.deployment.version = "1";
    CU_ASSERT_EQUAL(run(b, &c), 0);
    CU_ASSERT_STRING_EQUAL(manager_generation_version(b->m, 0, 5), "1");
    c.deployment.version = "9";
    refused(b, &c, ERR_NOT_FOUND,
            "web has no version 9 in its history: see `dunlin deployment show web`");
    for (int i = 0; i < 20; i++)
        CU_ASSERT_EQUAL(deploy(b, "web", i % 2 ? "1" : "2", ""), 0);
    CU_ASSERT_EQUAL(manager_deployment(b->m, 0)->history_count, HISTORY_DEFAULT);
    CU_ASSERT_EQUAL(manager_deployment(b->m, 0)->history[0].generation, 25);
    CU_ASSERT_STRING_EQUAL(manager_generation_version(b->m, 0, 1), "");
    bench_free(b);
}

static int keep_history(struct bench *b, const char *version, uint32_t history)
{
    struct command c = {.type = COMMAND_DEPLOY};
    c.deploy.name = "web";
    c.deploy.bundle = "app";
    c.deploy.version = version;
    c.deploy.selector = "";
    c.deploy.all = true;
    c.deploy.history = history;
    return run(b, &c);
}

static void test_history_is_as_long_as_the_deployment_says(void)
{
    struct bench *b = bench_new();
    push(b, "app", "1", 1);
    push(b, "app", "2", 2);
    CU_ASSERT_EQUAL(keep_history(b, "1", HISTORY_MAX + 1), ERR_USAGE);
    CU_ASSERT_EQUAL(keep_history(b, "1", HISTORY_MAX), 0);
    for (int i = 0; i < 2 * HISTORY_MAX; i++)
        CU_ASSERT_EQUAL(keep_history(b, i % 2 ? "1" : "2", 0), 0);
    CU_ASSERT_EQUAL(manager_deployment(b->m, 0)->history_count, HISTORY_MAX);
    CU_ASSERT_EQUAL(keep_history(b, "1", HISTORY_MAX), 1);
    CU_ASSERT_EQUAL(keep_history(b, "1", 2), 0);
    CU_ASSERT_EQUAL(manager_deployment(b->m, 0)->history_count, 2);
    CU_ASSERT_EQUAL(manager_generation(b->m, 0), 2 * HISTORY_MAX + 1); /* no agent sees it */
    CU_ASSERT_EQUAL(keep_history(b, "1", 1), 0);
    struct command c = name_command(COMMAND_ROLLBACK, "web", NULL);
    refused(b, &c, ERR_NOT_FOUND, "web has no earlier version to go back to");
    CU_ASSERT_EQUAL(keep_history(b, "2", 0), 0);
    CU_ASSERT_EQUAL(manager_deployment(b->m, 0)->history_count, 1);
    bench_free(b);
}

static void test_name_of_a_removed_deployment_is_free_and_its_number_is_not(void)
{
    struct bench *b = bench_new();
    push(b, "app", "1", 1);
    deploy(b, "web", "1", "");
    struct command c = name_command(COMMAND_DEPLOYMENT_REMOVE, "web", NULL);
    CU_ASSERT_EQUAL(run(b, &c), 0);
    CU_ASSERT_EQUAL(run(b, &c), ERR_NOT_FOUND);
    CU_ASSERT_EQUAL(deploy(b, "web", "1", ""), 0);
    CU_ASSERT_EQUAL(b->out.index, 1);
    CU_ASSERT_EQUAL(manager_find_deployment(b->m, "web"), 1);
    bench_free(b);
}

static void test_agents_take_only_so_many_deployments(void)
{
    struct bench *b = bench_new();
    char name[16];
    push(b, "app", "1", 1);
    make_tokens(b, 1, 1, "env=prod");
    join(b, 0, 0, 1);
    for (int i = 0; i < RECORDS_MAX; i++) {
        snprintf(name, sizeof name, "web%d", i);
        CU_ASSERT_EQUAL(deploy(b, name, "1", i ? "env=prod" : "env in (prod,lab)"), 0);
    }
    struct command c = deploy_command("more", "1", "env");
    refused(b, &c, ERR_RANGE,
            "agents with labels \"env=prod\" have 128 deployments, the most they take");
    CU_ASSERT_EQUAL(deploy(b, "more", "1", "env=lab"), 0);
    CU_ASSERT_EQUAL(deploy(b, "more", "1", "env"), ERR_RANGE);
    CU_ASSERT_EQUAL(deploy(b, "web0", "1", "env=prod"), 0); /* it has its place there already */
    static struct desired document;
    manager_document(b->m, 0, &document);
    CU_ASSERT_EQUAL(document.count, RECORDS_MAX);
    for (int i = 0; i < 11; i++) {
        snprintf(name, sizeof name, "lab%d", i);
        CU_ASSERT_EQUAL(deploy(b, name, "1", "env=lab"), 0);
    }
    c = deploy_command("last", "1", "env=lab");
    refused(b, &c, ERR_RANGE, "140 deployments have been made, the most that are kept");
    bench_free(b);
}

static void test_label_set_without_agents_is_never_full(void)
{
    struct bench *b = bench_new();
    char name[16];
    push(b, "app", "1", 1);
    make_tokens(b, 1, 1, "env=prod");
    join(b, 0, 0, 1);
    for (int i = 0; i < RECORDS_MAX; i++) {
        snprintf(name, sizeof name, "web%d", i);
        CU_ASSERT_EQUAL(deploy(b, name, "1", "env=prod"), 0);
    }
    struct command away = {.type = COMMAND_LABEL};
    away.label.id.bytes[0] = 1;
    away.label.set = "env=lab";
    away.label.unset = "";
    CU_ASSERT_EQUAL(run(b, &away), 0);
    struct command gone = name_command(COMMAND_DEPLOYMENT_REMOVE, "web0", NULL);
    CU_ASSERT_EQUAL(run(b, &gone), 0);
    CU_ASSERT_EQUAL(deploy(b, "more", "1", "env=prod"), 0);
    bench_free(b);
}

/* ---- documents ---- */

static void test_document_gets_a_revision_only_when_it_says_something_new(void)
{
    struct bench *b = bench_new();
    struct manager_event tick = {.type = MANAGER_TICK};
    push(b, "app", "1", 1);
    make_tokens(b, 1, 1, "env=prod");
    join(b, 0, 0, 1);
    CU_ASSERT_EQUAL(manager_cohort(b->m, 0)->revision.number, 1);
    deploy(b, "web", "1", "env=lab"); /* none of its */
    CU_ASSERT_EQUAL(manager_cohort(b->m, 0)->revision.number, 1);
    deploy(b, "web", "1", "env");
    CU_ASSERT_EQUAL(manager_cohort(b->m, 0)->revision.number, 2);
    deploy(b, "web", "1", "env=prod"); /* means the same here */
    CU_ASSERT_EQUAL(manager_cohort(b->m, 0)->revision.number, 2);
    b->now_s += 499;
    step(b, &tick);
    CU_ASSERT_EQUAL(b->out.persist_count, 0);
    b->now_s += 1;
    step(b, &tick);
    CU_ASSERT_EQUAL(persisted(b, PERSIST_DOCUMENT), 1); /* half of its life is over */
    CU_ASSERT_EQUAL(manager_cohort(b->m, 0)->revision.number, 3);
    static struct desired document;
    manager_document(b->m, 0, &document);
    CU_ASSERT_EQUAL(document.not_after_s, b->now_s + 1000);
    bench_free(b);
}

static void test_new_trust_document_changes_heads_and_no_other(void)
{
    struct bench *b = bench_new();
    make_tokens(b, 1, 1, "env=prod");
    join(b, 0, 0, 1);
    struct trust t = {.version = 1};
    struct command c = {.type = COMMAND_TRUST, .trust.next = &t};
    CU_ASSERT_EQUAL(run(b, &c), 0);
    CU_ASSERT_EQUAL(b->out.persist_count, 2);
    CU_ASSERT_EQUAL(b->out.persist[0].type, PERSIST_TRUST); /* before the head that names it */
    CU_ASSERT_EQUAL(b->out.persist[1].type, PERSIST_HEAD);
    bench_free(b);
}

/* ---- what agents tell ---- */

static void test_agent_is_ready_when_it_holds_the_revision_and_names_no_exception(void)
{
    struct bench *b = bench_new();
    struct agent_deployment d[RECORDS_MAX];
    struct deployment_counts counts[1];
    push(b, "app", "1", 1);
    make_tokens(b, 1, 1, "env=prod");
    join(b, 0, 0, 1);
    deploy(b, "web", "1", "");
    CU_ASSERT_EQUAL(manager_agent_deployments(b->m, 1, d), 1);
    CU_ASSERT_EQUAL(d[0].state, STATE_PENDING);
    struct status s = {
        .number = 1,
        .seq = 1,
        .document = {1, 2},
        .assignment = {1, 1},
        .count = 1,
        .exceptions = {
            {.deployment = 1, .generation = 1, .state = STATE_FAILED, .cause = CAUSE_APPLY}}};
    report(b, 1, &s);
    CU_ASSERT_EQUAL(manager_agent_deployments(b->m, 1, d), 1);
    CU_ASSERT_EQUAL(d[0].state, STATE_FAILED);
    CU_ASSERT_EQUAL(d[0].cause, CAUSE_APPLY);
    s.seq = 2;
    s.count = 0;
    report(b, 1, &s);
    manager_agent_deployments(b->m, 1, d);
    CU_ASSERT_EQUAL(d[0].state, STATE_READY);
    CU_ASSERT_EQUAL(d[0].running, 1);
    push(b, "app", "2", 2);
    deploy(b, "web", "2", "");
    manager_agent_deployments(b->m, 1, d);
    CU_ASSERT_EQUAL(d[0].state, STATE_PENDING);
    CU_ASSERT_EQUAL(d[0].wanted, 2);
    CU_ASSERT_EQUAL(d[0].running, 1); /* as it said of the revision before */
    manager_count_deployments(b->m, counts);
    CU_ASSERT_EQUAL(counts[0].targets, 1);
    CU_ASSERT_EQUAL(counts[0].states[STATE_PENDING], 1);
    bench_free(b);
}

static void test_cordoned_agent_is_ready_in_what_it_runs_and_paused_in_what_is_new(void)
{
    struct bench *b = bench_new();
    struct agent_deployment d[RECORDS_MAX];
    push(b, "app", "1", 1);
    push(b, "app", "2", 2);
    make_tokens(b, 1, 1, "env=prod");
    join(b, 0, 0, 1);
    deploy(b, "web", "1", "");
    report(b, 1, &(struct status){.number = 1, .seq = 1, .document = {1, 2}, .assignment = {1, 1}});
    struct command c = {.type = COMMAND_AGENT_CORDON, .agent = {{1}}};
    CU_ASSERT_EQUAL(run(b, &c), 0);
    manager_agent_deployments(b->m, 1, d);
    CU_ASSERT_EQUAL(d[0].state, STATE_READY);
    deploy(b, "web", "2", "");
    manager_agent_deployments(b->m, 1, d);
    CU_ASSERT_EQUAL(d[0].state, STATE_PAUSED);
    CU_ASSERT_EQUAL(d[0].running, 1);
    bench_free(b);
}

static void test_exceptions_come_from_a_pool_that_gives_back(void)
{
    struct bench *b = bench_new();
    make_tokens(b, 1, 1, "");
    join(b, 0, 0, 1);
    struct status s = {.number = 1, .count = EXCEPTIONS_MAX};
    for (uint32_t i = 0; i < EXCEPTIONS_MAX; i++)
        s.exceptions[i] = (struct exception){.deployment = i + 1, .state = STATE_FAILED};
    for (s.seq = 1; s.seq < 2000; s.seq++)
        report(b, 1, &s);
    struct exception list[EXCEPTIONS_MAX];
    CU_ASSERT_EQUAL(manager_exceptions(b->m, 1, list), EXCEPTIONS_MAX);
    CU_ASSERT_EQUAL(list[0].deployment, 1);
    CU_ASSERT_EQUAL(list[EXCEPTIONS_MAX - 1].deployment, EXCEPTIONS_MAX);
    CU_ASSERT_FALSE(manager_agent(b->m, 1)->flags & AGENT_TRUNCATED);
    bench_free(b);
}

static void test_goodbye_makes_offline_at_once(void)
{
    struct bench *b = bench_new();
    make_tokens(b, 1, 1, "");
    join(b, 0, 0, 1);
    report(b, 1, &(struct status){.number = 1, .seq = 1, .flags = STATUS_HELLO});
    CU_ASSERT_TRUE(manager_agent(b->m, 1)->flags & AGENT_ONLINE);
    report(b, 1, &(struct status){.number = 1, .seq = 2, .flags = STATUS_GOODBYE});
    CU_ASSERT_FALSE(manager_agent(b->m, 1)->flags & AGENT_ONLINE);
    report(b, 1, &(struct status){.number = 1, .seq = 2});
    CU_ASSERT_FALSE(manager_agent(b->m, 1)->flags & AGENT_ONLINE);
    CU_ASSERT_EQUAL(manager_counters(b->m)->replayed, 1);
    bench_free(b);
}

/* ---- many at once ---- */

static struct manager *many_agents(uint32_t count, struct arena *scratch)
{
    struct manager_limits limits = {
        .agents = count, .cohorts = 40, .deployments = 4, .bundles = 4, .batches = 1};
    struct manager_options options = {
        .limits = limits, .epoch = 1, .policy = POLICY_DEFAULT, .document_life_s = 1000000};
    struct manager *m = manager_init(calloc(1, manager_size(&limits)), &options);
    struct batch_row batch = {.count = count, .uses = 1};
    struct manager_out out;
    CU_ASSERT_EQUAL(manager_load_batch(m, &batch), 0);
    for (uint32_t i = 0; i < 40; i++) {
        struct cohort c = {.key = {{(uint8_t)i}}};
        snprintf(c.labels.text, sizeof c.labels.text, "n=%u", i);
        CU_ASSERT_EQUAL(manager_load_cohort(m, &c), 0);
    }
    for (uint32_t i = 0; i < count; i++) {
        struct agent_row row = {.index = i, .cohort = i % 40, .flags = AGENT_ONLINE};
        memcpy(row.id.bytes, &i, sizeof i);
        CU_ASSERT_EQUAL(manager_load_agent(m, i + 1, &row, NULL, 0), 0);
    }
    do
        manager_step(m, &(struct manager_event){.type = MANAGER_CONTINUE, .now_s = 1000}, scratch,
                     &out);
    while (out.more);
    return m;
}

static void test_more_work_than_a_step_takes_goes_on_with_continue(void)
{
    struct arena scratch = arena_on(malloc(MANAGER_SCRATCH_MAX), MANAGER_SCRATCH_MAX);
    struct manager *m = many_agents(1000, &scratch);
    struct manager_event ev = {.type = MANAGER_TICK, .now_s = 1000 + 2250};
    struct manager_out out;
    struct fleet_counts counts;
    unsigned steps = 0;
    manager_step(m, &ev, &scratch, &out);
    CU_ASSERT_EQUAL(out.persist_count, 0); /* exactly two and a half heartbeats */
    ev.now_s++;
    manager_step(m, &ev, &scratch, &out);
    CU_ASSERT_TRUE(out.more);
    for (ev.type = MANAGER_CONTINUE; out.more; steps++)
        manager_step(m, &ev, &scratch, &out);
    manager_count_agents(m, &counts);
    CU_ASSERT_EQUAL(counts.offline, 1000);
    CU_ASSERT_TRUE(steps >= 1000 / MANAGER_PERSIST_MAX);
    free(scratch.base);
    free(m);
}

static void test_rows_that_contradict_each_other_are_not_loaded(void)
{
    struct bench *b = bench_new();
    struct batch_row batch = {.count = 2, .uses = 1};
    struct deployment_row d = {.history_count = 1};
    struct agent_row row = {.index = 0};
    struct cohort c = {.placement_count = RECORDS_MAX + 1};
    CU_ASSERT_EQUAL(manager_load_agent(b->m, 1, &row, NULL, 0), ERR_DAMAGED); /* no cohort */
    CU_ASSERT_EQUAL(manager_load_deployment(b->m, &d), ERR_DAMAGED);          /* no bundle */
    CU_ASSERT_EQUAL(manager_load_cohort(b->m, &c), ERR_DAMAGED);
    c.placement_count = 1; /* of no deployment */
    for (uint32_t deployment = 0; deployment < 2; deployment++) {
        c.placements[0].deployment = deployment;
        CU_ASSERT_EQUAL(manager_load_cohort(b->m, &c), ERR_DAMAGED);
    }
    c.placement_count = 0;
    CU_ASSERT_EQUAL(manager_load_cohort(b->m, &c), 0);
    CU_ASSERT_EQUAL(manager_load_batch(b->m, &batch), 0);
    CU_ASSERT_EQUAL(manager_load_agent(b->m, 2, &row, NULL, 0), ERR_DAMAGED); /* a gap */
    row.index = 2;
    CU_ASSERT_EQUAL(manager_load_agent(b->m, 1, &row, NULL, 0), ERR_DAMAGED);
    CU_ASSERT_EQUAL(manager_load_agent(b->m, 4, &row, NULL, 0), ERR_RANGE);
    row.index = 1;
    struct exception odd = {.deployment = 1, .state = STATE_COUNT};
    CU_ASSERT_EQUAL(manager_load_agent(b->m, 1, &row, &odd, 1), ERR_DAMAGED);
    CU_ASSERT_EQUAL(manager_load_agent(b->m, 1, &row, NULL, 0), 0);
    batch.count = TOKENS_MAX;
    CU_ASSERT_EQUAL(manager_load_batch(b->m, &batch), ERR_RANGE);
    bench_free(b);
}

static const struct suite_test tests[] = {
    TEST(test_tokens_have_limits),
    TEST(test_token_is_redeemed_as_often_as_it_has_uses),
    TEST(test_join_is_refused_for_each_reason),
    TEST(test_used_token_with_another_key_raises_one_alarm_an_hour),
    TEST(test_many_used_tokens_raise_a_bounded_number_of_alarms),
    TEST(test_alarm_that_is_not_told_of_is_raised_again),
    TEST(test_device_waits_until_an_operator_agrees),
    TEST(test_waiting_device_can_be_labelled_and_refused_for_good),
    TEST(test_waiting_devices_wait_on_after_a_restart),
    TEST(test_label_sets_have_a_limit),
    TEST(test_rows_of_heartbeats_may_wait_and_of_news_may_not),
    TEST(test_removed_agent_is_found_no_more),
    TEST(test_trust_documents_come_one_after_the_other),
    TEST(test_bundles_are_immutable_and_have_names_and_limits),
    TEST(test_deployed_bundle_is_not_removed),
    TEST(test_bundle_to_go_back_to_is_kept_and_older_ones_are_not),
    TEST(test_deploying_is_refused_for_each_reason),
    TEST(test_unknown_deployments_are_named),
    TEST(test_same_words_again_change_nothing),
    TEST(test_priority_and_keep_stay_until_they_are_said_again),
    TEST(test_what_was_tried_again_is_known_by_all_its_numbers),
    TEST(test_where_nobody_failed_there_is_nobody_to_retry),
    TEST(test_who_has_more_to_tell_than_it_can_may_have_failed),
    TEST(test_rollback_walks_the_history),
    TEST(test_history_is_as_long_as_the_deployment_says),
    TEST(test_name_of_a_removed_deployment_is_free_and_its_number_is_not),
    TEST(test_agents_take_only_so_many_deployments),
    TEST(test_label_set_without_agents_is_never_full),
    TEST(test_document_gets_a_revision_only_when_it_says_something_new),
    TEST(test_new_trust_document_changes_heads_and_no_other),
    TEST(test_agent_is_ready_when_it_holds_the_revision_and_names_no_exception),
    TEST(test_cordoned_agent_is_ready_in_what_it_runs_and_paused_in_what_is_new),
    TEST(test_exceptions_come_from_a_pool_that_gives_back),
    TEST(test_goodbye_makes_offline_at_once),
    TEST(test_more_work_than_a_step_takes_goes_on_with_continue),
    TEST(test_rows_that_contradict_each_other_are_not_loaded),
};

SUITE_MAIN("manager core", tests)
