#include "manager/core/state.h"
#include "manager/core/why.h"
#include "test/manager_bench.h"
#include "test/samples.h"

#include <stdio.h>

/* More than one step can tell. */
#define AGENTS 40

#define LIMITS                                                                                     \
    {                                                                                              \
        .agents = AGENTS + 1, .cohorts = 8, .deployments = 300, .bundles = 4, .batches = 8         \
    }
static const struct manager_options options = {.limits = LIMITS,
                                               .epoch = 1,
                                               .cohort_secret = {{7}},
                                               .document_life_s = 1000000,
                                               .policy = POLICY_DEFAULT};
static const char *const labels[] = {"env=prod", "env=lab"};
static unsigned told; /* assignments since the last command */

static void go_on(struct bench *b)
{
    told = persisted(b, PERSIST_ASSIGNMENT);
    while (b->out.more) {
        step(b, &(struct manager_event){.type = MANAGER_CONTINUE});
        told += persisted(b, PERSIST_ASSIGNMENT);
    }
}

/* A command, and all that comes of it within that second. */
static int order(struct bench *b, const struct command *c)
{
    int rv = run(b, c);
    struct manager_out out = b->out;
    go_on(b);
    unsigned at_once = told;
    step(b, &(struct manager_event){.type = MANAGER_TICK});
    go_on(b);
    told += at_once;
    b->out = out;
    return rv;
}

static uint32_t join(struct bench *b, uint32_t batch)
{
    struct manager_event ev = {.type = MANAGER_JOIN};
    ev.join.batch = batch;
    ev.join.index = manager_agent_count(b->m);
    ev.join.id.bytes[0] = (uint8_t)(ev.join.index + 1);
    ev.join.id.bytes[KEY_ID_LEN - 1] = (uint8_t)batch;
    step(b, &ev);
    CU_ASSERT_EQUAL_FATAL(b->out.joined, JOINED_ACCEPTED);
    return b->out.number;
}

/* All agents but the last are of env=prod. */
static struct bench *fleet(void)
{
    struct bench *b = bench_on(&options, 1000000);
    for (size_t i = 0; i < 2; i++) {
        struct command c = {.type = COMMAND_TOKEN_CREATE};
        c.token.count = AGENTS + 1;
        c.token.uses = 1;
        c.token.expires_s = UINT32_MAX;
        c.token.labels = labels[i];
        CU_ASSERT_EQUAL(order(b, &c), 0);
    }
    struct command c = {.type = COMMAND_BUNDLE_ADD};
    c.bundle.digest.bytes[0] = 1;
    snprintf(c.bundle.name, sizeof c.bundle.name, "app");
    snprintf(c.bundle.version, sizeof c.bundle.version, "1");
    CU_ASSERT_EQUAL(order(b, &c), 0);
    for (uint32_t n = 1; n <= AGENTS; n++)
        join(b, n == AGENTS);
    return b;
}

static struct command deploy_command(const char *name, const struct roster *r, const char *selector)
{
    struct command c = {.type = COMMAND_DEPLOY};
    c.deploy.name = name;
    c.deploy.bundle = "app";
    c.deploy.version = "1";
    c.deploy.selector = selector;
    c.deploy.roster = r;
    c.deploy.salt = 5;
    c.confirmed = true;
    return c;
}

static int deploy_as(struct bench *b, const char *name, const struct roster *r,
                     const char *selector)
{
    struct command c = deploy_command(name, r, selector);
    return order(b, &c);
}

static int deploy(struct bench *b, const struct roster *r)
{
    return deploy_as(b, "app", r, "");
}

static struct roster from_to(uint32_t first, uint32_t last)
{
    struct roster r = {0};
    for (uint32_t n = first; n <= last; n++)
        CU_ASSERT_EQUAL(roster_name(&r, n), 0);
    return r;
}

/* By assignment and document, as the agent sees it. */
static bool is_on(const struct bench *b, uint32_t number)
{
    static struct desired d;
    static struct assignment a;
    manager_assignment(b->m, number, b->now_s, &a);
    manager_document(b->m, manager_agent(b->m, number)->cohort, &d);
    return d.count == 1 && d.records[0].flags & RECORD_LISTED && assignment_lists(&a, 1);
}

static unsigned count_on(const struct bench *b)
{
    unsigned count = 0;
    for (uint32_t n = 1; n <= manager_agent_count(b->m); n++)
        count += is_on(b, n);
    return count;
}

