/*
 * api_request: one HTTP request: what was asked, checked field by field, and its one answer.
 * It knows nothing of what a request is about; that is in the api_<noun>.c files.
 */
#ifndef DUNLIN_MANAGER_API_REQUEST_H
#define DUNLIN_MANAGER_API_REQUEST_H

#include "bundles/chunk.h"
#include "bundles/manifest.h"
#include "manager/daemon.h"

#include <jansson.h>
#include <microhttpd.h>

/* The longest name in a path; anything longer names nothing. */
#define API_NAME_MAX 255
/* Bodies; a route takes one of these, or none. */
#define API_JSON_MAX 65536
#define API_MISSING_MAX (4096 * DIGEST_LEN)
/* Serial numbers, one a line. */
#define API_SERIALS_MAX (4096 * (TOKEN_SERIAL_MAX + 1))

struct request;

/* Answers the request (request_reply… or request_stream…), or begins to (request_command). */
typedef void request_handler(struct request *r);
/* Answers after the commit of a command that was not refused. */
typedef void request_finish(struct request *r, const struct manager_out *out);
/* The next piece of a long answer, on the heap; NULL at the end. */
typedef char *request_piece(struct request *r);
/* The next object of a long list; NULL at the end. `r->at` counts on as it likes. */
typedef json_t *request_item(struct request *r);

struct route {
    const char *method;
    const char *path; /* up to two parts may be "*": they become `name` and `object` */
    enum role role;   /* that it takes at least */
    size_t body_max;
    request_handler *handle;
};

/* Made once for all requests: none of them works across a return to the loop. */
struct api_tools {
    struct chunk_opener *opener;
    struct manifest manifest;
    uint8_t plain[CHUNK_MAX];
    uint8_t frame[CHUNK_FRAME_MAX];
    uint64_t scratch[MANAGER_SCRATCH_MAX / sizeof(uint64_t)]; /* for questions to the core */
};

/* Many commands of one request: it is answered when the daemon owes no more replies to them. */
struct request_page {
    daemon_reply *done;
    uint32_t owed;
    uint32_t changed;
    struct manager_out out; /* the first refusal */
};

struct request {
    struct daemon *daemon;
    struct api_tools *tools;
    struct MHD_Connection *connection; /* NULL: the API is gone, and nobody waits */
    const struct route *route;         /* NULL: there is none */
    struct buffer body;
    json_t *json;    /* the body's object, which texts among the fields borrow from */
    bool known_path; /* but with another method */
    bool body_too_large;
    bool handled;
    bool waiting; /* the daemon owes a reply */
    bool begun;   /* of a list, something is written */

    unsigned status;
    struct MHD_Response *response; /* waits to be sent */

    request_finish *finish;
    struct request *next_waiting;
    struct key_id agent; /* what a command is about, for its finish */
    struct request_page page;
    struct admin_secret secret;
    enum role role;
    char actor[AUDIT_ACTOR_MAX]; /* "": not found out yet */

    request_piece *piece;
    request_item *item;
    const char *list; /* its name; NULL: its end is written */
    char *rest;       /* of the current piece */
    size_t rest_at;
    bool all; /* what is usually left out, too */
    uint32_t at;
    uint32_t end;
    uint32_t batch;
    uint64_t serial; /* where a long log is read on */
    uint64_t since_s;
    bool ended;

    char name[API_NAME_MAX + 1];
    char object[API_NAME_MAX + 1];
    char selector[SELECTOR_TEXT_MAX + 1];
};

/* ---- reading ---- */

enum field_type { FIELD_TEXT, FIELD_NUMBER, FIELD_FLAG, FIELD_JSON };

/* A field of the body's object. What is absent or null leaves `*out` as it is. */
struct field {
    const char *name;
    enum field_type type;
    bool required;
    uint64_t max; /* of a number */
    union {
        const char **text;
        uint64_t *number;
        bool *flag;
        const json_t **json; /* whatever it is; it lives as long as the request */
    } out;
};

/* Reads the body as an object with these fields and no others. False: answered with 400. */
bool request_fields(struct request *r, const struct field *fields, size_t count);

/* An argument behind the path's '?', or NULL. */
const char *request_argument(const struct request *r, const char *name);

/* ---- answering ---- */

/* Takes `json`; NULL stands for "no memory". */
void request_reply(struct request *r, unsigned status, json_t *json);
void request_reply_bytes(struct request *r, struct span bytes);
void request_reply_text(struct request *r, const char *content_type, const char *text);
/* Lines of text from the heap, taken over; NULL stands for "no memory", unless it is answered. */
void request_reply_lines(struct request *r, char *text);
void request_reply_error(struct request *r, unsigned status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The status that fits the code. */
void request_reply_failure(struct request *r, int rv, const struct errmsg *em);

/* {"LIST": [item, …]}, or pieces of text of `size` bytes in all, made while they are sent. */
void request_stream_list(struct request *r, const char *list, request_item *item);
void request_stream_text(struct request *r, uint64_t size, request_piece *piece);
/* Objects, one a line: for what is too long to be read as one document. */
void request_stream_lines(struct request *r, request_piece *piece);

/* Who asks, for the audit log. */
const char *request_actor(struct request *r);
/* True when who asks has this role, or one that may do more. False: answered with 403. */
bool request_may(struct request *r, enum role needed);

/* Steps the core; after the commit `finish` answers, or the refusal is
 * answered. */
void request_command(struct request *r, const struct command *command, request_finish *finish);
/* For a change that isn't the core's: hand the result to the daemon, with the request as context.
 */
daemon_reply *request_wait(struct request *r, request_finish *finish);
/* The answer of commands that give nothing: {}. */
void request_finish_empty(struct request *r, const struct manager_out *out);

#endif
