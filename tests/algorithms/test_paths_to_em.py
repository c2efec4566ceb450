"""Annealing, classification, SEM, incremental and online EM, each against what its paper says."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
from scipy.special import logsumexp

from emlib.algorithms import (
    EM,
    Annealing,
    Budget,
    Classification,
    Incremental,
    Online,
    Stochastic,
    Stopping,
    climb,
)
from emlib.data import Table
from emlib.models.gaussian_mixture import GaussianMixtureModel, GaussianMixtureParams
from tests.families.case_hmm import CategoricalCase, GaussianCase, PoissonCase
from tests.hmm_twins import path_logs, sequences_of
from tests.twins import row_log_joint, student_log_joint

BETAS = [0.05, 0.4, 1.0, 1.7, math.inf]


def warm(logs, beta):
    """1/beta log of the sum of exp(beta logs), the maximum at infinity."""
    return logs.max() if math.isinf(beta) else logsumexp(beta * logs) / beta


def mixture_free_energy(params, data, beta):
    """Over the rows that show something: the others tell nothing of any class."""
    total = 0.0
    for weight, row in zip(data.weights, data.values, strict=True):
        if not np.isnan(row).all():
            logs = row_log_joint(row, params.weights, params.means, params.covariances)[0]
            total += weight * warm(np.array(logs), beta)
    return total


def overlapping(n=300, seed=0, missing=0.15, apart=3.0):
    """Three overlapping components in the plane, and a start in the basin of their optimum."""
    rng = np.random.default_rng(seed)
    centres = apart * np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    values = centres[rng.integers(3, size=n)] + rng.normal(size=(n, 2))
    values[rng.random(values.shape) < missing] = np.nan
    data = Table.from_array(values, 1.0 + rng.integers(2, size=n))
    model = GaussianMixtureModel(3).prepare(data)
    start = GaussianMixtureParams(np.full(3, 1 / 3), centres + 0.2, np.stack([np.eye(2)] * 3))
    return model, data, start


@pytest.mark.parametrize("beta", BETAS)
def test_the_free_energy_of_a_mixture_is_its_formula(beta):
    model, data, start = overlapping(60)
    wanted = mixture_free_energy(start, data, beta)
    assert model.free_energy(start, data, beta) == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("beta", BETAS)
def test_the_free_energy_of_t_components_is_its_formula(beta):
    from emlib.models.student_mixture import StudentMixtureModel, StudentMixtureParams

    _, data, start = overlapping(40)
    params = StudentMixtureParams(*vars(start).values(), np.array([3.0, 5.0, 9.0]))
    wanted = sum(
        w * warm(np.array(student_log_joint(row, *vars(params).values())), beta)
        for w, row in zip(data.weights, data.values, strict=True)
    )
    found = StudentMixtureModel(3).free_energy(params, data, beta)
    assert found == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize(
    "case", [GaussianCase("full"), PoissonCase(), CategoricalCase()], ids=lambda c: c.name
)
def test_the_free_energy_of_a_chain_is_the_sum_over_its_paths(case, beta):
    rng = np.random.default_rng(1)
    model, params = case.problem(rng)
    values = np.vstack([model.sample(params, size, rng)[0] for size in (6, 4, 1)])
    values[[2, 7]] = np.nan
    data = model.view(values, [1.0, 2.0, 3.0], lengths=[6, 4, 1])
    logs = [warm(path_logs(model, params, x)[1], beta) for x in sequences_of(data)]
    wanted = float(data.unit_weights @ np.array(logs))
    assert model.free_energy(params, data, beta) == pytest.approx(wanted, rel=1e-11)


def test_annealing_goes_through_its_betas_and_rises_at_each():
    model, data, start = overlapping(50)
    algorithm = Annealing(beta_min=0.3, factor=1.6, beta_max=1.3, stage_moves=3)
    assert algorithm.betas == pytest.approx((0.3, 0.48, 0.768, 1.2288, 1.3, 1.0))
    here, rng = algorithm.begin(model, data, start, None), None
    seen = []
    while not here.settling:
        there = algorithm.move(model, data, here, rng)
        beta = algorithm.betas[there.stage]
        free = mixture_free_energy(there.params, data, beta)
        assert there.objective == pytest.approx(free, rel=1e-11)
        if there.stage == here.stage:
            assert free >= mixture_free_energy(here.params, data, beta) - 1e-9
        else:
            assert there.params is here.params
            assert there.before == there.objective
        seen.append(there.stage)
        here = there
    assert seen == sorted(seen)
    assert set(seen) == set(range(len(algorithm.betas)))
    assert here.objective == here.loglik


def test_annealing_ends_where_em_ends_and_counts_its_evaluations():
    model, data, start = overlapping(apart=5.0)
    stopping = Stopping(tol=1e-8)
    plain = climb(model, data, start, EM(), stopping)
    end = climb(model, data, start, Annealing(beta_min=0.7, factor=1.2), stopping)
    assert end.status == "converged"
    assert end.loglik == pytest.approx(plain.loglik, abs=1e-5)
    steps = np.diff(end.history.e_steps)
    assert set(steps) == {1.0, 2.0}
    assert steps[-1] == 1.0


def test_classification_ascends_the_classification_loglik_and_settles():
    model, data, start = overlapping()
    end = climb(model, data, start, Classification(), Stopping(tol=1e-9))
    assert end.status == "converged"
    wanted = mixture_free_energy(end.params, data, math.inf)
    assert end.objective == pytest.approx(wanted, rel=1e-12)
    assert end.loglik > end.objective
    assert (np.diff(end.history.objective) >= -1e-9).all()
    assert end.e_steps == 2.0 * len(end.history.objective)
    best = climb(model, data, start, stopping=Stopping(tol=1e-9))
    onward = climb(model, data, best.params, Classification())
    assert onward.loglik < best.loglik  # it lowers the loglik, which nobody calls a fall


def test_sem_wanders_around_the_maximum_as_far_as_its_draws_are_wide():
    rng = np.random.default_rng(2)
    values = np.concatenate([rng.normal(-1.5, 1, 400), rng.normal(1.5, 1, 400)])[:, None]
    model, data = GaussianMixtureModel(2), Table.from_array(values)
    start = GaussianMixtureParams(np.full(2, 0.5), np.array([[-1.0], [1.0]]), np.ones((2, 1, 1)))
    optimum = climb(model, data, start, stopping=Stopping(tol=1e-9)).params
    algorithm = Stochastic(iterations=600)
    here, means = algorithm.begin(model, data, start, rng), []
    for _ in range(600):
        here = algorithm.move(model, data, here, rng)
        means.append(here.params.means[0, 0])
    wander = np.array(means[100:])
    assert wander.mean() == pytest.approx(optimum.means[0, 0], abs=0.1)
    # Between the error of a mean of known members and that of many times fewer rows.
    assert 0.2 / math.sqrt(400) < wander.std() < 5.0 / math.sqrt(400)


def test_sem_goes_on_by_em_from_its_best_draw():
    model, data, start = overlapping()
    algorithm = Stochastic(iterations=8)
    end = climb(model, data, start, algorithm, rng=np.random.default_rng(3))
    assert end.status == "converged"
    drawn = end.history.objective[:9]
    assert end.history.objective[9] == pytest.approx(drawn.max(), rel=1e-13)
    assert (np.diff(drawn) < 0).any()
    assert (np.diff(end.history.objective[9:]) >= 0).all()
    short = climb(model, data, start, algorithm, budget=Budget(4.0), rng=np.random.default_rng(3))
    assert short.status == "budget"
    assert short.loglik == pytest.approx(drawn[:4].max(), rel=1e-13)


@pytest.mark.parametrize("chunks", [1, 7])
def test_incremental_em_ends_where_em_ends(chunks):
    model, data, start = overlapping()
    stopping = Stopping(tol=1e-8)
    plain = climb(model, data, start, EM(), stopping)
    end = climb(model, data, start, Incremental(chunks), stopping)
    assert end.status == "converged"
    assert end.loglik == pytest.approx(plain.loglik, abs=1e-5)
    assert np.allclose(end.params.means, plain.params.means, atol=1e-2)


def test_the_incremental_objective_is_the_free_energy_below_the_loglik():
    model, data, start = overlapping()
    algorithm = Incremental(chunks=5)
    here = algorithm.begin(model, data, start, None)
    for _ in range(6):
        there = algorithm.move(model, data, here, None)
        loglik = model.e_step(there.params, data).loglik
        assert here.objective < there.objective <= loglik + 1e-9
        assert math.isnan(there.loglik)
        # Parts whose stats are renewed at theta close the gap.
        renewed = [model.e_step(there.params, part.view) for part in there.parts]
        assert sum(stats.loglik for stats in renewed) == pytest.approx(loglik, rel=1e-12)
        assert there.parts[-1].stats.loglik == renewed[-1].loglik
        here = there


def test_incremental_em_takes_fewer_e_steps_than_em():
    model, data, start = overlapping(2000)
    stopping = Stopping(tol=1e-3, max_iter=2000)
    plain = climb(model, data, start, EM(), stopping)
    end = climb(model, data, start, Incremental(20), stopping)
    assert end.loglik == pytest.approx(plain.loglik, abs=0.01)
    assert end.e_steps < plain.e_steps


def test_online_em_comes_near_the_maximum_in_a_few_passes_over_many_rows():
    model, data, start = overlapping(20_000)
    plain = climb(model, data, start, EM(), Stopping(tol=1e-6))
    algorithm, rng = Online(batches=40, passes=4), np.random.default_rng(4)
    here = algorithm.begin(model, data, start, rng)
    assert here.loglik == model.e_step(start, data).loglik
    for _ in range(4):
        here = algorithm.move(model, data, here, rng)
        assert math.isnan(here.loglik)
        assert here.e_steps == 1.0
    online = model.e_step(here.params, data).loglik
    assert plain.loglik - online < 0.01 * (plain.loglik - model.e_step(start, data).loglik)
    end = climb(model, data, start, algorithm, rng=np.random.default_rng(4))
    assert end.status == "converged"
    assert end.loglik == pytest.approx(plain.loglik, abs=0.01)
    short = climb(model, data, start, algorithm, budget=Budget(3.0), rng=np.random.default_rng(4))
    assert short.loglik == model.e_step(short.params, data).loglik


@dataclass(frozen=True)
class Astray(GaussianMixtureModel):
    """An M-step that is wrong."""

    def m_step(self, stats, params, free=None):
        there = super().m_step(stats, params, free)
        return GaussianMixtureParams(there.weights, there.means + 0.5, there.covariances)


@pytest.mark.parametrize(
    ("algorithm", "what"),
    [
        (EM(), "loglik"),
        (Annealing(), "free_energy"),
        (Classification(), "classification"),
        (Incremental(), "free_energy"),
    ],
)
def test_a_wrong_m_step_is_found_out(algorithm, what):
    _, data, start = overlapping()
    end = climb(Astray(3), data, start, algorithm)
    assert end.status == "decreased"
    assert end.message.startswith(f"the {what} fell by")


@pytest.mark.parametrize(
    ("algorithm", "settings", "message"),
    [
        (Annealing, {"beta_min": 0.01}, "beta_min: 0.01 is not in"),
        (Annealing, {"factor": 1.0}, "factor: 1.0 is not a finite number > 1"),
        (Annealing, {"beta_max": 0.5}, "beta_max: 0.5 is not a finite number >= 1"),
        (Annealing, {"stage_gain": 0.0}, "stage_gain: 0.0"),
        (Stochastic, {"iterations": 0}, "iterations"),
        (Incremental, {"chunks": 0}, "chunks"),
        (Online, {"alpha": 0.5}, "alpha: 0.5 is not in"),
        (Online, {"t0": 0.0}, "t0: 0.0"),
        (Online, {"batches": 1.5}, "batches"),
    ],
)
def test_a_setting_out_of_range_is_refused(algorithm, settings, message):
    with pytest.raises(ValueError, match=message):
        algorithm(**settings)
