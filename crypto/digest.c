#include "crypto/digest.h"

#include "base/hex.h"

#include <assert.h>
#include <mbedtls/sha256.h>
#include <mbedtls/version.h>

/* mbedTLS 3 dropped the suffix that 2.28 gives to the functions that can fail. */
#if MBEDTLS_VERSION_MAJOR < 3
#define SHA256(function) mbedtls_sha256_##function##_ret
#else
#define SHA256(function) mbedtls_sha256_##function
#endif

_Static_assert(sizeof(mbedtls_sha256_context) <= sizeof(struct digest_stream),
               "the stream has room for the library's state");

static mbedtls_sha256_context *state_of(struct digest_stream *s)
{
    return (void *)s->opaque;
}

/* SHA-256 in software has no way to fail but a wrong call. */
static void must(int rv)
{
    assert(rv == 0);
    (void)rv;
}

struct digest digest_of(struct span data)
{
    struct digest_stream s;
    digest_start(&s);
    digest_add(&s, data);
    return digest_end(&s);
}

void digest_start(struct digest_stream *s)
{
    mbedtls_sha256_init(state_of(s));
    must(SHA256(starts)(state_of(s), 0));
}

void digest_add(struct digest_stream *s, struct span data)
{
    if (data.len > 0)
        must(SHA256(update)(state_of(s), data.data, data.len));
}

struct digest digest_end(struct digest_stream *s)
{
    struct digest d;
    must(SHA256(finish)(state_of(s), d.bytes));
    /* What went in may have been a key: this wipes it. */
    mbedtls_sha256_free(state_of(s));
    return d;
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
    return memcmp(a->bytes, b->bytes, DIGEST_LEN) == 0;
}

bool digest_is_zero(const struct digest *d)
{
    return digest_equal(d, &(struct digest){0});
}

struct digest_hex digest_hex(const struct digest *d)
{
    struct digest_hex h;
    hex_write(span_of(d->bytes, DIGEST_LEN), h.text);
    return h;
}

int digest_parse(const char *text, struct digest *out)
{
    return hex_read(text, out->bytes, DIGEST_LEN);
}
