/* Cells of our own with TLS, and agents that connect to them with certificates of the fleet. */
#include "manager/cells.h"

#include "base/clock.h"
#include "base/log.h"
#include "manager/broker_config.h"
#include "manager/core/manager.h"
#include "manager/succession.h"
#include "test/samples.h"
#include "test/suite.h"
#include "test/tree.h"

#include <poll.h>

/* How long anything may take before the test has failed. */
#define PATIENCE_MS 60000
#define AGENTS 3
#define CELLS 2
#define AGENT_SEED 33

struct bench;

struct agent {
    struct bench *bench;
    struct secret_key secret;
    struct key_id id;
    uint8_t der[CERTIFICATE_MAX];
    struct tls_memory memory;
    struct mqtt_tls tls;
    struct mqtt *mqtt;
    unsigned ups, downs, messages;
    char reason[200];
};

struct bench {
    struct tree_path dir;
    struct fleet_keys fleet;
    struct keyring keys;
    struct key_id authority;
    struct ledger *ledger;
    struct daemon_options options;
    struct cells *cells;
    uint64_t now_s;
    struct agent agents[AGENTS];
    unsigned messages; /* that the manager heard */
};

/* ---- cells ---- */

static void on_message(void *context, size_t cell, const char *topic, struct span payload)
{
    struct bench *b = context;
    (void)cell, (void)topic, (void)payload;
    b->messages++;
}

static int on_next(void *context, size_t cell, enum cell_lane lane, uint64_t after, uint64_t behind,
                   struct cell_publication *out)
{
    (void)context, (void)cell, (void)lane, (void)after, (void)behind, (void)out;
    return 0;
}

static void on_pause(void *context)
{
    (void)context;
}

static void open_cells(struct bench *b, const struct blocked_agent *blocked, size_t count)
{
    struct errmsg em = {.text = ""};
    struct cells_handler handler = {
        .context = b, .message = on_message, .next = on_next, .pause = on_pause};
    struct cells_options options = {.dir = b->dir.text,
                                    .daemon = &b->options,
                                    .keys = &b->keys,
                                    .lineage = 1,
                                    .epoch = 1,
                                    .now_s = b->now_s,
                                    .blocked = blocked,
                                    .blocked_count = count};
    b->cells = cells_open(&options, b->ledger, &handler, &em);
    tree_must(b->cells != NULL, em.text);
}

static void make_agent(struct bench *b, struct agent *a, unsigned seed);

static struct bench *bench_new(void)
{
    struct bench *b = calloc(1, sizeof *b);
    tree_must(b != NULL, "bench");
    log_threshold(LOG_ERROR);
    b->fleet = (struct fleet_keys){.signing = sample_secret(1), .authority = sample_secret(129)};
    b->dir = tree_new();
    b->now_s = clock_wall_s();
    b->options = (struct daemon_options){.host = "127.0.0.1", .port = 0, .cells = CELLS};
    b->ledger = ledger_open(b->dir.text, &b->fleet, NULL);
    tree_must(b->ledger && keyring_init(&b->keys, &b->fleet) == 0, "ledger");
    b->authority = key_id_of(&b->keys.authority_public);
    open_cells(b, NULL, 0);
    for (unsigned i = 0; i < AGENTS; i++)
        make_agent(b, &b->agents[i], AGENT_SEED + i);
    return b;
}

static void bench_free(struct bench *b)
{
    for (unsigned i = 0; i < AGENTS; i++)
        mqtt_free(b->agents[i].mqtt);
    cells_close(b->cells);
    ledger_close(b->ledger);
    tree_free(&b->dir);
    free(b);
}

