/*
 * der: ASN.1's distinguished encoding (X.690), written from its end to its start, so that every
 * length is known when it comes to be written. It knows nothing of what is encoded.
 */
#ifndef DUNLIN_CRYPTO_DER_H
#define DUNLIN_CRYPTO_DER_H

#include "base/span.h"

enum der_tag {
    DER_INTEGER = 0x02,
    DER_BIT_STRING = 0x03,
    DER_OCTET_STRING = 0x04,
    DER_UTF8_STRING = 0x0c,
    DER_UTC_TIME = 0x17,
    DER_GENERALIZED_TIME = 0x18,
    DER_SEQUENCE = 0x30,
    DER_SET = 0x31,
};

/* The tag of "[number] EXPLICIT" and of "[number] IMPLICIT" over something that isn't made of
 * parts. */
#define DER_CONTEXT(number) (0xa0 | (number))
#define DER_CONTEXT_PLAIN(number) (0x80 | (number))

/* What is written lies from `at` to the end of the caller's memory. Once it didn't fit, nothing is
 * written any more, and `full` says so. */
struct der {
    uint8_t *start;
    uint8_t *at;
    uint8_t *end;
    bool full;
};

struct der der_on(void *memory, size_t cap);
struct span der_written(const struct der *d);

/* Puts bytes before what is there. */
void der_put(struct der *d, struct span bytes);

/* Puts `tag` and the length before what was written since `d->at` was `end`. */
void der_wrap(struct der *d, unsigned tag, const uint8_t *end);

/* Puts a whole element: tag, length and content. */
void der_element(struct der *d, unsigned tag, struct span content);

/* Puts an INTEGER from an unsigned big-endian number. */
void der_integer(struct der *d, struct span number);

#endif
