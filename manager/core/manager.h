/*
 * manager: the fleet as a pure step function: an event in, rows to persist and words to speak out.
 * It knows no clock, socket, disk, randomness or bytes on the wire; the driver brings events and
 * performs.
 *
 * Persist, then speak: everything in `persist` is committed before anything in the same out is
 * spoken (an answer to a device, a reply to an operator, a publication). When the commit fails
 * nothing is spoken, and the driver builds the core anew from the store.
 */
#ifndef DUNLIN_MANAGER_CORE_MANAGER_H
#define DUNLIN_MANAGER_CORE_MANAGER_H

#include "base/arena.h"
#include "bundles/manifest.h"
#include "crypto/certificate.h"
#include "manager/core/budget.h"
#include "manager/core/group.h"
#include "manager/core/pick.h"
#include "manager/core/roster.h"
#include "manager/core/variable.h"
#include "sync/assignment.h"
#include "sync/desired.h"
#include "sync/join.h"
#include "sync/status.h"
#include "sync/trust.h"

/* One step persists at most this many rows; more work waits behind `more`. */
#define MANAGER_PERSIST_MAX 96
/* Cohorts whose documents one step makes anew. */
#define MANAGER_COHORTS_PER_STEP 8
/* Scratch memory that one step needs at most: a pick that is tried, with all its groups. */
#define MANAGER_SCRATCH_MAX (512 * 1024)
/* Versions of a deployment that are remembered for rolling back, the newest one among them: at
 * most, and where nothing else is said. */
#define HISTORY_MAX 50
#define HISTORY_DEFAULT 10
/* Tokens of all batches together; each takes two bytes. */
#define TOKENS_MAX (16u << 20)
/* Uses of one token. */
#define TOKEN_USES_MAX 65535

/* Deployments that have a list of agents. Each takes two bits an agent. */
#define LISTS_MAX 256

/* All limits are hard: what goes beyond is refused with a sentence. Memory is only touched as it
 * fills. */
struct manager_limits {
    uint32_t agents;
    uint32_t cohorts;
    uint32_t deployments; /* ever made: numbers are never reused */
    uint32_t bundles;     /* ever pushed */
    uint32_t batches;     /* ever made */
    uint32_t variables;   /* at a time */
};

/* What a walk over a deployment's agents keeps of each fits into a step's scratch. */
#define MANAGER_COHORTS_MAX 16384

#define MANAGER_LIMITS_DEFAULT                                                                     \
    ((struct manager_limits){.agents = 2u << 20,                                                   \
                             .cohorts = MANAGER_COHORTS_MAX,                                       \
                             .deployments = 16384,                                                 \
                             .bundles = 65536,                                                     \
                             .batches = 65536,                                                     \
                             .variables = 16384})

/*
 * Generations of one deployment within one epoch. Those of a later epoch are all above those of an
 * earlier one: a manager that was put back from a backup doesn't know which ones it handed out
 * since, and agents refuse to go back.
 */
#define GENERATIONS_PER_EPOCH (1u << 20)
#define EPOCH_MAX 4095
/*
 * A backup may be put back twice, and then two managers had the same epoch. So that one revision
 * doesn't say two things, each begins its revisions at a random number up to this, which still
 * makes short reports. Agents of the other manager either take what is newer, or hold what is newer
 * and make this one move its epoch.
 */
#define RESTORED_BASE_MAX 60000

struct manager_options {
    struct manager_limits limits;
    uint32_t epoch;               /* 1 to EPOCH_MAX */
    uint64_t restored_s;          /* when it was put back from a backup, with the epoch below; */
    uint32_t restored_epoch;      /* 0: never */
    uint32_t restored_base;       /* random: where revisions begin in an epoch */
    bool approve;                 /* every device that joins waits for an operator */
    struct mac_key cohort_secret; /* names cohorts: HMAC(cohort_secret, canonical labels) */
    struct mac_key secrets;       /* seals variables to cohorts and agents (sync/secret.h) */
    uint32_t confirm_percent;     /* of the fleet: what touches more of it has to be confirmed, and
                                     so has what leaves a deployment without agents; 0: nothing */
    struct policy policy;
    uint32_t document_life_s; /* not-after = issued + this; documents are made anew at half of it */
    uint32_t atlas; /* number of the list of cells in force, for heads; 0: there is none */
    uint32_t lane_agents_max; /* of a cohort, that hear its head on one topic; 0: any number */
};

enum agent_flag {
    AGENT_ONLINE = 1,
    AGENT_STALE = 2,
    AGENT_TRUNCATED = 4,    /* it has more exceptions than it could name */
    AGENT_REMOVED = 8,      /* taken out of the fleet; its number and token stay used */
    AGENT_REVOKED = 16,     /* removed, and its certificate is worth nothing any more */
    AGENT_QUARANTINED = 32, /* two devices seem to be this agent: it is kept out until an operator
                               decides */
    AGENT_WAITING = 64,     /* it has asked to join, and an operator has to agree */
    AGENT_ASSIGNED = 128,   /* it says that it holds the assignment to its cohort */
    AGENT_HOLDER = 2048,    /* it asks for a permit, and may hold a slot: it was in reach before */
    AGENT_MUTE = 1024,   /* in reach, and it said nothing in all the time that a deadline gave it */
    AGENT_TAINTED = 512, /* it takes only what tolerates its taints, or may stay in spite of them */
    AGENT_CORDONED = 256, /* an operator wants it to keep what it runs, and to take nothing new */
    AGENT_CUT_OFF =
        4096, /* it floods, and is kept out for a while (flooder.c); never on the disk */
};

