/*
 * What is done on the curve with a secret: the half of ec.h and sign.h for which some programs have
 * another file, ec_secret_nettle.c. So nothing else may be here.
 */
#include "crypto/curve.h"
#include "crypto/ec.h"

#include <mbedtls/ecdsa.h>
#include <mbedtls/platform_util.h>

static int read_secret(struct curve *c, const struct secret_key *secret, struct span message);
static int write_public(const struct curve *c, struct public_key *key);

int sign_public(const struct secret_key *secret, struct public_key *public)
{
    struct curve c;
    int rv = curve_start(&c);
    if (rv == 0)
        rv = read_secret(&c, secret, SPAN_NONE);
    if (rv == 0)
        rv = mbedtls_ecp_mul(c.group, &c.point, &c.secret, &c.group->G, curve_draw, &c.blinding);
    if (rv == 0)
        rv = write_public(&c, public);
    curve_end(&c);
    return rv == 0 ? 0 : ERR_CRYPTO;
}

int ec_sign(const struct secret_key *secret, const struct digest *d, struct signature *out)
{
    struct curve c;
    int rv = curve_start(&c);
    if (rv == 0)
        rv = read_secret(&c, secret, span_of(d->bytes, DIGEST_LEN));
    if (rv == 0)
        rv = mbedtls_ecdsa_sign_det_ext(c.group, &c.r, &c.s, &c.secret, d->bytes, DIGEST_LEN,
                                        MBEDTLS_MD_SHA256, curve_draw, &c.blinding);
    if (rv == 0)
        rv = mbedtls_mpi_write_binary(&c.r, out->bytes, HALF_LEN);
    if (rv == 0)
        rv = mbedtls_mpi_write_binary(&c.s, out->bytes + HALF_LEN, HALF_LEN);
    curve_end(&c);
    return rv == 0 ? 0 : ERR_CRYPTO;
}

/* Reads the key and prepares the blinding of what is done with it and the message. */
static int read_secret(struct curve *c, const struct secret_key *secret, struct span message)
{
    struct mac_key key;
    memcpy(key.bytes, secret->bytes, SECRET_KEY_LEN);
    struct digest d = mac_of(&key, message);
    memcpy(key.bytes, d.bytes, MAC_KEY_LEN);
    c->blinding = (struct blinding){.key = key};
    mbedtls_platform_zeroize(&key, sizeof key);
    mbedtls_platform_zeroize(&d, sizeof d);
    int rv = mbedtls_mpi_read_binary(&c->secret, secret->bytes, SECRET_KEY_LEN);
    return rv != 0 ? rv : mbedtls_ecp_check_privkey(c->group, &c->secret);
}

static int write_public(const struct curve *c, struct public_key *key)
{
    uint8_t point[POINT_LEN];
    size_t len;
    int rv = mbedtls_ecp_point_write_binary(c->group, &c->point, MBEDTLS_ECP_PF_UNCOMPRESSED, &len,
                                            point, POINT_LEN);
    if (rv == 0)
        memcpy(key->bytes, point + 1, PUBLIC_KEY_LEN);
    return rv;
}
