/*
 * daemon_parts: what the daemon's files share: all that it holds, and what one file does for
 * another. Nobody else includes it.
 */
#ifndef DUNLIN_MANAGER_DAEMON_PARTS_H
#define DUNLIN_MANAGER_DAEMON_PARTS_H

#include "base/file.h"
#include "manager/acceptance.h"
#include "manager/admins.h"
#include "manager/allowance.h"
#include "manager/api.h"
#include "manager/auditor.h"
#include "manager/bench.h"
#include "manager/cells.h"
#include "manager/census.h"
#include "manager/daemon.h"
#include "manager/door.h"
#include "manager/flood.h"
#include "manager/intake.h"
#include "manager/keyring.h"
#include "manager/recent.h"
#include "manager/reception.h"
#include "manager/scribe.h"

/* Answers to devices that one commit lets go. */
#define ANSWERS_MAX 256
_Static_assert(ANSWERS_MAX <= PILE_MAX, "a turn's answers share one signature");
/* Instead of a cell's number: the device came through the door. */
#define BY_DOOR SIZE_MAX

/* What a device is told once the commit has succeeded. */
struct answer {
    size_t cell;
    struct topic topic;
    struct acceptance *acceptance; /* whose bytes the bench is to write; NULL: they are here */
    size_t len;
    uint8_t bytes[];
};

/* What an operator is told, however the commit ends. */
struct reply {
    daemon_reply *say;
    void *context;
    struct manager_out out;
};

struct daemon {
    char dir[FILE_PATH_MAX];
    struct daemon_options options;
    int lock;
    int signals;
    struct keyring keys;
    struct mac_key secrets; /* the vault's */
    struct ledger *ledger;
    struct depot *depot;
    struct scribe *scribe;
    struct recent *recent;
    struct auditor *auditor;
    struct admins *admins;
    struct census *census;
    struct door *door;
    struct cells *cells;
    struct api *api;

    struct manager *core;
    size_t core_size;
    struct arena scratch;
    uint8_t *scratch_memory;

    uint64_t now_s;
    uint64_t next_tick_ms;
    bool more;    /* the core has documents to make */
    bool spoke;   /* the API has replies to write */
    bool counts;  /* the census is at work */
    bool feeds;   /* the cells have more to look at */
    bool news;    /* rows were committed: the cells may have something to publish */
    bool reblock; /* others are blocked than the cells know */
    uint64_t blocked_changes;
    bool stop;
    bool failing;                /* the last commit failed, and that was logged */
    bool unreadable[CELL_LANES]; /* so was that this log can't be read */
    int broken;                  /* why this turn can't be committed; 0: it can */
    struct errmsg why;
    int fatal; /* the fleet could not be loaded again */

    struct bench *bench;
    struct pile pile; /* the assignments in this turn's answers to joins */
    struct answer *answers[ANSWERS_MAX];
    size_t answer_count;
    struct reply *replies;
    size_t reply_count;
    size_t reply_cap;

    uint8_t *checked; /* one bit for each serial of content: the file was whole */
    size_t checked_cap;
    struct topic topic; /* and frame: what a cell publishes next */
    uint8_t frame[CHUNK_FRAME_MAX];
    uint8_t plain[CHUNK_MAX];
    struct visit visit;
    struct report report;
    struct intake intake;       /* of what agents say */
    struct flood notes;         /* by agent */
    struct allowance allowance; /* of requests at the door */
    uint8_t written[JOINED_MAX + ENVELOPE_OVERHEAD];
    uint8_t certificate[CERTIFICATE_MAX];
};

/* ---- daemon.c: the loop ---- */

/* Steps the core, and writes what it makes durable into the open transaction. */
void daemon_step(struct daemon *d, struct manager_event *ev, struct manager_out *out);
/* While agents are heard (struct cells_handler): operators are served. */
void daemon_pause(void *context);
/* Says `a`, which it takes over, to a device once all before it is committed. */
void daemon_answer(struct daemon *d, struct answer *a);
void daemon_audit(struct daemon *d, struct audit_entry *e);
/* Writes rows of up to `max` agents that were only heard again. */
void daemon_catch_up(struct daemon *d, uint32_t max);
/* Commits, then says what waited for it. */
void daemon_finish(struct daemon *d);

/* ---- daemon_start.c ---- */

/* Fills a core that is all zero with what is on the disk. */
int daemon_load_core(struct daemon *d, struct errmsg *em);
/* Whom the cells keep out; on the heap, NULL without memory. */
struct blocked_agent *daemon_blocked(const struct daemon *d, size_t *count);

/* ---- daemon_devices.c: what devices say; `context` is the daemon ---- */

/* Nobody has said anything yet. */
void daemon_limit_devices(struct daemon *d);
void daemon_hear_agent(void *context, size_t cell, const char *topic, struct span payload);
/* Through the door. */
void daemon_hear_visitor(void *context, const char *topic, struct span payload);

/* ---- daemon_retained.c: what cells are to retain; see struct cells_handler ---- */

int daemon_retained(void *context, size_t cell, enum cell_lane lane, uint64_t after,
                    uint64_t behind, struct cell_publication *out);

#endif
