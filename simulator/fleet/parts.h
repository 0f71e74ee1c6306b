/*
 * parts: what the files of a fleet in virtual time share. Nobody else includes it but the test that
 * breaks what they look after.
 */
#ifndef DUNLIN_SIMULATOR_FLEET_PARTS_H
#define DUNLIN_SIMULATOR_FLEET_PARTS_H

#include "agent/core/agent.h"
#include "simulator/fleet/flock.h"
#include "simulator/fleet/queue.h"
#include "simulator/world/rows.h"
#include "sync/atlas.h"

/* What happens; `who` is a node's index, a cell's or a region's. */
enum kind {
    NODE_BOOT,
    NODE_TICK, /* of its boot; `what` is the deadline */
    NODE_DONE, /* of its boot; `what` is the job's serial */
    NODE_UP,   /* of its link: the broker has accepted it */
    NODE_DOWN, /* of its link: lost, or not made; `what` 1: refused */
    NODE_HEAD, /* of its link: a head of its cohort; `what` is the revision */
    NODE_SLIP_HEAD,
    NODE_DOC,    /* of its link; `what` is the document's index, one hold of which goes */
    NODE_SLIP,   /* of its link: its assignment */
    NODE_JOINED, /* of its boot: the answer to its request; `what` is its number */
    NODE_SPELL,  /* the link's spell is over */
    NODE_WINDOW, /* its window opens or closes */
    NODE_CUT,    /* the power goes */
    NODE_JUMP,   /* the calendar jumps */
    NODE_HALVE,  /* its link carries one way only, … */
    NODE_LOSE,   /* of its link: … until somebody notices */
    CELL_STATUS, /* `what` is the status' place in the pool */
    CELL_WILL,   /* the broker has noticed that a node's link is lost; `what` the session and its
                    broker's deaths */
    CELL_KILL,
    CELL_START,
    CELL_FILL, /* the manager brings it up to date */
    REGION,    /* its outage begins or ends */
    CLONE,
    RELEASE, /* the operator lets a device in again */
    MANAGER_KILL,
    MANAGER_START,
    MANAGER_TICKS,
    OPERATOR,
    FAULTS_END,
    PAUSE, /* of the deployment, by the operator … */
    RESUME,
    ABORT,
    ROLLBACK,
    SECOND_TRY,
    RENEWAL, /* another version */
    PACE,    /* how fast its rollout goes */
    REMOVAL, /* a node is taken out of the fleet, … */
    RELABEL, /* it gets other labels, … */
    CORDON,  /* or nothing new for a while */
    UNCORDON,
    KIND_COUNT,
};

#define NOBODY UINT32_MAX
#define REACHED_NEVER UINT32_MAX
/* … or not before faults had ended: of links as they are then nobody wants to know. */
#define REACHED_LATER (UINT32_MAX - 1)
/* A device without power comes back after so long. */
#define POWER_OFF_MS 20000

/* One job of a node at a time. */
struct node_job {
    uint16_t serial; /* of the newest; an older one's end is nobody's */
    uint8_t type;    /* enum agent_action_type; 0 with `busy` false: none */
    uint8_t hook;
    uint8_t bundle; /* index; UINT8_MAX: none */
    bool busy;
    uint32_t deployment;
};

/* Which way a link carries anything. */
enum way { WAY_BOTH, WAY_UP, WAY_DOWN };

/* One device in few bytes: its core, its disk, its link. */
struct node {
    struct agent core;
    struct key_id id;

    /* The disk. */
    struct held *held; /* by rising deployment; `currents` lie behind them */
    uint8_t held_count;
    uint8_t *currents; /* for each row the bundle that `current` names; UINT8_MAX: none */
    uint8_t trees;     /* complete ones, bits by bundle */
    uint8_t content;   /* complete ones */
    bool removed;      /* its assignment says so; */
    bool cordoned;
    uint32_t permit;   /* the generation that its assignment lets it begin; 0: none */
    uint32_t tried;    /* the generation that failed last, … */
    uint32_t failures; /* … so often, … */
    uint64_t failed_s; /* … the last time by its own calendar */
    uint32_t begun;  /* the newest generation that it has ever begun, whatever its disk says now */
    uint32_t number; /* 0: it has not joined */
    uint32_t cohort; /* of its assignment */
    struct revision assigned;
    uint32_t document; /* index; 0: none */
    uint32_t seq_ceiling;
    uint64_t floor_s;
    struct node *past; /* the same at an earlier commit; NULL: none is remembered */
    bool lapsed;       /* it went back to that, and nothing has settled since */

