/* A door of our own, with a real Mosquitto behind it, and strangers that come to its port. */
#include "manager/door.h"

#include "base/clock.h"
#include "base/log.h"
#include "simulator/load/packet.h"
#include "test/samples.h"
#include "test/suite.h"
#include "test/tree.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

/* How long anything may take before the test has failed. */
#define PATIENCE_MS 60000
/* The porter takes no more from one connection. */
#define SAID_MAX (PORTER_UP_BYTES_MAX - 16384)
/* With a part of 40 MiB or so each: without an end to it, they would have 500 MiB. */
#define STRANGERS_MAX 12
/* What a broker has of memory besides. */
#define BESIDE_THE_HEAP (UINT64_C(32) << 20)
/* As many as Mosquitto takes in a topic's name, nearly. */
#define LEVELS 198
/* What the flags of a CONNECT have for a session that ends with its connection; and where they are.
 */
#define CLEAN_SESSION 0x02
#define FLAGS_AT 9
/* What a broker answers. */
#define CONNACK_LEN 4
#define PUBACK_LEN 4
#define SUBACK_LEN 5
/* So long the manager may take to hear what its broker has taken. */
#define TURNS_MAX 100

struct bench {
    struct tree_path dir;
    struct fleet_keys fleet;
    struct keyring keys;
    struct ledger *ledger;
    struct daemon_options options;
    struct door *door;
    unsigned requests; /* that the manager heard */
};

/* ---- the door ---- */

static void on_message(void *context, const char *topic, struct span payload)
{
    struct bench *b = context;
    (void)topic, (void)payload;
    b->requests++;
}

static struct bench *bench_new(void)
{
    struct errmsg em = {.text = ""};
    struct bench *b = calloc(1, sizeof *b);
    tree_must(b != NULL, "bench");
    log_threshold(LOG_ERROR);
    b->dir = tree_new();
    b->fleet = (struct fleet_keys){.signing = sample_secret(1), .authority = sample_secret(129)};
    b->options = (struct daemon_options){
        .host = "127.0.0.1", .port = 0, .plain = true, .join_rate = PORTER_RATE_MAX};
    b->ledger = ledger_open(b->dir.text, &b->fleet, NULL);
    tree_must(b->ledger && keyring_init(&b->keys, &b->fleet) == 0, "ledger");
    b->door = door_open(
        &(struct door_options){
            .dir = b->dir.text, .daemon = &b->options, .keys = &b->keys, .now_s = clock_wall_s()},
        b->ledger, &(struct door_handler){.context = b, .message = on_message}, &em);
    tree_must(b->door != NULL, em.text);
    return b;
}

static void bench_free(struct bench *b)
{
    door_close(b->door);
    ledger_close(b->ledger);
    tree_free(&b->dir);
    free(b);
}

static void turn(struct bench *b)
{
    struct pollfd fds[DOOR_FDS];
    door_watch(b->door, fds);
    poll(fds, DOOR_FDS, 1);
    door_service(b->door, fds, true, clock_monotonic_ms());
}

/* Who holds the lock in its folder. */
static pid_t broker_of(const struct bench *b)
{
    struct tree_path path = tree_join(&b->dir, "door/lock");
    struct flock held = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = open(path.text, O_RDWR | O_CLOEXEC);
    bool known = fd >= 0 && fcntl(fd, F_GETLK, &held) == 0 && held.l_type != F_UNLCK;
    if (fd >= 0)
        close(fd);
    return known ? held.l_pid : 0;
}

/* Its pages in memory (proc(5)); 0: it is gone. */
static uint64_t memory_of(pid_t pid)
{
    char path[64], text[128];
    struct buffer statm = buffer_on(text, sizeof text - 1);
    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    if (file_read(path, &statm, NULL) < 0)
        return 0;
    text[statm.len] = '\0';
    return strtoull(strchr(text, ' '), NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* ---- strangers ---- */

static int knock(const struct bench *b)
{
    const char *port = strrchr(door_url(b->door), ':') + 1;
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)strtoul(port, NULL, 10)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    tree_must(connect(fd, (struct sockaddr *)&to, sizeof to) == 0, "knock");
    return fd;
}

/* Says all of it and hears so many bytes, or until nobody is there any more. */
static void talk(struct bench *b, int fd, struct span said, size_t answer_len)
{
    uint64_t until_ms = clock_monotonic_ms() + PATIENCE_MS;
    while ((said.len > 0 || answer_len > 0) && clock_monotonic_ms() < until_ms) {
        char heard[4096];
        ssize_t n = send(fd, said.data, said.len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0)
            said = span_of(said.data + n, said.len - (size_t)n);
        turn(b);
        n = recv(fd, heard, sizeof heard, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno == ECONNRESET))
            return;
        if (n > 0)
            answer_len -= (size_t)n < answer_len ? (size_t)n : answer_len;
    }
}

