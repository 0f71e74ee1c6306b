/* agent taint, untaint: keep deployments off agents unless they tolerate it. */
#include "manager/core/taint.h"
#include "manager/cli/verbs.h"

#include <inttypes.h>

static int taint(struct cli *cli);
static int untaint(struct cli *cli);

static const struct flag select_flags[] = {
    {.name = "select",
     .value = "EXPR",
     .kind = FLAG_TEXT,
     .help = "all agents whose labels match, instead of one"},
    CONFIRM_FLAG,
};

const struct verb taint_verbs[2] = {
    {
        .name = "agent taint",
        .operands = "[AGENT] KEY=VALUE:EFFECT",
        .summary = "keep deployments off an agent that don't tolerate this",
        .text =
            "NoSchedule lets nothing new come to it: what it has, it keeps, in newer versions, "
            "too. NoExecute also takes off what is there. A deployment that tolerates the "
            "taint (dunlin deploy --tolerate KEY) makes no difference of it. It need not be "
            "connected; it learns when it comes back. With --select, what would touch more than "
            "half of a fleet, or leave a deployment without agents, takes --confirm.\n",
        .examples = "  dunlin agent taint 7 gpu=yes:NoSchedule\n"
                    "  dunlin agent taint --select site=pier storm=now:NoExecute\n",
        .flags = FLAGS(select_flags),
        .words_min = 1,
        .words_max = 2,
        .run = taint,
    },
    {
        .name = "agent untaint",
        .operands = "[AGENT] KEY[=VALUE][:EFFECT]",
        .summary = "take taints away, and let come what they kept off",
        .examples = "  dunlin agent untaint 7 gpu\n",
        .flags = FLAGS(select_flags),
        .words_min = 1,
        .words_max = 2,
        .run = untaint,
    },
};

static json_t *body_of(const char *what, const char *text)
{
    return json_pack("{ss}", what, text);
}

static int one(struct cli *cli, const char *agent, const char *what, const char *text)
{
    json_t *answer = NULL;
    int rv = cli_call_on(cli, "POST", "agents", agent, "taint", body_of(what, text), &answer);
    if (rv < 0 || !answer)
        return rv;
    json_t *taints = json_object_get(answer, "taints"), *t;
    size_t i;
    printf("agent %s:%s", agent, json_array_size(taints) ? "" : " no taints");
    json_array_foreach(taints, i, t) printf(" %s", json_string_value(t));
    putchar('\n');
    json_decref(answer);
    return 0;
}

/* A page after the other, each one durable when it is answered. */
static int several(struct cli *cli, const char *select, const char *what, const char *text)
{
    json_int_t changed = 0;
    json_t *body = cli_confirm(cli, json_pack("{ss ss}", "select", select, what, text));
    int rv = cli_ask_pages(cli, "/v1/agents/taint", body, &changed);
    if (rv < 0)
        return rv;
    if (cli->json)
        return cli_print_json(cli, json_pack("{sI}", "agents", changed));
    printf("%s\n", units_count((uint64_t)changed, "agent").text);
    return 0;
}

static int change(struct cli *cli, const char *what)
{
    const char *select = args_text(&cli->args, "select");
    bool two = cli->args.word_count == 2;
    if (two == (select != NULL))
        return errmsg_set(&cli->em, ERR_USAGE, "say either an agent, or --select EXPR");
    const char *text = cli_word(cli, two ? 1 : 0);
    return select ? several(cli, select, what, text) : one(cli, cli_word(cli, 0), what, text);
}

static int taint(struct cli *cli)
{
    struct taint parsed;
    const char *text = cli_word(cli, cli->args.word_count - 1);
    size_t len = strlen(text);
    if (len > 1 && text[len - 1] == '-' && !strchr(text, ':'))
        return errmsg_set(&cli->em, ERR_USAGE, "%s: `dunlin agent untaint` takes taints away",
                          text);
    if (taint_parse(span_text(text), &parsed, &cli->em) < 0)
        return ERR_USAGE;
    return change(cli, "set");
}

static int untaint(struct cli *cli)
{
    struct errmsg why;
    const char *text = cli_word(cli, cli->args.word_count - 1);
    if (!*text || tolerations_check(text, &why) < 0)
        return errmsg_set(&cli->em, ERR_USAGE, "\"%s\": write KEY, KEY=VALUE or KEY=VALUE:EFFECT",
                          text);
    return change(cli, "unset");
}
