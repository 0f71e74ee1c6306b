/*
 * api_listen: the two places where the API listens: a Unix socket for its owner, and TCP with TLS.
 * It knows no requests; whoever starts it hears of them.
 */
#ifndef DUNLIN_MANAGER_API_LISTEN_H
#define DUNLIN_MANAGER_API_LISTEN_H

#include "base/err.h"

#include <microhttpd.h>

/* Operators and their programs: on this machine, and from afar. They don't take each other's place.
 */
#define API_CONNECTIONS_MAX 128
/* Of one address. */
#define API_CONNECTIONS_ADDRESS_MAX 32
/* A silent client gives its place back; one that waits for a commit is not counted as silent. */
#define API_SILENCE_S_MAX 60
/* Of one connection: its header lines, and pieces of bodies and answers on their way. */
#define API_CONNECTION_MEMORY 65536

struct api_hooks {
    void *context; /* for all of them */
    MHD_AccessHandlerCallback request;
    MHD_RequestCompletedCallback completed;
    MHD_AcceptPolicyCallback admit;        /* TCP only */
    MHD_NotifyConnectionCallback notified; /* TCP only */
};

/* Replaces a socket that is there. NULL with a sentence. */
struct MHD_Daemon *api_listen_local(const char *path, const struct api_hooks *hooks,
                                    struct errmsg *em);

/* With the certificate of api_tls, which must be there. `port` 0 takes any, and becomes the one
 * that was taken. NULL with a sentence. */
struct MHD_Daemon *api_listen_remote(const char *host, int *port, const struct api_hooks *hooks,
                                     struct errmsg *em);

#endif
