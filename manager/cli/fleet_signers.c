#include "manager/cli/fleet_signers.h"

int fleet_signers_read(struct span envelope, struct trust *t, struct fleet_signers *by)
{
    struct envelope e;
    struct span body;
    int rv = envelope_read(MESSAGE_TRUST, envelope, &e);
    if (rv == 0)
        rv = trust_read(e.body, t);
    if (rv == 0)
        rv = trust_open(t, TRUST_ROOTS, MESSAGE_TRUST, envelope, &body);
    *by = (struct fleet_signers){.count = 0};
    for (uint32_t i = 0; rv == 0 && i < e.count; i++)
        if (trust_knows(t, TRUST_ROOTS, &e.list[i].signer))
            by->list[by->count++] = e.list[i].signer;
    return rv;
}

bool fleet_signers_have(const struct fleet_signers *by, const struct public_key *root)
{
    struct key_id id = key_id_of(root);
    for (uint32_t i = 0; i < by->count; i++)
        if (key_id_equal(&by->list[i], &id))
            return true;
    return false;
}
