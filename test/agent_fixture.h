/*
 * agent_fixture: a small fleet's keys, signed messages and bundles for tests of the agent's parts.
 * What can't be done ends the test program.
 */
#ifndef DUNLIN_TEST_AGENT_FIXTURE_H
#define DUNLIN_TEST_AGENT_FIXTURE_H

#include "agent/chunks.h"
#include "agent/store.h"
#include "bundles/pack.h"
#include "test/tree.h"

struct fixture_fleet {
    struct secret_key root_secret, online_secret, publisher_secret, agent_secret;
    struct public_key root, online, publisher, agent;
    struct trust trust;
};

static inline void fixture_fleet(struct fixture_fleet *f)
{
    memset(f, 0, sizeof *f);
    tree_must(sign_generate(&f->root_secret, &f->root) == 0, "root key");
    tree_must(sign_generate(&f->publisher_secret, &f->publisher) == 0, "publisher key");
    tree_must(sign_generate(&f->agent_secret, &f->agent) == 0, "agent key");
    tree_must(sign_generate(&f->online_secret, &f->online) == 0, "online key");
    f->trust = (struct trust){.version = 1, .issued_s = 1};
    tree_must(trust_add(&f->trust, TRUST_ROOTS, &f->root) == 0, "root");
    tree_must(trust_add(&f->trust, TRUST_PUBLISHERS, &f->publisher) == 0, "publisher");
    tree_must(trust_add(&f->trust, TRUST_ONLINE, &f->online) == 0, "online");
}

/* An envelope in memory of its own. */
struct fixture_message {
    struct buffer bytes;
    uint8_t room[DOCUMENT_MAX];
};

static inline void fixture_seal(struct fixture_message *m, enum message type, struct buffer body,
                                const struct secret_key *key)
{
    m->bytes = buffer_on(m->room, sizeof m->room);
    tree_must(envelope_seal(type, span_buffer(&body), key, &m->bytes) == 0, "seal");
}

static inline void fixture_assignment(const struct fixture_fleet *f, const struct assignment *a,
                                      struct fixture_message *m)
{
    uint8_t room[ASSIGNMENT_MAX];
    struct buffer body = buffer_on(room, sizeof room);
    tree_must(assignment_write(a, &body) == 0, "write assignment");
    fixture_seal(m, MESSAGE_ASSIGNMENT, body, &f->online_secret);
}

static inline void fixture_document(const struct fixture_fleet *f, const struct desired *d,
                                    struct fixture_message *m)
{
    static uint8_t room[DOCUMENT_MAX];
    struct buffer body = buffer_on(room, sizeof room);
    tree_must(desired_write(d, &body) == 0, "write document");
    fixture_seal(m, MESSAGE_DESIRED, body, &f->online_secret);
}

static inline void fixture_trust(const struct fixture_fleet *f, const struct trust *t,
                                 struct fixture_message *m)
{
    uint8_t room[TRUST_MAX];
    struct buffer body = buffer_on(room, sizeof room);
    tree_must(trust_write(t, &body) == 0, "write trust");
    fixture_seal(m, MESSAGE_TRUST, body, &f->root_secret);
}

static inline struct assignment fixture_first_assignment(const struct fixture_fleet *f)
{
    struct assignment a = {
        .agent = key_id_of(&f->agent),
        .revision = {.epoch = 1, .number = 1},
        .issued_s = 1,
        .cohort = {.bytes = {1, 2, 3}},
    };
    tree_must(labels_parse(&a.labels, span_text("env=prod"), NULL) == 0, "labels");
    return a;
}

/* ---- bundles ---- */

static inline int fixture_put(void *context, const struct digest *name, struct span frame,
                              struct errmsg *em)
{
    return chunks_put(context, name, frame, em);
}

/* Frames bytes and puts them under their digest. */
static inline struct digest fixture_chunk(const struct chunks *to, struct span plain)
{
    static uint8_t room[CHUNK_FRAME_MAX];
    struct buffer frame = buffer_on(room, sizeof room);
    struct chunk_packer *packer = chunk_packer_new(1);
    struct digest name = digest_of(plain);
    tree_must(packer && chunk_pack(packer, plain, &frame) == 0, "pack a chunk");
    tree_must(chunks_put(to, &name, span_buffer(&frame), NULL) == 0, "put a chunk");
    chunk_packer_free(packer);
    return name;
}

/* Signs the manifest and puts it among the chunks: that is the bundle's digest. */
static inline struct digest fixture_manifest(const struct chunks *to, const struct manifest *m,
                                             const struct secret_key *key)
{
    static uint8_t body_room[MANIFEST_MAX], room[MANIFEST_MAX];
    struct buffer body = buffer_on(body_room, sizeof body_room);
    struct buffer bytes = buffer_on(room, sizeof room);
    tree_must(manifest_write(m, &body) == 0, "write manifest");
    tree_must(envelope_seal(MESSAGE_MANIFEST, span_buffer(&body), key, &bytes) == 0, "sign it");
    return fixture_chunk(to, span_buffer(&bytes));
}

/* Packs the folder into `to`; `m` comes out as packed. */
static inline struct digest fixture_bundle(const struct chunks *to, const char *path,
                                           const char *version, const struct secret_key *key,
                                           struct manifest *m)
{
    struct chunks target = *to;
    const struct pack_sink sink = {.context = &target, .put = fixture_put};
    *m = (struct manifest){.name = "app", .hook_timeout_s = 60, .health_deadline_s = 60};
    m->health_interval_s = 1;
    snprintf(m->version, sizeof m->version, "%s", version);
    struct errmsg em = {0};
    tree_must(pack_tree(path, &sink, m, &em) == 0, em.text);
    return fixture_manifest(to, m, key);
}

/* Bytes that don't compress and don't repeat. */
static inline void fixture_noise(uint8_t *out, size_t len, uint64_t seed)
{
    struct rng r = {.state = seed};
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)rng_next(&r);
}

/* A tree of a small program and about 3 MiB of data: some 50 chunks. */
static inline void fixture_tree(const struct tree_path *root)
{
    static uint8_t noise[1 << 20];
    tree_folder(root, "hooks", 0755);
    tree_file(root, "hooks/apply", 0755, span_text("#!/bin/sh\nexit 0\n"));
    tree_file(root, "config", 0640, span_text("colour = green\n"));
    tree_folder(root, "data", 0750);
    tree_link(root, "data/newest", "b");
    for (int i = 0; i < 3; i++) {
        char name[] = {'d', 'a', 't', 'a', '/', (char)('a' + i), '\0'};
        fixture_noise(noise, sizeof noise, (uint64_t)i + 1);
        tree_file(root, name, 0644, span_of(noise, sizeof noise));
    }
}

static inline struct chunks fixture_chunks(const struct tree_path *dir)
{
    struct chunks c;
    tree_must(chunks_open(&c, dir->text, NULL) == 0, "open chunks");
    return c;
}

#endif
