/* One authority follows another: what is left of the elder, and for how long. */
#include "manager/succession.h"

#include "manager/core/manager.h"
#include "test/samples.h"
#include "test/suite.h"

#define NOW_S 1900000000ull /* in 2030 */
#define DAY_S 86400ull

static struct fleet_keys fleet(void)
{
    return (struct fleet_keys){.signing = sample_secret(1), .authority = sample_secret(129)};
}

static struct keyring keyring_of(const struct fleet_keys *keys)
{
    struct keyring k;
    CU_ASSERT_EQUAL_FATAL(keyring_init(&k, keys), 0);
    return k;
}

static void follow(struct fleet_keys *keys, uint64_t now_s, bool stolen)
{
    CU_ASSERT_EQUAL_FATAL(keyring_draw_heir(keys, FLEET_AUTHORITY, stolen), 0);
    CU_ASSERT_EQUAL_FATAL(succession_take(keys, now_s), 0);
}

static struct public_key public_of(const struct secret_key *secret)
{
    struct public_key key;
    CU_ASSERT_EQUAL_FATAL(sign_public(secret, &key), 0);
    return key;
}

static void test_elder_certifies_who_follows_for_as_long_as_itself(void)
{
    struct fleet_keys keys = fleet();
    struct public_key old = public_of(&keys.authority);
    struct certificate cross, own;
    follow(&keys, NOW_S, false);
    const struct elder *e = &keys.elders[0];
    struct public_key new = public_of(&keys.authority);
    struct key_id old_id = key_id_of(&old), new_id = key_id_of(&new);
    CU_ASSERT_EQUAL(keys.elder_count, 1);
    CU_ASSERT_TRUE(key_id_equal(&e->id, &old_id));
    CU_ASSERT_EQUAL(certificate_read(span_of(e->own, e->own_len), &own), 0);
    CU_ASSERT_EQUAL(certificate_read(span_of(e->cross, e->cross_len), &cross), 0);
    CU_ASSERT_EQUAL(certificate_check(span_of(e->own, e->own_len), &old), 0);
    CU_ASSERT_EQUAL(certificate_check(span_of(e->cross, e->cross_len), &old), 0);
    CU_ASSERT_EQUAL(memcmp(&cross.key, &new, sizeof new), 0);
    CU_ASSERT_STRING_EQUAL(cross.name, certificate_authority_name(&new_id).text);
    CU_ASSERT_STRING_EQUAL(cross.issuer, own.name);
    CU_ASSERT_EQUAL(cross.use, CERTIFICATE_AUTHORITY);
    CU_ASSERT_EQUAL(cross.not_after_s, own.not_after_s);
    CU_ASSERT_EQUAL(e->until_s, own.not_after_s);
    CU_ASSERT_TRUE(e->until_s > NOW_S + 3650 * DAY_S);
}

static void test_planned_succession_keeps_the_secret_for_sixty_days(void)
{
    struct fleet_keys keys = fleet();
    const struct secret_key old = keys.authority;
    follow(&keys, NOW_S, false);
    struct keyring k = keyring_of(&keys);
    CU_ASSERT_TRUE(keyring_counts(&k.elders[0]));
    CU_ASSERT_EQUAL(memcmp(&keys.elders[0].secret, &old, sizeof old), 0);
    CU_ASSERT_EQUAL(succession_end_s(&k.elders[0]), NOW_S + 60 * DAY_S);
    CU_ASSERT_PTR_NULL(succession_due(&k, NOW_S + 60 * DAY_S - 1));
    const struct elder *due = succession_due(&k, NOW_S + 60 * DAY_S);
    CU_ASSERT_PTR_EQUAL_FATAL(due, &k.elders[0]);
    succession_close(&keys, &due->id);
    k = keyring_of(&keys);
    CU_ASSERT_FALSE(keyring_counts(&k.elders[0]));
    CU_ASSERT_PTR_NULL(succession_due(&k, NOW_S + 61 * DAY_S));
    CU_ASSERT_EQUAL(certificates_steps(&k, NOW_S + 61 * DAY_S), 1); /* it leads on */
}

static void test_theft_leaves_no_secret_of_any_elder(void)
{
    struct fleet_keys keys = fleet();
    follow(&keys, NOW_S, false);
    follow(&keys, NOW_S + DAY_S, true);
    struct keyring k = keyring_of(&keys);
    CU_ASSERT_EQUAL(k.elder_count, 2);
    CU_ASSERT_FALSE(keyring_counts(&k.elders[0]) || keyring_counts(&k.elders[1]));
    CU_ASSERT_TRUE(k.elders[0].stolen && !k.elders[1].stolen);
    CU_ASSERT_EQUAL(certificates_steps(&k, NOW_S + DAY_S), 2);
}

