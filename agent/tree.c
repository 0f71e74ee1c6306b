#include "agent/tree.h"

#include "agent/room.h"
#include "base/bits.h"
#include "base/endian.h"
#include "bundles/unpack.h"
#include "sync/limits.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* What is being unpacked has this behind its name. */
#define PART_SUFFIX ".part"

/*
 * Which chunks are needed, as a Bloom filter (Bloom, CACM 1970): the memory is fixed, and a mistake
 * only keeps a chunk that could have gone. 64 KiB hold the 32,768 chunks of 2 GiB with 16 bits
 * each: about one needless chunk in 2,000.
 */
#define FILTER_BITS (512u * 1024)
#define FILTER_HASHES 8

struct filter {
    uint8_t bits[FILTER_BITS / 8];
};

/* What a sweep works with. */
struct sweep {
    const char *dir;
    struct content *content;
    struct filter *needed;
    bool blind; /* a bundle that is used can't say all that it needs */
};

static int unpack_into(const char *part, struct content *content, struct span values,
                       const struct tree_pulse *pulse, struct errmsg *em);
static int room_for(int root, const struct manifest *m, struct errmsg *em);
static int unpack_chunks(struct unpacker *u, struct content *content,
                         const struct tree_pulse *pulse, struct errmsg *em);
static int check_counts(const struct unpacker *u, const struct manifest *m, uint64_t bytes,
                        struct errmsg *em);
static void remove_torn(struct content *content, const struct tree_pulse *pulse);
static int settle(const char *dir, const char *part, const char *path, struct errmsg *em);
static int sync_below(const char *dir, const char *folder, struct errmsg *em);
static int sync_all(const char *path, struct errmsg *em);
static int remove_link(const char *link, struct errmsg *em);
static int each_name(const char *path, void (*visit)(void *context, const char *name),
                     void *context);
static void need_bundle(struct sweep *s, const struct digest *bundle);
static bool hides_needs(const struct content *c, int rv);
static void need_current(void *context, const char *name);
static void drop_tree(void *context, const char *name);
static bool is_needed(void *context, const struct digest *name);
static void filter_add(struct filter *f, const struct digest *d);
static bool filter_has(const struct filter *f, const struct digest *d);

/* ---- trees ---- */

struct digest tree_name(const struct digest *bundle, struct span list)
{
    struct variable_cursor c = variables_on(list);
    struct variable v;
    struct digest tree = *bundle;
    while (variables_next(&c, &v)) {
        if (!(v.uses & VARIABLE_TEMPLATE))
            continue;
        struct digest name = digest_of(v.name), value = digest_of(v.value);
        struct digest parts[] = {tree, name, value};
        tree = digest_of(span_of(parts, sizeof parts));
    }
    return tree;
}

int tree_path(const char *dir, const struct digest *bundle, char out[static FILE_PATH_MAX],
              struct errmsg *em)
{
    return file_path(out, em, "%s/bundles/%s", dir, digest_hex(bundle).text);
}

