"""The EHT's public files: averaged over scans, short baselines dropped, mistakes named by line."""

from pathlib import Path

import numpy as np
import pytest

from emlib.data import Visibilities
from emlib.datasets import check_spec, describe_dataset, draw_dataset
from emlib.datasets.uvfile import HEADER, read_visibilities
from emlib.errors import InvalidData

M87 = Path(__file__).parents[3] / "shared" / "data" / "eht2017_m87"

LINES = [
    "00.1000,AA,PV,-4e9,3e9,0.20,90.0,0.01",
    "00.1000,AA,AP,8e5,-1e6,1.10,10.0,0.01",
    "00.1030,AA,PV,-4.1e9,3.1e9,0.40,90.0,0.02",
    "00.1030,PV,LM,2e9,1e9,0.30,0.0,0.01",
    "00.5000,AA,PV,-5e9,3e9,0.10,180.0,0.01",
]


@pytest.fixture
def write(tmp_path):
    def written(lines, name="day.csv", header=HEADER):
        path = tmp_path / name
        path.write_text("\n".join(["#SRC:M87", header, *lines]) + "\n")
        return str(path)

    return written


def test_a_scan_is_the_weighted_mean_of_its_visibilities(write):
    read = read_visibilities(write(LINES), systematic=0.0)
    assert read.n == 3
    assert read.stations == ("AA", "LM", "PV")
    weights = np.array([1e4, 2.5e3])
    mean = weights @ [0.2j, 0.4j] / weights.sum()
    assert read.values[0] == pytest.approx(mean)
    assert read.sigmas[0] == pytest.approx(weights.sum() ** -0.5)
    assert read.uv[0] == pytest.approx(weights @ [[-4e9, 3e9], [-4.1e9, 3.1e9]] / weights.sum())
    assert read.scans.tolist() == [0, 0, 1]


def test_a_baseline_counts_in_one_direction(write):
    read = read_visibilities(write(LINES), systematic=0.0)
    assert read.baselines[1].tolist() == [1, 2]  # LM, PV: PV, LM in the file
    assert read.uv[1] == pytest.approx([-2e9, -1e9])
    assert read.values[1] == pytest.approx(0.3)


def test_a_part_of_the_amplitude_is_added_to_the_noise(write):
    path = write(LINES)
    plain, added = read_visibilities(path, systematic=0.0), read_visibilities(path)
    wanted = np.hypot(plain.sigmas, 0.02 * np.abs(plain.values))
    assert added.sigmas == pytest.approx(wanted)


def test_another_file_is_another_day(write):
    paths = [write(LINES), write(LINES, "next.csv")]
    read = read_visibilities(paths)
    assert read.n == 6
    assert read.scans.tolist() == [0, 0, 1, 2, 2, 3]
    assert read.times[3] - read.times[0] == pytest.approx(24.0)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("00.1,AA,PV,-4e9,3e9,0.20,90.0", "line 3"),
        ("00.1,AA,PV,-4e9,3e9,x,90.0,0.1", "line 3"),
        ("00.1,AA,PV,-4e9,3e9,0.2,90.0,0.0", "noise positive"),
        ("00.1,AA,PV,-4e9,nan,0.2,90.0,0.1", "numbers finite"),
        ("00.1,AA,PV,-4e9,3e9,0.2,90.0,0.1,7", "eight cells"),
        ("00.1,AA,AP,8e5,1e6,0.2,90.0,0.1", "no baseline is as long"),
    ],
)
def test_what_is_wrong_in_a_file_is_said_with_its_line(write, line, said):
    with pytest.raises(InvalidData, match=said):
        read_visibilities(write([line]))


def test_other_files_are_refused(write, tmp_path):
    with pytest.raises(InvalidData, match="no line"):
        read_visibilities(write(LINES, header="a,b,c"))
    with pytest.raises(InvalidData, match="No such file"):
        read_visibilities(str(tmp_path / "none.csv"))


def test_mistakes_in_a_dataset_of_files_are_named():
    assert check_spec({"visibilities": []})[0][0] == "visibilities"
    assert check_spec({"visibilities": "a.csv", "systematic": -1})[0][0] == "systematic"
    assert "unknown key" in check_spec({"visibilities": "a.csv", "columns": ["a"]})[0][1]


def test_a_simulation_s_coverage_is_read_as_its_settings_say(write):
    spec = {"generator": "gaussian_image", "coverage": write(LINES), "pixels": 4}
    given = {"systematic": 0.5, "scan_gap": 1.0, "shortest": 4e9}

    def sigmas(**settings):
        drawn = draw_dataset({**spec, **settings}, *map(np.random.default_rng, (0, 1)))
        return drawn.extras["sigmas"]

    path = spec["coverage"]
    assert sigmas() == pytest.approx(read_visibilities(path).sigmas)
    assert sigmas(**given) == pytest.approx(read_visibilities(path, **given).sigmas)
    assert len(sigmas(**given)) < len(sigmas())


@pytest.mark.parametrize(
    "setting",
    [{"hours": [1, 5]}, {"cadence": 5}, {"integration": 9.0}, {"stations": {"A": [1, 2, 3, 4]}}],
)
def test_settings_of_an_observation_are_refused_beside_that_of_a_file(write, setting):
    spec = {"generator": "gaussian_image", "coverage": write(LINES), **setting}
    ((place, message),) = check_spec(spec)
    assert place == next(iter(setting))
    assert "beside coverage" in message


def test_settings_of_files_are_refused_without_one():
    ((place, message),) = check_spec({"generator": "gaussian_image", "scan_gap": 0.1})
    assert (place, "without coverage" in message) == ("scan_gap", True)


def test_a_simulation_may_have_the_coverage_of_a_file(write):
    path = write(LINES)
    spec = {"generator": "gaussian_image", "source": "m87", "coverage": path, "sky": "ring"}
    assert describe_dataset(spec).n == 3
    drawn = draw_dataset(spec, np.random.default_rng(0), np.random.default_rng(1))
    read = read_visibilities(path)
    assert drawn.extras["uv"] == pytest.approx(read.uv)
    assert drawn.extras["sigmas"] == pytest.approx(read.sigmas)
    (place, message), *_ = check_spec({**spec, "coverage": "no-such.csv"})
    assert (place, "no-such.csv" in message) == ("coverage", True)


@pytest.mark.skipif(not M87.exists(), reason="the EHT's files are kept outside the project")
def test_the_real_files_are_read():
    days = sorted(str(path) for path in M87.glob("*_10[01]_*.csv"))
    drawn = draw_dataset({"visibilities": days})
    data = Visibilities.from_arrays(drawn.values, **drawn.extras)
    assert data.n == 271
    assert data.stations == ("AA", "AP", "AZ", "JC", "LM", "PV", "SM")
    assert data.lengths.min() > 1e9
    assert data.lengths.max() < 9e9
    assert np.abs(data.values).max() < 0.6
