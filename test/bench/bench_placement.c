/*
 * What it costs the manager to place, to pick and to move a rollout on, in fleets of three sizes
 * with 30 cohorts and 1,000 deployments: the core's steps, and the documents that come of them
 * composed and signed. The floor beside it is as many documents signed alone.
 *
 *   bench_placement [AGENTS ...]    default 1000 100000 1000000
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
        uint32_t documents = b->documents;
        drop(b, name);
        b->documents = documents;
    }
    print(what, agents, best, b->documents);
}

/* ---- what agents say ---- */

static void report(struct bench *b, uint32_t number, const struct report *r)
{
    struct manager_event ev = {.type = MANAGER_REPORT, .report = {.report = r}};
    ev.report.topic = manager_agent(b->m, number)->id;
    perform(b, &ev);
}

/* It holds the newest document and runs what that asks for; of what a gate has let it into it says
 * so by name. */
static void catch_up(struct bench *b, uint32_t number)
{
    struct agent_deployment list[RECORDS_MAX];
    const struct agent_row *row = manager_agent(b->m, number);
    const struct cohort *c = manager_cohort(b->m, row->cohort);
    struct report r = {.type = MESSAGE_STATUS,
                       .status = {.number = number,
                                  .seq = row->seq + 1,
                                  .boot = 1,
                                  .document = c->revision,
                                  .assignment = row->assigned}};
    size_t count = manager_agent_deployments(b->m, number, list);
    for (size_t i = 0, k = 0; i < count; i++) {
        while (c->placements[k].deployment != list[i].deployment + 1)
            k++;
        if (c->placements[k].next && !list[i].held)
            r.status.exceptions[r.status.count++] = (struct exception){
                list[i].deployment + 1, list[i].wanted, list[i].wanted, STATE_READY, 0};
    }
    report(b, number, &r);
}

/* Of each `part` agents one. */
static void catch_up_some(struct bench *b, uint32_t part)
{
    for (uint32_t n = 1; n <= manager_agent_count(b->m); n += part)
        catch_up(b, n);
}

/* ---- rollouts ---- */

static struct plan approved_plan(struct amount concurrency)
{
    struct plan plan = PLAN_DEFAULT;
    plan.count = 1;
    plan.stages[0] = (struct plan_stage){.name = "all", .before = {.approval = true}};
    plan.stages[0].concurrency = concurrency;
    return plan;
}

static void approve(struct bench *b, const char *name)
{
    run(b,
        &(struct command){.type = COMMAND_APPROVE, .deployment = {.name = name, .stage = "all"}});
}

/* Letting the first tenth in, in all cohorts: what a tick takes, and all that comes of it. */
static double move_gate(struct bench *b, const char *name)
{
    b->documents = 0;
    double began = cpu_ms();
    approve(b, name);
    perform(b, &(struct manager_event){.type = MANAGER_TICK});
    return cpu_ms() - began;
}

static void advance(struct bench *b, uint32_t agents, const char *what)
{
    struct plan plan = approved_plan((struct amount){agents / 10, false});
    double best = 1e9;
    for (int i = 0; i < ROUNDS; i++) {
        char name[32];
        snprintf(name, sizeof name, "rolled%u.%d", manager_deployment_count(b->m), i);
        deploy(b, name, "1", "zone", &plan, NULL);
        catch_up_some(b, 1);
        double took = move_gate(b, name);
        uint32_t documents = b->documents;
        best = took < best ? took : best;
        drop(b, name);
        tree_must(documents == COHORTS, "the gate has moved");
        b->documents = documents;
    }
    print(what, agents, best, b->documents);
}

/* ---- counts ---- */

/* How many are Ready, of all deployments. */
static void count(struct bench *b, uint32_t agents, const char *what)
{
    struct deployment_counts *counts = calloc(manager_deployment_count(b->m), sizeof *counts);
    double best = 1e9;
    for (int i = 0; i < ROUNDS; i++) {
        double began = cpu_ms();
        manager_count_deployments(b->m, counts);
        double took = cpu_ms() - began;
        best = took < best ? took : best;
    }
    free(counts);
    print(what, agents, best, 0);
}

static void count_amid_rollout(struct bench *b, uint32_t agents)
{
    struct plan plan = approved_plan((struct amount){agents / 2, false});
    deploy(b, "counted", "1", "zone", &plan, NULL);
    catch_up_some(b, 1);
    move_gate(b, "counted");
    catch_up_some(b, 2);
    count(b, agents, "1,000 deployments counted, amid a rollout to all");
    drop(b, "counted");
}

/* ---- budgets ---- */

#define BUDGETS 10

static void set_budget(struct bench *b, uint32_t number, const char *selector)
{
    char name[16];
    snprintf(name, sizeof name, "budget%u", number);
    run(b, &(struct command){.type = COMMAND_BUDGET_SET,
                             .budget = {.name = name, .selector = selector, .max = {50, true}}});
}

