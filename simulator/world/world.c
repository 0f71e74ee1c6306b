#include "simulator/world/world.h"

#include "simulator/world/notary.h"

#include <assert.h>
#include <stdlib.h>

static const struct broker_options plain_links = {.delay_ms_min = 5, .delay_ms_max = 40};
static const struct policy quick_policy = {
    .heartbeat_s = 60, .keepalive_s = 20, .reconnect_spread_s = 10};

struct world *world_new(const struct world_options *options)
{
    static const struct world_options none;
    const struct world_options *o = options ? options : &none;
    struct world *w = calloc(1, sizeof *w);
    if (!w)
        abort();
    stage_open(&w->stage, o->seed);
    w->broker = broker_open(&w->stage, o->links.delay_ms_max ? &o->links : &plain_links);
    w->control =
        control_new(&w->stage, w->broker, &w->shelf,
                    &(struct control_options){
                        .policy = o->policy.heartbeat_s ? o->policy : quick_policy,
                        .document_life_s = o->document_life_s ? o->document_life_s : 7 * 86400,
                        .lane_agents_max = o->lane_agents_max,
                    });
    world_run(w, 500);
    return w;
}

void world_free(struct world *w)
{
    for (uint32_t i = 0; i < w->device_count; i++)
        device_free(w->devices[i]);
    control_free(w->control);
    broker_close(w->broker);
    stage_close(&w->stage);
    free(w);
}

/* ---- time ---- */

static bool never(const struct world *w, const void *context)
{
    (void)w, (void)context;
    return false;
}

void world_run(struct world *w, uint64_t ms)
{
    world_run_until(w, never, NULL, ms);
}

bool world_run_until(struct world *w, world_test *test, const void *context, uint64_t ms_max)
{
    uint64_t until = w->stage.now_ms + ms_max;
    while (!test(w, context)) {
        if (!stage_next(&w->stage, until))
            return test(w, context);
        world_check(w);
    }
    return true;
}

/* ---- what an operator does ---- */

static int command(struct world *w, const struct command *c)
{
    struct manager_out out;
    return control_command(w->control, c, &out);
}

int world_tokens(struct world *w, const char *labels, uint32_t count)
{
    struct manager_out out;
    struct command c = {.type = COMMAND_TOKEN_CREATE};
    c.token.count = count;
    c.token.uses = 1;
    c.token.expires_s = stage_wall_s(&w->stage) + 86400;
    c.token.labels = labels;
    int rv = control_command(w->control, &c, &out);
    return rv < 0 ? rv : (int)out.index;
}

int world_push(struct world *w, const struct script *script)
{
    struct manager_out out;
    return control_push(w->control, shelf_make(&w->shelf, script), &out);
}

int world_deploy(struct world *w, const char *bundle, const char *version, const char *selector)
{
    struct command c = {.type = COMMAND_DEPLOY};
    c.deploy.name = bundle;
    c.deploy.bundle = bundle;
    c.deploy.version = version;
    c.deploy.selector = selector;
    c.deploy.all = selector[0] == '\0';
    c.deploy.salt = 42;
    return command(w, &c);
}

int world_deploy_with(struct world *w, const struct command *c)
{
    return command(w, c);
}

static int name_command(struct world *w, enum command_type type, const char *deployment)
{
    struct command c = {.type = type};
    c.deployment.name = deployment;
    return command(w, &c);
}

int world_pause(struct world *w, const char *deployment)
{
    return name_command(w, COMMAND_PAUSE, deployment);
}

int world_resume(struct world *w, const char *deployment)
{
    return name_command(w, COMMAND_RESUME, deployment);
}

int world_rollback(struct world *w, const char *deployment)
{
    return name_command(w, COMMAND_ROLLBACK, deployment);
}

int world_remove(struct world *w, const char *deployment)
{
    return name_command(w, COMMAND_DEPLOYMENT_REMOVE, deployment);
}

int world_label(struct world *w, const struct device *d, const char *set, const char *unset)
{
    struct command c = {.type = COMMAND_LABEL};
    c.label.id = d->disk.id;
    c.label.set = set;
    c.label.unset = unset;
    return command(w, &c);
}

static int agent_command(struct world *w, enum command_type type, const struct device *d)
{
    struct command c = {.type = type};
    c.agent = d->disk.id;
    return command(w, &c);
}

int world_cordon(struct world *w, const struct device *d)
{
    return agent_command(w, COMMAND_AGENT_CORDON, d);
}

int world_uncordon(struct world *w, const struct device *d)
{
    return agent_command(w, COMMAND_AGENT_UNCORDON, d);
}

int world_remove_agent(struct world *w, const struct device *d)
{
    return agent_command(w, COMMAND_AGENT_REMOVE, d);
}

int world_revoke(struct world *w, const struct device *d)
{
    return agent_command(w, COMMAND_AGENT_REVOKE, d);
}

int world_release(struct world *w, const struct device *d)
{
    return agent_command(w, COMMAND_AGENT_RELEASE, d);
}

int world_replace(struct world *w, const struct device *d)
{
    struct manager_out out;
    struct command c = {.type = COMMAND_AGENT_REPLACE};
    c.replace.agent = d->disk.id;
    c.replace.mint = true;
    c.replace.expires_s = stage_wall_s(&w->stage) + 86400;
    int rv = control_command(w->control, &c, &out);
    return rv < 0 ? rv : (int)out.index;
}

