/*
 * entry: one file, folder or link at the head of its content in the stream. Writer and reader of a
 * bundle's tree. Paths are relative, clean, sorted with parents first; modes are permission bits
 * only. Everything is hostile.
 */
#ifndef DUNLIN_BUNDLES_ENTRY_H
#define DUNLIN_BUNDLES_ENTRY_H

#include "base/err.h"
#include "base/span.h"
#include "bundles/template.h"

#define ENTRY_PATH_MAX 1023
#define ENTRY_DEPTH_MAX 32
/* One part of a path: what Linux file systems hold. */
#define ENTRY_NAME_MAX 255
/* Folders let their owner read, write and enter, or nothing could be put into them. */
#define ENTRY_FOLDER_MODE 0700u
/* Links have no mode of their own; Linux shows this one. */
#define ENTRY_LINK_MODE 0777u
/* A 2-byte little-endian length, then the MessagePack header of at most this many bytes. */
#define ENTRY_HEADER_MAX 2200

/* A template is a file in whose content ${name} stands for a value (bundles/template.h). */
enum entry_type { ENTRY_FOLDER = 1, ENTRY_FILE = 2, ENTRY_LINK = 3, ENTRY_TEMPLATE = 4 };

struct entry {
    enum entry_type type;
    uint32_t mode; /* 0 to 0777 */
    uint64_t size; /* of a file's content, which follows in the stream */
    char path[ENTRY_PATH_MAX + 1];
    char target[ENTRY_PATH_MAX + 1]; /* of a link */
};

/* Appends length and header. */
int entry_write(const struct entry *e, struct buffer *out);
/* Reads a header without its length. ERR_FORMAT or ERR_REFUSED for a path or target that isn't
 * safe. */
int entry_read(struct span header, struct entry *e);

/* Relative, no empty, "." or ".." part, no control character, not too long or deep. */
bool entry_path_safe(const char *path);
/*
 * Leads to something inside the tree: relative, and ".." only at its front and no more often than
 * `path` is deep. (A ".." behind a name could climb out through a link of that name.)
 */
bool entry_target_safe(const char *path, const char *target);

/*
 * The order of a stream: bytewise, with '/' before every other byte, so that a folder's content
 * follows it directly. Negative, zero or positive.
 */
int entry_path_compare(const char *a, const char *b);

#endif
