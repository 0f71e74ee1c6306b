#include "manager/cli/trust_words.h"

static void print_key(const char *mark, enum trust_role role, const struct public_key *key,
                      FILE *out)
{
    struct key_id id = key_id_of(key);
    fprintf(out, "  %s%-9s %s\n", mark, trust_role_name(role), key_id_hex(&id).text);
}

void trust_words_whole(const struct trust *t, FILE *out)
{
    fprintf(out, "trust document %u\n", t->version);
    for (int role = 0; role < TRUST_ROLE_COUNT; role++)
        for (uint32_t i = 0; i < t->roles[role].count; i++)
            print_key("", (enum trust_role)role, &t->roles[role].list[i], out);
    for (uint32_t i = 0; i < t->authority_count; i++)
        fprintf(out, "  %-9s %s\n", "authority", key_id_hex(&t->authorities[i]).text);
    fprintf(out, "  %u of %u roots sign the next one, %u of %u publishers a bundle\n",
            t->roles[TRUST_ROOTS].threshold, t->roles[TRUST_ROOTS].count,
            t->roles[TRUST_PUBLISHERS].threshold, t->roles[TRUST_PUBLISHERS].count);
}

/* The keys of `a` that `b` hasn't got. */
static void print_only(const char *mark, enum trust_role role, const struct trust *a,
                       const struct trust *b, FILE *out)
{
    for (uint32_t i = 0; i < a->roles[role].count; i++)
        if (!trust_has(b, role, &a->roles[role].list[i]))
            print_key(mark, role, &a->roles[role].list[i], out);
}

static void print_authorities(const char *mark, const struct trust *a, const struct trust *b,
                              FILE *out)
{
    for (uint32_t i = 0; i < a->authority_count; i++)
        if (!trust_has_authority(b, &a->authorities[i]))
            fprintf(out, "  %s%-9s %s\n", mark, "authority", key_id_hex(&a->authorities[i]).text);
}

void trust_words_changes(const struct trust *from, const struct trust *to, FILE *out)
{
    fprintf(out, "trust document %u, after %u\n", to->version, from->version);
    for (int i = 0; i < TRUST_ROLE_COUNT; i++) {
        enum trust_role role = (enum trust_role)i;
        const struct trust_keys *old = &from->roles[role], *new = &to->roles[role];
        print_only("+ ", role, to, from, out);
        print_only("- ", role, from, to, out);
        if (old->threshold != new->threshold)
            fprintf(out, "  %s threshold: %u of %u, was %u of %u\n", trust_role_name(role),
                    new->threshold, new->count, old->threshold, old->count);
    }
    print_authorities("+ ", to, from, out);
    print_authorities("- ", from, to, out);
}

struct trust_words trust_words_signed(const struct trust *t, enum trust_role role,
                                      enum message type, const struct envelope *e)
{
    struct trust_words words;
    const struct trust_keys *k = &t->roles[role];
    int signers = envelope_count(type, e, k->list, k->count);
    if (signers < 0)
        snprintf(words.text, sizeof words.text, "a signature by one of %u %s keys does not hold",
                 k->count, trust_role_name(role));
    else
        snprintf(words.text, sizeof words.text,
                 "signed by %d of the %u %s keys of version %u; %u %s", signers, k->count,
                 trust_role_name(role), t->version, k->threshold,
                 (uint32_t)signers < k->threshold ? "are needed" : "are enough");
    return words;
}
