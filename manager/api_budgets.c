#include "manager/api_budget.h"
#include "manager/api_json.h"
#include "manager/api_routes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Agents that a sentence names; a page names some more. */
#define SAID_MAX 2
/* "100%" */
#define AMOUNT_TEXT_MAX 16

static request_finish finish_set;
static bool read_max(struct request *r, const json_t *json, struct amount *max);
static json_t *budget_json(struct request *r, uint32_t index);
static json_t *deployments_json(const struct manager *m, const uint32_t *held);
static json_t *agents_json(const struct manager *m, const struct budget_use *use);

/* ---- routes ---- */

void api_budgets_set(struct request *r)
{
    const char *name = "", *selector = "";
    const json_t *max = NULL;
    bool all = false;
    const struct field fields[] = {
        {.name = "name", .type = FIELD_TEXT, .required = true, .out.text = &name},
        {.name = "select", .type = FIELD_TEXT, .out.text = &selector},
        {.name = "all", .type = FIELD_FLAG, .out.flag = &all},
        {.name = "max", .type = FIELD_JSON, .required = true, .out.json = &max},
    };
    struct command c = {.type = COMMAND_BUDGET_SET};
    if (!request_fields(r, fields, sizeof fields / sizeof fields[0]) ||
        !read_max(r, max, &c.budget.max))
        return;
    if (all == (selector[0] != '\0')) {
        request_reply_error(r, MHD_HTTP_BAD_REQUEST,
                            "a budget has either 'select' or 'all': whose agents is it about?");
        return;
    }
    c.budget.name = name;
    c.budget.selector = selector;
    request_command(r, &c, finish_set);
}

void api_budgets_list(struct request *r)
{
    const struct manager *m = daemon_core(r->daemon);
    json_t *list = json_array();
    for (uint32_t i = 0; i < manager_budget_count(m); i++)
        if (manager_budget(m, i)->name[0])
            json_array_append_new(list, budget_json(r, i));
    request_reply(r, MHD_HTTP_OK, json_pack("{s:o}", "budgets", list));
}

void api_budgets_show(struct request *r)
{
    int64_t index = manager_find_budget(daemon_core(r->daemon), r->name);
    if (index >= 0)
        request_reply(r, MHD_HTTP_OK, budget_json(r, (uint32_t)index));
    else
        request_reply_error(r, MHD_HTTP_NOT_FOUND,
                            "there is no budget %.64s: see `dunlin budget list`", r->name);
}

void api_budgets_remove(struct request *r)
{
    struct command c = {.type = COMMAND_BUDGET_REMOVE, .budget.name = r->name};
    request_command(r, &c, request_finish_empty);
}

static void finish_set(struct request *r, const struct manager_out *out)
{
    json_t *json = budget_json(r, out->index);
    json_object_set_new(json, "changed", json_boolean(out->rv == 0));
    request_reply(r, MHD_HTTP_OK, json);
}

/* "10%", "5" or 5 */
static bool read_max(struct request *r, const json_t *json, struct amount *max)
{
    char digits[32];
    snprintf(digits, sizeof digits, "%" JSON_INTEGER_FORMAT, json_integer_value(json));
    const char *text = json_is_integer(json) ? digits : json_string_value(json);
    if (text && amount_read(text, max))
        return true;
    request_reply_error(r, MHD_HTTP_BAD_REQUEST,
                        "the field 'max' must be a number of agents, or a part of them like 10%%");
    return false;
}

/* ---- a budget as JSON ---- */

static json_t *budget_json(struct request *r, uint32_t index)
{
    const struct manager *m = daemon_core(r->daemon);
    const struct budget_row *row = manager_budget(m, index);
    uint32_t *held = calloc(manager_deployment_count(m) + 1, sizeof *held);
    struct budget_use use;
    char max[AMOUNT_TEXT_MAX];
    if (!held)
        return NULL;
    manager_budget_use(m, index, daemon_now_s(r->daemon), held, &use);
    snprintf(max, sizeof max, "%" PRIu32 "%s", row->max.value, row->max.percent ? "%" : "");
    json_t *json = json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o}",
                             "name", row->name, "select", row->selector, "max", max, "agents",
                             (json_int_t)use.agents, "allowed", (json_int_t)use.allowed, "out",
                             (json_int_t)use.out, "failed", (json_int_t)use.bad, "asking",
                             (json_int_t)use.asking, "returning", (json_int_t)use.apart, "stuck",
                             (json_int_t)use.idle, "away", (json_int_t)use.away, "deployments",
                             deployments_json(m, held), "holders", agents_json(m, &use));
    free(held);
    return json;
}

static json_t *deployments_json(const struct manager *m, const uint32_t *held)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < manager_deployment_count(m); i++)
        if (held[i] > 0)
            json_array_append_new(list,
                                  json_pack("{s:s, s:I}", "name", manager_deployment(m, i)->name,
                                            "agents", (json_int_t)held[i]));
    return list;
}

static json_t *agents_json(const struct manager *m, const struct budget_use *use)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < use->named_count; i++) {
        const struct budgeted_agent *a = &use->named[i];
        const struct agent_row *row = manager_agent(m, a->number);
        json_array_append_new(list,
                              json_pack("{s:I, s:s, s:s, s:s}", "number", (json_int_t)a->number,
                                        "id", key_id_hex(&row->id).text, "deployment",
                                        manager_deployment(m, a->what.deployment)->name, "state",
                                        deployment_state_name(a->what.state)));
    }
    return list;
}

json_t *api_budgets_on(const struct manager *m, uint32_t deployment)
{
    uint32_t budgets = manager_budgets_on(m, deployment);
    json_t *list = json_array();
    for (uint32_t b = 0; b < BUDGETS_MAX && budgets >> b; b++)
        if (budgets >> b & 1)
            json_array_append_new(list, json_string(manager_budget(m, b)->name));
    return list;
}

/* ---- in words ---- */

static int add_holder(const struct manager *m, const struct budgeted_agent *a, char *out,
                      size_t cap)
{
    return snprintf(out, cap, "agent %" PRIu32 " (%s in %s)", a->number,
                    deployment_state_name(a->what.state),
                    manager_deployment(m, a->what.deployment)->name);
}

void api_budget_sentence(const struct manager *m, uint32_t index, uint64_t now_s,
                         char out[static BUDGET_SENTENCE_MAX])
{
    struct budget_use use;
    manager_budget_use(m, index, now_s, NULL, &use);
    int len =
        snprintf(out, BUDGET_SENTENCE_MAX,
                 "budget %s: %" PRIu32 " of at most %" PRIu32 " agents %s out of Ready",
                 manager_budget(m, index)->name, use.out, use.allowed, use.out == 1 ? "is" : "are");
    for (uint32_t i = 0; i < use.named_count && i < SAID_MAX; i++) {
        len += snprintf(out + len, BUDGET_SENTENCE_MAX - (size_t)len, "%s", i ? ", " : ", by ");
        len += add_holder(m, &use.named[i], out + len, BUDGET_SENTENCE_MAX - (size_t)len);
    }
    if (use.out > SAID_MAX)
        snprintf(out + len, BUDGET_SENTENCE_MAX - (size_t)len, " and %" PRIu32 " more",
                 use.out - SAID_MAX);
}
