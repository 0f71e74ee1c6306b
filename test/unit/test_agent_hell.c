/* Bundles that a trusted publisher made to do harm, through the agent's own way of unpacking. */
#include "agent/tree.h"
#include "test/agent_fixture.h"
#include "test/hell.h"
#include "test/suite.h"

#include <sys/resource.h>

static struct fixture_fleet fleet;
static struct content content;
static struct chunks chunks;
static struct tree_path outer, dir;

static void put(void *context, const struct digest *name, struct span frame)
{
    struct errmsg em = {0};
    tree_must(chunks_put(context, name, frame, &em) == 0, em.text);
}

static void set_up(void)
{
    outer = tree_new();
    tree_folder(&outer, "agent", 0700);
    dir = tree_join(&outer, "agent");
    fixture_fleet(&fleet);
    chunks = fixture_chunks(&dir);
    tree_must(content_init(&content, &chunks, NULL) == 0, "content");
}

static void tear_down(void)
{
    content_free(&content);
    chunks_close(&chunks);
    tree_free(&outer);
}

static bool sentence_is_clean(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return false;
    return true;
}

/* Resident, at its most; the sanitizers' own memory is in it. */
static long memory_kib(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return used.ru_maxrss;
}

static void check_case(const struct hell_case *c)
{
    static struct tree_text before, after;
    const struct hell_sink sink = {.context = &chunks, .put = put};
    struct errmsg em = {0};
    set_up();
    struct digest bundle = digest_of(hell_build(c, &fleet.publisher_secret, &sink));
    CU_ASSERT_EQUAL_FATAL(content_open(&content, &bundle, &fleet.trust, &em), 0);
    tree_describe(&outer, &before);
    int rv = tree_unpack(dir.text, &content, &bundle, SPAN_NONE, NULL, &em);
    if (rv != c->error || !strstr(em.text, c->sentence) || !sentence_is_clean(em.text))
        fprintf(stderr, "%s: %s: %s\n", c->name, err_name(rv), em.text);
    CU_ASSERT_EQUAL(rv, c->error);
    CU_ASSERT_PTR_NOT_NULL(strstr(em.text, c->sentence));
    CU_ASSERT_TRUE(sentence_is_clean(em.text));
    CU_ASSERT_FALSE(tree_there(dir.text, &bundle));
    /* The folder for trees, empty, is all that is new. */
    struct tree_path trees = tree_join(&dir, "bundles");
    CU_ASSERT_EQUAL(rmdir(trees.text), 0);
    tree_describe(&outer, &after);
    CU_ASSERT_STRING_EQUAL(after.text, before.text);
    CU_ASSERT_NOT_EQUAL(access("/tmp/dunlin-hell", F_OK), 0);
    tear_down();
}

static void test_each_is_refused_and_leaves_nothing(void)
{
    long before = memory_kib();
    for (size_t i = 0; i < HELL_CASES; i++)
        check_case(&hell_cases[i]);
    CU_ASSERT_TRUE(memory_kib() - before < 65536);
}

/* A manifest says a byte for each chunk at least: here 1 MiB. The first chunk beyond ends it.
 */
static void test_hidden_bomb_writes_a_chunk_more_than_it_says(void)
{
    const struct hell_sink sink = {.context = &chunks, .put = put};
    struct rlimit before, small = {.rlim_cur = 6 * CHUNK_MAX};
    set_up();
    struct digest bundle = {0};
    for (size_t i = 0; i < HELL_CASES; i++)
        if (strcmp(hell_cases[i].name, "hidden-bomb") == 0)
            bundle = digest_of(hell_build(&hell_cases[i], &fleet.publisher_secret, &sink));
    getrlimit(RLIMIT_FSIZE, &before);
    small.rlim_max = before.rlim_max;
    tree_must(setrlimit(RLIMIT_FSIZE, &small) == 0, "limit");
    /* A longer file would end this program. */
    CU_ASSERT_EQUAL(tree_unpack(dir.text, &content, &bundle, SPAN_NONE, NULL, NULL), ERR_FORMAT);
    tree_must(setrlimit(RLIMIT_FSIZE, &before) == 0, "limit");
    tear_down();
}

/* The deepest and the longest that is allowed: it is written, and it goes again. */
static void build_deepest(struct hell *h)
{
    char path[ENTRY_PATH_MAX + 1] = "";
    for (int i = 0; i < ENTRY_DEPTH_MAX; i++) {
        size_t len = strlen(path);
        memset(path + len, 'd', 30);
        path[len + 30] = '\0';
        hell_folder(h, path);
        strcat(path, i + 1 < ENTRY_DEPTH_MAX ? "/" : "");
    }
}

static void test_deepest_tree_comes_and_goes(void)
{
    const struct hell_case deepest = {.name = "deepest", .build = build_deepest};
    const struct hell_sink sink = {.context = &chunks, .put = put};
    struct errmsg em = {0};
    set_up();
    struct digest bundle = digest_of(hell_build(&deepest, &fleet.publisher_secret, &sink));
    CU_ASSERT_EQUAL(tree_unpack(dir.text, &content, &bundle, SPAN_NONE, NULL, &em), 0);
    CU_ASSERT_STRING_EQUAL(em.text, "");
    CU_ASSERT_TRUE(tree_there(dir.text, &bundle));
    CU_ASSERT_EQUAL(tree_sweep(dir.text, &content, NULL, 0, &em), 0);
    CU_ASSERT_FALSE(tree_there(dir.text, &bundle));
    tear_down();
}

static const struct suite_test tests[] = {
    TEST(test_each_is_refused_and_leaves_nothing),
    TEST(test_hidden_bomb_writes_a_chunk_more_than_it_says),
    TEST(test_deepest_tree_comes_and_goes),
};

SUITE_MAIN("agent hell", tests)