struct rows *world_backup(const struct world *w)
{
    return rows_clone(w->control->rows);
}

void world_restore(struct world *w, const struct rows *backup, uint32_t base)
{
    struct rows *rows = rows_clone(backup);
    if (w->control->running)
        control_kill(w->control, UINT64_MAX);
    rows_restored(rows, stage_wall_s(&w->stage), ++w->control->restores, base);
    control_put_back(w->control, rows);
}

/* ---- devices ---- */

struct device *world_device(struct world *w, const struct token *token)
{
    struct device *d = world_device_off(w, token);
    device_start(d);
    return d;
}

struct device *world_device_off(struct world *w, const struct token *token)
{
    assert(w->device_count < WORLD_DEVICES_MAX);
    unsigned index = w->device_count + 1;
    struct device *d = device_new(&w->stage, w->broker, &w->shelf, index, token);
    w->devices[w->device_count++] = d;
    return d;
}

struct device *world_clone(struct world *w, const struct device *d)
{
    struct device *copy = world_device_off(w, &d->token);
    disk_copy(&copy->disk, &d->disk);
    copy->past = d->past;
    return copy;
}

static bool is_heard(const struct world *w, const void *context)
{
    return (world_flags(w, context) & AGENT_ONLINE) != 0;
}

struct device *world_agent(struct world *w, const char *labels)
{
    int batch = world_tokens(w, labels, 1);
    assert(batch >= 0);
    struct token token = control_token(w->control, (uint32_t)batch, 0);
    struct device *d = world_device(w, &token);
    world_run_until(w, is_heard, d, 60000);
    return d;
}

/* ---- what is so ---- */

const char *world_fault(const struct world *w)
{
    return w->stage.fault;
}

const char *world_trace(const struct world *w)
{
    return w->stage.trace;
}

unsigned world_count(const struct world *w, const char *words)
{
    unsigned count = 0;
    for (const char *at = w->stage.trace; (at = strstr(at, words)); at++)
        count++;
    return count;
}

static const struct held *row_named(const struct device *d, const char *name)
{
    for (uint32_t i = 0; i < d->disk.held_count; i++)
        if (strcmp(d->disk.held[i].name, name) == 0)
            return &d->disk.held[i];
    return NULL;
}

bool world_runs(const struct device *d, const char *deployment, const char *version)
{
    const struct digest *digest = disk_current(&d->disk, deployment);
    const struct bundle *b = digest ? shelf_find(d->shelf, digest) : NULL;
    const struct held *row = row_named(d, deployment);
    return b && row && strcmp(b->script.version, version) == 0 &&
           digest_equal(&row->running.bundle, digest) &&
           (row->phase == PHASE_SETTLED || row->phase == PHASE_ROLLED_BACK);
}

bool world_is_gone(const struct device *d, const char *deployment)
{
    return !disk_current(&d->disk, deployment) && !row_named(d, deployment);
}

enum deployment_state world_state(const struct world *w, const struct device *d,
                                  const char *deployment, enum cause *cause)
{
    struct agent_deployment list[RECORDS_MAX];
    const struct manager *m = w->control->core;
    int64_t index = manager_find_deployment(m, deployment);
    uint32_t number = manager_find_agent(m, &d->disk.id);
    size_t count = number ? manager_agent_deployments(m, number, list) : 0;
    for (size_t i = 0; i < count; i++) {
        if (list[i].deployment != index)
            continue;
        if (cause)
            *cause = list[i].cause;
        return list[i].state;
    }
    return STATE_COUNT;
}

uint32_t world_flags(const struct world *w, const struct device *d)
{
    const struct manager *m = w->control->core;
    uint32_t number = manager_find_agent(m, &d->disk.id);
    return number ? manager_agent(m, number)->flags : 0;
}

static bool device_at_rest(const struct world *w, const struct device *d)
{
    struct agent_deployment list[RECORDS_MAX];
    const struct manager *m = w->control->core;
    uint32_t number = manager_find_agent(m, &d->disk.id);
    if (d->state != DEVICE_RUNNING || d->job.busy || (number && d->core.link != LINK_UP))
        return false;
    if (!number)
        return true;
    const struct agent_row *row = manager_agent(m, number);
    const struct cohort *cohort = manager_cohort(m, row->cohort);
    if (!(row->flags & AGENT_ONLINE) || d->core.dirty ||
        revision_compare(row->document, cohort->revision) < 0 || !(row->flags & AGENT_ASSIGNED) ||
        revision_compare(d->disk.assignment.revision, row->assigned) < 0)
        return false;
    struct exception told[EXCEPTIONS_MAX];
    size_t count = manager_exceptions(m, number, told);
    for (size_t i = 0; i < count; i++)
        if (told[i].state == STATE_REMOVING)
            return false;
    count = manager_agent_deployments(m, number, list);
    for (size_t i = 0; i < count; i++) {
        enum deployment_state s = list[i].state;
        if (s != STATE_READY && s != STATE_FAILED && s != STATE_ROLLED_BACK && s != STATE_PAUSED)
            return false;
    }
    return true;
}

bool world_at_rest(const struct world *w, const void *unused)
{
    (void)unused;
    if (!w->control->running)
        return false;
    for (uint32_t i = 0; i < w->device_count; i++)
        if (!device_at_rest(w, w->devices[i]))
            return false;
    return true;
}
