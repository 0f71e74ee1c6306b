#include "agent/hook.h"
#include "agent/stop.h"
#include "test/suite.h"
#include "test/tree.h"

#include <poll.h>
#include <signal.h>

/* No hook here takes this long, unless something is wrong. */
#define PATIENCE_MS 20000

static struct hook hook;
static struct tree_path dir;
static struct digest bundle;
static struct errmsg em;

static void set_up(void)
{
    char path[256];
    dir = tree_new();
    bundle = digest_of(span_text("bundle"));
    tree_folder(&dir, "bundles", 0755);
    snprintf(path, sizeof path, "bundles/%s", digest_hex(&bundle).text);
    tree_folder(&dir, path, 0755);
    strcat(path, "/hooks");
    tree_folder(&dir, path, 0755);
    memset(&em, 0, sizeof em);
}

static void tear_down(void)
{
    tree_free(&dir);
}

static void write_hook(const char *name, mode_t mode, const char *script)
{
    char path[256];
    snprintf(path, sizeof path, "bundles/%s/hooks/%s", digest_hex(&bundle).text, name);
    tree_file(&dir, path, mode, span_text(script));
}

static int start(enum agent_hook kind, uint32_t timeout_s)
{
    return hook_start(&hook,
                      &(struct hook_run){
                          .dir = dir.text,
                          .deployment = "app",
                          .hook = kind,
                          .bundle = bundle,
                          .bundle_name = "program",
                          .version = "2.1",
                          .timeout_s = timeout_s,
                      },
                      1000, &em);
}

static int wait_for_end(uint64_t now_ms)
{
    int rv = hook_end(&hook, now_ms, &em);
    for (int i = 0; rv == 1 && i < 100; i++) {
        struct pollfd p = {.fd = hook_descriptor(&hook), .events = POLLIN};
        tree_must(poll(&p, 1, PATIENCE_MS) == 1, "a hook that ends");
        rv = hook_end(&hook, now_ms, &em);
    }
    return rv;
}

static int run(enum agent_hook kind)
{
    int rv = start(kind, 60);
    return rv == 1 ? wait_for_end(1000) : rv;
}

/* A file's text; empty when there is none. */
static const char *text_of(const char *path)
{
    static char text[16384];
    struct tree_path file = tree_join(&dir, path);
    struct buffer b = buffer_on(text, sizeof text - 1);
    file_read(file.text, &b, NULL);
    text[b.len] = '\0';
    return text;
}

static bool there(const char *path)
{
    struct tree_path file = tree_join(&dir, path);
    return access(file.text, F_OK) == 0;
}

static void test_bundle_without_the_hook_is_done_at_once(void)
{
    set_up();
    CU_ASSERT_EQUAL(run(HOOK_APPLY), 0);
    CU_ASSERT_EQUAL(hook_descriptor(&hook), -1);
    CU_ASSERT_FALSE(there("deployments/app"));
    tear_down();
}

static void test_each_hook_runs_its_own_program(void)
{
    static const char *const names[] = {"pre-apply", "apply", "health", "remove"};
    set_up();
    for (int i = 0; i < HOOK_COUNT; i++) {
        char log[64];
        write_hook(names[i], 0755, "#!/bin/sh\necho \"it is $DUNLIN_HOOK\"\n");
        CU_ASSERT_EQUAL(run((enum agent_hook)i), 0);
        snprintf(log, sizeof log, "deployments/app/log/%s.log", names[i]);
        CU_ASSERT_PTR_NOT_NULL(strstr(text_of(log), names[i]));
    }
    tear_down();
}

static void test_environment_is_clean_and_says_what_is_needed(void)
{
    static char expected[8 * FILE_PATH_MAX];
    set_up();
    setenv("SECRET", "leaked", 1);
    write_hook("apply", 0755, "#!/bin/sh\nenv -u _ -u SHLVL -u OLDPWD | sort\n");
    CU_ASSERT_EQUAL(run(HOOK_APPLY), 0);
    struct digest_hex hex = digest_hex(&bundle);
    snprintf(expected, sizeof expected,
             "DUNLIN_BUNDLE=program\n"
             "DUNLIN_CURRENT=%s/deployments/app/current\n"
             "DUNLIN_DATA=%s/deployments/app/data\n"
             "DUNLIN_DEPLOYMENT=app\n"
             "DUNLIN_HOOK=apply\n"
             "DUNLIN_PREVIOUS=\n"
             "DUNLIN_TREE=%s/bundles/%s\n"
             "DUNLIN_VERSION=2.1\n"
             "HOME=%s/deployments/app/data\n"
             "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
             "PWD=%s/bundles/%s\n",
             dir.text, dir.text, dir.text, hex.text, dir.text, dir.text, hex.text);
    CU_ASSERT_STRING_EQUAL(text_of("deployments/app/log/apply.log"), expected);
    CU_ASSERT_TRUE(there("deployments/app/data"));
    tear_down();
}

