/*
 * core_bench: the manager's core with 30 cohorts and 1,000 deployments, in fleets of any size, and
 * the processor's time. What is measured of it is the benchmarks' own.
 */
#ifndef DUNLIN_TEST_CORE_BENCH_H
#define DUNLIN_TEST_CORE_BENCH_H

#include "manager/core/manager.h"
#include "test/samples.h"
#include "test/tree.h"

#include <stdio.h>
#include <time.h>

#define COHORTS 30
#define DEPLOYMENTS 1000
/* Besides those that are measured. */
#define MEASURED_MAX 300
/* Each is measured so often, in time of the processor, and the best counts: other work on the
 * machine only delays. */
#define ROUNDS 5

struct bench {
    struct manager *m;
    struct manager_out out;
    uint64_t now_s;
    uint32_t documents; /* signed since the last look */
    bool checks;        /* whether a deployment touches too many has to be found out */
    uint64_t scratch[MANAGER_SCRATCH_MAX / sizeof(uint64_t)];
    struct desired desired;
    struct secret_key key;
    uint8_t body[DOCUMENT_MAX], sealed[DOCUMENT_MAX + 4096];
};

static inline double cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static inline void seal(struct bench *b)
{
    struct buffer body = buffer_on(b->body, sizeof b->body);
    struct buffer out = buffer_on(b->sealed, sizeof b->sealed);
    tree_must(desired_write(&b->desired, &body) == 0 &&
                  envelope_seal(MESSAGE_DESIRED, span_buffer(&body), &b->key, &out) == 0,
              "document");
}

static inline void perform(struct bench *b, struct manager_event *ev)
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
/* Whatever it comes to is meant, unless the manager is to look at that too. */
static inline void run(struct bench *b, const struct command *c)
{
    struct command meant = *c;
    meant.confirmed = !b->checks;
    perform(b, &(struct manager_event){.type = MANAGER_COMMAND, .command = &meant});
}

static inline void deploy(struct bench *b, const char *name, const char *version,
                          const char *selector, const struct plan *plan, const struct pick *pick)
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

static inline void drop(struct bench *b, const char *name)
{
    run(b, &(struct command){.type = COMMAND_DEPLOYMENT_REMOVE, .deployment = {.name = name}});
}

static inline void add_agents(struct bench *b, uint32_t agents)
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

static inline struct bench *bench_new(uint32_t agents)
{
    struct manager_options options = {
        .limits = {.agents = agents,
                   .cohorts = COHORTS,
                   .deployments = DEPLOYMENTS + MEASURED_MAX,
                   .bundles = 64,
                   .batches = 1},
        .epoch = 1,
        .document_life_s = 86400 * 7,
        .policy = POLICY_DEFAULT,
        .confirm_percent = 50,
    };
    struct bench *b = calloc(1, sizeof *b);
    struct batch_row batch = {.count = agents, .uses = 1};
    b->m = manager_init(calloc(1, manager_size(&options.limits)), &options);
    b->now_s = 1700000000;
    b->key = sample_secret(1);
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

/* In ms, of the processor's time: a new version for everybody, which makes a document a cohort. */
static inline double renew_all(struct bench *b)
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
    return best;
}

/* The floor: as many documents as there are cohorts signed alone, in ms. */
static inline double sign_alone(struct bench *b)
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
    return best;
}

#endif
