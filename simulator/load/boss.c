#include "simulator/load/boss.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* A manager with hundreds of brokers and a million agents is there in a few seconds. */
#define START_MS_MAX 120000
#define STOP_MS_MAX 60000
/* An operator's command, the longest of which makes a token for each of a million agents. */
#define COMMAND_MS_MAX 600000
#define ANSWER_MS_MAX 60000
#define ANSWER_MAX (8u << 20)
#define REQUEST_MAX 4096
/* New connections to join, from each worker's address. */
#define JOIN_RATE "100000"
/* All links that are lost at once come back within it. */
#define STORM "2s"

static pid_t read_pid(const char *path);
static int find_programs(struct boss *b, struct errmsg *em);
static bool answers(struct boss *b);
static void find_manager(struct boss *b);
static pid_t spawn(const struct boss *b, const char *program, char *const *words);
static void find_brokers(struct boss *b);
static int connect_api(const struct boss *b);
static int send_request(int fd, const char *method, const char *route, const char *body);
static char *read_answer(int fd);
static json_t *parse_answer(const char *text, const char *route, struct errmsg *em);
static int wait_end(pid_t pid, uint64_t ms_max, const volatile bool *stop, int *status);

/* ---- the process ---- */

int boss_open(struct boss *b, const char *dir, unsigned cells, bool tls, const volatile bool *stop,
              struct errmsg *em)
{
    *b = (struct boss){.cells = cells, .tls = tls, .stop = stop};
    int rv = file_make_folder(dir, 0700, em);
    char *path = rv == 0 ? realpath(dir, NULL) : NULL;
    if (rv == 0)
        rv = path ? file_path(b->dir, em, "%s", path) : ERR_IO;
    free(path);
    if (rv == 0)
        rv = find_programs(b, em);
    if (rv < 0)
        return rv;
    b->ours = !answers(b);
    if (b->ours)
        return boss_start(b, em);
    find_manager(b);
    find_brokers(b);
    return 0;
}

/* One that somebody else has started: its lock tells who it is. */
static void find_manager(struct boss *b)
{
    char path[FILE_PATH_MAX];
    json_t *status = boss_ask(b, "GET", "/v1/status", NULL, NULL);
    b->cells = (unsigned)json_array_size(json_object_get(status, "cells"));
    json_decref(status);
    if (file_path(path, NULL, "%s/manager.lock", b->dir) == 0)
        b->pid = read_pid(path);
}

/* 0: there is none. */
static pid_t read_pid(const char *path)
{
    uint8_t text[32] = {0};
    struct buffer pid = buffer_on(text, sizeof text - 1);
    return file_read(path, &pid, NULL) == 0 ? (pid_t)atoi((char *)text) : 0;
}

/* Beside this program, or where the shell finds them. */
static int find_programs(struct boss *b, struct errmsg *em)
{
    ssize_t len = readlink("/proc/self/exe", b->programs, sizeof b->programs - 1);
    char *slash = len > 0 ? (b->programs[len] = '\0', strrchr(b->programs, '/')) : NULL;
    if (!slash)
        return errmsg_set(em, ERR_IO, "cannot find the folder of this program");
    *slash = '\0';
    return 0;
}

bool boss_answers(const char *dir)
{
    struct boss b = {.pid = 0};
    return file_path(b.dir, NULL, "%s", dir) == 0 && answers(&b);
}

int boss_start(struct boss *b, struct errmsg *em)
{
    char cells[16];
    uint64_t until_ms = clock_monotonic_ms() + START_MS_MAX;
    snprintf(cells, sizeof cells, "%u", b->cells);
    char *words[] = {"dunlin-manager",
                     "run",
                     "--dir",
                     b->dir,
                     "--listen",
                     "127.0.0.1:0",
                     "--cells",
                     cells,
                     "--join-rate",
                     JOIN_RATE,
                     "--reconnect-spread",
                     STORM,
                     "--log",
                     "warn",
                     b->tls ? NULL : "--plain",
                     NULL};
    b->pid = spawn(b, "dunlin-manager", words);
    while (b->pid > 0 && !answers(b)) {
        if (*b->stop)
            return errmsg_set(em, ERR_BUSY, "stopped");
        if (clock_monotonic_ms() > until_ms || waitpid(b->pid, NULL, WNOHANG) == b->pid)
            return errmsg_set(em, ERR_IO, "the manager does not start: see %s/load.log", b->dir);
        poll(NULL, 0, 20);
    }
    find_brokers(b);
    return b->pid > 0 ? 0 : errmsg_set(em, ERR_IO, "no process for the manager");
}

