/* why: the reason for the state of a deployment on an agent. */
#include "manager/cli/verbs.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int why(struct cli *cli);

const struct verb why_verbs[1] = {
    {
        .name = "why",
        .operands = "AGENT DEPLOYMENT",
        .summary = "say why an agent runs what it runs of a deployment",
        .text = "One sentence: what is in the way of the newest version there, what you would have "
                "to do first, or that all is well; behind it what the device said of it: the "
                "end of a failed hook's output, or how much room is needed. --json has the reason "
                "as a word, and its facts.\n",
        .examples = "  dunlin why 7 app\n",
        .words_min = 2,
        .words_max = 2,
        .run = why,
    },
};

static int why(struct cli *cli)
{
    char action[CLIENT_ROUTE_MAX / 2];
    json_t *answer = NULL;
    int rv = client_query(action, sizeof action, "why/", cli_word(cli, 1), &cli->em);
    if (rv == 0)
        rv = cli_call_on(cli, "GET", "agents", cli_word(cli, 0), action, NULL, &answer);
    if (rv < 0 || !answer)
        return rv;
    printf("agent %" PRIu64 ", %s: ", field_number(answer, "number"),
           field_text(answer, "deployment"));
    const char *text = field_text(answer, "text"); /* in which the device may have a word */
    table_clean(text, strlen(text), stdout);
    putchar('\n');
    cli_print_output(answer);
    json_decref(answer);
    return 0;
}
