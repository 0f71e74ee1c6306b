/*
 * role: what somebody may do who asks the manager from afar. It knows no routes.
 */
#ifndef DUNLIN_MANAGER_COMMON_ROLE_H
#define DUNLIN_MANAGER_COMMON_ROLE_H

/* Each may do what those before it may. */
enum role {
    ROLE_NONE,
    ROLE_VIEWER,   /* look at everything but secrets */
    ROLE_OPERATOR, /* deploy, and all that follows from it */
    ROLE_ADMIN,    /* let devices and people in, and out */
    ROLE_COUNT,
};

const char *role_name(enum role role);
/* ERR_FORMAT. */
int role_parse(const char *text, enum role *out);

#endif
