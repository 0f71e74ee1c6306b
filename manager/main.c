#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "manager/address.h"
#include "manager/backup.h"
#include "manager/daemon.h"
#include "manager/kit.h"
#include "manager/porter.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/* Exit codes. */
enum { DONE = 0, FAILED = 1, WRONG_USE = 2 };

static const char HELP[] =
    "dunlin-manager - keeps a fleet of agents on the bundles that you deploy\n"
    "\n"
    "USAGE\n"
    "  dunlin-manager run --dir DIR [OPTION ...]\n"
    "  dunlin-manager backup --dir DIR OUT\n"
    "  dunlin-manager restore --dir DIR [--keep-tokens] OUT\n"
    "  dunlin-manager broker-kit --dir DIR --host NAME [--host NAME ...] [OPTION ...] OUT\n"
    "  dunlin-manager --help | --version\n"
    "\n"
    "COMMANDS\n"
    "  run         work until SIGTERM or SIGINT. The first run makes the fleet's keys and "
    "database\n"
    "              in DIR, and starts Mosquitto brokers (cells) that it watches from then on. A "
    "run\n"
    "              after a crash takes over the brokers that still work.\n"
    "  backup      copy the whole fleet into the new folder OUT, also while a manager runs. OUT\n"
    "              holds the fleet's secret keys: keep it where nobody else can read it.\n"
    "  restore     make the new folder DIR from the backup OUT. The manager that runs there "
    "brings\n"
    "              its agents back to what the backup says; nothing that happened since is known.\n"
    "              Unused tokens of then are revoked, as they may be used by now: --keep-tokens\n"
    "              leaves them as they were.\n"
    "  broker-kit  write into the folder OUT what a Mosquitto on another machine needs to be one\n"
    "              of this fleet's brokers, also while a manager runs. See BROKERS ELSEWHERE.\n"
    "\n"
    "OPTIONS\n"
    "  --dir DIR              where everything is kept; made when missing. One manager at a time.\n"
    "  --listen HOST[:PORT]   where agents connect to the brokers: TLS, with certificates of this\n"
    "                         fleet. Default: 127.0.0.1, and the first free port from 8883 on, "
    "which\n"
    "                         later runs keep. PORT is the first cell's; 0 takes any free ones. "
    "New\n"
    "                         devices join at the next free port (8884), with a token.\n"
    "  --advertise HOST       the name that devices connect to, when it isn't the one above\n"
    "  --api HOST:PORT        let operators in from afar: HTTPS with a certificate of this fleet, "
    "for\n"
    "                         those that `dunlin admin create` made credentials for. Default: "
    "off.\n"
    "  --join-rate N          new connections a second to join, from one source; ten times as "
    "many at\n"
    "                         once. Default: 50.\n"
    "  --plain                no TLS, no certificates: anybody on this machine may say anything. "
    "For\n"
    "                         tests, on a loopback address only.\n"
    "  --cells N              brokers to run, at most 256. Default: as many as the last time; the\n"
    "                         first time 1, or 0 with --broker.\n"
    "  --cell-memory MIB      the most that each of them may take, bundles and all. Default: an "
    "equal\n"
    "                         part of half of this machine's memory.\n"
    "  --broker URL           use this broker, which somebody else runs: mqtts://HOST[:PORT].\n"
    "                         May be given many times. With --plain: mqtt:// on this machine.\n"
    "  --approve              devices that join wait for `dunlin agent approve`\n"
    "  --confirm-over PERCENT what touches more of the fleet (of 20 agents or more) at once needs\n"
    "                         --confirm. Default: 50.\n"
    "  --heartbeat TIME       agents report at least this often. Default: 15m.\n"
    "  --keepalive TIME       their MQTT keep-alive: a lost link is noticed after one and a half.\n"
    "                         Default: 4m.\n"
    "  --reconnect-spread TIME\n"
    "                         agents that lost their link come back spread over this: a second "
    "for\n"
    "                         every 500 agents of a broker spares it a storm. Default: 30s.\n"
    "  --fetch-spread TIME    agents fetch a new document spread over this. Default: at once.\n"
    "  --log LEVEL            debug, info, warn or error. Default: info.\n"
    "  TIME is a number with s, m, h or d: 90s, 15m, 2h, 1d.\n"
    "\n"
    "OPTIONS of broker-kit\n"
    "  --host NAME            what others call that machine. May be given many times.\n"
    "  --listen HOST[:PORT]   where Mosquitto listens there. Default: everywhere, at 8883.\n"
    "  --user NAME            whom it works as when root starts it. Default: mosquitto.\n"
    "\n"
    "BROKERS ELSEWHERE\n"
    "  1. Run the manager with --broker mqtts://HOST, for each. It goes on trying to connect.\n"
    "  2. Write a kit, and copy it to that machine, readable for nobody but the user whom\n"
    "     Mosquitto works as: it holds a secret key. There, in its folder, start\n"
    "     `mosquitto -c mosquitto.conf`.\n"
    "  3. Let a timer do this again at least every day: write the kit into the same OUT, copy it,\n"
    "     and send that Mosquitto SIGHUP. Do it at once after a revocation: until then the agent\n"
    "     comes back there, and the manager throws it out again every ten seconds. The broker's\n"
    "     certificate is new every 60 days and good for 90: agents may refuse one that has been\n"
    "     without a new kit for 30 days.\n"
    "\n"
    "FILES\n"
    "  DIR/manager.db      the fleet and its secret keys: let nobody read it, and copy it with "
    "`backup`\n"
    "  DIR/secrets.key     opens secret variables; the database is worth little without it\n"
    "  DIR/root.key        says whom the fleet trusts: move it to a safe place offline\n"
    "  DIR/publisher.key   signs bundles, made by the first `dunlin bundle push`: move it, too\n"
    "  DIR/chunks/         the content of pushed bundles\n"
    "  DIR/cells/N/        the brokers' own files: keys and certificates that are renewed here\n"
    "  DIR/door/           those of the broker where devices join\n"
    "  DIR/manager.sock    HTTP for `dunlin --dir DIR`\n"
    "  DIR/manager.lock    held while a manager runs\n"
    "\n"
    "EXIT CODES\n"
    "  0 stopped on request, 1 failed, 2 wrong use\n"
    "\n"
    "EXAMPLE\n"
    "  dunlin-manager run --dir /var/lib/dunlin --listen 0.0.0.0 --advertise fleet.example.org\n"
    "  dunlin --dir /var/lib/dunlin status\n";

