/* deploy, deployment diff: say what runs where, in words or in a file, or ask what that would
 * change. */
#include "base/file.h"
#include "manager/cli/deployment_file.h"
#include "manager/cli/preview.h"
#include "manager/cli/verbs.h"
#include "manager/common/plan_json.h"
#include "manager/core/manager.h"

#include <inttypes.h>
#include <sys/stat.h>

static int deploy(struct cli *cli);
static bool is_file(const char *word);
static int from_flags(struct cli *cli, struct deployment_file *d);
static bool is_placed(const struct args *a);
static int read_placement(struct cli *cli, struct deployment_file *d);
static int read_selector(struct cli *cli, struct deployment_file *d);
static int read_agents(struct cli *cli, const char *text, struct deployment_file *d);
static int read_pick(struct cli *cli, struct deployment_file *d);
static int read_conditions(struct cli *cli, struct deployment_file *d);
static int from_file(struct cli *cli, struct deployment_file *d);
static int read_file(struct cli *cli, const char *path, struct deployment_file *d);
static int keep_placement(struct cli *cli, struct deployment_file *d, const char *if_new);
static json_t *body_of(const struct deployment_file *d);
static int send(struct cli *cli, const struct deployment_file *d);
static void print_budgets(const json_t *budgets);
static int try(struct cli *cli, const struct deployment_file *d,
               int (*print)(struct cli *, const json_t *));
static int diff(struct cli *cli);

static const struct flag deploy_flags[] = {
    {.name = "select",
     .value = "EXPR",
     .kind = FLAG_TEXT,
     .help = "on the agents whose labels match, like env=prod,region in (eu,us),!lab"},
    {.name = "all", .kind = FLAG_SWITCH, .help = "on every agent"},
    {.name = "agents",
     .value = "ID,ID,…",
     .kind = FLAG_TEXT,
     .help = "on these agents, by id, the beginning of one, or number; with --select on both"},
    {.name = "facts",
     .value = "EXPR",
     .kind = FLAG_TEXT,
     .help = "only where the device has told this of itself: arch=aarch64,memory_mib>2Ki"},
    {.name = "tolerate",
     .value = "TAINT,…",
     .kind = FLAG_TEXT,
     .help = "also on agents with these taints: KEY, KEY=VALUE, with :NoSchedule or :NoExecute, *"},
    {.name = "pick",
     .value = "PICK",
     .kind = FLAG_TEXT,
     .help = "on some of them: 3, 10%, 3 of each zone, 30 over zone skew 1; all"},
    {.name = "sort",
     .value = "FACT",
     .kind = FLAG_TEXT,
     .help = "of a pick, those with the smallest first, or with the largest: -disk_free"},
    {.name = "as",
     .value = "NAME",
     .kind = FLAG_TEXT,
     .help = "the deployment's name (default the bundle's)"},
    {.name = "priority",
     .value = "N",
     .kind = FLAG_NUMBER,
     .min = 0,
     .max = PRIORITY_MAX,
     .help = "higher ones are applied first (0)"},
    {.name = "paused", .kind = FLAG_SWITCH, .help = "decide now, apply when resumed"},
    {.name = "history",
     .value = "N",
     .kind = FLAG_NUMBER,
     .min = 1,
     .max = HISTORY_MAX,
     .help = "remember so many versions (10)"},
    {.name = "keep",
     .kind = FLAG_SWITCH,
     .help = "agents that leave the deployment keep what it runs"},
    {.name = "no-keep", .kind = FLAG_SWITCH, .help = "or no longer: they let go of it"},
    {.name = "dry-run", .kind = FLAG_SWITCH, .help = "only show what would change, and for whom"},
    CONFIRM_FLAG,
};

