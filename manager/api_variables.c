#include "manager/api_json.h"
#include "manager/api_routes.h"

#include <stdlib.h>

static bool read_values(struct request *r, const json_t *json, struct setting *out,
                        uint32_t *count);
static bool read_names(struct request *r, const json_t *json, struct setting *out, uint32_t *count);
static bool read_place(struct request *r, const char *select, const char *agent,
                       struct command *command);
static void change(struct request *r, const struct command *c);
static void preview(struct request *r, const struct command *c);
static json_t *previews_json(const struct manager *m, const struct values_preview *p,
                             uint32_t count);
static request_finish finish_change;
static request_item next_variable;
static json_t *variable_json(const struct manager *m, uint32_t index);
static void add_place(const struct manager *m, const struct variable_row *v,
                      const struct variable_text *text, json_t *json);

/* ---- changing them ---- */

void api_variables_set(struct request *r)
{
    const char *select = NULL, *agent = NULL;
    const json_t *values = NULL;
    struct setting settings[VARIABLES_SET_MAX];
    struct command command = {.type = COMMAND_VARIABLE_SET, .variable = {.settings = settings}};
    const struct field fields[] = {
        {.name = "values", .type = FIELD_JSON, .required = true, .out.json = &values},
        {.name = "secret", .type = FIELD_FLAG, .out.flag = &command.variable.secret},
        {.name = "select", .type = FIELD_TEXT, .out.text = &select},
        {.name = "agent", .type = FIELD_TEXT, .out.text = &agent},
        {.name = "at_once", .type = FIELD_FLAG, .out.flag = &command.variable.at_once},
        {.name = "dry_run", .type = FIELD_FLAG, .out.flag = &command.variable.dry_run},
        {.name = "confirm", .type = FIELD_FLAG, .out.flag = &command.confirmed},
    };
    if (!request_fields(r, fields, sizeof fields / sizeof fields[0]) ||
        !read_values(r, values, settings, &command.variable.count) ||
        !read_place(r, select, agent, &command))
        return;
    change(r, &command);
}

void api_variables_unset(struct request *r)
{
    const char *select = NULL, *agent = NULL;
    const json_t *names = NULL;
    struct setting settings[VARIABLES_SET_MAX];
    struct command command = {.type = COMMAND_VARIABLE_UNSET, .variable = {.settings = settings}};
    const struct field fields[] = {
        {.name = "names", .type = FIELD_JSON, .required = true, .out.json = &names},
        {.name = "select", .type = FIELD_TEXT, .out.text = &select},
        {.name = "agent", .type = FIELD_TEXT, .out.text = &agent},
        {.name = "dry_run", .type = FIELD_FLAG, .out.flag = &command.variable.dry_run},
        {.name = "confirm", .type = FIELD_FLAG, .out.flag = &command.confirmed},
    };
    if (!request_fields(r, fields, sizeof fields / sizeof fields[0]) ||
        !read_names(r, names, settings, &command.variable.count) ||
        !read_place(r, select, agent, &command))
        return;
    change(r, &command);
}

static bool read_values(struct request *r, const json_t *json, struct setting *out, uint32_t *count)
{
    const char *name;
    json_t *value;
    bool good = json_is_object(json) && json_object_size(json) <= VARIABLES_SET_MAX;
    json_object_foreach((json_t *)(uintptr_t)json, name, value)
    {
        good = good && json_is_string(value);
        if (good)
            out[(*count)++] = (struct setting){.name = name, .value = json_string_value(value)};
    }
    if (!good)
        request_reply_error(r, MHD_HTTP_BAD_REQUEST,
                            "the field 'values' must be an object of 1 to %d texts",
                            VARIABLES_SET_MAX);
    return good;
}

static bool read_names(struct request *r, const json_t *json, struct setting *out, uint32_t *count)
{
    bool good = json_is_array(json) && json_array_size(json) <= VARIABLES_SET_MAX;
    for (size_t i = 0; good && i < json_array_size(json); i++) {
        const char *name = json_string_value(json_array_get(json, i));
        good = name != NULL;
        out[(*count)++] = (struct setting){.name = name ? name : "", .value = ""};
    }
    if (!good)
        request_reply_error(r, MHD_HTTP_BAD_REQUEST,
                            "the field 'names' must be a list of 1 to %d texts", VARIABLES_SET_MAX);
    return good;
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

static void change(struct request *r, const struct command *c)
{
    if (c->variable.dry_run)
        preview(r, c);
    else
        request_command(r, c, finish_change);
}

static void finish_change(struct request *r, const struct manager_out *out)
{
    request_reply(r, MHD_HTTP_OK, json_pack("{s:b}", "changed", out->rv == 0));
}

/* ---- what a change would come to ---- */

static void preview(struct request *r, const struct command *c)
{
    /* The core's accessor is made for looking; a dry run changes nothing. */
    struct manager *m = (struct manager *)daemon_core(r->daemon);
    struct arena scratch = arena_on(r->tools->scratch, sizeof r->tools->scratch);
    struct values_preview *p = calloc(VALUES_PREVIEWS_MAX, sizeof *p);
    struct errmsg em = {.text = ""};
    uint32_t count = 0, more = 0;
    int rv =
        p ? manager_values_preview(m, c, daemon_now_s(r->daemon), &scratch, p, &count, &more, &em)
          : ERR_NO_MEMORY;
    if (rv < 0)
        request_reply_failure(r, rv, &em);
    else
        request_reply(r, MHD_HTTP_OK,
                      json_pack("{s:b, s:b, s:b, s:o, s:I}", "dry_run", true, "at_once",
                                c->variable.at_once, "changed", rv == 0, "deployments",
                                previews_json(m, p, count), "more", (json_int_t)more));
    free(p);
}

static json_t *previews_json(const struct manager *m, const struct values_preview *p,
                             uint32_t count)
{
    static const char *const ways[] = {
        [VALUES_AT_ONCE] = "at-once", [VALUES_BY_STAGES] = "by-stages", [VALUES_LATER] = "later"};
    json_t *list = json_array();
    for (uint32_t i = 0; i < count; i++) {
        json_t *stages = json_array();
        for (uint32_t s = 0; s < p[i].stage_count; s++)
            json_array_append_new(stages, json_pack("{s:s, s:I, s:I}", "name", p[i].stages[s].name,
                                                    "members", (json_int_t)p[i].stages[s].members,
                                                    "touched", (json_int_t)p[i].stages[s].touched));
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:I, s:I, s:o}", "name",
                                        manager_deployment(m, p[i].deployment)->name, "way",
                                        ways[p[i].way], "targets", (json_int_t)p[i].targets,
                                        "touched", (json_int_t)p[i].touched, "stages", stages));
    }
    return list;
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
    while (r->at < manager_variable_count(m)) {
        const struct variable_row *v = manager_variable(m, r->at++, &text);
        if (v->scope != SCOPE_NONE && v->until == 0)
            return variable_json(m, r->at - 1);
    }
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
