/* An agent that is well but for this: it finds no broker. The linker puts it in address_check's
 * place. */
#include "base/err.h"

int find_no_broker(const char *url, struct errmsg *em) __asm__("__wrap_address_check");

int find_no_broker(const char *url, struct errmsg *em)
{
    return errmsg_set(em, ERR_REFUSED, "%.80s: this agent was built to find no broker", url);
}
