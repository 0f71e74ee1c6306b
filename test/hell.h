/*
 * hell: bundles that a publisher whom everybody trusts made to do harm: each has a name, what it is
 * to be refused with, and the tree or the lies that are in it. It signs and cuts them as the real
 * packer would; where they go is the caller's.
 */
#ifndef DUNLIN_TEST_HELL_H
#define DUNLIN_TEST_HELL_H

#include "bundles/chunk.h"
#include "bundles/entry.h"
#include "bundles/index.h"
#include "sync/wire.h"
#include "test/tree.h"

/* Where chunks go. */
struct hell_sink {
    void *context;
    void (*put)(void *context, const struct digest *name, struct span frame);
};

struct hell {
    const struct hell_sink *sink;
    struct chunk_packer *packer;
    struct manifest manifest;
    struct digest last;   /* that was put */
    struct buffer stream; /* the chunk that is being filled */
    struct buffer index;
    uint8_t stream_memory[CHUNK_MAX];
    uint8_t index_memory[INDEX_CHUNK_MAX];
};

struct hell_case {
    const char *name;
    const char *sentence; /* a part of what is said */
    int error;
    bool by_manager; /* it can be told by the index alone, and the manager takes no such bundle */
    void (*build)(struct hell *h);
    void (*lie)(struct manifest *m); /* or NULL */
};

/* ---- cutting ---- */

static inline struct digest hell_put(struct hell *h, struct span plain)
{
    static uint8_t room[CHUNK_FRAME_MAX];
    struct buffer frame = buffer_on(room, sizeof room);
    struct digest name = digest_of(plain);
    if (digest_equal(&name, &h->last)) /* a bomb's index is the same again and again */
        return name;
    h->last = name;
    tree_must(chunk_pack(h->packer, plain, &frame) == 0, "pack a chunk");
    h->sink->put(h->sink->context, &name, span_buffer(&frame));
    return name;
}

static inline void hell_end_index(struct hell *h)
{
    struct manifest *m = &h->manifest;
    if (h->index.len == 0)
        return;
    tree_must(m->index_count < MANIFEST_INDEX_MAX, "a smaller index");
    m->index[m->index_count].digest = hell_put(h, span_buffer(&h->index));
    m->index[m->index_count++].len = (uint32_t)h->index.len;
    h->index.len = 0;
}

static inline void hell_refer(struct hell *h, const struct chunk_ref *ref)
{
    h->manifest.bytes += ref->len;
    h->manifest.chunks++;
    if (index_append(&h->index, ref))
        hell_end_index(h);
}

static inline void hell_end_chunk(struct hell *h)
{
    if (h->stream.len == 0)
        return;
    struct chunk_ref ref = {.digest = hell_put(h, span_buffer(&h->stream)),
                            .len = (uint32_t)h->stream.len};
    hell_refer(h, &ref);
    h->stream.len = 0;
}

static inline void hell_bytes(struct hell *h, struct span bytes)
{
    for (size_t n; bytes.len > 0; bytes = span_of(bytes.data + n, bytes.len - n)) {
        n = h->stream.cap - h->stream.len;
        n = n < bytes.len ? n : bytes.len;
        memcpy(h->stream.data + h->stream.len, bytes.data, n);
        h->stream.len += n;
        if (h->stream.len == h->stream.cap)
            hell_end_chunk(h);
    }
}

static inline void hell_entry(struct hell *h, const struct entry *e)
{
    uint8_t room[ENTRY_HEADER_MAX + 2];
    struct buffer header = buffer_on(room, sizeof room);
    tree_must(entry_write(e, &header) == 0, e->path);
    hell_bytes(h, span_buffer(&header));
    h->manifest.files++;
}

static inline void hell_file(struct hell *h, const char *path, const char *text)
{
    struct entry e = {.type = ENTRY_FILE, .mode = 0644, .size = strlen(text)};
    snprintf(e.path, sizeof e.path, "%s", path);
    hell_entry(h, &e);
    hell_bytes(h, span_text(text));
}

static inline void hell_folder(struct hell *h, const char *path)
{
    struct entry e = {.type = ENTRY_FOLDER, .mode = 0755};
    snprintf(e.path, sizeof e.path, "%s", path);
    hell_entry(h, &e);
}

static inline void hell_link(struct hell *h, const char *path, const char *target)
{
    struct entry e = {.type = ENTRY_LINK, .mode = ENTRY_LINK_MODE};
    snprintf(e.path, sizeof e.path, "%s", path);
    snprintf(e.target, sizeof e.target, "%s", target);
    hell_entry(h, &e);
}

