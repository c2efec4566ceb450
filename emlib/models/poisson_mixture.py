"""Mixtures of Poisson counts, columns independent given the class, any cell missing.

McLachlan and Peel (2000), section 5.4 and chapter 9; Hasselblad (1969), JASA 64, 1459-1471.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from emlib.data.discrete import Discrete, Rows
from emlib.models.base import is_unconstrained
from emlib.models.checks import require_whole
from emlib.models.local_independence import ClassSums, LocalIndependence
from emlib.models.matching import matched_distance
from emlib.models.posterior import Posterior
from emlib.models.simplex import log, pack_simplex, unpack_simplex
from emlib.models.special import xlogy
from emlib.parallel import add_chunks

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class PoissonMixtureParams:
    """Weights (K,) and rates (K, d), the expected counts."""

    weights: Array
    rates: Array


@dataclass(frozen=True)
class PoissonMixtureModel(LocalIndependence):
    """A mixture of ``n_components`` products of Poisson laws.

    Parameters
    ----------
    n_components : int
    """

    family: ClassVar[str] = "poisson_mixture"
    columns: ClassVar[str] = "rates"

    n_components: int

    def n_parameters(self, data: Discrete) -> int:
        return self.n_components - 1 + self.n_components * data.d

    def q(self, stats: ClassSums, params: PoissonMixtureParams) -> float:
        sums, exposure = stats.cells
        shares = xlogy(stats.counts, params.weights).sum()
        rates = params.rates.T
        return float(shares + xlogy(sums, rates).sum() - (exposure * rates).sum())

    def settled(self, params: PoissonMixtureParams, stats: ClassSums) -> PoissonMixtureParams:
        """Rates on their way to zero at zero."""
        rates = np.where(self._vanishing(params, stats).T, 0.0, params.rates)
        return PoissonMixtureParams(params.weights, rates)

    def accepts_truth(self, truth: dict[str, Any]) -> bool:
        return truth.keys() >= {"weights", "rates"} and len(truth["weights"]) == self.n_components

    def from_truth(self, truth: dict[str, Any]) -> PoissonMixtureParams:
        weights, rates = (np.asarray(truth[name], dtype=float) for name in ("weights", "rates"))
        return PoissonMixtureParams(weights, rates)

    def parameter_error(self, params: PoissonMixtureParams, truth: dict[str, Any]) -> float:
        """Root mean square distance of the rates; see ``matched_distance``."""
        rates = np.asarray(truth["rates"], dtype=float)
        return matched_distance(params.rates, rates, rates[:, :, None] * np.eye(rates.shape[1]))

    def pack(
        self,
        params: PoissonMixtureParams,
        coordinates: str = "natural",
        around: PoissonMixtureParams | None = None,
    ) -> Array:
        unconstrained = is_unconstrained(coordinates)
        rates = log(params.rates) if unconstrained else params.rates
        centre = (params if around is None else around).weights
        return np.concatenate([pack_simplex(params.weights, unconstrained, centre), rates.ravel()])

    def unpack(
        self, vector: Array, around: PoissonMixtureParams, coordinates: str = "natural"
    ) -> PoissonMixtureParams:
        unconstrained = is_unconstrained(coordinates)
        weights, rates = np.split(vector, [self.n_components - 1])
        return PoissonMixtureParams(
            unpack_simplex(weights, around.weights, unconstrained),
            (np.exp(rates) if unconstrained else rates).reshape(around.rates.shape),
        )

    def check_cells(self, data: Discrete) -> None:
        require_whole(data)

    def _record(self, weights: Array, columns: Array) -> PoissonMixtureParams:
        return PoissonMixtureParams(weights, columns)

    def _pass(
        self, params: PoissonMixtureParams, data: Discrete, rows: Rows, posterior: Posterior
    ) -> Any:
        from emlib.kernels.discrete import count_pass

        values, factorials, weights = rows.values, rows.log_factorials, rows.weights
        logs, noise = _logs(params), posterior.uniforms(len(values))
        return add_chunks(
            lambda part: count_pass(
                values[part], factorials[part], weights[part], *logs, posterior.beta, noise[part]
            ),
            rows.chunks,
        )

    def _rows(self, params: PoissonMixtureParams, data: Discrete) -> Any:
        from emlib.kernels.discrete import count_posteriors

        return count_posteriors(data.values, data.rows.log_factorials, *_logs(params))

    def _cells(self, data: Discrete, responsibilities: Array) -> Array:
        counts = np.where(data.observed, data.values, 0.0)
        return np.stack([counts.T @ responsibilities, data.observed.T @ responsibilities])

    def _columns(self, cells: Array, params: PoissonMixtureParams | None) -> Array:
        sums, exposure = cells
        old = np.zeros(sums.shape) if params is None else params.rates.T.astype(float)
        return np.divide(sums, exposure, out=old, where=exposure > 0).T

    def _expected(self, params: PoissonMixtureParams, responsibilities: Array) -> Array:
        return responsibilities @ params.rates

    def _drawn(self, params: PoissonMixtureParams, labels: Ints, rng: np.random.Generator) -> Array:
        return rng.poisson(params.rates[labels]).astype(np.float64)

    def _against_zero(
        self, cells: Array, params: PoissonMixtureParams
    ) -> tuple[Array, Array, Array]:
        return cells[0], cells[1], params.rates.T


def _logs(params: PoissonMixtureParams) -> tuple[Array, Array, Array]:
    """Log weights (K,), rates and log rates (d, K), as the kernels read them."""
    rates = np.ascontiguousarray(params.rates.T)
    return log(params.weights), rates, log(rates)
