/*
 * state: what the files of the manager's core share: its tables, and the parts of one step.
 * Nobody outside this folder includes it.
 */
#ifndef DUNLIN_MANAGER_CORE_STATE_H
#define DUNLIN_MANAGER_CORE_STATE_H

#include "manager/core/manager.h"

/* What an agent told last of one deployment: those of all agents are linked lists in one pool;
 * links are index + 1, 0 ends. */
struct told {
    uint32_t next;
    uint32_t generation;
    uint32_t running;
    uint32_t stint;      /* stint.c: what time it has had; 0: it has begun nothing */
    uint16_t deployment; /* numbers above are no deployment's */
    uint8_t state;
    uint8_t cause;
};

_Static_assert(sizeof(struct told) == 20, "two of them are a third of an agent's memory");

/* At most this many alarms about tokens in an hour, so that a thief with many can't fill a log. */
#define ALARMED_TOKENS_MAX 4096

/* A token that raised an alarm a short while ago. */
struct alarmed_token {
    uint32_t batch;
    uint32_t index;
    uint64_t at_s; /* 0: none */
};

/* Agents that one looks into at a time; one that is heard longest ago makes room. */
#define SUSPECTS_MAX 256

enum suspect_stage {
    SUSPECT_HEARD,    /* old reports came */
    SUSPECT_ASKED,    /* the first question is out */
    SUSPECT_ANSWERED, /* another boot than the newest has answered it; the second one is out */
};

struct suspect {
    uint32_t number;
    uint32_t boot; /* the newest when the first question went out */
    struct revision question;
    uint64_t heard_s;
    uint64_t asked_s;
    uint64_t told_s; /* 0: the operator has not been told */
    uint8_t heard;   /* how often, up to what is enough */
    uint8_t stage;   /* enum suspect_stage */
    bool answers;    /* who counts on from old numbers is no repeated report: it lives */
};

struct flooder {
    uint32_t number;
    uint32_t times;   /* it was cut off, each soon after the one before */
    uint64_t until_s; /* of the last time; for whom an operator let in, when that was */
    bool lifted;
};

/* Departures that are told apart; see flight.c. */
#define DEPARTURES_MAX 20

/* Agents are let in by rising hash, so that when one was follows from its own: those up to
 * `reached`, behind the departure before, between these two moments. */
struct departure {
    uint64_t reached;
    uint64_t first_s;
    uint64_t last_s;
};

/* Who is at work in a rollout's stage without having been away since it was let in: a bit for each
 * agent. It is not durable: after a restart everybody who is at work is taken for one of these that
 * was let in just now. */
struct flight {
    uint32_t deployment; /* index + 1; 0: free */
    uint64_t moved_s;    /* when agents were let in last */
    uint8_t *in_flight;
    bool guessed; /* of some it isn't known: they may have come back */
    uint32_t departure_count;
    struct departure departures[DEPARTURES_MAX]; /* the oldest first */
};

/* Once so many agents were passed by in a tick, in all walks of all rollouts together, further
 * rollouts have their turn in the next one: a tenth of a second's work. */
#define WALKED_PER_TICK (2u << 20)

/* When a rollout is to be looked at again: after news that concern it, or at a moment. */
struct look {
    uint64_t news; /* as many as there were when nothing was left to be looked at */
    uint64_t again_s;
    uint32_t budget;    /* index + 1 of the one that kept it from letting more in; 0: none did */
    bool idle;          /* and nobody of its own is at work */
    bool unreached;     /* none of its stage is Ready, or in reach to become it, */
    uint64_t goes_on_s; /* which it waits for until then; 0: for ever */
};

/* Permits at a time, over all deployments. */
#define PERMITTED_MAX 65536

/* The agent came back behind an open gate, and its assignment says that it may begin. */
struct permitted {
    uint32_t number;
    uint32_t deployment; /* index */
    uint32_t generation;
    bool slot;        /* when it was given this it held a slot of the rollout, or may have */
    uint64_t since_s; /* 0: it was loaded */
};

/* How many of a cohort's agents are out of Ready, as far as budgets go: all of them are under the
 * same ones. */
struct budget_tally {
    uint64_t news;     /* as many as there were when it was counted, */
    uint32_t revision; /* and the document of then */
    uint64_t until_s;  /* when somebody is out of reach */
    uint32_t agents;
    uint32_t out;
};

/* Agents that fit in line. */
#define IN_LINE_MAX ((1u << 29) - 1)

/* One of many in the order of their hashes, as the walk that counts them leaves it for what
 * follows: none of that has to go through the fleet once more. */
struct in_line {
    uint64_t hash;
    union {
        uint32_t budgets; /* that take one more when it is let in, as bits */
        uint32_t group;   /* of a pick */
    };
    uint32_t number : 29; /* of the agent */
    uint32_t has : 1;     /* it runs the bundle already, and takes only its number */
    uint32_t comes : 1;   /* it is in reach, and doesn't: a rate counts it; */
    uint32_t slot : 1;    /* and it needs one: it isn't at work yet */
};

/* How far a ranking goes: who has a lower place is in, or the same and no higher hash. */
struct cut {
    bool some; /* false: nobody is */
    uint64_t place, hash;
};

/* Whom a pick takes that is sorted by a fact. */
struct ranking {
    struct cut stay; /* of those that are in, */
    struct cut come; /* and of the others */
};

/* Facts that picks are sorted by, at a time. Each takes 8 bytes an agent. */
#define COLUMNS_MAX 8

/* What all agents have told of one fact, as fact_order_number has it. */
struct column {
    char key[FACT_KEY_MAX + 1]; /* "": free */
    uint64_t *numbers;          /* by number - 1 */
};

/* Which agents' newest assignments name a deployment; bits by number. */
struct list {
    uint32_t deployment; /* index + 1; 0: free */
    bool looked;         /* all of it, since it was to be another one */
    uint8_t *in;
    uint8_t *meant;         /* whom the deployment's roster chooses */
    uint8_t *cohorts;       /* by index: those whose documents have the record */
    struct ranking ranking; /* of one that is sorted, as this look at it began */
};

