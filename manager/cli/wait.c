/* wait: until a deployment's agents have what they should, or can't get it. */
#include "base/clock.h"
#include "manager/cli/rollout.h"
#include "manager/cli/verbs.h"

#include <inttypes.h>
#include <unistd.h>

#define TIMEOUT_MAX_S ((uint64_t)30 * 86400)

static int wait_for(struct cli *cli);
static int look(struct cli *cli, const char *name, struct rollout_sum *sum, bool first);
static void show_progress(struct cli *cli, const char *name, const struct rollout_sum *sum);
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
        .summary = "wait until none of a deployment's agents is pending",
        .text = "Exit code 0: all are ready. 1: some failed, or the time is over; agents that are "
                "away stay pending. A manager that restarts meanwhile is waited for.\n",
        .examples = "  dunlin deploy app@2 --all && dunlin wait app --timeout 5m\n",
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
    struct rollout_sum sum = {0}, shown = {.targets = UINT64_MAX};
    for (bool first = true;; first = false) {
        int rv = look(cli, name, &sum, first);
        if (rv < 0)
            return rv;
        if (rv > 0 && sum.pending == 0)
            break;
        if (rv > 0 && memcmp(&sum, &shown, sizeof sum) != 0)
            show_progress(cli, name, &sum);
        if (rv > 0)
            shown = sum;
        if (clock_monotonic_ms() >= deadline_ms)
            break;
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

static void show_progress(struct cli *cli, const char *name, const struct rollout_sum *sum)
{
    if (!cli->json)
        fprintf(stderr, "%s version %s: %s\n", name, sum->version, rollout_text(sum).text);
}

static int verdict(struct cli *cli, const char *name, const struct rollout_sum *sum)
{
    if (cli->json) {
        int rv = cli_print_json(
            cli, json_pack("{ss ss sI sI sI sI}", "name", name, "version", sum->version, "targets",
                           (json_int_t)sum->targets, "ready", (json_int_t)sum->ready, "pending",
                           (json_int_t)sum->pending, "failed", (json_int_t)sum->failed));
        if (rv < 0)
            return rv;
    }
    struct deployment_counts_text counts = rollout_text(sum);
    if (sum->pending > 0)
        return errmsg_set(&cli->em, ERR_TIMEOUT,
                          "%s version %s: %s after %s; `dunlin deployment show %s` says which",
                          name, sum->version, counts.text,
                          units_span(args_number(&cli->args, "timeout")).text, name);
    if (sum->failed > 0)
        return errmsg_set(&cli->em, ERR_REFUSED,
                          "%s version %s: %s; `dunlin deployment show %s` says why", name,
                          sum->version, counts.text, name);
    if (!cli->json)
        printf("%s version %s: %s\n", name, sum->version, counts.text);
    return 0;
}
