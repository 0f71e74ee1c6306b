#include "agent/store.h"
#include "base/query.h"
#include "test/agent_fixture.h"
#include "test/suite.h"

static struct store store;
static struct fixture_fleet fleet;
static struct fixture_message assignment_message, trust_message, document_message;
static struct assignment assignment;
static struct desired document;

static struct facts some_facts(void)
{
    return (struct facts){.count = 1, .list = {{.key = "arch", .value = "armv7l"}}};
}

static struct joined some_answer(void)
{
    struct joined j = {
        .code = JOINED_ACCEPTED,
        .number = 7,
        .mac = {.bytes = {9}},
        .policy = {.heartbeat_s = 60, .keepalive_s = 30, .reconnect_spread_s = 5},
        .cell_count = 2,
        .cells = {"mqtt://127.0.0.1:1883", "mqtt://127.0.0.1:1884"},
        .assignment = span_buffer(&assignment_message.bytes),
        .trust_count = 1,
        .trust = {span_buffer(&trust_message.bytes)},
    };
    return j;
}

static void open_joined(const struct tree_path *dir)
{
    struct digest token = digest_of(span_text("token"));
    struct facts facts = some_facts();
    fixture_fleet(&fleet);
    assignment = fixture_first_assignment(&fleet);
    fixture_assignment(&fleet, &assignment, &assignment_message);
    fixture_trust(&fleet, &fleet.trust, &trust_message);
    struct joined answer = some_answer();
    tree_must(store_open(&store, dir->text, STORE_CREATE, NULL) == 0, "open");
    tree_must(store_key(&store, &fleet.agent_secret, NULL) == 0, "keep key");
    tree_must(store_join(&store, &answer, &facts, &token, "mqtt://127.0.0.1:1884", NULL) == 0,
              "join");
}

static int reopen(const struct tree_path *dir, struct errmsg *em)
{
    store_close(&store);
    return store_open(&store, dir->text, STORE_WRITE, em);
}

static int apply_one(struct agent_store st, const struct store_incoming *in, struct errmsg *em)
{
    struct agent_out out = {.store_count = 1};
    out.stores[0] = st;
    return store_apply(&store, &out, in, em);
}

static int keep_row(const struct held *h, struct errmsg *em)
{
    return apply_one((struct agent_store){.type = AGENT_STORE_HELD, .held = h}, NULL, em);
}

static struct held some_row(uint32_t deployment)
{
    struct held h = {
        .deployment = deployment,
        .phase = PHASE_VERIFYING,
        .cause = CAUSE_HEALTH,
        .attempts = 2,
        .moved = true,
        .flags = RECORD_KEEP,
        .running = {.generation = 3, .bundle = digest_of(span_text("old"))},
        .wanted = {.generation = UINT32_MAX, .bundle = digest_of(span_text("new"))},
        .after = {.count = 2, .numbers = {1, UINT32_MAX}},
        .failures = 3,
        .failed_s = 1700000000,
    };
    snprintf(h.name, sizeof h.name, "app-%u", deployment);
    return h;
}

static int store_document(uint32_t revision)
{
    document = (struct desired){
        .cohort = assignment.cohort,
        .revision = {.epoch = 1, .number = revision},
        .issued_s = 5,
        .not_after_s = 500,
        .policy = {.heartbeat_s = 90, .keepalive_s = 20, .reconnect_spread_s = 1},
        .count = RECORDS_MAX,
    };
    for (uint32_t i = 0; i < RECORDS_MAX; i++) {
        struct record *r = &document.records[i];
        *r = (struct record){.deployment = i + 1, .gate = GATE_OPEN, .next_gate = GATE_OPEN};
        r->stable = (struct target){.generation = 1, .bundle = digest_of(span_text("b"))};
        snprintf(r->name, sizeof r->name, "name-%u", i);
    }
    fixture_document(&fleet, &document, &document_message);
    struct store_incoming in = {.envelope = span_buffer(&document_message.bytes),
                                .document = &document};
    return apply_one((struct agent_store){.type = AGENT_STORE_DOCUMENT}, &in, NULL);
}

