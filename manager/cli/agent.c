/* agent list, show, label, remove: the devices that joined. */
#include "base/labels.h"
#include "manager/cli/verbs.h"

#include <inttypes.h>

/* As much of an id as tells it from a million others; the manager takes any unique beginning. */
#define ID_SHOWN 12
#define ROUTE_MAX (CLIENT_ROUTE_MAX + 2048)

static int list(struct cli *cli);
static int list_route(struct cli *cli, char out[static ROUTE_MAX]);
static void list_row(struct table *t, const json_t *agent);
static void describe(const json_t *agent, char *out, size_t cap);
static int show(struct cli *cli);
static int show_head(struct cli *cli, const json_t *agent);
static int show_deployments(struct cli *cli, const json_t *agent);
static int label(struct cli *cli);
static int label_many(struct cli *cli, const char *set, const char *unset);
static int sort_words(struct cli *cli, size_t first, char set[static LABELS_TEXT_MAX],
                      char unset[static LABELS_TEXT_MAX]);
static int append(struct cli *cli, char list[static LABELS_TEXT_MAX], const char *word, size_t len);
static int approve(struct cli *cli);
static int remove_agent(struct cli *cli);

static const struct flag list_flags[] = {
    {.name = "select",
     .value = "EXPR",
     .kind = FLAG_TEXT,
     .help = "only those whose labels match, like env=prod,region in (eu,us),!lab"},
    {.name = "all", .kind = FLAG_SWITCH, .help = "also those that were removed or revoked"},
};

static const struct flag label_flags[] = {
    {.name = "select",
     .value = "EXPR",
     .kind = FLAG_TEXT,
     .help = "instead of AGENT: all whose labels match"},
    CONFIRM_FLAG,
};

const struct verb agent_verbs[5] = {
    {
        .name = "agent list",
        .summary = "list the agents and what they run",
        .examples = "  dunlin agent list --select env=prod\n",
        .flags = FLAGS(list_flags),
        .run = list,
    },
    {
        .name = "agent show",
        .operands = "AGENT",
        .summary = "show all about one agent",
        .text = "AGENT is its id, the beginning of it, or its number: 42, or n42 where ids begin "
                "with 42.\n",
        .examples = "  dunlin agent show 7\n  dunlin agent show 3f9a\n",
        .words_min = 1,
        .words_max = 1,
        .run = show,
    },
    {
        .name = "agent label",
        .operands = "[AGENT] KEY=VALUE ... KEY- ...",
        .summary = "set labels, or remove them with KEY-",
        .text = "Labels are what deployments select by: a new label can give an agent other "
                "deployments. It need not be connected; it learns when it comes back.\n",
        .examples = "  dunlin agent label 7 env=prod region=eu lab-\n"
                    "  dunlin agent label --select region=eu ring=2\n",
        .flags = FLAGS(label_flags),
        .words_min = 1,
        .words_max = ARGS_MAX,
        .run = label,
    },
    {
        .name = "agent approve",
        .operands = "AGENT",
        .summary = "let a device in that waits for it",
        .text = "Devices wait when their token was made with --approve, or the manager runs with "
                "--approve: look for Waiting in `dunlin agent list`, and compare the id with what "
                "the device says. `dunlin agent remove` refuses one for good.\n",
        .examples = "  dunlin agent approve 3f9a\n",
        .words_min = 1,
        .words_max = 1,
        .run = approve,
    },
    {
        .name = "agent remove",
        .operands = "AGENT",
        .summary = "take an agent out of the fleet",
        .text = "It keeps what it runs and gets nothing new. It can join again only with a new "
                "token and a new key.\n",
        .words_min = 1,
        .words_max = 1,
        .run = remove_agent,
    },
};

static int list(struct cli *cli)
{
    static const char *const titles[] = {"NO", "ID", "STATE", "LAST SEEN", "LABELS", "DEPLOYMENTS"};
    char route[ROUTE_MAX];
    json_t *answer = NULL, *agent;
    size_t i;
    int rv = list_route(cli, route);
    if (rv == 0)
        rv = cli_call(cli, "GET", route, NULL, &answer);
    if (rv < 0 || !answer)
        return rv;
    struct table *t = table_new(6, titles);
    json_array_foreach(json_object_get(answer, "agents"), i, agent)
    {
        list_row(t, agent);
    }
    json_decref(answer);
    if (table_rows(t) > 0)
        return cli_print(cli, t);
    table_free(t);
    puts(args_has(&cli->args, "select")
             ? "no agent's labels match"
             : "no agents; for a new one: dunlin token create, then on the device "
               "dunlin-agent join HOST TOKEN --dir DIR");
    return 0;
}

