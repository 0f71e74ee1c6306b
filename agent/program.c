#include "agent/program.h"

#include "agent/arch.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <unistd.h>

#define HEX_LEN (2 * (size_t)DIGEST_LEN)
#define PROVEN "current"
/* By the starts that are left. */
static const char trials[PROGRAM_STARTS_MAX + 1][6] = {"try-0", "try-1", "try-2", "try-3"};

static bool read_record(const char *dir, const char *slot, struct program_record *r);
static int write_record(const char *dir, const char *slot, const struct digest *tree,
                        uint32_t limit_s, struct errmsg *em);
static int move_record(const char *dir, const char *from, const char *to, struct errmsg *em);
static bool digest_file(const char *path, struct digest *out);

/* As it was given to the kernel; so it needs no /proc. */
static const char *own_path(void)
{
    const char *path = (const char *)getauxval(AT_EXECFN);
    return path ? path : "";
}

/* ---- starting ---- */

static bool is_bundled(const char *dir)
{
    size_t len = strlen(dir);
    return strncmp(own_path(), dir, len) == 0 &&
           strncmp(own_path() + len, "/bundles/", strlen("/bundles/")) == 0;
}

/* Returns only when it can't be. The alarm survives the exec, and ends the process. */
static void become(const char *dir, const char *slot, bool on_trial, char **arguments)
{
    char path[FILE_PATH_MAX];
    struct program_record r;
    struct digest program;
    if (!read_record(dir, slot, &r))
        return;
    if (program_find(dir, &r.tree, path, NULL) == 0 && digest_file(path, &program) &&
        digest_equal(&program, &r.program)) {
        alarm(on_trial ? r.limit_s : 0);
        execv(path, arguments);
    }
    log_event(LOG_WARN, "program-unfit", "which=%s tree=%.12s", slot, digest_hex(&r.tree).text);
}

void program_enter(const char *dir, char **arguments)
{
    static char launcher[FILE_PATH_MAX];
    char home[FILE_PATH_MAX];
    if (!realpath(dir, home) || is_bundled(home))
        return;
    if (realpath(own_path(), launcher))
        arguments[0] = launcher;
    for (unsigned left = PROGRAM_STARTS_MAX; left > 0; left--)
        if (move_record(home, trials[left], trials[left - 1], NULL) == 0)
            become(home, trials[left - 1], true, arguments);
    become(home, PROVEN, false, arguments);
    alarm(0);
}

int program_again(char **arguments, struct errmsg *em)
{
    execv(arguments[0], arguments);
    return errmsg_set(em, ERR_IO, "%s: %s", arguments[0], strerror(errno));
}

/* ---- looking ---- */

int program_find(const char *dir, const struct digest *tree, char out[static FILE_PATH_MAX],
                 struct errmsg *em)
{
    int rv = file_path(out, em, "%s/bundles/%s/%s/dunlin-agent", dir, digest_hex(tree).text,
                       arch_name());
    if (rv == 0 && access(out, X_OK) < 0)
        rv = errmsg_set(em, ERR_NOT_FOUND, "the bundle has no %s/dunlin-agent that can be run",
                        arch_name());
    return rv;
}

bool program_runs(const char *dir, const struct digest *tree)
{
    char path[FILE_PATH_MAX];
    if (digest_is_zero(tree))
        return !is_bundled(dir);
    return program_find(dir, tree, path, NULL) == 0 && strcmp(path, own_path()) == 0;
}

bool program_proven(const char *dir, struct digest *tree)
{
    struct program_record r;
    if (!read_record(dir, PROVEN, &r))
        return false;
    *tree = r.tree;
    return true;
}

bool program_on_trial(const char *dir)
{
    struct digest proven;
    return is_bundled(dir) && !(program_proven(dir, &proven) && program_runs(dir, &proven));
}

static bool is_left(const char *dir, unsigned left, const struct digest *tree)
{
    struct program_record r;
    return read_record(dir, trials[left], &r) && digest_equal(&r.tree, tree);
}

bool program_spent(const char *dir, const struct digest *tree)
{
    return is_left(dir, 0, tree);
}

/* ---- changing ---- */

int program_try(const char *dir, const struct digest *tree, uint32_t limit_s, struct errmsg *em)
{
    return write_record(dir, trials[PROGRAM_STARTS_MAX], tree, limit_s, em);
}

/* One name takes another's place: there is always a proven program, the old or the new. */
int program_prove(const char *dir, const struct digest *tree, struct errmsg *em)
{
    struct digest proven;
    bool done = program_proven(dir, &proven) && digest_equal(&proven, tree);
    int rv = 0;
    for (unsigned left = 0; rv == 0 && left <= PROGRAM_STARTS_MAX; left++)
        if (is_left(dir, left, tree)) {
            rv = move_record(dir, trials[left], PROVEN, em);
            done = true;
        }
    if (rv == 0 && !done)
        return errmsg_set(em, ERR_NOT_FOUND, "the new agent is not on trial");
    if (rv == 0)
        alarm(0);
    return rv;
}

