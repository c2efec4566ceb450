"""Whatever a file holds, its reader takes it or says what is wrong, and ends."""

import json
import struct
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from emlib.datasets.csvfile import read_csv
from emlib.errors import ConfigError, InvalidData, StoreError
from emlib.study.journal import OPENING, Damage, decode, encode, read_journal, record_bytes
from emlib.study.yamlfile import DEPTH, VALUES, parse_yaml, read_yaml

REPOSITORY = Path(__file__).resolve().parents[2]
MANY = settings(max_examples=400, deadline=None)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz") / "file"


# --- YAML ---

TOKENS = st.sampled_from(
    [
        "a",
        "b",
        ": ",
        "\n",
        "\n  ",
        "- ",
        "&x ",
        "*x",
        "[",
        "]",
        "{",
        "}",
        ",",
        "? ",
        "|\n",
        ">\n",
        "'",
    ]
    + [
        '"',
        '"\\x',
        "\\U0011",
        "<<",
        "!!",
        "!!int ",
        "!!float ",
        "!!binary ",
        "!!python/name:os.a ",
        "#",
    ]
    + [
        "1",
        "1e9999",
        ".inf",
        "0x",
        "9" * 5000,
        "null",
        "~",
        "%YAML 1.1\n",
        "---",
        "...",
        "\t",
        "\0",
    ]
    + ["\ud800", "\ufeff", "\x85", "😀", "=", "@", "`", "%", "!<tag:yaml.org,2002:set> "]
)
YAMLS = st.lists(TOKENS | st.text(max_size=3), max_size=40).map("".join)


def plain(value, depth=0):
    assert depth <= DEPTH
    if isinstance(value, dict):
        assert all(isinstance(key, str) for key in value)
        return 1 + sum(plain(inner, depth + 1) for inner in value.values())
    if isinstance(value, list):
        return 1 + sum(plain(inner, depth + 1) for inner in value)
    assert value is None or isinstance(value, (str, bool, int, float))
    return 1


@MANY
@given(YAMLS)
@example("a: &x [*x]")
@example("a: &x {b: *x}")
@example("a: !!timestamp x")
@example('a: "\\UFFFFFFFF"')
@example("[" * 100_000)
@example("- " * 5000)
@example(
    "".join(f"k{i}: &k{i} [{f'*k{i - 1},' * 9}]\n" if i else "k0: &k0 [x]\n" for i in range(40))
)
@example("".join(f"k{i}: &k{i} [*k{i - 1}]\n" if i else "k0: &k0 [x]\n" for i in range(900)))
@example("".join(f"k{i}: &k{i} {{<<: *k{i - 1}}}\n" if i else "k0: &k0 {}\n" for i in range(900)))
def test_yaml_is_plain_data_of_bounded_size_or_a_config_error(text):
    with suppress(ConfigError):
        value, mistakes = parse_yaml(text, "config.yaml")
        assert plain(value) <= VALUES
        assert all(isinstance(line, str) for line in mistakes)


