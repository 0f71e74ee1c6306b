/*
 * facts: what a device can say about itself when it joins: processor, kernel, memory … and what the
 * operator adds. It knows nothing of who reads it.
 */
#ifndef DUNLIN_AGENT_FACTS_H
#define DUNLIN_AGENT_FACTS_H

#include "sync/join.h"

/* Adds the fact or replaces the key's value, keys rising. ERR_FORMAT for a key that is no name,
 * ERR_RANGE when something is too long or there are FACTS_MAX. */
int facts_set(struct facts *f, const char *key, const char *value, struct errmsg *em);

/* The same from "key=value". */
int facts_add(struct facts *f, const char *pair, struct errmsg *em);

/* The machine's own serial number, or "" when it has none that can be read; PCs show theirs to root
 * only. */
void facts_serial(char out[static TOKEN_SERIAL_MAX + 1]);

/* The room that is left where `dir` is, "disk_free", in steps of a half: 1Gi, 1536Mi, 2Gi, 3Gi … */
void facts_disk(struct facts *f, const char *dir);

/* Looks at the machine: arch, cpus, hostname, kernel, memory_mib, model, os, and agent. What can't
 * be found is left out. */
void facts_gather(struct facts *f);

#endif
