/* The feed of a cell against real Mosquittos, and a log of publications made up by the test. */
#include "manager/cell.h"

#include "base/clock.h"
#include "base/log.h"
#include "manager/broker.h"
#include "sync/mqtt.h"
#include "test/suite.h"
#include "test/tree.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

/* How long anything may take before the test has failed. */
#define PATIENCE_MS 60000
#define TOPICS_MAX 2048
#define BULK_LEN 20000
/* Messages for a manager that is away. */
#define WAITING 20

/* ---- a log ---- */

struct lane_log {
    unsigned count;   /* serials 1 to this */
    unsigned handed;  /* publications given out, again ones too */
    uint64_t newest;  /* serial given out */
    unsigned erased;  /* this serial is an erasure of the topic before it; 0: none */
    unsigned missing; /* this serial has nothing to publish; 0: none */
    unsigned every;   /* only each so manieth is for this broker; 0: all are */
};

struct bench {
    struct tree_path dir;
    int port;
    char url[64];
    struct broker *broker;
    struct cell *cell;
    struct lane_log logs[CELL_LANES];
    uint64_t slow_ms;   /* what a turn takes more than it does, for the cell */
    uint64_t slower_ms; /* in all */
    char topic[64];
    unsigned messages, early; /* that came before the cell was abreast */
    char last_topic[64];
};

static const struct mac_key MARKS = {.bytes = {1, 2, 3}};

static struct span payload_of(enum cell_lane lane, uint64_t serial)
{
    static uint8_t bytes[BULK_LEN];
    memset(bytes, (int)(serial % 251), sizeof bytes);
    return span_of(bytes, lane == CELL_BULK ? sizeof bytes : 20);
}

/* The stages of this log: of what there was, every third goes, and the other ones stay. */
static void change(struct cell_publication *out)
{
    out->payload = SPAN_NONE;
    if (out->serial % 3 != 0)
        out->topic = NULL;
}

static int next(void *context, enum cell_lane lane, uint64_t after, uint64_t behind,
                struct cell_publication *out)
{
    struct bench *b = context;
    struct lane_log *log = &b->logs[lane];
    if (after >= log->count)
        return 0;
    uint64_t serial = after + 1;
    bool erasure = serial == log->erased;
    snprintf(b->topic, sizeof b->topic, "t/%d/%u", (int)lane, (unsigned)serial - erasure);
    *out = (struct cell_publication){.serial = serial, .topic = b->topic};
    if (!erasure)
        out->payload = payload_of(lane, serial);
    if (serial == log->missing || (log->every && serial % log->every != 0))
        out->topic = NULL;
    if (serial <= behind)
        change(out);
    log->handed++;
    log->newest = serial;
    return 1;
}

static void message(void *context, const char *topic, struct span payload)
{
    struct bench *b = context;
    (void)payload;
    b->messages++;
    b->early += !cell_abreast(b->cell);
    snprintf(b->last_topic, sizeof b->last_topic, "%s", topic);
}

/* ---- a broker, a cell, and time ---- */

static void start_broker(struct bench *b)
{
    struct errmsg em = {.text = ""};
    b->broker = broker_start(
        &(struct broker_options){
            .dir = b->dir.text, .plain = true, .host = "127.0.0.1", .port = b->port},
        &em);
    tree_must(b->broker != NULL, em.text);
}

static void open_cell(struct bench *b)
{
    struct cell_handler handler = {.context = b, .message = message, .next = next};
    b->cell = cell_new(b->url, &MARKS, NULL, &handler);
    tree_must(b->cell != NULL, "cell");
}

static struct bench *bench_new(void)
{
    struct bench *b = calloc(1, sizeof *b);
    log_threshold(LOG_ERROR);
    tree_must(b != NULL, "bench");
    b->dir = tree_new();
    b->port = broker_free_port("127.0.0.1", 0);
    snprintf(b->url, sizeof b->url, "mqtt://127.0.0.1:%d", b->port);
    start_broker(b);
    open_cell(b);
    return b;
}

static void bench_free(struct bench *b)
{
    cell_free(b->cell);
    broker_stop(b->broker);
    broker_free(b->broker);
    tree_free(&b->dir);
    free(b);
}

