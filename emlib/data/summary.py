"""Rows of a table in fewer numbers, for families whose statistics are quadratic in the rows.

Rows of one pattern enter a normal loglik through their weight, mean and scatter alone.  Where a
pattern has more rows than these take, its mean becomes one row with the rows' total weight and
the triangular factor of its scatter (Golub and Van Loan 2013, section 5.2) becomes rows of scatter.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emlib.data.table import Table


@dataclass(frozen=True, eq=False)
class Summary:
    """A table's rows, summarized pattern by pattern; names are those of ``Table``.

    Attributes
    ----------
    presence : ndarray of shape (n,)
        0 for a row of scatter, which stands for deviations from the mean of its pattern and
        counts for nothing else; 1 for a row or a mean.
    """

    values: NDArray[np.float64]
    weights: NDArray[np.float64]
    presence: NDArray[np.float64]
    order: NDArray[np.int64]
    groups: NDArray[np.int64]
    columns_of_pattern: NDArray[np.int64]
    observed_counts: NDArray[np.int64]

    @property
    def chunks(self) -> list[NDArray[np.int64]]:
        return [self.groups]


def summarize(data: Table) -> Summary:
    """Replace the rows of every pattern that has more of them than observed columns and one."""
    pattern = data.pattern_of_row
    rows = np.flatnonzero(data.informative)
    rows = rows[np.argsort(pattern[rows], kind="stable")]
    n_patterns = len(data.patterns)
    counts = np.bincount(pattern[rows], minlength=n_patterns)
    long = counts > data.observed_counts + 1
    kept = rows[~long[pattern[rows]]]
    values, weights = [data.values[kept]], [data.weights[kept]]
    presence, patterns = [np.ones(len(kept))], [pattern[kept]]
    ends = np.cumsum(counts)
    for p in np.flatnonzero(long).tolist():
        members = rows[ends[p] - counts[p] : ends[p]]
        columns = np.flatnonzero(data.patterns[p])
        w = data.weights[members]
        deviation = data.values[np.ix_(members, columns)] - data.first_observed[columns]
        shift = w @ deviation / w.sum()
        factor = np.linalg.qr(np.sqrt(w)[:, None] * (deviation - shift), mode="r")
        block = np.full((1 + len(factor), data.d), np.nan)
        block[0, columns] = data.first_observed[columns] + shift
        block[1:, columns] = factor
        values.append(block)
        weights.append(np.concatenate([[w.sum()], np.ones(len(factor))]))
        presence.append(np.concatenate([[1.0], np.zeros(len(factor))]))
        patterns.append(np.full(len(block), p))
    of_row = np.concatenate(patterns)
    order = np.argsort(of_row, kind="stable").astype(np.int64)
    first = np.flatnonzero(np.diff(of_row[order], prepend=-1))
    last = np.append(first[1:], len(order))
    groups = np.column_stack([np.zeros_like(first), of_row[order][first], first, last])
    return Summary(
        np.concatenate(values), np.concatenate(weights), np.concatenate(presence), order,
        np.ascontiguousarray(groups, dtype=np.int64), data.columns_of_pattern, data.observed_counts,
    )  # fmt: skip
