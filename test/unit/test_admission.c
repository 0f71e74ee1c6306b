#include "manager/certificates.h"

#include "manager/admission.h"
#include "manager/broker_config.h"
#include "manager/core/manager.h"
#include "manager/pass.h"
#include "test/samples.h"
#include "test/suite.h"
#include "test/tree.h"

#define DAY_S ((uint64_t)CERTIFICATES_DAY_S)
/* The beginning of a server's period, in 2030. */
#define NOW_S (366 * (uint64_t)CERTIFICATES_SERVER_PERIOD_S)

static const char *const HOSTS[] = {"fleet.example.org", "127.0.0.1"};
static const struct site SITE = {.name = "cell 0", .hosts = HOSTS, .host_count = 2};

static struct keyring keyring(void)
{
    struct fleet_keys keys = {.signing = sample_secret(1), .authority = sample_secret(129)};
    struct keyring k;
    sample_fill(keys.master.bytes, sizeof keys.master.bytes, 1);
    CU_ASSERT_EQUAL_FATAL(keyring_init(&k, &keys), 0);
    return k;
}

struct der {
    uint8_t bytes[CERTIFICATE_MAX];
    size_t len;
    struct certificate says;
    struct secret_key key; /* a server's */
};

static struct der server_at(const struct keyring *k, const struct site *site, uint64_t now_s)
{
    struct der d;
    struct buffer out = buffer_on(d.bytes, sizeof d.bytes);
    CU_ASSERT_EQUAL_FATAL(certificates_server(k, site, now_s, &d.key, &out), 0);
    CU_ASSERT_EQUAL_FATAL(certificate_read(span_buffer(&out), &d.says), 0);
    CU_ASSERT_EQUAL(certificate_check(span_buffer(&out), &k->authority_public), 0);
    d.len = out.len;
    return d;
}

static struct der authority_at(const struct keyring *k, uint64_t now_s)
{
    struct der d;
    struct buffer out = buffer_on(d.bytes, sizeof d.bytes);
    CU_ASSERT_EQUAL_FATAL(certificates_authority(k, now_s, &out), 0);
    CU_ASSERT_EQUAL_FATAL(certificate_read(span_buffer(&out), &d.says), 0);
    CU_ASSERT_EQUAL(certificate_check(span_buffer(&out), &k->authority_public), 0);
    d.len = out.len;
    return d;
}

static bool same(const struct der *a, const struct der *b)
{
    return span_equal(span_of(a->bytes, a->len), span_of(b->bytes, b->len));
}

/* ---- certificates ---- */

static void test_server_is_renewed_at_two_thirds_with_a_key_of_its_own(void)
{
    struct keyring k = keyring();
    struct der first = server_at(&k, &SITE, NOW_S),
               last = server_at(&k, &SITE, NOW_S + 60 * DAY_S - 1);
    struct der next = server_at(&k, &SITE, NOW_S + 60 * DAY_S);
    struct public_key public;
    CU_ASSERT_EQUAL(first.says.use, CERTIFICATE_SERVER);
    CU_ASSERT_STRING_EQUAL(first.says.name, "cell 0");
    CU_ASSERT_TRUE(same(&first, &last));
    CU_ASSERT_EQUAL(first.says.not_before_s, NOW_S - DAY_S);
    CU_ASSERT_EQUAL(first.says.not_after_s, NOW_S + 90 * DAY_S);
    CU_ASSERT_EQUAL(next.says.not_after_s, NOW_S + 150 * DAY_S);
    CU_ASSERT_NOT_EQUAL(memcmp(&first.says.key, &next.says.key, sizeof public), 0);
    CU_ASSERT_NOT_EQUAL(memcmp(&first.says.serial, &next.says.serial, CERTIFICATE_SERIAL_LEN), 0);
    CU_ASSERT_EQUAL(sign_public(&first.key, &public), 0);
    CU_ASSERT_EQUAL(memcmp(&first.says.key, &public, sizeof public), 0);
}

