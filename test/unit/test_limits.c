#include "base/limits.h"

#include "test/suite.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* In a process of its own, since what is given up doesn't come back. Its exit code. */
static int in_a_child(int (*work)(void))
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0)
        _exit(work());
    CU_ASSERT_EQUAL_FATAL(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Nobody in it can ask for core files again: the hard limit is gone, too. */
static int leave_no_core(void)
{
    struct rlimit core;
    limits_leave_no_core();
    return getrlimit(RLIMIT_CORE, &core) < 0 || core.rlim_cur != 0 || core.rlim_max != 0;
}

static int raise_files(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) < 0)
        return 1;
    files.rlim_cur = files.rlim_max / 2;
    if (setrlimit(RLIMIT_NOFILE, &files) < 0)
        return 2;
    limits_raise_files();
    return getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur != files.rlim_max;
}

static void test_no_core_is_left(void)
{
    CU_ASSERT_EQUAL(in_a_child(leave_no_core), 0);
}

static void test_as_many_files_as_there_may_be(void)
{
    CU_ASSERT_EQUAL(in_a_child(raise_files), 0);
}

static const struct suite_test tests[] = {
    TEST(test_no_core_is_left),
    TEST(test_as_many_files_as_there_may_be),
};

SUITE_MAIN("limits", tests)
