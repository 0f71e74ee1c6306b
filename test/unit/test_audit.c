/* Entries of the audit log: each says who did what to which thing, and hangs on all before it. */
#include "manager/core/audit.h"

#include "test/samples.h"
#include "test/suite.h"

#include <stdio.h>

static const struct manager_limits LIMITS = {
    .agents = 8, .cohorts = 4, .deployments = 4, .bundles = 4, .batches = 4};

/* A fleet with one of each: batch 1, bundle app@2, deployment web, agent 1. */
static struct manager *fleet(void)
{
    struct manager_options options = {.limits = LIMITS, .epoch = 1, .policy = POLICY_DEFAULT};
    struct manager *m = manager_init(calloc(1, manager_size(&LIMITS)), &options);
    struct batch_row batch = {.count = 10, .uses = 1};
    struct bundle_row bundle = {.name = "app", .version = "2"};
    struct deployment_row deployment = {.name = "web",
                                        .selector = "env=prod",
                                        .priority = 7,
                                        .history_count = 1,
                                        .history = {{.generation = 3}}};
    struct cohort cohort = {.labels = {.text = "env=prod"}};
    struct agent_row agent = {.id = sample_agent()};
    CU_ASSERT_EQUAL(manager_load_batch(m, &batch), 0);
    CU_ASSERT_EQUAL(manager_load_bundle(m, &bundle), 0);
    CU_ASSERT_EQUAL(manager_load_deployment(m, &deployment), 0);
    CU_ASSERT_EQUAL(manager_load_cohort(m, &cohort), 0);
    CU_ASSERT_EQUAL(manager_load_agent(m, 1, &agent, NULL, 0), 0);
    return m;
}

static void check_words(const struct audit_entry *e, const char *action, const char *object,
                        const char *detail)
{
    CU_ASSERT_STRING_EQUAL(e->action, action);
    CU_ASSERT_STRING_EQUAL(e->object, object);
    CU_ASSERT_STRING_EQUAL(e->detail, detail);
}

/* A command, what came of it, and its words. */
struct worded {
    struct command command;
    const struct manager_out *out;
    const char *action, *object, *detail;
};

static const struct manager_out first = {.index = 0}, agent = {.index = 1};

static void check_all(const struct worded *cases, size_t count)
{
    struct manager *m = fleet();
    for (size_t i = 0; i < count; i++) {
        struct audit_entry e = {0};
        audit_command(&e, m, &cases[i].command, cases[i].out);
        check_words(&e, cases[i].action, cases[i].object, cases[i].detail);
    }
    free(m);
}

/* Trust, bundles and successors have tests of their own. */
static void test_commands_have_words(void)
{
    const struct worded cases[] = {
        {{.type = COMMAND_TOKEN_CREATE,
          .token = {.count = 5, .uses = 2, .expires_s = 9, .labels = "a=b"}},
         &first,
         "token-create",
         "batch 1",
         "tokens=5 uses=2 expires=1970-01-01T00:00:09Z labels=a=b"},
        {{.type = COMMAND_TOKEN_CREATE,
          .token = {.count = 1, .uses = 1, .labels = "", .bound = true, .approve = true}},
         &first,
         "token-create",
         "batch 1",
         "tokens=1 uses=1 expires=1970-01-01T00:00:00Z bound approve labels="},
        {{.type = COMMAND_TOKEN_REVOKE}, &first, "token-revoke", "batch 1", ""},
        {{.type = COMMAND_BUNDLE_REMOVE, .bundle_name = {"app", "2", false}},
         &first,
         "bundle-remove",
         "bundle app@2",
         ""},
        {{.type = COMMAND_BUNDLE_REMOVE, .bundle_name = {"app", "2", true}},
         &first,
         "bundle-remove",
         "bundle app@2",
         "force"},
        {{.type = COMMAND_DEPLOY},
         &first,
         "deploy",
         "deployment web",
         "bundle=app@2 generation=3 priority=7 select=env=prod"},
        {{.type = COMMAND_PAUSE}, &first, "pause", "deployment web", "bundle=app@2 generation=3"},
        {{.type = COMMAND_RESUME}, &first, "resume", "deployment web", "bundle=app@2 generation=3"},
        {{.type = COMMAND_ROLLBACK},
         &first,
         "rollback",
         "deployment web",
         "bundle=app@2 generation=3"},
        {{.type = COMMAND_DEPLOYMENT_REMOVE},
         &first,
         "deployment-remove",
         "deployment web",
         "bundle=app@2 generation=3"},
        {{.type = COMMAND_LABEL, .label = {.set = "a=b", .unset = "c"}},
         &agent,
         "agent-label",
         "agent 1 (a0a1a2a3a4a5)",
         "set=a=b unset=c"},
        {{.type = COMMAND_AGENT_REMOVE}, &agent, "agent-remove", "agent 1 (a0a1a2a3a4a5)", ""},
        {{.type = COMMAND_AGENT_REVOKE}, &agent, "agent-revoke", "agent 1 (a0a1a2a3a4a5)", ""},
        {{.type = COMMAND_AGENT_RELEASE}, &agent, "agent-release", "agent 1 (a0a1a2a3a4a5)", ""},
        {{.type = COMMAND_AGENT_CORDON}, &agent, "agent-cordon", "agent 1 (a0a1a2a3a4a5)", ""},
        {{.type = COMMAND_AGENT_UNCORDON}, &agent, "agent-uncordon", "agent 1 (a0a1a2a3a4a5)", ""},
    };
    check_all(cases, sizeof cases / sizeof cases[0]);
}

