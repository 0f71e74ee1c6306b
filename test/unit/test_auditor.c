/* The audit log in the database: it only grows, with the changes it tells of, and slowly. */
#include "manager/auditor.h"

#include "test/samples.h"
#include "test/suite.h"
#include "test/tree.h"

static const struct manager_limits LIMITS = {
    .agents = 128, .cohorts = 2, .deployments = 2, .bundles = 2, .batches = 128};

struct log {
    struct tree_path dir;
    struct ledger *ledger;
    struct auditor *auditor;
};

static struct log log_new(void)
{
    struct log log = {.dir = tree_new()};
    struct fleet_keys keys = {.signing = sample_secret(1), .authority = sample_secret(2)};
    log.ledger = ledger_open(log.dir.text, &keys, NULL);
    log.auditor = log.ledger ? auditor_new(log.ledger) : NULL;
    tree_must(log.auditor != NULL, "auditor");
    return log;
}

static void log_free(struct log *log)
{
    auditor_free(log->auditor);
    ledger_close(log->ledger);
    tree_free(&log->dir);
}

static void add(struct log *log, const char *action, uint64_t now_s)
{
    struct audit_entry e = {.actor = "local:tester(1)"};
    audit_text(e.action, sizeof e.action, "%s", action);
    CU_ASSERT_EQUAL(auditor_add(log->auditor, &e, now_s, NULL), 0);
}

/* 1 when it was written. */
static int add_bounded(struct log *log, const char *object, uint64_t now_s)
{
    struct audit_entry e = {.actor = "stranger", .action = "alarm-test"};
    audit_text(e.object, sizeof e.object, "%s", object);
    return auditor_add_bounded(log->auditor, &e, now_s, NULL);
}

/* Entries of the log, whose chain holds. */
static uint64_t count(struct log *log)
{
    struct digest chain = {{0}};
    struct audit_entry e;
    uint64_t n = 0;
    while (ledger_audit_next(log->ledger, n, 0, &e, NULL) == 1) {
        chain = audit_chain(&chain, &e);
        CU_ASSERT_EQUAL(e.number, n + 1);
        CU_ASSERT_TRUE(digest_equal(&chain, &e.chain));
        n = e.number;
    }
    return n;
}

static struct audit_entry entry(struct log *log, uint64_t number)
{
    struct audit_entry e = {0};
    CU_ASSERT_EQUAL(ledger_audit_next(log->ledger, number - 1, 0, &e, NULL), 1);
    return e;
}

static void test_chain_goes_on_over_commits_rollbacks_and_restarts(void)
{
    struct log log = log_new();
    struct fleet_keys other = {.fleet = {9}};
    add(&log, "one", 10);
    add(&log, "two", 20);
    CU_ASSERT_EQUAL(ledger_commit(log.ledger, NULL), 0);
    add(&log, "lost", 30);
    ledger_rollback(log.ledger);
    auditor_rolled_back(log.auditor);
    add(&log, "three", 25);
    CU_ASSERT_EQUAL(ledger_commit(log.ledger, NULL), 0);
    auditor_free(log.auditor);
    ledger_close(log.ledger);
    log.ledger = ledger_open(log.dir.text, &other, NULL);
    tree_must(log.ledger != NULL, "ledger");
    log.auditor = auditor_new(log.ledger);
    add(&log, "four", 40);
    CU_ASSERT_EQUAL(count(&log), 4);
    CU_ASSERT_STRING_EQUAL(entry(&log, 3).action, "three");
    CU_ASSERT_EQUAL(entry(&log, 3).time_s, 25);
    log_free(&log);
}

static void test_entry_with_any_other_number_is_refused(void)
{
    const uint64_t wrong[] = {0, 1, 2, 4, 1000};
    struct log log = log_new();
    add(&log, "one", 1);
    add(&log, "two", 2);
    CU_ASSERT_EQUAL(ledger_commit(log.ledger, NULL), 0);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct audit_entry e = {.number = wrong[i], .action = "forged"};
        CU_ASSERT_TRUE(ledger_audit_add(log.ledger, &e, NULL) < 0);
        ledger_rollback(log.ledger);
    }
    CU_ASSERT_EQUAL(count(&log), 2);
    log_free(&log);
}

