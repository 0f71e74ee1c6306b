/* Real sockets: devices on loopback, and a door that the test plays. */
#include "manager/porter.h"

#include "base/log.h"
#include "manager/broker.h"
#include "test/suite.h"
#include "test/tree.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#define TURNS_MAX 2000
#define FIRST_COMERS 8
#define LATE_COMERS 12
#define RATE 1000

struct bench {
    struct tree_path dir;
    struct tree_path path;
    int port;
    int door;
    uint64_t now_ms;
    struct porter *porter;
};

static int open_door(const struct tree_path *path, int backlog)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    snprintf(at.sun_path, sizeof at.sun_path, "%.100s", path->text);
    tree_must(bind(fd, (struct sockaddr *)&at, sizeof at) == 0 && listen(fd, backlog) == 0, "door");
    return fd;
}

static struct bench bench_new(uint32_t rate, int backlog)
{
    struct errmsg em = {.text = ""};
    struct bench b = {.dir = tree_new(), .now_ms = 1000};
    log_threshold(LOG_ERROR);
    b.path = tree_join(&b.dir, "door");
    b.port = broker_free_port("127.0.0.1", 0);
    b.door = open_door(&b.path, backlog);
    b.porter = porter_new(
        &(struct porter_options){
            .host = "127.0.0.1", .port = b.port, .door = b.path.text, .rate = rate},
        &em);
    tree_must(b.porter != NULL, em.text);
    return b;
}

static void bench_free(struct bench *b)
{
    porter_free(b->porter);
    close(b->door);
    tree_free(&b->dir);
}

static void turn(struct bench *b)
{
    struct pollfd fd = {.fd = porter_descriptor(b->porter), .events = POLLIN};
    poll(&fd, 1, 2);
    porter_service(b->porter, b->now_ms);
}

static int device_from(const struct bench *b, uint32_t from)
{
    struct sockaddr_in self = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(from)};
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)b->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    tree_must(bind(fd, (struct sockaddr *)&self, sizeof self) == 0 &&
                  connect(fd, (struct sockaddr *)&to, sizeof to) == 0,
              "device");
    return fd;
}

static int device(const struct bench *b)
{
    return device_from(b, INADDR_LOOPBACK);
}

/* The next that comes through, or -1. */
static int arrival(struct bench *b)
{
    for (int i = 0; i < 100; i++) {
        int fd = accept4(b->door, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            return fd;
        turn(b);
    }
    return -1;
}

static bool readable(struct bench *b, int fd)
{
    for (int i = 0; i < 100; i++) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        turn(b);
        if (poll(&p, 1, 0) == 1)
            return true;
    }
    return false;
}

static bool is_closed(struct bench *b, int fd)
{
    char c;
    ssize_t n = readable(b, fd) ? recv(fd, &c, 1, MSG_DONTWAIT) : 1;
    return n == 0 || (n < 0 && errno == ECONNRESET);
}

static void test_bytes_come_through_both_ways(void)
{
    struct bench b = bench_new(RATE, 10);
    char text[16];
    int out = device(&b), in = arrival(&b);
    CU_ASSERT_EQUAL(write(out, "knock", 5), 5);
    CU_ASSERT_TRUE(readable(&b, in));
    CU_ASSERT_EQUAL(read(in, text, sizeof text), 5);
    CU_ASSERT_EQUAL(write(in, "come in", 7), 7);
    close(in); /* the last words are still heard */
    CU_ASSERT_TRUE(readable(&b, out));
    CU_ASSERT_EQUAL(read(out, text, sizeof text), 7);
    CU_ASSERT_TRUE(is_closed(&b, out));
    CU_ASSERT_EQUAL(porter_counters(b.porter).accepted, 1);
    CU_ASSERT_EQUAL(porter_counters(b.porter).open, 0);
    close(out);
    bench_free(&b);
}

static void test_device_that_leaves_is_gone_at_the_door(void)
{
    struct bench b = bench_new(RATE, 10);
    int out = device(&b), in = arrival(&b);
    close(out);
    CU_ASSERT_TRUE(is_closed(&b, in));
    CU_ASSERT_EQUAL(porter_counters(b.porter).open, 0);
    close(in);
    bench_free(&b);
}

