/* head, assignment and desired: what the manager writes and agents read. */
#include "sync/wire.h"
#include "test/rewrite.h"
#include "test/suite.h"

static uint8_t memory[REWRITE_MAX], again_memory[REWRITE_MAX];
static struct desired d;

static struct span write_head(void)
{
    struct buffer out = buffer_on(memory, sizeof memory);
    struct head h = sample_head_atlas();
    CU_ASSERT_EQUAL(head_write(&h, &out), 0);
    return span_buffer(&out);
}

static struct span write_assignment(const struct assignment *a)
{
    struct buffer out = buffer_on(memory, sizeof memory);
    CU_ASSERT_EQUAL(assignment_write(a, &out), 0);
    return span_buffer(&out);
}

static struct span write_desired(void)
{
    struct buffer out = buffer_on(memory, sizeof memory);
    CU_ASSERT_EQUAL(desired_write(&d, &out), 0);
    return span_buffer(&out);
}

static bool comes_back(rewrite_fn *rewrite, struct span bytes)
{
    struct buffer again = buffer_on(again_memory, sizeof again_memory);
    return rewrite(bytes, &again) == 0 && span_equal(span_buffer(&again), bytes);
}

/* Messages as a newer writer would send them: one more field at the end of the outer array. */
static bool longer_is_read(rewrite_fn *rewrite, struct span bytes)
{
    static uint8_t longer_memory[REWRITE_MAX];
    struct buffer longer = buffer_on(longer_memory, sizeof longer_memory);
    /* The wider form of an array's head holds one more than any short one. */
    bool wide = bytes.data[0] == 0xdc;
    size_t head = wide ? 3 : 1;
    longer.data[0] = 0xdc;
    longer.data[1] = 0;
    longer.data[2] = (uint8_t)((wide ? bytes.data[2] : bytes.data[0] & 0x0f) + 1);
    memcpy(longer.data + 3, bytes.data + head, bytes.len - head);
    longer.len = bytes.len + 3 - head;
    struct wire_writer w = wire_writer_on(&longer);
    wire_put_array(&w, 1);
    wire_put_text(&w, span_text("what only newer readers know"));
    struct buffer again = buffer_on(again_memory, sizeof again_memory);
    return rewrite(span_buffer(&longer), &again) == 0 && span_equal(span_buffer(&again), bytes);
}

static void check_hostile(rewrite_fn *rewrite, struct span bytes)
{
    CU_ASSERT_TRUE(rewrite_refuses_other_lengths(rewrite, bytes));
    CU_ASSERT_TRUE(rewrite_survives_flips(rewrite, bytes, false));
    CU_ASSERT_TRUE(longer_is_read(rewrite, bytes));
}

static void test_head_comes_back_in_few_bytes(void)
{
    struct span bytes = write_head();
    struct head h;
    CU_ASSERT_EQUAL(head_read(bytes, &h), 0);
    CU_ASSERT_EQUAL(h.revision.epoch, 1);
    CU_ASSERT_EQUAL(h.revision.number, 41);
    CU_ASSERT_EQUAL(h.trust_version, 3);
    CU_ASSERT_EQUAL(h.atlas, 5);
    struct buffer out = buffer_on(memory, HEAD_MAX);
    struct head largest = {{UINT32_MAX, UINT32_MAX}, UINT32_MAX, UINT32_MAX};
    CU_ASSERT_EQUAL(head_write(&largest, &out), 0);
}

static void test_hostile_heads_are_refused(void)
{
    check_hostile(rewrite_head, write_head());
}

static void test_message_of_another_type_or_version_is_refused(void)
{
    struct head h;
    struct span bytes = write_head();
    memory[1] = MESSAGE_TRUST;
    CU_ASSERT_EQUAL(head_read(bytes, &h), ERR_FORMAT);
    memory[1] = MESSAGE_HEAD;
    memory[2] = PROTOCOL_VERSION + 1;
    CU_ASSERT_EQUAL(head_read(bytes, &h), ERR_FORMAT);
}

static void test_assignment_comes_back(void)
{
    static struct assignment got;
    struct assignment a = sample_assignment();
    CU_ASSERT_TRUE(comes_back(rewrite_assignment, write_assignment(&a)));
    CU_ASSERT_EQUAL(assignment_read(write_assignment(&a), &got), 0);
    CU_ASSERT_STRING_EQUAL(got.labels.text, "env=prod,region=eu");
    CU_ASSERT_TRUE(key_id_equal(&got.agent, &a.agent));
    CU_ASSERT_FALSE(got.removed);
    CU_ASSERT_TRUE(got.reserved && got.listed_count == 3);
    CU_ASSERT_TRUE(assignment_lists(&got, 7) && !assignment_lists(&got, 8));
    CU_ASSERT_TRUE(assignment_permits(&got, 7, 3) && assignment_permits(&got, 300, 1));
    CU_ASSERT_FALSE(assignment_permits(&got, 7, 2) || assignment_permits(&got, 8, 3));
    a.removed = true;
    a.labels = (struct labels){0};
    CU_ASSERT_EQUAL(assignment_read(write_assignment(&a), &got), 0);
    CU_ASSERT_TRUE(got.removed);
    CU_ASSERT_STRING_EQUAL(got.labels.text, "");
}

