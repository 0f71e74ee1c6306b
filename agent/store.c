#include "agent/store.h"

#include "base/endian.h"
#include "crypto/digest.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A reader may hold the database for this long. */
#define STORE_BUSY_MS 5000
#define SCHEMA_VERSION 1

/*
 * The rollback journal stays in place (PERSIST) and is written over: a commit needs no new block of
 * the disk, so an agent on a full disk still starts, counts its statuses and reports. With
 * synchronous=FULL every commit survives a power cut. Pages of 1 KiB, because most commits change
 * one row.
 */
#define PRAGMAS_WRITE                                                                              \
    "PRAGMA page_size=1024; PRAGMA journal_mode=PERSIST; PRAGMA journal_size_limit=262144;"        \
    "PRAGMA synchronous=FULL; PRAGMA cache_size=-128; PRAGMA temp_store=MEMORY;"
#define PRAGMAS_READ "PRAGMA query_only=1; PRAGMA cache_size=-128; PRAGMA temp_store=MEMORY;"

/* Its end is the commit of the first thing that is kept: a join then waits for one sync of the disk
 * less in three. */
#define SCHEMA                                                                                     \
    "BEGIN IMMEDIATE;"                                                                             \
    "CREATE TABLE meta(key INTEGER PRIMARY KEY, value BLOB NOT NULL);"                             \
    "CREATE TABLE held(deployment INTEGER PRIMARY KEY, name TEXT NOT NULL,"                        \
    " phase INTEGER NOT NULL, cause INTEGER NOT NULL, attempts INTEGER NOT NULL,"                  \
    " moved INTEGER NOT NULL, flags INTEGER NOT NULL, running_generation INTEGER NOT NULL, "       \
    "running_bundle BLOB NOT NULL,"                                                                \
    " wanted_generation INTEGER NOT NULL, wanted_bundle BLOB NOT NULL, signer BLOB NOT NULL,"      \
    " after BLOB NOT NULL, running_values INTEGER NOT NULL, wanted_values INTEGER NOT NULL,"       \
    " failures INTEGER NOT NULL, failed_at INTEGER NOT NULL);"                                     \
    "CREATE TABLE value(name INTEGER PRIMARY KEY, list BLOB NOT NULL);"                            \
    "PRAGMA user_version=1;"

/* The keys of the table meta. The numbers are on disks; rows are loaded in this order. */
enum meta {
    META_SECRET = 1,
    META_NUMBER = 2,
    META_TRUST = 3, /* before what is signed by those whom it names */
    META_MAC = 4,
    META_FACTS = 5,
    META_POLICY = 6,
    META_CELLS = 7,
    META_TOKEN = 8,
    META_SEQ = 9,
    META_ASSIGNMENT = 10,
    META_DOCUMENT = 11,
    META_DOOR = 13,
    META_CERTIFICATE = 14,
    META_SHUT_OUT = 15,
    META_SEALED_TO = 16,
    META_ATLAS = 17, /* after the cells that the join told, and replaces them as the first */
};

/* What no row wants or runs any more. */
#define DROP_VALUES                                                                                \
    "DELETE FROM value WHERE name NOT IN (SELECT running_values FROM held)"                        \
    " AND name NOT IN (SELECT wanted_values FROM held)"

#define POLICY_LEN 16
/* The deployments that one depends on. */
#define AFTER_LEN_MAX (4 * (size_t)DEPENDENCIES_MAX)
/* In front of an envelope: the digest of what follows, and who signed it. */
#define SIGNED_HEAD_LEN (DIGEST_LEN + KEY_ID_LEN)
/* A number and a time: they are kept together, so that the time costs no write of its own. */
#define SEQ_LEN 12
#define CELLS_TEXT_MAX (CELLS_MAX * (CELL_URL_MAX + 1))
#define FACTS_LEN_MAX 4096
/* In front of an atlas' cells: the digest of what follows, who signed it, and its number. */
#define ATLAS_HEAD_LEN (SIGNED_HEAD_LEN + 4)
#define ATLAS_LEN_MAX (ATLAS_HEAD_LEN + STORE_ATLAS_CELLS * (CELL_URL_MAX + 1))

/* Values on their way into the table. */
struct sealing {
    struct store *s;
    uint8_t value[VARIABLE_VALUE_MAX + VARIABLE_SEALED_MORE]; /* as sealed last */
};

/* One statement: bound, run and read with one error, looked at in the end. */
struct query {
    struct store *s;
    sqlite3_stmt *stmt;
    int bound;
    int error; /* SQLite's code, or SQLITE_OK */
};

static int open_file(struct store *s, const char *dir, enum store_mode mode, struct errmsg *em);
static int prepare_file(struct store *s, enum store_mode mode, struct errmsg *em);
static int create_file(const char *path, struct errmsg *em);
static int check_file(struct store *s, struct errmsg *em);
static int load(struct store *s, struct errmsg *em);
static int load_meta(struct store *s, struct errmsg *em);
static int load_value(struct store *s, enum meta key, struct span value);
static int load_secret(struct identity *id, struct span value);
static int load_policy(struct policy *p, struct span value);
static int load_cells(struct identity *id, struct span value);
static int load_atlas(struct identity *id, struct span value);
static void adopt_atlas(struct store *s, const struct store_incoming *in);
static struct span give_atlas(const struct key_id *signer, uint32_t number,
                              const struct atlas *atlas, const struct key_id *agent,
                              uint8_t out[static ATLAS_LEN_MAX]);
