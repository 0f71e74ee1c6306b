#include "manager/certificates.h"

#include "base/endian.h"
#include "base/file.h"
#include "manager/broker_config.h"
#include "manager/core/manager.h"

#include <stdio.h>
#include <stdlib.h>

/* As PEM: all authorities that let agents in; a server's certificate and those behind it. */
#define AUTHORITIES_TEXT_MAX ((1 + ELDERS_MAX) * CERTIFICATE_PEM_MAX)
#define CHAIN_TEXT_MAX ((2 + ELDERS_MAX) * CERTIFICATE_PEM_MAX)

static struct certificate_serial serial_of(const struct public_key *key, uint64_t period);
static int draw_key(const struct keyring *k, const char *purpose, const char *name, uint64_t period,
                    struct secret_key *secret, struct public_key *public);
static uint32_t agent_period(uint64_t joined_s, uint64_t now_s);
static size_t list_serials(const struct blocked_agent *blocked, size_t count, uint64_t now_s,
                           struct certificate_serial *out);
static int put_all(const char *folder, struct span ca, struct span key, struct span chain,
                   struct errmsg *em);
static int write_server(const struct keyring *k, const struct site *site, uint64_t now_s,
                        struct buffer *chain, struct buffer *key);
static int write_chain(const struct keyring *k, uint64_t now_s, struct buffer *chain);
static int write_authorities(const struct keyring *k, uint64_t now_s, struct buffer *ca);
static bool says(const char *path, struct span content);

/* ---- certificates ---- */

int certificates_authority(const struct keyring *k, uint64_t now_s, struct buffer *der)
{
    return certificates_cross(k, &k->authority_public, now_s, der);
}

int certificates_cross(const struct keyring *k, const struct public_key *other, uint64_t now_s,
                       struct buffer *der)
{
    uint64_t period = now_s / CERTIFICATES_AUTHORITY_PERIOD_S;
    struct key_id id = key_id_of(other);
    struct certificate c = {
        .use = CERTIFICATE_AUTHORITY,
        .serial = serial_of(other, period),
        .not_before_s = period * CERTIFICATES_AUTHORITY_PERIOD_S,
        .not_after_s = period * CERTIFICATES_AUTHORITY_PERIOD_S + CERTIFICATES_AUTHORITY_LIFE_S,
        .key = *other,
    };
    memcpy(c.name, certificate_authority_name(&id).text, sizeof c.name);
    return keyring_certificate(k, &c, der);
}

int certificates_server(const struct keyring *k, const struct site *site, uint64_t now_s,
                        struct secret_key *key, struct buffer *der)
{
    uint64_t period = now_s / CERTIFICATES_SERVER_PERIOD_S;
    uint64_t start_s = period * CERTIFICATES_SERVER_PERIOD_S;
    struct certificate c = {
        .use = CERTIFICATE_SERVER,
        .not_before_s = start_s - CERTIFICATES_SERVER_SLACK_S,
        .not_after_s = start_s + CERTIFICATES_SERVER_LIFE_S,
        .hosts = site->hosts,
        .host_count = site->host_count,
    };
    snprintf(c.name, sizeof c.name, "%s", site->name);
    int rv = draw_key(k, "dunlin server", site->name, period, key, &c.key);
    if (rv < 0)
        return rv;
    c.serial = serial_of(&c.key, period);
    return keyring_certificate(k, &c, der);
}

int certificates_client(const struct keyring *k, const char *name,
                        const struct certificate_serial *serial, uint64_t now_s,
                        struct secret_key *key, struct buffer *der)
{
    uint64_t period = now_s / CERTIFICATES_CLIENT_PERIOD_S;
    struct certificate c = {
        .use = CERTIFICATE_CLIENT,
        .not_before_s = (period - 1) * CERTIFICATES_CLIENT_PERIOD_S,
        .not_after_s = (period + 2) * CERTIFICATES_CLIENT_PERIOD_S,
    };
    snprintf(c.name, sizeof c.name, "%s", name);
    int rv = draw_key(k, "dunlin client", name, period, key, &c.key);
    if (rv < 0)
        return rv;
    c.serial = serial ? *serial : serial_of(&c.key, period);
    return keyring_certificate_old(k, &c, der);
}

struct certificate_serial certificates_serial(const struct blocked_agent *agent, uint64_t now_s)
{
    return certificate_agent_serial(&agent->id, agent_period(agent->joined_s, now_s));
}

static struct certificate_serial serial_of(const struct public_key *key, uint64_t period)
{
    struct key_id id = key_id_of(key);
    return certificate_agent_serial(&id, (uint32_t)period);
}

