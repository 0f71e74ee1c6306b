/* rollout show, approve, pause, resume, abort, retry, set, rollback: a new version on its way. */
#include "manager/cli/rollout.h"

#include "manager/cli/bundle_name.h"
#include "manager/cli/verbs.h"

#include <inttypes.h>
#include <poll.h>
#include <unistd.h>

/* Between two looks: often enough to look live, rare enough to cost nothing. */
#define LOOK_MS 250

static int show(struct cli *cli);
static int watch(struct cli *cli);
static int look(struct cli *cli, struct rollout_sum *sum, json_t **answer, bool first);
static void tell(const char *name, struct rollout_live *live, struct rollout_line *last,
                 const struct rollout_sum *sum, const json_t *rollout);
static int approve(struct cli *cli);
static int pause_rollout(struct cli *cli);
static int resume(struct cli *cli);
static int abort_rollout(struct cli *cli);
static int retry(struct cli *cli);
static int set(struct cli *cli);
static int rollback(struct cli *cli);
static int stop(struct cli *cli, const char *action, json_t *body);
static int steer(struct cli *cli, const char *action, json_t *body);

static const struct flag show_flags[] = {
    {.name = "watch", .kind = FLAG_SWITCH, .help = "follow it until nothing more happens"},
};

static const struct flag set_flags[] = {
    {.name = "stage",
     .value = "STAGE",
     .kind = FLAG_TEXT,
     .help = "of this stage (default of the whole rollout)"},
    {.name = "rate",
     .value = "RATE",
     .kind = FLAG_TEXT,
     .help = "so many are let in in so long, like 50/1h or 10%/30m; or none"},
    {.name = "max-failed", .value = "N|N%", .kind = FLAG_TEXT, .help = "so many may fail"},
    {.name = "concurrency",
     .value = "N|N%",
     .kind = FLAG_TEXT,
     .help = "of a stage: so many are at work at a time"},
    {.name = "start",
     .value = "WHEN",
     .kind = FLAG_TEXT,
     .help = "of one that hasn't begun: 2026-12-01T02:00:00Z, or now"},
    {.name = "returning",
     .value = "N|N%",
     .kind = FLAG_TEXT,
     .help = "so many of those that come back are at work at a time; or none: any number"},
    {.name = "quorum",
     .value = "N%",
     .kind = FLAG_TEXT,
     .help = "a stage ends when so many that it reaches are ready"},
    {.name = "deadline",
     .value = "TIME",
     .kind = FLAG_TEXT,
     .help = "who is at it for longer counts as failed, like 30m; or none"},
};

static const struct flag rollback_flags[] = {
    {.name = "to",
     .value = "V",
     .kind = FLAG_TEXT,
     .help = "a version that the deployment had (default the one before)"},
    CONFIRM_FLAG,
};

const struct verb rollout_verbs[8] = {
    {
        .name = "rollout show",
        .operands = "NAME",
        .summary = "show how far a deployment's newest version has come",
        .text =
            "A line for each stage, and then what happens next or what to do. AT WORK are "
            "agents that were let in and not away since; RETURNING ones came back behind an "
            "open gate; TO COME are in reach and wait for their turn, also those that come "
            "back, where the deployment's file limits how many are at work.\n"
            "Which agents a stage by share takes shows when it begins: until then AGENTS says how "
            "many are expected, of it and of those behind it (`expected` in --json).\n"
            "With --watch a terminal shows it live; elsewhere each change is a line. It ends "
            "when the rollout is done (exit code 0), stopped or aborted (1). With --json the "
            "document is the last state.\n",
        .examples = "  dunlin rollout show app\n  dunlin rollout show app --watch\n",
        .flags = FLAGS(show_flags),
        .words_min = 1,
        .words_max = 1,
        .run = show,
    },
    {
        .name = "rollout approve",
        .operands = "NAME STAGE",
        .summary = "let a stage begin, or end, that waits for it",
        .text = "A stage none of whose agents is in reach goes on without them; a plan's "
                "wait_for_first says after what time it does so by itself.\n",
        .examples = "  dunlin rollout approve app prod\n",
        .words_min = 2,
        .words_max = 2,
        .run = approve,
    },
    {
        .name = "rollout pause",
        .operands = "NAME",
        .summary = "let no agent begin the new version",
        .text = "Agents that have begun finish. It stays paused until it is resumed.\n",
        .words_min = 1,
        .words_max = 1,
        .run = pause_rollout,
    },
    {
        .name = "rollout resume",
        .operands = "NAME",
        .summary = "go on with what was paused, or stopped",
        .text = "What failed before it stopped counts no more. What was aborted is not resumed: go "
                "back, or deploy another version.\n",
        .words_min = 1,
        .words_max = 1,
        .run = resume,
    },
    {
        .name = "rollout abort",
        .operands = "NAME",
        .summary = "end it where it is: nobody else gets the version",
        .text =
            "Who has the new version keeps it; `dunlin rollout rollback` takes it back. A version "
            "that waits for its end doesn't come by itself any more.\n",
        .words_min = 1,
        .words_max = 1,
        .run = abort_rollout,
    },
    {
        .name = "rollout retry",
        .operands = "NAME",
        .summary = "let agents that failed try the same version again",
        .text =
            "It goes through the stages once more, held to their concurrency, and without what was "
            "approved and waited for before. Who runs it already does nothing; where nobody "
            "failed, "
            "it is refused.\n",
        .words_min = 1,
        .words_max = 1,
        .run = retry,
    },
    {
        .name = "rollout set",
        .operands = "NAME",
        .summary = "change how fast a rollout on its way goes, and what it bears",
        .text =
            "It holds at once, and until the next version, or other values, begin, which go by the "
            "file again; "
            "`dunlin rollout show` tells what is set so. Without --stage the rate and max_failed "
            "of the whole rollout are set, with it those of one stage. The span that a rate is in "
            "goes on. Of fewer that may be at work at a time, those at work come to their end "
            "first. Of another deadline what counts is the time that an agent has had; who has "
            "said nothing yet has all of it. What is stopped stays so until it is resumed.\n",
        .examples = "  dunlin rollout set app --rate 50/1h\n"
                    "  dunlin rollout set app --stage prod --concurrency 20% --max-failed 5%\n"
                    "  dunlin rollout set app --start now\n"
                    "  dunlin rollout set app --deadline 1h --quorum 90%\n",
        .flags = FLAGS(set_flags),
        .words_min = 1,
        .words_max = 1,
        .run = set,
    },
    {
        .name = "rollout rollback",
        .operands = "NAME",
        .summary = "go back to the version before, everybody at once, or as budgets let them",
        .text =
            "It waits for no approval, time or slot. Devices with a window go back while that is "
            "open. A version that waits for the end of the rollout doesn't come by itself any "
            "more.\n",
        .examples = "  dunlin rollout rollback app\n  dunlin rollout rollback app --to 1\n",
        .flags = FLAGS(rollback_flags),
        .words_min = 1,
        .words_max = 1,
        .run = rollback,
    },
};

