#include "manager/cli/deployment_file.h"

#include "test/suite.h"

#include <stdio.h>

#define HEAD "deployment: app\nbundle: app@2\n"

static struct deployment_file d;
static struct errmsg em;

static int reads(const char *text)
{
    em.text[0] = '\0';
    return deployment_file_read(&d, "app.yaml", span_text(text), &em);
}

/* The sentence must begin like this. */
static void refused(const char *text, const char *sentence)
{
    CU_ASSERT_EQUAL(reads(text), ERR_USAGE);
    bool same = strncmp(em.text, sentence, strlen(sentence)) == 0;
    CU_ASSERT_TRUE(same);
    if (!same)
        fprintf(stderr, "expected: %s\n     got: %s\n", sentence, em.text);
}

static void test_two_keys_are_enough(void)
{
    CU_ASSERT_EQUAL(reads(HEAD), 0);
    CU_ASSERT_STRING_EQUAL(d.deployment, "app");
    CU_ASSERT_STRING_EQUAL(d.bundle.name, "app");
    CU_ASSERT_STRING_EQUAL(d.bundle.version, "2");
    CU_ASSERT_FALSE(d.placed || d.all || d.paused || d.keep);
    CU_ASSERT_EQUAL(d.priority, 0);
    CU_ASSERT_STRING_EQUAL(d.select, "");
}

static void test_every_key_is_read(void)
{
    CU_ASSERT_EQUAL(reads("# the whole of it\n"
                          "bundle: \"app@2.1-rc_3\"\n"
                          "deployment: 'app-lab'\n"
                          "placement:\n"
                          "  select: \"env in (staging, prod),!lab\"\n"
                          "  pick: all\n"
                          "priority: 10\n"
                          "paused: true\n"
                          "keep: true\n"),
                    0);
    CU_ASSERT_STRING_EQUAL(d.deployment, "app-lab");
    CU_ASSERT_STRING_EQUAL(d.bundle.version, "2.1-rc_3");
    CU_ASSERT_STRING_EQUAL(d.select, "env in (staging, prod),!lab");
    CU_ASSERT_TRUE(d.placed && d.paused && d.keep);
    CU_ASSERT_FALSE(d.all);
    CU_ASSERT_EQUAL(d.priority, 10);
}

static void test_all_agents_are_asked_for_by_name(void)
{
    CU_ASSERT_EQUAL(reads(HEAD "placement: {all: true}\n"), 0);
    CU_ASSERT_TRUE(d.placed && d.all);
    CU_ASSERT_EQUAL(reads(HEAD "placement: {all: false, select: lab}\n"), 0);
    CU_ASSERT_FALSE(d.all);
    CU_ASSERT_STRING_EQUAL(d.select, "lab");
}

static void test_anchors_are_followed(void)
{
    CU_ASSERT_EQUAL(reads("deployment: &n app\nbundle: app@2\nplacement: {select: *n}\n"), 0);
    CU_ASSERT_STRING_EQUAL(d.select, "app");
    refused("&a\ndeployment: *a\nbundle: app@2\n", "app.yaml:1:1: deployment: must be a single");
}

static void test_what_is_no_deployment_is_refused(void)
{
    refused("", "app.yaml:1:1: empty; a deployment needs");
    refused("# nothing\n", "app.yaml:1:1: empty");
    refused("- app\n- app@2\n", "app.yaml:1:1: a deployment is a mapping");
    refused("app@2", "app.yaml:1:1: a deployment is a mapping");
    refused("deployment: app\n", "app.yaml:1:1: the key \"bundle\" is missing");
    refused("\nbundle: app@2\n", "app.yaml:2:1: the key \"deployment\" is missing");
    refused(HEAD "---\n" HEAD, "app.yaml:4:1: a second document");
}

static void test_unknown_keys_are_refused_with_what_was_meant(void)
{
    refused(HEAD "placment: {all: true}\n",
            "app.yaml:3:1: unknown key \"placment\"; did you mean \"placement\"?");
    refused(HEAD "colour: red\n", "app.yaml:3:1: unknown key \"colour\"");
    refused(HEAD "placement: {selekt: lab}\n",
            "app.yaml:3:13: unknown key \"selekt\"; did you mean \"select\"?");
    refused(HEAD "placement:\n  all: true\n  zone: a\n", "app.yaml:5:3: unknown key \"zone\"");
    refused(HEAD "[a]: b\n", "app.yaml:3:1: a key must be a word");
    refused(HEAD "bundle: app@3\n", "app.yaml:3:1: bundle: is there twice");
}

static void test_wrong_types_are_refused(void)
{
    refused("deployment: [app]\nbundle: app@2\n",
            "app.yaml:1:13: deployment: must be a single value, not a list");
    refused("deployment:\nbundle: app@2\n", "app.yaml:1:12: deployment: has no value");
    refused("deployment: app\nbundle: {name: app}\n",
            "app.yaml:2:9: bundle: must be a single value, not a mapping");
    refused(HEAD "placement: everywhere\n", "app.yaml:3:12: a placement is a mapping");
    refused(HEAD "priority: high\n", "app.yaml:3:11: priority: \"high\" is not a whole number");
    refused(HEAD "priority: -1\n", "app.yaml:3:11: priority: \"-1\" is not a whole number");
    refused(HEAD "priority: 1000001\n", "app.yaml:3:11: priority: is from 0 to 1000000");
    refused(HEAD "priority: 99999999999999999999999\n", "app.yaml:3:11: priority: is from 0");
    refused(HEAD "paused: yes\n", "app.yaml:3:9: paused: must be true or false, not yes");
    refused(HEAD "paused: \"true\"\n", "app.yaml:3:9: paused: must be true or false, not \"true\"");
    refused(HEAD "keep: [true]\n", "app.yaml:3:7: keep: must be a single value, not a list");
    refused(HEAD "keep: \"a\\0b\"\n", "app.yaml:3:7: keep: has a zero byte");
}

