/*
 * command: what operators ask for: each kind has its runner, and those that steer a deployment are
 * here.
 */
#include "manager/core/state.h"

int fail_with(struct turn *t, int rv)
{
    t->out->rv = rv;
    return rv;
}

int command_check_name(struct turn *t, const char *what, const char *name)
{
    if (name_valid(span_text(name)))
        return 0;
    return REFUSE(
        t, ERR_USAGE,
        "%s: a %s is 1 to %d letters, digits, '.', '_' or '-', and begins with none of '.-'",
        name[0] ? name : "\"\"", what, NAME_MAX_LEN);
}

/* The driver has checked its signatures against the version that was the newest then. */
static void trust_set(struct turn *t)
{
    struct manager *m = t->m;
    const struct trust *next = t->ev->command->trust.next;
    t->out->index = next->version;
    if (next->version != m->trust.version + 1) {
        REFUSE(t, ERR_OLD,
               "the fleet's trust document has version %u already: make the next one from that",
               m->trust.version);
        return;
    }
    m->trust = *next;
    persist(t, PERSIST_TRUST, next->version);
    cohort_mark_all(m);
}

/* The deployment that a command names, or NULL with the reply set. */
static struct deployment_row *named(struct turn *t)
{
    const char *name = t->ev->command->deployment.name;
    int64_t index = manager_find_deployment(t->m, name);
    if (index < 0) {
        REFUSE(t, ERR_NOT_FOUND, "there is no deployment %.64s: see `dunlin deployment list`",
               name);
        return NULL;
    }
    t->out->index = (uint32_t)index;
    return &t->m->deployments[index];
}

static void changed(struct turn *t, const struct deployment_row *d)
{
    persist(t, PERSIST_DEPLOYMENT, t->out->index);
    cohort_mark_deployment(t->m, d);
}

static void pause(struct turn *t)
{
    struct deployment_row *d = named(t);
    if (!d)
        return;
    t->out->rv = d->flags & RECORD_PAUSED ? 1 : 0;
    if (t->out->rv == 1)
        return;
    d->flags |= RECORD_PAUSED;
    changed(t, d);
}

/* Both what an operator paused and what stopped by itself. */
static void resume(struct turn *t)
{
    struct deployment_row *d = named(t);
    if (!d)
        return;
    bool stopped = d->rollout.state == ROLLOUT_STOPPED, paused = d->flags & RECORD_PAUSED;
    if (!paused && d->rollout.state == ROLLOUT_ABORTED) {
        REFUSE(t, ERR_BUSY,
               "the rollout of %s was aborted, which no resume undoes: `dunlin rollout rollback "
               "%s`, or deploy another version",
               d->name, d->name);
        return;
    }
    t->out->rv = !paused && !stopped;
    if (t->out->rv == 1)
        return;
    if (stopped)
        steering_resume(t, t->out->index);
    if (!paused)
        return;
    d->flags &= ~(uint32_t)RECORD_PAUSED;
    steering_go_on(t, t->out->index);
    changed(t, d);
}

/* What to go back to, or a code with the reply set. */
static int rollback_target(struct turn *t, const struct deployment_row *d, struct version *out)
{
    const char *version = t->ev->command->deployment.version;
    if (generation_back(t->m, d, version, out))
        return 0;
    if (version)
        return REFUSE(t, ERR_NOT_FOUND,
                      "%s has no version %.64s in its history: see `dunlin deployment show %s`",
                      d->name, version, d->name);
    return REFUSE(t, ERR_NOT_FOUND, "%s has no earlier version to go back to", d->name);
}

static void rollback(struct turn *t)
{
    struct deployment_row *d = named(t);
    if (!d)
        return;
    struct version to;
    if (rollback_target(t, d, &to) < 0 ||
        variable_check(t, d->name, t->out->index, d->selector, &to) < 0 ||
        extent_check_all(t, t->out->index, "going back") < 0 ||
        rollout_go_back(t, t->out->index, &to) < 0)
        return;
    changed(t, d);
}

/* How its rollout goes on. */
static void steer(struct turn *t)
{
    if (!named(t))
        return;
    if (t->ev->command->type == COMMAND_APPROVE)
        steering_approve(t, t->out->index, t->ev->command->deployment.stage);
    else if (t->ev->command->type == COMMAND_ABORT)
        steering_abort(t, t->out->index);
    else if (t->ev->command->type == COMMAND_PACE)
        steering_pace(t, t->out->index);
    else
        steering_retry(t, t->out->index);
}

/* Without it, what depends on it would go on where it runs, and begin nowhere any more. */
static void deployment_remove(struct turn *t)
{
    struct deployment_row *d = named(t);
    if (!d)
        return;
    const struct deployment_row *user = dependency_user(t->m, t->out->index);
    if (user && !t->ev->command->deployment.force) {
        REFUSE(t, ERR_BUSY,
               "%s depends on %s: remove or change that deployment first, or say --force to have "
               "it go on without",
               user->name, d->name);
        return;
    }
    if (!(d->flags & RECORD_KEEP) && extent_check_all(t, t->out->index, "removing it") < 0)
        return;
    dependency_mark_users(t->m, t->out->index);
    d->removed = true;
    list_drop(t->m, t->out->index);
    pick_keep(t->m, t->out->index, &(struct picked){0});
    rollout_end(t->m, t->out->index, ROLLOUT_NONE);
    changed(t, d);
}

static void (*const runners[])(struct turn *t) = {
    [COMMAND_TOKEN_CREATE] = batch_create,
    [COMMAND_TOKEN_REVOKE] = batch_revoke,
    [COMMAND_TRUST] = trust_set,
    [COMMAND_BUNDLE_ADD] = bundle_add,
    [COMMAND_BUNDLE_REMOVE] = bundle_remove,
    [COMMAND_DEPLOY] = deploy_run,
    [COMMAND_PAUSE] = pause,
    [COMMAND_RESUME] = resume,
    [COMMAND_ROLLBACK] = rollback,
    [COMMAND_APPROVE] = steer,
    [COMMAND_ABORT] = steer,
    [COMMAND_RETRY] = steer,
    [COMMAND_PACE] = steer,
    [COMMAND_DEPLOYMENT_REMOVE] = deployment_remove,
    [COMMAND_LABEL] = agent_label,
    [COMMAND_AGENT_APPROVE] = agent_approve,
    [COMMAND_AGENT_REMOVE] = agent_remove,
    [COMMAND_AGENT_REVOKE] = membership_revoke,
    [COMMAND_AGENT_RELEASE] = membership_release,
    [COMMAND_AGENT_REPLACE] = membership_replace,
    [COMMAND_AGENT_CORDON] = agent_cordon,
    [COMMAND_AGENT_UNCORDON] = agent_cordon,
    [COMMAND_AGENT_TAINT] = agent_taint,
    [COMMAND_GROUP_SET] = group_set,
    [COMMAND_GROUP_REMOVE] = group_remove,
    [COMMAND_BUDGET_SET] = budget_set,
    [COMMAND_BUDGET_REMOVE] = budget_remove,
    [COMMAND_VARIABLE_SET] = variable_run,
    [COMMAND_VARIABLE_UNSET] = variable_run,
};

void command_run(struct turn *t)
{
    runners[t->ev->command->type](t);
}
