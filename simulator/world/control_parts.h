/*
 * control_parts: what the two files of the simulated manager share. Nobody else includes it.
 */
#ifndef DUNLIN_SIMULATOR_WORLD_CONTROL_PARTS_H
#define DUNLIN_SIMULATOR_WORLD_CONTROL_PARTS_H

#include "simulator/world/control.h"

/* control.c */
void control_build_core(struct control *c);
/* True when the process is dead, by now. */
bool control_point(struct control *c);

/* control_speak.c */
/* Steps the core and commits. 0, ERR_TIMEOUT when it died before it could speak, or ERR_NO_SPACE
 * when nothing of it happened. */
int control_turn(struct control *c, struct manager_event *ev, struct manager_out *out);
/* Publishes the trust document of the rows, whose envelope is at hand. */
void control_say_trust(struct control *c);
/* Answers a request to join. */
void control_answer(struct control *c, const struct request *request, enum joined_code code,
                    uint32_t number);
/* Answers a request for the next certificate. */
void control_renew(struct control *c, const struct renewal *r, const struct topic_name *answer);
/* Publishes what the broker lacks. */
void control_pump(struct control *c);
/* How far the broker came, as it says itself. */
uint64_t control_mark(const struct control *c);
struct mac_key control_status_key(const struct control *c, uint32_t number,
                                  const struct key_id *agent);

#endif
