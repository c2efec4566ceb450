"""Random segments against what their docstring says."""

import itertools

import numpy as np

from emlib.data import Sequences
from emlib.inits import make_init


class Recorder:
    """A model that keeps the responsibilities that its start is given."""

    n_components = 3

    def start(self, data, responsibilities):
        return responsibilities


def pieces(states):
    return [list(run) for _, run in itertools.groupby(states)]


def test_pieces_are_hard_cover_every_state_and_are_redrawn_each_time(rng):
    data = Sequences.from_arrays(rng.normal(size=(60, 2)), [40, 20])
    seen = set()
    for _ in range(50):
        r = make_init("segments")(Recorder(), data, rng).params
        assert set(np.unique(r)) == {0.0, 1.0}
        assert (r.sum(axis=1) == 1).all()
        assert (r.sum(axis=0) > 0).all()
        states = r.argmax(axis=1)
        assert len(pieces(states)) <= 60 // 5 + 2
        seen.add(tuple(states))
    assert len(seen) == 50


def test_as_many_steps_as_states_are_one_each(rng):
    data = Sequences.from_arrays(rng.normal(size=(3, 2)))
    r = make_init("segments")(Recorder(), data, rng).params
    assert (r.sum(axis=0) == 1).all()
