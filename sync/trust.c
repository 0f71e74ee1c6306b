#include "sync/trust.h"

#include "sync/message.h"

#include <assert.h>

int trust_write(const struct trust *t, struct buffer *out)
{
    assert(t->count <= PUBLISHERS_MAX);
    struct wire_writer w = wire_writer_on(out);
    message_begin(&w, MESSAGE_TRUST, 3);
    wire_put_u64(&w, t->version);
    wire_put_u64(&w, t->issued_s);
    wire_put_array(&w, t->count);
    for (uint32_t i = 0; i < t->count; i++)
        wire_put_bytes(&w, span_of(t->publishers[i].bytes, PUBLIC_KEY_LEN));
    return wire_end(&w);
}

int trust_read(struct span body, struct trust *t)
{
    struct wire_reader r = wire_reader_on(body);
    uint32_t extra = message_enter(&r, MESSAGE_TRUST, 3);
    *t = (struct trust){0};
    t->version = (uint32_t)wire_get_u64(&r, UINT32_MAX);
    t->issued_s = wire_get_u64(&r, UINT64_MAX);
    t->count = wire_get_array(&r, 0, PUBLISHERS_MAX);
    for (uint32_t i = 0; i < t->count; i++)
        wire_get_bytes_into(&r, t->publishers[i].bytes, PUBLIC_KEY_LEN);
    wire_skip(&r, extra);
    return wire_done(&r);
}
