"""Files torn, or with a bit flipped: found by checksum, said, and made again; nothing else is."""

from pathlib import Path

from emlib.study.files import read_table
from emlib.study.journal import decode
from emlib.study.paths import BLOCK_KINDS, StudyPaths
from emlib.study.store import Store

TABLES = ("cells", "worst")


def flip(path: Path, place: int) -> None:
    """Flip a bit where the file lies, as a failing disk does: its times stay."""
    content = bytearray(path.read_bytes())
    content[place] ^= 0x10
    with path.open("r+b") as file:
        file.write(content)


def test_damaged_files_are_found_said_and_made_again_and_no_finished_fit_is_computed_again(
    finished_copy,
):
    project = finished_copy()
    paths = project.paths
    before = {**project.block_files(), **contents(paths.tables)}
    drawn = ("drawn", "mcar-0.2", "two", 1)
    journal = strike_a_record(paths, *drawn)
    struck = [
        paths.data("drawn", 0),
        paths.mask("faithful", "none", 0),
        *(paths.block(kind, *drawn) for kind in BLOCK_KINDS),
        *(paths.tables / f"{name}.parquet" for name in TABLES),
    ]
    sound = {path: path.read_bytes() for path in struck}
    torn, *flipped = struck
    torn.write_bytes(sound[torn][:-100])
    for place, path in enumerate(flipped):
        flip(path, len(sound[path]) * (place + 1) // (len(flipped) + 2))
    project.forget_events()

    dry = project.snakemake("--dry-run")
    looked = project.snakemake("--summary")
    ran = project.snakemake()

    assert ran.code == 0, ran.output
    for path in struck:
        name = path.relative_to(project.root).as_posix()
        assert f"{name}: damaged (" in dry.output
        assert f"{name}: damaged (" in looked.output
        assert f"{name}: damaged (" in ran.output
    assert f"{journal.relative_to(project.root)}: damaged at byte " in ran.output
    assert {path: path.read_bytes() for path in struck} == sound
    assert {**project.block_files(), **contents(paths.tables)} == before
    assert ("faithful", "none", 1) not in made_again(project)
    assert ("drawn", "mcar-0.2", 1) in made_again(project)
    assert [event for event in project.events() if event["computed"]] == []
    others = ("reference_starts_computed", "certificates_computed")
    assert sum(event[kind] for event in project.events() for kind in others) == 1
    assert "Nothing to be done" in project.snakemake().output


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.iterdir()}


def strike_a_record(paths: StudyPaths, *block) -> Path:
    """Flip a bit in a stored record of a block's data, not a fit's: those have measured seconds."""
    (data_id,) = set(read_table(paths.block("fits", *block))["data_id"].to_pylist())
    found, _ = Store(paths.store).read(data_id)
    identity = next(name for name in sorted(found) if "fit" not in decode(found[name].content))
    journal = found[identity].path
    flip(journal, journal.read_bytes().index(identity.encode()) + len(identity) + 9)
    return journal


def made_again(project) -> set[tuple[str, str, int]]:
    """Blocks whose job ran."""
    return {(e["dataset"], e["missingness"], e["block"]) for e in project.events()}
