/* In the place of agent/address.c: an agent that is well but for this, and finds no broker. */
#define address_check address_check_well
#include "agent/address.c"
#undef address_check

int address_check(const char *url, struct errmsg *em);

int address_check(const char *url, struct errmsg *em)
{
    return errmsg_set(em, ERR_REFUSED, "%.80s: this agent was built to find no broker", url);
}
