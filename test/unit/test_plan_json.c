#include "manager/common/plan_json.h"

#include "test/suite.h"

#include <stdlib.h>

static struct plan p;
static struct errmsg em;

static int reads(const char *text)
{
    json_t *json = json_loads(text, JSON_DECODE_ANY, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(json);
    em.text[0] = '\0';
    int rv = plan_from_json(json, &p, &em);
    json_decref(json);
    return rv;
}

static void refused(const char *text, const char *sentence)
{
    CU_ASSERT_EQUAL(reads(text), ERR_USAGE);
    CU_ASSERT_STRING_EQUAL(em.text, sentence);
}

static const char FULL[] =
    "{\"start\":\"2026-12-01T01:00:00Z\",\"max_failed\":\"10%\",\"on_failure\":\"rollback\",\"new_"
    "version\":\"queue\","
    "\"quorum\":\"90%\",\"reachable_within\":\"10m\",\"wait_for_first\":\"6h\",\"stages\":["
    "{\"name\":\"staging\",\"select\":\"env=staging\",\"share\":\"5%\",\"concurrency\":\"50%\","
    "\"before\":{\"approval\":true,\"wait\":\"10m\"},\"after\":{\"approval\":true,\"wait\":\"30m\"}"
    "},"
    "{\"name\":\"rest\",\"concurrency\":\"2\",\"max_failed\":\"0%\",\"rate\":\"5/1h30m\"}]}";

static void test_a_plan_is_shown_as_it_was_said(void)
{
    CU_ASSERT_EQUAL(reads(FULL), 0);
    json_t *json = plan_to_json(&p);
    char *text = json_dumps(json, JSON_COMPACT);
    CU_ASSERT_STRING_EQUAL(text, FULL);
    free(text);
    json_decref(json);
}

static void test_numbers_may_be_numbers(void)
{
    CU_ASSERT_EQUAL(reads("{\"max_failed\": 3, \"stages\": [{\"name\": \"a\", \"share\": 7}, "
                          "{\"name\": \"b\", \"concurrency\": 2}]}"),
                    0);
    CU_ASSERT_TRUE(p.max_failed.value == 3 && !p.max_failed.percent);
    CU_ASSERT_TRUE(p.stages[0].share.value == 7 && p.stages[1].concurrency.value == 2);
}

static void test_what_leaves_agents_out_gets_a_last_stage(void)
{
    CU_ASSERT_EQUAL(reads("{\"stages\": [{\"name\": \"a\", \"select\": \"x\"}]}"), 0);
    CU_ASSERT_EQUAL(p.count, 2);
    CU_ASSERT_STRING_EQUAL(p.stages[1].name, "rest");
    CU_ASSERT_EQUAL(reads("{\"stages\": []}"), 0);
    CU_ASSERT_EQUAL(p.count, 0);
}

static void test_wrong_plans_are_refused_with_the_stage(void)
{
    refused("[]", "rollout: a rollout must be an object: {…}");
    refused("{}", "rollout: the field 'stages' is missing in a rollout");
    refused("{\"stages\": {}}", "rollout: stages: must be a list");
    refused("{\"stages\": [], \"speed\": 1}", "rollout: there is no field 'speed' in a rollout");
    refused("{\"stages\": [{}]}", "rollout: stage 1: the field 'name' is missing in a stage");
    refused("{\"stages\": [{\"name\": \"a\", \"share\": 1}, {\"name\": true}]}",
            "rollout: stage 2: name: must be a text or a whole number");
    refused("{\"stages\": [{\"name\": \"a\", \"share\": 1.5}]}",
            "rollout: stage 1: share: must be a text or a whole number");
    refused("{\"stages\": [{\"name\": \"a\", \"share\": null}]}",
            "rollout: stage 1: share: must be a text or a whole number");
    refused("{\"stages\": [{\"name\": \"a\", \"share\": -1}]}",
            "rollout: stage 1: share: \"-1\" is neither a number of agents, like 3, nor a share of "
            "them, like 10%");
    refused("{\"stages\": [{\"name\": \"a\", \"before\": {\"approval\": \"true\"}}]}",
            "rollout: stage 1: before: approval: must be true or false");
    refused("{\"stages\": [{\"name\": \"a\", \"before\": true}]}",
            "rollout: stage 1: before: what comes before or after a stage must be an object: {…}");
    refused("{\"stages\": [{\"name\": \"a\", \"after\": {\"wait\": 30}}]}",
            "rollout: stage 1: after: wait: \"30\" is no time; write it with a unit, like 30s, "
            "10m, 2h or 1d");
    refused("{\"stages\": [{\"name\": \"a\"}, {\"name\": \"b\"}]}",
            "rollout: stage a takes every agent: none is left for b");
}

static void test_at_most_16_stages_are_taken(void)
{
    json_t *stages = json_array();
    for (int i = 0; i <= STAGES_MAX; i++)
        json_array_append_new(stages,
                              json_pack("{s:o, s:i}", "name", json_sprintf("s%d", i), "share", 1));
    json_t *json = json_pack("{s:o}", "stages", stages);
    CU_ASSERT_EQUAL(plan_from_json(json, &p, &em), ERR_USAGE);
    CU_ASSERT_STRING_EQUAL(em.text, "rollout: stages: more than 16");
    json_decref(json);
}

static void test_lines_say_all_of_a_plan(void)
{
    static const char wanted[] =
        "{\"max_failed\":\"10%\",\"new_version\":\"queue\",\"on_failure\":\"rollback\","
        "\"quorum\":\"90%\",\"reachable_within\":\"10m\","
        "\"stage rest: concurrency\":\"2\",\"stage rest: max_failed\":\"0%\","
        "\"stage rest: rate\":\"5/1h30m\","
        "\"stage staging: after: approval\":\"true\","
        "\"stage staging: after: wait\":\"30m\",\"stage staging: before: approval\":\"true\","
        "\"stage staging: before: wait\":\"10m\",\"stage staging: concurrency\":\"50%\","
        "\"stage staging: select\":\"env=staging\",\"stage staging: share\":\"5%\","
        "\"stages\":\"staging, "
        "rest\",\"start\":\"2026-12-01T01:00:00Z\",\"wait_for_first\":\"6h\"}";
    CU_ASSERT_EQUAL(reads(FULL), 0);
    json_t *lines = plan_to_lines(&p);
    char *text = json_dumps(lines, JSON_COMPACT | JSON_SORT_KEYS);
    CU_ASSERT_STRING_EQUAL(text, wanted);
    free(text);
    json_decref(lines);
}

static int reads_pace(const char *text, struct pace *pace)
{
    json_t *json = json_loads(text, 0, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(json);
    int rv = pace_from_json(json, pace, &em);
    json_decref(json);
    return rv;
}

static void test_what_is_set_on_the_way_is_read_and_shown(void)
{
    struct pace pace;
    CU_ASSERT_EQUAL(reads(FULL), 0);
    CU_ASSERT_EQUAL(reads_pace("{\"start\": \"now\", \"rate\": null}", &pace), 0);
    CU_ASSERT_EQUAL(plan_set_pace(&p, STAGES_MAX, &pace, &em), 0);
    CU_ASSERT_EQUAL(
        reads_pace("{\"stage\": \"rest\", \"concurrency\": \"20%\", \"rate\": \"none\", "
                   "\"max_failed\": 3}",
                   &pace),
        0);
    CU_ASSERT_EQUAL(plan_set_pace(&p, 1, &pace, &em), 0);
    json_t *json = paces_to_json(&p);
    char *text = json_dumps(json, JSON_COMPACT);
    CU_ASSERT_STRING_EQUAL(text, "[{\"stage\":null,\"start\":\"now\"},{\"stage\":\"rest\",\"rate\":"
                                 "\"none\",\"max_failed\":\"3\",\"concurrency\":\"20%\"}]");
    free(text);
    json_decref(json);
}

static void test_what_is_set_wrongly_is_refused(void)
{
    struct pace pace;
    CU_ASSERT_EQUAL(reads_pace("{\"rate\": true}", &pace), ERR_USAGE);
    CU_ASSERT_STRING_EQUAL(em.text, "rate: must be a text or a whole number");
    CU_ASSERT_EQUAL(reads_pace("{\"concurrency\": \"none\"}", &pace), ERR_USAGE);
    CU_ASSERT_STRING_EQUAL(em.text, "concurrency: \"none\" is neither a number of agents, like 3, "
                                    "nor a share of them, like 10%");
    CU_ASSERT_EQUAL(reads_pace("{}", &pace), 0);
    CU_ASSERT_EQUAL(pace.says, 0);
}

static const struct suite_test tests[] = {
    TEST(test_a_plan_is_shown_as_it_was_said),
    TEST(test_numbers_may_be_numbers),
    TEST(test_what_leaves_agents_out_gets_a_last_stage),
    TEST(test_wrong_plans_are_refused_with_the_stage),
    TEST(test_at_most_16_stages_are_taken),
    TEST(test_lines_say_all_of_a_plan),
    TEST(test_what_is_set_on_the_way_is_read_and_shown),
    TEST(test_what_is_set_wrongly_is_refused),
};

SUITE_MAIN("plan_json", tests)