static void test_each_server_has_a_key_of_its_own(void)
{
    struct keyring k = keyring();
    struct site door = {.name = "door", .hosts = HOSTS, .host_count = 2};
    struct der a = server_at(&k, &SITE, NOW_S), b = server_at(&k, &door, NOW_S);
    CU_ASSERT_NOT_EQUAL(memcmp(&a.key, &b.key, sizeof a.key), 0);
    CU_ASSERT_NOT_EQUAL(memcmp(&a.key, &k.authority, sizeof a.key), 0);
}

/* At any time it has ten years to go at least, and it is always the same key that is pinned. */
static void test_authority_is_renewed_in_time_with_the_same_key(void)
{
    struct keyring k = keyring();
    for (uint64_t year = 0; year < 60; year++) {
        uint64_t now_s = NOW_S + year * 365 * DAY_S;
        struct der d = authority_at(&k, now_s);
        CU_ASSERT_EQUAL(d.says.use, CERTIFICATE_AUTHORITY);
        CU_ASSERT_TRUE(d.says.not_before_s <= now_s);
        CU_ASSERT_TRUE(d.says.not_after_s >= now_s + 3650 * DAY_S);
        CU_ASSERT_EQUAL(memcmp(&d.says.key, &k.authority_public, sizeof d.says.key), 0);
    }
}

static struct certificate pass_of(const struct keyring *k, struct pass *p)
{
    struct certificate says;
    struct span der = p->link.tls.certificate;
    struct public_key public;
    CU_ASSERT_EQUAL_FATAL(certificate_read(der, &says), 0);
    CU_ASSERT_EQUAL(certificate_check(der, &k->authority_public), 0);
    CU_ASSERT_EQUAL(sign_public(p->link.tls.key, &public), 0);
    CU_ASSERT_EQUAL(memcmp(&says.key, &public, sizeof public), 0);
    CU_ASSERT_EQUAL(says.use, CERTIFICATE_CLIENT);
    return says;
}

static void test_manager_has_a_name_that_no_agent_has_and_a_pass_for_three_days(void)
{
    struct keyring k = keyring();
    struct pass p;
    struct key_id id;
    CU_ASSERT_EQUAL(pass_make(&p, &k, ".", NOW_S + 5), 0);
    struct certificate first = pass_of(&k, &p);
    CU_ASSERT_STRING_EQUAL(first.name, "dunlin-manager");
    CU_ASSERT_TRUE(key_id_parse(first.name, &id) < 0);
    CU_ASSERT_EQUAL(first.not_before_s, NOW_S - DAY_S);
    CU_ASSERT_EQUAL(first.not_after_s, NOW_S + 2 * DAY_S);
    CU_ASSERT_EQUAL(pass_renew(&p, &k, NOW_S + DAY_S - 1), 0);
    CU_ASSERT_EQUAL(pass_of(&k, &p).not_after_s, first.not_after_s);
    CU_ASSERT_EQUAL(p.link.tls.now_s, NOW_S + DAY_S - 1);
    CU_ASSERT_EQUAL(pass_renew(&p, &k, NOW_S + DAY_S), 0);
    struct certificate next = pass_of(&k, &p);
    CU_ASSERT_EQUAL(next.not_after_s, first.not_after_s + DAY_S);
    CU_ASSERT_NOT_EQUAL(memcmp(&next.key, &first.key, sizeof next.key), 0);
    CU_ASSERT_NOT_EQUAL(memcmp(&next.serial, &first.serial, CERTIFICATE_SERIAL_LEN), 0);
}

static void test_pass_in_an_agents_name_is_revoked_with_the_agent_or_is_not(void)
{
    struct keyring k = keyring();
    struct blocked_agent agent = {.id = sample_agent(), .joined_s = NOW_S - 50 * DAY_S};
    struct certificate_serial revoked = certificate_agent_serial(&agent.id, 1);
    struct pass p;
    CU_ASSERT_EQUAL(pass_make_as(&p, &k, &agent, true, ".", NOW_S), 0);
    CU_ASSERT_STRING_EQUAL(pass_of(&k, &p).name, key_id_hex(&agent.id).text);
    CU_ASSERT_EQUAL(memcmp(pass_of(&k, &p).serial.bytes, revoked.bytes, CERTIFICATE_SERIAL_LEN), 0);
    CU_ASSERT_EQUAL(pass_make_as(&p, &k, &agent, false, ".", NOW_S), 0);
    CU_ASSERT_STRING_EQUAL(pass_of(&k, &p).name, key_id_hex(&agent.id).text);
    for (uint32_t period = 0; period < 4; period++) {
        revoked = certificate_agent_serial(&agent.id, period);
        CU_ASSERT_NOT_EQUAL(
            memcmp(pass_of(&k, &p).serial.bytes, revoked.bytes, CERTIFICATE_SERIAL_LEN), 0);
    }
}

