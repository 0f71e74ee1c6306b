#include "manager/core/plan.h"
#include "test/suite.h"

#include <stdio.h>

/* KubeFleet's three stages. */
static struct plan sample(void)
{
    struct plan p = PLAN_DEFAULT;
    p.count = 3;
    p.stages[0] = (struct plan_stage){.name = "staging",
                                      .selector = "env=staging",
                                      .concurrency = {50, true},
                                      .after = {.wait_s = 60}};
    p.stages[1] = (struct plan_stage){
        .name = "canary", .selector = "env=canary", .share = {3, false}, .concurrency = {1, false}};
    p.stages[2] =
        (struct plan_stage){.name = "prod", .selector = "env=prod", .before = {.approval = true}};
    p.max_failed = (struct amount){10, true};
    p.on_failure = REMEDY_ROLL_BACK;
    p.overlap = OVERLAP_QUEUE;
    return p;
}

static void refused(const struct plan *p, const char *sentence)
{
    struct plan copy = *p;
    struct errmsg em;
    CU_ASSERT_EQUAL(plan_complete(&copy, &em), ERR_USAGE);
    CU_ASSERT_STRING_EQUAL(em.text, sentence);
}

static void test_percents_are_rounded_up_and_never_more_than_the_whole(void)
{
    CU_ASSERT_EQUAL(amount_of((struct amount){0, false}, 7), 7);
    CU_ASSERT_EQUAL(amount_of((struct amount){3, false}, 7), 3);
    CU_ASSERT_EQUAL(amount_of((struct amount){9, false}, 7), 7);
    CU_ASSERT_EQUAL(amount_of((struct amount){50, true}, 7), 4);
    CU_ASSERT_EQUAL(amount_of((struct amount){1, true}, 1), 1);
    CU_ASSERT_EQUAL(amount_of((struct amount){1, true}, 0), 0);
    CU_ASSERT_EQUAL(amount_of((struct amount){100, true}, UINT32_MAX), UINT32_MAX);
}

static void test_what_plan_and_stage_say_of_failures_is_both_kept(void)
{
    static const struct {
        struct amount whole, own;
        uint32_t borne; /* of ten agents */
    } cases[] = {
        {{0, false}, {0, false}, 0}, {{2, false}, {0, false}, 2},  {{2, false}, {30, true}, 2},
        {{2, false}, {1, false}, 1}, {{2, false}, {0, true}, 0},   {{0, false}, {30, true}, 3},
        {{0, true}, {30, true}, 0},  {{50, true}, {20, false}, 5},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct plan p = sample();
        p.max_failed = cases[i].whole;
        p.stages[1].max_failed = cases[i].own;
        CU_ASSERT_EQUAL(plan_may_fail(&p, 1, 10), cases[i].borne);
    }
}

static void test_a_stage_takes_as_many_spans_as_its_rate_needs(void)
{
    const struct rate number = {.agents = {10, false}, .span_s = 60}, none = {.span_s = 0};
    const struct rate percent = {.agents = {30, true}, .span_s = 100};
    CU_ASSERT_EQUAL(rate_agents(&number, 3), 10); /* what an earlier stage has left of it */
    CU_ASSERT_EQUAL(rate_agents(&percent, 11), 4);
    CU_ASSERT_EQUAL(rate_takes_s(&number, 10), 0);
    CU_ASSERT_EQUAL(rate_takes_s(&number, 11), 60);
    CU_ASSERT_EQUAL(rate_takes_s(&number, 30), 120);
    CU_ASSERT_EQUAL(rate_takes_s(&percent, 10), 300);
    CU_ASSERT_EQUAL(rate_takes_s(&percent, 0), 0);
    CU_ASSERT_EQUAL(rate_takes_s(&none, 10), 0);
}

