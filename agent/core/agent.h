/*
 * agent: decides what one device does next: a pure step function, an event in, stores and actions
 * out. It knows no clock, socket, disk, randomness or bytes; the driver brings events and performs
 * what comes out.
 *
 * Persist, then speak: what `stores` lists is made durable in one transaction, and AGENT_STORED is
 * the very next event. Whatever depends on it comes out of that step. Actions of the same step
 * don't depend on it.
 */
#ifndef DUNLIN_AGENT_CORE_AGENT_H
#define DUNLIN_AGENT_CORE_AGENT_H

#include "agent/core/wall.h"
#include "base/arena.h"
#include "base/rng.h"
#include "sync/assignment.h"
#include "sync/desired.h"
#include "sync/head.h"
#include "sync/status.h"
#include "sync/trust.h"

/* The most that one step can ask for; the step asserts it. */
#define AGENT_STORES_MAX 4
#define AGENT_ACTIONS_MAX 13
/* Scratch memory that one step needs at most: one status and two rows. */
#define AGENT_SCRATCH_MAX 2048
/* A device that goes down this often while applying one version is taken off that version. */
#define AGENT_ATTEMPTS_MAX 3
/* Deployments that are put off in turn, half applied, before one of them seems to have gone down
 * with the device. */
#define AGENT_TRIED_MAX 4
/* Sequence numbers are reserved in blocks, so that a day of heartbeats costs a write or two of
 * flash. */
#define AGENT_SEQ_BLOCK 128
/* Changes within this time make one status. */
#define AGENT_STATUS_SETTLE_MS 200
/* Two statuses are at least this far apart. */
#define AGENT_STATUS_GAP_MS 1000
/*
 * After a hello, the first heartbeat comes early, within this and twice this: a broker that lost
 * its memory acknowledges the hello although the manager has not subscribed again yet.
 */
#define AGENT_HELLO_AGAIN_MS 5000
/* By then a manager has heard the hello, or the heartbeat that follows. */
#define AGENT_KNOWN_MS (2 * AGENT_HELLO_AGAIN_MS)
/* A calendar that is further behind what is sure is none to open windows by. */
#define AGENT_CLOCK_SLACK_S 300
/* After a full disk or missing content: try again. */
#define AGENT_RETRY_MS 30000
/* A document that was asked for and didn't come is asked for again. */
#define AGENT_ASK_AGAIN_MS 20000
/* First step of the back-off after a lost link; it doubles up to the policy's spread. */
#define AGENT_BACKOFF_MS 1000
/* A new network is tried within this, so that a site that comes back does not arrive as one. */
#define AGENT_NETWORK_MS 2000
/* A link that lasted for so long was a good one: the back-off begins anew. A broker that greets and
 * hangs up must not cost a device its flash and its log. */
#define AGENT_STEADY_MS 60000
/* Who is with a cell that doesn't retain what is its own tries its homes again after this and twice
 * this. */
#define AGENT_ABROAD_MS 600000
/* Who is refused its next certificate may be revoked, and asks only now and then. */
#define AGENT_REFUSED_MS 3600000
/* Renewal comes at two thirds of a certificate's life, and as much later as the clocks of manager
 * and device may differ; spread over two days. */
#define AGENT_RENEW_SLACK_S 7200
#define AGENT_RENEW_JITTER_S (2 * 86400)
/* A request for the next certificate that wasn't answered is repeated after this and twice this. */
#define AGENT_RENEW_AGAIN_MS 600000

/* How far a deployment has come on this device, as durable in its row. The same order as in
 * ARCHITECTURE.md. */
enum phase {
    PHASE_DOWNLOADING, /* nothing on the device has changed yet */
    PHASE_PREPARING,   /* the tree is there; hooks/pre-apply runs; `current` is untouched */
    PHASE_APPLYING,    /* `current` moves; hooks/apply runs */
    PHASE_VERIFYING,   /* hooks/health runs until it passes or its deadline ends */
    PHASE_SETTLED,     /* running == wanted */
    PHASE_UNDOING,     /* `current` goes back to `running` */
    PHASE_ROLLED_BACK, /* wanted failed, running runs */
    PHASE_FAILED,      /* wanted failed, and there is nothing to go back to */
    PHASE_REMOVING,    /* hooks/remove runs, then the deployment's folder goes */
    PHASE_COUNT,
};

