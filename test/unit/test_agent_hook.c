#include "agent/hook.h"
#include "agent/stop.h"
#include "test/suite.h"
#include "test/tree.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* No hook here takes this long, unless something is wrong. */
#define PATIENCE_MS 60000

static struct hook hook;
static struct tree_path dir;
static struct sandbox sandbox;
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
    sandbox = SANDBOX_DEFAULT;
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
                          .sandbox = &sandbox,
                          .number = 3,
                          .deployment = "app",
                          .hook = kind,
                          .tree = bundle,
                          .bundle_name = "program",
                          .version = "2.1",
                          .timeout_s = timeout_s,
                      },
                      1000, &em);
}

static int wait_for_end(uint64_t now_ms)
{
    int rv = hook_end(&hook, now_ms, &em);
    for (int i = 0; rv == 1 && i < 100000; i++) {
        struct pollfd fds[HOOK_FDS];
        hook_watch(&hook, fds);
        tree_must(poll(fds, HOOK_FDS, PATIENCE_MS) > 0, "a hook that ends");
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
    static char text[OUTPUT_KEPT_MAX + 4096];
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
    struct pollfd fds[HOOK_FDS];
    hook_watch(&hook, fds);
    CU_ASSERT_TRUE(fds[0].fd == -1 && fds[1].fd == -1);
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
             "PWD=%s/bundles/%s\n"
             "TMPDIR=%s/deployments/app/tmp\n",
             dir.text, dir.text, dir.text, hex.text, dir.text, dir.text, hex.text, dir.text);
    CU_ASSERT_STRING_EQUAL(text_of("deployments/app/log/apply.log"), expected);
    CU_ASSERT_TRUE(there("deployments/app/data"));
    CU_ASSERT_TRUE(there("deployments/app/tmp"));
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

/* ---- what they say ---- */

static void test_words_without_end_are_cut_and_keep_nobody(void)
{
    set_up();
    write_hook("apply", 0755, "#!/bin/sh\nhead -c 5000000 /dev/zero | tr '\\0' x\nexit 0\n");
    CU_ASSERT_EQUAL(run(HOOK_APPLY), 0);
    const char *log = text_of("deployments/app/log/apply.log");
    CU_ASSERT_EQUAL(strspn(log, "x"), OUTPUT_KEPT_MAX);
    CU_ASSERT_STRING_EQUAL(log + OUTPUT_KEPT_MAX,
                           "\n[dunlin-agent keeps the first 262144 bytes of a hook's words]\n");
    tear_down();
}

static bool within_patience(const char *path)
{
    for (int i = 0; !there(path) && i < PATIENCE_MS / 10; i++)
        poll(NULL, 0, 10);
    return there(path);
}

/* It says more than a pipe holds, after the hook that started it: neither a full pipe nor a closed
 * one stops it. */
static void test_daemon_left_behind_may_go_on_talking(void)
{
    set_up();
    write_hook("apply", 0755,
               "#!/bin/sh\n"
               "setsid sh -c 'until [ -e \"$DUNLIN_DATA/go\" ]; do sleep 0.01; done\n"
               "  head -c 300000 /dev/zero && echo still here && : >\"$DUNLIN_DATA/done\"' &\n"
               "echo left one\n");
    CU_ASSERT_EQUAL(run(HOOK_APPLY), 0);
    CU_ASSERT_STRING_EQUAL(text_of("deployments/app/log/apply.log"), "left one\n");
    tree_file(&dir, "deployments/app/data/go", 0644, SPAN_NONE);
    CU_ASSERT_TRUE(within_patience("deployments/app/data/done"));
    CU_ASSERT_STRING_EQUAL(text_of("deployments/app/log/apply.log"), "left one\n");
    tear_down();
}

static void test_hook_that_says_nothing_any_more_costs_no_processor(void)
{
    set_up();
    write_hook("apply", 0755, "#!/bin/sh\nexec >&- 2>&-\nexec sleep 1000\n");
    CU_ASSERT_EQUAL(start(HOOK_APPLY, 60), 1);
    struct pollfd fds[HOOK_FDS] = {{.fd = -1}, {.fd = 0}};
    for (int i = 0; fds[1].fd >= 0 && i < PATIENCE_MS; i++) {
        hook_watch(&hook, fds);
        poll(fds, HOOK_FDS, 1);
        CU_ASSERT_EQUAL(hook_end(&hook, 1000, &em), 1);
    }
    CU_ASSERT_EQUAL(fds[1].fd, -1);
    CU_ASSERT_EQUAL(poll(fds, HOOK_FDS, 0), 0);
    hook_kill(&hook);
    tear_down();
}

/* ---- what they may do ---- */

static void test_no_hook_gains_rights(void)
{
    set_up();
    write_hook("apply", 0755, "#!/bin/sh\ngrep NoNewPrivs /proc/self/status\n");
    CU_ASSERT_EQUAL(run(HOOK_APPLY), 0);
    CU_ASSERT_STRING_EQUAL(text_of("deployments/app/log/apply.log"), "NoNewPrivs:\t1\n");
    tear_down();
}

/* An emulator that shares its memory with what it runs lets nothing of it be limited. */
static bool memory_can_be_limited(void)
{
    int status = 1;
    pid_t child = fork();
    if (child == 0) {
        const struct rlimit wanted = {.rlim_cur = 512 << 20, .rlim_max = 512 << 20};
        struct rlimit is = {0};
        setrlimit(RLIMIT_AS, &wanted);
        _exit(getrlimit(RLIMIT_AS, &is) < 0 || is.rlim_cur != wanted.rlim_cur);
    }
    CU_ASSERT_EQUAL_FATAL(waitpid(child, &status, 0), child);
    return status == 0;
}

static void test_hook_has_the_limits_that_were_asked_for(void)
{
    const char *memory = memory_can_be_limited() ? "524288" : "unlimited";
    char expected[100];
    set_up();
    CU_ASSERT_EQUAL(sandbox_set_limit(&sandbox, "cpu=7", &em), 0);
    CU_ASSERT_EQUAL(sandbox_set_limit(&sandbox, "memory=512", &em), 0);
    CU_ASSERT_EQUAL(sandbox_set_limit(&sandbox, "files=99", &em), 0);
    CU_ASSERT_EQUAL(sandbox_set_limit(&sandbox, "file-size=3", &em), 0);
    write_hook("apply", 0755,
               "#!/bin/sh\nulimit -t; ulimit -v; ulimit -n; ulimit -f; ulimit -Hc\n"
               "head -c 4000000 /dev/zero 2>/dev/null >\"$DUNLIN_DATA/big\" || echo too big\n"
               "wc -c <\"$DUNLIN_DATA/big\"\n");
    CU_ASSERT_EQUAL(run(HOOK_APPLY), 0);
    snprintf(expected, sizeof expected, "7\n%s\n99\n6144\n0\ntoo big\n3145728\n", memory);
    CU_ASSERT_STRING_EQUAL(text_of("deployments/app/log/apply.log"), expected);
    tear_down();
}

static void test_limits_that_are_none_are_refused(void)
{
    static const char *const wrong[] = {"",       "cpu",          "cpu=",
                                        "cpu=x",  "cpu=-1",       "cpu=1s",
                                        "=5",     "speed=5",      "cpu=1e9x",
                                        "cpus=4", "memory= 5",    "files=1000000001",
                                        "fil=5",  "file-size=+1", "memory=99999999999999999999"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct sandbox s = SANDBOX_DEFAULT, before = s;
        CU_ASSERT_EQUAL(sandbox_set_limit(&s, wrong[i], &em), ERR_USAGE);
        CU_ASSERT_EQUAL(memcmp(&s, &before, sizeof s), 0);
    }
    CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "write cpu=SECONDS"));
}

