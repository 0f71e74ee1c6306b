/*
 * control: the simulated manager: the real manager core, rows that survive, and a driver that
 * commits, answers and publishes in virtual time. It can be killed at any commit and any word. It
 * decides nothing.
 */
#ifndef DUNLIN_SIMULATOR_WORLD_CONTROL_H
#define DUNLIN_SIMULATOR_WORLD_CONTROL_H

#include "simulator/world/broker.h"
#include "simulator/world/rows.h"
#include "sync/renewal.h"

/* A killed manager comes back after so long. */
#define CONTROL_OFF_MS 3000
#define CONTROL_TICK_MS 1000
#define CONTROL_EPOCH 1
/* notary_secret() of these: the fleet's root key, and the manager's first online key. */
#define CONTROL_ROOT 1
#define CONTROL_ONLINE 129
/* Everything the manager ever said under a revision, to see that it never says something else. */
#define CONTROL_SAID_MAX 4096
#define CONTROL_DEVICES_MAX 64
/* Versions that the operator ever asked for, by deployment's name. */
#define CONTROL_ASKED_MAX 1024

struct said {
    struct digest what;  /* topic and revision */
    struct digest words; /* the payload */
};

struct asked {
    char name[NAME_MAX_LEN + 1];
    struct digest bundle;
};

/* A device's request, as long as its answer waits for the commit. */
struct request {
    struct join_id id;
    uint32_t batch;
    uint32_t index;
    struct public_key key;
    bool sealed;               /* there is such a token … */
    struct seal_secret secret; /* … and with the device's reply it makes this */
};

struct control {
    struct stage *stage;
    struct broker *broker;
    const struct shelf *shelf;
    struct client *client;

    struct secret_key signing; /* the online key */
    struct secret_key next;    /* the one after it, from the day it is trusted; all zero: none */
    struct secret_key authority;
    struct secret_key heir;      /* the authority after it, the same way … */
    bool stolen;                 /* … since this one was stolen */
    struct broker_papers papers; /* durable: what the broker shall have */
    struct mac_key master;
    struct policy policy;
    uint32_t document_life_s;
    uint32_t lane_agents_max;
    uint64_t tick_ms;  /* CONTROL_TICK_MS, unless a test passes months */
    struct rows *rows; /* durable */

    bool running;
    uint64_t life;
    struct manager *core; /* NULL while it doesn't run */
    struct arena scratch;
    uint8_t *memory;
    struct facts facts[CONTROL_DEVICES_MAX + 1]; /* durable, by agent number */
    uint32_t restores;
    uint64_t cursor; /* publications up to this serial are with the broker */

    struct buffer trust; /* the envelope of the command that is under way */
    uint8_t trust_memory[TRUST_MAX + ENVELOPE_OVERHEAD_MAX];

    struct persist *pending; /* of the open commit */
    uint32_t pending_count;

    /* The process dies at this point (1, 2, …; 0: never): before a commit, after it, after each
     * word. */
    uint64_t points;
    uint64_t kill_at;
    bool was_killed;
    uint64_t commits;
    uint64_t fail_commit; /* this one fails: the disk is full */

    uint32_t said_count;
    struct said said[CONTROL_SAID_MAX];
    uint32_t asked_count;
    struct asked asked[CONTROL_ASKED_MAX];
};

struct control_options {
    struct policy policy;
    uint32_t document_life_s;
    uint32_t lane_agents_max;
};

/* The heap holds it. It runs, with no rows yet. */
struct control *control_new(struct stage *stage, struct broker *broker, const struct shelf *shelf,
                            const struct control_options *options);
void control_free(struct control *c);

void control_kill(struct control *c, uint64_t off_ms); /* UINT64_MAX: until control_start */
void control_start(struct control *c);

/* A manager that doesn't run starts with these rows, which it takes over. */
void control_put_back(struct control *c, struct rows *rows);

/* What an operator does: the core's answer in `out`, once it is durable. ERR_TIMEOUT when the
 * manager doesn't run or dies before it answers. */
int control_command(struct control *c, const struct command *command, struct manager_out *out);
/*
 * Has a trust document take effect that these sign (notary_secret() of each), as the API does: 0,
 * what is wrong with it, or as control_command.
 */
int control_trust(struct control *c, const struct trust *next, const unsigned *signers,
                  size_t count);
/* The trust document of that version; false when there is none. */
bool control_trust_of(const struct control *c, uint32_t version, struct trust *out);
/* The index-th token of a batch, which pins the roots and the authority of now. */
struct token control_token(const struct control *c, uint32_t batch, uint32_t index);
/* What an agent tells of itself from now on, once it is durable. */
int control_tell(struct control *c, uint32_t number, const struct facts *facts);
/* Adds it to the manager's bundles. */
int control_push(struct control *c, const struct bundle *bundle, struct manager_out *out);

/* True when somebody ever asked that the deployment of this name runs this bundle. */
bool control_asked(const struct control *c, const char *name, const struct digest *bundle);

#endif
