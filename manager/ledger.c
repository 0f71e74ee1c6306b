#include "manager/ledger.h"

#include "base/endian.h"
#include "base/file.h"
#include "bundles/chunk.h"
#include "manager/ledger_check.h"
#include "sync/secret.h"
#include "sync/wire.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* "DULM": says that a SQLite file is a manager's. */
#define APPLICATION_ID 0x44554c4d
#define SCHEMA_VERSION 1
/* Somebody may look into the database, or copy it, while the manager runs. */
#define BUSY_MS 5000

/* With WAL and FULL a commit is one sync, and survives a power cut. Old keys must not stay in what
 * is free. The log is copied back at every thousandth page, and is then cut to about these. */
#define PRAGMAS                                                                                    \
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY;"                  \
    "PRAGMA secure_delete=ON;"                                                                     \
    "PRAGMA cache_size=-16384; PRAGMA journal_size_limit=4194304;"

/*
 * The audit log only grows, by one number after the other: SQLite itself refuses anything else, so
 * that no mistake of ours can rewrite it. (REPLACE deletes without asking the trigger for DELETE;
 * the one for INSERT sees it.)
 */
#define AUDIT_SCHEMA                                                                               \
    "CREATE TABLE audit(n INTEGER PRIMARY KEY, time INTEGER NOT NULL, actor TEXT NOT NULL,"        \
    " action TEXT NOT NULL, object TEXT NOT NULL, detail TEXT NOT NULL, chain BLOB NOT NULL);"     \
    "CREATE INDEX audit_alarm ON audit(time) WHERE " IS_ALARM ";"                                  \
    "CREATE TRIGGER audit_order BEFORE INSERT ON audit"                                            \
    " WHEN new.n <> (SELECT coalesce(max(n), 0) + 1 FROM audit)"                                   \
    " BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END;"                                 \
    "CREATE TRIGGER audit_update BEFORE UPDATE ON audit"                                           \
    " BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END;"                                 \
    "CREATE TRIGGER audit_delete BEFORE DELETE ON audit"                                           \
    " BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END;"
#define IS_ALARM "action GLOB 'alarm-*'"
#define ADMIN_SCHEMA                                                                               \
    "CREATE TABLE admin(n INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, role INTEGER,"           \
    " revoked INTEGER, created INTEGER, expires INTEGER, digest BLOB);"

/*
 * What is named by a dense number has it as its row id: random keys are inserted many times slower.
 * An agent is one blob of fixed layout, since reading twenty columns a million times takes longer
 * than a restart may; and of fixed length, so that it is written over in its place: pages whose
 * rows grow are split, and stay half empty. What only few have, or what is seldom read, therefore
 * stands apart: exceptions, and facts.
 * `control` keeps one row a topic, the newest; AUTOINCREMENT never gives a serial again. A topic is
 * a text or, when it is one agent's own, a blob (put_topic).
 * A chunk's `serial` moves on when it is published or erased; it is erased when no bundle has it.
 */
#define SCHEMA                                                                                     \
    "PRAGMA application_id=1146440781; PRAGMA user_version=1;"                                     \
    "CREATE TABLE meta(key INTEGER PRIMARY KEY, value NOT NULL);"                                  \
    "CREATE TABLE elder(n INTEGER PRIMARY KEY, id BLOB, since INTEGER, until INTEGER,"             \
    " stolen INTEGER, secret BLOB, own BLOB, crossed BLOB);"                                       \
    "CREATE TABLE batch(n INTEGER PRIMARY KEY, count INTEGER, uses INTEGER, created INTEGER,"      \
    " expires INTEGER, revoked INTEGER, bound INTEGER, approve INTEGER,"                           \
    " labels TEXT);"                                                                               \
    "CREATE TABLE bundle(n INTEGER PRIMARY KEY, digest BLOB, name TEXT, version TEXT,"             \
    " bytes INTEGER, files INTEGER, chunks INTEGER, created INTEGER, removed INTEGER,"             \
    " needs BLOB);"                                                                                \
    "CREATE TABLE deployment(n INTEGER PRIMARY KEY, name TEXT, selector TEXT, flags INTEGER,"      \
    " priority INTEGER, salt INTEGER, removed INTEGER, created INTEGER, kept INTEGER,"             \
    " history BLOB, pick BLOB, plan BLOB, rollout BLOB, after BLOB, roster BLOB);"                 \
    "CREATE TABLE cohort(n INTEGER PRIMARY KEY, key BLOB, labels TEXT, epoch INTEGER,"             \
    " revision INTEGER, fingerprint BLOB, issued INTEGER, trust INTEGER, placements BLOB);"        \
    "CREATE TABLE agent(n INTEGER PRIMARY KEY, row BLOB);"                                         \
    "CREATE TABLE exceptions(n INTEGER PRIMARY KEY, list BLOB);"                                   \
    "CREATE TABLE facts(n INTEGER PRIMARY KEY, told INTEGER, list BLOB);"                          \
    "CREATE TABLE saved(n INTEGER PRIMARY KEY, name TEXT, selector TEXT);"                         \
    "CREATE TABLE budget(n INTEGER PRIMARY KEY, name TEXT, selector TEXT, max INTEGER,"            \
    " percent INTEGER);"                                                                           \
    "CREATE TABLE taint(n INTEGER PRIMARY KEY, key TEXT, value TEXT, effect INTEGER);"             \
    "CREATE TABLE listed(n INTEGER PRIMARY KEY, taints INTEGER, deployments BLOB);"                \
    "CREATE TABLE replaced(n INTEGER PRIMARY KEY, id BLOB, number INTEGER, batch INTEGER,"         \
    " token INTEGER, joined INTEGER, since INTEGER);"                                              \
    "CREATE TABLE successor(n INTEGER PRIMARY KEY, number INTEGER, batch INTEGER, token INTEGER);" \
    "CREATE TABLE variable(n INTEGER PRIMARY KEY, name TEXT, scope INTEGER, secret INTEGER,"       \
    " owner INTEGER, place INTEGER, since INTEGER, selector TEXT, value BLOB);"                    \
    "CREATE TABLE control(serial INTEGER PRIMARY KEY AUTOINCREMENT, topic NOT NULL UNIQUE,"        \
    " payload BLOB NOT NULL);"                                                                     \
    "CREATE TABLE chunk(n INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE,"                       \
    " bundles INTEGER NOT NULL, serial INTEGER NOT NULL UNIQUE);"                                  \
    "CREATE TABLE bundle_chunk(bundle INTEGER, chunk INTEGER, PRIMARY KEY(bundle, chunk))"         \
    " WITHOUT ROWID;"                                                                              \
    "CREATE TABLE note(n INTEGER PRIMARY KEY, agent INTEGER, deployment INTEGER, id BLOB,"         \
    " generation INTEGER, cause INTEGER, time INTEGER, text TEXT, UNIQUE(agent, "                  \
    "deployment));" AUDIT_SCHEMA ADMIN_SCHEMA

#define CHUNKS_OF "(SELECT chunk FROM bundle_chunk WHERE bundle=?)"
/* The next serial of the chunks. */
#define NEXT_SERIAL "(SELECT coalesce(max(serial), 0) + 1 FROM chunk)"

enum statement {
    GET_META,
    PUT_META,
    DROP_ELDERS,
    PUT_ELDER,
    GET_ELDERS,
    PUT_BATCH,
    REVOKE_BATCHES,
    PUT_BUNDLE,
    PUT_DEPLOYMENT,
    PUT_COHORT,
    PUT_AGENT,
    PUT_EXCEPTIONS,
    DROP_EXCEPTIONS,
    PUT_FACTS,
    TELL_FACTS,
    PUT_GROUP,
    PUT_BUDGET,
    PUT_TAINT,
    PUT_LISTED,
    DROP_LISTED,
    PUT_REPLACED,
    PUT_SUCCESSOR,
    PUT_VARIABLE,
    PUT_CONTROL,
    GET_CONTROL,
    NEXT_CONTROL,
    FIND_CHUNK,
    ADD_CHUNK,
    PUT_BUNDLE_CHUNK,
    COUNT_CHUNK_UP,
    COUNT_CHUNK_DOWN,
    MOVE_CHUNK,
    LAST_BUNDLE_CHUNKS,
    DROP_BUNDLE_CHUNKS,
    NEXT_CHUNK,
    PUT_NOTE,
    DROP_NOTES,
    GET_NOTE,
    GET_FACTS,
    ADD_AUDIT,
    LAST_AUDIT,
    NEXT_AUDIT,
    LAST_ALARMS,
    COUNT_ALARMS,
    PUT_ADMIN,
    STATEMENT_COUNT,
};

static const char *const STATEMENTS[STATEMENT_COUNT] = {
    [GET_META] = "SELECT value FROM meta WHERE key=?",
    [PUT_META] = "REPLACE INTO meta VALUES(?,?)",
    [DROP_ELDERS] = "DELETE FROM elder",
    [PUT_ELDER] = "INSERT INTO elder VALUES(?,?,?,?,?,?,?,?)",
    [GET_ELDERS] = "SELECT id, since, until, stolen, secret, own, crossed FROM elder ORDER BY n",
    [PUT_BATCH] = "REPLACE INTO batch VALUES(?,?,?,?,?,?,?,?,?)",
    [REVOKE_BATCHES] = "UPDATE batch SET revoked=1 WHERE revoked=0",
    [PUT_BUNDLE] = "REPLACE INTO bundle VALUES(?,?,?,?,?,?,?,?,?,?)",
    [PUT_DEPLOYMENT] = "REPLACE INTO deployment VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    [PUT_COHORT] = "REPLACE INTO cohort VALUES(?,?,?,?,?,?,?,?,?)",
    [PUT_AGENT] = "REPLACE INTO agent VALUES(?,?)",
    [PUT_EXCEPTIONS] = "REPLACE INTO exceptions VALUES(?,?)",
    [DROP_EXCEPTIONS] = "DELETE FROM exceptions WHERE n=?",
    [PUT_FACTS] = "REPLACE INTO facts VALUES(?,0,?)",
    [TELL_FACTS] = "UPDATE facts SET list=?, told=? WHERE n=? AND told<=?",
    [PUT_GROUP] = "REPLACE INTO saved VALUES(?,?,?)",
    [PUT_BUDGET] = "REPLACE INTO budget VALUES(?,?,?,?,?)",
    [PUT_TAINT] = "REPLACE INTO taint VALUES(?,?,?,?)",
    [PUT_LISTED] = "REPLACE INTO listed VALUES(?,?,?)",
    [DROP_LISTED] = "DELETE FROM listed WHERE n=?",
    [PUT_REPLACED] = "REPLACE INTO replaced VALUES(?,?,?,?,?,?,?)",
    [PUT_SUCCESSOR] = "REPLACE INTO successor VALUES(?,?,?,?)",
    [PUT_VARIABLE] = "REPLACE INTO variable VALUES(?,?,?,?,?,?,?,?,?)",
    [PUT_CONTROL] = "REPLACE INTO control(topic, payload) VALUES(?,?)",
    [GET_CONTROL] = "SELECT payload FROM control WHERE topic=?",
    [NEXT_CONTROL] =
        "SELECT serial, topic, payload FROM control WHERE serial>? ORDER BY serial LIMIT 1",
    [FIND_CHUNK] = "SELECT n, bundles FROM chunk WHERE digest=?",
    [ADD_CHUNK] = "INSERT INTO chunk(digest, bundles, serial) VALUES(?, 0, 0)",
    [PUT_BUNDLE_CHUNK] = "INSERT OR IGNORE INTO bundle_chunk VALUES(?,?)",
    [COUNT_CHUNK_UP] = "UPDATE chunk SET bundles=bundles+1 WHERE n=?",
    [COUNT_CHUNK_DOWN] = ("UPDATE chunk SET bundles=bundles-1 WHERE n IN " CHUNKS_OF),
    [MOVE_CHUNK] = ("UPDATE chunk SET serial=" NEXT_SERIAL " WHERE n=?"),
    [LAST_BUNDLE_CHUNKS] = ("SELECT n, digest FROM chunk WHERE bundles=0 AND n IN " CHUNKS_OF),
    [DROP_BUNDLE_CHUNKS] = "DELETE FROM bundle_chunk WHERE bundle=?",
    [NEXT_CHUNK] =
        "SELECT serial, digest, bundles FROM chunk WHERE serial>? ORDER BY serial LIMIT 1",
    /* In its place, so that one agent's many words push out nobody else's. */
    [PUT_NOTE] =
        ("INSERT INTO note(agent, deployment, id, generation, cause, time, text)"
         " VALUES(?,?,?,?,?,?,?) ON CONFLICT(agent, deployment) DO UPDATE SET id=excluded.id,"
         " generation=excluded.generation, cause=excluded.cause, time=excluded.time,"
         " text=excluded.text"),
    [DROP_NOTES] = "DELETE FROM note WHERE n<=(SELECT max(n) FROM note)-?",
    [GET_NOTE] = ("SELECT generation, cause, time, text FROM note"
                  " WHERE agent=? AND deployment=? AND id=?"),
    [GET_FACTS] = "SELECT list FROM facts WHERE n=?",
    [ADD_AUDIT] = "INSERT INTO audit VALUES(?,?,?,?,?,?,?)",
    [LAST_AUDIT] = "SELECT n, chain FROM audit ORDER BY n DESC LIMIT 1",
    [NEXT_AUDIT] = "SELECT * FROM audit WHERE n>? AND time>=? ORDER BY n LIMIT 1",
    [LAST_ALARMS] =
        ("SELECT * FROM audit WHERE " IS_ALARM " AND time>=? ORDER BY time DESC, n DESC LIMIT ?"),
    [COUNT_ALARMS] = ("SELECT count(*) FROM audit WHERE " IS_ALARM " AND time>=?"),
    [PUT_ADMIN] = "REPLACE INTO admin VALUES(?,?,?,?,?,?,?)",
};

