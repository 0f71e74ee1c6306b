/*
 * broker: a model of one MQTT broker and the links to it: retained messages, sessions, wills.
 * What goes over one link arrives late but in order, and a link that is lost takes with it what was
 * under way. It knows nothing of what the messages say.
 */
#ifndef DUNLIN_SIMULATOR_WORLD_BROKER_H
#define DUNLIN_SIMULATOR_WORLD_BROKER_H

#include "base/span.h"
#include "crypto/certificate.h"
#include "simulator/world/stage.h"

#define BROKER_NAME_MAX 40
/* A silent link is noticed after one and a half times the keep-alive, as MQTT 3.1.1 says. */
#define BROKER_PATIENCE_MS(keepalive_s) ((uint64_t)(keepalive_s)*1500)
/* How long an attempt to reach a dead broker takes. */
#define BROKER_REFUSED_MS 1000

struct broker;
/* One end of a link: a client identifier, used by one process at a time. */
struct client;

/* What a client hears, always from the stage's events. */
struct client_handler {
    void *context;
    void (*up)(void *context);
    void (*down)(void *context); /* lost, or could not be made; once for each client_connect */
    void (*message)(void *context, const char *topic, struct span payload);
};

struct broker_options {
    uint32_t delay_ms_min; /* of each message, one way */
    uint32_t delay_ms_max;
    unsigned cuts_per_mille;       /* of messages that are lost with their link */
    unsigned duplicates_per_mille; /* of messages to and from clients without a session */
};

/* What TLS decides by: the authorities that followed one another, today's first. */
#define BROKER_AUTHORITIES_MAX (1 + CERTIFICATE_STEPS_MAX)
struct broker_papers {
    uint32_t count; /* whoever knows one of them is led to today's */
    uint32_t taken; /* certificates by so many of them let in */
    struct key_id authorities[BROKER_AUTHORITIES_MAX];
};
struct broker_papers *broker_papers(struct broker *b);
/* Whether it is believed by who knows these, … */
bool broker_leads(const struct broker *b, const struct key_id *authorities, size_t count);
/* … and takes a certificate by the authority that is called so. */
bool broker_takes(const struct broker *b, const char *issuer);

struct broker *broker_open(struct stage *stage, const struct broker_options *options);
void broker_close(struct broker *b);
struct broker_options *broker_options(struct broker *b);

/* The broker's process dies: links are lost; wills are sent only if `wills`. */
void broker_kill(struct broker *b, bool wills);
/* It runs again, with what was retained and queued (`memory`) or with nothing. */
void broker_restart(struct broker *b, bool memory);

/* What is retained under a topic, or SPAN_NONE. Borrowed until the next publication. */
struct span broker_retained(const struct broker *b, const char *topic);
/* A message from nowhere, as an intruder on the broker would send it. */
void broker_inject(struct broker *b, const char *topic, struct span payload, bool retain);

/* Hears everything that is published, before anybody else does; NULL: nobody. */
typedef void broker_tap_fn(void *context, const char *topic, struct span payload);
void broker_tap(struct broker *b, broker_tap_fn *tap, void *context);

/*
 * The n-th message (a publication on its way to or from the broker; from 1) that is sent from now
 * on is lost, alone or (`cut`) with its link. A client with a session always loses the link: its
 * messages are acknowledged. 0: none.
 */
void broker_lose(struct broker *b, uint64_t n, bool cut);
/* True when that has happened. */
bool broker_lost(const struct broker *b);

/* ---- the client's side ---- */

/* `session`: the broker keeps subscriptions and messages while the client is away. */
struct client *broker_client(struct broker *b, const char *name, bool session,
                             const struct client_handler *handler);

/* Starts to connect; `up` or `down` follows. A NULL topic: no will. */
void client_connect(struct client *c, uint32_t keepalive_s, const char *will_topic,
                    struct span will);
void client_subscribe(struct client *c, const char *topic);
void client_unsubscribe(struct client *c, const char *topic);
void client_publish(struct client *c, const char *topic, struct span payload, bool retain);
/* Says good-bye: no will, and nothing is heard any more. */
void client_close(struct client *c);
/* The network between them is gone for a moment: both ends notice. */
void client_cut(struct client *c);
/* The client's machine is gone: it hears nothing any more, and the broker notices late. */
void client_vanish(struct client *c);
bool client_is_up(const struct client *c);

#endif