static void test_whom_the_stages_leave_out_gets_a_stage_of_their_own(void)
{
    struct plan p = sample();
    struct errmsg em;
    CU_ASSERT_EQUAL(plan_complete(&p, &em), 0);
    CU_ASSERT_EQUAL(p.count, 4);
    CU_ASSERT_STRING_EQUAL(p.stages[3].name, "rest");
    CU_ASSERT_STRING_EQUAL(p.stages[3].selector, "");
    CU_ASSERT_EQUAL(plan_complete(&p, &em), 0);
    CU_ASSERT_EQUAL(p.count, 4);
    struct plan none = PLAN_DEFAULT;
    CU_ASSERT_EQUAL(plan_complete(&none, &em), 0);
    CU_ASSERT_EQUAL(none.count, 0);
}

static void test_a_plan_that_can_not_be_followed_is_refused_with_its_stage(void)
{
    struct plan p = sample();
    p.deadline_s = 600;
    p.retries = 2;
    refused(&p, "deadline: 10m are for all tries together, and 2 retries alone wait 15m (back_off: "
                "5m)");
    p.retries = 1;
    p.window = (struct schedule){.cron = "0 2 * * *", .length_s = 7200};
    CU_ASSERT_EQUAL(plan_complete(&p, NULL), 0);
    p = sample();
    p.quorum = 101;
    refused(&p, "a quorum of 101%: it is between 1 and 100");
    p = sample();
    snprintf(p.stages[2].name, sizeof p.stages[2].name, "canary");
    refused(&p, "two stages are called canary");
    p = sample();
    p.stages[1].name[0] = '/';
    refused(&p, "stage 2: '/anary' is no name: letters, digits, '.', '_', '-'");
    p = sample();
    p.stages[0].selector[0] = '\0';
    refused(&p, "stage staging takes every agent: none is left for canary");
    p = sample();
    p.stages[1].share = (struct amount){101, true};
    refused(&p, "stage canary: 101% of its agents are more than all");
    p = sample();
    p.stages[0].selector[0] = '=';
    refused(&p, "stage staging: selector: at character 1: expected a label key, not '='");
    p = sample();
    p.stages[0].after.wait_s = PLAN_WAIT_S_MAX + 1;
    refused(&p, "stage staging: waits longer than 90 days");
    p = sample();
    p.stages[1].rate.span_s = 59;
    refused(&p, "stage canary: rate: 59s is shorter than a minute: say it for one");
    p = PLAN_DEFAULT;
    p.rate = (struct rate){.agents = {1, false}, .span_s = 60};
    refused(&p, "rate: without stages everybody gets a version at once; write one, like stages: "
                "[{name: all}]");
    p = PLAN_DEFAULT;
    p.start_s = 1;
    refused(&p, "start: without stages everybody gets a version at once; write one, like stages: "
                "[{name: all}]");
}

static bool is_same(const struct plan *a, const struct plan *b)
{
    uint8_t memory[2][PLAN_BYTES_MAX];
    struct buffer left = buffer_on(memory[0], PLAN_BYTES_MAX);
    struct buffer right = buffer_on(memory[1], PLAN_BYTES_MAX);
    CU_ASSERT_EQUAL(plan_write(a, &left), 0);
    CU_ASSERT_EQUAL(plan_write(b, &right), 0);
    return span_equal(span_buffer(&left), span_buffer(&right));
}

