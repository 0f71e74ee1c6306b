/*
 * mqtt: one connection to a broker, driven by the caller's poll loop.
 * The only place with libmosquitto. It never sleeps, never reconnects by itself and starts no
 * thread: when the link is lost it says so once, and the caller decides when to try again.
 * A connection takes three descriptors: the library opens a pair of its own beside the socket. One
 * with TLS takes five.
 */
#ifndef DUNLIN_SYNC_MQTT_H
#define DUNLIN_SYNC_MQTT_H

#include "base/err.h"
#include "base/span.h"
#include "crypto/tls.h"

#include <poll.h>

struct mqtt;

/* A broker that takes longer to greet than this counts as not there. */
#define MQTT_CONNECT_MS_MAX 20000
/* Messages sent with QoS 1 and not acknowledged. MQTT numbers them with 16 bits; libmosquitto walks
 * the list of them for each one, so keep well below. */
#define MQTT_INFLIGHT_MAX 65535
/* What a poll loop has to watch for one connection. */
#define MQTT_FDS 3
/* A host's name (RFC 1035) or the path of a broker's socket. */
#define MQTT_HOST_MAX 1100

/* What the caller hears; any may be NULL. `context` is handed back. They are called from inside
 * mqtt_service, and may call any function here, mqtt_free and mqtt_connect too. */
struct mqtt_handler {
    void *context;
    void (*up)(void *context, bool session_present);
    void (*down)(
        void *context,
        const char *reason); /* also when connecting failed; called once per mqtt_connect */
    void (*message)(void *context, const char *topic, struct span payload, bool retained);
    void (*published)(
        void *context,
        int mid); /* the broker has acknowledged (QoS 1) or the bytes are out (QoS 0) */
    void (*subscribed)(void *context, int mid); /* the broker has answered a subscription */
};

/* What "mqtts://" needs. It is looked at by mqtt_connect, so that the caller may change it before
 * the next connection; the memory is used as long as the connection lives. */
struct mqtt_tls {
    struct tls_options tls;
    const char *folder; /* of this user alone; a socket is in it for a moment at each connecting */
};

struct mqtt_options {
    const char *client_id;
    bool persistent;        /* keep the session on the broker (clean session = false) */
    unsigned keepalive_s;   /* at least 5, a library's rule */
    const char *will_topic; /* NULL: no last will */
    struct span will;
    const struct mqtt_tls *tls; /* NULL: no "mqtts://"; must outlive the handle */
};

/* The heap holds it; NULL when there is no memory. The handler's context must outlive it. */
struct mqtt *mqtt_new(const struct mqtt_options *options, const struct mqtt_handler *handler);
void mqtt_free(struct mqtt *m);

/* Replaces the last will for the next connection. */
int mqtt_set_will(struct mqtt *m, const char *topic, struct span will);

/*
 * Starts to connect to the broker without waiting for its answer. ERR_USAGE for a bad URL, ERR_BUSY
 * when there is a connection already; what goes wrong later, the system refusing at once included,
 * is told by `down`, from the next mqtt_service. May be called again after `down`. Each connection
 * starts afresh: what the one before left unacknowledged is forgotten.
 */
int mqtt_connect(struct mqtt *m, const char *url, struct errmsg *em);
/* Says good-bye (no last will) and closes. `down` is not called. */
void mqtt_disconnect(struct mqtt *m);
/* Closes without a word, as a crash would: what is queued is not sent, acknowledgements neither, so
 * a persistent session gets its messages again. `down` is not called. */
void mqtt_drop(struct mqtt *m);

/* QoS 0 or 1. Returns the message's id (>= 0) or ERR_BUSY when there is no connection,
 * ERR_NO_MEMORY, ERR_RANGE. */
int mqtt_publish(struct mqtt *m, const char *topic, struct span payload, int qos, bool retain);
/* Asks for many topics at once. Returns the request's id or a negative code. A broker that refuses
 * one of them is as good as none: the link is lost. */
int mqtt_subscribe(struct mqtt *m, const char *const *topics, size_t count, int qos);
int mqtt_unsubscribe(struct mqtt *m, const char *const *topics, size_t count);
/* The network that the connection goes by may be another one, or gone: the broker is asked for a
 * sign of life, at once or as soon as sync/probe.h allows, and the link is lost without one. Of a
 * connection that is not up it asks nothing. */
void mqtt_probe(struct mqtt *m);

/* Fills in what the poll loop must watch; what is not needed has -1 for a descriptor. The first one
 * is the broker's connection, -1 when there is none. */
void mqtt_watch(const struct mqtt *m, struct pollfd fds[static MQTT_FDS]);
/*
 * Writes, reads and keeps alive: call it after poll with what the descriptors showed (NULL for
 * nothing), and at least once a second while connected or connecting. Handlers run in here.
 * Acknowledgements of what is read go out with the next call.
 */
void mqtt_service(struct mqtt *m, const struct pollfd *fds);

enum mqtt_scheme {
    MQTT_PLAIN, /* mqtt://HOST[:PORT], by default 1883 */
    MQTT_TLS,   /* mqtts://HOST[:PORT], by default 8883 */
    MQTT_UNIX,  /* unix:///PATH: a socket of this machine */
};

struct mqtt_url {
    enum mqtt_scheme scheme;
    char host[MQTT_HOST_MAX + 1]; /* or the socket's path */
    int port;
};

/* Why the last connection was lost, as a code: ERR_REFUSED when the broker refused our certificate,
 * ERR_UNTRUSTED or ERR_EXPIRED when we refused its, ERR_TIMEOUT when it owed an answer to a probe,
 * ERR_IO for everything else. For use in `down`. */
int mqtt_loss(const struct mqtt *m);

/* The connection's TLS greeting was a short one, by what an earlier one had left in the memory. */
bool mqtt_resumed(const struct mqtt *m);
/* "TLSv1.2" or "TLSv1.3" of a connection that is up; "none" without TLS. */
const char *mqtt_tls_version(const struct mqtt *m);

/* Takes a URL apart; ERR_USAGE with what is wrong. Other schemes are named as not supported. */
int mqtt_parse_url(const char *url, struct mqtt_url *out, struct errmsg *em);

#endif
