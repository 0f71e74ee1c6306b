#include "manager/api_json.h"
#include "manager/api_routes.h"

static bool read_place(struct request *r, const char *select, const char *agent,
                       struct command *command);
static request_finish finish_set;
static request_item next_variable;
static json_t *variable_json(const struct manager *m, uint32_t index);
static void add_place(const struct manager *m, const struct variable_row *v,
                      const struct variable_text *text, json_t *json);

/* ---- changing them ---- */

void api_variables_set(struct request *r)
{
    const char *name = "", *value = "", *select = NULL, *agent = NULL;
    bool secret = false;
    const struct field fields[] = {
        {.name = "name", .type = FIELD_TEXT, .required = true, .out.text = &name},
        {.name = "value", .type = FIELD_TEXT, .required = true, .out.text = &value},
        {.name = "secret", .type = FIELD_FLAG, .out.flag = &secret},
        {.name = "select", .type = FIELD_TEXT, .out.text = &select},
        {.name = "agent", .type = FIELD_TEXT, .out.text = &agent},
    };
    struct command command = {.type = COMMAND_VARIABLE_SET};
    if (!request_fields(r, fields, sizeof fields / sizeof fields[0]) ||
        !read_place(r, select, agent, &command))
        return;
    command.variable.name = name;
    command.variable.value = span_text(value);
    command.variable.secret = secret;
    request_command(r, &command, finish_set);
}

void api_variables_unset(struct request *r)
{
    const char *name = "", *select = NULL, *agent = NULL;
    const struct field fields[] = {
        {.name = "name", .type = FIELD_TEXT, .required = true, .out.text = &name},
        {.name = "select", .type = FIELD_TEXT, .out.text = &select},
        {.name = "agent", .type = FIELD_TEXT, .out.text = &agent},
    };
    struct command command = {.type = COMMAND_VARIABLE_UNSET};
    if (!request_fields(r, fields, sizeof fields / sizeof fields[0]) ||
        !read_place(r, select, agent, &command))
        return;
    command.variable.name = name;
    request_command(r, &command, request_finish_empty);
}

/* Whom it is for. False: answered. */
static bool read_place(struct request *r, const char *select, const char *agent,
                       struct command *command)
{
    command->variable.scope = agent ? SCOPE_AGENT : select ? SCOPE_SELECTOR : SCOPE_ALL;
    command->variable.where = select ? select : "";
    if (agent && select) {
        request_reply_error(r, MHD_HTTP_BAD_REQUEST,
                            "the fields 'agent' and 'select' exclude each other");
        return false;
    }
    if (!agent)
        return true;
    /* Looked up as if it had stood in the path. */
    snprintf(r->name, sizeof r->name, "%s", agent);
    uint32_t number = api_find_any_agent(r);
    if (number)
        command->variable.agent = manager_agent(daemon_core(r->daemon), number)->id;
    return number != 0;
}

static void finish_set(struct request *r, const struct manager_out *out)
{
    json_t *json = variable_json(daemon_core(r->daemon), out->index);
    json_object_set_new(json, "changed", json_boolean(out->rv == 0));
    request_reply(r, MHD_HTTP_OK, json);
}

/* ---- showing them ---- */

void api_variables_list(struct request *r)
{
    request_stream_list(r, "variables", next_variable);
}

static json_t *next_variable(struct request *r)
{
    const struct manager *m = daemon_core(r->daemon);
    const struct variable_text *text;
    while (r->at < manager_variable_count(m))
        if (manager_variable(m, r->at++, &text)->scope != SCOPE_NONE)
            return variable_json(m, r->at - 1);
    return NULL;
}

/* A secret is told to agents only. */
static json_t *variable_json(const struct manager *m, uint32_t index)
{
    const struct variable_text *text;
    const struct variable_row *v = manager_variable(m, index, &text);
    json_t *json = json_pack("{s:s, s:b, s:o}", "name", v->name, "secret", v->secret, "since",
                             api_json_time(v->since_s));
    if (!v->secret)
        json_object_set_new(json, "value", json_stringn((const char *)text->value, v->len));
    add_place(m, v, text, json);
    return json;
}

static void add_place(const struct manager *m, const struct variable_row *v,
                      const struct variable_text *text, json_t *json)
{
    static const char *const names[SCOPE_COUNT] = {
        [SCOPE_DEPLOYMENT] = "deployment",
        [SCOPE_ALL] = "all",
        [SCOPE_SELECTOR] = "select",
        [SCOPE_AGENT] = "agent",
    };
    json_object_set_new(json, "for", json_string(names[v->scope]));
    if (v->scope == SCOPE_DEPLOYMENT)
        json_object_set_new(json, "deployment",
                            json_string(manager_deployment(m, v->of - 1)->name));
    if (v->scope == SCOPE_SELECTOR)
        json_object_set_new(json, "select", json_string(text->selector));
    if (v->scope == SCOPE_AGENT)
        json_object_set_new(json, "agent", json_integer(v->of));
}