static void test_labels_out_of_canonical_order_are_refused(void)
{
    static const char *const bad[] = {"b=1,a=2", "a=1,a=2", "a=1,", "=1", "a==1", "a=1 "};
    struct assignment a = sample_assignment();
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        strcpy(a.labels.text, bad[i]);
        CU_ASSERT_EQUAL(assignment_read(write_assignment(&a), &a), ERR_FORMAT);
    }
}

static void test_lists_that_do_not_rise_are_refused(void)
{
    struct assignment a = sample_assignment();
    a.listed[1] = a.listed[0];
    CU_ASSERT_EQUAL(assignment_read(write_assignment(&a), &a), ERR_FORMAT);
    a = sample_assignment();
    a.listed[0] = 0;
    CU_ASSERT_EQUAL(assignment_read(write_assignment(&a), &a), ERR_FORMAT);
}

/* [assignment-7] */
static void test_permits_against_the_rules_are_refused(void)
{
    struct assignment a = sample_assignment();
    a.permits[1].deployment = a.permits[0].deployment;
    CU_ASSERT_EQUAL(assignment_read(write_assignment(&a), &a), ERR_FORMAT);
    a = sample_assignment();
    a.permits[0].deployment = 0;
    CU_ASSERT_EQUAL(assignment_read(write_assignment(&a), &a), ERR_FORMAT);
    a = sample_assignment();
    a.permits[1].generation = 0;
    CU_ASSERT_EQUAL(assignment_read(write_assignment(&a), &a), ERR_FORMAT);
}

/* Who needs none has no byte more in it. */
static void test_assignment_without_permits_is_as_short_as_before_there_were_any(void)
{
    static struct assignment got;
    struct assignment a = sample_assignment();
    size_t with = write_assignment(&a).len;
    a.permit_count = 0;
    CU_ASSERT_EQUAL(write_assignment(&a).len, with - 9);
    CU_ASSERT_TRUE(comes_back(rewrite_assignment, write_assignment(&a)));
    got.permit_count = 2;
    CU_ASSERT_EQUAL(assignment_read(write_assignment(&a), &got), 0);
    CU_ASSERT_EQUAL(got.permit_count, 0);
}

static void test_longest_assignment_fits(void)
{
    struct assignment a = sample_assignment();
    a.permit_count = PERMITS_MAX;
    for (uint32_t i = 0; i < PERMITS_MAX; i++)
        a.permits[i] = (struct permit){UINT32_MAX - PERMITS_MAX + i, UINT32_MAX};
    a.listed_count = RECORDS_MAX;
    for (uint32_t i = 0; i < RECORDS_MAX; i++)
        a.listed[i] = UINT32_MAX - RECORDS_MAX + i;
    memset(a.labels.text, 'x', LABELS_TEXT_MAX - 1);
    a.revision = (struct revision){UINT32_MAX, UINT32_MAX};
    a.issued_s = UINT64_MAX;
    CU_ASSERT_TRUE(write_assignment(&a).len <= ASSIGNMENT_MAX);
}

static void test_hostile_assignments_are_refused(void)
{
    struct assignment a = sample_assignment();
    check_hostile(rewrite_assignment, write_assignment(&a));
}