/* A header as another writer might make it: [type, path, mode, last]. */
static inline void hell_raw(struct hell *h, uint64_t type, const char *path, uint64_t mode,
                            const char *last)
{
    uint8_t room[ENTRY_HEADER_MAX + 2];
    struct buffer header = {.data = room, .len = 2, .cap = sizeof room};
    struct wire_writer w = wire_writer_on(&header);
    wire_put_array(&w, 4);
    wire_put_u64(&w, type);
    wire_put_text(&w, span_text(path));
    wire_put_u64(&w, mode);
    if (last)
        wire_put_text(&w, span_text(last));
    else
        wire_put_u64(&w, 0x0103);
    tree_must(wire_end(&w) == 0, path);
    header.data[0] = (uint8_t)(header.len - 2);
    header.data[1] = (uint8_t)((header.len - 2) >> 8);
    hell_bytes(h, span_buffer(&header));
    h->manifest.files++;
}

/* ---- the trees ---- */

static inline void hell_climbs(struct hell *h)
{
    hell_file(h, "../climbed", "x");
}

static inline void hell_climbs_inside(struct hell *h)
{
    hell_folder(h, "a");
    hell_file(h, "a/../../../climbed", "x");
}

static inline void hell_absolute(struct hell *h)
{
    hell_file(h, "/tmp/dunlin-hell", "x");
}

static inline void hell_control(struct hell *h)
{
    hell_raw(h, ENTRY_FILE, "\033[2J\nroot::0:0", 0644, NULL);
}

static inline void hell_long_name(struct hell *h)
{
    char name[ENTRY_NAME_MAX + 2];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    hell_file(h, name, "x");
}

static inline void hell_deep(struct hell *h)
{
    char path[2 * ENTRY_DEPTH_MAX + 2] = "d";
    for (int i = 0; i <= ENTRY_DEPTH_MAX; i++) {
        hell_folder(h, path);
        strcat(path, i < ENTRY_DEPTH_MAX ? "/d" : "");
    }
}

static inline void hell_link_out(struct hell *h)
{
    hell_folder(h, "a");
    hell_link(h, "a/out", "../../../../agent.db");
}

static inline void hell_link_absolute(struct hell *h)
{
    hell_link(h, "passwd", "/etc/passwd");
}

static inline void hell_link_round(struct hell *h)
{
    hell_folder(h, "a");
    hell_link(h, "a/round", "a/../../../..");
}

static inline void hell_through_link(struct hell *h)
{
    hell_folder(h, "a");
    hell_link(h, "a/l", "..");
    hell_file(h, "a/l/x", "x");
}

static inline void hell_over_link(struct hell *h)
{
    hell_link(h, "hooks", "other");
    hell_folder(h, "hooks");
}

static inline void hell_twice(struct hell *h)
{
    hell_file(h, "a", "first");
    hell_file(h, "a", "second");
}

static inline void hell_unordered(struct hell *h)
{
    hell_file(h, "b", "x");
    hell_file(h, "a", "x");
}

static inline void hell_file_as_folder(struct hell *h)
{
    hell_file(h, "a", "x");
    hell_file(h, "a/b", "x");
}

static inline void hell_device(struct hell *h)
{
    hell_raw(h, 6, "null", 0666, NULL);
}

static inline void hell_hard_link(struct hell *h)
{
    hell_raw(h, 5, "shadow", 0644, "/etc/shadow");
}

static inline void hell_setuid(struct hell *h)
{
    hell_raw(h, ENTRY_FILE, "su", 04755, NULL);
}

static inline void hell_closed_folder(struct hell *h)
{
    struct entry e = {.type = ENTRY_FOLDER, .mode = 0, .path = "closed"};
    hell_entry(h, &e);
}

static inline void hell_declares(struct hell *h)
{
    struct entry e = {.type = ENTRY_FILE, .mode = 0644, .size = UINT64_C(4) << 30, .path = "big"};
    hell_entry(h, &e);
}

static inline void hell_header(struct hell *h)
{
    hell_bytes(h, span_of("\xff\xff", 2));
    h->manifest.files++;
}

static inline void hell_many(struct hell *h)
{
    char path[16];
    for (int i = 0; i < 40000; i++) {
        snprintf(path, sizeof path, "%07d", i);
        hell_file(h, path, "");
    }
}

static inline void hell_few_files(struct manifest *m)
{
    m->files = 10;
}

static inline void hell_million(struct manifest *m)
{
    m->files = BUNDLE_FILES_MAX;
}

/* As many zeros as an index can name, of one small chunk: 256 GiB behind a few hundred bytes. */
static inline void hell_bomb(struct hell *h)
{
    static const uint8_t zeros[CHUNK_MAX];
    const uint64_t refs = (uint64_t)MANIFEST_INDEX_MAX * INDEX_REFS_MAX - 1;
    struct entry e = {.type = ENTRY_FILE, .mode = 0644, .path = "zeros", .size = refs * CHUNK_MAX};
    struct chunk_ref ref = {.len = CHUNK_MAX};
    hell_entry(h, &e);
    hell_end_chunk(h);
    ref.digest = hell_put(h, span_of(zeros, sizeof zeros));
    for (uint64_t i = 0; i < refs; i++)
        hell_refer(h, &ref);
}

