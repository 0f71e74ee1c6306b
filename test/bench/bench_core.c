/*
 * bench_core: statuses and documents through the manager's core, beside a bare Mosquitto and
 * signing alone. Rates are those of a second of one processor's time, so that other work on the
 * machine hardly counts.
 *
 *   bench_core [--agents N]    default 100000
 */
#include "base/clock.h"
#include "manager/broker.h"
#include "manager/keyring.h"
#include "manager/reception.h"
#include "sync/mqtt.h"
#include "test/bench/core_bench.h"

#include <inttypes.h>

#define AGENTS_DEFAULT 100000
/* As many as the manager lets a cell have; far below what MQTT could number. */
#define UNACKNOWLEDGED_MAX 1000
/* Through the broker; enough for a second of its time. */
#define MESSAGES 50000
#define ENDED_MS_MAX 60000

/* What all agents say once, as on the wire. */
struct letters {
    uint32_t count;
    struct letter {
        size_t len;
        uint8_t bytes[STATUS_MAX];
    } * each;
};

static struct keyring keyring;

/* ---- the core ---- */

static struct letters write_statuses(const struct bench *b, uint32_t agents, uint32_t seq)
{
    struct letters all = {.count = agents, .each = calloc(agents, sizeof *all.each)};
    tree_must(all.each != NULL, "memory");
    for (uint32_t n = 1; n <= agents; n++) {
        const struct agent_row *row = manager_agent(b->m, n);
        struct status s = {.number = n, .seq = seq, .boot = 1};
        struct mac_key mac = keyring_status(&keyring, n, &row->id);
        struct letter *l = &all.each[n - 1];
        struct buffer out = buffer_on(l->bytes, sizeof l->bytes);
        s.document = manager_cohort(b->m, row->cohort)->revision;
        tree_must(status_write(&s, &mac, &out) == 0, "status");
        l->len = out.len;
    }
    return all;
}

/* From bytes to what is to be kept, as the manager does it between the broker and the database. */
static void take(struct bench *b, const struct letters *all)
{
    for (uint32_t n = 1; n <= all->count; n++) {
        const struct letter *l = &all->each[n - 1];
        struct report r;
        struct manager_event ev = {0};
        tree_must(reception_report(&keyring, b->m, &manager_agent(b->m, n)->id,
                                   span_of(l->bytes, l->len), &r, &ev) == 1,
                  "report");
        perform(b, &ev);
    }
}

/* Statuses in a second. */
static double measure_statuses(struct bench *b, uint32_t agents)
{
    double best = 1e9;
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        struct letters all = write_statuses(b, agents, round);
        double began = cpu_ms();
        take(b, &all);
        double took = cpu_ms() - began;
        best = took < best ? took : best;
        free(all.each);
    }
    tree_must(manager_counters(b->m)->statuses == (uint64_t)agents * ROUNDS, "all are accepted");
    return agents * 1e3 / best;
}

/* Documents composed and signed in a second. */
static double measure_documents(struct bench *b)
{
    double best_ms = renew_all(b);
    return b->documents * 1e3 / best_ms;
}

/* ---- a bare Mosquitto ---- */

/* One client at each of its ends. */
struct end {
    struct mqtt *mqtt;
    bool up;
    uint32_t heard, acknowledged;
    int subscribed;
};

static void on_up(void *context, bool session_present)
{
    struct end *e = context;
    (void)session_present;
    e->up = true;
}

static void on_down(void *context, const char *reason)
{
    (void)context;
    tree_must(false, reason);
}

static void on_message(void *context, const char *topic, struct span payload, bool retained)
{
    struct end *e = context;
    (void)topic, (void)payload, (void)retained;
    e->heard++;
}

static void on_published(void *context, int mid)
{
    struct end *e = context;
    (void)mid;
    e->acknowledged++;
}

static void on_subscribed(void *context, int mid)
{
    struct end *e = context;
    e->subscribed = mid;
}

static void turn(struct end ends[2])
{
    struct pollfd fds[2 * MQTT_FDS];
    for (int i = 0; i < 2; i++)
        mqtt_watch(ends[i].mqtt, fds + (ptrdiff_t)i * MQTT_FDS);
    poll(fds, 2 * MQTT_FDS, 10);
    for (int i = 0; i < 2; i++)
        mqtt_service(ends[i].mqtt, fds + (ptrdiff_t)i * MQTT_FDS);
}

