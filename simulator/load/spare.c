#include "simulator/load/spare.h"

#include <stdlib.h>

static bool is_spare(const struct record *r);
static struct held row_of(const struct record *r, const struct key_id *signer);

struct held *spare_rows(const struct desired *d, const struct key_id *signer, uint32_t *count)
{
    struct held *rows = calloc((size_t)d->count + 1, sizeof *rows);
    *count = 0;
    for (uint32_t i = 0; rows && i < d->count; i++)
        if (is_spare(&d->records[i]))
            rows[(*count)++] = row_of(&d->records[i], signer);
    return rows;
}

static bool is_spare(const struct record *r)
{
    return strncmp(r->name, SPARE_NAME, strlen(SPARE_NAME)) == 0;
}

static struct held row_of(const struct record *r, const struct key_id *signer)
{
    struct held row = {.deployment = r->deployment,
                       .phase = PHASE_SETTLED,
                       .flags = r->flags,
                       .running = r->stable,
                       .wanted = r->stable,
                       .signer = *signer,
                       .after = r->rules.after};
    memcpy(row.name, r->name, sizeof row.name);
    return row;
}

uint32_t spare_merge(const struct held *spares, uint32_t spare_count, const struct held *own,
                     uint32_t own_count, struct held out[static HELD_MAX])
{
    uint32_t count = 0, i = 0, k = 0;
    while ((i < spare_count || k < own_count) && count < HELD_MAX) {
        bool both = i < spare_count && k < own_count;
        bool spare = both ? spares[i].deployment < own[k].deployment : i < spare_count;
        if (both && spares[i].deployment == own[k].deployment)
            i++;
        out[count++] = spare ? spares[i++] : own[k++];
    }
    return count;
}
