/*
 * What the API asks for and commands. A command's reply waits for the commit, as answers to devices
 * do.
 */
#include "base/date.h"
#include "manager/certificates.h"
#include "manager/daemon_parts.h"
#include "manager/root.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static struct manager_out *owe_reply(struct daemon *d, daemon_reply *reply, void *context);
static void keep_admin(struct daemon *d, const char *actor, const char *action,
                       const struct manager_out *out);

const struct manager *daemon_core(const struct daemon *d)
{
    return d->core;
}

struct ledger *daemon_ledger(const struct daemon *d)
{
    return d->ledger;
}

struct depot *daemon_depot(const struct daemon *d)
{
    return d->depot;
}

const struct deployment_counts *daemon_counts(const struct daemon *d)
{
    return census_counts(d->census, d->core);
}

uint64_t daemon_now_s(const struct daemon *d)
{
    return d->now_s;
}

uint32_t daemon_epoch(const struct daemon *d)
{
    return (uint32_t)ledger_setting(d->ledger, LEDGER_EPOCH);
}

const char *daemon_join_url(const struct daemon *d)
{
    return door_url(d->door);
}

bool daemon_is_plain(const struct daemon *d)
{
    return d->options.plain;
}

struct porter_counters daemon_porter(const struct daemon *d)
{
    return door_counters(d->door);
}

const char *daemon_api_url(const struct daemon *d)
{
    return api_url(d->api);
}

int daemon_authority_pem(const struct daemon *d, char out[static CERTIFICATE_PEM_MAX])
{
    uint8_t room[CERTIFICATE_MAX];
    struct buffer der = buffer_on(room, sizeof room);
    struct buffer pem = buffer_on(out, CERTIFICATE_PEM_MAX - 1);
    int rv = certificates_authority(&d->keys, d->now_s, &der);
    if (rv == 0)
        rv = certificate_pem(span_buffer(&der), &pem);
    out[rv < 0 ? 0 : pem.len] = '\0';
    return rv;
}

size_t daemon_cell_count(const struct daemon *d)
{
    return cells_count(d->cells);
}

struct cell_info daemon_cell_info(const struct daemon *d, size_t i)
{
    return cells_info(d->cells, i);
}

struct atlas_info daemon_atlas(const struct daemon *d)
{
    return cells_atlas(d->cells);
}

void daemon_command(struct daemon *d, const char *actor, const struct command *command,
                    daemon_reply *reply, void *context)
{
    struct manager_out *out = owe_reply(d, reply, context);
    daemon_step(d, &(struct manager_event){.type = MANAGER_COMMAND, .command = command}, out);
    census_forget(d->census);
    if (out->rv != 0)
        return; /* it has changed nothing */
    struct audit_entry e = {0};
    audit_text(e.actor, sizeof e.actor, "%s", actor);
    audit_command(&e, d->core, command, out);
    daemon_audit(d, &e);
}

/* Without memory for a reply its connection could never be answered: that is the end. */
static struct manager_out *owe_reply(struct daemon *d, daemon_reply *reply, void *context)
{
    if (d->reply_count == d->reply_cap) {
        size_t cap = d->reply_cap ? d->reply_cap * 2 : 16;
        struct reply *more = realloc(d->replies, cap * sizeof *more);
        if (!more)
            abort();
        d->replies = more;
        d->reply_cap = cap;
    }
    struct reply *r = &d->replies[d->reply_count++];
    *r = (struct reply){.say = reply, .context = context};
    return &r->out;
}

const struct admins *daemon_admins(const struct daemon *d)
{
    return d->admins;
}

void daemon_admin_create(struct daemon *d, const char *actor, const struct admin_row *row,
                         daemon_reply *reply, void *context)
{
    struct manager_out *out = owe_reply(d, reply, context);
    out->rv = admins_create(d->admins, row, &out->index, &out->error);
    keep_admin(d, actor, "admin-create", out);
}

void daemon_admin_revoke(struct daemon *d, const char *actor, const char *name, daemon_reply *reply,
                         void *context)
{
    struct manager_out *out = owe_reply(d, reply, context);
    out->rv = admins_revoke(d->admins, name, &out->index, &out->error);
    keep_admin(d, actor, "admin-revoke", out);
}

static void keep_admin(struct daemon *d, const char *actor, const char *action,
                       const struct manager_out *out)
{
    if (out->rv != 0)
        return;
    const struct admin_row *row = admins_row(d->admins, out->index);
    struct audit_entry e = {0};
    audit_text(e.actor, sizeof e.actor, "%s", actor);
    audit_text(e.action, sizeof e.action, "%s", action);
    audit_text(e.object, sizeof e.object, "admin %s", row->name);
    audit_text(e.detail, sizeof e.detail, "role=%s expires=%s", role_name(row->role),
               date_text(row->expires_s).text);
    if (d->broken == 0)
        d->broken = ledger_admin(d->ledger, out->index, row, &d->why);
    daemon_audit(d, &e);
}

void daemon_draw_key(struct daemon *d, const char *actor, enum fleet_key which, bool stolen,
                     daemon_reply *reply, void *context)
{
    static const char *const actions[] = {
        [FLEET_ONLINE] = "online-key-draw", [FLEET_AUTHORITY] = "authority-draw"};
    struct audit_entry e = {0};
    struct fleet_keys keys = *ledger_keys(d->ledger);
    struct manager_out *out = owe_reply(d, reply, context);
    int rv = keyring_draw_heir(&keys, which, stolen);
    out->rv = rv == 1;
    bool draws = rv != 1 && d->broken == 0;
    if (draws)
        d->broken = rv < 0 ? rv : ledger_set_keys(d->ledger, &keys, &d->why);
    if (draws && d->broken == 0)
        d->broken = keyring_init(&d->keys, &keys);
    explicit_bzero(&keys, sizeof keys);
    if (!draws)
        return;
    struct key_id id = key_id_of(&d->keys.heirs[which].key);
    audit_text(e.actor, sizeof e.actor, "%s", actor);
    audit_text(e.action, sizeof e.action, "%s", actions[which]);
    audit_text(e.object, sizeof e.object, "key %s", key_id_hex(&id).text);
    audit_text(e.detail, sizeof e.detail, "stolen=%s", stolen ? "yes" : "no");
    daemon_audit(d, &e);
}

const struct keyring *daemon_keys(const struct daemon *d)
{
    return &d->keys;
}

bool daemon_has_root(const struct daemon *d)
{
    return root_is_here(d->dir);
}

void daemon_audit_refusal(struct daemon *d, struct audit_entry *e)
{
    int rv = d->broken == 0 ? auditor_add_bounded(d->auditor, e, d->now_s, &d->why) : 0;
    if (rv < 0)
        d->broken = rv;
}

uint64_t daemon_audit_untold(const struct daemon *d, const char *action)
{
    return auditor_untold(d->auditor, action);
}

int daemon_put_chunk(struct daemon *d, const struct digest *name, struct span frame,
                     struct errmsg *em)
{
    int rv = depot_put(d->depot, name, frame, em);
    if (rv != 0 || d->broken != 0)
        return rv;
    d->broken = ledger_chunk_again(d->ledger, name, &d->why);
    return 0;
}

struct token_batch daemon_batch(const struct daemon *d, uint32_t batch)
{
    assert(batch < manager_batch_count(d->core));
    struct token_batch b = keyring_batch(&d->keys, batch);
    struct root_pin pin = trust_pin(manager_trust(d->core));
    memcpy(b.root, pin.bytes, sizeof b.root);
    return b;
}
