#include "base/rng.h"
#include "manager/core/state.h"
#include "test/manager_bench.h"

#define AGENTS 60

static const struct manager_options options = {
    .limits = {.agents = AGENTS, .cohorts = 8, .deployments = 1, .bundles = 1, .batches = AGENTS},
    .epoch = 1,
    .cohort_secret = {{7}},
    .document_life_s = 1000000,
    .policy = POLICY_DEFAULT};
static const char *const labels[] = {"site=pier", "site=hill", "site=lab", "site=hill,kind=gate"};

static void check(const struct manager *m)
{
    for (uint32_t i = 0; i < manager_cohort_count(m); i++) {
        const uint32_t *numbers = muster_of(m, i);
        uint32_t count = 0;
        for (uint32_t n = 1; n <= manager_agent_count(m); n++) {
            const struct agent_row *row = manager_agent(m, n);
            if (row->cohort != i || !agent_in_fleet(row))
                continue;
            CU_ASSERT_TRUE_FATAL(count < m->cohorts[i].agents);
            CU_ASSERT_EQUAL(numbers[count++], n);
        }
        CU_ASSERT_EQUAL(count, m->cohorts[i].agents);
    }
}

static struct command random_command(struct rng *rng, const struct manager *m)
{
    static const char *const sites[] = {"site=pier", "site=hill", "site=lab"};
    static const enum command_type types[] = {COMMAND_AGENT_REMOVE, COMMAND_AGENT_REVOKE,
                                              COMMAND_AGENT_CORDON, COMMAND_LABEL, COMMAND_LABEL};
    uint32_t number = 1 + (uint32_t)rng_below(rng, manager_agent_count(m));
    struct key_id id = manager_agent(m, number)->id;
    struct command c = {.type = types[rng_below(rng, sizeof types / sizeof types[0])]};
    if (c.type == COMMAND_LABEL) {
        c.label.id = id;
        c.label.set = sites[rng_below(rng, 3)];
        c.label.unset = "";
    } else {
        c.agent = id;
    }
    return c;
}

static void test_musters_follow_who_comes_goes_and_moves(void)
{
    struct rng rng = {.state = 1};
    struct bench *b = bench_on(&options, 1000000);
    join_agents(b, labels[0], 1);
    for (int i = 0; i < 400; i++) {
        if (rng_below(&rng, 6) == 0 && manager_agent_count(b->m) < AGENTS)
            join_agents(b, labels[rng_below(&rng, 4)], 1);
        struct command c = random_command(&rng, b->m);
        run(b, &c);
        check(b->m);
    }
    CU_ASSERT_TRUE(manager_agent_count(b->m) > AGENTS / 2);
    bench_free(b);
}

static const struct suite_test tests[] = {
    TEST(test_musters_follow_who_comes_goes_and_moves),
};

SUITE_MAIN("muster", tests)