static void tell(struct bench *b, uint32_t number, const char *arch)
{
    static struct facts facts;
    facts = (struct facts){.count = 1, .list = {{"arch", ""}}};
    snprintf(facts.list[0].value, sizeof facts.list[0].value, "%s", arch);
    step(b, &(struct manager_event){.type = MANAGER_FACTS,
                                    .facts = {.number = number, .facts = arch ? &facts : NULL}});
    go_on(b);
}

/* As the driver brings them: odd numbers are arm64. */
static void bring_all(struct bench *b)
{
    uint32_t number;
    while ((number = manager_facts_wanted(b->m)) != 0)
        tell(b, number, number % 2 ? "arm64" : "amd64");
    step(b, &(struct manager_event){.type = MANAGER_TICK});
    go_on(b);
}

static void test_those_that_come_and_go_are_told_and_nobody_else(void)
{
    struct bench *b = fleet();
    struct roster r = from_to(1, 30);
    CU_ASSERT_EQUAL(deploy(b, &r), 0);
    CU_ASSERT_EQUAL(count_on(b), 30);
    CU_ASSERT_EQUAL(told, 30);
    r = from_to(3, 31);
    CU_ASSERT_EQUAL(deploy(b, &r), 0);
    CU_ASSERT_TRUE(is_on(b, 31) && !is_on(b, 1) && !is_on(b, 2));
    CU_ASSERT_EQUAL(told, 3);
    CU_ASSERT_EQUAL(deploy(b, &r), 1);
    CU_ASSERT_EQUAL(told, 0);
    bench_free(b);
}

static void test_only_cohorts_of_those_on_the_list_have_the_record(void)
{
    static struct desired d;
    struct bench *b = fleet();
    struct roster r = from_to(1, 2);
    CU_ASSERT_EQUAL(deploy(b, &r), 0);
    manager_document(b->m, manager_agent(b->m, AGENTS)->cohort, &d);
    CU_ASSERT_EQUAL(d.count, 0);
    r = from_to(AGENTS, AGENTS);
    CU_ASSERT_EQUAL(deploy(b, &r), 0);
    manager_document(b->m, manager_agent(b->m, AGENTS)->cohort, &d);
    CU_ASSERT_EQUAL(d.count, 1);
    bench_free(b);
}

static void test_names_must_be_there_and_say_less_than_all(void)
{
    struct bench *b = fleet();
    struct roster r = from_to(1, 1);
    struct command c = deploy_command("app", &r, "");
    c.deploy.all = true;
    CU_ASSERT_EQUAL(order(b, &c), ERR_USAGE);
    r = from_to(AGENTS + 1, AGENTS + 1);
    CU_ASSERT_EQUAL(deploy(b, &r), ERR_NOT_FOUND);
    r = (struct roster){0};
    CU_ASSERT_EQUAL(deploy(b, &r), ERR_USAGE); /* says nobody */
    bench_free(b);
}

static void test_names_come_on_top_of_a_selector_or_facts(void)
{
    struct bench *b = fleet();
    struct roster r = from_to(3, 4);
    CU_ASSERT_EQUAL(deploy_as(b, "app", &r, "env=lab"), 0);
    CU_ASSERT_TRUE(is_on(b, 3) && is_on(b, 4) && is_on(b, AGENTS));
    CU_ASSERT_EQUAL(count_on(b), 3);
    CU_ASSERT_EQUAL(told, 3);
    join(b, 1); /* labels bring it in */
    step(b, &(struct manager_event){.type = MANAGER_TICK});
    go_on(b);
    CU_ASSERT_TRUE(is_on(b, AGENTS + 1) && count_on(b) == 4);
    struct command c = {.type = COMMAND_LABEL, .label = {.set = "env=prod", .unset = ""}};
    c.label.id = manager_agent(b->m, AGENTS)->id;
    CU_ASSERT_EQUAL(order(b, &c), 0);
    CU_ASSERT_TRUE(!is_on(b, AGENTS) && count_on(b) == 3);
    struct arena scratch = arena_on((uint8_t *)b->scratch, sizeof b->scratch);
    struct why why;
    manager_why(b->m, AGENTS, 0, b->now_s, &scratch, &why);
    CU_ASSERT_EQUAL(why.reason, WHY_NOT_SELECTED);
    manager_why(b->m, 3, 0, b->now_s, &scratch, &why);
    CU_ASSERT_TRUE(why.reason != WHY_NOT_SELECTED && why.reason != WHY_NOT_NAMED);
    bench_free(b);
    b = fleet();
    memcpy(r.facts, "arch=arm64", sizeof "arch=arm64");
    CU_ASSERT_EQUAL(deploy_as(b, "app", &r, "env=prod"), 0);
    bring_all(b);
    CU_ASSERT_EQUAL(count_on(b), AGENTS / 2 + 1); /* odd ones, and 4 */
    CU_ASSERT_TRUE(is_on(b, 4) && !is_on(b, 2));
    bench_free(b);
}