/* Keys of `meta`. The numbers are on disks. */
enum meta {
    META_FLEET = 1,
    META_SIGNING = 2,
    META_MASTER = 3,
    META_TRUST = 4,
    META_AUTHORITY = 5,
    META_HEIRS = 6, /* + enum fleet_key */
    META_SEAL = 8,
    META_SETTINGS = 16
};

/* An agent, little-endian, in this order: id, cohort, batch, token, facts, assigned, joined, flags;
 * seq, session, boot, boot before, document, seen. */
#define AGENT_LEN (KEY_ID_LEN + 30 + 28)
#define OWN_LEN (1 + KEY_ID_LEN) /* a topic of one agent's own: one of these, and the id */
enum { OWN_HEAD = 1, OWN_DOC };
#define LISTED_LEN 4      /* a deployment */
#define HISTORY_LEN 16    /* generation, bundle, since */
#define PLACEMENT_LEN 57  /* as get_placements reads them */
#define ROLLOUT_FIELDS 16 /* as MessagePack: 15 numbers, and an array of three for each stage */
#define ROLLOUT_BYTES_MAX ((ROLLOUT_FIELDS + 3 * STAGES_MAX + 1) * 9)
#define NEEDS_BYTES_MAX (3 + VARIABLES_NEEDED_MAX * (VARIABLE_NAME_MAX + 4))
#define HEIR_LEN (SECRET_KEY_LEN + 1) /* and `stolen` */
#define SEALED_WORD "dunlin"
#define SEAL_LEN (sizeof SEALED_WORD - 1 + VARIABLE_SEALED_MORE)
#define AFTER_LEN_MAX (4 * (size_t)DEPENDENCIES_MAX)
#define EXCEPTION_LEN 14 /* deployment, generation, running, state, cause; the same way */

struct ledger {
    sqlite3 *db;
    char path[FILE_PATH_MAX];
    struct ledger_check check; /* begun when it is opened, awaited before the first commit */
    struct fleet_keys keys;
    struct seal_secret secrets; /* seals variables' rows */
    struct mac_key fleet;
    sqlite3_stmt *statements[STATEMENT_COUNT];
    bool writing; /* a transaction is open */
    bool spoilt;  /* a write in it failed */
    bool unwiped; /* the log, or what is free, may hold keys that are no more */
    uint8_t own[OWN_LEN];
    char topic[TOPIC_MAX];
    uint8_t payload[DOCUMENT_MAX + ENVELOPE_OVERHEAD];
};

/* One statement: bound from left to right, stepped, and its columns read from left to right. */
struct query {
    struct ledger *l;
    sqlite3_stmt *stmt;
    int bound;
    int column;
    int error; /* SQLite's code, or SQLITE_OK */
    bool odd;  /* a column isn't what it must be */
};

static int open_database(struct ledger *l, const char *dir, const struct fleet_keys *fresh,
                         struct errmsg *em);
static int create_file(const char *path, struct errmsg *em);
static int check_version(struct ledger *l, bool *empty, struct errmsg *em);
static int make_tables(struct ledger *l, const struct fleet_keys *fresh);
static int put_keys(struct ledger *l, const struct fleet_keys *keys);
static int put_elders(struct ledger *l, const struct fleet_keys *keys);
static int get_elders(struct ledger *l);
static void wipe(struct ledger *l);
static int get_keys(struct ledger *l, struct errmsg *em);
static int prepare_all(struct ledger *l, struct errmsg *em);
static int pragma(struct ledger *l, const char *sql, int64_t *value);

static int load_batches(struct ledger *l, struct manager *m, struct errmsg *em);
static int load_groups(struct ledger *l, struct manager *m, struct errmsg *em);
static int load_budgets(struct ledger *l, struct manager *m, struct errmsg *em);
static int load_bundles(struct ledger *l, struct manager *m, struct errmsg *em);
static int load_deployments(struct ledger *l, struct manager *m, struct errmsg *em);
static int load_cohorts(struct ledger *l, struct manager *m, struct errmsg *em);
static int load_trust(struct ledger *l, struct manager *m, struct errmsg *em);
static int load_agents(struct ledger *l, struct manager *m, struct errmsg *em);
static int load_taints(struct ledger *l, struct manager *m, struct errmsg *em);
static int load_lists(struct ledger *l, struct manager *m, struct errmsg *em);
static int load_replaced(struct ledger *l, struct manager *m, struct errmsg *em);
static int load_successors(struct ledger *l, struct manager *m, struct errmsg *em);
static int load_variables(struct ledger *l, struct manager *m, struct errmsg *em);
static int get_value(struct query *q, struct variable_row *row, struct variable_text *text);
static int list_replaced(struct ledger *l, struct blocked_agent *out, size_t cap, size_t *count,
                         struct errmsg *em);
static int list_blocked(struct ledger *l, struct blocked_agent *out, size_t cap, size_t *count,
                        struct errmsg *em);
static void get_needs(struct query *q, struct needs *needs);
static void get_history(struct query *q, struct deployment_row *row);
static void get_rollout(struct query *q, struct deployment_row *row);
static void get_after(struct query *q, struct deployment_row *row);
static void get_placements(struct query *q, struct cohort *row);
static int write_rollout(const struct deployment_row *row, struct buffer *out);

static int begin(struct ledger *l, struct errmsg *em);
static int execute(struct ledger *l, const char *sql);
static struct query query_on(struct ledger *l, sqlite3_stmt *stmt);
static struct query query_sql(struct ledger *l, const char *sql);
static void put_int(struct query *q, uint64_t value);
static void put_text(struct query *q, const char *text);
static void put_blob(struct query *q, struct span bytes);
static bool next_row(struct query *q);
static uint64_t get_int(struct query *q, uint64_t max);
static void get_text(struct query *q, char *out, size_t cap);
static struct span get_blob(struct query *q, size_t max);
static void get_bytes(struct query *q, uint8_t *out, size_t len);
static size_t copy_blob(struct query *q, uint8_t *out, size_t max);
static int end_query(struct query *q);
static int end_sql(struct query *q);
static int end_write(struct query *q, struct errmsg *em);
static int end_load(struct query *q, int rv, const char *what, struct errmsg *em);
static int code_of(const struct ledger *l, int sqlite_code);
static int fail(const struct ledger *l, int rv, const char *what, struct errmsg *em);

/* ---- open and close ---- */

struct ledger *ledger_open(const char *dir, const struct fleet_keys *fresh, struct errmsg *em)
{
    struct ledger *l = calloc(1, sizeof *l);
    if (!l) {
        errmsg_set(em, ERR_NO_MEMORY, "out of memory");
        return NULL;
    }
    if (open_database(l, dir, fresh, em) < 0) {
        ledger_close(l);
        return NULL;
    }
    return l;
}

void ledger_close(struct ledger *l)
{
    if (!l)
        return;
    for (int i = 0; i < STATEMENT_COUNT; i++)
        sqlite3_finalize(l->statements[i]);
    ledger_check_end(&l->check);
    sqlite3_close(l->db);
    explicit_bzero(&l->keys, sizeof l->keys);
    explicit_bzero(&l->secrets, sizeof l->secrets);
    explicit_bzero(&l->fleet, sizeof l->fleet);
    free(l);
}

static int open_database(struct ledger *l, const char *dir, const struct fleet_keys *fresh,
                         struct errmsg *em)
{
    bool empty = false;
    int rv = file_path(l->path, em, "%s/manager.db", dir);
    if (rv == 0)
        rv = create_file(l->path, em);
    if (rv < 0)
        return rv;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
    int code = sqlite3_open_v2(l->path, &l->db, flags, NULL);
    if (code != SQLITE_OK)
        return fail(l, code_of(l, code), "open it", em);
    sqlite3_extended_result_codes(l->db, 1);
    sqlite3_busy_timeout(l->db, BUSY_MS);
    if ((rv = execute(l, PRAGMAS)) < 0)
        return fail(l, rv, "open it", em);
    if ((rv = check_version(l, &empty, em)) < 0)
        return rv;
    if (!empty)
        ledger_check_begin(&l->check, l->path);
    if (empty && (rv = make_tables(l, fresh)) < 0)
        return fail(l, rv, "make its tables", em);
    if ((rv = prepare_all(l, em)) < 0)
        return rv;
    l->unwiped = true; /* whoever worked here last may have been killed before */
    return get_keys(l, em);
}

/* SQLite would make it readable to all; its companions take over this file's mode. */
static int create_file(const char *path, struct errmsg *em)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return errmsg_set(em, file_error(errno), "%s: cannot open it: %s", path, strerror(errno));
    close(fd);
    return 0;
}

static int check_version(struct ledger *l, bool *empty, struct errmsg *em)
{
    int64_t application = 0, version = 0, tables = 0;
    int rv = pragma(l, "PRAGMA application_id", &application);
    if (rv == 0)
        rv = pragma(l, "PRAGMA user_version", &version);
    if (rv == 0)
        rv = pragma(l, "SELECT count(*) FROM sqlite_master", &tables);
    if (rv < 0)
        return fail(l, rv, "read its version", em);
    *empty = application == 0 && version == 0 && tables == 0;
    if (!*empty && application != APPLICATION_ID)
        return errmsg_set(em, ERR_FORMAT,
                          "%s is a SQLite database, but no manager's; move it away or choose "
                          "another folder",
                          l->path);
    if (!*empty && version != SCHEMA_VERSION)
        return errmsg_set(em, ERR_FORMAT,
                          "%s has schema version %lld and this manager knows version %d; run the "
                          "manager that wrote it",
                          l->path, (long long)version, SCHEMA_VERSION);
    return 0;
}

/* Writing on where pages are damaged would damage more. */
int ledger_checked(struct ledger *l, struct errmsg *em)
{
    int rv = ledger_check_end(&l->check);
    if (rv == ERR_DAMAGED)
        return fail(l, rv, "trust its pages", em);
    return rv < 0 ? errmsg_set(em, rv, "%s: cannot check its pages: %s", l->path, err_name(rv)) : 0;
}

/* Tables and keys come in one transaction: a database without keys is never seen. */
static int make_tables(struct ledger *l, const struct fleet_keys *fresh)
{
    int rv = execute(l, "BEGIN IMMEDIATE;" SCHEMA);
    if (rv == 0)
        rv = put_keys(l, fresh);
    if (rv == 0)
        rv = execute(l, "COMMIT");
    return rv;
}