static void connect_ends(struct end ends[2], const char *url)
{
    static const char *const names[] = {"speaker", "ear"};
    static const char *const topic = "dl1/up/+";
    for (int i = 0; i < 2; i++) {
        struct mqtt_options options = {.client_id = names[i], .keepalive_s = 60};
        struct mqtt_handler handler = {&ends[i],   on_up,        on_down,
                                       on_message, on_published, on_subscribed};
        ends[i] = (struct end){.mqtt = mqtt_new(&options, &handler)};
        tree_must(ends[i].mqtt && mqtt_connect(ends[i].mqtt, url, NULL) == 0, url);
    }
    while (!ends[0].up || !ends[1].up)
        turn(ends);
    int asked = mqtt_subscribe(ends[1].mqtt, &topic, 1, 1);
    while (ends[1].subscribed != asked)
        turn(ends);
}

/* Of a process that has one thread. */
static double cpu_ms_of(pid_t pid)
{
    char path[64], text[64] = "";
    snprintf(path, sizeof path, "/proc/%d/schedstat", (int)pid);
    FILE *f = fopen(path, "r");
    tree_must(f && fgets(text, sizeof text, f), path);
    fclose(f);
    return (double)strtoull(text, NULL, 10) / 1e6;
}

/* All of them to one that hears them, acknowledged on both ways. */
static void pass_on(struct end ends[2], const struct letters *all)
{
    uint64_t late_ms = clock_monotonic_ms() + ENDED_MS_MAX;
    uint32_t sent = 0;
    while (ends[1].heard < MESSAGES) {
        for (; sent < MESSAGES && sent - ends[0].acknowledged < UNACKNOWLEDGED_MAX; sent++) {
            const struct letter *l = &all->each[sent % all->count];
            char topic[64];
            snprintf(topic, sizeof topic, "dl1/up/%032" PRIx32, sent % all->count);
            tree_must(mqtt_publish(ends[0].mqtt, topic, span_of(l->bytes, l->len), 1, false) >= 0,
                      "publish");
        }
        turn(ends);
        tree_must(clock_monotonic_ms() < late_ms, "the broker takes too long");
    }
}

/* Messages in a second of the broker's time. */
static double measure_broker(const struct bench *b, uint32_t agents)
{
    struct tree_path dir = tree_new();
    struct errmsg em = {.text = ""};
    struct broker_options options = {.dir = dir.text,
                                     .kind = BROKER_CELL,
                                     .plain = true,
                                     .host = "127.0.0.1",
                                     .port = broker_free_port("127.0.0.1", 0)};
    struct broker *broker = broker_start(&options, &em);
    struct letters all = write_statuses(b, agents, ROUNDS + 1);
    struct end ends[2];
    char url[64];
    tree_must(broker != NULL, em.text);
    snprintf(url, sizeof url, "mqtt://127.0.0.1:%d", options.port);
    connect_ends(ends, url);
    double began = cpu_ms_of(broker_pid(broker));
    pass_on(ends, &all);
    double took = cpu_ms_of(broker_pid(broker)) - began;
    for (int i = 0; i < 2; i++)
        mqtt_free(ends[i].mqtt);
    broker_stop(broker);
    broker_free(broker);
    tree_free(&dir);
    free(all.each);
    return MESSAGES * 1e3 / took;
}

/* ---- all of it ---- */

static void print(uint32_t agents, double statuses, double messages, double documents,
                  double signatures)
{
    printf("{\"bench\":\"core\",\"rows\":["
           "{\"what\":\"statuses taken: read, MAC checked, counted; beside the same through a bare "
           "Mosquitto\",\"value\":%.0f,\"unit\":\"1/s\",\"floor\":%.0f,\"published\":[]},"
           "{\"what\":\"documents of %d records composed and signed; beside signed alone\","
           "\"value\":%.0f,\"unit\":\"1/s\",\"floor\":%.0f,\"published\":[]}],"
           "\"agents\":%" PRIu32 ",\"cohorts\":%d,\"deployments\":%d}\n",
           statuses, messages, DEPLOYMENTS / COHORTS, documents, signatures, agents, COHORTS,
           DEPLOYMENTS);
}

static uint32_t agents_of(int argc, char **argv)
{
    if (argc == 1)
        return AGENTS_DEFAULT;
    if (argc == 3 && strcmp(argv[1], "--agents") == 0 && atoi(argv[2]) > 0)
        return (uint32_t)atoi(argv[2]);
    fprintf(stderr, "usage: bench_core [--agents N]\n");
    exit(2);
}

int main(int argc, char **argv)
{
    uint32_t agents = agents_of(argc, argv);
    struct fleet_keys keys = {.signing = sample_secret(1), .authority = sample_secret(2)};
    struct bench *b = bench_new(agents);
    tree_must(keyring_init(&keyring, &keys) == 0, "keys");
    double statuses = measure_statuses(b, agents);
    double messages = measure_broker(b, agents);
    double documents = measure_documents(b);
    double signatures = COHORTS * 1e3 / sign_alone(b);
    print(agents, statuses, messages, documents, signatures);
    free(b->m);
    free(b);
    return 0;
}
