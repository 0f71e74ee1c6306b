/*
 * Each connection has a libmosquitto client of its own, made by mqtt_connect and destroyed when the
 * link ends, so that no state outlives it. Inside the library's callbacks nothing of it may be
 * destroyed; there, what the caller wants is only noted, and `settle` does it once the library has
 * returned.
 */
#include "sync/mqtt.h"

#include "base/clock.h"
#include "base/file.h"
#include "sync/bridge.h"
#include "sync/limits.h"
#include "sync/probe.h"
#include "sync/resolve.h"
#include "sync/topic.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <mosquitto.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

/* RFC 1035, 2.3.4. */
#define MQTT_NAME_MAX 255
/* Every packet has so many bytes; a PUBLISH so many around its topic and its payload. */
#define PACKET_BYTES_MIN 2
#define PUBLISH_BYTES_MIN 4
/* MQTT 3.1.1, 3.9.3: the answer to a subscription that is none. */
#define SUBSCRIPTION_REFUSED 0x80
/* Packets read before others in the caller's loop get their turn. */
#define READ_BURST_MAX 256
/*
 * A broker that sends and doesn't read would have the library pile up what it answers: behind so
 * many packets nothing more is read until all has been written. (Where nothing waits to be written,
 * nothing was answered.)
 */
#define UNANSWERED_MAX 1024
/* A packed chunk: the plain one and its byte of framing. */
#define PAYLOAD_MAX (CHUNK_MAX + 1)
/* [link-7]: nobody is subscribed to this, and the broker says so. The library sends a PINGREQ only
 * when its keep-alive is over. */
#define PROBE_TOPIC "dl1"
/* [link-5]: of a PUBLISH after its fixed header: the topic and its length, an id, the payload. */
#define PACKET_MAX (PAYLOAD_MAX + 2 + TOPIC_MAX + 2)

enum link {
    LINK_NONE,       /* no client, nothing under way */
    LINK_CONNECTING, /* waiting for the broker's greeting */
    LINK_UP,
    LINK_LOST,   /* over; `down` has to be told */
    LINK_CLOSED, /* the caller closed it inside a callback: to be taken down in silence */
};

struct mqtt {
    struct mqtt_handler handler;
    char *id;
    bool persistent;
    unsigned keepalive_s;
    char *will_topic;
    uint8_t *will;
    size_t will_len;

    struct mosquitto *client;
    struct resolve lookup; /* of a plain broker's name */
    struct bridge *bridge; /* MQTT_TLS */
    enum link link;
    unsigned unanswered; /* packets read since everything was written last */
    int taken;           /* bytes of the packet that was read last, at least */
    uint64_t greet_by_ms;
    struct probe probe;
    int probe_mid;           /* of its question */
    char reason[ERRMSG_MAX]; /* of LINK_LOST */
    int loss;                /* the same as a code */

    bool in_service;
    bool polite;    /* LINK_CLOSED: an MQTT DISCONNECT is queued */
    bool doomed;    /* mqtt_free was called inside a handler */
    bool reconnect; /* mqtt_connect was called inside a handler, after mqtt_disconnect */
    struct mqtt_url url;
    const struct mqtt_tls *tls;
};

/* A URL's kind: its beginning, default port, and what reads the rest. */
struct scheme {
    char text[9];
    enum mqtt_scheme scheme;
    int port;
    int (*parse)(const char *url, const char *rest, struct mqtt_url *out, struct errmsg *em);
};

