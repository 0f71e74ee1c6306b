/*
 * strict_yaml: one YAML document read strictly: mappings with known keys, lists and single values,
 * and a sentence with FILE:LINE:COLUMN for whatever is something else. It knows no key by itself.
 */
#ifndef DUNLIN_MANAGER_CLI_STRICT_YAML_H
#define DUNLIN_MANAGER_CLI_STRICT_YAML_H

#include "base/err.h"
#include "base/span.h"

#include <stdbool.h>
#include <yaml.h>

/* Keys in one mapping. */
#define YAML_KEYS_MAX 16
/* How much of a bad value a sentence shows. */
#define YAML_VALUE_SHOWN 60

struct yaml_reading {
    const char *path; /* for sentences */
    struct errmsg *em;
    void *into; /* the caller's */
    yaml_document_t document;
};

/* The root of the document, which is there; 0 or what `yaml_refuse` returned. */
typedef int yaml_root(struct yaml_reading *r, const yaml_node_t *root);
/* One pair of a mapping, whose key is the `index`-th known one. */
typedef int yaml_pair(struct yaml_reading *r, void *context, size_t index, const yaml_node_t *key,
                      const yaml_node_t *value);

/* The keys that a mapping may have. */
struct yaml_shape {
    const char *what; /* "a deployment" */
    const char *none; /* what to write where the required one is missing; or NULL */
    size_t count;
    struct {
        const char *name;
        bool required;
    } keys[YAML_KEYS_MAX];
    yaml_pair *read;
};

/* Reads a text, which holds one document. ERR_USAGE or ERR_NO_MEMORY. */
int yaml_read(struct yaml_reading *r, struct span text, const char *empty, yaml_root *root);
/* Hands over each pair; each key comes once, the required ones do come. */
int yaml_mapping(struct yaml_reading *r, const struct yaml_shape *shape, const yaml_node_t *node,
                 void *context);
/* A text that isn't empty (unless `empty`) and has no byte 0. It lives as long as the document. */
int yaml_text(struct yaml_reading *r, const yaml_node_t *key, const yaml_node_t *value, bool empty,
              const char **text);
/* A bare true or false. */
int yaml_bool(struct yaml_reading *r, const yaml_node_t *key, const yaml_node_t *value, bool *b);
/* Goes behind what is wrong with a text: what to do when its comma has ended it, or "". */
const char *yaml_cut_short(const yaml_node_t *value);
/* The text of a single value. */
const char *yaml_scalar(const yaml_node_t *node);

/* Writes the sentence behind the place, which people count from 1. ERR_USAGE. */
int yaml_refuse(struct yaml_reading *r, yaml_mark_t at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
