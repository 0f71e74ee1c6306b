/*
 * draft: a trust document or a manifest that waits for signatures, as one line of text in a file:
 * "dunlin-draft-1 trust HEX" or "dunlin-draft-1 manifest HEX". It checks no signature.
 */
#ifndef DUNLIN_MANAGER_CLI_DRAFT_H
#define DUNLIN_MANAGER_CLI_DRAFT_H

#include "bundles/manifest.h"

#define DRAFT_MAX MANIFEST_MAX

struct draft {
    enum message type; /* MESSAGE_TRUST or MESSAGE_MANIFEST */
    struct envelope envelope;
    struct trust trust;       /* what it says: one of the two */
    struct manifest manifest; /* 40 KiB: keep it in static memory */
    size_t len;
    uint8_t bytes[DRAFT_MAX]; /* what `envelope` borrows from */
};

/* Reads a draft's text strictly. ERR_FORMAT or ERR_RANGE. */
int draft_parse(struct span text, struct draft *d);

/* The same from a file. ERR_NOT_FOUND, or ERR_FORMAT with what it should be. */
int draft_read(const char *path, struct draft *d, struct errmsg *em);

/* Writes an envelope as a draft, in place of an older one. */
int draft_write(const char *path, enum message type, const struct envelope *e, struct errmsg *em);

/* The envelope as it travels, into `out` (appended). */
int draft_seal(const struct draft *d, struct buffer *out);

#endif
