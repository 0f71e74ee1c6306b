#include "manager/api_json.h"
#include "manager/api_routes.h"

#include <errno.h>
#include <stdlib.h>

static request_piece next_line;
static json_t *next_object(struct request *r);

/* ?since=SECONDS since 1970. A line an entry: the log is as long as the fleet's life. */
void api_audit_list(struct request *r)
{
    const char *since = request_argument(r, "since");
    char *end = NULL;
    errno = 0;
    unsigned long long from_s = since ? strtoull(since, &end, 10) : 0;
    if (since && (*since < '0' || *since > '9' || *end || errno != 0 || from_s > INT64_MAX)) {
        request_reply_error(r, MHD_HTTP_BAD_REQUEST,
                            "the argument 'since' must be a number of seconds since 1970");
        return;
    }
    r->since_s = from_s;
    request_stream_lines(r, next_line);
}

static char *next_line(struct request *r)
{
    json_t *json = next_object(r);
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    char *line = NULL;
    int len = text ? asprintf(&line, "%s\n", text) : -1;
    free(text);
    json_decref(json);
    return len < 0 ? NULL : line;
}

/* The last line says how the list ends: a list without it was cut off. */
static json_t *next_object(struct request *r)
{
    struct audit_entry e;
    struct errmsg em;
    if (r->ended)
        return NULL;
    int rv = ledger_audit_next(daemon_ledger(r->daemon), r->serial, r->since_s, &e, &em);
    r->ended = rv <= 0;
    if (rv < 0)
        return json_pack("{s:o}", "error", api_json_text(em.text));
    if (rv == 0)
        return json_pack("{s:I}", "end", (json_int_t)r->serial);
    r->serial = e.number;
    return api_json_audit(&e, true);
}