static void test_what_is_set_of_a_rollout_has_words(void)
{
    const struct pace pace = {.says = 1u << PACE_RATE | 1u << PACE_CONCURRENCY,
                              .rate = {.agents = {50, false}, .span_s = 3600},
                              .concurrency = {20, true}};
    const struct pace at_once = {.says = 1u << PACE_RATE | 1u << PACE_START | 1u << PACE_RETURNING |
                                         1u << PACE_QUORUM | 1u << PACE_DEADLINE,
                                 .returning = {10, true},
                                 .quorum = 90};
    const struct worded cases[] = {
        {{.type = COMMAND_PACE, .deployment = {.stage = "prod", .pace = &pace}},
         &first,
         "rollout-set",
         "deployment web",
         "bundle=app@2 stage=prod rate=50/1h concurrency=20%"},
        {{.type = COMMAND_PACE, .deployment.pace = &at_once},
         &first,
         "rollout-set",
         "deployment web",
         "bundle=app@2 start=now rate=none returning=10% quorum=90% deadline=none"},
    };
    check_all(cases, sizeof cases / sizeof cases[0]);
}

static void test_commands_about_rollouts_groups_and_values_have_words(void)
{
    const struct setting settings[] = {{.name = "port", .value = "80"},
                                       {.name = "key", .value = "hidden"}};
    const struct worded cases[] = {
        {{.type = COMMAND_APPROVE, .deployment.stage = "canary"},
         &first,
         "rollout-approve",
         "deployment web",
         "bundle=app@2 stage=canary"},
        {{.type = COMMAND_ABORT},
         &first,
         "rollout-abort",
         "deployment web",
         "bundle=app@2 generation=3"},
        {{.type = COMMAND_RETRY},
         &first,
         "rollout-retry",
         "deployment web",
         "bundle=app@2 generation=3"},
        {{.type = COMMAND_AGENT_APPROVE}, &agent, "agent-approve", "agent 1 (a0a1a2a3a4a5)", ""},
        {{.type = COMMAND_AGENT_TAINT, .taint = {.set = "gpu=old:NoSchedule", .unset = "wet"}},
         &agent,
         "agent-taint",
         "agent 1 (a0a1a2a3a4a5)",
         "set=gpu=old:NoSchedule unset=wet"},
        {{.type = COMMAND_GROUP_SET, .group = {"shops", "kind=shop"}},
         &first,
         "group-set",
         "group shops",
         "select=kind=shop"},
        {{.type = COMMAND_GROUP_REMOVE, .group.name = "shops"},
         &first,
         "group-remove",
         "group shops",
         ""},
        {{.type = COMMAND_BUDGET_SET, .budget = {"calm", "env=prod", {10, true}}},
         &first,
         "budget-set",
         "budget calm",
         "max=10% select=env=prod"},
        {{.type = COMMAND_BUDGET_REMOVE, .budget.name = "calm"},
         &first,
         "budget-remove",
         "budget calm",
         ""},
        {{.type = COMMAND_VARIABLE_SET,
          .variable = {.settings = settings,
                       .count = 2,
                       .scope = SCOPE_SELECTOR,
                       .where = "env=prod",
                       .secret = true,
                       .at_once = true}},
         &first,
         "variable-set",
         "variables port, key",
         "select=env=prod secret at-once"},
        {{.type = COMMAND_VARIABLE_UNSET,
          .variable =
              {.settings = settings, .count = 1, .scope = SCOPE_AGENT, .agent = sample_agent()}},
         &first,
         "variable-unset",
         "variable port",
         "agent=1"},
    };
    check_all(cases, sizeof cases / sizeof cases[0]);
}

