/* The part of sign.h that touches the system: fresh keys and key files. */
#include "crypto/sign.h"

#include "base/file.h"
#include "base/hex.h"
#include "crypto/random.h"

#include <mbedtls/platform_util.h>
#include <stdio.h>

#define HEAD "dunlin-secret-key-1 "
#define HEAD_LEN (sizeof HEAD - 1)
#define FILE_LEN (HEAD_LEN + 2 * SECRET_KEY_LEN + 1)
#define PUBLIC_HEAD "dunlin-public-key-1 "
#define PUBLIC_HEAD_LEN (sizeof PUBLIC_HEAD - 1)
#define PUBLIC_FILE_LEN (PUBLIC_HEAD_LEN + 2 * PUBLIC_KEY_LEN + 1)
/* All but one of 2^32 random numbers are keys: a second failure is the library's. */
#define TRIES_MAX 2

static int parse(struct span text, struct secret_key *secret);

int sign_generate(struct secret_key *secret, struct public_key *public)
{
    int rv = ERR_CRYPTO;
    for (int i = 0; i < TRIES_MAX && rv < 0; i++) {
        random_bytes(secret->bytes, SECRET_KEY_LEN);
        rv = sign_public(secret, public);
    }
    return rv;
}

int sign_key_write(const char *path, const struct secret_key *secret, struct errmsg *em)
{
    char hex[2 * SECRET_KEY_LEN + 1];
    char text[FILE_LEN + 1];
    hex_write(span_of(secret->bytes, SECRET_KEY_LEN), hex);
    snprintf(text, sizeof text, HEAD "%s\n", hex);
    int rv = file_write(path, span_text(text), 0600, em);
    mbedtls_platform_zeroize(hex, sizeof hex);
    mbedtls_platform_zeroize(text, sizeof text);
    return rv;
}

int sign_key_read(const char *path, struct secret_key *secret, struct errmsg *em)
{
    uint8_t text[FILE_LEN];
    struct buffer b = buffer_on(text, sizeof text);
    int rv = file_read(path, &b, em);
    if (rv == 0)
        rv = parse(span_buffer(&b), secret);
    if (rv == ERR_RANGE || rv == ERR_FORMAT)
        rv = errmsg_set(em, ERR_FORMAT,
                        "%s: is not a key file: it needs one line, \"" HEAD
                        "\" and %d hexadecimal digits",
                        path, 2 * SECRET_KEY_LEN);
    if (rv == ERR_CRYPTO)
        rv = errmsg_set(em, ERR_FORMAT, "%s: holds a number that is no P-256 secret key", path);
    mbedtls_platform_zeroize(text, sizeof text);
    return rv;
}

int sign_public_write(const char *path, const struct public_key *key, struct errmsg *em)
{
    char hex[2 * PUBLIC_KEY_LEN + 1], text[PUBLIC_FILE_LEN + 1];
    hex_write(span_of(key->bytes, PUBLIC_KEY_LEN), hex);
    snprintf(text, sizeof text, PUBLIC_HEAD "%s\n", hex);
    return file_write(path, span_text(text), 0644, em);
}

int sign_public_read(const char *path, struct public_key *key, struct errmsg *em)
{
    uint8_t text[PUBLIC_FILE_LEN];
    char hex[2 * PUBLIC_KEY_LEN + 1] = {0};
    struct buffer b = buffer_on(text, sizeof text);
    int rv = file_read(path, &b, em);
    if (rv < 0 && rv != ERR_RANGE)
        return rv;
    if (rv == 0 && (b.len != PUBLIC_FILE_LEN || memcmp(text, PUBLIC_HEAD, PUBLIC_HEAD_LEN) != 0 ||
                    text[b.len - 1] != '\n'))
        rv = ERR_FORMAT;
    if (rv == 0) {
        memcpy(hex, text + PUBLIC_HEAD_LEN, sizeof hex - 1);
        rv = hex_read(hex, key->bytes, PUBLIC_KEY_LEN);
    }
    return rv < 0 ? errmsg_set(em, ERR_FORMAT,
                               "%s: is not a public key: it needs one line, \"" PUBLIC_HEAD
                               "\" and %d hexadecimal digits",
                               path, 2 * PUBLIC_KEY_LEN)
                  : 0;
}

/* ERR_FORMAT, or ERR_CRYPTO for a number that is no secret key. */
static int parse(struct span text, struct secret_key *secret)
{
    if (text.len != FILE_LEN || memcmp(text.data, HEAD, HEAD_LEN) != 0)
        return ERR_FORMAT;
    char hex[2 * SECRET_KEY_LEN + 1] = {0};
    memcpy(hex, text.data + HEAD_LEN, sizeof hex - 1);
    int rv =
        text.data[text.len - 1] == '\n' ? hex_read(hex, secret->bytes, SECRET_KEY_LEN) : ERR_FORMAT;
    mbedtls_platform_zeroize(hex, sizeof hex);
    struct public_key public;
    return rv < 0 ? rv : sign_public(secret, &public);
}
