/*
 * What it costs the manager to place, to pick and to move a rollout on, in fleets of three sizes
 * with 30 cohorts and 1,000 deployments: the core's steps, and the documents that come of them
 * composed and signed. The floor beside it is as many documents signed alone.
 */
#include "test/bench/core_bench.h"

static void print(const char *what, uint32_t agents, double ms, uint32_t documents)
{
    printf("{\"bench\": \"placement\", \"what\": \"%s\", \"agents\": %u, \"deployments\": %d, "
           "\"documents\": %u, \"ms\": %.2f}\n",
           what, agents, DEPLOYMENTS, documents, ms);
}

/* Exactly so many of all of them. */
static void pick(struct bench *b, uint32_t agents, const char *what)
{
    double best = 1e9;
    for (int i = 0; i < ROUNDS; i++) {
        char name[16];
        struct deployment_counts *counts =
            calloc(manager_deployment_count(b->m) + 1, sizeof *counts);
        struct pick some = {.amount = {agents / 3 + (uint32_t)i, false}};
        snprintf(name, sizeof name, "picked%d.%d", b->checks, i);
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
    print(what, agents, best, b->documents);
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

int main(void)
{
    static const uint32_t sizes[] = {1000, 100000, 1000000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct bench *b = bench_new(sizes[i]);
        if (i == 0)
            print("floor: documents signed alone", 0, sign_alone(b), COHORTS);
        double place_ms = renew_all(b);
        print("place", sizes[i], place_ms, b->documents);
        pick(b, sizes[i], "pick");
        b->checks = true;
        pick(b, sizes[i], "pick, with the check that it touches few enough");
        b->checks = false;
        advance(b, sizes[i]);
        watch(b, sizes[i]);
        free(b->m);
        free(b);
    }
    return 0;
}
