#include "crypto/sign.h"

#include "base/hex.h"
#include "crypto/ec.h"
#include "crypto/mac.h"

#include <mbedtls/ecdsa.h>
#include <mbedtls/platform_util.h>
#include <stdatomic.h>

/* SEC 1, 2.3.3: this byte comes before an uncompressed point's X and Y. */
#define POINT_UNCOMPRESSED 0x04
#define POINT_LEN (1 + PUBLIC_KEY_LEN)
#define HALF (SIGNATURE_LEN / 2)

/*
 * Numbers that hide a computation with a secret from whoever measures its time or power; they don't
 * show in its result. They are made of the secret itself, as mbedtls_ecdsa_sign_det() did, so that
 * signing asks nothing of the system.
 */
struct blinding {
    struct mac_key key;
    uint64_t drawn;
};

/* The library's values for one operation: the curve, a secret scalar, a point, and r and s. */
struct ec {
    mbedtls_ecp_group *group;
    mbedtls_ecp_group own_group; /* when the shared one is being made */
    mbedtls_mpi secret;
    mbedtls_ecp_point point;
    mbedtls_mpi r, s;
    struct blinding blinding;
};

static int ec_start(struct ec *ec);
static void ec_end(struct ec *ec);
static int ec_read_secret(struct ec *ec, const struct secret_key *secret, struct span message);
static int ec_read_public(struct ec *ec, const struct public_key *key);
static int ec_write_public(const struct ec *ec, struct public_key *key);
static mbedtls_ecp_group *shared_group(void);
static int group_make(mbedtls_ecp_group *group);
static int draw(void *blinding, unsigned char *out, size_t len);
static struct digest digest_in_domain(const char *domain, struct span message);

int sign_public(const struct secret_key *secret, struct public_key *public)
{
    struct ec ec;
    int rv = ec_start(&ec);
    if (rv == 0)
        rv = ec_read_secret(&ec, secret, SPAN_NONE);
    if (rv == 0)
        rv = mbedtls_ecp_mul(ec.group, &ec.point, &ec.secret, &ec.group->G, draw, &ec.blinding);
    if (rv == 0)
        rv = ec_write_public(&ec, public);
    ec_end(&ec);
    return rv == 0 ? 0 : ERR_CRYPTO;
}

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

int ec_sign(const struct secret_key *secret, const struct digest *d, struct signature *out)
{
    struct ec ec;
    int rv = ec_start(&ec);
    if (rv == 0)
        rv = ec_read_secret(&ec, secret, span_of(d->bytes, DIGEST_LEN));
    if (rv == 0)
        rv = mbedtls_ecdsa_sign_det_ext(ec.group, &ec.r, &ec.s, &ec.secret, d->bytes, DIGEST_LEN,
                                        MBEDTLS_MD_SHA256, draw, &ec.blinding);
    if (rv == 0)
        rv = mbedtls_mpi_write_binary(&ec.r, out->bytes, HALF);
    if (rv == 0)
        rv = mbedtls_mpi_write_binary(&ec.s, out->bytes + HALF, HALF);
    ec_end(&ec);
    return rv == 0 ? 0 : ERR_CRYPTO;
}

