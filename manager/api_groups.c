#include "manager/api_json.h"
#include "manager/api_routes.h"

static request_finish finish_set;
static json_t *group_json(const struct manager *m, uint32_t index);

void api_groups_set(struct request *r)
{
    struct command c = {.type = COMMAND_GROUP_SET};
    const struct field fields[] = {
        {.name = "name", .type = FIELD_TEXT, .required = true, .out.text = &c.group.name},
        {.name = "select", .type = FIELD_TEXT, .required = true, .out.text = &c.group.selector},
        {.name = "confirm", .type = FIELD_FLAG, .out.flag = &c.confirmed},
    };
    if (request_fields(r, fields, sizeof fields / sizeof fields[0]))
        request_command(r, &c, finish_set);
}

void api_groups_list(struct request *r)
{
    const struct manager *m = daemon_core(r->daemon);
    json_t *list = json_array();
    for (uint32_t i = 0; i < manager_group_count(m); i++)
        if (manager_group(m, i)->name[0])
            json_array_append_new(list, group_json(m, i));
    request_reply(r, MHD_HTTP_OK, json_pack("{s:o}", "groups", list));
}

void api_groups_show(struct request *r)
{
    const struct manager *m = daemon_core(r->daemon);
    int64_t index = manager_find_group(m, r->name);
    if (index >= 0)
        request_reply(r, MHD_HTTP_OK, group_json(m, (uint32_t)index));
    else
        request_reply_error(r, MHD_HTTP_NOT_FOUND,
                            "there is no group %.64s: see `dunlin group list`", r->name);
}

void api_groups_remove(struct request *r)
{
    struct command c = {.type = COMMAND_GROUP_REMOVE, .group.name = r->name};
    request_command(r, &c, request_finish_empty);
}

static void finish_set(struct request *r, const struct manager_out *out)
{
    json_t *json = group_json(daemon_core(r->daemon), out->index);
    json_object_set_new(json, "changed", json_boolean(out->rv == 0));
    request_reply(r, MHD_HTTP_OK, json);
}

static json_t *group_json(const struct manager *m, uint32_t index)
{
    const struct group_row *row = manager_group(m, index);
    struct group_use use = manager_group_use(m, index);
    return json_pack("{s:s, s:s, s:I, s:I}", "name", row->name, "select", row->selector, "agents",
                     (json_int_t)use.agents, "deployments", (json_int_t)use.deployments);
}