static int list_route(struct cli *cli, char out[static ROUTE_MAX])
{
    const char *select = args_text(&cli->args, "select");
    bool all = args_has(&cli->args, "all");
    if (!select) {
        snprintf(out, ROUTE_MAX, "/v1/agents%s", all ? "?all=1" : "");
        return 0;
    }
    return client_query(out, ROUTE_MAX,
                        all ? "/v1/agents?all=1&select=" : "/v1/agents?select=", select, &cli->em);
}

static void list_row(struct table *t, const json_t *agent)
{
    char labels[LABELS_TEXT_MAX], deployments[1024];
    const char *state = field_text(agent, "state");
    bool cordoned = json_is_true(json_object_get(agent, "cordoned"));
    field_pairs(agent, "labels", labels, sizeof labels);
    describe(agent, deployments, sizeof deployments);
    table_cell(t, PAINT_NONE, "%" PRIu64, field_number(agent, "number"));
    table_cell(t, PAINT_NONE, "%.*s", ID_SHOWN, field_text(agent, "id"));
    table_cell(t, table_state_paint(state), "%s%s", state, cordoned ? ", cordoned" : "");
    table_cell(t, PAINT_NONE, "%s", field_ago(agent, "last_seen", "never").text);
    table_cell(t, PAINT_NONE, "%s", labels);
    table_cell(t, PAINT_NONE, "%s", deployments);
}

/* "app 2 Ready, web 1 -> 2 Applying" */
static void describe(const json_t *agent, char *out, size_t cap)
{
    size_t i, used = 0;
    json_t *d = NULL;
    out[0] = '\0';
    json_array_foreach(json_object_get(agent, "deployments"), i, d)
    {
        const char *version = field_text(d, "version"), *target = field_text(d, "target");
        bool moving = *version && strcmp(version, target) != 0;
        int n = snprintf(out + used, cap - used, "%s%s %s%s%s %s", used ? ", " : "",
                         field_text(d, "name"), moving ? version : "", moving ? " -> " : "", target,
                         field_text(d, "state"));
        used += n < 0 ? 0 : (size_t)n;
        if (used >= cap)
            return;
    }
}

static int show(struct cli *cli)
{
    json_t *agent = NULL;
    int rv = cli_call_on(cli, "GET", "agents", cli_word(cli, 0), NULL, NULL, &agent);
    if (rv < 0 || !agent)
        return rv;
    rv = show_head(cli, agent);
    if (rv == 0 && json_array_size(json_object_get(agent, "deployments")) > 0)
        rv = show_deployments(cli, agent);
    json_decref(agent);
    return rv;
}

static int show_head(struct cli *cli, const json_t *agent)
{
    char labels[LABELS_TEXT_MAX];
    const char *state = field_text(agent, "state"), *key;
    const json_t *token = json_object_get(agent, "token");
    json_t *value;
    struct table *t = table_new(2, NULL);
    field_pairs(agent, "labels", labels, sizeof labels);
    table_cell(t, PAINT_DIM, "id");
    table_cell(t, PAINT_NONE, "%s", field_text(agent, "id"));
    table_cell(t, PAINT_DIM, "number");
    table_cell(t, PAINT_NONE, "%" PRIu64, field_number(agent, "number"));
    table_cell(t, PAINT_DIM, "state");
    table_cell(t, table_state_paint(state), "%s", state);
    if (*field_text(agent, "reason")) {
        table_cell(t, PAINT_DIM, "because");
        table_cell(t, PAINT_NONE, "%s", field_text(agent, "reason"));
    }
    size_t at;
    const json_t *taint;
    json_array_foreach(json_object_get(agent, "taints"), at, taint)
    {
        table_cell(t, PAINT_DIM, at == 0 ? "taints" : "");
        table_cell(t, PAINT_BUSY, "%s", json_string_value(taint));
    }
    if (json_is_true(json_object_get(agent, "cordoned"))) {
        table_cell(t, PAINT_DIM, "cordoned");
        table_cell(t, PAINT_BUSY, "it takes nothing new until `dunlin agent uncordon %" PRIu64 "`",
                   field_number(agent, "number"));
    }
    table_cell(t, PAINT_DIM, "last seen");
    table_cell(t, PAINT_NONE, "%s", field_ago(agent, "last_seen", "never").text);
    table_cell(t, PAINT_DIM, "joined");
    table_cell(t, PAINT_NONE, "%s, with token %" PRIu64 " of batch %" PRIu64,
               field_ago(agent, "joined", "some time ago").text, field_number(token, "index") + 1,
               field_number(token, "batch"));
    table_cell(t, PAINT_DIM, "labels");
    table_cell(t, PAINT_NONE, "%s", labels[0] ? labels : "none");
    json_object_foreach(json_object_get(agent, "facts"), key, value)
    {
        const char *text = json_string_value(value);
        table_cell(t, PAINT_DIM, "%s", key);
        table_cell(t, PAINT_NONE, "%s", text ? text : "");
    }
    return cli_print(cli, t);
}

