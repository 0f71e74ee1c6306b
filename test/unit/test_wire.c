#include "sync/wire.h"

#include "test/suite.h"

#include <msgpack.h>

/* Around every boundary between two widths. */
static const uint64_t numbers[] = {
    0,
    1,
    127,
    128,
    255,
    256,
    65535,
    65536,
    UINT32_MAX,
    (uint64_t)UINT32_MAX + 1,
    UINT64_MAX,
    1ull << 63,
    (1ull << 63) - 1,
};
static const uint32_t lengths[] = {0, 1, 15, 16, 31, 32, 255, 256, 65535, 65536};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static uint8_t memory[200000], filler[70000];

static struct buffer fresh(void)
{
    memset(filler, 'a', sizeof filler);
    return buffer_on(memory, sizeof memory);
}

/* msgpack-c's own view of what we wrote. */
static msgpack_object unpack(const struct buffer *b, msgpack_zone *zone)
{
    msgpack_object object = {0};
    size_t offset = 0;
    CU_ASSERT_EQUAL(msgpack_unpack((const char *)b->data, b->len, &offset, zone, &object),
                    MSGPACK_UNPACK_SUCCESS);
    CU_ASSERT_EQUAL(offset, b->len);
    return object;
}

static void check_number(uint64_t value)
{
    msgpack_zone *zone = msgpack_zone_new(MSGPACK_ZONE_CHUNK_SIZE);
    struct buffer b = fresh();
    struct wire_writer w = wire_writer_on(&b);
    wire_put_u64(&w, value);
    CU_ASSERT_EQUAL(wire_end(&w), 0);
    msgpack_object o = unpack(&b, zone);
    CU_ASSERT_EQUAL(o.type, MSGPACK_OBJECT_POSITIVE_INTEGER);
    CU_ASSERT_EQUAL(o.via.u64, value);
    struct wire_reader r = wire_reader_on(span_buffer(&b));
    CU_ASSERT_EQUAL(wire_get_u64(&r, UINT64_MAX), value);
    CU_ASSERT_EQUAL(wire_done(&r), 0);
    msgpack_zone_free(zone);
}

static void test_numbers_agree_with_msgpack_c(void)
{
    for (size_t i = 0; i < COUNT(numbers); i++)
        check_number(numbers[i]);
}

static void check_length(uint32_t len)
{
    msgpack_zone *zone = msgpack_zone_new(MSGPACK_ZONE_CHUNK_SIZE);
    struct buffer b = fresh();
    struct span want = span_of(filler, len);
    struct wire_writer w = wire_writer_on(&b);
    wire_put_array(&w, 2);
    wire_put_text(&w, want);
    wire_put_bytes(&w, want);
    CU_ASSERT_EQUAL(wire_end(&w), 0);
    msgpack_object o = unpack(&b, zone);
    CU_ASSERT_EQUAL_FATAL(o.type, MSGPACK_OBJECT_ARRAY);
    msgpack_object_str text = o.via.array.ptr[0].via.str;
    msgpack_object_bin bin = o.via.array.ptr[1].via.bin;
    CU_ASSERT_TRUE(span_equal(span_of(text.ptr, text.size), want));
    CU_ASSERT_TRUE(span_equal(span_of(bin.ptr, bin.size), want));
    struct wire_reader r = wire_reader_on(span_buffer(&b));
    CU_ASSERT_EQUAL(wire_get_array(&r, 2, 2), 2);
    CU_ASSERT_TRUE(span_equal(wire_get_text(&r, len), want));
    CU_ASSERT_TRUE(span_equal(wire_get_bytes(&r, len, len), want));
    CU_ASSERT_EQUAL(wire_done(&r), 0);
    msgpack_zone_free(zone);
}

static void test_text_and_bytes_agree_with_msgpack_c(void)
{
    for (size_t i = 0; i < COUNT(lengths); i++)
        check_length(lengths[i]);
}

