/* The file that `dunlin admin create` writes, and what is no such file. */
#include "manager/cli/credentials.h"

#include "test/suite.h"
#include "test/tree.h"

#define URL "\"url\": \"https://host:8443\""
#define TOKEN "\"token\": \"dla1-00\""
#define CA "\"ca\": \"-----BEGIN CERTIFICATE-----\\nQQ==\\n-----END CERTIFICATE-----\\n\""

static int read_text(const char *text, mode_t mode, struct credentials *c, struct errmsg *em)
{
    struct tree_path dir = tree_new(), file = tree_join(&dir, "ann");
    tree_file(&dir, "ann", mode, span_text(text));
    int rv = credentials_read(file.text, c, em);
    tree_free(&dir);
    return rv;
}

static void test_what_was_written_is_read_whatever_else_is_there(void)
{
    struct credentials c;
    CU_ASSERT_EQUAL(
        read_text("{\"role\": \"viewer\", " CA ", " TOKEN ", " URL "}\n", 0600, &c, NULL), 0);
    CU_ASSERT_STRING_EQUAL(c.url, "https://host:8443");
    CU_ASSERT_STRING_EQUAL(c.token, "dla1-00");
    CU_ASSERT_STRING_EQUAL(c.ca, "-----BEGIN CERTIFICATE-----\nQQ==\n-----END CERTIFICATE-----\n");
}

static void test_file_that_others_may_read_is_refused(void)
{
    static const mode_t modes[] = {0640, 0604, 0660, 0610};
    struct credentials c;
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        struct errmsg em = {0};
        CU_ASSERT_EQUAL(read_text("{" URL "," TOKEN "," CA "}", modes[i], &c, &em), ERR_REFUSED);
        CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "chmod 600"));
    }
    CU_ASSERT_EQUAL(credentials_read("/nowhere/ann", &c, NULL), ERR_NOT_FOUND);
}

static void test_what_lacks_anything_is_refused_with_what_it_should_be(void)
{
    static const char *const texts[] = {
        "",
        "[]",
        "{" URL "," TOKEN "}",
        "{" URL "," CA "}",
        "{" TOKEN "," CA "}",
        "{\"url\": \"http://host\"," TOKEN "," CA "}",
        "{\"url\": 1," TOKEN "," CA "}",
        "{" URL ",\"token\": \"dlt1-00\"," CA "}",
        "{" URL "," TOKEN ",\"ca\": \"QQ==\"}",
        "{" URL "," TOKEN "," CA,
        "{" URL "," TOKEN "," CA "} more",
    };
    struct credentials c;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct errmsg em = {0};
        CU_ASSERT_EQUAL(read_text(texts[i], 0600, &c, &em), ERR_FORMAT);
        CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "dunlin admin create"));
    }
}

static void test_parts_have_their_lengths_at_most(void)
{
    char text[CREDENTIALS_FILE_MAX + 2];
    struct credentials c;
    for (int len = CREDENTIALS_TOKEN_MAX - 2; len <= CREDENTIALS_TOKEN_MAX; len++) {
        snprintf(text, sizeof text, "{" URL ",\"token\": \"dla1-%0*d\"," CA "}", len - 5, 0);
        CU_ASSERT_EQUAL(read_text(text, 0600, &c, NULL),
                        len < CREDENTIALS_TOKEN_MAX ? 0 : ERR_FORMAT);
    }
    int used = snprintf(text, sizeof text, "{" URL "," TOKEN "," CA "}");
    memset(text + used, ' ', sizeof text - (size_t)used);
    text[CREDENTIALS_FILE_MAX] = '\0';
    CU_ASSERT_EQUAL(read_text(text, 0600, &c, NULL), 0);
    text[CREDENTIALS_FILE_MAX] = ' ';
    text[CREDENTIALS_FILE_MAX + 1] = '\0';
    CU_ASSERT_EQUAL(read_text(text, 0600, &c, NULL), ERR_RANGE);
}

static const struct suite_test tests[] = {
    TEST(test_what_was_written_is_read_whatever_else_is_there),
    TEST(test_file_that_others_may_read_is_refused),
    TEST(test_what_lacks_anything_is_refused_with_what_it_should_be),
    TEST(test_parts_have_their_lengths_at_most),
};

SUITE_MAIN("credentials", tests)