static bool answers(struct boss *b)
{
    json_t *status = boss_ask(b, "GET", "/v1/status", NULL, NULL);
    json_decref(status);
    return status != NULL;
}

/* In a session of its own: Ctrl-C reaches this program alone, and Linux, which shares processors
 * out between sessions first (sched(7), "The autogroup feature"), does not take it for one of the
 * many processes of agents. */
static pid_t spawn(const struct boss *b, const char *program, char *const *words)
{
    char path[FILE_PATH_MAX], log[FILE_PATH_MAX];
    if (file_path(path, NULL, "%s/%s", b->programs, program) < 0 ||
        file_path(log, NULL, "%s/load.log", b->dir) < 0)
        return -1;
    fflush(NULL);
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    setsid();
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    execv(path, words);
    execvp(program, words);
    _exit(127);
}

/* Each broker writes its number into its folder. */
static void find_brokers(struct boss *b)
{
    b->broker_count = 0;
    for (unsigned i = 0; i <= b->cells && b->broker_count < BOSS_BROKERS_MAX; i++) {
        char path[FILE_PATH_MAX];
        int rv = i < b->cells ? file_path(path, NULL, "%s/cells/%u/pid", b->dir, i)
                              : file_path(path, NULL, "%s/door/pid", b->dir);
        pid_t pid = rv == 0 ? read_pid(path) : 0;
        if (pid > 0)
            b->brokers[b->broker_count++] = pid;
    }
}

void boss_kill(struct boss *b)
{
    b->gone = boss_usage(b);
    if (b->pid > 0) {
        kill(b->pid, SIGKILL);
        waitpid(b->pid, NULL, 0);
    }
    b->pid = 0;
}

void boss_close(struct boss *b)
{
    if (!b->ours || b->pid <= 0)
        return;
    find_brokers(b);
    kill(b->pid, SIGTERM);
    if (wait_end(b->pid, STOP_MS_MAX, NULL, NULL) == ERR_TIMEOUT)
        boss_kill(b);
    for (unsigned i = 0; i < b->broker_count; i++)
        if (kill(b->brokers[i], 0) == 0)
            kill(b->brokers[i], SIGKILL);
    b->pid = 0;
}

/* Until it ends: its status. ERR_BUSY when `stop` came first, ERR_TIMEOUT, or ERR_IO when it is no
 * child of ours. */
static int wait_end(pid_t pid, uint64_t ms_max, const volatile bool *stop, int *status)
{
    uint64_t until_ms = clock_monotonic_ms() + ms_max;
    for (;;) {
        pid_t ended = waitpid(pid, status, WNOHANG);
        if (ended != 0)
            return ended < 0 ? ERR_IO : 0;
        if (stop && *stop)
            return ERR_BUSY;
        if (clock_monotonic_ms() >= until_ms)
            return ERR_TIMEOUT;
        poll(NULL, 0, 1);
    }
}

int boss_run(struct boss *b, const char *const *words, struct errmsg *em)
{
    union {
        const char *in[32];
        char *out[32];
    } all = {.in = {"dunlin", "--dir", b->dir}};
    int status = 0;
    for (size_t i = 0; words[i] && i + 4 < 32; i++)
        all.in[3 + i] = words[i];
    pid_t pid = spawn(b, "dunlin", all.out);
    int rv = pid < 0 ? ERR_IO : wait_end(pid, COMMAND_MS_MAX, b->stop, &status);
    if (rv == ERR_BUSY || rv == ERR_TIMEOUT) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    if (rv == 0 && (!WIFEXITED(status) || WEXITSTATUS(status) != 0))
        rv = ERR_REFUSED;
    if (rv < 0)
        errmsg_set(em, rv, "dunlin %s %s %s: see %s/load.log", words[0], words[1] ? words[1] : "",
                   rv == ERR_BUSY      ? "was stopped"
                   : rv == ERR_TIMEOUT ? "did not end within ten minutes"
                                       : "failed",
                   b->dir);
    return rv;
}

