#include "simulator/fleet/parts.h"

#include "base/siphash.h"

#include <stdio.h>

/* What the operator does, one after the other. */
enum { SCENE_FIRST_VERSION, SCENE_NEXT_VERSION, SCENE_APPROVAL };

/* Of twenty devices of a site one is for staging, three are canaries. */
#define SLOTS 20
/* Whom the deployment is for, and its budget. */
#define SELECTED "!parked"
/* Who wants to approve what hasn't come yet, or comes again, looks again after so long. */
#define APPROVE_AGAIN_MS 60000
static const struct {
    const char *name;
    uint32_t first, count;
} environments[] = {{"staging", 0, 1}, {"canary", 1, 3}, {"prod", 4, 16}};
_Static_assert(sizeof environments / sizeof environments[0] == SCENE_STAGES, "one for each stage");

static uint32_t stage_of(uint32_t n)
{
    uint32_t slot = n % SLOTS;
    return slot < environments[1].first ? 0 : slot < environments[2].first ? 1 : 2;
}

void scene_place(const struct flock *f, uint32_t n)
{
    f->nodes[n].stage = (uint8_t)stage_of(n);
    f->nodes[n].site = (uint8_t)(n / SLOTS % f->o->sites);
}

void scene_labels(const struct node *d, char out[static SCENE_LABELS_MAX])
{
    snprintf(out, SCENE_LABELS_MAX, "env=%s,%ssite=s%u", environments[d->stage].name,
             d->parked ? "parked=yes," : "", (unsigned)d->site);
}

void scene_token(const struct flock *f, uint32_t n, uint32_t *batch, uint32_t *index)
{
    uint32_t slot = n % SLOTS, site = n / SLOTS % f->o->sites, round = n / SLOTS / f->o->sites;
    uint32_t e = stage_of(n);
    *batch = e * f->o->sites + site;
    *index = round * environments[e].count + slot - environments[e].first;
}

static void make_tokens(struct flock *f, uint32_t e, uint32_t site)
{
    char labels[SCENE_LABELS_MAX];
    struct command c = {.type = COMMAND_TOKEN_CREATE};
    scene_labels(&(struct node){.stage = (uint8_t)e, .site = (uint8_t)site}, labels);
    c.token.count = (f->o->agents / SLOTS / f->o->sites + 1) * environments[e].count;
    c.token.uses = 1;
    c.token.expires_s = flock_wall_s(f) + 365 * 86400;
    c.token.labels = labels;
    office_command(f, &c);
}

static struct text_of_version {
    char text[12];
} version_of(uint32_t bundle)
{
    struct text_of_version v;
    snprintf(v.text, sizeof v.text, "%u", (unsigned)bundle + 1);
    return v;
}

void scene_push(struct flock *f)
{
    struct command c = {.type = COMMAND_BUNDLE_ADD};
    struct text_of_version version = version_of(f->bundle_count);
    struct digest digest = digest_of(span_text(version.text));
    f->bundles[f->bundle_count++] = digest;
    c.bundle = (struct bundle_row){
        .digest = digest, .bytes = f->o->bundle_bytes, .files = 10, .chunks = 16};
    snprintf(c.bundle.name, sizeof c.bundle.name, "app");
    snprintf(c.bundle.version, sizeof c.bundle.version, "%s", version.text);
    office_command(f, &c);
}

void scene_open(struct flock *f)
{
    for (uint32_t e = 0; e < SCENE_STAGES; e++)
        for (uint32_t site = 0; site < f->o->sites; site++)
            make_tokens(f, e, site);
    scene_push(f);
    scene_push(f);
    flock_at(f, 1000, OPERATOR, 0, 0, SCENE_FIRST_VERSION);
    if (f->o->deploy_ms)
        flock_at(f, f->o->deploy_ms, OPERATOR, 0, 0, SCENE_NEXT_VERSION);
}

/* Staging, then canaries ten minutes later, then all others. */
static struct plan three_stages(const struct flock *f)
{
    struct plan p = PLAN_DEFAULT;
    p.count = SCENE_STAGES;
    p.quorum = f->o->failing_per_mille ? 1 : 100;
    p.max_failed = (struct amount){.value = 100, .percent = true};
    p.returning.value = f->o->returning;
    p.deadline_s = f->o->deadline_s;
    p.retries = f->o->retries;
    p.back_off_s = f->o->back_off_s;
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
    }
    /* Who is told to try again before the word was acted on waits for another one. */
    flock_at(f, f->queue.now_ms + APPROVE_AGAIN_MS, OPERATOR, 0, 0, SCENE_APPROVAL);
}

uint8_t scene_bundle(const struct flock *f, const struct digest *digest)
{
    for (uint32_t i = 0; i < f->bundle_count; i++)
        if (digest_equal(&f->bundles[i], digest))
            return (uint8_t)i;
    return UINT8_MAX;
}

void scene_budget(struct flock *f, uint32_t most)
{
    struct command c = {.type = most ? COMMAND_BUDGET_SET : COMMAND_BUDGET_REMOVE,
                        .budget = {.name = "app", .selector = SELECTED, .max = {.value = most}}};
    if (most != f->budget)
        office_command(f, &c);
    f->budget = most;
}

/* The first version is everybody's at once. */
void scene_deploy(struct flock *f, uint32_t bundle)
{
    struct plan plan = three_stages(f);
    struct text_of_version version = version_of(bundle);
    struct command c = {.type = COMMAND_DEPLOY};
    c.deploy.name = c.deploy.bundle = "app";
    c.deploy.version = version.text;
    c.deploy.selector = SELECTED;
    c.deploy.salt = f->o->seed;
    c.deploy.plan = f->asked_ms ? &plan : NULL;
    office_command(f, &c);
    if (f->asked_ms && f->o->approve_ms)
        flock_at(f, f->queue.now_ms + f->o->approve_ms, OPERATOR, 0, 0, SCENE_APPROVAL);
}

void scene_step(struct flock *f, uint64_t what)
{
    if (!f->core) {
        flock_at(f, f->queue.now_ms + OPERATOR_AGAIN_MS, OPERATOR, 0, 0, what);
    } else if (what == SCENE_APPROVAL) {
        approve(f);
    } else {
        if (what == SCENE_NEXT_VERSION) {
            f->asked_ms = f->queue.now_ms;
            scene_budget(f, f->o->budget);
        }
        scene_deploy(f, what == SCENE_NEXT_VERSION);
    }
}

/* Which devices a version fails on, all but the first: by their ids. Where it is tried again, it
 * goes well in the end on some of them. */
bool scene_fails(const struct flock *f, const struct node *d, uint8_t bundle)
{
    static const uint8_t key[SIPHASH_KEY_LEN] = "who fails";
    uint64_t hash = siphash(key, span_of(d->id.bytes, sizeof d->id.bytes));
    uint32_t bad_tries = 1 + (uint32_t)(hash >> 40) % (f->o->retries + 1);
    uint32_t failures = d->tried == d->held[0].wanted.generation ? d->failures : 0;
    if (bundle == 0 || bundle == UINT8_MAX ||
        (hash >> 4 * (bundle - 1)) % 1000 >= f->o->failing_per_mille)
        return false;
    return bad_tries > f->o->retries || failures < bad_tries;
}
