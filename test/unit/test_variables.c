#include "sync/variables.h"

#include "test/suite.h"

static uint8_t memory[8192], other_memory[8192];

/* A list as a test writes it: names rise; a value of NULL is none. */
struct line {
    const char *name;
    uint32_t uses;
    const char *value;
};

static struct span write_list(uint8_t *into, const struct line *lines, uint32_t count)
{
    struct buffer out = buffer_on(into, sizeof memory);
    struct wire_writer w = wire_writer_on(&out);
    variables_begin(&w, count);
    for (uint32_t i = 0; i < count; i++)
        variables_put(&w,
                      &(struct variable){.name = span_text(lines[i].name),
                                         .uses = lines[i].uses,
                                         .given = lines[i].value != NULL,
                                         .value = span_text(lines[i].value ? lines[i].value : "")});
    CU_ASSERT_EQUAL_FATAL(wire_end(&w), 0);
    return span_buffer(&out);
}

#define LIST(into, lines) write_list(into, lines, sizeof(lines) / sizeof((lines)[0]))
#define SEALED "nonce-nonce-cipher text and a tag"

static int read_list(struct span bytes, struct span *list)
{
    struct wire_reader r = wire_reader_on(bytes);
    *list = variables_get(&r, VARIABLES_BYTES_MAX);
    return wire_done(&r);
}

static void test_a_list_comes_back(void)
{
    static const struct line lines[] = {{"a", VARIABLE_STABLE, "1"},
                                        {"ab", VARIABLE_NEXT | VARIABLE_SECRET, SEALED},
                                        {"b", VARIABLE_STABLE | VARIABLE_TEMPLATE, NULL}};
    struct span list;
    struct variable v;
    CU_ASSERT_EQUAL_FATAL(read_list(LIST(memory, lines), &list), 0);
    struct variable_cursor c = variables_on(list);
    for (size_t i = 0; i < 3; i++) {
        CU_ASSERT_TRUE_FATAL(variables_next(&c, &v));
        CU_ASSERT_TRUE(span_equal(v.name, span_text(lines[i].name)));
        CU_ASSERT_EQUAL(v.uses, lines[i].uses);
        CU_ASSERT_EQUAL(v.given, lines[i].value != NULL);
        CU_ASSERT_TRUE(!v.given || span_equal(v.value, span_text(lines[i].value)));
    }
    CU_ASSERT_FALSE(variables_next(&c, &v));
    CU_ASSERT_TRUE(variables_find(list, span_text("ab"), &v));
    CU_ASSERT_FALSE(variables_find(list, span_text("b"), &v));
    CU_ASSERT_FALSE(variables_find(list, span_text("c"), &v));
    CU_ASSERT_FALSE(variables_find(SPAN_NONE, span_text("a"), &v));
}

static void test_lists_out_of_order_or_with_bad_parts_are_refused(void)
{
    static const struct line bad[][2] = {
        {{"b", 0, "1"}, {"a", 0, "1"}},
        {{"a", 0, "1"}, {"a", 0, "1"}},
        {{"a", VARIABLE_NEXT, "1"}, {"a", VARIABLE_STABLE, "2"}},
        {{"a", VARIABLE_STABLE | VARIABLE_NEXT, "1"}, {"a", VARIABLE_NEXT, "2"}},
        {{"a", VARIABLE_STABLE, "1"}, {"a", VARIABLE_NEXT | VARIABLE_TEMPLATE, "2"}},
        {{"a", VARIABLE_STABLE | VARIABLE_NEXT_TEMPLATE, "1"}, {"a", VARIABLE_NEXT, "2"}},
        {{"ab", 0, "1"}, {"a", 0, "1"}},
        {{"A", 0, "1"}, {"b", 0, "1"}},
        {{"", 0, "1"}, {"b", 0, "1"}},
        {{"a", VARIABLE_SECRET, "too short for a seal"}, {"b", 0, "1"}},
        {{"a", 32, "1"}, {"b", 0, "1"}},
    };
    struct span list;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CU_ASSERT_TRUE(read_list(write_list(memory, bad[i], 2), &list) < 0);
    /* A value that no environment can hold. */
    static const struct line one[] = {{"a", 0, "x"}};
    struct span bytes = LIST(memory, one);
    memory[bytes.len - 1] = '\0';
    CU_ASSERT_EQUAL(read_list(bytes, &list), ERR_FORMAT);
}

/* While a rollout is on its way, who isn't let in yet keeps what it has. */
static void test_a_name_has_one_value_in_each_version(void)
{
    static const struct line lines[] = {{"a", VARIABLE_STABLE, "1"},
                                        {"a", VARIABLE_NEXT | VARIABLE_NEXT_TEMPLATE, "2"},
                                        {"b", VARIABLE_STABLE | VARIABLE_NEXT, "3"}};
    static const struct line stable[] = {{"a", VARIABLE_STABLE, "1"}, {"b", VARIABLE_STABLE, "3"}};
    static const struct line next[] = {{"a", VARIABLE_STABLE | VARIABLE_TEMPLATE, "2"},
                                       {"b", VARIABLE_STABLE, "3"}};
    static const struct line thrice[] = {
        {"a", VARIABLE_STABLE, "1"}, {"a", VARIABLE_NEXT, "2"}, {"a", VARIABLE_NEXT, "3"}};
    uint8_t room[512];
    struct buffer out = buffer_on(room, sizeof room);
    struct span list;
    CU_ASSERT_EQUAL_FATAL(read_list(LIST(memory, lines), &list), 0);
    CU_ASSERT_EQUAL(variables_resolve(list, VARIABLE_STABLE, SPAN_NONE, NULL, NULL, &out), 0);
    CU_ASSERT_TRUE(span_equal(span_buffer(&out), LIST(other_memory, stable)));
    CU_ASSERT_EQUAL(variables_digest(list, VARIABLE_STABLE, SPAN_NONE),
                    variables_digest(span_buffer(&out), VARIABLE_STABLE, SPAN_NONE));
    out.len = 0;
    CU_ASSERT_EQUAL(variables_resolve(list, VARIABLE_NEXT, SPAN_NONE, NULL, NULL, &out), 0);
    CU_ASSERT_TRUE(span_equal(span_buffer(&out), LIST(other_memory, next)));
    CU_ASSERT_EQUAL(variables_digest(list, VARIABLE_NEXT, SPAN_NONE),
                    variables_digest(span_buffer(&out), VARIABLE_STABLE, SPAN_NONE));
    CU_ASSERT_EQUAL(read_list(LIST(memory, thrice), &list), ERR_FORMAT);
}

