#include "sync/join.h"

#include "base/endian.h"
#include "crypto/mac.h"
#include "sync/message.h"

#include <assert.h>

#define PURPOSE_REQUEST "dunlin join request"
#define PURPOSE_ANSWER "dunlin join answer"
#define PURPOSE_REPLY "dunlin join reply"
#define DOMAIN_PROOF "dunlin join proof"

/* Elements behind type and version, and inside the seals. */
#define JOIN_FIELDS 5    /* batch, index, serial, nonce, sealed */
#define JOINED_FIELDS 3  /* code, nonce, sealed */
#define REQUEST_FIELDS 4 /* key, facts, reply, proof */
#define ANSWER_FIELDS                                                                              \
    9 /* number, MAC key, policy, cells, assignment, trust, certificate, secret, atlas             \
       */

/* What a seal is bound to: the attempt's name and the fields in clear. */
#define BOUND_REQUEST_MAX (JOIN_ID_LEN + 10 + TOKEN_SERIAL_MAX)
#define BOUND_ANSWER_LEN (JOIN_ID_LEN + 3)

void facts_put(struct wire_writer *w, const struct facts *f)
{
    assert(f->count <= FACTS_MAX);
    wire_put_array(w, f->count);
    for (uint32_t i = 0; i < f->count; i++) {
        wire_put_array(w, 2);
        wire_put_text(w, span_text(f->list[i].key));
        wire_put_text(w, span_text(f->list[i].value));
    }
}

void facts_get(struct wire_reader *r, struct facts *f)
{
    *f = (struct facts){.count = wire_get_array(r, 0, FACTS_MAX)};
    const char *before = "";
    for (uint32_t i = 0; i < f->count && !r->error; i++) {
        struct fact *fact = &f->list[i];
        wire_get_array(r, 2, 2);
        wire_get_text_into(r, fact->key, sizeof fact->key);
        wire_get_text_into(r, fact->value, sizeof fact->value);
        if (strcmp(fact->key, before) <= 0)
            wire_fail(r, ERR_FORMAT);
        before = fact->key;
    }
}

int facts_write(const struct facts *f, struct buffer *out)
{
    struct wire_writer w = wire_writer_on(out);
    facts_put(&w, f);
    return wire_end(&w);
}

int facts_read(struct span bytes, struct facts *f)
{
    struct wire_reader r = wire_reader_on(bytes);
    facts_get(&r, f);
    return wire_done(&r);
}

uint32_t facts_digest(const struct facts *f)
{
    uint8_t memory[JOIN_MAX];
    struct buffer written = buffer_on(memory, sizeof memory);
    int rv = facts_write(f, &written);
    assert(rv == 0); /* FACTS_MAX full facts take 2.6 KB */
    struct digest d = digest_of(span_buffer(&written));
    return (uint32_t)d.bytes[0] << 24 | (uint32_t)d.bytes[1] << 16 | (uint32_t)d.bytes[2] << 8 |
           d.bytes[3];
}

/* [join-2] The attempt's name, type, version, batch, index and serial number. */
static struct span bound_request(uint8_t out[static BOUND_REQUEST_MAX], const struct join_id *id,
                                 uint32_t batch, uint32_t index, const char *serial)
{
    struct span text = span_text(serial);
    memcpy(out, id->bytes, JOIN_ID_LEN);
    out[JOIN_ID_LEN] = MESSAGE_JOIN;
    out[JOIN_ID_LEN + 1] = PROTOCOL_VERSION;
    le32_write(out + JOIN_ID_LEN + 2, batch);
    le32_write(out + JOIN_ID_LEN + 6, index);
    memcpy(out + JOIN_ID_LEN + 10, text.data, text.len);
    return span_of(out, JOIN_ID_LEN + 10 + text.len);
}

/* [join-2] What the proof signs: all that the seal is bound to, and the reply. */
static struct span proven(uint8_t out[static BOUND_REQUEST_MAX + SEAL_SECRET_LEN],
                          const struct join *j, uint32_t batch, uint32_t index,
                          const struct join_id *id)
{
    struct span bound = bound_request(out, id, batch, index, j->serial);
    memcpy(out + bound.len, j->reply.bytes, SEAL_SECRET_LEN);
    return span_of(out, bound.len + SEAL_SECRET_LEN);
}