static void test_since_leaves_older_entries_out(void)
{
    struct log log = log_new();
    struct audit_entry e;
    add(&log, "old", 100);
    add(&log, "new", 200);
    add(&log, "clock-set-back", 50);
    add(&log, "newest", 201);
    CU_ASSERT_EQUAL(ledger_audit_next(log.ledger, 0, 200, &e, NULL), 1);
    CU_ASSERT_STRING_EQUAL(e.action, "new");
    CU_ASSERT_EQUAL(ledger_audit_next(log.ledger, e.number, 200, &e, NULL), 1);
    CU_ASSERT_STRING_EQUAL(e.action, "newest");
    CU_ASSERT_EQUAL(ledger_audit_next(log.ledger, e.number, 200, &e, NULL), 0);
    log_free(&log);
}

static void test_what_recurs_is_counted_and_told_of_later(void)
{
    struct log log = log_new();
    CU_ASSERT_EQUAL(add_bounded(&log, "a", 1000), 1);
    for (unsigned i = 0; i < 500; i++)
        CU_ASSERT_EQUAL(add_bounded(&log, "a", 1001 + i), 0);
    CU_ASSERT_EQUAL(add_bounded(&log, "b", 1600), 1);
    CU_ASSERT_EQUAL(add_bounded(&log, "a", 1000 + AUDITOR_QUIET_S), 1);
    CU_ASSERT_EQUAL(count(&log), 3);
    CU_ASSERT_STRING_EQUAL(entry(&log, 3).detail, "and 500 times before");
    log_free(&log);
}

/* A clock that goes back by a little has it recur; by years, it is another time. */
static void test_a_clock_that_was_ahead_silences_nothing(void)
{
    struct log log = log_new();
    const uint64_t ahead_s = 2000000000, right_s = 1800000000;
    CU_ASSERT_EQUAL(add_bounded(&log, "a", ahead_s), 1);
    CU_ASSERT_EQUAL(add_bounded(&log, "a", ahead_s - 2), 0);
    CU_ASSERT_EQUAL(add_bounded(&log, "a", right_s), 1);
    CU_ASSERT_EQUAL(add_bounded(&log, "a", right_s + 1), 0);
    CU_ASSERT_EQUAL(add_bounded(&log, "a", right_s + AUDITOR_QUIET_S), 1);
    CU_ASSERT_EQUAL(count(&log), 3);
    log_free(&log);
}

static void test_strangers_fill_no_disk(void)
{
    struct log log = log_new();
    char object[16];
    unsigned written = 0;
    for (unsigned i = 0; i < 100000; i++) { /* a new one every ten milliseconds */
        snprintf(object, sizeof object, "%u", i);
        written += add_bounded(&log, object, 5000 + i / 100) == 1;
    }
    CU_ASSERT_TRUE(written >= AUDITOR_BURST);
    CU_ASSERT_TRUE(written <= AUDITOR_BURST + 1000 / AUDITOR_REFILL_S + 1);
    CU_ASSERT_EQUAL(count(&log), written);
    log_free(&log);
}

static void test_many_of_one_kind_hide_no_other_one(void)
{
    struct log log = log_new();
    char object[16];
    for (unsigned i = 0; i < AUDITOR_BURST + 50; i++) {
        snprintf(object, sizeof object, "%u", i);
        CU_ASSERT_EQUAL(add_bounded(&log, object, 5000), i < AUDITOR_BURST);
    }
    struct audit_entry other = {.actor = "stranger", .action = "alarm-other"};
    CU_ASSERT_EQUAL(auditor_add_bounded(log.auditor, &other, 5001, NULL), 1);
    CU_ASSERT_EQUAL(add_bounded(&log, "later", 5000 + AUDITOR_REFILL_S), 1);
    CU_ASSERT_EQUAL(count(&log), AUDITOR_BURST + 2);
    CU_ASSERT_STRING_EQUAL(entry(&log, AUDITOR_BURST + 2).detail,
                           "and 50 of others that are not told of");
    log_free(&log);
}

static void add_alarm(struct log *log, const char *action, const char *object, uint64_t now_s)
{
    struct audit_entry e = {.actor = "stranger"};
    audit_text(e.action, sizeof e.action, "%s", action);
    audit_text(e.object, sizeof e.object, "%s", object);
    CU_ASSERT_EQUAL(auditor_add_bounded(log->auditor, &e, now_s, NULL), 1);
}

