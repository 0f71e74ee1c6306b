/*
 * bench_lanes: what it costs one broker that many agents hear a cohort's head on one topic, or on
 * lanes of a thousand, beside a topic for each of them. Bare clients, and a Mosquitto as the
 * manager starts it.
 *
 *   bench_lanes [--agents N]    default 19800, as many as one process may have
 */
#include "base/limits.h"
#include "manager/broker.h"
#include "simulator/load/hub.h"
#include "simulator/load/usage.h"
#include "test/tree.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#define AGENTS_DEFAULT 19800
/* As in manager/daemon_start.c. */
#define LANE_AGENTS_MAX 1000
/* Mosquitto's queue for connections holds 100. */
#define GREETINGS_MAX 90
#define QUIET_MS 300
#define IDLE_S 0.01
#define HEAD "[head here]"

struct listener {
    struct line line;
    uint32_t lane;
};

/* In a process of its own, so that nothing here delays it. */
struct bystander {
    pid_t pid;
    _Atomic uint64_t *worst_us; /* between asking the broker for a sign of life and having it */
};

struct scene {
    struct hub hub;
    struct broker *broker;
    struct tree_path dir;
    struct sockaddr_in at;
    uint32_t agents, lanes;
    uint32_t greeting, subscribed, heard;
    struct line speaker;
    struct listener *listeners;
};

/* What one way of listening took. */
struct cost {
    double subscribe_s, head_s, lost_s; /* of the broker's processor */
    double pause_ms;
};

static uint64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static double broker_s(const struct scene *s)
{
    return (double)usage_of(broker_pid(s->broker)).cpu_us / 1e6;
}

/* ---- the listeners ---- */

static struct listener *listener_of(const struct scene *s, struct line *l)
{
    return l == &s->speaker ? NULL
                            : (struct listener *)((char *)l - offsetof(struct listener, line));
}

static void on_opened(void *context, struct line *l)
{
    struct scene *s = context;
    char name[32];
    struct listener *m = listener_of(s, l);
    snprintf(name, sizeof name, "bare-%td", m ? m - s->listeners : -1);
    line_greet(&s->hub, l, &(struct packet_connect){.client_id = name});
}

static void topic_of(uint32_t lane, char out[static 64])
{
    snprintf(out, 64, "dl1/cohort/c0c1c2c3c4c5c6c7/%" PRIu32, lane);
}

static void on_packet(void *context, struct line *l, const struct packet *p)
{
    struct scene *s = context;
    struct listener *m = listener_of(s, l);
    char topic[64];
    if (!m)
        return;
    if (p->type == PACKET_CONNACK) {
        topic_of(m->lane, topic);
        s->greeting--;
        line_subscribe(&s->hub, l, &(const char *){topic}, 1, 0);
    }
    s->subscribed += p->type == PACKET_SUBACK;
    s->heard += p->type == PACKET_PUBLISH;
}

static void on_down(void *context, struct line *l, const char *reason)
{
    (void)context, (void)l;
    fprintf(stderr, "bench_lanes: a client was cut off: %s\n", reason);
    abort();
}

static void subscribe_all(struct scene *s)
{
    for (uint32_t i = 0; s->subscribed < s->agents;) {
        for (; i < s->agents && s->greeting < GREETINGS_MAX; i++, s->greeting++) {
            s->listeners[i].lane = i % s->lanes;
            line_open(&s->hub, &s->listeners[i].line, &s->at, 0);
        }
        hub_service(&s->hub, 10);
    }
}

static void say_head(struct scene *s)
{
    char topic[64];
    s->heard = 0;
    for (uint32_t lane = 0; lane < s->lanes; lane++) {
        topic_of(lane, topic);
        line_publish(&s->hub, &s->speaker, topic, span_text(HEAD), true);
    }
    while (s->heard < s->agents || s->speaker.open > 0)
        hub_service(&s->hub, 10);
}

/* Until the broker has nothing more to do: it looks around ten times a second. */
static void lose_all(struct scene *s)
{
    for (uint32_t i = 0; i < s->agents; i++)
        line_cut(&s->hub, &s->listeners[i].line);
    double before = -1;
    while (broker_s(s) > before + IDLE_S) {
        before = broker_s(s);
        poll(NULL, 0, QUIET_MS);
    }
}

/* ---- the bystander ---- */

static void stand_by(const struct sockaddr_in *at, _Atomic uint64_t *worst_us)
{
    uint8_t memory[128], answer[4];
    struct buffer out = buffer_on(memory, sizeof memory);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    packet_put_connect(&out, &(struct packet_connect){.client_id = "bystander"});
    bool good = connect(fd, (const struct sockaddr *)at, sizeof *at) == 0 &&
                send(fd, out.data, out.len, 0) == (ssize_t)out.len &&
                recv(fd, answer, 4, MSG_WAITALL) == 4;
    out.len = 0;
    packet_put_bare(&out, PACKET_PINGREQ);
    while (good) {
        uint64_t from_us = now_us();
        good = send(fd, out.data, out.len, 0) == 2 && recv(fd, answer, 2, MSG_WAITALL) == 2;
        uint64_t took_us = now_us() - from_us;
        if (took_us > *worst_us)
            *worst_us = took_us;
        poll(NULL, 0, 1);
    }
}

