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

static int compare(const struct key_id *a, const struct key_id *b)
{
    return memcmp(a->bytes, b->bytes, KEY_ID_LEN);
}

static const struct endorsement *find(const struct envelope *e, const struct key_id *signer)
{
    for (uint32_t i = 0; i < e->count; i++)
        if (key_id_equal(&e->list[i].signer, signer))
            return &e->list[i];
    return NULL;
}

int envelope_seal(enum message type, struct span body, const struct secret_key *key,
                  struct buffer *out)
{
    struct envelope e = {.body = body};
    int rv = envelope_sign(type, &e, key);
    return rv < 0 ? rv : envelope_write(type, &e, out);
}

int envelope_sign(enum message type, struct envelope *e, const struct secret_key *key)
{
    struct public_key public;
    struct endorsement new;
    int rv = sign_public(key, &public);
    if (rv < 0)
        return rv;
    new.signer = key_id_of(&public);
    uint32_t at = 0;
    while (at < e->count && compare(&e->list[at].signer, &new.signer) < 0)
        at++;
    if (at < e->count && compare(&e->list[at].signer, &new.signer) == 0)
        return ERR_EXISTS;
    if (e->count == SIGNATURES_MAX)
        return ERR_RANGE;
    rv = sign_make(key, domain_of(type), e->body, &new.signature);
    if (rv < 0)
        return rv;
    memmove(&e->list[at + 1], &e->list[at], (e->count - at) * sizeof e->list[0]);
    e->list[at] = new;
    e->count++;
    return 0;
}

int envelope_write(enum message type, const struct envelope *e, struct buffer *out)
{
    assert(e->count <= SIGNATURES_MAX);
    struct wire_writer w = wire_writer_on(out);
    message_begin(&w, type, 2);
    wire_put_bytes(&w, e->body);
    wire_put_array(&w, e->count);
    for (uint32_t i = 0; i < e->count; i++) {
        wire_put_array(&w, 2);
        wire_put_bytes(&w, span_of(e->list[i].signer.bytes, KEY_ID_LEN));
        wire_put_bytes(&w, span_of(e->list[i].signature.bytes, SIGNATURE_LEN));
    }
    return wire_end(&w);
}

/* Signers rise, so that none counts twice and one set of signatures has one form. */
int envelope_read(enum message type, struct span bytes, struct envelope *e)
{
    struct wire_reader r = wire_reader_on(bytes);
    uint32_t extra = message_enter(&r, type, 2);
    e->body = wire_get_bytes(&r, 0, MESSAGE_MAX);
    e->count = wire_get_array(&r, 0, SIGNATURES_MAX);
    for (uint32_t i = 0; i < e->count && !r.error; i++) {
        wire_get_array(&r, 2, 2);
        wire_get_bytes_into(&r, e->list[i].signer.bytes, KEY_ID_LEN);
        wire_get_bytes_into(&r, e->list[i].signature.bytes, SIGNATURE_LEN);
        if (i > 0 && compare(&e->list[i - 1].signer, &e->list[i].signer) >= 0)
            wire_fail(&r, ERR_FORMAT);
    }
    wire_skip(&r, extra);
    int rv = wire_done(&r);
    if (rv < 0)
        *e = (struct envelope){0};
    return rv;
}

int envelope_count(enum message type, const struct envelope *e, const struct public_key *keys,
                   size_t count)
{
    int signers = 0;
    for (size_t i = 0; i < count; i++) {
        struct key_id id = key_id_of(&keys[i]);
        const struct endorsement *by = find(e, &id);
        int rv = by ? sign_check(&keys[i], domain_of(type), e->body, &by->signature) : 0;
        if (rv < 0)
            return rv;
        signers += by != NULL;
    }
    return signers;
}

int envelope_open(enum message type, struct span bytes, const struct public_key *keys, size_t count,
                  uint32_t threshold, struct span *body)
{
    struct envelope e;
    assert(threshold > 0);
    *body = SPAN_NONE;
    int rv = envelope_read(type, bytes, &e);
    if (rv == 0)
        rv = envelope_count(type, &e, keys, count);
    if (rv < 0)
        return rv;
    if ((uint32_t)rv < threshold)
        return ERR_UNTRUSTED;
    *body = e.body;
    return 0;
}
