/* Kicks on real brokers: one without lists, where whoever is kicked may come back, and one that
 * reads them when somebody tells it. */
#include "manager/kicker.h"

#include "base/log.h"
#include "test/mqtt_fixture.h"
#include "test/samples.h"
#include "test/tree.h"

#define AGENTS 2

struct bench {
    struct real_broker broker;
    struct kicker *kicker;
    struct blocked_agent agents[AGENTS];
    struct client *clients[AGENTS];
    bool blocked[AGENTS];
};

static bool is_blocked(void *context, const struct key_id *agent)
{
    const struct bench *b = context;
    for (int i = 0; i < AGENTS; i++)
        if (key_id_equal(agent, &b->agents[i].id))
            return b->blocked[i];
    return false;
}

static struct bench *bench_new(void)
{
    struct bench *b = calloc(1, sizeof *b);
    CU_ASSERT_PTR_NOT_NULL_FATAL(b);
    log_threshold(LOG_ERROR);
    ahead_ms = 0;
    b->broker = real_broker_start("allow_anonymous true");
    b->kicker = kicker_new(
        &(struct kicker_options){.url = b->broker.url, .context = b, .blocked = is_blocked});
    for (int i = 0; i < AGENTS; i++) {
        sample_fill(b->agents[i].id.bytes, KEY_ID_LEN, 1 + (unsigned)i);
        struct key_id_hex id = key_id_hex(&b->agents[i].id);
        struct mqtt_options options = {.client_id = id.text, .keepalive_s = 60};
        b->clients[i] = client_up(i, &b->broker, &options);
        b->blocked[i] = true;
    }
    return b;
}

static void bench_free(struct bench *b)
{
    kicker_free(b->kicker);
    end(&b->broker);
    free(b);
}

static void kick_turn(struct bench *b)
{
    struct pollfd fds[MQTT_FDS];
    kicker_watch(b->kicker, fds);
    poll(fds, MQTT_FDS, 5);
    kicker_service(b->kicker, fds, clock_monotonic_ms());
    turn();
}

#define UNTIL(condition)                                                                           \
    do {                                                                                           \
        uint64_t until_ms = real_ms() + PATIENCE_MS;                                               \
        while (!(condition) && real_ms() < until_ms)                                               \
            kick_turn(b);                                                                          \
        CU_ASSERT_TRUE(condition);                                                                 \
    } while (0)

static void add(struct bench *b, int agent)
{
    CU_ASSERT_EQUAL(kicker_add(b->kicker, &b->agents[agent]), 0);
}

static void come_back(struct bench *b, struct client *c)
{
    int ups = c->ups;
    CU_ASSERT_EQUAL(mqtt_connect(c->mqtt, b->broker.url, NULL), 0);
    UNTIL(c->ups == ups + 1);
}

static bool idle(const struct bench *b)
{
    return kicker_count(b->kicker) == 0;
}

/* The same, and the time until the next kick is skipped. */
static bool idle_without_waits(const struct bench *b)
{
    uint64_t now_ms = clock_monotonic_ms(), due_ms = kicker_deadline_ms(b->kicker);
    if (due_ms != UINT64_MAX && due_ms > now_ms)
        ahead_ms += due_ms - now_ms;
    return idle(b);
}

/* Nobody is under way, but somebody is to be kicked later. */
static bool waits(const struct bench *b)
{
    uint64_t due_ms = kicker_deadline_ms(b->kicker);
    return due_ms != UINT64_MAX && due_ms > clock_monotonic_ms();
}

/* Waits for nothing: the time until the next kick is skipped. */
static void skip_to_next(struct bench *b)
{
    uint64_t now_ms = clock_monotonic_ms(), due_ms = kicker_deadline_ms(b->kicker);
    CU_ASSERT_TRUE(due_ms > now_ms && due_ms <= now_ms + KICKER_AGAIN_MS);
    ahead_ms += due_ms - now_ms;
}

