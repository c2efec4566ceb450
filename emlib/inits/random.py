"""The plainest random start that a family has."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from emlib.data import Table
from emlib.inits.base import Init, Start
from emlib.models.base import Model


@dataclass(frozen=True)
class Random(Init):
    """Uniform responsibilities, normalized (scikit-learn's ``random``); random loadings where the
    latent variables are factors.

    All components start near the overall mean, so the first steps of the climb are slow.  Holes
    need no care: only the model's start reads the data.  Cost: one pass.
    """

    name: ClassVar[str] = "random"
    holes: ClassVar[str] = "native"
    by_row: ClassVar[bool] = True

    def __call__(self, model: Model, data: Table, rng: np.random.Generator) -> Start:
        return Start(model.random_start(data, rng), e_steps=1.0)
