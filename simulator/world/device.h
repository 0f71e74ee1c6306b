/*
 * device: one simulated device: the real agent core, a disk that survives, and a driver that
 * performs what the core says in virtual time. Its power can go at any action. It joins the fleet
 * as the real program does, with a token. It decides nothing.
 */
#ifndef DUNLIN_SIMULATOR_WORLD_DEVICE_H
#define DUNLIN_SIMULATOR_WORLD_DEVICE_H

#include "simulator/world/broker.h"
#include "simulator/world/disk.h"
#include "simulator/world/shelf.h"

/* A device without power stays off for so long, when nothing else is said. */
#define DEVICE_OFF_MS 5000
/* An agent on trial is started so often. */
#define DEVICE_STARTS_MAX 3
/* A request to join is repeated when no answer comes. */
#define DEVICE_JOIN_AGAIN_MS 3000
/* So long it waits at the door for its next certificate. */
#define DEVICE_KNOCK_MS 20000
/* A fetch that gets nothing for so long, with the link up, has failed. */
#define DEVICE_FETCH_PATIENCE_MS 60000

enum device_state { DEVICE_OFF, DEVICE_JOINING, DEVICE_RUNNING };

/* What is under way besides the core: one job at a time. */
struct device_job {
    uint64_t serial; /* of the newest; an older one's end is nobody's */
    bool busy;
    enum agent_action_type type;
    enum agent_hook hook;
    char name[NAME_MAX_LEN + 1];
    struct digest bundle;
    struct digest previous;
};

/* What the world must remember of a device to find it lying; no device has it. */
struct device_past {
    uint32_t seq_sent;     /* the newest; numbers rise, also over restarts */
    uint32_t session_used; /* the newest */
    uint32_t boots;
    uint32_t hooks_run;
    struct held floor[HELD_MAX]; /* rows as last seen */
    uint32_t floor_count;
};

struct device {
    struct stage *stage;
    const struct shelf *shelf;
    struct broker *broker;
    struct client *client;
    struct token token;
    unsigned index; /* "agent 3" in the trace */
    enum device_state state;
    struct disk disk;
    struct device_past past;

    uint64_t life;      /* counts boots and cuts: what belongs to an older one is void */
    uint64_t start_ms;  /* of its monotonic clock */
    int64_t wall_off_s; /* how wrong its calendar is */
    bool no_calendar;   /* it has none at all */
    int32_t east_s;     /* its time zone */

    struct digest program; /* the bundle of the agent that runs; zero: the packaged one */
    bool proof;            /* it has read what the manager signed */

    struct agent core;
    struct arena scratch;
    uint64_t memory[AGENT_SCRATCH_MAX / sizeof(uint64_t)];
    uint64_t deadline_ms;
    struct device_job job;
    struct digests asked;                          /* chunks subscribed to */
    uint64_t heard_ms;                             /* when the fetch last got something */
    char topics[AGENT_TOPIC_COUNT + 1][TOPIC_MAX]; /* subscribed to */
    uint32_t health_tries;
    bool sweep;             /* asked for, and not done yet */
    bool left;              /* the operator took it out of the fleet */
    bool knocking;          /* at the door, with a certificate that no cell takes */
    uint64_t renewal_nonce; /* of the newest request for a certificate */

    bool was_cut; /* at `cut_at` */
    struct join_id attempt;
    struct seal_secret reply;
    enum joined_code refused; /* the sealed answer to a join, when it was a refusal */

    /* The power goes at this point (1, 2, …; 0: never) and comes back after `off_ms`. A point is
     * each store, before and after, each action, each effect, each completion. */
    uint64_t points;
    uint64_t cut_at;
    uint64_t off_ms;
};

/* The heap holds it. */
struct device *device_new(struct stage *stage, struct broker *broker, const struct shelf *shelf,
                          unsigned index, const struct token *token);
void device_free(struct device *d);

/* Power goes on; off for `off_ms` (UINT64_MAX: until device_start). */
void device_start(struct device *d);
void device_cut_power(struct device *d, uint64_t off_ms);
/* Off now, back after a while; for the parts of a device. True when that is so. */
bool device_point(struct device *d);
/* The process ends, and begins anew after a while. */
void device_stop(struct device *d, uint64_t off_ms);

/* Feeds the core one event, and what follows from it. */
void device_feed(struct device *d, struct agent_event *ev, const struct incoming *in);
uint64_t device_now_ms(const struct device *d);

/* Its name in traces: "agent 3". */
const char *device_name(const struct device *d);

/* ---- the parts of a device, each in its file ---- */

/* device_join.c: until it has a number. */
void device_join_start(struct device *d);
void device_join_up(struct device *d);
void device_join_down(struct device *d);
void device_join_message(struct device *d, const struct topic_name *name, struct span payload);

/* device_renewal.c: the next certificate. */
void device_renewal_ask(struct device *d);
void device_renewal_knock(struct device *d);
void device_renewal_up(struct device *d);
void device_renewal_down(struct device *d);
void device_renewal_take(struct device *d, struct span payload);

/* device_link.c: what goes to the broker, and what comes from it. */
void device_link_attach(struct device *d, struct broker *broker);
void device_link_perform(struct device *d, const struct agent_action *a);
/* Whether what the broker shows leads to one of these authorities. */
bool device_link_believes(struct device *d, const struct key_id *authorities, size_t count);

/* device_program.c: which agent runs, of a bundle of kind agent. */
/* At each start; false: it has ended already. */
bool device_program_start(struct device *d);
/* The job is about a bundle of that kind. */
bool device_program_concerns(const struct device *d);
int device_program_switch(struct device *d);
int device_program_hook(struct device *d);
/* It finds no broker. */
bool device_program_mute(const struct device *d);

/* device_work.c: fetches, trees, hooks. */
void device_work_begin(struct device *d, const struct agent_action *a);
void device_work_stop_fetch(struct device *d);
void device_work_link_up(struct device *d);
void device_work_chunk(struct device *d, const struct digest *name, struct span frame);
void device_work_sweep(struct device *d);

#endif
