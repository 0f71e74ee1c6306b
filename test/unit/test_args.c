#include "manager/cli/args.h"

#include "manager/cli/suggest.h"
#include "test/suite.h"

#include <stdlib.h>

static const struct flag global_flags[] = {
    {.name = "dir", .value = "DIR", .kind = FLAG_TEXT, .help = "folder"},
    {.name = "json", .kind = FLAG_SWITCH, .help = "print JSON"},
    {.name = "help", .kind = FLAG_SWITCH, .help = "say what it does"},
};

static const struct flag verb_flags[] = {
    {.name = "count",
     .value = "N",
     .kind = FLAG_NUMBER,
     .fallback = "1",
     .min = 1,
     .max = 100,
     .help = "how many"},
    {.name = "ttl",
     .value = "TIME",
     .kind = FLAG_DURATION,
     .fallback = "24h",
     .min = 1,
     .max = 604800,
     .help = "how long"},
    {.name = "label", .value = "KEY=VALUE ...", .kind = FLAG_PAIRS, .help = "labels"},
    {.name = "name", .value = "NAME", .kind = FLAG_TEXT, .help = "its name", .required = true},
};

static const struct flag more_flags[] = {
    {.name = "key", .value = "FILE", .kind = FLAG_TEXTS, .help = "keys"},
};

static const struct flag_set sets[] = {
    {.flags = global_flags, .count = 3},
    {.flags = verb_flags, .count = 4},
    {.flags = more_flags, .count = 1},
};

static struct args a;
static struct errmsg em;

/* Splits at blanks: no word of these tests has one. */
static int parse(const char *line)
{
    static char text[512];
    static char *words[200];
    int count = 0;
    em.text[0] = '\0';
    snprintf(text, sizeof text, "%s", line);
    for (char *w = strtok(text, " "); w; w = strtok(NULL, " "))
        words[count++] = w;
    return args_parse(&a, sets, 3, count, words, &em);
}

static void refused(const char *line, const char *sentence)
{
    CU_ASSERT_EQUAL(parse(line), ERR_USAGE);
    CU_ASSERT_STRING_EQUAL(em.text, sentence);
}

static void test_texts_come_one_by_one(void)
{
    size_t at = 0;
    CU_ASSERT_EQUAL(parse("push --key a x --key=b --json"), 0);
    CU_ASSERT_EQUAL(a.word_count, 2);
    CU_ASSERT_STRING_EQUAL(args_next(&a, "key", &at), "a");
    CU_ASSERT_STRING_EQUAL(args_next(&a, "key", &at), "b");
    CU_ASSERT_PTR_NULL(args_next(&a, "key", &at));
    refused("push --key", "--key needs a value: --key FILE");
    refused("push --dir a --dir b", "--dir is given twice");
}

static void test_flags_stand_anywhere(void)
{
    static const char *const lines[] = {
        "--dir /d --json push x --count 3",
        "push --dir /d x --count 3 --json",
        "push x --count=3 --json --dir=/d",
        "--count 3 push --json --dir /d x",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        CU_ASSERT_EQUAL(parse(lines[i]), 0);
        CU_ASSERT_EQUAL_FATAL(a.word_count, 2);
        CU_ASSERT_STRING_EQUAL(a.words[0], "push");
        CU_ASSERT_STRING_EQUAL(a.words[1], "x");
        CU_ASSERT_STRING_EQUAL(args_text(&a, "dir"), "/d");
        CU_ASSERT_EQUAL(args_number(&a, "count"), 3);
        CU_ASSERT_TRUE(args_has(&a, "json"));
        CU_ASSERT_FALSE(args_has(&a, "help"));
    }
}

static void test_what_is_not_given_falls_back(void)
{
    CU_ASSERT_EQUAL(parse(""), 0);
    CU_ASSERT_EQUAL(args_number(&a, "count"), 1);
    CU_ASSERT_EQUAL(args_number(&a, "ttl"), 86400);
    CU_ASSERT_STRING_EQUAL(args_text(&a, "ttl"), "24h");
    CU_ASSERT_PTR_NULL(args_text(&a, "dir"));
    size_t at = 0;
    CU_ASSERT_PTR_NULL(args_next(&a, "label", &at));
}