/* A hundred of one kind hide no other, though that is older. */
static void test_newest_alarm_of_each_kind_is_found_and_the_others_counted(void)
{
    struct log log = log_new();
    struct alarm_kind kinds[4];
    char object[16];
    add(&log, "deploy", 90);
    CU_ASSERT_EQUAL(ledger_audit_alarms(log.ledger, 0, kinds, 4), 0);
    add_alarm(&log, "alarm-old", "gone", 99);
    add_alarm(&log, "alarm-clone", "agent 1", 100);
    add_alarm(&log, "alarm-clone", "agent 2", 101);
    for (unsigned i = 0; i < 99; i++) {
        snprintf(object, sizeof object, "%u", i);
        add_alarm(&log, "alarm-token", object, 200 + i);
    }
    add(&log, "deploy", 300);
    CU_ASSERT_EQUAL_FATAL(ledger_audit_alarms(log.ledger, 100, kinds, 4), 2);
    CU_ASSERT_STRING_EQUAL(kinds[0].last.action, "alarm-token");
    CU_ASSERT_STRING_EQUAL(kinds[0].last.object, "98");
    CU_ASSERT_EQUAL(kinds[0].count, 99);
    CU_ASSERT_STRING_EQUAL(kinds[1].last.object, "agent 2");
    CU_ASSERT_EQUAL(kinds[1].last.time_s, 101);
    CU_ASSERT_EQUAL(kinds[1].count, 2);
    CU_ASSERT_EQUAL(ledger_audit_alarms(log.ledger, 0, kinds, 2), 2);
    CU_ASSERT_EQUAL(ledger_audit_alarms(log.ledger, 299, kinds, 4), 0);
    log_free(&log);
}

/* Agents whose numbers count up, each with the batch that is named. */
static struct manager *fleet(const uint32_t *batches, uint32_t agents)
{
    struct manager_options options = {.limits = LIMITS, .epoch = 1, .policy = POLICY_DEFAULT};
    struct manager *m = manager_init(calloc(1, manager_size(&LIMITS)), &options);
    struct batch_row batch = {.count = 100, .uses = 1};
    struct cohort cohort = {.labels = {.text = ""}};
    for (uint32_t i = 0; i < LIMITS.batches; i++)
        CU_ASSERT_EQUAL(manager_load_batch(m, &batch), 0);
    CU_ASSERT_EQUAL(manager_load_cohort(m, &cohort), 0);
    for (uint32_t i = 0; i < agents; i++) {
        struct agent_row row = {.batch = batches[i], .index = i};
        row.id.bytes[0] = (uint8_t)(i + 1);
        CU_ASSERT_EQUAL(manager_load_agent(m, i + 1, &row, NULL, 0), 0);
    }
    return m;
}

static void join(struct log *log, const struct manager *m, uint32_t first, uint32_t last)
{
    for (uint32_t n = first; n <= last; n++)
        CU_ASSERT_EQUAL(auditor_join(log->auditor, m, n, 10, NULL), 0);
}

static void settle(struct log *log, uint64_t now_s)
{
    CU_ASSERT_EQUAL(auditor_settle(log->auditor, now_s, NULL), 0);
    CU_ASSERT_EQUAL(ledger_commit(log->ledger, NULL), 0);
    auditor_committed(log->auditor);
}

static void test_joins_of_one_commit_are_one_entry_a_batch(void)
{
    const uint32_t batches[] = {3, 3, 5, 3, 5};
    struct log log = log_new();
    struct manager *m = fleet(batches, 5);
    join(&log, m, 1, 5);
    CU_ASSERT_EQUAL(count(&log), 0);
    settle(&log, 10);
    CU_ASSERT_EQUAL(count(&log), 2);
    CU_ASSERT_STRING_EQUAL(entry(&log, 1).object, "3 agents, numbers 1-4");
    CU_ASSERT_STRING_EQUAL(entry(&log, 1).detail, "batch=4");
    CU_ASSERT_STRING_EQUAL(entry(&log, 2).object, "2 agents, numbers 3-5");
    settle(&log, 11);
    CU_ASSERT_EQUAL(count(&log), 2);
    free(m);
    log_free(&log);
}

