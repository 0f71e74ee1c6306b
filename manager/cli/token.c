/* token create, list, revoke: the secrets that let devices join. */
#include "base/labels.h"
#include "manager/cli/output_file.h"
#include "manager/cli/verbs.h"
#include "manager/core/manager.h"

#include <inttypes.h>
#include <stdlib.h>

#define TTL_MAX_S ((uint64_t)10 * 365 * 86400)

/* Tokens on their way from the manager to a file or standard output. */
struct minting {
    struct client *client;
    FILE *out;
    bool json; /* as an array on standard output, instead of lines */
    bool inside;
    uint64_t lines;
};

static int create(struct cli *cli);
static int mint(struct cli *cli, struct minting *m, const char *labels);
static int read_labels(struct cli *cli, struct labels *l);
static int take(void *context, struct span bytes, struct errmsg *em);
static int take_json(struct minting *m, struct span bytes, struct errmsg *em);
static int finish(struct cli *cli, struct minting *m, struct output_file *file);
static const char *batch_of(const struct minting *m);
static int list(struct cli *cli);
static int revoke(struct cli *cli);

static const struct flag create_flags[] = {
    {.name = "count",
     .value = "N",
     .kind = FLAG_NUMBER,
     .fallback = "1",
     .min = 1,
     .max = TOKENS_MAX,
     .help = "how many tokens; a million is fine"},
    {.name = "ttl",
     .value = "TIME",
     .kind = FLAG_DURATION,
     .fallback = "24h",
     .min = 1,
     .max = TTL_MAX_S,
     .help = "how long they let devices join, like 90s, 30m, 24h, 7d"},
    {.name = "uses",
     .value = "N",
     .kind = FLAG_NUMBER,
     .fallback = "1",
     .min = 1,
     .max = TOKEN_USES_MAX,
     .help = "how many devices may join with each"},
    {.name = "label",
     .value = "KEY=VALUE ...",
     .kind = FLAG_PAIRS,
     .help = "labels that the devices get, for selecting them later"},
    {.name = "output",
     .value = "FILE",
     .kind = FLAG_TEXT,
     .help = "write them into FILE, which only you may read"},
};

const struct verb token_verbs[3] = {
    {
        .name = "token create",
        .summary = "make one-time tokens that let devices join",
        .text =
            "Prints one token a line. A token is a secret: whoever has it may join as a device, "
            "once.\nOn the device: dunlin-agent join URL TOKEN --dir DIR, with the URL that "
            "`dunlin status` shows.\n",
        .examples = "  dunlin token create --label env=prod region=eu\n"
                    "  dunlin token create --count 1000 --ttl 7d --output tokens.txt\n",
        .flags = FLAGS(create_flags),
        .run = create,
    },
    {
        .name = "token list",
        .summary = "list the batches of tokens, not the tokens",
        .run = list,
    },
    {
        .name = "token revoke",
        .operands = "ID",
        .summary = "make the unused tokens of a batch worthless",
        .text =
            "ID is the batch's number in `dunlin token list`. Devices that joined already stay.\n",
        .examples = "  dunlin token revoke 3\n",
        .words_min = 1,
        .words_max = 1,
        .run = revoke,
    },
};

static int create(struct cli *cli)
{
    const char *path = args_text(&cli->args, "output");
    struct output_file file = {.stream = NULL};
    struct labels labels;
    int rv = read_labels(cli, &labels);
    if (rv == 0 && path)
        rv = output_file_open(&file, path, &cli->em);
    if (rv < 0)
        return rv;
    struct minting m = {
        .client = cli->client, .out = path ? file.stream : stdout, .json = cli->json && !path};
    rv = mint(cli, &m, labels.text);
    if (rv == 0)
        rv = finish(cli, &m, &file);
    output_file_drop(&file);
    return rv;
}

static int mint(struct cli *cli, struct minting *m, const char *labels)
{
    json_t *json = json_pack("{sI sI sI ss}", "count", (json_int_t)args_number(&cli->args, "count"),
                             "ttl_s", (json_int_t)args_number(&cli->args, "ttl"), "uses",
                             (json_int_t)args_number(&cli->args, "uses"), "labels", labels);
    char *body = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    if (!body)
        return errmsg_set(&cli->em, ERR_NO_MEMORY, "not enough memory to ask for tokens");
    struct client_request rq = {.method = "POST",
                                .route = "/v1/tokens",
                                .type = "application/json",
                                .body = span_text(body)};
    int rv = client_send(cli->client, &rq, take, m, &cli->em);
    free(body);
    if (rv < 0)
        return rv;
    uint64_t wanted = args_number(&cli->args, "count");
    if (m->lines != wanted || m->inside)
        return errmsg_set(&cli->em, ERR_IO,
                          "only %" PRIu64 " of %" PRIu64 " tokens came; revoke batch %s and try "
                          "again",
                          m->lines, wanted, batch_of(m));
    return 0;
}

