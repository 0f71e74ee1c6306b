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

static void test_variables_are_names_with_texts(void)
{
    CU_ASSERT_EQUAL(reads(HEAD), 0);
    CU_ASSERT_FALSE(d.valued);
    CU_ASSERT_EQUAL(reads(HEAD "variables:\n  port: 8080\n  motto: \"one\\ntwo\"\n"), 0);
    CU_ASSERT_TRUE(d.valued);
    CU_ASSERT_EQUAL_FATAL(d.variable_count, 2);
    CU_ASSERT_STRING_EQUAL(d.variables[0].name, "port");
    CU_ASSERT_STRING_EQUAL(d.variables[0].value, "8080");
    CU_ASSERT_STRING_EQUAL(d.variables[1].value, "one\ntwo");
    CU_ASSERT_EQUAL(reads(HEAD "variables: {}\n"), 0);
    CU_ASSERT_TRUE(d.valued && d.variable_count == 0);
    refused(HEAD "variables: port\n", "app.yaml:3:12: variables: is a mapping");
    refused(HEAD "variables: {Port: 1}\n", "app.yaml:3:13: variables: a name has");
    refused(HEAD "variables: {a: 1, a: 2}\n", "app.yaml:3:19: a: is there twice");
    refused(HEAD "variables: {a: [1]}\n", "app.yaml:3:16: a: must be a single value");
}

