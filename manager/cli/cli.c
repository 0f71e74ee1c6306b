#include "manager/cli/cli.h"

#include "base/clock.h"
#include "base/printable.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

/* Between two lines of progress on a terminal. */
#define PROGRESS_MS 100
/* An answer that is held in memory: a list of two million agents takes less. */
#define ANSWER_MAX ((size_t)1 << 30)

/* An answer on its way into memory. */
struct growing {
    char *data;
    size_t len, cap;
};

static int send_json(struct cli *cli, const char *method, const char *route, json_t *body,
                     client_take *take, void *context);
static int grow(void *context, struct span bytes, struct errmsg *em);
static int to_output(void *context, struct span bytes, struct errmsg *em);

int cli_call(struct cli *cli, const char *method, const char *route, json_t *body, json_t **answer)
{
    *answer = NULL;
    if (!cli->json)
        return cli_ask(cli, method, route, body, answer);
    char last = '\n';
    int rv = send_json(cli, method, route, body, to_output, &last);
    if (rv == 0 && last != '\n')
        putchar('\n');
    return rv;
}

int cli_call_on(struct cli *cli, const char *method, const char *collection, const char *name,
                const char *action, json_t *body, json_t **answer)
{
    char route[CLIENT_ROUTE_MAX];
    int rv = client_route(route, collection, name, action, &cli->em);
    if (rv < 0) {
        json_decref(body);
        return rv;
    }
    return cli_call(cli, method, route, body, answer);
}

int cli_ask(struct cli *cli, const char *method, const char *route, json_t *body, json_t **answer)
{
    struct growing g = {0};
    *answer = NULL;
    int rv = send_json(cli, method, route, body, grow, &g);
    if (rv == 0) {
        *answer = json_loadb(g.data ? g.data : "", g.len, 0, NULL);
        if (!*answer)
            rv = errmsg_set(&cli->em, ERR_FORMAT,
                            "the manager's answer can't be read; are both of one version?");
    }
    free(g.data);
    return rv;
}

int cli_ask_pages(struct cli *cli, const char *route, json_t *body, json_int_t *changed)
{
    json_int_t after = 0;
    struct cli_progress progress = cli_progress_begin();
    int rv = 0;
    *changed = 0;
    for (bool more = true; more && rv == 0;) {
        json_t *answer = NULL, *page = json_copy(body);
        json_object_set_new(page, "after", json_integer(after));
        rv = cli_ask(cli, "POST", route, page, &answer);
        const json_t *next = json_object_get(answer, "next");
        more = json_is_integer(next);
        after = json_integer_value(next);
        *changed += rv == 0 ? (json_int_t)field_number(answer, "changed") : 0;
        json_decref(answer);
        if (more && cli_progress_is_due(&progress)) /* a million agents are a thousand pages */
            fprintf(stderr, "%lld agents so far", (long long)*changed);
    }
    cli_progress_end(&progress);
    json_decref(body);
    return rv < 0 && *changed > 0
               ? errmsg_wrap(&cli->em, rv, "%lld agents are changed, and then", (long long)*changed)
               : rv;
}

struct cli_progress cli_progress_begin(void)
{
    return (struct cli_progress){.terminal = isatty(STDERR_FILENO)};
}

bool cli_progress_is_due(struct cli_progress *p)
{
    uint64_t now_ms = clock_monotonic_ms();
    if (!p->terminal || now_ms < p->shown_ms + PROGRESS_MS)
        return false;
    p->shown_ms = now_ms;
    fprintf(stderr, "\r\033[K");
    return true;
}

void cli_progress_end(const struct cli_progress *p)
{
    if (p->shown_ms > 0)
        fprintf(stderr, "\r\033[K");
}

json_t *cli_confirm(struct cli *cli, json_t *body)
{
    if (args_has(&cli->args, "confirm"))
        json_object_set_new(body, "confirm", json_true());
    return body;
}

const char *cli_word(const struct cli *cli, size_t n)
{
    assert(n < cli->args.word_count);
    return cli->args.words[n];
}

int cli_print(struct cli *cli, struct table *t)
{
    int rv = table_print(t, stdout, table_colour(stdout));
    return rv < 0 ? errmsg_set(&cli->em, rv, "not enough memory for the table; try --json") : 0;
}

