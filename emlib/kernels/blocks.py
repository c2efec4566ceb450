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
def combine(first, second, x, count, y, n):
    """Rows 0 and 1 of ``y`` = sums over the first ``count`` rows of ``x``, each times its scale."""
    for i in range(n):
        y[0, i] = 0.0
        y[1, i] = 0.0
    b = 0
    while b + 4 <= count:
        f0, f1, f2, f3 = first[b], first[b + 1], first[b + 2], first[b + 3]
        s0, s1, s2, s3 = second[b], second[b + 1], second[b + 2], second[b + 3]
        for i in range(n):
            x0, x1, x2, x3 = x[b, i], x[b + 1, i], x[b + 2, i], x[b + 3, i]
            y[0, i] += f0 * x0 + f1 * x1 + f2 * x2 + f3 * x3
            y[1, i] += s0 * x0 + s1 * x1 + s2 * x2 + s3 * x3
        b += 4
    while b < count:
        f0, s0 = first[b], second[b]
        for i in range(n):
            y[0, i] += f0 * x[b, i]
            y[1, i] += s0 * x[b, i]
        b += 1


@njit(cache=True)
def complete_rows(x, n, columns, m, mean, whiten, deviations, distances, z):
    """``gaussian.complete_row`` for a block of n rows ``x`` (d, B), in pattern order.

    ``deviations`` (d, B) takes the completed rows minus ``mean``, ``distances`` (B,) z'z; ``z``
    (2, B) is scratch.
    """
    d = mean.shape[0]
    distances[:n] = 0.0
    for a in range(m, d):
        deviations[a, :n] = 0.0
    for a in range(m):
        centre = mean[columns[a]]
        for i in range(n):
            deviations[a, i] = x[a, i] - centre
    for a in range(0, m, 2):
        last = min(a + 1, m - 1)  # the same row twice where m is odd
        combine(whiten[a], whiten[last], deviations, a + 1, z, n)
        if last > a:
            add_scaled(whiten[last, last], deviations[last], z[1], n)
        for c in range(a, last + 1):
            part = z[c - a]
            for i in range(n):
                distances[i] += part[i] * part[i]
            for u in range(m, d):
                add_scaled(whiten[u, c], part, deviations[u], n)


@njit(cache=True, fastmath={"reassoc", "contract"})
def add_moments(shares, deviations, n, z, first, second):
    """Add the moments of n weighted rows to ``first`` (d,) and the lower half of ``second`` (d, d).

    Returns the sum of ``shares``; ``z`` (2, B) is scratch.  Summed in the order of the vector
    units, two rows and four columns of ``second`` at a time.
    """
    d = first.shape[0]
    count = 0.0
    for i in range(n):
        count += shares[i]
    for a in range(0, d, 2):
        last = min(a + 1, d - 1)
        total, other = 0.0, 0.0
        for i in range(n):
            z[0, i] = shares[i] * deviations[a, i]
            z[1, i] = shares[i] * deviations[last, i]
            total += z[0, i]
            other += z[1, i]
        first[a] += total
        b = 0
        while b + 4 <= a + 1:
            t0, t1, t2, t3 = 0.0, 0.0, 0.0, 0.0
            u0, u1, u2, u3 = 0.0, 0.0, 0.0, 0.0
            for i in range(n):
                z0, z1 = z[0, i], z[1, i]
                d0, d1 = deviations[b, i], deviations[b + 1, i]
                d2, d3 = deviations[b + 2, i], deviations[b + 3, i]
                t0 += z0 * d0
                t1 += z0 * d1
                t2 += z0 * d2
                t3 += z0 * d3
                u0 += z1 * d0
                u1 += z1 * d1
                u2 += z1 * d2
                u3 += z1 * d3
            second[a, b] += t0
            second[a, b + 1] += t1
            second[a, b + 2] += t2
            second[a, b + 3] += t3
            if last > a:
                second[last, b] += u0
                second[last, b + 1] += u1
                second[last, b + 2] += u2
                second[last, b + 3] += u3
            b += 4
        while b <= a:
            t0, u0 = 0.0, 0.0
            for i in range(n):
                t0 += z[0, i] * deviations[b, i]
                u0 += z[1, i] * deviations[b, i]
            second[a, b] += t0
            if last > a:
                second[last, b] += u0
            b += 1
        if last > a:
            first[last] += other
            second[last, last] += dot(z[1], deviations[last], n)
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
