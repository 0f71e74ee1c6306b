#include "crypto/sign.h"

#include "base/hex.h"
#include "crypto/curve.h"
#include "crypto/ec.h"

#include <mbedtls/ecdsa.h>

static int read_public(struct curve *c, const struct public_key *key);
static struct digest digest_in_domain(const char *domain, struct span message);

int sign_make(const struct secret_key *secret, const char *domain, struct span message,
              struct signature *out)
{
    struct digest d = digest_in_domain(domain, message);
    return ec_sign(secret, &d, out);
}

int sign_check(const struct public_key *key, const char *domain, struct span message,
               const struct signature *sig)
{
    struct digest d = digest_in_domain(domain, message);
    return ec_check(key, &d, sig);
}

int ec_check(const struct public_key *key, const struct digest *d, const struct signature *sig)
{
    struct curve c;
    int rv = curve_start(&c);
    if (rv == 0)
        rv = read_public(&c, key);
    if (rv == 0)
        rv = mbedtls_mpi_read_binary(&c.r, sig->bytes, HALF_LEN);
    if (rv == 0)
        rv = mbedtls_mpi_read_binary(&c.s, sig->bytes + HALF_LEN, HALF_LEN);
    if (rv == 0)
        rv = mbedtls_ecdsa_verify(c.group, d->bytes, DIGEST_LEN, &c.point, &c.r, &c.s);
    curve_end(&c);
    if (rv == MBEDTLS_ERR_MPI_ALLOC_FAILED)
        return ERR_CRYPTO;
    return rv == 0 ? 0 : ERR_SIGNATURE;
}

struct key_id key_id_of(const struct public_key *key)
{
    struct digest d = digest_of(span_of(key->bytes, PUBLIC_KEY_LEN));
    struct key_id id;
    memcpy(id.bytes, d.bytes, KEY_ID_LEN);
    return id;
}

bool key_id_equal(const struct key_id *a, const struct key_id *b)
{
    return memcmp(a->bytes, b->bytes, KEY_ID_LEN) == 0;
}

struct key_id_hex key_id_hex(const struct key_id *id)
{
    struct key_id_hex h;
    hex_write(span_of(id->bytes, KEY_ID_LEN), h.text);
    return h;
}

int key_id_parse(const char *text, struct key_id *out)
{
    return hex_read(text, out->bytes, KEY_ID_LEN);
}

/* The library reads any two numbers as a point; whether it lies on the curve is asked here. */
static int read_public(struct curve *c, const struct public_key *key)
{
    uint8_t point[POINT_LEN] = {POINT_UNCOMPRESSED};
    memcpy(point + 1, key->bytes, PUBLIC_KEY_LEN);
    int rv = mbedtls_ecp_point_read_binary(c->group, &c->point, point, POINT_LEN);
    return rv != 0 ? rv : mbedtls_ecp_check_pubkey(c->group, &c->point);
}

static struct digest digest_in_domain(const char *domain, struct span message)
{
    struct digest_stream s;
    digest_start(&s);
    digest_add(&s, span_of(domain, strlen(domain) + 1));
    digest_add(&s, message);
    return digest_end(&s);
}
