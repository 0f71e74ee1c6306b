/*
 * crowd: the agents of one worker process: their timers, their turns to connect, and what they have
 * to come to. It decides nothing for any of them.
 */
#ifndef DUNLIN_SIMULATOR_LOAD_CROWD_H
#define DUNLIN_SIMULATOR_LOAD_CROWD_H

#include "bundles/chunk.h"
#include "bundles/manifest.h"
#include "simulator/load/board.h"
#include "simulator/load/devices.h"
#include "simulator/load/member.h"
#include "simulator/load/script.h"

/* Brokers: as many as a manager may have. */
#define CROWD_CELLS_MAX 256
/* Where devices join stands behind them in the table. */
#define CROWD_DOOR CROWD_CELLS_MAX

/* What is known of every device before it is switched on. */
struct device_seed {
    struct device_key key;
    struct token token;
};

struct crowd_options {
    struct script script;
    const struct device_seed *seeds; /* of the whole fleet; borrowed */
    const struct device_key *keys;   /* the same; NULL: links are plain */
    uint32_t first, count;           /* of this crowd */
    uint32_t trunks; /* connections that it shares; 0: each agent has its own, but for TLS's sake */
    uint32_t cells;  /* among which these are dealt out: there are at least as many */
    uint32_t greetings_max; /* of this crowd at one broker, and at the door, at a time */
    uint32_t joins_max;
    in_addr_t from; /* where its connections come from */
    uint64_t seed;
    struct board *board;
};

/* A broker, and who waits for a turn there. */
struct crowd_cell {
    char url[CELL_URL_MAX + 1];
    struct sockaddr_in at;
    uint32_t head, tail; /* of those that wait, from 1; 0: nobody */
    uint32_t greeting;   /* connections that were begun and not greeted yet */
};

struct crowd {
    struct crowd_options options;
    struct hub hub;
    struct lore lore;
    struct rng rng;
    struct order order; /* the newest goal */
    enum floor_type floor;
    uint64_t now_ms; /* as the agents see it */
    uint64_t now_us; /* as it is */
    uint64_t ahead_ms;
    uint64_t wall_s;
    uint32_t cell_count;
    struct crowd_cell cells[CROWD_CELLS_MAX + 1];
    uint32_t heap_count;
    uint32_t *heap;
    struct member *members;
    struct trunk *trunks;
    struct arena scratch;
    uint64_t scratch_room[AGENT_SCRATCH_MAX / sizeof(uint64_t)];
    struct chunk_opener *opener;
    uint8_t plain[CHUNK_MAX];
    struct manifest manifest; /* the newest one that was opened … */
    struct digest manifest_name;
};

/* The heap holds it. NULL with a sentence. */
struct crowd *crowd_new(const struct crowd_options *options, struct errmsg *em);
void crowd_free(struct crowd *c);
/* One turn: what is due, and what comes within `wait_ms`. True when the order's pipe is readable.
 */
bool crowd_turn(struct crowd *c, int wait_ms);
void crowd_obey(struct crowd *c, const struct order *o);

/* ---- for members ---- */

const struct device_seed *crowd_seed(const struct crowd *c, const struct member *m);
uint32_t crowd_agent(const struct crowd *c, const struct member *m); /* of the whole fleet */
/* At most once at a time: member_wake is called then; UINT64_MAX: never. */
void crowd_arm(struct crowd *c, struct member *m, uint64_t at_ms);
/* Its place in the table, or -1 when that is full or no address. */
int crowd_cell(struct crowd *c, const char *url);
/* member_connect is called when it is its turn, crowd_greeted when somebody else may have one: the
 * broker has answered, or won't; at the door, when the member goes. */
void crowd_want(struct crowd *c, struct member *m, unsigned cell);
void crowd_greeted(struct crowd *c, struct member *m);
/* Counts it when it has come to the goal. */
void crowd_look(struct crowd *c, struct member *m);
/* Something is not as it should be. */
void crowd_fault(struct crowd *c, const struct member *m, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
