/* token create, list, revoke: the secrets that let devices join. */
#include "base/labels.h"
#include "manager/cli/mint.h"
#include "manager/cli/output_file.h"
#include "manager/cli/qr.h"
#include "manager/cli/verbs.h"
#include "manager/core/manager.h"

#include <inttypes.h>
#include <stdlib.h>

#define TTL_MAX_S ((uint64_t)10 * 365 * 86400)

static int create(struct cli *cli);
static int check_flags(struct cli *cli);
static int read_format(struct cli *cli, enum mint_format *format);
static int read_serials(struct cli *cli, struct serials *serials);
static int read_labels(struct cli *cli, struct labels *l);
static int write_tokens(struct cli *cli, struct mint *m, const struct mint_order *order);
static int finish_file(struct cli *cli, const struct mint *m, struct output_file *file);
static int show_qr(struct cli *cli, struct mint *m, const struct mint_order *order);
static int list(struct cli *cli);
static void describe_needs(const json_t *batch, char *out, size_t cap);
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
    {.name = "serial",
     .value = "S",
     .kind = FLAG_TEXT,
     .help = "the token is only good for the device with this serial number"},
    {.name = "serials",
     .value = "FILE",
     .kind = FLAG_TEXT,
     .help = "the same for many: FILE has one serial number a line, and each gets its token"},
    {.name = "approve",
     .kind = FLAG_SWITCH,
     .help = "devices that join with them wait for `dunlin agent approve`"},
    {.name = "output",
     .value = "FILE",
     .kind = FLAG_TEXT,
     .help = "write them into FILE, which only you may read"},
    {.name = "format",
     .value = "FORMAT",
     .kind = FLAG_TEXT,
     .help = "text: the tokens alone (default); csv: number,token,serial,host, a line for each "
             "device (default for FILE.csv)"},
    {.name = "qr",
     .kind = FLAG_SWITCH,
     .help = "show one token as a QR code, with the host to join at"},
};

