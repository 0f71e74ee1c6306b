#include "manager/backup.h"

#include "base/file.h"
#include "crypto/random.h"
#include "manager/auditor.h"
#include "manager/depot.h"
#include "manager/keyring.h"
#include "manager/vault.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* A bundle may be removed between the copy of the database and that of its chunks: then both are
 * made once more. */
#define ATTEMPTS_MAX 3

static int begin_folder(const char *path, char unfinished[static FILE_PATH_MAX], struct errmsg *em);
static int end_folder(const char *unfinished, const char *path, struct errmsg *em);
static int copy_fleet(const char *from, const char *to, struct backup_made *made,
                      struct errmsg *em);
static int copy_chunk(void *context, const struct digest *chunk, struct errmsg *em);
static int check_empty(const char *dir, struct errmsg *em);
static int begin_epoch(const char *dir, const char *from, bool keep_tokens, uint64_t now_s,
                       struct backup_restored *restored, struct errmsg *em);
static int write_epoch(struct ledger *l, bool keep_tokens, uint64_t now_s,
                       struct backup_restored *restored, struct errmsg *em);
static int write_entry(struct ledger *l, const char *from, bool keep_tokens, uint64_t now_s,
                       const struct backup_restored *restored, struct errmsg *em);

int backup_make(const char *dir, const char *out, struct backup_made *made, struct errmsg *em)
{
    struct stat st;
    char unfinished[FILE_PATH_MAX];
    if (lstat(out, &st) == 0)
        return errmsg_set(em, ERR_EXISTS, "%s is there already: choose a new name", out);
    int rv = begin_folder(out, unfinished, em);
    if (rv < 0)
        return rv;
    rv = copy_fleet(dir, unfinished, made, em);
    if (rv == 0)
        rv = end_folder(unfinished, out, em);
    if (rv < 0)
        file_remove(unfinished, NULL);
    return rv;
}

int backup_restore(const char *out, const char *dir, bool keep_tokens, uint64_t now_s,
                   struct backup_restored *restored, struct errmsg *em)
{
    char unfinished[FILE_PATH_MAX];
    struct backup_made copied = {0};
    int rv = check_empty(dir, em);
    if (rv == 0)
        rv = begin_folder(dir, unfinished, em);
    if (rv < 0)
        return rv;
    rv = copy_fleet(out, unfinished, &copied, em);
    restored->chunks = copied.chunks;
    if (rv == 0)
        rv = begin_epoch(unfinished, out, keep_tokens, now_s, restored, em);
    if (rv == 0)
        rv = end_folder(unfinished, dir, em);
    if (rv < 0)
        file_remove(unfinished, NULL);
    return rv;
}

/* ---- a folder that is there as a whole or not at all ---- */

/* What an unfinished copy left is nobody else's. */
static int begin_folder(const char *path, char unfinished[static FILE_PATH_MAX], struct errmsg *em)
{
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/')
        len--;
    int rv = file_path(unfinished, em, "%.*s.unfinished", (int)len, path);
    if (rv == 0)
        rv = file_remove(unfinished, em);
    return rv < 0 ? rv : file_make_folder(unfinished, 0700, em);
}

