/* rollout show: how far a deployment's newest version has come. */
#include "manager/cli/rollout.h"

#include "manager/cli/verbs.h"

#include <inttypes.h>
#include <poll.h>
#include <unistd.h>

/* Between two looks: often enough to look live, rare enough to cost nothing. */
#define LOOK_MS 250

static int show(struct cli *cli);
static int watch(struct cli *cli);
static int print(struct cli *cli, const json_t *rollout);
static bool is_done(const struct rollout_sum *sum);

static const struct flag show_flags[] = {
    {.name = "watch", .kind = FLAG_SWITCH, .help = "show each change until no agent is pending"},
};

const struct verb rollout_verbs[1] = {
    {
        .name = "rollout show",
        .operands = "NAME",
        .summary = "show how far a deployment's newest version has come",
        .text = "With --watch and --json the document is the last state. `dunlin wait` fails when "
                "agents fail.\n",
        .examples = "  dunlin rollout show app --watch\n",
        .flags = FLAGS(show_flags),
        .words_min = 1,
        .words_max = 1,
        .run = show,
    },
};

int rollout_ask(struct cli *cli, const char *name, struct rollout_sum *sum, json_t **answer)
{
    char route[CLIENT_ROUTE_MAX];
    json_t *rollout = NULL, *stage;
    size_t i;
    *sum = (struct rollout_sum){0};
    int rv = client_route(route, "rollouts", name, NULL, &cli->em);
    if (rv == 0)
        rv = cli_ask(cli, "GET", route, NULL, &rollout);
    if (rv < 0)
        return rv;
    snprintf(sum->version, sizeof sum->version, "%s", field_text(rollout, "version"));
    sum->targets = field_number(rollout, "targets");
    json_array_foreach(json_object_get(rollout, "stages"), i, stage)
    {
        sum->ready += field_number(stage, "ready");
        sum->pending += field_number(stage, "pending");
        sum->failed += field_number(stage, "failed");
    }
    if (answer)
        *answer = rollout;
    else
        json_decref(rollout);
    return 0;
}

struct deployment_counts_text rollout_text(const struct rollout_sum *sum)
{
    json_t *counts = json_pack("{sI sI sI sI}", "targets", (json_int_t)sum->targets, "ready",
                               (json_int_t)sum->ready, "pending", (json_int_t)sum->pending,
                               "failed", (json_int_t)sum->failed);
    struct deployment_counts_text t = deployment_counts(counts);
    json_decref(counts);
    return t;
}

void rollout_pause(void)
{
    poll(NULL, 0, LOOK_MS);
}

static int show(struct cli *cli)
{
    struct rollout_sum sum;
    json_t *answer = NULL;
    if (args_has(&cli->args, "watch"))
        return watch(cli);
    int rv = rollout_ask(cli, cli_word(cli, 0), &sum, &answer);
    if (rv < 0)
        return rv;
    if (cli->json)
        return cli_print_json(cli, answer);
    rv = print(cli, answer);
    json_decref(answer);
    return rv;
}

/* A line for each change, so that it reads well in a log, too. */
static int watch(struct cli *cli)
{
    struct rollout_sum sum, last = {.targets = UINT64_MAX};
    const char *name = cli_word(cli, 0);
    for (;;) {
        json_t *answer = NULL;
        int rv = rollout_ask(cli, name, &sum, &answer);
        if (rv < 0)
            return rv;
        bool done = is_done(&sum);
        if (cli->json && done)
            return cli_print_json(cli, answer);
        json_decref(answer);
        if (!cli->json && memcmp(&sum, &last, sizeof sum) != 0)
            printf("%s version %s: %s\n", name, sum.version, rollout_text(&sum).text);
        fflush(stdout);
        if (done)
            return 0;
        last = sum;
        rollout_pause();
    }
}

static int print(struct cli *cli, const json_t *rollout)
{
    static const char *const titles[] = {"STAGE", "STATE", "AGENTS"};
    struct table *t = table_new(3, titles);
    size_t i;
    json_t *stage;
    json_array_foreach(json_object_get(rollout, "stages"), i, stage)
    {
        struct deployment_counts_text counts = deployment_counts(stage);
        const char *state = field_text(stage, "state");
        table_cell(t, PAINT_NONE, "%s", field_text(stage, "name"));
        table_cell(t, table_state_paint(state), "%s", state);
        table_cell(t, counts.paint, "%s", counts.text);
    }
    printf("%s version %s for %s\n\n", field_text(rollout, "name"), field_text(rollout, "version"),
           units_count(field_number(rollout, "targets"), "agent").text);
    return cli_print(cli, t);
}

static bool is_done(const struct rollout_sum *sum)
{
    return sum->pending == 0;
}
