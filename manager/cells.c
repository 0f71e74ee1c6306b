#include "manager/cells.h"

#include "base/file.h"
#include "base/log.h"
#include "crypto/random.h"
#include "manager/broker.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define FIRST_PORT 1883
/* Where any port will do: below those that systems give to outgoing connections, since one of these
 * could take the port of a broker that is being restarted. */
#define ANY_PORT_MIN 10000
#define ANY_PORTS 20000

struct slot {
    struct cells *cells;
    size_t index;
    struct broker *broker; /* NULL: not ours */
    struct cell *cell;
    char url[CELL_URL_MAX + 1]; /* for devices */
};

struct cells {
    struct cells_handler handler;
    struct mac_key marks;
    size_t count;
    struct slot slots[DAEMON_CELLS_MAX];
};

static int open_all(struct cells *c, const char *dir, const struct daemon_options *o,
                    struct ledger *ledger, struct errmsg *em);
static void warn_of_plain_links(const struct daemon_options *o);
static int start_own(struct slot *s, const char *dir, const struct daemon_options *o,
                     struct ledger *ledger, struct errmsg *em);
static int start_kept(struct slot *s, const struct broker_options *b, struct errmsg *em);
static int any_port(void);
static int start_fresh(struct slot *s, struct broker_options *b, int first, struct errmsg *em);
static void stop_unwanted(const char *dir, struct ledger *ledger, unsigned wanted);
static int connect_slot(struct slot *s, const char *url, struct errmsg *em);
static bool showed(const struct pollfd *fds, size_t count);
static void service_broker(struct slot *s, uint64_t now_ms);
static bool is_any(const char *host);
static bool is_loopback(const char *host);
static void on_message(void *context, const char *topic, struct span payload);
static int on_next(void *context, enum cell_lane lane, uint64_t after,
                   struct cell_publication *out);

/* ---- open and close ---- */

struct cells *cells_open(const char *dir, const struct daemon_options *options,
                         struct ledger *ledger, const struct mac_key *marks,
                         const struct cells_handler *handler, struct errmsg *em)
{
    struct cells *c = calloc(1, sizeof *c);
    if (!c) {
        errmsg_set(em, ERR_NO_MEMORY, "out of memory");
        return NULL;
    }
    c->handler = *handler;
    c->marks = *marks;
    if (open_all(c, dir, options, ledger, em) < 0) {
        cells_close(c);
        return NULL;
    }
    return c;
}

void cells_close(struct cells *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->count; i++)
        cell_free(c->slots[i].cell);
    /* All are asked before the first is waited for: each has its memory to save. */
    for (size_t i = 0; i < c->count; i++)
        if (c->slots[i].broker && broker_running(c->slots[i].broker))
            kill(broker_pid(c->slots[i].broker), SIGTERM);
    for (size_t i = 0; i < c->count; i++) {
        if (!c->slots[i].broker)
            continue;
        broker_stop(c->slots[i].broker);
        broker_free(c->slots[i].broker);
    }
    free(c);
}

static int open_all(struct cells *c, const char *dir, const struct daemon_options *o,
                    struct ledger *ledger, struct errmsg *em)
{
    unsigned kept = (unsigned)ledger_setting(ledger, LEDGER_CELLS);
    unsigned own = o->broker_count > 0 ? 0 : o->cells > 0 ? o->cells : kept > 0 ? kept : 1;
    int rv = 0;
    warn_of_plain_links(o);
    if (own != kept)
        rv = ledger_set(ledger, LEDGER_CELLS, own, em);
    for (size_t i = 0; rv == 0 && i < own + o->broker_count; i++) {
        struct slot *s = &c->slots[c->count++];
        *s = (struct slot){.cells = c, .index = i};
        if (i < own)
            rv = start_own(s, dir, o, ledger, em);
        else
            rv = connect_slot(s, o->brokers[i - own], em);
    }
    if (rv == 0 && own < kept)
        stop_unwanted(dir, ledger, own);
    return rv;
}

