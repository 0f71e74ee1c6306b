/*
 * mac: HMAC-SHA-256 (RFC 2104) and HKDF (RFC 5869), and comparing secrets in constant time.
 * It knows nothing of whose keys they are.
 */
#ifndef DUNLIN_CRYPTO_MAC_H
#define DUNLIN_CRYPTO_MAC_H

#include "crypto/digest.h"

#define MAC_KEY_LEN 32

struct mac_key {
    uint8_t bytes[MAC_KEY_LEN];
};

struct digest mac_of(const struct mac_key *key, struct span data);

/* A key's share of the work, done once for many MACs under it. It is as secret as the key. */
struct mac_base {
    struct digest_stream inner;
    struct digest_stream outer;
};

struct mac_base mac_base_of(const struct mac_key *key);
/* What mac_of gives for that key, in half the time when the data are short. */
struct digest mac_from(const struct mac_base *base, struct span data);

/* A key for one purpose: HMAC(key, purpose || 0 || number as 8 bytes little-endian). */
struct mac_key mac_derive(const struct mac_key *key, const char *purpose, uint64_t number);
/* The same with `whom` behind the number, which is empty or always as long for one purpose. */
struct mac_key mac_derive_for(const struct mac_key *key, const char *purpose, uint64_t number,
                              struct span whom);

/* The same by a key's base. */
struct mac_key mac_derive_from(const struct mac_base *base, const char *purpose, uint64_t number,
                               struct span whom);

/* HKDF-SHA-256 of `secret` with `salt` and the text `info`, into `out`. */
void mac_hkdf(struct span secret, struct span salt, const char *info, uint8_t *out, size_t len);

/* True when the bytes are the same; the time taken depends on the lengths alone. */
bool mac_equal(struct span a, struct span b);

#endif
