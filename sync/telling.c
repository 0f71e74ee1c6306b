#include "sync/telling.h"

#include "sync/message.h"

/* Elements behind type and version. */
#define TELLING_FIELDS 3

int telling_write(const struct telling *t, const struct mac_key *key, struct buffer *out)
{
    struct wire_writer w = wire_writer_on(out);
    message_begin(&w, MESSAGE_TELLING, TELLING_FIELDS);
    wire_put_u64(&w, t->number);
    wire_put_u64(&w, t->seq);
    facts_put(&w, &t->facts);
    return status_seal(&w, key);
}

int telling_read(struct span bytes, struct telling *t)
{
    *t = (struct telling){0};
    if (bytes.len <= STATUS_MAC_LEN || bytes.len > TELLING_MAX)
        return ERR_FORMAT;
    struct wire_reader r = wire_reader_on(span_of(bytes.data, bytes.len - STATUS_MAC_LEN));
    uint32_t extra = message_enter(&r, MESSAGE_TELLING, TELLING_FIELDS);
    t->number = (uint32_t)wire_get_u64(&r, UINT32_MAX);
    t->seq = (uint32_t)wire_get_u64(&r, UINT32_MAX);
    facts_get(&r, &t->facts);
    wire_skip(&r, extra);
    if (t->number == 0)
        wire_fail(&r, ERR_FORMAT);
    return wire_done(&r);
}
