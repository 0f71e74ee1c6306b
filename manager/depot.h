/*
 * depot: the content of all bundles as files DIR/chunks/xx/DIGEST, each a frame (bundles/chunk.h).
 * It knows nothing of bundles; who needs a chunk stands in the ledger.
 *
 * A put is not synced by itself: thirty thousand fsyncs take minutes. depot_sync makes all of them
 * durable at once, before a bundle that needs them is committed. What a crash of the machine may
 * have torn before that is thrown away at the next start.
 */
#ifndef DUNLIN_MANAGER_DEPOT_H
#define DUNLIN_MANAGER_DEPOT_H

#include "bundles/chunk.h"
#include "crypto/digest.h"

struct depot;

struct depot_keep {
    void *context;
    bool (*needed)(void *context, const struct digest *name); /* a committed bundle has it */
};

/* Makes DIR/chunks when missing. After a crash of the machine between a put and its sync, removes
 * what `keep` doesn't need. NULL with a sentence. */
struct depot *depot_open(const char *dir, const struct depot_keep *keep, struct errmsg *em);
void depot_close(struct depot *d);

bool depot_has(struct depot *d, const struct digest *name);
/* The frame as it was put, replacing `frame` (cap >= CHUNK_FRAME_MAX). ERR_NOT_FOUND or ERR_IO. */
int depot_get(struct depot *d, const struct digest *name, struct buffer *frame, struct errmsg *em);
/* The frame's length, or ERR_NOT_FOUND. */
int64_t depot_size(struct depot *d, const struct digest *name);
/* The plain bytes, checked against their name, replacing `plain` (cap >= CHUNK_MAX). */
int depot_get_plain(struct depot *d, const struct digest *name, struct buffer *plain,
                    struct errmsg *em);
/* Keeps a frame whose content the caller has checked. 1 when it was there already. ERR_NO_SPACE or
 * ERR_IO. */
int depot_put(struct depot *d, const struct digest *name, struct span frame, struct errmsg *em);
/* The same chunk in the depot of another folder: a hard link, or a copy. Neither has to be open,
 * and nothing is synced. ERR_NOT_FOUND when the first one hasn't got it. */
int depot_share(const char *dir, const char *other, const struct digest *name, struct errmsg *em);
/* Nothing there is success. */
void depot_remove(struct depot *d, const struct digest *name);
/* Everything put so far is on the disk. */
int depot_sync(struct depot *d, struct errmsg *em);

#endif
