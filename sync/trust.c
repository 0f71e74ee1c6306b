#include "sync/trust.h"

#include "crypto/certificate.h"
#include "sync/message.h"

#include <assert.h>

/* version, issued, a part for each role, authorities */
#define TRUST_FIELDS (3 + TRUST_ROLE_COUNT)

static const struct {
    const char *name;
    uint32_t min, max; /* keys */
    uint32_t threshold_max;
} rules[TRUST_ROLE_COUNT] = {
    [TRUST_ROOTS] = {"root", 1, ROOTS_MAX, ROOTS_MAX},
    [TRUST_PUBLISHERS] = {"publisher", 0, PUBLISHERS_MAX, PUBLISHERS_MAX},
    [TRUST_ONLINE] = {"online", 1, ONLINE_MAX, 1},
};

static void put_keys(struct wire_writer *w, const struct trust_keys *k)
{
    wire_put_array(w, 2);
    wire_put_u64(w, k->threshold);
    wire_put_array(w, k->count);
    for (uint32_t i = 0; i < k->count; i++)
        wire_put_bytes(w, span_of(k->list[i].bytes, PUBLIC_KEY_LEN));
}

/* Keys rise, so that none is there twice. */
static void get_keys(struct wire_reader *r, enum trust_role role, struct trust_keys *k)
{
    wire_get_array(r, 2, 2);
    k->threshold = (uint32_t)wire_get_u64(r, rules[role].threshold_max);
    k->count = wire_get_array(r, rules[role].min, rules[role].max);
    for (uint32_t i = 0; i < k->count && !r->error; i++) {
        wire_get_bytes_into(r, k->list[i].bytes, PUBLIC_KEY_LEN);
        if (i > 0 && memcmp(&k->list[i - 1], &k->list[i], PUBLIC_KEY_LEN) >= 0)
            wire_fail(r, ERR_FORMAT);
    }
    if (!trust_keys_can_sign(k, k->threshold))
        wire_fail(r, ERR_RANGE);
}

static void get_authorities(struct wire_reader *r, struct trust *t)
{
    t->authority_count = wire_get_array(r, 0, AUTHORITIES_MAX);
    for (uint32_t i = 0; i < t->authority_count && !r->error; i++) {
        wire_get_bytes_into(r, t->authorities[i].bytes, KEY_ID_LEN);
        if (i > 0 && memcmp(&t->authorities[i - 1], &t->authorities[i], KEY_ID_LEN) >= 0)
            wire_fail(r, ERR_FORMAT);
    }
}

static uint32_t key_count(const struct trust *t)
{
    uint32_t count = 0;
    for (int role = 0; role < TRUST_ROLE_COUNT; role++)
        count += t->roles[role].count;
    return count;
}

/* The n-th key of all. */
static const struct public_key *key_at(const struct trust *t, uint32_t n)
{
    const struct trust_keys *k = t->roles;
    for (; n >= k->count; k++)
        n -= k->count;
    return &k->list[n];
}

/* Who steals a key of one role must not have another one with it. */
static bool key_has_two_roles(const struct trust *t)
{
    uint32_t count = key_count(t);
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = i + 1; k < count; k++)
            if (memcmp(key_at(t, i), key_at(t, k), PUBLIC_KEY_LEN) == 0)
                return true;
    return false;
}

int trust_write(const struct trust *t, struct buffer *out)
{
    struct wire_writer w = wire_writer_on(out);
    message_begin(&w, MESSAGE_TRUST, TRUST_FIELDS);
    wire_put_u64(&w, t->version);
    wire_put_u64(&w, t->issued_s);
    for (int role = 0; role < TRUST_ROLE_COUNT; role++) {
        assert(t->roles[role].count <= rules[role].max);
        put_keys(&w, &t->roles[role]);
    }
    assert(t->authority_count <= AUTHORITIES_MAX);
    wire_put_array(&w, t->authority_count);
    for (uint32_t i = 0; i < t->authority_count; i++)
        wire_put_bytes(&w, span_of(t->authorities[i].bytes, KEY_ID_LEN));
    return wire_end(&w);
}

int trust_read(struct span body, struct trust *t)
{
    struct wire_reader r = wire_reader_on(body);
    uint32_t extra = message_enter(&r, MESSAGE_TRUST, TRUST_FIELDS);
    *t = (struct trust){0};
    t->version = (uint32_t)wire_get_u64(&r, UINT32_MAX);
    t->issued_s = wire_get_u64(&r, UINT64_MAX);
    for (int role = 0; role < TRUST_ROLE_COUNT; role++)
        get_keys(&r, (enum trust_role)role, &t->roles[role]);
    get_authorities(&r, t);
    wire_skip(&r, extra);
    if (t->version == 0)
        wire_fail(&r, ERR_RANGE);
    if (!r.error && key_has_two_roles(t))
        wire_fail(&r, ERR_FORMAT);
    return wire_done(&r);
}

/* ---- the keys in it ---- */

bool trust_keys_can_sign(const struct trust_keys *k, uint32_t threshold)
{
    return threshold >= 1 && threshold <= (k->count ? k->count : 1);
}

const char *trust_role_name(enum trust_role role)
{
    assert(role < TRUST_ROLE_COUNT);
    return rules[role].name;
}

uint32_t trust_role_max(enum trust_role role)
{
    assert(role < TRUST_ROLE_COUNT);
    return rules[role].max;
}

