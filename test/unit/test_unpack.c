#include "bundles/unpack.h"

#include "bundles/manifest.h"
#include "test/suite.h"
#include "test/tree.h"

/* An outer folder with a file that nothing may touch, and the folder that is unpacked into. */
struct place {
    struct tree_path outer;
    int root;
    struct tree_text before;
};

static uint8_t stream_memory[8192];
static struct buffer stream;
static struct unpacker unpacker;
static struct errmsg em;

static void place_open(struct place *p)
{
    p->outer = tree_new();
    tree_file(&p->outer, "victim", 0644, span_text("untouched"));
    tree_describe(&p->outer, &p->before);
    tree_folder(&p->outer, "in", 0700);
    struct tree_path in = tree_join(&p->outer, "in");
    p->root = open(in.text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    tree_must(p->root >= 0, in.text);
}

/* Closes and checks that nothing outside of the folder came, went or changed. */
static void place_close(struct place *p)
{
    static struct tree_text after;
    close(p->root);
    struct tree_path in = tree_join(&p->outer, "in");
    tree_must(file_remove(in.text, NULL) == 0, in.text);
    tree_describe(&p->outer, &after);
    CU_ASSERT_STRING_EQUAL(after.text, p->before.text);
    tree_free(&p->outer);
}

static void stream_start(void)
{
    stream = buffer_on(stream_memory, sizeof stream_memory);
}

static void add(enum entry_type type, const char *path, uint32_t mode, const char *text)
{
    struct entry e = {.type = type, .mode = mode};
    snprintf(e.path, sizeof e.path, "%s", path);
    if (type == ENTRY_LINK)
        snprintf(e.target, sizeof e.target, "%s", text);
    if (type == ENTRY_FILE)
        e.size = strlen(text);
    CU_ASSERT_EQUAL_FATAL(entry_write(&e, &stream), 0);
    if (type == ENTRY_FILE) {
        memcpy(stream.data + stream.len, text, strlen(text));
        stream.len += strlen(text);
    }
}

static void add_small_tree(void)
{
    stream_start();
    add(ENTRY_FOLDER, "bin", 0755, NULL);
    add(ENTRY_FILE, "bin/run", 0750, "#!/bin/sh\n");
    add(ENTRY_LINK, "bin/start", ENTRY_LINK_MODE, "run");
    add(ENTRY_FOLDER, "bin/sub", 0700, NULL);
    add(ENTRY_LINK, "bin/sub/up", ENTRY_LINK_MODE, "../../conf");
    add(ENTRY_FILE, "bin.txt", 0444, "");
    add(ENTRY_FILE, "conf", 0400, "x=1\n");
}

/* Unpacks in pieces and returns the first error, or that of the end. */
static int unpack(const struct place *p, struct span bytes, size_t piece)
{
    int rv = 0;
    em.text[0] = 0;
    unpack_start(&unpacker, p->root, BUNDLE_FILES_MAX);
    for (size_t at = 0; at < bytes.len && rv == 0; at += piece) {
        size_t n = bytes.len - at < piece ? bytes.len - at : piece;
        rv = unpack_add(&unpacker, span_of(bytes.data + at, n), &em);
    }
    int end = unpack_end(&unpacker, &em);
    CU_ASSERT_EQUAL(unpacker.file, -1);
    CU_ASSERT_EQUAL(unpacker.folder, -1);
    CU_ASSERT_TRUE(rv == 0 || end == rv);
    return end;
}

/* The stream so far must be refused with `want` and a sentence that holds `text`. */
static void check_refused(int want, const char *text)
{
    static const size_t pieces[] = {1, sizeof stream_memory};
    for (int i = 0; i < 2; i++) {
        struct place p;
        place_open(&p);
        CU_ASSERT_EQUAL(unpack(&p, span_buffer(&stream), pieces[i]), want);
        CU_ASSERT_PTR_NOT_NULL(strstr(em.text, text));
        place_close(&p);
    }
}

static void test_tree_is_written_whatever_the_pieces(void)
{
    static const size_t pieces[] = {1, 2, 3, 17, 8192};
    static const char want[] =
        "040755 bin \n"
        "100750 bin/run 10 a8076d3d28d21e02012b20eaf7dbf75409a6277134439025f282e368e3305abf\n"
        "120777 bin/start run\n"
        "040700 bin/sub \n"
        "120777 bin/sub/up ../../conf\n"
        "100444 bin.txt 0 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
        "100400 conf 4 98752ee28d5484bdc2814fb70adb6a0b2fb31f6a9b8ee7ae81fd2fc9cf300b3b\n";
    static struct tree_text got;
    mode_t old = umask(077);
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        struct place p;
        place_open(&p);
        add_small_tree();
        CU_ASSERT_EQUAL(unpack(&p, span_buffer(&stream), pieces[i]), 0);
        CU_ASSERT_EQUAL(unpacker.files, 7);
        struct tree_path in = tree_join(&p.outer, "in");
        tree_describe(&in, &got);
        CU_ASSERT_STRING_EQUAL(got.text, want);
        place_close(&p);
    }
    umask(old);
}

