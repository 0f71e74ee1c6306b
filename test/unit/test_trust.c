/* The trust document: what is read, and how one version leads to the next. */
#include "sync/trust.h"

#include "test/rewrite.h"
#include "test/suite.h"

#define ENVELOPE_MAX (TRUST_MAX + ENVELOPE_OVERHEAD_MAX)

static uint8_t memory[16][ENVELOPE_MAX];
static struct span chain[16];

static struct span write_trust(const struct trust *t)
{
    static uint8_t room[TRUST_MAX];
    struct buffer out = buffer_on(room, sizeof room);
    CU_ASSERT_EQUAL(trust_write(t, &out), 0);
    return span_buffer(&out);
}

/* Into the `at`-th place of the chain. */
static struct span sign_trust(size_t at, const struct trust *t, const unsigned *keys, size_t count)
{
    struct envelope e = {.body = write_trust(t)};
    struct buffer out = buffer_on(memory[at], sizeof memory[at]);
    for (size_t i = 0; i < count; i++) {
        struct secret_key secret = sample_secret(keys[i]);
        CU_ASSERT_EQUAL(envelope_sign(MESSAGE_TRUST, &e, &secret), 0);
    }
    CU_ASSERT_EQUAL(envelope_write(MESSAGE_TRUST, &e, &out), 0);
    return chain[at] = span_buffer(&out);
}

#define SIGN(at, t, ...)                                                                           \
    sign_trust(at, t, (const unsigned[]){__VA_ARGS__},                                             \
               sizeof((const unsigned[]){__VA_ARGS__}) / sizeof(unsigned))

/* One root key with threshold 1, one publisher, one online key. */
static struct trust small_trust(uint32_t version, unsigned root)
{
    struct trust t = {.version = version};
    struct public_key keys[] = {sample_public(root), sample_public(65),
                                sample_public(SAMPLE_ONLINE)};
    for (int role = 0; role < TRUST_ROLE_COUNT; role++)
        CU_ASSERT_EQUAL(trust_add(&t, (enum trust_role)role, &keys[role]), 0);
    return t;
}

/* ---- reading ---- */

static void test_document_comes_back(void)
{
    struct trust want = sample_trust(), got;
    CU_ASSERT_EQUAL(trust_read(write_trust(&want), &got), 0);
    CU_ASSERT_EQUAL(memcmp(&got, &want, sizeof want), 0);
    CU_ASSERT_EQUAL(got.roles[TRUST_ROOTS].threshold, 2);
    CU_ASSERT_EQUAL(got.roles[TRUST_PUBLISHERS].count, 2);
}

static void test_hostile_documents_are_refused(void)
{
    struct trust t = sample_trust();
    struct span bytes = write_trust(&t);
    CU_ASSERT_TRUE(rewrite_refuses_other_lengths(rewrite_trust, bytes));
    CU_ASSERT_TRUE(rewrite_survives_flips(rewrite_trust, bytes, false));
}

static void test_full_document_fits_its_limit(void)
{
    static struct trust t;
    unsigned key = 1;
    t = (struct trust){.version = UINT32_MAX, .issued_s = UINT64_MAX};
    for (int role = 0; role < TRUST_ROLE_COUNT; role++)
        while (t.roles[role].count < trust_role_max((enum trust_role)role)) {
            struct public_key public = sample_public(key++);
            CU_ASSERT_EQUAL(trust_add(&t, (enum trust_role)role, &public), 0);
        }
    for (t.authority_count = 0; t.authority_count < AUTHORITIES_MAX; t.authority_count++)
        sample_fill(t.authorities[t.authority_count].bytes, KEY_ID_LEN, t.authority_count);
    struct trust got;
    CU_ASSERT_EQUAL(trust_read(write_trust(&t), &got), 0);
    CU_ASSERT_EQUAL(memcmp(&got, &t, sizeof t), 0);
    struct public_key one_more = sample_public(key);
    for (int role = 0; role < TRUST_ROLE_COUNT; role++)
        CU_ASSERT_EQUAL(trust_add(&t, (enum trust_role)role, &one_more), ERR_RANGE);
}

static int read_changed(const struct trust *t)
{
    struct trust got;
    return trust_read(write_trust(t), &got);
}

static void test_thresholds_are_between_one_and_the_number_of_keys(void)
{
    for (int role = 0; role < TRUST_ROLE_COUNT; role++) {
        struct trust t = sample_trust();
        t.roles[role].threshold = 0;
        CU_ASSERT_EQUAL(read_changed(&t), ERR_RANGE);
        t.roles[role].threshold = t.roles[role].count + 1;
        CU_ASSERT_EQUAL(read_changed(&t), ERR_RANGE);
        t.roles[role].threshold = role == TRUST_ONLINE ? 1 : t.roles[role].count;
        CU_ASSERT_EQUAL(read_changed(&t), 0);
    }
}

