#include "bundles/entry.h"

#include "sync/wire.h"
#include "test/suite.h"

static const struct entry examples[] = {
    {.type = ENTRY_FOLDER, .mode = 0755, .path = "bin"},
    {.type = ENTRY_FILE, .mode = 0640, .size = 123456789, .path = "bin/caf\xc3\xa9 run"},
    {.type = ENTRY_FILE, .mode = 0, .size = 0, .path = "..."},
    {.type = ENTRY_LINK, .mode = ENTRY_LINK_MODE, .path = "bin/sh", .target = "../bin/busybox"},
    {.type = ENTRY_TEMPLATE, .mode = 0600, .size = TEMPLATE_BYTES_MAX, .path = "etc/app.conf"},
};

#define EXAMPLES (sizeof examples / sizeof examples[0])

static uint8_t memory[ENTRY_HEADER_MAX + 2];

/* The header without its length. */
static struct span write_header(const struct entry *e)
{
    struct buffer out = buffer_on(memory, sizeof memory);
    CU_ASSERT_EQUAL_FATAL(entry_write(e, &out), 0);
    CU_ASSERT_EQUAL((size_t)(memory[0] | memory[1] << 8), out.len - 2);
    return span_of(memory + 2, out.len - 2);
}

static bool same(const struct entry *a, const struct entry *b)
{
    return a->type == b->type && a->mode == b->mode && a->size == b->size &&
           strcmp(a->path, b->path) == 0 && strcmp(a->target, b->target) == 0;
}

static void test_entries_come_back(void)
{
    for (size_t i = 0; i < EXAMPLES; i++) {
        struct entry got;
        CU_ASSERT_EQUAL(entry_read(write_header(&examples[i]), &got), 0);
        CU_ASSERT_TRUE(same(&got, &examples[i]));
    }
}

static void test_longest_entry_fits_its_header(void)
{
    struct entry e = {.type = ENTRY_LINK, .mode = ENTRY_LINK_MODE}, got;
    for (size_t i = 0; i < ENTRY_PATH_MAX; i++)
        e.path[i] = e.target[i] = i % 200 == 199 ? '/' : 'x';
    CU_ASSERT_EQUAL(entry_read(write_header(&e), &got), 0);
    CU_ASSERT_TRUE(same(&got, &e));
}

static void test_every_truncated_header_is_refused(void)
{
    for (size_t i = 0; i < EXAMPLES; i++) {
        struct span header = write_header(&examples[i]);
        struct entry got;
        for (size_t n = 0; n < header.len; n++)
            CU_ASSERT_EQUAL(entry_read(span_of(header.data, n), &got), ERR_FORMAT);
    }
}

