"""Random responsibilities: each row's are uniform numbers divided by their sum."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from emlib.data import Table
from emlib.inits.base import Init, Start
from emlib.models.base import Model


@dataclass(frozen=True)
class Random(Init):
    """Uniform responsibilities, normalized (scikit-learn's ``random``).

    All components start near the overall mean, so the first steps of the climb are slow.  Holes
    need no care: only the model's start reads the data.  Cost: one pass.
    """

    name: ClassVar[str] = "random"
    holes: ClassVar[str] = "native"

    def __call__(self, model: Model, data: Table, rng: np.random.Generator) -> Start:
        responsibilities = rng.random((data.n, model.n_components))
        responsibilities /= responsibilities.sum(axis=1, keepdims=True)
        return Start(model.start(data, responsibilities), e_steps=1.0)