static int load_door(struct identity *id, struct span value);
static int load_certificate(struct identity *id, struct span value);
static int load_time(uint64_t *out, struct span value);
static int load_trust(struct store *s, struct span value);
static int load_assignment(struct store *s, struct span value);
static int load_document(struct store *s, struct span value);
static int load_held(struct store *s, struct errmsg *em);
static int read_held(struct query *q, struct held *h);
static int take_after(struct span bytes, struct dependencies *after);
static struct span give_after(const struct dependencies *after, uint8_t out[static AFTER_LEN_MAX]);
static int check_whole(struct store *s, struct errmsg *em);
static bool known_bundle(const struct target *t);
static uint64_t rooted_s(const struct store *s);
static uint64_t newest_s(const struct store *s);
static void refresh_view(struct store *s);

static int write_join(struct store *s, const struct joined *j, const struct facts *facts,
                      const struct digest *token, const char *door);
static int write_join_signed(struct store *s, const struct joined *j);
static int write_store(struct store *s, const struct agent_store *st,
                       const struct store_incoming *in);
static int put_atlas(struct store *s, const struct store_incoming *in);
static int put_seq(struct store *s, const struct agent_store *st);
static int put_time(struct store *s, enum meta key, uint64_t time_s);
static int write_held(struct store *s, const struct held *h);
static int write_values(struct store *s, const struct held *h);
static int seal_to_agent(void *context, struct variable *v, bool own);
static void adopt_store(struct store *s, const struct agent_store *st,
                        const struct store_incoming *in);
static void adopt_held(struct store *s, const struct held *h);
static void adopt_drop(struct store *s, uint32_t deployment);
static uint32_t held_at(const struct store *s, uint32_t deployment);

static int begin(struct store *s);
static int commit(struct store *s, int rv, const char *what, struct errmsg *em);
static int put_meta(struct store *s, enum meta key, struct span value);
static int put_signed(struct store *s, enum meta key, const struct key_id *signer,
                      struct span envelope);
static int put_number(struct store *s, enum meta key, uint32_t value);
static int execute(struct store *s, const char *sql);
static struct query query_start(struct store *s, const char *sql);
static void query_u32(struct query *q, uint32_t value);
static void query_u64(struct query *q, uint64_t value);
static void query_text(struct query *q, const char *text);
static void query_bytes(struct query *q, struct span bytes);
static bool query_row(struct query *q);
static uint32_t query_get_u32(struct query *q, int column, uint32_t max);
static uint64_t query_get_u64(struct query *q, int column);
static struct span query_get_bytes(struct query *q, int column);
static int query_end(struct query *q);
static int code_of(struct store *s, int sqlite_code);
static int fail(struct store *s, int rv, const char *what, struct errmsg *em);

/* ---- open and close ---- */

int store_open(struct store *s, const char *dir, enum store_mode mode, struct errmsg *em)
{
    memset(s, 0, sizeof(*s));
    int rv = open_file(s, dir, mode, em);
    if (rv == 0)
        rv = load(s, em);
    if (rv < 0)
        store_close(s);
    return rv;
}

void store_close(struct store *s)
{
    if (s->db)
        sqlite3_close(s->db);
    s->db = NULL;
}

bool store_joined(const struct store *s)
{
    return s->identity.number > 0;
}

int store_limit(struct store *s, uint32_t pages, struct errmsg *em)
{
    char sql[64];
    snprintf(sql, sizeof(sql), "PRAGMA max_page_count=%u", pages);
    int rv = execute(s, sql);
    return rv < 0 ? fail(s, rv, "its size can't be limited", em) : 0;
}

static int open_file(struct store *s, const char *dir, enum store_mode mode, struct errmsg *em)
{
    int rv = file_path(s->path, em, "%s/agent.db", dir);
    if (rv < 0)
        return rv;
    if (mode == STORE_CREATE && (rv = create_file(s->path, em)) < 0)
        return rv;
    if (access(s->path, F_OK) < 0)
        return errmsg_set(em, file_error(errno), "open %s: %s", s->path, strerror(errno));
    /* A look is opened for writing too, because it may have to finish what a killed agent left in
     * the journal. */
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(s->path, &s->db, flags, NULL) != SQLITE_OK)
        return fail(s, code_of(s, sqlite3_errcode(s->db)), "it can't be opened", em);
    sqlite3_extended_result_codes(s->db, 1);
    sqlite3_busy_timeout(s->db, STORE_BUSY_MS);
    return prepare_file(s, mode, em);
}

static int prepare_file(struct store *s, enum store_mode mode, struct errmsg *em)
{
    int rv = execute(s, mode == STORE_READ ? PRAGMAS_READ : PRAGMAS_WRITE);
    if (rv < 0)
        return fail(s, rv, "it can't be opened", em);
    if ((rv = check_file(s, em)) < 0)
        return rv;
    struct query q = query_start(s, "PRAGMA user_version");
    uint32_t version = query_row(&q) ? query_get_u32(&q, 0, INT32_MAX) : 0;
    rv = query_end(&q);
    if (rv < 0)
        return fail(s, rv, "its version can't be read", em);
    if (version > SCHEMA_VERSION)
        return errmsg_set(em, ERR_FORMAT, "%s was written by a newer dunlin-agent (version %u)",
                          s->path, version);
    if (version == 0 && mode != STORE_CREATE)
        return errmsg_set(em, ERR_NOT_FOUND, "%s is empty", s->path);
    if (version == 0 && (rv = execute(s, SCHEMA)) < 0)
        return fail(s, rv, "its tables can't be made", em);
    return mode == STORE_READ ? 0 : store_limit(s, STORE_PAGES_MAX, em);
}

/* SQLite would make it readable to all; the journal takes over this file's mode. */
static int create_file(const char *path, struct errmsg *em)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return errmsg_set(em, file_error(errno), "make %s: %s", path, strerror(errno));
    close(fd);
    return 0;
}

static int check_file(struct store *s, struct errmsg *em)
{
    struct query q = query_start(s, "PRAGMA quick_check(1)");
    struct span answer = query_row(&q) ? query_get_bytes(&q, 0) : SPAN_NONE;
    bool good = span_equal(answer, span_text("ok"));
    int rv = query_end(&q);
    if (rv == 0 && !good)
        rv = ERR_DAMAGED;
    return rv < 0 ? fail(s, rv, "its pages don't check out", em) : 0;
}

