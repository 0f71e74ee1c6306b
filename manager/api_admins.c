#include "crypto/random.h"
#include "manager/admins.h"
#include "manager/api_json.h"
#include "manager/api_routes.h"

#include <stdio.h>

#define TTL_S_DEFAULT (90 * 86400)
/* Ten years: more is a mistake. */
#define TTL_S_MAX (3650u * 86400)

static request_finish finish_create;
static request_item next_admin;
static bool read_row(struct request *r, struct admin_row *row);
static const char *admin_state(const struct admin_row *row, uint64_t now_s);

void api_admins_create(struct request *r)
{
    struct admin_row row = {.created_s = daemon_now_s(r->daemon)};
    if (!read_row(r, &row))
        return;
    if (!daemon_api_url(r->daemon)) {
        request_reply_error(r, MHD_HTTP_CONFLICT,
                            "the manager can't be reached from afar: run it with --api HOST:PORT");
        return;
    }
    random_bytes(r->secret.bytes, sizeof r->secret.bytes);
    row.digest = admin_digest(&r->secret);
    daemon_admin_create(r->daemon, request_actor(r), &row, request_wait(r, finish_create), r);
}

void api_admins_list(struct request *r)
{
    request_stream_list(r, "admins", next_admin);
}

void api_admins_revoke(struct request *r)
{
    daemon_admin_revoke(r->daemon, request_actor(r), r->name, request_wait(r, request_finish_empty),
                        r);
}

static bool read_row(struct request *r, struct admin_row *row)
{
    const char *name = "", *role = "";
    uint64_t ttl_s = TTL_S_DEFAULT;
    const struct field fields[] = {
        {.name = "name", .type = FIELD_TEXT, .required = true, .out.text = &name},
        {.name = "role", .type = FIELD_TEXT, .required = true, .out.text = &role},
        {.name = "ttl_s", .type = FIELD_NUMBER, .max = TTL_S_MAX, .out.number = &ttl_s},
    };
    if (!request_fields(r, fields, 3))
        return false;
    if (role_parse(role, &row->role) < 0) {
        request_reply_error(r, MHD_HTTP_BAD_REQUEST,
                            "the field 'role' must be viewer, operator or admin");
        return false;
    }
    /* A longer one is no name, and neither is none. */
    if (snprintf(row->name, sizeof row->name, "%s", name) > NAME_MAX_LEN)
        row->name[0] = '\0';
    row->expires_s = row->created_s + ttl_s;
    return true;
}

/* All that a client needs. The token is nowhere else, and never shown again. */
static void finish_create(struct request *r, const struct manager_out *out)
{
    const struct admin_row *row = admins_row(daemon_admins(r->daemon), out->index);
    struct admin_token token = admin_token_format(&r->secret);
    char ca[CERTIFICATE_PEM_MAX];
    if (daemon_authority_pem(r->daemon, ca) < 0) {
        request_reply_error(r, MHD_HTTP_INTERNAL_SERVER_ERROR,
                            "the authority's certificate can't be made: revoke %s, and try again",
                            row->name);
        return;
    }
    request_reply(r, MHD_HTTP_OK,
                  json_pack("{s:s, s:s, s:o, s:s, s:s, s:s}", "name", row->name, "role",
                            role_name(row->role), "expires", api_json_time(row->expires_s), "url",
                            daemon_api_url(r->daemon), "token", token.text, "ca", ca));
    explicit_bzero(&r->secret, sizeof r->secret);
    explicit_bzero(&token, sizeof token);
}

static json_t *next_admin(struct request *r)
{
    const struct admins *admins = daemon_admins(r->daemon);
    if (r->at >= admins_count(admins))
        return NULL;
    const struct admin_row *row = admins_row(admins, r->at++);
    return json_pack("{s:s, s:s, s:s, s:o, s:o}", "name", row->name, "role", role_name(row->role),
                     "state", admin_state(row, daemon_now_s(r->daemon)), "created",
                     api_json_time(row->created_s), "expires", api_json_time(row->expires_s));
}

static const char *admin_state(const struct admin_row *row, uint64_t now_s)
{
    if (row->revoked)
        return "revoked";
    return now_s >= row->expires_s ? "expired" : "active";
}
