"""Published and peer-computed state-space fits through the public estimator."""

import math

import numpy as np
import pytest

from emlib import LinearGaussianStateSpace

LEVEL = {"transition": [[1.0]], "observation": [[1.0]]}
NORMAL_STARTS = {"N_1000_1e06_t1": (1000.0, 1e6), "N_0_1e07_t1": (0.0, 1e7),
                 "N_1120_10000_t1": (1120.0, 1e4)}  # fmt: skip
NILE = [f"full_{start}" for start in NORMAL_STARTS]
NILE += ["missing_N_1000_1e06_t1", "missing_N_0_1e07_t1"]
CONSTANTS = [f"{data}_x{time}_mu_est_P_0" for data in ("full", "missing") for time in (0, 1)]


def fitted(case, **settings):
    y = np.array(case["data"]["y"], dtype=float)[:, None]
    model = LinearGaussianStateSpace(offsets="none", tol=1e-9, max_iter=50_000, **settings)
    return model.fit(y)


def check(fit, case):
    expected, tolerance = case["expected"], case["tolerance"]
    assert fit.status_ == "converged"
    assert fit.loglik_ == pytest.approx(expected["loglik"], abs=tolerance["loglik_abs"])
    for name, found in (
        ("R", fit.observation_covariance_), ("Q", fit.transition_covariance_)
    ):  # fmt: skip
        assert found.item() == pytest.approx(expected[name], rel=tolerance["param_rel"])


@pytest.mark.parametrize("name", NILE)
def test_the_nile_s_level_starts_at_a_given_normal(reference_values, name):
    case = reference_values[f"lgssm_nile_{name}"]
    mean, variance = NORMAL_STARTS[name.split("_", 1)[1]]
    fixed = {**LEVEL, "initial_mean": [mean], "initial_covariance": [[variance]]}
    check(fitted(case, initial_time=1, fixed=fixed), case)


@pytest.mark.parametrize("name", CONSTANTS)
def test_the_nile_s_level_starts_at_an_unknown_constant(reference_values, name):
    """At time 1 the likelihood is unbounded as R falls to 0; the published optimum is the local
    maximum that a plain start leads to."""
    case = reference_values[f"lgssm_nile_{name}"]
    time = int(name.split("_x")[1][0])
    fit = fitted(case, initial_time=time, fixed=LEVEL)
    check(fit, case)
    assert fit.initial_mean_.item() == pytest.approx(case["expected"][f"x{time}"], rel=1e-4)
    assert fit.n_parameters_ == 3


def test_the_diffuse_nile_is_the_limit_of_wide_starts(reference_values):
    """Another likelihood convention: exact diffuse logliks leave out the log of the start's
    variance (times 2 pi, where they count one constant less).  Taken off at a variance of 1e12,
    what is left is the published number."""
    case = reference_values["lgssm_nile_diffuse"]
    expected, tolerance, wide = case["expected"], case["tolerance"], 1e12
    fixed = {**LEVEL, "initial_mean": [0.0], "initial_covariance": [[wide]]}
    fit = fitted(case, initial_time=1, fixed=fixed)
    assert fit.observation_covariance_.item() == pytest.approx(
        expected["R_sigma2_eps"], rel=tolerance["param_rel"]
    )
    assert fit.transition_covariance_.item() == pytest.approx(
        expected["Q_sigma2_eta"], rel=tolerance["param_rel"]
    )
    assert fit.status_ == "converged"
    hundred = fit.loglik_ + 0.5 * math.log(wide)
    assert hundred + 0.5 * math.log(2 * math.pi) == pytest.approx(
        expected["loglik"], abs=tolerance["loglik_abs"]
    )
    (named,) = (value for key, value in expected.items() if key.startswith("loglik_100_constants"))
    assert hundred == pytest.approx(named, abs=tolerance["loglik_abs"])


def blood(case, max_iter):
    """Shumway and Stoffer's marrow-transplant series: 91 days, 37 of them without blood samples."""
    rows = np.array(case["data"]["rows"], dtype=float)
    start = {
        "transition": np.eye(3),
        "transition_covariance": np.diag([0.1, 0.1, 1.0]),
        "observation_covariance": np.diag([0.1, 0.1, 1.0]),
        "initial_mean": np.zeros(3),
        "initial_covariance": np.diag([0.1, 0.1, 1.0]),
    }
    return LinearGaussianStateSpace(
        3, offsets="none", observation_covariance_type="diag", initial_covariance_type="full",
        integrate_missing_steps=True, fixed={"observation": np.eye(3)}, init_params=start,
        tol=0, max_iter=max_iter,
    ).fit(rows)  # fmt: skip


def test_the_path_of_em_on_shumway_and_stoffer_s_blood_series(reference_values):
    case = reference_values["lgssm_blood_em_iterates"]
    expected = case["expected"]
    fit, tolerance = blood(case, 43), case["tolerance"]["param_abs_iter43"]
    after = expected["after_43_M_steps"]
    assert fit.transition_ == pytest.approx(np.array(after["Phi"]), abs=tolerance)
    assert fit.initial_mean_ == pytest.approx(np.array(after["mu0"]), abs=tolerance)
    assert np.diagonal(fit.observation_covariance_) == pytest.approx(
        np.array(after["R_diag"]), abs=tolerance
    )
    history = blood(case, 999).history_.loglik
    abs_tolerance = case["tolerance"]["loglik_abs"]
    for number, loglik in expected["loglik_full_at_iter"].items():
        assert history[int(number) - 1] == pytest.approx(loglik, abs=abs_tolerance)
    rows = np.array(case["data"]["rows"], dtype=float)
    constant = 0.5 * math.log(2 * math.pi) * np.isfinite(rows).sum()
    for number, value in expected["negloglik_no2pi_at_Estep"].items():
        if int(number) <= len(history):
            assert -history[int(number) - 1] - constant == pytest.approx(value, abs=abs_tolerance)


def test_steps_without_blood_samples_can_be_left_out_of_the_regressions(reference_values):
    """The same optimum on a shorter way: the default is ahead after as many iterations."""
    case = reference_values["lgssm_blood_em_iterates"]
    slow = blood(case, 200)
    quick = LinearGaussianStateSpace(**slow.get_params() | {"integrate_missing_steps": False})
    quick.fit(np.array(case["data"]["rows"], dtype=float))
    assert slow.loglik_ + 0.01 < quick.loglik_


def test_the_medicare_series_of_shumway_and_stoffer_has_no_data_to_compare_with(reference_values):
    """Unverified: neither data nor estimates were found; the blood series stands in for it."""
    case = reference_values["lgssm_shumway_stoffer_medicare_1982"]
    assert case["verified"] == "unverified"
    assert case["data"] is None
