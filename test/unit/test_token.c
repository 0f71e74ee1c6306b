#include "crypto/token.h"

#include "test/suite.h"

#include <stdio.h>

/* Of the token below, by another implementation of SHA-256, HMAC and base64url (Python's own). */
#define KNOWN "dlt1-BAMCAQcAAACw4q4RVVAsP4-RdKG2RL1r8PHy8_T19vf4-fr7_P3-_xihOAo"
#define KNOWN_LEN (sizeof KNOWN - 1)

/* Batch 0x01020304, index 7, batch key 00 01 02 …, pin f0 f1 f2 … */
static struct token known(void)
{
    struct mac_key batch_key;
    struct token t = {.batch = 0x01020304, .index = 7};
    for (size_t i = 0; i < MAC_KEY_LEN; i++)
        batch_key.bytes[i] = (uint8_t)i;
    for (size_t i = 0; i < TOKEN_PIN_LEN; i++)
        t.pin[i] = (uint8_t)(0xf0 + i);
    t.secret = token_secret(&batch_key, t.index);
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
    struct seal_secret first = token_secret(&a, 0), second = token_secret(&a, 1);
    struct seal_secret other = token_secret(&b, 0);
    struct mac_key derived = mac_derive(&a, "dunlin token", 0);
    CU_ASSERT_EQUAL(memcmp(&first, derived.bytes, sizeof first), 0);
    CU_ASSERT_NOT_EQUAL(memcmp(&first, &second, sizeof first), 0);
    CU_ASSERT_NOT_EQUAL(memcmp(&first, &other, sizeof first), 0);
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
    CU_ASSERT_TRUE(refused_as(KNOWN "A", "token is too long: 65 instead of 64 characters"));
    CU_ASSERT_TRUE(refused_as(KNOWN "\n", "token is too long: 65 instead of 64 characters"));
    CU_ASSERT_TRUE(refused_as(KNOWN KNOWN, "token is too long: 128 instead of 64 characters"));
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
    TEST(test_tokens_with_any_bytes_come_back),
    TEST(test_other_texts_are_no_tokens),
    TEST(test_truncated_at_every_length_it_says_how_much_is_there),
    TEST(test_more_after_a_token_is_refused),
    TEST(test_every_other_character_in_every_place_is_mistyped),
    TEST(test_mistyped_characters_are_told_from_a_wrong_sum),
    TEST(test_swapped_neighbours_are_mistyped),
};

SUITE_MAIN("token", tests)
