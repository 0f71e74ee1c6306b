#include "crypto/mac.h"

#include "base/endian.h"

#include <assert.h>
#include <mbedtls/platform_util.h>

/* SHA-256 works on blocks of this size; HMAC fills its key up to one. */
#define BLOCK_LEN 64
/* RFC 5869, 2.3: the counter is one byte. */
#define HKDF_MAX (255 * (size_t)DIGEST_LEN)

/*
 * HMAC stands here on top of digest.h and not on mbedtls_md_hmac(), which asks the heap for its
 * context and so could fail; a MAC that cannot fail makes its callers simpler.
 */
static void hmac_start(struct mac_base *h, struct span key);
static struct digest hmac_end(struct mac_base *h);

struct digest mac_of(const struct mac_key *key, struct span data)
{
    struct mac_base h = mac_base_of(key);
    digest_add(&h.inner, data);
    return hmac_end(&h);
}

struct mac_base mac_base_of(const struct mac_key *key)
{
    struct mac_base base;
    hmac_start(&base, span_of(key->bytes, MAC_KEY_LEN));
    return base;
}

struct digest mac_from(const struct mac_base *base, struct span data)
{
    struct mac_base h = *base;
    digest_add(&h.inner, data);
    return hmac_end(&h);
}

struct mac_key mac_derive(const struct mac_key *key, const char *purpose, uint64_t number)
{
    return mac_derive_for(key, purpose, number, SPAN_NONE);
}

struct mac_key mac_derive_for(const struct mac_key *key, const char *purpose, uint64_t number,
                              struct span whom)
{
    struct mac_base base = mac_base_of(key);
    return mac_derive_from(&base, purpose, number, whom);
}

struct mac_key mac_derive_from(const struct mac_base *base, const char *purpose, uint64_t number,
                               struct span whom)
{
    uint8_t suffix[8];
    le64_write(suffix, number);
    struct mac_base h = *base;
    digest_add(&h.inner, span_of(purpose, strlen(purpose) + 1));
    digest_add(&h.inner, span_of(suffix, sizeof suffix));
    digest_add(&h.inner, whom);
    struct digest d = hmac_end(&h);
    struct mac_key derived;
    memcpy(derived.bytes, d.bytes, MAC_KEY_LEN);
    mbedtls_platform_zeroize(&d, sizeof d);
    return derived;
}

void mac_hkdf(struct span secret, struct span salt, const char *info, uint8_t *out, size_t len)
{
    assert(len <= HKDF_MAX);
    struct mac_base h;
    hmac_start(&h, salt);
    digest_add(&h.inner, secret);
    struct digest prk = hmac_end(&h);
    struct digest t;
    for (size_t at = 0, i = 1; at < len; at += DIGEST_LEN, i++) {
        hmac_start(&h, span_of(prk.bytes, DIGEST_LEN));
        if (i > 1)
            digest_add(&h.inner, span_of(t.bytes, DIGEST_LEN));
        digest_add(&h.inner, span_text(info));
        digest_add(&h.inner, span_of(&(uint8_t){(uint8_t)i}, 1));
        t = hmac_end(&h);
        memcpy(out + at, t.bytes, len - at < DIGEST_LEN ? len - at : DIGEST_LEN);
    }
    mbedtls_platform_zeroize(&prk, sizeof prk);
    mbedtls_platform_zeroize(&t, sizeof t);
}

bool mac_equal(struct span a, struct span b)
{
    if (a.len != b.len)
        return false;
    /* Volatile, so that no compiler finds a way to stop at the first difference. */
    volatile uint8_t difference = 0;
    for (size_t i = 0; i < a.len; i++)
        difference = (uint8_t)(difference | (a.data[i] ^ b.data[i]));
    return difference == 0;
}

static void hmac_start(struct mac_base *h, struct span key)
{
    uint8_t block[BLOCK_LEN] = {0};
    struct digest short_key;
    if (key.len > BLOCK_LEN) {
        short_key = digest_of(key);
        key = span_of(short_key.bytes, DIGEST_LEN);
    }
    if (key.len > 0)
        memcpy(block, key.data, key.len);
    for (size_t i = 0; i < BLOCK_LEN; i++)
        block[i] ^= 0x36;
    digest_start(&h->inner);
    digest_add(&h->inner, span_of(block, BLOCK_LEN));
    for (size_t i = 0; i < BLOCK_LEN; i++)
        block[i] ^= 0x36 ^ 0x5c;
    digest_start(&h->outer);
    digest_add(&h->outer, span_of(block, BLOCK_LEN));
    mbedtls_platform_zeroize(block, sizeof block);
}

/* Both streams end, which wipes them. */
static struct digest hmac_end(struct mac_base *h)
{
    struct digest inner = digest_end(&h->inner);
    digest_add(&h->outer, span_of(inner.bytes, DIGEST_LEN));
    return digest_end(&h->outer);
}
