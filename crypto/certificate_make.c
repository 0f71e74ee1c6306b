/* The half of certificate.h that issues: certificates, revocation lists, PEM. */
#include "base/date.h"
#include "base/endian.h"
#include "crypto/certificate.h"
#include "crypto/der.h"
#include "crypto/ec.h"
#include "crypto/x509.h"

#include <arpa/inet.h>
#include <assert.h>
#include <mbedtls/pem.h>
#include <mbedtls/platform_util.h>
#include <stdio.h>

/* RFC 5280, 4.1.2.5: later dates have their year in full. */
#define UTC_TIME_YEAR_MAX 2049
/* The algorithm, and a BIT STRING with two INTEGERs of 32 bytes and a sign. */
#define TAIL_MAX (12 + 3 + 2 + 2 * (2 + 33))
/* Of an authority's key id, in its name: enough to tell fleets apart. */
#define NAME_DIGITS 16
/* PEM begins and ends with a line of these. */
#define PEM_BEGIN(what) "-----BEGIN " what "-----\n"
#define PEM_END(what) "-----END " what "-----\n"

/* Constants from their bytes, without the NUL of the literal. */
#define BYTES(literal) span_of(literal, sizeof(literal) - 1)

/* AlgorithmIdentifier: ecdsa-with-SHA256 (RFC 5758). */
#define ECDSA_SHA256 BYTES("\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02")
_Static_assert(CERTIFICATE_STEPS_MAX == 3, "it stands in AUTHORITY_EXTENSIONS");
#define OID_COMMON_NAME BYTES("\x06\x03\x55\x04\x03")
#define OID_SUBJECT_ALT_NAME BYTES("\x06\x03\x55\x1d\x11")
#define OID_CRL_NUMBER BYTES("\x06\x03\x55\x1d\x14")
#define VERSION_3 BYTES("\xa0\x03\x02\x01\x02")
#define CRL_VERSION_2 BYTES("\x02\x01\x01")

/* Whole extensions. Critical: keyUsage keyCertSign and cRLSign, basicConstraints of an authority
 * with CERTIFICATE_STEPS_MAX others below it: each certifies the one that takes its place. */
#define AUTHORITY_EXTENSIONS                                                                       \
    BYTES("\x30\x0e\x06\x03\x55\x1d\x0f\x01\x01\xff\x04\x04\x03\x02\x01\x06"                       \
          "\x30\x12\x06\x03\x55\x1d\x13\x01\x01\xff\x04\x08\x30\x06\x01\x01\xff\x02\x01\x03")
/* keyUsage digitalSignature, critical, and extKeyUsage with its one purpose. */
#define LEAF_EXTENSIONS(purpose)                                                                   \
    BYTES("\x30\x0e\x06\x03\x55\x1d\x0f\x01\x01\xff\x04\x04\x03\x02\x07\x80"                       \
          "\x30\x13\x06\x03\x55\x1d\x25\x04\x0c\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07"           \
          "\x03" purpose)

/* GeneralName (RFC 5280, 4.2.1.6). */
#define GENERAL_DNS DER_CONTEXT_PLAIN(2)
#define GENERAL_ADDRESS DER_CONTEXT_PLAIN(7)

static bool makeable(const struct certificate *c, const char *issuer_name);
static void put_body(struct der *d, const struct certificate *c, const char *issuer_name);
static void put_extensions(struct der *d, const struct certificate *c);
static void put_hosts(struct der *d, const struct certificate *c);
static void put_host(struct der *d, const char *host);
static void put_key(struct der *d, const struct public_key *key);
static void put_name(struct der *d, const char *name);
static void put_time(struct der *d, uint64_t seconds);
static void put_serial(struct der *d, const struct certificate_serial *serial);
static struct der body_on(void *memory, size_t cap);
static int sign_body(struct der *d, const struct secret_key *issuer);
static void put_signature(struct der *d, const struct signature *sig);
static void put_revoked(struct der *d, const struct certificate_serial *revoked, size_t count,
                        uint64_t since_s);
