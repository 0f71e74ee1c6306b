#include "agent/folder.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int folder_make(struct folder *f, const char *dir, struct errmsg *em)
{
    int rv = file_make_folder(dir, 0700, em);
    return rv < 0 ? rv : folder_find(f, dir, em);
}

int folder_find(struct folder *f, const char *dir, struct errmsg *em)
{
    struct stat st;
    f->lock = -1;
    /* With room for all that it may write: its own limit is PATH_MAX. */
    if (!realpath(dir, f->path))
        return errmsg_set(em, file_error(errno), "%s: %s", dir, strerror(errno));
    if (stat(f->path, &st) < 0 || !S_ISDIR(st.st_mode))
        return errmsg_set(em, ERR_NOT_FOUND, "%s is no folder", dir);
    if (strlen(f->path) > FOLDER_PATH_MAX)
        return errmsg_set(em, ERR_RANGE, "the path of the folder is longer than %d bytes: %.80s…",
                          FOLDER_PATH_MAX, f->path);
    return 0;
}

int folder_hold(struct folder *f, struct errmsg *em)
{
    char path[FILE_PATH_MAX];
    int rv = file_path(path, em, "%s/agent.lock", f->path);
    if (rv == 0)
        rv = f->lock = file_lock(path, em);
    if (rv == ERR_BUSY)
        return errmsg_set(em, rv, "another dunlin-agent works in %s; stop it first", f->path);
    return rv < 0 ? rv : 0;
}

void folder_close(struct folder *f)
{
    if (f->lock >= 0)
        close(f->lock);
    f->lock = -1;
}