int program_return(const char *dir, const struct digest *tree, struct errmsg *em)
{
    struct digest proven = {0};
    program_proven(dir, &proven);
    bool changes = !digest_equal(&proven, tree);
    int rv = 0;
    if (changes)
        rv = digest_is_zero(tree) ? move_record(dir, PROVEN, NULL, em)
                                  : write_record(dir, PROVEN, tree, 0, em);
    for (unsigned left = 0; rv == 0 && left <= PROGRAM_STARTS_MAX; left++) {
        rv = move_record(dir, trials[left], NULL, em);
        rv = rv == ERR_NOT_FOUND ? 0 : rv;
    }
    return rv < 0 ? rv : changes;
}

/* ---- the records ---- */

static bool read_record(const char *dir, const char *slot, struct program_record *r)
{
    char path[FILE_PATH_MAX];
    uint8_t text[PROGRAM_RECORD_MAX];
    struct buffer b = buffer_on(text, sizeof text);
    return file_path(path, NULL, "%s/agent/%s", dir, slot) == 0 && file_read(path, &b, NULL) == 0 &&
           program_record_read(span_buffer(&b), r) == 0;
}

/* The digits are those that a number is written with: there is one text for a record. */
int program_record_read(struct span text, struct program_record *r)
{
    char line[PROGRAM_RECORD_MAX + 1] = {0}, again[PROGRAM_RECORD_MAX + 1];
    if (text.len < 2 * (HEX_LEN + 1) || text.len > PROGRAM_RECORD_MAX)
        return ERR_FORMAT;
    memcpy(line, text.data, text.len);
    char *program = line + HEX_LEN + 1, *limit = program + HEX_LEN + 1;
    program[-1] = limit[-1] = '\0';
    r->limit_s = (uint32_t)strtoul(limit, NULL, 10);
    if (digest_parse(line, &r->tree) < 0 || digest_parse(program, &r->program) < 0)
        return ERR_FORMAT;
    return span_equal(program_record_write(r, again), text) ? 0 : ERR_FORMAT;
}

struct span program_record_write(const struct program_record *r,
                                 char out[static PROGRAM_RECORD_MAX + 1])
{
    int len = snprintf(out, PROGRAM_RECORD_MAX + 1, "%s %s %u\n", digest_hex(&r->tree).text,
                       digest_hex(&r->program).text, r->limit_s);
    return span_of(out, (size_t)len);
}

static int write_record(const char *dir, const char *slot, const struct digest *tree,
                        uint32_t limit_s, struct errmsg *em)
{
    char path[FILE_PATH_MAX], text[PROGRAM_RECORD_MAX + 1];
    struct program_record r = {.tree = *tree, .limit_s = limit_s};
    int rv = program_find(dir, tree, path, em);
    if (rv == 0 && !digest_file(path, &r.program))
        rv = errmsg_set(em, ERR_IO, "%s can't be read", path);
    if (rv == 0)
        rv = file_path(path, em, "%s/agent", dir);
    if (rv == 0)
        rv = file_make_folder(path, 0700, em);
    if (rv == 0)
        rv = file_path(path, em, "%s/agent/%s", dir, slot);
    if (rv < 0)
        return rv;
    return file_write(path, program_record_write(&r, text), 0600, em);
}

/* Without `to` it goes. ERR_NOT_FOUND when there is none. */
static int move_record(const char *dir, const char *from, const char *to, struct errmsg *em)
{
    char old[FILE_PATH_MAX], new[FILE_PATH_MAX];
    int rv = file_path(old, em, "%s/agent/%s", dir, from);
    if (rv == 0)
        rv = file_path(new, em, "%s/agent/%s", dir, to ? to : "");
    if (rv < 0)
        return rv;
    if ((to ? rename(old, new) : unlink(old)) < 0)
        return errmsg_set(em, file_error(errno), "%s: %s", old, strerror(errno));
    *strrchr(old, '/') = '\0';
    return file_sync_folder(old, em);
}

static bool digest_file(const char *path, struct digest *out)
{
    uint8_t block[4096];
    struct digest_stream stream;
    ssize_t len = -1;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    digest_start(&stream);
    while (fd >= 0 && (len = read(fd, block, sizeof block)) > 0)
        digest_add(&stream, span_of(block, (size_t)len));
    if (fd >= 0)
        close(fd);
    *out = digest_end(&stream);
    return len == 0;
}
