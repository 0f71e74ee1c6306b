#include "crypto/token.h"

#include "test/suite.h"

#include <stdio.h>

/* Of the token below, by another implementation of HMAC, SipHash and base64url (Python). */
#define KNOWN                                                                                      \
    "dlt1-BAMCAQcAAADLYhTCTRSuw8lkvMVDdKIG8PHy8_T19vf4-fr7_P3-_9DR0tPU1dbX2Nna29zd3t8_uXtW"
#define KNOWN_LEN (sizeof KNOWN - 1)

/* Batch 0x01020304, index 7, batch key 00 01 02 …, pins f0 f1 … and d0 d1 … */
static struct mac_base known_key(void)
{
    struct mac_key key;
    for (size_t i = 0; i < MAC_KEY_LEN; i++)
        key.bytes[i] = (uint8_t)i;
    return mac_base_of(&key);
}

static struct token known(void)
{
    struct mac_base key = known_key();
    struct token t = {.batch = 0x01020304, .index = 7, .secret = token_secret(&key, 7)};
    for (size_t i = 0; i < TOKEN_PIN_LEN; i++) {
        t.authority[i] = (uint8_t)(0xf0 + i);
        t.root[i] = (uint8_t)(0xd0 + i);
    }
    return t;
}

static bool refused_as(const char *text, const char *sentence)
{
    struct token t;
    struct errmsg em = {0};
    return token_parse(text, &t, &em) == ERR_FORMAT && strcmp(em.text, sentence) == 0;
}

static void test_a_token_has_its_known_text(void)
{
    struct token t = known();
    CU_ASSERT_STRING_EQUAL(token_format(&t).text, KNOWN);
}

static void test_the_known_text_is_that_token(void)
{
    struct token t = known(), read;
    CU_ASSERT_EQUAL(token_parse(KNOWN, &read, NULL), 0);
    CU_ASSERT_EQUAL(memcmp(&t, &read, sizeof read), 0);
}

static void test_a_secret_is_its_batchs_and_its_indexs(void)
{
    struct mac_key a = {.bytes = {1}}, b = {.bytes = {2}};
    struct mac_base base_a = mac_base_of(&a), base_b = mac_base_of(&b);
    struct seal_secret secrets[] = {token_secret(&base_a, 0), token_secret(&base_a, 1),
                                    token_secret(&base_a, 2), token_secret(&base_b, 0),
                                    token_secret(&base_b, 1)};
    struct mac_key derived = mac_derive(&a, "dunlin token", 0);
    CU_ASSERT_EQUAL(memcmp(secrets, derived.bytes, sizeof derived), 0);
    for (size_t i = 0; i < 5; i++)
        for (size_t k = 0; k < i; k++)
            CU_ASSERT_NOT_EQUAL(memcmp(&secrets[i], &secrets[k], sizeof secrets[i]), 0);
}

static void test_a_bound_secret_is_its_indexs_and_its_serial_numbers(void)
{
    /* By Python's HMAC. */
    static const uint8_t wanted[SEAL_SECRET_LEN] = {0xeb, 0xd6, 0x53, 0xf9, 0x0a, 0xa1, 0x53, 0x87,
                                                    0xd7, 0x12, 0x6b, 0x46, 0x65, 0x0c, 0x74, 0xc8};
    struct mac_base key = known_key();
    struct seal_secret secret = token_bound_secret(&key, 7, span_text("SN-0042"));
    struct seal_secret others[] = {token_bound_secret(&key, 8, span_text("SN-0042")),
                                   token_bound_secret(&key, 7, span_text("SN-0043")),
                                   token_bound_secret(&key, 7, span_text("SN-004")),
                                   token_bound_secret(&key, 7, SPAN_NONE), token_secret(&key, 7)};
    CU_ASSERT_EQUAL(memcmp(&secret, wanted, sizeof wanted), 0);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        CU_ASSERT_NOT_EQUAL(memcmp(&secret, &others[i], sizeof secret), 0);
}

