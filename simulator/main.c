#include "simulator/fleet/fleet.h"
#include "simulator/load/load.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

/* Exit codes. */
enum { DONE = 0, FAILED = 1, WRONG_USE = 2 };

static const char HELP[] =
    "dunlin-sim - a whole fleet on one machine\n"
    "\n"
    "USAGE\n"
    "  dunlin-sim load --agents N [OPTION ...]\n"
    "  dunlin-sim fleet [OPTION ...]\n"
    "  dunlin-sim --help | --version\n"
    "\n"
    "COMMANDS\n"
    "  load   real sockets, real brokers, a real manager: N agents, each the real core with a\n"
    "         connection of its own, join with tokens, take a deployment, report, take a second\n"
    "         version in three stages while the manager is killed, lose all their links, get "
    "other\n"
    "         labels and live through a quiet hour. At the end each must hold exactly what it "
    "should.\n"
    "\n"
    "  fleet  virtual time: the same cores, up to a million devices, on links, disks and brokers "
    "that\n"
    "         fail as they are told to; see dunlin-sim fleet --help\n"
    "\n"
    "OPTIONS of load\n"
    "  --agents N             up to 1000000; 14 KiB of memory each\n"
    "  --manager DIR          use the manager that runs in DIR, or start one in DIR when it is "
    "empty.\n"
    "                         A fleet that has agents or deployments is refused, since the run "
    "deploys\n"
    "                         to all; where links have TLS, say --tls. Default: a manager in a\n"
    "                         temporary folder, which is removed.\n"
    "  --fail PERMILLE        on so many of a thousand the second version fails. Default: 10.\n"
    "  --fetch PERMILLE       so many of a thousand fetch the bundle's content for real, the "
    "others\n"
    "                         are taken to have it. Default: 10; 1000 is all.\n"
    "  --deployments N        so many the manager has; agents run one, and are taken to have the\n"
    "                         others, up to 30 each, from before. Default: 1000.\n"
    "  --connections C        agents share so many sessions, for a machine with little memory: "
    "one\n"
    "                         for each 10000 at least. Each still says and asks for the same; its\n"
    "                         last will is said by the next session. Default: one each.\n"
    "  --keys FILE            the devices' keys, made once. Default: in the user's cache.\n"
    "  --tls                  links with TLS and certificates of both ends, as in the field: some\n"
    "                         milliseconds of processor and 100 KiB each\n"
    "  --json                 the report as one JSON document\n"
    "\n"
    "Everything stays on 127.0.0.0/8. Ctrl-C ends it and leaves nothing.\n"
    "\n"
    "EXIT CODES\n"
    "  0 all is as it should be, 1 it is not, or something failed, 2 wrong use\n";

static int run_load(int argc, char **argv);
static int help(int argc, char **argv);
static int version(int argc, char **argv);
static int parse(int argc, char **argv, struct load_options *o, struct errmsg *em);
static int check_shared(const struct load_options *o, struct errmsg *em);
static int take(struct load_options *o, int id, const char *value, struct errmsg *em);
static int take_number(const char *what, const char *value, unsigned long min, unsigned long max,
                       uint32_t *out, struct errmsg *em);
static int complain(const struct errmsg *em, int code);

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} COMMANDS[] = {
    {"load", run_load}, {"fleet", fleet_main},  {"help", help},       {"--help", help},
    {"-h", help},       {"--version", version}, {"version", version},
};

int main(int argc, char **argv)
{
    struct errmsg em;
    if (argc < 2) {
        fputs(HELP, stderr);
        return WRONG_USE;
    }
    for (size_t i = 0; i < sizeof COMMANDS / sizeof COMMANDS[0]; i++)
        if (strcmp(argv[1], COMMANDS[i].name) == 0)
            return COMMANDS[i].run(argc - 1, argv + 1);
    errmsg_set(&em, ERR_USAGE, "'%s' is no command; see dunlin-sim --help", argv[1]);
    return complain(&em, WRONG_USE);
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
    return puts("dunlin-sim " DUNLIN_VERSION) < 0 ? FAILED : DONE;
}

static int complain(const struct errmsg *em, int code)
{
    fprintf(stderr, "dunlin-sim: %s\n", em->text);
    return code;
}

/* ---- load ---- */

static int run_load(int argc, char **argv)
{
    struct errmsg em = {.text = ""};
    struct load_options o = {.fail_per_mille = 10, .fetch_per_mille = 10, .deployments = 1000};
    int rv = parse(argc, argv, &o, &em);
    if (rv == 1)
        return help(argc, argv);
    if (rv < 0)
        return complain(&em, WRONG_USE);
    rv = load_run(&o, &em);
    return rv < 0 ? complain(&em, FAILED) : DONE;
}

