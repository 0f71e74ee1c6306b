#include "simulator/world/broker.h"

#include "sync/topic.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum packet_type {
    PACKET_CONNECT, /* topic and data are the will */
    PACKET_CLOSE,
    PACKET_SUBSCRIBE,
    PACKET_UNSUBSCRIBE,
    PACKET_DATA,
};

/* What travels; one block of memory. */
struct packet {
    enum packet_type type;
    bool retain;
    uint64_t id; /* in a session's queue; 0: in none */
    char topic[TOPIC_MAX];
    size_t len;
    uint8_t data[];
};

/* A growing list of packets that it owns. */
struct packets {
    struct packet **list;
    size_t count;
};

struct client {
    struct broker *broker;
    struct client_handler handler;
    char name[BROKER_NAME_MAX];
    bool session;

    /* The client's end. Each link has a number; what is under way carries it. */
    uint64_t link;
    bool open;
    bool up;
    uint64_t cut_link;                   /* the newest link that was cut */
    uint64_t to_broker_ms, to_client_ms; /* when the last of what is under way arrives */

    /* The broker's end. */
    uint64_t accepted; /* the link that it believes in; 0: none */
    uint32_t keepalive_s;
    struct packet *will;
    struct packets topics; /* subscriptions */
    struct packets queue;  /* of a session: not yet acknowledged */
};

struct broker {
    struct stage *stage;
    struct broker_options options;
    struct broker_papers papers;
    bool running;
    struct packets retained;
    struct client **clients;
    size_t client_count;
    uint64_t links;
    uint64_t ids;
    uint64_t lose_in; /* messages until one is lost; 0: none is */
    bool lose_cuts;
    bool lost;
    broker_tap_fn *tap;
    void *tap_context;
};

static void arrive_at_broker(void *context, uint64_t link, void *payload);
static void arrive_at_client(void *context, uint64_t link, void *payload);
static void greet_client(void *context, uint64_t link, void *payload);
static void tell_down(void *context, uint64_t link, void *payload);
static void notice_loss(void *context, uint64_t link, void *payload);
static void end_link(struct client *c, bool will);
static uint64_t arrival(struct broker *b, uint64_t *last_ms);
static void accept_link(struct client *c, uint64_t link, const struct packet *p);
static void subscribe(struct client *c, const struct packet *p);
static void publish(struct broker *b, const char *topic, struct span payload, bool retain);
static void send_to_client(struct client *c, const struct packet *p);

/* ---- packets ---- */

static struct packet *packet_new(enum packet_type type, const char *topic, struct span data,
                                 bool retain)
{
    struct packet *p = malloc(sizeof *p + data.len);
    if (!p)
        abort();
    *p = (struct packet){.type = type, .retain = retain, .len = data.len};
    assert(strlen(topic) < sizeof p->topic);
    snprintf(p->topic, sizeof p->topic, "%s", topic);
    if (data.len)
        memcpy(p->data, data.data, data.len);
    return p;
}

static struct packet *packet_copy(const struct packet *p)
{
    struct packet *copy = packet_new(p->type, p->topic, span_of(p->data, p->len), p->retain);
    copy->id = p->id;
    return copy;
}

static struct span packet_span(const struct packet *p)
{
    return span_of(p->data, p->len);
}

static void packets_add(struct packets *ps, struct packet *p)
{
    ps->list = realloc(ps->list, (ps->count + 1) * sizeof(void *));
    if (!ps->list)
        abort();
    ps->list[ps->count++] = p;
}

static void packets_remove(struct packets *ps, size_t i)
{
    free(ps->list[i]);
    memmove(&ps->list[i], &ps->list[i + 1], (--ps->count - i) * sizeof(void *));
}

static void packets_clear(struct packets *ps)
{
    for (size_t i = 0; i < ps->count; i++)
        free(ps->list[i]);
    free(ps->list);
    *ps = (struct packets){0};
}

/* Where the topic is, or the count. */
static size_t packets_find(const struct packets *ps, const char *topic)
{
    size_t i = 0;
    while (i < ps->count && strcmp(ps->list[i]->topic, topic) != 0)
        i++;
    return i;
}

/* ---- the broker's process ---- */

