#include "agent/driver.h"
#include "agent/facts.h"
#include "agent/inspect.h"
#include "agent/join.h"
#include "agent/program.h"
#include "agent/sandbox.h"
#include "base/limits.h"
#include "base/log.h"
#include "sync/invitation.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/* Where an installed agent keeps its things. */
#define DIR_DEFAULT "/var/lib/dunlin-agent"
#define POSITIONALS_MAX 2

/* A command line taken apart; each verb uses what it understands. */
struct arguments {
    char **words; /* all of it, as it was given */
    const char *positionals[POSITIONALS_MAX];
    int positional_count;
    const char *dir;
    struct facts facts;
    struct invitation invitation; /* what two of the positionals may stand in */
    char serial[TOKEN_SERIAL_MAX + 1];
    uint32_t timeout_s;
    struct sandbox sandbox;
    bool json;
    bool help;
};

struct verb {
    const char *name;
    int positionals;
    const char *flags; /* the names it takes, with spaces around each */
    int (*run)(struct arguments *a, struct errmsg *em);
    const char *usage;
    const char *summary;
    const char *details;
};

static int run_join(struct arguments *a, struct errmsg *em);
static int run_agent(struct arguments *a, struct errmsg *em);
static int run_status(struct arguments *a, struct errmsg *em);

static const struct verb verbs[] = {
    {
        .name = "join",
        .positionals = 2,
        .flags = " --dir --fact --serial --timeout ",
        .run = run_join,
        .usage =
            "join HOST[:PORT] TOKEN | INVITATION [--dir DIR] [--fact KEY=VALUE ...] [--serial S] "
            "[--timeout SECONDS]",
        .summary = "turn this device into an agent of a fleet",
        .details =
            "  HOST      where the fleet lets devices in, as `dunlin status` shows it; port 8884 "
            "when\n"
            "            none is named. The token says whose certificates to believe there.\n"
            "  TOKEN     a one-time token, as `dunlin token create` prints it\n"
            "  INVITATION both in one: dunlin:HOST:PORT/TOKEN, as a QR code has it\n"
            "  --fact    something to tell about this device; may be repeated\n"
            "  --serial  the device's serial number, for tokens that are bound to one; by default\n"
            "            what the machine itself says\n"
            "  --timeout give up after so many seconds; without it, join tries until it is "
            "answered\n"
            "\n"
            "The device makes its key before anything is sent, so the command may be repeated at\n"
            "any time, also after a power cut. In a DIR that has joined with the same token, it\n"
            "says so and succeeds.\n",
    },
    {
        .name = "run",
        .positionals = 0,
        .flags = " --dir --hook-user --hook-limit --log ",
        .run = run_agent,
        .usage = "run [--dir DIR] [--hook-user NAME] [--hook-limit NAME=VALUE ...] "
                 "[--log debug|info|warn|error]",
        .summary = "keep the device as its fleet wants it, until SIGTERM or SIGINT",
        .details =
            "  --hook-user  run hooks as this user, without any of root's rights; only root can.\n"
            "            Say so from the first start on: what hooks made before stays root's\n"
            "  --hook-limit  what a hook's process may use at most; 0 is no limit; may be "
            "repeated:\n"
            "            cpu=SECONDS (0), memory=MIB (0), files=NUMBER (1024), file-size=MIB "
            "(4096),\n"
            "            and, of all hooks together where --hook-user is given,\n"
            "            processes=NUMBER (512)\n"
            "  --log     write lines of this level and above to standard error (info)\n"
            "\n"
            "What runs is at DIR/deployments/NAME/current, a link to the version's tree; a\n"
            "deployment's own data belong in DIR/deployments/NAME/data, and what its hooks said, "
            "up\n"
            "to 256 KiB of it, is in DIR/deployments/NAME/log. Hooks find DUNLIN_DEPLOYMENT,\n"
            "DUNLIN_VERSION, DUNLIN_BUNDLE, DUNLIN_TREE, DUNLIN_CURRENT, DUNLIN_DATA,\n"
            "DUNLIN_PREVIOUS, DUNLIN_HOOK, and a HOME and a TMPDIR of the deployment's own in "
            "their\n"
            "environment. They can't gain rights, as by sudo.\n"
            "\n"
            "Where a bundle brought another agent, DIR/agent names it, and this program becomes it "
            "at\n"
            "each start; where that can't be run, or didn't prove itself in time, this one goes "
            "on.\n",
    },
    {
        .name = "status",
        .positionals = 0,
        .flags = " --dir --json ",
        .run = run_status,
        .usage = "status [--dir DIR] [--json]",
        .summary = "show who this agent is and how far its deployments have come",
        .details =
            "  --json    one JSON document instead of a table\n"
            "\n"
            "It reads DIR, so it also works while the agent runs, or without a link. Whether the\n"
            "agent is connected is for `dunlin agent list` to say, on the manager's side.\n",
    },
};

