/*
 * envelope: a signed message: [type, version, body, [[key id, signature] …]], the body being bytes
 * that are only looked at once enough signatures hold; where one signature is for many messages,
 * the path to what they have in common follows. It knows nothing of what the body says.
 */
#ifndef DUNLIN_SYNC_ENVELOPE_H
#define DUNLIN_SYNC_ENVELOPE_H

#include "crypto/merkle.h"
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
    MESSAGE_NOTE = 13,
    MESSAGE_TELLING = 14,
    MESSAGE_ATLAS = 15,
};

/* What an envelope adds to its body, with one signature and with as many as there can be. */
#define ENVELOPE_OVERHEAD 128
#define ENVELOPE_OVERHEAD_MAX (ENVELOPE_OVERHEAD + (SIGNATURES_MAX - 1) * 88)
/* And where its signature is for many. */
#define ENVELOPE_OVERHEAD_SHARED (ENVELOPE_OVERHEAD + 8 + MERKLE_DEPTH_MAX * DIGEST_LEN)

struct endorsement {
    struct key_id signer;
    struct signature signature;
};

/* An envelope taken apart; nothing in it is checked. */
struct envelope {
    struct span body; /* borrowed */
    uint32_t count;
    struct endorsement list[SIGNATURES_MAX]; /* by rising signer, each one once */
    struct merkle_path path; /* from the body to what is signed; none but in an assignment's */
};

/* Appends an envelope with one signature, made under a domain that follows from the type. */
int envelope_seal(enum message type, struct span body, const struct secret_key *key,
                  struct buffer *out);

/* One signature for many messages of a type, whose leaves (merkle_leaf of each body) have this
 * root. The type must be one whose envelopes have paths. */
int envelope_endorse(enum message type, const struct digest *root, const struct secret_key *key,
                     struct signature *out);

/* Puts one more signature into `e`: ERR_EXISTS when the key's is there, ERR_RANGE when it is full.
 */
int envelope_sign(enum message type, struct envelope *e, const struct secret_key *key);

/* Reads without checking any signature. ERR_FORMAT or ERR_RANGE. */
int envelope_read(enum message type, struct span bytes, struct envelope *e);
/* Appends it; what was read comes out as the same bytes, unless a newer writer added fields. */
int envelope_write(enum message type, const struct envelope *e, struct buffer *out);

/*
 * How many of `keys`, which are all different, have signed. Each signature is checked once at most,
 * those by other keys not at all. ERR_SIGNATURE when one by a key of ours doesn't hold: whoever
 * carried it has changed it.
 */
int envelope_count(enum message type, const struct envelope *e, const struct public_key *keys,
                   size_t count);

/*
 * Gives the body (borrowed) when at least `threshold` of `keys` have signed it; `threshold` is 1 or
 * more. ERR_FORMAT, ERR_RANGE, ERR_UNTRUSTED (too few of them) or ERR_SIGNATURE.
 */
int envelope_open(enum message type, struct span bytes, const struct public_key *keys, size_t count,
                  uint32_t threshold, struct span *body);

#endif
