/*
 * Writing is msgpack-c's packer. Reading is a cursor of our own: msgpack-c's unpacker builds a tree
 * and allocates it from the counts and lengths that the sender declares, so that a few hostile
 * bytes ask for gigabytes. The cursor allocates nothing and believes no length that is not there.
 * Byte values are those of the MessagePack specification, "Formats"; every width of an integer, a
 * string, a byte string or an array is accepted, whether or not a shorter one would have done.
 */
#include "sync/wire.h"

#include <assert.h>
#include <msgpack.h>

struct wire_writer wire_writer_on(struct buffer *out)
{
    assert(out->len <= out->cap);
    return (struct wire_writer){.out = out, .start = out->len};
}

/* msgpack-c's write callback. */
static int append(void *data, const char *bytes, size_t len)
{
    struct wire_writer *w = data;
    if (w->error)
        return w->error;
    if (len > w->out->cap - w->out->len) {
        w->error = ERR_NO_MEMORY;
        return w->error;
    }
    if (len > 0)
        memcpy(w->out->data + w->out->len, bytes, len);
    w->out->len += len;
    return 0;
}

static msgpack_packer packer_on(struct wire_writer *w)
{
    msgpack_packer packer;
    msgpack_packer_init(&packer, w, append);
    return packer;
}

void wire_put_array(struct wire_writer *w, uint32_t count)
{
    msgpack_packer packer = packer_on(w);
    msgpack_pack_array(&packer, count);
}

void wire_put_u64(struct wire_writer *w, uint64_t value)
{
    msgpack_packer packer = packer_on(w);
    msgpack_pack_uint64(&packer, value);
}

void wire_put_bool(struct wire_writer *w, bool value)
{
    msgpack_packer packer = packer_on(w);
    if (value)
        msgpack_pack_true(&packer);
    else
        msgpack_pack_false(&packer);
}

void wire_put_nil(struct wire_writer *w)
{
    msgpack_packer packer = packer_on(w);
    msgpack_pack_nil(&packer);
}

void wire_put_text(struct wire_writer *w, struct span text)
{
    msgpack_packer packer = packer_on(w);
    assert(text.len <= UINT32_MAX);
    msgpack_pack_str(&packer, text.len);
    msgpack_pack_str_body(&packer, text.data, text.len);
}

void wire_put_bytes(struct wire_writer *w, struct span bytes)
{
    msgpack_packer packer = packer_on(w);
    assert(bytes.len <= UINT32_MAX);
    msgpack_pack_bin(&packer, bytes.len);
    msgpack_pack_bin_body(&packer, bytes.data, bytes.len);
}

void wire_put_raw(struct wire_writer *w, struct span elements)
{
    append(w, (const char *)elements.data, elements.len);
}

int wire_end(struct wire_writer *w)
{
    if (w->error)
        w->out->len = w->start;
    return w->error;
}

struct wire_reader wire_reader_on(struct span bytes)
{
    return (struct wire_reader){.rest = bytes};
}

void wire_fail(struct wire_reader *r, int error)
{
    assert(error < 0);
    if (r->error)
        return;
    r->error = error;
    r->rest = SPAN_NONE;
}

int wire_done(const struct wire_reader *r)
{
    if (r->error)
        return r->error;
    return r->rest.len == 0 ? 0 : ERR_FORMAT;
}

/* The next `len` bytes, or an error and an empty span. */
static struct span take(struct wire_reader *r, uint64_t len)
{
    if (r->error || len > r->rest.len) {
        wire_fail(r, ERR_FORMAT);
        return SPAN_NONE;
    }
    struct span taken = span_of(r->rest.data, (size_t)len);
    if (len > 0)
        r->rest = span_of(r->rest.data + len, r->rest.len - (size_t)len);
    return taken;
}

/* The next byte without taking it, or -1. */
static int peek(const struct wire_reader *r)
{
    return r->error || r->rest.len == 0 ? -1 : r->rest.data[0];
}

static uint8_t take_byte(struct wire_reader *r)
{
    struct span byte = take(r, 1);
    return byte.len ? byte.data[0] : 0;
}

/* A big-endian number of 1, 2, 4 or 8 bytes. */
static uint64_t take_number(struct wire_reader *r, unsigned len)
{
    struct span bytes = take(r, len);
    uint64_t value = 0;
    for (size_t i = 0; i < bytes.len; i++)
        value = value << 8 | bytes.data[i];
    return value;
}

uint32_t wire_get_array(struct wire_reader *r, uint32_t min, uint32_t max)
{
    uint8_t head = take_byte(r);
    uint64_t count = 0;
    if (head >= 0x90 && head <= 0x9f)
        count = head & 0x0f;
    else if (head == 0xdc || head == 0xdd)
        count = take_number(r, head == 0xdc ? 2 : 4);
    else
        wire_fail(r, ERR_FORMAT);
    if (count > max)
        wire_fail(r, ERR_RANGE);
    /* An element is at least a byte. */
    if (count < min || count > r->rest.len)
        wire_fail(r, ERR_FORMAT);
    return r->error ? 0 : (uint32_t)count;
}

/* Signed integers are welcome as long as they aren't negative. */
static uint64_t take_signed(struct wire_reader *r, unsigned len)
{
    uint64_t value = take_number(r, len);
    if (value >> (8 * len - 1))
        wire_fail(r, ERR_RANGE);
    return value;
}

