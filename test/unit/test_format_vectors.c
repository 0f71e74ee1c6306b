/* Reads the vectors of bundles/FORMAT.md and checks each both ways: what is written and what is
 * read. */
#include "base/hex.h"
#include "base/rng.h"
#include "bundles/chunker.h"
#include "bundles/entry.h"
#include "bundles/pack.h"
#include "bundles/unpack.h"
#include "test/suite.h"
#include "test/tree.h"

#define DOCUMENT_PATH SOURCE_DIR "/bundles/FORMAT.md"

static char document[65536];
static struct errmsg em;

/* The text behind "KEY: " in the block of that name. */
static const char *get(const char *name, const char *key)
{
    static char value[2048];
    char head[64], line[64];
    snprintf(head, sizeof head, "```vector name=%s\n", name);
    snprintf(line, sizeof line, "\n%s: ", key);
    const char *block = strstr(document, head);
    CU_ASSERT_PTR_NOT_NULL_FATAL(block);
    const char *end = strstr(block + 1, "\n```");
    const char *at = strstr(block, line);
    CU_ASSERT_TRUE_FATAL(end && at && at < end);
    at += strlen(line);
    snprintf(value, sizeof value, "%.*s", (int)strcspn(at, "\n"), at);
    return value;
}

static uint64_t get_number(const char *name, const char *key, int base)
{
    return strtoull(get(name, key), NULL, base);
}

/* The bytes behind the key, in one of the caller's buffers. */
static struct span get_bytes(const char *name, const char *key, uint8_t out[static 1024])
{
    const char *hex = get(name, key);
    CU_ASSERT_TRUE_FATAL(strlen(hex) <= 2048 && hex_read(hex, out, strlen(hex) / 2) == 0);
    return span_of(out, strlen(hex) / 2);
}

static bool is_bytes(const char *name, const char *key, struct span got)
{
    uint8_t want[1024];
    return span_equal(get_bytes(name, key, want), got);
}

static void check_entry(const char *name, const struct entry *e)
{
    uint8_t memory[ENTRY_HEADER_MAX + 2];
    struct buffer out = buffer_on(memory, sizeof memory);
    struct entry got;
    CU_ASSERT_EQUAL(entry_write(e, &out), 0);
    CU_ASSERT_TRUE(is_bytes(name, "bytes", span_buffer(&out)));
    CU_ASSERT_EQUAL(entry_read(span_of(memory + 2, out.len - 2), &got), 0);
    CU_ASSERT_TRUE(got.type == e->type && got.mode == e->mode && got.size == e->size);
    CU_ASSERT_STRING_EQUAL(got.path, e->path);
    CU_ASSERT_STRING_EQUAL(got.target, e->target);
}

static void test_entries_are_as_the_format_says(void)
{
    struct entry e = {.type = ENTRY_FOLDER};
    e.mode = (uint32_t)get_number("entry-folder", "mode", 8);
    strcpy(e.path, get("entry-folder", "path"));
    check_entry("entry-folder", &e);

    e = (struct entry){.type = ENTRY_FILE, .size = get_number("entry-file", "size", 10)};
    e.mode = (uint32_t)get_number("entry-file", "mode", 8);
    strcpy(e.path, get("entry-file", "path"));
    check_entry("entry-file", &e);

    e = (struct entry){.type = ENTRY_LINK, .mode = ENTRY_LINK_MODE};
    strcpy(e.path, get("entry-link", "path"));
    strcpy(e.target, get("entry-link", "target"));
    check_entry("entry-link", &e);

    e = (struct entry){.type = ENTRY_TEMPLATE, .size = get_number("entry-template", "size", 10)};
    e.mode = (uint32_t)get_number("entry-template", "mode", 8);
    strcpy(e.path, get("entry-template", "path"));
    check_entry("entry-template", &e);
}

static int keep_first(void *context, const struct digest *name, struct span frame,
                      struct errmsg *why)
{
    (void)frame;
    (void)why;
    struct digest *first = context;
    if (digest_is_zero(first))
        *first = *name;
    return 0;
}

