"""The compiled test of sizes against eigenvalues."""

import numpy as np
import pytest

from emlib.kernels.collapse import all_have_size

RATIO, OWN = 1e-10, 1e-13


def with_eigenvalues(rng, values):
    basis = np.linalg.qr(rng.normal(size=(len(values), len(values))))[0]
    matrix = (basis * values) @ basis.T
    return (matrix + matrix.T) / 2


def says(pooled, covariances):
    rests = [pooled - RATIO * np.diag(np.diagonal(pooled))]
    rests += [covariance - RATIO * pooled for covariance in covariances]
    rests += [covariance - OWN * np.diag(np.diagonal(covariance)) for covariance in covariances]
    return all(np.linalg.eigvalsh(rest)[0] > 0 for rest in rests)


@pytest.mark.parametrize("smallest", [1.0, 1e-6, 1e-9, 1e-11, 0.0, -1e-3])
@pytest.mark.parametrize("d", [1, 2, 5])
def test_a_covariance_has_a_size_where_all_relative_eigenvalues_say_so(rng, d, smallest):
    for _ in range(20):
        pooled = with_eigenvalues(rng, rng.random(d) + 0.5)
        small = with_eigenvalues(rng, np.r_[smallest, np.ones(d - 1)])
        covariances = np.array([with_eigenvalues(rng, rng.random(d) + 0.5), small])
        assert all_have_size(pooled, covariances, RATIO, OWN) == says(pooled, covariances)
        assert all_have_size(small, covariances[:0], RATIO, OWN) == says(small, [])
