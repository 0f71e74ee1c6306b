#include "manager/broker.h"

#include "base/file.h"
#include "base/limits.h"
#include "base/log.h"
#include "manager/broker_config.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * Whoever runs Mosquitto in a cell's folder holds a record lock on the file `lock` in it: taken
 * between fork and exec, kept by the process over exec, given back by the kernel at its end. So the
 * kernel itself tells whether one runs and under which process id, with nothing on disk that could
 * be stale.
 */

/* Between two looks whether a starting Mosquitto listens. */
#define READY_STEP_MS 5
/* Whose next death was to be waited for so long has died three times in a row. */
#define LOOP_MS (4 * BROKER_RETRY_MS_MIN)
/* A log this long is set aside; strangers can make it grow. */
#define LOG_BYTES_MAX (1 << 20)

struct broker {
    char dir[FILE_PATH_MAX]; /* absolute */
    char program[FILE_PATH_MAX];
    char host[BROKER_HOST_MAX + 1];
    int port; /* 0: a door's */
    size_t config_len;
    char config[BROKER_CONFIG_MAX];
    int pidfd; /* -1: none runs */
    pid_t pid;
    bool adopted;
    uint64_t kill_ms; /* it was told to end, for the next one to start: until then; 0: it wasn't */
    uint64_t started_ms; /* 0 for the first start: its death is waited for the shortest time */
    uint64_t retry_ms;   /* while none runs: when to start the next */
    uint32_t wait_ms;    /* the wait after the next death */
    bool complained;     /* the failing restart was logged */
};

typedef int socket_call(int fd, const struct sockaddr *address, socklen_t len);

static int prepare(struct broker *b, const struct broker_options *options, struct errmsg *em);
static int find_program(char out[static FILE_PATH_MAX], struct errmsg *em);
static int take_address(struct broker *b, const struct broker_options *options, struct errmsg *em);
static bool host_valid(const char *host);
static int check_socket_paths(const struct broker *b, struct errmsg *em);
static int make_config(struct broker *b, const struct broker_options *options, struct errmsg *em);
static int bring_up(struct broker *b, struct errmsg *em);
static int adopt(struct broker *b, struct errmsg *em);
static int find_holder(int lock, pid_t *pid);
static bool same_config(const struct broker *b);
static int spawn(struct broker *b, struct errmsg *em);
static int run_child(struct broker *b, int lock, int log, struct errmsg *em);
static _Noreturn void become_mosquitto(const struct broker *b, pid_t parent, int lock, int log,
                                       const char *config_path);
static int wait_ready(struct broker *b, struct errmsg *em);
static bool answers(const struct broker *b);
static bool ended(const struct broker *b, int wait_ms);
static void let_go(struct broker *b);
static void note_end(struct broker *b, uint64_t now_ms);
static void last_words(const struct broker *b, char *out, size_t cap);
static bool is_of_memory(const char *reason);
static bool set_memory_aside(const struct broker *b);
static void set_log_aside(const struct broker *b);
static int open_in(const struct broker *b, const char *name, int flags, struct errmsg *em);
static int try_socket(const char *host, int port, socket_call *call, int *chosen);

struct broker *broker_start(const struct broker_options *options, struct errmsg *em)
{
    struct broker *b = calloc(1, sizeof *b);
    if (!b) {
        errmsg_set(em, ERR_NO_MEMORY, "out of memory");
        return NULL;
    }
    b->pidfd = -1;
    b->wait_ms = BROKER_RETRY_MS_MIN;
    int rv = prepare(b, options, em);
    do {
        if (rv == 0 || rv == ERR_DAMAGED)
            rv = bring_up(b, em);
        if (rv == 0)
            rv = wait_ready(b, em);
    } while (rv == ERR_DAMAGED);
    if (rv == 0)
        return b;
    if (rv == ERR_BUSY && options->patient) {
        log_event(LOG_WARN, "broker-waits", "dir=%s port-in-use=%d", b->dir, b->port);
        b->complained = true;
        return b;
    }
    broker_free(b);
    return NULL;
}

int broker_descriptor(const struct broker *b)
{
    return b->pidfd;
}

void broker_service(struct broker *b, uint64_t now_ms)
{
    if (b->pidfd >= 0) {
        set_log_aside(b);
        if (b->kill_ms != 0 && now_ms >= b->kill_ms)
            pidfd_send_signal(b->pidfd, SIGKILL, NULL, 0);
        if (!ended(b, 0))
            return;
        note_end(b, now_ms);
    }
    if (now_ms < b->retry_ms)
        return;
    struct errmsg em = {0};
    b->wait_ms = b->wait_ms < BROKER_RETRY_MS_MAX / 2 ? b->wait_ms * 2 : BROKER_RETRY_MS_MAX;
    int rv = bring_up(b, &em);
    b->started_ms = now_ms;
    b->retry_ms = now_ms + b->wait_ms;
    if (rv < 0 && !b->complained)
        log_event(LOG_ERROR, "broker-restart-failed", "dir=%s error=\"%s\"", b->dir, em.text);
    b->complained = rv < 0;
}

