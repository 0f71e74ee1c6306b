#include "sync/envelope.h"

#include "sync/message.h"

#include <assert.h>

/* What a signature is for; NULL for messages that carry none. */
static const char *domain_of(enum message type)
{
    static const char *const domains[] = {
        [MESSAGE_DESIRED] = "dunlin desired", [MESSAGE_ASSIGNMENT] = "dunlin assignment",
        [MESSAGE_TRUST] = "dunlin trust",     [MESSAGE_MANIFEST] = "dunlin manifest",
        [MESSAGE_ATLAS] = "dunlin atlas",     [MESSAGE_DELTA] = NULL,
    };
    const char *domain = domains[type];
    assert(domain);
    return domain;
}

/* [envelope-4] There are as many of these as agents; of all others a few. */
static bool has_path(enum message type)
{
    return type == MESSAGE_ASSIGNMENT;
}

/* The body, or in `root` what it shares its signature by. */
static struct span signed_bytes(enum message type, const struct envelope *e, struct digest *root)
{
    if (!has_path(type))
        return e->body;
    struct digest leaf = merkle_leaf(e->body);
    *root = merkle_climb(&leaf, &e->path);
    return span_of(root->bytes, DIGEST_LEN);
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

int envelope_endorse(enum message type, const struct digest *root, const struct secret_key *key,
                     struct signature *out)
{
    assert(has_path(type));
    return sign_make(key, domain_of(type), span_of(root->bytes, DIGEST_LEN), out);
}

int envelope_sign(enum message type, struct envelope *e, const struct secret_key *key)
{
    struct public_key public;
    struct endorsement new;
    struct digest root;
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
    rv = sign_make(key, domain_of(type), signed_bytes(type, e, &root), &new.signature);
    if (rv < 0)
        return rv;
    memmove(&e->list[at + 1], &e->list[at], (e->count - at) * sizeof e->list[0]);
    e->list[at] = new;
    e->count++;
    return 0;
}

static void put_path(struct wire_writer *w, const struct merkle_path *p)
{
    if (p->count == 0) {
        wire_put_nil(w);
        return;
    }
    wire_put_array(w, 2);
    wire_put_u64(w, p->left);
    wire_put_bytes(w, span_of(p->siblings, p->count * sizeof p->siblings[0]));
}

/* A path has one form: no side is told of what isn't there. */
static void get_path(struct wire_reader *r, struct merkle_path *p)
{
    if (wire_get_nil(r))
        return;
    wire_get_array(r, 2, 2);
    p->left = (uint32_t)wire_get_u64(r, MERKLE_LEAVES_MAX - 1);
    struct span siblings = wire_get_bytes(r, DIGEST_LEN, sizeof p->siblings);
    p->count = (uint32_t)(siblings.len / DIGEST_LEN);
    if (siblings.len % DIGEST_LEN != 0 || p->left >> p->count != 0)
        wire_fail(r, ERR_FORMAT);
    else if (p->count > 0)
        memcpy(p->siblings, siblings.data, siblings.len);
}

int envelope_write(enum message type, const struct envelope *e, struct buffer *out)
{
    assert(e->count <= SIGNATURES_MAX);
    struct wire_writer w = wire_writer_on(out);
    message_begin(&w, type, has_path(type) ? 3 : 2);
    wire_put_bytes(&w, e->body);
    wire_put_array(&w, e->count);
    for (uint32_t i = 0; i < e->count; i++) {
        wire_put_array(&w, 2);
        wire_put_bytes(&w, span_of(e->list[i].signer.bytes, KEY_ID_LEN));
        wire_put_bytes(&w, span_of(e->list[i].signature.bytes, SIGNATURE_LEN));
    }
    if (has_path(type))
        put_path(&w, &e->path);
    return wire_end(&w);
}

/* Signers rise, so that none counts twice and one set of signatures has one form. */
int envelope_read(enum message type, struct span bytes, struct envelope *e)
{
    struct wire_reader r = wire_reader_on(bytes);
    uint32_t extra = message_enter(&r, type, has_path(type) ? 3 : 2);
    e->path = (struct merkle_path){0};
    e->body = wire_get_bytes(&r, 0, MESSAGE_MAX);
    e->count = wire_get_array(&r, 0, SIGNATURES_MAX);
    for (uint32_t i = 0; i < e->count && !r.error; i++) {
        wire_get_array(&r, 2, 2);
        wire_get_bytes_into(&r, e->list[i].signer.bytes, KEY_ID_LEN);
        wire_get_bytes_into(&r, e->list[i].signature.bytes, SIGNATURE_LEN);
        if (i > 0 && compare(&e->list[i - 1].signer, &e->list[i].signer) >= 0)
            wire_fail(&r, ERR_FORMAT);
    }
    if (has_path(type))
        get_path(&r, &e->path);
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
    struct digest root;
    struct span signed_by_all = signed_bytes(type, e, &root);
    for (size_t i = 0; i < count; i++) {
        struct key_id id = key_id_of(&keys[i]);
        const struct endorsement *by = find(e, &id);
        int rv = by ? sign_check(&keys[i], domain_of(type), signed_by_all, &by->signature) : 0;
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