static void test_flipped_bits_never_make_an_unsafe_entry(void)
{
    for (size_t i = 0; i < EXAMPLES; i++) {
        struct span header = write_header(&examples[i]);
        for (size_t bit = 0; bit < 8 * header.len; bit++) {
            struct entry got;
            memory[2 + bit / 8] ^= (uint8_t)(1 << bit % 8);
            if (entry_read(header, &got) == 0) {
                CU_ASSERT_TRUE(got.type >= ENTRY_FOLDER && got.type <= ENTRY_TEMPLATE);
                CU_ASSERT_TRUE(got.mode <= 0777);
                CU_ASSERT_TRUE(entry_path_safe(got.path));
                CU_ASSERT_TRUE(got.type != ENTRY_LINK || entry_target_safe(got.path, got.target));
            }
            memory[2 + bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
    }
}

static void test_bytes_after_the_header_are_refused(void)
{
    struct span header = write_header(&examples[0]);
    struct entry got;
    memory[2 + header.len] = 0;
    CU_ASSERT_EQUAL(entry_read(span_of(header.data, header.len + 1), &got), ERR_FORMAT);
}

static void test_buffer_without_room_is_an_error(void)
{
    for (size_t i = 0; i < EXAMPLES; i++) {
        size_t need = write_header(&examples[i]).len + 2;
        for (size_t cap = 0; cap < need; cap++) {
            struct buffer out = buffer_on(memory, cap);
            CU_ASSERT_EQUAL(entry_write(&examples[i], &out), ERR_NO_MEMORY);
        }
    }
}

/* Writes [type, path, mode, last], as a hostile packer could. */
static int read_raw(uint64_t type, const char *path, uint64_t mode, const char *target,
                    uint64_t size)
{
    struct buffer out = buffer_on(memory, sizeof memory);
    struct wire_writer w = wire_writer_on(&out);
    wire_put_array(&w, type == ENTRY_FOLDER ? 3 : 4);
    wire_put_u64(&w, type);
    wire_put_text(&w, span_text(path));
    wire_put_u64(&w, mode);
    if (target)
        wire_put_text(&w, span_text(target));
    else if (type != ENTRY_FOLDER)
        wire_put_u64(&w, size);
    struct entry got;
    return entry_read(span_buffer(&out), &got);
}

static void test_what_no_packer_writes_is_refused(void)
{
    CU_ASSERT_EQUAL(read_raw(ENTRY_FILE, "a", 0644, NULL, 1), 0);
    for (uint64_t type = 5; type < 300; type++)
        CU_ASSERT_EQUAL(read_raw(type, "a", 0644, NULL, 1), ERR_FORMAT);
    CU_ASSERT_EQUAL(read_raw(0, "a", 0644, NULL, 1), ERR_FORMAT);
    CU_ASSERT_EQUAL(read_raw(ENTRY_FILE, "a", 01000, NULL, 1), ERR_FORMAT);
    CU_ASSERT_EQUAL(read_raw(ENTRY_FILE, "a", 04755, NULL, 1), ERR_FORMAT);
    CU_ASSERT_EQUAL(read_raw(ENTRY_FILE, "a", 0644, NULL, 1ull << 40), 0);
    CU_ASSERT_EQUAL(read_raw(ENTRY_FILE, "a", 0644, NULL, (1ull << 40) + 1), ERR_FORMAT);
    CU_ASSERT_EQUAL(read_raw(ENTRY_FILE, "a", 0644, NULL, UINT64_MAX), ERR_FORMAT);
    CU_ASSERT_EQUAL(read_raw(ENTRY_FILE, "a", 0644, "b", 0), ERR_FORMAT);
    CU_ASSERT_EQUAL(read_raw(ENTRY_TEMPLATE, "a", 0644, NULL, TEMPLATE_BYTES_MAX), 0);
    CU_ASSERT_EQUAL(read_raw(ENTRY_TEMPLATE, "a", 0644, NULL, TEMPLATE_BYTES_MAX + 1), ERR_FORMAT);
    CU_ASSERT_EQUAL(read_raw(ENTRY_LINK, "a", 0777, NULL, 1), ERR_FORMAT);
    CU_ASSERT_EQUAL(read_raw(ENTRY_LINK, "a", 0777, "b", 0), 0);
    CU_ASSERT_EQUAL(read_raw(ENTRY_LINK, "a", 0755, "b", 0), ERR_REFUSED);
    CU_ASSERT_EQUAL(read_raw(ENTRY_LINK, "a", 0777, "../b", 0), ERR_REFUSED);
    CU_ASSERT_EQUAL(read_raw(ENTRY_FOLDER, "a", 0700, NULL, 0), 0);
    CU_ASSERT_EQUAL(read_raw(ENTRY_FOLDER, "a", 0555, NULL, 0), ERR_REFUSED);
    CU_ASSERT_EQUAL(read_raw(ENTRY_FOLDER, "../a", 0755, NULL, 0), ERR_REFUSED);
    CU_ASSERT_EQUAL(read_raw(ENTRY_FOLDER, "", 0755, NULL, 0), ERR_REFUSED);
    CU_ASSERT_EQUAL(read_raw(ENTRY_FOLDER, "a\nb", 0755, NULL, 0), ERR_FORMAT);
}

static void test_only_clean_relative_paths_are_safe(void)
{
    static const char *const safe[] = {"a", "a/b", ".a", "a.", "...", "a/..b", "a b", "\xff", "-"};
    static const char *const unsafe[] = {"",       "/",   "/a",   "a/",   "a//b",  ".",
                                         "..",     "./a", "../a", "a/.",  "a/..",  "a/./b",
                                         "a/../b", "\n",  "a\tb", "\x7f", "a\x1b", "a/\x01"};
    for (size_t i = 0; i < sizeof safe / sizeof safe[0]; i++)
        CU_ASSERT_TRUE(entry_path_safe(safe[i]));
    for (size_t i = 0; i < sizeof unsafe / sizeof unsafe[0]; i++)
        CU_ASSERT_FALSE(entry_path_safe(unsafe[i]));
}

static void test_long_and_deep_paths_are_not_safe(void)
{
    char path[ENTRY_PATH_MAX + 2];
    memset(path, 'x', sizeof path);
    path[ENTRY_NAME_MAX] = 0;
    CU_ASSERT_TRUE(entry_path_safe(path));
    path[ENTRY_NAME_MAX] = 'x';
    path[ENTRY_NAME_MAX + 1] = 0;
    CU_ASSERT_FALSE(entry_path_safe(path));

    for (size_t i = 0; i < sizeof path; i++)
        path[i] = i % 100 == 99 ? '/' : 'x';
    path[ENTRY_PATH_MAX] = 0;
    CU_ASSERT_TRUE(entry_path_safe(path));
    path[ENTRY_PATH_MAX] = 'x';
    path[ENTRY_PATH_MAX + 1] = 0;
    CU_ASSERT_FALSE(entry_path_safe(path));

    char deep[2 * ENTRY_DEPTH_MAX + 2] = "";
    for (size_t depth = 1; depth <= ENTRY_DEPTH_MAX + 1; depth++) {
        strcat(deep, depth == 1 ? "d" : "/d");
        CU_ASSERT_EQUAL(entry_path_safe(deep), depth <= ENTRY_DEPTH_MAX);
    }
}

static void test_targets_stay_inside_the_tree(void)
{
    static const struct {
        const char *path, *target;
        bool safe;
    } cases[] = {
        {"l", "a", true},           {"l", "a/b/c", true},       {"l", "./a", true},
        {"l", "a/", true},          {"l", "a//b", true},        {"l", ".", true},
        {"l", "l", true},           {"d/l", "../a", true},      {"d/l", "..", true},
        {"d/e/l", "../../a", true}, {"d/l", "./.././a", true},  {"l", "..a/b", true},
        {"l", "", false},           {"l", "/", false},          {"l", "/etc/passwd", false},
        {"l", "..", false},         {"l", "../a", false},       {"l", "./../a", false},
        {"d/l", "../../a", false},  {"d/l", "..//../a", false}, {"l", "a/..", false},
        {"l", "a/../..", false},    {"d/l", "a/../b", false},   {"d/l", "../a/..", false},
        {"l", "a\nb", false},       {"d/l", "../\x7f", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        CU_ASSERT_EQUAL(entry_target_safe(cases[i].path, cases[i].target), cases[i].safe);
}

static void test_folder_content_follows_its_folder_directly(void)
{
    static const char *const rising[] = {"a",   "a/b", "a/b/c", "a/b c", "a/c", "a b",
                                         "a!x", "a-b", "a.b",   "aa",    "b",   "\xc3\xa9"};
    size_t count = sizeof rising / sizeof rising[0];
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < count; k++) {
            int order = entry_path_compare(rising[i], rising[k]);
            CU_ASSERT_EQUAL((order > 0) - (order < 0), (i > k) - (i < k));
        }
}

static const struct suite_test tests[] = {
    TEST(test_entries_come_back),
    TEST(test_longest_entry_fits_its_header),
    TEST(test_every_truncated_header_is_refused),
    TEST(test_flipped_bits_never_make_an_unsafe_entry),
    TEST(test_bytes_after_the_header_are_refused),
    TEST(test_buffer_without_room_is_an_error),
    TEST(test_what_no_packer_writes_is_refused),
    TEST(test_only_clean_relative_paths_are_safe),
    TEST(test_long_and_deep_paths_are_not_safe),
    TEST(test_targets_stay_inside_the_tree),
    TEST(test_folder_content_follows_its_folder_directly),
};

SUITE_MAIN("entry", tests)