/* Nobody is waited for who was told to end. */
static void note_end(struct broker *b, uint64_t now_ms)
{
    char reason[256];
    bool told = b->kill_ms != 0;
    last_words(b, reason, sizeof reason);
    if (told)
        log_event(LOG_INFO, "broker-ended", "dir=%s pid=%d", b->dir, (int)b->pid);
    else
        log_event(LOG_ERROR, "broker-died", "dir=%s pid=%d reason=\"%s\"", b->dir, (int)b->pid,
                  reason);
    let_go(b);
    if (told || now_ms - b->started_ms >= BROKER_RETRY_MS_MAX)
        b->wait_ms = BROKER_RETRY_MS_MIN;
    /* One that has no memory left ends without a word, and may come back as full as it went. */
    if (!told && (is_of_memory(reason) || b->wait_ms >= LOOP_MS))
        set_memory_aside(b);
    b->retry_ms = told ? now_ms : now_ms + b->wait_ms;
    b->kill_ms = 0;
}

uint64_t broker_deadline_ms(const struct broker *b)
{
    if (b->pidfd < 0)
        return b->retry_ms;
    return b->kill_ms != 0 ? b->kill_ms : UINT64_MAX;
}

pid_t broker_pid(const struct broker *b)
{
    return broker_running(b) ? b->pid : 0;
}

bool broker_running(const struct broker *b)
{
    return b->pidfd >= 0 && !ended(b, 0);
}