/* All --label words as one set. */
static int read_labels(struct cli *cli, struct labels *l)
{
    char text[LABELS_TEXT_MAX];
    size_t used = 0, at = 0;
    struct errmsg why;
    text[0] = '\0';
    for (const char *pair; (pair = args_next(&cli->args, "label", &at));) {
        int n = snprintf(text + used, sizeof text - used, "%s%s", used ? "," : "", pair);
        used += n < 0 ? 0 : (size_t)n;
        if (used >= sizeof text)
            return errmsg_set(&cli->em, ERR_USAGE, "--label: more than %d characters of labels",
                              LABELS_TEXT_MAX - 1);
    }
    if (labels_parse(l, span_text(text), &why) < 0)
        return errmsg_set(&cli->em, ERR_USAGE, "--label: %s", why.text);
    return 0;
}

static int take(void *context, struct span bytes, struct errmsg *em)
{
    struct minting *m = context;
    if (m->json)
        return take_json(m, bytes, em);
    for (size_t i = 0; i < bytes.len; i++)
        m->lines += bytes.data[i] == '\n';
    m->inside = bytes.len > 0 ? bytes.data[bytes.len - 1] != '\n' : m->inside;
    if (fwrite(bytes.data, 1, bytes.len, m->out) < bytes.len)
        return errmsg_set(em, ERR_IO, "the tokens can't be written; revoke batch %s and try again",
                          batch_of(m));
    return 0;
}

/* Lines become texts in an array. A token has only letters, digits, '-' and '_'. */
static int take_json(struct minting *m, struct span bytes, struct errmsg *em)
{
    if (m->lines == 0 && !m->inside && bytes.len > 0)
        fprintf(m->out, "{\"batch\":%s,\"tokens\":[", batch_of(m));
    for (size_t i = 0; i < bytes.len; i++) {
        char c = (char)bytes.data[i];
        if (c == '"' || c == '\\')
            return errmsg_set(em, ERR_FORMAT, "the manager's answer holds no tokens");
        if (!m->inside)
            fputs(m->lines > 0 ? ",\"" : "\"", m->out);
        m->inside = c != '\n';
        m->lines += c == '\n';
        fputc(m->inside ? c : '"', m->out);
    }
    return 0;
}

static int finish(struct cli *cli, struct minting *m, struct output_file *file)
{
    if (m->json)
        printf("]}\n");
    if (!file->stream)
        return 0;
    const char *batch = batch_of(m);
    int rv = output_file_finish(file, &cli->em);
    if (rv < 0)
        return errmsg_wrap(&cli->em, rv, "revoke batch %s and try again", batch);
    if (cli->json)
        return cli_print_json(cli, json_pack("{sI sI ss}", "batch", (json_int_t)atoll(batch),
                                             "count", (json_int_t)m->lines, "output", file->path));
    fprintf(stderr, "%s in %s, good for %s (batch %s)\n", units_count(m->lines, "token").text,
            file->path, units_span(args_number(&cli->args, "ttl")).text, batch);
    return 0;
}

static const char *batch_of(const struct minting *m)
{
    const char *batch = client_header(m->client, "Dunlin-Batch");
    return batch && *batch && strspn(batch, "0123456789") == strlen(batch) ? batch : "0";
}

static int list(struct cli *cli)
{
    static const char *const titles[] = {"BATCH", "STATE", "TOKENS", "USED", "EXPIRES", "LABELS"};
    json_t *answer = NULL, *batch;
    size_t i;
    int rv = cli_call(cli, "GET", "/v1/tokens", NULL, &answer);
    if (rv < 0 || !answer)
        return rv;
    struct table *t = table_new(6, titles);
    json_array_foreach(json_object_get(answer, "tokens"), i, batch)
    {
        char labels[LABELS_TEXT_MAX];
        const char *state = field_text(batch, "state");
        uint64_t count = field_number(batch, "count"), uses = field_number(batch, "uses");
        field_pairs(batch, "labels", labels, sizeof labels);
        table_cell(t, PAINT_NONE, "%" PRIu64, field_number(batch, "id"));
        table_cell(t, table_state_paint(state), "%s", state);
        table_cell(t, PAINT_NONE, "%" PRIu64, count);
        table_cell(t, PAINT_NONE, "%" PRIu64 " of %" PRIu64, field_number(batch, "redeemed"),
                   count * uses);
        table_cell(t, PAINT_NONE, "%s", field_ago(batch, "expires", "").text);
        table_cell(t, PAINT_NONE, "%s", labels);
    }
    json_decref(answer);
    if (table_rows(t) == 0) {
        table_free(t);
        printf("no tokens yet: dunlin token create\n");
        return 0;
    }
    return cli_print(cli, t);
}

static int revoke(struct cli *cli)
{
    const char *id = cli_word(cli, 0);
    json_t *answer = NULL;
    if (strspn(id, "0123456789") != strlen(id))
        return errmsg_set(&cli->em, ERR_USAGE,
                          "%.60s: not a batch; its number is in `dunlin token list`", id);
    int rv = cli_call_on(cli, "DELETE", "tokens", id, NULL, NULL, &answer);
    if (rv < 0 || !answer)
        return rv;
    printf("batch %s: its unused tokens are worth nothing now\n", id);
    json_decref(answer);
    return 0;
}
