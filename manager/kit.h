/*
 * kit: the folder with all that a Mosquitto must read to be a cell of the fleet on a machine that
 * isn't the manager's. It knows nothing of how it gets there.
 */
#ifndef DUNLIN_MANAGER_KIT_H
#define DUNLIN_MANAGER_KIT_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

/* Names in a broker's certificate, which has CERTIFICATE_MAX bytes. */
#define KIT_HOSTS_MAX 8
/* The first one is the certificate's own name, too, behind "broker ". */
#define KIT_HOST_MAX 57

struct kit_options {
    const char *dir;          /* the manager's, which may run */
    const char *out;          /* made when missing */
    const char *const *hosts; /* what others call the broker; at least one */
    size_t host_count;
    const char *listen; /* NULL: at all addresses */
    int port;
    const char *user; /* whom Mosquitto works as when root starts it */
};

/* What the broker has to do when it has the folder's files. */
enum kit_news {
    KIT_SAME,       /* nothing: they say what they said before */
    KIT_READ_AGAIN, /* read them again: SIGHUP */
    KIT_START_ANEW, /* mosquitto.conf is another one, or who was let in has to come in again */
};

/*
 * Writes what `out` must hold as of now: mosquitto.conf, ca.pem, cert.pem, key.pem, crl.pem, acl,
 * each mode 0600 and whole or not at all; what says it already is left alone. enum kit_news, or a
 * negative code with a sentence.
 */
int kit_write(const struct kit_options *options, uint64_t now_s, struct errmsg *em);

#endif
