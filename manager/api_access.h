/*
 * api_access: who asks over TCP, and whether he may: the token of a request, its role against the
 * route's, and how often each address may be wrong. It knows no connections but by their address.
 */
#ifndef DUNLIN_MANAGER_API_ACCESS_H
#define DUNLIN_MANAGER_API_ACCESS_H

#include "manager/api_request.h"

#include <sys/socket.h>

/* New connections of one address, and of all together: a handshake takes the one thread about a
 * millisecond, and devices come first. */
#define API_CONNECTS_S 20
#define API_CONNECTS_BURST 100
#define API_CONNECTS_ALL_S 100
#define API_CONNECTS_ALL_BURST 400
/* Wrong tokens of one address; and of all together, where an address that wasn't wrong lately is
 * always heard, so that strangers lock nobody out. */
#define API_FAILURES_S 1
#define API_FAILURES_BURST 10
#define API_FAILURES_ALL_S 10
#define API_FAILURES_ALL_BURST 200

/* Until then a new connection has said who it is, or is cut: half-open ones take places. */
#define API_STRANGER_MS_MAX 15000

struct api_access;
struct api_guest;

/* The daemon is borrowed. NULL when there is no memory. */
struct api_access *api_access_new(struct daemon *d);
void api_access_free(struct api_access *a);

/* May this address open one more connection? */
bool api_access_admit(struct api_access *a, const struct sockaddr *from);

/*
 * Finds out whose request this is from its Authorization header: sets role and actor. False: it is
 * answered, with 401 or 429, and nothing more of it is read.
 */
bool api_access_identify(struct api_access *a, struct request *r);

/* A connection is there, and is gone. NULL when there is no room, which the limit on connections
 * prevents; leaving takes NULL. */
struct api_guest *api_access_enter(struct api_access *a, struct MHD_Connection *connection,
                                   uint64_t now_ms);
void api_access_leave(struct api_guest *guest);
/* Cuts those that take too long to say who they are. */
void api_access_hurry(struct api_access *a, uint64_t now_ms);

#endif
