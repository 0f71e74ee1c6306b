/*
 * Every route of the API, with what its request names and holds: it is answered once, and not as if
 * something had failed here. The daemon behind it is a core and nothing else; its functions, those
 * of what lies on the disk and MHD's that need a connection are made up below.
 *
 * An input has a line "METHOD PATTERN", one with the name in the path (or two, with a slash
 * between), one with the argument behind the '?' (empty: there is none), and then the body.
 */
#include "manager/admins.h"
#include "manager/api_routes.h"
#include "manager/depot.h"
#include "manager/keyring.h"
#include "test/fuzz/fuzz.h"
#include "test/samples.h"

#include <assert.h>
#include <stdlib.h>

#define NOW_S 1800000000
#define AGENT "0b000000000000000000000000000000"

#define DEPLOYMENTS_MAX 4

static const struct manager_limits small = {
    .agents = 4, .cohorts = 4, .deployments = DEPLOYMENTS_MAX, .bundles = 4, .batches = 4};

/* All that a request can reach. */
struct daemon {
    struct manager *core;
    struct keyring keys;
    struct admins *admins;
    struct manager_out out;
    const char *argument;
    unsigned replies;
    uint64_t scratch[MANAGER_SCRATCH_MAX / sizeof(uint64_t)];
};

static struct daemon the_daemon;
static struct api_tools tools;

/* ---- the daemon ---- */

static void step(struct daemon *d, struct manager_event *ev)
{
    struct arena scratch = arena_on((uint8_t *)d->scratch, sizeof d->scratch);
    ev->now_s = NOW_S;
    manager_step(d->core, ev, &scratch, &d->out);
}

static void reply_now(struct daemon *d, daemon_reply *reply, void *context)
{
    struct errmsg em = {.text = ""};
    d->replies++;
    reply(context, &d->out, 0, &em);
}

void daemon_command(struct daemon *d, const char *actor, const struct command *command,
                    daemon_reply *reply, void *context)
{
    struct audit_entry e = {0};
    step(d, &(struct manager_event){.type = MANAGER_COMMAND, .command = command});
    audit_text(e.actor, sizeof e.actor, "%s", actor);
    if (d->out.rv == 0)
        audit_command(&e, d->core, command, &d->out);
    reply_now(d, reply, context);
}

void daemon_admin_create(struct daemon *d, const char *actor, const struct admin_row *row,
                         daemon_reply *reply, void *context)
{
    (void)actor;
    d->out.rv = admins_create(d->admins, row, &d->out.index, &d->out.error);
    reply_now(d, reply, context);
}

void daemon_admin_revoke(struct daemon *d, const char *actor, const char *name, daemon_reply *reply,
                         void *context)
{
    (void)actor;
    d->out.rv = admins_revoke(d->admins, name, &d->out.index, &d->out.error);
    reply_now(d, reply, context);
}

void daemon_draw_key(struct daemon *d, const char *actor, enum fleet_key which, bool stolen,
                     daemon_reply *reply, void *context)
{
    (void)actor, (void)which, (void)stolen;
    d->out.rv = 1;
    reply_now(d, reply, context);
}

const struct manager *daemon_core(const struct daemon *d)
{
    return d->core;
}

const struct admins *daemon_admins(const struct daemon *d)
{
    return d->admins;
}

const struct keyring *daemon_keys(const struct daemon *d)
{
    return &d->keys;
}

struct token_batch daemon_batch(const struct daemon *d, uint32_t batch)
{
    assert(batch < manager_batch_count(d->core));
    return keyring_batch(&d->keys, batch);
}

struct cell_info daemon_cell_info(const struct daemon *d, size_t i)
{
    (void)d;
    assert(i == 0);
    return (struct cell_info){.url = "mqtts://127.0.0.1:8883", .state = CELL_UP};
}

struct atlas_info daemon_atlas(const struct daemon *d)
{
    (void)d;
    return (struct atlas_info){.number = 1};
}

const struct deployment_counts *daemon_counts(const struct daemon *d)
{
    static struct deployment_counts counts[DEPLOYMENTS_MAX];
    manager_count_deployments(d->core, counts);
    return counts;
}

#define DAEMON_SAYS(type, name, value)                                                             \
    type name(const struct daemon *d)                                                              \
    {                                                                                              \
        (void)d;                                                                                   \
        return value;                                                                              \
    }

