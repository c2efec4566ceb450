"""The estimator of grouped cells: scikit-learn's contract, specifications, missing counts."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import multinomial, nbinom
from sklearn.utils.estimator_checks import estimator_checks_generator

from emlib import GroupedMultinomial
from emlib.errors import InvalidData
from emlib.models.posterior import HARD, sampled, tempered
from tests.estimators.test_discrete_mixtures import rounded
from tests.families.case_grouped_multinomial import BLOOD, LINKAGE, TWO_BLOCKS


class RoundedGroupedMultinomial(GroupedMultinomial):
    """scikit-learn's checks fit real numbers; these become counts."""

    def _view(self, X, reset, sample_weight=None, **extras):
        return super()._view(rounded(self, X, reset), False, sample_weight, **extras)


CHECKS = list(estimator_checks_generator(RoundedGroupedMultinomial(random_state=0)))


@pytest.mark.parametrize(
    ("estimator", "check"), CHECKS, ids=[getattr(c, "func", c).__name__ for _, c in CHECKS]
)
def test_it_keeps_the_contract_of_scikit_learn(estimator, check):
    check(estimator)


def test_without_a_specification_the_probabilities_are_shares():
    fit = GroupedMultinomial().fit([[1, 2, 3], [4, 0, 0]], sample_weight=[2, 1])
    assert fit.theta_ == pytest.approx([6 / 16, 4 / 16, 6 / 16])
    expected = 2 * multinomial(6, fit.theta_).logpmf([1, 2, 3])
    assert fit.loglik_ == pytest.approx(expected + multinomial(4, fit.theta_).logpmf([4, 0, 0]))
    assert fit.n_parameters_ == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"constants": [1 / 2, 1 / 4, 1 / 4, 1 / 4, 1 / 2]}, "sum to .* they must sum to 1"),
        ({"exponents": [[0, 0], [1, 0], [0, 1], [0, 1], [2, 0]]}, "sum to .* they must sum to 1"),
        ({"constants": [1, 1]}, r"lengths \[2, 5\]"),
        ({"constants": [1, -1, 1, 1, 1]}, "not positive"),
        ({"groups": [0, 0, 1, 3, 4]}, "groups: .* each at least once"),
        ({"exponents": [[0, 0], [1, 0], [0, 1], [0, 1], [-1, 0]]}, "numbers >= 0"),
        ({"blocks": [1, 2]}, "blocks: .* sum to 2"),
    ],
)
def test_a_specification_that_is_no_distribution_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        GroupedMultinomial(**(LINKAGE | change)).fit([[125, 18, 20, 34]])


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ([[1, 2, 3]], "3 columns of counts for 4 categories"),
        ([[0, 0, 0, 0]], "no count above zero"),
        ([[1, 2, 3, -4]], "row 0, column 3: -4 is no count"),
    ],
)
def test_counts_that_do_not_fit_are_refused(counts, words):
    with pytest.raises(InvalidData, match=words):
        GroupedMultinomial(**LINKAGE).fit(counts)


def test_a_row_of_counts_is_told_by_the_sum_of_rows_like_it(rng):
    counts = np.array([[60, 10, 12, 20], [65, 8, 8, 14]])
    apart = GroupedMultinomial(**LINKAGE, tol=1e-12).fit(counts)
    together = GroupedMultinomial(**LINKAGE, tol=1e-12).fit(counts.sum(axis=0, keepdims=True))
    assert apart.theta_ == pytest.approx(together.theta_, abs=1e-6)


def test_a_missing_count_leaves_the_likelihood_of_the_others_given_their_total():
    counts = np.array([[125.0, np.nan, 20, 34]])

    def loss(t):
        chances = np.array([1 / 2 + t / 4, (1 - t) / 4, t / 4])
        return -multinomial(179, chances / chances.sum()).logpmf([125, 20, 34])

    best = minimize_scalar(loss, bounds=(0, 1), method="bounded", options={"xatol": 1e-10})
    fit = GroupedMultinomial(**LINKAGE, tol=1e-13, max_iter=500).fit(counts)
    assert fit.theta_[0] == pytest.approx(best.x, abs=1e-6)
    assert fit.loglik_ == pytest.approx(-best.fun, abs=1e-10)
    missed = (1 - best.x) / 4
    assert fit.impute(counts)[0, 1] == pytest.approx(179 * missed / (1 - missed), rel=1e-5)
    draws = fit.impute(counts, n_draws=4000)[:, 0, 1]
    law = nbinom(179, 1 - missed)
    assert draws.mean() == pytest.approx(law.mean(), abs=4 * law.std() / 4000**0.5)
    assert draws.var() == pytest.approx(law.var(), rel=0.15)


def test_two_missing_counts_are_drawn_in_their_proportions(rng):
    fit = GroupedMultinomial(random_state=0).fit([[40, 30, 20, 10]])
    draws = fit.impute([[400, np.nan, np.nan, 100]], n_draws=2000)[:, 0]
    assert draws[:, 1:3].mean(axis=0) == pytest.approx([300, 200], rel=0.02)
    assert (draws[:, [0, 3]] == [400, 100]).all()


def test_posteriors_split_a_category_as_their_name_says(rng):
    model = GroupedMultinomial(**BLOOD)._make_model()
    data = model.view([[186.0, 38, 13, 284]])
    params = model.from_truth({"theta": [0.3, 0.2, 0.5]})
    exact = model.e_step(params, data)
    assert exact.counts[:2] == pytest.approx([186 * 0.09 / 0.39, 186 * 0.3 / 0.39])
    hard = model.e_step(params, data, HARD)
    assert hard.counts.tolist() == [0, 186, 0, 38, 13, 284]
    warm = model.e_step(params, data, tempered(0.5)).counts
    assert warm[0] / warm[1] == pytest.approx((0.09 / 0.3) ** 0.5)
    draws = [model.e_step(params, data, sampled(rng)) for _ in range(500)]
    assert np.mean([d.counts for d in draws], axis=0) == pytest.approx(exact.counts, rel=0.05)
    assert {d.counts[:2].sum() for d in draws} == {186}
    assert {s.loglik for s in (hard, *draws)} == {exact.loglik}


def test_a_gene_that_nobody_has_is_on_the_boundary():
    fit = GroupedMultinomial(**BLOOD, tol=1e-9).fit([[100, 0, 0, 50]])
    assert "boundary" in fit.flags_
    assert fit.theta_[1] < 1e-6
    inside = GroupedMultinomial(**BLOOD, tol=1e-9).fit([[186, 38, 13, 284]])
    assert inside.flags_ == ()


def test_each_block_sums_to_one_and_each_draw_to_its_total():
    fit = GroupedMultinomial(**TWO_BLOCKS, random_state=0).fit([[30, 20, 50]])
    assert fit.theta_.reshape(2, 2).sum(axis=1) == pytest.approx([1, 1])
    drawn, _ = fit.sample(5, total=100)
    assert drawn.sum(axis=1).tolist() == [100] * 5
