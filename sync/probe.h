/*
 * probe: whether a connection that may have lost its network is still there. It says when to ask
 * the other end, and when to give up waiting for an answer. It knows no connection and no clock.
 */
#ifndef DUNLIN_SYNC_PROBE_H
#define DUNLIN_SYNC_PROBE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * So long nothing may come from the other end while it owes an answer. Over a satellite there and
 * back takes up to 2 s, and TCP sends what is lost again after some 3 s, and then 6: so a packet
 * may be lost twice, and a network may need five seconds more until it carries anything (DHCP,
 * 802.1X).
 */
#define PROBE_SILENCE_MS 10000
/* Questions are at least this far apart: a network comes with many messages of the kernel's, the
 * last of which may be the one that matters. So two questions are all that they lead to. */
#define PROBE_APART_MS 10000

/* All-zero is: there was no need so far. */
struct probe {
    uint64_t silent_until_ms; /* an answer is owed, and something has to come by then; 0: none is */
    uint64_t next_ms;         /* no question before */
    bool wanted;              /* there is something to ask for, since the last question */
};

/* The network has changed. */
void probe_want(struct probe *p);
/* True when the question is to be put now. */
bool probe_due(const struct probe *p, uint64_t now_ms);
/* It is being put. */
void probe_begin(struct probe *p, uint64_t now_ms);
/* Bytes have come from the other end. They may be older than the question, so they only put off its
 * end: on a slow link much may stand before the answer. */
void probe_hear(struct probe *p, uint64_t now_ms);
/* The answer has come. */
void probe_end(struct probe *p);
/* True while an answer is owed. */
bool probe_waits(const struct probe *p);
/* True when it will not come any more. */
bool probe_failed(const struct probe *p, uint64_t now_ms);

#endif
