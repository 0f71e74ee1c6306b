#include "manager/api.h"

#include "base/file.h"
#include "manager/api_routes.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Operators and their programs on this machine. */
#define CONNECTIONS_MAX 128
/* A silent client gives its place back; one that waits for a commit is not counted as silent. */
#define SILENCE_S_MAX 60
/* Of one connection: its header lines, and pieces of bodies and answers on their way. */
#define CONNECTION_MEMORY 65536

static const struct route routes[] = {
    {"GET", "/v1/status", ROLE_VIEWER, 0, api_status_show},
    {"GET", "/v1/agents", ROLE_VIEWER, 0, api_agents_list},
    {"GET", "/v1/agents/*", ROLE_VIEWER, 0, api_agents_show},
    {"PATCH", "/v1/agents/*", ROLE_OPERATOR, API_JSON_MAX, api_agents_label},
    {"DELETE", "/v1/agents/*", ROLE_ADMIN, 0, api_agents_remove},
    {"POST", "/v1/agents/*/approve", ROLE_OPERATOR, API_JSON_MAX, api_agents_approve},
    {"POST", "/v1/agents/*/revoke", ROLE_OPERATOR, API_JSON_MAX, api_agents_revoke},
    {"POST", "/v1/agents/*/release", ROLE_OPERATOR, API_JSON_MAX, api_agents_release},
    {"POST", "/v1/agents/*/replace", ROLE_ADMIN, API_JSON_MAX, api_agents_replace},
    {"POST", "/v1/tokens", ROLE_ADMIN, API_JSON_MAX, api_tokens_create},
    {"GET", "/v1/tokens", ROLE_VIEWER, 0, api_tokens_list},
    {"DELETE", "/v1/tokens/*", ROLE_ADMIN, 0, api_tokens_revoke},
    {"POST", "/v1/tokens/*/serials", ROLE_ADMIN, API_SERIALS_MAX, api_tokens_bind},
    {"GET", "/v1/trust", ROLE_VIEWER, 0, api_trust_show},
    {"POST", "/v1/trust", ROLE_ADMIN, TRUST_MAX + ENVELOPE_OVERHEAD_MAX, api_trust_set},
    {"POST", "/v1/chunks/missing", ROLE_OPERATOR, API_MISSING_MAX, api_chunks_missing},
    {"PUT", "/v1/chunks/*", ROLE_OPERATOR, CHUNK_FRAME_MAX, api_chunks_put},
    {"GET", "/v1/chunks/*", ROLE_VIEWER, 0, api_chunks_get},
    {"POST", "/v1/bundles", ROLE_OPERATOR, MANIFEST_MAX, api_bundles_add},
    {"GET", "/v1/bundles", ROLE_VIEWER, 0, api_bundles_list},
    {"GET", "/v1/bundles/*", ROLE_VIEWER, 0, api_bundles_show},
    {"DELETE", "/v1/bundles/*", ROLE_OPERATOR, 0, api_bundles_remove},
    {"POST", "/v1/deployments", ROLE_OPERATOR, API_JSON_MAX, api_deployments_create},
    {"GET", "/v1/deployments", ROLE_VIEWER, 0, api_deployments_list},
    {"GET", "/v1/deployments/*", ROLE_VIEWER, 0, api_deployments_show},
    {"DELETE", "/v1/deployments/*", ROLE_OPERATOR, 0, api_deployments_remove},
    {"POST", "/v1/deployments/*/pause", ROLE_OPERATOR, API_JSON_MAX, api_deployments_pause},
    {"POST", "/v1/deployments/*/resume", ROLE_OPERATOR, API_JSON_MAX, api_deployments_resume},
    {"POST", "/v1/deployments/*/rollback", ROLE_OPERATOR, API_JSON_MAX, api_deployments_rollback},
    {"GET", "/v1/rollouts/*", ROLE_VIEWER, 0, api_rollouts_show},
    {"GET", "/v1/audit", ROLE_VIEWER, 0, api_audit_list},
    {"GET", "/metrics", ROLE_VIEWER, 0, api_metrics_show},
};

const struct route *api_routes(size_t *count)
{
    *count = sizeof routes / sizeof routes[0];
    return routes;
}

struct api {
    struct daemon *daemon;
    struct MHD_Daemon *http;
    struct api_tools tools;
    struct request *waiting; /* their connections are suspended */
    struct sockaddr_un address;
};

