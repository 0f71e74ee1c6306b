/* variable set, list, unset: what bundles need to know of a device. */
#include "manager/cli/verbs.h"
#include "sync/limits.h"

#include <errno.h>
#include <inttypes.h>

/* The value of a variable, as it comes from a file or from standard input; one line end more. */
#define INPUT_MAX (VARIABLE_VALUE_MAX + 2)

static int set(struct cli *cli);
static int set_secret(struct cli *cli);
static int set_one(struct cli *cli, const char *name, size_t len, const char *value);
static int read_input(struct cli *cli, char out[static INPUT_MAX + 1]);
static json_t *place(struct cli *cli, const char *name, size_t len);
static int list(struct cli *cli);
static void list_row(struct table *t, const json_t *variable);
static int unset(struct cli *cli);

#define PLACE_FLAGS                                                                                \
    {.name = "select",                                                                             \
     .value = "EXPR",                                                                              \
     .kind = FLAG_TEXT,                                                                            \
     .help = "for agents whose labels match; of two that match, the one set last counts"},         \
    {                                                                                              \
        .name = "agent", .value = "AGENT", .kind = FLAG_TEXT,                                      \
        .help = "for this agent alone, before all others"                                          \
    }

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
            "selector, that before one for all, and that before one in a deployment's file. A "
            "changed value is applied at once, to everybody whom it is for, by running the "
            "hooks again.\n",
        .examples = "  dunlin variable set port=8080 region=north --select site=pier\n"
                    "  dunlin variable set api_key --secret --file key.txt\n"
                    "  dunlin variable set name=pump-7 --agent 7\n",
        .flags = FLAGS(set_flags),
        .words_min = 1,
        .words_max = ARGS_MAX,
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
        .words_max = ARGS_MAX,
        .run = unset,
    },
};

static int set(struct cli *cli)
{
    if (args_has(&cli->args, "secret"))
        return set_secret(cli);
    if (args_has(&cli->args, "file"))
        return errmsg_set(&cli->em, ERR_USAGE, "--file goes with --secret");
    int rv = 0;
    for (size_t i = 0; rv == 0 && i < cli->args.word_count; i++) {
        const char *word = cli_word(cli, i), *equals = strchr(word, '=');
        if (!equals)
            return errmsg_set(&cli->em, ERR_USAGE, "%.80s: write NAME=VALUE", word);
        rv = set_one(cli, word, (size_t)(equals - word), equals + 1);
    }
    return rv;
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
        rv = set_one(cli, name, strlen(name), value);
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
    return 0;
}

static int set_one(struct cli *cli, const char *name, size_t len, const char *value)
{
    bool secret = args_has(&cli->args, "secret");
    json_t *answer = NULL, *body = place(cli, name, len);
    json_object_set_new(body, "value", json_string(value));
    json_object_set_new(body, "secret", json_boolean(secret));
    int rv = cli_call(cli, "POST", "/v1/variables", body, &answer);
    if (rv < 0 || !answer)
        return rv;
    bool changed = json_is_true(json_object_get(answer, "changed"));
    printf("%.*s: %s\n", (int)len, name, changed ? "set" : "was so already");
    json_decref(answer);
    return 0;
}

/* A body that says which variable, and for whom. */
static json_t *place(struct cli *cli, const char *name, size_t len)
{
    const char *select = args_text(&cli->args, "select"), *agent = args_text(&cli->args, "agent");
    json_t *body = json_object();
    json_object_set_new(body, "name", json_stringn(name, len));
    if (select)
        json_object_set_new(body, "select", json_string(select));
    if (agent)
        json_object_set_new(body, "agent", json_string(agent));
    return body;
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
    int rv = 0;
    for (size_t i = 0; rv == 0 && i < cli->args.word_count; i++) {
        const char *name = cli_word(cli, i);
        json_t *answer = NULL;
        rv = cli_call(cli, "POST", "/v1/variables/unset", place(cli, name, strlen(name)), &answer);
        if (rv == 0 && answer)
            printf("%s: unset\n", name);
        json_decref(answer);
    }
    return rv;
}