static int put_keys(struct ledger *l, const struct fleet_keys *keys)
{
    uint8_t heirs[FLEET_KEY_COUNT][HEIR_LEN];
    for (int i = 0; i < FLEET_KEY_COUNT; i++) {
        memcpy(heirs[i], keys->heirs[i].secret.bytes, SECRET_KEY_LEN);
        heirs[i][SECRET_KEY_LEN] = keys->heirs[i].stolen;
    }
    const struct {
        unsigned key;
        struct span value;
    } rows[] = {
        {META_FLEET, span_of(keys->fleet, FLEET_ID_LEN)},
        {META_SIGNING, span_of(keys->signing.bytes, SECRET_KEY_LEN)},
        {META_MASTER, span_of(keys->master.bytes, MAC_KEY_LEN)},
        {META_AUTHORITY, span_of(keys->authority.bytes, SECRET_KEY_LEN)},
        {META_HEIRS + FLEET_ONLINE, span_of(heirs[FLEET_ONLINE], HEIR_LEN)},
        {META_HEIRS + FLEET_AUTHORITY, span_of(heirs[FLEET_AUTHORITY], HEIR_LEN)},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct query q = query_sql(l, STATEMENTS[PUT_META]);
        put_int(&q, rows[i].key);
        put_blob(&q, rows[i].value);
        next_row(&q);
        int rv = end_sql(&q);
        if (rv < 0)
            return rv;
    }
    return put_elders(l, keys);
}

static int put_elders(struct ledger *l, const struct fleet_keys *keys)
{
    struct query q = query_sql(l, STATEMENTS[DROP_ELDERS]);
    next_row(&q);
    int rv = end_sql(&q);
    for (uint32_t i = 0; rv == 0 && i < keys->elder_count; i++) {
        const struct elder *e = &keys->elders[i];
        q = query_sql(l, STATEMENTS[PUT_ELDER]);
        put_int(&q, i);
        put_blob(&q, span_of(e->id.bytes, KEY_ID_LEN));
        put_int(&q, e->since_s);
        put_int(&q, e->until_s);
        put_int(&q, e->stolen);
        put_blob(&q, span_of(e->secret.bytes, SECRET_KEY_LEN));
        put_blob(&q, span_of(e->own, e->own_len));
        put_blob(&q, span_of(e->cross, e->cross_len));
        next_row(&q);
        rv = end_sql(&q);
    }
    return rv;
}

static bool get_key(struct ledger *l, unsigned key, uint8_t *out, size_t len)
{
    struct query q = query_on(l, l->statements[GET_META]);
    put_int(&q, key);
    if (!next_row(&q))
        q.odd = true;
    else
        get_bytes(&q, out, len);
    return end_query(&q) == 0;
}

static bool get_heir(struct ledger *l, enum fleet_key which)
{
    uint8_t bytes[HEIR_LEN] = {0};
    struct heir *h = &l->keys.heirs[which];
    if (!get_key(l, META_HEIRS + which, bytes, HEIR_LEN))
        return false;
    memcpy(h->secret.bytes, bytes, SECRET_KEY_LEN);
    h->stolen = bytes[SECRET_KEY_LEN] != 0;
    return true;
}

static int get_keys(struct ledger *l, struct errmsg *em)
{
    struct fleet_keys *k = &l->keys;
    if (get_key(l, META_FLEET, k->fleet, FLEET_ID_LEN) &&
        get_key(l, META_SIGNING, k->signing.bytes, SECRET_KEY_LEN) &&
        get_key(l, META_MASTER, k->master.bytes, MAC_KEY_LEN) &&
        get_key(l, META_AUTHORITY, k->authority.bytes, SECRET_KEY_LEN) &&
        get_heir(l, FLEET_ONLINE) && get_heir(l, FLEET_AUTHORITY) && get_elders(l) == 0)
        return 0;
    return fail(l, ERR_DAMAGED, "read the fleet's keys", em);
}

static int get_elders(struct ledger *l)
{
    struct fleet_keys *k = &l->keys;
    struct query q = query_on(l, l->statements[GET_ELDERS]);
    for (k->elder_count = 0; k->elder_count < ELDERS_MAX && next_row(&q); k->elder_count++) {
        struct elder *e = &k->elders[k->elder_count];
        *e = (struct elder){0};
        get_bytes(&q, e->id.bytes, KEY_ID_LEN);
        e->since_s = get_int(&q, INT64_MAX);
        e->until_s = get_int(&q, INT64_MAX);
        e->stolen = get_int(&q, 1) == 1;
        get_bytes(&q, e->secret.bytes, SECRET_KEY_LEN);
        e->own_len = copy_blob(&q, e->own, sizeof e->own);
        e->cross_len = copy_blob(&q, e->cross, sizeof e->cross);
    }
    return end_query(&q);
}

static int prepare_all(struct ledger *l, struct errmsg *em)
{
    for (int i = 0; i < STATEMENT_COUNT; i++) {
        int code = sqlite3_prepare_v3(l->db, STATEMENTS[i], -1, SQLITE_PREPARE_PERSISTENT,
                                      &l->statements[i], NULL);
        if (code != SQLITE_OK)
            return fail(l, code == SQLITE_ERROR ? ERR_DAMAGED : code_of(l, code), "find its tables",
                        em);
    }
    return 0;
}

static int pragma(struct ledger *l, const char *sql, int64_t *value)
{
    struct query q = query_sql(l, sql);
    *value = next_row(&q) ? sqlite3_column_int64(q.stmt, 0) : 0;
    return end_sql(&q);
}

int ledger_set_keys(struct ledger *l, const struct fleet_keys *keys, struct errmsg *em)
{
    int rv = begin(l, em);
    if (rv == 0 && (rv = put_keys(l, keys)) < 0) {
        l->spoilt = true;
        return fail(l, rv, "write its keys", em);
    }
    if (rv == 0) {
        l->keys = *keys;
        l->unwiped = true;
    }
    return rv;
}

/* What was overwritten stands in the log until that is copied and cut off. While somebody reads it,
 * to copy the database, it can't be; then the next commit tries again. */
static void wipe(struct ledger *l)
{
    int64_t busy = 1;
    sqlite3_busy_timeout(l->db, 0);
    int rv = pragma(l, "PRAGMA wal_checkpoint(TRUNCATE)", &busy);
    sqlite3_busy_timeout(l->db, BUSY_MS);
    l->unwiped = rv < 0 || busy != 0;
}

/* ---- copies ---- */

/* A database of ours that is only read; ledger_close ends it. */
static int open_to_read(struct ledger *l, int flags, struct errmsg *em)
{
    bool empty = false;
    int code = sqlite3_open_v2(l->path, &l->db, flags | SQLITE_OPEN_NOMUTEX, NULL);
    if (code != SQLITE_OK)
        return fail(l, code_of(l, code), "open it", em);
    sqlite3_extended_result_codes(l->db, 1);
    sqlite3_busy_timeout(l->db, BUSY_MS);
    int rv = check_version(l, &empty, em);
    return rv == 0 && empty ? fail(l, ERR_DAMAGED, "copy it", em) : rv;
}

static int open_in(struct ledger *l, const char *dir, struct errmsg *em)
{
    int rv = file_path(l->path, em, "%s/manager.db", dir);
    if (rv == 0 && access(l->path, F_OK) < 0)
        rv = errmsg_set(em, ERR_NOT_FOUND, "%s: there is no manager's database", l->path);
    if (rv < 0)
        return rv;
    bool writable = access(l->path, W_OK) == 0;
    return open_to_read(l, writable ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY, em);
}

/* The copy has no log beside it: it is one file, also for those who only may read it. */
static int vacuum_into(struct ledger *l, const char *to, struct errmsg *em)
{
    struct query q = query_sql(l, "VACUUM INTO ?");
    put_text(&q, to);
    next_row(&q);
    int rv = end_sql(&q);
    if (rv < 0)
        return fail(l, rv, "copy it", em);
    return chmod(to, 0600) == 0 ? 0
                                : errmsg_set(em, file_error(errno), "%s: cannot set its mode: %s",
                                             to, strerror(errno));
}

int ledger_copy(const char *dir, const char *to, struct errmsg *em)
{
    struct ledger *l = calloc(1, sizeof *l);
    if (!l)
        return errmsg_set(em, ERR_NO_MEMORY, "out of memory");
    int rv = open_in(l, dir, em);
    if (rv == 0)
        rv = vacuum_into(l, to, em);
    ledger_close(l);
    return rv;
}

struct ledger *ledger_open_to_read(const char *dir, struct errmsg *em)
{
    struct ledger *l = calloc(1, sizeof *l);
    if (!l) {
        errmsg_set(em, ERR_NO_MEMORY, "out of memory");
        return NULL;
    }
    int rv = open_in(l, dir, em);
    if (rv == 0 && (rv = execute(l, "BEGIN")) < 0)
        fail(l, rv, "read it", em);
    if (rv == 0)
        rv = prepare_all(l, em);
    if (rv == 0)
        rv = get_keys(l, em);
    if (rv == 0)
        return l;
    ledger_close(l);
    return NULL;
}

int ledger_chunks(const char *copy, void *context,
                  int (*each)(void *context, const struct digest *chunk, struct errmsg *em),
                  struct errmsg *em)
{
    struct ledger *l = calloc(1, sizeof *l);
    struct digest chunk;
    if (!l)
        return errmsg_set(em, ERR_NO_MEMORY, "out of memory");
    int rv = file_path(l->path, em, "%s", copy);
    if (rv == 0)
        rv = open_to_read(l, SQLITE_OPEN_READONLY, em);
    if (rv == 0) {
        struct query q = query_sql(l, "SELECT digest FROM chunk WHERE bundles>0");
        while (rv == 0 && next_row(&q)) {
            get_bytes(&q, chunk.bytes, DIGEST_LEN);
            rv = q.odd ? ERR_DAMAGED : each(context, &chunk, em);
        }
        int ended = end_sql(&q);
        if (ended < 0)
            rv = fail(l, ended, "list its chunks", em);
    }
    ledger_close(l);
    return rv;
}

const struct fleet_keys *ledger_keys(const struct ledger *l)
{
    return &l->keys;
}

int ledger_limit(struct ledger *l, uint32_t pages, struct errmsg *em)
{
    char sql[64];
    snprintf(sql, sizeof sql, "PRAGMA max_page_count=%u", pages);
    int rv = execute(l, sql);
    return rv < 0 ? fail(l, rv, "limit its size", em) : 0;
}

/* ---- settings ---- */

int64_t ledger_setting(struct ledger *l, unsigned setting)
{
    struct query q = query_on(l, l->statements[GET_META]);
    put_int(&q, META_SETTINGS + setting);
    int64_t value = next_row(&q) ? sqlite3_column_int64(q.stmt, 0) : 0;
    return end_query(&q) < 0 ? 0 : value;
}

static int put_number(struct ledger *l, uint64_t key, int64_t value, struct errmsg *em)
{
    int rv = begin(l, em);
    if (rv < 0)
        return rv;
    struct query q = query_on(l, l->statements[PUT_META]);
    put_int(&q, key);
    put_int(&q, (uint64_t)value);
    return end_write(&q, em);
}

int ledger_set(struct ledger *l, unsigned setting, int64_t value, struct errmsg *em)
{
    return put_number(l, META_SETTINGS + setting, value, em);
}

/* ---- loading ---- */

int ledger_load(struct ledger *l, struct manager *m, struct errmsg *em)
{
    static int (*const tables[])(struct ledger *, struct manager *, struct errmsg *) = {
        load_groups,   load_budgets,    load_batches,   load_bundles, load_deployments,
        load_cohorts,  load_trust,      load_agents,    load_taints,  load_lists,
        load_replaced, load_successors, load_variables,
    };
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        int rv = tables[i](l, m, em);
        if (rv < 0)
            return rv;
    }
    return ledger_checked(l, em);
}