const struct verb deploy_verbs[2] = {
    {
        .name = "deploy",
        .operands = "NAME@V | FILE.yaml",
        .summary = "run a bundle on the agents that a selector matches",
        .text =
            "Makes the deployment or changes it. It says what should be: agents that are away "
            "learn it when they come back, and agents that get matching labels later join in.\n"
            "Selectors are Kubernetes': KEY=V, KEY!=V, KEY in (V,W), KEY notin (V,W), KEY>1, "
            "KEY<1, KEY, "
            "!KEY, with commas between terms that must all hold; several with | between them, of "
            "which one must, and \"except\" with others. @NAME is a group, !@NAME all others.\n"
            "A pick is exact and stays: who joins later takes nobody's place, who leaves is "
            "replaced.\n"
            "Facts are asked for as labels are, and as numbers: KEY=V, KEY!=V, KEY in (V,W), KEY "
            "notin (V,W), KEY, !KEY, KEY>N, KEY>=N, KEY<N, KEY<=N, with commas between.\n"
            "Without a word of who, a deployment stays where it is; with one, that is all of it: "
            "without --pick it is for all of them. Priority, --keep and the history stay until "
            "they are said again.\n"
            "A file says the same, and can be kept under version control. A key that it leaves out "
            "has its default, but for those that say \"as it is\" here:\n"
            "  deployment: app\n"
            "  bundle: app@2\n"
            "  placement:                     # or {all: true}; none: as it is\n"
            "    select: [env=prod, \"env=lab,zone in (a,b)\"]   # one, or any of several\n"
            "    agents: [ID, ID]             # these as well, or these alone\n"
            "    exclude: broken\n"
            "    facts: arch=aarch64, memory_mib>=2Ki   # as `dunlin agent show` has them\n"
            "    tolerate: [gpu]              # taints that are no hindrance\n"
            "    pick: 30 over zone skew 1    # all, 3, 10%, 3 of each zone\n"
            "    sort: -disk_free             # of a pick of 3 or 10%: those with most of a fact\n"
            "  depends_on: [base]             # begun where these are ready; none: as it is\n"
            "  variables: {port: 8080}        # where nothing else sets them; none: as they are\n"
            "  priority: 0\n"
            "  paused: false                  # what is paused stays so until it is resumed\n"
            "  keep: false\n"
            "  history: 10                    # versions that it can go back to; none: as it is\n"
            "  rollout:                       # none: the stages stay as they are\n"
            "    start: 2026-12-01T02:00:00Z  # or +01:00: nobody gets it before (at once)\n"
            "    max_failed: 10%              # of a stage, or a number; more stop it (0)\n"
            "    on_failure: pause            # or abort, rollback\n"
            "    new_version: supersede       # or queue, refuse: while this one is on its way\n"
            "    quorum: 100%                 # a stage ends when so many that it reaches are "
            "Ready,\n"
            "                                 # or nobody of it is at work any more\n"
            "    reachable_within: 5m         # who was heard of so lately is waited for\n"
            "    wait_for_first: 6h           # ready one of a stage, if none is in reach (for "
            "ever)\n"
            "    deadline: 30m                # who is at it for longer counts as failed (none)\n"
            "    rate: 100/1h                 # or 10%/1h: so many of a stage are let in in so "
            "long (any)\n"
            "    returning: 10%               # or a number, at work of those that come back "
            "(all)\n"
            "    window: {cron: \"0 2 * * 1-5\", for: 2h, zone: device}   # or UTC, +02:00\n"
            "    retries: 0                   # devices try again what failed,\n"
            "    back_off: 5m                 # after this, then after twice as long, …\n"
            "    stages:                      # one behind the other; []: everybody at once\n"
            "      - name: staging\n"
            "        select: env=staging      # everybody\n"
            "        share: 5%                # or a number, of those that are left (all)\n"
            "        concurrency: 50%         # or a number, at work at a time (all)\n"
            "        max_failed: 2            # or 10%: also stops it, besides the rollout's\n"
            "        rate: 20/10m             # in place of the rollout's\n"
            "        before: {approval: true, wait: 10m}\n"
            "        after: {approval: true, wait: 30m}   # since its last success\n"
            "        window: {cron: \"*/30 9-16 * * *\", for: 10m}        # in place of the other\n"
            "Who is in no stage gets the version in a last one, \"rest\". Being away is no "
            "failure: the gate stays open behind a stage. `dunlin rollout show` says how it "
            "goes.\n"
            "What would touch more than half of a fleet (see dunlin-manager --confirm-over), or "
            "leave a deployment without agents, takes --confirm.\n",
        .examples = "  dunlin deploy app@1 --select env=prod\n"
                    "  dunlin deploy app@2\n"
                    "  dunlin deploy app@2 --as app-lab --select 'lab,region in (eu,us)'\n"
                    "  dunlin deploy app.yaml --dry-run\n"
                    "  dunlin deploy app.yaml && dunlin wait app --timeout 2h\n",
        .flags = FLAGS(deploy_flags),
        .words_min = 1,
        .words_max = 1,
        .run = deploy,
    },
    {
        .name = "deployment diff",
        .operands = "NAME FILE.yaml",
        .summary = "show what a file would change",
        .text = "Line by line what there is and what there would be. `dunlin deploy FILE.yaml "
                "--dry-run` also says for whom.\n",
        .examples = "  dunlin deployment diff app app.yaml\n",
        .words_min = 2,
        .words_max = 2,
        .run = diff,
    },
};

