/* What a kit holds, and when it changes. */
#include "manager/kit.h"

#include "manager/broker_config.h"
#include "manager/succession.h"
#include "test/samples.h"
#include "test/suite.h"
#include "test/tree.h"

/* The beginning of a server's period, in 2030. */
#define NOW_S (366 * (uint64_t)CERTIFICATES_SERVER_PERIOD_S)

static const char *const HOSTS[] = {"broker.example.org", "192.0.2.7"};

/* A fleet whose manager has its database open, and the folder for a kit. */
struct bench {
    struct tree_path dir, out;
    struct ledger *ledger;
    struct kit_options options;
};

static struct bench *bench_new(void)
{
    struct bench *b = calloc(1, sizeof *b);
    struct fleet_keys keys = {.signing = sample_secret(1), .authority = sample_secret(129)};
    tree_must(b != NULL, "bench");
    b->dir = tree_new();
    b->out = tree_join(&b->dir, "kits/broker");
    b->ledger = ledger_open(b->dir.text, &keys, NULL);
    tree_must(b->ledger != NULL, "ledger");
    b->options = (struct kit_options){.dir = b->dir.text,
                                      .out = b->out.text,
                                      .hosts = HOSTS,
                                      .host_count = 2,
                                      .port = 8883,
                                      .user = "mosquitto"};
    return b;
}

static void bench_free(struct bench *b)
{
    ledger_close(b->ledger);
    tree_free(&b->dir);
    free(b);
}

static int write_at(const struct bench *b, uint64_t now_s)
{
    struct errmsg em = {.text = ""};
    int rv = kit_write(&b->options, now_s, &em);
    CU_ASSERT_TRUE(rv >= 0);
    return rv;
}

static const char *refusal(const struct bench *b)
{
    static struct errmsg em;
    CU_ASSERT_TRUE(kit_write(&b->options, NOW_S, &em) < 0);
    return em.text;
}

/* A file of the kit, as a text. */
static const char *file(const struct bench *b, const char *name)
{
    static char text[65536];
    struct buffer out = buffer_on(text, sizeof text - 1);
    struct tree_path path = tree_join(&b->out, name);
    tree_must(file_read(path.text, &out, NULL) == 0, path.text);
    text[out.len] = '\0';
    return text;
}

static bool has(const struct bench *b, const char *name, const char *words)
{
    return strstr(file(b, name), words) != NULL;
}

static void add_agent(const struct bench *b, uint32_t number, uint8_t flags)
{
    struct agent_row row = {.joined_s = NOW_S, .flags = flags};
    sample_fill(row.id.bytes, KEY_ID_LEN, number);
    CU_ASSERT_EQUAL(ledger_agent(b->ledger, number, &row, NULL, NULL, 0, NULL), 0);
    CU_ASSERT_EQUAL(ledger_commit(b->ledger, NULL), 0);
}

/* ---- tests ---- */