/* The second number of its statm is of pages that are there (proc(5)). */
uint64_t broker_memory(const struct broker *b)
{
    char path[64], text[128];
    struct buffer statm = buffer_on(text, sizeof text - 1);
    snprintf(path, sizeof path, "/proc/%d/statm", (int)broker_pid(b));
    if (file_read(path, &statm, NULL) < 0)
        return 0;
    text[statm.len] = '\0';
    const char *second = strchr(text, ' ');
    return second ? strtoull(second, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

bool broker_adopted(const struct broker *b)
{
    return b->adopted;
}

/* Mosquitto looks for signals before it reads what came on its sockets. */
void broker_reload(const struct broker *b)
{
    if (b->pidfd >= 0)
        pidfd_send_signal(b->pidfd, SIGHUP, NULL, 0);
}

void broker_renew(struct broker *b, uint64_t now_ms)
{
    if (b->pidfd < 0 || b->kill_ms != 0)
        return;
    pidfd_send_signal(b->pidfd, SIGTERM, NULL, 0);
    b->kill_ms = now_ms + BROKER_STOP_MS;
}

void broker_stop(struct broker *b)
{
    if (b->pidfd < 0)
        return;
    pidfd_send_signal(b->pidfd, SIGTERM, NULL, 0);
    if (!ended(b, BROKER_STOP_MS)) {
        log_event(LOG_WARN, "broker-killed", "dir=%s pid=%d", b->dir, (int)b->pid);
        pidfd_send_signal(b->pidfd, SIGKILL, NULL, 0);
        ended(b, BROKER_STOP_MS);
    }
    let_go(b);
    b->retry_ms = UINT64_MAX;
}

/* Without options of its own it finds every Mosquitto outdated. */
void broker_stop_in(const char *dir)
{
    struct broker b = {.pidfd = -1};
    if (realpath(dir, b.dir) && adopt(&b, NULL) == 1)
        broker_stop(&b);
}

void broker_free(struct broker *b)
{
    if (!b)
        return;
    let_go(b);
    free(b);
}

int broker_free_port(const char *host, int first)
{
    for (int port = first; port <= UINT16_MAX; port++) {
        int chosen;
        int rv = try_socket(host, port, bind, &chosen);
        if (rv == 0)
            return chosen;
        if (errno != EADDRINUSE && errno != EACCES)
            return rv;
    }
    return ERR_NOT_FOUND;
}

int broker_no_port(const char *host, struct errmsg *em)
{
    if (errno == EADDRNOTAVAIL)
        return errmsg_set(em, ERR_IO,
                          "cannot listen on %.200s, which is no address of this machine: what "
                          "devices call it goes to --advertise",
                          host);
    return errmsg_set(em, ERR_IO, "no port is free on %.200s: %s", host, strerror(errno));
}

static int prepare(struct broker *b, const struct broker_options *options, struct errmsg *em)
{
    int rv = take_address(b, options, em);
    if (rv == 0)
        rv = find_program(b->program, em);
    if (rv == 0)
        rv = file_make_folder(options->dir, 0700, em);
    if (rv < 0)
        return rv;
    if (!realpath(options->dir, b->dir))
        return errmsg_set(em, file_error(errno), "%s: %s", options->dir, strerror(errno));
    rv = check_socket_paths(b, em);
    return rv < 0 ? rv : make_config(b, options, em);
}

static int take_address(struct broker *b, const struct broker_options *options, struct errmsg *em)
{
    if (options->kind == BROKER_DOOR)
        return 0;
    if (!host_valid(options->host) || options->port < 1 || options->port > UINT16_MAX)
        return errmsg_set(em, ERR_USAGE, "cannot listen on '%.80s' port %d: name a host and a port",
                          options->host, options->port);
    snprintf(b->host, sizeof b->host, "%s", options->host);
    b->port = options->port;
    return 0;
}

static int find_program(char out[static FILE_PATH_MAX], struct errmsg *em)
{
    char folders[FILE_PATH_MAX];
    const char *path = getenv("PATH");
    int rv = file_path(folders, em, "%s:/usr/sbin:/usr/local/sbin", path ? path : "/usr/bin");
    if (rv < 0)
        return rv;
    char *rest = folders;
    for (char *folder; (folder = strsep(&rest, ":"));)
        if (*folder && file_path(out, NULL, "%s/mosquitto", folder) == 0 && access(out, X_OK) == 0)
            return 0;
    return errmsg_set(em, ERR_NOT_FOUND,
                      "Mosquitto is not installed: run setup.sh, or install your system's package "
                      "'mosquitto'");
}

/* It becomes a word in a configuration file. */
static bool host_valid(const char *host)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789.:-_%";
    size_t len = host ? strlen(host) : 0;
    return len > 0 && len <= BROKER_HOST_MAX && strspn(host, allowed) == len;
}

/* The longest of them must fit into an address. */
static int check_socket_paths(const struct broker *b, struct errmsg *em)
{
    struct sockaddr_un address;
    if (strlen(b->dir) + sizeof "/" BROKER_GATE_SOCKET <= sizeof address.sun_path)
        return 0;
    return errmsg_set(em, ERR_RANGE,
                      "%s/" BROKER_GATE_SOCKET ": a socket's path has at most %zu bytes; choose a "
                      "shorter folder",
                      b->dir, sizeof address.sun_path - 1);
}

static int make_config(struct broker *b, const struct broker_options *options, struct errmsg *em)
{
    struct passwd *self = getpwuid(geteuid());
    struct buffer out = buffer_on(b->config, sizeof b->config);
    if (broker_config_write(options, self ? self->pw_name : "root", &out) < 0)
        return errmsg_set(em, ERR_RANGE, "%s: the broker's configuration is too long", b->dir);
    b->config_len = out.len;
    return 0;
}

static int bring_up(struct broker *b, struct errmsg *em)
{
    int rv = adopt(b, em);
    if (rv == ERR_NOT_FOUND)
        rv = spawn(b, em);
    if (rv < 0)
        return rv;
    b->adopted = rv == 1;
    log_event(LOG_INFO, "broker-started", "dir=%s pid=%d port=%d adopted=%s", b->dir, (int)b->pid,
              b->port, rv ? "yes" : "no");
    return 0;
}

/* 1: adopted. ERR_NOT_FOUND: none runs here, or not any more because its options differ. */
static int adopt(struct broker *b, struct errmsg *em)
{
    int lock = open_in(b, "lock", O_RDWR | O_CREAT, em);
    if (lock < 0)
        return lock;
    pid_t pid, again;
    int rv = find_holder(lock, &pid);
    int pidfd = rv == 0 ? pidfd_open(pid, 0) : -1;
    /* The process id may have gone to another process before it was opened; if the lock is still
     * held under the same one, it had not. */
    if (pidfd >= 0 && (find_holder(lock, &again) < 0 || again != pid)) {
        close(pidfd);
        pidfd = -1;
    }
    close(lock);
    if (pidfd < 0)
        return ERR_NOT_FOUND;
    b->pidfd = pidfd;
    b->pid = pid;
    if (same_config(b))
        return 1;
    log_event(LOG_INFO, "broker-outdated", "dir=%s pid=%d", b->dir, (int)pid);
    broker_stop(b);
    return ERR_NOT_FOUND;
}

static int find_holder(int lock, pid_t *pid)
{
    struct flock held = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(lock, F_GETLK, &held) < 0 || held.l_type == F_UNLCK)
        return ERR_NOT_FOUND;
    *pid = held.l_pid;
    return 0;
}

