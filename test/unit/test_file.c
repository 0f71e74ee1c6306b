#include "base/file.h"

#include "test/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static char folder[] = "/tmp/test_file.XXXXXX";
static struct errmsg em;

/* A path inside the test's folder; good for eight more calls. */
static const char *in(const char *name)
{
    static char paths[8][FILE_PATH_MAX];
    static unsigned next;
    char *path = paths[next++ % 8];
    CU_ASSERT_EQUAL_FATAL(file_path((char *)path, &em, "%s/%s", folder, name), 0);
    return path;
}

static bool holds(const char *path, const char *content)
{
    uint8_t bytes[256];
    struct buffer b = buffer_on(bytes, sizeof bytes);
    return file_read(path, &b, NULL) == 0 && span_equal(span_buffer(&b), span_text(content));
}

static int put(const char *path, const char *content)
{
    return file_write(path, span_text(content), 0644, &em);
}

static bool there(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

static mode_t mode_of(const char *path)
{
    struct stat st;
    CU_ASSERT_EQUAL_FATAL(lstat(path, &st), 0);
    return st.st_mode & 07777;
}

static void test_written_content_is_read_back(void)
{
    CU_ASSERT_EQUAL(put(in("a"), "hello"), 0);
    CU_ASSERT_TRUE(holds(in("a"), "hello"));
    CU_ASSERT_EQUAL(put(in("a"), "shorter than before? no"), 0);
    CU_ASSERT_TRUE(holds(in("a"), "shorter than before? no"));
    CU_ASSERT_EQUAL(file_write(in("a"), SPAN_NONE, 0644, &em), 0);
    CU_ASSERT_TRUE(holds(in("a"), ""));
    CU_ASSERT_FALSE(there(in("a.new")));
}

static void test_the_mode_is_as_asked_whatever_the_umask(void)
{
    mode_t before = umask(0077);
    CU_ASSERT_EQUAL(file_write(in("open"), span_text("x"), 0644, &em), 0);
    umask(0);
    CU_ASSERT_EQUAL(file_write(in("secret"), span_text("x"), 0600, &em), 0);
    umask(before);
    CU_ASSERT_EQUAL(mode_of(in("open")), 0644);
    CU_ASSERT_EQUAL(mode_of(in("secret")), 0600);
}

static void test_a_left_over_of_a_power_cut_is_overwritten(void)
{
    const char *fresh = in("cut.new");
    int fd = open(fresh, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    CU_ASSERT_EQUAL(write(fd, "much longer than the new content", 32), 32);
    close(fd);
    CU_ASSERT_EQUAL(file_write(in("cut"), span_text("new"), 0600, &em), 0);
    CU_ASSERT_TRUE(holds(in("cut"), "new"));
    CU_ASSERT_EQUAL(mode_of(in("cut")), 0600);
    CU_ASSERT_FALSE(there(fresh));
}

static void test_a_link_in_the_place_of_the_new_file_is_not_followed(void)
{
    CU_ASSERT_EQUAL(put(in("victim"), "untouched"), 0);
    CU_ASSERT_EQUAL(symlink("victim", in("trap.new")), 0);
    CU_ASSERT_EQUAL(put(in("trap"), "mine"), 0);
    CU_ASSERT_TRUE(holds(in("victim"), "untouched"));
    CU_ASSERT_TRUE(holds(in("trap"), "mine"));
}

static void test_when_the_new_file_cannot_be_made_the_old_stays(void)
{
    CU_ASSERT_EQUAL(put(in("kept"), "old"), 0);
    CU_ASSERT_EQUAL(mkdir(in("kept.new"), 0755), 0);
    CU_ASSERT_EQUAL(put(in("kept"), "new"), ERR_IO);
    CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "/kept.new: cannot create: File exists"));
    CU_ASSERT_TRUE(holds(in("kept"), "old"));
}

static void test_an_unwritable_folder_leaves_the_old_content(void)
{
    CU_ASSERT_EQUAL(file_make_folder(in("fixed"), 0755, &em), 0);
    CU_ASSERT_EQUAL(put(in("fixed/f"), "old"), 0);
    CU_ASSERT_EQUAL(chmod(in("fixed"), 0555), 0);
    uid_t me = geteuid();
    /* Root may write everywhere, so it becomes nobody for a moment. */
    if (me == 0)
        CU_ASSERT_EQUAL_FATAL(seteuid(65534), 0);
    CU_ASSERT_EQUAL(put(in("fixed/f"), "new"), ERR_IO);
    CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "Permission denied"));
    CU_ASSERT_EQUAL(file_link("f", in("fixed/l"), &em), ERR_IO);
    CU_ASSERT_EQUAL_FATAL(seteuid(me), 0);
    CU_ASSERT_TRUE(holds(in("fixed/f"), "old"));
    CU_ASSERT_FALSE(there(in("fixed/f.new")) || there(in("fixed/l")));
}