static int make_tools(struct api *a, struct errmsg *em);
static int start_http(struct api *a, const char *socket_path, struct errmsg *em);
static int listen_on(const struct sockaddr_un *address, struct errmsg *em);
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *data_len, void **state);
static void on_completed(void *context, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode how);
static struct request *new_request(struct api *a, struct MHD_Connection *connection,
                                   const char *url, const char *method);
static bool matches(const char *pattern, const char *path, char name[static API_NAME_MAX + 1]);
static void take_body(struct request *r, struct span piece);
static void handle(struct request *r);
static enum MHD_Result send_or_wait(struct api *a, struct request *r);
static void forget_answered(struct api *a);
static void free_request(struct request *r);

struct api *api_new(struct daemon *d, const char *socket_path, struct errmsg *em)
{
    struct api *a = calloc(1, sizeof *a);
    if (!a) {
        errmsg_set(em, ERR_NO_MEMORY, "out of memory");
        return NULL;
    }
    a->daemon = d;
    if (make_tools(a, em) == 0 && start_http(a, socket_path, em) == 0)
        return a;
    api_free(a);
    return NULL;
}

void api_free(struct api *a)
{
    if (!a)
        return;
    forget_answered(a);
    /* MHD insists that none is suspended when it stops. Their replies, should they still come, find
     * no connection. */
    for (struct request *r = a->waiting; r; r = r->next_waiting)
        MHD_resume_connection(r->connection);
    if (a->http) {
        MHD_stop_daemon(a->http);
        unlink(a->address.sun_path);
    }
    chunk_opener_free(a->tools.opener);
    free(a);
}

int api_descriptor(const struct api *a)
{
    return MHD_get_daemon_info(a->http, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
}

/* MHD 0.9.75 has no descriptor of its own that a resumed connection would make readable. */
int api_timeout_ms(const struct api *a)
{
    for (const struct request *r = a->waiting; r; r = r->next_waiting)
        if (!r->waiting)
            return 0;
    MHD_UNSIGNED_LONG_LONG ms;
    if (MHD_get_timeout(a->http, &ms) != MHD_YES)
        return -1;
    return ms < 60000 ? (int)ms : 60000;
}

void api_service(struct api *a)
{
    forget_answered(a);
    MHD_run(a->http);
}

static int make_tools(struct api *a, struct errmsg *em)
{
    a->tools.opener = chunk_opener_new();
    return a->tools.opener ? 0 : errmsg_set(em, ERR_NO_MEMORY, "out of memory");
}

static int start_http(struct api *a, const char *socket_path, struct errmsg *em)
{
    a->address.sun_family = AF_UNIX;
    size_t len = strlen(socket_path);
    if (len >= sizeof a->address.sun_path)
        return errmsg_set(em, ERR_RANGE,
                          "%s: a socket's path has at most %zu bytes; choose a shorter folder",
                          socket_path, sizeof a->address.sun_path - 1);
    memcpy(a->address.sun_path, socket_path, len);
    int fd = listen_on(&a->address, em);
    if (fd < 0)
        return fd;
    a->http = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request,
                               a, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_NOTIFY_COMPLETED,
                               on_completed, a, MHD_OPTION_CONNECTION_LIMIT,
                               (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
                               (unsigned)SILENCE_S_MAX, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                               (size_t)CONNECTION_MEMORY, MHD_OPTION_END);
    if (a->http)
        return 0;
    close(fd);
    return errmsg_set(em, ERR_IO, "%s: cannot serve HTTP: %s", socket_path, strerror(errno));
}

static int listen_on(const struct sockaddr_un *address, struct errmsg *em)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    unlink(address->sun_path);
    mode_t before = umask(0177);
    bool bound = bind(fd, (const struct sockaddr *)address, sizeof *address) == 0;
    umask(before);
    if (bound && listen(fd, CONNECTIONS_MAX) == 0)
        return fd;
    int rv = errmsg_set(em, file_error(errno), "%s: cannot listen: %s", address->sun_path,
                        strerror(errno));
    if (fd >= 0)
        close(fd);
    return rv;
}

