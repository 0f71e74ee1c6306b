#include "simulator/fleet/profile.h"
#include "test/suite.h"

static int read_text(const char *text, struct profile *p, struct errmsg *em)
{
    return profile_read("links.yaml", span_text(text), p, em);
}

static void test_each_that_is_built_in_is_found_by_its_name(void)
{
    struct errmsg em;
    size_t count = 0;
    for (; profile_name(count); count++) {
        struct profile p;
        CU_ASSERT_EQUAL_FATAL(profile_find(profile_name(count), &p, &em), 0);
        CU_ASSERT_STRING_EQUAL(p.name, profile_name(count));
        CU_ASSERT_TRUE(p.delay_ms.min > 0 && p.bandwidth > 0 && p.regions > 0);
    }
    CU_ASSERT_EQUAL(count, 7);
}

static void test_a_file_says_it_all(void)
{
    struct profile p;
    struct errmsg em;
    CU_ASSERT_EQUAL(profile_find(SOURCE_DIR "/simulator/fleet/links/cellular.yaml", &p, &em), 0);
    CU_ASSERT_EQUAL(p.delay_ms.min, 40);
    CU_ASSERT_EQUAL(p.delay_ms.max, 250);
    CU_ASSERT_EQUAL(p.bandwidth, 512 << 10);
    CU_ASSERT_EQUAL(p.up_ms.min, 20 * 60000);
    CU_ASSERT_EQUAL(p.up_ms.max, 12 * 3600000);
    CU_ASSERT_EQUAL(p.outage_every_ms, 14ull * 86400000);
    CU_ASSERT_EQUAL(p.regions, 50);
    CU_ASSERT_EQUAL(p.half_per_mille, 200);
}

static void test_what_is_wrong_is_told_with_its_place(void)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"profile: x\ndelay: fast\n", "links.yaml:2:8: delay: must be a span"},
        {"profile: x\ndelay: 9ms-3ms\n", "links.yaml:2:8: delay: must be a span"},
        {"profile: x\nup: 5m\n", "links.yaml:1:1: up and down come together"},
        {"profile: x\nevery: 1h\nfor: 2h\n", "links.yaml:1:1: for: must be there with every"},
        {"profile: x\ncuts: 1001\n", "links.yaml:2:7: cuts: must be a number of a thousand"},
        {"profile: x\nphase: moon\n", "links.yaml:2:8: phase: must be agent, region or all"},
        {"profile: x\nbandwidth: 0\n", "links.yaml:2:12: bandwidth: must be bytes a second"},
        {"profile: x\ndealy: 1s\n", "did you mean \"delay\""},
        {"delay: 1s\n", "the key \"profile\" is missing"},
        {"profile: a name that is longer than it may be\n",
         "links.yaml:1:10: profile: must be a short"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct profile p;
        struct errmsg em = {.text = ""};
        CU_ASSERT_EQUAL(read_text(cases[i].text, &p, &em), ERR_USAGE);
        CU_ASSERT_PTR_NOT_NULL(strstr(em.text, cases[i].why));
    }
}

static void test_an_unknown_name_is_told_where_to_look(void)
{
    struct profile p;
    struct errmsg em;
    CU_ASSERT_EQUAL(profile_find("carrier-pigeon", &p, &em), ERR_USAGE);
    CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "carrier-pigeon"));
    CU_ASSERT_TRUE(profile_find("./no/such.yaml", &p, &em) < 0);
}

static void test_a_draw_stays_within_its_range(void)
{
    const struct range r = {3, 5};
    struct rng rng = {.state = 1};
    unsigned seen = 0;
    for (int i = 0; i < 100; i++) {
        uint64_t drawn = range_draw(&r, &rng);
        CU_ASSERT_TRUE_FATAL(drawn >= 3 && drawn <= 5);
        seen |= 1u << drawn;
    }
    CU_ASSERT_EQUAL(seen, 1 << 3 | 1 << 4 | 1 << 5);
}

static const struct suite_test tests[] = {
    TEST(test_each_that_is_built_in_is_found_by_its_name),
    TEST(test_a_file_says_it_all),
    TEST(test_what_is_wrong_is_told_with_its_place),
    TEST(test_an_unknown_name_is_told_where_to_look),
    TEST(test_a_draw_stays_within_its_range),
};

SUITE_MAIN("profile", tests)