@MANY
@given(st.binary(max_size=200) | YAMLS.map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_a_config_file_of_any_bytes_is_keys_and_values_or_a_config_error(file, content):
    file.write_bytes(content)
    with suppress(ConfigError):
        assert isinstance(read_yaml(file, "config.yaml")[0], dict)


def test_a_file_without_end_is_refused():
    with pytest.raises(ConfigError, match="more than 10000000 bytes"):
        read_yaml(Path("/dev/zero"), "config.yaml")
    with pytest.raises(InvalidData, match="not a file"):
        read_csv("/dev/zero")


# --- CSV ---

CELLS = st.sampled_from(
    [
        "a",
        "b",
        "1",
        "-2.5",
        "1e308",
        "-1e308",
        "5e-324",
        "1e400",
        "inf",
        "nan",
        "NA",
        "",
        " ",
        "1_0",
        "٣",
    ]
    + ['"', '""', '"a', "\0", "\r", "\x85", ";", "\t", "\ufeff", "=1+1", "x" * 140_000]
)
ROWS = st.lists(
    st.lists(CELLS | st.text(max_size=2), min_size=1, max_size=4).map(",".join), max_size=8
)
TABLES = ROWS.map("\n".join) | ROWS.map(lambda rows: "a,b,c\n1,2,3\n4,5,6\n" + "\n".join(rows))
ROLES = st.fixed_dictionaries(
    {},
    optional={
        "columns": st.lists(st.sampled_from("abcd"), max_size=3),
        "label": st.sampled_from("abcd"),
        "covariates": st.lists(st.sampled_from("abcd"), max_size=2),
        "upper": st.lists(st.sampled_from("abcd"), max_size=2),
        "sequence": st.sampled_from("abcd"),
    },
)


@MANY
@given(
    st.binary(max_size=60) | TABLES.map(lambda text: text.encode("utf-8", "surrogatepass")), ROLES
)
def test_a_csv_file_of_any_bytes_is_a_table_or_invalid_data(file, content, roles):
    file.write_bytes(content)
    with suppress(InvalidData):
        data = read_csv(file, **roles)
        assert data.values.ndim == 2
        assert len(data.values)
        assert len(data.columns) == data.values.shape[1]
        assert not np.isinf(data.values).any() or roles.get("upper")


@pytest.mark.parametrize("path", ["a\0b", "a\ud800", "x" * 5000, "."])
def test_what_is_no_path_is_invalid_data(path):
    with pytest.raises(InvalidData):
        read_csv(path)


# --- journals ---

JSONS = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["f8", "fit", "timings", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)
CONTENTS = (
    st.binary(max_size=30)
    | st.binary(max_size=30).map(zlib.compress)
    | st.builds(
        lambda value, floats: zlib.compress(json.dumps(value).encode()) + floats,
        JSONS,
        st.binary(max_size=24),
    )
    | st.just(zlib.compress(b"[" * 100_000))
    | st.just(encode({"fit": 1.0})[:-3])
)


def framed(body):
    """A body with the right checksums, whatever is in it."""
    head = b"\xabfit" + struct.pack("<II", len(body), zlib.crc32(body))
    return head + struct.pack("<I", zlib.crc32(head)) + body


PIECES = (
    st.binary(max_size=40)
    | st.binary(max_size=40).map(framed)
    | CONTENTS.map(lambda content: record_bytes("number", content))
    | st.just(b"\xabfit")
    | CONTENTS.map(lambda content: record_bytes("cut", content)[:-2])
)


@MANY
@given(st.binary(max_size=40) | st.lists(PIECES, max_size=6).map(lambda p: OPENING + b"".join(p)))
@example(OPENING + framed(b""))
@example(OPENING + framed(b"\xff\x00"))
@example(OPENING + framed(b"\x02\xe9\xe9x"))
def test_a_journal_of_any_bytes_is_records_and_named_damage(file, content):
    file.write_bytes(content)
    for item in read_journal(file):
        if isinstance(item, Damage):
            assert str(file) in str(item)
            continue
        identity, record = item
        assert identity.isascii()
        with suppress(StoreError):
            assert isinstance(decode(record), dict)


def test_records_around_a_hostile_one_are_read(file):
    good = [record_bytes(name, encode({"fit": 1.0})) for name in ("first", "last")]
    file.write_bytes(OPENING + good[0] + framed(b"\xff\x00") + good[1])
    found = list(read_journal(file))
    assert [item[0] for item in (found[0], found[2])] == ["first", "last"]
    assert isinstance(found[1], Damage)


def test_a_record_that_unfolds_without_end_is_refused(monkeypatch):
    monkeypatch.setattr("emlib.study.journal.LARGEST", 1000)
    with pytest.raises(StoreError, match="above 1000 bytes"):
        decode(zlib.compress(b" " * 2000 + b"{}"))