static void test_the_last_three_elders_are_kept(void)
{
    struct fleet_keys keys = fleet();
    struct key_id ids[4];
    for (uint64_t i = 0; i < 4; i++) {
        struct public_key key = public_of(&keys.authority);
        ids[i] = key_id_of(&key);
        follow(&keys, NOW_S + i, false);
    }
    CU_ASSERT_EQUAL(keys.elder_count, ELDERS_MAX);
    for (int i = 0; i < ELDERS_MAX; i++)
        CU_ASSERT_TRUE(key_id_equal(&keys.elders[i].id, &ids[3 - i]));
}

static void test_expired_elders_lead_nowhere(void)
{
    struct fleet_keys keys = fleet();
    follow(&keys, NOW_S, true);
    struct keyring k = keyring_of(&keys);
    CU_ASSERT_EQUAL(certificates_steps(&k, k.elders[0].until_s), 1);
    CU_ASSERT_EQUAL(certificates_steps(&k, k.elders[0].until_s + 1), 0);
}

/* Whoever stole the authority's key may have found the heir's beside it. */
static void test_heir_that_was_drawn_before_a_theft_does_not_follow_after_it(void)
{
    struct fleet_keys keys = fleet();
    for (int which = 0; which < FLEET_KEY_COUNT; which++) {
        enum fleet_key key = (enum fleet_key)which;
        struct heir *heir = &keys.heirs[which];
        CU_ASSERT_EQUAL(keyring_draw_heir(&keys, key, false), 0);
        struct secret_key before = heir->secret;
        CU_ASSERT_EQUAL(keyring_draw_heir(&keys, key, false), 1);
        CU_ASSERT_EQUAL(memcmp(&heir->secret, &before, sizeof before), 0);
        CU_ASSERT_EQUAL(keyring_draw_heir(&keys, key, true), 0);
        CU_ASSERT_NOT_EQUAL(memcmp(&heir->secret, &before, sizeof before), 0);
        before = heir->secret;
        CU_ASSERT_EQUAL(keyring_draw_heir(&keys, key, true), 1);
        CU_ASSERT_EQUAL(keyring_draw_heir(&keys, key, false), 1);
        CU_ASSERT_EQUAL(memcmp(&heir->secret, &before, sizeof before), 0);
        CU_ASSERT_TRUE(heir->stolen);
    }
}

static void test_without_an_heir_nobody_follows(void)
{
    struct fleet_keys keys = fleet();
    const struct secret_key old = keys.authority;
    CU_ASSERT_EQUAL(succession_take(&keys, NOW_S), ERR_CRYPTO);
    CU_ASSERT_EQUAL(keys.elder_count, 0);
    CU_ASSERT_EQUAL(memcmp(&keys.authority, &old, sizeof old), 0);
}

static void test_what_servers_show_has_another_version_after_each_change(void)
{
    struct fleet_keys keys = fleet();
    uint64_t seen[4];
    struct keyring k = keyring_of(&keys);
    seen[0] = certificates_version(&k, NOW_S);
    CU_ASSERT_EQUAL(certificates_version(&k, NOW_S + 1), seen[0]);
    follow(&keys, NOW_S, false);
    k = keyring_of(&keys);
    seen[1] = certificates_version(&k, NOW_S);
    succession_close(&keys, &k.elders[0].id);
    k = keyring_of(&keys);
    seen[2] = certificates_version(&k, NOW_S);
    seen[3] = certificates_version(&k, NOW_S + CERTIFICATES_SERVER_PERIOD_S);
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < i; j++)
            CU_ASSERT_NOT_EQUAL(seen[i], seen[j]);
}

static const struct suite_test tests[] = {
    TEST(test_elder_certifies_who_follows_for_as_long_as_itself),
    TEST(test_planned_succession_keeps_the_secret_for_sixty_days),
    TEST(test_theft_leaves_no_secret_of_any_elder),
    TEST(test_the_last_three_elders_are_kept),
    TEST(test_expired_elders_lead_nowhere),
    TEST(test_heir_that_was_drawn_before_a_theft_does_not_follow_after_it),
    TEST(test_without_an_heir_nobody_follows),
    TEST(test_what_servers_show_has_another_version_after_each_change),
};

SUITE_MAIN("succession", tests)
