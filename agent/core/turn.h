/*
 * turn: what the files of the agent's core share: one call of agent_step, and looking things up in
 * its view. Nobody outside this folder includes it.
 */
#ifndef DUNLIN_AGENT_CORE_TURN_H
#define DUNLIN_AGENT_CORE_TURN_H

#include "agent/core/agent.h"

struct turn {
    struct agent *a;
    const struct agent_event *ev;
    const struct agent_view *view;
    struct arena *scratch;
    struct agent_out *out;
};

/* One more action, or store, for the caller to fill in. */
struct agent_action *turn_act(struct turn *t, enum agent_action_type type);
struct agent_store *turn_store(struct turn *t, enum agent_store_type type);

/* Seconds since 1970, as far as one can tell. */
uint64_t turn_wall_s(const struct turn *t);
struct agent_time turn_time(const struct turn *t);

/* Something changed that the manager should hear of soon. */
void turn_tell(struct turn *t);

/* What this agent should run of a deployment; generation 0: nothing, or nothing yet. */
struct target turn_target(const struct turn *t, uint32_t deployment);
/* The same of a record of the view's. Of a rollout that was aborted, who has begun goes on. */
struct target view_target(const struct agent *a, const struct agent_view *view,
                          const struct record *r);
/* [gate-5] The record is for this agent, be it later: by the lists it is on, and by its gate. */
bool view_admits(const struct agent *a, const struct agent_view *view, const struct record *r);
/* A variable that this version needs has no value: nothing of it is begun. */
bool view_lacks(const struct agent_view *view, const struct record *r, const struct target *target);
/* The row is about this very version, with these very values. */
bool held_wants(const struct held *row, const struct target *target);
/* What it wanted was signed by a key that has been revoked, and is no floor for what is wanted by
 * another one. */
bool view_unbinds(const struct agent_view *view, const struct held *row);
/* Nothing of it is begun: an operator holds the record or the agent. */
bool view_holds(const struct agent *a, const struct agent_view *view, const struct record *r);
/* It runs what it is to run, at rest. */
bool view_runs(const struct agent_view *view, const struct record *r, const struct target *target);
/* True when the document has no place for it, now or later. */
bool turn_leaves(const struct turn *t, uint32_t deployment);

bool view_is_ours(const struct agent_view *view, const struct cohort_key *key);
/* The document's revision, or 0.0 as long as it is none of our cohort's: a revision counts within
 * its cohort. */
struct revision view_revision(const struct agent_view *view);
/* The revisions that something new has to beat: 0.0 when what is held is by a key that has been
 * revoked, since who stole it may have counted as far as numbers go. */
struct revision view_document_floor(const struct agent_view *view);
struct revision view_assignment_floor(const struct agent_view *view);
uint32_t view_atlas_floor(const struct agent_view *view);
bool view_has_document(const struct agent_view *view);
const struct held *view_held(const struct agent_view *view, uint32_t deployment);
const struct record *view_record(const struct agent_view *view, uint32_t deployment);

/* work.c: one deployment at a time, from download to verified or back */
void work_done(struct turn *t);       /* AGENT_DONE */
void work_stored(struct turn *t);     /* AGENT_STORED */
void work_reconsider(struct turn *t); /* the document or the assignment has changed */
void work_come_back(struct turn *t);  /* the link is up: it may have to ask again */
void work_tend(struct turn *t);       /* begins what is needed most, when nothing is under way */

/* rules.c: what the record tells the device to obey */
/* Why nothing of it may be begun now; CAUSE_NONE: nothing is in the way. */
enum cause rules_hold(const struct agent *a, const struct agent_view *view, const struct record *r);
/* True for what was begun, and is brought to an end whatever the document says by now. */
bool work_is_under_way(const struct held *row);
/* It failed, and will be tried again. */
bool rules_retry(const struct held *row, const struct record *r);
/* By a calendar that is known now, it failed later than now: that was another one's word. */
bool rules_is_ahead(const struct agent *a, const struct held *row);
/* So long from now; 0: it is time. */
uint64_t rules_back_off_s(const struct agent *a, const struct held *row, const struct record *r);

/* permit.c: who was out of touch when it was let in, may have to ask before it begins */
void permit_link_up(struct turn *t);
void permit_head(struct turn *t);       /* of the cohort, before anything is wanted of it */
void permit_document(struct turn *t);   /* one that is about to be stored */
void permit_assignment(struct turn *t); /* the same */
void permit_move(struct agent *a);      /* to another cohort */
void permit_forget(struct agent *a);    /* it was in touch for nothing */
/* It has to, and may not begin yet. */
bool permit_lacks(const struct agent *a, const struct agent_view *view, const struct record *r);

/* berth.c: which cell the agent is with, and whether it goes to another one */
uint32_t berth_next(const struct turn *t); /* the cell to connect to */
void berth_link_up(struct turn *t);
void berth_link_down(struct turn *t); /* the failure is counted */
/* This agent should hear soon what that atlas says. */
bool berth_is_late(const struct turn *t, uint32_t atlas);
/* A document that it heard of may count on what it can't hear here. */
bool berth_holds_up(const struct agent *a, const struct agent_view *view);
void berth_take(struct turn *t);   /* an atlas that is about to be stored */
void berth_stored(struct turn *t); /* it is */
bool berth_leaves(struct turn *t); /* now, for the cell that comes first */

/* renewal.c: the next certificate, before this one's end or after it */
bool renewal_by_door(const struct turn *t); /* no cell would let this agent in */
void renewal_reconsider(struct turn *t);    /* another trust document counts */
void renewal_tend(struct turn *t);
uint64_t renewal_due_ms(const struct turn *t); /* the link has to ask then; UINT64_MAX: never */
void renewal_take(struct turn *t);             /* AGENT_CERTIFICATE */
void renewal_shut_out(struct turn *t);         /* AGENT_SHUT_OUT */
void renewal_let_in(struct turn *t);           /* by a cell */

/* report.c: what the manager is told, and when */
void report_tend(struct turn *t);

#endif
