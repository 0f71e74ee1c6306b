/*
 * ledger: the manager's one SQLite file, DIR/manager.db: keys, the fleet's rows, and the log of
 * what every cell must retain. The only place with SQLite on the manager. It decides nothing.
 *
 * Writes join one open transaction that ledger_commit makes durable. After an error in any write
 * the transaction is spoilt: ledger_rollback, and load anew.
 */
#ifndef DUNLIN_MANAGER_LEDGER_H
#define DUNLIN_MANAGER_LEDGER_H

#include "crypto/certificate.h"
#include "manager/admin.h"
#include "manager/core/audit.h"
#include "manager/core/manager.h"
#include "sync/note.h"

#define FLEET_ID_LEN 8
/* So far back a device finds the way from the authority that it knows. */
#define ELDERS_MAX CERTIFICATE_STEPS_MAX

struct ledger;

/* The keys that the trust document names, and that another one can follow. */
enum fleet_key { FLEET_ONLINE, FLEET_AUTHORITY, FLEET_KEY_COUNT };

/* The key that follows on the day it is trusted. */
struct heir {
    struct secret_key secret; /* all zero: there is none */
    bool stolen;              /* drawn because the one before it was */
};

/* An authority that another one has followed. */
struct elder {
    struct key_id id;
    uint64_t since_s; /* that */
    uint64_t until_s; /* both certificates are good */
    bool stolen;
    struct secret_key secret; /* all zero: certificates by it let nobody in any more */
    size_t own_len, cross_len;
    uint8_t own[CERTIFICATE_MAX];   /* its certificate by itself */
    uint8_t cross[CERTIFICATE_MAX]; /* by it, of the authority that followed */
};

/* Made once per fleet, kept in the database (mode 0600). */
struct fleet_keys {
    uint8_t fleet[FLEET_ID_LEN]; /* names this database to brokers */
    struct secret_key signing;   /* the online key: signs documents and assignments */
    struct mac_key master;       /* token, status and cohort keys are derived from it */
    struct secret_key authority; /* issues certificates */
    struct heir heirs[FLEET_KEY_COUNT];
    uint32_t elder_count;
    struct elder elders[ELDERS_MAX]; /* the newest first */
};

/*
 * Opens DIR/manager.db, or makes it with `fresh` keys. ERR_DAMAGED or ERR_FORMAT (another version)
 * with the file and what to do, ERR_NO_SPACE, ERR_IO. NULL on error.
 */
struct ledger *ledger_open(const char *dir, const struct fleet_keys *fresh, struct errmsg *em);
void ledger_close(struct ledger *l);
/* All pages are looked at meanwhile. Waits for that, as the end of loading and each commit do: 0,
 * ERR_DAMAGED, or why it can't be said. Before it what isn't there may only be lost. */
int ledger_checked(struct ledger *l, struct errmsg *em);

/* ---- DIR as others see it, also while a manager works there ---- */

/* Opens DIR/manager.db for nothing but reads, all of them as of one moment. ERR_NOT_FOUND when
 * there is none; else as ledger_open. */
struct ledger *ledger_open_to_read(const char *dir, struct errmsg *em);
/* As manager_blocked of a core with these rows. */
int ledger_blocked(struct ledger *l, struct blocked_agent *out, size_t cap, size_t *count,
                   struct errmsg *em);

/* Copies DIR/manager.db, as of one moment, to the file `to`, which is not there yet. It isn't
 * synced. */
int ledger_copy(const char *dir, const char *to, struct errmsg *em);
/* Calls `each` for every chunk that a bundle of such a copy has, until it gives a negative code. */
int ledger_chunks(const char *copy, void *context,
                  int (*each)(void *context, const struct digest *chunk, struct errmsg *em),
                  struct errmsg *em);

const struct fleet_keys *ledger_keys(const struct ledger *l);
/* Within the open transaction. Keys that are no more are wiped from the files soon after the
 * commit, as soon as nobody reads them. */
int ledger_set_keys(struct ledger *l, const struct fleet_keys *keys, struct errmsg *em);

/*
 * What opens secrets in this database; before the first row of a variable is written or loaded.
 * With `fresh`, which is once in a fleet's life, a word is sealed with it and kept within the open
 * transaction, so that another key is noticed later though there be no secret: ERR_SIGNATURE.
 */
int ledger_unlock(struct ledger *l, const struct mac_key *secrets, bool fresh, struct errmsg *em);

/* Brings all rows into a fresh core, in the order that it asks for. */
int ledger_load(struct ledger *l, struct manager *m, struct errmsg *em);

