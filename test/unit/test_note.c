#include "sync/note.h"

#include "test/rewrite.h"
#include "test/suite.h"

static uint8_t memory[REWRITE_MAX];

static struct span write_note(const struct note *n)
{
    struct mac_key key = sample_mac_key();
    struct buffer out = buffer_on(memory, sizeof memory);
    CU_ASSERT_EQUAL_FATAL(note_write(n, &key, &out), 0);
    return span_buffer(&out);
}

static void test_note_comes_back_under_its_mac(void)
{
    struct note wanted = sample_note(), n;
    struct mac_key key = sample_mac_key(), other = key;
    struct span bytes = write_note(&wanted);
    CU_ASSERT_EQUAL_FATAL(note_read(bytes, &n), 0);
    CU_ASSERT_EQUAL(n.number, wanted.number);
    CU_ASSERT_EQUAL(n.deployment, wanted.deployment);
    CU_ASSERT_EQUAL(n.generation, wanted.generation);
    CU_ASSERT_EQUAL(n.cause, wanted.cause);
    CU_ASSERT_TRUE(span_equal(n.text, wanted.text));
    CU_ASSERT_EQUAL(report_check(bytes, &key), 0);
    other.bytes[0] ^= 1;
    CU_ASSERT_EQUAL(report_check(bytes, &other), ERR_SIGNATURE);
}

static void test_longest_note_fits_and_a_longer_one_is_refused(void)
{
    static uint8_t text[NOTE_TEXT_MAX + 1];
    struct note longest = {.number = UINT32_MAX,
                           .deployment = UINT32_MAX,
                           .generation = UINT32_MAX,
                           .cause = UINT8_MAX,
                           .text = span_of(text, NOTE_TEXT_MAX)};
    struct note n, longer = longest;
    longer.text.len++;
    CU_ASSERT_TRUE(write_note(&longest).len <= NOTE_MAX);
    CU_ASSERT_EQUAL(note_read(write_note(&longest), &n), 0);
    CU_ASSERT_EQUAL(n.text.len, NOTE_TEXT_MAX);
    CU_ASSERT_TRUE(note_read(write_note(&longer), &n) < 0);
}

static void test_note_about_nothing_is_refused(void)
{
    for (int i = 0; i < 3; i++) {
        struct note n = sample_note();
        uint32_t *const fields[] = {&n.number, &n.deployment, &n.generation};
        *fields[i] = 0;
        CU_ASSERT_EQUAL(note_read(write_note(&n), &n), ERR_FORMAT);
    }
}

static void test_hostile_notes_are_refused(void)
{
    static uint8_t copy[NOTE_MAX];
    struct note n = sample_note();
    struct span bytes = write_note(&n);
    memcpy(copy, bytes.data, bytes.len);
    struct span whole = span_of(copy, bytes.len);
    CU_ASSERT_TRUE(rewrite_refuses_other_lengths(rewrite_note, whole));
    CU_ASSERT_TRUE(rewrite_survives_flips(rewrite_note, whole, false));
}

static const struct suite_test tests[] = {
    TEST(test_note_comes_back_under_its_mac),
    TEST(test_longest_note_fits_and_a_longer_one_is_refused),
    TEST(test_note_about_nothing_is_refused),
    TEST(test_hostile_notes_are_refused),
};

SUITE_MAIN("note", tests)
