/*
 * vectors: how each test vector of sync/PROTOCOL.md is made from the samples, and how it is read.
 */
#ifndef DUNLIN_TEST_VECTORS_H
#define DUNLIN_TEST_VECTORS_H

#include "test/rewrite.h"

/* The largest vector. */
#define VECTOR_MAX 4096

struct vector {
    const char *name;
    int (*make)(struct buffer *out);
    rewrite_fn *rewrite; /* NULL: nothing to read back */
};

static inline int vector_head(struct buffer *out)
{
    struct head h = sample_head();
    return head_write(&h, out);
}

/* Signs a body with the online key. */
static inline int vector_sign(enum message type, const struct buffer *body, struct buffer *out)
{
    struct secret_key online = sample_secret(SAMPLE_ONLINE);
    return envelope_seal(type, span_buffer(body), &online, out);
}

/* Opens an envelope, rewrites its body, and signs that. */
static inline int vector_resign(enum message type, rewrite_fn *rewrite, struct span in,
                                struct buffer *out)
{
    uint8_t memory[VECTOR_MAX];
    struct buffer again = buffer_on(memory, sizeof memory);
    struct trust trust = sample_trust();
    struct span body;
    int rv = trust_open(&trust, TRUST_ONLINE, type, in, &body);
    if (rv == 0)
        rv = rewrite(body, &again);
    return rv < 0 ? rv : vector_sign(type, &again, out);
}

static inline int vector_desired(struct buffer *out)
{
    static struct desired d;
    uint8_t memory[VECTOR_MAX];
    struct buffer body = buffer_on(memory, sizeof memory);
    sample_desired(&d);
    int rv = desired_write(&d, &body);
    return rv < 0 ? rv : vector_sign(MESSAGE_DESIRED, &body, out);
}

static inline int vector_desired_again(struct span in, struct buffer *out)
{
    return vector_resign(MESSAGE_DESIRED, rewrite_desired, in, out);
}

static inline int vector_assignment(struct buffer *out)
{
    uint8_t memory[VECTOR_MAX];
    struct buffer body = buffer_on(memory, sizeof memory);
    struct assignment a = sample_assignment();
    int rv = assignment_write(&a, &body);
    return rv < 0 ? rv : vector_sign(MESSAGE_ASSIGNMENT, &body, out);
}

static inline int vector_assignment_again(struct span in, struct buffer *out)
{
    return vector_resign(MESSAGE_ASSIGNMENT, rewrite_assignment, in, out);
}

/* The second of three whose signature is one: the others are the revisions before and after. */
static inline int vector_shared(struct buffer *out)
{
    uint8_t memory[3][VECTOR_MAX];
    struct buffer bodies[3];
    struct assignment a = sample_assignment();
    struct secret_key online = sample_secret(SAMPLE_ONLINE);
    struct public_key public = sample_public(SAMPLE_ONLINE);
    static struct merkle tree;
    int rv = 0;
    a.revision.number--;
    for (int i = 0; i < 3; i++, a.revision.number++) {
        bodies[i] = buffer_on(memory[i], sizeof memory[i]);
        rv |= assignment_write(&a, &bodies[i]);
        tree.nodes[i] = merkle_leaf(span_buffer(&bodies[i]));
    }
    tree.leaves = 3;
    struct digest root = merkle_grow(&tree);
    struct envelope e = {.body = span_buffer(&bodies[1]),
                         .count = 1,
                         .list = {{.signer = key_id_of(&public)}},
                         .path = merkle_path(&tree, 1)};
    rv |= envelope_endorse(MESSAGE_ASSIGNMENT, &root, &online, &e.list[0].signature);
    return rv < 0 ? rv : envelope_write(MESSAGE_ASSIGNMENT, &e, out);
}

