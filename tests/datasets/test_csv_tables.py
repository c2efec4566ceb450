"""A user's CSV file is read as it stands, or refused with the place of what is wrong."""

import numpy as np
import pytest

from emlib.datasets import check_spec, describe_dataset, draw_dataset
from emlib.errors import ConfigError, InvalidData

GOOD = "width,length,kind\n1,2.5,b\n2,,a\nNA,1e3,a\n4,nan,b\n"


@pytest.fixture
def read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def read_text(text, **settings):
        (tmp_path / "own.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
        return draw_dataset({"csv": "own.csv", **settings})

    return read_text


def test_values_labels_and_holes_are_read(read):
    data = read(GOOD, label="kind")
    expected = [[1, 2.5], [2, np.nan], [np.nan, 1000], [4, np.nan]]
    np.testing.assert_array_equal(data.values, expected)
    assert data.columns == ("width", "length")
    np.testing.assert_array_equal(data.labels, [1, 0, 0, 1])
    assert data.labels.dtype == np.int64
    assert data.truth is None


def test_chosen_columns_come_in_the_order_asked_for(read):
    data = read(GOOD, columns=["length", "width"])
    assert data.columns == ("length", "width")
    assert data.labels is None
    assert data.values[0].tolist() == [2.5, 1.0]


def test_spaces_quotes_a_byte_order_mark_and_blank_lines_do_no_harm(read):
    data = read(b'\xef\xbb\xbf"a", b\r\n 1,"2"\r\n\r\n3, NaN\r\n4,5\r\n')
    assert data.columns == ("a", "b")
    np.testing.assert_array_equal(data.values, [[1, 2], [3, np.nan], [4, 5]])


def test_a_file_is_described_with_its_observed_cells(read):
    read(GOOD, label="kind")
    info = describe_dataset({"csv": "own.csv", "label": "kind"})
    assert (info.n, info.d, info.columns, info.n_labels) == (4, 2, ("width", "length"), 2)
    assert info.observed == (3, 2)
    assert not info.synthetic


@pytest.mark.parametrize(
    ("text", "settings", "message"),
    [
        ("", {}, "own.csv: the file is empty"),
        ("\n\n", {}, "own.csv: the file is empty"),
        ("a,b\n", {}, "own.csv: has a header and no row"),
        ("a,b\n1,2\n3,x\n", {}, "line 3, column 'b': 'x' is not a number"),
        ("a,b\n1,2\n3,1_000\n", {}, "line 3, column 'b': '1_000' is not a number"),
        ("a,b\n1,2\n3,-inf\n", {}, "line 3, column 'b': '-inf' is not finite"),
        ("a,b\n1,2\n3,1e999\n", {}, "line 3, column 'b': '1e999' is not finite"),
        ("a,b\n1,2\n3,2\n", {}, "column 'b' is constant: each of its 2 values is 2"),
        ("a,b\n1,2\n3,\n", {}, "column 'b' is constant: each of its 1 values is 2"),
        ("a,b\n1,\n3,NA\n", {}, "column 'b' has no value in any of 2 rows"),
        ("a,a\n1,2\n", {}, "the header names column 'a' twice"),
        ("a,\n1,2\n", {}, "the header has no name for column 2"),
        ("1,2\n3,4\n", {}, "the first line holds only numbers"),
        ("a;b\n1;2\n", {}, "separated by semicolons; commas are needed"),
        ("a,b\n1,2\n3\n", {}, "line 3 has 1 fields, the header has 2"),
        ("a,b\n1,2\n3,4,5\n", {}, "line 3 has 3 fields, the header has 2"),
        ('a,b\n1,"2\n', {}, "is not a CSV file"),
        (b"a,b\n1,\xff\n", {}, "is not UTF-8 text"),
        (GOOD, {}, "line 2, column 'kind': 'b' is not a number"),
        (GOOD, {"label": "kin"}, "unknown column 'kin'; did you mean 'kind'?"),
        (GOOD, {"columns": ["widht"]}, "unknown column 'widht'; did you mean 'width'?"),
        ("kind\na\nb\n", {"label": "kind"}, "no measurement column is left"),
        ("a,kind\n1,x\n2,\n", {"label": "kind"}, "line 3, label column 'kind': the class is miss"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_place(read, text, settings, message):
    with pytest.raises(InvalidData) as error:
        read(text, **settings)
    assert message in str(error.value)
    assert str(error.value).startswith("own.csv: ")
    assert "\n" not in str(error.value)


def test_a_missing_file_or_a_folder_is_refused(tmp_path):
    with pytest.raises(InvalidData, match=r"none\.csv: no such file"):
        draw_dataset({"csv": "none.csv"})
    with pytest.raises(InvalidData, match="cannot be read"):
        describe_dataset({"csv": str(tmp_path)})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"csv": 3}, "dataset csv: 3 is not the path of a file"),
        ({"columns": "width"}, "dataset columns: 'width' is not a list of column names"),
        ({"columns": ["a", "a"]}, "dataset columns: ['a', 'a'] names a column twice"),
        ({"columns": ["a", "b"], "label": "a"}, "dataset label: 'a' is also among"),
        ({"label": 3}, "dataset label: 3 is not the name of a column"),
        ({"lable": "kind"}, "unknown key 'lable' of a 'csv' dataset; did you mean 'label'?"),
    ],
)
def test_wrong_settings_are_refused_before_the_file_is_opened(settings, message):
    with pytest.raises(ConfigError) as error:
        draw_dataset({"csv": "own.csv", **settings})
    assert message in str(error.value)


