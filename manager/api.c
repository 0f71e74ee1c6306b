#include "manager/api.h"

#include "base/clock.h"
#include "base/file.h"
#include "manager/address.h"
#include "manager/api_access.h"
#include "manager/api_listen.h"
#include "manager/api_routes.h"
#include "manager/api_tls.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const struct route routes[] = {
    {"GET", "/v1/status", ROLE_VIEWER, 0, api_status_show},
    {"GET", "/v1/agents", ROLE_VIEWER, 0, api_agents_list},
    {"GET", "/v1/agents/*", ROLE_VIEWER, 0, api_agents_show},
    {"GET", "/v1/agents/*/why/*", ROLE_VIEWER, 0, api_agents_why},
    {"PATCH", "/v1/agents/*", ROLE_OPERATOR, API_JSON_MAX, api_agents_label},
    {"POST", "/v1/agents/label", ROLE_OPERATOR, API_JSON_MAX, api_labels_set},
    {"POST", "/v1/agents/taint", ROLE_OPERATOR, API_JSON_MAX, api_taints_set},
    {"DELETE", "/v1/agents/*", ROLE_ADMIN, 0, api_agents_remove},
    {"POST", "/v1/agents/*/approve", ROLE_OPERATOR, API_JSON_MAX, api_agents_approve},
    {"POST", "/v1/agents/*/revoke", ROLE_OPERATOR, API_JSON_MAX, api_agents_revoke},
    {"POST", "/v1/agents/*/release", ROLE_OPERATOR, API_JSON_MAX, api_agents_release},
    {"POST", "/v1/agents/*/replace", ROLE_ADMIN, API_JSON_MAX, api_agents_replace},
    {"POST", "/v1/agents/*/cordon", ROLE_OPERATOR, API_JSON_MAX, api_agents_cordon},
    {"POST", "/v1/agents/*/uncordon", ROLE_OPERATOR, API_JSON_MAX, api_agents_uncordon},
    {"POST", "/v1/agents/*/taint", ROLE_OPERATOR, API_JSON_MAX, api_agents_taint},
    {"POST", "/v1/groups", ROLE_OPERATOR, API_JSON_MAX, api_groups_set},
    {"GET", "/v1/groups", ROLE_VIEWER, 0, api_groups_list},
    {"GET", "/v1/groups/*", ROLE_VIEWER, 0, api_groups_show},
    {"DELETE", "/v1/groups/*", ROLE_OPERATOR, 0, api_groups_remove},
    {"POST", "/v1/budgets", ROLE_OPERATOR, API_JSON_MAX, api_budgets_set},
    {"GET", "/v1/budgets", ROLE_VIEWER, 0, api_budgets_list},
    {"GET", "/v1/budgets/*", ROLE_VIEWER, 0, api_budgets_show},
    {"DELETE", "/v1/budgets/*", ROLE_OPERATOR, 0, api_budgets_remove},
    {"POST", "/v1/tokens", ROLE_ADMIN, API_JSON_MAX, api_tokens_create},
    {"GET", "/v1/tokens", ROLE_VIEWER, 0, api_tokens_list},
    {"DELETE", "/v1/tokens/*", ROLE_ADMIN, 0, api_tokens_revoke},
    {"POST", "/v1/tokens/*/serials", ROLE_ADMIN, API_SERIALS_MAX, api_tokens_bind},
    {"GET", "/v1/trust", ROLE_VIEWER, 0, api_trust_show},
    {"POST", "/v1/trust/online", ROLE_ADMIN, API_JSON_MAX, api_trust_online},
    {"POST", "/v1/trust/authority", ROLE_ADMIN, API_JSON_MAX, api_trust_authority},
    {"POST", "/v1/trust", ROLE_ADMIN, TRUST_MAX + ENVELOPE_OVERHEAD_MAX, api_trust_set},
    {"POST", "/v1/chunks/missing", ROLE_OPERATOR, API_MISSING_MAX, api_chunks_missing},
    {"PUT", "/v1/chunks/*", ROLE_OPERATOR, CHUNK_FRAME_MAX, api_chunks_put},
    {"GET", "/v1/chunks/*", ROLE_VIEWER, 0, api_chunks_get},
    {"POST", "/v1/bundles", ROLE_OPERATOR, MANIFEST_MAX, api_bundles_add},
    {"GET", "/v1/bundles", ROLE_VIEWER, 0, api_bundles_list},
    {"GET", "/v1/bundles/*", ROLE_VIEWER, 0, api_bundles_show},
    {"DELETE", "/v1/bundles/*", ROLE_OPERATOR, 0, api_bundles_remove},
    {"POST", "/v1/variables", ROLE_OPERATOR, API_JSON_MAX, api_variables_set},
    {"POST", "/v1/variables/unset", ROLE_OPERATOR, API_JSON_MAX, api_variables_unset},
    {"GET", "/v1/variables", ROLE_VIEWER, 0, api_variables_list},
    {"POST", "/v1/deployments", ROLE_OPERATOR, API_JSON_MAX, api_deployments_create},
    {"GET", "/v1/deployments", ROLE_VIEWER, 0, api_deployments_list},
    {"GET", "/v1/deployments/*", ROLE_VIEWER, 0, api_deployments_show},
    {"DELETE", "/v1/deployments/*", ROLE_OPERATOR, 0, api_deployments_remove},
    {"POST", "/v1/deployments/*/pause", ROLE_OPERATOR, API_JSON_MAX, api_deployments_pause},
    {"POST", "/v1/deployments/*/resume", ROLE_OPERATOR, API_JSON_MAX, api_deployments_resume},
    {"POST", "/v1/deployments/*/rollback", ROLE_OPERATOR, API_JSON_MAX, api_deployments_rollback},
    {"GET", "/v1/rollouts/*", ROLE_VIEWER, 0, api_rollouts_show},
    {"POST", "/v1/rollouts/*/approve", ROLE_OPERATOR, API_JSON_MAX, api_rollouts_approve},
    {"POST", "/v1/rollouts/*/abort", ROLE_OPERATOR, API_JSON_MAX, api_rollouts_abort},
    {"POST", "/v1/rollouts/*/retry", ROLE_OPERATOR, API_JSON_MAX, api_rollouts_retry},
    {"POST", "/v1/rollouts/*/set", ROLE_OPERATOR, API_JSON_MAX, api_rollouts_set},
    {"POST", "/v1/rollouts/*/pause", ROLE_OPERATOR, API_JSON_MAX, api_rollouts_pause},
    {"POST", "/v1/rollouts/*/resume", ROLE_OPERATOR, API_JSON_MAX, api_rollouts_resume},
    {"POST", "/v1/rollouts/*/rollback", ROLE_OPERATOR, API_JSON_MAX, api_rollouts_rollback},
    {"GET", "/v1/audit", ROLE_VIEWER, 0, api_audit_list},
    {"POST", "/v1/admins", ROLE_ADMIN, API_JSON_MAX, api_admins_create},
    {"GET", "/v1/admins", ROLE_ADMIN, 0, api_admins_list},
    {"DELETE", "/v1/admins/*", ROLE_ADMIN, 0, api_admins_revoke},
    {"GET", "/metrics", ROLE_VIEWER, 0, api_metrics_show},
};

