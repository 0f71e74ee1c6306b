#include "base/log.h"

#include "test/suite.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char written[8192];
static int standard_error, file;

/* Sends standard error into a file until log_end(). */
static void log_begin(void)
{
    char path[] = "/tmp/test_log.XXXXXX";
    fflush(stderr);
    file = mkostemp(path, O_CLOEXEC);
    CU_ASSERT_TRUE_FATAL(file >= 0);
    unlink(path);
    standard_error = dup(STDERR_FILENO);
    dup2(file, STDERR_FILENO);
}

static void log_end(void)
{
    dup2(standard_error, STDERR_FILENO);
    close(standard_error);
    ssize_t n = pread(file, written, sizeof written - 1, 0);
    close(file);
    CU_ASSERT_TRUE_FATAL(n >= 0);
    written[n] = '\0';
}

static void test_a_fact_is_one_line_with_time_level_event_and_fields(void)
{
    log_begin();
    log_event(LOG_WARN, "cell-lost", "cell=%d", 7);
    log_end();
    const char *z = strchr(written, 'Z');
    CU_ASSERT_PTR_NOT_NULL_FATAL(z);
    CU_ASSERT_EQUAL(z - written, (long)strlen("2024-01-01T00:00:00.000"));
    CU_ASSERT_STRING_EQUAL(z, "Z warn cell-lost cell=7\n");
}

static void test_what_is_below_the_threshold_is_silent(void)
{
    log_begin();
    log_event(LOG_DEBUG, "too-fine", "x=1");
    log_threshold(LOG_ERROR);
    log_event(LOG_WARN, "too-fine", "x=1");
    log_event(LOG_ERROR, "loud", "x=1");
    CU_ASSERT_TRUE(log_threshold_named("debug"));
    log_event(LOG_DEBUG, "fine", "x=1");
    CU_ASSERT_TRUE(log_threshold_named("info"));
    CU_ASSERT_FALSE(log_threshold_named("infos"));
    log_event(LOG_DEBUG, "too-fine", "x=1");
    log_end();
    CU_ASSERT_PTR_NULL(strstr(written, "too-fine"));
    CU_ASSERT_PTR_NOT_NULL(strstr(written, " error loud "));
    CU_ASSERT_PTR_NOT_NULL(strstr(written, " debug fine "));
}

static void test_control_characters_cannot_forge_a_line(void)
{
    log_begin();
    log_event(LOG_INFO, "joined", "name=%s", "x\n2024 error \x1b[2J\x7f\t");
    log_end();
    CU_ASSERT_PTR_NOT_NULL(strstr(written, "name=x?2024 error ?[2J??\n"));
    CU_ASSERT_PTR_EQUAL(strchr(written, '\n'), written + strlen(written) - 1);
}

static void test_a_flood_is_cut_to_one_line(void)
{
    char flood[4096];
    memset(flood, 'x', sizeof flood - 1);
    flood[sizeof flood - 1] = '\0';
    log_begin();
    log_event(LOG_INFO, "flood", "%s", flood);
    log_end();
    CU_ASSERT_TRUE(strlen(written) <= 1024);
    CU_ASSERT_PTR_EQUAL(strchr(written, '\n'), written + strlen(written) - 1);
}

static const struct suite_test tests[] = {
    TEST(test_a_fact_is_one_line_with_time_level_event_and_fields),
    TEST(test_what_is_below_the_threshold_is_silent),
    TEST(test_control_characters_cannot_forge_a_line),
    TEST(test_a_flood_is_cut_to_one_line),
};

SUITE_MAIN("log", tests)