static void test_pairs_are_gathered(void)
{
    static const char *const expected[] = {"a=1", "b=2", "c=3", "d=4"};
    CU_ASSERT_EQUAL(parse("create --label a=1 b=2 --count 2 --label=c=3 d=4 word"), 0);
    size_t at = 0;
    for (size_t i = 0; i < 4; i++)
        CU_ASSERT_STRING_EQUAL(args_next(&a, "label", &at), expected[i]);
    CU_ASSERT_PTR_NULL(args_next(&a, "label", &at));
    CU_ASSERT_EQUAL_FATAL(a.word_count, 2);
    CU_ASSERT_STRING_EQUAL(a.words[1], "word");
}

static void test_after_two_dashes_all_are_words(void)
{
    CU_ASSERT_EQUAL(parse("push -- --count -x --"), 0);
    CU_ASSERT_EQUAL_FATAL(a.word_count, 4);
    CU_ASSERT_STRING_EQUAL(a.words[1], "--count");
    CU_ASSERT_STRING_EQUAL(a.words[2], "-x");
    CU_ASSERT_STRING_EQUAL(a.words[3], "--");
}

static void test_h_is_help(void)
{
    CU_ASSERT_EQUAL(parse("push -h"), 0);
    CU_ASSERT_TRUE(args_has(&a, "help"));
}

static void test_unknown_flags_are_refused_with_what_was_meant(void)
{
    refused("--coutn 3", "unknown flag --coutn; did you mean --count?");
    refused("--tt=3", "unknown flag --tt; did you mean --ttl?");
    refused("-json", "unknown flag -json; did you mean --json?");
    refused("--frobnicate", "unknown flag --frobnicate");
    refused("-x", "unknown flag -x");
    refused("--a-very-long-flag-that-nobody-could-have-meant",
            "unknown flag --a-very-long-flag-that-nobody-could-have-meant");
}

static void test_wrong_values_are_refused(void)
{
    refused("--count", "--count needs a value: --count N");
    refused("--count --json", "--count needs a value: --count N");
    refused("--count x", "--count x: not a whole number");
    refused("--count 1x", "--count 1x: not a whole number");
    refused("--count -1", "--count -1: not a whole number");
    refused("--count=", "--count : not a whole number");
    refused("--count 0", "--count 0: out of range; from 1 to 100 will do");
    refused("--count 101", "--count 101: out of range; from 1 to 100 will do");
    refused("--count 99999999999999999999999",
            "--count 99999999999999999999999: out of range; from 1 to 100 will do");
    refused("--ttl 5", "--ttl 5: not a duration; write it like 90s, 5m, 24h or 7d");
    refused("--ttl 8d", "--ttl 8d: out of range; from 1 to 604800 seconds will do");
    refused("--json=yes", "--json takes no value; \"=yes\" is too much");
    refused("--label", "--label needs a value: --label KEY=VALUE ...");
    refused("--label word", "--label needs a value: --label KEY=VALUE ...");
    refused("--count 1 --count 2", "--count is given twice");
}

static void test_required_flags_are_missed(void)
{
    CU_ASSERT_EQUAL(parse("push"), 0);
    CU_ASSERT_EQUAL(args_complete(&a, &em), ERR_USAGE);
    CU_ASSERT_STRING_EQUAL(em.text, "--name NAME is missing");
    CU_ASSERT_EQUAL(parse("push --name x"), 0);
    CU_ASSERT_EQUAL(args_complete(&a, &em), 0);
}

