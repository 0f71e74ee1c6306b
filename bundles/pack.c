#include "bundles/pack.h"

#include "bundles/chunker.h"
#include "bundles/entry.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Files are read in pieces of this size. */
#define PIECE_MAX 65536
/* How much of the tree's path, and of an entry's, an error's sentence shows. */
#define PATH_SHOWN 180

/* One folder on the way down: its names, sorted, and how many of them are done. */
struct folder {
    DIR *dir;
    char **names;
    size_t count, cap, next;
    size_t path_len; /* of the folder's own path inside the tree */
};

struct packer {
    const char *root;
    const struct pack_sink *sink;
    struct manifest *m;
    struct errmsg *em;
    struct chunk_packer *zstd;
    struct chunker chunker;
    struct folder stack[ENTRY_DEPTH_MAX + 1];
    size_t depth;
    struct entry entry;
    struct template template;
    uint64_t templates_found;          /* a bit for each */
    struct buffer chunk, index, frame; /* on the memory below */
    uint8_t chunk_memory[CHUNK_MAX];
    uint8_t index_memory[INDEX_CHUNK_MAX];
    uint8_t frame_memory[CHUNK_FRAME_MAX];
    uint8_t piece[PIECE_MAX];
};

static struct packer *packer_new(const char *path, const struct pack_sink *sink, struct manifest *m,
                                 struct errmsg *em);