/* ---- asking ---- */

static void copy_text(const json_t *object, const char *name, char *out, size_t cap)
{
    snprintf(out, cap, "%s", field_text(object, name));
}

static void add_stage(struct rollout_sum *sum, const json_t *stage)
{
    sum->ready += field_number(stage, "ready");
    sum->failed += field_number(stage, "failed");
    sum->away += field_number(stage, "away");
    sum->at_work += field_number(stage, "in_flight") + field_number(stage, "returning");
}

int rollout_ask(struct cli *cli, const char *name, struct rollout_sum *sum, json_t **answer)
{
    char route[CLIENT_ROUTE_MAX];
    json_t *rollout = NULL, *stage;
    size_t i;
    memset(sum, 0, sizeof *sum);
    int rv = client_route(route, "rollouts", name, NULL, &cli->em);
    if (rv == 0)
        rv = cli_ask(cli, "GET", route, NULL, &rollout);
    if (rv < 0)
        return rv;
    copy_text(rollout, "version", sum->version, sizeof sum->version);
    copy_text(rollout, "queued", sum->queued, sizeof sum->queued);
    copy_text(rollout, "state", sum->state, sizeof sum->state);
    copy_text(rollout, "stage", sum->stage, sizeof sum->stage);
    copy_text(json_object_get(rollout, "waits_for"), "what", sum->waits_for, sizeof sum->waits_for);
    sum->staged = json_is_true(json_object_get(rollout, "staged"));
    sum->targets = field_number(rollout, "targets");
    json_array_foreach(json_object_get(rollout, "stages"), i, stage) add_stage(sum, stage);
    uint64_t over = sum->ready + sum->failed;
    sum->pending = over < sum->targets ? sum->targets - over : 0;
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

struct rollout_line rollout_line(const char *name, const struct rollout_sum *sum)
{
    struct rollout_line line;
    bool waits = strcmp(sum->state, "waiting") == 0;
    char stage[128] = "";
    if (sum->stage[0])
        snprintf(stage, sizeof stage, "; stage %s %s%s%s", sum->stage, sum->state,
                 waits ? " for " : "", waits ? sum->waits_for : "");
    snprintf(line.text, sizeof line.text, "%.80s version %s: %s%s", name, sum->version,
             rollout_text(sum).text, stage);
    return line;
}

static bool is_in(const struct rollout_sum *sum, const char *state)
{
    return strcmp(sum->state, state) == 0;
}

bool rollout_is_over(const struct rollout_sum *sum)
{
    if (!sum->staged)
        return sum->pending == 0;
    return is_in(sum, "stopped") || is_in(sum, "aborted") ||
           (is_in(sum, "done") && sum->at_work == 0);
}

int rollout_verdict(struct cli *cli, const char *name, const struct rollout_sum *sum)
{
    if (!is_in(sum, "stopped") && !is_in(sum, "aborted"))
        return 0;
    return errmsg_set(&cli->em, ERR_REFUSED,
                      "%s version %s: %s; the rollout %s in stage %s: see `dunlin rollout show %s`",
                      name, sum->version, rollout_text(sum).text,
                      is_in(sum, "aborted") ? "was aborted" : "is stopped", sum->stage, name);
}

void rollout_pause(void)
{
    poll(NULL, 0, LOOK_MS);
}

/* ---- looking ---- */

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
    rv = rollout_print(cli, answer);
    json_decref(answer);
    return rv;
}