/* The file is only written while no Mosquitto runs, so it is what the running one has read. */
static bool same_config(const struct broker *b)
{
    char path[FILE_PATH_MAX];
    char config[BROKER_CONFIG_MAX];
    struct buffer content = buffer_on(config, sizeof config);
    return file_path(path, NULL, "%s/" BROKER_CONFIG_FILE, b->dir) == 0 &&
           file_read(path, &content, NULL) == 0 &&
           span_equal(span_buffer(&content), span_of(b->config, b->config_len));
}

static int spawn(struct broker *b, struct errmsg *em)
{
    if (b->port > 0 && try_socket(b->host, b->port, bind, NULL) < 0)
        return errmsg_set(em, ERR_BUSY,
                          "cannot listen on %s port %d: %s; choose another with "
                          "--listen HOST:PORT",
                          b->host, b->port, strerror(errno));
    char path[FILE_PATH_MAX], old[FILE_PATH_MAX];
    int rv = file_path(path, em, "%s/" BROKER_CONFIG_FILE, b->dir);
    if (rv == 0)
        rv = file_write(path, span_of(b->config, b->config_len), 0600, em);
    if (rv == 0)
        rv = file_path(path, em, "%s/mosquitto.log", b->dir);
    if (rv == 0)
        rv = file_path(old, em, "%s/mosquitto.log.old", b->dir);
    if (rv < 0)
        return rv;
    /* A log for each run, and the one before: neither grows for ever. */
    rename(path, old);
    int lock = open_in(b, "lock", O_RDWR | O_CREAT, em);
    int log = lock < 0 ? -1 : open_in(b, "mosquitto.log", O_WRONLY | O_CREAT | O_APPEND, em);
    rv = log < 0 ? ERR_IO : run_child(b, lock, log, em);
    if (log >= 0)
        close(log);
    if (lock >= 0)
        close(lock);
    return rv;
}

static int run_child(struct broker *b, int lock, int log, struct errmsg *em)
{
    char config_path[FILE_PATH_MAX];
    int rv = file_path(config_path, em, "%s/" BROKER_CONFIG_FILE, b->dir);
    if (rv < 0)
        return rv;
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid < 0)
        return errmsg_set(em, ERR_IO, "cannot start Mosquitto: %s", strerror(errno));
    if (pid == 0)
        become_mosquitto(b, parent, lock, log, config_path);
    b->pidfd = pidfd_open(pid, 0);
    b->pid = pid;
    if (b->pidfd >= 0)
        return 0;
    rv = errmsg_set(em, ERR_IO, "cannot watch Mosquitto: %s", strerror(errno));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    return rv;
}

/*
 * In the child: only calls that are safe after fork. Until it holds the lock it dies with its
 * parent, so that no Mosquitto can appear behind the back of the next manager; from then on it
 * outlives managers, in a session of its own.
 */
static _Noreturn void become_mosquitto(const struct broker *b, pid_t parent, int lock, int log,
                                       const char *config_path)
{
    struct flock held = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || setsid() < 0)
        _exit(1);
    /* The lock's descriptor becomes 3 and stays open: closing any descriptor of that file would
     * give the lock back. */
    int spare = fcntl(lock, F_DUPFD, 10);
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    dup2(nothing, STDIN_FILENO);
    if (spare < 0 || dup2(spare, 3) < 0)
        _exit(1);
    close_range(4, ~0u, 0);
    if (fcntl(3, F_SETLK, &held) < 0)
        _exit(1);
    prctl(PR_SET_PDEATHSIG, 0);

    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    limits_raise_files();
    if (chdir(b->dir) == 0)
        execl(b->program, "mosquitto", "-c", config_path, (char *)NULL);
    _exit(127);
}

/* Its socket for the manager comes last. ERR_DAMAGED: it ended, but the next one may not. */
static int wait_ready(struct broker *b, struct errmsg *em)
{
    for (int waited = 0; waited < BROKER_READY_MS; waited += READY_STEP_MS) {
        if (answers(b))
            return 0;
        if (!ended(b, READY_STEP_MS))
            continue;
        char reason[256];
        last_words(b, reason, sizeof reason);
        let_go(b);
        if (is_of_memory(reason) && set_memory_aside(b))
            return ERR_DAMAGED;
        return errmsg_set(em, ERR_IO, "Mosquitto in %s ended at once: %s", b->dir, reason);
    }
    return 0;
}

