#include "crypto/sign.h"

#include "base/file.h"
#include "base/hex.h"
#include "crypto/ec.h"
#include "test/suite.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define DOMAIN "dunlin test"

/* The key pair of RFC 6979, A.2.5. */
#define RFC_SECRET "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721"
#define RFC_PUBLIC                                                                                 \
    "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"                             \
    "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
/* The order of the curve's base point: secrets, r and s are smaller. */
#define ORDER "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"

static struct secret_key secret;
static struct public_key public;
static struct signature sig;

static void rfc_key(void)
{
    CU_ASSERT_EQUAL_FATAL(hex_read(RFC_SECRET, secret.bytes, SECRET_KEY_LEN), 0);
    CU_ASSERT_EQUAL_FATAL(hex_read(RFC_PUBLIC, public.bytes, PUBLIC_KEY_LEN), 0);
}

/* Signs "sample" with the RFC's key. */
static void sign_sample(void)
{
    rfc_key();
    CU_ASSERT_EQUAL_FATAL(sign_make(&secret, DOMAIN, span_text("sample"), &sig), 0);
}

static int check_sample(void)
{
    return sign_check(&public, DOMAIN, span_text("sample"), &sig);
}

static void test_the_public_half_is_that_of_rfc_6979(void)
{
    struct public_key made;
    rfc_key();
    CU_ASSERT_EQUAL(sign_public(&secret, &made), 0);
    CU_ASSERT_EQUAL(memcmp(&made, &public, sizeof made), 0);
}

static void test_signatures_are_those_of_rfc_6979(void)
{
    /*
     * Of "dunlin test", a zero byte and the message, by another implementation, which was checked
     * with the RFC's own signature of "sample".
     */
    char hex[2 * SIGNATURE_LEN + 1];
    sign_sample();
    hex_write(span_of(sig.bytes, SIGNATURE_LEN), hex);
    CU_ASSERT_STRING_EQUAL(hex, "fa7605c61f3035c6873ebff00be91335e1fae4c6aa5880efcf3da9861351dd1e"
                                "b0280dcae96c3b1c51c7618afe5d170f28db61b2425c97c7ce7695bfdf9e6331");
    CU_ASSERT_EQUAL(sign_make(&secret, DOMAIN, SPAN_NONE, &sig), 0);
    hex_write(span_of(sig.bytes, SIGNATURE_LEN), hex);
    CU_ASSERT_STRING_EQUAL(hex, "5540b9786f6f98bd3c0b0e818a2ebd98cc6c947fce1d8ab11e913bfa4a681b08"
                                "86f70243f9ad2ee34ec660134b9129178cceab7e9d068853ea8f2c4c3f5b6b1e");
}

/* Whichever library signs: of 300 keys and messages, the digest of all that comes out. */
static void test_every_library_signs_alike(void)
{
    struct digest_stream s;
    digest_start(&s);
    rfc_key();
    for (unsigned i = 0; i < 300; i++) {
        struct digest next = digest_of(span_of(secret.bytes, SECRET_KEY_LEN));
        memcpy(secret.bytes, next.bytes, SECRET_KEY_LEN);
        CU_ASSERT_EQUAL(sign_public(&secret, &public), 0);
        CU_ASSERT_EQUAL(sign_make(&secret, DOMAIN, span_of(&next, 1 + i % 32), &sig), 0);
        CU_ASSERT_TRUE(i % 50 != 0 ||
                       sign_check(&public, DOMAIN, span_of(&next, 1 + i % 32), &sig) == 0);
        digest_add(&s, span_of(public.bytes, PUBLIC_KEY_LEN));
        digest_add(&s, span_of(sig.bytes, SIGNATURE_LEN));
    }
    struct digest all = digest_end(&s);
    CU_ASSERT_STRING_EQUAL(digest_hex(&all).text,
                           "8b251520ae1d10dd46fa8f9473f179a657307aa63ae56582920935405e29b9cc");
}

