/*
 * The file DIR/chunks/unsynced stands there from the first put to the next sync, and names the boot
 * it was made in. When the machine has been booted since, files may be torn that were only in the
 * page cache; after a mere kill of the manager they are whole.
 */
#include "manager/depot.h"

#include "base/file.h"
#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define MARKER "unsynced"
#define INCOMING "incoming"
#define BOOT_ID "/proc/sys/kernel/random/boot_id"
#define BOOT_ID_MAX 64
#define FOLDERS 256
/* "xx/" and a digest. */
#define NAME_TEXT_MAX (3 + 2 * DIGEST_LEN + 1)

struct depot {
    char path[FILE_PATH_MAX];
    int folder;
    bool unsynced; /* the marker stands */
    struct chunk_opener *opener;
    uint8_t frame[CHUNK_FRAME_MAX];
};

struct name_text {
    char text[NAME_TEXT_MAX];
};

static int start(struct depot *d, const char *dir, const struct depot_keep *keep,
                 struct errmsg *em);
static void sweep_after_crash(struct depot *d, const struct depot_keep *keep);
static unsigned sweep_folder(struct depot *d, const char *name, const struct depot_keep *keep);
static bool same_boot(const struct depot *d);
static struct span read_boot_id(struct buffer *b);
static struct name_text name_of(const struct digest *chunk);
static int read_whole(int fd, struct buffer *out);
static int write_incoming(struct depot *d, struct span frame);
static int place_incoming(struct depot *d, const struct digest *name);
static int mark_unsynced(struct depot *d, struct errmsg *em);
static int fail(const struct depot *d, struct errmsg *em, const char *verb, const char *name);

/* ---- open and close ---- */

struct depot *depot_open(const char *dir, const struct depot_keep *keep, struct errmsg *em)
{
    struct depot *d = calloc(1, sizeof *d);
    if (!d) {
        errmsg_set(em, ERR_NO_MEMORY, "out of memory");
        return NULL;
    }
    d->folder = -1;
    if (start(d, dir, keep, em) < 0) {
        depot_close(d);
        return NULL;
    }
    return d;
}

static int start(struct depot *d, const char *dir, const struct depot_keep *keep, struct errmsg *em)
{
    int rv = file_path(d->path, em, "%s/chunks", dir);
    if (rv == 0)
        rv = file_make_folder(d->path, 0700, em);
    if (rv < 0)
        return rv;
    d->folder = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (d->folder < 0)
        return fail(d, em, "open", "");
    d->opener = chunk_opener_new();
    if (!d->opener)
        return errmsg_set(em, ERR_NO_MEMORY, "out of memory");
    d->unsynced = faccessat(d->folder, MARKER, F_OK, 0) == 0;
    if (d->unsynced && !same_boot(d)) {
        sweep_after_crash(d, keep);
        return depot_sync(d, em);
    }
    return 0;
}

void depot_close(struct depot *d)
{
    if (!d)
        return;
    chunk_opener_free(d->opener);
    if (d->folder >= 0)
        close(d->folder);
    free(d);
}

static bool same_boot(const struct depot *d)
{
    uint8_t then[BOOT_ID_MAX], now[BOOT_ID_MAX];
    struct buffer made = buffer_on(then, sizeof then), current = buffer_on(now, sizeof now);
    char path[FILE_PATH_MAX];
    if (file_path(path, NULL, "%s/" MARKER, d->path) < 0 || file_read(path, &made, NULL) < 0)
        return false;
    return span_equal(span_buffer(&made), read_boot_id(&current));
}

/* Empty when the system doesn't say: then no two boots are the same. */
static struct span read_boot_id(struct buffer *b)
{
    return file_read(BOOT_ID, b, NULL) < 0 ? SPAN_NONE : span_buffer(b);
}

static void sweep_after_crash(struct depot *d, const struct depot_keep *keep)
{
    unsigned removed = 0;
    for (unsigned i = 0; i < FOLDERS; i++) {
        char name[3];
        snprintf(name, sizeof name, "%02x", i);
        removed += sweep_folder(d, name, keep);
    }
    if (removed > 0)
        log_event(LOG_INFO, "unfinished-push-removed", "chunks=%u", removed);
}