static void test_who_is_excluded_is_not_in_by_name(void)
{
    struct bench *b = fleet();
    struct roster r = from_to(AGENTS - 1, AGENTS);
    CU_ASSERT_EQUAL(deploy_as(b, "app", &r, "except env=lab"), 0);
    CU_ASSERT_TRUE(is_on(b, AGENTS - 1) && count_on(b) == 1);
    CU_ASSERT_EQUAL(deploy_as(b, "app", &r, "env=prod except env=lab"), 0);
    CU_ASSERT_TRUE(!is_on(b, AGENTS) && count_on(b) == AGENTS - 1);
    bench_free(b);
}

static unsigned targets(const struct bench *b)
{
    struct deployment_counts counts[1];
    manager_count_deployments(b->m, counts);
    return counts[0].targets;
}

static void test_names_can_be_added_and_taken_away_under_way(void)
{
    struct bench *b = fleet();
    struct roster r = from_to(1, 2);
    CU_ASSERT_EQUAL(deploy_as(b, "app", NULL, "env=lab"), 0);
    CU_ASSERT_EQUAL(deploy_as(b, "app", &r, "env=prod"), ERR_BUSY); /* both at once */
    CU_ASSERT_EQUAL(deploy_as(b, "app", &r, "env=lab"), 0);
    CU_ASSERT_TRUE(is_on(b, 1) && is_on(b, 2) && is_on(b, AGENTS) && count_on(b) == 3);
    CU_ASSERT_EQUAL(deploy_as(b, "app", &r, ""), 0);
    CU_ASSERT_TRUE(!is_on(b, AGENTS) && count_on(b) == 2);
    CU_ASSERT_EQUAL(deploy_as(b, "app", &r, "env=lab"), 0);
    CU_ASSERT_EQUAL(targets(b), 3);
    CU_ASSERT_EQUAL(deploy_as(b, "app", NULL, "env=lab"), 0);
    CU_ASSERT_EQUAL(targets(b), 1);
    bench_free(b);
}

/* An agent that holds its cohort's newest document; of listed ones it says that it has them. */
static void report(struct bench *b, uint32_t number, bool has)
{
    const struct agent_row *row = manager_agent(b->m, number);
    struct report r = {.type = MESSAGE_STATUS};
    r.status = (struct status){.number = number,
                               .seq = row->seq + 1,
                               .boot = 7,
                               .document = manager_cohort(b->m, row->cohort)->revision,
                               .assignment = row->assigned};
    if (has)
        r.status.exceptions[r.status.count++] =
            (struct exception){.deployment = 1,
                               .generation = manager_generation(b->m, 0),
                               .running = manager_generation(b->m, 0),
                               .state = STATE_READY};
    struct manager_event ev = {.type = MANAGER_REPORT, .report = {.topic = row->id, .report = &r}};
    step(b, &ev);
    go_on(b);
}

static void test_silence_counts_when_those_know_for_whom_it_is_new(void)
{
    struct bench *b = fleet();
    struct roster r = from_to(1, 2);
    struct pick two = {.amount = {2, false}}, all = {.amount = {0, false}};
    for (int by = 0; by < 2; by++) {
        struct deployment_counts counts[1];
        struct agent_deployment d[RECORDS_MAX];
        struct command c = {.type = COMMAND_DEPLOY};
        c.deploy.name = c.deploy.bundle = "app";
        c.deploy.version = "1";
        c.deploy.selector = by ? "env=prod" : "";
        c.deploy.pick = by ? &two : NULL;
        c.deploy.roster = by ? NULL : &r;
        CU_ASSERT_EQUAL(order(b, &c), 0);
        for (uint32_t n = 1; n < AGENTS; n++)
            report(b, n, manager_agent_deployments(b->m, n, d) == 1);
        manager_count_deployments(b->m, counts);
        CU_ASSERT_TRUE(counts[0].targets == 2 && counts[0].states[STATE_READY] == 2);
        c.deploy.selector = "env=prod";
        c.deploy.pick = &all;
        c.deploy.roster = NULL;
        c.confirmed = true;
        CU_ASSERT_EQUAL(order(b, &c), 0);
        manager_count_deployments(b->m, counts);
        CU_ASSERT_EQUAL(counts[0].targets, AGENTS - 1);
        CU_ASSERT_EQUAL(counts[0].states[STATE_READY], 2);
        for (uint32_t n = 1; n < AGENTS; n++)
            report(b, n, false);
        manager_count_deployments(b->m, counts);
        CU_ASSERT_EQUAL(counts[0].states[STATE_READY], AGENTS - 1);
        CU_ASSERT_EQUAL(order(b, &c), 1);
    }
    bench_free(b);
}