/* In a child, with another user's rights. */
static int as_nobody(int (*child)(void))
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0)
        _exit(setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0 || child());
    tree_must(waitpid(pid, &status, 0) == pid, "a child");
    return status;
}

static int ask_without_root(void)
{
    struct sandbox s = {0};
    int rv = sandbox_set_user(&s, "nobody", &em);
    return rv != ERR_USAGE || s.apart ||
           !strstr(em.text, "only root can run hooks as another user");
}

static void test_only_root_gives_hooks_another_user(void)
{
    struct sandbox s = {0};
    if (geteuid() != 0) {
        CU_ASSERT_EQUAL(ask_without_root(), 0);
        return;
    }
    CU_ASSERT_EQUAL(as_nobody(ask_without_root), 0);
    CU_ASSERT_EQUAL(sandbox_set_user(&s, "nobody-of-this-name", &em), ERR_USAGE);
    CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "no such user"));
    CU_ASSERT_EQUAL(sandbox_set_user(&s, "root", &em), ERR_USAGE);
    CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "that is root"));
    CU_ASSERT_FALSE(s.apart);
    CU_ASSERT_EQUAL(sandbox_set_user(&s, "nobody", &em), 0);
    CU_ASSERT_TRUE(s.apart && s.user == 65534 && s.group_count > 0);
}

