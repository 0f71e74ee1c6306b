#include "manager/api_request.h"

#include "manager/api_json.h"

#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

/* MHD asks for at most this much of a long answer at a time. */
#define STREAM_BLOCK 131072

static void name_local_user(struct request *r);
static bool parse_body(struct request *r);
static bool known_fields_only(struct request *r, const struct field *fields, size_t count);
static bool read_field(struct request *r, const struct field *f, const json_t *value);
static void respond(struct request *r, unsigned status, const char *content_type,
                    struct MHD_Response *response);
static void stream(struct request *r, uint64_t size, const char *content_type);
static ssize_t fill(void *context, uint64_t pos, char *out, size_t max);
static bool next_piece(struct request *r);
static char *next_list_piece(struct request *r);
static daemon_reply finish_command;
static unsigned status_of(int rv);

bool request_fields(struct request *r, const struct field *fields, size_t count)
{
    if (!parse_body(r) || !known_fields_only(r, fields, count))
        return false;
    for (size_t i = 0; i < count; i++) {
        const json_t *value = json_object_get(r->json, fields[i].name);
        if (value && !json_is_null(value)) {
            if (!read_field(r, &fields[i], value))
                return false;
        } else if (fields[i].required) {
            request_reply_error(r, MHD_HTTP_BAD_REQUEST, "the field '%s' is missing",
                                fields[i].name);
            return false;
        }
    }
    return true;
}

const char *request_argument(const struct request *r, const char *name)
{
    return MHD_lookup_connection_value(r->connection, MHD_GET_ARGUMENT_KIND, name);
}

void request_reply(struct request *r, unsigned status, json_t *json)
{
    static char none[] = "out of memory\n";
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    struct MHD_Response *response =
        text ? MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE) : NULL;
    if (response)
        respond(r, status, "application/json", response);
    else
        respond(r, MHD_HTTP_INTERNAL_SERVER_ERROR, "text/plain",
                MHD_create_response_from_buffer(strlen(none), none, MHD_RESPMEM_PERSISTENT));
}

void request_reply_bytes(struct request *r, struct span bytes)
{
    respond(r, MHD_HTTP_OK, "application/octet-stream",
            MHD_create_response_from_buffer(bytes.len, (void *)bytes.data, MHD_RESPMEM_MUST_COPY));
}

void request_reply_text(struct request *r, const char *content_type, const char *text)
{
    respond(r, MHD_HTTP_OK, content_type,
            MHD_create_response_from_buffer(strlen(text), (void *)text, MHD_RESPMEM_MUST_COPY));
}

void request_reply_lines(struct request *r, char *text)
{
    if (text)
        respond(r, MHD_HTTP_OK, "text/plain",
                MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE));
    else if (!r->response)
        request_reply(r, MHD_HTTP_INTERNAL_SERVER_ERROR, NULL);
}

void request_reply_error(struct request *r, unsigned status, const char *fmt, ...)
{
    char text[ERRMSG_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    request_reply(r, status, json_pack("{s:o}", "error", api_json_text(text)));
}

void request_reply_failure(struct request *r, int rv, const struct errmsg *em)
{
    request_reply_error(r, status_of(rv), "%s", em->text[0] ? em->text : err_name(rv));
}

void request_stream_list(struct request *r, const char *list, request_item *item)
{
    r->list = list;
    r->item = item;
    r->piece = next_list_piece;
    stream(r, MHD_SIZE_UNKNOWN, "application/json");
}

void request_stream_text(struct request *r, uint64_t size, request_piece *piece)
{
    r->piece = piece;
    stream(r, size, "text/plain");
}

void request_stream_lines(struct request *r, request_piece *piece)
{
    r->piece = piece;
    stream(r, MHD_SIZE_UNKNOWN, "application/x-ndjson");
}

void request_command(struct request *r, const struct command *command, request_finish *finish)
{
    daemon_command(r->daemon, request_actor(r), command, request_wait(r, finish), r);
}

daemon_reply *request_wait(struct request *r, request_finish *finish)
{
    r->finish = finish;
    r->waiting = true;
    return finish_command;
}

/* Found out when it is needed: the system reads a file for a user's name. */
const char *request_actor(struct request *r)
{
    if (!r->actor[0])
        name_local_user(r);
    return r->actor;
}

bool request_may(struct request *r, enum role needed)
{
    if (r->role >= needed && needed != ROLE_NONE)
        return true;
    struct audit_entry e = {.action = "refused-role"};
    audit_text(e.actor, sizeof e.actor, "%s", request_actor(r));
    audit_text(e.object, sizeof e.object, "%s %s", r->route->method, r->route->path);
    audit_text(e.detail, sizeof e.detail, "role=%s needs=%s", role_name(r->role),
               role_name(needed));
    daemon_audit_refusal(r->daemon, &e);
    request_reply_error(r, MHD_HTTP_FORBIDDEN, "this takes the role %s, and you have the role %s",
                        role_name(needed), role_name(r->role));
    return false;
}

/* Who connected to the socket, by the kernel's word. */
static void name_local_user(struct request *r)
{
    struct ucred peer = {.uid = (uid_t)-1};
    struct passwd user, *found = NULL;
    char texts[1024];
    socklen_t len = sizeof peer;
    int fd = MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len);
    getpwuid_r(peer.uid, &user, texts, sizeof texts, &found);
    audit_text(r->actor, sizeof r->actor, "local:%s(%d)", found ? user.pw_name : "?",
               (int)peer.uid);
}

