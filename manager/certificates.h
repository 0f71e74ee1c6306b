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
/* The site's key lasts as long as the certificate: both change together. */
int certificates_server(const struct keyring *k, const struct site *site, uint64_t now_s,
                        struct secret_key *key, struct buffer *der);
/* A client's, for a link of our own under that name. `serial` NULL: one that is on no list. */
int certificates_client(const struct keyring *k, const char *name,
                        const struct certificate_serial *serial, uint64_t now_s,
                        struct secret_key *key, struct buffer *der);
/* The serial of the certificate that an agent may hold as of now. */
struct certificate_serial certificates_serial(const struct blocked_agent *agent, uint64_t now_s);

/* ---- PEM ---- */

/* Appends a list of all certificates that these agents may still hold and that haven't expired. */
int certificates_revoked(const struct keyring *k, const struct blocked_agent *blocked, size_t count,
                         uint64_t now_s, struct buffer *pem);

/* ---- files; 1: something in the folder is new, 0: nothing, or a negative code ---- */

/* ca.pem, cert.pem with the authority's after the server's own, key.pem (0600). */
int certificates_put_server(const struct keyring *k, const struct site *site, uint64_t now_s,
                            const char *folder, struct errmsg *em);
/* A file that says what it should is left alone. */
int certificates_put(const char *folder, const char *name, struct span content, struct errmsg *em);

#endif
