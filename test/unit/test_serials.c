#include "manager/cli/serials.h"

#include "test/suite.h"
#include "test/tree.h"

#include <stdio.h>

/* Reads a file with this content. */
static int read_text(struct serials *s, const char *text, struct errmsg *em)
{
    struct tree_path dir = tree_new();
    tree_file(&dir, "serials", 0644, span_text(text));
    struct tree_path file = tree_join(&dir, "serials");
    int rv = serials_read(s, file.text, em);
    tree_free(&dir);
    return rv;
}

static bool holds(const struct serials *s, const char *lines, size_t count)
{
    return s->count == count && span_equal(span_of(s->lines, s->len), span_text(lines));
}

static void test_lines_are_read_without_what_stands_around_them(void)
{
    struct serials s = {.lines = NULL};
    CU_ASSERT_EQUAL(read_text(&s, "SN-1\n\n  SN 2\t\r\n\r\nSN,3", NULL), 0);
    CU_ASSERT_TRUE(holds(&s, "SN-1\nSN 2\nSN,3\n", 3));
    CU_ASSERT_EQUAL(read_text(&s, "again\n", NULL), 0);
    CU_ASSERT_TRUE(holds(&s, "again\n", 1));
    CU_ASSERT_EQUAL(read_text(&s, "\n \n\t\r\n", NULL), 0);
    CU_ASSERT_EQUAL(s.count, 0);
    serials_free(&s);
}

static void test_what_is_no_serial_number_is_named_with_its_line(void)
{
    char longest[80] = "";
    struct serials s = {.lines = NULL};
    struct errmsg em;
    CU_ASSERT_EQUAL(read_text(&s, "SN-1\n\nS\xc3\xa4\n", &em), ERR_FORMAT);
    CU_ASSERT_PTR_NOT_NULL(
        strstr(em.text, "serials: line 3: \"S\xc3\xa4\": a serial number has 1 to"));
    memset(longest, 's', 64);
    CU_ASSERT_EQUAL(read_text(&s, longest, &em), ERR_FORMAT);
    longest[63] = '\0';
    CU_ASSERT_EQUAL(read_text(&s, longest, NULL), 0);
    CU_ASSERT_EQUAL(serials_read(&s, "/nowhere/serials", &em), ERR_NOT_FOUND);
    CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "/nowhere/serials: can't be read"));
    serials_free(&s);
}

static void test_pieces_make_the_whole(void)
{
    struct serials s = {.lines = NULL};
    for (int i = 0; i < 1000; i++) {
        char text[16];
        snprintf(text, sizeof text, "SN-%d", i);
        CU_ASSERT_EQUAL(serials_add(&s, span_text(text), NULL), 0);
    }
    for (size_t max = 1; max <= 1001; max += 100) {
        size_t at = 0, bytes = 0, pieces = 0;
        for (struct span piece; (piece = serials_next(&s, &at, max)).len > 0; pieces++) {
            CU_ASSERT_PTR_EQUAL(piece.data, s.lines + bytes);
            bytes += piece.len;
        }
        CU_ASSERT_EQUAL(bytes, s.len);
        CU_ASSERT_EQUAL(pieces, (1000 + max - 1) / max);
    }
    serials_free(&s);
}

static const struct suite_test tests[] = {
    TEST(test_lines_are_read_without_what_stands_around_them),
    TEST(test_what_is_no_serial_number_is_named_with_its_line),
    TEST(test_pieces_make_the_whole),
};

SUITE_MAIN("serials", tests)