/* One turn of a loop as the daemon's. */
static void turn(struct bench *b, bool news)
{
    struct pollfd fds[MQTT_FDS + 1];
    cell_watch(b->cell, fds);
    fds[MQTT_FDS] = (struct pollfd){.fd = broker_descriptor(b->broker), .events = POLLIN};
    poll(fds, MQTT_FDS + 1, 20);
    broker_service(b->broker, clock_monotonic_ms());
    b->slower_ms += b->slow_ms;
    cell_service(b->cell, fds, clock_monotonic_ms() + b->slower_ms);
    cell_feed(b->cell, news);
}

static bool run_until(struct bench *b, bool (*done)(const struct bench *b))
{
    uint64_t until_ms = clock_monotonic_ms() + PATIENCE_MS;
    for (turn(b, true); !done(b); turn(b, false))
        if (clock_monotonic_ms() > until_ms)
            return false;
    return true;
}

static bool settled(const struct bench *b)
{
    return cell_settled(b->cell);
}

static bool is_down(const struct bench *b)
{
    return !cell_up(b->cell);
}

static bool is_up(const struct bench *b)
{
    return cell_up(b->cell);
}

/* ---- what the broker retains ---- */

struct observer {
    struct mqtt *mqtt;
    bool listed; /* the broker has answered the subscription, and a message of ours came back */
    unsigned retained;
    bool wrong; /* a payload isn't the one of its topic */
    bool seen[CELL_LANES][TOPICS_MAX];
};

static void observer_up(void *context, bool session_present)
{
    struct observer *o = context;
    static const char *const topics[] = {"t/#", "end"};
    (void)session_present;
    mqtt_subscribe(o->mqtt, topics, 2, 0);
}

static void observer_subscribed(void *context, int mid)
{
    struct observer *o = context;
    (void)mid;
    mqtt_publish(o->mqtt, "end", SPAN_NONE, 0, false);
}

static void observer_message(void *context, const char *topic, struct span payload, bool retained)
{
    struct observer *o = context;
    int lane;
    unsigned serial;
    o->listed |= strcmp(topic, "end") == 0;
    if (sscanf(topic, "t/%d/%u", &lane, &serial) != 2 || !retained)
        return;
    o->retained++;
    o->wrong |= !span_equal(payload, payload_of((enum cell_lane)lane, serial));
    o->seen[lane][serial] = true;
}

static struct observer *observe(const struct bench *b)
{
    struct observer *o = calloc(1, sizeof *o);
    tree_must(o != NULL, "observer");
    struct mqtt_handler handler = {.context = o,
                                   .up = observer_up,
                                   .subscribed = observer_subscribed,
                                   .message = observer_message};
    struct mqtt_options options = {.client_id = "observer", .keepalive_s = 60};
    o->mqtt = mqtt_new(&options, &handler);
    uint64_t until_ms = clock_monotonic_ms() + PATIENCE_MS;
    CU_ASSERT_EQUAL(mqtt_connect(o->mqtt, b->url, NULL), 0);
    while (!o->listed && clock_monotonic_ms() < until_ms) {
        struct pollfd fds[MQTT_FDS];
        mqtt_watch(o->mqtt, fds);
        poll(fds, MQTT_FDS, 20);
        mqtt_service(o->mqtt, fds);
    }
    CU_ASSERT_TRUE(o->listed);
    mqtt_free(o->mqtt);
    return o;
}

static void expect_retained(const struct bench *b, unsigned count)
{
    struct observer *o = observe(b);
    CU_ASSERT_EQUAL(o->retained, count);
    CU_ASSERT_FALSE(o->wrong);
    free(o);
}

/* A publisher that is not the manager. */
static void publish(const struct bench *b, const char *topic, struct span payload, bool retain)
{
    struct mqtt_options options = {.client_id = "device", .keepalive_s = 60};
    struct mqtt_handler handler = {.context = NULL};
    struct mqtt *m = mqtt_new(&options, &handler);
    bool sent = false;
    CU_ASSERT_EQUAL(mqtt_connect(m, b->url, NULL), 0);
    for (int i = 0; i < 1000 && !sent; i++) {
        struct pollfd fds[MQTT_FDS];
        mqtt_watch(m, fds);
        poll(fds, MQTT_FDS, 20);
        mqtt_service(m, fds);
        sent = mqtt_publish(m, topic, payload, 1, retain) >= 0;
    }
    CU_ASSERT_TRUE(sent);
    mqtt_free(m); /* says good-bye, and writes what is queued before */
}