static void put_crl_number(struct der *d, uint64_t number);
static int pem_write(const char *begin, const char *end, struct span der, struct buffer *out);

int certificate_make(const struct certificate *c, const struct secret_key *issuer,
                     const char *issuer_name, struct buffer *der)
{
    uint8_t memory[CERTIFICATE_MAX];
    struct der d = body_on(memory, sizeof memory);
    if (!makeable(c, issuer_name))
        return ERR_RANGE;
    put_body(&d, c, issuer_name);
    int rv = sign_body(&d, issuer);
    if (rv < 0)
        return rv == ERR_NO_MEMORY ? ERR_RANGE : rv;
    struct span made = der_written(&d);
    if (der->cap - der->len < made.len)
        return ERR_NO_MEMORY;
    memcpy(der->data + der->len, made.data, made.len);
    der->len += made.len;
    return 0;
}

static bool makeable(const struct certificate *c, const char *issuer_name)
{
    return x509_name_valid(span_text(c->name)) && x509_name_valid(span_text(issuer_name)) &&
           x509_serial_valid(&c->serial) && c->not_before_s <= c->not_after_s &&
           c->not_after_s <= DATE_MAX_S && (c->use == CERTIFICATE_SERVER || c->host_count == 0);
}

/* TBSCertificate (RFC 5280, 4.1), its last field first. */
static void put_body(struct der *d, const struct certificate *c, const char *issuer_name)
{
    const uint8_t *end = d->at;
    put_extensions(d, c);
    put_key(d, &c->key);
    put_name(d, c->name);
    const uint8_t *validity = d->at;
    put_time(d, c->not_after_s);
    put_time(d, c->not_before_s);
    der_wrap(d, DER_SEQUENCE, validity);
    put_name(d, issuer_name);
    der_put(d, ECDSA_SHA256);
    put_serial(d, &c->serial);
    der_put(d, VERSION_3);
    der_wrap(d, DER_SEQUENCE, end);
}

static void put_extensions(struct der *d, const struct certificate *c)
{
    const uint8_t *end = d->at;
    switch (c->use) {
    case CERTIFICATE_AUTHORITY:
        der_put(d, AUTHORITY_EXTENSIONS);
        break;
    case CERTIFICATE_SERVER:
        if (c->host_count > 0)
            put_hosts(d, c);
        der_put(d, LEAF_EXTENSIONS("\x01"));
        break;
    case CERTIFICATE_CLIENT:
        der_put(d, LEAF_EXTENSIONS("\x02"));
        break;
    }
    der_wrap(d, DER_SEQUENCE, end);
    der_wrap(d, DER_CONTEXT(3), end);
}

static void put_hosts(struct der *d, const struct certificate *c)
{
    const uint8_t *end = d->at;
    for (size_t i = c->host_count; i-- > 0;)
        put_host(d, c->hosts[i]);
    der_wrap(d, DER_SEQUENCE, end);
    der_wrap(d, DER_OCTET_STRING, end);
    der_put(d, OID_SUBJECT_ALT_NAME);
    der_wrap(d, DER_SEQUENCE, end);
}

static void put_host(struct der *d, const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, host, &v4) == 1)
        der_element(d, GENERAL_ADDRESS, span_of(&v4, sizeof v4));
    else if (inet_pton(AF_INET6, host, &v6) == 1)
        der_element(d, GENERAL_ADDRESS, span_of(&v6, sizeof v6));
    else
        der_element(d, GENERAL_DNS, span_text(host));
}

static void put_key(struct der *d, const struct public_key *key)
{
    der_put(d, span_of(key->bytes, PUBLIC_KEY_LEN));
    der_put(d, BYTES(X509_KEY_HEAD));
}

