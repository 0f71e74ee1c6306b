#include "agent/tree.h"
#include "test/agent_fixture.h"
#include "test/suite.h"

static struct fixture_fleet fleet;
static struct content content;
static struct chunks chunks;
static struct tree_path source, dir;
static struct manifest manifest;
static struct digest bundle;
static struct tree_text expected, found;

static void set_up(void)
{
    source = tree_new();
    dir = tree_new();
    fixture_fleet(&fleet);
    fixture_tree(&source);
    chunks = fixture_chunks(&dir);
    bundle = fixture_bundle(&chunks, source.text, "1", &fleet.publisher_secret, &manifest);
    tree_must(content_init(&content, &chunks, NULL) == 0, "content");
    tree_describe(&source, &expected);
}

static void tear_down(void)
{
    content_free(&content);
    chunks_close(&chunks);
    tree_free(&source);
    tree_free(&dir);
}

static int unpack(struct errmsg *em)
{
    return tree_unpack(dir.text, &content, &bundle, SPAN_NONE, NULL, em);
}

static struct tree_path unpacked(const struct digest *d)
{
    struct tree_path p;
    tree_must(tree_path(dir.text, d, p.text, NULL) == 0, "path");
    return p;
}

static bool same_as_source(void)
{
    struct tree_path p = unpacked(&bundle);
    tree_describe(&p, &found);
    return strcmp(expected.text, found.text) == 0;
}

/* Breaks the n-th chunk of the content on the disk. */
static struct digest break_chunk(uint32_t n)
{
    static const uint8_t torn[] = {0, 'x'};
    struct chunk_ref ref = {0};
    tree_must(content_open(&content, &bundle, NULL, NULL) == 0, "open");
    for (uint32_t i = 0; i <= n; i++)
        tree_must(content_next(&content, &ref, NULL) == 1, "next");
    tree_must(chunks_put(&chunks, &ref.digest, span_of(torn, sizeof torn), NULL) == 0, "tear");
    return ref.digest;
}

static void test_tree_is_as_it_was_packed(void)
{
    set_up();
    umask(077);
    CU_ASSERT_FALSE(tree_there(dir.text, &bundle));
    CU_ASSERT_EQUAL(unpack(NULL), 0);
    umask(022);
    CU_ASSERT_TRUE(tree_there(dir.text, &bundle));
    CU_ASSERT_TRUE(same_as_source());
    struct stat st;
    struct tree_path p = unpacked(&bundle);
    CU_ASSERT_EQUAL(stat(p.text, &st), 0);
    CU_ASSERT_EQUAL(st.st_mode & 0777, 0755);
    tear_down();
}

static void test_tree_that_is_there_is_left_alone(void)
{
    set_up();
    CU_ASSERT_EQUAL(unpack(NULL), 0);
    struct tree_path p = unpacked(&bundle);
    tree_file(&p, "mine", 0644, span_text("here"));
    CU_ASSERT_EQUAL(unpack(NULL), 0);
    struct tree_path mine = tree_join(&p, "mine");
    CU_ASSERT_EQUAL(access(mine.text, F_OK), 0);
    tear_down();
}

static void test_half_a_tree_from_a_power_cut_is_replaced(void)
{
    set_up();
    char part[256];
    snprintf(part, sizeof part, "bundles/%s.part", digest_hex(&bundle).text);
    tree_folder(&dir, "bundles", 0755);
    tree_folder(&dir, part, 0700);
    strcat(part, "/stale");
    tree_file(&dir, part, 0644, span_text("stale"));
    CU_ASSERT_EQUAL(unpack(NULL), 0);
    CU_ASSERT_TRUE(same_as_source());
    tear_down();
}

static void test_torn_chunks_all_go_and_no_tree_appears(void)
{
    set_up();
    struct digest first = break_chunk(0), last = break_chunk(manifest.chunks - 1);
    struct errmsg em = {0};
    CU_ASSERT_EQUAL(unpack(&em), ERR_DIGEST);
    CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "chunk 1 of"));
    CU_ASSERT_FALSE(tree_there(dir.text, &bundle));
    CU_ASSERT_FALSE(chunks_has(&chunks, &first));
    CU_ASSERT_FALSE(chunks_has(&chunks, &last));
    CU_ASSERT_EQUAL(unpack(NULL), ERR_NOT_FOUND);
    fixture_bundle(&chunks, source.text, "1", &fleet.publisher_secret, &manifest);
    CU_ASSERT_EQUAL(unpack(NULL), 0);
    CU_ASSERT_TRUE(same_as_source());
    tear_down();
}

