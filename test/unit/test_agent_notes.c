#include "agent/notes.h"

#include "agent/hook.h"
#include "test/samples.h"
#include "test/suite.h"
#include "test/tree.h"

struct scene {
    struct tree_path dir;
    struct identity identity;
    struct notes notes;
    struct held row;
    struct link link; /* down */
};

static struct scene scene;
static uint8_t room[NOTE_MAX];

static struct scene *set_up(void)
{
    struct scene *s = &scene;
    memset(s, 0, sizeof *s);
    s->dir = tree_new();
    s->identity.number = 7;
    s->identity.mac = sample_mac_key();
    s->row = (struct held){.deployment = 3,
                           .name = "app",
                           .cause = CAUSE_HEALTH,
                           .phase = PHASE_UNDOING,
                           .wanted = {.generation = 5, .bundle = sample_digest(1)}};
    struct tree_path log = tree_join(&s->dir, "deployments/app/log");
    CU_ASSERT_EQUAL(file_make_folder(log.text, 0700, NULL), 0);
    notes_init(&s->notes, s->dir.text, &s->identity);
    return s;
}

static void tear_down(struct scene *s)
{
    tree_free(&s->dir);
}

static void say(struct scene *s, enum agent_hook hook, const char *words)
{
    char path[FILE_PATH_MAX];
    CU_ASSERT_EQUAL(hook_failed_log(s->dir.text, "app", hook, path, NULL), 0);
    CU_ASSERT_EQUAL(file_write(path, span_text(words), 0600, NULL), 0);
}

/* A hook of this bundle said so, and ended with a code. */
static void fail(struct scene *s, enum agent_hook hook, unsigned bundle, const char *words)
{
    struct digest digest = sample_digest(bundle);
    say(s, hook, words);
    notes_begin(&s->notes, hook, &digest);
    notes_hear(&s->notes, "app", "it ended with code 1");
}

/* What is kept of deployment 3, or NULL. */
static const struct note *kept(const struct scene *s)
{
    static struct note n;
    struct buffer bytes = buffer_on(room, sizeof room);
    struct tree_path path = tree_join(&s->dir, "notes/3");
    if (file_read(path.text, &bytes, NULL) < 0)
        return NULL;
    CU_ASSERT_EQUAL(report_check(span_buffer(&bytes), &s->identity.mac), 0);
    CU_ASSERT_EQUAL(note_read(span_buffer(&bytes), &n), 0);
    return &n;
}

static bool says(const struct note *n, const char *text)
{
    return n && span_equal(n->text, span_text(text));
}

static void test_words_are_kept_when_their_version_is_given_up(void)
{
    struct scene *s = set_up();
    fail(s, HOOK_HEALTH, 1, "no port\n");
    CU_ASSERT_PTR_NULL(kept(s)); /* it may be tried again */
    notes_keep(&s->notes, &s->row);
    const struct note *n = kept(s);
    CU_ASSERT_TRUE_FATAL(says(n, "no port\nit ended with code 1"));
    CU_ASSERT_EQUAL(n->number, 7);
    CU_ASSERT_EQUAL(n->deployment, 3);
    CU_ASSERT_EQUAL(n->generation, 5);
    CU_ASSERT_EQUAL(n->cause, CAUSE_HEALTH);
    tear_down(s);
}

/* Going back runs the old version's hooks, and they may fail as well. */
static void test_words_of_another_version_or_hook_are_none_of_it(void)
{
    struct scene *s = set_up();
    fail(s, HOOK_HEALTH, 2, "the old version's\n");
    notes_keep(&s->notes, &s->row);
    fail(s, HOOK_APPLY, 1, "another hook's\n");
    notes_keep(&s->notes, &s->row);
    CU_ASSERT_PTR_NULL(kept(s));
    fail(s, HOOK_HEALTH, 1, "its own\n");
    notes_keep(&s->notes, &s->row);
    fail(s, HOOK_HEALTH, 2, "the old version's\n");
    notes_keep(&s->notes, &s->row);
    CU_ASSERT_TRUE(says(kept(s), "its own\nit ended with code 1"));
    tear_down(s);
}

static void test_last_whole_lines_are_kept_of_a_long_speech(void)
{
    static char words[4096];
    struct scene *s = set_up();
    size_t len = 0;
    for (int i = 0; len < sizeof words - 16; i++)
        len += (size_t)snprintf(words + len, sizeof words - len, "line %d\n", i);
    fail(s, HOOK_HEALTH, 1, words);
    notes_keep(&s->notes, &s->row);
    const struct note *n = kept(s);
    CU_ASSERT_TRUE_FATAL(n && n->text.len <= NOTE_TEXT_MAX && n->text.len > NOTE_TEXT_MAX - 64);
    CU_ASSERT_EQUAL(memcmp(n->text.data, "line ", 5), 0);
    tear_down(s);
}

