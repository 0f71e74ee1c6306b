/* The atlas of a manager whose cells change from start to start. */
#include "manager/pilot.h"

#include "test/samples.h"
#include "test/suite.h"
#include "test/tree.h"

#define NOW_S 1700000000

struct bench {
    struct tree_path dir;
    struct fleet_keys fleet;
    struct keyring keys;
    struct ledger *ledger;
    struct pilot pilot;
    struct homes homes;
    struct errmsg em;
};

static struct bench *bench_new(void)
{
    struct bench *b = calloc(1, sizeof *b);
    tree_must(b != NULL, "bench");
    b->fleet = (struct fleet_keys){.signing = sample_secret(SAMPLE_ONLINE),
                                   .authority = sample_secret(129)};
    b->dir = tree_new();
    b->ledger = ledger_open(b->dir.text, &b->fleet, NULL);
    tree_must(b->ledger && keyring_init(&b->keys, &b->fleet) == 0, "ledger");
    b->pilot =
        (struct pilot){.keys = &b->keys, .policy = POLICY_DEFAULT, .epoch = 1, .now_s = NOW_S};
    return b;
}

static void bench_free(struct bench *b)
{
    ledger_close(b->ledger);
    tree_free(&b->dir);
    free(b);
}

/* Starts with cells of its own, and one of somebody else. */
static int start(struct bench *b, uint32_t own, const char *foreign)
{
    static char urls[8][40];
    b->homes = (struct homes){.moving = false};
    struct atlas *a = &b->homes.now;
    if (foreign)
        a->cells[a->count++] =
            (struct atlas_cell){.number = pilot_foreign(foreign), .url = span_text(foreign)};
    for (uint32_t i = 0; i < own; i++) {
        snprintf(urls[i], sizeof urls[i], "mqtts://fleet.example:%u", 8883 + i);
        a->cells[a->count++] =
            (struct atlas_cell){.number = pilot_own(i), .url = span_text(urls[i])};
    }
    return pilot_open(&b->pilot, &b->homes, b->ledger, &b->em);
}

