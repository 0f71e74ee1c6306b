/*
 * limits: the named maxima that both ends of the protocol hold each other to.
 */
#ifndef DUNLIN_SYNC_LIMITS_H
#define DUNLIN_SYNC_LIMITS_H

/* Every message starts with [type, PROTOCOL_VERSION, …]. */
#define PROTOCOL_VERSION 1

/* Names of deployments, bundles and versions: letters, digits, '.', '_', '-'; no dot or dash first.
 */
#define NAME_MAX_LEN 63
/* Deployments on one agent; keeps a document below DOCUMENT_MAX and an agent's tables static. */
#define RECORDS_MAX 128
/* A desired document with RECORDS_MAX records of full-length names. */
#define DOCUMENT_MAX 65536
/* A bundle's manifest, signature included: room for the index of about 18 GiB. */
#define MANIFEST_MAX 65536
/* A chunk before compression, and so the largest payload but for a byte of framing. */
#define CHUNK_MAX 262144
/* Deployments that are not as they should be, named in one status; more set STATUS_TRUNCATED. */
#define EXCEPTIONS_MAX 8
/* Facts an agent tells about its device. */
#define FACTS_MAX 16
#define FACT_KEY_MAX 31
#define FACT_VALUE_MAX 127
/* Brokers that an agent knows: its own first, then the fallbacks. */
#define CELLS_MAX 8
#define CELL_URL_MAX 255
/* Variables: a name as it stands in a template, and what it may stand for (a private key fits);
 * those that one version of a bundle needs; and all lists of one document, as written. */
#define VARIABLE_NAME_MAX 31
#define VARIABLE_VALUE_MAX 2048
#define VARIABLES_NEEDED_MAX 32
#define VARIABLES_BYTES_MAX 16384
/* Those of one agent alone. */
#define VARIABLES_OWN_MAX 4096
/* Keys that a fleet trusts at one time: to say whom it trusts, to make bundles, to say what runs;
 * and those of its certificate authorities. */
#define ROOTS_MAX 8
#define PUBLISHERS_MAX 16
#define ONLINE_MAX 4
#define AUTHORITIES_MAX 4
/* Signatures on one envelope: every publisher, or the roots before and after a change. */
#define SIGNATURES_MAX 16
/* Trust documents in the answer to a join: from those roots that the token pins to the newest. */
#define TRUST_WALK_MAX 8
/* Any message on a topic other than a chunk's: the answer to a join is the largest. */
#define MESSAGE_MAX DOCUMENT_MAX
/* A cohort's head is split into at most 2^LANES_LOG2_MAX lanes. */
#define LANES_LOG2_MAX 12

#endif
