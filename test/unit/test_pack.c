#include "bundles/pack.h"

#include "base/rng.h"
#include "bundles/entry.h"
#include "bundles/unpack.h"
#include "test/suite.h"
#include "test/tree.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#define STORE_MAX 2000

/* Chunks in memory, and what happened on the way there. */
struct store {
    size_t count, puts;
    struct digest names[STORE_MAX];
    struct buffer frames[STORE_MAX];
    uint32_t progress_files;
    /* Runs before the first put, to change a file under the packer's hands. */
    void (*meddle)(const struct tree_path *tree);
    const struct tree_path *tree;
    int fail_at; /* the n-th put fails; 0: none */
};

static struct store store;
static struct manifest m;
static struct errmsg em;
static struct tree_text before, after;

static size_t store_find(const struct digest *name)
{
    size_t i = 0;
    while (i < store.count && !digest_equal(&store.names[i], name))
        i++;
    return i;
}

static bool store_has(void *context, const struct digest *name)
{
    (void)context;
    return store_find(name) < store.count;
}

static int store_put(void *context, const struct digest *name, struct span frame,
                     struct errmsg *why)
{
    (void)context;
    if (store.meddle)
        store.meddle(store.tree);
    store.meddle = NULL;
    if (++store.puts == (size_t)store.fail_at)
        return errmsg_set(why, ERR_NO_SPACE, "the store is full");
    if (store_find(name) < store.count)
        return 0;
    CU_ASSERT_TRUE_FATAL(store.count < STORE_MAX);
    store.names[store.count] = *name;
    struct buffer *kept = &store.frames[store.count++];
    *kept = buffer_on(malloc(frame.len), frame.len);
    memcpy(kept->data, frame.data, frame.len);
    kept->len = frame.len;
    return 0;
}

static void store_progress(void *context, uint64_t bytes, uint32_t files)
{
    (void)context;
    (void)bytes;
    CU_ASSERT_EQUAL(files, store.progress_files + 1);
    store.progress_files = files;
}

static void store_clear(void)
{
    for (size_t i = 0; i < store.count; i++)
        free(store.frames[i].data);
    store = (struct store){0};
}

static const char *const *templates;
static size_t template_count;

static int pack(const struct tree_path *tree)
{
    const struct pack_sink sink = {.has = store_has,
                                   .put = store_put,
                                   .progress = store_progress,
                                   .templates = templates,
                                   .template_count = template_count};
    em.text[0] = 0;
    store.puts = 0;
    store.progress_files = 0;
    m = (struct manifest){.name = "app",
                          .version = "1",
                          .hook_timeout_s = 60,
                          .health_deadline_s = 60,
                          .health_interval_s = 1};
    return pack_tree(tree->text, &sink, &m, &em);
}

static void fetch(struct chunk_opener *o, const struct chunk_ref *ref, struct buffer *plain)
{
    size_t i = store_find(&ref->digest);
    CU_ASSERT_TRUE_FATAL(i < store.count);
    CU_ASSERT_EQUAL_FATAL(chunk_open(o, span_buffer(&store.frames[i]), &ref->digest, plain), 0);
    CU_ASSERT_EQUAL(plain->len, ref->len);
}

static void feed(struct unpacker *u, struct span bytes, size_t piece)
{
    for (size_t at = 0; at < bytes.len; at += piece) {
        size_t n = bytes.len - at < piece ? bytes.len - at : piece;
        CU_ASSERT_EQUAL_FATAL(unpack_add(u, span_of(bytes.data + at, n), &em), 0);
    }
}