static void kill_broker(struct bench *b)
{
    pid_t pid = broker_pid(b->broker);
    struct pollfd end = {.fd = broker_descriptor(b->broker), .events = POLLIN};
    kill(pid, SIGKILL);
    CU_ASSERT_EQUAL(poll(&end, 1, PATIENCE_MS), 1);
}

static struct tree_path memory_of(const struct bench *b)
{
    return tree_join(&b->dir, "mosquitto.db");
}

static void grow(struct bench *b, unsigned control, unsigned bulk)
{
    b->logs[CELL_CONTROL].count += control;
    b->logs[CELL_BULK].count += bulk;
}

static unsigned handed(const struct bench *b)
{
    return b->logs[CELL_CONTROL].handed + b->logs[CELL_BULK].handed;
}

static void forget_handed(struct bench *b)
{
    b->logs[CELL_CONTROL].handed = b->logs[CELL_BULK].handed = 0;
}

/* ---- tests ---- */

static void test_fresh_broker_is_filled(void)
{
    struct bench *b = bench_new();
    grow(b, 300, 100);
    CU_ASSERT_TRUE(run_until(b, settled));
    CU_ASSERT_EQUAL(handed(b), 400);
    expect_retained(b, 400);
    bench_free(b);
}

/* Each answer takes longer than the first wait for one. */
static void test_slow_broker_is_not_asked_for_ever(void)
{
    struct bench *b = bench_new();
    b->slow_ms = CELL_PROBE_MS_MIN + 1000;
    grow(b, 300, 100);
    CU_ASSERT_TRUE(run_until(b, settled));
    CU_ASSERT_EQUAL(handed(b), 400);
    bench_free(b);
}

static void test_new_connection_publishes_nothing_twice(void)
{
    struct bench *b = bench_new();
    grow(b, 100, 40);
    CU_ASSERT_TRUE(run_until(b, settled));
    cell_free(b->cell);
    forget_handed(b);
    open_cell(b);
    grow(b, 2, 1);
    CU_ASSERT_TRUE(run_until(b, settled));
    CU_ASSERT_EQUAL(b->logs[CELL_CONTROL].newest, 102);
    CU_ASSERT_EQUAL(b->logs[CELL_BULK].newest, 41);
    /* A look at whether the log reaches the mark isn't a publication. */
    CU_ASSERT_TRUE(handed(b) <= 3 + CELL_LANES);
    expect_retained(b, 143);
    bench_free(b);
}

static void test_broker_that_lost_all_is_refilled(void)
{
    struct bench *b = bench_new();
    struct tree_path memory = memory_of(b);
    grow(b, 100, 40);
    CU_ASSERT_TRUE(run_until(b, settled));
    forget_handed(b);
    kill_broker(b);
    unlink(memory.text);
    CU_ASSERT_TRUE(run_until(b, is_down));
    CU_ASSERT_TRUE(run_until(b, settled));
    CU_ASSERT_EQUAL(handed(b), 140);
    expect_retained(b, 140);
    bench_free(b);
}

static void test_broker_with_an_older_memory_gets_what_it_lacks(void)
{
    struct bench *b = bench_new();
    struct tree_path memory = memory_of(b), old = tree_join(&b->dir, "old.db");
    grow(b, 100, 40);
    CU_ASSERT_TRUE(run_until(b, settled));
    broker_stop(b->broker); /* it saves */
    broker_free(b->broker);
    tree_must(link(memory.text, old.text) == 0, old.text);
    start_broker(b);
    CU_ASSERT_TRUE(run_until(b, is_down));
    grow(b, 5, 3);
    CU_ASSERT_TRUE(run_until(b, settled));
    forget_handed(b);
    kill_broker(b);
    tree_must(rename(old.text, memory.text) == 0 || errno == ENOENT, memory.text);
    CU_ASSERT_TRUE(run_until(b, is_down));
    CU_ASSERT_TRUE(run_until(b, settled));
    CU_ASSERT_TRUE(handed(b) >= 8 && handed(b) <= 8 + CELL_LANES);
    expect_retained(b, 148);
    bench_free(b);
}