static void test_removed_agent_leaves_and_its_successor_takes_its_place(void)
{
    struct bench *b = fleet();
    struct roster r = from_to(1, 2);
    CU_ASSERT_EQUAL(deploy(b, &r), 0);
    struct command c = {.type = COMMAND_AGENT_REMOVE, .agent = manager_agent(b->m, 1)->id};
    CU_ASSERT_EQUAL(order(b, &c), 0);
    CU_ASSERT_EQUAL(count_on(b), 1);
    struct command replace = {.type = COMMAND_AGENT_REPLACE};
    replace.replace.agent = manager_agent(b->m, 2)->id;
    replace.replace.batch = 0;
    replace.replace.index = AGENTS;
    CU_ASSERT_EQUAL(order(b, &replace), 0);
    struct manager_event ev = {.type = MANAGER_JOIN};
    ev.join.index = AGENTS;
    ev.join.id.bytes[0] = 0xee;
    step(b, &ev);
    CU_ASSERT_EQUAL(b->out.number, 2);
    CU_ASSERT_TRUE(is_on(b, 2));
    bench_free(b);
}

static void test_counts_and_reasons_know_the_list(void)
{
    struct bench *b = fleet();
    struct roster r = from_to(1, 2);
    struct deployment_counts counts[1];
    struct why why;
    struct arena scratch = arena_on((uint8_t *)b->scratch, sizeof b->scratch);
    CU_ASSERT_EQUAL(deploy(b, &r), 0);
    manager_count_deployments(b->m, counts);
    CU_ASSERT_EQUAL(counts[0].targets, 2);
    CU_ASSERT_EQUAL(counts[0].states[STATE_PENDING], 2);
    manager_why(b->m, 3, 0, b->now_s, &scratch, &why);
    CU_ASSERT_EQUAL(why.reason, WHY_NOT_NAMED);
    manager_why(b->m, AGENTS, 0, b->now_s, &scratch, &why);
    CU_ASSERT_EQUAL(why.reason, WHY_NOT_NAMED);
    manager_why(b->m, 1, 0, b->now_s, &scratch, &why);
    CU_ASSERT_NOT_EQUAL(why.reason, WHY_NOT_NAMED);
    bench_free(b);
}

static void test_removed_deployments_give_their_lists_back(void)
{
    struct bench *b = fleet();
    struct roster r = from_to(1, 1);
    char name[16];
    for (unsigned i = 0; i <= LISTS_MAX; i++) {
        snprintf(name, sizeof name, "app%u", i);
        CU_ASSERT_EQUAL_FATAL(deploy_as(b, name, &r, ""), 0);
        struct command c = {.type = COMMAND_DEPLOYMENT_REMOVE, .deployment = {.name = name}};
        CU_ASSERT_EQUAL_FATAL(order(b, &c), 0);
    }
    CU_ASSERT_EQUAL(count_on(b), 0);
    bench_free(b);
}

static void test_facts_choose_and_are_followed(void)
{
    static struct roster r;
    struct bench *b = fleet();
    snprintf(r.facts, sizeof r.facts, "arch=arm64");
    CU_ASSERT_EQUAL(manager_facts_wanted(b->m), 0);
    CU_ASSERT_EQUAL(deploy(b, &r), 0);
    CU_ASSERT_EQUAL(count_on(b), 0); /* nobody's are known yet */
    bring_all(b);
    CU_ASSERT_EQUAL(count_on(b), AGENTS / 2);
    CU_ASSERT_TRUE(is_on(b, 1) && !is_on(b, 2));
    tell(b, 2, "arm64");
    tell(b, 1, "riscv64");
    step(b, &(struct manager_event){.type = MANAGER_TICK});
    go_on(b);
    CU_ASSERT_TRUE(is_on(b, 2) && !is_on(b, 1));
    CU_ASSERT_EQUAL(told, 2);
    bench_free(b);
}

