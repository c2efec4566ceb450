"""EM nears a probability of zero and never comes there; standard errors say so, and only there."""

import numpy as np
import pytest

from emlib import (
    BernoulliMixture,
    CategoricalHMM,
    GaussianHMM,
    GroupedMultinomial,
    LatentClass,
    MixtureHMM,
    PoissonHMM,
    PoissonMixture,
)

LOOSE_AND_TIGHT = pytest.mark.parametrize("tol", [1e-3, 1e-10])


def reasons_of(errors, name):
    value = errors.reasons[name]
    return [one.tolist() for one in value] if isinstance(value, list) else value.tolist()


@LOOSE_AND_TIGHT
def test_a_probability_of_one_has_none_and_all_others_have(tol):
    rng = np.random.default_rng(3)
    ones = rng.random(300) < 0.4
    chances = np.where(ones[:, None], [1.0, 0.7, 0.8, 0.3, 0.9], [0.2, 0.3, 0.3, 0.8, 0.2])
    x = (rng.random((300, 5)) < chances).astype(float)
    fit = BernoulliMixture(2, tol=tol, max_iter=10_000, random_state=0).fit(x)
    errors = fit.standard_errors()
    on_boundary = fit.probabilities_ > 0.999
    assert on_boundary.sum() == 1
    assert fit.flags_ == ("boundary",)
    assert np.array_equal(errors.reasons["probabilities"] == "boundary", on_boundary)
    assert np.isnan(errors["probabilities"][on_boundary]).all()
    assert (errors["probabilities"][~on_boundary] > 0.01).all()
    assert (errors["weights"] > 0.01).all()
    assert errors.null_dimension == 0


@LOOSE_AND_TIGHT
def test_a_rate_of_zero_has_none(tol):
    rng = np.random.default_rng(4)
    ones = rng.random(300) < 0.4
    x = rng.poisson(np.where(ones[:, None], [4.0, 0.0, 5.0], [1.0, 3.0, 1.0]))
    fit = PoissonMixture(2, tol=tol, max_iter=10_000, random_state=0).fit(x)
    errors = fit.standard_errors()
    assert np.array_equal(errors.reasons["rates"] == "boundary", fit.rates_ < 1e-3)
    assert (errors["rates"][fit.rates_ > 1e-3] > 0.01).all()


def test_items_with_different_numbers_of_levels_have_a_list_of_errors():
    rng = np.random.default_rng(5)
    group = (rng.random(400) < 0.4).astype(int)
    items = [
        np.array([[0.7, 0.3], [0.2, 0.8]]),
        np.array([[0.6, 0.3, 0.1], [0.1, 0.3, 0.6]]),
        np.array([[0.7, 0.2, 0.1], [0.15, 0.25, 0.6]]),
    ]
    x = np.column_stack([(rng.random(400)[:, None] > p[group].cumsum(1)).sum(1) for p in items])
    fit = LatentClass(2, tol=1e-9, max_iter=50_000, random_state=0).fit(x)
    for errors in (fit.standard_errors(), fit.standard_errors("bootstrap", n_resamples=3)):
        assert [e.shape for e in errors["probabilities"]] == [(2, 2), (2, 3), (2, 3)]
    given = {"weights": fit.weights_, "probabilities": fit.probabilities_}
    again = LatentClass(2, init_params=given, tol=1e-6).fit(x)
    assert again.loglik_ == pytest.approx(fit.loglik_, abs=1e-6)


def test_a_category_without_counts_leaves_the_others_their_binomial_errors():
    fit = GroupedMultinomial().fit([[12.0, 0.0, 5.0, 34.0]])
    errors = fit.standard_errors()
    assert reasons_of(errors, "theta") == ["", "boundary", "", ""]
    p = np.array([12.0, 5.0, 34.0]) / 51.0
    assert errors["theta"][[0, 2, 3]] == pytest.approx(np.sqrt(p * (1 - p) / 51.0), rel=1e-5)


@LOOSE_AND_TIGHT
def test_a_state_that_is_never_left_has_none(tol):
    rng = np.random.default_rng(6)
    states = np.repeat([0, 1], 150)
    x = rng.normal(size=(300, 1)) + 5.0 * states[:, None]
    fit = GaussianHMM(2, tol=tol, max_iter=10_000, random_state=0).fit(x)
    errors = fit.standard_errors()
    last = fit.predict(x)[-1]
    assert reasons_of(errors, "startprob") == ["boundary", "boundary"]  # one sequence
    assert errors.reasons["transmat"][last].tolist() == ["boundary", "boundary"]
    assert errors.reasons["transmat"][1 - last].tolist() == ["", ""]
    assert errors["transmat"][1 - last, last] == pytest.approx((149 / 150**3) ** 0.5, rel=0.02)
    assert errors["means"].ravel() == pytest.approx([150**-0.5] * 2, rel=0.2)


def chain_of(rng, n):
    states = [0]
    for _ in range(n - 1):
        states.append(states[-1] if rng.random() < 0.85 else 1 - states[-1])
    return np.array(states)


def test_symbols_rates_and_shares_that_a_state_never_shows_have_none():
    rng = np.random.default_rng(7)
    states = chain_of(rng, 400)
    chances = np.array([[0.7, 0.3, 0.0], [0.1, 0.2, 0.7]])
    symbols = (rng.random(400)[:, None] > chances[states].cumsum(1)).sum(1)[:, None]
    counts = rng.poisson(np.where(states[:, None] == 1, [6.0, 0.0], [2.0, 4.0]))
    fits = {
        "emissionprob": CategoricalHMM(2, random_state=1, n_init=3).fit(symbols),
        "rates": PoissonHMM(2, random_state=0).fit(counts),
    }
    for name, fit in fits.items():
        errors = fit.standard_errors()
        zero = getattr(fit, f"{name}_") < 1e-3
        assert zero.sum() == 1, name
        assert "boundary" in fit.flags_
        assert np.array_equal(errors.reasons[name] == "boundary", zero)
        assert (errors[name][~zero] > 0).all()


def test_interior_chains_are_not_called_boundary():
    rng = np.random.default_rng(8)
    states = chain_of(rng, 600)
    parts = rng.random(600) < 0.5
    x = rng.normal(size=(600, 1)) + 9.0 * states[:, None] + 4.0 * parts[:, None]
    fit = MixtureHMM(2, n_mix=2, random_state=0).fit(x, lengths=[60] * 10)
    if "boundary" not in fit.flags_:
        assert not any((r == "boundary").any() for r in fit.standard_errors().reasons.values())
    assert fit.flags_ == ()