static int parse_path(const char *url, const char *path, struct mqtt_url *out, struct errmsg *em);
static int parse_host(const char *url, const char *name, struct mqtt_url *out, struct errmsg *em);
static void start(struct mqtt *m);
static void start_plain(struct mqtt *m);
static void start_tls(struct mqtt *m);
static void start_unix(struct mqtt *m);
static void connect_resolved(struct mqtt *m);
static bool write_digits(const struct resolve_address *a, char digits[static INET6_ADDRSTRLEN]);
static int connect_inside(void *context);
static int connect_path(void *context, const char *path);
static void take_down(struct mqtt *m);
static void work(struct mqtt *m, const struct pollfd *fds);
static void tend_probe(struct mqtt *m);
static void look(struct mqtt *m);
static void drive_library(struct mqtt *m, short revents);
static void say_goodbye(struct mqtt *m);
static void release(struct mqtt *m);

static const struct scheme schemes[] = {
    {"mqtt://", MQTT_PLAIN, 1883, parse_host},
    {"mqtts://", MQTT_TLS, 8883, parse_host},
    {"unix://", MQTT_UNIX, 0, parse_path},
};

/* ---- making and freeing ---- */

struct mqtt *mqtt_new(const struct mqtt_options *options, const struct mqtt_handler *handler)
{
    static bool library_ready;
    if (!library_ready && mosquitto_lib_init() != MOSQ_ERR_SUCCESS)
        return NULL;
    library_ready = true;
    struct mqtt *m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
    assert(options->client_id);
    m->handler = *handler;
    m->persistent = options->persistent;
    m->keepalive_s = options->keepalive_s;
    m->tls = options->tls;
    m->id = strdup(options->client_id);
    if (!m->id || mqtt_set_will(m, options->will_topic, options->will) < 0) {
        release(m);
        return NULL;
    }
    return m;
}

static void release(struct mqtt *m)
{
    take_down(m);
    free(m->will_topic);
    free(m->will);
    free(m->id);
    free(m);
}

/* Closes whatever there is of a connection. */
static void take_down(struct mqtt *m)
{
    resolve_cancel(&m->lookup);
    if (m->client)
        mosquitto_destroy(m->client);
    m->client = NULL;
    bridge_free(m->bridge);
    m->bridge = NULL;
}

void mqtt_free(struct mqtt *m)
{
    if (!m)
        return;
    mqtt_disconnect(m);
    if (m->in_service)
        m->doomed = true;
    else
        release(m);
}

int mqtt_loss(const struct mqtt *m)
{
    return m->loss;
}

int mqtt_set_will(struct mqtt *m, const char *topic, struct span will)
{
    char *new_topic = topic ? strdup(topic) : NULL;
    uint8_t *new_will = topic && will.len > 0 ? malloc(will.len) : NULL;
    if (topic && (!new_topic || (will.len > 0 && !new_will))) {
        free(new_topic);
        free(new_will);
        return ERR_NO_MEMORY;
    }
    if (new_will)
        memcpy(new_will, will.data, will.len);
    free(m->will_topic);
    free(m->will);
    m->will_topic = new_topic;
    m->will = new_will;
    m->will_len = new_will ? will.len : 0;
    return 0;
}

/* ---- what the library calls ---- */

/* The first reason stays: what follows it is its consequence. */
static void lose(struct mqtt *m, const char *reason)
{
    if (m->link != LINK_CONNECTING && m->link != LINK_UP)
        return;
    int code = m->bridge ? bridge_code(m->bridge) : 0;
    m->link = LINK_LOST;
    m->loss = code < 0 ? code : ERR_IO;
    if (m->loss == ERR_IO && probe_waits(&m->probe))
        m->loss = ERR_TIMEOUT;
    snprintf(m->reason, sizeof m->reason, "%s", reason);
}

/* The library knows only that its socket was closed. */
static const char *library_reason(const struct mqtt *m, int rc)
{
    const char *reason = m->bridge ? bridge_reason(m->bridge) : NULL;
    if (reason)
        return reason;
    if (rc == MOSQ_ERR_KEEPALIVE) /* which the library has no words for */
        return "the broker does not answer";
    return rc == MOSQ_ERR_ERRNO && errno ? strerror(errno) : mosquitto_strerror(rc);
}