/* One deployment on this device: one row of the agent's database. */
struct held {
    uint32_t deployment;
    char name[NAME_MAX_LEN + 1];
    uint8_t phase; /* enum phase */
    uint8_t cause; /* enum cause: why it failed */
    uint8_t attempts;
    bool moved;            /* `current` may name the tree of `wanted`: a failure must put it back */
    uint32_t flags;        /* enum record_flag, as last seen */
    struct target running; /* what was last verified; generation 0: nothing yet */
    struct target wanted;  /* what is tried or was tried last: the floor, below which no generation
                              is accepted … */
    struct key_id signer; /* … as long as this key is trusted: it signed the document that wants it
                           */
    struct dependencies after; /* as last seen: it is removed before these */
    uint8_t failures;          /* of `wanted`: a record may allow for some */
    uint64_t failed_s;         /* when it failed last, as far as one could tell */
};

/* `current` is to lead to what runs: nothing of another version has moved it yet. */
bool held_leads(const struct held *row);
/* The tree of what runs is gone from the disk: what has settled is fetched, and what has gone back
 * is unpacked once more, from its chunks. In any case it is taken back before something else comes,
 * or forgotten. */
void held_begin_anew(struct held *row);

/* Everything durable that decisions rest on; the driver keeps it loaded and as stored. */
struct agent_view {
    const struct desired *document;      /* revision 0.0: none yet, but its policy holds */
    const struct assignment *assignment; /* always there: it comes with the join */
    const struct trust *trust;
    /* The online keys that signed the two; what one that is trusted no more said binds no longer.
     */
    struct key_id document_signer, assignment_signer;
    uint32_t cell_count;         /* brokers it may connect to, at least 1, in its order … */
    uint32_t home_count;         /* … of which the first retain what is its own */
    uint32_t atlas;              /* number of the list that these are from; 0: of none … */
    struct key_id atlas_signer;  /* … and which online key signed that */
    uint64_t rooted_s;           /* the newest time that root keys signed, or built in */
    uint64_t signed_s;           /* the newest time that the manager's keys signed */
    uint64_t certificate_from_s; /* of its certificate; both 0: links are plain, and it has none */
    uint64_t certificate_until_s;
    bool certificate_outdated; /* it is by an authority that the trust document doesn't name */
    uint64_t shut_out_s;       /* since when the manager wants to hear no more of it; 0: it does */
    const struct held *held;   /* by rising deployment number */
    uint32_t held_count;       /* at most RECORDS_MAX * 2: those that go and those that come */
};

#define HELD_MAX (RECORDS_MAX * 2)

enum agent_hook { HOOK_PRE_APPLY, HOOK_APPLY, HOOK_HEALTH, HOOK_REMOVE, HOOK_COUNT };

enum agent_topic {
    AGENT_TOPIC_HEADS,    /* of the cohort's lane and of the agent: replaces what was subscribed */
    AGENT_TOPIC_DOCUMENT, /* of the assignment's cohort */
    AGENT_TOPIC_ASSIGNMENT, /* of this agent */
    AGENT_TOPIC_TRUST,      /* the version after the one that is held */
    AGENT_TOPIC_ATLAS,      /* the list of all cells */
    AGENT_TOPIC_COUNT,
};

enum agent_store_type {
    AGENT_STORE_HELD,        /* insert or replace `held` */
    AGENT_STORE_DROP,        /* delete the row of `deployment` */
    AGENT_STORE_DOCUMENT,    /* the document of the event */
    AGENT_STORE_ASSIGNMENT,  /* the assignment of the event */
    AGENT_STORE_TRUST,       /* the trust document of the event */
    AGENT_STORE_ATLAS,       /* what the atlas of the event means for this agent */
    AGENT_STORE_CERTIFICATE, /* the certificate of the event */
    AGENT_STORE_SEQ,         /* numbers below `seq` may be used from now on */
    AGENT_STORE_SHUT_OUT,    /* since `shut_out_s`, or no more */
};

