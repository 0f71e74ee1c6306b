/*
 * chunks: the framed chunks that this device has, as files DIR/chunks/xx/<digest>.
 * It knows nothing of what is in them. Nothing is synced: a frame proves itself by its name, and
 * whoever reads one that doesn't removes it, so that it is fetched again.
 */
#ifndef DUNLIN_AGENT_CHUNKS_H
#define DUNLIN_AGENT_CHUNKS_H

#include "base/err.h"
#include "base/span.h"
#include "crypto/digest.h"

struct chunks {
    int folder; /* descriptor of DIR/chunks */
};

/* Makes DIR/chunks when it is missing. */
int chunks_open(struct chunks *c, const char *dir, struct errmsg *em);
/* The same, but for a look only: ERR_NOT_FOUND when there is none. */
int chunks_open_read(struct chunks *c, const char *dir, struct errmsg *em);
void chunks_close(struct chunks *c);

bool chunks_has(const struct chunks *c, const struct digest *name);
/* Replaces the content of `frame`. ERR_NOT_FOUND, ERR_RANGE when it doesn't fit, ERR_DAMAGED when
 * the disk can't read it any more, or ERR_IO. */
int chunks_get(const struct chunks *c, const struct digest *name, struct buffer *frame,
               struct errmsg *em);
int chunks_put(const struct chunks *c, const struct digest *name, struct span frame,
               struct errmsg *em);
/* Nothing there is success. */
int chunks_remove(const struct chunks *c, const struct digest *name, struct errmsg *em);

/* Removes every chunk that `keep` doesn't want, and what killed writers left. Returns how many, or
 * what was wrong with a folder, the last one, when all others have been swept. */
int chunks_sweep(const struct chunks *c, bool (*keep)(void *context, const struct digest *name),
                 void *context, struct errmsg *em);

#endif
