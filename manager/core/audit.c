#include "manager/core/audit.h"

#include "base/date.h"
#include "base/endian.h"
#include "manager/core/plan_words.h"

#include <assert.h>
#include <stdio.h>

/* Digits of an agent's id that people are shown. */
#define SHORT_ID 12

#define ACTION(e, ...) audit_text((e)->action, sizeof(e)->action, __VA_ARGS__)
#define OBJECT(e, ...) audit_text((e)->object, sizeof(e)->object, __VA_ARGS__)
#define DETAIL(e, ...) audit_text((e)->detail, sizeof(e)->detail, __VA_ARGS__)

static void add_number(struct digest_stream *s, uint64_t value);
static void add_text(struct digest_stream *s, const char *text);
static const char *action_of(enum command_type type);
static void describe_trust(struct audit_entry *e, const struct trust *t);
static void describe_token(struct audit_entry *e, const struct command *c,
                           const struct manager_out *out);
static void describe_deployment(struct audit_entry *e, const struct manager *m,
                                const struct command *c, const struct manager_out *out);
static void describe_variables(struct audit_entry *e, const struct manager *m,
                               const struct command *c);
static void describe_successor(struct audit_entry *e, const struct manager *m,
                               const struct successor_row *s);
static void name_agent(struct audit_entry *e, const struct manager *m, uint32_t number);
static void name_device(struct audit_entry *e, uint32_t number, const struct key_id *id);

struct digest audit_chain(const struct digest *before, const struct audit_entry *e)
{
    struct digest_stream s;
    digest_start(&s);
    digest_add(&s, span_of(before->bytes, DIGEST_LEN));
    add_number(&s, e->number);
    add_number(&s, e->time_s);
    add_text(&s, e->actor);
    add_text(&s, e->action);
    add_text(&s, e->object);
    add_text(&s, e->detail);
    return digest_end(&s);
}

static void add_number(struct digest_stream *s, uint64_t value)
{
    uint8_t bytes[8];
    le64_write(bytes, value);
    digest_add(s, span_of(bytes, sizeof bytes));
}

/* With the length before it no two lists of texts make the same bytes. */
static void add_text(struct digest_stream *s, const char *text)
{
    uint8_t len[4];
    le32_write(len, (uint32_t)strlen(text));
    digest_add(s, span_of(len, sizeof len));
    digest_add(s, span_text(text));
}

