#include "sync/status.h"

#include "sync/wire.h"
#include "test/rewrite.h"
#include "test/suite.h"

static uint8_t memory[REWRITE_MAX];

static struct span write_status(const struct status *s)
{
    struct mac_key key = sample_mac_key();
    struct buffer out = buffer_on(memory, sizeof memory);
    CU_ASSERT_EQUAL(status_write(s, &key, &out), 0);
    return span_buffer(&out);
}

static struct span write_will(void)
{
    struct mac_key key = sample_mac_key();
    struct will w = sample_will();
    struct buffer out = buffer_on(memory, sizeof memory);
    CU_ASSERT_EQUAL(will_write(&w, &key, &out), 0);
    return span_buffer(&out);
}

static bool same_revision(struct revision a, struct revision b)
{
    return revision_compare(a, b) == 0;
}

static void check_comes_back(const struct status *s)
{
    struct report r;
    struct span bytes = write_status(s);
    CU_ASSERT_TRUE(bytes.len <= STATUS_MAX);
    CU_ASSERT_EQUAL_FATAL(report_read(bytes, &r), 0);
    CU_ASSERT_EQUAL(r.type, MESSAGE_STATUS);
    CU_ASSERT_EQUAL(report_number(&r), s->number);
    CU_ASSERT_EQUAL(r.status.seq, s->seq);
    CU_ASSERT_EQUAL(r.status.boot, s->boot);
    CU_ASSERT_TRUE(same_revision(r.status.document, s->document));
    CU_ASSERT_TRUE(same_revision(r.status.assignment, s->assignment));
    CU_ASSERT_EQUAL(r.status.facts, s->facts);
    CU_ASSERT_EQUAL(r.status.flags, s->flags);
    CU_ASSERT_EQUAL(r.status.count, s->count);
    for (uint32_t i = 0; i < s->count; i++) {
        const struct exception *a = &r.status.exceptions[i], *b = &s->exceptions[i];
        CU_ASSERT_EQUAL(a->deployment, b->deployment);
        CU_ASSERT_EQUAL(a->generation, b->generation);
        CU_ASSERT_EQUAL(a->running, b->running);
        CU_ASSERT_EQUAL(a->state, b->state);
        CU_ASSERT_EQUAL(a->cause, b->cause);
    }
}

static void test_status_comes_back(void)
{
    struct status s = sample_status(), full = sample_status_full();
    check_comes_back(&s);
    check_comes_back(&full);
}

/* [status-4] A fleet of millions, every counter at its widest. */
static void test_converged_status_is_at_most_40_bytes(void)
{
    struct status s = {
        .number = 5000000,
        .seq = UINT32_MAX,
        .boot = UINT32_MAX,
        .document = {.epoch = 100, .number = UINT16_MAX},
        .assignment = {.epoch = 100, .number = 255},
    };
    CU_ASSERT_TRUE(write_status(&s).len <= STATUS_CONVERGED_MAX);
    check_comes_back(&s);
    s.flags = STATUS_HELLO;
    s.facts = UINT32_MAX;
    CU_ASSERT_TRUE(write_status(&s).len <= STATUS_CONVERGED_MAX + 4);
    check_comes_back(&s);
}

/* [status-5] Each status has one form: a hello tells the facts' digest, no other one does. */
static void test_facts_are_told_in_hellos_only(void)
{
    uint8_t hello[64] = {0x9b, 3, 1, 7, 1, 9, 1, 1, 1, 1, 5, 0x90}, other[64];
    struct report r;
    CU_ASSERT_EQUAL(report_read(span_of(hello, 12 + STATUS_MAC_LEN), &r), 0);
    CU_ASSERT_EQUAL(r.status.facts, 5);
    memcpy(other, hello, sizeof other);
    other[9] = 0; /* no hello, but facts */
    CU_ASSERT_EQUAL(report_read(span_of(other, 12 + STATUS_MAC_LEN), &r), ERR_FORMAT);
    other[10] = 0xc0;
    CU_ASSERT_EQUAL(report_read(span_of(other, 12 + STATUS_MAC_LEN), &r), 0);
    CU_ASSERT_EQUAL(r.status.facts, 0);
    hello[10] = 0xc0; /* a hello without */
    CU_ASSERT_EQUAL(report_read(span_of(hello, 12 + STATUS_MAC_LEN), &r), ERR_FORMAT);
    hello[10] = 5;
    hello[5] = 0; /* [status-7] a boot's nonce is not 0 */
    CU_ASSERT_EQUAL(report_read(span_of(hello, 12 + STATUS_MAC_LEN), &r), ERR_FORMAT);
}

