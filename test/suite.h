/*
 * suite: the main() of a CUnit program: a table of tests in, a process exit code out.
 */
#ifndef DUNLIN_TEST_SUITE_H
#define DUNLIN_TEST_SUITE_H

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <stddef.h>

struct suite_test {
    const char *sentence;
    void (*run)(void);
};

#define TEST(function)                                                                             \
    {                                                                                              \
        .sentence = #function, .run = (function)                                                   \
    }

static inline int suite_run(const char *name, const struct suite_test *tests, size_t count)
{
    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    CU_pSuite suite = CU_add_suite(name, NULL, NULL);
    for (size_t i = 0; suite && i < count; i++)
        if (!CU_add_test(suite, tests[i].sentence, tests[i].run))
            return 1;
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    unsigned ran = CU_get_number_of_tests_run();
    CU_cleanup_registry();
    return failures == 0 && ran == count ? 0 : 1;
}

#define SUITE_MAIN(name, tests)                                                                    \
    int main(void)                                                                                 \
    {                                                                                              \
        return suite_run(name, tests, sizeof(tests) / sizeof((tests)[0]));                         \
    }

#endif
