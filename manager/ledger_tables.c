/*
 * The tables of a manager's database, and the statements that work on them.
 */
#include "manager/ledger_parts.h"

/*
 * The audit log only grows, by one number after the other: SQLite itself refuses anything else, so
 * that no mistake of ours can rewrite it. (REPLACE deletes without asking the trigger for DELETE;
 * the one for INSERT sees it.)
 */
#define AUDIT_SCHEMA                                                                               \
    "CREATE TABLE audit(n INTEGER PRIMARY KEY, time INTEGER NOT NULL, actor TEXT NOT NULL,"        \
    " action TEXT NOT NULL, object TEXT NOT NULL, detail TEXT NOT NULL, chain BLOB NOT NULL);"     \
    "CREATE INDEX audit_alarm ON audit(time, action) WHERE " IS_ALARM ";"                          \
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
    " valued INTEGER, history BLOB, pick BLOB, plan BLOB, rollout BLOB, after BLOB, roster BLOB);" \
    "CREATE TABLE cohort(n INTEGER PRIMARY KEY, key BLOB, labels TEXT, epoch INTEGER,"             \
    " revision INTEGER, fingerprint BLOB, issued INTEGER, trust INTEGER, placements BLOB,"         \
    " lanes INTEGER, atlas INTEGER);"                                                              \
    "CREATE TABLE agent(n INTEGER PRIMARY KEY, row BLOB);"                                         \
    "CREATE TABLE exceptions(n INTEGER PRIMARY KEY, list BLOB);"                                   \
    "CREATE TABLE facts(n INTEGER PRIMARY KEY, told INTEGER, list BLOB);"                          \
    "CREATE TABLE saved(n INTEGER PRIMARY KEY, name TEXT, selector TEXT);"                         \
    "CREATE TABLE budget(n INTEGER PRIMARY KEY, name TEXT, selector TEXT, max INTEGER,"            \
    " percent INTEGER);"                                                                           \
    "CREATE TABLE taint(n INTEGER PRIMARY KEY, key TEXT, value TEXT, effect INTEGER);"             \
    "CREATE TABLE listed(n INTEGER PRIMARY KEY, taints INTEGER, deployments BLOB, permits BLOB);"  \
    "CREATE TABLE replaced(n INTEGER PRIMARY KEY, id BLOB, number INTEGER, batch INTEGER,"         \
    " token INTEGER, joined INTEGER, since INTEGER);"                                              \
    "CREATE TABLE successor(n INTEGER PRIMARY KEY, number INTEGER, batch INTEGER, token INTEGER);" \
    "CREATE TABLE variable(n INTEGER PRIMARY KEY, name TEXT, scope INTEGER, secret INTEGER,"       \
    " owner INTEGER, place INTEGER, first INTEGER, until INTEGER, since INTEGER, selector TEXT,"   \
    " value BLOB);"                                                                                \
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

const char *const ledger_schema = SCHEMA;

const char *const ledger_statements[STATEMENT_COUNT] = {
    [GET_META] = "SELECT value FROM meta WHERE key=?",
    [PUT_META] = "REPLACE INTO meta VALUES(?,?)",
    [DROP_ELDERS] = "DELETE FROM elder",
    [PUT_ELDER] = "INSERT INTO elder VALUES(?,?,?,?,?,?,?,?)",
    [GET_ELDERS] = "SELECT id, since, until, stolen, secret, own, crossed FROM elder ORDER BY n",
    [PUT_BATCH] = "REPLACE INTO batch VALUES(?,?,?,?,?,?,?,?,?)",
    [REVOKE_BATCHES] = "UPDATE batch SET revoked=1 WHERE revoked=0",
    [PUT_BUNDLE] = "REPLACE INTO bundle VALUES(?,?,?,?,?,?,?,?,?,?)",
    [PUT_DEPLOYMENT] = "REPLACE INTO deployment VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    [PUT_COHORT] = "REPLACE INTO cohort VALUES(?,?,?,?,?,?,?,?,?,?,?)",
    [PUT_AGENT] = "REPLACE INTO agent VALUES(?,?)",
    [PUT_EXCEPTIONS] = "REPLACE INTO exceptions VALUES(?,?)",
    [DROP_EXCEPTIONS] = "DELETE FROM exceptions WHERE n=?",
    [PUT_FACTS] = "REPLACE INTO facts VALUES(?,0,?)",
    [TELL_FACTS] = "UPDATE facts SET list=?, told=? WHERE n=? AND told<=?",
    [PUT_GROUP] = "REPLACE INTO saved VALUES(?,?,?)",
    [PUT_BUDGET] = "REPLACE INTO budget VALUES(?,?,?,?,?)",
    [PUT_TAINT] = "REPLACE INTO taint VALUES(?,?,?,?)",
    [PUT_LISTED] = "REPLACE INTO listed VALUES(?,?,?,?)",
    [DROP_LISTED] = "DELETE FROM listed WHERE n=?",
    [PUT_REPLACED] = "REPLACE INTO replaced VALUES(?,?,?,?,?,?,?)",
    [PUT_SUCCESSOR] = "REPLACE INTO successor VALUES(?,?,?,?)",
    [PUT_VARIABLE] = "REPLACE INTO variable VALUES(?,?,?,?,?,?,?,?,?,?,?)",
    [PUT_CONTROL] = "REPLACE INTO control(topic, payload) VALUES(?,?)",
    [GET_CONTROL] = "SELECT payload FROM control WHERE topic=?",
    [NEXT_CONTROL] =
        "SELECT serial, topic, payload FROM control WHERE serial>? ORDER BY serial LIMIT ?",
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
        ("SELECT kind.count, audit.* FROM (SELECT count(*) AS count, max(n) AS last FROM audit"
         " WHERE " IS_ALARM " AND time>=? GROUP BY action) AS kind JOIN audit ON n=kind.last"
         " ORDER BY n DESC LIMIT ?"),
    [PUT_ADMIN] = "REPLACE INTO admin VALUES(?,?,?,?,?,?,?)",
};
