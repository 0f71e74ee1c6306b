/* deployment list, show, pause, resume, rollback, remove: what runs where. */
#include "manager/cli/deployment.h"

#include "manager/cli/bundle_name.h"
#include "manager/cli/verbs.h"

#include <inttypes.h>

static void add_rollout(struct table *t, const json_t *deployment);
static int list(struct cli *cli);
static int show(struct cli *cli);
static int show_head(struct cli *cli, const json_t *d);
static int show_agents(struct cli *cli, const json_t *d);
static int show_history(struct cli *cli, const json_t *d);
static int pause_deployment(struct cli *cli);
static int resume(struct cli *cli);
static int rollback(struct cli *cli);
static int act(struct cli *cli, const char *action, json_t *body, const char *done);
static int remove_deployment(struct cli *cli);

static const struct flag rollback_flags[] = {
    {.name = "to",
     .value = "V",
     .kind = FLAG_TEXT,
     .help = "a version that the deployment had (default the one before)"},
    CONFIRM_FLAG,
};

static const struct flag remove_flags[] = {
    {.name = "force", .kind = FLAG_SWITCH, .help = "also when other deployments depend on it"},
    CONFIRM_FLAG,
};

const struct verb deployment_verbs[6] = {
    {
        .name = "deployment list",
        .summary = "list the deployments and how far each is",
        .run = list,
    },
    {
        .name = "deployment show",
        .operands = "NAME",
        .summary = "show one, its agents and the versions it had",
        .text = "Agents that aren't ready come first.\n",
        .words_min = 1,
        .words_max = 1,
        .run = show,
    },
    {
        .name = "deployment pause",
        .operands = "NAME",
        .summary = "let no agent begin the new version",
        .text = "Agents that have begun finish; all keep running what they run.\n",
        .words_min = 1,
        .words_max = 1,
        .run = pause_deployment,
    },
    {
        .name = "deployment resume",
        .operands = "NAME",
        .summary = "let agents go on",
        .words_min = 1,
        .words_max = 1,
        .run = resume,
    },
    {
        .name = "deployment rollback",
        .operands = "NAME",
        .summary = "go back to the version before",
        .examples = "  dunlin deployment rollback app\n  dunlin deployment rollback app --to 1\n",
        .flags = FLAGS(rollback_flags),
        .words_min = 1,
        .words_max = 1,
        .run = rollback,
    },
    {
        .name = "deployment remove",
        .operands = "NAME",
        .summary = "take it off its agents",
        .text = "Agents run hooks/remove and delete what the deployment brought, unless it was "
                "deployed with --keep. What others depend on (see `dunlin deploy --help`) takes "
                "--force: they go on without.\n",
        .flags = FLAGS(remove_flags),
        .words_min = 1,
        .words_max = 1,
        .run = remove_deployment,
    },
};

struct deployment_counts_text deployment_counts(const json_t *object)
{
    struct deployment_counts_text t = {.paint = PAINT_BUSY};
    uint64_t targets = field_number(object, "targets"), ready = field_number(object, "ready");
    uint64_t pending = field_number(object, "pending"), failed = field_number(object, "failed");
    if (targets == 0) {
        snprintf(t.text, sizeof t.text, "no agents match");
        return t;
    }
    int n = snprintf(t.text, sizeof t.text, "%s", units_of(ready, targets, "ready").text);
    size_t used = n < 0 ? 0 : (size_t)n;
    if (pending > 0)
        used +=
            (size_t)snprintf(t.text + used, sizeof t.text - used, ", %" PRIu64 " pending", pending);
    if (failed > 0)
        snprintf(t.text + used, sizeof t.text - used, ", %" PRIu64 " failed", failed);
    if (failed > 0)
        t.paint = PAINT_BAD;
    else if (ready == targets)
        t.paint = PAINT_GOOD;
    return t;
}

