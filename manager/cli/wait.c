/* wait: until a deployment's agents have what they should, or can't get it. */
#include "base/clock.h"
#include "manager/cli/rollout.h"
#include "manager/cli/verbs.h"

#include <inttypes.h>
#include <unistd.h>

#define TIMEOUT_MAX_S ((uint64_t)30 * 86400)

static int wait_for(struct cli *cli);
static int look(struct cli *cli, const char *name, struct rollout_sum *sum, bool first);
static void show_progress(const char *name, const struct rollout_sum *sum,
                          struct rollout_line *shown);
static bool is_replaced(const struct rollout_sum *before, const struct rollout_sum *now);
static int verdict_replaced(struct cli *cli, const char *name, const struct rollout_sum *before,
                            const struct rollout_sum *now);
static int print_sum(struct cli *cli, const char *name, const struct rollout_sum *sum);
static int verdict(struct cli *cli, const char *name, const struct rollout_sum *sum);

static const struct flag wait_flags[] = {
    {.name = "timeout",
     .value = "TIME",
     .kind = FLAG_DURATION,
     .fallback = "60s",
     .min = 0,
     .max = TIMEOUT_MAX_S,
     .help = "how long, like 90s, 30m, 24h"},
};

const struct verb wait_verbs[1] = {
    {
        .name = "wait",
        .operands = "DEPLOYMENT",
        .summary = "wait until a deployment's agents have what they should",
        .text = "Exit code 0: all are ready. 1: some failed, or the time is over; agents that are "
                "away stay pending. A manager that restarts meanwhile is waited for.\n"
                "Of a rollout in stages, 0: it is done; agents that are away get it on coming "
                "back. 1: it is stopped or aborted, another version took its place, or the time "
                "is over.\n",
        .examples = "  dunlin deploy app@2 --all && dunlin wait app --timeout 5m\n"
                    "  dunlin deploy app.yaml && dunlin wait app --timeout 12h\n",
        .flags = FLAGS(wait_flags),
        .words_min = 1,
        .words_max = 1,
        .run = wait_for,
    },
};

static int wait_for(struct cli *cli)
{
    const char *name = cli_word(cli, 0);
    uint64_t deadline_ms = clock_monotonic_ms() + 1000 * args_number(&cli->args, "timeout");
    struct rollout_sum sum = {0}, before = {0};
    struct rollout_line shown = {.text = ""};
    for (bool first = true;; first = false) {
        int rv = look(cli, name, &sum, first);
        if (rv < 0)
            return rv;
        if (rv > 0 && !first && is_replaced(&before, &sum))
            return verdict_replaced(cli, name, &before, &sum);
        if (rv > 0 && rollout_is_over(&sum))
            break;
        if (!cli->json)
            show_progress(name, &sum, &shown);
        if (clock_monotonic_ms() >= deadline_ms)
            break;
        before = sum;
        rollout_pause();
    }
    return verdict(cli, name, &sum);
}

/* 1 when the manager answered, 0 when it is away for now: then `sum` stays. */
static int look(struct cli *cli, const char *name, struct rollout_sum *sum, bool first)
{
    struct rollout_sum now;
    int rv = rollout_ask(cli, name, &now, NULL);
    if (!first && (rv == ERR_BUSY || rv == ERR_TIMEOUT))
        return 0;
    if (rv < 0)
        return rv;
    *sum = now;
    return 1;
}

static void show_progress(const char *name, const struct rollout_sum *sum,
                          struct rollout_line *shown)
{
    struct rollout_line line = rollout_line(name, sum);
    if (strcmp(line.text, shown->text) != 0)
        fprintf(stderr, "%s\n", line.text);
    *shown = line;
}

/* The version on its way is another one than before. */
static bool is_replaced(const struct rollout_sum *before, const struct rollout_sum *now)
{
    return before->staged && strcmp(before->version, now->version) != 0;
}

/* One that waited comes when the one before is done. */
static int verdict_replaced(struct cli *cli, const char *name, const struct rollout_sum *before,
                            const struct rollout_sum *now)
{
    if (strcmp(before->queued, now->version) != 0)
        return errmsg_set(&cli->em, ERR_REFUSED,
                          "%s version %s is not asked for any more: version %s is; `dunlin audit` "
                          "says since when",
                          name, before->version, now->version);
    struct rollout_sum done = *before;
    snprintf(done.state, sizeof done.state, "done");
    return verdict(cli, name, &done);
}

static int print_sum(struct cli *cli, const char *name, const struct rollout_sum *sum)
{
    return cli_print_json(cli,
                          json_pack("{ss ss ss sI sI sI sI}", "name", name, "version", sum->version,
                                    "state", sum->state, "targets", (json_int_t)sum->targets,
                                    "ready", (json_int_t)sum->ready, "pending",
                                    (json_int_t)sum->pending, "failed", (json_int_t)sum->failed));
}

static int verdict(struct cli *cli, const char *name, const struct rollout_sum *sum)
{
    struct deployment_counts_text counts = rollout_text(sum);
    int rv = cli->json ? print_sum(cli, name, sum) : 0;
    if (rv == 0 && sum->staged)
        rv = rollout_verdict(cli, name, sum);
    if (rv < 0)
        return rv;
    if (sum->staged ? strcmp(sum->state, "done") != 0 || sum->at_work > 0 : sum->pending > 0)
        return errmsg_set(
            &cli->em, ERR_TIMEOUT,
            "%s version %s: %s after %s; `dunlin %s show %s` "
            "says %s",
            name, sum->version, counts.text, units_span(args_number(&cli->args, "timeout")).text,
            sum->staged ? "rollout" : "deployment", name, sum->staged ? "why" : "which");
    if (sum->failed > 0 && !sum->staged)
        return errmsg_set(&cli->em, ERR_REFUSED,
                          "%s version %s: %s; `dunlin deployment show %s` says why", name,
                          sum->version, counts.text, name);
    if (!cli->json)
        printf("%s version %s: %s\n", name, sum->version, counts.text);
    return 0;
}
