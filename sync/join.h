/*
 * join: the sealed request of a blank device, and the sealed answer that makes it an agent.
 * It knows nothing of which tokens exist; the manager finds the secret by batch and index.
 */
#ifndef DUNLIN_SYNC_JOIN_H
#define DUNLIN_SYNC_JOIN_H

#include "crypto/token.h"
#include "sync/assignment.h"
#include "sync/desired.h"
#include "sync/trust.h"

#define JOIN_MAX 4096
#define JOINED_MAX 43520

struct fact {
    char key[FACT_KEY_MAX + 1];
    char value[FACT_VALUE_MAX + 1];
};

/* What a device says about itself, by rising key. */
struct facts {
    uint32_t count;
    struct fact list[FACTS_MAX];
};

/* First 4 bytes, big-endian, of the digest of the facts as written on the wire. */
uint32_t facts_digest(const struct facts *f);
int facts_write(const struct facts *f, struct buffer *out);
int facts_read(struct span bytes, struct facts *f);
/* The facts as an element of a message. */
struct wire_writer;
struct wire_reader;
void facts_put(struct wire_writer *w, const struct facts *f);
void facts_get(struct wire_reader *r, struct facts *f);

struct join {
    char serial[TOKEN_SERIAL_MAX + 1]; /* "": it is not known */
    struct public_key key;
    struct facts facts;
    struct seal_secret reply; /* random, and this device's alone: goes into the answer's seal */
    struct signature proof;   /* that it has the key's other half */
};

/* The part of a request that is in clear: which secret opens the rest. */
struct join_outer {
    uint32_t batch;
    uint32_t index;
    char serial[TOKEN_SERIAL_MAX + 1];
    struct seal_nonce nonce;
    struct span sealed; /* borrowed */
};

/* [join-2] Fills in the proof, for the request by this token under this name. ERR_CRYPTO. */
int join_prove(struct join *j, const struct secret_key *key, const struct token *token,
               const struct join_id *id);
/* ERR_SIGNATURE when who asks doesn't have the key: it may have seen its public half. */
int join_check(const struct join *j, uint32_t batch, uint32_t index, const struct join_id *id);

/* Appends [type, version, batch, index, serial, nonce, sealed {key, facts, reply, proof}], bound to
 * `id`. */
int join_write(const struct join *j, const struct token *token, const struct join_id *id,
               const struct seal_nonce *nonce, struct buffer *out);
int join_read_outer(struct span bytes, struct join_outer *outer);
int join_open(const struct join_outer *outer, const struct seal_secret *secret,
              const struct join_id *id, struct join *j);

enum joined_code {
    JOINED_ACCEPTED = 0,
    JOINED_UNKNOWN = 1, /* no such token: always in clear, since there is no secret to seal with */
    JOINED_EXPIRED = 2,
    JOINED_REVOKED = 3,
    JOINED_USED = 4,    /* redeemed with another key */
    JOINED_FULL = 5,    /* the fleet is at its limit */
    JOINED_WAITING = 6, /* an operator has to agree: ask again */
    JOINED_SERIAL = 7,  /* the token is for another serial number, or isn't known: like UNKNOWN */
    JOINED_CODE_COUNT,
};

/* [join-4] What the answer is sealed with: of those who hold a copy of the token, only the device
 * that asked has the reply. */
struct seal_secret join_secret(const struct seal_secret *token, const struct seal_secret *reply);

/* "the token has been used by another device": for people. */
const char *joined_code_text(enum joined_code code);

struct joined {
    enum joined_code code; /* only JOINED_ACCEPTED has the rest */
    uint32_t number;
    struct mac_key mac;
    struct policy policy;
    uint32_t cell_count;
    char cells[CELLS_MAX][CELL_URL_MAX + 1];
    struct span assignment; /* the signed envelope, borrowed */
    uint32_t trust_count;
    struct span trust[TRUST_WALK_MAX]; /* signed envelopes as trust_walk wants them, borrowed */
    struct span certificate;           /* empty as long as links are plain */
    struct seal_secret secret;         /* opens what is sealed to this agent */
    uint32_t atlas;                    /* number of the one that the cells are from; 0: of none */
};

/*
 * Appends [type, version, code, nonce, sealed], by join_secret(). With `secret` NULL the code goes
 * in clear: then it is a hint and no proof.
 */
int joined_write(const struct joined *j, const struct seal_secret *secret, const struct join_id *id,
                 const struct seal_nonce *nonce, struct buffer *out);

/*
 * Opens an answer into `j`, whose spans borrow from `plain`, the caller's room of JOINED_MAX bytes.
 * 1 when it was sealed (a proof), 0 when it was a hint in clear (never JOINED_ACCEPTED), or a
 * negative code.
 */
int joined_read(struct span bytes, const struct seal_secret *secret, const struct join_id *id,
                struct buffer *plain, struct joined *j);

#endif
