#include "manager/spread.h"

#include "sync/limits.h"

uint32_t spread_count(size_t cells)
{
    return (uint32_t)(cells < CELLS_MAX ? cells : CELLS_MAX);
}

size_t spread_cell(size_t cells, uint32_t number, uint32_t i)
{
    return ((size_t)number + i) % cells;
}

bool spread_serves(size_t cells, size_t cell, uint32_t number)
{
    return (cell + cells - number % cells) % cells < spread_count(cells);
}
