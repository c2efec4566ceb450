"""Estimators of counts, ones and zeros, and levels: scikit-learn, parity, holes, codes."""

import warnings

import numpy as np
import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator

from emlib import BernoulliMixture, LatentClass, PoissonMixture
from emlib.errors import InvalidData
from emlib.inits import ShortEM

ALL = [PoissonMixture, BernoulliMixture, LatentClass]


class RoundedPoisson(PoissonMixture):
    """scikit-learn's checks fit real numbers; these become counts."""

    def _view(self, X, reset, sample_weight=None):
        return super()._view(rounded(self, X, reset), False, sample_weight)


class ParityBernoulli(BernoulliMixture):
    """Numbers become whether they are odd."""

    def _view(self, X, reset, sample_weight=None):
        values = rounded(self, X, reset)
        return super()._view(np.where(values < 0, values, values % 2), False, sample_weight)


class CyclicLatentClass(LatentClass):
    """Numbers become levels, their rests after division by three."""

    def _view(self, X, reset, sample_weight=None):
        values = rounded(self, X, reset)
        return super()._view(np.where(values < 0, values, values % 3), False, sample_weight)


def rounded(estimator, X, reset):
    from sklearn.utils.validation import validate_data

    return np.round(
        validate_data(estimator, X, reset=reset, dtype=np.float64, ensure_all_finite="allow-nan")
    )


CHECKED = [
    RoundedPoisson(2, random_state=0),
    ParityBernoulli(2, random_state=0),
    CyclicLatentClass(2, n_levels=3, random_state=0),
]


def checks():
    for estimator in CHECKED:
        for pair in estimator_checks_generator(estimator):
            name = f"{type(estimator).__name__}-{getattr(pair[1], 'func', pair[1]).__name__}"
            yield pytest.param(*pair, id=name)


@pytest.mark.parametrize(("estimator", "check"), list(checks()))
def test_it_keeps_the_contract_of_scikit_learn(estimator, check):
    check(estimator)


def answers(rng, n=400, sizes=(2, 4, 3, 3, 2), k=3, missing=0.0):
    labels = rng.integers(k, size=n)
    items = [rng.dirichlet(np.full(size, 0.6), size=k) for size in sizes]
    columns = [
        (rng.random(n)[:, None] > np.cumsum(item[labels], axis=1)[:, :-1]).sum(axis=1)
        for item in items
    ]
    x = np.stack(columns, axis=1).astype(float)
    x[rng.random(x.shape) < missing] = np.nan
    return x


