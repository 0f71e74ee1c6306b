/* What a backup holds, and what a restore makes of it. */
#include "manager/backup.h"

#include "manager/depot.h"
#include "manager/ledger.h"
#include "manager/vault.h"
#include "test/samples.h"
#include "test/suite.h"
#include "test/tree.h"

#include <sys/stat.h>

static struct ledger *open_in(const struct tree_path *root, const char *dir)
{
    struct errmsg em = {.text = ""};
    struct tree_path path = tree_join(root, dir);
    struct fleet_keys keys = {.signing = sample_secret(1),
                              .heirs[FLEET_ONLINE].secret = sample_secret(3),
                              .authority = sample_secret(2)};
    struct ledger *l = ledger_open(path.text, &keys, &em);
    tree_must(l != NULL, em.text);
    return l;
}

/* ROOT/fleet: epoch 4, a batch that is revoked and two that aren't, a bundle with two chunks, of
 * which the depot has the first. The ledger stays open, as a manager's does. */
static struct ledger *make_fleet(const struct tree_path *root, struct digest *chunk)
{
    struct batch_row batch = {.count = 1, .uses = 1};
    struct digest lost = sample_digest(9);
    uint8_t frame[] = {0, 'x'};
    tree_folder(root, "fleet", 0700);
    struct tree_path dir = tree_join(root, "fleet");
    struct ledger *l = open_in(root, "fleet");
    struct depot *d = depot_open(dir.text, &(struct depot_keep){0}, NULL);
    *chunk = digest_of(span_text("x"));
    tree_must(d != NULL && depot_put(d, chunk, span_of(frame, 2), NULL) == 0, "depot");
    depot_close(d);
    CU_ASSERT_EQUAL(ledger_set(l, LEDGER_EPOCH, 4, NULL), 0);
    CU_ASSERT_EQUAL(ledger_set(l, LEDGER_LINEAGE, 77, NULL), 0);
    for (uint32_t i = 0; i < 3; i++) {
        batch.revoked = i == 0;
        CU_ASSERT_EQUAL(ledger_batch(l, i, &batch, NULL), 0);
    }
    CU_ASSERT_EQUAL(ledger_bundle_chunk(l, 0, chunk, NULL), 0);
    CU_ASSERT_EQUAL(ledger_bundle_chunk(l, 0, &lost, NULL), 0);
    CU_ASSERT_EQUAL(ledger_commit(l, NULL), 0);
    return l;
}

static bool is_there(const struct tree_path *root, const char *path)
{
    struct stat st;
    return lstat(tree_join(root, path).text, &st) == 0;
}

static int back_up(const struct tree_path *root, const char *out, struct backup_made *made)
{
    struct tree_path dir = tree_join(root, "fleet"), to = tree_join(root, out);
    return backup_make(dir.text, to.text, made, NULL);
}

static int restore(const struct tree_path *root, const char *from, const char *dir, bool keep,
                   struct backup_restored *restored)
{
    struct tree_path out = tree_join(root, from), to = tree_join(root, dir);
    return backup_restore(out.text, to.text, keep, 5000, restored, NULL);
}

/* What is written and not committed is not in it. */
static void test_backup_is_the_fleet_as_last_committed(void)
{
    struct tree_path root = tree_new();
    struct digest chunk;
    struct backup_made made;
    struct stat st;
    struct ledger *l = make_fleet(&root, &chunk);
    CU_ASSERT_EQUAL(ledger_set(l, LEDGER_EPOCH, 9, NULL), 0);
    CU_ASSERT_EQUAL(back_up(&root, "out", &made), 0);
    CU_ASSERT_EQUAL(made.chunks, 1);
    CU_ASSERT_EQUAL(made.missing, 1);
    CU_ASSERT_EQUAL(lstat(tree_join(&root, "out").text, &st), 0);
    CU_ASSERT_EQUAL(st.st_mode & 0777, 0700);
    CU_ASSERT_EQUAL(lstat(tree_join(&root, "out/manager.db").text, &st), 0);
    CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
    CU_ASSERT_FALSE(is_there(&root, "out.unfinished"));
    CU_ASSERT_EQUAL(back_up(&root, "out", &made), ERR_EXISTS);
    ledger_rollback(l);
    ledger_close(l);

    struct ledger *copy = open_in(&root, "out");
    CU_ASSERT_EQUAL(ledger_setting(copy, LEDGER_EPOCH), 4);
    ledger_close(copy);
    tree_free(&root);
}

