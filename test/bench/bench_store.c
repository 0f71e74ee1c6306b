/*
 * bench_store: rows into the manager's ledger and out of it, beside a bare SQLite. That one has as
 * many rows of as many bytes in as many commits, and is set up alike. Rates are those of a second
 * of one processor's time.
 *
 *   bench_store [--rows N]    default 200000
 */
#include "base/clock.h"
#include "manager/ledger.h"
#include "test/samples.h"
#include "test/tree.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <time.h>

#define ROWS_DEFAULT 200000
/* A busy manager's turn. */
#define COMMIT_ROWS 1000
#define TOPICS 1000
#define DOCUMENT_BYTES 4096
/* Each is measured so often, in time of the processor, and the best counts: other work on the
 * machine only delays. */
#define ROUNDS 3
#define BARE_ROW_MAX 8192

/* As the ledger has them. */
#define PRAGMAS                                                                                    \
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY;"                  \
    "PRAGMA secure_delete=ON; PRAGMA cache_size=-16384; PRAGMA journal_size_limit=4194304;"

enum kind { JOINS, STATUSES, DOCUMENTS, READS, KIND_COUNT };

struct result {
    double rate[KIND_COUNT];      /* rows in a second of the processor */
    double wall_rate[KIND_COUNT]; /* by the clock: the disk's time too */
};

struct watch {
    double cpu_ms;
    uint64_t wall_ms;
};

static double cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static struct watch begin(void)
{
    return (struct watch){cpu_ms(), clock_monotonic_ms()};
}

static void end(struct watch w, enum kind kind, uint32_t rows, struct result *best)
{
    double rate = rows * 1e3 / (cpu_ms() - w.cpu_ms);
    double wall_rate = rows * 1e3 / (double)(clock_monotonic_ms() - w.wall_ms + 1);
    if (rate > best->rate[kind])
        best->rate[kind] = rate;
    if (wall_rate > best->wall_rate[kind])
        best->wall_rate[kind] = wall_rate;
}

/* ---- the ledger ---- */

static struct agent_row agent(uint32_t number)
{
    struct agent_row row = {.index = number - 1,
                            .joined_s = 1700000000,
                            .last_seen_s = 1700000000,
                            .document = {1, 1},
                            .seq = 1,
                            .boot = number};
    memcpy(row.id.bytes, &number, sizeof number);
    return row;
}

static void commit_at_times(struct ledger *l, uint32_t row)
{
    if (row % COMMIT_ROWS == 0)
        tree_must(ledger_commit(l, NULL) == 0, "commit");
}

static void write_joins(struct ledger *l, uint32_t rows)
{
    const struct facts facts = {
        .count = 2,
        .list = {{.key = "arch", .value = "x86_64"}, {.key = "kernel", .value = "6.1.0-25-amd64"}}};
    for (uint32_t n = 1; n <= rows; n++) {
        struct agent_row row = agent(n);
        tree_must(ledger_newcomer(l, n, &facts, NULL) == 0 &&
                      ledger_agent(l, n, &row, NULL, NULL, 0, NULL) == 0,
                  "join");
        commit_at_times(l, n);
    }
}

static void write_statuses(struct ledger *l, uint32_t rows)
{
    for (uint32_t n = 1; n <= rows; n++) {
        struct agent_row row = agent(n);
        tree_must(ledger_agent(l, n, &row, NULL, NULL, 0, NULL) == 0, "status");
        commit_at_times(l, n);
    }
}

static void write_documents(struct ledger *l, uint32_t rows)
{
    static const uint8_t document[DOCUMENT_BYTES];
    for (uint32_t n = 1; n <= rows; n++) {
        char topic[64];
        snprintf(topic, sizeof topic, "dl1/cohort/%032" PRIx32 "/doc", n % TOPICS);
        tree_must(ledger_publish(l, topic, span_of(document, sizeof document), NULL) == 0,
                  "document");
        commit_at_times(l, n);
    }
}

/* What the ledger says of itself, it says again to a fresh core. */
static void read_all(struct ledger *l, uint32_t rows)
{
    struct manager_options options = {
        .limits = {.agents = rows, .cohorts = 1, .deployments = 1, .bundles = 1, .batches = 1},
        .epoch = 1,
        .policy = POLICY_DEFAULT};
    void *memory = calloc(1, manager_size(&options.limits));
    struct manager *m = manager_init(memory, &options);
    struct errmsg em = {.text = ""};
    tree_must(ledger_load(l, m, &em) == 0, em.text);
    tree_must(manager_agent(m, rows) != NULL, "all agents are there");
    free(memory);
}