static struct bystander bystander_start(const struct scene *s)
{
    struct bystander b = {
        .worst_us = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)};
    tree_must(b.worst_us != MAP_FAILED, "memory");
    b.pid = fork();
    tree_must(b.pid >= 0, "a process");
    if (b.pid == 0) {
        stand_by(&s->at, b.worst_us);
        _exit(1);
    }
    poll(NULL, 0, QUIET_MS);
    *b.worst_us = 0;
    return b;
}

static double bystander_stop(struct bystander *b)
{
    double worst_ms = (double)*b->worst_us / 1e3;
    kill(b->pid, SIGKILL);
    waitpid(b->pid, NULL, 0);
    munmap((void *)b->worst_us, 4096);
    return worst_ms;
}

/* ---- one way of listening ---- */

static struct scene *open_scene(uint32_t agents, uint32_t lanes)
{
    struct errmsg em = {.text = ""};
    struct scene *s = calloc(1, sizeof *s);
    tree_must(s && (s->listeners = calloc(agents, sizeof *s->listeners)), "memory");
    const struct hub_handler handler = {
        .context = s, .opened = on_opened, .packet = on_packet, .down = on_down};
    s->agents = agents;
    s->lanes = lanes;
    s->dir = tree_new();
    struct broker_options options = {.dir = s->dir.text,
                                     .kind = BROKER_CELL,
                                     .plain = true,
                                     .host = "127.0.0.1",
                                     .port = broker_free_port("127.0.0.1", 0)};
    s->broker = broker_start(&options, &em);
    tree_must(s->broker != NULL, em.text);
    s->at = (struct sockaddr_in){.sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)options.port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    tree_must(hub_init(&s->hub, &handler, &em) == 0, em.text);
    line_open(&s->hub, &s->speaker, &s->at, 0);
    while (s->speaker.state != LINE_UP)
        hub_service(&s->hub, 10);
    return s;
}

static void close_scene(struct scene *s)
{
    line_cut(&s->hub, &s->speaker);
    hub_close(&s->hub);
    broker_stop(s->broker);
    broker_free(s->broker);
    tree_free(&s->dir);
    free(s->listeners);
    free(s);
}

static struct cost measure(uint32_t agents, uint32_t lanes)
{
    struct cost c;
    struct scene *s = open_scene(agents, lanes);
    double from_s = broker_s(s);
    subscribe_all(s);
    c.subscribe_s = broker_s(s) - from_s;
    struct bystander b = bystander_start(s);
    from_s = broker_s(s);
    say_head(s);
    c.head_s = broker_s(s) - from_s;
    c.pause_ms = bystander_stop(&b);
    from_s = broker_s(s);
    lose_all(s);
    c.lost_s = broker_s(s) - from_s;
    close_scene(s);
    return c;
}

/* ---- all of it ---- */

static void print_row(bool first, uint32_t agents, const char *what, const char *how, double value,
                      const char *unit, double floor)
{
    printf("%s{\"what\":\"%s, %" PRIu32 " agents, %s\",\"value\":%.4f,\"unit\":\"%s\","
           "\"floor\":%.4f,\"published\":[]}",
           first ? "" : ",", what, agents, how, value, unit, floor);
}

static void print(uint32_t agents, const char *how, bool first, const struct cost *c,
                  const struct cost *own)
{
    print_row(first, agents, "connect and subscribe", how, c->subscribe_s, "s", own->subscribe_s);
    print_row(false, agents, "a head for all", how, c->head_s, "s", own->head_s);
    print_row(false, agents, "others wait for the broker meanwhile, at most", how, c->pause_ms,
              "ms", own->pause_ms);
    print_row(false, agents, "all links lost", how, c->lost_s, "s", own->lost_s);
}

int main(int argc, char **argv)
{
    uint32_t agents = argc == 3 ? (uint32_t)atoi(argv[2]) : AGENTS_DEFAULT;
    if (agents == 0 || (argc != 1 && (argc != 3 || strcmp(argv[1], "--agents") != 0))) {
        fputs("usage: bench_lanes [--agents N]\n", stderr);
        return 2;
    }
    limits_raise_files();
    uint32_t lanes = 1;
    while (agents > LANE_AGENTS_MAX * lanes)
        lanes *= 2;
    struct cost own = measure(agents, agents), split = measure(agents, lanes),
                one = measure(agents, 1);
    printf("{\"bench\":\"lanes\",\"rows\":[");
    print(agents, "one topic", true, &one, &own);
    print(agents, "lanes", false, &split, &own);
    printf("],\"agents\":%" PRIu32 ",\"lanes\":%" PRIu32 "}\n", agents, lanes);
    return 0;
}
