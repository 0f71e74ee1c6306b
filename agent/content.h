/*
 * content: walks the chunks of one bundle in order, from the chunk store, holding one index chunk
 * and one content chunk. It knows nothing of trees and links; a chunk that doesn't prove itself is
 * removed, so that it is fetched again.
 */
#ifndef DUNLIN_AGENT_CONTENT_H
#define DUNLIN_AGENT_CONTENT_H

#include "agent/chunks.h"
#include "bundles/chunk.h"
#include "bundles/index.h"
#include "sync/trust.h"

/* About 600 KiB: keep it in static memory. Callers read `manifest` and `bundle`. */
struct content {
    const struct chunks *chunks;
    struct chunk_opener *opener;
    struct digest bundle; /* which one is open; zero: none */
    struct manifest manifest;
    uint32_t next_index; /* of the manifest's index chunks: the next to be read */
    uint32_t next_ref;   /* of the index chunk that is held */
    uint32_t refs;       /* in it */
    uint32_t passed;     /* references given out since the start */
    size_t index_len;
    /* Written before they are read, and not touched before: while idle they take no memory. */
    uint8_t index[INDEX_CHUNK_MAX];
    uint8_t plain[CHUNK_MAX];
    uint8_t frame[CHUNK_FRAME_MAX];
};

/* ERR_NO_MEMORY when the decompressor can't be made. `chunks` is borrowed. */
int content_init(struct content *c, const struct chunks *chunks, struct errmsg *em);
void content_free(struct content *c);

/*
 * Reads the bundle's manifest and stands before its first chunk. With `trust` it checks who signed
 * it (ERR_UNTRUSTED, ERR_SIGNATURE); NULL is for a bundle that was checked before. ERR_NOT_FOUND
 * or ERR_DIGEST when the manifest isn't here, ERR_FORMAT when it is none.
 */
int content_open(struct content *c, const struct digest *bundle, const struct trust *trust,
                 struct errmsg *em);

/* Only reads the manifest, for a look, changing nothing in the chunk store. */
int content_peek(struct content *c, const struct digest *bundle);

/* Stands before the first chunk again. */
void content_rewind(struct content *c);

/*
 * The next reference: 1, or 0 at the end. ERR_NOT_FOUND or ERR_DIGEST when an index chunk isn't
 * here (any more), ERR_FORMAT when the index isn't what the manifest says.
 */
int content_next(struct content *c, struct chunk_ref *ref, struct errmsg *em);

/* Reads one chunk, proven; borrowed until the next call. ERR_NOT_FOUND, or ERR_DIGEST: it was torn
 * and is gone. */
int content_read(struct content *c, const struct chunk_ref *ref, struct span *plain,
                 struct errmsg *em);

/* Whether a frame from anybody is the chunk of that name, and how many plain bytes it has. */
int content_check(struct content *c, const struct digest *name, struct span frame, size_t *len);

#endif