const struct verb token_verbs[3] = {
    {
        .name = "token create",
        .summary = "make one-time tokens that let devices join",
        .text =
            "Prints one token a line. A token is a secret: whoever has it may join as a device, "
            "once.\nOn the device: dunlin-agent join HOST TOKEN --dir DIR, with the host that "
            "`dunlin status` shows. What --qr shows is one text that join takes instead of both.\n",
        .examples = "  dunlin token create --label env=prod region=eu\n"
                    "  dunlin token create --count 1000 --ttl 7d --output tokens.csv\n"
                    "  dunlin token create --serials pallet-7.txt --output pallet-7.csv\n"
                    "  dunlin token create --qr --approve\n",
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
    struct serials serials = {.lines = NULL};
    struct labels labels;
    struct mint m = {.client = cli->client, .em = &cli->em};
    int rv = check_flags(cli);
    if (rv == 0)
        rv = read_format(cli, &m.format);
    if (rv == 0)
        rv = read_labels(cli, &labels);
    if (rv == 0)
        rv = read_serials(cli, &serials);
    struct mint_order order = {
        .count = serials.count ? serials.count : args_number(&cli->args, "count"),
        .uses = args_number(&cli->args, "uses"),
        .ttl_s = args_number(&cli->args, "ttl"),
        .labels = rv == 0 ? labels.text : "",
        .approve = args_has(&cli->args, "approve"),
        .serials = serials.count ? &serials : NULL,
    };
    if (rv == 0 && args_has(&cli->args, "qr"))
        rv = show_qr(cli, &m, &order);
    else if (rv == 0)
        rv = write_tokens(cli, &m, &order);
    serials_free(&serials);
    return rv;
}

/* Pairs that exclude each other. */
static int check_flags(struct cli *cli)
{
    static const char *const pairs[][2] = {
        {"count", "serial"}, {"count", "serials"}, {"serial", "serials"}, {"qr", "serials"},
        {"qr", "output"},    {"qr", "format"},     {"qr", "json"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        if (args_has(&cli->args, pairs[i][0]) && args_has(&cli->args, pairs[i][1]))
            return errmsg_set(&cli->em, ERR_USAGE, "--%s and --%s exclude each other", pairs[i][0],
                              pairs[i][1]);
    if (args_has(&cli->args, "qr") && args_number(&cli->args, "count") > 1)
        return errmsg_set(&cli->em, ERR_USAGE,
                          "--qr shows one token; write many with --output FILE");
    return 0;
}

/* --json means the answer on standard output; beside a file it is a summary. */
static int read_format(struct cli *cli, enum mint_format *format)
{
    const char *text = args_text(&cli->args, "format"), *path = args_text(&cli->args, "output");
    size_t len = path ? strlen(path) : 0;
    bool csv = len > 4 && strcmp(path + len - 4, ".csv") == 0;
    if (text && strcmp(text, "text") != 0 && strcmp(text, "csv") != 0)
        return errmsg_set(&cli->em, ERR_USAGE, "--format %.40s: write text or csv", text);
    if (text && cli->json && !path)
        return errmsg_set(&cli->em, ERR_USAGE, "--format and --json exclude each other");
    csv = text ? strcmp(text, "csv") == 0 : csv;
    *format = cli->json && !path ? MINT_JSON : csv ? MINT_CSV : MINT_LINES;
    return 0;
}

static int read_serials(struct cli *cli, struct serials *serials)
{
    const char *one = args_text(&cli->args, "serial"), *path = args_text(&cli->args, "serials");
    int rv = 0;
    if (one && serials_add(serials, span_text(one), &cli->em) < 0)
        return errmsg_wrap(&cli->em, ERR_USAGE, "--serial");
    if (path)
        rv = serials_read(serials, path, &cli->em);
    if (path && rv == 0 && serials->count == 0)
        rv = errmsg_set(&cli->em, ERR_FORMAT, "%.200s: there is no serial number in it", path);
    if (rv == 0 && serials->count > TOKENS_MAX)
        rv = errmsg_set(&cli->em, ERR_RANGE, "%.200s: there are more than %u serial numbers in it",
                        path, TOKENS_MAX);
    return rv;
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

static int write_tokens(struct cli *cli, struct mint *m, const struct mint_order *order)
{
    const char *path = args_text(&cli->args, "output");
    struct output_file file = {.stream = NULL};
    int rv = path ? output_file_open(&file, path, &cli->em) : 0;
    if (rv < 0)
        return rv;
    m->out = path ? file.stream : stdout;
    rv = mint(m, order);
    if (rv == 0 && path)
        rv = finish_file(cli, m, &file);
    output_file_drop(&file);
    return rv;
}

static int finish_file(struct cli *cli, const struct mint *m, struct output_file *file)
{
    int rv = output_file_finish(file, &cli->em);
    if (rv < 0)
        return errmsg_wrap(&cli->em, rv, "revoke batch %s and try again", m->batch);
    if (cli->json)
        return cli_print_json(cli, json_pack("{sI sI ss}", "batch", (json_int_t)atoll(m->batch),
                                             "count", (json_int_t)m->made, "output", file->path));
    fprintf(stderr, "%s in %s, good for %s (batch %s)\n", units_count(m->made, "token").text,
            file->path, units_span(args_number(&cli->args, "ttl")).text, m->batch);
    return 0;
}

/* The text stands below, for devices without a camera. */
static int show_qr(struct cli *cli, struct mint *m, const struct mint_order *order)
{
    int rv = mint(m, order);
    if (rv < 0)
        return rv;
    struct invitation_text text = invitation_write(&m->invitation);
    rv = qr_print(text.text, stdout, &cli->em);
    if (rv == 0)
        puts(text.text);
    return rv;
}

static int list(struct cli *cli)
{
    static const char *const titles[] = {"BATCH",   "STATE", "TOKENS", "USED",
                                         "EXPIRES", "NEEDS", "LABELS"};
    json_t *answer = NULL, *batch;
    size_t i;
    int rv = cli_call(cli, "GET", "/v1/tokens", NULL, &answer);
    if (rv < 0 || !answer)
        return rv;
    struct table *t = table_new(7, titles);
    json_array_foreach(json_object_get(answer, "tokens"), i, batch)
    {
        char labels[LABELS_TEXT_MAX], needs[64];
        const char *state = field_text(batch, "state");
        uint64_t count = field_number(batch, "count"), uses = field_number(batch, "uses");
        field_pairs(batch, "labels", labels, sizeof labels);
        describe_needs(batch, needs, sizeof needs);
        table_cell(t, PAINT_NONE, "%" PRIu64, field_number(batch, "id"));
        table_cell(t, table_state_paint(state), "%s", state);
        table_cell(t, PAINT_NONE, "%" PRIu64, count);
        table_cell(t, PAINT_NONE, "%" PRIu64 " of %" PRIu64, field_number(batch, "redeemed"),
                   count * uses);
        table_cell(t, PAINT_NONE, "%s", field_ago(batch, "expires", "").text);
        table_cell(t, PAINT_NONE, "%s", needs);
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

/* What a device needs besides its token. */
static void describe_needs(const json_t *batch, char *out, size_t cap)
{
    bool bound = json_is_true(json_object_get(batch, "bound"));
    bool approve = json_is_true(json_object_get(batch, "approve"));
    snprintf(out, cap, "%s%s%s", bound ? "serial" : "", bound && approve ? ", " : "",
             approve ? "approval"
             : bound ? ""
                     : "-");
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