    /* What runs. */
    uint64_t start_ms;   /* of its monotonic clock */
    uint64_t due_ms;     /* when its core wants to be called again; UINT64_MAX: never */
    uint64_t tick_ms;    /* the earliest tick that is on its way; UINT64_MAX: none … */
    uint64_t later_ms;   /* … and a later one */
    uint64_t fetch_left; /* bytes */
    uint64_t fetch_ms;   /* since when they come; 0: they don't */
    int32_t wall_off_s;
    uint16_t boot; /* counts boots: what belongs to an older one is void */
    bool on;
    struct node_job job;

    /* The link. */
    uint16_t link; /* counts connections */
    uint8_t kind;  /* of links, index in the options */
    uint8_t cell;  /* that it is with … */
    bool abroad;   /* … and which is none of its homes: what is its own isn't there */
    uint8_t stage; /* that its labels put it into, … */
    uint8_t site;
    bool parked; /* … unless they keep it out of the deployment */
    bool moved;  /* they were others once */
    bool spell_up;
    bool connected;
    bool hung;   /* tries to connect where there is no network */
    uint8_t way; /* enum way */
    uint32_t region;
    uint32_t twin;           /* the other with this identity; NOBODY: none */
    uint32_t listed;         /* cohort that it hears of; NOBODY: none */
    uint32_t before, behind; /* those that hear of the same in the same cell */
    uint32_t session;        /* that the broker knows of; 0: none */
    uint64_t heard_ms;       /* when the newest message arrives, or arrived: order is kept */
    uint64_t said_ms;
};

/* A signed document, which nodes, brokers and messages on their way hold. */
struct paper {
    uint32_t holds;
    uint32_t size; /* bytes on the wire */
    uint32_t cohort;
    struct desired *desired; /* with as many records as it has */
};

/* What an assignment says, as brokers retain it. */
struct slip {
    struct revision revision; /* 0.0: none */
    uint32_t cohort;
    bool removed;
    bool cordoned;
    uint32_t permit;   /* the generation; 0: none */
    uint64_t permit_s; /* when the newest was given */
};

/* Generations of the scenario's one deployment. */
#define GENERATIONS_MAX 256

struct cell {
    bool dead;
    uint16_t deaths;   /* a session of before is void, and so is its will */
    bool current;      /* it has all that the manager has said */
    uint32_t queued;   /* bytes that wait for the manager */
    uint32_t *papers;  /* retained, by cohort; 0: none */
    uint32_t *hearers; /* the first node that hears of each cohort */
};

struct flock {
    const struct flock_options *o;
    struct flock_result *result;
    struct queue queue;
    struct rng rng;  /* of the devices and their links */
    struct rng fate; /* of what breaks: a run without faults draws the same for the rest */
    bool calm;       /* faults have ended */

    uint32_t node_count;
    struct node *nodes;
    uint32_t *by_number; /* node + 1, by agent number */
    uint32_t cell_count;
    struct cell cells[FLOCK_CELLS_MAX];
    struct atlas atlas; /* of the same cells */
    struct slip *slips; /* by number - 1; a cell that isn't current has none */
    uint8_t *dark;      /* for each kind of links and region: it has an outage */

    struct paper *papers; /* 0 is none */
    uint32_t paper_count;
    uint32_t paper_room;
    uint32_t paper_free;
    uint32_t paper_read; /* that a node is handed just now */

    struct status *statuses; /* on their way */
    uint32_t *status_free;
    uint32_t status_room, status_free_count;

    /* The manager. */
    struct manager *core; /* NULL while it is dead */
    void *memory;
    struct rows *rows; /* durable, … */
    uint32_t *newest;  /* … and the newest paper of each cohort */
    struct arena scratch;
    struct happening *inbox; /* waits in the brokers, by their cells' sessions */
    uint32_t inbox_count, inbox_room;
    uint64_t second; /* of the statuses that are counted */
    uint64_t second_count;

    /* The scenario. */
    uint32_t bundle_count;
    struct digest bundles[FLOCK_BUNDLES_MAX];
    struct digest signed_for[GENERATIONS_MAX]; /* what signed documents say that each is; 0: none */
    uint64_t asked_ms;                         /* when the new version was; 0: not yet */
    struct slot *slots;  /* of gate.c, by node; NULL: the fleet is too big for it */
    bool lets_in;        /* some were let in, in this turn of the manager */
    bool paced;          /* an operator has set how many may be at work */
    uint32_t budget;     /* that is kept just now; 0: none */
    uint64_t span_s;     /* when somebody was let in first under a rate, … */
    uint32_t span_count; /* … and how many were since */
    uint64_t vacant_ms;  /* since when a stage has room for some who wait; 0: it doesn't */
    uint32_t *reached_s; /* by node: from then on until it ran; REACHED_NEVER: not yet, … */
    struct arena agent_scratch;
    uint64_t agent_memory[AGENT_SCRATCH_MAX / sizeof(uint64_t)];
};

/* ---- flock.c ---- */

