"""Genetic linkage (Dempster, Laird and Rubin 1977, table 1) and blood groups (Clarke et al.)."""

import numpy as np
import pytest

from emlib import GroupedMultinomial
from tests.families.case_grouped_multinomial import BLOOD, LINKAGE


def iterates(settings, counts, start, n):
    """theta after 0 to n iterations."""
    fits = [
        GroupedMultinomial(**settings, init_params={"theta": start}, tol=0, max_iter=i).fit(
            [counts]
        )
        for i in range(n + 1)
    ]
    return np.array([fit.theta_ for fit in fits])


def test_linkage_takes_the_published_path(reference_values):
    case = reference_values["linkage_dlr1977"]
    expected, tolerance = case["expected"], case["tolerance"]
    path = iterates(LINKAGE, case["data"]["counts"], [0.5, 0.5], 8)[:, 0]
    assert path == pytest.approx(expected["iterates"], abs=tolerance["iterates_abs"])
    published = expected["published_iterates_9dp"]
    assert path == pytest.approx(published, abs=tolerance["published_iterates_abs"])
    ratios = (path[1:] - expected["theta"]) / (path[:-1] - expected["theta"])
    assert ratios[:6] == pytest.approx(expected["published_ratio"], abs=1e-4)


def test_linkage_has_the_published_optimum_and_standard_error(reference_values):
    case = reference_values["linkage_dlr1977"]
    expected, tolerance = case["expected"], case["tolerance"]
    fit = GroupedMultinomial(**LINKAGE, tol=1e-14, max_iter=200).fit([case["data"]["counts"]])
    errors = fit.standard_errors()
    assert fit.loglik_ == pytest.approx(expected["loglik_full_multinomial"], abs=1e-10)
    assert errors["theta"] == pytest.approx(2 * [expected["se"]], rel=1e-7)
    assert errors.rate == pytest.approx(expected["rate_of_convergence"], abs=tolerance["rate_abs"])
    fraction = expected["missing_information_fraction"]
    assert errors.missing_fractions == pytest.approx([fraction], abs=tolerance["rate_abs"])
    fixed = GroupedMultinomial(
        **LINKAGE, init_params={"theta": fit.theta_}, tol=0, max_iter=30
    ).fit([case["data"]["counts"]])
    assert fixed.theta_[0] == pytest.approx(expected["theta"], abs=tolerance["theta_abs"])


def test_blood_groups_take_the_path_of_gene_counting(reference_values):
    case = reference_values["abo_clarke_186_38_13_284"]
    expected, tolerance = case["expected"], case["tolerance"]
    counts, start = case["data"]["phenotype_counts_A_B_AB_O"], case["spec"]["start_pA_pB_pO"]
    path = iterates(BLOOD, counts, start, 5)
    wanted = np.array(expected["iterates_0_to_5"])
    assert path == pytest.approx(wanted, abs=tolerance["iterates_abs"])
    fit = GroupedMultinomial(**BLOOD, init_params={"theta": start}, tol=0, max_iter=60).fit(
        [counts]
    )
    genes = [expected["pA"], expected["pB"], expected["pO"]]
    assert fit.theta_ == pytest.approx(genes, abs=tolerance["param_abs"])
    assert fit.loglik_ == pytest.approx(
        expected["loglik_full_multinomial"], abs=tolerance["loglik_abs"]
    )
