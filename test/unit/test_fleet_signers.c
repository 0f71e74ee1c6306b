/* The trust document that a manager tells: who of its roots has signed it, and who is only named.
 */
#include "manager/cli/fleet_signers.h"

#include "test/samples.h"
#include "test/suite.h"

#define SAMPLE_THIEF 33

static struct trust got;
static struct fleet_signers by;

/* `t`, signed by the roots that count up from these. */
static int tell(const struct trust *t, const unsigned *signers, size_t count, unsigned flip)
{
    static uint8_t body_memory[TRUST_MAX], memory[TRUST_MAX + ENVELOPE_OVERHEAD_MAX];
    struct buffer body = buffer_on(body_memory, sizeof body_memory);
    struct buffer out = buffer_on(memory, sizeof memory);
    CU_ASSERT_EQUAL(trust_write(t, &body), 0);
    struct envelope e = {.body = span_buffer(&body)};
    for (size_t i = 0; i < count; i++) {
        struct secret_key secret = sample_secret(signers[i]);
        CU_ASSERT_EQUAL(envelope_sign(MESSAGE_TRUST, &e, &secret), 0);
    }
    e.list[0].signature.bytes[0] ^= (uint8_t)flip;
    CU_ASSERT_EQUAL(envelope_write(MESSAGE_TRUST, &e, &out), 0);
    return fleet_signers_read(span_buffer(&out), &got, &by);
}

static bool is_by(unsigned root)
{
    struct public_key key = sample_public(root);
    return fleet_signers_have(&by, &key);
}

static void test_document_is_by_the_roots_that_signed_it(void)
{
    struct trust t = sample_trust();
    t.roles[TRUST_ROOTS].threshold = 1;
    CU_ASSERT_EQUAL(tell(&t, (const unsigned[]){SAMPLE_ROOT}, 1, 0), 0);
    CU_ASSERT_EQUAL(got.version, t.version);
    CU_ASSERT_TRUE(is_by(SAMPLE_ROOT));
    CU_ASSERT_FALSE(is_by(SAMPLE_ROOT_TOO));
    CU_ASSERT_EQUAL(tell(&t, (const unsigned[]){SAMPLE_ROOT, SAMPLE_ROOT_TOO}, 2, 0), 0);
    CU_ASSERT_TRUE(is_by(SAMPLE_ROOT) && is_by(SAMPLE_ROOT_TOO));
}

/* Its next version, signed by the root that is named, would be the fleet's next version. */
static void test_document_that_only_names_a_root_is_not_by_it(void)
{
    struct trust t = sample_trust();
    struct public_key thief = sample_public(SAMPLE_THIEF);
    t.roles[TRUST_ROOTS].threshold = 1;
    CU_ASSERT_EQUAL(trust_add(&t, TRUST_ROOTS, &thief), 0);
    CU_ASSERT_EQUAL(tell(&t, (const unsigned[]){SAMPLE_THIEF}, 1, 0), 0);
    CU_ASSERT_TRUE(is_by(SAMPLE_THIEF));
    CU_ASSERT_FALSE(is_by(SAMPLE_ROOT));
}

static void test_signature_that_does_not_hold_is_nobody_s(void)
{
    struct trust t = sample_trust();
    t.roles[TRUST_ROOTS].threshold = 1;
    CU_ASSERT_EQUAL(tell(&t, (const unsigned[]){SAMPLE_ROOT}, 1, 1), ERR_SIGNATURE);
    CU_ASSERT_EQUAL(by.count, 0);
    CU_ASSERT_EQUAL(tell(&t, (const unsigned[]){SAMPLE_THIEF}, 1, 0), ERR_UNTRUSTED);
    CU_ASSERT_EQUAL(by.count, 0);
}

static const struct suite_test tests[] = {
    TEST(test_document_is_by_the_roots_that_signed_it),
    TEST(test_document_that_only_names_a_root_is_not_by_it),
    TEST(test_signature_that_does_not_hold_is_nobody_s),
};

SUITE_MAIN("fleet_signers", tests)
