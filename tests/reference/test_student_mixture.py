"""Optima of t distributions and their mixtures (MASS, EMMIX, ECM in R)."""

import numpy as np
import pytest

from emlib import StudentMixture
from tests.reference.test_gaussian_mixture import table

SETTINGS = {"tol": 1e-11, "max_iter": 20_000, "random_state": 0}


@pytest.mark.parametrize("name", ["chem_t5", "chem_tfree", "abbey_t3", "galaxies_tfree"])
def test_univariate_t_of_mass(reference_values, name):
    case = reference_values[f"t_univariate_{name}"]
    expected, rel = case["expected"], case["tolerance"]["param_rel"]
    dofs = "each" if case["spec"]["df"] == "estimate" else case["spec"]["df"]
    fit = StudentMixture(dofs=dofs, **SETTINGS).fit(np.array(case["data"]["y"])[:, None])
    assert fit.loglik_ == pytest.approx(expected["loglik"], abs=case["tolerance"]["loglik_abs"])
    found = [fit.means_[0, 0], np.sqrt(fit.covariances_[0, 0, 0]), fit.dofs_[0]]
    assert found == pytest.approx([expected[key] for key in ("mu", "scale", "df")], rel=rel)


@pytest.mark.parametrize(
    ("name", "k"), [("faithful_t3", 2), ("faithful_t5", 2), ("faithful_t10", 2), ("iris_mvt4", 1)]
)
def test_multivariate_t_with_given_degrees_of_freedom(reference_values, name, k):
    case = reference_values[f"tmix_{name}"]
    expected, rel = case["expected"], case["tolerance"]["param_rel"]
    dofs = float(case["spec"]["df"].removeprefix("fixed "))
    fit = StudentMixture(k, dofs=dofs, n_init=5, **SETTINGS).fit(table(name.split("_")[0]))
    assert fit.loglik_ == pytest.approx(expected["loglik"], abs=case["tolerance"]["loglik_abs"])
    order = np.argsort(fit.means_[:, 0])
    assert fit.weights_[order] == pytest.approx(expected["weights"], rel=rel)
    assert fit.means_[order] == pytest.approx(np.array(expected["locations"]), rel=rel)
    assert fit.covariances_[order] == pytest.approx(np.array(expected["scatter"]), rel=rel)


def test_one_component_of_old_faithful_is_normal_where_peers_stop_at_their_caps(reference_values):
    case = reference_values["tmix_faithful_free_df"]
    fit = StudentMixture(2, n_init=5, **SETTINGS).fit(table("faithful"))
    # The peers' values are at dof 200 and 1000; the likelihood rises on to the normal.
    assert fit.loglik_ > case["expected"]["loglik"]
    assert fit.loglik_ == pytest.approx(
        case["expected"]["loglik"], abs=case["tolerance"]["loglik_abs"]
    )
    assert "boundary" in fit.flags_
    assert sorted(fit.dofs_) == pytest.approx([19.2, np.inf], rel=0.01)