static void test_joins_are_told_of_once_a_second_and_before_all_else(void)
{
    const uint32_t batches[] = {1, 1, 1, 1, 1};
    struct log log = log_new();
    struct manager *m = fleet(batches, 5);
    join(&log, m, 1, 1);
    settle(&log, 10);
    CU_ASSERT_EQUAL(count(&log), 1); /* at once */
    join(&log, m, 2, 2);
    settle(&log, 10);
    join(&log, m, 3, 3);
    settle(&log, 10);
    CU_ASSERT_EQUAL(count(&log), 1);
    settle(&log, 11);
    CU_ASSERT_EQUAL(count(&log), 2);
    CU_ASSERT_STRING_EQUAL(entry(&log, 2).object, "2 agents, numbers 2-3");
    join(&log, m, 4, 4);
    add(&log, "agent-remove", 11);
    CU_ASSERT_STRING_EQUAL(entry(&log, 3).action, "join");
    CU_ASSERT_STRING_EQUAL(entry(&log, 4).action, "agent-remove");
    join(&log, m, 5, 5);
    settle(&log, 11);
    CU_ASSERT_EQUAL(count(&log), 4);
    join(&log, m, 2, 2); /* another device in its place: nothing but the log would say so later */
    settle(&log, 11);
    CU_ASSERT_EQUAL(count(&log), 6);
    CU_ASSERT_STRING_EQUAL(entry(&log, 5).object, "agent 5 (050000000000)");
    CU_ASSERT_STRING_EQUAL(entry(&log, 6).object, "agent 2 (020000000000)");
    free(m);
    log_free(&log);
}

static void test_joins_that_a_kill_kept_out_of_the_log_are_told_of_at_the_next_start(void)
{
    const uint32_t batches[] = {1, 1, 2, 1};
    struct log log = log_new();
    struct manager *m = fleet(batches, 4);
    join(&log, m, 1, 1);
    settle(&log, 10);
    join(&log, m, 2, 4);
    settle(&log, 10);
    CU_ASSERT_EQUAL(count(&log), 1);
    auditor_free(log.auditor);
    log.auditor = auditor_new(log.ledger);
    CU_ASSERT_EQUAL(auditor_resume(log.auditor, m, 20, NULL), 0);
    settle(&log, 20);
    CU_ASSERT_EQUAL(count(&log), 3);
    CU_ASSERT_STRING_EQUAL(entry(&log, 2).object, "2 agents, numbers 2-4");
    CU_ASSERT_STRING_EQUAL(entry(&log, 3).detail, "batch=3");
    auditor_free(log.auditor);
    log.auditor = auditor_new(log.ledger);
    CU_ASSERT_EQUAL(auditor_resume(log.auditor, m, 30, NULL), 0);
    settle(&log, 30);
    CU_ASSERT_EQUAL(count(&log), 3);
    free(m);
    log_free(&log);
}

static void test_joins_of_many_batches_are_all_told_of(void)
{
    uint32_t batches[100];
    struct log log = log_new();
    for (uint32_t i = 0; i < 100; i++)
        batches[i] = i;
    struct manager *m = fleet(batches, 100);
    join(&log, m, 1, 100);
    settle(&log, 10);
    settle(&log, 11);
    CU_ASSERT_EQUAL(count(&log), 100);
    free(m);
    log_free(&log);
}

static void test_joins_that_were_rolled_back_are_not_told_of(void)
{
    const uint32_t batches[] = {1};
    struct log log = log_new();
    struct manager *m = fleet(batches, 1);
    join(&log, m, 1, 1);
    CU_ASSERT_EQUAL(auditor_settle(log.auditor, 10, NULL), 0);
    ledger_rollback(log.ledger);
    auditor_rolled_back(log.auditor);
    settle(&log, 11);
    CU_ASSERT_EQUAL(count(&log), 0);
    join(&log, m, 1, 1); /* it asks again */
    settle(&log, 12);
    CU_ASSERT_EQUAL(count(&log), 1);
    free(m);
    log_free(&log);
}

/* What was raised in a turn that could not be committed is raised again, and must be told of then.
 */
static void test_alarm_that_was_rolled_back_is_told_of_with_the_next_try(void)
{
    struct log log = log_new();
    CU_ASSERT_EQUAL(add_bounded(&log, "a", 1000), 1);
    ledger_rollback(log.ledger);
    auditor_rolled_back(log.auditor);
    CU_ASSERT_EQUAL(add_bounded(&log, "a", 1001), 1);
    CU_ASSERT_EQUAL(ledger_commit(log.ledger, NULL), 0);
    CU_ASSERT_EQUAL(count(&log), 1);
    log_free(&log);
}