static void on_connect(struct mosquitto *client, void *context, int code, int flags)
{
    struct mqtt *m = context;
    (void)client;
    if (m->link != LINK_CONNECTING)
        return;
    if (code != 0) {
        char reason[160];
        snprintf(reason, sizeof reason, "the broker refused: %s", mosquitto_connack_string(code));
        lose(m, reason);
        return;
    }
    m->link = LINK_UP;
    if (m->handler.up)
        m->handler.up(m->handler.context, flags & 1);
}

static void on_disconnect(struct mosquitto *client, void *context, int rc)
{
    (void)client;
    lose(context, library_reason(context, rc));
}

static void on_message(struct mosquitto *client, void *context,
                       const struct mosquitto_message *message)
{
    struct mqtt *m = context;
    (void)client;
    m->taken = message->payloadlen + (int)strlen(message->topic) + PUBLISH_BYTES_MIN;
    if (m->link != LINK_UP || !m->handler.message || message->payloadlen < 0 ||
        message->payloadlen > PAYLOAD_MAX)
        return;
    m->handler.message(m->handler.context, message->topic,
                       span_of(message->payload, (size_t)message->payloadlen), message->retain);
}

static void on_publish(struct mosquitto *client, void *context, int mid)
{
    struct mqtt *m = context;
    (void)client;
    if (m->link == LINK_UP && m->handler.published)
        m->handler.published(m->handler.context, mid);
}

/* Who goes on without hearing what he asked for looks well, and is deaf. */
static void on_subscribe(struct mosquitto *client, void *context, int mid, int count,
                         const int *granted)
{
    struct mqtt *m = context;
    (void)client;
    for (int i = 0; i < count; i++)
        if (granted[i] == SUBSCRIPTION_REFUSED)
            lose(m, "the broker refused a subscription");
    if (m->link == LINK_UP && m->handler.subscribed)
        m->handler.subscribed(m->handler.context, mid);
}

static void on_unsubscribe(struct mosquitto *client, void *context, int mid)
{
    struct mqtt *m = context;
    (void)client;
    if (mid == m->probe_mid)
        probe_end(&m->probe);
}

/* ---- connecting ---- */

/* The port's number, or -1. */
static int parse_port(const char *text)
{
    char *end;
    if (*text < '0' || *text > '9')
        return -1;
    unsigned long port = strtoul(text, &end, 10);
    return *end == '\0' && port >= 1 && port <= 65535 ? (int)port : -1;
}

int mqtt_parse_url(const char *url, struct mqtt_url *out, struct errmsg *em)
{
    const char *after = strstr(url, "://");
    if (!after)
        return errmsg_set(em, ERR_USAGE, "%s: no broker's URL; write mqtts://HOST[:PORT]", url);
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        const struct scheme *s = &schemes[i];
        if (strncmp(url, s->text, strlen(s->text)) != 0)
            continue;
        *out = (struct mqtt_url){.scheme = s->scheme, .port = s->port};
        return s->parse(url, after + 3, out, em);
    }
    return errmsg_set(em, ERR_USAGE,
                      "%s: the scheme %.*s is not supported; write mqtts://HOST[:PORT]", url,
                      (int)(after - url), url);
}

/* Where a broker's socket is, in place of a host; there is no port. */
static int parse_path(const char *url, const char *path, struct mqtt_url *out, struct errmsg *em)
{
    if (*path != '/' || strlen(path) > MQTT_HOST_MAX)
        return errmsg_set(em, ERR_USAGE, "%s: not unix:///PATH", url);
    snprintf(out->host, sizeof out->host, "%s", path);
    return 0;
}

