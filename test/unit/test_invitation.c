#include "sync/invitation.h"

#include "test/samples.h"
#include "test/suite.h"

#include <stdio.h>

static struct invitation sample(const char *host)
{
    struct token token = sample_token();
    struct invitation i = {.token = token_format(&token)};
    snprintf(i.host, sizeof i.host, "%s", host);
    return i;
}

static void test_an_invitation_comes_back_with_every_kind_of_host(void)
{
    static const char *const hosts[] = {"fleet.example.org:8884", "192.0.2.7", "[2001:db8::1]:8884",
                                        "mqtt://127.0.0.1:1883", "a/b"};
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        struct invitation wanted = sample(hosts[i]), read;
        struct invitation_text text = invitation_write(&wanted);
        CU_ASSERT_TRUE(invitation_begins(text.text));
        CU_ASSERT_EQUAL(invitation_read(text.text, &read, NULL), 0);
        CU_ASSERT_STRING_EQUAL(read.host, hosts[i]);
        CU_ASSERT_STRING_EQUAL(read.token.text, wanted.token.text);
    }
}

static void test_the_longest_host_fits_and_no_longer_one(void)
{
    char text[INVITATION_MAX + 2];
    struct invitation wanted = sample(""), read;
    struct errmsg em;
    memset(wanted.host, 'h', CELL_URL_MAX);
    CU_ASSERT_EQUAL(strlen(invitation_write(&wanted).text), INVITATION_MAX);
    CU_ASSERT_EQUAL(invitation_read(invitation_write(&wanted).text, &read, NULL), 0);
    CU_ASSERT_STRING_EQUAL(read.host, wanted.host);
    snprintf(text, sizeof text, "dunlin:%sh/%s", wanted.host, wanted.token.text);
    CU_ASSERT_EQUAL(invitation_read(text, &read, &em), ERR_FORMAT);
    CU_ASSERT_STRING_EQUAL(em.text, "the invitation's host is longer than 255 characters");
}

static void test_other_texts_are_refused_with_a_sentence(void)
{
    static const struct {
        const char *text, *sentence;
    } cases[] = {
        {"", "no invitation (dunlin:HOST:PORT/TOKEN)"},
        {"dunlin", "no invitation (dunlin:HOST:PORT/TOKEN)"},
        {"dunlin:", "no invitation (dunlin:HOST:PORT/TOKEN)"},
        {"dunlin:host", "no invitation (dunlin:HOST:PORT/TOKEN)"},
        {"dunlin:/dlt1-", "no invitation (dunlin:HOST:PORT/TOKEN)"},
        {"dunlin:host/", "not a Dunlin token (it begins with dlt1-)"},
        {"dunlin:host/dlt1-AAAA", "token is truncated: 9 of 85 characters"},
        {"Dunlin:host/dlt1-AAAA", "no invitation (dunlin:HOST:PORT/TOKEN)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct invitation read;
        struct errmsg em;
        CU_ASSERT_EQUAL(invitation_read(cases[i].text, &read, &em), ERR_FORMAT);
        CU_ASSERT_STRING_EQUAL(em.text, cases[i].sentence);
    }
}

static void test_truncated_at_every_length_it_is_refused(void)
{
    struct invitation wanted = sample("host:1"), read;
    struct invitation_text text = invitation_write(&wanted);
    for (size_t len = strlen(text.text); len-- > 0;) {
        text.text[len] = '\0';
        CU_ASSERT_EQUAL(invitation_read(text.text, &read, NULL), ERR_FORMAT);
    }
}

static const struct suite_test tests[] = {
    TEST(test_an_invitation_comes_back_with_every_kind_of_host),
    TEST(test_the_longest_host_fits_and_no_longer_one),
    TEST(test_other_texts_are_refused_with_a_sentence),
    TEST(test_truncated_at_every_length_it_is_refused),
};

SUITE_MAIN("invitation", tests)