/* ---- what counts no more ---- */

static size_t revoked_len(const struct keyring *k, uint64_t joined_s, size_t count)
{
    static char room[CERTIFICATE_CRL_MAX(8)];
    struct blocked_agent blocked[4] = {{.joined_s = joined_s}};
    struct buffer pem = buffer_on(room, sizeof room);
    for (size_t i = 0; i < count; i++) {
        blocked[i].joined_s = joined_s;
        sample_fill(blocked[i].id.bytes, KEY_ID_LEN, (unsigned)i * 16);
    }
    CU_ASSERT_EQUAL(certificates_revoked(k, blocked, count, NOW_S, &pem), 0);
    return pem.len;
}

/* Each line that is in the list takes the same room. */
static void test_revoked_are_this_certificate_and_the_one_before(void)
{
    struct keyring k = keyring();
    size_t none = revoked_len(&k, NOW_S, 0), one = revoked_len(&k, NOW_S, 1);
    size_t two = revoked_len(&k, NOW_S - CERTIFICATE_PERIOD_S, 1);
    CU_ASSERT_TRUE(one > none);
    CU_ASSERT_TRUE(two > one);
    CU_ASSERT_EQUAL(revoked_len(&k, NOW_S + DAY_S, 1), one); /* joined by a clock that was wrong */
    CU_ASSERT_EQUAL(revoked_len(&k, NOW_S - 7 * CERTIFICATE_PERIOD_S, 1), two);
    CU_ASSERT_TRUE(revoked_len(&k, NOW_S - 7 * CERTIFICATE_PERIOD_S, 4) > two);
}

/* ---- files ---- */

static void check_mode(const struct tree_path *dir, const char *name)
{
    struct tree_path path = tree_join(dir, name);
    struct stat st = {0};
    CU_ASSERT_EQUAL(stat(path.text, &st), 0);
    CU_ASSERT_EQUAL(st.st_mode & 07777, 0600);
}

static void test_files_are_written_when_they_differ(void)
{
    struct tree_path dir = tree_new(), key = tree_join(&dir, BROKER_KEY_FILE);
    struct keyring k = keyring();
    CU_ASSERT_EQUAL(certificates_put_server(&k, &SITE, NOW_S, dir.text, NULL), 1);
    CU_ASSERT_EQUAL(certificates_put_server(&k, &SITE, NOW_S + DAY_S, dir.text, NULL), 0);
    CU_ASSERT_EQUAL(certificates_put_server(&k, &SITE, NOW_S + 60 * DAY_S, dir.text, NULL), 1);
    CU_ASSERT_EQUAL(unlink(key.text), 0);
    CU_ASSERT_EQUAL(certificates_put_server(&k, &SITE, NOW_S + 60 * DAY_S, dir.text, NULL), 1);
    check_mode(&dir, BROKER_KEY_FILE);
    check_mode(&dir, BROKER_CERTIFICATE_FILE);
    check_mode(&dir, BROKER_CA_FILE);
    tree_free(&dir);
    CU_ASSERT_TRUE(certificates_put_server(&k, &SITE, NOW_S, dir.text, NULL) < 0);
}

static void test_other_hosts_make_another_certificate(void)
{
    struct tree_path dir = tree_new();
    struct keyring k = keyring();
    struct site moved = {.name = SITE.name, .hosts = HOSTS, .host_count = 1};
    CU_ASSERT_EQUAL(certificates_put_server(&k, &SITE, NOW_S, dir.text, NULL), 1);
    CU_ASSERT_EQUAL(certificates_put_server(&k, &moved, NOW_S, dir.text, NULL), 1);
    tree_free(&dir);
}

