/*
 * shelf: the bundles of a simulated world: real signed manifests and chunks that are named by their
 * digests, and a script of what their hooks do on a device. It knows nothing of who has them.
 */
#ifndef DUNLIN_SIMULATOR_WORLD_SHELF_H
#define DUNLIN_SIMULATOR_WORLD_SHELF_H

#include "agent/core/agent.h"
#include "bundles/manifest.h"

#define SHELF_BUNDLES_MAX 64
/* The manifest aside. */
#define SHELF_CHUNKS_MAX 8
#define SHELF_FRAME_MAX 512

/* What a bundle is, and what it does. Zero means: the plain one. */
struct script {
    const char *name;
    const char *version;
    unsigned publisher;     /* notary_secret() of this signs it; 0: the fleet's own */
    unsigned publisher_too; /* and of this; 0: nobody else */
    uint32_t chunks;        /* 0: 2 */
    unsigned fails;         /* bits 1 << enum agent_hook */
    uint32_t health_tries;  /* hooks/health passes at this try; 0: at the first */
    uint32_t deadline_s;    /* of the health check; 0: 30 */
    uint32_t interval_s;    /* 0: 5 */
    uint32_t hook_ms;       /* each hook takes this long; 0: 20 */
    bool crashes;           /* hooks/apply takes the device down */
    bool malformed;         /* the manifest is signed, and is none */
    bool lost;              /* the last chunk is never published */
    bool agent;             /* it is the agent itself; when that starts it … */
    bool hangs;             /* … does nothing until it is ended, … */
    bool mute;              /* … or finds no broker. `crashes`: it ends at once */
    const char *needs; /* a variable without which it is not deployed; a constant; NULL: none */
};

struct frame {
    struct digest name;
    uint32_t len;
    uint8_t bytes[SHELF_FRAME_MAX]; /* as published: a zero byte, then the content */
};

struct bundle {
    struct script script; /* its texts are these copies */
    char name[NAME_MAX_LEN + 1];
    char version[NAME_MAX_LEN + 1];
    struct digest digest; /* of the manifest */
    uint32_t chunk_count;
    struct frame manifest;
    struct frame chunks[SHELF_CHUNKS_MAX];
};

struct shelf {
    uint32_t count;
    struct bundle bundles[SHELF_BUNDLES_MAX];
};

/* The publisher that the fleet trusts from the start. */
#define SHELF_PUBLISHER 65

/* Makes a bundle, or gives the one that has this name and version already. */
const struct bundle *shelf_make(struct shelf *s, const struct script *script);
const struct bundle *shelf_find(const struct shelf *s, const struct digest *digest);
/* "app@v1", or "none" for zero; the text lives until the next but seven call. */
const char *shelf_title(const struct shelf *s, const struct digest *digest);

#endif
