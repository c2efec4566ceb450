"""Compiled smoothing of hidden Markov chains in scaled numbers.

Rabiner (1989), section III with the scaling of section V.A; Zucchini and MacDonald (2009),
chapters 3 and 4.  Densities stand in a table whose lines time steps point into (``rows``), since
discrete data have few distinct lines.  States are padded with density zero to a multiple of the
eight numbers that go through the processor together; up to eight states stay in registers.
"""

import numpy as np
from numba import njit

from emlib.kernels.lanes import (
    LANES,
    add,
    add_product,
    exp,
    lane,
    larger,
    largest,
    load,
    multiply,
    spread,
    store,
    subtract,
    total,
    where_below,
)

FAINT = 1e-150
"""A state's filtered share below this may have lost digits that later steps would ask for."""

SMALLEST_SCALE = 1e-100
"""A scaled density of one time step below this is left to the log form."""

CHUNK_STEPS = 1024
"""Steps whose pairs are summed apart; part of the order of sums."""

SMALLEST_TRANSITION = 1e-50
"""Where all transitions are above this, every state is reached again in one step, so that a
share below FAINT can never matter."""


@njit(cache=True)
def relative_densities(log_densities, densities, peaks):
    """Densities relative to each line's largest, whose log goes to ``peaks``.

    Zero only where a log density is -inf; the peak is 0 where all of a line are.
    """
    n, width = log_densities.shape
    for i in range(n):
        best = load(log_densities, i * width)
        for block in range(LANES, width, LANES):
            best = larger(best, load(log_densities, i * width + block))
        peak = largest(best)
        peaks[i] = peak if peak > -np.inf else 0.0
        for block in range(0, width, LANES):
            place = i * width + block
            store(densities, place, exp(subtract(load(log_densities, place), spread(peaks[i]))))


@njit(cache=True)
def has_lost(t, line, densities, predicted, transmat, n_states, filtered):
    """Whether scaled numbers may have lost a state at step t that a later one could ask for."""
    for j in range(n_states):
        if filtered[t, j] >= FAINT:
            continue
        if predicted[j] > 0.0:
            if densities[line, j] > 0.0:
                return True
        elif t > 0:
            for i in range(n_states):
                if filtered[t - 1, i] > 0.0 and transmat[i, j] > 0.0:
                    return True
    return False


@njit(inline="always")
def through(x, n_states, line0, line1, line2, line3, line4, line5, line6, line7):
    """x' times the matrix of eight lines, of which the first ``n_states`` count."""
    a = multiply(spread(lane(x, 0)), line0)
    b = multiply(spread(lane(x, 1)), line1)
    c = multiply(spread(lane(x, 2)), line2)
    d = multiply(spread(lane(x, 3)), line3)
    if n_states > 4:
        a = add_product(spread(lane(x, 4)), line4, a)
        if n_states > 5:
            b = add_product(spread(lane(x, 5)), line5, b)
            if n_states > 6:
                c = add_product(spread(lane(x, 6)), line6, c)
                if n_states > 7:
                    d = add_product(spread(lane(x, 7)), line7, d)
    return add(add(a, b), add(c, d))


@njit(cache=True)
def filter_eight(densities, rows, startprob, transmat, n_states, strict, filtered, scales):
    """``filter_scaled`` for at most eight states.

    Every other step is scaled, by the size of the step before the last, so that no step waits
    for the sum of its own.
    """
    line0, line1, line2, line3 = (
        load(transmat, 0), load(transmat, 8), load(transmat, 16), load(transmat, 24)
    )  # fmt: skip
    line4, line5, line6, line7 = (
        load(transmat, 32), load(transmat, 40), load(transmat, 48), load(transmat, 56)
    )  # fmt: skip
    predicted = load(startprob, 0)
    kept = np.empty(LANES)
    size_predicted, scale_before = 1.0, 1.0
    for t in range(rows.shape[0]):
        joint = multiply(predicted, load(densities, rows[t] * LANES))
        size = total(joint)
        if not size > SMALLEST_SCALE:
            return False
        scale = 1.0 / size
        scales[t] = size / size_predicted
        store(filtered, t * LANES, multiply(joint, spread(scale)))
        if strict:
            store(kept, 0, predicted)
            if has_lost(t, rows[t], densities, kept, transmat, n_states, filtered):
                return False
        predicted = through(joint, n_states, line0, line1, line2, line3, line4, line5, line6, line7)
        size_predicted = size
        if t % 2 == 1:
            predicted = multiply(predicted, spread(scale_before))
            size_predicted *= scale_before
        scale_before = scale
    return True