static void test_who_slips_in_after_the_kick_is_kicked_once_more(void)
{
    struct bench *b = bench_new();
    struct client *c = b->clients[0];
    add(b, 0);
    UNTIL(c->downs == 1 && waits(b));
    come_back(b, c);
    skip_to_next(b);
    UNTIL(c->downs == 2 && idle(b));
    come_back(b, c);
    CU_ASSERT_TRUE(idle(b));
    CU_ASSERT_EQUAL(b->clients[1]->downs, 0);
    bench_free(b);
}

static void test_who_is_let_in_again_meanwhile_is_left_in_peace(void)
{
    struct bench *b = bench_new();
    struct client *c = b->clients[0];
    add(b, 0);
    UNTIL(c->downs == 1 && waits(b));
    come_back(b, c);
    b->blocked[0] = false;
    skip_to_next(b);
    UNTIL(idle(b));
    subscribe(c, "still/here");
    CU_ASSERT_EQUAL(c->downs, 1);
    bench_free(b);
}

static void test_who_was_never_kicked_does_not_wait_for_second_kicks(void)
{
    struct bench *b = bench_new();
    add(b, 0);
    UNTIL(b->clients[0]->downs == 1 && waits(b));
    add(b, 1);
    CU_ASSERT_TRUE(kicker_deadline_ms(b->kicker) <= clock_monotonic_ms());
    UNTIL(b->clients[1]->downs == 1);
    bench_free(b);
}

static void test_nobody_is_tried_on_a_broker_that_is_away(void)
{
    struct bench *b = bench_new();
    add(b, 0);
    kicker_hold(b->kicker, true);
    CU_ASSERT_EQUAL(kicker_deadline_ms(b->kicker), UINT64_MAX);
    kicker_hold(b->kicker, false);
    real_broker_kill(&b->broker);
    UNTIL(b->clients[0]->downs == 1);
    kick_turn(b);
    real_broker_run(&b->broker);
    come_back(b, b->clients[0]);
    ahead_ms += KICKER_RETRY_MS;
    UNTIL(b->clients[0]->downs == 2);
    bench_free(b);
}

/* ---- a broker that others run ---- */

/* The folder of its certificates and its list of revoked ones. */
struct others {
    struct tree_path folder;
    struct keyring keys;
    uint64_t now_s;
    struct pass pass, agents; /* the manager's, and what the agent shows */
};

static void put_list(struct others *o, const struct blocked_agent *revoked, size_t count)
{
    char text[CERTIFICATE_CRL_MAX(4)];
    struct buffer pem = buffer_on(text, sizeof text);
    CU_ASSERT_EQUAL(certificates_revoked(&o->keys, revoked, count, o->now_s, &pem), 0);
    CU_ASSERT_TRUE(certificates_put(o->folder.text, "crl.pem", span_buffer(&pem), NULL) >= 0);
}

static struct others others_new(void)
{
    static const char *const hosts[] = {"127.0.0.1"};
    struct others o = {.folder = tree_new(), .now_s = (uint64_t)time(NULL)};
    struct fleet_keys keys = {.signing = sample_secret(1), .authority = sample_secret(129)};
    struct site site = {.name = "broker", .hosts = hosts, .host_count = 1};
    CU_ASSERT_EQUAL_FATAL(keyring_init(&o.keys, &keys), 0);
    CU_ASSERT_EQUAL(certificates_put_server(&o.keys, &site, o.now_s, o.folder.text, NULL), 1);
    put_list(&o, NULL, 0);
    return o;
}