int deployment_print_table(struct cli *cli, const json_t *deployments)
{
    static const char *const titles[] = {"DEPLOYMENT", "BUNDLE", "AGENTS", "WHERE", ""};
    struct table *t = table_new(5, titles);
    size_t i;
    json_t *d = NULL;
    json_array_foreach(deployments, i, d)
    {
        struct deployment_counts_text counts = deployment_counts(d);
        const char *select = field_text(d, "select");
        bool all = json_object_get(d, "select") && !*select;
        table_cell(t, PAINT_NONE, "%s", field_text(d, "name"));
        table_cell(t, PAINT_NONE, "%s", field_text(d, "bundle"));
        table_cell(t, counts.paint, "%s", counts.text);
        table_cell(t, PAINT_NONE, "%s", all ? "every agent" : select);
        add_rollout(t, d);
    }
    if (table_rows(t) > 0)
        return cli_print(cli, t);
    table_free(t);
    puts("no deployments yet: dunlin deploy NAME@V --select EXPR");
    return 0;
}

/* "stage prod waiting", "paused", or nothing to tell. */
static void add_rollout(struct table *t, const json_t *deployment)
{
    const char *stage = field_text(deployment, "stage");
    const char *state = field_text(deployment, "rollout_state");
    const char *budget = field_text(deployment, "budget");
    if (*stage)
        table_cell(t, table_state_paint(state), "stage %s %s%s%s", stage, state,
                   *budget ? " for budget " : "", budget);
    else
        table_cell(t, PAINT_BUSY, "%s",
                   json_is_true(json_object_get(deployment, "paused")) ? "paused" : "");
}

static int list(struct cli *cli)
{
    json_t *answer = NULL;
    int rv = cli_call(cli, "GET", "/v1/deployments", NULL, &answer);
    if (rv < 0 || !answer)
        return rv;
    rv = deployment_print_table(cli, json_object_get(answer, "deployments"));
    json_decref(answer);
    return rv;
}

static int show(struct cli *cli)
{
    json_t *d = NULL;
    int rv = cli_call_on(cli, "GET", "deployments", cli_word(cli, 0), NULL, NULL, &d);
    if (rv < 0 || !d)
        return rv;
    rv = show_head(cli, d);
    if (rv == 0 && json_array_size(json_object_get(d, "history")) > 0)
        rv = show_history(cli, d);
    if (rv == 0 && json_array_size(json_object_get(d, "agents")) > 0)
        rv = show_agents(cli, d);
    json_decref(d);
    return rv;
}

static void add_line(struct table *t, const char *what, const char *text)
{
    if (!*text)
        return;
    table_cell(t, PAINT_DIM, "%s", what);
    table_cell(t, PAINT_NONE, "%s", text);
}

static void add_where(struct table *t, const json_t *d, const char *select)
{
    size_t named = json_array_size(json_object_get(d, "named"));
    bool facts = *field_text(d, "facts");
    if (named == 0)
        table_cell(t, PAINT_NONE, "%s", *select ? select : "every agent");
    else if (*select || facts)
        table_cell(t, PAINT_NONE, "%s, and %s by name", *select ? select : "every agent",
                   units_count(named, "agent").text);
    else
        table_cell(t, PAINT_NONE, "%s by name", units_count(named, "agent").text);
}

/* Which of those that the selector matches. */
static void add_choice(struct table *t, const json_t *d)
{
    const char *pick = field_text(d, "pick");
    add_line(t, "facts", field_text(d, "facts"));
    add_line(t, "tolerates", field_text(d, "tolerate"));
    add_line(t, "pick", strcmp(pick, "all") == 0 ? "" : pick);
    add_line(t, "sorted by", field_text(d, "sort"));
}

static int show_head(struct cli *cli, const json_t *d)
{
    struct deployment_counts_text counts = deployment_counts(d);
    const char *select = field_text(d, "select");
    bool paused = json_is_true(json_object_get(d, "paused"));
    struct table *t = table_new(2, NULL);
    table_cell(t, PAINT_DIM, "deployment");
    table_cell(t, PAINT_NONE, "%s", field_text(d, "name"));
    table_cell(t, PAINT_DIM, "bundle");
    table_cell(t, PAINT_NONE, "%s, generation %" PRIu64, field_text(d, "bundle"),
               field_number(d, "generation"));
    table_cell(t, PAINT_DIM, "agents");
    table_cell(t, counts.paint, "%s%s", counts.text, paused ? ", paused" : "");
    table_cell(t, PAINT_DIM, "where");
    add_where(t, d, select);
    add_choice(t, d);
    add_line(t, "after", field_names(d, "depends_on").text);
    table_cell(t, PAINT_DIM, "made");
    table_cell(t, PAINT_NONE, "%s", field_ago(d, "created", "some time ago").text);
    return cli_print(cli, t);
}