static void packer_free(struct packer *p);
static int enter_root(struct packer *p);
static int enter(struct packer *p, int fd);
static int list(struct packer *p, struct folder *f);
static int list_add(struct packer *p, struct folder *f, const char *name);
static int compare_names(const void *a, const void *b);
static void leave(struct packer *p);
static int pack_next(struct packer *p);
static int set_path(struct packer *p, const struct folder *f, const char *name);
static int pack_folder(struct packer *p, int parent, const char *name);
static int pack_file(struct packer *p, int parent, const char *name);
static int pack_open_file(struct packer *p, int fd);
static bool is_template(struct packer *p);
static int pack_content(struct packer *p, int fd, uint64_t size);
static int scan(struct packer *p, struct span piece, bool last);
static int pass_text(void *context, struct span text, struct errmsg *em);
static int note_need(void *context, const char *name, struct errmsg *em);
static int pack_link(struct packer *p, int parent, const char *name);
static int add_entry(struct packer *p);
static int add_bytes(struct packer *p, struct span bytes);
static int end_chunk(struct packer *p);
static int end_index(struct packer *p);
static int put(struct packer *p, struct span plain, struct chunk_ref *ref);
static int finish(struct packer *p);
static int check_templates(struct packer *p);
static int refuse(struct packer *p, int rv, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void show(const char *text, char out[static PATH_SHOWN + 1]);
static const char *special_name(mode_t mode);

int pack_tree(const char *path, const struct pack_sink *sink, struct manifest *m, struct errmsg *em)
{
    struct packer *p = packer_new(path, sink, m, em);
    if (!p)
        return errmsg_set(em, ERR_NO_MEMORY, "%.*s: not enough memory to pack", PATH_SHOWN, path);
    int rv = enter_root(p);
    while (rv == 0 && p->depth > 0)
        rv = pack_next(p);
    if (rv == 0)
        rv = finish(p);
    packer_free(p);
    return rv;
}

static struct packer *packer_new(const char *path, const struct pack_sink *sink, struct manifest *m,
                                 struct errmsg *em)
{
    struct packer *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->zstd = chunk_packer_new(0);
    if (!p->zstd) {
        free(p);
        return NULL;
    }
    p->root = path;
    p->sink = sink;
    p->m = m;
    p->em = em;
    p->chunk = buffer_on(p->chunk_memory, sizeof p->chunk_memory);
    p->index = buffer_on(p->index_memory, sizeof p->index_memory);
    p->frame = buffer_on(p->frame_memory, sizeof p->frame_memory);
    m->bytes = 0;
    m->files = m->chunks = m->index_count = 0;
    return p;
}

static void packer_free(struct packer *p)
{
    while (p->depth > 0)
        leave(p);
    chunk_packer_free(p->zstd);
    free(p);
}

static int enter_root(struct packer *p)
{
    int fd = open(p->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0)
        return enter(p, fd);
    if (errno == ENOENT)
        return refuse(p, ERR_NOT_FOUND, "there is no such folder");
    if (errno == ENOTDIR)
        return refuse(p, ERR_REFUSED, "isn't a folder; a bundle is made from a folder");
    return refuse(p, ERR_IO, "can't be read: %s", strerror(errno));
}

/* Takes the folder over (`fd` is closed by `leave`) and lists it. The entry's path is its path. */
static int enter(struct packer *p, int fd)
{
    DIR *dir = fdopendir(fd);
    if (!dir) {
        int rv = refuse(p, ERR_IO, "can't be read: %s", strerror(errno));
        close(fd);
        return rv;
    }
    struct folder *f = &p->stack[p->depth++];
    *f = (struct folder){.dir = dir, .path_len = strlen(p->entry.path)};
    return list(p, f);
}

static int list(struct packer *p, struct folder *f)
{
    struct dirent *d;
    while ((errno = 0, d = readdir(f->dir))) {
        if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
            continue;
        int rv = list_add(p, f, d->d_name);
        if (rv < 0)
            return rv;
    }
    if (errno)
        return refuse(p, ERR_IO, "can't be read: %s", strerror(errno));
    if (f->count > 0)
        qsort(f->names, f->count, sizeof *f->names, compare_names);
    return 0;
}

static int list_add(struct packer *p, struct folder *f, const char *name)
{
    if (f->count + p->m->files == BUNDLE_FILES_MAX)
        return refuse(p, ERR_RANGE, "a bundle holds at most %d files, folders and links",
                      BUNDLE_FILES_MAX);
    if (f->count == f->cap) {
        size_t cap = f->cap ? 2 * f->cap : 64;
        char **names = realloc(f->names, cap * sizeof *names);
        if (!names)
            return refuse(p, ERR_NO_MEMORY, "not enough memory for its list of files");
        f->names = names;
        f->cap = cap;
    }
    f->names[f->count] = strdup(name);
    if (!f->names[f->count])
        return refuse(p, ERR_NO_MEMORY, "not enough memory for its list of files");
    f->count++;
    return 0;
}

/* Depth first and by name in every folder: that is the stream's order (entry_path_compare). */
static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void leave(struct packer *p)
{
    struct folder *f = &p->stack[--p->depth];
    for (size_t i = 0; i < f->count; i++)
        free(f->names[i]);
    free(f->names);
    closedir(f->dir);
}

/* Packs the next name of the innermost folder, or leaves it. */
static int pack_next(struct packer *p)
{
    struct folder *f = &p->stack[p->depth - 1];
    if (f->next == f->count) {
        leave(p);
        return 0;
    }
    const char *name = f->names[f->next++];
    int rv = set_path(p, f, name);
    if (rv < 0)
        return rv;
    int parent = dirfd(f->dir);
    struct stat st;
    if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return refuse(p, ERR_IO, "can't be read: %s", strerror(errno));
    if (S_ISDIR(st.st_mode))
        return pack_folder(p, parent, name);
    if (S_ISREG(st.st_mode))
        return pack_file(p, parent, name);
    if (S_ISLNK(st.st_mode))
        return pack_link(p, parent, name);
    return refuse(p, ERR_REFUSED, "is a %s; a bundle holds only files, folders and links",
                  special_name(st.st_mode));
}

/* Starts a fresh entry with the name's path inside the tree. */
static int set_path(struct packer *p, const struct folder *f, const char *name)
{
    struct entry *e = &p->entry;
    e->path[f->path_len] = 0;
    e->target[0] = 0;
    e->size = 0;
    int n = snprintf(e->path + f->path_len, sizeof e->path - f->path_len, "%s%s",
                     f->path_len ? "/" : "", name);
    if (f->path_len + (size_t)n > ENTRY_PATH_MAX)
        return refuse(p, ERR_REFUSED, "its path is longer than %d bytes", ENTRY_PATH_MAX);
    if (p->depth > ENTRY_DEPTH_MAX)
        return refuse(p, ERR_REFUSED, "lies more than %d levels deep", ENTRY_DEPTH_MAX);
    if (!entry_path_safe(e->path))
        return refuse(p, ERR_REFUSED, "its name has a control character; rename it");
    return 0;
}

static int pack_folder(struct packer *p, int parent, const char *name)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0) {
        int rv = refuse(p, ERR_IO, "can't be read: %s", strerror(errno));
        if (fd >= 0)
            close(fd);
        return rv;
    }
    /* Bits above 0777 say how a folder shares files on this machine, and stay here. */
    p->entry.type = ENTRY_FOLDER;
    p->entry.mode = st.st_mode & 0777;
    int rv = 0;
    if ((st.st_mode & ENTRY_FOLDER_MODE) != ENTRY_FOLDER_MODE)
        rv = refuse(p, ERR_REFUSED, "its owner may not read, write and enter it; chmod u+rwx");
    if (rv == 0)
        rv = add_entry(p);
    if (rv == 0)
        return enter(p, fd);
    close(fd);
    return rv;
}

