/*
 * real_broker: mosquitto processes on free ports of the loopback.
 */
#ifndef DUNLIN_TEST_REAL_BROKER_H
#define DUNLIN_TEST_REAL_BROKER_H

#include "test/suite.h"

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* How long anything may take before the test has failed. */
#define PATIENCE_MS 60000

static inline uint64_t real_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

struct real_broker {
    pid_t pid;
    int port;
    char url[64];
    char conf[64];
};

/* A socket bound to a free port of the loopback. */
static inline int bind_free(int *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&address, len), 0);
    CU_ASSERT_EQUAL_FATAL(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static inline bool answers(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool connected = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return connected;
}

static inline void exec_broker(const char *conf)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!freopen("/dev/null", "w", stderr)) /* it warns about root */
        _exit(126);
    execlp("mosquitto", "mosquitto", "-c", conf, (char *)NULL);
    execl("/usr/sbin/mosquitto", "mosquitto", "-c", conf, (char *)NULL);
    _exit(127);
}

static inline void real_broker_run(struct real_broker *b)
{
    b->pid = fork();
    if (b->pid == 0)
        exec_broker(b->conf);
    uint64_t deadline = real_ms() + PATIENCE_MS;
    while (!answers(b->port) && real_ms() < deadline)
        poll(NULL, 0, 5);
    CU_ASSERT_TRUE_FATAL(answers(b->port));
}

static inline void real_broker_kill(struct real_broker *b)
{
    kill(b->pid, SIGKILL);
    waitpid(b->pid, NULL, 0);
}

/* With one listener, to which `more` belongs. */
static inline struct real_broker real_broker_start(const char *more)
{
    struct real_broker b = {.conf = "/tmp/dunlin-test-mqtt-XXXXXX"};
    int fd = mkstemp(b.conf);
    CU_ASSERT_TRUE_FATAL(fd >= 0);
    close(bind_free(&b.port));
    /* Staying root keeps the death signal, which a change of user would clear. */
    dprintf(fd, "user root\nlistener %d 127.0.0.1\nlog_dest none\n%s\n", b.port, more);
    close(fd);
    snprintf(b.url, sizeof b.url, "mqtt://127.0.0.1:%d", b.port);
    real_broker_run(&b);
    return b;
}

static inline void real_broker_stop(struct real_broker *b)
{
    if (b->pid > 0) {
        real_broker_kill(b);
        unlink(b->conf);
    }
    b->pid = 0;
}

#endif