struct agent_store {
    enum agent_store_type type;
    const struct held *held; /* in scratch */
    uint32_t deployment;
    uint32_t seq;
    uint64_t floor_s; /* with `seq`: it is at least this late */
    uint64_t shut_out_s;
};

enum agent_action_type {
    AGENT_CONNECT,   /* to the `cell`-th broker, with a will for `session`; a link that is up ends
                        by that, without a word. Answers with LINK_UP or LINK_DOWN */
    AGENT_KNOCK,     /* at the fleet's door, for the next certificate; answers with LINK_DOWN, after
                        AGENT_CERTIFICATE when it has one */
    AGENT_SUBSCRIBE, /* to `topic` */
    AGENT_UNSUBSCRIBE, /* from `topic` */
    AGENT_SEND,        /* `status`, QoS 1; nobody waits for it */
    AGENT_RENEW,       /* ask for the next certificate on this link; AGENT_CERTIFICATE may follow */
    AGENT_FETCH, /* make sure that all content of `bundle` is here; answers with AGENT_DONE, at last
                  */
    AGENT_FETCH_STOP, /* forget the fetch; no answer comes */
    AGENT_UNPACK,     /* `bundle` into its own tree, unless it is there; AGENT_DONE */
    AGENT_HOOK, /* run `hook` of `bundle` for `name`; AGENT_DONE, 0 also when the bundle has no such
                   hook */
    AGENT_SWITCH, /* `current` of `name` names the tree of `bundle`, or goes when that is zero;
                     AGENT_DONE */
    AGENT_DETACH, /* remove the folder of `name`; AGENT_DONE */
    AGENT_SWEEP,  /* remove trees and chunks that no row names; nobody waits */
    AGENT_LEAVE,  /* the operator removed this agent: disconnect for good */
};

/* How late it is, for checking a broker's certificate. */
struct agent_time {
    uint64_t wall_s;
    bool is_floor; /* it is at least that late: the machine has no calendar to go by */
};

struct agent_action {
    enum agent_action_type type;
    struct agent_time time; /* for AGENT_CONNECT and AGENT_KNOCK */
    uint32_t cell;
    uint32_t session;
    enum agent_topic topic;
    uint8_t lanes_log2; /* for AGENT_TOPIC_HEADS */
    const struct status *status;
    uint32_t deployment;
    const char *name;
    struct digest bundle;
    uint64_t variables;     /* names the values that come with it (agent_values) */
    struct digest previous; /* for hooks: the tree that ran before, or zero */
    uint64_t previous_variables;
    enum agent_hook hook;
};

struct agent_out {
    struct agent_store stores[AGENT_STORES_MAX];
    uint32_t store_count;
    struct agent_action actions[AGENT_ACTIONS_MAX];
    uint32_t action_count;
    uint64_t deadline_ms; /* AGENT_TICK is due then; UINT64_MAX: never */
};

enum agent_event_type {
    AGENT_BOOT,       /* the first event after agent_init */
    AGENT_TICK,       /* the deadline has come */
    AGENT_STORED,     /* the last step's stores are durable (`rv` 0), or none of them is (a code) */
    AGENT_LINK_UP,    /* the broker has accepted us */
    AGENT_LINK_DOWN,  /* the link is lost, or could not be made; `rv` ERR_REFUSED: somebody refused
                         our certificate, or the door to renew it; ERR_TIMEOUT of a link that was
                         up: it had not outlived a change of the network */
    AGENT_NETWORK,    /* the machine can reach something that it could not before */
    AGENT_HEAD,       /* a head of `topic` DOCUMENT (the cohort's) or ASSIGNMENT (our own) */
    AGENT_DOCUMENT,   /* a desired document whose signature holds */
    AGENT_ASSIGNMENT, /* an assignment whose signature holds */
    AGENT_TRUST,      /* the trust document that follows the one that is held, or an older one */
    AGENT_ATLAS,      /* a list of all cells whose signature holds */
    AGENT_CERTIFICATE, /* a certificate for this agent's key, by the fleet's authority */
    AGENT_SHUT_OUT,    /* the manager says that there is none for it any more */
    AGENT_REFUSED,     /* bytes that are no valid message, for the counter */
    AGENT_DONE,        /* the action `done` of `deployment` ended with `rv` */
};

