"""Published optima of factor analysis and probabilistic PCA through the public estimators.

EM for factor analysis is slow; these climbs take up to tens of thousands of iterations.
"""

import math

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_iris

from emlib import FactorAnalysis
from emlib.models.factor_analysis import FactorAnalysisModel, FactorAnalysisParams

# Starting loadings of Liu and Rubin (1998), Statistica Sinica 8, 729-747, as in the demo of the R
# package SQUAREM.
LIU_RUBIN_START = np.array([
    [0.5954912, -0.4893347, -0.3848925, 0.0],
    [0.6449102, -0.4408213, -0.3555598, 0.0],
    [0.7630006, 0.5053083, -0.0535340, 0.0],
    [0.7163828, 0.5258722, 0.0219100, 0.0],
    [0.6175647, -0.4714808, 0.0, 0.1931459],
    [0.6464100, -0.4628659, 0.0, 0.4606456],
    [0.6452737, -0.3260013, 0.0, -0.3622682],
    [0.7868222, 0.3690580, 0.0, 0.0630371],
    [0.7482302, 0.4326963, 0.0, 0.0431256],
])  # fmt: skip


def rows_with(covariance, n):
    """Rows (n, d) with mean zero and exactly this covariance, divisor n."""
    d = len(covariance)
    square = np.column_stack([np.ones(n), np.random.default_rng(0).normal(size=(n, d))])
    orthonormal = np.linalg.qr(square)[0][:, 1:]
    return math.sqrt(n) * orthonormal @ np.linalg.cholesky(covariance).T


@pytest.mark.parametrize("n_factors", [1, 4])
def test_twenty_four_psychological_tests(reference_values, n_factors):
    case = reference_values[f"fa_harman74_{n_factors}"]
    correlations, n = np.array(case["data"]["cov_or_cor"]), case["data"]["n"]
    x = rows_with(correlations, n)
    fit = FactorAnalysis(n_factors, tol=1e-10, max_iter=50_000).fit(x)
    expected, tolerance = case["expected"], case["tolerance"]
    assert fit.status_ == "converged"
    covariance = fit.model_.covariance(fit.params_)
    discrepancy = np.linalg.slogdet(covariance)[1] - np.linalg.slogdet(correlations)[1]
    discrepancy += np.trace(np.linalg.solve(covariance, correlations)) - len(correlations)
    assert discrepancy == pytest.approx(expected["F_ML"], abs=tolerance["F_abs"])
    assert fit.noise_variance_ == pytest.approx(
        np.array(expected["uniquenesses"]), abs=tolerance["uniq_abs"]
    )
    assert fit.loglik_ == pytest.approx(
        case["recomputed_loglik_from_stored_parameters"], abs=tolerance["loglik_abs"]
    )


def test_constrained_loadings_of_joreskog(reference_values):
    case = reference_values["fa_joreskog_constrained"]
    correlations, n = np.array(case["data"]["cor"]), case["data"]["n"]
    start = {
        "mean": np.zeros(9),
        "loadings": LIU_RUBIN_START,
        "noise_variance": np.full(9, 1e-8),
    }
    fit = FactorAnalysis(
        4, loadings_mask=LIU_RUBIN_START != 0, init_params=start, tol=1e-10, max_iter=50_000
    ).fit(rows_with(correlations, n))
    kernel = -fit.loglik_ - 0.5 * n * 9 * math.log(2 * math.pi)
    expected = case["expected"]["negloglik_kernel=145/2(log|S|+tr(S^-1 R)) (no 2pi)"]
    assert kernel == pytest.approx(expected, abs=case["tolerance"]["negloglik_abs"])
    assert fit.noise_variance_ == pytest.approx(
        np.array(case["expected"]["uniquenesses"]), abs=case["tolerance"]["uniq_abs"]
    )
    assert (fit.loadings_[LIU_RUBIN_START == 0] == 0).all()
    assert fit.n_parameters_ == 9 + 27 - 1 + 9  # the two general factors rotate


def test_plain_em_takes_the_published_number_of_steps(reference_values):
    case = reference_values["accel_fa_joreskog"]
    source = reference_values["fa_joreskog_constrained"]["data"]
    model = FactorAnalysisModel(4, loadings_mask=LIU_RUBIN_START != 0)
    data = model.view(rows_with(np.array(source["cor"]), source["n"]))
    params = FactorAnalysisParams(np.zeros(9), LIU_RUBIN_START, np.full(9, 1e-8))
    kernel_constant = 0.5 * source["n"] * 9 * math.log(2 * math.pi)
    published = case["expected"]["fpevals"]["EM"]
    moved, steps = math.inf, 0
    while moved >= 1e-8 and steps < 2 * published:
        there = model.m_step(model.e_step(params, data), params)
        moved = math.hypot(
            np.linalg.norm(there.loadings - params.loadings),
            np.linalg.norm(there.noise_variance - params.noise_variance),
        )
        params, steps = there, steps + 1
    assert steps == pytest.approx(published, rel=case["tolerance"]["EM_counts_rel"])
    kernel = -model.e_step(params, data).loglik - kernel_constant
    assert kernel == pytest.approx(case["expected"]["negloglik"], abs=1e-6)


@pytest.mark.parametrize(
    "case_id", ["ppca_iris_1", "ppca_iris_2", "ppca_digits_5", "ppca_digits_20"]
)
@pytest.mark.parametrize("init", ["pca", "random"])
def test_probabilistic_pca_is_the_closed_form(reference_values, case_id, init):
    case = reference_values[case_id]
    x = (load_iris() if "iris" in case_id else load_digits()).data
    fit = FactorAnalysis(
        case["spec"]["q"],
        noise="isotropic",
        init_params=init,
        tol=0,
        max_iter=3000,
        random_state=0,
    ).fit(x)
    expected = case["expected"]
    assert fit.loglik_ == pytest.approx(expected["loglik"], abs=case["tolerance"]["loglik_abs"])
    assert fit.noise_variance_ == pytest.approx(
        expected["sigma2"], rel=case["tolerance"]["sigma2_rel"]
    )
    common = np.linalg.svd(fit.loadings_)[1] ** 2 + fit.noise_variance_
    assert common == pytest.approx(np.array(expected["top_eigenvalues_ML_cov"]), rel=1e-8)


@pytest.mark.parametrize(("n_factors", "peer"), [(1, -422.37801), (2, -389.87412)])
def test_iris_is_a_heywood_case(n_factors, peer):
    """The peer's loglik after 200000 iterations, still climbing; so is ours, and says so.

    With two factors another optimum is better than the peer's: there the noise of the second
    column vanishes, not of the first.
    """
    fit = FactorAnalysis(n_factors, tol=1e-3, max_iter=20_000).fit(load_iris().data)
    assert "boundary" in fit.flags_
    assert "slow_tail" in fit.flags_
    assert fit.noise_variance_[2] < 1e-4
    assert fit.loglik_ > peer - 0.01