const struct route *api_routes(size_t *count)
{
    *count = sizeof routes / sizeof routes[0];
    return routes;
}

/* Names of a certificate: what operators are told, what we listen on, and what a program on this
 * machine says. */
#define HOSTS_MAX 5

/* One of the two places where requests come from. */
struct listener {
    struct api *api;
    struct MHD_Daemon *http; /* NULL: there is none */
    bool remote;
};

struct api {
    struct daemon *daemon;
    struct listener local, remote;
    struct api_tools tools;
    struct request *waiting; /* their connections are suspended */
    char socket_path[FILE_PATH_MAX];

    struct api_access *access;
    struct api_tls *tls;
    struct site site;
    const char *hosts[HOSTS_MAX];
    char url[DAEMON_HOST_MAX + 24];
};

static int start(struct api *a, const struct api_options *o, struct errmsg *em);
static int start_remote(struct api *a, const struct api_options *o, struct errmsg *em);
static void name_site(struct api *a, const struct api_options *o);
static void stop(struct listener *l);
static enum MHD_Result on_admit(void *context, const struct sockaddr *from, socklen_t len);
static void on_connection(void *context, struct MHD_Connection *connection, void **state,
                          enum MHD_ConnectionNotificationCode what);
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *data_len, void **state);
static void on_completed(void *context, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode how);
static enum MHD_Result begin(const struct listener *l, struct MHD_Connection *connection,
                             const char *url, const char *method, void **state);
