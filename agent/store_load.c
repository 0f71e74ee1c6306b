/* What is kept, brought back into memory, and checked: an agent goes on with all of it, or says
 * what is damaged. */
#include "agent/store_parts.h"

#include "base/endian.h"
#include "crypto/digest.h"

#include <string.h>

static int load_meta(struct store *s, struct errmsg *em);
static int load_value(struct store *s, enum meta key, struct span value);
static int load_policy(struct policy *p, struct span value);
static int load_door(struct identity *id, struct span value);
static int load_time(uint64_t *out, struct span value);
static int load_trust(struct store *s, struct span value);
static int load_assignment(struct store *s, struct span value);
static int load_document(struct store *s, struct span value);
static int load_held(struct store *s, struct errmsg *em);
static int read_held(struct query *q, struct held *h);
static int take_after(struct span bytes, struct dependencies *after);
static bool known_bundle(const struct target *t);
static int check_whole(struct store *s, struct errmsg *em);

int store_load(struct store *s, struct errmsg *em)
{
    s->identity = (struct identity){.policy = POLICY_DEFAULT};
    s->floor_s = DUNLIN_BUILD_S;
    s->held_count = 0;
    int rv = load_meta(s, em);
    if (rv == 0)
        rv = load_held(s, em);
    if (rv == 0)
        rv = check_whole(s, em);
    store_refresh(s);
    return rv;
}

static int load_meta(struct store *s, struct errmsg *em)
{
    int rv = 0;
    struct query q = query_sql(s->db, "SELECT key, value FROM meta ORDER BY key");
    while (rv == 0 && query_next(&q)) {
        enum meta key = (enum meta)query_get_int(&q, INT32_MAX);
        rv = load_value(s, key, query_get_blob(&q, SIZE_MAX));
    }
    int end = query_end_sql(&q);
    if (end < 0)
        return store_fail(s, end, "it can't be read", em);
    return rv < 0 ? store_fail(s, ERR_DAMAGED, "a stored value is not well-formed", em) : 0;
}

static int load_bytes(void *out, size_t len, struct span value)
{
    if (!value.data || value.len != len)
        return ERR_DAMAGED;
    memcpy(out, value.data, len);
    return 0;
}

static int load_number(uint32_t *out, struct span value)
{
    if (value.len != 4)
        return ERR_DAMAGED;
    *out = le32_read(value.data);
    return 0;
}

/* A program that is newer than what an older one kept knows better. */
static int load_seq(struct store *s, struct span value)
{
    if (value.len != SEQ_LEN)
        return ERR_DAMAGED;
    s->seq_ceiling = le32_read(value.data);
    uint64_t kept_s = le64_read(value.data + 4);
    if (kept_s > s->floor_s)
        s->floor_s = kept_s;
    return 0;
}

static int load_value(struct store *s, enum meta key, struct span value)
{
    struct identity *id = &s->identity;
    switch (key) {
    case META_SECRET:
        return identity_take_secret(id, value);
    case META_NUMBER:
        return load_number(&id->number, value);
    case META_TRUST:
        return load_trust(s, value);
    case META_MAC:
        return load_bytes(id->mac.bytes, sizeof(id->mac.bytes), value);
    case META_FACTS:
        return facts_read(value, &id->facts);
    case META_POLICY:
        return load_policy(&id->policy, value);
    case META_CELLS:
        return identity_take_cells(id, value);
    case META_TOKEN:
        return load_bytes(id->token.bytes, sizeof(id->token.bytes), value);
    case META_ATLAS:
        return identity_take_atlas(id, value);
    case META_DOOR:
        return load_door(id, value);
    case META_CERTIFICATE:
        return identity_take_certificate(id, value);
    case META_SEQ:
        return load_seq(s, value);
    case META_SEALED_TO:
        return load_bytes(id->sealed_to.bytes, SEAL_SECRET_LEN, value);
    case META_SHUT_OUT:
        return load_time(&s->shut_out_s, value);
    case META_ASSIGNMENT:
        return load_assignment(s, value);
    case META_DOCUMENT:
        return load_document(s, value);
    }
    return 0; /* what a newer agent kept, that was here before */
}

int identity_take_secret(struct identity *id, struct span value)
{
    int rv = load_bytes(id->secret.bytes, sizeof(id->secret.bytes), value);
    if (rv == 0)
        rv = sign_public(&id->secret, &id->key);
    if (rv < 0)
        return rv;
    id->id = key_id_of(&id->key);
    id->keyed = true;
    return 0;
}

static int load_policy(struct policy *p, struct span value)
{
    if (value.len != POLICY_LEN)
        return ERR_DAMAGED;
    *p = (struct policy){
        .heartbeat_s = le32_read(value.data),
        .keepalive_s = le32_read(value.data + 4),
        .reconnect_spread_s = le32_read(value.data + 8),
        .fetch_spread_s = le32_read(value.data + 12),
    };
    return policy_valid(p) ? 0 : ERR_DAMAGED;
}