static bool documents_equal(const struct desired *a, const struct desired *b)
{
    static uint8_t room_a[DOCUMENT_MAX], room_b[DOCUMENT_MAX];
    struct buffer bytes_a = buffer_on(room_a, sizeof room_a);
    struct buffer bytes_b = buffer_on(room_b, sizeof room_b);
    return desired_write(a, &bytes_a) == 0 && desired_write(b, &bytes_b) == 0 &&
           span_equal(span_buffer(&bytes_a), span_buffer(&bytes_b));
}

static void test_folder_without_database_is_not_found(void)
{
    struct tree_path dir = tree_new();
    struct errmsg em = {0};
    CU_ASSERT_EQUAL(store_open(&store, dir.text, STORE_WRITE, &em), ERR_NOT_FOUND);
    CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "agent.db"));
    CU_ASSERT_EQUAL(store_open(&store, dir.text, STORE_READ, NULL), ERR_NOT_FOUND);
    tree_free(&dir);
}

static void test_new_database_is_private_and_not_joined(void)
{
    struct tree_path dir = tree_new(), file = tree_join(&dir, "agent.db");
    struct stat st;
    CU_ASSERT_EQUAL(store_open(&store, dir.text, STORE_CREATE, NULL), 0);
    CU_ASSERT_FALSE(store_joined(&store));
    CU_ASSERT_FALSE(store.identity.keyed);
    store_close(&store);
    CU_ASSERT_EQUAL(stat(file.text, &st), 0);
    CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
    struct tree_path journal = tree_join(&dir, "agent.db-journal");
    if (stat(journal.text, &st) == 0)
        CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
    tree_free(&dir);
}

static void test_key_is_the_same_after_every_start(void)
{
    struct tree_path dir = tree_new();
    fixture_fleet(&fleet);
    CU_ASSERT_EQUAL(store_open(&store, dir.text, STORE_CREATE, NULL), 0);
    CU_ASSERT_EQUAL(store_key(&store, &fleet.agent_secret, NULL), 0);
    store_close(&store);
    CU_ASSERT_EQUAL(store_open(&store, dir.text, STORE_CREATE, NULL), 0);
    CU_ASSERT_TRUE(store.identity.keyed);
    CU_ASSERT_EQUAL(memcmp(&store.identity.key, &fleet.agent, sizeof fleet.agent), 0);
    CU_ASSERT_FALSE(store_joined(&store));
    store_close(&store);
    tree_free(&dir);
}

static void test_everything_from_the_join_is_there_after_a_restart(void)
{
    struct tree_path dir = tree_new();
    open_joined(&dir);
    CU_ASSERT_EQUAL(reopen(&dir, NULL), 0);
    const struct identity *id = &store.identity;
    struct facts facts = some_facts();
    struct digest token = digest_of(span_text("token"));
    CU_ASSERT_TRUE(store_joined(&store));
    CU_ASSERT_EQUAL(id->number, 7);
    CU_ASSERT_EQUAL(id->mac.bytes[0], 9);
    CU_ASSERT_EQUAL(facts_digest(&id->facts), facts_digest(&facts));
    CU_ASSERT_EQUAL(id->cell_count, 2);
    CU_ASSERT_STRING_EQUAL(id->cells[1], "mqtt://127.0.0.1:1884");
    CU_ASSERT_TRUE(digest_equal(&id->token, &token));
    CU_ASSERT_STRING_EQUAL(store.view.assignment->labels.text, "env=prod");
    CU_ASSERT_EQUAL(store.view.trust->version, 1);
    CU_ASSERT_EQUAL(memcmp(&store.trust, &fleet.trust, sizeof fleet.trust), 0);
    CU_ASSERT_EQUAL(store.view.document->revision.epoch, 0);
    CU_ASSERT_EQUAL(store.view.document->policy.keepalive_s, 30);
    store_close(&store);
    tree_free(&dir);
}

