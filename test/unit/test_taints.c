#include "manager/core/state.h"
#include "manager/core/why.h"
#include "test/manager_bench.h"

#include <stdio.h>

#define AGENTS 20

static const struct manager_options options = {
    .limits = {.agents = 32, .cohorts = 8, .deployments = 8, .bundles = 4, .batches = 8},
    .epoch = 1,
    .cohort_secret = {{7}},
    .document_life_s = 1000000,
    .policy = POLICY_DEFAULT};
static unsigned told; /* assignments since the last command */

static int order(struct bench *b, const struct command *c)
{
    int rv = run(b, c);
    struct manager_out out = b->out;
    told = persisted(b, PERSIST_ASSIGNMENT);
    for (int i = 0; i < 2; i++) {
        while (b->out.more) {
            step(b, &(struct manager_event){.type = MANAGER_CONTINUE});
            told += persisted(b, PERSIST_ASSIGNMENT);
        }
        if (i == 0) {
            step(b, &(struct manager_event){.type = MANAGER_TICK});
            told += persisted(b, PERSIST_ASSIGNMENT);
        }
    }
    b->out = out;
    return rv;
}

static struct bench *fleet(void)
{
    struct bench *b = bench_on(&options, 1000000);
    struct command tokens = {
        .type = COMMAND_TOKEN_CREATE,
        .token = {.count = AGENTS, .uses = 1, .expires_s = UINT64_MAX, .labels = "env=prod"}};
    CU_ASSERT_EQUAL_FATAL(order(b, &tokens), 0);
    for (uint32_t i = 0; i < AGENTS; i++) {
        struct manager_event ev = {.type = MANAGER_JOIN, .join = {.index = i}};
        ev.join.id.bytes[0] = (uint8_t)(i + 1);
        step(b, &ev);
        CU_ASSERT_EQUAL_FATAL(b->out.joined, JOINED_ACCEPTED);
    }
    struct command c = {.type = COMMAND_BUNDLE_ADD, .bundle = {.name = "app", .version = "1"}};
    c.bundle.digest.bytes[0] = 1;
    CU_ASSERT_EQUAL_FATAL(order(b, &c), 0);
    return b;
}

static int deploy(struct bench *b, const char *name, const char *tolerate, const struct pick *pick)
{
    static struct roster r;
    struct command c = {.type = COMMAND_DEPLOY,
                        .confirmed = true,
                        .deploy = {.name = name,
                                   .bundle = "app",
                                   .version = "1",
                                   .selector = "env=prod",
                                   .roster = &r,
                                   .pick = pick,
                                   .salt = 3}};
    r = (struct roster){0};
    snprintf(r.tolerate, sizeof r.tolerate, "%s", tolerate);
    return order(b, &c);
}

static int taint(struct bench *b, uint32_t number, const char *set, const char *unset)
{
    struct command c = {
        .type = COMMAND_AGENT_TAINT,
        .taint = {.agent = manager_agent(b->m, number)->id, .set = set, .unset = unset}};
    return order(b, &c);
}

/* By its assignment and its cohort's document, as the agent sees it. */
static bool has(const struct bench *b, uint32_t number, const char *name)
{
    static struct desired d;
    static struct assignment a;
    const struct agent_row *row = manager_agent(b->m, number);
    manager_assignment(b->m, number, b->now_s, &a);
    manager_document(b->m, row->cohort, &d);
    for (uint32_t i = 0; i < d.count; i++) {
        const struct record *r = &d.records[i];
        bool listed = r->flags & RECORD_LISTED || a.reserved;
        if (strcmp(r->name, name) == 0)
            return (!listed || assignment_lists(&a, r->deployment)) && record_admits(r, number);
    }
    return false;
}

static unsigned count(const struct bench *b, const char *name)
{
    unsigned sum = 0;
    for (uint32_t n = 1; n <= AGENTS; n++)
        sum += has(b, n, name);
    struct deployment_counts counts[8];
    manager_count_deployments(b->m, counts);
    int64_t index = manager_find_deployment(b->m, name);
    CU_ASSERT_TRUE_FATAL(index >= 0);
    CU_ASSERT_EQUAL(counts[index].targets, sum);
    return sum;
}