uint64_t flock_wall_s(const struct flock *f);
void flock_at(struct flock *f, uint64_t at_ms, enum kind kind, uint32_t who, uint16_t life,
              uint64_t what);
/* Something must never be, and is: kept once. */
void flock_fault(struct flock *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* True so often of a thousand, while faults are on. */
bool flock_strikes(struct flock *f, uint32_t per_mille);

/* Of the time that it is. */
struct flock_hour *flock_hour(struct flock *f);

/* The next of those that come so often in a day, evenly over the time. */
void flock_arm_daily(struct flock *f, enum kind kind, uint32_t who, uint32_t a_day);

/* ---- node.c: a device's core ---- */

void node_open(void);
void node_start(struct flock *f, uint32_t n);
void node_joined(struct flock *f, uint32_t n, uint32_t number);
void node_cut(struct flock *f, uint32_t n, uint64_t off_ms);
/* By the device's own calendar. */
uint64_t node_calendar_s(const struct flock *f, const struct node *d);
/* Feeds the core, and what follows. `document` is a paper's index, for AGENT_DOCUMENT. */
void node_feed(struct flock *f, uint32_t n, struct agent_event *ev);
void node_tick(struct flock *f, uint32_t n, uint64_t at_ms);
/* What the core would see now. */
void node_view(const struct flock *f, const struct node *n, struct agent_view *out);

/* ---- disk.c: what a device keeps ---- */

/* Makes all stores of a step durable. The document and the assignment are those of the event. */
void disk_keep(struct flock *f, struct node *d, const struct agent_event *ev,
               const struct agent_out *out);
/* The power goes: a disk that lied is what it was some commits ago, all of it, or its rows alone,
 * or its files alone. */
void disk_lapse(struct flock *f, uint32_t n);
void disk_copy(struct flock *f, struct node *to, const struct node *from);
void disk_free(struct flock *f, struct node *d);

/* ---- job.c: fetches, trees, hooks ---- */

void job_begin(struct flock *f, uint32_t n, const struct agent_action *a);
void job_stop(struct flock *f, uint32_t n);
void job_link(struct flock *f, uint32_t n, bool up);
void job_end(struct flock *f, uint32_t n, uint16_t serial);

/* ---- link.c: networks, connections, brokers ---- */

void link_begin(struct flock *f, uint32_t n); /* draws its spells and windows */
bool link_is_there(const struct flock *f, const struct node *n);
void link_perform(struct flock *f, uint32_t n, const struct agent_action *a);
void link_up(struct flock *f, uint32_t n);
void link_down(struct flock *f, uint32_t n, bool refused);
void link_spell(struct flock *f, uint32_t n);
void link_window(struct flock *f, uint32_t n);
/* The device is off: its link is lost without a word. */
void link_vanish(struct flock *f, uint32_t n);
void link_begin_regions(struct flock *f);
/* Its broker died, or the message that it sent took the link along. */
void link_lose(struct flock *f, uint32_t n);
void link_region(struct flock *f, uint32_t region);
void link_calm(struct flock *f);
/* From now on it carries one way only, and nobody has noticed yet. */
void link_halve(struct flock *f, uint32_t n);
/* A message to a node is on its way. */
void link_hear(struct flock *f, uint32_t n, enum kind kind, uint64_t what, uint32_t bytes);
/* What packets take on the wire, MQTT's headers and topics included and TLS' not, with numbers as
 * big as those of an agent that has run for months: OASIS, "MQTT Version 3.1.1", 2014.
 * unit/test_flock_bytes makes each. */
#define CONNECT_BYTES 114 /* with client id and will */
#define CONNACK_BYTES 4
#define SUBSCRIBE_HEADS_BYTES 86 /* to both in one packet; and to one of … */
#define SUBSCRIBE_DOCUMENT_BYTES 38
#define SUBSCRIBE_SLIP_BYTES 53
#define SUBACK_BYTES 5 /* and one for each topic more */
#define UNSUBACK_BYTES 4
#define PUBLISH_BYTES 45 /* of an agent, without its payload */
#define PUBACK_BYTES 4
#define PING_BYTES 2
#define STATUS_BYTES 40 /* of an agent that has nothing to say; each exception takes … */
#define EXCEPTION_BYTES 6
#define WILL_BYTES 25
#define HEAD_BYTES 42 /* of a cohort */
#define SLIP_HEAD_BYTES 60
#define SLIP_BYTES 263  /* a signed assignment */
#define PAPER_BYTES 128 /* of a signed document, without its body */
uint64_t revision_pack(struct revision r);
void link_will(struct flock *f, const struct happening *h);
/* Of its payload. */
uint32_t link_status_bytes(const struct status *s);

/* ---- cell.c: what brokers retain and hand on ---- */

void cell_open(struct flock *f);
void cell_close(struct flock *f);
void cell_kill(struct flock *f, uint32_t cell);
void cell_start(struct flock *f, uint32_t cell);
void cell_fill(struct flock *f, uint32_t cell);
void cell_hear(struct flock *f, uint32_t n, uint32_t cohort); /* NOBODY: of none */
void cell_publish(struct flock *f, uint32_t cohort);
void cell_publish_slip(struct flock *f, uint32_t number);
/* True when so many bytes more are kept for a manager that is away. */
bool cell_queues(struct flock *f, uint32_t cell, uint32_t bytes);
void paper_hold(struct flock *f, uint32_t paper);
void paper_drop(struct flock *f, uint32_t paper);
/* The index of one that a node was handed. */
uint32_t paper_of(const struct flock *f, const struct desired *desired);

/* ---- office.c ---- */

void office_open(struct flock *f);
void office_close(struct flock *f);
void office_kill(struct flock *f);
void office_start(struct flock *f);
void office_tick(struct flock *f);
void office_report(struct flock *f, const struct happening *h);
/* The will of a node's session, from a broker that lives; `life` is the cell. */
void office_will(struct flock *f, const struct happening *h);
void office_join(struct flock *f, uint32_t n);
/* What waits for the manager in a broker that loses its memory. */
void office_forget(struct flock *f, uint32_t cell);
int office_command(struct flock *f, const struct command *c);
uint32_t status_keep(struct flock *f, const struct status *s);
void status_drop(struct flock *f, uint64_t at);
uint32_t cohort_of(const struct flock *f, const struct cohort_key *key);

/* ---- scene.c: what the operator does ---- */

void scene_open(struct flock *f);
void scene_step(struct flock *f, uint64_t what);
/* While the manager is away an operator tries again after so long. */
#define OPERATOR_AGAIN_MS 1000
#define SCENE_STAGES 3
#define SCENE_LABELS_MAX 64
/* Where a node stands before anybody gives it other labels, … */
void scene_place(const struct flock *f, uint32_t n);
/* … and what its labels are by that, in canonical order. */
void scene_labels(const struct node *d, char out[static SCENE_LABELS_MAX]);
/* There is one bundle more. */
void scene_push(struct flock *f);
void scene_deploy(struct flock *f, uint32_t bundle);
/* No more than so many may be out of Ready at a time; 0: there is no such budget any more. */
void scene_budget(struct flock *f, uint32_t most);
/* The number of a bundle; UINT8_MAX: of none. */
uint8_t scene_bundle(const struct flock *f, const struct digest *digest);
/* The token that a node joins with. */
void scene_token(const struct flock *f, uint32_t n, uint32_t *batch, uint32_t *index);
bool scene_fails(const struct flock *f, const struct node *n, uint8_t bundle);

/* ---- whim.c ---- */

void whim_arm(struct flock *f);
void whim_happen(struct flock *f, enum kind kind, uint32_t n);
void whim_resume(struct flock *f);
void whim_uncordon(struct flock *f, uint32_t n);
/* Faults are about to end. */
void whim_calm(struct flock *f);

/* ---- gate.c: books of their own of whom gates let in ---- */

void gate_open(struct flock *f);
void gate_close(struct flock *f);
/* The newest document of a cohort lets these in, … */
void gate_note(struct flock *f, uint32_t cohort);
/* … an operator has said something of one node, … */
void gate_move(struct flock *f, uint32_t n);
/* … or of how fast it goes, … */
void gate_pace(struct flock *f);
/* … a node's disk is what it was before, … */
void gate_lapse(struct flock *f, uint32_t n);
/* … a node has heard its number, … */
void gate_join(struct flock *f, uint32_t n);
/* … the manager is about to hear of an agent, or has, … */
void gate_hear(struct flock *f, uint32_t number);
/* … and when all are said: are no more at work than the stage allows? */
void gate_check(struct flock *f);
/* Now and then: has a stage had room, for too long, for some who wait? */
void gate_look(struct flock *f);
/* A node begins this generation. */
void gate_begin(struct flock *f, const struct node *d, uint32_t generation);

/* ---- check.c ---- */

/* What the manager signs, … */
void check_document(struct flock *f, const struct desired *d);
/* … what is on a device once that has changed, … */
void check_node(struct flock *f, uint32_t n);
/* … how often a device tries, which is about to store this row, … */
void check_try(struct flock *f, struct node *d, const struct held *row);
/* … and no registration that a device has an answer to is forgotten. */
void check_registrations(struct flock *f);
/* It failed, and is not to be tried again, as nothing is of a record that was aborted. */
bool check_has_failed(const struct flock *f, const struct held *h, bool aborted);
/* Everybody holds what it should; NULL, or why not, of whom. */
const char *check_rest(struct flock *f, uint32_t *whom);
void check_end(struct flock *f);

#endif