bool trust_has(const struct trust *t, enum trust_role role, const struct public_key *key)
{
    const struct trust_keys *k = &t->roles[role];
    for (uint32_t i = 0; i < k->count; i++)
        if (memcmp(&k->list[i], key, sizeof *key) == 0)
            return true;
    return false;
}

int trust_add(struct trust *t, enum trust_role role, const struct public_key *key)
{
    struct trust_keys *k = &t->roles[role];
    uint32_t at = 0;
    if (trust_has(t, role, key))
        return ERR_EXISTS;
    if (k->count == rules[role].max)
        return ERR_RANGE;
    while (at < k->count && memcmp(&k->list[at], key, sizeof *key) < 0)
        at++;
    memmove(&k->list[at + 1], &k->list[at], (k->count - at) * sizeof k->list[0]);
    k->list[at] = *key;
    k->count++;
    if (k->threshold == 0)
        k->threshold = 1;
    return 0;
}

/* Where the key of this id is; the count when it isn't. */
static uint32_t place_of(const struct trust_keys *k, const struct key_id *id)
{
    for (uint32_t i = 0; i < k->count; i++) {
        struct key_id known = key_id_of(&k->list[i]);
        if (key_id_equal(&known, id))
            return i;
    }
    return k->count;
}

int trust_remove(struct trust *t, enum trust_role role, const struct key_id *id)
{
    struct trust_keys *k = &t->roles[role];
    uint32_t at = place_of(k, id);
    if (at == k->count)
        return ERR_NOT_FOUND;
    memmove(&k->list[at], &k->list[at + 1], (k->count - at - 1) * sizeof k->list[0]);
    memset(&k->list[--k->count], 0, sizeof k->list[0]);
    return 0;
}

int trust_open(const struct trust *t, enum trust_role role, enum message type, struct span bytes,
               struct span *body)
{
    const struct trust_keys *k = &t->roles[role];
    return envelope_open(type, bytes, k->list, k->count, k->threshold, body);
}

bool trust_knows(const struct trust *t, enum trust_role role, const struct key_id *id)
{
    const struct trust_keys *k = &t->roles[role];
    return place_of(k, id) < k->count;
}

bool trust_has_authority(const struct trust *t, const struct key_id *id)
{
    for (uint32_t i = 0; i < t->authority_count; i++)
        if (key_id_equal(&t->authorities[i], id))
            return true;
    return false;
}

bool trust_has_issuer(const struct trust *t, const char *issuer)
{
    for (uint32_t i = 0; i < t->authority_count; i++)
        if (strcmp(certificate_authority_name(&t->authorities[i]).text, issuer) == 0)
            return true;
    return false;
}

struct key_id trust_signer(const struct trust *t, enum trust_role role, enum message type,
                           struct span opened)
{
    struct envelope e;
    if (envelope_read(type, opened, &e) == 0)
        for (uint32_t i = 0; i < e.count; i++)
            if (trust_knows(t, role, &e.list[i].signer))
                return e.list[i].signer;
    return (struct key_id){0};
}

/* ---- from one version to the next ---- */

int trust_follows(const struct trust *old, struct span envelope, struct trust *new)
{
    struct span body;
    int rv = trust_open(old, TRUST_ROOTS, MESSAGE_TRUST, envelope, &body);
    if (rv == 0)
        rv = trust_read(body, new);
    if (rv == 0 && new->version != (uint64_t)old->version + 1)
        rv = ERR_OLD;
    return rv < 0 ? rv : trust_open(new, TRUST_ROOTS, MESSAGE_TRUST, envelope, &body);
}

struct root_pin trust_pin(const struct trust *t)
{
    uint8_t memory[TRUST_MAX];
    struct buffer out = buffer_on(memory, sizeof memory);
    struct wire_writer w = wire_writer_on(&out);
    struct root_pin pin;
    put_keys(&w, &t->roles[TRUST_ROOTS]);
    int rv = wire_end(&w);
    assert(rv == 0); /* ROOTS_MAX keys take 530 bytes */
    struct digest digest = digest_of(span_buffer(&out));
    memcpy(pin.bytes, digest.bytes, sizeof pin.bytes);
    return pin;
}

/* The pin stands for a signature: it says which roots to check by, before anything else is
 * believed. */
static int begin_walk(const struct root_pin *pin, struct span envelope, struct trust *t)
{
    struct envelope e;
    struct span body;
    int rv = envelope_read(MESSAGE_TRUST, envelope, &e);
    if (rv == 0)
        rv = trust_read(e.body, t);
    if (rv < 0)
        return rv;
    struct root_pin own = trust_pin(t);
    if (memcmp(&own, pin, sizeof own) != 0)
        return ERR_UNTRUSTED;
    return trust_open(t, TRUST_ROOTS, MESSAGE_TRUST, envelope, &body);
}

int trust_walk(const struct root_pin *pin, const struct span *envelopes, size_t count,
               struct trust *newest)
{
    size_t at = count;
    int rv = ERR_UNTRUSTED;
    while (at > 0 && rv == ERR_UNTRUSTED)
        rv = begin_walk(pin, envelopes[--at], newest);
    for (at++; at < count && rv == 0; at++) {
        struct trust before = *newest;
        rv = trust_follows(&before, envelopes[at], newest);
    }
    return rv;
}