/* Who has one of these is kept off every broker. */
#define AGENT_BLOCKED (AGENT_REVOKED | AGENT_QUARANTINED | AGENT_CUT_OFF)
/* Who has one of these gets no certificate. */
#define AGENT_OUTSIDE (AGENT_REVOKED | AGENT_QUARANTINED | AGENT_REMOVED | AGENT_WAITING)
/* What operators have said of a device's place: whoever takes it has them as well. */
#define AGENT_FLAGS_INHERITED (AGENT_CORDONED | AGENT_TAINTED)
/* Those that outlive reports and restarts. */
#define AGENT_FLAGS_KEPT (AGENT_OUTSIDE | AGENT_FLAGS_INHERITED)

/* One agent: at most 128 bytes in memory, its part of the id index and of the exceptions included.
 */
struct agent_row {
    struct key_id id;
    uint32_t cohort; /* index */
    uint32_t batch;  /* the token it joined with */
    uint32_t index;
    uint32_t facts;           /* digest */
    struct revision assigned; /* its newest assignment */
    struct revision document; /* the document it says it holds */
    uint32_t seq;             /* of its newest status */
    uint32_t session;         /* seq of its newest hello */
    uint32_t boot;            /* of its newest status; 0: none yet */
    uint32_t boot_before;     /* the one that this replaced: it can't come back */
    uint32_t last_seen_s;     /* seconds since 1970; 0: never */
    uint32_t joined_s;
    uint32_t exceptions; /* first in the pool; 0: none */
    uint16_t flags;      /* enum agent_flag */
};

/* Besides, an agent takes 8 bytes of a full index and, with two exceptions, 40 of their pool. */
_Static_assert(sizeof(struct agent_row) <= 80, "an agent takes at most 128 bytes");

/* False for one that is out, or not in yet: it counts nowhere, and gets nothing. */
static inline bool agent_in_fleet(const struct agent_row *row)
{
    return !(row->flags & (AGENT_REMOVED | AGENT_WAITING));
}

/* Identities that brokers are told to keep out, at most: it is a list in a file that each of them
 * reads. */
#define BLOCKED_MAX 65536
/* Agents that wait for the device that takes their place. */
#define SUCCESSORS_MAX 4096
/* Agents that are cut off at a time, or are remembered for having been: a quarter of what an access
 * list has room for, so that floods put nobody else out of it. */
#define FLOODERS_MAX 1024
/* For how long one is cut off the first time; twice as long each time after that, up to the second;
 * after a day without it, that begins anew. */
#define CUT_OFF_S_MIN 300
#define CUT_OFF_S_MAX (4 * 3600)
#define CUT_OFF_FORGET_S 86400
/* Whom an operator lets in again is not cut off by what it said before, which may still come. */
#define CUT_OFF_PEACE_S 60
/* Unknown agents that are named. */
#define ORPHANS_MAX 64

struct blocked_agent {
    struct key_id id;
    uint64_t joined_s;
    bool for_now; /* it is cut off: others' brokers are told nothing of that */
};

/* All zero: it isn't. */
struct cut_off {
    uint64_t until_s;
    uint32_t times; /* with this one */
};

/* An id whose number another device has now. */
struct replaced_row {
    struct key_id id;
    uint32_t number;
    uint32_t batch; /* the token it joined with */
    uint32_t index;
    uint32_t joined_s;
    uint32_t since_s;
};

/* Whoever joins with this token takes the place of agent `number`. */
struct successor_row {
    uint32_t number; /* 0: it has joined */
    uint32_t batch;
    uint32_t index;
};

/* It has a MAC key of this fleet, and this manager doesn't know it. */
struct orphan {
    struct key_id id;
    uint32_t number;
    uint64_t last_seen_s;
};

/* Which generation a cohort's document asks for, and since which revision; what it asked for
 * before; and what those that a rollout has let in are to run instead. */
struct placement {
    uint32_t deployment;
    uint32_t generation; /* 0: none but the next */
    uint32_t since;
    uint32_t before; /* the generation before; 0: none */
    uint32_t before_since;
    uint32_t next; /* 0: no rollout is on its way */
    struct gate next_gate;
    struct gate gate;   /* who runs any of it */
    bool listed;        /* and of these, those whose assignments say so */
    uint64_t variables; /* what the cohort's values of that generation are (variables_digest) */
};

struct cohort {
    struct labels labels;
    struct cohort_key key;
    struct revision revision;  /* of its document; 0.0: none yet */
    struct digest fingerprint; /* of what the document says, without revision and times */
    uint64_t issued_s;
    uint32_t trust_version; /* in its head, as is the … */
    uint32_t atlas;         /* … number of the list of cells */
    uint8_t lanes_log2;     /* in its document */
    uint32_t agents;
    bool dirty;
    uint32_t placement_count;
    struct placement placements[RECORDS_MAX]; /* by rising deployment */
};

struct bundle_row {
    struct digest digest;
    char name[NAME_MAX_LEN + 1];
    char version[NAME_MAX_LEN + 1];
    uint64_t bytes;
    uint32_t files;
    uint32_t chunks;
    uint64_t created_s;
    bool removed;
    struct needs needs;
};

struct generation_row {
    uint32_t generation;
    uint32_t bundle;    /* index */
    uint32_t values_at; /* the moment whose values it has (struct variable_row) */
    uint64_t since_s;
};

/* Rollouts that let agents in at the same time; further ones wait for their turn. */
#define ROLLOUTS_MAX 64

enum rollout_state {
    ROLLOUT_NONE,    /* a new version is everybody's at once */
    ROLLOUT_RUNNING, /* stage by stage */
    ROLLOUT_STOPPED, /* too many failed: the operator resumes, retries, aborts or rolls back */
    ROLLOUT_ABORTED, /* nobody else begins; those that have it keep it */
    ROLLOUT_DONE,    /* everybody has it, or gets it on coming back */
};

