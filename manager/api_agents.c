#include "base/date.h"
#include "manager/api_json.h"
#include "manager/api_routes.h"

#include <assert.h>

/* A token for one device, which somebody is about to set up. */
#define REPLACE_TTL_S 86400

static request_item next_agent;
static uint32_t find_agent(struct request *r);
static uint32_t find(struct request *r, const char *text, bool removed);
static uint32_t take(struct request *r, const struct naming *n);
static bool is_our_token(struct daemon *d, const char *text, uint32_t *batch, uint32_t *index);
static request_finish finish_replace;
static json_t *state_reason(const struct manager *m, uint32_t number);
static request_finish finish_changed;
static json_t *full_json(struct daemon *d, uint32_t number);
static json_t *facts_json(struct daemon *d, uint32_t number);

void api_agents_list(struct request *r)
{
    struct selector parsed;
    const char *given = request_argument(r, "select"), *text = given ? given : "";
    if (!api_read_selector(r, text, &parsed))
        return;
    assert(strlen(text) < sizeof r->selector); /* a longer one is none */
    memcpy(r->selector, text, strlen(text));
    r->all = request_argument(r, "all") != NULL;
    r->at = 1;
    r->end = manager_agent_count(daemon_core(r->daemon));
    request_stream_list(r, "agents", next_agent);
}

void api_agents_show(struct request *r)
{
    uint32_t number = api_find_any_agent(r);
    if (number)
        request_reply(r, MHD_HTTP_OK, full_json(r->daemon, number));
}

/* Which agent it is, and what is set and unset there; false: answered. */
static bool read_changes(struct request *r, const char **set, const char **unset)
{
    const struct field fields[] = {
        {.name = "set", .type = FIELD_TEXT, .out.text = set},
        {.name = "unset", .type = FIELD_TEXT, .out.text = unset},
    };
    uint32_t number = find_agent(r);
    if (!number || !request_fields(r, fields, 2))
        return false;
    r->agent = manager_agent(daemon_core(r->daemon), number)->id;
    return true;
}

void api_agents_label(struct request *r)
{
    struct command c = {.type = COMMAND_LABEL, .label = {.set = "", .unset = ""}};
    if (!read_changes(r, &c.label.set, &c.label.unset))
        return;
    c.label.id = r->agent;
    request_command(r, &c, finish_changed);
}

/* A command about one agent of the fleet, which is told of after it. */
static void change(struct request *r, enum command_type type)
{
    uint32_t number = find_agent(r);
    if (!number || !request_fields(r, NULL, 0))
        return;
    r->agent = manager_agent(daemon_core(r->daemon), number)->id;
    request_command(r, &(struct command){.type = type, .agent = r->agent}, finish_changed);
}

void api_agents_approve(struct request *r)
{
    change(r, COMMAND_AGENT_APPROVE);
}

void api_agents_cordon(struct request *r)
{
    change(r, COMMAND_AGENT_CORDON);
}

void api_agents_uncordon(struct request *r)
{
    change(r, COMMAND_AGENT_UNCORDON);
}

void api_agents_taint(struct request *r)
{
    struct command c = {.type = COMMAND_AGENT_TAINT, .taint = {.set = "", .unset = ""}};
    if (!read_changes(r, &c.taint.set, &c.taint.unset))
        return;
    c.taint.agent = r->agent;
    request_command(r, &c, finish_changed);
}

void api_agents_remove(struct request *r)
{
    uint32_t number = find_agent(r);
    if (!number)
        return;
    const struct agent_row *row = manager_agent(daemon_core(r->daemon), number);
    request_command(r, &(struct command){.type = COMMAND_AGENT_REMOVE, .agent = row->id},
                    request_finish_empty);
}

/* A command about one agent that needs nothing else. */
static void command_on(struct request *r, enum command_type type)
{
    uint32_t number = api_find_any_agent(r);
    if (!number || !request_fields(r, NULL, 0))
        return;
    const struct agent_row *row = manager_agent(daemon_core(r->daemon), number);
    request_command(r, &(struct command){.type = type, .agent = row->id}, request_finish_empty);
}