static void test_roots_and_online_keys_are_never_missing(void)
{
    for (int role = 0; role < TRUST_ROLE_COUNT; role++) {
        struct trust t = sample_trust();
        t.roles[role] = (struct trust_keys){.threshold = 1};
        CU_ASSERT_EQUAL(read_changed(&t) == 0, role == TRUST_PUBLISHERS);
    }
}

static void test_keys_stand_in_order_and_once(void)
{
    struct trust t = sample_trust();
    struct trust_keys *k = &t.roles[TRUST_PUBLISHERS];
    struct public_key first = k->list[0];
    k->list[0] = k->list[1];
    CU_ASSERT_EQUAL(read_changed(&t), ERR_FORMAT);
    k->list[1] = first;
    CU_ASSERT_EQUAL(read_changed(&t), ERR_FORMAT);
    t = sample_trust();
    CU_ASSERT_EQUAL(trust_add(&t, TRUST_PUBLISHERS, &first), ERR_EXISTS);
}

static void test_a_key_has_one_role(void)
{
    for (int role = 0; role < TRUST_ROLE_COUNT; role++)
        for (int other = role + 1; other < TRUST_ROLE_COUNT; other++) {
            struct trust t = sample_trust();
            struct public_key key = t.roles[role].list[0];
            CU_ASSERT_EQUAL(trust_add(&t, (enum trust_role)other, &key), 0);
            CU_ASSERT_EQUAL(read_changed(&t), ERR_FORMAT);
        }
}

static void test_a_removed_key_leaves_the_others_in_order(void)
{
    struct trust t = sample_trust(), before = sample_trust();
    for (int i = 0; i < 2; i++) {
        struct public_key key = before.roles[TRUST_PUBLISHERS].list[i];
        struct key_id id = key_id_of(&key);
        CU_ASSERT_EQUAL(trust_remove(&t, TRUST_PUBLISHERS, &id), 0);
        CU_ASSERT_EQUAL(trust_remove(&t, TRUST_PUBLISHERS, &id), ERR_NOT_FOUND);
        CU_ASSERT_FALSE(trust_knows(&t, TRUST_PUBLISHERS, &id));
        CU_ASSERT_EQUAL(trust_add(&t, TRUST_PUBLISHERS, &key), 0);
        CU_ASSERT_EQUAL(memcmp(&t, &before, sizeof t), 0);
    }
}

static void test_version_zero_is_refused(void)
{
    struct trust t = sample_trust();
    t.version = 0;
    CU_ASSERT_EQUAL(read_changed(&t), ERR_RANGE);
}

/* ---- from one version to the next ---- */

static void test_next_version_needs_the_old_roots_and_its_own(void)
{
    struct trust one = small_trust(1, 1), two = small_trust(2, 33), got;
    CU_ASSERT_EQUAL(trust_follows(&one, SIGN(0, &two, 1), &got), ERR_UNTRUSTED);
    CU_ASSERT_EQUAL(trust_follows(&one, SIGN(0, &two, 33), &got), ERR_UNTRUSTED);
    CU_ASSERT_EQUAL(trust_follows(&one, SIGN(0, &two, 65, SAMPLE_ONLINE), &got), ERR_UNTRUSTED);
    CU_ASSERT_EQUAL(trust_follows(&one, SIGN(0, &two, 1, 33), &got), 0);
    CU_ASSERT_EQUAL(memcmp(&got, &two, sizeof two), 0);
}

static void test_both_thresholds_count(void)
{
    struct trust old = sample_trust(), new = sample_trust(), got;
    struct public_key third = sample_public(200);
    new.version++;
    CU_ASSERT_EQUAL(trust_add(&new, TRUST_ROOTS, &third), 0);
    new.roles[TRUST_ROOTS].threshold = 3;
    CU_ASSERT_EQUAL(trust_follows(&old, SIGN(0, &new, 1), &got), ERR_UNTRUSTED);
    CU_ASSERT_EQUAL(trust_follows(&old, SIGN(0, &new, 1, 161), &got), ERR_UNTRUSTED);
    CU_ASSERT_EQUAL(trust_follows(&old, SIGN(0, &new, 1, 200), &got), ERR_UNTRUSTED);
    CU_ASSERT_EQUAL(trust_follows(&old, SIGN(0, &new, 1, 161, 200), &got), 0);
}

static void test_versions_are_neither_skipped_nor_repeated(void)
{
    struct trust held = small_trust(5, 1), next, got;
    for (uint32_t version = 1; version < 10; version++) {
        next = small_trust(version, 1);
        CU_ASSERT_EQUAL(trust_follows(&held, SIGN(0, &next, 1), &got), version == 6 ? 0 : ERR_OLD);
    }
    held.version = UINT32_MAX;
    next = small_trust(1, 1);
    CU_ASSERT_EQUAL(trust_follows(&held, SIGN(0, &next, 1), &got), ERR_OLD);
}