static void test_window_bounds_what_is_under_way(void)
{
    struct bench *b = bench_new();
    CU_ASSERT_TRUE(run_until(b, settled));
    grow(b, 1000, 1000);
    for (int i = 0; i < 10; i++)
        cell_feed(b->cell, true);
    CU_ASSERT_EQUAL(b->logs[CELL_CONTROL].handed, CELL_CONTROL_WINDOW);
    CU_ASSERT_EQUAL(b->logs[CELL_BULK].handed, CELL_BULK_WINDOW);
    CU_ASSERT_TRUE(run_until(b, settled));
    expect_retained(b, 2000);
    bench_free(b);
}

/* They may be millions, and the manager has others to serve. */
static void test_what_is_for_others_is_gone_past_by_and_by(void)
{
    struct bench *b = bench_new();
    unsigned calls = 1;
    CU_ASSERT_TRUE(run_until(b, settled));
    grow(b, 2000, 0);
    b->logs[CELL_CONTROL].every = 1000;
    for (bool more = cell_feed(b->cell, true); more; more = cell_feed(b->cell, false)) {
        CU_ASSERT_TRUE(handed(b) <= calls * 200);
        calls++;
    }
    CU_ASSERT_TRUE(handed(b) > 1000);
    CU_ASSERT_TRUE(run_until(b, settled));
    CU_ASSERT_EQUAL(handed(b), 2000);
    expect_retained(b, 2);
    bench_free(b);
}

static bool bulk_is_flowing(const struct bench *b)
{
    return b->logs[CELL_BULK].handed >= 100;
}

static void test_control_does_not_wait_behind_content(void)
{
    struct bench *b = bench_new();
    grow(b, 0, 1000);
    CU_ASSERT_TRUE(run_until(b, bulk_is_flowing));
    unsigned bulk = b->logs[CELL_BULK].handed;
    CU_ASSERT_TRUE(bulk < 1000);
    grow(b, 10, 0);
    cell_feed(b->cell, true);
    CU_ASSERT_EQUAL(b->logs[CELL_CONTROL].handed, 10);
    CU_ASSERT_TRUE(b->logs[CELL_BULK].handed <= bulk + CELL_BULK_WINDOW);
    CU_ASSERT_TRUE(run_until(b, settled));
    expect_retained(b, 1010);
    bench_free(b);
}

static void test_lost_link_in_the_middle_loses_nothing(void)
{
    for (unsigned n = 1; n < 40; n += 7) {
        struct bench *b = bench_new();
        grow(b, 200, 60);
        for (unsigned i = 0; i < n; i++)
            turn(b, true);
        cell_drop(b->cell, clock_monotonic_ms() - CELL_RETRY_MS_MAX); /* it may try again at once */
        CU_ASSERT_TRUE(run_until(b, settled));
        expect_retained(b, 260);
        bench_free(b);
    }
}

static void test_erased_and_missing_content_is_passed_by(void)
{
    struct bench *b = bench_new();
    grow(b, 50, 20);
    b->logs[CELL_CONTROL].erased = 30;
    b->logs[CELL_BULK].missing = 9;
    CU_ASSERT_TRUE(run_until(b, settled));
    struct observer *o = observe(b);
    CU_ASSERT_EQUAL(o->retained, 70 - 3);
    CU_ASSERT_FALSE(o->seen[CELL_CONTROL][29]);
    CU_ASSERT_FALSE(o->seen[CELL_BULK][9]);
    free(o);
    bench_free(b);
}

