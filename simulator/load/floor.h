/*
 * floor: what a phase's messages cost when nobody thinks about them: bare clients in the agents'
 * places, and one that hears and answers in the manager's, through the same brokers. Topics differ
 * from the fleet's, so that the manager hears none of it; but with TLS brokers let agents say
 * things on their own topic alone, and the manager drops what it hears there.
 */
#ifndef DUNLIN_SIMULATOR_LOAD_FLOOR_H
#define DUNLIN_SIMULATOR_LOAD_FLOOR_H

#include "simulator/load/board.h"
#include "simulator/load/script.h"

/* Lengths of the real messages, as far as they have one. */
#define FLOOR_STATUS_LEN 38
#define FLOOR_HELLO_LEN 44
#define FLOOR_WILL_LEN 24
#define FLOOR_HEAD_LEN 10
/* A document of one record, and what each other takes. */
#define FLOOR_DOCUMENT_LEN 300
#define FLOOR_RECORD_LEN 64
#define FLOOR_DOCUMENT_LEN_MAX (FLOOR_DOCUMENT_LEN + FLOOR_RECORD_LEN * SCRIPT_SPARES_EACH)
#define FLOOR_REQUEST_LEN 170
#define FLOOR_ANSWER_LEN 1150
/* What a bundle is cut into, and a chunk's length: the manifest and what lists the rest are short.
 */
#define FLOOR_CHUNKS 10
#define FLOOR_CHUNK_LEN (SCRIPT_CONTENT_BYTES / FLOOR_CHUNKS)
/* Of the topics' beginning and a number: as long as with a digest. */
#define FLOOR_CHUNK_TOPIC "%s%058u"
/* Topics that each stand for a cohort's. */
#define FLOOR_GROUPS 20
struct floor_topics {
    const char *up, *own;        /* an agent's id comes behind them */
    const char *head, *document; /* a group's number, and "/0" */
    const char *chunk;           /* as in FLOOR_CHUNK_TOPIC */
};
extern const struct floor_topics FLOOR_PLAIN, FLOOR_TLS;
/* The door lets strangers write and hear nothing else; a name of the manager's has 16 digits. */
#define FLOOR_TOPIC_JOIN "dl1/join/floor-"
#define FLOOR_TOPIC_JOINED "dl1/joined/floor-"

#endif
