/*
 * devices: key pairs for a fleet of devices, made once and kept in a file. In the field each device
 * makes its own, on its own processor; here one machine makes all, so that takes its own time.
 */
#ifndef DUNLIN_SIMULATOR_LOAD_DEVICES_H
#define DUNLIN_SIMULATOR_LOAD_DEVICES_H

#include "base/err.h"
#include "crypto/sign.h"

struct device_key {
    struct secret_key secret;
    struct public_key public;
};

struct devices {
    uint32_t count;
    struct device_key *keys; /* the file's, shared */
    uint32_t made;           /* of these, now */
    double seconds;          /* that took */
};

/* Opens or makes the file, and makes what it lacks, in so many processes; `stop` ends it early with
 * ERR_BUSY. Meanwhile a lock keeps others away. */
int devices_open(struct devices *d, const char *path, uint32_t count, unsigned processes,
                 const volatile bool *stop, struct errmsg *em);
void devices_close(struct devices *d);
/* Where they are kept unless somebody says otherwise: in the user's cache, else in /tmp. */
int devices_path(char *out, size_t cap);

#endif
