/*
 * client: HTTP requests to the manager, over the socket in its folder or over TCP.
 * It knows no routes and no JSON; it moves bytes and turns what goes wrong into a sentence.
 */
#ifndef DUNLIN_MANAGER_CLI_CLIENT_H
#define DUNLIN_MANAGER_CLI_CLIENT_H

#include "base/err.h"
#include "base/span.h"

/* Room for a route with a name in it, percent-encoded. */
#define CLIENT_ROUTE_MAX 1024
/* The manager's folder when nobody names one. */
#define CLIENT_DEFAULT_DIR "/var/lib/dunlin"

struct client;

struct client_request {
    const char *method;
    const char *route; /* from "/v1/…" on, encoded */
    const char *type;  /* of the body; NULL for none */
    struct span body;  /* borrowed */
};

/* Takes the answer's bytes as they come, of a request that succeeded. Negative ends it. */
typedef int client_take(void *context, struct span bytes, struct errmsg *em);

/* Where the manager is: one of these at least. */
struct client_target {
    const char *dir;         /* its folder */
    const char *url;         /* "https://host[:port]", "http://" on loopback, or
                                "unix:///path/manager.sock" */
    const char *credentials; /* a file; its URL counts where `url` is NULL */
};

/* Connects to nothing yet. ERR_USAGE, ERR_NO_MEMORY, or what is wrong with the credentials. */
int client_new(struct client **c, const struct client_target *target, struct errmsg *em);
void client_free(struct client *c);

/*
 * Sends and waits for the whole answer; one at a time. Returns the HTTP status (200 to 299), or
 * ERR_BUSY when no manager answers, ERR_TIMEOUT when it doesn't in time, ERR_USAGE, ERR_NOT_FOUND,
 * ERR_EXISTS, ERR_NO_SPACE or ERR_REFUSED with the manager's own sentence, or what `take` returned.
 * `take` may be NULL: then the answer is dropped.
 */
int client_send(struct client *c, const struct client_request *rq, client_take *take, void *context,
                struct errmsg *em);

/* A header of the answer that is coming or came last; NULL without it. */
const char *client_header(struct client *c, const char *name);

/* "/v1/COLLECTION/NAME/ACTION" with the name percent-encoded; the action may be NULL. ERR_USAGE for
 * a name that nothing can have. */
int client_route(char out[static CLIENT_ROUTE_MAX], const char *collection, const char *name,
                 const char *action, struct errmsg *em);

/* `before`, then the text percent-encoded. ERR_USAGE when it doesn't fit. */
int client_query(char *out, size_t cap, const char *before, const char *text, struct errmsg *em);

#endif
