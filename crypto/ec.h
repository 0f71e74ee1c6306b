/*
 * ec: bare ECDSA over P-256 of a digest, for formats that others have defined (X.509, TLS).
 * Only crypto/ includes it: Dunlin's own messages are signed in a domain, by sign.h.
 */
#ifndef DUNLIN_CRYPTO_EC_H
#define DUNLIN_CRYPTO_EC_H

#include "crypto/sign.h"

/* A signature is r, and s behind it. */
#define HALF_LEN (SIGNATURE_LEN / 2)

/* Deterministic (RFC 6979). ERR_CRYPTO when `secret` is no valid scalar or the library fails. */
int ec_sign(const struct secret_key *secret, const struct digest *d, struct signature *out);

/* As sign_check. */
int ec_check(const struct public_key *key, const struct digest *d, const struct signature *sig);

#endif