/* What is on a list stays there until all facts have been heard again. */
static void test_list_by_facts_waits_for_facts_after_a_restart(void)
{
    static struct roster r;
    struct bench *b = fleet();
    snprintf(r.facts, sizeof r.facts, "arch=arm64");
    CU_ASSERT_EQUAL(deploy(b, &r), 0);
    bring_all(b);
    struct bench *again = bench_on(&options, 1000001);
    for (uint32_t i = 0; i < manager_batch_count(b->m); i++)
        CU_ASSERT_EQUAL(manager_load_batch(again->m, manager_batch(b->m, i)), 0);
    CU_ASSERT_EQUAL(manager_load_bundle(again->m, manager_bundle(b->m, 0)), 0);
    CU_ASSERT_EQUAL(manager_load_deployment(again->m, manager_deployment(b->m, 0)), 0);
    for (uint32_t i = 0; i < manager_cohort_count(b->m); i++)
        CU_ASSERT_EQUAL(manager_load_cohort(again->m, manager_cohort(b->m, i)), 0);
    for (uint32_t n = 1; n <= AGENTS; n++)
        CU_ASSERT_EQUAL(manager_load_agent(again->m, n, manager_agent(b->m, n), NULL, 0), 0);
    for (uint32_t n = 1; n <= AGENTS; n++) {
        uint32_t lists[RECORDS_MAX], sum = manager_lists(b->m, n, lists);
        CU_ASSERT_EQUAL(manager_load_lists(again->m, n, 0, lists, sum), 0);
    }
    step(again, &(struct manager_event){.type = MANAGER_TICK});
    go_on(again);
    CU_ASSERT_TRUE(told == 0 && count_on(again) == AGENTS / 2);
    CU_ASSERT_EQUAL(manager_facts_wanted(again->m), 1);
    bring_all(again);
    CU_ASSERT_TRUE(told == 0 && count_on(again) == AGENTS / 2);
    bench_free(b);
    bench_free(again);
}

/* ---- sorted by a fact ---- */

/* What each agent has, by number; "": it has told nothing. */
struct disks {
    char disk[AGENTS + 2][8];
};

static void hear_disk(struct bench *b, const struct disks *has, uint32_t number)
{
    static struct facts facts;
    const char *disk = has->disk[number];
    facts = (struct facts){.count = *disk ? 1 : 0, .list = {{"disk_free", ""}}};
    snprintf(facts.list[0].value, sizeof facts.list[0].value, "%s", disk);
    step(b, &(struct manager_event){.type = MANAGER_FACTS,
                                    .facts = {.number = number, .facts = &facts}});
    go_on(b);
}

static void tell_disk(struct bench *b, struct disks *has, uint32_t number, const char *disk)
{
    snprintf(has->disk[number], sizeof has->disk[number], "%s", disk);
    hear_disk(b, has, number);
}

static void bring_disks(struct bench *b, const struct disks *has)
{
    uint32_t number;
    unsigned sum = 0;
    while ((number = manager_facts_wanted(b->m)) != 0) {
        hear_disk(b, has, number);
        sum += told;
    }
    for (int i = 0; i < 3; i++) {
        step(b, &(struct manager_event){.type = MANAGER_TICK});
        go_on(b);
        sum += told;
    }
    told = sum;
}

static int deploy_sorted(struct bench *b, const struct roster *r, const char *selector,
                         const struct pick *pick)
{
    struct command c = deploy_command("app", r, selector);
    c.deploy.all = !*selector;
    c.deploy.pick = pick;
    return order(b, &c);
}

static const struct roster largest = {.sort = "-disk_free"};
#define PICK(n) ((struct pick){.amount = {(n), false}})

/* Agent n has n Gi, but for those behind the 30th, who tell nothing. */
static struct bench *disks(struct disks *has)
{
    struct bench *b = fleet();
    *has = (struct disks){0};
    for (uint32_t n = 1; n <= 30; n++)
        snprintf(has->disk[n], sizeof has->disk[n], "%uGi", (unsigned)n);
    return b;
}

static bool are_on(const struct bench *b, uint32_t first, uint32_t last)
{
    for (uint32_t n = first; n <= last; n++)
        if (!is_on(b, n))
            return false;
    return count_on(b) == last - first + 1;
}