/* Unpacks the stream, and packs the tree that comes out: its one chunk is the stream again. */
static void test_stream_is_as_the_format_says(void)
{
    static struct unpacker u;
    static struct manifest m;
    static struct tree_text text;
    uint8_t memory[1024];
    struct span stream = get_bytes("stream", "bytes", memory);
    struct digest digest = digest_of(stream), first = {0};
    CU_ASSERT_STRING_EQUAL(digest_hex(&digest).text, get("stream", "digest"));

    struct tree_path t = tree_new();
    int root = open(t.text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    unpack_start(&u, root, BUNDLE_FILES_MAX);
    CU_ASSERT_EQUAL(unpack_add(&u, stream, &em), 0);
    CU_ASSERT_EQUAL(unpack_end(&u, &em), 0);
    close(root);
    tree_describe(&t, &text);
    CU_ASSERT_PTR_EQUAL(strstr(text.text, "040755 bin \n"), text.text);
    CU_ASSERT_PTR_NOT_NULL(strstr(text.text, "\n100644 bin-empty 0 "));
    CU_ASSERT_PTR_NOT_NULL(strstr(text.text, "\n100750 bin/run 17 "));
    CU_ASSERT_PTR_NOT_NULL(strstr(text.text, "\n120777 bin/start run\n"));

    struct pack_sink sink = {.context = &first, .put = keep_first};
    CU_ASSERT_EQUAL(pack_tree(t.text, &sink, &m, &em), 0);
    CU_ASSERT_TRUE(digest_equal(&first, &digest));
    CU_ASSERT_EQUAL(m.bytes, stream.len);
    tree_free(&t);
}

static void test_gear_table_is_derived_as_the_format_says(void)
{
    struct rng r = {.state = 0x64756e6c696e};
    CU_ASSERT_EQUAL(rng_next(&r), get_number("gear", "first", 16));
    CU_ASSERT_EQUAL(rng_next(&r), get_number("gear", "second", 16));
    for (int i = 2; i < 255; i++)
        (void)rng_next(&r);
    CU_ASSERT_EQUAL(rng_next(&r), get_number("gear", "last", 16));
}

static void test_cuts_are_where_the_format_says(void)
{
    struct rng r = {.state = get_number("cuts", "state", 10)};
    size_t len = (size_t)get_number("cuts", "length", 10);
    uint8_t *bytes = malloc(len);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)rng_next(&r);

    char got[512] = "";
    struct chunker c = {0};
    for (size_t at = 0; at < len;) {
        bool cut;
        at += chunker_scan(&c, span_of(bytes + at, len - at), &cut);
        size_t used = strlen(got);
        if (cut)
            snprintf(got + used, sizeof got - used, "%s%zu", used ? " " : "", at);
    }
    CU_ASSERT_STRING_EQUAL(got, get("cuts", "cuts"));
    free(bytes);
}

static void check_chunk(const char *name, bool exact)
{
    static uint8_t plain_memory[CHUNK_MAX], frame_memory[CHUNK_FRAME_MAX];
    uint8_t a[1024], b[1024];
    struct span plain = get_bytes(name, "plain", a), frame = get_bytes(name, "frame", b);
    struct digest digest = digest_of(plain);
    struct buffer got = buffer_on(plain_memory, sizeof plain_memory);
    struct buffer packed = buffer_on(frame_memory, sizeof frame_memory);

    struct chunk_opener *o = chunk_opener_new();
    struct chunk_packer *p = chunk_packer_new(0);
    CU_ASSERT_EQUAL(chunk_open(o, frame, &digest, &got), 0);
    CU_ASSERT_TRUE(span_equal(span_buffer(&got), plain));
    CU_ASSERT_EQUAL(chunk_pack(p, plain, &packed), 0);
    CU_ASSERT_EQUAL(packed.data[0], frame.data[0]);
    CU_ASSERT_TRUE(!exact || span_equal(span_buffer(&packed), frame));
    chunk_opener_free(o);
    chunk_packer_free(p);
}

static void test_chunks_are_framed_as_the_format_says(void)
{
    check_chunk("chunk-plain", true);
    /* Another version of zstd may pack otherwise. */
    check_chunk("chunk-zstd", false);
}

