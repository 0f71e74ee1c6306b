/* The manager's loop with a real Mosquitto: persist, then speak; and nothing spoken that isn't. */
#include "manager/daemon.h"

#include "base/log.h"
#include "bundles/index.h"
#include "test/samples.h"
#include "test/suite.h"
#include "test/tree.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- a manager that works until a command is answered ---- */

static struct daemon *open_at(const struct tree_path *dir, struct errmsg *em)
{
    return daemon_new(&(struct daemon_options){.dir = dir->text,
                                               .host = "127.0.0.1",
                                               .plain = true,
                                               .join_rate = 50,
                                               .policy = POLICY_DEFAULT},
                      em);
}

static struct daemon *open_well(const struct tree_path *dir)
{
    struct errmsg em = {.text = ""};
    struct daemon *d = open_at(dir, &em);
    tree_must(d != NULL, em.text);
    return d;
}

struct outcome {
    unsigned replies;
    int commit_rv;
    int rv;
    uint32_t index;
    char error[ERRMSG_MAX];
};

/* The loop ends with the signal that it waits for. */
static void note(void *context, const struct manager_out *out, int commit_rv,
                 const struct errmsg *em)
{
    struct outcome *o = context;
    o->replies++;
    o->commit_rv = commit_rv;
    o->rv = out->rv;
    o->index = out->index;
    snprintf(o->error, sizeof o->error, "%s", commit_rv < 0 ? em->text : out->error.text);
    kill(getpid(), SIGTERM);
}

static struct outcome run_command(struct daemon *d, const struct command *c)
{
    struct outcome o = {0};
    daemon_command(d, "local:tester(1)", c, note, &o);
    CU_ASSERT_EQUAL(o.replies, 0); /* not before the commit */
    CU_ASSERT_EQUAL(daemon_run(d, NULL), 0);
    CU_ASSERT_EQUAL(o.replies, 1);
    return o;
}

static struct command make_tokens(uint32_t count)
{
    return (struct command){
        .type = COMMAND_TOKEN_CREATE,
        .token = {.count = count, .uses = 1, .expires_s = UINT64_MAX, .labels = "env=prod"}};
}

/* ---- tests ---- */

static void test_answered_command_outlives_the_manager(void)
{
    struct tree_path dir = tree_new();
    struct daemon *d = open_well(&dir);
    struct command c = make_tokens(3);
    char first[2 * (TOKEN_TEXT_LEN + 1)], again[sizeof first];
    char url[64];
    struct outcome o = run_command(d, &c);
    CU_ASSERT_EQUAL(o.commit_rv, 0);
    CU_ASSERT_EQUAL(o.rv, 0);
    struct token_batch batch = daemon_batch(d, o.index);
    token_lines(&batch, 1, 2, first);
    snprintf(url, sizeof url, "%s", daemon_join_url(d));
    daemon_free(d);

    d = open_well(&dir);
    CU_ASSERT_EQUAL(manager_batch_count(daemon_core(d)), 1);
    batch = daemon_batch(d, 0);
    token_lines(&batch, 1, 2, again);
    CU_ASSERT_EQUAL(memcmp(first, again, sizeof first), 0);
    CU_ASSERT_STRING_EQUAL(daemon_join_url(d), url);
    daemon_free(d);
    tree_free(&dir);
}

static int ask(const struct tree_path *dir, const char *request)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(to.sun_path, sizeof to.sun_path, "%.90s/manager.sock", dir->text);
    CU_ASSERT_EQUAL_FATAL(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    CU_ASSERT_EQUAL(write(fd, request, strlen(request)), (ssize_t)strlen(request));
    return fd;
}

/* It would be done, and whoever asked for it would take it for not done. */
static void test_what_is_asked_last_is_answered_before_the_end(void)
{
    struct tree_path dir = tree_new();
    struct daemon *d = open_well(&dir);
    char answer[4096] = "";
    int fd = ask(&dir, "POST /v1/tokens HTTP/1.1\r\nHost: manager\r\nContent-Length: 2\r\n\r\n{}");
    kill(getpid(), SIGTERM);
    CU_ASSERT_EQUAL(daemon_run(d, NULL), 0);
    daemon_free(d);
    CU_ASSERT_TRUE(read(fd, answer, sizeof answer - 1) > 0);
    CU_ASSERT_PTR_EQUAL(strstr(answer, "HTTP/1.1 200"), answer);
    close(fd);
    d = open_well(&dir);
    CU_ASSERT_EQUAL(manager_batch_count(daemon_core(d)), 1);
    daemon_free(d);
    tree_free(&dir);
}