SERIES = "day,who,y,top,x\n1,a,1,1,0.5\n2,a,-inf,3,1.5\n1,b,4,4,2\n2,b,,,1\n3,b,2,inf,0\n"
ROLES = {"columns": ["y"], "covariates": ["x", "day"], "upper": ["top"], "sequence": "who"}


def test_covariates_upper_ends_and_sequences_are_read_beside_the_measurements(read):
    data = read(SERIES, **ROLES)
    np.testing.assert_array_equal(data.values.ravel(), [1, -np.inf, 4, np.nan, 2])
    np.testing.assert_array_equal(data.extras["upper"].ravel(), [1, 3, 4, np.nan, np.inf])
    np.testing.assert_array_equal(data.extras["covariates"][:, 0], [0.5, 1.5, 2, 1, 0])
    assert data.extras["lengths"].tolist() == [2, 3]
    info = describe_dataset({"csv": "own.csv", **ROLES})
    assert set(info.extras) == {"covariates", "upper", "lengths"}
    assert info.observed == (4,)


def test_columns_with_another_role_are_no_measurements(read):
    text = SERIES.replace("-inf", "0").replace("inf", "9")
    assert read(text, sequence="who", covariates=["x"]).columns == ("day", "y", "top")


@pytest.mark.parametrize(
    ("text", "settings", "message"),
    [
        ("y,x\n1,2\n2,\n3,5\n", {"covariates": ["x"]}, "line 3, covariate 'x': is missing"),
        ("y,s\n1,a\n2,b\n3,a\n", {"sequence": "s"}, "line 4, column 's': sequence 'a' goes on"),
        ("y,z,u\n1,2,3\n2,3,4\n", {"upper": ["u"]}, "1 upper ends for 2 columns"),
        ("y,x\n1,2\n2,3\n", {"covariates": ["w"]}, "unknown column 'w'"),
        ("s,x\n1,2\n2,3\n", {"covariates": ["x"], "sequence": "s"}, "no measurement column"),
        ("y,x\n1,inf\n2,3\n", {"covariates": ["x"]}, "'inf' is not finite"),
    ],
)
def test_what_extras_cannot_be_is_told_with_its_place(read, text, settings, message):
    with pytest.raises(InvalidData) as caught:
        read(text, **settings)
    assert message in str(caught.value)


def test_a_column_has_one_role():
    spec = {"csv": "a.csv", "columns": ["y"], "covariates": ["x", "y"], "sequence": "x"}
    assert check_spec(spec) == [
        ("covariates", "'y' is also among the measurement columns"),
        ("sequence", "'x' is also among the covariates"),
    ]
    assert check_spec({"csv": "a.csv", "covariates": "x"}) == [
        ("covariates", "'x' is not a list of column names")
    ]
