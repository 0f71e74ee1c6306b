/*
 * wire: MessagePack, written with msgpack-c into a caller's buffer and read by a sticky cursor over
 * borrowed bytes. It knows nothing of messages. After the first error every read gives zero; look
 * at the error once, at the end.
 */
#ifndef DUNLIN_SYNC_WIRE_H
#define DUNLIN_SYNC_WIRE_H

#include "base/err.h"
#include "base/span.h"

/* Arrays and maps inside one another; our deepest message has 6. */
#define WIRE_DEPTH_MAX 12

struct wire_writer {
    struct buffer *out;
    size_t start; /* how long `out` was before */
    int error;    /* 0, or ERR_NO_MEMORY from the first write that didn't fit */
};

/* Appends to `out`. */
struct wire_writer wire_writer_on(struct buffer *out);
void wire_put_array(struct wire_writer *w, uint32_t count);
void wire_put_u64(struct wire_writer *w, uint64_t value);
void wire_put_bool(struct wire_writer *w, bool value);
void wire_put_nil(struct wire_writer *w);
void wire_put_text(struct wire_writer *w, struct span text);
void wire_put_bytes(struct wire_writer *w, struct span bytes);
/* One or more elements that were written before. */
void wire_put_raw(struct wire_writer *w, struct span elements);
/* The writer's error; after one, `out` is as long as it was before. The one place where it is
 * looked at. */
int wire_end(struct wire_writer *w);

struct wire_reader {
    struct span rest; /* what is still unread */
    int error;        /* 0, ERR_FORMAT or ERR_RANGE: the first error stays */
};

struct wire_reader wire_reader_on(struct span bytes);
/* The number of elements: at least `min`, at most `max`, and never more than there are bytes left.
 */
uint32_t wire_get_array(struct wire_reader *r, uint32_t min, uint32_t max);
/* An unsigned integer of at most `max`. */
uint64_t wire_get_u64(struct wire_reader *r, uint64_t max);
bool wire_get_bool(struct wire_reader *r);
/* True, and consumed, when the next element is nil. */
bool wire_get_nil(struct wire_reader *r);
/* Text without control characters, `max` bytes at most, borrowed from the input. UTF-8 is not
 * checked. */
struct span wire_get_text(struct wire_reader *r, size_t max);
/* The same, copied with a NUL into `out`, which has room for `cap` bytes. */
void wire_get_text_into(struct wire_reader *r, char *out, size_t cap);
/* Between `min` and `max` bytes, borrowed from the input. */
struct span wire_get_bytes(struct wire_reader *r, size_t min, size_t max);
/* Exactly `len` bytes, copied. */
void wire_get_bytes_into(struct wire_reader *r, uint8_t *out, size_t len);
/* Steps over `count` elements of any kind: what a newer version added at an array's end. */
void wire_skip(struct wire_reader *r, uint32_t count);
/* Sets the error, unless there is one already. */
void wire_fail(struct wire_reader *r, int error);
/* The reader's error; ERR_FORMAT when bytes are left over. The one place where it is looked at. */
int wire_done(const struct wire_reader *r);

#endif
