"""Random segments: a start for sequences, from their order alone."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from emlib.data import Sequences
from emlib.inits.base import Init, Start, one_hot
from emlib.models.base import Model


@dataclass(frozen=True)
class Segments(Init):
    """Sequences cut at random steps, each piece given to one state, all states equally often.

    The random start of change-point problems: the number of cuts is uniform from K - 1 to a fifth
    of the steps, so that states of any duration get a chance.  Where states overlap in what they
    show and differ in how long they last, assigning steps by their values (``kmeans``) is blind to
    them.  Holes need no care: only the model's start reads the data.  Cost: one pass.
    """

    name: ClassVar[str] = "segments"
    holes: ClassVar[str] = "native"
    by_row: ClassVar[bool] = True

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"classes", "order"})

    def __call__(self, model: Model, data: Sequences, rng: np.random.Generator) -> Start:
        k, n = model.n_components, data.n
        fewest = min(k, n) - 1
        cuts = rng.integers(fewest, max(fewest, n // 5) + 1)
        begins = np.zeros(n, dtype=bool)
        begins[rng.choice(np.arange(1, n), size=cuts, replace=False)] = True
        begins[data.offsets[:-1]] = True
        states = rng.permutation(np.arange(begins.sum()) % k)
        return Start(model.start(data, one_hot(states[np.cumsum(begins) - 1], k)), e_steps=1.0)
