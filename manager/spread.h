/*
 * spread: which cells an agent is told of when it joins: its own, and two to fall back on. It
 * follows from its number, so nothing is kept. It knows nothing of brokers.
 */
#ifndef DUNLIN_MANAGER_SPREAD_H
#define DUNLIN_MANAGER_SPREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An agent's own and its fallbacks: what is one agent's own is retained on each of them. */
#define SPREAD_CELLS_MAX 3

/* How many of `cells` it is told of. */
uint32_t spread_count(size_t cells);
/* The i-th of them. Those of one cell have all others for their first fallback, as many each. */
size_t spread_cell(size_t cells, uint32_t number, uint32_t i);
/* Whether that cell is one of them. */
bool spread_serves(size_t cells, size_t cell, uint32_t number);

#endif