/* Opened, rewritten, and signed by the root that the path then leads to. */
static inline int vector_shared_again(struct span in, struct buffer *out)
{
    uint8_t memory[VECTOR_MAX];
    struct buffer again = buffer_on(memory, sizeof memory);
    struct secret_key online = sample_secret(SAMPLE_ONLINE);
    struct trust trust = sample_trust();
    struct envelope e;
    struct span body;
    int rv = trust_open(&trust, TRUST_ONLINE, MESSAGE_ASSIGNMENT, in, &body);
    if (rv == 0)
        rv = envelope_read(MESSAGE_ASSIGNMENT, in, &e);
    if (rv == 0)
        rv = rewrite_assignment(body, &again);
    e.body = span_buffer(&again);
    e.count = 0;
    if (rv == 0)
        rv = envelope_sign(MESSAGE_ASSIGNMENT, &e, &online);
    return rv < 0 ? rv : envelope_write(MESSAGE_ASSIGNMENT, &e, out);
}

static inline int vector_trust(struct buffer *out)
{
    struct trust t = sample_trust();
    sample_trust_sealed(&t, out);
    return 0;
}

static inline int vector_trust_again(struct span in, struct buffer *out)
{
    struct trust trust = sample_trust();
    struct root_pin pin = trust_pin(&trust);
    int rv = trust_walk(&pin, &in, 1, &trust);
    if (rv == 0)
        sample_trust_sealed(&trust, out);
    return rv;
}

static inline int vector_head_atlas(struct buffer *out)
{
    struct head h = sample_head_atlas();
    return head_write(&h, out);
}

static inline int vector_atlas(struct buffer *out)
{
    static struct atlas a;
    uint8_t memory[VECTOR_MAX];
    struct buffer body = buffer_on(memory, sizeof memory);
    sample_atlas(&a);
    int rv = atlas_write(&a, &body);
    return rv < 0 ? rv : vector_sign(MESSAGE_ATLAS, &body, out);
}

static inline int vector_atlas_again(struct span in, struct buffer *out)
{
    return vector_resign(MESSAGE_ATLAS, rewrite_atlas, in, out);
}

/* The three cells of the sample, as the sample's agent wants them, a byte each. */
static inline int vector_atlas_order(struct buffer *out)
{
    static struct atlas a;
    struct key_id agent = sample_agent();
    uint32_t order[CELLS_MAX];
    sample_atlas(&a);
    uint32_t count = atlas_order(&a, &agent, CELLS_MAX, order);
    for (uint32_t i = 0; i < count; i++)
        out->data[out->len++] = (uint8_t)order[i];
    return 0;
}

/* Of the first of them. */
static inline int vector_atlas_weight(struct buffer *out)
{
    struct key_id agent = sample_agent();
    uint64_t weight = atlas_weight(1, &agent);
    for (int shift = 56; shift >= 0; shift -= 8)
        out->data[out->len++] = (uint8_t)(weight >> shift);
    return 0;
}

static inline int vector_root_pin(struct buffer *out)
{
    struct trust trust = sample_trust();
    struct root_pin pin = trust_pin(&trust);
    memcpy(out->data + out->len, pin.bytes, sizeof pin.bytes);
    out->len += sizeof pin.bytes;
    return 0;
}

static inline int vector_status_converged(struct buffer *out)
{
    struct mac_key key = sample_mac_key();
    struct status s = sample_status();
    return status_write(&s, &key, out);
}

static inline int vector_status_full(struct buffer *out)
{
    struct mac_key key = sample_mac_key();
    struct status s = sample_status_full();
    return status_write(&s, &key, out);
}

static inline int vector_will(struct buffer *out)
{
    struct mac_key key = sample_mac_key();
    struct will w = sample_will();
    return will_write(&w, &key, out);
}

/* Reports, with their MACs checked. */
static inline int vector_report_again(struct span in, struct buffer *out)
{
    struct mac_key key = sample_mac_key();
    int rv = report_check(in, &key);
    return rv < 0 ? rv : rewrite_report(in, out);
}

static inline int vector_telling(struct buffer *out)
{
    struct mac_key key = sample_mac_key();
    struct telling t = sample_telling();
    return telling_write(&t, &key, out);
}

static inline int vector_telling_again(struct span in, struct buffer *out)
{
    struct mac_key key = sample_mac_key();
    int rv = report_check(in, &key);
    return rv < 0 ? rv : rewrite_telling(in, out);
}

