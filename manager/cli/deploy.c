/* deploy: say what runs where, in words or in a file. */
#include "base/file.h"
#include "manager/cli/deployment_file.h"
#include "manager/cli/verbs.h"

#include <inttypes.h>
#include <unistd.h>

static int deploy(struct cli *cli);
static bool is_file(const char *word);
static int from_flags(struct cli *cli, struct deployment_file *d);
static int read_selector(struct cli *cli, struct deployment_file *d);
static int from_file(struct cli *cli, struct deployment_file *d);
static int keep_placement(struct cli *cli, struct deployment_file *d);
static int send(struct cli *cli, const struct deployment_file *d);

static const struct flag deploy_flags[] = {
    {.name = "select",
     .value = "EXPR",
     .kind = FLAG_TEXT,
     .help = "on the agents whose labels match, like env=prod,region in (eu,us),!lab"},
    {.name = "all", .kind = FLAG_SWITCH, .help = "on every agent"},
    {.name = "as",
     .value = "NAME",
     .kind = FLAG_TEXT,
     .help = "the deployment's name (default the bundle's)"},
    {.name = "priority",
     .value = "N",
     .kind = FLAG_NUMBER,
     .fallback = "0",
     .min = 0,
     .max = PRIORITY_MAX,
     .help = "higher ones are applied first"},
    {.name = "paused", .kind = FLAG_SWITCH, .help = "decide now, apply when resumed"},
    {.name = "keep",
     .kind = FLAG_SWITCH,
     .help = "agents that leave the deployment keep what it runs"},
};

const struct verb deploy_verbs[1] = {
    {
        .name = "deploy",
        .operands = "NAME@V | FILE.yaml",
        .summary = "run a bundle on the agents that a selector matches",
        .text = "Makes the deployment or changes it. It says what should be: agents that are away "
                "learn it when they come back, and agents that get matching labels later join in.\n"
                "Selectors are Kubernetes': KEY=V, KEY!=V, KEY in (V,W), KEY notin (V,W), KEY, "
                "!KEY, with commas between terms that must all hold.\n"
                "A file says the same, and can be kept under version control. Without a placement, "
                "the deployment stays where it is:\n"
                "  deployment: app\n"
                "  bundle: app@2\n"
                "  placement: {select: \"env in (staging,prod)\"}    # or {all: true}\n"
                "  priority: 0\n"
                "  paused: false\n"
                "  keep: false\n",
        .examples = "  dunlin deploy app@2 --select env=prod\n"
                    "  dunlin deploy app@2 --as app-lab --select 'lab,region in (eu,us)'\n"
                    "  dunlin deploy app.yaml\n",
        .flags = FLAGS(deploy_flags),
        .words_min = 1,
        .words_max = 1,
        .run = deploy,
    },
};

static int deploy(struct cli *cli)
{
    struct deployment_file d = {.placed = true};
    int rv = is_file(cli_word(cli, 0)) ? from_file(cli, &d) : from_flags(cli, &d);
    if (rv == 0 && !d.placed)
        rv = keep_placement(cli, &d);
    return rv < 0 ? rv : send(cli, &d);
}

static bool is_file(const char *word)
{
    const char *dot = strrchr(word, '.');
    if (dot && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0))
        return true;
    return strchr(word, '/') || access(word, F_OK) == 0;
}

static int from_flags(struct cli *cli, struct deployment_file *d)
{
    const struct args *a = &cli->args;
    const char *as = args_text(a, "as");
    int rv = bundle_name_parse(&d->bundle, cli_word(cli, 0), &cli->em);
    if (rv == 0 && as)
        rv = bundle_name_check("deployment", as, &cli->em);
    if (rv == 0)
        rv = read_selector(cli, d);
    if (rv < 0)
        return rv;
    snprintf(d->deployment, sizeof d->deployment, "%s", as ? as : d->bundle.name);
    d->priority = (uint32_t)args_number(a, "priority");
    d->paused = args_has(a, "paused");
    d->keep = args_has(a, "keep");
    return 0;
}

