"""Published Poisson and Bernoulli mixtures and latent class models through the estimators."""

import csv

import numpy as np
import pytest

from emlib import BernoulliMixture, LatentClass, PoissonMixture
from emlib.models.poisson_mixture import PoissonMixtureModel
from tests.conftest import REFERENCE

TIGHT = {"tol": 1e-10, "max_iter": 50_000}


def deaths(case, **settings):
    data = case["data"]
    fit = PoissonMixture(2, **settings)
    return fit.fit(np.array(data["count"])[:, None], sample_weight=data["freq"])


def start_of(theta):
    first, *rates = theta
    return {"weights": [first, 1.0 - first], "rates": np.array(rates)[:, None]}


def theta_of(fit):
    return [fit.weights_[0], *fit.rates_[:, 0]]


@pytest.fixture
def notices(reference_values):
    return reference_values["poisson_deaths_times"]


@pytest.mark.parametrize("start", ["S1", "S2", "moment"])
def test_death_notices_reach_the_published_optimum_from_every_published_start(notices, start):
    expected, tolerance = notices["expected"], notices["tolerance"]
    start = start_of(notices["spec"]["starts"][start])
    fit = deaths(notices, init_params=start, tol=0, max_iter=6000)
    assert fit.loglik_ == pytest.approx(expected["loglik"], abs=tolerance["loglik_abs"])
    optimum = [expected["alpha"], expected["mu1"], expected["mu2"]]
    assert theta_of(fit) == pytest.approx(optimum, abs=tolerance["param_abs_if_fully_converged"])


def test_death_notices_take_the_published_path_from_the_moments(notices):
    expected = notices["expected"]
    start = start_of(notices["spec"]["starts"]["moment"])
    at_start = deaths(notices, init_params=start, tol=0, max_iter=1).history_.loglik[0]
    assert at_start == pytest.approx(expected["loglik_at_moment_start"], abs=1e-9)
    one = deaths(notices, init_params=start, tol=0, max_iter=1)
    assert theta_of(one) == pytest.approx(expected["iter1_from_moment_start"], abs=1e-8)
    for steps, name in ((500, "500_iters_from_moment_start"), (535, "535"), (1000, "1000")):
        fit = deaths(notices, init_params=start, tol=0, max_iter=steps)
        assert theta_of(fit) == pytest.approx(expected[f"after_{name}"]["theta"], abs=1e-8)
        assert fit.loglik_ == pytest.approx(expected[f"after_{name}"]["loglik"], abs=1e-8)


def test_death_notices_take_534_iterations_to_the_published_third_place(notices):
    start = start_of(notices["spec"]["starts"]["moment"])
    path = deaths(notices, init_params=start, tol=0, max_iter=600).history_.loglik
    assert np.argmax(path > -1989.9465) == pytest.approx(
        notices["expected"]["first_iter_where_loglik_exceeds_-1989.9465_from_moment_start"], abs=1
    )


@pytest.mark.parametrize("start", ["S1", "S2", "moment"])
def test_death_notices_take_the_known_number_of_iterations(notices, start):
    known = notices["expected"]["plain_em_iterations"]
    theta, counts = start_of(notices["spec"]["starts"][start]), {}
    model = PoissonMixtureModel(2)
    table = np.array(notices["data"]["count"])[:, None]
    data, params = model.view(table, notices["data"]["freq"]), model.from_truth(theta)
    rules = {
        "criterion ||dtheta||_2 < 1e-8": lambda step: np.linalg.norm(step) < 1e-8,
        "||dtheta||_2 < 1e-7": lambda step: np.linalg.norm(step) < 1e-7,
        "max|dtheta|<1e-8": lambda step: np.abs(step).max() < 1e-8,
    }
    at = model.pack(params)
    for iteration in range(1, 3000):
        params = model.m_step(model.e_step(params, data), params)
        step, at = model.pack(params) - at, model.pack(params)
        for name, rule in rules.items():
            if rule(step):
                counts.setdefault(name, iteration)
    tolerance = notices["tolerance"]["iteration_counts_abs"]
    for name in rules:
        assert counts[name] == pytest.approx(known[name][start], abs=tolerance)


def test_death_notices_have_the_known_rate_of_convergence(notices):
    start = start_of(notices["spec"]["starts"]["S1"])
    fit = deaths(notices, init_params=start, tol=0, max_iter=6000)
    fractions = fit.standard_errors().missing_fractions
    known = notices["expected"]["em_jacobian_eigenvalues_at_mle"]
    assert fractions == pytest.approx(known, abs=notices["tolerance"]["eig_abs"])


def test_death_notices_as_one_component(notices):
    expected = notices["expected"]["one_component"]
    data = notices["data"]
    fit = PoissonMixture().fit(np.array(data["count"])[:, None], sample_weight=data["freq"])
    assert fit.rates_[0, 0] == pytest.approx(expected["lambda"], rel=1e-12)
    assert fit.loglik_ == pytest.approx(expected["loglik"], abs=1e-8)


