"""Random mixtures have the overlap, weights and shapes that were asked for."""

import numpy as np
import pytest
from scipy import stats

from emlib.datasets import check_spec, describe_dataset, draw_dataset, draw_truth
from emlib.datasets.overlap import overlap
from emlib.errors import ConfigError


def spec(**changes):
    base = {
        "generator": "gaussian_mixture",
        "n": 400,
        "d": 3,
        "n_components": 3,
        "overlap": {"mean": 0.01},
    }
    return {**base, **changes}


def truth(seed=0, **changes):
    return draw_truth(spec(**changes), np.random.default_rng(seed))


@pytest.mark.parametrize(
    ("d", "k", "wanted"),
    [
        (1, 2, {"mean": 0.05}),
        (2, 3, {"mean": 0.001}),
        (2, 3, {"max": 0.3}),
        (6, 4, {"max": 0.05}),
        (3, 4, {"mean": 0.02, "max": 0.06}),
        (2, 2, {"mean": 0.1, "max": 0.1}),
        (2, 2, {"max": 1e-9}),
    ],
)
def test_the_wanted_overlap_is_attained(d, k, wanted):
    found = overlap(**truth(d=d, n_components=k, overlap=wanted))
    for name, value in wanted.items():
        assert getattr(found, name) == pytest.approx(value, rel=1e-4)


def test_rows_show_the_overlap_of_their_components():
    wanted = spec(n=100_000, d=2, n_components=2, overlap={"mean": 0.2})
    data = draw_dataset(wanted, np.random.default_rng(3), np.random.default_rng(4))
    t = data.truth
    dense = np.stack(
        [
            np.log(w) + stats.multivariate_normal(m, c).logpdf(data.values)
            for w, m, c in zip(t["weights"], t["means"], t["covariances"], strict=True)
        ]
    )
    wrong = dense.argmax(axis=0) != data.labels
    realised = sum(wrong[data.labels == i].mean() for i in range(2))
    assert realised == pytest.approx(0.2, abs=6e-3)


def test_rows_have_the_moments_of_their_component():
    data = draw_dataset(spec(n=60_000), np.random.default_rng(3), np.random.default_rng(4))
    for i in range(3):
        own = data.values[data.labels == i]
        spread = np.sqrt(np.diag(data.truth["covariances"][i]))
        np.testing.assert_allclose(
            own.mean(axis=0), data.truth["means"][i], atol=0.04 * spread.max()
        )
        np.testing.assert_allclose(
            np.cov(own.T), data.truth["covariances"][i], atol=0.05 * spread.max() ** 2
        )


def test_replicates_share_the_parameters_and_differ_in_rows():
    one, two = (
        draw_dataset(spec(), np.random.default_rng(1), np.random.default_rng(r)) for r in (5, 6)
    )
    for name in ("weights", "means", "covariances"):
        np.testing.assert_array_equal(one.truth[name], two.truth[name])
    assert not np.allclose(one.values, two.values)


def test_the_same_seeds_give_the_same_bits():
    one, two = (
        draw_dataset(spec(), np.random.default_rng(1), np.random.default_rng(2)) for _ in range(2)
    )
    assert one.values.tobytes() == two.values.tobytes()
    assert one.truth["covariances"].tobytes() == two.truth["covariances"].tobytes()


def test_a_truth_drawn_once_gives_the_same_rows():
    wanted = spec()
    whole = draw_dataset(wanted, np.random.default_rng(1), np.random.default_rng(2))
    again = draw_dataset(wanted, row_rng=np.random.default_rng(2), truth=truth(seed=1))
    assert whole.values.tobytes() == again.values.tobytes()


def test_weights_are_equal_or_given_or_random_above_a_minimum():
    np.testing.assert_allclose(truth()["weights"], 1 / 3)
    np.testing.assert_allclose(truth(weights=[0.2, 0.3, 0.5])["weights"], [0.2, 0.3, 0.5])
    random = truth(weights={"min": 0.25})["weights"]
    assert random.min() >= 0.25
    assert random.sum() == pytest.approx(1)
    assert len(set(random)) == 3


