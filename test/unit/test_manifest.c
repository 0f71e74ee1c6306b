#include "bundles/manifest.h"

#include "bundles/index.h"
#include "sync/wire.h"
#include "test/suite.h"

#include <stdio.h>
#include <stdlib.h>

static uint8_t body_memory[MANIFEST_MAX], signed_memory[MANIFEST_MAX];
static struct secret_key secret, other_secret;
static struct public_key keys[2];
static struct manifest got;

/* A bundle of `index_count` index chunks with two references each. */
static const struct manifest *example(uint32_t index_count)
{
    static struct manifest m;
    m = (struct manifest){
        .name = "app",
        .version = "1.2-rc_3",
        .kind = BUNDLE_FILES,
        .hook_timeout_s = 60,
        .health_deadline_s = 120,
        .health_interval_s = 2,
        .bytes = 100000ull * index_count,
        .files = 7,
        .chunks = 2 * index_count,
        .index_count = index_count,
    };
    for (uint32_t i = 0; i < index_count; i++)
        m.index[i] = (struct chunk_ref){.digest = digest_of(span_of(&i, sizeof i)),
                                        .len = 2 * INDEX_REF_LEN};
    CU_ASSERT_EQUAL(needs_add(&m.needs, "token", false), 0);
    CU_ASSERT_EQUAL(needs_add(&m.needs, "port", true), 0);
    return &m;
}

static struct span write_body(const struct manifest *m)
{
    struct buffer body = buffer_on(body_memory, sizeof body_memory);
    CU_ASSERT_EQUAL_FATAL(manifest_write(m, &body), 0);
    return span_buffer(&body);
}

static struct span sign(struct span body, const struct secret_key *by)
{
    struct buffer out = buffer_on(signed_memory, sizeof signed_memory);
    CU_ASSERT_EQUAL_FATAL(envelope_seal(MESSAGE_MANIFEST, body, by, &out), 0);
    return span_buffer(&out);
}

/* Trusts the first `count` keys, any one of them. */
static const struct trust *trusting(uint32_t count)
{
    static struct trust t;
    t = (struct trust){.version = 1, .roles[TRUST_PUBLISHERS].threshold = 1};
    for (uint32_t i = 0; i < count; i++)
        CU_ASSERT_EQUAL(trust_add(&t, TRUST_PUBLISHERS, &keys[i]), 0);
    return &t;
}

static void test_manifest_comes_back(void)
{
    const struct manifest *m = example(3);
    CU_ASSERT_EQUAL(manifest_open(sign(write_body(m), &secret), trusting(1), &got), 0);
    CU_ASSERT_EQUAL(memcmp(&got, m, sizeof got), 0);
}

static void test_largest_manifest_fits_a_message(void)
{
    struct manifest *m = malloc(sizeof *m);
    *m = *example(MANIFEST_INDEX_MAX);
    memset(m->name, 'n', NAME_MAX_LEN);
    memset(m->version, 'v', NAME_MAX_LEN);
    m->hook_timeout_s = m->health_deadline_s = m->health_interval_s = HOOK_TIMEOUT_S_MAX;
    m->files = BUNDLE_FILES_MAX;
    for (uint32_t i = 0; i < m->index_count; i++)
        m->index[i].len = INDEX_CHUNK_MAX;
    m->chunks = MANIFEST_INDEX_MAX * INDEX_REFS_MAX;
    m->bytes = (uint64_t)m->chunks * CHUNK_MAX;
    m->needs = (struct needs){.count = VARIABLES_NEEDED_MAX};
    for (int i = 0; i < VARIABLES_NEEDED_MAX; i++) {
        memset(m->needs.list[i].name, 'v', VARIABLE_NAME_MAX - 2);
        m->needs.list[i].name[VARIABLE_NAME_MAX - 2] = (char)('a' + i / 16);
        m->needs.list[i].name[VARIABLE_NAME_MAX - 1] = (char)('a' + i % 16);
    }
    struct span bytes = sign(write_body(m), &secret);
    CU_ASSERT_TRUE(bytes.len <= MANIFEST_MAX);
    CU_ASSERT_EQUAL(manifest_open(bytes, trusting(1), &got), 0);
    CU_ASSERT_EQUAL(memcmp(&got, m, sizeof got), 0);
    free(m);
}

