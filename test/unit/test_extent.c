#include "test/manager_bench.h"

static const struct manager_options options = {.limits = {.agents = 60,
                                                          .cohorts = 20,
                                                          .deployments = 4,
                                                          .bundles = 4,
                                                          .batches = 8,
                                                          .variables = 16},
                                               .epoch = 1,
                                               .confirm_percent = 50,
                                               .document_life_s = 1000,
                                               .policy = POLICY_DEFAULT};

static int order(struct bench *b, const struct command *c)
{
    step(b, &(struct manager_event){.type = MANAGER_COMMAND, .command = c});
    int rv = b->out.rv;
    struct errmsg em = b->out.error;
    while (b->out.more)
        step(b, &(struct manager_event){.type = MANAGER_CONTINUE});
    b->out.error = em;
    return rv;
}

/* Refused with this sentence, and nothing is changed; done when it is confirmed. */
static void takes_confirm(struct bench *b, struct command *c, const char *sentence)
{
    CU_ASSERT_EQUAL(order(b, c), ERR_REFUSED);
    CU_ASSERT_STRING_EQUAL(b->out.error.text, sentence);
    CU_ASSERT_EQUAL(persisted(b, PERSIST_DEPLOYMENT), 0);
    c->confirmed = true;
    CU_ASSERT_EQUAL(order(b, c), 0);
    c->confirmed = false;
}

static void push(struct bench *b, const char *version)
{
    struct command c = {.type = COMMAND_BUNDLE_ADD, .bundle = {.name = "app"}};
    strcpy(c.bundle.version, version);
    c.bundle.digest.bytes[0] = (uint8_t)version[0];
    c.bundle.needs.count = 1;
    strcpy(c.bundle.needs.list[0].name, "port");
    CU_ASSERT_EQUAL_FATAL(order(b, &c), 0);
}

static void deploy(struct bench *b, const char *name, const char *version, const char *selector)
{
    struct command c = {.type = COMMAND_DEPLOY,
                        .confirmed = true,
                        .deploy = {.name = name,
                                   .bundle = "app",
                                   .version = version,
                                   .selector = selector,
                                   .all = !selector[0]}};
    CU_ASSERT_EQUAL_FATAL(order(b, &c), 0);
}

static struct command variable(const char *selector, const struct setting *setting)
{
    return (struct command){.type = COMMAND_VARIABLE_SET,
                            .variable = {.settings = setting,
                                         .count = 1,
                                         .scope = *selector ? SCOPE_SELECTOR : SCOPE_ALL,
                                         .where = selector}};
}

/* 10 in each of three zones, and what versions need. */
static struct bench *fleet(void)
{
    static const struct setting port = {.name = "port", .value = "1"};
    struct bench *b = bench_on(&options, 1000000);
    join_agents(b, "zone=a", 10);
    join_agents(b, "zone=b", 10);
    join_agents(b, "zone=c", 10);
    struct command c = variable("", &port);
    CU_ASSERT_EQUAL_FATAL(order(b, &c), 0); /* nobody runs what needs it */
    push(b, "1");
    push(b, "2");
    return b;
}

static uint32_t targets(const struct bench *b)
{
    struct deployment_counts counts[4];
    manager_count_deployments(b->m, counts);
    return counts[0].targets;
}

static struct command group(const char *name, const char *selector)
{
    return (struct command){.type = COMMAND_GROUP_SET,
                            .group = {.name = name, .selector = selector}};
}

static void test_group_that_leaves_a_deployment_without_agents_has_to_be_confirmed(void)
{
    struct bench *b = fleet();
    struct command c = group("g", "zone=a");
    CU_ASSERT_EQUAL(order(b, &c), 0);
    c = group("outer", "@g");
    CU_ASSERT_EQUAL(order(b, &c), 0);
    deploy(b, "app", "1", "@outer");
    c = group("g", "zone=nowhere");
    takes_confirm(
        b, &c,
        "app would have no agents any more: 10 take it off: if this is meant, say --confirm");
    CU_ASSERT_EQUAL(targets(b), 0);
    c = group("g", "zone in (a,b)"); /* 20 of 30 */
    takes_confirm(b, &c,
                  "group g would touch 20 of 30 agents, more than 50% of the fleet: if this is "
                  "meant, say --confirm");
    CU_ASSERT_EQUAL(targets(b), 20);
    bench_free(b);
}