static void test_no_schedule_keeps_what_is_there_and_lets_nothing_come(void)
{
    struct bench *b = fleet();
    CU_ASSERT_EQUAL(deploy(b, "old", "", NULL), 0);
    CU_ASSERT_EQUAL(taint(b, 3, "gpu=yes:NoSchedule", ""), 0);
    CU_ASSERT_EQUAL(told, 1);
    CU_ASSERT_EQUAL(taint(b, 3, "gpu=yes:NoSchedule", ""), 1);
    CU_ASSERT_EQUAL(deploy(b, "new", "", NULL), 0);
    CU_ASSERT_EQUAL(told, 0); /* whatever is deployed */
    CU_ASSERT_EQUAL(count(b, "old"), AGENTS);
    CU_ASSERT_EQUAL(count(b, "new"), AGENTS - 1);
    CU_ASSERT_FALSE(has(b, 3, "new"));
    struct why why;
    struct arena scratch = arena_on((uint8_t *)b->scratch, sizeof b->scratch);
    manager_why(b->m, 3, 1, b->now_s, &scratch, &why);
    CU_ASSERT_EQUAL(why.reason, WHY_TAINTED);
    CU_ASSERT_STRING_EQUAL(why.taint.key, "gpu");
    CU_ASSERT_EQUAL(taint(b, 3, "", "gpu"), 0);
    CU_ASSERT_EQUAL(told, 1);
    CU_ASSERT_EQUAL(count(b, "new"), AGENTS);
    bench_free(b);
}

static void test_no_execute_takes_off_what_does_not_tolerate_it(void)
{
    struct bench *b = fleet();
    CU_ASSERT_EQUAL(deploy(b, "hardy", "storm:NoExecute,gpu", NULL), 0);
    CU_ASSERT_EQUAL(deploy(b, "soft", "", NULL), 0);
    for (uint32_t n = 1; n <= 15; n++)
        CU_ASSERT_EQUAL(taint(b, n, "storm=now:NoExecute", ""), 0);
    CU_ASSERT_EQUAL(count(b, "hardy"), AGENTS);
    CU_ASSERT_EQUAL(count(b, "soft"), AGENTS - 15);
    CU_ASSERT_EQUAL(deploy(b, "soft", "*", NULL), 0); /* by now it does */
    CU_ASSERT_EQUAL(told, 15);
    CU_ASSERT_EQUAL(count(b, "soft"), AGENTS);
    CU_ASSERT_EQUAL(deploy(b, "soft", "storm=past", NULL), 0);
    CU_ASSERT_EQUAL(told, 15);
    CU_ASSERT_EQUAL(count(b, "soft"), AGENTS - 15);
    bench_free(b);
}

/* It goes on with what it tolerates, and holds its slot for it. */
static void test_what_a_taint_takes_off_takes_no_slot_of_another_ones_rollout(void)
{
    struct bench *b = fleet();
    CU_ASSERT_EQUAL(deploy(b, "hardy", "storm", NULL), 0);
    CU_ASSERT_EQUAL(deploy(b, "soft", "", NULL), 0);
    for (uint32_t i = 0; i < 2; i++)
        flight_set(flight_begin(b->m, i), 3, true);
    CU_ASSERT_EQUAL(taint(b, 3, "storm=now:NoExecute", ""), 0);
    CU_ASSERT_TRUE(flight_holds(b->m, 0, 3));
    CU_ASSERT_FALSE(flight_holds(b->m, 1, 3));
    bench_free(b);
}

static void test_pick_passes_tainted_ones_by(void)
{
    struct bench *b = fleet();
    for (uint32_t n = 1; n <= 12; n++)
        CU_ASSERT_EQUAL(taint(b, n, "gpu:NoSchedule", ""), 0);
    CU_ASSERT_EQUAL(deploy(b, "app", "", &(struct pick){.amount = {8, false}}), 0);
    CU_ASSERT_EQUAL(count(b, "app"), 8);
    CU_ASSERT_EQUAL(taint(b, 20, "gpu:NoExecute", ""), 0);
    CU_ASSERT_EQUAL(count(b, "app"), 7); /* nobody is left */
    CU_ASSERT_EQUAL(taint(b, 1, "", "gpu:NoSchedule"), 0);
    CU_ASSERT_EQUAL(count(b, "app"), 8);
    CU_ASSERT_TRUE(has(b, 1, "app"));
    bench_free(b);
}