/* Follows the manifest as an agent does: index chunks, then chunks, then the tree. */
static void unpack(const struct tree_path *into, size_t piece)
{
    static uint8_t index_memory[CHUNK_MAX], plain_memory[CHUNK_MAX];
    struct buffer index = buffer_on(index_memory, sizeof index_memory);
    struct buffer plain = buffer_on(plain_memory, sizeof plain_memory);
    struct chunk_opener *o = chunk_opener_new();
    int root = open(into->text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    static struct unpacker u;
    uint64_t bytes = 0;
    uint32_t chunks = 0;
    unpack_start(&u, root, BUNDLE_FILES_MAX);
    for (uint32_t i = 0; i < m.index_count; i++) {
        fetch(o, &m.index[i], &index);
        int count = index_count(span_buffer(&index));
        CU_ASSERT_TRUE(count > 0);
        for (int k = 0; k < count; k++) {
            struct chunk_ref ref;
            CU_ASSERT_EQUAL_FATAL(index_get(span_buffer(&index), (size_t)k, &ref), 0);
            fetch(o, &ref, &plain);
            feed(&u, span_buffer(&plain), piece);
            bytes += plain.len;
            chunks++;
        }
    }
    CU_ASSERT_EQUAL(unpack_end(&u, &em), 0);
    CU_ASSERT_EQUAL(u.files, m.files);
    CU_ASSERT_EQUAL(bytes, m.bytes);
    CU_ASSERT_EQUAL(chunks, m.chunks);
    close(root);
    chunk_opener_free(o);
}

/* Packs, checks that the manifest is one that can be signed, and compares what comes out again. */
static void check_round_trip(const struct tree_path *tree, size_t piece)
{
    static uint8_t memory[MANIFEST_MAX];
    struct buffer body = buffer_on(memory, sizeof memory);
    CU_ASSERT_EQUAL(pack(tree), 0);
    CU_ASSERT_EQUAL(manifest_write(&m, &body), 0);
    CU_ASSERT_EQUAL(store.progress_files, m.files);
    struct tree_path out = tree_new();
    unpack(&out, piece);
    tree_describe(tree, &before);
    tree_describe(&out, &after);
    CU_ASSERT_STRING_EQUAL(before.text, after.text);
    tree_free(&out);
}

static void noise(const struct tree_path *tree, const char *path, size_t len, uint64_t seed)
{
    struct rng r = {.state = seed};
    uint8_t *bytes = malloc(len);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)rng_next(&r);
    tree_file(tree, path, 0644, span_of(bytes, len));
    free(bytes);
}

/* Everything that a tree may hold. */
static struct tree_path make_tree(void)
{
    struct tree_path t = tree_new();
    tree_folder(&t, "hooks", 0755);
    tree_file(&t, "hooks/apply", 0755, span_text("#!/bin/sh\nexit 0\n"));
    tree_file(&t, "hooks-readme", 0400, span_text("sorted behind hooks/apply"));
    tree_folder(&t, "data", 02770);
    noise(&t, "data/noise", 300000, 1);
    tree_file(&t, "data/empty", 0666, SPAN_NONE);
    tree_file(&t, "data/locked", 0444, span_text("nobody writes this"));
    tree_folder(&t, "data/nothing here", 0700);
    tree_link(&t, "data/up", "../hooks/apply");
    tree_link(&t, "latest", "data/noise");
    tree_link(&t, "dangling", "not/there");
    tree_file(&t, "caf\xc3\xa9 \\ \"*\xff", 0644, span_text("odd but allowed"));
    return t;
}

static void test_tree_comes_back_whatever_the_pieces(void)
{
    static const size_t pieces[] = {1, 1000, CHUNK_MAX};
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        struct tree_path t = make_tree();
        /* A folder's setgid bit stays behind, so describe the tree without it. */
        struct tree_path data = tree_join(&t, "data");
        CU_ASSERT_EQUAL(pack(&t), 0);
        CU_ASSERT_EQUAL(m.files, 12);
        tree_must(chmod(data.text, 0770) == 0, data.text);
        check_round_trip(&t, pieces[i]);
        tree_free(&t);
        store_clear();
    }
}