static void test_pick_takes_the_best_by_a_fact_and_keeps_them(void)
{
    struct disks has;
    struct bench *b = disks(&has);
    CU_ASSERT_EQUAL(deploy_sorted(b, &largest, "", &PICK(5)), 0);
    CU_ASSERT_EQUAL(count_on(b), 0); /* nobody's are known yet */
    bring_disks(b, &has);
    CU_ASSERT_TRUE(are_on(b, 26, 30));
    CU_ASSERT_EQUAL(told, 5);
    tell_disk(b, &has, 1, "500Gi"); /* it comes too late */
    tell_disk(b, &has, 30, "1Mi");
    bring_disks(b, &has);
    CU_ASSERT_TRUE(are_on(b, 26, 30) && told == 0);
    struct command c = {.type = COMMAND_AGENT_REMOVE, .agent = manager_agent(b->m, 28)->id};
    CU_ASSERT_EQUAL(order(b, &c), 0);
    bring_disks(b, &has);
    CU_ASSERT_TRUE(is_on(b, 1) && !is_on(b, 25) && count_on(b) == 5);
    CU_ASSERT_EQUAL(deploy_sorted(b, &largest, "", &PICK(3)), 0);
    bring_disks(b, &has);
    CU_ASSERT_TRUE(is_on(b, 1) && is_on(b, 29) && is_on(b, 27) && count_on(b) == 3);
    CU_ASSERT_EQUAL(deploy_sorted(b, &largest, "", &PICK(5)), 0);
    bring_disks(b, &has);
    CU_ASSERT_TRUE(is_on(b, 26) && is_on(b, 25) && count_on(b) == 5);
    bench_free(b);
}

static void test_smallest_come_first_and_who_has_told_nothing_last(void)
{
    struct disks has;
    struct bench *b = disks(&has);
    struct roster r = {.sort = "disk_free", .facts = "disk_free>=4Gi"};
    CU_ASSERT_EQUAL(deploy_sorted(b, &r, "", &PICK(2)), 0);
    bring_disks(b, &has);
    CU_ASSERT_TRUE(are_on(b, 4, 5));
    tell_disk(b, &has, 4, "1Gi"); /* its facts don't fit any more */
    bring_disks(b, &has);
    CU_ASSERT_TRUE(are_on(b, 5, 6));
    r.facts[0] = '\0';
    CU_ASSERT_EQUAL(deploy_sorted(b, &r, "", &PICK(AGENTS - 2)), 0);
    bring_disks(b, &has);
    CU_ASSERT_EQUAL(count_on(b), AGENTS - 2);
    for (uint32_t n = 1; n <= 30; n++)
        CU_ASSERT_TRUE(is_on(b, n));
    CU_ASSERT_EQUAL(deploy_sorted(b, &r, "", &PICK(AGENTS + 5)), 0); /* there are no more */
    bring_disks(b, &has);
    CU_ASSERT_EQUAL(count_on(b), AGENTS);
    bench_free(b);
}

static void test_sorted_pick_of_equals_is_exact(void)
{
    struct disks has = {0};
    for (uint32_t k = 1; k < AGENTS; k += 3) {
        struct bench *b = fleet();
        for (uint32_t n = 1; n <= AGENTS; n++)
            snprintf(has.disk[n], sizeof has.disk[n], "%uGi", (unsigned)(n % 3));
        CU_ASSERT_EQUAL(deploy_sorted(b, &largest, "", &PICK(k)), 0);
        bring_disks(b, &has);
        CU_ASSERT_EQUAL(count_on(b), k);
        for (uint32_t n = 1; n <= AGENTS; n++)
            CU_ASSERT_TRUE(n % 3 == 2 ? k <= 13 || is_on(b, n) : k > 13 || !is_on(b, n));
        bench_free(b);
    }
}

/* Who has it by the hash, keeps it; where all have it, the best do. */
static void test_pick_can_be_sorted_afterwards(void)
{
    struct disks has;
    struct bench *b = disks(&has);
    struct agent_deployment d[RECORDS_MAX];
    bool before[AGENTS + 1];
    CU_ASSERT_EQUAL(deploy_sorted(b, NULL, "", &PICK(6)), 0);
    for (uint32_t n = 1; n <= AGENTS; n++) {
        before[n] = manager_agent_deployments(b->m, n, d) == 1;
        CU_ASSERT_EQUAL(manager_agent_deployment(b->m, n, 0, &d[1]), before[n]);
        CU_ASSERT_TRUE(!before[n] || (d[0].wanted == d[1].wanted && d[0].state == d[1].state));
        CU_ASSERT_FALSE(manager_agent_deployment(b->m, n, 1, &d[1]));
    }
    CU_ASSERT_EQUAL(deploy_sorted(b, &largest, "", &PICK(6)), 0);
    for (uint32_t n = 1; n <= AGENTS; n++) /* also as long as nothing is known */
        CU_ASSERT_EQUAL(manager_agent_deployments(b->m, n, d) == 1, before[n]);
    bring_disks(b, &has);
    for (uint32_t n = 1; n <= AGENTS; n++)
        CU_ASSERT_EQUAL(is_on(b, n), before[n]);
    CU_ASSERT_EQUAL(told, 6);
    bench_free(b);
    b = disks(&has);
    CU_ASSERT_EQUAL(deploy_sorted(b, NULL, "", NULL), 0);
    CU_ASSERT_EQUAL(deploy_sorted(b, &largest, "", &PICK(4)), 0);
    bring_disks(b, &has);
    CU_ASSERT_TRUE(are_on(b, 27, 30));
    CU_ASSERT_EQUAL(deploy_sorted(b, NULL, "", &PICK(4)), 0); /* and back */
    struct deployment_counts counts[1];
    manager_count_deployments(b->m, counts);
    CU_ASSERT_EQUAL(counts[0].targets, 4);
    bench_free(b);
}