static void test_every_kind_of_store_survives_a_restart(void)
{
    struct tree_path dir = tree_new();
    open_joined(&dir);
    struct held row = some_row(4);
    CU_ASSERT_EQUAL(keep_row(&row, NULL), 0);
    CU_ASSERT_EQUAL(store_document(9), 0);
    assignment.revision.number = 2;
    fixture_assignment(&fleet, &assignment, &assignment_message);
    struct store_incoming in = {.envelope = span_buffer(&assignment_message.bytes),
                                .assignment = &assignment};
    CU_ASSERT_EQUAL(apply_one((struct agent_store){.type = AGENT_STORE_ASSIGNMENT}, &in, NULL), 0);
    struct trust trust = fleet.trust;
    trust.version = 5;
    uint64_t built_s = store.view.rooted_s;
    CU_ASSERT_EQUAL(built_s, store.floor_s);
    trust.issued_s = built_s + 8;
    fixture_trust(&fleet, &trust, &trust_message);
    in = (struct store_incoming){.envelope = span_buffer(&trust_message.bytes), .trust = &trust};
    CU_ASSERT_EQUAL(apply_one((struct agent_store){.type = AGENT_STORE_TRUST}, &in, NULL), 0);
    uint64_t late_s = store.floor_s + 86400;
    struct agent_store seq = {.type = AGENT_STORE_SEQ, .seq = UINT32_MAX, .floor_s = late_s};
    CU_ASSERT_EQUAL(apply_one(seq, NULL, NULL), 0);

    for (int restarted = 0; restarted < 2; restarted++) {
        CU_ASSERT_EQUAL(store.view.held_count, 1);
        CU_ASSERT_EQUAL(memcmp(&store.view.held[0], &row, sizeof row), 0);
        CU_ASSERT_TRUE(documents_equal(store.view.document, &document));
        CU_ASSERT_EQUAL(store.view.assignment->revision.number, 2);
        CU_ASSERT_EQUAL(store.view.trust->version, 5);
        CU_ASSERT_EQUAL(store.seq_ceiling, UINT32_MAX);
        CU_ASSERT_EQUAL(store.floor_s, late_s);
        CU_ASSERT_EQUAL(store.view.signed_s, 5);
        CU_ASSERT_EQUAL(store.view.rooted_s, built_s + 8);
        CU_ASSERT_EQUAL(reopen(&dir, NULL), 0);
    }
    store_close(&store);
    tree_free(&dir);
}

/* An old program may have kept less than a new one knows. */
static void test_time_is_never_before_the_program_was_written(void)
{
    struct tree_path dir = tree_new();
    open_joined(&dir);
    uint64_t built_s = store.floor_s;
    CU_ASSERT_TRUE(built_s >= UINT64_C(1767225600)); /* 2026 */
    struct agent_store seq = {.type = AGENT_STORE_SEQ, .seq = 1, .floor_s = 1000};
    CU_ASSERT_EQUAL(apply_one(seq, NULL, NULL), 0);
    CU_ASSERT_EQUAL(reopen(&dir, NULL), 0);
    CU_ASSERT_EQUAL(store.floor_s, built_s);
    store_close(&store);
    tree_free(&dir);
}

/* It was later than its begin when somebody issued it. */
static void test_certificate_tells_the_time_as_well(void)
{
    struct tree_path dir = tree_new();
    uint8_t room[CERTIFICATE_MAX];
    struct buffer der = buffer_on(room, sizeof room);
    struct certificate c = {.use = CERTIFICATE_CLIENT,
                            .name = "agent",
                            .serial = {.bytes = {1}},
                            .not_before_s = UINT64_C(1800000000),
                            .not_after_s = UINT64_C(1800086400)};
    open_joined(&dir);
    c.key = store.identity.key;
    tree_must(certificate_make(&c, &fleet.online_secret, "authority", &der) == 0, "certificate");
    struct store_incoming in = {.certificate = span_buffer(&der)};
    CU_ASSERT_EQUAL(apply_one((struct agent_store){.type = AGENT_STORE_CERTIFICATE}, &in, NULL), 0);
    CU_ASSERT_EQUAL(store.view.signed_s, c.not_before_s);
    CU_ASSERT_EQUAL(reopen(&dir, NULL), 0);
    CU_ASSERT_EQUAL(store.view.signed_s, c.not_before_s);
    store_close(&store);
    tree_free(&dir);
}

/* ---- cells ---- */