static void test_trust_and_bundles_are_named_by_version_and_digest(void)
{
    struct trust next = sample_trust();
    struct command trust = {.type = COMMAND_TRUST, .trust.next = &next};
    struct command bundle = {.type = COMMAND_BUNDLE_ADD,
                             .bundle = {.name = "app", .version = "1", .digest = {{1}}}};
    struct manager_out out = {.index = 0};
    struct audit_entry e = {0};
    char expected[AUDIT_OBJECT_MAX];
    audit_command(&e, NULL, &trust, &out);
    check_words(&e, "trust-set", "trust document 3", "roots=2/2 publishers=1/2 online=1");
    audit_command(&e, NULL, &bundle, &out);
    snprintf(expected, sizeof expected, "digest=%s", digest_hex(&bundle.bundle.digest).text);
    check_words(&e, "bundle-add", "bundle app@1", expected);
}

static void test_joins_are_one_device_or_a_count(void)
{
    struct audit_entry one = {0}, many = {0}, asked = {0};
    struct key_id id = sample_agent();
    audit_join(&one, &(struct audit_joins){.count = 1, .first = 1, .last = 1, .id = id});
    CU_ASSERT_STRING_EQUAL(one.actor, "device:a0a1a2a3a4a5");
    check_words(&one, "join", "agent 1 (a0a1a2a3a4a5)", "batch=1");
    audit_join(&many, &(struct audit_joins){.batch = 2, .count = 37, .first = 1, .last = 41});
    CU_ASSERT_STRING_EQUAL(many.actor, "devices");
    check_words(&many, "join", "37 agents, numbers 1-41", "batch=3");
    audit_join(&asked, &(struct audit_joins){.count = 2, .first = 1, .last = 2, .waiting = true});
    check_words(&asked, "join-asked", "2 agents, numbers 1-2", "batch=1");
}

static void test_alarms_say_whom_they_concern(void)
{
    struct manager *m = fleet();
    struct audit_entry token = {0}, clone = {0}, flood = {0};
    audit_alarm(&token, m, &(struct alarm){.type = ALARM_TOKEN_REUSED, .batch = 4, .index = 17});
    CU_ASSERT_STRING_EQUAL(token.actor, "manager");
    check_words(&token, "alarm-token-reused", "batch 5, token 18", "");
    audit_alarm(&clone, m, &(struct alarm){.type = ALARM_CLONE, .number = 1});
    CU_ASSERT_STRING_EQUAL(clone.actor, "device:a0a1a2a3a4a5");
    check_words(&clone, "alarm-clone", "agent 1 (a0a1a2a3a4a5)",
                "two devices are this agent; kept out until it is released, revoked or replaced");
    audit_alarm(&flood, m, &(struct alarm){.type = ALARM_FLOOD, .number = 1});
    check_words(
        &flood, "alarm-flood", "agent 1 (a0a1a2a3a4a5)",
        "it said far more than an agent may; cut off until 1970-01-01T00:00:00Z, or until it "
        "is released");
    free(m);
}

static void test_chain_hangs_on_every_field_and_on_what_was_before(void)
{
    const struct audit_entry e = {
        .number = 3, .time_s = 5, .actor = "a", .action = "b", .object = "c", .detail = "d"};
    struct digest none = {{0}}, other = {{1}};
    struct digest chain = audit_chain(&none, &e);
    struct audit_entry changed[6] = {e, e, e, e, e, e};
    struct digest seen[8] = {chain, audit_chain(&other, &e)};
    changed[0].number++;
    changed[1].time_s++;
    changed[2].actor[0]++;
    changed[3].action[0]++;
    changed[4].object[0]++;
    changed[5].detail[0]++;
    for (size_t i = 0; i < 6; i++)
        seen[2 + i] = audit_chain(&none, &changed[i]);
    for (size_t i = 0; i < 8; i++)
        for (size_t k = 0; k < i; k++)
            CU_ASSERT_FALSE(digest_equal(&seen[i], &seen[k]));
    struct audit_entry moved = {
        .number = 3, .time_s = 5, .actor = "ab", .action = "", .object = "c", .detail = "d"};
    struct digest shifted = audit_chain(&none, &moved);
    CU_ASSERT_FALSE(digest_equal(&shifted, &chain));
}

static void test_texts_are_printable_and_cut_to_their_room(void)
{
    char text[8];
    audit_text(text, sizeof text, "a\nb\x1b\xc3\xa4%s", "x");
    CU_ASSERT_STRING_EQUAL(text, "a?b???x");
    audit_text(text, sizeof text, "%s", "0123456789");
    CU_ASSERT_STRING_EQUAL(text, "0123456");
}

static const struct suite_test tests[] = {
    TEST(test_commands_have_words),
    TEST(test_what_is_set_of_a_rollout_has_words),
    TEST(test_commands_about_rollouts_groups_and_values_have_words),
    TEST(test_trust_and_bundles_are_named_by_version_and_digest),
    TEST(test_joins_are_one_device_or_a_count),
    TEST(test_alarms_say_whom_they_concern),
    TEST(test_chain_hangs_on_every_field_and_on_what_was_before),
    TEST(test_texts_are_printable_and_cut_to_their_room),
};

SUITE_MAIN("audit", tests)