static void test_group_that_touches_much_of_the_fleet_has_to_be_confirmed(void)
{
    struct bench *b = fleet();
    struct command c = group("g", "zone=a");
    CU_ASSERT_EQUAL(order(b, &c), 0);
    deploy(b, "app", "1", "@g");
    c = group("g", "zone in (a,b)"); /* a third more */
    CU_ASSERT_EQUAL(order(b, &c), 0);
    c = group("g", "zone=c");
    takes_confirm(b, &c,
                  "group g would touch 30 of 30 agents, more than 50% of the fleet: if this is "
                  "meant, say --confirm");
    CU_ASSERT_EQUAL(targets(b), 10);
    c = group("free", "zone"); /* of a new one nobody knows yet */
    CU_ASSERT_EQUAL(order(b, &c), 0);
    c = group("free", "!zone"); /* and none says its name */
    CU_ASSERT_EQUAL(order(b, &c), 0);
    bench_free(b);
}

static void test_going_back_and_removing_have_to_be_confirmed(void)
{
    struct bench *b = fleet();
    deploy(b, "app", "1", "");
    deploy(b, "app", "2", "");
    struct command c = {.type = COMMAND_ROLLBACK, .deployment.name = "app"};
    takes_confirm(b, &c,
                  "going back would touch 30 of 30 agents, more than 50% of the fleet: if this is "
                  "meant, say --confirm");
    c.type = COMMAND_DEPLOYMENT_REMOVE;
    takes_confirm(b, &c,
                  "removing it would touch 30 of 30 agents, more than 50% of the fleet: if this is "
                  "meant, say --confirm");
    deploy(b, "few", "1", "zone=a");
    deploy(b, "few", "2", "zone=a");
    c = (struct command){.type = COMMAND_ROLLBACK, .deployment.name = "few"};
    CU_ASSERT_EQUAL(order(b, &c), 0);
    c.type = COMMAND_DEPLOYMENT_REMOVE;
    CU_ASSERT_EQUAL(order(b, &c), 0);
    bench_free(b);
}

static void test_values_that_go_by_no_stages_have_to_be_confirmed(void)
{
    static const struct setting two = {.name = "port", .value = "2"};
    static const struct setting three = {.name = "port", .value = "3"};
    static const struct setting other = {.name = "other", .value = "3"};
    struct bench *b = fleet();
    deploy(b, "app", "1", "zone in (a,b)");
    struct command c = variable("", &two);
    takes_confirm(b, &c,
                  "these values would touch 20 of 30 agents, more than 50% of the fleet: if this "
                  "is meant, say --confirm");
    c = variable("zone=a", &three);
    CU_ASSERT_EQUAL(order(b, &c), 0);
    c = variable("", &other); /* nobody needs it */
    CU_ASSERT_EQUAL(order(b, &c), 0);
    c = variable("", &three);
    c.variable.dry_run = true;
    CU_ASSERT_EQUAL(order(b, &c), 0);
    bench_free(b);
}

typedef bool demands_fn(const struct manager *m, const struct selector *whom,
                        const struct command *c, struct arena *scratch, struct errmsg *why);

/* It asks with this sentence; "": it doesn't ask. */
static bool asks(struct bench *b, demands_fn *demands, const char *selector,
                 const struct command *c, const char *sentence)
{
    struct selector s;
    struct errmsg why = {{0}};
    struct arena scratch = arena_on((uint8_t *)b->scratch, sizeof b->scratch);
    CU_ASSERT_EQUAL(manager_selector(b->m, selector, &s, NULL), 0);
    bool asked = demands(b->m, &s, c, &scratch, &why);
    return asked == (*sentence != '\0') && strcmp(why.text, sentence) == 0;
}

static bool relabels(struct bench *b, const char *selector, const char *set, const char *unset,
                     const char *sentence)
{
    struct command c = {.type = COMMAND_LABEL, .label = {.set = set, .unset = unset}};
    return asks(b, manager_relabel_demands, selector, &c, sentence);
}

