/*
 * pack: turns a folder into a content stream, chunks and a manifest, reading every file once and
 * holding one chunk. It knows nothing of where chunks go: they are handed to the caller one by one.
 */
#ifndef DUNLIN_BUNDLES_PACK_H
#define DUNLIN_BUNDLES_PACK_H

#include "bundles/chunk.h"
#include "bundles/index.h"

struct pack_sink {
    void *context;
    /* True when the chunk need not be made, because it is there already. May be NULL. */
    bool (*has)(void *context, const struct digest *name);
    /* Takes one framed chunk. A negative code ends the packing. */
    int (*put)(void *context, const struct digest *name, struct span frame, struct errmsg *em);
    /* After each entry, for progress. May be NULL. */
    void (*progress)(void *context, uint64_t bytes, uint32_t files);
    /* Files, by their paths in the tree, that are templates: at most PACK_TEMPLATES_MAX. */
    const char *const *templates;
    size_t template_count;
};

#define PACK_TEMPLATES_MAX 64

/*
 * Packs the tree at `path`. The caller has set name, version, kind, times and declared needs in
 * `m`; pack fills the rest, and adds what templates need. Refused with a sentence that names the
 * path: a tree that is missing, empty or unreadable, devices, sockets, pipes, links that lead out
 * of the tree, names with control characters, a file that changes while it is read, a template that
 * is missing, too large or not well-formed.
 */
int pack_tree(const char *path, const struct pack_sink *sink, struct manifest *m,
              struct errmsg *em);

#endif
