"""Gaussian hidden Markov models far from zero."""

import numpy as np
import pytest

from emlib import GaussianHMM, MixtureHMM


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize("shift", [1e6, 1e10])
def test_states_far_from_zero_do_not_collapse(covariance_type, shift):
    """At 1e10 doubles resolve a millionth of these standard deviations."""
    rng = np.random.default_rng(0)
    states = np.repeat([0, 1, 2, 0, 1, 2], 40)
    X = np.round(5.0 * states[:, None] + rng.normal(size=(240, 2)), 3)
    near = GaussianHMM(3, covariance_type=covariance_type, random_state=0).fit(X)
    far = GaussianHMM(3, covariance_type=covariance_type, random_state=0).fit(X + shift)
    assert (near.status_, far.status_) == ("converged", "converged")
    assert far.loglik_ == pytest.approx(near.loglik_, rel=1e-4)


def test_components_of_states_far_from_zero_do_not_collapse():
    rng = np.random.default_rng(0)
    states = np.repeat([0, 1, 0, 1], 60)
    X = 9.0 * states[:, None] + rng.normal(size=(240, 1)) + 4.0 * rng.integers(0, 2, (240, 1))
    far = MixtureHMM(2, n_mix=2, covariance_type="tied", random_state=0).fit(X + 1e10)
    assert far.status_ == "converged"
