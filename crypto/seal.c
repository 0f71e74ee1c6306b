#include "crypto/seal.h"

#include "crypto/mac.h"

#include <mbedtls/gcm.h>
#include <mbedtls/platform_util.h>

/* AES-128. */
#define KEY_LEN 16

static int key_gcm(mbedtls_gcm_context *gcm, const struct seal_secret *secret, const char *purpose);

int seal_close(const struct seal_secret *secret, const char *purpose,
               const struct seal_nonce *nonce, struct span bound, struct span plain,
               struct buffer *out)
{
    size_t room = out->cap - out->len;
    if (room < SEAL_TAG_LEN || room - SEAL_TAG_LEN < plain.len)
        return ERR_NO_MEMORY;
    uint8_t *cipher = out->data + out->len;
    mbedtls_gcm_context gcm;
    int rv = key_gcm(&gcm, secret, purpose);
    if (rv == 0)
        rv = mbedtls_gcm_crypt_and_tag(&gcm, MBEDTLS_GCM_ENCRYPT, plain.len, nonce->bytes,
                                       SEAL_NONCE_LEN, bound.data, bound.len, plain.data, cipher,
                                       SEAL_TAG_LEN, cipher + plain.len);
    mbedtls_gcm_free(&gcm);
    if (rv != 0)
        return ERR_CRYPTO;
    out->len += plain.len + SEAL_TAG_LEN;
    return 0;
}

int seal_open(const struct seal_secret *secret, const char *purpose, const struct seal_nonce *nonce,
              struct span bound, struct span closed, struct buffer *out)
{
    if (closed.len < SEAL_TAG_LEN)
        return ERR_SIGNATURE;
    size_t len = closed.len - SEAL_TAG_LEN;
    if (out->cap - out->len < len)
        return ERR_NO_MEMORY;
    mbedtls_gcm_context gcm;
    int rv = key_gcm(&gcm, secret, purpose);
    if (rv == 0)
        rv = mbedtls_gcm_auth_decrypt(&gcm, len, nonce->bytes, SEAL_NONCE_LEN, bound.data,
                                      bound.len, closed.data + len, SEAL_TAG_LEN, closed.data,
                                      out->data + out->len);
    mbedtls_gcm_free(&gcm);
    if (rv != 0)
        return rv == MBEDTLS_ERR_GCM_AUTH_FAILED ? ERR_SIGNATURE : ERR_CRYPTO;
    out->len += len;
    return 0;
}

/* `gcm` must be freed whatever this returns. */
static int key_gcm(mbedtls_gcm_context *gcm, const struct seal_secret *secret, const char *purpose)
{
    uint8_t key[KEY_LEN];
    mac_hkdf(span_of(secret->bytes, SEAL_SECRET_LEN), SPAN_NONE, purpose, key, KEY_LEN);
    mbedtls_gcm_init(gcm);
    int rv = mbedtls_gcm_setkey(gcm, MBEDTLS_CIPHER_ID_AES, key, 8 * KEY_LEN);
    mbedtls_platform_zeroize(key, sizeof key);
    return rv;
}