/* ---- what is only counted ---- */

static void roll_back(struct log *log)
{
    ledger_rollback(log->ledger);
    auditor_rolled_back(log->auditor);
}

/* Another process on the same database. */
static void restart(struct log *log)
{
    struct fleet_keys other = {.fleet = {9}};
    auditor_free(log->auditor);
    ledger_close(log->ledger);
    log->ledger = ledger_open(log->dir.text, &other, NULL);
    tree_must(log->ledger != NULL, "ledger");
    log->auditor = auditor_new(log->ledger);
}

static void stop_and_start(struct log *log, uint64_t now_s)
{
    CU_ASSERT_EQUAL(auditor_keep(log->auditor, now_s, NULL), 0);
    settle(log, now_s);
    restart(log);
}

/* So many that one kind, "a", isn't told of. */
static void leave_out(struct log *log, unsigned count, uint64_t now_s)
{
    for (unsigned i = 0; i < count; i++)
        CU_ASSERT_EQUAL(add_bounded(log, "a", now_s), 0);
}

static const char *detail(struct log *log, uint64_t number)
{
    static struct audit_entry e;
    e = entry(log, number);
    return e.detail;
}

static void test_what_was_counted_is_told_of_after_a_restart(void)
{
    struct log log = log_new();
    char object[16];
    CU_ASSERT_EQUAL(add_bounded(&log, "a", 1000), 1);
    leave_out(&log, 7, 1001);
    for (unsigned i = 1; i < AUDITOR_BURST + 5; i++) {
        snprintf(object, sizeof object, "%u", i);
        CU_ASSERT_EQUAL(add_bounded(&log, object, 1002), i < AUDITOR_BURST);
    }
    CU_ASSERT_EQUAL(auditor_untold(log.auditor, "alarm-test"), 12);
    stop_and_start(&log, 1003);
    CU_ASSERT_EQUAL(auditor_untold(log.auditor, "alarm-test"), 12);
    CU_ASSERT_EQUAL(auditor_untold(log.auditor, "alarm-other"), 0);
    stop_and_start(&log, 1003);
    leave_out(&log, 1, 1004);
    CU_ASSERT_EQUAL(add_bounded(&log, "a", 1000 + AUDITOR_QUIET_S), 1);
    CU_ASSERT_STRING_EQUAL(detail(&log, AUDITOR_BURST + 1),
                           "and 8 times before and 5 of others that are not told of");
    log_free(&log);
}

/* Though the counts were written a moment ago. */
static void test_what_was_told_of_is_not_told_of_again_after_a_kill(void)
{
    struct log log = log_new();
    CU_ASSERT_EQUAL(add_bounded(&log, "a", 1000), 1);
    leave_out(&log, 7, 999 + AUDITOR_QUIET_S);
    settle(&log, 999 + AUDITOR_QUIET_S);
    CU_ASSERT_EQUAL(add_bounded(&log, "a", 1000 + AUDITOR_QUIET_S), 1);
    settle(&log, 1000 + AUDITOR_QUIET_S);
    restart(&log);
    CU_ASSERT_EQUAL(auditor_untold(log.auditor, "alarm-test"), 0);
    CU_ASSERT_EQUAL(add_bounded(&log, "a", 1000 + 2 * AUDITOR_QUIET_S), 1);
    CU_ASSERT_STRING_EQUAL(detail(&log, 2), "and 7 times before");
    CU_ASSERT_STRING_EQUAL(detail(&log, 3), "");
    log_free(&log);
}

/* Of a turn that could not be committed all comes again, counts and entries. */
static void test_what_was_counted_is_right_after_a_rollback(void)
{
    struct log log = log_new();
    CU_ASSERT_EQUAL(add_bounded(&log, "a", 1000), 1);
    leave_out(&log, 7, 1001);
    settle(&log, 1001);
    for (int i = 0; i < 3; i++) {
        leave_out(&log, 2, 1002);
        CU_ASSERT_EQUAL(add_bounded(&log, "a", 1000 + AUDITOR_QUIET_S), 1);
        roll_back(&log);
        CU_ASSERT_EQUAL(auditor_untold(log.auditor, "alarm-test"), 7);
    }
    leave_out(&log, 2, 1002);
    CU_ASSERT_EQUAL(add_bounded(&log, "a", 1000 + AUDITOR_QUIET_S), 1);
    settle(&log, 1000 + AUDITOR_QUIET_S);
    CU_ASSERT_EQUAL(count(&log), 2);
    CU_ASSERT_STRING_EQUAL(detail(&log, 2), "and 9 times before");
    log_free(&log);
}

