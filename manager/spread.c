#include "manager/spread.h"

#include "sync/limits.h"

_Static_assert(SPREAD_CELLS_MAX <= CELLS_MAX, "an agent takes no more cells");

uint32_t spread_count(size_t cells)
{
    return (uint32_t)(cells < SPREAD_CELLS_MAX ? cells : SPREAD_CELLS_MAX);
}

size_t spread_cell(size_t cells, uint32_t number, uint32_t i)
{
    size_t own = number % cells;
    if (i == 0)
        return own;
    return (own + 1 + (number / cells + i - 1) % (cells - 1)) % cells;
}

bool spread_serves(size_t cells, size_t cell, uint32_t number)
{
    for (uint32_t i = 0; i < spread_count(cells); i++)
        if (spread_cell(cells, number, i) == cell)
            return true;
    return false;
}