/* Digests of the order and more, which are reduced, and a secret that is next to the last. */
static void test_digests_beyond_the_order_are_reduced(void)
{
    static const char *const digests[] = {
        ORDER, "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632552",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632550"};
    struct digest_stream s;
    digest_start(&s);
    CU_ASSERT_EQUAL(hex_read(ORDER, secret.bytes, SECRET_KEY_LEN), 0);
    secret.bytes[SECRET_KEY_LEN - 1]--;
    CU_ASSERT_EQUAL(sign_public(&secret, &public), 0);
    for (size_t i = 0; i < sizeof digests / sizeof digests[0]; i++) {
        struct digest d;
        CU_ASSERT_EQUAL(digest_parse(digests[i], &d), 0);
        CU_ASSERT_EQUAL(ec_sign(&secret, &d, &sig), 0);
        CU_ASSERT_EQUAL(ec_check(&public, &d, &sig), 0);
        digest_add(&s, span_of(sig.bytes, SIGNATURE_LEN));
    }
    struct digest all = digest_end(&s);
    CU_ASSERT_STRING_EQUAL(digest_hex(&all).text,
                           "fb5dc2b219bd88fd7aa01ee268949a00f144812e55344242cf6bcdc263616208");
}

static void test_a_signature_holds_for_its_message_key_and_domain_alone(void)
{
    sign_sample();
    CU_ASSERT_EQUAL(check_sample(), 0);
    CU_ASSERT_EQUAL(sign_check(&public, DOMAIN, span_text("samplf"), &sig), ERR_SIGNATURE);
    CU_ASSERT_EQUAL(sign_check(&public, DOMAIN, SPAN_NONE, &sig), ERR_SIGNATURE);
    CU_ASSERT_EQUAL(sign_check(&public, "dunlin tess", span_text("sample"), &sig), ERR_SIGNATURE);
    CU_ASSERT_EQUAL(sign_check(&public, "dunlin tests", span_text("ample"), &sig), ERR_SIGNATURE);
    CU_ASSERT_EQUAL(sign_generate(&secret, &public), 0);
    CU_ASSERT_EQUAL(check_sample(), ERR_SIGNATURE);
}

static void test_a_flipped_bit_in_every_byte_of_a_signature_is_refused(void)
{
    sign_sample();
    for (size_t i = 0; i < SIGNATURE_LEN; i++) {
        uint8_t bit = (uint8_t)(1 << i % 8);
        sig.bytes[i] ^= bit;
        CU_ASSERT_EQUAL(check_sample(), ERR_SIGNATURE);
        sig.bytes[i] ^= bit;
    }
    CU_ASSERT_EQUAL(check_sample(), 0);
}

static void test_a_flipped_bit_in_a_key_leaves_the_curve_and_is_refused(void)
{
    sign_sample();
    for (size_t bit = 0; bit < (size_t)8 * PUBLIC_KEY_LEN; bit++) {
        public.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        CU_ASSERT_EQUAL(check_sample(), ERR_SIGNATURE);
        public.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    CU_ASSERT_EQUAL(check_sample(), 0);
}

static void test_keys_that_are_no_points_are_refused(void)
{
    sign_sample();
    memset(&public, 0, sizeof public);
    CU_ASSERT_EQUAL(check_sample(), ERR_SIGNATURE);
    memset(&public, 0xff, sizeof public);
    CU_ASSERT_EQUAL(check_sample(), ERR_SIGNATURE);
}

static void test_numbers_out_of_range_are_no_signature(void)
{
    uint8_t order[SIGNATURE_LEN / 2];
    CU_ASSERT_EQUAL(hex_read(ORDER, order, sizeof order), 0);
    for (size_t half = 0; half < SIGNATURE_LEN; half += SIGNATURE_LEN / 2) {
        sign_sample();
        memset(sig.bytes + half, 0, SIGNATURE_LEN / 2);
        CU_ASSERT_EQUAL(check_sample(), ERR_SIGNATURE);
        memset(sig.bytes + half, 0xff, SIGNATURE_LEN / 2);
        CU_ASSERT_EQUAL(check_sample(), ERR_SIGNATURE);
        memcpy(sig.bytes + half, order, sizeof order);
        CU_ASSERT_EQUAL(check_sample(), ERR_SIGNATURE);
    }
    memset(&sig, 0, sizeof sig);
    CU_ASSERT_EQUAL(check_sample(), ERR_SIGNATURE);
}

static void test_numbers_out_of_range_are_no_secret_key(void)
{
    memset(&secret, 0, sizeof secret);
    CU_ASSERT_EQUAL(sign_public(&secret, &public), ERR_CRYPTO);
    CU_ASSERT_EQUAL(sign_make(&secret, DOMAIN, SPAN_NONE, &sig), ERR_CRYPTO);
    CU_ASSERT_EQUAL(hex_read(ORDER, secret.bytes, SECRET_KEY_LEN), 0);
    CU_ASSERT_EQUAL(sign_public(&secret, &public), ERR_CRYPTO);
    secret.bytes[SECRET_KEY_LEN - 1]--;
    CU_ASSERT_EQUAL(sign_public(&secret, &public), 0);
}

static void test_fresh_keys_differ_and_sign(void)
{
    struct secret_key other;
    struct public_key other_public;
    CU_ASSERT_EQUAL(sign_generate(&secret, &public), 0);
    CU_ASSERT_EQUAL(sign_generate(&other, &other_public), 0);
    CU_ASSERT_NOT_EQUAL(memcmp(&secret, &other, sizeof other), 0);
    CU_ASSERT_EQUAL(sign_make(&secret, DOMAIN, span_text("sample"), &sig), 0);
    CU_ASSERT_EQUAL(check_sample(), 0);
    public = other_public;
    CU_ASSERT_EQUAL(check_sample(), ERR_SIGNATURE);
}

static void *sign_and_check(void *right)
{
    for (int i = 0; i < 20; i++) {
        struct signature made;
        struct public_key key;
        if (sign_make(&secret, DOMAIN, span_text("sample"), &made) < 0 ||
            sign_public(&secret, &key) < 0 || memcmp(&made, &sig, sizeof made) != 0 ||
            sign_check(&key, DOMAIN, span_text("sample"), &made) < 0)
            return NULL;
    }
    return right;
}

static void test_threads_sign_at_the_same_time(void)
{
    pthread_t threads[4];
    int right;
    sign_sample();
    for (int i = 0; i < 4; i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, sign_and_check, &right), 0);
    for (int i = 0; i < 4; i++) {
        void *result;
        pthread_join(threads[i], &result);
        CU_ASSERT_PTR_EQUAL(result, &right);
    }
}

static void test_a_key_id_is_the_front_of_the_keys_digest(void)
{
    rfc_key();
    struct key_id id = key_id_of(&public), back;
    struct digest d = digest_of(span_of(public.bytes, PUBLIC_KEY_LEN));
    struct key_id_hex hex = key_id_hex(&id);
    CU_ASSERT_EQUAL(memcmp(id.bytes, d.bytes, KEY_ID_LEN), 0);
    CU_ASSERT_EQUAL(strncmp(hex.text, digest_hex(&d).text, strlen(hex.text)), 0);
    CU_ASSERT_EQUAL(key_id_parse(hex.text, &back), 0);
    CU_ASSERT_TRUE(key_id_equal(&id, &back));
    for (size_t i = 0; i < KEY_ID_LEN; i++) {
        back.bytes[i] ^= 1;
        CU_ASSERT_FALSE(key_id_equal(&id, &back));
        back.bytes[i] ^= 1;
    }
    for (size_t len = strlen(hex.text); len-- > 0;) {
        hex.text[len] = '\0';
        CU_ASSERT_EQUAL(key_id_parse(hex.text, &back), ERR_FORMAT);
    }
}

static char key_path[] = "/tmp/test_sign.XXXXXX";

static int write_text(const char *text, size_t len)
{
    return file_write(key_path, span_of(text, len), 0600, NULL);
}

static void test_a_key_file_is_secret_and_reads_back(void)
{
    struct secret_key back;
    struct stat st;
    uint8_t text[128];
    struct buffer b = buffer_on(text, sizeof text);
    rfc_key();
    CU_ASSERT_EQUAL(sign_key_write(key_path, &secret, NULL), 0);
    CU_ASSERT_EQUAL(stat(key_path, &st), 0);
    CU_ASSERT_EQUAL(st.st_mode & 07777, 0600);
    CU_ASSERT_EQUAL(file_read(key_path, &b, NULL), 0);
    CU_ASSERT_TRUE(span_equal(span_buffer(&b), span_text("dunlin-secret-key-1 " RFC_SECRET "\n")));
    CU_ASSERT_EQUAL(sign_key_read(key_path, &back, NULL), 0);
    CU_ASSERT_EQUAL(memcmp(&secret, &back, sizeof back), 0);
}

static void test_a_key_file_cut_or_changed_anywhere_is_refused(void)
{
    char text[] = "dunlin-secret-key-1 " RFC_SECRET "\n";
    struct secret_key back;
    struct errmsg em;
    for (size_t len = 0; len < strlen(text); len++) {
        CU_ASSERT_EQUAL_FATAL(write_text(text, len), 0);
        CU_ASSERT_EQUAL(sign_key_read(key_path, &back, &em), ERR_FORMAT);
        CU_ASSERT_PTR_NOT_NULL(strstr(em.text, ": is not a key file: "));
    }
    for (size_t i = 0; i < strlen(text); i++) {
        text[i] ^= 0x40; /* makes no digit of a digit */
        CU_ASSERT_EQUAL_FATAL(write_text(text, strlen(text)), 0);
        CU_ASSERT_EQUAL(sign_key_read(key_path, &back, NULL), ERR_FORMAT);
        text[i] ^= 0x40;
    }
    CU_ASSERT_EQUAL(write_text("dunlin-secret-key-1 " RFC_SECRET "\nx", strlen(text) + 1), 0);
    CU_ASSERT_EQUAL(sign_key_read(key_path, &back, NULL), ERR_FORMAT);
}

static void test_a_key_file_with_no_key_of_the_curve_is_refused(void)
{
    static const char text[] = "dunlin-secret-key-1 " ORDER "\n";
    struct secret_key back;
    struct errmsg em;
    CU_ASSERT_EQUAL(write_text(text, strlen(text)), 0);
    CU_ASSERT_EQUAL(sign_key_read(key_path, &back, &em), ERR_FORMAT);
    CU_ASSERT_PTR_NOT_NULL(strstr(em.text, ": holds a number that is no P-256 secret key"));
    CU_ASSERT_EQUAL(sign_key_read("/nowhere/key", &back, &em), ERR_NOT_FOUND);
    CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "/nowhere/key: cannot open"));
}