/* What was written is known as long as something else is in force. */
static void test_what_is_set_on_the_way_is_put_back(void)
{
    struct plan p = sample();
    CU_ASSERT_EQUAL_FATAL(plan_complete(&p, NULL), 0);
    const struct plan written = p;
    struct pace fast = {.says = 1u << PACE_RATE | 1u << PACE_START | 1u << PACE_RETURNING |
                                1u << PACE_QUORUM | 1u << PACE_DEADLINE,
                        .rate = {.agents = {50, false}, .span_s = 3600},
                        .start_s = 1780000000,
                        .returning = {4, false},
                        .quorum = 80,
                        .deadline_s = 4000};
    struct pace few = {.says = 1u << PACE_CONCURRENCY, .concurrency = {2, false}};
    CU_ASSERT_EQUAL(plan_set_pace(&p, STAGES_MAX, &fast, NULL), 0);
    CU_ASSERT_EQUAL(plan_set_pace(&p, STAGES_MAX, &fast, NULL), 1);
    CU_ASSERT_EQUAL(plan_set_pace(&p, 0, &few, NULL), 0);
    CU_ASSERT_TRUE(p.rate.span_s == 3600 && p.start_s == 1780000000);
    CU_ASSERT_TRUE(p.returning.value == 4 && p.quorum == 80 && p.deadline_s == 4000);
    CU_ASSERT_TRUE(p.stages[0].concurrency.value == 2 && !p.stages[0].concurrency.percent);
    CU_ASSERT_TRUE(p.stages[0].after.wait_s == 60 && p.max_failed.value == 10);
    CU_ASSERT_EQUAL(plan_pace(&p, STAGES_MAX).says, fast.says);
    CU_ASSERT_EQUAL(plan_pace(&p, STAGES_MAX).start_s, 1780000000);
    CU_ASSERT_EQUAL(plan_pace(&p, 0).concurrency.value, 2);
    CU_ASSERT_EQUAL(plan_pace(&p, 1).says, 0);
    struct plan settled = p;
    plan_settle(&settled);
    CU_ASSERT_EQUAL(settled.rate.span_s, 3600);
    CU_ASSERT_EQUAL(plan_pace(&settled, STAGES_MAX).says, 0);
    plan_put_back(&p);
    CU_ASSERT_TRUE(is_same(&p, &written));
}

static void test_what_is_set_to_what_was_written_is_as_it_was(void)
{
    struct plan p = sample();
    CU_ASSERT_EQUAL_FATAL(plan_complete(&p, NULL), 0);
    const struct plan written = p;
    struct pace some = {.says = 1u << PACE_CONCURRENCY | 1u << PACE_MAX_FAILED,
                        .concurrency = {2, false},
                        .max_failed = {7, true}};
    CU_ASSERT_EQUAL(plan_set_pace(&p, 0, &some, NULL), 0);
    some = (struct pace){.says = 1u << PACE_CONCURRENCY, .concurrency = {50, true}};
    CU_ASSERT_EQUAL(plan_set_pace(&p, 0, &some, NULL), 0);
    CU_ASSERT_EQUAL(plan_pace(&p, 0).says, 1u << PACE_MAX_FAILED);
    some = (struct pace){.says = 1u << PACE_MAX_FAILED};
    CU_ASSERT_EQUAL(plan_set_pace(&p, 0, &some, NULL), 0);
    CU_ASSERT_TRUE(is_same(&p, &written));
}

static void test_what_can_not_be_followed_is_not_set(void)
{
    struct plan p = sample();
    struct errmsg em;
    CU_ASSERT_EQUAL_FATAL(plan_complete(&p, NULL), 0);
    const struct plan written = p;
    struct pace brief = {.says = 1u << PACE_RATE, .rate = {.agents = {1, false}, .span_s = 59}};
    CU_ASSERT_EQUAL(plan_set_pace(&p, 1, &brief, &em), ERR_USAGE);
    CU_ASSERT_STRING_EQUAL(em.text,
                           "stage canary: rate: 59s is shorter than a minute: say it for one");
    CU_ASSERT_EQUAL(plan_set_pace(&p, STAGES_MAX, &brief, &em), ERR_USAGE);
    CU_ASSERT_TRUE(is_same(&p, &written));
}

