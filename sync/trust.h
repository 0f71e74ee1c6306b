/*
 * trust: the numbered document that says whose signatures count for what in a fleet. A new version
 * needs the signatures of those whom the one before trusts with that. It knows nothing of who holds
 * which key.
 */
#ifndef DUNLIN_SYNC_TRUST_H
#define DUNLIN_SYNC_TRUST_H

#include "sync/envelope.h"

#define TRUST_MAX 2048
#define ROOT_PIN_LEN 16

enum trust_role {
    TRUST_ROOTS,      /* sign trust documents; kept offline */
    TRUST_PUBLISHERS, /* sign bundles' manifests; kept offline */
    TRUST_ONLINE,     /* sign desired documents and assignments; the manager's */
    TRUST_ROLE_COUNT,
};

/* Whose signatures count, and how many of them it takes. */
struct trust_keys {
    uint32_t threshold;
    uint32_t count;
    struct public_key list[PUBLISHERS_MAX]; /* by rising bytes; of other roles fewer */
};

struct trust {
    uint32_t version; /* from 1, without gaps */
    uint64_t issued_s;
    struct trust_keys roles[TRUST_ROLE_COUNT];
    uint32_t authority_count;
    struct key_id authorities[AUTHORITIES_MAX]; /* of keys that sign certificates; rising */
};

/* Names roots and their threshold: the first bytes of SHA-256 of that part of a document. */
struct root_pin {
    uint8_t bytes[ROOT_PIN_LEN];
};

/* Appends the unsigned body. `t` must be what the reader accepts. */
int trust_write(const struct trust *t, struct buffer *out);
/* Reads a body strictly. ERR_FORMAT or ERR_RANGE. */
int trust_read(struct span body, struct trust *t);

/* Whether so many of the keys can be what it takes: at least one, and no more than there are. A
 * list without keys, which nobody can sign for, has the threshold that its first key is going to
 * meet. */
bool trust_keys_can_sign(const struct trust_keys *k, uint32_t threshold);

/* "root", "publisher", "online": for people. */
const char *trust_role_name(enum trust_role role);
/* The most keys that a role may have. */
uint32_t trust_role_max(enum trust_role role);
/* Puts a key into its place. ERR_EXISTS when it is there, ERR_RANGE when the role is full. */
int trust_add(struct trust *t, enum trust_role role, const struct public_key *key);
/* Takes the key of this id out of its place. ERR_NOT_FOUND. */
int trust_remove(struct trust *t, enum trust_role role, const struct key_id *id);
bool trust_has(const struct trust *t, enum trust_role role, const struct public_key *key);

/* envelope_open with the keys and the threshold of a role. */
int trust_open(const struct trust *t, enum trust_role role, enum message type, struct span bytes,
               struct span *body);

/* Who has signed what trust_open has opened: the first of those whom the role knows. */
struct key_id trust_signer(const struct trust *t, enum trust_role role, enum message type,
                           struct span opened);
bool trust_has_authority(const struct trust *t, const struct key_id *id);
/* Whether it is one of them that is called so: a certificate's issuer. */
bool trust_has_issuer(const struct trust *t, const char *issuer);
/* Whether a role has the key of this id. */
bool trust_knows(const struct trust *t, enum trust_role role, const struct key_id *id);

/*
 * The one rule by which trust moves on: `envelope` is the next version, and as many of the old
 * version's roots have signed it as the old version wants, and as many of its own as it wants
 * itself. ERR_OLD when it is not the next version, else as envelope_open. `new` may not be `old`.
 */
int trust_follows(const struct trust *old, struct span envelope, struct trust *new);

struct root_pin trust_pin(const struct trust *t);

/*
 * The newest version that a pin leads to, from envelopes in order, each the next version: begins at
 * the last one that has the pinned roots and is signed by them, and follows from there to the end.
 * ERR_UNTRUSTED when none has.
 */
int trust_walk(const struct root_pin *pin, const struct span *envelopes, size_t count,
               struct trust *newest);

#endif
