/*
 * output: what a hook and its children say: a pipe that is read as fast as it is filled, and a log
 * that keeps only so much of it. It knows nothing of who speaks; nobody who speaks ever waits for
 * it or ends because of it.
 */
#ifndef DUNLIN_AGENT_OUTPUT_H
#define DUNLIN_AGENT_OUTPUT_H

#include "base/file.h"

#include <stdbool.h>

/* A log keeps this much; what is said beyond is dropped. Enough for any trace that a person reads,
 * and a thousand logs still fit on a small flash. */
#define OUTPUT_KEPT_MAX (256u * 1024)

struct output {
    int pipe; /* -1: nobody speaks any more */
    int log;  /* -1: what is said is dropped */
    size_t kept;
};

/* One that isn't open; closing it does nothing. */
#define OUTPUT_CLOSED ((struct output){.pipe = -1, .log = -1})

/*
 * Empties the log and opens a pipe whose other end, the result, is for the speaker: give it away
 * and close it. A log that can't be written, on a full disk, keeps nothing, and nobody is told.
 * ERR_NO_MEMORY when there can't be one more pipe now.
 */
int output_open(struct output *o, const char *log, struct errmsg *em);

/* Readable when there is something to take; -1 when that is over. */
int output_descriptor(const struct output *o);
/* Takes what is there, without waiting. */
void output_take(struct output *o);

/*
 * Takes the last words and closes the log. Where somebody still holds the pipe, a daemon that a
 * hook left behind, a process of its own goes on reading for as long as that lives.
 */
void output_close(struct output *o);

#endif
