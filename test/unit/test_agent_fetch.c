#include "agent/fetch.h"
#include "test/agent_fixture.h"
#include "test/suite.h"

#include <errno.h>
#include <sys/syscall.h>

/* What becomes of the disk: the n-th read from now on meets a bad sector (0: none does), and
 * nothing can be removed. */
static int bad_read;
static bool read_only;

ssize_t read(int fd, void *bytes, size_t len)
{
    if (bad_read == 0 || --bad_read > 0)
        return syscall(SYS_read, fd, bytes, len);
    errno = EIO;
    return -1;
}

int unlinkat(int folder, const char *path, int flags)
{
    if (!read_only)
        return (int)syscall(SYS_unlinkat, folder, path, flags);
    errno = EROFS;
    return -1;
}

/* The broker's side: what is asked for, and chunks to answer with. */
struct fake_broker {
    struct chunks from;
    bool down;
    struct digest asked[4096];
    size_t asked_count; /* since the start */
    size_t most;        /* names in one question */
    int open;           /* asked for and not dropped */
    size_t served;
};

static struct fixture_fleet fleet;
static struct fake_broker broker;
static struct content content;
static struct fetch fetch;
static struct chunks local;
static struct tree_path source, remote_dir, local_dir;
static struct manifest manifest;
static struct digest bundle;
static uint64_t now_ms;

static int ask(void *context, const struct digest *names, size_t count)
{
    struct fake_broker *b = context;
    if (b->down)
        return ERR_BUSY;
    for (size_t i = 0; i < count; i++)
        b->asked[b->asked_count++] = names[i];
    b->open += (int)count;
    b->most = count > b->most ? count : b->most;
    return 1;
}

static void drop(void *context, const struct digest *names, size_t count)
{
    struct fake_broker *b = context;
    (void)names;
    b->open -= (int)count;
}

static void set_up(void)
{
    const struct fetch_link link = {.context = &broker, .ask = ask, .drop = drop};
    source = tree_new();
    remote_dir = tree_new();
    local_dir = tree_new();
    fixture_fleet(&fleet);
    fixture_tree(&source);
    memset(&broker, 0, sizeof broker);
    broker.from = fixture_chunks(&remote_dir);
    local = fixture_chunks(&local_dir);
    bundle = fixture_bundle(&broker.from, source.text, "1", &fleet.publisher_secret, &manifest);
    tree_must(content_init(&content, &local, NULL) == 0, "content");
    fetch_init(&fetch, &content, &link);
    now_ms = 1000;
}

static void tear_down(void)
{
    content_free(&content);
    chunks_close(&local);
    chunks_close(&broker.from);
    tree_free(&source);
    tree_free(&remote_dir);
    tree_free(&local_dir);
}

static int step(void)
{
    uint64_t due = 0;
    int rv = fetch_step(&fetch, now_ms, &due, NULL);
    CU_ASSERT_TRUE(rv != 1 || due >= now_ms);
    return rv;
}

/* Hands over everything asked for since the last time. */
static void serve(void)
{
    static uint8_t room[CHUNK_FRAME_MAX];
    struct buffer frame = buffer_on(room, sizeof room);
    while (broker.served < broker.asked_count) {
        struct digest name = broker.asked[broker.served++];
        tree_must(chunks_get(&broker.from, &name, &frame, NULL) == 0, "a chunk the broker has");
        fetch_take(&fetch, &name, span_buffer(&frame), NULL);
    }
}

static int run(void)
{
    int rv = 1;
    for (int i = 0; rv == 1 && i < 1000; i++) {
        rv = step();
        serve();
    }
    return rv;
}

static int fetch_all(void)
{
    fetch_start(&fetch, &bundle, &fleet.trust);
    return run();
}

static bool complete(void)
{
    struct chunk_ref ref;
    struct span plain;
    int rv = content_open(&content, &bundle, NULL, NULL);
    while (rv == 0 && (rv = content_next(&content, &ref, NULL)) == 1)
        rv = content_read(&content, &ref, &plain, NULL);
    return rv == 0 && content.passed == manifest.chunks;
}

static void test_everything_comes_in_windows_and_is_dropped_after(void)
{
    set_up();
    CU_ASSERT_EQUAL(fetch_all(), 0);
    CU_ASSERT_TRUE(complete());
    CU_ASSERT_TRUE(manifest.chunks > 2 * FETCH_WINDOW);
    CU_ASSERT_EQUAL(broker.most, FETCH_WINDOW);
    CU_ASSERT_EQUAL(broker.open, 0);
    CU_ASSERT_FALSE(fetch_active(&fetch));
    CU_ASSERT_EQUAL(fetch.came, broker.asked_count);
    tear_down();
}

