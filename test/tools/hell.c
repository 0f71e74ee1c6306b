/* Writes a hostile bundle, signed with a publisher's key, into a folder: its chunks in
 * FOLDER/chunks under their names, and the signed manifest as FOLDER/manifest. Prints the bundle's
 * digest. Without arguments: the names that there are, and for each what an agent says of it. */
#include "test/hell.h"

static void put(void *context, const struct digest *name, struct span frame)
{
    char path[FILE_PATH_MAX];
    struct errmsg em = {0};
    tree_must(file_path(path, &em, "%s/chunks/%s", (const char *)context, digest_hex(name).text) ==
                      0 &&
                  file_write(path, frame, 0644, &em) == 0,
              em.text);
}

static int list(void)
{
    for (size_t i = 0; i < HELL_CASES; i++)
        printf("%s\t%s\t%s\n", hell_cases[i].name, hell_cases[i].by_manager ? "manager" : "agent",
               hell_cases[i].sentence);
    return 0;
}

int main(int argc, char **argv)
{
    struct secret_key key;
    struct errmsg em = {0};
    char path[FILE_PATH_MAX];
    if (argc == 1)
        return list();
    if (argc != 4) {
        fputs("usage: hell [NAME KEY FOLDER]\n", stderr);
        return 2;
    }
    const struct hell_sink sink = {.context = argv[3], .put = put};
    tree_must(sign_key_read(argv[2], &key, &em) == 0, em.text);
    tree_must(file_path(path, &em, "%s/chunks", argv[3]) == 0 &&
                  file_make_folder(path, 0755, &em) == 0,
              em.text);
    for (size_t i = 0; i < HELL_CASES; i++) {
        if (strcmp(hell_cases[i].name, argv[1]) != 0)
            continue;
        struct span manifest = hell_build(&hell_cases[i], &key, &sink);
        struct digest bundle = digest_of(manifest);
        tree_must(file_path(path, &em, "%s/manifest", argv[3]) == 0 &&
                      file_write(path, manifest, 0644, &em) == 0,
                  em.text);
        puts(digest_hex(&bundle).text);
        return 0;
    }
    fprintf(stderr, "hell: there is no %s\n", argv[1]);
    return 1;
}