static void test_sorted_pick_is_of_all_together_and_says_how_many(void)
{
    struct disks has;
    struct bench *b = disks(&has);
    struct pick each = {.amount = {1, false}, .by = "env"};
    struct roster r = from_to(1, 2), odd = {.sort = "a b"};
    CU_ASSERT_EQUAL(deploy_sorted(b, &largest, "", NULL), ERR_USAGE);
    CU_ASSERT_EQUAL(deploy_sorted(b, &largest, "", &each), ERR_USAGE);
    CU_ASSERT_EQUAL(deploy_sorted(b, &odd, "", &PICK(1)), ERR_USAGE);
    memcpy(r.sort, "disk_free", sizeof "disk_free");
    struct command c = deploy_command("app", &r, "");
    c.deploy.pick = &PICK(1);
    CU_ASSERT_EQUAL(order(b, &c), ERR_USAGE);
    c.deploy.roster = &largest; /* it says nobody */
    CU_ASSERT_EQUAL(order(b, &c), ERR_USAGE);
    CU_ASSERT_EQUAL(deploy_sorted(b, NULL, "", &each), 0);
    CU_ASSERT_EQUAL(deploy_sorted(b, &largest, "", &PICK(1)), ERR_BUSY);
    bench_free(b);
}

static void test_only_so_many_facts_are_sorted_by(void)
{
    struct bench *b = fleet();
    char name[16];
    for (unsigned i = 0; i <= 9; i++) {
        struct roster r = {0};
        snprintf(name, sizeof name, "app%u", i);
        snprintf(r.sort, sizeof r.sort, "fact%u", i < 8 ? i : 8);
        struct command c = deploy_command(name, &r, "env=prod");
        c.deploy.pick = &PICK(1);
        CU_ASSERT_EQUAL(order(b, &c), i < 8 ? 0 : i == 8 ? ERR_RANGE : 0);
        if (i == 8) {
            struct command gone = {.type = COMMAND_DEPLOYMENT_REMOVE,
                                   .deployment = {.name = "app3"}};
            CU_ASSERT_EQUAL(order(b, &gone), 0);
        }
    }
    bench_free(b);
}

static void test_sorted_pick_says_who_and_why_not(void)
{
    struct disks has;
    struct bench *b = disks(&has);
    struct arena scratch = arena_on((uint8_t *)b->scratch, sizeof b->scratch);
    struct why why;
    static struct preview p;
    struct errmsg em;
    CU_ASSERT_EQUAL(deploy_sorted(b, &largest, "env=prod", &PICK(5)), 0);
    bring_disks(b, &has);
    manager_why(b->m, 3, 0, b->now_s, &scratch, &why);
    CU_ASSERT_TRUE(why.reason == WHY_NOT_PICKED && !why.unsorted);
    manager_why(b->m, 33, 0, b->now_s, &scratch, &why);
    CU_ASSERT_TRUE(why.reason == WHY_NOT_PICKED && why.unsorted);
    manager_why(b->m, AGENTS, 0, b->now_s, &scratch, &why);
    CU_ASSERT_EQUAL(why.reason, WHY_NOT_SELECTED);
    struct command c = deploy_command("app", &largest, "env=prod");
    c.deploy.pick = &PICK(8);
    c.deploy.dry_run = true;
    CU_ASSERT_EQUAL(manager_preview(b->m, &c, b->now_s, &scratch, &p, &em), 0);
    CU_ASSERT_TRUE(p.targets == 8 && p.joining == 3 && p.leaving == 0);
    c.deploy.pick = &PICK(1);
    CU_ASSERT_EQUAL(manager_preview(b->m, &c, b->now_s, &scratch, &p, &em), 0);
    CU_ASSERT_TRUE(p.targets == 1 && p.joining == 0 && p.leaving == 4);
    CU_ASSERT_TRUE(are_on(b, 26, 30));
    bench_free(b);
}