/* ---- load ---- */

static int load(struct store *s, struct errmsg *em)
{
    s->identity = (struct identity){.policy = POLICY_DEFAULT};
    s->floor_s = DUNLIN_BUILD_S;
    s->held_count = 0;
    int rv = load_meta(s, em);
    if (rv == 0)
        rv = load_held(s, em);
    if (rv == 0)
        rv = check_whole(s, em);
    refresh_view(s);
    return rv;
}

static int load_meta(struct store *s, struct errmsg *em)
{
    int rv = 0;
    struct query q = query_start(s, "SELECT key, value FROM meta ORDER BY key");
    while (rv == 0 && query_row(&q))
        rv = load_value(s, (enum meta)query_get_u32(&q, 0, INT32_MAX), query_get_bytes(&q, 1));
    int end = query_end(&q);
    if (end < 0)
        return fail(s, end, "it can't be read", em);
    return rv < 0 ? fail(s, ERR_DAMAGED, "a stored value is not well-formed", em) : 0;
}

static int load_bytes(void *out, size_t len, struct span value)
{
    if (!value.data || value.len != len)
        return ERR_DAMAGED;
    memcpy(out, value.data, len);
    return 0;
}

static int load_number(uint32_t *out, struct span value)
{
    if (value.len != 4)
        return ERR_DAMAGED;
    *out = le32_read(value.data);
    return 0;
}

/* A program that is newer than what an older one kept knows better. */
static int load_seq(struct store *s, struct span value)
{
    if (value.len != SEQ_LEN)
        return ERR_DAMAGED;
    s->seq_ceiling = le32_read(value.data);
    uint64_t kept_s = le64_read(value.data + 4);
    if (kept_s > s->floor_s)
        s->floor_s = kept_s;
    return 0;
}

static int load_value(struct store *s, enum meta key, struct span value)
{
    struct identity *id = &s->identity;
    switch (key) {
    case META_SECRET:
        return load_secret(id, value);
    case META_NUMBER:
        return load_number(&id->number, value);
    case META_TRUST:
        return load_trust(s, value);
    case META_MAC:
        return load_bytes(id->mac.bytes, sizeof(id->mac.bytes), value);
    case META_FACTS:
        return facts_read(value, &id->facts);
    case META_POLICY:
        return load_policy(&id->policy, value);
    case META_CELLS:
        return load_cells(id, value);
    case META_TOKEN:
        return load_bytes(id->token.bytes, sizeof(id->token.bytes), value);
    case META_ATLAS:
        return load_atlas(id, value);
    case META_DOOR:
        return load_door(id, value);
    case META_CERTIFICATE:
        return load_certificate(id, value);
    case META_SEQ:
        return load_seq(s, value);
    case META_SEALED_TO:
        return load_bytes(id->sealed_to.bytes, SEAL_SECRET_LEN, value);
    case META_SHUT_OUT:
        return load_time(&s->shut_out_s, value);
    case META_ASSIGNMENT:
        return load_assignment(s, value);
    case META_DOCUMENT:
        return load_document(s, value);
    }
    return 0; /* what a newer agent kept, that was here before */
}

static int load_secret(struct identity *id, struct span value)
{
    int rv = load_bytes(id->secret.bytes, sizeof(id->secret.bytes), value);
    if (rv == 0)
        rv = sign_public(&id->secret, &id->key);
    if (rv < 0)
        return rv;
    id->id = key_id_of(&id->key);
    id->keyed = true;
    return 0;
}

static int load_policy(struct policy *p, struct span value)
{
    if (value.len != POLICY_LEN)
        return ERR_DAMAGED;
    *p = (struct policy){
        .heartbeat_s = le32_read(value.data),
        .keepalive_s = le32_read(value.data + 4),
        .reconnect_spread_s = le32_read(value.data + 8),
        .fetch_spread_s = le32_read(value.data + 12),
    };
    return 0;
}

static void add_cell(struct identity *id, struct span url)
{
    char *cell = id->cells[id->cell_count++];
    memcpy(cell, url.data, url.len);
    cell[url.len] = '\0';
}

/* One URL a line. */
static int load_cells(struct identity *id, struct span value)
{
    const uint8_t *at = value.data, *end = value.data + value.len;
    while (at < end) {
        const uint8_t *line = memchr(at, '\n', (size_t)(end - at));
        if (!line || line == at || line - at > CELL_URL_MAX || id->cell_count == CELLS_MAX)
            return ERR_DAMAGED;
        add_cell(id, span_of(at, (size_t)(line - at)));
        at = line + 1;
    }
    id->home_count = id->cell_count;
    return 0;
}

static bool has_cell(const struct identity *id, const char *url)
{
    for (uint32_t i = 0; i < id->cell_count; i++)
        if (strcmp(id->cells[i], url) == 0)
            return true;
    return false;
}

/* No cells are those of the join. What the join told comes behind: whoever steals the online key
 * may name an atlas of cells that aren't there, and these lead back. */
static int load_atlas(struct identity *id, struct span value)
{
    char told[CELLS_MAX][CELL_URL_MAX + 1];
    if (!value.data || value.len < ATLAS_HEAD_LEN)
        return ERR_DAMAGED;
    struct digest digest = digest_of(span_of(value.data + DIGEST_LEN, value.len - DIGEST_LEN));
    if (memcmp(digest.bytes, value.data, DIGEST_LEN) != 0)
        return ERR_DAMAGED;
    memcpy(id->atlas_signer.bytes, value.data + DIGEST_LEN, KEY_ID_LEN);
    id->atlas = le32_read(value.data + SIGNED_HEAD_LEN);
    if (value.len == ATLAS_HEAD_LEN)
        return 0;
    uint32_t count = id->cell_count;
    memcpy(told, id->cells, sizeof(told));
    id->cell_count = 0;
    int rv = load_cells(id, span_of(value.data + ATLAS_HEAD_LEN, value.len - ATLAS_HEAD_LEN));
    if (rv < 0)
        return rv;
    if (id->home_count > ATLAS_HOMES)
        id->home_count = ATLAS_HOMES;
    for (uint32_t i = 0; i < count && id->cell_count < CELLS_MAX; i++)
        if (!has_cell(id, told[i]))
            add_cell(id, span_text(told[i]));
    return 0;
}