static void test_configuration_is_a_cells_without_the_managers_socket(void)
{
    char cell_text[BROKER_CONFIG_MAX];
    struct buffer cell = buffer_on(cell_text, sizeof cell_text);
    struct bench *b = bench_new();
    struct broker_options own = {.kind = BROKER_CELL, .host = "192.0.2.7", .port = 8883};
    b->options.listen = "192.0.2.7";
    CU_ASSERT_EQUAL(write_at(b, NOW_S), KIT_START_ANEW);
    CU_ASSERT_EQUAL(broker_config_write(&own, "mosquitto", &cell), 0);
    const char *kit = file(b, BROKER_CONFIG_FILE);
    size_t lines = 0, others = 0;
    cell_text[cell.len] = '\0';
    for (char *line = strtok(cell_text, "\n"); line; line = strtok(NULL, "\n")) {
        lines++;
        others += strstr(kit, line) == NULL;
    }
    CU_ASSERT_TRUE(lines > 30);
    CU_ASSERT_EQUAL(others, 3); /* where the log goes, and the socket, where nobody has a name */
    CU_ASSERT_PTR_NOT_NULL(strstr(kit, "log_dest stderr\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(kit, "listener 8883 192.0.2.7\n"));
    CU_ASSERT_PTR_NULL(strstr(kit, "listener 0"));
    CU_ASSERT_EQUAL(strstr(strstr(kit, "allow_anonymous") + 1, "allow_anonymous"), NULL);
    bench_free(b);
}

static void test_it_listens_everywhere_unless_it_is_told_where(void)
{
    struct bench *b = bench_new();
    write_at(b, NOW_S);
    CU_ASSERT_TRUE(has(b, BROKER_CONFIG_FILE, "listener 8883\n"));
    b->options.port = 9999;
    CU_ASSERT_EQUAL(write_at(b, NOW_S), KIT_START_ANEW);
    CU_ASSERT_TRUE(has(b, BROKER_CONFIG_FILE, "listener 9999\n"));
    bench_free(b);
}

static void test_the_manager_may_do_there_what_it_must_and_agents_what_they_may_everywhere(void)
{
    char room[2048];
    struct buffer own = buffer_on(room, sizeof room - 1);
    struct bench *b = bench_new();
    write_at(b, NOW_S);
    CU_ASSERT_EQUAL(broker_config_acl(BROKER_CELL, NULL, 0, &own), 0);
    room[own.len] = '\0';
    const char *acl = file(b, BROKER_ACL_FILE);
    const char *of_nobody = strstr(room, "topic "); /* for who comes by the socket */
    CU_ASSERT_PTR_NOT_NULL_FATAL(of_nobody);
    size_t agents = (size_t)(of_nobody - room);
    CU_ASSERT_EQUAL(strncmp(acl, room, agents), 0);
    CU_ASSERT_STRING_EQUAL(acl + agents, "user dunlin-manager\ntopic readwrite dl1/#\n");
    CU_ASSERT_PTR_NULL(strstr(room, "dunlin-manager"));
    bench_free(b);
}

static void test_files_are_for_their_owner_alone(void)
{
    static const char *const names[] = {BROKER_CONFIG_FILE,      BROKER_CA_FILE,
                                        BROKER_CERTIFICATE_FILE, BROKER_KEY_FILE,
                                        BROKER_CRL_FILE,         BROKER_ACL_FILE};
    struct bench *b = bench_new();
    write_at(b, NOW_S);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct stat st;
        CU_ASSERT_EQUAL(stat(tree_join(&b->out, names[i]).text, &st), 0);
        CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
    }
    CU_ASSERT_TRUE(has(b, BROKER_KEY_FILE, "BEGIN EC PRIVATE KEY"));
    CU_ASSERT_TRUE(has(b, BROKER_CRL_FILE, "BEGIN X509 CRL"));
    bench_free(b);
}

static void test_it_changes_with_certificates_and_with_who_is_blocked_and_else_never(void)
{
    struct bench *b = bench_new();
    add_agent(b, 1, 0);
    add_agent(b, 2, 0);
    CU_ASSERT_EQUAL(write_at(b, NOW_S), KIT_START_ANEW);
    CU_ASSERT_EQUAL(write_at(b, NOW_S + 59 * CERTIFICATES_DAY_S), KIT_SAME);
    add_agent(b, 2, AGENT_QUARANTINED);
    CU_ASSERT_EQUAL(write_at(b, NOW_S), KIT_READ_AGAIN);
    CU_ASSERT_TRUE(has(b, BROKER_ACL_FILE, "user 02030405"));
    CU_ASSERT_FALSE(has(b, BROKER_ACL_FILE, "user 01020304"));
    CU_ASSERT_EQUAL(write_at(b, NOW_S), KIT_SAME);
    add_agent(b, 2, 0);
    CU_ASSERT_EQUAL(write_at(b, NOW_S), KIT_READ_AGAIN);
    CU_ASSERT_FALSE(has(b, BROKER_ACL_FILE, "user 02030405"));
    CU_ASSERT_EQUAL(write_at(b, NOW_S + 60 * CERTIFICATES_DAY_S), KIT_READ_AGAIN);
    bench_free(b);
}

static void test_who_was_replaced_and_who_was_revoked_are_both_kept_out(void)
{
    struct bench *b = bench_new();
    struct replaced_row replaced = {.number = 1, .joined_s = (uint32_t)NOW_S};
    struct blocked_agent list[4];
    struct errmsg em;
    size_t count = 0;
    sample_fill(replaced.id.bytes, KEY_ID_LEN, 0x77);
    CU_ASSERT_EQUAL(ledger_replaced(b->ledger, 0, &replaced, NULL), 0);
    add_agent(b, 1, AGENT_REVOKED | AGENT_REMOVED);
    add_agent(b, 2, AGENT_REMOVED);
    add_agent(b, 3, AGENT_QUARANTINED);
    struct ledger *l = ledger_open_to_read(b->dir.text, &em);
    CU_ASSERT_PTR_NOT_NULL_FATAL(l);
    CU_ASSERT_EQUAL(ledger_blocked(l, list, 4, &count, &em), 0);
    CU_ASSERT_EQUAL_FATAL(count, 3);
    CU_ASSERT_EQUAL(list[0].id.bytes[0], 0x77);
    CU_ASSERT_EQUAL(list[1].id.bytes[0], 1);
    CU_ASSERT_EQUAL(list[2].id.bytes[0], 3);
    CU_ASSERT_EQUAL(list[2].joined_s, NOW_S);
    CU_ASSERT_EQUAL(ledger_blocked(l, list, 2, &count, &em), 0);
    CU_ASSERT_EQUAL(count, 2);
    ledger_close(l);
    bench_free(b);
}

static void test_what_cannot_be_written_into_a_kit_is_named(void)
{
    static const char *const bad[] = {"", "a b", "x\ny", "host/", "-x", "#"};
    const char *host;
    struct bench *b = bench_new();
    b->options.hosts = &host;
    b->options.host_count = 1;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        host = bad[i];
        CU_ASSERT_PTR_NOT_NULL(strstr(refusal(b), "--host"));
    }
    host = "broker";
    b->options.user = "root\nallow_anonymous true";
    CU_ASSERT_PTR_NOT_NULL(strstr(refusal(b), "--user"));
    b->options.user = "root";
    b->options.listen = "127.0.0.1 x";
    CU_ASSERT_PTR_NOT_NULL(strstr(refusal(b), "--listen"));
    b->options.listen = NULL;
    b->options.port = 0;
    CU_ASSERT_PTR_NOT_NULL(strstr(refusal(b), "port"));
    b->options.port = 8883;
    b->options.dir = "/nowhere";
    CU_ASSERT_PTR_NOT_NULL(strstr(refusal(b), "/nowhere/manager.db: there is no"));
    CU_ASSERT_NOT_EQUAL(access(b->out.text, F_OK), 0);
    bench_free(b);
}