static void test_a_write_that_fails_half_way_leaves_the_old_content(void)
{
    static uint8_t large[100000];
    struct rlimit before, small;
    CU_ASSERT_EQUAL(put(in("half"), "old"), 0);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    small = before;
    for (rlim_t limit = 0; limit < sizeof large; limit += 33333) {
        small.rlim_cur = limit;
        setrlimit(RLIMIT_FSIZE, &small);
        int rv = file_write(in("half"), span_of(large, sizeof large), 0644, &em);
        setrlimit(RLIMIT_FSIZE, &before);
        CU_ASSERT_EQUAL(rv, ERR_IO);
        CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "/half.new: cannot write: File too large"));
        CU_ASSERT_TRUE(holds(in("half"), "old"));
        CU_ASSERT_FALSE(there(in("half.new")));
    }
}

static void test_a_folder_in_the_way_is_not_replaced(void)
{
    CU_ASSERT_EQUAL(file_make_folder(in("way"), 0755, &em), 0);
    CU_ASSERT_EQUAL(put(in("way"), "x"), ERR_IO);
    CU_ASSERT_FALSE(there(in("way.new")));
    CU_ASSERT_EQUAL(put(in("missing/f"), "x"), ERR_NOT_FOUND);
}

static void test_reading_says_what_is_missing_or_too_large(void)
{
    uint8_t bytes[8];
    struct buffer b = buffer_on(bytes, sizeof bytes);
    CU_ASSERT_EQUAL(file_read(in("nowhere"), &b, &em), ERR_NOT_FOUND);
    CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "/nowhere: cannot open: No such file"));
    CU_ASSERT_EQUAL(file_read(in("."), &b, &em), ERR_IO);
    CU_ASSERT_EQUAL(put(in("nine"), "123456789"), 0);
    CU_ASSERT_EQUAL(file_read(in("nine"), &b, &em), ERR_RANGE);
    CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "/nine: is larger than the 8 bytes"));
    CU_ASSERT_EQUAL(b.len, 0);
}

static void test_reading_appends_and_may_fill_the_buffer(void)
{
    uint8_t bytes[8] = "abc";
    struct buffer b = {.data = bytes, .len = 3, .cap = sizeof bytes};
    CU_ASSERT_EQUAL(put(in("five"), "12345"), 0);
    CU_ASSERT_EQUAL(file_read(in("five"), &b, &em), 0);
    CU_ASSERT_TRUE(span_equal(span_buffer(&b), span_text("abc12345")));
    CU_ASSERT_EQUAL(file_read(in("five"), &b, &em), ERR_RANGE);
    CU_ASSERT_EQUAL(b.len, 8);
}

static void test_parents_are_made_and_may_be_there(void)
{
    CU_ASSERT_EQUAL(file_make_folder(in("p/q/r"), 0755, &em), 0);
    CU_ASSERT_EQUAL(file_make_folder(in("p/q/r"), 0755, &em), 0);
    CU_ASSERT_EQUAL(file_make_folder(in("p//q/s/"), 0755, &em), 0);
    CU_ASSERT_TRUE(there(in("p/q/r")) && there(in("p/q/s")));
    CU_ASSERT_EQUAL(put(in("p/f"), "x"), 0);
    CU_ASSERT_EQUAL(file_make_folder(in("p/f"), 0755, &em), ERR_IO);
    CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "/p/f: cannot make folder: File exists"));
    CU_ASSERT_TRUE(file_make_folder(in("p/f/g"), 0755, &em) < 0);
    CU_ASSERT_EQUAL(file_make_folder("/", 0755, &em), 0);
}

static void test_a_link_is_made_and_replaced(void)
{
    char target[16] = {0};
    CU_ASSERT_EQUAL(file_link("one", in("link"), &em), 0);
    CU_ASSERT_EQUAL(file_link("two", in("link"), &em), 0);
    CU_ASSERT_EQUAL(readlink(in("link"), target, sizeof target - 1), 3);
    CU_ASSERT_STRING_EQUAL(target, "two");
    CU_ASSERT_EQUAL(symlink("left-over", in("link.new")), 0);
    CU_ASSERT_EQUAL(file_link("three", in("link"), &em), 0);
    CU_ASSERT_EQUAL(readlink(in("link"), target, sizeof target - 1), 5);
    CU_ASSERT_FALSE(there(in("link.new")));
}

