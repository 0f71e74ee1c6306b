#include "simulator/fleet/parts.h"

#include "base/siphash.h"

#include <stdio.h>

/* What the operator does, one after the other. */
enum { SCENE_FIRST_VERSION, SCENE_NEXT_VERSION, SCENE_APPROVAL };

/* Of twenty devices of a site one is for staging, three are canaries. */
#define SLOTS 20
/* Who wants to approve what hasn't come yet looks again after so long. */
#define APPROVE_AGAIN_MS 60000
/* A pause lasts so long at most. */
#define PAUSE_MS 3600000
static const struct {
    const char *name;
    uint32_t first, count;
} environments[] = {{"staging", 0, 1}, {"canary", 1, 3}, {"prod", 4, 16}};
#define ENVIRONMENTS (sizeof environments / sizeof environments[0])

uint32_t scene_stage(uint32_t n)
{
    uint32_t slot = n % SLOTS;
    return slot < environments[1].first ? 0 : slot < environments[2].first ? 1 : 2;
}

void scene_token(const struct flock *f, uint32_t n, uint32_t *batch, uint32_t *index)
{
    uint32_t slot = n % SLOTS, site = n / SLOTS % f->o->sites, round = n / SLOTS / f->o->sites;
    uint32_t e = scene_stage(n);
    *batch = e * f->o->sites + site;
    *index = round * environments[e].count + slot - environments[e].first;
}

static void make_tokens(struct flock *f, uint32_t e, uint32_t site)
{
    char labels[64];
    struct command c = {.type = COMMAND_TOKEN_CREATE};
    snprintf(labels, sizeof labels, "env=%s,site=s%u", environments[e].name, (unsigned)site);
    c.token.count = (f->o->agents / SLOTS / f->o->sites + 1) * environments[e].count;
    c.token.uses = 1;
    c.token.expires_s = flock_wall_s(f) + 365 * 86400;
    c.token.labels = labels;
    office_command(f, &c);
}

static void push(struct flock *f, const char *version)
{
    struct command c = {.type = COMMAND_BUNDLE_ADD};
    struct digest digest = digest_of(span_text(version));
    f->bundles[f->bundle_count++] = digest;
    c.bundle = (struct bundle_row){
        .digest = digest, .bytes = f->o->bundle_bytes, .files = 10, .chunks = 16};
    snprintf(c.bundle.name, sizeof c.bundle.name, "app");
    snprintf(c.bundle.version, sizeof c.bundle.version, "%s", version);
    office_command(f, &c);
}

void scene_open(struct flock *f)
{
    for (uint32_t e = 0; e < ENVIRONMENTS; e++)
        for (uint32_t site = 0; site < f->o->sites; site++)
            make_tokens(f, e, site);
    push(f, "1");
    push(f, "2");
    flock_at(f, 1000, OPERATOR, 0, 0, SCENE_FIRST_VERSION);
    if (f->o->deploy_ms)
        flock_at(f, f->o->deploy_ms, OPERATOR, 0, 0, SCENE_NEXT_VERSION);
}

/* Staging, then canaries ten minutes later, then all others. */
static struct plan three_stages(const struct flock *f)
{
    struct plan p = PLAN_DEFAULT;
    p.count = ENVIRONMENTS;
    p.quorum = f->o->failing_per_mille ? 1 : 100;
    p.max_failed = (struct amount){.value = 100, .percent = true};
    p.returning.value = f->o->returning;
    for (uint32_t i = 0; i < p.count; i++) {
        struct plan_stage *s = &p.stages[i];
        snprintf(s->name, sizeof s->name, "%s", environments[i].name);
        snprintf(s->selector, sizeof s->selector, "env=%s", environments[i].name);
        s->concurrency = f->o->concurrency;
        s->after.wait_s = i == 1 ? 600 : 0;
        s->before.approval = i == 2 && f->o->approve_ms > 0;
    }
    return p;
}

static void approve(struct flock *f)
{
    struct command c = {.type = COMMAND_APPROVE};
    const struct rollout *r = &manager_deployment(f->core, 0)->rollout;
    c.deployment.name = "app";
    c.deployment.stage = environments[2].name;
    if (r->state != ROLLOUT_RUNNING)
        return;
    if (r->stage == 2 && r->step == ROLLOUT_OPENING && !r->approved) {
        office_command(f, &c);
        f->result->counts.approvals++;
    } else {
        flock_at(f, f->queue.now_ms + APPROVE_AGAIN_MS, OPERATOR, 0, 0, SCENE_APPROVAL);
    }
}

void scene_step(struct flock *f, uint64_t what)
{
    struct plan plan = three_stages(f);
    struct command c = {.type = COMMAND_DEPLOY};
    if (!f->core) {
        flock_at(f, f->queue.now_ms + 1000, OPERATOR, 0, 0, what);
        return;
    }
    if (what == SCENE_APPROVAL) {
        approve(f);
        return;
    }
    c.deploy.name = c.deploy.bundle = "app";
    c.deploy.version = what == SCENE_FIRST_VERSION ? "1" : "2";
    c.deploy.selector = "";
    c.deploy.all = true;
    c.deploy.salt = f->o->seed;
    if (what == SCENE_NEXT_VERSION) {
        c.deploy.plan = &plan;
        f->asked_ms = f->queue.now_ms;
        if (f->o->approve_ms)
            flock_at(f, f->asked_ms + f->o->approve_ms, OPERATOR, 0, 0, SCENE_APPROVAL);
    }
    office_command(f, &c);
}

static bool is_paused(const struct flock *f)
{
    return manager_deployment_count(f->core) > 0 &&
           manager_deployment(f->core, 0)->flags & RECORD_PAUSED;
}

void scene_pause(struct flock *f)
{
    struct command c = {.type = COMMAND_PAUSE};
    c.deployment.name = "app";
    if (!f->core || manager_deployment_count(f->core) == 0 || is_paused(f))
        return;
    office_command(f, &c);
    f->result->counts.pauses++;
    flock_at(f, f->queue.now_ms + rng_below(&f->fate, PAUSE_MS), RESUME, 0, 0, 0);
}

void scene_resume(struct flock *f)
{
    struct command c = {.type = COMMAND_RESUME};
    c.deployment.name = "app";
    if (!f->core)
        flock_at(f, f->queue.now_ms + 1000, RESUME, 0, 0, 0);
    else if (is_paused(f))
        office_command(f, &c);
}

void scene_remove(struct flock *f, uint32_t n)
{
    const struct node *d = &f->nodes[n];
    struct command c = {.type = COMMAND_AGENT_REMOVE, .confirmed = true, .agent = d->id};
    if (!f->core || d->number == 0 || d->twin != NOBODY ||
        !agent_in_fleet(manager_agent(f->core, d->number)))
        return;
    office_command(f, &c);
    f->result->counts.removals++;
}

/* Which devices the second version fails on: by their ids. */
bool scene_fails(const struct flock *f, const struct node *d, uint8_t bundle)
{
    static const uint8_t key[SIPHASH_KEY_LEN] = "who fails";
    uint64_t hash = siphash(key, span_of(d->id.bytes, sizeof d->id.bytes));
    return bundle == 1 && hash % 1000 < f->o->failing_per_mille;
}