/* What a cohort's document says of all its agents at once. */
struct summary {
    uint32_t since; /* who holds this revision is Ready in what is for all alike, and not named */
    uint32_t clear; /* agents that do, as counted last */
    uint32_t mixed_count;
    uint8_t mixed[RECORDS_MAX]; /* places of the placements that aren't for all alike */
};

_Static_assert(RECORDS_MAX <= UINT8_MAX + 1, "a placement's place fits into a byte");

struct manager {
    struct manager_options options;
    struct manager_counters counters;

    struct agent_row *agents; /* by number - 1 */
    uint32_t agent_count;
    uint32_t *slots; /* open addressing by agent id: numbers, 0 is free */
    uint32_t slot_mask;
    struct told *nodes;
    uint32_t node_max;
    uint32_t node_count;   /* ever used */
    uint32_t node_free;    /* first of those given back */
    uint64_t newer_told_s; /* when operators were told of a newer document */
    uint32_t presence_cursor;
    uint32_t silent_left;     /* agents still to be looked at in this tick's turn */
    uint64_t listens_since_s; /* the first step's time */

    struct suspect suspects[SUSPECTS_MAX];
    uint32_t suspect_count;
    struct orphan orphans[ORPHANS_MAX];
    struct flooder flooders[FLOODERS_MAX];
    uint32_t flooder_count;

    struct replaced_row *replaced;
    uint32_t replaced_count;
    struct successor_row *successors;
    uint32_t successor_count;
    uint32_t blocked_count; /* agents with such a flag, and the replaced ones */
    uint64_t blocked_changes;

    struct cohort *cohorts;
    struct summary *summaries; /* by cohort, as of the last fleet_sum_up */
    uint32_t *mustered;        /* the agents of the fleet, cohort by cohort, */
    uint32_t *muster_ends;     /* and where each cohort's end */
    bool is_mustered;          /* since nobody has come, gone or moved */
    uint32_t cohort_count;
    uint32_t dirty_count;
    uint32_t dirty_cursor;

    struct deployment_row *deployments;
    uint32_t deployment_count;
    struct bundle_row *bundles;
    uint32_t bundle_count;

    struct group_row groups[SAVED_GROUPS_MAX];
    uint32_t group_count; /* places ever used */
    struct selector_book book;

    struct budget_row budgets[BUDGETS_MAX];
    uint32_t budget_count;        /* places ever used */
    uint32_t *cohort_budgets;     /* by cohort, as bits */
    struct budget_tally *tallies; /* by cohort, of those that are under some */
    uint8_t *out;                 /* bits by number: it counts as out, as of the tally; */
    uint8_t *free;  /* without doubt, so that letting it into more makes nobody else out; */
    uint8_t *apart; /* what it is at, it came to by itself. Not durable: after a restart whoever
                       is out counts */

    uint32_t facts_wanted; /* the next agent whose facts are to be heard; 0: all were */

    struct taint taints[TAINTS_MAX];
    uint32_t taint_agents[TAINTS_MAX];
    uint64_t *agent_taints; /* by number - 1, of those that are tainted */
    uint8_t *tainted;       /* bits by number */

    struct list lists[LISTS_MAX];
    uint16_t *list_places; /* by deployment: its list's place + 1, or 0 */
    uint8_t *list_bits;
    uint8_t *list_cohorts;
    bool lists_stirred, picks_stirred; /* once more when all of them have had their turn */
    uint32_t list_cursor;              /* the list that is looked at, */
    uint32_t list_number;              /* and the agent */

    struct pick_group *pick_groups; /* of all picks */
    uint32_t pick_group_count;

    struct in_line *line; /* room for all agents; whose it is, each walk says anew */

    struct column columns[COLUMNS_MAX];
    uint64_t *column_numbers;

    struct permitted *permits; /* by rising number, and then deployment */
    uint32_t permit_count;
    uint8_t *asking; /* bits by number: it asks for some that it may not have; see permit.c */
    uint32_t asking_count;
    uint32_t *permit_last;             /* by deployment: who had the last one */
    uint64_t permits_news;             /* as many as there were when they were looked at, */
    uint64_t permits_again_s;          /* and when they are looked at again without any */
    bool permits_look;                 /* they are being looked at, */
    bool permits_counted;              /* budgets were counted for that, */
    uint32_t permit_room[BUDGETS_MAX]; /* and have room for so many more; from */
    uint32_t permit_cursor;            /* this one on, and then */
    uint32_t permit_deployment;        /* for this deployment, */
    uint32_t permit_places;            /* which has so many places; 0: they aren't counted yet */

    struct flight flights[ROLLOUTS_MAX];
    uint8_t *in_flight; /* the bits of all of them */
    bool stirred; /* somebody has joined, left, or moved: lists and picks are looked at again */
    uint32_t pick_cursor; /* as the next one */

    uint64_t news;        /* grows whenever something may make a difference to a rollout; from 1 */
    uint64_t heard;       /* as it was when that was something of all agents; */
    uint64_t *heard_of;   /* by cohort, of one of its agents */
    struct look *looks;   /* by deployment */
    uint32_t look_cursor; /* the deployment whose turn it is */
    uint32_t looks_left;  /* deployments still to be passed by in this tick */
    uint64_t walked;      /* agents passed by in this tick */

    struct batch_row *batches;
    uint32_t *batch_tokens; /* where a batch's tokens begin in token_uses */
    uint32_t batch_count;
    uint16_t *token_uses;
    uint32_t token_count;
    struct alarmed_token alarmed[ALARMED_TOKENS_MAX]; /* a ring */
    uint32_t alarmed_next;                            /* the oldest */

    struct variable_row *variables;
    struct variable_text *variable_texts; /* of the same index */
    uint32_t variable_count;              /* rows ever used at a time */
    uint32_t variable_order;              /* changes so far */
    uint32_t moment_cursor;               /* the deployment that is looked at for changes next, */
    uint32_t moments_left;                /* and how many still are */
    uint32_t sweep_cursor;                /* the row that is looked at next: it may be forgotten */

