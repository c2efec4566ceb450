"""The conjugate prior of Gaussian mixtures of Fraley and Raftery (2007, J. Classif. 24, 155-181).

mu_k | Sigma_k ~ N(mean, Sigma_k / shrinkage); Sigma_k ~ inverse Wishart(dof, scale), or for
diagonal and spherical structures each variance ~ inverse gamma(dof / 2, scale / 2).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emlib.data import Table
from emlib.errors import InvalidData
from emlib.models.covariance import Covariance

PRIORS = ("fraley_raftery",)


@dataclass(frozen=True, eq=False)
class ConjugatePrior:
    """Hyper-parameters, resolved for one table.

    Attributes
    ----------
    mean : ndarray of shape (d,)
    shrinkage : float
    dof : float
    scale : ndarray of shape (d, d)
        For diagonal and spherical structures a multiple of the identity.
    """

    mean: NDArray[np.float64]
    shrinkage: float
    dof: float
    scale: NDArray[np.float64]

    @classmethod
    def fraley_raftery(cls, data: Table, n_components: int, dense: bool) -> "ConjugatePrior":
        """The default hyper-parameters of the paper, section 2.2.

        Raises
        ------
        InvalidData
            If the data's covariance, which a dense structure takes as scale, is singular.
        """
        d = data.d
        counts, means, scatters, _ = data.total_moments
        covariance = scatters[0] / max(counts[0] - 1.0, 1.0) / n_components ** (2.0 / d)
        size = np.sqrt(np.diagonal(covariance))
        if dense and np.linalg.eigvalsh(covariance / np.outer(size, size)).min() < 1e-10:
            raise InvalidData(
                "prior fraley_raftery: the columns' covariance is singular and cannot be its scale"
            )
        if not dense:
            covariance = np.eye(d) * (np.trace(covariance) / d)
        return cls(means[0], 0.01, d + 2.0, covariance)

    def add_to(
        self, scatter: NDArray[np.float64], means: NDArray[np.float64], structure: Covariance
    ) -> NDArray[np.float64]:
        """Scatter about ``means`` with the prior's own scatter added."""
        deviation = means - self.mean
        share = structure.scale_share(*means.shape)
        if structure.dense:
            outer = deviation[:, :, None] * deviation[:, None, :]
            return scatter + self.shrinkage * outer + share * self.scale
        return scatter + self.shrinkage * deviation**2 + share * np.diagonal(self.scale)

    def log_density(
        self, means: NDArray[np.float64], covariances: NDArray[np.float64], structure: Covariance
    ) -> float:
        """Normalized log density of means (K, d) and covariances in the structure's shape."""
        from scipy.special import gammaln, multigammaln  # 0.2 s that most processes can spare

        n_components, d = means.shape
        full = structure.full(covariances, n_components, d)
        factor = np.linalg.cholesky(full)
        log_det = 2.0 * np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1)
        z = np.linalg.solve(factor, (means - self.mean)[:, :, None])[:, :, 0]
        log_means = 0.5 * (
            d * np.log(self.shrinkage / (2 * np.pi)) - log_det - self.shrinkage * (z**2).sum(axis=1)
        )
        distinct = slice(None, 1) if structure.shared else slice(None)
        if structure.dense:
            log_scale = np.linalg.slogdet(self.scale)[1]
            traces = np.trace(np.linalg.solve(full, np.broadcast_to(self.scale, full.shape)),
                              axis1=1, axis2=2)  # fmt: skip
            log_scales = (
                0.5 * self.dof * (log_scale - d * np.log(2.0))
                - multigammaln(self.dof / 2, d)
                - 0.5 * (self.dof + d + 1) * log_det
                - 0.5 * traces
            )[distinct]
        else:
            variances = covariances[distinct]
            half_scale = 0.5 * self.scale[0, 0]
            half_dof = 0.5 * self.dof
            log_scales = (
                half_dof * np.log(half_scale)
                - gammaln(half_dof)
                - (half_dof + 1.0) * np.log(variances)
                - half_scale / variances
            )
        return float(log_means.sum() + np.sum(log_scales))