/* What the join told isn't kept in memory. An atlas alone has cells enough. */
static void adopt_atlas(struct store *s, const struct store_incoming *in)
{
    struct identity *id = &s->identity;
    uint8_t bytes[ATLAS_LEN_MAX];
    struct query q = query_start(s, "SELECT value FROM meta WHERE key=?");
    query_u32(&q, META_CELLS);
    id->cell_count = 0;
    bool told = query_row(&q) && load_cells(id, query_get_bytes(&q, 0)) == 0;
    if (query_end(&q) < 0 || !told)
        id->cell_count = 0;
    load_atlas(id, give_atlas(&in->signer, in->atlas->number, in->atlas, &id->id, bytes));
}

/* With `atlas` NULL: the cells of the join are from it. */
static struct span give_atlas(const struct key_id *signer, uint32_t number,
                              const struct atlas *atlas, const struct key_id *agent,
                              uint8_t out[static ATLAS_LEN_MAX])
{
    uint32_t order[STORE_ATLAS_CELLS];
    uint32_t count = atlas ? atlas_order(atlas, agent, STORE_ATLAS_CELLS, order) : 0;
    size_t len = ATLAS_HEAD_LEN;
    memcpy(out + DIGEST_LEN, signer->bytes, KEY_ID_LEN);
    le32_write(out + SIGNED_HEAD_LEN, number);
    for (uint32_t i = 0; i < count; i++) {
        struct span url = atlas->cells[order[i]].url;
        memcpy(out + len, url.data, url.len);
        out[len + url.len] = '\n';
        len += url.len + 1;
    }
    struct digest digest = digest_of(span_of(out + DIGEST_LEN, len - DIGEST_LEN));
    memcpy(out, digest.bytes, DIGEST_LEN);
    return span_of(out, len);
}

static int load_door(struct identity *id, struct span value)
{
    if (value.len == 0 || value.len > CELL_URL_MAX)
        return ERR_DAMAGED;
    memcpy(id->door, value.data, value.len);
    id->door[value.len] = '\0';
    return 0;
}

/* None is none; anything else is for this agent's own key. */
static int load_certificate(struct identity *id, struct span value)
{
    struct certificate c;
    if (value.len == 0)
        return 0;
    if (value.len > sizeof(id->certificate) || certificate_read(value, &c) < 0 ||
        memcmp(&c.key, &id->key, sizeof(c.key)) != 0)
        return ERR_DAMAGED;
    memcpy(id->certificate, value.data, value.len);
    id->certificate_len = value.len;
    id->certificate_from_s = c.not_before_s;
    id->certificate_until_s = c.not_after_s;
    memcpy(id->certificate_issuer, c.issuer, sizeof(id->certificate_issuer));
    return 0;
}

static int load_time(uint64_t *out, struct span value)
{
    if (value.len != 8)
        return ERR_DAMAGED;
    *out = le64_read(value.data);
    return 0;
}

/*
 * What is signed was checked before it was stored, and its keys may have been revoked since. So it
 * stands behind who signed it, and both behind their digest, which finds a flipped bit.
 */
static int load_signed(struct span value, enum message type, struct key_id *signer,
                       struct span *body)
{
    struct envelope e;
    if (!value.data || value.len < SIGNED_HEAD_LEN)
        return ERR_DAMAGED;
    struct digest digest = digest_of(span_of(value.data + DIGEST_LEN, value.len - DIGEST_LEN));
    if (memcmp(digest.bytes, value.data, DIGEST_LEN) != 0)
        return ERR_DAMAGED;
    memcpy(signer->bytes, value.data + DIGEST_LEN, KEY_ID_LEN);
    int rv =
        envelope_read(type, span_of(value.data + SIGNED_HEAD_LEN, value.len - SIGNED_HEAD_LEN), &e);
    *body = e.body;
    return rv;
}

static int put_signed(struct store *s, enum meta key, const struct key_id *signer,
                      struct span envelope)
{
    static uint8_t room[SIGNED_HEAD_LEN + MESSAGE_MAX + ENVELOPE_OVERHEAD_MAX];
    size_t len = SIGNED_HEAD_LEN + envelope.len;
    if (len > sizeof(room))
        return ERR_RANGE;
    memcpy(room + DIGEST_LEN, signer->bytes, KEY_ID_LEN);
    memcpy(room + SIGNED_HEAD_LEN, envelope.data, envelope.len);
    struct digest digest = digest_of(span_of(room + DIGEST_LEN, len - DIGEST_LEN));
    memcpy(room, digest.bytes, DIGEST_LEN);
    return put_meta(s, key, span_of(room, len));
}

static int load_trust(struct store *s, struct span value)
{
    struct span body = SPAN_NONE;
    struct key_id nobody;
    int rv = load_signed(value, MESSAGE_TRUST, &nobody, &body);
    return rv < 0 ? rv : trust_read(body, &s->trust);
}

static int load_assignment(struct store *s, struct span value)
{
    struct span body = SPAN_NONE;
    int rv = load_signed(value, MESSAGE_ASSIGNMENT, &s->assignment_signer, &body);
    return rv < 0 ? rv : assignment_read(body, &s->assignment);
}

static int load_document(struct store *s, struct span value)
{
    struct span body = SPAN_NONE;
    int rv = load_signed(value, MESSAGE_DESIRED, &s->document_signer, &body);
    return rv < 0 ? rv : desired_read(body, &s->document);
}