static void test_manifest_that_lies_about_its_content_is_refused(void)
{
    set_up();
    struct manifest lie = manifest;
    lie.files++;
    bundle = fixture_manifest(&chunks, &lie, &fleet.publisher_secret);
    CU_ASSERT_EQUAL(unpack(NULL), ERR_FORMAT);
    lie = manifest;
    lie.bytes--;
    bundle = fixture_manifest(&chunks, &lie, &fleet.publisher_secret);
    CU_ASSERT_EQUAL(unpack(NULL), ERR_FORMAT);
    CU_ASSERT_FALSE(tree_there(dir.text, &bundle));
    tear_down();
}

static unsigned beats_left;

static bool beat(void *context)
{
    (void)context;
    return beats_left-- > 0;
}

static void test_unpacking_stopped_at_any_chunk_leaves_no_tree(void)
{
    set_up();
    const struct tree_pulse pulse = {.beat = beat};
    for (unsigned n = 0; n < manifest.chunks; n += 9) {
        beats_left = n;
        CU_ASSERT_EQUAL(tree_unpack(dir.text, &content, &bundle, SPAN_NONE, &pulse, NULL),
                        ERR_BUSY);
        CU_ASSERT_FALSE(tree_there(dir.text, &bundle));
    }
    beats_left = manifest.chunks;
    CU_ASSERT_EQUAL(tree_unpack(dir.text, &content, &bundle, SPAN_NONE, &pulse, NULL), 0);
    CU_ASSERT_TRUE(same_as_source());
    tear_down();
}

static void test_current_moves_and_goes(void)
{
    set_up();
    struct digest now, other = digest_of(span_text("other")), none = {0};
    CU_ASSERT_EQUAL(unpack(NULL), 0);
    CU_ASSERT_FALSE(tree_current(dir.text, "app", &now));
    CU_ASSERT_EQUAL(tree_switch(dir.text, "app", &none, NULL), 0);
    CU_ASSERT_EQUAL(tree_switch(dir.text, "app", &bundle, NULL), 0);
    CU_ASSERT_TRUE(tree_current(dir.text, "app", &now) && digest_equal(&now, &bundle));
    struct tree_path config = tree_join(&dir, "deployments/app/current/config");
    CU_ASSERT_EQUAL(access(config.text, R_OK), 0);
    CU_ASSERT_EQUAL(tree_switch(dir.text, "app", &other, NULL), 0);
    CU_ASSERT_TRUE(tree_current(dir.text, "app", &now) && digest_equal(&now, &other));
    CU_ASSERT_EQUAL(tree_switch(dir.text, "app", &none, NULL), 0);
    CU_ASSERT_FALSE(tree_current(dir.text, "app", &now));
    struct tree_path data = tree_join(&dir, "deployments/app/data");
    CU_ASSERT_EQUAL(access(data.text, F_OK), 0);
    CU_ASSERT_EQUAL(tree_detach(dir.text, "app", NULL), 0);
    CU_ASSERT_NOT_EQUAL(access(data.text, F_OK), 0);
    CU_ASSERT_EQUAL(tree_detach(dir.text, "app", NULL), 0);
    CU_ASSERT_TRUE(same_as_source());
    tear_down();
}

static void test_sweep_keeps_what_is_used(void)
{
    set_up();
    struct digest old = bundle;
    CU_ASSERT_EQUAL(unpack(NULL), 0);
    tree_file(&source, "data/a", 0644, span_text("quite another file"));
    tree_describe(&source, &expected);
    bundle = fixture_bundle(&chunks, source.text, "2", &fleet.publisher_secret, &manifest);
    CU_ASSERT_EQUAL(unpack(NULL), 0);
    CU_ASSERT_EQUAL(tree_sweep(dir.text, &content, &bundle, 1, NULL), 0);
    CU_ASSERT_FALSE(tree_there(dir.text, &old));
    CU_ASSERT_FALSE(chunks_has(&chunks, &old));
    CU_ASSERT_TRUE(same_as_source());
    /* All that the kept bundle needs is still here. */
    struct tree_path p = unpacked(&bundle);
    tree_free(&p);
    CU_ASSERT_EQUAL(unpack(NULL), 0);
    CU_ASSERT_TRUE(same_as_source());
    CU_ASSERT_EQUAL(tree_sweep(dir.text, &content, NULL, 0, NULL), 0);
    CU_ASSERT_FALSE(tree_there(dir.text, &bundle));
    CU_ASSERT_FALSE(chunks_has(&chunks, &bundle));
    tear_down();
}

static void test_sweep_keeps_what_current_names(void)
{
    set_up();
    CU_ASSERT_EQUAL(unpack(NULL), 0);
    CU_ASSERT_EQUAL(tree_switch(dir.text, "kept", &bundle, NULL), 0);
    CU_ASSERT_EQUAL(tree_sweep(dir.text, &content, NULL, 0, NULL), 0);
    CU_ASSERT_TRUE(tree_there(dir.text, &bundle));
    CU_ASSERT_TRUE(same_as_source());
    tear_down();
}

