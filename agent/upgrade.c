#include "agent/upgrade.h"

#include "agent/tree.h"

bool upgrade_hears(struct upgrade *u, const struct agent_event *ev)
{
    u->answered |= ev->type == AGENT_DOCUMENT || ev->type == AGENT_ASSIGNMENT;
    return ev->type == AGENT_LINK_UP && !u->answered && program_on_trial(u->dir);
}

int upgrade_prepare(const struct upgrade *u, const struct digest *tree,
                    const struct digest *previous, char program[static FILE_PATH_MAX],
                    struct errmsg *em)
{
    struct digest proven;
    bool foreign = program_proven(u->dir, &proven) && !digest_equal(&proven, tree) &&
                   !digest_equal(&proven, previous);
    if (foreign)
        return errmsg_set(em, ERR_REFUSED, "another deployment has brought the agent that runs");
    return program_find(u->dir, tree, program, em);
}

int upgrade_begin(struct upgrade *u, const struct digest *tree, const struct manifest *m,
                  struct errmsg *em)
{
    if (program_runs(u->dir, tree) || program_spent(u->dir, tree))
        return 0;
    /* It judges itself at the health deadline; twice that is for one that can't any more. */
    uint32_t limit_s = m->hook_timeout_s + 2 * m->health_deadline_s;
    int rv = program_try(u->dir, tree, limit_s, em);
    u->over = rv == 0;
    return rv < 0 ? rv : 1;
}

/* A packaged program that still goes on after the proven one was chosen is there in its stead. */
int upgrade_undo(struct upgrade *u, const struct digest *tree, struct errmsg *em)
{
    const struct digest packaged = {0};
    int rv = program_return(u->dir, tree, em);
    if (rv < 0 || program_runs(u->dir, tree))
        return rv < 0 ? rv : 0;
    u->over = rv == 1 || !program_runs(u->dir, &packaged);
    return u->over;
}

static int look_at_start(const struct upgrade *u, const struct digest *tree, struct errmsg *em)
{
    if (program_runs(u->dir, tree))
        return 0;
    return errmsg_set(em, ERR_REFUSED, "the new agent was started %d times and came to no end",
                      PROGRAM_STARTS_MAX);
}

static int look_at_proof(const struct upgrade *u, const struct digest *tree, const char *down,
                         struct errmsg *em)
{
    if (!program_runs(u->dir, tree))
        return errmsg_set(em, ERR_REFUSED, "the new agent doesn't run");
    /* The power may have failed between its proof and what is kept of that. */
    bool on_trial = program_on_trial(u->dir);
    if (on_trial && !u->acknowledged)
        return errmsg_set(em, ERR_REFUSED, "the new agent has reached no broker%s%s",
                          down[0] ? ": " : "", down);
    if (on_trial && !u->answered)
        return errmsg_set(em, ERR_REFUSED,
                          "the new agent has read nothing that the manager signed");
    return program_prove(u->dir, tree, em);
}

int upgrade_hook(struct upgrade *u, enum agent_hook hook, const struct digest *tree,
                 const char *down, struct errmsg *em)
{
    switch (hook) {
    case HOOK_APPLY:
        return look_at_start(u, tree, em);
    case HOOK_HEALTH:
        return look_at_proof(u, tree, down, em);
    case HOOK_PRE_APPLY:
    case HOOK_REMOVE:
    case HOOK_COUNT:
        break;
    }
    return 0;
}
