/*
 * envelope: a signed message: [type, version, body, key id, signature], the body being bytes that
 * are only looked at once the signature holds. It knows nothing of what the body says.
 */
#ifndef DUNLIN_SYNC_ENVELOPE_H
#define DUNLIN_SYNC_ENVELOPE_H

#include "crypto/sign.h"
#include "sync/limits.h"

/* Message types: the first element of every message. */
enum message {
    MESSAGE_JOIN = 1,
    MESSAGE_JOINED = 2,
    MESSAGE_STATUS = 3,
    MESSAGE_WILL = 4,
    MESSAGE_HEAD = 5,
    MESSAGE_DESIRED = 6,
    MESSAGE_ASSIGNMENT = 7,
    MESSAGE_TRUST = 8,
    MESSAGE_MANIFEST = 9,
    MESSAGE_DELTA = 10, /* kept free: the difference from the revision before */
    MESSAGE_RENEWAL = 11,
    MESSAGE_RENEWED = 12,
};

/* What an envelope adds to its body. */
#define ENVELOPE_OVERHEAD 128

/* Signs `body` under a domain made from the type and appends the envelope. */
int envelope_seal(enum message type, struct span body, const struct secret_key *key,
                  struct buffer *out);

/* Reads without checking the signature: the body (borrowed) and who claims to have signed. */
int envelope_peek(enum message type, struct span bytes, struct span *body, struct key_id *signer);

/*
 * Checks the signature against the key among `keys` that the envelope names and gives the body
 * (borrowed). ERR_FORMAT, ERR_UNTRUSTED (no such key) or ERR_SIGNATURE.
 */
int envelope_open(enum message type, struct span bytes, const struct public_key *keys, size_t count,
                  struct span *body);

#endif