static void test_stream_that_ends_early_is_refused(void)
{
    add_small_tree();
    size_t ends[16], count = 0;
    /* Only right behind an entry is an end no error here; the count of files tells the rest. */
    static struct unpacker u;
    struct place whole;
    place_open(&whole);
    unpack_start(&u, whole.root, BUNDLE_FILES_MAX);
    for (size_t i = 0; i < stream.len; i++) {
        CU_ASSERT_EQUAL(unpack_add(&u, span_of(stream.data + i, 1), &em), 0);
        if (u.have == 0 && u.file_left == 0)
            ends[count++] = i + 1;
    }
    CU_ASSERT_EQUAL(unpack_end(&u, &em), 0);
    CU_ASSERT_EQUAL(count, 7);
    place_close(&whole);
    for (size_t n = 0; n < stream.len; n++) {
        bool at_end = false;
        for (size_t k = 0; k < count; k++)
            at_end = at_end || ends[k] == n;
        struct place p;
        place_open(&p);
        CU_ASSERT_EQUAL(unpack(&p, span_of(stream.data, n), 7), at_end ? 0 : ERR_FORMAT);
        place_close(&p);
    }
}

static void test_flipped_bits_never_leave_the_folder(void)
{
    add_small_tree();
    for (size_t bit = 0; bit < 8 * stream.len; bit++) {
        struct place p;
        place_open(&p);
        stream.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        (void)unpack(&p, span_buffer(&stream), sizeof stream_memory);
        stream.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        place_close(&p);
    }
}

static void test_paths_that_climb_out_are_refused(void)
{
    static const char *const paths[] = {"..", "../victim", "/tmp/x", "bin/../../victim",
                                        ".",  "a//b"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        stream_start();
        add(ENTRY_FOLDER, "a", 0755, NULL);
        add(ENTRY_FILE, paths[i], 0644, "x");
        check_refused(ERR_REFUSED, paths[i]);
    }
}

static void test_links_that_lead_out_are_refused(void)
{
    static const char *const targets[] = {"..", "../victim", "/etc", "a/../../victim", "../in/a"};
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        stream_start();
        add(ENTRY_LINK, "l", ENTRY_LINK_MODE, targets[i]);
        check_refused(ERR_REFUSED, "l: ");
    }
}

static void test_nothing_is_written_through_a_link(void)
{
    stream_start();
    add(ENTRY_FOLDER, "a", 0755, NULL);
    add(ENTRY_LINK, "l", ENTRY_LINK_MODE, "a");
    add(ENTRY_FILE, "l/x", 0644, "x");
    check_refused(ERR_REFUSED, "l/x: no folder before it holds it");

    stream_start();
    add(ENTRY_FOLDER, "a", 0755, NULL);
    add(ENTRY_LINK, "a/l", ENTRY_LINK_MODE, "..");
    add(ENTRY_FOLDER, "a/l/b", 0755, NULL);
    check_refused(ERR_REFUSED, "a/l/b: ");

    /* A file over a link of the same path. */
    stream_start();
    add(ENTRY_LINK, "l", ENTRY_LINK_MODE, "x");
    add(ENTRY_FILE, "l", 0644, "x");
    check_refused(ERR_FORMAT, "l: comes again");
}