enum rollout_step {
    ROLLOUT_OPENING,   /* what must be before the stage begins is waited for */
    ROLLOUT_ADMITTING, /* its agents are let in, and become Ready or fail */
    ROLLOUT_CLOSING,   /* what must be before it is left */
};

/* How far the newest generation of a deployment has come. Agents are let in by rising hash, so that
 * one number says who is in (sync/gate.h). */
struct rollout {
    uint8_t state; /* enum rollout_state */
    uint8_t step;  /* enum rollout_step */
    uint8_t stage;
    bool approved;          /* by an operator, this step */
    uint32_t stable;        /* the generation of those that aren't in yet; 0: nothing */
    uint32_t stable_bundle; /* index */
    uint32_t stable_values; /* the moment whose values these have */
    uint32_t first;         /* the lowest generation of this bundle: it was tried since */
    uint8_t passed;         /* openings and ends of stages that an earlier try has waited for */
    bool back; /* to what ran before, where that is a matter of budgets: nothing else holds it up */
    uint32_t queued;    /* index + 1 of the bundle that comes after this; 0: none */
    uint32_t let_in;    /* agents, since the rate's span began, */
    uint64_t span_s;    /* and when that was; 0: none has */
    uint32_t excused;   /* failures that an operator has seen and gone on from */
    uint32_t overdue;   /* agents of the stage that were too slow, as counted last; */
    uint64_t watched_s; /* and when that was another number */
    uint32_t ready;     /* agents of the stage, as counted last */
    uint32_t most;      /* agents that the stage had at a time: who leaves changes no allowance */
    uint64_t since_s;   /* this step's beginning */
    uint64_t success_s; /* when one more of the stage was seen Ready */
    uint64_t end;       /* the stage's highest hash */
    uint64_t reached[STAGES_MAX]; /* who is in, up to this hash; of a stage that is over, its end */
    /* Who joined after the first stage that matches it began, waits for the last one's end. */
    uint32_t enrolled_before[STAGES_MAX];
    /* How long it last took to let a stage's agents in and see them at an end; 0: it never did. */
    uint32_t took_s[STAGES_MAX];
};

struct deployment_row {
    char name[NAME_MAX_LEN + 1];
    char selector[SELECTOR_TEXT_MAX + 1]; /* "": every agent */
    uint32_t flags;                       /* enum record_flag */
    uint32_t priority;
    uint64_t salt;
    bool removed;
    uint64_t created_s;
    uint32_t history_kept; /* so many versions are remembered; 0: HISTORY_DEFAULT */
    uint32_t values_seen;  /* changes of variables up to this one have been acted on */
    uint32_t history_count;
    struct generation_row history[HISTORY_MAX]; /* newest first: [0] is what is asked for */
    struct pick pick;
    struct picked picked;
    struct plan plan;
    struct rollout rollout;
    struct dependencies after; /* by number; those that were removed since don't count */
    struct roster roster;
};

static inline uint32_t deployment_history_kept(const struct deployment_row *d)
{
    return d->history_kept ? d->history_kept : HISTORY_DEFAULT;
}

/* What is to be before this step ends was waited for by an earlier try. */
static inline bool rollout_has_passed(const struct rollout *r)
{
    return 2u * r->stage + (r->step != ROLLOUT_OPENING) < r->passed;
}

/* True while some agents may run the generation before the newest. */
static inline bool deployment_rolls(const struct deployment_row *d)
{
    return d->rollout.state >= ROLLOUT_RUNNING && d->rollout.state <= ROLLOUT_ABORTED;
}

/* What those run that a rollout has not let in; generation 0: there is none. */
static inline struct generation_row deployment_stable(const struct deployment_row *d)
{
    const struct rollout *r = &d->rollout;
    struct generation_row none = {.generation = 0};
    return !deployment_rolls(d) ? none
                                : (struct generation_row){.generation = r->stable,
                                                          .bundle = r->stable_bundle,
                                                          .values_at = r->stable_values};
}

struct batch_row {
    uint32_t count;
    uint32_t uses; /* of each token */
    uint64_t created_s;
    uint64_t expires_s;
    uint32_t redeemed; /* uses so far, of all its tokens */
    bool revoked;
    bool bound;   /* each token is for the device with one serial number */
    bool approve; /* devices that join with its tokens wait for an operator */
    struct labels labels;
};

/* What operators must hear of, whoever caused it. */
enum alarm_type {
    ALARM_TOKEN_REUSED, /* a used token came with another key */
    ALARM_CLONE,        /* two devices seem to be one agent: quarantined */
    ALARM_OLD_NUMBERS,  /* an agent counts on from numbers of long ago: a copy, or an old backup */
    ALARM_NEWER_DOCUMENT,  /* an agent holds a newer document than this manager ever made */
    ALARM_ROLLOUT_STOPPED, /* of deployment `index`: too many agents failed */
    ALARM_EPOCH_MOVED,     /* the same soon after a restore: the epoch moved past that document */
    ALARM_CROWDED,         /* agents of cohort `index` are meant to have more than they take */
    ALARM_UNPICKED,        /* of deployment `index`: agents have values of a label beyond those that
                              its pick tells apart */
    ALARM_FLOOD,           /* an agent said far more than it may: cut off */
    ALARM_TYPE_COUNT,
};

/* What happened since the process began. */
struct manager_counters {
    uint64_t statuses;      /* accepted */
    uint64_t wills;         /* accepted */
    uint64_t joins;         /* accepted, first time */
    uint64_t joins_again;   /* answered the same again */
    uint64_t joins_refused; /* sealed refusals */
    uint64_t malformed;     /* no valid message */
    uint64_t forged;        /* the MAC or seal doesn't hold */
    uint64_t foreign;       /* number and topic differ, or no such agent */
    uint64_t replayed;      /* not newer than what was seen */
    uint64_t tokens_reused; /* used tokens that came with another key; not each raises an alarm */
    uint64_t alarms[ALARM_TYPE_COUNT];
    uint64_t flooded; /* by an agent that says too much */
    uint64_t blocked; /* reports of agents that are revoked, quarantined or replaced */
};