/* Who holds a slot of the first deployment's rollout, as bits. */
static uint64_t holders(const struct bench *b)
{
    uint64_t bits = 0;
    for (uint32_t n = 1; n <= AGENTS; n++)
        bits |= (uint64_t)flight_holds(b->m, 0, n) << n;
    return bits;
}

/* Else others would begin while these are still at it. */
static void test_list_of_one_deployment_takes_no_slot_of_another_ones_rollout(void)
{
    struct bench *b = fleet();
    struct plan p = PLAN_DEFAULT;
    struct roster r = {0};
    p.count = 1;
    p.stages[0] = (struct plan_stage){.name = "all", .concurrency = {5, false}};
    for (uint32_t n = 1; n <= AGENTS; n++)
        report(b, n, false);
    struct command c = deploy_command("app", &r, "env=prod");
    c.deploy.plan = &p;
    CU_ASSERT_EQUAL(order(b, &c), 0);
    uint64_t five = holders(b);
    CU_ASSERT_EQUAL(__builtin_popcountll(five), 5);
    r = from_to(1, AGENTS - 1);
    CU_ASSERT_EQUAL(deploy_as(b, "tool", &r, ""), 0);
    CU_ASSERT_EQUAL(told, AGENTS - 1);
    CU_ASSERT_EQUAL(holders(b), five);
    r = from_to(AGENTS, AGENTS);
    CU_ASSERT_EQUAL(deploy_as(b, "tool", &r, ""), 0);
    CU_ASSERT_EQUAL(told, AGENTS);
    CU_ASSERT_EQUAL(holders(b), five);
    bench_free(b);
}

static void test_roster_comes_back_from_its_bytes(void)
{
    static struct roster r, got;
    static uint8_t memory[ROSTER_BYTES_MAX];
    struct buffer out = buffer_on(memory, sizeof memory);
    for (uint32_t i = 0; i < ROSTER_NAMED_MAX; i++)
        CU_ASSERT_EQUAL(roster_name(&r, UINT32_MAX - i), 0);
    CU_ASSERT_EQUAL(roster_name(&r, 7), ERR_RANGE);
    CU_ASSERT_EQUAL(roster_name(&r, UINT32_MAX), 0); /* known */
    memcpy(r.sort, "-disk_free", sizeof "-disk_free");
    CU_ASSERT_EQUAL(roster_write(&r, &out), 0);
    CU_ASSERT_EQUAL(roster_read(span_buffer(&out), &got), 0);
    CU_ASSERT_TRUE(roster_equal(&r, &got));
    for (size_t len = 0; len < out.len; len++)
        CU_ASSERT_TRUE(roster_read(span_of(memory, len), &got) < 0);
}

static const struct suite_test tests[] = {
    TEST(test_those_that_come_and_go_are_told_and_nobody_else),
    TEST(test_only_cohorts_of_those_on_the_list_have_the_record),
    TEST(test_names_must_be_there_and_say_less_than_all),
    TEST(test_names_come_on_top_of_a_selector_or_facts),
    TEST(test_who_is_excluded_is_not_in_by_name),
    TEST(test_names_can_be_added_and_taken_away_under_way),
    TEST(test_silence_counts_when_those_know_for_whom_it_is_new),
    TEST(test_removed_agent_leaves_and_its_successor_takes_its_place),
    TEST(test_counts_and_reasons_know_the_list),
    TEST(test_removed_deployments_give_their_lists_back),
    TEST(test_facts_choose_and_are_followed),
    TEST(test_list_by_facts_waits_for_facts_after_a_restart),
    TEST(test_pick_takes_the_best_by_a_fact_and_keeps_them),
    TEST(test_smallest_come_first_and_who_has_told_nothing_last),
    TEST(test_sorted_pick_of_equals_is_exact),
    TEST(test_pick_can_be_sorted_afterwards),
    TEST(test_sorted_pick_is_of_all_together_and_says_how_many),
    TEST(test_only_so_many_facts_are_sorted_by),
    TEST(test_sorted_pick_says_who_and_why_not),
    TEST(test_list_of_one_deployment_takes_no_slot_of_another_ones_rollout),
    TEST(test_roster_comes_back_from_its_bytes),
};

SUITE_MAIN("lists", tests)
