"""The start of factor models: principal components."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from emlib.inits.base import Init, Start
from emlib.models.base import Model


@dataclass(frozen=True)
class PCA(Init):
    """Principal components of the available-case covariance (Tipping and Bishop 1999).

    The maximum itself where noise is isotropic and no cell is missing; with diagonal noise the
    components of the correlation matrix.  A missing cell counts as its column's mean plus its
    variance.  State-space models regress them on their past.  Cost: one pass.
    """

    name: ClassVar[str] = "pca"
    holes: ClassVar[str] = "adapted"
    deterministic: ClassVar[bool] = True

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"factors"})

    def __call__(self, model: Model, data: Any, rng: np.random.Generator) -> Start:
        return Start(model.start(data, np.ones((data.n, 1))), e_steps=1.0)