/* It comes from a device, by way of a manager that may be anybody's. */
void cli_print_output(const json_t *object)
{
    const json_t *output = json_object_get(object, "output");
    struct span text = span_text(field_text(output, "text"));
    char *clean = malloc(text.len + 1);
    if (!clean || text.len == 0) {
        free(clean);
        return;
    }
    printable_text(text, clean);
    printf("  the device's own words, %s:\n", field_ago(output, "at", "some time ago").text);
    for (char *line = strtok(clean, "\n"); line; line = strtok(NULL, "\n"))
        printf("    %s\n", line);
    free(clean);
}

int cli_print_json(struct cli *cli, json_t *json)
{
    int rv = json_dumpf(json, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(json);
    return rv < 0 ? errmsg_set(&cli->em, ERR_IO, "the answer can't be written") : 0;
}

const char *field_text(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

uint64_t field_number(const json_t *object, const char *name)
{
    json_int_t n = json_integer_value(json_object_get(object, name));
    return n < 0 ? 0 : (uint64_t)n;
}

struct units_text field_ago(const json_t *object, const char *name, const char *otherwise)
{
    struct units_text t;
    int64_t then;
    if (units_time(field_text(object, name), &then) == 0)
        return units_ago(then, (int64_t)clock_wall_s());
    snprintf(t.text, sizeof t.text, "%s", otherwise);
    return t;
}

struct names_text field_names(const json_t *object, const char *name)
{
    struct names_text t = {.text = ""};
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(object, name), i, one)
    {
        size_t used = strlen(t.text);
        const char *text = json_string_value(one);
        snprintf(t.text + used, sizeof t.text - used, "%s%s", i ? ", " : "", text ? text : "");
    }
    return t;
}

void field_pairs(const json_t *object, const char *name, char *out, size_t cap)
{
    size_t used = 0;
    const char *key;
    json_t *value;
    out[0] = '\0';
    json_object_foreach(json_object_get(object, name), key, value)
    {
        const char *text = json_string_value(value);
        int n = snprintf(out + used, cap - used, "%s%s=%s", used ? "," : "", key, text ? text : "");
        used += n < 0 ? 0 : (size_t)n;
        if (used >= cap)
            return;
    }
}

static int send_json(struct cli *cli, const char *method, const char *route, json_t *body,
                     client_take *take, void *context)
{
    bool wanted = strcmp(method, "POST") == 0 || strcmp(method, "PATCH") == 0;
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    if (wanted && !text) {
        json_decref(body);
        return errmsg_set(&cli->em, ERR_USAGE, "a name or text on the command line isn't UTF-8");
    }
    struct client_request rq = {.method = method,
                                .route = route,
                                .type = text ? "application/json" : NULL,
                                .body = text ? span_text(text) : SPAN_NONE};
    int rv = client_send(cli->client, &rq, take, context, &cli->em);
    free(text);
    json_decref(body);
    return rv < 0 ? rv : 0;
}

static int grow(void *context, struct span bytes, struct errmsg *em)
{
    struct growing *g = context;
    if (bytes.len > ANSWER_MAX - g->len)
        return errmsg_set(em, ERR_NO_MEMORY, "the answer is too large to show; use --json");
    if (g->len + bytes.len > g->cap) {
        size_t cap = 2 * g->cap > g->len + bytes.len ? 2 * g->cap : g->len + bytes.len;
        char *data = realloc(g->data, cap);
        if (!data)
            return errmsg_set(em, ERR_NO_MEMORY, "not enough memory for the answer; use --json");
        g->data = data;
        g->cap = cap;
    }
    memcpy(g->data + g->len, bytes.data, bytes.len);
    g->len += bytes.len;
    return 0;
}

static int to_output(void *context, struct span bytes, struct errmsg *em)
{
    if (bytes.len == 0)
        return 0;
    *(char *)context = (char)bytes.data[bytes.len - 1];
    if (fwrite(bytes.data, 1, bytes.len, stdout) < bytes.len)
        return errmsg_set(em, ERR_IO, "the answer can't be written to standard output");
    return 0;
}