static int deploy(struct cli *cli)
{
    static struct deployment_file d;
    d = (struct deployment_file){.placed = true};
    int rv = is_file(cli_word(cli, 0)) ? from_file(cli, &d) : from_flags(cli, &d);
    if (rv < 0)
        return rv;
    return args_has(&cli->args, "dry-run") ? try(cli, &d, preview_print) : send(cli, &d);
}

/* A folder of that name is what the bundle was pushed from. */
static bool is_file(const char *word)
{
    const char *dot = strrchr(word, '.');
    if (dot && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0))
        return true;
    struct stat st;
    return strchr(word, '/') || (stat(word, &st) == 0 && !S_ISDIR(st.st_mode));
}

static int from_flags(struct cli *cli, struct deployment_file *d)
{
    const struct args *a = &cli->args;
    const char *as = args_text(a, "as");
    int rv = bundle_name_parse(&d->bundle, cli_word(cli, 0), &cli->em);
    if (rv == 0 && as)
        rv = bundle_name_check("deployment", as, &cli->em);
    if (rv < 0)
        return rv;
    snprintf(d->deployment, sizeof d->deployment, "%s", as ? as : d->bundle.name);
    rv = is_placed(a) ? read_placement(cli, d)
                      : keep_placement(cli, d,
                                       "is new: on which agents? Say --select EXPR, --agents ID,…, "
                                       "or --all for every agent");
    if (rv < 0)
        return rv;
    if (args_has(a, "keep") && args_has(a, "no-keep"))
        return errmsg_set(&cli->em, ERR_USAGE, "--keep and --no-keep exclude each other");
    d->priority_stays = !args_has(a, "priority");
    d->priority = d->priority_stays ? 0 : (uint32_t)args_number(a, "priority");
    d->history = args_has(a, "history") ? (uint32_t)args_number(a, "history") : 0;
    d->paused = args_has(a, "paused");
    d->keep = args_has(a, "keep");
    d->keep_stays = !d->keep && !args_has(a, "no-keep");
    return 0;
}

static bool is_placed(const struct args *a)
{
    static const char *const flags[] = {"select", "all",      "agents", "facts",
                                        "pick",   "tolerate", "sort"};
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        if (args_has(a, flags[i]))
            return true;
    return false;
}

static int read_placement(struct cli *cli, struct deployment_file *d)
{
    int rv = read_selector(cli, d);
    if (rv == 0)
        rv = read_pick(cli, d);
    return rv < 0 ? rv : read_conditions(cli, d);
}

