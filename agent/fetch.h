/*
 * fetch: brings all content of one bundle into the chunk store: the manifest, then the index, then
 * what is missing of the content, a window at a time. It knows nothing of brokers: it asks for
 * names, and is told what came.
 */
#ifndef DUNLIN_AGENT_FETCH_H
#define DUNLIN_AGENT_FETCH_H

#include "agent/content.h"

/* Chunks asked for at one time: 16 of 64 KiB keep a link of 100 ms busy up to 80 Mbit/s. */
#define FETCH_WINDOW 16
/*
 * When nothing has come for this time, what is missing is asked for again; not earlier, since a
 * broker sends it all once more: 256 KiB take a minute and a half on 24 kbit/s.
 */
#define FETCH_ASK_AGAIN_MS 120000
/* When nothing has come for this time, the fetch makes room for others. What came stays. */
#define FETCH_PATIENCE_MS 300000
/* References looked at in one step, so that others get their turn. */
#define FETCH_LOOK_MAX 1024

/* Who carries the questions. */
struct fetch_link {
    void *context;
    /* Asks for what is retained under these names; negative when there is no connection now. */
    int (*ask)(void *context, const struct digest *names, size_t count);
    /* Tells that they are no longer wanted. */
    void (*drop)(void *context, const struct digest *names, size_t count);
};

enum fetch_part { FETCH_NOTHING, FETCH_MANIFEST, FETCH_INDEX, FETCH_CONTENT };

struct fetch_want {
    struct digest name;
    uint32_t len; /* plain bytes; 0: not known */
    bool asked;
    uint64_t due_ms; /* ask again then, unless something came meanwhile */
};

struct fetch {
    struct content *content;
    struct fetch_link link;
    enum fetch_part part;
    struct digest bundle;
    const struct trust *trust;
    uint32_t next_index; /* FETCH_INDEX: the next to look at */
    bool ended;          /* every reference of this part has been looked at */
    int error;           /* that came up between two steps */
    bool heard;          /* something came since the last step */
    uint64_t heard_ms;   /* the last step that found so */
    uint32_t want_count;
    struct fetch_want wants[FETCH_WINDOW];
    uint32_t gone_count; /* came, and still subscribed to */
    struct digest gone[FETCH_WINDOW];
    uint32_t came;        /* chunks, since the start … */
    uint32_t came_before; /* … and by the last change of the link */
    uint32_t refused;     /* frames that were not what their name says */
};

/* `content` is used while a fetch goes on, and free for others else. */
void fetch_init(struct fetch *f, struct content *content, const struct fetch_link *link);

/* Begins; `trust` is looked at whenever the manifest is, and must stay. */
void fetch_start(struct fetch *f, const struct digest *bundle, const struct trust *trust);
/* Forgets it all but the chunks that came. */
void fetch_stop(struct fetch *f);
bool fetch_active(const struct fetch *f);

/* The link came up anew, or went: everything still wanted has to be asked for again. One that comes
 * and goes and brings nothing does not make the fetch last longer. */
void fetch_link_changed(struct fetch *f);

/* A chunk came, from anybody. Wrong content and what nobody asked for is counted and ignored. */
void fetch_take(struct fetch *f, const struct digest *name, struct span frame, struct errmsg *em);

/*
 * Goes on: 1 while more must come, 0 when all is here (`content` then stands before the first
 * chunk), or what ended it: ERR_UNTRUSTED, ERR_SIGNATURE, ERR_FORMAT, ERR_NO_SPACE, ERR_IO, or
 * ERR_TIMEOUT when nothing came for FETCH_PATIENCE_MS, with or without a link.
 * `*due_ms` is when to call again at the latest.
 */
int fetch_step(struct fetch *f, uint64_t now_ms, uint64_t *due_ms, struct errmsg *em);

#endif
