#include "crypto/mac.h"

#include "base/hex.h"
#include "test/suite.h"

/* A key of RFC 4231. HMAC fills short keys with zeroes, so those up to 32 bytes fit as they are. */
static struct mac_key key_of(uint8_t byte, size_t len)
{
    struct mac_key k = {0};
    memset(k.bytes, byte, len);
    return k;
}

/* HMAC takes the digest of keys longer than a block. */
static struct mac_key long_key_of(uint8_t byte, size_t len)
{
    uint8_t bytes[256];
    memset(bytes, byte, len);
    struct digest d = digest_of(span_of(bytes, len));
    struct mac_key k;
    memcpy(k.bytes, d.bytes, MAC_KEY_LEN);
    return k;
}

static struct mac_key counting_key(void)
{
    struct mac_key k;
    for (size_t i = 0; i < MAC_KEY_LEN; i++)
        k.bytes[i] = (uint8_t)i;
    return k;
}

static bool mac_is(struct mac_key key, struct span data, const char *hex)
{
    struct digest d = mac_of(&key, data);
    return strncmp(digest_hex(&d).text, hex, strlen(hex)) == 0;
}

/* The bytes first, first + 1, … */
static struct span counted(uint8_t bytes[static 80], uint8_t first, size_t len)
{
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(first + i);
    return span_of(bytes, len);
}

static bool hkdf_is(struct span secret, struct span salt, const char *info, const char *hex)
{
    uint8_t out[96];
    char text[sizeof out * 2 + 1];
    size_t len = strlen(hex) / 2;
    mac_hkdf(secret, salt, info, out, len);
    hex_write(span_of(out, len), text);
    return strcmp(text, hex) == 0;
}

static void test_hmac_of_rfc_4231(void)
{
    uint8_t data[50];
    CU_ASSERT_TRUE(mac_is(key_of(0x0b, 20), span_text("Hi There"),
                          "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"));
    CU_ASSERT_TRUE(mac_is((struct mac_key){.bytes = "Jefe"},
                          span_text("what do ya want for nothing?"),
                          "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"));
    memset(data, 0xdd, sizeof data);
    CU_ASSERT_TRUE(mac_is(key_of(0xaa, 20), span_of(data, sizeof data),
                          "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"));
    CU_ASSERT_TRUE(mac_is(key_of(0x0c, 20), span_text("Test With Truncation"),
                          "a3b6167473100ee06e0c796c2955552b"));
    CU_ASSERT_TRUE(mac_is(long_key_of(0xaa, 131),
                          span_text("Test Using Larger Than Block-Size Key - Hash Key First"),
                          "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"));
}

static void test_hkdf_of_rfc_5869(void)
{
    static const char info_1[] = "\xf0\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8\xf9";
    uint8_t secret[80], salt[80];
    char info_2[81] = {0};
    memset(secret, 0x0b, 22);
    CU_ASSERT_TRUE(hkdf_is(span_of(secret, 22), counted(salt, 0, 13), info_1,
                           "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf3400720"
                           "8d5b887185865"));
    CU_ASSERT_TRUE(hkdf_is(span_of(secret, 22), SPAN_NONE, "",
                           "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d20139"
                           "5faa4b61a96c8"));
    counted((uint8_t *)info_2, 0xb0, 80);
    CU_ASSERT_TRUE(hkdf_is(counted(secret, 0, 80), counted(salt, 0x60, 80), info_2,
                           "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a9"
                           "9cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e"
                           "87c14c01d5c1f3434f1d87"));
}

static void test_hkdf_of_every_length_is_a_prefix_of_the_longest(void)
{
    uint8_t longest[100], out[101];
    mac_hkdf(span_text("secret"), span_text("salt"), "info", longest, sizeof longest);
    for (size_t len = 0; len <= sizeof longest; len++) {
        memset(out, 0xee, sizeof out);
        mac_hkdf(span_text("secret"), span_text("salt"), "info", out, len);
        CU_ASSERT_EQUAL(memcmp(out, longest, len), 0);
        CU_ASSERT_EQUAL(out[len], 0xee);
    }
}

