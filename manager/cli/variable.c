/* variable set, list, unset: what bundles need to know of a device. */
#include "manager/core/variable.h"
#include "manager/cli/verbs.h"
#include "sync/limits.h"

#include <errno.h>
#include <inttypes.h>

/* The value of a variable, as it comes from a file or from standard input; one line end more. */
#define INPUT_MAX (VARIABLE_VALUE_MAX + 2)
/* The stages of a deployment in one line. */
#define STAGES_SHOWN 1400

static int set(struct cli *cli);
static int add_value(struct cli *cli, json_t *values, const char *word);
static int set_secret(struct cli *cli);
static int send_values(struct cli *cli, json_t *values);
static int send(struct cli *cli, const char *route, json_t *body, const char *done);
static int read_input(struct cli *cli, char out[static INPUT_MAX + 1]);
static json_t *place(struct cli *cli, const char *what, json_t *variables);
static int print_preview(struct cli *cli, const json_t *answer);
static int list(struct cli *cli);
static void list_row(struct table *t, const json_t *variable);
static int unset(struct cli *cli);

#define PLACE_FLAGS                                                                                \
    {.name = "select",                                                                             \
     .value = "EXPR",                                                                              \
     .kind = FLAG_TEXT,                                                                            \
     .help = "for agents whose labels match; of two that match, the one set last counts"},         \
        {.name = "agent",                                                                          \
         .value = "AGENT",                                                                         \
         .kind = FLAG_TEXT,                                                                        \
         .help = "for this agent alone, before all others; it has it at once"},                    \
        {.name = "dry-run",                                                                        \
         .kind = FLAG_SWITCH,                                                                      \
         .help =                                                                                   \
             "change nothing; show which deployments' agents would apply it, in which stages"},    \
        CONFIRM_FLAG

static const struct flag set_flags[] = {
    PLACE_FLAGS,
    {.name = "secret",
     .kind = FLAG_SWITCH,
     .help =
         "NAME alone; the value comes from standard input or --file, is shown nowhere, and goes "
         "only to hooks"},
    {.name = "file",
     .value = "FILE",
     .kind = FLAG_TEXT,
     .help = "with --secret: where the value is read from; a line end at its end is left out"},
    {.name = "at-once",
     .kind = FLAG_SWITCH,
     .help = "FOR EMERGENCIES: everybody applies it now, past all stages, approvals and budgets, "
             "and no rollback brings the old value back"},
};

static const struct flag unset_flags[] = {PLACE_FLAGS};

const struct verb variable_verbs[3] = {
    {
        .name = "variable set",
        .operands = "NAME=VALUE ...",
        .summary = "set what bundles need to know: for all, some, or one",
        .text =
            "A bundle says which variables it needs (dunlin bundle show). Its hooks get them as "
            "DUNLIN_VAR_NAME, its templates as ${name}. A value for an agent comes before one by "
            "selector, that before one for all, and that before one in a deployment's file.\n"
            "An agent applies a changed value by running the hooks again. In a deployment that "
            "has stages, or agents under a budget, it goes by these as a new version does (dunlin "
            "rollout show, approve, rollback), and those of one command, up to 8, go together; "
            "elsewhere "
            "everybody applies it at once.\n",
        .examples = "  dunlin variable set port=8080 region=north --select site=pier\n"
                    "  dunlin variable set port=8080 --dry-run\n"
                    "  dunlin variable set api_key --secret --file key.txt\n"
                    "  dunlin variable set name=pump-7 --agent 7\n",
        .flags = FLAGS(set_flags),
        .words_min = 1,
        .words_max = VARIABLES_SET_MAX,
        .run = set,
    },
    {
        .name = "variable list",
        .summary = "list them; of secrets the names only",
        .run = list,
    },
    {
        .name = "variable unset",
        .operands = "NAME ...",
        .summary = "forget values that no deployment needs",
        .flags = FLAGS(unset_flags),
        .words_min = 1,
        .words_max = VARIABLES_SET_MAX,
        .run = unset,
    },
};

static int set(struct cli *cli)
{
    if (args_has(&cli->args, "secret"))
        return set_secret(cli);
    if (args_has(&cli->args, "file"))
        return errmsg_set(&cli->em, ERR_USAGE, "--file goes with --secret");
    json_t *values = json_object();
    for (size_t i = 0; i < cli->args.word_count; i++) {
        int rv = add_value(cli, values, cli_word(cli, i));
        if (rv < 0) {
            json_decref(values);
            return rv;
        }
    }
    return send_values(cli, values);
}