static struct request *new_request(struct api *a, struct MHD_Connection *connection,
                                   const char *url, const char *method);
static bool matches(const char *pattern, const char *path, struct request *r);
static void take_body(struct request *r, struct span piece);
static void handle(struct request *r);
static enum MHD_Result send_or_wait(struct api *a, struct request *r);
static enum MHD_Result answer(struct request *r);
static void forget_answered(struct api *a);
static void free_request(struct request *r);

struct api *api_new(struct daemon *d, const struct api_options *options, struct errmsg *em)
{
    struct api *a = calloc(1, sizeof *a);
    if (!a) {
        errmsg_set(em, ERR_NO_MEMORY, "out of memory");
        return NULL;
    }
    a->daemon = d;
    a->local = (struct listener){.api = a};
    a->remote = (struct listener){.api = a, .remote = true};
    if (start(a, options, em) == 0)
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
    if (a->local.http)
        unlink(a->socket_path);
    stop(&a->local);
    stop(&a->remote);
    api_tls_free(a->tls);
    api_access_free(a->access);
    chunk_opener_free(a->tools.opener);
    free(a);
}

const char *api_url(const struct api *a)
{
    return a->remote.http ? a->url : NULL;
}

void api_watch(const struct api *a, struct pollfd fds[static API_FDS])
{
    const struct listener *const listeners[API_FDS] = {&a->local, &a->remote};
    for (size_t i = 0; i < API_FDS; i++) {
        struct MHD_Daemon *http = listeners[i]->http;
        int fd = http ? MHD_get_daemon_info(http, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd : -1;
        fds[i] = (struct pollfd){.fd = fd, .events = POLLIN};
    }
}

/* MHD 0.9.75 has no descriptor of its own that a resumed connection would make readable. */
int api_timeout_ms(const struct api *a)
{
    int least = -1;
    for (const struct request *r = a->waiting; r; r = r->next_waiting)
        if (!r->waiting)
            return 0;
    for (const struct listener *l = &a->local; l; l = l == &a->local ? &a->remote : NULL) {
        MHD_UNSIGNED_LONG_LONG ms;
        if (!l->http || MHD_get_timeout(l->http, &ms) != MHD_YES)
            continue;
        int this = ms < 60000 ? (int)ms : 60000;
        least = least < 0 || this < least ? this : least;
    }
    return least;
}

void api_service(struct api *a)
{
    forget_answered(a);
    MHD_run(a->local.http);
    if (!a->remote.http)
        return;
    api_tls_renew(a->tls, daemon_now_s(a->daemon));
    api_access_hurry(a->access, clock_monotonic_ms());
    MHD_run(a->remote.http);
}

static int start(struct api *a, const struct api_options *o, struct errmsg *em)
{
    const struct api_hooks hooks = {
        .context = &a->local, .request = on_request, .completed = on_completed};
    int rv = file_path(a->socket_path, em, "%s", o->socket_path);
    if (rv < 0)
        return rv;
    a->tools.opener = chunk_opener_new();
    if (!a->tools.opener)
        return errmsg_set(em, ERR_NO_MEMORY, "out of memory");
    a->local.http = api_listen_local(o->socket_path, &hooks, em);
    if (!a->local.http)
        return ERR_IO;
    return o->host[0] ? start_remote(a, o, em) : 0;
}

static int start_remote(struct api *a, const struct api_options *o, struct errmsg *em)
{
    const struct api_hooks hooks = {.context = &a->remote,
                                    .request = on_request,
                                    .completed = on_completed,
                                    .admit = on_admit,
                                    .notified = on_connection};
    int port = o->port;
    name_site(a, o);
    a->access = api_access_new(a->daemon);
    if (!a->access)
        return errmsg_set(em, ERR_NO_MEMORY, "out of memory");
    a->tls = api_tls_new(o->keys, &a->site, daemon_now_s(a->daemon), em);
    if (!a->tls)
        return ERR_CRYPTO;
    a->remote.http = api_listen_remote(o->host, &port, &hooks, em);
    if (!a->remote.http)
        return ERR_IO;
    address_write("https", a->hosts[0], port, a->url, sizeof a->url);
    return 0;
}

/* The first name is what operators are told. What listens on loopback alone, nobody finds by the
 * name that is for others. */
static void name_site(struct api *a, const struct api_options *o)
{
    bool elsewhere = o->advertise && !address_is_local(o->host);
    const char *const all[HOSTS_MAX] = {elsewhere ? o->advertise : o->host, o->host, o->listen,
                                        "localhost", "127.0.0.1"};
    a->site = (struct site){.name = "Dunlin API",
                            .hosts = a->hosts,
                            .host_count = address_names(all, HOSTS_MAX, a->hosts)};
}

static void stop(struct listener *l)
{
    if (l->http)
        MHD_stop_daemon(l->http);
    l->http = NULL;
}

static enum MHD_Result on_admit(void *context, const struct sockaddr *from, socklen_t len)
{
    (void)len;
    const struct listener *l = context;
    return api_access_admit(l->api->access, from) ? MHD_YES : MHD_NO;
}

static void on_connection(void *context, struct MHD_Connection *connection, void **state,
                          enum MHD_ConnectionNotificationCode what)
{
    const struct listener *l = context;
    if (what == MHD_CONNECTION_NOTIFY_STARTED)
        *state = api_access_enter(l->api->access, connection, clock_monotonic_ms());
    else
        api_access_leave(*state);
}

/* Called by MHD once when the header is there, then for each piece of the body, then at its end,
 * and again after being resumed. */
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *data_len, void **state)
{
    (void)version;
    const struct listener *l = context;
    struct request *r = *state;
    if (!r)
        return begin(l, connection, url, method, state);
    if (*data_len > 0) {
        take_body(r, span_of(data, *data_len));
        *data_len = 0;
        return MHD_YES;
    }
    if (!r->handled)
        handle(r);
    return send_or_wait(l->api, r);
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

/* The socket is its owner's. Of a stranger no body is read. */
static enum MHD_Result begin(const struct listener *l, struct MHD_Connection *connection,
                             const char *url, const char *method, void **state)
{
    struct request *r = new_request(l->api, connection, url, method);
    *state = r;
    if (!r)
        return MHD_NO;
    if (!l->remote)
        r->role = ROLE_ADMIN;
    else if (!api_access_identify(l->api->access, r))
        return answer(r);
    return MHD_YES;
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
    for (size_t i = 0; i < sizeof routes / sizeof routes[0] && !r->route; i++) {
        if (!matches(routes[i].path, url, r))
            continue;
        r->known_path = true;
        if (strcmp(routes[i].method, method) == 0)
            r->route = &routes[i];
    }
    return r;
}

/* The parts of the path that stand for the pattern's "*" go to `name` and `object`. */
static bool matches(const char *pattern, const char *path, struct request *r)
{
    char *names[] = {r->name, r->object};
    for (size_t i = 0; *pattern; i++) {
        size_t before = strcspn(pattern, "*");
        if (strncmp(pattern, path, before) != 0)
            return false;
        pattern += before;
        path += before;
        if (!*pattern)
            break;
        size_t len = strcspn(path, "/");
        assert(i < sizeof names / sizeof names[0]);
        if (len == 0 || len > API_NAME_MAX)
            return false;
        memcpy(names[i], path, len);
        names[i][len] = '\0';
        pattern++;
        path += len;
    }
    return !*path;
}

/* A body that is too large, or that its sender may not send, is read to its end and dropped, so
 * that the client hears why. */
static void take_body(struct request *r, struct span piece)
{
    bool may = r->route && r->role >= r->route->role;
    size_t max = may ? r->route->body_max : 0;
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
    else if (!request_may(r, r->route->role))
        return;
    else if (r->body_too_large)
        request_reply_error(r, MHD_HTTP_CONTENT_TOO_LARGE,
                            "the body is too large: %s %s takes at most %zu bytes",
                            r->route->method, r->route->path, r->route->body_max);
    else
        r->route->handle(r);
}

static enum MHD_Result send_or_wait(struct api *a, struct request *r)
{
    if (r->response)
        return answer(r);
    if (!r->waiting)
        return MHD_NO;
    MHD_suspend_connection(r->connection);
    r->next_waiting = a->waiting;
    a->waiting = r;
    return MHD_YES;
}

static enum MHD_Result answer(struct request *r)
{
    if (!r->response)
        return MHD_NO;
    enum MHD_Result sent = MHD_queue_response(r->connection, r->status, r->response);
    MHD_destroy_response(r->response);
    r->response = NULL;
    return sent;
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
