/*
 * What an agent kept of itself (DIR/agent.db) is called damaged, or holds what it must; then its
 * rows are written and read back the same, and an agent can start from it and live on.
 *
 * An input is a list of rows: a key, a length of two bytes, and so many bytes. Keys are those of
 * the table meta, SIGNED with those whose digest is made right here, or that of another table.
 */
#include "test/fuzz/fuzz.h"

#include "agent/store_parts.h"
#include "agent/values.h"
#include "base/endian.h"
#include "test/tree.h"

#define SIGNED 0x40
#define KEY_HELD 0x80
#define KEY_VALUE 0x81
#define HELD_COLUMNS 17
/* Steps of an agent that lives on. */
#define STEPS_MAX 48

/* What is left of the input. */
struct input {
    const uint8_t *at;
    size_t left;
};

static struct store store;

/* Nothing of it is left on the disk, and nothing waits for that. */
static void open_store(void)
{
    struct tree_path dir = tree_new();
    tree_must(store_open(&store, dir.text, STORE_CREATE, NULL) == 0, "open");
    tree_must(query_execute(store.db, "COMMIT; PRAGMA synchronous=OFF; PRAGMA journal_mode=MEMORY; "
                                      "PRAGMA cache_size=-4096") == 0,
              "settle");
    tree_free(&dir);
}

/* As it is when it was opened, with tables that are empty. */
static void clear_store(void)
{
    struct sqlite3 *db = store.db;
    if (!db) {
        open_store();
        db = store.db;
    }
    memset(&store, 0, sizeof store);
    snprintf(store.path, sizeof store.path, "DIR/agent.db");
    store.db = db;
    tree_must(query_execute(db, "BEGIN; DELETE FROM meta; DELETE FROM held; DELETE FROM value") ==
                  0,
              "empty");
}

/* ---- the rows ---- */

static struct span take(struct input *in, size_t len)
{
    struct span s = span_of(in->at, len < in->left ? len : in->left);
    in->at += s.len;
    in->left -= s.len;
    return s;
}

/* Little-endian; what is missing is zero. */
static uint64_t take_int(struct input *in, size_t len)
{
    uint8_t bytes[8] = {0};
    struct span s = take(in, len);
    if (s.len > 0)
        memcpy(bytes, s.data, s.len);
    return le64_read(bytes);
}

static struct span take_counted(struct input *in, size_t count_len)
{
    size_t len = (size_t)take_int(in, count_len);
    return take(in, len);
}

static void add_meta(uint64_t key, struct span value)
{
    static uint8_t room[UINT16_MAX];
    if (key & SIGNED && value.len >= DIGEST_LEN) {
        struct digest d = digest_of(span_of(value.data + DIGEST_LEN, value.len - DIGEST_LEN));
        memcpy(room, value.data, value.len);
        memcpy(room, d.bytes, DIGEST_LEN);
        value.data = room;
    }
    struct query q = query_sql(store.db, "REPLACE INTO meta VALUES(?,?)");
    query_put_int(&q, key & ~(uint64_t)SIGNED);
    query_put_blob(&q, value);
    tree_must(query_run_sql(&q) == 0, "meta");
}

/* The row may end with the number of a column that is of another type. */
static void add_held(struct span row)
{
    enum type { NUMBER, TEXT, BLOB };
    static const struct {
        enum type type;
        uint8_t len; /* 0: it says so itself */
    } columns[HELD_COLUMNS] = {
        {NUMBER, 4},        {TEXT, 0},          {NUMBER, 1}, {NUMBER, 1},        {NUMBER, 1},
        {NUMBER, 1},        {NUMBER, 4},        {NUMBER, 4}, {BLOB, DIGEST_LEN}, {NUMBER, 4},
        {BLOB, DIGEST_LEN}, {BLOB, KEY_ID_LEN}, {BLOB, 0},   {NUMBER, 8},        {NUMBER, 8},
        {NUMBER, 1},        {NUMBER, 4},
    };
    char name[UINT8_MAX + 1] = "";
    struct input in = {row.data, row.len};
    size_t odd = row.len > 0 ? row.data[row.len - 1] : 0;
    struct query q =
        query_sql(store.db, "REPLACE INTO held VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");
    for (size_t i = 0; i < HELD_COLUMNS; i++) {
        size_t len = columns[i].len;
        bool number = columns[i].type == NUMBER;
        uint64_t value = number ? take_int(&in, len) : 0;
        struct span bytes = number ? SPAN_NONE : len > 0 ? take(&in, len) : take_counted(&in, 1);
        if (columns[i].type == TEXT && bytes.len > 0)
            memcpy(name, bytes.data, bytes.len);
        if (columns[i].type == TEXT || (i == odd && i > 0))
            query_put_text(&q, name);
        else if (number)
            query_put_int(&q, value);
        else
            query_put_blob(&q, bytes);
    }
    tree_must(query_run_sql(&q) == 0, "held");
}

static void add_value(struct span row)
{
    struct input in = {row.data, row.len};
    struct query q = query_sql(store.db, "REPLACE INTO value VALUES(?,?)");
    query_put_int(&q, take_int(&in, 8));
    query_put_blob(&q, span_of(in.at, in.left));
    tree_must(query_run_sql(&q) == 0, "value");
}

static void fill_store(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    while (in.left > 0) {
        uint64_t key = take_int(&in, 1);
        struct span value = take_counted(&in, 2);
        if (key == KEY_HELD)
            add_held(value);
        else if (key == KEY_VALUE)
            add_value(value);
        else
            add_meta(key, value);
    }
    tree_must(query_execute(store.db, "COMMIT") == 0, "commit");
}