struct manager;

/* ---- commands: what operators ask for ---- */

enum command_type {
    COMMAND_TOKEN_CREATE,
    COMMAND_TOKEN_REVOKE,
    COMMAND_TRUST,
    COMMAND_BUNDLE_ADD,
    COMMAND_BUNDLE_REMOVE,
    COMMAND_DEPLOY,
    COMMAND_PAUSE,
    COMMAND_RESUME,
    COMMAND_ROLLBACK,
    COMMAND_APPROVE,
    COMMAND_ABORT,
    COMMAND_RETRY,
    COMMAND_PACE,
    COMMAND_DEPLOYMENT_REMOVE,
    COMMAND_LABEL,
    COMMAND_AGENT_APPROVE,
    COMMAND_AGENT_REMOVE,
    COMMAND_AGENT_REVOKE,
    COMMAND_AGENT_RELEASE,
    COMMAND_AGENT_REPLACE,
    COMMAND_AGENT_CORDON,
    COMMAND_AGENT_UNCORDON,
    COMMAND_AGENT_TAINT,
    COMMAND_GROUP_SET,
    COMMAND_GROUP_REMOVE,
    COMMAND_BUDGET_SET,
    COMMAND_BUDGET_REMOVE,
    COMMAND_VARIABLE_SET,
    COMMAND_VARIABLE_UNSET,
};

/* Deployments that one depends on, as an operator wrote them. */
struct dependency_names {
    uint32_t count;
    const char *names[DEPENDENCIES_MAX];
};

/* Strings are borrowed for the step, NUL-terminated, of any length and content: the core checks
 * them. */
struct command {
    enum command_type type;
    bool confirmed; /* what it comes to is meant: see confirm_percent */
    union {
        struct {
            uint32_t count;
            uint32_t uses;
            uint64_t expires_s;
            const char *labels; /* "k=v,k2=v2" */
            bool bound;         /* see batch_row */
            bool approve;
        } token;
        uint32_t batch; /* TOKEN_REVOKE */
        struct {
            const struct trust *next; /* follows the one that is held: verified by trust_follows */
            struct span envelope;     /* signed, for the driver to keep and publish */
        } trust;
        struct bundle_row bundle; /* BUNDLE_ADD: verified and complete */
        struct {
            const char *name;
            const char *version;
            bool force; /* also when a deployment would go back to it */
        } bundle_name;  /* BUNDLE_REMOVE */
        struct {
            const char *name; /* of the deployment */
            const char *bundle;
            const char *version;
            const char *selector; /* "" only with `all` */
            bool all;
            uint32_t priority;
            uint32_t flags;              /* RECORD_PAUSED: begin paused; RECORD_KEEP */
            bool priority_stays;         /* it is as it was, or 0 when the deployment is new; */
            bool keep_stays;             /* so with RECORD_KEEP */
            uint64_t salt;               /* random, for a new deployment */
            const struct plan *plan;     /* NULL: as it is */
            bool dry_run;                /* only say what would come of it: manager_preview */
            const struct pick *pick;     /* NULL: as it is; all, when the deployment is new */
            const struct roster *roster; /* NULL: none */
            uint32_t history;            /* versions to remember; 0: as it is */
            const struct dependency_names *after; /* NULL: as it is */
            const struct setting *settings;       /* NULL: as they are */
            uint32_t setting_count;
        } deploy;
        struct {
            const char *name;
            const char *version;     /* ROLLBACK: NULL is the one before */
            const char *stage;       /* APPROVE; PACE: NULL is the whole of the plan */
            const struct pace *pace; /* PACE */
            bool force;              /* DEPLOYMENT_REMOVE: also when others depend on it */
        } deployment;                /* PAUSE, RESUME, ROLLBACK, APPROVE, ABORT, RETRY, PACE,
                                        DEPLOYMENT_REMOVE */
        struct {
            struct key_id id;
            const char *set;   /* "k=v,…" or "" */
            const char *unset; /* "k,…" or "" */
        } label;
        struct key_id agent; /* AGENT_APPROVE, AGENT_REMOVE, AGENT_REVOKE, AGENT_RELEASE,
                                AGENT_CORDON, AGENT_UNCORDON */
        struct {
            struct key_id agent;
            bool mint; /* a token of its own, which expires then */
            uint64_t expires_s;
            uint32_t batch; /* else this one, whose secret has been checked */
            uint32_t index;
        } replace; /* the reply's index is that of the successor */
        struct {
            const char *name;
            const char *selector; /* GROUP_SET */
        } group;
        struct {
            const char *name;
            const char *selector; /* BUDGET_SET; "": every agent */
            struct amount max;    /* the same */
        } budget;
        struct {
            struct key_id agent;
            const char *set;   /* taints, with commas, or "" */
            const char *unset; /* patterns, as of tolerations, or "" */
        } taint;
        struct {
            const struct setting *settings; /* UNSET: their names */
            uint32_t count;                 /* 1 to VARIABLES_SET_MAX, each name once */
            bool secret;                    /* SET */
            enum scope scope;               /* ALL, SELECTOR or AGENT */
            const char *where;              /* the selector */
            struct key_id agent;
            bool at_once; /* by no stages, and in versions that one can go back to as well */
            bool dry_run; /* only say what would come of it: manager_values_preview */
        } variable;       /* VARIABLE_SET, VARIABLE_UNSET */
    };
};

/* ---- events ---- */