/* The broker, and agent 0 on it with the certificate that is revoked later. */
static struct bench *bench_with(struct others *o)
{
    struct bench *b = calloc(1, sizeof *b);
    char conf[4096], *at = o->folder.text;
    CU_ASSERT_PTR_NOT_NULL_FATAL(b);
    log_threshold(LOG_ERROR);
    ahead_ms = 0;
    snprintf(conf, sizeof conf,
             "cafile %.99s/ca.pem\ncertfile %.99s/cert.pem\nkeyfile %.99s/key.pem\n"
             "crlfile %.99s/crl.pem\nrequire_certificate true\nallow_anonymous false\n"
             "use_identity_as_username true\nuse_username_as_clientid true",
             at, at, at, at);
    b->broker = real_broker_start(conf);
    snprintf(b->broker.url, sizeof b->broker.url, "mqtts://127.0.0.1:%d", b->broker.port);
    for (unsigned i = 0; i < AGENTS; i++) {
        sample_fill(b->agents[i].id.bytes, KEY_ID_LEN, 1 + i);
        b->agents[i].joined_s = o->now_s;
        b->blocked[i] = true;
    }
    CU_ASSERT_EQUAL(pass_make(&o->pass, &o->keys, at, o->now_s), 0);
    CU_ASSERT_EQUAL(pass_make_as(&o->agents, &o->keys, &b->agents[0], true, at, o->now_s), 0);
    b->kicker = kicker_new(&(struct kicker_options){.url = b->broker.url,
                                                    .pass = &o->pass,
                                                    .keys = &o->keys,
                                                    .context = b,
                                                    .blocked = is_blocked});
    b->clients[0] =
        client_up(0, &b->broker,
                  &(struct mqtt_options){
                      .client_id = "whatever it says", .keepalive_s = 60, .tls = &o->agents.link});
    return b;
}

static void test_others_broker_is_looked_at_until_it_refuses_the_agent(void)
{
    struct others o = others_new();
    struct bench *b = bench_with(&o);
    struct client *c = b->clients[0];
    add(b, 0);
    for (int kicks = 1; kicks <= 3; kicks++) {
        UNTIL(c->downs == kicks && waits(b));
        come_back(b, c);
        ahead_ms += KICKER_LOOK_MS;
    }
    UNTIL(c->downs == 4 && waits(b));
    come_back(b, c);
    put_list(&o, b->agents, 1);
    kill(b->broker.pid, SIGHUP);
    UNTIL(idle_without_waits(b));
    UNTIL(c->downs == 5);
    CU_ASSERT_EQUAL(mqtt_connect(c->mqtt, b->broker.url, NULL), 0);
    int downs = c->downs;
    UNTIL(c->downs == downs + 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(c->reason, "revoked"));
    CU_ASSERT_TRUE(idle(b));
    bench_free(b);
    tree_free(&o.folder);
}

/* Agent 1 is refused by the same list: then it has been read. */
static void wait_until_read(struct bench *b, struct others *o, const char *folder)
{
    static struct pass pass;
    struct client *late;
    CU_ASSERT_EQUAL(pass_make_as(&pass, &o->keys, &b->agents[1], true, folder, o->now_s), 0);
    late = client_new(
        1, &(struct mqtt_options){.client_id = "late", .keepalive_s = 60, .tls = &pass.link});
    while (late->downs == 0) {
        int ups = late->ups;
        CU_ASSERT_EQUAL(mqtt_connect(late->mqtt, b->broker.url, NULL), 0);
        UNTIL(late->ups > ups || late->downs > 0);
        if (late->downs == 0)
            mqtt_drop(late->mqtt);
    }
}

static void test_others_broker_that_knows_ends_what_began_before(void)
{
    struct others o = others_new();
    struct bench *b = bench_with(&o);
    put_list(&o, b->agents, AGENTS);
    kill(b->broker.pid, SIGHUP);
    wait_until_read(b, &o, o.folder.text);
    CU_ASSERT_EQUAL(b->clients[0]->downs, 0);
    add(b, 0);
    UNTIL(b->clients[0]->downs == 1 && idle(b));
    bench_free(b);
    tree_free(&o.folder);
}

static const struct suite_test tests[] = {
    TEST(test_who_slips_in_after_the_kick_is_kicked_once_more),
    TEST(test_who_is_let_in_again_meanwhile_is_left_in_peace),
    TEST(test_who_was_never_kicked_does_not_wait_for_second_kicks),
    TEST(test_nobody_is_tried_on_a_broker_that_is_away),
    TEST(test_others_broker_is_looked_at_until_it_refuses_the_agent),
    TEST(test_others_broker_that_knows_ends_what_began_before),
};

SUITE_MAIN("kicker", tests)