static void test_packing_again_puts_nothing(void)
{
    struct tree_path t = make_tree();
    CU_ASSERT_EQUAL(pack(&t), 0);
    CU_ASSERT_TRUE(store.puts > 0);
    struct manifest first = m;
    CU_ASSERT_EQUAL(pack(&t), 0);
    CU_ASSERT_EQUAL(store.puts, 0);
    CU_ASSERT_EQUAL(memcmp(&first, &m, sizeof m), 0);
    tree_free(&t);
    store_clear();
}

static void test_same_content_is_the_same_bundle_whoever_made_it_when(void)
{
    struct tree_path a = tree_new(), b = tree_new();
    tree_file(&a, "x", 0644, span_text("x"));
    tree_file(&a, "y", 0644, span_text("y"));
    tree_file(&b, "y", 0644, span_text("y"));
    tree_file(&b, "x", 0644, span_text("x"));
    struct tree_path x = tree_join(&b, "x");
    static const struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 2}};
    CU_ASSERT_EQUAL(utimensat(AT_FDCWD, x.text, times, 0), 0);
    CU_ASSERT_EQUAL(pack(&a), 0);
    struct manifest first = m;
    CU_ASSERT_EQUAL(pack(&b), 0);
    CU_ASSERT_EQUAL(memcmp(&first, &m, sizeof m), 0);
    tree_free(&a);
    tree_free(&b);
    store_clear();
}

static void test_one_changed_file_puts_few_chunks(void)
{
    struct tree_path t = tree_new();
    char name[32];
    for (unsigned i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "file-%02u", i);
        noise(&t, name, 600000, i);
    }
    check_round_trip(&t, CHUNK_MAX);
    CU_ASSERT_TRUE(m.index_count >= 2);
    uint32_t chunks = m.chunks;
    noise(&t, "file-20", 10000, 99);
    check_round_trip(&t, CHUNK_MAX);
    CU_ASSERT_TRUE(store.puts >= 2 && store.puts <= chunks / 20);
    tree_free(&t);
    store_clear();
}

static void test_deepest_tree_comes_back_and_a_deeper_one_is_refused(void)
{
    struct tree_path t = tree_new();
    char path[3 * ENTRY_DEPTH_MAX] = "d";
    for (size_t depth = 1; depth < ENTRY_DEPTH_MAX; depth++) {
        tree_folder(&t, path, 0755);
        strcat(path, "/d");
    }
    tree_folder(&t, path, 0755);
    check_round_trip(&t, CHUNK_MAX);
    strcat(path, "/f");
    tree_file(&t, path, 0644, SPAN_NONE);
    CU_ASSERT_EQUAL(pack(&t), ERR_REFUSED);
    CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "/d/d/f: lies more than 32 levels deep"));
    tree_free(&t);
    store_clear();
}

/* Packing must fail with `want` and a sentence that holds `text`; the tree is removed. */
static void check_refused(const struct tree_path *t, int want, const char *text)
{
    CU_ASSERT_EQUAL(pack(t), want);
    CU_ASSERT_PTR_NOT_NULL(strstr(em.text, text));
    CU_ASSERT_PTR_EQUAL(strstr(em.text, t->text), em.text);
    tree_free(t);
    store_clear();
}

static void test_path_that_is_no_tree_is_refused(void)
{
    struct tree_path t = tree_new(), file = tree_join(&t, "file"), none = tree_join(&t, "none");
    tree_file(&t, "file", 0644, SPAN_NONE);
    check_refused(&file, ERR_REFUSED, "/file: isn't a folder");
    check_refused(&none, ERR_NOT_FOUND, "/none: there is no such folder");
    check_refused(&t, ERR_REFUSED, ": is empty; a bundle needs");
}

static void test_pipes_sockets_and_devices_are_refused(void)
{
    struct tree_path t = tree_new(), p = tree_join(&t, "pipe");
    tree_must(mkfifo(p.text, 0644) == 0, p.text);
    check_refused(&t, ERR_REFUSED, "/pipe: is a named pipe; a bundle holds only");

    t = tree_new();
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%.90s/socket", t.text);
    int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    tree_must(bind(s, (struct sockaddr *)&address, sizeof address) == 0, address.sun_path);
    close(s);
    check_refused(&t, ERR_REFUSED, "/socket: is a socket; a bundle holds only");

    /* Only the superuser makes devices. */
    t = tree_new();
    p = tree_join(&t, "null");
    if (mknod(p.text, S_IFCHR | 0644, 0x103) == 0)
        check_refused(&t, ERR_REFUSED, "/null: is a device; a bundle holds only");
    else
        tree_free(&t);
}