static int read_selector(struct cli *cli, struct deployment_file *d)
{
    const char *text = args_text(&cli->args, "select");
    const char *agents = args_text(&cli->args, "agents");
    struct selector selector;
    struct errmsg why;
    d->all = args_has(&cli->args, "all");
    if (d->all && text)
        return errmsg_set(&cli->em, ERR_USAGE, "--select and --all exclude each other");
    if (agents && d->all)
        return errmsg_set(&cli->em, ERR_USAGE, "--agents and --all exclude each other");
    int rv = agents ? read_agents(cli, agents, d) : 0;
    if (rv < 0 || d->all || (agents && !text))
        return rv;
    if (!text && args_has(&cli->args, "facts"))
        return 0;
    if (!text)
        return errmsg_set(
            &cli->em, ERR_USAGE,
            "on which agents? Say --select EXPR, --agents ID,…, or --all for every agent");
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

static int read_agents(struct cli *cli, const char *text, struct deployment_file *d)
{
    struct errmsg why;
    for (;; text++) {
        size_t len = strcspn(text, ",");
        if (deployment_file_name(d, span_of(text, len), &why) < 0)
            return errmsg_set(&cli->em, ERR_USAGE, "--%s", why.text);
        text += len;
        if (!*text)
            return 0;
    }
}

static int read_pick(struct cli *cli, struct deployment_file *d)
{
    const char *text = args_text(&cli->args, "pick");
    struct pick pick;
    struct errmsg why;
    if (pick_parse(text ? text : "all", &pick, &why) < 0)
        return errmsg_set(&cli->em, ERR_USAGE, "--%s", why.text);
    pick_text(&pick, d->pick);
    return 0;
}

static int read_conditions(struct cli *cli, struct deployment_file *d)
{
    const char *text = args_text(&cli->args, "tolerate"), *facts = args_text(&cli->args, "facts");
    const char *sort = args_text(&cli->args, "sort");
    struct errmsg why;
    if (facts && fact_filter_check(facts, &why) < 0)
        return errmsg_set(&cli->em, ERR_USAGE, "--%s", why.text);
    if (facts)
        snprintf(d->facts, sizeof d->facts, "%s", facts);
    if (sort && fact_order_check(sort, &why) < 0)
        return errmsg_set(&cli->em, ERR_USAGE, "--%s", why.text);
    if (sort)
        snprintf(d->sort, sizeof d->sort, "%s", sort);
    if (!text)
        return 0;
    if (tolerations_check(text, &why) < 0)
        return errmsg_set(&cli->em, ERR_USAGE, "--%s", why.text);
    snprintf(d->tolerate, sizeof d->tolerate, "%s", text);
    return 0;
}

static int from_file(struct cli *cli, struct deployment_file *d)
{
    static const char *const flags[] = {"select", "all",     "agents", "tolerate", "facts",
                                        "pick",   "sort",    "as",     "priority", "paused",
                                        "keep",   "no-keep", "history"};
    const char *path = cli_word(cli, 0);
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        if (args_has(&cli->args, flags[i]))
            return errmsg_set(&cli->em, ERR_USAGE, "--%s doesn't go with a file; write it into %s",
                              flags[i], path);
    return read_file(cli, path, d);
}

static int read_file(struct cli *cli, const char *path, struct deployment_file *d)
{
    static uint8_t memory[DEPLOYMENT_FILE_MAX];
    struct buffer text = buffer_on(memory, sizeof memory);
    int rv = file_read(path, &text, &cli->em);
    if (rv == 0)
        rv = deployment_file_read(d, path, span_buffer(&text), &cli->em);
    if (rv < 0 || d->placed)
        return rv;
    rv = keep_placement(cli, d,
                        "is new, so say where it goes: \"placement: {select: …}\", or "
                        "\"placement: {all: true}\" for every agent");
    return rv == ERR_USAGE ? errmsg_wrap(&cli->em, rv, "%.200s", path) : rv;
}

/* The file says no placement: what the deployment has stays. */
static int keep_placement(struct cli *cli, struct deployment_file *d, const char *if_new)
{
    char route[CLIENT_ROUTE_MAX];
    json_t *answer = NULL;
    int rv = client_route(route, "deployments", d->deployment, NULL, &cli->em);
    if (rv == 0)
        rv = cli_ask(cli, "GET", route, NULL, &answer);
    if (rv == ERR_NOT_FOUND)
        return errmsg_set(&cli->em, ERR_USAGE, "deployment %s %s", d->deployment, if_new);
    if (rv < 0)
        return rv;
    snprintf(d->select, sizeof d->select, "%s", field_text(answer, "select"));
    size_t i;
    const json_t *agent;
    json_array_foreach(json_object_get(answer, "named"), i, agent) rv =
        rv < 0 ? rv : deployment_file_name(d, span_text(json_string_value(agent)), &cli->em);
    snprintf(d->facts, sizeof d->facts, "%s", field_text(answer, "facts"));
    d->all = !d->select[0] && !d->agents[0] && !d->facts[0];
    snprintf(d->tolerate, sizeof d->tolerate, "%s", field_text(answer, "tolerate"));
    snprintf(d->sort, sizeof d->sort, "%s", field_text(answer, "sort"));
    json_decref(answer);
    return rv;
}

/* "ID,ID,…" as a list. */
static json_t *agents_json(const char *text)
{
    json_t *list = json_array();
    for (size_t len; *text; text += len + (text[len] == ',')) {
        len = strcspn(text, ",");
        json_array_append_new(list, json_stringn(text, len));
    }
    return list;
}

static json_t *names_of(const struct deployment_file *d)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < d->after_count; i++)
        json_array_append_new(list, json_string(d->after[i]));
    return list;
}

