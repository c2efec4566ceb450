"""The data and masks of a block, drawn from seed paths of their own."""

import os
import subprocess
import sys

import numpy as np
import pytest

from emlib.errors import EmlibError
from emlib.study.arrays import load_npz
from emlib.study.atomic import write_json
from emlib.study.datafiles import make_data, make_masks
from emlib.study.locks import FileLock
from emlib.study.paths import StudyPaths
from emlib.study.realized import realized_rates
from tests.study.small_study import DRAWN


def planned(folder, **changes):
    study = {
        "study": "s",
        "seed": 5,
        "datasets": {
            "drawn": {**DRAWN, "n": 40, "d": 3},
            "faithful": {"table": "faithful"},
        },
        "missingness": {
            f"mcar-{rate}": {"mechanism": "mcar", "rate": rate, "settings": {}}
            for rate in (0.1, 0.3)
        },
        "models": {"two": {"family": "gaussian_mixture", "settings": {"n_components": 2}}},
        "inits": {
            "random": {"init": "random", "settings": {}, "oracle": False, "deterministic": False}
        },
        "algorithms": {"em": {"algorithm": "em", "settings": {}}},
        "exclude": [],
        "truths": {},
        "replicates": 4,
        "restarts": 1,
        "block_size": 2,
        **changes,
    }
    paths = StudyPaths(folder / "s")
    write_json(paths.study, study)
    return paths


def test_a_block_holds_its_replicates_and_the_truth(tmp_path):
    paths = planned(tmp_path)
    arrays = load_npz(make_data(paths.root, "drawn", 1))
    assert {name for name in arrays if name.startswith("values")} == {"values_2", "values_3"}
    assert arrays["values_2"].shape == (40, 3)
    assert arrays["labels_3"].shape == (40,)
    assert arrays["truth_covariances"].shape == (2, 3, 3)
    assert not np.array_equal(arrays["values_2"], arrays["values_3"])


def test_replicates_are_the_same_whatever_the_block_size(tmp_path):
    one = load_npz(make_data(planned(tmp_path / "a", block_size=1).root, "drawn", 3))
    four = load_npz(make_data(planned(tmp_path / "b", block_size=4).root, "drawn", 0))
    assert np.array_equal(one["values_3"], four["values_3"])
    assert np.array_equal(one["truth_means"], four["truth_means"])


def test_a_real_table_is_the_same_in_every_replicate_and_has_no_truth(tmp_path):
    arrays = load_npz(make_data(planned(tmp_path).root, "faithful", 0))
    assert np.array_equal(arrays["values_0"], arrays["values_1"])
    assert arrays["columns"].tolist() == ["eruptions", "waiting"]
    assert not [name for name in arrays if name.startswith("truth")]


def test_holes_differ_between_replicates_and_are_nested_across_rates(tmp_path):
    paths = planned(tmp_path)
    make_data(paths.root, "faithful", 0)
    few = load_npz(make_masks(paths.root, "faithful", "mcar-0.1", 0))
    many = load_npz(make_masks(paths.root, "faithful", "mcar-0.3", 0))
    assert not np.array_equal(few["hidden_0"], few["hidden_1"])
    for name in ("hidden_0", "hidden_1"):
        assert not (few[name] & ~many[name]).any()
        assert 0.05 < few[name].mean() < 0.15 < many[name].mean()


def test_masks_record_the_share_of_each_column_s_observed_cells_that_they_hide(tmp_path):
    table = tmp_path / "own.csv"
    table.write_text("a,b\n1,1\n,2\n3,3\n4,\n5,5\n")
    (tmp_path / "mask.csv").write_text("b,a\n1,0\n0,1\n1,0\n1,1\n0,0\n")
    holes = {"mechanism": "file", "rate": 0.5, "settings": {"path": str(tmp_path / "mask.csv")}}
    paths = planned(tmp_path, datasets={"own": {"csv": str(table)}}, missingness={"file": holes})
    make_data(paths.root, "own", 0)
    masks = load_npz(make_masks(paths.root, "own", "file", 0))
    assert masks["rates_0"].tolist() == [1 / 4, 2 / 4]
    assert masks["rates_1"].tolist() == [1 / 4, 2 / 4]
    assert masks["rate_1"] == 3 / 8
    (found,) = realized_rates(paths.root)
    assert (found.dataset, found.missingness, found.asked) == ("own", "file", 0.5)
    assert found.rate == pytest.approx(3 / 8)
    assert found.columns == {"a": pytest.approx(1 / 4), "b": pytest.approx(2 / 4)}


@pytest.mark.parametrize("kind", ["data", "masks"])
def test_a_job_waits_for_one_that_outlived_its_snakemake_and_then_reads_the_study(tmp_path, kind):
    paths = planned(tmp_path)
    ids = ("drawn",) if kind == "data" else ("drawn", "mcar-0.3")
    make_data(paths.root, "drawn", 0)
    lock = FileLock(paths.data_lock(*ids, 0) if kind == "data" else paths.mask_lock(*ids, 0))
    lock.acquire()
    command = [sys.executable, "-m", "emlib", kind, str(paths.root), *ids, "0000"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as job, lock:
        assert job.stderr is not None
        words = f"{kind} {' '.join(ids)} 0000: waiting for process {os.getpid()} "
        assert job.stderr.readline().startswith(words)
        newer = planned(tmp_path, seed=6)
    assert job.returncode == 0
    file = newer.data(*ids, 0) if kind == "data" else newer.mask(*ids, 0)
    waited = file.read_bytes()
    assert (make_data if kind == "data" else make_masks)(newer.root, *ids, 0) == file
    assert file.read_bytes() == waited


def test_a_block_outside_the_plan_is_refused(tmp_path):
    paths = planned(tmp_path)
    with pytest.raises(EmlibError, match="drawn/0002 is not in the plan"):
        make_data(paths.root, "drawn", 2)
    with pytest.raises(EmlibError, match="nothing/none/0000 is not in the plan"):
        make_masks(paths.root, "nothing", "none", 0)
