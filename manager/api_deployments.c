#include "crypto/random.h"
#include "manager/api_budget.h"
#include "manager/api_json.h"
#include "manager/api_preview.h"
#include "manager/api_rollout.h"
#include "manager/api_routes.h"
#include "manager/common/plan_json.h"

/* Agents that one deployment's page names; a list of all is asked for by selector. */
#define SHOWN_MAX 1000

struct deploy_request;

static bool split_bundle(struct request *r, const char *text, char name[static API_NAME_MAX + 1],
                         const char **version);
static bool may_come(struct request *r, const struct command *c);
static bool read_deploy(struct request *r, struct deploy_request *q);
static bool read_plan(struct request *r, const json_t *json, struct plan *p);
static bool read_pick(struct request *r, const char *text, struct pick *p);
static bool read_after(struct request *r, const json_t *json, struct dependency_names *names);
static bool read_settings(struct request *r, const json_t *json, struct deploy_request *q);
static bool read_conditions(struct request *r, const char *tolerate, const char *facts,
                            const char *sort, struct roster *roster);
static bool read_named(struct request *r, const json_t *agents, struct roster *roster);
static request_finish finish_create;
static request_finish finish_change;
static void command_named(struct request *r, enum command_type type);
static json_t *history_json(const struct manager *m, uint32_t index);
static json_t *agents_json(const struct manager *m, uint32_t index);
static void add_agents(const struct manager *m, uint32_t index, bool ready, json_t *list);
static json_t *agent_json(const struct manager *m, uint32_t number,
                          const struct agent_deployment *d);

/* What a request to deploy says, and where its parts are kept. */
struct deploy_request {
    struct command command;
    char bundle[API_NAME_MAX + 1];
    struct plan plan;
    struct pick pick;
    struct dependency_names after;
    struct roster roster;
    struct setting settings[VARIABLES_NEEDED_MAX];
};

void api_deployments_create(struct request *r)
{
    struct deploy_request q = {.command = {.type = COMMAND_DEPLOY}};
    if (!read_deploy(r, &q) || !may_come(r, &q.command))
        return;
    if (q.command.deploy.dry_run)
        api_preview(r, &q.command);
    else
        request_command(r, &q.command, finish_create);
}

/* What devices would refuse comes to none, but where it is already it may be placed otherwise.
 * False: answered. */
static bool may_come(struct request *r, const struct command *c)
{
    const struct manager *m = daemon_core(r->daemon);
    int64_t index = manager_find_deployment(m, c->deploy.name);
    int64_t bundle = manager_find_bundle(m, c->deploy.bundle, c->deploy.version);
    bool is_there =
        index >= 0 && bundle >= 0 &&
        api_deployment_bundle(m, (uint32_t)index) == manager_bundle(m, (uint32_t)bundle);
    return bundle < 0 || is_there || api_bundle_trusted(r, manager_bundle(m, (uint32_t)bundle));
}

/* What is not said of a deployment stays as it is. */
static bool says(const struct request *r, const char *field)
{
    const json_t *value = json_object_get(r->json, field);
    return value && !json_is_null(value);
}

