"""One normal: closed forms on complete and monotone data, and what an unbounded one says."""

import numpy as np
import pytest

from emlib.algorithms import Stopping, climb
from emlib.data import Table
from emlib.models import make_model
from emlib.models.multivariate_normal import MultivariateNormalModel, MultivariateNormalParams

MODEL = MultivariateNormalModel()


def start_of(data):
    return MODEL.start(data, np.ones((data.n, 1)))


def test_complete_data_take_one_step_from_anywhere(rng):
    x = rng.normal(size=(50, 4)) @ rng.normal(size=(4, 4)) + 10.0
    far = MultivariateNormalParams(np.full(4, -5.0), 3.0 * np.eye(4))
    end = climb(MODEL, Table.from_array(x), far, stopping=Stopping(0, 1)).params
    assert end.mean == pytest.approx(x.mean(axis=0), rel=1e-12)
    assert end.covariance == pytest.approx(np.cov(x.T, bias=True), rel=1e-10)


def test_the_start_has_the_means_of_what_is_seen_and_is_sound_for_any_rows(rng):
    x = rng.normal(size=(3, 5))
    x[0, 1] = np.nan
    start = start_of(Table.from_array(x))
    assert start.mean == pytest.approx(np.nanmean(x, axis=0))
    assert np.linalg.eigvalsh(start.covariance).min() > 0


def test_monotone_holes_end_at_andersons_closed_form(rng):
    """Anderson (1957): regress the column with holes on the complete one."""
    x = rng.multivariate_normal([1.0, 2.0], [[2.0, 1.2], [1.2, 1.0]], 80)
    x[50:, 1] = np.nan
    data = Table.from_array(x)
    end = climb(MODEL, data, start_of(data), stopping=Stopping(1e-12, 5000)).params
    both = x[:50]
    within = np.cov(both.T, bias=True)
    slope = within[0, 1] / within[0, 0]
    mean, variance = x[:, 0].mean(), x[:, 0].var()
    assert end.mean == pytest.approx([mean, both[:, 1].mean() + slope * (mean - both[:, 0].mean())])
    rest = within[1, 1] - slope * within[0, 1]
    expected = [[variance, slope * variance], [slope * variance, rest + slope**2 * variance]]
    assert end.covariance == pytest.approx(np.array(expected), rel=1e-5)


def test_columns_that_are_collinear_where_they_are_seen_end_as_degenerate(rng):
    x = rng.normal(size=(20, 3))
    x[:, 2] = x[:, 0] - x[:, 1]
    x[:5, 2] = np.nan
    data = Table.from_array(x)
    end = climb(MODEL, data, start_of(data), stopping=Stopping(1e-3, 5000))
    assert end.status == "degenerate"
    assert end.message == "the covariance is singular: the likelihood of these data is unbounded"


def test_a_prior_bounds_the_likelihood_of_collinear_columns(rng):
    x = rng.normal(size=(4, 6))
    x[0, 0] = np.nan
    data = Table.from_array(x)
    assert climb(MODEL, data, start_of(data)).status == "degenerate"
    broad = Table.from_array(np.vstack([x, rng.normal(size=(9, 6))]))
    model = MultivariateNormalModel("fraley_raftery").prepare(broad)
    end = climb(model, data, model.start(broad, np.ones((broad.n, 1))))
    assert end.status == "converged"
    assert end.objective == pytest.approx(end.loglik + model.log_prior(end.params))


def test_an_unknown_prior_is_named():
    with pytest.raises(ValueError, match="prior: 'vague' is not one of fraley_raftery"):
        make_model("multivariate_normal", {"prior": "vague"})


def test_parameters_that_are_held_stay(rng):
    data = Table.from_array(rng.normal(size=(30, 2)))
    params = MultivariateNormalParams(np.zeros(2), 2.0 * np.eye(2))
    stats = MODEL.e_step(params, data)
    moved = MODEL.m_step(stats, params, frozenset({"covariance"}))
    assert np.array_equal(moved.mean, params.mean)
    assert moved.covariance == pytest.approx(data.values.T @ data.values / 30)
