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
        CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "files are needed"));
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

static void test_some_files_are_always_left_to_others(void)
{
    struct statvfs small = {.f_frsize = 4096, .f_blocks = 1000000, .f_bavail = 900000};
    CU_ASSERT_EQUAL(room_on(&small, 0, 1000, &em), 0); /* it doesn't count them */
    small.f_files = 32 * ROOM_SPARE_PART;
    small.f_favail = 32 + 10;
    CU_ASSERT_EQUAL(room_on(&small, 0, 10, &em), 0);
    CU_ASSERT_EQUAL(room_on(&small, 0, 11, &em), ERR_NO_SPACE);
    CU_ASSERT_STRING_EQUAL(em.text, "11 files are needed, and of 42 more that the disk takes 32 "
                                    "are left to others");
}

/* As one that the kernel has found to be failing. */
static void test_disk_that_can_only_be_read_has_no_room(void)
{
    struct statvfs failing = {.f_frsize = 4096, .f_blocks = 1000000, .f_bavail = 900000};
    CU_ASSERT_EQUAL(room_on(&failing, 1, 1, &em), 0);
    failing.f_flag = ST_RDONLY;
    CU_ASSERT_EQUAL(room_on(&failing, 1, 1, &em), ERR_NO_SPACE);
    CU_ASSERT_STRING_EQUAL(em.text, "the disk can only be read");
}

static const struct suite_test tests[] = {
    TEST(test_what_fits_has_room),
    TEST(test_what_does_not_fit_is_told_with_numbers),
    TEST(test_a_million_small_files_need_room_too),
    TEST(test_some_is_always_left_to_others),
    TEST(test_some_files_are_always_left_to_others),
    TEST(test_disk_that_can_only_be_read_has_no_room),
};

SUITE_MAIN("room", tests)