static int load_held(struct store *s, struct errmsg *em)
{
    int rv = 0;
    struct query q = query_start(s, "SELECT deployment, name, phase, cause, attempts, moved, flags,"
                                    " running_generation, running_bundle, wanted_generation, "
                                    "wanted_bundle, signer, after, running_values, wanted_values, "
                                    "failures, failed_at FROM held "
                                    "ORDER BY deployment");
    while (rv == 0 && query_row(&q))
        rv = s->held_count < HELD_MAX ? read_held(&q, &s->held[s->held_count++]) : ERR_DAMAGED;
    int end = query_end(&q);
    if (end < 0)
        return fail(s, end, "its deployments can't be read", em);
    return rv < 0 ? fail(s, rv, "a deployment's row is not well-formed", em) : 0;
}

static int read_held(struct query *q, struct held *h)
{
    *h = (struct held){
        .deployment = query_get_u32(q, 0, UINT32_MAX),
        .phase = (uint8_t)query_get_u32(q, 2, PHASE_COUNT - 1),
        .cause = (uint8_t)query_get_u32(q, 3, CAUSE_COUNT - 1),
        .attempts = (uint8_t)query_get_u32(q, 4, UINT8_MAX),
        .moved = query_get_u32(q, 5, 1) == 1,
        .flags = query_get_u32(q, 6, UINT32_MAX),
        .running = {.generation = query_get_u32(q, 7, UINT32_MAX),
                    .variables = query_get_u64(q, 13)},
        .wanted = {.generation = query_get_u32(q, 9, UINT32_MAX),
                   .variables = query_get_u64(q, 14)},
        .failures = (uint8_t)query_get_u32(q, 15, UINT8_MAX),
        .failed_s = query_get_u32(q, 16, UINT32_MAX),
    };
    struct span name = query_get_bytes(q, 1);
    if (!name_valid(name) || name.len > NAME_MAX_LEN)
        return ERR_DAMAGED;
    memcpy(h->name, name.data, name.len);
    int rv = load_bytes(h->running.bundle.bytes, DIGEST_LEN, query_get_bytes(q, 8));
    if (rv == 0)
        rv = load_bytes(h->wanted.bundle.bytes, DIGEST_LEN, query_get_bytes(q, 10));
    if (rv == 0)
        rv = load_bytes(h->signer.bytes, KEY_ID_LEN, query_get_bytes(q, 11));
    if (rv == 0)
        rv = take_after(query_get_bytes(q, 12), &h->after);
    if (rv == 0 && !(known_bundle(&h->running) && known_bundle(&h->wanted)))
        rv = ERR_DAMAGED;
    return rv;
}

/* Four bytes for each. */
static int take_after(struct span bytes, struct dependencies *after)
{
    if (bytes.len % 4 != 0 || bytes.len > AFTER_LEN_MAX)
        return ERR_DAMAGED;
    after->count = (uint32_t)(bytes.len / 4);
    for (uint32_t i = 0; i < after->count; i++)
        after->numbers[i] = le32_read(bytes.data + (size_t)4 * i);
    return 0;
}

static struct span give_after(const struct dependencies *after, uint8_t out[static AFTER_LEN_MAX])
{
    for (uint32_t i = 0; i < after->count; i++)
        le32_write(out + (size_t)4 * i, after->numbers[i]);
    return span_of(out, (size_t)4 * after->count);
}

/* A generation above 0 names a bundle. */
static bool known_bundle(const struct target *t)
{
    return t->generation == 0 || !digest_is_zero(&t->bundle);
}

static int check_whole(struct store *s, struct errmsg *em)
{
    const struct identity *id = &s->identity;
    if (!store_joined(s))
        return 0;
    if (!id->keyed || id->cell_count == 0)
        return fail(s, ERR_DAMAGED, "a part of the identity is missing", em);
    if (!key_id_equal(&s->assignment.agent, &id->id))
        return fail(s, ERR_DAMAGED, "the assignment is not for the key", em);
    return 0;
}

static uint64_t rooted_s(const struct store *s)
{
    return s->trust.issued_s > DUNLIN_BUILD_S ? s->trust.issued_s : DUNLIN_BUILD_S;
}

static uint64_t newest_s(const struct store *s)
{
    const uint64_t times[] = {s->document.issued_s, s->assignment.issued_s,
                              s->identity.certificate_from_s};
    uint64_t newest = 0;
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++)
        if (times[i] > newest)
            newest = times[i];
    return newest;
}

static void refresh_view(struct store *s)
{
    if (s->document.revision.epoch == 0 && s->document.revision.number == 0)
        s->document.policy = s->identity.policy;
    s->view = (struct agent_view){
        .document = &s->document,
        .assignment = &s->assignment,
        .trust = &s->trust,
        .document_signer = s->document_signer,
        .assignment_signer = s->assignment_signer,
        .cell_count = s->identity.cell_count,
        .home_count = s->identity.home_count,
        .atlas = s->identity.atlas,
        .atlas_signer = s->identity.atlas_signer,
        .rooted_s = rooted_s(s),
        .signed_s = newest_s(s),
        .certificate_from_s = s->identity.certificate_from_s,
        .certificate_until_s = s->identity.certificate_until_s,
        .shut_out_s = s->shut_out_s,
        .certificate_outdated = s->identity.certificate_len > 0 &&
                                !trust_has_issuer(&s->trust, s->identity.certificate_issuer),
        .held = s->held,
        .held_count = s->held_count,
    };
}

/* ---- write ---- */