/* False: answered. */
static bool read_deploy(struct request *r, struct deploy_request *q)
{
    const char *name = "", *bundle = "", *selector = "", *pick = "", *tolerate = "", *facts = "";
    const char *sort = "";
    const json_t *rollout = NULL, *after = NULL, *agents = NULL, *variables = NULL;
    bool all = false, paused = false, keep = false, dry_run = false, confirm = false;
    uint64_t priority = 0, history = 0;
    const struct field fields[] = {
        {.name = "name", .type = FIELD_TEXT, .required = true, .out.text = &name},
        {.name = "bundle", .type = FIELD_TEXT, .required = true, .out.text = &bundle},
        {.name = "select", .type = FIELD_TEXT, .out.text = &selector},
        {.name = "facts", .type = FIELD_TEXT, .out.text = &facts},
        {.name = "sort", .type = FIELD_TEXT, .out.text = &sort},
        {.name = "tolerate", .type = FIELD_TEXT, .out.text = &tolerate},
        {.name = "agents", .type = FIELD_JSON, .out.json = &agents},
        {.name = "all", .type = FIELD_FLAG, .out.flag = &all},
        {.name = "pick", .type = FIELD_TEXT, .out.text = &pick},
        {.name = "priority", .type = FIELD_NUMBER, .max = UINT32_MAX, .out.number = &priority},
        {.name = "paused", .type = FIELD_FLAG, .out.flag = &paused},
        {.name = "keep", .type = FIELD_FLAG, .out.flag = &keep},
        {.name = "history", .type = FIELD_NUMBER, .max = HISTORY_MAX, .out.number = &history},
        {.name = "depends_on", .type = FIELD_JSON, .out.json = &after},
        {.name = "variables", .type = FIELD_JSON, .out.json = &variables},
        {.name = "rollout", .type = FIELD_JSON, .out.json = &rollout},
        {.name = "dry_run", .type = FIELD_FLAG, .out.flag = &dry_run},
        {.name = "confirm", .type = FIELD_FLAG, .out.flag = &confirm},
    };
    struct command *c = &q->command;
    if (!request_fields(r, fields, sizeof fields / sizeof fields[0]) ||
        !split_bundle(r, bundle, q->bundle, &c->deploy.version) ||
        (rollout && !read_plan(r, rollout, &q->plan)) || (*pick && !read_pick(r, pick, &q->pick)) ||
        (after && !read_after(r, after, &q->after)) ||
        (variables && !read_settings(r, variables, q)) ||
        !read_conditions(r, tolerate, facts, sort, &q->roster) ||
        (agents && !read_named(r, agents, &q->roster)))
        return false;
    c->deploy.name = name;
    c->deploy.bundle = q->bundle;
    c->deploy.selector = selector;
    c->deploy.all = all;
    c->deploy.priority = (uint32_t)priority;
    c->deploy.priority_stays = !says(r, "priority");
    c->deploy.keep_stays = !says(r, "keep");
    c->deploy.flags = (paused ? RECORD_PAUSED : 0u) | (keep ? RECORD_KEEP : 0u);
    c->deploy.history = (uint32_t)history;
    c->deploy.pick = *pick ? &q->pick : NULL;
    c->deploy.after = after ? &q->after : NULL;
    c->deploy.roster = &q->roster;
    c->deploy.plan = rollout ? &q->plan : NULL;
    c->deploy.dry_run = dry_run;
    c->confirmed = confirm;
    random_bytes(&c->deploy.salt, sizeof c->deploy.salt);
    return true;
}

static bool read_plan(struct request *r, const json_t *json, struct plan *p)
{
    struct errmsg em;
    int rv = plan_from_json(json, p, &em);
    if (rv < 0)
        request_reply_failure(r, rv, &em);
    return rv == 0;
}

static bool read_pick(struct request *r, const char *text, struct pick *p)
{
    struct errmsg em;
    int rv = pick_parse(text, p, &em);
    if (rv < 0)
        request_reply_failure(r, rv, &em);
    return rv == 0;
}

/* A list of names, which the core looks up. */
static bool read_settings(struct request *r, const json_t *json, struct deploy_request *q)
{
    const char *name;
    json_t *value;
    uint32_t count = 0;
    bool good = json_is_object(json) && json_object_size(json) <= VARIABLES_NEEDED_MAX;
    json_object_foreach((json_t *)(uintptr_t)json, name, value)
    {
        good = good && json_is_string(value);
        if (good)
            q->settings[count++] =
                (struct setting){.name = name, .value = json_string_value(value)};
    }
    q->command.deploy.settings = q->settings;
    q->command.deploy.setting_count = count;
    if (!good)
        request_reply_error(r, MHD_HTTP_BAD_REQUEST,
                            "the field 'variables' must be an object of at most %d texts",
                            VARIABLES_NEEDED_MAX);
    return good;
}

static bool read_after(struct request *r, const json_t *json, struct dependency_names *names)
{
    size_t count = json_array_size(json);
    bool good = json_is_array(json) && count <= DEPENDENCIES_MAX;
    names->count = (uint32_t)count;
    for (size_t i = 0; good && i < count; i++) {
        names->names[i] = json_string_value(json_array_get(json, i));
        good = names->names[i] != NULL;
    }
    if (!good)
        request_reply_error(
            r, MHD_HTTP_BAD_REQUEST,
            "the field 'depends_on' must be a list of at most %d deployments' names",
            DEPENDENCIES_MAX);
    return good;
}