static void add_fleet(struct ledger *l, uint32_t rows)
{
    struct batch_row batch = {.count = rows, .uses = 1};
    static struct cohort cohort;
    tree_must(ledger_batch(l, 0, &batch, NULL) == 0 && ledger_cohort(l, 0, &cohort, NULL) == 0 &&
                  ledger_commit(l, NULL) == 0,
              "fleet");
}

/* ---- SQLite ---- */

static void must(sqlite3 *db, int rv)
{
    if (rv == SQLITE_OK || rv == SQLITE_DONE || rv == SQLITE_ROW)
        return;
    fprintf(stderr, "bench_store: %s\n", sqlite3_errmsg(db));
    exit(1);
}

static sqlite3 *open_at(const struct tree_path *path)
{
    sqlite3 *db;
    must(NULL, sqlite3_open(path->text, &db));
    must(db, sqlite3_exec(db, PRAGMAS, NULL, NULL, NULL));
    return db;
}

/* What rows and indexes of tables hold whose names are like this. */
static uint64_t payload(const struct tree_path *path, const char *tables)
{
    sqlite3 *db = open_at(path);
    sqlite3_stmt *s;
    const char *sql = "SELECT sum(payload) FROM dbstat WHERE name GLOB ?";
    must(db, sqlite3_prepare_v2(db, sql, -1, &s, NULL));
    must(db, sqlite3_bind_text(s, 1, tables, -1, SQLITE_STATIC));
    must(db, sqlite3_step(s));
    uint64_t sum = (uint64_t)sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    sqlite3_close(db);
    return sum;
}

static void execute(sqlite3 *db, const char *sql)
{
    must(db, sqlite3_exec(db, sql, NULL, NULL, NULL));
}

/* Numbered rows of so many bytes. */
static void bare_rows(sqlite3 *db, const char *table, uint32_t rows, size_t bytes)
{
    static const uint8_t row[BARE_ROW_MAX];
    char sql[128];
    sqlite3_stmt *s;
    snprintf(sql, sizeof sql, "INSERT OR REPLACE INTO %s VALUES(?1, ?2)", table);
    must(db, sqlite3_prepare_v2(db, sql, -1, &s, NULL));
    for (uint32_t n = 1; n <= rows; n++) {
        if (n % COMMIT_ROWS == 1)
            execute(db, "BEGIN");
        sqlite3_bind_int64(s, 1, n);
        sqlite3_bind_blob(s, 2, row, (int)bytes, SQLITE_STATIC);
        must(db, sqlite3_step(s));
        sqlite3_reset(s);
        if (n % COMMIT_ROWS == 0)
            execute(db, "COMMIT");
    }
    sqlite3_finalize(s);
}

/* Named ones, of which each replaces the one of its name. */
static void bare_documents(sqlite3 *db, uint32_t rows)
{
    static const uint8_t document[DOCUMENT_BYTES];
    sqlite3_stmt *s;
    must(db,
         sqlite3_prepare_v2(db, "INSERT OR REPLACE INTO document(topic, payload) VALUES(?1, ?2)",
                            -1, &s, NULL));
    for (uint32_t n = 1; n <= rows; n++) {
        char topic[64];
        snprintf(topic, sizeof topic, "dl1/cohort/%032" PRIx32 "/doc", n % TOPICS);
        if (n % COMMIT_ROWS == 1)
            execute(db, "BEGIN");
        sqlite3_bind_text(s, 1, topic, -1, SQLITE_STATIC);
        sqlite3_bind_blob(s, 2, document, sizeof document, SQLITE_STATIC);
        must(db, sqlite3_step(s));
        sqlite3_reset(s);
        if (n % COMMIT_ROWS == 0)
            execute(db, "COMMIT");
    }
    sqlite3_finalize(s);
}

static void bare_read(sqlite3 *db, const char *table)
{
    char sql[64];
    sqlite3_stmt *s;
    uint64_t bytes = 0;
    snprintf(sql, sizeof sql, "SELECT n, row FROM %s", table);
    must(db, sqlite3_prepare_v2(db, sql, -1, &s, NULL));
    while (sqlite3_step(s) == SQLITE_ROW)
        bytes += sqlite3_column_blob(s, 1) ? (uint64_t)sqlite3_column_bytes(s, 1) : 0;
    tree_must(bytes > 0, "rows");
    sqlite3_finalize(s);
}

/* ---- all of it ---- */

static uint32_t documents_of(uint32_t rows)
{
    return rows / 10 / COMMIT_ROWS * COMMIT_ROWS + COMMIT_ROWS;
}