static void test_too_many_words_are_refused(void)
{
    char line[512] = "";
    for (int i = 0; i <= ARGS_MAX; i++)
        strcat(line, "w ");
    CU_ASSERT_EQUAL(parse(line), ERR_USAGE);
    line[2 * ARGS_MAX] = '\0';
    CU_ASSERT_EQUAL(parse(line), 0);
    CU_ASSERT_EQUAL(a.word_count, ARGS_MAX);
}

static void test_skimming_finds_the_words_whatever_is_wrong(void)
{
    char *words[] = {"--bogus", "--count", "x", "--json=1", "push", "--name", "n", "tree", "--ttl"};
    args_skim(&a, sets, 2, 9, words);
    CU_ASSERT_EQUAL_FATAL(a.word_count, 2);
    CU_ASSERT_STRING_EQUAL(a.words[0], "push");
    CU_ASSERT_STRING_EQUAL(a.words[1], "tree");
}

static void test_help_is_made_from_the_table(void)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    args_usage(&sets[1], 70, out);
    fputc('\n', out);
    args_help(&sets[1], out);
    fclose(out);
    CU_ASSERT_STRING_EQUAL(text, "\n        --name NAME [--count N] [--ttl TIME]"
                                 " [--label KEY=VALUE ...]\n"
                                 "  --count N               how many (default 1)\n"
                                 "  --ttl TIME              how long (default 24h)\n"
                                 "  --label KEY=VALUE ...   labels\n"
                                 "  --name NAME             its name\n");
    free(text);
}

static void test_help_counts_characters(void)
{
    static const struct flag flags[] = {
        {.name = "agents", .value = "ID,…", .kind = FLAG_TEXT, .help = "on these …"},
        {.name = "all", .kind = FLAG_SWITCH, .help = "on all"},
    };
    const struct flag_set set = {.flags = flags, .count = 2};
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    args_usage(&set, 54, out); /* both fit into the line, to the last column */
    fputc('\n', out);
    args_help(&set, out);
    fclose(out);
    CU_ASSERT_STRING_EQUAL(text, " [--agents ID,…] [--all]\n"
                                 "  --agents ID,…           on these …\n"
                                 "  --all                   on all\n");
    free(text);
}

static void test_suggestions_count_slips(void)
{
    CU_ASSERT_EQUAL(suggest_distance("", ""), 0);
    CU_ASSERT_EQUAL(suggest_distance("status", "status"), 0);
    CU_ASSERT_EQUAL(suggest_distance("statsu", "status"), 1);
    CU_ASSERT_EQUAL(suggest_distance("stats", "status"), 1);
    CU_ASSERT_EQUAL(suggest_distance("xstatus", "status"), 1);
    CU_ASSERT_EQUAL(suggest_distance("stotas", "status"), 2);
    CU_ASSERT_EQUAL(suggest_distance("abc", ""), 3);
    CU_ASSERT_EQUAL(suggest_distance("a-word-that-is-longer-than-any-flag", ""),
                    SUGGEST_WORD_MAX + 1);
    struct suggest s = {.word = "deplyo"};
    suggest_offer(&s, "status");
    CU_ASSERT_PTR_NULL(s.best);
    suggest_offer(&s, "deployment");
    suggest_offer(&s, "deploy");
    CU_ASSERT_STRING_EQUAL(s.best, "deploy");
}

static const struct suite_test tests[] = {
    TEST(test_flags_stand_anywhere),
    TEST(test_texts_come_one_by_one),
    TEST(test_what_is_not_given_falls_back),
    TEST(test_pairs_are_gathered),
    TEST(test_after_two_dashes_all_are_words),
    TEST(test_h_is_help),
    TEST(test_unknown_flags_are_refused_with_what_was_meant),
    TEST(test_wrong_values_are_refused),
    TEST(test_required_flags_are_missed),
    TEST(test_too_many_words_are_refused),
    TEST(test_skimming_finds_the_words_whatever_is_wrong),
    TEST(test_help_is_made_from_the_table),
    TEST(test_help_counts_characters),
    TEST(test_suggestions_count_slips),
};

SUITE_MAIN("args", tests)
