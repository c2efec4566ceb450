"""Starts of sequences from their moments: exact moments give the parameters back."""

import numpy as np
import pytest

from emlib.data import Sequences
from emlib.errors import InvalidData
from emlib.inits import make_init
from emlib.inits.spectral_moments import emission_matrix, moments
from emlib.inits.subspace import lagged, realized, state_covariance
from emlib.models.hmm import CategoricalHMMModel
from emlib.models.matching import matched_distance
from emlib.models.state_space import StateSpaceModel
from emlib.models.state_space.params import StateSpaceParams

TRANSMAT = np.array([[0.8, 0.15, 0.05], [0.1, 0.7, 0.2], [0.2, 0.1, 0.7]])
EMISSION = np.array(
    [[0.6, 0.2, 0.1, 0.1, 0.0], [0.0, 0.1, 0.7, 0.1, 0.1], [0.1, 0.1, 0.0, 0.2, 0.6]]
)


def test_moments_are_counts_within_sequences_without_holes():
    values = np.array([0, 1, 2, 1, np.nan, 2, 0, 1, 1, 0])[:, None]
    data = Sequences.from_arrays(values, [7, 3], weights=[1, 2])
    (lines, counts), pairs, first = moments(data, 3)
    assert dict(zip(map(tuple, lines.tolist()), counts, strict=True)) == {
        (0, 1, 2): 1, (1, 2, 1): 1, (1, 1, 0): 2,
    }  # fmt: skip
    assert pairs.tolist() == [[0, 1, 0], [2, 2, 1], [1, 1, 0]]
    assert first.tolist() == [1, 2, 0]


def test_exact_triples_give_the_emissions_back(rng):
    stationary = np.linalg.matrix_power(TRANSMAT, 500)[0]
    joint = np.einsum("h,hi,hx,ij,iy,jz->xyz", stationary, TRANSMAT, EMISSION, TRANSMAT,
                      EMISSION, EMISSION)  # fmt: skip
    lines = np.stack(np.unravel_index(np.arange(125), (5, 5, 5)), axis=1)
    found = emission_matrix((lines, joint.ravel()), 5, 3, rng)
    order = [int(np.abs(found - line[:, None]).sum(axis=0).argmin()) for line in EMISSION]
    assert sorted(order) == [0, 1, 2]
    assert found.T[order] == pytest.approx(EMISSION, abs=2e-3)  # but for the floor


@pytest.mark.parametrize("missing", [0.0, 0.1])
def test_many_steps_lead_near_the_truth_of_a_chain_of_symbols(missing):
    rng = np.random.default_rng(5)
    model = CategoricalHMMModel(3, n_symbols=5)
    truth = model.from_truth(
        {"startprob": np.full(3, 1 / 3), "transmat": TRANSMAT, "emissionprob": EMISSION}
    )
    values, _ = model.sample(truth, 100_000, rng)
    values[rng.random(values.shape) < missing] = np.nan
    data = Sequences.from_arrays(values)
    start = make_init("spectral_moments")(model, data, rng).params
    assert matched_distance(start.emissionprob, EMISSION, np.tile(np.eye(5), (3, 1, 1))) < 0.05
    gap = model.e_step(truth, data).loglik - model.e_step(start, data).loglik
    assert gap < 1e-3 * data.n


def test_symbols_fewer_than_states_and_steps_without_neighbours_are_refused(rng):
    model = CategoricalHMMModel(3, n_symbols=2)
    with pytest.raises(InvalidData, match="2 symbols, fewer than the 3 states"):
        make_init("spectral_moments")(model, Sequences.from_arrays([[0.0]] * 9), rng)
    lonely = Sequences.from_arrays([[0.0], [1.0], [np.nan], [1.0]])
    with pytest.raises(InvalidData, match="no three steps in a row"):
        make_init("spectral_moments")(CategoricalHMMModel(2, n_symbols=2), lonely, rng)


A = np.array([[0.9, 0.2], [-0.3, 0.7]])
C = np.array([[1.0, 0.0], [0.5, 1.0], [0.0, -1.0]])
Q, R = np.array([[0.5, 0.1], [0.1, 0.3]]), np.diag([0.2, 0.4, 0.3])


def stationary_covariance():
    covariance = Q
    for _ in range(2000):
        covariance = A @ covariance @ A.T + Q
    return covariance


def exact_windows(lags):
    """Covariance of the future and the past of a stationary sequence."""
    spread = stationary_covariance()
    shifts = [*range(lags), *range(-1, -lags - 1, -1)]

    def block(s, t):
        if s < t:
            return block(t, s).T
        product = C @ np.linalg.matrix_power(A, s - t) @ spread @ C.T
        return product + (R if s == t else 0.0)

    return np.block([[block(s, t) for t in shifts] for s in shifts])


def test_exact_covariances_give_the_dynamics_back():
    joint = exact_windows(2)
    transition, observation = realized(joint, 2, 3, 2)
    found = np.sort_complex(np.linalg.eigvals(transition))
    assert found == pytest.approx(np.sort_complex(np.linalg.eigvals(A)))
    spread = state_covariance(joint, transition, observation, 2)
    assert observation @ spread @ observation.T == pytest.approx(
        C @ stationary_covariance() @ C.T, abs=1e-8
    )


def test_windows_do_not_reach_into_another_sequence():
    data = Sequences.from_arrays([[1.0], [2.0], [3.0], [4.0]], [2, 2])
    assert np.nan_to_num(lagged(data.values, data, 2), nan=0.0).tolist() == [
        [1, 2, 0, 0], [2, 0, 1, 0], [3, 4, 0, 0], [4, 0, 3, 0],
    ]  # fmt: skip


@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_a_subspace_start_is_as_likely_as_the_truth(missing):
    rng = np.random.default_rng(1)
    truth = StateSpaceParams(
        transition=A, transition_offset=np.zeros(2), transition_covariance=Q, observation=C,
        observation_offset=np.array([5.0, 0.0, -100.0]), observation_covariance=R,
        initial_mean=np.zeros(2), initial_covariance=stationary_covariance(),
    )  # fmt: skip
    model = StateSpaceModel(2)
    values = model.sample(truth, 2000, rng)[0]
    values[rng.random(values.shape) < missing] = np.nan
    data = Sequences.from_arrays(values)
    model = model.prepare(data)
    start = make_init("subspace")(model, data, rng).params
    gain = model.e_step(start, data).loglik - model.e_step(truth, data).loglik
    assert gain > -10.0
    found = np.sort_complex(np.linalg.eigvals(start.transition))
    assert found == pytest.approx(np.sort_complex(np.linalg.eigvals(A)), abs=0.05)


def test_a_held_basis_is_no_place_for_a_subspace_start():
    held = StateSpaceModel(2, fixed={"observation": C})
    assert make_init("subspace").lacks(held) == ["a free observation"]
    assert make_init("subspace").lacks(StateSpaceModel(2)) == []
