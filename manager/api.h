/*
 * api: HTTP with JSON on a Unix socket, for the command line and other programs of operators.
 * It decides nothing: it checks what comes in, hands it to the daemon, and shows what the core
 * knows.
 *
 * It runs on the daemon's thread. An answer that must wait for a commit suspends its connection,
 * so nothing here blocks but local files.
 */
#ifndef DUNLIN_MANAGER_API_H
#define DUNLIN_MANAGER_API_H

#include "base/err.h"

struct api;
struct daemon;

/*
 * Listens on `socket_path`, for this user only. A socket that is there is taken for a stale one
 * and replaced: the caller holds the folder's lock. NULL with a sentence.
 */
struct api *api_new(struct daemon *d, const char *socket_path, struct errmsg *em);

/* Stops listening and breaks off what is unanswered. Replies that come later are ignored. */
void api_free(struct api *a);

/* Readable when there is work. */
int api_descriptor(const struct api *a);

/* Call api_service after this time even when the descriptor stays silent; -1: no need. */
int api_timeout_ms(const struct api *a);

void api_service(struct api *a);

#endif