static void test_a_public_key_file_reads_back_and_nothing_else_does(void)
{
    struct public_key key, back;
    struct secret_key other;
    struct errmsg em;
    char text[256] = "";
    struct stat st;
    CU_ASSERT_EQUAL(sign_generate(&other, &key), 0);
    CU_ASSERT_EQUAL(sign_public_write(key_path, &key, NULL), 0);
    CU_ASSERT_EQUAL(stat(key_path, &st), 0);
    CU_ASSERT_EQUAL(st.st_mode & 0777, 0644);
    CU_ASSERT_EQUAL(sign_public_read(key_path, &back, NULL), 0);
    CU_ASSERT_EQUAL(memcmp(&back, &key, sizeof key), 0);
    struct buffer b = buffer_on((uint8_t *)text, sizeof text - 2);
    CU_ASSERT_EQUAL(file_read(key_path, &b, NULL), 0);
    text[b.len] = 'x';
    for (size_t len = 0; len <= b.len + 1; len++) {
        CU_ASSERT_EQUAL_FATAL(write_text(text, len), 0);
        CU_ASSERT_EQUAL(sign_public_read(key_path, &back, &em), len == b.len ? 0 : ERR_FORMAT);
    }
    CU_ASSERT_EQUAL(sign_key_write(key_path, &other, NULL), 0);
    CU_ASSERT_EQUAL(sign_public_read(key_path, &back, &em), ERR_FORMAT);
    CU_ASSERT_PTR_NOT_NULL(strstr(em.text, ": is not a public key: "));
    CU_ASSERT_EQUAL(sign_public_read("/nowhere/key", &back, &em), ERR_NOT_FOUND);
}

