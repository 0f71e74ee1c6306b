#include "agent/notes.h"

#include "agent/hook.h"
#include "base/log.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void take_tail(struct notes *n, const char *deployment, size_t room);
static uint32_t first_owed(const struct notes *n);
static int note_path(const struct notes *n, uint32_t deployment, char out[static FILE_PATH_MAX]);

static enum cause cause_of(enum agent_hook hook)
{
    static const enum cause causes[HOOK_COUNT] = {
        [HOOK_PRE_APPLY] = CAUSE_PRE_APPLY,
        [HOOK_APPLY] = CAUSE_APPLY,
        [HOOK_HEALTH] = CAUSE_HEALTH,
        [HOOK_REMOVE] = CAUSE_REMOVE,
    };
    return causes[hook];
}

void notes_init(struct notes *n, const char *dir, const struct identity *identity)
{
    *n = (struct notes){.dir = dir, .identity = identity, .due_ms = UINT64_MAX};
    n->owed = first_owed(n) != 0;
}

/* ---- what a hook said ---- */

void notes_begin(struct notes *n, enum agent_hook hook, const struct digest *bundle)
{
    n->heard = false;
    n->hook = hook;
    n->bundle = *bundle;
}

/* The end of what it said, and how it ended. */
void notes_hear(struct notes *n, const char *deployment, const char *error)
{
    size_t end = strlen(error);
    if (end > NOTE_TEXT_MAX / 2)
        end = NOTE_TEXT_MAX / 2;
    n->heard = true;
    take_tail(n, deployment, NOTE_TEXT_MAX - end - 1);
    if (n->len > 0 && n->text[n->len - 1] != '\n')
        n->text[n->len++] = '\n';
    memcpy(n->text + n->len, error, end);
    n->len += end;
}

/* Whole lines, where there is one that fits. */
static void take_tail(struct notes *n, const char *deployment, size_t room)
{
    char path[FILE_PATH_MAX];
    n->len = 0;
    if (!deployment || hook_failed_log(n->dir, deployment, n->hook, path, NULL) < 0)
        return;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return;
    off_t size = lseek(fd, 0, SEEK_END), from = size > (off_t)room ? size - (off_t)room : 0;
    ssize_t len = pread(fd, n->text, room, from);
    close(fd);
    n->len = len > 0 ? (size_t)len : 0;
    const char *line = from > 0 ? memchr(n->text, '\n', n->len) : NULL;
    if (!line || line + 1 == n->text + n->len)
        return;
    n->len -= (size_t)(line + 1 - n->text);
    memmove(n->text, line + 1, n->len);
}

static void keep(struct notes *n, const struct held *row, enum cause cause, struct span text)
{
    char path[FILE_PATH_MAX];
    uint8_t room[NOTE_MAX];
    struct errmsg em = {0};
    struct buffer out = buffer_on(room, sizeof room);
    const struct note note = {.number = n->identity->number,
                              .deployment = row->deployment,
                              .generation = row->wanted.generation,
                              .cause = (uint8_t)cause,
                              .text = text};
    int rv = file_path(path, &em, "%s/notes", n->dir);
    if (rv == 0)
        rv = file_make_folder(path, 0700, &em);
    if (rv == 0)
        rv = note_path(n, row->deployment, path);
    if (rv == 0)
        rv = note_write(&note, &n->identity->mac, &out);
    if (rv == 0)
        rv = file_write(path, span_buffer(&out), 0600, &em);
    if (rv < 0)
        log_event(LOG_WARN, "note-not-kept", "name=%s error=\"%s\"", row->name, em.text);
    n->overtaken |= n->in_flight == row->deployment;
    n->owed |= rv == 0;
}

/* Going back runs hooks of another bundle, which are none of this version's failure. */
void notes_keep(struct notes *n, const struct held *row)
{
    if (!n->heard || row->cause != cause_of(n->hook) ||
        !digest_equal(&row->wanted.bundle, &n->bundle))
        return;
    n->heard = false;
    keep(n, row, cause_of(n->hook), span_of(n->text, n->len));
}

/* It is tried again and again: a version is told of once, and once more after each start. */
void notes_lack_room(struct notes *n, const struct held *row, const char *error)
{
    bool told = n->cramped == row->deployment && n->cramped_generation == row->wanted.generation;
    if (told || error[0] == '\0')
        return;
    n->cramped = row->deployment;
    n->cramped_generation = row->wanted.generation;
    keep(n, row, CAUSE_DISK, span_of(error, strnlen(error, NOTE_TEXT_MAX)));
}

/* ---- telling it ---- */

uint64_t notes_due_ms(const struct notes *n)
{
    return n->owed && n->in_flight == 0 ? n->due_ms : UINT64_MAX;
}

void notes_send(struct notes *n, struct link *link, uint64_t now_ms)
{
    char path[FILE_PATH_MAX];
    uint8_t room[NOTE_MAX];
    struct buffer bytes = buffer_on(room, sizeof room);
    uint32_t deployment = first_owed(n);
    n->owed = deployment != 0;
    if (!n->owed)
        return;
    n->due_ms = now_ms + NOTES_GAP_MS;
    if (note_path(n, deployment, path) < 0)
        return;
    int rv = file_read(path, &bytes, NULL);
    if (rv < 0) {
        file_remove(path, NULL); /* too long to be ours, or unreadable: others wait behind it */
        return;
    }
    n->message = link_note(link, span_buffer(&bytes));
    n->in_flight = n->message > 0 ? deployment : 0;
    n->overtaken = false;
}

void notes_link_changed(struct notes *n, bool up, uint64_t now_ms)
{
    n->in_flight = 0;
    n->due_ms = up ? now_ms + NOTES_SETTLE_MS : UINT64_MAX;
}

void notes_acknowledged(struct notes *n, int message)
{
    char path[FILE_PATH_MAX];
    if (n->in_flight == 0 || message != n->message)
        return;
    if (!n->overtaken && note_path(n, n->in_flight, path) == 0)
        unlink(path);
    n->in_flight = 0;
}

/* ---- the folder ---- */

static uint32_t number_of(const char *name)
{
    bool digits = name[0] != '\0' && strspn(name, "0123456789") == strlen(name);
    return digits ? (uint32_t)strtoul(name, NULL, 10) : 0;
}

/* Of those that wait, any; 0: none. */
static uint32_t first_owed(const struct notes *n)
{
    char path[FILE_PATH_MAX];
    uint32_t found = 0;
    if (file_path(path, NULL, "%s/notes", n->dir) < 0)
        return 0;
    DIR *folder = opendir(path);
    struct dirent *entry;
    while (folder && found == 0 && (entry = readdir(folder)))
        found = number_of(entry->d_name);
    if (folder)
        closedir(folder);
    return found;
}

static int note_path(const struct notes *n, uint32_t deployment, char out[static FILE_PATH_MAX])
{
    return file_path(out, NULL, "%s/notes/%u", n->dir, deployment);
}
