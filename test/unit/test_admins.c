/* Credentials of people and programs: what proves them, what each may do, and how they end. */
#include "manager/admins.h"

#include "manager/api_routes.h"
#include "test/samples.h"
#include "test/suite.h"
#include "test/tree.h"

#define NOW_S 1000

static struct admin_secret secret_of(unsigned first)
{
    struct admin_secret secret;
    sample_fill(secret.bytes, ADMIN_SECRET_LEN, first);
    return secret;
}

static struct admin_row row_of(const char *name, unsigned first)
{
    struct admin_secret secret = secret_of(first);
    struct admin_row row = {.role = ROLE_OPERATOR,
                            .created_s = NOW_S,
                            .expires_s = NOW_S + 100,
                            .digest = admin_digest(&secret)};
    snprintf(row.name, sizeof row.name, "%s", name);
    return row;
}

static int create(struct admins *a, const char *name, unsigned first)
{
    struct admin_row row = row_of(name, first);
    uint32_t index;
    return admins_create(a, &row, &index, NULL);
}

static int find(const struct admins *a, unsigned first, uint64_t now_s, const char *name)
{
    struct admin_secret secret = secret_of(first);
    const struct admin_row *row = NULL;
    int rv = admins_find(a, &secret, now_s, &row, NULL);
    if (rv == 0)
        CU_ASSERT_STRING_EQUAL(row->name, name);
    return rv;
}

static void test_secret_finds_its_owner_until_it_ends(void)
{
    struct admins *a = admins_new();
    uint32_t index = 9;
    CU_ASSERT_EQUAL(create(a, "ann", 1), 0);
    CU_ASSERT_EQUAL(create(a, "bob", 2), 0);
    CU_ASSERT_EQUAL(find(a, 1, NOW_S, "ann"), 0);
    CU_ASSERT_EQUAL(find(a, 2, NOW_S + 99, "bob"), 0);
    CU_ASSERT_EQUAL(find(a, 2, NOW_S + 100, "bob"), ERR_EXPIRED);
    CU_ASSERT_EQUAL(find(a, 3, NOW_S, ""), ERR_NOT_FOUND);
    CU_ASSERT_EQUAL(admins_revoke(a, "bob", &index, NULL), 0);
    CU_ASSERT_EQUAL(index, 1);
    CU_ASSERT_EQUAL(admins_revoke(a, "bob", &index, NULL), 1);
    CU_ASSERT_EQUAL(find(a, 2, NOW_S, "bob"), ERR_REFUSED);
    CU_ASSERT_EQUAL(find(a, 1, NOW_S, "ann"), 0);
    CU_ASSERT_EQUAL(admins_revoke(a, "eve", &index, NULL), ERR_NOT_FOUND);
    admins_free(a);
}

static void test_name_is_taken_while_it_works(void)
{
    struct admins *a = admins_new();
    uint32_t index;
    CU_ASSERT_EQUAL(create(a, "ann", 1), 0);
    CU_ASSERT_EQUAL(create(a, "ann", 2), ERR_EXISTS);
    CU_ASSERT_EQUAL(admins_revoke(a, "ann", &index, NULL), 0);
    CU_ASSERT_EQUAL(create(a, "ann", 2), 0);
    CU_ASSERT_EQUAL(admins_count(a), 1);
    CU_ASSERT_EQUAL(find(a, 1, NOW_S, ""), ERR_NOT_FOUND);
    CU_ASSERT_EQUAL(find(a, 2, NOW_S, "ann"), 0);
    CU_ASSERT_EQUAL(create(a, "", 3), ERR_FORMAT);
    CU_ASSERT_EQUAL(create(a, "a b", 3), ERR_FORMAT);
    CU_ASSERT_EQUAL(create(a, "../x", 3), ERR_FORMAT);
    admins_free(a);
}

static void test_full_table_takes_the_place_of_what_is_worth_nothing(void)
{
    struct admins *a = admins_new();
    uint32_t index;
    char name[16];
    for (unsigned i = 0; i < ADMINS_MAX; i++) {
        snprintf(name, sizeof name, "n%u", i);
        CU_ASSERT_EQUAL(create(a, name, i), 0);
    }
    CU_ASSERT_EQUAL(create(a, "more", 1), ERR_RANGE);
    CU_ASSERT_EQUAL(admins_revoke(a, "n77", &index, NULL), 0);
    struct admin_row row = row_of("more", 1);
    CU_ASSERT_EQUAL(admins_create(a, &row, &index, NULL), 0);
    CU_ASSERT_EQUAL(index, 77);
    CU_ASSERT_EQUAL(admins_count(a), ADMINS_MAX);
    admins_free(a);
}

