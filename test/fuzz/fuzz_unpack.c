/* Whatever the stream says, everything it writes lies in the folder that it was given. */
#include "base/file.h"
#include "bundles/manifest.h"
#include "bundles/unpack.h"
#include "test/fuzz/fuzz.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Made once: a folder in which nothing but `inside` may ever be. */
static char outer[] = "/tmp/dunlin-fuzz-unpack-XXXXXX";
static char inside[sizeof outer + 3];

static void remove_outer(void)
{
    (void)file_remove(outer, NULL);
}

static int open_inside(void)
{
    if (!inside[0]) {
        if (!mkdtemp(outer))
            abort();
        atexit(remove_outer);
        snprintf(inside, sizeof inside, "%s/in", outer);
    }
    if (file_make_folder(inside, 0700, NULL) < 0)
        abort();
    return open(inside, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void check_outer(void)
{
    DIR *dir = opendir(outer);
    int count = 0;
    assert(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    assert(count == 3); /* ".", ".." and "in" */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct unpacker u;
    int root = open_inside();
    assert(root >= 0);
    unpack_start(&u, root, BUNDLE_FILES_MAX);
    int rv = unpack_add(&u, span_of(data, size), NULL);
    int end = unpack_end(&u, NULL);
    assert(rv == 0 || end == rv);
    assert(end <= 0 && u.file == -1 && u.folder == -1);
    close(root);
    check_outer();
    if (u.files > 0 || rv < 0) {
        rv = file_remove(inside, NULL);
        assert(rv == 0);
    }
    return 0;
}