void api_agents_revoke(struct request *r)
{
    command_on(r, COMMAND_AGENT_REVOKE);
}

void api_agents_release(struct request *r)
{
    command_on(r, COMMAND_AGENT_RELEASE);
}

void api_agents_replace(struct request *r)
{
    const char *token = NULL;
    uint64_t ttl_s = REPLACE_TTL_S;
    const struct field fields[] = {
        {.name = "token", .type = FIELD_TEXT, .out.text = &token},
        {.name = "ttl_s", .type = FIELD_NUMBER, .max = UINT32_MAX, .out.number = &ttl_s},
    };
    uint32_t number = api_find_any_agent(r);
    if (!number || !request_fields(r, fields, 2))
        return;
    struct command c = {.type = COMMAND_AGENT_REPLACE};
    c.replace.agent = manager_agent(daemon_core(r->daemon), number)->id;
    c.replace.mint = !token;
    c.replace.expires_s = daemon_now_s(r->daemon) + ttl_s;
    if (token && !is_our_token(r->daemon, token, &c.replace.batch, &c.replace.index)) {
        request_reply_error(r, MHD_HTTP_BAD_REQUEST, "this is no token of this manager");
        return;
    }
    request_command(r, &c, finish_replace);
}

static struct token_text token_of(struct daemon *d, uint32_t batch, uint32_t index)
{
    struct token_text text;
    struct token_batch b = daemon_batch(d, batch);
    token_lines(&b, index, 1, text.text);
    explicit_bzero(&b, sizeof b);
    text.text[TOKEN_TEXT_LEN] = '\0';
    return text;
}

/* It is one when we would write the same. The secret of one that is bound to a serial number shows
 * only when its device joins. */
static bool is_our_token(struct daemon *d, const char *text, uint32_t *batch, uint32_t *index)
{
    struct token token;
    if (token_parse(text, &token, NULL) < 0 || token.batch == 0 ||
        token.batch > manager_batch_count(daemon_core(d)) ||
        token.index >= manager_batch(daemon_core(d), token.batch - 1)->count)
        return false;
    *batch = token.batch - 1;
    *index = token.index;
    return manager_batch(daemon_core(d), *batch)->bound ||
           strcmp(token_of(d, *batch, *index).text, text) == 0;
}

static void finish_replace(struct request *r, const struct manager_out *out)
{
    const struct manager *m = daemon_core(r->daemon);
    const struct successor_row *s = manager_successor(m, out->index);
    struct token_text token = token_of(r->daemon, s->batch, s->index);
    json_t *json =
        json_pack("{s:I, s:s, s:o}", "number", (json_int_t)s->number, "token", token.text,
                  "expires", api_json_time(manager_batch(m, s->batch)->expires_s));
    request_reply(r, MHD_HTTP_OK, json);
}

static json_t *next_agent(struct request *r)
{
    const struct manager *m = daemon_core(r->daemon);
    struct selector selector;
    if (manager_selector(m, r->selector, &selector, NULL) < 0)
        return NULL;
    /* A failed commit may have taken agents back meanwhile. */
    while (r->at <= r->end && r->at <= manager_agent_count(m)) {
        uint32_t number = r->at++;
        const struct agent_row *row = manager_agent(m, number);
        if ((r->all || !(row->flags & AGENT_REMOVED)) &&
            selector_matches(&selector, &manager_cohort(m, row->cohort)->labels))
            return api_json_agent(m, number);
    }
    return NULL;
}

static uint32_t find_agent(struct request *r)
{
    return find(r, r->name, false);
}

bool api_find_named_agents(struct request *r, struct naming *list, size_t count)
{
    naming_find(daemon_core(r->daemon), false, list, count);
    for (size_t i = 0; i < count; i++)
        if (!take(r, &list[i]))
            return false;
    return true;
}

uint32_t api_find_any_agent(struct request *r)
{
    return find(r, r->name, true);
}

/* The number of the agent that the text names. 0: answered. Removed ones are found only when asked
 * for. */
static uint32_t find(struct request *r, const char *text, bool removed)
{
    struct naming n = {.text = text};
    naming_find(daemon_core(r->daemon), removed, &n, 1);
    return take(r, &n);
}