struct agent_event {
    enum agent_event_type type;
    uint64_t now_ms; /* monotonic */
    uint64_t wall_s; /* seconds since 1970, as the machine's calendar says */
    int32_t east_s;  /* how much more than UTC the machine's clocks show */
    const struct agent_view *view;
    int rv;
    enum agent_topic topic;
    const struct head *head;
    const struct desired *document;
    const struct assignment *assignment;
    uint32_t trust_version;
    uint32_t atlas;    /* its number, … */
    uint32_t spread_s; /* … how long agents may take, … */
    uint8_t cell;      /* … where in this agent's order the cell stands that it is with, or
                          CELLS_MAX, … */
    bool cell_moved;   /* … and whether another one than before comes first */
    uint64_t certificate_until_s;
    bool certificate_moved; /* it is by another authority than the one that is held */
    enum agent_action_type done;
    uint32_t health_deadline_s; /* with AGENT_FETCH done: from the manifest */
    uint32_t health_interval_s;
};

enum link_state { LINK_DOWN, LINK_CONNECTING, LINK_KNOCKING, LINK_UP, LINK_LEFT };

/* What is done to the one deployment that is worked on. The same order as in ARCHITECTURE.md. */
enum step {
    STEP_NONE,
    STEP_BEGIN,   /* store: Downloading */
    STEP_FETCH,   /* */
    STEP_UNPACK,  /* */
    STEP_PREPARE, /* store: Preparing, one more attempt */
    STEP_PRE_APPLY,
    STEP_CHANGE, /* store: Applying */
    STEP_SWITCH,
    STEP_APPLY,
    STEP_VERIFY, /* store: Verifying */
    STEP_HEALTH,
    STEP_SETTLE, /* store: Settled */
    STEP_UNDO,   /* store: Undoing */
    STEP_SWITCH_BACK,
    STEP_UNPACK_BACK, /* where what ran before is gone from the disk; */
    STEP_FORGET,      /* store: it can't be had again, so there is nothing to go back to */
    STEP_APPLY_BACK,
    STEP_GIVE_UP, /* store: RolledBack or Failed */
    STEP_LEAVE,   /* store: Removing */
    STEP_REMOVE_HOOK,
    STEP_DETACH,
    STEP_DROP,  /* store: the row goes */
    STEP_NOTE,  /* store: the record's flags, when nothing else changes */
    STEP_ADOPT, /* store: what runs is what is wanted; only its generation is newer */
    STEP_COUNT,
};

/* One asked-for retained message. */
struct ask {
    bool wanted;
    bool subscribed;
    bool storing;             /* it came, and is being stored */
    bool in_vain;             /* the broker had nothing newer, whatever a head said */
    bool told;                /* by a head on this connection */
    struct revision revision; /* at least this one is wanted */
    uint64_t due_ms;          /* ask, or ask again, then */
};

/* What the counters of DESIGN's "bad input is counted" hold; they wrap. */
struct agent_counters {
    uint32_t refused; /* no valid message */
    uint32_t foreign; /* another cohort's or agent's */
    uint32_t old;     /* not newer than what is held */
};

/* The whole volatile state. Callers read, only agent_step writes. */
struct agent {
    uint32_t number;
    struct key_id id;
    uint32_t facts; /* digest */
    uint32_t boot;
    struct rng rng;
    struct wall wall;

    uint8_t link;       /* enum link_state */
    uint8_t lanes_log2; /* as last told */
    uint32_t link_failures;
    uint64_t link_due_ms;
    uint64_t link_up_ms;      /* when it came up last */
    bool certificate_refused; /* by a broker */
    bool knocked;             /* the last attempt was at the door: a cell has its turn */
    uint64_t renew_due_ms;    /* the next certificate is asked for no earlier */

