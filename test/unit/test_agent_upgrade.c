#include "agent/arch.h"
#include "agent/upgrade.h"
#include "test/suite.h"
#include "test/tree.h"

static struct tree_path dir;
static struct upgrade u;
static const struct digest v1 = {{1}}, v2 = {{2}}, none = {{0}};
static const struct manifest manifest = {.hook_timeout_s = 5, .health_deadline_s = 7};

static void make_agent(const struct digest *tree)
{
    char path[FILE_PATH_MAX];
    tree_must(file_path(path, NULL, "%s/bundles/%s/%s", dir.text, digest_hex(tree).text,
                        arch_name()) == 0,
              "path");
    tree_must(file_make_folder(path, 0755, NULL) == 0, path);
    strcat(path, "/dunlin-agent");
    tree_must(file_write(path, span_text("an agent"), 0755, NULL) == 0, path);
}

static void set_up(void)
{
    dir = tree_new();
    u = (struct upgrade){.dir = dir.text};
    make_agent(&v1);
    make_agent(&v2);
}

static void tear_down(void)
{
    tree_free(&dir);
}

static bool proven(const struct digest *tree)
{
    struct digest d;
    return program_proven(dir.text, &d) && digest_equal(&d, tree);
}

static void test_new_agent_gets_a_trial_and_this_one_ends(void)
{
    char text[200] = {0};
    struct buffer b = buffer_on((uint8_t *)text, sizeof text - 1);
    set_up();
    CU_ASSERT_EQUAL(upgrade_begin(&u, &v1, &manifest, NULL), 1);
    CU_ASSERT_TRUE(u.over);
    struct tree_path record = tree_join(&dir, "agent/try-3");
    CU_ASSERT_EQUAL(file_read(record.text, &b, NULL), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, " 19\n")); /* a hook, and its health deadline twice */
    CU_ASSERT_TRUE(strncmp(text, digest_hex(&v1).text, 64) == 0);
    tear_down();
}

static void test_agent_that_had_its_trial_gets_none_again(void)
{
    struct errmsg em = {0};
    set_up();
    CU_ASSERT_EQUAL(upgrade_begin(&u, &v1, &manifest, NULL), 1);
    struct tree_path first = tree_join(&dir, "agent/try-3"), last = tree_join(&dir, "agent/try-0");
    tree_must(rename(first.text, last.text) == 0, "spend it");
    u.over = false;
    CU_ASSERT_EQUAL(upgrade_begin(&u, &v1, &manifest, NULL), 0);
    CU_ASSERT_FALSE(u.over);
    CU_ASSERT_EQUAL(upgrade_hook(&u, HOOK_APPLY, &v1, "", &em), ERR_REFUSED);
    CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "started 3 times"));
    CU_ASSERT_EQUAL(upgrade_undo(&u, &none, NULL), 0);
    CU_ASSERT_FALSE(u.over); /* the packaged one is what runs */
    CU_ASSERT_FALSE(program_spent(dir.text, &v1));
    CU_ASSERT_EQUAL(upgrade_begin(&u, &v1, &manifest, NULL), 1); /* when it is asked for anew */
    tear_down();
}

static void test_going_back_to_another_program_ends_this_one(void)
{
    set_up();
    CU_ASSERT_EQUAL(upgrade_undo(&u, &v1, NULL), 1);
    CU_ASSERT_TRUE(u.over && proven(&v1));
    /* Started again, and still the packaged one: the other can't be run, and that isn't tried again
     * and again. */
    u.over = false;
    CU_ASSERT_EQUAL(upgrade_undo(&u, &v1, NULL), 0);
    CU_ASSERT_FALSE(u.over);
    tear_down();
}

static void test_agent_of_another_deployment_is_left_alone(void)
{
    char program[FILE_PATH_MAX];
    struct errmsg em = {0};
    set_up();
    CU_ASSERT_EQUAL(upgrade_prepare(&u, &v2, &none, program, NULL), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(program, "/dunlin-agent"));
    upgrade_undo(&u, &v1, NULL);
    CU_ASSERT_EQUAL(upgrade_prepare(&u, &v2, &v1, program, NULL), 0);
    CU_ASSERT_EQUAL(upgrade_prepare(&u, &v1, &none, program, NULL), 0);
    CU_ASSERT_EQUAL(upgrade_prepare(&u, &v2, &none, program, &em), ERR_REFUSED);
    CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "another deployment"));
    tear_down();
}

static void test_only_what_runs_is_proven(void)
{
    struct errmsg em = {0};
    set_up();
    upgrade_begin(&u, &v1, &manifest, NULL);
    u.acknowledged = u.answered = true;
    CU_ASSERT_EQUAL(upgrade_hook(&u, HOOK_HEALTH, &v1, "", &em), ERR_REFUSED);
    CU_ASSERT_FALSE(proven(&v1));
    CU_ASSERT_EQUAL(upgrade_hook(&u, HOOK_REMOVE, &v1, "", &em), 0);
    tear_down();
}

static void test_what_the_manager_signed_is_an_answer(void)
{
    static const struct {
        enum agent_event_type type;
        bool answers;
    } cases[] = {
        {AGENT_LINK_UP, false}, {AGENT_HEAD, false},    {AGENT_REFUSED, false},
        {AGENT_TRUST, false},   {AGENT_DOCUMENT, true}, {AGENT_ASSIGNMENT, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        set_up();
        CU_ASSERT_FALSE(upgrade_hears(&u, &(struct agent_event){.type = cases[i].type}));
        CU_ASSERT_EQUAL(u.answered, cases[i].answers);
        tear_down();
    }
}

static const struct suite_test tests[] = {
    TEST(test_new_agent_gets_a_trial_and_this_one_ends),
    TEST(test_agent_that_had_its_trial_gets_none_again),
    TEST(test_going_back_to_another_program_ends_this_one),
    TEST(test_agent_of_another_deployment_is_left_alone),
    TEST(test_only_what_runs_is_proven),
    TEST(test_what_the_manager_signed_is_an_answer),
};

SUITE_MAIN("agent upgrade", tests)