static void test_links_that_were_there_before_are_not_followed(void)
{
    struct place p;
    place_open(&p);
    tree_link(&p.outer, "in/l", "..");
    tree_link(&p.outer, "in/victim", "../victim");
    stream_start();
    add(ENTRY_FILE, "l/victim", 0644, "x");
    CU_ASSERT_EQUAL(unpack(&p, span_buffer(&stream), 100), ERR_REFUSED);
    stream_start();
    add(ENTRY_FILE, "victim", 0644, "x");
    CU_ASSERT_EQUAL(unpack(&p, span_buffer(&stream), 100), ERR_REFUSED);
    CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "victim: can't be written: File exists"));
    place_close(&p);
}

static void test_entries_without_their_folder_are_refused(void)
{
    stream_start();
    add(ENTRY_FILE, "a/x", 0644, "x");
    check_refused(ERR_REFUSED, "a/x: no folder before it holds it");
    stream_start();
    add(ENTRY_FILE, "a", 0644, "x");
    add(ENTRY_FILE, "a/x", 0644, "x");
    check_refused(ERR_REFUSED, "a/x: no folder before it holds it");
    stream_start();
    add(ENTRY_FOLDER, "a", 0755, NULL);
    add(ENTRY_FILE, "a/b/c/x", 0644, "x");
    check_refused(ERR_REFUSED, "a/b/c/x: no folder before it holds it");
}

static void test_paths_again_or_out_of_order_are_refused(void)
{
    static const char *const pairs[][2] = {{"a", "a"}, {"b", "a"}, {"a/x", "a"}, {"a-b", "a/x"}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        stream_start();
        if (strchr(pairs[i][0], '/') || strchr(pairs[i][1], '/'))
            add(ENTRY_FOLDER, "a", 0755, NULL);
        add(ENTRY_FILE, pairs[i][0], 0644, "x");
        add(ENTRY_FILE, pairs[i][1], 0644, "x");
        check_refused(ERR_FORMAT, "comes again or out of order");
    }
}

static void test_devices_and_other_types_are_refused(void)
{
    for (int type = 5; type < 16; type++) {
        stream_start();
        add((enum entry_type)type, "dev", 0644, "");
        check_refused(ERR_FORMAT, "entry 1: its header is malformed");
    }
}

static void test_modes_beyond_permissions_are_refused(void)
{
    stream_start();
    add(ENTRY_FILE, "a", 04755, "x");
    check_refused(ERR_FORMAT, "malformed");
    stream_start();
    add(ENTRY_FOLDER, "a", 0555, NULL);
    check_refused(ERR_REFUSED, "a: its path, target or mode isn't safe");
}

static void test_huge_size_takes_no_space_and_never_ends(void)
{
    struct entry e = {.type = ENTRY_FILE, .mode = 0644, .size = 1ull << 40, .path = "huge"};
    stream_start();
    CU_ASSERT_EQUAL_FATAL(entry_write(&e, &stream), 0);
    check_refused(ERR_FORMAT, "huge: the stream ends inside this file");
    e.size++;
    stream_start();
    CU_ASSERT_EQUAL_FATAL(entry_write(&e, &stream), 0);
    check_refused(ERR_FORMAT, "malformed");
}

static void test_header_lengths_out_of_range_are_refused(void)
{
    static const unsigned lengths[] = {0, ENTRY_HEADER_MAX + 1, 0xffff};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        stream_start();
        stream.data[0] = (uint8_t)lengths[i];
        stream.data[1] = (uint8_t)(lengths[i] >> 8);
        stream.len = 2;
        check_refused(ERR_FORMAT, "entry 1: its header can't have");
    }
}