static void test_what_is_all_here_needs_no_link(void)
{
    set_up();
    CU_ASSERT_EQUAL(fetch_all(), 0);
    size_t before = broker.asked_count;
    broker.down = true;
    CU_ASSERT_EQUAL(fetch_all(), 0);
    CU_ASSERT_EQUAL(broker.asked_count, before);
    tear_down();
}

static void test_next_version_asks_for_what_changed_only(void)
{
    set_up();
    CU_ASSERT_EQUAL(fetch_all(), 0);
    size_t first = broker.asked_count;
    tree_file(&source, "config", 0640, span_text("colour = blue\n"));
    bundle = fixture_bundle(&broker.from, source.text, "2", &fleet.publisher_secret, &manifest);
    CU_ASSERT_EQUAL(fetch_all(), 0);
    CU_ASSERT_TRUE(complete());
    CU_ASSERT_TRUE(broker.asked_count - first <= 5);
    tear_down();
}

static void test_killed_fetch_goes_on_where_it_was(void)
{
    set_up();
    for (size_t k = 1;; k++) {
        size_t before = broker.asked_count;
        fetch_start(&fetch, &bundle, &fleet.trust);
        int rv = 1;
        for (size_t i = 0; rv == 1 && i < k; i++) {
            rv = step();
            serve();
        }
        if (rv == 0)
            break;
        fetch_stop(&fetch);
        CU_ASSERT_EQUAL(broker.open, 0);
        CU_ASSERT_TRUE(broker.asked_count > before);
    }
    CU_ASSERT_TRUE(complete());
    CU_ASSERT_EQUAL(broker.asked_count, manifest.chunks + manifest.index_count + 1);
    tear_down();
}

static void test_wrong_content_is_refused_and_asked_for_again(void)
{
    set_up();
    static const uint8_t wrong[] = {0, 'x'};
    fetch_start(&fetch, &bundle, &fleet.trust);
    CU_ASSERT_EQUAL(step(), 1);
    fetch_take(&fetch, &bundle, span_of(wrong, sizeof wrong), NULL);
    fetch_take(&fetch, &bundle, SPAN_NONE, NULL);
    CU_ASSERT_EQUAL(fetch.refused, 2);
    CU_ASSERT_FALSE(chunks_has(&local, &bundle));
    broker.served = broker.asked_count;
    now_ms += FETCH_ASK_AGAIN_MS - 1;
    CU_ASSERT_EQUAL(step(), 1);
    CU_ASSERT_EQUAL(broker.asked_count, 1);
    now_ms += 1;
    CU_ASSERT_EQUAL(run(), 0);
    CU_ASSERT_TRUE(complete());
    tear_down();
}

static void test_chunk_that_nobody_asked_for_is_ignored(void)
{
    set_up();
    struct digest name = digest_of(span_text("x"));
    static const uint8_t frame[] = {0, 'x'};
    fetch_start(&fetch, &bundle, &fleet.trust);
    CU_ASSERT_EQUAL(step(), 1);
    fetch_take(&fetch, &name, span_of(frame, sizeof frame), NULL);
    CU_ASSERT_FALSE(chunks_has(&local, &name));
    CU_ASSERT_EQUAL(fetch.refused, 0);
    CU_ASSERT_EQUAL(run(), 0);
    tear_down();
}

static void test_lost_link_is_waited_for(void)
{
    set_up();
    uint64_t due = 0;
    broker.down = true;
    fetch_start(&fetch, &bundle, &fleet.trust);
    CU_ASSERT_EQUAL(fetch_step(&fetch, now_ms, &due, NULL), 1);
    CU_ASSERT_EQUAL(due, now_ms + FETCH_PATIENCE_MS);
    broker.down = false;
    fetch_link_changed(&fetch);
    for (int i = 0; i < 4; i++) {
        CU_ASSERT_EQUAL(step(), 1);
        serve();
    }
    /* What was asked is gone with the connection, and asked again on the next. */
    CU_ASSERT_EQUAL(step(), 1);
    size_t lost = broker.asked_count - broker.served;
    CU_ASSERT_TRUE(lost > 0);
    broker.served = broker.asked_count;
    broker.open = 0;
    fetch_link_changed(&fetch);
    CU_ASSERT_EQUAL(step(), 1);
    CU_ASSERT_EQUAL(broker.asked_count - broker.served, lost);
    CU_ASSERT_EQUAL(run(), 0);
    CU_ASSERT_TRUE(complete());
    CU_ASSERT_EQUAL(broker.open, 0);
    tear_down();
}

