#include "crypto/sign.h"

#include "base/file.h"
#include "base/hex.h"
#include "crypto/random.h"

#include <mbedtls/ecdsa.h>
#include <mbedtls/platform_util.h>
#include <stdio.h>

/* SEC 1, 2.3.3: this byte comes before an uncompressed point's X and Y. */
#define POINT_UNCOMPRESSED 0x04
#define POINT_LEN (1 + PUBLIC_KEY_LEN)
#define HALF (SIGNATURE_LEN / 2)

#define KEY_FILE_HEAD "dunlin-secret-key-1 "
#define KEY_FILE_LEN (sizeof KEY_FILE_HEAD - 1 + 2 * SECRET_KEY_LEN + 1)

/* The library's values for one operation: a curve, a secret scalar, a point, and r and s. */
struct ec {
    mbedtls_ecp_group group;
    mbedtls_mpi secret;
    mbedtls_ecp_point point;
    mbedtls_mpi r, s;
};

static int ec_start(struct ec *ec);
static void ec_end(struct ec *ec);
static int ec_read_secret(struct ec *ec, const struct secret_key *secret);
static int ec_read_public(struct ec *ec, const struct public_key *key);
static int ec_write_public(const struct ec *ec, struct public_key *key);
static int draw(void *unused, unsigned char *out, size_t len);
static struct digest digest_in_domain(const char *domain, struct span message);
static int parse_key_file(struct span text, struct secret_key *secret);

int sign_generate(struct secret_key *secret, struct public_key *public)
{
    struct ec ec;
    int rv = ec_start(&ec);
    if (rv == 0)
        rv = mbedtls_ecp_gen_keypair(&ec.group, &ec.secret, &ec.point, draw, NULL);
    if (rv == 0)
        rv = mbedtls_mpi_write_binary(&ec.secret, secret->bytes, SECRET_KEY_LEN);
    if (rv == 0)
        rv = ec_write_public(&ec, public);
    ec_end(&ec);
    return rv == 0 ? 0 : ERR_CRYPTO;
}

int sign_public(const struct secret_key *secret, struct public_key *public)
{
    struct ec ec;
    int rv = ec_start(&ec);
    if (rv == 0)
        rv = ec_read_secret(&ec, secret);
    if (rv == 0)
        rv = mbedtls_ecp_mul(&ec.group, &ec.point, &ec.secret, &ec.group.G, draw, NULL);
    if (rv == 0)
        rv = ec_write_public(&ec, public);
    ec_end(&ec);
    return rv == 0 ? 0 : ERR_CRYPTO;
}

int sign_make(const struct secret_key *secret, const char *domain, struct span message,
              struct signature *out)
{
    struct digest d = digest_in_domain(domain, message);
    struct ec ec;
    int rv = ec_start(&ec);
    if (rv == 0)
        rv = ec_read_secret(&ec, secret);
    /* The random numbers blind the computation against who measures it; the result has none. */
    if (rv == 0)
        rv = mbedtls_ecdsa_sign_det_ext(&ec.group, &ec.r, &ec.s, &ec.secret, d.bytes, DIGEST_LEN,
                                        MBEDTLS_MD_SHA256, draw, NULL);
    if (rv == 0)
        rv = mbedtls_mpi_write_binary(&ec.r, out->bytes, HALF);
    if (rv == 0)
        rv = mbedtls_mpi_write_binary(&ec.s, out->bytes + HALF, HALF);
    ec_end(&ec);
    return rv == 0 ? 0 : ERR_CRYPTO;
}

