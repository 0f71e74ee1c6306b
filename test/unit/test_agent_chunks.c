#include "agent/chunks.h"
#include "test/agent_fixture.h"
#include "test/suite.h"

static uint8_t room[CHUNK_FRAME_MAX];

static struct digest put(const struct chunks *c, const char *text)
{
    struct digest name = digest_of(span_text(text));
    CU_ASSERT_EQUAL(chunks_put(c, &name, span_text(text), NULL), 0);
    return name;
}

static void test_what_was_put_is_there_after_a_restart(void)
{
    struct tree_path dir = tree_new();
    struct chunks c = fixture_chunks(&dir);
    struct digest name = digest_of(span_text("one"));
    struct buffer frame = buffer_on(room, sizeof room);
    CU_ASSERT_FALSE(chunks_has(&c, &name));
    CU_ASSERT_EQUAL(chunks_get(&c, &name, &frame, NULL), ERR_NOT_FOUND);
    put(&c, "one");
    chunks_close(&c);
    c = fixture_chunks(&dir);
    CU_ASSERT_TRUE(chunks_has(&c, &name));
    CU_ASSERT_EQUAL(chunks_get(&c, &name, &frame, NULL), 0);
    CU_ASSERT_TRUE(span_equal(span_buffer(&frame), span_text("one")));
    chunks_close(&c);
    tree_free(&dir);
}

static void test_putting_again_replaces(void)
{
    struct tree_path dir = tree_new();
    struct chunks c = fixture_chunks(&dir);
    struct digest name = put(&c, "one");
    struct buffer frame = buffer_on(room, sizeof room);
    CU_ASSERT_EQUAL(chunks_put(&c, &name, span_text("torn no more"), NULL), 0);
    CU_ASSERT_EQUAL(chunks_get(&c, &name, &frame, NULL), 0);
    CU_ASSERT_TRUE(span_equal(span_buffer(&frame), span_text("torn no more")));
    chunks_close(&c);
    tree_free(&dir);
}

static void test_empty_file_and_folder_count_as_missing(void)
{
    struct tree_path dir = tree_new();
    struct chunks c = fixture_chunks(&dir);
    struct digest name = put(&c, "one");
    struct digest_hex hex = digest_hex(&name);
    char path[128];
    snprintf(path, sizeof path, "chunks/%.2s/%s", hex.text, hex.text);
    tree_file(&dir, path, 0600, SPAN_NONE);
    CU_ASSERT_FALSE(chunks_has(&c, &name));
    CU_ASSERT_EQUAL(chunks_remove(&c, &name, NULL), 0);
    tree_folder(&dir, path, 0700);
    CU_ASSERT_FALSE(chunks_has(&c, &name));
    CU_ASSERT_TRUE(chunks_put(&c, &name, span_text("one"), NULL) < 0);
    chunks_close(&c);
    tree_free(&dir);
}

static void test_file_larger_than_any_chunk_is_refused(void)
{
    struct tree_path dir = tree_new();
    struct chunks c = fixture_chunks(&dir);
    struct digest name = put(&c, "longer than the room");
    struct buffer exact = buffer_on(room, 20), small = buffer_on(room, 19);
    CU_ASSERT_EQUAL(chunks_get(&c, &name, &exact, NULL), 0);
    CU_ASSERT_EQUAL(chunks_get(&c, &name, &small, NULL), ERR_RANGE);
    chunks_close(&c);
    tree_free(&dir);
}

static void test_removing_twice_is_fine(void)
{
    struct tree_path dir = tree_new();
    struct chunks c = fixture_chunks(&dir);
    struct digest name = put(&c, "one");
    CU_ASSERT_EQUAL(chunks_remove(&c, &name, NULL), 0);
    CU_ASSERT_FALSE(chunks_has(&c, &name));
    CU_ASSERT_EQUAL(chunks_remove(&c, &name, NULL), 0);
    chunks_close(&c);
    tree_free(&dir);
}

static bool keep_low(void *context, const struct digest *name)
{
    (void)context;
    return name->bytes[1] < 128;
}

static void test_sweep_leaves_what_is_wanted_and_no_litter(void)
{
    struct tree_path dir = tree_new();
    struct chunks c = fixture_chunks(&dir);
    int high = 0;
    for (int i = 0; i < 100; i++) {
        char text[16];
        snprintf(text, sizeof text, "chunk %d", i);
        high += put(&c, text).bytes[1] >= 128;
    }
    tree_file(&dir, "chunks/new", 0600, span_text("half a chu"));
    struct digest name = digest_of(span_text("chunk 1"));
    char litter[64];
    snprintf(litter, sizeof litter, "chunks/%.2s/litter", digest_hex(&name).text);
    tree_file(&dir, litter, 0600, span_text("?"));
    CU_ASSERT_EQUAL(chunks_sweep(&c, keep_low, NULL, NULL), high + 1);
    CU_ASSERT_EQUAL(chunks_sweep(&c, keep_low, NULL, NULL), 0);
    for (int i = 0; i < 100; i++) {
        char text[16];
        snprintf(text, sizeof text, "chunk %d", i);
        name = digest_of(span_text(text));
        CU_ASSERT_EQUAL(chunks_has(&c, &name), name.bytes[1] < 128);
    }
    struct tree_path left = tree_join(&dir, "chunks/new");
    CU_ASSERT_NOT_EQUAL(access(left.text, F_OK), 0);
    chunks_close(&c);
    tree_free(&dir);
}

static bool keep_none(void *context, const struct digest *name)
{
    (void)context;
    (void)name;
    return false;
}

/* What lies there would fill the disk. */
static void test_bad_folder_does_not_keep_others_from_being_swept(void)
{
    struct tree_path dir = tree_new();
    struct chunks c = fixture_chunks(&dir);
    struct digest name = {.bytes = {0xff}};
    struct errmsg em = {0};
    tree_file(&dir, "chunks/00", 0600, SPAN_NONE);
    CU_ASSERT_EQUAL(chunks_put(&c, &name, span_text("one"), NULL), 0);
    CU_ASSERT_TRUE(chunks_sweep(&c, keep_none, NULL, &em) < 0);
    CU_ASSERT_STRING_EQUAL(em.text, "sweep chunks/00 failed");
    CU_ASSERT_FALSE(chunks_has(&c, &name));
    chunks_close(&c);
    tree_free(&dir);
}

static void test_looking_makes_no_folder(void)
{
    struct tree_path dir = tree_new();
    struct chunks c;
    CU_ASSERT_EQUAL(chunks_open_read(&c, dir.text, NULL), ERR_NOT_FOUND);
    chunks_close(&c);
    tree_free(&dir);
}

static const struct suite_test tests[] = {
    TEST(test_what_was_put_is_there_after_a_restart),
    TEST(test_putting_again_replaces),
    TEST(test_empty_file_and_folder_count_as_missing),
    TEST(test_file_larger_than_any_chunk_is_refused),
    TEST(test_removing_twice_is_fine),
    TEST(test_sweep_leaves_what_is_wanted_and_no_litter),
    TEST(test_bad_folder_does_not_keep_others_from_being_swept),
    TEST(test_looking_makes_no_folder),
};

SUITE_MAIN("agent chunks", tests)