enum option_id {
    OPTION_AGENTS = 1,
    OPTION_MANAGER,
    OPTION_FAIL,
    OPTION_FETCH,
    OPTION_DEPLOYMENTS,
    OPTION_CONNECTIONS,
    OPTION_KEYS,
    OPTION_TLS,
    OPTION_JSON,
    OPTION_HELP
};

/* 1: it asks for help. */
static int parse(int argc, char **argv, struct load_options *o, struct errmsg *em)
{
    static const struct option options[] = {
        {"agents", required_argument, NULL, OPTION_AGENTS},
        {"manager", required_argument, NULL, OPTION_MANAGER},
        {"fail", required_argument, NULL, OPTION_FAIL},
        {"fetch", required_argument, NULL, OPTION_FETCH},
        {"deployments", required_argument, NULL, OPTION_DEPLOYMENTS},
        {"connections", required_argument, NULL, OPTION_CONNECTIONS},
        {"keys", required_argument, NULL, OPTION_KEYS},
        {"tls", no_argument, NULL, OPTION_TLS},
        {"json", no_argument, NULL, OPTION_JSON},
        {"help", no_argument, NULL, OPTION_HELP},
        {NULL, 0, NULL, 0},
    };
    int id, rv = 0;
    opterr = 0;
    while (rv == 0 && (id = getopt_long(argc, argv, "+:", options, NULL)) != -1) {
        if (id == ':')
            rv = errmsg_set(em, ERR_USAGE, "%s needs a value", argv[optind - 1]);
        else if (id == '?')
            rv = errmsg_set(em, ERR_USAGE, "'%s' is no option of load; see dunlin-sim --help",
                            argv[optind - 1]);
        else
            rv = take(o, id, optarg, em);
    }
    if (rv == 0 && optind < argc)
        rv = errmsg_set(em, ERR_USAGE, "'%s' is not understood; see dunlin-sim --help",
                        argv[optind]);
    if (rv == 0 && o->agents == 0)
        rv = errmsg_set(em, ERR_USAGE, "load: say how many with --agents N");
    return rv == 0 ? check_shared(o, em) : rv;
}

/* A certificate lets a session speak for the one agent that it names. */
static int check_shared(const struct load_options *o, struct errmsg *em)
{
    uint32_t needed = (o->agents + TRUNK_SEATS_MAX - 1) / TRUNK_SEATS_MAX;
    if (o->connections > 0 && o->tls)
        return errmsg_set(em, ERR_USAGE,
                          "--connections with --tls: a certificate is one agent's, so that agents "
                          "with TLS can't share: leave one of them out");
    if (o->connections > 0 && (o->connections < needed || o->connections > o->agents))
        return errmsg_set(em, ERR_USAGE, "--connections %u: %u agents can share from %u to %u",
                          o->connections, o->agents, needed, o->agents);
    return 0;
}

static int take(struct load_options *o, int id, const char *value, struct errmsg *em)
{
    switch ((enum option_id)id) {
    case OPTION_AGENTS:
        return take_number("--agents", value, 1, LOAD_AGENTS_MAX, &o->agents, em);
    case OPTION_MANAGER:
        o->manager = value;
        return value[0] ? 0 : errmsg_set(em, ERR_USAGE, "--manager: the name is empty");
    case OPTION_FAIL:
        return take_number("--fail", value, 0, 1000, &o->fail_per_mille, em);
    case OPTION_FETCH:
        return take_number("--fetch", value, 0, 1000, &o->fetch_per_mille, em);
    case OPTION_DEPLOYMENTS:
        return take_number("--deployments", value, 1, LOAD_DEPLOYMENTS_MAX, &o->deployments, em);
    case OPTION_CONNECTIONS:
        return take_number("--connections", value, 1, LOAD_CONNECTIONS_MAX, &o->connections, em);
    case OPTION_KEYS:
        o->keys = value;
        return value[0] ? 0 : errmsg_set(em, ERR_USAGE, "--keys: the name is empty");
    case OPTION_TLS:
        o->tls = true;
        return 0;
    case OPTION_JSON:
        o->json = true;
        return 0;
    case OPTION_HELP:
        return 1;
    }
    return ERR_USAGE;
}

static int take_number(const char *what, const char *value, unsigned long min, unsigned long max,
                       uint32_t *out, struct errmsg *em)
{
    char *end;
    errno = 0;
    unsigned long n = strtoul(value, &end, 10);
    bool whole = value[0] >= '0' && value[0] <= '9' && *end == '\0' && errno == 0;
    if (!whole || n < min || n > max)
        return errmsg_set(em, ERR_USAGE, "%s %s: give a number from %lu to %lu", what, value, min,
                          max);
    *out = (uint32_t)n;
    return 0;
}