static void warn_of_plain_links(const struct daemon_options *o)
{
    if (o->broker_count == 0 && !is_loopback(o->host))
        log_event(LOG_WARN, "links-are-plain",
                  "listen=%s what=\"MQTT without TLS: use it on networks that you trust\"",
                  o->host);
}

static bool is_any(const char *host)
{
    return strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
}

static bool is_loopback(const char *host)
{
    return strncmp(host, "127.", 4) == 0 || strcmp(host, "localhost") == 0 ||
           strcmp(host, "::1") == 0;
}

/* ---- our own brokers ---- */

static int start_own(struct slot *s, const char *dir, const struct daemon_options *o,
                     struct ledger *ledger, struct errmsg *em)
{
    char folder[FILE_PATH_MAX], url[CELL_URL_MAX + 1];
    unsigned setting = LEDGER_PORT + (unsigned)s->index;
    int kept = (int)ledger_setting(ledger, setting);
    bool asked = s->index == 0 && o->port > 0;
    struct broker_options b = {.dir = folder, .host = o->host, .port = asked ? o->port : kept};
    b.patient = kept > 0 && b.port == kept;
    int first = o->port == 0   ? any_port()
                : s->index > 0 ? (int)ledger_setting(ledger, setting - 1) + 1
                               : FIRST_PORT;
    int rv = file_path(folder, em, "%s/cells/%zu", dir, s->index);
    if (rv < 0)
        return rv;
    rv = b.port > 0 ? start_kept(s, &b, em) : start_fresh(s, &b, first, em);
    if (rv == 0 && b.port != kept)
        rv = ledger_set(ledger, setting, b.port, em);
    if (rv < 0)
        return rv;
    snprintf(s->url, sizeof s->url, "mqtt://%s:%d", o->advertise ? o->advertise : o->host, b.port);
    snprintf(url, sizeof url, "mqtt://%s:%d", is_any(o->host) ? "127.0.0.1" : o->host, b.port);
    return connect_slot(s, url, em);
}

/* Agents know this port: another one would leave them without a broker. */
static int start_kept(struct slot *s, const struct broker_options *b, struct errmsg *em)
{
    s->broker = broker_start(b, em);
    if (s->broker)
        return 0;
    return errmsg_wrap(em, ERR_IO, "cell %zu keeps its port (--listen HOST:PORT moves the first)",
                       s->index);
}

static int any_port(void)
{
    uint32_t chance;
    random_bytes(&chance, sizeof chance);
    return ANY_PORT_MIN + (int)(chance % ANY_PORTS);
}

/* Somebody else may take the port between the look and the start. */
static int start_fresh(struct slot *s, struct broker_options *b, int first, struct errmsg *em)
{
    for (int tries = 0; tries < CELLS_PORT_TRIES && !s->broker; tries++) {
        b->port = broker_free_port(b->host, first);
        if (b->port < 0)
            return errmsg_set(em, ERR_IO, "no port is free on %s", b->host);
        s->broker = broker_start(b, em);
        first = b->port + 1;
    }
    return s->broker ? 0 : ERR_IO;
}

/* They may still run when a manager before this one was killed. */
static void stop_unwanted(const char *dir, struct ledger *ledger, unsigned wanted)
{
    for (unsigned i = wanted; i < DAEMON_CELLS_MAX; i++) {
        char folder[FILE_PATH_MAX];
        if (ledger_setting(ledger, LEDGER_PORT + i) == 0 ||
            file_path(folder, NULL, "%s/cells/%u", dir, i) < 0)
            return;
        broker_stop_in(folder);
    }
}

