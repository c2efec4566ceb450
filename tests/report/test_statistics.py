"""Intervals and summaries against known values, and by simulation where there are none."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest, spearmanr, t

from emlib.report.estimation import rank_correlations
from emlib.report.statistics import (
    Bootstrap,
    ecdf,
    effective_trials,
    mean_and_error,
    mean_interval,
    paired_contrasts,
    quantile,
    replicates_for,
    running_time,
    wilson,
)


def generator(*names):
    return np.random.default_rng([len(str(names)), 7])


@pytest.fixture(scope="module")
def bootstrap() -> Bootstrap:
    return Bootstrap(generator, draws=2000)


def test_wilson_intervals_are_those_of_scipy():
    for hits, trials in [(8, 10), (0, 10), (20, 20), (37, 100)]:
        low, high = wilson(hits, trials)
        expected = binomtest(hits, trials).proportion_ci(method="wilson")
        assert low == pytest.approx(expected.low, abs=1e-12)
        assert high == pytest.approx(expected.high, abs=1e-12)


def test_without_trials_there_is_no_interval():
    low, high = wilson([0], [0])
    assert np.isnan(low[0])
    assert np.isnan(high[0])


def test_starts_that_agree_within_a_replicate_count_as_one():
    assert effective_trials([5, 0, 5, 0, 5, 0, 0, 5], [5] * 8) == pytest.approx(8, rel=0.15)


def test_independent_starts_count_nearly_all():
    hits = np.random.default_rng(1).binomial(5, 0.4, size=400)
    assert effective_trials(hits, [5] * 400) == pytest.approx(2000, rel=0.15)


def test_starts_that_all_ended_alike_count_as_their_replicates():
    assert effective_trials([5] * 20, [5] * 20) == 20


def test_clustered_intervals_cover_where_plain_ones_do_not():
    rng = np.random.default_rng(5)
    plain, clustered = 0, 0
    for _ in range(400):
        easy = rng.random(20) < 0.5
        hits = rng.binomial(5, np.where(easy, 0.9, 0.1))
        rate, trials = hits.sum() / 100, effective_trials(hits, [5] * 20)
        low, high = wilson(hits.sum(), 100)
        plain += low <= 0.5 <= high
        low, high = wilson(rate * trials, trials)
        clustered += low <= 0.5 <= high
    assert plain < 0.85 * 400
    assert clustered > 0.92 * 400


def test_simultaneous_intervals_cover_all_contrasts_at_once(bootstrap):
    rng = np.random.default_rng(3)
    skill = np.array([0.3, 0.3, 0.5, 0.8, 0.95])
    covered, trials = 0, 400
    for _ in range(trials):
        hard = rng.normal(0, 0.6, size=(20, 1))
        solved = rng.random((20, 5)) < 1 / (1 + np.exp(-(np.log(skill / (1 - skill)) + hard)))
        found = paired_contrasts(solved[:, 1:].astype(float) - solved[:, :1], bootstrap)
        truth = averaged(skill, 0.6)[1:] - averaged(skill, 0.6)[0]
        covered += bool(np.all((found.low <= truth) & (truth <= found.high)))
    assert covered / trials > 0.93


def test_no_init_is_told_from_an_equal_one_more_often_than_the_level_says(bootstrap):
    rng = np.random.default_rng(5)
    told, trials = 0, 600
    for _ in range(trials):
        solved = (rng.random((15, 10)) < 0.5).astype(float)
        found = paired_contrasts(solved[:, 1:] - solved[:, :1], bootstrap)
        told += bool(np.any((found.low > 0) | (found.high < 0)))
    assert told / trials < 0.07


@pytest.mark.parametrize(("ups", "downs"), [(5, 0), (6, 0), (8, 1), (7, 1), (12, 3), (20, 8)])
def test_one_contrast_is_told_where_mcnemar_s_exact_test_tells_it(bootstrap, ups, downs):
    d = np.zeros((40, 1))
    d[:ups], d[ups : ups + downs] = 1.0, -1.0
    exact = binomtest(ups, ups + downs).pvalue
    found = paired_contrasts(d, bootstrap)
    assert (found.low[0] > 0) == (exact <= 0.05)


def averaged(skill: np.ndarray, spread: float) -> np.ndarray:
    """Hit probability averaged over the difficulty of replicates."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    odds = np.log(skill / (1 - skill))[:, None] + spread * nodes
    return (weights / weights.sum() / (1 + np.exp(-odds))).sum(axis=1)