static void test_needs_are_kept_in_order_once_each_and_not_too_many(void)
{
    struct needs n = {0};
    char name[8];
    CU_ASSERT_EQUAL(needs_add(&n, "b", false), 0);
    CU_ASSERT_EQUAL(needs_add(&n, "a", true), 0);
    CU_ASSERT_EQUAL(needs_add(&n, "b", true), 0);
    CU_ASSERT_EQUAL(needs_add(&n, "b", false), 0);
    CU_ASSERT_EQUAL(n.count, 2);
    CU_ASSERT_STRING_EQUAL(n.list[0].name, "a");
    CU_ASSERT_TRUE(n.list[0].in_template && n.list[1].in_template);
    CU_ASSERT_EQUAL(needs_add(&n, "B", false), ERR_FORMAT);
    for (int i = 2; i < VARIABLES_NEEDED_MAX; i++) {
        snprintf(name, sizeof name, "c%d", i);
        CU_ASSERT_EQUAL(needs_add(&n, name, false), 0);
    }
    CU_ASSERT_EQUAL(needs_add(&n, "d", false), ERR_RANGE);
    CU_ASSERT_EQUAL(needs_add(&n, "c2", false), 0);
}

static void test_needs_out_of_order_are_refused(void)
{
    struct manifest *m = malloc(sizeof *m);
    *m = *example(1);
    m->needs.list[1] = m->needs.list[0];
    CU_ASSERT_EQUAL(manifest_read(write_body(m), &got), ERR_FORMAT);
    strcpy(m->needs.list[1].name, "Z");
    CU_ASSERT_EQUAL(manifest_read(write_body(m), &got), ERR_FORMAT);
    free(m);
}

static void test_every_truncated_body_is_refused(void)
{
    struct span body = write_body(example(3));
    for (size_t n = 0; n < body.len; n++)
        CU_ASSERT_TRUE(manifest_read(span_of(body.data, n), &got) < 0);
}

