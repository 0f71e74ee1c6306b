#include "manager/cli/mint.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

/* Serial numbers in one request; the manager takes no more. */
#define SERIALS_PER_REQUEST 4096
/* Everywhere else, this is what a URL without a scheme means. */
#define SCHEME "mqtts://"
/* A line of CSV: a number, a token, a serial number whose every character is doubled, and quoted, a
 * host. */
#define CSV_LINE_MAX (20 + TOKEN_TEXT_LEN + 2 * TOKEN_SERIAL_MAX + 2 * CELL_URL_MAX + 16)

static int create(struct mint *m, const struct mint_order *order);
static char *order_json(const struct mint_order *order);
static int bind_serials(struct mint *m);
static int take(void *context, struct span bytes, struct errmsg *em);
static void note_batch(struct mint *m);
static int take_line(struct mint *m, const char *line);
static void put_begin(struct mint *m);
static void put_json(struct mint *m, const char *token);
static void put_csv(struct mint *m, const char *token);
static char *put_field(char *at, struct span text);
static struct span next_serial(struct mint *m);
static int check_all(struct mint *m, const struct mint_order *order);

int mint(struct mint *m, const struct mint_order *order)
{
    m->serials = order->serials;
    int rv = create(m, order);
    if (rv == 0 && m->serials)
        rv = bind_serials(m);
    if (rv == 0)
        rv = check_all(m, order);
    if (rv == 0 && m->out && m->format == MINT_JSON)
        fputs("]}\n", m->out);
    return rv;
}

static int create(struct mint *m, const struct mint_order *order)
{
    char *body = order_json(order);
    if (!body)
        return errmsg_set(m->em, ERR_NO_MEMORY, "not enough memory to ask for tokens");
    struct client_request rq = {.method = "POST",
                                .route = "/v1/tokens",
                                .type = "application/json",
                                .body = span_text(body)};
    int rv = client_send(m->client, &rq, take, m, m->em);
    free(body);
    if (rv >= 0)
        note_batch(m); /* no token comes with a bound one */
    return rv < 0 ? rv : 0;
}

static char *order_json(const struct mint_order *order)
{
    json_t *json =
        json_pack("{sI sI sI ss sb sb}", "count", (json_int_t)order->count, "ttl_s",
                  (json_int_t)order->ttl_s, "uses", (json_int_t)order->uses, "labels",
                  order->labels, "bound", order->serials != NULL, "approve", (int)order->approve);
    char *body = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    return body;
}

static int bind_serials(struct mint *m)
{
    int rv = 0;
    struct span lines;
    for (size_t at = 0;
         rv >= 0 && (lines = serials_next(m->serials, &at, SERIALS_PER_REQUEST)).len;) {
        char route[CLIENT_ROUTE_MAX];
        snprintf(route, sizeof route, "/v1/tokens/%s/serials?first=%" PRIu64, m->batch, m->made);
        struct client_request rq = {
            .method = "POST", .route = route, .type = "text/plain", .body = lines};
        rv = client_send(m->client, &rq, take, m, m->em);
    }
    return rv < 0 ? errmsg_wrap(m->em, rv, "revoke batch %s and try again", m->batch) : 0;
}

/* Cuts what comes into lines of one known length. */
static int take(void *context, struct span bytes, struct errmsg *em)
{
    struct mint *m = context;
    const char *at = (const char *)bytes.data, *end = at + bytes.len;
    int rv = 0;
    (void)em; /* the same as ours */
    note_batch(m);
    while (rv == 0 && at < end) {
        size_t left = (size_t)(end - at);
        if (m->held_len == 0 && left >= sizeof m->held) {
            rv = take_line(m, at);
            at += sizeof m->held;
            continue;
        }
        size_t some = sizeof m->held - m->held_len < left ? sizeof m->held - m->held_len : left;
        memcpy(m->held + m->held_len, at, some);
        m->held_len += some;
        at += some;
        if (m->held_len == sizeof m->held) {
            m->held_len = 0;
            rv = take_line(m, m->held);
        }
    }
    return rv;
}

