/*
 * tree: temporary folders for tests: made, filled, described as text, and removed.
 * It knows nothing of bundles. What can't be done ends the test program.
 */
#ifndef DUNLIN_TEST_TREE_H
#define DUNLIN_TEST_TREE_H

#include "base/file.h"
#include "crypto/digest.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct tree_path {
    char text[FILE_PATH_MAX];
};

/* A text that grows in a fixed buffer; tests' trees are small. */
struct tree_text {
    size_t len;
    char text[65536];
};

static inline void tree_must(bool done, const char *what)
{
    if (done)
        return;
    perror(what);
    abort();
}

/* A new empty folder of its own. */
static inline struct tree_path tree_new(void)
{
    struct tree_path p = {.text = "/tmp/dunlin-tree-XXXXXX"};
    tree_must(mkdtemp(p.text) != NULL, p.text);
    return p;
}

static inline void tree_free(const struct tree_path *p)
{
    tree_must(file_remove(p->text, NULL) == 0, p->text);
}

static inline struct tree_path tree_join(const struct tree_path *root, const char *path)
{
    struct tree_path p;
    tree_must(file_path(p.text, NULL, "%s/%s", root->text, path) >= 0, path);
    return p;
}

static inline void tree_folder(const struct tree_path *root, const char *path, mode_t mode)
{
    struct tree_path p = tree_join(root, path);
    tree_must(mkdir(p.text, 0700) == 0 && chmod(p.text, mode) == 0, p.text);
}

static inline void tree_file(const struct tree_path *root, const char *path, mode_t mode,
                             struct span content)
{
    struct tree_path p = tree_join(root, path);
    FILE *f = fopen(p.text, "wb");
    size_t done = f && content.len > 0 ? fwrite(content.data, 1, content.len, f) : 0;
    tree_must(f && done == content.len && fclose(f) == 0, p.text);
    tree_must(chmod(p.text, mode) == 0, p.text);
}

static inline void tree_link(const struct tree_path *root, const char *path, const char *target)
{
    struct tree_path p = tree_join(root, path);
    tree_must(symlink(target, p.text) == 0, p.text);
}

static inline struct digest tree_digest(const char *path)
{
    static uint8_t piece[65536];
    struct digest_stream s;
    digest_start(&s);
    FILE *f = fopen(path, "rb");
    tree_must(f != NULL, path);
    for (size_t n; (n = fread(piece, 1, sizeof piece, f)) > 0;)
        digest_add(&s, span_of(piece, n));
    fclose(f);
    return digest_end(&s);
}

static inline void tree_describe_one(const char *path, const char *shown, struct tree_text *out)
{
    struct stat st;
    char detail[FILE_PATH_MAX] = "";
    tree_must(lstat(path, &st) == 0, path);
    if (S_ISLNK(st.st_mode))
        tree_must(readlink(path, detail, sizeof detail - 1) >= 0, path);
    if (S_ISREG(st.st_mode)) {
        struct digest d = tree_digest(path);
        snprintf(detail, sizeof detail, "%lld %s", (long long)st.st_size, digest_hex(&d).text);
    }
    int n = snprintf(out->text + out->len, sizeof out->text - out->len, "%06o %s %s\n",
                     (unsigned)st.st_mode, shown, detail);
    out->len += (size_t)n;
    tree_must(out->len < sizeof out->text, "a tree small enough to describe");
}

static inline void tree_describe_into(const char *path, size_t root_len, struct tree_text *out)
{
    struct dirent **names;
    int count = scandir(path, &names, NULL, alphasort);
    tree_must(count >= 0, path);
    for (int i = 0; i < count; i++) {
        const char *name = names[i]->d_name;
        if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0) {
            struct tree_path p;
            tree_must(file_path(p.text, NULL, "%s/%s", path, name) >= 0, name);
            tree_describe_one(p.text, p.text + root_len + 1, out);
            struct stat st;
            if (lstat(p.text, &st) == 0 && S_ISDIR(st.st_mode))
                tree_describe_into(p.text, root_len, out);
        }
        free(names[i]);
    }
    free(names);
}

/* One line for each entry: mode, path, and size with digest or the link's target. */
static inline void tree_describe(const struct tree_path *root, struct tree_text *out)
{
    out->len = 0;
    out->text[0] = 0;
    tree_describe_into(root->text, strlen(root->text), out);
}

#endif
