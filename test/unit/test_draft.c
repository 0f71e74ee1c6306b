/* Drafts: what is written is read again, and nothing else is. */
#include "manager/cli/draft.h"

#include "base/file.h"
#include "manager/cli/trust_words.h"
#include "test/samples.h"
#include "test/suite.h"
#include "test/tree.h"

static struct draft got;
static struct tree_path dir, path;
static uint8_t body_memory[MANIFEST_MAX];
static char text[2 * MANIFEST_MAX + 64];

static struct span write_manifest(void)
{
    static struct manifest m;
    struct buffer body = buffer_on(body_memory, sizeof body_memory);
    m = (struct manifest){.name = "app",
                          .version = "3",
                          .hook_timeout_s = 60,
                          .health_deadline_s = 60,
                          .health_interval_s = 1,
                          .bytes = 1000,
                          .files = 2,
                          .chunks = 1,
                          .index_count = 1,
                          .index = {{.digest = sample_digest(1), .len = 36}}};
    CU_ASSERT_EQUAL(manifest_write(&m, &body), 0);
    return span_buffer(&body);
}

static struct span write_trust(void)
{
    struct trust t = sample_trust();
    struct buffer body = buffer_on(body_memory, sizeof body_memory);
    CU_ASSERT_EQUAL(trust_write(&t, &body), 0);
    return span_buffer(&body);
}

static void write_draft(enum message type, struct span body, unsigned key)
{
    struct envelope e = {.body = body};
    struct secret_key secret = sample_secret(key);
    if (key)
        CU_ASSERT_EQUAL(envelope_sign(type, &e, &secret), 0);
    CU_ASSERT_EQUAL(draft_write(path.text, type, &e, NULL), 0);
}

static struct span read_text(void)
{
    struct buffer b = buffer_on((uint8_t *)text, sizeof text);
    CU_ASSERT_EQUAL(file_read(path.text, &b, NULL), 0);
    return span_buffer(&b);
}

static void test_drafts_of_both_kinds_come_back(void)
{
    struct trust want = sample_trust();
    write_draft(MESSAGE_TRUST, write_trust(), SAMPLE_ROOT);
    CU_ASSERT_EQUAL(draft_read(path.text, &got, NULL), 0);
    CU_ASSERT_EQUAL(got.type, MESSAGE_TRUST);
    CU_ASSERT_EQUAL(got.envelope.count, 1);
    CU_ASSERT_EQUAL(memcmp(&got.trust, &want, sizeof want), 0);
    write_draft(MESSAGE_MANIFEST, write_manifest(), 0);
    CU_ASSERT_EQUAL(draft_read(path.text, &got, NULL), 0);
    CU_ASSERT_EQUAL(got.type, MESSAGE_MANIFEST);
    CU_ASSERT_EQUAL(got.envelope.count, 0);
    CU_ASSERT_STRING_EQUAL(got.manifest.name, "app");
}

/* Signed again and again, by one after the other, it becomes what the manager takes. */
static void test_signatures_gather_in_a_draft(void)
{
    static uint8_t sealed[TRUST_MAX + ENVELOPE_OVERHEAD_MAX];
    struct secret_key too = sample_secret(SAMPLE_ROOT_TOO);
    struct trust t = sample_trust(), opened;
    struct root_pin pin = trust_pin(&t);
    write_draft(MESSAGE_TRUST, write_trust(), SAMPLE_ROOT);
    CU_ASSERT_EQUAL(draft_read(path.text, &got, NULL), 0);
    CU_ASSERT_EQUAL(envelope_sign(MESSAGE_TRUST, &got.envelope, &too), 0);
    CU_ASSERT_EQUAL(draft_write(path.text, MESSAGE_TRUST, &got.envelope, NULL), 0);
    CU_ASSERT_EQUAL(draft_read(path.text, &got, NULL), 0);
    struct buffer out = buffer_on(sealed, sizeof sealed);
    CU_ASSERT_EQUAL(draft_seal(&got, &out), 0);
    CU_ASSERT_EQUAL(trust_walk(&pin, &(struct span){out.data, out.len}, 1, &opened), 0);
}