/* [status-2] */
static void test_assignment_takes_the_shortest_form(void)
{
    static const struct {
        struct revision document, assignment;
        size_t more; /* bytes than with no assignment at all */
    } rows[] = {
        {{1, 1}, {0, 0}, 0}, {{0, 0}, {0, 0}, 0}, {{1, 1}, {1, 1}, 0},    {{1, 1}, {1, 0}, 0},
        {{0, 0}, {1, 1}, 2}, {{2, 1}, {1, 5}, 2}, {{1, 1}, {1, 1000}, 2},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct status s = sample_status();
        s.document = rows[i].document;
        s.assignment = (struct revision){0, 0};
        size_t shortest = write_status(&s).len;
        s.assignment = rows[i].assignment;
        CU_ASSERT_EQUAL(write_status(&s).len, shortest + rows[i].more);
        check_comes_back(&s);
    }
}

static void test_second_form_of_an_assignment_is_refused(void)
{
    static const uint8_t same_epoch[] = {0x9b, 3, 1, 7, 1, 9, 1, 1, 0x92, 1, 5, 0, 0xc0, 0x90};
    static const uint8_t none_as_number[] = {0x9b, 3, 1, 7, 1, 9, 0, 0, 0, 0, 0xc0, 0x90};
    static const uint8_t none_as_array[] = {0x9b, 3, 1, 7, 1, 9, 1, 1, 0x92, 0, 0, 0, 0xc0, 0x90};
    static const uint8_t nil[] = {0x9b, 3, 1, 7, 1, 9, 0, 0, 0xc0, 0, 0xc0, 0x90};
    const struct span forms[] = {{same_epoch, sizeof same_epoch},
                                 {none_as_number, sizeof none_as_number},
                                 {none_as_array, sizeof none_as_array},
                                 {nil, sizeof nil}};
    for (int i = 0; i < 4; i++) {
        uint8_t bytes[64] = {0};
        struct report r;
        memcpy(bytes, forms[i].data, forms[i].len);
        int rv = report_read(span_of(bytes, forms[i].len + STATUS_MAC_LEN), &r);
        CU_ASSERT_EQUAL(rv, i == 3 ? 0 : ERR_FORMAT);
    }
}

static void test_will_comes_back(void)
{
    struct report r;
    CU_ASSERT_EQUAL(report_read(write_will(), &r), 0);
    CU_ASSERT_EQUAL(r.type, MESSAGE_WILL);
    CU_ASSERT_EQUAL(report_number(&r), 1234567);
    CU_ASSERT_EQUAL(r.will.session, 1000);
}

