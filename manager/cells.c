#include "manager/cells.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "manager/address.h"
#include "manager/admission.h"
#include "manager/broker.h"
#include "manager/kicker.h"
#include "manager/pass.h"
#include "manager/pilot.h"
#include "manager/whereabouts.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

/* What agents say is heard for about so long in a turn: then the disk and operators get theirs.
 * What was not heard waits in the brokers, which keep only so much of it. */
#define HEAR_MS_MAX 20
/* Meanwhile the handler gets a pause at about these intervals. */
#define PAUSE_MS 4

struct slot {
    struct cells *cells;
    size_t index;
    struct broker *broker; /* NULL: not ours, and without a folder */
    char folder[FILE_PATH_MAX];
    struct cell *cell;
    struct kicker *kicker;
    uint32_t number;            /* in the atlas */
    char url[CELL_URL_MAX + 1]; /* for devices */
};

struct cells {
    struct cells_handler handler;
    const struct daemon_options *options;
    const struct keyring *keys;
    struct mac_key marks;
    struct pass pass; /* for others' brokers */
    struct admission *admission;
    uint64_t filed; /* certificates_version of what is in the folders */
    bool complained;
    uint64_t memory_max; /* of each broker of our own */
    size_t count;
    size_t first; /* whose turn it is to be heard first */
    struct homes homes;
    struct whereabouts whereabouts;
    struct slot slots[DAEMON_CELLS_MAX];
};

static int open_all(struct cells *c, const struct cells_options *options, struct ledger *ledger,
                    struct errmsg *em);
static int draw_atlas(struct cells *c, const struct cells_options *o, struct ledger *ledger,
                      struct errmsg *em);
static struct pilot pilot_of(const struct cells *c, uint32_t epoch, uint64_t now_s);
static void begin_stage(struct cells *c);
static unsigned own_cells(const struct daemon_options *o, unsigned kept);
static uint64_t memory_share(unsigned wanted_mib, unsigned own);
static int compose_admission(struct cells *c, const struct cells_options *o, struct errmsg *em);
static int kick_blocked(struct cells *c, const struct blocked_agent *blocked, size_t count,
                        struct errmsg *em);
static int start_own(struct slot *s, const struct cells_options *options, struct ledger *ledger,
                     struct errmsg *em);
static int file_papers(struct slot *s, const struct admission *admission, uint64_t now_s,
                       struct errmsg *em);
static int start_kept(struct slot *s, const struct broker_options *b, struct errmsg *em);
static int start_fresh(struct slot *s, struct broker_options *b, int first, struct errmsg *em);
static void stop_unwanted(const char *dir, struct ledger *ledger, unsigned wanted);
static int connect_slot(struct slot *s, const char *url, struct errmsg *em);
static bool is_blocked(void *context, const struct key_id *agent);
static bool showed(const struct pollfd *fds, size_t count);
static int file_all(struct cells *c, const struct admission *admission, uint64_t now_s,
                    struct errmsg *em);
static int kick(struct cells *c, const struct blocked_agent *agent, struct errmsg *em);
static bool is_cut_off_anew(const struct slot *s, const struct blocked_agent *agent,
                            const struct blocked_agent *before);
static void end_sessions(struct slot *s);
static void service_slot(struct slot *s, const struct pollfd *fds, bool hears, bool all,
                         uint64_t now_ms);
static void service_broker(struct slot *s, uint64_t now_ms);
static void on_message(void *context, const char *topic, struct span payload);
static int on_next(void *context, enum cell_lane lane, uint64_t after, uint64_t behind,
                   struct cell_publication *out);

/* ---- open and close ---- */

struct cells *cells_open(const struct cells_options *options, struct ledger *ledger,
                         const struct cells_handler *handler, struct errmsg *em)
{
    struct cells *c = calloc(1, sizeof *c);
    if (!c) {
        errmsg_set(em, ERR_NO_MEMORY, "out of memory");
        return NULL;
    }
    c->handler = *handler;
    c->options = options->daemon;
    c->keys = options->keys;
    c->marks = keyring_marks(options->keys, options->lineage);
    if (open_all(c, options, ledger, em) < 0) {
        cells_close(c);
        return NULL;
    }
    return c;
}

void cells_close(struct cells *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->count; i++) {
        cell_free(c->slots[i].cell);
        kicker_free(c->slots[i].kicker);
    }
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
    admission_free(c->admission);
    whereabouts_free(&c->whereabouts);
    explicit_bzero(&c->pass, sizeof c->pass);
    free(c);
}

