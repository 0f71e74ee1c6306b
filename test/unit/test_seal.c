#include "crypto/seal.h"

#include "base/hex.h"
#include "test/suite.h"

#define PURPOSE "dunlin test"

static struct seal_secret secret;
static struct seal_nonce nonce;
static uint8_t closed_bytes[64], plain_bytes[64];

/* Closes under the secret and the nonce 00 01 02 …, into closed_bytes. */
static struct span closed(const char *bound, const char *plain)
{
    for (size_t i = 0; i < SEAL_SECRET_LEN; i++)
        secret.bytes[i] = (uint8_t)i;
    for (size_t i = 0; i < SEAL_NONCE_LEN; i++)
        nonce.bytes[i] = (uint8_t)i;
    struct buffer b = buffer_on(closed_bytes, sizeof closed_bytes);
    int rv = seal_close(&secret, PURPOSE, &nonce, span_text(bound), span_text(plain), &b);
    CU_ASSERT_EQUAL_FATAL(rv, 0);
    return span_buffer(&b);
}

static int open_as(const char *purpose, struct span bound, struct span bytes)
{
    struct buffer b = buffer_on(plain_bytes, sizeof plain_bytes);
    int rv = seal_open(&secret, purpose, &nonce, bound, bytes, &b);
    if (rv < 0)
        CU_ASSERT_EQUAL(b.len, 0);
    return rv;
}

static void test_known_messages_close_to_known_bytes(void)
{
    /* Made with another implementation of HKDF and AES-GCM (pyca/cryptography). */
    char hex[2 * sizeof closed_bytes + 1];
    hex_write(closed("bound", "hello dunlin"), hex);
    CU_ASSERT_STRING_EQUAL(hex, "51278d06007c70ce5610011433ccc0819f1328e9c69c0093a4ea1f84");
    hex_write(closed("", ""), hex);
    CU_ASSERT_STRING_EQUAL(hex, "81b223b35dce36c8c3b2d44009f54177");
}

static void test_what_was_closed_opens(void)
{
    struct span bytes = closed("bound", "hello dunlin");
    struct buffer b = buffer_on(plain_bytes, sizeof plain_bytes);
    CU_ASSERT_EQUAL(seal_open(&secret, PURPOSE, &nonce, span_text("bound"), bytes, &b), 0);
    CU_ASSERT_TRUE(span_equal(span_buffer(&b), span_text("hello dunlin")));
    CU_ASSERT_EQUAL(open_as(PURPOSE, SPAN_NONE, closed("", "")), 0);
}

static void test_both_append_to_what_is_there(void)
{
    struct span bytes = closed("b", "tail");
    struct buffer b = buffer_on(plain_bytes, sizeof plain_bytes);
    memcpy(plain_bytes, "head ", b.len = 5);
    CU_ASSERT_EQUAL(seal_open(&secret, PURPOSE, &nonce, span_text("b"), bytes, &b), 0);
    CU_ASSERT_TRUE(span_equal(span_buffer(&b), span_text("head tail")));
    struct buffer twice = {.data = closed_bytes, .len = bytes.len, .cap = sizeof closed_bytes};
    CU_ASSERT_EQUAL(seal_close(&secret, PURPOSE, &nonce, span_text("b"), span_text("tail"), &twice),
                    0);
    CU_ASSERT_EQUAL(memcmp(closed_bytes, closed_bytes + bytes.len, bytes.len), 0);
}

static void test_every_flipped_bit_is_refused(void)
{
    struct span bytes = closed("bound", "hello dunlin");
    for (size_t bit = 0; bit < 8 * bytes.len; bit++) {
        closed_bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        CU_ASSERT_EQUAL(open_as(PURPOSE, span_text("bound"), bytes), ERR_SIGNATURE);
        closed_bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    CU_ASSERT_EQUAL(open_as(PURPOSE, span_text("bound"), bytes), 0);
}

static void test_every_truncation_is_refused(void)
{
    struct span bytes = closed("bound", "hello dunlin");
    for (size_t len = 0; len < bytes.len; len++)
        CU_ASSERT_EQUAL(open_as(PURPOSE, span_text("bound"), span_of(bytes.data, len)),
                        ERR_SIGNATURE);
    CU_ASSERT_EQUAL(open_as(PURPOSE, span_text("bound"), span_of(bytes.data, bytes.len + 1)),
                    ERR_SIGNATURE);
}

static void test_another_purpose_binding_secret_or_nonce_is_refused(void)
{
    struct span bytes = closed("bound", "hello dunlin");
    CU_ASSERT_EQUAL(open_as("dunlin tess", span_text("bound"), bytes), ERR_SIGNATURE);
    CU_ASSERT_EQUAL(open_as(PURPOSE, span_text("boune"), bytes), ERR_SIGNATURE);
    CU_ASSERT_EQUAL(open_as(PURPOSE, SPAN_NONE, bytes), ERR_SIGNATURE);
    for (size_t i = 0; i < SEAL_SECRET_LEN; i++) {
        secret.bytes[i] ^= 1;
        CU_ASSERT_EQUAL(open_as(PURPOSE, span_text("bound"), bytes), ERR_SIGNATURE);
        secret.bytes[i] ^= 1;
    }
    for (size_t i = 0; i < SEAL_NONCE_LEN; i++) {
        nonce.bytes[i] ^= 1;
        CU_ASSERT_EQUAL(open_as(PURPOSE, span_text("bound"), bytes), ERR_SIGNATURE);
        nonce.bytes[i] ^= 1;
    }
}

static void test_too_little_room_is_said_and_nothing_written(void)
{
    struct span bytes = closed("", "hello");
    for (size_t cap = 0; cap < bytes.len; cap++) {
        uint8_t out[64] = {0};
        struct buffer b = buffer_on(out, cap);
        CU_ASSERT_EQUAL(seal_close(&secret, PURPOSE, &nonce, SPAN_NONE, span_text("hello"), &b),
                        ERR_NO_MEMORY);
        CU_ASSERT_EQUAL(b.len, 0);
        CU_ASSERT_EQUAL(memcmp(out, (uint8_t[64]){0}, sizeof out), 0);
    }
    for (size_t cap = 0; cap <= 5; cap++) {
        struct buffer b = buffer_on(plain_bytes, cap);
        CU_ASSERT_EQUAL(seal_open(&secret, PURPOSE, &nonce, SPAN_NONE, bytes, &b),
                        cap < 5 ? ERR_NO_MEMORY : 0);
    }
}

static const struct suite_test tests[] = {
    TEST(test_known_messages_close_to_known_bytes),
    TEST(test_what_was_closed_opens),
    TEST(test_both_append_to_what_is_there),
    TEST(test_every_flipped_bit_is_refused),
    TEST(test_every_truncation_is_refused),
    TEST(test_another_purpose_binding_secret_or_nonce_is_refused),
    TEST(test_too_little_room_is_said_and_nothing_written),
};

SUITE_MAIN("seal", tests)