/* Neither end may make the manager hold more than its buffers. */
static void test_who_does_not_read_makes_the_other_wait(void)
{
    struct bench b = bench_new(RATE, 10);
    static char much[65536];
    int out = device(&b), in = arrival(&b);
    int small = 4096;
    size_t sent = 0, got = 0;
    setsockopt(in, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    while (sent < PORTER_UP_BYTES_MAX) {
        ssize_t n = send(out, much, sizeof much, MSG_DONTWAIT);
        turn(&b);
        if (n <= 0)
            break;
        sent += (size_t)n;
    }
    for (int i = 0; i < TURNS_MAX && got < sent && got < PORTER_UP_BYTES_MAX; i++) {
        ssize_t n = recv(in, much, sizeof much, MSG_DONTWAIT);
        got += n > 0 ? (size_t)n : 0;
        turn(&b);
    }
    CU_ASSERT_TRUE(got >= (sent < PORTER_UP_BYTES_MAX ? sent : PORTER_UP_BYTES_MAX));
    close(out);
    close(in);
    bench_free(&b);
}

static void test_endless_bytes_are_cut(void)
{
    struct bench b = bench_new(RATE, 10);
    static char much[65536];
    int out = device(&b), in = arrival(&b);
    size_t got = 0;
    for (int i = 0; i < TURNS_MAX && porter_counters(b.porter).cut == 0; i++) {
        send(out, much, sizeof much, MSG_DONTWAIT | MSG_NOSIGNAL);
        turn(&b);
        ssize_t n = recv(in, much, sizeof much, MSG_DONTWAIT);
        got += n > 0 ? (size_t)n : 0;
    }
    CU_ASSERT_EQUAL(porter_counters(b.porter).cut, 1);
    CU_ASSERT_TRUE(got <= PORTER_UP_BYTES_MAX + 16384);
    close(out);
    close(in);
    bench_free(&b);
}

static void test_endless_time_is_cut(void)
{
    struct bench b = bench_new(RATE, 10);
    int out = device(&b), in = arrival(&b);
    b.now_ms += PORTER_SECONDS_MAX * 1000 - 1;
    turn(&b);
    CU_ASSERT_EQUAL(porter_counters(b.porter).open, 1);
    b.now_ms += 2000;
    turn(&b);
    CU_ASSERT_TRUE(is_closed(&b, out));
    CU_ASSERT_TRUE(is_closed(&b, in));
    CU_ASSERT_EQUAL(porter_counters(b.porter).cut, 1);
    close(out);
    close(in);
    bench_free(&b);
}

static void test_source_that_knocks_too_often_is_refused_and_others_are_not(void)
{
    struct bench b = bench_new(2, 128);
    int fds[60];
    for (int i = 0; i < 60; i++)
        fds[i] = device(&b);
    for (int i = 0; i < 20; i++)
        turn(&b);
    CU_ASSERT_EQUAL(porter_counters(b.porter).accepted, 2 * PORTER_BURST);
    CU_ASSERT_EQUAL(porter_counters(b.porter).refused_source, 60 - 2 * PORTER_BURST);
    CU_ASSERT_TRUE(is_closed(&b, fds[59]));
    int other = device_from(&b, INADDR_LOOPBACK + 1);
    for (int i = 0; i < 20; i++)
        turn(&b);
    CU_ASSERT_EQUAL(porter_counters(b.porter).accepted, 2 * PORTER_BURST + 1);
    b.now_ms += 500;
    close(device(&b));
    for (int i = 0; i < 5; i++)
        turn(&b);
    CU_ASSERT_EQUAL(porter_counters(b.porter).accepted, 2 * PORTER_BURST + 2);
    for (int i = 0; i < 60; i++)
        close(fds[i]);
    close(other);
    bench_free(&b);
}

/* Mosquitto's line has ten places. */
static void test_full_line_at_the_door_is_waited_for(void)
{
    struct bench b = bench_new(RATE, 0);
    int fds[8], through[8], count = 0;
    for (int i = 0; i < 8; i++)
        fds[i] = device(&b);
    for (int i = 0; i < 20; i++)
        turn(&b);
    CU_ASSERT_EQUAL(porter_counters(b.porter).open, 8);
    CU_ASSERT_TRUE(porter_deadline_ms(b.porter) <= b.now_ms + 10);
    for (int i = 0; i < TURNS_MAX && count < 8; i++) {
        b.now_ms += 5;
        turn(&b);
        int fd = accept4(b.door, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            through[count++] = fd;
    }
    CU_ASSERT_EQUAL(count, 8);
    turn(&b);
    CU_ASSERT_EQUAL(porter_deadline_ms(b.porter), UINT64_MAX);
    for (int i = 0; i < 8; i++) {
        close(fds[i]);
        close(through[i]);
    }
    bench_free(&b);
}

/* Of those that keep knocking, whoever came first is let in first: each new one would else take
 * the place of one that has just gone, before those that wait. */
static void test_nobody_overtakes_those_who_wait(void)
{
    struct bench b = bench_new(RATE, 0);
    int fds[FIRST_COMERS + LATE_COMERS], known = FIRST_COMERS, early = 0;
    for (int i = 0; i < FIRST_COMERS; i++)
        fds[i] = device(&b);
    for (int i = 0; i < 20; i++)
        turn(&b);
    for (int i = 0; i < TURNS_MAX && known < FIRST_COMERS + LATE_COMERS; i++) {
        uint8_t number = 0;
        b.now_ms += 5;
        turn(&b);
        int fd = accept4(b.door, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            continue;
        for (int k = 0; k < known; k++)
            send(fds[k], &(uint8_t){(uint8_t)(k + 1)}, 1, MSG_NOSIGNAL);
        for (int tries = 0; tries < TURNS_MAX && recv(fd, &number, 1, MSG_DONTWAIT) != 1; tries++)
            turn(&b);
        early += number >= 1 && number <= FIRST_COMERS;
        close(fd);
        turn(&b);
        fds[known++] = device(&b);
        turn(&b);
    }
    CU_ASSERT_EQUAL(early, FIRST_COMERS);
    for (int i = 0; i < known; i++)
        close(fds[i]);
    bench_free(&b);
}

static void test_door_that_is_not_there_closes(void)
{
    struct bench b = bench_new(RATE, 10);
    close(b.door);
    int out = device(&b);
    CU_ASSERT_TRUE(is_closed(&b, out));
    CU_ASSERT_EQUAL(porter_counters(b.porter).open, 0);
    b.door = socket(AF_UNIX, SOCK_STREAM, 0);
    close(out);
    bench_free(&b);
}

static void test_all_places_are_taken(void)
{
    struct bench b = bench_new(10000, 4096);
    static int fds[PORTER_CONNECTIONS_MAX + 100];
    int count = PORTER_CONNECTIONS_MAX + 100;
    for (int i = 0; i < count; i++) {
        fds[i] = device_from(&b, INADDR_LOOPBACK + (uint32_t)i % 50);
        if (i % 32 == 0)
            turn(&b);
    }
    for (int i = 0; i < 50; i++)
        turn(&b);
    CU_ASSERT_EQUAL(porter_counters(b.porter).open, PORTER_CONNECTIONS_MAX);
    CU_ASSERT_EQUAL(porter_counters(b.porter).refused_full, 100);
    for (int i = 0; i < count; i++)
        close(fds[i]);
    for (int i = 0; i < 50 && porter_counters(b.porter).open > 0; i++)
        turn(&b);
    CU_ASSERT_EQUAL(porter_counters(b.porter).open, 0);
    bench_free(&b);
}

static void test_taken_port_is_an_error_that_names_it(void)
{
    struct bench b = bench_new(RATE, 10);
    struct errmsg em = {.text = ""};
    char name[16];
    snprintf(name, sizeof name, "port %d", b.port);
    struct porter_options o = {
        .host = "127.0.0.1", .port = b.port, .door = b.path.text, .rate = RATE};
    CU_ASSERT_PTR_NULL(porter_new(&o, &em));
    CU_ASSERT_PTR_NOT_NULL(strstr(em.text, name));
    bench_free(&b);
}

static const struct suite_test tests[] = {
    TEST(test_bytes_come_through_both_ways),
    TEST(test_device_that_leaves_is_gone_at_the_door),
    TEST(test_who_does_not_read_makes_the_other_wait),
    TEST(test_endless_bytes_are_cut),
    TEST(test_endless_time_is_cut),
    TEST(test_source_that_knocks_too_often_is_refused_and_others_are_not),
    TEST(test_full_line_at_the_door_is_waited_for),
    TEST(test_nobody_overtakes_those_who_wait),
    TEST(test_door_that_is_not_there_closes),
    TEST(test_all_places_are_taken),
    TEST(test_taken_port_is_an_error_that_names_it),
};

SUITE_MAIN("porter", tests)
