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

static request_finish finish_create;
static request_piece next_tokens;
static request_item next_batch;
static const char *batch_state(const struct batch_row *b, uint64_t now_s);

void api_tokens_create(struct request *r)
{
    uint64_t count = 1, uses = 1, ttl_s = TTL_S_DEFAULT;
    const char *labels = "";
    const struct field fields[] = {
        {.name = "count", .type = FIELD_NUMBER, .max = TOKENS_MAX, .out.number = &count},
        {.name = "uses", .type = FIELD_NUMBER, .max = TOKEN_USES_MAX, .out.number = &uses},
        {.name = "ttl_s", .type = FIELD_NUMBER, .max = TTL_S_MAX, .out.number = &ttl_s},
        {.name = "labels", .type = FIELD_TEXT, .out.text = &labels},
    };
    if (!request_fields(r, fields, 4))
        return;
    request_command(r,
                    &(struct command){
                        .type = COMMAND_TOKEN_CREATE,
                        .token = {.count = (uint32_t)count,
                                  .uses = (uint32_t)uses,
                                  .expires_s = daemon_now_s(r->daemon) + ttl_s,
                                  .labels = labels},
                    },
                    finish_create);
}

void api_tokens_list(struct request *r)
{
    request_stream_list(r, "tokens", next_batch);
}

void api_tokens_revoke(struct request *r)
{
    char *end;
    unsigned long id = strtoul(r->name, &end, 10);
    if (*end || r->name[0] < '0' || r->name[0] > '9' || id == 0 || id > UINT32_MAX) {
        request_reply_error(r, MHD_HTTP_NOT_FOUND,
                            "there is no token batch %s: see `dunlin token list`", r->name);
        return;
    }
    request_command(r, &(struct command){.type = COMMAND_TOKEN_REVOKE, .batch = (uint32_t)id - 1},
                    request_finish_empty);
}

/* The tokens themselves are made while they are sent: a million of them never stand in memory. */
static void finish_create(struct request *r, const struct manager_out *out)
{
    char id[16];
    snprintf(id, sizeof id, "%u", out->index + 1);
    r->batch = out->index;
    r->end = manager_batch(daemon_core(r->daemon), out->index)->count;
    request_stream_text(r, next_tokens);
    if (r->response)
        MHD_add_response_header(r->response, "Dunlin-Batch", id);
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
    return json_pack("{s:I, s:I, s:I, s:I, s:o, s:s, s:o}", "id", (json_int_t)r->at, "count",
                     (json_int_t)b->count, "uses", (json_int_t)b->uses, "redeemed",
                     (json_int_t)b->redeemed, "expires", api_json_time(b->expires_s), "state",
                     batch_state(b, daemon_now_s(r->daemon)), "labels",
                     api_json_labels(&b->labels));
}

static const char *batch_state(const struct batch_row *b, uint64_t now_s)
{
    if (b->revoked)
        return "revoked";
    if (b->redeemed >= (uint64_t)b->count * b->uses)
        return "used up";
    return now_s >= b->expires_s ? "expired" : "active";
}
