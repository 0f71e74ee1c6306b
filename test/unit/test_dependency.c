/* Which deployments come before another: what is refused, and what documents say of it. */
#include "test/manager_bench.h"

#include <stdio.h>

#define DEPLOYMENTS 12

static const struct manager_limits small = {
    .agents = 2, .cohorts = 2, .deployments = DEPLOYMENTS, .bundles = 1, .batches = 1};

static int deploy(struct bench *b, const char *name, const struct dependency_names *after)
{
    struct command c = {.type = COMMAND_DEPLOY};
    c.deploy.name = name;
    c.deploy.bundle = "app";
    c.deploy.version = "1";
    c.deploy.selector = "";
    c.deploy.all = true;
    c.deploy.after = after;
    return run(b, &c);
}

static int deploy_after(struct bench *b, const char *name, const char *one, const char *other)
{
    struct dependency_names names = {.count = one == NULL     ? 0
                                              : other == NULL ? 1
                                                              : 2,
                                     .names = {one, other}};
    return deploy(b, name, &names);
}

static int take_away(struct bench *b, const char *name, bool force)
{
    struct command c = {.type = COMMAND_DEPLOYMENT_REMOVE,
                        .deployment = {.name = name, .force = force}};
    return run(b, &c);
}

/* a, b and c, of which b depends on a, and c on b. */
static struct bench *chain(void)
{
    struct manager_options options = {
        .limits = small, .epoch = 1, .document_life_s = 1000, .policy = POLICY_DEFAULT};
    struct bench *b = bench_on(&options, 1000000);
    struct command token = {.type = COMMAND_TOKEN_CREATE,
                            .token = {.count = 1, .uses = 2, .expires_s = 2000000, .labels = ""}};
    struct command bundle = {.type = COMMAND_BUNDLE_ADD,
                             .bundle = {.name = "app", .version = "1", .digest = {{1}}}};
    struct manager_event join = {.type = MANAGER_JOIN, .join = {.id = {{1}}}};
    CU_ASSERT_EQUAL_FATAL(run(b, &token), 0);
    CU_ASSERT_EQUAL_FATAL(run(b, &bundle), 0);
    step(b, &join);
    CU_ASSERT_EQUAL(deploy_after(b, "a", NULL, NULL), 0);
    CU_ASSERT_EQUAL(deploy_after(b, "b", "a", NULL), 0);
    CU_ASSERT_EQUAL(deploy_after(b, "c", "b", NULL), 0);
    return b;
}

static void test_records_name_what_comes_before_by_number(void)
{
    static struct desired d;
    struct bench *b = chain();
    CU_ASSERT_EQUAL(deploy_after(b, "d", "c", "a"), 0);
    CU_ASSERT_EQUAL(persisted(b, PERSIST_DOCUMENT), 1);
    manager_document(b->m, 0, &d);
    CU_ASSERT_EQUAL_FATAL(d.count, 4);
    CU_ASSERT_EQUAL(d.records[0].rules.after.count, 0);
    CU_ASSERT_EQUAL(d.records[1].rules.after.numbers[0], 1);
    CU_ASSERT_EQUAL_FATAL(d.records[3].rules.after.count, 2);
    CU_ASSERT_EQUAL(d.records[3].rules.after.numbers[0], 1);
    CU_ASSERT_EQUAL(d.records[3].rules.after.numbers[1], 3);
    bench_free(b);
}

static void test_what_is_not_said_stays_as_it_is(void)
{
    struct bench *b = chain();
    CU_ASSERT_EQUAL(deploy(b, "b", NULL), 1);
    CU_ASSERT_EQUAL(deploy_after(b, "b", "a", NULL), 1);
    CU_ASSERT_EQUAL(manager_dependencies(b->m, 1).count, 1);
    CU_ASSERT_EQUAL(deploy_after(b, "b", NULL, NULL), 0);
    CU_ASSERT_EQUAL(persisted(b, PERSIST_DEPLOYMENT), 1);
    CU_ASSERT_EQUAL(persisted(b, PERSIST_DOCUMENT), 1);
    CU_ASSERT_EQUAL(manager_dependencies(b->m, 1).count, 0);
    CU_ASSERT_EQUAL(manager_generation(b->m, 1), 1);
    bench_free(b);
}

