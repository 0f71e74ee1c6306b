#include "manager/cli/output_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* A million tokens in blocks of the usual 4 KiB are thirty thousand writes. */
#define STREAM_BUFFER (256 * 1024)

static int sync_folder(const char *path, struct errmsg *em);

int output_file_open(struct output_file *f, const char *path, struct errmsg *em)
{
    struct stat st;
    f->stream = NULL;
    int rv = file_path(f->path, em, "%s", path);
    if (rv == 0)
        rv = file_path(f->fresh, em, "%s.new", path);
    if (rv < 0)
        return rv;
    if (lstat(path, &st) == 0 && !S_ISREG(st.st_mode))
        return errmsg_set(em, ERR_USAGE, "%.200s: isn't a file; name a new one", path);
    if (lstat(path, &st) == 0 && st.st_size > 0)
        return errmsg_set(
            em, ERR_REFUSED,
            "%.200s is there already, and may hold what is written nowhere else: name "
            "another file, or remove it",
            path);
    /* What an interrupted run left behind may have another owner or mode. */
    unlink(f->fresh);
    int fd = open(f->fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return errmsg_set(em, file_error(errno), "%.200s: can't be written: %s", path,
                          strerror(errno));
    f->stream = fdopen(fd, "w");
    if (f->stream) {
        setvbuf(f->stream, NULL, _IOFBF, STREAM_BUFFER);
        return 0;
    }
    close(fd);
    unlink(f->fresh);
    return errmsg_set(em, ERR_NO_MEMORY, "%.200s: not enough memory to write it", path);
}

int output_file_finish(struct output_file *f, struct errmsg *em)
{
    bool whole = fflush(f->stream) == 0 && !ferror(f->stream) && fsync(fileno(f->stream)) == 0;
    int reason = errno;
    whole = fclose(f->stream) == 0 && whole;
    f->stream = NULL;
    if (whole && rename(f->fresh, f->path) == 0)
        return sync_folder(f->path, em);
    if (whole)
        reason = errno;
    unlink(f->fresh);
    return errmsg_set(em, file_error(reason), "%.200s: can't be written: %s", f->path,
                      strerror(reason));
}

void output_file_drop(struct output_file *f)
{
    if (!f->stream)
        return;
    fclose(f->stream);
    f->stream = NULL;
    unlink(f->fresh);
}

static int sync_folder(const char *path, struct errmsg *em)
{
    char folder[FILE_PATH_MAX];
    const char *slash = strrchr(path, '/');
    int len = slash ? (int)(slash - path) : 0;
    int rv =
        slash ? file_path(folder, em, "%.*s", len ? len : 1, path) : file_path(folder, em, ".");
    return rv < 0 ? rv : file_sync_folder(folder, em);
}