static void greet(struct bench *b, int fd, const char *name, bool keeps)
{
    uint8_t room[128];
    struct buffer out = buffer_on(room, sizeof room);
    packet_put_connect(&out, &(struct packet_connect){.client_id = name, .keepalive_s = 60});
    if (keeps)
        room[FLAGS_AT] &= (uint8_t)~CLEAN_SESSION;
    talk(b, fd, span_buffer(&out), CONNACK_LEN);
}

/* Topics of many levels, each of which the broker keeps for this name when its owner is gone. */
static void subscribe_deeply(struct bench *b, unsigned stranger)
{
    static uint8_t room[SAID_MAX];
    struct buffer out = buffer_on(room, sizeof room);
    char name[32], topic[32 + 2 * LEVELS];
    int fd = knock(b);
    snprintf(name, sizeof name, "stranger-%u", stranger);
    greet(b, fd, name, true);
    uint16_t asked = 0;
    for (;; asked++) {
        int len = snprintf(topic, sizeof topic, "%u-%u", stranger, asked);
        for (int i = 0; i < LEVELS; i++, len += 2)
            memcpy(topic + len, "/a", 3);
        if (packet_put_subscribe(&out, asked + 1, &(const char *){topic}, 1, 0) < 0)
            break;
    }
    talk(b, fd, span_buffer(&out), (size_t)asked * SUBACK_LEN);
    close(fd);
}

/* True when the manager has heard it. */
static bool asks_to_join(struct bench *b)
{
    uint8_t room[256];
    struct buffer out = buffer_on(room, sizeof room);
    unsigned before = b->requests;
    packet_put_publish(&out, 1, "dl1/join/0011223344556677", span_text("please"), false);
    int fd = knock(b);
    greet(b, fd, "device", false);
    talk(b, fd, span_buffer(&out), PUBACK_LEN);
    for (int i = 0; b->requests == before && i < TURNS_MAX; i++)
        turn(b);
    close(fd);
    return b->requests > before;
}

/* What is asked before the manager listens gets lost, and is asked again. */
static bool gets_through(struct bench *b)
{
    uint64_t until_ms = clock_monotonic_ms() + PATIENCE_MS;
    bool heard = false;
    while (!heard && clock_monotonic_ms() < until_ms)
        heard = asks_to_join(b);
    return heard;
}

/* ---- tests ---- */

static void test_request_comes_through(void)
{
    struct bench *b = bench_new();
    CU_ASSERT_TRUE(gets_through(b));
    bench_free(b);
}

static void test_broker_that_strangers_have_filled_is_started_anew(void)
{
    struct bench *b = bench_new();
    pid_t first = broker_of(b);
    unsigned strangers = 0;
    while (strangers < STRANGERS_MAX && broker_of(b) == first &&
           memory_of(first) < DOOR_MEMORY_FULL)
        subscribe_deeply(b, strangers++);
    CU_ASSERT_TRUE(strangers > 1 && strangers < STRANGERS_MAX);
    uint64_t until_ms = clock_monotonic_ms() + PATIENCE_MS;
    while (broker_of(b) == first && clock_monotonic_ms() < until_ms)
        turn(b);
    CU_ASSERT_TRUE(gets_through(b));
    CU_ASSERT_NOT_EQUAL(broker_of(b), first);
    bench_free(b);
}

/* Mosquitto itself sees to it, which ends when it lacks memory at a bad moment. */
static void test_nobody_fills_it_further_than_it_may_be_however_fast(void)
{
    struct bench *b = bench_new();
    uint64_t most = 0;
    for (unsigned stranger = 0; stranger < STRANGERS_MAX; stranger++) {
        subscribe_deeply(b, stranger);
        uint64_t bytes = memory_of(broker_of(b));
        most = bytes > most ? bytes : most;
    }
    CU_ASSERT_TRUE(most > DOOR_MEMORY_FULL / 2 && most < DOOR_MEMORY_MAX + BESIDE_THE_HEAP);
    CU_ASSERT_TRUE(gets_through(b));
    bench_free(b);
}

static const struct suite_test tests[] = {
    TEST(test_request_comes_through),
    TEST(test_broker_that_strangers_have_filled_is_started_anew),
    TEST(test_nobody_fills_it_further_than_it_may_be_however_fast),
};

SUITE_MAIN("door", tests)