/* Hooks run as nobody, in an agent's folder with what else stands there; false: we aren't root. */
static bool set_up_apart(void)
{
    if (geteuid() != 0)
        return false;
    set_up();
    CU_ASSERT_EQUAL(sandbox_set_user(&sandbox, "nobody", &em), 0);
    tree_file(&dir, "agent.db", 0600, span_text("the key"));
    tree_file(&dir, "agent.lock", 0600, SPAN_NONE);
    tree_folder(&dir, "chunks", 0700);
    tree_file(&dir, "chunks/one", 0644, span_text("content"));
    CU_ASSERT_EQUAL(sandbox_open_folder(&sandbox, dir.text, &em), 0);
    return true;
}

static void test_hook_apart_is_its_user_and_has_no_capabilities(void)
{
    char expected[256];
    if (!set_up_apart())
        return;
    write_hook("apply", 0755,
               "#!/bin/sh\nid -u; id -g; grep -E 'Cap(Prm|Eff|Bnd|Amb)' /proc/self/status\n"
               "grep -c 'Max processes  *512  *512 ' /proc/self/limits\n");
    CU_ASSERT_EQUAL(run(HOOK_APPLY), 0);
    snprintf(expected, sizeof expected,
             "65534\n%u\nCapPrm:\t%016d\nCapEff:\t%016d\nCapBnd:\t%016d\nCapAmb:\t%016d\n1\n",
             SANDBOX_GROUP_FIRST + 3, 0, 0, 0, 0);
    CU_ASSERT_STRING_EQUAL(text_of("deployments/app/log/apply.log"), expected);
    tear_down();
}

static void test_hook_apart_uses_what_is_its_own(void)
{
    char path[256];
    if (!set_up_apart())
        return;
    snprintf(path, sizeof path, "bundles/%s/config", digest_hex(&bundle).text);
    tree_file(&dir, path, 0644, span_text("colour=blue\n"));
    write_hook("apply", 0755,
               "#!/bin/sh\nset -e\n"
               "cat config \"$DUNLIN_TREE/config\"\n"
               "echo kept >\"$DUNLIN_DATA/file\"; cat \"$HOME/file\"\n"
               "echo gone >\"$(mktemp)\"; ls \"$TMPDIR\" | wc -l\n");
    CU_ASSERT_EQUAL(run(HOOK_APPLY), 0);
    CU_ASSERT_STRING_EQUAL(text_of("deployments/app/log/apply.log"),
                           "colour=blue\ncolour=blue\nkept\n1\n");
    tear_down();
}

