#include "manager/api_tls.h"

#include "base/log.h"

#include <stdlib.h>

/* A handshake may still hold the one before. */
#define GENERATIONS 2

struct generation {
    uint64_t version; /* certificates_version */
    unsigned count;   /* 0: empty */
    gnutls_pcert_st chain[1 + ELDERS_MAX];
    gnutls_privkey_t key;
};

struct api_tls {
    const struct keyring *keys;
    const struct site *site;
    struct generation generations[GENERATIONS]; /* the newest first */
};

/* MHD passes GnuTLS's call on without a context. */
static struct api_tls *shown;

static int make(struct api_tls *t, uint64_t now_s, struct generation *out);
static uint32_t elders_shown(const struct keyring *k, uint64_t now_s);
static int import(struct generation *g, struct span der, struct span key_pem);
static int import_next(struct generation *g, struct span der);
static void discard(struct generation *g);

struct api_tls *api_tls_new(const struct keyring *keys, const struct site *site, uint64_t now_s,
                            struct errmsg *em)
{
    struct api_tls *t = calloc(1, sizeof *t);
    if (!t) {
        errmsg_set(em, ERR_NO_MEMORY, "out of memory");
        return NULL;
    }
    t->keys = keys;
    t->site = site;
    int rv = make(t, now_s, &t->generations[0]);
    if (rv == 0) {
        shown = t;
        return t;
    }
    errmsg_set(em, rv, "cannot make a certificate for the API: %s", err_name(rv));
    api_tls_free(t);
    return NULL;
}

void api_tls_free(struct api_tls *t)
{
    if (!t)
        return;
    if (shown == t)
        shown = NULL;
    for (size_t i = 0; i < GENERATIONS; i++)
        discard(&t->generations[i]);
    free(t);
}

/* When it can't be made, the old one is good for another month, and this is tried again. */
void api_tls_renew(struct api_tls *t, uint64_t now_s)
{
    struct generation next;
    if (t->generations[0].version == certificates_version(t->keys, now_s))
        return;
    int rv = make(t, now_s, &next);
    if (rv < 0) {
        log_event(LOG_ERROR, "api-certificate-failed", "reason=%s", err_name(rv));
        return;
    }
    discard(&t->generations[1]);
    t->generations[1] = t->generations[0];
    t->generations[0] = next;
    log_event(LOG_INFO, "api-certificate-renewed", "authority=%s",
              key_id_hex(&t->keys->authority_id).text);
}

int api_tls_retrieve(gnutls_session_t session, const gnutls_datum_t *names, int name_count,
                     const gnutls_pk_algorithm_t *algorithms, int algorithm_count,
                     gnutls_pcert_st **certificates, unsigned *count, gnutls_privkey_t *key)
{
    (void)session;
    (void)names;
    (void)name_count;
    (void)algorithms;
    (void)algorithm_count;
    if (!shown)
        return -1;
    *certificates = shown->generations[0].chain;
    *count = shown->generations[0].count;
    *key = shown->generations[0].key;
    return 0;
}

static int make(struct api_tls *t, uint64_t now_s, struct generation *out)
{
    uint8_t der_room[CERTIFICATE_MAX], pem_room[CERTIFICATE_PEM_MAX];
    struct buffer der = buffer_on(der_room, sizeof der_room);
    struct buffer pem = buffer_on(pem_room, sizeof pem_room);
    struct secret_key secret;
    *out = (struct generation){.version = certificates_version(t->keys, now_s)};
    int rv = certificates_server(t->keys, t->site, now_s, &secret, &der);
    if (rv == 0)
        rv = certificate_key_pem(&secret, &pem);
    if (rv == 0)
        rv = import(out, span_buffer(&der), span_buffer(&pem));
    explicit_bzero(&secret, sizeof secret);
    explicit_bzero(pem_room, sizeof pem_room);
    uint32_t shown_count = elders_shown(t->keys, now_s);
    for (uint32_t i = 0; rv == 0 && i < shown_count; i++)
        rv = import_next(out, span_of(t->keys->elders[i].cross, t->keys->elders[i].cross_len));
    if (rv < 0)
        discard(out);
    return rv;
}

/*
 * Credentials pin the authority that they were made under. They lead a client on to the one of
 * today, but over no theft: whoever has the stolen key could be the manager to them and be given
 * their secret, so it is better that they fail.
 */
static uint32_t elders_shown(const struct keyring *k, uint64_t now_s)
{
    uint32_t steps = certificates_steps(k, now_s), i = 0;
    while (i < steps && !k->elders[i].stolen)
        i++;
    return i;
}

static int import(struct generation *g, struct span der, struct span key_pem)
{
    const gnutls_datum_t key = {.data = (uint8_t *)key_pem.data, .size = (unsigned)key_pem.len};
    int rv = import_next(g, der);
    if (rv < 0)
        return rv;
    if (gnutls_privkey_init(&g->key) == 0 &&
        gnutls_privkey_import_x509_raw(g->key, &key, GNUTLS_X509_FMT_PEM, NULL, 0) == 0)
        return 0;
    return ERR_CRYPTO;
}

static int import_next(struct generation *g, struct span der)
{
    const gnutls_datum_t certificate = {.data = (uint8_t *)der.data, .size = (unsigned)der.len};
    if (gnutls_pcert_import_x509_raw(&g->chain[g->count], &certificate, GNUTLS_X509_FMT_DER, 0))
        return ERR_CRYPTO;
    g->count++;
    return 0;
}

static void discard(struct generation *g)
{
    for (unsigned i = 0; i < g->count; i++)
        gnutls_pcert_deinit(&g->chain[i]);
    if (g->key)
        gnutls_privkey_deinit(g->key);
    *g = (struct generation){.count = 0};
}
