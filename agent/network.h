/*
 * network: hears from the kernel that this machine can reach something that it could not before,
 * and says whether a connection would still leave by the way that it took. It knows no broker.
 */
#ifndef DUNLIN_AGENT_NETWORK_H
#define DUNLIN_AGENT_NETWORK_H

#include "base/span.h"

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

/* A descriptor that becomes readable; -1 where the kernel tells nothing, which does no harm. It is
 * the caller's to close. */
int network_watch(void);

/* True when there is a new route, an address's own included. Takes what has come, without waiting;
 * -1 is never told anything. */
bool network_changed(int descriptor);

/*
 * True when one of these connections can't go on: whoever it leads to would be reached from another
 * address by now, or has not answered its first packet. Other descriptors are passed over, and so
 * is a connection whose network is gone and may come back.
 */
bool network_moved(const struct pollfd *fds, size_t count);

/* What network_changed looks for in the kernel's messages (rtnetlink(7)): a route to somewhere that
 * is not this machine, nor an address that means something on one cable alone. */
bool network_tells(struct span messages);

#endif