@njit(cache=True)
def times_matrix(x, matrix, n_states, out):
    """out = x' matrix."""
    width = matrix.shape[1]
    for block in range(0, width, LANES):
        even, odd = spread(0.0), spread(0.0)
        for i in range(0, n_states - 1, 2):
            even = add_product(spread(x[i]), load(matrix, i * width + block), even)
            odd = add_product(spread(x[i + 1]), load(matrix, (i + 1) * width + block), odd)
        if n_states % 2 == 1:
            place = (n_states - 1) * width + block
            even = add_product(spread(x[n_states - 1]), load(matrix, place), even)
        store(out, block, add(even, odd))


@njit(cache=True)
def filter_scaled(densities, rows, startprob, transmat, n_states, strict, filtered, scales):
    """Forward pass of one sequence; False where scaled numbers cannot carry it.

    ``filtered`` (n, width) takes P(state | steps so far), ``scales`` (n,) the density of each
    step given those before, relative to the step's peak.  ``strict`` looks for shares that got
    lost where some transitions are too small to bring a state back.
    """
    width = startprob.shape[0]
    if width == LANES:
        return filter_eight(
            densities, rows, startprob, transmat, n_states, strict, filtered, scales
        )
    predicted = startprob.copy()
    share = np.zeros(width)
    for t in range(rows.shape[0]):
        sums = spread(0.0)
        for block in range(0, width, LANES):
            joint = multiply(load(predicted, block), load(densities, rows[t] * width + block))
            store(share, block, joint)
            sums = add(sums, joint)
        density = total(sums)
        if not density > SMALLEST_SCALE:
            return False
        scales[t] = density
        for block in range(0, width, LANES):
            scaled = multiply(load(share, block), spread(1.0 / density))
            store(share, block, scaled)
            store(filtered, t * width + block, scaled)
        if strict and has_lost(t, rows[t], densities, predicted, transmat, n_states, filtered):
            return False
        times_matrix(share, transmat, n_states, predicted)
    return True


@njit(cache=True)
def smooth_eight(
    densities, rows, transposed, n_states, strict, weight, filtered, scales, shares, own_lines,
    initial, pairs,
):  # fmt: skip
    """``smooth_scaled`` for at most eight states."""
    line0, line1, line2, line3 = (
        load(transposed, 0), load(transposed, 8), load(transposed, 16), load(transposed, 24)
    )  # fmt: skip
    line4, line5, line6, line7 = (
        load(transposed, 32), load(transposed, 40), load(transposed, 48), load(transposed, 56)
    )  # fmt: skip
    zero, backward = spread(0.0), spread(weight)
    pair0, pair1, pair2, pair3 = zero, zero, zero, zero
    pair4, pair5, pair6, pair7 = zero, zero, zero, zero
    for t in range(rows.shape[0] - 1, -1, -1):
        here = load(filtered, t * LANES)
        share = multiply(backward, here)
        if own_lines:
            store(filtered, t * LANES, share)
        else:
            store(shares, rows[t] * LANES, add(load(shares, rows[t] * LANES), share))
        if t == 0:
            store(initial, 0, add(load(initial, 0), share))
            break
        factor = multiply(load(densities, rows[t] * LANES), spread(1.0 / scales[t]))
        if strict:  # a state that cannot be is left out: its factor could overflow unseen
            factor = where_below(zero, here, factor, zero)
        ahead = multiply(backward, factor)
        pair0 = add_product(spread(filtered[t - 1, 0]), ahead, pair0)
        pair1 = add_product(spread(filtered[t - 1, 1]), ahead, pair1)
        pair2 = add_product(spread(filtered[t - 1, 2]), ahead, pair2)
        pair3 = add_product(spread(filtered[t - 1, 3]), ahead, pair3)
        if n_states > 4:
            pair4 = add_product(spread(filtered[t - 1, 4]), ahead, pair4)
            if n_states > 5:
                pair5 = add_product(spread(filtered[t - 1, 5]), ahead, pair5)
                pair6 = add_product(spread(filtered[t - 1, 6]), ahead, pair6)
                pair7 = add_product(spread(filtered[t - 1, 7]), ahead, pair7)
        if t % CHUNK_STEPS == 0 or t == 1:
            store(pairs, 0, add(load(pairs, 0), pair0))
            store(pairs, 8, add(load(pairs, 8), pair1))
            store(pairs, 16, add(load(pairs, 16), pair2))
            store(pairs, 24, add(load(pairs, 24), pair3))
            store(pairs, 32, add(load(pairs, 32), pair4))
            store(pairs, 40, add(load(pairs, 40), pair5))
            store(pairs, 48, add(load(pairs, 48), pair6))
            store(pairs, 56, add(load(pairs, 56), pair7))
            pair0, pair1, pair2, pair3 = zero, zero, zero, zero
            pair4, pair5, pair6, pair7 = zero, zero, zero, zero
        backward = through(ahead, n_states, line0, line1, line2, line3, line4, line5, line6, line7)