static int add_value(struct cli *cli, json_t *values, const char *word)
{
    const char *equals = strchr(word, '=');
    size_t len = equals ? (size_t)(equals - word) : 0;
    if (len > 0 && json_object_getn(values, word, len))
        return errmsg_set(&cli->em, ERR_USAGE, "%.*s is named twice", (int)len, word);
    if (len == 0 || json_object_setn_new(values, word, len, json_string(equals + 1)) < 0)
        return errmsg_set(&cli->em, ERR_USAGE, "%.80s: write NAME=VALUE, in UTF-8", word);
    return 0;
}

/* Words of a command are seen by everybody on the machine. */
static int set_secret(struct cli *cli)
{
    char value[INPUT_MAX + 1];
    const char *name = cli_word(cli, 0);
    if (cli->args.word_count != 1 || strchr(name, '='))
        return errmsg_set(&cli->em, ERR_USAGE,
                          "a secret is set by its name alone; its value comes from standard input, "
                          "or --file");
    int rv = read_input(cli, value);
    if (rv == 0)
        rv = send_values(cli, json_pack("{s:s}", name, value));
    explicit_bzero(value, sizeof value);
    return rv;
}

static int read_input(struct cli *cli, char out[static INPUT_MAX + 1])
{
    const char *path = args_text(&cli->args, "file");
    FILE *in = path ? fopen(path, "re") : stdin;
    if (!in)
        return errmsg_set(&cli->em, ERR_IO, "%s: %s", path, strerror(errno));
    setvbuf(in, NULL, _IONBF, 0);
    size_t len = fread(out, 1, INPUT_MAX, in);
    bool failed = ferror(in);
    if (path)
        fclose(in);
    if (len > 0 && out[len - 1] == '\n')
        len--;
    out[len] = '\0';
    if (failed || strlen(out) != len || len > VARIABLE_VALUE_MAX)
        return errmsg_set(&cli->em, ERR_USAGE, "%s: a value is a text of at most %d bytes",
                          path ? path : "standard input", VARIABLE_VALUE_MAX);
    /* What was to write it has failed, rather. */
    if (len == 0)
        return errmsg_set(&cli->em, ERR_USAGE, "%s: holds no value",
                          path ? path : "standard input");
    return 0;
}

static int send(struct cli *cli, const char *route, json_t *body, const char *done)
{
    json_t *answer = NULL;
    int rv = cli_call(cli, "POST", route, body, &answer);
    if (rv < 0 || !answer)
        return rv;
    if (args_has(&cli->args, "dry-run")) {
        rv = print_preview(cli, answer);
        json_decref(answer);
        return rv;
    }
    bool changed = json_is_true(json_object_get(answer, "changed"));
    for (size_t i = 0; i < cli->args.word_count; i++) {
        const char *word = cli_word(cli, i);
        printf("%.*s: %s\n", (int)strcspn(word, "="), word, changed ? done : "was so already");
    }
    json_decref(answer);
    return 0;
}

static int send_values(struct cli *cli, json_t *values)
{
    json_t *body = place(cli, "values", values);
    json_object_set_new(body, "secret", json_boolean(args_has(&cli->args, "secret")));
    json_object_set_new(body, "at_once", json_boolean(args_has(&cli->args, "at-once")));
    return send(cli, "/v1/variables", body, "set");
}

/* A body that says which variables, and for whom. */
static json_t *place(struct cli *cli, const char *what, json_t *variables)
{
    const char *select = args_text(&cli->args, "select"), *agent = args_text(&cli->args, "agent");
    json_t *body = json_object();
    json_object_set_new(body, what, variables);
    if (select)
        json_object_set_new(body, "select", json_string(select));
    if (agent)
        json_object_set_new(body, "agent", json_string(agent));
    if (args_has(&cli->args, "dry-run"))
        json_object_set_new(body, "dry_run", json_true());
    return cli_confirm(cli, body);
}

/* ---- what it would come to ---- */