static bool read_conditions(struct request *r, const char *tolerate, const char *facts,
                            const char *sort, struct roster *roster)
{
    struct errmsg em;
    int rv = tolerations_check(tolerate, &em);
    if (rv == 0)
        rv = fact_filter_check(facts, &em);
    if (rv == 0)
        rv = fact_order_check(sort, &em);
    if (rv < 0) {
        request_reply_failure(r, rv, &em);
        return false;
    }
    memcpy(roster->tolerate, tolerate, strlen(tolerate));
    memcpy(roster->facts, facts, strlen(facts));
    memcpy(roster->sort, sort, strlen(sort));
    return true;
}

static bool read_named(struct request *r, const json_t *agents, struct roster *roster)
{
    struct naming list[ROSTER_NAMED_MAX];
    size_t i;
    json_t *agent;
    if (!json_is_array(agents)) {
        request_reply_error(r, MHD_HTTP_BAD_REQUEST, "the field 'agents' must be a list of ids");
        return false;
    }
    if (json_array_size(agents) > ROSTER_NAMED_MAX) {
        request_reply_error(r, MHD_HTTP_BAD_REQUEST,
                            "a deployment names at most %d agents: choose by labels instead",
                            ROSTER_NAMED_MAX);
        return false;
    }
    json_array_foreach((json_t *)agents, i, agent)
    {
        const char *text = json_string_value(agent);
        list[i].text = text ? text : "";
    }
    bool good = api_find_named_agents(r, list, i);
    for (size_t k = 0; good && k < i; k++)
        good = roster_name(roster, list[k].number) == 0;
    return good;
}

void api_deployments_list(struct request *r)
{
    request_reply(r, MHD_HTTP_OK,
                  json_pack("{s:o}", "deployments", api_json_deployments(r->daemon, true)));
}

void api_deployments_show(struct request *r)
{
    const struct manager *m = daemon_core(r->daemon);
    uint32_t index;
    if (!api_find_deployment(r, &index))
        return;
    const struct deployment_counts *counts = daemon_counts(r->daemon);
    json_t *agents = counts ? agents_json(m, index) : NULL;
    json_t *json = agents ? api_json_deployment(r->daemon, index, &counts[index], true) : NULL;
    json_object_set_new(json, "history", history_json(m, index));
    json_int_t more = counts ? counts[index].targets - (json_int_t)json_array_size(agents) : 0;
    json_object_set_new(json, "agents", agents);
    json_object_set_new(json, "more", json_integer(more));
    request_reply(r, MHD_HTTP_OK, json);
}

void api_deployments_pause(struct request *r)
{
    if (request_fields(r, NULL, 0))
        command_named(r, COMMAND_PAUSE);
}

void api_deployments_resume(struct request *r)
{
    if (request_fields(r, NULL, 0))
        command_named(r, COMMAND_RESUME);
}

bool api_read_rollback(struct request *r, struct command *c)
{
    const struct field fields[] = {
        {.name = "to", .type = FIELD_TEXT, .out.text = &c->deployment.version},
        {.name = "confirm", .type = FIELD_FLAG, .out.flag = &c->confirmed},
    };
    return request_fields(r, fields, 2);
}

void api_deployments_rollback(struct request *r)
{
    struct command c = {.type = COMMAND_ROLLBACK, .deployment.name = r->name};
    if (api_read_rollback(r, &c))
        request_command(r, &c, finish_change);
}

void api_deployments_remove(struct request *r)
{
    struct command command = {
        .type = COMMAND_DEPLOYMENT_REMOVE,
        .confirmed = request_argument(r, "confirm") != NULL,
        .deployment = {.name = r->name, .force = request_argument(r, "force") != NULL}};
    request_command(r, &command, request_finish_empty);
}

