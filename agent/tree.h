/*
 * tree: what stands in DIR for people and programs to use: the unpacked trees
 * DIR/bundles/<digest>, and DIR/deployments/NAME with `current`, a link to one of them, `data`,
 * `tmp` and `log`. It knows nothing of why a deployment gets which tree.
 */
#ifndef DUNLIN_AGENT_TREE_H
#define DUNLIN_AGENT_TREE_H

#include "agent/content.h"
#include "base/file.h"
#include "sync/variables.h"

/* The name of a bundle's tree: the bundle's own, or another one for each set of values that its
 * templates are filled in with. `values` is a list (sync/variables.h). */
struct digest tree_name(const struct digest *bundle, struct span values);

/* A tree is complete and on disk under its name, or it isn't there. */
int tree_path(const char *dir, const struct digest *bundle, char out[static FILE_PATH_MAX],
              struct errmsg *em);
bool tree_there(const char *dir, const struct digest *bundle);

/* Called between two chunks, so that a link stays alive meanwhile; false ends the unpacking with
 * ERR_BUSY. */
struct tree_pulse {
    void *context;
    bool (*beat)(void *context);
};

/*
 * Unpacks the bundle from local chunks, its templates filled in from `values`, syncs it and only
 * then gives it its name; a tree that is there already is left as it is. ERR_DIGEST or
 * ERR_NOT_FOUND: chunks were torn and are gone, to be fetched again. ERR_FORMAT, ERR_REFUSED,
 * ERR_NO_SPACE or ERR_IO. `pulse` may be NULL.
 */
int tree_unpack(const char *dir, struct content *content, const struct digest *bundle,
                struct span values, const struct tree_pulse *pulse, struct errmsg *em);

/* DIR/deployments/NAME, and with `part` something in it. */
int tree_deployment_path(const char *dir, const char *name, const char *part,
                         char out[static FILE_PATH_MAX], struct errmsg *em);

/* Makes DIR/deployments/NAME with `data`, `log` and `tmp`. */
int tree_prepare(const char *dir, const char *name, struct errmsg *em);

/* `current` names the bundle's tree, atomically; a zero digest takes the link away. */
int tree_switch(const char *dir, const char *name, const struct digest *bundle, struct errmsg *em);

/* The bundle that `current` names: true, or false when there is none. */
bool tree_current(const char *dir, const char *name, struct digest *bundle);

/* Removes DIR/deployments/NAME with everything in it, also from the disk's point of view. */
int tree_detach(const char *dir, const char *name, struct errmsg *em);

/*
 * Removes trees that are not among `used` and that no `current` names, then the chunks that those
 * bundles don't need. Chunks stay when only a part of a used bundle's index is here, because then
 * nobody knows what it needs.
 */
int tree_sweep(const char *dir, struct content *content, const struct digest *used, size_t count,
               struct errmsg *em);

#endif