uint64_t wire_get_u64(struct wire_reader *r, uint64_t max)
{
    uint8_t head = take_byte(r);
    uint64_t value = 0;
    if (head <= 0x7f)
        value = head;
    else if (head >= 0xcc && head <= 0xcf)
        value = take_number(r, 1u << (head - 0xcc));
    else if (head >= 0xd0 && head <= 0xd3)
        value = take_signed(r, 1u << (head - 0xd0));
    else
        wire_fail(r, head >= 0xe0 ? ERR_RANGE : ERR_FORMAT);
    if (value > max)
        wire_fail(r, ERR_RANGE);
    return r->error ? 0 : value;
}

bool wire_get_bool(struct wire_reader *r)
{
    uint8_t head = take_byte(r);
    if (head != 0xc2 && head != 0xc3)
        wire_fail(r, ERR_FORMAT);
    return !r->error && head == 0xc3;
}

bool wire_get_nil(struct wire_reader *r)
{
    if (peek(r) != 0xc0)
        return false;
    take_byte(r);
    return true;
}

static struct span take_checked(struct wire_reader *r, uint64_t len, size_t min, size_t max)
{
    if (len > max)
        wire_fail(r, ERR_RANGE);
    if (len < min)
        wire_fail(r, ERR_FORMAT);
    return take(r, len);
}

struct span wire_get_text(struct wire_reader *r, size_t max)
{
    uint8_t head = take_byte(r);
    uint64_t len = 0;
    if (head >= 0xa0 && head <= 0xbf)
        len = head & 0x1f;
    else if (head >= 0xd9 && head <= 0xdb)
        len = take_number(r, 1u << (head - 0xd9));
    else
        wire_fail(r, ERR_FORMAT);
    struct span text = take_checked(r, len, 0, max);
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] < 0x20 || text.data[i] == 0x7f) {
            wire_fail(r, ERR_FORMAT);
            return SPAN_NONE;
        }
    return text;
}

void wire_get_text_into(struct wire_reader *r, char *out, size_t cap)
{
    assert(cap > 0);
    struct span text = wire_get_text(r, cap - 1);
    if (text.len > 0)
        memcpy(out, text.data, text.len);
    out[text.len] = '\0';
}

struct span wire_get_bytes(struct wire_reader *r, size_t min, size_t max)
{
    uint8_t head = take_byte(r);
    uint64_t len = 0;
    if (head >= 0xc4 && head <= 0xc6)
        len = take_number(r, 1u << (head - 0xc4));
    else
        wire_fail(r, ERR_FORMAT);
    return take_checked(r, len, min, max);
}

void wire_get_bytes_into(struct wire_reader *r, uint8_t *out, size_t len)
{
    struct span bytes = wire_get_bytes(r, len, len);
    memset(out, 0, len);
    if (bytes.len > 0)
        memcpy(out, bytes.data, bytes.len);
}

/* Takes one element; gives how many elements are inside it (a map's keys and values both count). */
static uint64_t skip_one(struct wire_reader *r)
{
    uint8_t head = take_byte(r);
    if (head <= 0x7f || head >= 0xe0 || head == 0xc0 || head == 0xc2 || head == 0xc3)
        return 0;
    if (head <= 0x8f)
        return 2u * (head & 0x0f);
    if (head <= 0x9f)
        return head & 0x0f;
    if (head <= 0xbf)
        take(r, head & 0x1f);
    else if (head >= 0xc4 && head <= 0xc6) /* bytes */
        take(r, take_number(r, 1u << (head - 0xc4)));
    else if (head >= 0xc7 && head <= 0xc9) /* extension: length, then a byte of type */
        take(r, take_number(r, 1u << (head - 0xc7)) + 1);
    else if (head == 0xca || head == 0xcb) /* floating point */
        take(r, head == 0xca ? 4 : 8);
    else if (head >= 0xcc && head <= 0xd3) /* integers: 1, 2, 4, 8 bytes, unsigned then signed */
        take(r, 1u << (head & 3));
    else if (head >= 0xd4 && head <= 0xd8) /* fixed extension of 1 to 16 bytes */
        take(r, (1u << (head - 0xd4)) + 1);
    else if (head >= 0xd9 && head <= 0xdb) /* text */
        take(r, take_number(r, 1u << (head - 0xd9)));
    else if (head == 0xdc || head == 0xdd)
        return take_number(r, head == 0xdc ? 2 : 4);
    else if (head == 0xde || head == 0xdf)
        return 2 * take_number(r, head == 0xde ? 2 : 4);
    else /* 0xc1 is never used */
        wire_fail(r, ERR_FORMAT);
    return 0;
}

void wire_skip(struct wire_reader *r, uint32_t count)
{
    uint64_t left[WIRE_DEPTH_MAX] = {count}; /* elements to go at each depth */
    unsigned depth = 0;
    while (!r->error) {
        if (left[depth] == 0) {
            if (depth == 0)
                return;
            depth--;
            continue;
        }
        left[depth]--;
        uint64_t inside = skip_one(r);
        if (inside > r->rest.len || (inside > 0 && depth + 1 == WIRE_DEPTH_MAX))
            wire_fail(r, ERR_FORMAT);
        else if (inside > 0)
            left[++depth] = inside;
    }
}
