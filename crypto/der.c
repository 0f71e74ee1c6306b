#include "crypto/der.h"

#include <mbedtls/asn1write.h>

struct der der_on(void *memory, size_t cap)
{
    uint8_t *start = memory;
    return (struct der){.start = start, .at = start + cap, .end = start + cap};
}

struct span der_written(const struct der *d)
{
    return span_of(d->at, (size_t)(d->end - d->at));
}

void der_put(struct der *d, struct span bytes)
{
    d->full = d->full || (size_t)(d->at - d->start) < bytes.len;
    if (d->full || bytes.len == 0)
        return;
    d->at -= bytes.len;
    memcpy(d->at, bytes.data, bytes.len);
}

void der_wrap(struct der *d, unsigned tag, const uint8_t *end)
{
    if (d->full)
        return;
    int rv = mbedtls_asn1_write_len(&d->at, d->start, (size_t)(end - d->at));
    if (rv >= 0)
        rv = mbedtls_asn1_write_tag(&d->at, d->start, (unsigned char)tag);
    d->full = rv < 0;
}

void der_element(struct der *d, unsigned tag, struct span content)
{
    const uint8_t *end = d->at;
    der_put(d, content);
    der_wrap(d, tag, end);
}

void der_integer(struct der *d, struct span number)
{
    static const uint8_t zero[1] = {0};
    const uint8_t *end = d->at;
    while (number.len > 1 && number.data[0] == 0)
        number = span_of(number.data + 1, number.len - 1);
    der_put(d, number);
    if (number.len == 0 || number.data[0] & 0x80) /* else it would be a negative one */
        der_put(d, span_of(zero, sizeof zero));
    der_wrap(d, DER_INTEGER, end);
}