static int pack_file(struct packer *p, int parent, const char *name)
{
    /* Not blocking, in case a pipe took the file's place a moment ago. */
    int fd = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return refuse(p, ERR_IO, "can't be read: %s", strerror(errno));
    int rv = pack_open_file(p, fd);
    close(fd);
    return rv;
}

static int pack_open_file(struct packer *p, int fd)
{
    struct stat before, after;
    if (fstat(fd, &before) < 0)
        return refuse(p, ERR_IO, "can't be read: %s", strerror(errno));
    if (!S_ISREG(before.st_mode))
        return refuse(p, ERR_REFUSED, "changed while it was read; try again");
    if (before.st_mode & (S_ISUID | S_ISGID | S_ISVTX))
        return refuse(p, ERR_REFUSED, "has a setuid, setgid or sticky bit; remove it with chmod");
    uint64_t size = (uint64_t)before.st_size;
    if (size > BUNDLE_BYTES_MAX - p->m->bytes)
        return refuse(p, ERR_RANGE, "is more than fits into a bundle");
    p->entry.type = is_template(p) ? ENTRY_TEMPLATE : ENTRY_FILE;
    p->entry.mode = before.st_mode & 0777;
    p->entry.size = size;
    if (p->entry.type == ENTRY_TEMPLATE && size > TEMPLATE_BYTES_MAX)
        return refuse(p, ERR_RANGE, "a template has at most %u bytes", TEMPLATE_BYTES_MAX);
    int rv = add_entry(p);
    if (rv == 0)
        rv = pack_content(p, fd, size);
    if (rv < 0)
        return rv;
    if (fstat(fd, &after) < 0 || after.st_size != before.st_size ||
        memcmp(&after.st_mtim, &before.st_mtim, sizeof after.st_mtim) != 0)
        return refuse(p, ERR_REFUSED, "changed while it was read; try again");
    return 0;
}

static bool is_template(struct packer *p)
{
    for (size_t i = 0; i < p->sink->template_count; i++)
        if (strcmp(p->sink->templates[i], p->entry.path) == 0) {
            p->templates_found |= 1ull << i;
            p->template = (struct template){0};
            return true;
        }
    return false;
}

static int pack_content(struct packer *p, int fd, uint64_t size)
{
    bool template = p->entry.type == ENTRY_TEMPLATE;
    while (size > 0) {
        ssize_t n = read(fd, p->piece, size < PIECE_MAX ? (size_t)size : PIECE_MAX);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return refuse(p, ERR_IO, "can't be read: %s", strerror(errno));
        if (n == 0)
            return refuse(p, ERR_REFUSED, "changed while it was read; try again");
        struct span piece = span_of(p->piece, (size_t)n);
        size -= (uint64_t)n;
        int rv = template ? scan(p, piece, size == 0) : 0;
        if (rv == 0)
            rv = add_bytes(p, piece);
        if (rv < 0)
            return rv;
    }
    return 0;
}

/* What a device could not fill in is refused here. */
static int scan(struct packer *p, struct span piece, bool last)
{
    const struct template_sink sink = {.context = p, .text = pass_text, .variable = note_need};
    struct errmsg why = {0};
    int rv = template_add(&p->template, piece, &sink, &why);
    if (rv == 0 && last)
        rv = template_end(&p->template, &sink, &why);
    return rv < 0 ? refuse(p, rv, "%s", why.text) : 0;
}

static int pass_text(void *context, struct span text, struct errmsg *em)
{
    (void)context;
    (void)text;
    (void)em;
    return 0;
}

static int note_need(void *context, const char *name, struct errmsg *em)
{
    struct packer *p = context;
    int rv = needs_add(&p->m->needs, name, true);
    return rv < 0 ? errmsg_set(em, rv, "${%s}: a bundle needs at most %d variables", name,
                               VARIABLES_NEEDED_MAX)
                  : 0;
}

static int pack_link(struct packer *p, int parent, const char *name)
{
    struct entry *e = &p->entry;
    ssize_t n = readlinkat(parent, name, e->target, sizeof e->target);
    if (n < 0)
        return refuse(p, ERR_IO, "can't be read: %s", strerror(errno));
    if (n > ENTRY_PATH_MAX)
        return refuse(p, ERR_REFUSED, "its target is longer than %d bytes", ENTRY_PATH_MAX);
    e->target[n] = 0;
    if (!entry_target_safe(e->path, e->target)) {
        char target[PATH_SHOWN + 1];
        show(e->target, target);
        return refuse(p, ERR_REFUSED, "is a link to %s, which may lead out of the tree", target);
    }
    e->type = ENTRY_LINK;
    e->mode = ENTRY_LINK_MODE;
    return add_entry(p);
}

