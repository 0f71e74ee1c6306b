#include "manager/door.h"

#include "base/file.h"
#include "base/hex.h"
#include "base/log.h"
#include "crypto/random.h"
#include "manager/address.h"
#include "manager/broker.h"
#include "manager/broker_config.h"
#include "manager/certificates.h"
#include "sync/topic.h"

#include <stdio.h>
#include <stdlib.h>

#define KEEPALIVE_S 30
#define CLIENT_ID_LEN 16
/* Ports that are tried, when others take them first. */
#define PORT_TRIES 8

struct door {
    struct door_handler handler;
    const struct daemon_options *options;
    const struct keyring *keys;
    struct broker *broker;
    struct porter *porter;
    struct mqtt *mqtt;
    char folder[FILE_PATH_MAX];
    char url[CELL_URL_MAX + 1];    /* for devices */
    char socket[CELL_URL_MAX + 1]; /* for us */
    uint64_t now_ms;
    uint64_t retry_at_ms; /* UINT64_MAX: connecting or connected */
    uint64_t look_at_ms;  /* at its broker's memory */
    unsigned sends;
    uint64_t filed; /* certificates_version of what is in its folder */
    bool complained;
};

static int open_all(struct door *d, const struct door_options *o, struct ledger *ledger,
                    struct errmsg *em);
static int open_broker(struct door *d, uint64_t now_s, struct errmsg *em);
static int file_papers(const struct door *d, uint64_t now_s, struct errmsg *em);
static int open_porter(struct door *d, struct ledger *ledger, struct errmsg *em);
static int choose_port(const struct door *d, struct ledger *ledger, bool *kept);
static int open_link(struct door *d, struct errmsg *em);
static void clear_out(struct door *d);
static void on_up(void *context, bool session_present);
static void on_down(void *context, const char *reason);
static void on_message(void *context, const char *topic, struct span payload, bool retained);
static void on_published(void *context, int mid);

/* ---- open and close ---- */

struct door *door_open(const struct door_options *options, struct ledger *ledger,
                       const struct door_handler *handler, struct errmsg *em)
{
    struct door *d = calloc(1, sizeof *d);
    if (!d) {
        errmsg_set(em, ERR_NO_MEMORY, "out of memory");
        return NULL;
    }
    d->handler = *handler;
    d->options = options->daemon;
    d->keys = options->keys;
    d->filed = certificates_version(d->keys, options->now_s);
    if (open_all(d, options, ledger, em) < 0) {
        door_close(d);
        return NULL;
    }
    return d;
}

void door_close(struct door *d)
{
    if (!d)
        return;
    porter_free(d->porter);
    mqtt_free(d->mqtt);
    if (d->broker)
        broker_stop(d->broker);
    broker_free(d->broker);
    free(d);
}

static int open_all(struct door *d, const struct door_options *o, struct ledger *ledger,
                    struct errmsg *em)
{
    int rv = file_path(d->folder, em, "%s/door", o->dir);
    if (rv == 0)
        rv = open_broker(d, o->now_s, em);
    if (rv == 0)
        rv = open_porter(d, ledger, em);
    return rv < 0 ? rv : open_link(d, em);
}

static int open_broker(struct door *d, uint64_t now_s, struct errmsg *em)
{
    struct broker_options b = {.dir = d->folder,
                               .kind = BROKER_DOOR,
                               .plain = d->options->plain,
                               .memory_max = DOOR_MEMORY_MAX};
    int rv = file_make_folder(d->folder, 0700, em);
    if (rv == 0)
        rv = file_papers(d, now_s, em);
    if (rv < 0)
        return rv;
    d->broker = broker_start(&b, em);
    if (!d->broker)
        return ERR_IO;
    if (broker_adopted(d->broker))
        broker_reload(d->broker);
    return 0;
}

/* 1: something is new in the folder. */
static int file_papers(const struct door *d, uint64_t now_s, struct errmsg *em)
{
    char room[1024];
    struct buffer acl = buffer_on(room, sizeof room);
    const char *hosts[ADDRESS_HOSTS_MAX];
    struct site site = {
        .name = "door", .hosts = hosts, .host_count = address_hosts(d->options, hosts)};
    int rv = broker_config_acl(BROKER_DOOR, NULL, 0, &acl);
    int rights = rv < 0 ? rv : certificates_put(d->folder, BROKER_ACL_FILE, span_buffer(&acl), em);
    if (rights < 0 || d->options->plain)
        return rights;
    int server = certificates_put_server(d->keys, &site, now_s, d->folder, em);
    return server < 0 ? server : rights || server;
}

/* Devices were told this port: another one would leave them outside. */
static int open_porter(struct door *d, struct ledger *ledger, struct errmsg *em)
{
    char path[FILE_PATH_MAX];
    bool kept;
    int port = choose_port(d, ledger, &kept);
    int rv = file_path(path, em, "%s/" BROKER_GATE_SOCKET, d->folder);
    struct porter_options o = {
        .host = d->options->host, .door = path, .rate = d->options->join_rate};
    for (int tries = 0; rv == 0 && !d->porter && tries < (kept ? 1 : PORT_TRIES); tries++) {
        o.port = kept ? port : broker_free_port(o.host, port);
        d->porter = o.port > 0 ? porter_new(&o, em) : NULL;
        port = o.port + 1;
    }
    if (rv == 0 && !d->porter)
        return o.port < 0 ? broker_no_port(o.host, em) : ERR_IO;
    if (rv == 0 && !kept)
        rv = ledger_set(ledger, LEDGER_JOIN_PORT, o.port, em);
    address_write(d->options->plain ? "mqtt" : "", address_public(d->options), o.port, d->url,
                  sizeof d->url);
    return rv;
}