/* From the headers of the first answer. */
static void note_batch(struct mint *m)
{
    if (m->batch[0])
        return;
    const char *batch = client_header(m->client, "Dunlin-Batch");
    const char *host = client_header(m->client, "Dunlin-Join");
    bool number = batch && *batch && strspn(batch, "0123456789") == strlen(batch);
    if (host && strncmp(host, SCHEME, strlen(SCHEME)) == 0)
        host += strlen(SCHEME);
    snprintf(m->batch, sizeof m->batch, "%s", number ? batch : "0");
    snprintf(m->invitation.host, sizeof m->invitation.host, "%s", host ? host : "");
    put_begin(m);
}

static int take_line(struct mint *m, const char *line)
{
    static const char prefix[] = "dlt1-";
    if (line[TOKEN_TEXT_LEN] != '\n' || memcmp(line, prefix, sizeof prefix - 1) != 0)
        return errmsg_set(m->em, ERR_FORMAT, "the manager's answer holds no tokens");
    if (m->made == 0)
        memcpy(m->invitation.token.text, line, TOKEN_TEXT_LEN);
    if (m->out && m->format == MINT_LINES)
        fwrite(line, 1, TOKEN_TEXT_LEN + 1, m->out);
    else if (m->out && m->format == MINT_CSV)
        put_csv(m, line);
    else if (m->out)
        put_json(m, line);
    m->made++;
    if (!m->out || !ferror(m->out))
        return 0;
    return errmsg_set(m->em, ERR_IO, "the tokens can't be written; revoke batch %s and try again",
                      m->batch);
}

static void put_begin(struct mint *m)
{
    if (m->out && m->format == MINT_CSV)
        fputs("number,token,serial,host\n", m->out);
    if (!m->out || m->format != MINT_JSON)
        return;
    json_t *host = json_string(m->invitation.host);
    char *quoted = json_dumps(host, JSON_ENCODE_ANY);
    fprintf(m->out, "{\"batch\":%s,\"host\":%s,\"tokens\":[", m->batch, quoted ? quoted : "null");
    free(quoted);
    json_decref(host);
}

/* A token has only letters, digits, '-' and '_'. */
static void put_json(struct mint *m, const char *token)
{
    fprintf(m->out, "%s\"%.*s\"", m->made > 0 ? "," : "", TOKEN_TEXT_LEN, token);
}

static void put_csv(struct mint *m, const char *token)
{
    char line[CSV_LINE_MAX];
    int len = snprintf(line, sizeof line, "%" PRIu64 ",", m->made + 1);
    char *at = line + len;
    memcpy(at, token, TOKEN_TEXT_LEN);
    at[TOKEN_TEXT_LEN] = ',';
    at = put_field(at + TOKEN_TEXT_LEN + 1, next_serial(m));
    *at++ = ',';
    at = put_field(at, span_text(m->invitation.host));
    *at++ = '\n';
    fwrite(line, 1, (size_t)(at - line), m->out);
}

/* RFC 4180, 2: what has commas or quotation marks stands between quotation marks. */
static char *put_field(char *at, struct span text)
{
    bool quoted =
        text.len > 0 && (memchr(text.data, ',', text.len) || memchr(text.data, '"', text.len));
    if (!quoted && text.len > 0)
        memcpy(at, text.data, text.len);
    if (!quoted)
        return at + text.len;
    *at++ = '"';
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '"')
            *at++ = '"';
        *at++ = (char)text.data[i];
    }
    *at++ = '"';
    return at;
}

static struct span next_serial(struct mint *m)
{
    if (!m->serials)
        return SPAN_NONE;
    struct span line = serials_next(m->serials, &m->serials_at, 1);
    return span_of(line.data, line.len > 0 ? line.len - 1 : 0);
}

static int check_all(struct mint *m, const struct mint_order *order)
{
    if (m->made == order->count && m->held_len == 0)
        return 0;
    return errmsg_set(m->em, ERR_IO,
                      "only %" PRIu64 " of %" PRIu64 " tokens came; revoke batch %s and try again",
                      m->made, order->count, m->batch);
}
