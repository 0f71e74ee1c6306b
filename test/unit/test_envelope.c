#include "sync/envelope.h"

#include "sync/wire.h"
#include "test/samples.h"
#include "test/suite.h"

static uint8_t memory[2 * MESSAGE_MAX];

static struct span seal(enum message type, struct span body, unsigned key)
{
    struct secret_key secret = sample_secret(key);
    struct buffer out = buffer_on(memory, sizeof memory);
    CU_ASSERT_EQUAL(envelope_seal(type, body, &secret, &out), 0);
    return span_buffer(&out);
}

static void test_signed_body_comes_back(void)
{
    struct public_key keys[] = {sample_public(65), sample_public(1)};
    struct span body = span_text("body"), got;
    struct span bytes = seal(MESSAGE_TRUST, body, 1);
    CU_ASSERT_TRUE(bytes.len <= body.len + ENVELOPE_OVERHEAD);
    CU_ASSERT_EQUAL(envelope_open(MESSAGE_TRUST, bytes, keys, 2, 1, &got), 0);
    CU_ASSERT_TRUE(span_equal(got, body));
    CU_ASSERT_TRUE(got.data > bytes.data && got.data < bytes.data + bytes.len);
}

static void test_overhead_holds_for_the_largest_body(void)
{
    static uint8_t large[MESSAGE_MAX];
    struct span bytes = seal(MESSAGE_DESIRED, span_of(large, sizeof large), 1);
    CU_ASSERT_TRUE(bytes.len <= sizeof large + ENVELOPE_OVERHEAD);
    struct span body;
    struct public_key key = sample_public(1);
    CU_ASSERT_EQUAL(envelope_open(MESSAGE_DESIRED, bytes, &key, 1, 1, &body), 0);
    CU_ASSERT_EQUAL(body.len, sizeof large);
}

static void test_reading_tells_the_claimed_signers_without_checking(void)
{
    struct public_key key = sample_public(65);
    struct key_id want = key_id_of(&key);
    struct envelope e;
    struct span body;
    struct span bytes = seal(MESSAGE_MANIFEST, span_text("m"), 65);
    memory[bytes.len - 1] ^= 1;
    CU_ASSERT_EQUAL(envelope_read(MESSAGE_MANIFEST, bytes, &e), 0);
    CU_ASSERT_EQUAL(e.count, 1);
    CU_ASSERT_TRUE(key_id_equal(&e.list[0].signer, &want));
    CU_ASSERT_TRUE(span_equal(e.body, span_text("m")));
    CU_ASSERT_EQUAL(envelope_open(MESSAGE_MANIFEST, bytes, &key, 1, 1, &body), ERR_SIGNATURE);
    CU_ASSERT_EQUAL(body.len, 0);
}

/* Three keys sign in every order. */
static void test_order_of_signing_does_not_change_the_bytes(void)
{
    static const unsigned orders[][3] = {{1, 65, 97}, {65, 1, 97}, {97, 65, 1}, {97, 1, 65}};
    static uint8_t first[1024];
    size_t len = 0;
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        struct envelope e = {.body = span_text("body")};
        struct buffer out = buffer_on(memory, sizeof memory);
        for (int k = 0; k < 3; k++) {
            struct secret_key secret = sample_secret(orders[i][k]);
            CU_ASSERT_EQUAL(envelope_sign(MESSAGE_TRUST, &e, &secret), 0);
            CU_ASSERT_EQUAL(envelope_sign(MESSAGE_TRUST, &e, &secret), ERR_EXISTS);
        }
        CU_ASSERT_EQUAL(envelope_write(MESSAGE_TRUST, &e, &out), 0);
        if (i == 0)
            memcpy(first, memory, len = out.len);
        CU_ASSERT_TRUE(span_equal(span_of(first, len), span_buffer(&out)));
    }
}

static struct span sign_by(struct envelope *e, const unsigned *keys, size_t count)
{
    struct buffer out = buffer_on(memory, sizeof memory);
    *e = (struct envelope){.body = span_text("body")};
    for (size_t i = 0; i < count; i++) {
        struct secret_key secret = sample_secret(keys[i]);
        CU_ASSERT_EQUAL(envelope_sign(MESSAGE_TRUST, e, &secret), 0);
    }
    CU_ASSERT_EQUAL(envelope_write(MESSAGE_TRUST, e, &out), 0);
    return span_buffer(&out);
}

