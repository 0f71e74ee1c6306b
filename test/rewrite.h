/*
 * rewrite: reads a message and writes what was read, for each kind of message: what round-trip
 * tests, test vectors and fuzz targets have in common. Seals and MACs use the samples' keys.
 */
#ifndef DUNLIN_TEST_REWRITE_H
#define DUNLIN_TEST_REWRITE_H

#include "base/endian.h"
#include "sync/wire.h"
#include "test/samples.h"

/* Room for any message. */
#define REWRITE_MAX 131072

/* Reads `in`; when that works, appends it as we would write it. The reader's result. */
typedef int rewrite_fn(struct span in, struct buffer *out);

static inline int rewrite_head(struct span in, struct buffer *out)
{
    struct head h;
    int rv = head_read(in, &h);
    return rv < 0 ? rv : head_write(&h, out);
}

static inline int rewrite_mark(struct span in, struct buffer *out)
{
    struct mac_key key = sample_mac_key();
    uint64_t serial;
    int rv = mark_read(in, &key, &serial);
    return rv < 0 ? rv : mark_write(serial, &key, out);
}

static inline int rewrite_trust(struct span in, struct buffer *out)
{
    static struct trust t;
    int rv = trust_read(in, &t);
    return rv < 0 ? rv : trust_write(&t, out);
}

static inline int rewrite_assignment(struct span in, struct buffer *out)
{
    struct assignment a;
    int rv = assignment_read(in, &a);
    return rv < 0 ? rv : assignment_write(&a, out);
}

static inline int rewrite_atlas(struct span in, struct buffer *out)
{
    static struct atlas a;
    int rv = atlas_read(in, &a);
    return rv < 0 ? rv : atlas_write(&a, out);
}

static inline int rewrite_desired(struct span in, struct buffer *out)
{
    static struct desired d;
    int rv = desired_read(in, &d);
    return rv < 0 ? rv : desired_write(&d, out);
}

static inline int rewrite_report(struct span in, struct buffer *out)
{
    struct mac_key key = sample_mac_key();
    struct report r;
    int rv = report_read(in, &r);
    if (rv < 0)
        return rv;
    return r.type == MESSAGE_WILL ? will_write(&r.will, &key, out)
                                  : status_write(&r.status, &key, out);
}

static inline int rewrite_renewal(struct span in, struct buffer *out)
{
    struct mac_key key = sample_mac_key();
    struct renewal r;
    int rv = renewal_read(in, &r);
    return rv < 0 ? rv : renewal_write(&r, &key, out);
}

static inline int rewrite_telling(struct span in, struct buffer *out)
{
    struct mac_key key = sample_mac_key();
    struct telling t;
    int rv = telling_read(in, &t);
    return rv < 0 ? rv : telling_write(&t, &key, out);
}

static inline int rewrite_note(struct span in, struct buffer *out)
{
    struct mac_key key = sample_mac_key();
    struct note n;
    int rv = note_read(in, &n);
    return rv < 0 ? rv : note_write(&n, &key, out);
}

static inline int rewrite_renewed(struct span in, struct buffer *out)
{
    struct mac_key key = sample_mac_key();
    struct renewed r;
    int rv = renewed_read(in, SAMPLE_RENEWAL_NONCE, &key, &r);
    return rv < 0 ? rv : renewed_write(&r, SAMPLE_RENEWAL_NONCE, &key, out);
}

static inline int rewrite_facts(struct span in, struct buffer *out)
{
    struct facts f;
    int rv = facts_read(in, &f);
    return rv < 0 ? rv : facts_write(&f, out);
}

static inline int rewrite_join(struct span in, struct buffer *out)
{
    struct token token = sample_token();
    struct join_id id = sample_join_id();
    struct join_outer outer;
    struct join j;
    int rv = join_read_outer(in, &outer);
    if (rv == 0)
        rv = join_open(&outer, &token.secret, &id, &j);
    if (rv < 0)
        return rv;
    token.batch = outer.batch;
    token.index = outer.index;
    return join_write(&j, &token, &id, &outer.nonce, out);
}

static inline int rewrite_joined(struct span in, struct buffer *out)
{
    static uint8_t memory[JOINED_MAX];
    struct buffer plain = buffer_on(memory, sizeof memory);
    struct seal_secret secret = sample_join_secret();
    struct join_id id = sample_join_id();
    struct seal_nonce nonce = sample_nonce();
    struct joined j;
    int rv = joined_read(in, &secret, &id, &plain, &j);
    return rv < 0 ? rv : joined_write(&j, rv ? &secret : NULL, &id, &nonce, out);
}