static void put_name(struct der *d, const char *name)
{
    const uint8_t *end = d->at;
    der_element(d, DER_UTF8_STRING, span_text(name));
    der_put(d, OID_COMMON_NAME);
    der_wrap(d, DER_SEQUENCE, end);
    der_wrap(d, DER_SET, end);
    der_wrap(d, DER_SEQUENCE, end);
}

static void put_time(struct der *d, uint64_t seconds)
{
    struct date date = date_of(seconds);
    unsigned fields[] = {date.year / 100, date.year % 100, date.month, date.day,
                         date.hour,       date.minute,     date.second};
    char text[] = "YYYYMMDDHHMMSSZ";
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        text[2 * i] = (char)('0' + fields[i] / 10);
        text[2 * i + 1] = (char)('0' + fields[i] % 10);
    }
    if (date.year <= UTC_TIME_YEAR_MAX)
        der_element(d, DER_UTC_TIME, span_text(text + 2));
    else
        der_element(d, DER_GENERALIZED_TIME, span_text(text));
}

static void put_serial(struct der *d, const struct certificate_serial *serial)
{
    der_integer(d, span_of(serial->bytes, CERTIFICATE_SERIAL_LEN));
}

/* Memory for a body, with room for what sign_body puts behind it. */
static struct der body_on(void *memory, size_t cap)
{
    return der_on(memory, cap < TAIL_MAX ? 0 : cap - TAIL_MAX);
}

/* Makes of the body, which is all that is written, the whole: body, algorithm, signature. */
static int sign_body(struct der *d, const struct secret_key *issuer)
{
    uint8_t memory[TAIL_MAX];
    struct der tail = der_on(memory, sizeof memory);
    struct signature sig;
    if (d->full)
        return ERR_NO_MEMORY;
    struct digest digest = digest_of(der_written(d));
    int rv = ec_sign(issuer, &digest, &sig);
    if (rv < 0)
        return rv;
    put_signature(&tail, &sig);
    der_put(&tail, ECDSA_SHA256);
    assert(!tail.full);
    struct span written = der_written(&tail);
    memcpy(d->end, written.data, written.len);
    d->end += written.len;
    der_wrap(d, DER_SEQUENCE, d->end);
    return d->full ? ERR_NO_MEMORY : 0;
}

/* A BIT STRING without unused bits that holds r and s (RFC 3279, 2.2.3). */
static void put_signature(struct der *d, const struct signature *sig)
{
    static const uint8_t unused_bits[1] = {0};
    const uint8_t *end = d->at;
    der_integer(d, span_of(sig->bytes + HALF_LEN, HALF_LEN));
    der_integer(d, span_of(sig->bytes, HALF_LEN));
    der_wrap(d, DER_SEQUENCE, end);
    der_put(d, span_of(unused_bits, sizeof unused_bits));
    der_wrap(d, DER_BIT_STRING, end);
}

struct certificate_name certificate_authority_name(const struct key_id *authority)
{
    struct certificate_name name;
    snprintf(name.text, sizeof name.text, "Dunlin %.*s", NAME_DIGITS, key_id_hex(authority).text);
    return name;
}

struct certificate_serial certificate_agent_serial(const struct key_id *agent, uint32_t period)
{
    static const char purpose[] = "dunlin certificate";
    uint8_t number[4];
    struct digest_stream s;
    struct certificate_serial serial;
    le32_write(number, period);
    digest_start(&s);
    digest_add(&s, span_of(purpose, sizeof purpose));
    digest_add(&s, span_of(agent->bytes, KEY_ID_LEN));
    digest_add(&s, span_of(number, sizeof number));
    struct digest d = digest_end(&s);
    memcpy(serial.bytes, d.bytes, CERTIFICATE_SERIAL_LEN);
    serial.bytes[0] &= 0x7f;
    return serial;
}

int certificate_pem(struct span der, struct buffer *out)
{
    return pem_write(PEM_BEGIN("CERTIFICATE"), PEM_END("CERTIFICATE"), der, out);
}