struct usage boss_usage(const struct boss *b)
{
    struct usage u = usage_of(b->pid);
    u.cpu_us += b->gone.cpu_us;
    u.peak_kib = u.peak_kib > b->gone.peak_kib ? u.peak_kib : b->gone.peak_kib;
    return u;
}

struct usage boss_brokers(const struct boss *b)
{
    struct usage sum = {0};
    for (unsigned i = 0; i < b->broker_count; i++) {
        struct usage u = usage_of(b->brokers[i]);
        usage_add(&sum, &u);
    }
    return sum;
}

static uint64_t bytes_of(const struct boss *b, const char *end)
{
    char path[FILE_PATH_MAX];
    struct stat st;
    bool there = file_path(path, NULL, "%s/manager.db%s", b->dir, end) == 0 && stat(path, &st) == 0;
    return there ? (uint64_t)st.st_size : 0;
}

uint64_t boss_database_bytes(const struct boss *b)
{
    return bytes_of(b, "") + boss_log_bytes(b);
}

uint64_t boss_log_bytes(const struct boss *b)
{
    return bytes_of(b, "-wal");
}

/* ---- its API: HTTP, one request a connection ---- */

json_t *boss_ask(struct boss *b, const char *method, const char *route, const char *body,
                 struct errmsg *em)
{
    int fd = connect_api(b);
    int rv = fd < 0 ? ERR_IO : send_request(fd, method, route, body);
    char *text = rv == 0 ? read_answer(fd) : NULL;
    json_t *json = text ? parse_answer(text, route, em) : NULL;
    if (!text)
        errmsg_set(em, ERR_IO, "the manager does not answer on %s/manager.sock", b->dir);
    free(text);
    if (fd >= 0)
        close(fd);
    return json;
}

/* A socket's name is short, a path needn't be. */
static int connect_api(const struct boss *b)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int dir = open(b->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int fd = dir < 0 ? -1 : socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(at.sun_path, sizeof at.sun_path, "/proc/self/fd/%d/manager.sock", dir);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof at) < 0) {
        close(fd);
        fd = -1;
    }
    if (dir >= 0)
        close(dir);
    return fd;
}

static int send_request(int fd, const char *method, const char *route, const char *body)
{
    char text[REQUEST_MAX];
    int len = snprintf(text, sizeof text,
                       "%s %s HTTP/1.1\r\nHost: manager\r\nConnection: close\r\n"
                       "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                       method, route, body ? strlen(body) : 0, body ? body : "");
    bool sent = len < (int)sizeof text && send(fd, text, (size_t)len, MSG_NOSIGNAL) == len;
    return sent ? 0 : ERR_IO;
}

/* All until the end, as text. */
static char *read_answer(int fd)
{
    char *text = malloc(65536);
    size_t len = 0, cap = 65536;
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    while (text && poll(&ready, 1, ANSWER_MS_MAX) == 1) {
        ssize_t got = recv(fd, text + len, cap - len - 1, 0);
        if (got <= 0) {
            text[len] = '\0';
            return text;
        }
        len += (size_t)got;
        char *more = len + 1 < cap ? text : cap < ANSWER_MAX ? realloc(text, cap *= 2) : NULL;
        if (!more)
            break;
        text = more;
    }
    free(text);
    return NULL;
}

static json_t *parse_answer(const char *text, const char *route, struct errmsg *em)
{
    const char *body = strstr(text, "\r\n\r\n");
    int code = 0;
    if (!body || sscanf(text, "HTTP/1.%*d %d", &code) != 1 || code / 100 != 2) {
        errmsg_set(em, ERR_REFUSED, "%s: the manager answers %d: %.200s", route, code,
                   body ? body + 4 : "");
        return NULL;
    }
    json_t *json = json_loads(body + 4, 0, NULL);
    if (!json)
        errmsg_set(em, ERR_FORMAT, "%s: the manager's answer is no JSON", route);
    return json;
}