static int load_batches(struct ledger *l, struct manager *m, struct errmsg *em)
{
    int rv = 0;
    struct query q = query_sql(l, "SELECT * FROM batch ORDER BY n");
    for (uint32_t n = 0; rv == 0 && next_row(&q); n++) {
        struct batch_row row = {0};
        q.odd |= get_int(&q, UINT32_MAX) != n;
        row.count = (uint32_t)get_int(&q, TOKENS_MAX);
        row.uses = (uint32_t)get_int(&q, TOKEN_USES_MAX);
        row.created_s = get_int(&q, UINT64_MAX);
        row.expires_s = get_int(&q, UINT64_MAX);
        row.revoked = get_int(&q, 1);
        row.bound = get_int(&q, 1);
        row.approve = get_int(&q, 1);
        get_text(&q, row.labels.text, sizeof row.labels.text);
        rv = q.odd ? ERR_DAMAGED : manager_load_batch(m, &row);
    }
    return end_load(&q, rv, "load its token batches", em);
}

static int load_groups(struct ledger *l, struct manager *m, struct errmsg *em)
{
    int rv = 0;
    struct query q = query_sql(l, "SELECT * FROM saved ORDER BY n");
    for (uint32_t n = 0; rv == 0 && next_row(&q); n++) {
        struct group_row row = {0};
        q.odd |= get_int(&q, UINT32_MAX) != n;
        get_text(&q, row.name, sizeof row.name);
        get_text(&q, row.selector, sizeof row.selector);
        rv = q.odd ? ERR_DAMAGED : manager_load_group(m, &row);
    }
    return end_load(&q, rv, "load its groups", em);
}

static int load_budgets(struct ledger *l, struct manager *m, struct errmsg *em)
{
    int rv = 0;
    struct query q = query_sql(l, "SELECT * FROM budget ORDER BY n");
    for (uint32_t n = 0; rv == 0 && next_row(&q); n++) {
        struct budget_row row = {0};
        q.odd |= get_int(&q, UINT32_MAX) != n;
        get_text(&q, row.name, sizeof row.name);
        get_text(&q, row.selector, sizeof row.selector);
        row.max.value = (uint32_t)get_int(&q, UINT32_MAX);
        row.max.percent = get_int(&q, 1);
        rv = q.odd ? ERR_DAMAGED : manager_load_budget(m, &row);
    }
    return end_load(&q, rv, "load its budgets", em);
}

static int load_bundles(struct ledger *l, struct manager *m, struct errmsg *em)
{
    int rv = 0;
    struct query q = query_sql(l, "SELECT * FROM bundle ORDER BY n");
    for (uint32_t n = 0; rv == 0 && next_row(&q); n++) {
        struct bundle_row row = {0};
        q.odd |= get_int(&q, UINT32_MAX) != n;
        get_bytes(&q, row.digest.bytes, DIGEST_LEN);
        get_text(&q, row.name, sizeof row.name);
        get_text(&q, row.version, sizeof row.version);
        row.bytes = get_int(&q, UINT64_MAX);
        row.files = (uint32_t)get_int(&q, UINT32_MAX);
        row.chunks = (uint32_t)get_int(&q, UINT32_MAX);
        row.created_s = get_int(&q, UINT64_MAX);
        row.removed = get_int(&q, 1);
        get_needs(&q, &row.needs);
        rv = q.odd ? ERR_DAMAGED : manager_load_bundle(m, &row);
    }
    return end_load(&q, rv, "load its bundles", em);
}

static void get_needs(struct query *q, struct needs *needs)
{
    struct wire_reader r = wire_reader_on(get_blob(q, NEEDS_BYTES_MAX));
    needs_get(&r, needs);
    q->odd |= wire_done(&r) < 0;
}

static int load_deployments(struct ledger *l, struct manager *m, struct errmsg *em)
{
    int rv = 0;
    struct query q = query_sql(l, "SELECT * FROM deployment ORDER BY n");
    for (uint32_t n = 0; rv == 0 && next_row(&q); n++) {
        struct deployment_row row = {0};
        q.odd |= get_int(&q, UINT32_MAX) != n;
        get_text(&q, row.name, sizeof row.name);
        get_text(&q, row.selector, sizeof row.selector);
        row.flags = (uint32_t)get_int(&q, UINT32_MAX);
        row.priority = (uint32_t)get_int(&q, UINT32_MAX);
        row.salt = get_int(&q, UINT64_MAX);
        row.removed = get_int(&q, 1);
        row.created_s = get_int(&q, UINT64_MAX);
        row.history_kept = (uint32_t)get_int(&q, HISTORY_MAX);
        get_history(&q, &row);
        q.odd |= pick_read(get_blob(&q, PICK_BYTES_MAX), &row.pick, &row.picked) < 0;
        q.odd |= plan_read(get_blob(&q, PLAN_BYTES_MAX), &row.plan) < 0;
        get_rollout(&q, &row);
        get_after(&q, &row);
        q.odd |= roster_read(get_blob(&q, ROSTER_BYTES_MAX), &row.roster) < 0;
        rv = q.odd ? ERR_DAMAGED : manager_load_deployment(m, &row);
    }
    return end_load(&q, rv, "load its deployments", em);
}

static void get_history(struct query *q, struct deployment_row *row)
{
    struct span b = get_blob(q, (size_t)HISTORY_MAX * HISTORY_LEN);
    q->odd |= b.len % HISTORY_LEN != 0;
    row->history_count = (uint32_t)(b.len / HISTORY_LEN);
    for (uint32_t i = 0; i < row->history_count; i++) {
        const uint8_t *at = b.data + (size_t)i * HISTORY_LEN;
        row->history[i] = (struct generation_row){
            .generation = le32_read(at), .bundle = le32_read(at + 4), .since_s = le64_read(at + 8)};
    }
}

/* Four bytes for each. */
static void get_after(struct query *q, struct deployment_row *row)
{
    struct span b = get_blob(q, AFTER_LEN_MAX);
    q->odd |= b.len % 4 != 0;
    row->after.count = (uint32_t)(b.len / 4);
    for (uint32_t i = 0; i < row->after.count; i++)
        row->after.numbers[i] = le32_read(b.data + (size_t)4 * i);
}

static void get_rollout(struct query *q, struct deployment_row *row)
{
    struct rollout *r = &row->rollout;
    struct wire_reader w = wire_reader_on(get_blob(q, ROLLOUT_BYTES_MAX));
    wire_get_array(&w, ROLLOUT_FIELDS, ROLLOUT_FIELDS);
    r->state = (uint8_t)wire_get_u64(&w, ROLLOUT_DONE);
    r->step = (uint8_t)wire_get_u64(&w, ROLLOUT_CLOSING);
    r->stage = (uint8_t)wire_get_u64(&w, STAGES_MAX);
    r->approved = wire_get_bool(&w);
    r->stable = (uint32_t)wire_get_u64(&w, UINT32_MAX);
    r->stable_bundle = (uint32_t)wire_get_u64(&w, UINT32_MAX);
    r->first = (uint32_t)wire_get_u64(&w, UINT32_MAX);
    r->passed = (uint8_t)wire_get_u64(&w, 2 * STAGES_MAX);
    r->queued = (uint32_t)wire_get_u64(&w, UINT32_MAX);
    r->excused = (uint32_t)wire_get_u64(&w, UINT32_MAX);
    r->overdue = (uint32_t)wire_get_u64(&w, UINT32_MAX);
    r->ready = (uint32_t)wire_get_u64(&w, UINT32_MAX);
    r->since_s = wire_get_u64(&w, UINT64_MAX);
    r->success_s = wire_get_u64(&w, UINT64_MAX);
    r->end = wire_get_u64(&w, UINT64_MAX);
    wire_get_array(&w, 3 * row->plan.count, 3 * row->plan.count);
    for (uint32_t i = 0; i < row->plan.count; i++) {
        r->reached[i] = wire_get_u64(&w, UINT64_MAX);
        r->enrolled_before[i] = (uint32_t)wire_get_u64(&w, UINT32_MAX);
        r->took_s[i] = (uint32_t)wire_get_u64(&w, UINT32_MAX);
    }
    q->odd |= wire_done(&w) < 0;
}

static int load_cohorts(struct ledger *l, struct manager *m, struct errmsg *em)
{
    int rv = 0;
    struct query q = query_sql(l, "SELECT * FROM cohort ORDER BY n");
    for (uint32_t n = 0; rv == 0 && next_row(&q); n++) {
        struct cohort row = {0};
        q.odd |= get_int(&q, UINT32_MAX) != n;
        get_bytes(&q, row.key.bytes, COHORT_KEY_LEN);
        get_text(&q, row.labels.text, sizeof row.labels.text);
        row.revision.epoch = (uint32_t)get_int(&q, UINT32_MAX);
        row.revision.number = (uint32_t)get_int(&q, UINT32_MAX);
        get_bytes(&q, row.fingerprint.bytes, DIGEST_LEN);
        row.issued_s = get_int(&q, UINT64_MAX);
        row.trust_version = (uint32_t)get_int(&q, UINT32_MAX);
        get_placements(&q, &row);
        rv = q.odd ? ERR_DAMAGED : manager_load_cohort(m, &row);
    }
    return end_load(&q, rv, "load its cohorts", em);
}

static void get_placements(struct query *q, struct cohort *row)
{
    struct span b = get_blob(q, (size_t)RECORDS_MAX * PLACEMENT_LEN);
    q->odd |= b.len % PLACEMENT_LEN != 0;
    row->placement_count = (uint32_t)(b.len / PLACEMENT_LEN);
    for (uint32_t i = 0; i < row->placement_count; i++) {
        const uint8_t *at = b.data + (size_t)i * PLACEMENT_LEN;
        row->placements[i] = (struct placement){.deployment = le32_read(at),
                                                .generation = le32_read(at + 4),
                                                .since = le32_read(at + 8),
                                                .before = le32_read(at + 12),
                                                .before_since = le32_read(at + 16),
                                                .next = le32_read(at + 20)};
        row->placements[i].next_gate =
            (struct gate){.threshold = le64_read(at + 24), .enrolled_before = le32_read(at + 32)};
        row->placements[i].gate =
            (struct gate){.threshold = le64_read(at + 36), .enrolled_before = le32_read(at + 44)};
        row->placements[i].variables = le64_read(at + 48);
        row->placements[i].listed = at[56] != 0;
    }
}

/* A variable of no name. */
static int put_seal(struct ledger *l, struct errmsg *em)
{
    uint8_t memory[SEAL_LEN];
    struct buffer sealed = buffer_on(memory, sizeof memory);
    int rv = secret_seal(&l->fleet, &l->secrets, span_text(""), span_text(SEALED_WORD), &sealed);
    if (rv == 0)
        rv = begin(l, em);
    if (rv < 0)
        return rv;
    struct query q = query_on(l, l->statements[PUT_META]);
    put_int(&q, META_SEAL);
    put_blob(&q, span_buffer(&sealed));
    return end_write(&q, em);
}

static int refuse_key(struct ledger *l, struct errmsg *em)
{
    return errmsg_set(
        em, ERR_SIGNATURE,
        "%s: its secrets are under another key than the one in secrets.key beside it: "
        "put the right one back from where you keep it, or from a backup",
        l->path);
}

int ledger_unlock(struct ledger *l, const struct mac_key *secrets, bool fresh, struct errmsg *em)
{
    uint8_t sealed[SEAL_LEN], memory[SEAL_LEN];
    struct buffer word = buffer_on(memory, sizeof memory);
    l->fleet = *secrets;
    l->secrets = secret_at_rest(secrets);
    if (fresh)
        return put_seal(l, em);
    if (!get_key(l, META_SEAL, sealed, sizeof sealed))
        return fail(l, ERR_DAMAGED, "read what its secrets' key sealed", em);
    return secret_open(&l->secrets, span_text(""), span_of(sealed, sizeof sealed), &word) < 0
               ? refuse_key(l, em)
               : 0;
}