enum manager_event_type {
    MANAGER_TICK,     /* about once a second */
    MANAGER_CONTINUE, /* the last out said `more` */
    MANAGER_JOIN,     /* an opened request */
    MANAGER_REPORT,   /* a status or will whose MAC holds for its number */
    MANAGER_COMMAND,
    MANAGER_ATLAS, /* another list of cells is in force */
    MANAGER_FLOOD, /* an agent has said far more than it may, itself and lately */
    MANAGER_FACTS, /* of one agent: what it has told, or what was asked for (manager_facts_wanted)
                    */
};

struct manager_event {
    enum manager_event_type type;
    uint64_t now_s; /* seconds since 1970 */
    union {
        struct {
            uint32_t batch;
            uint32_t index;
            struct public_key key;
            struct key_id id;
            uint32_t facts;           /* digest */
            const struct facts *told; /* NULL: nobody asks for them */
        } join;
        struct {
            uint32_t number;
            const struct facts *facts; /* NULL: it has told none */
        } facts;
        struct {
            struct key_id topic; /* the agent id in the topic's name */
            const struct report *report;
        } report;
        const struct command *command;
        uint32_t atlas;      /* its number */
        struct key_id flood; /* by whom */
    };
};

/* ---- what comes out ---- */

enum persist_type {
    PERSIST_AGENT,     /* agent `index`: a new one (with the join's key and facts), or its cohort or
                          flags changed */
    PERSIST_STATUS,    /* agent `index`: what it reported */
    PERSIST_HEARTBEAT, /* agent `index`: it is as it was, and was heard later. The row may be
                          written behind: who loses it hears the same with the agent's next report
                        */
    PERSIST_COHORT,    /* cohort `index`: key, labels */
    PERSIST_DOCUMENT,  /* cohort `index`: compose, sign, keep with its placements; publish document,
                          then head */
    PERSIST_HEAD,      /* cohort `index`: publish its head anew (the trust version changed) */
    PERSIST_ASSIGNMENT, /* agent `index`: compose, sign, publish its document, then its head; of a
                           revoked one, erase both; keep its taints and which lists it is on */
    PERSIST_TRUST,      /* keep the envelope of the command, and publish it */
    PERSIST_BATCH,
    PERSIST_BUNDLE,      /* bundle `index`: the row; publish its chunks */
    PERSIST_BUNDLE_GONE, /* bundle `index`: the row; erase the chunks that no other bundle has */
    PERSIST_DEPLOYMENT,
    PERSIST_EPOCH,     /* it is `index` from now on */
    PERSIST_REPLACED,  /* replaced `index`: the row; erase what was retained for that id */
    PERSIST_SUCCESSOR, /* successor `index` */
    PERSIST_GROUP,     /* group `index` */
    PERSIST_BUDGET,    /* budget `index` */
    PERSIST_TAINT,     /* taint `index` */
    PERSIST_VARIABLE,
};

struct persist {
    enum persist_type type;
    uint32_t index; /* agents by number, the rest by index from 0 */
};

struct alarm {
    enum alarm_type type;
    uint32_t number; /* of the agent; 0: none */
    uint32_t batch;  /* ALARM_TOKEN_REUSED: index of its row, and the token's in it */
    uint32_t index;  /* ALARM_ROLLOUT_STOPPED, ALARM_UNPICKED: of the deployment; ALARM_CROWDED: of
                        the cohort */
    bool answers;    /* ALARM_OLD_NUMBERS: it is no repeated report, but a device that lives */
};

/* One step raises at most this many alarms; it asserts that. */
#define MANAGER_ALARMS_MAX 4

/* Right after the step that raised it: no log has a place for it, so that what it is about may
 * raise the next one as soon as it happens again. */
void manager_alarm_untold(struct manager *m, const struct alarm *alarm);

/* "token-reused", …: for logs and the audit log. */
const char *alarm_name(enum alarm_type type);

struct manager_out {
    struct persist persist[MANAGER_PERSIST_MAX];
    uint32_t persist_count;
    bool more; /* step again with MANAGER_CONTINUE, best within the same commit */

    struct alarm alarms[MANAGER_ALARMS_MAX];
    uint32_t alarm_count;

    /* MANAGER_JOIN: the answer; for JOINED_ACCEPTED and JOINED_WAITING of which agent number. */
    enum joined_code joined;
    uint32_t number;

    /* MANAGER_COMMAND: 0, 1 (it was so already) or a code with its sentence; the row it made or
     * changed. */
    int rv;
    struct errmsg error;
    uint32_t index;
};

/* Bytes of zeroed memory that a core with these limits takes; most of it is never touched. */
size_t manager_size(const struct manager_limits *limits);
/* Lays an empty fleet into `memory`: manager_size() zeroed bytes, aligned for anything. The result
 * is `memory`. */
struct manager *manager_init(void *memory, const struct manager_options *options);

/*
 * Loading, before the first step: groups, budgets, batches, bundles, deployments and cohorts by
 * rising index without gaps, the trust document, then agents by rising number without gaps, then
 * lists, and who was or is to be replaced. ERR_RANGE beyond a limit, ERR_DAMAGED for rows that
 * contradict each other.
 */
int manager_load_batch(struct manager *m, const struct batch_row *row);
int manager_load_taint(struct manager *m, uint32_t index, const struct taint *taint);
int manager_load_group(struct manager *m, const struct group_row *row);
int manager_load_budget(struct manager *m, const struct budget_row *row);
int manager_load_bundle(struct manager *m, const struct bundle_row *row);
int manager_load_deployment(struct manager *m, const struct deployment_row *row);
/* With labels, key, revision, fingerprint, issued_s, trust_version and placements. */
int manager_load_cohort(struct manager *m, const struct cohort *row);
void manager_load_trust(struct manager *m, const struct trust *trust);
int manager_load_agent(struct manager *m, uint32_t number, const struct agent_row *row,
                       const struct exception *exceptions, size_t count);

