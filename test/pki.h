/*
 * pki: an authority and certificates by it, with keys that are the same in every run.
 * What can't be done ends the test program.
 */
#ifndef DUNLIN_TEST_PKI_H
#define DUNLIN_TEST_PKI_H

#include "crypto/certificate.h"

#include <stdio.h>
#include <stdlib.h>

#define PKI_DAY_S 86400u

/* When certificates are issued; tests with real brokers set it to the real time. */
static uint64_t pki_now_s = 1900000000; /* in 2030 */

struct pki_entity {
    struct secret_key secret;
    struct certificate says;
    uint8_t der[CERTIFICATE_MAX];
    size_t der_len;
};

static inline struct span pki_der(const struct pki_entity *e)
{
    return span_of(e->der, e->der_len);
}

/* Issues what `e->says`; with NULL as issuer it is self-signed. */
static inline void pki_issue(struct pki_entity *e, const struct pki_entity *issuer)
{
    struct buffer b = buffer_on(e->der, sizeof e->der);
    const struct pki_entity *by = issuer ? issuer : e;
    if (certificate_make(&e->says, &by->secret, by->says.name, &b) < 0) {
        fprintf(stderr, "cannot make a certificate for %s\n", e->says.name);
        abort();
    }
    e->der_len = b.len;
}

/* A key pair made of `seed`, and a certificate of 60 days from an hour before
 * pki_now_s. */
static inline struct pki_entity pki_entity(enum certificate_use use, const char *name, uint8_t seed,
                                           const struct pki_entity *issuer)
{
    struct pki_entity e = {.says = {.use = use}};
    memset(e.secret.bytes, 0x10, SECRET_KEY_LEN);
    e.secret.bytes[SECRET_KEY_LEN - 1] = seed;
    if (sign_public(&e.secret, &e.says.key) < 0)
        abort();
    struct key_id id = key_id_of(&e.says.key);
    snprintf(e.says.name, sizeof e.says.name, "%s", name ? name : key_id_hex(&id).text);
    e.says.serial = certificate_agent_serial(&id, 0);
    e.says.not_before_s = pki_now_s - 3600;
    e.says.not_after_s = pki_now_s + 60u * PKI_DAY_S;
    pki_issue(&e, issuer);
    return e;
}

#endif
