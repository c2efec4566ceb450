"""Compiled parts that Gaussian passes share: blocks of rows, one column after the other.

Rows of one pattern go through in blocks that stay in cache, columns in pattern order, so that every
inner loop runs over neighbouring numbers.  Four columns go together: sums then stay in registers.
"""

from numba import njit

BLOCK_ROWS = 248
"""Most rows of a block; part of the order of sums.  An odd number of cache lines, so that the
columns of a block do not push each other out of the cache."""

CACHED = 1 << 15
"""Numbers that the completed rows of a block may be, for all components; fewer rows else."""


@njit(cache=True)
def block_rows(width):
    """Rows of a block whose completed rows take ``width`` numbers each."""
    size = BLOCK_ROWS
    while size > 56 and size * width > CACHED:
        size = (size + 8) // 2 - 8  # 248, 120, 56
    return size


@njit(cache=True)
def gather_rows(values, rows, columns, m, x):
    """The observed columns of some rows into ``x`` (d, B), in pattern order."""
    for i in range(rows.shape[0]):
        row = rows[i]
        for a in range(m):
            x[a, i] = values[row, columns[a]]


@njit(cache=True)
def add_scaled(scale, x, y, n):
    """y += scale * x on the first n entries."""
    for i in range(n):
        y[i] += scale * x[i]


@njit(cache=True, fastmath={"reassoc", "contract"})
def dot(x, y, n):
    """Sum of products of the first n entries, summed in the order of the vector units."""
    total = 0.0
    for i in range(n):
        total += x[i] * y[i]
    return total


@njit(cache=True, fastmath={"contract"})
def combine(scales, x, count, y, n):
    """y = sum over the first ``count`` rows of ``x`` (count, B), each times its scale."""
    for i in range(n):
        y[i] = 0.0
    b = 0
    while b + 4 <= count:
        s0, s1, s2, s3 = scales[b], scales[b + 1], scales[b + 2], scales[b + 3]
        for i in range(n):
            y[i] += s0 * x[b, i] + s1 * x[b + 1, i] + s2 * x[b + 2, i] + s3 * x[b + 3, i]
        b += 4
    while b < count:
        add_scaled(scales[b], x[b], y, n)
        b += 1


@njit(cache=True)
def complete_rows(x, n, columns, m, mean, whiten, deviations, distances, z):
    """``gaussian.complete_row`` for a block of n rows ``x`` (d, B), in pattern order.

    ``deviations`` (d, B) takes the completed rows minus ``mean``, ``distances`` (B,) z'z.
    """
    d = mean.shape[0]
    distances[:n] = 0.0
    for a in range(m, d):
        deviations[a, :n] = 0.0
    for a in range(m):
        centre = mean[columns[a]]
        for i in range(n):
            deviations[a, i] = x[a, i] - centre
    for a in range(m):
        combine(whiten[a], deviations, a + 1, z, n)
        for i in range(n):
            distances[i] += z[i] * z[i]
        for u in range(m, d):
            add_scaled(whiten[u, a], z, deviations[u], n)


@njit(cache=True, fastmath={"reassoc", "contract"})
def add_moments(shares, deviations, n, z, first, second):
    """Add the moments of n weighted rows to ``first`` (d,) and the lower half of ``second`` (d, d).

    Returns the sum of ``shares``.  Summed in the order of the vector units.
    """
    count = 0.0
    for i in range(n):
        count += shares[i]
    for a in range(first.shape[0]):
        total = 0.0
        for i in range(n):
            z[i] = shares[i] * deviations[a, i]
            total += z[i]
        first[a] += total
        b = 0
        while b + 4 <= a + 1:
            t0, t1, t2, t3 = 0.0, 0.0, 0.0, 0.0
            for i in range(n):
                t0 += z[i] * deviations[b, i]
                t1 += z[i] * deviations[b + 1, i]
                t2 += z[i] * deviations[b + 2, i]
                t3 += z[i] * deviations[b + 3, i]
            second[a, b] += t0
            second[a, b + 1] += t1
            second[a, b + 2] += t2
            second[a, b + 3] += t3
            b += 4
        while b <= a:
            second[a, b] += dot(z, deviations[b], n)
            b += 1
    return count


@njit(cache=True, fastmath={"reassoc", "contract"})
def weighted_sums(weights, logliks, n):
    """Weighted sum of the first n logliks, and of their sizes."""
    total = 0.0
    size = 0.0
    for i in range(n):
        total += weights[i] * logliks[i]
        size += weights[i] * abs(logliks[i])
    return total, size


@njit(cache=True)
def add_completed(count, group_first, group_second, conditional, columns, m, first, second):
    """Add a pattern's sums, in pattern order, to ``first`` (d,) and the lower half of ``second``.

    Every row's missing cells add their conditional scatter.
    """
    d = first.shape[0]
    for a in range(d):
        first[columns[a]] += group_first[a]
        for b in range(a + 1):
            total = group_second[a, b]
            if b >= m:
                total += count * conditional[a - m, b - m]
            second[max(columns[a], columns[b]), min(columns[a], columns[b])] += total


@njit(cache=True)
def mirror(second):
    """Copy the lower halves of ``second`` (K, d, d) to the upper ones."""
    for k in range(second.shape[0]):
        for a in range(second.shape[1]):
            for b in range(a):
                second[k, b, a] = second[k, a, b]
