/*
 * ear: the manager's part in a floor, in a process of its own: it hears what bare clients say on
 * all brokers, counts it, answers those at the door, and says a document to all. It knows nothing.
 */
#ifndef DUNLIN_SIMULATOR_LOAD_EAR_H
#define DUNLIN_SIMULATOR_LOAD_EAR_H

#include "simulator/load/child.h"
#include "simulator/load/floor.h"

#define EAR_CELLS_MAX 256

/* What it says to all. */
enum ear_word {
    EAR_NOTHING,  /* all that is retained is taken back */
    EAR_NOTICE,   /* as long as a document, and not retained, where heads come */
    EAR_DOCUMENT, /* it, and then the head that leads to it, both retained */
    EAR_CONTENT,  /* a bundle's chunks, retained */
};

struct ear_options {
    uint32_t cells;
    struct sockaddr_in at[EAR_CELLS_MAX];
    /* The manager's folder, where its own brokers have their sockets; NULL: cells are reached by
     * `at`, without TLS, and the door isn't. */
    const char *dir;
    bool tls;              /* agents' links have it */
    uint32_t document_len; /* at most FLOOR_DOCUMENT_LEN_MAX */
};

/* Shared memory. */
struct ear_board {
    uint32_t ready; /* brokers where it hears */
    uint64_t heard; /* from agents' places, and acknowledged */
};

struct ear {
    struct child child;
    struct ear_board *board; /* of the child's */
};

int ear_start(struct ear *e, const struct ear_options *o, struct errmsg *em);
void ear_speak(struct ear *e, enum ear_word word);
void ear_stop(struct ear *e);

#endif
