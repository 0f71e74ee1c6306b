/*
 * link: the agent's one connection to its fleet: it connects and subscribes as the core says, turns
 * what comes into events whose signatures hold, and hands chunks on. It knows nothing of what an
 * event leads to.
 */
#ifndef DUNLIN_AGENT_LINK_H
#define DUNLIN_AGENT_LINK_H

#include "agent/fetch.h"
#include "agent/store.h"
#include "sync/mqtt.h"

/* Topics that an agent may be subscribed to, chunks aside. */
enum link_topic {
    LINK_COHORT_HEAD,
    LINK_AGENT_HEAD,
    LINK_DOCUMENT,
    LINK_ASSIGNMENT,
    LINK_TRUST,
    LINK_ATLAS,
    LINK_TOPIC_COUNT,
};

/* So long the door may take to answer a request for a certificate. */
#define LINK_KNOCK_MS 20000

/* Called from inside link_service; what `ev`, `in` and `frame` point to lives until the return. */
struct link_handler {
    void *context;
    /* type, rv, topic and the message are set; the rest is the caller's. */
    void (*event)(void *context, struct agent_event *ev, const struct store_incoming *in);
    void (*chunk)(void *context, const struct digest *name, struct span frame);
    /* A broker has acknowledged what link_note gave this number; may be NULL. */
    void (*published)(void *context, int message);
};

/* About 45 KiB: keep it in static memory. */
struct link {
    const struct store *store;
    struct link_handler handler;
    struct mqtt *mqtt; /* a new one for each connection, NULL before the first */
    struct mqtt_tls tls;
    struct tls_memory memory; /* of the newest greeting by a cell */
    bool up;
    bool at_door;     /* the connection is to the fleet's door */
    bool connecting;  /* link_connect or link_knock was called; the next link_service does it */
    bool leaving;     /* link_leave was called; the end of link_service does it */
    bool unreachable; /* it failed at once; the next link_service tells */
    bool closing;     /* nothing is handed on any more */
    bool answered;    /* the door has; the end of link_service goes away */
    int answer;       /* 0, or why there is no certificate */
    uint64_t knock_until_ms;
    uint64_t nonce;         /* of the newest request for a certificate; 0: none */
    struct join_id attempt; /* its name, at the door */
    int goodbye;            /* message id of the good-bye; 0: none, or it has been acknowledged */
    uint32_t session;
    uint32_t refused;                      /* messages of this connection */
    char broker[CELL_URL_MAX + 1];         /* of the newest connection: cells may change */
    char reason[160];                      /* why it is down, as last logged */
    struct topic topics[LINK_TOPIC_COUNT]; /* subscribed to; empty: not */
    union {
        struct desired document;
        struct assignment assignment;
        struct trust trust;
        struct atlas atlas;
    } message; /* the one that is being handed on */
};

/* `store` and `folder`, the agent's DIR, are borrowed; it has joined. */
void link_init(struct link *l, const struct store *store, const char *folder,
               const struct link_handler *handler);
/* Tells the fleet that the agent goes on purpose, waits a moment for the answer, and closes. */
void link_close(struct link *l);
/* Closes without a word: the agent is back in a moment. */
void link_part(struct link *l);

/* The same, as soon as link_service is not under way: for good, no event follows. */
void link_leave(struct link *l);

/* Starts to connect; AGENT_LINK_UP or AGENT_LINK_DOWN follows. */
void link_connect(struct link *l, uint32_t cell, uint32_t session, struct agent_time time);
/* Asks at the fleet's door for the next certificate; AGENT_LINK_DOWN follows, after
 * AGENT_CERTIFICATE when it was granted. */
void link_knock(struct link *l, struct agent_time time);
/* Asks for it on the link that is up. AGENT_CERTIFICATE may follow. */
void link_renew(struct link *l);
void link_subscribe(struct link *l, enum agent_topic topic, uint8_t lanes_log2);
void link_unsubscribe(struct link *l, enum agent_topic topic);
void link_send(struct link *l, const struct status *status);
/* Sends what is MACed already; its number, or a negative code when there is no connection. */
int link_note(struct link *l, struct span bytes);
/* Asks for chunks, and no longer asks. ERR_BUSY when there is no connection. */
int link_ask(struct link *l, const struct digest *names, size_t count);
void link_drop(struct link *l, const struct digest *names, size_t count);

/* What there is of a connection is given up, without a word; AGENT_LINK_DOWN follows. */
void link_break(struct link *l);

/* The network that the link goes by has changed: without a sign of life from the broker
 * AGENT_LINK_DOWN follows, with ERR_TIMEOUT. */
void link_probe(struct link *l);

/* For the poll loop, as in sync/mqtt.h. */
void link_watch(const struct link *l, struct pollfd fds[static MQTT_FDS]);
/* How long link_service can wait, in milliseconds; -1: as long as it likes. */
int link_wait_ms(const struct link *l);
void link_service(struct link *l, const struct pollfd *fds);

/* ---- link_renewal.c: what link.c needs of it ---- */

/* The door has let us in: asks. */
void link_renewal_begin(struct link *l);
/* An answer, or what pretends to be one. */
void link_renewal_take(struct link *l, struct span payload);

#endif
