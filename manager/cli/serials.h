/*
 * serials: serial numbers of devices from a file, one a line.
 * It knows nothing of what they are for.
 */
#ifndef DUNLIN_MANAGER_CLI_SERIALS_H
#define DUNLIN_MANAGER_CLI_SERIALS_H

#include "base/err.h"
#include "base/span.h"

/* In order, without spaces around them and without empty lines. */
struct serials {
    char *lines; /* each with its end of line */
    size_t len;
    size_t cap;
    size_t count;
};

/* Adds one. ERR_FORMAT when it is none (token_serial_valid). */
int serials_add(struct serials *s, struct span text, struct errmsg *em);
/* Reads all, replacing what is there. ERR_FORMAT names the line, ERR_NOT_FOUND for no file. */
int serials_read(struct serials *s, const char *path, struct errmsg *em);
void serials_free(struct serials *s);

/* The lines from offset `*at` on, at most `max` of them; moves `*at` behind them. */
struct span serials_next(const struct serials *s, size_t *at, size_t max);

#endif
