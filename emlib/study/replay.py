"""``emlib replay``: one fit run again, outside Snakemake, in this process, its climb printed."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emlib.errors import EmlibError, printable
from emlib.study.grid import Block, load_study, planned_blocks
from emlib.study.paths import StudyPaths

Row = dict[str, Any]
COLUMNS = ("dataset", "missingness", "model", "init", "algorithm", "replicate", "start")
SHOWN = ("status", "flags", "message", "loglik", "loglik_polished", "status_polished")


@dataclass(frozen=True)
class StoredFit:
    """A fit as its study's files have it.

    Parameters
    ----------
    paths : StudyPaths
        Of its study.
    block : Block
    row : dict
        Its row of ``fits``.
    curve : list of dict
        Its rows of ``curves``.
    """

    paths: StudyPaths
    block: Block
    row: Row
    curve: list[Row]


@dataclass(frozen=True)
class Replay:
    """What came of running a fit again.

    Parameters
    ----------
    stored : StoredFit
    fit_id : str
        Identity that the fit has with today's code: another one if the code has changed.
    row, curve
        As in ``stored``, computed now.
    differences : list of str
        One line a value that is not the stored one, bit for bit.
    """

    stored: StoredFit
    fit_id: str
    row: Row
    curve: list[Row]
    differences: list[str]


def find_fit(prefix: str, results: Path = Path("results")) -> StoredFit:
    """The fit whose identity begins so.

    Parameters
    ----------
    prefix : str
        Of a ``fit_id``; long enough to mean one fit.
    results : Path
        The folder of all studies.

    Raises
    ------
    EmlibError
        If no finished fit, or more than one, begins so.
    """
    from emlib.study.files import read_table

    found: dict[str, tuple[StudyPaths, Block]] = {}
    for path in sorted(Path(results).glob("*/study.json")):
        paths = StudyPaths(path.parent)
        for block in planned_blocks(paths.root):
            file = _file(paths, "fits", block)
            if file.is_file():
                for fit_id in read_table(file, ["fit_id"]).column("fit_id").to_pylist():
                    if fit_id.startswith(prefix):
                        found.setdefault(fit_id, (paths, block))
    if len(found) != 1:
        some = ", ".join(sorted(found)[:5])
        what = f"{len(found)} fits begin so: {some}, ..." if found else "no finished fit begins so"
        raise EmlibError(
            f"fit {prefix!r}: {what}; {results}/*/fits/ hold the column fit_id of every fit"
        )
    ((fit_id, (paths, block)),) = found.items()
    rows = read_table(_file(paths, "fits", block)).to_pylist()
    curves = read_table(_file(paths, "curves", block)).to_pylist()
    return StoredFit(
        paths,
        block,
        next(row for row in rows if row["fit_id"] == fit_id),
        [row for row in curves if row["fit_id"] == fit_id],
    )


def _file(paths: StudyPaths, kind: str, block: Block) -> Path:
    return paths.block(kind, block.dataset, block.missingness, block.model, block.block)


def rerun(prefix: str, results: Path = Path("results")) -> Replay:
    """Find a fit and run it again, one thread, in this process.

    Raises
    ------
    EmlibError
        If the fit is not found, or its study no longer plans it.
    """
    _pin_threads()
    stored = find_fit(prefix, results)
    from emlib.study.assembly import fit_curve, fit_row
    from emlib.study.tasks import BlockWork

    work = BlockWork(stored.paths.root, load_study(stored.paths.root), stored.block)
    wanted = [stored.row[name] for name in COLUMNS]
    for job in work.climbs:
        if job.task.kind == "fit" and [job.task.row[name] for name in COLUMNS] == wanted:
            record = job.run()
            row, curve = fit_row(job.task, record), list(fit_curve(job.task, record))
            differences = _differences(stored, row, curve)
            return Replay(stored, job.task.identity, row, curve, differences)
    raise EmlibError(f"{stored.paths.study}: the study no longer plans fit {stored.row['fit_id']}")


def reference_of(stored: StoredFit) -> float:
    """The optimum that the reference search found on a fit's data; NaN if it found none."""
    from emlib.study.files import read_table

    rows = read_table(_file(stored.paths, "references", stored.block)).to_pylist()
    found = [row["loglik"] for row in rows if row["replicate"] == stored.row["replicate"]]
    return float(found[0]) if found else math.nan


def _pin_threads() -> None:
    """One thread, as in the worker; libraries read these variables when they are loaded."""
    from emlib.study.workerprocess import single_threaded

    os.environ.update(single_threaded())


def _differences(stored: StoredFit, row: Row, curve: list[Row]) -> list[str]:
    lines = [
        f"{name}: {stored.row[name]!r} stored, {row[name]!r} now"
        for name in stored.row
        if name not in ("fit_id", "data_id") and not _same(stored.row[name], row[name])
    ]
    if len(curve) != len(stored.curve):
        lines.append(f"curve: {len(stored.curve)} points stored, {len(curve)} now")
    for before, now in zip(stored.curve, curve, strict=False):
        names = [
            n
            for n in ("iteration", "e_steps", "objective", "loglik")
            if not _same(before[n], now[n])
        ]
        if names:
            where = f"curve, iteration {before['iteration']}"
            lines.append(f"{where}: {names[0]} {before[names[0]]!r} stored, {now[names[0]]!r} now")
            break
    return lines


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return a.hex() == b.hex()
    return bool(a == b)


def replay_fit(
    prefix: str, results: Path = Path("results"), say: Callable[[str], object] = print
) -> bool:
    """Run a fit again and print its climb.

    Parameters
    ----------
    prefix : str
        Of its ``fit_id``.
    results : Path
        The folder of all studies.
    say : callable
        Given each line.

    Returns
    -------
    bool
        Whether everything is as stored, bit for bit.

    Raises
    ------
    EmlibError
        If the fit is not found, or its study no longer plans it.
    """
    return show_replay(rerun(prefix, results), say)


def show_replay(replay: Replay, say: Callable[[str], object] = print) -> bool:
    """Print the climb of a fit that was run again; whether it is as stored, bit for bit."""
    row = replay.row
    say(f"fit {replay.stored.row['fit_id']} of study {replay.stored.paths.root.name}")
    say("  " + "  ".join(f"{name} {row[name]}" for name in COLUMNS))
    say(f"{'iteration':>9} {'E-steps':>9} {'objective':>20} {'gain':>12}")
    before = math.nan
    for point in replay.curve:
        objective = point["objective"]
        gain = "" if math.isnan(objective - before) else f"{objective - before:12.3g}"
        say(f"{point['iteration']:9d} {point['e_steps']:9.1f} {objective:20.9f} {gain}".rstrip())
        before = objective
    if len(replay.curve) <= row["n_iter"]:
        say(f"({len(replay.curve)} of {row['n_iter'] + 1} points; a gain is since the line above)")
    for name in SHOWN:
        if row[name] != "":
            say(printable(f"{name}: {row[name]}"))
    if replay.fit_id != replay.stored.row["fit_id"]:
        say("the numerical code, its libraries or the study's settings changed since it was stored")
    for line in replay.differences:
        say(printable(f"  {line}"))
    same = not replay.differences
    say("identical to the stored fit, bit for bit" if same else "NOT identical to the stored fit")
    return same
