#include "agent/arch.h"
#include "test/suite.h"

#include <string.h>
#include <sys/personality.h>
#include <sys/utsname.h>

/* As a kernel of 64 bits calls itself to what asks for one of 32. */
static void test_arch_is_what_was_built_whatever_the_kernel_calls_itself(void)
{
    char before[32];
    struct utsname kernel;
    int usual = personality(0xffffffff);
    CU_ASSERT_EQUAL_FATAL(uname(&kernel), 0);
    CU_ASSERT_EQUAL(strncmp(arch_name(), kernel.machine, 4), 0);
    snprintf(before, sizeof before, "%s", arch_name());
    if (personality(PER_LINUX32) >= 0) { /* not every processor has such programs */
        CU_ASSERT_EQUAL(uname(&kernel), 0);
        CU_ASSERT_STRING_EQUAL(arch_name(), before);
        personality((unsigned long)usual);
    }
}

static const struct suite_test tests[] = {
    TEST(test_arch_is_what_was_built_whatever_the_kernel_calls_itself),
};

SUITE_MAIN("agent arch", tests)