static void test_plan_survives_being_written_and_read(void)
{
    uint8_t memory[PLAN_BYTES_MAX], again[PLAN_BYTES_MAX];
    struct buffer out = buffer_on(memory, sizeof memory);
    struct buffer copy = buffer_on(again, sizeof again);
    struct plan p = sample(), back;
    p.returning = (struct amount){7, true};
    p.stages[1].max_failed = (struct amount){0, true};
    p.rate = (struct rate){.agents = {10, true}, .span_s = 3600};
    p.start_s = 1780000000;
    p.stages[2].rate = (struct rate){.agents = {100, false}, .span_s = 60};
    p.was = (struct pace){.says = 1u << PACE_MAX_FAILED | 1u << PACE_DEADLINE,
                          .max_failed = {5, true},
                          .returning = {3, true},
                          .quorum = 90,
                          .deadline_s = 70};
    p.stages[1].was = (struct pace){.says = 1u << PACE_RATE | 1u << PACE_CONCURRENCY,
                                    .rate = {.agents = {3, false}, .span_s = 120},
                                    .concurrency = {4, true}};
    CU_ASSERT_EQUAL(plan_write(&p, &out), 0);
    CU_ASSERT_EQUAL(plan_read(span_buffer(&out), &back), 0);
    CU_ASSERT_EQUAL(plan_write(&back, &copy), 0);
    CU_ASSERT_TRUE(span_equal(span_buffer(&out), span_buffer(&copy)));
    CU_ASSERT_STRING_EQUAL(back.stages[1].selector, "env=canary");
    CU_ASSERT_EQUAL(back.stages[1].share.value, 3);
    CU_ASSERT_TRUE(back.stages[0].concurrency.percent && back.stages[2].before.approval);
    CU_ASSERT_TRUE(back.returning.value == 7 && back.returning.percent);
    CU_ASSERT_EQUAL(back.start_s, 1780000000);
    CU_ASSERT_TRUE(plan_rate(&back, 1)->agents.percent && plan_rate(&back, 1)->span_s == 3600);
    CU_ASSERT_TRUE(plan_rate(&back, 2)->agents.value == 100 && plan_rate(&back, 2)->span_s == 60);
    CU_ASSERT_TRUE(back.stages[1].max_failed.percent && !back.stages[2].max_failed.percent);
    CU_ASSERT_TRUE(back.was.says == p.was.says && back.was.max_failed.value == 5);
    CU_ASSERT_TRUE(back.was.returning.percent && back.was.quorum == 90);
    CU_ASSERT_EQUAL(back.was.deadline_s, 70);
    CU_ASSERT_TRUE(back.stages[1].was.rate.span_s == 120 && back.stages[1].was.concurrency.percent);
    CU_ASSERT_EQUAL(back.on_failure, REMEDY_ROLL_BACK);
    CU_ASSERT_EQUAL(back.overlap, OVERLAP_QUEUE);
    for (size_t len = 0; len < out.len; len++)
        CU_ASSERT_TRUE(plan_read(span_of(memory, len), &back) < 0);
    CU_ASSERT_TRUE(plan_read(span_of(memory, out.len), &back) == 0);
    p.stages[0].was.says = 1u << PACE_START; /* which is no stage's */
    out = buffer_on(memory, sizeof memory);
    CU_ASSERT_EQUAL(plan_write(&p, &out), 0);
    CU_ASSERT_TRUE(plan_read(span_buffer(&out), &back) < 0);
}

/* As managers wrote it before there were rates, and a max_failed of stages. */
static void test_plan_of_an_older_manager_is_read(void)
{
    static const uint8_t old[] = "\x9e\x01\x15\x00\x00\x64\xcd\x01\x2c\x00\x93\xa0\x00\x00"
                                 "\x00\xcd\x01\x2c\x92\x97\xa3"
                                 "few"
                                 "\xa7"
                                 "env=lab"
                                 "\x0b\x04\x92\xc3\x00\x92\xc2\x3c\x93\xa0\x00\x00\x97\xa4"
                                 "rest"
                                 "\xa0\x00\x00\x92\xc2\x00\x92\xc2\x00\x93\xa0\x00\x00\xc2\x06"
                                 "\xcd\x1c\x20";
    struct plan p;
    CU_ASSERT_EQUAL_FATAL(plan_read(span_of(old, sizeof old - 1), &p), 0);
    CU_ASSERT_EQUAL(p.count, 2);
    CU_ASSERT_STRING_EQUAL(p.stages[0].selector, "env=lab");
    CU_ASSERT_TRUE(p.stages[0].before.approval && p.stages[0].after.wait_s == 60);
    CU_ASSERT_STRING_EQUAL(p.stages[1].name, "rest");
    CU_ASSERT_EQUAL(p.wait_for_first_s, 7200);
    CU_ASSERT_EQUAL(plan_may_fail(&p, 0, 100), 10);
    CU_ASSERT_EQUAL(plan_rate(&p, 1)->span_s, 0);
    CU_ASSERT_EQUAL(p.start_s, 0);
}

