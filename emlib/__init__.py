"""Exact EM for latent-variable models, missing data included.

Public names are loaded on first use, so that ``import emlib`` stays fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emlib.distributed.fit import fit_distributed
    from emlib.estimators.bernoulli_mixture import BernoulliMixture
    from emlib.estimators.censored_normal import CensoredNormal
    from emlib.estimators.factor_analysis import FactorAnalysis
    from emlib.estimators.factor_mixture import MixtureOfFactorAnalyzers
    from emlib.estimators.gaussian_mixture import GaussianMixture
    from emlib.estimators.grouped_multinomial import GroupedMultinomial
    from emlib.estimators.hmm import CategoricalHMM, GaussianHMM, MixtureHMM, PoissonHMM
    from emlib.estimators.imaging import GaussianImage, RotatingVideo
    from emlib.estimators.latent_class import LatentClass
    from emlib.estimators.multivariate_normal import MultivariateNormal
    from emlib.estimators.poisson_mixture import PoissonMixture
    from emlib.estimators.regression_mixture import RegressionMixture
    from emlib.estimators.state_space import LinearGaussianStateSpace
    from emlib.estimators.student_mixture import StudentMixture
    from emlib.estimators.zero_inflated_poisson import ZeroInflatedPoisson
    from emlib.selection import select

__version__ = "0.1.0"

_PUBLIC = {
    "BernoulliMixture": "emlib.estimators.bernoulli_mixture",
    "CategoricalHMM": "emlib.estimators.hmm",
    "CensoredNormal": "emlib.estimators.censored_normal",
    "FactorAnalysis": "emlib.estimators.factor_analysis",
    "GaussianHMM": "emlib.estimators.hmm",
    "GaussianImage": "emlib.estimators.imaging",
    "GaussianMixture": "emlib.estimators.gaussian_mixture",
    "GroupedMultinomial": "emlib.estimators.grouped_multinomial",
    "LatentClass": "emlib.estimators.latent_class",
    "LinearGaussianStateSpace": "emlib.estimators.state_space",
    "MixtureHMM": "emlib.estimators.hmm",
    "MixtureOfFactorAnalyzers": "emlib.estimators.factor_mixture",
    "MultivariateNormal": "emlib.estimators.multivariate_normal",
    "PoissonHMM": "emlib.estimators.hmm",
    "PoissonMixture": "emlib.estimators.poisson_mixture",
    "RegressionMixture": "emlib.estimators.regression_mixture",
    "RotatingVideo": "emlib.estimators.imaging",
    "StudentMixture": "emlib.estimators.student_mixture",
    "ZeroInflatedPoisson": "emlib.estimators.zero_inflated_poisson",
    "fit_distributed": "emlib.distributed.fit",
    "select": "emlib.selection",
}

__all__ = [
    "BernoulliMixture",
    "CategoricalHMM",
    "CensoredNormal",
    "FactorAnalysis",
    "GaussianHMM",
    "GaussianImage",
    "GaussianMixture",
    "GroupedMultinomial",
    "LatentClass",
    "LinearGaussianStateSpace",
    "MixtureHMM",
    "MixtureOfFactorAnalyzers",
    "MultivariateNormal",
    "PoissonHMM",
    "PoissonMixture",
    "RegressionMixture",
    "RotatingVideo",
    "StudentMixture",
    "ZeroInflatedPoisson",
    "__version__",
    "fit_distributed",
    "select",
]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'emlib' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