void audit_text(char *out, size_t cap, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(out, cap, fmt, ap);
    va_end(ap);
    for (char *c = out; *c; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
}

/* ---- commands ---- */

void audit_command(struct audit_entry *e, const struct manager *m, const struct command *c,
                   const struct manager_out *out)
{
    ACTION(e, "%s", action_of(c->type));
    switch (c->type) {
    case COMMAND_TOKEN_CREATE:
    case COMMAND_TOKEN_REVOKE:
        describe_token(e, c, out);
        break;
    case COMMAND_TRUST:
        describe_trust(e, c->trust.next);
        break;
    case COMMAND_BUNDLE_ADD:
        OBJECT(e, "bundle %s@%s", c->bundle.name, c->bundle.version);
        DETAIL(e, "digest=%s", digest_hex(&c->bundle.digest).text);
        break;
    case COMMAND_BUNDLE_REMOVE:
        OBJECT(e, "bundle %s@%s", c->bundle_name.name, c->bundle_name.version);
        DETAIL(e, "%s", c->bundle_name.force ? "force" : "");
        break;
    case COMMAND_DEPLOY:
    case COMMAND_PAUSE:
    case COMMAND_RESUME:
    case COMMAND_ROLLBACK:
    case COMMAND_APPROVE:
    case COMMAND_ABORT:
    case COMMAND_RETRY:
    case COMMAND_PACE:
    case COMMAND_DEPLOYMENT_REMOVE:
        describe_deployment(e, m, c, out);
        break;
    case COMMAND_LABEL:
        name_agent(e, m, out->index);
        DETAIL(e, "set=%s unset=%s", c->label.set, c->label.unset);
        break;
    case COMMAND_AGENT_APPROVE:
    case COMMAND_AGENT_REMOVE:
    case COMMAND_AGENT_REVOKE:
    case COMMAND_AGENT_RELEASE:
    case COMMAND_AGENT_CORDON:
    case COMMAND_AGENT_UNCORDON:
        name_agent(e, m, out->index);
        break;
    case COMMAND_AGENT_TAINT:
        name_agent(e, m, out->index);
        DETAIL(e, "set=%s unset=%s", c->taint.set, c->taint.unset);
        break;
    case COMMAND_GROUP_SET:
    case COMMAND_GROUP_REMOVE:
        OBJECT(e, "group %s", c->group.name);
        if (c->type == COMMAND_GROUP_SET)
            DETAIL(e, "select=%s", c->group.selector);
        break;
    case COMMAND_BUDGET_SET:
    case COMMAND_BUDGET_REMOVE:
        OBJECT(e, "budget %s", c->budget.name);
        if (c->type == COMMAND_BUDGET_SET)
            DETAIL(e, "max=%u%s select=%s", c->budget.max.value, c->budget.max.percent ? "%" : "",
                   c->budget.selector);
        break;
    case COMMAND_VARIABLE_SET:
    case COMMAND_VARIABLE_UNSET:
        describe_variables(e, m, c);
        break;
    case COMMAND_AGENT_REPLACE:
        describe_successor(e, m, manager_successor(m, out->index));
        break;
    }
}

static const char *action_of(enum command_type type)
{
    static const char *const actions[] = {
        [COMMAND_TOKEN_CREATE] = "token-create",
        [COMMAND_TOKEN_REVOKE] = "token-revoke",
        [COMMAND_TRUST] = "trust-set",
        [COMMAND_BUNDLE_ADD] = "bundle-add",
        [COMMAND_BUNDLE_REMOVE] = "bundle-remove",
        [COMMAND_DEPLOY] = "deploy",
        [COMMAND_PAUSE] = "pause",
        [COMMAND_RESUME] = "resume",
        [COMMAND_ROLLBACK] = "rollback",
        [COMMAND_APPROVE] = "rollout-approve",
        [COMMAND_ABORT] = "rollout-abort",
        [COMMAND_RETRY] = "rollout-retry",
        [COMMAND_PACE] = "rollout-set",
        [COMMAND_DEPLOYMENT_REMOVE] = "deployment-remove",
        [COMMAND_LABEL] = "agent-label",
        [COMMAND_AGENT_APPROVE] = "agent-approve",
        [COMMAND_AGENT_REMOVE] = "agent-remove",
        [COMMAND_AGENT_REVOKE] = "agent-revoke",
        [COMMAND_AGENT_RELEASE] = "agent-release",
        [COMMAND_AGENT_REPLACE] = "agent-replace",
        [COMMAND_AGENT_CORDON] = "agent-cordon",
        [COMMAND_AGENT_UNCORDON] = "agent-uncordon",
        [COMMAND_AGENT_TAINT] = "agent-taint",
        [COMMAND_GROUP_SET] = "group-set",
        [COMMAND_GROUP_REMOVE] = "group-remove",
        [COMMAND_BUDGET_SET] = "budget-set",
        [COMMAND_BUDGET_REMOVE] = "budget-remove",
        [COMMAND_VARIABLE_SET] = "variable-set",
        [COMMAND_VARIABLE_UNSET] = "variable-unset",
    };
    assert(type < sizeof actions / sizeof actions[0] && actions[type]);
    return actions[type];
}

/* How many of how many keys it takes. */
static void describe_trust(struct audit_entry *e, const struct trust *t)
{
    const struct trust_keys *k = t->roles;
    OBJECT(e, "trust document %u", t->version);
    DETAIL(e, "roots=%u/%u publishers=%u/%u online=%u", k[TRUST_ROOTS].threshold,
           k[TRUST_ROOTS].count, k[TRUST_PUBLISHERS].threshold, k[TRUST_PUBLISHERS].count,
           k[TRUST_ONLINE].count);
}

static void describe_token(struct audit_entry *e, const struct command *c,
                           const struct manager_out *out)
{
    OBJECT(e, "batch %u", out->index + 1);
    if (c->type == COMMAND_TOKEN_CREATE)
        DETAIL(e, "tokens=%u uses=%u expires=%s%s%s labels=%s", c->token.count, c->token.uses,
               date_text(c->token.expires_s).text, c->token.bound ? " bound" : "",
               c->token.approve ? " approve" : "", c->token.labels);
}

/* "bundle=app@2 stage=prod rate=50/1h" */
static void describe_pace(struct audit_entry *e, const struct bundle_row *b,
                          const struct command *c)
{
    char said[AUDIT_DETAIL_MAX] = "", value[PLAN_VALUE_MAX];
    size_t count;
    const struct plan_key *keys = plan_keys(PLAN_PACE, &count);
    for (size_t i = 0; i < count; i++) {
        size_t used = strlen(said);
        if (pace_get(c->deployment.pace, i, value))
            snprintf(said + used, sizeof said - used, " %s=%.64s", keys[i].name, value);
    }
    DETAIL(e, "bundle=%s@%s%s%s%s", b->name, b->version, c->deployment.stage ? " stage=" : "",
           c->deployment.stage ? c->deployment.stage : "", said);
}

/* What it asks for now, also when the command didn't say which version. */
static void describe_deployment(struct audit_entry *e, const struct manager *m,
                                const struct command *c, const struct manager_out *out)
{
    const struct deployment_row *d = manager_deployment(m, out->index);
    const struct bundle_row *b = manager_bundle(m, d->history[0].bundle);
    OBJECT(e, "deployment %s", d->name);
    if (c->type == COMMAND_DEPLOY)
        DETAIL(e, "bundle=%s@%s generation=%u priority=%u select=%s", b->name, b->version,
               manager_generation(m, out->index), d->priority, d->selector);
    else if (c->type == COMMAND_APPROVE)
        DETAIL(e, "bundle=%s@%s stage=%s", b->name, b->version, c->deployment.stage);
    else if (c->type == COMMAND_PACE)
        describe_pace(e, b, c);
    else
        DETAIL(e, "bundle=%s@%s generation=%u", b->name, b->version,
               manager_generation(m, out->index));
}

/* Never its value: what was clear yesterday may be a secret that somebody mistyped. */
static void describe_variables(struct audit_entry *e, const struct manager *m,
                               const struct command *c)
{
    const char *secret = c->variable.secret ? " secret" : "";
    const char *at_once = c->variable.at_once ? " at-once" : "";
    char names[VARIABLES_SET_MAX * (VARIABLE_NAME_MAX + 2) + 1] = "";
    for (uint32_t i = 0; i < c->variable.count; i++) {
        size_t used = strlen(names);
        snprintf(names + used, sizeof names - used, "%s%.*s", i ? ", " : "", VARIABLE_NAME_MAX,
                 c->variable.settings[i].name);
    }
    OBJECT(e, "variable%s %s", c->variable.count > 1 ? "s" : "", names);
    if (c->variable.scope == SCOPE_AGENT)
        DETAIL(e, "agent=%u%s", manager_find_any_agent(m, &c->variable.agent), secret);
    else if (c->variable.scope == SCOPE_SELECTOR)
        DETAIL(e, "select=%s%s%s", c->variable.where, secret, at_once);
    else
        DETAIL(e, "all%s%s", secret, at_once);
}

static void describe_successor(struct audit_entry *e, const struct manager *m,
                               const struct successor_row *s)
{
    name_agent(e, m, s->number);
    DETAIL(e, "batch=%u token=%u", s->batch + 1, s->index + 1);
}

static void name_agent(struct audit_entry *e, const struct manager *m, uint32_t number)
{
    name_device(e, number, &manager_agent(m, number)->id);
}

static void name_device(struct audit_entry *e, uint32_t number, const struct key_id *id)
{
    OBJECT(e, "agent %u (%.*s)", number, SHORT_ID, key_id_hex(id).text);
}

/* ---- what devices caused ---- */

static void device_actor(struct audit_entry *e, const struct key_id *id)
{
    audit_text(e->actor, sizeof e->actor, "device:%.*s", SHORT_ID, key_id_hex(id).text);
}

static void describe_stop(struct audit_entry *e, const struct manager *m, uint32_t deployment)
{
    const struct deployment_row *d = manager_deployment(m, deployment);
    OBJECT(e, "deployment %s", d->name);
    DETAIL(e, "too many agents failed in stage %s", d->plan.stages[d->rollout.stage].name);
}

static void describe_flood(struct audit_entry *e, const struct manager *m, uint32_t number)
{
    struct cut_off c = manager_cut_off(m, number);
    DETAIL(e, "it said far more than an agent may; cut off until %s, or until it is released%s",
           date_text(c.until_s).text, c.times > 1 ? "; not the first time" : "");
}

void audit_alarm(struct audit_entry *e, const struct manager *m, const struct alarm *alarm)
{
    ACTION(e, "alarm-%s", alarm_name(alarm->type));
    audit_text(e->actor, sizeof e->actor, "manager");
    if (alarm->number > 0) {
        device_actor(e, &manager_agent(m, alarm->number)->id);
        name_agent(e, m, alarm->number);
    }
    if (alarm->type == ALARM_ROLLOUT_STOPPED)
        describe_stop(e, m, alarm->index);
    if (alarm->type == ALARM_CROWDED) {
        OBJECT(e, "labels %s", manager_cohort(m, alarm->index)->labels.text);
        DETAIL(e, "more than %d deployments are for these agents; they get none of the newest",
               RECORDS_MAX);
    }
    if (alarm->type == ALARM_UNPICKED) {
        const struct deployment_row *d = manager_deployment(m, alarm->index);
        OBJECT(e, "deployment %s", d->name);
        DETAIL(e,
               "%u agents have values of %s beyond those that its pick tells apart, and are not "
               "picked",
               d->picked.left_out, d->pick.by);
    }
    if (alarm->type == ALARM_CLONE)
        DETAIL(e, "two devices are this agent; kept out until it is released, revoked or replaced");
    if (alarm->type == ALARM_FLOOD)
        describe_flood(e, m, alarm->number);
    if (alarm->type == ALARM_NEWER_DOCUMENT)
        DETAIL(e, "it holds a newer document than this manager made: the database was put back "
                  "without `dunlin-manager restore`, or the device lies");
    if (alarm->type == ALARM_EPOCH_MOVED)
        DETAIL(e, "it holds a newer document than the restored manager made; all documents are "
                  "made anew, above it");
    if (alarm->type == ALARM_OLD_NUMBERS)
        DETAIL(e, "%s",
               alarm->answers ? "a device counts on from old numbers: a copy of its storage, or an "
                                "old image that was put back; if it is the right one, release it"
                              : "old reports come again: a broker repeats them, or a copy of the "
                                "storage or an old image is in use");
    if (alarm->type == ALARM_TOKEN_REUSED)
        OBJECT(e, "batch %u, token %u", alarm->batch + 1, alarm->index + 1);
}

void audit_join(struct audit_entry *e, const struct audit_joins *joins)
{
    ACTION(e, joins->waiting ? "join-asked" : "join");
    if (joins->count == 1) {
        device_actor(e, &joins->id);
        name_device(e, joins->first, &joins->id);
    } else {
        audit_text(e->actor, sizeof e->actor, "devices");
        OBJECT(e, "%u agents, numbers %u-%u", joins->count, joins->first, joins->last);
    }
    DETAIL(e, "batch=%u", joins->batch + 1);
}
