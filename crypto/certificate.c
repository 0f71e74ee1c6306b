/* The half of certificate.h that reads. */
#include "crypto/certificate.h"

#include "base/date.h"
#include "crypto/ec.h"
#include "crypto/x509.h"

#include <mbedtls/asn1.h>
#include <mbedtls/oid.h>
#include <mbedtls/x509_crt.h>

#define OID(oid) (oid), MBEDTLS_OID_SIZE(oid)

static int parse(mbedtls_x509_crt *crt, struct span der);
static int read_all(const mbedtls_x509_crt *crt, struct certificate *out);
static int read_use(const mbedtls_x509_crt *crt, enum certificate_use *use);
static bool is_for(const mbedtls_x509_crt *crt, const char *oid, size_t len);
static int read_name(const mbedtls_x509_name *whose, char name[static CERTIFICATE_NAME_MAX + 1]);
static int read_number(struct span number, uint8_t *out, size_t len);
static int read_time(const mbedtls_x509_time *time, uint64_t *out_s);
static int read_key(const mbedtls_x509_buf *key, struct public_key *out);
static int read_signature(const mbedtls_x509_buf *der, struct signature *out);

int certificate_read(struct span der, struct certificate *out)
{
    mbedtls_x509_crt crt;
    int rv = parse(&crt, der);
    if (rv == 0)
        rv = read_all(&crt, out);
    mbedtls_x509_crt_free(&crt);
    return rv;
}

int certificate_check(struct span der, const struct public_key *issuer)
{
    mbedtls_x509_crt crt;
    struct signature sig;
    int rv = parse(&crt, der);
    if (rv == 0)
        rv = read_signature(&crt.MBEDTLS_PRIVATE(sig), &sig);
    if (rv == 0) {
        struct digest d = digest_of(span_of(crt.tbs.p, crt.tbs.len));
        rv = ec_check(issuer, &d, &sig);
    }
    mbedtls_x509_crt_free(&crt);
    return rv;
}

/* `crt` must be freed whatever this returns. */
static int parse(mbedtls_x509_crt *crt, struct span der)
{
    mbedtls_x509_crt_init(crt);
    if (der.len == 0 || der.len > CERTIFICATE_MAX)
        return ERR_FORMAT;
    int rv = mbedtls_x509_crt_parse_der(crt, der.data, der.len);
    if (rv == MBEDTLS_ERR_X509_ALLOC_FAILED)
        return ERR_CRYPTO;
    if (rv != 0 || crt->raw.len != der.len)
        return ERR_FORMAT;
    bool ecdsa = crt->MBEDTLS_PRIVATE(sig_pk) == MBEDTLS_PK_ECDSA &&
                 crt->MBEDTLS_PRIVATE(sig_md) == MBEDTLS_MD_SHA256;
    return ecdsa ? 0 : ERR_FORMAT;
}

static int read_all(const mbedtls_x509_crt *crt, struct certificate *out)
{
    *out = (struct certificate){0};
    int rv = read_use(crt, &out->use);
    if (rv == 0)
        rv = read_name(&crt->subject, out->name);
    if (rv == 0)
        rv = read_name(&crt->issuer, out->issuer);
    if (rv == 0)
        rv = read_number(span_of(crt->serial.p, crt->serial.len), out->serial.bytes,
                         CERTIFICATE_SERIAL_LEN);
    if (rv == 0)
        rv = x509_serial_valid(&out->serial) ? 0 : ERR_FORMAT;
    if (rv == 0)
        rv = read_time(&crt->valid_from, &out->not_before_s);
    if (rv == 0)
        rv = read_time(&crt->valid_to, &out->not_after_s);
    if (rv == 0)
        rv = read_key(&crt->pk_raw, &out->key);
    return rv == 0 && out->not_before_s > out->not_after_s ? ERR_FORMAT : rv;
}

static int read_use(const mbedtls_x509_crt *crt, enum certificate_use *use)
{
    bool authority = crt->MBEDTLS_PRIVATE(ca_istrue);
    bool server = is_for(crt, OID(MBEDTLS_OID_SERVER_AUTH));
    bool client = is_for(crt, OID(MBEDTLS_OID_CLIENT_AUTH));
    unsigned usage = authority ? MBEDTLS_X509_KU_KEY_CERT_SIGN : MBEDTLS_X509_KU_DIGITAL_SIGNATURE;
    if (authority + server + client != 1 || mbedtls_x509_crt_check_key_usage(crt, usage) != 0)
        return ERR_FORMAT;
    *use = authority ? CERTIFICATE_AUTHORITY : server ? CERTIFICATE_SERVER : CERTIFICATE_CLIENT;
    return 0;
}

