#include "manager/recent.h"

#include "base/rng.h"
#include "manager/keyring.h"
#include "test/suite.h"
#include "test/tree.h"

#include <stdio.h>
#include <stdlib.h>

/* More than are kept in memory, by number and by bytes. */
#define TOPICS 3000
#define LONG 16384

static struct tree_path dir;
static struct ledger *ledger;
static struct recent *recent;
static uint8_t payload[LONG];

static void set_up(void)
{
    struct fleet_keys keys;
    struct errmsg em = {.text = ""};
    dir = tree_new();
    tree_must(keyring_draw(&keys) == 0, "keys");
    ledger = ledger_open(dir.text, &keys, &em);
    tree_must(ledger != NULL, em.text);
    recent = recent_new(ledger);
    tree_must(recent != NULL, "memory");
}

static void tear_down(void)
{
    recent_free(recent);
    ledger_close(ledger);
    tree_free(&dir);
}

static void publish(uint32_t topic, size_t len)
{
    char text[TOPIC_MAX];
    snprintf(text, sizeof text, "dl1/trust/%u", topic + 1);
    payload[0] = (uint8_t)topic;
    CU_ASSERT_EQUAL(ledger_publish(ledger, text, span_of(payload, len), NULL), 0);
}

static void commit(void)
{
    CU_ASSERT_EQUAL(ledger_commit(ledger, NULL), 0);
}

/* The same row as the database has; 0 at the end. */
static uint64_t same_next(uint64_t after)
{
    struct recent_row row;
    struct control_row expected;
    char topic[TOPIC_MAX];
    int rv = recent_next(recent, after, &row, NULL);
    uint64_t serial = rv == 1 ? row.serial : 0;
    uint8_t first = rv == 1 && row.payload.len > 0 ? row.payload.data[0] : 0;
    size_t len = rv == 1 ? row.payload.len : 0;
    snprintf(topic, sizeof topic, "%s", rv == 1 ? row.topic : "");
    CU_ASSERT_EQUAL_FATAL(ledger_next_control(ledger, after, &expected, NULL), rv);
    if (rv == 0)
        return 0;
    CU_ASSERT_EQUAL_FATAL(expected.serial, serial);
    CU_ASSERT_STRING_EQUAL(expected.topic, topic);
    CU_ASSERT_EQUAL_FATAL(expected.payload.len, len);
    CU_ASSERT_TRUE(len == 0 || expected.payload.data[0] == first);
    CU_ASSERT_EQUAL(row.name.kind, TOPIC_TRUST);
    return serial;
}

static void test_every_row_comes_once_and_in_order_to_all_who_follow(void)
{
    set_up();
    for (uint32_t i = 0; i < TOPICS; i++)
        publish(i, i % 50);
    commit();
    uint64_t near = 0, far = 0, next;
    for (uint32_t i = 0; (next = same_next(near)) != 0; i++) {
        near = next;
        if (i % 3 == 0) /* beyond what is in memory at last */
            far = same_next(far);
    }
    CU_ASSERT_EQUAL(near, TOPICS);
    CU_ASSERT_TRUE(far < TOPICS / 2);
    while ((next = same_next(far)) != 0)
        far = next;
    CU_ASSERT_EQUAL(far, near);
    tear_down();
}

static void test_any_place_in_the_log_will_do_while_it_grows(void)
{
    struct rng rng = {.state = 7};
    set_up();
    for (uint32_t round = 0; round < 200; round++) {
        for (uint32_t i = 0; i < 40; i++)
            publish(round * 40 + i, rng_below(&rng, 4) ? 10 : LONG); /* each once */
        commit();
        for (uint32_t i = 0; i < 20; i++)
            same_next(rng_below(&rng, round * 40 + 42));
    }
    tear_down();
}

static void test_what_a_newer_row_has_replaced_is_followed_by_it(void)
{
    struct recent_row row;
    set_up();
    for (uint32_t i = 0; i < 10; i++)
        publish(i, 5);
    commit();
    CU_ASSERT_EQUAL(recent_next(recent, 0, &row, NULL), 1); /* all ten are in memory now */
    publish(4, 9);
    publish(6, 0); /* erased */
    commit();
    size_t len[10] = {0};
    uint64_t last = 0;
    while (recent_next(recent, last, &row, NULL) == 1) {
        CU_ASSERT_TRUE(row.serial > last);
        last = row.serial;
        len[row.name.version - 1] = row.payload.len;
    }
    CU_ASSERT_EQUAL(last, 12);
    for (uint32_t i = 0; i < 10; i++)
        CU_ASSERT_EQUAL(len[i], i == 4 ? 9 : i == 6 ? 0 : 5);
    tear_down();
}

/* A cell that has just come up looks for the end of its mark, in the midst of a turn. */
static void test_what_is_rolled_back_is_forgotten(void)
{
    struct recent_row row;
    set_up();
    publish(0, 5);
    commit();
    publish(1, 7);
    CU_ASSERT_EQUAL(recent_next(recent, 0, &row, NULL), 1);
    CU_ASSERT_EQUAL(recent_next(recent, 1, &row, NULL), 1);
    ledger_rollback(ledger);
    recent_forget(recent);
    CU_ASSERT_EQUAL(same_next(0), 1);
    CU_ASSERT_EQUAL(same_next(1), 0);
    publish(2, 9); /* under the same serial */
    commit();
    CU_ASSERT_EQUAL(same_next(1), 2);
    CU_ASSERT_EQUAL(recent_next(recent, 1, &row, NULL), 1);
    CU_ASSERT_EQUAL(row.name.version, 3);
    tear_down();
}

static const struct suite_test tests[] = {
    TEST(test_every_row_comes_once_and_in_order_to_all_who_follow),
    TEST(test_any_place_in_the_log_will_do_while_it_grows),
    TEST(test_what_a_newer_row_has_replaced_is_followed_by_it),
    TEST(test_what_is_rolled_back_is_forgotten),
};

SUITE_MAIN("recent", tests)