static void test_bad_names_are_refused(void)
{
    refused("deployment: my app\nbundle: app@2\n", "app.yaml:1:13: deployment \"my app\": a name");
    refused("deployment: ../app\nbundle: app@2\n", "app.yaml:1:13: deployment \"../app\"");
    refused("deployment: app\nbundle: app\n", "app.yaml:2:9: bundle: app: not a bundle; write");
    refused("deployment: app\nbundle: \"app@\"\n", "app.yaml:2:9: bundle: app@: not a bundle");
    refused("deployment: app\nbundle: app@-1\n", "app.yaml:2:9: bundle: version \"-1\": a name");
}

static void test_a_name_is_at_most_63_characters_long(void)
{
    char name[NAME_MAX_LEN + 2], text[256];
    memset(name, 'n', sizeof name - 1);
    name[NAME_MAX_LEN + 1] = '\0';
    snprintf(text, sizeof text, "deployment: %s\nbundle: app@2\n", name);
    refused(text, "app.yaml:1:13: deployment \"nnn");
    snprintf(text, sizeof text, "deployment: app\nbundle: app@%s\n", name);
    refused(text, "app.yaml:2:9: bundle: version \"nnn");
    snprintf(text, sizeof text, "deployment: %s\nbundle: %s@%s\n", name + 1, name + 1, name + 1);
    CU_ASSERT_EQUAL(reads(text), 0);
    CU_ASSERT_STRING_EQUAL(d.deployment, name + 1);
    CU_ASSERT_STRING_EQUAL(d.bundle.version, name + 1);
}

static void test_placements_must_say_agents(void)
{
    refused(HEAD "placement: {}\n", "app.yaml:3:1: placement: says no agents");
    refused(HEAD "placement: {pick: all}\n", "app.yaml:3:1: placement: says no agents");
    refused(HEAD "placement: {all: false}\n", "app.yaml:3:1: placement: says no agents");
    refused(HEAD "placement: {all: true, select: lab}\n",
            "app.yaml:3:1: placement: \"select\" and \"all: true\" exclude each other");
    refused(HEAD "placement: {select: \"\"}\n", "app.yaml:3:21: select: is empty; for every agent");
    refused(HEAD "placement: {select: \"env in prod\"}\n",
            "app.yaml:3:21: selector: at character 8: expected");
}

static void test_what_is_not_built_yet_is_refused_and_not_ignored(void)
{
    refused(HEAD "rollout: {max_failed: 10%}\n", "app.yaml:3:1: rollout: is not supported yet");
    refused(HEAD "placement:\n  select: [env=prod, lab]\n",
            "app.yaml:4:11: select: a list of selectors is not supported yet");
    refused(HEAD "placement: {all: true, pick: 3}\n",
            "app.yaml:3:30: pick: anything but \"all\" is not supported yet");
    refused(HEAD "placement: {all: true, pick: 10%}\n", "app.yaml:3:30: pick: anything but");
    refused(HEAD "placement: {all: true, pick: {by: zone, each: 1}}\n",
            "app.yaml:3:30: pick: anything but");
}

static void test_broken_yaml_is_refused_where_it_breaks(void)
{
    refused("deployment: app\nbundle: {\n", "app.yaml:3:1: not YAML: ");
    refused("deployment: app\n\tbundle: app@2\n", "app.yaml:2:1: not YAML: ");
    refused("deployment: \"app\nbundle: app@2\n", "app.yaml:3:1: not YAML: ");
    refused(HEAD "placement: {select: *nobody}\n", "app.yaml:3:21: not YAML: ");
    refused("deployment: app\nbundle: \xff\xfe\n", "app.yaml:");
}

static void test_every_truncated_file_is_read_or_refused(void)
{
    static const char text[] = HEAD "placement: {select: \"env in (a,b)\", pick: all}\n"
                                    "priority: 3\npaused: true\nkeep: false\n";
    for (size_t len = 0; len < sizeof text; len++) {
        int rv = deployment_file_read(&d, "f", span_of(text, len), &em);
        CU_ASSERT_TRUE(rv == 0 || rv == ERR_USAGE);
    }
}

static void test_every_changed_byte_is_read_or_refused(void)
{
    char text[] = HEAD "placement: {select: \"env in (a,b)\", pick: all}\npriority: 3\n";
    for (size_t i = 0; i < sizeof text - 1; i++)
        for (int bit = 0; bit < 8; bit++) {
            text[i] = (char)(text[i] ^ (1 << bit));
            int rv = deployment_file_read(&d, "f", span_of(text, sizeof text - 1), &em);
            CU_ASSERT_TRUE(rv == 0 || rv == ERR_USAGE);
            text[i] = (char)(text[i] ^ (1 << bit));
        }
}

static const struct suite_test tests[] = {
    TEST(test_two_keys_are_enough),
    TEST(test_every_key_is_read),
    TEST(test_all_agents_are_asked_for_by_name),
    TEST(test_anchors_are_followed),
    TEST(test_what_is_no_deployment_is_refused),
    TEST(test_unknown_keys_are_refused_with_what_was_meant),
    TEST(test_wrong_types_are_refused),
    TEST(test_bad_names_are_refused),
    TEST(test_a_name_is_at_most_63_characters_long),
    TEST(test_placements_must_say_agents),
    TEST(test_what_is_not_built_yet_is_refused_and_not_ignored),
    TEST(test_broken_yaml_is_refused_where_it_breaks),
    TEST(test_every_truncated_file_is_read_or_refused),
    TEST(test_every_changed_byte_is_read_or_refused),
};

SUITE_MAIN("deployment_file", tests)