static void test_table_comes_back_as_it_was_committed(void)
{
    struct tree_path dir = tree_new();
    struct fleet_keys keys = {.signing = sample_secret(1), .authority = sample_secret(2)};
    struct ledger *l = ledger_open(dir.text, &keys, NULL);
    struct admins *a = admins_new();
    struct admin_row ann = row_of("ann", 1), bob = row_of("bob", 2);
    tree_must(l != NULL, "ledger");
    bob.revoked = true;
    CU_ASSERT_EQUAL(ledger_admin(l, 0, &ann, NULL), 0);
    CU_ASSERT_EQUAL(ledger_admin(l, 1, &bob, NULL), 0);
    CU_ASSERT_EQUAL(ledger_commit(l, NULL), 0);
    CU_ASSERT_EQUAL(create(a, "never-committed", 9), 0);
    CU_ASSERT_EQUAL(admins_load(a, l, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(admins_count(a), 2);
    CU_ASSERT_STRING_EQUAL(admins_row(a, 0)->name, "ann");
    CU_ASSERT_EQUAL(admins_row(a, 0)->role, ROLE_OPERATOR);
    CU_ASSERT_EQUAL(admins_row(a, 0)->expires_s, ann.expires_s);
    CU_ASSERT_FALSE(admins_row(a, 0)->revoked);
    CU_ASSERT_TRUE(admins_row(a, 1)->revoked);
    CU_ASSERT_EQUAL(find(a, 1, NOW_S, "ann"), 0);
    admins_free(a);
    ledger_close(l);
    tree_free(&dir);
}

static void test_token_is_read_from_its_header_and_nothing_else_is(void)
{
    struct admin_secret secret = secret_of(5), read;
    struct admin_token token = admin_token_format(&secret);
    char header[256];
    static const char *const good[] = {"Bearer ", "bearer ", "BEARER   "};
    static const char *const bad[][2] = {{"", ""},         {"Bearer", ""},   {"Basic ", ""},
                                         {"Bearer ", " "}, {"Bearer ", "0"}, {" Bearer ", ""},
                                         {"Bearer x", ""}, {"Bearer\t", ""}, {"Bearer dla1-", ""}};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        snprintf(header, sizeof header, "%s%s", good[i], token.text);
        CU_ASSERT_EQUAL(admin_authorization_read(header, &read), 0);
        CU_ASSERT_EQUAL(memcmp(&read, &secret, sizeof read), 0);
        header[strlen(header) - 1] = '\0';
        CU_ASSERT_EQUAL(admin_authorization_read(header, &read), ERR_FORMAT);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        snprintf(header, sizeof header, "%s%s%s", bad[i][0], token.text, bad[i][1]);
        CU_ASSERT_EQUAL(admin_authorization_read(header, &read), ERR_FORMAT);
    }
}

static void test_every_route_takes_a_role_and_changes_take_more_than_a_viewer(void)
{
    size_t count;
    const struct route *routes = api_routes(&count);
    CU_ASSERT_TRUE(count > 20);
    for (size_t i = 0; i < count; i++) {
        bool reads = strcmp(routes[i].method, "GET") == 0;
        CU_ASSERT_TRUE(routes[i].role > ROLE_NONE && routes[i].role < ROLE_COUNT);
        CU_ASSERT_TRUE(reads || routes[i].role > ROLE_VIEWER);
    }
}

/* Who lets devices or people in or out, or says whose bundles run, is an admin. */
static void test_keys_tokens_and_people_are_for_admins(void)
{
    static const char *const nouns[] = {"/v1/tokens", "/v1/publishers", "/v1/admins"};
    size_t count;
    const struct route *routes = api_routes(&count);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < sizeof nouns / sizeof nouns[0]; k++)
            if (strncmp(routes[i].path, nouns[k], strlen(nouns[k])) == 0 &&
                strcmp(routes[i].method, "GET") != 0)
                CU_ASSERT_EQUAL(routes[i].role, ROLE_ADMIN);
}

static void test_roles_have_names(void)
{
    enum role role = ROLE_NONE;
    for (enum role r = ROLE_VIEWER; r < ROLE_COUNT; r++) {
        CU_ASSERT_EQUAL(role_parse(role_name(r), &role), 0);
        CU_ASSERT_EQUAL(role, r);
    }
    CU_ASSERT_EQUAL(role_parse("none", &role), ERR_FORMAT);
    CU_ASSERT_EQUAL(role_parse("Admin", &role), ERR_FORMAT);
}

static const struct suite_test tests[] = {
    TEST(test_secret_finds_its_owner_until_it_ends),
    TEST(test_name_is_taken_while_it_works),
    TEST(test_full_table_takes_the_place_of_what_is_worth_nothing),
    TEST(test_table_comes_back_as_it_was_committed),
    TEST(test_token_is_read_from_its_header_and_nothing_else_is),
    TEST(test_every_route_takes_a_role_and_changes_take_more_than_a_viewer),
    TEST(test_keys_tokens_and_people_are_for_admins),
    TEST(test_roles_have_names),
};

SUITE_MAIN("admins", tests)