@njit(cache=True)
def smooth_scaled(
    densities, rows, transposed, n_states, strict, weight, filtered, scales, shares, own_lines,
    initial, pairs,
):  # fmt: skip
    """Backward pass of one sequence after ``filter_scaled``.

    Adds ``weight`` times the smoothed probabilities to ``shares`` by line of the table (puts them
    in place of ``filtered`` where each step has its ``own_lines``), those of the first step to
    ``initial``, and to ``pairs`` those of pairs of states in a row, each still to be multiplied
    by its transition probability.
    """
    width = transposed.shape[0]
    if width == LANES:
        smooth_eight(
            densities, rows, transposed, n_states, strict, weight, filtered, scales, shares,
            own_lines, initial, pairs,
        )  # fmt: skip
        return
    backward = np.ones(width)
    ahead = np.zeros(width)
    chunk = np.zeros((width, width))
    for t in range(rows.shape[0] - 1, -1, -1):
        r = rows[t] * width
        for block in range(0, width, LANES):
            here = load(filtered, t * width + block)
            scaled = multiply(spread(1.0 / scales[t]), load(densities, r + block))
            factor = multiply(scaled, load(backward, block))
            store(ahead, block, where_below(spread(0.0), here, factor, spread(0.0)))
            share = multiply(multiply(spread(weight), here), load(backward, block))
            if own_lines:
                store(filtered, t * width + block, share)
            else:
                store(shares, r + block, add(load(shares, r + block), share))
            if t == 0:
                store(initial, block, add(load(initial, block), share))
        if t == 0:
            break
        for i in range(n_states):
            share = spread(weight * filtered[t - 1, i])
            for block in range(0, width, LANES):
                place = i * width + block
                store(chunk, place, add_product(share, load(ahead, block), load(chunk, place)))
        if t % CHUNK_STEPS == 0 or t == 1:
            pairs += chunk
            chunk[:] = 0.0
        times_matrix(ahead, transposed, n_states, backward)


@njit(cache=True)
def smooth(
    densities, rows, offsets, weights, startprob, transmat, n_states, own_lines, filtered, scales
):  # fmt: skip
    """Smoothed states of all sequences.

    ``filtered`` (n, width) is room to work in, and the first result where each step has its
    ``own_lines``; ``scales`` (n,) takes what ``filter_scaled`` gives, 1 where it gives nothing.
    Returns ``shares`` (m, width), ``initial`` (width,), ``pairs`` (width, width) as
    ``smooth_scaled`` adds them, and ``left`` (n_sequences,), which is True for sequences that
    are left to the log form.
    """
    width = startprob.shape[0]
    shares = filtered if own_lines else np.zeros(densities.shape)
    initial = np.zeros(width)
    pairs = np.zeros((width, width))
    left = np.zeros(offsets.shape[0] - 1, dtype=np.bool_)
    strict = transmat[:n_states, :n_states].min() < SMALLEST_TRANSITION
    transposed = transmat.T.copy()
    for s in range(offsets.shape[0] - 1):
        first, last = offsets[s], offsets[s + 1]
        steps, own, sizes = rows[first:last], filtered[first:last], scales[first:last]
        if weights[s] > 0.0:
            left[s] = not filter_scaled(
                densities, steps, startprob, transmat, n_states, strict, own, sizes
            )
        if weights[s] == 0.0 or left[s]:
            own[:] = 0.0
            sizes[:] = 1.0
            continue
        smooth_scaled(
            densities, steps, transposed, n_states, strict, weights[s], own, sizes, shares,
            own_lines, initial, pairs,
        )  # fmt: skip
    return shares, initial, pairs, left