    struct trust trust; /* the newest */
};

/* A bundle, and the moment whose values it gets; VALUES_NEWEST: now. */
struct version {
    uint32_t bundle;
    uint32_t values_at;
};

/* One call of manager_step. */
struct turn {
    struct manager *m;
    const struct manager_event *ev;
    struct arena *scratch;
    struct manager_out *out;
};

void persist(struct turn *t, enum persist_type type, uint32_t index);
/* One more agent would have to be told in a later step: the rest of this one is left to others. */
bool persist_is_full(const struct turn *t);
/* One more alarm, for the caller to fill in. */
struct alarm *raise_alarm(struct turn *t, enum alarm_type type);

/* fleet.c: agents by number and id, and their exceptions */
uint32_t fleet_add(struct manager *m, const struct agent_row *row); /* the number */
struct agent_row *fleet_agent(struct manager *m, uint32_t number);
uint32_t fleet_find(const struct manager *m,
                    const struct key_id *id); /* removed ones too; 0: none */
/* Another id for a number. */
void fleet_name(struct manager *m, uint32_t number, const struct key_id *id);
/* Its row has changed: a new assignment says so, which it doesn't hold yet. */
void fleet_assign(struct turn *t, uint32_t number);
/* The same, where its cohort is the same: what it reported before still counts. */
void fleet_tell(struct turn *t, uint32_t number);
/* It is in reach, or was heard so lately. `until_s` comes down to when that ends by mere time. */
bool fleet_reaches(const struct agent_row *row, uint32_t within_s, uint64_t now_s,
                   uint64_t *until_s);
/* With their stints; NULL: none has begun. ERR_NO_MEMORY when the pool is full: then none is kept.
 */
int fleet_set_exceptions(struct manager *m, struct agent_row *row, const struct exception *list,
                         const uint32_t *stints, size_t count);

/* cohort.c: label sets, and the documents that follow from them */
int64_t cohort_find_or_add(struct turn *t, const struct labels *labels); /* index or ERR_RANGE */
void cohort_enter(struct manager *m, uint32_t cohort);                   /* one more agent */
void cohort_leave(struct manager *m, uint32_t cohort);
void cohort_mark(struct manager *m, uint32_t cohort);
/* Marks all that the selector matches. The selector has been checked before. */
void cohort_mark_matching(struct manager *m, const char *selector);
/* Marks all that have a record of it. */
void cohort_mark_deployment(struct manager *m, const struct deployment_row *d);
void cohort_mark_all(struct manager *m);
/* Makes documents for some of the marked ones. */
void cohort_settle(struct turn *t);
/* The cohort that would hold more records than an agent takes if `deployment` (0: a new one) had
 * this selector, or -1. */
int64_t cohort_overfull(const struct manager *m, const char *selector, uint32_t deployment);
const struct placement *cohort_placement(const struct cohort *c, uint32_t deployment);
/* Some agent has these labels. */
bool cohort_is_lived_in(const struct manager *m, const struct labels *labels);
/* How many records agents with these labels would have, with those that list agent `number` (0:
 * nobody); it may be more than they take. */
uint32_t cohort_records(const struct manager *m, const struct labels *labels, uint32_t number);

/* True where the cohort's document has a record of it. */
bool cohort_is_placed(const struct manager *m, uint32_t deployment, uint32_t cohort);
/* The same of all at once, into a byte for each. */
void cohort_find_placed(const struct manager *m, uint32_t deployment, uint8_t *placed);
/* Of a cohort where it is placed, and that the selector matches, something was heard behind so many
 * news. */
bool cohort_is_heard_of(const struct manager *m, uint32_t deployment, const char *text,
                        uint64_t news);

/* muster.c: the numbers of a cohort's agents, rising; there are as many as it counts. They are
 * found anew by a walk over the fleet when somebody has come, gone or moved. */
const uint32_t *muster_of(const struct manager *m, uint32_t cohort);

/* query.c */
/* What an agent says of one deployment, or NULL. */
const struct told *fleet_exception(const struct manager *m, const struct agent_row *row,
                                   uint32_t deployment);

/* Before a cohort's agents are asked one after another: what is the same for all of them. */
void fleet_sum_up(const struct manager *m, uint32_t cohort);
/* Right after that, those of an agent's deployments that it may be otherwise than Ready in. */
size_t fleet_unclear(const struct manager *m, uint32_t number,
                     struct agent_deployment out[static RECORDS_MAX]);

/* What one agent has of a deployment; false: it isn't for it. */
bool fleet_judge(const struct manager *m, uint32_t number, uint32_t deployment,
                 struct agent_deployment *out);

/* flight.c: who is at work in a rollout's stage, and since when */
struct flight *flight_find(struct manager *m, uint32_t deployment); /* NULL: there is none */
const struct flight *flight_of(const struct manager *m, uint32_t deployment);
/* False when too many others are on their way. */
bool flight_is_possible(const struct manager *m, uint32_t deployment);
/* A new one with nobody in it, or NULL. */
struct flight *flight_begin(struct manager *m, uint32_t deployment);
void flight_end(struct manager *m, uint32_t deployment);
void flight_set(struct flight *f, uint32_t number, bool on);
bool flight_has(const struct flight *f, uint32_t number);
/* The agent holds a slot of the deployment's rollout, for sure. */
bool flight_holds(const struct manager *m, uint32_t deployment, uint32_t number);
/* It is heard again, and its row says since when it wasn't: who was out of reach has lost its slot,
 * also where nobody has looked since, if those that come back have places of their own. */
void flight_miss(struct manager *m, uint32_t number, uint64_t now_s);
/* It says this now, and its row is as it was before: it asks, and may hold a slot. Who begins to
 * ask while it is in reach does, unless it is known to hold none; for as long as it asks, also over
 * restarts of the manager. */
