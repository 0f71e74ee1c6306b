/*
 * porter: the public port where devices without a certificate knock, in front of the door's broker.
 * It lets in so many a second from one source, so many at a time and for so long, and carries
 * their bytes. It doesn't look at these, and answers nothing itself.
 */
#ifndef DUNLIN_MANAGER_PORTER_H
#define DUNLIN_MANAGER_PORTER_H

#include "base/err.h"

#include <stdint.h>

/* Open connections in all, of 16 KiB and two descriptors each; and those of one source, so that one
 * can't take them all. Many devices may stand behind one address. */
#define PORTER_CONNECTIONS_MAX 1024
#define PORTER_SOURCE_CONNECTIONS_MAX 256
/* A device joins within a second or so. One that waits for an operator comes again. */
#define PORTER_SECONDS_MAX 120
/* A few requests, a few answers, and TLS around them. */
#define PORTER_UP_BYTES_MAX (128 << 10)
#define PORTER_DOWN_BYTES_MAX (512 << 10)
/* New connections a second from one source unless an operator says otherwise. */
#define PORTER_RATE_DEFAULT 50
#define PORTER_RATE_MAX 100000
/* At once, after a silence: this many times the rate. */
#define PORTER_BURST 10

struct porter;

struct porter_options {
    const char *host; /* to listen on; an address or a name */
    int port;
    const char *door; /* the path of the door's socket */
    uint32_t rate;    /* new connections a second from one source */
};

/* What came of those who knocked. */
struct porter_counters {
    uint64_t accepted;
    uint64_t refused_source; /* too often, or too many at a time from there */
    uint64_t refused_full;   /* too many in all */
    uint64_t cut;            /* too long, or too many bytes */
    uint64_t open;           /* now */
};

/* Listens. NULL with a sentence. */
struct porter *porter_new(const struct porter_options *options, struct errmsg *em);
void porter_free(struct porter *p);

/* Readable when there is work. */
int porter_descriptor(const struct porter *p);
/* Call it when the descriptor is readable, at the deadline, and at least once a second. */
void porter_service(struct porter *p, uint64_t now_ms);
uint64_t porter_deadline_ms(const struct porter *p);

struct porter_counters porter_counters(const struct porter *p);

#endif