/* The one kept, unless the cells are told to move; else the first free one from here on. */
static int choose_port(const struct door *d, struct ledger *ledger, bool *kept)
{
    int port = d->options->port;
    int join = (int)ledger_setting(ledger, LEDGER_JOIN_PORT);
    *kept = join > 0 && (port <= 0 || port == ledger_setting(ledger, LEDGER_PORT));
    if (*kept)
        return join;
    return port > 0 ? port + 1 : port == 0 ? address_any_port() : DAEMON_JOIN_PORT;
}

/* Whoever knew the name could end this session by taking it over. */
static int open_link(struct door *d, struct errmsg *em)
{
    uint8_t drawn[CLIENT_ID_LEN];
    char id[2 * CLIENT_ID_LEN + 1];
    struct mqtt_handler handler = {.context = d,
                                   .up = on_up,
                                   .down = on_down,
                                   .message = on_message,
                                   .published = on_published};
    random_bytes(drawn, sizeof drawn);
    hex_write(span_of(drawn, sizeof drawn), id);
    snprintf(d->socket, sizeof d->socket, "unix://%.230s/" BROKER_SOCKET, d->folder);
    d->mqtt =
        mqtt_new(&(struct mqtt_options){.client_id = id, .keepalive_s = KEEPALIVE_S}, &handler);
    return d->mqtt ? 0 : errmsg_set(em, ERR_NO_MEMORY, "out of memory");
}

const char *door_url(const struct door *d)
{
    return d->url;
}

struct porter_counters door_counters(const struct door *d)
{
    return porter_counters(d->porter);
}

/* ---- the poll loop ---- */

void door_watch(const struct door *d, struct pollfd *fds)
{
    mqtt_watch(d->mqtt, fds);
    fds[MQTT_FDS] = (struct pollfd){.fd = broker_descriptor(d->broker), .events = POLLIN};
    fds[MQTT_FDS + 1] = (struct pollfd){.fd = porter_descriptor(d->porter), .events = POLLIN};
}

uint64_t door_deadline_ms(const struct door *d)
{
    uint64_t porter = porter_deadline_ms(d->porter), broker = broker_deadline_ms(d->broker);
    uint64_t first = porter < broker ? porter : broker;
    return first < d->retry_at_ms ? first : d->retry_at_ms;
}

void door_service(struct door *d, const struct pollfd *fds, bool all, uint64_t now_ms)
{
    d->now_ms = now_ms;
    if (all || fds[MQTT_FDS].revents || now_ms >= broker_deadline_ms(d->broker))
        broker_service(d->broker, now_ms);
    if (now_ms >= d->look_at_ms)
        clear_out(d);
    if (now_ms >= d->retry_at_ms) {
        d->retry_at_ms = UINT64_MAX;
        if (mqtt_connect(d->mqtt, d->socket, NULL) < 0)
            d->retry_at_ms = now_ms + DOOR_RETRY_MS;
    }
    bool link = all;
    for (int i = 0; i < MQTT_FDS; i++)
        link |= fds[i].revents != 0;
    if (link)
        mqtt_service(d->mqtt, fds);
    if (all || fds[MQTT_FDS + 1].revents || now_ms >= porter_deadline_ms(d->porter))
        porter_service(d->porter, now_ms);
}

/* What strangers have left there goes with the process. Who is about to join comes again. */
static void clear_out(struct door *d)
{
    uint64_t bytes = broker_memory(d->broker);
    d->look_at_ms = d->now_ms + DOOR_LOOK_MS;
    if (bytes < DOOR_MEMORY_FULL)
        return;
    log_event(LOG_WARN, "door-full", "bytes=%llu what=\"its broker is started anew\"",
              (unsigned long long)bytes);
    broker_renew(d->broker, d->now_ms);
}

static void on_up(void *context, bool session_present)
{
    struct door *d = context;
    static const char *const inbox[] = {TOPIC_ALL_JOINS};
    (void)session_present;
    d->sends = 0;
    mqtt_subscribe(d->mqtt, inbox, 1, 1);
}

static void on_down(void *context, const char *reason)
{
    struct door *d = context;
    if (broker_running(d->broker))
        log_event(LOG_WARN, "door-down", "reason=\"%s\"", reason);
    d->retry_at_ms = d->now_ms + DOOR_RETRY_MS;
}

static void on_message(void *context, const char *topic, struct span payload, bool retained)
{
    struct door *d = context;
    (void)retained;
    if (topic_read(topic).kind == TOPIC_JOIN)
        d->handler.message(d->handler.context, topic, payload);
}

static void on_published(void *context, int mid)
{
    struct door *d = context;
    (void)mid;
    if (d->sends > 0)
        d->sends--;
}

void door_send(struct door *d, const char *topic, struct span payload)
{
    if (d->sends < DOOR_SENDS_MAX && mqtt_publish(d->mqtt, topic, payload, 1, false) >= 0)
        d->sends++;
}

void door_renew(struct door *d, uint64_t now_s)
{
    struct errmsg em = {.text = ""};
    uint64_t version = certificates_version(d->keys, now_s);
    if (version == d->filed)
        return;
    int rv = file_papers(d, now_s, &em);
    if (rv == 1)
        broker_reload(d->broker);
    if (rv >= 0)
        d->filed = version;
    if (rv < 0 && !d->complained)
        log_event(LOG_ERROR, "certificates-not-renewed", "what=\"%s\"", em.text);
    d->complained = rv < 0;
}
