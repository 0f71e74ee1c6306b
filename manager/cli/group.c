/* group create, list, show, remove: selectors under a name, to be said as @NAME. */
#include "manager/cli/verbs.h"

#include <inttypes.h>

static int create(struct cli *cli);
static int list(struct cli *cli);
static void list_row(struct table *t, const json_t *group);
static int show(struct cli *cli);
static int remove_group(struct cli *cli);

static const struct flag create_flags[] = {
    {.name = "select",
     .value = "EXPR",
     .kind = FLAG_TEXT,
     .help = "the agents whose labels match; @NAME for another group"},
    CONFIRM_FLAG,
};

const struct verb group_verbs[4] = {
    {
        .name = "group create",
        .operands = "NAME",
        .summary = "save a selector under a name, or change what it stands for",
        .text = "Wherever there is a selector, @NAME stands for what is saved, and !@NAME for all "
                "others. It is looked up each time: when the group changes, or an agent's labels "
                "do, deployments that name it follow. What would touch more than half of a fleet "
                "that way (see dunlin-manager --confirm-over), or leave a deployment without "
                "agents, takes --confirm.\n",
        .examples = "  dunlin group create harbour --select 'site in (harbour,pier),!lab'\n"
                    "  dunlin deploy app@2 --select '@harbour,env=prod'\n",
        .flags = FLAGS(create_flags),
        .words_min = 1,
        .words_max = 1,
        .run = create,
    },
    {
        .name = "group list",
        .summary = "list the groups, and how many agents are in each",
        .run = list,
    },
    {
        .name = "group show",
        .operands = "NAME",
        .summary = "show one group",
        .text = "Who is in it: dunlin agent list --select @NAME\n",
        .words_min = 1,
        .words_max = 1,
        .run = show,
    },
    {
        .name = "group remove",
        .operands = "NAME",
        .summary = "forget a group that nothing names",
        .words_min = 1,
        .words_max = 1,
        .run = remove_group,
    },
};

static int create(struct cli *cli)
{
    const char *name = cli_word(cli, 0), *select = args_text(&cli->args, "select");
    json_t *answer = NULL;
    if (!select)
        return errmsg_set(&cli->em, ERR_USAGE, "which agents are in it? Say --select EXPR");
    int rv =
        cli_call(cli, "POST", "/v1/groups",
                 cli_confirm(cli, json_pack("{ss ss}", "name", name, "select", select)), &answer);
    if (rv < 0 || !answer)
        return rv;
    if (json_is_true(json_object_get(answer, "changed")))
        printf("group %s: %s\n", name, units_count(field_number(answer, "agents"), "agent").text);
    else
        printf("group %s: nothing to change\n", name);
    json_decref(answer);
    return 0;
}

static int list(struct cli *cli)
{
    static const char *const titles[] = {"GROUP", "AGENTS", "DEPLOYMENTS", "SELECTOR"};
    json_t *answer = NULL, *group;
    size_t i;
    int rv = cli_call(cli, "GET", "/v1/groups", NULL, &answer);
    if (rv < 0 || !answer)
        return rv;
    struct table *t = table_new(4, titles);
    json_array_foreach(json_object_get(answer, "groups"), i, group)
    {
        list_row(t, group);
    }
    json_decref(answer);
    if (table_rows(t) > 0)
        return cli_print(cli, t);
    table_free(t);
    puts("no groups; make one: dunlin group create NAME --select EXPR");
    return 0;
}

static void list_row(struct table *t, const json_t *group)
{
    table_cell(t, PAINT_NONE, "%s", field_text(group, "name"));
    table_cell(t, PAINT_NONE, "%" PRIu64, field_number(group, "agents"));
    table_cell(t, PAINT_NONE, "%" PRIu64, field_number(group, "deployments"));
    table_cell(t, PAINT_NONE, "%s", field_text(group, "select"));
}

static int show(struct cli *cli)
{
    json_t *answer = NULL;
    int rv = cli_call_on(cli, "GET", "groups", cli_word(cli, 0), NULL, NULL, &answer);
    if (rv < 0 || !answer)
        return rv;
    struct table *t = table_new(2, NULL);
    table_cell(t, PAINT_DIM, "group");
    table_cell(t, PAINT_NONE, "%s", field_text(answer, "name"));
    table_cell(t, PAINT_DIM, "selector");
    table_cell(t, PAINT_NONE, "%s", field_text(answer, "select"));
    table_cell(t, PAINT_DIM, "agents");
    table_cell(t, PAINT_NONE, "%" PRIu64, field_number(answer, "agents"));
    table_cell(t, PAINT_DIM, "named by");
    table_cell(t, PAINT_NONE, "%s",
               units_count(field_number(answer, "deployments"), "deployment").text);
    json_decref(answer);
    return cli_print(cli, t);
}

static int remove_group(struct cli *cli)
{
    json_t *answer = NULL;
    int rv = cli_call_on(cli, "DELETE", "groups", cli_word(cli, 0), NULL, NULL, &answer);
    if (rv < 0 || !answer)
        return rv;
    printf("group %s is no more\n", cli_word(cli, 0));
    json_decref(answer);
    return 0;
}