/* ---- small settings; 0 when never set ---- */

enum ledger_setting {
    LEDGER_EPOCH,
    LEDGER_RESTORED,       /* when this database was put back from a backup, … */
    LEDGER_RESTORED_EPOCH, /* … with which epoch, … */
    LEDGER_RESTORED_BASE,  /* … and where its revisions begin */
    LEDGER_LINEAGE,      /* random: drawn anew with each restore, so that no mark counts any more */
    LEDGER_CELLS,        /* of our own */
    LEDGER_ATLAS,        /* number of the one in force */
    LEDGER_MOVING_UNTIL, /* agents move to where it says until then; 0: they have moved */
    LEDGER_JOIN_PORT,    /* where devices join */
    LEDGER_JOINS_TOLD,   /* the joins of agents up to this number are in the audit log */
    LEDGER_PORT,         /* + i: of the i-th cell of our own */
    LEDGER_BEFORE = LEDGER_PORT + 1024, /* + i: number of the i-th cell in the atlas before */
};
int64_t ledger_setting(struct ledger *l, unsigned setting);
int ledger_set(struct ledger *l, unsigned setting, int64_t value, struct errmsg *em);

/* ---- rows, within the open transaction ---- */

/* All that is known of an agent, but for its facts. */
int ledger_agent(struct ledger *l, uint32_t number, const struct agent_row *row,
                 const struct exception *exceptions, const uint32_t *stints, size_t count,
                 struct errmsg *em);
/* A device has joined as this agent, and brought these facts. */
int ledger_newcomer(struct ledger *l, uint32_t number, const struct facts *facts,
                    struct errmsg *em);
/* Its taints, the deployments (from 1) whose lists it is on, and its permits, as the core tells
 * them; none of these: its row goes. */
int ledger_lists(struct ledger *l, uint32_t number, uint64_t taints, const uint32_t *lists,
                 uint32_t count, const struct permit *permits, uint32_t permit_count,
                 uint32_t slots, struct errmsg *em);
int ledger_taint(struct ledger *l, uint32_t index, const struct taint *taint, struct errmsg *em);
int ledger_replaced(struct ledger *l, uint32_t index, const struct replaced_row *row,
                    struct errmsg *em);
int ledger_successor(struct ledger *l, uint32_t index, const struct successor_row *row,
                     struct errmsg *em);
int ledger_cohort(struct ledger *l, uint32_t index, const struct cohort *row, struct errmsg *em);
int ledger_batch(struct ledger *l, uint32_t index, const struct batch_row *row, struct errmsg *em);
/* All batches; how many were not revoked yet. */
int ledger_revoke_tokens(struct ledger *l, uint64_t *count, struct errmsg *em);
int ledger_group(struct ledger *l, uint32_t index, const struct group_row *row, struct errmsg *em);
int ledger_budget(struct ledger *l, uint32_t index, const struct budget_row *row,
                  struct errmsg *em);
int ledger_bundle(struct ledger *l, uint32_t index, const struct bundle_row *row,
                  struct errmsg *em);
int ledger_deployment(struct ledger *l, uint32_t index, const struct deployment_row *row,
                      struct errmsg *em);
/* A secret's value is sealed in its row. */
int ledger_variable(struct ledger *l, uint32_t index, const struct variable_row *row,
                    const struct variable_text *text, struct errmsg *em);
/* The newest version, which has been published. */
int ledger_trust(struct ledger *l, uint32_t version, struct errmsg *em);
/* The envelope of one version, into `out` (appended); ERR_NOT_FOUND. */
int ledger_get_trust(struct ledger *l, uint32_t version, struct buffer *out, struct errmsg *em);

/* True when rows wait for a commit. */
bool ledger_dirty(const struct ledger *l);
int ledger_commit(struct ledger *l, struct errmsg *em);
void ledger_rollback(struct ledger *l);

/* ---- what cells retain: two logs in which a newer row of the same topic replaces the older ----
 */

/* An empty payload erases. */
int ledger_publish(struct ledger *l, const char *topic, struct span payload, struct errmsg *em);
/* The bundle has this chunk; the first bundle that has it publishes it. The same again is nothing.
 */
int ledger_bundle_chunk(struct ledger *l, uint32_t bundle, const struct digest *chunk,
                        struct errmsg *em);
/* The bundle is gone: what no other one has is erased; `gone` hears each such chunk. */
int ledger_bundle_erase(struct ledger *l, uint32_t bundle, void *context,
                        void (*gone)(void *context, const struct digest *chunk), struct errmsg *em);
