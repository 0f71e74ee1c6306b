/*
 * certificate: X.509 certificates (RFC 5280) as Dunlin issues and accepts them: P-256 keys, one
 * common name, one use, short. It knows nothing of chains, of clocks, and of who is revoked.
 */
#ifndef DUNLIN_CRYPTO_CERTIFICATE_H
#define DUNLIN_CRYPTO_CERTIFICATE_H

#include "crypto/sign.h"

/* The DER of one of ours: an agent's has 374 bytes, a broker's a few dozen more a name. */
#define CERTIFICATE_MAX 1024
/* PEM: four characters for three bytes, line ends, first and last line, NUL. */
#define CERTIFICATE_PEM_MAX 1536
/* X.520: ub-common-name. */
#define CERTIFICATE_NAME_MAX 64
#define CERTIFICATE_SERIAL_LEN 16
/* Authorities that may certify one another in a row, the last one a broker: what followed one
 * another while a device was away. */
#define CERTIFICATE_STEPS_MAX 3
/* Room for a list that revokes `count` certificates: 35 bytes each, as PEM. */
#define CERTIFICATE_CRL_MAX(count) (1024 + (size_t)(count)*52)

enum certificate_use {
    CERTIFICATE_AUTHORITY, /* signs certificates and revocation lists, nothing else */
    CERTIFICATE_SERVER,
    CERTIFICATE_CLIENT,
};

/* A positive number, big-endian: the top bit is clear and not all of it is zero. */
struct certificate_serial {
    uint8_t bytes[CERTIFICATE_SERIAL_LEN];
};

/* What one says. */
struct certificate {
    enum certificate_use use;
    char name[CERTIFICATE_NAME_MAX + 1];   /* printable ASCII */
    char issuer[CERTIFICATE_NAME_MAX + 1]; /* only read: making has an argument for it */
    struct certificate_serial serial;
    uint64_t not_before_s, not_after_s;
    struct public_key key;
    /* Names and addresses of a server to be made, for its subjectAltName. Reading leaves them
     * empty. */
    const char *const *hosts;
    size_t host_count;
};

/* "Dunlin " and the first digits of the key's id: what a fleet's authority is called. */
struct certificate_name {
    char text[CERTIFICATE_NAME_MAX + 1];
};
struct certificate_name certificate_authority_name(const struct key_id *authority);

/*
 * Issues a certificate and appends its DER. The same values give the same bytes. With the secret of
 * `c->key` as `issuer` and `c->name` as `issuer_name` it is self-signed, as an authority's is.
 * ERR_RANGE for values that no certificate can have or hosts that don't fit, ERR_NO_MEMORY when
 * `der` is full, ERR_CRYPTO when `issuer` is no secret key.
 */
int certificate_make(const struct certificate *c, const struct secret_key *issuer,
                     const char *issuer_name, struct buffer *der);

/* Reads one certificate and nothing after it; the signature is not looked at. ERR_FORMAT for what
 * certificate_make would not have made, ERR_CRYPTO when the heap is full. */
int certificate_read(struct span der, struct certificate *out);

/* 0 when the signature is `issuer`'s, else ERR_SIGNATURE; and as certificate_read. */
int certificate_check(struct span der, const struct public_key *issuer);

/* The first 16 bytes of SHA-256("dunlin certificate" || 0 || agent || period as 4 bytes LE), the
 * top bit cleared: an agent's certificates can be revoked without a list of them. */
struct certificate_serial certificate_agent_serial(const struct key_id *agent, uint32_t period);

/* Appends "-----BEGIN CERTIFICATE-----" and so on, without a NUL; ERR_NO_MEMORY when it and a NUL
 * don't fit. */
int certificate_pem(struct span der, struct buffer *out);

/* The same for a key: "-----BEGIN EC PRIVATE KEY-----" (RFC 5915), as OpenSSL reads it. */
int certificate_key_pem(const struct secret_key *key, struct buffer *out);

/*
 * Appends a revocation list as PEM; its number is `this_update_s`, and each of the serials counts
 * as revoked since then. CERTIFICATE_CRL_MAX(count) bytes are enough. Errors as certificate_make.
 */
int certificate_crl(const struct secret_key *issuer, const char *issuer_name,
                    const struct certificate_serial *revoked, size_t count, uint64_t this_update_s,
                    uint64_t next_update_s, struct buffer *pem);

#endif