int store_key(struct store *s, const struct secret_key *secret, struct errmsg *em)
{
    assert(!s->identity.keyed);
    int rv = begin(s);
    if (rv == 0)
        rv = put_meta(s, META_SECRET, span_of(secret->bytes, sizeof(secret->bytes)));
    rv = commit(s, rv, "the key can't be kept", em);
    if (rv < 0)
        return rv;
    rv = load_secret(&s->identity, span_of(secret->bytes, sizeof(secret->bytes)));
    return rv < 0 ? errmsg_set(em, rv, "the new key is not usable") : 0;
}

int store_join(struct store *s, const struct joined *j, const struct facts *facts,
               const struct digest *token, const char *door, struct errmsg *em)
{
    assert(!store_joined(s) && j->cell_count > 0 && j->trust_count > 0);
    int rv = begin(s);
    if (rv == 0)
        rv = write_join(s, j, facts, token, door);
    rv = commit(s, rv, "the identity can't be kept", em);
    return rv < 0 ? rv : load(s, em);
}

int store_facts(struct store *s, const struct facts *facts, struct errmsg *em)
{
    uint8_t room[FACTS_LEN_MAX];
    struct buffer told = buffer_on(room, sizeof(room));
    int rv = facts_write(facts, &told);
    if (rv == 0)
        rv = begin(s);
    if (rv == 0)
        rv = put_meta(s, META_FACTS, span_buffer(&told));
    rv = commit(s, rv, "the facts can't be kept", em);
    if (rv == 0)
        s->identity.facts = *facts;
    return rv;
}

static int write_join(struct store *s, const struct joined *j, const struct facts *facts,
                      const struct digest *token, const char *door)
{
    uint8_t room[FACTS_LEN_MAX];
    struct buffer told = buffer_on(room, sizeof(room));
    int rv = facts_write(facts, &told);
    if (rv < 0)
        return rv;
    uint8_t policy[POLICY_LEN];
    le32_write(policy, j->policy.heartbeat_s);
    le32_write(policy + 4, j->policy.keepalive_s);
    le32_write(policy + 8, j->policy.reconnect_spread_s);
    le32_write(policy + 12, j->policy.fetch_spread_s);
    char cells[CELLS_TEXT_MAX + 1];
    size_t len = 0;
    for (uint32_t i = 0; i < j->cell_count; i++)
        len += (size_t)snprintf(cells + len, sizeof(cells) - len, "%s\n", j->cells[i]);

    const struct {
        enum meta key;
        struct span value;
    } values[] = {
        {META_MAC, span_of(j->mac.bytes, sizeof(j->mac.bytes))},
        {META_SEALED_TO, span_of(j->secret.bytes, SEAL_SECRET_LEN)},
        {META_FACTS, span_buffer(&told)},
        {META_POLICY, span_of(policy, sizeof(policy))},
        {META_CELLS, span_of(cells, len)},
        {META_TOKEN, span_of(token->bytes, sizeof(token->bytes))},
        {META_DOOR, span_text(door)},
        {META_CERTIFICATE, j->certificate},
    };
    rv = put_number(s, META_NUMBER, j->number);
    if (rv == 0)
        rv = write_join_signed(s, j);
    for (size_t i = 0; rv == 0 && i < sizeof(values) / sizeof(values[0]); i++)
        rv = put_meta(s, values[i].key, values[i].value);
    return rv;
}

static int write_join_signed(struct store *s, const struct joined *j)
{
    struct trust trust;
    struct envelope e;
    const struct key_id nobody = {0};
    struct span newest = j->trust[j->trust_count - 1];
    int rv = envelope_read(MESSAGE_TRUST, newest, &e);
    if (rv == 0)
        rv = trust_read(e.body, &trust);
    if (rv < 0)
        return rv;
    struct key_id signer = trust_signer(&trust, TRUST_ONLINE, MESSAGE_ASSIGNMENT, j->assignment);
    rv = put_signed(s, META_TRUST, &nobody, newest);
    uint8_t atlas[ATLAS_LEN_MAX];
    if (rv == 0)
        rv = put_meta(s, META_ATLAS, give_atlas(&signer, j->atlas, NULL, NULL, atlas));
    return rv < 0 ? rv : put_signed(s, META_ASSIGNMENT, &signer, j->assignment);
}

int store_apply(struct store *s, const struct agent_out *out, const struct store_incoming *in,
                struct errmsg *em)
{
    int rv = begin(s);
    for (uint32_t i = 0; rv == 0 && i < out->store_count; i++)
        rv = write_store(s, &out->stores[i], in);
    rv = commit(s, rv, "a change can't be kept", em);
    if (rv < 0)
        return rv;
    for (uint32_t i = 0; i < out->store_count; i++)
        adopt_store(s, &out->stores[i], in);
    refresh_view(s);
    return 0;
}

static int write_store(struct store *s, const struct agent_store *st,
                       const struct store_incoming *in)
{
    switch (st->type) {
    case AGENT_STORE_HELD:
        return write_held(s, st->held);
    case AGENT_STORE_DROP: {
        struct query q = query_start(s, "DELETE FROM held WHERE deployment=?");
        query_u32(&q, st->deployment);
        int rv = query_end(&q);
        return rv < 0 ? rv : execute(s, DROP_VALUES);
    }
    case AGENT_STORE_DOCUMENT:
        return put_signed(s, META_DOCUMENT, &in->signer, in->envelope);
    case AGENT_STORE_ASSIGNMENT:
        return put_signed(s, META_ASSIGNMENT, &in->signer, in->envelope);
    case AGENT_STORE_TRUST:
        return put_signed(s, META_TRUST, &in->signer, in->envelope);
    case AGENT_STORE_ATLAS:
        return put_atlas(s, in);
    case AGENT_STORE_CERTIFICATE:
        return put_meta(s, META_CERTIFICATE, in->certificate);
    case AGENT_STORE_SEQ:
        return put_seq(s, st);
    case AGENT_STORE_SHUT_OUT:
        return put_time(s, META_SHUT_OUT, st->shut_out_s);
    }
    return ERR_RANGE;
}