bool flight_keeps(const struct manager *m, const struct status *s, uint64_t now_s);
/* Whatever the agent is at, it is of no flight any more; */
void flight_leave(struct manager *m, uint32_t number);
/* or of this deployment's alone: what it does for others goes on. */
void flight_leave_one(struct manager *m, uint32_t deployment, uint32_t number);
/* Agents up to this hash are let in now, behind those before. */
void flight_depart(struct flight *f, uint64_t reached, uint64_t now_s, uint32_t deadline_s);
/* All of them were let in now, as far as deadlines go. */
void flight_wind_back(struct flight *f, uint64_t reached, uint64_t now_s);
/* Whoever has this hash has had its time, if it has said nothing. A deadline of 0 is none. */
bool flight_is_overdue(const struct flight *f, uint64_t hash, uint64_t now_s, uint32_t deadline_s);

/* When the next ones have had theirs; UINT64_MAX: never. */
uint64_t flight_overdue_s(const struct flight *f, uint64_t now_s, uint32_t deadline_s);

/* permit.c: who may begin of those that ask */
/* Agents of the cohort ask: those that come back have a limit, or a budget is over them; and who
 * was out of reach for so long has no permit any more. */
bool permit_is_needed(const struct manager *m, uint32_t deployment, uint32_t cohort);
uint32_t permit_reach_s(const struct manager *m, uint32_t deployment, uint32_t cohort);
bool permit_has_some(const struct manager *m, uint32_t number);
bool permit_has(const struct manager *m, uint32_t number, uint32_t deployment);
/* Has one, and since it came back: as far as was known then, it held no slot of the rollout. */
bool permit_returns(const struct manager *m, uint32_t number, uint32_t deployment);
/* An agent that says this asks. */
bool permit_asks(uint8_t state, uint8_t cause);
/* It says so of this deployment, and has no permit for it. */
bool permit_awaits(const struct manager *m, uint32_t number, uint32_t deployment);
/* The agent has other exceptions now. */
void permit_hear(struct manager *m, uint32_t number);
/* Who asks and holds a slot is answered in the same step: both are durable, or neither is. */
void permit_answer(struct turn *t, uint32_t number);
void permit_tick(struct turn *t);
void permit_tend(struct turn *t); /* MANAGER_CONTINUE */
bool permit_waits(const struct manager *m);

/* stint.c: how much time agents have had for what they are at, by their own words: as long as they
 * are in reach, and nobody else has them wait */
/* Those of the exceptions that it tells now. */
void stint_carry(const struct manager *m, const struct agent_row *row, const struct status *s,
                 uint64_t now_s, uint32_t out[static EXCEPTIONS_MAX]);
/* It has begun what it tells of, or, as long as nothing runs, what was asked for before. */
bool stint_has_begun(const struct told *e);
/* It is no longer in reach since then; before its flags say so. */
void stint_stop(struct manager *m, const struct agent_row *row, uint64_t until_s);
/* When it has had so much, if nothing else is heard; 0: it has long since. */
uint64_t stint_end_s(const struct agent_row *row, const struct told *e, uint32_t deadline_s);
/* The last moment up to which the manager surely knows what it was at: a short while after a start,
 * that is now. */
uint64_t stint_known_s(const struct manager *m, const struct agent_row *row,
                       const struct deployment_row *d, uint64_t now_s);
uint64_t stint_sure_s(const struct manager *m);

/* survey.c: a walk over the agents of a deployment's stages */
enum member_result {
    MEMBER_OPEN,
    MEMBER_READY,
    MEMBER_FAILED,
    MEMBER_STUCK,  /* it waits for what doesn't come by itself */
    MEMBER_ASKING, /* it came back, and waits for a permit */
};

struct member {
    uint32_t number;
    uint32_t stage;
    uint64_t hash;
    bool admitted;
    bool reachable;
    bool in_flight;
    bool overdue; /* it is let in, and has had its deadline's time */
    bool mute;    /* it has said nothing of what it was let in for */
    bool has;     /* it runs this bundle since an earlier try: it has only a number to take */
    bool busy; /* it isn't let in any more, since all are asked again, and may still be at work */
    enum member_result result;
};

/* It holds a slot, if it was in reach all the time. */
static inline bool member_is_at_work(const struct member *m)
{
    bool begins = m->result == MEMBER_OPEN || (m->result == MEMBER_ASKING && m->in_flight);
    return m->reachable && (m->admitted ? begins : m->busy);
}

struct survey {
    const struct manager *m;
    const struct deployment_row *deployment;
    uint32_t index;
    uint64_t now_s;
    uint16_t only;              /* agents of cohorts that match one of these stages, as bits */
    uint32_t cohort;            /* the next one, */
    const uint32_t *next, *end; /* and those agents that are left of the one before; of that one: */
    struct gate picked;         /* whom it is for at all, */
    struct gate gate;           /* who is let in, */
    uint32_t enrolled_before;   /* and who may be */
    uint64_t passed;            /* agents that were looked at */
    uint64_t until_s;           /* nobody who was met changes by mere time before */
    bool again;                 /* it is tried again: some may run its bundle already */
    const struct flight *flight; /* NULL: nobody is in flight */
    const uint16_t *stages;      /* for each cohort the stages whose selectors match it, as bits */
};

/* Begins; `scratch` holds up to three bytes a cohort. */
struct survey survey_begin(const struct manager *m, uint32_t deployment, uint64_t now_s,
                           struct arena *scratch);
/* Begins anew, with agents whose cohorts match one of these stages; at first it is any. */
void survey_rewind(struct survey *s, uint16_t only);
bool survey_next(struct survey *s, struct member *out);
/* Who of a cohort with these stages is in. */
struct gate survey_gate(const struct deployment_row *d, uint16_t stages);
/* The window that devices with these labels go by. */
const struct schedule *survey_schedule(const struct manager *m, const struct deployment_row *d,
                                       const struct labels *labels);
uint16_t survey_stages(const struct manager *m, const struct deployment_row *d,
                       const struct labels *labels);
/* Where one agent of such a cohort stands. */
struct standing {
    uint32_t stage; /* STAGES_MAX: of one by share that has not begun yet */
    bool admitted;
    bool late; /* it joined when the rollout had begun, and comes in behind its last stage */
};

