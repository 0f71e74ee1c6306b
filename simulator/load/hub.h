/*
 * hub: the connections to brokers of one process: sockets that never block, with TLS or without,
 * and the one epoll that watches them. It carries packets and decides nothing: not when to connect,
 * not what to say.
 */
#ifndef DUNLIN_SIMULATOR_LOAD_HUB_H
#define DUNLIN_SIMULATOR_LOAD_HUB_H

#include "crypto/tls.h"
#include "simulator/load/packet.h"

#include <netinet/in.h>

/* What one call reads of a connection, and the longest packet with what came before it. */
#define HUB_ROOM (2 * (PACKET_BODY_MAX + 8))
/* Written together: what an event of one connection leads to. */
#define HUB_OUT 65536
/* What a broker doesn't take is kept; a connection with more is broken. */
#define HUB_BACKLOG_MAX (1 << 20)

enum line_state { LINE_DOWN, LINE_OPENING, LINE_SECURING, LINE_GREETING, LINE_UP };

/* One connection. All-zero is none. */
struct line {
    int fd_plus; /* the descriptor and 1 */
    uint8_t state;
    bool stuck;    /* epoll says when there is room again */
    uint16_t id;   /* of the newest packet that has one */
    uint32_t open; /* packets that the broker has not acknowledged */
    uint32_t in_len;
    uint32_t out_len;
    uint8_t *in;     /* the beginning of a packet */
    uint8_t *out;    /* what the socket did not take */
    struct tls *tls; /* NULL: plain */
};

/* What has passed; of this process. */
struct hub_counters {
    uint64_t bytes_in, bytes_out;
    uint64_t packets_in, packets_out;
    uint64_t published, received; /* of those, publications */
    uint64_t lost;                /* connections that had been greeted */
};

/* Called from inside hub_service; they may call any function here but line_open and hub_service.
 * `line` is the one that was given to line_open. */
struct hub_handler {
    void *context;
    /* How a link that is open is protected; copied at once. NULL, or NULL for an answer: it isn't.
     */
    const struct tls_options *(*secure)(void *context, struct line *line);
    void (*opened)(void *context, struct line *line); /* say CONNECT */
    void (*packet)(void *context, struct line *line, const struct packet *p);
    void (*down)(void *context, struct line *line, const char *reason);
};

struct hub {
    int epoll;
    struct hub_handler handler;
    struct hub_counters counters;
    struct line *speaker; /* whose packets are in `out` */
    struct buffer out;
    uint8_t out_room[HUB_OUT];
    uint8_t in_room[HUB_ROOM];
};

/* About half a MiB: keep it on the heap. */
int hub_init(struct hub *h, const struct hub_handler *handler, struct errmsg *em);
void hub_close(struct hub *h);
/* Also watch this, which is no connection: hub_service tells by its return that it is readable. */
int hub_listen(struct hub *h, int fd);

/* Starts to connect to `to`, from the address `from` (network order, 0: any). What goes wrong is
 * told by `down`, at once or later. */
void line_open(struct hub *h, struct line *l, const struct sockaddr_in *to, in_addr_t from);
/* The same to a socket of this machine. */
void line_open_path(struct hub *h, struct line *l, const char *path);
/* Closes without a word, as a crash would; `down` is not called. What was said since the last
 * hub_flush is lost. */
void line_cut(struct hub *h, struct line *l);
/* Says DISCONNECT, and closes. */
void line_leave(struct hub *h, struct line *l);

/* What is said on a connection; hub_flush sends it. The payload of a publication is at most
 * HUB_OUT - 256 bytes, with QoS 1. */
void line_greet(struct hub *h, struct line *l, const struct packet_connect *c);
void line_publish(struct hub *h, struct line *l, const char *topic, struct span payload,
                  bool retain);
void line_subscribe(struct hub *h, struct line *l, const char *const *topics, size_t count,
                    uint8_t qos);
void line_unsubscribe(struct hub *h, struct line *l, const char *const *topics, size_t count);
void line_ping(struct hub *h, struct line *l);

/* Sends what was said. */
void hub_flush(struct hub *h);
/* Waits at most so long for something to happen, and handles it. True when what hub_listen was
 * given is readable. */
bool hub_service(struct hub *h, int wait_ms);

#endif
