#include "agent/store_parts.h"

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

/* By their names, since a newer agent may have added others before this one took its place again.
 */
#define PUT_META "REPLACE INTO meta(key, value) VALUES(?,?)"
#define PUT_VALUE "INSERT INTO value(name, list) VALUES(?,?)"
#define PUT_HELD                                                                                   \
    "REPLACE INTO held(deployment, name, phase, cause, attempts, moved, flags,"                    \
    " running_generation, running_bundle, wanted_generation, wanted_bundle, signer, after,"        \
    " running_values, wanted_values, failures, failed_at)"                                         \
    " VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"

/* What no row wants or runs any more. */
#define DROP_VALUES                                                                                \
    "DELETE FROM value WHERE name NOT IN (SELECT running_values FROM held)"                        \
    " AND name NOT IN (SELECT wanted_values FROM held)"

#define CELLS_TEXT_MAX (CELLS_MAX * (CELL_URL_MAX + 1))
#define FACTS_LEN_MAX 4096

/* Values on their way into the table. */
struct sealing {
    struct store *s;
    uint8_t value[VARIABLE_VALUE_MAX + VARIABLE_SEALED_MORE]; /* as sealed last */
};

static int open_file(struct store *s, const char *dir, enum store_mode mode, struct errmsg *em);
static int prepare_file(struct store *s, enum store_mode mode, struct errmsg *em);
static int create_file(const char *path, struct errmsg *em);
static int check_file(struct store *s, struct errmsg *em);
static void adopt_atlas(struct store *s, const struct store_incoming *in);
static struct span give_atlas(const struct key_id *signer, uint32_t number,
                              const struct atlas *atlas, const struct key_id *agent,
                              uint8_t out[static ATLAS_LEN_MAX]);
static struct span give_after(const struct dependencies *after, uint8_t out[static AFTER_LEN_MAX]);
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

/* ---- open and close ---- */

int store_open(struct store *s, const char *dir, enum store_mode mode, struct errmsg *em)
{
    memset(s, 0, sizeof(*s));
    int rv = open_file(s, dir, mode, em);
    if (rv == 0)
        rv = store_load(s, em);
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
    int rv = query_execute(s->db, sql);
    return rv < 0 ? store_fail(s, rv, "its size can't be limited", em) : 0;
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
        return store_fail(s, query_code(s->db, sqlite3_errcode(s->db)), "it can't be opened", em);
    sqlite3_extended_result_codes(s->db, 1);
    sqlite3_busy_timeout(s->db, STORE_BUSY_MS);
    return prepare_file(s, mode, em);
}

static int prepare_file(struct store *s, enum store_mode mode, struct errmsg *em)
{
    int rv = query_execute(s->db, mode == STORE_READ ? PRAGMAS_READ : PRAGMAS_WRITE);
    if (rv < 0)
        return store_fail(s, rv, "it can't be opened", em);
    if ((rv = check_file(s, em)) < 0)
        return rv;
    struct query q = query_sql(s->db, "PRAGMA user_version");
    uint32_t version = query_next(&q) ? (uint32_t)query_get_int(&q, INT32_MAX) : 0;
    rv = query_end_sql(&q);
    if (rv < 0)
        return store_fail(s, rv, "its version can't be read", em);
    if (version > SCHEMA_VERSION)
        return errmsg_set(em, ERR_FORMAT, "%s was written by a newer dunlin-agent (version %u)",
                          s->path, version);
    if (version == 0 && mode != STORE_CREATE)
        return errmsg_set(em, ERR_NOT_FOUND, "%s is empty", s->path);
    if (version == 0 && (rv = query_execute(s->db, SCHEMA)) < 0)
        return store_fail(s, rv, "its tables can't be made", em);
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
    struct query q = query_sql(s->db, "PRAGMA quick_check(1)");
    char answer[sizeof "ok"];
    bool good = query_next(&q);
    if (good)
        query_get_text(&q, answer, sizeof answer);
    int rv = query_end_sql(&q);
    if (rv == 0 && !(good && strcmp(answer, "ok") == 0))
        rv = ERR_DAMAGED;
    return rv < 0 ? store_fail(s, rv, "its pages don't check out", em) : 0;
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
    rv = identity_take_secret(&s->identity, span_of(secret->bytes, sizeof(secret->bytes)));
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
    return rv < 0 ? rv : store_load(s, em);
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
    store_refresh(s);
    return 0;
}