int certificate_key_pem(const struct secret_key *key, struct buffer *out)
{
    uint8_t memory[X509_KEY_DER_MAX];
    struct der d = der_on(memory, sizeof memory);
    int rv = x509_put_key(&d, key);
    if (rv == 0)
        rv =
            pem_write(PEM_BEGIN("EC PRIVATE KEY"), PEM_END("EC PRIVATE KEY"), der_written(&d), out);
    mbedtls_platform_zeroize(memory, sizeof memory);
    return rv;
}

/* The last field first. */
int x509_put_key(struct der *d, const struct secret_key *key)
{
    static const uint8_t uncompressed[] = {0, 4};
    struct public_key public;
    int rv = sign_public(key, &public);
    if (rv < 0)
        return rv;
    const uint8_t *end = d->at;
    der_put(d, span_of(public.bytes, PUBLIC_KEY_LEN));
    der_put(d, span_of(uncompressed, sizeof uncompressed));
    der_wrap(d, DER_BIT_STRING, end);
    der_wrap(d, DER_CONTEXT(1), end);
    der_put(d, BYTES("\xa0\x0a\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07")); /* prime256v1 */
    der_element(d, DER_OCTET_STRING, span_of(key->bytes, SECRET_KEY_LEN));
    der_put(d, BYTES("\x02\x01\x01")); /* the version */
    der_wrap(d, DER_SEQUENCE, end);
    assert(!d->full);
    return 0;
}

int certificate_crl(const struct secret_key *issuer, const char *issuer_name,
                    const struct certificate_serial *revoked, size_t count, uint64_t this_update_s,
                    uint64_t next_update_s, struct buffer *pem)
{
    if (!x509_name_valid(span_text(issuer_name)) || this_update_s > next_update_s ||
        next_update_s > DATE_MAX_S)
        return ERR_RANGE;
    struct der d = body_on(pem->data + pem->len, pem->cap - pem->len);
    const uint8_t *end = d.at;
    put_crl_number(&d, this_update_s);
    if (count > 0) /* an empty list must not be there */
        put_revoked(&d, revoked, count, this_update_s);
    put_time(&d, next_update_s);
    put_time(&d, this_update_s);
    put_name(&d, issuer_name);
    der_put(&d, ECDSA_SHA256);
    der_put(&d, CRL_VERSION_2);
    der_wrap(&d, DER_SEQUENCE, end);
    int rv = sign_body(&d, issuer);
    return rv < 0 ? rv
                  : pem_write(PEM_BEGIN("X509 CRL"), PEM_END("X509 CRL"), der_written(&d), pem);
}

static void put_revoked(struct der *d, const struct certificate_serial *revoked, size_t count,
                        uint64_t since_s)
{
    const uint8_t *list = d->at;
    for (size_t i = count; i-- > 0;) {
        const uint8_t *entry = d->at;
        put_time(d, since_s);
        put_serial(d, &revoked[i]);
        der_wrap(d, DER_SEQUENCE, entry);
    }
    der_wrap(d, DER_SEQUENCE, list);
}

static void put_crl_number(struct der *d, uint64_t number)
{
    const uint8_t *end = d->at;
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(number >> (56 - 8 * i));
    der_integer(d, span_of(bytes, sizeof bytes));
    der_wrap(d, DER_OCTET_STRING, end);
    der_put(d, OID_CRL_NUMBER);
    der_wrap(d, DER_SEQUENCE, end);
    der_wrap(d, DER_SEQUENCE, end);
    der_wrap(d, DER_CONTEXT(0), end);
}

/* `der` may lie in the free part of `out`: the library copies it before it writes. */
static int pem_write(const char *begin, const char *end, struct span der, struct buffer *out)
{
    size_t len = 0;
    int rv = mbedtls_pem_write_buffer(begin, end, der.data, der.len, out->data + out->len,
                                      out->cap - out->len, &len);
    if (rv != 0)
        return ERR_NO_MEMORY;
    out->len += len - 1; /* the NUL is counted */
    return 0;
}
