"""Factor analysis and probabilistic principal components, with any pattern of missing cells.

Rubin and Thayer (1982), Psychometrika 47, 69-76; with isotropic noise Tipping and Bishop (1999),
JRSS B 61, 611-622, section 3 and appendix B; with holes Ilin and Raiko (2010), JMLR 11, section 3.
It is the mixture of factor analyzers of one component, whose E-step and M-step it uses:

    x = mu + L f + e,    f ~ N(0, I_q),    e ~ N(0, Psi)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from emlib.data import Table
from emlib.models.base import Model
from emlib.models.factor_mixture import (
    MixtureOfFactorAnalyzersModel,
    MixtureOfFactorAnalyzersParams,
)
from emlib.models.factor_sums import FactorSums
from emlib.models.posterior import EXACT, Posterior
from emlib.models.records import Diagnosis, Posteriors, Step

Array = NDArray[np.float64]

OF_MIXTURE = {"mean": "means", "loadings": "loadings", "noise_variance": "noise_variances"}


@dataclass(frozen=True, eq=False)
class FactorAnalysisParams:
    """Mean (d,), loadings (d, q) and noise variances (d,), or one () where isotropic."""

    mean: Array
    loadings: Array
    noise_variance: Array


@dataclass(frozen=True)
class FactorAnalysisModel(Model):
    """``n_factors`` orthogonal factors of unit variance.

    Parameters
    ----------
    n_factors : int
    noise : {"diagonal", "isotropic"}
        One noise variance a column (factor analysis), or one for all (probabilistic PCA).
    loadings_mask : sequence of shape (d, n_factors), optional
        False where a loading is held at zero.
    """

    family: ClassVar[str] = "factor_analysis"
    traits: ClassVar[frozenset[str]] = frozenset({"factors"})
    posteriors: ClassVar[frozenset[str]] = frozenset()
    search: ClassVar[tuple[str, ...]] = ("pca", "random")
    n_components: ClassVar[int] = 1  # type: ignore[misc]

    n_factors: int = 1
    noise: str = "diagonal"
    loadings_mask: Sequence[Sequence[bool]] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "loadings_mask", self._mixture.loadings_mask)

    @property
    def cycle(self) -> tuple[Step, ...]:
        return (Step(frozenset(OF_MIXTURE)),)

    def n_parameters(self, data: Table) -> int:
        return self._mixture.n_parameters(data)

    def prepare(self, data: Table) -> "FactorAnalysisModel":
        self._mixture.prepare(data)
        return self

    def e_step(
        self, params: FactorAnalysisParams, data: Table, posterior: Posterior = EXACT
    ) -> FactorSums:
        if not posterior.is_exact:
            raise NotImplementedError("factor_analysis has no latent classes to temper or draw")
        return self._mixture.e_step(_mixed(params), data)

    def m_step(
        self,
        stats: FactorSums,
        params: FactorAnalysisParams,
        free: frozenset[str] | None = None,
    ) -> FactorAnalysisParams:
        names = frozenset(OF_MIXTURE[name] for name in (OF_MIXTURE if free is None else free))
        return _single(self._mixture.m_step(stats, _mixed(params), names))

    def q(self, stats: FactorSums, params: FactorAnalysisParams) -> float:
        return self._mixture.q(stats, _mixed(params))

    def start(self, data: Table, responsibilities: Array) -> FactorAnalysisParams:
        """Principal components of the available-case covariance, of the correlations where noise
        is diagonal; for complete data with isotropic noise the maximum itself."""
        return _single(self._mixture.start(data, responsibilities))

    def random_start(self, data: Table, rng: np.random.Generator) -> FactorAnalysisParams:
        """Normal loadings that explain half of each column's variance on average."""
        mean, variances = data.column_moments
        if self.noise == "isotropic":
            variances = np.full(data.d, variances.mean())
        scale = np.sqrt(0.5 * variances / self.n_factors)
        loadings = scale[:, None] * rng.standard_normal((data.d, self.n_factors))
        loadings = np.where(self.mask(data.d), loadings, 0.0)
        noise = 0.5 * variances
        return FactorAnalysisParams(
            mean, loadings, np.asarray(noise[0]) if self.noise == "isotropic" else noise
        )

    def accepts_truth(self, truth: dict[str, Any]) -> bool:
        shape = np.shape(truth.get("loadings", ()))
        return len(shape) == 2 and shape[1] == self.n_factors

    def from_truth(self, truth: dict[str, Any]) -> FactorAnalysisParams:
        """A generator's parameters; noise variances are averaged where noise is isotropic."""
        arrays = {OF_MIXTURE[name]: np.asarray(truth[name])[None] for name in OF_MIXTURE}
        return _single(self._mixture.from_truth({"weights": np.ones(1), **arrays}))

    def posterior(self, params: FactorAnalysisParams, data: Table) -> Posteriors:
        return self._mixture.posterior(_mixed(params), data)._replace(responsibilities=None)

    def complete(
        self, params: FactorAnalysisParams, data: Table, rng: np.random.Generator
    ) -> Array:
        """Draw factors given the observed cells, then missing cells given the factors."""
        return self._mixture.complete(_mixed(params), data, rng)

    def sample(
        self, params: FactorAnalysisParams, n: int, rng: np.random.Generator
    ) -> tuple[Array, None]:
        """Draw n rows (n, d); there are no latent classes."""
        return self._mixture.sample(_mixed(params), n, rng)[0], None

    def mask(self, d: int) -> NDArray[np.bool_]:
        """True where a loading is free, shape (d, q)."""
        return self._mixture.mask(d)

    def covariance(self, params: FactorAnalysisParams) -> Array:
        """L L' + Psi, shape (d, d)."""
        return np.asarray(self._mixture.covariances(_mixed(params))[0])

    def canonical(self, params: FactorAnalysisParams) -> FactorAnalysisParams:
        """The same density with loadings rotated by convention; see ``rotation.canonical``."""
        return _single(self._mixture.canonical(_mixed(params)))

    def diagnose(self, params: FactorAnalysisParams, stats: FactorSums) -> Diagnosis:
        """``boundary``: a Heywood case, a noise variance below a thousandth of its column's.

        The likelihood is bounded there, and its maximum has a noise variance of zero; EM nears it
        ever more slowly.  It is unbounded, and a climb ``degenerate``, only where some columns,
        q + 1 or fewer in general position, are linearly dependent in the data (Robertson and
        Symons 2007).
        """
        return self._mixture.diagnose(_mixed(params), stats)

    def parameter_error(self, params: FactorAnalysisParams, truth: dict[str, Any]) -> float:
        """Root mean square error of the covariances in units of the true standard deviations."""
        if np.shape(truth["mean"]) != params.mean.shape:
            return float("nan")
        loadings, noise = np.asarray(truth["loadings"]), np.asarray(truth["noise_variance"])
        true = loadings @ loadings.T + noise * np.eye(len(loadings))
        scale = np.sqrt(np.diagonal(true))
        error = (self.covariance(params) - true) / np.outer(scale, scale)
        return float(np.sqrt((error**2).mean()))

    def functionals(self, params: FactorAnalysisParams) -> dict[str, Array]:
        """The parameters, and each column's communality and uniqueness: the shares of its variance
        that factors and noise explain."""
        communalities = self._mixture.communalities(_mixed(params))[0]
        return {
            **super().functionals(params),
            "communalities": communalities,
            "uniquenesses": 1.0 - communalities,
        }

    def not_identified(self, params: FactorAnalysisParams) -> dict[str, NDArray[np.bool_]]:
        """Loadings that a rotation moves."""
        return {"loadings": self._mixture.not_identified(_mixed(params))["loadings"][0]}

    def pack(
        self,
        params: FactorAnalysisParams,
        coordinates: str = "natural",
        around: FactorAnalysisParams | None = None,
    ) -> Array:
        centre = None if around is None else _mixed(around)
        return self._mixture.pack(_mixed(params), coordinates, centre)

    def unpack(
        self, vector: Array, around: FactorAnalysisParams, coordinates: str = "natural"
    ) -> FactorAnalysisParams:
        return _single(self._mixture.unpack(vector, _mixed(around), coordinates))

    @cached_property
    def _mixture(self) -> MixtureOfFactorAnalyzersModel:
        return MixtureOfFactorAnalyzersModel(1, self.n_factors, self.noise, self.loadings_mask)


def _mixed(params: FactorAnalysisParams) -> MixtureOfFactorAnalyzersParams:
    return MixtureOfFactorAnalyzersParams(
        np.ones(1),
        params.mean[None],
        params.loadings[None],
        np.asarray(params.noise_variance)[None],
    )


def _single(params: MixtureOfFactorAnalyzersParams) -> FactorAnalysisParams:
    return FactorAnalysisParams(
        params.means[0], params.loadings[0], np.asarray(params.noise_variances[0])
    )
