/*
 * notes: what hooks said last before they failed, and how much room a version lacks, each kept in
 * DIR/notes as the message that tells it, until a broker has acknowledged that. It knows nothing of
 * when a version is given up.
 */
#ifndef DUNLIN_AGENT_NOTES_H
#define DUNLIN_AGENT_NOTES_H

#include "agent/link.h"
#include "sync/note.h"

/* Two notes are at least this far apart, whatever fails on the device. */
#define NOTES_GAP_MS 10000
/* So long after the link is up the manager has subscribed again, if its broker forgot it. */
#define NOTES_SETTLE_MS 1000

struct notes {
    const char *dir;
    const struct identity *identity;
    /* The words of the hook that failed last, until it is known whether its version is given up. */
    bool heard;
    enum agent_hook hook;
    struct digest bundle;
    size_t len;
    char text[NOTE_TEXT_MAX];

    uint32_t cramped; /* the deployment that was told last to lack room, and its generation */
    uint32_t cramped_generation;

    bool owed;          /* there are notes to send */
    uint32_t in_flight; /* the deployment whose note is being sent; 0: none */
    bool overtaken;     /* there is a newer one of that by now */
    int message;        /* its id on the link */
    uint64_t due_ms;
};

/* `dir` and `identity` are borrowed. What an earlier run left is owed. */
void notes_init(struct notes *n, const char *dir, const struct identity *identity);

/* A hook of this bundle begins: what one said before is of no more interest. */
void notes_begin(struct notes *n, enum agent_hook hook, const struct digest *bundle);
/* It failed, and this is the agent's word for it. Its own are in the log of this deployment; NULL:
 * it didn't even run. */
void notes_hear(struct notes *n, const char *deployment, const char *error);
/* The row is about to be stored: when it says that this hook failed its version, its words are
 * kept. */
void notes_keep(struct notes *n, const struct held *row);

/* The disk has no room for what the row wants, as the agent says in `error`. */
void notes_lack_room(struct notes *n, const struct held *row, const char *error);

/* When notes_send has something to do; UINT64_MAX: not before something happens. */
uint64_t notes_due_ms(const struct notes *n);
void notes_send(struct notes *n, struct link *link, uint64_t now_ms);
void notes_link_changed(struct notes *n, bool up, uint64_t now_ms);
/* A broker has this message. */
void notes_acknowledged(struct notes *n, int message);

#endif
