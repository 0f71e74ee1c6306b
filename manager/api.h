/*
 * api: HTTP with JSON on a Unix socket, and on TCP with TLS when that is wanted, for the command
 * line and other programs of operators. It decides nothing: it checks what comes in, hands it to
 * the daemon, and shows what the core knows.
 *
 * It runs on the daemon's thread. An answer that must wait for a commit suspends its connection,
 * so nothing here blocks but local files.
 */
#ifndef DUNLIN_MANAGER_API_H
#define DUNLIN_MANAGER_API_H

#include "manager/keyring.h"

#include <poll.h>

struct api;
struct daemon;

struct api_options {
    const char *socket_path;
    const struct keyring *keys;
    const char *host;      /* for TCP; "": only the socket */
    int port;              /* 0: any */
    const char *advertise; /* the name that operators elsewhere connect to; NULL: `host` */
    const char *listen;    /* where the brokers are: a name that the certificate has as well */
};

/*
 * Listens on the socket, for this user only, and on TCP. A socket that is there is taken for a
 * stale one and replaced: the caller holds the folder's lock. What the options point to outlives
 * it. NULL with a sentence.
 */
struct api *api_new(struct daemon *d, const struct api_options *options, struct errmsg *em);

/* Stops listening and breaks off what is unanswered. Replies that come later are ignored. */
void api_free(struct api *a);

/* "https://HOST:PORT"; NULL: there is none. */
const char *api_url(const struct api *a);

/* Descriptors that become readable when there is work. */
#define API_FDS 2
void api_watch(const struct api *a, struct pollfd fds[static API_FDS]);

/* Call api_service after this time even when the descriptors stay silent; -1: no need. */
int api_timeout_ms(const struct api *a);

void api_service(struct api *a);

#endif
