#include "bundles/unpack.h"

#include "base/file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* How much of a path an error's sentence shows. */
#define PATH_SHOWN 300

static int step(struct unpacker *u, struct span *plain, struct errmsg *em);
static bool collect(struct unpacker *u, struct span *plain, size_t want);
static int start_entry(struct unpacker *u, struct errmsg *em);
static int check_entry(struct unpacker *u, struct errmsg *em);
static int open_parent(struct unpacker *u, const char **name, struct errmsg *em);
static int walk(struct unpacker *u, const char *path, size_t len);
static int make_folder(struct unpacker *u, int parent, const char *name);
static int make_file(struct unpacker *u, int parent, const char *name);
static int write_file(struct unpacker *u, struct span *plain, struct errmsg *em);
static int fill_in(struct unpacker *u, struct span *plain, struct errmsg *em);
static int put_text(void *context, struct span text, struct errmsg *em);
static int put_value(void *context, const char *name, struct errmsg *em);
static int end_file(struct unpacker *u);
static int system_error(const struct unpacker *u, struct errmsg *em);
static void close_if_open(int *fd);

void unpack_start(struct unpacker *u, int root, uint32_t files_max)
{
    *u = (struct unpacker){.root = root, .folder = -1, .file = -1, .files_max = files_max};
}

int unpack_add(struct unpacker *u, struct span plain, struct errmsg *em)
{
    while (plain.len > 0 && u->error == 0)
        u->error = step(u, &plain, em);
    return u->error;
}

int unpack_end(struct unpacker *u, struct errmsg *em)
{
    close_if_open(&u->file);
    close_if_open(&u->folder);
    if (u->error < 0)
        return u->error;
    if (u->file_left > 0)
        u->error = errmsg_set(em, ERR_FORMAT, "%.*s: the stream ends inside this file", PATH_SHOWN,
                              u->entry.path);
    else if (u->have > 0)
        u->error =
            errmsg_set(em, ERR_FORMAT, "entry %u: the stream ends inside its header", u->files + 1);
    else if (u->files == 0)
        u->error = errmsg_set(em, ERR_FORMAT, "the stream is empty");
    return u->error;
}

/* Takes some bytes: of the open file, else of the next header. */
static int step(struct unpacker *u, struct span *plain, struct errmsg *em)
{
    if (u->file_left > 0)
        return write_file(u, plain, em);
    if (u->header_len == 0) {
        if (!collect(u, plain, 2))
            return 0;
        u->header_len = (uint32_t)(u->header[0] | u->header[1] << 8);
        if (u->header_len == 0 || u->header_len > ENTRY_HEADER_MAX)
            return errmsg_set(em, ERR_FORMAT, "entry %u: its header can't have %u bytes",
                              u->files + 1, u->header_len);
        return 0;
    }
    if (!collect(u, plain, u->header_len + 2))
        return 0;
    return start_entry(u, em);
}

/* Moves bytes into the header until it has `want`; true when it does. */
static bool collect(struct unpacker *u, struct span *plain, size_t want)
{
    assert(u->have <= want && want <= sizeof u->header);
    size_t n = want - u->have;
    if (n > plain->len)
        n = plain->len;
    memcpy(u->header + u->have, plain->data, n);
    u->have += n;
    *plain = span_of(plain->data + n, plain->len - n);
    return u->have == want;
}

static int start_entry(struct unpacker *u, struct errmsg *em)
{
    int rv = check_entry(u, em);
    if (rv < 0)
        return rv;
    const char *name;
    int parent = open_parent(u, &name, em);
    if (parent < 0)
        return parent;
    struct entry *e = &u->entry;
    if (e->type == ENTRY_FOLDER)
        rv = make_folder(u, parent, name);
    else if (e->type != ENTRY_LINK)
        rv = make_file(u, parent, name);
    else
        rv = symlinkat(e->target, parent, name);
    if (rv < 0)
        return system_error(u, em);
    memcpy(u->last, e->path, sizeof u->last);
    u->have = 0;
    u->header_len = 0;
    u->files++;
    return 0;
}

static int check_entry(struct unpacker *u, struct errmsg *em)
{
    struct entry *e = &u->entry;
    int rv = entry_read(span_of(u->header + 2, u->header_len), e);
    if (rv == ERR_REFUSED)
        return errmsg_set(em, rv, "%.*s: its path, target or mode isn't safe", PATH_SHOWN, e->path);
    if (rv < 0)
        return errmsg_set(em, rv, "entry %u: its header is malformed", u->files + 1);
    if (u->files == u->files_max)
        return errmsg_set(em, ERR_FORMAT, "%.*s: is one entry more than the %u there should be",
                          PATH_SHOWN, e->path, u->files_max);
    if (u->files > 0 && entry_path_compare(u->last, e->path) >= 0)
        return errmsg_set(em, ERR_FORMAT, "%.*s: comes again or out of order", PATH_SHOWN, e->path);
    return 0;
}

/*
 * The descriptor of the folder that the entry goes into. It is kept open, so that a folder of many
 * files is walked to only once.
 */
