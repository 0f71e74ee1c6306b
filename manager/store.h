/*
 * store: the manager's one SQLite file, DIR/manager.db: keys, the fleet's rows, and the log of what
 * every cell must retain. The only place with SQLite on the manager. It decides nothing.
 *
 * Writes join one open transaction that store_commit makes durable. After an error in any write the
 * transaction is spoilt: store_rollback, and load anew.
 */
#ifndef DUNLIN_MANAGER_STORE_H
#define DUNLIN_MANAGER_STORE_H

#include "manager/core/manager.h"

#define FLEET_ID_LEN 8

struct store;

/* Made once per fleet, kept in the database (mode 0600). */
struct fleet_keys {
    uint8_t fleet[FLEET_ID_LEN]; /* names this database to brokers */
    struct secret_key signing;   /* signs documents, assignments, trust lists */
    struct mac_key master;       /* token, status and cohort keys are derived from it */
};

/*
 * Opens DIR/manager.db, or makes it with `fresh` keys. ERR_DAMAGED or ERR_FORMAT (another version)
 * with the file and what to do, ERR_NO_SPACE, ERR_IO. NULL on error.
 */
struct store *store_open(const char *dir, const struct fleet_keys *fresh, struct errmsg *em);
void store_close(struct store *s);

const struct fleet_keys *store_keys(const struct store *s);

/* Brings all rows into a fresh core, in the order that it asks for. */
int store_load(struct store *s, struct manager *m, struct errmsg *em);

/* ---- small settings; 0 when never set ---- */

enum store_setting { STORE_EPOCH, STORE_PORT, STORE_CELLS, STORE_SETTING_COUNT };
int64_t store_setting(struct store *s, enum store_setting setting);
int store_set(struct store *s, enum store_setting setting, int64_t value, struct errmsg *em);

/* ---- rows, within the open transaction ---- */

/* What a device brought when it joined. */
struct newcomer {
    struct public_key key;
    struct span facts; /* as on the wire */
};

/* `newcomer` is NULL for an agent that is there already. */
int store_agent(struct store *s, uint32_t number, const struct agent_row *row,
                const struct newcomer *newcomer, struct errmsg *em);
int store_status(struct store *s, uint32_t number, const struct agent_row *row,
                 const struct exception *exceptions, size_t count, struct errmsg *em);
int store_cohort(struct store *s, uint32_t index, const struct cohort *row, struct errmsg *em);
int store_batch(struct store *s, uint32_t index, const struct batch_row *row, struct errmsg *em);
int store_bundle(struct store *s, uint32_t index, const struct bundle_row *row, struct errmsg *em);
int store_deployment(struct store *s, uint32_t index, const struct deployment_row *row,
                     struct errmsg *em);
/* The whole list and its version. */
int store_trust(struct store *s, const struct trust *trust, struct errmsg *em);

/* True when rows wait for a commit. */
bool store_dirty(const struct store *s);
int store_commit(struct store *s, struct errmsg *em);
void store_rollback(struct store *s);

/* ---- what cells retain: two logs in which a newer row of the same topic replaces the older ----
 */

/* An empty payload erases. */
int store_publish(struct store *s, const char *topic, struct span payload, struct errmsg *em);
/* The bundle has this chunk; the first bundle that has it publishes it. The same again is nothing.
 */
int store_bundle_chunk(struct store *s, uint32_t bundle, const struct digest *chunk,
                       struct errmsg *em);
/* The bundle is gone: what no other one has is erased; `gone` hears each such chunk. */
int store_bundle_erase(struct store *s, uint32_t bundle, void *context,
                       void (*gone)(void *context, const struct digest *chunk), struct errmsg *em);
/* Some bundle has this chunk. */
bool store_chunk_needed(struct store *s, const struct digest *chunk);

/* The next row behind serial `after`. 1, 0 at the end, or a negative code. Payload and topic are
 * borrowed until the next call. */
struct control_row {
    uint64_t serial;
    const char *topic;
    struct span payload;
};
int store_next_control(struct store *s, uint64_t after, struct control_row *row, struct errmsg *em);

struct bulk_row {
    uint64_t serial;
    struct digest chunk;
    bool erased;
};
int store_next_bulk(struct store *s, uint64_t after, struct bulk_row *row, struct errmsg *em);

/* The newest payload of a topic, into `out` (appended); ERR_NOT_FOUND. */
int store_published(struct store *s, const char *topic, struct buffer *out, struct errmsg *em);

/* ---- reads for operators ---- */

/* As told when joining; ERR_NOT_FOUND. */
int store_facts(struct store *s, uint32_t number, struct facts *out, struct errmsg *em);

/* For tests: the file may grow to this many pages; less stands for a full disk. */
int store_limit(struct store *s, uint32_t pages, struct errmsg *em);

#endif