static int watch(struct cli *cli)
{
    struct rollout_live live = {0};
    struct rollout_line last = {.text = ""};
    struct rollout_sum sum = {0};
    for (bool first = true;; first = false) {
        json_t *answer = NULL;
        int rv = look(cli, &sum, &answer, first);
        if (rv < 0)
            return rv;
        bool over = answer && rollout_is_over(&sum);
        if (cli->json && over)
            rv = cli_print_json(cli, json_incref(answer));
        if (!cli->json && answer)
            tell(cli_word(cli, 0), &live, &last, &sum, answer);
        json_decref(answer);
        if (over)
            return rv < 0 ? rv : rollout_verdict(cli, cli_word(cli, 0), &sum);
        rollout_pause();
    }
}

/* A manager that restarts meanwhile is waited for: then there is no answer. */
static int look(struct cli *cli, struct rollout_sum *sum, json_t **answer, bool first)
{
    struct rollout_sum now;
    int rv = rollout_ask(cli, cli_word(cli, 0), &now, answer);
    if (!first && (rv == ERR_BUSY || rv == ERR_TIMEOUT))
        return 0;
    if (rv == 0)
        *sum = now;
    return rv;
}

/* A picture on a terminal, a line for each change elsewhere, so that it reads well in a log. */
static void tell(const char *name, struct rollout_live *live, struct rollout_line *last,
                 const struct rollout_sum *sum, const json_t *rollout)
{
    struct rollout_line line = rollout_line(name, sum);
    if (rollout_live_can()) {
        rollout_live_draw(live, sum, rollout);
    } else if (strcmp(line.text, last->text) != 0) {
        puts(line.text);
        fflush(stdout);
    }
    *last = line;
}

/* ---- steering ---- */

static int approve(struct cli *cli)
{
    return steer(cli, "approve", json_pack("{ss}", "stage", cli_word(cli, 1)));
}

static int pause_rollout(struct cli *cli)
{
    return steer(cli, "pause", json_object());
}

static int resume(struct cli *cli)
{
    return steer(cli, "resume", json_object());
}

/* Ends what is on its way, and says what doesn't come either. */
static int stop(struct cli *cli, const char *action, json_t *body)
{
    struct rollout_sum before;
    int rv = rollout_ask(cli, cli_word(cli, 0), &before, NULL);
    if (rv < 0) {
        json_decref(body);
        return rv;
    }
    rv = steer(cli, action, body);
    if (rv == 0 && before.queued[0] && !cli->json)
        printf("version %s, which waited for it, doesn't come by itself any more\n", before.queued);
    return rv;
}

static int abort_rollout(struct cli *cli)
{
    return stop(cli, "abort", json_object());
}

static int retry(struct cli *cli)
{
    return steer(cli, "retry", json_object());
}

/* Each flag is a field, "max-failed" as "max_failed". */
static int set(struct cli *cli)
{
    json_t *body = json_object();
    for (size_t i = 0; i < sizeof set_flags / sizeof set_flags[0]; i++) {
        const char *text = args_text(&cli->args, set_flags[i].name);
        char field[32];
        snprintf(field, sizeof field, "%s", set_flags[i].name);
        for (char *c = field; *c; c++)
            *c = *c == '-' ? '_' : *c;
        if (text)
            json_object_set_new(body, field, json_string(text));
    }
    if (json_object_size(body) > (json_object_get(body, "stage") ? 1 : 0))
        return steer(cli, "set", body);
    json_decref(body);
    return errmsg_set(&cli->em, ERR_USAGE,
                      "say what to set: --rate, --max-failed, --concurrency, --start, --returning, "
                      "--quorum or --deadline");
}

static int rollback(struct cli *cli)
{
    const char *to = args_text(&cli->args, "to");
    int rv = to ? bundle_name_check("version", to, &cli->em) : 0;
    return rv < 0 ? rv : stop(cli, "rollback", cli_confirm(cli, json_pack("{ss?}", "to", to)));
}

/* The answer is the rollout as it now is. */
static int steer(struct cli *cli, const char *action, json_t *body)
{
    json_t *rollout = NULL;
    int rv = cli_call_on(cli, "POST", "rollouts", cli_word(cli, 0), action, body, &rollout);
    if (rv < 0 || !rollout)
        return rv;
    const char *next = field_text(rollout, "next");
    const char *state = json_is_true(json_object_get(rollout, "paused"))
                            ? "paused" /* also when it is done, without stages */
                            : field_text(rollout, "state");
    printf("%s version %s: %s\n", field_text(rollout, "name"), field_text(rollout, "version"),
           *next ? next : state);
    if (strcmp(action, "set") == 0)
        rollout_print_set(rollout);
    json_decref(rollout);
    return 0;
}
