/*
 * sources: how often each address has knocked, in a table of fixed size. It knows nothing of
 * sockets; time arrives as an argument.
 */
#ifndef DUNLIN_MANAGER_SOURCES_H
#define DUNLIN_MANAGER_SOURCES_H

#include "base/err.h"
#include "base/siphash.h"
#include "manager/bucket.h"

#include <netinet/in.h>
#include <sys/socket.h>

/* Addresses that are remembered: whoever has that many can't be told apart any more, and meets the
 * limits that hold for all together. */
#define SOURCES_WAYS 8
#define SOURCES_SETS 1024
#define SOURCES_MAX (SOURCES_WAYS * SOURCES_SETS)

struct source_limits {
    struct bucket_limits connects; /* new connections */
    uint32_t at_a_time;            /* open ones */
};

struct source {
    uint8_t key[16];        /* an IPv4 address as IPv6 has it; of IPv6 only the network, a /64 */
    struct bucket connects; /* never filled: nobody */
    uint32_t open;
};

struct sources {
    struct source_limits limits;
    uint8_t hash_key[SIPHASH_KEY_LEN]; /* secret, so that nobody picks addresses that collide */
    struct source table[SOURCES_MAX];
};

/* Draws the secret and forgets everybody. */
void sources_init(struct sources *s, const struct source_limits *limits);

/* One more connection from there. The place of the source in the table, to be handed back to
 * sources_leave; ERR_REFUSED when it comes too often or has too many open, ERR_BUSY when there is
 * no place for it. */
int sources_admit(struct sources *s, const struct sockaddr *from, uint64_t now_ms);
void sources_leave(struct sources *s, int place);
/* Of who was just admitted: it doesn't count against the rate; and whether it is the first after a
 * long silence. */
void sources_forgive(struct sources *s, int place);
bool sources_was_full(const struct sources *s, int place);

#endif