static void test_links_that_lead_out_are_refused(void)
{
    static const char *const targets[] = {"/etc/passwd", "..", "../x", "x/../../y", "a\nb"};
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        struct tree_path t = tree_new();
        tree_link(&t, "link", targets[i]);
        check_refused(&t, ERR_REFUSED, "/link: is a link to ");
    }
}

static void test_names_that_cannot_be_packed_are_refused(void)
{
    struct tree_path t = tree_new();
    tree_file(&t, "new\nline", 0644, SPAN_NONE);
    check_refused(&t, ERR_REFUSED, "/new?line: its name has a control character");

    t = tree_new();
    char path[5 * 251] = "";
    for (int i = 0; i < 4; i++) {
        memset(path + 251 * i, 'x', 250);
        tree_folder(&t, path, 0755);
        path[251 * i + 250] = '/';
    }
    memset(path + 251 * 4, 'x', 20);
    tree_file(&t, path, 0644, SPAN_NONE);
    check_refused(&t, ERR_REFUSED, ": its path is longer than 1023 bytes");
}

static void test_modes_that_cannot_be_packed_are_refused(void)
{
    static const mode_t bits[] = {04755, 02755, 01755};
    for (size_t i = 0; i < sizeof bits / sizeof bits[0]; i++) {
        struct tree_path t = tree_new();
        tree_file(&t, "tool", bits[i], SPAN_NONE);
        check_refused(&t, ERR_REFUSED, "/tool: has a setuid, setgid or sticky bit");
    }
    struct tree_path t = tree_new();
    tree_folder(&t, "shut", 0555);
    check_refused(&t, ERR_REFUSED, "/shut: its owner may not read, write and enter it");
}

