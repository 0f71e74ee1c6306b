/*
 * certificates: what our servers show, and which agents' certificates count no more, in X.509. All
 * of it is a function of the fleet's keys and the time: nothing is recorded, and a lost file is
 * written again as it was. It knows nothing of processes and connections.
 */
#ifndef DUNLIN_MANAGER_CERTIFICATES_H
#define DUNLIN_MANAGER_CERTIFICATES_H

#include "crypto/certificate.h"
#include "manager/keyring.h"

#define CERTIFICATES_DAY_S 86400u
/* A certificate is made anew with each period, and good for a while longer: a server's for half a
 * period, the authority's, which has the same key again, for a whole one. */
#define CERTIFICATES_SERVER_PERIOD_S (60 * CERTIFICATES_DAY_S)
#define CERTIFICATES_SERVER_LIFE_S (90 * CERTIFICATES_DAY_S)
#define CERTIFICATES_AUTHORITY_PERIOD_S (3650ull * CERTIFICATES_DAY_S)
#define CERTIFICATES_AUTHORITY_LIFE_S (7300ull * CERTIFICATES_DAY_S)
/* A clock that is late by this much finds a new one good already. */
#define CERTIFICATES_SERVER_SLACK_S CERTIFICATES_DAY_S
/* What we show to others' brokers is made anew each day, and good for a day before and after. */
#define CERTIFICATES_CLIENT_PERIOD_S CERTIFICATES_DAY_S

/* A server of ours, and what it is called by those who look for a name. */
struct site {
    const char *name; /* printable; tells its key from other sites' */
    const char *const *hosts;
    size_t host_count;
};

/* ---- DER, appended; errors as certificate_make ---- */

/* Self-signed. */
int certificates_authority(const struct keyring *k, uint64_t now_s, struct buffer *der);
/* Another authority's, signed by this one, and as long good as its own. */
int certificates_cross(const struct keyring *k, const struct public_key *other, uint64_t now_s,
                       struct buffer *der);
/* The site's key lasts as long as the certificate: both change together. */
int certificates_server(const struct keyring *k, const struct site *site, uint64_t now_s,
                        struct secret_key *key, struct buffer *der);
/* A client's, for a link of our own under that name. `serial` NULL: one that is on no list. */
int certificates_client(const struct keyring *k, const char *name,
                        const struct certificate_serial *serial, uint64_t now_s,
                        struct secret_key *key, struct buffer *der);
/* The serial of the certificate that an agent may hold as of now. */
struct certificate_serial certificates_serial(const struct blocked_agent *agent, uint64_t now_s);

/* Changes whenever what this file makes of the same agents and sites does. Cheap. */
uint64_t certificates_version(const struct keyring *k, uint64_t now_s);

/* How many elders lead from what a device may know to the authority of today: their `cross`, in
 * order, and the last one's `own` are sent behind a server's certificate. */
uint32_t certificates_steps(const struct keyring *k, uint64_t now_s);

/* ---- PEM ---- */

/* Appends lists of all certificates that these agents may still hold and that haven't expired: one
 * by the authority, and one by each elder whose certificates still count. */
#define CERTIFICATES_REVOKED_MAX(count) ((1 + ELDERS_MAX) * CERTIFICATE_CRL_MAX(2 * (count)))
int certificates_revoked(const struct keyring *k, const struct blocked_agent *blocked, size_t count,
                         uint64_t now_s, struct buffer *pem);

/* ---- files; 1: something in the folder is new, 0: nothing, or a negative code ---- */

/* ca.pem, with all authorities whose certificates let agents in; cert.pem, the server's own and
 * what leads from there to the authorities that devices may know; key.pem (0600). */
int certificates_put_server(const struct keyring *k, const struct site *site, uint64_t now_s,
                            const char *folder, struct errmsg *em);
/* The folder's ca.pem still lets in whom it should no more: reading the new one keeps out the next
 * connections, but leaves those that are there. */
bool certificates_drop(const struct keyring *k, uint64_t now_s, const char *folder);
/* A file that says what it should is left alone. */
int certificates_put(const char *folder, const char *name, struct span content, struct errmsg *em);

#endif