/* Not every 32 bytes are a key, but all but one in 2^32 are. */
static int draw_key(const struct keyring *k, const char *purpose, const char *name, uint64_t period,
                    struct secret_key *secret, struct public_key *public)
{
    struct mac_key purposes = mac_derive(&k->master, purpose, period);
    struct mac_key drawn = mac_derive(&purposes, name, 0);
    _Static_assert(sizeof secret->bytes == sizeof drawn.bytes, "a secret key is 32 bytes");
    memcpy(secret->bytes, drawn.bytes, sizeof secret->bytes);
    explicit_bzero(&purposes, sizeof purposes);
    explicit_bzero(&drawn, sizeof drawn);
    return sign_public(secret, public);
}

/* ---- authorities that others have followed ---- */

uint64_t certificates_version(const struct keyring *k, uint64_t now_s)
{
    struct digest_stream s;
    uint8_t number[8];
    digest_start(&s);
    le64_write(number, now_s / CERTIFICATES_SERVER_PERIOD_S);
    digest_add(&s, span_of(number, sizeof number));
    le64_write(number, certificates_steps(k, now_s));
    digest_add(&s, span_of(number, sizeof number));
    digest_add(&s, span_of(k->authority_id.bytes, KEY_ID_LEN));
    for (uint32_t i = 0; i < k->elder_count; i++)
        if (keyring_counts(&k->elders[i]))
            digest_add(&s, span_of(k->elders[i].id.bytes, KEY_ID_LEN));
    struct digest d = digest_end(&s);
    return le64_read(d.bytes);
}

uint32_t certificates_steps(const struct keyring *k, uint64_t now_s)
{
    uint32_t steps = 0;
    while (steps < k->elder_count && now_s <= k->elders[steps].until_s)
        steps++;
    return steps;
}

static uint32_t agent_period(uint64_t joined_s, uint64_t now_s)
{
    return now_s > joined_s ? (uint32_t)((now_s - joined_s) / CERTIFICATE_PERIOD_S) : 0;
}

/* ---- what counts no more ---- */

/*
 * Two periods cover what a certificate lives. The list is good as long as the authority's own
 * certificate is: neither a manager that is away nor a clock that was put back must stop the fleet.
 */
int certificates_revoked(const struct keyring *k, const struct blocked_agent *blocked, size_t count,
                         uint64_t now_s, struct buffer *pem)
{
    uint64_t since_s = now_s / CERTIFICATES_AUTHORITY_PERIOD_S * CERTIFICATES_AUTHORITY_PERIOD_S;
    struct certificate_serial *serials = calloc(2 * count + 1, sizeof *serials);
    if (!serials)
        return ERR_NO_MEMORY;
    size_t listed = list_serials(blocked, count, now_s, serials);
    uint64_t until_s = since_s + CERTIFICATES_AUTHORITY_LIFE_S;
    int rv = certificate_crl(&k->authority, certificate_authority_name(&k->authority_id).text,
                             serials, listed, since_s, until_s, pem);
    for (uint32_t i = 0; rv == 0 && i < k->elder_count; i++) {
        const struct elder *e = &k->elders[i];
        if (keyring_counts(e))
            rv = certificate_crl(&e->secret, certificate_authority_name(&e->id).text, serials,
                                 listed, since_s, until_s, pem);
    }
    free(serials);
    return rv;
}

static size_t list_serials(const struct blocked_agent *blocked, size_t count, uint64_t now_s,
                           struct certificate_serial *out)
{
    size_t listed = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t period = agent_period(blocked[i].joined_s, now_s);
        out[listed++] = certificates_serial(&blocked[i], now_s);
        if (period > 0)
            out[listed++] = certificate_agent_serial(&blocked[i].id, period - 1);
    }
    return listed;
}

/* ---- files ---- */

int certificates_put_server(const struct keyring *k, const struct site *site, uint64_t now_s,
                            const char *folder, struct errmsg *em)
{
    char ca_text[AUTHORITIES_TEXT_MAX], chain_text[CHAIN_TEXT_MAX], key_text[CERTIFICATE_PEM_MAX];
    struct buffer ca = buffer_on(ca_text, sizeof ca_text);
    struct buffer chain = buffer_on(chain_text, sizeof chain_text);
    struct buffer key = buffer_on(key_text, sizeof key_text);
    int rv = write_authorities(k, now_s, &ca);
    if (rv == 0)
        rv = write_server(k, site, now_s, &chain, &key);
    if (rv < 0)
        errmsg_set(em, rv, "cannot make a certificate for %s: %s", site->name, err_name(rv));
    else
        rv = put_all(folder, span_buffer(&ca), span_buffer(&key), span_buffer(&chain), em);
    explicit_bzero(key_text, sizeof key_text);
    return rv;
}