def test_simultaneous_intervals_are_wider_than_single_ones(bootstrap):
    d = np.random.default_rng(2).integers(-1, 2, size=(40, 6)).astype(float)
    all_at_once = paired_contrasts(d, bootstrap)
    alone = paired_contrasts(d[:, :1], bootstrap)
    assert all_at_once.critical > alone.critical
    assert all_at_once.high[0] - all_at_once.low[0] > alone.high[0] - alone.low[0]


def test_a_contrast_without_a_discordant_pair_keeps_a_width(bootstrap):
    found = paired_contrasts(np.zeros((20, 3)), bootstrap)
    assert (found.low < -0.05).all()
    assert (found.high > 0.05).all()
    assert (found.difference == 0).all()


def test_intervals_hold_their_estimate_and_stay_between_minus_one_and_one(bootstrap):
    found = paired_contrasts(np.ones((5, 2)), bootstrap)
    assert (found.low <= found.difference).all()
    assert (found.difference <= found.high).all()
    assert (found.high <= 1).all()


def test_the_replicates_said_to_be_needed_give_five_points(bootstrap):
    d = np.random.default_rng(4).integers(-1, 2, size=(50, 2)).astype(float)
    needed = int(paired_contrasts(d, bootstrap).replicates_needed.max())
    more = np.tile(d, (needed // 50 + 1, 1))[:needed]
    again = paired_contrasts(more, Bootstrap(generator, draws=500))
    assert (again.high - again.low).max() / 2 == pytest.approx(0.05, rel=0.1)


def test_a_proportion_of_one_half_needs_385_replicates():
    assert replicates_for(0.5) == 385


def test_running_time_is_total_work_over_hits(bootstrap):
    work, hits = np.array([100.0, 50.0, 30.0, 20.0]), np.array([1, 2, 1, 0])
    ert, low, high = running_time(work, hits, bootstrap.weights(4))
    assert ert == 50.0
    assert low <= ert <= high


def test_running_time_without_a_hit_is_infinite(bootstrap):
    ert, _, high = running_time([10.0, 20.0], [0, 0], bootstrap.weights(2))
    assert np.isinf(ert)
    assert np.isinf(high)


def test_distribution_functions_count_infinite_losses():
    value, share = ecdf([0.0, 0.0, 2.0, np.inf])
    assert value.tolist() == [0.0, 2.0]
    assert share.tolist() == [0.5, 0.75]


def test_thinned_distribution_functions_keep_first_and_last():
    value, share = ecdf(np.arange(1000.0), points=50)
    assert len(value) <= 50
    assert (value[0], value[-1], share[-1]) == (0.0, 999.0, 1.0)


def test_quantiles_of_infinite_losses_are_infinite_not_nan():
    assert np.isinf(quantile([0.0, np.inf, np.inf], 0.5))
    assert quantile([0.0, 0.0, np.inf], 0.5) == 0.0


def test_intervals_of_means_are_student_s():
    values = np.array([1.0, 2.0, 4.0, 8.0])
    low, high = mean_interval(*mean_and_error(values))
    expected = t.interval(0.95, 3, values.mean(), values.std(ddof=1) / 2)
    np.testing.assert_allclose((low, high), expected)
    assert np.isnan(mean_interval(*mean_and_error(values[:1]))).all()


def test_means_leave_out_nan_and_count_the_rest():
    mean, error, count = mean_and_error([1.0, np.nan, 3.0])
    assert (mean, count) == (2.0, 2)
    assert error == pytest.approx(1.0)


def test_rank_correlations_within_groups_are_those_of_scipy():
    rng = np.random.default_rng(6)
    frame = pd.DataFrame(
        {"g": np.repeat([0, 1], 30), "x": rng.integers(0, 5, 60), "y": rng.normal(size=60)}
    )
    found = rank_correlations(frame, ["g"], "x", "y")["correlation"]
    for group in (0, 1):
        part = frame[frame["g"] == group]
        assert found[group] == pytest.approx(spearmanr(part["x"], part["y"]).statistic)


def test_a_constant_column_has_no_rank_correlation():
    frame = pd.DataFrame({"g": [0, 0, 0], "x": [1, 1, 1], "y": [1, 2, 3]})
    assert rank_correlations(frame, ["g"], "x", "y")["correlation"].isna().all()
