/*
 * token: the one-time secret that turns a blank device into an agent, and its text form.
 * It knows nothing of uses, expiry or labels: those belong to the batch, which the manager keeps.
 */
#ifndef DUNLIN_CRYPTO_TOKEN_H
#define DUNLIN_CRYPTO_TOKEN_H

#include "crypto/mac.h"
#include "crypto/seal.h"

#define TOKEN_PIN_LEN 16
/* "dlt1-" and base64url of batch, index, secret, both pins and a check sum. */
#define TOKEN_TEXT_LEN 85
/* Of the device that a token is for: as long as a label's value, like the longest ones we met. */
#define TOKEN_SERIAL_MAX 63

/* The pins tell a device whom to believe, so that a host and a token are all that it needs. */
struct token {
    uint32_t batch;
    uint32_t index; /* from 0 within the batch */
    struct seal_secret secret;
    uint8_t authority[TOKEN_PIN_LEN]; /* the key id of the fleet's certificate authority */
    uint8_t root[TOKEN_PIN_LEN];      /* of those that the fleet's root of trust is */
};

struct token_text {
    char text[TOKEN_TEXT_LEN + 1];
};

/* What the tokens of a batch have in common. It is as secret as all of them. */
struct token_batch {
    uint32_t number;
    struct mac_base key;
    uint8_t authority[TOKEN_PIN_LEN];
    uint8_t root[TOKEN_PIN_LEN];
};

/*
 * The index-th secret of a batch. One MAC makes two: the first or second half, for an even or odd
 * index, of HMAC(batch key, "dunlin token" || 0 || index / 2 as 8 bytes little-endian).
 */
struct seal_secret token_secret(const struct mac_base *batch_key, uint32_t index);

/*
 * The same for a batch whose tokens are each for one device: the first half of HMAC(batch key,
 * "dunlin bound token" || 0 || index as 8 bytes little-endian || serial). Nobody has to remember
 * which serial number a token is for: with another one, its secret is another.
 */
struct seal_secret token_bound_secret(const struct mac_base *batch_key, uint32_t index,
                                      struct span serial);

/* 1 to TOKEN_SERIAL_MAX printable characters of ASCII, with no space at either end. */
bool token_serial_valid(struct span serial);

struct token_text token_format(const struct token *t);

/* Writes `count` tokens of a batch that is not bound, from index `first` on, each with a line's
 * end; `out` has room for count * (TOKEN_TEXT_LEN + 1). */
void token_lines(const struct token_batch *b, uint32_t first, uint32_t count, char *out);

/* The same for one token of a bound batch. */
void token_bound_line(const struct token_batch *b, uint32_t index, struct span serial,
                      char out[static TOKEN_TEXT_LEN + 1]);

/* Reads a token's text; says whether it is truncated, mistyped (check sum) or no token at all.
 * ERR_FORMAT. */
int token_parse(const char *text, struct token *out, struct errmsg *em);

#endif