static int show_history(struct cli *cli, const json_t *d)
{
    static const char *const titles[] = {"GENERATION", "VERSION", "SINCE", "OTHER VALUES OF"};
    const json_t *history = json_object_get(d, "history");
    bool valued = false;
    size_t i;
    json_t *h;
    json_array_foreach((json_t *)(uintptr_t)history, i, h)
    {
        valued |= json_array_size(json_object_get(h, "values")) > 0;
    }
    struct table *t = table_new(valued ? 4 : 3, titles);
    json_array_foreach((json_t *)(uintptr_t)history, i, h)
    {
        table_cell(t, PAINT_NONE, "%" PRIu64, field_number(h, "generation"));
        table_cell(t, PAINT_NONE, "%s", field_text(h, "version"));
        table_cell(t, PAINT_NONE, "%s", field_ago(h, "since", "").text);
        if (valued)
            table_cell(t, PAINT_NONE, "%s", field_names(h, "values").text);
    }
    putchar('\n');
    return cli_print(cli, t);
}

static int show_agents(struct cli *cli, const json_t *d)
{
    static const char *const titles[] = {"AGENT", "ID", "STATE", "RUNS", "WANTED", "CAUSE"};
    struct table *t = table_new(6, titles);
    size_t i;
    json_t *a;
    json_array_foreach(json_object_get(d, "agents"), i, a)
    {
        const char *state = field_text(a, "state"), *version = field_text(a, "version");
        table_cell(t, PAINT_NONE, "%" PRIu64, field_number(a, "number"));
        table_cell(t, PAINT_NONE, "%.12s", field_text(a, "id"));
        table_cell(t, table_state_paint(state), "%s", state);
        table_cell(t, PAINT_NONE, "%s", *version ? version : "-");
        table_cell(t, PAINT_NONE, "%s", field_text(a, "target"));
        table_cell(t, PAINT_NONE, "%s", field_text(a, "cause"));
    }
    putchar('\n');
    int rv = cli_print(cli, t);
    uint64_t more = field_number(d, "more");
    if (rv == 0 && more > 0)
        printf("and %s\n", units_count(more, "more agent").text);
    return rv;
}

static int pause_deployment(struct cli *cli)
{
    return act(cli, "pause", json_object(), "is paused");
}

static int resume(struct cli *cli)
{
    return act(cli, "resume", json_object(), "goes on");
}

static int rollback(struct cli *cli)
{
    const char *to = args_text(&cli->args, "to");
    int rv = to ? bundle_name_check("version", to, &cli->em) : 0;
    return rv < 0
               ? rv
               : act(cli, "rollback", cli_confirm(cli, json_pack("{ss?}", "to", to)), "goes back");
}

/* The answer is the deployment as it now is. */
static int act(struct cli *cli, const char *action, json_t *body, const char *done)
{
    json_t *d = NULL;
    int rv = cli_call_on(cli, "POST", "deployments", cli_word(cli, 0), action, body, &d);
    if (rv < 0 || !d)
        return rv;
    printf("%s %s: %s, %s\n", field_text(d, "name"), done, field_text(d, "bundle"),
           deployment_counts(d).text);
    json_decref(d);
    return 0;
}

static int remove_deployment(struct cli *cli)
{
    json_t *answer = NULL;
    char route[CLIENT_ROUTE_MAX];
    int rv = client_route(route, "deployments", cli_word(cli, 0), NULL, &cli->em);
    if (rv < 0)
        return rv;
    size_t len = strlen(route);
    bool force = args_has(&cli->args, "force"), confirm = args_has(&cli->args, "confirm");
    snprintf(route + len, sizeof route - len, "%s%s%s", force ? "?force=1" : "",
             force && confirm ? "&"
             : confirm        ? "?"
                              : "",
             confirm ? "confirm=1" : "");
    rv = cli_call(cli, "DELETE", route, NULL, &answer);
    if (rv < 0 || !answer)
        return rv;
    printf("%s is removed; its agents take it off as they hear of it\n", cli_word(cli, 0));
    json_decref(answer);
    return 0;
}