def stepmix_start(x, k, seed):
    """The start that StepMix draws: shares of random responsibilities, equal weights."""
    r = np.random.RandomState(seed).uniform(size=(len(x), k))
    r /= r.sum(axis=1, keepdims=True)
    shares = []
    for column in x.T:
        seen = ~np.isnan(column)
        sums = [r[column == level].sum(axis=0) for level in range(int(np.nanmax(column)) + 1)]
        shares.append((np.array(sums) / r[seen].sum(axis=0)).T)
    return {"weights": np.full(k, 1.0 / k), "probabilities": shares}


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_same_start_same_iterations_same_numbers_as_stepmix_for_levels(rng, missing):
    stepmix = pytest.importorskip("stepmix.stepmix")
    x = answers(rng, missing=missing)
    kind = "categorical_nan" if missing else "categorical"
    peer = stepmix.StepMix(
        3, measurement=kind, abs_tol=0, rel_tol=0, max_iter=40, progress_bar=0, random_state=1
    )
    start = stepmix_start(x, 3, seed=1)
    ours = LatentClass(3, init_params=start, tol=0, max_iter=40).fit(x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer.fit(x)
    assert ours.n_iter_ == 40
    assert ours.loglik_ == pytest.approx(peer.score(x) * len(x), abs=1e-6)
    assert ours.weights_ == pytest.approx(peer.weights_, abs=1e-6)
    wide = peer.get_parameters()["measurement"]["pis"].reshape(3, 5, -1)
    for j, item in enumerate(ours.probabilities_):
        assert item == pytest.approx(wide[:, j, : item.shape[1]], abs=1e-6)
    assert ours.n_parameters_ == peer.n_parameters
    if not missing:
        assert ours.bic() == pytest.approx(peer.bic(x), abs=1e-6)
    assert ours.predict_proba(x) == pytest.approx(peer.predict_proba(x), abs=1e-6)


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_same_start_same_iterations_same_numbers_as_stepmix_for_ones_and_zeros(rng, missing):
    stepmix = pytest.importorskip("stepmix.stepmix")
    x = answers(rng, sizes=(2,) * 6, k=2, missing=missing)
    peer = stepmix.StepMix(
        2, measurement="binary_nan" if missing else "binary", abs_tol=0, rel_tol=0, max_iter=40,
        progress_bar=0, random_state=2,
    )  # fmt: skip
    start = stepmix_start(x, 2, seed=2)
    start["probabilities"] = np.stack([item[:, 1] for item in start["probabilities"]], axis=1)
    ours = BernoulliMixture(2, init_params=start, tol=0, max_iter=40).fit(x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer.fit(x)
    assert ours.loglik_ == pytest.approx(peer.score(x) * len(x), abs=1e-6)
    assert ours.probabilities_ == pytest.approx(
        peer.get_parameters()["measurement"]["pis"], abs=1e-6
    )
    assert ours.n_parameters_ == peer.n_parameters


def test_binary_items_are_latent_classes_of_two_levels(rng):
    x = answers(rng, sizes=(2,) * 5, k=2, missing=0.2)
    start = stepmix_start(x, 2, seed=0)
    levels = LatentClass(2, init_params=start, tol=0, max_iter=30).fit(x)
    start["probabilities"] = np.stack([item[:, 1] for item in start["probabilities"]], axis=1)
    ones = BernoulliMixture(2, init_params=start, tol=0, max_iter=30).fit(x)
    assert ones.loglik_ == pytest.approx(levels.loglik_, rel=1e-12)
    assert ones.n_parameters_ == levels.n_parameters_
    second = np.stack([item[:, 1] for item in levels.probabilities_], axis=1)
    assert ones.probabilities_ == pytest.approx(second, abs=1e-12)


def test_codes_of_levels_do_not_matter(rng):
    x = answers(rng, missing=0.2)
    recoded = np.where(x == 1, 7, np.where(x == 0, 3, x + 10))
    a = LatentClass(2, random_state=0).fit(x)
    b = LatentClass(2, random_state=0).fit(recoded)
    assert [codes.tolist() for codes in a.levels_][:2] == [[0, 1], [0, 1, 2, 3]]
    assert [codes.tolist() for codes in b.levels_][:2] == [[3, 7], [3, 7, 12, 13]]
    assert a.loglik_ == b.loglik_
    assert a.predict(x).tolist() == b.predict(recoded).tolist()


def test_levels_that_nobody_chose_are_parameters_only_where_they_are_declared(rng):
    x = answers(rng, sizes=(2, 2, 3))
    found = LatentClass(2, random_state=0).fit(x)
    declared = LatentClass(2, n_levels=[2, 2, 5], random_state=0).fit(x)
    assert declared.loglik_ == pytest.approx(found.loglik_, abs=1e-6)
    assert declared.n_parameters_ == found.n_parameters_ + 2 * 2
    assert declared.probabilities_[2][:, 3:].tolist() == [[0, 0], [0, 0]]
    assert "boundary" in declared.flags_
    assert LatentClass(2, n_levels=4).fit(x).levels_[0].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("estimator", "values", "words"),
    [
        (PoissonMixture(), [[1.0], [2.5]], "row 1, column 0: 2.5 is no count: 0, 1, 2"),
        (PoissonMixture(), [[1.0], [-2.0]], "row 1, column 0: -2 is no count"),
        (BernoulliMixture(), [[1, 0], [1, 2]], "row 1, column 1: 2 is not one of the levels 0, 1"),
        (LatentClass(), [[1, 2], [1, 0.5]], "row 1, column 1: 0.5 is no code of a level: 0, 1, 2"),
        (LatentClass(), [[1, -9], [1, 0]], "row 0, column 1: -9 is no code of a level"),
        (LatentClass(n_levels=3), [[0, 3]], "row 0, column 1: 3 is not one of the levels 0, 1, 2"),
        (LatentClass(n_levels=[2, 2, 2]), [[0, 1]], "n_levels: 3 items, but the data have 2 col"),
        (LatentClass(3), [[0, 1], [1, 1]], "2 rows with an observed cell: fewer than the 3"),
        (PoissonMixture(), [[0, np.nan], [1, np.nan]], "column 1 has no observed cell"),
    ],
)
def test_data_that_do_not_fit_are_refused(estimator, values, words):
    with pytest.raises(InvalidData, match=words):
        estimator.fit(values)


def test_an_unknown_level_is_refused_after_the_fit(rng):
    model = LatentClass(2, random_state=0).fit(answers(rng))
    with pytest.raises(InvalidData, match=r"row 0, column 1: 9 is not one of the levels 0, 1, 2"):
        model.predict([[0, 9, 1, 1, 0]])


@pytest.mark.parametrize(
    ("estimator", "start", "words"),
    [
        (PoissonMixture(), {"weights": [1.0], "rates": [[-1.0, 1.0]]}, "at least 0"),
        (BernoulliMixture(), {"weights": [1.0], "probabilities": [[0.5, 1.5]]}, "from 0 to 1"),
        (LatentClass(), {"weights": [1.0], "probabilities": [[[0.5, 0.5]]]}, "list of 2 arrays"),
        (
            LatentClass(),
            {"weights": [1.0], "probabilities": [[[0.5, 0.5]], [[0.9, 0.9]]]},
            "item 1: .* sum to 1",
        ),
    ],
)
def test_wrong_starting_values_are_named(estimator, start, words):
    with pytest.raises(ValueError, match=words):
        estimator.set_params(init_params=start).fit([[0, 1], [1, 0], [1, 1]])


@pytest.mark.parametrize("n_levels", [0, -1, [2, 0], [[1, 0]], "ab", [[]]])
def test_numbers_of_levels_are_checked(n_levels):
    with pytest.raises(ValueError, match="n_levels"):
        LatentClass(2, n_levels=n_levels).fit([[0, 1], [1, 0]])


@pytest.mark.parametrize("kind", ALL)
def test_holes_are_integrated_out_and_completed(rng, kind):
    x = answers(rng, sizes=(2,) * 5, k=2, missing=0.3)
    model = kind(2, random_state=0).fit(x)
    assert model.score_samples(x).sum() == pytest.approx(model.loglik_, rel=1e-12)
    filled, drawn = model.impute(x), model.impute(x, n_draws=300)
    seen = ~np.isnan(x)
    assert (filled[seen] == x[seen]).all()
    assert (drawn[:, seen] == x[seen]).all()
    if kind is LatentClass:
        assert set(filled[~seen]) <= {0.0, 1.0}
        often = drawn.mean(axis=0)
        sure = abs(often - 0.5) > 0.15
        assert (filled == np.round(often))[~seen & sure].all()
    else:
        assert drawn.mean(axis=0)[~seen] == pytest.approx(filled[~seen], abs=0.3)
    empty = np.full((1, 5), np.nan)
    assert model.predict_proba(empty)[0] == pytest.approx(model.weights_)
    proper = model.impute(x, n_draws=2, proper=True)
    assert (proper[:, seen] == x[seen]).all()


def test_standard_errors_of_items_come_as_a_list_with_reasons_at_the_boundary(rng):
    x = answers(rng, n=600, sizes=(2, 3, 2, 3, 2, 2), k=2)
    x[:, 5] = x[:, 0]  # so that nobody contradicts
    model = LatentClass(2, n_levels=[2, 3, 2, 3, 2, 3], random_state=0, tol=1e-8).fit(x)
    errors = model.standard_errors()
    assert [e.shape for e in errors["probabilities"]] == [p.shape for p in model.probabilities_]
    assert (errors.reasons["probabilities"][5][:, 2] == "boundary").all()
    assert np.isnan(errors["probabilities"][5][:, 2]).all()
    again = model.standard_errors("bootstrap", n_resamples=60)
    sure = errors.reasons["probabilities"][1] == ""
    ratio = (again["probabilities"][1] / errors["probabilities"][1])[sure]
    assert sure.any()
    assert (abs(np.log(ratio)) < 0.5).all()


def test_standard_errors_of_a_single_class_are_those_of_shares_and_means(rng):
    x = answers(rng, sizes=(2, 3))
    shares = LatentClass(1).fit(x)
    for p, error in zip(
        shares.probabilities_, shares.standard_errors()["probabilities"], strict=True
    ):
        assert error == pytest.approx(np.sqrt(p * (1 - p) / len(x)), rel=1e-5)
    rates = PoissonMixture(1).fit(x)
    expected = np.sqrt(rates.rates_ / len(x))
    assert rates.standard_errors()["rates"] == pytest.approx(expected, rel=1e-5)


def test_a_zero_rate_is_a_flagged_boundary_not_a_collapse():
    x = np.array([[0, 3], [0, 4], [0, 2], [9, 0], [8, 1], [7, 0]])
    model = PoissonMixture(2, random_state=0, tol=1e-9).fit(x)
    assert model.status_ == "converged"
    assert "boundary" in model.flags_
    assert model.rates_.min() < 1e-3
    assert "boundary" in model.standard_errors().reasons["rates"]


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("init", ["random", "short_em", ShortEM(tries=2), "kmeans", "points"])
def test_every_init_that_suits_the_family_starts_it(rng, kind, init):
    x = answers(rng, sizes=(2,) * 5, k=2, missing=0.2)
    model = kind(2, init_params=init, random_state=0)
    if kind is LatentClass and init in ("kmeans", "points"):
        with pytest.raises(ValueError, match="distances"):
            model.fit(x)
    else:
        assert model.fit(x).status_ == "converged"


@pytest.mark.parametrize("kind", ALL)
def test_samples_are_of_the_values_that_were_fitted(rng, kind):
    x = answers(rng, sizes=(2,) * 5, k=2) + (3.0 if kind is LatentClass else 0.0)
    model = kind(2, random_state=0).fit(x)
    drawn, labels = model.sample(5000)
    assert drawn.shape == (5000, 5)
    assert np.bincount(labels, minlength=2) / 5000 == pytest.approx(model.weights_, abs=0.03)
    assert drawn.mean(axis=0) == pytest.approx(x.mean(axis=0), abs=0.1)
    if kind is LatentClass:
        assert set(drawn.ravel()) == {3.0, 4.0}