/* Of the agent's exceptions, in their order. */
void manager_load_stints(struct manager *m, uint32_t number, const uint32_t *stints);

/* The agent has these taints, and is on the lists of these deployments (from 1), as its newest
 * assignment says. */
int manager_load_lists(struct manager *m, uint32_t number, uint64_t taints, const uint32_t *lists,
                       uint32_t count);
/* And has these permits, of which those in `slots`, as manager_slot_permits tells them. */
int manager_load_permits(struct manager *m, uint32_t number, const struct permit *permits,
                         uint32_t count, uint32_t slots);
int manager_load_replaced(struct manager *m, const struct replaced_row *row);
int manager_load_successor(struct manager *m, const struct successor_row *row);
/* By rising index without gaps, behind all these. */
int manager_load_variable(struct manager *m, const struct variable_row *row,
                          const struct variable_text *text);

/* One step. `out` is overwritten. */
void manager_step(struct manager *m, const struct manager_event *ev, struct arena *scratch,
                  struct manager_out *out);

/* ---- composing what is persisted: values for the driver to encode and sign ---- */

/* The cohort's desired document as it stands, revision and times included. */
void manager_document(const struct manager *m, uint32_t cohort, struct desired *out);
/* So many topics the head of that document is to stand on: lane 0 and those behind it. */
uint32_t manager_lanes(const struct manager *m, uint32_t cohort);
void manager_assignment(const struct manager *m, uint32_t number, uint64_t now_s,
                        struct assignment *out);

/* The deployments (from 1, rising) that list this agent; returns how many. */
uint32_t manager_lists(const struct manager *m, uint32_t number, uint32_t out[static RECORDS_MAX]);
/* The permits in the agent's assignment; returns how many. */
uint32_t manager_permits(const struct manager *m, uint32_t number,
                         struct permit out[static PERMITS_MAX]);
/* Those of them that it was given as one that holds a slot of the rollout: bits, by their places.
 */
uint32_t manager_slot_permits(const struct manager *m, uint32_t number);
/* The names whose values two versions of a deployment have each its own of, by rising name; returns
 * how many. */
uint32_t manager_values_changed(const struct manager *m, uint32_t deployment,
                                const struct generation_row *before,
                                const struct generation_row *after,
                                const char *out[static VARIABLES_NEEDED_MAX]);
/* Its agents get other values when what is on its way is over. */
bool manager_values_wait(const struct manager *m, uint32_t deployment);
/* A variable that the deployment needs on this agent and that has no value; NULL: there is none. */
const char *manager_missing(const struct manager *m, uint32_t number, uint32_t deployment);
/* Rows by index, free ones included. */
uint32_t manager_variable_count(const struct manager *m);
const struct variable_row *manager_variable(const struct manager *m, uint32_t index,
                                            const struct variable_text **text);

/* The newest trust document; version 0: there is none yet. */
const struct trust *manager_trust(const struct manager *m);
/* The number that heads name, or are about to. */
uint32_t manager_atlas(const struct manager *m);

/* ---- certificates: nothing is kept of them, so the same question has the same answer ---- */

/* A certificate is good for this long, and followed by the next one at two thirds of it: time
 * enough for a device that is away for weeks. */
#define CERTIFICATE_LIFE_S (60u * 86400)
#define CERTIFICATE_PERIOD_S (40u * 86400)
/* Clocks differ: a fresh one is good from so long before. */
#define CERTIFICATE_SLACK_S 3600u

/* The certificate that an agent of this number and id may have now, all but its key:
 * JOINED_ACCEPTED, or why it gets none. */
enum joined_code manager_certificate(const struct manager *m, uint32_t number,
                                     const struct key_id *id, uint64_t now_s,
                                     struct certificate *out);

/* ---- queries ---- */

uint32_t
manager_agent_count(const struct manager *m); /* numbers in use: 1 to this, removed ones included */
uint32_t manager_batch_count(const struct manager *m);
uint32_t manager_bundle_count(const struct manager *m);
uint32_t manager_deployment_count(const struct manager *m);
uint32_t manager_cohort_count(const struct manager *m);

/* Rows; the index must be in range. */
const struct agent_row *manager_agent(const struct manager *m, uint32_t number);
const struct batch_row *manager_batch(const struct manager *m, uint32_t index);
const struct bundle_row *manager_bundle(const struct manager *m, uint32_t index);
const struct deployment_row *manager_deployment(const struct manager *m, uint32_t index);
const struct cohort *manager_cohort(const struct manager *m, uint32_t index);

/* The agent's number, or 0. A removed agent is not found. */
uint32_t manager_find_agent(const struct manager *m, const struct key_id *id);
/* The index, or a negative code. Removed ones are not found. */
int64_t manager_find_deployment(const struct manager *m, const char *name);
int64_t manager_find_bundle(const struct manager *m, const char *name, const char *version);

/* From a backup, at any time: there may be agents that it doesn't know. */
bool manager_was_restored(const struct manager *m);
/* The number, also of one that was removed or revoked. */
uint32_t manager_find_any_agent(const struct manager *m, const struct key_id *id);

struct cut_off manager_cut_off(const struct manager *m, uint32_t number);
/* Who is to be kept off every broker, at most BLOCKED_MAX; returns how many. */
size_t manager_blocked(const struct manager *m, struct blocked_agent *out, size_t cap);
/* Grows whenever that list changes, and starts at zero with the core. */
uint64_t manager_blocked_changes(const struct manager *m);

const struct replaced_row *manager_replaced(const struct manager *m, uint32_t index);
const struct successor_row *manager_successor(const struct manager *m, uint32_t index);

/* Unknown agents that reported within a day; returns how many. */
size_t manager_orphans(const struct manager *m, uint64_t now_s,
                       struct orphan out[static ORPHANS_MAX]);