static unsigned sweep_folder(struct depot *d, const char *name, const struct depot_keep *keep)
{
    unsigned removed = 0;
    int fd = openat(d->folder, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    if (!folder)
        return 0;
    struct dirent *e;
    while ((e = readdir(folder))) {
        struct digest chunk;
        if (digest_parse(e->d_name, &chunk) < 0 || keep->needed(keep->context, &chunk))
            continue;
        depot_remove(d, &chunk);
        removed++;
    }
    closedir(folder);
    return removed;
}

/* ---- reading ---- */

static struct name_text name_of(const struct digest *chunk)
{
    struct name_text name;
    struct digest_hex hex = digest_hex(chunk);
    snprintf(name.text, sizeof name.text, "%.2s/%s", hex.text, hex.text);
    return name;
}

bool depot_has(struct depot *d, const struct digest *name)
{
    return faccessat(d->folder, name_of(name).text, F_OK, 0) == 0;
}

int64_t depot_size(struct depot *d, const struct digest *name)
{
    struct stat st;
    int rv = fstatat(d->folder, name_of(name).text, &st, AT_SYMLINK_NOFOLLOW);
    return rv == 0 ? st.st_size : ERR_NOT_FOUND;
}

int depot_get(struct depot *d, const struct digest *name, struct buffer *frame, struct errmsg *em)
{
    struct name_text text = name_of(name);
    frame->len = 0;
    int fd = openat(d->folder, text.text, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return fail(d, em, "open", text.text);
    int rv = read_whole(fd, frame);
    if (rv < 0)
        fail(d, em, "read", text.text);
    close(fd);
    return rv < 0 ? ERR_IO : 0;
}

/* A file that is larger than `out` is cut there; its digest will not hold. */
static int read_whole(int fd, struct buffer *out)
{
    while (out->len < out->cap) {
        ssize_t n = read(fd, out->data + out->len, out->cap - out->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? ERR_IO : 0;
        out->len += (size_t)n;
    }
    return 0;
}

int depot_get_plain(struct depot *d, const struct digest *name, struct buffer *plain,
                    struct errmsg *em)
{
    struct buffer frame = buffer_on(d->frame, sizeof d->frame);
    int rv = depot_get(d, name, &frame, em);
    if (rv < 0)
        return rv;
    rv = chunk_open(d->opener, span_buffer(&frame), name, plain);
    if (rv < 0)
        return errmsg_set(em, ERR_DAMAGED,
                          "%s/%s is damaged; remove that file and push its bundle again", d->path,
                          name_of(name).text);
    return 0;
}

/* ---- writing ---- */

int depot_put(struct depot *d, const struct digest *name, struct span frame, struct errmsg *em)
{
    if (depot_has(d, name))
        return 1;
    int rv = mark_unsynced(d, em);
    if (rv < 0)
        return rv;
    if (write_incoming(d, frame) < 0 || place_incoming(d, name) < 0) {
        rv = fail(d, em, "write", name_of(name).text);
        unlinkat(d->folder, INCOMING, 0);
    }
    return rv;
}

static int write_incoming(struct depot *d, struct span frame)
{
    int fd =
        openat(d->folder, INCOMING, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return ERR_IO;
    while (frame.len > 0) {
        ssize_t n = write(fd, frame.data, frame.len);
        if (n < 0 && errno != EINTR) {
            int reason = errno;
            close(fd);
            errno = reason;
            return ERR_IO;
        }
        if (n > 0)
            frame = span_of(frame.data + n, frame.len - (size_t)n);
    }
    return close(fd) < 0 ? ERR_IO : 0;
}

static int place_incoming(struct depot *d, const struct digest *name)
{
    struct name_text text = name_of(name);
    if (renameat(d->folder, INCOMING, d->folder, text.text) == 0)
        return 0;
    if (errno != ENOENT)
        return ERR_IO;
    char folder[3] = {text.text[0], text.text[1], '\0'};
    if (mkdirat(d->folder, folder, 0700) < 0 && errno != EEXIST)
        return ERR_IO;
    return renameat(d->folder, INCOMING, d->folder, text.text) < 0 ? ERR_IO : 0;
}

static int mark_unsynced(struct depot *d, struct errmsg *em)
{
    uint8_t id[BOOT_ID_MAX];
    struct buffer boot = buffer_on(id, sizeof id);
    char path[FILE_PATH_MAX];
    if (d->unsynced)
        return 0;
    int rv = file_path(path, em, "%s/" MARKER, d->path);
    if (rv == 0)
        rv = file_write(path, read_boot_id(&boot), 0600, em);
    d->unsynced = rv == 0;
    return rv;
}

static int copy_file(const char *from, const char *to, struct errmsg *em)
{
    struct buffer frame = buffer_on(malloc(CHUNK_FRAME_MAX), CHUNK_FRAME_MAX);
    if (!frame.data)
        return errmsg_set(em, ERR_NO_MEMORY, "out of memory");
    int rv = file_read(from, &frame, em);
    if (rv == 0)
        rv = file_write(to, span_buffer(&frame), 0600, em);
    free(frame.data);
    return rv;
}

int depot_share(const char *dir, const char *other, const struct digest *name, struct errmsg *em)
{
    char from[FILE_PATH_MAX], folder[FILE_PATH_MAX], to[FILE_PATH_MAX];
    struct name_text text = name_of(name);
    int rv = file_path(from, em, "%s/chunks/%s", dir, text.text);
    if (rv == 0)
        rv = file_path(folder, em, "%s/chunks/%.2s", other, text.text);
    if (rv == 0)
        rv = file_path(to, em, "%s/chunks/%s", other, text.text);
    if (rv == 0)
        rv = file_make_folder(folder, 0700, em);
    if (rv < 0 || link(from, to) == 0 || errno == EEXIST)
        return rv;
    if (errno == ENOENT)
        return errmsg_set(em, ERR_NOT_FOUND, "%s is not there", from);
    return copy_file(from, to, em);
}

void depot_remove(struct depot *d, const struct digest *name)
{
    unlinkat(d->folder, name_of(name).text, 0);
}

int depot_sync(struct depot *d, struct errmsg *em)
{
    if (!d->unsynced)
        return 0;
    if (syncfs(d->folder) < 0)
        return fail(d, em, "sync", "");
    if (unlinkat(d->folder, MARKER, 0) < 0 && errno != ENOENT)
        return fail(d, em, "remove", MARKER);
    d->unsynced = false;
    return 0;
}

static int fail(const struct depot *d, struct errmsg *em, const char *verb, const char *name)
{
    int reason = errno;
    return errmsg_set(em, file_error(reason), "%s/%s: cannot %s: %s", d->path, name, verb,
                      strerror(reason));
}
