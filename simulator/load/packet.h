/*
 * packet: the packets of MQTT 3.1.1 that a device's end of a connection writes and reads.
 * It knows nothing of sockets and sessions, and allocates nothing.
 */
#ifndef DUNLIN_SIMULATOR_LOAD_PACKET_H
#define DUNLIN_SIMULATOR_LOAD_PACKET_H

#include "base/err.h"
#include "base/span.h"

/* What a broker may send us: the longest publication, with room for its topic. */
#define PACKET_BODY_MAX (262144 + 1024)
/* Topics in one request. */
#define PACKET_TOPICS_MAX 64

enum packet_type {
    PACKET_CONNECT = 1,
    PACKET_CONNACK = 2,
    PACKET_PUBLISH = 3,
    PACKET_PUBACK = 4,
    PACKET_SUBSCRIBE = 8,
    PACKET_SUBACK = 9,
    PACKET_UNSUBSCRIBE = 10,
    PACKET_UNSUBACK = 11,
    PACKET_PINGREQ = 12,
    PACKET_PINGRESP = 13,
    PACKET_DISCONNECT = 14,
};

/* One that a broker sent; what isn't of its type is zero. */
struct packet {
    enum packet_type type;
    uint8_t code; /* CONNACK: 0 accepted; SUBACK: the worst answer, 0x80 refused */
    uint8_t qos;
    bool retained;
    uint16_t id;
    struct span topic; /* both borrowed */
    struct span payload;
};

/*
 * Reads the first packet of what has come. How many bytes it takes; 0 when more have to come;
 * ERR_FORMAT for what a broker may not send to a device (QoS 2 included), ERR_RANGE for a body
 * beyond PACKET_BODY_MAX.
 */
int packet_read(struct span bytes, struct packet *p);

struct packet_connect {
    const char *client_id;
    uint16_t keepalive_s;
    const char *will_topic; /* NULL: none; else QoS 1, not retained */
    struct span will;
};

/* Each appends one packet. ERR_NO_MEMORY when it doesn't fit; then nothing was appended. */
int packet_put_connect(struct buffer *out, const struct packet_connect *c);
/* QoS 1 under this id; 0: QoS 0. */
int packet_put_publish(struct buffer *out, uint16_t id, const char *topic, struct span payload,
                       bool retain);
int packet_put_puback(struct buffer *out, uint16_t id);
int packet_put_subscribe(struct buffer *out, uint16_t id, const char *const *topics, size_t count,
                         uint8_t qos);
int packet_put_unsubscribe(struct buffer *out, uint16_t id, const char *const *topics,
                           size_t count);
/* Without a body: PINGREQ or DISCONNECT. */
int packet_put_bare(struct buffer *out, enum packet_type type);

#endif
