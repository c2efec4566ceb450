"""Hidden Markov models: one chain, many emissions, one short file each."""

from emlib.models.hmm.categorical import CategoricalHMMModel, CategoricalHMMParams
from emlib.models.hmm.gaussian import GaussianHMMModel, GaussianHMMParams
from emlib.models.hmm.mixture import MixtureHMMModel, MixtureHMMParams
from emlib.models.hmm.model import HMMModel, HMMStats
from emlib.models.hmm.poisson import PoissonHMMModel, PoissonHMMParams

__all__ = [
    "CategoricalHMMModel",
    "CategoricalHMMParams",
    "GaussianHMMModel",
    "GaussianHMMParams",
    "HMMModel",
    "HMMStats",
    "MixtureHMMModel",
    "MixtureHMMParams",
    "PoissonHMMModel",
    "PoissonHMMParams",
]
