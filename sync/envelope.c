#include "sync/envelope.h"

#include "sync/message.h"

#include <assert.h>

/* What a signature is for; NULL for messages that carry none. */
static const char *domain_of(enum message type)
{
    static const char *const domains[] = {
        [MESSAGE_DESIRED] = "dunlin desired",
        [MESSAGE_ASSIGNMENT] = "dunlin assignment",
        [MESSAGE_TRUST] = "dunlin trust",
        [MESSAGE_MANIFEST] = "dunlin manifest",
        [MESSAGE_DELTA] = NULL,
    };
    const char *domain = domains[type];
    assert(domain);
    return domain;
}

int envelope_seal(enum message type, struct span body, const struct secret_key *key,
                  struct buffer *out)
{
    struct public_key public;
    struct signature signature;
    int rv = sign_public(key, &public);
    if (rv < 0)
        return rv;
    rv = sign_make(key, domain_of(type), body, &signature);
    if (rv < 0)
        return rv;
    struct key_id signer = key_id_of(&public);
    struct wire_writer w = wire_writer_on(out);
    message_begin(&w, type, 3);
    wire_put_bytes(&w, body);
    wire_put_bytes(&w, span_of(signer.bytes, KEY_ID_LEN));
    wire_put_bytes(&w, span_of(signature.bytes, SIGNATURE_LEN));
    return wire_end(&w);
}

static int envelope_read(enum message type, struct span bytes, struct span *body,
                         struct key_id *signer, struct signature *signature)
{
    struct wire_reader r = wire_reader_on(bytes);
    uint32_t extra = message_enter(&r, type, 3);
    *body = wire_get_bytes(&r, 0, MESSAGE_MAX);
    wire_get_bytes_into(&r, signer->bytes, KEY_ID_LEN);
    wire_get_bytes_into(&r, signature->bytes, SIGNATURE_LEN);
    wire_skip(&r, extra);
    int rv = wire_done(&r);
    if (rv < 0)
        *body = SPAN_NONE;
    return rv;
}

int envelope_peek(enum message type, struct span bytes, struct span *body, struct key_id *signer)
{
    struct signature signature;
    return envelope_read(type, bytes, body, signer, &signature);
}

int envelope_open(enum message type, struct span bytes, const struct public_key *keys, size_t count,
                  struct span *body)
{
    struct span claimed;
    struct key_id signer;
    struct signature signature;
    *body = SPAN_NONE;
    int rv = envelope_read(type, bytes, &claimed, &signer, &signature);
    if (rv < 0)
        return rv;
    for (size_t i = 0; i < count; i++) {
        struct key_id id = key_id_of(&keys[i]);
        if (!key_id_equal(&id, &signer))
            continue;
        rv = sign_check(&keys[i], domain_of(type), claimed, &signature);
        if (rv == 0)
            *body = claimed;
        return rv;
    }
    return ERR_UNTRUSTED;
}
