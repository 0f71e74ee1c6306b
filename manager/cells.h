/*
 * cells: all the brokers of a fleet: our own Mosquittos with the ports they keep, or such that run
 * already, and the manager's connection to each. It knows nothing of messages.
 */
#ifndef DUNLIN_MANAGER_CELLS_H
#define DUNLIN_MANAGER_CELLS_H

#include "manager/cell.h"
#include "manager/certificates.h"
#include "manager/daemon.h"
#include "manager/homes.h"

#include <poll.h>

/* Descriptors that one cell has: its connection's, the kicker's, and its process. */
#define CELLS_FDS_EACH (2 * MQTT_FDS + 1)
/* Ports that are tried for a new broker, when others take them first. */
#define CELLS_PORT_TRIES 8

struct cells_handler {
    void *context;
    /* An agent's message, and through which cell it came. */
    void (*message)(void *context, size_t cell, const char *topic, struct span payload);
    int (*next)(void *context, size_t cell, enum cell_lane lane, uint64_t after, uint64_t behind,
                struct cell_publication *out);
    /* Between two cells that are heard, every few milliseconds: for who can't wait for all. */
    void (*pause)(void *context);
};

struct cells;

struct cells_options {
    const char *dir;
    const struct daemon_options *daemon; /* must outlive the cells, as the keys must */
    const struct keyring *keys;
    uint64_t lineage; /* marks of another one don't count */
    uint32_t epoch;   /* the manager's */
    uint64_t now_s;
    const struct blocked_agent *blocked; /* whom to keep out; borrowed for the call */
    size_t blocked_count;
};

/*
 * Adopts or starts our own brokers in DIR/cells/N, with what they must have in their folders, and
 * takes those that the options name; stops our own that are no longer wanted. Ports are kept in the
 * ledger, and so is their list, the atlas (manager/pilot); its transaction is left open. NULL with
 * a sentence.
 */
struct cells *cells_open(const struct cells_options *options, struct ledger *ledger,
                         const struct cells_handler *handler, struct errmsg *em);
/* Says good-bye to all, and stops our own brokers. */
void cells_close(struct cells *c);

/* So many cells_open would open, at least one. */
size_t cells_wanted(const struct daemon_options *o, struct ledger *ledger);
size_t cells_count(const struct cells *c);
/* The URL for devices. */
const char *cells_url(const struct cells *c, size_t i);
/* The URLs of an agent's homes, in its order; how many. */
uint32_t cells_order(const struct cells *c, const struct key_id *agent,
                     const char *urls[static ATLAS_HOMES]);
/* Whether that cell is to retain what is this agent's own, and whether it was in the stage before.
 */
bool cells_serve(struct cells *c, size_t i, const struct key_id *agent);
bool cells_served(struct cells *c, size_t i, const struct key_id *agent);
struct atlas_info cells_atlas(const struct cells *c);
/* This agent said something through that cell. */
void cells_heard(struct cells *c, size_t i, uint32_t number);
/* Ends that when it is time; every second or so. Writes into the open transaction. */
int cells_tend(struct cells *c, struct ledger *ledger, uint32_t epoch, uint64_t now_s,
               struct errmsg *em);
struct cell_info cells_info(const struct cells *c, size_t i);

/* Fills in CELLS_FDS_EACH for each cell. */
void cells_watch(const struct cells *c, struct pollfd *fds);
/* After poll, with the same descriptors; `all`: also those that showed nothing. */
void cells_service(struct cells *c, const struct pollfd *fds, bool all, uint64_t now_ms);
uint64_t cells_deadline_ms(const struct cells *c);

/* Whether what comes through that cell in an agent's name was said by that agent, and while we
 * listened. Others' brokers could say anything in anybody's name. */
bool cells_vouch(const struct cells *c, size_t i);
bool cells_are_own(const struct cells *c, size_t i);

/* From now on these are kept out of our own brokers, and nobody else; links of those that weren't
 * until now are cut, on others' brokers again and again until these keep them out, too, unless it
 * is for now. On error nothing has changed for sure: call it again. */
int cells_block(struct cells *c, const struct blocked_agent *blocked, size_t count, uint64_t now_s,
                struct errmsg *em);
bool cells_blocks(const struct cells *c, const struct key_id *agent);
/* Makes certificates anew when it is time. Cheap when it isn't. */
void cells_renew(struct cells *c, uint64_t now_s);

/* As cell_feed, cell_send and cell_drop. */
bool cells_feed(struct cells *c, bool news);
void cells_send(struct cells *c, size_t i, const char *topic, struct span payload);
void cells_drop(struct cells *c, uint64_t now_ms);

#endif
