#include "agent/arch.h"
#include "agent/mend.h"
#include "agent/program.h"
#include "agent/tree.h"
#include "base/log.h"
#include "test/agent_fixture.h"
#include "test/suite.h"

#include <unistd.h>

static struct fixture_fleet fleet;
static struct content content;
static struct chunks chunks;
static struct tree_path source, dir;
static struct manifest manifest;
static struct digest bundle;
static struct store store;

/* One deployment that runs the bundle, in this phase. */
static void set_up(enum phase phase)
{
    log_threshold(LOG_ERROR);
    source = tree_new();
    dir = tree_new();
    fixture_fleet(&fleet);
    tree_file(&source, "config", 0644, span_text("colour = green\n"));
    chunks = fixture_chunks(&dir);
    bundle = fixture_bundle(&chunks, source.text, "1", &fleet.publisher_secret, &manifest);
    tree_must(content_init(&content, &chunks, NULL) == 0, "content");
    tree_must(tree_unpack(dir.text, &content, &bundle, SPAN_NONE, NULL, NULL) == 0, "unpack");
    tree_must(tree_switch(dir.text, "app", &bundle, NULL) == 0, "switch");
    tree_must(store_open(&store, dir.text, STORE_CREATE, NULL) == 0, "store");
    struct held row = {.deployment = 4,
                       .name = "app",
                       .phase = (uint8_t)phase,
                       .attempts = 2,
                       .running = {.generation = 3, .bundle = bundle},
                       .wanted = {.generation = 3, .bundle = bundle}};
    struct agent_out out = {.stores = {{.type = AGENT_STORE_HELD, .held = &row}}, .store_count = 1};
    tree_must(store_apply(&store, &out, NULL, NULL) == 0, "row");
}

static void tear_down(void)
{
    store_close(&store);
    content_free(&content);
    chunks_close(&chunks);
    tree_free(&source);
    tree_free(&dir);
}

static void lose_tree(void)
{
    char path[FILE_PATH_MAX];
    tree_must(tree_path(dir.text, &bundle, path, NULL) == 0, "path");
    tree_must(file_remove(path, NULL) == 0, "remove");
}

/* Mends, and gives the row as it is after a restart. */
static struct held mended(void)
{
    mend_deployments(dir.text, &store);
    store_close(&store);
    tree_must(store_open(&store, dir.text, STORE_WRITE, NULL) == 0, "open again");
    tree_must(store.held_count == 1, "one row");
    return store.held[0];
}

static bool linked(void)
{
    struct digest current;
    return tree_current(dir.text, "app", &current) && digest_equal(&current, &bundle);
}

static void test_what_is_whole_is_left_alone(void)
{
    set_up(PHASE_SETTLED);
    struct held row = mended();
    CU_ASSERT_EQUAL(row.phase, PHASE_SETTLED);
    CU_ASSERT_EQUAL(row.attempts, 2);
    CU_ASSERT_TRUE(linked());
    tear_down();
}

static void test_lost_link_comes_back(void)
{
    set_up(PHASE_SETTLED);
    tree_must(tree_switch(dir.text, "app", &(struct digest){0}, NULL) == 0, "no link");
    CU_ASSERT_FALSE(linked());
    CU_ASSERT_EQUAL(mended().phase, PHASE_SETTLED);
    CU_ASSERT_TRUE(linked());
    tear_down();
}

static void test_link_that_leads_elsewhere_is_put_right(void)
{
    /* The latter two were begun, and have not come to change it. */
    static const enum phase phases[] = {PHASE_ROLLED_BACK, PHASE_DOWNLOADING, PHASE_PREPARING};
    for (size_t i = 0; i < sizeof phases / sizeof phases[0]; i++) {
        set_up(phases[i]);
        tree_must(tree_switch(dir.text, "app", &(struct digest){.bytes = {1}}, NULL) == 0, "link");
        CU_ASSERT_FALSE(linked());
        CU_ASSERT_EQUAL(mended().phase, phases[i]);
        CU_ASSERT_TRUE(linked());
        tear_down();
    }
}