int ec_check(const struct public_key *key, const struct digest *d, const struct signature *sig)
{
    struct ec ec;
    int rv = ec_start(&ec);
    if (rv == 0)
        rv = ec_read_public(&ec, key);
    if (rv == 0)
        rv = mbedtls_mpi_read_binary(&ec.r, sig->bytes, HALF);
    if (rv == 0)
        rv = mbedtls_mpi_read_binary(&ec.s, sig->bytes + HALF, HALF);
    if (rv == 0)
        rv = mbedtls_ecdsa_verify(ec.group, d->bytes, DIGEST_LEN, &ec.point, &ec.r, &ec.s);
    ec_end(&ec);
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

/* `ec` must be ended whatever this returns. */
static int ec_start(struct ec *ec)
{
    mbedtls_ecp_group_init(&ec->own_group);
    mbedtls_mpi_init(&ec->secret);
    mbedtls_ecp_point_init(&ec->point);
    mbedtls_mpi_init(&ec->r);
    mbedtls_mpi_init(&ec->s);
    ec->group = shared_group();
    if (ec->group)
        return 0;
    ec->group = &ec->own_group;
    return mbedtls_ecp_group_load(ec->group, MBEDTLS_ECP_DP_SECP256R1);
}

static void ec_end(struct ec *ec)
{
    mbedtls_platform_zeroize(&ec->blinding, sizeof ec->blinding);
    mbedtls_mpi_free(&ec->s);
    mbedtls_mpi_free(&ec->r);
    mbedtls_ecp_point_free(&ec->point);
    mbedtls_mpi_free(&ec->secret);
    mbedtls_ecp_group_free(&ec->own_group);
}

/* Reads the key and prepares the blinding of what is done with it and the message. */
static int ec_read_secret(struct ec *ec, const struct secret_key *secret, struct span message)
{
    struct mac_key key;
    memcpy(key.bytes, secret->bytes, SECRET_KEY_LEN);
    struct digest d = mac_of(&key, message);
    memcpy(key.bytes, d.bytes, MAC_KEY_LEN);
    ec->blinding = (struct blinding){.key = key};
    mbedtls_platform_zeroize(&key, sizeof key);
    mbedtls_platform_zeroize(&d, sizeof d);
    int rv = mbedtls_mpi_read_binary(&ec->secret, secret->bytes, SECRET_KEY_LEN);
    return rv != 0 ? rv : mbedtls_ecp_check_privkey(ec->group, &ec->secret);
}

/* The library reads any two numbers as a point; whether it lies on the curve is asked here. */
static int ec_read_public(struct ec *ec, const struct public_key *key)
{
    uint8_t point[POINT_LEN] = {POINT_UNCOMPRESSED};
    memcpy(point + 1, key->bytes, PUBLIC_KEY_LEN);
    int rv = mbedtls_ecp_point_read_binary(ec->group, &ec->point, point, POINT_LEN);
    return rv != 0 ? rv : mbedtls_ecp_check_pubkey(ec->group, &ec->point);
}

static int ec_write_public(const struct ec *ec, struct public_key *key)
{
    uint8_t point[POINT_LEN];
    size_t len;
    int rv = mbedtls_ecp_point_write_binary(ec->group, &ec->point, MBEDTLS_ECP_PF_UNCOMPRESSED,
                                            &len, point, POINT_LEN);
    if (rv == 0)
        memcpy(key->bytes, point + 1, PUBLIC_KEY_LEN);
    return rv;
}

/*
 * The curve for all threads, with the library's table of multiples of its base point, which nobody
 * writes to once it is there. Making the table anew costs more than half of a signature's time. The
 * first caller makes it; whoever comes meanwhile gets NULL and works with a curve of his own.
 */
static mbedtls_ecp_group *shared_group(void)
{
    enum { NONE, BEING_MADE, READY };
    static mbedtls_ecp_group group;
    static atomic_int state = NONE;
    if (atomic_load(&state) == READY)
        return &group;
    int none = NONE;
    if (!atomic_compare_exchange_strong(&state, &none, BEING_MADE))
        return none == READY ? &group : NULL;
    int rv = group_make(&group);
    atomic_store(&state, rv == 0 ? READY : NONE);
    return rv == 0 ? &group : NULL;
}

/* The library makes the table when it first multiplies the base point. */
static int group_make(mbedtls_ecp_group *group)
{
    struct blinding nothing_to_hide = {0};
    mbedtls_ecp_point result;
    mbedtls_mpi one;
    mbedtls_ecp_group_init(group);
    mbedtls_ecp_point_init(&result);
    mbedtls_mpi_init(&one);
    int rv = mbedtls_ecp_group_load(group, MBEDTLS_ECP_DP_SECP256R1);
    if (rv == 0)
        rv = mbedtls_mpi_lset(&one, 1);
    if (rv == 0)
        rv = mbedtls_ecp_mul(group, &result, &one, &group->G, draw, &nothing_to_hide);
    if (rv != 0)
        mbedtls_ecp_group_free(group);
    mbedtls_mpi_free(&one);
    mbedtls_ecp_point_free(&result);
    return rv;
}

static int draw(void *blinding, unsigned char *out, size_t len)
{
    struct blinding *b = blinding;
    for (size_t at = 0; at < len; at += MAC_KEY_LEN) {
        struct mac_key block = mac_derive(&b->key, "dunlin blinding", b->drawn++);
        memcpy(out + at, block.bytes, len - at < MAC_KEY_LEN ? len - at : MAC_KEY_LEN);
    }
    return 0;
}

static struct digest digest_in_domain(const char *domain, struct span message)
{
    struct digest_stream s;
    digest_start(&s);
    digest_add(&s, span_of(domain, strlen(domain) + 1));
    digest_add(&s, message);
    return digest_end(&s);
}