static void test_serial_numbers_are_printable_and_of_bounded_length(void)
{
    static const char *const good[] = {"1", "SN-0042", "a b", "~!\"#,;'", "0123456789abcdef"};
    static const char *const bad[] = {"", " a", "a ", " ", "a\tb", "a\n", "\x7f", "\xc3\xa4"};
    char longest[TOKEN_SERIAL_MAX + 2];
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        CU_ASSERT_TRUE(token_serial_valid(span_text(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CU_ASSERT_FALSE(token_serial_valid(span_text(bad[i])));
    memset(longest, 's', sizeof longest);
    CU_ASSERT_TRUE(token_serial_valid(span_of(longest, TOKEN_SERIAL_MAX)));
    CU_ASSERT_FALSE(token_serial_valid(span_of(longest, TOKEN_SERIAL_MAX + 1)));
}

/* From an odd or an even index on, any number of them. */
static void test_lines_are_the_tokens_one_by_one(void)
{
    struct token_batch batch = {.number = 3, .key = known_key(), .authority = {1}, .root = {2}};
    struct token t = {.batch = 3, .authority = {1}, .root = {2}};
    for (uint32_t first = 0; first < 3; first++)
        for (uint32_t count = 0; count < 6; count++) {
            char lines[6 * (TOKEN_TEXT_LEN + 1) + 1] = {0};
            token_lines(&batch, first, count, lines);
            CU_ASSERT_EQUAL(strlen(lines), count * (TOKEN_TEXT_LEN + 1));
            for (uint32_t i = 0; i < count; i++) {
                const char *line = lines + (size_t)i * (TOKEN_TEXT_LEN + 1);
                t.index = first + i;
                t.secret = token_secret(&batch.key, t.index);
                CU_ASSERT_EQUAL(memcmp(line, token_format(&t).text, TOKEN_TEXT_LEN), 0);
                CU_ASSERT_EQUAL(line[TOKEN_TEXT_LEN], '\n');
            }
        }
}

static void test_tokens_with_any_bytes_come_back(void)
{
    for (unsigned fill = 0; fill < 256; fill++) {
        struct token t, read;
        memset(&t, (int)fill, sizeof t);
        t.index = fill * 0x01000193u;
        struct token_text text = token_format(&t);
        CU_ASSERT_EQUAL(strlen(text.text), KNOWN_LEN);
        CU_ASSERT_EQUAL(token_parse(text.text, &read, NULL), 0);
        CU_ASSERT_EQUAL(memcmp(&t, &read, sizeof read), 0);
    }
}

static void test_other_texts_are_no_tokens(void)
{
    static const char *const others[] = {"", "d", "dlt1", "dlt2-" KNOWN, " " KNOWN, "DLT1-", "x"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        CU_ASSERT_TRUE(refused_as(others[i], "not a Dunlin token (it begins with dlt1-)"));
}

static void test_truncated_at_every_length_it_says_how_much_is_there(void)
{
    for (size_t len = strlen("dlt1-"); len < KNOWN_LEN; len++) {
        char text[] = KNOWN, sentence[80];
        text[len] = '\0';
        snprintf(sentence, sizeof sentence, "token is truncated: %zu of %zu characters", len,
                 KNOWN_LEN);
        CU_ASSERT_TRUE(refused_as(text, sentence));
    }
}

static void test_more_after_a_token_is_refused(void)
{
    CU_ASSERT_TRUE(refused_as(KNOWN "A", "token is too long: 86 instead of 85 characters"));
    CU_ASSERT_TRUE(refused_as(KNOWN "\n", "token is too long: 86 instead of 85 characters"));
    CU_ASSERT_TRUE(refused_as(KNOWN KNOWN, "token is too long: 170 instead of 85 characters"));
}

static void test_every_other_character_in_every_place_is_mistyped(void)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (size_t i = strlen("dlt1-"); i < KNOWN_LEN; i++)
        for (int c = 1; c < 256; c++) {
            char text[] = KNOWN;
            struct token t;
            struct errmsg em = {0};
            text[i] = (char)c;
            CU_ASSERT_EQUAL(token_parse(text, &t, &em), c == KNOWN[i] ? 0 : ERR_FORMAT);
            const char *say = c == KNOWN[i]         ? ""
                              : strchr(alphabet, c) ? "token is mistyped: "
                                                    : "cannot stand there";
            CU_ASSERT_PTR_NOT_NULL(strstr(em.text, say));
        }
}

static void test_mistyped_characters_are_told_from_a_wrong_sum(void)
{
    char text[] = KNOWN;
    text[10] = text[10] == 'A' ? 'B' : 'A';
    CU_ASSERT_TRUE(refused_as(text, "token is mistyped: its check sum differs"));
    text[10] = '+';
    CU_ASSERT_TRUE(refused_as(text, "token is mistyped: character 11 cannot stand there"));
}

static void test_swapped_neighbours_are_mistyped(void)
{
    for (size_t i = strlen("dlt1-"); i + 1 < KNOWN_LEN; i++) {
        char text[] = KNOWN;
        struct token t;
        text[i] = KNOWN[i + 1];
        text[i + 1] = KNOWN[i];
        CU_ASSERT_EQUAL(token_parse(text, &t, NULL), KNOWN[i] == KNOWN[i + 1] ? 0 : ERR_FORMAT);
    }
}

static const struct suite_test tests[] = {
    TEST(test_a_token_has_its_known_text),
    TEST(test_the_known_text_is_that_token),
    TEST(test_a_secret_is_its_batchs_and_its_indexs),
    TEST(test_a_bound_secret_is_its_indexs_and_its_serial_numbers),
    TEST(test_serial_numbers_are_printable_and_of_bounded_length),
    TEST(test_lines_are_the_tokens_one_by_one),
    TEST(test_tokens_with_any_bytes_come_back),
    TEST(test_other_texts_are_no_tokens),
    TEST(test_truncated_at_every_length_it_says_how_much_is_there),
    TEST(test_more_after_a_token_is_refused),
    TEST(test_every_other_character_in_every_place_is_mistyped),
    TEST(test_mistyped_characters_are_told_from_a_wrong_sum),
    TEST(test_swapped_neighbours_are_mistyped),
};

SUITE_MAIN("token", tests)