static void test_other_labels_for_many_have_to_be_confirmed(void)
{
    struct bench *b = fleet();
    deploy(b, "app", "1", "zone=a");
    deploy(b, "two", "1", "zone in (a,b)");
    CU_ASSERT_TRUE(relabels(b, "zone=b", "half=h9", "", ""));
    CU_ASSERT_TRUE(
        relabels(b, "zone", "half=h9", "",
                 "these labels would touch 30 of 30 agents, more than 50% of the fleet"));
    CU_ASSERT_TRUE(
        relabels(b, "zone", "zone=a", "",
                 "these labels would touch 20 of 30 agents, more than 50% of the fleet"));
    CU_ASSERT_TRUE(
        relabels(b, "zone=a", "", "zone", "app would have no agents any more: 10 take it off"));
    CU_ASSERT_TRUE(relabels(b, "zone=a", "zone=a", "", "")); /* they have it already */
    bench_free(b);
}

static bool taints(struct bench *b, const char *selector, const char *set, const char *unset,
                   const char *sentence)
{
    struct command c = {.type = COMMAND_AGENT_TAINT, .taint = {.set = set, .unset = unset}};
    return asks(b, manager_taint_demands, selector, &c, sentence);
}

static void test_taints_that_take_much_off_have_to_be_confirmed(void)
{
    struct bench *b = fleet();
    deploy(b, "all", "1", "");
    deploy(b, "two", "1", "zone in (a,b)");
    CU_ASSERT_TRUE(taints(b, "zone", "gpu:NoSchedule", "", ""));
    CU_ASSERT_TRUE(taints(b, "zone=a", "gpu:NoExecute", "", ""));
    CU_ASSERT_TRUE(taints(b, "zone in (a,b)", "gpu:NoExecute", "",
                          "two would have no agents any more: 20 take it off"));
    CU_ASSERT_TRUE(taints(b, "zone in (a,c)", "gpu:NoExecute", "",
                          "these taints would touch 20 of 30 agents, more than 50% of the fleet"));
    for (uint32_t n = 11; n <= 30; n++) {
        struct command c = {
            .type = COMMAND_AGENT_TAINT,
            .taint = {.agent = manager_agent(b->m, n)->id, .set = "gpu:NoExecute", .unset = ""}};
        CU_ASSERT_EQUAL(order(b, &c), 0);
    }
    CU_ASSERT_TRUE(taints(b, "zone=c", "gpu:NoExecute", "", "")); /* they have it already */
    CU_ASSERT_TRUE(taints(b, "zone", "", "gpu",
                          "these taints would touch 20 of 30 agents, more than 50% of the fleet"));
    CU_ASSERT_TRUE(taints(b, "zone", "", "storm", ""));
    bench_free(b);
}

static void test_what_tolerates_a_taint_is_taken_off_nobody(void)
{
    struct bench *b = fleet();
    static struct roster r;
    struct command c = {.type = COMMAND_DEPLOY,
                        .confirmed = true,
                        .deploy = {.name = "hardy",
                                   .bundle = "app",
                                   .version = "1",
                                   .selector = "",
                                   .all = true,
                                   .roster = &r}};
    strcpy(r.tolerate, "gpu");
    CU_ASSERT_EQUAL(order(b, &c), 0);
    CU_ASSERT_TRUE(taints(b, "zone", "gpu:NoExecute", "", ""));
    CU_ASSERT_TRUE(taints(b, "zone", "gpu:NoExecute,storm:NoExecute", "",
                          "hardy would have no agents any more: 30 take it off"));
    bench_free(b);
}

static const struct suite_test tests[] = {
    TEST(test_group_that_leaves_a_deployment_without_agents_has_to_be_confirmed),
    TEST(test_group_that_touches_much_of_the_fleet_has_to_be_confirmed),
    TEST(test_going_back_and_removing_have_to_be_confirmed),
    TEST(test_values_that_go_by_no_stages_have_to_be_confirmed),
    TEST(test_other_labels_for_many_have_to_be_confirmed),
    TEST(test_taints_that_take_much_off_have_to_be_confirmed),
    TEST(test_what_tolerates_a_taint_is_taken_off_nobody),
};

SUITE_MAIN("extent", tests)