static void test_desired_document_comes_back(void)
{
    static struct desired got;
    sample_desired(&d);
    struct span bytes = write_desired();
    CU_ASSERT_EQUAL(desired_read(bytes, &got), 0);
    CU_ASSERT_EQUAL(got.count, 3);
    CU_ASSERT_EQUAL(got.not_after_s, d.not_after_s);
    CU_ASSERT_EQUAL(got.policy.heartbeat_s, d.policy.heartbeat_s);
    for (uint32_t i = 0; i < got.count; i++) {
        const struct record *a = &got.records[i], *b = &d.records[i];
        CU_ASSERT_EQUAL(a->deployment, b->deployment);
        CU_ASSERT_STRING_EQUAL(a->name, b->name);
        CU_ASSERT_EQUAL(a->flags, b->flags);
        CU_ASSERT_EQUAL(a->priority, b->priority);
        CU_ASSERT_EQUAL(a->salt, b->salt);
        CU_ASSERT_EQUAL(a->gate.threshold, b->gate.threshold);
        CU_ASSERT_EQUAL(a->gate.enrolled_before, b->gate.enrolled_before);
        CU_ASSERT_EQUAL(a->stable.generation, b->stable.generation);
        CU_ASSERT_TRUE(digest_equal(&a->stable.bundle, &b->stable.bundle));
        CU_ASSERT_EQUAL(a->next.generation, b->next.generation);
        CU_ASSERT_TRUE(digest_equal(&a->next.bundle, &b->next.bundle));
        CU_ASSERT_EQUAL(a->next_gate.threshold, b->next_gate.threshold);
        CU_ASSERT_EQUAL(a->next_gate.enrolled_before, b->next_gate.enrolled_before);
        CU_ASSERT_TRUE(dependencies_equal(&a->rules.after, &b->rules.after));
        CU_ASSERT_EQUAL(a->rules.window.minutes, b->rules.window.minutes);
        CU_ASSERT_EQUAL(a->rules.window.hours, b->rules.window.hours);
        CU_ASSERT_EQUAL(a->rules.window.weekdays, b->rules.window.weekdays);
        CU_ASSERT_EQUAL(a->rules.window.zoned, b->rules.window.zoned);
        CU_ASSERT_EQUAL(a->rules.window.east_s, b->rules.window.east_s);
        CU_ASSERT_EQUAL(a->rules.window.length_s, b->rules.window.length_s);
        CU_ASSERT_EQUAL(a->rules.retries, b->rules.retries);
        CU_ASSERT_EQUAL(a->rules.back_off_s, b->rules.back_off_s);
        CU_ASSERT_EQUAL(a->rules.asks_after_s, b->rules.asks_after_s);
        CU_ASSERT_EQUAL(a->rules.order, b->rules.order);
    }
    CU_ASSERT_TRUE(comes_back(rewrite_desired, bytes));
}

static void test_document_with_the_most_records_fits_its_limit(void)
{
    sample_desired(&d);
    struct record r = d.records[1];
    r.flags = r.priority = UINT32_MAX;
    r.salt = UINT64_MAX;
    memset(r.name, 'n', NAME_MAX_LEN);
    r.stable.generation = r.next.generation = UINT32_MAX;
    r.rules.window = (struct window){.minutes = (UINT64_C(1) << 60) - 1,
                                     .hours = (1u << 24) - 1,
                                     .days = UINT32_MAX - 1,
                                     .months = (1u << 13) - 2,
                                     .weekdays = 0x7f,
                                     .either = true,
                                     .zoned = true,
                                     .east_s = WINDOW_EAST_S_MAX,
                                     .length_s = WINDOW_LENGTH_S_MAX};
    r.rules.retries = RETRIES_MAX;
    r.rules.back_off_s = BACK_OFF_S_MAX;
    r.rules.asks_after_s = ASKS_AFTER_S_MAX;
    r.rules.order = ORDER_MAX;
    r.rules.after.count = DEPENDENCIES_MAX;
    for (uint32_t i = 0; i < DEPENDENCIES_MAX; i++)
        r.rules.after.numbers[i] = UINT32_MAX - RECORDS_MAX - DEPENDENCIES_MAX + i;
    d.count = RECORDS_MAX;
    for (uint32_t i = 0; i < RECORDS_MAX; i++) {
        d.records[i] = r;
        d.records[i].deployment = UINT32_MAX - RECORDS_MAX + i;
    }
    struct buffer out = buffer_on(memory, DOCUMENT_MAX - ENVELOPE_OVERHEAD);
    CU_ASSERT_EQUAL(desired_write(&d, &out), 0);
    CU_ASSERT_TRUE(comes_back(rewrite_desired, span_buffer(&out)));
}

static void test_empty_document_is_a_document(void)
{
    d = (struct desired){.policy = POLICY_DEFAULT};
    CU_ASSERT_TRUE(comes_back(rewrite_desired, write_desired()));
}

/* Each row breaks one rule of [desired-3]. */
static void test_records_against_the_rules_are_refused(void)
{
    static struct desired got;
    for (int rule = 0; rule < 11; rule++) {
        sample_desired(&d);
        int want = ERR_FORMAT;
        switch (rule) {
        case 0: /* numbers must rise */
            d.records[1].deployment = 1;
            break;
        case 1:
            d.records[2].deployment = 5;
            break;
        case 2: /* from 1 */
            d.records[0].deployment = 0;
            break;
        case 3:
            strcpy(d.records[0].name, "../etc");
            break;
        case 4:
            d.records[0].name[0] = '\0';
            break;
        case 5: /* neither stable nor next */
            d.records[0].stable = (struct target){0};
            break;
        case 6:
            d.policy.heartbeat_s = 0;
            want = ERR_RANGE;
            break;
        case 7:
            d.policy.keepalive_s = POLICY_KEEPALIVE_S_MIN - 1;
            want = ERR_RANGE;
            break;
        case 8:
            d.policy.reconnect_spread_s = POLICY_SPREAD_S_MAX + 1;
            want = ERR_RANGE;
            break;
        case 9: /* a bundle has a name */
            d.records[0].stable.bundle = (struct digest){0};
            break;
        case 10:
            d.records[1].next.bundle = (struct digest){0};
            break;
        default:
            break;
        }
        CU_ASSERT_EQUAL(desired_read(write_desired(), &got), want);
    }
}

