/*
 * chunker: finds content-defined cut points in a stream, so that an edit changes only the chunks
 * around it. FastCDC with normalised chunking (Xia et al., USENIX ATC 2016). It keeps no bytes,
 * only where it is.
 */
#ifndef DUNLIN_BUNDLES_CHUNKER_H
#define DUNLIN_BUNDLES_CHUNKER_H

#include "base/span.h"
#include "sync/limits.h"

#define CHUNK_MIN 16384
#define CHUNK_AVERAGE 65536

struct chunker {
    uint64_t hash;
    uint32_t len; /* bytes of the current chunk so far */
};

/* All-zero is a fresh chunker. */

/*
 * Looks at the next bytes. Returns how many of them still belong to the current chunk; `*cut` says
 * whether the chunk ends there (the next call then starts a new one). Without a cut all bytes were
 * taken.
 */
size_t chunker_scan(struct chunker *c, struct span bytes, bool *cut);

#endif
