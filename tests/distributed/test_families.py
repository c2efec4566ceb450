"""Every family of independent rows: over partitions it is the model that it is in memory."""

import os
import signal

import numpy as np
import pytest

from emlib.algorithms import Stochastic, Stopping, climb, make_algorithm
from emlib.data import Sequences
from emlib.distributed.model import DistributedModel
from emlib.distributed.view import cut
from tests.families.contract import rebuilt
from tests.families.test_contract import FAMILIES

DEPENDENT = ("state_space", "gaussian_image", "rotating_video")
ROWS = [case for case in FAMILIES if not case.name.startswith(("examples", *DEPENDENT))]
ALIKE = {"EII", "EEI", "EVI", "VEE", "EEV", "VEV", "EVV", "VVE"}  # with the E-steps of others
ROWS = [case for case in ROWS if "hmm" not in case.name and case.name[-4:-1] not in ALIKE]


def in_partitions(client, model, data, sizes):
    """A view cut into partitions of these sizes, the last one of what is left."""
    return cut(client, model, data, np.cumsum([0, *sizes, data.n - sum(sizes)]))


def drawn(case, seed=1):
    """A model not prepared for any data, where to start, and rows with holes and weights."""
    rng = np.random.default_rng(seed)
    model, params, data = case.draw(rng, n=60)
    assert not isinstance(data, Sequences)
    weights = rng.integers(0, 3, data.n).astype(float)
    weights[:8] = 1.0
    return model, params, rebuilt(model, data, np.arange(data.n), weights)


@pytest.mark.parametrize("case", ROWS, ids=lambda case: case.name)
def test_partitions_give_the_climb_of_the_whole(client, case):
    model, params, data = drawn(case)
    rule = Stopping(tol=0, max_iter=2)
    whole = climb(model.prepare(data), data, params, stopping=rule)
    parts = in_partitions(client, model, data, sizes=(1, 30))
    end = climb(DistributedModel(model).prepare(parts), parts, params, stopping=rule)
    assert end.status == whole.status
    assert end.history.loglik == pytest.approx(whole.history.loglik, rel=1e-9)
    assert model.pack(end.params) == pytest.approx(model.pack(whole.params), rel=1e-7, abs=1e-9)
    assert parts.total_weight == data.total_weight


@pytest.mark.parametrize("sizes", [(), (20, 20), (1,) * 20])
def test_any_cut_gives_the_same_loglik(client, sizes):
    case = next(case for case in ROWS if case.name == "student_mixture[full, each]")
    model, params, data = drawn(case)
    whole = model.e_step(params, data)
    parts = in_partitions(client, model, data, sizes)
    stats = DistributedModel(model).prepare(parts).e_step(params, parts)
    assert stats.loglik == pytest.approx(whole.loglik, rel=1e-12)
    assert stats.magnitude == pytest.approx(whole.magnitude, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("squarem", {}),
        ("anderson", {}),
        ("annealing", {"beta_min": 0.8}),
        ("classification", {}),
        ("incremental", {}),
        ("online", {"passes": 2}),
    ],
)
def test_algorithms_climb_partitions_as_they_climb_rows(client, name, settings):
    case = next(case for case in ROWS if case.name == "gaussian_mixture[full]")
    model, params, data = drawn(case)
    parts = in_partitions(client, model, data, sizes=(20, 25))
    ends = [
        climb(*pair, params, make_algorithm(name, settings), Stopping(tol=0.1))
        for pair in ((model, data), (DistributedModel(model).prepare(parts), parts))
    ]
    assert ends[1].status == ends[0].status == "converged"
    assert ends[1].loglik == pytest.approx(ends[0].loglik, abs=0.2)


def test_a_drawn_posterior_is_the_same_each_time(client):
    case = next(case for case in ROWS if case.name == "gaussian_mixture[full]")
    model, params, data = drawn(case)
    parts = in_partitions(client, model, data, sizes=(20, 25))
    over, draws, rule = DistributedModel(model).prepare(parts), Stochastic(5), Stopping(tol=1.0)
    ends = [climb(over, parts, params, draws, rule, rng=np.random.default_rng(5)) for _ in range(2)]
    assert ends[0].loglik == ends[1].loglik
    assert ends[0].status == "converged"


def test_what_looks_at_every_row_is_refused(client):
    case = next(case for case in ROWS if case.name == "gaussian_mixture[full]")
    model, params, data = drawn(case)
    parts = in_partitions(client, model, data, sizes=(20, 25))
    with pytest.raises(NotImplementedError, match="stay with the workers"):
        DistributedModel(model).posterior(params, parts)


def test_workers_that_are_lost_get_the_rows_of_a_view_again(client):
    case = next(case for case in ROWS if case.name == "multivariate_normal")
    model, params, data = drawn(case)
    parts = in_partitions(client, model, data, sizes=(10, 1))
    spread = DistributedModel(model).prepare(parts)
    before = spread.e_step(params, parts)
    killed = client.run(os.getpid).values()
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    assert spread.e_step(params, parts).loglik == before.loglik
    assert set(killed).isdisjoint(client.run(os.getpid).values())
