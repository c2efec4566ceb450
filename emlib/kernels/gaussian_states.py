"""Compiled passes of Gaussian emissions: densities by state, and sums given the states' shares.

Formulas and order of sums as in ``gaussian``; what differs is that the shares come from outside,
from a chain.  Arrays by state are padded as in ``chain``.
"""

import math

import numpy as np
from numba import njit

from emlib.kernels.blocks import (
    add_completed,
    add_moments,
    block_rows,
    gather_rows,
    mirror,
    whiten_rows,
)
from emlib.kernels.gaussian import complete_row
from emlib.kernels.lanes import LANES


@njit(cache=True)
def dense_log_densities(
    values, order, groups, columns_of_pattern, observed_counts, means, whiten, log_norm, out
):
    """Log densities of the observed cells into ``out`` (n, >= K); 0 without any."""
    n_components, d = means.shape
    tied = log_norm.shape[1] == 1
    size = block_rows(d)
    x = np.zeros((d, size))
    deviations = np.zeros((d, size))
    distances = np.zeros(size)
    for g in range(groups.shape[0]):
        p = groups[g, 1]
        m = observed_counts[p]
        columns = columns_of_pattern[p]
        for begin in range(groups[g, 2], groups[g, 3], size):
            rows = order[begin : min(begin + size, groups[g, 3])]
            gather_rows(values, rows, columns, m, x)
            for k in range(n_components):
                c = 0 if tied else k
                whiten_rows(
                    x, rows.shape[0], columns, m, means[k], whiten[p, c],
                    deviations, distances,
                )  # fmt: skip
                for i in range(rows.shape[0]):
                    out[rows[i], k] = log_norm[p, c] - 0.5 * distances[i]


@njit(cache=True)
def dense_sums(
    values, order, groups, columns_of_pattern, observed_counts, means, whiten, conditional, shares
):
    """Sums about ``means`` of the completed rows: counts (K,), first (K, d), second (K, d, d).

    Rows without an observed cell count for nothing.
    """
    n_components, d = means.shape
    tied = conditional.shape[1] == 1
    counts = np.zeros(n_components)
    first = np.zeros((n_components, d))
    second = np.zeros((n_components, d, d))
    group_counts = np.zeros(n_components)
    group_first = np.zeros((n_components, d))
    group_second = np.zeros((n_components, d, d))
    square = np.zeros((d, d))
    size = block_rows(d)
    x = np.zeros((d, size))
    deviations = np.zeros((d, size))
    distances = np.zeros(size)
    scratch = np.zeros((2, size))
    for g in range(groups.shape[0]):
        p = groups[g, 1]
        m = observed_counts[p]
        if m == 0:
            continue
        columns = columns_of_pattern[p]
        group_counts[:] = 0.0
        group_first[:] = 0.0
        group_second[:] = 0.0
        for begin in range(groups[g, 2], groups[g, 3], size):
            rows = order[begin : min(begin + size, groups[g, 3])]
            n = rows.shape[0]
            gather_rows(values, rows, columns, m, x)
            for k in range(n_components):
                whiten_rows(
                    x, n, columns, m, means[k], whiten[p, 0 if tied else k],
                    deviations, distances,
                )  # fmt: skip
                for i in range(n):
                    distances[i] = shares[rows[i], k]
                distances[n : n + LANES] = 0.0
                group_counts[k] += add_moments(
                    distances, deviations, n, m, scratch, group_first[k], group_second[k]
                )
        for k in range(n_components):
            counts[k] += group_counts[k]
            c = 0 if tied else k
            add_completed(
                group_counts[k], group_first[k], group_second[k],
                whiten[p, c], conditional[p, c], columns, m, square, first[k], second[k],
            )  # fmt: skip
    mirror(second)
    return counts, first, second


@njit(cache=True)
def expected_rows(
    values, order, groups, columns_of_pattern, observed_counts, responsibilities, means, whiten
):
    """Rows with their missing cells at the conditional expectation given the shares (n, K)."""
    n_components, d = means.shape
    completed = values.copy()
    deviation = np.zeros(d)
    for g in range(groups.shape[0]):
        p = groups[g, 1]
        m = observed_counts[p]
        if m == d:
            continue
        columns = columns_of_pattern[p]
        for position in range(groups[g, 2], groups[g, 3]):
            i = order[position]
            for a in range(m, d):
                completed[i, columns[a]] = 0.0
            for k in range(n_components):
                c = k if whiten.shape[1] > 1 else 0
                complete_row(values[i], columns, m, means[k], whiten[p, c], deviation)
                for a in range(m, d):
                    j = columns[a]
                    completed[i, j] += responsibilities[i, k] * (means[k, j] + deviation[j])
    return completed


@njit(cache=True)
def mix_components(component_logs, log_weights, out):
    """Log densities of mixtures: components (n, >= K M), weights (K, M), ``out`` (n, >= K)."""
    n_states, n_mix = log_weights.shape
    for i in range(component_logs.shape[0]):
        for k in range(n_states):
            peak = -math.inf
            for m in range(n_mix):
                peak = max(peak, log_weights[k, m] + component_logs[i, k * n_mix + m])
            if peak == -math.inf:
                out[i, k] = peak
                continue
            total = 0.0
            for m in range(n_mix):
                total += math.exp(log_weights[k, m] + component_logs[i, k * n_mix + m] - peak)
            out[i, k] = peak + math.log(total)


@njit(cache=True)
def divide_shares(component_logs, log_weights, shares):
    """Turn ``component_logs`` into the components' parts of the states' shares, in place."""
    n_states, n_mix = log_weights.shape
    for i in range(component_logs.shape[0]):
        for k in range(n_states):
            parts = component_logs[i, k * n_mix : (k + 1) * n_mix]
            peak = -math.inf
            for m in range(n_mix):
                parts[m] += log_weights[k, m]
                peak = max(peak, parts[m])
            total = 0.0
            for m in range(n_mix):
                parts[m] = math.exp(parts[m] - peak) if peak > -math.inf else 0.0
                total += parts[m]
            for m in range(n_mix):
                parts[m] *= shares[i, k] / total if total > 0.0 else 0.0
        for j in range(n_states * n_mix, component_logs.shape[1]):
            component_logs[i, j] = 0.0
