"""Views with limits and with covariates."""

import numpy as np
import pytest

from emlib.data import Intervals, Regression
from emlib.errors import InvalidData

LOW = np.array([[1.0, -np.inf], [2.0, np.nan], [3.0, 5.0], [np.nan, np.nan]])
HIGH = np.array([[1.0, 4.0], [np.inf, 7.0], [3.5, 5.0], [np.nan, 1.0]])


def test_cells_are_exact_censored_or_missing():
    data = Intervals.from_ends(LOW, HIGH)
    assert data.observed.tolist() == [[True, False], [False, False], [False, True], [False, False]]
    assert data.censored.tolist() == [[False, True], [True, False], [True, False], [False, False]]
    assert data.informative.tolist() == [True, True, True, False]
    expected = [[1.0, 4.0], [2.0, np.nan], [3.25, 5.0], [np.nan, np.nan]]
    assert np.array_equal(data.nearest_values, expected, equal_nan=True)
    assert np.array_equal(data.values, LOW, equal_nan=True)
    assert data.column_moments[0].tolist() == [1.0, 5.0]


def test_weights_can_be_changed_and_covariates_stay():
    data = Intervals.from_ends(LOW, HIGH, np.ones((4, 2))).reweighted(np.arange(4.0))
    assert data.weights.tolist() == [0, 1, 2, 3]
    assert data.covariates.shape == (4, 2)
    assert data.total_weight == 3.0


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        ([[2.0]], [[1.0]], r"row 0, column 0: \[2, 1\] is empty"),
        ([[0.0], [2.0]], [[0.0], [np.nan]], "row 1, column 0: .* has no upper end"),
        ([[-np.inf]], [[np.inf]], "says nothing"),
        ([[np.inf]], [[np.inf]], "not below 1e"),
        ([[1e200]], [[1e200]], "not below 1e"),
        ([[np.inf]], None, "not below 1e"),
        ([[1.0]], [[1.0, 2.0]], "upper of shape"),
        ([1.0], None, "a table has rows and columns"),
    ],
)
def test_limits_that_mean_nothing_are_named(low, high, words):
    with pytest.raises(InvalidData, match=words):
        Intervals.from_ends(low, high)


@pytest.mark.parametrize(
    ("covariates", "words"),
    [
        ([[1.0], [np.nan]], "covariates: row 1, column 0: nan is not a finite number"),
        ([[1.0], [np.inf]], "inf is not a finite number"),
        ([[1.0]], r"covariates of shape \(1, 1\)"),
        ([1.0, 2.0], r"covariates of shape \(2,\)"),
    ],
)
def test_covariates_that_do_not_fit_are_named(covariates, words):
    with pytest.raises(InvalidData, match=words):
        Regression.from_arrays([[1.0], [np.nan]], covariates)


def test_means_of_covariates_count_informative_rows_by_weight():
    data = Regression.from_arrays([[1.0], [2.0], [np.nan]], [[1.0], [4.0], [99.0]], [1, 2, 1])
    assert data.covariate_means.tolist() == [3.0]
    assert Regression.from_arrays([[1.0]]).covariate_means.shape == (0,)