/* Called by MHD once when the header is there, then for each piece of the body, then at its end,
 * and again after being resumed. */
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *data_len, void **state)
{
    (void)version;
    struct api *a = context;
    struct request *r = *state;
    if (!r) {
        *state = new_request(a, connection, url, method);
        return *state ? MHD_YES : MHD_NO;
    }
    if (*data_len > 0) {
        take_body(r, span_of(data, *data_len));
        *data_len = 0;
        return MHD_YES;
    }
    if (!r->handled)
        handle(r);
    return send_or_wait(a, r);
}

static void on_completed(void *context, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode how)
{
    (void)context;
    (void)connection;
    (void)how;
    struct request *r = *state;
    if (!r)
        return;
    r->connection = NULL;
    free_request(r);
    *state = NULL;
}

static struct request *new_request(struct api *a, struct MHD_Connection *connection,
                                   const char *url, const char *method)
{
    struct request *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->daemon = a->daemon;
    r->tools = &a->tools;
    r->connection = connection;
    r->role = ROLE_ADMIN; /* the socket is its owner's */
    for (size_t i = 0; i < sizeof routes / sizeof routes[0] && !r->route; i++) {
        if (!matches(routes[i].path, url, r->name))
            continue;
        r->known_path = true;
        if (strcmp(routes[i].method, method) == 0)
            r->route = &routes[i];
    }
    return r;
}

/* The part of the path that stands for the pattern's "*" goes to `name`. */
static bool matches(const char *pattern, const char *path, char name[static API_NAME_MAX + 1])
{
    size_t before = strcspn(pattern, "*");
    if (strncmp(pattern, path, before) != 0)
        return false;
    if (!pattern[before])
        return !path[before];
    size_t len = strcspn(path + before, "/");
    if (len == 0 || len > API_NAME_MAX || strcmp(pattern + before + 1, path + before + len) != 0)
        return false;
    memcpy(name, path + before, len);
    name[len] = '\0';
    return true;
}

/* A body that is too large is read to its end and dropped, so that the client hears why. */
static void take_body(struct request *r, struct span piece)
{
    size_t max = r->route ? r->route->body_max : 0;
    r->body_too_large |= piece.len > max - r->body.len;
    if (r->body_too_large)
        return;
    if (r->body.len + piece.len > r->body.cap) {
        size_t cap = 2 * (r->body.len + piece.len);
        cap = cap < max ? cap : max;
        assert(cap > 0);
        uint8_t *data = realloc(r->body.data, cap);
        if (!data) {
            r->body_too_large = true;
            return;
        }
        r->body.data = data;
        r->body.cap = cap;
    }
    memcpy(r->body.data + r->body.len, piece.data, piece.len);
    r->body.len += piece.len;
}

static void handle(struct request *r)
{
    r->handled = true;
    if (!r->route && r->known_path)
        request_reply_error(r, MHD_HTTP_METHOD_NOT_ALLOWED,
                            "this path is there, but not with this method");
    else if (!r->route)
        request_reply_error(r, MHD_HTTP_NOT_FOUND, "there is no such path");
    else if (r->body_too_large)
        request_reply_error(r, MHD_HTTP_CONTENT_TOO_LARGE,
                            "the body is too large: %s %s takes at most %zu bytes",
                            r->route->method, r->route->path, r->route->body_max);
    else if (request_may(r, r->route->role))
        r->route->handle(r);
}

static enum MHD_Result send_or_wait(struct api *a, struct request *r)
{
    if (r->response) {
        enum MHD_Result sent = MHD_queue_response(r->connection, r->status, r->response);
        MHD_destroy_response(r->response);
        r->response = NULL;
        return sent;
    }
    if (!r->waiting)
        return MHD_NO;
    MHD_suspend_connection(r->connection);
    r->next_waiting = a->waiting;
    a->waiting = r;
    return MHD_YES;
}

/* An answered request may be freed by the next MHD_run. */
static void forget_answered(struct api *a)
{
    for (struct request **at = &a->waiting; *at;) {
        if ((*at)->waiting)
            at = &(*at)->next_waiting;
        else
            *at = (*at)->next_waiting;
    }
}

/* A request that the daemon still owes a reply to is freed by that reply. */
static void free_request(struct request *r)
{
    free(r->body.data);
    free(r->rest);
    json_decref(r->json);
    if (r->response)
        MHD_destroy_response(r->response);
    r->body.data = NULL;
    r->rest = NULL;
    r->json = NULL;
    r->response = NULL;
    if (!r->waiting)
        free(r);
}