/* One turn of a loop as the daemon's, with the agents in it. */
static void turn(struct bench *b)
{
    enum { OF_CELLS = CELLS * CELLS_FDS_EACH };
    struct pollfd fds[OF_CELLS + AGENTS * MQTT_FDS];
    cells_watch(b->cells, fds);
    for (unsigned i = 0; i < AGENTS; i++)
        mqtt_watch(b->agents[i].mqtt, fds + OF_CELLS + i * MQTT_FDS);
    poll(fds, sizeof fds / sizeof fds[0], 20);
    cells_service(b->cells, fds, true, clock_monotonic_ms());
    for (unsigned i = 0; i < AGENTS; i++)
        mqtt_service(b->agents[i].mqtt, fds + OF_CELLS + i * MQTT_FDS);
}

#define UNTIL(condition)                                                                           \
    do {                                                                                           \
        uint64_t until_ms = clock_monotonic_ms() + PATIENCE_MS;                                    \
        while (!(condition) && clock_monotonic_ms() < until_ms)                                    \
            turn(b);                                                                               \
        CU_ASSERT_TRUE(condition);                                                                 \
    } while (0)

static bool all_up(const struct bench *b)
{
    for (size_t i = 0; i < cells_count(b->cells); i++)
        if (cells_info(b->cells, i).state != CELL_UP)
            return false;
    return true;
}

/* ---- agents ---- */

static void agent_up(void *context, bool session_present)
{
    struct agent *a = context;
    (void)session_present;
    a->ups++;
}

static void agent_down(void *context, const char *reason)
{
    struct agent *a = context;
    a->downs++;
    snprintf(a->reason, sizeof a->reason, "%s", reason);
}

static void agent_message(void *context, const char *topic, struct span payload, bool retained)
{
    struct agent *a = context;
    (void)topic, (void)payload, (void)retained;
    a->messages++;
}

/* By the authority of now. */
static void certify(struct bench *b, struct agent *a, unsigned seed)
{
    struct buffer der = buffer_on(a->der, sizeof a->der);
    struct certificate c = {.use = CERTIFICATE_CLIENT,
                            .not_before_s = b->now_s - CERTIFICATE_SLACK_S,
                            .not_after_s = b->now_s + CERTIFICATE_LIFE_S,
                            .key = sample_public(seed)};
    a->secret = sample_secret(seed);
    a->id = key_id_of(&c.key);
    c.serial = certificate_agent_serial(&a->id, 0);
    snprintf(c.name, sizeof c.name, "%s", key_id_hex(&a->id).text);
    CU_ASSERT_EQUAL_FATAL(keyring_certificate(&b->keys, &c, &der), 0);
    a->tls.tls.certificate = span_buffer(&der);
}

static void make_agent(struct bench *b, struct agent *a, unsigned seed)
{
    struct mqtt_handler handler = {
        .context = a, .up = agent_up, .down = agent_down, .message = agent_message};
    a->bench = b;
    a->tls = (struct mqtt_tls){.tls = {.authorities = &b->authority,
                                       .authority_count = 1,
                                       .key = &a->secret,
                                       .now_s = b->now_s,
                                       .memory = &a->memory},
                               .folder = b->dir.text};
    certify(b, a, seed);
    struct key_id_hex name = key_id_hex(&a->id);
    struct mqtt_options options = {.client_id = name.text, .keepalive_s = 60, .tls = &a->tls};
    a->mqtt = mqtt_new(&options, &handler);
    tree_must(a->mqtt != NULL, "agent");
}

static void connect_to(struct agent *a, size_t cell)
{
    struct errmsg em = {.text = ""};
    int rv = mqtt_connect(a->mqtt, cells_url(a->bench->cells, cell), &em);
    tree_must(rv == 0, em.text);
}

static void all_agents_up(struct bench *b)
{
    for (unsigned i = 0; i < AGENTS; i++)
        connect_to(&b->agents[i], 0);
    UNTIL(all_up(b) && b->agents[0].ups == 1 && b->agents[1].ups == 1 && b->agents[2].ups == 1);
}

/* Mosquitto looks for its signals ten times a second: who is quicker slips in once more, and is
 * kicked once more. */