static json_t *variables_of(const struct deployment_file *d)
{
    json_t *object = json_object();
    for (uint32_t i = 0; i < d->variable_count; i++)
        json_object_set_new(object, d->variables[i].name, json_string(d->variables[i].value));
    return object;
}

static json_t *body_of(const struct deployment_file *d)
{
    char bundle[sizeof d->bundle + 1];
    snprintf(bundle, sizeof bundle, "%s@%s", d->bundle.name, d->bundle.version);
    json_t *body =
        json_pack("{ss ss ss? sb sb}", "name", d->deployment, "bundle", bundle, "select",
                  d->select[0] ? d->select : NULL, "all", (int)d->all, "paused", (int)d->paused);
    if (body && !d->priority_stays)
        json_object_set_new(body, "priority", json_integer(d->priority));
    if (body && !d->keep_stays)
        json_object_set_new(body, "keep", json_boolean(d->keep));
    if (body && d->agents[0])
        json_object_set_new(body, "agents", agents_json(d->agents));
    if (body && d->facts[0])
        json_object_set_new(body, "facts", json_string(d->facts));
    if (body && d->sort[0])
        json_object_set_new(body, "sort", json_string(d->sort));
    if (body && d->tolerate[0])
        json_object_set_new(body, "tolerate", json_string(d->tolerate));
    if (body && d->pick[0])
        json_object_set_new(body, "pick", json_string(d->pick));
    if (body && d->history)
        json_object_set_new(body, "history", json_integer(d->history));
    if (body && d->ordered)
        json_object_set_new(body, "depends_on", names_of(d));
    if (body && d->valued)
        json_object_set_new(body, "variables", variables_of(d));
    if (body && d->planned)
        json_object_set_new(body, "rollout", plan_to_json(&d->plan));
    return body;
}

static int send(struct cli *cli, const struct deployment_file *d)
{
    json_t *answer = NULL, *body = body_of(d);
    char paused[NAME_MAX_LEN + 48] = "";
    cli_confirm(cli, body);
    int rv = cli_call(cli, "POST", "/v1/deployments", body, &answer);
    if (rv < 0 || !answer)
        return rv;
    const char *queued = field_text(answer, "queued");
    if (json_is_true(json_object_get(answer, "paused")))
        snprintf(paused, sizeof paused, ", paused: dunlin deployment resume %s", d->deployment);
    if (*queued)
        printf("%s: version %s comes when the rollout of %s is over: %s\n", d->deployment, queued,
               field_text(answer, "version"), field_text(answer, "next"));
    else if (json_is_true(json_object_get(answer, "changed")))
        printf("%s: %s@%s for %s%s%s\n", d->deployment, d->bundle.name, d->bundle.version,
               units_count(field_number(answer, "targets"), "agent").text,
               field_number(answer, "targets") ? "" : ": none matches now, see `dunlin agent list`",
               paused);
    else
        printf("%s: nothing to change\n", d->deployment);
    if (json_is_true(json_object_get(answer, "implied")))
        print_budgets(json_object_get(answer, "budgets"));
    json_decref(answer);
    return 0;
}

/* It has no stages, and goes no faster than they let it. */
static void print_budgets(const json_t *budgets)
{
    size_t i;
    const json_t *name;
    json_array_foreach(budgets, i, name)
    {
        printf("%s%s",
               i ? ", " : "it goes in one stage, as budgets let it: ", json_string_value(name));
    }
    if (json_array_size(budgets) > 0)
        puts("; see `dunlin budget list`");
}

static int try(struct cli *cli, const struct deployment_file *d,
               int (*print)(struct cli *, const json_t *))
{
    json_t *answer = NULL, *body = body_of(d);
    json_object_set_new(body, "dry_run", json_true());
    int rv = cli_call(cli, "POST", "/v1/deployments", body, &answer);
    if (rv < 0 || !answer)
        return rv;
    rv = print(cli, answer);
    json_decref(answer);
    return rv;
}

static int diff(struct cli *cli)
{
    static struct deployment_file d;
    const char *name = cli_word(cli, 0), *path = cli_word(cli, 1);
    int rv = read_file(cli, path, &d);
    if (rv < 0)
        return rv;
    if (strcmp(d.deployment, name) != 0)
        return errmsg_set(&cli->em, ERR_USAGE, "%.200s is about deployment %s, not about %.80s",
                          path, d.deployment, name);
    return try(cli, &d, preview_changes);
}