/* [9999, …] from somebody else. */
static void test_mark_of_others_is_not_believed(void)
{
    static const uint8_t marks[][24] = {
        "\x92\xcd\x27\x0f\xc4\x08"
        "abcdefgh",
        "\x92\xcd\x27\x0f\xc4\x0c"
        "abcdefghijkl",
        "nonsense",
    };
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        struct bench *b = bench_new();
        struct span mark = span_of(marks[i], strlen((const char *)marks[i]));
        publish(b, "dl1/cell/control", mark, true);
        publish(b, "dl1/cell/bulk", mark, true);
        grow(b, 10, 5);
        CU_ASSERT_TRUE(run_until(b, settled));
        expect_retained(b, 15);
        bench_free(b);
    }
}

/* ---- stages ---- */

static void open_again(struct bench *b, uint64_t stage, bool differs)
{
    cell_free(b->cell);
    forget_handed(b);
    open_cell(b);
    cell_set_stage(b->cell, stage, differs);
    CU_ASSERT_TRUE(run_until(b, settled));
}

static void test_next_stage_is_told_as_the_difference(void)
{
    struct bench *b = bench_new();
    grow(b, 300, 20);
    CU_ASSERT_TRUE(run_until(b, settled));
    forget_handed(b);
    cell_set_stage(b->cell, 1, true);
    CU_ASSERT_TRUE(run_until(b, settled));
    CU_ASSERT_TRUE(b->logs[CELL_CONTROL].handed >= 300);
    CU_ASSERT_TRUE(b->logs[CELL_BULK].handed <= 1);
    expect_retained(b, 220);
    grow(b, 30, 0); /* what is new is whole */
    CU_ASSERT_TRUE(run_until(b, settled));
    expect_retained(b, 250);
    open_again(b, 1, true);
    CU_ASSERT_TRUE(handed(b) <= CELL_LANES);
    bench_free(b);
}

/* Also for a manager that was away when the stage began, and for one that was cut on the way. */
static void test_difference_is_told_to_its_end(void)
{
    struct bench *b = bench_new();
    grow(b, 300, 0);
    CU_ASSERT_TRUE(run_until(b, settled));
    cell_free(b->cell);
    open_cell(b);
    cell_set_stage(b->cell, 1, true);
    forget_handed(b);
    for (turn(b, true); b->logs[CELL_CONTROL].handed < 100; turn(b, false))
        ;
    open_again(b, 1, true);
    CU_ASSERT_TRUE(b->logs[CELL_CONTROL].handed >= 300);
    expect_retained(b, 200);
    bench_free(b);
}

static void test_stage_that_is_the_same_costs_a_mark(void)
{
    struct bench *b = bench_new();
    grow(b, 300, 20);
    CU_ASSERT_TRUE(run_until(b, settled));
    for (uint64_t stage = 1; stage < 4; stage++) {
        open_again(b, stage, false);
        CU_ASSERT_TRUE(handed(b) <= CELL_LANES);
    }
    expect_retained(b, 320);
    bench_free(b);
}

static void test_mark_of_an_older_stage_leads_nowhere(void)
{
    struct bench *b = bench_new();
    grow(b, 300, 20);
    CU_ASSERT_TRUE(run_until(b, settled));
    open_again(b, 2, false);
    CU_ASSERT_TRUE(b->logs[CELL_CONTROL].handed >= 300);
    CU_ASSERT_TRUE(b->logs[CELL_BULK].handed <= 1);
    bench_free(b);
}

static bool one_message(const struct bench *b)
{
    return b->messages == 1;
}

static bool two_messages(const struct bench *b)
{
    return b->messages == 2;
}

static void test_message_waits_for_a_manager_that_is_away(void)
{
    struct bench *b = bench_new();
    CU_ASSERT_TRUE(run_until(b, settled));
    cell_free(b->cell);
    publish(b, "dl1/up/01020304050607080910111213141516", span_text("x"), false);
    open_cell(b);
    CU_ASSERT_TRUE(run_until(b, one_message));
    CU_ASSERT_STRING_EQUAL(b->last_topic, "dl1/up/01020304050607080910111213141516");
    bench_free(b);
}

static bool is_abreast(const struct bench *b)
{
    return cell_abreast(b->cell);
}

static bool one_more(const struct bench *b)
{
    return b->messages == WAITING + 1;
}