static void test_every_truncated_list_is_refused(void)
{
    static const struct line lines[] = {{"a", VARIABLE_STABLE, "1"},
                                        {"b", VARIABLE_SECRET, SEALED}};
    struct span list, bytes = LIST(memory, lines);
    for (size_t n = 0; n < bytes.len; n++)
        CU_ASSERT_TRUE(read_list(span_of(bytes.data, n), &list) < 0);
}

static void test_an_agents_own_value_comes_first_and_fills_what_is_missing(void)
{
    static const struct line lines[] = {
        {"a", VARIABLE_STABLE, "all"}, {"b", VARIABLE_STABLE, NULL}, {"c", VARIABLE_NEXT, NULL}};
    static const struct line own_lines[] = {{"a", 0, "mine"}, {"b", 0, "too"}};
    struct span list = LIST(memory, lines), own = LIST(other_memory, own_lines);
    struct variable v;
    CU_ASSERT_FALSE(variables_whole(list, VARIABLE_STABLE, SPAN_NONE, &v));
    CU_ASSERT_TRUE(span_equal(v.name, span_text("b")));
    CU_ASSERT_TRUE(variables_whole(list, VARIABLE_STABLE, own, &v));
    CU_ASSERT_FALSE(variables_whole(list, VARIABLE_NEXT, own, NULL));

    uint8_t room[512];
    struct buffer out = buffer_on(room, sizeof room);
    CU_ASSERT_EQUAL(variables_resolve(list, VARIABLE_STABLE, own, NULL, NULL, &out), 0);
    CU_ASSERT_TRUE(variables_find(span_buffer(&out), span_text("a"), &v));
    CU_ASSERT_TRUE(span_equal(v.value, span_text("mine")));
    CU_ASSERT_TRUE(variables_find(span_buffer(&out), span_text("b"), &v));
    CU_ASSERT_FALSE(variables_find(span_buffer(&out), span_text("c"), &v));
}

static uint64_t digest(const struct line *lines, uint32_t count, enum variable_use version)
{
    return variables_digest(write_list(memory, lines, count), version, SPAN_NONE);
}

static void test_the_digest_changes_with_what_a_version_gets_and_with_nothing_else(void)
{
    struct line lines[] = {{"a", VARIABLE_STABLE | VARIABLE_TEMPLATE, "1"},
                           {"b", VARIABLE_NEXT, "2"}};
    uint64_t before = digest(lines, 2, VARIABLE_STABLE);
    CU_ASSERT_NOT_EQUAL(before, 0);
    CU_ASSERT_EQUAL(digest(lines, 0, VARIABLE_STABLE), 0);
    CU_ASSERT_EQUAL(variables_digest(SPAN_NONE, VARIABLE_STABLE, SPAN_NONE), 0);
    lines[1].value = "3"; /* the next version's */
    CU_ASSERT_EQUAL(digest(lines, 2, VARIABLE_STABLE), before);
    lines[0].value = "4";
    CU_ASSERT_NOT_EQUAL(digest(lines, 2, VARIABLE_STABLE), before);
    lines[0].value = "1";
    lines[0].uses = VARIABLE_STABLE;
    CU_ASSERT_NOT_EQUAL(digest(lines, 2, VARIABLE_STABLE), before);
    /* When next becomes stable, nothing has changed. */
    lines[0].uses = VARIABLE_NEXT | VARIABLE_NEXT_TEMPLATE;
    CU_ASSERT_EQUAL(digest(lines, 1, VARIABLE_NEXT), before);
}

static void test_a_secret_sealed_to_others_is_the_same_secret(void)
{
    const struct line one[] = {{"a", VARIABLE_STABLE | VARIABLE_SECRET, SEALED}};
    const struct line same[] = {
        {"a", VARIABLE_STABLE | VARIABLE_SECRET, "nonce-nonce-CIPHER TEXT AND A TAG"}};
    const struct line another[] = {
        {"a", VARIABLE_STABLE | VARIABLE_SECRET, "NONCE-nonce-cipher text and a tag"}};
    CU_ASSERT_EQUAL(digest(one, 1, VARIABLE_STABLE), digest(same, 1, VARIABLE_STABLE));
    CU_ASSERT_NOT_EQUAL(digest(one, 1, VARIABLE_STABLE), digest(another, 1, VARIABLE_STABLE));
}

static const struct suite_test tests[] = {
    TEST(test_a_list_comes_back),
    TEST(test_lists_out_of_order_or_with_bad_parts_are_refused),
    TEST(test_a_name_has_one_value_in_each_version),
    TEST(test_every_truncated_list_is_refused),
    TEST(test_an_agents_own_value_comes_first_and_fills_what_is_missing),
    TEST(test_the_digest_changes_with_what_a_version_gets_and_with_nothing_else),
    TEST(test_a_secret_sealed_to_others_is_the_same_secret),
};

SUITE_MAIN("variables", tests)