static void add_cell(struct identity *id, struct span url)
{
    char *cell = id->cells[id->cell_count++];
    memcpy(cell, url.data, url.len);
    cell[url.len] = '\0';
}

/* One URL a line. */
int identity_take_cells(struct identity *id, struct span value)
{
    while (value.len > 0) {
        const uint8_t *end = memchr(value.data, '\n', value.len);
        size_t len = end ? (size_t)(end - value.data) : 0;
        if (len == 0 || len > CELL_URL_MAX || id->cell_count == CELLS_MAX)
            return ERR_DAMAGED;
        add_cell(id, span_of(value.data, len));
        value = span_of(end + 1, value.len - len - 1);
    }
    id->home_count = id->cell_count;
    return 0;
}

static bool has_cell(const struct identity *id, const char *url)
{
    for (uint32_t i = 0; i < id->cell_count; i++)
        if (strcmp(id->cells[i], url) == 0)
            return true;
    return false;
}

/* No cells are those of the join. What the join told comes behind: whoever steals the online key
 * may name an atlas of cells that aren't there, and these lead back. */
int identity_take_atlas(struct identity *id, struct span value)
{
    char told[CELLS_MAX][CELL_URL_MAX + 1];
    if (!value.data || value.len < ATLAS_HEAD_LEN)
        return ERR_DAMAGED;
    struct digest digest = digest_of(span_of(value.data + DIGEST_LEN, value.len - DIGEST_LEN));
    if (memcmp(digest.bytes, value.data, DIGEST_LEN) != 0)
        return ERR_DAMAGED;
    memcpy(id->atlas_signer.bytes, value.data + DIGEST_LEN, KEY_ID_LEN);
    id->atlas = le32_read(value.data + SIGNED_HEAD_LEN);
    if (value.len == ATLAS_HEAD_LEN)
        return 0;
    uint32_t count = id->cell_count;
    memcpy(told, id->cells, sizeof(told));
    id->cell_count = 0;
    int rv =
        identity_take_cells(id, span_of(value.data + ATLAS_HEAD_LEN, value.len - ATLAS_HEAD_LEN));
    if (rv < 0)
        return rv;
    if (id->home_count > ATLAS_HOMES)
        id->home_count = ATLAS_HOMES;
    for (uint32_t i = 0; i < count && id->cell_count < CELLS_MAX; i++)
        if (!has_cell(id, told[i]))
            add_cell(id, span_text(told[i]));
    return 0;
}

static int load_door(struct identity *id, struct span value)
{
    if (value.len == 0 || value.len > CELL_URL_MAX)
        return ERR_DAMAGED;
    memcpy(id->door, value.data, value.len);
    id->door[value.len] = '\0';
    return 0;
}

/* None is none; anything else is for this agent's own key. */
int identity_take_certificate(struct identity *id, struct span value)
{
    struct certificate c;
    if (value.len == 0)
        return 0;
    if (value.len > sizeof(id->certificate) || certificate_read(value, &c) < 0 ||
        memcmp(&c.key, &id->key, sizeof(c.key)) != 0)
        return ERR_DAMAGED;
    memcpy(id->certificate, value.data, value.len);
    id->certificate_len = value.len;
    id->certificate_from_s = c.not_before_s;
    id->certificate_until_s = c.not_after_s;
    memcpy(id->certificate_issuer, c.issuer, sizeof(id->certificate_issuer));
    return 0;
}

static int load_time(uint64_t *out, struct span value)
{
    if (value.len != 8)
        return ERR_DAMAGED;
    *out = le64_read(value.data);
    return 0;
}

/*
 * What is signed was checked before it was stored, and its keys may have been revoked since. So it
 * stands behind who signed it, and both behind their digest, which finds a flipped bit.
 */
static int load_signed(struct span value, enum message type, struct key_id *signer,
                       struct span *body)
{
    struct envelope e;
    if (!value.data || value.len < SIGNED_HEAD_LEN)
        return ERR_DAMAGED;
    struct digest digest = digest_of(span_of(value.data + DIGEST_LEN, value.len - DIGEST_LEN));
    if (memcmp(digest.bytes, value.data, DIGEST_LEN) != 0)
        return ERR_DAMAGED;
    memcpy(signer->bytes, value.data + DIGEST_LEN, KEY_ID_LEN);
    int rv =
        envelope_read(type, span_of(value.data + SIGNED_HEAD_LEN, value.len - SIGNED_HEAD_LEN), &e);
    *body = e.body;
    return rv;
}

static int load_trust(struct store *s, struct span value)
{
    struct span body = SPAN_NONE;
    struct key_id nobody;
    int rv = load_signed(value, MESSAGE_TRUST, &nobody, &body);
    return rv < 0 ? rv : trust_read(body, &s->trust);
}

static int load_assignment(struct store *s, struct span value)
{
    struct span body = SPAN_NONE;
    int rv = load_signed(value, MESSAGE_ASSIGNMENT, &s->assignment_signer, &body);
    return rv < 0 ? rv : assignment_read(body, &s->assignment);
}

