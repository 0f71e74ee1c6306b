/* What a crowd finds when it looks whether each of its agents ended as it should, and what workers'
 * crowds say of the same cohort. */
#include "simulator/load/team.h"

#include "test/suite.h"

#include <stdlib.h>

/* Two of each group. */
#define AGENTS (2 * SCRIPT_GROUPS)

static const struct script script = {.agents = AGENTS, .fail_per_mille = 100};
static struct device_seed seeds[AGENTS];
static struct board board;
static struct lore_place places[AGENTS], other_place;
static struct lore_document documents[SCRIPT_GROUPS], other_document;
static struct held held[AGENTS];
static struct crowd *crowd;

static struct digest version(uint8_t v)
{
    return (struct digest){{v}};
}

static struct cohort_key cohort(uint8_t group)
{
    return (struct cohort_key){{(uint8_t)(group + 1)}};
}

/* As it should be in the end. */
static void end_well(uint32_t agent)
{
    struct member *m = &crowd->members[agent];
    uint32_t group = script_group(agent);
    bool fails = script_fails(&script, agent);
    struct lore_place *place = &places[agent];
    struct lore_document *d = &documents[group];
    place->assignment.labels = script_labels(group, script_moves(agent));
    place->assignment.cohort = d->document.cohort = cohort((uint8_t)group);
    d->document.revision = (struct revision){.epoch = 1, .number = 7};
    held[agent] = (struct held){.deployment = 1,
                                .phase = fails ? PHASE_ROLLED_BACK : PHASE_SETTLED,
                                .wanted = {.generation = 2, .bundle = version(2)},
                                .running = {.generation = fails ? 1 : 2}};
    held[agent].running.bundle = version(fails ? 1 : 2);
    m->line.state = LINE_UP;
    m->core.link = LINK_UP;
    m->place = place;
    m->document = d;
    m->held = &held[agent];
    m->held_count = 1;
}

static void begin(void)
{
    struct errmsg em;
    board = (struct board){.orders = 0};
    for (uint32_t i = 0; i < AGENTS; i++)
        seeds[i].key.public.bytes[0] = (uint8_t)i;
    crowd = crowd_new(
        &(struct crowd_options){.script = script, .seeds = seeds, .count = AGENTS, .board = &board},
        &em);
    CU_ASSERT_PTR_NOT_NULL_FATAL(crowd);
    for (uint32_t i = 0; i < AGENTS; i++)
        end_well(i);
    other_place = places[3];
    other_document = documents[3];
}

/* The places and rows are not the heap's. */
static void done(void)
{
    for (uint32_t i = 0; i < AGENTS; i++)
        crowd->members[i].held = NULL;
    crowd_free(crowd);
}

static void look(void)
{
    board.faults = 0;
    crowd_obey(crowd,
               &(struct order){.type = ORDER_CHECK, .bundle = version(2), .before = version(1)});
}

static void test_a_fleet_that_ended_well_has_no_fault(void)
{
    begin();
    look();
    CU_ASSERT_EQUAL(board.faults, 0);
    CU_ASSERT_EQUAL(board.cohorts, SCRIPT_GROUPS);
    CU_ASSERT_EQUAL(board.cohort[3].agents, 2);
    CU_ASSERT_EQUAL(board.cohort[3].revision.number, 7);
    done();
}

static void lose_link(struct member *m)
{
    m->line.state = LINE_DOWN;
}

static void believe_no_link(struct member *m)
{
    m->core.link = LINK_DOWN;
}

static void keep_other_labels(struct member *m)
{
    other_place.assignment.labels = script_labels(4, false);
    m->place = &other_place;
}

static void have_no_document(struct member *m)
{
    m->document = NULL;
}

static void have_another_cohorts_document(struct member *m)
{
    other_document.document.cohort = cohort(100);
    m->document = &other_document;
}

static void have_nothing(struct member *m)
{
    m->held_count = 0;
}

static void run_before(struct member *m)
{
    m->held[0].running.bundle = version(1);
}

static void want_another(struct member *m)
{
    m->held[0].wanted.bundle = version(3);
}

