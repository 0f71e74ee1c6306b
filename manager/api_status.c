#include "base/date.h"
#include "manager/admins.h"
#include "manager/api_json.h"
#include "manager/api_rollout.h"
#include "manager/api_routes.h"
#include "manager/succession.h"

static json_t *fleet_json(const struct manager *m);
static json_t *cells_json(const struct daemon *d);
static json_t *atlas_json(const struct daemon *d);
static json_t *joins_json(const struct daemon *d);
static json_t *orphans_json(const struct daemon *d);
static json_t *counters_json(const struct manager *m);
static json_t *alarms_json(const struct daemon *d);
static json_t *notes_json(const struct daemon *d);
static void note_elders(const struct daemon *d, json_t *list);
static uint32_t credentials_before(const struct daemon *d, uint64_t since_s);
static void note_rollouts(const struct daemon *d, json_t *list);

/* Alarms that status tells of; `dunlin audit` has all. */
#define ALARMS_SHOWN_S 86400

void api_status_show(struct request *r)
{
    const struct manager *m = daemon_core(r->daemon);
    request_reply(
        r, MHD_HTTP_OK,
        json_pack("{s:s, s:s?, s:o, s:b, s:o, s:I, s:o, s:o, s:o, s:o, s:I, s:o, s:o, s:o, s:o}",
                  "version", DUNLIN_VERSION, "api", daemon_api_url(r->daemon), "join_url",
                  api_json_text(daemon_join_url(r->daemon)), "plain", daemon_is_plain(r->daemon),
                  "joins", joins_json(r->daemon), "epoch", (json_int_t)daemon_epoch(r->daemon),
                  "agents", fleet_json(m), "deployments", api_json_deployments(r->daemon, false),
                  "cells", cells_json(r->daemon), "atlas", atlas_json(r->daemon), "cohorts",
                  (json_int_t)manager_cohort_count(m), "counters", counters_json(m), "alarms",
                  alarms_json(r->daemon), "orphans", orphans_json(r->daemon), "notes",
                  notes_json(r->daemon)));
}

static json_t *fleet_json(const struct manager *m)
{
    struct fleet_counts c;
    manager_count_agents(m, &c);
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "total", (json_int_t)c.total,
                     "online", (json_int_t)c.online, "offline", (json_int_t)c.offline, "stale",
                     (json_int_t)c.stale, "waiting", (json_int_t)c.waiting, "quarantined",
                     (json_int_t)c.quarantined, "cut_off", (json_int_t)c.cut_off, "cordoned",
                     (json_int_t)c.cordoned);
}

static json_t *orphans_json(const struct daemon *d)
{
    struct orphan orphans[ORPHANS_MAX];
    size_t count = manager_orphans(daemon_core(d), daemon_now_s(d), orphans);
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list,
                              json_pack("{s:s, s:I, s:o}", "id", key_id_hex(&orphans[i].id).text,
                                        "number", (json_int_t)orphans[i].number, "last_seen",
                                        api_json_time(orphans[i].last_seen_s)));
    return list;
}

static json_t *cells_json(const struct daemon *d)
{
    static const char *const states[] = {
        [CELL_DOWN] = "down", [CELL_STARTING] = "starting", [CELL_UP] = "up"};
    json_t *list = json_array();
    for (size_t i = 0; i < daemon_cell_count(d); i++) {
        struct cell_info cell = daemon_cell_info(d, i);
        json_array_append_new(list,
                              json_pack("{s:o, s:s, s:I, s:I}", "url", api_json_text(cell.url),
                                        "state", states[cell.state], "pid", (json_int_t)cell.pid,
                                        "agents", (json_int_t)cell.agents));
    }
    return list;
}

static json_t *atlas_json(const struct daemon *d)
{
    struct atlas_info atlas = daemon_atlas(d);
    return json_pack("{s:I, s:b}", "number", (json_int_t)atlas.number, "moving", atlas.moving);
}

/* What came of those who knocked at the join port since this manager started. */
static json_t *joins_json(const struct daemon *d)
{
    struct porter_counters c = daemon_porter(d);
    return json_pack("{s:I, s:I, s:I, s:I, s:I}", "accepted", (json_int_t)c.accepted, "open",
                     (json_int_t)c.open, "refused_by_source", (json_int_t)c.refused_source,
                     "refused_full", (json_int_t)c.refused_full, "cut", (json_int_t)c.cut);
}

static json_t *counters_json(const struct manager *m)
{
    struct api_counter counters[API_COUNTERS];
    api_counters(m, counters);
    json_t *json = json_object();
    for (size_t i = 0; i < API_COUNTERS; i++)
        json_object_set_new(json, counters[i].name, json_integer((json_int_t)counters[i].value));
    return json;
}

