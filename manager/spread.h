/*
 * spread: which cells an agent is told of when it joins: its own, and those behind it to fall back
 * on. It follows from its number, so nothing is kept. It knows nothing of brokers.
 */
#ifndef DUNLIN_MANAGER_SPREAD_H
#define DUNLIN_MANAGER_SPREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How many of `cells` it is told of. */
uint32_t spread_count(size_t cells);
/* The i-th of them. */
size_t spread_cell(size_t cells, uint32_t number, uint32_t i);
/* Whether that cell is one of them. */
bool spread_serves(size_t cells, size_t cell, uint32_t number);

#endif