struct standing survey_stand(const struct deployment_row *d, uint16_t stages, uint64_t hash,
                             uint32_t number);
void survey_count(struct stage_count *c, const struct member *m);

/* A stage whose agents are all away has shown nothing. It is left when an operator goes on without
 * them, or by the plan, when nobody failed, at `goes_on_s`; 0: never. */
bool survey_has_shown(const struct deployment_row *d, const struct stage_count *c, uint64_t now_s,
                      uint64_t *goes_on_s);
/* It counts as failed, since it takes longer than its deadline. */
bool survey_is_overdue(const struct manager *m, uint32_t number, uint32_t deployment,
                       uint64_t now_s);

/* share.c: how many agents stages take, as long as nobody knows which */
/* Of each cohort: */
struct rest {
    const struct manager *m;
    uint32_t *agents; /* those that no earlier stage has had, */
    uint32_t *marked; /* and of these, those that the caller wants counted besides */
};
/* How many the stage takes of the rest, which has them no more; `marked` grows by the marked ones.
 */
uint32_t share_take(const struct plan_stage *stage, struct rest *rest, uint32_t *marked);

/* whom.c: the agents that a deployment is for, before any pick */
struct whom {
    const struct manager *m;
    const struct deployment_row *d;
    uint32_t index;
    const uint8_t *cohorts;        /* by index: not 0 where the record is, or may be */
    uint64_t tolerated;            /* taints, as bits */
    bool tried;                    /* it goes by what its roster says: nobody has been told yet */
    const struct whom *present;    /* of one that is tried: those it is for now; NULL: nobody */
    const struct ranking *ranking; /* of one that is tried and sorted, behind pick_try */
};

/* As it is; `scratch` holds a byte a cohort. */
struct whom whom_is(const struct manager *m, uint32_t deployment, struct arena *scratch);
/* As it would be with this row. */
struct whom whom_would(const struct manager *m, const struct deployment_row *d, uint32_t deployment,
                       struct arena *scratch);
bool whom_has(const struct whom *w, uint32_t number);

/* absence.c: of those that it has, or would have */
void absence_measure(const struct whom *who, uint64_t now_s, struct absence *out);

/* lister.c: whose assignments name a deployment */
/* The deployment's list, or NULL. */
struct list *list_find(const struct manager *m, uint32_t deployment);
/* True when it has one, or there is room for one more. */
bool list_is_left(const struct manager *m, uint32_t deployment);
/* Its roster is another one; there is room for a list. */
void list_mean(struct manager *m, uint32_t deployment);
/* It is no more, and its number never comes again: nobody needs to be told. */
void list_drop(struct manager *m, uint32_t deployment);
bool list_has(const struct manager *m, uint32_t deployment, uint32_t number);
/* Some agent of the cohort is, or was, on the list. */
bool list_covers(const struct manager *m, uint32_t deployment, uint32_t cohort);
/* False for one that doesn't get the record although its cohort does. */
bool list_admits(const struct manager *m, uint32_t deployment, uint32_t number);
/* The agent is of another cohort now, whose first document must not lack what it runs. */
void list_move(struct manager *m, uint32_t number, uint32_t cohort);
/* The deployment's roster chooses the agent, or doesn't. */
void list_fits(struct manager *m, uint32_t deployment, uint32_t number, bool fits);
bool list_means(const struct manager *m, uint32_t deployment, uint32_t number);
/* How many deployments more may have one. */
uint32_t list_left(const struct manager *m);
/* The agent's next assignment names the deployment, or doesn't; there is room for a list. */
void list_put(struct manager *m, uint32_t deployment, uint32_t number, bool on);
/* With this selector, a deployment is for those that it names, and for no others. */
static inline bool roster_is_alone(const struct roster *r, const struct selector *s)
{
    return r->named_count > 0 && !r->facts[0] && s->choosing == 0;
}
/* Its next assignment names no deployment that is for all that its selector matches. */
void list_clear_plain(struct manager *m, uint32_t number);
void list_note_tainted(struct manager *m, uint32_t number, bool tainted);
/* All lists are gone through. */
void list_begin(struct manager *m);
void list_tick(struct turn *t);
void list_tend(struct turn *t); /* MANAGER_CONTINUE */
bool list_waits(const struct manager *m);
/* The deployment has a list that isn't as it should be yet. */
bool list_is_unready(const struct manager *m, uint32_t deployment);

/* picker.c: which agents of a deployment's cohorts run it */
struct gate pick_gate(const struct deployment_row *d, const struct labels *labels);
/* Lets in and out until exactly as many are in as are wanted, if there are so many: who is in
 * stays, who leaves is replaced. True when its row has changed. */
bool pick_settle(struct turn *t, uint32_t deployment);
/* Another pick, or NULL: groups of another label begin anew. Of a row that is only tried, the other
 * one. */
void pick_change(struct manager *m, uint32_t deployment, const struct pick *pick);
void pick_try_change(struct deployment_row *d, const struct pick *pick);
/* Its groups are copies of these. There is room for them. */
void pick_keep(struct manager *m, uint32_t deployment, const struct picked *g);
/* Refuses a deploy command whose agents have more values of its pick's label than can be told
 * apart. */
int pick_check_room(struct turn *t, int64_t deployment);
/* What agents with these labels lack so that a pick could take one of them at all. */
enum pick_lack {
    PICK_LACKS_NOTHING,
    PICK_LACKS_LABEL, /* the one that it picks by */
    PICK_LACKS_GROUP, /* there are more values of it than are told apart */
};
enum pick_lack pick_lacks(const struct deployment_row *d, const struct labels *labels);
/* True for one of these agents that the pick lets in. */
bool pick_has(const struct whom *w, uint32_t number);
/* The same for a row that is only tried. Says how many are in; 0: nobody, or it takes all, or it
 * is sorted. */