static void test_index_is_as_the_format_says(void)
{
    uint8_t memory[INDEX_CHUNK_MAX];
    struct buffer out = buffer_on(memory, sizeof memory);
    struct chunk_ref ref = {.len = (uint32_t)get_number("index", "length", 10)}, got;
    CU_ASSERT_EQUAL(digest_parse(get("index", "name"), &ref.digest), 0);
    (void)index_append(&out, &ref);
    CU_ASSERT_TRUE(is_bytes("index", "bytes", span_buffer(&out)));
    CU_ASSERT_EQUAL(index_count(span_buffer(&out)), 1);
    CU_ASSERT_EQUAL(index_get(span_buffer(&out), 0, &got), 0);
    CU_ASSERT_TRUE(got.len == ref.len && digest_equal(&got.digest, &ref.digest));
}

static uint32_t manifest_number(const char *key)
{
    return (uint32_t)get_number("manifest", key, 10);
}

static struct manifest read_manifest_vector(void)
{
    struct manifest m = {
        .kind = BUNDLE_FILES,
        .hook_timeout_s = manifest_number("hook-timeout"),
        .health_deadline_s = manifest_number("health-deadline"),
        .health_interval_s = manifest_number("health-interval"),
        .bytes = manifest_number("bytes"),
        .files = manifest_number("files"),
        .chunks = manifest_number("chunks"),
        .index_count = 1,
        .index[0].len = manifest_number("index-length"),
    };
    strcpy(m.name, get("manifest", "name"));
    strcpy(m.version, get("manifest", "version"));
    CU_ASSERT_EQUAL(digest_parse(get("manifest", "index-name"), &m.index[0].digest), 0);
    CU_ASSERT_EQUAL(needs_add(&m.needs, get("manifest", "needed"), false), 0);
    CU_ASSERT_EQUAL(needs_add(&m.needs, get("manifest", "needed-in-template"), true), 0);
    return m;
}

static void test_manifest_is_written_and_signed_as_the_format_says(void)
{
    static struct manifest m, got;
    uint8_t body_memory[1024], signed_memory[1024];
    struct buffer body = buffer_on(body_memory, sizeof body_memory);
    struct buffer out = buffer_on(signed_memory, sizeof signed_memory);
    m = read_manifest_vector();
    CU_ASSERT_EQUAL(manifest_write(&m, &body), 0);
    CU_ASSERT_TRUE(is_bytes("manifest", "body", span_buffer(&body)));

    struct secret_key secret;
    struct public_key public;
    CU_ASSERT_EQUAL(hex_read(get("manifest", "secret-key"), secret.bytes, SECRET_KEY_LEN), 0);
    CU_ASSERT_EQUAL(sign_public(&secret, &public), 0);
    CU_ASSERT_TRUE(is_bytes("manifest", "public-key", span_of(public.bytes, PUBLIC_KEY_LEN)));
    CU_ASSERT_EQUAL(envelope_seal(MESSAGE_MANIFEST, span_buffer(&body), &secret, &out), 0);
    CU_ASSERT_TRUE(is_bytes("manifest", "signed", span_buffer(&out)));
    struct digest digest = digest_of(span_buffer(&out));
    CU_ASSERT_STRING_EQUAL(digest_hex(&digest).text, get("manifest", "digest"));

    struct trust trust = {.version = 1};
    CU_ASSERT_EQUAL(trust_add(&trust, TRUST_PUBLISHERS, &public), 0);
    CU_ASSERT_EQUAL(manifest_open(span_buffer(&out), &trust, &got), 0);
    CU_ASSERT_EQUAL(memcmp(&got, &m, sizeof m), 0);
}

static const struct suite_test tests[] = {
    TEST(test_entries_are_as_the_format_says),
    TEST(test_stream_is_as_the_format_says),
    TEST(test_gear_table_is_derived_as_the_format_says),
    TEST(test_cuts_are_where_the_format_says),
    TEST(test_chunks_are_framed_as_the_format_says),
    TEST(test_index_is_as_the_format_says),
    TEST(test_manifest_is_written_and_signed_as_the_format_says),
};

int main(void)
{
    struct buffer b = buffer_on(document, sizeof document - 1);
    if (file_read(DOCUMENT_PATH, &b, &em) < 0) {
        fprintf(stderr, "%s\n", em.text);
        return 1;
    }
    return suite_run("format vectors", tests, sizeof tests / sizeof tests[0]);
}