def test_spherical_components_have_one_variance_each():
    for covariance in truth(spherical=True)["covariances"]:
        np.testing.assert_allclose(covariance, covariance[0, 0] * np.eye(3), atol=1e-14)


@pytest.mark.parametrize("most", [0.0, 0.5, 0.9])
def test_eccentricity_is_never_above_its_limit(most):
    covariances = truth(d=5, n_components=6, eccentricity=most, overlap={"max": 0.1})["covariances"]
    eigenvalues = np.linalg.eigvalsh(covariances)
    found = 1 - eigenvalues[:, 0] / eigenvalues[:, -1]
    assert found.max() <= most**2 + 1e-9


def test_an_overlap_out_of_reach_is_an_error_that_says_so():
    with pytest.raises(ConfigError, match=r"mean 0.9 was not attained .* 100 random mixtures of 3"):
        truth(overlap={"mean": 0.9}, d=5)


def test_two_wanted_overlaps_out_of_reach_advise_to_ask_for_one(monkeypatch):
    monkeypatch.setattr("emlib.datasets.gaussian_mixture.TRIES", 5)
    with pytest.raises(ConfigError, match="ask for only one of mean and max"):
        truth(overlap={"mean": 0.4, "max": 0.401})


@pytest.mark.parametrize(
    ("changes", "path", "message"),
    [
        ({"n": 0}, "n", "0 is not a whole number of at least 1"),
        ({"n": True}, "n", "True is not a whole number"),
        ({"d": 2.5}, "d", "2.5 is not a whole number"),
        ({"n_components": 1}, "n_components", "1 is not a whole number of at least 2"),
        ({"overlap": 0.1}, "overlap", "not a mapping with mean, max or both"),
        ({"overlap": {}}, "overlap", "not a mapping"),
        ({"overlap": {"maxi": 0.1}}, "overlap.maxi", "did you mean 'max'"),
        ({"overlap": {"mean": 1.0}}, "overlap.mean", "1.0 is not in (0, 1)"),
        ({"overlap": {"mean": "a"}}, "overlap.mean", "'a' is not in (0, 1)"),
        ({"overlap": {"mean": 0.2, "max": 0.1}}, "overlap.mean", "between max / 3"),
        ({"overlap": {"mean": 0.01, "max": 0.1}}, "overlap.mean", "between max / 3"),
        ({"weights": [0.5, 0.5]}, "weights", "has 2 numbers for 3 components"),
        ({"weights": [0.5, 0.5, 0.5]}, "weights", "sum to 1.5, not 1"),
        ({"weights": [1.5, -0.5, 0.0]}, "weights", "neither a list of positive numbers"),
        ({"weights": {"min": 0.4}}, "weights.min", "more than 1 / n_components"),
        ({"weights": {"least": 0.4}}, "weights", "is not {min: a positive number}"),
        ({"spherical": "no"}, "spherical", "neither true nor false"),
        ({"eccentricity": 1}, "eccentricity", "1 is not in [0, 1)"),
        ({"sphericall": True}, "sphericall", "did you mean 'spherical'"),
    ],
)
def test_a_wrong_setting_is_named_with_its_place(changes, path, message):
    mistakes = check_spec(spec(**changes))
    assert [where for where, _ in mistakes] == [path]
    assert message in mistakes[0][1]


def test_two_components_have_one_pair_so_mean_and_max_must_agree():
    mistakes = check_spec(spec(n_components=2, overlap={"mean": 0.1, "max": 0.2}))
    assert mistakes == [
        ("overlap.mean", "0.1 is not max, 0.2; two components have one pair: ask for one of them")
    ]


def test_every_missing_setting_is_named_at_once():
    mistakes = check_spec({"generator": "gaussian_mixture"})
    assert [path for path, _ in mistakes] == ["n", "d", "n_components", "overlap"]