/* The stages that somebody of whom it is for is in. */
static void stages_text(const json_t *deployment, char *out, size_t cap)
{
    size_t i, used = 0;
    json_t *stage;
    out[0] = '\0';
    json_array_foreach(json_object_get(deployment, "stages"), i, stage)
    {
        uint64_t touched = field_number(stage, "touched");
        if (touched > 0 && used < cap)
            used += (size_t)snprintf(out + used, cap - used, "%s%s %" PRIu64, used ? ", then " : "",
                                     field_text(stage, "name"), touched);
    }
}

static void add_preview(struct table *t, const json_t *deployment)
{
    const char *way = field_text(deployment, "way");
    char stages[STAGES_SHOWN];
    stages_text(deployment, stages, sizeof stages);
    table_cell(t, PAINT_NONE, "%s", field_text(deployment, "name"));
    table_cell(
        t, PAINT_NONE, "%s",
        units_of(field_number(deployment, "touched"), field_number(deployment, "targets"), "agents")
            .text);
    if (strcmp(way, "at-once") == 0)
        table_cell(t, PAINT_BAD, "all at once: it has no stages");
    else if (strcmp(way, "later") == 0)
        table_cell(t, PAINT_BUSY, "when what is on its way is over: %s", stages);
    else
        table_cell(t, PAINT_NONE, "by stages: %s", stages);
}

static const char *dry_words(struct cli *cli, bool changed, bool at_once)
{
    if (!changed)
        return "nothing would change: it is so already";
    if (args_has(&cli->args, "agent"))
        return "the agent alone would have it, at once, in all of its deployments that need it";
    if (at_once)
        return "everybody would have it at once, in all deployments that need it";
    return "no deployment's agents would apply anything";
}

static int print_preview(struct cli *cli, const json_t *answer)
{
    static const char *const titles[] = {"DEPLOYMENT", "APPLY IT", "HOW"};
    struct table *t = table_new(3, titles);
    uint64_t more = field_number(answer, "more");
    size_t i;
    json_t *deployment;
    json_array_foreach(json_object_get(answer, "deployments"), i, deployment)
    {
        add_preview(t, deployment);
    }
    if (table_rows(t) == 0) {
        table_free(t);
        puts(dry_words(cli, json_is_true(json_object_get(answer, "changed")),
                       json_is_true(json_object_get(answer, "at_once"))));
        return 0;
    }
    int rv = cli_print(cli, t);
    if (rv == 0 && more > 0)
        printf("and %s\n", units_count(more, "more deployment").text);
    return rv;
}

static int list(struct cli *cli)
{
    static const char *const titles[] = {"VARIABLE", "FOR", "VALUE", "SET"};
    json_t *answer = NULL, *variable;
    size_t i;
    int rv = cli_call(cli, "GET", "/v1/variables", NULL, &answer);
    if (rv < 0 || !answer)
        return rv;
    struct table *t = table_new(4, titles);
    json_array_foreach(json_object_get(answer, "variables"), i, variable)
    {
        list_row(t, variable);
    }
    json_decref(answer);
    if (table_rows(t) > 0)
        return cli_print(cli, t);
    table_free(t);
    puts("no variables yet: dunlin variable set NAME=VALUE");
    return 0;
}

static void list_row(struct table *t, const json_t *variable)
{
    const char *kind = field_text(variable, "for");
    table_cell(t, PAINT_NONE, "%s", field_text(variable, "name"));
    if (strcmp(kind, "agent") == 0)
        table_cell(t, PAINT_NONE, "agent %" PRIu64, field_number(variable, "agent"));
    else if (strcmp(kind, "deployment") == 0)
        table_cell(t, PAINT_NONE, "deployment %s", field_text(variable, "deployment"));
    else if (strcmp(kind, "select") == 0)
        table_cell(t, PAINT_NONE, "%s", field_text(variable, "select"));
    else
        table_cell(t, PAINT_NONE, "all");
    if (json_is_true(json_object_get(variable, "secret")))
        table_cell(t, PAINT_DIM, "(secret)");
    else
        table_cell(t, PAINT_NONE, "%s", field_text(variable, "value"));
    table_cell(t, PAINT_NONE, "%s", field_ago(variable, "since", "").text);
}

static int unset(struct cli *cli)
{
    json_t *names = json_array();
    for (size_t i = 0; i < cli->args.word_count; i++)
        json_array_append_new(names, json_string(cli_word(cli, i)));
    return send(cli, "/v1/variables/unset", place(cli, "names", names), "unset");
}
