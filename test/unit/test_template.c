#include "bundles/template.h"

#include "test/suite.h"

#include <stdio.h>

/* What came out: values as <name>. */
struct text {
    char bytes[512];
    size_t len;
};

static struct errmsg em;

static int add_text(void *context, struct span text, struct errmsg *why)
{
    (void)why;
    struct text *t = context;
    CU_ASSERT_TRUE_FATAL(t->len + text.len < sizeof t->bytes);
    memcpy(t->bytes + t->len, text.data, text.len);
    t->len += text.len;
    return 0;
}

static int add_variable(void *context, const char *name, struct errmsg *why)
{
    char shown[VARIABLE_NAME_MAX + 3];
    snprintf(shown, sizeof shown, "<%s>", name);
    return add_text(context, span_text(shown), why);
}

/* In pieces of some length. */
static int fill_in(const char *source, size_t piece, struct text *out)
{
    struct template t = {0};
    const struct template_sink sink = {.context = out, .text = add_text, .variable = add_variable};
    size_t len = strlen(source);
    int rv = 0;
    *out = (struct text){0};
    for (size_t at = 0; rv == 0 && at < len; at += piece) {
        size_t n = len - at < piece ? len - at : piece;
        rv = template_add(&t, span_of(source + at, n), &sink, &em);
    }
    return rv < 0 ? rv : template_end(&t, &sink, &em);
}

static void test_names_become_values_however_the_text_is_cut(void)
{
    static const struct {
        const char *source, *filled;
    } cases[] = {
        {"", ""},
        {"plain", "plain"},
        {"port=${port}", "port=<port>"},
        {"${a}${b_2}", "<a><b_2>"},
        {"$${a}", "${a}"},
        {"$$${a}", "$${a}"},
        {"$$ $$$ $", "$$ $$$ $"},
        {"$a $(b) ${c}}", "$a $(b) <c>}"},
        {"cost: 5$", "cost: 5$"},
        {"$$", "$$"},
        {"${abcdefghijklmnopqrstuvwxyz01234}", "<abcdefghijklmnopqrstuvwxyz01234>"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (size_t piece = 1; piece <= strlen(cases[i].source) + 1; piece++) {
            struct text out;
            CU_ASSERT_EQUAL(fill_in(cases[i].source, piece, &out), 0);
            CU_ASSERT_STRING_EQUAL(out.bytes, cases[i].filled);
        }
}

static void test_what_names_no_variable_is_refused_with_what_to_write(void)
{
    static const char *const bad[] = {
        "${}",
        "${HOME}",
        "${a",
        "${",
        "${a-b}",
        "${a:-b}",
        "${1}",
        "${_a}",
        "${a\n}",
        "${ a}",
        "x${a ",
        "${${a}}",
        "${abcdefghijklmnopqrstuvwxyz012345}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        for (size_t piece = 1; piece <= strlen(bad[i]); piece++) {
            struct text out;
            CU_ASSERT_EQUAL(fill_in(bad[i], piece, &out), ERR_REFUSED);
            CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "$${"));
        }
}

static int refuse_text(void *context, struct span text, struct errmsg *why)
{
    (void)context;
    (void)text;
    return errmsg_set(why, ERR_NO_SPACE, "full");
}

static void test_a_sink_that_fails_ends_it(void)
{
    struct template t = {0};
    const struct template_sink sink = {.text = refuse_text, .variable = add_variable};
    CU_ASSERT_EQUAL(template_add(&t, span_text("a${b}"), &sink, &em), ERR_NO_SPACE);
    t = (struct template){0};
    CU_ASSERT_EQUAL(template_add(&t, span_text("$"), &sink, &em), 0);
    CU_ASSERT_EQUAL(template_end(&t, &sink, &em), ERR_NO_SPACE);
}

static const struct suite_test tests[] = {
    TEST(test_names_become_values_however_the_text_is_cut),
    TEST(test_what_names_no_variable_is_refused_with_what_to_write),
    TEST(test_a_sink_that_fails_ends_it),
};

SUITE_MAIN("template", tests)