static void stays_out(struct bench *b, struct agent *a, size_t cell)
{
    for (int tries = 0; tries < 2; tries++) {
        unsigned downs = a->downs;
        connect_to(a, cell);
        UNTIL(a->downs > downs);
    }
    CU_ASSERT_PTR_NOT_NULL(strstr(a->reason, "refuse"));
}

/* Mosquitto looks for its signals ten times a second. */
static void comes_in(struct bench *b, struct agent *a)
{
    unsigned ups = a->ups;
    for (int tries = 0; tries < 50 && a->ups == ups; tries++) {
        unsigned downs = a->downs;
        connect_to(a, 0);
        UNTIL(a->ups > ups || a->downs > downs);
    }
    CU_ASSERT_EQUAL(a->ups, ups + 1);
}

/* The manager is greeted a moment before its subscription holds: what is said in it is lost, so it
 * is said again, as a heartbeat is. */
static bool is_heard(struct bench *b, struct agent *a, const char *topic, unsigned before,
                     uint64_t *again_ms)
{
    if (b->messages == before && clock_monotonic_ms() >= *again_ms) {
        mqtt_publish(a->mqtt, topic, span_text("x"), 1, false);
        *again_ms = clock_monotonic_ms() + 500;
    }
    return b->messages > before;
}

/* Both ways: what it says arrives, what is said to it, too. */
static void talks(struct bench *b, struct agent *a)
{
    struct topic up = topic_make(&(struct topic_name){.kind = TOPIC_UP, .agent = a->id});
    struct topic head = topic_make(&(struct topic_name){.kind = TOPIC_AGENT_HEAD, .agent = a->id});
    unsigned before = b->messages, heard = a->messages;
    const char *topics[] = {head.text};
    uint64_t again_ms = 0;
    mqtt_subscribe(a->mqtt, topics, 1, 1);
    UNTIL(is_heard(b, a, up.text, before, &again_ms));
    cells_send(b->cells, 0, head.text, span_text("y"));
    UNTIL(a->messages > heard);
}

static struct blocked_agent blocked(const struct bench *b, unsigned i)
{
    return (struct blocked_agent){.id = b->agents[i].id, .joined_s = b->now_s};
}

/* ---- tests ---- */

static void test_agents_connect_with_certificates_and_talk(void)
{
    struct bench *b = bench_new();
    CU_ASSERT_EQUAL(strncmp(cells_url(b->cells, 0), "mqtts://127.0.0.1:", 18), 0);
    all_agents_up(b);
    talks(b, &b->agents[0]);
    bench_free(b);
}

static void test_blocked_agent_is_cut_off_and_others_are_not(void)
{
    struct bench *b = bench_new();
    all_agents_up(b);
    struct agent *a = &b->agents[1];
    struct blocked_agent list[] = {blocked(b, 1)};
    CU_ASSERT_EQUAL(cells_block(b->cells, list, 1, b->now_s, NULL), 0);
    UNTIL(a->downs == 1);
    for (size_t cell = 0; cell < CELLS; cell++)
        stays_out(b, a, cell);
    CU_ASSERT_EQUAL(b->agents[0].downs + b->agents[2].downs, 0);
    talks(b, &b->agents[0]);
    bench_free(b);
}

/* Whatever is said there in an agent's name, that agent has said. */
static void test_cells_of_our_own_vouch_for_what_agents_say_over_tls(void)
{
    struct bench *b = bench_new();
    CU_ASSERT_FALSE(cells_vouch(b->cells, 0));
    UNTIL(cells_vouch(b->cells, 0) && cells_vouch(b->cells, 1));
    CU_ASSERT_TRUE(cells_are_own(b->cells, 0) && cells_are_own(b->cells, 1));
    b->options.plain = true;
    CU_ASSERT_FALSE(cells_vouch(b->cells, 0));
    bench_free(b);
}

