#include "sync/message.h"

void message_begin(struct wire_writer *w, enum message type, uint32_t fields)
{
    wire_put_array(w, 2 + fields);
    wire_put_u64(w, (uint64_t)type);
    wire_put_u64(w, PROTOCOL_VERSION);
}

uint32_t message_enter(struct wire_reader *r, enum message type, uint32_t fields)
{
    uint32_t extra = message_enter_array(r, 2 + fields);
    if (wire_get_u64(r, UINT64_MAX) != (uint64_t)type)
        wire_fail(r, ERR_FORMAT);
    if (wire_get_u64(r, UINT64_MAX) != PROTOCOL_VERSION)
        wire_fail(r, ERR_FORMAT);
    return extra;
}

uint32_t message_enter_array(struct wire_reader *r, uint32_t fields)
{
    uint32_t count = wire_get_array(r, fields, fields + MESSAGE_EXTRA_MAX);
    return count > fields ? count - fields : 0;
}

uint64_t message_type(struct span bytes)
{
    struct wire_reader r = wire_reader_on(bytes);
    wire_get_array(&r, 2, UINT32_MAX);
    return wire_get_u64(&r, UINT64_MAX);
}

void message_put_revision(struct wire_writer *w, struct revision revision)
{
    wire_put_u64(w, revision.epoch);
    wire_put_u64(w, revision.number);
}

struct revision message_get_revision(struct wire_reader *r)
{
    struct revision revision;
    revision.epoch = (uint32_t)wire_get_u64(r, UINT32_MAX);
    revision.number = (uint32_t)wire_get_u64(r, UINT32_MAX);
    return revision;
}
