/*
 * join: turns a blank device and a token into an agent: it keeps a fresh key, asks under the
 * token's seal until it is answered, checks the answer and keeps it. It knows nothing of what the
 * agent does afterwards.
 */
#ifndef DUNLIN_AGENT_JOIN_H
#define DUNLIN_AGENT_JOIN_H

#include "agent/store.h"

/* A request that got no answer in this time is sent anew, after the back-off. */
#define JOIN_ANSWER_MS 2000
/* The back-off's first bound, unless the options have another; it doubles up to the last. */
#define JOIN_BACKOFF_MS 1000
#define JOIN_BACKOFF_MS_MAX 60000
/* Answers to this many last requests are listened to: a busy manager may be slow. */
#define JOIN_HEARD 8
/* The manager has to say this often that it doesn't know the token: it says so in clear, and anyone
 * could. */
#define JOIN_HINTS 3

struct join_options {
    const char *address; /* of the fleet's door */
    const char *token;   /* text */
    const char *dir;
    const char *serial; /* the device's serial number; "": not known */
    struct facts facts;
    uint32_t timeout_s;  /* 0: keep trying */
    uint32_t backoff_ms; /* the back-off's first bound; 0: JOIN_BACKOFF_MS */
};

/*
 * Joins, or finds that DIR has joined with this token. Says what it waits for on standard error,
 * once for each reason, and the outcome in one line on standard output. ERR_USAGE, ERR_FORMAT (no
 * token), ERR_EXISTS (joined with another token), ERR_REFUSED, ERR_TIMEOUT, ERR_BUSY (interrupted,
 * or another program works in DIR), or what the disk said.
 */
int join_fleet(const struct join_options *options, struct errmsg *em);

#endif
