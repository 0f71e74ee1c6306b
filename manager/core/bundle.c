/*
 * bundle: which bundles there are. A version never changes, and none goes that something needs.
 */
#include "manager/core/state.h"

void bundle_add(struct turn *t)
{
    struct manager *m = t->m;
    const struct bundle_row *row = &t->ev->command->bundle;
    if (command_check_name(t, "bundle's name", row->name) < 0 ||
        command_check_name(t, "version", row->version) < 0)
        return;
    int64_t old = manager_find_bundle(m, row->name, row->version);
    if (old >= 0 && digest_equal(&m->bundles[old].digest, &row->digest)) {
        t->out->index = (uint32_t)old;
        t->out->rv = 1;
        return;
    }
    if (old >= 0) {
        REFUSE(t, ERR_EXISTS,
               "%s@%s exists with other content: a version never changes, choose a new one",
               row->name, row->version);
        return;
    }
    if (m->bundle_count == m->options.limits.bundles) {
        REFUSE(t, ERR_RANGE, "%u bundles have been pushed, the most that are kept",
               m->bundle_count);
        return;
    }
    t->out->index = m->bundle_count++;
    m->bundles[t->out->index] = *row;
    m->bundles[t->out->index].created_s = t->ev->now_s;
    persist(t, PERSIST_BUNDLE, t->out->index);
}

/* Some agents are to run it, or will be. */
static bool uses(const struct deployment_row *d, uint32_t bundle)
{
    const struct rollout *r = &d->rollout;
    bool stable = deployment_rolls(d) && r->stable != 0 && r->stable_bundle == bundle;
    return !d->removed && (d->history[0].bundle == bundle || stable || r->queued == bundle + 1);
}

static const struct deployment_row *user_of(const struct manager *m, uint32_t bundle)
{
    for (uint32_t i = 0; i < m->deployment_count; i++)
        if (uses(&m->deployments[i], bundle))
            return &m->deployments[i];
    return NULL;
}

/* Who would go back to it. Devices keep the tree they ran before, but those that went back to it
 * need its content to mend it. */
static const struct deployment_row *fallback_of(const struct manager *m, uint32_t bundle)
{
    for (uint32_t i = 0; i < m->deployment_count; i++) {
        const struct deployment_row *d = &m->deployments[i];
        struct version back;
        if (!d->removed && generation_back(m, d, NULL, &back) && back.bundle == bundle)
            return d;
    }
    return NULL;
}

int bundle_find(struct turn *t, const char *name, const char *version)
{
    int64_t index = manager_find_bundle(t->m, name, version);
    if (index < 0)
        return REFUSE(t, ERR_NOT_FOUND, "there is no bundle %.64s@%.64s: see `dunlin bundle list`",
                      name, version);
    return (int)index;
}

void bundle_remove(struct turn *t)
{
    const struct command *c = t->ev->command;
    int index = bundle_find(t, c->bundle_name.name, c->bundle_name.version);
    if (index < 0)
        return;
    const struct deployment_row *user = user_of(t->m, (uint32_t)index);
    if (user) {
        REFUSE(t, ERR_BUSY, "%s@%s is deployed by %s: remove or change that deployment first",
               c->bundle_name.name, c->bundle_name.version, user->name);
        return;
    }
    user = c->bundle_name.force ? NULL : fallback_of(t->m, (uint32_t)index);
    if (user) {
        REFUSE(t, ERR_BUSY, "%s@%s is what %s would go back to: say --force if it never shall",
               c->bundle_name.name, c->bundle_name.version, user->name);
        return;
    }
    t->out->index = (uint32_t)index;
    t->m->bundles[index].removed = true;
    persist(t, PERSIST_BUNDLE_GONE, (uint32_t)index);
}
