/*
 * invitation: where to join, and the token to join with, as one text: for a QR code, or a line that
 * is copied. It knows nothing of what the device does with them.
 */
#ifndef DUNLIN_SYNC_INVITATION_H
#define DUNLIN_SYNC_INVITATION_H

#include "crypto/token.h"
#include "sync/limits.h"

/* "dunlin:HOST:PORT/TOKEN" */
#define INVITATION_MAX (CELL_URL_MAX + TOKEN_TEXT_LEN + 8)

struct invitation {
    char host[CELL_URL_MAX + 1]; /* as dunlin-agent join takes it: HOST[:PORT], or a URL */
    struct token_text token;
};

struct invitation_text {
    char text[INVITATION_MAX + 1];
};

struct invitation_text invitation_write(const struct invitation *i);

/* True when the text means to be one, whether it is right or not. */
bool invitation_begins(const char *text);

/* ERR_FORMAT, with what is wrong. */
int invitation_read(const char *text, struct invitation *out, struct errmsg *em);

#endif