static int load_variables(struct ledger *l, struct manager *m, struct errmsg *em)
{
    int rv = 0;
    struct query q = query_sql(l, "SELECT * FROM variable ORDER BY n");
    for (uint32_t n = 0; rv == 0 && next_row(&q); n++) {
        struct variable_row row = {0};
        struct variable_text text = {0};
        q.odd |= get_int(&q, UINT32_MAX) != n;
        get_text(&q, row.name, sizeof row.name);
        row.scope = (uint8_t)get_int(&q, SCOPE_COUNT - 1);
        row.secret = get_int(&q, 1);
        row.of = (uint32_t)get_int(&q, UINT32_MAX);
        row.order = (uint32_t)get_int(&q, UINT32_MAX);
        row.since_s = get_int(&q, UINT64_MAX);
        get_text(&q, text.selector, sizeof text.selector);
        rv = get_value(&q, &row, &text);
        if (rv == 0)
            rv = q.odd ? ERR_DAMAGED : manager_load_variable(m, &row, &text);
        explicit_bzero(&text, sizeof text);
    }
    if (rv == ERR_SIGNATURE) {
        end_sql(&q);
        return refuse_key(l, em);
    }
    return end_load(&q, rv, "load its variables", em);
}

static int get_value(struct query *q, struct variable_row *row, struct variable_text *text)
{
    struct buffer value = buffer_on(text->value, sizeof text->value);
    struct span kept = get_blob(q, VARIABLE_VALUE_MAX + VARIABLE_SEALED_MORE);
    int rv = 0;
    if (row->secret && row->scope != SCOPE_NONE)
        rv = secret_open(&q->l->secrets, span_text(row->name), kept, &value);
    else if (kept.len > sizeof text->value)
        rv = ERR_DAMAGED;
    else if (kept.len > 0)
        memcpy(text->value, kept.data, value.len = kept.len);
    row->len = (uint16_t)value.len;
    return rv;
}

/* Its version is kept; the document is what was published under that. */
static int load_trust(struct ledger *l, struct manager *m, struct errmsg *em)
{
    static uint8_t memory[TRUST_MAX + ENVELOPE_OVERHEAD_MAX];
    struct buffer bytes = buffer_on(memory, sizeof memory);
    struct envelope e;
    struct trust trust = {0};
    struct query q = query_on(l, l->statements[GET_META]);
    put_int(&q, META_TRUST);
    uint32_t version = next_row(&q) ? (uint32_t)get_int(&q, UINT32_MAX) : 0;
    int rv = end_load(&q, 0, "load its trust document", em);
    if (rv < 0 || version == 0)
        return rv;
    rv = ledger_get_trust(l, version, &bytes, em);
    if (rv < 0)
        return rv;
    rv = envelope_read(MESSAGE_TRUST, span_buffer(&bytes), &e);
    if (rv == 0)
        rv = trust_read(e.body, &trust);
    if (rv < 0 || trust.version != version)
        return fail(l, ERR_DAMAGED, "load its trust document", em);
    manager_load_trust(m, &trust);
    return 0;
}

static uint32_t take_32(const uint8_t **at)
{
    *at += 4;
    return le32_read(*at - 4);
}

static struct revision take_revision(const uint8_t **at)
{
    uint32_t epoch = take_32(at);
    return (struct revision){.epoch = epoch, .number = take_32(at)};
}

static uint16_t take_flags(const uint8_t **at)
{
    *at += 2;
    return (uint16_t)((*at)[-2] | (*at)[-1] << 8);
}

static void get_agent(struct query *q, uint32_t number, struct agent_row *row)
{
    q->odd |= get_int(q, UINT32_MAX) != number;
    struct span b = get_blob(q, AGENT_LEN);
    q->odd |= b.len != AGENT_LEN;
    if (b.len != AGENT_LEN)
        return;
    const uint8_t *at = b.data + KEY_ID_LEN;
    memcpy(row->id.bytes, b.data, KEY_ID_LEN);
    row->cohort = take_32(&at);
    row->batch = take_32(&at);
    row->index = take_32(&at);
    row->facts = take_32(&at);
    row->assigned = take_revision(&at);
    row->joined_s = take_32(&at);
    row->flags = take_flags(&at);
    row->seq = take_32(&at);
    row->session = take_32(&at);
    row->boot = take_32(&at);
    row->boot_before = take_32(&at);
    row->document = take_revision(&at);
    row->last_seen_s = take_32(&at);
}

/* Reads the list where the query stands; returns how many there are. */
static size_t get_exceptions(struct query *q, struct exception exceptions[static EXCEPTIONS_MAX])
{
    struct span b = get_blob(q, (size_t)EXCEPTIONS_MAX * EXCEPTION_LEN);
    q->odd |= b.len == 0 || b.len % EXCEPTION_LEN != 0;
    const uint8_t *at = b.data;
    size_t count = b.len / EXCEPTION_LEN;
    for (size_t i = 0; i < count; i++) {
        exceptions[i].deployment = take_32(&at);
        exceptions[i].generation = take_32(&at);
        exceptions[i].running = take_32(&at);
        exceptions[i].state = *at++;
        exceptions[i].cause = *at++;
    }
    return count;
}

/* Both tables are read side by side in one order; few agents have exceptions. */
static int load_agents(struct ledger *l, struct manager *m, struct errmsg *em)
{
    int rv = 0;
    struct exception list[EXCEPTIONS_MAX];
    struct query agents = query_sql(l, "SELECT * FROM agent ORDER BY n");
    struct query exceptions = query_sql(l, "SELECT * FROM exceptions ORDER BY n");
    uint64_t next = next_row(&exceptions) ? get_int(&exceptions, UINT32_MAX) : 0;
    for (uint32_t n = 1; rv == 0 && next_row(&agents); n++) {
        struct agent_row row = {0};
        size_t count = 0;
        get_agent(&agents, n, &row);
        if (next == n) {
            count = get_exceptions(&exceptions, list);
            next = next_row(&exceptions) ? get_int(&exceptions, UINT32_MAX) : 0;
        }
        bool odd = agents.odd || exceptions.odd;
        rv = odd ? ERR_DAMAGED : manager_load_agent(m, n, &row, list, count);
    }
    if (rv == 0 && next != 0)
        rv = ERR_DAMAGED; /* nobody's */
    rv = end_load(&agents, rv, "load its agents", em);
    int second = end_load(&exceptions, rv, "load its agents' exceptions", rv < 0 ? NULL : em);
    return rv < 0 ? rv : second;
}

static int load_taints(struct ledger *l, struct manager *m, struct errmsg *em)
{
    int rv = 0;
    struct query q = query_sql(l, "SELECT * FROM taint");
    while (rv == 0 && next_row(&q)) {
        struct taint row = {0};
        uint32_t index = (uint32_t)get_int(&q, UINT32_MAX);
        get_text(&q, row.key, sizeof row.key);
        get_text(&q, row.value, sizeof row.value);
        row.effect = (uint8_t)get_int(&q, UINT8_MAX);
        rv = q.odd ? ERR_DAMAGED : manager_load_taint(m, index, &row);
    }
    return end_load(&q, rv, "load its taints", em);
}

static int load_lists(struct ledger *l, struct manager *m, struct errmsg *em)
{
    int rv = 0;
    struct query q = query_sql(l, "SELECT * FROM listed ORDER BY n");
    while (rv == 0 && next_row(&q)) {
        uint32_t lists[RECORDS_MAX];
        uint32_t number = (uint32_t)get_int(&q, UINT32_MAX);
        uint64_t taints = get_int(&q, UINT64_MAX);
        struct span b = get_blob(&q, sizeof lists);
        for (size_t i = 0; i < b.len / LISTED_LEN; i++)
            lists[i] = le32_read(b.data + i * LISTED_LEN);
        bool odd = q.odd || b.len % LISTED_LEN != 0;
        rv = odd ? ERR_DAMAGED
                 : manager_load_lists(m, number, taints, lists, (uint32_t)(b.len / LISTED_LEN));
    }
    return end_load(&q, rv, "load whom deployments list", em);
}

static int load_replaced(struct ledger *l, struct manager *m, struct errmsg *em)
{
    int rv = 0;
    struct query q = query_sql(l, "SELECT * FROM replaced ORDER BY n");
    for (uint32_t n = 0; rv == 0 && next_row(&q); n++) {
        struct replaced_row row = {0};
        q.odd |= get_int(&q, UINT32_MAX) != n;
        get_bytes(&q, row.id.bytes, KEY_ID_LEN);
        row.number = (uint32_t)get_int(&q, UINT32_MAX);
        row.batch = (uint32_t)get_int(&q, UINT32_MAX);
        row.index = (uint32_t)get_int(&q, UINT32_MAX);
        row.joined_s = (uint32_t)get_int(&q, UINT32_MAX);
        row.since_s = (uint32_t)get_int(&q, UINT32_MAX);
        rv = q.odd ? ERR_DAMAGED : manager_load_replaced(m, &row);
    }
    return end_load(&q, rv, "load whom others have replaced", em);
}

/* In the order of manager_blocked: an access list that is full names the same ones. */
int ledger_blocked(struct ledger *l, struct blocked_agent *out, size_t cap, size_t *count,
                   struct errmsg *em)
{
    *count = 0;
    int rv = list_replaced(l, out, cap, count, em);
    return rv < 0 ? rv : list_blocked(l, out, cap, count, em);
}

static int list_replaced(struct ledger *l, struct blocked_agent *out, size_t cap, size_t *count,
                         struct errmsg *em)
{
    struct query q = query_sql(l, "SELECT id, joined FROM replaced ORDER BY n");
    while (*count < cap && next_row(&q)) {
        struct blocked_agent *b = &out[(*count)++];
        get_bytes(&q, b->id.bytes, KEY_ID_LEN);
        b->joined_s = get_int(&q, UINT32_MAX);
    }
    return end_load(&q, q.odd ? ERR_DAMAGED : 0, "read whom others have replaced", em);
}

static int list_blocked(struct ledger *l, struct blocked_agent *out, size_t cap, size_t *count,
                        struct errmsg *em)
{
    struct query q = query_sql(l, "SELECT * FROM agent ORDER BY n");
    for (uint32_t n = 1; *count < cap && next_row(&q); n++) {
        struct agent_row row = {0};
        get_agent(&q, n, &row);
        if (row.flags & AGENT_BLOCKED)
            out[(*count)++] = (struct blocked_agent){row.id, row.joined_s};
    }
    return end_load(&q, q.odd ? ERR_DAMAGED : 0, "read its agents", em);
}

static int load_successors(struct ledger *l, struct manager *m, struct errmsg *em)
{
    int rv = 0;
    struct query q = query_sql(l, "SELECT * FROM successor ORDER BY n");
    for (uint32_t n = 0; rv == 0 && next_row(&q); n++) {
        struct successor_row row = {0};
        q.odd |= get_int(&q, UINT32_MAX) != n;
        row.number = (uint32_t)get_int(&q, UINT32_MAX);
        row.batch = (uint32_t)get_int(&q, UINT32_MAX);
        row.index = (uint32_t)get_int(&q, UINT32_MAX);
        rv = q.odd ? ERR_DAMAGED : manager_load_successor(m, &row);
    }
    return end_load(&q, rv, "load who is to replace whom", em);
}

/* ---- rows ---- */

/* Opens the transaction when there is none and gives the statement for one row. */
static int start_row(struct ledger *l, enum statement which, struct query *q, struct errmsg *em)
{
    int rv = begin(l, em);
    *q = query_on(l, l->statements[which]);
    return rv;
}

static void give_32(uint8_t **at, uint32_t value)
{
    le32_write(*at, value);
    *at += 4;
}

static void give_revision(uint8_t **at, struct revision r)
{
    give_32(at, r.epoch);
    give_32(at, r.number);
}

static void give_flags(uint8_t **at, unsigned flags)
{
    *(*at)++ = (uint8_t)flags;
    *(*at)++ = (uint8_t)(flags >> 8);
}