bool tree_there(const char *dir, const struct digest *bundle)
{
    char path[FILE_PATH_MAX];
    struct stat st;
    return tree_path(dir, bundle, path, NULL) == 0 && lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int tree_unpack(const char *dir, struct content *content, const struct digest *bundle,
                struct span values, const struct tree_pulse *pulse, struct errmsg *em)
{
    struct digest tree = tree_name(bundle, values);
    char path[FILE_PATH_MAX], part[FILE_PATH_MAX];
    /* Whoever gave it its name may have ended before that was on disk. */
    if (tree_there(dir, &tree))
        return sync_below(dir, "bundles", em);
    int rv = tree_path(dir, &tree, path, em);
    if (rv == 0)
        rv = file_path(part, em, "%s" PART_SUFFIX, path);
    if (rv == 0)
        rv = content_open(content, bundle, NULL, em);
    if (rv == 0)
        rv = file_remove(part, em);
    if (rv == 0)
        rv = file_make_folder(part, 0755, em);
    if (rv == 0)
        rv = unpack_into(part, content, values, pulse, em);
    if (rv == 0)
        rv = settle(dir, part, path, em);
    if (rv < 0)
        file_remove(part, NULL);
    return rv;
}

static int unpack_into(const char *part, struct content *content, struct span values,
                       const struct tree_pulse *pulse, struct errmsg *em)
{
    int root = open(part, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return errmsg_set(em, file_error(errno), "open %s: %s", part, strerror(errno));
    struct unpacker u;
    /* The tree's own mode must not depend on our umask. */
    int rv = fchmod(root, 0755) < 0 ? errmsg_set(em, ERR_IO, "%s: %s", part, strerror(errno)) : 0;
    if (rv == 0)
        rv = room_for(root, &content->manifest, em);
    if (rv == 0) {
        unpack_start(&u, root, content->manifest.files);
        u.values = values;
        rv = unpack_chunks(&u, content, pulse, em);
    }
    close(root);
    if (rv == ERR_DIGEST || rv == ERR_NOT_FOUND)
        remove_torn(content, pulse);
    return rv;
}

/* What the manifest says is all that will be written. */
static int room_for(int root, const struct manifest *m, struct errmsg *em)
{
    int rv = room_check(root, m->bytes, m->files, em);
    return rv < 0 ? errmsg_wrap(em, rv, "bundle %s %s", m->name, m->version) : 0;
}

static int unpack_chunks(struct unpacker *u, struct content *content,
                         const struct tree_pulse *pulse, struct errmsg *em)
{
    const struct manifest *m = &content->manifest;
    struct chunk_ref ref;
    struct span plain = SPAN_NONE;
    uint64_t bytes = 0;
    int rv;
    while ((rv = content_next(content, &ref, em)) == 1) {
        rv = content_read(content, &ref, &plain, em);
        if (rv == 0)
            rv = unpack_add(u, plain, em);
        if (rv < 0)
            break;
        bytes += plain.len;
        if (bytes > m->bytes) {
            rv = check_counts(u, m, bytes, em);
            break;
        }
        if (pulse && !pulse->beat(pulse->context)) {
            rv = errmsg_set(em, ERR_BUSY, "stopped");
            break;
        }
    }
    int end = unpack_end(u, rv < 0 ? NULL : em);
    if (rv == 0)
        rv = end;
    return rv < 0 ? rv : check_counts(u, m, bytes, em);
}

static int check_counts(const struct unpacker *u, const struct manifest *m, uint64_t bytes,
                        struct errmsg *em)
{
    if (bytes == m->bytes && u->files == m->files)
        return 0;
    return errmsg_set(
        em, ERR_FORMAT, "bundle %s %s: %llu bytes and %u entries instead of %llu and %u", m->name,
        m->version, (unsigned long long)bytes, u->files, (unsigned long long)m->bytes, m->files);
}

/* After a power cut it's seldom one: all torn chunks go now, so that one more fetch is enough. */
static void remove_torn(struct content *content, const struct tree_pulse *pulse)
{
    struct chunk_ref ref;
    struct span plain = SPAN_NONE;
    content_rewind(content);
    while (content_next(content, &ref, NULL) == 1) {
        content_read(content, &ref, &plain, NULL);
        if (pulse && !pulse->beat(pulse->context))
            return;
    }
}

/* On disk first, then the name: whoever finds the name finds all of it. */
static int settle(const char *dir, const char *part, const char *path, struct errmsg *em)
{
    int rv = sync_all(part, em);
    if (rv < 0)
        return rv;
    if (rename(part, path) < 0)
        return errmsg_set(em, file_error(errno), "rename %s: %s", part, strerror(errno));
    return sync_below(dir, "bundles", em);
}

/* Makes names in DIR/folder durable, and that others are gone from it. */
static int sync_below(const char *dir, const char *folder, struct errmsg *em)
{
    char path[FILE_PATH_MAX];
    int rv = file_path(path, em, "%s/%s", dir, folder);
    return rv < 0 ? rv : file_sync_folder(path, em);
}

static int sync_all(const char *path, struct errmsg *em)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errmsg_set(em, file_error(errno), "open %s: %s", path, strerror(errno));
    int rv = syncfs(fd);
    int error = errno;
    close(fd);
    return rv < 0 ? errmsg_set(em, file_error(error), "sync %s: %s", path, strerror(error)) : 0;
}

/* ---- deployments ---- */

int tree_deployment_path(const char *dir, const char *name, const char *part,
                         char out[static FILE_PATH_MAX], struct errmsg *em)
{
    if (!part)
        return file_path(out, em, "%s/deployments/%s", dir, name);
    return file_path(out, em, "%s/deployments/%s/%s", dir, name, part);
}

int tree_prepare(const char *dir, const char *name, struct errmsg *em)
{
    static const char parts[][5] = {"data", "log", "tmp"};
    char path[FILE_PATH_MAX];
    int rv = 0;
    for (size_t i = 0; rv == 0 && i < sizeof parts / sizeof parts[0]; i++) {
        rv = tree_deployment_path(dir, name, parts[i], path, em);
        if (rv == 0)
            rv = file_make_folder(path, 0755, em);
    }
    return rv;
}

int tree_switch(const char *dir, const char *name, const struct digest *bundle, struct errmsg *em)
{
    char link[FILE_PATH_MAX], target[FILE_PATH_MAX];
    int rv = tree_deployment_path(dir, name, "current", link, em);
    if (rv == 0 && digest_is_zero(bundle))
        return remove_link(link, em);
    if (rv == 0)
        rv = tree_prepare(dir, name, em);
    if (rv == 0)
        rv = file_path(target, em, "../../bundles/%s", digest_hex(bundle).text);
    return rv < 0 ? rv : file_link(target, link, em);
}

static int remove_link(const char *link, struct errmsg *em)
{
    char folder[FILE_PATH_MAX];
    if (unlink(link) < 0)
        return errno == ENOENT || errno == ENOTDIR ? 0 : file_remove(link, em);
    int rv = file_path(folder, em, "%.*s", (int)(strrchr(link, '/') - link), link);
    return rv < 0 ? rv : file_sync_folder(folder, em);
}

bool tree_current(const char *dir, const char *name, struct digest *bundle)
{
    char link[FILE_PATH_MAX], target[FILE_PATH_MAX];
    if (tree_deployment_path(dir, name, "current", link, NULL) < 0)
        return false;
    ssize_t len = readlink(link, target, sizeof target - 1);
    if (len < 0)
        return false;
    target[len] = '\0';
    const char *slash = strrchr(target, '/');
    return slash && digest_parse(slash + 1, bundle) == 0;
}

int tree_detach(const char *dir, const char *name, struct errmsg *em)
{
    char path[FILE_PATH_MAX];
    int rv = tree_deployment_path(dir, name, NULL, path, em);
    if (rv == 0)
        rv = file_remove(path, em);
    if (rv < 0)
        return rv;
    rv = sync_below(dir, "deployments", em);
    return rv == ERR_NOT_FOUND ? 0 : rv; /* there never was a deployment */
}

/* ---- sweeping ---- */

int tree_sweep(const char *dir, struct content *content, const struct digest *used, size_t count,
               struct errmsg *em)
{
    static struct filter needed;
    struct sweep s = {.dir = dir, .content = content, .needed = &needed};
    char trees[FILE_PATH_MAX], deployments[FILE_PATH_MAX];
    int rv = file_path(trees, em, "%s/bundles", dir);
    if (rv == 0)
        rv = file_path(deployments, em, "%s/deployments", dir);
    if (rv < 0)
        return rv;
    memset(&needed, 0, sizeof needed);
    for (size_t i = 0; i < count; i++)
        need_bundle(&s, &used[i]);
    rv = each_name(deployments, need_current, &s);
    if (rv < 0)
        return errmsg_set(em, rv, "read %s: %s", deployments, strerror(errno));
    rv = each_name(trees, drop_tree, &s);
    if (rv < 0)
        return errmsg_set(em, rv, "read %s: %s", trees, strerror(errno));
    if (s.blind)
        return 0;
    rv = chunks_sweep(content->chunks, is_needed, &needed, em);
    return rv < 0 ? rv : 0;
}

static int each_name(const char *path, void (*visit)(void *context, const char *name),
                     void *context)
{
    DIR *folder = opendir(path);
    if (!folder)
        return errno == ENOENT ? 0 : file_error(errno);
    struct dirent *e;
    while (errno = 0, (e = readdir(folder)))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            visit(context, e->d_name);
    /* Half a list is none: what it doesn't name would be swept away. */
    int error = errno;
    closedir(folder);
    errno = error;
    return error ? file_error(error) : 0;
}

/* A bundle of which nothing is here yet needs nothing. */
static void need_bundle(struct sweep *s, const struct digest *bundle)
{
    struct chunk_ref ref;
    filter_add(s->needed, bundle);
    if (!chunks_has(s->content->chunks, bundle))
        return;
    int rv = content_open(s->content, bundle, NULL, NULL);
    const struct manifest *m = &s->content->manifest;
    for (uint32_t i = 0; rv == 0 && i < m->index_count; i++)
        filter_add(s->needed, &m->index[i].digest);
    if (rv == 0)
        while ((rv = content_next(s->content, &ref, NULL)) == 1)
            filter_add(s->needed, &ref.digest);
    s->blind |= hides_needs(s->content, rv);
}

/* What it needs may be here, and nobody knows what that is. Of a bundle that has nothing of its
 * index, or one that isn't well-formed, nothing more was fetched; it may stay so for months. */
static bool hides_needs(const struct content *c, int rv)
{
    return rv == ERR_DIGEST || rv == ERR_IO || (rv == ERR_NOT_FOUND && c->passed > 0);
}

static void need_current(void *context, const char *name)
{
    struct sweep *s = context;
    struct digest bundle;
    if (tree_current(s->dir, name, &bundle))
        need_bundle(s, &bundle);
}

static void drop_tree(void *context, const char *name)
{
    struct sweep *s = context;
    struct digest bundle;
    char trees[FILE_PATH_MAX], path[FILE_PATH_MAX], part[FILE_PATH_MAX];
    bool whole = digest_parse(name, &bundle) == 0;
    if (whole && filter_has(s->needed, &bundle))
        return;
    if (file_path(trees, NULL, "%s/bundles", s->dir) < 0 ||
        file_path(path, NULL, "%s/%s", trees, name) < 0 ||
        file_path(part, NULL, "%s" PART_SUFFIX, path) < 0)
        return;
    /* It loses its name first: what a power cut leaves must not pass for a whole tree. */
    if (whole && file_remove(part, NULL) == 0 && rename(path, part) == 0 &&
        file_sync_folder(trees, NULL) == 0)
        file_remove(part, NULL);
    else if (!whole)
        file_remove(path, NULL);
}

static bool is_needed(void *context, const struct digest *name)
{
    return filter_has(context, name);
}

/* A digest's bytes are as good as any hash's. */
static uint32_t filter_bit(const struct digest *d, unsigned i)
{
    return le32_read(&d->bytes[4 * i]) % FILTER_BITS;
}

static void filter_add(struct filter *f, const struct digest *d)
{
    for (unsigned i = 0; i < FILTER_HASHES; i++)
        bits_set(f->bits, filter_bit(d, i), true);
}

static bool filter_has(const struct filter *f, const struct digest *d)
{
    for (unsigned i = 0; i < FILTER_HASHES; i++)
        if (!bits_have(f->bits, filter_bit(d, i)))
            return false;
    return true;
}