struct broker *broker_open(struct stage *stage, const struct broker_options *options)
{
    struct broker *b = calloc(1, sizeof *b);
    if (!b)
        abort();
    b->stage = stage;
    b->options = *options;
    b->running = true;
    return b;
}

static void forget(struct client *c)
{
    packets_clear(&c->topics);
    packets_clear(&c->queue);
}

void broker_close(struct broker *b)
{
    for (size_t i = 0; i < b->client_count; i++) {
        forget(b->clients[i]);
        free(b->clients[i]->will);
        free(b->clients[i]);
    }
    free(b->clients);
    packets_clear(&b->retained);
    free(b);
}

struct broker_options *broker_options(struct broker *b)
{
    return &b->options;
}

struct broker_papers *broker_papers(struct broker *b)
{
    return &b->papers;
}

bool broker_leads(const struct broker *b, const struct key_id *authorities, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < b->papers.count; k++)
            if (key_id_equal(&authorities[i], &b->papers.authorities[k]))
                return true;
    return false;
}

bool broker_takes(const struct broker *b, const char *issuer)
{
    for (uint32_t i = 0; i < b->papers.taken; i++)
        if (strcmp(certificate_authority_name(&b->papers.authorities[i]).text, issuer) == 0)
            return true;
    return false;
}

/* It ends in order: the last that clients hear are the wills of all, and then the links end. */
static void say_wills(struct broker *b)
{
    for (size_t i = 0; i < b->client_count; i++) {
        struct client *c = b->clients[i];
        if (c->will)
            publish(b, c->will->topic, packet_span(c->will), false);
        free(c->will);
        c->will = NULL;
    }
}

void broker_kill(struct broker *b, bool wills)
{
    stage_trace(b->stage, "broker killed");
    if (wills)
        say_wills(b);
    for (size_t i = 0; i < b->client_count; i++) {
        struct client *c = b->clients[i];
        if (c->accepted)
            end_link(c, false);
        if (c->open && wills)
            stage_at(b->stage, arrival(b, &c->to_client_ms), tell_down, c, c->link, NULL);
        else if (c->open)
            client_cut(c);
    }
    b->running = false;
}

void broker_restart(struct broker *b, bool memory)
{
    stage_trace(b->stage, "broker restarted%s", memory ? "" : " without its memory");
    b->running = true;
    if (memory)
        return;
    packets_clear(&b->retained);
    for (size_t i = 0; i < b->client_count; i++)
        forget(b->clients[i]);
}

struct span broker_retained(const struct broker *b, const char *topic)
{
    size_t i = packets_find(&b->retained, topic);
    return i < b->retained.count ? packet_span(b->retained.list[i]) : SPAN_NONE;
}

void broker_inject(struct broker *b, const char *topic, struct span payload, bool retain)
{
    publish(b, topic, payload, retain);
}

void broker_tap(struct broker *b, broker_tap_fn *tap, void *context)
{
    b->tap = tap;
    b->tap_context = context;
}

void broker_lose(struct broker *b, uint64_t n, bool cut)
{
    b->lose_in = n;
    b->lose_cuts = cut;
    b->lost = false;
}

bool broker_lost(const struct broker *b)
{
    return b->lost;
}

/* ---- links ---- */

struct client *broker_client(struct broker *b, const char *name, bool session,
                             const struct client_handler *handler)
{
    struct client *c = calloc(1, sizeof *c);
    b->clients = realloc(b->clients, (b->client_count + 1) * sizeof(void *));
    if (!c || !b->clients)
        abort();
    c->broker = b;
    c->handler = *handler;
    c->session = session;
    snprintf(c->name, sizeof c->name, "%s", name);
    b->clients[b->client_count++] = c;
    return c;
}

/* When something that is sent now arrives: never before what was sent earlier. */
static uint64_t arrival(struct broker *b, uint64_t *last_ms)
{
    const struct broker_options *o = &b->options;
    uint64_t at = b->stage->now_ms + o->delay_ms_min +
                  rng_below(&b->stage->rng, o->delay_ms_max - o->delay_ms_min + 1);
    if (at < *last_ms)
        at = *last_ms;
    *last_ms = at;
    return at;
}

static bool chance(struct broker *b, unsigned per_mille)
{
    return per_mille && rng_below(&b->stage->rng, 1000) < per_mille;
}

