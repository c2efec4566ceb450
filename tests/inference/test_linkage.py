"""The linkage example of Dempster, Laird and Rubin (1977): the classic check of standard errors."""

import math

import numpy as np
import pytest

from emlib import GroupedMultinomial
from emlib.inference import observed_information
from tests.families.case_grouped_multinomial import LINKAGE

COUNTS = [[125, 18, 20, 34]]
THETA = (15 + math.sqrt(53809)) / 394
OBSERVED = 125 / (2 + THETA) ** 2 + 38 / (1 - THETA) ** 2 + 34 / THETA**2


@pytest.fixture(scope="module")
def fit():
    return GroupedMultinomial(**LINKAGE, tol=0, max_iter=60).fit(COUNTS)


def test_standard_error_rate_and_information_are_the_published_ones(fit):
    errors = fit.standard_errors()
    assert fit.theta_[0] == pytest.approx(THETA, abs=1e-12)
    assert errors["theta"] == pytest.approx([0.05146735, 0.05146735], abs=5e-9)
    assert errors["theta"][0] == pytest.approx(OBSERVED**-0.5, rel=1e-8)
    assert errors.rate == pytest.approx(0.13277873, abs=1e-8)
    assert errors.null_dimension == 0
    information = observed_information(fit.model_, fit._data, fit.params_)
    slope = THETA * (1 - THETA)  # of theta in its log-odds
    assert information.observed[0, 0] == pytest.approx(OBSERVED * slope**2, rel=1e-8)
    complete = 435.3178537989657 * slope**2
    assert information.complete[0, 0] == pytest.approx(complete, rel=1e-7)


def test_the_rate_is_that_of_the_climb():
    start = {"theta": [0.5, 0.5]}
    path = [
        GroupedMultinomial(**LINKAGE, init_params=start, tol=0, max_iter=i).fit(COUNTS).theta_[0]
        for i in range(12)
    ]
    steps = np.diff(path)
    assert steps[9] / steps[8] == pytest.approx(0.13277873, abs=1e-5)


def test_the_bootstrap_draws_animals_anew_though_the_data_are_one_row(fit):
    errors = fit.set_params(random_state=1).standard_errors("bootstrap", n_resamples=400)
    assert errors["theta"][0] == pytest.approx(0.05146735, rel=0.12)
    assert errors["theta"][0] == pytest.approx(errors["theta"][1], rel=1e-9)