static const struct suite_test tests[] = {
    TEST(test_threads_sign_at_the_same_time), /* first, while the curve's table isn't made */
    TEST(test_the_public_half_is_that_of_rfc_6979),
    TEST(test_signatures_are_those_of_rfc_6979),
    TEST(test_every_library_signs_alike),
    TEST(test_digests_beyond_the_order_are_reduced),
    TEST(test_a_signature_holds_for_its_message_key_and_domain_alone),
    TEST(test_a_flipped_bit_in_every_byte_of_a_signature_is_refused),
    TEST(test_a_flipped_bit_in_a_key_leaves_the_curve_and_is_refused),
    TEST(test_keys_that_are_no_points_are_refused),
    TEST(test_numbers_out_of_range_are_no_signature),
    TEST(test_numbers_out_of_range_are_no_secret_key),
    TEST(test_fresh_keys_differ_and_sign),
    TEST(test_a_key_id_is_the_front_of_the_keys_digest),
    TEST(test_a_key_file_is_secret_and_reads_back),
    TEST(test_a_key_file_cut_or_changed_anywhere_is_refused),
    TEST(test_a_key_file_with_no_key_of_the_curve_is_refused),
    TEST(test_a_public_key_file_reads_back_and_nothing_else_does),
};

int main(void)
{
    int fd = mkstemp(key_path);
    if (fd < 0)
        return 1;
    close(fd);
    int failed = suite_run("sign", tests, sizeof tests / sizeof tests[0]);
    return file_remove(key_path, NULL) < 0 ? 1 : failed;
}
