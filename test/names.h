/*
 * names: host names that only a test program knows, in place of the system's resolver: slow.test
 * never answers, both.test has two addresses of which only the second is there, none.test has none.
 * One test program includes it: it brings the program's getaddrinfo with it.
 */
#ifndef DUNLIN_TEST_NAMES_H
#define DUNLIN_TEST_NAMES_H

#include <dlfcn.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int names_function(const char *, const char *, const struct addrinfo *, struct addrinfo **);

static inline int names_system(const char *host, const char *service, const struct addrinfo *hints,
                               struct addrinfo **found)
{
    union {
        void *symbol;
        names_function *function;
    } next = {.symbol = dlsym(RTLD_NEXT, "getaddrinfo")};
    return next.function(host, service, hints, found);
}

static inline int names_both(const char *service, const struct addrinfo *hints,
                             struct addrinfo **found)
{
    int rv = names_system("127.255.255.254", service, hints, found);
    return rv ? rv : names_system("127.0.0.1", service, hints, &(*found)->ai_next);
}

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                struct addrinfo **found)
{
    bool digits = hints && (hints->ai_flags & AI_NUMERICHOST);
    if (!digits && strcmp(host, "slow.test") == 0)
        for (;;)
            pause();
    if (!digits && strcmp(host, "both.test") == 0)
        return names_both(service, hints, found);
    if (!digits && strcmp(host, "none.test") == 0)
        return EAI_NONAME;
    return names_system(host, service, hints, found);
}

#endif