static void test_hook_starts_with_plain_signals_and_three_descriptors(void)
{
    set_up();
    int extra = fcntl(STDIN_FILENO, F_DUPFD, 50); /* not close-on-exec */
    signal(SIGPIPE, SIG_IGN);
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    /* Read by the shell itself: it blocks all signals while it starts another program. */
    write_hook("apply", 0755,
               "#!/bin/sh\n"
               "cd /proc/self/fd; echo * # the shell's own scan is one more\n"
               "while read -r line; do echo \"$line\"; done </proc/$$/status\n"
               "cat\necho end\n");
    CU_ASSERT_EQUAL(run(HOOK_APPLY), 0);
    sigprocmask(SIG_SETMASK, &before, NULL);
    signal(SIGPIPE, SIG_DFL);
    close(extra);
    const char *log = text_of("deployments/app/log/apply.log");
    CU_ASSERT_PTR_NOT_NULL(strstr(log, "SigBlk:\t0000000000000000\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(log, "SigIgn:\t0000000000000000\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(log, "\nend\n"));
    CU_ASSERT_EQUAL(strncmp(log, "0 1 ", 4), 0);
    CU_ASSERT_PTR_NULL(memmem(log, strcspn(log, "\n"), "50", 2));
    tear_down();
}

static void test_failing_hook_says_how_and_keeps_its_words(void)
{
    set_up();
    write_hook("apply", 0755, "#!/bin/sh\necho out; echo err >&2; exit 3\n");
    CU_ASSERT_EQUAL(run(HOOK_APPLY), ERR_REFUSED);
    CU_ASSERT_STRING_EQUAL(em.text, "hooks/apply ended with code 3");
    CU_ASSERT_STRING_EQUAL(text_of("deployments/app/log/apply.failed.log"), "out\nerr\n");
    /* Going back runs the old version's apply, and the words stay. */
    write_hook("apply", 0755, "#!/bin/sh\necho fine\n");
    CU_ASSERT_EQUAL(run(HOOK_APPLY), 0);
    CU_ASSERT_STRING_EQUAL(text_of("deployments/app/log/apply.log"), "fine\n");
    CU_ASSERT_STRING_EQUAL(text_of("deployments/app/log/apply.failed.log"), "out\nerr\n");
    tear_down();
}

static void test_log_is_of_the_last_run_only(void)
{
    set_up();
    write_hook("health", 0755, "#!/bin/sh\necho tried\n");
    CU_ASSERT_EQUAL(run(HOOK_HEALTH), 0);
    CU_ASSERT_EQUAL(run(HOOK_HEALTH), 0);
    CU_ASSERT_STRING_EQUAL(text_of("deployments/app/log/health.log"), "tried\n");
    tear_down();
}

static void test_hook_ended_by_a_signal_has_failed(void)
{
    set_up();
    write_hook("apply", 0755, "#!/bin/sh\nkill -9 $$\n");
    CU_ASSERT_EQUAL(run(HOOK_APPLY), ERR_REFUSED);
    CU_ASSERT_STRING_EQUAL(em.text, "hooks/apply was ended by signal 9");
    tear_down();
}

static void test_hook_that_cannot_be_run_is_refused(void)
{
    set_up();
    write_hook("apply", 0644, "#!/bin/sh\nexit 0\n");
    CU_ASSERT_EQUAL(run(HOOK_APPLY), ERR_REFUSED);
    CU_ASSERT_STRING_EQUAL(em.text, "hooks/apply is not executable");
    write_hook("health", 0755, "#!/no/such/interpreter\n");
    CU_ASSERT_EQUAL(run(HOOK_HEALTH), ERR_REFUSED);
    CU_ASSERT_STRING_EQUAL(em.text, "hooks/health ended with code 127");
    CU_ASSERT_PTR_NOT_NULL(
        strstr(text_of("deployments/app/log/health.failed.log"), "No such file"));
    char path[256];
    snprintf(path, sizeof path, "bundles/%s/hooks/remove", digest_hex(&bundle).text);
    tree_folder(&dir, path, 0755);
    CU_ASSERT_EQUAL(run(HOOK_REMOVE), ERR_REFUSED);
    CU_ASSERT_STRING_EQUAL(em.text, "hooks/remove is no file");
    tear_down();
}

static void test_hook_past_its_limit_is_killed_with_its_children(void)
{
    set_up();
    write_hook("apply", 0755, "#!/bin/sh\nsleep 1000 &\necho $! >child\nwait\n");
    CU_ASSERT_EQUAL(start(HOOK_APPLY, 30), 1);
    CU_ASSERT_EQUAL(hook_deadline(&hook), 31000);
    CU_ASSERT_EQUAL(hook_end(&hook, 30999, &em), 1);
    char child[256];
    snprintf(child, sizeof child, "bundles/%s/child", digest_hex(&bundle).text);
    while (strchr(text_of(child), '\n') == NULL)
        poll(NULL, 0, 1);
    pid_t pid = (pid_t)atoi(text_of(child));
    CU_ASSERT_EQUAL(wait_for_end(31000), ERR_TIMEOUT);
    CU_ASSERT_STRING_EQUAL(em.text, "hooks/apply took longer than 30 s");
    bool gone = false;
    for (int i = 0; !gone && i < PATIENCE_MS; i++) {
        char state[64];
        snprintf(state, sizeof state, "/proc/%d/stat", (int)pid);
        FILE *f = fopen(state, "r");
        char letter = 'Z';
        if (f && fscanf(f, "%*d %*s %c", &letter) != 1)
            letter = 'Z';
        if (f)
            fclose(f);
        gone = letter == 'Z';
        poll(NULL, 0, gone ? 0 : 1);
    }
    CU_ASSERT_TRUE(gone);
    tear_down();
}

static void test_daemon_in_its_own_session_lives_on(void)
{
    set_up();
    write_hook("apply", 0755, "#!/bin/sh\nsetsid sleep 1000 >/dev/null 2>&1 &\necho $! >pid\n");
    CU_ASSERT_EQUAL(run(HOOK_APPLY), 0);
    char path[256];
    snprintf(path, sizeof path, "bundles/%s/pid", digest_hex(&bundle).text);
    pid_t pid = (pid_t)atoi(text_of(path));
    CU_ASSERT_TRUE_FATAL(pid > 1);
    CU_ASSERT_EQUAL(kill(pid, 0), 0);
    kill(pid, SIGKILL);
    tear_down();
}

static void test_agent_started_with_ignored_children_hears_of_its_hooks(void)
{
    set_up();
    sigset_t before;
    sigprocmask(SIG_SETMASK, NULL, &before);
    signal(SIGCHLD, SIG_IGN);
    int stop = stop_watch(&em);
    write_hook("apply", 0755, "#!/bin/sh\nexit 3\n");
    CU_ASSERT_EQUAL(run(HOOK_APPLY), ERR_REFUSED);
    CU_ASSERT_STRING_EQUAL(em.text, "hooks/apply ended with code 3");
    close(stop);
    signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, &before, NULL);
    tear_down();
}

