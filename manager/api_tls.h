/*
 * api_tls: the certificate that the API on TCP shows, issued by the fleet's authority and made anew
 * in time, while connections that began with the old one go on. The only place with GnuTLS, which
 * MHD's TLS is. It knows no requests.
 */
#ifndef DUNLIN_MANAGER_API_TLS_H
#define DUNLIN_MANAGER_API_TLS_H

#include "manager/certificates.h"

#include <gnutls/abstract.h>

/* TLS 1.2 and 1.3 with forward secrecy and authenticated encryption; nothing that is older. */
#define API_TLS_PRIORITIES                                                                         \
    "NONE:+VERS-TLS1.3:+VERS-TLS1.2:+AES-256-GCM:+AES-128-GCM:+CHACHA20-POLY1305:+AEAD:"           \
    "+ECDHE-ECDSA:+GROUP-X25519:+GROUP-SECP256R1:+SIGN-ECDSA-SHA256:"                              \
    "+SIGN-ECDSA-SECP256R1-SHA256:+CTYPE-SRV-X509:+COMP-NULL:%SERVER_PRECEDENCE"

struct api_tls;

/* Keys and site are borrowed. NULL with a sentence. One at a time. */
struct api_tls *api_tls_new(const struct keyring *keys, const struct site *site, uint64_t now_s,
                            struct errmsg *em);
void api_tls_free(struct api_tls *t);

/* Makes the certificate of this time, when there is a newer one. Cheap when there isn't. */
void api_tls_renew(struct api_tls *t, uint64_t now_s);

/* For MHD: gives GnuTLS the certificate and its key. */
gnutls_certificate_retrieve_function2 api_tls_retrieve;

#endif