/* Each line of the log is something that it could do and must not. */
static void test_hook_apart_can_do_no_harm(void)
{
    if (!set_up_apart())
        return;
    write_hook("pre-apply", 0755,
               "#!/bin/sh\nexec 2>/dev/null\n"
               "cd \"$DUNLIN_DATA/../../..\"\n"
               "cat agent.db && echo read the database\n"
               "cat chunks/one && echo read a chunk\n"
               "ls . && echo listed the folder\n"
               "echo x >new && echo made a file\n"
               "echo x >>agent.lock && echo wrote the lock\n"
               "mv agent.db other && echo moved the database\n"
               "echo x >\"$DUNLIN_TREE/new\" && echo wrote its tree\n"
               "echo x >\"$DUNLIN_TREE/hooks/apply\" && echo wrote its hook\n"
               "rm -rf deployments/app/log/pre-apply.log && echo removed its log\n"
               "mv deployments/app/data deployments/app/moved && echo moved its data\n"
               "ln -s / deployments/app/current && echo made a link\n"
               "kill -0 $PPID && echo may signal the agent\n"
               "cat /proc/$PPID/environ && echo read the agent\n"
               "ls deployments/other/data && echo listed the data of another\n"
               "cat deployments/other/data/secret && echo read the data of another\n"
               "ls deployments/other && echo listed the folder of another\n"
               ":\n");
    CU_ASSERT_EQUAL(hook_start(&hook,
                               &(struct hook_run){.dir = dir.text,
                                                  .sandbox = &sandbox,
                                                  .deployment = "other",
                                                  .number = 4,
                                                  .hook = HOOK_PRE_APPLY,
                                                  .tree = bundle,
                                                  .bundle_name = "program",
                                                  .version = "1"},
                               1000, &em),
                    1);
    CU_ASSERT_EQUAL(wait_for_end(1000), 0);
    tree_file(&dir, "deployments/other/data/secret", 0644, span_text("of the other\n"));
    CU_ASSERT_EQUAL(run(HOOK_PRE_APPLY), 0);
    CU_ASSERT_STRING_EQUAL(text_of("deployments/app/log/pre-apply.log"), "");
    CU_ASSERT_STRING_EQUAL(text_of("agent.db"), "the key");
    CU_ASSERT_TRUE(there("deployments/app/data"));
    tear_down();
}

static void test_hook_apart_is_ended_like_any_other(void)
{
    if (!set_up_apart())
        return;
    write_hook("apply", 0755, "#!/bin/sh\nexec sleep 1000\n");
    CU_ASSERT_EQUAL(start(HOOK_APPLY, 30), 1);
    CU_ASSERT_EQUAL(hook_end(&hook, 31000, &em), 1);
    CU_ASSERT_EQUAL(wait_for_end(31000), ERR_TIMEOUT);
    tear_down();
}

static void test_user_that_cannot_reach_the_folder_is_told_of(void)
{
    if (geteuid() != 0)
        return;
    set_up();
    tree_folder(&dir, "closed", 0700);
    tree_folder(&dir, "closed/agent", 0700);
    struct tree_path inner = tree_join(&dir, "closed/agent");
    CU_ASSERT_EQUAL(sandbox_set_user(&sandbox, "nobody", &em), 0);
    CU_ASSERT_EQUAL(sandbox_open_folder(&sandbox, inner.text, &em), ERR_REFUSED);
    CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "a folder above it is closed"));
    tear_down();
}