/* Mosquitto would let stay whom the stolen authority's certificates have let in. */
static void test_after_a_theft_of_the_authority_the_broker_has_to_start_anew(void)
{
    struct bench *b = bench_new();
    struct fleet_keys keys = *ledger_keys(b->ledger);
    CU_ASSERT_EQUAL(write_at(b, NOW_S), KIT_START_ANEW);
    for (int stolen = 0; stolen < 2; stolen++) {
        tree_must(keyring_draw_heir(&keys, FLEET_AUTHORITY, stolen) == 0 &&
                      succession_take(&keys, NOW_S) == 0 &&
                      ledger_set_keys(b->ledger, &keys, NULL) == 0 &&
                      ledger_commit(b->ledger, NULL) == 0,
                  "succession");
        CU_ASSERT_EQUAL(write_at(b, NOW_S), stolen ? KIT_START_ANEW : KIT_READ_AGAIN);
        CU_ASSERT_EQUAL(write_at(b, NOW_S), KIT_SAME);
    }
    bench_free(b);
}

static void test_the_authoritys_next_certificate_makes_nobody_start_anew(void)
{
    struct bench *b = bench_new();
    CU_ASSERT_EQUAL(write_at(b, NOW_S), KIT_START_ANEW);
    CU_ASSERT_EQUAL(write_at(b, NOW_S + CERTIFICATES_AUTHORITY_PERIOD_S), KIT_READ_AGAIN);
    bench_free(b);
}

static const struct suite_test tests[] = {
    TEST(test_configuration_is_a_cells_without_the_managers_socket),
    TEST(test_it_listens_everywhere_unless_it_is_told_where),
    TEST(test_the_manager_may_do_there_what_it_must_and_agents_what_they_may_everywhere),
    TEST(test_files_are_for_their_owner_alone),
    TEST(test_it_changes_with_certificates_and_with_who_is_blocked_and_else_never),
    TEST(test_who_was_replaced_and_who_was_revoked_are_both_kept_out),
    TEST(test_what_cannot_be_written_into_a_kit_is_named),
    TEST(test_the_authoritys_next_certificate_makes_nobody_start_anew),
    TEST(test_after_a_theft_of_the_authority_the_broker_has_to_start_anew),
};

SUITE_MAIN("kit", tests)
