/*
 * bench_bundles: how fast a tree becomes a bundle and a bundle a tree, beside the floor: reading
 * the same files, copying the same bytes, and digesting them.
 *
 *   bench_bundles MIB     makes a tree of so many MiB, half noise and half text, and removes it
 *   bench_bundles FOLDER  takes the tree that is there
 *
 * Packed chunks and the unpacked tree lie in a folder beside the temporary files, so that memory
 * is what packing and unpacking take themselves. Nothing is synced.
 */
#include "base/clock.h"
#include "base/file.h"
#include "base/rng.h"
#include "bundles/chunker.h"
#include "bundles/pack.h"
#include "bundles/unpack.h"

#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE 1048576u
#define FILE_BYTES 1048576u
/* For the measurements in memory. */
#define SAMPLE_BYTES (64u << 20)

static char place[FILE_PATH_MAX];
static uint8_t piece[PIECE];
static struct errmsg em;
static uint64_t tree_bytes, stored_bytes;

static void die(const char *what)
{
    fprintf(stderr, "bench_bundles: %s: %s\n", what, em.text);
    (void)file_remove(place, NULL);
    exit(1);
}

static void must(bool done, const char *what)
{
    if (!done)
        die(what);
}

static void path_in_place(char out[static FILE_PATH_MAX], const char *name)
{
    must(file_path(out, &em, "%s/%s", place, name) >= 0, name);
}

static void fill(uint8_t *out, size_t len, uint64_t seed, bool text)
{
    struct rng r = {.state = seed};
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)(text ? 'a' + rng_below(&r, 4) : rng_next(&r));
}

static void make_tree(const char *path, uint64_t mib)
{
    must(file_make_folder(path, 0755, &em) == 0, path);
    for (uint64_t i = 0; i < mib; i++) {
        char name[FILE_PATH_MAX];
        must(file_path(name, &em, "%s/%06" PRIu64, path, i) >= 0, path);
        fill(piece, FILE_BYTES, i, i % 2);
        FILE *f = fopen(name, "wb");
        must(f && fwrite(piece, 1, FILE_BYTES, f) == FILE_BYTES && fclose(f) == 0, name);
    }
}

/* Megabytes (10^6) a second since `start`. */
static double rate(uint64_t bytes, uint64_t start_ms)
{
    uint64_t ms = clock_monotonic_ms() - start_ms;
    return (double)bytes / 1000.0 / (double)(ms ? ms : 1);
}

static int read_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)ftw;
    if (kind != FTW_F)
        return 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    for (ssize_t n; fd >= 0 && (n = read(fd, piece, PIECE)) > 0;)
        tree_bytes += (uint64_t)n;
    close(fd);
    return fd >= 0 && st ? 0 : -1;
}

static double bench_read(const char *tree)
{
    must(nftw(tree, read_one, 64, FTW_PHYS) == 0, tree); /* the first time fills the cache */
    tree_bytes = 0;
    uint64_t start = clock_monotonic_ms();
    must(nftw(tree, read_one, 64, FTW_PHYS) == 0, tree);
    return rate(tree_bytes, start);
}

static void find_chunks(struct span bytes, bool digest)
{
    struct chunker c = {0};
    bool cut;
    for (size_t n; bytes.len > 0; bytes = span_of(bytes.data + n, bytes.len - n)) {
        n = chunker_scan(&c, bytes, &cut);
        if (digest)
            (void)digest_of(span_of(bytes.data, n));
    }
}

static void print_memory_rates(void)
{
    uint8_t *sample = malloc(SAMPLE_BYTES), *copy = malloc(SAMPLE_BYTES);
    must(sample && copy, "memory");
    fill(sample, SAMPLE_BYTES, 7, false);
    memset(copy, 1, SAMPLE_BYTES);
    struct span bytes = span_of(sample, SAMPLE_BYTES);
    uint64_t start = clock_monotonic_ms();
    for (int i = 0; i < 8; i++) {
        memcpy(copy, sample, SAMPLE_BYTES);
        __asm__ volatile("" : : "r"(copy) : "memory");
    }
    printf("\"memcpy_mb_s\":%.0f,", rate(8ull * SAMPLE_BYTES, start));
    start = clock_monotonic_ms();
    (void)digest_of(bytes);
    printf("\"sha256_mb_s\":%.0f,", rate(SAMPLE_BYTES, start));
    start = clock_monotonic_ms();
    find_chunks(bytes, false);
    printf("\"chunking_mb_s\":%.0f,", rate(SAMPLE_BYTES, start));
    start = clock_monotonic_ms();
    find_chunks(bytes, true);
    printf("\"chunking_sha256_mb_s\":%.0f,", rate(SAMPLE_BYTES, start));
    free(sample);
    free(copy);
}

