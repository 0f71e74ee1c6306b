/* budget set, list, show, remove: how many agents may be out of Ready at the same time. */
#include "manager/cli/verbs.h"

#include <inttypes.h>

static int set(struct cli *cli);
static int list(struct cli *cli);
static void list_row(struct table *t, const json_t *budget);
static int show(struct cli *cli);
static void print_holders(const json_t *budget);
static int remove_budget(struct cli *cli);

static const struct flag set_flags[] = {
    {.name = "select",
     .value = "EXPR",
     .kind = FLAG_TEXT,
     .help = "the agents whose labels match; @NAME for a group"},
    {.name = "all", .kind = FLAG_SWITCH, .help = "every agent"},
    {.name = "max",
     .value = "N|N%",
     .kind = FLAG_TEXT,
     .help = "so many of them, or so many of a hundred, rounded up"},
};

const struct verb budget_verbs[4] = {
    {
        .name = "budget set",
        .operands = "NAME",
        .summary = "say how many of some agents may be out of Ready at a time",
        .text =
            "Rollouts let no agent in where more of these agents would be out of Ready at the same "
            "time than the budget says, whichever deployments they are out by. A deployment "
            "without stages that is for such agents gets its new versions in one stage, so that it "
            "keeps the budget as well. An agent that is under several budgets keeps all.\n"
            "Who fails and has nothing to go back to is out until it is mended, or cordoned; who "
            "went back to the version before is not. Agents that are away don't count. Changed "
            "variables wait as versions do, and a rollback lets agents go back only as the budget "
            "leaves room.\n"
            "So does all else that brings work to an agent: other labels, groups, lists, picks or "
            "values, the end of a cordon, its joining, and its coming back after more than five "
            "minutes. It asks, and keeps what it runs until there is room. Only what it began "
            "before it went away it brings to an end, counted apart. To remove a deployment puts "
            "nobody out of Ready.\n",
        .examples = "  dunlin budget set pier --select site=pier --max 10%\n"
                    "  dunlin budget set gateways --select @gateways --max 1\n",
        .flags = FLAGS(set_flags),
        .words_min = 1,
        .words_max = 1,
        .run = set,
    },
    {
        .name = "budget list",
        .summary = "list the budgets, and what they are taken by",
        .run = list,
    },
    {
        .name = "budget show",
        .operands = "NAME",
        .summary = "show one budget, and agents that are out",
        .words_min = 1,
        .words_max = 1,
        .run = show,
    },
    {
        .name = "budget remove",
        .operands = "NAME",
        .summary = "hold up rollouts no more",
        .words_min = 1,
        .words_max = 1,
        .run = remove_budget,
    },
};

static int set(struct cli *cli)
{
    const char *name = cli_word(cli, 0), *select = args_text(&cli->args, "select");
    const char *max = args_text(&cli->args, "max");
    bool all = args_has(&cli->args, "all");
    json_t *answer = NULL;
    if (select && all)
        return errmsg_set(&cli->em, ERR_USAGE, "--select and --all exclude each other");
    if (!select && !all)
        return errmsg_set(&cli->em, ERR_USAGE,
                          "whose agents is it about? Say --select EXPR, or --all");
    if (!max)
        return errmsg_set(&cli->em, ERR_USAGE,
                          "how many may be out of Ready? Say --max 5, or --max 10%%");
    int rv = cli_call(
        cli, "POST", "/v1/budgets",
        json_pack("{ss ss? sb ss}", "name", name, "select", select, "all", (int)all, "max", max),
        &answer);
    if (rv < 0 || !answer)
        return rv;
    if (json_is_true(json_object_get(answer, "changed")))
        printf("budget %s: %" PRIu64 " of %s may be out of Ready\n", name,
               field_number(answer, "allowed"),
               units_count(field_number(answer, "agents"), "agent").text);
    else
        printf("budget %s: nothing to change\n", name);
    json_decref(answer);
    return 0;
}