/* [rule-1] */
static void test_dependencies_against_the_rules_are_refused(void)
{
    static struct desired got;
    static const struct dependencies bad[] = {
        {.count = 2, .numbers = {7, 1}},
        {.count = 2, .numbers = {7, 7}},
        {.count = 1, .numbers = {0}},
        {.count = 1, .numbers = {300}}, /* itself */
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        sample_desired(&d);
        d.records[2].rules.after = bad[i];
        CU_ASSERT_EQUAL(desired_read(write_desired(), &got), ERR_FORMAT);
    }
}

/* [rule-4], [rule-6]: each row breaks one of their ranges. */
static void test_windows_and_tries_against_the_rules_are_refused(void)
{
    static struct desired got;
    struct rules good = sample_rules(), bad[14];
    for (int i = 0; i < 14; i++)
        bad[i] = good;
    bad[0].window.minutes = 0;
    bad[1].window.minutes = UINT64_C(1) << 60;
    bad[2].window.hours = 1u << 24;
    bad[3].window.days = 1;
    bad[4].window.months = 1;
    bad[5].window.months = 1u << 13;
    bad[6].window.weekdays = 0x80;
    bad[7].window.length_s = WINDOW_LENGTH_S_MIN - 1;
    bad[8].window.length_s = WINDOW_LENGTH_S_MAX + 1;
    bad[9].window.east_s = WINDOW_EAST_S_MAX + 1;
    bad[10].retries = RETRIES_MAX + 1;
    bad[11].back_off_s = BACK_OFF_S_MAX + 1;
    bad[12].asks_after_s = ASKS_AFTER_S_MAX + 1;
    bad[13].order = ORDER_MAX + 1;
    for (int i = 0; i < 14; i++) {
        sample_desired(&d);
        d.records[2].rules = bad[i];
        CU_ASSERT_EQUAL(desired_read(write_desired(), &got), ERR_RANGE);
    }
}

static void test_unknown_flags_are_kept(void)
{
    static struct desired got;
    sample_desired(&d);
    d.records[0].flags = 0x80000000 | RECORD_PAUSED;
    CU_ASSERT_EQUAL(desired_read(write_desired(), &got), 0);
    CU_ASSERT_TRUE(got.records[0].flags & RECORD_PAUSED);
}

static void test_hostile_documents_are_refused(void)
{
    sample_desired(&d);
    check_hostile(rewrite_desired, write_desired());
}

static void test_no_room_leaves_the_buffer_as_it_was(void)
{
    sample_desired(&d);
    size_t whole = write_desired().len;
    for (size_t cap = 0; cap < whole; cap++) {
        struct buffer out = buffer_on(memory, cap);
        if (desired_write(&d, &out) != ERR_NO_MEMORY || out.len != 0)
            CU_FAIL("a document was cut");
    }
}

static const struct suite_test tests[] = {
    TEST(test_head_comes_back_in_few_bytes),
    TEST(test_hostile_heads_are_refused),
    TEST(test_message_of_another_type_or_version_is_refused),
    TEST(test_assignment_comes_back),
    TEST(test_labels_out_of_canonical_order_are_refused),
    TEST(test_lists_that_do_not_rise_are_refused),
    TEST(test_permits_against_the_rules_are_refused),
    TEST(test_assignment_without_permits_is_as_short_as_before_there_were_any),
    TEST(test_longest_assignment_fits),
    TEST(test_hostile_assignments_are_refused),
    TEST(test_desired_document_comes_back),
    TEST(test_document_with_the_most_records_fits_its_limit),
    TEST(test_empty_document_is_a_document),
    TEST(test_records_against_the_rules_are_refused),
    TEST(test_dependencies_against_the_rules_are_refused),
    TEST(test_windows_and_tries_against_the_rules_are_refused),
    TEST(test_unknown_flags_are_kept),
    TEST(test_hostile_documents_are_refused),
    TEST(test_no_room_leaves_the_buffer_as_it_was),
};

SUITE_MAIN("documents", tests)
