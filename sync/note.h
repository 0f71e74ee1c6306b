/*
 * note: what a hook said last before it failed, as its agent tells it, once. It knows nothing of
 * hooks, and takes the words for bytes: whoever shows them makes them printable.
 */
#ifndef DUNLIN_SYNC_NOTE_H
#define DUNLIN_SYNC_NOTE_H

#include "sync/status.h"

/* The last lines: enough for a sentence with a reason, and short enough for a slow link. */
#define NOTE_TEXT_MAX 1024
/* A note with its MAC. */
#define NOTE_MAX (NOTE_TEXT_MAX + 64)

struct note {
    uint32_t number; /* agent number */
    uint32_t deployment;
    uint32_t generation; /* that failed */
    uint8_t cause;       /* enum cause: which hook */
    struct span text;    /* borrowed when read */
};

/* Appends the message and its MAC. */
int note_write(const struct note *n, const struct mac_key *key, struct buffer *out);
/* Reads without checking the MAC, as report_read: report_check does. */
int note_read(struct span bytes, struct note *n);

#endif
