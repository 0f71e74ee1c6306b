/*
 * message: the frame that all our messages share: an array that opens with type and version.
 * It knows nothing of the fields behind them.
 */
#ifndef DUNLIN_SYNC_MESSAGE_H
#define DUNLIN_SYNC_MESSAGE_H

#include "sync/envelope.h"
#include "sync/revision.h"
#include "sync/wire.h"

/* Fields that a newer writer may have added at an array's end; more is no message of ours. */
#define MESSAGE_EXTRA_MAX 8

/* Opens an array of type, version and `fields` more elements. */
void message_begin(struct wire_writer *w, enum message type, uint32_t fields);

/*
 * Enters a message of this type with at least `fields` elements behind type and version. Gives how
 * many unknown ones follow those, for wire_skip. Another type or version is ERR_FORMAT.
 */
uint32_t message_enter(struct wire_reader *r, enum message type, uint32_t fields);

/* The same for an array inside a message, without type and version. */
uint32_t message_enter_array(struct wire_reader *r, uint32_t fields);

/* The type a message says it has, or 0. */
uint64_t message_type(struct span bytes);

/* Two elements: epoch, number. */
void message_put_revision(struct wire_writer *w, struct revision revision);
struct revision message_get_revision(struct wire_reader *r);

#endif