/* To the library, a certificate that names no purpose serves every one; to us, none. */
static bool is_for(const mbedtls_x509_crt *crt, const char *oid, size_t len)
{
    return crt->MBEDTLS_PRIVATE(ext_types) & MBEDTLS_X509_EXT_EXTENDED_KEY_USAGE &&
           mbedtls_x509_crt_check_extended_key_usage(crt, oid, len) == 0;
}

static int read_name(const mbedtls_x509_name *whose, char name[static CERTIFICATE_NAME_MAX + 1])
{
    struct span value = span_of(whose->val.p, whose->val.len);
    if (whose->next || whose->oid.len != MBEDTLS_OID_SIZE(MBEDTLS_OID_AT_CN) ||
        memcmp(whose->oid.p, MBEDTLS_OID_AT_CN, whose->oid.len) != 0 || !x509_name_valid(value))
        return ERR_FORMAT;
    memcpy(name, value.data, value.len);
    name[value.len] = '\0';
    return 0;
}

bool x509_name_valid(struct span name)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.data[i] < ' ' || name.data[i] > '~')
            return false;
    return name.len >= 1 && name.len <= CERTIFICATE_NAME_MAX;
}

bool x509_serial_valid(const struct certificate_serial *serial)
{
    uint8_t any = 0;
    for (size_t i = 0; i < CERTIFICATE_SERIAL_LEN; i++)
        any |= serial->bytes[i];
    return any != 0 && !(serial->bytes[0] & 0x80);
}

/* Reads the content of an INTEGER that is not negative into `len` bytes, big-endian. */
static int read_number(struct span number, uint8_t *out, size_t len)
{
    if (number.len == 0 || number.data[0] & 0x80)
        return ERR_FORMAT;
    if (number.data[0] == 0 && number.len > 1) {
        if (!(number.data[1] & 0x80)) /* could have been shorter */
            return ERR_FORMAT;
        number = span_of(number.data + 1, number.len - 1);
    }
    if (number.len > len)
        return ERR_FORMAT;
    memset(out, 0, len);
    memcpy(out + len - number.len, number.data, number.len);
    return 0;
}

/* The library has checked that there is such a day. */
static int read_time(const mbedtls_x509_time *time, uint64_t *out_s)
{
    if (time->year < 1970 || time->year > 9999)
        return ERR_FORMAT;
    struct date d = {
        .year = (unsigned)time->year,
        .month = (unsigned)time->mon,
        .day = (unsigned)time->day,
        .hour = (unsigned)time->hour,
        .minute = (unsigned)time->min,
        .second = (unsigned)time->sec,
    };
    *out_s = date_seconds(&d);
    return 0;
}

static int read_key(const mbedtls_x509_buf *key, struct public_key *out)
{
    if (key->len != X509_KEY_HEAD_LEN + PUBLIC_KEY_LEN ||
        memcmp(key->p, X509_KEY_HEAD, X509_KEY_HEAD_LEN) != 0)
        return ERR_FORMAT;
    memcpy(out->bytes, key->p + X509_KEY_HEAD_LEN, PUBLIC_KEY_LEN);
    return 0;
}

/* r and s (RFC 3279, 2.2.3) and nothing else. */
static int read_signature(const mbedtls_x509_buf *der, struct signature *out)
{
    unsigned char *at = der->p;
    const unsigned char *end = der->p + der->len;
    size_t len;
    if (mbedtls_asn1_get_tag(&at, end, &len, MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE) ||
        at + len != end)
        return ERR_FORMAT;
    for (size_t half = 0; half < SIGNATURE_LEN; half += HALF_LEN) {
        if (mbedtls_asn1_get_tag(&at, end, &len, MBEDTLS_ASN1_INTEGER) ||
            read_number(span_of(at, len), out->bytes + half, HALF_LEN) < 0)
            return ERR_FORMAT;
        at += len;
    }
    return at == end ? 0 : ERR_FORMAT;
}