uint32_t pick_try(struct whom *whom, struct deployment_row *d, struct arena *scratch);
/* True where labels alone say whom it is for: all agents of its cohorts. */
bool pick_is_by_labels(const struct manager *m, const struct deployment_row *d);
/* How many of a cohort's agents pick_has is true for. */
uint32_t pick_count(const struct whom *w, uint32_t cohort);
/* It chooses by hashes: gates say who is in. A list says it of one that is sorted, as soon as there
 * is one: until then those gates hold that it had. */
static inline bool pick_is_gated(const struct deployment_row *d)
{
    return d->roster.sort[0] ? d->picked.count > 0 && !(d->flags & RECORD_LISTED)
                             : !pick_is_all(&d->pick);
}
/* True for one that no pick counts: another one takes its place. */
bool pick_passes_over(const struct manager *m, uint32_t deployment, uint32_t number);
void pick_tick(struct turn *t);
void pick_tend(struct turn *t); /* MANAGER_CONTINUE */
bool pick_waits(const struct manager *m);

/* ranking.c: picks that are sorted by a fact */
/* False when too many other facts are sorted by. */
bool ranking_is_possible(const struct manager *m, const struct roster *r);
/* A deployment that has a list is sorted like this from now on: what it asks for is to be heard. */
void ranking_mean(struct manager *m, const struct roster *r);
void ranking_hear(struct manager *m, uint32_t number, const struct facts *facts);
/* The agent has told the number that the deployment is sorted by. */
bool ranking_knows(const struct manager *m, const struct deployment_row *d, uint32_t number);
/* `present` has those that it is for now, or is NULL. */
struct ranking ranking_settle(const struct whom *whom, const struct whom *present,
                              const struct pick *pick, struct arena *scratch);
/* True for one that it takes. */
bool ranking_has(const struct ranking *r, const struct whom *whom, const struct whom *present,
                 uint32_t number);

/* rollout.c: a new version, stage by stage */
/* The newest generation is to go its way; everybody runs `stable` until then, or nothing where its
 * generation is 0. */
void rollout_begin(struct turn *t, uint32_t deployment, const struct generation_row *stable);
/* Everybody is to run this version again: at once, or as budgets leave room for it. An error has
 * the reply set. */
int rollout_go_back(struct turn *t, uint32_t deployment, const struct version *to);
/* Looks at one that is running, and says when it is to be looked at again though nothing is heard,
 * and which budget holds it. Returns how many agents it looked at. */
uint64_t rollout_tend(struct turn *t, uint32_t deployment, struct look *look);
/* Its stage, counted now. */
struct stage_count rollout_count(struct turn *t, uint32_t deployment);
/* No more of it: everybody gets the newest generation. */
void rollout_end(struct manager *m, uint32_t deployment, enum rollout_state state);

/* steering.c: what operators say of a rollout */
void steering_approve(struct turn *t, uint32_t deployment, const char *stage);
void steering_abort(struct turn *t, uint32_t deployment);
void steering_retry(struct turn *t, uint32_t deployment);
void steering_resume(struct turn *t, uint32_t deployment);
/* Its pace, as the command says it. */
void steering_pace(struct turn *t, uint32_t deployment);
/* It is no longer paused: who has said nothing yet has its whole deadline once more. */
void steering_go_on(struct turn *t, uint32_t deployment);

/* rate.c: how many agents a rollout lets in within a span of time */
/* So many more may come in now; UINT32_MAX: any number. */
uint32_t rate_room(const struct deployment_row *d, uint64_t now_s);
/* So many are let in now that are in reach and don't run it yet. */
void rate_charge(struct deployment_row *d, uint64_t now_s, uint32_t agents);
/* lookout.c: which rollouts are looked at in a tick. A look is a walk over the fleet, so one that
 * has heard nothing and waits for no moment is passed by. */
void lookout_tick(struct turn *t);
void lookout_tend(struct turn *t); /* MANAGER_CONTINUE: those of this tick that are left */
bool lookout_waits(const struct manager *m);
/* Something that an operator says is not as it was; or an agent of the cohort. What rows are
 * persisted for says so by itself, but for reports: most of them say nothing new. */
void lookout_hear(struct manager *m);
void lookout_hear_of(struct manager *m, uint32_t cohort);

/* inquiry.c: whose facts fit */
/* Everybody's facts are to be heard once more. Until then no list by facts is touched. */
void inquiry_begin(struct manager *m);
bool inquiry_is_open(const struct manager *m);
void inquiry_hear(struct turn *t, uint32_t number, const struct facts *facts);

/* tainter.c: who is tainted */
/* The kinds of taints that these are for, as bits; and those that a deployment tolerates. */
uint64_t taint_covered(const struct manager *m, const char *tolerations);
uint64_t taint_tolerated(const struct manager *m, const struct roster *r);
/* Those of "KEY=VALUE:EFFECT,…" that take it off an agent that has them not yet; all bits where one
 * is of a kind that nobody has. What is no taint is passed over. */
uint64_t taint_expelling(const struct manager *m, const char *set, const struct roster *r);
/* Whether an agent takes, or keeps if it is in, what tolerates these. */
bool taint_allows(const struct manager *m, uint64_t tolerated, uint32_t number, bool in);
/* A taint of the agent that is not tolerated, or NULL. */
const struct taint *taint_against(const struct manager *m, const struct roster *r, uint32_t number);
void taint_set(struct turn *t, uint32_t number);
void taint_forget(struct manager *m, uint32_t number);
void taint_load(struct manager *m, uint32_t number, uint64_t taints);

/* group.c: saved selectors */
void group_open(struct manager *m);
/* A selector that has been checked before, with the groups that it may name. */
struct selector group_selector(const struct manager *m, const char *text);
void group_set(struct turn *t);
void group_remove(struct turn *t);

