/*
 * token: the one-time secret that turns a blank device into an agent, and its text form.
 * It knows nothing of uses, expiry or labels: those belong to the batch, which the manager keeps.
 */
#ifndef DUNLIN_CRYPTO_TOKEN_H
#define DUNLIN_CRYPTO_TOKEN_H

#include "crypto/mac.h"
#include "crypto/seal.h"

/* First 16 bytes of SHA-256 of the fleet's root key: a device that holds a token knows whom to
 * believe. */
#define TOKEN_PIN_LEN 16
/* "dlt1-" and base64url of batch, index, secret, pin and a 4-byte check sum, with the NUL. */
#define TOKEN_TEXT_MAX 72

struct token {
    uint32_t batch;
    uint32_t index; /* from 0 within the batch */
    struct seal_secret secret;
    uint8_t pin[TOKEN_PIN_LEN];
};

struct token_text {
    char text[TOKEN_TEXT_MAX];
};

/* The index-th secret of a batch: the first 16 bytes of mac_derive(batch key, "dunlin token",
 * index). */
struct seal_secret token_secret(const struct mac_key *batch_key, uint32_t index);

struct token_text token_format(const struct token *t);

/* Reads a token's text; says whether it is truncated, mistyped (check sum) or no token at all.
 * ERR_FORMAT. */
int token_parse(const char *text, struct token *out, struct errmsg *em);

#endif