static int load_document(struct store *s, struct span value)
{
    struct span body = SPAN_NONE;
    int rv = load_signed(value, MESSAGE_DESIRED, &s->document_signer, &body);
    return rv < 0 ? rv : desired_read(body, &s->document);
}

static int load_held(struct store *s, struct errmsg *em)
{
    int rv = 0;
    struct query q = query_sql(s->db, "SELECT * FROM held ORDER BY deployment");
    while (rv == 0 && query_next(&q))
        rv = s->held_count < HELD_MAX ? read_held(&q, &s->held[s->held_count++]) : ERR_DAMAGED;
    int end = query_end_sql(&q);
    if (end < 0)
        return store_fail(s, end, "its deployments can't be read", em);
    return rv < 0 ? store_fail(s, rv, "a deployment's row is not well-formed", em) : 0;
}

/* As write_held put it. */
static int read_held(struct query *q, struct held *h)
{
    *h = (struct held){.deployment = (uint32_t)query_get_int(q, UINT32_MAX)};
    query_get_text(q, h->name, sizeof h->name);
    h->phase = (uint8_t)query_get_int(q, PHASE_COUNT - 1);
    uint64_t cause = query_get_int(q, UINT8_MAX); /* one that a newer agent gave is none here */
    h->cause = (uint8_t)(cause < CAUSE_COUNT ? cause : CAUSE_NONE);
    h->attempts = (uint8_t)query_get_int(q, UINT8_MAX);
    h->moved = query_get_int(q, 1) == 1;
    h->flags = (uint32_t)query_get_int(q, UINT32_MAX);
    h->running.generation = (uint32_t)query_get_int(q, UINT32_MAX);
    query_get_bytes(q, h->running.bundle.bytes, DIGEST_LEN);
    h->wanted.generation = (uint32_t)query_get_int(q, UINT32_MAX);
    query_get_bytes(q, h->wanted.bundle.bytes, DIGEST_LEN);
    query_get_bytes(q, h->signer.bytes, KEY_ID_LEN);
    q->odd |= take_after(query_get_blob(q, AFTER_LEN_MAX), &h->after) < 0;
    h->running.variables = query_get_int(q, UINT64_MAX);
    h->wanted.variables = query_get_int(q, UINT64_MAX);
    h->failures = (uint8_t)query_get_int(q, UINT8_MAX);
    h->failed_s = query_get_int(q, UINT32_MAX);
    bool whole =
        name_valid(span_text(h->name)) && known_bundle(&h->running) && known_bundle(&h->wanted);
    return q->odd || !whole ? ERR_DAMAGED : 0;
}

/* Four bytes for each. */
static int take_after(struct span bytes, struct dependencies *after)
{
    if (bytes.len % 4 != 0)
        return ERR_DAMAGED;
    after->count = (uint32_t)(bytes.len / 4);
    for (uint32_t i = 0; i < after->count; i++)
        after->numbers[i] = le32_read(bytes.data + (size_t)4 * i);
    return 0;
}

/* A generation above 0 names a bundle. */
static bool known_bundle(const struct target *t)
{
    return t->generation == 0 || !digest_is_zero(&t->bundle);
}

static int check_whole(struct store *s, struct errmsg *em)
{
    const struct identity *id = &s->identity;
    if (!store_joined(s))
        return 0;
    if (!id->keyed || id->cell_count == 0)
        return store_fail(s, ERR_DAMAGED, "a part of the identity is missing", em);
    if (!key_id_equal(&s->assignment.agent, &id->id))
        return store_fail(s, ERR_DAMAGED, "the assignment is not for the key", em);
    return 0;
}

static uint64_t rooted_s(const struct store *s)
{
    return s->trust.issued_s > DUNLIN_BUILD_S ? s->trust.issued_s : DUNLIN_BUILD_S;
}

static uint64_t newest_s(const struct store *s)
{
    const uint64_t times[] = {s->document.issued_s, s->assignment.issued_s,
                              s->identity.certificate_from_s};
    uint64_t newest = 0;
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++)
        if (times[i] > newest)
            newest = times[i];
    return newest;
}

void store_refresh(struct store *s)
{
    if (s->document.revision.epoch == 0 && s->document.revision.number == 0)
        s->document.policy = s->identity.policy;
    s->view = (struct agent_view){
        .document = &s->document,
        .assignment = &s->assignment,
        .trust = &s->trust,
        .document_signer = s->document_signer,
        .assignment_signer = s->assignment_signer,
        .cell_count = s->identity.cell_count,
        .home_count = s->identity.home_count,
        .atlas = s->identity.atlas,
        .atlas_signer = s->identity.atlas_signer,
        .rooted_s = rooted_s(s),
        .signed_s = newest_s(s),
        .certificate_from_s = s->identity.certificate_from_s,
        .certificate_until_s = s->identity.certificate_until_s,
        .shut_out_s = s->shut_out_s,
        .certificate_outdated = s->identity.certificate_len > 0 &&
                                !trust_has_issuer(&s->trust, s->identity.certificate_issuer),
        .held = s->held,
        .held_count = s->held_count,
    };
}
