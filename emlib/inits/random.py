"""The plainest random starts that a family has."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from emlib.data import Table
from emlib.inits.base import Init, Start
from emlib.inits.rows import Rows
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


@dataclass(frozen=True)
class RandomPosterior(Init):
    """Responsibilities drawn from a symmetric Dirichlet law (flexmix and poLCA draw so).

    Rows that repeat themselves share their draw, so neither order nor copies change the start, and
    tables of few distinct rows start far from even.  The lower ``concentration``, the harder the
    responsibilities: 1 is uniform on the simplex, near 0 a random partition.  Holes need no care:
    only the model's start reads the data.  Cost: one pass.

    Parameters
    ----------
    concentration : float
    """

    name: ClassVar[str] = "random_posterior"
    holes: ClassVar[str] = "native"
    needs: ClassVar[frozenset[str]] = frozenset({"classes"})

    concentration: float = 1.0

    def __post_init__(self) -> None:
        if not (self.concentration > 0 and math.isfinite(self.concentration)):
            raise ValueError(f"concentration: {self.concentration!r} is not a positive number")

    def __call__(self, model: Model, data: Table, rng: np.random.Generator) -> Start:
        shares = draw_shares(Rows.of(data), model.n_components, self.concentration, rng)
        return Start(model.start(data, shares), e_steps=1.0)


def draw_shares(
    rows: Rows, n_components: int, concentration: float, rng: np.random.Generator
) -> np.ndarray:
    """Dirichlet responsibilities (n, K), one draw a distinct row; even ones for rows of holes."""
    drawn = rng.dirichlet(np.full(n_components, concentration), size=rows.table.n)
    drawn = np.vstack([drawn, np.full(n_components, 1.0 / n_components)])
    return np.asarray(drawn[rows.number])
