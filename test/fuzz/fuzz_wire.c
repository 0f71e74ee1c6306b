/*
 * wire: steps over an input with the cursor. What the cursor steps over whole, msgpack-c unpacks
 * whole, and it agrees on numbers, text and bytes. Declared lengths are judged by the cursor first,
 * since msgpack-c would allocate for them.
 */
#include "test/fuzz/fuzz.h"

#include "sync/wire.h"

#include <msgpack.h>
#include <stdlib.h>

static bool is_whole(struct span in)
{
    struct wire_reader r = wire_reader_on(in);
    wire_skip(&r, 1);
    return wire_done(&r) == 0;
}

static void check_number(struct span in, const msgpack_object *o)
{
    struct wire_reader r = wire_reader_on(in);
    uint64_t value = wire_get_u64(&r, UINT64_MAX);
    bool number = o->type == MSGPACK_OBJECT_POSITIVE_INTEGER;
    if ((wire_done(&r) == 0) != number || (number && value != o->via.u64))
        abort();
}

static void check_text(struct span in, const msgpack_object *o)
{
    struct wire_reader r = wire_reader_on(in);
    struct span text = wire_get_text(&r, SIZE_MAX);
    if (wire_done(&r) == 0 && (o->type != MSGPACK_OBJECT_STR ||
                               !span_equal(text, span_of(o->via.str.ptr, o->via.str.size))))
        abort();
}

static void check_bytes(struct span in, const msgpack_object *o)
{
    struct wire_reader r = wire_reader_on(in);
    struct span bytes = wire_get_bytes(&r, 0, SIZE_MAX);
    bool is_bytes = o->type == MSGPACK_OBJECT_BIN;
    if ((wire_done(&r) == 0) != is_bytes ||
        (is_bytes && !span_equal(bytes, span_of(o->via.bin.ptr, o->via.bin.size))))
        abort();
}

static void check_array(struct span in, const msgpack_object *o)
{
    struct wire_reader r = wire_reader_on(in);
    uint32_t count = wire_get_array(&r, 0, UINT32_MAX);
    wire_skip(&r, count);
    if (wire_done(&r) == 0 && (o->type != MSGPACK_OBJECT_ARRAY || o->via.array.size != count))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = span_of(data, size);
    if (!is_whole(in))
        return 0;
    msgpack_zone *zone = msgpack_zone_new(MSGPACK_ZONE_CHUNK_SIZE);
    msgpack_object object;
    size_t offset = 0;
    if (msgpack_unpack((const char *)data, size, &offset, zone, &object) !=
            MSGPACK_UNPACK_SUCCESS ||
        offset != size)
        abort();
    check_number(in, &object);
    check_text(in, &object);
    check_bytes(in, &object);
    check_array(in, &object);
    msgpack_zone_free(zone);
    return 0;
}
