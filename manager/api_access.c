#include "manager/api_access.h"

#include "base/clock.h"
#include "manager/admins.h"
#include "manager/api_listen.h"
#include "manager/sources.h"

#include <netdb.h>
#include <stdlib.h>

/* One connection. */
struct api_guest {
    bool present;
    bool known; /* it had a good token */
    int fd;
    uint64_t since_ms;
};

struct api_access {
    struct daemon *daemon;
    struct api_guest guests[API_CONNECTIONS_MAX];
    struct sources connects, failures;
    struct bucket all_connects, all_failures; /* of all addresses together */
};

static const struct source_limits connects_limits = {
    .connects = {.per_minute = 60 * API_CONNECTS_S, .burst = API_CONNECTS_BURST}, .at_a_time = 1};
static const struct source_limits failures_limits = {
    .connects = {.per_minute = 60 * API_FAILURES_S, .burst = API_FAILURES_BURST}, .at_a_time = 1};
static const struct bucket_limits all_connects_limits = {.per_minute = 60 * API_CONNECTS_ALL_S,
                                                         .burst = API_CONNECTS_ALL_BURST};
static const struct bucket_limits all_failures_limits = {.per_minute = 60 * API_FAILURES_ALL_S,
                                                         .burst = API_FAILURES_ALL_BURST};

static int look(struct api_access *a, struct request *r, const struct sockaddr *from,
                struct errmsg *em);
static int find(struct api_access *a, struct request *r, struct errmsg *em);
static void let_stay(struct request *r);
static void refuse(struct request *r, const struct sockaddr *from, int rv, const struct errmsg *em);

struct api_access *api_access_new(struct daemon *d)
{
    struct api_access *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->daemon = d;
    sources_init(&a->connects, &connects_limits);
    sources_init(&a->failures, &failures_limits);
    return a;
}

void api_access_free(struct api_access *a)
{
    free(a);
}

/* How many are open at a time is MHD's to count. */
bool api_access_admit(struct api_access *a, const struct sockaddr *from)
{
    uint64_t now_ms = clock_monotonic_ms();
    int place = sources_admit(&a->connects, from, now_ms);
    if (place < 0)
        return false;
    sources_leave(&a->connects, place);
    bool may = bucket_fill(&a->all_connects, &all_connects_limits, now_ms);
    if (may)
        bucket_take(&a->all_connects);
    return may;
}

bool api_access_identify(struct api_access *a, struct request *r)
{
    const struct sockaddr *from =
        MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr;
    struct errmsg em = {.text = ""};
    int rv = look(a, r, from, &em);
    if (rv < 0)
        refuse(r, from, rv, &em);
    else
        let_stay(r);
    return rv == 0;
}

/* Each request is taken for a wrong one until it is known to be none. */
static int look(struct api_access *a, struct request *r, const struct sockaddr *from,
                struct errmsg *em)
{
    uint64_t now_ms = clock_monotonic_ms();
    int place = sources_admit(&a->failures, from, now_ms);
    bool all_may = bucket_fill(&a->all_failures, &all_failures_limits, now_ms);
    if (place < 0 || (!sources_was_full(&a->failures, place) && !all_may)) {
        if (place >= 0)
            sources_leave(&a->failures, place);
        return errmsg_set(em, ERR_BUSY, "too many wrong tokens came from your address: wait a bit");
    }
    int rv = find(a, r, em);
    if (rv == 0)
        sources_forgive(&a->failures, place);
    else
        bucket_take(&a->all_failures);
    sources_leave(&a->failures, place);
    return rv;
}

static int find(struct api_access *a, struct request *r, struct errmsg *em)
{
    const char *header =
        MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION);
    const struct admin_row *row = NULL;
    struct admin_secret secret;
    if (!header || admin_authorization_read(header, &secret) < 0)
        return errmsg_set(em, ERR_FORMAT,
                          "this needs the token of an admin, as `dunlin admin create` makes one: "
                          "Authorization: Bearer TOKEN");
    int rv = admins_find(daemon_admins(a->daemon), &secret, daemon_now_s(a->daemon), &row, em);
    explicit_bzero(&secret, sizeof secret);
    if (row) {
        audit_text(r->actor, sizeof r->actor, "admin:%s", row->name);
        r->role = rv == 0 ? row->role : ROLE_NONE;
    }
    return rv;
}

/* Written down by address, and by whose token it was, when that is known. */
static void refuse(struct request *r, const struct sockaddr *from, int rv, const struct errmsg *em)
{
    struct audit_entry e = {.action = "refused-token"};
    char host[64] = "?";
    socklen_t len =
        from->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    getnameinfo(from, len, host, sizeof host, NULL, 0, NI_NUMERICHOST);
    audit_text(e.actor, sizeof e.actor, "address:%s", host);
    audit_text(e.object, sizeof e.object, "%s", r->actor[0] ? r->actor : "unknown");
    audit_text(e.detail, sizeof e.detail, "%s", err_name(rv));
    daemon_audit_refusal(r->daemon, &e);
    if (rv == ERR_BUSY) {
        request_reply_error(r, MHD_HTTP_TOO_MANY_REQUESTS, "%s", em->text);
        return;
    }
    request_reply_error(r, MHD_HTTP_UNAUTHORIZED, "%s", em->text);
    if (r->response)
        MHD_add_response_header(r->response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
}

static void let_stay(struct request *r)
{
    struct api_guest *guest =
        MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    if (guest)
        guest->known = true;
}

/* ---- connections ---- */

struct api_guest *api_access_enter(struct api_access *a, struct MHD_Connection *connection,
                                   uint64_t now_ms)
{
    int fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    for (size_t i = 0; i < API_CONNECTIONS_MAX; i++)
        if (!a->guests[i].present) {
            a->guests[i] = (struct api_guest){.present = true, .fd = fd, .since_ms = now_ms};
            return &a->guests[i];
        }
    return NULL;
}

void api_access_leave(struct api_guest *guest)
{
    if (guest)
        guest->present = false;
}

/* MHD counts silence only, which a byte now and then breaks. It sees the end, and closes. */
void api_access_hurry(struct api_access *a, uint64_t now_ms)
{
    for (size_t i = 0; i < API_CONNECTIONS_MAX; i++) {
        struct api_guest *guest = &a->guests[i];
        if (guest->present && !guest->known && now_ms >= guest->since_ms + API_STRANGER_MS_MAX)
            shutdown(guest->fd, SHUT_RDWR);
    }
}
