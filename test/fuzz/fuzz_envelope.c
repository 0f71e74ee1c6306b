/*
 * envelope_read and envelope_open: what is opened was signed, and the body lies inside the input.
 * A forged signature is what a fuzzer can't find, so nothing that it changes may be opened.
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct public_key root;
    static bool ready;
    struct span in = span_of(data, size), body;
    struct envelope e;
    if (!ready)
        root = sample_public(1);
    ready = true;
    if (envelope_read(MESSAGE_TRUST, in, &e) == 0)
        check_body(in, e.body);
    if (envelope_open(MESSAGE_TRUST, in, &root, 1, 1, &body) == 0) {
        check_body(in, body);
        check_signed(in, body);
    }
    return 0;
}