/* budget.c: how many of a group are out of Ready, and how many may be */
/* Which budgets the agents of a cohort, or of all, are under. */
void budget_place(struct manager *m, uint32_t cohort);
void budget_place_all(struct manager *m);
/* True where the selector's agents, or some of them, are under one. */
bool budget_holds(const struct manager *m, const char *selector);
/* A plan without stages gets one where it is about agents under a budget. */
void budget_imply(const struct manager *m, struct plan *p, const char *selector);
/* It counts, if it is out: it is in reach, or its permit has not been taken back yet. */
bool budget_reaches(const struct manager *m, uint32_t number, uint64_t now_s);
/* One that was loaded: as long as it hasn't said that it knows better, it may be out. */
void budget_load(struct manager *m, uint32_t number);
/* It says something new. Who is through, as far as it knows, was let in for nothing that might be
 * taken back later. */
void budget_hear(struct manager *m, uint32_t number);
/* It was out of reach: what it is about to do counts apart. */
void budget_set_apart(struct manager *m, uint32_t number);
/* It is under other budgets: what it is at counts there, however it came to that. */
void budget_move(struct manager *m, uint32_t number);
/* Counts, unless nothing has happened since. False: not before all documents are made. */
bool budget_count(struct turn *t);
/* Right after counting: how many more may be out, and how many in all. */
uint32_t budget_room(const struct manager *m, uint32_t budget);
uint32_t budget_max(const struct manager *m, uint32_t budget);
/* And when that changes by mere time. */
uint64_t budget_until_s(const struct manager *m);
/* The budgets, as bits, of which one more agent is out when this one is let in; and now it is. */
uint32_t budget_asks(const struct manager *m, uint32_t number, uint64_t now_s);
void budget_charge(struct manager *m, uint32_t number);
/* One that has no room for the agent, or -1; in a walk over its group. */
int64_t budget_full(const struct manager *m, uint32_t number, uint64_t now_s);
/* It is let in where none asks: what it does from now on counts, however it came to be out. */
void budget_keep(struct manager *m, uint32_t number);
void budget_set(struct turn *t);
void budget_remove(struct turn *t);

/* batch.c: tokens, which are made and revoked many at a time */
void batch_create(struct turn *t);
void batch_revoke(struct turn *t);

/* agent.c: what operators say of one agent */
void agent_label(struct turn *t);
/* What these labels become by such a command; ERR_USAGE or ERR_RANGE when they can't. */
int agent_relabel(const struct command *c, struct labels *labels, struct errmsg *em);
void agent_approve(struct turn *t);
void agent_remove(struct turn *t);
void agent_cordon(struct turn *t); /* or uncordon */
void agent_taint(struct turn *t);

/* membership.c: who is kept out, let in again, or takes another's place */
void membership_count(struct manager *m, const struct agent_row *row); /* one that was loaded */
void membership_quarantine(struct turn *t, uint32_t number);
/* Until it is let in, which may be so already. ERR_RANGE: too many are kept out. */
int membership_cut_off(struct turn *t, uint32_t number);
void membership_let_in(struct turn *t, uint32_t number);
void membership_revoke(struct turn *t);
void membership_release(struct turn *t);
void membership_replace(struct turn *t);
/* The place that is kept for the token of the device that joins, or NULL; and that device takes it.
 * JOINED_FULL when no more devices can be replaced. */
struct successor_row *membership_successor(const struct turn *t);
enum joined_code membership_succeed(struct turn *t, struct successor_row *s);
bool membership_was_replaced(const struct manager *m, const struct key_id *id);

/* extent.c: what has to be said twice, since it is far beyond what one usually means */
struct extent {
    const char *what;    /* whose doing it is */
    uint32_t touched;    /* agents that get something else to run, or have it taken off */
    const char *emptied; /* the deployment that would have no agents any more, or NULL; */
    uint32_t lost;       /* and those it has */
};
/* True, with a sentence, for one that has to be confirmed. */
bool extent_demands(const struct manager *m, const struct extent *e, struct errmsg *why);
/* Refuses a command that would have to be confirmed, and isn't. */
int extent_check(struct turn *t, const struct extent *e);
/* The same of one that touches all agents of a deployment. */
int extent_check_all(struct turn *t, uint32_t deployment, const char *what);
/* And of a group that is changed already, and may be changed back; and of values. */
int extent_check_group(struct turn *t, struct group_row *row, const struct group_row *was);
int extent_check_values(struct turn *t);

/* preview.c: what a deploy command comes to; `out` has deployment, bundle and plan */
void preview_count(const struct manager *m, const struct command *c, struct arena *scratch,
                   struct preview *out);

/* variable.c: what operators set names to, and who lacks a value */
/* Refuses a version for agents of which some lack a value, or whose templates name a secret.
 * `index` is negative for a new deployment. What the command sets itself counts. */
int variable_check(struct turn *t, const char *deployment, int64_t index, const char *selector,
                   const struct version *v);
/* VARIABLE_SET and VARIABLE_UNSET. */
void variable_run(struct turn *t);
/* The same, with a look at how it is when it has been done; it may be about to be undone. */
typedef void variable_look(struct turn *t, void *context);
void variable_apply(struct turn *t, variable_look *look, void *context);
/* What such a command changes goes by no stages. */
bool variable_is_at_once(const struct command *c);
/* Those that a deploy command brings: whether they are well-formed, whether they are other ones,
 * and putting them in place of those before. */
int variable_check_settings(struct turn *t);
bool variable_differs(const struct manager *m, uint32_t deployment, const struct command *c);
void variable_replace(struct turn *t, uint32_t deployment);

/* values.c: what versions get, in documents and assignments */
/* Whom a value is looked up for. */
struct place {
    uint32_t deployment; /* index */
    const struct labels *labels;
    int64_t without; /* this row is passed over, as if it were not there; -1: none */
};

/* True where the row's value was the one of its name and place at that moment. */
bool values_show(const struct variable_row *v, uint32_t at);
/* The row whose value is got there at that moment, or -1. */
int64_t values_resolve(const struct manager *m, const struct place *p, const char *name,
                       uint32_t at);
struct span values_of(const struct manager *m, uint32_t index);
/* Of two rows; -1 is none. */
bool values_equal(const struct manager *m, int64_t a, int64_t b);
/* The one of that name, or NULL. */
const struct need *values_find_need(const struct needs *needs, const char *name);
/* A record's list in a document, for both its versions. */
void values_fill(const struct manager *m, const struct cohort *c, uint32_t deployment,
                 struct record *r, struct desired *out);
