/*
 * mqtt_fixture: real brokers on free ports of the loopback, and clients that write down what they
 * hear, in one poll loop. One test program includes it: it brings the program's clocks with it.
 */
#ifndef DUNLIN_TEST_MQTT_FIXTURE_H
#define DUNLIN_TEST_MQTT_FIXTURE_H

#include "base/clock.h"
#include "sync/mqtt.h"
#include "test/real_broker.h"

#define CLIENTS_MAX 4

/* ---- time that a test can put forward; the calendar stands still ---- */

static uint64_t ahead_ms;

uint64_t clock_monotonic_ms(void)
{
    return real_ms() + ahead_ms;
}

uint64_t clock_wall_s(void)
{
    return 0;
}

/* ---- clients that write down what they hear ---- */

enum in_handler { JUST_LISTEN, FREE, DISCONNECT, CONNECT_AGAIN, PUBLISH };

struct client {
    struct mqtt *mqtt;
    int ups, downs, messages, acks, answers;
    bool session_present, retained;
    int last_ack;
    char topic[64];
    uint8_t *payload; /* of the last message */
    size_t payload_len;
    char reason[200];
    enum in_handler on_message, on_down;
    const char *url;
};

static struct client clients[CLIENTS_MAX];

static inline void obey(struct client *c, enum in_handler what)
{
    switch (what) {
    case FREE:
        mqtt_free(c->mqtt);
        c->mqtt = NULL;
        break;
    case DISCONNECT:
        mqtt_disconnect(c->mqtt);
        break;
    case CONNECT_AGAIN:
        mqtt_disconnect(c->mqtt);
        CU_ASSERT_EQUAL(mqtt_publish(c->mqtt, "t", span_text("x"), 0, false), ERR_BUSY);
        CU_ASSERT_EQUAL(mqtt_connect(c->mqtt, c->url, NULL), 0);
        break;
    case PUBLISH:
        CU_ASSERT_TRUE(mqtt_publish(c->mqtt, "answer", span_text("y"), 1, false) > 0);
        break;
    case JUST_LISTEN:
        break;
    }
}

static inline void on_up(void *context, bool session_present)
{
    struct client *c = context;
    c->ups++;
    c->session_present = session_present;
}

static inline void on_down(void *context, const char *reason)
{
    struct client *c = context;
    c->downs++;
    snprintf(c->reason, sizeof c->reason, "%s", reason);
    obey(c, c->on_down);
}

static inline void on_message(void *context, const char *topic, struct span payload, bool retained)
{
    struct client *c = context;
    c->messages++;
    c->retained = retained;
    snprintf(c->topic, sizeof c->topic, "%s", topic);
    free(c->payload);
    c->payload = malloc(payload.len + 1);
    if (payload.len > 0)
        memcpy(c->payload, payload.data, payload.len);
    c->payload_len = payload.len;
    obey(c, c->on_message);
}

static inline void on_published(void *context, int mid)
{
    struct client *c = context;
    c->acks++;
    c->last_ack = mid;
}

static inline void on_subscribed(void *context, int mid)
{
    struct client *c = context;
    (void)mid;
    c->answers++;
}

static inline struct client *client_new(int slot, const struct mqtt_options *options)
{
    struct client *c = &clients[slot];
    struct mqtt_handler handler = {
        .context = c,
        .up = on_up,
        .down = on_down,
        .message = on_message,
        .published = on_published,
        .subscribed = on_subscribed,
    };
    struct mqtt_options plain = {.client_id = slot == 0 ? "zero" : "one", .keepalive_s = 60};
    *c = (struct client){0};
    c->mqtt = mqtt_new(options ? options : &plain, &handler);
    CU_ASSERT_PTR_NOT_NULL_FATAL(c->mqtt);
    return c;
}

/* The library's, or -1. */
static inline int descriptor(const struct client *c)
{
    struct pollfd fds[MQTT_FDS];
    mqtt_watch(c->mqtt, fds);
    return fds[0].fd;
}

/* One turn of a poll loop over all clients. */
static inline void turn(void)
{
    struct pollfd fds[CLIENTS_MAX][MQTT_FDS];
    nfds_t count = 0;
    for (int i = 0; i < CLIENTS_MAX; i++)
        if (clients[i].mqtt)
            mqtt_watch(clients[i].mqtt, fds[count++]);
    poll(fds[0], count * MQTT_FDS, 20);
    count = 0;
    for (int i = 0; i < CLIENTS_MAX; i++)
        if (clients[i].mqtt)
            mqtt_service(clients[i].mqtt, fds[count++]);
}

/* Turns until the condition holds; fails the test when it never does. */
#define WAIT(condition)                                                                            \
    do {                                                                                           \
        uint64_t wait_until_ms = real_ms() + PATIENCE_MS;                                          \
        while (!(condition) && real_ms() < wait_until_ms)                                          \
            turn();                                                                                \
        CU_ASSERT_TRUE(condition);                                                                 \
    } while (0)

static inline struct client *client_up(int slot, const struct real_broker *b,
                                       const struct mqtt_options *options)
{
    struct client *c = client_new(slot, options);
    CU_ASSERT_EQUAL(mqtt_connect(c->mqtt, b->url, NULL), 0);
    WAIT(c->ups == 1);
    return c;
}

static inline void subscribe(struct client *c, const char *topic)
{
    int before = c->answers;
    CU_ASSERT_TRUE(mqtt_subscribe(c->mqtt, &topic, 1, 1) > 0);
    WAIT(c->answers == before + 1);
}

/* Publishes with QoS 1 and waits for the broker's acknowledgement. */
static inline void publish(struct client *c, const char *topic, struct span payload, bool retain)
{
    int mid = mqtt_publish(c->mqtt, topic, payload, 1, retain);
    CU_ASSERT_TRUE(mid > 0);
    WAIT(c->last_ack == mid);
}

static inline void end(struct real_broker *b)
{
    for (int i = 0; i < CLIENTS_MAX; i++) {
        mqtt_free(clients[i].mqtt);
        free(clients[i].payload);
        clients[i] = (struct client){0};
    }
    real_broker_stop(b);
}

static inline bool heard(const struct client *c, const char *payload)
{
    return span_equal(span_of(c->payload, c->payload_len), span_text(payload));
}

#endif