static void chunk_path(char out[static FILE_PATH_MAX], const struct digest *name)
{
    must(file_path(out, &em, "%s/chunks/%s", place, digest_hex(name).text) >= 0, "chunks");
}

static bool has(void *context, const struct digest *name)
{
    char path[FILE_PATH_MAX];
    (void)context;
    chunk_path(path, name);
    return access(path, F_OK) == 0;
}

static int put(void *context, const struct digest *name, struct span frame, struct errmsg *why)
{
    char path[FILE_PATH_MAX];
    (void)context;
    chunk_path(path, name);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(frame.data, 1, frame.len, f) != frame.len || fclose(f) != 0)
        return errmsg_set(why, ERR_IO, "%s: can't be written", path);
    stored_bytes += frame.len;
    return 0;
}

static void fetch(struct chunk_opener *o, const struct chunk_ref *ref, struct buffer *plain)
{
    static uint8_t memory[CHUNK_FRAME_MAX];
    struct buffer frame = buffer_on(memory, sizeof memory);
    char path[FILE_PATH_MAX];
    chunk_path(path, &ref->digest);
    must(file_read(path, &frame, &em) == 0, path);
    must(chunk_open(o, span_buffer(&frame), &ref->digest, plain) == 0, path);
}

static void unpack(const struct manifest *m, const char *tree)
{
    static uint8_t index_memory[CHUNK_MAX], plain_memory[CHUNK_MAX];
    static struct unpacker u;
    struct buffer index = buffer_on(index_memory, sizeof index_memory);
    struct buffer plain = buffer_on(plain_memory, sizeof plain_memory);
    struct chunk_opener *o = chunk_opener_new();
    must(o && file_make_folder(tree, 0700, &em) == 0, tree);
    int root = open(tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    unpack_start(&u, root, BUNDLE_FILES_MAX);
    for (uint32_t i = 0; i < m->index_count; i++) {
        fetch(o, &m->index[i], &index);
        int count = index_count(span_buffer(&index));
        for (int k = 0; k < count; k++) {
            struct chunk_ref ref;
            must(index_get(span_buffer(&index), (size_t)k, &ref) == 0, "index");
            fetch(o, &ref, &plain);
            must(unpack_add(&u, span_buffer(&plain), &em) == 0, "unpack");
        }
    }
    must(unpack_end(&u, &em) == 0 && u.files == m->files, "unpack");
    close(root);
    chunk_opener_free(o);
}

static void print_tree_rates(const char *tree)
{
    static struct manifest m;
    static const struct pack_sink sink = {.has = has, .put = put};
    char out[FILE_PATH_MAX];
    printf("\"read_mb_s\":%.0f,", bench_read(tree));
    path_in_place(out, "chunks");
    must(file_make_folder(out, 0700, &em) == 0, out);
    uint64_t start = clock_monotonic_ms();
    must(pack_tree(tree, &sink, &m, &em) == 0, tree);
    printf("\"pack_mb_s\":%.1f,", rate(m.bytes, start));
    start = clock_monotonic_ms();
    must(pack_tree(tree, &sink, &m, &em) == 0, tree);
    printf("\"pack_again_mb_s\":%.1f,", rate(m.bytes, start));
    path_in_place(out, "out");
    start = clock_monotonic_ms();
    unpack(&m, out);
    printf("\"unpack_mb_s\":%.1f,", rate(m.bytes, start));
    printf("\"bytes\":%" PRIu64 ",\"stored\":%" PRIu64 ",\"files\":%u,\"chunks\":%u,", m.bytes,
           stored_bytes, m.files, m.chunks);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: bench_bundles MIB|FOLDER\n");
        return 2;
    }
    const char *tmp = getenv("TMPDIR");
    snprintf(place, sizeof place, "%s/dunlin-bench-XXXXXX", tmp ? tmp : "/tmp");
    must(mkdtemp(place) != NULL, place);
    char tree[FILE_PATH_MAX];
    char *end;
    uint64_t mib = strtoull(argv[1], &end, 10);
    if (*end || mib == 0) {
        must(file_path(tree, &em, "%s", argv[1]) >= 0, argv[1]);
    } else {
        path_in_place(tree, "tree");
        make_tree(tree, mib);
    }

    struct rusage used;
    printf("{");
    print_tree_rates(tree);
    getrusage(RUSAGE_SELF, &used);
    printf("\"rss_peak_kib\":%ld,", used.ru_maxrss);
    print_memory_rates();
    printf("\"bench\":\"bundles\"}\n");
    must(file_remove(place, &em) == 0, place);
    return 0;
}