static void test_deployment_without_its_tree_begins_anew(void)
{
    set_up(PHASE_SETTLED);
    lose_tree();
    struct held row = mended();
    CU_ASSERT_EQUAL(row.phase, PHASE_DOWNLOADING);
    CU_ASSERT_EQUAL(row.attempts, 0);
    CU_ASSERT_EQUAL(row.running.generation, 3);
    CU_ASSERT_EQUAL(row.wanted.generation, 3);
    tear_down();
}

/* To begin anew would be to try the version that failed once more. */
static void test_rolled_back_deployment_without_its_tree_goes_back_anew(void)
{
    set_up(PHASE_ROLLED_BACK);
    lose_tree();
    struct held row = mended();
    CU_ASSERT_EQUAL(row.phase, PHASE_UNDOING);
    CU_ASSERT_TRUE(row.moved);
    CU_ASSERT_EQUAL(row.running.generation, 3);
    tear_down();
}

static void test_what_is_under_way_is_left_alone(void)
{
    static const enum phase phases[] = {PHASE_DOWNLOADING, PHASE_PREPARING, PHASE_APPLYING,
                                        PHASE_VERIFYING,   PHASE_UNDOING,   PHASE_FAILED,
                                        PHASE_REMOVING};
    for (size_t i = 0; i < sizeof phases / sizeof phases[0]; i++) {
        set_up(phases[i]);
        lose_tree();
        tree_must(tree_switch(dir.text, "app", &(struct digest){0}, NULL) == 0, "no link");
        struct held row = mended();
        CU_ASSERT_EQUAL(row.phase, phases[i]);
        CU_ASSERT_EQUAL(row.moved, phases[i] <= PHASE_PREPARING); /* it is taken back if it fails */
        CU_ASSERT_FALSE(linked());
        tear_down();
    }
}

/* The packaged agent runs in the place of the proven one: that was not whole. */
static void test_agent_that_is_unfit_begins_anew_with_the_packaged_one_to_go_back_to(void)
{
    char file[FILE_PATH_MAX], folder[FILE_PATH_MAX];
    struct digest proven;
    set_up(PHASE_SETTLED);
    tree_must(tree_path(dir.text, &bundle, folder, NULL) == 0, "folder");
    tree_must(file_path(file, NULL, "%s/%s", folder, arch_name()) == 0, "machine");
    tree_must(file_make_folder(file, 0755, NULL) == 0, "folder of the machine");
    tree_must(file_path(file, NULL, "%s/%s/dunlin-agent", folder, arch_name()) == 0, "file");
    tree_must(file_write(file, span_text("an agent"), 0755, NULL) == 0, "agent");
    tree_must(program_return(dir.text, &bundle, NULL) == 1, "proven");
    struct held row = mended();
    CU_ASSERT_EQUAL(row.phase, PHASE_DOWNLOADING);
    CU_ASSERT_EQUAL(row.running.generation, 0);
    CU_ASSERT_EQUAL(row.wanted.generation, 3);
    CU_ASSERT_FALSE(tree_there(dir.text, &bundle));
    CU_ASSERT_FALSE(program_proven(dir.text, &proven));
    tear_down();
}

static const struct suite_test tests[] = {
    TEST(test_agent_that_is_unfit_begins_anew_with_the_packaged_one_to_go_back_to),
    TEST(test_what_is_whole_is_left_alone),
    TEST(test_lost_link_comes_back),
    TEST(test_link_that_leads_elsewhere_is_put_right),
    TEST(test_deployment_without_its_tree_begins_anew),
    TEST(test_rolled_back_deployment_without_its_tree_goes_back_anew),
    TEST(test_what_is_under_way_is_left_alone),
};

SUITE_MAIN("agent mend", tests)
