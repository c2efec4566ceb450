"""Mixtures of t distributions in the contract tests."""

import numpy as np

from emlib.data import Table
from emlib.models.student_mixture import StudentMixtureModel, StudentMixtureParams
from tests.families.case_gaussian_mixture import GaussianMixtureCase
from tests.families.contract import Family, Moved
from tests.twins import student_loglik


class StudentMixtureCase(GaussianMixtureCase):
    """Parameters of the case of normals, with degrees of freedom."""

    independent = Family.independent  # a common precision ties the columns of a t

    def __init__(self, covariance_type, dofs):
        super().__init__(covariance_type)
        self.dofs = dofs
        self.name = f"student_mixture[{covariance_type}, {dofs}]"

    def heavier(self, normal, rng):
        k = len(normal.weights)
        given = {"each": rng.uniform(1.0, 2.5, k), "common": np.full(k, rng.uniform(1.0, 2.5))}
        dofs = given.get(self.dofs, np.broadcast_to(self.dofs, k)) if k else None
        return StudentMixtureParams(
            normal.weights, normal.means, normal.covariances, np.array(dofs, dtype=float)
        )

    def draw(self, rng, n=40, missing=0.2, d=2, k=2):
        _, normal, _ = super().draw(rng, n, missing, d, k)
        model, params = StudentMixtureModel(k, self.covariance_type, self.dofs), None
        params = self.heavier(normal, rng)
        values, _ = model.sample(params, n, rng)
        values[rng.random(values.shape) < missing] = np.nan
        values[:4] = model.sample(params, 4, rng)[0]
        data = Table.from_array(values)
        return model.prepare(data), params, data

    def small(self, rng):
        dofs = self.dofs if isinstance(self.dofs, str) else np.min(self.dofs)
        return [
            (StudentMixtureModel(model.n_components, self.covariance_type, dofs), data)
            for model, data in super().small(rng)
        ]

    def brute_loglik(self, model, params, data):
        full = model.structure.full(params.covariances, *params.means.shape)
        return student_loglik(
            data.values, params.weights, params.means, full, params.dofs, data.weights
        )

    def relabel(self, params, order):
        normal = super().relabel(params, order)
        return StudentMixtureParams(
            normal.weights, normal.means, normal.covariances, params.dofs[order]
        )

    def moved(self, rng, model, params, data):
        (moved,) = super().moved(rng, model.normal, params, data)
        return [Moved(moved.name, self._with(moved.params, params), moved.data, moved.shift)]

    def _with(self, normal, params):
        return StudentMixtureParams(normal.weights, normal.means, normal.covariances, params.dofs)


CASES = [
    StudentMixtureCase("full", "each"),
    StudentMixtureCase("tied", "common"),
    StudentMixtureCase("diag", 3.0),
    StudentMixtureCase("VEI", "common"),
    StudentMixtureCase("full", np.inf),
]