def test_a_generator_is_described_without_drawing():
    info = describe_dataset(spec(n=50, d=2))
    assert (info.n, info.d, info.columns, info.n_labels) == (50, 2, ("x1", "x2"), 3)
    assert info.synthetic
    assert info.observed == (50, 50)


GIVEN = {
    "overlap": None,
    "d": 2,
    "n_components": 2,
    "weights": [0.9, 0.1],
    "means": [[0, 2], [2, 0]],
    "covariances": [1, [[1, -0.8], [-0.8, 4]]],
}


def test_given_parameters_are_those_that_rows_come_from():
    data = draw_dataset(spec(n=40_000, **GIVEN), np.random.default_rng(3), np.random.default_rng(4))
    expected = {
        "weights": [0.9, 0.1],
        "means": [[0, 2], [2, 0]],
        "covariances": [[[1, 0], [0, 1]], [[1, -0.8], [-0.8, 4]]],
    }
    for name, value in expected.items():
        np.testing.assert_array_equal(data.truth[name], value)
    own = data.values[data.labels == 1]
    assert len(own) == pytest.approx(4000, abs=4 * np.sqrt(3600))
    np.testing.assert_allclose(own.mean(axis=0), [2, 0], atol=4 * np.sqrt(4 / 4000))
    np.testing.assert_allclose(np.cov(own.T), [[1, -0.8], [-0.8, 4]], atol=0.4)


def test_means_of_one_column_are_plain_numbers():
    given = {**GIVEN, "d": 1, "means": [0, 4], "covariances": [0.09, [[4.0]]], "weights": None}
    found = truth(**given)
    np.testing.assert_array_equal(found["means"], [[0], [4]])
    np.testing.assert_array_equal(found["covariances"], [[[0.09]], [[4]]])
    np.testing.assert_array_equal(found["weights"], [0.5, 0.5])


def test_mixtures_of_t_take_given_parameters_too():
    found = truth(generator="student_mixture", dof=3, **GIVEN)
    np.testing.assert_array_equal(found["means"], [[0, 2], [2, 0]])


@pytest.mark.parametrize("generator", ["gaussian_mixture", "student_mixture"])
@pytest.mark.parametrize(
    ("changes", "path", "message"),
    [
        ({"covariances": None}, "covariances", "is missing; means and covariances are given"),
        ({"means": None}, "means", "is missing; means and covariances are given"),
        ({"overlap": {"mean": 0.1}}, "overlap", "is for random parameters"),
        ({"spherical": True}, "spherical", "is for random parameters"),
        ({"weights": {"min": 0.1}}, "weights", "must be a list or null"),
        ({"weights": [1.0]}, "weights", "has 1 numbers for 2 components"),
        ({"means": [[0, 2]]}, "means", "has 1 items for 2 components"),
        ({"means": 3}, "means", "3 is not a list with an item for each component"),
        ({"means": [[0, 2], [0]]}, "means[1]", "[0] is not a list of 2 numbers"),
        ({"means": [[0, 2], 1]}, "means[1]", "1 is not a list of 2 numbers"),
        ({"covariances": [1, 0]}, "covariances[1]", "0 is not a positive variance"),
        ({"covariances": [1, [[1, 2], [2, 1]]]}, "covariances[1]", "positive definite 2 x 2"),
        ({"covariances": [1, [[1, 0.5], [0, 1]]]}, "covariances[1]", "symmetric"),
        ({"covariances": [1, [[1, "a"], ["a", 1]]]}, "covariances[1]", "symmetric"),
    ],
)
def test_wrong_given_parameters_are_named(generator, changes, path, message):
    mistakes = check_spec(spec(generator=generator, **{**GIVEN, **changes}))
    assert [where for where, _ in mistakes] == [path]
    assert message in mistakes[0][1]


def test_an_overlap_or_means_are_needed():
    mistakes = check_spec(spec(overlap=None))
    assert mistakes == [("overlap", "is missing (or means and covariances instead of it)")]
