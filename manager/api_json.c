#include "manager/api_json.h"

#include "base/date.h"
#include "manager/api_rollout.h"
#include "manager/common/plan_json.h"

#include <stdio.h>
#include <stdlib.h>

static json_t *agent_deployment_json(const struct manager *m, const struct agent_deployment *d);
static json_t *depends_json(const struct manager *m, uint32_t index);
static json_t *states_json(const struct deployment_counts *counts);

json_t *api_json_text(const char *text)
{
    json_t *json = json_string(text);
    if (json)
        return json;
    char *clean = strdup(text);
    for (char *p = clean; p && *p; p++)
        if (*p & 0x80)
            *p = '?';
    json = clean ? json_string(clean) : NULL;
    free(clean);
    return json;
}

json_t *api_json_returning(const struct returning_use *use)
{
    return json_pack("{s:I, s:I, s:I}", "places", (json_int_t)use->places, "taken",
                     (json_int_t)use->taken, "waiting", (json_int_t)use->asking);
}

json_t *api_json_time(uint64_t seconds)
{
    return seconds ? json_string(date_text(seconds).text) : json_null();
}

json_t *api_json_labels(const struct labels *labels)
{
    json_t *json = json_object();
    struct label pair;
    for (size_t at = 0; labels_next(labels, &at, &pair);) {
        char key[LABEL_KEY_MAX + 1];
        snprintf(key, sizeof key, "%.*s", (int)pair.key.len, (const char *)pair.key.data);
        json_object_set_new(json, key, json_stringn((const char *)pair.value.data, pair.value.len));
    }
    return json;
}

const char *api_agent_state(const struct agent_row *row)
{
    if (row->flags & AGENT_WAITING)
        return "Waiting";
    if (row->flags & AGENT_REMOVED)
        return row->flags & AGENT_REVOKED ? "Revoked" : "Removed";
    if (row->flags & AGENT_QUARANTINED)
        return "Quarantined";
    if (row->flags & AGENT_CUT_OFF)
        return "CutOff";
    if (!(row->flags & AGENT_ONLINE))
        return "Offline";
    return row->flags & AGENT_STALE ? "Stale" : "Online";
}

static json_t *taints_json(const struct manager *m, uint32_t number)
{
    json_t *list = json_array();
    uint64_t taints = manager_agent_taints(m, number);
    for (uint32_t i = 0; taints >> i && i < TAINTS_MAX; i++) {
        char text[TAINT_TEXT_MAX];
        if (!(taints >> i & 1))
            continue;
        taint_text(manager_taint(m, i), text);
        json_array_append_new(list, json_string(text));
    }
    return list;
}

json_t *api_json_agent(const struct manager *m, uint32_t number)
{
    const struct agent_row *row = manager_agent(m, number);
    struct agent_deployment deployments[RECORDS_MAX];
    size_t count = manager_agent_deployments(m, number, deployments);
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, agent_deployment_json(m, &deployments[i]));
    return json_pack(
        "{s:s, s:I, s:o, s:s, s:b, s:o, s:o, s:o}", "id", key_id_hex(&row->id).text, "number",
        (json_int_t)number, "labels", api_json_labels(&manager_cohort(m, row->cohort)->labels),
        "state", api_agent_state(row), "cordoned", (row->flags & AGENT_CORDONED) != 0, "taints",
        taints_json(m, number), "last_seen", api_json_time(row->last_seen_s), "deployments", list);
}

bool api_note(struct daemon *d, uint32_t number, uint32_t deployment, uint32_t generation,
              enum cause cause, struct kept_note *out)
{
    const struct agent_row *row = manager_agent(daemon_core(d), number);
    return ledger_get_note(daemon_ledger(d), number, deployment, &row->id, out) &&
           out->generation == generation && out->cause == cause;
}

json_t *api_json_note(const struct kept_note *note)
{
    return json_pack("{s:o, s:o}", "at", api_json_time(note->at_s), "text",
                     api_json_text(note->text));
}

json_t *api_json_audit(const struct audit_entry *e, bool chain)
{
    json_t *json = json_pack("{s:I, s:o, s:o, s:o, s:o, s:o}", "n", (json_int_t)e->number, "time",
                             api_json_time(e->time_s), "actor", api_json_text(e->actor), "action",
                             api_json_text(e->action), "object", api_json_text(e->object), "detail",
                             api_json_text(e->detail));
    if (json && chain)
        json_object_set_new(json, "chain", json_string(digest_hex(&e->chain).text));
    return json;
}

/* By id: a device that took another's place is named in its place. */
static json_t *named_json(const struct manager *m, const struct roster *r)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < r->named_count; i++)
        json_array_append_new(list,
                              json_string(key_id_hex(&manager_agent(m, r->named[i])->id).text));
    return list;
}