/* Before returning, quorum and deadline could be set as well. */
static void test_what_was_set_at_an_older_manager_is_read(void)
{
    uint8_t memory[PLAN_BYTES_MAX];
    struct buffer out = buffer_on(memory, sizeof memory);
    struct plan p = sample(), back;
    p.was = (struct pace){.says = 1u << PACE_MAX_FAILED, .max_failed = {5, true}};
    CU_ASSERT_EQUAL(plan_write(&p, &out), 0);
    uint8_t *pace = &memory[out.len - 11]; /* its last element: 8 fields, of which the last are 0 */
    CU_ASSERT_TRUE_FATAL(pace[0] == 0x98 && pace[1] == 1u << PACE_MAX_FAILED);
    pace[0] = 0x95;
    struct span old = span_of(memory, out.len - 3);
    CU_ASSERT_EQUAL(plan_read(old, &back), 0);
    CU_ASSERT_TRUE(back.was.says == p.was.says && back.was.max_failed.value == 5);
    pace[1] = 1u << PACE_DEADLINE; /* which isn't there */
    CU_ASSERT_TRUE(plan_read(old, &back) < 0);
    pace[0] = 0x96;
    CU_ASSERT_TRUE(plan_read(span_of(memory, out.len - 2), &back) < 0);
}

static void test_the_longest_plan_fits(void)
{
    uint8_t memory[PLAN_BYTES_MAX];
    struct buffer out = buffer_on(memory, sizeof memory);
    struct plan p = PLAN_DEFAULT;
    p.count = STAGES_MAX;
    for (int i = 0; i < STAGES_MAX; i++) {
        struct plan_stage *s = &p.stages[i];
        memset(s->name, 'n', NAME_MAX_LEN);
        memset(s->selector, 's', SELECTOR_TEXT_MAX);
        s->share = s->concurrency = s->max_failed = (struct amount){UINT32_MAX, true};
        s->before.wait_s = s->after.wait_s = s->rate.span_s = PLAN_WAIT_S_MAX;
        s->rate.agents = s->share;
        s->was = (struct pace){.says = 1u << PACE_RATE,
                               .start_s = UINT64_MAX,
                               .rate = s->rate,
                               .max_failed = s->share,
                               .concurrency = s->share,
                               .returning = s->share,
                               .quorum = UINT32_MAX,
                               .deadline_s = UINT32_MAX};
    }
    CU_ASSERT_EQUAL(plan_write(&p, &out), 0);
}

static const struct suite_test tests[] = {
    TEST(test_percents_are_rounded_up_and_never_more_than_the_whole),
    TEST(test_what_plan_and_stage_say_of_failures_is_both_kept),
    TEST(test_a_stage_takes_as_many_spans_as_its_rate_needs),
    TEST(test_whom_the_stages_leave_out_gets_a_stage_of_their_own),
    TEST(test_a_plan_that_can_not_be_followed_is_refused_with_its_stage),
    TEST(test_what_is_set_on_the_way_is_put_back),
    TEST(test_what_is_set_to_what_was_written_is_as_it_was),
    TEST(test_what_can_not_be_followed_is_not_set),
    TEST(test_plan_survives_being_written_and_read),
    TEST(test_plan_of_an_older_manager_is_read),
    TEST(test_what_was_set_at_an_older_manager_is_read),
    TEST(test_the_longest_plan_fits),
};

SUITE_MAIN("plan", tests)
