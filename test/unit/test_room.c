#include "agent/room.h"

#include "test/suite.h"
#include "test/tree.h"

#include <sys/statvfs.h>

/* Somebody else may write to the same disk meanwhile. */
#define SLACK (UINT64_C(256) << 20)

static struct tree_path folder;
static int at;
static struct statvfs disk;
static uint64_t free_bytes;
static struct errmsg em;

static void set_up(void)
{
    folder = tree_new();
    at = open(folder.text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    tree_must(at >= 0 && fstatvfs(at, &disk) == 0, folder.text);
    free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    memset(&em, 0, sizeof em);
}

static void tear_down(void)
{
    close(at);
    tree_free(&folder);
}

static void test_what_fits_has_room(void)
{
    set_up();
    CU_ASSERT_EQUAL(room_check(at, 0, 0, &em), 0);
    CU_ASSERT_EQUAL(room_check(at, 1, 1, &em), 0);
    if (free_bytes > 2 * SLACK)
        CU_ASSERT_EQUAL(room_check(at, free_bytes - 2 * SLACK, 1, &em), 0);
    CU_ASSERT_STRING_EQUAL(em.text, "");
    tear_down();
}

static void test_what_does_not_fit_is_told_with_numbers(void)
{
    set_up();
    CU_ASSERT_EQUAL(room_check(at, free_bytes + SLACK, 1, &em), ERR_NO_SPACE);
    CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "MiB are needed, and of"));
    CU_ASSERT_EQUAL(room_check(at, UINT64_C(1) << 40, 1, &em), ERR_NO_SPACE);
    tear_down();
}

/* Each file takes a block more, and a disk has only so many files. */
static void test_a_million_small_files_need_room_too(void)
{
    set_up();
    uint64_t blocks = free_bytes / disk.f_frsize;
    CU_ASSERT_EQUAL(room_check(at, 0, blocks + SLACK / disk.f_frsize, &em), ERR_NO_SPACE);
    if (disk.f_files > 0 && disk.f_favail + 1000000 < blocks / 2) {
        CU_ASSERT_EQUAL(room_check(at, 0, disk.f_favail + 1000000, &em), ERR_NO_SPACE);
        CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "more files"));
    }
    tear_down();
}

static void test_some_is_always_left_to_others(void)
{
    set_up();
    uint64_t part = (uint64_t)disk.f_blocks * disk.f_frsize / ROOM_SPARE_PART;
    CU_ASSERT_TRUE(ROOM_SPARE_MAX >= UINT64_C(64) << 20);
    if (part > ROOM_SPARE_MAX) {
        CU_ASSERT_EQUAL(room_check(at, free_bytes, 0, &em), ERR_NO_SPACE);
        CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "64 are left to others"));
    }
    tear_down();
}

static const struct suite_test tests[] = {
    TEST(test_what_fits_has_room),
    TEST(test_what_does_not_fit_is_told_with_numbers),
    TEST(test_a_million_small_files_need_room_too),
    TEST(test_some_is_always_left_to_others),
};

SUITE_MAIN("room", tests)