static bool acl_names(const struct tree_path *dir, const struct key_id *id)
{
    static char room[BROKER_ACL_MAX + 1];
    struct tree_path path = tree_join(dir, BROKER_ACL_FILE);
    struct buffer text = buffer_on(room, sizeof room - 1);
    CU_ASSERT_EQUAL(file_read(path.text, &text, NULL), 0);
    room[text.len] = '\0';
    return strstr(room, key_id_hex(id).text) != NULL;
}

static void test_blocked_agents_are_in_the_files_until_they_are_not(void)
{
    struct tree_path dir = tree_new();
    struct keyring k = keyring();
    struct admission *a = admission_new(BROKER_CELL);
    struct blocked_agent one = {.id = sample_agent(), .joined_s = NOW_S};
    struct key_id other = {.bytes = {1}};
    CU_ASSERT_EQUAL(admission_set(a, &k, NULL, 0, NOW_S, NULL), 0);
    CU_ASSERT_EQUAL(admission_file(a, dir.text, NULL), 1);
    CU_ASSERT_EQUAL(admission_file(a, dir.text, NULL), 0);
    CU_ASSERT_FALSE(acl_names(&dir, &one.id));
    CU_ASSERT_EQUAL(admission_set(a, &k, &one, 1, NOW_S, NULL), 0);
    CU_ASSERT_PTR_NOT_NULL(admission_find(a, &one.id));
    CU_ASSERT_PTR_NULL(admission_find(a, &other));
    CU_ASSERT_EQUAL(admission_file(a, dir.text, NULL), 1);
    CU_ASSERT_TRUE(acl_names(&dir, &one.id));
    CU_ASSERT_EQUAL(admission_set(a, &k, NULL, 0, NOW_S, NULL), 0);
    CU_ASSERT_PTR_NULL(admission_find(a, &one.id));
    CU_ASSERT_EQUAL(admission_file(a, dir.text, NULL), 1);
    CU_ASSERT_FALSE(acl_names(&dir, &one.id));
    admission_free(a);
    tree_free(&dir);
}

static struct blocked_agent numbered(uint32_t n)
{
    struct blocked_agent b = {.joined_s = NOW_S};
    memcpy(b.id.bytes, &n, sizeof n);
    return b;
}

/* The access list stays short; the certificates of all are revoked. */
static void test_very_many_blocked_agents(void)
{
    enum { COUNT = 3 * BROKER_BLOCKED_MAX };
    struct tree_path dir = tree_new();
    struct keyring k = keyring();
    struct admission *a = admission_new(BROKER_CELL);
    struct blocked_agent *all = calloc(COUNT, sizeof *all);
    for (uint32_t i = 0; i < COUNT; i++)
        all[i] = numbered(i);
    CU_ASSERT_EQUAL(admission_set(a, &k, all, COUNT, NOW_S + CERTIFICATE_PERIOD_S, NULL), 0);
    CU_ASSERT_EQUAL(admission_file(a, dir.text, NULL), 1);
    CU_ASSERT_FALSE(acl_names(&dir, &all[0].id));
    CU_ASSERT_TRUE(acl_names(&dir, &all[COUNT - 1].id));
    CU_ASSERT_PTR_NOT_NULL(admission_find(a, &all[0].id));
    CU_ASSERT_PTR_NOT_NULL(admission_find(a, &all[COUNT / 2].id));
    free(all);
    admission_free(a);
    tree_free(&dir);
}

static const struct suite_test tests[] = {
    TEST(test_manager_has_a_name_that_no_agent_has_and_a_pass_for_three_days),
    TEST(test_pass_in_an_agents_name_is_revoked_with_the_agent_or_is_not),
    TEST(test_server_is_renewed_at_two_thirds_with_a_key_of_its_own),
    TEST(test_each_server_has_a_key_of_its_own),
    TEST(test_authority_is_renewed_in_time_with_the_same_key),
    TEST(test_revoked_are_this_certificate_and_the_one_before),
    TEST(test_files_are_written_when_they_differ),
    TEST(test_other_hosts_make_another_certificate),
    TEST(test_blocked_agents_are_in_the_files_until_they_are_not),
    TEST(test_very_many_blocked_agents),
};

SUITE_MAIN("admission", tests)
