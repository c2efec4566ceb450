"""The view of visibilities: what it is made of, and what it refuses."""

import numpy as np
import pytest

from emlib.data import Visibilities
from emlib.errors import InvalidData
from emlib.models.imaging import GaussianImageModel


def arrays(n=4):
    return {
        "values": np.arange(n) + 1j,
        "sigmas": np.full(n, 0.1),
        "uv": np.arange(2.0 * n).reshape(n, 2),
        "baselines": np.array([[0, 1], [0, 2], [1, 2], [0, 1]])[:n],
        "times": np.array([0.0, 0.0, 0.0, 0.5])[:n],
    }


def view(**changed):
    given = arrays() | changed
    return Visibilities.from_arrays(given.pop("values"), **given)


def test_real_and_imaginary_parts_are_the_complex_numbers():
    y = arrays()["values"]
    parts = np.column_stack([y.real, y.imag])
    assert view(values=parts).values == pytest.approx(view().values)


def test_a_visibility_with_a_missing_part_is_hidden():
    parts = np.column_stack([np.arange(4.0), np.ones(4)])
    parts[1, 0] = np.nan
    parts[2, 1] = np.nan
    data = view(values=parts)
    assert data.observed.tolist() == [True, False, False, True]
    assert data.total_weight == 2


def test_visibilities_of_one_time_are_one_scan_unless_scans_are_given():
    assert view().scans.tolist() == [0, 0, 0, 1]
    assert view(scans=[0, 0, 1, 1]).scans.tolist() == [0, 0, 1, 1]


def test_each_frame_is_a_scan_of_its_own_where_there_are_no_times():
    assert view(times=None, frames=[0, 1, 1, 2]).scans.tolist() == [0, 1, 1, 2]
    assert view(frames=[0, 1, 1, 1]).scans.tolist() == [0, 1, 1, 2]
    assert view(times=None).scans.tolist() == [0, 0, 0, 0]


def test_frames_whose_visibilities_are_hidden_are_frames_still():
    y = arrays()["values"].copy()
    y[3] = np.nan
    assert view(values=y, frames=[0, 0, 1, 2]).n_frames == 3


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"values": np.ones(4)}, "real and imaginary"),
        ({"values": np.full(4, np.inf + 0j)}, "infinite"),
        ({"sigmas": [0.1, 0.0, 0.1, 0.1]}, "visibility 1: .* not positive"),
        ({"sigmas": [0.1]}, "sigmas of shape"),
        ({"uv": np.full((4, 2), np.nan)}, "uv: visibility 0"),
        ({"baselines": [[0, 0]] * 4}, "must differ"),
        ({"baselines": [[0, 3]] * 4, "stations": ["A", "B"]}, "station 3 is none of the 2"),
        ({"frames": [0.5, 0, 0, 0]}, "frames: numbers from 0"),
        ({"scans": [-1, 0, 0, 0]}, "scans: numbers from 0"),
    ],
)
def test_what_does_not_fit_is_said(wrong, said):
    with pytest.raises(InvalidData, match=said):
        view(**wrong)


def test_a_misspelt_array_is_refused_and_a_family_takes_what_it_reads():
    with pytest.raises(TypeError, match="frame"):
        view(frame=[0, 1, 2, 3])
    given = arrays()
    data = GaussianImageModel.view(given.pop("values"), **given, lengths=np.array([4]))
    assert data.times.tolist() == arrays()["times"].tolist()
