/*
 * envelope_read and envelope_open: what is opened was signed, and the body lies inside the input.
 * A forged signature is what a fuzzer can't find, so nothing that it changes may be opened. With
 * paths and without.
 */
#include "test/fuzz/fuzz.h"

#include "test/samples.h"

static void check_body(struct span in, struct span body)
{
    if (body.len > 0 && (body.data < in.data || body.data + body.len > in.data + in.len))
        abort();
}

/* Signatures are deterministic: signing the body again gives the same envelope, but for what a
 * newer writer put behind it. */
static void check_signed(struct span in, struct span body)
{
    uint8_t memory[4096];
    struct buffer again = buffer_on(memory, sizeof memory);
    struct secret_key root = sample_secret(1);
    if (envelope_seal(MESSAGE_TRUST, body, &root, &again) < 0)
        return;
    struct span signature = span_of(again.data + again.len - SIGNATURE_LEN, SIGNATURE_LEN);
    if (!memmem(in.data, in.len, signature.data, signature.len))
        abort();
}

/* What was read is written in the one form that it has, which is read back as the same. */
static void check_path(struct span in)
{
    static uint8_t memory[1u << 17], again_memory[1u << 17];
    struct buffer out = buffer_on(memory, sizeof memory);
    struct buffer again = buffer_on(again_memory, sizeof again_memory);
    struct envelope e;
    if (in.len > sizeof memory / 2 || envelope_read(MESSAGE_ASSIGNMENT, in, &e) < 0)
        return;
    check_body(in, e.body);
    if (e.path.count > MERKLE_DEPTH_MAX || e.path.left >> e.path.count != 0 ||
        envelope_write(MESSAGE_ASSIGNMENT, &e, &out) < 0 ||
        envelope_read(MESSAGE_ASSIGNMENT, span_buffer(&out), &e) < 0 ||
        envelope_write(MESSAGE_ASSIGNMENT, &e, &again) < 0 ||
        !span_equal(span_buffer(&out), span_buffer(&again)))
        abort();
}

/* Of the type that has paths, what opens was signed by the root that its path leads to. */
static void check_shared(struct span in, const struct public_key *online)
{
    struct envelope e;
    struct span body;
    struct secret_key secret = sample_secret(SAMPLE_ONLINE);
    if (envelope_open(MESSAGE_ASSIGNMENT, in, online, 1, 1, &body) < 0)
        return;
    check_body(in, body);
    if (envelope_read(MESSAGE_ASSIGNMENT, in, &e) < 0)
        abort();
    e.count = 0;
    if (envelope_sign(MESSAGE_ASSIGNMENT, &e, &secret) < 0 ||
        !memmem(in.data, in.len, e.list[0].signature.bytes, SIGNATURE_LEN))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct public_key root, online;
    static bool ready;
    struct span in = span_of(data, size), body;
    struct envelope e;
    if (!ready)
        root = sample_public(1), online = sample_public(SAMPLE_ONLINE);
    ready = true;
    check_path(in);
    check_shared(in, &online);
    if (envelope_read(MESSAGE_TRUST, in, &e) == 0)
        check_body(in, e.body);
    if (envelope_open(MESSAGE_TRUST, in, &root, 1, 1, &body) == 0) {
        check_body(in, body);
        check_signed(in, body);
    }
    return 0;
}