static void test_unblocked_agent_comes_in_again(void)
{
    struct bench *b = bench_new();
    all_agents_up(b);
    struct agent *a = &b->agents[1];
    struct blocked_agent list[] = {blocked(b, 1), blocked(b, 2)};
    CU_ASSERT_EQUAL(cells_block(b->cells, list, 2, b->now_s, NULL), 0);
    UNTIL(a->downs == 1 && b->agents[2].downs == 1);
    CU_ASSERT_EQUAL(cells_block(b->cells, list + 1, 1, b->now_s, NULL), 0);
    comes_in(b, a);
    talks(b, a);
    stays_out(b, &b->agents[2], 0);
    bench_free(b);
}

/* A folder stands where the new access list is to be written. */
static void test_block_that_fails_is_done_by_the_next_try(void)
{
    struct bench *b = bench_new();
    all_agents_up(b);
    struct tree_path way = tree_join(&b->dir, "cells/1/" BROKER_ACL_FILE ".new/in the way");
    struct blocked_agent list[] = {blocked(b, 1)};
    struct errmsg em = {.text = ""};
    tree_must(file_make_folder(way.text, 0700, NULL) == 0, way.text);
    CU_ASSERT_TRUE(cells_block(b->cells, list, 1, b->now_s, &em) < 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "cells/1/acl"));
    way = tree_join(&b->dir, "cells/1/" BROKER_ACL_FILE ".new");
    tree_must(file_remove(way.text, NULL) == 0, way.text);
    CU_ASSERT_EQUAL(cells_block(b->cells, list, 1, b->now_s, &em), 0);
    UNTIL(b->agents[1].downs == 1);
    stays_out(b, &b->agents[1], 1);
    bench_free(b);
}

static bool shows(const struct bench *b, uint64_t now_s)
{
    static char text[2 * CERTIFICATE_PEM_MAX], expected[CERTIFICATE_PEM_MAX];
    uint8_t der_room[CERTIFICATE_MAX];
    struct buffer there = buffer_on(text, sizeof text), pem = buffer_on(expected, sizeof expected);
    struct buffer der = buffer_on(der_room, sizeof der_room);
    const char *hosts[] = {"127.0.0.1", "localhost"};
    struct site site = {.name = "cell 0", .hosts = hosts, .host_count = 2};
    struct tree_path path = tree_join(&b->dir, "cells/0/" BROKER_CERTIFICATE_FILE);
    struct secret_key key;
    CU_ASSERT_EQUAL(certificates_server(&b->keys, &site, now_s, &key, &der), 0);
    CU_ASSERT_EQUAL(certificate_pem(span_buffer(&der), &pem), 0);
    CU_ASSERT_EQUAL(file_read(path.text, &there, NULL), 0);
    return there.len > pem.len && memcmp(there.data, pem.data, pem.len) == 0;
}

static void test_renewed_certificates_disturb_nobody(void)
{
    struct bench *b = bench_new();
    all_agents_up(b);
    pid_t pid = cells_info(b->cells, 0).pid;
    uint64_t later_s = b->now_s + CERTIFICATES_SERVER_PERIOD_S;
    cells_renew(b->cells, b->now_s);
    CU_ASSERT_TRUE(shows(b, b->now_s));
    cells_renew(b->cells, later_s);
    CU_ASSERT_TRUE(shows(b, later_s));
    for (unsigned i = 0; i < AGENTS; i++)
        talks(b, &b->agents[i]);
    CU_ASSERT_EQUAL(cells_info(b->cells, 0).pid, pid);
    CU_ASSERT_EQUAL(b->agents[0].downs + b->agents[1].downs + b->agents[2].downs, 0);
    /* Whoever comes now is shown the new one: it would be too old for this clock otherwise. */
    struct agent *a = &b->agents[0];
    mqtt_disconnect(a->mqtt);
    memset(&a->memory, 0, sizeof a->memory);
    a->tls.tls.now_s = b->now_s + CERTIFICATES_SERVER_LIFE_S + CERTIFICATES_DAY_S;
    comes_in(b, a);
    bench_free(b);
}