/* In a child, because it gives up the superuser's rights. */
static int pack_unprivileged(const struct tree_path *t, const char *text)
{
    pid_t child = fork();
    if (child == 0) {
        if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
            _exit(2);
        _exit(pack(t) == ERR_IO && strstr(em.text, text) ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    return status;
}

static void test_what_cannot_be_read_is_refused(void)
{
    struct tree_path t = tree_new();
    tree_file(&t, "secret", 0, span_text("x"));
    tree_must(chmod(t.text, 0755) == 0, t.text);
    CU_ASSERT_EQUAL(pack_unprivileged(&t, "/secret: can't be read: Permission denied"), 0);
    tree_must(chmod(t.text, 0) == 0, t.text);
    CU_ASSERT_EQUAL(pack_unprivileged(&t, ": can't be read: Permission denied"), 0);
    tree_must(chmod(t.text, 0700) == 0, t.text);
    tree_free(&t);
}

static void append(const struct tree_path *tree)
{
    struct tree_path p = tree_join(tree, "big");
    FILE *f = fopen(p.text, "ab");
    tree_must(f && fputs("more", f) >= 0 && fclose(f) == 0, p.text);
}

static void shorten(const struct tree_path *tree)
{
    struct tree_path p = tree_join(tree, "big");
    tree_must(truncate(p.text, 1000) == 0, p.text);
}

static void rewrite(const struct tree_path *tree)
{
    noise(tree, "big", 1000000, 2);
}

static void test_file_that_changes_while_it_is_read_is_refused(void)
{
    static void (*const ways[])(const struct tree_path *) = {append, shorten, rewrite};
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        struct tree_path t = tree_new(), big = tree_join(&t, "big");
        noise(&t, "big", 1000000, 1);
        static const struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
        CU_ASSERT_EQUAL(utimensat(AT_FDCWD, big.text, times, 0), 0);
        store.meddle = ways[i];
        store.tree = &t;
        check_refused(&t, ERR_REFUSED, "/big: changed while it was read; try again");
    }
}

static void test_packing_ends_with_the_sinks_error(void)
{
    struct tree_path t = make_tree();
    int rv = ERR_NO_SPACE;
    for (int n = 1; rv != 0; n++) {
        store_clear();
        store.fail_at = n;
        rv = pack(&t);
        CU_ASSERT_TRUE(rv == 0 || rv == ERR_NO_SPACE);
        CU_ASSERT_TRUE(rv == 0 || strcmp(em.text, "the store is full") == 0);
    }
    CU_ASSERT_TRUE(store.puts >= 3);
    tree_free(&t);
    store_clear();
}

static int pack_templates(const struct tree_path *tree, const char *const *paths, size_t count)
{
    templates = paths;
    template_count = count;
    int rv = pack(tree);
    templates = NULL;
    template_count = 0;
    return rv;
}

static void test_what_templates_name_becomes_a_need(void)
{
    static const char *const paths[] = {"etc/app.conf", "motd"};
    struct tree_path tree = tree_new();
    tree_folder(&tree, "etc", 0755);
    tree_file(&tree, "etc/app.conf", 0644, span_text("port=${port}\nhost=${host}\n"));
    tree_file(&tree, "etc/other", 0644, span_text("${PLAIN}"));
    tree_file(&tree, "motd", 0644, span_text("$${none} ${port}"));
    CU_ASSERT_EQUAL(pack_templates(&tree, paths, 2), 0);
    CU_ASSERT_EQUAL_FATAL(m.needs.count, 2);
    CU_ASSERT_STRING_EQUAL(m.needs.list[0].name, "host");
    CU_ASSERT_STRING_EQUAL(m.needs.list[1].name, "port");
    CU_ASSERT_TRUE(m.needs.list[0].in_template && m.needs.list[1].in_template);
    tree_free(&tree);
    store_clear();
}

static void test_templates_that_are_missing_or_not_well_formed_are_refused(void)
{
    static const char *const typo[] = {"etc/app.cnf"}, *const shell[] = {"run"};
    static uint8_t large[TEMPLATE_BYTES_MAX + 1];
    struct tree_path tree = tree_new();
    tree_file(&tree, "run", 0755, span_text("cd ${HOME}"));
    CU_ASSERT_EQUAL(pack_templates(&tree, typo, 1), ERR_NOT_FOUND);
    CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "has no file etc/app.cnf"));
    CU_ASSERT_EQUAL(pack_templates(&tree, shell, 1), ERR_REFUSED);
    CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "/run: \"${\" names no variable"));
    tree_file(&tree, "run", 0755, span_of(large, sizeof large));
    CU_ASSERT_EQUAL(pack_templates(&tree, shell, 1), ERR_RANGE);
    tree_free(&tree);
    store_clear();
}

static const struct suite_test tests[] = {
    TEST(test_tree_comes_back_whatever_the_pieces),
    TEST(test_packing_again_puts_nothing),
    TEST(test_same_content_is_the_same_bundle_whoever_made_it_when),
    TEST(test_one_changed_file_puts_few_chunks),
    TEST(test_deepest_tree_comes_back_and_a_deeper_one_is_refused),
    TEST(test_path_that_is_no_tree_is_refused),
    TEST(test_pipes_sockets_and_devices_are_refused),
    TEST(test_links_that_lead_out_are_refused),
    TEST(test_names_that_cannot_be_packed_are_refused),
    TEST(test_modes_that_cannot_be_packed_are_refused),
    TEST(test_what_cannot_be_read_is_refused),
    TEST(test_file_that_changes_while_it_is_read_is_refused),
    TEST(test_packing_ends_with_the_sinks_error),
    TEST(test_what_templates_name_becomes_a_need),
    TEST(test_templates_that_are_missing_or_not_well_formed_are_refused),
};

SUITE_MAIN("pack", tests)
