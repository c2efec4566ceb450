"""select: a grid ranked by a criterion, failures kept with their reasons."""

import numpy as np
import pytest

import emlib
from emlib import GaussianMixture, MultivariateNormal, select
from tests.conftest import mixture_rows


def test_the_best_criterion_of_sound_fits_comes_first(rng):
    x = mixture_rows(rng, 150, 2, 2, missing=0.1)
    grid = [
        GaussianMixture(k, covariance_type=code, n_init=3, random_state=0)
        for k in (1, 2, 3)
        for code in ("EII", "VVV")
    ]
    table = select(grid, x)
    sound = table[[("spurious" not in flags) for flags in table["flags"]]]
    assert sound.bic.is_monotonic_increasing
    assert list(sound.index) == list(range(len(sound)))
    assert {"n_components", "covariance_type"} < set(table.columns)
    assert not {"n_init", "random_state", "tol"} & set(table.columns)
    for line in table.itertuples():
        again = GaussianMixture(
            line.n_components, covariance_type=line.covariance_type, n_init=3, random_state=0
        ).fit(x)
        assert line.bic == pytest.approx(again.bic(), rel=1e-12)
        assert line.n_parameters == again.n_parameters_
        assert line.estimator.loglik_ == line.loglik


def test_spurious_ends_come_after_sound_ones_whatever_their_criterion(rng):
    x = np.vstack([rng.normal(size=(60, 2)), 1e-3 * rng.normal(size=(3, 2)) + 0.5])
    start = {"weights": [0.95, 0.05], "means": [[0, 0], [0.5, 0.5]],
             "covariances": [np.eye(2), 1e-6 * np.eye(2)]}  # fmt: skip
    table = select({"one": GaussianMixture(1), "two": GaussianMixture(2, init_params=start)}, x)
    assert table.model.tolist() == ["one", "two"]
    assert "spurious" in table["flags"][1]
    assert table.bic[1] < table.bic[0]


def test_failures_stay_in_the_table_with_their_reasons(rng):
    line = rng.normal(size=(30, 1)) @ np.array([[1.0, 2.0]])
    grid = {
        "too many": GaussianMixture(31),
        "columns": GaussianMixture(1, covariance_type="VVI"),
        "matrix": GaussianMixture(1),
        "misspelt": GaussianMixture(1, covariance_type="VVW"),
    }
    table = select(grid, line).set_index("model")
    assert table.index[:2].tolist() == ["columns", "matrix"]
    assert table.status.to_dict() == {
        "columns": "converged", "matrix": "degenerate", "too many": "invalid",
        "misspelt": "failed",
    }  # fmt: skip
    assert np.isnan(table.bic[["matrix", "too many", "misspelt"]]).all()
    assert "collapsed" in table.reason["matrix"]
    assert "fewer than the 31 components" in table.reason["too many"]
    assert "'VVW' is not one of" in table.reason["misspelt"]


def test_families_are_ranked_together_and_weights_reach_every_fit(rng):
    x, weights = mixture_rows(rng, 80, 2, 2), rng.integers(0, 3, 80)
    grid = [MultivariateNormal(), GaussianMixture(2, n_init=3, random_state=0)]
    weighted = select(grid, x, criterion="aic", sample_weight=weights)
    copies = select(grid, np.repeat(x, weights, axis=0), criterion="aic")
    assert weighted.model.tolist() == copies.model.tolist()
    assert weighted.aic.to_numpy() == pytest.approx(copies.aic.to_numpy(), rel=1e-6)


def test_a_family_without_the_criterion_is_said_to_lack_it(rng):
    table = select([MultivariateNormal(), GaussianMixture(2)], mixture_rows(rng, 60, 2, 2), "icl")
    assert table.model.tolist() == ["GaussianMixture", "MultivariateNormal"]
    assert "MultivariateNormal has no icl" in table.reason[1]


def test_the_grid_stays_as_it_was(rng):
    grid = [GaussianMixture(1)]
    select(grid, rng.normal(size=(20, 2)))
    assert not hasattr(grid[0], "loglik_")
    assert callable(emlib.select)


@pytest.mark.parametrize(
    ("grid", "criterion", "words"),
    [([], "bic", "no estimator"), ([GaussianMixture()], "bik", "'bik' is not one of bic, aic")],
)
def test_a_wrong_question_is_refused(grid, criterion, words):
    with pytest.raises(ValueError, match=words):
        select(grid, np.zeros((5, 1)), criterion)