static void test_only_distinct_trusted_signers_count(void)
{
    struct public_key keys[] = {sample_public(1), sample_public(65), sample_public(97)};
    struct envelope e;
    struct span body;
    struct span bytes = sign_by(&e, (const unsigned[]){1, 33, 65}, 3);
    CU_ASSERT_EQUAL(envelope_count(MESSAGE_TRUST, &e, keys, 3), 2);
    CU_ASSERT_EQUAL(envelope_open(MESSAGE_TRUST, bytes, keys, 3, 2, &body), 0);
    CU_ASSERT_EQUAL(envelope_open(MESSAGE_TRUST, bytes, keys, 3, 3, &body), ERR_UNTRUSTED);
    CU_ASSERT_EQUAL(body.len, 0);
    CU_ASSERT_EQUAL(envelope_open(MESSAGE_TRUST, bytes, keys, 1, 1, &body), 0);
    CU_ASSERT_EQUAL(envelope_open(MESSAGE_TRUST, bytes, keys, 1, 2, &body), ERR_UNTRUSTED);
}

static void test_a_signer_that_is_named_twice_is_refused(void)
{
    struct public_key key = sample_public(1);
    struct envelope e;
    struct span body;
    struct buffer out = buffer_on(memory, sizeof memory);
    sign_by(&e, (const unsigned[]){1}, 1);
    e.list[1] = e.list[0];
    e.count = 2;
    CU_ASSERT_EQUAL(envelope_write(MESSAGE_TRUST, &e, &out), 0);
    CU_ASSERT_EQUAL(envelope_open(MESSAGE_TRUST, span_buffer(&out), &key, 1, 1, &body), ERR_FORMAT);
}

/* Those by strangers are not even looked at: they could cost anything. */
static void test_bad_signature_counts_against_the_envelope_when_its_key_is_ours(void)
{
    struct public_key keys[] = {sample_public(1), sample_public(65)};
    struct key_id ours = key_id_of(&keys[1]);
    struct envelope e;
    struct span body;
    sign_by(&e, (const unsigned[]){1, 65}, 2);
    struct endorsement *bad = key_id_equal(&e.list[0].signer, &ours) ? &e.list[0] : &e.list[1];
    bad->signature.bytes[7] ^= 1;
    struct buffer out = buffer_on(memory, sizeof memory);
    CU_ASSERT_EQUAL(envelope_write(MESSAGE_TRUST, &e, &out), 0);
    struct span bytes = span_buffer(&out);
    CU_ASSERT_EQUAL(envelope_open(MESSAGE_TRUST, bytes, keys, 2, 1, &body), ERR_SIGNATURE);
    CU_ASSERT_EQUAL(envelope_open(MESSAGE_TRUST, bytes, keys, 1, 1, &body), 0);
}

static void test_signatures_have_a_limit(void)
{
    unsigned keys[SIGNATURES_MAX];
    struct envelope e;
    for (unsigned i = 0; i < SIGNATURES_MAX; i++)
        keys[i] = i + 1;
    struct span bytes = sign_by(&e, keys, SIGNATURES_MAX);
    struct secret_key one_more = sample_secret(99);
    CU_ASSERT_EQUAL(envelope_sign(MESSAGE_TRUST, &e, &one_more), ERR_RANGE);
    CU_ASSERT_TRUE(bytes.len <= strlen("body") + ENVELOPE_OVERHEAD_MAX);
    CU_ASSERT_EQUAL(envelope_read(MESSAGE_TRUST, bytes, &e), 0);
    CU_ASSERT_EQUAL(e.count, SIGNATURES_MAX);
    memory[bytes.len - SIGNATURES_MAX * 85 - 1]++; /* the count, in an array of 16 bits */
    CU_ASSERT_EQUAL(envelope_read(MESSAGE_TRUST, bytes, &e), ERR_RANGE);
}

static void test_envelope_without_a_signature_is_untrusted(void)
{
    struct public_key key = sample_public(1);
    struct envelope e;
    struct span body;
    struct span bytes = sign_by(&e, NULL, 0);
    CU_ASSERT_EQUAL(envelope_read(MESSAGE_TRUST, bytes, &e), 0);
    CU_ASSERT_EQUAL(envelope_open(MESSAGE_TRUST, bytes, &key, 1, 1, &body), ERR_UNTRUSTED);
}