/* Host and perhaps a port; `out->port` is the default one. */
static int parse_host(const char *url, const char *name, struct mqtt_url *out, struct errmsg *em)
{
    bool bracketed = *name == '['; /* an IPv6 address */
    name += bracketed;
    size_t len = strcspn(name, bracketed ? "]" : ":");
    const char *rest = name + len;
    if (bracketed && *rest == ']')
        rest++;
    else if (bracketed)
        return errmsg_set(em, ERR_USAGE, "%s: the bracket of the address is not closed", url);
    if (len == 0 || len > MQTT_NAME_MAX || strcspn(name, "/@? ") < len)
        return errmsg_set(em, ERR_USAGE, "%s: not mqtts://HOST[:PORT], with nothing more", url);
    if (*rest != '\0')
        out->port = *rest == ':' ? parse_port(rest + 1) : -1;
    if (out->port < 0)
        return errmsg_set(em, ERR_USAGE, "%s: the port must be a number from 1 to 65535", url);
    memcpy(out->host, name, len);
    out->host[len] = '\0';
    return 0;
}

int mqtt_connect(struct mqtt *m, const char *url, struct errmsg *em)
{
    struct mqtt_url parsed = {0};
    int rv = mqtt_parse_url(url, &parsed, em);
    if (rv < 0)
        return rv;
    if (m->doomed || m->reconnect || (m->link != LINK_NONE && m->link != LINK_CLOSED))
        return errmsg_set(em, ERR_BUSY, "%s: there is a connection already", url);
    if (parsed.scheme == MQTT_TLS && !m->tls)
        return errmsg_set(em, ERR_USAGE, "%s: TLS is not set up here", url);
    m->url = parsed;
    if (m->link == LINK_CLOSED)
        m->reconnect = true; /* the old client is still on the stack */
    else
        start(m);
    return 0;
}

static int set_up(struct mqtt *m)
{
    mosquitto_connect_with_flags_callback_set(m->client, on_connect);
    mosquitto_disconnect_callback_set(m->client, on_disconnect);
    mosquitto_message_callback_set(m->client, on_message);
    mosquitto_publish_callback_set(m->client, on_publish);
    mosquitto_subscribe_callback_set(m->client, on_subscribe);
    mosquitto_unsubscribe_callback_set(m->client, on_unsubscribe);
    /* Makes the library queue what is sent instead of writing it on the spot, where it would call
     * back in the middle of mqtt_publish. It starts no thread. */
    mosquitto_threaded_set(m->client, true);
    mosquitto_int_option(m->client, MOSQ_OPT_TCP_NODELAY, 1);
    mosquitto_int_option(m->client, MOSQ_OPT_SEND_MAXIMUM, MQTT_INFLIGHT_MAX);
    mosquitto_int_option(m->client, MOSQ_OPT_RECEIVE_MAXIMUM, MQTT_INFLIGHT_MAX);
    if (!m->will_topic)
        return MOSQ_ERR_SUCCESS;
    return mosquitto_will_set(m->client, m->will_topic, (int)m->will_len, m->will, 1, false);
}

/* Makes a client and sends it off. Failing is told by the next settle. */
static void start(struct mqtt *m)
{
    static void (*const ways[])(struct mqtt * m) = {
        [MQTT_PLAIN] = start_plain,
        [MQTT_TLS] = start_tls,
        [MQTT_UNIX] = start_unix,
    };
    m->link = LINK_CONNECTING;
    m->unanswered = 0;
    m->probe = (struct probe){0};
    m->greet_by_ms = clock_monotonic_ms() + MQTT_CONNECT_MS_MAX;
    m->client = mosquitto_new(m->id, !m->persistent, m);
    if (!m->client || set_up(m) != MOSQ_ERR_SUCCESS)
        lose(m, "no memory, or a bad client id");
    else
        ways[m->url.scheme](m);
}

static void start_plain(struct mqtt *m)
{
    struct errmsg em;
    int rv = resolve_start(&m->lookup, m->url.host, m->url.port, clock_monotonic_ms(), &em);
    if (rv < 0)
        lose(m, em.text);
    if (rv == 1)
        connect_resolved(m);
}