static void test_taints_are_loaded_again(void)
{
    struct bench *b = fleet();
    CU_ASSERT_EQUAL(deploy(b, "old", "", NULL), 0);
    CU_ASSERT_EQUAL(taint(b, 2, "gpu:NoSchedule,storm=a:NoSchedule", ""), 0);
    CU_ASSERT_EQUAL(deploy(b, "new", "", NULL), 0);
    struct bench *again = bench_on(&options, 1000001);
    const struct manager *m = b->m;
    CU_ASSERT_EQUAL(manager_load_batch(again->m, manager_batch(m, 0)), 0);
    CU_ASSERT_EQUAL(manager_load_bundle(again->m, manager_bundle(m, 0)), 0);
    for (uint32_t i = 0; i < 2; i++)
        CU_ASSERT_EQUAL(manager_load_deployment(again->m, manager_deployment(m, i)), 0);
    CU_ASSERT_EQUAL(manager_load_cohort(again->m, manager_cohort(m, 0)), 0);
    for (uint32_t n = 1; n <= AGENTS; n++)
        CU_ASSERT_EQUAL(manager_load_agent(again->m, n, manager_agent(m, n), NULL, 0), 0);
    for (uint32_t i = 0; i < TAINTS_MAX; i++)
        CU_ASSERT_EQUAL(manager_load_taint(again->m, i, manager_taint(m, i)), 0);
    for (uint32_t n = 1; n <= AGENTS; n++) {
        uint32_t lists[RECORDS_MAX], sum = manager_lists(m, n, lists);
        CU_ASSERT_EQUAL(manager_load_lists(again->m, n, manager_agent_taints(m, n), lists, sum), 0);
    }
    CU_ASSERT_EQUAL(taint(again, 2, "gpu:NoSchedule", ""), 1);
    CU_ASSERT_EQUAL(told, 0);
    CU_ASSERT_TRUE(has(again, 2, "old") && !has(again, 2, "new"));
    CU_ASSERT_EQUAL(count(again, "new"), AGENTS - 1);
    bench_free(b);
    bench_free(again);
}

static void test_there_are_so_many_different_taints_at_a_time(void)
{
    struct bench *b = fleet();
    char text[40];
    for (unsigned i = 0; i < TAINTS_MAX; i++) {
        snprintf(text, sizeof text, "k%u:NoSchedule", i);
        CU_ASSERT_EQUAL(taint(b, 1, text, ""), 0);
    }
    CU_ASSERT_EQUAL(taint(b, 1, "one-more:NoSchedule", ""), ERR_RANGE);
    CU_ASSERT_EQUAL(taint(b, 1, "", "k7"), 0);
    CU_ASSERT_EQUAL(taint(b, 1, "one-more:NoSchedule", ""), 0);
    CU_ASSERT_EQUAL(taint(b, 1, "", "*"), 0);
    CU_ASSERT_EQUAL(manager_agent_taints(b->m, 1), 0);
    bench_free(b);
}

static void test_what_is_no_taint_and_no_toleration_is_refused(void)
{
    static const char *const taints[] = {
        "gpu",    "gpu=yes",         ":NoSchedule",  "=v:NoSchedule",
        "gpu:No", "gpu:NoSchedule:", "g u:NoExecute"};
    static const char *const tolerations[] = {":NoSchedule", "gpu:Never", "a b", "gpu,,x", "=x"};
    struct taint t;
    struct errmsg em;
    char text[TAINT_TEXT_MAX];
    for (size_t i = 0; i < sizeof taints / sizeof taints[0]; i++)
        CU_ASSERT_EQUAL(taint_parse(span_text(taints[i]), &t, &em), ERR_USAGE);
    for (size_t i = 0; i < sizeof tolerations / sizeof tolerations[0]; i++)
        CU_ASSERT_EQUAL(tolerations_check(tolerations[i], &em), ERR_USAGE);
    CU_ASSERT_EQUAL(taint_parse(span_text("a.b/c=d:NoExecute"), &t, &em), 0);
    taint_text(&t, text);
    CU_ASSERT_STRING_EQUAL(text, "a.b/c=d:NoExecute");
    CU_ASSERT_TRUE(tolerations_cover("x,a.b/c", &t) && tolerations_cover("*", &t) &&
                   tolerations_cover("a.b/c=d:NoExecute", &t));
    CU_ASSERT_FALSE(tolerations_cover("", &t) || tolerations_cover("a.b/c=e", &t) ||
                    tolerations_cover("a.b/c:NoSchedule", &t));
}

static const struct suite_test tests[] = {
    TEST(test_no_schedule_keeps_what_is_there_and_lets_nothing_come),
    TEST(test_no_execute_takes_off_what_does_not_tolerate_it),
    TEST(test_what_a_taint_takes_off_takes_no_slot_of_another_ones_rollout),
    TEST(test_pick_passes_tainted_ones_by),
    TEST(test_taints_are_loaded_again),
    TEST(test_there_are_so_many_different_taints_at_a_time),
    TEST(test_what_is_no_taint_and_no_toleration_is_refused),
};

SUITE_MAIN("taints", tests)