static int write_store(struct store *s, const struct agent_store *st,
                       const struct store_incoming *in)
{
    switch (st->type) {
    case AGENT_STORE_HELD:
        return write_held(s, st->held);
    case AGENT_STORE_DROP: {
        struct query q = query_sql(s->db, "DELETE FROM held WHERE deployment=?");
        query_put_int(&q, st->deployment);
        int rv = query_run_sql(&q);
        return rv < 0 ? rv : query_execute(s->db, DROP_VALUES);
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

static int write_held(struct store *s, const struct held *h)
{
    uint32_t at = held_at(s, h->deployment);
    bool known = at < s->held_count && s->held[at].deployment == h->deployment;
    if (!known && s->held_count == HELD_MAX)
        return ERR_RANGE;
    int rv = h->wanted.variables ? write_values(s, h) : 0;
    if (rv < 0)
        return rv;
    struct query q = query_sql(s->db, PUT_HELD);
    query_put_int(&q, h->deployment);
    query_put_text(&q, h->name);
    query_put_int(&q, h->phase);
    query_put_int(&q, h->cause);
    query_put_int(&q, h->attempts);
    query_put_int(&q, h->moved);
    query_put_int(&q, h->flags);
    query_put_int(&q, h->running.generation);
    query_put_blob(&q, span_of(h->running.bundle.bytes, DIGEST_LEN));
    query_put_int(&q, h->wanted.generation);
    query_put_blob(&q, span_of(h->wanted.bundle.bytes, DIGEST_LEN));
    query_put_blob(&q, span_of(h->signer.bytes, KEY_ID_LEN));
    uint8_t after[AFTER_LEN_MAX];
    query_put_blob(&q, give_after(&h->after, after));
    query_put_int(&q, h->running.variables);
    query_put_int(&q, h->wanted.variables);
    query_put_int(&q, h->failures);
    query_put_int(&q, h->failed_s < UINT32_MAX ? (uint32_t)h->failed_s : UINT32_MAX);
    rv = query_run_sql(&q);
    return rv < 0 || !known ? rv : query_execute(s->db, DROP_VALUES);
}

static struct span give_after(const struct dependencies *after, uint8_t out[static AFTER_LEN_MAX])
{
    for (uint32_t i = 0; i < after->count; i++)
        le32_write(out + (size_t)4 * i, after->numbers[i]);
    return span_of(out, (size_t)4 * after->count);
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
    struct query q = query_sql(s->db, PUT_VALUE);
    query_put_int(&q, h->wanted.variables);
    query_put_blob(&q, span_buffer(&list));
    return query_run_sql(&q);
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
    struct query q = query_sql(s->db, "SELECT list FROM value WHERE name=?");
    query_put_int(&q, variables);
    struct span value = query_next(&q) ? query_get_blob(&q, SIZE_MAX) : SPAN_NONE;
    bool there = value.len > 0, fits = value.len <= list->cap - list->len;
    if (there && fits) {
        memcpy(list->data + list->len, value.data, value.len);
        list->len += value.len;
    }
    int rv = query_end_sql(&q);
    if (rv == 0 && !there)
        rv = ERR_NOT_FOUND;
    if (rv == 0 && !fits)
        rv = ERR_DAMAGED;
    return rv < 0 ? store_fail(s, rv, "the values of a version can't be read", em) : 0;
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
        identity_take_certificate(&s->identity, in->certificate);
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

/* What the join told isn't kept in memory. An atlas alone has cells enough. */
static void adopt_atlas(struct store *s, const struct store_incoming *in)
{
    struct identity *id = &s->identity;
    uint8_t bytes[ATLAS_LEN_MAX];
    struct query q = query_sql(s->db, "SELECT value FROM meta WHERE key=?");
    query_put_int(&q, META_CELLS);
    id->cell_count = 0;
    bool told = query_next(&q) && identity_take_cells(id, query_get_blob(&q, SIZE_MAX)) == 0;
    if (query_end_sql(&q) < 0 || !told)
        id->cell_count = 0;
    identity_take_atlas(id, give_atlas(&in->signer, in->atlas->number, in->atlas, &id->id, bytes));
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

/* ---- transactions ---- */

static int begin(struct store *s)
{
    bool begun = !sqlite3_get_autocommit(s->db); /* when the tables were made */
    return begun ? 0 : query_execute(s->db, "BEGIN IMMEDIATE");
}

/* Commits when `rv` is 0, and takes everything back when anything failed. */
static int commit(struct store *s, int rv, const char *what, struct errmsg *em)
{
    if (rv == 0)
        rv = query_execute(s->db, "COMMIT");
    if (rv == 0)
        return 0;
    rv = store_fail(s, rv, what, em);
    if (!sqlite3_get_autocommit(s->db))
        query_execute(s->db, "ROLLBACK");
    return rv;
}

static int put_meta(struct store *s, enum meta key, struct span value)
{
    struct query q = query_sql(s->db, PUT_META);
    query_put_int(&q, key);
    query_put_blob(&q, value);
    return query_run_sql(&q);
}

static int put_number(struct store *s, enum meta key, uint32_t value)
{
    uint8_t bytes[4];
    le32_write(bytes, value);
    return put_meta(s, key, span_of(bytes, sizeof(bytes)));
}

int store_fail(struct store *s, int rv, const char *what, struct errmsg *em)
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
