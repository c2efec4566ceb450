"""Published maximum likelihood of normals with missing cells (norm, mvnmle), and one without."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from emlib import MultivariateNormal
from tests.conftest import REFERENCE


@pytest.mark.parametrize("name", ["apple", "missvals", "nhanes"])
def test_a_fit_is_the_published_maximum(reference_values, name):
    case = reference_values[f"mvn_missing_{name}"]
    x = np.array(case["data"]["rows"], dtype=float)
    fit = MultivariateNormal(tol=1e-9, max_iter=100_000).fit(x)
    expected = case["expected"]
    assert fit.status_ == "converged"
    assert fit.loglik_ == pytest.approx(expected["loglik"], abs=1e-7)
    assert fit.mean_ == pytest.approx(expected["mean"], rel=2e-4)
    assert fit.covariance_ == pytest.approx(np.array(expected["cov"]), rel=2e-4)
    observed = (~np.isnan(x)).sum()
    value = -2.0 * fit.loglik_ - observed * np.log(2 * np.pi)
    assert value == pytest.approx(expected["mvnmle_value(-2ll without 2pi constant)"], abs=1e-6)


def marijuana():
    path = REFERENCE / "data" / "marijuana.csv"
    if not path.exists():
        pytest.skip(f"{path.name} is kept outside the project")
    return np.genfromtxt(path, delimiter=",", skip_header=1, missing_values="NA")


def test_the_unbounded_likelihood_of_nine_rows_is_reported_and_no_optimum():
    with pytest.warns(ConvergenceWarning, match="'degenerate'.*the likelihood of these data is un"):
        fit = MultivariateNormal(max_iter=100_000).fit(marijuana())
    assert fit.status_ == "degenerate"
    assert not fit.converged_
    assert fit.starts_[0].message.startswith("the covariance is singular")
    gains = np.diff(fit.history_.loglik)
    assert gains[-1] == pytest.approx(gains[-20], rel=0.01)  # it climbs for ever


def test_with_a_declared_prior_the_nine_rows_have_an_optimum():
    x = marijuana()
    free = MultivariateNormal(prior="fraley_raftery", tol=1e-8, max_iter=50_000).fit(x)
    assert free.status_ == "converged"
    assert np.linalg.eigvalsh(free.covariance_).min() > 0
