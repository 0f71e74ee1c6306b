/*
 * topic: the names of all MQTT topics, made and read in one place.
 * It knows nothing of payloads.
 */
#ifndef DUNLIN_SYNC_TOPIC_H
#define DUNLIN_SYNC_TOPIC_H

#include "crypto/sign.h"

#define TOPIC_MAX 96
#define COHORT_KEY_LEN 8
#define JOIN_ID_LEN 8

/* HMAC(fleet's cohort secret, canonical labels), first 8 bytes: names a label set without telling
 * it. */
struct cohort_key {
    uint8_t bytes[COHORT_KEY_LEN];
};

/* A random name for one device's attempt to join. */
struct join_id {
    uint8_t bytes[JOIN_ID_LEN];
};

struct topic {
    char text[TOPIC_MAX];
};

enum topic_kind {
    TOPIC_OTHER,
    TOPIC_JOIN,              /* dl1/join/<jid> */
    TOPIC_JOINED,            /* dl1/joined/<jid> */
    TOPIC_UP,                /* dl1/up/<agent id> */
    TOPIC_COHORT_HEAD,       /* dl1/cohort/<key>/<lane> */
    TOPIC_COHORT_DOC,        /* dl1/cohort/<key>/doc */
    TOPIC_AGENT_HEAD,        /* dl1/agent/<agent id>/head */
    TOPIC_AGENT_DOC,         /* dl1/agent/<agent id>/doc */
    TOPIC_AGENT_CERTIFICATE, /* dl1/agent/<agent id>/certificate */
    TOPIC_CHUNK,             /* dl1/chunk/<digest> */
    TOPIC_TRUST,             /* dl1/trust/<version> */
    TOPIC_ATLAS,             /* dl1/atlas */
    TOPIC_MARK, /* dl1/cell/control and dl1/cell/bulk: how far the manager's publications came */
};

/* A topic's name taken apart; only the fields of its kind are set. */
struct topic_name {
    enum topic_kind kind;
    struct join_id join;
    struct key_id agent;
    struct cohort_key cohort;
    uint32_t lane;
    struct digest chunk;
    uint32_t version; /* TOPIC_TRUST */
    bool bulk;        /* TOPIC_MARK */
};

struct topic topic_make(const struct topic_name *name);

/* Never fails: what is no topic of ours is TOPIC_OTHER. */
struct topic_name topic_read(const char *text);

/* What the manager subscribes to: "dl1/join/+" and "dl1/up/+". */
#define TOPIC_ALL_JOINS "dl1/join/+"
#define TOPIC_ALL_UP "dl1/up/+"

/* An agent's lane among 2^lanes_log2: the low bits of its id's last two bytes. */
uint32_t topic_lane(const struct key_id *agent, unsigned lanes_log2);

/* "bad name" checks for deployments, bundles and versions (limits.h: NAME_MAX_LEN). */
bool name_valid(struct span name);

#endif