/* 1: one of them at least is another than it was. */
static int put_all(const char *folder, struct span ca, struct span key, struct span chain,
                   struct errmsg *em)
{
    const struct {
        const char *name;
        struct span content;
    } files[] = {{BROKER_CA_FILE, ca}, {BROKER_KEY_FILE, key}, {BROKER_CERTIFICATE_FILE, chain}};
    bool changed = false;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        int rv = certificates_put(folder, files[i].name, files[i].content, em);
        if (rv < 0)
            return rv;
        changed |= rv == 1;
    }
    return changed;
}

static int write_server(const struct keyring *k, const struct site *site, uint64_t now_s,
                        struct buffer *chain, struct buffer *key)
{
    uint8_t room[CERTIFICATE_MAX];
    struct buffer server = buffer_on(room, sizeof room);
    struct secret_key secret;
    int rv = certificates_server(k, site, now_s, &secret, &server);
    if (rv == 0)
        rv = certificate_pem(span_buffer(&server), chain);
    if (rv == 0)
        rv = write_chain(k, now_s, chain);
    if (rv == 0)
        rv = certificate_key_pem(&secret, key);
    explicit_bzero(&secret, sizeof secret);
    return rv;
}

/* Agents find the authority that they pinned in it. */
static int write_chain(const struct keyring *k, uint64_t now_s, struct buffer *chain)
{
    uint8_t room[CERTIFICATE_MAX];
    struct buffer authority = buffer_on(room, sizeof room);
    uint32_t steps = certificates_steps(k, now_s);
    int rv = 0;
    for (uint32_t i = 0; rv == 0 && i < steps; i++)
        rv = certificate_pem(span_of(k->elders[i].cross, k->elders[i].cross_len), chain);
    if (rv == 0 && steps > 0)
        rv =
            certificate_pem(span_of(k->elders[steps - 1].own, k->elders[steps - 1].own_len), chain);
    if (rv < 0 || steps > 0)
        return rv;
    rv = certificates_authority(k, now_s, &authority);
    return rv < 0 ? rv : certificate_pem(span_buffer(&authority), chain);
}

static int write_authorities(const struct keyring *k, uint64_t now_s, struct buffer *ca)
{
    uint8_t room[CERTIFICATE_MAX];
    struct buffer authority = buffer_on(room, sizeof room);
    int rv = certificates_authority(k, now_s, &authority);
    if (rv == 0)
        rv = certificate_pem(span_buffer(&authority), ca);
    for (uint32_t i = 0; rv == 0 && i < k->elder_count; i++)
        if (keyring_counts(&k->elders[i]))
            rv = certificate_pem(span_of(k->elders[i].own, k->elders[i].own_len), ca);
    return rv;
}

/* The authority's own certificate of one period is as good as that of the next: it has the same
 * key.
 */
static int write_known(const struct keyring *k, uint64_t now_s, struct buffer *ca)
{
    uint8_t room[CERTIFICATE_MAX];
    struct buffer before = buffer_on(room, sizeof room);
    int rv = write_authorities(k, now_s, ca);
    if (rv == 0)
        rv = certificates_authority(k, now_s - CERTIFICATES_AUTHORITY_PERIOD_S, &before);
    return rv < 0 ? rv : certificate_pem(span_buffer(&before), ca);
}

/* A certificate of the old file that isn't known any more. */
bool certificates_drop(const struct keyring *k, uint64_t now_s, const char *folder)
{
    static const char begin[] = "-----BEGIN";
    char path[FILE_PATH_MAX], old_text[AUTHORITIES_TEXT_MAX + 1];
    char known_text[AUTHORITIES_TEXT_MAX + CERTIFICATE_PEM_MAX];
    struct buffer known = buffer_on(known_text, sizeof known_text);
    struct buffer old = buffer_on(old_text, sizeof old_text - 1);
    if (file_path(path, NULL, "%s/" BROKER_CA_FILE, folder) < 0 ||
        file_read(path, &old, NULL) < 0 || write_known(k, now_s, &known) < 0)
        return false;
    old_text[old.len] = '\0';
    for (const char *at = strstr(old_text, begin), *next; at; at = next) {
        next = strstr(at + 1, begin);
        size_t len = next ? (size_t)(next - at) : strlen(at);
        if (!memmem(known.data, known.len, at, len))
            return true;
    }
    return false;
}

int certificates_put(const char *folder, const char *name, struct span content, struct errmsg *em)
{
    char path[FILE_PATH_MAX];
    int rv = file_path(path, em, "%s/%s", folder, name);
    if (rv < 0 || says(path, content))
        return rv;
    rv = file_write(path, content, 0600, em);
    return rv < 0 ? rv : 1;
}

static bool says(const char *path, struct span content)
{
    uint8_t *room = malloc(content.len + 1);
    struct buffer there = buffer_on(room, content.len + 1);
    bool same =
        room && file_read(path, &there, NULL) == 0 && span_equal(span_buffer(&there), content);
    free(room);
    return same;
}