/* [join-2] Seals a plain text as a device would, whatever it says. */
static inline int sample_seal_request(struct span plain, struct buffer *out)
{
    struct token token = sample_token();
    struct join_id id = sample_join_id();
    struct seal_nonce nonce = sample_nonce();
    static uint8_t memory[REWRITE_MAX + SEAL_TAG_LEN];
    struct buffer sealed = buffer_on(memory, sizeof memory);
    static const char serial[] = "SN-0042";
    uint8_t bound[JOIN_ID_LEN + 10 + sizeof serial - 1];
    memcpy(bound, id.bytes, JOIN_ID_LEN);
    bound[JOIN_ID_LEN] = MESSAGE_JOIN;
    bound[JOIN_ID_LEN + 1] = PROTOCOL_VERSION;
    le32_write(bound + JOIN_ID_LEN + 2, token.batch);
    le32_write(bound + JOIN_ID_LEN + 6, token.index);
    memcpy(bound + JOIN_ID_LEN + 10, serial, sizeof serial - 1);
    if (seal_close(&token.secret, "dunlin join request", &nonce, span_of(bound, sizeof bound),
                   plain, &sealed) < 0)
        return ERR_NO_MEMORY;
    struct wire_writer w = wire_writer_on(out);
    wire_put_array(&w, 7);
    wire_put_u64(&w, MESSAGE_JOIN);
    wire_put_u64(&w, PROTOCOL_VERSION);
    wire_put_u64(&w, token.batch);
    wire_put_u64(&w, token.index);
    wire_put_text(&w, span_text(serial));
    wire_put_bytes(&w, span_of(nonce.bytes, SEAL_NONCE_LEN));
    wire_put_bytes(&w, span_buffer(&sealed));
    return wire_end(&w);
}

/* [join-4] Seals a plain text as the manager would, whatever it says. */
static inline int sample_seal_answer(enum joined_code code, struct span plain, struct buffer *out)
{
    struct seal_secret secret = sample_join_secret();
    struct join_id id = sample_join_id();
    struct seal_nonce nonce = sample_nonce();
    static uint8_t memory[REWRITE_MAX + SEAL_TAG_LEN];
    struct buffer sealed = buffer_on(memory, sizeof memory);
    uint8_t bound[JOIN_ID_LEN + 3];
    memcpy(bound, id.bytes, JOIN_ID_LEN);
    bound[JOIN_ID_LEN] = MESSAGE_JOINED;
    bound[JOIN_ID_LEN + 1] = PROTOCOL_VERSION;
    bound[JOIN_ID_LEN + 2] = (uint8_t)code;
    if (seal_close(&secret, "dunlin join answer", &nonce, span_of(bound, sizeof bound), plain,
                   &sealed) < 0)
        return ERR_NO_MEMORY;
    struct wire_writer w = wire_writer_on(out);
    wire_put_array(&w, 5);
    wire_put_u64(&w, MESSAGE_JOINED);
    wire_put_u64(&w, PROTOCOL_VERSION);
    wire_put_u64(&w, (uint64_t)code);
    wire_put_bytes(&w, span_of(nonce.bytes, SEAL_NONCE_LEN));
    wire_put_bytes(&w, span_buffer(&sealed));
    return wire_end(&w);
}

/* True when what was read, written and read again is still the same. */
static inline bool rewrite_is_stable(rewrite_fn *rewrite, struct span in)
{
    static uint8_t once_memory[REWRITE_MAX], twice_memory[REWRITE_MAX];
    struct buffer once = buffer_on(once_memory, sizeof once_memory);
    struct buffer twice = buffer_on(twice_memory, sizeof twice_memory);
    if (rewrite(in, &once) < 0)
        return true; /* refused: nothing to keep */
    return rewrite(span_buffer(&once), &twice) >= 0 &&
           span_equal(span_buffer(&once), span_buffer(&twice));
}

/* True when every shorter prefix and one byte more are refused. */
static inline bool rewrite_refuses_other_lengths(rewrite_fn *rewrite, struct span whole)
{
    static uint8_t memory[REWRITE_MAX], longer[REWRITE_MAX];
    struct buffer out = buffer_on(memory, sizeof memory);
    for (size_t len = 0; len < whole.len; len++)
        if (rewrite(span_of(whole.data, len), &out) >= 0)
            return false;
    memcpy(longer, whole.data, whole.len);
    longer[whole.len] = 0;
    return rewrite(span_of(longer, whole.len + 1), &out) < 0;
}

/*
 * Tries every flip of a bit. True when each one is refused, or `sealed` is false and what is read
 * stays the same when it is written.
 */
static inline bool rewrite_survives_flips(rewrite_fn *rewrite, struct span whole, bool sealed)
{
    static uint8_t flipped[REWRITE_MAX], memory[REWRITE_MAX];
    for (size_t bit = 0; bit < 8 * whole.len; bit++) {
        memcpy(flipped, whole.data, whole.len);
        flipped[bit / 8] ^= (uint8_t)(1u << bit % 8);
        struct span in = span_of(flipped, whole.len);
        struct buffer out = buffer_on(memory, sizeof memory);
        if (sealed ? rewrite(in, &out) >= 0 : !rewrite_is_stable(rewrite, in))
            return false;
    }
    return true;
}

#endif