static void test_text_cut_or_changed_anywhere_is_refused_or_says_something_else(void)
{
    write_draft(MESSAGE_TRUST, write_trust(), SAMPLE_ROOT);
    struct span whole = read_text();
    for (size_t len = 0; len < whole.len; len++)
        CU_ASSERT_TRUE(draft_parse(span_of(text, len), &got) < 0);
    for (size_t i = 0; i < whole.len; i++) {
        text[i] ^= 0x40; /* makes no digit of a digit */
        CU_ASSERT_TRUE(draft_parse(whole, &got) < 0);
        text[i] ^= 0x40;
    }
    CU_ASSERT_EQUAL(draft_parse(whole, &got), 0);
}

static void test_what_is_no_draft_is_named(void)
{
    struct errmsg em;
    CU_ASSERT_EQUAL(draft_read("/nowhere/draft", &got, &em), ERR_NOT_FOUND);
    tree_file(&dir, "other", 0644, span_text("dunlin-public-key-1 00\n"));
    struct tree_path other = tree_join(&dir, "other");
    CU_ASSERT_EQUAL(draft_read(other.text, &got, &em), ERR_FORMAT);
    CU_ASSERT_PTR_NOT_NULL(strstr(em.text, "is no draft"));
    /* A trust document under the name of a manifest. */
    write_draft(MESSAGE_TRUST, write_trust(), SAMPLE_ROOT);
    struct span whole = read_text();
    char lie[sizeof "dunlin-draft-1 manifest "] = "dunlin-draft-1 manifest ";
    static char longer[sizeof text];
    int n = snprintf(longer, sizeof longer, "%s%.*s", lie,
                     (int)(whole.len - strlen("dunlin-draft-1 trust ")),
                     text + strlen("dunlin-draft-1 trust "));
    CU_ASSERT_EQUAL(draft_parse(span_of(longer, (size_t)n), &got), ERR_FORMAT);
}

static void test_changes_are_told_line_by_line(void)
{
    struct trust from = sample_trust(), to = sample_trust();
    struct public_key new = sample_public(33);
    struct key_id gone = key_id_of(&from.roles[TRUST_PUBLISHERS].list[0]);
    struct key_id come = key_id_of(&new);
    char told[1024] = "", want[1024];
    to.version = 4;
    trust_remove(&to, TRUST_PUBLISHERS, &gone);
    trust_add(&to, TRUST_PUBLISHERS, &new);
    to.roles[TRUST_PUBLISHERS].threshold = 2;
    to.authority_count = 0;
    FILE *out = fmemopen(told, sizeof told, "w");
    trust_words_changes(&from, &to, out);
    fclose(out);
    snprintf(want, sizeof want,
             "trust document 4, after 3\n"
             "  + publisher %s\n"
             "  - publisher %s\n"
             "  publisher threshold: 2 of 2, was 1 of 2\n"
             "  - authority b0b1b2b3b4b5b6b7b8b9babbbcbdbebf\n",
             key_id_hex(&come).text, key_id_hex(&gone).text);
    CU_ASSERT_STRING_EQUAL(told, want);
}

static const struct suite_test tests[] = {
    TEST(test_drafts_of_both_kinds_come_back),
    TEST(test_signatures_gather_in_a_draft),
    TEST(test_text_cut_or_changed_anywhere_is_refused_or_says_something_else),
    TEST(test_what_is_no_draft_is_named),
    TEST(test_changes_are_told_line_by_line),
};

int main(void)
{
    dir = tree_new();
    path = tree_join(&dir, "a.draft");
    int failed = suite_run("draft", tests, sizeof tests / sizeof tests[0]);
    tree_free(&dir);
    return failed;
}
