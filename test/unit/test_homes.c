#include "manager/homes.h"

#include "crypto/digest.h"
#include "test/suite.h"

#define AGENTS 2000

static struct homes h;

static struct key_id agent_of(uint32_t i)
{
    struct digest d = digest_of(span_of(&i, sizeof i));
    struct key_id id;
    memcpy(id.bytes, d.bytes, KEY_ID_LEN);
    return id;
}

static void cells(struct atlas *a, uint32_t from, uint32_t to)
{
    a->count = 0;
    for (uint32_t number = from; number <= to; number++)
        a->cells[a->count++] = (struct atlas_cell){.number = number};
}

/* From the atlas 4 of some cells to the atlas 5 of others. */
static void change(uint32_t before_from, uint32_t before_to, uint32_t from, uint32_t to)
{
    h = (struct homes){.moving = true, .now.number = 5};
    cells(&h.before, before_from, before_to);
    cells(&h.now, from, to);
}

static unsigned count(bool (*which)(struct homes *, uint32_t, const struct key_id *),
                      const struct key_id *agent, uint32_t to)
{
    unsigned n = 0;
    for (uint32_t number = 1; number <= to; number++)
        n += which(&h, number, agent);
    return n;
}

/* Cells that get or lose what is agents' own, in the stage that begins. */
static void look(uint32_t to, unsigned *gained, unsigned *lost)
{
    *gained = *lost = 0;
    for (uint32_t i = 0; i < AGENTS; i++) {
        struct key_id agent = agent_of(i);
        for (uint32_t number = 1; number <= to; number++) {
            bool now = homes_serve(&h, number, &agent), then = homes_served(&h, number, &agent);
            *gained += now && !then;
            *lost += then && !now;
        }
    }
}

static void test_an_agent_has_three_homes_and_those_of_before_while_it_moves(void)
{
    change(1, 10, 1, 11);
    for (uint32_t i = 0; i < AGENTS; i++) {
        struct key_id agent = agent_of(i);
        unsigned now = count(homes_serve, &agent, 11);
        CU_ASSERT_TRUE(now == ATLAS_HOMES || now == ATLAS_HOMES + 1);
        CU_ASSERT_EQUAL(count(homes_served, &agent, 11), ATLAS_HOMES);
    }
    h.moving = false;
    homes_forget(&h);
    for (uint32_t i = 0; i < AGENTS; i++) {
        struct key_id agent = agent_of(i);
        CU_ASSERT_EQUAL(count(homes_serve, &agent, 11), ATLAS_HOMES);
    }
}

/* What the next stage begins with is what this one ended with, for whatever change. */
static void test_stages_follow_on_each_other(void)
{
    static bool had[AGENTS][20];
    static const uint32_t changes[][4] = {
        {1, 10, 1, 11}, {1, 11, 1, 10}, {1, 6, 4, 9}, {1, 2, 1, 3}};
    for (size_t k = 0; k < sizeof changes / sizeof changes[0]; k++) {
        const uint32_t *c = changes[k];
        change(c[0], c[1], c[2], c[3]);
        CU_ASSERT_EQUAL(homes_stage(&h), 10);
        for (uint32_t i = 0; i < AGENTS; i++) {
            struct key_id agent = agent_of(i);
            for (uint32_t number = 1; number < 20; number++)
                had[i][number] = homes_serve(&h, number, &agent);
        }
        h.moving = false;
        homes_forget(&h);
        CU_ASSERT_EQUAL(homes_stage(&h), 11);
        for (uint32_t i = 0; i < AGENTS; i++) {
            struct key_id agent = agent_of(i);
            for (uint32_t number = 1; number < 20; number++)
                CU_ASSERT_EQUAL(homes_served(&h, number, &agent), had[i][number]);
        }
    }
}

static void test_only_a_stage_that_differs_costs_anything(void)
{
    unsigned gained, lost;
    change(1, 10, 1, 11); /* one more: it has an empty memory, and the others learn nothing new */
    look(10, &gained, &lost);
    CU_ASSERT_FALSE(homes_differ(&h));
    CU_ASSERT_TRUE(gained == 0 && lost == 0);
    h.moving = false;
    homes_forget(&h);
    look(10, &gained, &lost);
    CU_ASSERT_TRUE(homes_differ(&h));
    CU_ASSERT_TRUE(gained == 0 && lost > AGENTS / 5 && lost < AGENTS / 3); /* 3 of 11 */
    change(1, 11, 1, 10);                                                  /* one less */
    look(10, &gained, &lost);
    CU_ASSERT_TRUE(homes_differ(&h));
    CU_ASSERT_TRUE(lost == 0 && gained > AGENTS / 5 && gained < AGENTS / 3);
    h.moving = false;
    homes_forget(&h);
    look(10, &gained, &lost);
    CU_ASSERT_FALSE(homes_differ(&h));
    CU_ASSERT_TRUE(gained == 0 && lost == 0);
}

static const struct suite_test tests[] = {
    TEST(test_an_agent_has_three_homes_and_those_of_before_while_it_moves),
    TEST(test_stages_follow_on_each_other),
    TEST(test_only_a_stage_that_differs_costs_anything),
};

SUITE_MAIN("homes", tests)
