/* audit: who changed what, and whether the log of it is whole. */
#include "manager/core/audit.h"
#include "base/clock.h"
#include "manager/cli/verbs.h"

#include <inttypes.h>

/* The longest line of the manager's answer. */
#define LINE_MAX_LEN                                                                               \
    (8 * (AUDIT_ACTOR_MAX + AUDIT_ACTION_MAX + AUDIT_OBJECT_MAX + AUDIT_DETAIL_MAX))
/* Columns of what people read. */
#define ACTOR_WIDTH 20
#define ACTION_WIDTH 21

/* The log on its way from the manager to the terminal: one entry is held at a time. */
struct reading {
    const char *action; /* only such that begin like this; NULL: all */
    bool json;
    bool verify;
    uint64_t shown;
    uint64_t number; /* of the newest entry, and its chain */
    struct digest chain;
    bool ended; /* the manager said that this was all */
    size_t len;
    char line[LINE_MAX_LEN];
};

static int audit(struct cli *cli);
static int read_log(struct cli *cli, struct reading *r);
static int make_route(struct cli *cli, char *out, size_t cap);
static int take(void *context, struct span bytes, struct errmsg *em);
static int take_line(struct reading *r, struct errmsg *em);
static bool is_wanted(struct reading *r, const json_t *entry);
static void print(struct reading *r, const json_t *entry);
static int verify(struct reading *r, const json_t *json, struct errmsg *em);
static int parse(const json_t *json, struct audit_entry *e);
static int finish(struct cli *cli, const struct reading *r);

static const struct flag flags[] = {
    {.name = "since",
     .value = "TIME",
     .kind = FLAG_TEXT,
     .help = "only what is newer: 2h, 7d, 2024-05-01 or 2024-05-01T12:00:00Z"},
    {.name = "action",
     .value = "WORD",
     .kind = FLAG_TEXT,
     .help = "only entries whose action begins like this: alarm, join, token-create"},
    {.name = "verify",
     .kind = FLAG_SWITCH,
     .help = "print nothing but whether all entries are there as they were written"},
};

const struct verb audit_verbs[1] = {
    {
        .name = "audit",
        .summary = "show who changed what, and every alarm, the oldest first",
        .text = "Every change is here: what operators did, which devices joined, what was refused. "
                "Each entry holds a digest of all before it. --verify computes them anew, and says "
                "where the chain breaks. Note the digest that it prints somewhere else: whoever "
                "can write the manager's database could also write a whole new chain, but not one "
                "that ends in the digest that you know.\n",
        .examples = "  dunlin audit --since 2h\n"
                    "  dunlin audit --since 1d --action alarm\n"
                    "  dunlin audit --verify\n",
        .flags = FLAGS(flags),
        .run = audit,
    },
};

static int audit(struct cli *cli)
{
    static struct reading r;
    r.json = cli->json && !args_has(&cli->args, "verify");
    r.verify = args_has(&cli->args, "verify");
    r.action = args_text(&cli->args, "action");
    if (r.verify && (r.action || args_has(&cli->args, "since")))
        return errmsg_set(&cli->em, ERR_USAGE,
                          "--verify looks at the whole chain: leave --since and --action away");
    if (r.json)
        printf("{\"audit\":[");
    int rv = read_log(cli, &r);
    if (r.json)
        printf("]}\n");
    return rv < 0 ? rv : finish(cli, &r);
}

static int read_log(struct cli *cli, struct reading *r)
{
    char route[128];
    int rv = make_route(cli, route, sizeof route);
    if (rv < 0)
        return rv;
    struct client_request rq = {.method = "GET", .route = route};
    rv = client_send(cli->client, &rq, take, r, &cli->em);
    if (rv >= 0 && !r->ended)
        return errmsg_set(&cli->em, ERR_IO, "the log broke off after entry %" PRIu64, r->number);
    return rv < 0 ? rv : 0;
}

static int make_route(struct cli *cli, char *out, size_t cap)
{
    const char *since = args_text(&cli->args, "since");
    int64_t since_s = 0;
    if (since && units_since(since, (int64_t)clock_wall_s(), &since_s) < 0)
        return errmsg_set(&cli->em, ERR_USAGE,
                          "--since %.60s: give a time like 2h, 7d or 2024-05-01", since);
    snprintf(out, cap, "/v1/audit?since=%" PRId64, since_s > 0 ? since_s : 0);
    return 0;
}