static void test_next_version_with_any_byte_changed_or_missing_is_refused(void)
{
    struct trust one = small_trust(1, 1), two = small_trust(2, 33), got;
    struct span bytes = SIGN(0, &two, 1, 33);
    for (size_t i = 0; i < bytes.len; i++) {
        memory[0][i] ^= (uint8_t)(1u << i % 8);
        if (trust_follows(&one, bytes, &got) >= 0)
            CU_FAIL("a flipped bit was accepted");
        memory[0][i] ^= (uint8_t)(1u << i % 8);
    }
    for (size_t len = 0; len < bytes.len; len++)
        if (trust_follows(&one, span_of(memory[0], len), &got) >= 0)
            CU_FAIL("a prefix was accepted");
}

/* ---- from a pin ---- */

/* Four versions; the roots change with the third, and stay in the fourth. */
static void make_chain(void)
{
    struct trust t[] = {small_trust(1, 1), small_trust(2, 1), small_trust(3, 33),
                        small_trust(4, 33)};
    SIGN(0, &t[0], 1);
    SIGN(1, &t[1], 1);
    SIGN(2, &t[2], 1, 33);
    SIGN(3, &t[3], 33);
}

static struct root_pin pin_of(unsigned root)
{
    struct trust t = small_trust(9, root);
    return trust_pin(&t);
}

static void test_a_pin_leads_to_the_newest_version(void)
{
    struct trust got;
    struct root_pin old = pin_of(1), new = pin_of(33), other = pin_of(200);
    make_chain();
    for (size_t count = 1; count <= 4; count++) {
        CU_ASSERT_EQUAL(trust_walk(&old, chain, count, &got), 0);
        CU_ASSERT_EQUAL(got.version, count);
    }
    CU_ASSERT_EQUAL(trust_walk(&new, chain, 4, &got), 0);
    CU_ASSERT_EQUAL(trust_walk(&new, chain + 2, 2, &got), 0);
    CU_ASSERT_EQUAL(trust_walk(&new, chain, 2, &got), ERR_UNTRUSTED);
    CU_ASSERT_EQUAL(trust_walk(&old, chain + 2, 2, &got), ERR_UNTRUSTED);
    CU_ASSERT_EQUAL(trust_walk(&other, chain, 4, &got), ERR_UNTRUSTED);
    CU_ASSERT_EQUAL(trust_walk(&old, chain, 0, &got), ERR_UNTRUSTED);
}

static void test_a_walk_has_no_gap_and_no_forgery(void)
{
    struct trust got, forged = small_trust(1, 1);
    struct root_pin old = pin_of(1);
    make_chain();
    chain[2] = chain[3];
    CU_ASSERT_TRUE(trust_walk(&old, chain, 3, &got) < 0);
    SIGN(0, &forged, 33); /* the pinned roots, signed by others */
    CU_ASSERT_EQUAL(trust_walk(&old, chain, 1, &got), ERR_UNTRUSTED);
    make_chain();
    forged = small_trust(3, 200);
    SIGN(2, &forged, 200);
    CU_ASSERT_EQUAL(trust_walk(&old, chain, 3, &got), ERR_UNTRUSTED);
}

static void test_a_pin_names_roots_and_threshold_and_nothing_else(void)
{
    struct trust a = sample_trust(), b = sample_trust();
    b.version = 77;
    b.roles[TRUST_PUBLISHERS].count = 1;
    struct root_pin one = trust_pin(&a), two = trust_pin(&b);
    CU_ASSERT_EQUAL(memcmp(&one, &two, sizeof one), 0);
    b.roles[TRUST_ROOTS].threshold = 1;
    two = trust_pin(&b);
    CU_ASSERT_NOT_EQUAL(memcmp(&one, &two, sizeof one), 0);
}

static const struct suite_test tests[] = {
    TEST(test_document_comes_back),
    TEST(test_hostile_documents_are_refused),
    TEST(test_full_document_fits_its_limit),
    TEST(test_thresholds_are_between_one_and_the_number_of_keys),
    TEST(test_roots_and_online_keys_are_never_missing),
    TEST(test_keys_stand_in_order_and_once),
    TEST(test_a_key_has_one_role),
    TEST(test_a_removed_key_leaves_the_others_in_order),
    TEST(test_version_zero_is_refused),
    TEST(test_next_version_needs_the_old_roots_and_its_own),
    TEST(test_both_thresholds_count),
    TEST(test_versions_are_neither_skipped_nor_repeated),
    TEST(test_next_version_with_any_byte_changed_or_missing_is_refused),
    TEST(test_a_pin_leads_to_the_newest_version),
    TEST(test_a_walk_has_no_gap_and_no_forgery),
    TEST(test_a_pin_names_roots_and_threshold_and_nothing_else),
};

SUITE_MAIN("trust", tests)
