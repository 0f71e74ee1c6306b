/* The certificate of the API on TCP: the fleet's, and made anew in time while the old one is in
 * use. */
#include "manager/api_tls.h"

#include "test/samples.h"
#include "test/suite.h"

#define NOW_S (1000ull * CERTIFICATES_SERVER_PERIOD_S + 12345)

static const char *const HOSTS[] = {"fleet.example.org", "127.0.0.1"};
static const struct site SITE = {.name = "Dunlin API", .hosts = HOSTS, .host_count = 2};

static struct keyring sample_keyring(void)
{
    struct keyring k;
    struct fleet_keys keys = {.signing = sample_secret(1), .authority = sample_secret(2)};
    CU_ASSERT_EQUAL_FATAL(keyring_init(&k, &keys), 0);
    return k;
}

/* What a client would be shown now; the key is as GnuTLS holds it. */
static struct certificate shown(const struct keyring *k, gnutls_privkey_t *key)
{
    struct certificate c = {.name = ""};
    gnutls_pcert_st *certificate = NULL;
    unsigned count = 0;
    CU_ASSERT_EQUAL_FATAL(api_tls_retrieve(NULL, NULL, 0, NULL, 0, &certificate, &count, key), 0);
    CU_ASSERT_EQUAL(count, 1);
    struct span der = span_of(certificate->cert.data, certificate->cert.size);
    CU_ASSERT_EQUAL(certificate_check(der, &k->authority_public), 0);
    CU_ASSERT_EQUAL(certificate_read(der, &c), 0);
    return c;
}

static void test_certificate_is_the_fleets_and_good_now(void)
{
    struct keyring k = sample_keyring();
    gnutls_privkey_t key;
    struct api_tls *t = api_tls_new(&k, &SITE, NOW_S, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(t);
    struct certificate c = shown(&k, &key);
    CU_ASSERT_EQUAL(c.use, CERTIFICATE_SERVER);
    CU_ASSERT_TRUE(c.not_before_s < NOW_S && NOW_S + 30 * CERTIFICATES_DAY_S < c.not_after_s);
    CU_ASSERT_TRUE(c.not_after_s - NOW_S <= CERTIFICATES_SERVER_LIFE_S);
    api_tls_free(t);
}

static void test_it_is_made_anew_at_two_thirds_and_the_old_one_lasts_a_while(void)
{
    struct keyring k = sample_keyring();
    gnutls_privkey_t key, next_key;
    struct api_tls *t = api_tls_new(&k, &SITE, NOW_S, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(t);
    struct certificate first = shown(&k, &key);
    api_tls_renew(t, NOW_S + 40 * CERTIFICATES_DAY_S);
    struct certificate same = shown(&k, &next_key);
    CU_ASSERT_EQUAL(memcmp(&same.serial, &first.serial, sizeof first.serial), 0);
    CU_ASSERT_PTR_EQUAL(next_key, key);
    api_tls_renew(t, NOW_S + CERTIFICATES_SERVER_PERIOD_S);
    struct certificate next = shown(&k, &next_key);
    CU_ASSERT_NOT_EQUAL(memcmp(&next.serial, &first.serial, sizeof first.serial), 0);
    CU_ASSERT_NOT_EQUAL(memcmp(&next.key, &first.key, sizeof first.key), 0);
    CU_ASSERT_TRUE(next.not_after_s > first.not_after_s);
    CU_ASSERT_PTR_NOT_EQUAL(next_key, key);
    /* A handshake that began with the old key ends with it. */
    CU_ASSERT_EQUAL(gnutls_privkey_get_pk_algorithm(key, NULL), GNUTLS_PK_EC);
    for (unsigned i = 2; i < 6; i++)
        api_tls_renew(t, NOW_S + i * CERTIFICATES_SERVER_PERIOD_S);
    api_tls_free(t);
}

static void test_nothing_is_shown_when_it_is_gone(void)
{
    struct keyring k = sample_keyring();
    gnutls_pcert_st *certificate;
    unsigned count;
    gnutls_privkey_t key;
    api_tls_free(api_tls_new(&k, &SITE, NOW_S, NULL));
    CU_ASSERT_TRUE(api_tls_retrieve(NULL, NULL, 0, NULL, 0, &certificate, &count, &key) < 0);
}

static const struct suite_test tests[] = {
    TEST(test_certificate_is_the_fleets_and_good_now),
    TEST(test_it_is_made_anew_at_two_thirds_and_the_old_one_lasts_a_while),
    TEST(test_nothing_is_shown_when_it_is_gone),
};

SUITE_MAIN("api_tls", tests)