static int open_all(struct cells *c, const struct cells_options *options, struct ledger *ledger,
                    struct errmsg *em)
{
    const struct daemon_options *o = options->daemon;
    unsigned kept = (unsigned)ledger_setting(ledger, LEDGER_CELLS);
    unsigned own = own_cells(o, kept);
    int rv = compose_admission(c, options, em);
    c->memory_max = memory_share(o->cell_memory_mib, own);
    if (rv == 0 && pass_make(&c->pass, c->keys, options->dir, options->now_s) < 0)
        rv = errmsg_set(em, ERR_CRYPTO, "cannot make a certificate for the manager");
    if (o->plain)
        log_event(LOG_WARN, "links-are-plain",
                  "listen=%s what=\"MQTT without TLS: anybody on this machine may read and write\"",
                  o->host);
    if (rv == 0 && own != kept)
        rv = ledger_set(ledger, LEDGER_CELLS, own, em);
    for (size_t i = 0; rv == 0 && i < own + o->broker_count; i++) {
        struct slot *s = &c->slots[c->count++];
        *s = (struct slot){.cells = c, .index = i};
        if (i < own)
            rv = start_own(s, options, ledger, em);
        else
            rv = connect_slot(s, o->brokers[i - own], em);
    }
    if (rv == 0)
        rv = draw_atlas(c, options, ledger, em);
    if (rv == 0)
        rv = kick_blocked(c, options->blocked, options->blocked_count, em);
    if (rv == 0 && own < kept)
        stop_unwanted(options->dir, ledger, own);
    return rv;
}

/* All have their addresses. Nothing was said to any of them yet. */
static int draw_atlas(struct cells *c, const struct cells_options *o, struct ledger *ledger,
                      struct errmsg *em)
{
    struct pilot pilot = pilot_of(c, o->epoch, o->now_s);
    for (size_t i = 0; i < c->count; i++)
        c->homes.now.cells[c->homes.now.count++] =
            (struct atlas_cell){.number = c->slots[i].number, .url = span_text(c->slots[i].url)};
    int rv = pilot_open(&pilot, &c->homes, ledger, em);
    if (rv == 0)
        begin_stage(c);
    return rv;
}

static struct pilot pilot_of(const struct cells *c, uint32_t epoch, uint64_t now_s)
{
    return (struct pilot){
        .keys = c->keys, .policy = c->options->policy, .epoch = epoch, .now_s = now_s};
}

static void begin_stage(struct cells *c)
{
    bool differs = homes_differ(&c->homes);
    log_event(LOG_INFO, "atlas", "number=%u cells=%u moving=%s", c->homes.now.number,
              c->homes.now.count, c->homes.moving ? "yes" : "no");
    for (size_t i = 0; i < c->count; i++)
        cell_set_stage(c->slots[i].cell, homes_stage(&c->homes), differs);
}

/* Devices know those of the last time: they stay until somebody says that they shall not. */
static unsigned own_cells(const struct daemon_options *o, unsigned kept)
{
    if (o->no_cells)
        return 0;
    if (o->cells > 0)
        return o->cells;
    return kept > 0 || o->broker_count > 0 ? kept : 1;
}

/* One of its agents can fill a broker; it must not fill the machine. Whole steps, since a broker
 * that was started with another number is started anew. */
static uint64_t memory_share(unsigned wanted_mib, unsigned own)
{
    const uint64_t step = 64 << 20;
    uint64_t machine = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t share = machine / 2 / (own ? own : 1) / step * step;
    if (wanted_mib > 0)
        return (uint64_t)wanted_mib << 20;
    return share > step ? share : step;
}

static int compose_admission(struct cells *c, const struct cells_options *o, struct errmsg *em)
{
    c->filed = certificates_version(c->keys, o->now_s);
    c->admission = admission_new(BROKER_CELL);
    if (!c->admission)
        return errmsg_set(em, ERR_NO_MEMORY, "out of memory");
    return admission_set(c->admission, c->keys, o->blocked, o->blocked_count, o->now_s, em);
}

