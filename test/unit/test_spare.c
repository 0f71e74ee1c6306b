#include "simulator/load/spare.h"

#include "test/samples.h"
#include "test/suite.h"

#include <stdlib.h>

static void test_spare_records_are_settled_from_the_beginning(void)
{
    static struct desired d;
    struct key_id signer = {{7}};
    uint32_t count = 9;
    sample_desired(&d);
    struct held *rows = spare_rows(&d, &signer, &count);
    CU_ASSERT_PTR_NOT_NULL_FATAL(rows);
    CU_ASSERT_EQUAL(count, 0);
    free(rows);
    snprintf(d.records[1].name, sizeof d.records[1].name, SPARE_NAME "12");
    rows = spare_rows(&d, &signer, &count);
    CU_ASSERT_PTR_NOT_NULL_FATAL(rows);
    CU_ASSERT_EQUAL_FATAL(count, 1);
    CU_ASSERT_EQUAL(rows[0].deployment, 7);
    CU_ASSERT_STRING_EQUAL(rows[0].name, SPARE_NAME "12");
    CU_ASSERT_EQUAL(rows[0].phase, PHASE_SETTLED);
    CU_ASSERT_EQUAL(rows[0].running.generation, 3);
    CU_ASSERT_TRUE(digest_equal(&rows[0].wanted.bundle, &d.records[1].stable.bundle));
    CU_ASSERT_EQUAL(rows[0].flags, RECORD_KEEP);
    CU_ASSERT_TRUE(key_id_equal(&rows[0].signer, &signer));
    free(rows);
}

/* What it has done itself counts for more than what it was taken to have. */
static void test_a_devices_own_rows_stand_among_them(void)
{
    static struct held out[HELD_MAX];
    const struct held spares[] = {{.deployment = 1}, {.deployment = 3}, {.deployment = 5}};
    const struct held own[] = {{.deployment = 2, .attempts = 1},
                               {.deployment = 3, .attempts = 1},
                               {.deployment = 8, .attempts = 1}};
    static const struct {
        uint32_t deployment;
        uint8_t attempts;
    } wanted[] = {{1, 0}, {2, 1}, {3, 1}, {5, 0}, {8, 1}};
    CU_ASSERT_EQUAL_FATAL(spare_merge(spares, 3, own, 3, out), 5);
    for (size_t i = 0; i < 5; i++) {
        CU_ASSERT_EQUAL(out[i].deployment, wanted[i].deployment);
        CU_ASSERT_EQUAL(out[i].attempts, wanted[i].attempts);
    }
    CU_ASSERT_EQUAL(spare_merge(spares, 3, own, 0, out), 3);
    CU_ASSERT_EQUAL(spare_merge(spares, 0, own, 3, out), 3);
}

static const struct suite_test tests[] = {
    TEST(test_spare_records_are_settled_from_the_beginning),
    TEST(test_a_devices_own_rows_stand_among_them),
};

SUITE_MAIN("spare", tests)
