/*
 * What it costs the manager to place, to pick and to move a rollout on, in fleets of three sizes
 * with 30 cohorts and 1,000 deployments: the core's steps, and the documents that come of them
 * composed and signed. The floor beside it is as many documents signed alone.
 */
#include "manager/core/manager.h"
#include "test/samples.h"
#include "test/tree.h"

#include <stdio.h>
#include <time.h>

#define COHORTS 30
#define DEPLOYMENTS 1000
/* Each is measured so often, in time of the processor, and the best counts: other work on the
 * machine only delays. */
#define ROUNDS 5

struct bench {
    struct manager *m;
    struct manager_out out;
    uint64_t now_s;
    uint32_t documents; /* signed since the last look */
    uint64_t scratch[MANAGER_SCRATCH_MAX / sizeof(uint64_t)];
    struct desired desired;
    uint8_t body[DOCUMENT_MAX], sealed[DOCUMENT_MAX + 4096];
};

static struct secret_key key;

static double cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void seal(struct bench *b)
{
    struct buffer body = buffer_on(b->body, sizeof b->body);
    struct buffer out = buffer_on(b->sealed, sizeof b->sealed);
    tree_must(desired_write(&b->desired, &body) == 0 &&
                  envelope_seal(MESSAGE_DESIRED, span_buffer(&body), &key, &out) == 0,
              "document");
}

static void perform(struct bench *b, struct manager_event *ev)
{
    do {
        struct arena scratch = arena_on((uint8_t *)b->scratch, sizeof b->scratch);
        ev->now_s = b->now_s;
        manager_step(b->m, ev, &scratch, &b->out);
        tree_must(b->out.rv >= 0, b->out.error.text);
        for (uint32_t i = 0; i < b->out.persist_count; i++) {
            if (b->out.persist[i].type != PERSIST_DOCUMENT)
                continue;
            manager_document(b->m, b->out.persist[i].index, &b->desired);
            seal(b);
            b->documents++;
        }
        *ev = (struct manager_event){.type = MANAGER_CONTINUE};
    } while (b->out.more);
}

/* As the API's commands come: the tick's other work is not part of it. */
static void run(struct bench *b, const struct command *c)
{
    perform(b, &(struct manager_event){.type = MANAGER_COMMAND, .command = c});
}

static void deploy(struct bench *b, const char *name, const char *version, const char *selector,
                   const struct plan *plan, const struct pick *pick)
{
    struct command c = {.type = COMMAND_DEPLOY};
    c.deploy.name = name;
    c.deploy.bundle = "app";
    c.deploy.version = version;
    c.deploy.selector = selector;
    c.deploy.all = selector[0] == '\0';
    c.deploy.salt = 12345;
    c.deploy.plan = plan;
    c.deploy.pick = pick;
    run(b, &c);
}

static void add_agents(struct bench *b, uint32_t agents)
{
    for (uint32_t i = 0; i < COHORTS; i++) {
        struct cohort cohort = {.key = {{(uint8_t)(i + 1)}}};
        snprintf(cohort.labels.text, sizeof cohort.labels.text, "group=g%u,zone=z%u", i, i % 5);
        tree_must(manager_load_cohort(b->m, &cohort) == 0, "cohort");
    }
    for (uint32_t n = 1; n <= agents; n++) {
        struct agent_row row = {.cohort = n % COHORTS,
                                .index = n - 1,
                                .joined_s = 1700000000,
                                .last_seen_s = 1700000000,
                                .flags = AGENT_ONLINE};
        memcpy(row.id.bytes, &n, sizeof n);
        tree_must(manager_load_agent(b->m, n, &row, NULL, 0) == 0, "agent");
    }
}

static struct bench *bench_new(uint32_t agents)
{
    struct manager_options options = {
        .limits = {.agents = agents,
                   .cohorts = COHORTS,
                   .deployments = DEPLOYMENTS + 8 * ROUNDS + ROLLOUTS_MAX,
                   .bundles = 64,
                   .batches = 1},
        .epoch = 1,
        .document_life_s = 86400 * 7,
        .policy = POLICY_DEFAULT,
    };
    struct bench *b = calloc(1, sizeof *b);
    struct batch_row batch = {.count = agents, .uses = 1};
    b->m = manager_init(calloc(1, manager_size(&options.limits)), &options);
    b->now_s = 1700000000;
    tree_must(manager_load_batch(b->m, &batch) == 0, "batch");
    for (int i = 1; i <= 2 * ROUNDS; i++) {
        struct bundle_row bundle = {.digest = {{(uint8_t)i}}, .name = "app"};
        snprintf(bundle.version, sizeof bundle.version, "%d", i);
        tree_must(manager_load_bundle(b->m, &bundle) == 0, "bundle");
    }
    add_agents(b, agents);
    for (unsigned i = 0; i < DEPLOYMENTS; i++) {
        char name[32], selector[32];
        snprintf(name, sizeof name, "d%u", i);
        snprintf(selector, sizeof selector, "group=g%u", i % COHORTS);
        deploy(b, name, "1", selector, NULL, NULL);
    }
    b->documents = 0;
    return b;
}

static void print(const char *what, uint32_t agents, double ms, uint32_t documents)
{
    printf("{\"bench\": \"placement\", \"what\": \"%s\", \"agents\": %u, \"deployments\": %d, "
           "\"documents\": %u, \"ms\": %.2f}\n",
           what, agents, DEPLOYMENTS, documents, ms);
}

