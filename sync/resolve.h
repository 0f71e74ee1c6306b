/*
 * resolve: a host's addresses, found without blocking: a child process asks the system, which may
 * take as long as it likes, and an address in digits needs no child. It remembers nothing.
 */
#ifndef DUNLIN_SYNC_RESOLVE_H
#define DUNLIN_SYNC_RESOLVE_H

#include "base/err.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Addresses of one host that are looked at; a broker has one or two, and as many by IPv6. */
#define RESOLVE_ADDRESSES_MAX 8
/* Longer than the system's resolver waits for two name servers. */
#define RESOLVE_MS_MAX 12000

struct resolve_address {
    socklen_t len;
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } of;
};

/* All-zero is one that asks nothing. */
struct resolve {
    pid_t child; /* 0: nothing is being asked */
    int answer;  /* the pipe that the child writes to */
    uint64_t until_ms;
    size_t count;
    struct resolve_address addresses[RESOLVE_ADDRESSES_MAX];
};

/* 1 when the addresses are there at once, 0 when resolve_look will tell, ERR_IO. */
int resolve_start(struct resolve *r, const char *host, int port, uint64_t now_ms,
                  struct errmsg *em);

/* 1 with the addresses, 0 when there is no answer yet, ERR_NOT_FOUND, ERR_TIMEOUT. Call it when the
 * descriptor shows something, and once a second. */
int resolve_look(struct resolve *r, uint64_t now_ms, struct errmsg *em);

/* For POLLIN; -1 when nothing is being asked. */
int resolve_descriptor(const struct resolve *r);

/* Asks no more; needed when the answer was not waited for. */
void resolve_cancel(struct resolve *r);

/* An address of this machine alone, in digits: a name can be made to mean anything. */
bool resolve_is_loopback(const char *host);

#endif
