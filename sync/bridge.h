/*
 * bridge: TLS under a library that knows only sockets: what the library writes to a private socket
 * of this process goes through TLS to the broker, and back. It knows of MQTT nothing but how long a
 * packet says it is.
 *
 * Either direction holds one small buffer. While it is full nothing more is read, so a side that
 * does not read makes the other one wait, and memory stays as it is.
 */
#ifndef DUNLIN_SYNC_BRIDGE_H
#define DUNLIN_SYNC_BRIDGE_H

#include "crypto/tls.h"

#include <poll.h>

/* The broker's connection and the library's. */
#define BRIDGE_FDS 2
/* An address that takes longer to connect is given up for the host's next one. */
#define BRIDGE_CONNECT_MS_MAX 6000

struct bridge_options {
    const char *host;
    int port;
    const struct tls_options *tls;
    const char *folder; /* private to this user; the socket is in it for the moment of joining */
    size_t packet_max;  /* a broker whose packet has more bytes after its fixed header is cut off */
};

struct bridge;

/* Starts to look for the broker. NULL when there is no memory. The options are copied, but for
 * `tls->memory`. */
struct bridge *bridge_new(const struct bridge_options *options, uint64_t now_ms);
/* Closes both sides. What the library has written and bridge_service has not passed on is lost. */
void bridge_free(struct bridge *b);

/*
 * Opens the private socket, calls `reach` with its name, and takes the connection that was made
 * meanwhile by this very process. The name is relative: folders may have long paths, so the process
 * works in `folder` until this returns. `reach` answers 0 or a negative code, which is returned.
 */
int bridge_join(struct bridge *b, int (*reach)(void *context, const char *name), void *context,
                struct errmsg *em);

/* What the poll loop has to watch; -1 for what it has not. */
void bridge_watch(const struct bridge *b, struct pollfd fds[static BRIDGE_FDS]);
/* Does what can be done without waiting: call it after poll, and once a second. When it comes to an
 * end, the library's side is closed after all that came from the broker. */
void bridge_service(struct bridge *b, uint64_t now_ms);

/* Why it came to an end, or NULL. */
const char *bridge_reason(const struct bridge *b);
/* The same as a code of tls.h; 0 when TLS has nothing to do with it. */
int bridge_code(const struct bridge *b);
/* The TLS greeting was a short one. */
bool bridge_resumed(const struct bridge *b);
/* As tls_version; NULL when there is no connection. */
const char *bridge_tls_version(const struct bridge *b);

#endif