static bool answers(const struct broker *b)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(to.sun_path, sizeof to.sun_path, "%.100s/" BROKER_SOCKET, b->dir);
    bool connected = fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0;
    if (fd >= 0)
        close(fd);
    return connected;
}

static bool ended(const struct broker *b, int wait_ms)
{
    struct pollfd end = {.fd = b->pidfd, .events = POLLIN};
    return poll(&end, 1, wait_ms) == 1;
}

/* A child that has ended must be waited for; an adopted one is somebody else's. */
static void let_go(struct broker *b)
{
    if (b->pidfd < 0)
        return;
    siginfo_t info;
    waitid(P_PIDFD, (id_t)b->pidfd, &info, WEXITED | WNOHANG);
    close(b->pidfd);
    b->pidfd = -1;
    b->pid = 0;
}

/* The last line of its log that speaks of an error, or else the last line; none after a kill. */
static void last_words(const struct broker *b, char *out, size_t cap)
{
    snprintf(out, cap, "no reason in %.200s/mosquitto.log", b->dir);
    int fd = open_in(b, "mosquitto.log", O_RDONLY, NULL);
    char tail[4096];
    if (fd < 0)
        return;
    off_t size = lseek(fd, 0, SEEK_END);
    off_t from = size > (off_t)sizeof tail - 1 ? size - (off_t)sizeof tail + 1 : 0;
    ssize_t len = pread(fd, tail, sizeof tail - 1, from);
    close(fd);
    tail[len > 0 ? len : 0] = '\0';
    bool error = false;
    char *rest = tail;
    for (char *line; (line = strsep(&rest, "\n"));) {
        bool speaks = strstr(line, "Error") != NULL;
        if (*line && (speaks || !error))
            snprintf(out, cap, "%s", line);
        error |= speaks;
    }
}

/* Mosquitto does not start on a memory that it cannot read. */
static bool is_of_memory(const char *reason)
{
    return strstr(reason, "database") != NULL;
}

/* All that was in it can be published again. */
static bool set_memory_aside(const struct broker *b)
{
    char path[FILE_PATH_MAX], aside[FILE_PATH_MAX];
    if (file_path(path, NULL, "%s/mosquitto.db", b->dir) < 0 ||
        file_path(aside, NULL, "%s.damaged", path) < 0 || rename(path, aside) < 0)
        return false;
    log_event(LOG_ERROR, "broker-memory-damaged", "dir=%s kept=%s", b->dir, aside);
    return true;
}

/* Mosquitto appends to its log, so it goes on at the beginning of the emptied file. */
static void set_log_aside(const struct broker *b)
{
    struct stat st;
    int log = open_in(b, "mosquitto.log", O_RDWR, NULL);
    if (log >= 0 && fstat(log, &st) == 0 && st.st_size > LOG_BYTES_MAX) {
        int old = open_in(b, "mosquitto.log.old", O_WRONLY | O_CREAT | O_TRUNC, NULL);
        if (old >= 0 && sendfile(old, log, NULL, (size_t)st.st_size) >= 0 && ftruncate(log, 0) == 0)
            log_event(LOG_WARN, "broker-log-aside", "dir=%s bytes=%lld", b->dir,
                      (long long)st.st_size);
        if (old >= 0)
            close(old);
    }
    if (log >= 0)
        close(log);
}

static int open_in(const struct broker *b, const char *name, int flags, struct errmsg *em)
{
    char path[FILE_PATH_MAX];
    int rv = file_path(path, em, "%s/%s", b->dir, name);
    if (rv < 0)
        return rv;
    int fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return errmsg_set(em, file_error(errno), "%s: cannot open: %s", path, strerror(errno));
    return fd;
}

/* Tries `call` (bind or connect) on a socket of its own; on failure errno says why. */
static int try_socket(const char *host, int port, socket_call *call, int *chosen)
{
    char service[16];
    snprintf(service, sizeof service, "%d", port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found;
    if (getaddrinfo(host, service, &hints, &found) != 0) {
        errno = EADDRNOTAVAIL;
        return ERR_NOT_FOUND;
    }
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } bound = {0};
    socklen_t len = sizeof bound;
    bool done =
        call(fd, found->ai_addr, found->ai_addrlen) == 0 && getsockname(fd, &bound.any, &len) == 0;
    int reason = errno;
    freeaddrinfo(found);
    if (fd >= 0)
        close(fd);
    errno = reason;
    if (done && chosen)
        *chosen = ntohs(bound.any.sa_family == AF_INET6 ? bound.v6.sin6_port : bound.v4.sin_port);
    return done ? 0 : ERR_IO;
}
