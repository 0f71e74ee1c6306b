/*
 * member: one agent of many in a process: the real core, a connection of its own or a seat on a
 * shared one, and what a device keeps, as small as can be. Its hooks are a script, its disk never
 * fails. It knows nothing of the others.
 */
#ifndef DUNLIN_SIMULATOR_LOAD_MEMBER_H
#define DUNLIN_SIMULATOR_LOAD_MEMBER_H

#include "agent/core/agent.h"
#include "crypto/token.h"
#include "simulator/load/board.h"
#include "simulator/load/lore.h"
#include "simulator/load/trunk.h"

/* A device that gets no answer asks again. */
#define MEMBER_JOIN_AGAIN_MS 15000
/* And one that wasn't let in comes again. */
#define MEMBER_KNOCK_AGAIN_MS 500
/* Each of so many checks the signature of what is its own alone; the others believe it. */
#define MEMBER_CHECKS_EVERY 32

struct crowd;
struct fetch;

enum member_state { MEMBER_BLANK, MEMBER_JOINING, MEMBER_JOINED, MEMBER_RUNNING };

/* While a floor is measured, its line belongs to a bare client. */
enum bare_state { BARE_NOT, BARE_BUSY, BARE_DONE };

/* One job at a time, which its script brings to an end at once. */
struct member_job {
    bool busy;
    uint8_t type; /* enum agent_action_type */
    uint8_t hook;
    struct digest bundle;
};

struct member {
    struct agent core;
    struct line line;
    struct trunk *trunk; /* where it has its seat; NULL: its line is its own */
    uint32_t open;       /* of what it said there, not acknowledged */
    uint32_t will;       /* the session whose last will the next trunk has to say; 0: none */
    uint32_t index;      /* in its crowd */
    uint32_t number;     /* 0: not joined */
    uint8_t state;       /* enum member_state */
    uint32_t atlas;      /* that the cells are from */
    uint8_t cell_count;
    uint8_t cells[CELLS_MAX]; /* of the crowd's table */
    uint16_t cell;            /* of the newest connection */
    bool greeting;            /* it counts there as one that is not greeted yet */
    bool met;                 /* the goal of the phase */
    bool checks;
    uint8_t bare;     /* enum bare_state, … */
    uint8_t chunks;   /* … and how many it waits for */
    uint32_t heap_at; /* in the crowd's heap, from 1; 0: no timer */
    uint32_t next;    /* behind it in the line of those that want to connect, from 1 */
    uint64_t wake_ms;
    uint64_t due_ms;   /* when the core wants to be woken */
    uint64_t spoke_ms; /* when it said something last, for MQTT's keep-alive */
    uint64_t since_us; /* when it began to connect */
    uint32_t session;
    uint32_t told; /* statuses sent since the goal was set */

    /* What a device keeps. */
    struct key_id id;
    struct mac_key mac;
    struct lore_document *document; /* NULL: none yet */
    const struct lore_trust *trust;
    struct lore_place *place;
    struct revision assigned;
    uint64_t assigned_s;
    struct key_id assignment_signer;
    bool removed, cordoned;
    uint32_t seq_ceiling;
    uint64_t floor_s;
    uint64_t certificate_from_s, certificate_until_s;
    uint8_t *certificate; /* kept where links need it */
    size_t certificate_len;
    uint32_t held_count;
    struct held *held;

    struct member_job job;
    struct fetch *fetch;
    struct join_id attempt;
    bool asked; /* it has sent its request to join */
    bool subscribed[AGENT_TOPIC_COUNT];
    struct topic_mark {
        struct cohort_key cohort;
        uint32_t number;        /* lane, or version */
    } marks[AGENT_TOPIC_COUNT]; /* where that was */
};

/* A device with this key that has never been switched on. */
void member_init(struct crowd *c, struct member *m, uint32_t index);
void member_free(struct crowd *c, struct member *m);

/* Blank devices: begin to join. Joined ones: begin to run. */
void member_join(struct crowd *c, struct member *m);
void member_start(struct crowd *c, struct member *m);
/* Its time has come. */
void member_wake(struct crowd *c, struct member *m);
/* Its turn to connect. */
void member_connect(struct crowd *c, struct member *m);
/* The link is lost without a word. */
void member_cut(struct crowd *c, struct member *m);

/* What its line tells. */
void member_opened(struct crowd *c, struct member *m);
void member_packet(struct crowd *c, struct member *m, const struct packet *p);
void member_down(struct crowd *c, struct member *m);

/* ---- the parts of a member, each in its file ---- */

/* What came and is to be kept when the core says so. */
struct incoming {
    struct lore_document *document;
    const struct lore_trust *trust;
    const struct assignment *assignment;
    struct lore_place *place;
    struct key_id signer;
};

/* member.c: one event, and what follows from it. */
void member_feed(struct crowd *c, struct member *m, struct agent_event *ev,
                 const struct incoming *in);

/* member_join.c */
void member_join_opened(struct crowd *c, struct member *m);
void member_join_packet(struct crowd *c, struct member *m, const struct packet *p);
void member_join_down(struct crowd *c, struct member *m);
void member_join_wake(struct crowd *c, struct member *m);

/* member_link.c: what goes to the broker, and what comes from it. */
void member_link_greet(struct crowd *c, struct member *m);
void member_link_packet(struct crowd *c, struct member *m, const struct packet *p);
void member_link_perform(struct crowd *c, struct member *m, const struct agent_action *a);

/* member_seat.c: the connection, its own or a trunk that it shares. */
bool seat_is_up(const struct member *m);
bool seat_is_settled(const struct member *m); /* and all it said is acknowledged */
void seat_connect(struct crowd *c, struct member *m);
/* Without a word. Whether there was any; on a trunk the others stay. */
bool seat_cut(struct crowd *c, struct member *m);
void seat_publish(struct crowd *c, struct member *m, const char *topic, struct span payload);
void seat_subscribe(struct crowd *c, struct member *m, const char *const *topics, size_t count);
void seat_unsubscribe(struct crowd *c, struct member *m, const char *const *topics, size_t count);
/* All trunks' links are lost; nobody is told. */
void trunks_cut(struct crowd *c);
void trunks_opened(struct crowd *c, struct trunk *t);
void trunks_packet(struct crowd *c, struct trunk *t, const struct packet *p);
void trunks_down(struct crowd *c, struct trunk *t);

/* floor.c: the bare client in its place. */
void floor_play(struct crowd *c, struct member *m, enum floor_type what);
void floor_opened(struct crowd *c, struct member *m);
void floor_packet(struct crowd *c, struct member *m, const struct packet *p);
void floor_down(struct crowd *c, struct member *m);

/* member_fetch.c: content, for those that fetch it for real. */
void fetch_begin(struct crowd *c, struct member *m);
void fetch_again(struct crowd *c, struct member *m); /* the link is new */
/* When what is missing is asked for once more, as agents do. */
uint64_t fetch_due_ms(const struct member *m);
void fetch_wake(struct crowd *c, struct member *m);
void fetch_take(struct crowd *c, struct member *m, const struct digest *name, struct span frame);
void fetch_stop(struct crowd *c, struct member *m);

#endif