static int put_atlas(struct store *s, const struct store_incoming *in)
{
    uint8_t bytes[ATLAS_LEN_MAX];
    return put_meta(s, META_ATLAS,
                    give_atlas(&in->signer, in->atlas->number, in->atlas, &s->identity.id, bytes));
}

static int put_seq(struct store *s, const struct agent_store *st)
{
    uint8_t bytes[SEQ_LEN];
    le32_write(bytes, st->seq);
    le64_write(bytes + 4, st->floor_s);
    return put_meta(s, META_SEQ, span_of(bytes, sizeof(bytes)));
}

static int put_time(struct store *s, enum meta key, uint64_t time_s)
{
    uint8_t bytes[8];
    le64_write(bytes, time_s);
    return put_meta(s, key, span_of(bytes, sizeof(bytes)));
}

static int write_held(struct store *s, const struct held *h)
{
    uint32_t at = held_at(s, h->deployment);
    bool known = at < s->held_count && s->held[at].deployment == h->deployment;
    if (!known && s->held_count == HELD_MAX)
        return ERR_RANGE;
    int rv = h->wanted.variables ? write_values(s, h) : 0;
    if (rv < 0)
        return rv;
    struct query q = query_start(s, "REPLACE INTO held VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");
    query_u32(&q, h->deployment);
    query_text(&q, h->name);
    query_u32(&q, h->phase);
    query_u32(&q, h->cause);
    query_u32(&q, h->attempts);
    query_u32(&q, h->moved);
    query_u32(&q, h->flags);
    query_u32(&q, h->running.generation);
    query_bytes(&q, span_of(h->running.bundle.bytes, DIGEST_LEN));
    query_u32(&q, h->wanted.generation);
    query_bytes(&q, span_of(h->wanted.bundle.bytes, DIGEST_LEN));
    query_bytes(&q, span_of(h->signer.bytes, KEY_ID_LEN));
    uint8_t after[AFTER_LEN_MAX];
    query_bytes(&q, give_after(&h->after, after));
    query_u64(&q, h->running.variables);
    query_u64(&q, h->wanted.variables);
    query_u32(&q, h->failures);
    query_u32(&q, h->failed_s < UINT32_MAX ? (uint32_t)h->failed_s : UINT32_MAX);
    rv = query_end(&q);
    return rv < 0 || !known ? rv : execute(s, DROP_VALUES);
}

/* Whoever goes back runs with the values of then, which the document doesn't have any more. */
static int write_values(struct store *s, const struct held *h)
{
    static uint8_t memory[VARIABLES_BYTES_MAX];
    struct buffer list = buffer_on(memory, sizeof memory);
    struct sealing sealing = {.s = s};
    if (store_values(s, h->wanted.variables, &list, NULL) == 0)
        return 0;
    int rv = agent_values(&s->view, h, seal_to_agent, &sealing, &list);
    if (rv < 0)
        return rv;
    struct query q = query_start(s, "INSERT INTO value VALUES(?,?)");
    query_u64(&q, h->wanted.variables);
    query_bytes(&q, span_buffer(&list));
    return query_end(&q);
}

/* An agent that moves to another cohort loses the key of the one before. */
static int seal_to_agent(void *context, struct variable *v, bool own)
{
    struct sealing *sealing = context;
    const struct assignment *a = &sealing->s->assignment;
    const struct seal_secret *mine = &sealing->s->identity.sealed_to;
    struct buffer again = buffer_on(sealing->value, sizeof sealing->value);
    struct seal_secret cohort;
    if (own || !(v->uses & VARIABLE_SECRET) || !v->given)
        return 0;
    int rv = secret_cohort_open(mine, &a->cohort, a->cohort_secret, &cohort);
    if (rv == 0)
        rv = secret_reseal(&cohort, mine, v->name, v->value, &again);
    explicit_bzero(&cohort, sizeof cohort);
    v->value = span_buffer(&again);
    return rv;
}

int store_values(struct store *s, uint64_t variables, struct buffer *list, struct errmsg *em)
{
    if (variables == 0)
        return 0;
    struct query q = query_start(s, "SELECT list FROM value WHERE name=?");
    query_u64(&q, variables);
    struct span value = query_row(&q) ? query_get_bytes(&q, 0) : SPAN_NONE;
    bool there = value.len > 0, fits = value.len <= list->cap - list->len;
    if (there && fits) {
        memcpy(list->data + list->len, value.data, value.len);
        list->len += value.len;
    }
    int rv = query_end(&q);
    if (rv == 0 && !there)
        rv = ERR_NOT_FOUND;
    if (rv == 0 && !fits)
        rv = ERR_DAMAGED;
    return rv < 0 ? fail(s, rv, "the values of a version can't be read", em) : 0;
}

static void adopt_store(struct store *s, const struct agent_store *st,
                        const struct store_incoming *in)
{
    switch (st->type) {
    case AGENT_STORE_HELD:
        adopt_held(s, st->held);
        break;
    case AGENT_STORE_DROP:
        adopt_drop(s, st->deployment);
        break;
    case AGENT_STORE_DOCUMENT:
        s->document = *in->document;
        s->document_signer = in->signer;
        break;
    case AGENT_STORE_ASSIGNMENT:
        s->assignment = *in->assignment;
        s->assignment_signer = in->signer;
        break;
    case AGENT_STORE_TRUST:
        s->trust = *in->trust;
        break;
    case AGENT_STORE_ATLAS:
        adopt_atlas(s, in);
        break;
    case AGENT_STORE_CERTIFICATE:
        load_certificate(&s->identity, in->certificate);
        break;
    case AGENT_STORE_SEQ:
        s->seq_ceiling = st->seq;
        s->floor_s = st->floor_s;
        break;
    case AGENT_STORE_SHUT_OUT:
        s->shut_out_s = st->shut_out_s;
        break;
    }
}

