"""Optima of mixtures of regressions (mixtools, flexmix) and of a regression with t errors."""

import numpy as np
import pytest

from emlib import RegressionMixture

SETTINGS = {"n_init": 10, "tol": 1e-11, "max_iter": 20_000, "random_state": 0}


@pytest.mark.parametrize("name", ["tone_V2", "tone_E2", "NO_V2", "NO_E2"])
def test_the_optima_of_mixtools(reference_values, name):
    case = reference_values[f"mixreg_{name}"]
    (y,), (x,) = case["data"]["response"].values(), case["data"]["predictor"].values()
    fit = RegressionMixture(2, equal_scales=name.endswith("E2"), **SETTINGS)
    fit.fit(np.array(x)[:, None], y)
    expected, rel = case["expected"], case["tolerance"]["param_rel"]
    assert fit.loglik_ == pytest.approx(expected["loglik"], abs=case["tolerance"]["loglik_abs"])
    intercepts, slopes = expected["beta(rows intercept,slope; cols components)"]
    ours, theirs = np.argsort(fit.intercept_), np.argsort(intercepts)
    assert fit.weights_[ours] == pytest.approx(np.array(expected["weights"])[theirs], rel=rel)
    assert fit.intercept_[ours] == pytest.approx(np.array(intercepts)[theirs], rel=rel)
    assert fit.coef_[ours, 0] == pytest.approx(np.array(slopes)[theirs], rel=rel)
    sd = np.broadcast_to(expected["sd"], 2)
    assert fit.scales_[ours] == pytest.approx(sd[theirs], rel=rel)


def test_the_maximum_likelihood_optimum_of_the_data_of_flexmix(reference_values):
    case = reference_values["mixreg_NPreg_normal2"]
    x, y = np.array(case["data"]["x"]), case["data"]["yn"]
    fit = RegressionMixture(2, **SETTINGS).fit(np.column_stack([x, x**2]), y)
    expected, rel = case["expected"], case["tolerance"]["param_rel"]
    assert fit.loglik_ == pytest.approx(expected["loglik"], abs=case["tolerance"]["loglik_abs"])
    # flexmix divides by n - p in its M-step and so ends below the maximum.
    assert fit.loglik_ > expected["flexmix"]["loglik"]
    beta = np.array(expected["beta(rows 1,x,x^2; cols comps)"]).T
    ours, theirs = np.argsort(fit.intercept_), np.argsort(beta[:, 0])
    found = np.column_stack([fit.intercept_, fit.coef_])[ours]
    assert found == pytest.approx(beta[theirs], rel=rel)
    assert fit.scales_[ours] == pytest.approx(np.array(expected["sd_ML"])[theirs], rel=rel)
    assert fit.n_parameters_ == expected["flexmix"]["df"]


@pytest.mark.parametrize("errors", ["t1", "t4", "tfree"])
def test_the_stack_losses_with_t_errors(reference_values, errors):
    case = reference_values[f"t_regression_stackloss_{errors}"]
    rows, expected = np.array(case["data"]["rows"], dtype=float), case["expected"]
    dofs = None if errors == "tfree" else case["spec"]["df"]
    fit = RegressionMixture(response="student", dofs=dofs, **SETTINGS)
    fit.fit(rows[:, :3], rows[:, 3])
    assert fit.loglik_ == pytest.approx(expected["loglik"], abs=case["tolerance"]["loglik_abs"])
    found = [*fit.intercept_, *fit.coef_[0], *fit.scales_, *fit.dofs_]
    wanted = [*expected["beta(intercept,Air.Flow,Water.Temp,Acid.Conc.)"]]
    wanted += [expected["scale"], expected["df"]]
    assert found == pytest.approx(wanted, rel=case["tolerance"]["param_rel"])
    normal = RegressionMixture(**SETTINGS).fit(rows[:, :3], rows[:, 3])
    assert normal.loglik_ == pytest.approx(expected["normal_errors_loglik"], abs=1e-4)


def test_the_poisson_regressions_of_the_data_of_flexmix(reference_values):
    case = reference_values["mixreg_NPreg_poisson2"]
    x, y = np.array(case["data"]["x"])[:, None], case["data"]["yp"]
    fit = RegressionMixture(2, response="poisson", **SETTINGS).fit(x, y)
    expected, rel = case["expected"], case["tolerance"]["param_rel"]
    assert fit.loglik_ == pytest.approx(expected["loglik"], abs=case["tolerance"]["loglik_abs"])
    assert fit.loglik_ > expected["published_flexmix_loglik_loose_tol"]
    intercepts, slopes = expected["beta"]
    ours, theirs = np.argsort(fit.intercept_), np.argsort(intercepts)
    assert fit.weights_[ours] == pytest.approx(np.array(expected["weights"])[theirs], rel=rel)
    assert fit.intercept_[ours] == pytest.approx(np.array(intercepts)[theirs], rel=rel)
    assert fit.coef_[ours, 0] == pytest.approx(np.array(slopes)[theirs], rel=rel)
    assert fit.n_parameters_ == expected["df"]
