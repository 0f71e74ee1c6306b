#include "manager/certificates.h"

#include "base/file.h"
#include "manager/broker_config.h"
#include "manager/core/manager.h"

#include <stdio.h>
#include <stdlib.h>

static struct certificate_serial serial_of(const struct public_key *key, uint64_t period);
static int draw_key(const struct keyring *k, const char *purpose, const char *name, uint64_t period,
                    struct secret_key *secret, struct public_key *public);
static uint32_t agent_period(uint64_t joined_s, uint64_t now_s);
static size_t list_serials(const struct blocked_agent *blocked, size_t count, uint64_t now_s,
                           struct certificate_serial *out);
static int write_server(const struct keyring *k, const struct site *site, uint64_t now_s,
                        struct buffer *ca, struct buffer *chain, struct buffer *key);
static bool says(const char *path, struct span content);

/* ---- certificates ---- */

int certificates_authority(const struct keyring *k, uint64_t now_s, struct buffer *der)
{
    uint64_t period = now_s / CERTIFICATES_AUTHORITY_PERIOD_S;
    struct certificate c = {
        .use = CERTIFICATE_AUTHORITY,
        .serial = serial_of(&k->authority_public, period),
        .not_before_s = period * CERTIFICATES_AUTHORITY_PERIOD_S,
        .not_after_s = period * CERTIFICATES_AUTHORITY_PERIOD_S + CERTIFICATES_AUTHORITY_LIFE_S,
        .key = k->authority_public,
    };
    memcpy(c.name, k->authority_name, sizeof c.name);
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
    return keyring_certificate(k, &c, der);
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
    return sign_public(secret, public);
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
    int rv = certificate_crl(&k->authority, k->authority_name, serials, listed, since_s,
                             since_s + CERTIFICATES_AUTHORITY_LIFE_S, pem);
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
    char ca_text[CERTIFICATE_PEM_MAX], chain_text[2 * CERTIFICATE_PEM_MAX],
        key_text[CERTIFICATE_PEM_MAX];
    struct buffer ca = buffer_on(ca_text, sizeof ca_text);
    struct buffer chain = buffer_on(chain_text, sizeof chain_text);
    struct buffer key = buffer_on(key_text, sizeof key_text);
    int rv = write_server(k, site, now_s, &ca, &chain, &key);
    if (rv < 0)
        return errmsg_set(em, rv, "cannot make a certificate for %s: %s", site->name, err_name(rv));
    int ca_new = certificates_put(folder, BROKER_CA_FILE, span_buffer(&ca), em);
    int key_new =
        ca_new < 0 ? ca_new : certificates_put(folder, BROKER_KEY_FILE, span_buffer(&key), em);
    rv = key_new < 0 ? key_new
                     : certificates_put(folder, BROKER_CERTIFICATE_FILE, span_buffer(&chain), em);
    return rv < 0 ? rv : ca_new || key_new || rv;
}

/* Agents find the authority that they pinned in the chain. */
static int write_server(const struct keyring *k, const struct site *site, uint64_t now_s,
                        struct buffer *ca, struct buffer *chain, struct buffer *key)
{
    uint8_t authority_room[CERTIFICATE_MAX], server_room[CERTIFICATE_MAX];
    struct buffer authority = buffer_on(authority_room, sizeof authority_room);
    struct buffer server = buffer_on(server_room, sizeof server_room);
    struct secret_key secret;
    int rv = certificates_authority(k, now_s, &authority);
    if (rv == 0)
        rv = certificates_server(k, site, now_s, &secret, &server);
    if (rv == 0)
        rv = certificate_pem(span_buffer(&server), chain);
    if (rv == 0)
        rv = certificate_pem(span_buffer(&authority), chain);
    if (rv == 0)
        rv = certificate_pem(span_buffer(&authority), ca);
    return rv < 0 ? rv : certificate_key_pem(&secret, key);
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