static void test_hkdf_depends_on_each_of_its_inputs(void)
{
    uint8_t a[16], b[16];
    mac_hkdf(span_text("secret"), span_text("salt"), "info", a, sizeof a);
    mac_hkdf(span_text("Secret"), span_text("salt"), "info", b, sizeof b);
    CU_ASSERT_NOT_EQUAL(memcmp(a, b, sizeof a), 0);
    mac_hkdf(span_text("secret"), span_text("Salt"), "info", b, sizeof b);
    CU_ASSERT_NOT_EQUAL(memcmp(a, b, sizeof a), 0);
    mac_hkdf(span_text("secret"), span_text("salt"), "Info", b, sizeof b);
    CU_ASSERT_NOT_EQUAL(memcmp(a, b, sizeof a), 0);
}

static void test_derived_keys_are_the_mac_of_purpose_and_number(void)
{
    struct mac_key key = counting_key();
    struct mac_key derived = mac_derive(&key, "dunlin token", 0x0102030405060708u);
    char hex[2 * MAC_KEY_LEN + 1];
    hex_write(span_of(derived.bytes, MAC_KEY_LEN), hex);
    CU_ASSERT_STRING_EQUAL(hex, "a94d93a61b713d590afc99e245397c03c31df48e8cca6d26768b22cb3a91ba5b");
    struct mac_key other = mac_derive(&key, "dunlin token", 0x0102030405060709u);
    CU_ASSERT_NOT_EQUAL(memcmp(&derived, &other, sizeof other), 0);
    other = mac_derive(&key, "dunlin tok", 0x0102030405060708u);
    CU_ASSERT_NOT_EQUAL(memcmp(&derived, &other, sizeof other), 0);
    other = mac_derive_for(&key, "dunlin token", 0x0102030405060708u, span_text("whom"));
    struct digest by_hand =
        mac_of(&key, span_of("dunlin token\0\x08\x07\x06\x05\x04\x03\x02\x01whom", 25));
    CU_ASSERT_EQUAL(memcmp(&by_hand, &other, sizeof other), 0);
}

static void test_flipped_bits_make_another_mac(void)
{
    struct mac_key key = counting_key();
    uint8_t data[70] = {0};
    struct digest before = mac_of(&key, span_of(data, sizeof data));
    for (size_t bit = 0; bit < 8 * sizeof data; bit++) {
        data[bit / 8] = (uint8_t)(1 << bit % 8);
        struct digest d = mac_of(&key, span_of(data, sizeof data));
        CU_ASSERT_FALSE(digest_equal(&d, &before));
        data[bit / 8] = 0;
    }
    for (size_t bit = 0; bit < (size_t)8 * MAC_KEY_LEN; bit++) {
        key.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        struct digest d = mac_of(&key, span_of(data, sizeof data));
        CU_ASSERT_FALSE(digest_equal(&d, &before));
        key.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

static void test_equality_looks_at_length_and_every_byte(void)
{
    uint8_t a[40] = {0}, b[40] = {0};
    CU_ASSERT_TRUE(mac_equal(span_of(a, 40), span_of(b, 40)));
    CU_ASSERT_TRUE(mac_equal(SPAN_NONE, SPAN_NONE));
    CU_ASSERT_FALSE(mac_equal(span_of(a, 40), span_of(b, 39)));
    for (size_t bit = 0; bit < 8 * sizeof b; bit++) {
        b[bit / 8] = (uint8_t)(1 << bit % 8);
        CU_ASSERT_FALSE(mac_equal(span_of(a, 40), span_of(b, 40)));
        b[bit / 8] = 0;
    }
}

static const struct suite_test tests[] = {
    TEST(test_hmac_of_rfc_4231),
    TEST(test_hkdf_of_rfc_5869),
    TEST(test_hkdf_of_every_length_is_a_prefix_of_the_longest),
    TEST(test_hkdf_depends_on_each_of_its_inputs),
    TEST(test_derived_keys_are_the_mac_of_purpose_and_number),
    TEST(test_flipped_bits_make_another_mac),
    TEST(test_equality_looks_at_length_and_every_byte),
};

SUITE_MAIN("mac", tests)
