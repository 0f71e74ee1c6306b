#include "manager/api_json.h"
#include "manager/api_routes.h"

#include <stdio.h>
#include <stdlib.h>

#define TTL_S_DEFAULT 86400
/* Ten years: more is a mistake. */
#define TTL_S_MAX (3650u * 86400)
/* Made at a time: enough that what is done once for each piece costs nothing. */
#define TOKENS_PER_PIECE 512
#define LINE_LEN (TOKEN_TEXT_LEN + 1)
/* Of an index. */
#define NUMBER_DIGITS_MAX 9

static request_finish finish_create;
static request_piece next_tokens;
static request_item next_batch;
static bool find_batch(struct request *r, uint32_t *batch);
static bool read_first(struct request *r, uint32_t *first);
static char *bind_all(struct request *r, uint32_t first, uint32_t count);
static const char *batch_state(const struct batch_row *b, uint64_t now_s);

void api_tokens_create(struct request *r)
{
    uint64_t count = 1, uses = 1, ttl_s = TTL_S_DEFAULT;
    const char *labels = "";
    bool bound = false, approve = false;
    const struct field fields[] = {
        {.name = "count", .type = FIELD_NUMBER, .max = TOKENS_MAX, .out.number = &count},
        {.name = "uses", .type = FIELD_NUMBER, .max = TOKEN_USES_MAX, .out.number = &uses},
        {.name = "ttl_s", .type = FIELD_NUMBER, .max = TTL_S_MAX, .out.number = &ttl_s},
        {.name = "labels", .type = FIELD_TEXT, .out.text = &labels},
        {.name = "bound", .type = FIELD_FLAG, .out.flag = &bound},
        {.name = "approve", .type = FIELD_FLAG, .out.flag = &approve},
    };
    if (!request_fields(r, fields, sizeof fields / sizeof fields[0]))
        return;
    request_command(r,
                    &(struct command){
                        .type = COMMAND_TOKEN_CREATE,
                        .token = {.count = (uint32_t)count,
                                  .uses = (uint32_t)uses,
                                  .expires_s = daemon_now_s(r->daemon) + ttl_s,
                                  .labels = labels,
                                  .bound = bound,
                                  .approve = approve},
                    },
                    finish_create);
}

void api_tokens_list(struct request *r)
{
    request_stream_list(r, "tokens", next_batch);
}

void api_tokens_revoke(struct request *r)
{
    uint32_t batch;
    if (find_batch(r, &batch))
        request_command(r, &(struct command){.type = COMMAND_TOKEN_REVOKE, .batch = batch},
                        request_finish_empty);
}

/* The tokens of a bound batch, from `first` on, for the serial numbers in the body: they follow
 * from those, and nothing of it is kept. */
void api_tokens_bind(struct request *r)
{
    uint32_t batch, first, count = 0;
    if (!find_batch(r, &batch) || !read_first(r, &first))
        return;
    for (size_t i = 0; i < r->body.len; i++)
        count += r->body.data[i] == '\n';
    const struct batch_row *row = manager_batch(daemon_core(r->daemon), batch);
    if (!row->bound)
        request_reply_error(r, MHD_HTTP_CONFLICT, "batch %u isn't bound to serial numbers",
                            batch + 1);
    else if (first >= row->count || count == 0 || count > row->count - first)
        request_reply_error(r, MHD_HTTP_BAD_REQUEST,
                            "batch %u has %u tokens: %u from number %u on are not among them",
                            batch + 1, row->count, count, first + 1);
    else
        request_reply_lines(r, bind_all(r, first, count));
}

/* The batch that the path names. False: answered. */
static bool find_batch(struct request *r, uint32_t *batch)
{
    char *end;
    unsigned long id = strtoul(r->name, &end, 10);
    bool number = !*end && r->name[0] >= '0' && r->name[0] <= '9';
    if (number && id >= 1 && id <= manager_batch_count(daemon_core(r->daemon))) {
        *batch = r->batch = (uint32_t)id - 1;
        return true;
    }
    request_reply_error(r, MHD_HTTP_NOT_FOUND,
                        "there is no token batch %s: see `dunlin token list`", r->name);
    return false;
}