/* The library is given addresses in digits, which it does not look up. What fails later than at
 * once is not tried with another address: plain brokers are near. */
static void connect_resolved(struct mqtt *m)
{
    int rc = MOSQ_ERR_EAI;
    for (size_t i = 0; i < m->lookup.count && rc != MOSQ_ERR_SUCCESS; i++) {
        const struct resolve_address *a = &m->lookup.addresses[i];
        char digits[INET6_ADDRSTRLEN];
        if (write_digits(a, digits))
            rc = mosquitto_connect_async(m->client, digits, m->url.port, (int)m->keepalive_s);
    }
    if (rc != MOSQ_ERR_SUCCESS)
        lose(m, library_reason(m, rc));
}

/* Without a scope, which no address of this machine alone has; plain brokers have no others. */
static bool write_digits(const struct resolve_address *a, char digits[static INET6_ADDRSTRLEN])
{
    const void *bytes = a->of.any.sa_family == AF_INET6 ? (const void *)&a->of.v6.sin6_addr
                                                        : (const void *)&a->of.v4.sin_addr;
    return inet_ntop(a->of.any.sa_family, bytes, digits, INET6_ADDRSTRLEN);
}

static void start_tls(struct mqtt *m)
{
    const struct bridge_options options = {
        .host = m->url.host,
        .port = m->url.port,
        .tls = &m->tls->tls,
        .folder = m->tls->folder,
        .packet_max = PACKET_MAX,
    };
    struct errmsg em;
    m->bridge = bridge_new(&options, clock_monotonic_ms());
    if (!m->bridge)
        lose(m, "no memory");
    else if (bridge_join(m->bridge, connect_path, m, &em) < 0)
        lose(m, em.text);
}

/* Names of sockets are short, paths are not. */
static void start_unix(struct mqtt *m)
{
    struct errmsg em;
    char folder[MQTT_HOST_MAX + 1];
    size_t len = (size_t)(strrchr(m->url.host, '/') - m->url.host);
    snprintf(folder, sizeof folder, "%.*s/", (int)len, m->url.host);
    if (file_inside(folder, connect_inside, m, &em) < 0)
        lose(m, em.text);
}

static int connect_inside(void *context)
{
    struct mqtt *m = context;
    return connect_path(m, strrchr(m->url.host, '/') + 1);
}

/* The library takes a host for the path of a socket when the port is 0. Failing is told by lose
 * alone. */
static int connect_path(void *context, const char *path)
{
    struct mqtt *m = context;
    int rc = mosquitto_connect_async(m->client, path, 0, (int)m->keepalive_s);
    if (rc != MOSQ_ERR_SUCCESS)
        lose(m, library_reason(m, rc));
    return rc == MOSQ_ERR_SUCCESS ? 0 : ERR_IO;
}

void mqtt_disconnect(struct mqtt *m)
{
    m->reconnect = false;
    if (m->link == LINK_NONE || m->link == LINK_CLOSED)
        return;
    m->polite = m->link == LINK_UP && mosquitto_disconnect(m->client) == MOSQ_ERR_SUCCESS;
    m->link = LINK_CLOSED;
    if (!m->in_service)
        say_goodbye(m);
}

void mqtt_drop(struct mqtt *m)
{
    m->reconnect = false;
    if (m->link == LINK_NONE || m->link == LINK_CLOSED)
        return;
    m->polite = false;
    m->link = LINK_CLOSED;
    if (!m->in_service)
        say_goodbye(m);
}

/* Writes what is still queued, the MQTT DISCONNECT last, as far as the socket takes it. */
static void say_goodbye(struct mqtt *m)
{
    assert(m->link == LINK_CLOSED);
    if (m->polite && mosquitto_socket(m->client) >= 0)
        mosquitto_loop_write(m->client, 1);
    if (m->polite && m->bridge)
        bridge_service(m->bridge, clock_monotonic_ms());
    take_down(m);
    m->link = LINK_NONE;
}