static void refused(struct bench *b, int rv, int want, const char *sentence)
{
    CU_ASSERT_EQUAL(rv, want);
    CU_ASSERT_STRING_EQUAL(b->out.error.text, sentence);
    CU_ASSERT_EQUAL(b->out.persist_count, 0);
}

static void test_names_that_are_none_are_refused(void)
{
    struct bench *b = chain();
    refused(b, deploy_after(b, "d", "nobody", NULL), ERR_NOT_FOUND,
            "d depends on nobody, and there is no such deployment: deploy that one first");
    refused(b, deploy_after(b, "d", "d", NULL), ERR_USAGE, "d can't depend on itself");
    refused(b, deploy_after(b, "a", "a", NULL), ERR_USAGE, "a can't depend on itself");
    refused(b, deploy_after(b, "d", "a", "a"), ERR_USAGE, "d is said to depend on a twice");
    bench_free(b);
}

static void test_circles_are_refused_with_the_way_around(void)
{
    struct bench *b = chain();
    refused(b, deploy_after(b, "a", "c", NULL), ERR_USAGE,
            "these would depend on each other in a circle, and none would ever begin: a, b, c");
    CU_ASSERT_EQUAL(manager_dependencies(b->m, 0).count, 0);
    CU_ASSERT_EQUAL(deploy_after(b, "c", NULL, NULL), 0);
    CU_ASSERT_EQUAL(deploy_after(b, "a", "c", NULL), 0);
    refused(b, deploy_after(b, "c", "a", "b"), ERR_USAGE,
            "these would depend on each other in a circle, and none would ever begin: c, a");
    bench_free(b);
}

static void test_long_circle_is_told_in_part(void)
{
    struct bench *b = chain();
    char names[DEPLOYMENTS][2] = {"a", "b", "c"};
    for (int i = 3; i < 10; i++) {
        names[i][0] = (char)('a' + i);
        CU_ASSERT_EQUAL(deploy_after(b, names[i], names[i - 1], NULL), 0);
    }
    refused(b, deploy_after(b, "a", "j", NULL), ERR_USAGE,
            "these would depend on each other in a circle, and none would ever begin: "
            "a, b, c, d, e, f, g, …");
    bench_free(b);
}

/* Its number is no other's ever after, so that the name may be used again. */
static void test_what_is_removed_by_force_comes_before_nothing(void)
{
    static struct desired d;
    struct bench *b = chain();
    refused(b, take_away(b, "a", false), ERR_BUSY,
            "b depends on a: remove or change that deployment first, or say --force to have it go "
            "on without");
    CU_ASSERT_EQUAL(take_away(b, "c", false), 0);
    CU_ASSERT_EQUAL(take_away(b, "a", true), 0);
    manager_document(b->m, 0, &d);
    CU_ASSERT_EQUAL_FATAL(d.count, 1);
    CU_ASSERT_EQUAL(d.records[0].rules.after.count, 0);
    CU_ASSERT_EQUAL(deploy_after(b, "a", "b", NULL), 0);
    CU_ASSERT_EQUAL(deploy(b, "b", NULL), 1);
    bench_free(b);
}

static const struct suite_test tests[] = {
    TEST(test_records_name_what_comes_before_by_number),
    TEST(test_what_is_not_said_stays_as_it_is),
    TEST(test_names_that_are_none_are_refused),
    TEST(test_circles_are_refused_with_the_way_around),
    TEST(test_long_circle_is_told_in_part),
    TEST(test_what_is_removed_by_force_comes_before_nothing),
};

SUITE_MAIN("dependency", tests)