static void test_refused_command_is_answered_too(void)
{
    struct tree_path dir = tree_new();
    struct daemon *d = open_well(&dir);
    struct command c = make_tokens(0);
    struct outcome o = run_command(d, &c);
    CU_ASSERT_EQUAL(o.commit_rv, 0);
    CU_ASSERT_EQUAL(o.rv, ERR_RANGE);
    CU_ASSERT_NOT_EQUAL(o.error[0], '\0');
    daemon_free(d);
    tree_free(&dir);
}

/* Until the disk is full, each answered batch is there; the failed one isn't, then it goes on. */
static void test_full_disk_promises_nothing_and_loses_nothing(void)
{
    struct tree_path dir = tree_new();
    struct daemon *d = open_well(&dir);
    struct command c = make_tokens(1);
    struct outcome o = {0};
    uint32_t made = 0;
    static char labels[LABELS_TEXT_MAX];
    for (int i = 0; i < 12; i++) /* rows of some weight */
        snprintf(labels + strlen(labels), sizeof labels - strlen(labels), "%sk%d=%060d",
                 i ? "," : "", i, i);
    c.token.labels = labels;
    CU_ASSERT_EQUAL(ledger_limit(daemon_ledger(d), 36, NULL), 0);
    for (; o.commit_rv == 0 && made < 200; made += o.commit_rv == 0)
        o = run_command(d, &c);
    CU_ASSERT_EQUAL(o.commit_rv, ERR_NO_SPACE);
    CU_ASSERT_PTR_NOT_NULL(strstr(o.error, "make room"));
    CU_ASSERT_EQUAL(manager_batch_count(daemon_core(d)), made);
    o = run_command(d, &c);
    CU_ASSERT_EQUAL(o.commit_rv, ERR_NO_SPACE);

    CU_ASSERT_EQUAL(ledger_limit(daemon_ledger(d), 1000000, NULL), 0);
    o = run_command(d, &c);
    CU_ASSERT_EQUAL(o.commit_rv, 0);
    CU_ASSERT_EQUAL(o.index, made);
    daemon_free(d);
    d = open_well(&dir);
    CU_ASSERT_EQUAL(manager_batch_count(daemon_core(d)), made + 1);
    daemon_free(d);
    tree_free(&dir);
}

static void test_second_manager_is_refused(void)
{
    struct tree_path dir = tree_new();
    struct errmsg em = {.text = ""};
    char holder[32];
    struct daemon *d = open_well(&dir);
    CU_ASSERT_PTR_NULL(open_at(&dir, &em));
    snprintf(holder, sizeof holder, "(pid %d)", (int)getpid());
    CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "another manager"));
    CU_ASSERT_PTR_NOT_NULL(strstr(em.text, holder));
    daemon_free(d);
    d = open_well(&dir);
    daemon_free(d);
    tree_free(&dir);
}

static void test_damaged_database_is_named(void)
{
    struct tree_path dir = tree_new();
    struct tree_path db = tree_join(&dir, "manager.db");
    struct errmsg em = {.text = ""};
    tree_must(file_write(db.text,
                         span_text("no database, but as long as a header is: "
                                   "a hundred bytes at least, so that it gets read "
                                   "and not taken for an empty one"),
                         0600, NULL) == 0,
              db.text);
    CU_ASSERT_PTR_NULL(open_at(&dir, &em));
    CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "manager.db"));
    tree_free(&dir);
}

/* ---- bundles ---- */

static struct digest put_plain(struct daemon *d, struct span plain)
{
    static uint8_t frame[CHUNK_FRAME_MAX];
    struct digest name = digest_of(plain);
    memcpy(frame + 1, plain.data, plain.len);
    CU_ASSERT_TRUE(daemon_put_chunk(d, &name, span_of(frame, plain.len + 1), NULL) >= 0);
    return name;
}

/* A bundle of one chunk, and what COMMAND_BUNDLE_ADD needs for it. */
static struct command make_bundle(struct daemon *d, const char *version, const char *content)
{
    static struct manifest m;
    static uint8_t body_memory[MANIFEST_MAX], signed_memory[MANIFEST_MAX],
        index_memory[INDEX_CHUNK_MAX];
    struct buffer body = buffer_on(body_memory, sizeof body_memory);
    struct buffer signed_body = buffer_on(signed_memory, sizeof signed_memory);
    struct buffer index = buffer_on(index_memory, sizeof index_memory);
    struct secret_key publisher = sample_secret(65);
    struct chunk_ref ref = {.digest = put_plain(d, span_text(content)),
                            .len = (uint32_t)strlen(content)};
    index_append(&index, &ref);
    m = (struct manifest){.name = "app",
                          .hook_timeout_s = 60,
                          .health_deadline_s = 60,
                          .health_interval_s = 1,
                          .bytes = ref.len,
                          .files = 1,
                          .chunks = 1,
                          .index_count = 1};
    snprintf(m.version, sizeof m.version, "%s", version);
    m.index[0] =
        (struct chunk_ref){.digest = put_plain(d, span_buffer(&index)), .len = (uint32_t)index.len};
    CU_ASSERT_EQUAL(manifest_write(&m, &body), 0);
    CU_ASSERT_EQUAL(envelope_seal(MESSAGE_MANIFEST, span_buffer(&body), &publisher, &signed_body),
                    0);
    struct command c = {.type = COMMAND_BUNDLE_ADD,
                        .bundle = {.name = "app", .bytes = ref.len, .files = 1, .chunks = 1}};
    snprintf(c.bundle.version, sizeof c.bundle.version, "%s", version);
    c.bundle.digest = put_plain(d, span_buffer(&signed_body));
    return c;
}

