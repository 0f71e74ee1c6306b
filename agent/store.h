/*
 * store: the agent's one SQLite file, DIR/agent.db: who the agent is, the newest signed messages,
 * and how far each deployment has come. The only place with SQLite on the agent. It knows nothing
 * of what the rows decide; it keeps them loaded, as stored.
 */
#ifndef DUNLIN_AGENT_STORE_H
#define DUNLIN_AGENT_STORE_H

#include "agent/core/agent.h"
#include "base/file.h"
#include "crypto/certificate.h"
#include "sync/atlas.h"
#include "sync/join.h"
#include "sync/trust.h"

/* Cells of an atlas that an agent keeps: its homes, and two to hear of a newer atlas from. What its
 * join told it has the other places. */
#define STORE_ATLAS_CELLS 5

/* The database may grow to this many pages of 1 KiB: a document, HELD_MAX rows, and the rest many
 * times over. */
#define STORE_PAGES_MAX 2048

/* Who this agent is; all but `secret`, `key` and `id` come with the join. */
struct identity {
    struct secret_key secret;
    struct public_key key;
    struct key_id id;
    bool keyed;      /* there is a key pair */
    uint32_t number; /* 0: not joined yet */
    struct mac_key mac;
    struct seal_secret sealed_to;            /* opens what is sealed to this agent */
    struct facts facts;                      /* as told last */
    struct policy policy;                    /* until the first document */
    uint32_t cell_count;                     /* at least 1 once joined */
    char cells[CELLS_MAX][CELL_URL_MAX + 1]; /* as the atlas orders them, then what the join told */
    uint32_t home_count;                     /* the first of them retain what is its own */
    uint32_t atlas;                          /* number of that atlas; 0: there was none */
    struct key_id atlas_signer;
    struct digest token;         /* of the token's text: which token this agent joined with */
    char door[CELL_URL_MAX + 1]; /* where it joined, and renews an expired certificate */
    size_t certificate_len;      /* 0: links are plain, and there is none */
    uint8_t certificate[CERTIFICATE_MAX];
    uint64_t certificate_from_s; /* it is good from then … */
    uint64_t certificate_until_s;
    char certificate_issuer[CERTIFICATE_NAME_MAX + 1]; /* the authority's name */
};

struct sqlite3;

/* Everything here is read-only to the callers. About 110 KiB: keep it in static memory. */
struct store {
    struct sqlite3 *db;
    char path[FILE_PATH_MAX];
    struct identity identity;
    uint32_t seq_ceiling;
    uint64_t floor_s; /* it is at least this late: as kept, or when this source was committed */
    uint64_t shut_out_s;
    struct trust trust;
    struct desired document;
    struct assignment assignment;
    struct key_id document_signer, assignment_signer;
    struct held held[HELD_MAX];
    uint32_t held_count;
    struct agent_view view;
};

enum store_mode {
    STORE_READ,   /* for a look, also while an agent runs */
    STORE_WRITE,  /* ERR_NOT_FOUND when there is no database */
    STORE_CREATE, /* makes an empty database (mode 0600) when there is none */
};

/*
 * Opens DIR/agent.db and loads all of it. ERR_NOT_FOUND, ERR_DAMAGED with what to do, ERR_NO_SPACE
 * or ERR_IO. Whether the agent has joined is store_joined's answer, not an error.
 */
int store_open(struct store *s, const char *dir, enum store_mode mode, struct errmsg *em);
/* Also after a failed open. */
void store_close(struct store *s);

bool store_joined(const struct store *s);

/* Keeps the key pair that the agent will join with. Before anything is sent, and only once. */
int store_key(struct store *s, const struct secret_key *secret, struct errmsg *em);

/*
 * Keeps everything that the join gave, in one transaction. The caller has checked the answer;
 * `facts` are what it told, `token` is the digest of the token's text, `door` is where it asked.
 * `j` has at least one cell.
 */
int store_join(struct store *s, const struct joined *j, const struct facts *facts,
               const struct digest *token, const char *door, struct errmsg *em);
/* They were told. */
int store_facts(struct store *s, const struct facts *facts, struct errmsg *em);

/* The message that an event brought: its signed bytes, and what they say. Unused parts are NULL. */
struct store_incoming {
    struct span envelope;
    struct key_id signer; /* of a document and an assignment: an online key */
    const struct desired *document;
    const struct assignment *assignment;
    const struct trust *trust;
    const struct atlas *atlas;
    struct span certificate; /* DER */
};

/*
 * Makes a step's stores durable in one transaction, then shows them in `view`. On an error nothing
 * has changed, on the disk or in `view`. `in` is the message of the step's event, or NULL.
 */
int store_apply(struct store *s, const struct agent_out *out, const struct store_incoming *in,
                struct errmsg *em);

/* The values that a row's target has by this name (agent/core), appended as a list; secrets are
 * sealed to this agent. Nothing for 0. ERR_NOT_FOUND, ERR_IO. */
int store_values(struct store *s, uint64_t variables, struct buffer *list, struct errmsg *em);

/* Lets the file grow to `pages` pages: STORE_PAGES_MAX from the start; a smaller number stands for
 * a full disk. */
int store_limit(struct store *s, uint32_t pages, struct errmsg *em);

#endif
