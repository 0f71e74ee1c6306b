/*
 * sign: ECDSA over P-256 with SHA-256 (FIPS 186-5), deterministic (RFC 6979), as fixed-size values.
 * It knows nothing of who is trusted for what; `domain` keeps a signature made for one purpose from
 * serving another.
 */
#ifndef DUNLIN_CRYPTO_SIGN_H
#define DUNLIN_CRYPTO_SIGN_H

#include "crypto/digest.h"

#define PUBLIC_KEY_LEN 64
#define SECRET_KEY_LEN 32
#define SIGNATURE_LEN 64
#define KEY_ID_LEN 16

/* The point's X and Y, big-endian. */
struct public_key {
    uint8_t bytes[PUBLIC_KEY_LEN];
};

struct secret_key {
    uint8_t bytes[SECRET_KEY_LEN];
};

/* r and s, big-endian. */
struct signature {
    uint8_t bytes[SIGNATURE_LEN];
};

/* The first 16 bytes of SHA-256 of a public key: an agent's id, or a publisher key's. */
struct key_id {
    uint8_t bytes[KEY_ID_LEN];
};

struct key_id_hex {
    char text[2 * KEY_ID_LEN + 1];
};

/* Makes a fresh key pair from the system's randomness. ERR_CRYPTO when the library fails. */
int sign_generate(struct secret_key *secret, struct public_key *public);

/* The public half. ERR_CRYPTO when `secret` is no valid scalar. */
int sign_public(const struct secret_key *secret, struct public_key *public);

/* Signs SHA-256(domain || 0 || message). */
int sign_make(const struct secret_key *secret, const char *domain, struct span message,
              struct signature *out);

/* 0 when the signature holds, ERR_SIGNATURE when not (or the key is no point of the curve),
 * ERR_CRYPTO when the library fails. */
int sign_check(const struct public_key *key, const char *domain, struct span message,
               const struct signature *sig);

struct key_id key_id_of(const struct public_key *key);
bool key_id_equal(const struct key_id *a, const struct key_id *b);
struct key_id_hex key_id_hex(const struct key_id *id);
/* Exactly 32 hexadecimal digits; ERR_FORMAT otherwise. */
int key_id_parse(const char *text, struct key_id *out);

/* A key pair as a file: "dunlin-secret-key-1 HEX\n", mode 0600. ERR_FORMAT for anything else in it.
 */
int sign_key_write(const char *path, const struct secret_key *secret, struct errmsg *em);
int sign_key_read(const char *path, struct secret_key *secret, struct errmsg *em);

/* Its public half: "dunlin-public-key-1 HEX\n", for everybody to read. */
int sign_public_write(const char *path, const struct public_key *key, struct errmsg *em);
int sign_public_read(const char *path, struct public_key *key, struct errmsg *em);

#endif