/* The argument behind the path's '?', counted from 0. False: answered. */
static bool read_first(struct request *r, uint32_t *first)
{
    const char *text = request_argument(r, "first");
    size_t len = text ? strlen(text) : 0;
    *first = len > 0 ? (uint32_t)strtoul(text, NULL, 10) : 0;
    if (len == 0 || (len <= NUMBER_DIGITS_MAX && strspn(text, "0123456789") == len))
        return true;
    request_reply_error(r, MHD_HTTP_BAD_REQUEST, "the argument 'first' must be a number");
    return false;
}

/* A text on the heap. NULL: answered, or no memory. */
static char *bind_all(struct request *r, uint32_t first, uint32_t count)
{
    char *lines = malloc((size_t)count * LINE_LEN + 1), *out = lines;
    struct token_batch batch = daemon_batch(r->daemon, r->batch);
    const char *line = (const char *)r->body.data, *end = line + r->body.len;
    bool valid = true;
    for (uint32_t i = 0; lines && valid && i < count; i++) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        struct span serial = span_of(line, (size_t)(stop - line));
        valid = token_serial_valid(serial);
        if (valid)
            token_bound_line(&batch, first + i, serial, out);
        else
            request_reply_error(r, MHD_HTTP_BAD_REQUEST,
                                "line %u holds no serial number: 1 to %d characters of ASCII, "
                                "without spaces at the ends",
                                i + 1, TOKEN_SERIAL_MAX);
        out += LINE_LEN;
        line = stop + 1;
    }
    explicit_bzero(&batch, sizeof batch);
    if (!valid) {
        free(lines);
        return NULL;
    }
    if (lines)
        *out = '\0';
    return lines;
}

/* The tokens themselves are made while they are sent: a million of them never stand in memory.
 * Those of a bound batch are made when it is known for which devices. */
static void finish_create(struct request *r, const struct manager_out *out)
{
    char id[16];
    const struct batch_row *row = manager_batch(daemon_core(r->daemon), out->index);
    snprintf(id, sizeof id, "%u", out->index + 1);
    r->batch = out->index;
    r->end = row->bound ? 0 : row->count;
    request_stream_text(r, (uint64_t)r->end * LINE_LEN, next_tokens);
    if (!r->response)
        return;
    MHD_add_response_header(r->response, "Dunlin-Batch", id);
    MHD_add_response_header(r->response, "Dunlin-Join", daemon_join_url(r->daemon));
}

/* A failed commit may have taken the batch back meanwhile. */
static char *next_tokens(struct request *r)
{
    uint32_t count = r->end - r->at < TOKENS_PER_PIECE ? r->end - r->at : TOKENS_PER_PIECE;
    if (count == 0 || r->batch >= manager_batch_count(daemon_core(r->daemon)))
        return NULL;
    char *lines = malloc((size_t)count * LINE_LEN + 1);
    if (!lines)
        return NULL;
    struct token_batch batch = daemon_batch(r->daemon, r->batch);
    token_lines(&batch, r->at, count, lines);
    explicit_bzero(&batch, sizeof batch);
    lines[(size_t)count * LINE_LEN] = '\0';
    r->at += count;
    return lines;
}

static json_t *next_batch(struct request *r)
{
    const struct manager *m = daemon_core(r->daemon);
    if (r->at >= manager_batch_count(m))
        return NULL;
    const struct batch_row *b = manager_batch(m, r->at++);
    return json_pack("{s:I, s:I, s:I, s:I, s:o, s:s, s:b, s:b, s:o}", "id", (json_int_t)r->at,
                     "count", (json_int_t)b->count, "uses", (json_int_t)b->uses, "redeemed",
                     (json_int_t)b->redeemed, "expires", api_json_time(b->expires_s), "state",
                     batch_state(b, daemon_now_s(r->daemon)), "bound", (int)b->bound, "approve",
                     (int)b->approve, "labels", api_json_labels(&b->labels));
}

static const char *batch_state(const struct batch_row *b, uint64_t now_s)
{
    if (b->revoked)
        return "revoked";
    if (b->redeemed >= (uint64_t)b->count * b->uses)
        return "used up";
    return now_s >= b->expires_s ? "expired" : "active";
}