static void check_array(uint32_t count)
{
    msgpack_zone *zone = msgpack_zone_new(MSGPACK_ZONE_CHUNK_SIZE);
    struct buffer b = fresh();
    struct wire_writer w = wire_writer_on(&b);
    wire_put_array(&w, count);
    for (uint32_t i = 0; i < count; i++)
        wire_put_bool(&w, i % 2);
    CU_ASSERT_EQUAL(wire_end(&w), 0);
    msgpack_object o = unpack(&b, zone);
    CU_ASSERT_EQUAL(o.type, MSGPACK_OBJECT_ARRAY);
    CU_ASSERT_EQUAL(o.via.array.size, count);
    struct wire_reader r = wire_reader_on(span_buffer(&b));
    CU_ASSERT_EQUAL(wire_get_array(&r, 0, count), count);
    for (uint32_t i = 0; i < count; i++)
        if (wire_get_bool(&r) != (i % 2 == 1))
            CU_FAIL("a boolean changed");
    CU_ASSERT_EQUAL(wire_done(&r), 0);
    msgpack_zone_free(zone);
}

static void test_arrays_agree_with_msgpack_c(void)
{
    for (size_t i = 0; i < COUNT(lengths); i++)
        check_array(lengths[i]);
}

static void test_every_width_of_a_number_is_accepted(void)
{
    static const struct {
        uint8_t bytes[9];
        size_t len;
    } sevens[] = {
        {{0x07}, 1},
        {{0xcc, 7}, 2},
        {{0xcd, 0, 7}, 3},
        {{0xce, 0, 0, 0, 7}, 5},
        {{0xcf, 0, 0, 0, 0, 0, 0, 0, 7}, 9},
        {{0xd0, 7}, 2},
        {{0xd1, 0, 7}, 3},
        {{0xd2, 0, 0, 0, 7}, 5},
        {{0xd3, 0, 0, 0, 0, 0, 0, 0, 7}, 9},
    };
    for (size_t i = 0; i < COUNT(sevens); i++) {
        struct wire_reader r = wire_reader_on(span_of(sevens[i].bytes, sevens[i].len));
        CU_ASSERT_EQUAL(wire_get_u64(&r, 7), 7);
        CU_ASSERT_EQUAL(wire_done(&r), 0);
        r = wire_reader_on(span_of(sevens[i].bytes, sevens[i].len));
        CU_ASSERT_EQUAL(wire_get_u64(&r, 6), 0);
        CU_ASSERT_EQUAL(wire_done(&r), ERR_RANGE);
        r = wire_reader_on(span_of(sevens[i].bytes, sevens[i].len - 1));
        CU_ASSERT_EQUAL(wire_get_u64(&r, 7), 0);
        CU_ASSERT_EQUAL(wire_done(&r), ERR_FORMAT);
    }
}

static void test_every_width_of_text_and_bytes_is_accepted(void)
{
    static const uint8_t text[] = {0xa1, 'x', 0xd9, 1, 'x', 0xda, 0, 1, 'x', 0xdb, 0, 0, 0, 1, 'x'};
    static const uint8_t bytes[] = {0xc4, 1, 'x', 0xc5, 0, 1, 'x', 0xc6, 0, 0, 0, 1, 'x'};
    struct wire_reader r = wire_reader_on(span_of(text, sizeof text));
    for (int i = 0; i < 4; i++)
        CU_ASSERT_TRUE(span_equal(wire_get_text(&r, 1), span_text("x")));
    CU_ASSERT_EQUAL(wire_done(&r), 0);
    r = wire_reader_on(span_of(bytes, sizeof bytes));
    for (int i = 0; i < 3; i++)
        CU_ASSERT_TRUE(span_equal(wire_get_bytes(&r, 1, 1), span_text("x")));
    CU_ASSERT_EQUAL(wire_done(&r), 0);
}

static void test_negative_numbers_are_out_of_range(void)
{
    static const uint8_t negatives[][2] = {{0xff}, {0xe0}, {0xd0, 0x80}, {0xd0, 0xff}};
    for (size_t i = 0; i < COUNT(negatives); i++) {
        struct wire_reader r = wire_reader_on(span_of(negatives[i], 2));
        CU_ASSERT_EQUAL(wire_get_u64(&r, UINT64_MAX), 0);
        CU_ASSERT_EQUAL(r.error, ERR_RANGE);
    }
}

