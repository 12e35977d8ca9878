"""Match rows with columns so that the sum of their similarities is the largest possible. Read ``matching.py`` next."""

from __future__ import annotations

import numpy as np

from pellucid.tracing.predictions import Array

__all__ = ["best_pairs"]


def best_pairs(similarity: Array) -> tuple[tuple[int, int], ...]:
    """Return the pairs (row, column) with the largest sum of ``similarity`` [rows, columns], by rising rows.

    No row and no column occurs twice; with unequal sides some of the longer one stay alone. The method is that of
    shortest augmenting paths (Kuhn 1955; Jonker and Volgenant 1987), of order rows² · columns.
    """
    if similarity.shape[0] > similarity.shape[1]:
        return tuple(sorted((row, column) for column, row in best_pairs(similarity.T)))
    cost = -np.asarray(similarity, dtype=np.float64)
    num_rows, num_columns = cost.shape
    row_of = np.full(num_columns, -1)
    row_price, column_price = np.zeros(num_rows), np.zeros(num_columns)
    for row in range(num_rows):
        column, parent = _cheapest_path(row, cost, row_of, row_price, column_price)
        while column >= 0:  # along the path, every column goes to the row of the column before it
            before = int(parent[column])
            row_of[column] = row_of[before] if before >= 0 else row
            column = before
    return tuple(sorted((int(row_of[column]), column) for column in range(num_columns) if row_of[column] >= 0))


def _cheapest_path(row: int, cost: Array, row_of: Array, row_price: Array, column_price: Array) -> tuple[int, Array]:
    """Find the cheapest way from a row to a free column; return that column, and for each column the one before it.

    The prices change in place, so that every reduced cost stays at least zero.
    """
    columns = cost.shape[1]
    distance, parent, is_done = np.full(columns, np.inf), np.full(columns, -1), np.zeros(columns, dtype=bool)
    here, column, length = row, -1, 0.0
    while True:
        reduced = length + cost[here] - row_price[here] - column_price
        is_shorter = ~is_done & (reduced < distance)
        distance[is_shorter], parent[is_shorter] = reduced[is_shorter], column
        column = int(np.argmin(np.where(is_done, np.inf, distance)))
        length = float(distance[column])
        is_done[column] = True
        if row_of[column] < 0:
            break
        here = int(row_of[column])
    row_price[row] += length
    for passed in np.flatnonzero(is_done):
        if row_of[passed] >= 0:
            row_price[row_of[passed]] += length - distance[passed]
        column_price[passed] -= length - distance[passed]
    return column, parent
