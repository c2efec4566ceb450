"""Which posterior of the latent variables an E-step uses: exact, tempered, hard or sampled."""

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Posterior:
    """The posterior raised to ``beta`` and normalized, or drawn from where ``rng`` is given."""

    beta: float = 1.0
    rng: np.random.Generator | None = None

    @property
    def is_exact(self) -> bool:
        """Whether it is the posterior itself, which every family has."""
        return self.beta == 1.0 and self.rng is None

    def uniforms(self, n: int) -> np.ndarray:
        """One uniform a unit where the posterior is drawn from, else none."""
        return np.empty(0) if self.rng is None else self.rng.random(n)


EXACT = Posterior()
HARD = Posterior(beta=math.inf)


def tempered(beta: float) -> Posterior:
    """Posterior of deterministic annealing (Ueda and Nakano 1998, equation 10)."""
    if not beta > 0:
        raise ValueError(f"beta: {beta!r} is not positive")
    return Posterior(beta=beta)


def sampled(rng: np.random.Generator) -> Posterior:
    """Posterior of stochastic EM (Celeux and Diebolt 1985): one draw a unit."""
    return Posterior(rng=rng)


def draw_labels(
    responsibilities: np.ndarray | None, weights: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """One latent class a row by inversion, from ``weights`` where a row saw nothing, shape (n,)."""
    if responsibilities is None:
        raise ValueError("no responsibilities to draw latent classes from")
    seen = responsibilities.sum(axis=1) > 0
    chances = np.where(seen[:, None], responsibilities, weights)
    reached = np.cumsum(chances, axis=1)
    draws = rng.random(len(chances))[:, None] * reached[:, -1:]
    return np.minimum((reached <= draws).sum(axis=1), chances.shape[1] - 1).astype(np.int64)
