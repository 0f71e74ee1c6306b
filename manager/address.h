/*
 * address: the hosts and ports that we listen on: what a host stands for, and how devices are told.
 * It opens nothing.
 */
#ifndef DUNLIN_MANAGER_ADDRESS_H
#define DUNLIN_MANAGER_ADDRESS_H

#include "manager/certificates.h"
#include "manager/daemon.h"

/* Names that a server's certificate has, at most: what we listen on, what devices are told, and
 * what a program on this machine says. */
#define ADDRESS_HOSTS_MAX 4

/* Whether we may listen there, be called that, and use those brokers. ERR_USAGE with what to say
 * instead. */
int address_check_options(const struct daemon_options *o, struct errmsg *em);

/* 0.0.0.0 and ::, which nobody can connect to by these names. */
bool address_is_any(const char *host);
/* Where only this machine listens, as far as it says: a loopback address, or the name for one. */
bool address_is_local(const char *host);

/* "SCHEME://HOST:PORT", or without the scheme when that is "". */
void address_write(const char *scheme, const char *host, int port, char *out, size_t cap);

/* The host in what devices are told. */
const char *address_public(const struct daemon_options *o);

/* Of the names in `all`, which it borrows, those that a certificate can have, each once: what
 * stands for all addresses is none. How many. */
size_t address_names(const char *const *all, size_t count, const char **out);

/* The hosts of a certificate for our servers; borrows from `o`. */
size_t address_hosts(const struct daemon_options *o, const char *out[static ADDRESS_HOSTS_MAX]);

/* Where to look for a free one when any port will do. */
int address_any_port(void);

#endif