DAEMON_SAYS(struct ledger *, daemon_ledger, NULL)
DAEMON_SAYS(struct depot *, daemon_depot, NULL)
DAEMON_SAYS(uint64_t, daemon_now_s, NOW_S)
DAEMON_SAYS(uint32_t, daemon_epoch, 1)
DAEMON_SAYS(const char *, daemon_join_url, "127.0.0.1:8884")
DAEMON_SAYS(const char *, daemon_api_url, "https://127.0.0.1:8885")
DAEMON_SAYS(bool, daemon_is_plain, false)
DAEMON_SAYS(bool, daemon_has_root, true)
DAEMON_SAYS(size_t, daemon_cell_count, 1)
DAEMON_SAYS(struct porter_counters, daemon_porter, (struct porter_counters){0})

int daemon_authority_pem(const struct daemon *d, char out[static CERTIFICATE_PEM_MAX])
{
    (void)d;
    out[0] = '\0';
    return 0;
}

void daemon_audit_refusal(struct daemon *d, struct audit_entry *e)
{
    (void)d, (void)e;
}

int daemon_put_chunk(struct daemon *d, const struct digest *name, struct span frame,
                     struct errmsg *em)
{
    (void)d, (void)name, (void)frame, (void)em;
    return 0;
}

/* ---- the disk ---- */

bool depot_has(struct depot *d, const struct digest *name)
{
    (void)d;
    return name->bytes[0] & 1;
}

int depot_get(struct depot *d, const struct digest *name, struct buffer *frame, struct errmsg *em)
{
    (void)d, (void)name, (void)frame;
    return errmsg_set(em, ERR_NOT_FOUND, "nothing is here");
}

int64_t depot_size(struct depot *d, const struct digest *name)
{
    (void)d, (void)name;
    return ERR_NOT_FOUND;
}

int depot_get_plain(struct depot *d, const struct digest *name, struct buffer *plain,
                    struct errmsg *em)
{
    return depot_get(d, name, plain, em);
}

int ledger_facts(struct ledger *l, uint32_t number, struct facts *out, struct errmsg *em)
{
    (void)l, (void)number, (void)em;
    *out = (struct facts){.count = 1, .list = {{.key = "site", .value = "\xff\"roof"}}};
    return 0;
}

bool ledger_get_note(struct ledger *l, uint32_t number, uint32_t deployment,
                     const struct key_id *id, struct kept_note *out)
{
    (void)l, (void)number, (void)deployment, (void)id;
    *out = (struct kept_note){.generation = 1, .at_s = 1, .text = "\xff\"no port"};
    return true;
}

int ledger_get_trust(struct ledger *l, uint32_t version, struct buffer *out, struct errmsg *em)
{
    (void)l, (void)version, (void)em;
    out->len = 1;
    out->data[0] = 0xff;
    return 0;
}

int ledger_audit_next(struct ledger *l, uint64_t after, uint64_t since_s, struct audit_entry *e,
                      struct errmsg *em)
{
    (void)l, (void)em;
    *e = (struct audit_entry){.number = after + 1, .time_s = since_s, .actor = "somebody"};
    return after < 2;
}

size_t ledger_audit_alarms(struct ledger *l, uint64_t since_s, struct alarm_kind *kinds, size_t max)
{
    (void)l, (void)max;
    kinds[0] = (struct alarm_kind){
        .count = 2,
        .last = {.number = 3, .time_s = since_s, .action = "alarm-\xff", .object = "\""}};
    return 1;
}

uint64_t daemon_audit_untold(const struct daemon *d, const char *action)
{
    (void)d;
    return strlen(action);
}

int ledger_load_admins(struct ledger *l, struct admin_row rows[static ADMINS_MAX], uint32_t *count,
                       struct errmsg *em)
{
    (void)l, (void)rows, (void)em;
    *count = 0;
    return 0;
}

/* ---- the connection ---- */

const char *MHD_lookup_connection_value(struct MHD_Connection *connection, enum MHD_ValueKind kind,
                                        const char *key)
{
    (void)connection, (void)key;
    return kind == MHD_GET_ARGUMENT_KIND ? the_daemon.argument : NULL;
}

void MHD_resume_connection(struct MHD_Connection *connection)
{
    (void)connection;
}

/* ---- the requests ---- */

