#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * A new version grows under this one fixed name before it takes its place: what a power cut leaves
 * behind is overwritten by the next write instead of piling up. Two writers of one path at the same
 * time are not provided for; they share a folder's lock.
 */
#define NEW_SUFFIX ".new"

struct file_id {
    dev_t device;
    ino_t number;
};

/*
 * Removing a folder: goes down one folder at a time, and up again when it is empty: no recursion.
 * What is removed may belong to somebody who moves folders meanwhile or puts links in their place,
 * so each step is from one open folder to the next, and never by a path.
 */
struct removal {
    DIR *folder;
    size_t depth;
    char path[FILE_PATH_MAX]; /* of `folder`, for the sentences; it bounds the depth */
    struct file_id came_through[FILE_PATH_MAX / 2];
};

static int fail(struct errmsg *em, const char *verb, const char *path);
static int new_name(const char *path, char out[static FILE_PATH_MAX], struct errmsg *em);
static int take_place(const char *fresh, const char *path, struct errmsg *em);
static int sync_parent(const char *path, struct errmsg *em);
static int make_one_folder(const char *path, mode_t mode, struct errmsg *em);
static int write_new(const char *path, struct span content, mode_t mode, struct errmsg *em);
static int fill(int fd, struct span content, mode_t mode);
static int read_all(int fd, struct buffer *b);
static int start_removal(struct removal *r, const char *path, struct errmsg *em);
static int unlink_entries(struct removal *r, struct errmsg *em);
static int go_down(struct removal *r, struct errmsg *em);
static int go_up(struct removal *r, struct errmsg *em);
static int enter(struct removal *r, int at, const char *name, struct errmsg *em);

int file_error(int system_errno)
{
    switch (system_errno) {
    case ENOSPC:
    case EDQUOT:
        return ERR_NO_SPACE;
    case ENOENT:
    case ENOTDIR:
        return ERR_NOT_FOUND;
    default:
        return ERR_IO;
    }
}

int file_path(char out[static FILE_PATH_MAX], struct errmsg *em, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int len = vsnprintf(out, FILE_PATH_MAX, fmt, ap);
    va_end(ap);
    if (len >= 0 && len < FILE_PATH_MAX)
        return 0;
    return errmsg_set(em, ERR_RANGE, "path is too long (%d bytes, at most %d): %.80s…", len,
                      FILE_PATH_MAX - 1, len < 0 ? "" : out);
}

int file_make_folder(const char *path, mode_t mode, struct errmsg *em)
{
    char part[FILE_PATH_MAX];
    int rv = file_path(part, em, "%s", path);
    for (char *end = part; rv == 0 && *end; end++) {
        /* A slash at the very front is the root, which is there. */
        if (*end != '/' || end == part)
            continue;
        *end = '\0';
        rv = make_one_folder(part, mode, em);
        *end = '/';
    }
    return rv < 0 ? rv : make_one_folder(part, mode, em);
}

int file_write(const char *path, struct span content, mode_t mode, struct errmsg *em)
{
    char fresh[FILE_PATH_MAX];
    int rv = new_name(path, fresh, em);
    if (rv == 0)
        rv = write_new(fresh, content, mode, em);
    return rv < 0 ? rv : take_place(fresh, path, em);
}

int file_read(const char *path, struct buffer *b, struct errmsg *em)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail(em, "open", path);
    size_t before = b->len;
    int rv = read_all(fd, b);
    if (rv == ERR_RANGE)
        errmsg_set(em, rv, "%s: is larger than the %zu bytes expected at most", path,
                   b->cap - before);
    else if (rv < 0)
        fail(em, "read", path);
    if (rv < 0)
        b->len = before;
    close(fd);
    return rv;
}

int file_link(const char *target, const char *link, struct errmsg *em)
{
    char fresh[FILE_PATH_MAX];
    int rv = new_name(link, fresh, em);
    if (rv < 0)
        return rv;
    unlink(fresh);
    if (symlink(target, fresh) < 0)
        return fail(em, "make link", fresh);
    return take_place(fresh, link, em);
}

int file_remove(const char *path, struct errmsg *em)
{
    if (unlink(path) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR)
        return fail(em, "remove", path);
    struct removal r;
    int rv = start_removal(&r, path, em);
    while (rv == 0) {
        rv = unlink_entries(&r, em);
        if (rv == 1 && r.depth == 0)
            break;
        if (rv >= 0)
            rv = rv == 1 ? go_up(&r, em) : go_down(&r, em);
    }
    if (r.folder)
        closedir(r.folder);
    if (rv < 0)
        return rv;
    return rmdir(path) < 0 ? fail(em, "remove folder", path) : 0;
}

int file_sync_folder(const char *path, struct errmsg *em)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fail(em, "open folder", path);
    /* EINVAL: a file system that has no such thing as syncing a folder. */
    int rv = fsync(fd) == 0 || errno == EINVAL ? 0 : fail(em, "sync folder", path);
    close(fd);
    return rv;
}

int file_lock(const char *path, struct errmsg *em)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return fail(em, "open lock", path);
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return fd;
    int rv =
        errno == EWOULDBLOCK
            ? errmsg_set(em, ERR_BUSY, "%s: another process holds this lock; stop it first", path)
            : fail(em, "lock", path);
    close(fd);
    return rv;
}

int file_inside(const char *folder, int (*run)(void *context), void *context, struct errmsg *em)
{
    int back = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (back < 0)
        return fail(em, "open", ".");
    int rv = chdir(folder) == 0 ? run(context) : fail(em, "work in", folder);
    if (fchdir(back) < 0)
        rv = fail(em, "go back to the folder before", folder);
    close(back);
    return rv;
}