int sign_check(const struct public_key *key, const char *domain, struct span message,
               const struct signature *sig)
{
    struct digest d = digest_in_domain(domain, message);
    struct ec ec;
    int rv = ec_start(&ec);
    if (rv == 0)
        rv = ec_read_public(&ec, key);
    if (rv == 0)
        rv = mbedtls_mpi_read_binary(&ec.r, sig->bytes, HALF);
    if (rv == 0)
        rv = mbedtls_mpi_read_binary(&ec.s, sig->bytes + HALF, HALF);
    if (rv == 0)
        rv = mbedtls_ecdsa_verify(&ec.group, d.bytes, DIGEST_LEN, &ec.point, &ec.r, &ec.s);
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

int sign_key_write(const char *path, const struct secret_key *secret, struct errmsg *em)
{
    char hex[2 * SECRET_KEY_LEN + 1];
    char text[KEY_FILE_LEN + 1];
    hex_write(span_of(secret->bytes, SECRET_KEY_LEN), hex);
    snprintf(text, sizeof text, KEY_FILE_HEAD "%s\n", hex);
    int rv = file_write(path, span_text(text), 0600, em);
    mbedtls_platform_zeroize(hex, sizeof hex);
    mbedtls_platform_zeroize(text, sizeof text);
    return rv;
}

int sign_key_read(const char *path, struct secret_key *secret, struct errmsg *em)
{
    uint8_t text[KEY_FILE_LEN];
    struct buffer b = buffer_on(text, sizeof text);
    int rv = file_read(path, &b, em);
    if (rv == 0)
        rv = parse_key_file(span_buffer(&b), secret);
    if (rv == ERR_RANGE || rv == ERR_FORMAT)
        rv = errmsg_set(em, ERR_FORMAT,
                        "%s: is not a key file: it needs one line, \"" KEY_FILE_HEAD
                        "\" and %d hexadecimal digits",
                        path, 2 * SECRET_KEY_LEN);
    if (rv == ERR_CRYPTO)
        rv = errmsg_set(em, ERR_FORMAT, "%s: holds a number that is no P-256 secret key", path);
    mbedtls_platform_zeroize(text, sizeof text);
    return rv;
}

/* `ec` must be ended whatever this returns. */
static int ec_start(struct ec *ec)
{
    mbedtls_ecp_group_init(&ec->group);
    mbedtls_mpi_init(&ec->secret);
    mbedtls_ecp_point_init(&ec->point);
    mbedtls_mpi_init(&ec->r);
    mbedtls_mpi_init(&ec->s);
    return mbedtls_ecp_group_load(&ec->group, MBEDTLS_ECP_DP_SECP256R1);
}

static void ec_end(struct ec *ec)
{
    mbedtls_mpi_free(&ec->s);
    mbedtls_mpi_free(&ec->r);
    mbedtls_ecp_point_free(&ec->point);
    mbedtls_mpi_free(&ec->secret);
    mbedtls_ecp_group_free(&ec->group);
}

static int ec_read_secret(struct ec *ec, const struct secret_key *secret)
{
    int rv = mbedtls_mpi_read_binary(&ec->secret, secret->bytes, SECRET_KEY_LEN);
    return rv != 0 ? rv : mbedtls_ecp_check_privkey(&ec->group, &ec->secret);
}

/* The library reads any two numbers as a point; whether it lies on the curve is asked here. */
static int ec_read_public(struct ec *ec, const struct public_key *key)
{
    uint8_t point[POINT_LEN] = {POINT_UNCOMPRESSED};
    memcpy(point + 1, key->bytes, PUBLIC_KEY_LEN);
    int rv = mbedtls_ecp_point_read_binary(&ec->group, &ec->point, point, POINT_LEN);
    return rv != 0 ? rv : mbedtls_ecp_check_pubkey(&ec->group, &ec->point);
}

static int ec_write_public(const struct ec *ec, struct public_key *key)
{
    uint8_t point[POINT_LEN];
    size_t len;
    int rv = mbedtls_ecp_point_write_binary(&ec->group, &ec->point, MBEDTLS_ECP_PF_UNCOMPRESSED,
                                            &len, point, POINT_LEN);
    if (rv == 0)
        memcpy(key->bytes, point + 1, PUBLIC_KEY_LEN);
    return rv;
}

static int draw(void *unused, unsigned char *out, size_t len)
{
    (void)unused;
    random_bytes(out, len);
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

/* ERR_FORMAT, or ERR_CRYPTO for a number that is no secret key. */
static int parse_key_file(struct span text, struct secret_key *secret)
{
    const size_t head = sizeof KEY_FILE_HEAD - 1;
    if (text.len != KEY_FILE_LEN || memcmp(text.data, KEY_FILE_HEAD, head) != 0)
        return ERR_FORMAT;
    char hex[2 * SECRET_KEY_LEN + 1] = {0};
    memcpy(hex, text.data + head, sizeof hex - 1);
    int rv =
        text.data[text.len - 1] == '\n' ? hex_read(hex, secret->bytes, SECRET_KEY_LEN) : ERR_FORMAT;
    mbedtls_platform_zeroize(hex, sizeof hex);
    struct public_key public;
    return rv < 0 ? rv : sign_public(secret, &public);
}
