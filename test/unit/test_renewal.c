#include "test/rewrite.h"
#include "test/suite.h"

static uint8_t memory[RENEWED_MAX];
static uint8_t der[300];

static struct span write_renewal(void)
{
    struct buffer out = buffer_on(memory, sizeof memory);
    struct mac_key key = sample_mac_key();
    struct renewal r = sample_renewal();
    CU_ASSERT_EQUAL_FATAL(renewal_write(&r, &key, &out), 0);
    return span_buffer(&out);
}

static struct span write_renewed(const struct renewed *r)
{
    struct buffer out = buffer_on(memory, sizeof memory);
    struct mac_key key = sample_mac_key();
    CU_ASSERT_EQUAL_FATAL(renewed_write(r, SAMPLE_RENEWAL_NONCE, &key, &out), 0);
    return span_buffer(&out);
}

static struct renewed accepted(void)
{
    sample_fill(der, sizeof der, 1);
    return sample_renewed(der);
}

static void test_request_comes_back_and_is_short(void)
{
    struct renewal wanted = sample_renewal(), r;
    struct mac_key key = sample_mac_key(), other = key;
    struct span bytes = write_renewal();
    CU_ASSERT_TRUE(bytes.len <= RENEWAL_MAX);
    CU_ASSERT_EQUAL(renewal_read(bytes, &r), 0);
    CU_ASSERT_EQUAL(r.number, wanted.number);
    CU_ASSERT_EQUAL(r.nonce, wanted.nonce);
    CU_ASSERT_EQUAL(memcmp(&r.key, &wanted.key, sizeof r.key), 0);
    CU_ASSERT_EQUAL(renewal_check(bytes, &key), 0);
    other.bytes[0] ^= 1;
    CU_ASSERT_EQUAL(renewal_check(bytes, &other), ERR_SIGNATURE);
}

static void test_answer_comes_back(void)
{
    struct renewed wanted = accepted(), r;
    struct mac_key key = sample_mac_key();
    CU_ASSERT_EQUAL(renewed_read(write_renewed(&wanted), SAMPLE_RENEWAL_NONCE, &key, &r), 0);
    CU_ASSERT_EQUAL(r.code, JOINED_ACCEPTED);
    CU_ASSERT_TRUE(span_equal(r.certificate, wanted.certificate));
    struct renewed refusal = {.code = JOINED_REVOKED};
    CU_ASSERT_EQUAL(renewed_read(write_renewed(&refusal), SAMPLE_RENEWAL_NONCE, &key, &r), 0);
    CU_ASSERT_EQUAL(r.code, JOINED_REVOKED);
    CU_ASSERT_EQUAL(r.certificate.len, 0);
}

static void test_answer_to_another_request_or_by_another_key_is_refused(void)
{
    struct renewed wanted = accepted(), r;
    struct mac_key key = sample_mac_key(), other = key;
    struct span bytes = write_renewed(&wanted);
    other.bytes[31] ^= 1;
    CU_ASSERT_EQUAL(renewed_read(bytes, SAMPLE_RENEWAL_NONCE + 1, &key, &r), ERR_SIGNATURE);
    CU_ASSERT_EQUAL(renewed_read(bytes, SAMPLE_RENEWAL_NONCE, &other, &r), ERR_SIGNATURE);
    CU_ASSERT_EQUAL(r.certificate.len, 0);
}

static void test_certificate_comes_with_acceptance_and_only_then(void)
{
    struct renewed both = accepted(), r;
    struct mac_key key = sample_mac_key();
    both.code = JOINED_REVOKED;
    CU_ASSERT_EQUAL(renewed_read(write_renewed(&both), SAMPLE_RENEWAL_NONCE, &key, &r), ERR_FORMAT);
    struct renewed none = {.code = JOINED_ACCEPTED};
    CU_ASSERT_EQUAL(renewed_read(write_renewed(&none), SAMPLE_RENEWAL_NONCE, &key, &r), ERR_FORMAT);
}

static void test_refusal_speaks_of_the_agent_and_not_of_a_token(void)
{
    CU_ASSERT_STRING_EQUAL(renewed_code_text(JOINED_REVOKED),
                           "this agent is shut out of its fleet");
    CU_ASSERT_STRING_EQUAL(renewed_code_text(JOINED_UNKNOWN), "the fleet doesn't know this agent");
    CU_ASSERT_STRING_EQUAL(renewed_code_text(JOINED_FULL), joined_code_text(JOINED_FULL));
}

static void test_hostile_requests_and_answers_are_refused(void)
{
    static uint8_t copy[RENEWED_MAX];
    struct renewed wanted = accepted();
    struct span bytes = write_renewal();
    memcpy(copy, bytes.data, bytes.len);
    struct span request = span_of(copy, bytes.len);
    CU_ASSERT_TRUE(rewrite_refuses_other_lengths(rewrite_renewal, request));
    CU_ASSERT_TRUE(rewrite_survives_flips(rewrite_renewal, request, false));
    bytes = write_renewed(&wanted);
    memcpy(copy, bytes.data, bytes.len);
    struct span answer = span_of(copy, bytes.len);
    CU_ASSERT_TRUE(rewrite_refuses_other_lengths(rewrite_renewed, answer));
    CU_ASSERT_TRUE(rewrite_survives_flips(rewrite_renewed, answer, true));
}

static void test_no_room_leaves_the_buffer_as_it_was(void)
{
    struct mac_key key = sample_mac_key();
    struct renewal r = sample_renewal();
    size_t whole = write_renewal().len;
    for (size_t cap = 2; cap < whole + 2; cap++) {
        struct buffer out = buffer_on(memory, cap);
        out.len = 2;
        CU_ASSERT_EQUAL(renewal_write(&r, &key, &out), ERR_NO_MEMORY);
        CU_ASSERT_EQUAL(out.len, 2);
    }
}

static const struct suite_test tests[] = {
    TEST(test_request_comes_back_and_is_short),
    TEST(test_answer_comes_back),
    TEST(test_answer_to_another_request_or_by_another_key_is_refused),
    TEST(test_certificate_comes_with_acceptance_and_only_then),
    TEST(test_refusal_speaks_of_the_agent_and_not_of_a_token),
    TEST(test_hostile_requests_and_answers_are_refused),
    TEST(test_no_room_leaves_the_buffer_as_it_was),
};

SUITE_MAIN("renewal", tests)
