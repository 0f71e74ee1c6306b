#include "sync/atlas.h"

#include "crypto/digest.h"
#include "test/rewrite.h"
#include "test/suite.h"

#define CELLS 51
#define AGENTS 100000
/* Of what each cell should have: more is a deviation of four sigmas. */
#define PERCENT_OFF 10

static struct atlas atlas;
static uint8_t memory[ATLAS_MAX];

static struct key_id agent_of(uint32_t i)
{
    struct digest d = digest_of(span_of(&i, sizeof i));
    struct key_id id;
    memcpy(id.bytes, d.bytes, KEY_ID_LEN);
    return id;
}

/* Of cells 1 to `cells`, without one; 0: with all. */
static void cells_but(uint32_t cells, uint32_t without)
{
    atlas = (struct atlas){.number = 1};
    for (uint32_t number = 1; number <= cells; number++)
        if (number != without)
            atlas.cells[atlas.count++] =
                (struct atlas_cell){.number = number, .url = span_text("mqtt://cell")};
}

/* The numbers of the cells that an agent wants, in its order. */
static uint32_t wants(uint32_t agent, uint32_t numbers[static CELLS_MAX])
{
    struct key_id id = agent_of(agent);
    uint32_t count = atlas_order(&atlas, &id, CELLS_MAX, numbers);
    for (uint32_t i = 0; i < count; i++)
        numbers[i] = atlas.cells[numbers[i]].number;
    return count;
}

static bool is_near(uint32_t count, uint32_t expected)
{
    uint32_t off = count > expected ? count - expected : expected - count;
    return off * 100 <= expected * PERCENT_OFF;
}

/* ---- the order ---- */

static void test_agents_spread_evenly_at_each_place_of_their_order(void)
{
    static uint32_t taken[ATLAS_HOMES][CELLS + 1];
    uint32_t numbers[CELLS_MAX];
    cells_but(CELLS, 0);
    for (uint32_t i = 0; i < AGENTS; i++) {
        CU_ASSERT_EQUAL_FATAL(wants(i, numbers), CELLS_MAX);
        for (uint32_t k = 0; k < ATLAS_HOMES; k++)
            taken[k][numbers[k]]++;
    }
    for (uint32_t k = 0; k < ATLAS_HOMES; k++)
        for (uint32_t number = 1; number <= CELLS; number++)
            CU_ASSERT_TRUE(is_near(taken[k][number], AGENTS / CELLS));
}

static void test_a_new_cell_takes_its_share_from_all_and_moves_nobody_else(void)
{
    static uint32_t before[AGENTS];
    static uint32_t from[CELLS + 1];
    uint32_t numbers[CELLS_MAX], moved = 0;
    cells_but(CELLS, 0);
    for (uint32_t i = 0; i < AGENTS; i++) {
        wants(i, numbers);
        before[i] = numbers[0];
    }
    cells_but(CELLS + 1, 0);
    for (uint32_t i = 0; i < AGENTS; i++) {
        wants(i, numbers);
        moved += numbers[0] != before[i];
        from[before[i]] += numbers[0] != before[i];
        CU_ASSERT_TRUE(numbers[0] == before[i] || numbers[0] == CELLS + 1);
    }
    CU_ASSERT_TRUE(is_near(moved, AGENTS / (CELLS + 1)));
    for (uint32_t number = 1; number <= CELLS; number++)
        CU_ASSERT_TRUE(from[number] > 0);
}

/* Each of its agents goes to what it wanted next, and these are all the others. */
static void test_a_cell_that_is_gone_changes_its_own_agents_lists_alone(void)
{
    static uint32_t to[CELLS + 1];
    uint32_t with[CELLS_MAX], without[CELLS_MAX];
    for (uint32_t i = 0; i < AGENTS; i++) {
        uint32_t at = 0;
        cells_but(CELLS, 0);
        wants(i, with);
        cells_but(CELLS, 7);
        wants(i, without);
        while (at < ATLAS_HOMES && with[at] != 7)
            at++;
        CU_ASSERT_EQUAL(memcmp(without, with, at * sizeof with[0]), 0);
        CU_ASSERT_EQUAL(
            memcmp(without + at, with + at + (at < ATLAS_HOMES), (ATLAS_HOMES - at) * 4), 0);
        to[without[0]] += with[0] == 7;
    }
    for (uint32_t number = 1; number <= CELLS; number++)
        CU_ASSERT_EQUAL(to[number] > 0, number != 7);
}