/* A new version for everybody. */
static void place(struct bench *b, uint32_t agents)
{
    double best = 1e9;
    for (int i = 0; i < ROUNDS; i++) {
        char version[8];
        snprintf(version, sizeof version, "%d", i + 1);
        b->documents = 0;
        double began = cpu_ms();
        deploy(b, "everywhere", version, "zone", NULL, NULL);
        double took = cpu_ms() - began;
        best = took < best ? took : best;
    }
    print("place", agents, best, b->documents);
}

/* Exactly so many of all of them. */
static void pick(struct bench *b, uint32_t agents)
{
    double best = 1e9;
    for (int i = 0; i < ROUNDS; i++) {
        char name[16];
        struct deployment_counts *counts =
            calloc(manager_deployment_count(b->m) + 1, sizeof *counts);
        struct pick some = {.amount = {agents / 3 + (uint32_t)i, false}};
        snprintf(name, sizeof name, "picked%d", i);
        b->documents = 0;
        double began = cpu_ms();
        deploy(b, name, "1", "zone", NULL, &some);
        double took = cpu_ms() - began;
        best = took < best ? took : best;
        manager_count_deployments(b->m, counts);
        tree_must(counts[manager_deployment_count(b->m) - 1].targets == some.amount.value,
                  "exactly so many");
        free(counts);
    }
    print("pick", agents, best, b->documents);
}

/* One look at a rollout that lets the next thousand in, in all cohorts. */
static void advance(struct bench *b, uint32_t agents)
{
    struct plan plan = PLAN_DEFAULT;
    plan.count = 1;
    plan.stages[0] = (struct plan_stage){.name = "all", .before = {.approval = true}};
    plan.stages[0].concurrency = (struct amount){agents / 10, false};
    struct command approve = {.type = COMMAND_APPROVE, .deployment = {.stage = "all"}};
    double best = 1e9;
    for (int i = 0; i < ROUNDS; i++) {
        char name[16];
        snprintf(name, sizeof name, "rolled%d", i);
        deploy(b, name, "1", "zone", &plan, NULL);
        approve.deployment.name = name;
        b->documents = 0;
        double began = cpu_ms();
        run(b, &approve);
        perform(b, &(struct manager_event){.type = MANAGER_TICK});
        double took = cpu_ms() - began;
        best = took < best ? took : best;
        struct command remove = {.type = COMMAND_DEPLOYMENT_REMOVE, .deployment = {.name = name}};
        uint32_t documents = b->documents;
        run(b, &remove);
        b->documents = documents;
    }
    print("advance", agents, best, b->documents);
}

/* So many seconds, in which nothing happens; of one of them, milliseconds. */
static double tick(struct bench *b, int seconds)
{
    double began = cpu_ms();
    for (int i = 0; i < seconds; i++) {
        b->now_s++;
        perform(b, &(struct manager_event){.type = MANAGER_TICK});
    }
    return (cpu_ms() - began) / seconds;
}

/* The same, where in each second one agent's link is lost. */
static double stir(struct bench *b, int seconds)
{
    double sum = 0;
    for (int i = 1; i <= seconds; i++) {
        struct report r = {.type = MESSAGE_WILL, .will = {.number = (uint32_t)i}};
        struct manager_event ev = {.type = MANAGER_REPORT, .report = {.report = &r}};
        ev.report.topic = manager_agent(b->m, r.will.number)->id;
        perform(b, &ev);
        sum += tick(b, 1);
    }
    return sum / seconds;
}

/* A second in the life of the manager while 64 rollouts wait for an agent each: one in which
 * nothing is heard, and one in which an agent has come or gone, averaged over so many that each
 * rollout has its turn. */
static void watch(struct bench *b, uint32_t agents)
{
    struct plan plan = PLAN_DEFAULT;
    plan.count = 1;
    plan.stages[0] = (struct plan_stage){.name = "all", .concurrency = {1, false}};
    for (int i = 0; i < ROLLOUTS_MAX; i++) {
        char name[16];
        snprintf(name, sizeof name, "watched%d", i);
        deploy(b, name, "1", "zone", &plan, NULL);
    }
    tick(b, 250); /* all have let their first one in */
    b->documents = 0;
    print("64 rollouts, a quiet second", agents, tick(b, 10), b->documents);
    b->documents = 0;
    print("64 rollouts, a restless second", agents, stir(b, 10), b->documents);
}

static void sign_alone(struct bench *b)
{
    double best = 1e9;
    manager_document(b->m, 0, &b->desired);
    for (int i = 0; i < ROUNDS; i++) {
        double began = cpu_ms();
        for (int k = 0; k < COHORTS; k++)
            seal(b);
        double took = cpu_ms() - began;
        best = took < best ? took : best;
    }
    print("floor: documents signed alone", 0, best, COHORTS);
}

int main(void)
{
    static const uint32_t sizes[] = {1000, 100000, 1000000};
    key = sample_secret(1);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct bench *b = bench_new(sizes[i]);
        if (i == 0)
            sign_alone(b);
        place(b, sizes[i]);
        pick(b, sizes[i]);
        advance(b, sizes[i]);
        watch(b, sizes[i]);
        free(b->m);
        free(b);
    }
    return 0;
}
