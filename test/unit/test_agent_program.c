#include "agent/arch.h"
#include "agent/program.h"
#include "base/log.h"
#include "test/suite.h"
#include "test/tree.h"

#include <signal.h>
#include <sys/wait.h>

/* What a start ends with when this process goes on as the packaged program. */
#define PACKAGED 42

static struct tree_path dir;
static const struct digest v1 = {{1}}, v2 = {{2}}, none = {{0}};

static void path_of(const struct digest *tree, char out[static FILE_PATH_MAX])
{
    tree_must(
        file_path(out, NULL, "%s/bundles/%s/%s", dir.text, digest_hex(tree).text, arch_name()) == 0,
        "path");
}

/* A program that does these lines when it is started. */
static void make_program(const struct digest *tree, const char *lines)
{
    char path[FILE_PATH_MAX], text[400];
    path_of(tree, path);
    tree_must(file_make_folder(path, 0755, NULL) == 0, path);
    strcat(path, "/dunlin-agent");
    snprintf(text, sizeof text, "#!/bin/sh\n%s\n", lines);
    tree_must(file_write(path, span_text(text), 0755, NULL) == 0, path);
}

static void set_up(void)
{
    log_threshold(LOG_ERROR);
    dir = tree_new();
    make_program(&v1, "exit 1");
    make_program(&v2, "exit 2");
}

static void tear_down(void)
{
    tree_free(&dir);
}

/* One start, as by an init system: how it ended. */
static int start(void)
{
    int status = 0;
    pid_t child = fork();
    tree_must(child >= 0, "fork");
    if (child == 0) {
        char *arguments[] = {"dunlin-agent", "run", NULL};
        program_enter(dir.text, arguments);
        _exit(arguments[0][0] == '/' ? PACKAGED : 43);
    }
    tree_must(waitpid(child, &status, 0) == child, "wait");
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static void try_it(const struct digest *tree, uint32_t limit_s)
{
    tree_must(program_try(dir.text, tree, limit_s, NULL) == 0, "try");
}

static void test_without_a_bundle_the_packaged_program_goes_on(void)
{
    set_up();
    CU_ASSERT_EQUAL(start(), PACKAGED);
    CU_ASSERT_TRUE(program_runs(dir.text, &none));
    CU_ASSERT_FALSE(program_runs(dir.text, &v1));
    CU_ASSERT_FALSE(program_on_trial(dir.text));
    tear_down();
}

static void prove(const struct digest *tree)
{
    try_it(tree, 60);
    tree_must(program_prove(dir.text, tree, NULL) == 0, "prove");
}

static void test_trial_has_three_starts_and_then_the_one_before_is_back(void)
{
    for (int packaged = 0; packaged < 2; packaged++) {
        set_up();
        if (!packaged)
            prove(&v1);
        try_it(&v2, 60);
        for (int i = 0; i < PROGRAM_STARTS_MAX; i++) {
            CU_ASSERT_FALSE(program_spent(dir.text, &v2));
            CU_ASSERT_EQUAL(start(), 2);
        }
        CU_ASSERT_TRUE(program_spent(dir.text, &v2));
        CU_ASSERT_FALSE(program_spent(dir.text, &v1));
        for (int i = 0; i < 3; i++)
            CU_ASSERT_EQUAL(start(), packaged ? PACKAGED : 1);
        tear_down();
    }
}

/* Whenever it proves itself: before its first start, or after its last. */
static void test_proven_program_is_started_each_time(void)
{
    for (int starts = 0; starts <= PROGRAM_STARTS_MAX; starts++) {
        struct digest proven;
        set_up();
        prove(&v1);
        try_it(&v2, 60);
        for (int i = 0; i < starts; i++)
            CU_ASSERT_EQUAL(start(), 2);
        CU_ASSERT_EQUAL(program_prove(dir.text, &v2, NULL), 0);
        CU_ASSERT_EQUAL(program_prove(dir.text, &v2, NULL), 0);
        for (int i = 0; i < 2 * PROGRAM_STARTS_MAX; i++)
            CU_ASSERT_EQUAL(start(), 2);
        CU_ASSERT_TRUE(program_proven(dir.text, &proven) && digest_equal(&proven, &v2));
        CU_ASSERT_FALSE(program_spent(dir.text, &v2));
        tear_down();
    }
}

static void test_what_was_never_on_trial_is_not_proven(void)
{
    set_up();
    CU_ASSERT_EQUAL(program_prove(dir.text, &v1, NULL), ERR_NOT_FOUND);
    try_it(&v2, 60);
    CU_ASSERT_EQUAL(program_prove(dir.text, &v1, NULL), ERR_NOT_FOUND);
    CU_ASSERT_EQUAL(start(), 2);
    tear_down();
}

static void test_program_that_hangs_on_trial_is_ended_at_its_time(void)
{
    set_up();
    make_program(&v2, "exec sleep 100");
    try_it(&v2, 1);
    CU_ASSERT_EQUAL(start(), -SIGALRM);
    tear_down();
}

/* It has not begun, but a start is one: nobody knows what keeps it from beginning. */
static void test_program_that_is_not_as_it_was_is_never_started(void)
{
    set_up();
    prove(&v1);
    try_it(&v2, 60);
    make_program(&v2, "exit 3");
    CU_ASSERT_EQUAL(start(), 1);
    CU_ASSERT_TRUE(program_spent(dir.text, &v2));
    make_program(&v1, "exit 4");
    CU_ASSERT_EQUAL(start(), PACKAGED);
    tear_down();
}

static void test_program_that_can_not_be_run_gives_way(void)
{
    char path[FILE_PATH_MAX];
    set_up();
    prove(&v1);
    path_of(&v2, path);
    strcat(path, "/dunlin-agent");
    tree_must(file_write(path,
                         span_text("\x7f"
                                   "ELF of another kind"),
                         0755, NULL) == 0,
              path);
    try_it(&v2, 60);
    CU_ASSERT_EQUAL(start(), 1);
    CU_ASSERT_EQUAL(start(), 1);
    tear_down();
}

static void test_program_that_is_gone_gives_way(void)
{
    set_up();
    prove(&v1);
    try_it(&v2, 60);
    struct tree_path trees = tree_join(&dir, "bundles");
    tree_free(&trees);
    CU_ASSERT_EQUAL(start(), PACKAGED);
    tear_down();
}

static void test_record_that_is_torn_counts_for_nothing(void)
{
    static const char text[] = "0100000000000000000000000000000000000000000000000000000000000000 "
                               "0100000000000000000000000000000000000000000000000000000000000000 9";
    set_up();
    prove(&v1);
    struct tree_path current = tree_join(&dir, "agent/current");
    for (size_t len = 0; len < sizeof text; len++) {
        tree_must(file_write(current.text, span_of(text, len), 0600, NULL) == 0, "write");
        CU_ASSERT_EQUAL(start(), PACKAGED);
    }
    tear_down();
}

/* A trial whose limit can't be read would have none. */
static void test_record_has_one_text(void)
{
    static const char *const limits[] = {"9",    " 9\n",  "x9\n",         "09\n", "-9\n",
                                         "9 \n", "9\n\n", "4294967296\n", "\n",   ""};
    char text[PROGRAM_RECORD_MAX + 1], other[PROGRAM_RECORD_MAX + 8];
    struct program_record r = {.tree = v1, .program = v2, .limit_s = UINT32_MAX}, back;
    struct span whole = program_record_write(&r, text);
    CU_ASSERT_EQUAL(whole.len, PROGRAM_RECORD_MAX);
    CU_ASSERT_EQUAL(program_record_read(whole, &back), 0);
    CU_ASSERT_EQUAL(memcmp(&r, &back, sizeof r), 0);
    for (size_t len = 0; len < whole.len; len++)
        CU_ASSERT_EQUAL(program_record_read(span_of(text, len), &back), ERR_FORMAT);
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        snprintf(other, sizeof other, "%.*s%s", 4 * DIGEST_LEN + 2, text, limits[i]);
        CU_ASSERT_EQUAL(program_record_read(span_text(other), &back), ERR_FORMAT);
    }
}