/* The chunk was lost and is back: it is published anew, when a bundle has it. */
int ledger_chunk_again(struct ledger *l, const struct digest *chunk, struct errmsg *em);
/* Some bundle has this chunk. */
bool ledger_chunk_needed(struct ledger *l, const struct digest *chunk);

/* The next row behind serial `after`. 1, 0 at the end, or a negative code. Payload and topic are
 * borrowed until the next call. */
struct control_row {
    uint64_t serial;
    const char *topic;
    struct span payload;
};
int ledger_next_control(struct ledger *l, uint64_t after, struct control_row *row,
                        struct errmsg *em);
/* As many as `max` of them, in one read; how many, or a negative code. */
typedef void ledger_take(void *context, const struct control_row *row);
int ledger_next_controls(struct ledger *l, uint64_t after, uint32_t max, ledger_take *take,
                         void *context, struct errmsg *em);

struct bulk_row {
    uint64_t serial;
    struct digest chunk;
    bool erased;
};
int ledger_next_bulk(struct ledger *l, uint64_t after, struct bulk_row *row, struct errmsg *em);

/* The newest payload of a topic, into `out` (appended); ERR_NOT_FOUND. */
int ledger_published(struct ledger *l, const char *topic, struct buffer *out, struct errmsg *em);

/* ---- notes: what hooks said last before they failed ---- */

/* Of all agents together; the oldest go. Some 20 MB. */
#define NOTES_MAX 16384

struct kept_note {
    uint32_t generation;
    uint8_t cause; /* enum cause */
    uint64_t at_s;
    char text[NOTE_TEXT_MAX + 1]; /* printable */
};

/* Within the open transaction: the newest of an agent and a deployment, by index, is kept. One that
 * is older, or says the same again, is nothing. */
int ledger_note(struct ledger *l, uint32_t number, uint32_t deployment, const struct key_id *id,
                const struct kept_note *note, struct errmsg *em);
/* False when there is none by this agent. */
bool ledger_get_note(struct ledger *l, uint32_t number, uint32_t deployment,
                     const struct key_id *id, struct kept_note *out);

/* ---- reads for operators ---- */

/* Told anew, under the number that the agent's next status has: 1; 0: what is kept is newer. */
int ledger_tell(struct ledger *l, uint32_t number, uint32_t seq, const struct facts *facts,
                struct errmsg *em);
/* As told last; ERR_NOT_FOUND. */
int ledger_facts(struct ledger *l, uint32_t number, struct facts *out, struct errmsg *em);

/* ---- the audit log: entries come, and never change or go ---- */

/* Within the open transaction. Its number is the last one's and one more, or the write fails. */
int ledger_audit_add(struct ledger *l, const struct audit_entry *e, struct errmsg *em);
/* Of the last entry; 0 and zeros when there is none yet. */
int ledger_audit_last(struct ledger *l, uint64_t *number, struct digest *chain, struct errmsg *em);
/* The next entry behind `after` that isn't older than `since_s`. 1, 0 at the end, or a negative
 * code. What somebody wrote into the table by other ways is shown as it is, or ERR_DAMAGED. */
int ledger_audit_next(struct ledger *l, uint64_t after, uint64_t since_s, struct audit_entry *e,
                      struct errmsg *em);
/* Alarms of one action: the newest of them, and how many there are. */
struct alarm_kind {
    uint64_t count;
    struct audit_entry last;
};
/* All kinds, without what is older than that, the one that was raised last first; returns how many.
 */
size_t ledger_audit_alarms(struct ledger *l, uint64_t since_s, struct alarm_kind *kinds,
                           size_t max);
/* The auditor's counts of what it left out, as it writes them; none at first. */
int ledger_keep_untold(struct ledger *l, struct span counts, struct errmsg *em);
int ledger_untold(struct ledger *l, struct buffer *counts);

/* ---- admins: by index, without gaps ---- */

/* Credentials at a time, worthless ones included: people, and the programs they write. */
#define ADMINS_MAX 256

/* Within the open transaction. */
int ledger_admin(struct ledger *l, uint32_t index, const struct admin_row *row, struct errmsg *em);
int ledger_load_admins(struct ledger *l, struct admin_row rows[static ADMINS_MAX], uint32_t *count,
                       struct errmsg *em);

/* For tests: the file may grow to this many pages; less stands for a full disk. */
int ledger_limit(struct ledger *l, uint32_t pages, struct errmsg *em);

#endif