static void test_hook_that_never_ran_has_only_the_agents_word(void)
{
    struct scene *s = set_up();
    struct digest digest = sample_digest(1);
    say(s, HOOK_HEALTH, "an earlier version's\n");
    notes_begin(&s->notes, HOOK_HEALTH, &digest);
    notes_hear(&s->notes, NULL, "hooks/health is no file");
    notes_keep(&s->notes, &s->row);
    CU_ASSERT_TRUE(says(kept(s), "hooks/health is no file"));
    tear_down(s);
}

static void test_note_is_owed_until_a_broker_has_it_whatever_happens(void)
{
    struct scene *s = set_up();
    CU_ASSERT_EQUAL(notes_due_ms(&s->notes), UINT64_MAX);
    fail(s, HOOK_HEALTH, 1, "no port\n");
    notes_keep(&s->notes, &s->row);
    notes_init(&s->notes, s->dir.text, &s->identity); /* it was killed */
    CU_ASSERT_EQUAL(notes_due_ms(&s->notes), UINT64_MAX);
    notes_link_changed(&s->notes, true, 1000);
    CU_ASSERT_EQUAL(notes_due_ms(&s->notes), 1000 + NOTES_SETTLE_MS);
    notes_send(&s->notes, &s->link, 2000); /* the link is lost meanwhile */
    CU_ASSERT_EQUAL(notes_due_ms(&s->notes), 2000 + NOTES_GAP_MS);
    s->notes.in_flight = 3; /* as if it had been sent */
    s->notes.message = 9;
    notes_acknowledged(&s->notes, 8);
    CU_ASSERT_PTR_NOT_NULL(kept(s));
    notes_acknowledged(&s->notes, 9);
    CU_ASSERT_PTR_NULL(kept(s));
    notes_send(&s->notes, &s->link, 20000);
    CU_ASSERT_EQUAL(notes_due_ms(&s->notes), UINT64_MAX);
    tear_down(s);
}

static void test_acknowledgement_of_an_older_note_keeps_the_newer_one(void)
{
    struct scene *s = set_up();
    fail(s, HOOK_HEALTH, 1, "first\n");
    notes_keep(&s->notes, &s->row);
    s->notes.in_flight = 3;
    s->notes.message = 9;
    fail(s, HOOK_HEALTH, 1, "second\n");
    notes_keep(&s->notes, &s->row);
    notes_acknowledged(&s->notes, 9);
    CU_ASSERT_TRUE(says(kept(s), "second\nit ended with code 1"));
    CU_ASSERT_TRUE(s->notes.owed);
    tear_down(s);
}

static void test_note_that_can_not_be_read_holds_up_no_other(void)
{
    struct scene *s = set_up();
    tree_folder(&s->dir, "notes", 0700);
    tree_folder(&s->dir, "notes/5", 0700);
    notes_init(&s->notes, s->dir.text, &s->identity);
    notes_link_changed(&s->notes, true, 1000);
    CU_ASSERT_TRUE(s->notes.owed);
    notes_send(&s->notes, &s->link, 2000);
    notes_send(&s->notes, &s->link, 20000);
    CU_ASSERT_FALSE(s->notes.owed);
    tear_down(s);
}

static void test_missing_room_is_told_once_a_version(void)
{
    struct scene *s = set_up();
    notes_lack_room(&s->notes, &s->row, "12 MiB are needed");
    CU_ASSERT_TRUE_FATAL(says(kept(s), "12 MiB are needed"));
    CU_ASSERT_EQUAL(kept(s)->cause, CAUSE_DISK);
    notes_lack_room(&s->notes, &s->row, "12 MiB are needed still");
    CU_ASSERT_TRUE(says(kept(s), "12 MiB are needed"));
    s->row.wanted.generation++;
    notes_lack_room(&s->notes, &s->row, "13 MiB are needed");
    CU_ASSERT_TRUE(says(kept(s), "13 MiB are needed"));
    tear_down(s);
}

static const struct suite_test tests[] = {
    TEST(test_note_that_can_not_be_read_holds_up_no_other),
    TEST(test_missing_room_is_told_once_a_version),
    TEST(test_words_are_kept_when_their_version_is_given_up),
    TEST(test_words_of_another_version_or_hook_are_none_of_it),
    TEST(test_last_whole_lines_are_kept_of_a_long_speech),
    TEST(test_hook_that_never_ran_has_only_the_agents_word),
    TEST(test_note_is_owed_until_a_broker_has_it_whatever_happens),
    TEST(test_acknowledgement_of_an_older_note_keeps_the_newer_one),
};

SUITE_MAIN("agent_notes", tests)