static int show_deployments(struct cli *cli, const json_t *agent)
{
    static const char *const titles[] = {"DEPLOYMENT", "STATE", "RUNS", "WANTED", "CAUSE"};
    struct table *t = table_new(5, titles);
    size_t i;
    json_t *d = NULL;
    json_array_foreach(json_object_get(agent, "deployments"), i, d)
    {
        const char *state = field_text(d, "state"), *version = field_text(d, "version");
        table_cell(t, PAINT_NONE, "%s", field_text(d, "name"));
        table_cell(t, table_state_paint(state), "%s", state);
        table_cell(t, PAINT_NONE, "%s", *version ? version : "-");
        table_cell(t, PAINT_NONE, "%s", field_text(d, "target"));
        table_cell(t, PAINT_NONE, "%s", field_text(d, "cause"));
    }
    putchar('\n');
    int rv = cli_print(cli, t);
    json_array_foreach(json_object_get(agent, "deployments"), i, d)
    {
        if (!json_object_get(d, "output"))
            continue;
        printf("\n%s: %s\n", field_text(d, "name"), field_text(d, "cause"));
        cli_print_output(d);
    }
    return rv;
}

static int label(struct cli *cli)
{
    char set[LABELS_TEXT_MAX], unset[LABELS_TEXT_MAX];
    char labels[LABELS_TEXT_MAX];
    json_t *agent = NULL;
    bool many = args_has(&cli->args, "select");
    int rv = sort_words(cli, many ? 0 : 1, set, unset);
    if (many)
        return rv < 0 ? rv : label_many(cli, set, unset);
    if (rv == 0)
        rv = cli_call_on(cli, "PATCH", "agents", cli_word(cli, 0), NULL,
                         json_pack("{ss ss}", "set", set, "unset", unset), &agent);
    if (rv < 0 || !agent)
        return rv;
    field_pairs(agent, "labels", labels, sizeof labels);
    printf("agent %" PRIu64 ": %s\n", field_number(agent, "number"),
           labels[0] ? labels : "no labels");
    json_decref(agent);
    return 0;
}

/* A page after the other, each one durable when it is answered. */
static int label_many(struct cli *cli, const char *set, const char *unset)
{
    const char *select = args_text(&cli->args, "select");
    json_int_t changed = 0;
    json_t *body = json_pack("{ss ss ss}", "select", select, "set", set, "unset", unset);
    int rv = cli_ask_pages(cli, "/v1/agents/label", cli_confirm(cli, body), &changed);
    if (rv < 0)
        return rv;
    if (cli->json)
        return cli_print_json(cli, json_pack("{sI}", "changed", changed));
    printf("%lld agents have other labels now\n", (long long)changed);
    return 0;
}

/* "k=v" is to be set, "k-" is to go. */
static int sort_words(struct cli *cli, size_t first, char set[static LABELS_TEXT_MAX],
                      char unset[static LABELS_TEXT_MAX])
{
    set[0] = unset[0] = '\0';
    if (first == cli->args.word_count)
        return errmsg_set(&cli->em, ERR_USAGE, "write KEY=VALUE to set a label, KEY- to remove it");
    for (size_t i = first; i < cli->args.word_count; i++) {
        const char *word = cli_word(cli, i);
        size_t len = strlen(word);
        int rv = ERR_USAGE;
        if (strchr(word, '='))
            rv = append(cli, set, word, len);
        else if (len > 1 && word[len - 1] == '-')
            rv = append(cli, unset, word, len - 1);
        else
            errmsg_set(&cli->em, rv, "%.80s: write KEY=VALUE to set a label, KEY- to remove it",
                       word);
        if (rv < 0)
            return rv;
    }
    return 0;
}

static int append(struct cli *cli, char list[static LABELS_TEXT_MAX], const char *word, size_t len)
{
    size_t used = strlen(list);
    if (used + 1 + len >= LABELS_TEXT_MAX)
        return errmsg_set(&cli->em, ERR_USAGE, "more than %d characters of labels",
                          LABELS_TEXT_MAX - 1);
    snprintf(list + used, LABELS_TEXT_MAX - used, "%s%.*s", used ? "," : "", (int)len, word);
    return 0;
}

static int approve(struct cli *cli)
{
    json_t *agent = NULL;
    int rv = cli_call_on(cli, "POST", "agents", cli_word(cli, 0), "approve", json_object(), &agent);
    if (rv < 0 || !agent)
        return rv;
    printf("agent %" PRIu64 " is in the fleet\n", field_number(agent, "number"));
    json_decref(agent);
    return 0;
}

static int remove_agent(struct cli *cli)
{
    json_t *answer = NULL;
    int rv = cli_call_on(cli, "DELETE", "agents", cli_word(cli, 0), NULL, NULL, &answer);
    if (rv < 0 || !answer)
        return rv;
    printf("agent %s is out of the fleet\n", cli_word(cli, 0));
    json_decref(answer);
    return 0;
}
