"""Articles of biochemists (Long 1990; pscl's zeroinfl) through the public estimator."""

import csv

import numpy as np
import pytest

from emlib import ZeroInflatedPoisson
from tests.conftest import REFERENCE


def test_articles_of_biochemists_without_covariates(reference_values):
    case = reference_values["zip_biochemists_intercept"]
    data, expected, tolerance = case["data"], case["expected"], case["tolerance"]
    counts = np.array(data["count"], dtype=float)[:, None]
    fit = ZeroInflatedPoisson(tol=1e-11, max_iter=5000).fit(counts, sample_weight=data["freq"])
    assert fit.loglik_ == pytest.approx(expected["loglik"], abs=tolerance["loglik_abs"])
    assert fit.rates_[0] == pytest.approx(expected["lambda"], rel=tolerance["param_rel"])
    assert fit.inflation_[0] == pytest.approx(expected["pi_zero"], rel=tolerance["param_rel"])


def test_articles_of_biochemists_with_covariates(reference_values):
    case = reference_values["zip_biochemists_one"]
    expected, tolerance = case["expected"], case["tolerance"]
    path = REFERENCE / case["data"]["file"]
    if not path.exists():
        pytest.skip(f"{path.name} is kept outside the project")
    with path.open() as file:
        rows = list(csv.DictReader(file))
    articles = np.array([[float(row["art"])] for row in rows])
    covariates = np.array([
        [row["fem"] == "Women", row["mar"] == "Married", row["kid5"], row["phd"], row["ment"]]
        for row in rows
    ], dtype=float)  # fmt: skip
    fit = ZeroInflatedPoisson(tol=1e-11, max_iter=5000).fit(articles, covariates=covariates)
    assert fit.loglik_ == pytest.approx(expected["loglik"], abs=tolerance["loglik_abs"])
    coef = [*fit.intercept_, *fit.coef_[0]]
    assert coef == pytest.approx(expected["count_coef"], rel=tolerance["param_rel"])
    odds = fit.inflation_ / (1 - fit.inflation_)
    assert np.log(odds) == pytest.approx(expected["zero_coef"], rel=tolerance["param_rel"])
