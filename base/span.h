/*
 * span: a borrowed run of bytes.
 * It knows nothing of who owns the bytes; whoever passes a span keeps them alive until the call
 * returns.
 */
#ifndef DUNLIN_BASE_SPAN_H
#define DUNLIN_BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
    const uint8_t *data;
    size_t len;
};

/* A caller's buffer that a function fills: `len` bytes of `cap` are in use. */
struct buffer {
    uint8_t *data;
    size_t len;
    size_t cap;
};

#define SPAN_NONE ((struct span){.data = NULL, .len = 0})

static inline struct span span_of(const void *data, size_t len)
{
    return (struct span){.data = data, .len = len};
}

/* The bytes of a C string without its end. */
static inline struct span span_text(const char *text)
{
    return span_of(text, strlen(text));
}

static inline struct span span_buffer(const struct buffer *b)
{
    return span_of(b->data, b->len);
}

static inline bool span_equal(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline struct buffer buffer_on(void *data, size_t cap)
{
    return (struct buffer){.data = data, .len = 0, .cap = cap};
}

#endif