/* True when this message doesn't arrive. */
static bool goes_astray(struct client *c)
{
    struct broker *b = c->broker;
    if (b->lose_in && --b->lose_in == 0) {
        b->lost = true;
        stage_trace(b->stage, "a message of %s is lost", c->name);
        if (b->lose_cuts || c->session)
            client_cut(c);
        return true;
    }
    if (!chance(b, b->options.cuts_per_mille))
        return false;
    client_cut(c);
    return true;
}

static void transfer(struct client *c, struct packet *p, bool to_broker)
{
    struct broker *b = c->broker;
    uint64_t link = to_broker ? c->link : c->accepted;
    bool data = p->type == PACKET_DATA;
    if (data && goes_astray(c)) {
        free(p);
        return;
    }
    bool twice = data && !c->session && chance(b, b->options.duplicates_per_mille);
    uint64_t *last = to_broker ? &c->to_broker_ms : &c->to_client_ms;
    stage_fn *arrive = to_broker ? arrive_at_broker : arrive_at_client;
    if (twice)
        stage_at(b->stage, arrival(b, last), arrive, c, link, packet_copy(p));
    stage_at(b->stage, arrival(b, last), arrive, c, link, p);
}

/* ---- the client's end ---- */

void client_connect(struct client *c, uint32_t keepalive_s, const char *will_topic,
                    struct span will)
{
    struct packet *p = packet_new(PACKET_CONNECT, will_topic ? will_topic : "", will, false);
    assert(!c->open);
    c->keepalive_s = keepalive_s;
    c->open = true;
    c->up = false;
    c->link = ++c->broker->links;
    transfer(c, p, true);
}

static void send(struct client *c, enum packet_type type, const char *topic, struct span payload,
                 bool retain)
{
    if (c->open && c->up)
        transfer(c, packet_new(type, topic, payload, retain), true);
}

void client_subscribe(struct client *c, const char *topic)
{
    send(c, PACKET_SUBSCRIBE, topic, SPAN_NONE, false);
}

void client_unsubscribe(struct client *c, const char *topic)
{
    send(c, PACKET_UNSUBSCRIBE, topic, SPAN_NONE, false);
}

void client_publish(struct client *c, const char *topic, struct span payload, bool retain)
{
    send(c, PACKET_DATA, topic, payload, retain);
}

void client_close(struct client *c)
{
    send(c, PACKET_CLOSE, "", SPAN_NONE, false);
    c->open = false;
    c->up = false;
}

void client_cut(struct client *c)
{
    struct broker *b = c->broker;
    if (!c->open)
        return;
    c->cut_link = c->link;
    c->up = false;
    stage_at(b->stage, arrival(b, &c->to_client_ms), tell_down, c, c->link, NULL);
    stage_at(b->stage, arrival(b, &c->to_broker_ms), notice_loss, c, c->link, NULL);
}

void client_vanish(struct client *c)
{
    struct broker *b = c->broker;
    if (c->open)
        stage_at(b->stage, b->stage->now_ms + BROKER_PATIENCE_MS(c->keepalive_s), notice_loss, c,
                 c->link, NULL);
    c->open = false;
    c->up = false;
}

bool client_is_up(const struct client *c)
{
    return c->open && c->up;
}

static bool is_ours(const struct client *c, uint64_t link)
{
    return c->open && c->link == link && c->cut_link != link;
}

static void greet_client(void *context, uint64_t link, void *payload)
{
    struct client *c = context;
    (void)payload;
    if (!is_ours(c, link))
        return;
    c->up = true;
    c->handler.up(c->handler.context);
}

static void tell_down(void *context, uint64_t link, void *payload)
{
    struct client *c = context;
    (void)payload;
    if (!c->open || c->link != link)
        return;
    c->open = false;
    c->up = false;
    c->handler.down(c->handler.context);
}

/* A message of a session is acknowledged when it has been worked on, if the broker still hears it.
 */
static void arrive_at_client(void *context, uint64_t link, void *payload)
{
    struct client *c = context;
    const struct packet *p = payload;
    if (!is_ours(c, link))
        return;
    c->handler.message(c->handler.context, p->topic, packet_span(p));
    if (!p->id || !is_ours(c, link) || c->accepted != link)
        return;
    for (size_t i = 0; i < c->queue.count; i++)
        if (c->queue.list[i]->id == p->id) {
            packets_remove(&c->queue, i);
            return;
        }
}