/* ---- what must be ---- */

static void check_row(const struct held *h)
{
    bool ends = memchr(h->name, '\0', sizeof h->name);
    tree_must(ends && name_valid(span_text(h->name)), "name");
    tree_must(h->phase < PHASE_COUNT && h->cause < CAUSE_COUNT, "phase and cause");
    tree_must(h->after.count <= DEPENDENCIES_MAX, "after");
}

static void check_view(void)
{
    const struct identity *id = &store.identity;
    tree_must(store.view.held_count <= HELD_MAX, "rows");
    for (uint32_t i = 0; i < store.view.held_count; i++) {
        check_row(&store.held[i]);
        tree_must(i == 0 || store.held[i - 1].deployment < store.held[i].deployment, "order");
    }
    tree_must(id->cell_count <= CELLS_MAX && id->home_count <= id->cell_count, "cells");
    for (uint32_t i = 0; i < id->cell_count; i++)
        tree_must(memchr(id->cells[i], '\0', sizeof id->cells[i]), "a cell's end");
    tree_must(memchr(id->door, '\0', sizeof id->door), "the door's end");
    tree_must(policy_valid(&store.view.document->policy), "policy");
    if (store_joined(&store))
        tree_must(id->keyed && id->cell_count > 0 && key_id_equal(&store.assignment.agent, &id->id),
                  "identity");
}

/* A row whose values have gone can't be kept again, and needn't. */
static void check_rows_again(void)
{
    static struct held before[HELD_MAX];
    uint32_t count = store.held_count;
    memcpy(before, store.held, sizeof before);
    for (uint32_t i = 0; i < count; i++) {
        struct agent_out out = {.store_count = 1};
        struct digest tree;
        out.stores[0] = (struct agent_store){.type = AGENT_STORE_HELD, .held = &before[i]};
        bool valued = values_find_tree(&store, &before[i].wanted, &tree, NULL) == 0;
        int rv = store_apply(&store, &out, NULL, NULL);
        tree_must(rv == 0 || !valued, "a row can't be kept");
    }
    tree_must(store_load(&store, NULL) == 0 && store.held_count == count, "rows again");
    tree_must(memcmp(before, store.held, sizeof before) == 0, "other rows");
}

/* ---- an agent on it ---- */

/* What it asks to have done, and is told the end of. */
static bool is_answered(enum agent_action_type type)
{
    return type == AGENT_FETCH || type == AGENT_UNPACK || type == AGENT_HOOK ||
           type == AGENT_SWITCH || type == AGENT_DETACH;
}

static struct agent_event answer_to(const struct agent_out *out, uint64_t *fate)
{
    static const int ends[] = {0, 0, 0, ERR_REFUSED, ERR_NO_SPACE, ERR_UNTRUSTED, ERR_FORMAT, 0};
    struct agent_event ev = {.type = AGENT_TICK};
    for (uint32_t i = 0; i < out->action_count; i++) {
        const struct agent_action *a = &out->actions[i];
        if (a->type == AGENT_CONNECT || a->type == AGENT_KNOCK)
            ev.type = a->type == AGENT_CONNECT && *fate & 1 ? AGENT_LINK_UP : AGENT_LINK_DOWN;
        if (!is_answered(a->type))
            continue;
        ev.type = AGENT_DONE;
        ev.done = a->type;
        ev.rv = ends[*fate % (sizeof ends / sizeof ends[0])];
        ev.health_deadline_s = 60;
        ev.health_interval_s = 5;
    }
    *fate = *fate >> 3 | *fate << 61;
    return ev;
}

static void live(uint64_t fate)
{
    static uint8_t memory[AGENT_SCRATCH_MAX];
    static struct agent_out out;
    struct arena scratch = arena_on(memory, sizeof memory);
    struct agent_event ev = {.type = AGENT_BOOT, .now_ms = 1000, .wall_s = UINT64_C(1800000000)};
    struct agent a;
    agent_init(&a, &(struct agent_options){.number = store.identity.number,
                                           .id = store.identity.id,
                                           .facts = facts_digest(&store.identity.facts),
                                           .boot = 1,
                                           .seq_ceiling = store.seq_ceiling,
                                           .floor_s = store.floor_s,
                                           .now_ms = ev.now_ms,
                                           .seed = fate});
    for (int i = 0; i < STEPS_MAX; i++) {
        uint64_t now_ms = ev.now_ms, wall_s = ev.wall_s;
        ev.view = &store.view;
        arena_reset(&scratch);
        agent_step(&a, &ev, &scratch, &out);
        if (out.store_count > 0)
            ev = (struct agent_event){.type = AGENT_STORED,
                                      .rv = store_apply(&store, &out, NULL, NULL)};
        else
            ev = answer_to(&out, &fate);
        if (ev.type == AGENT_TICK && out.deadline_ms == UINT64_MAX)
            return;
        ev.now_ms = ev.type == AGENT_TICK && out.deadline_ms > now_ms ? out.deadline_ms : now_ms;
        ev.wall_s = wall_s + (ev.now_ms - now_ms) / 1000;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct errmsg em = {0};
    clear_store();
    fill_store(data, size);
    int rv = store_load(&store, &em);
    tree_must(rv == 0 || (rv == ERR_DAMAGED && em.text[0]), "answer");
    if (rv < 0)
        return 0;
    check_view();
    check_rows_again();
    if (store_joined(&store))
        live(digest_of(span_of(data, size)).bytes[0] * UINT64_C(0x9e3779b97f4a7c15));
    return 0;
}