/* A broker sends everything once more that is asked for again: on a slow link that would never end.
 */
static void test_slow_link_is_not_asked_again_while_something_comes(void)
{
    set_up();
    fetch_start(&fetch, &bundle, &fleet.trust);
    while (step() == 1 && fetch.want_count < 2)
        serve();
    size_t asked = broker.asked_count, late = fetch.want_count;
    CU_ASSERT_FATAL(late >= 2);
    for (size_t i = 0; i < late; i++) {
        now_ms += FETCH_ASK_AGAIN_MS - 1;
        fetch.heard = true; /* as if another chunk of a longer queue had come */
        CU_ASSERT_EQUAL(step(), 1);
    }
    CU_ASSERT_EQUAL(broker.asked_count, asked);
    now_ms += FETCH_ASK_AGAIN_MS;
    CU_ASSERT_EQUAL(step(), 1);
    CU_ASSERT_EQUAL(broker.asked_count, asked + late);
    tear_down();
}

static void test_fetch_that_nothing_comes_of_makes_room_for_others(void)
{
    set_up();
    fetch_start(&fetch, &bundle, &fleet.trust);
    CU_ASSERT_EQUAL(step(), 1);
    now_ms += FETCH_PATIENCE_MS - 1;
    CU_ASSERT_EQUAL(step(), 1);
    now_ms += 1;
    CU_ASSERT_EQUAL(step(), ERR_TIMEOUT);
    CU_ASSERT_FALSE(fetch_active(&fetch));
    tear_down();
}

static void test_link_that_comes_and_goes_holds_up_nobody(void)
{
    set_up();
    fetch_start(&fetch, &bundle, &fleet.trust);
    CU_ASSERT_EQUAL(step(), 1);
    serve(); /* the manifest: the link is worth something */
    CU_ASSERT_EQUAL(step(), 1);
    now_ms += FETCH_PATIENCE_MS - 1;
    fetch_link_changed(&fetch);
    CU_ASSERT_EQUAL(step(), 1);
    now_ms += FETCH_PATIENCE_MS - 1;
    fetch_link_changed(&fetch);
    CU_ASSERT_EQUAL(step(), 1);
    now_ms += 1;
    fetch_link_changed(&fetch);
    CU_ASSERT_EQUAL(step(), ERR_TIMEOUT);
    CU_ASSERT_FALSE(fetch_active(&fetch));
    tear_down();
}

static void test_bundle_by_a_stranger_is_untrusted(void)
{
    set_up();
    bundle = fixture_manifest(&broker.from, &manifest, &fleet.root_secret);
    CU_ASSERT_EQUAL(fetch_all(), ERR_UNTRUSTED);
    CU_ASSERT_EQUAL(broker.asked_count, 1);
    CU_ASSERT_EQUAL(broker.open, 0);
    CU_ASSERT_EQUAL(trust_add(&fleet.trust, TRUST_PUBLISHERS, &fleet.root), 0);
    CU_ASSERT_EQUAL(fetch_all(), 0);
    CU_ASSERT_TRUE(complete());
    tear_down();
}

static void test_bundle_that_is_no_manifest_is_refused(void)
{
    set_up();
    bundle = fixture_chunk(&broker.from, span_text("not a manifest"));
    CU_ASSERT_EQUAL(fetch_all(), ERR_FORMAT);
    tear_down();
}

static void test_index_that_lies_about_a_length_is_refused(void)
{
    static uint8_t room[CHUNK_FRAME_MAX], index[CHUNK_MAX];
    set_up();
    struct buffer frame = buffer_on(room, sizeof room), plain = buffer_on(index, sizeof index);
    tree_must(chunks_get(&broker.from, &manifest.index[0].digest, &frame, NULL) == 0, "index");
    tree_must(chunk_open(content.opener, span_buffer(&frame), &manifest.index[0].digest, &plain) ==
                  0,
              "open index");
    index[DIGEST_LEN] ^= 1;
    manifest.index[0].digest = fixture_chunk(&broker.from, span_buffer(&plain));
    bundle = fixture_manifest(&broker.from, &manifest, &fleet.publisher_secret);
    CU_ASSERT_EQUAL(fetch_all(), ERR_FORMAT);
    CU_ASSERT_EQUAL(broker.open, 0);
    tear_down();
}