static void test_killing_ends_it_at_once(void)
{
    set_up();
    write_hook("apply", 0755, "#!/bin/sh\nexec sleep 1000\n");
    CU_ASSERT_EQUAL(start(HOOK_APPLY, 0), 1);
    CU_ASSERT_EQUAL(hook_deadline(&hook), UINT64_MAX);
    pid_t pid = hook.pid;
    hook_kill(&hook);
    CU_ASSERT_NOT_EQUAL(kill(pid, 0), 0);
    CU_ASSERT_FALSE(hook.running);
    hook_kill(&hook);
    tear_down();
}

static const struct suite_test tests[] = {
    TEST(test_bundle_without_the_hook_is_done_at_once),
    TEST(test_each_hook_runs_its_own_program),
    TEST(test_environment_is_clean_and_says_what_is_needed),
    TEST(test_hook_starts_with_plain_signals_and_three_descriptors),
    TEST(test_failing_hook_says_how_and_keeps_its_words),
    TEST(test_log_is_of_the_last_run_only),
    TEST(test_hook_ended_by_a_signal_has_failed),
    TEST(test_hook_that_cannot_be_run_is_refused),
    TEST(test_hook_past_its_limit_is_killed_with_its_children),
    TEST(test_daemon_in_its_own_session_lives_on),
    TEST(test_agent_started_with_ignored_children_hears_of_its_hooks),
    TEST(test_killing_ends_it_at_once),
};

SUITE_MAIN("agent hook", tests)