static void test_more_entries_than_there_should_be_are_refused(void)
{
    struct place p;
    place_open(&p);
    stream_start();
    add(ENTRY_FILE, "a", 0644, "");
    add(ENTRY_FILE, "b", 0644, "");
    unpack_start(&unpacker, p.root, 1);
    CU_ASSERT_EQUAL(unpack_add(&unpacker, span_buffer(&stream), &em), ERR_FORMAT);
    CU_ASSERT_STRING_EQUAL(em.text, "b: is one entry more than the 1 there should be");
    CU_ASSERT_EQUAL(unpack_end(&unpacker, &em), ERR_FORMAT);
    place_close(&p);
}

/* One template, filled in from a list of two values and a secret, in pieces of every size. */
static int unpack_template(struct place *p, const char *text, size_t piece)
{
    static uint8_t list_memory[256];
    struct buffer list = buffer_on(list_memory, sizeof list_memory);
    struct wire_writer w = wire_writer_on(&list);
    const struct variable values[] = {
        {.name = span_text("host"), .value = span_text("pier-7"), .given = true},
        {.name = span_text("key"),
         .value = span_text("nonce-nonce-cipher text and a tag"),
         .given = true,
         .uses = VARIABLE_SECRET},
        {.name = span_text("port"), .value = span_text("80"), .given = true}};
    variables_begin(&w, 3);
    for (size_t i = 0; i < 3; i++)
        variables_put(&w, &values[i]);
    stream_start();
    struct entry e = {.type = ENTRY_TEMPLATE, .mode = 0640, .size = strlen(text), .path = "conf"};
    CU_ASSERT_EQUAL_FATAL(entry_write(&e, &stream), 0);
    memcpy(stream.data + stream.len, text, strlen(text));
    stream.len += strlen(text);
    unpack_start(&unpacker, p->root, BUNDLE_FILES_MAX);
    unpacker.values = span_buffer(&list);
    int rv = 0;
    for (size_t at = 0; rv == 0 && at < stream.len; at += piece) {
        size_t n = stream.len - at < piece ? stream.len - at : piece;
        rv = unpack_add(&unpacker, span_of(stream.data + at, n), &em);
    }
    int end = unpack_end(&unpacker, rv < 0 ? NULL : &em);
    return rv < 0 ? rv : end;
}

static void test_templates_are_filled_in_and_keep_their_mode(void)
{
    for (size_t piece = 1; piece < 80; piece++) {
        struct place p;
        char got[64] = "";
        struct stat st;
        place_open(&p);
        CU_ASSERT_EQUAL(unpack_template(&p, "http://${host}:${port}/$${x}\n", piece), 0);
        int fd = openat(p.root, "conf", O_RDONLY | O_CLOEXEC);
        CU_ASSERT_TRUE(fd >= 0 && read(fd, got, sizeof got - 1) > 0 && fstat(fd, &st) == 0);
        CU_ASSERT_STRING_EQUAL(got, "http://pier-7:80/${x}\n");
        CU_ASSERT_EQUAL(st.st_mode & 0777, 0640);
        close(fd);
        place_close(&p);
    }
}

static void test_templates_that_name_secrets_or_what_has_no_value_are_refused(void)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"${nothing}", "conf: ${nothing} has no value"},
        {"a ${key}", "conf: ${key} is a secret, and does not go into files"},
        {"${host", "conf: \"${host\" names no variable: write ${name} in lower case, and $${ for a "
                   "plain ${"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct place p;
        place_open(&p);
        CU_ASSERT_EQUAL(unpack_template(&p, cases[i].text, 7), ERR_REFUSED);
        CU_ASSERT_STRING_EQUAL(em.text, cases[i].why);
        place_close(&p);
    }
}