/* A power cut tears files that nobody synced: cut after every length. */
static void tear(const struct digest *name, size_t len)
{
    static uint8_t room[CHUNK_FRAME_MAX];
    struct buffer frame = buffer_on(room, sizeof room);
    tree_must(chunks_get(&local, name, &frame, NULL) == 0, "a chunk to tear");
    tree_must(chunks_put(&local, name, span_of(room, len % frame.len), NULL) == 0, "tear it");
}

static void test_torn_manifest_and_index_are_fetched_again(void)
{
    set_up();
    CU_ASSERT_EQUAL(fetch_all(), 0);
    for (size_t len = 0; len < 100; len += 7) {
        tear(&bundle, len);
        tear(&manifest.index[0].digest, len);
        CU_ASSERT_EQUAL(fetch_all(), 0);
        CU_ASSERT_TRUE(complete());
    }
    tear_down();
}

static void test_disk_that_takes_nothing_ends_the_fetch(void)
{
    set_up();
    fetch_start(&fetch, &bundle, &fleet.trust);
    CU_ASSERT_EQUAL(step(), 1);
    tree_free(&local_dir);
    serve();
    CU_ASSERT_TRUE(step() < 0);
    CU_ASSERT_FALSE(fetch_active(&fetch));
    tear_down();
}

static void test_chunk_that_can_not_be_read_is_fetched_again(void)
{
    set_up();
    CU_ASSERT_EQUAL(fetch_all(), 0);
    for (int n = 1; n <= 4; n++) { /* manifest and index, each twice until its end */
        bad_read = n;
        CU_ASSERT_EQUAL(fetch_all(), 0);
        CU_ASSERT_EQUAL(bad_read, 0);
        CU_ASSERT_EQUAL(fetch.came, 1);
        CU_ASSERT_TRUE(complete());
    }
    tear_down();
}

static void test_torn_chunk_that_can_not_go_ends_the_fetch(void)
{
    set_up();
    CU_ASSERT_EQUAL(fetch_all(), 0);
    tear(&manifest.index[0].digest, 50);
    read_only = true;
    CU_ASSERT_EQUAL(fetch_all(), ERR_IO);
    read_only = false;
    CU_ASSERT_EQUAL(fetch_all(), 0);
    CU_ASSERT_TRUE(complete());
    tear_down();
}

/* /proc is a file system without any. */
static void test_what_finds_no_room_is_not_asked_for(void)
{
    set_up();
    int folder = local.folder;
    local.folder = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CU_ASSERT_EQUAL(fetch_all(), ERR_NO_SPACE);
    CU_ASSERT_EQUAL(broker.asked_count, 0);
    CU_ASSERT_FALSE(fetch_active(&fetch));
    close(local.folder);
    local.folder = folder;
    CU_ASSERT_EQUAL(fetch_all(), 0);
    CU_ASSERT_TRUE(complete());
    tear_down();
}

static const struct suite_test tests[] = {
    TEST(test_everything_comes_in_windows_and_is_dropped_after),
    TEST(test_what_is_all_here_needs_no_link),
    TEST(test_next_version_asks_for_what_changed_only),
    TEST(test_killed_fetch_goes_on_where_it_was),
    TEST(test_wrong_content_is_refused_and_asked_for_again),
    TEST(test_chunk_that_nobody_asked_for_is_ignored),
    TEST(test_lost_link_is_waited_for),
    TEST(test_slow_link_is_not_asked_again_while_something_comes),
    TEST(test_fetch_that_nothing_comes_of_makes_room_for_others),
    TEST(test_link_that_comes_and_goes_holds_up_nobody),
    TEST(test_bundle_by_a_stranger_is_untrusted),
    TEST(test_bundle_that_is_no_manifest_is_refused),
    TEST(test_index_that_lies_about_a_length_is_refused),
    TEST(test_torn_manifest_and_index_are_fetched_again),
    TEST(test_disk_that_takes_nothing_ends_the_fetch),
    TEST(test_chunk_that_can_not_be_read_is_fetched_again),
    TEST(test_torn_chunk_that_can_not_go_ends_the_fetch),
    TEST(test_what_finds_no_room_is_not_asked_for),
};

SUITE_MAIN("agent fetch", tests)
