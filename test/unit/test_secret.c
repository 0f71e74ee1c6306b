#include "sync/secret.h"

#include "test/samples.h"
#include "test/suite.h"

static const struct mac_key fleet = {.bytes = {7}};
static uint8_t memory[4096], plain_memory[4096];

static struct span seal(const struct seal_secret *to, const char *name, const char *value)
{
    struct buffer out = buffer_on(memory, sizeof memory);
    CU_ASSERT_EQUAL_FATAL(secret_seal(&fleet, to, span_text(name), span_text(value), &out), 0);
    return span_buffer(&out);
}

static int open(const struct seal_secret *with, const char *name, struct span sealed)
{
    struct buffer plain = buffer_on(plain_memory, sizeof plain_memory - 1);
    int rv = secret_open(with, span_text(name), sealed, &plain);
    plain_memory[plain.len] = '\0';
    return rv;
}

static struct seal_secret agent_secret(uint32_t number)
{
    struct key_id id = sample_agent();
    return secret_of_agent(&fleet, number, &id);
}

static void test_a_secret_opens_for_whom_it_is_and_under_its_name(void)
{
    struct seal_secret one = agent_secret(1), two = agent_secret(2);
    struct span sealed = seal(&one, "key", "open sesame");
    CU_ASSERT_EQUAL(sealed.len, strlen("open sesame") + VARIABLE_SEALED_MORE);
    CU_ASSERT_EQUAL(open(&one, "key", sealed), 0);
    CU_ASSERT_STRING_EQUAL((char *)plain_memory, "open sesame");
    CU_ASSERT_EQUAL(open(&two, "key", sealed), ERR_SIGNATURE);
    CU_ASSERT_EQUAL(open(&one, "kez", sealed), ERR_SIGNATURE);
}

static void test_every_flipped_bit_and_truncated_byte_is_refused(void)
{
    struct seal_secret one = agent_secret(1);
    struct span sealed = seal(&one, "key", "open sesame");
    for (size_t i = 0; i < sealed.len; i++) {
        CU_ASSERT_EQUAL(open(&one, "key", span_of(sealed.data, i)), ERR_SIGNATURE);
        memory[i] ^= 1;
        CU_ASSERT_EQUAL(open(&one, "key", sealed), ERR_SIGNATURE);
        memory[i] ^= 1;
    }
    CU_ASSERT_EQUAL(open(&one, "key", sealed), 0);
}

/* The device tells a change by it. */
static void test_a_value_has_one_nonce_and_another_value_another(void)
{
    struct seal_secret one = agent_secret(1), two = agent_secret(2);
    uint8_t first[SEAL_NONCE_LEN];
    memcpy(first, seal(&one, "key", "a").data, sizeof first);
    CU_ASSERT_EQUAL(memcmp(seal(&two, "key", "a").data, first, sizeof first), 0);
    CU_ASSERT_NOT_EQUAL(memcmp(seal(&one, "key", "b").data, first, sizeof first), 0);
    CU_ASSERT_NOT_EQUAL(memcmp(seal(&one, "kez", "a").data, first, sizeof first), 0);
}

static void test_sealed_anew_it_opens_for_the_other_alone(void)
{
    struct cohort_key key = sample_cohort();
    struct seal_secret cohort = secret_of_cohort(&fleet, &key), one = agent_secret(1);
    uint8_t again_memory[256];
    struct buffer again = buffer_on(again_memory, sizeof again_memory);
    struct span sealed = seal(&cohort, "key", "open sesame");
    CU_ASSERT_EQUAL(secret_reseal(&one, &one, span_text("key"), sealed, &again), ERR_SIGNATURE);
    CU_ASSERT_EQUAL(secret_reseal(&cohort, &one, span_text("key"), sealed, &again), 0);
    CU_ASSERT_EQUAL(memcmp(again.data, sealed.data, SEAL_NONCE_LEN), 0);
    CU_ASSERT_EQUAL(open(&one, "key", span_buffer(&again)), 0);
    CU_ASSERT_STRING_EQUAL((char *)plain_memory, "open sesame");
    CU_ASSERT_EQUAL(open(&cohort, "key", span_buffer(&again)), ERR_SIGNATURE);
}

static void test_a_cohorts_key_comes_to_its_agents_alone(void)
{
    struct cohort_key key = sample_cohort(), other = key;
    struct key_id id = sample_agent();
    struct seal_secret want = secret_of_cohort(&fleet, &key), got;
    struct seal_secret one = agent_secret(1), two = agent_secret(2);
    uint8_t sealed[SECRET_COHORT_LEN];
    other.bytes[0] ^= 1;
    secret_cohort_seal(&fleet, &key, 1, &id, sealed);
    CU_ASSERT_EQUAL(secret_cohort_open(&one, &key, sealed, &got), 0);
    CU_ASSERT_EQUAL(memcmp(&got, &want, sizeof got), 0);
    CU_ASSERT_EQUAL(secret_cohort_open(&two, &key, sealed, &got), ERR_SIGNATURE);
    CU_ASSERT_EQUAL(secret_cohort_open(&one, &other, sealed, &got), ERR_SIGNATURE);
}

static const struct suite_test tests[] = {
    TEST(test_a_secret_opens_for_whom_it_is_and_under_its_name),
    TEST(test_every_flipped_bit_and_truncated_byte_is_refused),
    TEST(test_a_value_has_one_nonce_and_another_value_another),
    TEST(test_sealed_anew_it_opens_for_the_other_alone),
    TEST(test_a_cohorts_key_comes_to_its_agents_alone),
};

SUITE_MAIN("secret", tests)
