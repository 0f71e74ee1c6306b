#include "sync/note.h"

#include "sync/message.h"

/* Elements behind type and version. */
#define NOTE_FIELDS 5

int note_write(const struct note *n, const struct mac_key *key, struct buffer *out)
{
    struct wire_writer w = wire_writer_on(out);
    message_begin(&w, MESSAGE_NOTE, NOTE_FIELDS);
    wire_put_u64(&w, n->number);
    wire_put_u64(&w, n->deployment);
    wire_put_u64(&w, n->generation);
    wire_put_u64(&w, n->cause);
    wire_put_bytes(&w, n->text);
    return status_seal(&w, key);
}

/* [note-2] A cause that only newer agents know is none of ours to refuse. */
int note_read(struct span bytes, struct note *n)
{
    *n = (struct note){0};
    if (bytes.len <= STATUS_MAC_LEN || bytes.len > NOTE_MAX)
        return ERR_FORMAT;
    struct wire_reader r = wire_reader_on(span_of(bytes.data, bytes.len - STATUS_MAC_LEN));
    uint32_t extra = message_enter(&r, MESSAGE_NOTE, NOTE_FIELDS);
    n->number = (uint32_t)wire_get_u64(&r, UINT32_MAX);
    n->deployment = (uint32_t)wire_get_u64(&r, UINT32_MAX);
    n->generation = (uint32_t)wire_get_u64(&r, UINT32_MAX);
    n->cause = (uint8_t)wire_get_u64(&r, UINT8_MAX);
    n->text = wire_get_bytes(&r, 0, NOTE_TEXT_MAX);
    wire_skip(&r, extra);
    if (n->number == 0 || n->deployment == 0 || n->generation == 0)
        wire_fail(&r, ERR_FORMAT);
    return wire_done(&r);
}