#define VERB_COUNT (sizeof verbs / sizeof verbs[0])

static const struct verb *find_verb(const char *name);
static int parse(const struct verb *v, int argc, char **argv, struct arguments *a,
                 struct errmsg *em);
static int parse_flag(const struct verb *v, const char *flag, const char *value,
                      struct arguments *a, struct errmsg *em);
static int take_invitation(const char *text, struct arguments *a, struct errmsg *em);
static bool takes(const struct verb *v, const char *flag);
static int parse_level(const char *value, struct errmsg *em);
static int parse_serial(const char *value, char out[static TOKEN_SERIAL_MAX + 1],
                        struct errmsg *em);
static int parse_seconds(const char *value, uint32_t *out, struct errmsg *em);
static void print_help(FILE *to);
static void print_verb_help(const struct verb *v);
static int finish(int rv, const struct errmsg *em);

int main(int argc, char **argv)
{
    static struct arguments a;
    struct errmsg em = {0};
    umask(022);
    limits_leave_no_core();
    if (argc < 2) {
        print_help(stderr);
        return 2;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("dunlin-agent %s\n", DUNLIN_VERSION);
        return 0;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_help(stdout);
        return 0;
    }
    const struct verb *v = find_verb(argv[1]);
    if (!v)
        return finish(
            errmsg_set(&em, ERR_USAGE, "%s is no command; see dunlin-agent --help", argv[1]), &em);
    int rv = parse(v, argc - 2, argv + 2, &a, &em);
    a.words = argv;
    if (rv == 0 && a.help)
        print_verb_help(v);
    else if (rv == 0)
        rv = v->run(&a, &em);
    return finish(rv, &em);
}

/* ---- the verbs ---- */

/* Whoever lists processes could read it for as long as an operator lets the device wait. */
static void hide_token(struct arguments *a)
{
    char *kept = a->invitation.token.text;
    if (strlen(a->positionals[1]) != TOKEN_TEXT_LEN)
        return; /* it is none, and is refused */
    memmove(kept, a->positionals[1], TOKEN_TEXT_LEN);
    a->positionals[1] = kept;
    for (char **word = a->words; *word; word++) {
        char *at = strstr(*word, kept);
        if (at)
            memset(at, '*', TOKEN_TEXT_LEN);
    }
}

static int run_join(struct arguments *a, struct errmsg *em)
{
    static struct join_options options;
    hide_token(a);
    options = (struct join_options){
        .address = a->positionals[0],
        .token = a->positionals[1],
        .dir = a->dir,
        .timeout_s = a->timeout_s,
    };
    facts_gather(&options.facts);
    facts_disk(&options.facts, a->dir);
    if (a->serial[0] == '\0')
        facts_serial(a->serial);
    options.serial = a->serial;
    int rv = a->serial[0] ? facts_set(&options.facts, "serial", a->serial, em) : 0;
    for (uint32_t i = 0; rv == 0 && i < a->facts.count; i++)
        rv = facts_set(&options.facts, a->facts.list[i].key, a->facts.list[i].value, em);
    return rv < 0 ? rv : join_fleet(&options, em);
}

static int run_agent(struct arguments *a, struct errmsg *em)
{
    static struct driver d;
    program_enter(a->dir, a->words);
    int rv = driver_open(&d, a->dir, &a->sandbox, em);
    bool again = rv == 0 && driver_run(&d);
    driver_close(&d);
    return again ? program_again(a->words, em) : rv;
}

static int run_status(struct arguments *a, struct errmsg *em)
{
    return inspect_print(a->dir, a->json, em);
}

/* ---- the command line ---- */

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; i < VERB_COUNT; i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

/* Flags may stand anywhere, as "--flag value" or "--flag=value". */
static int parse(const struct verb *v, int argc, char **argv, struct arguments *a,
                 struct errmsg *em)
{
    *a = (struct arguments){.dir = DIR_DEFAULT, .sandbox = SANDBOX_DEFAULT};
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            a->help = true;
            return 0;
        }
        if (strcmp(argv[i], "--json") == 0 && takes(v, argv[i])) {
            a->json = true;
            continue;
        }
        if (argv[i][0] == '-') {
            char *flag = argv[i], *equals = strchr(flag, '=');
            if (equals)
                *equals = '\0';
            const char *value = equals ? equals + 1 : i + 1 < argc ? argv[++i] : NULL;
            int rv = parse_flag(v, flag, value, a, em);
            if (equals)
                *equals = '='; /* another program may have to read it */
            if (rv < 0)
                return rv;
            continue;
        }
        if (v->positionals == 2 && a->positional_count == 0 && invitation_begins(argv[i])) {
            int rv = take_invitation(argv[i], a, em);
            if (rv < 0)
                return rv;
            continue;
        }
        if (a->positional_count == v->positionals)
            return errmsg_set(em, ERR_USAGE, "%.80s is too much; usage: dunlin-agent %s", argv[i],
                              v->usage);
        a->positionals[a->positional_count++] = argv[i];
    }
    if (a->positional_count < v->positionals)
        return errmsg_set(em, ERR_USAGE, "something is missing; usage: dunlin-agent %s", v->usage);
    return 0;
}