/* What a user may put into a folder of its own must not lead the agent, who is root, elsewhere. */
static void test_folder_that_is_a_link_is_not_given_away(void)
{
    struct stat st;
    if (!set_up_apart())
        return;
    tree_folder(&dir, "mine", 0755);
    tree_folder(&dir, "deployments", 0755);
    tree_folder(&dir, "deployments/app", 0755);
    tree_folder(&dir, "deployments/app/tmp", 0755);
    tree_link(&dir, "deployments/app/data", "../../mine");
    write_hook("apply", 0755, "#!/bin/sh\nexit 0\n");
    CU_ASSERT_EQUAL(run(HOOK_APPLY), ERR_IO);
    struct tree_path mine = tree_join(&dir, "mine");
    CU_ASSERT_TRUE(stat(mine.text, &st) == 0 && st.st_uid == 0);
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

/* Each limit that is too low, up to the first that will do. */
static void test_machine_that_lacks_descriptors_is_no_fault_of_the_hook(void)
{
    struct rlimit before, few;
    set_up();
    write_hook("apply", 0755, "#!/bin/sh\nexit 0\n");
    CU_ASSERT_EQUAL(run(HOOK_APPLY), 0);
    int free = open("/dev/null", O_RDONLY | O_CLOEXEC), rv = ERR_NO_MEMORY, lacking = 0;
    close(free);
    getrlimit(RLIMIT_NOFILE, &before);
    few = before;
    for (few.rlim_cur = (rlim_t)free; rv < 0 && few.rlim_cur < before.rlim_cur; few.rlim_cur++) {
        tree_must(setrlimit(RLIMIT_NOFILE, &few) == 0, "few descriptors");
        rv = start(HOOK_APPLY, 60);
        tree_must(setrlimit(RLIMIT_NOFILE, &before) == 0, "many descriptors");
        lacking += rv == ERR_NO_MEMORY;
        CU_ASSERT_TRUE_FATAL(rv == 1 || rv == ERR_NO_MEMORY);
    }
    CU_ASSERT_TRUE(lacking > 2);
    CU_ASSERT_EQUAL(rv == 1 ? wait_for_end(1000) : rv, 0);
    tear_down();
}

/* From here on this process runs on a kernel before 5.3, as far as it can tell. False where there
 * is no such pretence. */
static bool pretend_old_kernel(void)
{
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pidfd_open, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof rules / sizeof rules[0], .filter = rules};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* Its time passes by as much as hook_deadline says. */
static int run_on_old_kernel(uint32_t timeout_s)
{
    uint64_t now_ms = 1000;
    int rv = start(HOOK_APPLY, timeout_s);
    for (int i = 0; rv == 1 && i < PATIENCE_MS / 10; i++) {
        poll(NULL, 0, 10);
        now_ms = hook_deadline(&hook);
        if (now_ms == UINT64_MAX)
            return ERR_EXISTS; /* nobody would look again */
        rv = hook_end(&hook, now_ms, &em);
    }
    return rv;
}

/* What the hook leaves behind holds its output, so that tells nothing of its end. */
static void test_old_kernel_that_does_not_tell_of_an_end_is_asked_for_it(void)
{
    set_up();
    pid_t pid = fork();
    if (pid == 0) {
        if (!pretend_old_kernel())
            _exit(77);
        write_hook("apply", 0755, "#!/bin/sh\nsleep 5 &\nexit 0\n");
        bool ends = run_on_old_kernel(60) == 0;
        write_hook("apply", 0755, "#!/bin/sh\nexit 3\n");
        bool fails = run_on_old_kernel(60) == ERR_REFUSED;
        write_hook("apply", 0755, "#!/bin/sh\nsleep 60\n");
        bool is_killed = run_on_old_kernel(1) == ERR_TIMEOUT;
        _exit(ends && fails && is_killed ? 0 : 1);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    CU_ASSERT_TRUE(WIFEXITED(status));
    CU_ASSERT_TRUE(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 77);
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
    TEST(test_words_without_end_are_cut_and_keep_nobody),
    TEST(test_daemon_left_behind_may_go_on_talking),
    TEST(test_hook_that_says_nothing_any_more_costs_no_processor),
    TEST(test_no_hook_gains_rights),
    TEST(test_hook_has_the_limits_that_were_asked_for),
    TEST(test_limits_that_are_none_are_refused),
    TEST(test_only_root_gives_hooks_another_user),
    TEST(test_hook_apart_is_its_user_and_has_no_capabilities),
    TEST(test_hook_apart_uses_what_is_its_own),
    TEST(test_hook_apart_can_do_no_harm),
    TEST(test_hook_apart_is_ended_like_any_other),
    TEST(test_user_that_cannot_reach_the_folder_is_told_of),
    TEST(test_folder_that_is_a_link_is_not_given_away),
    TEST(test_agent_started_with_ignored_children_hears_of_its_hooks),
    TEST(test_killing_ends_it_at_once),
    TEST(test_machine_that_lacks_descriptors_is_no_fault_of_the_hook),
    TEST(test_old_kernel_that_does_not_tell_of_an_end_is_asked_for_it),
};

SUITE_MAIN("agent hook", tests)
