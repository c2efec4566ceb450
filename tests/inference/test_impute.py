"""Draws of missing cells: conditional, and proper so that Rubin's rules hold."""

import numpy as np
import pytest

from emlib import GaussianMixture


def problem(rng, n=60):
    """Two correlated columns; the second has holes where the first is high (MAR)."""
    x = rng.multivariate_normal([0.0, 1.0], [[1.0, 0.7], [0.7, 1.0]], size=n)
    holed = x.copy()
    holed[(x[:, 0] > 0.2) & (rng.random(n) < 0.8), 1] = np.nan
    return holed


def rubin(draws):
    """Estimate of the second column's mean, and Rubin's total variance."""
    m, n = draws.shape[:2]
    means = draws[:, :, 1].mean(axis=1)
    within = draws[:, :, 1].var(axis=1, ddof=1).mean() / n
    return means.mean(), within + (1 + 1 / m) * means.var(ddof=1)


@pytest.mark.parametrize("proper", [True, "normal"])
def test_proper_draws_give_the_variance_that_estimates_really_have(proper):
    estimates, proper_total, improper_total = [], [], []
    for seed in range(120):
        rng = np.random.default_rng(seed)
        x = problem(rng)
        fit = GaussianMixture(1, random_state=seed, tol=1e-5).fit(x)
        estimate, total = rubin(fit.impute(x, n_draws=15, proper=proper))
        estimates.append(estimate)
        proper_total.append(total)
        improper_total.append(rubin(fit.impute(x, n_draws=15))[1])
    real = np.var(estimates, ddof=1)
    assert np.mean(proper_total) == pytest.approx(real, rel=0.3)
    assert np.mean(improper_total) < 0.85 * np.mean(proper_total)


def test_draws_keep_what_is_observed(rng):
    x = problem(rng)
    draws = GaussianMixture(2, random_state=0).fit(x).impute(x, n_draws=3)
    assert draws.shape == (3, *x.shape)
    observed = ~np.isnan(x)
    assert (draws[:, observed] == x[observed]).all()
    assert np.isfinite(draws).all()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"n_draws": 0}, "n_draws: 0"),
        ({"n_draws": 2, "proper": "magic"}, "proper: 'magic'"),
        ({"proper": True}, "n_draws"),
    ],
)
def test_bad_arguments_are_refused(rng, arguments, text):
    x = problem(rng)
    with pytest.raises(ValueError, match=text):
        GaussianMixture(1).fit(x).impute(x, **arguments)
