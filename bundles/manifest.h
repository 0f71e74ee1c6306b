/*
 * manifest: what a bundle is: name, version, kind, how its hooks run, and where its content's index
 * begins; signed by one or more publishers. It knows nothing of deployments.
 */
#ifndef DUNLIN_BUNDLES_MANIFEST_H
#define DUNLIN_BUNDLES_MANIFEST_H

#include "sync/trust.h"
#include "sync/variables.h"

/* Index chunks that a manifest can name. One has 250 references on average, and a reference stands
 * for 73 KiB: enough for about 18 GiB of content. */
#define MANIFEST_INDEX_MAX 1024
/* Content in one bundle. */
#define BUNDLE_BYTES_MAX (1ull << 40)
#define BUNDLE_FILES_MAX 1000000
/* A hook or a health check that takes longer than a day is a mistake. */
#define HOOK_TIMEOUT_S_MAX 86400

enum bundle_kind {
    BUNDLE_FILES = 0, /* a tree of files, with hooks */
    BUNDLE_AGENT = 1, /* the agent itself: ARCH/dunlin-agent for each kind of machine */
    BUNDLE_KIND_COUNT,
};

const char *bundle_kind_name(enum bundle_kind kind);

/* A chunk of the content stream or of its index. */
struct chunk_ref {
    struct digest digest;
    uint32_t len; /* plain bytes, 1 to CHUNK_MAX */
};

/* A variable without which the bundle is not deployed. */
struct need {
    char name[VARIABLE_NAME_MAX + 1];
    bool in_template; /* so its value will stand in a file */
};

/* By strictly rising name. All-zero: none. */
struct needs {
    uint32_t count;
    struct need list[VARIABLES_NEEDED_MAX];
};

/* Adds one, or what is new about it. ERR_RANGE when there are too many, ERR_FORMAT for a name that
 * is none. */
int needs_add(struct needs *n, const char *name, bool in_template);
/* As an element of a message. */
struct wire_writer;
struct wire_reader;
void needs_put(struct wire_writer *w, const struct needs *n);
void needs_get(struct wire_reader *r, struct needs *n);

struct manifest {
    char name[NAME_MAX_LEN + 1];
    char version[NAME_MAX_LEN + 1];
    enum bundle_kind kind;
    uint32_t hook_timeout_s;    /* each of pre-apply, apply, remove */
    uint32_t health_deadline_s; /* until hooks/health must have passed */
    uint32_t health_interval_s; /* between two tries */
    uint64_t bytes;             /* of the content stream */
    uint32_t files;             /* entries in it */
    uint32_t chunks;            /* references in the index */
    uint32_t index_count;
    struct chunk_ref index[MANIFEST_INDEX_MAX]; /* the chunks that hold the index */
    struct needs needs;
};

/* Appends the unsigned body. ERR_FORMAT or ERR_RANGE for what the reader would refuse: times are 1
 * second or more. */
int manifest_write(const struct manifest *m, struct buffer *out);
/* Reads a body, every range checked. ERR_FORMAT or ERR_RANGE. */
int manifest_read(struct span body, struct manifest *m);

/*
 * Checks that enough of the trusted publishers have signed, then reads. ERR_UNTRUSTED,
 * ERR_SIGNATURE or ERR_FORMAT. A bundle's digest is the digest of the whole signed manifest.
 */
int manifest_open(struct span bytes, const struct trust *trust, struct manifest *m);
/* Reads one whose signatures were checked before. */
int manifest_peek(struct span bytes, struct manifest *m);

#endif