/* The agent's newest exceptions; returns how many. */
size_t manager_exceptions(const struct manager *m, uint32_t number,
                          struct exception out[static EXCEPTIONS_MAX]);
/* The same, to keep: what time it has had for each. */
void manager_stints(const struct manager *m, uint32_t number, uint32_t out[static EXCEPTIONS_MAX]);

/* A kind of taint, one of TAINTS_MAX; and an agent's, as bits of these. */
const struct taint *manager_taint(const struct manager *m, uint32_t index);
uint64_t manager_agent_taints(const struct manager *m, uint32_t number);

/* Whose facts the core wants to hear by MANAGER_FACTS, as soon as it suits; 0: nobody's. */
uint32_t manager_facts_wanted(const struct manager *m);

/* Places of groups; those without a name are free. */
uint32_t manager_group_count(const struct manager *m);
const struct group_row *manager_group(const struct manager *m, uint32_t index);
int64_t manager_find_group(const struct manager *m, const char *name);

struct group_use {
    uint32_t agents;      /* that it selects now */
    uint32_t deployments; /* that say its name */
};

struct group_use manager_group_use(const struct manager *m, uint32_t index);

/* One deployment on one agent. */
struct agent_deployment {
    uint32_t deployment; /* index */
    uint32_t wanted;     /* generation */
    uint32_t running;    /* generation, as far as known; 0: none */
    enum deployment_state state;
    enum cause cause;
    bool held; /* the rollout of something newer has not let it in yet */
};

/* Places of budgets; those without a name are free. */
uint32_t manager_budget_count(const struct manager *m);
const struct budget_row *manager_budget(const struct manager *m, uint32_t index);
int64_t manager_find_budget(const struct manager *m, const char *name);

/* Agents that are named of those that hold a budget. */
#define BUDGET_NAMED_MAX 8

struct budgeted_agent {
    uint32_t number;
    bool bad;                     /* it failed, or was changed on the device */
    struct agent_deployment what; /* that is so, or is at work */
};

/* How much of a budget is taken. */
struct budget_use {
    uint32_t agents;  /* of its group, the cordoned aside */
    uint32_t away;    /* of these: out of reach; */
    uint32_t allowed; /* that may be out of Ready; */
    uint32_t out;     /* that are; */
    uint32_t bad;     /* of those out: that don't end by themselves */
    uint32_t apart;   /* at work, and not counted: they came back, or joined in by themselves */
    uint32_t asking;  /* waiting for room, to begin what no gate brings: not counted either; */
    uint32_t idle;    /* or for what doesn't come by itself */
    uint32_t named_count;
    struct budgeted_agent named[BUDGET_NAMED_MAX]; /* of those out, the bad ones first */
};

/* In one walk over the fleet. Agents that are out by a deployment are added to `held`, by its
 * index; NULL: nobody asks. */
void manager_budget_use(const struct manager *m, uint32_t index, uint64_t now_s, uint32_t *held,
                        struct budget_use *out);
/* The budget (index + 1) that lets a deployment's rollout let nobody else in for now; 0: none. */
uint32_t manager_budget_holding(const struct manager *m, uint32_t deployment);
/* Those that a deployment's agents are under, as bits. */
uint32_t manager_budgets_on(const struct manager *m, uint32_t deployment);

/* As selector_parse, with the groups that there are: ERR_NOT_FOUND for one that there isn't. It is
 * good for as long as nothing is changed. */
int manager_selector(const struct manager *m, const char *text, struct selector *s,
                     struct errmsg *em);

/* All deployments of an agent; returns how many. */
size_t manager_agent_deployments(const struct manager *m, uint32_t number,
                                 struct agent_deployment out[static RECORDS_MAX]);
/* One of them, by its index; false: the agent hasn't got it. */
bool manager_agent_deployment(const struct manager *m, uint32_t number, uint32_t deployment,
                              struct agent_deployment *out);

/* The deployments that one depends on and that weren't removed, by number. */
struct dependencies manager_dependencies(const struct manager *m, uint32_t deployment);

/* The newest generation: what documents ask for, of all or of those that are let in. */
uint32_t manager_generation(const struct manager *m, uint32_t deployment);
/* The version that a generation of a deployment had, or "" when it is unknown. */
const char *manager_generation_version(const struct manager *m, uint32_t deployment,
                                       uint32_t generation);

/* A fleet of fewer agents than this is small enough to be touched as a whole. */
#define CONFIRM_AGENTS_MIN 20

/*
 * Agents that are away, and for how long half of them, and nine of ten, have been: at a random
 * moment that is distributed as the time until they are back, as long as they go on coming and
 * going as they do (Cox, Renewal Theory, 1962, chapter 5: age and residual life in equilibrium).
 */
struct absence {
    uint32_t agents;
    uint64_t half_s;
    uint64_t most_s;
};

/* What COMMAND_DEPLOY would do. */
struct preview {
    int64_t deployment;        /* index; negative: it is new */
    uint32_t bundle;           /* index */
    struct plan plan;          /* complete; as it would be */
    struct dependencies after; /* the same; */
    uint32_t priority;         /* and these */
    bool keep;
    uint32_t fleet;                  /* agents */
    uint32_t targets;                /* that it would be for */
    uint32_t joining;                /* of these: that it isn't for now */
    uint32_t leaving;                /* that it would not be for any more */
    uint32_t touched;                /* that get something else to run, or have it taken off */
    bool changes;                    /* false: it is so already */
    bool valued;                     /* values of variables change */
    bool confirm;                    /* it has to be confirmed, since */
    struct errmsg why;               /* this */
    uint32_t stages[STAGES_MAX];     /* agents in each, */
    uint32_t joining_in[STAGES_MAX]; /* and of these: that it isn't for now */
    struct absence absence;          /* of the targets */
};