json_t *api_json_deployment(const struct daemon *daemon, uint32_t index,
                            const struct deployment_counts *counts, bool full)
{
    const struct manager *m = daemon_core(daemon);
    const struct deployment_row *d = manager_deployment(m, index);
    const struct bundle_row *bundle = api_deployment_bundle(m, index);
    char name[2 * NAME_MAX_LEN + 2];
    snprintf(name, sizeof name, "%s@%s", bundle->name, bundle->version);
    json_t *json = json_pack(
        "{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:b, s:o}", "name", d->name, "version",
        bundle->version, "bundle", name, "targets", (json_int_t)counts->targets, "ready",
        (json_int_t)api_count_ready(counts), "pending", (json_int_t)api_count_pending(counts),
        "failed", (json_int_t)api_count_failed(counts), "paused", (d->flags & RECORD_PAUSED) != 0,
        "states", states_json(counts));
    char pick[PICK_TEXT_MAX];
    pick_text(&d->pick, pick);
    json_object_set_new(json, "select", api_json_text(d->selector));
    json_object_set_new(json, "pick", json_string(pick));
    json_object_set_new(json, "named", named_json(m, &d->roster));
    json_object_set_new(json, "facts", json_string(d->roster.facts));
    json_object_set_new(json, "sort", json_string(d->roster.sort));
    json_object_set_new(json, "tolerate", json_string(d->roster.tolerate));
    api_json_add_rollout(json, m, index, daemon_now_s(daemon));
    if (!full)
        return json;
    json_object_set_new(json, "generation", json_integer(manager_generation(m, index)));
    json_object_set_new(json, "history_kept", json_integer(deployment_history_kept(d)));
    json_object_set_new(json, "created", api_json_time(d->created_s));
    json_object_set_new(json, "depends_on", depends_json(m, index));
    bool planned = d->plan.count > 0 || d->plan.window.cron[0] || d->plan.retries > 0 ||
                   d->plan.returning.value > 0;
    json_object_set_new(json, "rollout", planned ? plan_to_json(&d->plan) : json_null());
    return json;
}

static json_t *depends_json(const struct manager *m, uint32_t index)
{
    struct dependencies after = manager_dependencies(m, index);
    json_t *list = json_array();
    for (uint32_t i = 0; i < after.count; i++)
        json_array_append_new(list, json_string(manager_deployment(m, after.numbers[i] - 1)->name));
    return list;
}

json_t *api_json_deployments(const struct daemon *daemon, bool full)
{
    const struct manager *m = daemon_core(daemon);
    const struct deployment_counts *counts = daemon_counts(daemon);
    json_t *list = counts ? json_array() : NULL;
    for (uint32_t i = 0; list && i < manager_deployment_count(m); i++)
        if (!manager_deployment(m, i)->removed)
            json_array_append_new(list, api_json_deployment(daemon, i, &counts[i], full));
    return list;
}

json_t *api_json_values(const struct manager *m, uint32_t index,
                        const struct generation_row *before, const struct generation_row *after)
{
    const char *names[VARIABLES_NEEDED_MAX];
    json_t *list = json_array();
    uint32_t count =
        before->generation ? manager_values_changed(m, index, before, after, names) : 0;
    for (uint32_t i = 0; i < count; i++)
        json_array_append_new(list, json_string(names[i]));
    return list;
}

const struct bundle_row *api_deployment_bundle(const struct manager *m, uint32_t index)
{
    return manager_bundle(m, manager_deployment(m, index)->history[0].bundle);
}

void api_counters(const struct manager *m, struct api_counter out[static API_COUNTERS])
{
    /* The core's accessor is made for the driver, which adds to them; here they are only read. */
    const struct manager_counters *c = manager_counters((struct manager *)m);
    const struct api_counter counters[API_COUNTERS] = {
        {"statuses", c->statuses},
        {"wills", c->wills},
        {"joins", c->joins},
        {"joins_again", c->joins_again},
        {"joins_refused", c->joins_refused},
        {"malformed", c->malformed},
        {"forged", c->forged},
        {"foreign", c->foreign},
        {"replayed", c->replayed},
        {"tokens_reused", c->tokens_reused},
        {"flooded", c->flooded},
        {"blocked", c->blocked},
    };
    memcpy(out, counters, sizeof counters);
}

uint32_t api_count_ready(const struct deployment_counts *c)
{
    return c->states[STATE_READY];
}

uint32_t api_count_failed(const struct deployment_counts *c)
{
    return c->states[STATE_FAILED] + c->states[STATE_ROLLED_BACK];
}

uint32_t api_count_pending(const struct deployment_counts *c)
{
    return c->targets - api_count_ready(c) - api_count_failed(c);
}

static json_t *agent_deployment_json(const struct manager *m, const struct agent_deployment *d)
{
    json_t *json =
        json_pack("{s:s, s:s, s:s, s:s}", "name", manager_deployment(m, d->deployment)->name,
                  "version", manager_generation_version(m, d->deployment, d->running), "target",
                  manager_generation_version(m, d->deployment, d->wanted), "state",
                  deployment_state_name(d->state));
    if (d->cause != CAUSE_NONE)
        json_object_set_new(json, "cause", json_string(cause_text(d->cause)));
    return json;
}

static json_t *states_json(const struct deployment_counts *counts)
{
    json_t *json = json_object();
    for (int s = 0; s < STATE_COUNT; s++)
        json_object_set_new(json, deployment_state_name((enum deployment_state)s),
                            json_integer(counts->states[s]));
    return json;
}