@pytest.mark.parametrize("k", [2, 3])
def test_earthquakes(reference_values, k):
    case = reference_values[f"poisson_mix_earthquakes_{k}"]
    fit = PoissonMixture(k, n_init=10, random_state=0, **TIGHT)
    fit = fit.fit(np.array(case["data"]["y"])[:, None])
    expected, tolerance = case["expected"], case["tolerance"]
    assert fit.loglik_ == pytest.approx(expected["loglik"], abs=tolerance["loglik_abs"])
    published = -expected["published_negloglik"]
    assert fit.loglik_ == pytest.approx(published, abs=tolerance["published_abs"])
    order = np.argsort(fit.rates_[:, 0])
    rel = tolerance["param_rel"]
    assert fit.rates_[order, 0] == pytest.approx(np.array(expected["means"]), rel=rel)
    assert fit.weights_[order] == pytest.approx(np.array(expected["weights"]), rel=rel)


@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("name", ["LSAT", "Alzheimer"])
def test_binary_items(reference_values, name, k):
    case = reference_values[f"bernoulli_mix_{name}_{k}"]
    patterns = [[int(x) for x in pattern] for pattern in case["data"]["patterns_01"]]
    fit = BernoulliMixture(k, n_init=15, random_state=0, tol=1e-8, max_iter=50_000)
    fit = fit.fit(patterns, sample_weight=case["data"]["freq"])
    compare(fit, case, "weights")
    order = np.argsort(-fit.weights_)
    items = np.array(case["expected"]["p_item_by_class(rows=item)"]).T
    tolerance = case["tolerance"]["param_abs"]
    assert fit.probabilities_[order] == pytest.approx(items, abs=tolerance)


def patterns_of(case):
    table = case["data"]["pattern_table"]
    return table["patterns"], table["freq"]


def numbers(file, columns):
    """Columns of a file as numbers, of a labelled answer its code; NaN where missing."""
    with (REFERENCE / "data" / file).open(newline="") as file:
        lines = list(csv.DictReader(file))
    return np.array([[number(line[name]) for name in columns] for line in lines])


def number(cell):
    return np.nan if cell == "NA" else float(cell.split()[0])


def listwise(rows):
    return rows[~np.isnan(rows).any(axis=1)]


@pytest.mark.parametrize(
    "case_id",
    [f"lca_carcinoma{k}" for k in (1, 2, 3, 4)]
    + ["lca_cheating1", "lca_cheating2"]
    + [f"lca_gss82{k}" for k in (1, 2, 3, 4)],
)
def test_latent_classes_of_pattern_tables(reference_values, case_id):
    case = reference_values[case_id]
    k = case["spec"]["n_classes"]
    patterns, frequencies = patterns_of(case)
    fit = LatentClass(k, n_init=1 if k == 1 else 15, random_state=0, tol=1e-8, max_iter=50_000)
    compare(fit.fit(patterns, sample_weight=frequencies), case, "class_sizes")
    if "item_probs" in case["expected"] and k < 4:  # four classes are hardly identified
        order = np.argsort(-fit.weights_)
        for item, known in zip(
            fit.probabilities_, case["expected"]["item_probs"].values(), strict=True
        ):
            assert item[order] == pytest.approx(np.array(known), abs=1e-3)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_latent_classes_of_the_election_study(reference_values, k):
    case = reference_values[f"lca_election{k}"]
    rows = listwise(numbers("election.csv", case["data"]["columns"]))
    fit = LatentClass(k, n_init=8, random_state=0, tol=1e-8).fit(rows)
    assert len(rows) == case["expected"]["N"]
    compare(fit, case, "class_sizes")


@pytest.mark.parametrize(
    ("case_id", "file", "columns", "covariate", "n"),
    [
        (
            "lca_cheating2_gpa",
            "cheating.csv",
            ["LIEEXAM", "LIEPAPER", "FRAUD", "COPYEXAM"],
            "GPA",
            315,
        ),
        ("lca_election3_party", "election.csv", None, "PARTY", 1300),
    ],
)
def test_published_class_sizes_that_depend_on_a_covariate_beat_the_nested_constant_ones(
    reference_values, case_id, file, columns, covariate, n
):
    """Another likelihood: in these cases class sizes are a multinomial logit of a covariate, which
    LatentClass does not have.  On the same rows the constant sizes are the nested model."""
    case = reference_values[case_id]
    columns = columns or case["data"]["columns"]
    rows = listwise(numbers(file, [*columns, covariate]))[:, :-1]
    k = case["spec"]["n_classes"]
    fit = LatentClass(k, n_init=8, random_state=0, tol=1e-8).fit(rows)
    assert len(rows) == n
    assert fit.n_parameters_ + k - 1 == case["expected"]["npar"]
    assert fit.loglik_ < case["expected"]["loglik"]


def compare(fit, case, sizes):
    """Loglik, number of parameters, BIC and class sizes."""
    expected, tolerance = case["expected"], case["tolerance"]
    assert fit.n_parameters_ == expected["npar"]
    assert fit.loglik_ == pytest.approx(expected["loglik"], abs=tolerance["loglik_abs"])
    assert fit.bic() == pytest.approx(expected["BIC"], abs=1e-3)
    assert fit.aic() == pytest.approx(expected["AIC"], abs=1e-3)
    known = np.atleast_1d(expected[sizes])
    assert np.sort(fit.weights_)[::-1] == pytest.approx(np.sort(known)[::-1], abs=1e-3)
