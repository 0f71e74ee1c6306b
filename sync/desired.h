/*
 * desired: the numbered list of deployment records of one cohort, as written by the manager and
 * read by agents. It knows nothing of who carries it or whether it is newer than another.
 */
#ifndef DUNLIN_SYNC_DESIRED_H
#define DUNLIN_SYNC_DESIRED_H

#include "sync/envelope.h"
#include "sync/gate.h"
#include "sync/revision.h"
#include "sync/rules.h"
#include "sync/topic.h"
#include "sync/variables.h"

/* One version of a deployment. Generation 0 is "none". */
struct target {
    uint32_t generation; /* grows with every change of the bundle, never reused */
    struct digest bundle;
    uint64_t variables; /* variables_digest of the agent's; not in the document; 0: it needs none */
};

enum record_flag {
    RECORD_PAUSED = 1,   /* keep what is there, start nothing new */
    RECORD_KEEP = 2,     /* when the record goes, leave the tree in place */
    RECORD_ABORTED = 4,  /* start nothing of `next` any more */
    RECORD_LISTED = 8,   /* only for agents whose assignment lists the deployment */
    RECORD_STOPPED = 16, /* start nothing of `next` as long as it is there */
};

struct record {
    uint32_t deployment; /* from 1 */
    char name[NAME_MAX_LEN + 1];
    uint32_t flags; /* enum record_flag */
    uint32_t priority;
    uint64_t salt;
    struct gate gate; /* who runs it at all */
    struct target stable;
    struct target next; /* generation 0: no rollout is running, and next_gate is all zero */
    struct gate next_gate;
    struct rules rules;
    uint32_t
        variables_at; /* in the document's `variables`: what the versions need (record_variables) */
    uint32_t variables_len;
};

/* A day: longer waits than this are a mistake. */
#define POLICY_SPREAD_S_MAX 86400
#define POLICY_HEARTBEAT_S_MAX (7 * 86400)
/* What libmosquitto and MQTT's 16 bits allow. */
#define POLICY_KEEPALIVE_S_MIN 5
#define POLICY_KEEPALIVE_S_MAX 65535

/* How the agents of the cohort behave; all of them have defaults (POLICY_DEFAULT). */
struct policy {
    uint32_t heartbeat_s;        /* a status at least this often */
    uint32_t keepalive_s;        /* MQTT keep-alive */
    uint32_t reconnect_spread_s; /* come back within a random part of this after a lost link */
    uint32_t fetch_spread_s;     /* wait a random part of this before fetching a new document */
};

#define POLICY_DEFAULT                                                                             \
    ((struct policy){                                                                              \
        .heartbeat_s = 900, .keepalive_s = 240, .reconnect_spread_s = 30, .fetch_spread_s = 0})

/* All of it is within the limits above. */
bool policy_valid(const struct policy *p);

struct desired {
    struct cohort_key cohort;
    struct revision revision;
    uint64_t issued_s;    /* seconds since 1970, by the manager */
    uint64_t not_after_s; /* past this the agent says it is stale and keeps running what it has */
    struct policy policy;
    uint8_t lanes_log2; /* the cohort's heads stand on so many topics, as a power of two */
    uint32_t count;
    struct record records[RECORDS_MAX]; /* by rising deployment number */
    uint32_t variables_len;
    uint8_t variables[VARIABLES_BYTES_MAX]; /* the records' lists, one behind another */
};

/* Appends the unsigned body. */
int desired_write(const struct desired *d, struct buffer *out);
/* Reads a body, every range checked. */
int desired_read(struct span body, struct desired *d);

/* A record's list (sync/variables.h), borrowed from the document. */
struct span record_variables(const struct desired *d, const struct record *r);
/* Which of the record's two versions a target of it is. */
enum variable_use record_version(const struct record *r, const struct target *t);

/* True when the agent of this number is one of those that the record's gate lets in, be it later.
 */
bool record_admits(const struct record *r, uint32_t number);
/* What the record means for one agent: its gates decided. Generation 0: nothing, or nothing yet. */
struct target record_target(const struct record *r, uint32_t number);

/* The policy as an element of a message, for the messages that carry one. */
struct wire_writer;
struct wire_reader;
void policy_put(struct wire_writer *w, const struct policy *p);
void policy_get(struct wire_reader *r, struct policy *p);

#endif
