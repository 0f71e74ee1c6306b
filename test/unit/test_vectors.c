/* The bytes of sync/PROTOCOL.md are the bytes that we write and read. */
#include "test/vectors.h"

#include "base/hex.h"
#include "test/suite.h"

#include <stdio.h>

#define FILE_MAX 262144
#define LINE_BYTES 48

static char text[FILE_MAX];

static void read_protocol(void)
{
    FILE *f = fopen(SOURCE_DIR "/sync/PROTOCOL.md", "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    size_t len = fread(text, 1, sizeof text - 1, f);
    text[len] = '\0';
    CU_ASSERT_TRUE_FATAL(len > 0 && len < sizeof text - 1);
    fclose(f);
}

/* The bytes of one block: its lines of hexadecimal digits, joined. */
static struct span find_vector(const char *name, uint8_t *out)
{
    char fence[80], digits[2 * VECTOR_MAX + 1];
    size_t used = 0;
    snprintf(fence, sizeof fence, "\n```vector name=%s\n", name);
    const char *at = strstr(text, fence);
    if (!at)
        return SPAN_NONE;
    for (at += strlen(fence); *at && *at != '`' && used < sizeof digits - 1; at++)
        if (*at != '\n')
            digits[used++] = *at;
    digits[used] = '\0';
    if (hex_read(digits, out, used / 2) < 0)
        return SPAN_NONE;
    return span_of(out, used / 2);
}

/* So that a wanted change of the format can be copied into the document. */
static void print_vector(const char *name, struct span bytes)
{
    printf("\n```vector name=%s\n", name);
    for (size_t at = 0; at < bytes.len; at += LINE_BYTES) {
        char line[2 * LINE_BYTES + 1];
        size_t len = bytes.len - at < LINE_BYTES ? bytes.len - at : LINE_BYTES;
        hex_write(span_of(bytes.data + at, len), line);
        puts(line);
    }
    puts("```");
}

static void test_every_vector_is_made_again(void)
{
    static uint8_t made_memory[VECTOR_MAX], written[VECTOR_MAX];
    read_protocol();
    for (size_t i = 0; i < VECTOR_COUNT; i++) {
        struct buffer made = buffer_on(made_memory, sizeof made_memory);
        CU_ASSERT_EQUAL(vectors[i].make(&made), 0);
        bool same = span_equal(find_vector(vectors[i].name, written), span_buffer(&made));
        CU_ASSERT_TRUE(same);
        if (!same)
            print_vector(vectors[i].name, span_buffer(&made));
    }
}

static void test_every_vector_is_read_back(void)
{
    static uint8_t written_memory[VECTOR_MAX], again_memory[VECTOR_MAX];
    read_protocol();
    for (size_t i = 0; i < VECTOR_COUNT; i++) {
        struct span written = find_vector(vectors[i].name, written_memory);
        struct buffer again = buffer_on(again_memory, sizeof again_memory);
        if (!vectors[i].rewrite)
            continue;
        CU_ASSERT_TRUE(vectors[i].rewrite(written, &again) >= 0);
        CU_ASSERT_TRUE(span_equal(span_buffer(&again), written));
    }
}

static void test_no_vector_goes_untested(void)
{
    size_t blocks = 0;
    read_protocol();
    for (const char *at = text; (at = strstr(at, "\n```vector ")); at++)
        blocks++;
    CU_ASSERT_EQUAL(blocks, VECTOR_COUNT);
}

static const struct suite_test tests[] = {
    TEST(test_every_vector_is_made_again),
    TEST(test_every_vector_is_read_back),
    TEST(test_no_vector_goes_untested),
};

SUITE_MAIN("vectors", tests)