/* "NAME@VERSION", the name copied to where it can end. */
static bool split_bundle(struct request *r, const char *text, char name[static API_NAME_MAX + 1],
                         const char **version)
{
    size_t len = strcspn(text, "@");
    if (!text[len] || len > API_NAME_MAX) {
        request_reply_error(r, MHD_HTTP_BAD_REQUEST,
                            "the field 'bundle' must be NAME@VERSION, not '%.80s'", text);
        return false;
    }
    memcpy(name, text, len);
    name[len] = '\0';
    *version = text + len + 1;
    return true;
}

static void finish_create(struct request *r, const struct manager_out *out)
{
    const struct manager *m = daemon_core(r->daemon);
    const struct deployment_row *d = manager_deployment(m, out->index);
    struct arena scratch = arena_on(r->tools->scratch, sizeof r->tools->scratch);
    json_int_t targets = manager_meant(m, out->index, &scratch);
    const char *queued =
        d->rollout.queued ? manager_bundle(m, d->rollout.queued - 1)->version : NULL;
    json_t *json =
        json_pack("{s:s, s:s, s:s?, s:I, s:I, s:b, s:b}", "name", d->name, "version",
                  api_deployment_bundle(m, out->index)->version, "queued", queued, "generation",
                  (json_int_t)manager_generation(m, out->index), "targets", targets, "paused",
                  (d->flags & RECORD_PAUSED) != 0, "changed", out->rv == 0);
    if (queued) { /* and what that waits for */
        char sentence[ROLLOUT_SENTENCE_MAX];
        api_rollout_sentence(m, out->index, daemon_now_s(r->daemon), NULL, sentence);
        json_object_set_new(json, "next", json_string(sentence));
    }
    if (d->plan.implied) {
        json_object_set_new(json, "implied", json_true());
        json_object_set_new(json, "budgets", api_budgets_on(m, out->index));
    }
    request_reply(r, MHD_HTTP_OK, json);
}

static void finish_change(struct request *r, const struct manager_out *out)
{
    const struct deployment_counts *counts = daemon_counts(r->daemon);
    request_reply(r, MHD_HTTP_OK,
                  counts ? api_json_deployment(r->daemon, out->index, &counts[out->index], true)
                         : NULL);
}

static void command_named(struct request *r, enum command_type type)
{
    struct command command = {.type = type, .deployment.name = r->name};
    request_command(r, &command, finish_change);
}

/* With the values that each one was the first to have; of the oldest that is not known. */
static json_t *history_json(const struct manager *m, uint32_t index)
{
    static const struct generation_row none;
    const struct deployment_row *d = manager_deployment(m, index);
    json_t *list = json_array();
    for (uint32_t i = 0; i < d->history_count; i++) {
        const struct generation_row *g = &d->history[i];
        const struct generation_row *before = i + 1 < d->history_count ? g + 1 : &none;
        json_array_append_new(list, json_pack("{s:I, s:s, s:o, s:o}", "generation",
                                              (json_int_t)g->generation, "version",
                                              manager_bundle(m, g->bundle)->version, "since",
                                              api_json_time(g->since_s), "values",
                                              api_json_values(m, index, before, g)));
    }
    return list;
}

/* Whoever looks wants to know what isn't ready yet: these come first. */
static json_t *agents_json(const struct manager *m, uint32_t index)
{
    json_t *list = json_array();
    add_agents(m, index, false, list);
    add_agents(m, index, true, list);
    return list;
}

static void add_agents(const struct manager *m, uint32_t index, bool ready, json_t *list)
{
    struct agent_deployment d;
    for (uint32_t n = 1; n <= manager_agent_count(m) && json_array_size(list) < SHOWN_MAX; n++)
        if (manager_agent_deployment(m, n, index, &d) && (d.state == STATE_READY) == ready)
            json_array_append_new(list, agent_json(m, n, &d));
}

static json_t *agent_json(const struct manager *m, uint32_t number,
                          const struct agent_deployment *d)
{
    json_t *json =
        json_pack("{s:s, s:I, s:s, s:s, s:s}", "id", key_id_hex(&manager_agent(m, number)->id).text,
                  "number", (json_int_t)number, "state", deployment_state_name(d->state), "version",
                  manager_generation_version(m, d->deployment, d->running), "target",
                  manager_generation_version(m, d->deployment, d->wanted));
    if (d->cause != CAUSE_NONE)
        json_object_set_new(json, "cause", json_string(cause_text(d->cause)));
    return json;
}