static void take_atlas(uint32_t number, uint32_t cells)
{
    static char urls[16][40];
    static struct atlas atlas;
    atlas = (struct atlas){.number = number, .count = cells};
    for (uint32_t i = 0; i < cells; i++) {
        snprintf(urls[i], sizeof urls[i], "mqtt://127.0.0.1:%u", 1883 + i);
        atlas.cells[i] = (struct atlas_cell){.number = i + 1, .url = span_text(urls[i])};
    }
    struct store_incoming in = {.atlas = &atlas, .signer = {.bytes = {(uint8_t)number}}};
    CU_ASSERT_EQUAL(apply_one((struct agent_store){.type = AGENT_STORE_ATLAS}, &in, NULL), 0);
}

/* Each URL once, the agent's order first, and what the join told not lost. */
static void check_cells(uint32_t number, uint32_t cells)
{
    const struct identity *id = &store.identity;
    uint32_t ports = 0;
    CU_ASSERT_EQUAL(store.view.atlas, number);
    CU_ASSERT_EQUAL(store.view.home_count, cells < ATLAS_HOMES ? cells : ATLAS_HOMES);
    CU_ASSERT_EQUAL(store.view.cell_count, id->cell_count);
    CU_ASSERT_EQUAL(id->atlas_signer.bytes[0], number);
    for (uint32_t i = 0; i < id->cell_count; i++)
        ports += 1u << (atoi(strrchr(id->cells[i], ':') + 1) - 1883);
    CU_ASSERT_EQUAL(ports & 3, 3);
    CU_ASSERT_EQUAL((unsigned)__builtin_popcount(ports), id->cell_count);
    CU_ASSERT_TRUE(id->cell_count >= (cells < STORE_ATLAS_CELLS ? cells : STORE_ATLAS_CELLS));
}

static void test_atlas_replaces_cells_but_for_those_of_the_join(void)
{
    static const uint32_t cells[] = {16, 3, 1, 16, 4};
    struct tree_path dir = tree_new();
    open_joined(&dir);
    CU_ASSERT_EQUAL(store.view.atlas, 0);
    CU_ASSERT_EQUAL(store.view.home_count, 2);
    for (uint32_t i = 0; i < sizeof cells / sizeof cells[0]; i++) {
        take_atlas(i + 1, cells[i]);
        check_cells(i + 1, cells[i]);
        CU_ASSERT_EQUAL(reopen(&dir, NULL), 0);
        check_cells(i + 1, cells[i]);
    }
    store_close(&store);
    tree_free(&dir);
}

static void test_being_shut_out_outlives_a_restart_and_ends(void)
{
    struct tree_path dir = tree_new();
    struct agent_store told = {.type = AGENT_STORE_SHUT_OUT, .shut_out_s = UINT64_C(1800000000)};
    open_joined(&dir);
    CU_ASSERT_EQUAL(store.view.shut_out_s, 0);
    CU_ASSERT_EQUAL(apply_one(told, NULL, NULL), 0);
    CU_ASSERT_EQUAL(store.view.shut_out_s, told.shut_out_s);
    CU_ASSERT_EQUAL(reopen(&dir, NULL), 0);
    CU_ASSERT_EQUAL(store.view.shut_out_s, told.shut_out_s);
    told.shut_out_s = 0;
    CU_ASSERT_EQUAL(apply_one(told, NULL, NULL), 0);
    CU_ASSERT_EQUAL(reopen(&dir, NULL), 0);
    CU_ASSERT_EQUAL(store.view.shut_out_s, 0);
    store_close(&store);
    tree_free(&dir);
}

static void test_rows_are_kept_by_rising_number_and_go(void)
{
    static const uint32_t order[] = {5, 1, 9, 3, 5, UINT32_MAX};
    struct tree_path dir = tree_new();
    open_joined(&dir);
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        struct held row = some_row(order[i]);
        row.attempts = (uint8_t)i;
        CU_ASSERT_EQUAL(keep_row(&row, NULL), 0);
    }
    CU_ASSERT_EQUAL(store.view.held_count, 5);
    CU_ASSERT_EQUAL(store.view.held[2].deployment, 5);
    CU_ASSERT_EQUAL(store.view.held[2].attempts, 4);
    struct agent_store drop = {.type = AGENT_STORE_DROP, .deployment = 3};
    CU_ASSERT_EQUAL(apply_one(drop, NULL, NULL), 0);
    CU_ASSERT_EQUAL(apply_one(drop, NULL, NULL), 0);
    for (int restarted = 0; restarted < 2; restarted++) {
        static const uint32_t left[] = {1, 5, 9, UINT32_MAX};
        CU_ASSERT_EQUAL(store.view.held_count, 4);
        for (uint32_t i = 0; i < 4; i++)
            CU_ASSERT_EQUAL(store.view.held[i].deployment, left[i]);
        CU_ASSERT_EQUAL(reopen(&dir, NULL), 0);
    }
    store_close(&store);
    tree_free(&dir);
}