static void be_at_work(struct member *m)
{
    m->held[0].phase = PHASE_APPLYING;
}

static void be_behind_its_cohort(struct member *m)
{
    other_document.document.revision.number = 6;
    m->document = &other_document;
}

/* One member at a time, and what is said of it. */
static void test_each_difference_of_one_agent_is_a_fault(void)
{
    static const struct {
        void (*spoil)(struct member *m);
        const char *words;
    } faults[] = {
        {lose_link, "it is not connected"},
        {believe_no_link, "it is not connected"},
        {keep_other_labels, "its labels are env=prod,site=s4, not "},
        {have_no_document, "it has no document of its cohort"},
        {have_another_cohorts_document, "it has no document of its cohort"},
        {have_nothing, "it has 0 deployments instead of one"},
        {run_before, "and should run the second version"},
        {want_another, "and should run the second version"},
        {be_at_work, "and should run the second version"},
        {be_behind_its_cohort, "it holds document 1.6, others of its cohort 1.7"},
    };
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        begin();
        struct member *m = &crowd->members[SCRIPT_GROUPS + 3]; /* the second one of its group */
        CU_ASSERT_FALSE_FATAL(script_fails(&script, m->index));
        m->number = 24;
        faults[i].spoil(m);
        look();
        CU_ASSERT_TRUE(board.faults >= 1);
        CU_ASSERT_PTR_NOT_NULL(strstr(board.fault[0], "agent 24 ("));
        CU_ASSERT_PTR_NOT_NULL(strstr(board.fault[0], faults[i].words));
        done();
    }
}

static void test_one_that_should_have_failed_and_did_not_is_a_fault(void)
{
    uint32_t agent = 0;
    begin();
    while (agent < AGENTS && !script_fails(&script, agent))
        agent++;
    CU_ASSERT_TRUE_FATAL(agent < AGENTS);
    held[agent].phase = PHASE_SETTLED;
    held[agent].running = held[agent].wanted;
    look();
    CU_ASSERT_EQUAL(board.faults, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(board.fault[0], "and should have gone back"));
    done();
}

/* ---- among workers ---- */

static struct board others[3];

static void see(struct board *b, uint8_t group, uint32_t number)
{
    b->cohort[b->cohorts++] = (struct cohort_seen){
        .key = cohort(group), .revision = {.epoch = 1, .number = number}, .agents = 1};
}

static void test_workers_that_saw_different_documents_of_a_cohort_are_told(void)
{
    static struct team t = {.count = 3};
    struct team_split split;
    memset(others, 0, sizeof others);
    for (uint32_t w = 0; w < 3; w++)
        t.workers[w].board = &others[w];
    for (uint32_t w = 0; w < 3; w++)
        for (uint8_t group = 0; group < 4; group++)
            if (w != 0 || group != 2) /* the first has nobody of that one */
                see(&others[w], group, 7);
    CU_ASSERT_FALSE(team_compare(&t, 0, &split));
    others[1].cohort[3].revision.number = 6;
    others[2].cohort[2].revision.epoch = 2;
    CU_ASSERT_TRUE_FATAL(team_compare(&t, 0, &split));
    CU_ASSERT_EQUAL(split.worker, 1);
    CU_ASSERT_EQUAL(split.here.number, 6);
    CU_ASSERT_EQUAL(split.elsewhere.number, 7);
    CU_ASSERT_TRUE_FATAL(team_compare(&t, 1, &split));
    CU_ASSERT_EQUAL(split.worker, 2);
    CU_ASSERT_EQUAL(split.here.epoch, 2);
    CU_ASSERT_EQUAL(split.elsewhere.epoch, 1);
    CU_ASSERT_FALSE(team_compare(&t, 2, &split));
}

static const struct suite_test tests[] = {
    TEST(test_a_fleet_that_ended_well_has_no_fault),
    TEST(test_each_difference_of_one_agent_is_a_fault),
    TEST(test_one_that_should_have_failed_and_did_not_is_a_fault),
    TEST(test_workers_that_saw_different_documents_of_a_cohort_are_told),
};

SUITE_MAIN("crowd", tests)
