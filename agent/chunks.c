#include "agent/chunks.h"

#include "agent/room.h"
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where a frame is written before it gets its name. One is enough: the agent is one thread. */
#define NEW_NAME "new"

/* "xx/<digest>" */
struct chunk_path {
    char text[3 + 2 * DIGEST_LEN + 1];
};

static struct chunk_path path_of(const struct digest *name);
static int open_folder(struct chunks *c, const char *path, struct errmsg *em);
static int read_all(int fd, struct buffer *frame);
static int write_new(const struct chunks *c, struct span frame);
static int write_all(int fd, struct span bytes);
static int name_new(const struct chunks *c, const struct digest *name);
static int sweep_folder(const struct chunks *c, const char *prefix,
                        bool (*keep)(void *context, const struct digest *name), void *context);
static int fail(const struct digest *name, const char *verb, int error, struct errmsg *em);

int chunks_open(struct chunks *c, const char *dir, struct errmsg *em)
{
    char path[FILE_PATH_MAX];
    *c = (struct chunks){.folder = -1};
    int rv = file_path(path, em, "%s/chunks", dir);
    if (rv == 0)
        rv = file_make_folder(path, 0700, em);
    return rv < 0 ? rv : open_folder(c, path, em);
}

int chunks_open_read(struct chunks *c, const char *dir, struct errmsg *em)
{
    char path[FILE_PATH_MAX];
    *c = (struct chunks){.folder = -1};
    int rv = file_path(path, em, "%s/chunks", dir);
    return rv < 0 ? rv : open_folder(c, path, em);
}

void chunks_close(struct chunks *c)
{
    if (c->folder >= 0)
        close(c->folder);
    c->folder = -1;
}

bool chunks_has(const struct chunks *c, const struct digest *name)
{
    struct stat st;
    return fstatat(c->folder, path_of(name).text, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISREG(st.st_mode) && st.st_size > 0;
}

int chunks_get(const struct chunks *c, const struct digest *name, struct buffer *frame,
               struct errmsg *em)
{
    frame->len = 0;
    int fd = openat(c->folder, path_of(name).text, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return fail(name, "read", errno, em);
    int rv = read_all(fd, frame);
    int error = errno;
    close(fd);
    if (rv == ERR_RANGE)
        return errmsg_set(em, rv, "chunk %.12s is larger than any chunk", digest_hex(name).text);
    if (rv < 0)
        fail(name, "read", error, em);
    return rv < 0 ? ERR_DAMAGED : 0;
}

int chunks_put(const struct chunks *c, const struct digest *name, struct span frame,
               struct errmsg *em)
{
    int rv = room_check(c->folder, frame.len, 1, em);
    if (rv < 0)
        return errmsg_wrap(em, rv, "chunk %.12s", digest_hex(name).text);
    if (write_new(c, frame) == 0 && name_new(c, name) == 0)
        return 0;
    int error = errno;
    unlinkat(c->folder, NEW_NAME, 0);
    return fail(name, "write", error, em);
}

int chunks_remove(const struct chunks *c, const struct digest *name, struct errmsg *em)
{
    if (unlinkat(c->folder, path_of(name).text, 0) == 0 || errno == ENOENT)
        return 0;
    return fail(name, "remove", errno, em);
}

int chunks_sweep(const struct chunks *c, bool (*keep)(void *context, const struct digest *name),
                 void *context, struct errmsg *em)
{
    int removed = 0, error = 0;
    unlinkat(c->folder, NEW_NAME, 0);
    for (unsigned i = 0; i < 256; i++) {
        char prefix[3];
        snprintf(prefix, sizeof(prefix), "%02x", i);
        int rv = sweep_folder(c, prefix, keep, context);
        if (rv < 0)
            error = errmsg_set(em, rv, "sweep chunks/%s failed", prefix);
        else
            removed += rv;
    }
    return error < 0 ? error : removed;
}

static struct chunk_path path_of(const struct digest *name)
{
    struct chunk_path path;
    struct digest_hex hex = digest_hex(name);
    snprintf(path.text, sizeof(path.text), "%.2s/%s", hex.text, hex.text);
    return path;
}

static int open_folder(struct chunks *c, const char *path, struct errmsg *em)
{
    c->folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (c->folder < 0)
        return errmsg_set(em, file_error(errno), "open %s: %s", path, strerror(errno));
    return 0;
}

static int read_all(int fd, struct buffer *frame)
{
    for (;;) {
        ssize_t n = read(fd, frame->data + frame->len, frame->cap - frame->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? ERR_IO : 0;
        frame->len += (size_t)n;
        if (frame->len == frame->cap) {
            uint8_t more;
            return read(fd, &more, 1) == 0 ? 0 : ERR_RANGE;
        }
    }
}

static int write_new(const struct chunks *c, struct span frame)
{
    int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW;
    int fd = openat(c->folder, NEW_NAME, flags, 0600);
    if (fd < 0)
        return -1;
    int rv = write_all(fd, frame);
    int error = errno;
    if (close(fd) < 0 && rv == 0)
        return -1;
    errno = error;
    return rv;
}

static int write_all(int fd, struct span bytes)
{
    while (bytes.len > 0) {
        ssize_t n = write(fd, bytes.data, bytes.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        bytes = span_of(bytes.data + n, bytes.len - (size_t)n);
    }
    return 0;
}

static int name_new(const struct chunks *c, const struct digest *name)
{
    struct chunk_path path = path_of(name);
    if (renameat(c->folder, NEW_NAME, c->folder, path.text) == 0)
        return 0;
    if (errno != ENOENT)
        return -1;
    char prefix[3] = {path.text[0], path.text[1], '\0'};
    if (mkdirat(c->folder, prefix, 0700) < 0 && errno != EEXIST)
        return -1;
    return renameat(c->folder, NEW_NAME, c->folder, path.text);
}

static int sweep_folder(const struct chunks *c, const char *prefix,
                        bool (*keep)(void *context, const struct digest *name), void *context)
{
    int fd = openat(c->folder, prefix, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT ? 0 : file_error(errno);
    DIR *entries = fdopendir(fd);
    if (!entries) {
        close(fd);
        return ERR_NO_MEMORY;
    }
    int removed = 0;
    for (struct dirent *e; (e = readdir(entries));) {
        struct digest name;
        if (e->d_name[0] == '.')
            continue;
        if (digest_parse(e->d_name, &name) == 0 && keep(context, &name))
            continue;
        if (unlinkat(fd, e->d_name, 0) == 0)
            removed++;
    }
    closedir(entries);
    return removed;
}

static int fail(const struct digest *name, const char *verb, int error, struct errmsg *em)
{
    return errmsg_set(em, file_error(error), "%s chunk %.12s: %s", verb, digest_hex(name).text,
                      strerror(error));
}
