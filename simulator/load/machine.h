/*
 * machine: whether this machine's limits and memory serve a run, and what to set where they don't.
 * It sets nothing itself, and knows nothing of agents but their number.
 */
#ifndef DUNLIN_SIMULATOR_LOAD_MACHINE_H
#define DUNLIN_SIMULATOR_LOAD_MACHINE_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* What an agent takes in the simulator, its broker, the manager and the kernel together: without
 * TLS 13 KiB were measured, mostly of the kernel's; with it, two libraries' buffers come on top. */
#define MACHINE_AGENT_KIB 14
#define MACHINE_AGENT_TLS_KIB 110
/* Where it shares its connection with others. */
#define MACHINE_AGENT_SHARED_KIB 6
/* And what is there before the first one. */
#define MACHINE_BASE_KIB (400 << 10)

struct machine_needs {
    uint32_t agents;
    uint32_t connections; /* as many, or fewer that they share */
    uint32_t processes;   /* over which they are spread, and as many brokers */
    bool tls;
};

/* Looks at the files below `proc`, which is "/proc" but in tests; what isn't there limits nothing.
 * ERR_REFUSED with a sentence that says what to set. */
int machine_check(const char *proc, const struct machine_needs *n, struct errmsg *em);

#endif