static void check_mac(struct span bytes)
{
    struct mac_key key = sample_mac_key(), other = key;
    uint8_t flipped[STATUS_MAX];
    CU_ASSERT_EQUAL(report_check(bytes, &key), 0);
    other.bytes[0] ^= 1;
    CU_ASSERT_EQUAL(report_check(bytes, &other), ERR_SIGNATURE);
    for (size_t bit = 0; bit < 8 * bytes.len; bit++) {
        memcpy(flipped, bytes.data, bytes.len);
        flipped[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (report_check(span_of(flipped, bytes.len), &key) != ERR_SIGNATURE)
            CU_FAIL("a flipped bit was accepted");
    }
    for (size_t len = 0; len < bytes.len; len++)
        if (report_check(span_of(bytes.data, len), &key) != ERR_SIGNATURE)
            CU_FAIL("a prefix was accepted");
}

static void test_mac_holds_for_the_whole_message_and_one_key(void)
{
    struct status s = sample_status();
    check_mac(write_status(&s));
    check_mac(write_will());
}

static void check_hostile(struct span bytes)
{
    static uint8_t copy[STATUS_MAX];
    memcpy(copy, bytes.data, bytes.len);
    struct span whole = span_of(copy, bytes.len);
    CU_ASSERT_TRUE(rewrite_refuses_other_lengths(rewrite_report, whole));
    CU_ASSERT_TRUE(rewrite_survives_flips(rewrite_report, whole, false));
}

static void test_hostile_reports_are_refused(void)
{
    struct status s = sample_status(), full = sample_status_full();
    check_hostile(write_status(&s));
    check_hostile(write_status(&full));
    check_hostile(write_will());
}

static void test_states_beyond_the_list_are_refused_and_causes_are_not(void)
{
    struct report r;
    struct status s = sample_status();
    s.count = 1;
    s.exceptions[0] = (struct exception){.deployment = 1, .state = STATE_COUNT};
    CU_ASSERT_EQUAL(report_read(write_status(&s), &r), ERR_RANGE);
    s.exceptions[0] = (struct exception){.deployment = 1, .cause = 200};
    CU_ASSERT_EQUAL(report_read(write_status(&s), &r), 0);
    CU_ASSERT_EQUAL(r.status.exceptions[0].cause, 200);
    s.exceptions[0].deployment = 0;
    CU_ASSERT_EQUAL(report_read(write_status(&s), &r), ERR_FORMAT);
    s = sample_status();
    s.number = 0;
    CU_ASSERT_EQUAL(report_read(write_status(&s), &r), ERR_FORMAT);
}

static void test_no_room_leaves_the_buffer_as_it_was(void)
{
    struct mac_key key = sample_mac_key();
    struct status s = sample_status_full();
    size_t whole = write_status(&s).len;
    for (size_t cap = 2; cap < whole + 2; cap++) {
        struct buffer out = buffer_on(memory, cap);
        out.len = 2;
        CU_ASSERT_EQUAL(status_write(&s, &key, &out), ERR_NO_MEMORY);
        CU_ASSERT_EQUAL(out.len, 2);
    }
}

static void test_every_state_and_cause_has_words(void)
{
    for (int s = 0; s < STATE_COUNT; s++) {
        size_t len = strlen(deployment_state_name((enum deployment_state)s));
        CU_ASSERT_TRUE(len > 4 && len < 12);
    }
    CU_ASSERT_STRING_EQUAL(deployment_state_name(STATE_ROLLED_BACK), "RolledBack");
    CU_ASSERT_STRING_EQUAL(deployment_state_name((enum deployment_state)99), "Unknown");
    for (int c = 0; c < CAUSE_COUNT; c++)
        CU_ASSERT_TRUE(strlen(cause_text((enum cause)c)) > 8);
    CU_ASSERT_TRUE(strlen(cause_text((enum cause)200)) > 8);
}

static void test_telling_comes_back_and_holds_its_mac(void)
{
    static uint8_t room[TELLING_MAX];
    struct buffer out = buffer_on(room, sizeof room);
    struct mac_key key = sample_mac_key();
    struct telling t = sample_telling(), got;
    CU_ASSERT_EQUAL(telling_write(&t, &key, &out), 0);
    CU_ASSERT_EQUAL(report_check(span_buffer(&out), &key), 0);
    CU_ASSERT_EQUAL(telling_read(span_buffer(&out), &got), 0);
    CU_ASSERT_TRUE(got.number == t.number && got.seq == t.seq && got.facts.count == 3);
    CU_ASSERT_STRING_EQUAL(got.facts.list[2].value, t.facts.list[2].value);
    room[9] ^= 1;
    CU_ASSERT_EQUAL(report_check(span_buffer(&out), &key), ERR_SIGNATURE);
    for (size_t len = 0; len < out.len; len++)
        CU_ASSERT_TRUE(telling_read(span_of(room, len), &got) < 0);
    t.facts.count = FACTS_MAX;
    for (uint32_t i = 0; i < FACTS_MAX; i++) {
        memset(t.facts.list[i].key, 'a', FACT_KEY_MAX);
        t.facts.list[i].key[FACT_KEY_MAX - 1] = (char)('a' + i);
        memset(t.facts.list[i].value, 'v', FACT_VALUE_MAX);
    }
    out.len = 0;
    CU_ASSERT_EQUAL(telling_write(&t, &key, &out), 0);
    CU_ASSERT_EQUAL(telling_read(span_buffer(&out), &got), 0);
}

static const struct suite_test tests[] = {
    TEST(test_status_comes_back),
    TEST(test_converged_status_is_at_most_40_bytes),
    TEST(test_facts_are_told_in_hellos_only),
    TEST(test_assignment_takes_the_shortest_form),
    TEST(test_second_form_of_an_assignment_is_refused),
    TEST(test_will_comes_back),
    TEST(test_mac_holds_for_the_whole_message_and_one_key),
    TEST(test_hostile_reports_are_refused),
    TEST(test_states_beyond_the_list_are_refused_and_causes_are_not),
    TEST(test_no_room_leaves_the_buffer_as_it_was),
    TEST(test_every_state_and_cause_has_words),
    TEST(test_telling_comes_back_and_holds_its_mac),
};

SUITE_MAIN("status", tests)