/* Whoever counts what agents say now must not count that. */
static void test_cell_is_abreast_once_all_that_waited_has_come(void)
{
    struct bench *b = bench_new();
    CU_ASSERT_TRUE(run_until(b, is_abreast));
    for (int life = 1; life <= 2; life++) {
        cell_free(b->cell);
        for (int i = 0; i < WAITING; i++)
            publish(b, "dl1/up/01020304050607080910111213141516", span_text("x"), false);
        open_cell(b);
        b->messages = b->early = 0;
        CU_ASSERT_TRUE(run_until(b, is_abreast));
        CU_ASSERT_EQUAL(b->messages, WAITING);
        CU_ASSERT_EQUAL(b->early, WAITING);
    }
    publish(b, "dl1/up/01020304050607080910111213141516", span_text("x"), false);
    CU_ASSERT_TRUE(run_until(b, one_more));
    CU_ASSERT_EQUAL(b->early, WAITING);
    cell_drop(b->cell, clock_monotonic_ms() - CELL_RETRY_MS_MAX);
    CU_ASSERT_FALSE(is_abreast(b));
    CU_ASSERT_TRUE(run_until(b, is_abreast)); /* what isn't acknowledged comes first, again */
    CU_ASSERT_EQUAL(b->early, WAITING + 1);
    bench_free(b);
}

/* The daemon drops the link when a commit fails. */
static void test_message_of_a_dropped_link_comes_again(void)
{
    struct bench *b = bench_new();
    CU_ASSERT_TRUE(run_until(b, settled));
    publish(b, "dl1/up/01020304050607080910111213141516", span_text("x"), false);
    CU_ASSERT_TRUE(run_until(b, one_message));
    cell_drop(b->cell, clock_monotonic_ms() - CELL_RETRY_MS_MAX);
    CU_ASSERT_TRUE(run_until(b, two_messages));
    CU_ASSERT_TRUE(run_until(b, settled));
    CU_ASSERT_EQUAL(b->messages, 2);
    bench_free(b);
}

static void test_nobody_there_is_tried_again(void)
{
    struct bench *b = bench_new();
    broker_stop(b->broker);
    broker_free(b->broker);
    cell_service(b->cell, NULL, 1000);
    for (int i = 0; i < 1000 && cell_deadline_ms(b->cell) == UINT64_MAX; i++) {
        struct pollfd fds[MQTT_FDS];
        cell_watch(b->cell, fds);
        poll(fds, MQTT_FDS, 20);
        cell_service(b->cell, fds, 1000);
    }
    CU_ASSERT_EQUAL(cell_deadline_ms(b->cell), 1000 + CELL_RETRY_MS_MIN);
    CU_ASSERT_FALSE(cell_up(b->cell));
    cell_send(b->cell, "dl1/joined/0102030405060708", span_text("x")); /* into the void */
    start_broker(b);
    CU_ASSERT_TRUE(run_until(b, is_up));
    bench_free(b);
}

static const struct suite_test tests[] = {
    TEST(test_fresh_broker_is_filled),
    TEST(test_slow_broker_is_not_asked_for_ever),
    TEST(test_new_connection_publishes_nothing_twice),
    TEST(test_broker_that_lost_all_is_refilled),
    TEST(test_broker_with_an_older_memory_gets_what_it_lacks),
    TEST(test_window_bounds_what_is_under_way),
    TEST(test_what_is_for_others_is_gone_past_by_and_by),
    TEST(test_control_does_not_wait_behind_content),
    TEST(test_lost_link_in_the_middle_loses_nothing),
    TEST(test_erased_and_missing_content_is_passed_by),
    TEST(test_mark_of_others_is_not_believed),
    TEST(test_next_stage_is_told_as_the_difference),
    TEST(test_difference_is_told_to_its_end),
    TEST(test_stage_that_is_the_same_costs_a_mark),
    TEST(test_mark_of_an_older_stage_leads_nowhere),
    TEST(test_message_waits_for_a_manager_that_is_away),
    TEST(test_cell_is_abreast_once_all_that_waited_has_come),
    TEST(test_message_of_a_dropped_link_comes_again),
    TEST(test_nobody_there_is_tried_again),
};

SUITE_MAIN("cell", tests)