static void test_unknown_signer_is_untrusted(void)
{
    struct public_key keys[] = {sample_public(65), sample_public(97)};
    struct span bytes = seal(MESSAGE_TRUST, span_text("body"), 1), body;
    CU_ASSERT_EQUAL(envelope_open(MESSAGE_TRUST, bytes, keys, 2, 1, &body), ERR_UNTRUSTED);
    CU_ASSERT_EQUAL(envelope_open(MESSAGE_TRUST, bytes, NULL, 0, 1, &body), ERR_UNTRUSTED);
}

static void test_signature_for_one_type_does_not_serve_another(void)
{
    static const enum message types[] = {MESSAGE_DESIRED, MESSAGE_ASSIGNMENT, MESSAGE_TRUST,
                                         MESSAGE_MANIFEST};
    struct public_key key = sample_public(1);
    struct span body;
    for (int made = 0; made < 4; made++)
        for (int used = 0; used < 4; used++) {
            struct span bytes = seal(types[made], span_text("body"), 1);
            if (made != used)
                CU_ASSERT_EQUAL(envelope_open(types[used], bytes, &key, 1, 1, &body), ERR_FORMAT);
            /* The type's place in the array; an assignment has a path as well. */
            memory[1] = (uint8_t)types[used];
            bool short_of = types[used] == MESSAGE_ASSIGNMENT && made != used;
            CU_ASSERT_EQUAL(envelope_open(types[used], bytes, &key, 1, 1, &body),
                            made == used ? 0
                            : short_of   ? ERR_FORMAT
                                         : ERR_SIGNATURE);
        }
}

