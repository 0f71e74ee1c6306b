#include "bundles/chunk.h"

#include <assert.h>
#include <stdlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#define LEVEL_DEFAULT 9

/* The frame's first byte. */
enum packing { PACKING_PLAIN = 0, PACKING_ZSTD = 1 };

struct chunk_packer {
    ZSTD_CCtx *zstd;
};

struct chunk_opener {
    ZSTD_DCtx *zstd;
};

static int open_plain(struct span data, struct buffer *plain);
static int open_zstd(struct chunk_opener *o, struct span data, struct buffer *plain);
static bool one_zstd_frame(struct span data);

struct chunk_packer *chunk_packer_new(int level)
{
    struct chunk_packer *p = malloc(sizeof *p);
    ZSTD_CCtx *zstd = ZSTD_createCCtx();
    if (!p || !zstd ||
        ZSTD_isError(
            ZSTD_CCtx_setParameter(zstd, ZSTD_c_compressionLevel, level ? level : LEVEL_DEFAULT))) {
        ZSTD_freeCCtx(zstd);
        free(p);
        return NULL;
    }
    p->zstd = zstd;
    return p;
}

void chunk_packer_free(struct chunk_packer *p)
{
    if (p)
        ZSTD_freeCCtx(p->zstd);
    free(p);
}

int chunk_pack(struct chunk_packer *p, struct span plain, struct buffer *frame)
{
    assert(plain.len > 0 && plain.len <= CHUNK_MAX && frame->cap >= CHUNK_FRAME_MAX);
    size_t packed = ZSTD_compress2(p->zstd, frame->data + 1, plain.len - 1, plain.data, plain.len);
    if (!ZSTD_isError(packed)) {
        frame->data[0] = PACKING_ZSTD;
        frame->len = packed + 1;
        return 0;
    }
    if (ZSTD_getErrorCode(packed) != ZSTD_error_dstSize_tooSmall)
        return ERR_NO_MEMORY;
    frame->data[0] = PACKING_PLAIN;
    memcpy(frame->data + 1, plain.data, plain.len);
    frame->len = plain.len + 1;
    return 0;
}

struct chunk_opener *chunk_opener_new(void)
{
    struct chunk_opener *o = malloc(sizeof *o);
    ZSTD_DCtx *zstd = ZSTD_createDCtx();
    if (!o || !zstd) {
        ZSTD_freeDCtx(zstd);
        free(o);
        return NULL;
    }
    o->zstd = zstd;
    return o;
}

void chunk_opener_free(struct chunk_opener *o)
{
    if (o)
        ZSTD_freeDCtx(o->zstd);
    free(o);
}

int chunk_open(struct chunk_opener *o, struct span frame, const struct digest *name,
               struct buffer *plain)
{
    assert(plain->cap >= CHUNK_MAX);
    plain->len = 0;
    if (frame.len < 2)
        return ERR_FORMAT;
    struct span data = span_of(frame.data + 1, frame.len - 1);
    int rv = ERR_FORMAT;
    if (frame.data[0] == PACKING_PLAIN)
        rv = open_plain(data, plain);
    else if (frame.data[0] == PACKING_ZSTD)
        rv = open_zstd(o, data, plain);
    if (rv < 0)
        return rv;
    /* Empty blocks of zstd could make a frame as long as one likes, and whoever keeps it pays. */
    if (frame.len > plain->len + 1)
        return ERR_RANGE;
    struct digest digest = digest_of(span_buffer(plain));
    return digest_equal(&digest, name) ? 0 : ERR_DIGEST;
}

static int open_plain(struct span data, struct buffer *plain)
{
    if (data.len > CHUNK_MAX)
        return ERR_RANGE;
    memcpy(plain->data, data.data, data.len);
    plain->len = data.len;
    return 0;
}

/*
 * Decompressing in one call takes `plain` itself as the window, so that nothing is allocated for
 * what the frame declares.
 */
static int open_zstd(struct chunk_opener *o, struct span data, struct buffer *plain)
{
    if (!one_zstd_frame(data))
        return ERR_FORMAT;
    size_t len = ZSTD_decompressDCtx(o->zstd, plain->data, CHUNK_MAX, data.data, data.len);
    if (ZSTD_isError(len))
        return ZSTD_getErrorCode(len) == ZSTD_error_dstSize_tooSmall ? ERR_RANGE : ERR_FORMAT;
    if (len == 0)
        return ERR_FORMAT;
    plain->len = len;
    return 0;
}

/* Keeps the library's readers of skippable and of old formats away from foreign bytes. */
static bool one_zstd_frame(struct span data)
{
    static const uint8_t magic[] = {0x28, 0xb5, 0x2f, 0xfd};
    return data.len > sizeof magic && memcmp(data.data, magic, sizeof magic) == 0 &&
           ZSTD_findFrameCompressedSize(data.data, data.len) == data.len;
}