/* A batch of tokens, an agent from it, a bundle and what deploys it. */
static void found_fleet(struct daemon *d)
{
    static const struct key_id agent = {{0x0b}};
    struct manager_options options = {.limits = small, .epoch = 1, .policy = POLICY_DEFAULT};
    struct trust trust = {.version = 1, .roles[TRUST_PUBLISHERS].threshold = 1};
    struct command tokens = {
        .type = COMMAND_TOKEN_CREATE,
        .token = {
            .count = 2, .uses = 1, .expires_s = NOW_S + 9, .labels = "env=prod", .bound = true}};
    struct command push = {.type = COMMAND_BUNDLE_ADD,
                           .bundle = {.name = "app", .version = "1", .digest = {{1}}}};
    struct command deploy = {
        .type = COMMAND_DEPLOY,
        .deploy = {.name = "app", .bundle = "app", .version = "1", .selector = "", .all = true}};
    d->core = manager_init(calloc(1, manager_size(&small)), &options);
    trust_add(&trust, TRUST_ROOTS, &(struct public_key){{1}});
    trust_add(&trust, TRUST_ONLINE, &(struct public_key){{2}});
    manager_load_trust(d->core, &trust);
    step(d, &(struct manager_event){.type = MANAGER_COMMAND, .command = &tokens});
    step(d, &(struct manager_event){.type = MANAGER_JOIN, .join = {.id = agent}});
    step(d, &(struct manager_event){.type = MANAGER_COMMAND, .command = &push});
    step(d, &(struct manager_event){.type = MANAGER_COMMAND, .command = &deploy});
    assert(d->out.rv == 0);
    d->admins = admins_new();
    d->replies = 0;
}

/* The next line of the input, at most `cap` - 1 bytes of it. */
static void next_line(struct span *rest, char *out, size_t cap)
{
    const uint8_t *end = rest->len ? memchr(rest->data, '\n', rest->len) : NULL;
    size_t len = end ? (size_t)(end - rest->data) : rest->len;
    size_t kept = len < cap - 1 ? len : cap - 1;
    if (kept > 0)
        memcpy(out, rest->data, kept);
    out[kept] = '\0';
    size_t taken = end ? len + 1 : len;
    *rest = span_of(rest->data + taken, rest->len - taken);
}

static const struct route *find_route(const char *line)
{
    size_t count;
    const struct route *routes = api_routes(&count);
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(routes[i].method);
        if (strncmp(line, routes[i].method, len) == 0 && line[len] == ' ' &&
            strcmp(line + len + 1, routes[i].path) == 0)
            return &routes[i];
    }
    return NULL;
}

/* Reads a long answer to its end, as the connection would. */
static void read_pieces(struct request *r)
{
    char *piece;
    while (r->piece && (piece = r->piece(r)))
        free(piece);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct MHD_Connection *const connection = (struct MHD_Connection *)&the_daemon;
    struct daemon *d = &the_daemon;
    char line[64], argument[256];
    struct span rest = span_of(data, size);
    struct request r = {.daemon = d,
                        .tools = &tools,
                        .connection = connection,
                        .role = ROLE_ADMIN,
                        .actor = "fuzz"};
    next_line(&rest, line, sizeof line);
    next_line(&rest, r.name, sizeof r.name);
    char *slash = strchr(r.name, '/');
    if (slash) {
        memcpy(r.object, slash + 1, strlen(slash + 1));
        *slash = '\0';
    }
    next_line(&rest, argument, sizeof argument);
    r.route = find_route(line);
    if (!r.route || rest.len > r.route->body_max || (!r.name[0] && strchr(r.route->path, '*')))
        return 0;
    if (!tools.opener) {
        struct fleet_keys keys = {.signing = sample_secret(SAMPLE_ONLINE),
                                  .authority = sample_secret(SAMPLE_ROOT)};
        int rv = keyring_init(&d->keys, &keys);
        tools.opener = chunk_opener_new();
        assert(rv == 0 && tools.opener);
    }
    d->argument = argument[0] ? argument : NULL;
    found_fleet(d);
    r.body = buffer_on(malloc(rest.len + 1), rest.len);
    if (rest.len > 0)
        memcpy(r.body.data, rest.data, rest.len);
    r.body.len = rest.len;
    r.route->handle(&r);
    assert(r.response && !r.waiting && d->replies <= 1);
    assert(r.status >= 200 && r.status < 500);
    read_pieces(&r);
    MHD_destroy_response(r.response);
    json_decref(r.json);
    free(r.body.data);
    admins_free(d->admins);
    free(d->core);
    return 0;
}
