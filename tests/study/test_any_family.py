"""A study takes every family: its own view, data, truth and inits; what cannot work is told."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import yaml

import emlib.models
from emlib.data import Sequences
from emlib.datasets import GENERATORS
from emlib.datasets.family import FamilyGenerator
from emlib.datasets.settings import count
from emlib.errors import ConfigError
from emlib.inits import INITS, make_init
from emlib.models import FAMILIES
from emlib.models.gaussian_mixture import GaussianMixtureModel
from emlib.study.arrays import load_npz
from emlib.study.case import Case
from emlib.study.checks import checked_study
from emlib.study.datafiles import extras_of, make_data, truth_of
from emlib.study.grid import load_study, planned_blocks
from emlib.study.kernels import practice
from emlib.study.reference import sources
from emlib.study.scores import HiddenCells, imputation_error
from emlib.study.tasks import BlockWork, data_identity
from tests.study.small_study import CONFIG, planned_study


@dataclass(frozen=True)
class Steps(GaussianMixtureModel):
    """A mixture that reads sequences, and that no distance can start."""

    family: ClassVar[str] = "steps"
    needs: ClassVar[tuple[str, ...]] = ("lengths",)
    traits: ClassVar[frozenset[str]] = frozenset({"classes"})
    search: ClassVar[tuple[str, ...]] = ("random",)

    @classmethod
    def view(cls, values, weights=None, **extras):
        return Sequences.from_arrays(values, extras["lengths"], weights)

    def accepts_truth(self, truth):
        return "items" in truth

    def from_truth(self, truth):
        return super().from_truth({**truth, "means": np.stack(truth["items"])})

    def parameter_error(self, params, truth):
        return super().parameter_error(params, {**truth, "means": np.stack(truth["items"])})


class StepsGenerator(FamilyGenerator):
    family = "steps"
    schema: ClassVar = {"length": count(), "n_sequences": count(), "n_components": count(2, 2)}

    def columns(self, settings):
        return ("a", "b")

    def model_settings(self, settings):
        return {"n_components": settings["n_components"]}

    def parameters(self, settings, rng):
        k = settings["n_components"]
        items = [np.full(2, 6.0 * i) for i in range(k)]
        covariances = np.tile(np.eye(2), (k, 1, 1))
        return {"weights": np.full(k, 1 / k), "items": items, "covariances": covariances}


@pytest.fixture
def steps(monkeypatch):
    monkeypatch.setitem(FAMILIES, "steps", Steps)
    monkeypatch.setitem(GENERATORS, "steps", StepsGenerator())


MODEL = {"steps": {"family": "steps", "n_components": 2}}
DATA = {"walks": {"generator": "steps", "length": 300, "n_sequences": 2}}
CHANGES = {"datasets": DATA, "models": MODEL, "inits": {"random": None, "truth": None}}


def mistakes(tmp_path, **changes):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({**CONFIG, **CHANGES, **changes}))
    with pytest.raises(ConfigError) as caught:
        checked_study(path)
    return str(caught.value)


@pytest.mark.usefixtures("steps")
def test_a_data_file_holds_extras_and_a_truth_with_lists_as_they_were_drawn(tmp_path):
    paths = planned_study(tmp_path, **CHANGES)
    arrays = load_npz(make_data(paths.root, "walks", 0))
    assert extras_of(arrays, 1)["lengths"].tolist() == [300, 300]
    truth = truth_of(arrays)
    assert set(truth) == {"weights", "items", "covariances"}
    assert [item.tolist() for item in truth["items"]] == [[0.0, 0.0], [6.0, 6.0]]


@pytest.mark.usefixtures("steps")
def test_a_fit_sees_the_family_s_own_view_and_starts_from_its_truth(tmp_path):
    paths = planned_study(tmp_path, **CHANGES)
    study = load_study(paths.root)
    assert study["truths"] == {"walks": ["steps"]}
    work = BlockWork(paths.root, study, planned_blocks(paths.root)[0])
    work.warm()
    oracle = next(job for job in work.climbs if job.task.row.get("init") == "truth")
    record = oracle.run()["fit"]
    assert record["status"] == "converged", record
    assert record["ari"] > 0.9
    assert record["parameter_error"] < 0.2
    searches = [job.task.row["source"] for job in work.climbs if job.task.kind == "reference"]
    assert set(searches) == {"truth", "random"}


@pytest.mark.usefixtures("steps")
def test_practice_rows_keep_whole_sequences_and_cut_the_last(tmp_path):
    paths = planned_study(tmp_path, **CHANGES)
    case = practice(load_study(paths.root), "walks", "steps")
    assert case.data.lengths.tolist() == [300, 200]


@pytest.mark.usefixtures("steps")
def test_a_dataset_without_what_a_model_reads_is_a_mistake_that_names_those_with_it(tmp_path):
    text = mistakes(tmp_path, datasets={**DATA, "faithful": {"table": "faithful"}})
    assert (
        "models.steps: steps needs lengths, which dataset 'faithful' does not have; datasets that "
        "would do: 'walks' (see exclude)"
    ) in text
    text = mistakes(tmp_path, datasets={"faithful": {"table": "faithful"}})
    assert "datasets that would do: none of this study's" in text


@pytest.mark.usefixtures("steps")
def test_an_init_that_builds_on_what_a_family_lacks_is_a_mistake_that_names_others(tmp_path):
    inits = {"random": None, "kmeans": None, "brief": {"init": "short_em", "base": "points"}}
    text = mistakes(tmp_path, inits=inits)
    for key, init in (("kmeans", "kmeans"), ("brief", "short_em")):
        assert (
            f"inits.{key}: init {init!r} needs columns of numbers whose distances mean something, "
            "which model 'steps' (steps) does not have; inits that can start it: random"
        ) in text
    checked = {"init": "short_em", "base": "random"}
    path = tmp_path / "config.yaml"
    path.write_text(
        yaml.safe_dump({**CONFIG, **CHANGES, "inits": {"brief": checked}, "baseline": "brief"})
    )
    assert checked_study(path)["inits"]["brief"]["settings"]["base"] == {"init": "random"}


@pytest.mark.usefixtures("steps")
def test_data_that_a_model_can_take_in_no_draw_are_a_mistake(tmp_path):
    many = {"many": {"family": "steps", "n_components": 500}}
    short = {"short": {"generator": "steps", "length": 5, "n_sequences": 2}}
    text = mistakes(tmp_path, models=many, datasets=short, inits={"random": None})
    assert "models.many: cannot be fitted to dataset 'short': n_samples=10 rows" in text


@pytest.mark.usefixtures("steps")
def test_extras_are_part_of_the_data_s_identity():
    def case(lengths):
        extras = {"lengths": np.array(lengths)}
        return Case(np.zeros((4, 2)), np.zeros((4, 2), bool), None, None, "steps", {}, extras)

    assert data_identity(case([4])) != data_identity(case([2, 2]))


def test_hidden_censored_cells_lose_both_ends_and_only_exact_ones_are_known(monkeypatch):
    seen = {}

    class Censored:
        @classmethod
        def view(cls, values, **extras):
            seen.update(values=values, **extras)

    monkeypatch.setitem(emlib.models.FAMILIES, "censored", Censored)
    values, upper = (
        np.array([[1.0], [2.0], [-np.inf], [np.nan]]),
        np.array([[1.0], [3.0], [0.0], [np.nan]]),
    )
    case = Case(
        values,
        np.array([[True], [True], [False], [False]]),
        None,
        None,
        "censored",
        {},
        {"upper": upper},
    )
    assert case.data is None
    np.testing.assert_array_equal(seen["values"].ravel(), [np.nan, np.nan, -np.inf, np.nan])
    np.testing.assert_array_equal(seen["upper"].ravel(), [np.nan, np.nan, 0.0, np.nan])
    assert case.exact.ravel().tolist() == [True, False, False, False]


def test_imputed_levels_are_right_or_wrong():
    values = np.array([[0.0, 2.0], [1.0, 2.0], [2.0, 2.0]])
    imputed = np.array([[1.0, 2.0], [1.0, 0.0], [2.0, 2.0]])
    cells = HiddenCells.of(values, np.ones((3, 2), bool))
    assert imputation_error(imputed, cells, levels=True) == pytest.approx(2 / 6)
    assert imputation_error(imputed, cells) == pytest.approx(
        np.sqrt(np.mean([1, 0, 0]) / values[:, 0].var())
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_names_inits_for_its_search_that_can_start_it(family):
    entry = FAMILIES[family]
    assert entry.search
    for name in entry.search:
        assert name in INITS
        assert not INITS[name].oracle
        assert make_init(name).needs <= entry.traits
        assert INITS[name].holes != "no"


def test_a_search_takes_the_family_s_inits_in_turn():
    case = Case(np.zeros((4, 2)), np.zeros((4, 2), bool), None, None, "gaussian_mixture", {})
    search = GaussianMixtureModel.search
    assert sources(case, len(search) + 2) == [*search, *search[:2]]


def test_an_init_that_draws_nothing_gives_a_search_one_start(monkeypatch):
    class Same(INITS["random"]):
        deterministic = True

    monkeypatch.setitem(INITS, "same", Same)
    case = Case(np.zeros((4, 2)), np.zeros((4, 2), bool), None, None, "gaussian_mixture", {})
    for search, found in (
        (("kmeans", "same", "random"), ["same", "kmeans", "random", "kmeans"]),
        (("same",), ["same"]),
    ):
        monkeypatch.setattr(GaussianMixtureModel, "search", search)
        assert sources(case, 4) == found