static void test_every_flipped_bit_and_every_prefix_is_refused(void)
{
    struct public_key key = sample_public(1);
    struct span bytes = seal(MESSAGE_TRUST, span_text("b"), 1), body;
    for (size_t bit = 0; bit < 8 * bytes.len; bit++) {
        memory[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (envelope_open(MESSAGE_TRUST, bytes, &key, 1, 1, &body) >= 0 || body.len != 0)
            CU_FAIL("a flipped bit was accepted");
        memory[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t len = 0; len < bytes.len; len++)
        CU_ASSERT_EQUAL(envelope_open(MESSAGE_TRUST, span_of(memory, len), &key, 1, 1, &body),
                        ERR_FORMAT);
}

static void test_fields_of_a_newer_writer_are_skipped(void)
{
    struct public_key key = sample_public(1);
    struct span bytes = seal(MESSAGE_TRUST, span_text("body"), 1), body;
    struct buffer longer = buffer_on(memory, sizeof memory);
    longer.len = bytes.len;
    for (uint8_t extra = 1; extra <= 9; extra++) {
        struct wire_writer w = wire_writer_on(&longer);
        wire_put_u64(&w, 1000);
        memory[0] = (uint8_t)(0x94 + extra);
        CU_ASSERT_EQUAL(envelope_open(MESSAGE_TRUST, span_buffer(&longer), &key, 1, 1, &body),
                        extra <= 8 ? 0 : ERR_RANGE);
    }
}

static void test_another_version_is_refused(void)
{
    struct public_key key = sample_public(1);
    struct span bytes = seal(MESSAGE_TRUST, span_text("body"), 1), body;
    memory[2] = PROTOCOL_VERSION + 1;
    CU_ASSERT_EQUAL(envelope_open(MESSAGE_TRUST, bytes, &key, 1, 1, &body), ERR_FORMAT);
}

static void test_no_room_leaves_the_buffer_as_it_was(void)
{
    struct secret_key secret = sample_secret(1);
    uint8_t small[60];
    struct buffer out = buffer_on(small, sizeof small);
    out.len = 3;
    CU_ASSERT_EQUAL(envelope_seal(MESSAGE_TRUST, span_text("b"), &secret, &out), ERR_NO_MEMORY);
    CU_ASSERT_EQUAL(out.len, 3);
}

/* ---- one signature for many ---- */

/* So many bodies in a tree; `seal_shared` gives the envelope of one of them. */
static struct merkle tree;
static uint8_t bodies[MERKLE_LEAVES_MAX][16];
static struct envelope shared;

static void share(uint32_t count)
{
    struct secret_key secret = sample_secret(1);
    struct public_key public = sample_public(1);
    tree.leaves = count;
    for (uint32_t i = 0; i < count; i++) {
        snprintf((char *)bodies[i], sizeof bodies[i], "body %x", i);
        tree.nodes[i] = merkle_leaf(span_of(bodies[i], sizeof bodies[i]));
    }
    struct digest root = merkle_grow(&tree);
    shared = (struct envelope){.count = 1, .list = {{.signer = key_id_of(&public)}}};
    CU_ASSERT_EQUAL(envelope_endorse(MESSAGE_ASSIGNMENT, &root, &secret, &shared.list[0].signature),
                    0);
}

static struct span write_shared(const struct envelope *e)
{
    struct buffer out = buffer_on(memory, sizeof memory);
    CU_ASSERT_EQUAL(envelope_write(MESSAGE_ASSIGNMENT, e, &out), 0);
    return span_buffer(&out);
}

static struct span seal_shared(uint32_t index)
{
    shared.body = span_of(bodies[index], sizeof bodies[index]);
    shared.path = merkle_path(&tree, index);
    return write_shared(&shared);
}

static int open_shared(struct span bytes)
{
    struct public_key key = sample_public(1);
    struct span body;
    int rv = envelope_open(MESSAGE_ASSIGNMENT, bytes, &key, 1, 1, &body);
    CU_ASSERT_TRUE(rv < 0 || span_equal(body, shared.body));
    CU_ASSERT_TRUE(rv == 0 || body.len == 0);
    return rv;
}

static void test_one_signature_holds_for_each_body_of_a_tree(void)
{
    static const uint32_t sizes[] = {1, 2, 3, 5, 64, MERKLE_LEAVES_MAX};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        share(sizes[s]);
        for (uint32_t i = 0; i < sizes[s]; i += 1 + i / 3) {
            struct span bytes = seal_shared(i);
            CU_ASSERT_TRUE(bytes.len <= sizeof bodies[i] + ENVELOPE_OVERHEAD_SHARED);
            CU_ASSERT_EQUAL(open_shared(bytes), 0);
        }
    }
}

/* What is signed alone is a tree of one, and says so in one byte. */
static void test_a_signature_for_one_has_no_path(void)
{
    share(1);
    struct span bytes = seal_shared(0);
    struct secret_key secret = sample_secret(1);
    uint8_t room[256];
    struct buffer alone = buffer_on(room, sizeof room);
    CU_ASSERT_EQUAL(envelope_seal(MESSAGE_ASSIGNMENT, shared.body, &secret, &alone), 0);
    CU_ASSERT_TRUE(span_equal(span_buffer(&alone), bytes));
    CU_ASSERT_EQUAL(bytes.data[bytes.len - 1], 0xc0);
}

static void test_a_path_serves_no_other_body(void)
{
    share(7);
    for (uint32_t i = 0; i < 7; i++)
        for (uint32_t other = 0; other < 7; other++) {
            seal_shared(i);
            shared.body = span_of(bodies[other], sizeof bodies[other]);
            CU_ASSERT_EQUAL(open_shared(write_shared(&shared)), i == other ? 0 : ERR_SIGNATURE);
        }
}

/* Whoever has the envelopes of two knows both leaves, and what the node above is made of. */
static void test_a_node_serves_as_no_body(void)
{
    share(4);
    seal_shared(0);
    shared.body = span_of(tree.nodes, 2 * sizeof tree.nodes[0]);
    shared.path.count = 1;
    shared.path.left = 0;
    shared.path.siblings[0] = shared.path.siblings[1];
    CU_ASSERT_EQUAL(open_shared(write_shared(&shared)), ERR_SIGNATURE);
    shared.body = span_of(&tree.nodes[4], 2 * sizeof tree.nodes[0]);
    shared.path.count = 0;
    CU_ASSERT_EQUAL(open_shared(write_shared(&shared)), ERR_SIGNATURE);
}

/* Sides, then bytes of siblings that are claimed to follow. */
static int open_with_path(uint32_t sides, size_t len)
{
    static const uint8_t siblings[sizeof shared.path.siblings + DIGEST_LEN];
    seal_shared(0);
    shared.path.count = 0;
    struct buffer out = buffer_on(memory, sizeof memory);
    out.len = write_shared(&shared).len - 1; /* in place of nil */
    struct wire_writer w = wire_writer_on(&out);
    wire_put_array(&w, 2);
    wire_put_u64(&w, sides);
    wire_put_bytes(&w, span_of(siblings, len));
    CU_ASSERT_EQUAL(wire_end(&w), 0);
    return open_shared(span_buffer(&out));
}

static void test_paths_have_one_form_and_a_limit(void)
{
    share(2);
    CU_ASSERT_EQUAL(open_with_path(0, DIGEST_LEN), ERR_SIGNATURE);
    CU_ASSERT_EQUAL(open_with_path(MERKLE_LEAVES_MAX - 1, MERKLE_DEPTH_MAX * DIGEST_LEN),
                    ERR_SIGNATURE);
    CU_ASSERT_EQUAL(open_with_path(0, (MERKLE_DEPTH_MAX + 1) * DIGEST_LEN), ERR_RANGE);
    CU_ASSERT_EQUAL(open_with_path(MERKLE_LEAVES_MAX, MERKLE_DEPTH_MAX * DIGEST_LEN), ERR_RANGE);
    CU_ASSERT_EQUAL(open_with_path(0, 0), ERR_FORMAT);
    CU_ASSERT_EQUAL(open_with_path(0, DIGEST_LEN + 1), ERR_FORMAT);
    CU_ASSERT_EQUAL(open_with_path(2, DIGEST_LEN), ERR_FORMAT);
    CU_ASSERT_EQUAL(open_with_path(4, 2 * DIGEST_LEN), ERR_FORMAT);
}

static void test_every_flipped_bit_and_every_prefix_of_a_shared_one_is_refused(void)
{
    share(3);
    struct span bytes = seal_shared(1);
    CU_ASSERT_EQUAL(shared.path.count, 2);
    for (size_t bit = 0; bit < 8 * bytes.len; bit++) {
        memory[bit / 8] ^= (uint8_t)(1u << bit % 8);
        CU_ASSERT_TRUE(open_shared(bytes) < 0);
        memory[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t len = 0; len < bytes.len; len++)
        CU_ASSERT_EQUAL(open_shared(span_of(memory, len)), ERR_FORMAT);
}

/* 32 bytes that were signed for many assignments are no trust document's body. */
static void test_a_root_serves_no_other_type(void)
{
    struct public_key key = sample_public(1);
    struct span body;
    share(2);
    struct envelope e = shared;
    e.body = span_of(&tree.nodes[2], sizeof tree.nodes[2]);
    struct buffer out = buffer_on(memory, sizeof memory);
    CU_ASSERT_EQUAL(envelope_write(MESSAGE_DESIRED, &e, &out), 0);
    CU_ASSERT_EQUAL(envelope_open(MESSAGE_DESIRED, span_buffer(&out), &key, 1, 1, &body),
                    ERR_SIGNATURE);
}

static const struct suite_test tests[] = {
    TEST(test_signed_body_comes_back),
    TEST(test_overhead_holds_for_the_largest_body),
    TEST(test_reading_tells_the_claimed_signers_without_checking),
    TEST(test_order_of_signing_does_not_change_the_bytes),
    TEST(test_only_distinct_trusted_signers_count),
    TEST(test_a_signer_that_is_named_twice_is_refused),
    TEST(test_bad_signature_counts_against_the_envelope_when_its_key_is_ours),
    TEST(test_signatures_have_a_limit),
    TEST(test_envelope_without_a_signature_is_untrusted),
    TEST(test_unknown_signer_is_untrusted),
    TEST(test_signature_for_one_type_does_not_serve_another),
    TEST(test_every_flipped_bit_and_every_prefix_is_refused),
    TEST(test_fields_of_a_newer_writer_are_skipped),
    TEST(test_another_version_is_refused),
    TEST(test_no_room_leaves_the_buffer_as_it_was),
    TEST(test_one_signature_holds_for_each_body_of_a_tree),
    TEST(test_a_signature_for_one_has_no_path),
    TEST(test_a_path_serves_no_other_body),
    TEST(test_a_node_serves_as_no_body),
    TEST(test_paths_have_one_form_and_a_limit),
    TEST(test_every_flipped_bit_and_every_prefix_of_a_shared_one_is_refused),
    TEST(test_a_root_serves_no_other_type),
};

SUITE_MAIN("envelope", tests)