static int fail(struct errmsg *em, const char *verb, const char *path)
{
    int reason = errno;
    return errmsg_set(em, file_error(reason), "%s: cannot %s: %s", path, verb, strerror(reason));
}

static int new_name(const char *path, char out[static FILE_PATH_MAX], struct errmsg *em)
{
    return file_path(out, em, "%s" NEW_SUFFIX, path);
}

/* From here on the new content is there whatever happens; before, the old. */
static int take_place(const char *fresh, const char *path, struct errmsg *em)
{
    if (rename(fresh, path) == 0)
        return sync_parent(path, em);
    int rv = fail(em, "replace", path);
    unlink(fresh);
    return rv;
}

static int sync_parent(const char *path, struct errmsg *em)
{
    char parent[FILE_PATH_MAX];
    const char *slash = strrchr(path, '/');
    if (!slash)
        return file_sync_folder(".", em);
    /* The root keeps its slash. */
    int len = slash == path ? 1 : (int)(slash - path);
    int rv = file_path(parent, em, "%.*s", len, path);
    return rv < 0 ? rv : file_sync_folder(parent, em);
}

static int make_one_folder(const char *path, mode_t mode, struct errmsg *em)
{
    if (mkdir(path, mode) == 0)
        return sync_parent(path, em);
    int reason = errno;
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return 0;
    errno = reason;
    return fail(em, "make folder", path);
}

static int write_new(const char *path, struct span content, mode_t mode, struct errmsg *em)
{
    /* A left-over may have another mode, or be a link to somewhere else. */
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0)
        return fail(em, "create", path);
    int rv = fill(fd, content, mode) < 0 ? fail(em, "write", path) : 0;
    if (close(fd) < 0 && rv == 0)
        rv = fail(em, "close", path);
    if (rv < 0)
        unlink(path);
    return rv;
}

/* Sets the mode as asked, whatever the umask. Like a system call: -1 and errno. */
static int fill(int fd, struct span content, mode_t mode)
{
    while (content.len > 0) {
        ssize_t n = write(fd, content.data, content.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        content = span_of(content.data + n, content.len - (size_t)n);
    }
    return fchmod(fd, mode) < 0 ? -1 : fsync(fd);
}

/* ERR_RANGE when `b` is full and the file goes on; -1 is ERR_IO, with errno. */
static int read_all(int fd, struct buffer *b)
{
    for (;;) {
        uint8_t beyond;
        bool full = b->len == b->cap;
        ssize_t n = full ? read(fd, &beyond, 1) : read(fd, b->data + b->len, b->cap - b->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? ERR_IO : 0;
        if (full)
            return ERR_RANGE;
        b->len += (size_t)n;
    }
}

static int start_removal(struct removal *r, const char *path, struct errmsg *em)
{
    r->folder = NULL;
    r->depth = 0;
    int rv = file_path(r->path, em, "%s", path);
    return rv < 0 ? rv : enter(r, AT_FDCWD, path, em);
}

/* Removes what can go at once. 1: the folder is empty now. 0: `path` was lengthened to a folder
 * inside that must be emptied first. */
static int unlink_entries(struct removal *r, struct errmsg *em)
{
    struct dirent *e;
    int at = dirfd(r->folder);
    /* A read-only folder has to go as well; if this is refused, so is what follows. */
    (void)!fchmod(at, 0700);
    while (errno = 0, (e = readdir(r->folder))) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (unlinkat(at, e->d_name, 0) == 0)
            continue;
        if (errno == EISDIR && unlinkat(at, e->d_name, AT_REMOVEDIR) == 0)
            continue;
        if (errno != ENOTEMPTY && errno != EEXIST)
            return fail(em, "empty folder", r->path);
        size_t used = strlen(r->path);
        int len = snprintf(r->path + used, FILE_PATH_MAX - used, "/%s", e->d_name);
        if (len >= 0 && (size_t)len < FILE_PATH_MAX - used)
            return 0;
        r->path[used] = '\0';
        return errmsg_set(em, ERR_RANGE, "%s: holds folders that are nested too deep", r->path);
    }
    return errno == 0 ? 1 : fail(em, "read folder", r->path);
}

/* Into the folder that ends the path. */
static int go_down(struct removal *r, struct errmsg *em)
{
    r->depth++;
    return enter(r, dirfd(r->folder), strrchr(r->path, '/') + 1, em);
}

/* Only to where it came from: the folder may have been moved to another place meanwhile. */
static int go_up(struct removal *r, struct errmsg *em)
{
    *strrchr(r->path, '/') = '\0';
    struct file_id from = r->came_through[--r->depth];
    int rv = enter(r, dirfd(r->folder), "..", em);
    struct file_id *to = &r->came_through[r->depth];
    if (rv < 0 || (to->device == from.device && to->number == from.number))
        return rv;
    return errmsg_set(em, ERR_IO, "%s: changed while it was removed", r->path);
}

static int enter(struct removal *r, int at, const char *name, struct errmsg *em)
{
    struct stat st;
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return fail(em, "open folder", r->path);
    DIR *folder = fdopendir(fd);
    if (!folder || fstat(fd, &st) < 0) {
        int rv = fail(em, "read folder", r->path);
        if (folder)
            closedir(folder);
        else
            close(fd);
        return rv;
    }
    if (r->folder)
        closedir(r->folder);
    r->folder = folder;
    r->came_through[r->depth] = (struct file_id){.device = st.st_dev, .number = st.st_ino};
    return 0;
}