static void adopt_held(struct store *s, const struct held *h)
{
    uint32_t at = held_at(s, h->deployment);
    bool known = at < s->held_count && s->held[at].deployment == h->deployment;
    if (!known) {
        assert(s->held_count < HELD_MAX);
        memmove(&s->held[at + 1], &s->held[at], (s->held_count - at) * sizeof(s->held[0]));
        s->held_count++;
    }
    s->held[at] = *h;
}

static void adopt_drop(struct store *s, uint32_t deployment)
{
    uint32_t at = held_at(s, deployment);
    if (at == s->held_count || s->held[at].deployment != deployment)
        return;
    s->held_count--;
    memmove(&s->held[at], &s->held[at + 1], (s->held_count - at) * sizeof(s->held[0]));
}

/* Where the row is, or where it belongs. */
static uint32_t held_at(const struct store *s, uint32_t deployment)
{
    uint32_t at = 0;
    while (at < s->held_count && s->held[at].deployment < deployment)
        at++;
    return at;
}

/* ---- SQLite ---- */

static int begin(struct store *s)
{
    bool begun = !sqlite3_get_autocommit(s->db); /* when the tables were made */
    return begun ? 0 : execute(s, "BEGIN IMMEDIATE");
}

/* Commits when `rv` is 0, and takes everything back when anything failed. */
static int commit(struct store *s, int rv, const char *what, struct errmsg *em)
{
    if (rv == 0)
        rv = execute(s, "COMMIT");
    if (rv == 0)
        return 0;
    rv = fail(s, rv, what, em);
    if (!sqlite3_get_autocommit(s->db))
        execute(s, "ROLLBACK");
    return rv;
}

static int put_meta(struct store *s, enum meta key, struct span value)
{
    struct query q = query_start(s, "REPLACE INTO meta VALUES(?,?)");
    query_u32(&q, key);
    query_bytes(&q, value);
    return query_end(&q);
}

static int put_number(struct store *s, enum meta key, uint32_t value)
{
    uint8_t bytes[4];
    le32_write(bytes, value);
    return put_meta(s, key, span_of(bytes, sizeof(bytes)));
}

static int execute(struct store *s, const char *sql)
{
    return code_of(s, sqlite3_exec(s->db, sql, NULL, NULL, NULL));
}

static struct query query_start(struct store *s, const char *sql)
{
    struct query q = {.s = s};
    q.error = sqlite3_prepare_v2(s->db, sql, -1, &q.stmt, NULL);
    return q;
}

/* SQLite's integers are signed; the same 64 bits come back. */
static void query_u64(struct query *q, uint64_t value)
{
    if (q->error == SQLITE_OK)
        q->error = sqlite3_bind_int64(q->stmt, ++q->bound, (int64_t)value);
}

static void query_u32(struct query *q, uint32_t value)
{
    if (q->error == SQLITE_OK)
        q->error = sqlite3_bind_int64(q->stmt, ++q->bound, value);
}

/* Bound without a copy: text and bytes live until query_end. */
static void query_text(struct query *q, const char *text)
{
    if (q->error == SQLITE_OK)
        q->error = sqlite3_bind_text(q->stmt, ++q->bound, text, -1, SQLITE_STATIC);
}

static void query_bytes(struct query *q, struct span bytes)
{
    const void *data = bytes.data ? bytes.data : (const void *)"";
    if (q->error == SQLITE_OK)
        q->error = sqlite3_bind_blob64(q->stmt, ++q->bound, data, bytes.len, SQLITE_STATIC);
}

/* True while there is another row. */
static bool query_row(struct query *q)
{
    if (q->error != SQLITE_OK)
        return false;
    int code = sqlite3_step(q->stmt);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        q->error = code;
    return code == SQLITE_ROW;
}

static uint32_t query_get_u32(struct query *q, int column, uint32_t max)
{
    int64_t value = sqlite3_column_int64(q->stmt, column);
    if (sqlite3_column_type(q->stmt, column) == SQLITE_INTEGER && value >= 0 && value <= max)
        return (uint32_t)value;
    q->error = SQLITE_CORRUPT;
    return 0;
}

/* Borrowed until the next row. */
static uint64_t query_get_u64(struct query *q, int column)
{
    return (uint64_t)sqlite3_column_int64(q->stmt, column);
}

static struct span query_get_bytes(struct query *q, int column)
{
    const void *data = sqlite3_column_blob(q->stmt, column);
    return span_of(data, (size_t)sqlite3_column_bytes(q->stmt, column));
}

/* Runs what has not been run, and gives the one error there was. */
static int query_end(struct query *q)
{
    while (query_row(q))
        ;
    int rv = code_of(q->s, q->error);
    sqlite3_finalize(q->stmt);
    return rv;
}

static int code_of(struct store *s, int sqlite_code)
{
    switch (sqlite_code & 0xff) {
    case SQLITE_OK:
        return 0;
    case SQLITE_FULL:
        return ERR_NO_SPACE;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return ERR_DAMAGED;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ERR_BUSY;
    case SQLITE_NOMEM:
        return ERR_NO_MEMORY;
    default: {
        int error = sqlite3_system_errno(s->db);
        return error == ENOSPC || error == EDQUOT ? ERR_NO_SPACE : ERR_IO;
    }
    }
}

static int fail(struct store *s, int rv, const char *what, struct errmsg *em)
{
    if (rv == ERR_DAMAGED) {
        int folder = (int)(strrchr(s->path, '/') - s->path);
        return errmsg_set(em, rv,
                          "%s is damaged: %s: move %.*s aside and join again with a new token",
                          s->path, what, folder, s->path);
    }
    if (rv == ERR_NO_SPACE)
        return errmsg_set(em, rv, "%s: %s: the disk is full", s->path, what);
    return errmsg_set(em, rv, "%s: %s: %s", s->path, what, sqlite3_errmsg(s->db));
}
