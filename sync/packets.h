/*
 * packets: follows the MQTT packets in a byte stream that comes from a broker, and ends it where a
 * broker says what nobody asked for: packets that are longer than any of ours, of a kind that a
 * client doesn't get, or with QoS 2, which a library would have to keep. It looks at fixed headers
 * only, and keeps nothing.
 */
#ifndef DUNLIN_SYNC_PACKETS_H
#define DUNLIN_SYNC_PACKETS_H

#include "base/err.h"
#include "base/span.h"

/* The answer to the longest subscription: a byte for each topic, and two. */
#define PACKETS_SUBACK_MAX 1024

/* All-zero is: before the first packet. */
struct packets {
    uint32_t body_left; /* of the packet that has begun */
    uint32_t length;    /* as far as the fixed header has come (MQTT 3.1.1, 2.2) */
    unsigned header_bytes;
    uint8_t head; /* the header's first byte: type and flags */
};

/* The next bytes, in pieces of any size. ERR_RANGE or ERR_FORMAT with a sentence; then the stream
 * is not to be read any further. `body_max` is for what is published. */
int packets_follow(struct packets *p, struct span bytes, uint32_t body_max, struct errmsg *em);

#endif
