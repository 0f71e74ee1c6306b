/*
 * orphan: devices whose reports hold under a key of this fleet although it knows no such agent:
 * they joined after the backup from which the manager was put back. It knows nothing of backups.
 */
#include "manager/core/state.h"

/* Who was silent for so long has joined again, or is gone. */
#define ORPHAN_FORGET_S 86400

void orphan_hears(struct turn *t, uint32_t number)
{
    struct manager *m = t->m;
    struct orphan *place = &m->orphans[0];
    for (uint32_t i = 0; i < ORPHANS_MAX; i++) {
        struct orphan *o = &m->orphans[i];
        if (o->number == number && key_id_equal(&o->id, &t->ev->report.topic)) {
            place = o;
            break;
        }
        if (o->last_seen_s < place->last_seen_s)
            place = o;
    }
    *place =
        (struct orphan){.id = t->ev->report.topic, .number = number, .last_seen_s = t->ev->now_s};
}

size_t manager_orphans(const struct manager *m, uint64_t now_s,
                       struct orphan out[static ORPHANS_MAX])
{
    size_t count = 0;
    for (uint32_t i = 0; i < ORPHANS_MAX; i++)
        if (m->orphans[i].number && now_s < m->orphans[i].last_seen_s + ORPHAN_FORGET_S)
            out[count++] = m->orphans[i];
    return count;
}
