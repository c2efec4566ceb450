"""An init of one's own: rows cut into K parts of equal weight along their first principal axis.

Name this file in a config (`plugins: [examples/own_init.py]`) and `slices` among its `inits`.
Is it sound?  emlib check examples/own_init.py
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from emlib.inits import Init, Start


@dataclass(frozen=True)
class Slices(Init):
    """Slices along the first principal axis of the standardized columns.

    Draws nothing.  A missing cell stands at its column's mean.  Cost: one pass.
    """

    name: ClassVar[str] = "slices"
    holes: ClassVar[str] = "adapted"
    deterministic: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset({"classes", "distances"})

    def __call__(self, model, data, rng):
        means, variances = data.column_moments
        z = (data.values - means) / np.sqrt(np.where(variances > 0, variances, 1.0))
        z = np.where(data.observed, z, 0.0)
        _, axes = np.linalg.eigh((data.weights[:, None] * z).T @ z)
        along = z @ axes[:, -1]
        along *= np.sign(axes[np.abs(axes[:, -1]).argmax(), -1])  # eigenvectors have no sign
        _, place = np.unique(along, return_inverse=True)
        before = np.cumsum(np.bincount(place, data.weights)) / data.weights.sum()
        middle = before - 0.5 * np.diff(before, prepend=0.0)
        part = np.minimum((middle * model.n_components).astype(int), model.n_components - 1)
        return Start(model.start(data, np.eye(model.n_components)[part[place]]), e_steps=1.0)