/* As after a crash of the manager between its commit and its telling the brokers. */
static void test_adopted_cells_learn_what_the_last_manager_could_not_tell(void)
{
    struct bench *b = bench_new();
    all_agents_up(b);
    struct blocked_agent list[] = {blocked(b, 1)};
    struct cells *before = b->cells; /* its brokers are never told to end */
    pid_t pid = cells_info(before, 0).pid;
    open_cells(b, list, 1);
    CU_ASSERT_EQUAL(cells_info(b->cells, 0).pid, pid);
    UNTIL(b->agents[1].downs == 1);
    stays_out(b, &b->agents[1], 0);
    CU_ASSERT_EQUAL(b->agents[0].downs, 0);
    cells_close(before);
    bench_free(b);
}

/* ---- spread over cells ---- */

static void open_again(struct bench *b, unsigned cells)
{
    cells_close(b->cells);
    b->options.cells = cells;
    open_cells(b, NULL, 0);
}

static unsigned serving(const struct bench *b, unsigned agent)
{
    unsigned count = 0;
    for (size_t i = 0; i < cells_count(b->cells); i++)
        count += cells_serve(b->cells, i, &b->agents[agent].id);
    return count;
}

static void test_what_is_an_agents_own_stands_on_few_cells(void)
{
    struct bench *b = bench_new();
    const char *urls[ATLAS_HOMES];
    b->options.plain = true;
    CU_ASSERT_EQUAL(cells_order(b->cells, &b->agents[0].id, urls), CELLS);
    CU_ASSERT_EQUAL(cells_atlas(b->cells).number, 1);
    CU_ASSERT_FALSE(cells_atlas(b->cells).moving);
    open_again(b, 6);
    CU_ASSERT_EQUAL(cells_atlas(b->cells).number, 2);
    CU_ASSERT_TRUE(cells_atlas(b->cells).moving);
    for (unsigned i = 0; i < AGENTS; i++)
        CU_ASSERT_TRUE(serving(b, i) >= ATLAS_HOMES); /* and where they were */
    CU_ASSERT_EQUAL(cells_tend(b->cells, b->ledger, 1, b->now_s + 86400, NULL), 0);
    CU_ASSERT_FALSE(cells_atlas(b->cells).moving);
    for (unsigned i = 0; i < AGENTS; i++) {
        CU_ASSERT_EQUAL(serving(b, i), ATLAS_HOMES);
        CU_ASSERT_EQUAL(cells_order(b->cells, &b->agents[i].id, urls), ATLAS_HOMES);
    }
    open_again(b, 6);
    CU_ASSERT_EQUAL(cells_atlas(b->cells).number, 2);
    bench_free(b);
}

/* ---- another authority ---- */

static void follow(struct bench *b, bool stolen)
{
    tree_must(keyring_draw_heir(&b->fleet, FLEET_AUTHORITY, stolen) == 0 &&
                  succession_take(&b->fleet, b->now_s) == 0 &&
                  keyring_init(&b->keys, &b->fleet) == 0,
              "succession");
}

/* With an empty memory: nothing is resumed. */
static void leaves(struct agent *a)
{
    mqtt_disconnect(a->mqtt);
    memset(&a->memory, 0, sizeof a->memory);
}