static void test_share_is_not_used_up_by_what_was_rolled_back(void)
{
    struct log log = log_new();
    char object[16];
    for (unsigned i = 0; i < 2 * AUDITOR_BURST; i++) {
        snprintf(object, sizeof object, "%u", i);
        CU_ASSERT_EQUAL(add_bounded(&log, object, 1000), 1);
        roll_back(&log);
    }
    log_free(&log);
}

static void test_counts_are_written_once_a_minute_at_most(void)
{
    struct log log = log_new();
    unsigned writes = 0;
    CU_ASSERT_EQUAL(add_bounded(&log, "a", 1000), 1);
    settle(&log, 1000);
    for (unsigned s = 1; s < AUDITOR_QUIET_S; s++) {
        leave_out(&log, 10, 1000 + s);
        CU_ASSERT_EQUAL(auditor_settle(log.auditor, 1000 + s, NULL), 0);
        writes += ledger_dirty(log.ledger);
        settle(&log, 1000 + s);
    }
    CU_ASSERT_EQUAL(writes, AUDITOR_QUIET_S / AUDITOR_KEEP_S);
    restart(&log); /* killed: of the last minute it knows nothing */
    uint64_t known = auditor_untold(log.auditor, "alarm-test");
    CU_ASSERT_TRUE(known <= 10 * (AUDITOR_QUIET_S - 1));
    CU_ASSERT_TRUE(known > 10 * (AUDITOR_QUIET_S - AUDITOR_KEEP_S - 1));
    log_free(&log);
}

static void test_kind_that_others_push_out_still_counts(void)
{
    struct log log = log_new();
    char object[16];
    uint64_t now_s = 1000;
    CU_ASSERT_EQUAL(add_bounded(&log, "a", now_s), 1);
    leave_out(&log, 7, now_s);
    for (unsigned i = 0; i < 300; i++, now_s++) {
        snprintf(object, sizeof object, "%u", i);
        struct audit_entry e = {.actor = "stranger", .action = "other"};
        audit_text(e.object, sizeof e.object, "%s", object);
        auditor_add_bounded(log.auditor, &e, now_s, NULL);
    }
    CU_ASSERT_EQUAL(auditor_untold(log.auditor, "alarm-test"), 7);
    stop_and_start(&log, now_s);
    CU_ASSERT_EQUAL(add_bounded(&log, "b", now_s), 1);
    CU_ASSERT_STRING_EQUAL(detail(&log, count(&log)), "and 7 of others that are not told of");
    log_free(&log);
}

static const struct suite_test tests[] = {
    TEST(test_chain_goes_on_over_commits_rollbacks_and_restarts),
    TEST(test_entry_with_any_other_number_is_refused),
    TEST(test_since_leaves_older_entries_out),
    TEST(test_what_recurs_is_counted_and_told_of_later),
    TEST(test_a_clock_that_was_ahead_silences_nothing),
    TEST(test_strangers_fill_no_disk),
    TEST(test_many_of_one_kind_hide_no_other_one),
    TEST(test_newest_alarm_of_each_kind_is_found_and_the_others_counted),
    TEST(test_joins_of_one_commit_are_one_entry_a_batch),
    TEST(test_joins_are_told_of_once_a_second_and_before_all_else),
    TEST(test_joins_that_a_kill_kept_out_of_the_log_are_told_of_at_the_next_start),
    TEST(test_joins_of_many_batches_are_all_told_of),
    TEST(test_joins_that_were_rolled_back_are_not_told_of),
    TEST(test_alarm_that_was_rolled_back_is_told_of_with_the_next_try),
    TEST(test_what_was_counted_is_told_of_after_a_restart),
    TEST(test_what_was_told_of_is_not_told_of_again_after_a_kill),
    TEST(test_what_was_counted_is_right_after_a_rollback),
    TEST(test_share_is_not_used_up_by_what_was_rolled_back),
    TEST(test_counts_are_written_once_a_minute_at_most),
    TEST(test_kind_that_others_push_out_still_counts),
};

SUITE_MAIN("auditor", tests)
