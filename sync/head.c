#include "sync/head.h"

#include "sync/message.h"

/* epoch, number, trust version; and the atlas, where it says one */
#define HEAD_FIELDS 3

int head_write(const struct head *h, struct buffer *out)
{
    struct wire_writer w = wire_writer_on(out);
    message_begin(&w, MESSAGE_HEAD, HEAD_FIELDS + (h->atlas > 0));
    message_put_revision(&w, h->revision);
    wire_put_u64(&w, h->trust_version);
    if (h->atlas > 0)
        wire_put_u64(&w, h->atlas);
    return wire_end(&w);
}

int head_read(struct span bytes, struct head *h)
{
    struct wire_reader r = wire_reader_on(bytes);
    uint32_t extra = message_enter(&r, MESSAGE_HEAD, HEAD_FIELDS);
    h->revision = message_get_revision(&r);
    h->trust_version = (uint32_t)wire_get_u64(&r, UINT32_MAX);
    h->atlas = extra > 0 ? (uint32_t)wire_get_u64(&r, UINT32_MAX) : 0;
    extra -= extra > 0;
    wire_skip(&r, extra);
    return wire_done(&r);
}
