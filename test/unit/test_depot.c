/* The manager's content files. */
#include "manager/depot.h"

#include "test/samples.h"
#include "test/suite.h"
#include "test/tree.h"

static bool keep_nothing(void *context, const struct digest *name)
{
    (void)context;
    (void)name;
    return false;
}

/* Keeps the one that `context` names. */
static bool keep_one(void *context, const struct digest *name)
{
    return digest_equal(context, name);
}

static struct depot *open_keeping(const struct tree_path *dir, struct digest *kept)
{
    struct errmsg em = {.text = ""};
    struct depot *d = depot_open(
        dir->text, &(struct depot_keep){.context = kept, .needed = kept ? keep_one : keep_nothing},
        &em);
    tree_must(d != NULL, em.text);
    return d;
}

/* A frame of plain bytes; gives its name. */
static struct digest put(struct depot *d, const char *text, int want)
{
    uint8_t frame[64] = {0};
    struct span plain = span_text(text);
    struct digest name = digest_of(plain);
    memcpy(frame + 1, plain.data, plain.len);
    CU_ASSERT_EQUAL(depot_put(d, &name, span_of(frame, plain.len + 1), NULL), want);
    return name;
}

static void expect_plain(struct depot *d, const struct digest *name, const char *text)
{
    static uint8_t memory[CHUNK_MAX];
    struct buffer plain = buffer_on(memory, sizeof memory);
    CU_ASSERT_EQUAL(depot_get_plain(d, name, &plain, NULL), 0);
    CU_ASSERT_TRUE(span_equal(span_buffer(&plain), span_text(text)));
}

static void overwrite(const struct tree_path *dir, const struct digest *name, const char *text)
{
    char path[128];
    struct digest_hex hex = digest_hex(name);
    snprintf(path, sizeof path, "chunks/%.2s/%s", hex.text, hex.text);
    struct tree_path file = tree_join(dir, path);
    int fd = open(file.text, O_WRONLY | O_TRUNC);
    tree_must(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), file.text);
    close(fd);
}

static void test_content_comes_back_by_its_name(void)
{
    struct tree_path dir = tree_new();
    struct depot *d = open_keeping(&dir, NULL);
    struct digest one = digest_of(span_text("one"));
    static uint8_t memory[CHUNK_FRAME_MAX];
    struct buffer frame = buffer_on(memory, sizeof memory);
    CU_ASSERT_FALSE(depot_has(d, &one));
    CU_ASSERT_EQUAL(depot_get(d, &one, &frame, NULL), ERR_NOT_FOUND);
    put(d, "one", 0);
    put(d, "one", 1);
    CU_ASSERT_TRUE(depot_has(d, &one));
    expect_plain(d, &one, "one");
    CU_ASSERT_EQUAL(depot_get(d, &one, &frame, NULL), 0);
    CU_ASSERT_EQUAL(frame.len, 4);
    depot_remove(d, &one);
    depot_remove(d, &one);
    CU_ASSERT_FALSE(depot_has(d, &one));
    depot_close(d);
    tree_free(&dir);
}

static void test_killed_manager_finds_an_unfinished_push_again(void)
{
    struct tree_path dir = tree_new();
    struct depot *d = open_keeping(&dir, NULL);
    struct digest one = put(d, "one", 0);
    depot_close(d);
    d = open_keeping(&dir, NULL);
    expect_plain(d, &one, "one");
    depot_close(d);
    tree_free(&dir);
}

/* Another boot: what wasn't synced may be torn. */
static void test_crash_of_the_machine_drops_what_no_bundle_needs(void)
{
    struct tree_path dir = tree_new();
    struct tree_path marker = tree_join(&dir, "chunks/unsynced");
    struct depot *d = open_keeping(&dir, NULL);
    struct digest kept = put(d, "kept", 0), torn = put(d, "torn", 0);
    depot_close(d);
    tree_must(file_write(marker.text, span_text("another boot\n"), 0600, NULL) == 0, marker.text);
    d = open_keeping(&dir, &kept);
    CU_ASSERT_FALSE(depot_has(d, &torn));
    expect_plain(d, &kept, "kept");
    CU_ASSERT_NOT_EQUAL(access(marker.text, F_OK), 0);
    depot_close(d);
    tree_free(&dir);
}

static void test_synced_content_outlives_a_crash_of_the_machine(void)
{
    struct tree_path dir = tree_new();
    struct tree_path marker = tree_join(&dir, "chunks/unsynced");
    struct depot *d = open_keeping(&dir, NULL);
    struct digest one = put(d, "one", 0);
    CU_ASSERT_EQUAL(access(marker.text, F_OK), 0);
    CU_ASSERT_EQUAL(depot_sync(d, NULL), 0);
    CU_ASSERT_NOT_EQUAL(access(marker.text, F_OK), 0);
    depot_close(d);
    d = open_keeping(&dir, NULL);
    expect_plain(d, &one, "one");
    put(d, "two", 0);
    CU_ASSERT_EQUAL(access(marker.text, F_OK), 0);
    depot_close(d);
    tree_free(&dir);
}

static void test_damaged_file_is_named(void)
{
    static uint8_t memory[CHUNK_MAX];
    struct buffer plain = buffer_on(memory, sizeof memory);
    struct tree_path dir = tree_new();
    struct depot *d = open_keeping(&dir, NULL);
    struct digest one = put(d, "one", 0);
    struct errmsg em = {.text = ""};
    overwrite(&dir, &one, "xone");
    CU_ASSERT_EQUAL(depot_get_plain(d, &one, &plain, &em), ERR_DAMAGED);
    CU_ASSERT_PTR_NOT_NULL(strstr(em.text, digest_hex(&one).text));
    overwrite(&dir, &one, "");
    CU_ASSERT_EQUAL(depot_get_plain(d, &one, &plain, &em), ERR_DAMAGED);
    depot_close(d);
    tree_free(&dir);
}

static const struct suite_test tests[] = {
    TEST(test_content_comes_back_by_its_name),
    TEST(test_killed_manager_finds_an_unfinished_push_again),
    TEST(test_crash_of_the_machine_drops_what_no_bundle_needs),
    TEST(test_synced_content_outlives_a_crash_of_the_machine),
    TEST(test_damaged_file_is_named),
};

SUITE_MAIN("depot", tests)
