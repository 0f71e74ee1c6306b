/* What a restored manager learns from its agents, and what it doesn't believe. */
#include "test/manager_bench.h"

#define DAY_S 86400

static const struct manager_limits small = {
    .agents = 2, .cohorts = 2, .deployments = 2, .bundles = 3, .batches = 2};

/* Agent 1 holds assignment 2.1 and is in a cohort with document 2.101. */
static struct bench *bench_new(uint64_t restored_s, uint32_t epoch)
{
    struct manager_options options = {.limits = small,
                                      .epoch = epoch,
                                      .restored_s = restored_s,
                                      .restored_epoch = epoch,
                                      .restored_base = 100,
                                      .document_life_s = 7 * DAY_S,
                                      .policy = POLICY_DEFAULT};
    struct bench *b = bench_on(&options, 10 * DAY_S);
    struct command c = {.type = COMMAND_TOKEN_CREATE,
                        .token = {.count = 1, .uses = 1, .expires_s = 100 * DAY_S, .labels = ""}};
    CU_ASSERT_EQUAL(run(b, &c), 0);
    step(b, &(struct manager_event){.type = MANAGER_JOIN});
    CU_ASSERT_EQUAL(manager_cohort(b->m, 0)->revision.number, 101);
    return b;
}

/* The epoch that is persisted after this report; 0: none. */
static uint32_t hear(struct bench *b, struct revision assignment, struct revision document)
{
    struct report r = {.type = MESSAGE_STATUS,
                       .status = {.number = 1,
                                  .seq = ++b->seq,
                                  .boot = 9,
                                  .assignment = assignment,
                                  .document = document}};
    struct manager_event ev = {.type = MANAGER_REPORT};
    ev.report.report = &r;
    step(b, &ev);
    for (uint32_t i = 0; i < b->out.persist_count; i++)
        if (b->out.persist[i].type == PERSIST_EPOCH)
            return b->out.persist[i].index;
    return 0;
}

static bool raised(const struct bench *b, enum alarm_type type)
{
    return b->out.alarm_count == 1 && b->out.alarms[0].type == type;
}

#define R(e, n) ((struct revision){.epoch = (e), .number = (n)})

static void test_what_this_manager_made_moves_nothing(void)
{
    struct bench *b = bench_new(9 * DAY_S, 2);
    CU_ASSERT_EQUAL(hear(b, R(0, 0), R(0, 0)), 0);
    CU_ASSERT_EQUAL(hear(b, R(2, 1), R(2, 101)), 0);
    CU_ASSERT_EQUAL(hear(b, R(1, 1), R(2, 500)), 0); /* of the cohort it was in before */
    CU_ASSERT_EQUAL(hear(b, R(2, 1), R(1, 500)), 0);
    CU_ASSERT_EQUAL(b->out.alarm_count, 0);
    bench_free(b);
}

static void test_newer_document_or_assignment_moves_the_epoch_past_it(void)
{
    static const struct {
        struct revision assignment, document;
        uint32_t epoch;
    } rows[] = {
        {{2, 1}, {2, 102}, 3}, {{2, 1}, {3, 1}, 4}, {{2, 2}, {2, 50}, 3},
        {{5, 1}, {4, 1}, 6},   {{0, 0}, {3, 1}, 4}, {{2, 1}, {65, 1}, 66},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct bench *b = bench_new(9 * DAY_S, 2);
        CU_ASSERT_EQUAL(hear(b, rows[i].assignment, rows[i].document), rows[i].epoch);
        CU_ASSERT_TRUE(raised(b, ALARM_EPOCH_MOVED));
        struct revision made = manager_cohort(b->m, 0)->revision;
        CU_ASSERT_EQUAL(made.epoch, rows[i].epoch);
        CU_ASSERT_TRUE(revision_compare(made, rows[i].document) > 0);
        CU_ASSERT_TRUE(revision_compare(manager_agent(b->m, 1)->assigned, rows[i].assignment) > 0 ||
                       revision_compare(rows[i].assignment, R(2, 1)) <= 0);
        /* The same again is old by now. */
        CU_ASSERT_EQUAL(hear(b, rows[i].assignment, rows[i].document), 0);
        CU_ASSERT_EQUAL(b->out.alarm_count, 0);
        bench_free(b);
    }
}