int join_prove(struct join *j, const struct secret_key *key, const struct token *token,
               const struct join_id *id)
{
    uint8_t bytes[BOUND_REQUEST_MAX + SEAL_SECRET_LEN];
    return sign_make(key, DOMAIN_PROOF, proven(bytes, j, token->batch, token->index, id),
                     &j->proof);
}

int join_check(const struct join *j, uint32_t batch, uint32_t index, const struct join_id *id)
{
    uint8_t bytes[BOUND_REQUEST_MAX + SEAL_SECRET_LEN];
    return sign_check(&j->key, DOMAIN_PROOF, proven(bytes, j, batch, index, id), &j->proof);
}

struct seal_secret join_secret(const struct seal_secret *token, const struct seal_secret *reply)
{
    struct seal_secret secret;
    mac_hkdf(span_of(token->bytes, SEAL_SECRET_LEN), span_of(reply->bytes, SEAL_SECRET_LEN),
             PURPOSE_REPLY, secret.bytes, SEAL_SECRET_LEN);
    return secret;
}

int join_write(const struct join *j, const struct token *token, const struct join_id *id,
               const struct seal_nonce *nonce, struct buffer *out)
{
    uint8_t plain_memory[JOIN_MAX], sealed_memory[JOIN_MAX], bound[BOUND_REQUEST_MAX];
    struct buffer plain = buffer_on(plain_memory, sizeof plain_memory);
    struct buffer sealed = buffer_on(sealed_memory, sizeof sealed_memory);
    struct wire_writer inner = wire_writer_on(&plain);
    wire_put_array(&inner, REQUEST_FIELDS);
    wire_put_bytes(&inner, span_of(j->key.bytes, PUBLIC_KEY_LEN));
    facts_put(&inner, &j->facts);
    wire_put_bytes(&inner, span_of(j->reply.bytes, SEAL_SECRET_LEN));
    wire_put_bytes(&inner, span_of(j->proof.bytes, SIGNATURE_LEN));
    int rv = wire_end(&inner);
    if (rv < 0)
        return rv;
    rv = seal_close(&token->secret, PURPOSE_REQUEST, nonce,
                    bound_request(bound, id, token->batch, token->index, j->serial),
                    span_buffer(&plain), &sealed);
    if (rv < 0)
        return rv;
    struct wire_writer w = wire_writer_on(out);
    message_begin(&w, MESSAGE_JOIN, JOIN_FIELDS);
    wire_put_u64(&w, token->batch);
    wire_put_u64(&w, token->index);
    wire_put_text(&w, span_text(j->serial));
    wire_put_bytes(&w, span_of(nonce->bytes, SEAL_NONCE_LEN));
    wire_put_bytes(&w, span_buffer(&sealed));
    return wire_end(&w);
}

int join_read_outer(struct span bytes, struct join_outer *outer)
{
    if (bytes.len > JOIN_MAX)
        return ERR_RANGE;
    struct wire_reader r = wire_reader_on(bytes);
    uint32_t extra = message_enter(&r, MESSAGE_JOIN, JOIN_FIELDS);
    outer->batch = (uint32_t)wire_get_u64(&r, UINT32_MAX);
    outer->index = (uint32_t)wire_get_u64(&r, UINT32_MAX);
    wire_get_text_into(&r, outer->serial, sizeof outer->serial);
    if (outer->serial[0] != '\0' && !token_serial_valid(span_text(outer->serial)))
        wire_fail(&r, ERR_FORMAT);
    wire_get_bytes_into(&r, outer->nonce.bytes, SEAL_NONCE_LEN);
    outer->sealed = wire_get_bytes(&r, SEAL_TAG_LEN, JOIN_MAX);
    wire_skip(&r, extra);
    return wire_done(&r);
}