static int run(int argc, char **argv);
static int backup(int argc, char **argv);
static int restore(int argc, char **argv);
static int broker_kit(int argc, char **argv);
static int help(int argc, char **argv);
static int version(int argc, char **argv);

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} COMMANDS[] = {
    {"run", run},           {"backup", backup}, {"restore", restore}, {"broker-kit", broker_kit},
    {"help", help},         {"--help", help},   {"-h", help},         {"version", version},
    {"--version", version},
};

enum option_id {
    OPTION_DIR = 1,
    OPTION_LISTEN,
    OPTION_ADVERTISE,
    OPTION_API,
    OPTION_JOIN_RATE,
    OPTION_PLAIN,
    OPTION_CELLS,
    OPTION_CELL_MEMORY,
    OPTION_BROKER,
    OPTION_APPROVE,
    OPTION_CONFIRM,
    OPTION_HEARTBEAT,
    OPTION_KEEPALIVE,
    OPTION_SPREAD,
    OPTION_FETCH,
    OPTION_LOG,
    OPTION_HELP,
};

static const struct option OPTIONS[] = {
    {"dir", required_argument, NULL, OPTION_DIR},
    {"listen", required_argument, NULL, OPTION_LISTEN},
    {"advertise", required_argument, NULL, OPTION_ADVERTISE},
    {"api", required_argument, NULL, OPTION_API},
    {"join-rate", required_argument, NULL, OPTION_JOIN_RATE},
    {"plain", no_argument, NULL, OPTION_PLAIN},
    {"cells", required_argument, NULL, OPTION_CELLS},
    {"cell-memory", required_argument, NULL, OPTION_CELL_MEMORY},
    {"broker", required_argument, NULL, OPTION_BROKER},
    {"approve", no_argument, NULL, OPTION_APPROVE},
    {"confirm-over", required_argument, NULL, OPTION_CONFIRM},
    {"heartbeat", required_argument, NULL, OPTION_HEARTBEAT},
    {"keepalive", required_argument, NULL, OPTION_KEEPALIVE},
    {"reconnect-spread", required_argument, NULL, OPTION_SPREAD},
    {"fetch-spread", required_argument, NULL, OPTION_FETCH},
    {"log", required_argument, NULL, OPTION_LOG},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

struct call {
    struct daemon_options options;
    const char *brokers[DAEMON_CELLS_MAX];
    bool help;
};

static int parse(int argc, char **argv, struct call *call, struct errmsg *em);
static int take(struct call *call, int id, const char *value, struct errmsg *em);
static int take_listen(struct daemon_options *o, const char *value, struct errmsg *em);
static int take_api(struct daemon_options *o, const char *value, struct errmsg *em);
static int take_number(const char *what, const char *value, unsigned max, unsigned *out,
                       struct errmsg *em);
static int take_broker(struct call *call, const char *value, struct errmsg *em);
static int take_time(const char *what, const char *value, uint32_t min_s, uint32_t max_s,
                     uint32_t *out, struct errmsg *em);
static int take_level(const char *value, struct errmsg *em);
static int serve(const struct daemon_options *options);
static void block_signals(void);

int main(int argc, char **argv)
{
    limits_leave_no_core();
    if (argc < 2) {
        fputs(HELP, stderr);
        return WRONG_USE;
    }
    for (size_t i = 0; i < sizeof COMMANDS / sizeof COMMANDS[0]; i++)
        if (strcmp(argv[1], COMMANDS[i].name) == 0)
            return COMMANDS[i].run(argc - 1, argv + 1);
    struct errmsg em;
    errmsg_set(&em, ERR_USAGE, "'%s' is no command; see dunlin-manager --help", argv[1]);
    fprintf(stderr, "dunlin-manager: %s\n", em.text);
    return WRONG_USE;
}

static int help(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return fputs(HELP, stdout) < 0 || fflush(stdout) < 0 ? FAILED : DONE;
}

static int version(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return printf("dunlin-manager %s\n", DUNLIN_VERSION) < 0 || fflush(stdout) < 0 ? FAILED : DONE;
}

static int run(int argc, char **argv)
{
    struct errmsg em;
    struct call call = {.options = {.host = "127.0.0.1",
                                    .port = -1,
                                    .join_rate = PORTER_RATE_DEFAULT,
                                    .confirm_percent = DAEMON_CONFIRM_PERCENT,
                                    .policy = POLICY_DEFAULT}};
    call.options.brokers = call.brokers;
    int rv = parse(argc, argv, &call, &em);
    if (rv < 0) {
        fprintf(stderr, "dunlin-manager: %s\n", em.text);
        return WRONG_USE;
    }
    return call.help ? help(argc, argv) : serve(&call.options);
}

/* ---- backup and restore ---- */

struct copy_call {
    const char *dir;
    const char *out;
    bool keep_tokens;
    bool help;
};

/* The words behind `backup` and `restore`. */
static int parse_copy(int argc, char **argv, struct copy_call *call, struct errmsg *em)
{
    static const struct option options[] = {
        {"dir", required_argument, NULL, 'd'},
        {"keep-tokens", no_argument, NULL, 'k'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int id;
    opterr = 0;
    while ((id = getopt_long(argc, argv, ":", options, NULL)) != -1) {
        if (id == ':')
            return errmsg_set(em, ERR_USAGE, "%s needs a value", argv[optind - 1]);
        if (id == 'd')
            call->dir = optarg;
        else if (id == 'k' && strcmp(argv[0], "restore") == 0)
            call->keep_tokens = true;
        else if (id == 'h')
            call->help = true;
        else
            return errmsg_set(em, ERR_USAGE, "'%s' is no option of %s; see dunlin-manager --help",
                              argv[optind - 1], argv[0]);
    }
    call->out = optind + 1 == argc ? argv[optind] : NULL;
    if (call->help)
        return 0;
    if (!call->dir || !call->dir[0] || !call->out || !call->out[0])
        return errmsg_set(em, ERR_USAGE, "%s: say --dir DIR and the backup's folder", argv[0]);
    return 0;
}

static int say_failure(int rv, const struct errmsg *em)
{
    fprintf(stderr, "dunlin-manager: %s\n", em->text);
    return rv == ERR_USAGE ? WRONG_USE : FAILED;
}

static int backup(int argc, char **argv)
{
    struct errmsg em = {.text = ""};
    struct copy_call call = {0};
    struct backup_made made = {0};
    umask(0077);
    int rv = parse_copy(argc, argv, &call, &em);
    if (rv == 0 && call.help)
        return help(argc, argv);
    if (rv == 0)
        rv = backup_make(call.dir, call.out, &made, &em);
    if (rv < 0)
        return say_failure(rv, &em);
    printf("%s: the fleet of %s, with %llu chunks. It holds secret keys.\n", call.out, call.dir,
           (unsigned long long)made.chunks);
    if (made.missing > 0)
        printf("%llu chunks are missing in %s: push their bundles again\n",
               (unsigned long long)made.missing, call.dir);
    return DONE;
}

static int restore(int argc, char **argv)
{
    struct errmsg em = {.text = ""};
    struct copy_call call = {0};
    struct backup_restored restored = {0};
    umask(0077);
    int rv = parse_copy(argc, argv, &call, &em);
    if (rv == 0 && call.help)
        return help(argc, argv);
    if (rv == 0)
        rv = backup_restore(call.out, call.dir, call.keep_tokens, clock_wall_s(), &restored, &em);
    if (rv < 0)
        return say_failure(rv, &em);
    printf(
        "%s: the fleet of %s, in epoch %u.\n"
        "- Make sure that the old manager and its brokers run no more, then start this one.\n"
        "- Its agents go back to what the backup says. Deploy, label and remove again what has\n"
        "  changed since.\n"
        "- Whom you revoked, replaced or quarantined since is let in again: do that anew, first.\n"
        "- root.key and publisher.key are in no backup: whoever keeps them has them.\n"
        "- Who joined since is unknown: `dunlin status` names those that report; they must join "
        "again.\n",
        call.dir, call.out, restored.epoch);
    if (call.keep_tokens)
        puts("- Tokens are kept: one that was used since the backup can be used once more.");
    else
        printf("- Tokens that were good then may be used by now: %llu batches are revoked. Make "
               "new ones.\n",
               (unsigned long long)restored.revoked);
    return DONE;
}

/* ---- broker-kit ---- */

struct kit_call {
    struct kit_options options;
    const char *hosts[KIT_HOSTS_MAX];
    struct daemon_options listen; /* for its host and port */
    bool help;
};

static int take_kit(struct kit_call *call, int id, const char *value, struct errmsg *em)
{
    struct kit_options *o = &call->options;
    switch (id) {
    case 'd':
        o->dir = value;
        return 0;
    case 'n':
        if (o->host_count == KIT_HOSTS_MAX)
            return errmsg_set(em, ERR_USAGE, "--host: at most %d of them", KIT_HOSTS_MAX);
        call->hosts[o->host_count++] = value;
        return 0;
    case 'l':
        o->listen = call->listen.host;
        return take_listen(&call->listen, value, em);
    case 'u':
        o->user = value;
        return 0;
    case 'h':
        call->help = true;
        return 0;
    default:
        return ERR_USAGE;
    }
}

static int parse_kit(int argc, char **argv, struct kit_call *call, struct errmsg *em)
{
    static const struct option options[] = {
        {"dir", required_argument, NULL, 'd'},    {"host", required_argument, NULL, 'n'},
        {"listen", required_argument, NULL, 'l'}, {"user", required_argument, NULL, 'u'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
    };
    int id;
    opterr = 0;
    while ((id = getopt_long(argc, argv, ":", options, NULL)) != -1) {
        if (id == ':')
            return errmsg_set(em, ERR_USAGE, "%s needs a value", argv[optind - 1]);
        if (id == '?')
            return errmsg_set(em, ERR_USAGE,
                              "'%s' is no option of broker-kit; see dunlin-manager --help",
                              argv[optind - 1]);
        int rv = take_kit(call, id, optarg, em);
        if (rv < 0)
            return rv;
    }
    struct kit_options *o = &call->options;
    o->out = optind + 1 == argc ? argv[optind] : NULL;
    o->port = o->listen && call->listen.port >= 0 ? call->listen.port : DAEMON_PORT;
    if (call->help || (o->dir && o->dir[0] && o->out && o->out[0] && o->host_count > 0))
        return 0;
    return errmsg_set(em, ERR_USAGE,
                      "broker-kit: say --dir DIR, --host NAME, and the folder for the kit");
}

static int broker_kit(int argc, char **argv)
{
    static const char *const words[] = {
        [KIT_SAME] = "nothing is new",
        [KIT_READ_AGAIN] = "new certificates or lists: copy it, and send that Mosquitto SIGHUP",
        [KIT_START_ANEW] = "a new mosquitto.conf: copy it, and start that Mosquitto (anew)",
    };
    struct errmsg em = {.text = ""};
    struct kit_call call = {.options = {.user = "mosquitto"}};
    call.options.hosts = call.hosts;
    umask(0077);
    int rv = parse_kit(argc, argv, &call, &em);
    if (rv == 0 && call.help)
        return help(argc, argv);
    if (rv == 0)
        rv = kit_write(&call.options, clock_wall_s(), &em);
    if (rv < 0)
        return say_failure(rv, &em);
    printf("%s: %s\n", call.options.out, words[rv]);
    return DONE;
}

static int serve(const struct daemon_options *options)
{
    struct errmsg em = {.text = ""};
    block_signals();
    limits_raise_files(); /* a device that joins takes two, a cell a few */
    struct daemon *d = daemon_new(options, &em);
    int rv = d ? daemon_run(d, &em) : ERR_IO;
    daemon_free(d);
    if (rv == 0)
        return DONE;
    fprintf(stderr, "dunlin-manager: %s\n", em.text);
    return FAILED;
}

/* The loop hears them as events; a pipe that breaks is an error where it is written to. */
static void block_signals(void)
{
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* ---- the command line ---- */

static int parse(int argc, char **argv, struct call *call, struct errmsg *em)
{
    int id;
    opterr = 0;
    while ((id = getopt_long(argc, argv, "+:", OPTIONS, NULL)) != -1) {
        if (id == ':')
            return errmsg_set(em, ERR_USAGE, "%s needs a value", argv[optind - 1]);
        if (id == '?')
            return errmsg_set(em, ERR_USAGE, "'%s' is no option of run; see dunlin-manager --help",
                              argv[optind - 1]);
        int rv = take(call, id, optarg, em);
        if (rv < 0)
            return rv;
    }
    if (optind < argc)
        return errmsg_set(em, ERR_USAGE, "'%s' is not understood; see dunlin-manager --help",
                          argv[optind]);
    if (!call->help && !call->options.dir)
        return errmsg_set(em, ERR_USAGE, "run: say where to keep everything with --dir DIR");
    return call->help ? 0 : address_check_options(&call->options, em);
}

static int take(struct call *call, int id, const char *value, struct errmsg *em)
{
    struct daemon_options *o = &call->options;
    switch ((enum option_id)id) {
    case OPTION_DIR:
        o->dir = value;
        return value[0] ? 0 : errmsg_set(em, ERR_USAGE, "--dir: the name is empty");
    case OPTION_LISTEN:
        return take_listen(o, value, em);
    case OPTION_ADVERTISE:
        o->advertise = value;
        return strlen(value) < DAEMON_HOST_MAX && value[0] && !strpbrk(value, ":/ ")
                   ? 0
                   : errmsg_set(em, ERR_USAGE, "--advertise %s: this is no host name", value);
    case OPTION_API:
        return take_api(o, value, em);
    case OPTION_JOIN_RATE:
        return take_number("--join-rate", value, PORTER_RATE_MAX, &o->join_rate, em);
    case OPTION_PLAIN:
        o->plain = true;
        return 0;
    case OPTION_CELLS:
        o->cells = 0;
        o->no_cells = strcmp(value, "0") == 0;
        return o->no_cells ? 0 : take_number("--cells", value, DAEMON_CELLS_MAX, &o->cells, em);
    case OPTION_CELL_MEMORY:
        return take_number("--cell-memory", value, DAEMON_CELL_MIB_MAX, &o->cell_memory_mib, em);
    case OPTION_BROKER:
        return take_broker(call, value, em);
    case OPTION_APPROVE:
        o->approve = true;
        return 0;
    case OPTION_CONFIRM:
        return take_number("--confirm-over", value, 100, &o->confirm_percent, em);
    case OPTION_HEARTBEAT:
        return take_time("--heartbeat", value, 1, POLICY_HEARTBEAT_S_MAX, &o->policy.heartbeat_s,
                         em);
    case OPTION_KEEPALIVE:
        return take_time("--keepalive", value, POLICY_KEEPALIVE_S_MIN, POLICY_KEEPALIVE_S_MAX,
                         &o->policy.keepalive_s, em);
    case OPTION_SPREAD:
        return take_time("--reconnect-spread", value, 0, POLICY_SPREAD_S_MAX,
                         &o->policy.reconnect_spread_s, em);
    case OPTION_FETCH:
        return take_time("--fetch-spread", value, 0, POLICY_SPREAD_S_MAX, &o->policy.fetch_spread_s,
                         em);
    case OPTION_LOG:
        return take_level(value, em);
    case OPTION_HELP:
        call->help = true;
        return 0;
    }
    return ERR_USAGE;
}

/* A whole number and nothing after it, or `end` says where it stops. */
static bool read_number(const char *text, unsigned long max, unsigned long *out, char **end)
{
    char *stop;
    errno = 0;
    *out = strtoul(text, &stop, 10);
    bool digits = text[0] >= '0' && text[0] <= '9';
    if (end)
        *end = stop;
    return digits && errno == 0 && *out <= max && (end || *stop == '\0');
}

/* An IPv6 address stands in brackets. */
static int take_listen(struct daemon_options *o, const char *value, struct errmsg *em)
{
    unsigned long port = 0;
    bool bracketed = value[0] == '[';
    const char *host = value + bracketed;
    size_t len = strcspn(host, bracketed ? "]" : ":");
    const char *rest = host + len + (bracketed && host[len] == ']');
    bool odd = bracketed && (host[len] != ']' || memchr(host, ':', len) == NULL);
    if (odd || len == 0 || len >= sizeof o->host || memchr(host, '/', len) ||
        (*rest != '\0' && *rest != ':') || (*rest == ':' && strchr(rest + 1, ':')))
        return errmsg_set(em, ERR_USAGE, "--listen %s: give HOST or HOST:PORT", value);
    if (*rest == ':' && !read_number(rest + 1, 65535, &port, NULL))
        return errmsg_set(em, ERR_USAGE, "--listen %s: a port is a number from 0 to 65535", value);
    memcpy(o->host, host, len);
    o->host[len] = '\0';
    o->port = *rest == ':' ? (int)port : -1;
    return 0;
}

static int take_api(struct daemon_options *o, const char *value, struct errmsg *em)
{
    unsigned long port;
    const char *colon = strrchr(value, ':');
    size_t len = colon ? (size_t)(colon - value) : 0;
    if (len == 0 || len >= sizeof o->api_host || memchr(value, '/', len) || memchr(value, ':', len))
        return errmsg_set(em, ERR_USAGE, "--api %s: give HOST:PORT", value);
    if (!read_number(colon + 1, 65535, &port, NULL))
        return errmsg_set(em, ERR_USAGE, "--api %s: a port is a number from 0 to 65535", value);
    memcpy(o->api_host, value, len);
    o->api_host[len] = '\0';
    o->api_port = (int)port;
    return 0;
}

static int take_number(const char *what, const char *value, unsigned max, unsigned *out,
                       struct errmsg *em)
{
    unsigned long n;
    if (!read_number(value, max, &n, NULL) || n == 0)
        return errmsg_set(em, ERR_USAGE, "%s %s: give a number from 1 to %u", what, value, max);
    *out = (unsigned)n;
    return 0;
}

static int take_broker(struct call *call, const char *value, struct errmsg *em)
{
    if (call->options.broker_count == DAEMON_CELLS_MAX)
        return errmsg_set(em, ERR_USAGE, "--broker: at most %d of them", DAEMON_CELLS_MAX);
    call->brokers[call->options.broker_count++] = value;
    return 0;
}

static int take_time(const char *what, const char *value, uint32_t min_s, uint32_t max_s,
                     uint32_t *out, struct errmsg *em)
{
    static const char units[] = "smhd";
    static const unsigned long seconds[] = {1, 60, 3600, 86400};
    unsigned long n;
    char *end;
    bool good = read_number(value, max_s, &n, &end) && *end && end[1] == '\0';
    const char *unit = good ? strchr(units, *end) : NULL;
    if (!unit)
        return errmsg_set(em, ERR_USAGE, "%s %s: give a time like 90s, 15m, 2h or 1d", what, value);
    n *= seconds[unit - units];
    if (n < min_s || n > max_s)
        return errmsg_set(em, ERR_USAGE, "%s %s: it is between %us and %us", what, value, min_s,
                          max_s);
    *out = (uint32_t)n;
    return 0;
}

static int take_level(const char *value, struct errmsg *em)
{
    if (log_threshold_named(value))
        return 0;
    return errmsg_set(em, ERR_USAGE, "--log %s: give debug, info, warn or error", value);
}