static int open_parent(struct unpacker *u, const char **name, struct errmsg *em)
{
    const char *path = u->entry.path;
    const char *slash = strrchr(path, '/');
    *name = slash ? slash + 1 : path;
    size_t len = slash ? (size_t)(slash - path) : 0;
    if (u->folder >= 0 && len == u->folder_len && memcmp(u->last, path, len) == 0)
        return u->folder;
    close_if_open(&u->folder);
    if (len == 0)
        return u->root;
    u->folder = walk(u, path, len);
    u->folder_len = len;
    if (u->folder >= 0)
        return u->folder;
    if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)
        return errmsg_set(em, ERR_REFUSED, "%.*s: no folder before it holds it", PATH_SHOWN, path);
    return system_error(u, em);
}

/* Opens the folder part by part, following no link. -1 and errno when a part is no folder. */
static int walk(struct unpacker *u, const char *path, size_t len)
{
    int at = u->root;
    for (const char *part = path; part < path + len;) {
        char name[ENTRY_NAME_MAX + 1] = {0};
        size_t n = strcspn(part, "/");
        memcpy(name, part, n);
        int next = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        int why = errno;
        if (at != u->root)
            close(at);
        errno = why;
        if (next < 0)
            return -1;
        at = next;
        part += n + 1;
    }
    return at;
}

/* The folder becomes the one that is kept open: what comes next is most likely its content. */
static int make_folder(struct unpacker *u, int parent, const char *name)
{
    if (mkdirat(parent, name, ENTRY_FOLDER_MODE) < 0)
        return -1;
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -1;
    close_if_open(&u->folder);
    u->folder = fd;
    u->folder_len = strlen(u->entry.path);
    return fchmod(fd, u->entry.mode);
}

static int make_file(struct unpacker *u, int parent, const char *name)
{
    u->file = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (u->file < 0 || fchmod(u->file, u->entry.mode) < 0)
        return -1;
    u->file_left = u->entry.size;
    u->template = (struct template){0};
    return u->file_left == 0 ? end_file(u) : 0;
}

static int write_file(struct unpacker *u, struct span *plain, struct errmsg *em)
{
    if (u->entry.type == ENTRY_TEMPLATE)
        return fill_in(u, plain, em);
    size_t n = plain->len < u->file_left ? plain->len : (size_t)u->file_left;
    ssize_t done = write(u->file, plain->data, n);
    if (done < 0 && errno == EINTR)
        return 0;
    if (done <= 0)
        return system_error(u, em);
    *plain = span_of(plain->data + done, plain->len - (size_t)done);
    u->file_left -= (uint64_t)done;
    if (u->file_left == 0 && end_file(u) < 0)
        return system_error(u, em);
    return 0;
}

/* A template is small, so its pieces are as well. */
static int fill_in(struct unpacker *u, struct span *plain, struct errmsg *em)
{
    const struct template_sink sink = {.context = u, .text = put_text, .variable = put_value};
    size_t n = plain->len < u->file_left ? plain->len : (size_t)u->file_left;
    int rv = template_add(&u->template, span_of(plain->data, n), &sink, em);
    *plain = span_of(plain->data + n, plain->len - n);
    u->file_left -= (uint64_t)n;
    if (rv == 0 && u->file_left == 0)
        rv = template_end(&u->template, &sink, em);
    if (rv < 0)
        return errmsg_wrap(em, rv, "%.*s", PATH_SHOWN, u->entry.path);
    return u->file_left == 0 && end_file(u) < 0 ? system_error(u, em) : 0;
}

static int put_text(void *context, struct span text, struct errmsg *em)
{
    struct unpacker *u = context;
    for (size_t at = 0; at < text.len;) {
        ssize_t done = write(u->file, text.data + at, text.len - at);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return system_error(u, em);
        at += (size_t)done;
    }
    return 0;
}

static int put_value(void *context, const char *name, struct errmsg *em)
{
    struct unpacker *u = context;
    struct variable v;
    if (!variables_find(u->values, span_text(name), &v))
        return errmsg_set(em, ERR_REFUSED, "${%s} has no value", name);
    if (v.uses & VARIABLE_SECRET)
        return errmsg_set(em, ERR_REFUSED, "${%s} is a secret, and does not go into files", name);
    u->growth += v.value.len;
    if (u->growth > TEMPLATE_GROWTH_MAX)
        return errmsg_set(em, ERR_REFUSED, "values fill more than %u bytes", TEMPLATE_GROWTH_MAX);
    return put_text(u, v.value, em);
}

static int end_file(struct unpacker *u)
{
    int fd = u->file;
    u->file = -1;
    return close(fd);
}

/* What a file system can't hold, such as two names that differ in case alone, it never will. */
static int system_error(const struct unpacker *u, struct errmsg *em)
{
    static const int never[] = {EEXIST, ENAMETOOLONG, EILSEQ, EINVAL, EPERM, EOPNOTSUPP, EFBIG};
    int why = errno, rv = file_error(why) == ERR_NO_SPACE ? ERR_NO_SPACE : ERR_IO;
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++)
        if (why == never[i])
            rv = ERR_REFUSED;
    return errmsg_set(em, rv, "%.*s: can't be written: %s", PATH_SHOWN, u->entry.path,
                      strerror(why));
}

static void close_if_open(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}
