/* agent cordon, uncordon, revoke, release, replace: who is to stay as it is, must go, may come
 * back, or is to be another device. */
#include "manager/cli/verbs.h"

#include <inttypes.h>

static int cordon(struct cli *cli);
static int uncordon(struct cli *cli);
static int revoke(struct cli *cli);
static int release(struct cli *cli);
static int replace(struct cli *cli);

static const struct flag replace_flags[] = {
    {.name = "ttl",
     .value = "TIME",
     .kind = FLAG_DURATION,
     .fallback = "24h",
     .min = 1,
     .max = UINT32_MAX,
     .help = "how long the fresh token is good for"},
};

const struct verb membership_verbs[5] = {
    {
        .name = "agent cordon",
        .operands = "AGENT",
        .summary = "let an agent keep what it runs and take nothing new",
        .text =
            "Until it is uncordoned it begins no version, neither a newer one nor the one before, "
            "and rollouts go on without it. What it has begun it brings to an end, and what is "
            "removed from it goes. It need not be connected; it learns when it comes back.\n",
        .words_min = 1,
        .words_max = 1,
        .run = cordon,
    },
    {
        .name = "agent uncordon",
        .operands = "AGENT",
        .summary = "let a cordoned agent take what is meant for it by now",
        .words_min = 1,
        .words_max = 1,
        .run = uncordon,
    },
    {
        .name = "agent revoke",
        .operands = "AGENT",
        .summary = "shut an agent out, at once and for good",
        .text = "For a device that was stolen or broken into. Brokers end its connection and take "
                "no other one, what was kept for it is erased, and its key is worth nothing any "
                "more. What runs on the device is beyond reach then. Another device can take its "
                "place: dunlin agent replace.\n",
        .words_min = 1,
        .words_max = 1,
        .run = revoke,
    },
    {
        .name = "agent release",
        .operands = "AGENT",
        .summary = "let an agent in again that was quarantined or cut off",
        .text = "An agent is quarantined when two devices report as it. Make sure that only the "
                "right one is left: when both still work, it is quarantined again. It comes back "
                "within the hour, or at once when it is restarted. Also for a "
                "device whose storage was set back to an older image: its next report counts, "
                "however old its numbers are. An agent that floods its broker is cut off for five "
                "minutes, and for up to four hours when it does so again; then it comes back by "
                "itself, or now: within minutes, or at once when it is restarted.\n",
        .words_min = 1,
        .words_max = 1,
        .run = release,
    },
    {
        .name = "agent replace",
        .operands = "AGENT [TOKEN]",
        .summary = "let another device take an agent's place",
        .text = "The device that joins with TOKEN, an unused one of this fleet, takes the agent's "
                "number and labels, and so runs what it ran, also where it was picked; and it is "
                "cordoned and tainted as the agent was, unless that had been removed. From then on "
                "the old identity is shut out. Without TOKEN a fresh one is printed. Works for "
                "revoked and quarantined agents, too.\n",
        .examples = "  dunlin agent replace 7\n",
        .flags = FLAGS(replace_flags),
        .words_min = 1,
        .words_max = 2,
        .run = replace,
    },
};

static int act(struct cli *cli, const char *action, const char *said)
{
    json_t *answer = NULL;
    int rv = cli_call_on(cli, "POST", "agents", cli_word(cli, 0), action, json_object(), &answer);
    if (rv < 0 || !answer)
        return rv;
    printf("agent %s %s\n", cli_word(cli, 0), said);
    json_decref(answer);
    return 0;
}

static int cordon(struct cli *cli)
{
    return act(cli, "cordon", "keeps what it runs and takes nothing new");
}

static int uncordon(struct cli *cli)
{
    return act(cli, "uncordon", "takes what is meant for it");
}

static int revoke(struct cli *cli)
{
    return act(cli, "revoke", "is shut out for good");
}

static int release(struct cli *cli)
{
    return act(cli, "release", "is let in again");
}

static int replace(struct cli *cli)
{
    json_t *answer = NULL, *body = json_object();
    bool given = cli->args.word_count > 1;
    if (given)
        json_object_set_new(body, "token", json_string(cli_word(cli, 1)));
    else
        json_object_set_new(body, "ttl_s",
                            json_integer((json_int_t)args_number(&cli->args, "ttl")));
    int rv = cli_call_on(cli, "POST", "agents", cli_word(cli, 0), "replace", body, &answer);
    if (rv < 0 || !answer)
        return rv;
    if (given)
        printf("the device that joins with this token takes the place of agent %" PRIu64 "\n",
               field_number(answer, "number"));
    else
        puts(field_text(answer, "token"));
    json_decref(answer);
    return 0;
}