/* ---- talking ---- */

static int error_of(int rc)
{
    switch (rc) {
    case MOSQ_ERR_NO_CONN:
    case MOSQ_ERR_CONN_LOST:
        return ERR_BUSY;
    case MOSQ_ERR_NOMEM:
        return ERR_NO_MEMORY;
    default: /* the topic or the payload is not what MQTT can carry */
        return ERR_RANGE;
    }
}

int mqtt_publish(struct mqtt *m, const char *topic, struct span payload, int qos, bool retain)
{
    int mid = 0;
    assert(qos == 0 || qos == 1);
    if (m->link != LINK_UP)
        return ERR_BUSY;
    if (payload.len > PAYLOAD_MAX)
        return ERR_RANGE;
    int rc = mosquitto_publish(m->client, &mid, topic, (int)payload.len, payload.data, qos, retain);
    return rc == MOSQ_ERR_SUCCESS ? mid : error_of(rc);
}

/* libmosquitto asks for writable pointers and doesn't write through them. */
static char *const *writable(const char *const *topics)
{
    union {
        const char *const *in;
        char *const *out;
    } both = {.in = topics};
    return both.out;
}

int mqtt_subscribe(struct mqtt *m, const char *const *topics, size_t count, int qos)
{
    int mid = 0;
    assert(count > 0 && count <= UINT16_MAX);
    if (m->link != LINK_UP)
        return ERR_BUSY;
    int rc =
        mosquitto_subscribe_multiple(m->client, &mid, (int)count, writable(topics), qos, 0, NULL);
    return rc == MOSQ_ERR_SUCCESS ? mid : error_of(rc);
}

int mqtt_unsubscribe(struct mqtt *m, const char *const *topics, size_t count)
{
    int mid = 0;
    assert(count > 0 && count <= UINT16_MAX);
    if (m->link != LINK_UP)
        return ERR_BUSY;
    int rc = mosquitto_unsubscribe_multiple(m->client, &mid, (int)count, writable(topics), NULL);
    return rc == MOSQ_ERR_SUCCESS ? mid : error_of(rc);
}

void mqtt_probe(struct mqtt *m)
{
    if (m->link != LINK_UP)
        return;
    probe_want(&m->probe);
    tend_probe(m);
}

bool mqtt_resumed(const struct mqtt *m)
{
    return m->bridge && bridge_resumed(m->bridge);
}

const char *mqtt_tls_version(const struct mqtt *m)
{
    const char *version = m->bridge ? bridge_tls_version(m->bridge) : NULL;
    return version ? version : "none";
}

/* ---- the poll loop ---- */

static bool is_live(const struct mqtt *m)
{
    return m->link == LINK_CONNECTING || m->link == LINK_UP;
}

void mqtt_watch(const struct mqtt *m, struct pollfd fds[static MQTT_FDS])
{
    for (int i = 0; i < MQTT_FDS; i++)
        fds[i] = (struct pollfd){.fd = -1};
    if (!is_live(m))
        return;
    fds[0].fd = mosquitto_socket(m->client);
    if (m->bridge)
        bridge_watch(m->bridge, fds + 1);
    if (resolve_descriptor(&m->lookup) >= 0)
        fds[1] = (struct pollfd){.fd = resolve_descriptor(&m->lookup), .events = POLLIN};
    bool writes = mosquitto_want_write(m->client);
    bool reads = !writes || m->unanswered < UNANSWERED_MAX;
    fds[0].events = (short)((reads ? POLLIN : 0) | (writes ? POLLOUT : 0));
}

/* Looks at what one call into the library came to. */
static bool goes_on(struct mqtt *m, int rc)
{
    if (rc != MOSQ_ERR_SUCCESS || mosquitto_socket(m->client) < 0)
        lose(m, library_reason(m, rc == MOSQ_ERR_SUCCESS ? MOSQ_ERR_CONN_LOST : rc));
    return is_live(m);
}