/* It ran for a while, and failed its trial. */
static void test_what_a_newer_agent_added_is_passed_over(void)
{
    static const char *const changes[] = {
        "ALTER TABLE meta ADD COLUMN later INTEGER NOT NULL DEFAULT 1",
        "ALTER TABLE held ADD COLUMN later BLOB",
        "ALTER TABLE value ADD COLUMN later TEXT",
        "CREATE TABLE later(key INTEGER PRIMARY KEY)",
        "INSERT INTO meta(key, value) VALUES(99, 'x')",
        "UPDATE held SET cause=200",
    };
    struct tree_path dir = tree_new();
    struct held row = some_row(4);
    open_joined(&dir);
    CU_ASSERT_EQUAL(keep_row(&row, NULL), 0);
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++)
        CU_ASSERT_EQUAL(query_execute(store.db, changes[i]), 0);
    CU_ASSERT_EQUAL(reopen(&dir, NULL), 0);
    CU_ASSERT_EQUAL(store.view.held[0].cause, CAUSE_NONE);
    row.attempts = 3;
    CU_ASSERT_EQUAL(keep_row(&row, NULL), 0);
    CU_ASSERT_EQUAL(apply_one((struct agent_store){.type = AGENT_STORE_SEQ, .seq = 77}, NULL, NULL),
                    0);
    CU_ASSERT_EQUAL(reopen(&dir, NULL), 0);
    CU_ASSERT_EQUAL(store.view.held_count, 1);
    CU_ASSERT_EQUAL(memcmp(&store.view.held[0], &row, sizeof row), 0);
    CU_ASSERT_EQUAL(store.seq_ceiling, 77);
    store_close(&store);
    tree_free(&dir);
}

static void test_a_steps_stores_are_kept_all_or_none(void)
{
    struct tree_path dir = tree_new();
    open_joined(&dir);
    struct agent_out out = {.store_count = 4};
    for (uint32_t i = 0; i < HELD_MAX; i += 4) {
        struct held rows[] = {some_row(i), some_row(i + 1), some_row(i + 2), some_row(i + 3)};
        for (uint32_t k = 0; k < 4; k++)
            out.stores[k] = (struct agent_store){.type = AGENT_STORE_HELD, .held = &rows[k]};
        tree_must(store_apply(&store, &out, NULL, NULL) == 0, "fill");
    }
    struct held one_too_many = some_row(HELD_MAX);
    out = (struct agent_out){.store_count = 2};
    out.stores[0] = (struct agent_store){.type = AGENT_STORE_SEQ, .seq = 77};
    out.stores[1] = (struct agent_store){.type = AGENT_STORE_HELD, .held = &one_too_many};
    CU_ASSERT_EQUAL(store_apply(&store, &out, NULL, NULL), ERR_RANGE);
    CU_ASSERT_EQUAL(store.seq_ceiling, 0);
    CU_ASSERT_EQUAL(store.view.held_count, HELD_MAX);
    CU_ASSERT_EQUAL(reopen(&dir, NULL), 0);
    CU_ASSERT_EQUAL(store.seq_ceiling, 0);
    CU_ASSERT_EQUAL(store.view.held_count, HELD_MAX);
    store_close(&store);
    tree_free(&dir);
}