static void test_claims_too_far_off_too_late_or_without_a_restore_are_told_once_an_hour(void)
{
    struct bench *far = bench_new(9 * DAY_S, 2), *late = bench_new(9 * DAY_S, 2),
                 *never = bench_new(0, 1);
    CU_ASSERT_EQUAL(hear(far, R(2, 1), R(66, 1)), 0);
    CU_ASSERT_TRUE(raised(far, ALARM_NEWER_DOCUMENT));
    late->now_s = 39 * DAY_S;
    CU_ASSERT_EQUAL(hear(late, R(2, 1), R(3, 1)), 0);
    CU_ASSERT_TRUE(raised(late, ALARM_NEWER_DOCUMENT));
    CU_ASSERT_EQUAL(hear(never, R(1, 1), R(1, 102)), 0);
    CU_ASSERT_TRUE(raised(never, ALARM_NEWER_DOCUMENT));
    CU_ASSERT_EQUAL(hear(never, R(1, 1), R(1, 103)), 0);
    CU_ASSERT_EQUAL(never->out.alarm_count, 0);
    never->now_s += 3600;
    CU_ASSERT_EQUAL(hear(never, R(1, 1), R(1, 104)), 0);
    CU_ASSERT_TRUE(raised(never, ALARM_NEWER_DOCUMENT));
    bench_free(far);
    bench_free(late);
    bench_free(never);
}

/* A device that lies, soon after a restore: it can't use up the epochs. */
static void test_liar_moves_the_epoch_no_further_than_a_bound(void)
{
    struct bench *b = bench_new(9 * DAY_S, 2);
    uint32_t last = 0;
    for (uint32_t claimed = 2; claimed < 5000; claimed++) {
        uint32_t moved = hear(b, R(2, 1), R(claimed, UINT32_MAX));
        last = moved ? moved : last;
    }
    CU_ASSERT_EQUAL(last, 66);
    bench_free(b);
    b = bench_new(9 * DAY_S, EPOCH_MAX);
    CU_ASSERT_EQUAL(hear(b, R(EPOCH_MAX, 1), R(EPOCH_MAX, 500)), 0);
    bench_free(b);
}

/* Whatever was handed out before, under whatever epoch, was less. */
static void test_generations_of_an_epoch_are_above_those_before(void)
{
    struct bench *b = bench_new(9 * DAY_S, 2);
    struct command push = {.type = COMMAND_BUNDLE_ADD, .bundle = {.name = "app", .version = "1"}};
    struct command deploy = {
        .type = COMMAND_DEPLOY,
        .deploy = {.name = "app", .bundle = "app", .version = "1", .selector = "", .all = true}};
    for (uint8_t i = 1; i <= 3; i++) {
        push.bundle.version[0] = (char)('0' + i);
        push.bundle.digest.bytes[0] = i;
        CU_ASSERT_EQUAL(run(b, &push), 0);
    }
    CU_ASSERT_EQUAL(run(b, &deploy), 0);
    CU_ASSERT_EQUAL(manager_generation(b->m, 0), GENERATIONS_PER_EPOCH + 1);
    deploy.deploy.version = "2";
    CU_ASSERT_EQUAL(run(b, &deploy), 0);
    CU_ASSERT_EQUAL(manager_generation(b->m, 0), GENERATIONS_PER_EPOCH + 2);
    CU_ASSERT_EQUAL(hear(b, R(2, 1), R(4, 1)), 5);
    CU_ASSERT_EQUAL(manager_generation(b->m, 0), 4 * GENERATIONS_PER_EPOCH + 1);
    CU_ASSERT_STRING_EQUAL(manager_generation_version(b->m, 0, 4 * GENERATIONS_PER_EPOCH + 1), "2");
    CU_ASSERT_STRING_EQUAL(manager_generation_version(b->m, 0, GENERATIONS_PER_EPOCH + 1), "1");
    deploy.deploy.version = "3";
    CU_ASSERT_EQUAL(run(b, &deploy), 0);
    CU_ASSERT_EQUAL(manager_generation(b->m, 0), 4 * GENERATIONS_PER_EPOCH + 2);
    bench_free(b);
}

static const struct suite_test tests[] = {
    TEST(test_what_this_manager_made_moves_nothing),
    TEST(test_newer_document_or_assignment_moves_the_epoch_past_it),
    TEST(test_claims_too_far_off_too_late_or_without_a_restore_are_told_once_an_hour),
    TEST(test_liar_moves_the_epoch_no_further_than_a_bound),
    TEST(test_generations_of_an_epoch_are_above_those_before),
};

SUITE_MAIN("epoch", tests)