/* Counts the entry and puts its header into the stream. */
static int add_entry(struct packer *p)
{
    if (p->m->files == BUNDLE_FILES_MAX)
        return refuse(p, ERR_RANGE, "a bundle holds at most %d files, folders and links",
                      BUNDLE_FILES_MAX);
    uint8_t memory[ENTRY_HEADER_MAX + 2];
    struct buffer header = buffer_on(memory, sizeof memory);
    int rv = entry_write(&p->entry, &header);
    if (rv < 0)
        return refuse(p, rv, "its header can't be written");
    p->m->files++;
    if (p->sink->progress)
        p->sink->progress(p->sink->context, p->m->bytes, p->m->files);
    return add_bytes(p, span_buffer(&header));
}

static int add_bytes(struct packer *p, struct span bytes)
{
    while (bytes.len > 0) {
        bool cut;
        size_t n = chunker_scan(&p->chunker, bytes, &cut);
        memcpy(p->chunk.data + p->chunk.len, bytes.data, n);
        p->chunk.len += n;
        p->m->bytes += n;
        bytes = span_of(bytes.data + n, bytes.len - n);
        int rv = cut ? end_chunk(p) : 0;
        if (rv < 0)
            return rv;
    }
    return 0;
}

static int end_chunk(struct packer *p)
{
    struct chunk_ref ref;
    int rv = put(p, span_buffer(&p->chunk), &ref);
    if (rv < 0)
        return rv;
    p->chunk.len = 0;
    p->m->chunks++;
    return index_append(&p->index, &ref) ? end_index(p) : 0;
}

static int end_index(struct packer *p)
{
    struct manifest *m = p->m;
    if (m->index_count == MANIFEST_INDEX_MAX)
        return refuse(p, ERR_RANGE, "the tree is too large for one bundle; split it");
    int rv = put(p, span_buffer(&p->index), &m->index[m->index_count]);
    if (rv < 0)
        return rv;
    p->index.len = 0;
    m->index_count++;
    return 0;
}

/* Names the chunk and hands it on, unless it is there already. */
static int put(struct packer *p, struct span plain, struct chunk_ref *ref)
{
    const struct pack_sink *sink = p->sink;
    *ref = (struct chunk_ref){.digest = digest_of(plain), .len = (uint32_t)plain.len};
    if (sink->has && sink->has(sink->context, &ref->digest))
        return 0;
    int rv = chunk_pack(p->zstd, plain, &p->frame);
    if (rv < 0)
        return refuse(p, rv, "not enough memory to compress");
    return sink->put(sink->context, &ref->digest, span_buffer(&p->frame), p->em);
}

static int finish(struct packer *p)
{
    p->entry.path[0] = 0;
    if (p->m->files == 0)
        return refuse(p, ERR_REFUSED, "is empty; a bundle needs at least one file");
    int rv = check_templates(p);
    if (rv == 0 && p->chunk.len > 0)
        rv = end_chunk(p);
    if (rv == 0 && p->index.len > 0)
        rv = end_index(p);
    return rv;
}

/* A path that was mistyped must not become a file that is never filled in. */
static int check_templates(struct packer *p)
{
    for (size_t i = 0; i < p->sink->template_count; i++)
        if (!(p->templates_found >> i & 1))
            return refuse(p, ERR_NOT_FOUND, "has no file %.*s, which is said to be a template",
                          PATH_SHOWN, p->sink->templates[i]);
    return 0;
}

/* Writes the sentence behind the path of the entry (or of the tree, when there is none yet). */
static int refuse(struct packer *p, int rv, const char *fmt, ...)
{
    char why[ERRMSG_MAX], root[PATH_SHOWN + 1], path[PATH_SHOWN + 1];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    show(p->root, root);
    show(p->entry.path, path);
    return errmsg_set(p->em, rv, "%s%s%s: %s", root, path[0] ? "/" : "", path, why);
}

/* Names on disk are anybody's: control characters become '?', and long ones lose their end. */
static void show(const char *text, char out[static PATH_SHOWN + 1])
{
    size_t n = strnlen(text, PATH_SHOWN);
    for (size_t i = 0; i < n; i++)
        out[i] = (unsigned char)text[i] < 0x20 || text[i] == 0x7f ? '?' : text[i];
    out[n] = 0;
}

static const char *special_name(mode_t mode)
{
    if (S_ISFIFO(mode))
        return "named pipe";
    if (S_ISSOCK(mode))
        return "socket";
    return "device";
}