/* What agents get, checked as they do. */
static uint32_t published(struct bench *b)
{
    static uint8_t room[MESSAGE_MAX];
    static struct atlas a;
    struct buffer envelope = buffer_on(room, sizeof room);
    struct trust trust = sample_trust();
    struct span body;
    CU_ASSERT_EQUAL(ledger_published(b->ledger, "dl1/atlas", &envelope, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(
        trust_open(&trust, TRUST_ONLINE, MESSAGE_ATLAS, span_buffer(&envelope), &body), 0);
    CU_ASSERT_EQUAL_FATAL(atlas_read(body, &a), 0);
    CU_ASSERT_EQUAL(a.count, b->homes.now.count);
    CU_ASSERT_EQUAL(a.number, b->homes.now.number);
    CU_ASSERT_EQUAL(a.spread_s, b->pilot.policy.reconnect_spread_s);
    CU_ASSERT_EQUAL(ledger_setting(b->ledger, LEDGER_ATLAS), a.number);
    return a.number;
}

static void test_other_cells_are_another_atlas_and_the_same_are_none(void)
{
    struct bench *b = bench_new();
    CU_ASSERT_EQUAL(start(b, 2, NULL), 0);
    CU_ASSERT_EQUAL(published(b), 1);
    CU_ASSERT_FALSE(b->homes.moving); /* nobody was anywhere before */
    CU_ASSERT_EQUAL(start(b, 2, NULL), 0);
    CU_ASSERT_EQUAL(published(b), 1);
    CU_ASSERT_EQUAL(start(b, 3, "mqtts://east.example"), 0);
    CU_ASSERT_EQUAL(published(b), 2);
    CU_ASSERT_TRUE(b->homes.moving);
    CU_ASSERT_EQUAL(b->homes.before.count, 2);
    CU_ASSERT_EQUAL(start(b, 3, "mqtts://east.example"), 0);
    CU_ASSERT_EQUAL(published(b), 2);
    CU_ASSERT_TRUE(b->homes.moving); /* a manager that was away knows on */
    CU_ASSERT_EQUAL(b->homes.before.count, 2);
    CU_ASSERT_EQUAL(b->homes.before.cells[1].number, 2);
    CU_ASSERT_EQUAL(start(b, 3, "mqtts://west.example"), 0);
    CU_ASSERT_EQUAL(published(b), 3);
    CU_ASSERT_EQUAL(b->homes.before.count, 4);
    bench_free(b);
}

static void test_agents_have_so_long_to_move(void)
{
    struct bench *b = bench_new();
    const struct policy *p = &b->pilot.policy;
    CU_ASSERT_EQUAL(start(b, 2, NULL), 0);
    CU_ASSERT_EQUAL(pilot_tend(&b->pilot, &b->homes, b->ledger, NULL), 0);
    CU_ASSERT_EQUAL(start(b, 3, NULL), 0);
    uint64_t stage = homes_stage(&b->homes);
    b->pilot.now_s += p->reconnect_spread_s + p->fetch_spread_s + 5 * p->heartbeat_s / 2;
    CU_ASSERT_EQUAL(pilot_tend(&b->pilot, &b->homes, b->ledger, NULL), 0);
    CU_ASSERT_EQUAL(homes_stage(&b->homes), stage);
    b->pilot.now_s += p->heartbeat_s;
    CU_ASSERT_EQUAL(pilot_tend(&b->pilot, &b->homes, b->ledger, NULL), 1);
    CU_ASSERT_EQUAL(homes_stage(&b->homes), stage + 1);
    CU_ASSERT_EQUAL(pilot_tend(&b->pilot, &b->homes, b->ledger, NULL), 0);
    CU_ASSERT_EQUAL(start(b, 3, NULL), 0);
    CU_ASSERT_EQUAL(homes_stage(&b->homes), stage + 1);
    bench_free(b);
}

/* After a restore nobody knows which numbers were given out: those of an epoch are higher than all
 * of the epochs before. */
static void test_another_epoch_has_higher_numbers(void)
{
    struct bench *b = bench_new();
    CU_ASSERT_EQUAL(start(b, 2, NULL), 0);
    b->pilot.epoch = 2;
    CU_ASSERT_EQUAL(start(b, 2, NULL), 0);
    CU_ASSERT_EQUAL(published(b), (1u << 20) + 1);
    CU_ASSERT_EQUAL(start(b, 2, NULL), 0);
    CU_ASSERT_EQUAL(published(b), (1u << 20) + 1);
    b->pilot.epoch = 4095; /* a report moved it */
    CU_ASSERT_EQUAL(pilot_tend(&b->pilot, &b->homes, b->ledger, NULL), 1);
    CU_ASSERT_EQUAL(published(b), (4094u << 20) + 1);
    CU_ASSERT_EQUAL(pilot_tend(&b->pilot, &b->homes, b->ledger, NULL), 0);
    bench_free(b);
}

static void test_cells_that_can_not_be_told_apart_are_refused(void)
{
    struct bench *b = bench_new();
    b->homes.now.count = 2;
    for (int i = 0; i < 2; i++)
        b->homes.now.cells[i] = (struct atlas_cell){.number = pilot_foreign("mqtts://east.example"),
                                                    .url = span_text("mqtts://east.example")};
    CU_ASSERT_EQUAL(pilot_open(&b->pilot, &b->homes, b->ledger, &b->em), ERR_RANGE);
    CU_ASSERT_PTR_NOT_NULL(strstr(b->em.text, "mqtts://east.example can't be told apart"));
    bench_free(b);
}

static const struct suite_test tests[] = {
    TEST(test_other_cells_are_another_atlas_and_the_same_are_none),
    TEST(test_agents_have_so_long_to_move),
    TEST(test_another_epoch_has_higher_numbers),
    TEST(test_cells_that_can_not_be_told_apart_are_refused),
};

SUITE_MAIN("pilot", tests)