int join_open(const struct join_outer *outer, const struct seal_secret *secret,
              const struct join_id *id, struct join *j)
{
    uint8_t memory[JOIN_MAX], bound[BOUND_REQUEST_MAX];
    struct buffer plain = buffer_on(memory, sizeof memory);
    int rv = seal_open(secret, PURPOSE_REQUEST, &outer->nonce,
                       bound_request(bound, id, outer->batch, outer->index, outer->serial),
                       outer->sealed, &plain);
    if (rv < 0)
        return rv;
    memcpy(j->serial, outer->serial, sizeof j->serial);
    struct wire_reader r = wire_reader_on(span_buffer(&plain));
    uint32_t extra = message_enter_array(&r, REQUEST_FIELDS);
    wire_get_bytes_into(&r, j->key.bytes, PUBLIC_KEY_LEN);
    facts_get(&r, &j->facts);
    wire_get_bytes_into(&r, j->reply.bytes, SEAL_SECRET_LEN);
    wire_get_bytes_into(&r, j->proof.bytes, SIGNATURE_LEN);
    wire_skip(&r, extra);
    return wire_done(&r);
}

const char *joined_code_text(enum joined_code code)
{
    static const char texts[JOINED_CODE_COUNT][56] = {
        [JOINED_ACCEPTED] = "the device has joined",
        [JOINED_UNKNOWN] = "the fleet doesn't know this token",
        [JOINED_EXPIRED] = "the token has expired",
        [JOINED_REVOKED] = "the token has been revoked",
        [JOINED_USED] = "the token has been used by another device",
        [JOINED_FULL] = "the fleet is at its limit of agents",
        [JOINED_WAITING] = "an operator has to approve this device",
        [JOINED_SERIAL] = "the token is for a device with another serial number",
    };
    return (unsigned)code < JOINED_CODE_COUNT ? texts[code] : "the fleet refused without a reason";
}

/* [join-4] The attempt's name, type, version and code. */
static struct span bound_answer(uint8_t out[static BOUND_ANSWER_LEN], const struct join_id *id,
                                enum joined_code code)
{
    memcpy(out, id->bytes, JOIN_ID_LEN);
    out[JOIN_ID_LEN] = MESSAGE_JOINED;
    out[JOIN_ID_LEN + 1] = PROTOCOL_VERSION;
    out[JOIN_ID_LEN + 2] = (uint8_t)code;
    return span_of(out, BOUND_ANSWER_LEN);
}

/* What only an accepted device learns. */
static int answer_write(const struct joined *j, struct buffer *out)
{
    assert(j->cell_count <= CELLS_MAX && j->trust_count <= TRUST_WALK_MAX);
    struct wire_writer w = wire_writer_on(out);
    wire_put_array(&w, ANSWER_FIELDS);
    wire_put_u64(&w, j->number);
    wire_put_bytes(&w, span_of(j->mac.bytes, MAC_KEY_LEN));
    policy_put(&w, &j->policy);
    wire_put_array(&w, j->cell_count);
    for (uint32_t i = 0; i < j->cell_count; i++)
        wire_put_text(&w, span_text(j->cells[i]));
    wire_put_bytes(&w, j->assignment);
    wire_put_array(&w, j->trust_count);
    for (uint32_t i = 0; i < j->trust_count; i++)
        wire_put_bytes(&w, j->trust[i]);
    wire_put_bytes(&w, j->certificate);
    wire_put_bytes(&w, span_of(j->secret.bytes, SEAL_SECRET_LEN));
    wire_put_u64(&w, j->atlas);
    return wire_end(&w);
}

static void get_cell(struct wire_reader *r, char url[static CELL_URL_MAX + 1])
{
    wire_get_text_into(r, url, CELL_URL_MAX + 1);
    if (url[0] == '\0')
        wire_fail(r, ERR_FORMAT);
}

static int answer_read(struct span plain, struct joined *j)
{
    struct wire_reader r = wire_reader_on(plain);
    uint32_t extra = message_enter_array(&r, ANSWER_FIELDS);
    j->number = (uint32_t)wire_get_u64(&r, UINT32_MAX);
    wire_get_bytes_into(&r, j->mac.bytes, MAC_KEY_LEN);
    policy_get(&r, &j->policy);
    j->cell_count = wire_get_array(&r, 0, CELLS_MAX);
    for (uint32_t i = 0; i < j->cell_count; i++)
        get_cell(&r, j->cells[i]);
    j->assignment = wire_get_bytes(&r, 0, ASSIGNMENT_SIGNED_MAX);
    j->trust_count = wire_get_array(&r, 1, TRUST_WALK_MAX);
    for (uint32_t i = 0; i < j->trust_count; i++)
        j->trust[i] = wire_get_bytes(&r, 0, TRUST_MAX + ENVELOPE_OVERHEAD_MAX);
    j->certificate = wire_get_bytes(&r, 0, JOINED_MAX);
    wire_get_bytes_into(&r, j->secret.bytes, SEAL_SECRET_LEN);
    j->atlas = (uint32_t)wire_get_u64(&r, UINT32_MAX);
    wire_skip(&r, extra);
    if (j->number == 0)
        wire_fail(&r, ERR_FORMAT);
    return wire_done(&r);
}

