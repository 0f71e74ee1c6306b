/*
 * err: the one list of error codes, and a caller-held text that says what went wrong.
 * Functions return 0 or a positive result, or one of these negative codes. It never prints.
 */
#ifndef DUNLIN_BASE_ERR_H
#define DUNLIN_BASE_ERR_H

#include <stdarg.h>

enum err {
    ERR_IO = -1,         /* the system refused: open, read, write, connect */
    ERR_NO_MEMORY = -2,  /* a buffer, an arena or the heap is full */
    ERR_NO_SPACE = -3,   /* the disk is full */
    ERR_NOT_FOUND = -4,  /* no such thing */
    ERR_EXISTS = -5,     /* there is one already */
    ERR_FORMAT = -6,     /* bytes that don't follow the format */
    ERR_RANGE = -7,      /* a value beyond its named limit */
    ERR_SIGNATURE = -8,  /* a signature, MAC or seal doesn't hold */
    ERR_DIGEST = -9,     /* content differs from its digest */
    ERR_OLD = -10,       /* older than what is held */
    ERR_FOREIGN = -11,   /* meant for somebody else */
    ERR_UNTRUSTED = -12, /* signed by a key that isn't trusted */
    ERR_EXPIRED = -13,   /* past its time */
    ERR_REFUSED = -14,   /* understood and not granted */
    ERR_BUSY = -15,      /* held by someone else, or not now */
    ERR_USAGE = -16,     /* wrong words on a command line or in a file */
    ERR_TIMEOUT = -17,   /* did not come in time */
    ERR_CRYPTO = -18,    /* the crypto library failed */
    ERR_DAMAGED = -19,   /* stored data is not what was stored */
};

/* Room for one clear sentence with a path in it. */
#define ERRMSG_MAX 512

struct errmsg {
    char text[ERRMSG_MAX];
};

/* A short constant name of a code, for logs ("no-space"); "ok" for 0 and above. */
const char *err_name(int rv);

/* Writes the sentence and returns `rv`, so that a caller can `return errmsg_set(em, ERR_X, …)`.
 * Control characters become '?'. `em` may be NULL. */
int errmsg_set(struct errmsg *em, int rv, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts a new sentence before the one that is there: "new: old". Returns `rv`. */
int errmsg_wrap(struct errmsg *em, int rv, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