static void test_removing_takes_a_file_a_link_or_a_whole_tree(void)
{
    CU_ASSERT_EQUAL(file_make_folder(in("t/a/b/c"), 0755, &em), 0);
    CU_ASSERT_EQUAL(file_make_folder(in("t/d"), 0555, &em), 0);
    CU_ASSERT_EQUAL(put(in("t/a/f"), "x"), 0);
    CU_ASSERT_EQUAL(put(in("t/a/b/f"), "x"), 0);
    CU_ASSERT_EQUAL(put(in("outside"), "stays"), 0);
    CU_ASSERT_EQUAL(symlink("../outside", in("t/file-link")), 0);
    CU_ASSERT_EQUAL(symlink("..", in("t/a/folder-link")), 0);
    CU_ASSERT_EQUAL(file_remove(in("t"), &em), 0);
    CU_ASSERT_FALSE(there(in("t")));
    CU_ASSERT_TRUE(holds(in("outside"), "stays"));
    CU_ASSERT_EQUAL(symlink(".", in("self")), 0);
    CU_ASSERT_EQUAL(file_remove(in("self"), &em), 0);
    CU_ASSERT_FALSE(there(in("self")));
    CU_ASSERT_EQUAL(file_remove(in("outside"), &em), 0);
    CU_ASSERT_EQUAL(file_remove(in("outside"), &em), 0);
}

static void test_a_deep_tree_is_removed_without_recursion(void)
{
    char path[FILE_PATH_MAX];
    size_t used = (size_t)snprintf(path, sizeof path, "%s", in("deep"));
    CU_ASSERT_EQUAL(mkdir(path, 0755), 0);
    for (int i = 0; i < 1500; i++) {
        used += (size_t)snprintf(path + used, sizeof path - used, "/d");
        CU_ASSERT_EQUAL_FATAL(mkdir(path, 0755), 0);
    }
    CU_ASSERT_EQUAL(file_remove(in("deep"), &em), 0);
    CU_ASSERT_FALSE(there(in("deep")));
}

/* In place of the library's, so that somebody else can act in the middle of a removal. */
static void (*meanwhile)(void);
static const char *meanwhile_at;

int unlinkat(int at, const char *name, int flags)
{
    int rv = (int)syscall(SYS_unlinkat, at, name, flags);
    int reason = errno;
    if (meanwhile && strcmp(name, meanwhile_at) == 0) {
        meanwhile();
        meanwhile = NULL;
    }
    errno = reason;
    return rv;
}

static void put_link_in_place(void)
{
    CU_ASSERT_EQUAL(rename(in("t/a"), in("t/gone")), 0);
    CU_ASSERT_EQUAL(symlink("../elsewhere", in("t/a")), 0);
}

static void move_away(void)
{
    CU_ASSERT_EQUAL(rename(in("t/a/b/inner"), in("elsewhere/inner")), 0);
}

/* Whatever happens meanwhile, only what is below "t" goes. */
static void remove_while(const char *at, void (*act)(void), int rv)
{
    CU_ASSERT_EQUAL(file_make_folder(in("t/a/b/inner/x"), 0755, &em), 0);
    CU_ASSERT_EQUAL(file_make_folder(in("elsewhere/b/inner/x"), 0755, &em), 0);
    meanwhile = act;
    meanwhile_at = at;
    CU_ASSERT_EQUAL(file_remove(in("t"), &em), rv);
    CU_ASSERT_TRUE(there(in("elsewhere/b/inner/x")));
    CU_ASSERT_EQUAL(file_remove(in("t"), &em), 0);
    CU_ASSERT_EQUAL(file_remove(in("elsewhere"), &em), 0);
}

static void test_who_moves_folders_while_they_are_removed_loses_nothing_else(void)
{
    remove_while("inner", put_link_in_place, 0);
    remove_while("inner", move_away, ERR_NOT_FOUND);
    remove_while("x", move_away, ERR_IO);
}