static void test_full_disk_changes_nothing(void)
{
    struct tree_path dir = tree_new();
    struct errmsg em = {0};
    open_joined(&dir);
    struct held row = some_row(4);
    CU_ASSERT_EQUAL(keep_row(&row, NULL), 0);
    CU_ASSERT_EQUAL(store_limit(&store, 1, NULL), 0); /* as many pages as there are */
    CU_ASSERT_EQUAL(store_document(9), ERR_NO_SPACE);
    CU_ASSERT_EQUAL(store.view.document->revision.number, 0);
    struct held more = some_row(5);
    int rv = 0;
    for (uint32_t i = 5; rv == 0 && i < 200; i++) {
        more = some_row(i);
        rv = keep_row(&more, &em);
    }
    CU_ASSERT_EQUAL(rv, ERR_NO_SPACE);
    CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "the disk is full"));
    uint32_t count = store.view.held_count;
    /* What needs no more room still goes. */
    struct agent_store seq = {.type = AGENT_STORE_SEQ, .seq = 128};
    CU_ASSERT_EQUAL(apply_one(seq, NULL, NULL), 0);
    CU_ASSERT_EQUAL(reopen(&dir, NULL), 0);
    CU_ASSERT_EQUAL(store.view.held_count, count);
    CU_ASSERT_EQUAL(store.seq_ceiling, 128);
    CU_ASSERT_EQUAL(store_document(9), 0);
    store_close(&store);
    tree_free(&dir);
}

static void test_others_can_look_while_the_agent_runs(void)
{
    static struct store look;
    struct tree_path dir = tree_new();
    open_joined(&dir);
    CU_ASSERT_EQUAL(store_open(&look, dir.text, STORE_READ, NULL), 0);
    struct held row = some_row(4);
    CU_ASSERT_EQUAL(keep_row(&row, NULL), 0);
    CU_ASSERT_EQUAL(look.identity.number, 7);
    store_close(&look);
    CU_ASSERT_EQUAL(store_open(&look, dir.text, STORE_READ, NULL), 0);
    CU_ASSERT_EQUAL(look.view.held_count, 1);
    struct agent_out out = {.store_count = 1};
    out.stores[0] = (struct agent_store){.type = AGENT_STORE_SEQ, .seq = 1};
    CU_ASSERT_TRUE(store_apply(&look, &out, NULL, NULL) < 0);
    store_close(&look);
    store_close(&store);
    tree_free(&dir);
}

/* The database's bytes, and a folder that gets them in other shapes. */
static uint8_t image[1 << 20];

static size_t read_image(const struct tree_path *dir)
{
    struct buffer b = buffer_on(image, sizeof image);
    struct tree_path file = tree_join(dir, "agent.db");
    store_close(&store);
    tree_must(file_read(file.text, &b, NULL) == 0, file.text);
    return b.len;
}

static int open_image(const struct tree_path *dir, size_t len, struct errmsg *em)
{
    struct tree_path journal = tree_join(dir, "agent.db-journal");
    unlink(journal.text);
    tree_file(dir, "agent.db", 0600, span_of(image, len));
    int rv = store_open(&store, dir->text, STORE_WRITE, em);
    store_close(&store);
    return rv;
}

static void test_damaged_database_says_what_to_do(void)
{
    struct tree_path dir = tree_new();
    struct errmsg em = {0};
    memset(image, 'x', 5000);
    CU_ASSERT_EQUAL(open_image(&dir, 5000, &em), ERR_DAMAGED);
    CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "agent.db is damaged"));
    CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "join again with a new token"));
    tree_free(&dir);
}

static void test_truncated_database_is_refused(void)
{
    struct tree_path dir = tree_new(), copy = tree_new();
    open_joined(&dir);
    CU_ASSERT_EQUAL(store_document(9), 0);
    size_t len = read_image(&dir);
    CU_ASSERT_EQUAL(open_image(&copy, len, NULL), 0);
    for (size_t cut = 0; cut < len; cut += 499) {
        int rv = open_image(&copy, cut, NULL);
        CU_ASSERT_TRUE(rv == ERR_DAMAGED || (cut == 0 && rv == ERR_NOT_FOUND));
    }
    tree_free(&dir);
    tree_free(&copy);
}

static void test_flipped_byte_is_refused_or_does_no_harm(void)
{
    struct tree_path dir = tree_new(), copy = tree_new();
    open_joined(&dir);
    struct held row = some_row(4);
    CU_ASSERT_EQUAL(keep_row(&row, NULL), 0);
    size_t len = read_image(&dir), refused = 0;
    for (size_t at = 0; at < len; at += 11) {
        image[at] ^= 0x55;
        int rv = open_image(&copy, len, NULL);
        CU_ASSERT_TRUE(rv <= 0 && rv >= ERR_DAMAGED);
        refused += rv < 0;
        image[at] ^= 0x55;
    }
    CU_ASSERT_TRUE(refused > 50);
    tree_free(&dir);
    tree_free(&copy);
}