static void test_what_comes_before_is_a_name_or_a_list(void)
{
    CU_ASSERT_EQUAL(reads(HEAD), 0);
    CU_ASSERT_FALSE(d.ordered);
    CU_ASSERT_EQUAL(reads(HEAD "depends_on: base\n"), 0);
    CU_ASSERT_TRUE(d.ordered && d.after_count == 1);
    CU_ASSERT_STRING_EQUAL(d.after[0], "base");
    CU_ASSERT_EQUAL(reads(HEAD "depends_on: [base, driver-2]\n"), 0);
    CU_ASSERT_EQUAL_FATAL(d.after_count, 2);
    CU_ASSERT_STRING_EQUAL(d.after[1], "driver-2");
    CU_ASSERT_EQUAL(reads(HEAD "depends_on: []\n"), 0);
    CU_ASSERT_TRUE(d.ordered && d.after_count == 0);
    refused(HEAD "depends_on: [base, '-x']\n", "app.yaml:3:20: depends_on: ");
    refused(HEAD "depends_on: {base: true}\n", "app.yaml:3:13: ");
    refused(HEAD "depends_on: [a, b, c, d, e, f, g, h, i]\n",
            "app.yaml:3:38: depends_on: more than 8");
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

static void test_agents_may_be_named_besides(void)
{
    CU_ASSERT_EQUAL(reads(HEAD "placement: {agents: [7, abc], select: a, exclude: b}\n"), 0);
    CU_ASSERT_STRING_EQUAL(d.agents, "7,abc");
    CU_ASSERT_STRING_EQUAL(d.select, "a except b");
    CU_ASSERT_EQUAL(reads(HEAD "placement: {agents: [7], facts: cpus>=4}\n"), 0);
    CU_ASSERT_EQUAL(reads(HEAD "placement: {agents: [7], exclude: b}\n"), 0);
    CU_ASSERT_STRING_EQUAL(d.select, "except b");
    refused(HEAD "placement: {agents: [7], all: true}\n",
            "app.yaml:3:1: placement: \"agents\" and \"all: true\" exclude each other");
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

static void test_several_selectors_and_exclusions_make_one(void)
{
    CU_ASSERT_EQUAL(reads(HEAD "placement:\n"
                               "  select: [env=prod, \"env=lab,zone in (a,b)\"]\n"
                               "  exclude: [broken, \"site=x,!fixed\"]\n"),
                    0);
    CU_ASSERT_STRING_EQUAL(d.select,
                           "env=prod | env=lab,zone in (a,b) except broken | site=x,!fixed");
    CU_ASSERT_EQUAL(reads(HEAD "placement: {exclude: lab}\n"), 0);
    CU_ASSERT_STRING_EQUAL(d.select, "except lab");
    CU_ASSERT_EQUAL(reads(HEAD "placement: {select: a | b except c}\n"), 0);
    CU_ASSERT_STRING_EQUAL(d.select, "a | b except c");
    refused(HEAD "placement: {select: []}\n", "app.yaml:3:21: select: is an empty list");
    refused(HEAD "placement: {select: [a, {b: c}]}\n",
            "app.yaml:3:25: select: must be a single value, not a mapping");
    refused(HEAD "placement: {select: [a, b except c]}\n",
            "app.yaml:3:25: select: write what is left out under \"exclude\"");
    refused(HEAD "placement: {select: a, exclude: b except c}\n",
            "app.yaml:3:33: exclude: write what is left out under \"exclude\"");
    refused(HEAD "placement: {all: true, exclude: b}\n",
            "app.yaml:3:1: placement: \"exclude\" and \"all: true\" exclude each other");
    refused(HEAD "placement: {select: a except b, exclude: c}\n",
            "app.yaml:3:1: placement: selector: at character 12: expected");
}

static void test_pick_is_a_few_words_or_a_mapping(void)
{
    static const struct {
        const char *written, *read;
    } good[] = {
        {"all", "all"},
        {"3", "3"},
        {"10%", "10%"},
        {"3 of each zone", "3 of each zone"},
        {"{by: zone, each: 1}", "1 of each zone"},
        {"{by: zone, each: 10%}", "10% of each zone"},
        {"{by: zone, count: 30}", "30 over zone skew 1"},
        {"{count: 30, by: zone, max_skew: 2}", "30 over zone skew 2"},
        {"{count: 30, sort: -disk_free}", "30"},
        {"{count: 30%}", "30%"},
    };
    static const struct {
        const char *written, *sentence;
    } bad[] = {
        {"none", "app.yaml:3:30: pick: \"none\" is none of: all, 3, 10%"},
        {"{by: zone}", "app.yaml:3:30: pick: say either \"each\" or \"count\""},
        {"{by: zone, each: 1, count: 2}", "app.yaml:3:30: pick: say either"},
        {"{by: zone, each: 1, max_skew: 2}", "app.yaml:3:30: pick: \"max_skew\" goes with"},
        {"{each: 1}", "app.yaml:3:30: pick: say \"by\" which label"},
        {"{count: 1, max_skew: 1}", "app.yaml:3:30: pick: say \"by\" which label"},
        {"{sort: -load}", "app.yaml:3:30: pick: say either \"each\" or \"count\""},
        {"{count: 1, sort: a b}", "app.yaml:3:30: sort: \"a b\" is no fact"},
        {"{by: zone, eacj: 1}", "app.yaml:3:41: unknown key \"eacj\"; did you mean \"each\"?"},
        {"{by: /, each: 1}", "app.yaml:3:30: pick: '/' is no label's key"},
        {"[1]", "app.yaml:3:30: pick: must be a single value, not a list"},
    };
    char text[200];
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        snprintf(text, sizeof text, HEAD "placement: {all: true, pick: %s}\n", good[i].written);
        CU_ASSERT_EQUAL(reads(text), 0);
        CU_ASSERT_STRING_EQUAL(d.pick, good[i].read);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        snprintf(text, sizeof text, HEAD "placement: {all: true, pick: %s}\n", bad[i].written);
        refused(text, bad[i].sentence);
    }
}

static void test_placement_without_a_pick_is_for_all(void)
{
    CU_ASSERT_EQUAL(reads(HEAD "placement: {select: env=prod}\n"), 0);
    CU_ASSERT_STRING_EQUAL(d.pick, "all");
    CU_ASSERT_EQUAL(reads(HEAD), 0);
    CU_ASSERT_STRING_EQUAL(d.pick, ""); /* as it is, with the rest of the placement */
}

static void test_pick_may_be_sorted_by_a_fact(void)
{
    CU_ASSERT_EQUAL(reads(HEAD "placement: {all: true, pick: 3, sort: \"-disk_free\"}\n"), 0);
    CU_ASSERT_STRING_EQUAL(d.sort, "-disk_free");
    CU_ASSERT_EQUAL(reads(HEAD "placement: {all: true, pick: {count: 10%, sort: load}}\n"), 0);
    CU_ASSERT_STRING_EQUAL(d.sort, "load");
    CU_ASSERT_STRING_EQUAL(d.pick, "10%");
    refused(HEAD "placement: {all: true, pick: {count: 1, sort: a}, sort: b}\n",
            "app.yaml:3:57: sort: is there twice");
    refused(HEAD "placement: {all: true, pick: 1, sort: [a]}\n", "app.yaml:3:39: sort: must be");
}

/* ---- the rollout ---- */

static void test_without_the_key_a_plan_stays_as_it_is(void)
{
    CU_ASSERT_EQUAL(reads(HEAD), 0);
    CU_ASSERT_FALSE(d.planned);
    CU_ASSERT_EQUAL(reads(HEAD "rollout: {stages: []}\n"), 0);
    CU_ASSERT_TRUE(d.planned);
    CU_ASSERT_EQUAL(d.plan.count, 0);
}

/* DESIGN's own example, with the stage that it leaves to be added. */
static void test_stages_of_the_design_are_read(void)
{
    CU_ASSERT_EQUAL(reads(HEAD "rollout:\n"
                               "  max_failed: 10%\n"
                               "  stages:\n"
                               "    - {name: staging, select: env=staging, concurrency: 50%}\n"
                               "    - {name: prod, select: env=prod, concurrency: 2, "
                               "before: {approval: true}, after: {wait: 30m}}\n"),
                    0);
    const struct plan_stage *s = d.plan.stages;
    CU_ASSERT_EQUAL_FATAL(d.plan.count, 3);
    CU_ASSERT_TRUE(d.plan.max_failed.percent && d.plan.max_failed.value == 10);
    CU_ASSERT_STRING_EQUAL(s[0].name, "staging");
    CU_ASSERT_STRING_EQUAL(s[0].selector, "env=staging");
    CU_ASSERT_TRUE(s[0].concurrency.percent && s[0].concurrency.value == 50);
    CU_ASSERT_FALSE(s[0].before.approval || s[0].after.approval);
    CU_ASSERT_TRUE(!s[1].concurrency.percent && s[1].concurrency.value == 2);
    CU_ASSERT_TRUE(s[1].before.approval && s[1].before.wait_s == 0);
    CU_ASSERT_TRUE(!s[1].after.approval && s[1].after.wait_s == 1800);
    CU_ASSERT_STRING_EQUAL(s[2].name, "rest");
}

static void test_every_key_of_a_rollout_is_read(void)
{
    CU_ASSERT_EQUAL(reads(HEAD "rollout:\n"
                               "  max_failed: 3\n"
                               "  on_failure: rollback\n"
                               "  new_version: queue\n"
                               "  quorum: 90%\n"
                               "  reachable_within: 1h30m\n"
                               "  wait_for_first: 2d\n"
                               "  stages:\n"
                               "    - name: few\n"
                               "      share: 5%\n"
                               "      before: {approval: false, wait: 10s}\n"
                               "      after: {approval: true, wait: 1d}\n"
                               "    - name: all\n"),
                    0);
    CU_ASSERT_TRUE(!d.plan.max_failed.percent && d.plan.max_failed.value == 3);
    CU_ASSERT_EQUAL(d.plan.on_failure, REMEDY_ROLL_BACK);
    CU_ASSERT_EQUAL(d.plan.overlap, OVERLAP_QUEUE);
    CU_ASSERT_EQUAL(d.plan.quorum, 90);
    CU_ASSERT_EQUAL(d.plan.reachable_within_s, 5400);
    CU_ASSERT_EQUAL(d.plan.wait_for_first_s, 2 * 86400);
    CU_ASSERT_EQUAL_FATAL(d.plan.count, 2);
    CU_ASSERT_TRUE(d.plan.stages[0].share.percent && d.plan.stages[0].share.value == 5);
    CU_ASSERT_EQUAL(d.plan.stages[0].before.wait_s, 10);
    CU_ASSERT_TRUE(d.plan.stages[0].after.approval && d.plan.stages[0].after.wait_s == 86400);
    CU_ASSERT_STRING_EQUAL(d.plan.stages[1].selector, "");
    CU_ASSERT_EQUAL(reads(HEAD "rollout: {max_failed: 0, on_failure: abort, new_version: refuse, "
                               "stages: [{name: all}]}\n"),
                    0);
    CU_ASSERT_FALSE(d.plan.max_failed.percent); /* the same as if it were not there */
    CU_ASSERT_EQUAL(d.plan.on_failure, REMEDY_ABORT);
    CU_ASSERT_EQUAL(d.plan.overlap, OVERLAP_REFUSE);
}

static void test_failures_of_a_stage_are_read(void)
{
    CU_ASSERT_EQUAL(reads(HEAD "rollout:\n"
                               "  max_failed: 5%\n"
                               "  stages:\n"
                               "    - {name: few, share: 5%, max_failed: 0}\n"
                               "    - {name: more, share: 50%, max_failed: 20%}\n"
                               "    - {name: most, share: 90%}\n"
                               "    - {name: all, max_failed: 7}\n"),
                    0);
    CU_ASSERT_EQUAL(plan_may_fail(&d.plan, 0, 200), 0);
    CU_ASSERT_EQUAL(plan_may_fail(&d.plan, 1, 200), 10);
    CU_ASSERT_EQUAL(plan_may_fail(&d.plan, 2, 200), 10);
    CU_ASSERT_EQUAL(plan_may_fail(&d.plan, 3, 200), 7);
    CU_ASSERT_EQUAL(reads(HEAD "rollout: {stages: [{name: few, select: x, max_failed: 2}]}\n"), 0);
    CU_ASSERT_EQUAL(plan_may_fail(&d.plan, 1, 200), 2); /* the rest, as the one before it */
    CU_ASSERT_EQUAL(reads(HEAD "rollout: {max_failed: 0, stages: [{name: a, max_failed: 2}]}\n"),
                    0);
    CU_ASSERT_EQUAL(plan_may_fail(&d.plan, 0, 200), 0);
    refused(HEAD "rollout: {stages: [{name: a, max_failed: 101%}]}\n",
            "app.yaml:3:42: max_failed: 101% is more than all");
    refused(
        HEAD "rollout: {stages: [{name: a, max_failed: few}]}\n",
        "app.yaml:3:42: max_failed: \"few\" is neither a number of agents, like 3, nor a share");
}

static void test_rates_are_read(void)
{
    CU_ASSERT_EQUAL(reads(HEAD "rollout:\n"
                               "  rate: 100/1h\n"
                               "  stages:\n"
                               "    - {name: few, share: 5%, rate: 10%/1m30s}\n"
                               "    - {name: all}\n"),
                    0);
    const struct rate *few = plan_rate(&d.plan, 0), *all = plan_rate(&d.plan, 1);
    CU_ASSERT_TRUE(few->agents.value == 10 && few->agents.percent && few->span_s == 90);
    CU_ASSERT_TRUE(all->agents.value == 100 && !all->agents.percent && all->span_s == 3600);
    CU_ASSERT_EQUAL(reads(HEAD "rollout: {stages: [{name: few, select: x, rate: 1/1d}]}\n"), 0);
    CU_ASSERT_EQUAL(plan_rate(&d.plan, 1)->span_s, 86400); /* the rest, as the one before it */
    refused(
        HEAD "rollout:\n  stages: [{name: a}]\n  rate: 100\n",
        "app.yaml:5:9: rate: \"100\" is no rate; write so many agents in so long, like 100/1h or "
        "10%/30m");
    refused(HEAD "rollout:\n  stages: [{name: a}]\n  rate: 0/1h\n",
            "app.yaml:5:9: rate: with none nobody ever gets the version");
    refused(HEAD "rollout:\n  stages: [{name: a}]\n  rate: /1h\n",
            "app.yaml:5:9: rate: \"\" is neither a number of agents");
    refused(HEAD "rollout:\n  stages: [{name: a}]\n  rate: 101%/1h\n",
            "app.yaml:5:9: rate: 101% is more than all");
    refused(HEAD "rollout:\n  stages: [{name: a}]\n  rate: 3/60\n",
            "app.yaml:5:9: rate: \"60\" is no time; write it with a unit");
    refused(HEAD "rollout:\n  stages: [{name: a}]\n  rate: 3/1h/2\n",
            "app.yaml:5:9: rate: \"1h/2\" is no time");
    refused(HEAD "rollout:\n  stages: [{name: a}]\n  rate: 3/91d\n",
            "app.yaml:5:9: rate: is longer than 90 days");
    refused(HEAD "rollout:\n  stages: [{name: a}]\n  rate: 3/0s\n",
            "app.yaml:5:9: rate: \"3/0s\" is no rate");
    refused(HEAD "rollout:\n  stages: [{name: a, rate: 3/30s}]\n",
            "app.yaml:3:1: rollout: stage a: rate: 30s is shorter than a minute");
    refused(HEAD "rollout: {rate: 3/1h, stages: []}\n",
            "app.yaml:3:1: rollout: rate: without stages everybody gets a version at once");
}

static void test_the_day_that_it_starts_on_is_read(void)
{
    CU_ASSERT_EQUAL(reads(HEAD "rollout:\n"
                               "  start: 2026-12-01T02:00:00+01:00\n"
                               "  stages: [{name: all}]\n"),
                    0);
    CU_ASSERT_EQUAL(d.plan.start_s, 1796086800);
    refused(HEAD "rollout:\n  stages: [{name: a}]\n  start: 2026-12-01\n",
            "app.yaml:5:10: start: \"2026-12-01\" is no moment; write it like "
            "2026-12-01T02:00:00Z, or with an offset, like +01:00, for Z");
    refused(HEAD "rollout:\n  stages: [{name: a}]\n  start: 1970-01-01T00:00:00Z\n",
            "app.yaml:5:10: start: \"1970-01-01T00:00:00Z\" is no moment");
    refused(HEAD "rollout: {stages: [], start: 2026-12-01T02:00:00Z}\n",
            "app.yaml:3:1: rollout: start: without stages everybody gets a version at once");
}

static void test_windows_and_tries_are_read(void)
{
    CU_ASSERT_EQUAL(reads(HEAD "rollout:\n"
                               "  window: {cron: \"0 2 * * 1-5\", for: 2h}\n"
                               "  retries: 3\n"
                               "  back_off: 10m\n"
                               "  stages:\n"
                               "    - {name: all, window: {cron: \"0 0 * * sun\", for: 1d, zone: "
                               "\"-03:30\"}}\n"),
                    0);
    CU_ASSERT_STRING_EQUAL(d.plan.window.cron, "0 2 * * 1-5");
    CU_ASSERT_EQUAL(d.plan.window.length_s, 7200);
    CU_ASSERT_FALSE(d.plan.window.zoned);
    CU_ASSERT_EQUAL(d.plan.retries, 3);
    CU_ASSERT_EQUAL(d.plan.back_off_s, 600);
    CU_ASSERT_EQUAL(d.plan.stages[0].window.east_s, -12600);
    CU_ASSERT_EQUAL(reads(HEAD "rollout: {stages: [], window: {cron: \"0 2 * * *\", for: 1h}}\n"),
                    0);
    CU_ASSERT_EQUAL(d.plan.count, 0);
    refused(HEAD "rollout:\n  stages: []\n  window: {cron: \"0 25 * * *\", for: 2h}\n",
            "app.yaml:5:18: cron: hour \"25\": is out of range");
    refused(HEAD "rollout:\n  stages: []\n  window: {cron: \"0 2 * * *\"}\n",
            "app.yaml:5:11: the key \"for\" is missing");
    refused(HEAD "rollout:\n  stages: []\n  window: {cron: \"0 2 * * *\", for: 2h, zone: Berlin}\n",
            "app.yaml:5:46: zone: \"Berlin\" is neither device, nor UTC, nor an offset to it");
    refused(HEAD "rollout:\n  stages: []\n  window: {cron: \"0 2 * * *\", for: 8d}\n",
            "app.yaml:3:1: rollout: window: for: 8d is not between 1m and 7d");
    refused(HEAD "rollout:\n  stages: []\n  window: {cron: \"0 2 31 feb *\", for: 1h}\n",
            "app.yaml:3:1: rollout: window: cron: \"0 2 31 feb *\" never comes");
    refused(HEAD "rollout:\n  stages: []\n  retries: many\n",
            "app.yaml:5:12: retries: \"many\" is not a whole number");
    refused(HEAD "rollout: {stages: [], retries: 11}\n",
            "app.yaml:3:1: rollout: retries: more than 10");
    refused(HEAD "rollout: {stages: [], back_off: 2d}\n",
            "app.yaml:3:1: rollout: back_off: is longer than a day");
}

static void test_how_many_come_back_at_a_time_is_read(void)
{
    CU_ASSERT_EQUAL(reads(HEAD "rollout: {stages: [], returning: 12%}\n"), 0);
    CU_ASSERT_TRUE(d.plan.returning.value == 12 && d.plan.returning.percent);
    CU_ASSERT_EQUAL(reads(HEAD "rollout: {stages: [], returning: 3}\n"), 0);
    CU_ASSERT_TRUE(d.plan.returning.value == 3 && !d.plan.returning.percent);
    CU_ASSERT_EQUAL(reads(HEAD "rollout: {stages: []}\n"), 0);
    CU_ASSERT_EQUAL(d.plan.returning.value, 0);
    refused(HEAD "rollout:\n  stages: []\n  returning: 0\n",
            "app.yaml:5:14: returning: with none nobody ever gets the version; leave it out for "
            "all");
    refused(HEAD "rollout:\n  stages: []\n  returning: 101%\n",
            "app.yaml:5:14: returning: 101% is more than all");
}

static void test_what_a_rollout_leaves_out_is_the_default(void)
{
    CU_ASSERT_EQUAL(reads(HEAD "rollout: {stages: [{name: all}]}\n"), 0);
    struct plan plain = PLAN_DEFAULT;
    CU_ASSERT_EQUAL(d.plan.max_failed.value, 0);
    CU_ASSERT_EQUAL(d.plan.on_failure, plain.on_failure);
    CU_ASSERT_EQUAL(d.plan.overlap, plain.overlap);
    CU_ASSERT_EQUAL(d.plan.quorum, plain.quorum);
    CU_ASSERT_EQUAL(d.plan.reachable_within_s, plain.reachable_within_s);
}

static void test_unknown_keys_of_a_rollout_are_refused_with_what_was_meant(void)
{
    refused(HEAD "rollout: {max_fialed: 1, stages: []}\n",
            "app.yaml:3:11: unknown key \"max_fialed\"; did you mean \"max_failed\"?");
    refused(HEAD "rollout:\n  stages:\n    - {name: a, concurrenci: 2}\n",
            "app.yaml:5:17: unknown key \"concurrenci\"; did you mean \"concurrency\"?");
    refused(HEAD "rollout: {stages: [{name: a, before: {approvl: true}}]}\n",
            "app.yaml:3:39: unknown key \"approvl\"; did you mean \"approval\"?");
    refused(HEAD "rollout: {stages: [{name: a, name: b}]}\n",
            "app.yaml:3:30: name: is there twice");
    refused(HEAD "rollout: {max_failed: 1}\n",
            "app.yaml:3:10: the key \"stages\" is missing; write [] for everybody at once");
    refused(HEAD "rollout: {stages: [{share: 5%}]}\n",
            "app.yaml:3:20: the key \"name\" is missing");
}

static void test_wrong_shapes_of_a_rollout_are_refused(void)
{
    refused(HEAD "rollout: fast\n", "app.yaml:3:10: a rollout is a mapping");
    refused(HEAD "rollout: {stages: all}\n",
            "app.yaml:3:19: stages: must be a list; without any, write []");
    refused(HEAD "rollout: {stages: {name: a}}\n", "app.yaml:3:19: stages: must be a list");
    refused(HEAD "rollout: {stages: [staging]}\n", "app.yaml:3:20: a stage is a mapping");
    refused(HEAD "rollout: {stages: [{name: a, before: approval}]}\n",
            "app.yaml:3:38: what comes before or after a stage is a mapping");
    refused(HEAD "rollout: {stages: [{name: a, share: [5%]}]}\n",
            "app.yaml:3:37: share: must be a single value, not a list");
    refused(HEAD "rollout: {stages: [{name: }]}\n", "app.yaml:3:27: name: has no value");
    refused(HEAD "rollout: &r {stages: [*r]}\n", "app.yaml:3:14: unknown key \"stages\"");
}

static void test_wrong_values_of_a_rollout_are_refused(void)
{
    static const struct {
        const char *rollout, *sentence;
    } cases[] = {
        {"{max_failed: some, stages: []}",
         "app.yaml:3:23: max_failed: \"some\" is neither a number of agents, like 3, nor a share"},
        {"{max_failed: 101%, stages: []}", "app.yaml:3:23: max_failed: 101% is more than all"},
        {"{max_failed: -1, stages: []}", "app.yaml:3:23: max_failed: \"-1\" is neither"},
        {"{max_failed: \"%\", stages: []}", "app.yaml:3:23: max_failed: \"%\" is neither"},
        {"{max_failed: 4294967296, stages: []}", "app.yaml:3:23: max_failed: \"4294967296\" is ne"},
        {"{on_failure: cry, stages: []}",
         "app.yaml:3:23: on_failure: must be pause, abort or rollback, not \"cry\""},
        {"{new_version: wait, stages: []}",
         "app.yaml:3:24: new_version: must be supersede, queue or refuse, not \"wait\""},
        {"{quorum: 90, stages: []}",
         "app.yaml:3:19: quorum: \"90\" is no share of agents from 1% to 100%"},
        {"{quorum: 0%, stages: []}", "app.yaml:3:19: quorum: \"0%\" is no share"},
        {"{quorum: 101%, stages: []}", "app.yaml:3:19: quorum: \"101%\" is no share"},
        {"{reachable_within: 300, stages: []}", "app.yaml:3:29: reachable_within: \"300\" is no "
                                                "time; write it with a unit, like 30s, 10m"},
        {"{stages: [{name: -a}]}", "app.yaml:3:27: name: \"-a\": a name is"},
        {"{stages: [{name: a, select: \"a b\"}]}",
         "app.yaml:3:38: select: selector: at character 3"},
        {"{stages: [{name: a, select: \" \"}]}", "app.yaml:3:38: select: is empty"},
        {"{stages: [{name: a, share: 0}]}", "app.yaml:3:37: share: with none nobody ever gets"},
        {"{stages: [{name: a, concurrency: 0%}]}", "app.yaml:3:43: concurrency: with none"},
        {"{stages: [{name: a, before: {approval: yes}}]}",
         "app.yaml:3:49: approval: must be true or false, not yes"},
        {"{stages: [{name: a, before: {approval: \"true\"}}]}",
         "app.yaml:3:49: approval: must be true or false, not \"true\""},
        {"{stages: [{name: a, after: {wait: soon}}]}",
         "app.yaml:3:44: wait: \"soon\" is no time; write it with a unit"},
        {"{stages: [{name: a, after: {wait: 91d}}]}",
         "app.yaml:3:44: wait: is longer than 90 days"},
        {"{stages: [{name: a, share: 5%}, {name: a}]}",
         "app.yaml:3:1: rollout: two stages are called a"},
        {"{stages: [{name: a}, {name: b}]}",
         "app.yaml:3:1: rollout: stage a takes every agent: none is left for b"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[256];
        snprintf(text, sizeof text, HEAD "rollout: %s\n", cases[i].rollout);
        refused(text, cases[i].sentence);
    }
}

static void test_a_rollout_has_at_most_16_stages(void)
{
    char text[2048] = HEAD "rollout:\n  stages:\n";
    for (int i = 0; i < STAGES_MAX; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "    - {name: s%d, share: 1}\n",
                 i);
    refused(text, "app.yaml:3:1: rollout: 16 stages that each leave agents out");
    snprintf(text + strlen(text), sizeof text - strlen(text), "    - {name: last}\n");
    refused(text, "app.yaml:21:7: stages: more than 16");
}

static void test_broken_yaml_is_refused_where_it_breaks(void)
{
    refused("deployment: app\nbundle: {\n", "app.yaml:3:1: not YAML: ");
    refused("deployment: app\n\tbundle: app@2\n", "app.yaml:2:1: not YAML: ");
    refused("deployment: \"app\nbundle: app@2\n", "app.yaml:3:1: not YAML: ");
    refused(HEAD "placement: {select: *nobody}\n", "app.yaml:3:21: not YAML: ");
    refused("deployment: app\nbundle: \xff\xfe\n", "app.yaml:");
}

static void test_what_yaml_takes_for_a_mark_has_to_be_in_quotes(void)
{
    refused(HEAD "placement:\n\tall: true\n", "app.yaml:4:1: not YAML: a tab, where there");
    refused(HEAD "placement:\n  select: @harbour\n", "app.yaml:4:11: not YAML: a value that begins "
                                                     "with '@' has to be in quotes");
    refused(HEAD "placement:\n  select: !lab\n",
            "app.yaml:4:11: select: a value that begins with '!' has to be in quotes");
    refused(HEAD "placement: {select: [a, !lab]}\n",
            "app.yaml:3:29: not YAML: a value that begins with '!' has to be in quotes");
    refused(HEAD "priority: !x 3\n", "app.yaml:3:11: priority: a value that begins with '!'");
    refused(
        HEAD "placement: {select: env in (a, b)}\n",
        "app.yaml:3:21: selector ends after character 9: expected ',' or ')'; between [ ] and { } "
        "what has a comma has to be in quotes");
    refused(
        HEAD "rollout: {stages: [{name: a, select: env in (a, b)}]}\n",
        "app.yaml:3:38: select: selector ends after character 9: expected ',' or ')'; between [ ] "
        "and { } what has a comma has to be in quotes");
    refused(HEAD "placement: {select: \"env in (a\"}\n",
            "app.yaml:3:21: selector ends after character 9: expected ',' or ')'");
}

static void test_every_truncated_file_is_read_or_refused(void)
{
    static const char text[] = HEAD "placement: {select: \"env in (a,b)\", pick: all}\n"
                                    "priority: 3\npaused: true\nkeep: false\n"
                                    "rollout: {quorum: 90%, stages: [{name: a, share: 5%, "
                                    "before: {approval: true, wait: 1h}}]}\n";
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
    TEST(test_variables_are_names_with_texts),
    TEST(test_what_comes_before_is_a_name_or_a_list),
    TEST(test_all_agents_are_asked_for_by_name),
    TEST(test_anchors_are_followed),
    TEST(test_what_is_no_deployment_is_refused),
    TEST(test_unknown_keys_are_refused_with_what_was_meant),
    TEST(test_wrong_types_are_refused),
    TEST(test_bad_names_are_refused),
    TEST(test_a_name_is_at_most_63_characters_long),
    TEST(test_placements_must_say_agents),
    TEST(test_agents_may_be_named_besides),
    TEST(test_several_selectors_and_exclusions_make_one),
    TEST(test_pick_is_a_few_words_or_a_mapping),
    TEST(test_placement_without_a_pick_is_for_all),
    TEST(test_pick_may_be_sorted_by_a_fact),
    TEST(test_without_the_key_a_plan_stays_as_it_is),
    TEST(test_stages_of_the_design_are_read),
    TEST(test_every_key_of_a_rollout_is_read),
    TEST(test_failures_of_a_stage_are_read),
    TEST(test_rates_are_read),
    TEST(test_the_day_that_it_starts_on_is_read),
    TEST(test_windows_and_tries_are_read),
    TEST(test_how_many_come_back_at_a_time_is_read),
    TEST(test_what_a_rollout_leaves_out_is_the_default),
    TEST(test_unknown_keys_of_a_rollout_are_refused_with_what_was_meant),
    TEST(test_wrong_shapes_of_a_rollout_are_refused),
    TEST(test_wrong_values_of_a_rollout_are_refused),
    TEST(test_a_rollout_has_at_most_16_stages),
    TEST(test_broken_yaml_is_refused_where_it_breaks),
    TEST(test_what_yaml_takes_for_a_mark_has_to_be_in_quotes),
    TEST(test_every_truncated_file_is_read_or_refused),
    TEST(test_every_changed_byte_is_read_or_refused),
};

SUITE_MAIN("deployment_file", tests)