/* What ran before us may still have links of whom the last manager couldn't cut off. */
static int kick_blocked(struct cells *c, const struct blocked_agent *blocked, size_t count,
                        struct errmsg *em)
{
    for (size_t i = 0; i < c->count; i++) {
        struct slot *s = &c->slots[i];
        bool ran = !s->broker || broker_adopted(s->broker);
        for (size_t k = 0; k < count && ran; k++)
            if (kicker_add(s->kicker, &blocked[k]) < 0)
                return errmsg_set(em, ERR_NO_MEMORY, "out of memory");
    }
    return 0;
}

/* ---- our own brokers ---- */

static int start_own(struct slot *s, const struct cells_options *options, struct ledger *ledger,
                     struct errmsg *em)
{
    const struct daemon_options *o = s->cells->options;
    char url[CELL_URL_MAX + 1];
    unsigned setting = LEDGER_PORT + (unsigned)s->index;
    int kept = (int)ledger_setting(ledger, setting);
    bool asked = s->index == 0 && o->port > 0;
    struct broker_options b = {.dir = s->folder,
                               .kind = BROKER_CELL,
                               .plain = o->plain,
                               .host = o->host,
                               .port = asked ? o->port : kept,
                               .memory_max = s->cells->memory_max};
    s->number = pilot_own(s->index);
    b.patient = kept > 0 && b.port == kept;
    int first = o->port == 0   ? address_any_port()
                : s->index > 0 ? (int)ledger_setting(ledger, setting - 1) + 1
                               : DAEMON_PORT;
    int rv = file_path(s->folder, em, "%s/cells/%zu", options->dir, s->index);
    if (rv == 0)
        rv = file_make_folder(s->folder, 0700, em);
    if (rv == 0)
        rv = file_papers(s, s->cells->admission, options->now_s, em);
    if (rv < 0)
        return rv;
    rv = b.port > 0 ? start_kept(s, &b, em) : start_fresh(s, &b, first, em);
    if (rv == 0 && b.port != kept)
        rv = ledger_set(ledger, setting, b.port, em);
    if (rv < 0)
        return rv;
    /* A plain one has no papers: nothing in its files is new, and it would go through all links. */
    if (broker_adopted(s->broker) && !o->plain)
        broker_reload(s->broker);
    address_write(o->plain ? "mqtt" : "mqtts", address_public(o), b.port, s->url, sizeof s->url);
    snprintf(url, sizeof url, "unix://%.230s/" BROKER_SOCKET, s->folder);
    return connect_slot(s, url, em);
}

/* 1: something is new in the folder. */
static int file_papers(struct slot *s, const struct admission *admission, uint64_t now_s,
                       struct errmsg *em)
{
    const struct cells *c = s->cells;
    const char *hosts[ADDRESS_HOSTS_MAX];
    char name[32];
    struct site site = {
        .name = name, .hosts = hosts, .host_count = address_hosts(c->options, hosts)};
    if (c->options->plain)
        return 0;
    snprintf(name, sizeof name, "cell %zu", s->index);
    if (certificates_drop(c->keys, now_s, s->folder))
        end_sessions(s);
    int server = certificates_put_server(c->keys, &site, now_s, s->folder, em);
    int lists = server < 0 ? server : admission_file(admission, s->folder, em);
    return lists < 0 ? lists : server || lists;
}

/* Who came in by an authority that counts no more has to come in again. Before the files say so: or
 * the next manager, when this one is killed in between, would find nothing to do. */