static void test_a_folder_that_cannot_be_removed_is_named_and_stays(void)
{
    CU_ASSERT_EQUAL(file_make_folder(in("mine"), 0755, &em), 0);
    CU_ASSERT_EQUAL(put(in("mine/f"), "x"), 0);
    uid_t me = geteuid();
    if (me != 0)
        return; /* our own folders always give way */
    CU_ASSERT_EQUAL_FATAL(seteuid(65534), 0);
    CU_ASSERT_EQUAL(file_remove(in("mine"), &em), ERR_IO);
    CU_ASSERT_EQUAL_FATAL(seteuid(me), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "/mine: cannot remove: Permission denied"));
    CU_ASSERT_TRUE(holds(in("mine/f"), "x"));
}

static void test_a_lock_is_held_by_one(void)
{
    int first = file_lock(in("lock"), &em);
    CU_ASSERT_TRUE_FATAL(first >= 0);
    CU_ASSERT_TRUE(fcntl(first, F_GETFD) & FD_CLOEXEC);
    CU_ASSERT_EQUAL(file_lock(in("lock"), &em), ERR_BUSY);
    CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "/lock: another process holds this lock"));
    close(first);
    int second = file_lock(in("lock"), &em);
    CU_ASSERT_TRUE(second >= 0);
    close(second);
    CU_ASSERT_EQUAL(file_lock(in("no/lock"), &em), ERR_NOT_FOUND);
}

static void test_paths_have_a_limit(void)
{
    static char out[FILE_PATH_MAX], lengthy[FILE_PATH_MAX + 1];
    memset(lengthy, 'x', FILE_PATH_MAX - 1);
    CU_ASSERT_EQUAL(file_path(out, &em, "%s", lengthy), 0);
    CU_ASSERT_STRING_EQUAL(out, lengthy);
    lengthy[FILE_PATH_MAX - 1] = 'x';
    CU_ASSERT_EQUAL(file_path(out, &em, "%s", lengthy), ERR_RANGE);
    CU_ASSERT_EQUAL(put(lengthy, "x"), ERR_RANGE);
    CU_ASSERT_EQUAL(file_link("x", lengthy, &em), ERR_RANGE);
    CU_ASSERT_EQUAL(file_make_folder(lengthy, 0755, &em), ERR_RANGE);
}

static void test_system_errors_have_their_codes(void)
{
    CU_ASSERT_EQUAL(file_error(ENOSPC), ERR_NO_SPACE);
    CU_ASSERT_EQUAL(file_error(EDQUOT), ERR_NO_SPACE);
    CU_ASSERT_EQUAL(file_error(ENOENT), ERR_NOT_FOUND);
    CU_ASSERT_EQUAL(file_error(ENOTDIR), ERR_NOT_FOUND);
    CU_ASSERT_EQUAL(file_error(EACCES), ERR_IO);
    CU_ASSERT_EQUAL(file_sync_folder(folder, &em), 0);
    CU_ASSERT_EQUAL(file_sync_folder(in("nowhere"), &em), ERR_NOT_FOUND);
}

static const struct suite_test tests[] = {
    TEST(test_written_content_is_read_back),
    TEST(test_the_mode_is_as_asked_whatever_the_umask),
    TEST(test_a_left_over_of_a_power_cut_is_overwritten),
    TEST(test_a_link_in_the_place_of_the_new_file_is_not_followed),
    TEST(test_when_the_new_file_cannot_be_made_the_old_stays),
    TEST(test_an_unwritable_folder_leaves_the_old_content),
    TEST(test_a_write_that_fails_half_way_leaves_the_old_content),
    TEST(test_a_folder_in_the_way_is_not_replaced),
    TEST(test_reading_says_what_is_missing_or_too_large),
    TEST(test_reading_appends_and_may_fill_the_buffer),
    TEST(test_parents_are_made_and_may_be_there),
    TEST(test_a_link_is_made_and_replaced),
    TEST(test_removing_takes_a_file_a_link_or_a_whole_tree),
    TEST(test_a_deep_tree_is_removed_without_recursion),
    TEST(test_who_moves_folders_while_they_are_removed_loses_nothing_else),
    TEST(test_a_folder_that_cannot_be_removed_is_named_and_stays),
    TEST(test_a_lock_is_held_by_one),
    TEST(test_paths_have_a_limit),
    TEST(test_system_errors_have_their_codes),
};

int main(void)
{
    if (!mkdtemp(folder) || chmod(folder, 0755) < 0)
        return 1;
    int failed = suite_run("file", tests, sizeof tests / sizeof tests[0]);
    return file_remove(folder, NULL) < 0 ? 1 : failed;
}
