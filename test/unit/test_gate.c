#include "sync/gate.h"

#include "sync/desired.h"
#include "test/samples.h"
#include "test/suite.h"

#include <stdlib.h>

#define AGENTS 1000

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* What rollouts stand on: the k-th smallest hash admits exactly k agents. */
static void test_the_kth_smallest_hash_admits_exactly_k(void)
{
    static uint64_t hashes[AGENTS];
    for (uint32_t i = 0; i < AGENTS; i++)
        hashes[i] = gate_hash(99, 7, i + 1);
    qsort(hashes, AGENTS, sizeof hashes[0], by_value);
    for (uint32_t k = 1; k <= AGENTS; k += 37) {
        struct gate g = {.threshold = hashes[k - 1], .enrolled_before = UINT32_MAX};
        uint32_t admitted = 0;
        for (uint32_t i = 0; i < AGENTS; i++)
            admitted += gate_passes(&g, gate_hash(99, 7, i + 1), i + 1);
        CU_ASSERT_EQUAL(admitted, k);
    }
}

static void test_open_gate_lets_everybody_pass_and_a_zero_gate_nobody(void)
{
    struct gate open = GATE_OPEN, shut = {0};
    CU_ASSERT_TRUE(gate_passes(&open, UINT64_MAX, UINT32_MAX));
    CU_ASSERT_TRUE(gate_passes(&open, 0, 1));
    CU_ASSERT_FALSE(gate_passes(&shut, 0, 0));
    CU_ASSERT_FALSE(gate_passes(&shut, 0, 1));
}

static void test_late_joiners_stay_outside(void)
{
    struct gate g = {.threshold = UINT64_MAX, .enrolled_before = 10};
    CU_ASSERT_TRUE(gate_passes(&g, UINT64_MAX, 9));
    CU_ASSERT_FALSE(gate_passes(&g, 0, 10));
}

static void test_salt_and_deployment_change_the_order(void)
{
    uint64_t hash = gate_hash(1, 2, 7);
    CU_ASSERT_EQUAL(gate_hash(1, 2, 7), hash);
    CU_ASSERT_NOT_EQUAL(gate_hash(2, 2, 7), hash);
    CU_ASSERT_NOT_EQUAL(gate_hash(1, 3, 7), hash);
    CU_ASSERT_NOT_EQUAL(gate_hash(1, 2, 8), hash);
}

static void test_record_decides_between_none_stable_and_next(void)
{
    struct record r = {
        .deployment = 7,
        .salt = 5,
        .gate = GATE_OPEN,
        .stable = {.generation = 3, .bundle = sample_digest(1)},
    };
    uint64_t hash = gate_hash(5, 7, 99);
    CU_ASSERT_EQUAL(record_target(&r, 99).generation, 3);
    r.next = (struct target){.generation = 4, .bundle = sample_digest(2)};
    CU_ASSERT_EQUAL(record_target(&r, 99).generation, 3);
    r.next_gate = (struct gate){.threshold = hash, .enrolled_before = 100};
    CU_ASSERT_EQUAL(record_target(&r, 99).generation, 4);
    r.next_gate.enrolled_before = 99;
    CU_ASSERT_EQUAL(record_target(&r, 99).generation, 3);
    r.next_gate.enrolled_before = 100;
    r.next_gate.threshold = hash - 1;
    CU_ASSERT_EQUAL(record_target(&r, 99).generation, 3);
    r.gate.threshold = hash - 1;
    r.next_gate.threshold = UINT64_MAX;
    CU_ASSERT_EQUAL(record_target(&r, 99).generation, 0);
}

static void test_new_deployment_has_no_stable_version_yet(void)
{
    struct record r = {.deployment = 1, .gate = GATE_OPEN, .next = {.generation = 1}};
    CU_ASSERT_EQUAL(record_target(&r, 1).generation, 0);
    r.next_gate = GATE_OPEN;
    CU_ASSERT_EQUAL(record_target(&r, 1).generation, 1);
}

static const struct suite_test tests[] = {
    TEST(test_the_kth_smallest_hash_admits_exactly_k),
    TEST(test_open_gate_lets_everybody_pass_and_a_zero_gate_nobody),
    TEST(test_late_joiners_stay_outside),
    TEST(test_salt_and_deployment_change_the_order),
    TEST(test_record_decides_between_none_stable_and_next),
    TEST(test_new_deployment_has_no_stable_version_yet),
};

SUITE_MAIN("gate", tests)
