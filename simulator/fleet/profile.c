#include "simulator/fleet/profile.h"

#include "base/file.h"

#include <stdlib.h>
#include <string.h>

#define PROFILE_FILE_MAX 65536

const struct profile profile_plain = {
    .name = "plain", .delay_ms = {20, 20}, .bandwidth = 1 << 20, .regions = 1};

uint64_t range_draw(const struct range *r, struct rng *rng)
{
    return r->min + rng_below(rng, r->max - r->min + 1);
}

const char *profile_name(size_t index)
{
    size_t i = 0;
    while (i < index && profiles_builtin[i].name)
        i++;
    return profiles_builtin[i].name;
}

static int read_file(const char *path, struct profile *p, struct errmsg *em)
{
    char *memory = malloc(PROFILE_FILE_MAX);
    if (!memory)
        abort();
    struct buffer text = buffer_on(memory, PROFILE_FILE_MAX);
    int rv = file_read(path, &text, em);
    if (rv == 0)
        rv = profile_read(path, span_buffer(&text), p, em);
    free(memory);
    return rv;
}

int profile_find(const char *name, struct profile *p, struct errmsg *em)
{
    if (strpbrk(name, "/."))
        return read_file(name, p, em);
    for (size_t i = 0; profiles_builtin[i].name; i++)
        if (strcmp(profiles_builtin[i].name, name) == 0)
            return profile_read(name, span_text(profiles_builtin[i].text), p, em);
    return errmsg_set(em, ERR_USAGE,
                      "no links are called \"%s\": take one of those that "
                      "`dunlin-sim fleet --help` lists, or the path of a file",
                      name);
}
