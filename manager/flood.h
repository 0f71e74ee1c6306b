/*
 * flood: how many messages each agent may send: a bucket of tokens for whoever spoke lately
 * (Turner, IEEE Communications Magazine, 1986), in a table that never grows. It knows nothing of
 * messages, and reads no clock; an agent is who its topic says.
 */
#ifndef DUNLIN_MANAGER_FLOOD_H
#define DUNLIN_MANAGER_FLOOD_H

#include "base/siphash.h"
#include "crypto/sign.h"

#include <stdbool.h>

/* A good agent says one thing a second at most, and seldom more than that in a quarter of an hour.
 */
#define FLOOD_PER_S 64
/* What waited in a broker for a manager that was away comes at once: two days of heartbeats. */
#define FLOOD_BURST 256
/* Of those whose hashes meet in a set, the ones that spoke last have a bucket; a new one is full.
 * So the table needs no room for a fleet, only for its flooders. */
#define FLOOD_SETS 1024
#define FLOOD_WAYS 4

struct flood_bucket {
    uint32_t name; /* of the agent, as far as it isn't in the set's number */
    uint32_t tokens;
    uint64_t at_ms; /* when they were counted; 0: unused */
    bool empty;     /* it ran out, and has not been full since */
};

struct flood {
    uint8_t key[SIPHASH_KEY_LEN];
    struct flood_bucket sets[FLOOD_SETS][FLOOD_WAYS];
};

enum flood_answer {
    FLOOD_ADMIT,
    FLOOD_BEGIN, /* drop it; it is the first one */
    FLOOD_DROP,
};

/* `key` keeps others from finding agents that share a set. */
void flood_init(struct flood *f, const uint8_t key[static SIPHASH_KEY_LEN]);
/* Counts one message of the agent. `now_ms` doesn't go back, and isn't 0. */
enum flood_answer flood_count(struct flood *f, const struct key_id *agent, uint64_t now_ms);

#endif