static void test_going_back_ends_the_trial(void)
{
    set_up();
    prove(&v1);
    try_it(&v2, 60);
    CU_ASSERT_EQUAL(program_return(dir.text, &v1, NULL), 0);
    CU_ASSERT_EQUAL(start(), 1);
    CU_ASSERT_EQUAL(program_return(dir.text, &v2, NULL), 1);
    CU_ASSERT_EQUAL(start(), 2);
    CU_ASSERT_EQUAL(program_return(dir.text, &none, NULL), 1);
    CU_ASSERT_EQUAL(program_return(dir.text, &none, NULL), 0);
    CU_ASSERT_EQUAL(start(), PACKAGED);
    tear_down();
}

static void test_bundle_for_other_machines_has_no_program(void)
{
    char path[FILE_PATH_MAX];
    struct errmsg em = {0};
    const struct digest other = {{3}};
    set_up();
    CU_ASSERT_EQUAL(program_find(dir.text, &other, path, &em), ERR_NOT_FOUND);
    CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "/dunlin-agent that can be run"));
    CU_ASSERT_EQUAL(program_try(dir.text, &other, 60, NULL), ERR_NOT_FOUND);
    CU_ASSERT_EQUAL(start(), PACKAGED);
    tear_down();
}

static const struct suite_test tests[] = {
    TEST(test_without_a_bundle_the_packaged_program_goes_on),
    TEST(test_trial_has_three_starts_and_then_the_one_before_is_back),
    TEST(test_proven_program_is_started_each_time),
    TEST(test_what_was_never_on_trial_is_not_proven),
    TEST(test_program_that_hangs_on_trial_is_ended_at_its_time),
    TEST(test_program_that_is_not_as_it_was_is_never_started),
    TEST(test_program_that_can_not_be_run_gives_way),
    TEST(test_program_that_is_gone_gives_way),
    TEST(test_record_that_is_torn_counts_for_nothing),
    TEST(test_record_has_one_text),
    TEST(test_going_back_ends_the_trial),
    TEST(test_bundle_for_other_machines_has_no_program),
};

SUITE_MAIN("agent program", tests)
