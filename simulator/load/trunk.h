/*
 * trunk: one session with a broker that many share: who has said what is not acknowledged yet, and
 * who listens on which topic. It knows seats by number, and nothing of who sits there.
 *
 * Each seat asks the broker for itself, so that as many requests and retained messages go as if all
 * had sessions of their own. A retained message answers all that wait for one on its topic; any
 * other goes to all that listen. The broker is asked to be silent when the last one leaves.
 */
#ifndef DUNLIN_SIMULATOR_LOAD_TRUNK_H
#define DUNLIN_SIMULATOR_LOAD_TRUNK_H

#include "simulator/load/hub.h"

/* On average: MQTT numbers what is not acknowledged with 16 bits, and a seat has up to four such
 * packets under way. */
#define TRUNK_SEATS_MAX 10000

struct trunk_ear {
    uint32_t seat;
    bool waits; /* for the topic's retained message */
};

struct trunk_channel {
    uint64_t key; /* of the topic; 0: this place is free */
    uint32_t count, cap;
    struct trunk_ear *ears;
};

/* All-zero is one without a connection. */
struct trunk {
    struct line line;
    bool was_up; /* once */
    uint32_t seat_count, seat_cap;
    uint32_t *seats; /* who shares it */
    uint32_t owed_first, owed_count, owed_cap;
    struct trunk_owed *owed; /* a ring: acknowledgements come in the order of what they answer */
    uint32_t channel_count, channel_cap;
    struct trunk_channel *channels; /* a hash table; topics stay, as most are asked for again */
};

/* Takes a seat. The caller knows that nobody sits twice. */
void trunk_sit(struct trunk *t, uint32_t seat);
/* What was said, and who listens, is forgotten, as the link is lost; the caller cuts the line.
 * Those who sat there are in `seats` until the next trunk_sit; how many. */
uint32_t trunk_clear(struct trunk *t);
void trunk_free(struct trunk *t);

/* What a seat says, as on a line of its own. Each is acknowledged by one packet. */
void trunk_publish(struct hub *h, struct trunk *t, uint32_t seat, const char *topic,
                   struct span payload);
void trunk_subscribe(struct hub *h, struct trunk *t, uint32_t seat, const char *const *topics,
                     size_t count);
/* Others may still listen there: says how many packets went out, one or none. */
unsigned trunk_unsubscribe(struct hub *h, struct trunk *t, uint32_t seat, const char *const *topics,
                           size_t count);

/* Hands what came to whom it is for. Who is given something may say something and leave topics, and
 * must not clear the trunk. */
typedef void trunk_hand(void *context, uint32_t seat, const struct packet *p);
void trunk_take(struct trunk *t, const struct packet *p, trunk_hand *hand, void *context);

#endif