/* ---- the broker's end ---- */

static void arrive_at_broker(void *context, uint64_t link, void *payload)
{
    struct client *c = context;
    const struct packet *p = payload;
    struct broker *b = c->broker;
    if (c->cut_link == link)
        return;
    if (p->type == PACKET_CONNECT) {
        accept_link(c, link, p);
        return;
    }
    if (!b->running || c->accepted != link)
        return;
    if (p->type == PACKET_CLOSE) {
        end_link(c, false);
    } else if (p->type == PACKET_SUBSCRIBE) {
        subscribe(c, p);
    } else if (p->type == PACKET_UNSUBSCRIBE) {
        size_t i = packets_find(&c->topics, p->topic);
        if (i < c->topics.count)
            packets_remove(&c->topics, i);
    } else {
        publish(b, p->topic, packet_span(p), p->retain);
    }
}

/* An older link of the same name ends, as if it had been lost; only of a session that goes on there
 * is no will: so does Mosquitto 2.0. */
static void accept_link(struct client *c, uint64_t link, const struct packet *p)
{
    struct broker *b = c->broker;
    if (!b->running) {
        stage_at(b->stage, b->stage->now_ms + BROKER_REFUSED_MS, tell_down, c, link, NULL);
        return;
    }
    if (c->accepted)
        end_link(c, !c->session);
    c->accepted = link;
    c->will = p->topic[0] ? packet_new(PACKET_DATA, p->topic, packet_span(p), false) : NULL;
    stage_at(b->stage, arrival(b, &c->to_client_ms), greet_client, c, link, NULL);
    for (size_t i = 0; i < c->queue.count; i++)
        send_to_client(c, c->queue.list[i]);
}

static void notice_loss(void *context, uint64_t link, void *payload)
{
    struct client *c = context;
    (void)payload;
    if (c->accepted == link)
        end_link(c, true);
}

static void end_link(struct client *c, bool will)
{
    struct packet *p = c->will;
    c->accepted = 0;
    c->will = NULL;
    if (!c->session)
        packets_clear(&c->topics);
    if (p && will)
        publish(c->broker, p->topic, packet_span(p), false);
    free(p);
}

/* True when the subscription, in which '+' stands for one level, includes the topic. */
static bool matches(const char *subscription, const char *topic)
{
    for (; *subscription && *topic; subscription++) {
        if (*subscription == '+')
            topic += strcspn(topic, "/");
        else if (*subscription == *topic)
            topic++;
        else
            return false;
    }
    return *subscription == *topic;
}

static void send_to_client(struct client *c, const struct packet *p)
{
    transfer(c, packet_copy(p), false);
}

static void subscribe(struct client *c, const struct packet *p)
{
    const struct packets *retained = &c->broker->retained;
    if (packets_find(&c->topics, p->topic) == c->topics.count)
        packets_add(&c->topics, packet_copy(p));
    for (size_t i = 0; i < retained->count && c->accepted; i++)
        if (matches(p->topic, retained->list[i]->topic))
            send_to_client(c, retained->list[i]);
}

static void retain_message(struct broker *b, const struct packet *p)
{
    size_t i = packets_find(&b->retained, p->topic);
    if (i < b->retained.count)
        packets_remove(&b->retained, i);
    if (p->len)
        packets_add(&b->retained, packet_copy(p));
}

static void hand_on(struct client *c, struct packet *p)
{
    bool wanted = false;
    for (size_t i = 0; i < c->topics.count; i++)
        wanted |= matches(c->topics.list[i]->topic, p->topic);
    if (!wanted)
        return;
    p->id = c->session ? ++c->broker->ids : 0;
    if (c->session)
        packets_add(&c->queue, packet_copy(p));
    if (c->accepted)
        send_to_client(c, p);
}

static void publish(struct broker *b, const char *topic, struct span payload, bool retain)
{
    struct packet *p = packet_new(PACKET_DATA, topic, payload, retain);
    if (b->tap)
        b->tap(b->tap_context, topic, payload);
    if (retain)
        retain_message(b, p);
    for (size_t i = 0; i < b->client_count; i++)
        hand_on(b->clients[i], p);
    free(p);
}