static void test_values_fill_no_disk(void)
{
    static uint8_t list_memory[VARIABLE_VALUE_MAX + 64], value[VARIABLE_VALUE_MAX];
    struct buffer list = buffer_on(list_memory, sizeof list_memory);
    struct wire_writer w = wire_writer_on(&list);
    struct place p;
    memset(value, 'x', sizeof value);
    variables_begin(&w, 1);
    variables_put(&w, &(struct variable){.name = span_text("a"),
                                         .value = span_of(value, sizeof value),
                                         .given = true});
    place_open(&p);
    stream_start();
    uint32_t names = TEMPLATE_GROWTH_MAX / VARIABLE_VALUE_MAX + 1;
    struct entry e = {.type = ENTRY_TEMPLATE, .mode = 0644, .size = 4 * names, .path = "a"};
    CU_ASSERT_EQUAL_FATAL(entry_write(&e, &stream), 0);
    unpack_start(&unpacker, p.root, BUNDLE_FILES_MAX);
    unpacker.values = span_buffer(&list);
    CU_ASSERT_EQUAL(unpack_add(&unpacker, span_buffer(&stream), &em), 0);
    int rv = 0;
    for (uint32_t i = 0; i < names; i++) {
        CU_ASSERT_EQUAL(rv, 0);
        rv = unpack_add(&unpacker, span_text("${a}"), &em);
    }
    CU_ASSERT_EQUAL(rv, ERR_REFUSED);
    CU_ASSERT_EQUAL(unpack_end(&unpacker, &em), ERR_REFUSED);
    place_close(&p);
}

static void test_empty_stream_is_refused(void)
{
    stream_start();
    check_refused(ERR_FORMAT, "the stream is empty");
}

static void test_error_stays(void)
{
    struct place p;
    place_open(&p);
    unpack_start(&unpacker, p.root, BUNDLE_FILES_MAX);
    CU_ASSERT_EQUAL(unpack_add(&unpacker, span_of("\0\0", 2), &em), ERR_FORMAT);
    add_small_tree();
    CU_ASSERT_EQUAL(unpack_add(&unpacker, span_buffer(&stream), &em), ERR_FORMAT);
    CU_ASSERT_EQUAL(unpack_end(&unpacker, &em), ERR_FORMAT);
    CU_ASSERT_EQUAL(unpacker.files, 0);
    place_close(&p);
}

static void test_full_disk_is_told(void)
{
    struct place p;
    place_open(&p);
    unpack_start(&unpacker, p.root, BUNDLE_FILES_MAX);
    stream_start();
    add(ENTRY_FILE, "a", 0644, "0123456789");
    CU_ASSERT_EQUAL(unpack_add(&unpacker, span_of(stream.data, stream.len - 5), &em), 0);
    /* The device that is always full takes the file's place. */
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    CU_ASSERT_TRUE_FATAL(full >= 0 && dup2(full, unpacker.file) >= 0);
    close(full);
    CU_ASSERT_EQUAL(unpack_add(&unpacker, span_of(stream.data + stream.len - 5, 5), &em),
                    ERR_NO_SPACE);
    CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "a: can't be written: No space left"));
    CU_ASSERT_EQUAL(unpack_end(&unpacker, &em), ERR_NO_SPACE);
    place_close(&p);
}

static const struct suite_test tests[] = {
    TEST(test_tree_is_written_whatever_the_pieces),
    TEST(test_stream_that_ends_early_is_refused),
    TEST(test_flipped_bits_never_leave_the_folder),
    TEST(test_paths_that_climb_out_are_refused),
    TEST(test_links_that_lead_out_are_refused),
    TEST(test_nothing_is_written_through_a_link),
    TEST(test_links_that_were_there_before_are_not_followed),
    TEST(test_entries_without_their_folder_are_refused),
    TEST(test_paths_again_or_out_of_order_are_refused),
    TEST(test_devices_and_other_types_are_refused),
    TEST(test_modes_beyond_permissions_are_refused),
    TEST(test_huge_size_takes_no_space_and_never_ends),
    TEST(test_header_lengths_out_of_range_are_refused),
    TEST(test_more_entries_than_there_should_be_are_refused),
    TEST(test_templates_are_filled_in_and_keep_their_mode),
    TEST(test_templates_that_name_secrets_or_what_has_no_value_are_refused),
    TEST(test_values_fill_no_disk),
    TEST(test_empty_stream_is_refused),
    TEST(test_error_stays),
    TEST(test_full_disk_is_told),
};

SUITE_MAIN("unpack", tests)