static struct span pack_agent(const struct agent_row *row, uint8_t out[static AGENT_LEN])
{
    uint8_t *at = out + KEY_ID_LEN;
    memcpy(out, row->id.bytes, KEY_ID_LEN);
    give_32(&at, row->cohort);
    give_32(&at, row->batch);
    give_32(&at, row->index);
    give_32(&at, row->facts);
    give_revision(&at, row->assigned);
    give_32(&at, row->joined_s);
    give_flags(&at, row->flags);
    give_32(&at, row->seq);
    give_32(&at, row->session);
    give_32(&at, row->boot);
    give_32(&at, row->boot_before);
    give_revision(&at, row->document);
    give_32(&at, row->last_seen_s);
    assert(at == out + AGENT_LEN);
    return span_of(out, AGENT_LEN);
}

static struct span pack_exceptions(const struct exception *list, size_t count, uint8_t *out)
{
    uint8_t *at = out;
    for (size_t i = 0; i < count; i++) {
        give_32(&at, list[i].deployment);
        give_32(&at, list[i].generation);
        give_32(&at, list[i].running);
        *at++ = list[i].state;
        *at++ = list[i].cause;
    }
    return span_of(out, (size_t)(at - out));
}

int ledger_agent(struct ledger *l, uint32_t number, const struct agent_row *row,
                 const struct exception *exceptions, size_t count, struct errmsg *em)
{
    struct query q;
    uint8_t packed[AGENT_LEN], listed[EXCEPTIONS_MAX * EXCEPTION_LEN];
    assert(count <= EXCEPTIONS_MAX);
    int rv = start_row(l, PUT_AGENT, &q, em);
    if (rv < 0)
        return rv;
    put_int(&q, number);
    put_blob(&q, pack_agent(row, packed));
    rv = end_write(&q, em);
    if (rv < 0)
        return rv;
    q = query_on(l, l->statements[count > 0 ? PUT_EXCEPTIONS : DROP_EXCEPTIONS]);
    put_int(&q, number);
    if (count > 0)
        put_blob(&q, pack_exceptions(exceptions, count, listed));
    return end_write(&q, em);
}

int ledger_newcomer(struct ledger *l, uint32_t number, const struct facts *facts, struct errmsg *em)
{
    struct query q;
    uint8_t room[JOIN_MAX];
    struct buffer told = buffer_on(room, sizeof room);
    int rv = facts_write(facts, &told);
    if (rv == 0)
        rv = start_row(l, PUT_FACTS, &q, em);
    if (rv < 0)
        return rv;
    put_int(&q, number);
    put_blob(&q, span_buffer(&told));
    return end_write(&q, em);
}

int ledger_group(struct ledger *l, uint32_t index, const struct group_row *row, struct errmsg *em)
{
    struct query q;
    int rv = start_row(l, PUT_GROUP, &q, em);
    if (rv < 0)
        return rv;
    put_int(&q, index);
    put_text(&q, row->name);
    put_text(&q, row->selector);
    return end_write(&q, em);
}

int ledger_budget(struct ledger *l, uint32_t index, const struct budget_row *row, struct errmsg *em)
{
    struct query q;
    int rv = start_row(l, PUT_BUDGET, &q, em);
    if (rv < 0)
        return rv;
    put_int(&q, index);
    put_text(&q, row->name);
    put_text(&q, row->selector);
    put_int(&q, row->max.value);
    put_int(&q, row->max.percent);
    return end_write(&q, em);
}

int ledger_taint(struct ledger *l, uint32_t index, const struct taint *taint, struct errmsg *em)
{
    struct query q;
    int rv = start_row(l, PUT_TAINT, &q, em);
    if (rv < 0)
        return rv;
    put_int(&q, index);
    put_text(&q, taint->key);
    put_text(&q, taint->value);
    put_int(&q, taint->effect);
    return end_write(&q, em);
}

int ledger_lists(struct ledger *l, uint32_t number, uint64_t taints, const uint32_t *lists,
                 uint32_t count, struct errmsg *em)
{
    struct query q;
    uint8_t packed[RECORDS_MAX * LISTED_LEN];
    uint8_t *at = packed;
    bool kept = taints || count;
    assert(count <= RECORDS_MAX);
    int rv = start_row(l, kept ? PUT_LISTED : DROP_LISTED, &q, em);
    if (rv < 0)
        return rv;
    for (uint32_t i = 0; i < count; i++)
        give_32(&at, lists[i]);
    put_int(&q, number);
    if (kept) {
        put_int(&q, taints);
        put_blob(&q, span_of(packed, (size_t)(at - packed)));
    }
    return end_write(&q, em);
}

int ledger_replaced(struct ledger *l, uint32_t index, const struct replaced_row *row,
                    struct errmsg *em)
{
    struct query q;
    int rv = start_row(l, PUT_REPLACED, &q, em);
    if (rv < 0)
        return rv;
    put_int(&q, index);
    put_blob(&q, span_of(row->id.bytes, KEY_ID_LEN));
    put_int(&q, row->number);
    put_int(&q, row->batch);
    put_int(&q, row->index);
    put_int(&q, row->joined_s);
    put_int(&q, row->since_s);
    return end_write(&q, em);
}

int ledger_successor(struct ledger *l, uint32_t index, const struct successor_row *row,
                     struct errmsg *em)
{
    struct query q;
    int rv = start_row(l, PUT_SUCCESSOR, &q, em);
    if (rv < 0)
        return rv;
    put_int(&q, index);
    put_int(&q, row->number);
    put_int(&q, row->batch);
    put_int(&q, row->index);
    return end_write(&q, em);
}

int ledger_cohort(struct ledger *l, uint32_t index, const struct cohort *row, struct errmsg *em)
{
    struct query q;
    uint8_t packed[RECORDS_MAX * PLACEMENT_LEN];
    int rv = start_row(l, PUT_COHORT, &q, em);
    if (rv < 0)
        return rv;
    for (uint32_t i = 0; i < row->placement_count; i++) {
        const struct placement *p = &row->placements[i];
        uint8_t *at = packed + (size_t)i * PLACEMENT_LEN;
        le32_write(at, p->deployment);
        le32_write(at + 4, p->generation);
        le32_write(at + 8, p->since);
        le32_write(at + 12, p->before);
        le32_write(at + 16, p->before_since);
        le32_write(at + 20, p->next);
        le64_write(at + 24, p->next_gate.threshold);
        le32_write(at + 32, p->next_gate.enrolled_before);
        le64_write(at + 36, p->gate.threshold);
        le32_write(at + 44, p->gate.enrolled_before);
        le64_write(at + 48, p->variables);
        at[56] = p->listed;
    }
    put_int(&q, index);
    put_blob(&q, span_of(row->key.bytes, COHORT_KEY_LEN));
    put_text(&q, row->labels.text);
    put_int(&q, row->revision.epoch);
    put_int(&q, row->revision.number);
    put_blob(&q, span_of(row->fingerprint.bytes, DIGEST_LEN));
    put_int(&q, row->issued_s);
    put_int(&q, row->trust_version);
    put_blob(&q, span_of(packed, (size_t)row->placement_count * PLACEMENT_LEN));
    return end_write(&q, em);
}

int ledger_batch(struct ledger *l, uint32_t index, const struct batch_row *row, struct errmsg *em)
{
    struct query q;
    int rv = start_row(l, PUT_BATCH, &q, em);
    if (rv < 0)
        return rv;
    put_int(&q, index);
    put_int(&q, row->count);
    put_int(&q, row->uses);
    put_int(&q, row->created_s);
    put_int(&q, row->expires_s);
    put_int(&q, row->revoked);
    put_int(&q, row->bound);
    put_int(&q, row->approve);
    put_text(&q, row->labels.text);
    return end_write(&q, em);
}

int ledger_variable(struct ledger *l, uint32_t index, const struct variable_row *row,
                    const struct variable_text *text, struct errmsg *em)
{
    struct query q;
    uint8_t memory[VARIABLE_VALUE_MAX + VARIABLE_SEALED_MORE];
    struct buffer sealed = buffer_on(memory, sizeof memory);
    bool set = row->scope != SCOPE_NONE;
    struct span value = span_of(text->value, set ? row->len : 0);
    int rv = start_row(l, PUT_VARIABLE, &q, em);
    if (rv < 0)
        return rv;
    if (set && row->secret) {
        rv = secret_seal(&l->fleet, &l->secrets, span_text(row->name), value, &sealed);
        assert(rv == 0);
        value = span_buffer(&sealed);
    }
    put_int(&q, index);
    put_text(&q, row->name);
    put_int(&q, row->scope);
    put_int(&q, row->secret);
    put_int(&q, row->of);
    put_int(&q, row->order);
    put_int(&q, row->since_s);
    put_text(&q, text->selector);
    put_blob(&q, value);
    return end_write(&q, em);
}

int ledger_revoke_tokens(struct ledger *l, uint64_t *count, struct errmsg *em)
{
    struct query q;
    int rv = start_row(l, REVOKE_BATCHES, &q, em);
    if (rv == 0)
        rv = end_write(&q, em);
    *count = rv < 0 ? 0 : (uint64_t)sqlite3_changes(l->db);
    return rv;
}

int ledger_bundle(struct ledger *l, uint32_t index, const struct bundle_row *row, struct errmsg *em)
{
    struct query q;
    uint8_t packed[NEEDS_BYTES_MAX];
    struct buffer needs = buffer_on(packed, sizeof packed);
    struct wire_writer w = wire_writer_on(&needs);
    needs_put(&w, &row->needs);
    assert(w.error == 0);
    int rv = start_row(l, PUT_BUNDLE, &q, em);
    if (rv < 0)
        return rv;
    put_int(&q, index);
    put_blob(&q, span_of(row->digest.bytes, DIGEST_LEN));
    put_text(&q, row->name);
    put_text(&q, row->version);
    put_int(&q, row->bytes);
    put_int(&q, row->files);
    put_int(&q, row->chunks);
    put_int(&q, row->created_s);
    put_int(&q, row->removed);
    put_blob(&q, span_buffer(&needs));
    return end_write(&q, em);
}

int ledger_deployment(struct ledger *l, uint32_t index, const struct deployment_row *row,
                      struct errmsg *em)
{
    struct query q;
    uint8_t packed[HISTORY_MAX * HISTORY_LEN];
    uint8_t planned[PLAN_BYTES_MAX], rolled[ROLLOUT_BYTES_MAX];
    uint8_t picked[PICK_BYTES_MAX], listed[ROSTER_BYTES_MAX];
    struct buffer roster = buffer_on(listed, sizeof listed);
    struct buffer pick = buffer_on(picked, sizeof picked);
    struct buffer plan = buffer_on(planned, sizeof planned);
    struct buffer rollout = buffer_on(rolled, sizeof rolled);
    int rv = pick_write(&row->pick, &row->picked, &pick);
    if (rv == 0)
        rv = plan_write(&row->plan, &plan);
    if (rv == 0)
        rv = write_rollout(row, &rollout);
    if (rv == 0)
        rv = roster_write(&row->roster, &roster);
    if (rv < 0)
        return errmsg_set(em, rv, "deployment %s: cannot be written down", row->name);
    rv = start_row(l, PUT_DEPLOYMENT, &q, em);
    if (rv < 0)
        return rv;
    for (uint32_t i = 0; i < row->history_count; i++) {
        uint8_t *at = packed + (size_t)i * HISTORY_LEN;
        le32_write(at, row->history[i].generation);
        le32_write(at + 4, row->history[i].bundle);
        le64_write(at + 8, row->history[i].since_s);
    }
    put_int(&q, index);
    put_text(&q, row->name);
    put_text(&q, row->selector);
    put_int(&q, row->flags);
    put_int(&q, row->priority);
    put_int(&q, row->salt);
    put_int(&q, row->removed);
    put_int(&q, row->created_s);
    put_int(&q, row->history_kept);
    put_blob(&q, span_of(packed, (size_t)row->history_count * HISTORY_LEN));
    put_blob(&q, span_buffer(&pick));
    put_blob(&q, span_buffer(&plan));
    put_blob(&q, span_buffer(&rollout));
    uint8_t after[AFTER_LEN_MAX];
    for (uint32_t i = 0; i < row->after.count; i++)
        le32_write(after + (size_t)4 * i, row->after.numbers[i]);
    put_blob(&q, span_of(after, (size_t)4 * row->after.count));
    put_blob(&q, span_buffer(&roster));
    return end_write(&q, em);
}