/* Each of them asks for gigabytes in a few bytes. */
static void test_declared_lengths_that_are_not_there_are_refused(void)
{
    static const uint8_t array[] = {0xdd, 0xff, 0xff, 0xff, 0xff, 1, 2, 3};
    static const uint8_t text[] = {0xdb, 0xff, 0xff, 0xff, 0xff, 'x'};
    static const uint8_t bytes[] = {0xc6, 0xff, 0xff, 0xff, 0xff, 'x'};
    static const uint8_t map[] = {0xdf, 0xff, 0xff, 0xff, 0xff, 1, 2, 3};
    static const uint8_t ext[] = {0xc9, 0xff, 0xff, 0xff, 0xff, 1, 2, 3};
    struct wire_reader r = wire_reader_on(span_of(array, sizeof array));
    CU_ASSERT_EQUAL(wire_get_array(&r, 0, UINT32_MAX), 0);
    CU_ASSERT_EQUAL(wire_done(&r), ERR_FORMAT);
    r = wire_reader_on(span_of(array, sizeof array));
    CU_ASSERT_EQUAL(wire_get_array(&r, 0, 1000), 0);
    CU_ASSERT_EQUAL(wire_done(&r), ERR_RANGE);
    r = wire_reader_on(span_of(text, sizeof text));
    CU_ASSERT_EQUAL(wire_get_text(&r, SIZE_MAX).len, 0);
    CU_ASSERT_EQUAL(wire_done(&r), ERR_FORMAT);
    r = wire_reader_on(span_of(bytes, sizeof bytes));
    CU_ASSERT_EQUAL(wire_get_bytes(&r, 0, SIZE_MAX).len, 0);
    CU_ASSERT_EQUAL(wire_done(&r), ERR_FORMAT);
    const struct span all[] = {
        {array, sizeof array}, {text, sizeof text}, {bytes, sizeof bytes},
        {map, sizeof map},     {ext, sizeof ext},
    };
    for (size_t i = 0; i < COUNT(all); i++) {
        r = wire_reader_on(all[i]);
        wire_skip(&r, 1);
        CU_ASSERT_EQUAL(wire_done(&r), ERR_FORMAT);
    }
}

static void test_skip_steps_over_every_kind_of_element(void)
{
    msgpack_sbuffer sb;
    msgpack_packer pk;
    msgpack_sbuffer_init(&sb);
    msgpack_packer_init(&pk, &sb, msgpack_sbuffer_write);
    uint32_t count = 0;
    for (size_t i = 0; i < COUNT(numbers); i++, count += 2) {
        msgpack_pack_uint64(&pk, numbers[i]);
        msgpack_pack_int64(&pk, (int64_t)numbers[i]);
    }
    for (size_t i = 0; i < COUNT(lengths); i++, count += 3) {
        msgpack_pack_str_with_body(&pk, filler, lengths[i]);
        msgpack_pack_bin_with_body(&pk, filler, lengths[i]);
        msgpack_pack_ext_with_body(&pk, filler, lengths[i], 5);
    }
    for (size_t len = 1; len <= 16; len *= 2, count++)
        msgpack_pack_ext_with_body(&pk, filler, len, -1);
    msgpack_pack_float(&pk, 1.5f);
    msgpack_pack_double(&pk, 2.5);
    msgpack_pack_map(&pk, 2);
    msgpack_pack_nil(&pk);
    msgpack_pack_array(&pk, 1);
    msgpack_pack_map(&pk, 0);
    msgpack_pack_true(&pk);
    msgpack_pack_false(&pk);
    count += 3;
    struct wire_reader r = wire_reader_on(span_of(sb.data, sb.size));
    wire_skip(&r, count);
    CU_ASSERT_EQUAL(wire_done(&r), 0);
    msgpack_sbuffer_destroy(&sb);
}

static void test_skip_refuses_depth_beyond_the_limit(void)
{
    uint8_t nested[WIRE_DEPTH_MAX + 1];
    memset(nested, 0x91, sizeof nested); /* arrays of one, inside one another */
    nested[WIRE_DEPTH_MAX - 1] = 0x07;
    struct wire_reader r = wire_reader_on(span_of(nested, WIRE_DEPTH_MAX));
    wire_skip(&r, 1);
    CU_ASSERT_EQUAL(wire_done(&r), 0);
    nested[WIRE_DEPTH_MAX - 1] = 0x91;
    nested[WIRE_DEPTH_MAX] = 0x07;
    r = wire_reader_on(span_of(nested, sizeof nested));
    wire_skip(&r, 1);
    CU_ASSERT_EQUAL(wire_done(&r), ERR_FORMAT);
}

