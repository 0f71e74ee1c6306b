/*
 * digest: SHA-256 (FIPS 180-4) as a value that is compared, printed and used as a name.
 * It knows nothing of what is digested.
 */
#ifndef DUNLIN_CRYPTO_DIGEST_H
#define DUNLIN_CRYPTO_DIGEST_H

#include "base/err.h"
#include "base/span.h"

#define DIGEST_LEN 32

struct digest {
    uint8_t bytes[DIGEST_LEN];
};

struct digest_hex {
    char text[2 * DIGEST_LEN + 1];
};

/* A digest in the making; the memory is the caller's and holds no pointers. */
struct digest_stream {
    _Alignas(8) uint8_t opaque[128];
};

struct digest digest_of(struct span data);

void digest_start(struct digest_stream *s);
void digest_add(struct digest_stream *s, struct span data);
struct digest digest_end(struct digest_stream *s);

bool digest_equal(const struct digest *a, const struct digest *b);
bool digest_is_zero(const struct digest *d);
struct digest_hex digest_hex(const struct digest *d);
/* Exactly 64 hexadecimal digits; ERR_FORMAT otherwise. */
int digest_parse(const char *text, struct digest *out);

#endif