/* Bytes that have come. Not by errno: the library writes to a pipe of its own that nobody empties,
 * and that says EAGAIN for good after some hundred messages. */
static int waiting(const struct mqtt *m)
{
    int bytes = 0;
    return ioctl(mosquitto_socket(m->client), FIONREAD, &bytes) == 0 ? bytes : 0;
}

/* A call reads one packet, as far as it has come. The system is asked again what there is when so
 * much has been read. */
static void read_burst(struct mqtt *m)
{
    int left = 0;
    for (unsigned i = 0; i < READ_BURST_MAX && m->unanswered < UNANSWERED_MAX; i++) {
        m->unanswered++;
        m->taken = PACKET_BYTES_MIN;
        if (!goes_on(m, mosquitto_loop_read(m->client, 1)))
            return;
        left -= m->taken;
        if (left <= 0 && (left = waiting(m)) <= 0)
            return;
    }
}

static void work(struct mqtt *m, const struct pollfd *fds)
{
    /* The second one is the bridge's to the broker. It shows bytes of a record, and of a packet,
     * that have yet to become whole. */
    if (fds && (fds[0].revents | fds[1].revents) & POLLIN)
        probe_hear(&m->probe, clock_monotonic_ms());
    if (resolve_descriptor(&m->lookup) >= 0)
        look(m);
    else
        drive_library(m, fds ? fds[0].revents : 0);
    if (m->link == LINK_CONNECTING && clock_monotonic_ms() >= m->greet_by_ms)
        lose(m, "the broker does not answer");
    if (m->link == LINK_UP)
        tend_probe(m);
}

/* What can't be asked for want of memory is asked in the next turn. */
static void tend_probe(struct mqtt *m)
{
    uint64_t now_ms = clock_monotonic_ms();
    if (probe_failed(&m->probe, now_ms))
        lose(m, "the broker is not reached over this network any more");
    if (!probe_due(&m->probe, now_ms))
        return;
    m->probe_mid = mqtt_unsubscribe(m, &(const char *){PROBE_TOPIC}, 1);
    if (m->probe_mid >= 0)
        probe_begin(&m->probe, now_ms);
}

static void look(struct mqtt *m)
{
    struct errmsg em;
    int rv = resolve_look(&m->lookup, clock_monotonic_ms(), &em);
    if (rv < 0)
        lose(m, em.text);
    if (rv == 1)
        connect_resolved(m);
}

/* What the library has written is passed on at once; what comes for it, it reads in the next turn.
 */
static void drive_library(struct mqtt *m, short revents)
{
    if ((revents & POLLOUT) && mosquitto_want_write(m->client))
        goes_on(m, mosquitto_loop_write(m->client, 1));
    if (is_live(m) && !mosquitto_want_write(m->client))
        m->unanswered = 0;
    if (is_live(m) && (revents & (POLLIN | POLLERR | POLLHUP)))
        read_burst(m);
    if (is_live(m))
        goes_on(m, mosquitto_loop_misc(m->client));
    if (is_live(m) && m->bridge)
        bridge_service(m->bridge, clock_monotonic_ms());
}

/* Does what had to wait until the library was off the stack. */
static void settle(struct mqtt *m)
{
    if (m->link == LINK_LOST) {
        take_down(m);
        m->link = LINK_NONE;
        if (m->handler.down)
            m->handler.down(m->handler.context, m->reason);
    }
    if (m->link == LINK_CLOSED)
        say_goodbye(m);
    if (m->reconnect) {
        m->reconnect = false;
        start(m);
    }
}

void mqtt_service(struct mqtt *m, const struct pollfd *fds)
{
    assert(!m->in_service);
    m->in_service = true;
    if (is_live(m))
        work(m, fds);
    settle(m);
    m->in_service = false;
    if (m->doomed)
        release(m);
}