static void test_first_error_stays_and_reads_give_zero(void)
{
    static const uint8_t bytes[] = {0xcc, 200, 0x05, 0xa1, 'x', 0xc3};
    char text[4] = "old";
    uint8_t copied[2] = {1, 1};
    struct wire_reader r = wire_reader_on(span_of(bytes, sizeof bytes));
    CU_ASSERT_EQUAL(wire_get_u64(&r, 100), 0);
    wire_fail(&r, ERR_FORMAT);
    CU_ASSERT_EQUAL(wire_get_u64(&r, 100), 0);
    CU_ASSERT_EQUAL(wire_get_array(&r, 0, 5), 0);
    CU_ASSERT_FALSE(wire_get_bool(&r));
    CU_ASSERT_FALSE(wire_get_nil(&r));
    wire_get_text_into(&r, text, sizeof text);
    CU_ASSERT_STRING_EQUAL(text, "");
    wire_get_bytes_into(&r, copied, sizeof copied);
    CU_ASSERT_EQUAL(copied[0] | copied[1], 0);
    CU_ASSERT_EQUAL(wire_done(&r), ERR_RANGE);
}

static void test_text_with_control_characters_is_refused(void)
{
    for (unsigned c = 0; c < 256; c++) {
        const uint8_t bytes[] = {0xa1, (uint8_t)c};
        struct wire_reader r = wire_reader_on(span_of(bytes, sizeof bytes));
        wire_get_text(&r, 10);
        CU_ASSERT_EQUAL(wire_done(&r), c < 0x20 || c == 0x7f ? ERR_FORMAT : 0);
    }
}

static void test_text_as_long_as_its_room_is_refused(void)
{
    static const uint8_t bytes[] = {0xa3, 'a', 'b', 'c'};
    char text[4];
    struct wire_reader r = wire_reader_on(span_of(bytes, sizeof bytes));
    wire_get_text_into(&r, text, 4);
    CU_ASSERT_EQUAL(wire_done(&r), 0);
    CU_ASSERT_STRING_EQUAL(text, "abc");
    r = wire_reader_on(span_of(bytes, sizeof bytes));
    wire_get_text_into(&r, text, 3);
    CU_ASSERT_EQUAL(wire_done(&r), ERR_RANGE);
    CU_ASSERT_STRING_EQUAL(text, "");
}

static void test_bytes_left_over_are_an_error(void)
{
    static const uint8_t bytes[] = {0x01, 0x02};
    struct wire_reader r = wire_reader_on(span_of(bytes, sizeof bytes));
    wire_get_u64(&r, 9);
    CU_ASSERT_EQUAL(wire_done(&r), ERR_FORMAT);
    wire_skip(&r, 1);
    CU_ASSERT_EQUAL(wire_done(&r), 0);
}

static void test_full_buffer_is_left_as_it_was(void)
{
    for (size_t cap = 1; cap < 10; cap++) {
        struct buffer b = buffer_on(memory, cap);
        b.data[0] = 0x55;
        b.len = 1;
        struct wire_writer w = wire_writer_on(&b);
        wire_put_array(&w, 2);
        wire_put_text(&w, span_text("abcde"));
        wire_put_u64(&w, 300);
        CU_ASSERT_EQUAL(wire_end(&w), ERR_NO_MEMORY);
        CU_ASSERT_EQUAL(b.len, 1);
        CU_ASSERT_EQUAL(b.data[0], 0x55);
    }
}

static const struct suite_test tests[] = {
    TEST(test_numbers_agree_with_msgpack_c),
    TEST(test_text_and_bytes_agree_with_msgpack_c),
    TEST(test_arrays_agree_with_msgpack_c),
    TEST(test_every_width_of_a_number_is_accepted),
    TEST(test_every_width_of_text_and_bytes_is_accepted),
    TEST(test_negative_numbers_are_out_of_range),
    TEST(test_declared_lengths_that_are_not_there_are_refused),
    TEST(test_skip_steps_over_every_kind_of_element),
    TEST(test_skip_refuses_depth_beyond_the_limit),
    TEST(test_first_error_stays_and_reads_give_zero),
    TEST(test_text_with_control_characters_is_refused),
    TEST(test_text_as_long_as_its_room_is_refused),
    TEST(test_bytes_left_over_are_an_error),
    TEST(test_full_buffer_is_left_as_it_was),
};

SUITE_MAIN("wire", tests)