    uint64_t move_due_ms;    /* it goes to the cell that comes first then; UINT64_MAX: it stays */
    uint32_t atlas_spread_s; /* of the atlas that is being stored, as are … */
    uint8_t cell;            /* which of the view's it is with, or tries */
    uint8_t atlas_here;      /* … where that stands in it, … */
    bool atlas_moved;        /* … and whether another one comes first */
    bool late; /* what is its own may stand elsewhere by now: the atlas comes before documents */

    uint32_t seq;         /* the next number */
    uint32_t seq_ceiling; /* durable: numbers below may be used */
    uint32_t seq_storing; /* the ceiling being stored, or 0 */
    bool hello;           /* the next status is the first of its connection */
    bool stale;
    bool dirty; /* something to tell */
    uint64_t status_due_ms;
    uint64_t status_sent_ms;
    uint64_t heartbeat_due_ms;

    struct ask asks[AGENT_TOPIC_COUNT]; /* HEADS is not used */

    uint32_t silent_s;        /* for how long, when this connection began */
    struct revision own_head; /* on it; 0.0: none came */
    bool head_came;           /* the cohort's, */
    bool own_came;            /* or the agent's assignment; */
    bool known;               /* the manager has heard of it by now */
    bool in_step;             /* it held what that names, and the manager knew that it was here */
    uint8_t present[RECORDS_MAX / 8]; /* bits by record: so it was when it was let in (permit.c) */

    uint8_t step; /* enum step */
    uint8_t work_cause;
    bool work_storing;
    uint32_t work;          /* deployment number */
    uint32_t fetched_under; /* the version of the trust document when its fetch was begun */
    uint64_t work_due_ms;
    uint64_t health_until_ms;
    uint32_t health_deadline_s;
    uint32_t health_interval_s;
    uint32_t tried[AGENT_TRIED_MAX]; /* deployments whose newest attempt this process has counted */
    uint8_t tried_count;
    uint32_t put_off; /* the deployment that had to wait last: those behind it go on … */
    uint8_t put_off_cause;
    uint64_t retry_ms;     /* … and it and those before it are tried again then */
    uint64_t rules_due_ms; /* a rule is looked at again then; 0: none waits for its time */
    uint64_t wall_s;       /* how late it is, in this step, as far as one can tell, */
    int32_t east_s;        /* how much more the machine's clocks show, */
    bool knows_time;       /* and whether its calendar can be believed */
    uint8_t held_tries;    /* deployments that failed and that a rule keeps from their next try */
    uint64_t seq_retry_ms; /* numbers are reserved again then */

    struct agent_counters counters;
};

_Static_assert(sizeof(struct agent) <= 512, "a million idle agents must fit in one process");

struct agent_options {
    uint32_t number;
    struct key_id id;
    uint32_t facts;       /* facts_digest */
    uint32_t boot;        /* random, drawn at each start; not 0 */
    uint32_t seq_ceiling; /* as stored last; 0 at first */
    uint64_t floor_s;     /* it is at least this late: as stored last, or built in */
    uint64_t now_ms;      /* monotonic */
    uint64_t seed;        /* for jitter */
};

void agent_init(struct agent *a, const struct agent_options *o);

/* One step. `out` is overwritten; its pointers live until `scratch` is reset or `view` changes. */
void agent_step(struct agent *a, const struct agent_event *ev, struct arena *scratch,
                struct agent_out *out);

/* "Downloading", "Preparing", …: for logs and traces. */
const char *agent_phase_name(const struct held *h);

/* The values of what the row wants, as variables_resolve gives them. They are to be kept before the
 * row is. */
int agent_values(const struct agent_view *view, const struct held *row, variable_change *change,
                 void *context, struct buffer *out);

/* What a row means to people, and to the manager. */
enum deployment_state agent_state_of(const struct held *h);

/* The status that would be sent now (for `dunlin-agent status`). */
void agent_status(const struct agent *a, const struct agent_view *view, struct status *s);

#endif