static void test_flipped_bits_give_a_manifest_in_range_or_none(void)
{
    struct span body = write_body(example(3));
    static uint8_t again_memory[MANIFEST_MAX];
    for (size_t bit = 0; bit < 8 * body.len; bit++) {
        body_memory[bit / 8] ^= (uint8_t)(1 << bit % 8);
        struct buffer again = buffer_on(again_memory, sizeof again_memory);
        if (manifest_read(body, &got) == 0)
            CU_ASSERT_EQUAL(manifest_write(&got, &again), 0);
        body_memory[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

static void test_every_truncated_or_flipped_signed_byte_is_refused(void)
{
    struct span bytes = sign(write_body(example(1)), &secret);
    for (size_t i = 0; i < bytes.len; i++) {
        CU_ASSERT_TRUE(manifest_open(span_of(bytes.data, i), trusting(1), &got) < 0);
        signed_memory[i] ^= 0x10;
        CU_ASSERT_TRUE(manifest_open(bytes, trusting(1), &got) < 0);
        signed_memory[i] ^= 0x10;
    }
    CU_ASSERT_EQUAL(manifest_open(bytes, trusting(1), &got), 0);
}

static void test_only_a_trusted_publisher_is_believed(void)
{
    struct span body = write_body(example(1));
    CU_ASSERT_EQUAL(manifest_open(sign(body, &other_secret), trusting(1), &got), ERR_UNTRUSTED);
    CU_ASSERT_EQUAL(manifest_open(sign(body, &other_secret), trusting(2), &got), 0);
    CU_ASSERT_EQUAL(manifest_open(sign(body, &secret), trusting(0), &got), ERR_UNTRUSTED);
    struct buffer out = buffer_on(signed_memory, sizeof signed_memory);
    CU_ASSERT_EQUAL(envelope_seal(MESSAGE_DESIRED, body, &secret, &out), 0);
    CU_ASSERT_EQUAL(manifest_open(span_buffer(&out), trusting(1), &got), ERR_FORMAT);
}

static void test_a_manifest_needs_as_many_publishers_as_the_threshold_says(void)
{
    struct trust both = *trusting(2);
    struct span body = write_body(example(1));
    struct envelope e = {.body = body};
    struct buffer out = buffer_on(signed_memory, sizeof signed_memory);
    both.roles[TRUST_PUBLISHERS].threshold = 2;
    CU_ASSERT_EQUAL(manifest_open(sign(body, &secret), &both, &got), ERR_UNTRUSTED);
    CU_ASSERT_EQUAL(envelope_sign(MESSAGE_MANIFEST, &e, &secret), 0);
    CU_ASSERT_EQUAL(envelope_sign(MESSAGE_MANIFEST, &e, &other_secret), 0);
    CU_ASSERT_EQUAL(envelope_write(MESSAGE_MANIFEST, &e, &out), 0);
    CU_ASSERT_EQUAL(manifest_open(span_buffer(&out), &both, &got), 0);
}

static void test_more_bytes_than_a_manifest_has_are_refused(void)
{
    static uint8_t zeros[MANIFEST_MAX + 1];
    CU_ASSERT_EQUAL(manifest_open(span_of(zeros, sizeof zeros), trusting(1), &got), ERR_RANGE);
}

#define CHECK_REFUSED(change, want)                                                                \
    do {                                                                                           \
        struct manifest *m = malloc(sizeof *m);                                                    \
        *m = *example(3);                                                                          \
        change;                                                                                    \
        struct buffer out = buffer_on(body_memory, sizeof body_memory);                            \
        CU_ASSERT_EQUAL(manifest_write(m, &out), want);                                            \
        free(m);                                                                                   \
    } while (0)

static void test_writer_refuses_what_the_reader_would(void)
{
    CHECK_REFUSED((void)m, 0);
    CHECK_REFUSED(m->name[0] = 0, ERR_FORMAT);
    CHECK_REFUSED(m->name[0] = '.', ERR_FORMAT);
    CHECK_REFUSED(m->version[1] = '/', ERR_FORMAT);
    CHECK_REFUSED(m->kind = BUNDLE_KIND_COUNT, ERR_RANGE);
    CHECK_REFUSED(m->hook_timeout_s = 0, ERR_RANGE);
    CHECK_REFUSED(m->hook_timeout_s = HOOK_TIMEOUT_S_MAX + 1, ERR_RANGE);
    CHECK_REFUSED(m->health_deadline_s = 0, ERR_RANGE);
    CHECK_REFUSED(m->health_deadline_s = HOOK_TIMEOUT_S_MAX + 1, ERR_RANGE);
    CHECK_REFUSED(m->health_interval_s = 0, ERR_RANGE);
    CHECK_REFUSED(m->health_interval_s = HOOK_TIMEOUT_S_MAX + 1, ERR_RANGE);
    CHECK_REFUSED(m->files = 0, ERR_RANGE);
    CHECK_REFUSED(m->files = BUNDLE_FILES_MAX + 1, ERR_RANGE);
    CHECK_REFUSED(m->bytes = 5, ERR_RANGE);
    CHECK_REFUSED(m->bytes = 6ull * CHUNK_MAX + 1, ERR_RANGE);
    CHECK_REFUSED(m->bytes = BUNDLE_BYTES_MAX + 1, ERR_RANGE);
    CHECK_REFUSED(m->chunks = 5, ERR_RANGE);
    CHECK_REFUSED(m->index_count = 0, ERR_RANGE);
    CHECK_REFUSED(m->index_count = MANIFEST_INDEX_MAX + 1, ERR_RANGE);
    CHECK_REFUSED(m->index[1].len = 0, ERR_RANGE);
    CHECK_REFUSED(m->index[1].len = INDEX_REF_LEN + 1, ERR_RANGE);
    CHECK_REFUSED(m->index[1].len = INDEX_CHUNK_MAX + INDEX_REF_LEN, ERR_RANGE);
}

static void test_what_a_newer_version_adds_is_skipped(void)
{
    struct span body = write_body(example(1));
    CU_ASSERT_EQUAL_FATAL(body_memory[0], 0x9b); /* an array of eleven */
    body_memory[0] = 0x9d;
    struct buffer more = {.data = body_memory, .len = body.len, .cap = sizeof body_memory};
    struct wire_writer w = wire_writer_on(&more);
    wire_put_array(&w, 2);
    wire_put_u64(&w, 1);
    wire_put_nil(&w);
    wire_put_text(&w, span_text("later"));
    CU_ASSERT_EQUAL(manifest_read(span_buffer(&more), &got), 0);
    CU_ASSERT_EQUAL(memcmp(&got, example(1), sizeof got), 0);
}

static void test_kinds_have_names(void)
{
    CU_ASSERT_STRING_EQUAL(bundle_kind_name(BUNDLE_FILES), "files");
    CU_ASSERT_STRING_EQUAL(bundle_kind_name(BUNDLE_AGENT), "agent");
    CU_ASSERT_STRING_EQUAL(bundle_kind_name(BUNDLE_KIND_COUNT), "unknown");
}

static const struct suite_test tests[] = {
    TEST(test_manifest_comes_back),
    TEST(test_largest_manifest_fits_a_message),
    TEST(test_needs_are_kept_in_order_once_each_and_not_too_many),
    TEST(test_needs_out_of_order_are_refused),
    TEST(test_every_truncated_body_is_refused),
    TEST(test_flipped_bits_give_a_manifest_in_range_or_none),
    TEST(test_every_truncated_or_flipped_signed_byte_is_refused),
    TEST(test_only_a_trusted_publisher_is_believed),
    TEST(test_a_manifest_needs_as_many_publishers_as_the_threshold_says),
    TEST(test_more_bytes_than_a_manifest_has_are_refused),
    TEST(test_writer_refuses_what_the_reader_would),
    TEST(test_what_a_newer_version_adds_is_skipped),
    TEST(test_kinds_have_names),
};

int main(void)
{
    memset(secret.bytes, 1, sizeof secret.bytes);
    memset(other_secret.bytes, 2, sizeof other_secret.bytes);
    if (sign_public(&secret, &keys[0]) < 0 || sign_public(&other_secret, &keys[1]) < 0)
        return 1;
    return suite_run("manifest", tests, sizeof tests / sizeof tests[0]);
}
