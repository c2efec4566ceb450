"""Compiled parts that Gaussian passes share: blocks of rows, one column after the other.

Rows of one pattern go through in blocks that stay in cache, columns in pattern order, so that every
inner loop runs over neighbouring numbers.
"""

from numba import njit

from emlib.kernels.lanes import LANES, add, add_product, load, multiply, spread, store, total

BLOCK_ROWS = 248
"""Most rows of a block; part of the order of sums.  An odd number of cache lines, so that the
columns of a block do not push each other out of the cache."""

CACHED = 1 << 14
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
def gather_weights(weights, rows, block_weights):
    """The weights of some rows, and 0 up to the next multiple of ``LANES``."""
    n = rows.shape[0]
    for i in range(n):
        block_weights[i] = weights[rows[i]]
    block_weights[n : n + LANES] = 0.0


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


@njit(cache=True)
def whiten_rows(x, n, columns, m, mean, whiten, deviations, distances):
    """Deviations of n rows ``x`` (d, B), in pattern order, and their squared lengths whitened.

    The first m lines of ``deviations`` (d, B) take the observed cells minus ``mean``,
    ``distances`` (B,) the squared length of L^-1 times them.  L^-1 is lower triangular in
    ``whiten``, with zeros above.  Four of its rows go together: their sums stay in registers.
    """
    width = deviations.shape[1]
    for a in range(m):
        centre = mean[columns[a]]
        for i in range(n):
            deviations[a, i] = x[a, i] - centre
    for place in range(0, n, LANES):
        distance = spread(0.0)
        a = 0
        while a + 4 <= m:
            z0, z1, z2, z3 = spread(0.0), spread(0.0), spread(0.0), spread(0.0)
            for b in range(a + 4):
                part = load(deviations, b * width + place)
                z0 = add_product(spread(whiten[a, b]), part, z0)
                z1 = add_product(spread(whiten[a + 1, b]), part, z1)
                z2 = add_product(spread(whiten[a + 2, b]), part, z2)
                z3 = add_product(spread(whiten[a + 3, b]), part, z3)
            distance = add_product(z0, z0, distance)
            distance = add_product(z1, z1, distance)
            distance = add_product(z2, z2, distance)
            distance = add_product(z3, z3, distance)
            a += 4
        while a < m:
            z0 = spread(0.0)
            for b in range(a + 1):
                z0 = add_product(spread(whiten[a, b]), load(deviations, b * width + place), z0)
            distance = add_product(z0, z0, distance)
            a += 1
        store(distances, place, distance)


@njit(cache=True)
def add_moments(shares, deviations, n, m, z, first, second):
    """Add the moments of n weighted rows, the first m columns of them, to ``first`` (d,) and the
    lower half of ``second`` (d, d).

    ``shares`` are 0 from n to the next multiple of ``LANES``; ``z`` (2, B) is scratch.  Returns
    the sum of the shares.  Two rows and two columns of ``second`` go together.
    """
    width = deviations.shape[1]
    count = spread(0.0)
    for place in range(0, n, LANES):
        count = add(count, load(shares, place))
    for a in range(0, m, 2):
        last = min(a + 1, m - 1)  # the same row twice where m is odd
        t0, t1 = spread(0.0), spread(0.0)
        for place in range(0, n, LANES):
            share = load(shares, place)
            z0 = multiply(share, load(deviations, a * width + place))
            z1 = multiply(share, load(deviations, last * width + place))
            store(z, place, z0)
            store(z, width + place, z1)
            t0, t1 = add(t0, z0), add(t1, z1)
        first[a] += total(t0)
        if last > a:
            first[last] += total(t1)
        for b in range(0, last + 1, 2):
            c = min(b + 1, m - 1)
            ab, ac, lb, lc = spread(0.0), spread(0.0), spread(0.0), spread(0.0)
            for place in range(0, n, LANES):
                z0, z1 = load(z, place), load(z, width + place)
                d0 = load(deviations, b * width + place)
                d1 = load(deviations, c * width + place)
                ab, ac = add_product(z0, d0, ab), add_product(z0, d1, ac)
                lb, lc = add_product(z1, d0, lb), add_product(z1, d1, lc)
            second[a, b] += total(ab)
            if b < c <= a:
                second[a, c] += total(ac)
            if last > a:
                second[last, b] += total(lb)
                second[last, c] += total(lc)
    return total(count)


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
def add_completed(
    count, group_first, group_second, whiten, conditional, columns, m, cross, first, second
):
    """Add the sums of a pattern's completed rows to ``first`` and the lower half of ``second``.

    A completed row is linear in its observed cells, so the sums over these, in pattern order, say
    all; the missing cells of ``count`` rows add their conditional scatter.  ``whiten`` and
    ``conditional`` are those of ``gaussian.factor_pattern``; ``cross`` (d, d) is scratch.
    """
    d = first.shape[0]
    for a in range(m):
        first[columns[a]] += group_first[a]
        for b in range(a + 1):
            second[columns[a], columns[b]] += group_second[a, b]
            group_second[b, a] = group_second[a, b]
    for u in range(m, d):
        line = cross[u]
        line[:m] = 0.0
        shift = 0.0
        for b in range(m):
            slope = whiten[u, b]
            shift += slope * group_first[b]
            for a in range(m):
                line[a] += slope * group_second[b, a]
        first[columns[u]] += shift
        for a in range(m):
            second[max(columns[u], columns[a]), min(columns[u], columns[a])] += line[a]
        for v in range(m, u + 1):
            total = count * conditional[u - m, v - m]
            for a in range(m):
                total += whiten[v, a] * line[a]
            second[columns[u], columns[v]] += total


@njit(cache=True)
def mirror(second):
    """Copy the lower halves of ``second`` (K, d, d) to the upper ones."""
    for k in range(second.shape[0]):
        for a in range(second.shape[1]):
            for b in range(a):
                second[k, b, a] = second[k, a, b]
