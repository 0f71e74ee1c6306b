/*
 * index: the list of a content stream's chunks, itself cut into chunks, so that an edit changes a
 * few of them. 36 bytes a reference: digest, then the length, little-endian.
 */
#ifndef DUNLIN_BUNDLES_INDEX_H
#define DUNLIN_BUNDLES_INDEX_H

#include "bundles/manifest.h"

#define INDEX_REF_LEN 36
/* An index chunk ends after this many references, or earlier after a digest whose first byte is
 * zero. */
#define INDEX_REFS_MAX 1024
#define INDEX_CHUNK_MAX (INDEX_REF_LEN * INDEX_REFS_MAX)

/* Appends one reference (`out` has room for INDEX_CHUNK_MAX). True when the index chunk ends after
 * it. */
bool index_append(struct buffer *out, const struct chunk_ref *ref);

/* How many references an index chunk holds; ERR_FORMAT when its length is no multiple, 0 or too
 * large. */
int index_count(struct span chunk);
/* The i-th of them; ERR_RANGE when its length is 0 or above CHUNK_MAX. */
int index_get(struct span chunk, size_t i, struct chunk_ref *ref);

#endif
