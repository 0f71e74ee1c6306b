/* admin create, list, revoke: who may ask the manager from afar, and for what. */
#include "manager/cli/output_file.h"
#include "manager/cli/verbs.h"
#include "manager/common/role.h"

#include <inttypes.h>

#define TTL_MAX_S ((uint64_t)10 * 365 * 86400)

static int create(struct cli *cli);
static int make(struct cli *cli, json_t **answer);
static int write_file(struct cli *cli, struct output_file *file, const json_t *answer);
static int list(struct cli *cli);
static int revoke(struct cli *cli);

static const struct flag create_flags[] = {
    {.name = "role",
     .value = "ROLE",
     .kind = FLAG_TEXT,
     .required = true,
     .help = "viewer, operator or admin"},
    {.name = "ttl",
     .value = "TIME",
     .kind = FLAG_DURATION,
     .fallback = "90d",
     .min = 1,
     .max = TTL_MAX_S,
     .help = "how long they are good"},
    {.name = "output",
     .value = "FILE",
     .kind = FLAG_TEXT,
     .help = "write them into FILE, which only you may read"},
};

const struct verb admin_verbs[3] = {
    {
        .name = "admin create",
        .operands = "NAME",
        .summary = "make credentials for asking the manager from afar",
        .text =
            "A viewer may look at everything but secrets. An operator may also push bundles, "
            "deploy, and change, approve and label. An admin may do all: make tokens, trust keys, "
            "remove devices, and make admins.\nThe manager must run with --api. The credentials "
            "are a file for --credentials, and a secret: hand it over on a safe way. The "
            "audit log tells what was done with them.\n",
        .examples = "  dunlin admin create ann --role operator --output ann.json\n"
                    "  dunlin --credentials ann.json status\n",
        .flags = FLAGS(create_flags),
        .words_min = 1,
        .words_max = 1,
        .run = create,
    },
    {
        .name = "admin list",
        .summary = "list who has credentials",
        .run = list,
    },
    {
        .name = "admin revoke",
        .operands = "NAME",
        .summary = "make somebody's credentials worthless at once",
        .examples = "  dunlin admin revoke ann\n",
        .words_min = 1,
        .words_max = 1,
        .run = revoke,
    },
};

static int create(struct cli *cli)
{
    const char *path = args_text(&cli->args, "output");
    struct output_file file = {.stream = NULL};
    json_t *answer = NULL;
    int rv = path ? output_file_open(&file, path, &cli->em) : 0;
    if (rv == 0)
        rv = make(cli, &answer);
    if (rv == 0)
        rv = path ? write_file(cli, &file, answer) : cli_print_json(cli, json_incref(answer));
    json_decref(answer);
    output_file_drop(&file);
    return rv;
}

static int make(struct cli *cli, json_t **answer)
{
    const char *role = args_text(&cli->args, "role");
    enum role known;
    if (role_parse(role, &known) < 0)
        return errmsg_set(&cli->em, ERR_USAGE, "--role %.40s: write viewer, operator or admin",
                          role);
    return cli_ask(cli, "POST", "/v1/admins",
                   json_pack("{ss ss sI}", "name", cli_word(cli, 0), "role", role, "ttl_s",
                             (json_int_t)args_number(&cli->args, "ttl")),
                   answer);
}

static int write_file(struct cli *cli, struct output_file *file, const json_t *answer)
{
    const char *name = cli_word(cli, 0);
    json_dumpf(answer, file->stream, JSON_INDENT(2));
    fputc('\n', file->stream);
    int rv = output_file_finish(file, &cli->em);
    if (rv < 0)
        return errmsg_wrap(&cli->em, rv, "revoke %.63s and try again", name);
    if (cli->json)
        return cli_print_json(cli, json_pack("{ss ss ss ss}", "name", name, "role",
                                             field_text(answer, "role"), "url",
                                             field_text(answer, "url"), "output", file->path));
    fprintf(stderr, "%s, %s at %s for %s: credentials in %s\n", name, field_text(answer, "role"),
            field_text(answer, "url"), units_span(args_number(&cli->args, "ttl")).text, file->path);
    return 0;
}

static int list(struct cli *cli)
{
    static const char *const titles[] = {"NAME", "ROLE", "STATE", "MADE", "EXPIRES"};
    json_t *answer = NULL, *admin;
    size_t i;
    int rv = cli_call(cli, "GET", "/v1/admins", NULL, &answer);
    if (rv < 0 || !answer)
        return rv;
    struct table *t = table_new(5, titles);
    json_array_foreach(json_object_get(answer, "admins"), i, admin)
    {
        const char *state = field_text(admin, "state");
        table_cell(t, PAINT_BOLD, "%s", field_text(admin, "name"));
        table_cell(t, PAINT_NONE, "%s", field_text(admin, "role"));
        table_cell(t, table_state_paint(state), "%s", state);
        table_cell(t, PAINT_NONE, "%s", field_ago(admin, "created", "").text);
        table_cell(t, PAINT_NONE, "%s", field_ago(admin, "expires", "").text);
    }
    json_decref(answer);
    if (table_rows(t) == 0) {
        table_free(t);
        printf("nobody may ask from afar yet: dunlin admin create\n");
        return 0;
    }
    return cli_print(cli, t);
}

static int revoke(struct cli *cli)
{
    json_t *answer = NULL;
    int rv = cli_call_on(cli, "DELETE", "admins", cli_word(cli, 0), NULL, NULL, &answer);
    if (rv < 0 || !answer)
        return rv;
    printf("the credentials of %s are worth nothing now\n", cli_word(cli, 0));
    json_decref(answer);
    return 0;
}