/* As get_rollout reads it. */
static int write_rollout(const struct deployment_row *row, struct buffer *out)
{
    const struct rollout *r = &row->rollout;
    struct wire_writer w = wire_writer_on(out);
    wire_put_array(&w, ROLLOUT_FIELDS);
    wire_put_u64(&w, r->state);
    wire_put_u64(&w, r->step);
    wire_put_u64(&w, r->stage);
    wire_put_bool(&w, r->approved);
    wire_put_u64(&w, r->stable);
    wire_put_u64(&w, r->stable_bundle);
    wire_put_u64(&w, r->first);
    wire_put_u64(&w, r->passed);
    wire_put_u64(&w, r->queued);
    wire_put_u64(&w, r->excused);
    wire_put_u64(&w, r->overdue);
    wire_put_u64(&w, r->ready);
    wire_put_u64(&w, r->since_s);
    wire_put_u64(&w, r->success_s);
    wire_put_u64(&w, r->end);
    wire_put_array(&w, 3 * row->plan.count);
    for (uint32_t i = 0; i < row->plan.count; i++) {
        wire_put_u64(&w, r->reached[i]);
        wire_put_u64(&w, r->enrolled_before[i]);
        wire_put_u64(&w, r->took_s[i]);
    }
    return wire_end(&w);
}

int ledger_trust(struct ledger *l, uint32_t version, struct errmsg *em)
{
    return put_number(l, META_TRUST, version, em);
}

/* ---- transactions ---- */

static int begin(struct ledger *l, struct errmsg *em)
{
    if (l->spoilt)
        return errmsg_set(em, ERR_IO, "%s: a write before this one failed", l->path);
    if (l->writing)
        return 0;
    int rv = execute(l, "BEGIN IMMEDIATE");
    if (rv < 0) {
        l->spoilt = true;
        return fail(l, rv, "write", em);
    }
    l->writing = true;
    return 0;
}

bool ledger_dirty(const struct ledger *l)
{
    return l->writing || l->spoilt;
}

int ledger_commit(struct ledger *l, struct errmsg *em)
{
    if (l->spoilt)
        return errmsg_set(em, ERR_IO, "%s: a write before the commit failed", l->path);
    if (!l->writing)
        return 0;
    int rv = ledger_checked(l, em);
    if (rv < 0) {
        l->spoilt = true;
        return rv;
    }
    rv = execute(l, "COMMIT");
    if (rv < 0) {
        l->spoilt = true;
        return fail(l, rv, "commit", em);
    }
    l->writing = false;
    if (l->unwiped)
        wipe(l);
    return 0;
}

/* A full disk may have made SQLite roll back by itself. */
void ledger_rollback(struct ledger *l)
{
    if (!sqlite3_get_autocommit(l->db))
        execute(l, "ROLLBACK");
    l->writing = false;
    l->spoilt = false;
    get_keys(l, NULL); /* they can be read, or nothing else can be either */
}

/* ---- what cells retain ---- */

/* Of the topics that one agent has to itself there are more than of all others. */
static void put_topic(struct query *q, const char *topic)
{
    struct topic_name name = topic_read(topic);
    uint8_t *own = q->l->own;
    if (name.kind != TOPIC_AGENT_HEAD && name.kind != TOPIC_AGENT_DOC) {
        put_text(q, topic);
        return;
    }
    own[0] = name.kind == TOPIC_AGENT_HEAD ? OWN_HEAD : OWN_DOC;
    memcpy(own + 1, name.agent.bytes, KEY_ID_LEN);
    put_blob(q, span_of(own, OWN_LEN));
}

static void get_topic(struct query *q, char out[static TOPIC_MAX])
{
    struct topic_name name = {.kind = TOPIC_AGENT_HEAD};
    uint8_t own[OWN_LEN];
    if (sqlite3_column_type(q->stmt, q->column) != SQLITE_BLOB) {
        get_text(q, out, TOPIC_MAX);
        return;
    }
    get_bytes(q, own, OWN_LEN);
    q->odd |= own[0] != OWN_HEAD && own[0] != OWN_DOC;
    if (own[0] == OWN_DOC)
        name.kind = TOPIC_AGENT_DOC;
    memcpy(name.agent.bytes, own + 1, KEY_ID_LEN);
    memcpy(out, topic_make(&name).text, TOPIC_MAX);
}

int ledger_publish(struct ledger *l, const char *topic, struct span payload, struct errmsg *em)
{
    struct query q;
    assert(payload.len <= sizeof l->payload && strlen(topic) < TOPIC_MAX);
    int rv = start_row(l, PUT_CONTROL, &q, em);
    if (rv < 0)
        return rv;
    put_topic(&q, topic);
    put_blob(&q, payload);
    return end_write(&q, em);
}

/* 1 and its row and count of bundles, 0 when it isn't there. */
static int find_chunk(struct ledger *l, const struct digest *chunk, uint64_t *n, uint64_t *bundles)
{
    struct query q = query_on(l, l->statements[FIND_CHUNK]);
    put_blob(&q, span_of(chunk->bytes, DIGEST_LEN));
    bool found = next_row(&q);
    *n = found ? get_int(&q, INT64_MAX) : 0;
    *bundles = found ? get_int(&q, UINT32_MAX) : 0;
    int rv = end_query(&q);
    return rv < 0 ? rv : found;
}

static int add_chunk(struct ledger *l, const struct digest *chunk, uint64_t *n, struct errmsg *em)
{
    struct query q = query_on(l, l->statements[ADD_CHUNK]);
    put_blob(&q, span_of(chunk->bytes, DIGEST_LEN));
    int rv = end_write(&q, em);
    *n = (uint64_t)sqlite3_last_insert_rowid(l->db);
    return rv;
}

static int change_by_number(struct ledger *l, enum statement which, uint64_t n, struct errmsg *em)
{
    struct query q = query_on(l, l->statements[which]);
    put_int(&q, n);
    return end_write(&q, em);
}

int ledger_bundle_chunk(struct ledger *l, uint32_t bundle, const struct digest *chunk,
                        struct errmsg *em)
{
    uint64_t n, bundles;
    int rv = begin(l, em);
    if (rv < 0)
        return rv;
    int found = find_chunk(l, chunk, &n, &bundles);
    if (found < 0)
        return fail(l, found, "find a chunk", em);
    if (bundles == 0) {
        if (!found && (rv = add_chunk(l, chunk, &n, em)) < 0)
            return rv;
        if ((rv = change_by_number(l, MOVE_CHUNK, n, em)) < 0)
            return rv;
    }
    struct query q = query_on(l, l->statements[PUT_BUNDLE_CHUNK]);
    put_int(&q, bundle);
    put_int(&q, n);
    rv = end_write(&q, em);
    if (rv < 0 || sqlite3_changes(l->db) == 0)
        return rv;
    return change_by_number(l, COUNT_CHUNK_UP, n, em);
}

int ledger_chunk_again(struct ledger *l, const struct digest *chunk, struct errmsg *em)
{
    uint64_t n, bundles;
    int found = find_chunk(l, chunk, &n, &bundles);
    if (found < 0)
        return fail(l, found, "find a chunk", em);
    if (bundles == 0)
        return 0;
    int rv = begin(l, em);
    return rv < 0 ? rv : change_by_number(l, MOVE_CHUNK, n, em);
}

int ledger_bundle_erase(struct ledger *l, uint32_t bundle, void *context,
                        void (*gone)(void *context, const struct digest *chunk), struct errmsg *em)
{
    int rv = begin(l, em);
    if (rv == 0)
        rv = change_by_number(l, COUNT_CHUNK_DOWN, bundle, em);
    if (rv < 0)
        return rv;
    struct query q = query_on(l, l->statements[LAST_BUNDLE_CHUNKS]);
    put_int(&q, bundle);
    while (rv == 0 && next_row(&q)) {
        struct digest chunk;
        q.column = 0;
        uint64_t n = get_int(&q, INT64_MAX);
        get_bytes(&q, chunk.bytes, DIGEST_LEN);
        gone(context, &chunk);
        rv = change_by_number(l, MOVE_CHUNK, n, em);
    }
    int ended = end_query(&q);
    if (rv < 0)
        return rv;
    if (ended < 0)
        return fail(l, ended, "find a bundle's chunks", em);
    return change_by_number(l, DROP_BUNDLE_CHUNKS, bundle, em);
}

bool ledger_chunk_needed(struct ledger *l, const struct digest *chunk)
{
    uint64_t n, bundles;
    return find_chunk(l, chunk, &n, &bundles) > 0 && bundles > 0;
}

int ledger_next_control(struct ledger *l, uint64_t after, struct control_row *row,
                        struct errmsg *em)
{
    struct query q = query_on(l, l->statements[NEXT_CONTROL]);
    put_int(&q, after);
    bool found = next_row(&q);
    if (found) {
        row->serial = get_int(&q, INT64_MAX);
        get_topic(&q, l->topic);
        struct span payload = get_blob(&q, sizeof l->payload);
        if (payload.len > 0)
            memcpy(l->payload, payload.data, payload.len);
        row->topic = l->topic;
        row->payload = span_of(l->payload, payload.len);
    }
    int rv = end_query(&q);
    return rv < 0 ? fail(l, rv, "read what to publish", em) : found;
}

int ledger_next_bulk(struct ledger *l, uint64_t after, struct bulk_row *row, struct errmsg *em)
{
    struct query q = query_on(l, l->statements[NEXT_CHUNK]);
    put_int(&q, after);
    bool found = next_row(&q);
    if (found) {
        row->serial = get_int(&q, INT64_MAX);
        get_bytes(&q, row->chunk.bytes, DIGEST_LEN);
        row->erased = get_int(&q, UINT32_MAX) == 0;
    }
    int rv = end_query(&q);
    return rv < 0 ? fail(l, rv, "read which chunk to publish", em) : found;
}

int ledger_published(struct ledger *l, const char *topic, struct buffer *out, struct errmsg *em)
{
    struct query q = query_on(l, l->statements[GET_CONTROL]);
    put_topic(&q, topic);
    bool found = next_row(&q);
    if (found) {
        struct span payload = get_blob(&q, out->cap - out->len);
        if (payload.len > 0)
            memcpy(out->data + out->len, payload.data, payload.len);
        out->len += payload.len;
    }
    int rv = end_query(&q);
    if (rv < 0)
        return fail(l, rv, "read what was published", em);
    return found ? 0 : errmsg_set(em, ERR_NOT_FOUND, "nothing has been published as %s", topic);
}

int ledger_get_trust(struct ledger *l, uint32_t version, struct buffer *out, struct errmsg *em)
{
    struct topic topic = topic_make(&(struct topic_name){.kind = TOPIC_TRUST, .version = version});
    return ledger_published(l, topic.text, out, em);
}

/* ---- notes ---- */

bool ledger_get_note(struct ledger *l, uint32_t number, uint32_t deployment,
                     const struct key_id *id, struct kept_note *out)
{
    struct query q = query_on(l, l->statements[GET_NOTE]);
    put_int(&q, number);
    put_int(&q, deployment);
    put_blob(&q, span_of(id->bytes, KEY_ID_LEN));
    bool found = next_row(&q);
    *out = (struct kept_note){0};
    if (found) {
        out->generation = (uint32_t)get_int(&q, UINT32_MAX);
        out->cause = (uint8_t)get_int(&q, UINT8_MAX);
        out->at_s = get_int(&q, INT64_MAX);
        get_text(&q, out->text, sizeof out->text);
    }
    bool odd = q.odd;
    return end_query(&q) == 0 && found && !odd;
}

static bool is_news(struct ledger *l, uint32_t number, uint32_t deployment, const struct key_id *id,
                    const struct kept_note *note)
{
    struct kept_note old;
    if (!ledger_get_note(l, number, deployment, id, &old) || old.generation < note->generation)
        return true;
    return old.generation == note->generation &&
           (old.cause != note->cause || strcmp(old.text, note->text) != 0);
}

