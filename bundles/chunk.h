/*
 * chunk: one piece of content, named by the SHA-256 of its plain bytes, framed for the wire:
 * a byte that says how it is packed (0 as it is, 1 zstd), then the data. The only place with zstd.
 */
#ifndef DUNLIN_BUNDLES_CHUNK_H
#define DUNLIN_BUNDLES_CHUNK_H

#include "base/err.h"
#include "base/span.h"
#include "crypto/digest.h"
#include "sync/limits.h"

/* A frame is never larger than the plain chunk and its one byte: what doesn't shrink goes as it is.
 */
#define CHUNK_FRAME_MAX (CHUNK_MAX + 1)

struct chunk_packer;
struct chunk_opener;

/* Heap-held compression state; NULL when there is no memory. Level 0 means the default (9). */
struct chunk_packer *chunk_packer_new(int level);
void chunk_packer_free(struct chunk_packer *p);
/* Frames 1 to CHUNK_MAX plain bytes; replaces the content of `frame` (cap >= CHUNK_FRAME_MAX). */
int chunk_pack(struct chunk_packer *p, struct span plain, struct buffer *frame);

/* Decompression state, made once: its window is bounded by CHUNK_MAX whatever the frame declares.
 */
struct chunk_opener *chunk_opener_new(void);
void chunk_opener_free(struct chunk_opener *o);
/*
 * Unpacks a frame from anybody into `plain` (replaced; cap >= CHUNK_MAX) and compares it with its
 * name. ERR_FORMAT, ERR_RANGE (more than CHUNK_MAX, or a frame longer than its chunk and a byte) or
 * ERR_DIGEST.
 */
int chunk_open(struct chunk_opener *o, struct span frame, const struct digest *name,
               struct buffer *plain);

#endif