/* A deploy command tried: 0 with what it would do, or how it would be refused. Nothing changes. A
 * stage by share that overlaps others by selector is estimated. */
int manager_preview(struct manager *m, const struct command *deploy, uint64_t now_s,
                    struct arena *scratch, struct preview *out, struct errmsg *em);

/* How many agents a deployment is for: also of those that wait for their documents to be made. */
uint32_t manager_meant(const struct manager *m, uint32_t deployment, struct arena *scratch);

/* True, with a sentence, when such labels for all agents that a selector matches have to be
 * confirmed: each of them is a command of its own, and has not to be. */
bool manager_relabel_demands(const struct manager *m, const struct selector *whom,
                             const struct command *label, struct arena *scratch,
                             struct errmsg *why);
/* The same of taints, by what they take off, or no longer keep off. */
bool manager_taint_demands(const struct manager *m, const struct selector *whom,
                           const struct command *taint, struct arena *scratch, struct errmsg *why);

/* Deployments that a preview of values tells of. */
#define VALUES_PREVIEWS_MAX 64

/* What other values come to for one deployment. */
struct values_preview {
    uint32_t deployment; /* index */
    enum values_way way;
    uint32_t targets; /* agents that it is for, */
    uint32_t touched; /* and of these: that get other values, and apply them */
    uint32_t stage_count;
    struct {
        char name[NAME_MAX_LEN + 1];
        uint32_t members;
        uint32_t touched;
    } stages[STAGES_MAX];
};

/* A change of variables tried: 0 or 1 as the command, with the deployments that would get other
 * values by their ways (none of one that is made at once), or how it would be refused. Nothing
 * changes. */
int manager_values_preview(struct manager *m, const struct command *c, uint64_t now_s,
                           struct arena *scratch,
                           struct values_preview out[static VALUES_PREVIEWS_MAX], uint32_t *count,
                           uint32_t *more, struct errmsg *em);

/* What a rollout has done of a stage. */
struct stage_count {
    uint32_t members;   /* all of the following */
    uint32_t waiting;   /* reachable, and not let in */
    uint32_t away;      /* out of reach, and not ready; most of them behind an open gate */
    uint32_t in_flight; /* at work; they were reachable all the time */
    uint32_t returning; /* at work; they came back behind an open gate, */
    uint32_t asking;    /* or wait for their turn to: the plan limits those */
    uint32_t ready;
    uint32_t failed;  /* or rolled back, or: */
    uint32_t overdue; /* these of the failed are at work for longer than their deadline */
    uint32_t stuck;   /* let in, and waits for what doesn't come by itself */
    bool expected;    /* whom it has, a share decides that has yet to begin: an estimate */
};

/* Counts each stage of a deployment that has a plan, in one pass over the fleet. Of a stage by
 * share that has not begun, and of those behind it, the numbers are expected ones. */
void manager_survey(const struct manager *m, uint32_t deployment, uint64_t now_s,
                    struct arena *scratch, struct stage_count out[static STAGES_MAX]);

/* Of a deployment whose plan limits how many come back at a time. */
struct returning_use {
    uint32_t places; /* agents that may be at work at a time, */
    uint32_t taken;  /* that are, or are told that they may; */
    uint32_t asking; /* that wait for a place */
};

void manager_returning(const struct manager *m, uint32_t deployment, struct arena *scratch,
                       struct returning_use *out);

/* What a rollout waits for, when its stage is counted like this. */
enum rollout_hold {
    HOLD_NONE,     /* nothing: it is over, or goes on within a second */
    HOLD_PAUSED,   /* an operator, who paused it */
    HOLD_OPERATOR, /* an operator, since too many failed, or it was aborted */
    HOLD_APPROVAL, /* an operator's word */
    HOLD_TIME,     /* a moment */
    HOLD_SLOT,     /* the end of another rollout: so many are on their way */
    HOLD_AGENTS,   /* agents that are at work, or wait for those */
    HOLD_REACH,    /* the first agent of its stage that becomes Ready: none is in reach */
    HOLD_BUDGET,   /* a budget: as many agents are out of Ready as it allows, by others */
    HOLD_RATE,     /* a moment: as many were let in as its rate allows in a span */
    HOLD_COUNT,
};

/* `until_s` is the moment of HOLD_TIME, of HOLD_RATE, or of HOLD_REACH if that has one; else 0. A
 * `count` of NULL: it is not known, and neither is HOLD_AGENTS. */
enum rollout_hold manager_rollout_hold(const struct manager *m, uint32_t deployment, uint64_t now_s,
                                       const struct stage_count *count, uint64_t *until_s);

/* When its rate lets the next ones in, of those that wait; 0: it holds nobody up now. */
uint64_t manager_rate_until_s(const struct deployment_row *d, uint64_t now_s);

struct deployment_counts {
    uint32_t held; /* of the targets: not let in yet; at best they are pending */
    uint32_t targets;
    uint32_t states[STATE_COUNT];
};

/* Counts for all deployments in one pass over the fleet; `out` has manager_deployment_count()
 * elements. */
void manager_count_deployments(const struct manager *m, struct deployment_counts *out);
/* Adds those of `count` agents from number `first` on. */
void manager_count_some(const struct manager *m, uint32_t first, uint32_t count,
                        struct deployment_counts *out);

struct fleet_counts {
    uint32_t waiting; /* for an operator; not in the total */
    uint32_t total;
    uint32_t online;
    uint32_t offline;
    uint32_t stale;       /* of those online */
    uint32_t quarantined; /* of those offline */
    uint32_t cut_off;     /* the same */
    uint32_t cordoned;
};

void manager_count_agents(const struct manager *m, struct fleet_counts *out);

struct manager_counters *
manager_counters(struct manager *m); /* the driver adds malformed and forged ones */

#endif