static void test_restore_begins_an_epoch_and_revokes_tokens(void)
{
    struct tree_path root = tree_new();
    struct digest chunk;
    struct backup_made made;
    struct backup_restored restored;
    ledger_close(make_fleet(&root, &chunk));
    CU_ASSERT_EQUAL(back_up(&root, "out", &made), 0);
    CU_ASSERT_EQUAL(restore(&root, "out", "new", false, &restored), 0);
    CU_ASSERT_EQUAL(restored.epoch, 5);
    CU_ASSERT_EQUAL(restored.revoked, 2);
    CU_ASSERT_EQUAL(restored.chunks, 1);
    struct ledger *l = open_in(&root, "new");
    CU_ASSERT_EQUAL(ledger_setting(l, LEDGER_EPOCH), 5);
    CU_ASSERT_EQUAL(ledger_setting(l, LEDGER_RESTORED), 5000);
    CU_ASSERT_EQUAL(ledger_setting(l, LEDGER_RESTORED_EPOCH), 5);
    CU_ASSERT_TRUE(ledger_setting(l, LEDGER_RESTORED_BASE) < RESTORED_BASE_MAX);
    CU_ASSERT_NOT_EQUAL(ledger_setting(l, LEDGER_LINEAGE), 77);
    ledger_close(l);
    struct tree_path dir = tree_join(&root, "new");
    struct depot *d = depot_open(dir.text, &(struct depot_keep){0}, NULL);
    CU_ASSERT_TRUE(depot_has(d, &chunk));
    depot_close(d);

    /* Into an empty folder, and with the tokens; the backup is as it was. */
    tree_folder(&root, "empty", 0700);
    CU_ASSERT_EQUAL(restore(&root, "out", "empty", true, &restored), 0);
    CU_ASSERT_EQUAL(restored.epoch, 5);
    CU_ASSERT_EQUAL(restored.revoked, 0);
    CU_ASSERT_EQUAL(restore(&root, "out", "empty", true, &restored), ERR_EXISTS);
    tree_free(&root);
}

/* A chunk that the depot lost can be pushed again; that key is nowhere else. */
static void test_the_secrets_key_is_copied_also_where_content_is_missing(void)
{
    struct tree_path root = tree_new(), fleet = tree_join(&root, "fleet");
    struct digest chunk;
    struct backup_made made;
    struct backup_restored restored;
    struct mac_key key, again = {{0}};
    ledger_close(make_fleet(&root, &chunk));
    CU_ASSERT_EQUAL(vault_open(fleet.text, true, &key, NULL), 0);
    CU_ASSERT_EQUAL(back_up(&root, "out", &made), 0);
    CU_ASSERT_EQUAL(made.missing, 1);
    CU_ASSERT_TRUE(is_there(&root, "out/" VAULT_FILE));
    CU_ASSERT_EQUAL(restore(&root, "out", "new", false, &restored), 0);
    struct tree_path dir = tree_join(&root, "new");
    CU_ASSERT_EQUAL(vault_open(dir.text, false, &again, NULL), 0);
    CU_ASSERT_EQUAL(memcmp(&key, &again, sizeof key), 0);
    tree_free(&root);
}

static void test_failed_copies_leave_nothing(void)
{
    struct tree_path root = tree_new();
    struct digest chunk;
    struct backup_made made;
    struct backup_restored restored;
    struct ledger *l = make_fleet(&root, &chunk);
    CU_ASSERT_EQUAL(ledger_set(l, LEDGER_EPOCH, EPOCH_MAX, NULL), 0);
    CU_ASSERT_EQUAL(ledger_commit(l, NULL), 0);
    ledger_close(l);
    CU_ASSERT_EQUAL(restore(&root, "nowhere", "new", false, &restored), ERR_NOT_FOUND);
    CU_ASSERT_EQUAL(back_up(&root, "out", &made), 0);
    CU_ASSERT_EQUAL(restore(&root, "out", "new", false, &restored), ERR_RANGE);
    tree_folder(&root, "other", 0700);
    tree_file(&root, "other/manager.db", 0600, span_text("no database, but long enough to be one"));
    CU_ASSERT_TRUE(restore(&root, "other", "new", false, &restored) < 0);
    CU_ASSERT_FALSE(is_there(&root, "new"));
    CU_ASSERT_FALSE(is_there(&root, "new.unfinished"));
    /* What a power cut left of an earlier try is in nobody's way. */
    tree_folder(&root, "more.unfinished", 0700);
    tree_file(&root, "more.unfinished/manager.db", 0600, span_text("half"));
    CU_ASSERT_EQUAL(back_up(&root, "more", &made), 0);
    tree_free(&root);
}

static const struct suite_test tests[] = {
    TEST(test_backup_is_the_fleet_as_last_committed),
    TEST(test_restore_begins_an_epoch_and_revokes_tokens),
    TEST(test_the_secrets_key_is_copied_also_where_content_is_missing),
    TEST(test_failed_copies_leave_nothing),
};

SUITE_MAIN("backup", tests)