/* Overlapping ones, so that each agent is under four or five. */
static void set_budgets(struct bench *b)
{
    set_budget(b, 0, "zone");
    set_budget(b, 1, "zone,group");
    for (uint32_t i = 2; i < BUDGETS; i++) {
        char selector[64];
        snprintf(selector, sizeof selector, "zone in (z%u,z%u)", i % 5, (i + 1) % 5);
        set_budget(b, i, selector);
    }
}

static void use_budgets(struct bench *b, uint32_t agents)
{
    double began = cpu_ms();
    for (uint32_t i = 0; i < BUDGETS; i++) {
        struct budget_use use;
        manager_budget_use(b->m, i, b->now_s, NULL, &use);
    }
    print("10 budgets looked up", agents, cpu_ms() - began, 0);
}

static void clear_budgets(struct bench *b)
{
    for (uint32_t i = 0; i < BUDGETS; i++) {
        char name[16];
        snprintf(name, sizeof name, "budget%u", i);
        run(b, &(struct command){.type = COMMAND_BUDGET_REMOVE, .budget = {.name = name}});
    }
}

/* ---- ticks ---- */

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

/* The same, where in each second another agent's link is lost. */
static double stir(struct bench *b, int seconds)
{
    double sum = 0;
    uint32_t number = 1;
    for (int i = 0; i < seconds; i++) {
        while (!(manager_agent(b->m, number)->flags & AGENT_ONLINE))
            number++;
        struct report r = {.type = MESSAGE_WILL, .will = {.number = number}};
        report(b, number, &r);
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
    catch_up_some(b, 1);
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

#define HUNDRED 100

/* Of those of `hundred`, how many have let somebody in. */
static uint32_t count_begun(const struct bench *b, uint32_t first)
{
    uint32_t begun = 0;
    for (uint32_t i = first; i < first + HUNDRED; i++)
        begun += manager_deployment(b->m, i)->rollout.reached[0] > 0;
    return begun;
}

/* As many rollouts at once, of one cohort each. */
static void hundred(struct bench *b, uint32_t agents)
{
    struct plan plan = approved_plan((struct amount){10, true});
    uint32_t first = manager_deployment_count(b->m);
    char name[16], selector[16];
    for (uint32_t i = 0; i < HUNDRED; i++) {
        snprintf(name, sizeof name, "hundred%u", i);
        snprintf(selector, sizeof selector, "group=g%u", i % COHORTS);
        deploy(b, name, "1", selector, &plan, NULL);
    }
    catch_up_some(b, 1);
    for (uint32_t i = 0; i < HUNDRED; i++) {
        snprintf(name, sizeof name, "hundred%u", i);
        approve(b, name);
    }
    b->documents = 0;
    double sum = 0;
    for (int i = 0; i < 250 && count_begun(b, first) < ROLLOUTS_MAX; i++)
        sum += tick(b, 1);
    tree_must(count_begun(b, first) == ROLLOUTS_MAX, "as many as may have begun");
    print("100 rollouts at once, until 64 have let somebody in", agents, sum, b->documents);
    tick(b, 250);
    b->documents = 0;
    print("100 rollouts at once, a restless second", agents, stir(b, 10), b->documents);
    for (uint32_t i = 0; i < HUNDRED; i++) {
        snprintf(name, sizeof name, "hundred%u", i);
        drop(b, name);
    }
}

static void measure(uint32_t agents)
{
    struct bench *b = bench_new(agents);
    double place_ms = renew_all(b);
    print("place", agents, place_ms, b->documents);
    pick(b, agents, "pick");
    b->checks = true;
    pick(b, agents, "pick, with the check that it touches few enough");
    b->checks = false;
    catch_up_some(b, 1);
    count(b, agents, "1,000 deployments counted");
    count_amid_rollout(b, agents);
    advance(b, agents, "advance");
    set_budgets(b);
    advance(b, agents, "advance, under 10 budgets");
    use_budgets(b, agents);
    clear_budgets(b);
    hundred(b, agents);
    watch(b, agents);
    free(b->m);
    free(b);
}

int main(int argc, char **argv)
{
    static const uint32_t sizes[] = {1000, 100000, 1000000};
    for (int i = 1; i < argc; i++)
        if (atoi(argv[i]) < COHORTS) {
            fprintf(stderr, "usage: bench_placement [AGENTS ...], each at least %d\n", COHORTS);
            return 2;
        }
    struct bench *b = bench_new(COHORTS);
    print("floor: documents signed alone", 0, sign_alone(b), COHORTS);
    free(b->m);
    free(b);
    for (int i = 1; i < argc; i++)
        measure((uint32_t)atoi(argv[i]));
    for (size_t i = 0; argc == 1 && i < sizeof sizes / sizeof sizes[0]; i++)
        measure(sizes[i]);
    return 0;
}
