/*
 * seal: a message closed under a shared secret with AES-128-GCM (NIST SP 800-38D), keys by HKDF.
 * It knows nothing of tokens; whoever calls it brings secret, nonce and what the seal is bound to.
 */
#ifndef DUNLIN_CRYPTO_SEAL_H
#define DUNLIN_CRYPTO_SEAL_H

#include "base/err.h"
#include "base/span.h"

#define SEAL_SECRET_LEN 16
#define SEAL_NONCE_LEN 12
#define SEAL_TAG_LEN 16

struct seal_secret {
    uint8_t bytes[SEAL_SECRET_LEN];
};

/* Unique for each message under one secret and purpose. */
struct seal_nonce {
    uint8_t bytes[SEAL_NONCE_LEN];
};

/*
 * Closes `plain`, bound to `bound` (authenticated, not hidden), for one purpose (a constant text:
 * the key is HKDF(secret, salt = none, purpose)). Appends cipher text and tag to `out`;
 * ERR_NO_MEMORY when it doesn't fit.
 */
int seal_close(const struct seal_secret *secret, const char *purpose,
               const struct seal_nonce *nonce, struct span bound, struct span plain,
               struct buffer *out);

/* Opens what seal_close made; appends the plain text. ERR_SIGNATURE when anything differs. */
int seal_open(const struct seal_secret *secret, const char *purpose, const struct seal_nonce *nonce,
              struct span bound, struct span closed, struct buffer *out);

#endif