static uint32_t take(struct request *r, const struct naming *n)
{
    if (n->result == NAMES_EITHER)
        request_reply_error(
            r, MHD_HTTP_CONFLICT,
            "%.80s is an agent's number, and an id begins with it: write n%.80s for "
            "the number, or more digits of the id",
            n->text, n->text);
    else if (n->result == NAMES_SEVERAL)
        request_reply_error(r, MHD_HTTP_CONFLICT,
                            "several agents' ids begin with %.80s: give more of its digits",
                            n->text);
    else if (n->result == NAMES_NONE)
        request_reply_error(r, MHD_HTTP_NOT_FOUND,
                            "there is no agent %.80s: see `dunlin agent list`", n->text);
    return n->number;
}

bool api_read_selector(struct request *r, const char *text, struct selector *out)
{
    struct errmsg em = {0};
    int rv = manager_selector(daemon_core(r->daemon), text, out, &em);
    if (rv < 0)
        request_reply_failure(r, rv, &em);
    return rv == 0;
}

static void finish_changed(struct request *r, const struct manager_out *out)
{
    (void)out;
    uint32_t number = manager_find_agent(daemon_core(r->daemon), &r->agent);
    if (number)
        request_reply(r, MHD_HTTP_OK, full_json(r->daemon, number));
    else
        request_reply_error(r, MHD_HTTP_NOT_FOUND, "the agent was removed at the same time");
}

/* What the device says of the cause. */
static void add_output(struct daemon *d, uint32_t number, const struct agent_deployment *of,
                       json_t *json)
{
    struct kept_note note;
    if (of->cause != CAUSE_NONE &&
        api_note(d, number, of->deployment, of->wanted, of->cause, &note))
        json_object_set_new(json, "output", api_json_note(&note));
}

static json_t *full_json(struct daemon *d, uint32_t number)
{
    const struct agent_row *row = manager_agent(daemon_core(d), number);
    struct agent_deployment deployments[RECORDS_MAX];
    size_t count = manager_agent_deployments(daemon_core(d), number, deployments);
    json_t *json = api_json_agent(daemon_core(d), number);
    for (size_t i = 0; i < count; i++)
        add_output(d, number, &deployments[i],
                   json_array_get(json_object_get(json, "deployments"), i));
    json_object_set_new(json, "facts", facts_json(d, number));
    json_object_set_new(json, "joined", api_json_time(row->joined_s));
    if (row->flags & (AGENT_BLOCKED | AGENT_REMOVED))
        json_object_set_new(json, "reason", state_reason(daemon_core(d), number));
    json_object_set_new(json, "token",
                        json_pack("{s:I, s:I}", "batch", (json_int_t)row->batch + 1, "index",
                                  (json_int_t)row->index));
    return json;
}

/* Why it is kept out, and what would change that. */
static json_t *state_reason(const struct manager *m, uint32_t number)
{
    unsigned flags = manager_agent(m, number)->flags;
    if (flags & AGENT_REVOKED)
        return json_string(
            "an operator revoked it; a device can take its place: dunlin agent replace");
    if (flags & AGENT_REMOVED)
        return json_string("an operator took it out of the fleet");
    if (flags & AGENT_QUARANTINED)
        return json_string("two devices reported as this agent; find out which one is right, then "
                           "dunlin agent release, revoke or replace");
    return json_sprintf("it said far more than an agent may, and is cut off until %s; dunlin agent "
                        "release lets it in at once",
                        date_text(manager_cut_off(m, number).until_s).text);
}

static json_t *facts_json(struct daemon *d, uint32_t number)
{
    struct facts facts = {0};
    json_t *json = json_object();
    if (ledger_facts(daemon_ledger(d), number, &facts, NULL) < 0)
        return json;
    for (uint32_t i = 0; i < facts.count; i++) {
        /* The device has named them: a key that is no UTF-8 isn't shown. */
        const struct fact *f = &facts.list[i];
        json_object_set_new(json, f->key, api_json_text(f->value));
    }
    return json;
}
