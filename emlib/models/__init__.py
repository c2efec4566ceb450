"""Model families: parameters, E-step, M-step, posterior, sampling; one file a family."""

from typing import Any

from emlib.models.base import Model
from emlib.models.bernoulli_mixture import BernoulliMixtureModel
from emlib.models.censored_normal import CensoredNormalModel
from emlib.models.factor_analysis import FactorAnalysisModel
from emlib.models.factor_mixture import MixtureOfFactorAnalyzersModel
from emlib.models.gaussian_mixture import GaussianMixtureModel
from emlib.models.grouped_multinomial import GroupedMultinomialModel
from emlib.models.hmm import (
    CategoricalHMMModel,
    GaussianHMMModel,
    MixtureHMMModel,
    PoissonHMMModel,
)
from emlib.models.imaging import GaussianImageModel, RotatingVideoModel
from emlib.models.latent_class import LatentClassModel
from emlib.models.multivariate_normal import MultivariateNormalModel
from emlib.models.poisson_mixture import PoissonMixtureModel
from emlib.models.poisson_regression_mixture import PoissonRegressionMixtureModel
from emlib.models.posterior import EXACT
from emlib.models.records import Degenerate, Diagnosis, Posteriors, Stats, Step
from emlib.models.regression_mixture import RegressionMixtureModel
from emlib.models.state_space import StateSpaceModel
from emlib.models.student_mixture import StudentMixtureModel
from emlib.models.zero_inflated_poisson import ZeroInflatedPoissonModel

FAMILIES: dict[str, type[Model]] = {
    model.family: model
    for model in (
        GaussianMixtureModel,
        PoissonMixtureModel,
        BernoulliMixtureModel,
        LatentClassModel,
        CensoredNormalModel,
        MultivariateNormalModel,
        StateSpaceModel,
        GroupedMultinomialModel,
        ZeroInflatedPoissonModel,
        GaussianHMMModel,
        PoissonHMMModel,
        CategoricalHMMModel,
        MixtureHMMModel,
        StudentMixtureModel,
        FactorAnalysisModel,
        MixtureOfFactorAnalyzersModel,
        RegressionMixtureModel,
        PoissonRegressionMixtureModel,
        GaussianImageModel,
        RotatingVideoModel,
    )
}

__all__ = [
    "EXACT",
    "FAMILIES",
    "Degenerate",
    "Diagnosis",
    "Model",
    "Posteriors",
    "Stats",
    "Step",
    "make_model",
]


def make_model(family: str, settings: dict[str, Any]) -> Model:
    """A model by its family's name.

    Raises
    ------
    ValueError
        If the family is unknown or a setting is not allowed; the text says which.
    """
    if family not in FAMILIES:
        raise ValueError(f"family: {family!r} is not one of {', '.join(FAMILIES)}")
    return FAMILIES[family](**settings)