static int take_invitation(const char *text, struct arguments *a, struct errmsg *em)
{
    int rv = invitation_read(text, &a->invitation, em);
    if (rv < 0)
        return rv;
    a->positionals[0] = a->invitation.host;
    a->positionals[1] = a->invitation.token.text;
    a->positional_count = 2;
    return 0;
}

static int parse_flag(const struct verb *v, const char *flag, const char *value,
                      struct arguments *a, struct errmsg *em)
{
    if (!takes(v, flag) || strcmp(flag, "--json") == 0)
        return errmsg_set(em, ERR_USAGE, "%.80s is no flag of %s; usage: dunlin-agent %s", flag,
                          v->name, v->usage);
    if (!value || value[0] == '\0')
        return errmsg_set(em, ERR_USAGE, "%s needs a value; usage: dunlin-agent %s", flag,
                          v->usage);
    if (strcmp(flag, "--dir") == 0)
        a->dir = value;
    else if (strcmp(flag, "--fact") == 0)
        return facts_add(&a->facts, value, em) < 0 ? ERR_USAGE : 0;
    else if (strcmp(flag, "--hook-user") == 0)
        return sandbox_set_user(&a->sandbox, value, em);
    else if (strcmp(flag, "--hook-limit") == 0)
        return sandbox_set_limit(&a->sandbox, value, em);
    else if (strcmp(flag, "--serial") == 0)
        return parse_serial(value, a->serial, em);
    else if (strcmp(flag, "--timeout") == 0)
        return parse_seconds(value, &a->timeout_s, em);
    else
        return parse_level(value, em);
    return 0;
}

static bool takes(const struct verb *v, const char *flag)
{
    char name[32];
    int len = snprintf(name, sizeof name, " %s ", flag);
    return len > 0 && (size_t)len < sizeof name && strstr(v->flags, name);
}

static int parse_level(const char *value, struct errmsg *em)
{
    if (log_threshold_named(value))
        return 0;
    return errmsg_set(em, ERR_USAGE, "--log %.40s: write debug, info, warn or error", value);
}

static int parse_serial(const char *value, char out[static TOKEN_SERIAL_MAX + 1], struct errmsg *em)
{
    if (!token_serial_valid(span_text(value)))
        return errmsg_set(
            em, ERR_USAGE,
            "--serial %.70s: write 1 to %d characters of ASCII, without spaces at the "
            "ends",
            value, TOKEN_SERIAL_MAX);
    memcpy(out, value, strlen(value) + 1);
    return 0;
}

static int parse_seconds(const char *value, uint32_t *out, struct errmsg *em)
{
    char *end;
    unsigned long seconds = strtoul(value, &end, 10);
    if (value[0] < '0' || value[0] > '9' || *end != '\0' || seconds == 0 || seconds > 1000000)
        return errmsg_set(em, ERR_USAGE, "--timeout %.40s: write seconds, from 1 to 1000000",
                          value);
    *out = (uint32_t)seconds;
    return 0;
}

static void print_help(FILE *to)
{
    fprintf(to,
            "dunlin-agent keeps one device as its fleet wants it, also when links come and go.\n"
            "\n");
    for (size_t i = 0; i < VERB_COUNT; i++)
        fprintf(to, "  dunlin-agent %s\n      %s\n", verbs[i].usage, verbs[i].summary);
    fprintf(to, "\n"
                "DIR holds everything the agent knows and runs (" DIR_DEFAULT ").\n"
                "Exit codes: 0 done, 1 failed, 2 wrong use. Each command has a --help of its own.\n"
                "dunlin-agent --version tells the version.\n");
}

static void print_verb_help(const struct verb *v)
{
    printf("usage: dunlin-agent %s\n\n%s.\n\n"
           "  --dir     the agent's folder (" DIR_DEFAULT ")\n%s",
           v->usage, v->summary, v->details);
}

/* One clear line, and the code that scripts look at. */
static int finish(int rv, const struct errmsg *em)
{
    if (rv >= 0)
        return 0;
    fprintf(stderr, "dunlin-agent: %s\n", em->text[0] ? em->text : err_name(rv));
    return rv == ERR_USAGE ? 2 : 1;
}