/* Pieces come as the network cut them; each line is one object. */
static int take(void *context, struct span bytes, struct errmsg *em)
{
    struct reading *r = context;
    int rv = 0;
    for (size_t i = 0; rv == 0 && i < bytes.len; i++) {
        if (bytes.data[i] == '\n') {
            rv = take_line(r, em);
            r->len = 0;
        } else if (r->len == sizeof r->line) {
            rv = errmsg_set(em, ERR_FORMAT, "after entry %" PRIu64 " comes no entry", r->number);
        } else {
            r->line[r->len++] = (char)bytes.data[i];
        }
    }
    return rv;
}

static int take_line(struct reading *r, struct errmsg *em)
{
    json_t *json = json_loadb(r->line, r->len, 0, NULL);
    int rv = 0;
    r->ended |= json_object_get(json, "end") != NULL;
    if (!json || json_object_get(json, "error"))
        rv = errmsg_set(em, ERR_DAMAGED, "after entry %" PRIu64 ": %s", r->number,
                        json ? field_text(json, "error") : "the manager's answer can't be read");
    else if (!r->ended && r->verify)
        rv = verify(r, json, em);
    else if (!r->ended && is_wanted(r, json))
        print(r, json);
    json_decref(json);
    return rv;
}

static bool is_wanted(struct reading *r, const json_t *entry)
{
    r->number = field_number(entry, "n");
    return !r->action || strncmp(field_text(entry, "action"), r->action, strlen(r->action)) == 0;
}

static void print(struct reading *r, const json_t *entry)
{
    char line[LINE_MAX_LEN];
    if (r->json) {
        printf("%s%.*s", r->shown++ > 0 ? "," : "", (int)r->len, r->line);
        return;
    }
    const char *detail = field_text(entry, "detail");
    int len =
        snprintf(line, sizeof line, "%s  %-*s  %-*s  %s%s%s", field_text(entry, "time"),
                 ACTOR_WIDTH, field_text(entry, "actor"), ACTION_WIDTH, field_text(entry, "action"),
                 field_text(entry, "object"), *detail ? "  " : "", detail);
    table_clean(line, (size_t)len < sizeof line ? (size_t)len : sizeof line - 1, stdout);
    putchar('\n');
    r->shown++;
}

/* Every entry has the next number, and the digest that follows from it and all before. */
static int verify(struct reading *r, const json_t *json, struct errmsg *em)
{
    struct audit_entry e = {0};
    uint64_t expected = r->number + 1;
    int rv = parse(json, &e);
    if (rv == 0 && e.number != expected)
        return errmsg_set(em, ERR_DAMAGED, "entry %" PRIu64 " of the audit log is missing",
                          expected);
    struct digest chain = audit_chain(&r->chain, &e);
    if (rv < 0 || !digest_equal(&chain, &e.chain))
        return errmsg_set(em, ERR_DAMAGED,
                          "entry %" PRIu64 " of the audit log is not what was written (%s, %s by "
                          "%s): nothing from here on can be trusted",
                          expected, field_text(json, "time"), field_text(json, "action"),
                          field_text(json, "actor"));
    r->number = expected;
    r->chain = chain;
    return 0;
}

static int parse_text(const json_t *json, const char *name, char *out, size_t cap)
{
    int len = snprintf(out, cap, "%s", field_text(json, name));
    return len < 0 || (size_t)len >= cap ? ERR_FORMAT : 0;
}

static int parse(const json_t *json, struct audit_entry *e)
{
    int64_t time_s = 0;
    bool timed = !json_is_null(json_object_get(json, "time"));
    int rv = digest_parse(field_text(json, "chain"), &e->chain);
    if (rv == 0 && timed)
        rv = units_time(field_text(json, "time"), &time_s);
    if (rv == 0)
        rv = parse_text(json, "actor", e->actor, sizeof e->actor);
    if (rv == 0)
        rv = parse_text(json, "action", e->action, sizeof e->action);
    if (rv == 0)
        rv = parse_text(json, "object", e->object, sizeof e->object);
    if (rv == 0)
        rv = parse_text(json, "detail", e->detail, sizeof e->detail);
    e->number = field_number(json, "n");
    e->time_s = (uint64_t)time_s;
    return rv;
}

static int finish(struct cli *cli, const struct reading *r)
{
    struct digest_hex chain = digest_hex(&r->chain);
    if (r->verify && cli->json)
        return cli_print_json(cli, json_pack("{sb sI ss}", "whole", 1, "entries",
                                             (json_int_t)r->number, "chain", chain.text));
    if (r->verify)
        printf("entries 1 to %" PRIu64 " are as they were written; the last one's digest is\n%s\n",
               r->number, chain.text);
    else if (!r->json && r->shown == 0)
        puts(r->action ? "there is nothing of this kind in this time"
                       : "nothing was changed in this time");
    return 0;
}
