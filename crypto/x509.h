/*
 * x509: what the writer and the reader of certificates and TLS share.
 * Only certificate.c, certificate_make.c and tls.c include it.
 */
#ifndef DUNLIN_CRYPTO_X509_H
#define DUNLIN_CRYPTO_X509_H

#include "crypto/certificate.h"
#include "crypto/der.h"

#include <mbedtls/x509_crt.h>

/* mbedTLS 3 renamed the fields that it wants to be free to change; they are still there. */
#ifndef MBEDTLS_PRIVATE
#define MBEDTLS_PRIVATE(member) member
#endif

/* Room for a secret key with its curve and its point. */
#define X509_KEY_DER_MAX 128

/* A SubjectPublicKeyInfo of id-ecPublicKey on prime256v1, up to the uncompressed point's X and Y
 * (RFC 5480). */
#define X509_KEY_HEAD                                                                              \
    "\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07" \
    "\x03\x42\x00\x04"
#define X509_KEY_HEAD_LEN (sizeof X509_KEY_HEAD - 1)

/* True for 1 to CERTIFICATE_NAME_MAX printable ASCII characters. */
bool x509_name_valid(struct span name);

/* True for a positive number of 127 bits. */
bool x509_serial_valid(const struct certificate_serial *serial);

/* Puts a secret key as an ECPrivateKey (RFC 5915). ERR_CRYPTO when it is none. */
int x509_put_key(struct der *d, const struct secret_key *key);

#endif