/* The agent's own list, and its cohort's key. ERR_NO_MEMORY when the list doesn't fit. */
int values_own(const struct manager *m, uint32_t number, struct assignment *out);
/* The agent's own row of that name, or -1. */
int64_t values_find_own(const struct manager *m, uint32_t number, const char *name);

/* moment.c: which of a variable's values a version has, and how a change begins */
/* There were so many changes, at least. */
void moment_count(struct manager *m, uint32_t order);
/* Something was set, or fewer versions are remembered: all is looked at, in steps to come. */
void moment_stir(struct manager *m);
/* Some version that is run, or can be gone back to, has the row's value. */
bool moment_needs(const struct manager *m, uint32_t index);
/* Needs of the newest version, as bits: those that were set or unset since this was acted on, and
 * of some those whose values are other ones now for a cohort. */
uint32_t moment_changed(const struct manager *m, uint32_t deployment);
uint32_t moment_differs_in(const struct manager *m, uint32_t deployment, uint32_t cohort,
                           uint32_t names);
/* The newest version doesn't have the values of now for all. */
bool moment_is_behind(const struct manager *m, uint32_t deployment);
/* How a change of values comes to the deployment's agents now, and by which plan. */
struct plan moment_plan(const struct manager *m, uint32_t deployment);
enum values_way moment_way(const struct manager *m, uint32_t deployment);
/* It makes a difference there, and no others are let in while a rollout is on its way. */
bool moment_is_refused(const struct manager *m, uint32_t deployment);
/* Has the newest version get the values of now, by its way. */
void moment_take(struct turn *t, uint32_t deployment);
void moment_tick(struct turn *t);
void moment_tend(struct turn *t); /* MANAGER_CONTINUE */
bool moment_waits(const struct manager *m);
/* Rows that a tick or a continued step persists for these, at most. */
#define MOMENT_PERSIST_MAX 16

/* epoch.c */
/* Generations from before this epoch are given numbers of it. */
void epoch_renumber(struct manager *m, uint32_t deployment);
/* The revision after this one. */
struct revision epoch_next(const struct manager *m, struct revision r);
/* A report that was taken, by an agent that may know more than this manager. */
void epoch_hears(struct turn *t, const struct status *s);

/* suspect.c: two devices that are one agent */
/* Any report of one that is known. True: it proves that there are two. */
bool suspect_hears(struct turn *t, const struct status *status);
/* A report with a used number. */
void suspect_counts(struct turn *t, const struct status *status);
void suspect_forget(struct manager *m, uint32_t number);

/* flooder.c: agents that are cut off for a while */
void flooder_hears(struct turn *t);
void flooder_tick(struct turn *t);
/* An operator lets it in. */
void flooder_lift(struct turn *t, uint32_t number);
/* What is known of this number is of a device that has it no more. */
void flooder_forget(struct manager *m, uint32_t number);

/* orphan.c: a report by an agent that this manager doesn't know */
void orphan_hears(struct turn *t, uint32_t number);

/* registration.c */
void registration_join(struct turn *t);

/* dependency.c: which deployments come before another, on each agent that has both */
struct dependencies dependency_list(const struct manager *m, uint32_t deployment);
/* Some deployment that depends on it, or NULL. */
const struct deployment_row *dependency_user(const struct manager *m, uint32_t deployment);
/* One that lets agents in, and waits there for this one or for what waits for it; -1: none does. */
int64_t dependency_waiter(const struct manager *m, uint32_t deployment, struct arena *scratch);
/* Marks all of theirs. */
void dependency_mark_users(struct manager *m, uint32_t deployment);
/* What the deploy command says of it, for the deployment with this index (negative: a new one).
 * Names that are none, and circles, are refused. */
int dependency_resolve(struct turn *t, int64_t index, struct dependencies *out);

/* generation.c: the versions that a deployment has had */
/* The newest is one of this version from now on. */
int generation_push(struct turn *t, uint32_t deployment, const struct version *v);
/* The same for everybody by stages, if it has a plan, with the values of now. */
int generation_change(struct turn *t, uint32_t deployment, uint32_t bundle);
/* The newest one gets another number. */
int generation_renew(struct turn *t, uint32_t deployment);
/* What it can go back to; false: nothing. `version` NULL: what ran before. */
bool generation_back(const struct manager *m, const struct deployment_row *d, const char *version,
                     struct version *out);
/* No more are remembered than it says. */
void generation_trim(struct deployment_row *d);

/* bundle.c */
void bundle_add(struct turn *t);
void bundle_remove(struct turn *t);
/* Its index, or a code with the reply set. */
int bundle_find(struct turn *t, const char *name, const char *version);

/* deploy.c */
void deploy_run(struct turn *t);
/* Which agents a deploy command says. */
void deploy_fill_roster(const struct manager *m, const struct command *c, struct roster *out);
/* What a deploy command makes of a row's; of a new deployment the row is all zero. */
uint32_t deploy_priority(const struct deployment_row *d, const struct command *c);
uint32_t deploy_flags(const struct deployment_row *d, const struct command *c);
/* The plan that an operator writes is the one that the deployment has. */
bool deploy_keeps_plan(struct turn *t, const struct deployment_row *d, const struct plan *written);

/* command.c */
void command_run(struct turn *t);
/* Refuses a `what` with a name that is none. */
int command_check_name(struct turn *t, const char *what, const char *name);
int fail_with(struct turn *t, int rv);
/* Sets the reply's error and returns its code. */
#define REFUSE(t, code, ...) fail_with(t, errmsg_set(&(t)->out->error, code, __VA_ARGS__))

/* presence.c: reports, wills, and who has not been heard of */
void presence_report(struct turn *t);
void presence_tick(struct turn *t);
/* It is out of touch, since then; what it said last stays. */
void presence_end(struct turn *t, uint32_t number, uint64_t at_s);
void presence_look(struct turn *t); /* goes on where the tick's step was full */

#endif