static void end_sessions(struct slot *s)
{
    if (s->broker)
        broker_renew(s->broker, clock_monotonic_ms());
    else
        broker_stop_in(s->folder);
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

/* Somebody else may take the port between the look and the start. */
static int start_fresh(struct slot *s, struct broker_options *b, int first, struct errmsg *em)
{
    for (int tries = 0; tries < CELLS_PORT_TRIES && !s->broker; tries++) {
        b->port = broker_free_port(b->host, first);
        if (b->port < 0)
            return broker_no_port(b->host, em);
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
    if (s->url[0] == '\0') {
        snprintf(s->url, sizeof s->url, "%s", url);
        s->number = pilot_foreign(url);
    }
    int rv = mqtt_parse_url(url, &parsed, em);
    if (rv < 0)
        return rv;
    bool tls = parsed.scheme == MQTT_TLS;
    struct kicker_options kicks = {.url = url,
                                   .pass = tls ? &s->cells->pass : NULL,
                                   .keys = s->cells->keys,
                                   .context = s->cells,
                                   .blocked = is_blocked};
    s->cell = cell_new(url, &s->cells->marks, &s->cells->pass.link, &heard);
    s->kicker = kicker_new(&kicks);
    return s->cell && s->kicker ? 0 : errmsg_set(em, ERR_NO_MEMORY, "out of memory");
}

static bool is_blocked(void *context, const struct key_id *agent)
{
    return cells_blocks(context, agent);
}

static void on_message(void *context, const char *topic, struct span payload)
{
    struct slot *s = context;
    const struct cells_handler *h = &s->cells->handler;
    h->message(h->context, s->index, topic, payload);
}

static int on_next(void *context, enum cell_lane lane, uint64_t after, uint64_t behind,
                   struct cell_publication *out)
{
    struct slot *s = context;
    const struct cells_handler *h = &s->cells->handler;
    return h->next(h->context, s->index, lane, after, behind, out);
}

/* ---- what there is ---- */

size_t cells_wanted(const struct daemon_options *o, struct ledger *ledger)
{
    size_t wanted = own_cells(o, (unsigned)ledger_setting(ledger, LEDGER_CELLS)) + o->broker_count;
    return wanted > 0 ? wanted : 1;
}

size_t cells_count(const struct cells *c)
{
    return c->count;
}

const char *cells_url(const struct cells *c, size_t i)
{
    return c->slots[i].url;
}

static const char *url_of(const struct cells *c, uint32_t number)
{
    size_t i = 0;
    while (c->slots[i].number != number)
        i++;
    return c->slots[i].url;
}

uint32_t cells_order(const struct cells *c, const struct key_id *agent,
                     const char *urls[static ATLAS_HOMES])
{
    uint32_t order[ATLAS_HOMES];
    uint32_t count = atlas_order(&c->homes.now, agent, ATLAS_HOMES, order);
    for (uint32_t i = 0; i < count; i++)
        urls[i] = url_of(c, c->homes.now.cells[order[i]].number);
    return count;
}

bool cells_serve(struct cells *c, size_t i, const struct key_id *agent)
{
    return homes_serve(&c->homes, c->slots[i].number, agent);
}

bool cells_served(struct cells *c, size_t i, const struct key_id *agent)
{
    return homes_served(&c->homes, c->slots[i].number, agent);
}

void cells_heard(struct cells *c, size_t i, uint32_t number)
{
    whereabouts_note(&c->whereabouts, number, i);
}

struct atlas_info cells_atlas(const struct cells *c)
{
    return (struct atlas_info){.number = c->homes.now.number, .moving = c->homes.moving};
}

int cells_tend(struct cells *c, struct ledger *ledger, uint32_t epoch, uint64_t now_s,
               struct errmsg *em)
{
    struct pilot pilot = pilot_of(c, epoch, now_s);
    int rv = pilot_tend(&pilot, &c->homes, ledger, em);
    if (rv == 1)
        begin_stage(c);
    return rv < 0 ? rv : 0;
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
        .agents = c->whereabouts.counts[i],
    };
}

/* ---- whom they let in ---- */

/* The new rules are in force before the first link is cut, or it would just be made again. */
int cells_block(struct cells *c, const struct blocked_agent *blocked, size_t count, uint64_t now_s,
                struct errmsg *em)
{
    struct admission *next = admission_new(BROKER_CELL);
    int rv = next ? admission_set(next, c->keys, blocked, count, now_s, em)
                  : errmsg_set(em, ERR_NO_MEMORY, "out of memory");
    if (rv == 0)
        rv = file_all(c, next, now_s, em);
    for (size_t i = 0; rv == 0 && i < count; i++)
        rv = kick(c, &blocked[i], em);
    if (rv < 0) {
        admission_free(next);
        return rv;
    }
    admission_free(c->admission);
    c->admission = next;
    return 0;
}

bool cells_blocks(const struct cells *c, const struct key_id *agent)
{
    return admission_find(c->admission, agent) != NULL;
}

bool cells_are_own(const struct cells *c, size_t i)
{
    return c->slots[i].broker != NULL;
}

bool cells_vouch(const struct cells *c, size_t i)
{
    return cells_are_own(c, i) && !c->options->plain && cell_abreast(c->slots[i].cell);
}

void cells_renew(struct cells *c, uint64_t now_s)
{
    struct errmsg em = {.text = "no certificate for the manager"};
    int rv = pass_renew(&c->pass, c->keys, now_s);
    bool due = certificates_version(c->keys, now_s) != c->filed;
    if (rv == 0 && due)
        rv = admission_renew(c->admission, c->keys, now_s, &em);
    if (rv == 0 && due)
        rv = file_all(c, c->admission, now_s, &em);
    if (rv < 0 && !c->complained)
        log_event(LOG_ERROR, "certificates-not-renewed", "what=\"%s\"", em.text);
    c->complained = rv < 0;
}

/* Tells those whose folder has something new. What can't be written now is written by the next try,
 * and a Mosquitto that starts meanwhile reads what is there. */
static int file_all(struct cells *c, const struct admission *admission, uint64_t now_s,
                    struct errmsg *em)
{
    for (size_t i = 0; i < c->count; i++) {
        struct slot *s = &c->slots[i];
        int rv = s->broker ? file_papers(s, admission, now_s, em) : 0;
        if (rv < 0)
            return rv;
        if (rv == 1)
            broker_reload(s->broker);
    }
    c->filed = certificates_version(c->keys, now_s);
    return 0;
}

static int kick(struct cells *c, const struct blocked_agent *agent, struct errmsg *em)
{
    const struct blocked_agent *before = admission_find(c->admission, &agent->id);
    for (size_t i = 0; i < c->count; i++)
        if (is_cut_off_anew(&c->slots[i], agent, before) &&
            kicker_add(c->slots[i].kicker, agent) < 0)
            return errmsg_set(em, ERR_NO_MEMORY, "out of memory");
    return 0;
}

/* Others' brokers are given no list for a short time: there it would come back at once. */
static bool is_cut_off_anew(const struct slot *s, const struct blocked_agent *agent,
                            const struct blocked_agent *before)
{
    if (s->broker)
        return !before;
    return !agent->for_now && (!before || before->for_now);
}

/* ---- the poll loop ---- */

void cells_watch(const struct cells *c, struct pollfd *fds)
{
    for (size_t i = 0; i < c->count; i++, fds += CELLS_FDS_EACH) {
        const struct slot *s = &c->slots[i];
        int process = s->broker ? broker_descriptor(s->broker) : -1;
        cell_watch(s->cell, fds);
        kicker_watch(s->kicker, fds + MQTT_FDS);
        fds[2 * MQTT_FDS] = (struct pollfd){.fd = process, .events = POLLIN};
    }
}

void cells_service(struct cells *c, const struct pollfd *fds, bool all, uint64_t now_ms)
{
    uint64_t clock_ms = clock_monotonic_ms();
    uint64_t until_ms = clock_ms + HEAR_MS_MAX, pause_ms = clock_ms + PAUSE_MS;
    size_t first = c->first, late = c->count;
    for (size_t i = 0; i < c->count; i++) {
        size_t at = (first + i) % c->count;
        if (clock_ms >= pause_ms) {
            c->handler.pause(c->handler.context);
            pause_ms = clock_ms + PAUSE_MS;
        }
        bool hears = i == 0 || clock_ms < until_ms;
        if (!hears && late == c->count)
            late = at;
        service_slot(&c->slots[at], fds + at * CELLS_FDS_EACH, hears, all, now_ms);
        clock_ms = clock_monotonic_ms();
    }
    c->first = late < c->count ? late : 0;
}

static void service_slot(struct slot *s, const struct pollfd *fds, bool hears, bool all,
                         uint64_t now_ms)
{
    const struct pollfd *kicks = fds + MQTT_FDS;
    if (s->broker && (all || fds[2 * MQTT_FDS].revents || now_ms >= broker_deadline_ms(s->broker)))
        service_broker(s, now_ms);
    if (all || (hears && showed(fds, MQTT_FDS)) || now_ms >= cell_deadline_ms(s->cell))
        cell_service(s->cell, hears ? fds : NULL, now_ms);
    kicker_hold(s->kicker, !s->broker && !cell_up(s->cell));
    if (all || showed(kicks, MQTT_FDS) || now_ms >= kicker_deadline_ms(s->kicker))
        kicker_service(s->kicker, kicks, now_ms);
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
        uint64_t kicker = kicker_deadline_ms(s->kicker);
        uint64_t mine = broker < cell ? broker : cell;
        mine = kicker < mine ? kicker : mine;
        first = mine < first ? mine : first;
    }
    return first;
}

bool cells_feed(struct cells *c, bool news)
{
    bool more = false;
    for (size_t i = 0; i < c->count; i++)
        more |= cell_feed(c->slots[i].cell, news);
    return more;
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
