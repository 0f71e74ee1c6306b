/*
 * daemon: the manager's one thread and poll loop, which carries events into the core, rows into the
 * ledger and, once they are committed, words to devices and operators.
 * It decides nothing about the fleet: that is the core's.
 */
#ifndef DUNLIN_MANAGER_DAEMON_H
#define DUNLIN_MANAGER_DAEMON_H

#include "crypto/certificate.h"
#include "crypto/token.h"
#include "manager/core/manager.h"
#include "manager/depot.h"
#include "manager/ledger.h"
#include "manager/porter.h"

#include <sys/types.h>

/* Cells of one manager: each is a process here, or a broker elsewhere. */
#define DAEMON_CELLS_MAX 256
#define DAEMON_CELL_MIB_MAX 1048576 /* no machine has more */
/* A host name or address. */
#define DAEMON_HOST_MAX 200
/* Where agents connect and devices join unless an operator says otherwise. */
#define DAEMON_PORT 8883
#define DAEMON_JOIN_PORT (DAEMON_PORT + 1)
/* A deployment that touches more of the fleet must be confirmed, unless an operator says otherwise.
 */
#define DAEMON_CONFIRM_PERCENT 50

struct daemon;
struct admins;
struct keyring;

struct daemon_options {
    const char *dir;
    char host[DAEMON_HOST_MAX]; /* where our brokers listen */
    int port;                   /* the first cell's; 0: any free ones; -1: kept, or from 8883 on */
    bool plain;                 /* no TLS: for a loopback `host` only */
    uint32_t join_rate;         /* new connections a second to join, from one source */
    char api_host[DAEMON_HOST_MAX]; /* where the API listens on TCP; "": only on its socket */
    int api_port;                   /* 0: any */
    const char *advertise;          /* the host in URLs for devices; NULL: `host` */
    unsigned
        cells;     /* our own brokers; 0: as many as the last time, or one if there are no others */
    bool no_cells; /* none of our own */
    unsigned cell_memory_mib;   /* that each of them may take; 0: a part of the machine's */
    const char *const *brokers; /* URLs of brokers that others run */
    size_t broker_count;
    bool approve;             /* devices that join wait for an operator */
    uint32_t confirm_percent; /* see struct manager_options */
    struct policy policy;
};

/*
 * Locks and opens DIR (made on first use, with its keys), loads the fleet, starts the API and
 * adopts or starts the brokers. NULL with a sentence when that can't be.
 */
struct daemon *daemon_new(const struct daemon_options *options, struct errmsg *em);
/* Works until SIGTERM or SIGINT, which the caller has blocked. 0, or what made it give up. */
int daemon_run(struct daemon *d, struct errmsg *em);
/* Stops the API, commits, stops our own brokers. */
void daemon_free(struct daemon *d);

/* ---- for the API, which the loop calls between two steps ---- */

/* Where and what it serves. Rows of the core are only good until the next daemon_command or return
 * to the loop: a failed commit lays the core out anew, at the same address. */
const struct manager *daemon_core(const struct daemon *d);
struct ledger *daemon_ledger(const struct daemon *d);
struct depot *daemon_depot(const struct daemon *d);
uint64_t daemon_now_s(const struct daemon *d);
/* By deployment, after each command anew; of a large fleet they may be a moment old (census). NULL
 * when there is no memory. */
const struct deployment_counts *daemon_counts(const struct daemon *d);
uint32_t daemon_epoch(const struct daemon *d);
/* What `dunlin-agent join` takes. */
const char *daemon_join_url(const struct daemon *d);
/* Links have no TLS. */
bool daemon_is_plain(const struct daemon *d);
struct porter_counters daemon_porter(const struct daemon *d);

/* Where operators reach the API from afar; NULL: nowhere. */
const char *daemon_api_url(const struct daemon *d);
/* What they check its certificate by; a text. */
int daemon_authority_pem(const struct daemon *d, char out[static CERTIFICATE_PEM_MAX]);

/*
 * Tells how a command ended. `commit_rv` below 0: nothing of it happened, and `em` says why
 * (ERR_NO_SPACE: 507, else 500). Otherwise `out` has the core's answer: rv, error, index. Both are
 * borrowed for the call.
 */
typedef void daemon_reply(void *context, const struct manager_out *out, int commit_rv,
                          const struct errmsg *em);

/*
 * Steps the core at once; what it changed goes into the audit log under the name of `actor`.
 * `reply` is called exactly once, from the loop after the commit, never from in here, and also for
 * a command that was refused. Not to be called inside `reply`.
 *
 * COMMAND_BUNDLE_ADD: the API has checked the publisher's signature, put the signed manifest into
 * the depot under its digest (frame: a zero byte, then the bytes), and made sure that every index
 * chunk and content chunk is there.
 */
void daemon_command(struct daemon *d, const char *actor, const struct command *command,
                    daemon_reply *reply, void *context);

/* Credentials for the API on TCP; rows are only good until the return to the loop. */
const struct admins *daemon_admins(const struct daemon *d);
/* As daemon_command: `index` is the changed row's. */
void daemon_admin_create(struct daemon *d, const char *actor, const struct admin_row *row,
                         daemon_reply *reply, void *context);
void daemon_admin_revoke(struct daemon *d, const char *actor, const char *name, daemon_reply *reply,
                         void *context);
/* Draws the key that shall follow, unless there is one that waits to be trusted
 * (keyring_draw_heir). The manager signs with it from the moment on at which a trust document names
 * it. */
void daemon_draw_key(struct daemon *d, const char *actor, enum fleet_key which, bool stolen,
                     daemon_reply *reply, void *context);

/* What the manager is known by. */
const struct keyring *daemon_keys(const struct daemon *d);
/* The first root key still lies in the manager's folder. */
bool daemon_has_root(const struct daemon *d);

/* Somebody asked for what he may not have: written as far as that is bounded. */
void daemon_audit_refusal(struct daemon *d, struct audit_entry *e);
/* How many of this action the audit log has no place for, and doesn't tell of yet. */
uint64_t daemon_audit_untold(const struct daemon *d, const char *action);

/*
 * Keeps a chunk's frame, whose content the API has checked, as depot_put does. One that a bundle
 * needs and that had been lost is published again.
 */
int daemon_put_chunk(struct daemon *d, const struct digest *name, struct span frame,
                     struct errmsg *em);

/* What the tokens of a batch are made of, for printing them; the batch must be there. */
struct token_batch daemon_batch(const struct daemon *d, uint32_t batch);

enum cell_state { CELL_DOWN, CELL_STARTING, CELL_UP };

struct cell_info {
    const char *url;
    enum cell_state state;
    pid_t pid;       /* of our own broker; 0: it is not ours, or not running */
    uint32_t agents; /* that were last heard there, since this manager runs */
};

/* The list of cells in force. */
struct atlas_info {
    uint32_t number;
    bool moving; /* agents may still be on the way to where it says */
};

size_t daemon_cell_count(const struct daemon *d);
struct cell_info daemon_cell_info(const struct daemon *d, size_t i);
struct atlas_info daemon_atlas(const struct daemon *d);

#endif
