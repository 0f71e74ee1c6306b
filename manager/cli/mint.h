/*
 * mint: has the manager make tokens, and writes them down as they come: one a line, as CSV for a
 * factory, or as JSON. It knows no flags.
 */
#ifndef DUNLIN_MANAGER_CLI_MINT_H
#define DUNLIN_MANAGER_CLI_MINT_H

#include "manager/cli/client.h"
#include "manager/cli/serials.h"
#include "sync/invitation.h"

#include <stdio.h>

/* Digits of a batch's number. */
#define MINT_BATCH_MAX 11

enum mint_format {
    MINT_LINES, /* the tokens alone */
    MINT_CSV,   /* number,token,serial,host: a line is all that a device needs */
    MINT_JSON,  /* {"batch", "host", "tokens": [...]} */
};

struct mint_order {
    uint64_t count;
    uint64_t uses;
    uint64_t ttl_s;
    const char *labels;
    bool approve;
    const struct serials *serials; /* `count` of them, for bound tokens; NULL: not bound */
};

struct mint {
    struct client *client;
    FILE *out; /* NULL: only the invitation is wanted */
    enum mint_format format;
    struct errmsg *em;

    /* What comes out: */
    char batch[MINT_BATCH_MAX + 1];
    uint64_t made;
    struct invitation invitation; /* with the first token */

    const struct serials *serials; /* of the order */
    size_t serials_at;             /* of the next token's */
    char held[TOKEN_TEXT_LEN + 1]; /* the beginning of a line whose end is still to come */
    size_t held_len;
};

/* With client, out, format and em set. ERR_IO, with the batch to revoke, when not all came. */
int mint(struct mint *m, const struct mint_order *order);

#endif