/* The same, but the manifest says that it's next to nothing. */
static inline void hell_few_bytes(struct manifest *m)
{
    m->bytes = m->chunks;
}

static inline void hell_nothing(struct hell *h)
{
    hell_file(h, "a", "x");
}

static inline void hell_more_bytes(struct manifest *m)
{
    m->bytes++;
}

#define HELL_UNSAFE "its path, target or mode isn't safe"

static const struct hell_case hell_cases[] = {
    {"climb", HELL_UNSAFE, ERR_REFUSED, false, hell_climbs, NULL},
    {"climb-inside", HELL_UNSAFE, ERR_REFUSED, false, hell_climbs_inside, NULL},
    {"absolute", HELL_UNSAFE, ERR_REFUSED, false, hell_absolute, NULL},
    {"control", "malformed", ERR_FORMAT, false, hell_control, NULL},
    {"long-name", HELL_UNSAFE, ERR_REFUSED, false, hell_long_name, NULL},
    {"deep", HELL_UNSAFE, ERR_REFUSED, false, hell_deep, NULL},
    {"link-out", HELL_UNSAFE, ERR_REFUSED, false, hell_link_out, NULL},
    {"link-absolute", HELL_UNSAFE, ERR_REFUSED, false, hell_link_absolute, NULL},
    {"link-round", HELL_UNSAFE, ERR_REFUSED, false, hell_link_round, NULL},
    {"through-link", "no folder before it holds it", ERR_REFUSED, false, hell_through_link, NULL},
    {"over-link", "comes again", ERR_FORMAT, false, hell_over_link, NULL},
    {"twice", "comes again", ERR_FORMAT, false, hell_twice, NULL},
    {"unordered", "out of order", ERR_FORMAT, false, hell_unordered, NULL},
    {"file-as-folder", "no folder before it holds it", ERR_REFUSED, false, hell_file_as_folder,
     NULL},
    {"device", "malformed", ERR_FORMAT, false, hell_device, NULL},
    {"hard-link", "malformed", ERR_FORMAT, false, hell_hard_link, NULL},
    {"setuid", "malformed", ERR_FORMAT, false, hell_setuid, NULL},
    {"closed-folder", HELL_UNSAFE, ERR_REFUSED, false, hell_closed_folder, NULL},
    {"declares", "the stream ends inside this file", ERR_FORMAT, false, hell_declares, NULL},
    {"header", "its header can't have 65535 bytes", ERR_FORMAT, false, hell_header, NULL},
    {"many", "one entry more than the 10 there should be", ERR_FORMAT, false, hell_many,
     hell_few_files},
    {"million", "entries instead of", ERR_FORMAT, false, hell_nothing, hell_million},
    {"bomb", "MiB are needed", ERR_NO_SPACE, false, hell_bomb, NULL},
    {"hidden-bomb", "bytes and", ERR_FORMAT, true, hell_bomb, hell_few_bytes},
    {"more-bytes", "bytes and", ERR_FORMAT, true, hell_nothing, hell_more_bytes},
};

#define HELL_CASES (sizeof hell_cases / sizeof hell_cases[0])

/* Builds one, puts its chunks, and gives the signed manifest, which is a chunk as well; the
 * bundle's name is the digest of that. */
static inline struct span hell_build(const struct hell_case *c, const struct secret_key *publisher,
                                     const struct hell_sink *sink)
{
    static struct hell h;
    static uint8_t body_room[MANIFEST_MAX], room[MANIFEST_MAX];
    struct buffer body = buffer_on(body_room, sizeof body_room);
    struct buffer bytes = buffer_on(room, sizeof room);
    memset(&h, 0, sizeof h);
    h.sink = sink;
    h.packer = chunk_packer_new(1);
    h.stream = buffer_on(h.stream_memory, sizeof h.stream_memory);
    h.index = buffer_on(h.index_memory, sizeof h.index_memory);
    h.manifest = (struct manifest){
        .version = "1", .hook_timeout_s = 60, .health_deadline_s = 60, .health_interval_s = 1};
    snprintf(h.manifest.name, sizeof h.manifest.name, "hell-%s", c->name);
    c->build(&h);
    hell_end_chunk(&h);
    hell_end_index(&h);
    if (c->lie)
        c->lie(&h.manifest);
    tree_must(manifest_write(&h.manifest, &body) == 0, "write manifest");
    tree_must(envelope_seal(MESSAGE_MANIFEST, span_buffer(&body), publisher, &bytes) == 0, "sign");
    hell_put(&h, span_buffer(&bytes));
    chunk_packer_free(h.packer);
    return span_buffer(&bytes);
}

#endif