static json_t *alarm_kind_json(const struct daemon *d, const struct alarm_kind *kind)
{
    json_t *json = api_json_audit(&kind->last, false);
    json_object_set_new(json, "count", json_integer((json_int_t)kind->count));
    json_object_set_new(json, "only_counted",
                        json_integer((json_int_t)daemon_audit_untold(d, kind->last.action)));
    return json;
}

/* How many there were in the last day, and the newest of each kind: many of one hide no other. */
static json_t *alarms_json(const struct daemon *d)
{
    struct alarm_kind kinds[ALARM_TYPE_COUNT];
    uint64_t now_s = daemon_now_s(d), total = 0;
    uint64_t since_s = now_s > ALARMS_SHOWN_S ? now_s - ALARMS_SHOWN_S : 0;
    size_t count = ledger_audit_alarms(daemon_ledger(d), since_s, kinds, ALARM_TYPE_COUNT);
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        total += kinds[i].count;
        json_array_append_new(list, alarm_kind_json(d, &kinds[i]));
    }
    return json_pack("{s:I, s:o}", "last_day", (json_int_t)total, "last", list);
}

/* What somebody should do something about, in sentences. */
static json_t *notes_json(const struct daemon *d)
{
    const struct trust *t = manager_trust(daemon_core(d));
    const struct keyring *k = daemon_keys(d);
    json_t *list = json_array();
    if (daemon_has_root(d))
        json_array_append_new(
            list, json_string("the root key still lies beside the database, as root.key: whoever "
                              "takes both owns the fleet; move it to a safe place offline"));
    if (!trust_has(t, TRUST_ONLINE, &k->online))
        json_array_append_new(
            list, json_sprintf("trust document %u doesn't name this manager's online key: agents "
                               "refuse what it says; see `dunlin key renew --help`",
                               t->version));
    if (!trust_has_authority(t, &k->authority_id))
        json_array_append_new(
            list, json_sprintf("trust document %u doesn't name this manager's certificate "
                               "authority: agents refuse its brokers; see `dunlin key renew "
                               "--help`",
                               t->version));
    note_elders(d, list);
    note_rollouts(d, list);
    return list;
}

static void note_elders(const struct daemon *d, json_t *list)
{
    const struct keyring *k = daemon_keys(d);
    for (uint32_t i = 0; i < k->elder_count; i++) {
        const struct elder *e = &k->elders[i];
        uint32_t pinned = e->stolen ? credentials_before(d, e->since_s) : 0;
        if (keyring_counts(e))
            json_array_append_new(
                list, json_sprintf("agents' certificates by the former authority %.16s count until "
                                   "%s",
                                   key_id_hex(&e->id).text, date_text(succession_end_s(e)).text));
        if (pinned > 0)
            json_array_append_new(
                list, json_sprintf("%u credentials trust the stolen authority %.16s: make others "
                                   "with `dunlin admin create`, and revoke these",
                                   pinned, key_id_hex(&e->id).text));
    }
}

/* That are still good. */
static uint32_t credentials_before(const struct daemon *d, uint64_t since_s)
{
    const struct admins *admins = daemon_admins(d);
    uint32_t count = 0;
    for (uint32_t i = 0; i < admins_count(admins); i++) {
        const struct admin_row *row = admins_row(admins, i);
        count += !row->revoked && row->created_s <= since_s && daemon_now_s(d) < row->expires_s;
    }
    return count;
}

static bool wants_operator(enum rollout_hold hold, uint64_t until_s)
{
    return hold == HOLD_APPROVAL || hold == HOLD_OPERATOR || (hold == HOLD_REACH && !until_s);
}

/* Those that go no further without an operator, unless somebody comes back. */
static void note_rollouts(const struct daemon *d, json_t *list)
{
    const struct manager *m = daemon_core(d);
    uint64_t until_s, now_s = daemon_now_s(d);
    for (uint32_t i = 0; i < manager_deployment_count(m); i++) {
        const struct deployment_row *row = manager_deployment(m, i);
        enum rollout_hold hold = manager_rollout_hold(m, i, now_s, NULL, &until_s);
        char sentence[ROLLOUT_SENTENCE_MAX];
        if (row->removed || row->rollout.state == ROLLOUT_ABORTED || !wants_operator(hold, until_s))
            continue;
        api_rollout_sentence(m, i, now_s, NULL, sentence);
        json_array_append_new(list, json_sprintf("rollout of %s: %s", row->name, sentence));
    }
}
