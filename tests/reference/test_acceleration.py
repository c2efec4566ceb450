"""Published counts of EM steps, plain and accelerated: the classic slow cases of the literature."""

import numpy as np
import pytest

from emlib.algorithms import Stopping, climb, make_algorithm
from emlib.models.factor_analysis import FactorAnalysisModel, FactorAnalysisParams
from emlib.models.poisson_mixture import PoissonMixtureModel, PoissonMixtureParams
from tests.reference.test_factor_analysis import LIU_RUBIN_START, rows_with

ACCELERATED = {
    "SQUAREM_method1": ("squarem", {"steplength": 1}),
    "SQUAREM_method2": ("squarem", {"steplength": 2}),
    "SQUAREM_method3(default)": ("squarem", {"steplength": 3}),
    "DAAREM_order2": ("anderson", {"order": 2}),
}


def death_notices(case, start):
    counts = np.repeat(case["data"]["count"], case["data"]["freq"])[:, None].astype(float)
    share, *rates = start
    model = PoissonMixtureModel(2)
    data = model.view(counts)
    return model, data, PoissonMixtureParams(np.array([share, 1 - share]), np.array([rates]).T)


@pytest.mark.parametrize("tol", ["1e-7", "1e-8"])
@pytest.mark.parametrize("start", ["S1", "S2", "S3"])
def test_death_notices_take_dozens_of_e_steps_and_not_thousands(reference_values, start, tol):
    case = reference_values["accel_poisson_deaths"]
    source = reference_values["poisson_deaths_times"]
    model, data, params = death_notices(source, case["spec"]["starts"][start])
    stopping = Stopping(tol=0, max_iter=5000, parameter_change=float(tol))
    published = case["expected"][f"fpevals_tol{tol}"]
    plain = climb(model, data, params, stopping=stopping)
    assert abs(plain.n_iter - published["EM"][start]) <= case["tolerance"]["EM_counts_abs"]
    for name, (algorithm, settings) in ACCELERATED.items():
        method = make_algorithm(algorithm, {**settings, "coordinates": "natural"})
        end = climb(model, data, params, method, stopping)
        assert end.rule == "parameter_change"
        assert end.e_steps == pytest.approx(published[name][start], rel=0.5)
        assert end.e_steps < 0.1 * plain.e_steps
        assert end.loglik == pytest.approx(case["expected"]["loglik"], abs=1e-8)
        assert (np.diff(end.history.objective) >= -1e-11 * abs(end.loglik)).all()


def joreskog(reference_values, noise):
    source = reference_values["fa_joreskog_constrained"]["data"]
    model = FactorAnalysisModel(4, loadings_mask=LIU_RUBIN_START != 0)
    data = model.view(rows_with(np.array(source["cor"]), source["n"]))
    start = FactorAnalysisParams(np.zeros(9), LIU_RUBIN_START, np.full(9, noise))
    return model, data, start, 0.5 * source["n"] * 9 * np.log(2 * np.pi)


def test_joreskog_s_factors_take_squarem_hundreds(reference_values):
    case = reference_values["accel_fa_joreskog"]
    model, data, start, constant = joreskog(reference_values, 1e-8)
    method = make_algorithm("squarem", {"coordinates": "natural"})
    end = climb(model, data, start, method, Stopping(0, 5000, parameter_change=1e-8))
    assert -end.loglik - constant == pytest.approx(case["expected"]["negloglik"], abs=1e-6)
    assert end.e_steps < 0.15 * case["expected"]["fpevals"]["EM"]


def test_anderson_finds_them_too_unless_it_starts_at_the_boundary(reference_values):
    """Noise variances of 1e-8, as published, are next to a fixed point of EM that is no maximum:
    Anderson acceleration looks for fixed points of any kind, and every proposal fails."""
    case = reference_values["accel_fa_joreskog"]
    model, data, start, constant = joreskog(reference_values, 0.5)
    stopping = Stopping(tol=1e-6, max_iter=20_000)
    plain = climb(model, data, start, stopping=stopping)
    end = climb(model, data, start, make_algorithm("anderson"), stopping)
    assert -end.loglik - constant == pytest.approx(case["expected"]["negloglik"], abs=1e-6)
    assert plain.loglik < end.loglik
    assert end.e_steps < 0.25 * plain.e_steps