static int joined_write_clear(enum joined_code code, struct buffer *out)
{
    struct wire_writer w = wire_writer_on(out);
    assert(code != JOINED_ACCEPTED);
    message_begin(&w, MESSAGE_JOINED, JOINED_FIELDS);
    wire_put_u64(&w, (uint64_t)code);
    wire_put_nil(&w);
    wire_put_nil(&w);
    return wire_end(&w);
}

int joined_write(const struct joined *j, const struct seal_secret *secret, const struct join_id *id,
                 const struct seal_nonce *nonce, struct buffer *out)
{
    if (!secret)
        return joined_write_clear(j->code, out);
    uint8_t plain_memory[JOINED_MAX], sealed_memory[JOINED_MAX], bound[BOUND_ANSWER_LEN];
    struct buffer plain = buffer_on(plain_memory, sizeof plain_memory);
    struct buffer sealed = buffer_on(sealed_memory, sizeof sealed_memory);
    int rv = j->code == JOINED_ACCEPTED ? answer_write(j, &plain) : 0;
    if (rv < 0)
        return rv;
    rv = seal_close(secret, PURPOSE_ANSWER, nonce, bound_answer(bound, id, j->code),
                    span_buffer(&plain), &sealed);
    if (rv < 0)
        return rv;
    struct wire_writer w = wire_writer_on(out);
    message_begin(&w, MESSAGE_JOINED, JOINED_FIELDS);
    wire_put_u64(&w, (uint64_t)j->code);
    wire_put_bytes(&w, span_of(nonce->bytes, SEAL_NONCE_LEN));
    wire_put_bytes(&w, span_buffer(&sealed));
    return wire_end(&w);
}

/* Takes the frame apart; 1 when it carries a seal, 0 when the code stands in clear. */
static int joined_read_frame(struct span bytes, struct joined *j, struct seal_nonce *nonce,
                             struct span *sealed)
{
    struct wire_reader r = wire_reader_on(bytes);
    uint32_t extra = message_enter(&r, MESSAGE_JOINED, JOINED_FIELDS);
    j->code = (enum joined_code)wire_get_u64(&r, JOINED_CODE_COUNT - 1);
    bool clear = wire_get_nil(&r);
    if (clear && (!wire_get_nil(&r) || j->code == JOINED_ACCEPTED))
        wire_fail(&r, ERR_FORMAT);
    if (!clear) {
        wire_get_bytes_into(&r, nonce->bytes, SEAL_NONCE_LEN);
        *sealed = wire_get_bytes(&r, SEAL_TAG_LEN, JOINED_MAX);
    }
    wire_skip(&r, extra);
    int rv = wire_done(&r);
    return rv < 0 ? rv : !clear;
}

int joined_read(struct span bytes, const struct seal_secret *secret, const struct join_id *id,
                struct buffer *plain, struct joined *j)
{
    uint8_t bound[BOUND_ANSWER_LEN];
    struct seal_nonce nonce;
    struct span sealed;
    *j = (struct joined){0};
    int rv = joined_read_frame(bytes, j, &nonce, &sealed);
    if (rv <= 0)
        return rv;
    plain->len = 0;
    rv = seal_open(secret, PURPOSE_ANSWER, &nonce, bound_answer(bound, id, j->code), sealed, plain);
    if (rv < 0)
        return rv;
    if (j->code == JOINED_ACCEPTED)
        rv = answer_read(span_buffer(plain), j);
    else if (plain->len != 0)
        rv = ERR_FORMAT;
    return rv < 0 ? rv : 1;
}
