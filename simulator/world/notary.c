#include "simulator/world/notary.h"

#include "base/endian.h"

#include <assert.h>
#include <stdlib.h>

/* Different things signed or checked in one process: the longest loops make some ten thousand. */
#define DEEDS_MAX (1u << 17)

/* What came out the last time: a result, and the envelope or key that was made. */
struct deed {
    struct digest question; /* all zero: free */
    int rv;
    uint32_t len;
    uint8_t *bytes;
};

static struct deed deeds[DEEDS_MAX];
static uint32_t deed_count;

static struct deed *find(const struct digest *question, bool *known);
static void keep(struct deed *d, int rv, struct span bytes);
static int recall(const struct deed *d, struct buffer *out);
static struct digest ask(const char *kind, uint8_t type, struct span a, struct span b);

struct secret_key notary_secret(unsigned first)
{
    struct secret_key key;
    for (unsigned i = 0; i < SECRET_KEY_LEN; i++)
        key.bytes[i] = (uint8_t)(first + i);
    le32_write(key.bytes + 4, first); /* more than 256 different ones */
    return key;
}

struct public_key notary_public(const struct secret_key *secret)
{
    struct public_key key;
    bool known;
    struct digest question = ask("public", 0, span_of(secret->bytes, SECRET_KEY_LEN), SPAN_NONE);
    struct deed *d = find(&question, &known);
    if (!known) {
        int rv = sign_public(secret, &key);
        assert(rv == 0);
        keep(d, rv, span_of(key.bytes, PUBLIC_KEY_LEN));
    }
    memcpy(key.bytes, d->bytes, PUBLIC_KEY_LEN);
    return key;
}

int notary_seal(enum message type, struct span body, const struct secret_key *key,
                struct buffer *out)
{
    bool known;
    struct digest question = ask("seal", (uint8_t)type, body, span_of(key->bytes, SECRET_KEY_LEN));
    struct deed *d = find(&question, &known);
    if (known)
        return recall(d, out);
    size_t start = out->len;
    int rv = envelope_seal(type, body, key, out);
    keep(d, rv, span_of(out->data + start, out->len - start));
    return rv;
}

int notary_certificate(const struct certificate *c, const struct secret_key *issuer,
                       struct buffer *out)
{
    bool known;
    uint8_t times[16];
    le64_write(times, c->not_before_s);
    le64_write(times + 8, c->not_after_s);
    struct digest dates = ask("dates", 0, span_of(times, sizeof times),
                              span_of(c->serial.bytes, sizeof c->serial.bytes));
    struct public_key authority = notary_public(issuer);
    struct key_id id = key_id_of(&authority);
    struct digest_stream who;
    digest_start(&who);
    digest_add(&who, span_of(c->key.bytes, PUBLIC_KEY_LEN));
    digest_add(&who, span_of(id.bytes, KEY_ID_LEN));
    struct digest parties = digest_end(&who);
    struct digest question = ask("certificate", (uint8_t)c->use, span_of(dates.bytes, DIGEST_LEN),
                                 span_of(parties.bytes, DIGEST_LEN));
    struct deed *d = find(&question, &known);
    if (known)
        return recall(d, out);
    size_t start = out->len;
    int rv = certificate_make(c, issuer, certificate_authority_name(&id).text, out);
    keep(d, rv, span_of(out->data + start, out->len - start));
    return rv;
}

/* What was made before. */
static int recall(const struct deed *d, struct buffer *out)
{
    if (out->cap - out->len < d->len)
        return ERR_NO_MEMORY;
    memcpy(out->data + out->len, d->bytes, d->len);
    out->len += d->len;
    return d->rv;
}

int notary_sign(enum message type, struct envelope *e, const struct secret_key *key)
{
    bool known;
    struct digest signed_by = digest_of(span_of(e->list, e->count * sizeof e->list[0]));
    struct digest_stream s;
    digest_start(&s);
    digest_add(&s, span_of(signed_by.bytes, DIGEST_LEN));
    digest_add(&s, span_of(key->bytes, SECRET_KEY_LEN));
    struct digest by = digest_end(&s);
    struct digest question = ask("sign", (uint8_t)type, e->body, span_of(by.bytes, DIGEST_LEN));
    struct deed *d = find(&question, &known);
    if (!known) {
        int rv = envelope_sign(type, e, key);
        keep(d, rv, span_of(e->list, sizeof e->list));
        return rv;
    }
    memcpy(e->list, d->bytes, sizeof e->list);
    e->count += d->rv == 0;
    return d->rv;
}

int notary_open(const struct trust *t, enum trust_role role, enum message type, struct span bytes,
                struct span *body)
{
    struct envelope e;
    bool known;
    struct digest question =
        ask("open", (uint8_t)type, bytes, span_of(&t->roles[role], sizeof t->roles[role]));
    struct deed *d = find(&question, &known);
    if (!known)
        keep(d, trust_open(t, role, type, bytes, body), SPAN_NONE);
    *body = SPAN_NONE;
    int rv = d->rv < 0 ? d->rv : envelope_read(type, bytes, &e);
    if (rv == 0)
        *body = e.body;
    return rv;
}

int notary_follows(const struct trust *old, struct span envelope, struct trust *new)
{
    bool known;
    struct digest question = ask("follows", 0, envelope, span_of(old, sizeof *old));
    struct deed *d = find(&question, &known);
    if (!known) {
        memset(new, 0, sizeof *new);
        int rv = trust_follows(old, envelope, new);
        keep(d, rv, span_of(new, sizeof *new));
    }
    memcpy(new, d->bytes, sizeof *new);
    return d->rv;
}

int notary_walk(const struct root_pin *pin, const struct span *envelopes, size_t count,
                struct trust *newest)
{
    struct digest digests[TRUST_WALK_MAX];
    bool known;
    assert(count <= TRUST_WALK_MAX);
    for (size_t i = 0; i < count; i++)
        digests[i] = digest_of(envelopes[i]);
    struct digest question =
        ask("walk", 0, span_of(pin, sizeof *pin), span_of(digests, count * sizeof digests[0]));
    struct deed *d = find(&question, &known);
    if (!known) {
        memset(newest, 0, sizeof *newest);
        int rv = trust_walk(pin, envelopes, count, newest);
        keep(d, rv, span_of(newest, sizeof *newest));
    }
    memcpy(newest, d->bytes, sizeof *newest);
    return d->rv;
}

static struct digest ask(const char *kind, uint8_t type, struct span a, struct span b)
{
    struct digest_stream s;
    uint8_t len[8];
    le64_write(len, a.len);
    digest_start(&s);
    digest_add(&s, span_text(kind));
    digest_add(&s, span_of(&type, 1));
    digest_add(&s, span_of(len, sizeof len));
    digest_add(&s, a);
    digest_add(&s, b);
    return digest_end(&s);
}

static struct deed *find(const struct digest *question, bool *known)
{
    uint32_t i = le32_read(question->bytes) % DEEDS_MAX;
    while (!digest_is_zero(&deeds[i].question)) {
        *known = digest_equal(&deeds[i].question, question);
        if (*known)
            return &deeds[i];
        i = (i + 1) % DEEDS_MAX;
    }
    *known = false;
    assert(deed_count < DEEDS_MAX / 4 * 3);
    deed_count++;
    deeds[i].question = *question;
    return &deeds[i];
}

static void keep(struct deed *d, int rv, struct span bytes)
{
    d->rv = rv;
    d->len = (uint32_t)bytes.len;
    d->bytes = malloc(bytes.len + 1);
    if (!d->bytes)
        abort();
    if (bytes.len)
        memcpy(d->bytes, bytes.data, bytes.len);
}