/* `bytes` hears how many a join's rows have, and the one of them that a status writes over. */
static void run_ledger(uint32_t rows, struct result *best, size_t bytes[2])
{
    struct tree_path dir = tree_new(), db = tree_join(&dir, "manager.db");
    struct fleet_keys keys = {.signing = sample_secret(1), .authority = sample_secret(2)};
    struct ledger *l = ledger_open(dir.text, &keys, NULL);
    tree_must(l != NULL, "ledger");
    add_fleet(l, rows);
    uint64_t empty = payload(&db, "*");
    struct watch w = begin();
    write_joins(l, rows);
    end(w, JOINS, rows, best);
    bytes[0] = (payload(&db, "*") - empty) / rows;
    bytes[1] = payload(&db, "agent") / rows;
    w = begin();
    write_statuses(l, rows);
    end(w, STATUSES, rows, best);
    w = begin();
    read_all(l, rows);
    end(w, READS, rows, best);
    w = begin();
    write_documents(l, documents_of(rows));
    end(w, DOCUMENTS, documents_of(rows), best);
    ledger_close(l);
    tree_free(&dir);
}

static void run_bare(uint32_t rows, struct result *best, const size_t bytes[2])
{
    struct tree_path dir = tree_new(), path = tree_join(&dir, "bare.db");
    sqlite3 *db = open_at(&path);
    execute(db, "CREATE TABLE joined(n INTEGER PRIMARY KEY, row BLOB);"
                "CREATE TABLE agent(n INTEGER PRIMARY KEY, row BLOB);"
                "CREATE TABLE document(n INTEGER PRIMARY KEY, topic TEXT UNIQUE, payload BLOB)");
    struct watch w = begin();
    bare_rows(db, "joined", rows, bytes[0]);
    end(w, JOINS, rows, best);
    bare_rows(db, "agent", rows, bytes[1]);
    w = begin();
    bare_rows(db, "agent", rows, bytes[1]);
    end(w, STATUSES, rows, best);
    w = begin();
    bare_read(db, "agent");
    end(w, READS, rows, best);
    w = begin();
    bare_documents(db, documents_of(rows));
    end(w, DOCUMENTS, documents_of(rows), best);
    sqlite3_close(db);
    tree_free(&dir);
}

static void print(uint32_t rows, const struct result *ours, const struct result *bare,
                  const size_t bytes[2])
{
    static const char *const names[KIND_COUNT] = {
        [JOINS] = "agents that join, written",
        [STATUSES] = "statuses, written",
        [DOCUMENTS] = "documents of 4 KiB, written over older ones",
        [READS] = "agents, read into a core",
    };
    printf("{\"bench\":\"store\",\"rows\":[");
    for (int i = 0; i < KIND_COUNT; i++)
        printf(
            "%s{\"what\":\"%s\",\"value\":%.0f,\"unit\":\"1/s\",\"floor\":%.0f,\"published\":[]}",
            i > 0 ? "," : "", names[i], ours->rate[i], bare->rate[i]);
    printf("],\"count\":%" PRIu32
           ",\"rows_a_commit\":%d,\"join_bytes\":%zu,\"status_bytes\":%zu,\"by_the_clock\":[",
           rows, COMMIT_ROWS, bytes[0], bytes[1]);
    for (int i = 0; i < KIND_COUNT; i++)
        printf("%s{\"what\":\"%s\",\"ours_s\":%.0f,\"floor_s\":%.0f}", i > 0 ? "," : "", names[i],
               ours->wall_rate[i], bare->wall_rate[i]);
    printf("]}\n");
}

static uint32_t rows_of(int argc, char **argv)
{
    if (argc == 1)
        return ROWS_DEFAULT;
    if (argc == 3 && strcmp(argv[1], "--rows") == 0 && atoi(argv[2]) >= COMMIT_ROWS)
        return (uint32_t)atoi(argv[2]) / COMMIT_ROWS * COMMIT_ROWS;
    fprintf(stderr, "usage: bench_store [--rows N], at least %d\n", COMMIT_ROWS);
    exit(2);
}

int main(int argc, char **argv)
{
    uint32_t rows = rows_of(argc, argv);
    struct result ours = {0}, bare = {0};
    size_t bytes[2];
    for (int i = 0; i < ROUNDS; i++) {
        run_ledger(rows, &ours, bytes);
        tree_must(bytes[0] > 0 && bytes[0] <= BARE_ROW_MAX && bytes[1] > 0 &&
                      bytes[1] <= BARE_ROW_MAX,
                  "sizes of rows");
        run_bare(rows, &bare, bytes);
    }
    print(rows, &ours, &bare, bytes);
    return 0;
}