static int connect_slot(struct slot *s, const char *url, struct errmsg *em)
{
    struct cell_handler heard = {.context = s, .message = on_message, .next = on_next};
    struct mqtt_url parsed;
    if (s->url[0] == '\0')
        snprintf(s->url, sizeof s->url, "%s", url);
    int rv = mqtt_parse_url(url, &parsed, em);
    if (rv < 0)
        return rv;
    s->cell = cell_new(url, &s->cells->marks, &heard);
    return s->cell ? 0 : errmsg_set(em, ERR_NO_MEMORY, "out of memory");
}

static void on_message(void *context, const char *topic, struct span payload)
{
    struct slot *s = context;
    const struct cells_handler *h = &s->cells->handler;
    h->message(h->context, s->index, topic, payload);
}

static int on_next(void *context, enum cell_lane lane, uint64_t after, struct cell_publication *out)
{
    struct slot *s = context;
    const struct cells_handler *h = &s->cells->handler;
    return h->next(h->context, lane, after, out);
}

/* ---- what there is ---- */

size_t cells_count(const struct cells *c)
{
    return c->count;
}

const char *cells_url(const struct cells *c, size_t i)
{
    return c->slots[i].url;
}

struct cell_info cells_info(const struct cells *c, size_t i)
{
    const struct slot *s = &c->slots[i];
    bool starting = s->broker && broker_running(s->broker);
    return (struct cell_info){
        .url = s->url,
        .state = cell_up(s->cell) ? CELL_UP
                 : starting       ? CELL_STARTING
                                  : CELL_DOWN,
        .pid = s->broker ? broker_pid(s->broker) : 0,
    };
}

/* ---- the poll loop ---- */

void cells_watch(const struct cells *c, struct pollfd *fds)
{
    for (size_t i = 0; i < c->count; i++, fds += CELLS_FDS_EACH) {
        const struct slot *s = &c->slots[i];
        int process = s->broker ? broker_descriptor(s->broker) : -1;
        cell_watch(s->cell, fds);
        fds[MQTT_FDS] = (struct pollfd){.fd = process, .events = POLLIN};
    }
}

void cells_service(struct cells *c, const struct pollfd *fds, bool all, uint64_t now_ms)
{
    for (size_t i = 0; i < c->count; i++, fds += CELLS_FDS_EACH) {
        struct slot *s = &c->slots[i];
        if (s->broker && (all || fds[MQTT_FDS].revents || now_ms >= broker_deadline_ms(s->broker)))
            service_broker(s, now_ms);
        if (all || showed(fds, MQTT_FDS) || now_ms >= cell_deadline_ms(s->cell))
            cell_service(s->cell, fds, now_ms);
    }
}

static bool showed(const struct pollfd *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (fds[i].revents)
            return true;
    return false;
}

static void service_broker(struct slot *s, uint64_t now_ms)
{
    pid_t before = broker_pid(s->broker);
    broker_service(s->broker, now_ms);
    pid_t now = broker_pid(s->broker);
    if (now > 0 && now != before)
        cell_hurry(s->cell);
}

uint64_t cells_deadline_ms(const struct cells *c)
{
    uint64_t first = UINT64_MAX;
    for (size_t i = 0; i < c->count; i++) {
        const struct slot *s = &c->slots[i];
        uint64_t broker = s->broker ? broker_deadline_ms(s->broker) : UINT64_MAX;
        uint64_t cell = cell_deadline_ms(s->cell);
        uint64_t mine = broker < cell ? broker : cell;
        first = mine < first ? mine : first;
    }
    return first;
}

void cells_feed(struct cells *c, bool news)
{
    for (size_t i = 0; i < c->count; i++)
        cell_feed(c->slots[i].cell, news);
}

void cells_send(struct cells *c, size_t i, const char *topic, struct span payload)
{
    cell_send(c->slots[i].cell, topic, payload);
}

void cells_drop(struct cells *c, uint64_t now_ms)
{
    for (size_t i = 0; i < c->count; i++)
        cell_drop(c->slots[i].cell, now_ms);
}
