#include "sync/renewal.h"

#include "base/endian.h"
#include "sync/message.h"

/* Elements behind type and version. */
#define RENEWAL_FIELDS 3
#define RENEWED_FIELDS 2
#define NONCE_LEN 8

/* Over the message, and over what isn't in it but must fit. */
static struct digest mac_with(const struct mac_key *key, struct span message, struct span beside)
{
    uint8_t room[RENEWED_MAX + NONCE_LEN];
    struct buffer both = buffer_on(room, sizeof room);
    memcpy(both.data, message.data, message.len);
    if (beside.len > 0)
        memcpy(both.data + message.len, beside.data, beside.len);
    both.len = message.len + beside.len;
    return mac_of(key, span_buffer(&both));
}

/* Ends the message with its MAC. */
static int end_with_mac(struct wire_writer *w, const struct mac_key *key, struct span beside)
{
    struct buffer *out = w->out;
    int rv = wire_end(w);
    if (rv < 0)
        return rv;
    size_t len = out->len - w->start;
    if (len > RENEWED_MAX || out->cap - out->len < RENEWAL_MAC_LEN) {
        out->len = w->start;
        return ERR_NO_MEMORY;
    }
    struct digest mac = mac_with(key, span_of(out->data + w->start, len), beside);
    memcpy(out->data + out->len, mac.bytes, RENEWAL_MAC_LEN);
    out->len += RENEWAL_MAC_LEN;
    return 0;
}

/* The message without its MAC; empty when it is too short or too long for one. */
static struct span without_mac(struct span bytes, size_t max)
{
    bool fits = bytes.len > RENEWAL_MAC_LEN && bytes.len <= max;
    return fits ? span_of(bytes.data, bytes.len - RENEWAL_MAC_LEN) : SPAN_NONE;
}

static int check_mac(struct span bytes, struct span message, const struct mac_key *key,
                     struct span beside)
{
    if (message.len == 0)
        return ERR_FORMAT;
    struct digest mac = mac_with(key, message, beside);
    bool holds = mac_equal(span_of(mac.bytes, RENEWAL_MAC_LEN),
                           span_of(bytes.data + message.len, RENEWAL_MAC_LEN));
    return holds ? 0 : ERR_SIGNATURE;
}

int renewal_write(const struct renewal *r, const struct mac_key *key, struct buffer *out)
{
    struct wire_writer w = wire_writer_on(out);
    message_begin(&w, MESSAGE_RENEWAL, RENEWAL_FIELDS);
    wire_put_u64(&w, r->number);
    wire_put_bytes(&w, span_of(r->key.bytes, PUBLIC_KEY_LEN));
    wire_put_u64(&w, r->nonce);
    return end_with_mac(&w, key, SPAN_NONE);
}

int renewal_read(struct span bytes, struct renewal *r)
{
    struct wire_reader reader = wire_reader_on(without_mac(bytes, RENEWAL_MAX));
    uint32_t extra = message_enter(&reader, MESSAGE_RENEWAL, RENEWAL_FIELDS);
    *r = (struct renewal){.number = (uint32_t)wire_get_u64(&reader, UINT32_MAX)};
    wire_get_bytes_into(&reader, r->key.bytes, PUBLIC_KEY_LEN);
    r->nonce = wire_get_u64(&reader, UINT64_MAX);
    wire_skip(&reader, extra);
    if (r->number == 0)
        wire_fail(&reader, ERR_FORMAT); /* agents are numbered from 1 */
    return wire_done(&reader);
}

int renewal_check(struct span bytes, const struct mac_key *key)
{
    return check_mac(bytes, without_mac(bytes, RENEWAL_MAX), key, SPAN_NONE);
}

static struct span nonce_bytes(uint64_t nonce, uint8_t room[static NONCE_LEN])
{
    le64_write(room, nonce);
    return span_of(room, NONCE_LEN);
}

int renewed_write(const struct renewed *r, uint64_t nonce, const struct mac_key *key,
                  struct buffer *out)
{
    uint8_t room[NONCE_LEN];
    struct wire_writer w = wire_writer_on(out);
    message_begin(&w, MESSAGE_RENEWED, RENEWED_FIELDS);
    wire_put_u64(&w, (uint64_t)r->code);
    wire_put_bytes(&w, r->certificate);
    return end_with_mac(&w, key, nonce_bytes(nonce, room));
}

int renewed_read(struct span bytes, uint64_t nonce, const struct mac_key *key, struct renewed *r)
{
    uint8_t room[NONCE_LEN];
    struct span message = without_mac(bytes, RENEWED_MAX);
    *r = (struct renewed){0};
    int rv = check_mac(bytes, message, key, nonce_bytes(nonce, room));
    if (rv < 0)
        return rv;
    struct wire_reader reader = wire_reader_on(message);
    uint32_t extra = message_enter(&reader, MESSAGE_RENEWED, RENEWED_FIELDS);
    r->code = (enum joined_code)wire_get_u64(&reader, JOINED_CODE_COUNT - 1);
    r->certificate = wire_get_bytes(&reader, 0, CERTIFICATE_MAX);
    wire_skip(&reader, extra);
    if ((r->code == JOINED_ACCEPTED) != (r->certificate.len > 0))
        wire_fail(&reader, ERR_FORMAT);
    rv = wire_done(&reader);
    if (rv < 0)
        *r = (struct renewed){0};
    return rv;
}

const char *renewed_code_text(enum joined_code code)
{
    if (code == JOINED_REVOKED)
        return "this agent is shut out of its fleet";
    return code == JOINED_UNKNOWN ? "the fleet doesn't know this agent" : joined_code_text(code);
}