static inline int vector_note(struct buffer *out)
{
    struct mac_key key = sample_mac_key();
    struct note n = sample_note();
    return note_write(&n, &key, out);
}

static inline int vector_note_again(struct span in, struct buffer *out)
{
    struct mac_key key = sample_mac_key();
    int rv = report_check(in, &key);
    return rv < 0 ? rv : rewrite_note(in, out);
}

static inline int vector_renewal(struct buffer *out)
{
    struct mac_key key = sample_mac_key();
    struct renewal r = sample_renewal();
    return renewal_write(&r, &key, out);
}

/* With its MAC checked. */
static inline int vector_renewal_again(struct span in, struct buffer *out)
{
    struct mac_key key = sample_mac_key();
    int rv = renewal_check(in, &key);
    return rv < 0 ? rv : rewrite_renewal(in, out);
}

static inline int vector_renewed(struct buffer *out)
{
    uint8_t der[300];
    struct mac_key key = sample_mac_key();
    sample_fill(der, sizeof der, 1);
    struct renewed r = sample_renewed(der);
    return renewed_write(&r, SAMPLE_RENEWAL_NONCE, &key, out);
}

static inline int vector_facts(struct buffer *out)
{
    struct facts f = sample_facts();
    return facts_write(&f, out);
}

static inline int vector_join(struct buffer *out)
{
    struct token token = sample_token();
    struct join_id id = sample_join_id();
    struct seal_nonce nonce = sample_nonce();
    struct join j = sample_join();
    return join_write(&j, &token, &id, &nonce, out);
}

static inline int vector_answer(enum joined_code code, bool sealed, struct buffer *out)
{
    uint8_t memory[VECTOR_MAX];
    struct buffer envelopes = buffer_on(memory, sizeof memory);
    struct seal_secret secret = sample_join_secret();
    struct join_id id = sample_join_id();
    struct seal_nonce nonce = sample_nonce();
    struct joined j = sample_joined(&envelopes);
    j.code = code;
    return joined_write(&j, sealed ? &secret : NULL, &id, &nonce, out);
}

static inline int vector_joined_accepted(struct buffer *out)
{
    return vector_answer(JOINED_ACCEPTED, true, out);
}

static inline int vector_joined_used(struct buffer *out)
{
    return vector_answer(JOINED_USED, true, out);
}

static inline int vector_joined_unknown(struct buffer *out)
{
    return vector_answer(JOINED_UNKNOWN, false, out);
}

static inline int vector_gate_hash(struct buffer *out)
{
    uint64_t hash = gate_hash(0x0123456789abcdef, 7, 1234567);
    for (int shift = 56; shift >= 0; shift -= 8)
        out->data[out->len++] = (uint8_t)(hash >> shift);
    return 0;
}

static const struct vector vectors[] = {
    {"head", vector_head, rewrite_head},
    {"desired", vector_desired, vector_desired_again},
    {"assignment", vector_assignment, vector_assignment_again},
    {"assignment-shared", vector_shared, vector_shared_again},
    {"trust", vector_trust, vector_trust_again},
    {"root-pin", vector_root_pin, NULL},
    {"status-converged", vector_status_converged, vector_report_again},
    {"status-full", vector_status_full, vector_report_again},
    {"will", vector_will, vector_report_again},
    {"telling", vector_telling, vector_telling_again},
    {"note", vector_note, vector_note_again},
    {"renewal", vector_renewal, vector_renewal_again},
    {"renewed", vector_renewed, rewrite_renewed},
    {"facts", vector_facts, rewrite_facts},
    {"join", vector_join, rewrite_join},
    {"joined-accepted", vector_joined_accepted, rewrite_joined},
    {"joined-used", vector_joined_used, rewrite_joined},
    {"joined-unknown", vector_joined_unknown, rewrite_joined},
    {"gate-hash", vector_gate_hash, NULL},
    {"head-atlas", vector_head_atlas, rewrite_head},
    {"atlas", vector_atlas, vector_atlas_again},
    {"atlas-weight", vector_atlas_weight, NULL},
    {"atlas-order", vector_atlas_order, NULL},
};

#define VECTOR_COUNT (sizeof vectors / sizeof vectors[0])

#endif