static void test_stored_message_with_a_flipped_byte_is_found(void)
{
    struct tree_path dir = tree_new(), copy = tree_new();
    open_joined(&dir);
    CU_ASSERT_EQUAL(store_document(9), 0);
    size_t len = read_image(&dir);
    const uint8_t *name = memmem(image, len, "name-77", 7);
    CU_ASSERT_PTR_NOT_NULL_FATAL(name);
    image[name - image] ^= 1;
    CU_ASSERT_EQUAL(open_image(&copy, len, NULL), ERR_DAMAGED);
    tree_free(&dir);
    tree_free(&copy);
}

/* SQLite has no check sums: what isn't signed has to be looked at itself. */
static void test_value_beyond_its_limits_is_called_damaged(void)
{
    static const struct {
        const char *sql;
        uint8_t value[32]; /* in the place of a question mark */
        size_t len;
    } changes[] = {
        {"UPDATE meta SET value=? WHERE key=7", {0}, 0},           /* no cell */
        {"UPDATE meta SET value='mqtts://a' WHERE key=7", {0}, 0}, /* no end of line */
        {"UPDATE meta SET value=? WHERE key=6", {0}, 16},          /* a heartbeat of no seconds */
        {"UPDATE meta SET value=? WHERE key=6",
         {0xff, 0xff, 0xff, 0xff, 30, 0, 0, 0, 5},
         16}, /* 136 years */
        {"UPDATE meta SET value=? WHERE key=6", {0}, 15},
        {"UPDATE meta SET value=? WHERE key=13", {0}, 0}, /* no door */
        {"UPDATE meta SET value=? WHERE key=2", {7}, 1},  /* half a number */
        {"UPDATE held SET phase=99", {0}, 0},
        {"UPDATE held SET name='../up'", {0}, 0},
        {"UPDATE held SET wanted_bundle=?", {0}, 32},
        {"UPDATE held SET after=?", {0}, 3},
    };
    struct held row = some_row(4);
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        struct tree_path dir = tree_new();
        struct errmsg em = {0};
        open_joined(&dir);
        tree_must(keep_row(&row, NULL) == 0, "row");
        struct query q = query_sql(store.db, changes[i].sql);
        if (strchr(changes[i].sql, '?'))
            query_put_blob(&q, span_of(changes[i].value, changes[i].len));
        CU_ASSERT_EQUAL(query_run_sql(&q), 0);
        CU_ASSERT_EQUAL(reopen(&dir, &em), ERR_DAMAGED);
        CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "join again with a new token"));
        tree_free(&dir);
    }
}

static const struct suite_test tests[] = {
    TEST(test_folder_without_database_is_not_found),
    TEST(test_new_database_is_private_and_not_joined),
    TEST(test_key_is_the_same_after_every_start),
    TEST(test_everything_from_the_join_is_there_after_a_restart),
    TEST(test_every_kind_of_store_survives_a_restart),
    TEST(test_time_is_never_before_the_program_was_written),
    TEST(test_certificate_tells_the_time_as_well),
    TEST(test_atlas_replaces_cells_but_for_those_of_the_join),
    TEST(test_being_shut_out_outlives_a_restart_and_ends),
    TEST(test_rows_are_kept_by_rising_number_and_go),
    TEST(test_what_a_newer_agent_added_is_passed_over),
    TEST(test_a_steps_stores_are_kept_all_or_none),
    TEST(test_full_disk_changes_nothing),
    TEST(test_others_can_look_while_the_agent_runs),
    TEST(test_damaged_database_says_what_to_do),
    TEST(test_truncated_database_is_refused),
    TEST(test_flipped_byte_is_refused_or_does_no_harm),
    TEST(test_stored_message_with_a_flipped_byte_is_found),
    TEST(test_value_beyond_its_limits_is_called_damaged),
};

SUITE_MAIN("agent store", tests)