void request_finish_empty(struct request *r, const struct manager_out *out)
{
    (void)out;
    request_reply(r, MHD_HTTP_OK, json_object());
}

/* An empty body is an object without fields. */
static bool parse_body(struct request *r)
{
    json_error_t error = {0};
    r->json = r->body.len == 0 ? json_object()
                               : json_loadb((const char *)r->body.data, r->body.len,
                                            JSON_REJECT_DUPLICATES, &error);
    if (r->json && json_is_object(r->json))
        return true;
    if (r->json)
        request_reply_error(r, MHD_HTTP_BAD_REQUEST, "the body must be a JSON object: {…}");
    else
        request_reply_error(r, MHD_HTTP_BAD_REQUEST, "the body is no JSON: line %d, column %d: %s",
                            error.line, error.column, error.text);
    return false;
}

static bool known_fields_only(struct request *r, const struct field *fields, size_t count)
{
    const char *key;
    json_t *value;
    json_object_foreach(r->json, key, value)
    {
        size_t i = 0;
        while (i < count && strcmp(fields[i].name, key) != 0)
            i++;
        if (i < count)
            continue;
        request_reply_error(r, MHD_HTTP_BAD_REQUEST, "there is no field '%.80s' here", key);
        return false;
    }
    return true;
}

static bool read_field(struct request *r, const struct field *f, const json_t *value)
{
    switch (f->type) {
    case FIELD_TEXT:
        if (!json_is_string(value))
            break;
        *f->out.text = json_string_value(value);
        return true;
    case FIELD_FLAG:
        if (!json_is_boolean(value))
            break;
        *f->out.flag = json_is_true(value);
        return true;
    case FIELD_JSON:
        *f->out.json = value;
        return true;
    case FIELD_NUMBER:
        if (!json_is_integer(value) || json_integer_value(value) < 0 ||
            (uint64_t)json_integer_value(value) > f->max) {
            request_reply_error(r, MHD_HTTP_BAD_REQUEST,
                                "the field '%s' must be a whole number from 0 to %llu", f->name,
                                (unsigned long long)f->max);
            return false;
        }
        *f->out.number = (uint64_t)json_integer_value(value);
        return true;
    }
    request_reply_error(r, MHD_HTTP_BAD_REQUEST, "the field '%s' must be %s", f->name,
                        f->type == FIELD_TEXT ? "a text" : "true or false");
    return false;
}

static void respond(struct request *r, unsigned status, const char *content_type,
                    struct MHD_Response *response)
{
    if (!response)
        return; /* no memory: the connection is closed without an answer */
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
    r->status = status;
    r->response = response;
}

static void stream(struct request *r, uint64_t size, const char *content_type)
{
    respond(r, MHD_HTTP_OK, content_type,
            MHD_create_response_from_callback(size, STREAM_BLOCK, fill, r, NULL));
}

static ssize_t fill(void *context, uint64_t pos, char *out, size_t max)
{
    (void)pos;
    struct request *r = context;
    size_t len = 0;
    while (len < max && next_piece(r)) {
        size_t n = strlen(r->rest + r->rest_at);
        n = n < max - len ? n : max - len;
        memcpy(out + len, r->rest + r->rest_at, n);
        r->rest_at += n;
        len += n;
    }
    return len > 0 ? (ssize_t)len : MHD_CONTENT_READER_END_OF_STREAM;
}

/* Makes sure that the current piece has something left. */
static bool next_piece(struct request *r)
{
    while (!r->rest || !r->rest[r->rest_at]) {
        free(r->rest);
        r->rest_at = 0;
        r->rest = r->piece(r);
        if (!r->rest)
            return false;
    }
    return true;
}

static char *next_list_piece(struct request *r)
{
    if (!r->list)
        return NULL;
    json_t *item = r->item(r);
    char *object = item ? json_dumps(item, JSON_COMPACT) : NULL;
    json_decref(item);
    char open[64] = "";
    if (!r->begun)
        snprintf(open, sizeof open, "{\"%s\":[", r->list);
    char *piece = NULL;
    int len = object ? asprintf(&piece, "%s%s", r->begun ? "," : open, object)
                     : asprintf(&piece, "%s]}", open);
    r->begun = true;
    if (!object)
        r->list = NULL;
    free(object);
    return len < 0 ? NULL : piece;
}

/* In the daemon's loop, after the commit. */
static void finish_command(void *context, const struct manager_out *out, int commit_rv,
                           const struct errmsg *em)
{
    struct request *r = context;
    r->waiting = false;
    if (!r->connection) {
        free(r);
        return;
    }
    if (commit_rv < 0)
        request_reply_failure(r, commit_rv, em);
    else if (out->rv < 0)
        request_reply_failure(r, out->rv, &out->error);
    else
        r->finish(r, out);
    MHD_resume_connection(r->connection);
}

static unsigned status_of(int rv)
{
    switch (rv) {
    case ERR_NOT_FOUND:
        return MHD_HTTP_NOT_FOUND;
    case ERR_EXISTS:
    case ERR_BUSY:
    case ERR_REFUSED:
        return MHD_HTTP_CONFLICT;
    case ERR_FORMAT:
    case ERR_RANGE:
    case ERR_USAGE:
    case ERR_DIGEST:
    case ERR_SIGNATURE:
        return MHD_HTTP_BAD_REQUEST;
    case ERR_UNTRUSTED:
        return MHD_HTTP_FORBIDDEN;
    case ERR_NO_SPACE:
        return MHD_HTTP_INSUFFICIENT_STORAGE;
    default:
        return MHD_HTTP_INTERNAL_SERVER_ERROR;
    }
}