static int list(struct cli *cli)
{
    static const char *const titles[] = {"BUDGET", "AGENTS", "OUT", "RETURNING", "BY", "SELECTOR"};
    json_t *answer = NULL, *budget;
    size_t i;
    int rv = cli_call(cli, "GET", "/v1/budgets", NULL, &answer);
    if (rv < 0 || !answer)
        return rv;
    struct table *t = table_new(6, titles);
    json_array_foreach(json_object_get(answer, "budgets"), i, budget)
    {
        list_row(t, budget);
    }
    json_decref(answer);
    if (table_rows(t) > 0)
        return cli_print(cli, t);
    table_free(t);
    puts("no budgets; make one: dunlin budget set NAME --select EXPR --max 10%");
    return 0;
}

/* "app 3, base 1" */
static void name_deployments(const json_t *budget, char *out, size_t cap)
{
    size_t i, used = 0;
    const json_t *d;
    json_array_foreach(json_object_get(budget, "deployments"), i, d)
    {
        int n = snprintf(out + used, cap - used, "%s%s %" PRIu64, i ? ", " : "",
                         field_text(d, "name"), field_number(d, "agents"));
        used += n > 0 && (size_t)n < cap - used ? (size_t)n : 0;
    }
}

static void out_cell(struct table *t, const json_t *budget)
{
    uint64_t out = field_number(budget, "out"), allowed = field_number(budget, "allowed");
    table_cell(t, out >= allowed ? PAINT_BAD : PAINT_NONE, "%" PRIu64 " of %" PRIu64 " (%s)", out,
               allowed, field_text(budget, "max"));
}

static void list_row(struct table *t, const json_t *budget)
{
    char by[200] = "-";
    const char *select = field_text(budget, "select");
    name_deployments(budget, by, sizeof by);
    table_cell(t, PAINT_NONE, "%s", field_text(budget, "name"));
    table_cell(t, PAINT_NONE, "%" PRIu64, field_number(budget, "agents"));
    out_cell(t, budget);
    table_cell(t, PAINT_NONE, "%" PRIu64, field_number(budget, "returning"));
    table_cell(t, PAINT_NONE, "%s", by);
    table_cell(t, PAINT_NONE, "%s", *select ? select : "every agent");
}

static int show(struct cli *cli)
{
    static const struct {
        const char *title, *name;
    } lines[] = {
        {"agents", "agents"}, {"away", "away"},           {"failed", "failed"},
        {"asking", "asking"}, {"returning", "returning"}, {"stuck", "stuck"},
    };
    json_t *answer = NULL;
    int rv = cli_call_on(cli, "GET", "budgets", cli_word(cli, 0), NULL, NULL, &answer);
    if (rv < 0 || !answer)
        return rv;
    const char *select = field_text(answer, "select");
    struct table *t = table_new(2, NULL);
    table_cell(t, PAINT_DIM, "budget");
    table_cell(t, PAINT_NONE, "%s", field_text(answer, "name"));
    table_cell(t, PAINT_DIM, "selector");
    table_cell(t, PAINT_NONE, "%s", *select ? select : "every agent");
    table_cell(t, PAINT_DIM, "out of Ready");
    out_cell(t, answer);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        table_cell(t, PAINT_DIM, "%s", lines[i].title);
        table_cell(t, PAINT_NONE, "%" PRIu64, field_number(answer, lines[i].name));
    }
    rv = cli_print(cli, t);
    print_holders(answer);
    json_decref(answer);
    return rv;
}

/* Some of them, those that failed first. */
static void print_holders(const json_t *budget)
{
    size_t i;
    const json_t *agent;
    json_array_foreach(json_object_get(budget, "holders"), i, agent)
    {
        printf("%sagent %" PRIu64 ": %s in %s\n", i ? "" : "\n", field_number(agent, "number"),
               field_text(agent, "state"), field_text(agent, "deployment"));
    }
}

static int remove_budget(struct cli *cli)
{
    json_t *answer = NULL;
    int rv = cli_call_on(cli, "DELETE", "budgets", cli_word(cli, 0), NULL, NULL, &answer);
    if (rv < 0 || !answer)
        return rv;
    printf("budget %s is no more\n", cli_word(cli, 0));
    json_decref(answer);
    return 0;
}
