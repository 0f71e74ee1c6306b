/*
 * address: where an agent may connect to: brokers over TLS, and plain ones on this machine alone.
 * It knows nothing of who is there.
 */
#ifndef DUNLIN_AGENT_ADDRESS_H
#define DUNLIN_AGENT_ADDRESS_H

#include "base/err.h"
#include "sync/limits.h"

#include <stdbool.h>

/* The fleet's door listens here unless it says otherwise. */
#define ADDRESS_DOOR_PORT 8884

struct address {
    char url[CELL_URL_MAX + 1];
};

/*
 * What a person types as the fleet's address: "HOST[:PORT]" or a URL. A door is at
 * ADDRESS_DOOR_PORT when no port is named. ERR_USAGE with what to write instead.
 */
int address_of_door(const char *text, struct address *out, struct errmsg *em);

/* Whether an agent may connect there: ERR_USAGE for other schemes, and for a plain link that would
 * leave this machine. */
int address_check(const char *url, struct errmsg *em);

#endif
