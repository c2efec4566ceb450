"""Tobin's durable goods and Schmee and Hahn's motorettes (survival's survreg)."""

import numpy as np
import pytest

from emlib import CensoredNormal


def test_tobin_durable_goods_censored_at_zero(reference_values):
    case = reference_values["censored_tobin"]
    rows, expected = np.array(case["data"]["rows"]), case["expected"]
    fit = CensoredNormal(lower_limit=0.0, tol=1e-11, max_iter=20_000)
    fit.fit(rows[:, :1], covariates=rows[:, 1:])
    assert fit.loglik_ == pytest.approx(expected["loglik"], abs=case["tolerance"]["loglik_abs"])
    found = [*fit.intercept_, *fit.coef_[0], *fit.scales_]
    wanted = [*expected["coef"], expected["scale"]]
    assert found == pytest.approx(wanted, rel=case["tolerance"]["param_rel"])
    alone = CensoredNormal(lower_limit=0.0, tol=1e-9, max_iter=20_000).fit(rows[:, :1])
    assert alone.loglik_ == pytest.approx(expected["intercept_only_loglik"], abs=1e-6)


def test_schmee_and_hahn_motorettes_censored_at_the_end_of_their_tests(reference_values):
    case = reference_values["censored_motors_all"]
    temperature, time, failed = np.array(case["data"]["rows"], dtype=float).T
    low = np.log10(time)[:, None]
    high = np.where(failed[:, None] == 1, low, np.inf)
    covariates = 1000.0 / (273.2 + temperature)[:, None]
    fit = CensoredNormal(tol=1e-11, max_iter=20_000).fit(low, upper=high, covariates=covariates)
    expected, rel = case["expected"], case["tolerance"]["param_rel"]
    assert fit.loglik_ == pytest.approx(expected["loglik"], abs=case["tolerance"]["loglik_abs"])
    assert fit.intercept_[0] == pytest.approx(expected["intercept"], rel=rel)
    assert fit.coef_[0, 0] == pytest.approx(expected["slope"], rel=rel)
    assert fit.scales_[0] == pytest.approx(expected["sigma"], rel=rel)
