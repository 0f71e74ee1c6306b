/*
 * unpack: writes a content stream's tree into a folder that it is given, following no link and
 * leaving no other trace. It knows nothing of where chunks come from; it is fed plain bytes in
 * order.
 */
#ifndef DUNLIN_BUNDLES_UNPACK_H
#define DUNLIN_BUNDLES_UNPACK_H

#include "bundles/entry.h"

/* The caller's memory; about 5 KiB. */
struct unpacker {
    int root;           /* descriptor of the folder, borrowed */
    int folder;         /* the folder of the first `folder_len` bytes of `last`, or -1 */
    int file;           /* the file being written, or -1 */
    int error;          /* the first error, which stays */
    uint64_t file_left; /* bytes it still lacks */
    uint32_t files;     /* entries so far */
    uint32_t files_max;
    struct span values; /* the caller's: for templates, a list (sync/variables.h); borrowed */
    uint64_t growth;    /* bytes that values added */
    struct template template;
    uint32_t header_len; /* 0 while the length itself is being collected */
    size_t have;         /* bytes collected of length and header */
    size_t folder_len;
    uint8_t header[ENTRY_HEADER_MAX + 2];
    char last[ENTRY_PATH_MAX + 1]; /* paths rise: what came last */
    struct entry entry;
};

/*
 * `root` must be open, empty, and stay open until unpack_end. More than `files_max` entries are
 * refused. What templates name is to be set behind it, as `values`; one that names anything else,
 * or a secret, is refused.
 */
void unpack_start(struct unpacker *u, int root, uint32_t files_max);
/*
 * Takes the next bytes, in pieces of any size. ERR_FORMAT, ERR_REFUSED, ERR_NO_SPACE or ERR_IO,
 * with the entry's path in the sentence; after an error every call answers it again.
 */
int unpack_add(struct unpacker *u, struct span plain, struct errmsg *em);
/*
 * Closes what is open, also after an error. ERR_FORMAT when the stream is empty or ends in the
 * middle. What was written stays; it isn't synced, and `files` is left for the caller to compare.
 */
int unpack_end(struct unpacker *u, struct errmsg *em);

#endif
