/*
 * tls: one TLS connection to a broker, as its client, over a connected socket that does not block.
 * It knows nothing of host names: whoever the fleet's authority certified as a broker is one.
 *
 * The broker's certificate is checked by our own rules (certificate.h), not by a list of files: it
 * must be for a server and of these days, and what it comes with must lead, each certificate by the
 * key of the one behind it, to an authority whose key is one of those that were pinned.
 */
#ifndef DUNLIN_CRYPTO_TLS_H
#define DUNLIN_CRYPTO_TLS_H

#include "crypto/certificate.h"

/* A fleet names one authority, and has room for more; the manager believes those before it, too. */
#define TLS_AUTHORITIES_MAX 4
/* What the library writes of a session: the broker's certificate and a few dozen bytes, or a ticket
 * of TLS 1.3 with our own certificate in it. */
#define TLS_SESSION_MAX 3072

/* What one connection leaves for the next to the same broker, so that both sides save the greater
 * part of the greeting. All-zero is "nothing". It holds a secret, and no pointers. */
struct tls_memory {
    struct digest bound;  /* to these authorities and this certificate of ours */
    uint64_t not_after_s; /* of the broker's certificate */
    size_t len;
    uint8_t session[TLS_SESSION_MAX];
};

struct tls_options {
    const struct key_id *authorities;
    size_t authority_count;       /* at most TLS_AUTHORITIES_MAX */
    struct span certificate;      /* our own, as DER; empty: none is shown */
    const struct secret_key *key; /* of our certificate */
    uint64_t now_s;
    bool clock_is_floor;       /* it is `now_s` at least: nothing counts as not yet valid */
    struct tls_memory *memory; /* NULL: every greeting is a full one */
};

struct tls;

/* What `options` points to is copied, but for the memory, which must outlive the connection, as
 * must the socket, which stays the caller's. NULL with a sentence. */
struct tls *tls_new(const struct tls_options *options, int socket, struct errmsg *em);
void tls_free(struct tls *t);

/* 1 when the connection is made, 0 when it has to be called again after tls_events. ERR_UNTRUSTED,
 * ERR_EXPIRED: we refuse the broker. ERR_REFUSED: it refuses us. ERR_IO, ERR_CRYPTO. */
int tls_handshake(struct tls *t, struct errmsg *em);

/* How many bytes were read (written), 0 when it has to be called again after tls_events, or as
 * above; the other side's end is ERR_IO. What tls_write didn't take has to be given again, and may
 * have grown. */
int tls_read(struct tls *t, uint8_t *out, size_t cap, struct errmsg *em);
int tls_write(struct tls *t, struct span data, struct errmsg *em);

/* Tells the broker that nothing follows, as far as the socket takes it. One that sees a connection
 * end without it forgets the session, and the next greeting is a full one. */
void tls_say_goodbye(struct tls *t);

/* What poll has to wait for before the last call that gave 0 is made again. */
short tls_events(const struct tls *t);

/* The greeting was a short one, by what was remembered. */
bool tls_resumed(const struct tls *t);
/* What both sides agreed on: "TLSv1.2" or "TLSv1.3". */
const char *tls_version(const struct tls *t);

#endif