static void test_planned_change_of_authority_disturbs_nobody(void)
{
    struct bench *b = bench_new();
    all_agents_up(b);
    pid_t pid = cells_info(b->cells, 0).pid;
    follow(b, false);
    cells_renew(b->cells, b->now_s);
    for (unsigned i = 0; i < AGENTS; i++)
        talks(b, &b->agents[i]);
    /* Who knows only the old authority gets in by an old certificate … */
    leaves(&b->agents[0]);
    comes_in(b, &b->agents[0]);
    /* … and by a new one, … */
    leaves(&b->agents[1]);
    certify(b, &b->agents[1], AGENT_SEED + 1);
    comes_in(b, &b->agents[1]);
    /* … as does who has learned of the new one. Both kinds can be revoked. */
    struct key_id new = b->keys.authority_id;
    b->agents[2].tls.tls.authorities = &new;
    leaves(&b->agents[2]);
    comes_in(b, &b->agents[2]);
    CU_ASSERT_EQUAL(cells_info(b->cells, 0).pid, pid);
    struct blocked_agent list[] = {blocked(b, 0), blocked(b, 1)};
    unsigned downs[] = {b->agents[0].downs, b->agents[1].downs};
    CU_ASSERT_EQUAL(cells_block(b->cells, list, 2, b->now_s, NULL), 0);
    UNTIL(b->agents[0].downs > downs[0] && b->agents[1].downs > downs[1]);
    for (unsigned i = 0; i < 2; i++) {
        stays_out(b, &b->agents[i], 0);
        CU_ASSERT_PTR_NOT_NULL(strstr(b->agents[i].reason, "revoked"));
    }
    talks(b, &b->agents[2]);
    bench_free(b);
}

static void is_cut_and_kept_out(struct bench *b, struct agent *a)
{
    UNTIL(a->downs == 1);
    UNTIL(all_up(b));
    memset(&a->memory, 0, sizeof a->memory);
    stays_out(b, a, 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(a->reason, "it is by another fleet"));
}

static void test_theft_of_the_authority_ends_all_that_it_let_in(void)
{
    struct bench *b = bench_new();
    all_agents_up(b);
    follow(b, true);
    cells_renew(b->cells, b->now_s);
    for (unsigned i = 0; i < AGENTS; i++)
        is_cut_and_kept_out(b, &b->agents[i]);
    certify(b, &b->agents[0], AGENT_SEED);
    comes_in(b, &b->agents[0]);
    talks(b, &b->agents[0]);
    bench_free(b);
}

static void test_elders_certificates_let_in_until_its_time_is_over(void)
{
    struct bench *b = bench_new();
    all_agents_up(b);
    follow(b, false);
    cells_renew(b->cells, b->now_s);
    talks(b, &b->agents[0]);
    succession_close(&b->fleet, &b->fleet.elders[0].id);
    CU_ASSERT_EQUAL(keyring_init(&b->keys, &b->fleet), 0);
    cells_renew(b->cells, b->now_s);
    is_cut_and_kept_out(b, &b->agents[0]);
    certify(b, &b->agents[0], AGENT_SEED);
    comes_in(b, &b->agents[0]);
    bench_free(b);
}

/* The manager was killed between its commit and its telling the brokers. */
static void test_adopted_cells_cut_off_whom_the_stolen_authority_let_in(void)
{
    struct bench *b = bench_new();
    all_agents_up(b);
    struct cells *before = b->cells;
    follow(b, true);
    open_cells(b, NULL, 0);
    for (unsigned i = 0; i < AGENTS; i++)
        is_cut_and_kept_out(b, &b->agents[i]);
    cells_close(before);
    bench_free(b);
}

static const struct suite_test tests[] = {
    TEST(test_agents_connect_with_certificates_and_talk),
    TEST(test_blocked_agent_is_cut_off_and_others_are_not),
    TEST(test_cells_of_our_own_vouch_for_what_agents_say_over_tls),
    TEST(test_unblocked_agent_comes_in_again),
    TEST(test_block_that_fails_is_done_by_the_next_try),
    TEST(test_renewed_certificates_disturb_nobody),
    TEST(test_adopted_cells_learn_what_the_last_manager_could_not_tell),
    TEST(test_what_is_an_agents_own_stands_on_few_cells),
    TEST(test_planned_change_of_authority_disturbs_nobody),
    TEST(test_theft_of_the_authority_ends_all_that_it_let_in),
    TEST(test_elders_certificates_let_in_until_its_time_is_over),
    TEST(test_adopted_cells_cut_off_whom_the_stolen_authority_let_in),
};

SUITE_MAIN("cells", tests)