static void test_fewer_cells_than_asked_for_come_each_once(void)
{
    uint32_t numbers[CELLS_MAX];
    cells_but(3, 0);
    for (uint32_t i = 0; i < 100; i++) {
        CU_ASSERT_EQUAL(wants(i, numbers), 3);
        CU_ASSERT_EQUAL(1u << numbers[0] | 1u << numbers[1] | 1u << numbers[2], 0xe);
    }
}

/* ---- bytes ---- */

static struct span write_atlas(void)
{
    struct buffer out = buffer_on(memory, sizeof memory);
    CU_ASSERT_EQUAL(atlas_write(&atlas, &out), 0);
    return span_buffer(&out);
}

static void test_an_atlas_comes_back_from_its_bytes(void)
{
    static struct atlas again;
    sample_atlas(&atlas);
    CU_ASSERT_EQUAL(atlas_read(write_atlas(), &again), 0);
    CU_ASSERT_EQUAL(again.number, atlas.number);
    CU_ASSERT_EQUAL(again.spread_s, atlas.spread_s);
    CU_ASSERT_EQUAL_FATAL(again.count, atlas.count);
    for (uint32_t i = 0; i < again.count; i++) {
        CU_ASSERT_EQUAL(again.cells[i].number, atlas.cells[i].number);
        CU_ASSERT_TRUE(span_equal(again.cells[i].url, atlas.cells[i].url));
    }
}

static void test_hostile_bytes_are_refused(void)
{
    sample_atlas(&atlas);
    struct span whole = write_atlas();
    CU_ASSERT_TRUE(rewrite_refuses_other_lengths(rewrite_atlas, whole));
    CU_ASSERT_TRUE(rewrite_survives_flips(rewrite_atlas, whole, false));
}

static void refused(void)
{
    static struct atlas again;
    CU_ASSERT_TRUE(atlas_read(write_atlas(), &again) < 0);
}

static void test_what_no_manager_writes_is_refused(void)
{
    static const char long_url[CELL_URL_MAX + 2] = {0};
    sample_atlas(&atlas);
    atlas.number = 0;
    refused();
    sample_atlas(&atlas);
    atlas.spread_s = ATLAS_SPREAD_S_MAX + 1;
    refused();
    sample_atlas(&atlas);
    atlas.cells[1].number = atlas.cells[0].number; /* twice the same name */
    refused();
    sample_atlas(&atlas);
    atlas.cells[0].number = 0;
    refused();
    sample_atlas(&atlas);
    atlas.cells[2].url = SPAN_NONE;
    refused();
    sample_atlas(&atlas);
    atlas.cells[2].url = span_of(long_url, CELL_URL_MAX + 1);
    refused();
}

static void test_as_many_cells_as_there_may_be_fit_and_no_more(void)
{
    static struct atlas again;
    static char url[CELL_URL_MAX + 1];
    static uint8_t small[ATLAS_MAX];
    struct buffer out = buffer_on(small, sizeof small);
    memset(url, 'a', CELL_URL_MAX);
    cells_but(ATLAS_CELLS_MAX, 0);
    CU_ASSERT_EQUAL(atlas_read(write_atlas(), &again), 0);
    CU_ASSERT_EQUAL(again.count, ATLAS_CELLS_MAX);
    for (uint32_t i = 0; i < atlas.count; i++)
        atlas.cells[i].url = span_text(url);
    CU_ASSERT_TRUE(atlas_write(&atlas, &out) < 0);
}

static const struct suite_test tests[] = {
    TEST(test_agents_spread_evenly_at_each_place_of_their_order),
    TEST(test_a_new_cell_takes_its_share_from_all_and_moves_nobody_else),
    TEST(test_a_cell_that_is_gone_changes_its_own_agents_lists_alone),
    TEST(test_fewer_cells_than_asked_for_come_each_once),
    TEST(test_an_atlas_comes_back_from_its_bytes),
    TEST(test_hostile_bytes_are_refused),
    TEST(test_what_no_manager_writes_is_refused),
    TEST(test_as_many_cells_as_there_may_be_fit_and_no_more),
};

SUITE_MAIN("atlas", tests)