static struct command drop_bundle(const char *version)
{
    return (struct command){.type = COMMAND_BUNDLE_REMOVE,
                            .bundle_name = {.name = "app", .version = version}};
}

static unsigned count_bulk(struct daemon *d, bool erased)
{
    unsigned count = 0;
    struct bulk_row row = {0};
    while (ledger_next_bulk(daemon_ledger(d), row.serial, &row, NULL) == 1)
        count += row.erased == erased;
    return count;
}

static void test_removed_bundle_leaves_what_others_need(void)
{
    struct tree_path dir = tree_new();
    struct daemon *d = open_well(&dir);
    struct digest shared = digest_of(span_text("content"));
    struct command one = make_bundle(d, "1", "content"), two = make_bundle(d, "2", "content");
    CU_ASSERT_EQUAL(run_command(d, &one).rv, 0);
    CU_ASSERT_EQUAL(run_command(d, &two).rv, 0);
    CU_ASSERT_EQUAL(count_bulk(d, false), 4); /* two manifests, one index, one content */
    struct command drop = drop_bundle("1");
    CU_ASSERT_EQUAL(run_command(d, &drop).rv, 0);
    CU_ASSERT_EQUAL(count_bulk(d, true), 1);
    CU_ASSERT_FALSE(depot_has(daemon_depot(d), &one.bundle.digest));
    CU_ASSERT_TRUE(depot_has(daemon_depot(d), &shared));
    drop = drop_bundle("2");
    CU_ASSERT_EQUAL(run_command(d, &drop).rv, 0);
    CU_ASSERT_EQUAL(count_bulk(d, true), 4);
    CU_ASSERT_FALSE(depot_has(daemon_depot(d), &shared));
    daemon_free(d);
    tree_free(&dir);
}

static void test_bundle_without_its_content_is_refused_whole(void)
{
    struct tree_path dir = tree_new();
    struct daemon *d = open_well(&dir);
    struct command one = make_bundle(d, "1", "content");
    depot_remove(daemon_depot(d), &one.bundle.digest);
    struct outcome o = run_command(d, &one);
    CU_ASSERT_TRUE(o.commit_rv < 0);
    CU_ASSERT_EQUAL(manager_bundle_count(daemon_core(d)), 0);
    CU_ASSERT_EQUAL(count_bulk(d, false), 0);
    one = make_bundle(d, "1", "content");
    CU_ASSERT_EQUAL(run_command(d, &one).commit_rv, 0);
    CU_ASSERT_EQUAL(count_bulk(d, false), 3);
    daemon_free(d);
    tree_free(&dir);
}

static void test_lost_content_is_published_again_when_it_is_back(void)
{
    struct tree_path dir = tree_new();
    struct daemon *d = open_well(&dir);
    struct digest content = digest_of(span_text("content"));
    struct bulk_row row;
    struct command one = make_bundle(d, "1", "content");
    CU_ASSERT_EQUAL(run_command(d, &one).commit_rv, 0);
    CU_ASSERT_EQUAL(ledger_next_bulk(daemon_ledger(d), 3, &row, NULL), 0);
    depot_remove(daemon_depot(d), &content);
    put_plain(d, span_text("content"));
    CU_ASSERT_EQUAL(ledger_next_bulk(daemon_ledger(d), 3, &row, NULL), 1);
    CU_ASSERT_TRUE(digest_equal(&row.chunk, &content));
    daemon_free(d);
    tree_free(&dir);
}

static const struct suite_test tests[] = {
    TEST(test_answered_command_outlives_the_manager),
    TEST(test_what_is_asked_last_is_answered_before_the_end),
    TEST(test_refused_command_is_answered_too),
    TEST(test_full_disk_promises_nothing_and_loses_nothing),
    TEST(test_second_manager_is_refused),
    TEST(test_damaged_database_is_named),
    TEST(test_removed_bundle_leaves_what_others_need),
    TEST(test_bundle_without_its_content_is_refused_whole),
    TEST(test_lost_content_is_published_again_when_it_is_back),
};

int main(void)
{
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    log_threshold(LOG_ERROR);
    return suite_run("daemon", tests, sizeof tests / sizeof tests[0]);
}
