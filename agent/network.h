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

/* Some of the machine's network cards: bit i stands for all whose index is i modulo 63. */
typedef uint64_t cards;

/* Any of them. */
#define CARDS_ALL UINT64_MAX
/* Something has changed by which no card leads elsewhere. */
#define CARDS_NONE ((cards)1 << 63)

struct network {
    int fd;        /* becomes readable; -1 where the kernel tells nothing, which does no harm */
    cards running; /* of which the kernel said last that they have a signal */
};

/* What a connection is worth after the network has changed. */
enum network_link {
    NETWORK_OTHER, /* what changed is not on its way */
    NETWORK_SAME,  /* it is, and may lead elsewhere: only who is at the other end can tell */
    NETWORK_GONE, /* it would leave from another address by now, or nobody has answered it so far */
};

void network_open(struct network *n);
void network_close(struct network *n);

/* The cards that lead somewhere by a new route, an address's own included, or have a signal again.
 * Takes what has come, without waiting. */
cards network_changed(struct network *n);

/*
 * The worst of these descriptors, after these cards have changed. What is no connection is passed
 * over, and so is one whose network is gone and may come back.
 */
enum network_link network_look(const struct pollfd *fds, size_t count, cards changed);

/* What network_changed looks for in the kernel's messages (rtnetlink(7)): a route to somewhere that
 * is not this machine, nor an address that means something on one cable alone; a card that gets a
 * signal. */
cards network_tells(struct span messages, cards *running);

#endif