int ledger_note(struct ledger *l, uint32_t number, uint32_t deployment, const struct key_id *id,
                const struct kept_note *note, struct errmsg *em)
{
    struct query q;
    if (!is_news(l, number, deployment, id, note))
        return 0;
    int rv = start_row(l, PUT_NOTE, &q, em);
    if (rv < 0)
        return rv;
    put_int(&q, number);
    put_int(&q, deployment);
    put_blob(&q, span_of(id->bytes, KEY_ID_LEN));
    put_int(&q, note->generation);
    put_int(&q, note->cause);
    put_int(&q, note->at_s);
    put_text(&q, note->text);
    rv = end_write(&q, em);
    return rv < 0 ? rv : change_by_number(l, DROP_NOTES, NOTES_MAX, em);
}

/* ---- for operators ---- */

int ledger_tell(struct ledger *l, uint32_t number, uint32_t seq, const struct facts *facts,
                struct errmsg *em)
{
    struct query q;
    uint8_t room[JOIN_MAX];
    struct buffer told = buffer_on(room, sizeof room);
    int rv = facts_write(facts, &told);
    if (rv == 0)
        rv = start_row(l, TELL_FACTS, &q, em);
    if (rv < 0)
        return rv;
    put_blob(&q, span_buffer(&told));
    put_int(&q, seq);
    put_int(&q, number);
    put_int(&q, seq);
    rv = end_write(&q, em);
    return rv < 0 ? rv : sqlite3_changes(l->db) > 0;
}

int ledger_facts(struct ledger *l, uint32_t number, struct facts *out, struct errmsg *em)
{
    struct query q = query_on(l, l->statements[GET_FACTS]);
    put_int(&q, number);
    bool found = next_row(&q);
    int parsed = found ? facts_read(get_blob(&q, JOIN_MAX), out) : 0;
    int rv = end_query(&q);
    if (!found && rv == 0)
        return errmsg_set(em, ERR_NOT_FOUND, "there is no agent %u", number);
    return rv < 0 || parsed < 0 ? fail(l, rv < 0 ? rv : ERR_DAMAGED, "read an agent's facts", em)
                                : 0;
}

/* ---- the audit log ---- */

int ledger_audit_add(struct ledger *l, const struct audit_entry *e, struct errmsg *em)
{
    struct query q;
    int rv = start_row(l, ADD_AUDIT, &q, em);
    if (rv < 0)
        return rv;
    put_int(&q, e->number);
    put_int(&q, e->time_s);
    put_text(&q, e->actor);
    put_text(&q, e->action);
    put_text(&q, e->object);
    put_text(&q, e->detail);
    put_blob(&q, span_of(e->chain.bytes, DIGEST_LEN));
    return end_write(&q, em);
}

int ledger_audit_last(struct ledger *l, uint64_t *number, struct digest *chain, struct errmsg *em)
{
    struct query q = query_on(l, l->statements[LAST_AUDIT]);
    *number = 0;
    memset(chain, 0, sizeof *chain);
    if (next_row(&q)) {
        *number = get_int(&q, INT64_MAX);
        get_bytes(&q, chain->bytes, DIGEST_LEN);
    }
    int rv = end_query(&q);
    return rv < 0 ? fail(l, rv, "read the end of its audit log", em) : 0;
}

static void get_audit(struct query *q, struct audit_entry *e)
{
    e->number = get_int(q, INT64_MAX);
    e->time_s = get_int(q, INT64_MAX);
    get_text(q, e->actor, sizeof e->actor);
    get_text(q, e->action, sizeof e->action);
    get_text(q, e->object, sizeof e->object);
    get_text(q, e->detail, sizeof e->detail);
    get_bytes(q, e->chain.bytes, DIGEST_LEN);
}

int ledger_audit_next(struct ledger *l, uint64_t after, uint64_t since_s, struct audit_entry *e,
                      struct errmsg *em)
{
    struct query q = query_on(l, l->statements[NEXT_AUDIT]);
    put_int(&q, after);
    put_int(&q, since_s);
    bool found = next_row(&q);
    if (found)
        get_audit(&q, e);
    int rv = end_query(&q);
    return rv < 0 ? fail(l, rv, "read its audit log", em) : found;
}

size_t ledger_audit_alarms(struct ledger *l, uint64_t since_s, struct audit_entry *last, size_t max)
{
    size_t count = 0;
    struct query q = query_on(l, l->statements[LAST_ALARMS]);
    put_int(&q, since_s);
    put_int(&q, max);
    while (count < max && next_row(&q))
        get_audit(&q, &last[count++]);
    return end_query(&q) < 0 ? 0 : count;
}

uint64_t ledger_audit_alarm_count(struct ledger *l, uint64_t since_s)
{
    struct query q = query_on(l, l->statements[COUNT_ALARMS]);
    put_int(&q, since_s);
    uint64_t count = next_row(&q) ? get_int(&q, INT64_MAX) : 0;
    return end_query(&q) < 0 ? 0 : count;
}

/* ---- admins ---- */

int ledger_admin(struct ledger *l, uint32_t index, const struct admin_row *row, struct errmsg *em)
{
    struct query q;
    int rv = start_row(l, PUT_ADMIN, &q, em);
    if (rv < 0)
        return rv;
    put_int(&q, index);
    put_text(&q, row->name);
    put_int(&q, row->role);
    put_int(&q, row->revoked);
    put_int(&q, row->created_s);
    put_int(&q, row->expires_s);
    put_blob(&q, span_of(row->digest.bytes, DIGEST_LEN));
    return end_write(&q, em);
}

int ledger_load_admins(struct ledger *l, struct admin_row rows[static ADMINS_MAX], uint32_t *count,
                       struct errmsg *em)
{
    struct query q = query_sql(l, "SELECT * FROM admin ORDER BY n");
    *count = 0;
    while (next_row(&q) && !q.odd) {
        struct admin_row row = {0};
        q.odd |= *count == ADMINS_MAX || get_int(&q, UINT32_MAX) != *count;
        get_text(&q, row.name, sizeof row.name);
        row.role = (enum role)get_int(&q, ROLE_COUNT - 1);
        row.revoked = get_int(&q, 1);
        row.created_s = get_int(&q, UINT64_MAX);
        row.expires_s = get_int(&q, UINT64_MAX);
        get_bytes(&q, row.digest.bytes, DIGEST_LEN);
        if (!q.odd)
            rows[(*count)++] = row;
    }
    return end_load(&q, 0, "load its admins", em);
}

/* ---- SQLite, one statement at a time ---- */

static int execute(struct ledger *l, const char *sql)
{
    int code = sqlite3_exec(l->db, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? 0 : code_of(l, code);
}

static struct query query_on(struct ledger *l, sqlite3_stmt *stmt)
{
    return (struct query){.l = l, .stmt = stmt};
}

static struct query query_sql(struct ledger *l, const char *sql)
{
    struct query q = {.l = l};
    q.error = sqlite3_prepare_v2(l->db, sql, -1, &q.stmt, NULL);
    return q;
}

static void note(struct query *q, int code)
{
    if (q->error == SQLITE_OK)
        q->error = code;
}

/* SQLite's integers are signed; the same 64 bits come back. */
static void put_int(struct query *q, uint64_t value)
{
    note(q, sqlite3_bind_int64(q->stmt, ++q->bound, (int64_t)value));
}

static void put_text(struct query *q, const char *text)
{
    note(q, sqlite3_bind_text(q->stmt, ++q->bound, text, -1, SQLITE_STATIC));
}

/* An empty blob is no NULL. */
static void put_blob(struct query *q, struct span bytes)
{
    const void *data = bytes.len > 0 ? (const void *)bytes.data : "";
    note(q, sqlite3_bind_blob64(q->stmt, ++q->bound, data, bytes.len, SQLITE_STATIC));
}

static bool next_row(struct query *q)
{
    if (q->error != SQLITE_OK)
        return false;
    int code = sqlite3_step(q->stmt);
    q->column = 0;
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        q->error = code;
    return code == SQLITE_ROW;
}

static uint64_t get_int(struct query *q, uint64_t max)
{
    q->odd |= sqlite3_column_type(q->stmt, q->column) != SQLITE_INTEGER;
    uint64_t value = (uint64_t)sqlite3_column_int64(q->stmt, q->column++);
    q->odd |= value > max;
    return value > max ? 0 : value;
}

static void get_text(struct query *q, char *out, size_t cap)
{
    const void *text = sqlite3_column_text(q->stmt, q->column);
    size_t len = (size_t)sqlite3_column_bytes(q->stmt, q->column++);
    bool fits = text && len < cap && !memchr(text, 0, len);
    q->odd |= !fits;
    if (fits)
        memcpy(out, text, len);
    out[fits ? len : 0] = '\0';
}

static struct span get_blob(struct query *q, size_t max)
{
    const void *data = sqlite3_column_blob(q->stmt, q->column);
    size_t len = (size_t)sqlite3_column_bytes(q->stmt, q->column++);
    q->odd |= len > max;
    return len > max ? SPAN_NONE : span_of(data, len);
}

static void get_bytes(struct query *q, uint8_t *out, size_t len)
{
    struct span b = get_blob(q, len);
    q->odd |= b.len != len;
    if (b.len == len)
        memcpy(out, b.data, len);
    else
        memset(out, 0, len);
}

/* How many bytes there are. */
static size_t copy_blob(struct query *q, uint8_t *out, size_t max)
{
    struct span b = get_blob(q, max);
    if (b.len > 0)
        memcpy(out, b.data, b.len);
    return b.len;
}

/* 0, or the first thing that went wrong. The statement can be used again. */
static int end_query(struct query *q)
{
    sqlite3_reset(q->stmt);
    if (q->error != SQLITE_OK)
        return code_of(q->l, q->error);
    return q->odd ? ERR_DAMAGED : 0;
}

static int end_sql(struct query *q)
{
    int rv = q->error != SQLITE_OK ? code_of(q->l, q->error) : q->odd ? ERR_DAMAGED : 0;
    sqlite3_finalize(q->stmt);
    q->stmt = NULL;
    return rv;
}

/* Runs a statement that gives no rows. */
static int end_write(struct query *q, struct errmsg *em)
{
    next_row(q);
    int rv = end_query(q);
    if (rv == 0)
        return 0;
    q->l->spoilt = true;
    return fail(q->l, rv, "write", em);
}

/* `rv` is what the core thought of the rows. */
static int end_load(struct query *q, int rv, const char *what, struct errmsg *em)
{
    struct ledger *l = q->l;
    bool prepared = q->stmt == l->statements[GET_META];
    int mine = prepared ? end_query(q) : end_sql(q);
    if (mine < 0)
        rv = mine;
    if (rv == ERR_RANGE)
        return errmsg_set(em, rv, "%s: it holds more than this manager's limits allow", l->path);
    return rv < 0 ? fail(l, rv, what, em) : 0;
}

static int code_of(const struct ledger *l, int sqlite_code)
{
    switch (sqlite_code & 0xff) {
    case SQLITE_FULL:
        return ERR_NO_SPACE;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_CONSTRAINT:
        return ERR_DAMAGED;
    case SQLITE_NOMEM:
        return ERR_NO_MEMORY;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ERR_BUSY;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
        return l->db && sqlite3_system_errno(l->db) == ENOSPC ? ERR_NO_SPACE : ERR_IO;
    default:
        return ERR_IO;
    }
}

static int fail(const struct ledger *l, int rv, const char *what, struct errmsg *em)
{
    const char *advice = "";
    if (rv == ERR_DAMAGED)
        advice = "; keep a copy of the file, then restore the last good one";
    else if (rv == ERR_NO_SPACE)
        advice = "; make room on the disk";
    else if (rv == ERR_BUSY)
        advice = "; another program holds it";
    const char *reason = rv == ERR_DAMAGED ? "it is damaged" : sqlite3_errmsg(l->db);
    return errmsg_set(em, rv, "%s: cannot %s: %s%s", l->path, what, reason, advice);
}