/* The same bundle, with an index of two chunks. */
static void split_index(void)
{
    static uint8_t room[CHUNK_FRAME_MAX], index[CHUNK_MAX];
    struct buffer frame = buffer_on(room, sizeof room), plain = buffer_on(index, sizeof index);
    struct chunk_ref *refs = manifest.index;
    CU_ASSERT_EQUAL_FATAL(manifest.index_count, 1);
    CU_ASSERT_EQUAL(chunks_get(&chunks, &refs[0].digest, &frame, NULL), 0);
    CU_ASSERT_EQUAL(chunk_open(content.opener, span_buffer(&frame), &refs[0].digest, &plain), 0);
    refs[1].len = refs[0].len - INDEX_REF_LEN;
    refs[0].len = INDEX_REF_LEN;
    refs[0].digest = fixture_chunk(&chunks, span_of(index, INDEX_REF_LEN));
    refs[1].digest = fixture_chunk(&chunks, span_of(index + INDEX_REF_LEN, refs[1].len));
    manifest.index_count = 2;
    bundle = fixture_manifest(&chunks, &manifest, &fleet.publisher_secret);
}

static void test_sweep_spares_chunks_while_a_part_of_an_index_is_missing(void)
{
    set_up();
    struct chunk_ref first, second;
    split_index();
    CU_ASSERT_EQUAL(content_open(&content, &bundle, NULL, NULL), 0);
    CU_ASSERT_EQUAL(content_next(&content, &first, NULL), 1);
    CU_ASSERT_EQUAL(content_next(&content, &second, NULL), 1);
    CU_ASSERT_EQUAL(chunks_remove(&chunks, &manifest.index[1].digest, NULL), 0);
    CU_ASSERT_EQUAL(tree_sweep(dir.text, &content, &bundle, 1, NULL), 0);
    CU_ASSERT_TRUE(chunks_has(&chunks, &first.digest));
    CU_ASSERT_TRUE(chunks_has(&chunks, &second.digest));
    CU_ASSERT_TRUE(chunks_has(&chunks, &bundle));
    tear_down();
}

/* Its row stays until an operator does something, and others are updated all the while. */
static void test_bundle_that_was_refused_keeps_nothing_of_others(void)
{
    set_up();
    struct digest old = bundle, refused[2];
    refused[0] = fixture_chunk(&chunks, span_text("not a manifest"));
    snprintf(manifest.version, sizeof manifest.version, "2");
    manifest.index[0].digest = digest_of(span_text("never fetched"));
    refused[1] = fixture_manifest(&chunks, &manifest, &fleet.root_secret);
    for (int i = 0; i < 2; i++)
        CU_ASSERT_TRUE(chunks_has(&chunks, &refused[i]));
    CU_ASSERT_EQUAL(tree_sweep(dir.text, &content, refused, 2, NULL), 0);
    CU_ASSERT_FALSE(chunks_has(&chunks, &old));
    for (int i = 0; i < 2; i++)
        CU_ASSERT_TRUE(chunks_has(&chunks, &refused[i]));
    tear_down();
}

static void test_sweep_removes_litter(void)
{
    set_up();
    CU_ASSERT_EQUAL(unpack(NULL), 0);
    tree_folder(&dir, "bundles/half.part", 0755);
    tree_file(&dir, "bundles/half.part/file", 0644, span_text("x"));
    CU_ASSERT_EQUAL(tree_sweep(dir.text, &content, &bundle, 1, NULL), 0);
    struct tree_path litter = tree_join(&dir, "bundles/half.part");
    CU_ASSERT_NOT_EQUAL(access(litter.text, F_OK), 0);
    CU_ASSERT_TRUE(same_as_source());
    tear_down();
}

static const struct suite_test tests[] = {
    TEST(test_tree_is_as_it_was_packed),
    TEST(test_tree_that_is_there_is_left_alone),
    TEST(test_half_a_tree_from_a_power_cut_is_replaced),
    TEST(test_torn_chunks_all_go_and_no_tree_appears),
    TEST(test_manifest_that_lies_about_its_content_is_refused),
    TEST(test_unpacking_stopped_at_any_chunk_leaves_no_tree),
    TEST(test_current_moves_and_goes),
    TEST(test_sweep_keeps_what_is_used),
    TEST(test_sweep_keeps_what_current_names),
    TEST(test_sweep_spares_chunks_while_a_part_of_an_index_is_missing),
    TEST(test_bundle_that_was_refused_keeps_nothing_of_others),
    TEST(test_sweep_removes_litter),
};

SUITE_MAIN("agent tree", tests)
