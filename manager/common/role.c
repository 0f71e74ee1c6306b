#include "manager/common/role.h"

#include "base/err.h"

#include <assert.h>
#include <string.h>

static const char *const ROLES[ROLE_COUNT] = {
    [ROLE_NONE] = "none",
    [ROLE_VIEWER] = "viewer",
    [ROLE_OPERATOR] = "operator",
    [ROLE_ADMIN] = "admin",
};

const char *role_name(enum role role)
{
    assert(role < ROLE_COUNT);
    return ROLES[role];
}

int role_parse(const char *text, enum role *out)
{
    for (enum role role = ROLE_VIEWER; role < ROLE_COUNT; role++)
        if (strcmp(text, ROLES[role]) == 0) {
            *out = role;
            return 0;
        }
    return ERR_FORMAT;
}
