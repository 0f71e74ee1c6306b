/*
 * renewal: an agent's request for its next certificate, and the manager's answer, both under the
 * agent's MAC key. It knows nothing of certificates; the agent checks the one it gets by itself.
 * The request brings the public key that is to be certified: the id follows from it, so that nobody
 * has to keep a million keys.
 */
#ifndef DUNLIN_SYNC_RENEWAL_H
#define DUNLIN_SYNC_RENEWAL_H

#include "crypto/certificate.h"
#include "crypto/mac.h"
#include "sync/join.h"

#define RENEWAL_MAX 128
/* The answer: a certificate and its frame. */
#define RENEWED_MAX (CERTIFICATE_MAX + 64)
/* Both end with as many bytes of a MAC as a status does. */
#define RENEWAL_MAC_LEN 12

struct renewal {
    uint32_t number;
    struct public_key key;
    uint64_t nonce; /* random: what binds the answer to the request */
};

/* Appends [type, version, number, key, nonce] and the MAC. */
int renewal_write(const struct renewal *r, const struct mac_key *key, struct buffer *out);
/* Reads without checking the MAC: whose key to check it with stands in the message. */
int renewal_read(struct span bytes, struct renewal *r);
/* ERR_SIGNATURE when the MAC doesn't hold. */
int renewal_check(struct span bytes, const struct mac_key *key);

struct renewed {
    enum joined_code code;   /* only JOINED_ACCEPTED has a certificate */
    struct span certificate; /* DER, borrowed */
};

/* Appends [type, version, code, certificate] and the MAC over it and the request's nonce. */
int renewed_write(const struct renewed *r, uint64_t nonce, const struct mac_key *key,
                  struct buffer *out);
/* ERR_SIGNATURE when it is no answer by the manager to this nonce. */
int renewed_read(struct span bytes, uint64_t nonce, const struct mac_key *key, struct renewed *r);

/* As joined_code_text, of an agent: it has no token any more that could be unknown or revoked. */
const char *renewed_code_text(enum joined_code code);

#endif
