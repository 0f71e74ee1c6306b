/* Kicks on a real broker that has no lists, where whoever is kicked may come back. */
#include "manager/kicker.h"

#include "base/log.h"
#include "test/mqtt_fixture.h"
#include "test/samples.h"

#define AGENTS 2

struct bench {
    struct broker broker;
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
    b->broker = broker_start("allow_anonymous true");
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
    return kicker_deadline_ms(b->kicker) == UINT64_MAX;
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
    UNTIL(c->downs == 1 && !idle(b));
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
    UNTIL(c->downs == 1 && !idle(b));
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
    UNTIL(b->clients[0]->downs == 1 && !idle(b));
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
    CU_ASSERT_TRUE(idle(b));
    kicker_hold(b->kicker, false);
    broker_kill(&b->broker);
    UNTIL(b->clients[0]->downs == 1);
    kick_turn(b);
    broker_run(&b->broker);
    come_back(b, b->clients[0]);
    ahead_ms += KICKER_RETRY_MS;
    UNTIL(b->clients[0]->downs == 2);
    bench_free(b);
}

static const struct suite_test tests[] = {
    TEST(test_who_slips_in_after_the_kick_is_kicked_once_more),
    TEST(test_who_is_let_in_again_meanwhile_is_left_in_peace),
    TEST(test_who_was_never_kicked_does_not_wait_for_second_kicks),
    TEST(test_nobody_is_tried_on_a_broker_that_is_away),
};

SUITE_MAIN("kicker", tests)