static int read_selector(struct cli *cli, struct deployment_file *d)
{
    const char *text = args_text(&cli->args, "select");
    struct selector selector;
    struct errmsg why;
    d->all = args_has(&cli->args, "all");
    if (d->all && text)
        return errmsg_set(&cli->em, ERR_USAGE, "--select and --all exclude each other");
    if (d->all)
        return 0;
    if (!text)
        return errmsg_set(&cli->em, ERR_USAGE,
                          "on which agents? Say --select EXPR, or --all for every agent");
    if (selector_parse(&selector, span_text(text), &why) < 0)
        return errmsg_set(&cli->em, ERR_USAGE, "--select: %s", why.text);
    if (selector.count == 0)
        return errmsg_set(&cli->em, ERR_USAGE,
                          "--select is empty; say --all if every agent is meant");
    if (strlen(text) > SELECTOR_TEXT_MAX)
        return errmsg_set(&cli->em, ERR_USAGE, "--select is longer than %d characters",
                          SELECTOR_TEXT_MAX);
    snprintf(d->select, sizeof d->select, "%s", text);
    return 0;
}

static int from_file(struct cli *cli, struct deployment_file *d)
{
    static const char *const flags[] = {"select", "all", "as", "priority", "paused", "keep"};
    static uint8_t memory[DEPLOYMENT_FILE_MAX];
    const char *path = cli_word(cli, 0);
    struct buffer text = buffer_on(memory, sizeof memory);
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        if (args_has(&cli->args, flags[i]))
            return errmsg_set(&cli->em, ERR_USAGE, "--%s doesn't go with a file; write it into %s",
                              flags[i], path);
    int rv = file_read(path, &text, &cli->em);
    return rv < 0 ? rv : deployment_file_read(d, path, span_buffer(&text), &cli->em);
}

/* The file says no placement: what the deployment has stays. */
static int keep_placement(struct cli *cli, struct deployment_file *d)
{
    char route[CLIENT_ROUTE_MAX];
    json_t *answer = NULL;
    int rv = client_route(route, "deployments", d->deployment, NULL, &cli->em);
    if (rv == 0)
        rv = cli_ask(cli, "GET", route, NULL, &answer);
    if (rv == ERR_NOT_FOUND)
        return errmsg_set(&cli->em, ERR_USAGE,
                          "%.200s: deployment %s is new, so say where it goes: \"placement: "
                          "{select: …}\", or \"placement: {all: true}\" for every agent",
                          cli_word(cli, 0), d->deployment);
    if (rv < 0)
        return rv;
    snprintf(d->select, sizeof d->select, "%s", field_text(answer, "select"));
    d->all = !d->select[0];
    json_decref(answer);
    return 0;
}

static int send(struct cli *cli, const struct deployment_file *d)
{
    char bundle[sizeof d->bundle + 1];
    json_t *answer = NULL;
    snprintf(bundle, sizeof bundle, "%s@%s", d->bundle.name, d->bundle.version);
    json_t *body = json_pack("{ss ss ss? sb si sb sb}", "name", d->deployment, "bundle", bundle,
                             "select", d->all ? NULL : d->select, "all", (int)d->all, "priority",
                             (int)d->priority, "paused", (int)d->paused, "keep", (int)d->keep);
    int rv = cli_call(cli, "POST", "/v1/deployments", body, &answer);
    if (rv < 0 || !answer)
        return rv;
    if (json_is_true(json_object_get(answer, "changed")))
        printf("%s: %s for %s%s\n", d->deployment, bundle,
               units_count(field_number(answer, "targets"), "agent").text,
               d->paused ? ", paused" : "");
    else
        printf("%s: nothing to change\n", d->deployment);
    json_decref(answer);
    return 0;
}
