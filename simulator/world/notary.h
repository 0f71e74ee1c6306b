/*
 * notary: signs and checks like the real thing, and remembers: the same signature over the same
 * bytes is made, and checked, once in a process. Worlds that differ in one power cut share most of
 * their messages, and elliptic curves would take most of their time.
 */
#ifndef DUNLIN_SIMULATOR_WORLD_NOTARY_H
#define DUNLIN_SIMULATOR_WORLD_NOTARY_H

#include "crypto/certificate.h"
#include "sync/trust.h"

/* The key pair whose secret counts up from `first`, as in the tests' samples. */
struct secret_key notary_secret(unsigned first);
struct public_key notary_public(const struct secret_key *secret);

/* envelope_seal, envelope_sign, trust_open, trust_follows and trust_walk. */
int notary_seal(enum message type, struct span body, const struct secret_key *key,
                struct buffer *out);
int notary_sign(enum message type, struct envelope *e, const struct secret_key *key);
int notary_open(const struct trust *t, enum trust_role role, enum message type, struct span bytes,
                struct span *body);
int notary_follows(const struct trust *old, struct span envelope, struct trust *new);
int notary_walk(const struct root_pin *pin, const struct span *envelopes, size_t count,
                struct trust *newest);

/* certificate_make, by an authority with this key. */
int notary_certificate(const struct certificate *c, const struct secret_key *issuer,
                       struct buffer *out);

#endif
