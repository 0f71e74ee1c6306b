/*
 * status: an agent's compact report, and the last will that its broker sends when the link is lost.
 * It knows nothing of how the manager counts.
 */
#ifndef DUNLIN_SYNC_STATUS_H
#define DUNLIN_SYNC_STATUS_H

#include "crypto/mac.h"
#include "sync/envelope.h"
#include "sync/limits.h"
#include "sync/revision.h"

/* A full status with its MAC. */
#define STATUS_MAX 256
/* A converged agent's status. */
#define STATUS_CONVERGED_MAX 40
/* The first 12 bytes of HMAC-SHA-256 (RFC 2104, section 5, allows at least half of the hash or 80
 * bits). */
#define STATUS_MAC_LEN 12

enum deployment_state {
    STATE_PENDING,
    STATE_DOWNLOADING,
    STATE_APPLYING,
    STATE_VERIFYING,
    STATE_READY,
    STATE_FAILED,
    STATE_ROLLED_BACK,
    STATE_MODIFIED,
    STATE_PAUSED,
    STATE_REMOVING,
    STATE_COUNT,
};

/* "Pending", "Downloading", … as users read them. */
const char *deployment_state_name(enum deployment_state s);
/* The device is at it: it has begun, and has come to no end. */
static inline bool deployment_state_works(unsigned s)
{
    return s >= STATE_DOWNLOADING && s <= STATE_VERIFYING;
}

/* Why a deployment is not Ready. Stable numbers: they travel. */
enum cause {
    CAUSE_NONE = 0,
    CAUSE_PRE_APPLY = 1, /* a hook failed */
    CAUSE_APPLY = 2,
    CAUSE_HEALTH = 3,
    CAUSE_REMOVE = 4,
    CAUSE_DISK = 5,       /* no space or a failing disk */
    CAUSE_UNTRUSTED = 6,  /* the bundle's signature is not by a trusted publisher */
    CAUSE_CONTENT = 7,    /* the bundle is not well-formed, or refused */
    CAUSE_CRASHES = 8,    /* the device went down too often while applying */
    CAUSE_FETCH = 9,      /* chunks don't come */
    CAUSE_AFTER = 10,     /* another deployment has to be Ready first */
    CAUSE_STUCK = 11,     /* that one failed, or is not for this device */
    CAUSE_VARIABLE = 12,  /* a variable that it needs has no value */
    CAUSE_WINDOW = 13,    /* the window in which it may begin is closed, */
    CAUSE_CLOCK = 14,     /* or nobody knows: the device doesn't know the time */
    CAUSE_RETURNING = 15, /* it came back behind an open gate, and has no permit to begin */
    CAUSE_COUNT,
};

/* Something went wrong there; the others are what it waits for. */
static inline bool cause_is_failure(unsigned c)
{
    return c >= CAUSE_PRE_APPLY && c <= CAUSE_FETCH;
}

/* A short sentence part: "hooks/health failed". */
const char *cause_text(enum cause c);

enum status_flag {
    STATUS_HELLO = 1, /* the first status of a connection: its sequence number names the session */
    STATUS_STALE = 2, /* the held document is past its not-after */
    STATUS_TRUNCATED = 4, /* there are more exceptions than fit */
    STATUS_GOODBYE = 8,   /* the agent goes offline on purpose */
};

/* One deployment that is not Ready in its target generation. */
struct exception {
    uint32_t deployment;
    uint32_t generation; /* the target it is about; 0 while removing */
    uint32_t running;    /* the generation whose tree `current` names; 0: none */
    uint8_t state;       /* enum deployment_state */
    uint8_t cause;       /* enum cause */
};

bool exception_equal(const struct exception *a, const struct exception *b);

struct status {
    uint32_t number;          /* agent number */
    uint32_t seq;             /* grows with every status, also over restarts */
    uint32_t boot;            /* drawn anew whenever the agent starts; not 0 */
    struct revision document; /* held: durable on the device */
    struct revision assignment;
    uint8_t flags;  /* enum status_flag */
    uint32_t facts; /* first 4 bytes of the facts' digest; 0 in all but hellos, which tell it */
    uint8_t count;
    struct exception exceptions[EXCEPTIONS_MAX];
};

/* `session` is the sequence number of the hello that follows on the same connection. */
struct will {
    uint32_t number;
    uint32_t session;
};

/* [join-8] What the agent of this number and id MACs its reports with. */
struct mac_key status_key(const struct mac_key *master, uint32_t number, const struct key_id *id);
/* The same by the master key's base. */
struct mac_key status_key_from(const struct mac_base *master, uint32_t number,
                               const struct key_id *id);

/* Appends the message and its MAC. */
int status_write(const struct status *s, const struct mac_key *key, struct buffer *out);
int will_write(const struct will *w, const struct mac_key *key, struct buffer *out);

struct wire_writer;
/* Ends a message by an agent with the MAC over all of it. */
int status_seal(struct wire_writer *w, const struct mac_key *key);

/* A message from an agent, either kind. */
struct report {
    enum message type; /* MESSAGE_STATUS or MESSAGE_WILL */
    struct status status;
    struct will will;
};

/* Reads without checking the MAC: whose key to check it with stands in the message (its number). */
int report_read(struct span bytes, struct report *r);
uint32_t report_number(const struct report *r);
/* ERR_SIGNATURE when the MAC doesn't hold. */
int report_check(struct span bytes, const struct mac_key *key);

#endif