static int end_folder(const char *unfinished, const char *path, struct errmsg *em)
{
    int fd = open(unfinished, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool synced = fd >= 0 && syncfs(fd) == 0;
    if (fd >= 0)
        close(fd);
    if (!synced)
        return errmsg_set(em, file_error(errno), "%s: cannot sync it: %s", unfinished,
                          strerror(errno));
    /* The place may be an empty folder. */
    if (rename(unfinished, path) < 0)
        return errmsg_set(em, file_error(errno), "%s: cannot rename it to %s: %s", unfinished, path,
                          strerror(errno));
    char parent[FILE_PATH_MAX];
    int rv = file_path(parent, em, "%s/..", path);
    return rv < 0 ? rv : file_sync_folder(parent, em);
}

/* ---- copying ---- */

struct copying {
    const char *from;
    const char *to;
    struct backup_made *made;
};

static int copy_fleet(const char *from, const char *to, struct backup_made *made, struct errmsg *em)
{
    char database[FILE_PATH_MAX];
    struct copying copying = {.from = from, .to = to, .made = made};
    int rv = file_path(database, em, "%s/manager.db", to);
    bool whole = false;
    for (int i = 0; rv == 0 && !whole && i < ATTEMPTS_MAX; i++) {
        *made = (struct backup_made){0};
        rv = file_remove(database, em);
        if (rv == 0)
            rv = ledger_copy(from, database, em);
        if (rv == 0)
            rv = ledger_chunks(database, &copying, copy_chunk, em);
        whole = made->missing == 0;
    }
    return rv < 0 ? rv : vault_copy(from, to, em);
}

static int copy_chunk(void *context, const struct digest *chunk, struct errmsg *em)
{
    struct copying *c = context;
    int rv = depot_share(c->from, c->to, chunk, em);
    c->made->chunks += rv == 0;
    c->made->missing += rv == ERR_NOT_FOUND;
    return rv == ERR_NOT_FOUND ? 0 : rv;
}

/* ---- restoring ---- */

static int check_empty(const char *dir, struct errmsg *em)
{
    DIR *folder = opendir(dir);
    if (!folder && errno == ENOENT)
        return 0;
    if (!folder)
        return errmsg_set(em, file_error(errno), "%s: cannot open it: %s", dir, strerror(errno));
    struct dirent *e;
    bool empty = true;
    while ((e = readdir(folder)))
        empty &= strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
    closedir(folder);
    return empty
               ? 0
               : errmsg_set(em, ERR_EXISTS,
                            "%s is not empty: stop its manager and move it away, or choose another "
                            "folder",
                            dir);
}

static int begin_epoch(const char *dir, const char *from, bool keep_tokens, uint64_t now_s,
                       struct backup_restored *restored, struct errmsg *em)
{
    struct fleet_keys unused;
    if (keyring_draw(&unused) < 0)
        return errmsg_set(em, ERR_CRYPTO, "cannot draw random numbers");
    struct ledger *l = ledger_open(dir, &unused, em);
    explicit_bzero(&unused, sizeof unused);
    if (!l)
        return ERR_IO;
    int rv = ledger_checked(l, em);
    if (rv == 0)
        rv = write_epoch(l, keep_tokens, now_s, restored, em);
    if (rv == 0)
        rv = write_entry(l, from, keep_tokens, now_s, restored, em);
    if (rv == 0)
        rv = ledger_commit(l, em);
    ledger_close(l);
    return rv;
}

static int write_epoch(struct ledger *l, bool keep_tokens, uint64_t now_s,
                       struct backup_restored *restored, struct errmsg *em)
{
    uint32_t base;
    random_bytes(&base, sizeof base);
    int64_t before = ledger_setting(l, LEDGER_EPOCH);
    if (before < 1 || before >= EPOCH_MAX)
        return errmsg_set(em, ERR_RANGE, "its epoch is %lld: a fleet has at most %d",
                          (long long)before, EPOCH_MAX);
    restored->epoch = (uint32_t)before + 1;
    const struct {
        enum ledger_setting setting;
        int64_t value;
    } settings[] = {
        {LEDGER_EPOCH, restored->epoch},          {LEDGER_RESTORED, (int64_t)now_s},
        {LEDGER_RESTORED_EPOCH, restored->epoch}, {LEDGER_RESTORED_BASE, base % RESTORED_BASE_MAX},
        {LEDGER_LINEAGE, keyring_lineage()},
    };
    int rv = 0;
    for (size_t i = 0; rv == 0 && i < sizeof settings / sizeof settings[0]; i++)
        rv = ledger_set(l, settings[i].setting, settings[i].value, em);
    restored->revoked = 0;
    return rv < 0 || keep_tokens ? rv : ledger_revoke_tokens(l, &restored->revoked, em);
}

static int write_entry(struct ledger *l, const char *from, bool keep_tokens, uint64_t now_s,
                       const struct backup_restored *restored, struct errmsg *em)
{
    struct auditor *a = auditor_new(l);
    struct audit_entry e = {.action = "fleet-restore"};
    if (!a)
        return errmsg_set(em, ERR_NO_MEMORY, "out of memory");
    audit_text(e.actor, sizeof e.actor, "local:%u", (unsigned)getuid());
    audit_text(e.object, sizeof e.object, "epoch %u", restored->epoch);
    audit_text(e.detail, sizeof e.detail, "from=%s tokens=%s", from,
               keep_tokens ? "kept" : "revoked");
    int rv = auditor_add(a, &e, now_s, em);
    auditor_free(a);
    return rv;
}
